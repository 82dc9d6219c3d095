// Requests that are wrong, made from docs/openapi.json: each field of each route at its ends, past them and of every other kind, and bodies that were
// right until something inside was changed. A seed decides what comes; e2e/bad_requests.test.mjs asks some, soak/requests.mjs for as long as one likes.

// JSON that JSON.stringify cannot write: numbers without a double, halves of surrogates, members twice.
export class Raw {
	constructor(text) {
		this.text = text;
	}
}
export const write = (value) => {
	if (value instanceof Raw) return value.text;
	if (Array.isArray(value)) return `[${value.map(write).join()}]`;
	if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
	return `{${Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => `${JSON.stringify(k)}:${write(v)}`).join()}}`;
};

// Mulberry32.
export const random = (seed) => () => {
	seed = (seed + 0x6d2b79f5) | 0;
	let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

const deep = (n, open, close, inside = '') => new Raw(open.repeat(n) + inside + close.repeat(n));
const numbers = ['-0', '0', '-1', '1', '1.5', '-1.5', '1e400', '-1e400', '1e-400', '1e308', '1E2', '1.0', '9007199254740993', '2147483647', '2147483648', '-2147483649', '4294967295', '4294967296', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '18446744073709551615', '18446744073709551616', `1${'0'.repeat(400)}`, `0.${'0'.repeat(400)}1`].map((n) => new Raw(n));
export const noJson = ['NaN', 'Infinity', '-Infinity', 'nan', '01', '+1', '.5', '1.', '0x10', "'x'", 'undefined', '"\\x"', '"\n"', '"\\u12"', '[1,]', '{"a":1,}', '{a:1}', ''].map((t) => new Raw(t));
const texts = ['', ' ', 'x', 'NaN', 'null', 'true', '1', '-1', '1e400', '{}', '[]', '\u0000', 'a\u0000b', 'é\u{1f600}', '\ufffe', 'a/b', '../..', '%', '%s%n', '<|im_start|>', '<|im_end|>', 'x'.repeat(513), 'x'.repeat(100000)];
const halves = ['"\\ud800"', '"\\udc00"', '"a\\ud83d"', '"\\ude00\\ud83d"'].map((t) => new Raw(t));
const lists = [[], [null], [0], [-1], [1.5], [''], ['x'], [[]], [{}], [[[]]], [true], Array(10000).fill(0), Array(10000).fill(''), Array(2000).fill({}), [new Raw('1e400')], [new Raw('18446744073709551616')], deep(200, '[', ']'), deep(3000, '[', ']')];
const objects = [{}, { '': '' }, { a: null }, { type: null }, { type: 'x' }, { type: 'function' }, { type: 'text' }, { type: 'text', text: 5 }, { type: 'text', text: null }, { name: 'x' }, { 0: 1 }, { $ref: '#' }, { type: [] }, new Raw('{"a":1,"a":2}'), new Raw('{"\\u0000":1}'), deep(200, '{"a":', '}', '1'), deep(3000, '{"a":', '}', '1'), Object.fromEntries([...Array(2000).keys()].map((i) => [`k${i}`, i]))];
export const hostile = [null, true, false, ...numbers, ...texts, ...halves, ...lists, ...objects];

// Values at the ends of what a schema allows, and past them.
export function edges(schema, resolve) {
	schema = resolve(schema);
	const out = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((s) => edges(s, resolve));
	if ('const' in schema) out.push(schema.const);
	out.push(...(schema.enum ?? []), ...(schema.examples ?? []));
	for (const name of ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']) if (name in schema) for (const d of [-1, -0.001, 0, 0.001, 1]) out.push(schema[name] + d);
	for (const n of [schema.minLength, schema.maxLength]) if (n !== undefined) out.push(...[n - 1, n, n + 1].filter((k) => k >= 0).map((k) => 'x'.repeat(k)));
	if (schema.maxItems <= 300) out.push(...[schema.maxItems, schema.maxItems + 1].map((n) => Array(n).fill(schema.examples?.find((e) => e?.length)?.[0] ?? 'x')));
	return out;
}

// ---- bodies with something in every place ----

const parameters = { type: 'object', properties: { city: { type: 'string', description: 'Where', enum: ['Rome', 'Oslo'] }, days: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['city'] };
const tools = [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters, strict: true } }];
const shape = { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'array', items: { anyOf: [{ type: 'string', pattern: '^a+$' }, { $ref: '#/$defs/x' }] } } }, $defs: { x: { type: 'null' } }, required: ['a'] };
const call = { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"city":"Rome"}' } };
const talk = [
	{ role: 'system', content: 'Be brief.' },
	{ role: 'user', content: [{ type: 'text', text: 'rain' }] },
	{ role: 'assistant', content: null, tool_calls: [call], reasoning_content: 'hm' },
	{ role: 'tool', tool_call_id: 'call_1', content: 'wet' },
	{ role: 'user', content: 'and now?', name: 'ann' },
];
const short = [{ role: 'user', content: 'rain' }];
const drawn = { seed: 1, temperature: 0.5, top_p: 0.9, stop: ['x'], logit_bias: { 5: -1 } };
const formats = [{ type: 'json_object' }, { type: 'json_schema', json_schema: { name: 'a', schema: shape, strict: true } }, { type: 'structural_tag', format: { type: 'tag', begin: '<a>', content: { type: 'json_schema', json_schema: shape }, end: '</a>' } }];
const blocks = [
	{ role: 'user', content: [{ type: 'text', text: 'rain', cache_control: { type: 'ephemeral' } }] },
	{ role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 's' }, { type: 'tool_use', id: 't1', name: 'look', input: { city: 'Rome' } }] },
	{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'wet' }] }, { type: 'text', text: 'and?' }] },
];
const items = [
	{ type: 'message', role: 'developer', content: 'Be brief.' },
	{ role: 'user', content: [{ type: 'input_text', text: 'rain' }] },
	{ type: 'reasoning', id: 'r', summary: [{ type: 'summary_text', text: 'hm' }] },
	{ type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"city":"Rome"}' },
	{ type: 'function_call_output', call_id: 'c1', output: 'wet' },
	{ type: 'custom_tool_call', call_id: 'c2', name: 'sh', input: 'ls' },
	{ type: 'custom_tool_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'x' }] },
];
const ollamaTalk = [{ role: 'system', content: 's' }, { role: 'user', content: 'rain' }, { role: 'assistant', content: '', thinking: 'hm', tool_calls: [{ function: { name: 'look', arguments: { city: 'Rome' } } }] }, { role: 'tool', tool_name: 'look', content: 'wet' }, { role: 'user', content: 'and?' }];

// Each is answered, with a token or some; the limits of length are not among what is changed.
export const rich = {
	'/v1/generate': [
		[{ messages: talk, tools, chat_template_kwargs: { enable_thinking: false }, ...drawn, logprobs: true, top_logprobs: 2 }, { max_tokens: 2, stream: false }],
		[{ prompt: [5, 6], stop_token_ids: [5], allowed_token_ids: [5, 6, 7], bad_words: ['x'], dry_sequence_breakers: ['\n'], dry_multiplier: 0.5, prompt_logprobs: 1 }, { max_tokens: 2, stream: false }],
		...formats.map((response_format) => [{ prompt: 'rain', response_format }, { max_tokens: 2, stream: false }]),
		[{ prompt: 'rain', structured_outputs: { regex: '(a|b)*c{1,3}[^x]' } }, { max_tokens: 2, stream: false }],
		[{ prompt: 'rain', grammar: 'root ::= "a" | b*\nb ::= [a-z]{1,3}' }, { max_tokens: 2, stream: false }],
	],
	'/v1/chat/completions': [
		[{ model: 'm', messages: talk, tools, tool_choice: { type: 'function', function: { name: 'look' } }, parallel_tool_calls: false, ...drawn, stream_options: { include_usage: true }, stream: true }, { max_tokens: 3 }],
		[{ messages: short, tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'look' } }] } }, logprobs: true, top_logprobs: 3, n: 2, metadata: { a: 'b' } }, { max_tokens: 3 }],
		...formats.map((response_format) => [{ messages: short, response_format }, { max_tokens: 3 }]),
	],
	'/v1/completions': [[{ prompt: ['the', 'a'], echo: true, logprobs: 2, ...drawn }, { max_tokens: 2 }], [{ prompt: [[5, 6], [7]], n: 2, json_schema: shape }, { max_tokens: 2 }]],
	'/v1/responses': [
		[{ input: items, instructions: 'i', tools: [{ type: 'function', name: 'look', parameters, strict: true }, { type: 'custom', name: 'sh', format: { type: 'text' } }, { type: 'namespace', name: 'n', description: 'd', tools: [{ type: 'function', name: 'f', parameters }] }], tool_choice: { type: 'function', name: 'look' }, reasoning: { effort: 'low', summary: 'auto' }, metadata: { a: 'b' }, store: false }, { max_output_tokens: 2 }],
		[{ input: 'rain', text: { format: { type: 'json_schema', name: 'a', schema: shape }, verbosity: 'medium' }, include: ['message.output_text.logprobs'], top_logprobs: 1, stream: true }, { max_output_tokens: 2 }],
	],
	'/v1/messages': [
		[{ model: 'm', system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }], messages: blocks, tools: [{ name: 'look', description: 'd', input_schema: parameters }], tool_choice: { type: 'tool', name: 'look', disable_parallel_tool_use: true }, stop_sequences: ['x'], metadata: { user_id: 'u' } }, { max_tokens: 2 }],
		[{ messages: short, thinking: { type: 'enabled', budget_tokens: 1024 }, output_config: { format: { type: 'json_schema', schema: shape } }, stream: true }, { max_tokens: 2000 }],
	],
	'/v1/messages/count_tokens': [[{ model: 'm', system: 's', messages: blocks, tools: [{ name: 'look', input_schema: parameters }], tool_choice: { type: 'auto' } }, {}]],
	'/completion': [
		[{ prompt: ['a', [5, 'b']], samplers: ['dry', 'penalties', 'top_n_sigma', 'temperature', 'top_k', 'typ_p', 'top_p', 'min_p', 'xtc'], logit_bias: [[5, -1], ['a', false]], n_probs: 2, response_fields: ['content'], id_slot: 0, stop: ['x'], stream_options: { include_usage: true } }, { n_predict: 2 }],
		[{ prompt: 'a', json_schema: shape, return_tokens: true, stream: true }, { n_predict: 2 }],
	],
	'/infill': [[{ input_prefix: 'a', input_suffix: 'b', input_extra: [{ filename: 'f.c', text: 'x' }], prompt: 'c' }, { n_predict: 2 }]],
	'/tokenize': [[{ content: ['a', 5, 'b'], with_pieces: true, add_special: true, parse_special: false }, {}]],
	'/detokenize': [[{ tokens: [5, 6] }, {}]],
	'/apply-template': [[{ messages: talk, tools, add_generation_prompt: true, chat_template_kwargs: { a: 1 } }, {}]],
	'/v1/chat/completions/input_tokens': [[{ messages: talk, tools }, {}]],
	'/slots/0?action=save': [[{ filename: 'rain' }, {}]],
	'/v1/state/save': [[{ name: 'rain', messages: talk, tools }, {}], [{ name: 'rain', tokens: [5, 6], cache_salt: 's' }, {}]],
	'/v1/state/restore': [[{ name: 'rain' }, {}]],
	'/v1/cancel': [[{ id: 'verse-1' }, {}]],
	'/api/chat': [
		[{ messages: ollamaTalk, tools, format: 'json', options: { num_predict: 2, temperature: 0.5, stop: ['x'], seed: 1, num_ctx: 128 }, think: false, keep_alive: '5m', stream: false }, { model: 'haiku' }],
		[{ messages: short, format: shape, logprobs: true, top_logprobs: 2, options: { num_predict: 2 } }, { model: 'haiku' }],
	],
	'/api/generate': [[{ prompt: 'rain', system: 's', context: [5, 6], options: { num_predict: 2 }, format: shape, stream: false }, { model: 'haiku' }]],
	'/api/show': [[{ model: 'haiku', verbose: true, options: { a: 1 } }, {}]],
	'/api/embed': [[{ model: 'haiku', input: ['a', 'b'], dimensions: 5, truncate: true }, {}]],
	'/api/embeddings': [[{ model: 'haiku', prompt: 'a' }, {}]],
	'/v1/embeddings': [[{ model: 'haiku', input: ['a'], encoding_format: 'float', dimensions: 5 }, {}]],
};

const pick = (rand, list) => list[Math.floor(rand() * list.length)];
function places(value, at = [], out = []) {
	if (at.length) out.push(at);
	if (typeof value === 'object' && value !== null && !(value instanceof Raw)) for (const k of Object.keys(value)) places(value[k], [...at, Array.isArray(value) ? Number(k) : k], out);
	return out;
}
const get = (body, at) => at.reduce((v, k) => v[k], body);

// One change of a body, made in place; the place where.
function change(body, rand) {
	const all = places(body);
	if (!all.length) return [];
	const at = pick(rand, all), key = at.at(-1), inside = get(body, at.slice(0, -1)), was = inside[key];
	const ways = [
		() => (inside[key] = pick(rand, hostile)),
		() => (inside[key] = pick(rand, hostile)),
		() => (inside[key] = pick(rand, hostile)),
		() => (Array.isArray(inside) ? inside.splice(key, 1) : delete inside[key]),
		() => (inside[key] = [was]),
		() => (inside[key] = { a: was }),
		() => (inside[key] = get(body, pick(rand, all)) ?? null),
		() => (Array.isArray(inside) ? inside.push(was) : (inside[pick(rand, ['', 'type', 'x', `${key}x`, 'name', 'content', 'role', 'id', '$ref', 'items', 'not'])] = was)),
		() => (Array.isArray(was) ? (inside[key] = Array(pick(rand, [2, 17, 300, 3000])).fill(was[0] ?? 0)) : typeof was === 'string' ? (inside[key] = was.repeat(pick(rand, [2, 50, 3000]))) : (inside[key] = write(was).slice(0, 1000))),
		() => (inside[key] = typeof was === 'string' ? was.slice(0, Math.floor(rand() * was.length)) + pick(rand, ['', '\u0000', '"', '\\', '{', '<|im_end|>', '(', '[', '*', '$', '{{']) + was.slice(Math.floor(rand() * was.length)) : pick(rand, hostile)),
	];
	pick(rand, ways)();
	return at;
}

// A request that was right, with one to three changes. Cycles cannot come about: what is put in is written first.
export function changed(rand, routes = Object.keys(rich)) {
	const route = pick(rand, routes), [body, limit] = pick(rand, rich[route]);
	let value = JSON.parse(JSON.stringify(body));
	const where = [];
	for (let n = 1 + Math.floor(rand() * 3); n > 0; n--) {
		const before = value;
		where.push(change(value, rand).join('.'));
		try {
			write(value);
		} catch {
			value = JSON.parse(JSON.stringify(body)); // it held itself
			if (before === value) break;
		}
	}
	return { route, body: write({ ...value, ...limit }), where };
}
