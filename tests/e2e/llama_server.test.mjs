// llama-server's own routes, as programs that were made for it use them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { post, start } from './server_common.mjs';

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
