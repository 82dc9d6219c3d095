// Several models: found by name, loaded when asked for, gone when nobody asks or another needs their memory, told of in every API's form.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { endless, folder, generate, hokku, model, post, start, startFails, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

let root, dir, server, small;
const put = (from, to) => {
	copyFileSync(from, join(root, 'new'));
	renameSync(join(root, 'new'), to); // whole at once
};

before(async () => {
	mkdirSync(folder, { recursive: true });
	root = mkdtempSync(join(folder, 'models-'));
	dir = join(root, 'dir');
	for (const d of [dir, join(dir, 'a'), join(dir, 'b'), join(root, 'x'), join(root, 'y')]) mkdirSync(d);
	small = join(root, 'small.gguf');
	execFileSync(hokku, ['synth', '--shape', `${makeShape()}`, '--type', 'F32', '--seed', '7', '-o', small], { stdio: 'pipe' });
	put(model('tiny'), join(dir, 'tiny.gguf'));
	put(small, join(dir, 'small.gguf'));
	put(model('tiny'), join(dir, 'a', 'twin.gguf'));
	put(small, join(dir, 'b', 'twin.gguf'));
	writeFileSync(join(dir, 'broken.gguf'), readFileSync(small).subarray(0, 3000));
	symlinkSync('nowhere', join(dir, 'dangling.gguf'));
	put(model('long'), join(root, 'x', 'long.gguf'));
	server = await start(['--models-dir', dir, join(root, 'x', 'long.gguf'), '--ctx', '512', '--max-queue', '12', '--parallel', '4', '--threads', '1',
		'--state-dir', root]);
});
after(async () => {
	await server?.stop();
	rmSync(root, { recursive: true, force: true });
});

function makeShape() {
	const path = join(root, 'small.json');
	writeFileSync(path, JSON.stringify({
		architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2,
		num_key_value_heads: 1, vocab_size: 512, max_position_embeddings: 512, rms_norm_eps: 1e-6, rope_theta: 1e6, tie_word_embeddings: true, hidden_act: 'silu',
	}));
	return path;
}

const models = async (s = server) => (await s.health()).models;
const stateOf = async (name, s = server) => (await models(s)).find((m) => m.model === name)?.state;
const reaches = (name, state, s = server) => until(async () => (await stateOf(name, s)) === state, 30000, `${name} to be ${state}`);
const get = async (path, s = server) => {
	const response = await fetch(s.url + path);
	return { status: response.status, json: await response.json() };
};
const greedy = { max_tokens: 4, temperature: 0, stream: false };
const ask = (name, s = server, extra = {}) => generate(s, { model: name, prompt: 'rain', ...greedy, ...extra });
const unload = (name, s = server) => post(s, '/models/unload', { model: name });

test('each request gets its model, by whatever API, and the bits that it has alone', async () => {
	const alone = await start([small, '--ctx', '512', '--threads', '1']);
	const expected = (await generate(alone, { prompt: 'rain', ...greedy })).json;
	await alone.stop();
	const got = await ask('small');
	assert.equal(got.status, 200, got.text);
	assert.equal(got.json.text, expected.text);
	assert.deepEqual([got.json.model, (await ask('tiny')).json.model], ['small', 'tiny']);
	const messages = [{ role: 'user', content: 'rain' }];
	const openai = { messages, max_tokens: 3, temperature: 0 };
	const answers = [];
	for (const [path, body] of [
		['/v1/chat/completions', openai],
		['/v1/completions', { prompt: 'rain', max_tokens: 3, temperature: 0 }],
		['/v1/responses', { input: 'rain', max_output_tokens: 16, temperature: 0 }],
		['/v1/messages', openai],
		['/completion', { prompt: 'rain', n_predict: 3, temperature: 0 }],
		['/api/chat', { messages, stream: false, options: { num_predict: 3 } }],
		['/api/generate', { prompt: 'rain', stream: false, options: { num_predict: 3 } }],
	]) {
		const both = await Promise.all(['small', 'tiny:latest'].map((name) => post(server, path, { ...body, model: name })));
		for (const answer of both) assert.equal(answer.status, 200, `${path}: ${answer.text}`);
		answers.push(path);
	}
	const tokens = await post(server, '/tokenize', { model: 'tiny', content: 'rain' });
	assert.equal(tokens.status, 200, tokens.text);
	assert.equal((await post(server, '/api/show', { name: 'small' })).json.details.family, 'qwen2');
	assert.equal((await get('/props?model=small')).json.model_alias, 'small');
	assert.equal((await get('/slots?model=tiny')).json.length, 4);
	const metrics = await (await fetch(`${server.url}/metrics`)).text();
	assert.match(metrics, /hokku_ready\{model="small"\} 1\n/);
	assert.match(metrics, /hokku_ready\{model="broken"\} 0\n/);
	assert.match(metrics, /hokku_in_memory\{model="small"\} 1\n/);
	assert.match(metrics, /hokku_in_memory\{model="broken"\} 0\n/);
	const gap = await post(server, '/infill', { model: 'tiny', input_prefix: 'a', input_suffix: 'b' });
	assert.equal(gap.status, 400, gap.text);
	assert.match(gap.json.error.message, /knows no text with a gap/);
	assert.equal(answers.length, 7);
});

test('a name that means nothing here is told, with the nearest and what there is', async () => {
	const wrong = await post(server, '/v1/chat/completions', { model: 'smal', messages: [{ role: 'user', content: 'x' }] });
	assert.equal(wrong.status, 404);
	assert.equal(wrong.json.error.code, 'model_not_found');
	assert.match(wrong.json.error.message, /^model "smal" not found: did you mean 'small'\? This server has .*'a\/twin'/);
	assert.match((await post(server, '/api/chat', { model: 'zzzzzzzzzz', messages: [] })).json.error, /^model "zzzzzzzzzz" not found; this server has /);
	const two = await ask('twin');
	assert.equal(two.status, 404);
	assert.match(two.json.error.message, /it may be 'a\/twin' or 'b\/twin'/);
	assert.equal((await ask('B/TWIN.gguf')).json.model, 'b/twin');
	for (const [body, text] of [[{ prompt: 'x' }, /^model is missing; this server has several: name one of/], ['{"prompt":', /JSON/], ['', /JSON|empty/]]) {
		const answer = await generate(server, body);
		assert.equal(answer.status, 400, answer.text);
		assert.match(answer.json.error.message, text);
	}
	for (const path of ['/props', '/props?model=', '/slots']) assert.match((await get(path)).json.error.message, /as \?model=NAME/);
	assert.equal((await get('/props?model=nobody')).status, 404);
	assert.equal((await get('/v1/models/nobody')).status, 404);
	assert.equal((await get('/v1/models/a%2Ftwin')).json.id, 'a/twin');
});

test('a file that is no model is listed with the reason, beside the others', async () => {
	const listed = (await get('/v1/models')).json.data;
	assert.deepEqual(listed.map((m) => m.id), ['long', 'a/twin', 'b/twin', 'broken', 'small', 'tiny']);
	const broken = listed.find((m) => m.id === 'broken');
	assert.equal(broken.state, 'failed');
	assert.equal(broken.status.failed, true);
	assert.match(broken.error.message, /broken\.gguf: .*cut short/);
	const answer = await ask('broken');
	assert.equal(answer.status, 500);
	assert.equal(answer.json.error.code, 'BAD_FILE');
	assert.match(answer.json.error.message, /^model 'broken' cannot be served: /);
	assert.equal((await post(server, '/models/load', { model: 'broken' })).status, 500);
	assert.equal((await get('/api/tags')).json.models.find((m) => m.name === 'broken:latest').state, 'failed');
	assert.equal((await ask('tiny')).status, 200);
});

test('a model comes and goes as Ollama and llama-server say it', async () => {
	await unload('small');
	await reaches('small', 'unloaded');
	assert.equal((await get('/props?model=small')).status, 503);
	const nothing = await post(server, '/api/generate', { model: 'small', keep_alive: 0 });
	assert.equal(nothing.json.done_reason, 'unload');
	assert.equal(await stateOf('small'), 'unloaded'); // it was not loaded for that
	const loaded = await post(server, '/api/chat', { model: 'small', messages: [], stream: false });
	assert.equal(loaded.json.done_reason, 'load');
	assert.equal(await stateOf('small'), 'loaded');
	await unload('small');
	await reaches('small', 'unloaded');
	const shown = await Promise.all(Array.from({ length: 5 }, () => post(server, '/api/show', { model: 'small' })));
	for (const s of shown) assert.equal(s.status, 200, s.text);
	assert.equal(await stateOf('small'), 'unloaded'); // its file is enough for that
	await post(server, '/models/load', { model: 'small' });
	assert.deepEqual(shown.map((s) => s.json), Array(5).fill((await post(server, '/api/show', { model: 'small' })).json)); // and says the same
	const ps = async () => (await get('/api/ps')).json.models.find((m) => m.name === 'small:latest');
	const left = async () => (Date.parse((await ps()).expires_at) - Date.now()) / 1000;
	assert.ok((await left()) > 200 && (await left()) < 301); // five minutes
	await post(server, '/api/generate', { model: 'small', keep_alive: '90m' });
	assert.ok((await left()) > 5000 && (await left()) < 5401);
	await post(server, '/api/generate', { model: 'small', keep_alive: -1 });
	assert.ok((await left()) > 1e9);
	const last = await post(server, '/api/generate', { model: 'small', prompt: 'x', stream: false, keep_alive: '0s', options: { num_predict: 2 } });
	assert.equal(last.json.eval_count, 2); // answered, then gone
	await reaches('small', 'unloaded');
	assert.equal((await post(server, '/models/load', { model: 'small' })).json.success, true);
	assert.equal(await stateOf('small'), 'loaded');
	assert.equal((await unload('small')).json.success, true);
	await reaches('small', 'unloaded');
	assert.match((await unload('small')).json.error.message, /'small' is not in memory: it is unloaded/);
	assert.equal((await unload('nobody')).status, 404);
	assert.equal((await post(server, '/models/unload', { name: 'small' })).status, 400);
	assert.equal((await post(server, '/models/unload', { model: 'small', bogus: 1 })).json.error.field, 'bogus'); // what is wrong is named
	assert.equal((await post(server, '/models/unload', { model: 'nobody' })).json.error.field, 'model');
	const counted = (await server.health()).queue.finished; // of engines that are gone, too
	assert.ok(counted > 10);
});

test('two that are asked for at once are loaded one after the other, and both answered; who is there answers meanwhile', async () => {
	for (const name of ['small', 'b/twin']) {
		await unload(name);
		await until(async () => !['loaded', 'unloading'].includes(await stateOf(name)), 30000, `${name} to go`);
	}
	const from = server.log.length;
	for (const answer of await Promise.all([ask('small'), ask('b/twin'), ask('tiny')])) assert.equal(answer.status, 200, answer.text);
	const steps = [...server.log.slice(from).matchAll(/model '(small|b\/twin)' is (being loaded|loaded)/g)].map(([, name, what]) => [name, what]);
	assert.deepEqual(steps.map(([, what]) => what), ['being loaded', 'loaded', 'being loaded', 'loaded']);
	assert.ok(steps[0][0] === steps[1][0] && steps[2][0] === steps[3][0] && steps[0][0] !== steps[2][0], `${steps}`);
});

test('what tells of a model is asked in every moment of its loading: each answer is whole, and none waits for it', async () => {
	// Under the thread sanitizer this is where the loop's thread reads what the loading one writes.
	const seen = {};
	const paths = ['/slots?model=small', '/props?model=small', '/v1/models/small', '/api/ps', '/health', '/metrics'];
	for (let round = 0; round < 3; round++) {
		await unload('small');
		await reaches('small', 'unloaded');
		let over = false;
		const loaded = ask('small').finally(() => (over = true));
		for (let i = 0; i < 200 && !(over && i > 3); i++) {
			for (const asked of paths) { // one after the other: the connection is the same
				const response = await fetch(server.url + asked), [path] = asked.split('?'), { status } = response, text = await response.text();
				assert.ok(status === 200 || (status === 503 && ['/slots', '/props'].includes(path)), `${path}: ${status} ${text}`);
				if (path !== '/metrics') JSON.parse(text);
				(seen[path] ??= new Set()).add(status);
			}
			const show = await post(server, '/api/show', { model: 'small' });
			assert.equal(show.json?.details?.family, 'qwen2', show.text);
		}
		assert.equal((await loaded).status, 200);
		assert.equal((await get('/slots?model=small')).json.length, 4);
	}
	assert.ok(seen['/slots'].has(200)); // it may have been there before the first was asked
});

test('requests in flight are not cut: a model goes when they are over, and who comes meanwhile waits', async () => {
	const s = await stream(server, { model: 'tiny', prompt: 'a', max_tokens: 400, ...endless });
	await s.saw('token');
	await unload('tiny');
	const later = ask('tiny');
	await within(s.done, 'the stream to end');
	assert.equal(s.events().at(-1).kind, 'end');
	assert.equal(s.events().filter((e) => e.kind === 'token').length, 400);
	assert.equal((await later).status, 200);
});

test('states are of the model that saved them', async () => {
	assert.equal((await ask('tiny', server, { id: 'saved-1', prompt: 'rain '.repeat(20) })).status, 200);
	const saved = await post(server, '/v1/state/save', { model: 'tiny', id: 'saved-1', name: 'mine' });
	assert.equal(saved.status, 200, saved.text);
	const other = await post(server, '/v1/state/restore', { model: 'small', name: 'mine' });
	assert.equal(other.status, 404, other.text);
	assert.equal((await post(server, '/v1/state/restore', { model: 'tiny', name: 'mine' })).status, 200);
	assert.match((await post(server, '/v1/state/restore', { name: 'mine' })).json.error.message, /^model is missing/);
});

test('files appear, change and vanish while they are served', async () => {
	put(model('tiny'), join(dir, 'new.gguf'));
	assert.equal((await ask('new')).status, 200); // looked for at once
	const before = (await ask('new')).json.text;
	put(small, join(dir, 'new.gguf'));
	await until(async () => (await get('/v1/models')) && (await ask('new')).json.text !== before, 30000, 'the new file to be served');
	assert.equal((await ask('new')).json.text, (await ask('small')).json.text);
	put(small, join(dir, 'broken.gguf'));
	await until(async () => (await get('/v1/models')) && (await stateOf('broken')) !== 'failed', 30000, 'the mended file to be seen');
	assert.equal((await ask('broken')).status, 200);
	rmSync(join(dir, 'broken.gguf'));
	await until(async () => (await get('/v1/models')) && (await ask('broken')).status === 404, 30000, 'the file to be missed');
	rmSync(join(dir, 'new.gguf'));
	await until(async () => !(await get('/v1/models')).json.data.some((m) => m.id === 'new'), 30000, 'it to leave the list');
	assert.equal((await ask('small')).status, 200);
	put(small, join(dir, 'c++ & more.gguf')); // in a path a plus is a plus, as clients send it
	await until(async () => (await get('/v1/models')).json.data.some((m) => m.id === 'c++ & more'), 30000, 'it to be listed');
	for (const path of ['c++%20&%20more', 'c%2B%2B%20%26%20more']) assert.equal((await get(`/v1/models/${path}`)).json.id, 'c++ & more');
	assert.equal((await get('/v1/models/c++%20&%20more%00x')).status, 404);
	assert.equal((await get('/props?model=c%2B%2B+%26+more')).status, 503); // and in a query a blank
	rmSync(join(root, 'x', 'long.gguf')); // named on the command line: it stays in the list
	await until(async () => (await get('/v1/models')) && (await stateOf('long')) === 'failed', 30000, 'the named file to be missed');
	assert.match((await ask('long')).json.error.message, /^model 'long' cannot be served: .*long\.gguf/);
});

test('memory for one: the one used longest ago goes, twenty at once have their turns, what cannot be is 507', async () => {
	const crowd = join(root, 'crowd');
	mkdirSync(crowd);
	for (let i = 0; i < 20; i++) put(model('long'), join(crowd, `m${i}.gguf`));
	const args = ['--models-dir', crowd, '--models-keep-alive', '1h', '--ctx', '100000', '--max-queue', '12', '--parallel', '4', '--threads', '1'];
	const measured = await start([...args, '--models-memory', '1K']);
	const { needs_bytes: need } = (await models(measured))[0];
	const none = await ask('m0', measured); // too large for any
	assert.equal(none.status, 507, none.text);
	assert.equal(none.json.error.code, 'INSUFFICIENT_MEMORY');
	assert.match(none.json.error.message, /^model 'm0' needs .* all models together may have 1\.0 KiB \(--models-memory\)/);
	await measured.stop();
	const exact = await start([...args, '--models-memory', String(need - 1)]);
	assert.equal((await ask('m0', exact)).status, 507);
	await exact.stop();

	const s = await start([...args, '--models-memory', String(need)]);
	const hold = async (name, id) => {
		const held = await stream(s, { model: name, id, prompt: 'a', ...endless, max_tokens: 95000 });
		await held.saw('token');
		return held;
	};
	// Bounded: while one is busy twelve wait, and more are told so.
	const busy = await hold('m0', 'busy');
	let full = 0;
	const answers = Array.from({ length: 19 }, (_, i) => ask(`m${i + 1}`, s).then((a) => ((full += a.status === 503), a)));
	await until(() => full === 7, 60000, 'seven to be told');
	assert.equal((await s.health()).queue.queued, 12);
	await post(s, '/v1/cancel', { id: 'busy' });
	await within(busy.done, 'the stream to end');
	assert.equal(busy.events().at(-1).data.code, 'CANCELLED');
	for (const a of await Promise.all(answers)) {
		assert.ok([200, 503].includes(a.status), a.text);
		if (a.status === 503) assert.match(a.json.error.message, /^12 requests wait for models to be loaded \(--max-queue 12\)/);
	}
	const { memory, models: told } = await s.health();
	assert.ok(memory[0].used_bytes <= memory[0].limit_bytes, JSON.stringify(memory));
	assert.equal(told.filter((m) => m.state === 'loaded').length, 1);
	// Kept there by a request: it does not go for another.
	await post(s, '/api/generate', { model: 'm3', keep_alive: -1 });
	const refused = await ask('m4', s);
	assert.equal(refused.status, 507, refused.text);
	assert.match(refused.json.error.message, /^model 'm4' needs .* 'm3' \(.*\) would have to go, and is kept there \(keep_alive -1\)/);
	assert.equal((await post(s, '/api/generate', { model: 'm3', keep_alive: 0 })).json.done_reason, 'unload');
	assert.equal((await ask('m4', s)).status, 200);
	// Whoever leaves, at whatever moment, costs the others nothing.
	await unload('m4', s);
	for (let round = 0; round < 6; round++) {
		const others = Array.from({ length: 16 }, async (_, i) => {
			const leaves = new AbortController();
			if (i % 2) setTimeout(() => leaves.abort(), (i * 3 + round) % 40);
			const body = { model: `m${(i + round) % 5}`, prompt: 'x', ...greedy };
			return fetch(`${s.url}/v1/generate`, { method: 'POST', body: JSON.stringify(body), signal: leaves.signal }).then((r) => r.status, (e) => e.name);
		});
		for (const [i, end] of (await Promise.all(others)).entries()) assert.ok([200, 503, i % 2 ? 'AbortError' : 200].includes(end), `${end}`);
	}
	await until(async () => (await models(s)).every((m) => m.running + m.waiting === 0), 30000, 'all to be over');
	await ask('m4', s);
	// One that waits is forgotten when its client leaves, or says so.
	const holding = await hold('m4', 'holding');
	const left = new AbortController();
	const waiting = (n) => until(async () => (await models(s)).find((m) => m.model === 'm5').waiting === n, 30000, `${n} to wait`);
	const gone = fetch(`${s.url}/v1/generate`, { method: 'POST', body: JSON.stringify({ model: 'm5', prompt: 'x' }), signal: left.signal }).catch(() => 'left');
	await waiting(1);
	left.abort();
	assert.equal(await within(gone, 'the client to leave'), 'left');
	await waiting(0);
	// Nor do those that wait keep the server from its end.
	const last = ask('m5', s);
	await waiting(1);
	s.child.kill('SIGTERM');
	assert.equal((await last).status, 503);
	await post(s, '/v1/cancel', { id: 'holding' });
	await within(holding.done, 'the stream to end');
	assert.deepEqual(await within(s.exited, 'the server to end'), { code: 0, signal: null }, s.log.slice(-4000));
});

test('what did not fit alone is 507 at once, and tried again when its file is another one or somebody says so', async () => {
	const here = join(root, 'lacking');
	mkdirSync(here);
	put(model('long'), join(here, 'a.gguf'));
	const sizes = [small, model('long')].map((file) => JSON.parse(execFileSync(hokku, ['fit', '--json', '--no-measure', '--device', 'cpu', '--threads', '1', '-c', '64', file])).devices[0].bytes.sum);
	const limit = Math.floor((sizes[0] + sizes[1]) / 2);
	const lacking = await start(['--models-dir', here, '--device', 'cpu', '--threads', '1', '--ctx', '64', '--parallel', '1', '--ram-limit', `${limit}`, '--models-memory', '1G']);
	const ask = () => generate(lacking, { model: 'a', prompt: 'rain', max_tokens: 1, stream: false });
	const tries = () => lacking.log.split("model 'a' is being loaded\n").length - 1;
	const words = new RegExp(`^model 'a' cannot be loaded: .* needs \\d+ bytes .*; the host has ${limit} bytes of memory available \\(.*, the limit that was set\\)`);
	for (let i = 0; i < 3; i++) {
		const { status, json } = await ask();
		assert.deepEqual([status, json.error.code], [507, 'INSUFFICIENT_MEMORY'], JSON.stringify(json));
		assert.match(json.error.message, words);
		assert.equal(/it is not tried again until more is free, its file changes or POST \/models\/load says so$/.test(json.error.message), i > 0, json.error.message);
		assert.equal(tries(), 1);
	}
	assert.equal((await post(lacking, '/models/load', { model: 'a' })).status, 507);
	assert.equal(tries(), 2);
	assert.equal((await ask()).status, 507);
	assert.equal(tries(), 2);
	put(small, join(here, 'a.gguf'));
	await until(async () => (await ask()).status === 200, 20000, 'another file');
	assert.equal(tries(), 3);
	await lacking.stop();
});

test('idle models go by themselves', async () => {
	const s = await start([small, join(dir, 'tiny.gguf'), '--models-keep-alive', '0.01', '--ctx', '512', '--threads', '1']);
	assert.equal((await ask('small', s)).status, 200);
	await reaches('small', 'unloaded', s);
	await post(s, '/api/generate', { model: 'small', keep_alive: '1h' });
	assert.equal(await stateOf('small', s), 'loaded');
	await s.stop();
});

test('a key sees its models alone, and models come and go by an administrator', async () => {
	const keys = join(root, 'keys');
	writeFileSync(keys, 'name=one key=one-secret models=small\nname=two key=two-secret\nname=boss key=boss-secret admin=yes\n');
	const s = await start([small, join(dir, 'tiny.gguf'), '--api-key-file', keys, '--ctx', '512', '--threads', '1']);
	const as = (key) => ({ Authorization: `Bearer ${key}-secret` });
	const list = async (path, key) => (await (await fetch(s.url + path, { headers: as(key) })).json());
	assert.equal((await generate(s, { model: 'small', prompt: 'x', ...greedy }, as('one'))).status, 200);
	const other = await generate(s, { model: 'tiny', prompt: 'x', ...greedy }, as('one'));
	assert.equal(other.status, 403, other.text);
	assert.equal(other.json.error.code, 'FORBIDDEN');
	assert.doesNotMatch((await generate(s, { model: 'nobody', prompt: 'x' }, as('one'))).json.error.message, /tiny/);
	assert.equal((await generate(s, { model: 'tiny', prompt: 'x', ...greedy }, as('two'))).status, 200);
	assert.deepEqual((await list('/v1/models', 'one')).data.map((m) => m.id), ['small']);
	assert.deepEqual((await list('/api/ps', 'one')).models.map((m) => m.name), ['small:latest']);
	assert.equal((await list('/v1/models', 'two')).data.length, 2);
	for (const path of ['/props?model=', '/slots?model=', '/v1/models/']) {
		const status = async (name, key) => (await fetch(`${s.url}${path}${name}`, { headers: as(key) })).status;
		assert.deepEqual([await status('small', 'one'), await status('tiny', 'one'), await status('tiny', 'two')], [200, 403, 200], path);
	}
	assert.equal((await post(s, '/models/unload', { model: 'tiny' }, as('two'))).status, 403);
	const told = async (key) => (await list('/health', key)).models.map((m) => m.model); // without one it tells none
	assert.deepEqual([await told('one'), await told('two'), await told('nobody')], [['small'], ['small', 'tiny'], []]);
	assert.equal((await s.health()).status, 'ok');
	assert.equal((await post(s, '/models/unload', { model: 'tiny' }, as('boss'))).status, 200);
	await until(async () => (await list('/health', 'boss')).models[1].state === 'unloaded', 30000, 'tiny to be unloaded');
	await s.stop();
});

test('bad command lines say what is wrong', async () => {
	const tiny = model('tiny');
	put(tiny, join(root, 'x', 'm.gguf'));
	put(small, join(root, 'y', 'm.gguf'));
	for (const [args, text] of [
		[['--models-dir', join(root, 'nowhere')], /--models-dir .*nowhere: No such file/],
		[['--models-dir', tiny], /--models-dir .*tiny\.gguf: is no folder/],
		[['--models-dir', ''], /--models-dir is empty/],
		[[tiny, '--models-keep-alive', '5m'], /--models-keep-alive is for several models; there is one/],
		[['--models-memory', '1G'], /--models-memory is for several models/],
		[[tiny, small, '--models-keep-alive', 'soon'], /--models-keep-alive is "soon"; it takes a time as 5m/],
		[[tiny, small, '--models-memory', '0'], /models-memory/],
		[[tiny, small, tiny], /is given twice; give each model once/],
		[[tiny, join(root, 'nothing.gguf')], /nothing\.gguf/],
		[Array(65).fill(tiny), /65|unexpected|operand|too many/],
	]) {
		const { code, err } = await startFails(args);
		assert.notEqual(code, 0, `${args}`);
		assert.match(err, text);
	}
	const s = await start([join(root, 'x', 'm.gguf'), join(root, 'y', 'm.gguf'), '--ctx', '512']);
	assert.deepEqual((await get('/v1/models', s)).json.data.map((m) => m.id), ['x/m', 'y/m']);
	await s.stop();
});

test('one model is served as ever: by any name, and it stays', async () => {
	const s = await start([small, '--ctx', '512']);
	assert.equal((await ask('whatever', s)).status, 200);
	assert.match((await post(s, '/models/unload', { model: 'small' })).json.error.message, /has the one model/);
	const list = (await get('/v1/models', s)).json.data;
	assert.equal(list.length, 1);
	assert.equal(list[0].status, undefined);
	await s.stop();
});
