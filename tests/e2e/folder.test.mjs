// A Hugging Face folder given as MODEL: every command takes it as it takes a file, with the numbers of hokku convert + file.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const hokku = process.env.HOKKU;
const folder = new URL('../golden/models/hf', import.meta.url).pathname;
let dir, file;

function run(args) {
	const r = spawnSync(hokku, args, { maxBuffer: 1 << 28, input: '' });
	return { code: r.status, bytes: r.stdout, out: String(r.stdout), err: String(r.stderr) };
}

before(() => {
	dir = mkdtempSync(join(tmpdir(), 'hokku-folder-'));
	file = join(dir, 'model.gguf');
	const r = run(['convert', folder, '-o', file, '--type', 'BF16', '--name', 'hf']);
	assert.equal(r.code, 0, r.err);
});
after(() => rmSync(dir, { recursive: true }));

test('logits are those of the converted file, to the bit, and nothing is written', () => {
	const before = readdirSync(folder);
	for (const device of ['cpu', 'cpu:reference']) {
		const of = (model) => run(['logits', model, '--device', device, '--all', '--tokens', '7,100,33,2,250,9', '-o', '-']);
		const a = of(folder), b = of(file);
		assert.equal(a.code, 0, a.err);
		assert.ok(a.bytes.length > 6 * 261 * 4 && a.bytes.equals(b.bytes), device);
	}
	assert.deepEqual(readdirSync(folder), before);
});

test('run, tokenize, inspect and bench take it', () => {
	const text = (model) => run(['run', model, '-p', 'a haiku', '-n', '16', '--temperature', '0', '--device', 'cpu']);
	assert.equal(text(folder).code, 0, text(folder).err);
	assert.equal(text(folder).out, text(file).out);
	const ids = (model) => run(['tokenize', model, '-p', 'hello world']).out;
	assert.equal(ids(folder), ids(file));
	assert.match(run(['inspect', folder]).out, /a folder as transformers writes it/);
	const [a, b] = [folder, file].map((m) => JSON.parse(run(['inspect', '--json', m]).out));
	assert.deepEqual(a.tensors?.map((t) => [t.name, t.type]), b.tensors?.map((t) => [t.name, t.type]));
	assert.equal(run(['inspect', '--check', folder]).code, 0);
	assert.match(run(['bench', folder, '--prefill', '8', '--decode', '2', '-n', '1', '--device', 'cpu']).out, /decode/);
});

test('a tokenizer alone is a MODEL to tokenize with, and none to run', () => {
	const alone = join(dir, 'alone');
	cpSync(join(folder, 'tokenizer.json'), join(alone, 'tokenizer.json'));
	const ids = (model) => run(['tokenize', model, '-p', 'hello world', '--ids', '--no-bos']).out;
	assert.equal(ids(alone), ids(file));
	const r = run(['run', alone, '-p', 'x']);
	assert.equal(r.code, 1);
	assert.match(r.err, /this is a vocabulary: it has no tensors/);
});

test('what is wrong with a folder is told as hokku convert tells it', () => {
	const broken = join(dir, 'broken');
	cpSync(folder, broken, { recursive: true });
	writeFileSync(join(broken, 'config.json'), '{"model_type": "mamba"}');
	const r = run(['run', broken, '-p', 'x']);
	assert.equal(r.code, 1);
	assert.match(r.err, /config\.json: model_type is "mamba"; hokku converts Qwen2ForCausalLM, Qwen3ForCausalLM/);
	rmSync(join(broken, 'config.json'));
	assert.match(run(['run', broken, '-p', 'x']).err, /is a directory, not a file/);
	rmSync(broken, { recursive: true });
	cpSync(folder, broken, { recursive: true });
	rmSync(join(broken, 'model.safetensors'));
	assert.match(run(['run', broken, '-p', 'x']).err, /safetensors/);
});
