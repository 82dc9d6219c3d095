// OpenAI's API as its official client uses it: whole and streamed answers, logprobs, several samples, errors, models.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { endless, events, folder, generate, hokku, idle, model, post, start, until } from './server_common.mjs';

let server, client;
before(async () => {
	server = await start(['--threads', '1']); // the haiku model inside the program
	client = clientOf(server);
});
after(() => server.stop());

const clientOf = (server, apiKey = 'none') => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
const messages = [{ role: 'user', content: 'Write a haiku about autumn rain.' }];
const plain = { model: 'haiku', messages, seed: 7 };

// All chunks of a stream, and what its choices come to.
async function collect(stream) {
	const chunks = [], choices = [];
	for await (const chunk of stream) {
		chunks.push(chunk);
		for (const { index, delta, logprobs, finish_reason: finish } of chunk.choices) {
			const choice = (choices[index] ??= { text: '', logprobs: [], roles: [], finish: [] });
			if (delta.role) choice.roles.push(delta.role);
			choice.text += delta.content ?? '';
			choice.logprobs.push(...(logprobs?.content ?? []));
			if (finish) choice.finish.push(finish);
		}
	}
	return { chunks, choices };
}

test('a whole answer has the text of /v1/generate with the same sampling and seed', async () => {
	const answer = await client.chat.completions.create(plain);
	assert.equal(answer.object, 'chat.completion');
	assert.match(answer.id, /^chatcmpl-[0-9a-f]{16}$/);
	assert.equal(answer.model, 'haiku');
	assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
	const [choice] = answer.choices;
	const own = (await generate(server, { messages, seed: 7, temperature: 1, stream: false })).json;
	assert.deepEqual(choice, { index: 0, message: { role: 'assistant', content: own.text, refusal: null }, logprobs: null, finish_reason: 'stop' });
	assert.ok(own.text.length > 10);
	assert.deepEqual(answer.usage, own.usage);
	assert.deepEqual(answer.usage, { prompt_tokens: own.prompt_tokens, completion_tokens: own.tokens_out, total_tokens: own.prompt_tokens + own.tokens_out, prompt_tokens_details: { cached_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 } });
	assert.deepEqual(answer.hokku, { model: 'haiku', seed: 7, max_tokens: null, stop: [], sampling: own.sampling });
	assert.equal(answer.warnings, undefined);
});

test('a stream has the text of the whole answer, its role first, usage where it is asked for', async () => {
	const whole = await client.chat.completions.create(plain);
	for (const include_usage of [true, false, undefined]) {
		const { chunks, choices } = await collect(await client.chat.completions.create({ ...plain, stream: true, stream_options: include_usage === undefined ? undefined : { include_usage } }));
		assert.equal(choices[0].text, whole.choices[0].message.content);
		assert.deepEqual([choices[0].roles, choices[0].finish], [['assistant'], ['stop']]);
		assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '', refusal: null });
		assert.equal(new Set(chunks.map((c) => `${c.id} ${c.object} ${c.created} ${c.model}`)).size, 1);
		assert.equal(chunks[0].object, 'chat.completion.chunk');
		const usage = chunks.filter((c) => c.usage);
		assert.deepEqual(usage.map((c) => [c.choices, c.usage]), include_usage ? [[[], whole.usage]] : []);
		assert.ok(chunks.every((c) => (include_usage ? 'usage' in c : !('usage' in c))));
		const told = chunks.filter((c) => c.hokku);
		assert.deepEqual(told.map((c) => [c.choices[0].finish_reason, c.hokku]), [['stop', whole.hokku]]);
	}
	const final = await client.chat.completions.stream(plain).finalChatCompletion();
	assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
	const { text } = await post(server, '/v1/chat/completions', { ...plain, stream: true });
	assert.ok(text.endsWith('}\n\ndata: [DONE]\n\n'));
});

test('parts of text, developer messages, stop, limits and bias do what they say', async () => {
	const ask = async (more) => (await client.chat.completions.create({ ...plain, ...more })).choices[0];
	const { message: { content: text } } = await ask({});
	assert.equal((await ask({ messages: [{ role: 'user', content: [{ type: 'text', text: messages[0].content }] }] })).message.content, text);
	// The next turn sends the answer's message back as it came.
	const turn = (message) => client.chat.completions.create({ ...plain, messages: [...messages, message, { role: 'user', content: 'Another.' }] });
	const [back, bare] = [await turn((await ask({})).message), await turn({ role: 'assistant', content: text })];
	assert.deepEqual([back.usage, back.choices], [bare.usage, bare.choices]);
	const stopped = await ask({ stop: ['no such text', text.slice(8, 12)] });
	assert.equal(stopped.message.content, text.slice(0, text.indexOf(text.slice(8, 12))));
	assert.equal(stopped.finish_reason, 'stop');
	for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
		const { message, finish_reason } = await ask(limit);
		assert.ok(text.startsWith(message.content) && message.content.length < text.length);
		assert.equal(finish_reason, 'length');
	}
	const [first] = (await ask({ logprobs: true, max_tokens: 1 })).logprobs.content;
	const tokens = events((await generate(server, { messages, seed: 7, temperature: 1, max_tokens: 1 })).text).filter((e) => e.kind === 'token');
	assert.equal(first.token, tokens[0].data.t);
	assert.notEqual((await ask({ max_tokens: 1, logit_bias: { [tokens[0].data.id]: -100 } })).message.content, first.token);
	assert.equal((await ask({ temperature: 0 })).message.content, (await ask({ top_p: 0, seed: 9 })).message.content);
	const negative = await client.chat.completions.create({ ...plain, seed: -1 });
	assert.equal(negative.hokku.seed, '18446744073709551615');
	assert.equal((await client.chat.completions.create({ ...plain, model: 'org/other', user: 'u' })).model, 'org/other');
});

test('a refusal that a client sends back is the text of the turn that it was', async () => {
	const user = { role: 'user', content: 'Another.' };
	const prompt = async (message) => JSON.parse((await post(server, '/apply-template', { messages: [...messages, message, user] })).text).prompt;
	const ask = (message) => client.chat.completions.create({ ...plain, messages: [...messages, message, user] });
	const said = { role: 'assistant', content: 'I will not.' }, want = await prompt(said), { choices: [wanted] } = await ask(said);
	assert.match(want, /I will not\./);
	for (const message of [
		{ role: 'assistant', content: null, refusal: 'I will not.' },
		{ role: 'assistant', content: '', refusal: 'I will not.' },
		{ role: 'assistant', refusal: 'I will not.' },
		{ role: 'assistant', content: [{ type: 'refusal', refusal: 'I will not.' }] },
		{ role: 'assistant', content: 'I will not.', refusal: null },
	]) {
		assert.equal(await prompt(message), want, JSON.stringify(message));
		assert.equal((await ask(message)).choices[0].message.content, wanted.message.content, JSON.stringify(message));
	}
	await fails(ask({ role: 'assistant', content: null, refusal: null }), OpenAI.BadRequestError, 400, null, 'messages[1].content', 'messages[1].content is null');
	await fails(ask({ role: 'assistant', content: null, refusal: 5 }), OpenAI.BadRequestError, 400, null, 'messages[1].refusal', 'is 5; it takes a string');
	await fails(ask({ role: 'user', content: [{ type: 'refusal', refusal: 'no' }] }), OpenAI.BadRequestError, 400, null, 'messages[1].content[0].type', 'is "refusal"');
});

test('what has no effect is told in the answer, or the last chunk, and in a header', async () => {
	const asked = { ...plain, user: 'u', store: true, max_tokens: 2 };
	const wanted = ['user has no effect here', 'store has no effect here'];
	const whole = await post(server, '/v1/chat/completions', asked);
	assert.deepEqual([whole.json.warnings, JSON.parse(whole.headers.get('hokku-warnings'))], [wanted, wanted]);
	const streamed = await post(server, '/v1/chat/completions', { ...asked, stream: true });
	const told = streamed.text.split('\n\n').slice(0, -2).map((e) => JSON.parse(e.slice('data: '.length)).warnings);
	assert.deepEqual([told.pop(), told.every((w) => w === undefined), JSON.parse(streamed.headers.get('hokku-warnings'))], [wanted, true, wanted]);
	assert.equal((await post(server, '/v1/chat/completions', plain)).headers.get('hokku-warnings'), null);
	const native = await generate(server, { prompt: 'a', max_tokens: 1, stream: false, 'a\nの': 1 });
	assert.match(native.headers.get('hokku-warnings'), /^\["[ -~]*\]$/);
	assert.deepEqual(JSON.parse(native.headers.get('hokku-warnings')), native.json.warnings);
});

test('the fingerprint is that of all that answers depend on beside the request', async () => {
	const ask = async (server, more = {}) => (await post(server, '/v1/chat/completions', { ...plain, max_tokens: 1, ...more }));
	const print = (await ask(server)).json.system_fingerprint;
	assert.match(print, /^fp_[0-9a-f]{16}$/);
	const chunks = (await ask(server, { stream: true, stream_options: { include_usage: true } })).text.split('\n\n').slice(0, -2);
	assert.ok(chunks.every((c) => JSON.parse(c.slice('data: '.length)).system_fingerprint === print));
	const seen = new Map();
	for (const args of [['--threads', '2', '--parallel', '3'], ['--ctx', '500'], ['--cache-type-k', 'f16'], ['--chat-template', 'chatml'], ['--chat-template-kwargs', '{"a":1}'], ['--template-date', '2026-01-01'], ['--tool-dialect', 'mistral'], ['--reasoning-format', 'none'], ['--keep-billing-header'], ['--device', 'cpu:reference'], [model('tiny'), '--chat-template', 'chatml']]) {
		const other = await start(args);
		seen.set(args.join(' '), (await ask(other, endless)).json.system_fingerprint);
		await other.stop();
	}
	assert.equal([...seen.values()][0], print); // what no answer depends on
	assert.equal(new Set(seen.values()).size, seen.size, JSON.stringify([...seen]));
});

test('n samples are those of seed, seed + 1, ..., streamed and whole', async () => {
	const lone = [];
	for (const seed of [7, 8, 9]) lone.push(await client.chat.completions.create({ ...plain, seed }));
	const texts = lone.map((a) => a.choices[0].message.content);
	assert.equal(new Set(texts).size, 3);
	const whole = await client.chat.completions.create({ ...plain, n: 3 });
	assert.deepEqual(whole.choices.map((c) => [c.index, c.message.content]), [...texts.entries()]);
	const prompt_tokens = lone[0].usage.prompt_tokens, completion_tokens = lone.reduce((sum, a) => sum + a.usage.completion_tokens, 0);
	assert.deepEqual(whole.usage, { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, prompt_tokens_details: { cached_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 } });
	const { chunks, choices } = await collect(await client.chat.completions.create({ ...plain, n: 3, stream: true, stream_options: { include_usage: true } }));
	assert.deepEqual(choices.map((c) => [c.text, c.roles, c.finish]), texts.map((t) => [t, ['assistant'], ['stop']]));
	assert.deepEqual(chunks.at(-1).usage, whole.usage);
	assert.equal(chunks.filter((c) => c.hokku).length, 1);
	// The same by hokku's own route.
	const own = { messages, seed: 7, temperature: 1, n: 3 };
	const list = events((await generate(server, own)).text);
	assert.deepEqual(list.map((e) => e.kind).filter((k) => k !== 'token'), ['started', 'end', 'end', 'end']);
	const streamed = [0, 1, 2].map((k) => list.filter((e) => e.kind === 'token' && e.data.index === k).map((e) => e.data.t).join(''));
	assert.deepEqual(streamed, texts);
	assert.deepEqual(list.filter((e) => e.data.usage).map((e) => e.data.usage), [whole.usage]);
	const { json } = await generate(server, { ...own, stream: false });
	assert.deepEqual(json.samples.map((s) => [s.index, s.text]), [...texts.entries()]);
	assert.deepEqual([json.n, json.usage, json.text], [3, whole.usage, undefined]);
});

test('logprobs: the same numbers whole, streamed, again, in each sample and by /v1/generate', async () => {
	const asked = { ...plain, logprobs: true, top_logprobs: 20, n: 2 };
	const whole = await client.chat.completions.create(asked);
	const entries = whole.choices.map((c) => c.logprobs.content);
	assert.equal(entries[0].length + entries[1].length, whole.usage.completion_tokens);
	assert.deepEqual(entries[0][0].top_logprobs, entries[1][0].top_logprobs);
	for (const [k, choice] of whole.choices.entries()) {
		assert.equal(Buffer.from(entries[k].flatMap((e) => e.bytes)).toString(), choice.message.content);
		for (const e of entries[k]) {
			assert.equal(Buffer.from(e.bytes).toString(), e.token);
			assert.equal(e.top_logprobs.length, 20);
			assert.ok(e.top_logprobs.every((t, i, all) => t.logprob < 0 && (i === 0 || t.logprob <= all[i - 1].logprob)));
			assert.ok(e.top_logprobs.reduce((sum, t) => sum + Math.exp(t.logprob), 0) <= 1.000001);
			const at = e.top_logprobs.find((t) => t.token === e.token);
			assert.ok(at ? at.logprob === e.logprob : e.logprob <= e.top_logprobs[19].logprob);
		}
	}
	const again = await client.chat.completions.create(asked);
	assert.deepEqual(again.choices.map((c) => c.logprobs), whole.choices.map((c) => c.logprobs));
	const { choices } = await collect(await client.chat.completions.create({ ...asked, stream: true }));
	assert.deepEqual(choices.map((c) => c.logprobs), entries);
	const own = { messages, seed: 7, temperature: 1, logprobs: true, top_logprobs: 20, n: 2 };
	const bare = ({ id, ...rest }) => (assert.equal(typeof id, 'number'), rest);
	const same = (e) => ({ ...bare(e), top_logprobs: e.top_logprobs.map(bare) });
	const { json } = await generate(server, { ...own, stream: false });
	assert.deepEqual(json.samples.map((s) => s.logprobs.map(same)), entries);
	const tokens = events((await generate(server, own)).text).filter((e) => e.kind === 'token');
	assert.deepEqual([0, 1].map((k) => tokens.filter((e) => e.data.index === k).map((e) => same(e.data.logprobs))), entries);
	assert.ok(tokens.every((e) => e.data.id === e.data.logprobs.id));
	// Of the model's own distribution, whatever the sampling; without top_logprobs the token's alone.
	const cold = await client.chat.completions.create({ ...plain, logprobs: true, temperature: 0.01, max_tokens: 1, frequency_penalty: 1 });
	const [top] = entries[0][0].top_logprobs;
	assert.deepEqual(cold.choices[0].logprobs.content, [{ ...top, top_logprobs: [] }]);
});

const fails = (promise, kind, status, code, param, part) =>
	assert.rejects(promise, (e) => {
		assert.ok(e instanceof kind, `${e.constructor.name}: ${e.message}`);
		assert.deepEqual([e.status, e.code, e.param], [status, code, param]);
		assert.ok(e.message.includes(part), `${e.message} lacks ${part}`);
		return true;
	});

test('errors are those that the client has classes for', async () => {
	const ask = (more) => client.chat.completions.create({ ...plain, ...more });
	await fails(ask({ temperature: 1000 }), OpenAI.BadRequestError, 400, null, 'temperature', 'temperature is 1000; it takes a number from 0 to 100');
	await fails(ask({ stream: true, n: 0 }), OpenAI.BadRequestError, 400, null, 'n', 'n is 0');
	await fails(ask({ response_format: { type: 'json' } }), OpenAI.BadRequestError, 400, null, 'response_format.type', 'json_object');
	await fails(ask({ tempreature: 1 }), OpenAI.BadRequestError, 400, null, 'tempreature', 'did you mean "temperature"?');
	await fails(ask({ messages: [] }), OpenAI.BadRequestError, 400, null, 'messages', 'at least one');
	await fails(ask({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }), OpenAI.BadRequestError, 400, null, 'messages[0].content[0].type', 'image_url');
	await fails(ask({ logit_bias: { 99999: 1 } }), OpenAI.BadRequestError, 400, null, 'logit_bias', '99999');
	await fails(ask({ messages: [{ role: 'user', content: 'rain '.repeat(2000) }] }), OpenAI.BadRequestError, 400, 'context_length_exceeded', 'messages', 'the context holds 512');
	await fails(client.models.retrieve('org/other'), OpenAI.NotFoundError, 404, 'model_not_found', 'model', 'this server has "haiku"');
	await fails(client.completions.create({ model: 'haiku', prompt: 'a '.repeat(2000) }), OpenAI.BadRequestError, 400, 'context_length_exceeded', 'prompt', 'the context holds 512');
	assert.equal((await post(server, '/v1/chat/completions', '{nope')).json.error.type, 'invalid_request_error');
	assert.ok(await idle(server));
});

test('models', async () => {
	const list = await client.models.list();
	const { n_params, size } = list.data[0].meta;
	const meta = { vocab_type: 2, n_vocab: 6656, n_ctx_train: 512, n_ctx: 512, n_embd: list.data[0].meta.n_embd, n_params, size };
	assert.deepEqual(list.data, [{ id: 'haiku', object: 'model', created: list.data[0].created, owned_by: 'hokku', max_model_len: 512, meta }]);
	assert.ok(n_params > 1e6 && size > n_params && meta.n_embd > 0);
	assert.ok(Math.abs(list.data[0].created - Date.now() / 1000) < 600);
	assert.equal((await client.models.retrieve('haiku')).id, 'haiku');
	await fails(client.embeddings.create({ model: 'haiku', input: 'a' }), OpenAI.BadRequestError, 400, null, 'model', 'does not pool');
});

test('a base URL with a stroke too many is told which it should be', async () => {
	const twice = (baseURL) => new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
	for (const base of [`${server.url}/v1/v1`, `${server.url}//v1`, `${server.url}//v1//v1/`])
		await fails(twice(base).chat.completions.create(plain), OpenAI.NotFoundError, 404, 'not_found', null, 'did you mean /v1/chat/completions?');
	for (const [path, near] of [['/v1/chat/completions/', '/v1/chat/completions'], ['/v1/v1/v1/completions', '/v1/completions'], ['/v1/chat//completions', '/v1/chat/completions']]) {
		const { status, json } = await post(server, path, plain);
		assert.deepEqual([status, json.error.type], [404, 'invalid_request_error']);
		assert.ok(json.error.message.endsWith(`; did you mean ${near}?`), json.error.message);
	}
});

test('keys: the client sends its own', async () => {
	const keys = join(folder, 'openai-keys');
	model('tiny');
	writeFileSync(keys, 'a-good-key-1\nname=little key=a-good-key-2 tokens_per_minute=10\n');
	const guarded = await start(['--api-key-file', keys]);
	try {
		await fails(clientOf(guarded, 'a-bad-key-22').models.list(), OpenAI.AuthenticationError, 401, 'invalid_api_key', null, 'the API key is wrong');
		await fails(clientOf(guarded, 'a-bad-key-22').chat.completions.create(plain), OpenAI.AuthenticationError, 401, 'invalid_api_key', null, 'wrong');
		const good = clientOf(guarded, 'a-good-key-1');
		assert.equal((await good.models.list()).data.length, 1);
		assert.equal((await good.chat.completions.create({ ...plain, max_tokens: 2 })).usage.completion_tokens, 2);
		const little = clientOf(guarded, 'a-good-key-2');
		assert.equal((await little.chat.completions.create({ ...plain, max_tokens: 2 })).hokku.key, 'little');
		await fails(little.chat.completions.create(plain), OpenAI.RateLimitError, 429, 'rate_limit_exceeded', null, 'the key little has used its 10 tokens a minute');
	} finally {
		await guarded.stop();
	}
});

test('aborted, cancelled and refused requests leave nothing behind', async () => {
	const busy = await start([model('long'), '--chat-template', 'chatml', '--max-queue', '2']);
	try {
		const client = clientOf(busy);
		const endlessly = { model: 'x', messages, max_tokens: 100000, ...endless };
		const stream = await client.chat.completions.create({ ...endlessly, stream: true, n: 2 });
		for await (const chunk of stream) if (chunk.choices[0].delta.content) break; // ends the request
		await until(() => idle(busy), 5000, 'an aborted request to be gone');
		// Cancelled by its id: the error ends the stream, and the other sample with it.
		await assert.rejects(async () => {
			for await (const { id } of await client.chat.completions.create({ ...endlessly, stream: true, n: 2 })) await post(busy, '/v1/cancel', { id });
		}, (e) => e instanceof OpenAI.APIError && e.code === 'cancelled');
		await until(() => idle(busy), 5000, 'a cancelled request to be gone');
		// More samples than could ever be there, and more than there is room for now: all are refused together.
		await fails(client.chat.completions.create({ ...endlessly, n: 100 }), OpenAI.BadRequestError, 400, null, 'n', 'n is 100; 8 of its samples could run at a time and 2 wait');
		const taken = await client.chat.completions.create({ ...endlessly, stream: true, n: 8 });
		for await (const chunk of taken) {
			if (!chunk.choices[0].delta.content) continue;
			await fails(client.chat.completions.create({ ...endlessly, n: 3 }), OpenAI.InternalServerError, 503, 'overloaded', null, 'as many as may run or wait');
			break;
		}
		await until(() => idle(busy), 5000, 'a refused request to be gone');
		assert.equal((await client.chat.completions.create({ ...endlessly, max_tokens: 2, n: 2 })).usage.completion_tokens, 4);
	} finally {
		await busy.stop();
	}
});

// Puts keys before those of a GGUF file; a string fills them up to a multiple of the alignment. Its model is called org/synthetic-64-F32.
function addKeys(from, to, pairs) {
	const text = (s) => {
		const b = Buffer.alloc(8 + Buffer.byteLength(s));
		b.writeBigUInt64LE(BigInt(Buffer.byteLength(s)));
		b.write(s, 8);
		return b;
	};
	const kv = (key, type, value) => Buffer.concat([text(key), Buffer.from([type, 0, 0, 0]), value]);
	const f32 = (x) => new Uint8Array(Float32Array.of(x).buffer);
	const parts = pairs.map(([key, x]) => kv(key, 6, f32(x)));
	const n = parts.reduce((sum, p) => sum + p.length, 0) + kv('pad', 8, text('')).length;
	parts.push(kv('pad', 8, text(' '.repeat((32 - (n % 32)) % 32))));
	const file = readFileSync(from);
	file.writeBigUInt64LE(file.readBigUInt64LE(16) + BigInt(parts.length), 16);
	file.write('org/synthetic-64-F32', file.indexOf('synthetic 2 x 64 F32'));
	writeFileSync(to, Buffer.concat([file.subarray(0, 24), ...parts, file.subarray(24)]));
}

test("sampling that the model's file recommends goes before the defaults, the request's before both", async () => {
	const path = join(folder, `advice-${process.pid}.gguf`);
	addKeys(model('tiny'), path, [['general.sampling.temp', 0.25], ['general.sampling.top_k', 5], ['general.sampling.nothing_here', 2]]);
	const advised = await start([path, '--chat-template', 'chatml']);
	try {
		const asked = { model: 'x', messages, seed: 3, max_tokens: 12, ...endless };
		const answer = await clientOf(advised).chat.completions.create(asked);
		assert.equal((await clientOf(advised).models.retrieve('org/synthetic-64-F32')).id, 'org/synthetic-64-F32');
		assert.equal((await (await fetch(`${advised.url}/v1/models/org/synthetic-64-F32`)).json()).id, 'org/synthetic-64-F32');
		const { logit_bias, ...sampling } = answer.hokku.sampling;
		assert.deepEqual(sampling, { temperature: 0.25, top_k: 5, top_p: 1, min_p: 0, repetition_penalty: 1, frequency_penalty: 0, presence_penalty: 0 });
		assert.equal((await clientOf(advised).chat.completions.create({ ...asked, temperature: 1.5 })).hokku.sampling.temperature, 1.5);
		const own = (await generate(advised, { prompt: 'autumn', seed: 3, max_tokens: 12, stream: false, ...endless })).json;
		assert.deepEqual([own.sampling.temperature, own.sampling.top_k], [0.25, 5]);
		assert.match(advised.log, /"general\.sampling\.nothing_here" asks for a stage of sampling that there is none of here/);
		const run = (...args) => execFileSync(hokku, ['run', path, '--raw', '-p', 'autumn', '-n', '12', '--seed', '3', ...Object.keys(endless.logit_bias).flatMap((id) => ['--logit-bias', `${id}=-100`]), ...args], { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
		assert.equal(run(), `${own.text}\n`);
		assert.notEqual(run('--temperature', '3'), run());
	} finally {
		await advised.stop();
		rmSync(path);
	}
});
