// Many requests at once: each text is that of its lone run, whatever else runs, waits, is cancelled or sent away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endless, events, generate, idle, model, post, sanitized, slack, start, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

// The thread sanitizer computes twenty times as long, and fewer threads and clients show it what there is to see.
const crowd = sanitized === 'tsan' ? 16 : 64, longest = sanitized === 'tsan' ? 150 : 240;
const soon = 150 * slack();
const last = (s) => s.events().at(-1);
const text = (list) => list.filter((e) => e.kind === 'token').map((e) => e.data.t).join('');
const ids = (list) => list.filter((e) => e.kind === 'token').map((e) => e.data.id);

const subjects = ['rain', 'moon', 'snow', 'the old pond', 'an autumn road', 'a crow', 'the sea', 'plum blossoms'];
const haiku = (i) => ({
	messages: [
		{ role: 'system', content: 'Write of what you see and of nothing else, in three lines of five, seven and five syllables.' },
		{ role: 'user', content: `Write a haiku about ${subjects[i % 8]}.` },
	],
	seed: i,
	temperature: i % 4 ? 0.9 : 0,
	repetition_penalty: i % 3 ? 1 : 1.1,
	max_tokens: 4 + (i * 7) % 60,
	cache_prompt: i % 5 !== 0,
	priority: i % 4,
});

// A server that is stopped however the test ends.
async function serve(t, args) {
	const server = await start(args);
	t.after(() => server.child.kill('SIGKILL'));
	return server;
}

// What clients are answered who come all at once, twice, is what lone[i] was. Returns the server's figures.
async function compare(server, request, lone, rounds = ['cold', 'warm']) {
	for (const round of rounds) {
		const all = await Promise.all(lone.map((_, i) => stream(server, request(i))));
		await Promise.all(all.map((s) => s.done));
		for (const [i, s] of all.entries()) {
			const got = s.events();
			assert.equal(got.at(-1).kind, 'end', `${round} ${i}: ${s.text.slice(-300)}`);
			assert.equal(text(got), text(lone[i]), `${round} ${i}`);
			assert.deepEqual(ids(got), ids(lone[i]));
			assert.equal(got.at(-1).data.tokens_out, lone[i].at(-1).data.tokens_out);
			if (request(i).cache_prompt === false) assert.equal(got.at(-1).data.cached_tokens, 0);
		}
		await until(() => idle(server), 5000, 'an idle server');
	}
	const { counters, queue } = await server.health();
	assert.equal(queue.finished, rounds.length * lone.length);
	assert.ok(counters.cache_hits > 0 && counters.cache_hits <= counters.cache_queries);
	assert.ok(counters.step_sequences > 2 * counters.steps); // together, not one after the other
	await server.stop();
	return counters;
}

test('cache_debug tells why no more of a prompt was found, in each form of answer', async (t) => {
	const server = await serve(t, ['--port', '0', '--chat-template', 'chatml']);
	const prompt = Array.from({ length: 100 }, (_, i) => 300 + i);
	const ask = async (fields) => (await generate(server, { prompt, max_tokens: 1, stream: false, temperature: 0, cache_debug: true, ...fields })).json.cache_debug;
	assert.deepEqual(await ask({}), { cached_tokens: 0, reason: 'nothing_known', position: 0 });
	assert.deepEqual(await ask({}), { cached_tokens: 96, reason: 'all_found', position: 96 });
	assert.deepEqual(await ask({ cache_prompt: false }), { cached_tokens: 0, reason: 'off' });
	assert.deepEqual(await ask({ cache_salt: 'x' }), { cached_tokens: 0, reason: 'nothing_known', position: 0 });
	assert.equal(await ask({ cache_debug: false }), undefined);
	const other = prompt.with?.(70, 511) ?? prompt.map((id, i) => (i === 70 ? 511 : id));
	const told = await ask({ prompt: other });
	assert.deepEqual({ ...told, token: told.token.id }, { cached_tokens: 64, reason: 'other_token', position: 70, token: 511 });
	assert.equal(typeof told.token.text, 'string');
	// streamed, and a sample each
	const s = await stream(server, { prompt, max_tokens: 1, n: 2, cache_debug: true });
	await within(s.done, 'the stream to end');
	const ends = s.events().filter((e) => e.kind === 'end');
	assert.deepEqual(ends.map((e) => e.data.cache_debug.reason), ['all_found', 'all_found']);
	// OpenAI's
	const messages = [{ role: 'user', content: 'the same beginning '.repeat(20) }];
	for (const reason of ['other_token', 'all_found']) { // prompts begin with a token that is known otherwise
		const { json } = await post(server, '/v1/chat/completions', { messages, max_tokens: 1, cache_debug: true });
		assert.equal(json.choices[0].cache_debug.reason, reason);
	}
	const bad = await post(server, '/v1/chat/completions', { messages, cache_debug: 'yes' });
	assert.deepEqual([bad.status, bad.json.error.param], [400, 'cache_debug']);
	await server.stop();
});

test('many clients at once have their lone texts', async (t) => {
	const alone = await serve(t, ['--parallel', '1', '--prefix-cache', 'off']);
	const lone = [];
	for (let i = 0; i < crowd; i++) lone.push(events((await generate(alone, haiku(i))).text));
	const health = await alone.health();
	assert.deepEqual([health.queue.parallel, health.counters.cache_queries], [1, 0]);
	await alone.stop();
	await compare(await serve(t, []), haiku, lone, ['cold']);
	await compare(await serve(t, ['--parallel', String(crowd)]), haiku, lone);
});

// 12 requests of up to 280 positions, 8 at a time, over KV memory of 512: some give their blocks back.
test('where KV memory runs out, nobody is told anything but the answer', async (t) => {
	const request = (i) => ({ prompt: Array.from({ length: 40 + 10 * i }, (_, k) => (k < 64 ? 5 : k * i) % 500), ...endless, seed: i, temperature: i % 2, max_tokens: longest - 10 * i });
	for (const [k, v] of [['f32', 'f32'], ['q8_0', 'f16']]) {
		const types = ['-ctk', k, '--cache-type-v', v];
		const alone = await serve(t, [model('tiny'), '--parallel', '1', '--prefix-cache', 'off', ...types]);
		const { resident_bytes, kv_blocks, cache_type_k, cache_type_v } = await alone.health();
		assert.deepEqual([cache_type_k, cache_type_v], [k, v]);
		const lone = [];
		for (let i = 0; i < 12; i++) lone.push(events((await generate(alone, request(i))).text));
		await alone.stop();
		const server = await serve(t, [model('tiny'), '--parallel', '8', '--kv-bytes', `${(resident_bytes.kv / kv_blocks) * 16}`, ...types]);
		assert.equal((await server.health()).kv_blocks, 16);
		assert.ok((await compare(server, request, lone)).preempted > 0);
		await server.stop();
	}
});

test('a prompt is computed once: cached_tokens, cache_prompt, --prefix-cache off', async (t) => {
	const ask = { prompt: Array(100).fill(7), max_tokens: 40, seed: 1, stream: false, temperature: 1 };
	const server = await serve(t, [model('tiny')]);
	const cold = (await generate(server, ask)).json;
	const warm = (await generate(server, ask)).json;
	const without = (await generate(server, { ...ask, cache_prompt: false })).json;
	assert.deepEqual([cold, warm, without].map((a) => a.cached_tokens), [0, 96, 0]);
	assert.equal(warm.text, cold.text);
	assert.equal(without.text, cold.text);
	// A conversation goes on: the answer is found too. 100 + 40 tokens, of which the last has not been computed.
	const answer = events((await generate(server, { ...ask, stream: true })).text);
	const next = (await generate(server, { ...ask, prompt: [...ask.prompt, ...ids(answer), 9, 9, 9] })).json;
	assert.equal(next.cached_tokens, 128);
	for (const [field, value, message] of [
		['priority', 4, 'priority is 4; it takes a whole number from 0 to 3'],
		['priority', -1, 'priority is -1; it takes a whole number from 0 to 3'],
		['priority', 'high', 'priority is the string "high"; it takes a whole number from 0 to 3'],
		['cache_prompt', 1, 'cache_prompt is 1; it takes true or false'],
	]) {
		const refused = await generate(server, { ...ask, [field]: value });
		assert.deepEqual([refused.status, refused.json.error.message, refused.json.error.field], [400, message, field]);
	}
	await server.stop();
	const off = await serve(t, [model('tiny'), '--prefix-cache', 'off']);
	for (let i = 0; i < 2; i++) {
		const answer = (await generate(off, ask)).json;
		assert.equal(answer.cached_tokens, 0);
		assert.equal(answer.text, cold.text);
	}
	await off.stop();
});

test('cancels, disconnects and a full queue, with several that run', async (t) => {
	const server = await serve(t, [model('long'), '--ctx', '100000', '-np', '3', '--max-queue', '2']);
	const forever = (extra = {}) => ({ prompt: 'a', ...endless, ...extra });
	const goesOn = await stream(server, forever({ id: 'goes-on' }));
	const runs = await stream(server, forever({ id: 'runs' }));
	await runs.saw('token');
	const prefills = await stream(server, { prompt: Array(90000).fill(7), max_tokens: 5, id: 'prefills' });
	await prefills.saw('started');
	const waits = await stream(server, forever({ id: 'waits' }));
	const leaves = await stream(server, forever({ id: 'leaves' }));
	await until(async () => (await server.health()).queue.queued === 2, 5000, 'two to wait');
	const { queue } = await server.health();
	assert.deepEqual([queue.running, queue.parallel, queue.queued, queue.max_queue], [3, 3, 2, 2]);
	const refused = await generate(server, forever());
	assert.equal(refused.status, 503);
	assert.equal(refused.json.error.code, 'OVERLOADED');
	assert.ok(Number(refused.headers.get('retry-after')) >= 1);
	leaves.abort();
	await until(async () => (await server.health()).queue.queued === 1, soon, 'one to go');
	for (const s of [waits, prefills, runs]) {
		const id = s === waits ? 'waits' : s === prefills ? 'prefills' : 'runs';
		const at = performance.now();
		await post(server, '/v1/cancel', { id });
		await within(s.done, 'the stream to end');
		assert.ok(performance.now() - at < soon, `${id}: ${performance.now() - at} ms`);
		assert.equal(last(s).data.code, 'CANCELLED');
	}
	await until(async () => (await server.health()).queue.running === 1, soon, 'one to be left');
	const n = goesOn.events().length;
	await until(() => goesOn.events().length > n + 5, 5000, 'it to go on');
	goesOn.abort();
	await until(() => idle(server), soon, 'an idle server');
	await server.stop();
});

test('--request-timeout ends what runs and what waits', async (t) => {
	const server = await serve(t, [model('long'), '--ctx', '100000', '-np', '2', '--request-timeout', '0.5']);
	const all = await Promise.all([0, 1, 2, 3].map(() => generate(server, { prompt: 'a', ...endless, stream: false })));
	for (const answer of all) {
		assert.equal(answer.status, 504);
		assert.equal(answer.json.error.code, 'INFERENCE_TIMEOUT');
	}
	await until(() => idle(server), soon, 'an idle server');
	await server.stop();
});
