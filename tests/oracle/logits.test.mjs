// The whole road that a model takes: a folder as transformers saves it (golden/models/hf) through `hokku convert`, and
// its logits through `hokku logits`, against transformers' own. And what `hokku logits` writes and refuses.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

const hokku = process.env.HOKKU ?? "hokku";
const golden = path.join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../golden/models");
const root = fs.mkdtempSync(path.join(os.tmpdir(), "hokku-logits-"));
after(() => fs.rmSync(root, { recursive: true }));

const { prompt } = JSON.parse(fs.readFileSync(path.join(golden, "hf.json"), "utf8"));
const tokens = prompt.join(",");
const n_vocab = 261;

function run(...args) {
	const r = spawnSync(hokku, args, { maxBuffer: 1 << 26 });
	return { code: r.status, out: r.stdout, err: r.stderr.toString() };
}

// NumPy format 1.0, float32, C order: the specification's every demand.
function npy(bytes) {
	assert.equal(bytes.toString("latin1", 0, 8), "\x93NUMPY\x01\x00");
	const length = bytes.readUInt16LE(8);
	assert.equal((10 + length) % 64, 0);
	const header = bytes.toString("latin1", 10, 10 + length);
	const parts = /^\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n$/.exec(header);
	assert.ok(parts, header);
	const shape = [Number(parts[1]), Number(parts[2])];
	assert.equal(bytes.length, 10 + length + 4 * shape[0] * shape[1]);
	const values = new Float32Array(shape[0] * shape[1]);
	for (let i = 0; i < values.length; i++) values[i] = bytes.readFloatLE(10 + length + 4 * i);
	return { shape, values };
}

const load = (file) => npy(fs.readFileSync(file));

function largestError(got, want) {
	assert.deepEqual(got.shape, want.shape);
	let worst = 0, largest = 0;
	for (let i = 0; i < want.values.length; i++) {
		const difference = Math.abs(got.values[i] - want.values[i]);
		assert.ok(Number.isFinite(difference));
		worst = Math.max(worst, difference);
		largest = Math.max(largest, Math.abs(want.values[i]));
	}
	return worst / largest;
}

const model = (type) => path.join(root, `${type}.gguf`);
const types = ["F32", "F16", "BF16", "Q8_0"];

before(() => {
	for (const type of types) {
		const r = run("convert", path.join(golden, "hf"), "-o", model(type), "--type", type);
		assert.equal(r.code, 0, r.err);
	}
});

// docs/exactness.md: float32 rounding; where activations become bytes (block formats on the fast path), that rounding.
for (const type of types)
	for (const [device, tolerance] of [["cpu:reference", 5e-5], ["cpu", type === "Q8_0" ? 1e-1 : 5e-5]])
		test(`${type} on ${device} agrees with transformers at every position`, () => {
			const out = path.join(root, `${type}.npy`);
			const r = run("logits", model(type), "--tokens", tokens, "--all", "--device", device, "-o", out);
			assert.equal(r.code, 0, r.err);
			assert.ok(r.err.includes(device), r.err);
			const want = load(path.join(golden, `hf.${type}.npy`));
			assert.deepEqual(want.shape, [prompt.length, n_vocab]);
			const error = largestError(load(out), want);
			assert.ok(error <= tolerance, `error ${error}, tolerance ${tolerance}`);
		});

test("the bytes do not depend on chunks, threads or where they go", () => {
	for (const device of ["cpu", "cpu:reference"]) {
		const out = path.join(root, "whole.npy");
		const options = ["logits", model("Q8_0"), "--tokens", tokens, "--device", device];
		assert.equal(run(...options, "--all", "-o", out).code, 0);
		const whole = fs.readFileSync(out);
		for (const more of [["--chunk", "1"], ["--chunk", "7"], ["--threads", "1"], ["--threads", "3"]]) {
			const r = run(...options, "--all", ...more, "-o", "-");
			assert.equal(r.code, 0, r.err);
			assert.ok(r.out.equals(whole), `${device} ${more}`);
		}
		const last = npy(run(...options, "--chunk", "5", "-o", "-").out);
		assert.deepEqual(last.shape, [1, n_vocab]);
		assert.deepEqual(last.values, npy(whole).values.slice(-n_vocab));
	}
});

test("what is wrong is named, and no file is left", () => {
	const out = path.join(root, "never.npy");
	const cases = [
		[["logits"], 2, "--tokens is missing"],
		[["logits", model("F32"), "-o", out], 2, "--tokens is missing"],
		[["logits", model("F32"), "--tokens", "1"], 2, "-o is missing"],
		[["logits", model("F32"), "--tokens", "", "-o", out], 2, 'id 1 is ""'],
		[["logits", model("F32"), "--tokens", "1,,2", "-o", out], 2, 'id 2 is ""'],
		[["logits", model("F32"), "--tokens", "1,2,", "-o", out], 2, 'id 3 is ""'],
		[["logits", model("F32"), "--tokens", "1, 2", "-o", out], 2, 'id 2 is " 2"'],
		[["logits", model("F32"), "--tokens", "1,-2", "-o", out], 2, 'id 2 is "-2"'],
		[["logits", model("F32"), "--tokens", "1,2x,3", "-o", out], 2, 'id 2 is "2x"'],
		[["logits", model("F32"), "--tokens", "2147483648", "-o", out], 2, 'id 1 is "2147483648"'],
		[["logits", model("F32"), "--tokens", "99999999999999999999", "-o", out], 2, "id 1 is"],
		[["logits", model("F32"), "--tokens", "1", "--chunk", "0", "-o", out], 2, "--chunk"],
		[["logits", model("F32"), "--tokens", "1", "--chunk", "2049", "-o", out], 2, "--chunk"],
		[["logits", model("F32"), "--tokens", "1", "--treads", "2", "-o", out], 2, "--threads"],
		[["logits", model("F32"), "--tokens", `1,${n_vocab}`, "-o", out], 1,
			`token 1 is id ${n_vocab}; the vocabulary has ids 0 to ${n_vocab - 1}`],
		[["logits", model("F32"), "--tokens", "1", "--device", "gpu", "-o", out], 1, 'there is no device "gpu"'],
		[["logits", path.join(root, "none.gguf"), "--tokens", "1", "-o", out], 1, "none.gguf"],
		[["logits", path.join(golden, "hf.json"), "--tokens", "1", "-o", out], 1, "hf.json"],
	];
	for (const [args, code, message] of cases) {
		const r = run(...args);
		assert.equal(r.code, code, `${args}: ${r.err}`);
		assert.ok(r.err.includes(message), `${args}: ${r.err}`);
		assert.equal(r.out.length, 0);
		assert.ok(!fs.existsSync(out), `${args}`);
	}
	const nowhere = path.join(root, "no/such/folder.npy");
	const r = run("logits", model("F32"), "--tokens", "1", "-o", nowhere);
	assert.equal(r.code, 1);
	assert.ok(r.err.includes(nowhere), r.err);
	assert.ok(run("logits", "--help").out.toString().includes("Example:"));
});

test("a device that takes no more bytes is an error", { skip: !fs.existsSync("/dev/full") }, () => {
	const r = run("logits", model("F32"), "--tokens", tokens, "--all", "-o", "/dev/full");
	assert.equal(r.code, 1);
	assert.ok(r.err.includes("/dev/full"), r.err);
	assert.ok(fs.existsSync("/dev/full"));
});
