// `hokku pull` against a hub of our own (tests/hub/hub.mjs): every form of a name, every fault of a network and of a hub.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { COMMIT, gitSha1, sha256, startHub } from '../hub/hub.mjs';
import { ended, until, within } from './waits.mjs';

const hokku = process.env.HOKKU;
const scratch = mkdtempSync(join(tmpdir(), 'hokku-pull-'));
let hub, cache, nCaches = 0;

// Bytes that are none of a model's: a pull looks at checksums alone. No two pieces are alike.
function noise(n, seed) {
	const bytes = Buffer.alloc(n);
	for (let i = 0, x = seed; i + 4 <= n; i += 4) bytes.writeUInt32LE((x = (Math.imul(x, 1664525) + 1013904223) >>> 0), i);
	return bytes;
}
const big = noise((5 << 18) + 12345, 1), small = noise(70000, 2);

before(async () => {
	hub = await startHub({
		'test/m-GGUF': { files: { 'm-Q4_K_M.gguf': big, 'm-Q8_0.gguf': small, 'm-F16.gguf': noise(40, 3), 'mmproj-F16.gguf': noise(30, 4), 'README.md': Buffer.from('# m\n') } },
		'test/private': { files: { 'p.gguf': small }, private: true },
		'test/gated': { files: { 'g.gguf': small }, gated: true },
		'test/closed': { files: { 'g.gguf': small }, gated: 'never' },
		'test/old-name': { moved: 'test/m-GGUF' },
		'test/folder': { files: { 'config.json': Buffer.from('{}'), 'model.safetensors': small } },
		'test/split': { files: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`s-${String(i + 1).padStart(5, '0')}-of-00020.gguf`, noise(70000, 100 + i)])) },
		'test/nothing': { files: { 'README.md': Buffer.from('x') } },
	});
});
after(async () => {
	await hub.stop();
	rmSync(scratch, { recursive: true });
});
beforeEach(() => {
	hub.reset();
	cache = join(scratch, `cache${nCaches++}`);
});

// Runs `hokku ARGS`; { child, ended: promise of { code, out, err } }.
function begin(args, { env = {}, input = '' } = {}) {
	const child = spawn(hokku, args, {
		cwd: scratch,
		env: { HOME: scratch, PATH: process.env.PATH, HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache, HOKKU_TEST_RETRY_MS: '0', ...env },
	});
	const r = { out: '', err: '' };
	child.stdout.on('data', (d) => (r.out += d));
	child.stderr.on('data', (d) => (r.err += d));
	child.stdin.on('error', () => {});
	child.stdin.end(input);
	return { child, ended: ended(child).then((how) => ({ ...r, ...how })) };
}
// What comes while a command runs; that it ended without is an error.
const during = (command, what) => Promise.race([within(what, 'what was to come meanwhile'), command.ended.then((r) => assert.fail(`it ended too early: ${JSON.stringify(r)}`))]);
const run = (args, options) => begin(args, options).ended;
const pull = (name, options, ...args) => run(['pull', name, ...args], options);

const folder = (repo) => join(cache, `models--${repo.replace('/', '--')}`);
const blobs = (repo) => (existsSync(join(folder(repo), 'blobs')) ? readdirSync(join(folder(repo), 'blobs')) : []);
const cdn = () => hub.requests.filter((r) => r.host === 'cdn' && !r.head);
const nAsked = () => cdn().reduce((n, r) => n + r.range.match(/(\d+)-(\d+)/).slice(1).reduce((a, b) => b - a + 1), 0); // bytes

function succeeded(r, repo, file, bytes) {
	assert.equal(r.code, 0, r.err);
	const path = join(folder(repo), 'snapshots', COMMIT, file);
	assert.equal(r.out, `${path}\n`);
	assert.ok(readFileSync(path).equals(bytes));
	assert.equal(readlinkSync(path), `../../blobs/${sha256(bytes)}`);
	assert.ok(lstatSync(join(folder(repo), 'blobs', sha256(bytes))).isFile());
	assert.equal(readFileSync(join(folder(repo), 'refs/main'), 'utf8'), COMMIT);
	assert.deepEqual(blobs(repo).filter((name) => name.includes('hokku')), []);
}
function failed(r, pattern, code = 1) {
	assert.equal(r.code, code, r.err + r.out);
	assert.match(r.err, pattern);
	assert.equal(r.out, '');
}

test('a model comes into the cache as the hub\'s other programs lay it out', async () => {
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.ok(cdn().length >= 4 && cdn().every((r) => /^bytes=\d+-\d+$/.test(r.range)), JSON.stringify(cdn()));
	assert.equal(nAsked(), big.length); // each byte once
	assert.ok(existsSync(join(cache, '.locks/models--test--m-GGUF', `${sha256(big)}.lock`)));
	// Once more: nothing comes.
	hub.reset();
	const again = await pull('test/m-GGUF:Q4_K_M');
	succeeded(again, 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.deepEqual([cdn().length, again.err], [0, '']);
	// And without a hub.
	hub.reset();
	succeeded(await pull('test/m-GGUF:Q4_K_M', {}, '--offline'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	succeeded(await pull('test/m-GGUF', { env: { HF_HUB_OFFLINE: '1' } }), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.equal(hub.requests.length, 0);
	failed(await pull('test/m-GGUF:Q8_0', {}, '--offline'), /offline.*test\/m-GGUF:Q8_0 is not here/);
});

test('every form of a name', async () => {
	for (const name of ['hf.co/test/m-GGUF:q8_0', 'https://hf.co/test/m-GGUF:Q8_0', 'huggingface.co/test/m-GGUF:m-Q8_0.gguf', `test/m-GGUF@${COMMIT}:Q8_0`,
		'https://huggingface.co/test/m-GGUF/blob/main/m-Q8_0.gguf', `${hub.url}/test/m-GGUF/resolve/main/m-Q8_0.gguf?download=true`]) {
		cache = join(scratch, `cache${nCaches++}`);
		const r = await pull(name);
		assert.equal(r.code, 0, `${name}: ${r.err}`);
		assert.ok(readFileSync(r.out.trim()).equals(small), name);
	}
	succeeded(await pull('test/m-GGUF'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big); // what most people want
	failed(await pull('./x/../nothing.gguf'), /^hokku: \.\/x\/\.\.\/nothing\.gguf: there is no such file here/);
	for (const name of ['hf.co/../../etc:x', 'test/..', 'test/m-GGUF:../x.gguf', 'test/m-GGUF:a/../../x.gguf', 'a--b/c', 'test/m-GGUF@../x', 'ftp://host/x.gguf', 'test/m-GGUF:', 'hf.co/test', 'https://hf.co/'])
		failed(await pull(name), /names no model/);
	failed(await pull('qwen3:4bb'), /did you mean qwen3:4b\?/);
	failed(await run(['pull']), /NAME of a model is missing/, 2);
	failed(await pull('test/m-GGUF', {}, '--connections', '17'), /--connections is "17"; it takes a whole number from 1 to 16/, 2);
});

test('a connection that breaks, an answer that is too short and an address that has run out are gone on with', async () => {
	hub.faults = { breaks: 3, short: 2, expired: 2, busy: 1, error: 1 };
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	// What had come did not come again: requests after the first begin where the one before ended.
	assert.ok(cdn().some((r) => Number(r.range.match(/=(\d+)-/)[1]) % 65536), JSON.stringify(cdn()));
	assert.ok(hub.requests.some((r) => r.host === 'hub' && r.method === 'HEAD'));
	cache += 'b';
	hub.reset();
	hub.faults = { breaks: 20 };
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big); // each brings something
	// Of a file that takes hours, addresses run out as often as they like.
	cache += 'c';
	hub.reset();
	hub.faults = { breaks: 20, turns: true };
	succeeded(await pull('test/m-GGUF:Q4_K_M', {}, '--connections', '1'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.ok(hub.requests.filter((r) => r.host === 'hub' && r.method === 'HEAD').length > 10);
});

test('a hub that refuses for good is told of, and what came stays for the next time', async () => {
	hub.faults = { keep: 0, short: 1e9 };
	hub.faults = { missing: true };
	failed(await pull('test/m-GGUF:Q4_K_M'), /m-Q4_K_M\.gguf: the server answers with HTTP 404/);
	assert.deepEqual(blobs('test/m-GGUF'), []); // where nothing came, nothing stays
	hub.faults = { expired: 1e9 };
	failed(await pull('test/m-GGUF:Q4_K_M'), /HTTP 403|refuses every address/);
	hub.faults = { busy: 1e9 };
	failed(await pull('test/m-GGUF:Q4_K_M'), /too many requests from here \(HTTP 429, in 0 seconds\), also after 5 attempts; try again later, or set HF_TOKEN/);
	hub.faults = { error: 1e9 };
	failed(await pull('test/m-GGUF:Q4_K_M'), /HTTP 503/);
	hub.faults = {};
	failed(await pull('test/m-GGUF', { env: { HF_ENDPOINT: 'http://127.0.0.1:1' } }), /connect.*--offline looks only at what is here/is);
	failed(await pull('test/m-GGUF', { env: { HF_ENDPOINT: 'file:///etc' } }), /HF_ENDPOINT is "file:\/\/\/etc"; it takes the address of a hub/);
});

test('a server without ranges', async () => {
	hub.faults = { noRanges: true };
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	cache += 'b';
	hub.faults = { noRanges: true, breaks: 3 };
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	cache += 'c';
	hub.faults = { noRanges: true, breaks: 1e9 };
	failed(await pull('test/m-GGUF:Q4_K_M'), /the connection ends at byte \d+ of 1323065/);
});

test('a token goes to the hub and to nobody else', async () => {
	succeeded(await pull('test/private', { env: { HF_TOKEN: 'hf_good' } }), 'test/private', 'p.gguf', small);
	assert.ok(hub.requests.filter((r) => r.host === 'hub').every((r) => r.authorization === 'Bearer hf_good'));
	assert.ok(cdn().length && cdn().every((r) => r.authorization === undefined), JSON.stringify(cdn()));
	// From the file that other programs keep it in.
	mkdirSync(join(scratch, 'home'), { recursive: true });
	writeFileSync(join(scratch, 'home/token'), 'hf_good\n');
	cache += 'b';
	succeeded(await pull('test/private', { env: { HF_HOME: join(scratch, 'home') } }), 'test/private', 'p.gguf', small);
	failed(await pull('test/private'), /has no repository "test\/private", or it is private \(HTTP 401\); check the name, or set HF_TOKEN/);
	failed(await pull('test/private', { env: { HF_TOKEN: 'hf_bad' } }), /refuses the token \(HTTP 401\)/);
	failed(await pull('test/private', { env: { HF_TOKEN: 'hf_good\r\nX: y' } }), /HF_TOKEN holds no token: byte 8/);
});

test('gated, renamed and misspelled repositories', async () => {
	failed(await pull('test/gated'), new RegExp(`^hokku: test/gated is gated \\(HTTP 401\\): its owner wants to be asked; accept the terms at ${hub.url}/test/gated, then set HF_TOKEN`));
	failed(await pull('test/closed', { env: { HF_TOKEN: 'hf_good' } }), /gated \(HTTP 403\).*the token that is set was sent, and is not enough/);
	succeeded(await pull('test/gated', { env: { HF_TOKEN: 'hf_good' } }), 'test/gated', 'g.gguf', small);
	assert.equal((await pull('test/old-name:Q8_0')).code, 0);
	failed(await pull('test/m-GGFU'), /no repository "test\/m-GGFU", or it is private \(HTTP 401\); did you mean "test\/m-GGUF"\?/);
	hub.faults = { cut: true }; // nobody says what is near
	failed(await pull('test/m-GGFU'), /no repository "test\/m-GGFU", or it is private \(HTTP 401\); check the name/);
	hub.faults = {};
	failed(await pull('test/m-GGUF:Q4_K_N'), /test\/m-GGUF has no model "Q4_K_N"; did you mean Q4_K_M\?; it has F16, Q4_K_M, Q8_0/);
	failed(await pull('test/m-GGUF:m-Q4_K_N.gguf'), /did you mean m-Q4_K_M\.gguf\?/);
	assert.ok(existsSync(join(folder('test/m-GGUF'), '.no_exist', COMMIT, 'm-Q4_K_N.gguf')));
	failed(await pull('test/m-GGUF@v2'), /test\/m-GGUF has no branch, tag or commit "v2" \(HTTP 404\)/);
	failed(await pull('test/nothing'), /holds no model that hokku reads/);
});

test('a hub that lies about sizes, checksums, commits and names', async () => {
	const none = () => assert.deepEqual(blobs('test/m-GGUF'), []);
	const lies = [
		[{ linkedSize: (n) => n + 1 }, /the hub lists "m-Q4_K_M.gguf" with 1323065 bytes, and offers it with 1323066/],
		[{ listSize: (n) => n - 1 }, /the hub lists "m-Q4_K_M.gguf" with 1323064 bytes, and offers it with 1323065/],
		[{ rangeSize: (n) => n * 2 }, /the hub says that it has 1323065 bytes, the server that sends them 2646130/],
		[{ listSize: (n) => n * 2, linkedSize: (n) => n * 2 }, /the hub says that it has 2646130 bytes, the server that sends them 1323065/],
		[{ listSize: () => 2 ** 53, linkedSize: () => 2 ** 53 }, /the disk has no room for it: 8\.0 PiB are needed, .* free/],
		[{ listSize: () => 2 ** 44, linkedSize: () => 2 ** 44 }, /no room for it: 16.0 TiB are needed, .* free; make room, or set HF_HUB_CACHE|File too large/],
		[{ listSize: () => -1 }, /no size is told of "m-Q4_K_M.gguf"/],
		[{ linkedEtag: 'f'.repeat(64) }, /lists "m-Q4_K_M.gguf" with the checksum [0-9a-f]{64}, and offers it with f{64}/],
		[{ corrupt: true }, /m-Q4_K_M.gguf: its SHA-256 is [0-9a-f]{64}; the hub says [0-9a-f]{64}/],
		[{ commit: 'b'.repeat(40) }, /of commit a+1 was asked for; the hub offers that of b+/],
		[{ otherRange: true }, /were asked for; the server sends "bytes/],
		[{ long: true }, /more bytes than it was asked for/],
		[{ names: ['../../x'] }, /no file of a repository can be called "\.\.\/\.\.\/x"/],
		[{ names: ['a/../../x.gguf'] }, /no file of a repository can be called/],
		[{ names: ['/etc/passwd'] }, /no file of a repository can be called/],
		[{ names: ['a\u0000b'] }, /no file of a repository can be called/],
		[{ names: ['README.md'] }, /two files are called "README.md"/],
		[{ info: '{"sha": "main", "siblings": []}' }, /it tells no commit, but "main"/],
		[{ info: '{"sha": "../../../../etc", "siblings": []}' }, /it tells no commit/],
		[{ info: `{"sha": "${COMMIT}"}` }, /it lists no files/],
		[{ info: '<html>' }, /the hub's answer for test\/m-GGUF: line 1 column 1/],
		[{ redirect: 'file:///etc/passwd' }, /it redirects \(HTTP 302\) to "file:\/\/\/etc\/passwd", where nothing is followed/],
	];
	for (const [faults, pattern] of lies) {
		hub.faults = faults;
		const r = await pull('test/m-GGUF:Q4_K_M');
		failed(r, pattern);
		none();
		const told = r.err.match(/bytes (\d+-\d+) were asked for/)?.[1]; // is what was asked
		if (told) assert.ok(cdn().some((q) => q.range === `bytes=${told}`), r.err);
	}
	assert.ok(!existsSync(join(folder('test/m-GGUF'), 'snapshots', COMMIT, 'm-Q4_K_M.gguf')));
	hub.faults = { corrupt: true };
	failed(await pull('test/folder'), /config\.json: its SHA-1 \(of a git blob\) is [0-9a-f]{40}; the hub says [0-9a-f]{40}/);
	assert.deepEqual([blobs('test/folder'), existsSync(join(folder('test/folder'), 'refs/main'))], [[], false]);
});

test('a pull that is killed goes on where it was', async () => {
	hub.faults = { keep: 100000 };
	const first = begin(['pull', 'test/m-GGUF:Q4_K_M']);
	const part = join(folder('test/m-GGUF'), 'blobs', `${sha256(big)}.hokku-part`);
	// The list of pieces stands behind the file's bytes: wait until each of the four connections has brought all that it will.
	const bits = (byte) => byte.toString(2).replaceAll('0', '').length;
	const pieces = () => (existsSync(part) ? [...readFileSync(part).subarray(big.length + 24)].reduce((n, byte) => n + bits(byte), 0) : 0);
	let over;
	first.ended.then((r) => (over = r));
	await until(() => {
		assert.equal(over, undefined, over && `it ended before it was killed: ${over.err}`);
		return pieces() >= 4;
	}, 60000, 'four pieces');
	first.child.kill('SIGKILL');
	assert.equal((await first.ended).signal, 'SIGKILL');
	assert.deepEqual(blobs('test/m-GGUF'), [`${sha256(big)}.hokku-part`]);
	failed(await pull('test/m-GGUF:Q4_K_M', {}, '--offline'), /not here/);
	hub.reset();
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.ok(nAsked() <= big.length - 4 * 65536 && nAsked() > 0, String(nAsked()));
});

test('Ctrl-C ends a pull, and what came stays', async () => {
	let arrived;
	const there = new Promise((done) => (arrived = done));
	hub.faults = { keep: 100000, hold: () => arrived() };
	const one = begin(['pull', 'test/m-GGUF:Q4_K_M']);
	await during(one, there);
	one.child.kill('SIGINT');
	const r = await one.ended;
	assert.deepEqual([r.code, r.out], [130, ''], r.err);
	assert.match(r.err, /interrupted/);
	hub.reset();
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
});

test('two pulls at once: one brings the file, the other waits for it', async () => {
	let letGo, arrived;
	const held = new Promise((done) => (letGo = done)), there = new Promise((done) => (arrived = done));
	hub.faults = { hold: () => (arrived(), held) };
	const one = begin(['pull', 'test/m-GGUF:Q4_K_M']);
	await during(one, there);
	const two = begin(['pull', 'test/m-GGUF:Q4_K_M']);
	await during(two, new Promise((done) => two.child.stderr.on('data', (d) => /another program is pulling this file/.test(d) && done())));
	letGo();
	succeeded(await one.ended, 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	succeeded(await two.ended, 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.equal(cdn().length, 4, JSON.stringify(cdn()));
});

test('a proxy of the environment is gone through', async () => {
	succeeded(await pull('test/m-GGUF:Q8_0', { env: { http_proxy: hub.proxyUrl, no_proxy: '' } }), 'test/m-GGUF', 'm-Q8_0.gguf', small);
	assert.ok(hub.requests.filter((r) => r.host === 'proxy').length >= 3);
});

test('no file may become so large: the disk is left as it was', async () => {
	const r = await within(new Promise((done) => {
		const child = spawn('sh', ['-c', 'ulimit -f 500; exec "$0" pull test/m-GGUF:Q4_K_M', hokku], { cwd: scratch, env: { HOME: scratch, HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache } });
		const all = { out: '', err: '' };
		child.stdout.on('data', (d) => (all.out += d));
		child.stderr.on('data', (d) => (all.err += d));
		child.on('close', (code) => done({ ...all, code }));
	}), 'the pull to end');
	failed(r, /hokku-part: a file of its size may not be written here: File too large/);
	assert.deepEqual(blobs('test/m-GGUF'), []);
});

test('links of the cache that lead out of it are not followed', async () => {
	const secret = join(scratch, 'secret.gguf'), snapshot = join(folder('test/m-GGUF'), 'snapshots', COMMIT);
	writeFileSync(secret, small);
	mkdirSync(snapshot, { recursive: true });
	mkdirSync(join(folder('test/m-GGUF'), 'refs'));
	writeFileSync(join(folder('test/m-GGUF'), 'refs/main'), COMMIT);
	symlinkSync(secret, join(snapshot, 'm-Q8_0.gguf'));
	failed(await pull('test/m-GGUF:Q8_0', {}, '--offline'), /m-Q8_0\.gguf: it leads out of the cache, to .*secret\.gguf; it is not used/);
	succeeded(await pull('test/m-GGUF:Q8_0'), 'test/m-GGUF', 'm-Q8_0.gguf', small); // replaced, not written through
	assert.ok(readFileSync(secret).equals(small));
	// Nor is a revision's file written through.
	for (const name of ['refs/main', `.no_exist/${COMMIT}/no.gguf`]) {
		mkdirSync(join(folder('test/m-GGUF'), name, '..'), { recursive: true });
		rmSync(join(folder('test/m-GGUF'), name), { force: true });
		symlinkSync(secret, join(folder('test/m-GGUF'), name));
	}
	succeeded(await pull('test/m-GGUF:Q8_0'), 'test/m-GGUF', 'm-Q8_0.gguf', small);
	await pull('test/m-GGUF:no.gguf');
	assert.ok(readFileSync(secret).equals(small));
	// A folder that leads out is not written into.
	cache += 'b';
	mkdirSync(folder('test/m-GGUF'), { recursive: true });
	mkdirSync(join(scratch, 'outside'));
	symlinkSync(join(scratch, 'outside'), join(folder('test/m-GGUF'), 'blobs'));
	failed(await pull('test/m-GGUF:Q8_0'), /blobs: it leads out of the cache/);
	assert.deepEqual(readdirSync(join(scratch, 'outside')), []);
});

test('a file of any other host', async () => {
	const gguf = Buffer.concat([Buffer.from('GGUF'), noise((5 << 18) + 1, 9)]), parts = [1, 2].map((i) => Buffer.concat([Buffer.from('GGUF'), noise(1000, i)]));
	hub.files = { '/d/m.gguf': gguf, '/d/s-00001-of-00002.gguf': parts[0], '/d/s-00002-of-00002.gguf': parts[1], '/login.gguf': Buffer.from('<html>') };
	const url = (path) => `${hub.cdnUrl}${path}`;
	const r = await pull(url('/d/m.gguf?token=x'), { env: { HF_TOKEN: 'hf_good' } });
	assert.equal(r.code, 0, r.err);
	assert.match(r.out, new RegExp(`^${scratch}/\\.cache/hokku/urls/127\\.0\\.0\\.1_\\d+/[0-9a-f]{16}/m\\.gguf\n$`));
	assert.ok(readFileSync(r.out.trim()).equals(gguf));
	assert.match(r.err, /m\.gguf: its server tells no checksum, so none was checked/);
	assert.ok(cdn().length >= 5 && cdn().every((q) => !q.authorization));
	hub.requests = [];
	assert.equal((await pull(url('/d/m.gguf'))).out, r.out); // what stands after the ? names no other file
	assert.equal((await pull(url('/d/m.gguf'), {}, '--offline')).out, r.out);
	assert.equal(hub.requests.length, 0);
	// A password goes to the host, and not into the name of a folder.
	assert.equal((await pull(url('/d/m.gguf').replace('//', '//user:secret@'), {}, '--offline')).out, r.out);
	// and into no message.
	for (const [address, ...args] of [[url('/none.gguf')], [url('/none.gguf'), '--offline'], [url('/login.gguf')], [url('/d/m.bin')], [url('/a b.gguf')], ['http://127.0.0.1:1/a.gguf'], ['ftp://127.0.0.1/a.gguf']]) {
		const told = await pull(address.replace('//', '//user:sesame@'), {}, ...args);
		failed(told, /\*\*\*@127\.0\.0\.1/);
		assert.ok(!told.err.includes('sesame'), told.err);
	}
	const benched = await run(['bench', 'serve', 'http://user:sesame@127.0.0.1:1']);
	assert.ok(benched.code === 2 && benched.err.includes('***@127.0.0.1') && !benched.err.includes('sesame'), benched.err);
	const split = await pull(url('/d/s-00002-of-00002.gguf'));
	assert.match(split.out, /s-00001-of-00002\.gguf\n$/);
	assert.ok(readFileSync(split.out.trim().replace('00001-of', '00002-of')).equals(parts[1]));
	failed(await pull(url('/login.gguf')), /login\.gguf: what the server sends is no GGUF file: it begins with "<htm"/);
	failed(await pull(url('/none.gguf')), /none\.gguf: the server answers with HTTP 404/);
	failed(await pull(url('/none.gguf'), {}, '--offline'), /offline.*none\.gguf is not here/);
	failed(await pull(url('/d/m.bin')), /only files that end in \.gguf can be pulled/);
	failed(await pull(url('/.gguf/..')), /names no model/);
	failed(await pull('https://m.gguf'), /m\.gguf: this address names no file/);
	assert.deepEqual(readdirSync(join(r.out.trim(), '..')).sort(), ['m.gguf', 's-00001-of-00002.gguf', 's-00002-of-00002.gguf']);
});

test('names of files as long as a file system takes them', async () => {
	for (const n of [234, 235, 244, 245, 250, 251, 255]) {
		const file = `${'m'.repeat(n - 5)}.gguf`, gguf = Buffer.concat([Buffer.from('GGUF'), noise(1000, n)]);
		hub.repos['test/long'] = { files: { [file]: gguf, [`deep/${file}`]: gguf } };
		succeeded(await pull(`test/long:${file}`), 'test/long', file, gguf);
		const links = join(folder('test/long'), 'snapshots', COMMIT);
		assert.deepEqual(readdirSync(links).filter((name) => name.includes('hokku')), []);
		hub.files = { [`/named/${file}`]: gguf };
		const r = await pull(`${hub.cdnUrl}/named/${file}`);
		assert.equal(r.code, 0, r.err);
		assert.ok(r.out.endsWith(`/${file}\n`) && readFileSync(r.out.trim()).equals(gguf));
		assert.deepEqual(readdirSync(join(r.out.trim(), '..')).filter((name) => !/^m+\.gguf$/.test(name)), []);
	}
});

test('what the hub redirects elsewhere is asked there without the token', async () => {
	hub.faults = { away: true };
	failed(await pull('test/private', { env: { HF_TOKEN: 'hf_good' } }), /no repository "test\/private"/);
	const there = hub.requests.filter((r) => r.url.includes('/elsewhere'));
	assert.ok(there.length && there.every((r) => r.host === 'cdn' && !r.authorization), JSON.stringify(hub.requests));
});

test('a blob that is a link is replaced, not written through', async () => {
	const outside = join(scratch, 'outside.gguf');
	writeFileSync(outside, Buffer.alloc(small.length));
	mkdirSync(join(folder('test/m-GGUF'), 'blobs'), { recursive: true });
	symlinkSync(outside, join(folder('test/m-GGUF'), 'blobs', sha256(small)));
	succeeded(await pull('test/m-GGUF:Q8_0'), 'test/m-GGUF', 'm-Q8_0.gguf', small);
	symlinkSync(outside, join(folder('test/m-GGUF'), 'blobs', `${sha256(big)}.hokku-part`));
	failed(await pull('test/m-GGUF:Q4_K_M'), /hokku-part: cannot be created: Too many levels of symbolic links/);
	assert.ok(readFileSync(outside).equals(Buffer.alloc(small.length)));
});

// A disk of 1 MiB, where this user may have one of its own.
const mounts = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', scratch]).status === 0;
test('a full disk', { skip: mounts ? false : 'no file system may be mounted here' }, async () => {
	const disk = join(scratch, 'disk');
	mkdirSync(disk);
	// One file that does not fit, and parts of which the first fourteen would.
	for (const [name, need] of [['test/m-GGUF:Q4_K_M', '1\\.3'], ['test/split', '1\\.3']]) {
		hub.reset();
		const r = await within(new Promise((done) => {
			const child = spawn('unshare', ['-rm', 'sh', '-c', `mount -t tmpfs -o size=1M none ${disk} && "$0" pull ${name}; echo $?; find ${disk} -type f -size +0`, hokku], {
				env: { HOME: scratch, PATH: process.env.PATH, HF_ENDPOINT: hub.url, HF_HUB_CACHE: join(disk, 'cache'), HOKKU_TEST_RETRY_MS: '0' },
			});
			const all = { out: '', err: '' };
			child.stdout.on('data', (d) => (all.out += d));
			child.stderr.on('data', (d) => (all.err += d));
			child.on('close', () => done(all));
		}), 'the pull to end');
		assert.equal(r.out, '1\n', r.err); // and no file with anything in it
		assert.match(r.err, new RegExp(`cache: the disk has no room for it: ${need} MiB are needed, .* free; make room, or set HF_HUB_CACHE to a folder on another disk`));
		assert.equal(hub.requests.filter((q) => q.host === 'cdn').length, 0);
	}
});

test('a hub that speaks TLS', async (t) => {
	const key = join(scratch, 'key.pem'), cert = join(scratch, 'cert.pem');
	const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3650', '-subj', '/CN=hub', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert]);
	assert.equal(made.status, 0, String(made.stderr));
	const secure = await startHub(hub.repos, { key: readFileSync(key), cert: readFileSync(cert) });
	t.after(() => secure.stop());
	const env = { HF_ENDPOINT: secure.url, HF_TOKEN: 'hf_good' };
	failed(await pull('test/private', { env }), /certificate/);
	assert.equal(secure.requests.length, 0);
	failed(await pull('test/private', { env: { ...env, SSL_CERT_FILE: join(scratch, 'none.pem') } }), /none\.pem|certificate/);
	secure.faults = { redirect: `${hub.cdnUrl}/x` };
	failed(await pull('test/private', { env: { ...env, SSL_CERT_FILE: cert } }), /it redirects \(HTTP 302\) to "http:\/\/.*", where nothing is followed/);
	assert.equal(hub.requests.length, 0);
	secure.reset();
	succeeded(await pull('test/private', { env: { ...env, SSL_CERT_FILE: cert } }), 'test/private', 'p.gguf', small);
	assert.ok(secure.requests.filter((r) => r.host === 'cdn').every((r) => !r.authorization));
});

test('a branch that has moved on: a new snapshot, and the bytes that stayed the same do not come again', async () => {
	succeeded(await pull('test/m-GGUF:Q8_0'), 'test/m-GGUF', 'm-Q8_0.gguf', small);
	const repo = hub.repos['test/m-GGUF'], next = 'd'.repeat(40);
	Object.assign(repo, { commit: next });
	hub.requests = [];
	const r = await pull('test/m-GGUF:Q8_0');
	delete repo.commit;
	assert.equal(r.code, 0, r.err);
	assert.equal(r.out, `${join(folder('test/m-GGUF'), 'snapshots', next, 'm-Q8_0.gguf')}\n`);
	assert.equal(cdn().length, 0);
	assert.equal(readFileSync(join(folder('test/m-GGUF'), 'refs/main'), 'utf8'), next);
	assert.deepEqual(blobs('test/m-GGUF'), [sha256(small)]);
	assert.ok(readFileSync(join(folder('test/m-GGUF'), 'snapshots', COMMIT, 'm-Q8_0.gguf')).equals(small));
});

test('mirrors: a list of names alone, and addresses that send on', async () => {
	hub.faults = { bare: true };
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.equal((await pull('test/folder')).code, 0);
	assert.deepEqual(blobs('test/folder').sort(), [gitSha1(Buffer.from('{}')), sha256(small)].sort());
	hub.faults = { bare: true, linkedSize: () => '1x' };
	failed(await pull('test/m-GGUF:Q8_0'), /the hub tells as size of "m-Q8_0.gguf" "1x"/);
	cache += 'b';
	hub.reset();
	hub.faults = { further: true };
	succeeded(await pull('test/private', { env: { HF_TOKEN: 'hf_good' } }), 'test/private', 'p.gguf', small);
	succeeded(await pull('test/m-GGUF:Q4_K_M'), 'test/m-GGUF', 'm-Q4_K_M.gguf', big);
	assert.ok(cdn().some((r) => r.url.startsWith('/again')) && cdn().every((r) => !r.authorization));
});
