// Requests that are wrong in each way that somebody has thought of, and in some that a seed thinks of (openapi/wrong.mjs). Each is answered, by
// what it asks for or by a 4xx in its API's own form that names what is at fault; meanwhile a stream goes on, with its lone text.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { familyOf } from '../openapi/answers.mjs';
import { changed, random, Raw, rich, write } from '../openapi/wrong.mjs';
import { events, generate, raw, sanitized, start } from './server_common.mjs';

const file = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'));
const ajv = new Ajv({ strict: false, validateFormats: false });
ajv.addSchema(file, 'api');
const errorOf = Object.fromEntries(['Native', 'Openai', 'Anthropic', 'Llama', 'Ollama'].map((name) => [name, ajv.compile({ $ref: `api#/components/schemas/${name}Error` })]));

let server, states;
before(async () => {
	states = mkdtempSync(join(tmpdir(), 'hokku-bad-'));
	const template = new URL('../golden/templates/tools_and_thinking.jinja', import.meta.url).pathname;
	server = await start(['--chat-template-file', template, '--threads', '1', '--state-dir', states]);
});
after(async () => {
	await server?.stop();
	rmSync(states, { recursive: true });
});

const many = (n, f) => Array.from({ length: n }, (_, i) => f(i));
const agent = new http.Agent({ keepAlive: true });
// An answer that does not come within two minutes, or a connection that ends without one, is a fault.
const ask = (route, body) =>
	new Promise((resolve, reject) => {
		const bytes = Buffer.from(typeof body === 'string' ? body : write(body));
		const fail = (why) => reject(new Error(`${route} ${bytes.subarray(0, 2000)}: ${why}`));
		const request = http.request(server.url + route, { method: 'POST', agent, headers: { 'Content-Type': 'application/json', 'Content-Length': bytes.length } }, (response) => {
			const chunks = [];
			response.on('data', (data) => chunks.push(data));
			response.on('error', fail);
			response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'], text: Buffer.concat(chunks).toString() }));
		});
		request.on('error', fail);
		request.setTimeout(120000, () => request.destroy(new Error('no answer')));
		request.end(bytes);
	});

// The error's sentence, of an answer that is one in its API's form.
function refusal(route, { status, text }) {
	assert.ok(status >= 400 && (status < 500 || status === 501), `${route}: ${status} ${text}`);
	const json = JSON.parse(text), family = familyOf(route);
	assert.ok(errorOf[family](json), `${route}: ${text} is not of the form ${family}Error`);
	return family === 'Ollama' ? json.error : json.error.message;
}
function judge(route, body, reply) {
	const what = `${route} ${body.slice(0, 2000)}: ${reply.status} ${reply.text.slice(0, 500)}`;
	if (reply.status >= 300) return refusal(route, reply);
	assert.ok(reply.status === 200 || reply.status === 202, what);
	if (reply.type.startsWith('text/event-stream')) assert.ok(!/^event: error/m.test(reply.text) && !/^data: \{"error"/m.test(reply.text), what);
	else for (const line of reply.type.includes('ndjson') ? reply.text.trimEnd().split('\n') : [reply.text]) assert.ok(!JSON.parse(line).error, what);
}

// Asked four at a time, and with each four a stream, which goes on as it would alone.
const other = { messages: [{ role: 'user', content: 'Write a haiku about autumn rain.' }], seed: 9, max_tokens: 24, logit_bias: { 6655: -100 } };
const textOf = (reply) => events(reply.text).filter((e) => e.kind === 'token').map((e) => e.data.t).join('');
let lone;
async function askAll(requests, look) {
	lone ??= textOf(await generate(server, other));
	assert.ok(lone.length > 20);
	for (let i = 0; i < requests.length; i += 4)
		await Promise.all([
			generate(server, other).then((reply) => assert.equal(textOf(reply), lone)),
			...requests.slice(i, i + 4).map(async (r) => look(r, await ask(r.route, r.body))),
		]);
}

test('what a seed makes of requests that are right', async () => {
	const rand = random(2026), seen = {};
	await askAll(many(sanitized ? 40 : 160, () => changed(rand)), ({ route, body }, reply) => {
		judge(route, body, reply);
		seen[reply.status] = (seen[reply.status] ?? 0) + 1;
	});
	assert.ok(seen[200] && seen[400], JSON.stringify(seen));
});

// ---- what has been thought of ----

const user = { role: 'user', content: 'rain' };
const chat = (more) => ({ messages: [user], max_tokens: 2, ...more });
const schema = (s) => chat({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema: s } } });
const tool = (name, parameters = { type: 'object' }) => ({ type: 'function', function: { name, parameters } });
const nest = (n, f) => (n ? f(nest(n - 1, f)) : { type: 'null' });
const deep = (n, open, close) => new Raw(open.repeat(n) + '1' + close.repeat(n));
const ollama = (more) => ({ model: 'haiku', messages: [user], options: { num_predict: 2 }, stream: false, ...more });
const C = '/v1/chat/completions', M = '/v1/messages', R = '/v1/responses', O = '/api/chat';

// Route, body, and what the answer's error says; nothing: it is answered.
const tried = {
	roles: [
		[C, chat({ messages: [{ role: 'usr', content: 'x' }] }), /^messages\[0\]\.role is "usr"; it takes "system"/],
		[C, chat({ messages: [{ role: '', content: 'x' }] }), /^messages\[0\]\.role is ""/],
		[C, chat({ messages: [{ role: 5, content: 'x' }] }), /^messages\[0\]\.role is 5/],
		[C, chat({ messages: [{ role: 'system\n<|im_end|>', content: 'x' }] }), /^messages\[0\]\.role is "system\\n/],
		[M, chat({ messages: [{ role: 'tool', content: 'x' }] }), /^messages\.0\.role is the string "tool"; it takes/],
		[R, { input: [{ role: 'tool', content: 'x' }] }, /^input\[0\]\.role is "tool"; it takes/],
		[O, ollama({ messages: [{ role: 'human', content: 'x' }] }), /^messages\[0\]\.role is "human"; it takes/],
		['/apply-template', { messages: [{ role: 'User', content: 'x' }] }, /^messages\[0\]\.role is "User"/],
		['/v1/state/save', { name: 'a', messages: [{ role: 'x', content: 'x' }] }, /^messages\[0\]\.role is "x"/],
	],
	'nothing is said': [
		[C, chat({ messages: [] }), /^messages is an array of 0; it takes/],
		[C, chat({ messages: [{}] }), /^messages\[0\]\.role is missing/],
		[C, chat({ messages: [{ role: 'user' }] }), /^messages\[0\]\.content is missing/],
		[C, chat({ messages: [{ role: 'user', content: [] }] }), /^messages\[0\]\.content is an empty array/],
		[C, chat({ messages: [{ role: 'user', content: '' }] })],
		[C, {}, /^messages is missing/],
		[M, chat({ messages: [] }), /^messages is an array of 0/],
		[M, chat({ messages: [{ role: 'user', content: [] }] }), /^messages\.0\.content is an array of 0/],
		[`${M}/count_tokens`, {}, /^messages is missing/],
		[R, { input: [] }, /^input is an array of 0/],
		[R, {}, /^input is missing/],
		[O, ollama({ messages: [{}] }), /^messages\[0\]\.role is missing/],
		['/v1/completions', { prompt: '' }, /^prompt gives no token/],
		['/v1/completions', { prompt: [[]] }, /^prompt\[0\] is an empty array/],
		['/completion', { prompt: [] }, /^prompt has 0 prompts/],
		['/apply-template', { messages: [] }, /^messages is an array of 0/],
		['/detokenize', {}, /^tokens is/],
		['/tokenize', {}, /^content is/],
	],
	'results without calls': [
		[C, chat({ messages: [user, { role: 'tool', content: 'x' }] }), /^messages\[1\]\.role is "tool", and the messages before it have no call/],
		[C, chat({ messages: [{ role: 'tool', tool_call_id: 'no', content: 'x' }] }), /^messages\[0\]\.role is "tool"/],
		[C, chat({ messages: [user, { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'b', content: 'x' }] }), /^messages\[2\]\.tool_call_id is "b"/],
		[M, chat({ messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'no', content: 'x' }] }] }), /^messages\.0\.content\.0\.tool_use_id is the string "no", and no tool_use/],
		[R, { input: [{ type: 'function_call_output', call_id: 'no', output: 'x' }] }, /^input\[0\]\.call_id is "no", and no call/],
		[R, { input: [{ type: 'custom_tool_call_output', call_id: 'no', output: 'x' }] }, /^input\[0\]\.call_id is "no", and no call/],
	],
	'thousands of tools': [
		[C, chat({ tools: many(10000, (i) => tool(`t${i}`)) }), /^the body has 30004 objects and arrays; 20000 are allowed/],
		[C, chat({ tools: many(6000, (i) => tool(`t${i}`)), tool_choice: 'required' }), /^tools\[\d+\]\.function\.parameters: its patterns, lengths and names take more than/],
		[M, chat({ tools: many(6500, (i) => ({ name: `t${i}`, input_schema: { type: 'object' } })), tool_choice: { type: 'any' } }), /^tools\.\d+\.input_schema: its patterns, lengths and names take more than/],
		[R, { input: 'x', tools: many(1000, (i) => ({ type: 'function', name: `t${i}`, parameters: { type: 'object' } })) }, /tokens, the context holds 512/],
		[O, ollama({ tools: many(1000, (i) => tool(`t${i}`)) }), /tokens, the context holds 512/],
		[C, chat({ tools: [tool('a b')] }), /^tools\[0\]\.function\.name is the string "a b"|^tools\[0\]\.function\.name is "a b"/],
		[C, chat({ tools: [tool('a'), tool('a')], tool_choice: 'required' })],
	],
	'schemas 1,000 deep': [
		[C, schema(nest(1000, (x) => ({ items: x }))), /stand deeper than the 1000 allowed/],
		[C, schema(nest(900, (x) => ({ items: x })))],
		[C, schema(nest(450, (x) => ({ type: 'object', properties: { a: x }, required: ['a'] })))],
		[C, schema(nest(900, (x) => ({ not: x }))), /^response_format\.json_schema\.schema: \/not\/not/],
		[O, ollama({ format: nest(900, (x) => ({ items: x })) })],
		[C, chat({ tools: [tool('a', deep(980, '{"items":', '}'))] }), /^tools\[0\]\.function|tokens, the context holds|deep/],
		[C, chat({ metadata: deep(1000, '[', ']') }), /stand deeper than the 1000 allowed/],
		[M, chat({ tools: [{ name: 'a', input_schema: { type: 'object', properties: { a: nest(950, (x) => ({ items: x })) } } }] }), /^tools\.0\.input_schema has objects and arrays \d+ deep/],
	],
	patterns: [
		[C, chat({ regex: '(a*)*b' })],
		[C, schema({ type: 'string', pattern: '^(a*)*b$' })],
		[C, chat({ regex: '((a|a?)+)+$' })],
		[C, chat({ regex: '(((((a{1,99}){1,99}){1,99}){1,99}){1,99})' })],
		[C, chat({ regex: '(' }), /^regex: column 1: "\(" is not closed/],
		[C, chat({ regex: '[z-a]' }), /^regex: column 2: the range/],
		[C, chat({ regex: '(a)\\1' }), /^regex: column 4: .* refers back/],
		[O, ollama({ format: { type: 'string', pattern: '(' } }), /^format: \/pattern: /],
		[C, chat({ grammar: 'root ::= root "a" | "b"' }), /^grammar: a rule begins with itself/],
		[C, chat({ grammar: 'root ::= nope' }), /^grammar: line 1 column 10: there is no rule "nope"/],
		[C, chat({ grammar: `root ::= ${'('.repeat(100000)}` }), /^grammar: line 1 column \d+: more than 1000 groups/],
	],
	'alternatives by the thousand': [
		[C, schema({ anyOf: many(10000, (i) => ({ const: `v${i}` })) })],
		[C, schema({ enum: many(10000, (i) => i) })],
		[C, schema({ oneOf: many(10000, (i) => ({ type: 'integer', minimum: i })) }), /^response_format\.json_schema\.schema: .*alternatives multiply/],
		[C, schema({ anyOf: many(6000, (i) => ({ type: 'object', properties: { [`p${i}`]: {} } })) }), /^response_format\.json_schema\.schema: |^the body has/],
	],
	references: [
		[C, schema({ $ref: '#' }), /^response_format\.json_schema\.schema: refers to itself/],
		[C, schema({ $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }), /\/\$defs\/[ab]: refers to itself/],
		[C, schema({ allOf: [{ $ref: '#' }] }), /refers to itself/],
		[C, schema({ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }), /no text at all/],
		[C, schema({ $ref: 'https://example.org/x.json' }), /\/\$ref: "https:\/\/example\.org\/x\.json" lies outside the schema/],
		[C, schema({ $ref: 'file:///etc/passwd' }), /\/\$ref: "file:\/\/\/etc\/passwd" lies outside/],
		[C, schema({ $ref: '#/nope' }), /\/\$ref: "#\/nope" points at nothing/],
		[M, chat({ output_config: { format: { type: 'json_schema', schema: { $ref: 'x' } } } }), /^output_config\.format\.schema: \/\$ref: "x" lies outside/],
		[R, { input: 'x', text: { format: { type: 'json_schema', name: 'a', schema: { $ref: '#' } } } }, /^text\.format\.schema: refers to itself/],
		[C, chat({ tools: [tool('f', { $ref: 'x' })], tool_choice: 'required' }), /^tools\[0\]\.function\.parameters\/\$ref: "x" lies outside/],
	],
	'bounds that contradict': [
		[C, schema({ type: 'integer', minimum: 5, maximum: 3 }), /^response_format\.json_schema\.schema: /],
		[C, schema({ type: 'integer', multipleOf: 0 }), /\/multipleOf: 0 is not above 0/],
		[C, schema({ enum: [] }), /\/enum: \[\] is not/],
		[C, schema({ type: 'string', maxLength: 100000 })],
		[C, schema({ enum: ['x'.repeat(1 << 20)] }), /^response_format\.json_schema\.schema: its patterns/],
		[C, schema({ type: 'object', properties: { 'a"b\u0000\\': { type: 'null' } }, required: ['a"b\u0000\\'] })],
	],
	'base64 that is none': [
		[C, chat({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,@@@' } }] }] }), /^messages\[0\]\.content\[0\]\.type is "image_url"/],
		[M, chat({ messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: '@@@' } }] }] }), /^messages\.0\.content\.0\.type is the string "image"/],
		[R, { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:@@' }] }] }, /^input\[0\]\.content\[0\]\.type is "input_image"/],
		[O, ollama({ messages: [{ ...user, images: ['@@@'] }] }), /^messages\[0\]\.images holds 1/],
		['/api/generate', { model: 'haiku', prompt: 'x', images: ['@@@'] }, /^images holds 1/],
		['/completion', { prompt: { prompt_string: 'x', multimodal_data: ['@@@'] } }, /^prompt has multimodal_data/],
		['/v1/embeddings', { input: 'x', encoding_format: '@' }, /does not pool/],
	],
	numbers: ['1e400', '-1e400', '1e-400', '-0.5', '99999999999999999999', `1${'0'.repeat(400)}`, '"NaN"', '"Infinity"', 'true', '[]', '{}'].flatMap((n) =>
		[[C, 'max_tokens'], [M, 'max_tokens'], [R, 'max_output_tokens'], ['/completion', 'n_predict'], ['/v1/generate', 'priority'], [C, 'n'], [M, 'top_k']].map(([route, name]) => [
			route,
			{ ...(route === R ? { input: 'x' } : route === '/completion' || route === '/v1/generate' ? { prompt: 'x' } : chat({})), [name]: new Raw(n) },
			new RegExp(`^${name} is .*; it takes a`),
		]),
	),
	'what is no JSON': ['NaN', '[1,]', '01', "'x'", '"\\x"', '"\\ud800"', '\u0001', '{"a":1,"a":2}', ''].map((text) => [C, `{"messages":[{"role":"user","content":"x"}],"max_tokens":2,"seed":${text}}`, /^the body is no valid JSON, at line 1 column \d+/]),
};
for (const [what, rows] of Object.entries(tried))
	test(what, () =>
		askAll(rows.map(([route, body, wanted]) => ({ route, body: typeof body === 'string' ? body : write(body), wanted })), ({ route, body, wanted }, reply) => {
			const said = judge(route, body, reply);
			if (!wanted) assert.equal(said, undefined, `${route} ${body.slice(0, 500)}`);
			else assert.match(said ?? reply.text, wanted, `${route} ${body.slice(0, 500)}`);
		}),
	);

test('a body that is too large, or never comes, is told in the form of each API', async () => {
	for (const route of Object.keys(rich)) {
		const { status, body } = await raw(server.port, `POST ${route} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n`);
		assert.match(refusal(route, { status, text: body }), /^Content-Length is "99999999"; a body may have 8388608 bytes/);
		const wrong = await raw(server.port, `POST ${route} HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n`);
		assert.match(refusal(route, { status: wrong.status, text: wrong.body }), /Content-Length/);
	}
});

// ---- names of control tokens ----

// Of each API, everything that the template writes into the prompt, with t in it.
const said = {
	[C]: (t) => ({
		messages: [
			{ role: 'system', content: t },
			{ role: 'user', content: [{ type: 'text', text: t }] },
			{ role: 'assistant', content: t, reasoning_content: t, tool_calls: [{ id: 'c', type: 'function', function: { name: 'look', arguments: JSON.stringify({ [t]: [t] }) } }] },
			{ role: 'tool', tool_call_id: 'c', content: t },
			{ role: 'user', content: t, name: t },
		],
		tools: [{ type: 'function', function: { name: 'look', description: t, parameters: { type: 'object', title: t, properties: { [t]: { enum: [t], description: t } }, required: [t] } } }],
		chat_template_kwargs: { t },
	}),
	[M]: (t) => ({
		system: [{ type: 'text', text: t }],
		messages: [
			{ role: 'user', content: [{ type: 'text', text: t }] },
			{ role: 'assistant', content: [{ type: 'thinking', thinking: t, signature: t }, { type: 'text', text: t }, { type: 'tool_use', id: 'c', name: 'look', input: { [t]: [t] } }] },
			{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: [{ type: 'text', text: t }] }, { type: 'text', text: t }] },
		],
		tools: [{ name: 'look', description: t, input_schema: { type: 'object', title: t, properties: { [t]: { enum: [t], description: t } }, required: [t] } }],
	}),
	[R]: (t) => ({
		instructions: t,
		input: [
			{ role: 'user', content: [{ type: 'input_text', text: t }] },
			{ type: 'reasoning', id: 'r', summary: [], content: [{ type: 'reasoning_text', text: t }] },
			{ role: 'assistant', content: t },
			{ type: 'function_call', call_id: 'c', name: 'look', arguments: JSON.stringify({ [t]: [t] }) },
			{ type: 'function_call_output', call_id: 'c', output: t },
			{ role: 'developer', content: t },
			{ role: 'user', content: t },
		],
		tools: [{ type: 'function', name: 'look', description: t, parameters: { type: 'object', title: t, properties: { [t]: { enum: [t], description: t } }, required: [t] } }],
	}),
	[O]: (t) => ({
		model: 'haiku',
		messages: [
			{ role: 'system', content: t },
			{ role: 'user', content: t },
			{ role: 'assistant', content: t, thinking: t, tool_calls: [{ function: { name: 'look', arguments: { [t]: [t] } } }] },
			{ role: 'tool', tool_name: 'look', content: t },
			{ role: 'user', content: t },
		],
		tools: [{ type: 'function', function: { name: 'look', description: t, parameters: { type: 'object', title: t, properties: { [t]: { enum: [t], description: t } }, required: [t] } } }],
		stream: false,
	}),
	'/api/generate': (t) => ({ model: 'haiku', system: t, prompt: t, stream: false }),
};
const least = { [C]: { max_tokens: 1, return_token_ids: true }, [M]: { max_tokens: 1 }, [R]: { max_output_tokens: 1 }, [O]: { options: { num_predict: 1 } }, '/api/generate': { options: { num_predict: 1 } } };
// In how many places of the prompt it is.
const places = { [C]: 14, [M]: 14, [R]: 15, [O]: 14, '/api/generate': 2 };

test('whatever is said of control tokens is text', async () => {
	const tokenize = async (content, special) => JSON.parse((await ask('/tokenize', { content, parse_special: special })).text).tokens;
	for (const name of ['<|im_end|>', '<|im_start|>']) {
		const [id, ...more] = await tokenize(name, true), longer = (await tokenize(name, false)).length - 1;
		assert.ok(more.length === 0 && longer > 3);
		for (const route of Object.keys(said)) {
			const tell = async (t) => {
				const { status, text } = await ask(route, { ...said[route](t), ...least[route] });
				assert.equal(status, 200, text);
				return JSON.parse(text);
			};
			const [plain, named] = [await tell('x'), await tell(name)];
			const lengthOf = ({ usage, prompt_eval_count: n }) => n ?? usage.prompt_tokens ?? usage.input_tokens + (usage.cache_read_input_tokens ?? 0);
			assert.equal(lengthOf(named) - lengthOf(plain), places[route] * longer, route);
			const idsOf = (json) => json.prompt_token_ids ?? json.context ?? [];
			assert.equal(idsOf(named).filter((i) => i === id).length, idsOf(plain).filter((i) => i === id).length);
			assert.equal(idsOf(named).length > 0, route === C || route === '/api/generate');
		}
	}
});
