// SentencePiece itself (Debian's python3-sentencepiece) on the same vocabularies: Llama 2's, with its normaliser's flags in
// every way, and small ones that SentencePiece trains here, with and without byte tokens and user-defined pieces; from GGUF and
// from a folder that has the tokenizer.model alone. The strings are drawn with a
// fixed seed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const hokku = process.env.HOKKU;
const python = '/usr/bin/python3', script = new URL('judge_sentencepiece.py', import.meta.url).pathname;
const missing = spawnSync(python, ['-c', 'import sentencepiece']).status !== 0 && 'no python3-sentencepiece (./do test installs it)';
const dir = mkdtempSync(join(tmpdir(), 'hokku-sentencepiece-'));
after(() => rmSync(dir, { recursive: true }));

function run(command, args, input = '') {
	const r = spawnSync(command, args, { input, maxBuffer: 1 << 29 });
	assert.equal(r.status, 0, String(r.stderr).slice(0, 2000));
	return String(r.stdout).split('\n').slice(0, -1).map((line) => JSON.parse(line));
}

// ---- the two file formats, as far as they are needed ----

const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(n)); return b; };
const str = (s) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);

function gguf({ tokens, scores, types, prefix, extra }) {
	const array = (type, element) => Buffer.concat([u32(9), u32(type), u64(tokens.length), ...tokens.map((_, i) => element(i))]);
	const kv = {
		'tokenizer.ggml.model': Buffer.concat([u32(8), str('llama')]),
		'tokenizer.ggml.tokens': array(8, (i) => str(tokens[i])),
		'tokenizer.ggml.scores': array(6, (i) => Buffer.from(Float32Array.of(scores[i]).buffer)),
		'tokenizer.ggml.token_type': array(5, (i) => u32(types[i])),
		'tokenizer.ggml.add_bos_token': Buffer.concat([u32(7), Buffer.of(0)]),
		'tokenizer.ggml.add_space_prefix': Buffer.concat([u32(7), Buffer.of(prefix)]),
		'tokenizer.ggml.remove_extra_whitespaces': Buffer.concat([u32(7), Buffer.of(extra)]),
	};
	const pairs = Object.entries(kv).flatMap(([key, value]) => [str(key), value]);
	return Buffer.concat([Buffer.from('GGUF'), u32(3), u64(0), u64(Object.keys(kv).length), ...pairs]);
}

// sentencepiece_model.proto: pieces 1 (piece 1, score 2, type 3), trainer_spec 2 (model_type 3: BPE, byte_fallback 35),
// normalizer_spec 3 (name 1, add_dummy_prefix 3, remove_extra_whitespaces 4, escape_whitespaces 5).
function proto({ tokens, scores, types, prefix, extra }) {
	const varint = (n) => { const out = []; do { out.push((n & 127) | (n > 127 ? 128 : 0)); n >>>= 7; } while (n); return Buffer.from(out); };
	const number = (field, n) => Buffer.concat([varint(field << 3), varint(n)]);
	const bytes = (field, b) => Buffer.concat([varint((field << 3) | 2), varint(b.length), b]);
	const float = (field, x) => Buffer.concat([varint((field << 3) | 5), Buffer.from(Float32Array.of(x).buffer)]);
	return Buffer.concat([
		...tokens.map((t, i) => bytes(1, Buffer.concat([bytes(1, Buffer.from(t)), float(2, scores[i]), number(3, types[i])]))),
		bytes(2, Buffer.concat([number(3, 2), number(35, 1)])),
		bytes(3, Buffer.concat([bytes(1, Buffer.from('identity')), number(3, +prefix), number(4, +extra), number(5, 1)])),
	]);
}

// ---- the strings ----

function makeStrings(n, seed) {
	let a = seed;
	const next = () => {
		a = (a + 0x6d2b79f5) >>> 0;
		let t = Math.imul(a ^ (a >>> 15), 1 | a);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
	const below = (m) => Math.floor(next() * m), pick = (list) => list[below(list.length)];
	const blocks = [[0x20, 0x7e], [0x20, 0x7e], [0xa0, 0x17f], [0x370, 0x3ff], [0x400, 0x4ff], [0x4e00, 0x9fff], [0x3040, 0x30ff], [0xac00, 0xd7a3],
		[0x600, 0x6ff], [0x900, 0x97f], [0x1f300, 0x1f64f], [0x2000, 0x206f], [1, 0x1f], [0xe00, 0xe5b], [0x20000, 0x2a6df]];
	const words = ('the of and Hello world haiku autumn rain naïve café Россия дождь 日本語 あめ 中文 한국어 العربية हिन्दी for(int i=0;i<n;i++) 3.14159 1234567 '
		+ '\u2581 \u2581\u2581 <s> </s> <unk> <0x0A> \n \n\n \t <tool> </h1> abcabab [INST] <c> x ab').split(' ');
	const strings = ['', ' ', '  ', 'a', ' a ', '\u2581', '\n', '\u2581 \u2581 ', ' '.repeat(300), 'a'.repeat(3000), 'ab'.repeat(700) + 'x'];
	while (strings.length < n) {
		let s = '';
		for (let k = 1 + below(8); k > 0; k--) {
			const kind = below(20);
			if (kind < 9) s += pick(words) + pick(['', ' ', ' ', '  ']);
			else if (kind < 16) { const [first, last] = pick(blocks); for (let i = 1 + below(10); i > 0; i--) s += String.fromCodePoint(first + below(last - first + 1)); }
			else if (kind < 18) s += ' '.repeat(1 + below(30));
			else s += pick([...'ab\n-=あ ']).repeat(1 + below(60));
		}
		strings.push(s);
	}
	return strings;
}

// The folder has the model alone, as older ones have.
function compareFolder(model, n, seed) {
	const folder = mkdtempSync(join(dir, 'folder-')), modelPath = join(folder, 'tokenizer.model');
	writeFileSync(modelPath, model);
	const strings = makeStrings(n, seed), input = strings.map((s) => JSON.stringify(s)).join('\n') + '\n';
	const want = run(python, [script, 'encode', modelPath], input), got = run(hokku, ['tokenize', folder, '--no-bos', '--json-lines'], input);
	assert.equal(got.length, strings.length);
	got.forEach((ids, i) => assert.deepEqual(ids, want[i], JSON.stringify(strings[i])));
}

function compare(vocabulary, model, seed) {
	const path = join(dir, 'vocabulary.gguf'), modelPath = join(dir, 'vocabulary.model');
	writeFileSync(path, gguf(vocabulary));
	writeFileSync(modelPath, model);
	const strings = makeStrings(5000, seed), input = strings.map((s) => JSON.stringify(s)).join('\n') + '\n';
	const want = run(python, [script, 'encode', modelPath], input), got = run(hokku, ['tokenize', path, '--json-lines'], input);
	assert.equal(got.length, strings.length);
	got.forEach((ids, i) => assert.deepEqual(ids, want[i], JSON.stringify(strings[i])));
}

test("Llama 2's vocabulary: 28,000 strings, as SentencePiece encodes them", { skip: missing }, (t) => {
	const file = join(process.env.HOKKU_SHARED ?? '', 'vocab', 'llama-spm.gguf');
	if (!existsSync(file)) return t.skip(`no ${file}`);
	const { metadata } = JSON.parse(spawnSync(hokku, ['inspect', file, '--json'], { maxBuffer: 1 << 28 }).stdout);
	const [tokens, scores, types] = ['tokens', 'scores', 'token_type'].map((name) => metadata[`tokenizer.ggml.${name}`].value);
	let seed = 1;
	for (const prefix of [true, false])
		for (const extra of [false, true]) {
			const vocabulary = { tokens, scores, types, prefix, extra };
			compare(vocabulary, proto(vocabulary), seed++);
			compareFolder(proto(vocabulary), 2000, seed++);
		}
});

test('vocabularies that SentencePiece trained here, 5,000 strings each', { skip: missing }, () => {
	const models = run(python, [script, 'train']);
	assert.equal(models.length, 6);
	models.slice(0, 4).forEach((m, i) => compare(m, Buffer.from(m.model, 'base64'), 10 + i));
	models.forEach((m, i) => compareFolder(Buffer.from(m.model, 'base64'), i < 4 ? 1000 : 5000, 20 + i));
});
