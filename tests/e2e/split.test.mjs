// A model in several files: every command takes any part of it as it takes the whole file, and says which part is wrong.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, openSync, closeSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { assemble, parse, split } from '../split_gguf.mjs';
import { generate, start } from './server_common.mjs';

const hokku = process.env.HOKKU;
const folder = new URL('../golden/models/hf', import.meta.url).pathname;
let dir, whole, parts, cuts;

function run(args) {
	const r = spawnSync(hokku, args, { maxBuffer: 1 << 28, input: '' });
	return { code: r.status, bytes: r.stdout, out: String(r.stdout), err: String(r.stderr) };
}

before(() => {
	dir = mkdtempSync(join(tmpdir(), 'hokku-split-'));
	whole = join(dir, 'whole.gguf');
	const r = run(['convert', folder, '-o', whole, '--type', 'Q8_0', '--name', 'hf']);
	assert.equal(r.code, 0, r.err);
	const n = parse(whole).tensors.length;
	cuts = [Math.floor(n / 3), Math.floor(2 * n / 3)];
	parts = split(whole, join(dir, 'm'), cuts);
});
after(() => rmSync(dir, { recursive: true }));

test('logits of every part are those of the whole file, to the bit', () => {
	for (const device of ['cpu', 'cpu:reference']) {
		const of = (model) => run(['logits', model, '--device', device, '--all', '--tokens', '7,100,33,2,250,9', '-o', '-']);
		const want = of(whole);
		assert.ok(want.code === 0 && want.bytes.length > 6 * 261 * 4, want.err);
		for (const part of parts) {
			const got = of(part);
			assert.equal(got.code, 0, got.err);
			assert.ok(got.bytes.equals(want.bytes), `${part} on ${device}`);
		}
	}
});

test('run, tokenize, detokenize and bench take every part', () => {
	for (const args of [
		['run', '-p', 'a haiku', '-n', '16', '--temperature', '0', '--device', 'cpu'],
		['tokenize', '-p', 'hello world', '--ids'],
		['detokenize', '7', '100', '33'],
	]) {
		const of = (model) => run([args[0], model, ...args.slice(1)]), want = of(whole);
		assert.ok(want.code === 0 && want.out, want.err);
		for (const part of parts) assert.deepEqual([of(part).code, of(part).out], [0, want.out], `${args[0]} ${part}`);
	}
	for (const part of parts) {
		const r = run(['bench', part, '--prefill', '8', '--decode', '2', '-n', '1', '--device', 'cpu']);
		assert.equal(r.code, 0, r.err);
		assert.match(r.out, /decode/);
	}
});

test('serve takes every part, and answers as of the whole file', async (t) => {
	const body = { prompt: 'go', raw: true, stream: false, max_tokens: 12, temperature: 0 };
	const texts = [];
	for (const model of [whole, ...parts]) {
		const server = await start([model, '--device', 'cpu', '--ctx', '64']);
		t.after(() => server.child.kill('SIGKILL'));
		const answer = await generate(server, body);
		assert.equal(answer.status, 200);
		texts.push(answer.json.text);
		await server.stop();
	}
	assert.deepEqual(texts, texts.map(() => texts[0]));
});

test('inspect shows one model and its parts', () => {
	const n = parse(whole).tensors.length, begins = [0, ...cuts, n];
	const want = JSON.parse(run(['inspect', '--json', whole]).out);
	assert.equal(want.parts, undefined);
	for (const part of parts) {
		const json = JSON.parse(run(['inspect', '--json', part]).out);
		assert.deepEqual([json.file, json.kind], [parts[0], 'a model']);
		assert.deepEqual(json.parts.map(({ file, bytes, tensors }) => [file, bytes, tensors]),
			parts.map((file, i) => [file, statSync(file).size, begins[i + 1] - begins[i]]));
		assert.equal(json.file_bytes, parts.reduce((sum, file) => sum + statSync(file).size, 0));
		assert.deepEqual(json.metadata, want.metadata);
		assert.deepEqual(json.tensors.map(({ name, shape, type, bytes }) => ({ name, shape, type, bytes })),
			want.tensors.map(({ name, shape, type, bytes }) => ({ name, shape, type, bytes })));
		const data = readFileSync(whole), files = parts.map((file) => readFileSync(file));
		json.tensors.forEach((t, i) => {
			const at = want.tensors[i].offset;
			assert.ok(files[t.part - 1].subarray(t.offset, t.offset + t.bytes).equals(data.subarray(at, at + t.bytes)), t.name);
		});
		const { out, code } = run(['inspect', part]);
		assert.equal(code, 0);
		const rows = parts.map((file, i) => `  ${basename(file)} +${statSync(file).size.toLocaleString('en-US')} +${begins[i + 1] - begins[i]}\n`);
		assert.match(out, new RegExp(`\\n\\nparts: 3\\n  file +bytes +tensors\\n${rows.join('')}\\n`));
		assert.match(out, /\n {2}a model\n/);
	}
});

test('--check names the part where something is wrong', () => {
	const clean = run(['inspect', '--check', parts[2]]);
	assert.deepEqual([clean.code, clean.err], [0, '']);
	const tensor = JSON.parse(run(['inspect', '--json', parts[0]]).out).tensors.find((t) => t.part === 2 && t.type === 'Q8_0');
	const copies = parts.map((file, i) => join(dir, `holed-0000${i + 1}-of-00003.gguf`));
	parts.forEach((file, i) => copyFileSync(file, copies[i]));
	const fd = openSync(copies[1], 'r+');
	writeSync(fd, Buffer.alloc(tensor.bytes), 0, tensor.bytes, tensor.offset);
	closeSync(fd);
	const r = run(['inspect', '--check', copies[0]]), begin = tensor.offset.toLocaleString('en-US');
	assert.equal(r.code, 1);
	assert.ok(r.out.includes(`  ${tensor.name}: all of its ${tensor.bytes.toLocaleString('en-US')} bytes are zero, from byte ${begin} of ${basename(copies[1])}\n`), r.out);
	assert.match(r.out, new RegExp(`\\n  zeros from byte ${begin} to [\\d,]+ of ${basename(copies[1])}, `));
	const wrong = JSON.parse(run(['inspect', '--check', '--json', copies[2]]).out).check.wrong;
	assert.deepEqual(wrong.map((w) => [w.tensor, w.part, w.file_bytes]), [[tensor.name, 2, [tensor.offset, tensor.offset + tensor.bytes]]]);
});

// Part 1 names an alignment that is longer than part 2's header, so that what is between their tensors could be padding.
test('--check: a hole ends where its part ends', () => {
	const u32 = (n) => Buffer.from(Uint32Array.of(n).buffer), u64 = (n) => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
	const str = (s) => Buffer.concat([u64(s.length), Buffer.from(s)]), number = (key, n) => Buffer.concat([str(key), u32(4), u32(n)]);
	const matrix = (name, data) => ({ name, data, info: Buffer.concat([str(name), u32(2), u64(64), u64(80), u32(1)]) }); // F16
	const end = Buffer.alloc(64 * 80 * 2, 0x11), begin = Buffer.from(end), hole = 4200;
	end.fill(0, end.length - hole);
	begin.fill(0, 0, hole);
	const paths = [0, 1].map((i) => join(dir, `wide-0000${i + 1}-of-00002.gguf`));
	[matrix('a', end), matrix('b', begin)].forEach((t, i) => {
		const keys = [number('split.no', i), number('split.count', 2), number('split.tensors.count', 2)], alignment = i ? 32 : 4096;
		const bytes = assemble(i ? keys : [number('general.alignment', alignment), ...keys], [t], alignment);
		writeFileSync(paths[i], i ? bytes : bytes.subarray(0, alignment + end.length)); // without padding after it
	});
	const { check, parts: of } = JSON.parse(run(['inspect', '--check', '--json', paths[0]]).out), data = of.map((p) => p.data_offset);
	assert.ok(data[0] === 4096 && data[1] < 4096);
	assert.deepEqual(check.wrong.map((w) => [w.tensor, w.part, w.bytes, w.file_bytes]), [
		['a', 1, hole, [data[0] + end.length - hole, data[0] + end.length]],
		['b', 2, hole, [data[1], data[1] + hole]],
	]);
});

test('parts that lack a part, or have a stranger among them, are told by every command', () => {
	const stem = join(dir, 'lacking'), lacking = split(whole, stem, cuts);
	renameSync(lacking[1], join(dir, 'elsewhere.gguf'));
	const commands = [['run', '-p', 'x'], ['tokenize', '-p', 'x'], ['bench'], ['logits', '--tokens', '1', '-o', '/dev/null'], ['inspect'], ['inspect', '--check'], ['inspect', '--json'], ['serve', '--port', '0']];
	const told = (path, message) => {
		for (const [command, ...rest] of commands) {
			const r = run([command, path, ...rest]);
			assert.deepEqual([r.code, r.out], [1, ''], command);
			assert.ok(r.err.includes(`${message}\n`), `${command}: ${r.err}`);
		}
	};
	told(lacking[2], `${lacking[2]}: this is part 3 of 3 of a split model; 1 of them is not beside it: lacking-00002-of-00003.gguf`);
	told(join(dir, 'elsewhere.gguf'), `${join(dir, 'elsewhere.gguf')}: this is part 2 of 3 of a split model; its parts are found by their names, `
		+ 'from NAME-00001-of-00003.gguf on: name this one NAME-00002-of-00003.gguf, and the others beside it likewise');
	copyFileSync(lacking[2], lacking[1]);
	told(lacking[0], `${lacking[1]}: split.no is 2; 1 is wanted, of part 2: it is part 3 again, or has the name of another (${lacking[2]} is that part)`);
});

test('renamed parts are found by the stem that they share', () => {
	const renamed = parts.map((file, i) => join(dir, `другое имя-0000${i + 1}-of-00003.gguf`));
	parts.forEach((file, i) => copyFileSync(file, renamed[i]));
	const r = spawnSync(hokku, ['inspect', basename(renamed[1]), '--json'], { cwd: dir, encoding: 'utf8' });
	assert.equal(r.status, 0, r.stderr);
	assert.deepEqual(JSON.parse(r.stdout).parts.map(({ file }) => file), renamed.map((file) => basename(file)));
});
