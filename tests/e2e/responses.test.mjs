// POST /v1/responses with OpenAI's own client: whole and streamed, gone on from, asked for, forgotten.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { post, start } from './server_common.mjs';

const connect = (server, apiKey = 'none') => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
const ask = { model: 'haiku', input: 'Write a haiku about autumn rain.', seed: 7, max_output_tokens: 24 };
let server, client;
before(async () => {
	server = await start([]);
	client = connect(server);
});
after(() => server.stop());

test('an answer is the one of /v1/chat/completions, whole and streamed', async () => {
	const chat = await client.chat.completions.create({ model: 'haiku', messages: [{ role: 'user', content: ask.input }], seed: 7, max_tokens: 24 });
	const response = await client.responses.create(ask);
	assert.equal(response.output_text, chat.choices[0].message.content);
	assert.equal(response.usage.input_tokens, chat.usage.prompt_tokens);
	assert.equal(response.usage.output_tokens, chat.usage.completion_tokens);
	assert.equal(response.object, 'response');
	const stream = client.responses.stream(ask);
	const seen = [];
	let text = '';
	for await (const event of stream) {
		assert.equal(event.sequence_number, seen.length);
		seen.push(event.type);
		if (event.type === 'response.output_text.delta') text += event.delta;
	}
	const final = await stream.finalResponse();
	assert.equal(text, response.output_text);
	assert.equal(final.output_text, text);
	assert.deepEqual(seen.slice(0, 4), ['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added']);
	assert.deepEqual(seen.slice(-4), ['response.output_text.done', 'response.content_part.done', 'response.output_item.done', `response.${final.status}`]);
	// Of the two answers only the ids and times differ.
	const same = ({ status, output, usage, ...rest }) => [status, output.map(({ content }) => content.map((c) => c.text)), usage.output_tokens, rest.text, rest.tools];
	assert.deepEqual(same(final), same(response));
});

test('a response is gone on from, asked for and forgotten', async () => {
	const first = await client.responses.create({ ...ask, instructions: 'In English.', metadata: { who: 'me' } });
	const next = await client.responses.create({ ...ask, input: 'And snow.', previous_response_id: first.id });
	const whole = await client.responses.create({
		...ask,
		input: [{ role: 'user', content: ask.input }, ...first.output, { role: 'user', content: 'And snow.' }],
		store: false,
	});
	assert.equal(next.output_text, whole.output_text);
	assert.equal(next.usage.input_tokens, whole.usage.input_tokens); // without the instructions
	assert.equal(next.previous_response_id, first.id);
	// What came as a stream is kept too, and is what its last event told.
	const stream = client.responses.stream({ ...ask, input: 'And ice.', previous_response_id: next.id });
	const third = await stream.finalResponse();
	const { output_text: a, ...kept } = await client.responses.retrieve(third.id);
	const { output_text: b, ...told } = third;
	assert.equal(a, b);
	assert.deepEqual(kept.output.map((o) => o.content[0].text), told.output.map((o) => o.content[0].text));
	assert.equal((await client.responses.retrieve(first.id)).metadata.who, 'me');
	// What hangs below a response elsewhere is told to be no path, and not that the response is gone; what a query asks for is done or said.
	await assert.rejects(client.responses.inputItems.list(first.id), (e) => e.status === 404 && e.message.includes(`/v1/responses/${first.id}/input_items`) && !e.param);
	await assert.rejects(client.responses.cancel(first.id), (e) => e.status === 404 && e.message.includes('there is no path'));
	for (const [query, param] of [[{ stream: true }, 'stream'], [{ starting_after: 3 }, 'starting_after']])
		await assert.rejects(client.responses.retrieve(first.id, query), (e) => e.status === 400 && e.param === param && e.message.includes('comes whole'));
	const { response } = await client.responses.retrieve(first.id, { stream: false, include: ['message.output_text.logprobs'] }).withResponse();
	assert.match(response.headers.get('hokku-warnings'), /^\["include has no effect here/);
	assert.equal((await client.responses.retrieve(first.id).withResponse()).response.headers.get('hokku-warnings'), null);
	await client.responses.delete(first.id);
	for (const gone of [first.id, whole.id, 'resp_0']) {
		await assert.rejects(client.responses.retrieve(gone), (e) => e.status === 404 && e.param === 'response_id');
		await assert.rejects(client.responses.delete(gone), (e) => e.status === 404);
		await assert.rejects(client.responses.create({ ...ask, previous_response_id: gone }), (e) => e.code === 'previous_response_not_found');
	}
	// What began from it stands alone.
	await client.responses.create({ ...ask, previous_response_id: next.id });
});

test('shapes, logprobs, an answer that is cut, tools that are left out', async () => {
	const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['n'], additionalProperties: false };
	const shaped = await client.responses.create({ ...ask, text: { format: { type: 'json_schema', name: 'number', schema, strict: true } } });
	assert.match(shaped.output_text, /^\{"n":[0-9]\}$/);
	assert.equal(shaped.text.format.name, 'number');
	const logprobs = await client.responses.create({ ...ask, include: ['message.output_text.logprobs'], top_logprobs: 2 });
	const [{ content }] = logprobs.output;
	assert.equal(content[0].logprobs.map((l) => l.token).join(''), logprobs.output_text);
	assert.ok(content[0].logprobs.every((l) => l.top_logprobs.length === 2));
	const cut = await client.responses.create({ ...ask, max_output_tokens: 2 });
	assert.deepEqual([cut.status, cut.incomplete_details, cut.output[0].status], ['incomplete', { reason: 'max_output_tokens' }, 'incomplete']);
	const { headers, json } = await post(server, '/v1/responses', { ...ask, tools: [{ type: 'web_search' }], user: 'u' });
	assert.deepEqual(json.warnings.map((w) => w.split(' ')[0]), ['user', 'tools[0]']);
	assert.match(headers.get('hokku-warnings'), /web_search/);
});

test('faults are named in the items that came', async () => {
	for (const [body, field] of [
		[{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }] }, 'input[0].content[0].type'],
		[{ input: 'x', truncation: 'auto' }, 'truncation'],
		[{ input: 'x', text: { format: { type: 'json_schema', name: 'n', schema: { not: {} } } } }, /response_format|text/],
		[{ input: Array(600).fill({ role: 'user', content: 'word '.repeat(9) }) }, /^(messages|input)$/],
	]) {
		const { status, json } = await post(server, '/v1/responses', { model: 'haiku', ...body });
		assert.equal(status, 400, JSON.stringify(json));
		if (field instanceof RegExp) assert.match(json.error.param, field);
		else assert.equal(json.error.param, field);
	}
	assert.equal((await fetch(`${server.url}/v1/responses/x`, { method: 'POST' })).status, 405);
});

test('responses are a key’s own; --response-store 0 keeps none', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'hokku-responses-'));
	const file = join(folder, 'keys');
	writeFileSync(file, 'name=one key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nname=two key=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n');
	const keyed = await start(['--api-key-file', file]);
	const none = await start(['--response-store', '0']);
	try {
		const one = connect(keyed, 'a'.repeat(32)), two = connect(keyed, 'b'.repeat(32));
		const { id } = await one.responses.create(ask);
		assert.equal((await one.responses.retrieve(id)).id, id);
		await assert.rejects(two.responses.retrieve(id), (e) => e.status === 404);
		await assert.rejects(two.responses.create({ ...ask, previous_response_id: id }), (e) => e.status === 404);
		const { id: unkept } = await connect(none).responses.create(ask);
		await assert.rejects(connect(none).responses.retrieve(unkept), /keeps none/);
	} finally {
		await keyed.stop();
		await none.stop();
		rmSync(folder, { recursive: true });
	}
});
