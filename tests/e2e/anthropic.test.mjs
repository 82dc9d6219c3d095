// Anthropic's API as its official client uses it: whole and streamed messages, counting, keys, errors, the rule about billing headers.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { endless, folder, generate, idle, model, post, start, until } from './server_common.mjs';

let server, client;
before(async () => {
	server = await start(['--threads', '1']); // the haiku model inside the program
	client = clientOf(server);
});
after(() => server.stop());

const clientOf = (server, options = { apiKey: 'none' }) => new Anthropic({ baseURL: server.url, authToken: null, apiKey: null, maxRetries: 0, ...options });
const messages = [{ role: 'user', content: 'Write a haiku about autumn rain.' }];
const plain = { model: 'haiku', max_tokens: 100, messages, seed: 7 };
const textOf = (message) => message.content.map((block) => block.text).join('');

// The events of a stream as they came, [type, data].
async function events(body, headers) {
	const { text } = await post(server, '/v1/messages', { ...body, stream: true }, headers);
	return text
		.split('\n\n')
		.slice(0, -1)
		.map((block) => {
			const [, type, data] = block.match(/^event: (\w+)\ndata: (.*)$/);
			return [type, JSON.parse(data)];
		});
}

test('a whole message has the text of /v1/generate with the same sampling and seed', async () => {
	const { data: message, response, request_id: id } = await client.messages.create(plain).withResponse();
	const own = (await generate(server, { messages, seed: 7, temperature: 1, stream: false })).json;
	assert.match(message.id, /^msg_[0-9a-f]{16}$/);
	assert.match(id, /^req_[0-9a-f]{16}$/);
	assert.equal(response.headers.get('request-id'), id);
	assert.deepEqual([message.type, message.role, message.model, message.stop_reason, message.stop_sequence], ['message', 'assistant', 'haiku', 'end_turn', null]);
	assert.deepEqual(message.content, [{ type: 'text', text: own.text, citations: null }]);
	assert.ok(own.text.length > 10);
	assert.equal(message.usage.input_tokens + message.usage.cache_read_input_tokens, own.prompt_tokens);
	assert.equal(message.usage.output_tokens, own.tokens_out);
	assert.deepEqual(message.hokku, { model: 'haiku', seed: 7, max_tokens: 100, stop: [], sampling: own.sampling });
	assert.ok(!('warnings' in message));
});

test('a stream comes to the whole message, its events in their order', async () => {
	const whole = await client.messages.create(plain);
	const final = await client.messages.stream(plain).finalMessage();
	assert.deepEqual(final.content, whole.content);
	assert.deepEqual([final.stop_reason, final.usage.output_tokens], ['end_turn', whole.usage.output_tokens]);
	const deltas = [];
	for await (const event of await client.messages.create({ ...plain, stream: true })) if (event.type === 'content_block_delta') deltas.push(event.delta.text);
	assert.ok(deltas.length > 3);
	assert.equal(deltas.join(''), textOf(whole));
	const told = await events(plain);
	const types = told.map(([type, data]) => (assert.equal(type, data.type), type)).filter((type) => type !== 'ping').filter((type, i, all) => type !== 'content_block_delta' || all[i - 1] !== type);
	assert.deepEqual(types, ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']);
	assert.deepEqual([told[0][1].message.content, told[0][1].message.stop_reason, told[0][1].message.usage.output_tokens], [[], null, 0]);
	assert.deepEqual(told.at(-2)[1].hokku, whole.hokku);
});

test('max_tokens and stop_sequences end a message, which says how', async () => {
	const text = textOf(await client.messages.create(plain));
	const cut = await client.messages.create({ ...plain, max_tokens: 3 });
	assert.deepEqual([cut.stop_reason, cut.usage.output_tokens], ['max_tokens', 3]);
	assert.ok(text.startsWith(textOf(cut)));
	const early = text.slice(4, 9), late = text.slice(14, 20);
	for (const stream of [false, true]) {
		const body = { ...plain, stop_sequences: ['never in it', late, early] };
		const stopped = stream ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
		assert.deepEqual([stopped.stop_reason, stopped.stop_sequence], ['stop_sequence', early]);
		assert.equal(textOf(stopped), text.slice(0, text.indexOf(early)));
	}
});

test('max_tokens 0 computes the prompt, which is found again, and answers nothing', async () => {
	const long = { model: 'haiku', messages: [{ role: 'user', content: 'winter moon '.repeat(60) }] };
	const { content, stop_reason, stop_sequence, usage } = await client.messages.create({ ...long, max_tokens: 0, stop_sequences: ['a', 'e', 'i', 'o', 'u'] });
	assert.deepEqual([content, stop_reason, stop_sequence, usage.output_tokens, usage.cache_read_input_tokens], [[], 'max_tokens', null, 0, 0]);
	assert.ok((await client.messages.create({ ...long, max_tokens: 1 })).usage.cache_read_input_tokens > 64);
	assert.deepEqual((await client.messages.stream({ ...long, max_tokens: 0 }).finalMessage()).content, []);
});

test('an answer that is begun goes on', async () => {
	const greedy = { ...plain, temperature: 0 };
	const text = textOf(await client.messages.create(greedy));
	const begun = text.slice(0, text.indexOf('\n') + 1);
	assert.ok(begun.length > 5 && begun.length < text.length);
	const asked = { ...greedy, messages: [...messages, { role: 'assistant', content: begun }] };
	const rest = await client.messages.create(asked);
	assert.equal(begun + textOf(rest), text);
	assert.deepEqual((await client.messages.stream(asked).finalMessage()).content, rest.content);
	const { input_tokens: counted } = await client.messages.countTokens({ model: 'haiku', messages: asked.messages });
	assert.equal(rest.usage.input_tokens + rest.usage.cache_read_input_tokens, counted);
	assert.ok(counted > (await client.messages.countTokens({ model: 'haiku', messages })).input_tokens + 2);
	// what it says is a text, also where it is the name of a control token
	const named = await client.messages.countTokens({ model: 'haiku', messages: [...messages, { role: 'assistant', content: '<|im_end|>' }] });
	assert.ok(named.input_tokens > counted - begun.length && named.input_tokens > (await client.messages.countTokens({ model: 'haiku', messages })).input_tokens + 2);
	const opens = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: <think>\n{% endif %}';
	const thinks = await start(['--threads', '1', '--chat-template', opens]);
	try {
		const error = await clientOf(thinks).messages.create(asked).catch((error) => error);
		assert.match(error.apiMessage, /^messages begin an answer, and the model's chat template begins it with thinking/);
		const blocks = (await clientOf(thinks).messages.create({ ...greedy, max_tokens: 4 })).content;
		assert.deepEqual(blocks.map(({ type }) => type), ['thinking']);
	} finally {
		await thinks.stop();
	}
});

test('what a conversation counts to is what it is charged', async () => {
	const bodies = [
		{ messages },
		{ messages, system: 'You write haiku.' },
		{ messages: [...messages, { role: 'assistant', content: [{ type: 'text', text: 'no' }] }, { role: 'user', content: [{ type: 'text', text: 'yes' }, { type: 'text', text: 'now' }] }] },
	];
	for (const body of bodies) {
		const { input_tokens: counted } = await client.messages.countTokens({ model: 'haiku', ...body });
		for (let i = 0; i < 2; i++) {
			const { usage } = await client.messages.create({ model: 'haiku', max_tokens: 1, ...body });
			assert.equal(usage.input_tokens + usage.cache_read_input_tokens, counted);
		}
		const cold = await client.messages.create({ model: 'haiku', max_tokens: 1, cache_prompt: false, ...body });
		assert.deepEqual([cold.usage.input_tokens, cold.usage.cache_read_input_tokens], [counted, 0]);
	}
	const long = { model: 'haiku', max_tokens: 1, messages: [{ role: 'user', content: 'autumn rain '.repeat(60) }] };
	const cold = (await client.messages.create(long)).usage, warm = (await client.messages.create(long)).usage;
	assert.equal(cold.cache_read_input_tokens, 0);
	assert.ok(warm.cache_read_input_tokens >= 32 && warm.input_tokens === cold.input_tokens - warm.cache_read_input_tokens);
});

test('a block of system that is a billing header is left out and named, unless it is to be kept', async () => {
	const header = { type: 'text', text: `x-anthropic-billing-header: cc_version=1.${process.pid}` };
	const rest = { type: 'text', text: 'You write haiku.', cache_control: { type: 'ephemeral' } };
	const count = async (server, system) => (await clientOf(server).messages.countTokens({ model: 'haiku', messages, system })).input_tokens;
	const without = await count(server, [rest]);
	assert.equal(await count(server, [header, rest]), without);
	const message = await client.messages.create({ ...plain, system: [header, rest], metadata: { user_id: 'u' } });
	assert.equal(message.usage.input_tokens + message.usage.cache_read_input_tokens, without);
	const named = 'system.0 begins with x-anthropic-billing-header: and was left out of the prompt (--keep-billing-header keeps it)';
	assert.deepEqual(message.warnings.toSorted(), ['metadata has no effect here', named]);
	assert.deepEqual(message.content, (await client.messages.create({ ...plain, system: [rest] })).content);
	const told = await events({ ...plain, system: [header, rest] });
	assert.deepEqual(told.at(-2)[1].warnings, [named]);
	assert.ok((await count(server, header.text)) > (await count(server, undefined))); // a text is no block
	const keeps = await start(['--threads', '1', '--keep-billing-header']);
	try {
		assert.ok((await count(keeps, [header, rest])) > without);
		assert.ok(!('warnings' in (await clientOf(keeps).messages.create({ ...plain, system: [header, rest] }))));
	} finally {
		await keeps.stop();
	}
});

test('an answer has the shape of output_config', async () => {
	const schema = { type: 'object', properties: { n: { enum: [7] } }, required: ['n'], additionalProperties: false };
	for (const body of [{ output_config: { format: { type: 'json_schema', schema } } }, { output_format: { type: 'json_schema', schema } }])
		assert.deepEqual(JSON.parse(textOf(await client.messages.create({ ...plain, ...body }))), { n: 7 });
	const bad = await client.messages.create({ ...plain, output_config: { format: { type: 'json_schema', schema: { type: 'nothing' } } } }).catch((error) => error);
	assert.match(bad.apiMessage, /^output_config\.format\.schema/);
});

// A template that shows all that it gets: the prompts of two requests are the same if their tokens are.
const shows = '{% for m in messages %}[{{ m | tojson }}]{% endfor %}{{ tools | tojson if tools else "" }}';
test('tools, calls, results and thinking give the prompt that they give in OpenAI\'s form', async () => {
	const showing = await start([model('long'), '--chat-template', shows, '--threads', '1']);
	try {
		const schema = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city'] };
		const body = {
			model: 'x',
			system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
			tools: [{ name: 'weather', description: 'What it is like.', input_schema: schema, cache_control: { type: 'ephemeral' } }],
			messages: [
				{ role: 'user', content: 'Rain?' },
				{
					role: 'assistant',
					content: [
						{ type: 'thinking', thinking: 'two cities', signature: 'hokku' },
						{ type: 'text', text: 'I look.', citations: null },
						{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: { days: 2, city: 'Kyōto' }, caller: { type: 'direct' } },
						{ type: 'tool_use', id: 'toolu_2', name: 'weather', input: {} },
					],
				},
				{
					role: 'user',
					content: [
						{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'rain' }] },
						{ type: 'tool_result', tool_use_id: 'toolu_2', content: 'no such city', is_error: true },
						{ type: 'text', text: 'And?' },
					],
				},
			],
		};
		const call = (id, args) => ({ id, type: 'function', function: { name: 'weather', arguments: args } });
		const same = {
			tools: [{ type: 'function', function: { name: 'weather', description: 'What it is like.', parameters: schema } }],
			messages: [
				{ role: 'system', content: 'Be brief.' },
				{ role: 'user', content: 'Rain?' },
				{ role: 'assistant', content: 'I look.', reasoning_content: 'two cities', tool_calls: [call('toolu_1', { days: 2, city: 'Kyōto' }), call('toolu_2', {})] },
				{ role: 'tool', content: 'rain', tool_call_id: 'toolu_1', name: 'weather' },
				{ role: 'tool', content: 'Error: no such city', tool_call_id: 'toolu_2', name: 'weather' },
				{ role: 'user', content: 'And?' },
			],
		};
		const client = clientOf(showing);
		const { input_tokens: counted } = await client.messages.countTokens(body);
		assert.ok(counted > 300);
		const first = (await client.messages.create({ ...body, max_tokens: 1 })).usage;
		const second = (await post(showing, '/v1/chat/completions', { ...same, max_tokens: 1 })).json.usage;
		assert.deepEqual([first.input_tokens, second.prompt_tokens], [counted, counted]);
		// all of its whole blocks but the last, which has what is drawn from, are found again: the same tokens
		assert.ok(second.prompt_tokens_details.cached_tokens > counted - 64, JSON.stringify(second));
		const without = await client.messages.countTokens({ ...body, tool_choice: { type: 'none' } });
		assert.ok(without.input_tokens < counted - 50);
	} finally {
		await showing.stop();
	}
});

test("what is wrong with a tool's schema is told by its place in the request", async () => {
	const template = new URL('../golden/templates/tools_and_thinking.jinja', import.meta.url).pathname;
	const calling = await start(['--threads', '1', '--chat-template-file', template]);
	try {
		const tool = (name, properties, more) => ({ name, input_schema: { type: 'object', properties }, ...more });
		const body = (more) => ({ ...plain, max_tokens: 1, tools: [tool('good', {}), tool('bad', { x: { type: 'string', minLength: -1 } }, more)] });
		const error = await clientOf(calling).messages.create(body({ strict: true })).catch((error) => error);
		assert.match(error.apiMessage, /^tools\.1\.input_schema\/properties\/x\/minLength: -1 is no count/);
		const lenient = await clientOf(calling).messages.create(body({}));
		assert.match(lenient.warnings[0], /schema cannot be enforced: tools\.1\.input_schema\/properties\/x\/minLength: -1 is no count/);
		// what is said of tools and thinking is in the count
		for (const more of [{}, { thinking: { type: 'disabled' } }, { thinking: { type: 'enabled', budget_tokens: 1024 } }, { tool_choice: { type: 'any', disable_parallel_tool_use: true } }]) {
			const asked = { model: 'haiku', messages, tools: [tool('good', {})], ...more };
			const { input_tokens: counted } = await clientOf(calling).messages.countTokens(asked);
			const { usage } = await clientOf(calling).messages.create({ ...asked, max_tokens: 1025, stop_sequences: [...' aeiou>{'], cache_prompt: false });
			assert.equal(usage.input_tokens, counted);
		}
	} finally {
		await calling.stop();
	}
});

test('headers and the query of beta clients change nothing', async () => {
	const plainly = await client.messages.create(plain);
	const beta = await client.beta.messages.create({ ...plain, betas: ['context-management-2025-06-27'], context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] } });
	assert.deepEqual(beta.content, plainly.content);
	const bare = await post(server, '/v1/messages', plain, { 'anthropic-version': '1999-01-01' });
	assert.deepEqual(bare.json.content, plainly.content);
	const { status, headers } = await post(server, '/v1/messages', { ...plain, service_tier: 'auto' });
	assert.equal(status, 200);
	assert.match(headers.get('hokku-warnings'), /service_tier has no effect here/);
});

test('errors are of the kinds that the client knows', async () => {
	const fails = async (body, options) => client.messages.create({ ...plain, ...body }, options).then(() => assert.fail('no error'), (error) => error);
	const wrong = await fails({ temperature: 1000 });
	assert.ok(wrong instanceof Anthropic.BadRequestError);
	assert.deepEqual([wrong.status, wrong.type, wrong.apiMessage], [400, 'invalid_request_error', 'temperature is 1000; it takes a number from 0 to 100']);
	assert.deepEqual(wrong.error, { type: 'error', error: { type: 'invalid_request_error', message: wrong.apiMessage }, request_id: wrong.requestID });
	assert.match(wrong.requestID, /^req_/);
	const long = await fails({ messages: [{ role: 'user', content: 'rain '.repeat(600) }] });
	assert.match(long.apiMessage, /^prompt is too long: .*\b6\d\d tokens.*512/);
	assert.match((await fails({ messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'http://x' } }] }] })).apiMessage, /^messages\.0\.content\.0\.type is the string "image"/);
	assert.match((await fails({ tools: [{ type: 'web_search_20250305', name: 'web_search' }] })).apiMessage, /^tools\.0\.type/);
	const template = await fails({ messages: [{ role: 'user', content: 'a' }], chat_template_kwargs: { messages: [] } });
	assert.match(template.apiMessage, /^chat_template_kwargs/);
	const nowhere = await client.messages.batches.list().then(() => assert.fail(), (error) => error);
	assert.ok(nowhere instanceof Anthropic.NotFoundError && nowhere.type === 'not_found_error');
	const put = await fetch(`${server.url}/v1/messages`, { method: 'PUT' });
	assert.equal((await put.json()).error.type, 'invalid_request_error');
	for (const body of ['', '{', '[]', '{"a":1,"a":2}']) {
		const { status, json } = await post(server, '/v1/messages', body);
		assert.deepEqual([status, json.type, json.error.type], [400, 'error', 'invalid_request_error']);
	}
});

test('a key is x-api-key or a bearer', async () => {
	const path = join(folder, `keys-anthropic-${process.pid}`);
	mkdirSync(folder, { recursive: true });
	writeFileSync(path, 'name=one key=first-key-123 waiting=0 tokens_per_minute=1\nname=two key=second-key-456\n');
	const closed = await start(['--threads', '1', '--api-key-file', path, '--parallel', '1', '--max-queue', '1']);
	try {
		for (const options of [{ apiKey: 'second-key-456' }, { authToken: 'second-key-456' }]) {
			const { data, response } = await clientOf(closed, options).messages.create({ ...plain, max_tokens: 1 }).withResponse();
			assert.equal(response.headers.get('hokku-key'), 'two');
			assert.equal(data.hokku.key, 'two');
		}
		for (const options of [{ apiKey: 'second-key-45' }, { authToken: 'second-key-4567' }, { apiKey: 'Bearer second-key-456' }]) {
			const error = await clientOf(closed, options).messages.create(plain).catch((error) => error);
			assert.ok(error instanceof Anthropic.AuthenticationError);
			assert.deepEqual([error.type, error.apiMessage], ['authentication_error', 'the API key is wrong']);
		}
		const none = await post(closed, '/v1/messages/count_tokens', { messages });
		assert.deepEqual([none.status, none.json.error.type], [401, 'authentication_error']);
		assert.equal((await generate(closed, { messages, stream: false, max_tokens: 1 }, { 'x-api-key': 'second-key-456' })).status, 200);
		const both = await post(closed, '/v1/messages', { ...plain, max_tokens: 1 }, { 'x-api-key': 'second-key-456', Authorization: 'Bearer wrong-key-1' });
		assert.deepEqual([both.status, both.headers.get('hokku-key')], [200, 'two']); // one that is right is enough
		const used = clientOf(closed, { apiKey: 'first-key-123' });
		await used.messages.create({ ...plain, max_tokens: 1 });
		const spent = await used.messages.create(plain).catch((error) => error);
		assert.ok(spent instanceof Anthropic.RateLimitError && spent.type === 'rate_limit_error');
		assert.ok(Number(spent.headers.get('retry-after')) > 0);
	} finally {
		await closed.stop();
		rmSync(path);
	}
});

test('a full queue is 529; a client that leaves ends its request', async () => {
	const small = await start([model('long'), '--chat-template', 'chatml', '--threads', '1', '--parallel', '1', '--max-queue', '1']);
	try {
		const client = clientOf(small), body = { model: 'x', messages, max_tokens: 100000, ...endless };
		const first = await client.messages.create({ ...body, stream: true });
		for await (const { type } of first) if (type === 'content_block_delta') break; // it runs; and is left
		await until(() => idle(small), 20000, 'a request that was left to be gone');
		const running = await client.messages.create({ ...body, stream: true });
		const events = running[Symbol.asyncIterator]();
		while ((await events.next()).value.type !== 'content_block_delta');
		const waiting = await client.messages.create({ ...body, stream: true });
		await until(async () => (await small.health()).queue.queued === 1, 20000, 'a request to wait');
		const error = await client.messages.create({ ...body, stream: true }).catch((error) => error);
		assert.ok(error instanceof Anthropic.OverloadedError, String(error));
		assert.deepEqual([error.status, error.type, error.headers.get('retry-after')], [529, 'overloaded_error', '1']);
		running.controller.abort();
		waiting.controller.abort();
		await until(() => idle(small), 20000, 'the queue to be empty');
	} finally {
		await small.stop();
	}
});
