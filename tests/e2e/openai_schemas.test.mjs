// Answers against OpenAI's own description of them (tests/golden/openai), by ajv.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2019.js';
import { post, start } from './server_common.mjs';

const golden = new URL('../golden/openai/schemas.json', import.meta.url);
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
const schemas = JSON.parse(readFileSync(golden, 'utf8'));
ajv.addSchema(schemas, 'openai');
const validators = new Map();

function holds(name, value) {
	if (!validators.has(name)) validators.set(name, ajv.compile({ $ref: `openai#/$defs/${name}` }));
	const validate = validators.get(name);
	if (!validate(value)) assert.fail(`${name}: ${ajv.errorsText(validate.errors)} of ${JSON.stringify(value)}`);
}

// Of an event's type, the schema: that of all of them says no more than that none fits.
const eventNames = new Map(schemas.$defs.ResponseStreamEvent.anyOf.map(({ $ref }) => $ref.split('/').at(-1)).map((name) => [schemas.$defs[name].properties.type.enum[0], name]));

let server;
before(async () => (server = await start(['--threads', '1'])));
after(() => server.stop());

const messages = [{ role: 'user', content: 'Write a haiku about autumn rain.' }];
const chat = (more) => post(server, '/v1/chat/completions', { model: 'haiku', messages, seed: 7, max_tokens: 4, ...more });
const completion = (more) => post(server, '/v1/completions', { model: 'haiku', prompt: 'the river\n', seed: 7, max_tokens: 4, ...more });
const data = (text) => {
	const all = text.split('\n\n').slice(0, -1).map((e) => e.slice('data: '.length));
	assert.equal(all.pop(), '[DONE]');
	return all.map((e) => JSON.parse(e));
};

const variants = [
	{},
	{ n: 2, logprobs: true, top_logprobs: 2 },
	{ user: 'u', response_format: { type: 'json_object' } },
	{ tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }], chat_template_kwargs: {} },
	{ prompt_logprobs: 1, cache_debug: true },
];

test('conversations, whole and streamed', async () => {
	for (const more of variants) {
		const whole = await chat(more);
		assert.equal(whole.status, 200, whole.text);
		holds('CreateChatCompletionResponse', whole.json);
		for (const include_usage of [false, true])
			for (const chunk of data((await chat({ ...more, stream: true, stream_options: { include_usage } })).text)) holds('CreateChatCompletionStreamResponse', chunk);
	}
});

test('completions, whole and streamed', async () => {
	for (const more of [{}, { logprobs: 2, n: 2 }, { prompt: ['a', 'b'], echo: true }, { prompt: [[5, 6], [7]], prompt_logprobs: 0 }]) {
		const whole = await completion(more);
		assert.equal(whole.status, 200, whole.text);
		holds('CreateCompletionResponse', whole.json);
		// The description has no chunk that does not end a choice; clients' types, and OpenAI's own answers, have.
		for (const chunk of data((await completion({ ...more, stream: true })).text))
			holds('CreateCompletionResponse', { ...chunk, choices: chunk.choices.map((c) => ({ ...c, finish_reason: c.finish_reason ?? 'stop' })) });
	}
	// Nor nulls, which stand at a prompt's first token.
	const { json } = await completion({ echo: true, logprobs: 1 });
	for (const { logprobs: l } of json.choices) assert.deepEqual([l.token_logprobs.shift(), l.top_logprobs.shift()], [null, null]);
	holds('CreateCompletionResponse', json);
});

test('responses, whole and streamed', async () => {
	const ask = (more) => post(server, '/v1/responses', { model: 'haiku', input: 'Write a haiku about autumn rain.', seed: 7, max_output_tokens: 4, ...more });
	for (const more of [{}, { include: ['message.output_text.logprobs'], top_logprobs: 2 }, { text: { format: { type: 'json_object' } }, metadata: { a: 'b' } }]) {
		const whole = await ask(more);
		assert.equal(whole.status, 200, whole.text);
		holds('Response', whole.json);
		const { text } = await ask({ ...more, stream: true });
		const events = text.split('\n\n').slice(0, -1).map((e) => JSON.parse(e.split('\n').find((l) => l.startsWith('data: ')).slice('data: '.length)));
		assert.ok(events.length > 5);
		for (const event of events) {
			if (event.response?.usage === null) delete event.response.usage; // as OpenAI's own answers have it, which the description lacks
			holds(eventNames.get(event.type), event);
		}
	}
});

test('models and errors', async () => {
	const get = async (path) => (await fetch(server.url + path)).json();
	const models = await get('/v1/models');
	holds('ListModelsResponse', models);
	holds('Model', await get(`/v1/models/${models.data[0].id}`));
	const errors = [
		await get('/v1/models/none'),
		...(await Promise.all([chat({ temperature: 1000 }), chat({ nothing: 1 }), chat({ messages: [{ role: 'user', content: 'rain '.repeat(999) }] }), completion({ prompt: [] }), post(server, '/v1/chat/completions', '{')])).map((r) => r.json),
	];
	for (const error of errors) holds('ErrorResponse', error);
	// What is no answer at all is none of the above: the judge can tell.
	assert.throws(() => holds('CreateChatCompletionResponse', errors[0]));
	assert.throws(() => holds('Model', { ...models.data[0], object: 'models' }));
});
