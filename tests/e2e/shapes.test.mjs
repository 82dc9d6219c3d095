// Answers of a given shape, through every route and the command: hot draws are instances all the same, the same
// alone and among others; what cannot be enforced is refused by its place; nobody else waits for a hard shape.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import OpenAI from 'openai';
import { generate, hokku, post, sanitized, slack, start, until } from './server_common.mjs';
import { within } from './waits.mjs';

const ajv = new Ajv({ strict: false });
addFormats(ajv);
let server;
before(async () => (server = await start(['--parallel', '8'])));
after(() => server.stop());

const ask = async (body) => {
	const { status, text } = await generate(server, { prompt: 'a haiku', stream: false, temperature: 1.5, max_tokens: 200, ...body });
	return { status, ...JSON.parse(text) };
};
// Valid; or, where max_tokens ended it, the beginning of an instance.
const hot = async (shape, check, n = sanitized ? 4 : 16) => {
	let whole = 0;
	for (let seed = 0; seed < n; seed += 4) {
		const { status, error, samples } = await ask({ ...shape, seed, n: 4 });
		assert.equal(status, 200, JSON.stringify(error));
		for (const { text, stop_reason: why } of samples) {
			assert.ok(why === 'end' || why === 'length' || why === 'context', why);
			if (why !== 'end') continue;
			whole++;
			check(text);
		}
	}
	return whole;
};

const person = {
	type: 'object',
	properties: {
		name: { type: 'string', minLength: 1, maxLength: 12 },
		age: { type: 'integer', minimum: 0, maximum: 130 },
		tags: { type: 'array', items: { enum: ['red', 'green', 'blue'] }, maxItems: 3 },
		where: { anyOf: [{ type: 'null' }, { type: 'object', properties: { zip: { type: 'string', pattern: '^[0-9]{5}$' } }, required: ['zip'], additionalProperties: false }] },
	},
	required: ['name', 'age', 'tags', 'where'],
	additionalProperties: false,
};

test('json_schema: every answer at temperature 1.5 is an instance', async () => {
	const valid = ajv.compile(person);
	const whole = await hot({ response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } } }, (text) => {
		const value = JSON.parse(text);
		assert.ok(valid(value), `${text}: ${ajv.errorsText(valid.errors)}`);
		assert.equal(JSON.stringify(value).length, text.length, `white space in ${text}`);
	});
	assert.ok(whole > 0);
});

test('json_object is an object; white space where it is free', async () => {
	let spaces = 0;
	for (const json_space of ['compact', 'free'])
		await hot({ response_format: { type: 'json_object' }, json_space, max_tokens: 60 }, (text) => {
			const value = JSON.parse(text);
			assert.ok(value && typeof value === 'object' && !Array.isArray(value), text);
			spaces += json_space === 'free' && /\s/.test(text);
		});
	assert.ok(spaces >= 0);
});

test('structural tags: text is free up to its end, calls are held to their schemas', async () => {
	const valid = ajv.compile(person);
	const tag = (begin, content, end) => ({ type: 'tag', begin, content, end });
	const schema = { type: 'json_schema', json_schema: person, space: 'spaced' };
	const think = { type: 'structural_tag', format: { type: 'sequence', elements: [tag('<think>', { type: 'any_text', max_chars: 40 }, '</think>'), schema] } };
	for (const shape of [{ response_format: think }, { structural_tag: think }, { structured_outputs: { structural_tag: JSON.stringify(think) } }]) {
		const whole = await hot({ ...shape, max_tokens: 250 }, (text) => {
			const [, thought, answer] = /^<think>(.*?)<\/think>(.*)$/s.exec(text);
			assert.ok([...thought].length <= 40, text);
			assert.ok(valid(JSON.parse(answer)), `${text}: ${ajv.errorsText(valid.errors)}`);
			assert.ok(answer.startsWith('{"name": "') && /, "age": [^ ]+, "tags": \[/.test(answer), text);
		}, 4);
		assert.ok(whole > 0);
	}
	const calls = { type: 'triggered_tags', triggers: ['<f='], tags: [tag('<f=a>', { type: 'json_schema', json_schema: person }, '</f>')], at_least_one: true, excludes: ['zz'] };
	await hot({ response_format: { type: 'structural_tag', format: calls }, json_space: 'spaced' }, (text) => {
		assert.ok(text.startsWith('<f=a>{"name": "') && !text.replace(/<f=a>.*?<\/f>/gs, '|').includes('zz'), text);
		for (const [, call] of text.matchAll(/<f=a>(.*?)<\/f>/gs)) assert.ok(valid(JSON.parse(call)), text);
	}, 8);
	// A token by itself is drawn between texts that are forced; it has no text of its own.
	const token = { type: 'sequence', elements: ['ab cd ef', 'gh'].flatMap((value, i) => [...(i ? [{ type: 'token', token: '<|im_start|>' }] : []), { type: 'const_string', value }]) };
	const named = await ask({ structural_tag: { format: token } });
	assert.deepEqual([named.text, named.stop_reason], ['ab cd efgh', 'end']);
	const { status, error } = await ask({ response_format: { type: 'structural_tag', format: { type: 'any_text', excludes: [''] } } });
	assert.equal(status, 400);
	assert.match(error.message, /^response_format: \/format\/excludes\/0: it is empty/);
});

test('choice, regex and grammar', async () => {
	const choices = ['yes', 'no', 'maybe so', 'yes, but later'];
	assert.ok(await hot({ choice: choices }, (text) => assert.ok(choices.includes(text), text)));
	assert.ok(await hot({ regex: '(Mon|Tues)day, [0-9]{1,2}:[0-5][0-9]' }, (text) => assert.match(text, /^(Mon|Tues)day, [0-9]{1,2}:[0-5][0-9]$/)));
	const grammar = 'root ::= item ("," item){0,3}\nitem ::= [a-c]{1,3} "=" [0-9]{2}';
	assert.ok(await hot({ grammar, max_tokens: 100 }, (text) => assert.match(text, /^[a-c]{1,3}=[0-9]{2}(,[a-c]{1,3}=[0-9]{2}){0,3}$/)));
});

test('names of other servers', async () => {
	const schema = { type: 'object', properties: { a: { const: true } }, required: ['a'], additionalProperties: false };
	for (const shape of [{ json_schema: schema }, { guided_json: schema }, { guided_json: JSON.stringify(schema) }, { structured_outputs: { json: schema } },
		{ response_format: { type: 'json_object', schema } }])
		assert.equal((await ask(shape)).text, '{"a":true}', JSON.stringify(shape));
	for (const shape of [{ guided_choice: ['only this'] }, { structured_outputs: { choice: ['only this'] } }, { guided_regex: 'only this' }, { structured_outputs: { regex: 'only this' } },
		{ guided_grammar: 'root ::= "only this"' }, { structured_outputs: { grammar: 'root ::= "only this"' } }])
		assert.equal((await ask(shape)).text, 'only this', JSON.stringify(shape));
});

test("OpenAI's client: whole, streamed, n, parsed", async () => {
	const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
	const request = { model: 'haiku', messages: [{ role: 'user', content: 'a person' }], seed: 3, max_tokens: 300,
		response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } } };
	const valid = ajv.compile(person);
	const whole = await client.chat.completions.create({ ...request, n: 3 });
	for (const { message, finish_reason: why } of whole.choices) if (why === 'stop') assert.ok(valid(JSON.parse(message.content)), message.content);
	let text = '';
	for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) text += chunk.choices[0]?.delta?.content ?? '';
	assert.equal(text, whole.choices[0].message.content);
	const none = await client.chat.completions.create({ ...request, response_format: { type: 'text' }, max_tokens: 5 });
	assert.ok(none.choices[0].message.content.length > 0);
});

test('bad shapes: 400 with the field and the place', async () => {
	const deep = (n) => (n ? { items: deep(n - 1) } : { type: 'nothing' });
	const rows = [
		[{ json_schema: { type: 'nothing' } }, 'json_schema', '/type'],
		[{ json_schema: { properties: { a: { minimum: 'x' } } } }, 'json_schema', '/properties/a/minimum'],
		[{ json_schema: deep(5) }, 'json_schema', '/items/items/items/items/items/type'],
		[{ json_schema: { $ref: 'https://example.org/x' } }, 'json_schema', '/$ref'],
		[{ json_schema: { $ref: '#/$defs/none' } }, 'json_schema', '/$ref'],
		[{ json_schema: { type: 'integer', minimum: 5, maximum: 4 } }, 'json_schema', ''],
		[{ json_schema: { type: 'number', multipleOf: 0 } }, 'json_schema', '/multipleOf'],
		[{ json_schema: { type: 'string', pattern: '(' } }, 'json_schema', '/pattern'],
		[{ response_format: { type: 'json_schema', json_schema: { schema: { properties: { 'a/b': { type: 5 } } } } } }, 'response_format.json_schema.schema', '/properties/a~1b/type'],
		[{ guided_json: '{"type":' }, 'guided_json', ''],
		[{ regex: '(a' }, 'regex', ''],
		[{ regex: '(a)\\1' }, 'regex', ''],
		[{ grammar: 'root ::= "a' }, 'grammar', 'line 1'],
		[{ grammar: 'root ::= other' }, 'grammar', 'other'],
		[{ grammar: 'a ::= "b"' }, 'grammar', 'root'],
		[{ choice: [] }, 'choice', ''],
		[{ choice: ['a', 1] }, 'choice[1]', ''],
		[{ choice: ['a'], regex: 'a' }, null, 'choice'],
	];
	const { tokens_out: before } = (await server.health()).queue;
	for (const [shape, field, part] of rows) {
		const { status, error } = await ask(shape);
		assert.equal(status, 400, JSON.stringify(shape));
		assert.equal(error.code, 'INVALID_REQUEST');
		if (field) assert.equal(error.field, field, error.message);
		assert.ok(error.message.includes(part), `${JSON.stringify(shape)}: ${error.message}`);
		const chat = await post(server, '/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }], ...shape });
		assert.equal(chat.status, 400);
		assert.equal(JSON.parse(chat.text).error.type, 'invalid_request_error');
	}
	assert.equal((await server.health()).queue.tokens_out, before, 'a token was drawn');
});

test('the same bits alone, together, streamed, with other settings of the cache, drawn one by one', async () => {
	const shapes = [{ json_schema: person }, { regex: '[a-z]{5,20}( [a-z]{2,9}){2,4}' }, { choice: ['a long answer that is forced for a while', 'a short one'] }, {}];
	const bodies = shapes.map((shape, i) => ({ ...shape, seed: 100 + i, max_tokens: 60 }));
	const alone = [];
	for (const body of bodies) alone.push((await ask(body)).text);
	const together = await Promise.all([...bodies, ...bodies].map((body, i) => ask({ ...body, cache_prompt: i % 2 === 0 })));
	together.forEach(({ text }, i) => assert.equal(text, alone[i % bodies.length]));
	const logged = await ask({ ...bodies[0], logprobs: true });
	assert.equal(logged.text, alone[0]);
	assert.equal(logged.logprobs.length, logged.tokens_out);
	// Of n samples number k is what seed + k gives alone, with what the cache has of the prompt and without.
	const long = { prompt: `a haiku about ${'autumn rain and '.repeat(12)}snow`, json_schema: person, max_tokens: 60, seed: 200 };
	const { samples } = await ask({ ...long, n: 3 });
	for (const [k, sample] of samples.entries()) {
		const [found, none] = [await ask({ ...long, seed: 200 + k }), await ask({ ...long, seed: 200 + k, cache_prompt: false })];
		assert.deepEqual([found.text, none.text], [sample.text, sample.text]);
		assert.ok(found.cached_tokens > 0 && none.cached_tokens === 0, `${found.cached_tokens} and ${none.cached_tokens} tokens from the cache`);
	}
	assert.equal(new Set(samples.map(({ text }) => text)).size, 3);
	const slow = await start(['--no-jump-ahead', '--parallel', '2']);
	for (const [i, body] of bodies.entries()) {
		const { status, text } = await generate(slow, { prompt: 'a haiku', stream: false, temperature: 1.5, ...body });
		assert.equal(status, 200, text);
		assert.equal(JSON.parse(text).text, alone[i]);
	}
	const { counters: none } = await slow.health();
	await slow.stop();
	const { counters } = await server.health();
	assert.equal(none.tokens_forced, 0);
	assert.equal(none.shape_requests, 3);
	assert.ok(counters.tokens_forced > 0 && counters.masks_made > 0 && counters.shapes_found > 0 && counters.shapes_refused > 0);
});

test('ends: length with the beginning of an instance, stop texts, bias against the shape', async () => {
	const cut = await ask({ json_schema: person, max_tokens: 6 });
	assert.equal(cut.stop_reason, 'length');
	assert.ok(cut.text.startsWith('{"name":'), cut.text);
	const stop = await ask({ choice: ['one two three'], stop: [' thr'] });
	assert.deepEqual([stop.text, stop.stop_reason], ['one two', 'stop']);
	const logit_bias = Object.fromEntries([...'abcdefghijklmnopqrstuvwxyz'].map((c, i) => [64 + i, 1000]));
	assert.equal((await ask({ choice: ['123'], logit_bias, repetition_penalty: 10, frequency_penalty: 2 })).text, '123');
});

test('a stream goes on while hard shapes are compiled', async () => {
	const hard = { anyOf: Array.from({ length: sanitized ? 100 : 300 }, (_, i) => ({ type: 'object', patternProperties: { [`^(a|b)*${i}(a|b){9}$`]: { type: 'string', pattern: `(x|y)*${i}(x|y){12}` } } })) };
	const gaps = [];
	let compiling = true;
	const reading = (async () => {
		while (compiling || gaps.length < 300) {
			const { body } = await fetch(`${server.url}/v1/generate`, { method: 'POST', body: JSON.stringify({ prompt: 'a', temperature: 2, max_tokens: 300 }) });
			let last = 0;
			for await (const _ of body) {
				const now = performance.now();
				if (last) gaps.push(now - last);
				last = now;
			}
		}
	})();
	const hardOnes = await Promise.all([1, 2, 3, 4].map((i) => ask({ json_schema: { ...hard, title: `${i}` }, max_tokens: 4 })));
	compiling = false;
	for (const { status } of hardOnes) assert.ok(status === 200 || status === 400, `${status}`);
	await within(reading, 'the streams beside it');
	gaps.sort((a, b) => a - b);
	assert.ok(gaps[Math.floor(gaps.length * 0.99)] < 50 * slack(), `p99 ${gaps[Math.floor(gaps.length * 0.99)]} ms`);
});

test('a request can be cancelled while its shape is compiled', async () => {
	const hard = { anyOf: Array.from({ length: 200 }, (_, i) => ({ type: 'string', pattern: `(x|y)*${i}(x|y){14}` })) };
	const answer = ask({ id: 'hard', json_schema: hard });
	const cancelled = until(async () => JSON.parse((await post(server, '/v1/cancel', { id: 'hard' })).text).cancelled ?? true, 5000, 'the cancel');
	const { status, error } = await answer;
	await cancelled;
	assert.ok(status === 499 || status === 400 || status === 200, `${status} ${JSON.stringify(error)}`);
	await until(async () => (await server.health()).queue.queued === 0, 5000, 'the shape to be given up');
});

test('SIGTERM while shapes are compiled: each is told, and the server ends in time', async () => {
	const other = await start([]);
	const hard = (i) => ({ anyOf: Array.from({ length: 200 }, (_, k) => ({ type: 'string', pattern: `(x|y)*${k}(x|y){12}${i}` })) });
	const all = Array.from({ length: 20 }, (_, i) => generate(other, { prompt: 'a', stream: false, json_schema: hard(i), max_tokens: 4 }));
	await until(async () => (await other.health()).queue.queued > 10, 5000, 'shapes to wait');
	const begin = performance.now();
	await other.stop();
	const took = performance.now() - begin;
	for (const { status, text } of await Promise.all(all)) assert.ok([200, 400, 503].includes(status), `${status} ${text}`);
	assert.ok(took < Math.min(2000 * slack(), 5000), `${took} ms`);
});

// Under the thread sanitizer no command that has one request is run (e2e/run neither): unit/engine/test_hokku has its threads.
test('hokku run', { skip: sanitized === 'tsan' && 'no question of threads' }, () => {
	const dir = mkdtempSync(join(tmpdir(), 'hokku-shape-'));
	const run = (...args) => spawnSync(hokku, ['run', '-p', 'a', ...args], { encoding: 'utf8', env: {} });
	writeFileSync(join(dir, 'schema.json'), JSON.stringify({ const: [true, {}] }));
	writeFileSync(join(dir, 'g.gbnf'), 'root ::= "x" "y"{3}\n');
	assert.equal(run('--json-schema-file', join(dir, 'schema.json')).stdout, '[true,{}]\n');
	assert.equal(run('-j', '{"const":null}').stdout, 'null\n');
	assert.equal(run('--grammar-file', join(dir, 'g.gbnf')).stdout, 'xyyy\n');
	assert.equal(run('--grammar', 'root ::= "q"').stdout, 'q\n');
	assert.equal(run('--regex', 'ab{3}c').stdout, 'abbbc\n');
	assert.equal(run('--choice', 'same', '--choice', 'same').stdout, 'same\n');
	assert.equal(run('--choice', 'same', '--no-jump-ahead').stdout, 'same\n');
	assert.equal(run('-j', '{"const":[true,{"a":null}]}', '--json-space-spaced').stdout, '[true, {"a": null}]\n');
	const tag = { format: { type: 'tag', begin: '<a>', content: { type: 'json_schema', json_schema: { const: [true, []] } }, end: '</a>' } };
	writeFileSync(join(dir, 'tag.json'), JSON.stringify(tag));
	assert.equal(run('--structural-tag', JSON.stringify(tag)).stdout, '<a>[true,[]]</a>\n');
	assert.equal(run('--structural-tag-file', join(dir, 'tag.json'), '--json-space-spaced').stdout, '<a>[true, []]</a>\n');
	const object = run('--json-object', '-n', '100', '--seed', '1');
	assert.match(object.stdout, /^\{/);
	// An answer goes on inside its shape, and only there.
	const state = join(dir, 'a.state');
	const first = run('--choice', 'one two three four five', '-n', '3', '--state', state).stdout.replace(/\n$/, '');
	const go = (...args) => spawnSync(hokku, ['run', '--state', state, ...args], { encoding: 'utf8', env: {}, input: '' });
	const other = go('--choice', 'something else');
	assert.equal(other.status, 1);
	assert.match(other.stderr, /does not fit its shape/);
	const rest = go('--choice', 'one two three four five').stdout;
	assert.equal(first + rest, 'one two three four five\n');
	const bad = [
		[['--regex', 'a', '--choice', 'b'], 2, /--regex and --choice both say/],
		[['--json-space-free'], 2, /--json-space-free is for answers in JSON/],
		[['--json-space-spaced', '--regex', 'a'], 2, /--json-space-spaced is for answers in JSON/],
		[['--json-object', '--json-space-spaced', '--json-space-free'], 2, /exclude each other/],
		[['--structural-tag', '{}', '--json-object'], 2, /--json-object and --structural-tag both say/],
		[['--structural-tag', join(dir, 'tag.json')], 1, /--structural-tag-file reads it from a file/],
		[['--structural-tag', '{"format":{"type":"any"}}'], 1, /--structural-tag: \/format\/type: it is the string "any"/],
		[['--json-schema', join(dir, 'schema.json')], 1, /--json-schema-file reads it from a file/],
		[['--json-schema', '{"type":"nothing"}'], 1, /--json-schema: .*\/type/],
		[['--grammar-file', join(dir, 'none')], 1, /No such file/],
		[['--regex', '('], 1, /--regex: /],
	];
	for (const [args, status, message] of bad) {
		const found = run(...args);
		assert.equal(found.status, status, `${args}: ${found.stderr}`);
		assert.match(found.stderr, message);
	}
	rmSync(dir, { recursive: true });
});
