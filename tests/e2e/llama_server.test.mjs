// llama-server's own routes, as programs that were made for it use them.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assemble, parse } from '../split_gguf.mjs';
import { endless, folder, model, post, start, until } from './server_common.mjs';

let server;
before(async () => (server = await start(['--threads', '1'])));
after(() => server.stop());

const get = async (path) => {
	const response = await fetch(server.url + path);
	return { status: response.status, json: await response.json() };
};
const ok = async (path, body) => {
	const answer = await post(server, path, body);
	assert.equal(answer.status, 200, answer.text);
	return answer.json;
};

test('text becomes ids and comes back, piece by piece', async () => {
	const content = 'What falls on the roof tonight? 媽 🤗';
	const { tokens } = await ok('/tokenize', { content });
	assert.equal((await ok('/detokenize', { tokens })).content, content);
	const pieces = (await ok('/tokenize', { content, with_pieces: true })).tokens;
	assert.deepEqual(pieces.map((p) => p.id), tokens);
	const bytes = pieces.map((p) => (typeof p.piece === 'string' ? Buffer.from(p.piece) : Buffer.from(p.piece)));
	assert.equal(Buffer.concat(bytes).toString(), content);
	assert.ok(pieces.some((p) => Array.isArray(p.piece)), 'a part of a character');
	const joined = (await ok('/tokenize', { content: [tokens[0], content, '<|im_end|>'] })).tokens;
	assert.deepEqual(joined.slice(0, -1), [tokens[0], ...tokens]);
	assert.equal((await ok('/detokenize', { tokens: joined.slice(-1) })).content, '<|im_end|>');
});

test('a conversation becomes the prompt whose tokens it has', async () => {
	const messages = [{ role: 'user', content: 'rain' }];
	const { prompt } = await ok('/apply-template', { messages });
	assert.equal(prompt, '<|im_start|>user\nrain<|im_end|>\n<|im_start|>assistant\n');
	const { tokens } = await ok('/tokenize', { content: prompt, add_special: true });
	const whole = await ok('/v1/generate', { messages, max_tokens: 1, stream: false });
	assert.equal(whole.prompt_tokens, tokens.length);
});

test('tools that the template does not list are told in a message', async () => {
	const messages = [{ role: 'user', content: 'rain' }];
	const tools = [{ type: 'function', function: { name: 'clock', description: 'd', parameters: { type: 'object', properties: {} } } }];
	const { prompt } = await ok('/apply-template', { messages, tools });
	assert.match(prompt, /^<\|im_start\|>system\nYou can call these tools[^]*"name": "clock"[^]*<tool_call>\n\{"name": "NAME"[^]*<\|im_end\|>\n<\|im_start\|>user\nrain/);
	const { tokens } = await ok('/tokenize', { content: prompt, add_special: true });
	const answer = await ok('/v1/chat/completions', { messages, tools, max_tokens: 1 });
	assert.equal(answer.usage.prompt_tokens, tokens.length);
});

test('the server tells what it is', async () => {
	const props = (await get('/props')).json;
	assert.equal(props.model_alias, 'haiku');
	assert.match(props.chat_template, /im_start/);
	assert.deepEqual([props.bos_token, props.eos_token], ['<|endoftext|>', '<|im_end|>']);
	assert.equal(props.total_slots, 8);
	const { params, n_ctx } = props.default_generation_settings;
	assert.equal(n_ctx, (await server.health()).n_ctx);
	assert.deepEqual([params.temperature, params.top_k, params.top_p, params.min_p, params.repeat_penalty], [0.8, 40, 0.95, 0.05, 1]);
	assert.deepEqual((await get('/lora-adapters')).json, []);
	assert.equal((await get('/v1/health')).json.status, 'ok');
	assert.deepEqual((await get('/models')).json.data.map((m) => m.id), ['haiku']);
});

test('errors have its form', async () => {
	for (const [path, body, status, type, field] of [
		['/tokenize', {}, 400, 'invalid_request_error', 'content'],
		['/detokenize', { tokens: [1e9] }, 400, 'invalid_request_error', 'tokens[0]'],
		['/apply-template', { messages: [] }, 400, 'invalid_request_error', 'messages'],
		['/tokenize', '{', 400, 'invalid_request_error', undefined],
		['/props', {}, 501, 'not_supported_error', undefined],
		['/rerank', { query: 'a', documents: ['b'] }, 400, 'invalid_request_error', undefined],
		['/embedding', { content: 'a' }, 400, 'invalid_request_error', undefined],
	]) {
		const answer = await post(server, path, body);
		assert.equal(answer.status, status, path);
		assert.deepEqual([answer.json.error.code, answer.json.error.type, answer.json.error.field], [status, type, field]);
		assert.ok(answer.json.error.message.length > 20, answer.text);
	}
});

const chatml = (text) => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`;
const prompt = chatml('Write a haiku about autumn rain.');

// The objects of a stream: whole events alone.
const objects = (text) => {
	assert.ok(text.endsWith('\n\n'));
	return text.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => JSON.parse(e.slice(6)));
};

test('/completion answers as /v1/generate does with its sampling, whole and streamed', async () => {
	const whole = await ok('/completion', { prompt, seed: 3, return_tokens: true, n_probs: 2 });
	const { params } = (await get('/props')).json.default_generation_settings;
	const own = await ok('/v1/generate', {
		messages: [{ role: 'user', content: 'Write a haiku about autumn rain.' }],
		seed: 3, stream: false, temperature: params.temperature, top_k: params.top_k, top_p: params.top_p, min_p: params.min_p,
	});
	assert.equal(whole.content, own.text);
	assert.ok(whole.content.length > 10);
	assert.equal(whole.prompt, prompt);
	assert.equal(whole.tokens.length, whole.tokens_predicted);
	assert.deepEqual([whole.tokens_predicted, whole.tokens_evaluated], [own.tokens_out, own.prompt_tokens]);
	assert.equal((await ok('/detokenize', { tokens: whole.tokens })).content, whole.content);
	assert.deepEqual(whole.completion_probabilities.map((p) => [p.id, p.top_logprobs.length]), whole.tokens.map((id) => [id, 2]));
	assert.deepEqual([whole.stop, whole.stop_type, whole.truncated, whole.model], [true, 'eos', false, 'haiku']);
	assert.equal(whole.timings.prompt_n + whole.timings.cache_n, whole.tokens_evaluated);

	const { text, headers } = await post(server, '/completions', { prompt, seed: 3, stream: true, n_probs: 2 });
	assert.match(headers.get('content-type'), /^text\/event-stream/);
	const chunks = objects(text), last = chunks.pop();
	assert.equal(chunks.map((c) => c.content).join(''), whole.content);
	assert.deepEqual(chunks.flatMap((c) => c.tokens), whole.tokens);
	assert.deepEqual(chunks.flatMap((c) => c.completion_probabilities), whole.completion_probabilities);
	assert.ok(chunks.every((c) => c.stop === false) && last.stop === true);
	assert.deepEqual([last.content, last.tokens, last.stop_type, last.prompt], ['', [], 'eos', prompt]);
	assert.deepEqual({ ...last.generation_settings, stream: false }, whole.generation_settings);
});

test('/completion: post_sampling_probs are those that tokens are drawn with, whole and streamed', async () => {
	const request = { prompt, seed: 3, n_predict: 8, n_probs: 20, post_sampling_probs: true };
	const { content, completion_probabilities: told, generation_settings: settings } = await ok('/completion', { ...request, top_k: 5 });
	const plain = await ok('/completion', { ...request, top_k: 5, post_sampling_probs: false });
	assert.equal(content, plain.content);
	assert.equal(settings.post_sampling_probs, true);
	for (const [i, { id, token, prob, bytes, top_probs: top }] of told.entries()) {
		assert.deepEqual([id, token, bytes], [plain.completion_probabilities[i].id, plain.completion_probabilities[i].token, plain.completion_probabilities[i].bytes]);
		assert.ok(top.length >= 1 && top.length <= 5, `${top.length} after top_k 5`);
		assert.equal(top.find((t) => t.id === id).prob, prob);
		assert.ok(top.every((t, k) => t.prob > 0 && (!k || t.prob <= top[k - 1].prob)));
		assert.ok(Math.abs(top.reduce((sum, t) => sum + t.prob, 0) - 1) < 1e-5);
	}
	const streamed = objects((await post(server, '/completion', { ...request, top_k: 5, stream: true })).text);
	assert.deepEqual(streamed.flatMap((c) => c.completion_probabilities ?? []), told);
	const greedy = await ok('/completion', { ...request, temperature: 0 });
	assert.ok(greedy.completion_probabilities.every((p) => p.prob === 1 && p.top_probs.length === 1 && p.top_probs[0].id === p.id));
	// Without a cut, at temperature 1 and of no penalty they are the model's own.
	const whole = { ...request, temperature: 1, top_k: 0, top_p: 1, min_p: 0 };
	const [a, b] = [await ok('/completion', whole), await ok('/completion', { ...whole, post_sampling_probs: false })];
	for (const [i, { prob, top_probs: top }] of a.completion_probabilities.entries()) {
		const { logprob, top_logprobs: logs } = b.completion_probabilities[i];
		assert.ok(Math.abs(Math.log(prob) - logprob) < 1e-4);
		assert.deepEqual(top.map((t) => t.id), logs.map((t) => t.id));
	}
});

test('/completion: limits, stop texts, members, samples, a shape, errors before and after the engine', async () => {
	const ask = (more) => ok('/completion', { prompt, seed: 3, ...more });
	const all = await ask({});
	assert.deepEqual(await ask({ n_predict: 3, response_fields: ['stop_type', 'tokens_predicted', 'generation_settings/n_predict'] }), {
		stop_type: 'limit', tokens_predicted: 3, 'generation_settings/n_predict': 3,
	});
	const word = all.content.split(/[ \n]/)[2];
	const stopped = await ask({ stop: ['not there at all', word] });
	assert.deepEqual([stopped.content, stopped.stop_type, stopped.stopping_word], [all.content.slice(0, all.content.indexOf(word)), 'word', word]);
	assert.deepEqual((await ask({ n_predict: 1, samplers: ['top_k', 'temperature'] })).generation_settings.samplers, ['temperature', 'top_k']);
	const none = await ask({ n_predict: 0 });
	assert.deepEqual([none.content, none.tokens_predicted, none.tokens_evaluated, none.stop_type], ['', 0, all.tokens_evaluated, 'limit']);
	const { text } = await post(server, '/completion', { prompt, n_predict: 0, stream: true });
	assert.deepEqual(objects(text).map((c) => [c.stop, c.content]), [[true, '']]);
	const samples = await ask({ n_cmpl: 2 });
	assert.deepEqual(samples.map((s) => s.index), [0, 1]);
	assert.equal(samples[0].content, all.content);
	// Prompts of several kinds: each has the answer that it has alone.
	const alone = await ask({ prompt: 'a', n_predict: 5 });
	const { tokens } = await ok('/tokenize', { content: prompt, add_special: true });
	const several = await ask({ prompt: [prompt, tokens, { prompt_string: prompt }, 'a', [tokens[0], prompt.slice('<|im_start|>'.length)]], n_predict: 5 });
	const five = await ask({ n_predict: 5 });
	assert.deepEqual(several.map((s) => s.content), [five, five, five, alone, five].map((s) => s.content));
	assert.deepEqual(several.map((s) => [s.index, s.prompt]), [prompt, prompt, prompt, 'a', prompt].map((p, i) => [i, p]));
	assert.deepEqual(several.map((s) => s.tokens_evaluated), [five, five, five, alone, five].map((s) => s.tokens_evaluated));
	assert.equal((await ask({ grammar: 'root ::= "yes" | "no"' })).content.match(/^(yes|no)$/)?.length, 2);
	assert.deepEqual(Object.keys(JSON.parse((await ask({ json_schema: { type: 'object', properties: { a: { const: 1 } }, required: ['a'], additionalProperties: false } })).content)), ['a']);
	const told = await ask({ t_max_predict_ms: 1000, n_predict: 1 });
	assert.deepEqual(told.warnings, ['t_max_predict_ms has no effect here']);
	const tooLong = async (prompt) => (await post(server, '/completion', { prompt })).json.error;
	for (const prompt of [Array(600).fill(5), ['a', Array(600).fill(5), Array(700).fill(5)]]) {
		const { n_prompt_tokens, n_ctx, type } = await tooLong(prompt);
		assert.deepEqual([n_prompt_tokens, n_ctx, type], [600, 512, 'exceed_context_size_error']);
	}
	for (const [body, type, field, message] of [
		[{ prompt: 'a', mirostat: 3 }, 'invalid_request_error', 'mirostat', /is 3; it takes a whole number from 0 to 2/],
		[{ prompt: 'a', min_keep: 3 }, 'invalid_request_error', 'min_keep', /no such sampler/],
		[{ prompt: ['a', 7.5] }, 'invalid_request_error', 'prompt[1]', /is 7.5/],
		[{ prompt: [] }, 'invalid_request_error', 'prompt', /has 0 prompts/],
		[{ prompt: 'a', id_slot: 8 }, 'invalid_request_error', 'id_slot', /there are slots 0 to 7/],
		[{ prompt: 'a', grammar: 'root :=' }, 'invalid_request_error', 'grammar', /line 1 column 6/],
		[{ prompt: Array(600).fill(5) }, 'exceed_context_size_error', undefined, /600.*512/],
	]) {
		const answer = await post(server, '/completion', body);
		assert.deepEqual([answer.status, answer.json.error.code, answer.json.error.type], [400, 400, type], answer.text);
		assert.equal(answer.json.error.field, field);
		assert.match(answer.json.error.message, message);
	}
});

test('/infill is refused where the vocabulary has no tokens for it', async () => {
	const answer = await post(server, '/infill', { input_prefix: 'a', input_suffix: 'b' });
	assert.deepEqual([answer.status, answer.json.error.type], [501, 'not_supported_error']);
});

test('slots: who runs where, and what is computed goes into a file by its slot', async (t) => {
	const dir = mkdtempSync(join(tmpdir(), 'hokku-slots-'));
	const states = await start([model('long'), '--ctx', '100000', '--threads', '1', '--parallel', '2', '--state-dir', dir]);
	t.after(async () => {
		await states.stop();
		rmSync(dir, { recursive: true });
	});
	const list = async () => (await fetch(`${states.url}/slots`)).json();
	assert.deepEqual(await list(), [0, 1].map((id) => ({ id, id_task: -1, n_ctx: 100000, speculative: false, is_processing: false })));
	const long = Array.from({ length: 300 }, (_, i) => i % 250);
	const first = (await post(states, '/completion', { prompt: long, id_slot: 1, n_predict: 4, seed: 1 })).json;
	assert.equal(first.id_slot, 1);
	assert.equal((await post(states, '/completion', { prompt: [1], n_predict: 1 })).json.id_slot, 0);
	const saved = await post(states, '/slots/1?action=save', { filename: 'rain.bin' });
	assert.deepEqual([saved.status, saved.json.id_slot, saved.json.filename], [200, 1, 'rain.bin'], saved.text);
	assert.ok(saved.json.n_saved >= first.tokens_evaluated && saved.json.n_written > 1000);
	const restored = await post(states, '/slots/0?action=restore', { filename: 'rain.bin' });
	assert.deepEqual([restored.status, restored.json.n_restored, restored.json.n_read], [200, saved.json.n_saved, saved.json.n_written], restored.text);
	const again = (await post(states, '/completion', { prompt: long, n_predict: 4, seed: 1 })).json;
	assert.equal(again.content, first.content);
	assert.ok(again.timings.cache_n > 100);
	for (const [path, body, status, message] of [
		['/slots/1?action=restore', { filename: 'other' }, 404, /"other" is not there/],
		['/slots/1?action=save', { filename: '../x' }, 400, /filename is the string/],
		['/slots/1?action=save', {}, 400, /filename is missing/],
		['/slots/1?action=erase', {}, 501, /nothing is erased by hand/],
		['/slots/1?action=load', {}, 400, /action is "load"/],
		['/slots/1', {}, 400, /action is missing/],
		['/slots/1?actions=save', {}, 400, /action is missing/],
		['/slots/1?x=1&action', {}, 400, /action is ""/],
		['/slots/1?x&action=save&y=2', {}, 400, /filename is missing/],
		['/slots/12345?action=save', { filename: 'x' }, 400, /no slot/],
		['/slots/2?action=save', { filename: 'x' }, 400, /no slot 2; there are 0 to 1/],
		['/slots/a?action=save', { filename: 'x' }, 400, /no slot "a"/],
	]) {
		const answer = await post(states, path, body);
		assert.equal(answer.status, status, `${path}: ${answer.text}`);
		assert.match(answer.json.error.message, message);
	}
	assert.equal((await post(server, '/slots/0?action=save', { filename: 'x' })).status, 501); // no --state-dir
	// A request that runs is in its slot; nobody is idle when all of them are taken.
	const leaving = new AbortController();
	const running = [0, 1].map((id_slot) =>
		fetch(`${states.url}/completion`, { method: 'POST', signal: leaving.signal, body: JSON.stringify({ prompt: [1, 2], id_slot, seed: 10 + id_slot, stream: true, ...endless }) }));
	await Promise.all(running);
	await until(async () => (await list()).every((s) => s.is_processing), 20000, 'two slots to be taken');
	const busy = await list();
	assert.deepEqual(busy.map((s) => s.params.seed), [10, 11]);
	assert.equal((await fetch(`${states.url}/slots?fail_on_no_slot=1`)).status, 503);
	leaving.abort();
	await until(async () => (await list()).every((s) => !s.is_processing), 20000, 'the slots to be free');
	assert.equal((await fetch(`${states.url}/slots?fail_on_no_slot=1`)).status, 200);
});

test('/infill puts prefix, suffix and extra files around the gap, as tokens of the vocabulary', async (t) => {
	const { keys, tensors, alignment } = parse(model('tiny'));
	const u32key = (name, value) => {
		const b = Buffer.alloc(16 + name.length);
		b.writeBigUInt64LE(BigInt(name.length));
		b.write(name, 8);
		b.writeUInt32LE(4, 8 + name.length); // uint32
		b.writeUInt32LE(value, 12 + name.length);
		return b;
	};
	const [prefix, suffix, middle] = [300, 301, 302];
	const marks = { fim_pre: prefix, fim_suf: suffix, fim_mid: middle };
	const path = join(folder, 'gap.gguf');
	writeFileSync(path, assemble([...keys, ...Object.entries(marks).map(([k, id]) => u32key(`tokenizer.ggml.${k}_token_id`, id))], tensors, alignment));
	const gap = await start([path, '--threads', '1']);
	t.after(() => gap.stop());
	const ids = async (content) => (await post(gap, '/tokenize', { content, parse_special: false })).json.tokens;
	const body = { input_prefix: 'int main() {\n', input_suffix: '}\n', prompt: '\tint a = ' };
	const wanted = [prefix, ...(await ids(body.input_prefix)), ...(await ids(body.prompt)), suffix, ...(await ids(body.input_suffix)), middle];
	const more = { n_predict: 12, seed: 5, return_tokens: true, stop_token_ids: [prefix, suffix, middle], logit_bias: endless.logit_bias };
	const filled = await post(gap, '/infill', { ...body, ...more }), same = await post(gap, '/completion', { prompt: wanted, ...more });
	assert.equal(filled.status, 200, filled.text);
	assert.equal(filled.json.tokens_evaluated, wanted.length);
	assert.deepEqual([filled.json.prompt, filled.json.content, filled.json.tokens], [same.json.prompt, same.json.content, same.json.tokens]);
	const extra = await post(gap, '/infill', { ...body, ...more, input_extra: [{ filename: 'a.h', text: 'int b;\n' }] });
	assert.equal(extra.json.tokens_evaluated, wanted.length + (await ids('\n\n--- snippet ---\n\n')).length + (await ids('int b;\n')).length);
	// What says that the gap is filled is no part of it.
	const { json: ended } = await post(gap, '/infill', { ...body, n_predict: 12, seed: 5, logit_bias: { ...endless.logit_bias, [middle]: 1000 } });
	assert.deepEqual([ended.content, ended.stop_type, ended.stopping_word], ['', 'eos', '']);
	const long = await post(gap, '/infill', { ...body, input_prefix: 'a '.repeat(600) });
	assert.deepEqual([long.status, long.json.error.type], [400, 'exceed_context_size_error'], long.text);
});

test('of another key neither requests nor states are seen by their slots', async (t) => {
	const states = mkdtempSync(join(tmpdir(), 'hokku-slot-keys-')), keys = join(states, 'keys');
	writeFileSync(keys, 'name=a key=key-of-team-a\nname=b key=key-of-team-b\n', { mode: 0o600 });
	const shared = await start([model('long'), '--ctx', '100000', '--threads', '1', '--parallel', '2', '--state-dir', states, '--api-key-file', keys]);
	t.after(async () => {
		await shared.stop();
		rmSync(states, { recursive: true });
	});
	const as = (who) => ({ Authorization: `Bearer key-of-team-${who}` });
	const list = async (who) => (await fetch(`${shared.url}/slots`, { headers: as(who) })).json();
	assert.equal((await fetch(`${shared.url}/slots`)).status, 401);
	const leaving = new AbortController();
	await fetch(`${shared.url}/completion`, { method: 'POST', headers: as('a'), signal: leaving.signal, body: JSON.stringify({ prompt: [1, 2], id_slot: 1, seed: 10, stream: true, ...endless }) });
	await until(async () => (await list('a'))[1].is_processing, 20000, 'the slot to be taken');
	assert.equal((await list('a'))[1].params.seed, 10);
	const seen = (await list('b'))[1];
	assert.deepEqual([seen.is_processing, 'params' in seen, 'next_token' in seen], [true, false, false]);
	const saved = await post(shared, '/slots/1?action=save', { filename: 'x' }, as('b'));
	assert.deepEqual([saved.status, saved.json.error.type], [404, 'not_found_error'], saved.text);
	leaving.abort();
	await until(async () => (await list('b')).every((s) => !s.is_processing), 20000, 'the slot to be free');
});
