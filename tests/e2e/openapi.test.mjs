// docs/openapi.json against the program and against a running server. How the file is made: openapi/make.mjs.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { familyOf } from '../openapi/answers.mjs';
import { firstOf, namesOf, path, readTable, templateOf, textOf } from '../openapi/make.mjs';
import { post, sanitized, start } from './server_common.mjs';

const table = readTable();
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

let server, states;
before(async () => {
	states = mkdtempSync(join(tmpdir(), 'hokku-openapi-'));
	server = await start(['--threads', '1', '--state-dir', states]);
});
after(async () => {
	await server?.stop();
	rmSync(states, { recursive: true });
});

test('the file is the one that the program’s tables make', () => {
	assert.ok(text === textOf(table), 'docs/openapi.json is not what openapi/make.mjs makes: run it (its head says how)');
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
	'/v1/completions': { prompt: 'the river', max_tokens: 1 },
	'/v1/messages': { messages, max_tokens: 1 },
	'/v1/messages/count_tokens': { messages },
	'/completion': { prompt: 'the river', n_predict: 1 },
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
	'/completion max_tokens': { n_predict: undefined },
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
		return post(server, urlOf(route), { ...bases[route], ...(typeof more === 'function' ? more(value) : more), [name]: value });
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
	if (route === '/infill') continue; // the model has no tokens for a gap; its fields are those of /completion, and three
	test(`what ${route} takes`, async () => {
		const schema = resolve(file.paths[templateOf(route)].post.requestBody.content['application/json'].schema);
		const faults = [];
		assert.ok(holds(schema, bases[route]), 'the file has the request that all others here are made of');
		for (const [name, field] of Object.entries(schema.properties)) if (isTurn()) faults.push(...(await probe(route, name, field)));
		assert.deepEqual(faults, []);
		for (const name of schema.required ?? []) {
			const reply = await post(server, urlOf(route), { ...bases[route], [name]: undefined });
			assert.deepEqual([reply.status, blamed(route, reply)], [400, name], reply.text);
		}
		const other = await post(server, urlOf(route), { ...bases[route], nobodys_field: 1 });
		if (form.strict) assert.ok(other.status === 400 && other.text.includes('nobodys_field'), other.text);
		else assert.ok(other.status === 200 && other.json.warnings.some((w) => w.includes('nobodys_field')), other.text);
	});
}

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
