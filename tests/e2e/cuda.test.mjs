// Commands on the CUDA backend, through the plugin built on the emulator (tests/cudasim): what a user of a GPU meets, right and wrong. A
// server on it: cuda_serve.test.mjs.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { LAUNCH_IN_ANSWER, plugin, run, skip } from "./cuda_common.mjs";
import { hokku } from "./server_common.mjs";

test("greedy text is that of cpu:reference, drawn text that of its own seed", { skip }, () => {
	for (const args of [["--temperature", "0"], ["--temperature", "0", "-p", "winter rain"]]) {
		const reference = run("cpu:reference", args);
		assert.notEqual(reference.stdout, "");
		for (const path of ["plain", "tile"]) {
			const cuda = run("cuda", args, { CUDASIM_SEED: "9", HOKKU_CUDA_PATH: path });
			assert.equal(cuda.status, 0, cuda.stderr);
			assert.equal(cuda.stdout, reference.stdout, path);
		}
	}
	const args = ["--temperature", "1.2", "--top-p", "0.9", "--seed", "5"];
	assert.equal(run("cuda:0", args).stdout, run("cuda", args).stdout);
});

test("a model larger than the device's memory is refused with both figures", { skip }, () => {
	const r = run("cuda", [], { CUDASIM_VRAM: "1000000" });
	assert.equal(r.status, 1);
	assert.equal(r.stdout, "");
	assert.match(r.stderr, /haiku needs \d+ bytes .*cuda:0 \(emulated device 0\) has 1000000 bytes available/);
});

test("--vram-limit and --kv-bytes set the budget", { skip }, () => {
	const limited = run("cuda", ["--vram-limit", "1M"]);
	assert.equal(limited.status, 1);
	assert.match(limited.stderr, /has 1048576 bytes available \(1\.0 MiB, the limit that was set\); its weights alone do not fit\n$/);
	const few = run("cuda", ["--kv-bytes", "1K"]);
	assert.equal(few.status, 1);
	assert.match(few.stderr, /1024 bytes of KV memory hold 0 blocks of 32 positions; 1 request of up to 512 positions need 16 blocks, which are \d+ bytes\n$/);
	const context = run("cuda", ["--vram-limit", "13MB", "-v"], { HOKKU_KV_BYTES: "1GB" });
	assert.match(context.stderr, /\d+ bytes of KV memory would fit\n$/);
	const bytes = context.stderr.match(/(\d+) bytes of KV memory would fit/)[1];
	assert.equal(run("cuda", ["--vram-limit", "13MB", "--kv-bytes", bytes]).status, 0);
});

test("a device that is lost in a step ends the answer with what happened", { skip }, () => {
	for (const [path, launch] of [["tile", LAUNCH_IN_ANSWER], ["plain", 320]]) {
		const r = run("cuda", ["--temperature", "0"], { CUDASIM_FAIL: `launch:${launch}`, HOKKU_CUDA_PATH: path });
		assert.equal(r.status, 1, path);
		assert.notEqual(r.stdout, "", path);
		assert.match(r.stderr, /cuda:0 \(emulated device 0\): cuda(Stream|Event)Synchronize: unspecified launch failure/);
	}
});

test("devices that are not there or too old", { skip }, () => {
	assert.match(run("cuda:3", []).stderr, /cuda:3/);
	assert.notEqual(run("cuda:3", []).status, 0);
	const old = run("cuda", [], { CUDASIM_CC: "70" });
	assert.notEqual(old.status, 0);
	assert.match(old.stderr, /7\.0.*7\.5/);
	const none = run("cuda", [], { CUDASIM_DRIVER: "0" });
	assert.notEqual(none.status, 0);
	assert.match(none.stderr, /driver/);
});

// What --device auto became is seen by the greedy text's device, told with -v; a GPU that is passed over is always told.
test("auto takes the GPU if it will do, else the CPU with the reason", { skip }, () => {
	const auto = (env, ...args) => run("auto", ["--temperature", "0", ...args], env);
	assert.match(auto({}, "-v").stderr, /^hokku: computing on cuda:0 \(emulated device 0, .*\), because it is the first GPU that hokku can use$/m);
	assert.doesNotMatch(auto({}).stderr, /computing/);
	const cases = [
		[{ CUDASIM_VRAM: "1000000" }, /haiku needs \d+ bytes .* has 1000000 bytes available .*its weights alone do not fit$/m],
		[{ HOKKU_VRAM_LIMIT: "2M" }, /haiku needs .*the limit that was set/],
		[{ CUDASIM_CC: "70" }, /cuda:0 \(emulated device 0\) has compute capability 7\.0; hokku needs 7\.5 or later$/m],
		[{ CUDASIM_DRIVER: "12020" }, /the NVIDIA driver serves CUDA 12\.2; this plugin needs 13\.0 or later$/m],
		[{ HOKKU_PLUGIN_PATH: `${process.env.HOKKU_BUILD_DIR}/tests/plugins/version` }, /belongs to another hokku.*install both from one build$/m],
		[{ CUDASIM_FAIL: "cudaMalloc:5" }, /cudaMalloc: unspecified launch failure/],
	];
	for (const [env, why] of cases) {
		const r = auto(env);
		assert.equal(r.status, 0, r.stderr);
		assert.match(r.stderr, /^hokku: computing on cpu \(.*\), because /);
		assert.match(r.stderr, why);
		assert.notEqual(r.stdout, "");
	}
	// Normal machines: no plugin, no driver, no GPU. Told when asked.
	for (const [env, why] of [
		[{ HOKKU_PLUGIN_PATH: "/nowhere" }, /because there is no GPU plugin: .*\/nowhere/],
		[{ CUDASIM_DRIVER: "0" }, /because there is no NVIDIA driver on this machine/],
		[{ CUDASIM_DEVICES: "0" }, /because the NVIDIA driver shows no GPU/],
	]) {
		if (existsSync(`${process.env.HOKKU_BUILD_DIR}/libhokku-cuda.so`) && env.HOKKU_PLUGIN_PATH) continue;
		assert.equal(auto(env).stderr, "");
		assert.match(auto(env, "-v").stderr, why);
	}
	// What is wrong with the call is wrong with any device.
	assert.equal(auto({ HOKKU_CUDA_PATH: "steep" }).status, 1);
});

test("inspect --device shows the ledger; its sum is what the driver misses", { skip }, () => {
	const inspect = (args, env = {}) =>
		spawnSync(hokku, ["inspect", ...args], { env: { ...process.env, HOKKU_PLUGIN_PATH: plugin, ...env }, encoding: "utf8" });
	const r = inspect(["--device", "cuda", "--json", "--ctx", "100"]);
	assert.equal(r.status, 0, r.stderr);
	assert.equal(r.stderr, "");
	const { device } = JSON.parse(r.stdout), held = device.resident_bytes;
	assert.match(device.name, /^cuda:0/);
	assert.equal(device.context, 100);
	assert.equal(device.kv_blocks, 4);
	assert.equal(held.kv, 4 * 81920);
	assert.equal(device.sum_bytes, held.weights + held.kv + held.scratch + held.graphs + held.runtime);
	assert.equal(device.driver.taken_bytes, device.sum_bytes);
	assert.equal(device.driver.free_before_bytes - device.driver.free_bytes, device.sum_bytes);
	assert.equal(device.driver.total_bytes, 2 ** 32);
	const text = inspect(["--device", "cuda"]).stdout;
	assert.match(text, /\nmemory on cuda:0 \(.*\), with a context of 512:\n  weights +[\d,]+ +3\.3 MiB\n  KV /);
	assert.match(text, /\n  KV: 16 blocks of 32 positions, keys \w+, values \w+\n  driver: 4\.0 GiB free of 4\.0 GiB, 11\.6 MiB less than before the model was opened\n$/);
	assert.equal(JSON.parse(inspect(["--device", "cpu", "--json"]).stdout).device.driver, null);
	// The variables of other commands open nothing here.
	assert.equal(inspect([], { HOKKU_DEVICE: "cuda", CUDASIM_CC: "70" }).stdout, inspect([]).stdout);
	const none = inspect(["--device", "cuda", "--vram-limit", "1K"]);
	assert.equal(none.status, 1);
	assert.match(none.stderr, /^hokku: haiku needs \d+ bytes/);
});
