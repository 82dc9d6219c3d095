// docs/openapi.json against the program and against a running server. After a change of fields or answers (openapi/fields.mjs, answers.mjs):
// UPDATE_DOCS=1 ctest --test-dir build/test -R e2e/openapi
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import Ajv from 'ajv/dist/2020.js';
import { familyOf } from '../openapi/answers.mjs';
import { firstOf, namesOf, path, readTable, templateOf, textOf } from '../openapi/make.mjs';
import { assemble, parse } from '../split_gguf.mjs';
import { model, post, sanitized, start } from './server_common.mjs';

const table = readTable();
if (process.env.UPDATE_DOCS) writeFileSync(path, textOf(table));
const text = readFileSync(path, 'utf8');
const file = JSON.parse(text);
const ajv = new Ajv({ strict: false, validateFormats: false });
ajv.addSchema(file, 'api');
const validators = new Map();
const holds = (schema, value) => {
	const key = JSON.stringify(schema);
	if (!validators.has(key)) validators.set(key, ajv.compile(JSON.parse(key.replaceAll('"#/', '"api#/'))));
	return validators.get(key)(value);
};
const resolve = (schema) => (schema.$ref ? resolve(file.components.schemas[schema.$ref.split('/').at(-1)]) : schema);

let server, gap, several, states;
before(async () => {
	states = mkdtempSync(join(tmpdir(), 'hokku-openapi-'));
	server = await start(['--threads', '1', '--state-dir', states]);
	await startWithGap();
	mkdirSync(join(states, 'models'));
	copyFileSync(model('tiny'), join(states, 'models', 'tiny.gguf'));
	several = await start(['--threads', '1', '--models-dir', join(states, 'models')]);
});
after(async () => {
	await server?.stop();
	await gap?.stop();
	await several?.stop();
	rmSync(states, { recursive: true });
});

test('the file is the one that the program’s tables make', () => {
	assert.ok(text === textOf(table), 'docs/openapi.json is not what openapi/make.mjs makes; the top of tests/e2e/openapi.test.mjs says how to make it new');
});

test('its paths are the routes that GET / lists, and each form’s fields are the program’s', async () => {
	const { routes } = await (await fetch(`${server.url}/`)).json();
	const told = Object.keys(routes).map((r) => r.split(' ')).map(([method, p]) => `${method} ${templateOf(p)}`);
	const said = Object.entries(file.paths).flatMap(([p, item]) => Object.keys(item).filter((m) => m !== 'parameters').map((m) => `${m.toUpperCase()} ${p}`));
	assert.deepEqual(said.sort(), told.sort());
	for (const route of table.routes.filter((r) => r.form !== null)) {
		const schema = resolve(file.paths[templateOf(route.path)].post.requestBody.content['application/json'].schema);
		assert.deepEqual(Object.keys(schema.properties).sort(), namesOf(table, table.forms[route.form]).sort(), route.path);
		assert.equal(schema.additionalProperties, !table.forms[route.form].strict, route.path);
	}
});

// ---- every field of every form ----

const messages = [{ role: 'user', content: 'rain' }];
const tool = { type: 'function', function: { name: 'look', parameters: { type: 'object' } } };
// What else a request has: enough to be answered with a token.
const bases = {
	'/v1/generate': { messages, max_tokens: 1, stream: false },
	'/v1/state/save': { name: 'rain', messages },
	'/v1/state/restore': { name: 'rain' },
	'/v1/chat/completions': { messages, max_tokens: 1 },
	'/v1/responses': { input: 'rain', max_output_tokens: 1 },
	'/models/load': { model: 'tiny' },
	'/v1/completions': { prompt: 'the river', max_tokens: 1 },
	'/v1/messages': { messages, max_tokens: 1 },
	'/v1/messages/count_tokens': { messages },
	'/completion': { prompt: 'the river', n_predict: 1 },
	'/infill': { input_prefix: 'int a;', input_suffix: '}', n_predict: 1 },
	'/slots/*': { filename: 'rain' },
	'/tokenize': { content: 'rain' },
	'/detokenize': { tokens: [5] },
	'/apply-template': { messages },
	'/v1/chat/completions/input_tokens': { messages },
	'/api/chat': { model: 'haiku', messages, options: { num_predict: 1 }, stream: false },
	'/api/generate': { model: 'haiku', prompt: 'rain', options: { num_predict: 1 }, stream: false },
	'/api/show': { model: 'haiku' },
	'/api/embed': { model: 'haiku', input: 'rain' },
	'/api/embeddings': { model: 'haiku', prompt: 'rain' },
};
// What goes with a field, of all forms or of one; undefined takes a member away.
const company = {
	top_logprobs: { logprobs: true },
	json_space: { json_schema: { type: 'object' } },
	min_tokens: { max_tokens: 2147483647 },
	tool_choice: { tools: [tool] },
	best_of: (value) => (value >= 1 && value <= 128 && Number.isInteger(value) ? { n: value } : {}),
	max_completion_tokens: { max_tokens: undefined },
	'/completion max_completion_tokens': {},
	'/infill max_completion_tokens': {},
	stream_options: { stream: true },
	'/v1/generate prompt': { messages: undefined },
	'/v1/state/save id': { messages: undefined },
	'/v1/state/save prompt': { messages: undefined },
	'/v1/state/save tokens': { messages: undefined },
	'/v1/responses top_logprobs': { include: ['message.output_text.logprobs'] },
	'/v1/responses tool_choice': { tools: [{ type: 'function', name: 'look', parameters: { type: 'object' } }] },
	'/v1/messages tool_choice': { tools: [{ name: 'look', input_schema: { type: 'object' } }] },
	'/v1/messages/count_tokens tool_choice': { tools: [{ name: 'look', input_schema: { type: 'object' } }] },
	'/v1/messages thinking': { max_tokens: 2000 },
};
// Good values that this server, with this model, has a reason to refuse.
const reasons = {
	previous_response_id: () => true, // nothing is kept under it
	'/v1/state/save id': () => true, // no request had it
	id_slot: (value) => value >= 8, // --parallel
};
// Answered with why not, whatever the rest says.
const pools = { '/api/embed': /does not support embeddings/, '/api/embeddings': /does not support embeddings/ };

// A model whose vocabulary has tokens for a gap.
async function startWithGap() {
	const { keys, tensors, alignment } = parse(model('tiny'));
	const number = (name, value) => {
		const b = Buffer.alloc(16 + name.length);
		b.writeUInt32LE(name.length);
		b.write(name, 8);
		b.writeUInt32LE(4, 8 + name.length); // uint32
		b.writeUInt32LE(value, 12 + name.length);
		return b;
	};
	const marks = ['pre', 'suf', 'mid'].map((mark, i) => number(`tokenizer.ggml.fim_${mark}_token_id`, 300 + i));
	const file = join(states, 'gap.gguf');
	writeFileSync(file, assemble([...keys, ...marks], tensors, alignment));
	gap = await start([file, '--threads', '1']);
}
const serverOf = (route) => (route === '/infill' ? gap : route === '/models/load' ? several : server);

const urlOf = (route) => (route === '/slots/*' ? '/slots/0?action=save' : route);
// The field that an answer blames.
function blamed(route, { json }) {
	const e = json?.error;
	const where = { Native: () => e.field, Openai: () => e.param, Llama: () => e.field, Anthropic: () => e.message, Ollama: () => e };
	return e === undefined ? undefined : String(where[familyOf(route)]() ?? '').match(/^[A-Za-z_]\w*/)?.[0];
}

const pool = [true, false, -1, 0, 1, 1.5, '', 'x', [], [1], ['x'], [{}], {}, { a: 'b' }];
// Values at the ends of what a schema allows, and past them.
function edges(schema, examples) {
	const out = (schema.anyOf ?? []).flatMap((s) => edges(s, examples));
	if ('const' in schema) out.push(schema.const);
	out.push(...(schema.enum ?? []));
	for (const [end, past] of [['minimum', -1], ['maximum', 1]]) if (end in schema) out.push(schema[end], schema[end] + past);
	if ('exclusiveMinimum' in schema) out.push(schema.exclusiveMinimum, schema.exclusiveMinimum + 0.001);
	if ('exclusiveMaximum' in schema) out.push(schema.exclusiveMaximum, schema.exclusiveMaximum - 0.001);
	for (const n of [schema.minLength, schema.maxLength]) if (n !== undefined) out.push(...[n - 1, n, n + 1].filter((k) => k >= 0).map((k) => 'x'.repeat(k)));
	const item = examples.find((e) => Array.isArray(e) && e.length)?.[0];
	if (item !== undefined && schema.maxItems <= 300 && schema.items) out.push(...[schema.maxItems, schema.maxItems + 1].map((n) => Array(n).fill(item)));
	return out.filter((v) => v !== null);
}

// How a field is taken is looked at wholly where it is met first; where another form has the same, that it is there.
const met = new Set();
function valuesOf(name, schema) {
	const full = resolve(schema);
	const examples = schema.examples ?? full.examples;
	const ends = edges(full, examples ?? []);
	// With examples texts and objects are good only as far as these go.
	const likely = examples ? [...examples, ...ends.filter((v) => typeof v !== 'string' || full.enum?.includes(v))] : [...ends, ...pool];
	const distinct = (list) => [...new Set(list.map((v) => JSON.stringify(v)))].map((v) => JSON.parse(v));
	const good = distinct(likely.filter((v) => holds(schema, v)));
	const bad = distinct([...ends, ...pool].filter((v) => !holds(schema, v)));
	const key = `${name} ${JSON.stringify(full)}`;
	if (!met.has(key)) return met.add(key) && { good, bad };
	return { good: good.slice(0, 1), bad: [...bad.slice(0, 1), ...bad.slice(-1)] };
}

const short = (value) => JSON.stringify(value).slice(0, 120);
async function probe(route, name, schema) {
	const find = (map) => map[`${route} ${name}`] ?? map[name];
	const ask = (value) => {
		const more = find(company);
		return post(serverOf(route), urlOf(route), { ...bases[route], ...(typeof more === 'function' ? more(value) : more), [name]: value });
	};
	const { good, bad } = valuesOf(name, schema);
	assert.ok(good.length || schema.not, `${route} ${name}: no value of it is known to be good; give examples`);
	const faults = [];
	const see = (ok, what) => ok || faults.push(what);
	for (const value of good) {
		const reply = await ask(value);
		const what = `${route} ${name}: ${short(value)} is refused: ${reply.text}`;
		if (pools[route]) see(reply.status === 400 && pools[route].test(reply.json.error), what);
		else if (find(reasons)?.(value)) see(reply.status === 400 || reply.status === 404, what.replace('refused', 'taken'));
		else see(reply.status === 200, what);
	}
	for (const value of bad) {
		const reply = await ask(value);
		see(reply.status === 400, `${route} ${name}: ${short(value)} is taken: ${reply.text.slice(0, 300)}`);
		see(reply.status !== 400 || blamed(route, reply) === name, `${route} ${name}: ${short(value)} is refused, but not by its name: ${reply.text}`);
	}
	return faults;
}

// Under a sanitizer each form has some of its fields, the next form others.
let turn = 0;
const isTurn = () => !sanitized || turn++ % 7 === 0;

for (const [number, form] of table.forms.entries()) {
	const route = firstOf(table, number);
	test(`what ${route} takes`, async () => {
		const schema = resolve(file.paths[templateOf(route)].post.requestBody.content['application/json'].schema);
		const faults = [];
		assert.ok(holds(schema, bases[route]), 'the file has the request that all others here are made of');
		for (const [name, field] of Object.entries(schema.properties)) if (isTurn()) faults.push(...(await probe(route, name, field)));
		assert.deepEqual(faults, []);
		for (const name of schema.required ?? []) {
			const reply = await post(serverOf(route), urlOf(route), { ...bases[route], [name]: undefined });
			assert.deepEqual([reply.status, blamed(route, reply)], [400, name], reply.text);
		}
		const other = await post(serverOf(route), urlOf(route), { ...bases[route], nobodys_field: 1 });
		if (form.strict) assert.ok(other.status === 400 && other.text.includes('nobodys_field'), other.text);
		else assert.ok(other.status === 200 && other.json.warnings.some((w) => w.includes('nobodys_field')), other.text);
	});
}

test('what /v1/cancel takes', async () => {
	const ask = (body) => post(server, '/v1/cancel', body);
	const { id } = file.components.schemas.CancelRequest.properties;
	for (const value of ['verse-1', 'x'.repeat(64)]) assert.ok(holds(id, value) && (await ask({ id: value })).status === 202);
	for (const value of ['', 'x'.repeat(65), 'a b', 5, [], {}]) assert.ok(!holds(id, value) && (await ask({ id: value })).json.error.field === 'id');
	assert.equal((await ask({})).json.error.field, 'id');
});

test('options of Ollama’s routes', async () => {
	for (const [name, schema] of Object.entries(file.components.schemas.OllamaOptions.properties)) {
		if (!isTurn()) continue;
		const { good, bad } = valuesOf(name, schema);
		for (const value of good) {
			const reply = await post(server, '/api/chat', { ...bases['/api/chat'], options: { num_predict: 1, [name]: value } });
			if (name === 'num_ctx' && value > 512) assert.match(reply.text, /num_ctx is \d+; this server's context has 512/);
			else assert.equal(reply.status, 200, `${name}: ${short(value)}: ${reply.text}`);
		}
		for (const value of bad) {
			const reply = await post(server, '/api/chat', { ...bases['/api/chat'], options: { num_predict: 1, [name]: value } });
			assert.ok(reply.status === 400 && reply.json.error.startsWith(`options.${name}`), `${name}: ${short(value)}: ${reply.text}`);
		}
	}
});

// ---- answers ----

// The schema that the file has for what came; each piece of a stream is one of its values.
function judge(method, template, { status, headers, text }) {
	const answer = file.paths[template][method.toLowerCase()].responses;
	const type = headers.get('content-type').split(';')[0];
	const { content } = answer[status] ?? answer.default;
	assert.ok(content[type], `${method} ${template}: ${status} comes as ${type}, which the file does not have`);
	const values =
		type === 'text/event-stream'
			? text.split('\n\n').slice(0, -1).map((e) => e.split('\n').find((l) => l.startsWith('data: '))?.slice(6)).filter((d) => d && d !== '[DONE]')
			: type === 'application/x-ndjson'
				? text.trimEnd().split('\n')
				: [text];
	assert.ok(values.length);
	const read = type.startsWith('text/') && type !== 'text/event-stream' ? (value) => value : JSON.parse;
	for (const value of values) if (!holds(content[type].schema, read(value))) assert.fail(`${method} ${template}: ${ajv.errorsText(validators.get(JSON.stringify(content[type].schema)).errors)} of ${value}`);
}

const get = async (path, method = 'GET') => {
	const reply = await fetch(server.url + path, { method });
	return { status: reply.status, headers: reply.headers, text: await reply.text() };
};

const asked = { messages: [{ role: 'user', content: 'Write a haiku about autumn rain.' }], seed: 7 };
const whole = [
	['/v1/generate', { ...asked, stream: false, logprobs: true, top_logprobs: 2, prompt_logprobs: 1, cache_debug: true, nobodys_field: 1 }],
	['/v1/generate', { ...asked, stream: false, n: 2, min_p: 0.01, xtc_probability: 0.1, logit_bias: { 5: -1 }, min_tokens: 2, stop: 'x' }],
	['/v1/generate', { ...asked, n: 2, logprobs: true, prompt_logprobs: 0, cache_debug: true, id: 'both' }],
	['/v1/chat/completions', { ...asked, n: 2, logprobs: true, top_logprobs: 2, prompt_logprobs: 1, cache_debug: true, user: 'u' }],
	['/v1/chat/completions', { ...asked, response_format: { type: 'json_object' }, max_tokens: 9 }],
	['/v1/chat/completions', { ...asked, tools: [tool], tool_choice: 'required', max_tokens: 200 }],
	['/v1/chat/completions', { ...asked, tools: [tool], tool_choice: 'required', max_tokens: 200, stream: true }],
	['/v1/chat/completions', { ...asked, stream: true, logprobs: true, prompt_logprobs: 1, cache_debug: true, user: 'u', stream_options: { include_usage: true } }],
	['/v1/completions', { prompt: ['the', 'a'], echo: true, logprobs: 2, seed: 7, user: 'u' }],
	['/v1/completions', { prompt: 'the river\n', stream: true, logprobs: 2, seed: 7, user: 'u', prompt_logprobs: 1, stream_options: { include_usage: true } }],
	['/v1/responses', { input: 'rain', include: ['message.output_text.logprobs'], top_logprobs: 1, instructions: 'Be brief.', metadata: { a: 'b' }, user: 'u' }],
	['/v1/responses', { input: 'rain', tools: [{ type: 'function', name: 'look', parameters: { type: 'object' } }], tool_choice: 'required', stream: true }],
	['/v1/messages', { ...asked, max_tokens: 50, metadata: {}, stop_sequences: ['x'] }],
	['/v1/messages', { ...asked, max_tokens: 200, tools: [{ name: 'look', input_schema: { type: 'object' } }], tool_choice: { type: 'any' } }],
	['/v1/messages', { ...asked, max_tokens: 50, stream: true, metadata: {} }],
	['/v1/messages/count_tokens', { messages, speed: 'fast' }],
	['/completion', { prompt: 'the river\n', n_predict: 9, n_probs: 2, return_tokens: true, n_keep: 1, seed: 7 }],
	['/completion', { prompt: ['a', 'b'], n_predict: 2 }],
	['/completion', { prompt: 'a', n_predict: 2, response_fields: ['content'] }],
	['/completion', { prompt: 'the river\n', n_predict: 3, n_probs: 2, post_sampling_probs: true, stream: true, seed: 7 }],
	['/completion', { prompt: 'the river\n', n_predict: 9, n_probs: 2, stream: true, seed: 7 }],
	['/tokenize', { content: 'rain', with_pieces: true, nobodys_field: 1 }],
	['/detokenize', { tokens: [5] }],
	['/apply-template', { messages, user: 'u' }],
	['/v1/chat/completions/input_tokens', { messages }],
	['/api/chat', { model: 'haiku', ...asked, seed: undefined, stream: false, logprobs: true, top_logprobs: 1, keep_alive: 5 }],
	['/api/chat', { model: 'haiku', messages, logprobs: true }],
	['/api/chat', { model: 'haiku', messages, stream: false, tools: [tool] }],
	['/api/chat', { model: 'haiku' }],
	['/api/generate', { model: 'haiku', prompt: 'rain' }],
	['/api/generate', { model: 'haiku', prompt: 'rain', raw: true, stream: false, logprobs: true }],
	['/api/generate', { model: 'haiku', keep_alive: 0 }],
	['/api/show', { model: 'haiku', verbose: true, system: 's' }],
	['/v1/state/save', { name: 'verse', prompt: 'the river' }],
	['/v1/state/restore', { name: 'verse' }],
	['/v1/cancel', { id: 'nobodys', nobodys_field: 1 }],
];

test('answers of every route are what the file says', async () => {
	for (const [route, body] of whole) {
		const reply = await post(server, route, body);
		assert.equal(reply.status, route === '/v1/cancel' ? 202 : 200, `${route}: ${reply.text}`);
		judge('POST', route, reply);
	}
	for (const { path: route } of table.routes.filter((r) => r.method === 'GET' && !r.path.endsWith('*'))) judge('GET', route, await get(route));
	judge('GET', '/v1/models/{id}', await get('/v1/models/haiku'));
	const { json } = await post(server, '/v1/responses', { input: 'rain', max_output_tokens: 1 });
	judge('GET', '/v1/responses/{id}', await get(`/v1/responses/${json.id}`));
	judge('DELETE', '/v1/responses/{id}', await get(`/v1/responses/${json.id}`, 'DELETE'));
	await post(server, '/completion', { prompt: 'the river', n_predict: 1, id_slot: 0 });
	for (const action of ['save', 'restore']) {
		const reply = await post(server, `/slots/0?action=${action}`, { filename: 'slot' });
		assert.equal(reply.status, 200, reply.text);
		judge('POST', '/slots/{id}', reply);
	}
	for (const stream of [false, true]) judge('POST', '/infill', await post(gap, '/infill', { ...bases['/infill'], n_predict: 4, stream }));
});

test('errors of every route are what the file says', async () => {
	for (const { method, path: route } of table.routes.filter((r) => r.method !== 'GET')) {
		const reply = method === 'POST' ? await post(server, urlOf(route).replace('*', 'x'), '{') : await get(route.replace('*', 'none'), method);
		assert.ok(reply.status >= 400, `${method} ${route}: ${reply.status}`);
		judge(method, templateOf(route), reply);
	}
	judge('GET', '/v1/models/{id}', await get('/v1/models/none'));
	judge('GET', '/v1/responses/{id}', await get('/v1/responses/none'));
	for (const [route, content] of [['/v1/generate', 'rain '], ['/v1/chat/completions', 'rain '], ['/v1/messages', 'rain '], ['/api/chat', 'rain ']]) {
		const reply = await post(server, route, { ...bases[route], messages: [{ role: 'user', content: content.repeat(999) }] });
		assert.equal(reply.status, 400);
		judge('POST', route, reply);
	}
});

test('the judge can tell', async () => {
	const reply = await post(server, '/v1/chat/completions', bases['/v1/chat/completions']);
	judge('POST', '/v1/chat/completions', reply);
	for (const change of [(a) => (a.choices[0].message.more = 1), (a) => delete a.usage, (a) => (a.hokku.seed = -1), (a) => (a.object = 'chat')]) {
		const changed = JSON.parse(reply.text);
		change(changed);
		assert.throws(() => judge('POST', '/v1/chat/completions', { ...reply, text: JSON.stringify(changed) }));
	}
	assert.throws(() => judge('POST', '/api/chat', reply));
});

test('the README’s clients write a haiku', async () => {
	const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
	const programs = [...readme.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, program]) => program);
	assert.equal(programs.length, 3);
	for (const program of programs) {
		// Any seed will do, but the same in every run.
		const seed = program.includes('ollama') ? 'options: { seed: 7 }' : 'seed: 7';
		const here = program.replaceAll('http://localhost:8080', server.url).replace("model: 'haiku'", (model) => `${model}, ${seed}`);
		assert.ok(here.includes(server.url) && here.includes(seed), program);
		const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', here], { cwd: new URL('..', import.meta.url) });
		assert.ok(stdout.trim().split('\n').length >= 2, `${program} wrote ${stdout}`);
	}
});
