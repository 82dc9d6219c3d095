// hokku constrain as a person and as the tests use it: what compiles, what is refused and where, where an instance does not fit.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

let dir;
before(() => { dir = mkdtempSync(join(tmpdir(), 'hokku-constrain-')); });
after(() => rmSync(dir, { recursive: true, force: true }));

function run(args, input) {
	const r = spawnSync(process.env.HOKKU, ['constrain', ...args], { input: input ?? '', maxBuffer: 1 << 28 });
	return { code: r.status, out: String(r.stdout), err: String(r.stderr) };
}
const bytes = ['--vocab', 'bytes'];
const schema = (value) => {
	const path = join(dir, 'schema.json');
	writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
	return path;
};
const person = { type: 'object', properties: { name: { type: 'string' }, tags: { type: 'array', items: { type: 'integer', minimum: 10 } } }, required: ['name'], additionalProperties: false };

test('an instance is accepted, refused with its place, or too short', () => {
	for (const way of [bytes, [], ['--masks'], [...bytes, '--masks']]) {
		const check = (instance, ...more) => run([schema(person), '-', ...way, ...more], instance);
		assert.deepEqual(check('{"name":"Bashō","tags":[10,577]}'), { code: 0, out: 'accepted\n', err: '' });
		const low = check('{"name":"x","tags":[10,5]}');
		assert.equal(low.code, 1);
		assert.match(low.out, /^refused at byte 24 \(line 1 column 25\), in the value at "\/tags\/1": "\]\}"\nwhat could stand there: "0" to "9"\n$/);
		assert.match(check('{"name":"x"').out, /^too short at byte 11 \(line 1 column 12\), in the value at "\/name"\nwhat could stand there: ",", "\}"\n$/);
		assert.match(check('{"name":"x", "tags":[]}').out, /JSON is written without white space here; --space free allows it\n$/);
		assert.equal(check('{"name":\n  "x", "tags": [ 10 ] }', '--space', 'free').code, 0);
		assert.match(check('{\n "nam":1}', '--space', 'free').out, /^refused at byte 7 \(line 2 column 6\)/);
	}
});

test('JSON answers', () => {
	const json = (...args) => JSON.parse(run([...args, '--json', ...bytes], '{"name":"x","tags":[1]}').out);
	const found = json(schema(person), '-');
	assert.deepEqual({ ...found, bytes: 0, work: 0 }, { compiled: true, bytes: 0, work: 0, accepted: false, why: 'refused', at: 21, line: 1, column: 22, pointer: '/tags/0', wanted: '"0" to "9"' });
	assert.ok(found.bytes > 0 && found.work > 0);
	const refused = json(schema({ type: 'object', properties: { 'a/b': { type: 'integer', multipleOf: 0 } } }));
	assert.equal(refused.compiled, false);
	assert.equal(refused.place, '/properties/a~1b/multipleOf');
	const timed = json(schema(person), '-', '--bench', '--masks');
	assert.ok(timed.compile_us > 0 && timed.first_us >= timed.compile_us && timed.mask_us.n === 22, JSON.stringify(timed));
});

test('grammars, patterns, choices and any object', () => {
	const grammar = join(dir, 'list.gbnf');
	writeFileSync(grammar, 'root ::= word (", " word)*\nword ::= [a-z]+\n');
	assert.equal(run(['--grammar', grammar, '-'], 'snow, moon').code, 0);
	assert.match(run(['--grammar', grammar, '-'], 'snow,moon').out, /^refused at byte 5 \(line 1 column 6\): "moon"\nwhat could stand there: " "\n$/);
	assert.equal(run(['--regex', '\\d{3}', '-'], '577').code, 0);
	assert.match(run(['--regex', '\\d{3}', '-'], '57').out, /^too short at byte 2 .*\nwhat could stand there: "0" to "9"\n$/);
	assert.match(run(['--choice', '["yes", "no"]', '-'], 'maybe').out, /what could stand there: "n", "y"\n/);
	assert.equal(run(['--json-object', '-'], '{"a":[null,1e5,"\\u00e9"]}').code, 0);
	assert.equal(run(['--json-object', '-'], '[]').code, 1);
});

test('what was compiled, as a grammar', () => {
	const r = run([schema(person), '--print']);
	assert.equal(r.code, 0, r.err);
	assert.match(r.out, /^\S+ ::= /);
	assert.match(run([schema(person)]).out, /^it compiles: [\d.]+ KiB, \d+ units of work\n$/);
});

test('texts drawn from the masks', () => {
	const draw = (...args) => run([schema(person), '--sample', '20', ...args]);
	const one = draw('-s', '7');
	assert.equal(one.code, 0, one.err);
	assert.equal(one.out.trimEnd().split('\n').length, 20);
	assert.equal(draw('-s', '7').out, one.out);
	assert.notEqual(draw('-s', '8').out, one.out);
	for (const line of one.out.trimEnd().split('\n')) assert.equal(typeof JSON.parse(JSON.parse(line)).name, 'string');
	const { samples } = JSON.parse(run(['--regex', '[ab]{3}', '--sample', '2', '--json', ...bytes]).out);
	assert.deepEqual(samples.map((s) => [s.ended, s.tokens, /^[ab]{3}$/.test(s.text)]), [[true, 3, true], [true, 3, true]]);
});

test('structural tags: free text, tags and schemas in one', () => {
	const tag = (begin, content, end) => ({ type: 'tag', begin, content, end });
	const call = { type: 'json_schema', json_schema: person, space: 'spaced' };
	const calls = { type: 'triggered_tags', triggers: ['<call:'], tags: [tag('<call:a>', call, '</call>')] };
	const file = schema({ type: 'structural_tag', format: { type: 'sequence', elements: [tag('<think>', { type: 'any_text' }, '</think>'), calls] } });
	for (const way of [bytes, [], ['--masks'], [...bytes, '--masks']]) {
		const check = (text) => run(['--structure', file, '-', ...way], text);
		assert.deepEqual(check('<think>hm <call: </think>Well. <call:a>{"name": "x", "tags": [10, 12]}</call> So.'), { code: 0, out: 'accepted\n', err: '' });
		assert.match(check('<think>hm</think><call:a>{"name":"x"}</call>').out, /^refused at byte 33 \(line 1 column 34\): "\\"x\\"\}<\/call>"\nwhat could stand there: " "\n$/);
		assert.match(check('<think>hm').out, /^too short at byte 9 /);
		assert.match(check('<think></think>x<call:b').out, /what could stand there: "a"\n/);
	}
	const drawn = JSON.parse(run(['--structure', file, '--sample', '20', '-s', '1', '--json']).out);
	for (const { text, ended } of drawn.samples) assert.ok(!ended || text.startsWith('<think>') && text.includes('</think>'), text);
	const token = { type: 'token', token: '<|im_start|>' };
	const called = schema({ format: { type: 'sequence', elements: [{ type: 'const_string', value: 'a' }, tag(token, { type: 'const_string', value: 'b' }, '!')] } });
	assert.match(run(['--structure', called, '-'], 'ab').out, /^refused at byte 1 .*: "b"\nwhat could stand there: the token [0-9]+ <\|im_start\|>\n$/);
	assert.equal(run(['--structure', called, '--sample', '1']).out, '"a<|im_start|>b!"\n');
	assert.match(run(['--structure', schema({ format: { type: 'token', token: '[NONE]' } })]).err, /\/format\/token: it is the string "\[NONE\]", and no token of the vocabulary is written so/);
	assert.match(run(['--structure', schema({ format: { type: 'any_text', exclude: ['x'] } })]).err, /\/format\/exclude: this member is not known here/);
	assert.match(run(['--structure', schema('[1')]).err, /the structural tag is no JSON/);
});

test('JSON with one space behind : and ,', () => {
	const check = (instance, ...more) => run([schema(person), '-', '--space', 'spaced', ...more], instance).code;
	assert.equal(check('{"name": "x", "tags": [10, 577]}'), 0);
	assert.equal(check('{"name": "x", "tags": []}', '--masks'), 0);
	for (const text of ['{"name":"x"}', '{"name": "x","tags": []}', '{"name":  "x"}', '{ "name": "x"}', '{"name": "x" }', '{"name": "x", "tags": [10,577]}', '{"name" : "x"}']) assert.equal(check(text), 1, text);
	const any = (text) => run(['--json-object', '-', '--space', 'spaced'], text).code;
	assert.deepEqual(['{}', '{"a": [1, {"b": []}], "c": null}', '{"a":1}', '{"a": [1,2]}', '{ }'].map(any), [0, 0, 1, 1, 1]);
});

test('many shapes, a line each', () => {
	const lines = [
		{ name: 'person', schema: person, tests: [{ data: { name: 'x' }, valid: true }, { data: { name: 1 }, valid: false }, { text: '{"name":"x"}' }, { data: { name: 'y' }, valid: false }] },
		{ regex: '[0-9]+', tests: [{ text: '1' }, { text: '' }, { text: 'x' }, { text: `${'1'.repeat(30)}xyz` }, { text: `${'1'.repeat(30)}x${'y'.repeat(40)}` }] },
		{ grammar: 'root ::= "a"', tests: [{ text: 'a' }] }, { choice: ['a', 'b'], tests: [{ text: 'c' }] },
		{ structure: { format: { type: 'const_string', value: 'a' } }, tests: [{ text: 'a' }] },
		{ name: [1], schema: { multipleOf: 0 } }, { schema: { type: 'array' }, space: 'free', tests: [{ data: [1, 2] }] },
	];
	const r = run(['--batch', '-', '--bench', '--masks', ...bytes], lines.map((l) => `${JSON.stringify(l)}\n`).join(''));
	assert.equal(r.code, 0, r.err);
	const [a, b, c, d, g, e, f, { bench }] = r.out.trimEnd().split('\n').map((l) => JSON.parse(l));
	assert.equal(a.name, 'person');
	assert.deepEqual(a.tests.map((t) => [t.accepted, t.wrong ?? false]), [[false, true], [false, false], [true, false], [false, false]]); // ": " is not compact
	assert.equal(a.tests[0].at, 8);
	assert.deepEqual(b.tests.map((t) => t.why ?? 'accepted'), ['accepted', 'too short', 'refused', 'refused', 'refused']);
	assert.deepEqual(b.tests.map((t) => t.near), [undefined, '', 'x', `${'1'.repeat(24)}xyz`, `${'1'.repeat(24)}x${'y'.repeat(23)}`]);
	for (const t of [...a.tests, ...b.tests]) assert.ok(t.mask_mean_us <= t.mask_max_us, JSON.stringify(t));
	assert.deepEqual([c.tests[0].accepted, d.tests[0].accepted, f.tests[0].accepted, g.tests[0].accepted], [true, false, true, true]);
	assert.deepEqual([e.compiled, e.place, e.name], [false, '/multipleOf', [1]]);
	assert.deepEqual([bench.shapes, bench.compiled, bench.tests, bench.wrongly_refused, bench.wrongly_accepted, bench.faults, bench.vocabulary], [7, 6, 13, 1, 0, 0, 257]);
	const bad = (line, message) => {
		const said = run(['--batch', '-', ...bytes], `{"regex": "a"}\n${line}\n`);
		assert.equal(said.code, 1);
		assert.match(said.err, message);
	};
	bad('{', /line 2: bad JSON at line 1 column/);
	bad('[]', /line 2: it is no JSON object/);
	bad('{}', /line 2: it has none of "schema", "grammar", "regex", "choice" and "structure"/);
	bad('{"regex": "a", "schema": {}}', /line 2: it has more than one of "schema", .*; one is wanted/);
	bad('{"grammar": 1}', /line 2: "grammar" is no string/);
	bad('{"schema": {}, "space": "wide"}', /line 2: "space" is "wide"; it takes "free", "spaced" or "compact"/);
	bad('{"schema": {}, "tests": {}}', /line 2: "tests" is \{\}; it takes an array/);
	bad('{"schema": {}, "tests": [{"valid": true}]}', /line 2: tests\[0\] has neither "data" nor "text"/);
});

test('command lines that are wrong', () => {
	const wrong = [
		[[], /there is no schema; name a file, or give --grammar/],
		[['a', 'b', 'c'], /unexpected|too many|"c"/],
		[['--regex', 'a', 'b', 'c'], /"c" is a second instance/],
		[['--regex', 'a', '--choice', '[]'], /exclude each other/],
		[['--structure', 'a', '--json-object'], /exclude each other/],
		[['-', '-'], /both standard input/],
		[['--regex', 'a', '--masks'], /--masks walks an INSTANCE, and there is none/],
		[['--regex', 'a', '--print', '--sample', '1'], /exclude each other/],
		[['--regex', 'a', '--print', '--json'], /--print prints text/],
		[['--batch', '-', 'a'], /--batch reads its shapes/],
		[['--batch', '-', '--json'], /JSON lines/],
		[['-m', 'x', '--vocab', 'bytes', '--regex', 'a'], /one is wanted/],
		[['--regex', 'a', '--space', 'wide'], /--space/],
		[['--regex', 'a', '--sample', '1000001'], /--sample/],
		[['--regex', 'a', '-n', '0'], /-n|--max-tokens/],
	];
	for (const [args, message] of wrong) {
		const r = run(args);
		assert.deepEqual([r.code, message.test(r.err)], [2, true], `${args.join(' ')}: ${r.err}`);
	}
	for (const [args, message] of [[['nowhere.json'], /nowhere\.json/], [['--structure', 'nowhere.json'], /nowhere\.json/], [['--regex', 'a', 'nowhere.txt'], /nowhere\.txt/], [['-m', 'nowhere.gguf', '--regex', 'a'], /nowhere\.gguf/]]) {
		const r = run(args);
		assert.deepEqual([r.code, message.test(r.err)], [1, true], `${args.join(' ')}: ${r.err}`);
	}
});

// Each is refused with its place, or compiles; neither takes long.
test('schemas that mean harm', () => {
	const nest = (n, open, inner, close) => open.repeat(n) + inner + close.repeat(n);
	const harm = {
		deep: nest(990, '{"items":', '{}', '}'), deepProperties: nest(400, '{"properties":{"a":', 'true', '}}'), deeper: nest(5000, '{"not":', '{}', '}'),
		pattern: { type: 'string', pattern: '^(a*)*b$' }, nestedCounts: { type: 'string', pattern: '((a{1,100}){1,100}){1,100}' }, manyAlternatives: { type: 'string', pattern: '(x+x+)+y' },
		anyOf: { anyOf: Array.from({ length: 10000 }, (_, i) => ({ const: i })) }, anyOfObjects: { anyOf: Array.from({ length: 10000 }, (_, i) => ({ type: 'object', properties: { [`k${i}`]: { type: 'integer' } } })) },
		recursion: { $ref: '#' }, recursionAllOf: { allOf: [{ $ref: '#' }] }, loop: { $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' },
		endless: { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }, remote: { $ref: 'https://example.com/schema.json' }, nowhere: { $ref: '#/$defs/none' },
		bounds: { type: 'integer', minimum: 5, maximum: 4 }, lengths: { type: 'string', minLength: 5, maxLength: 4 }, items: { type: 'array', minItems: 5, maxItems: 4 },
		multipleOf: { type: 'integer', multipleOf: 0 }, noPattern: { type: 'string', pattern: '(' }, enumMegabyte: { enum: Array.from({ length: 20000 }, (_, i) => `${i} ${'x'.repeat(50)}`) },
		oneOfMany: { oneOf: Array.from({ length: 300 }, (_, i) => ({ type: 'object', properties: { [`k${i}`]: {} } })) },
		maxLength: { type: 'string', maxLength: 100000 }, minLength: { type: 'string', minLength: 100000 }, maxItems: { type: 'array', maxItems: 1e9 }, minItems: { type: 'array', minItems: 1e9 },
		names: { type: 'object', properties: { 'a"b': {}, '\u0000': {}, '\\': {}, '\ud83c\udf38': {} }, additionalProperties: false },
		types: { type: 'strin' }, number: 5, text: '"object"', noJson: '{"type": }', nothing: '', twice: '{"type": "object", "type": "array"}',
		bigNumber: '{"minimum": 1e400}', manyDigits: `{"type": "integer", "minimum": 1${'0'.repeat(400)}}`, tinyMultiple: { type: 'number', multipleOf: 1e-30, minimum: 0, maximum: 1 },
	};
	const slow = /san$/.test(process.env.HOKKU_BUILD_DIR ?? '') ? 20 : 4;
	for (const [name, value] of Object.entries(harm)) {
		const begin = process.hrtime.bigint(), r = run([schema(value), '--json', ...bytes]), seconds = Number(process.hrtime.bigint() - begin) / 1e9;
		assert.ok(r.code === 0 || r.code === 1, `${name}: ${r.code} ${r.err}`);
		const found = JSON.parse(r.out);
		assert.ok(found.compiled ? r.code === 0 : found.error.length > 10 && typeof found.place === 'string', `${name}: ${r.out}`);
		assert.ok(seconds < slow, `${name}: ${seconds} s`);
	}
	const refused = { recursion: /./, loop: /./, endless: /./, remote: /\$ref/, nowhere: /\$ref/, bounds: /./, lengths: /./, items: /./, multipleOf: /multipleOf/, noPattern: /pattern/, types: /type/ };
	for (const [name, message] of Object.entries(refused)) {
		const r = run([schema(harm[name]), ...bytes]);
		assert.deepEqual([r.code, message.test(r.err)], [1, true], `${name}: ${r.out}${r.err}`);
	}
	const { samples } = JSON.parse(run([schema(harm.names), '--json', '--sample', '30', '-s', '1', ...bytes]).out);
	for (const { text } of samples) assert.ok(Object.keys(JSON.parse(text)).every((k) => ['a"b', '\u0000', '\\', '🌸'].includes(k)), text);
});
