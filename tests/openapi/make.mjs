// Makes docs/openapi.json: routes and the names of their fields from the program, what each field takes from fields.mjs, answers from answers.mjs. In tests/:
//     FORMS_TABLE=../build/test/tests/forms_table node openapi/make.mjs
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { answers, familyOf, schemas } from './answers.mjs';
import { cancel, forms, options, shared } from './fields.mjs';

export const path = new URL('../../docs/openapi.json', import.meta.url).pathname;
export const readTable = () => JSON.parse(execFileSync(process.env.FORMS_TABLE, { encoding: 'utf8' }));

const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const must = (value, what) => {
	if (value === undefined) throw new Error(`${what}: say it in tests/openapi/fields.mjs`);
	return value;
};

const sampled = (f) => ({ type: f.whole ? 'integer' : 'number', [f.min_open ? 'exclusiveMinimum' : 'minimum']: f.min, maximum: f.max, description: `${f.text[0].toUpperCase()}${f.text.slice(1)}.` });

// All names that a form takes, each once.
export function namesOf(table, form) {
	return [...new Set([...form.fields, ...(form.no_sampling ? [] : table.sampling.map((f) => f.name))])];
}

// By the number of the form: the first route that has it.
export const firstOf = (table, number) => table.routes.find((r) => r.form === number).path;

function request(table, number, used) {
	const form = table.forms[number];
	const first = firstOf(table, number);
	const about = must(forms[first], `the form of ${first}`);
	const properties = {};
	for (const name of namesOf(table, form)) {
		const sampling = table.sampling.find((f) => f.name === name);
		for (const from of [about.own, shared]) if (from?.[name]) used.add(from[name]);
		const schema = about.own?.[name] ?? (sampling && !form.no_sampling ? sampled(sampling) : shared[name]);
		properties[name] = { ...must(schema, `the field ${name} of ${first}`) };
		if (sampling && !form.no_sampling) properties[name].default = form.defaults[name];
	}
	if (properties.stream) properties.stream.default = form.stream;
	return {
		type: 'object',
		description: form.strict ? 'Any other field is refused by its name.' : 'Any other field is passed over and named in warnings.',
		...(about.required ? { required: about.required } : {}),
		...(about.anyOf ? { anyOf: about.anyOf } : {}),
		properties,
		additionalProperties: !form.strict,
	};
}
const wholeOf = (whole) => {
	if (!Array.isArray(whole)) return typeof whole === 'string' ? ref(whole) : whole;
	return { anyOf: whole[1] === 'several' ? [ref(whole[0]), { type: 'array', items: ref(whole[0]) }] : whole.map(ref) };
};
const json = (schema) => ({ 'application/json': { schema } });

function operation(table, route) {
	const answer = answers[`${route.method} ${route.path}`];
	const error = ref(`${familyOf(route.path)}Error`);
	const out = { summary: route.text, responses: {} };
	if (route.open) out.security = [];
	if (route.form !== null) out.requestBody = { required: true, content: json(ref(forms[firstOf(table, route.form)].name)) };
	if (route.path === '/v1/cancel') out.requestBody = { required: true, content: json(ref(cancel.name)) };
	if (answer?.whole) {
		const content = answer.lines ? { ...json(wholeOf(answer.whole)), 'application/x-ndjson': { schema: wholeOf(answer.whole) } } : json(wholeOf(answer.whole));
		if (answer.page) content['text/html'] = { schema: { type: 'string' } };
		if (answer.piece) content['text/event-stream'] = { schema: ref(answer.piece) };
		out.responses[answer.status ?? 200] = { description: answer.piece || answer.lines ? 'The answer; of a stream the schema is that of each event’s data or line.' : 'The answer.', content };
	}
	if (answer?.text) out.responses[200] = { description: answer.text, content: { 'text/plain': { schema: { type: 'string' } } } };
	if (answer?.status503) out.responses[503] = { description: 'It serves nothing, for the reason that it tells.', content: json(ref(answer.status503)) };
	out.responses.default = { description: answer ? 'What is wrong.' : 'Why it is refused, always.', content: json(error) };
	return out;
}

const parameters = { '/slots/*': 'id', '/v1/responses/*': 'id', '/v1/models/*': 'id', '/api/blobs/*': 'digest' };
export const templateOf = (path) => path.replace('*', `{${parameters[path]}}`);

export function make(table) {
	const paths = {};
	for (const route of table.routes) {
		const item = (paths[templateOf(route.path)] ??= {});
		if (parameters[route.path]) item.parameters = [{ name: parameters[route.path], in: 'path', required: true, schema: { type: 'string' } }];
		item[route.method.toLowerCase()] = operation(table, route);
		if (route.path === '/slots/*') item.post.parameters = [{ name: 'action', in: 'query', required: true, schema: { enum: ['save', 'restore'] } }];
	}
	const used = new Set(); // rows of fields.mjs
	const requests = Object.fromEntries(table.forms.map((_, i) => [forms[firstOf(table, i)].name, request(table, i, used)]));
	for (const own of [shared, ...Object.values(forms).map((f) => f.own ?? {})])
		for (const name of Object.keys(own)) if (!used.has(own[name])) throw new Error(`no form has the field ${name} as tests/openapi/fields.mjs describes it`);
	for (const [i, [name, schema]] of Object.entries(requests).entries()) {
		const same = Object.entries(requests).slice(0, i).find(([, s]) => JSON.stringify(s) === JSON.stringify(schema));
		if (same) requests[name] = ref(same[0]);
	}
	requests[cancel.name] = { type: 'object', required: cancel.required, properties: Object.fromEntries(table.cancel.map((name) => [name, must(cancel.properties[name], `the field ${name} of /v1/cancel`)])), additionalProperties: true };
	requests.OllamaOptions = { type: 'object', description: 'Any other option is refused by its name.', properties: Object.fromEntries(table.options.map((name) => [name, must(options[name], `the option ${name}`)])), additionalProperties: false };
	return {
		openapi: '3.1.0',
		info: {
			title: 'hokku',
			version: '1',
			description: 'What `hokku serve` answers: its own routes, OpenAI’s, Anthropic’s, llama-server’s and Ollama’s; docs/api.md and docs/http.md say what each does. In a request null is the same as leaving a field out. Made by tests/openapi/make.mjs; tests/e2e/openapi.test.mjs holds the running server against it.',
			license: { name: 'MIT', identifier: 'MIT' },
		},
		servers: [{ url: 'http://localhost:8080' }],
		security: [{}, { bearer: [] }, { key: [] }],
		paths,
		components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, key: { type: 'apiKey', in: 'header', name: 'x-api-key' } }, schemas: { ...requests, ...schemas } },
	};
}

// A field, and an answer, a line.
function lines(value, depth) {
	if (depth === 5 || typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value);
	const tabs = '\t'.repeat(depth);
	const members = Object.entries(value).map(([key, v]) => `${tabs}\t${JSON.stringify(key)}: ${lines(v, depth + 1)}`);
	return members.length ? `{\n${members.join(',\n')}\n${tabs}}` : '{}';
}
export const textOf = (table) => `${lines(make(table), 0)}\n`;
if (process.argv[1] === new URL(import.meta.url).pathname) writeFileSync(path, textOf(readTable()));
