// `hokku bench`: it runs, its figures hang together, and it says what it measured.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HOKKU = process.env.HOKKU;
const plugin = `${process.env.HOKKU_BUILD_DIR}/libhokku-cuda-sim.so`;
const dir = mkdtempSync(join(tmpdir(), "hokku-bench-"));
const model = join(dir, "tiny.gguf");
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));

const config = {
	architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", hidden_act: "silu",
	hidden_size: 128, intermediate_size: 320, num_hidden_layers: 2, num_attention_heads: 2,
	num_key_value_heads: 1, vocab_size: 512, max_position_embeddings: 256, rms_norm_eps: 1e-6,
	rope_theta: 10000, tie_word_embeddings: false,
};
writeFileSync(join(dir, "config.json"), JSON.stringify(config));
execFileSync(HOKKU, ["synth", "--shape", join(dir, "config.json"), "--type", "Q8_0", "-o", model]);

const bench = (...args) => spawnSync(HOKKU, ["bench", model, "-n", "2", "--prefill", "40", "--decode", "8", ...args],
	{ encoding: "utf8" });

test("--json: speed, spread, bytes and shares of the limits agree with each other", () => {
	const r = bench("--json", "--threads", "2", "--batch", "16");
	assert.equal(r.status, 0, r.stderr);
	const j = JSON.parse(r.stdout);
	assert.match(j.device, /^cpu \(.*, 2 threads\)$/);
	assert.equal(j.runs, 2);
	assert.equal(j.batch, 16);
	assert.equal(j.limits.threads, 2);
	const layer = 128 * (2 * 128 + 2 * 64 + 3 * 320);
	const weights = ((2 * layer + 2 * 128 * 512) / 32) * 34;
	assert.ok(j.weight_bytes >= weights && j.weight_bytes < weights * 1.1, `${j.weight_bytes} for ${weights}`);
	for (const [name, tokens] of [["prefill", 40], ["decode", 8]]) {
		const f = j[name];
		assert.equal(f.tokens, tokens);
		assert.ok(f.slowest > 0 && f.slowest <= f.tokens_per_s && f.tokens_per_s <= f.fastest);
		assert.ok(Math.abs(f.share_of_memory * j.limits.read_bytes_per_s / f.bytes_per_s - 1) < 1e-9);
	}
	const seconds = 8 / j.decode.tokens_per_s;
	assert.ok(j.decode.bytes_per_s * seconds >= 8 * (j.weight_bytes - ((128 * 512) / 32) * 34)); // single rows of the embedding
	assert.ok(j.decode.ops_per_s * seconds >= 8 * 2 * (2 * layer + 128 * 512));
});

test("--seqs and --depth: steps of so many sequences, behind prefilled tokens, and what they read", () => {
	const r = bench("--json", "--threads", "2", "--seqs", "5", "--depth", "33", "--batch", "16");
	assert.equal(r.status, 0, r.stderr);
	const j = JSON.parse(r.stdout);
	assert.equal(j.fill.tokens, 5 * 33);
	assert.equal(j.decode.tokens, 5 * 8);
	assert.deepEqual([j.step.seqs, j.step.depth, j.step.depth_last, j.step.filled_by], [5, 33, 40, "prefill"]);
	// Operations: a token's in the layers' matrices, in the output's, and at each position that each of 2 layers looks at.
	const layers = 2 * 128 * (2 * 128 + 2 * 64 + 3 * 320), head = 128 * 512, sum = (n, from) => (n * (n + 1 + 2 * from)) / 2;
	for (const [name, ops] of [
		["prefill", 40 * layers + head + 2 * sum(40, 0) * 256],
		["fill", 5 * 33 * layers + 5 * 2 * sum(33, 0) * 256],
		["decode", 5 * 8 * (layers + head) + 5 * 2 * sum(8, 33) * 256],
	])
		assert.ok(Math.abs((j[name].ops_per_s * j[name].tokens) / j[name].tokens_per_s / 2 / ops - 1) < 1e-9, `${name} ${JSON.stringify(j[name])}`);
	assert.ok(Math.abs(j.step.ms * j.decode.tokens_per_s / 5 / 1e3 - 1) < 1e-9);
	// 41 positions are 2 blocks of 32, for each of 5; the prompt's 40 need no more
	const position = j.kv_bytes / (5 * 2 * 32);
	const seen = [34, 35, 36, 37, 38, 39, 40, 41].reduce((a, b) => a + b) / 8;
	assert.ok(Math.abs(j.step.kv_bytes - 5 * seen * position) < 1, `${j.step.kv_bytes}`);
	assert.ok(j.step.weight_bytes >= j.weight_bytes - ((128 * 512) / 32) * 34);
	const seconds = 5 * 8 / j.decode.tokens_per_s;
	assert.ok(Math.abs(j.decode.bytes_per_s * seconds / 8 / (j.step.weight_bytes + j.step.kv_bytes) - 1) < 1e-9);
	assert.ok(Math.abs(j.decode.share_of_memory * j.limits.read_bytes_per_s / j.decode.bytes_per_s - 1) < 1e-9);

	const table = bench("--seqs", "3", "--depth", "2");
	assert.equal(table.status, 0, table.stderr);
	assert.match(table.stdout, /^fill +6 /m);
	assert.match(table.stdout, /^decode +24 .*% of (memory|arithmetic)$/m);
	assert.match(table.stdout, /^a step of decode: 3 sequences at depths 2 to 9, filled by prefill; [\d.]+ ms; it reads [\d.]+ MB of weights/m);

	const alone = JSON.parse(bench("--json").stdout);
	assert.equal(alone.fill, undefined);
	assert.deepEqual([alone.step.seqs, alone.step.depth, alone.step.depth_last, alone.step.filled_by], [1, 0, 7, null]);
});

test("layers with a window read no more than it", () => {
	const windows = join(dir, "windows.gguf");
	writeFileSync(join(dir, "windows.json"), JSON.stringify({ ...config, architectures: ["MistralForCausalLM"], model_type: "mistral", sliding_window: 32, head_dim: 64 }));
	execFileSync(HOKKU, ["synth", "--shape", join(dir, "windows.json"), "--type", "Q8_0", "-o", windows]);
	const r = spawnSync(HOKKU, ["bench", windows, "-n", "1", "--prefill", "8", "--decode", "4", "--seqs", "2", "--depth", "30", "--json"],
		{ encoding: "utf8" });
	assert.equal(r.status, 0, r.stderr);
	const j = JSON.parse(r.stdout);
	const position = j.kv_bytes / (2 * 2 * 32); // two layers, each of two sequences two blocks
	assert.ok(Math.abs(j.step.kv_bytes - 2 * (31 + 32 + 32 + 32) / 4 * position) < 1, `${j.step.kv_bytes}`);
});

test("the table names model, device, limits and both figures; the reference has no limits", () => {
	const r = bench();
	assert.equal(r.status, 0, r.stderr);
	assert.match(r.stdout, /Q8_0/);
	assert.match(r.stdout, /limits of this machine: memory [\d.]+ GB\/s/);
	assert.match(r.stdout, /^prefill +40 .*% of (memory|arithmetic)$/m);
	assert.match(r.stdout, /^decode +8 .*% of (memory|arithmetic)$/m);
	const reference = bench("--device", "cpu:reference");
	assert.equal(reference.status, 0, reference.stderr);
	assert.doesNotMatch(reference.stdout, /limits/);
});

test("on a GPU the limits are that device's own", { skip: !existsSync(plugin) }, () => {
	const env = { ...process.env, HOKKU_PLUGIN_PATH: plugin, CUDASIM_VRAM: "50000000" };
	const r = spawnSync(HOKKU, ["bench", model, "-n", "1", "--prefill", "40", "--decode", "3", "--device", "cuda", "--json"],
		{ encoding: "utf8", env });
	assert.equal(r.status, 0, r.stderr);
	const j = JSON.parse(r.stdout);
	assert.match(j.device, /^cuda:0 \(/);
	assert.equal(j.batch, 40);
	for (const rate of ["read", "copy", "pinned", "pageable"])
		assert.ok(j.limits[`${rate}_bytes_per_s`] > 0, rate);
	// the embedding lies on the device but is not read: 512 rows of 128 as Q8_0
	const read = j.decode.bytes_per_s * 3 / j.decode.tokens_per_s;
	const cache = j.kv_bytes / 64 * (1 + 2 + 3);
	assert.ok(Math.abs(read - cache - 3 * (j.weight_bytes - 512 * 4 * 34)) < 1, `${read}`);
});

test("bad input is refused by name", () => {
	assert.equal(bench("--prefill", "0").status, 2);
	assert.equal(bench("--runs", "1001").status, 2);
	for (const [option, value] of [["--seqs", "0"], ["--seqs", "2049"], ["--seqs", "many"], ["--depth", "1048577"], ["--depth", "-1"]]) {
		const wrong = bench(option, value);
		assert.equal(wrong.status, 2);
		assert.match(wrong.stderr, new RegExp(`${option} is "${value}"; it takes a whole number`));
	}
	const memory = bench("--seqs", "2048", "--depth", "1000", "--kv-bytes", "1M");
	assert.equal(memory.status, 1);
	assert.match(memory.stderr, /1048576 bytes of KV memory hold \d+ blocks of 32 positions; 2048 requests/);
	const missing = spawnSync(HOKKU, ["bench", join(dir, "none.gguf")], { encoding: "utf8" });
	assert.equal(missing.status, 1);
	assert.match(missing.stderr, /none\.gguf/);
	const tier = spawnSync(HOKKU, ["bench", model], { encoding: "utf8", env: { ...process.env, HOKKU_CPU_TIER: "abacus" } });
	assert.equal(tier.status, 1);
	assert.match(tier.stderr, /HOKKU_CPU_TIER is "abacus"/);
});
