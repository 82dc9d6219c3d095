// hokku tokenize, hokku detokenize and hokku bench tokenize as a user calls them, on the bundled vocabulary and on small ones.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const hokku = process.env.HOKKU;
let dir, model;

function run(args, input) {
	const r = spawnSync(hokku, args, { input: input ?? '', maxBuffer: 1 << 28 });
	return { code: r.status, bytes: r.stdout, out: String(r.stdout), err: String(r.stderr) };
}

// A GGUF file of the 256 bytes (id = byte), "ha" 256, <|im_start|> 257, <|im_end|> 258.
function smallModel({ architecture, pre = 'qwen2', types = true, pad, unused } = {}) {
	const parts = [];
	const u32 = (v) => { const b = Buffer.alloc(4); b.writeUInt32LE(v); parts.push(b); };
	const u64 = (v) => { u32(v); u32(0); };
	const str = (s) => { const b = Buffer.from(s); u64(b.length); parts.push(b); };
	const key = (k, type) => { str(k); u32(type); };
	const strings = (k, list) => { key(k, 9); u32(8); u64(list.length); list.forEach(str); };
	const tokens = [];
	for (let b = 0, other = 256; b < 256; b++)
		tokens.push(String.fromCodePoint((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : other++));
	tokens.push('ha', '<|im_start|>', '<|im_end|>');
	if (unused) tokens.push(unused);
	parts.push(Buffer.from('GGUF'));
	u32(3); u64(0); u64(4 + !!architecture + !!pre + types + !!pad);
	if (architecture) { key('general.architecture', 8); str(architecture); }
	if (pad) { key('tokenizer.ggml.padding_token_id', 4); u32(pad); }
	key('tokenizer.ggml.model', 8); str('gpt2');
	if (pre) { key('tokenizer.ggml.pre', 8); str(pre); }
	strings('tokenizer.ggml.tokens', tokens);
	if (types) {
		key('tokenizer.ggml.token_type', 9); u32(5); u64(tokens.length);
		tokens.forEach((_, i) => u32(i > 258 ? 5 : i > 256 ? 3 : 1));
	}
	strings('tokenizer.ggml.merges', ['h a']);
	key('tokenizer.chat_template', 8);
	str("{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
	return Buffer.concat(parts);
}

before(() => {
	dir = mkdtempSync(join(tmpdir(), 'hokku-tokenize-'));
	model = join(dir, 'small.gguf');
	writeFileSync(model, smallModel());
});
after(() => rmSync(dir, { recursive: true, force: true }));

test('one token a line: id, tab, text in quotes', () => {
	assert.equal(run(['tokenize', model, '-p', 'ha "\n']).out, '256\t"ha"\n32\t" "\n34\t"\\""\n10\t"\\n"\n');
	assert.equal(run(['tokenize', model, '-p', '']).out, '');
	assert.equal(run(['tokenize', model], 'é').out, '195\t"\\xc3"\n169\t"\\xa9"\n');
});

test('ids, count and JSON', () => {
	assert.equal(run(['tokenize', model, '-p', 'haha', '--ids']).out, '[256, 256]\n');
	assert.equal(run(['tokenize', model, '-p', '', '--ids']).out, '[]\n');
	assert.equal(run(['tokenize', model, '-p', 'haha!', '--count']).out, '3\n');
	assert.deepEqual(JSON.parse(run(['tokenize', model, '-p', 'ha\n', '--json']).out), {
		tokenizer: 'gpt2/qwen2', count: 2,
		tokens: [{ id: 256, piece: 'ha', type: 'normal', bytes: [104, 97] }, { id: 10, piece: 'Ċ', type: 'normal', bytes: [10] }],
	});
});

test('special tokens only when asked for', () => {
	assert.equal(run(['tokenize', model, '-p', '<|im_end|>', '--count']).out, '10\n');
	assert.equal(run(['tokenize', model, '-p', '<|im_end|>', '--ids', '--parse-special']).out, '[258]\n');
});

test('chat messages', () => {
	const ids = JSON.parse(run(['tokenize', model, '--chat', '--ids'], '[{"role": "user", "content": "<|im_end|>"}]').out);
	assert.deepEqual(ids.filter((id) => id > 256), [257, 258, 257]);
	assert.equal(run(['detokenize', model], ids.join(' ')).out, '<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant\n');
	const wrong = run(['tokenize', model, '--chat'], '[{"role": "wizard", "content": ""}]');
	assert.equal(wrong.code, 1);
	assert.match(wrong.err, /messages\[0\]\.role is "wizard"; it takes "system", "developer", "user", "assistant", "tool" or "function"/);
	assert.match(run(['tokenize', model, '--chat'], '[{"role": "user"}]').err, /messages\[0\]\.content is missing; it takes a string or an array of text parts/);
	assert.match(run(['tokenize', model, '--chat'], '{}').err, /not a JSON array/);
	assert.match(run(['tokenize', model, '--chat'], '[{]').err, /bad JSON at line 1 column/);
});

test('chat messages as text, through other templates, with arguments and a date', () => {
	const messages = '[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "<|im_end|>"}]}]';
	const chat = (...args) => run(['tokenize', model, '--chat', ...args], messages);
	assert.equal(chat('--text').out, '<|im_start|>user\na\n<|im_end|><|im_end|>\n<|im_start|>assistant\n');
	assert.deepEqual(JSON.parse(chat('--ids').out).filter((id) => id > 256), [257, 258, 257]);
	assert.equal(chat('--text', '--chat-template', 'llama3').out,
		'<|start_header_id|>user<|end_header_id|>\n\na\n<|im_end|><|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n');
	const file = join(dir, 'template.jinja');
	writeFileSync(file, '{{ mood }}{{ strftime_now("%d.%m.%Y") }}{{ messages[0].content }}<|im_end|>{{ mood }}\n');
	for (const args of [['--chat-template', file], ['--chat-template-file', file], ['--chat-template', readFileSync(file, 'utf8')]]) {
		const all = [...args, '--template-date', '2024-02-29', '--chat-template-kwargs', '{"mood": "<|im_start|>"}'];
		assert.equal(chat('--text', ...all).out, '<|im_start|>29.02.2024a\n<|im_end|><|im_end|><|im_start|>');
		assert.deepEqual(JSON.parse(chat('--ids', ...all).out).filter((id) => id > 256), [258]); // the template's own
	}
	const wrong = [
		[['--text', '--ids'], 2, /--ids, --count, --json, --json-lines and --text exclude each other/],
		[['--chat-template', 'chatm'], 1, /"chatm" is neither a name known here nor a file; is "chatml" meant\?/],
		[['--chat-template', 'zzzzzzzzz'], 1, /"zzzzzzzzz" is neither a file nor one of chatml, .*zephyr/],
		[['--chat-template', './nowhere'], 1, /nowhere/],
		[['--chat-template-file', 'nowhere'], 1, /nowhere/],
		[['--chat-template', 'chatml', '--chat-template-file', file], 2, /both given/],
		[['--chat-template', '{{ 1'], 1, /the chat template: line 1: a \{\{ is never closed/],
		[['--chat-template', '{{ raise_exception("No " ~ messages[0].role) }}'], 1, /messages\[0\]: the model's chat template refuses it: No user/],
		[['--chat-template-kwargs', '{"messages": 1}'], 2, /--chat-template-kwargs holds "messages", which has a field of its own/],
		[['--chat-template-kwargs', '{'], 2, /--chat-template-kwargs is no JSON, at line 1 column 1/],
		[['--template-date', '2026-02-30'], 2, /--template-date is "2026-02-30"; it takes a date as 2026-07-31/],
	];
	for (const [args, code, words] of wrong) {
		const got = chat(...args);
		assert.match(got.err, words);
		assert.equal(got.code, code, got.err);
	}
	assert.match(run(['tokenize', model, '--text'], 'x').err, /goes with --chat/);
});

test('bytes come back as they were, whatever they were', () => {
	const file = join(dir, 'bytes');
	// Stray bytes, cut characters, zero bytes; nothing that NFC would change.
	const plain = Buffer.from(Array.from({ length: 1024 }, (_, i) => [0, 255, 10, 0xc3, 0x80, 0xe4, 0xbf, 104, 97, 0xf0][(i * 7 + (i >> 3)) % 10]));
	writeFileSync(file, plain);
	const ids = run(['tokenize', model, '-f', file, '--ids']).out;
	assert.deepEqual(run(['detokenize', model], ids).bytes, plain);
	assert.deepEqual(run(['detokenize', model, '-'], ids).bytes, plain);
});

test('detokenize: operands, text, lines', () => {
	assert.equal(run(['detokenize', model, '256', '33']).out, 'ha!');
	assert.equal(run(['detokenize', model, '256,33']).out, 'ha!');
	assert.deepEqual(run(['detokenize', model, '195']).bytes, Buffer.from([0xc3]));
	assert.equal(run(['detokenize', model, '--text', '195', '169', '195']).out, 'é\ufffd');
	assert.equal(run(['detokenize', model, '--json-lines'], '[195,169]\n[]\n[10, 255]\n').out, '"é"\n""\n"\\n\ufffd"\n');
	assert.equal(run(['tokenize', model, '--json-lines'], '"ha"\n""\n"\\u0000"\n').out, '[256]\n[]\n[0]\n');
});

test('the bundled vocabulary needs no model', () => {
	const ids = run(['tokenize', '-p', 'autumn rain', '--ids']);
	assert.equal(ids.code, 0, ids.err);
	assert.equal(run(['detokenize'], ids.out).out, 'autumn rain');
	assert.equal(run(['detokenize', ...JSON.parse(ids.out).map(String)]).out, 'autumn rain');
});

test('what is wrong is named', () => {
	const cases = [
		[['detokenize', model, '259'], 1, /token id 259 is not in the vocabulary, which has 0 to 258/],
		[['detokenize', model, '1x'], 1, /"1x" is no token id/],
		[['detokenize', model, '99999999999999999999'], 1, /is no token id/],
		[['detokenize', join(dir, 'none.gguf'), '1'], 1, /none\.gguf/],
		[['tokenize', join(dir, 'none.gguf'), '-p', 'x'], 1, /none\.gguf/],
		[['tokenize', model, '-f', join(dir, 'none')], 1, /none/],
		[['tokenize', model, '-p', 'x', '-f', 'y'], 2, /-p and -f are both given/],
		[['tokenize', model, '-p', 'x', '--ids', '--json'], 2, /exclude each other/],
		[['tokenize', model, '-p', 'x', '--jsn'], 2, /did you mean --json/],
		[['tokenize', model, '--json-lines', '-p', 'x'], 2, /reads lines/],
		[['tokenize', model, '--chat', '--no-bos'], 2, /takes no --parse-special and no --no-bos/],
		[['detokenize', model, '--json-lines', '1'], 2, /reads lines/],
	];
	for (const [args, code, message] of cases) {
		const r = run(args);
		assert.equal(r.code, code, args.join(' '));
		assert.match(r.err, message);
		assert.equal(r.out, '');
	}
	assert.match(run(['tokenize', model, '--json-lines'], '"a"\n{}\n').err, /line 2: the line is no JSON string/);
	assert.match(run(['detokenize', model, '--json-lines'], '[1]\n[300]\n').err, /line 2: token id 300/);
	// A line that is no whole array must not pass for a shorter one.
	for (const [line, message] of [
		['[104, 97', /line 2: no JSON array of ids: column \d+: .*\]/], ['[104, 9', /line 2: no JSON array/], ['[104,', /line 2: no JSON array/],
		['[', /line 2: no JSON array/], ['', /line 2: no JSON array/], ['104, 97', /line 2: no JSON array/], ['104]', /line 2: no JSON array/],
		['[104] 97', /line 2: no JSON array/], ['[104][97]', /line 2: no JSON array/], ['{"a": 1}', /line 2: no JSON array of ids but an object/],
		['[104, "97"]', /line 2: element 1 of the array is no token id/], ['[104.0]', /line 2: element 0/], ['[-1]', /line 2: element 0/],
		['[[104]]', /line 2: element 0/], ['[2147483648]', /line 2: element 0/], ['[2147483647]', /line 2: token id 2147483647 is not in/],
	])
		for (const end of ['\n', '', '\r\n', '\n[33]\n']) {
			const r = run(['detokenize', model, '--json-lines'], `[104]\n${line}${end}`);
			if (line === '' && end === '') continue;
			assert.equal(r.code, 1, line);
			assert.match(r.err, message);
			assert.equal(r.out, '"h"\n');
		}
	assert.equal(run(['detokenize', model, '--json-lines'], ' [ 104 , 97 ] \r\n[]').out, '"ha"\n""\n');
	// Nor a whole input that was cut; an editor's byte order mark is no id.
	for (const cut of ['[104, 97', '[104', '[', '[104]\n[97']) {
		const r = run(['detokenize', model], cut);
		assert.deepEqual([r.code, r.out, r.err], [1, '', 'hokku: standard input: it ends inside an array of ids; "]" is wanted\n'], cut);
	}
	assert.equal(run(['detokenize', model], '\ufeff[104, 97]\r\n').out, 'ha');
	assert.equal(run(['detokenize', model, '--json-lines'], '\ufeff[104]\n[97]\n').out, '"h"\n"a"\n');
});

test('nothing comes of nothing', () => {
	for (const [args, out] of [[['tokenize', model, '--count'], '0\n'], [['tokenize', model], ''], [['tokenize', model, '--ids'], '[]\n'], [['tokenize', model, '--json-lines'], ''],
		[['detokenize', model], ''], [['detokenize', model, '--text'], ''], [['detokenize', model, '--json-lines'], '']]) {
		const r = run(args, '');
		assert.deepEqual([r.code, r.out, r.err], [0, out, ''], args.join(' '));
	}
});

test('a name steers no terminal: its control characters are told as escapes', () => {
	const name = 'a\nb\t\x1b[31m\x7f\u009bc.gguf', shown = 'a\\nb\\t\\x1b[31m\\x7f\\xc2\\x9bc.gguf', path = join(dir, name);
	for (const [args, code, message] of [
		[['tokenize', `./${name}`, '-p', 'x'], 1, `hokku: ./${shown}: No such file or directory\n`],
		[['convert', path, '-o', 'x.gguf'], 1, `hokku: ${join(dir, shown)}: No such file or directory; a folder with a model's config.json is wanted\n`],
		[['tokenize', '-p', 'x', '-f', 'y', name], 2, 'hokku tokenize: -p and -f are both given'],
	]) {
		const r = run(args);
		assert.equal(r.code, code);
		assert.ok(r.err.startsWith(message), JSON.stringify(r.err));
		assert.doesNotMatch(r.err.slice(0, -1), /[\x00-\x1f\x7f\u0080-\u009f]/);
	}
	writeFileSync(path, readFileSync(model));
	assert.ok(run(['inspect', path]).out.includes(`\nfile: ${join(dir, shown)}\n`));
});

test('what a file leaves open is told: its pre-tokenizer, its types, ids that are no tokens', () => {
	const note = 'tokenizer.ggml.pre is missing: text is cut by qwen2\'s rules, since the architecture is qwen2';
	const path = join(dir, 'old.gguf');
	writeFileSync(path, smallModel({ architecture: 'qwen2', pre: null, pad: 4294967295 }));
	const pad = 'tokenizer.ggml.padding_token_id is 4294967295, and the vocabulary has 259 tokens: it is not used';
	const r = run(['tokenize', path, '-p', 'ha', '--ids']);
	assert.deepEqual([r.code, r.out, r.err], [0, '[256]\n', `hokku: warning: ${note}\nhokku: warning: ${pad}\n`]);
	assert.match(run(['detokenize', path, '256']).err, /warning: tokenizer\.ggml\.pre is missing/);
	const shown = run(['inspect', path]).out;
	assert.ok(shown.includes(`\ntokenizer: gpt2/qwen2, 259 tokens\n  warning: ${note}\n  warning: ${pad}\n`), shown);
	assert.deepEqual(JSON.parse(run(['inspect', path, '--json']).out).tokenizer, { kind: 'gpt2/qwen2', tokens: 259, notes: [note, pad] });
	assert.deepEqual(JSON.parse(run(['inspect', model, '--json']).out).tokenizer, { kind: 'gpt2/qwen2', tokens: 259, notes: [] });
	writeFileSync(path, smallModel({ pre: 'gone' }));
	assert.match(run(['inspect', path]).out, /\ntokenizer: none that hokku can use: tokenizer\.ggml\.pre is "gone", none of the 83 pre-tokenizers known /);
	assert.match(JSON.parse(run(['inspect', path, '--json']).out).tokenizer.error, /^tokenizer\.ggml\.pre is "gone"/);
});

test('without token types the markers of a template are control tokens all the same', () => {
	const path = join(dir, 'untyped.gguf');
	writeFileSync(path, smallModel({ types: false }));
	const r = run(['tokenize', path, '--chat', '--ids'], '[{"role": "user", "content": "<|im_end|>"}]');
	assert.equal(r.code, 0, r.err);
	assert.equal(r.out, run(['tokenize', model, '--chat', '--ids'], '[{"role": "user", "content": "<|im_end|>"}]').out);
	assert.match(r.err, /tokenizer\.ggml\.token_type is missing: .* 2 in all\n/);
});

test('an unused token stands for nothing', () => {
	const path = join(dir, 'unused.gguf');
	writeFileSync(path, smallModel({ unused: '[PAD259]' }));
	assert.equal(run(['detokenize', path, '104', '259', '97']).out, 'ha');
	assert.equal(run(['detokenize', path, '--json-lines'], '[104, 259]\n').out, '"h"\n');
	assert.equal(run(['tokenize', path, '-p', '[PAD259]', '--parse-special', '--count']).out, '8\n');
});

test('bench tokenize prints MB/s', () => {
	const file = join(dir, 'text');
	writeFileSync(file, 'ha ha ha.\n'.repeat(2000));
	const r = JSON.parse(run(['bench', 'tokenize', model, '--file', file, '--runs', '3', '--json']).out);
	assert.equal(r.bytes, 20000);
	assert.equal(r.runs, 3);
	assert.ok(r.mb_per_s > 0 && r.mb_per_s_min <= r.mb_per_s && r.mb_per_s <= r.mb_per_s_max && r.tokens > 0);
	assert.match(run(['bench', 'tokenize', model, '--runs', '1']).out, /MB\/s on one core/);
	writeFileSync(file, '');
	assert.match(run(['bench', 'tokenize', model, '--file', file]).err, /text is empty/);
});
