// What KV memory that stores less than float32 does to logits: the figures of docs/exactness.md, from `hokku logits
// --cache-type-k TYPE --cache-type-v TYPE` against the same with f32. By itself it takes the bundled model over haiku that it
// writes; of a file, over ids that mean nothing, or those of a text:
//     HOKKU=build/release/hokku MODEL=synth.gguf [TEXT=file] [DEVICE=cpu] [N=256] node tests/oracle/cache_types.test.mjs
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";

const hokku = process.env.HOKKU ?? "hokku";
const model = process.env.MODEL ? [process.env.MODEL] : [];
const device = process.env.DEVICE ?? "cpu:reference"; // no other rounding
const n_tokens = Number(process.env.N ?? 200);
const root = fs.mkdtempSync(path.join(os.tmpdir(), "hokku-cache-"));
after(() => fs.rmSync(root, { recursive: true }));

// Keys, values, and what the bundled model's figures may be at most: mean difference of logits (of the largest), KL in nats.
const types = [
	["f16", "f16", 1e-4, 3e-6],
	["bf16", "bf16", 5e-4, 1e-4],
	["q8_0", "f32", 1e-3, 3e-4],
	["f32", "q8_0", 1e-3, 3e-4],
	["q8_0", "q8_0", 1.5e-3, 4e-4],
];

function run(args, input) {
	const r = spawnSync(hokku, args, { input, maxBuffer: 1 << 30 });
	assert.equal(r.status, 0, r.stderr.toString());
	return r.stdout;
}

function textIds() {
	if (process.env.MODEL && !process.env.TEXT) // a synthetic model has no use for words
		return Array.from({ length: n_tokens }, (_, i) => ((i * 2654435761) % 4294967291) % 1000);
	let text = process.env.TEXT ? fs.readFileSync(process.env.TEXT, "utf8") : "";
	for (let seed = 1; !process.env.TEXT && seed <= 24; seed++)
		text += run(["run", "--device", "cpu", "-s", String(seed), "-p", `Write a haiku about ${["rain", "snow", "the sea", "a crow"][seed % 4]}.`]);
	const ids = JSON.parse(run(["tokenize", ...model, "--ids", "-f", "-"], text).toString());
	assert.ok(ids.length >= 100, `${ids.length} tokens`);
	return ids.slice(0, n_tokens);
}

function logits(ids, k, v) {
	const file = path.join(root, "logits.npy");
	run(["logits", ...model, "--device", device, "--tokens", ids.join(","), "--all", "-o", file, "-ctk", k, "-ctv", v]);
	const bytes = fs.readFileSync(file), from = 10 + bytes.readUInt16LE(8);
	return new Float32Array(bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + bytes.length));
}

// Log-probabilities of a row, and where the largest is.
function softmax(row) {
	let best = 0;
	for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i;
	let sum = 0;
	for (const x of row) sum += Math.exp(x - row[best]);
	return { best, log: row[best] + Math.log(sum) };
}

function compare(want, got, n_rows) {
	const n = want.length / n_rows;
	let worst = 0, sum = 0, largest = 0, kl = 0, worst_kl = 0, same = 0;
	for (let r = 0; r < n_rows; r++) {
		const a = want.subarray(r * n, (r + 1) * n), b = got.subarray(r * n, (r + 1) * n);
		const p = softmax(a), q = softmax(b);
		let here = 0;
		for (let i = 0; i < n; i++) {
			const d = Math.abs(a[i] - b[i]);
			worst = Math.max(worst, d);
			sum += d;
			largest = Math.max(largest, Math.abs(a[i]));
			const log_p = a[i] - p.log;
			here += Math.exp(log_p) * (log_p - (b[i] - q.log));
		}
		kl += here;
		worst_kl = Math.max(worst_kl, here);
		same += p.best === q.best;
	}
	return { largest, worst: worst / largest, mean: sum / want.length / largest, kl: kl / n_rows, worst_kl, same: same / n_rows };
}

test("what a type of KV memory does to logits", () => {
	const ids = textIds(), want = logits(ids, "f32", "f32");
	console.log(`${process.env.MODEL ?? "the bundled model"}, ${device}, ${ids.length} tokens`);
	console.log("| keys | values | largest difference | mean | KL, nats | worst position | same first token |\n|---|---|---:|---:|---:|---:|---:|");
	for (const [k, v, most_mean, most_kl] of types) {
		const c = compare(want, logits(ids, k, v), ids.length);
		const text = [c.worst, c.mean, c.kl, c.worst_kl].map((x) => x.toExponential(1)).join(" | ");
		console.log(`| ${k} | ${v} | ${text} | ${(100 * c.same).toFixed(1)}% |`);
		assert.ok(c.worst > 0, "nothing was rounded");
		if (!process.env.MODEL && !process.env.DEVICE) assert.ok(c.mean <= most_mean && c.kl <= most_kl && c.same >= 0.97, `${k}, ${v}: ${text}`);
	}
});
