// The prompt's log probabilities: what each of its tokens would have been told had it been drawn, to the last bit, in
// every form, whatever else runs and is known.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { endless, events, generate, idle, model, post, sanitized, start, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

const states = mkdtempSync(join(tmpdir(), 'hokku-prompt-'));
const begin = [5, 9, 2, 77, 300];
const told = ({ id, logprob, top_logprobs: top }) => ({ id, logprob, top });
const whole = async (body) => {
	const { status, text } = await generate(server, { seed: 1, max_tokens: 1, prompt_logprobs: 20, stream: false, ...endless, ...body });
	assert.equal(status, 200, text);
	return JSON.parse(text);
};

// What is told of an answer of 120 tokens as it is drawn, and the prompt that has it.
let server, drawn, prompt;
before(async () => {
	server = await start([model('tiny'), '--parallel', '4', '--state-dir', states]);
	const { logprobs, prompt_logprobs: none } = await whole({ prompt: begin, max_tokens: 120, temperature: 1.5, logprobs: true, top_logprobs: 20, prompt_logprobs: undefined });
	assert.equal(none, undefined);
	drawn = logprobs.map(told);
	prompt = [...begin, ...drawn.map(({ id }) => id)];
});
after(async () => {
	await server.stop();
	rmSync(states, { recursive: true });
});

function check(list, ids = prompt) {
	assert.equal(list.length, ids.length);
	assert.equal(list[0], null);
	assert.deepEqual(list.slice(1).map(({ id }) => id), ids.slice(1));
	assert.deepEqual(list.slice(begin.length, begin.length + drawn.length).map(told), drawn);
	for (const { id, rank, logprob, top_logprobs: top } of list.slice(1)) {
		assert.equal(top.length, 20);
		if (rank <= 20) assert.deepEqual([top[rank - 1].id, top[rank - 1].logprob], [id, logprob]);
		else assert.ok(logprob <= top[19].logprob && rank <= 512);
	}
}

test('they have the bits of the tokens as they were drawn: known or not, alone and beside others', async () => {
	const first = await whole({ prompt, cache_debug: true });
	check(first.prompt_logprobs);
	assert.deepEqual([first.cached_tokens, first.cache_debug], [0, { cached_tokens: 0, reason: 'off' }]);
	for (const cache_prompt of [true, false]) assert.deepEqual((await whole({ prompt, cache_prompt })).prompt_logprobs, first.prompt_logprobs);
	// What was computed for it is found by those that do not ask.
	assert.equal((await whole({ prompt, prompt_logprobs: undefined })).cached_tokens, 96);
	const others = [1, 2, 3].map((seed) => stream(server, { prompt: [seed, seed, seed], seed, ...endless }));
	for (const other of await Promise.all(others)) await other.saw('token');
	const all = await Promise.all([0, 1].map(() => whole({ prompt })));
	for (const { prompt_logprobs } of all) assert.deepEqual(prompt_logprobs, first.prompt_logprobs);
	for (const other of await Promise.all(others)) other.abort();
	await until(() => idle(server), 20000, 'the others to end');
});

test('streamed they come in pieces before the first token; of several samples once', async () => {
	const once = (await whole({ prompt })).prompt_logprobs;
	for (const n of [1, 3]) {
		const { text } = await generate(server, { prompt, n, seed: 1, max_tokens: 3, prompt_logprobs: 20, ...endless });
		const list = events(text), pieces = list.filter((e) => e.kind === 'prompt');
		assert.deepEqual(pieces.flatMap(({ data }) => data.prompt_logprobs), once);
		let at = 0;
		for (const { data } of pieces) {
			assert.equal(data.i, at);
			assert.ok(data.prompt_logprobs.length <= 33);
			at += data.prompt_logprobs.length;
		}
		const mine = list.filter((e) => e.kind === 'prompt' || (e.kind === 'token' && !e.data.index)).map((e) => e.kind);
		assert.equal(mine.lastIndexOf('prompt') + 1, mine.indexOf('token'));
		assert.equal(list.filter((e) => e.kind === 'end').length, n);
		const json = await whole({ prompt, n });
		assert.deepEqual(json.prompt_logprobs, once);
		assert.ok(!(json.samples ?? []).some((s) => 'prompt_logprobs' in s));
	}
	const one = await generate(server, { prompt: [7], max_tokens: 1, prompt_logprobs: 5 });
	assert.deepEqual(events(one.text).filter((e) => e.kind === 'prompt').map((e) => e.data), [{ i: 0, prompt_logprobs: [null] }]);
	assert.deepEqual((await whole({ prompt: [7] })).prompt_logprobs, [null]);
	const two = (await whole({ prompt: [7, 8], prompt_logprobs: 0 })).prompt_logprobs;
	assert.deepEqual([two.length, two[0], two[1].id, two[1].top_logprobs], [2, null, 8, []]);
});

test('what a state brought back is computed again to be told, with the same bits', async () => {
	const { prompt_logprobs: before } = await whole({ prompt });
	assert.equal((await post(server, '/v1/state/save', { tokens: prompt, name: 'x' })).status, 200);
	const other = await start([model('tiny'), '--state-dir', states]);
	try {
		assert.equal((await post(other, '/v1/state/restore', { name: 'x' })).status, 200);
		const { json } = await generate(other, { prompt, max_tokens: 1, prompt_logprobs: 20, stream: false, ...endless });
		assert.equal(json.cached_tokens, 0);
		assert.deepEqual(json.prompt_logprobs, before);
		const plain = await generate(other, { prompt, max_tokens: 1, stream: false, ...endless });
		assert.equal(plain.json.cached_tokens, 96);
	} finally {
		await other.stop();
	}
});

test('/v1/chat/completions tells them as vLLM does, whole and streamed', async () => {
	const haiku = await start([]); // the model inside the program, which has a template
	try {
		const client = new OpenAI({ baseURL: `${haiku.url}/v1`, apiKey: 'none', maxRetries: 0 });
		const messages = [{ role: 'user', content: 'Write a haiku about autumn rain.' }];
		const ask = { model: 'haiku', messages, seed: 7, max_tokens: 3, prompt_logprobs: 2 };
		const { prompt_logprobs: all, usage } = await client.chat.completions.create(ask);
		const { json } = await generate(haiku, { messages, max_tokens: 1, prompt_logprobs: 2, stream: false });
		assert.equal(all.length, usage.prompt_tokens);
		assert.equal(all[0], null);
		json.prompt_logprobs.slice(1).forEach(({ token, id, logprob, rank, top_logprobs: top }, i) => {
			const entry = all[i + 1];
			assert.deepEqual(entry[id], { logprob, rank, decoded_token: token });
			top.forEach((t, k) => assert.deepEqual(entry[t.id], { logprob: t.logprob, rank: k + 1, decoded_token: t.token }));
			assert.equal(Object.keys(entry).length, rank <= 2 ? 2 : 3);
		});
		const pieces = [];
		let text = '';
		for await (const chunk of await client.chat.completions.create({ ...ask, stream: true, n: 2, stream_options: { include_usage: true } })) {
			if (!chunk.prompt_logprobs) {
				text += chunk.choices.find((c) => c.index === 0)?.delta.content ?? '';
				continue;
			}
			assert.equal(text, '');
			assert.deepEqual([chunk.choices, chunk.usage], [[], null]);
			pieces.push(...chunk.prompt_logprobs);
		}
		assert.deepEqual(pieces, all);
		await assert.rejects(client.chat.completions.create({ ...ask, prompt_logprobs: 21 }), (e) => e.status === 400 && e.param === 'prompt_logprobs');
	} finally {
		await haiku.stop();
	}
});

test('what cannot be told is refused; a prompt longer than the context too', async () => {
	for (const value of [-1, 21, 1.5, true, '5', [], {}]) {
		const { status, json } = await generate(server, { prompt, prompt_logprobs: value });
		assert.deepEqual([status, json.error.code, json.error.field], [400, 'INVALID_REQUEST', 'prompt_logprobs'], JSON.stringify(value));
		assert.match(json.error.message, /it takes a whole number from 0 to 20$/);
	}
	const { status, json } = await generate(server, { prompt: Array(513).fill(3), prompt_logprobs: 1 });
	assert.deepEqual([status, json.error.code], [400, 'CONTEXT_EXCEEDED']);
	const full = await whole({ prompt: Array(512).fill(3), prompt_logprobs: 1 });
	assert.equal(full.prompt_logprobs.length, 512);
	// The save of a state has no such field.
	assert.equal((await post(server, '/v1/state/save', { tokens: prompt, name: 'x', prompt_logprobs: 1 })).status, 400);
});

test('some thousand positions, streamed and whole; a cancel in the middle', async () => {
	const n = sanitized ? 600 : 4000;
	const long = await start([model('long'), '--ctx', '30000']);
	const ask = { prompt: Array.from({ length: n }, (_, i) => (i * 7919) % 500), max_tokens: 1, prompt_logprobs: 20, ...endless };
	try {
		const { json } = await generate(long, { ...ask, stream: false });
		assert.equal(json.prompt_logprobs.length, n);
		const streamed = await stream(long, ask);
		await within(streamed.done, 'the stream to end');
		const list = streamed.events();
		assert.equal(list.at(-1).kind, 'end');
		assert.deepEqual(list.filter((e) => e.kind === 'prompt').flatMap((e) => e.data.prompt_logprobs), json.prompt_logprobs);
		const cancelled = await stream(long, { ...ask, id: 'stop' });
		await cancelled.saw('prompt');
		assert.equal((await post(long, '/v1/cancel', { id: 'stop' })).json.found, true);
		await within(cancelled.done, 'the stream to end');
		const last = cancelled.events().at(-1);
		assert.deepEqual([last.kind, last.data.code], ['error', 'CANCELLED']);
		assert.ok(!cancelled.events().some((e) => e.kind === 'token'));
		await until(() => idle(long), 20000, 'the engine to let go');
		// More than an answer in one piece may have.
		const { status, json: refused } = await generate(long, { ...ask, prompt: Array(24967).fill(1), stream: false });
		assert.deepEqual([status, refused.error.field], [400, 'prompt_logprobs']);
		assert.match(refused.error.message, /24,967 tokens that is 524,307 log probabilities, .* 524,288 at most; ask for fewer or stream it/);
	} finally {
		await long.stop();
	}
});
