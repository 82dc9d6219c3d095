// States: what the server and `hokku run` save and restore. Whatever came between, an answer has the tokens and the
// log-probabilities of the run that was not interrupted; and a state that is not good is refused for what is wrong.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { endless, hokku, model, post, sanitized, sleep, slack, start, stream, until } from './server_common.mjs';
import { ended, within } from './waits.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'hokku-states-'));
after(() => rmSync(scratch, { recursive: true }));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOKKU_')));

const folder = (name) => {
	const path = join(scratch, name);
	mkdirSync(path);
	return path;
};

async function serve(t, args) {
	const server = await start([model('tiny'), ...args]);
	t.after(() => server.child.kill('SIGKILL'));
	return server;
}

const ask = async (server, route, body, headers) => {
	const { status, text } = await post(server, route, body, headers);
	return { status, ...JSON.parse(text) };
};
const save = (server, body, headers) => ask(server, '/v1/state/save', body, headers);
const restore = (server, name, headers) => ask(server, '/v1/state/restore', { name }, headers);

const tokens = (n, from = 0) => Array.from({ length: n }, (_, i) => (from + i * 37) % 500);
const request = (prompt, more = {}) => ({
	prompt, seed: 7, temperature: 1.5, repetition_penalty: 1.1, max_tokens: 40, logprobs: true, stream: false, ...endless, ...more,
});
// The ids and log-probabilities, and what was found of the prompt.
async function run(server, prompt, more, headers) {
	const { status, text } = await post(server, '/v1/generate', request(prompt, more), headers);
	assert.equal(status, 200, text);
	const { logprobs, cached_tokens } = JSON.parse(text);
	return { cached: cached_tokens, bits: logprobs.map(({ id, logprob }) => [id, logprob]) };
}

test('after a restore a prompt has the bits of the run that computed it, here, after a restart and after kill -9', async (t) => {
	const dir = folder('prompt');
	const prompt = tokens(100);
	let server = await serve(t, ['--state-dir', dir]);
	const whole = await run(server, prompt);
	assert.equal(whole.cached, 0);
	const saved = await save(server, { tokens: prompt, name: 'x' });
	assert.deepEqual([saved.status, saved.tokens, saved.prompt_tokens, saved.kv_tokens], [200, 100, 100, 96]);
	assert.equal(saved.bytes, statSync(join(dir, 'none', 'x.state')).size);
	assert.equal(statSync(join(dir, 'none')).mode & 0o777, 0o700);
	assert.match(server.log, /state "x" saved: 100 tokens, /);
	for (const end of [() => server.stop(), async () => server.child.kill('SIGKILL') && (await within(server.exited, 'the server to end')), () => server.stop()]) {
		await end();
		server = await serve(t, ['--state-dir', dir, '--parallel', '3', '--ctx', '256']);
		const back = await restore(server, 'x');
		assert.deepEqual([back.status, back.tokens, back.kv_tokens, back.bytes], [200, 100, 96, saved.bytes]);
		const again = await run(server, prompt);
		assert.deepEqual(again, { cached: 96, bits: whole.bits });
		// and of a prompt that goes on with it
		assert.equal((await run(server, [...prompt, 1, 2, 3])).cached, 96);
		const { counters } = await server.health();
		assert.ok(counters.prompt_tokens_computed < 20, `${counters.prompt_tokens_computed} tokens were computed`);
	}
	await server.stop();
});

test('a request by its id: one that has ended, one that goes on, one of a conversation', async (t) => {
	const dir = folder('ids');
	const prompt = tokens(70, 3);
	let server = await serve(t, ['--state-dir', dir]);
	const whole = await run(server, prompt, { max_tokens: 120 });
	await run(server, prompt, { max_tokens: 40, id: 'ended' });
	const ended = await save(server, { id: 'ended', name: 'ended' });
	assert.deepEqual([ended.status, ended.tokens, ended.prompt_tokens, ended.kv_tokens], [200, 110, 70, 96], JSON.stringify(ended));
	const going = await stream(server, request(prompt, { max_tokens: 400, id: 'going', stream: true }));
	await until(() => going.events().length > 60, 10000 * slack(), 'sixty tokens');
	const running = await save(server, { id: 'going', name: 'going' });
	assert.equal(running.status, 200, JSON.stringify(running));
	assert.ok(running.tokens > 70 + 50);
	await post(server, '/v1/cancel', { id: 'going' });
	const chat = { messages: [{ role: 'user', content: 'x'.repeat(80) }] };
	assert.equal((await save(server, { ...chat, name: 'chat' })).status, 200);
	await server.stop();
	server = await serve(t, ['--state-dir', dir]);
	for (const [name, n] of [['ended', 110], ['going', Math.min(running.tokens, 170)]]) {
		const back = await restore(server, name);
		assert.equal(back.status, 200, JSON.stringify(back));
		const begun = whole.bits.slice(0, n - 70);
		const rest = await run(server, [...prompt, ...begun.map(([id]) => id)], { max_tokens: 190 - n });
		assert.ok(rest.cached >= 96);
		assert.deepEqual([...begun, ...rest.bits], whole.bits);
	}
	const { kv_tokens } = await restore(server, 'chat');
	const { status, text } = await post(server, '/v1/generate', { ...chat, max_tokens: 1, stream: false });
	assert.deepEqual([status, JSON.parse(text).cached_tokens], [200, kv_tokens]);
	assert.ok(kv_tokens >= 64);
	await server.stop();
});

// Windowed layers keep what their window shows alone; the state has that, and the block before it.
for (const arch of ['gemma3-a', 'gemma2-a', 'mistral'])
	test(`models with windows: ${arch}`, async (t) => {
		const config = JSON.parse(readFileSync(new URL(`../golden/archs/${arch}/config.json`, import.meta.url), 'utf8'));
		const shape = join(scratch, `${arch}.json`), file = join(scratch, `${arch}.gguf`);
		writeFileSync(shape, JSON.stringify({ ...config, max_position_embeddings: 512, sliding_window: 40 }));
		assert.equal(spawnSync(hokku, ['synth', '--shape', shape, '--type', 'F32', '--seed', '1', '-o', file], { env }).status, 0);
		const dir = folder(`windows-${arch}`);
		const args = [file, '--state-dir', dir, '--parallel', '2'];
		const prompts = [150, 128, 129, 40].map((n, k) => Array.from({ length: n }, (_, i) => (k * 50 + i * 37) % 250));
		const more = { logit_bias: Object.fromEntries(Array.from({ length: config.vocab_size - 250 }, (_, i) => [250 + i, -100])) };
		let server = await start(args);
		t.after(() => server.child.kill('SIGKILL'));
		const whole = [];
		for (const [i, prompt] of prompts.entries()) {
			whole.push(await run(server, prompt, { ...more, id: `r${i}` }));
			const { status, kv_tokens } = await save(server, { tokens: prompt, name: `p${i}` });
			assert.deepEqual([status, kv_tokens], [200, Math.floor(prompt.length / 32) * 32]);
			assert.equal((await save(server, { id: `r${i}`, name: `r${i}` })).status, 200);
		}
		await server.stop();
		for (const [i, prompt] of prompts.entries())
			for (const name of [`p${i}`, `r${i}`]) {
				server = await start(args);
				const back = await restore(server, name);
				assert.equal(back.status, 200, JSON.stringify(back));
				const begun = whole[i].bits.slice(0, back.tokens - prompt.length);
				const rest = await run(server, [...prompt, ...begun.map(([id]) => id)], { ...more, max_tokens: Math.max(1, 40 - begun.length) });
				assert.equal(rest.cached, Math.floor((back.tokens - 1) / 32) * 32, `${arch} ${name}`);
				assert.deepEqual([...begun, ...rest.bits].slice(0, 40), whole[i].bits, `${arch} ${name}`);
				await server.stop();
			}
	});

test('a state is not read by what did not make it, nor where it was cut or changed', async (t) => {
	const dir = folder('bad');
	const path = join(dir, 'none', 'x.state');
	const prompt = tokens(70);
	const first = await serve(t, ['--state-dir', dir]);
	const { bytes } = await save(first, { prompt, name: 'x' });
	await first.stop();
	const refused = async (server, code, pattern) => {
		const { status, error } = await restore(server, 'x');
		assert.deepEqual([status, error?.code], [code === 'BAD_FILE' ? 500 : 400, code], JSON.stringify(error));
		assert.match(error.message, pattern);
		assert.equal((await run(server, prompt, { max_tokens: 1, cache_prompt: true })).cached, 0);
		await run(server, tokens(96, 200), { max_tokens: 1 }); // and takes its blocks away
	};
	const args = ['--state-dir', dir, '--ctx', '96', '--parallel', '1', '--kv-bytes', '49152'];
	const server = await serve(t, args);
	const good = readFileSync(path);
	for (const at of [0, 9, 13, 17, 25, 30, 60, 200, 500, Math.floor(bytes / 2), bytes - 9, bytes - 1]) {
		const bad = Buffer.from(good);
		bad[at] ^= 1 << at % 8;
		writeFileSync(path, bad);
		await refused(server, 'BAD_FILE', /^state "x" /);
	}
	writeFileSync(path, good);
	for (const size of [bytes - 1, 1000, 20, 0]) {
		truncateSync(path, size);
		await refused(server, 'BAD_FILE', size ? /^state "x" was cut: it has / : /is no state/);
	}
	writeFileSync(path, Buffer.concat([good, good]));
	await refused(server, 'BAD_FILE', /was written to: it has/);
	writeFileSync(path, good);
	assert.equal((await restore(server, 'x')).status, 200);
	await server.stop();
	const other = await start([model('long'), ...args.slice(0, 6)]);
	t.after(() => other.child.kill('SIGKILL'));
	await refused(other, 'INVALID_REQUEST', /^state "x" belongs to another model: it has "qwen2, F32, [0-9a-f]{16}", and here is "qwen2, F32, [0-9a-f]{16}"$/);
	await other.stop();
	for (const [option, pattern] of [
		[['--device', 'cpu:reference'], /^state "x" belongs to another device class: it has "cpu", and here is "cpu:reference"$/],
		[['--cache-type-k', 'f16'], /^state "x" belongs to another KV layout: it has "keys f32 .*", and here is "keys f16 .*"$/],
	]) {
		const changed = await serve(t, [...args.slice(0, 6), ...option]);
		await refused(changed, 'INVALID_REQUEST', pattern);
		await changed.stop();
	}
	const small = await serve(t, ['--state-dir', dir, '--ctx', '64']);
	const { error } = await restore(small, 'x');
	assert.equal(error.code, 'CONTEXT_EXCEEDED');
	assert.match(error.message, /^state "x" has 70 tokens, and keys and values of [\d,]+ bytes; the context holds 64 tokens, the KV memory [\d,]+ bytes$/);
	await small.stop();
});

test('what requests for states may not say is named', async (t) => {
	const dir = folder('wrong');
	const server = await serve(t, ['--state-dir', dir]);
	const cases = [
		['save', {}, 'id', /^id is missing: give the id of a request, or prompt, tokens or messages$/],
		['save', { prompt: 'x' }, 'name', /^name is missing; it names the state$/],
		['save', { prompt: 'x', id: 'a', name: 'x' }, 'id', /give one of id, prompt, tokens and messages/],
		['save', { tokens: [1], prompt: [1], name: 'x' }, 'prompt', /^prompt and tokens are both given/],
		['save', { tokens: 'x', name: 'x' }, 'tokens', /it takes an array of token ids/],
		['save', { tokens: [512], name: 'x' }, 'tokens[0]', /^tokens\[0\] is 512; this model's token ids run from 0 to 511$/],
		['save', { prompt: 'x', name: 'x', temperature: 1 }, 'temperature', /is no field of this route/],
		['save', { prompt: 'x', name: 'x', now: '2026-07-31' }, 'now', /is for the chat template/],
		['save', { prompt: 'x', name: 'x', priority: 4 }, 'priority', /from 0 to 3/],
		['restore', {}, 'name', /^name is missing/],
		['restore', { name: 'x', id: 'x' }, 'id', /is no field of this route/],
		['restore', { name: 7 }, 'name', /^name is 7; it takes 1 to 64 characters/],
	];
	for (const name of ['', '.', '..', '.x', 'a/b', '../x', 'a\\b', 'a b', 'ä', 'a\u0000b', 'a'.repeat(65)])
		cases.push(['restore', { name }, 'name', /^name is the string/], ['save', { prompt: 'x', name }, 'name', /^name is the string/]);
	for (const [route, body, field, pattern] of cases) {
		const { status, error } = await ask(server, `/v1/state/${route}`, body);
		assert.deepEqual([status, error?.code, error?.field], [400, 'INVALID_REQUEST', field], JSON.stringify([body, error]));
		assert.match(error.message, pattern);
	}
	for (const name of ['a', 'a.b', '-', '_9', 'a'.repeat(64)]) assert.equal((await save(server, { prompt: 'x', name })).status, 200);
	for (const [route, body, field, pattern] of [
		['restore', { name: 'nowhere' }, 'name', /^state "nowhere" is not there$/],
		['save', { id: 'nobody', name: 'x' }, 'id', /^there is no request "nobody" that runs, nor among the last 64 that ended$/],
	]) {
		const { status, error } = await ask(server, `/v1/state/${route}`, body);
		assert.deepEqual([status, error.code, error.field], [404, 'NOT_FOUND', field]);
		assert.match(error.message, pattern);
	}
	await run(server, tokens(70), { id: 'alone', cache_prompt: false });
	const alone = await save(server, { id: 'alone', name: 'x' });
	assert.deepEqual([alone.status, alone.error.code], [404, 'NOT_FOUND']);
	assert.match(alone.error.message, /cache_prompt was false/);
	const { status, error } = await save(server, { tokens: tokens(513), name: 'x' });
	assert.deepEqual([status, error.code], [400, 'CONTEXT_EXCEEDED']);
	await server.stop();
	const none = await serve(t, []);
	for (const route of ['save', 'restore']) {
		const answer = await ask(none, `/v1/state/${route}`, { name: 'x', prompt: 'x' });
		assert.deepEqual([answer.status, answer.error.code], [404, 'NOT_FOUND']);
		assert.match(answer.error.message, /start it with --state-dir DIR/);
	}
	await none.stop();
});

test('names, and the requests that can be saved, are a key\'s own', async (t) => {
	const dir = folder('keys');
	const file = join(scratch, 'key-file');
	writeFileSync(file, 'first-key-0123456789\nsecond-key-0123456789\n');
	const server = await serve(t, ['--state-dir', dir, '--api-key-file', file]);
	const [a, b] = ['first', 'second'].map((k) => ({ Authorization: `Bearer ${k}-key-0123456789` }));
	assert.equal((await save(server, { prompt: tokens(40), name: 'x' })).status, 401);
	await run(server, tokens(70), { id: 'mine' }, a);
	assert.equal((await save(server, { id: 'mine', name: 'x' }, a)).status, 200);
	const other = await save(server, { id: 'mine', name: 'x' }, b);
	assert.deepEqual([other.status, other.error.code, other.error.field], [404, 'NOT_FOUND', 'id']);
	assert.equal((await restore(server, 'x', b)).status, 404);
	assert.equal((await save(server, { prompt: tokens(40), name: 'x' }, b)).tokens, 40);
	assert.equal((await restore(server, 'x', a)).tokens, 110);
	const folders = readdirSync(dir);
	assert.equal(folders.length, 2);
	for (const name of folders) assert.match(name, /^key-[0-9a-f]{16}$/);
	await server.stop();
	// another line, a name, and a limit: the folder stays, and what is restored is found by the key and the salt alone
	writeFileSync(file, 'name=two key=second-key-0123456789\n# one\nname=one key=first-key-0123456789 tokens_per_minute=200\n');
	const again = await serve(t, ['--state-dir', dir, '--api-key-file', file]);
	const salted = { name: 'x', cache_salt: 'pepper' };
	assert.equal((await ask(again, '/v1/state/restore', salted, a)).tokens, 110);
	for (const [cached, more, headers] of [[0, {}, b], [0, {}, a], [64, { cache_salt: 'pepper' }, a]])
		assert.equal((await run(again, tokens(70), { ...more, max_tokens: 1, priority: 0, cache_prompt: true }, headers)).cached, cached);
	const left = async () => (await (await fetch(`${again.url}/health`, { headers: a })).json()).key.tokens_left;
	// One that is refused costs nothing.
	assert.equal((await save(again, { prompt: tokens(5000), name: 'y' }, a)).status, 400);
	assert.ok((await left()) >= 58);
	const at = performance.now(), before = await left();
	assert.equal((await save(again, { prompt: tokens(100), name: 'y' }, a)).status, 200);
	// Once, and what a minute's 200 give back meanwhile.
	const used = before - (await left()), back = Math.ceil((performance.now() - at) * 200 / 60000);
	assert.ok(used <= 100 && used >= 100 - back, `${used} used, ${back} may have come back`);
	const { status, error } = await save(again, { prompt: tokens(100), name: 'y' }, a);
	assert.deepEqual([status, error.code], [429, 'RATE_LIMITED'], JSON.stringify(error));
	assert.equal((await save(again, { prompt: tokens(100), name: 'y' }, b)).status, 200);
	await again.stop();
});

test('a folder that cannot be used is told at the start', () => {
	const serveFails = (args) => spawnSync(hokku, ['serve', '--port', '0', ...args], { encoding: 'utf8', env, timeout: 60000 });
	let r = serveFails(['--state-dir', join(scratch, 'not-there')]);
	assert.deepEqual([r.status, /--state-dir .*not-there: No such file or directory/.test(r.stderr)], [1, true], r.stderr);
	writeFileSync(join(scratch, 'a-file'), '');
	r = serveFails(['--state-dir', join(scratch, 'a-file')]);
	assert.deepEqual([r.status, /--state-dir .*a-file: is no folder/.test(r.stderr)], [1, true], r.stderr);
	r = serveFails(['--state-dir', scratch, '--prefix-cache', 'off']);
	assert.deepEqual([r.status, /--state-dir needs the prefix cache/.test(r.stderr)], [2, true], r.stderr);
	r = serveFails(['--state-dir=']);
	assert.deepEqual([r.status, /--state-dir is empty/.test(r.stderr)], [2, true], r.stderr);
});

test('kill -9 during a save leaves the older state, whole, and nothing beside it', async (t) => {
	const dir = folder('killed');
	const path = join(dir, 'none', 'x.state');
	let server = await serve(t, ['--state-dir', dir]);
	const prompt = tokens(70);
	const whole = await run(server, prompt);
	assert.equal((await save(server, { prompt, name: 'x' })).status, 200);
	await server.stop();
	const before = readFileSync(path);
	const n = 30000; // some 30 MB
	for (let i = 0; i < 6; i++) {
		const big = await start([model('long'), '--state-dir', dir, '--ctx', String(n)]);
		t.after(() => big.child.kill('SIGKILL'));
		if (i === 0) assert.equal((await save(big, { prompt: tokens(3000), name: 'warm' })).status, 200);
		const saving = save(big, { prompt: tokens(3000), name: 'x' }).catch(() => {});
		await sleep(30 + 60 * i);
		big.child.kill('SIGKILL');
		await Promise.all([saving, big.exited]);
		const now = readFileSync(path);
		assert.ok(now.equals(before) || now.length > before.length); // all of the old, or all of the new
		assert.deepEqual(readdirSync(join(dir, 'none')).filter((name) => !name.endsWith('.state')), []);
		if (!now.equals(before)) copyFileSync(path, join(scratch, 'whole')), writeFileSync(path, before);
	}
	server = await serve(t, ['--state-dir', dir]);
	assert.equal((await restore(server, 'x')).status, 200);
	assert.deepEqual(await run(server, prompt), { cached: 64, bits: whole.bits });
	await server.stop();
});

test('others go on meanwhile, and a client that leaves ends its save', async (t) => {
	const dir = folder('meanwhile');
	const server = await start([model('long'), '--state-dir', dir, '--ctx', '30000', '--parallel', '4']);
	t.after(() => server.child.kill('SIGKILL'));
	const other = await stream(server, { prompt: 'x', max_tokens: 100000, ...endless });
	await until(() => other.events().length > 20, 20000 * slack(), 'a stream');
	const prompt = tokens(sanitized ? 1000 : 6000);
	const before = other.events().length;
	assert.equal((await save(server, { prompt, name: 'big' })).status, 200);
	assert.ok(other.events().length > before + 5);
	assert.equal((await restore(server, 'big')).status, 200);
	const leaving = new AbortController();
	const left = fetch(`${server.url}/v1/state/save`, { method: 'POST', signal: leaving.signal, body: JSON.stringify({ tokens: tokens(20000, 7), name: 'left' }) });
	await until(async () => (await server.health()).queue.running === 2, 20000 * slack(), 'the save to begin');
	leaving.abort();
	await assert.rejects(left, { name: 'AbortError' });
	await until(async () => (await server.health()).queue.running === 1, 10000 * slack(), 'the save to end');
	assert.ok(!existsSync(join(dir, 'none', 'left.state')));
	other.abort();
	const begin = Date.now();
	await server.stop();
	assert.ok(Date.now() - begin < 6000 * slack());
});

// ---- hokku run ----

const runIt = (args) => spawnSync(hokku, ['run', model('tiny'), ...args], { encoding: 'utf8', env, timeout: 60000, input: 'not read' });
const options = ['--seed', '5', '--temperature', '1.5', '--frequency-penalty', '0.5', '--logit-bias', '509=-100', '--logit-bias', '510=-100', '--logit-bias', '511=-100'];

test('hokku run goes on from a state where the run before ended, with the text of one run', () => {
	const state = join(scratch, 'run.state');
	const prompt = ['--raw', '-p', 'autumn rain on the old pond and nothing else'];
	const ids = (text) => [...text.trimEnd()];
	const whole = runIt([...prompt, ...options, '-n', '90']);
	assert.equal(whole.status, 0, whole.stderr);
	let text = '';
	for (const [n, args] of [[30, prompt], [25, []], [35, []]]) {
		const r = runIt([...args, ...options, '-n', String(n), '--state', state, '-v']);
		assert.equal(r.status, 0, r.stderr);
		assert.match(r.stderr, /run\.state holds \d+ tokens now, in [\d,]+ bytes/);
		text += r.stdout.replace(/\n$/, '');
	}
	assert.equal(text, whole.stdout.replace(/\n$/, ''));
	assert.ok(ids(text).length > 20);
	// the same file is not good for another prompt, and stays as it is
	const before = readFileSync(state);
	for (const [p, pattern] of [['autumn', /has \d+ tokens, and the prompt only the first \d+ of them/], ['spring', /the prompt does not begin with them: token 0 is \d+ there and \d+ in the prompt/]]) {
		const r = runIt(['--raw', '-p', p, '--state', state]);
		assert.deepEqual([r.status, r.stdout], [1, '']);
		assert.match(r.stderr, pattern);
		assert.match(r.stderr, /name another file, or leave out the prompt to go on from this one/);
	}
	assert.ok(readFileSync(state).equals(before));
});

test('-n 0 computes a prompt for those that are longer; what is wrong is told', async () => {
	const state = join(scratch, 'zero.state');
	const text = 'a text that is longer than a block of the KV memory, so that there is something to keep, and on';
	assert.equal(runIt(['--raw', '-p', text, '-n', '0', '--state', state]).status, 0);
	const longer = ['--raw', '-p', `${text} it goes`, ...options, '-n', '20'];
	const alone = runIt(longer);
	const after = runIt([...longer, '--state', state]);
	assert.deepEqual([after.status, after.stdout], [0, alone.stdout], after.stderr);
	for (const [args, status, pattern] of [
		[['--state', join(scratch, 'none.state')], 2, /there is no prompt, and --state names ".*none\.state", which is not there/],
		[['-p', 'x', '-n', '0'], 2, /-n is 0; it takes 1 to 2147483647/],
		[['-n', '0', '--state', state], 2, /-n is 0/],
		[['-p', 'x', '--state', ''], 2, /--state is empty/],
		[['--raw', '-p', 'x', '-n', '1', '--state', join(scratch, 'no', 'where')], 1, /where: cannot be created: No such file or directory/],
		[['-p', 'x', '--state', '/dev/full'], 1, /is a device, pipe or socket|no regular file|is no/],
		[['--state', scratch], 1, /is a directory/],
	]) {
		const r = runIt(args);
		assert.equal(r.status, status, r.stderr);
		assert.match(r.stderr, pattern);
	}
	chmodSync(state, 0o600);
	truncateSync(state, 500);
	const cut = runIt(['--state', state]);
	assert.deepEqual([cut.status, cut.stdout], [1, '']);
	assert.match(cut.stderr, /zero\.state was cut: it has 500 bytes and was written with [\d,]+/);
	// Ctrl-C ends the computing of a prompt, and leaves nothing
	const none = join(scratch, 'interrupted.state');
	writeFileSync(join(scratch, 'long.txt'), 'x'.repeat(30000));
	const long = spawn(hokku, ['run', model('long'), '--raw', '-f', join(scratch, 'long.txt'), '-n', '0', '--state', none], { env });
	setTimeout(() => long.kill('SIGINT'), 400);
	const { code } = await ended(long);
	assert.deepEqual([code, existsSync(none)], [130, false]);
	// of an answer it keeps what was answered
	const kept = join(scratch, 'kept.state');
	const child = spawn(hokku, ['run', model('long'), '--raw', '-p', 'x', ...options.slice(6), '--state', kept], { env });
	let n = 0;
	child.stdout.on('data', (data) => (n += data.length) > 200 && !child.killed && child.kill('SIGINT'));
	assert.equal((await ended(child)).code, 130);
	assert.ok(statSync(kept).size > 500);
});

// ---- a GPU, emulated ----

const plugin = `${process.env.HOKKU_BUILD_DIR}/libhokku-cuda-sim.so`;
const skip = sanitized ? 'unit/cuda/test_cuda_kv has it; the emulator takes a minute under a sanitizer' : existsSync(plugin) ? false : `no ${plugin}`;
test('on a GPU a state goes on with its bits, and is of one path and precision', { skip }, () => {
	const gpu = (args, more) => spawnSync(hokku, ['run', '--device', 'cuda', '--temperature', '1', '--seed', '3', ...args], {
		encoding: 'utf8', env: { ...env, HOKKU_PLUGIN_PATH: plugin, ...more }, timeout: 120000,
	});
	const prompt = ['--raw', '-p', 'the old pond, a frog, a leaf, and rain on the long road home; the moon, a crow, snow on a roof, and one more spring'];
	for (const path of ['plain', 'tile']) {
		const state = join(scratch, `${path}.state`);
		const on = { HOKKU_CUDA_PATH: path };
		const whole = gpu([...prompt, '-n', '10', '--logit-bias', '0=-100'], on);
		assert.equal(whole.status, 0, whole.stderr);
		let text = '';
		for (const args of [[...prompt, '-n', '4'], ['-n', '6']]) {
			const r = gpu([...args, '--logit-bias', '0=-100', '--state', state], on);
			assert.equal(r.status, 0, r.stderr);
			text += r.stdout.replace(/\n$/, '');
		}
		assert.equal(text, whole.stdout.replace(/\n$/, ''), path);
		assert.ok(statSync(state).size > 20000); // a block at least
	}
	const r = gpu(['-n', '1', '--state', join(scratch, 'tile.state')], { HOKKU_CUDA_PATH: 'plain' });
	assert.equal(r.status, 1);
	assert.match(r.stderr, /belongs to another device class: it has "cuda, compute capability \d\.\d, tile path", and here is "cuda, compute capability \d\.\d, plain path"/);
	const half = gpu(['-n', '1', '--state', join(scratch, 'tile.state')], { HOKKU_CUDA_PATH: 'tile', HOKKU_CUDA_PRECISION: 'half' });
	assert.equal(half.status, 1);
	assert.match(half.stderr, /belongs to another KV layout: it has "keys f16x2, .*", and here is "keys f16, /);
	const cpu = spawnSync(hokku, ['run', '--device', 'cpu', '--state', join(scratch, 'tile.state')], { encoding: 'utf8', env });
	assert.equal(cpu.status, 1);
	assert.match(cpu.stderr, /belongs to another build of hokku|belongs to another device class/);
});
