// Models by their names where commands take a MODEL: found in the cache, pulled with --pull or after a question, listed, shown, removed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { COMMIT, gitSha1, sha256, startHub } from '../hub/hub.mjs';
import { split } from '../split_gguf.mjs';
import { start, startFails } from './server_common.mjs';
import { ended } from './waits.mjs';

const hokku = process.env.HOKKU;
const scratch = mkdtempSync(join(tmpdir(), 'hokku-names-'));
const sim = `${process.env.HOKKU_BUILD_DIR}/libhokku-cuda-sim.so`;
const folder = new URL('../golden/models/hf', import.meta.url).pathname;
const cache = join(scratch, 'cache'), repo = (name) => join(cache, `models--test--${name}`);
let hub, env, whole;

// Runs a command; with a terminal it runs under script(1), whose standard output is the terminal.
function run(args, { input = '', terminal = false, more = {} } = {}) {
	const quoted = [hokku, ...args].map((a) => `'${a}'`).join(' ');
	const [program, rest] = terminal ? ['script', ['-qec', quoted, '/dev/null']] : [hokku, args];
	const child = spawn(program, rest, { cwd: scratch, env: { ...env, ...more } });
	const r = { out: '', err: '' };
	child.stdout.on('data', (d) => {
		r.out += d;
		if (terminal && /\? \[./.test(r.out) && child.stdin.writable) child.stdin.end(input);
	});
	child.stderr.on('data', (d) => (r.err += d));
	child.stdin.on('error', () => {});
	if (!terminal) child.stdin.end(input);
	return ended(child).then(({ code }) => ({ ...r, code }));
}
async function output(...args) {
	const r = await run(args);
	assert.equal(r.code, 0, r.err);
	return r.out;
}
const answer = (model, ...more) => output('run', model, '-p', 'a haiku', '-n', '8', '--temperature', '0', '--device', 'cpu', ...more);

before(async () => {
	env = { HOME: scratch, PATH: process.env.PATH, HF_HUB_CACHE: cache, HOKKU_TEST_RETRY_MS: '0', TMPDIR: scratch };
	whole = join(scratch, 'whole.gguf');
	await output('convert', folder, '-o', whole, '--type', 'Q8_0', '--name', 'hf');
	const parts = split(whole, join(scratch, 'm-Q8_0'), [5]);
	const files = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
	// A model of an architecture that nobody has written yet.
	const later = Buffer.from(readFileSync(whole).toString('latin1').replaceAll('qwen2', 'later'), 'latin1');
	// The same model with a header of more than a megabyte.
	const bytes = readFileSync(whole), key = 'general.url', text = Buffer.alloc((3 << 20) - 8 - key.length - 4 - 8, 'x'), kv = Buffer.alloc(3 << 20);
	kv.writeBigUInt64LE(BigInt(key.length), 0);
	kv.write(key, 8);
	kv.writeUInt32LE(8, 8 + key.length);
	kv.writeBigUInt64LE(BigInt(text.length), 12 + key.length);
	text.copy(kv, 20 + key.length);
	const head = Buffer.from(bytes.subarray(0, 24));
	head.writeBigUInt64LE(head.readBigUInt64LE(16) + 1n, 16);
	hub = await startHub({
		'test/wide-GGUF': { files: { 'wide.gguf': Buffer.concat([head, kv, bytes.subarray(24)]) } },
		'test/one-GGUF': { files: { 'one-Q8_0.gguf': readFileSync(whole), 'one-F16.gguf': Buffer.from('not read') } },
		'test/parts-GGUF': { files: Object.fromEntries(parts.map((path) => [path.slice(scratch.length + 1), readFileSync(path)])) },
		'test/later-GGUF': { files: { 'later.gguf': later } },
		'test/folder': { files: { ...files, 'pytorch_model.bin': Buffer.from('never'), 'README.md': Buffer.from('nor this') } },
	});
	env.HF_ENDPOINT = hub.url;
});
after(async () => {
	await hub.stop();
	rmSync(scratch, { recursive: true });
});

test('run: a name that is not here is told of, and --pull brings it', async () => {
	const r = await run(['run', 'test/one-GGUF:Q8_0', '-p', 'x']);
	assert.deepEqual([r.code, r.out, hub.requests.length], [1, '', 0]);
	assert.match(r.err, /test\/one-GGUF:Q8_0 is neither a file here nor in the cache \(.*\); --pull brings it, or hokku pull test\/one-GGUF:Q8_0/);
	const local = await answer(whole);
	assert.equal(await answer('test/one-GGUF:Q8_0', '--pull'), local);
	hub.requests = [];
	assert.equal(await answer('hf.co/test/one-GGUF'), local); // the one that is here
	for (const host of ['hf.co', 'huggingface.co', 'www.huggingface.co']) assert.equal(await answer(`${host}/test/one-GGUF/resolve/main/one-Q8_0.gguf`), local); // no path, although it ends so
	assert.equal(hub.requests.length, 0);
	assert.match((await run(['run', 'test/none', '--pull', '-p', 'x'])).err, /has no repository "test\/none"/);
	assert.match((await run(['run', 'test/none', '--offline', '-p', 'x'])).err, /offline, so nothing is pulled: test\/none is not here/);
	assert.match((await run(['run', 'nosuchmodel', '-p', 'x'])).err, /"nosuchmodel" is neither a file here nor a short name of a model/);
	// What is a path stays one, whatever the hub's settings are.
	for (const path of ['nosuch.gguf', './nosuch', 'models/nosuch.gguf'])
		assert.match((await run(['run', path, '-p', 'x'], { more: { HF_ENDPOINT: 'nonsense' } })).err, new RegExp(`^hokku: ${path.replaceAll('.', '\\.')}: No such file`));
	assert.match((await run(['run', 'test/x', '-p', 'x'], { more: { HF_ENDPOINT: 'nonsense' } })).err, /HF_ENDPOINT is "nonsense"; it takes the address of a hub/);
});

test('before it begins it says what the model takes, and what this machine has', async () => {
	const inspected = JSON.parse(await output('inspect', whole, '--json', '--device', 'cpu')), { weights, kv, scratch: rest } = inspected.device.resident_bytes;
	const text = (n) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`);
	for (const [name, pattern] of [
		['test/one-GGUF:Q8_0', `hokku: on the CPU it takes ${text(weights)} for weights, ${text(kv)} for KV at a context of ${inspected.device.context}, ${text(rest)} to compute\n`],
		['test/wide-GGUF', `hokku: on the CPU it takes ${text(weights)} for weights, ${text(kv)} for KV at`],
		['test/parts-GGUF', `hokku: on the CPU it takes ${text(weights)} for weights, ${text(kv)} for KV at`],
		['test/folder', 'hokku: on the CPU it takes [0-9.]+ [KM]iB for weights, [0-9.]+ [KM]iB for KV'],
		['test/one-GGUF:F16', 'hokku: what it takes cannot be said: one-F16\\.gguf: '],
		['test/later-GGUF', 'hokku: what it takes cannot be said: later\\.gguf: .*"later"; hokku knows qwen2'],
	]) {
		const r = await run(['pull', name], { more: { HF_HUB_CACHE: join(scratch, 'needs') } });
		assert.equal(r.code, 0, r.err);
		assert.match(r.err, new RegExp(pattern), name);
		assert.match(r.err, /^hokku: this machine has \S+ GiB of memory, \S+ [GM]iB of it available; \S+ [TGM]iB of disk are free$/m);
		assert.doesNotMatch(r.err, /hokku-heads/);
	}
	assert.deepEqual(readdirSync(scratch).filter((name) => name.startsWith('hokku-heads')), []);
	// What a plugin shows of GPUs (tests/unit/compute/fake/plugin.c).
	const gpus = { HF_HUB_CACHE: join(scratch, 'needs2'), HOKKU_PLUGIN_PATH: `${process.env.HOKKU_BUILD_DIR}/tests/plugins/good` };
	const fake = (await run(['pull', 'test/one-GGUF:Q8_0'], { more: gpus })).err;
	assert.match(fake, /of disk are free; cuda:0, .*, .* free$/m);
	assert.match(fake, /^hokku: on cuda:0 what it takes cannot be said: the device cuda:0 does not tell what it would take$/m);
});

test('of each GPU too, and what would fit where it does not', { skip: existsSync(sim) ? false : `no ${sim}` }, async () => {
	const told = JSON.parse(await output('fit', whole, '--json', '--no-measure')).devices[0];
	for (const [i, [vram, pattern]] of [
		['', /^hokku: on cuda:0 it takes (\S+ [KM]iB) for weights, \S+ [KM]iB for KV at a context of 256, \S+ [KM]iB to compute$/m],
		['4600000', /^hokku: on cuda:0 it takes .* to compute: more than is available; a context of \d+ would fit$/m],
		['1000000', /^hokku: on cuda:0 it takes .* to compute: more than is available, with any context$/m],
	].entries()) {
		const more = { HF_HUB_CACHE: join(scratch, `gpu${i}`), HOKKU_PLUGIN_PATH: sim, ...(vram && { CUDASIM_VRAM: vram }) };
		const { err } = await run(['pull', 'test/one-GGUF:Q8_0'], { more });
		assert.match(err, pattern);
		assert.match(err, /^hokku: this machine has .*; cuda:0, emulated device 0, .* free$/m);
		assert.doesNotMatch(err, /cannot run here/); // the CPU can
	}
	assert.ok(told.fits);
});

test('fit: of a model that is not here the beginnings are enough; nothing is pulled', async () => {
	const fit = async (name, ...more) => JSON.parse(await output('fit', name, '--json', '--no-measure', '--device', 'cpu', ...more));
	const local = await fit(whole), same = (told) => assert.deepEqual({ ...told.devices[0], available_bytes: 0 }, { ...local.devices[0], available_bytes: 0 });
	const empty = { HF_HUB_CACHE: join(scratch, 'fitted') };
	for (const name of ['test/one-GGUF:Q8_0', 'test/wide-GGUF', 'test/parts-GGUF']) {
		hub.requests = [];
		const r = await run(['fit', name, '--json', '--no-measure', '--device', 'cpu'], { more: empty });
		assert.equal(r.code, 0, r.err);
		same(JSON.parse(r.out));
		assert.ok(hub.requests.length > 0);
	}
	assert.equal((await run(['fit', 'test/folder', '--no-measure'], { more: empty })).code, 0);
	assert.ok(!existsSync(join(scratch, 'fitted', 'models--test--one-GGUF', 'snapshots')));
	same(await fit('test/one-GGUF:Q8_0')); // here, and as it is
	for (const [args, pattern] of [
		[['test/one-GGUF:F16'], /^hokku: of test\/one-GGUF, which is not here \(8 B to pull\), no more can be told: one-F16\.gguf: /],
		[['test/later-GGUF'], /^hokku: of test\/later-GGUF, which is not here \([\d.]+ KiB to pull\), no more can be told: later\.gguf: .*"later"; hokku knows qwen2/],
		[['test/parts-GGUF', '--offline'], /^hokku: .*test\/parts-GGUF/],
		[['test/none'], /has no repository "test\/none"/],
		[['test/parts-GGUF', '-c', '100000'], /^hokku: a context of 100,000 was asked for; the model was trained for 256 at most\n$/],
	]) {
		const r = await run(['fit', '--no-measure', ...args], { more: empty });
		assert.deepEqual([r.code, r.out], [1, '']);
		assert.match(r.err, pattern);
	}
	assert.deepEqual(readdirSync(scratch).filter((name) => name.startsWith('hokku-heads')), []);
});

test('other commands take the names of what is here', async () => {
	assert.match(await output('inspect', 'test/one-GGUF:Q8_0'), /^architecture: +qwen2$/m);
	assert.match(await output('inspect', 'test/one-GGUF:Q8_0', '--device', 'cpu'), /memory on cpu/);
	assert.equal(await output('tokenize', 'test/one-GGUF:Q8_0', '-p', 'a haiku'), await output('tokenize', whole, '-p', 'a haiku'));
	assert.match(await output('bench', 'test/one-GGUF:Q8_0', '--prefill', '8', '--decode', '2', '-n', '1', '--device', 'cpu'), /decode/);
	assert.match(await output('logits', 'test/one-GGUF:Q8_0', '--tokens', '7,100', '--device', 'cpu', '-o', '-'), /./);
	hub.requests = [];
	for (const args of [['inspect'], ['tokenize', '-p', 'x'], ['bench'], ['logits', '--tokens', '7', '-o', '-']])
		assert.match((await run([args[0], 'test/parts-GGUF', ...args.slice(1)])).err, /test\/parts-GGUF is neither a file here nor in the cache \(.*\); hokku pull test\/parts-GGUF brings it/, args[0]);
	assert.equal(hub.requests.length, 0);
});

test('split models and folders', async () => {
	const local = await answer(whole);
	assert.equal(await answer('test/parts-GGUF', '--pull'), local);
	assert.deepEqual(readdirSync(join(repo('parts-GGUF'), 'snapshots', COMMIT)).sort(), ['m-Q8_0-00001-of-00002.gguf', 'm-Q8_0-00002-of-00002.gguf']);
	assert.equal(await answer('test/folder', '--pull'), await answer(folder));
	const snapshot = join(repo('folder'), 'snapshots', COMMIT);
	assert.ok(existsSync(join(snapshot, 'config.json')) && !existsSync(join(snapshot, 'pytorch_model.bin')) && !existsSync(join(snapshot, 'README.md')));
	assert.equal(readlinkSync(join(snapshot, 'config.json')), `../../blobs/${gitSha1(readFileSync(join(folder, 'config.json')))}`);
	// A part that is missing is pulled, the other not again.
	unlinkSync(join(repo('parts-GGUF'), 'snapshots', COMMIT, 'm-Q8_0-00002-of-00002.gguf'));
	unlinkSync(join(repo('parts-GGUF'), 'blobs', sha256(readFileSync(join(scratch, 'm-Q8_0-00002-of-00002.gguf')))));
	assert.match((await run(['run', 'test/parts-GGUF', '-p', 'x'])).err, /neither a file here nor in the cache/);
	hub.requests = [];
	assert.equal(await answer('test/parts-GGUF', '--pull'), local);
	assert.ok(hub.requests.filter((r) => r.host === 'cdn' && !r.head).every((r) => r.url.includes(sha256(readFileSync(join(scratch, 'm-Q8_0-00002-of-00002.gguf'))))));
});

test('on a terminal it asks first, and draws how far it is', async () => {
	const other = { more: { HF_HUB_CACHE: join(scratch, 'asked') }, terminal: true };
	const args = ['run', 'test/one-GGUF:Q8_0', '-p', 'a haiku', '-n', '8', '--temperature', '0', '--device', 'cpu'];
	for (const input of ['n\n', '\0\n']) {
		const no = await run(args, { ...other, input });
		assert.equal(no.code, 130, no.out);
		assert.match(no.out, /pulling test\/one-GGUF:Q8_0: one-Q8_0\.gguf, 1 file, .*Pull it\? \[Y\/n\] .*nothing was pulled/s);
	}
	assert.ok(!existsSync(join(scratch, 'asked/models--test--one-GGUF/blobs')));
	const yes = await run(args, { ...other, input: '\n' });
	assert.equal(yes.code, 0, yes.out);
	assert.match(yes.out, /pulling one-Q8_0\.gguf \d+%, .* of .*checking one-Q8_0\.gguf/s);
	assert.ok(yes.out.includes((await answer(whole)).trim()), yes.out);
	for (const input of ['\n', '\0\n', 'n\n']) {
		const removed = await run(['rm', 'test/one-GGUF'], { ...other, input });
		assert.match(removed.out, /Remove test\/one-GGUF \(.*\)\? \[y\/N\] .*nothing was removed/s, JSON.stringify(input));
	}
	assert.match((await run(['rm', 'test/one-GGUF'], { ...other, input: 'y\n' })).out, /removed test\/one-GGUF/);
	assert.ok(!existsSync(join(scratch, 'asked/models--test--one-GGUF')));
});

test('serve takes names and folders', async () => {
	const bad = await startFails(['--port', '0', 'test/none'], env);
	assert.deepEqual([bad.code, /neither a file here nor in the cache/.test(bad.err)], [1, true], bad.err);
	for (const model of ['test/one-GGUF:Q8_0', 'test/folder', folder]) {
		const server = await start([model, '--pull', '--device', 'cpu'], { env });
		assert.equal((await server.health()).status, 'ok');
		await server.stop();
	}
});

test('list, show and rm', async () => {
	assert.match(await output('list', '--known'), /^qwen3:4b +\S+ GiB +Qwen\/Qwen3-4B-GGUF:Qwen3-4B-Q4_K_M\.gguf$/m);
	assert.ok(JSON.parse(await output('list', '--known', '--json')).some((s) => s.name === 'qwen3:4b' && s.bytes_about > 2e9));
	// What another program has pulled is there: here a file of another commit, that no branch is at, with the bytes of the first.
	const blob = sha256(readFileSync(whole)), old = join(repo('one-GGUF'), 'snapshots', 'b'.repeat(40));
	mkdirSync(old, { recursive: true });
	symlinkSync(`../../blobs/${blob}`, join(old, 'one-Q8_0.gguf'));
	writeFileSync(join(repo('one-GGUF'), 'blobs', `${'c'.repeat(64)}.hokku-part`), 'x');
	symlinkSync(whole, join(old, 'leads-out.gguf'));
	const names = JSON.parse(await output('list', '--json')).map((item) => [item.name, item.kind, item.files]);
	assert.deepEqual(names, [
		['test/folder:safetensors', 'folder', readdirSync(join(repo('folder'), 'snapshots', COMMIT)).length],
		['test/one-GGUF', 'part', 1],
		['test/one-GGUF:Q8_0', 'gguf', 1],
		[`test/one-GGUF@${'b'.repeat(40)}:Q8_0`, 'gguf', 1],
		['test/parts-GGUF:Q8_0', 'gguf', 2],
	]);
	const text = await output('list');
	assert.match(text, /^test\/parts-GGUF:Q8_0 +\S+ KiB +20\d\d-\d\d-\d\d$/m);
	assert.match(text, /^test\/one-GGUF +1 B .*not whole: hokku pull goes on with it$/m);
	const shown = await output('show', 'test/one-GGUF:Q8_0');
	assert.match(shown, new RegExp(`^name: +test/one-GGUF:Q8_0\ncommit: +${COMMIT}\nfile: +one-Q8_0.gguf, .*, checksum ${blob}\npath: +${cache}.*one-Q8_0.gguf\narchitecture: +qwen2$`, 'm'));
	assert.match((await run(['show', 'test/none'])).err, /test\/none is not here; hokku pull brings it, hokku list shows what is/);
	assert.match(await output('show', whole), /^path: .*whole\.gguf\narchitecture: +qwen2$/m);
	// Bytes that another snapshot has stay; the last link takes them along.
	const no = await run(['rm', 'test/one-GGUF:Q8_0']);
	assert.match(no.err, /test\/one-GGUF:Q8_0 would be removed \(.*\); there is no terminal to ask, so --yes must be given/);
	assert.equal(await output('rm', 'test/one-GGUF:Q8_0', '--yes'), 'removed test/one-GGUF:Q8_0, 0 B\n');
	assert.ok(existsSync(join(repo('one-GGUF'), 'blobs', blob)));
	assert.match(await output('rm', `test/one-GGUF@${'b'.repeat(40)}:one-Q8_0.gguf`, '-y'), /removed .*, [\d.]+ KiB/);
	assert.ok(!existsSync(join(repo('one-GGUF'), 'blobs', blob)) && existsSync(whole));
	assert.match(await output('rm', 'test/one-GGUF', '-y'), /^removed test\/one-GGUF, \d+ B\n$/); // a branch's name, a beginning
	assert.ok(!existsSync(repo('one-GGUF')) && existsSync(whole), 'what a link leads to outside stays');
	await output('rm', 'test/parts-GGUF:Q8_0', '-y');
	assert.ok(!existsSync(repo('parts-GGUF'))); // nothing was left in it
	for (const name of ['test/one-GGUF', 'test/one-GGUF:Q8_0', 'test/folder:Q8_0']) assert.match((await run(['rm', name, '-y'])).err, /is not here|has no GGUF file/, name);
	assert.match((await run(['rm', whole, '-y'])).err, /is no repository of the cache; remove the file itself/);
	assert.match((await run(['rm', 'test/../x', '-y'])).err, /is no repository of the cache|names no model/);
	// A repository's folder that leads elsewhere is left alone.
	symlinkSync(folder, repo('away'));
	assert.match((await run(['rm', 'test/away', '-y'])).err, /leads out of the cache/);
	assert.ok(existsSync(join(folder, 'config.json')));
	assert.equal((await run(['rm'])).code, 2);
	assert.equal((await run(['show'])).code, 2);
	await output('rm', 'test/folder', '-y');
	unlinkSync(repo('away'));
	const none = await run(['list']);
	assert.deepEqual([none.code, none.out], [0, '']);
	assert.match(none.err, /there is no model in .*; hokku pull brings one/);
});
