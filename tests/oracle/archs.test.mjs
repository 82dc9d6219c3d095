// llama.cpp reads the files that its own converter made of every architecture (golden/archs, in float32), and those that
// `hokku convert` makes of the same folders: the same token ids, the same distribution at every position of the prompt, and
// as greedy text that of transformers.
//
// archs.mjs has what llama.cpp does otherwise than transformers. That it does is tested, so that the day when it no longer
// does is seen.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { golden } from './archs.mjs';
import { absent, distance, judgedDistribution, judgedGreedy, npyValues, openJudge } from './judge.mjs';

const hokku = process.env.HOKKU ?? 'hokku';
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'hokku-archs-'));
after(() => fs.rmSync(root, { recursive: true }));

const nVocab = 261;
// As of our own devices; but ggml takes GELU out of a table of halves (docs/exactness.md).
const bound = (entry) => (/^gemma/.test(entry.architecture) ? 1e-3 : 5e-5);

const entries = golden.map((entry) => ({ ...entry, path: path.join(root, `${entry.name}.gguf`) }));
const judged = entries.filter(({ deepened }) => !deepened);
for (const entry of entries.filter(({ deepened }) => deepened))
	judged.push({ ...entry, name: entry.deepened, greedy: null, path: path.join(root, `${entry.deepened}.gguf`) });
const firsts = judged.filter((e, i) => judged.findIndex(({ architecture }) => architecture === e.architecture) === i);

function run(...args) {
	const r = spawnSync(hokku, args, { maxBuffer: 1 << 28 });
	assert.equal(r.status, 0, `hokku ${args.join(' ')}: ${r.stderr}`);
	return r.stdout;
}

// llama.cpp makes its context of whole 256 tokens: the one that longrope's factors are chosen by.
// Logits of its prompt: those of its first n tokens are the first n rows.
const known = new Map();
function logits(entry, n) {
	const asked = ['logits', entry.path, '--tokens', entry.prompt.join(','), '--all', '--device', 'cpu', '--ctx', '256', '-o', '-'];
	if (!known.has(entry.name)) known.set(entry.name, npyValues(run(...asked)));
	return known.get(entry.name).subarray(0, n * nVocab);
}

let llama;
before(async () => {
	const made = spawnSync(process.env.GOLDEN_GGUF, [root, 'archs']);
	assert.equal(made.status, 0, String(made.stderr));
	if (!absent) llama = await openJudge();
});
after(() => llama?.dispose());

async function withModel(modelPath, use) {
	const model = await llama.loadModel({ modelPath });
	try {
		return await use(model);
	} finally {
		await model.dispose();
	}
}

// How far what llama.cpp has for the first n tokens of the prompt is from hokku's.
const apart = async (model, entry, n) => distance(await judgedDistribution(model, entry.prompt.slice(0, n), nVocab), logits(entry, n), nVocab).worst;
const shown = (entry) => entry.window || 24;

describe("files of llama.cpp's converter", { skip: absent }, () => {
	for (const entry of judged)
		test(`${entry.name}: distribution, and greedy text`, async (t) => {
			const n = entry.window || entry.prompt.length, whole = !entry.window && entry.greedy;
			await withModel(entry.path, async (model) => {
				const worst = await apart(model, entry, n);
				t.diagnostic(`${worst.toExponential(1)} of the largest logit (${bound(entry)})`);
				assert.ok(worst <= bound(entry), `${worst} is above ${bound(entry)}`);
				if (whole) assert.deepEqual(await judgedGreedy(model, entry.prompt, entry.greedy.length), entry.greedy);
			});
		});

	test('the windows of Phi-3, Mistral and a shallow EXAONE 4 are not in llama.cpp', async () => {
		for (const entry of entries.filter(({ window, deepened }) => window || deepened)) {
			const worst = await withModel(entry.path, (model) => apart(model, entry, entry.prompt.length));
			assert.ok(worst > 1e-2, `${entry.name}: ${worst}; llama.cpp has the window now: judge it whole, and say so in docs/models.md`);
		}
	});

	test('one wrong weight is outside of the bound', async () => {
		for (const entry of firsts) {
			const { tensors } = JSON.parse(run('inspect', '--json', entry.path)), bytes = fs.readFileSync(entry.path);
			const tensor = tensors.find(({ name }) => name === 'blk.0.attn_output.weight');
			bytes[tensor.offset + 3] ^= 0x80; // the sign of its first number
			const broken = path.join(root, 'broken.gguf');
			fs.writeFileSync(broken, bytes);
			const worst = await withModel(broken, (model) => apart(model, entry, shown(entry)));
			assert.ok(worst > bound(entry), `${entry.name}: ${worst} although the file is wrong`);
		}
	});
});

// What it binds to is what llama.cpp's file binds to (unit/convert/test_archs): so are the logits.
test("a folder of each architecture, converted: llama.cpp's ids and distribution", { skip: absent }, async () => {
	const texts = ['', ' ', 'autumn rain', "Don't  STOP\n\n 1234 !?", 'Größe 俳句 👍🏽', 'ab  \n cd\t', '<|im_end|>'];
	for (const entry of firsts) {
		// llama.cpp wants Phi-3's own special tokens of a file whose name, which is the folder's, has "phi3" in it.
		const folder = path.join(root, 'folder'), file = path.join(root, 'converted.gguf');
		fs.rmSync(folder, { recursive: true, force: true });
		fs.renameSync(path.join(root, entry.name), folder);
		run('convert', folder, '-o', file, '--type', 'F32');
		const [ids, worst] = await withModel(file, async (model) =>
			[texts.map((text) => model.tokenize(text, false)), await apart(model, entry, shown(entry))]);
		assert.ok(worst <= bound(entry), `${entry.name}: ${worst} is above ${bound(entry)}`);
		const r = spawnSync(hokku, ['tokenize', file, '--json-lines', '--no-bos'], { input: texts.map((text) => `${JSON.stringify(text)}\n`).join('') });
		assert.deepEqual(String(r.stdout).trimEnd().split('\n').map((line) => JSON.parse(line)), ids, `${entry.name}: ${r.stderr}`);
	}
});
