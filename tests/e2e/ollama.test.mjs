// Ollama's API as its official client uses it, and as curl does: chat and generate, whole and streamed, shapes, contexts, what is
// served, errors, aborts, keys.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { Ollama } from 'ollama';
import { folder, generate, idle, model, post, sanitized, start, until } from './server_common.mjs';

let server, client;
before(async () => {
	server = await start(['--threads', '1']); // the haiku model inside the program
	client = clientOf(server);
});
after(() => server.stop());

const clientOf = (server, headers) => new Ollama({ host: server.url, headers });
const content = 'Write a haiku about autumn rain.';
const messages = [{ role: 'user', content }];
const chat = { model: 'haiku', messages, options: { seed: 7 } };
const prompt = { model: 'haiku', prompt: content, options: { seed: 7 } };
const ollamaDefaults = { temperature: 0.8, top_k: 40, top_p: 0.9, repeat_last_n: 64 };
const own = async (more) => (await generate(server, { messages, seed: 7, ...ollamaDefaults, stream: false, ...more })).json;

async function collect(stream) {
	const parts = [];
	for await (const part of stream) parts.push(part);
	return parts;
}

function checkEnd(end, answer) {
	assert.equal(end.done, true);
	assert.equal(end.done_reason, 'stop');
	assert.match(end.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
	assert.ok(Math.abs(Date.parse(end.created_at) - Date.now()) < 60000);
	assert.deepEqual([end.prompt_eval_count, end.eval_count, end.load_duration], [answer.prompt_tokens, answer.tokens_out, 0]);
	for (const name of ['total_duration', 'prompt_eval_duration', 'eval_duration']) assert.ok(Number.isInteger(end[name]) && end[name] > 0, name);
	assert.ok(end.prompt_eval_duration + end.eval_duration <= end.total_duration);
	assert.deepEqual(end.hokku.sampling, answer.sampling);
	assert.equal(end.hokku.seed, 7);
}

test('chat: a whole answer has the text of /v1/generate with the same sampling and seed', async () => {
	const answer = await own();
	const whole = await client.chat({ ...chat, stream: false });
	assert.deepEqual(whole.message, { role: 'assistant', content: answer.text });
	assert.ok(answer.text.length > 10);
	assert.equal(whole.model, 'haiku');
	checkEnd(whole, answer);
	assert.equal(whole.warnings, undefined);
	// The next turn sends the answer's message back as it came.
	const next = { ...chat, messages: [...messages, whole.message, { role: 'user', content: 'Another.' }], stream: false };
	assert.equal((await client.chat(next)).message.content, (await own({ messages: next.messages })).text);
});

test('chat and generate stream the same, one object a line, and stream where nothing is said', async () => {
	const answer = await own();
	for (const [path, body, text] of [
		['/api/chat', chat, (part) => part.message.content],
		['/api/generate', prompt, (part) => part.response],
	]) {
		const raw = await post(server, path, body);
		assert.equal(raw.headers.get('content-type'), 'application/x-ndjson');
		assert.ok(raw.text.endsWith('}\n'));
		const lines = raw.text.trimEnd().split('\n').map((line) => JSON.parse(line));
		const parts = await collect(await client[path.slice(5)]({ ...body, stream: true }));
		for (const list of [lines, parts]) {
			assert.equal(list.map(text).join(''), answer.text);
			assert.deepEqual(list.map((p) => p.done), [...list.slice(1).map(() => false), true]);
			assert.ok(list.every((p) => p.model === 'haiku' && p.created_at.length === 30));
			assert.equal(text(list.at(-1)), '');
			checkEnd(list.at(-1), answer);
		}
		assert.ok(parts.length > 5);
		const whole = await post(server, path, { ...body, stream: false });
		assert.match(whole.headers.get('content-type'), /^application\/json/);
		assert.equal(text(whole.json), answer.text);
		assert.deepEqual(whole.json.context, parts.at(-1).context);
	}
});

test('generate: system, raw, and the context of an earlier answer', async () => {
	const ask = async (more) => client.generate({ ...prompt, stream: false, ...more });
	const system = 'Answer in one line.';
	const instructed = await ask({ system });
	assert.equal(instructed.response, (await own({ messages: [{ role: 'system', content: system }, ...messages] })).text);
	// What the template makes of a prompt, as text: names of special tokens in it are those tokens.
	const templated = await ask({});
	const raw = `<|im_start|>user\n${content}<|im_end|>\n<|im_start|>assistant\n`;
	const direct = await ask({ prompt: raw, raw: true });
	assert.deepEqual([direct.response, direct.prompt_eval_count, direct.context], [templated.response, templated.prompt_eval_count, undefined]);
	// A context is the ids of prompt and answer; what comes after it goes behind them.
	const { context } = templated;
	assert.equal(context.length, templated.prompt_eval_count + templated.eval_count);
	assert.ok(context.every(Number.isInteger));
	const second = await ask({ prompt: 'Another.', context });
	const bare = await ask({ prompt: 'Another.' });
	assert.deepEqual(second.context.slice(0, context.length), context);
	assert.equal(second.prompt_eval_count, context.length + bare.prompt_eval_count);
	const ids = second.context.slice(0, second.prompt_eval_count);
	assert.equal((await generate(server, { prompt: ids, seed: 7, ...ollamaDefaults, stream: false })).json.text, second.response);
	const cut = await ask({ options: { seed: 7, num_predict: 3 } });
	assert.deepEqual([cut.done_reason, cut.eval_count], ['length', 3]);
	assert.ok(templated.response.startsWith(cut.response));
	assert.deepEqual(cut.context, context.slice(0, cut.prompt_eval_count + 3));
});

test('options do what they say', async () => {
	const ask = async (options, more) => client.chat({ ...chat, stream: false, options: { seed: 7, ...options }, ...more });
	const text = (await ask({})).message.content;
	const stopped = await ask({ stop: ['no such text', text.slice(8, 12)] });
	assert.deepEqual([stopped.message.content, stopped.done_reason], [text.slice(0, text.indexOf(text.slice(8, 12))), 'stop']);
	assert.equal((await ask({ temperature: 0 })).message.content, (await ask({ top_p: 0, seed: 9 })).message.content);
	assert.equal((await ask({ top_k: 1 })).message.content, (await ask({ temperature: 0 })).message.content);
	assert.equal((await ask({ temperature: 1, top_k: 0, top_p: 1 })).message.content, (await own({ temperature: 1, top_k: 0, top_p: 1 })).text);
	const penal = { repeat_penalty: 1.5, presence_penalty: 1, frequency_penalty: 1 };
	assert.equal((await ask({ ...penal, repeat_last_n: -1 })).message.content, (await own({ repetition_penalty: 1.5, presence_penalty: 1, frequency_penalty: 1, repeat_last_n: -1 })).text);
	assert.equal((await ask({ ...penal, repeat_last_n: 0 })).message.content, text);
	const seeds = await Promise.all([1, 2].map(() => client.chat({ ...chat, options: { seed: -1 }, stream: false })));
	assert.notEqual(seeds[0].hokku.seed, seeds[1].hokku.seed);
	const told = await ask({ num_gpu: 1, num_ctx: 128, num_thread: 4 }, { keep_alive: '5m' });
	assert.equal(told.message.content, text);
	assert.deepEqual(told.warnings, [
		'options.num_gpu has no effect here',
		'options.num_thread has no effect here',
		'keep_alive has no effect here: the model stays',
		'options.num_ctx is 128 and has no effect here: the context has 512 tokens',
	]);
	const { headers } = await post(server, '/api/chat', { ...chat, keep_alive: -1, stream: false });
	assert.deepEqual(JSON.parse(headers.get('hokku-warnings')), ['keep_alive has no effect here: the model stays']);
});

test('format: json is an object, a schema is kept to', async () => {
	const schema = { type: 'object', properties: { age: { type: 'integer', maximum: 150, minimum: 0 }, season: { enum: ['autumn', 'spring'] } }, required: ['age', 'season'], additionalProperties: false };
	const valid = new Ajv().compile(schema);
	for (const seed of sanitized ? [1] : [1, 2, 3, 4]) {
		const { message } = await client.chat({ ...chat, format: schema, options: { seed, temperature: 1.5 }, stream: false });
		assert.ok(valid(JSON.parse(message.content)), message.content);
		const parts = await collect(await client.generate({ ...prompt, format: schema, options: { seed, temperature: 1.5 }, stream: true }));
		assert.equal(parts.map((p) => p.response).join(''), message.content);
		const { response } = await client.generate({ ...prompt, format: 'json', options: { seed, stop: ['"'] }, stream: false });
		assert.ok(response === '{' || response === '{}', response);
	}
	await assert.rejects(client.chat({ ...chat, format: { type: 'object', required: 3 }, stream: false }), { status_code: 400, message: /^format.*required/ });
});

test('logprobs: of each token, whole and streamed, those of /v1/generate', async () => {
	const asked = { ...chat, logprobs: true, top_logprobs: 3 };
	const whole = await client.chat({ ...asked, stream: false });
	const answer = await own({ logprobs: true, top_logprobs: 3 });
	const bare = ({ id, ...rest }) => (assert.equal(typeof id, 'number'), rest);
	assert.deepEqual(whole.logprobs, answer.logprobs.map((e) => ({ ...bare(e), top_logprobs: e.top_logprobs.map(bare) })));
	assert.ok(whole.logprobs.length > 5 && whole.logprobs[0].top_logprobs.length === 3);
	const parts = await collect(await client.chat({ ...asked, stream: true }));
	assert.deepEqual(parts.flatMap((p) => p.logprobs ?? []), whole.logprobs);
});

test('the model is asked for alone', async () => {
	for (const [ask, more] of [
		[client.generate, { prompt: '' }],
		[client.chat, { messages: [] }],
	])
		for (const stream of [true, false])
			for (const keep_alive of [undefined, 0]) {
				const got = await ask.call(client, { model: 'haiku', ...more, stream, keep_alive });
				const [answer] = stream ? await collect(got) : [got];
				assert.deepEqual([answer.model, answer.done, answer.done_reason], ['haiku', true, keep_alive === 0 ? 'unload' : 'load']);
			}
});

test('list, show, ps, version, HEAD /', async () => {
	const [listed] = (await client.list()).models;
	assert.equal(listed.name, 'haiku:latest');
	assert.equal(listed.model, 'haiku:latest');
	assert.ok(listed.size > 1e6 && /^[0-9a-f]{64}$/.test(listed.digest) && Date.parse(listed.modified_at) <= Date.now());
	assert.deepEqual(listed.details, { parent_model: '', format: 'gguf', family: 'qwen2', families: ['qwen2'], parameter_size: '3.25M', quantization_level: 'Q8_0', context_length: 512, embedding_length: 192 });
	const [running] = (await client.ps()).models;
	assert.deepEqual([running.name, running.digest, running.details, running.context_length, running.size_vram], ['haiku:latest', listed.digest, listed.details, 512, 0]);
	assert.ok(running.size > listed.size && Date.parse(running.expires_at) > Date.now() + 1e12);
	assert.equal((await client.version()).version, (await server.health()).version);
	const shown = await client.show({ model: 'haiku' });
	assert.equal(shown.warnings, undefined);
	assert.deepEqual((await client.show({ model: 'haiku', template: 't', options: { temperature: 0 } })).warnings, ['template has no effect here', 'options has no effect here']);
	assert.deepEqual([shown.details, shown.modified_at, shown.capabilities], [listed.details, listed.modified_at, ['completion']]);
	assert.match(shown.template, /<\|im_start\|>/);
	assert.deepEqual([shown.model_info['general.architecture'], shown.model_info['qwen2.context_length'], shown.model_info['tokenizer.ggml.tokens']], ['qwen2', 512, null]);
	const verbose = (await post(server, '/api/show', { model: 'haiku', verbose: true })).json;
	assert.equal(verbose.model_info['tokenizer.ggml.tokens'].length, 6656);
	assert.ok(verbose.tensors.length > 20);
	for (const path of ['/', '/api/version', '/api/tags']) {
		const head = await fetch(server.url + path, { method: 'HEAD' });
		assert.deepEqual([head.status, await head.text()], [200, '']);
	}
	for (const name of ['haiku', 'haiku:latest', 'Haiku:LATEST']) assert.equal((await client.generate({ model: name, prompt: '' })).model, name);
});

test('errors are what the client shows', async () => {
	const rows = [
		[() => client.chat({ ...chat, model: 'llama3' }), 404, "model 'llama3' not found: this server has 'haiku'"],
		[() => client.generate({ ...prompt, model: 'haiku:7b' }), 404, "model 'haiku:7b' not found: this server has 'haiku'"],
		[() => client.chat({ ...chat, model: undefined }), 400, 'model is required; GET /api/tags lists what there is'],
		[() => client.chat({ ...chat, options: { num_ctx: 4096 } }), 400, "options.num_ctx is 4096; this server's context has 512 tokens: ask for that many at most, or start it with a larger --ctx"],
		[() => client.chat({ ...chat, options: { num_ctxx: 4096 } }), 400, 'options.num_ctxx is no option that this server knows; did you mean "num_ctx"?'],
		[() => client.chat({ ...chat, messages: [{ ...messages[0], images: [new Uint8Array([1, 2])] }] }), 400, "messages[0].images holds 1; this server's models read text alone"],
		[() => client.generate({ ...prompt, images: ['aGk='] }), 400, "images holds 1; this server's models read text alone"],
		[() => client.generate({ ...prompt, prompt: 'a '.repeat(2000) }), 400, 'the prompt has 2,009 tokens, the context holds 512'],
		[() => client.generate({ ...prompt, context: [7, 1000000] }), 400, "context[1] is 1000000; this model's token ids run from 0 to 6655"],
		[() => client.generate({ ...prompt, suffix: 'b' }), 400, /^suffix is given, but this model's vocabulary has no tokens/],
		[() => client.generate({ ...prompt, raw: true, system: 's' }), 400, 'raw mode does not support template, system, or context: the prompt is all there is'],
	];
	for (const [answer, status_code, message] of rows) await assert.rejects(answer(), { name: 'ResponseError', status_code, message });
	for (const ask of [() => client.embed({ model: 'haiku', input: 'a' }), () => client.embeddings({ model: 'haiku', prompt: 'a' })])
		await assert.rejects(ask(), { status_code: 400, message: "the model 'haiku' does not support embeddings: it writes text, and has no layer that pools" });
	await assert.rejects(client.show({ model: 'x' }), { status_code: 404, message: "model 'x' not found: this server has 'haiku'" });
	const bad = await post(server, '/api/chat', '{"model":');
	assert.equal(bad.status, 400);
	assert.match(bad.json.error, /^the body is no valid JSON/);
	for (const [path, status] of [['/api/pull', 501], ['/api/push', 501], ['/api/create', 501], ['/api/copy', 501], ['/api/blobs/sha256:00', 501], ['/api/nowhere', 404]]) {
		const { json, ...answer } = await post(server, path, { model: 'x' });
		assert.equal(answer.status, status);
		assert.match(json.error, /not done by this server|there is no path/);
	}
	await assert.rejects(client.delete({ model: 'haiku' }), { status_code: 501, message: /^\/api\/delete is not done by this server/ });
	assert.equal((await fetch(`${server.url}/api/chat`)).status, 405);
});

// An answer that goes on for longer than anybody waits.
const long = { prompt: 'a', raw: true, stream: true, format: { type: 'string', minLength: 100000 } };

test('an abort ends the request; keys', async () => {
	mkdirSync(folder, { recursive: true });
	const keys = join(folder, `ollama-keys-${process.pid}`);
	writeFileSync(keys, 'secret-of-ollama-tests\n');
	const busy = await start([model('long'), '--api-key-file', keys]);
	const mine = clientOf(busy, { Authorization: 'Bearer secret-of-ollama-tests' });
	const [{ name }] = (await mine.list()).models;
	const stream = await mine.generate({ ...long, model: name });
	let seen = 0;
	await assert.rejects(async () => {
		for await (const part of stream) {
			assert.equal(part.done, false);
			if (++seen === 3) mine.abort();
		}
	}, { name: 'AbortError' });
	await until(() => idle(busy), 60000, 'the aborted request to end');
	assert.ok(seen >= 3);
	const { counters, queue } = await busy.health();
	assert.equal(queue.cancelled, 1, JSON.stringify(counters));
	await assert.rejects(clientOf(busy).chat({ ...chat, model: name }), { status_code: 401, message: /API key/ });
	await assert.rejects(clientOf(busy).version(), { status_code: 401, message: /API key/ });
	await busy.stop();
	rmSync(keys);
});

test('what ends a stream that has begun comes as its last line', async () => {
	const short = await start([model('long'), '--request-timeout', '1']);
	const [{ name }] = (await clientOf(short).list()).models;
	await assert.rejects(async () => {
		for await (const part of await clientOf(short).generate({ ...long, model: name })) assert.equal(part.done, false);
	}, { message: 'the request ran longer than the 1 seconds it is allowed (--request-timeout)' });
	await short.stop();
});
