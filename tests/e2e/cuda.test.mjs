// The command on the CUDA backend, through the plugin built on the emulator (tests/cudasim): what a user of a GPU meets,
// right and wrong.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { generate, start, startFails, stream, until } from "./server_common.mjs";

const hokku = process.env.HOKKU;
const plugin = `${process.env.HOKKU_BUILD_DIR}/libhokku-cuda-sim.so`;
const skip = existsSync(plugin) ? false : `no ${plugin}`;

// Launches on the path that the emulated device gets: 72 when the model is opened (a step of several tokens and one of one) and
// one ahead of the host, 71 for a prompt, then one a greedy token and two a drawn one.
const LAUNCH_IN_ANSWER = 145;

function run(device, args, env = {}) {
	return spawnSync(hokku, ["run", "--device", device, "-p", "a frog", "-n", "8", ...args], {
		env: { ...process.env, HOKKU_PLUGIN_PATH: plugin, ...env },
		encoding: "utf8",
		timeout: 120_000,
	});
}

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

// A server that ends with its test, whatever happens there.
const serve = async (t, env, { args = [], ...options } = {}) => {
	const server = await start(["--device", "cuda", "--kv-bytes", "8M", ...args], { env: { HOKKU_PLUGIN_PATH: plugin, ...env }, ...options });
	t.after(() => server.child.kill("SIGKILL"));
	return server;
};
const prompt = { messages: [{ role: "user", content: "Write a haiku about rain." }], temperature: 0 };
const unhealthy = async (server) => {
	const response = await fetch(`${server.url}/health`);
	return { status: response.status, body: await response.json() };
};

test("/health shows the ledger by class and the driver's own figures", { skip }, async (t) => {
	const server = await serve(t, { HOKKU_TEST_CHECK_MS: "50" });
	const health = await server.health(), held = health.resident_bytes, vram = health.vram;
	assert.match(health.device, /^cuda:0 \(emulated device 0/);
	assert.deepEqual(Object.keys(held), ["weights", "kv", "scratch", "graphs", "runtime"]);
	assert.equal(held.kv, 8388608 - (8388608 % 81920));
	assert.equal(health.kv_blocks, held.kv / 81920);
	assert.equal(vram.total_bytes, 2 ** 32);
	assert.equal(vram.free_before_bytes - vram.free_bytes, Object.values(held).reduce((a, b) => a + b));
	await until(async () => (await server.health()).vram.checked_s_ago < vram.checked_s_ago, 20000, "another check");
	assert.equal((await generate(server, { ...prompt, stream: false, max_tokens: 4 })).status, 200);
	await server.stop();
	assert.match(server.log, /info {2}computing on cuda:0 \(/);
});

test("a prompt's log probabilities have the bits of its tokens as they were drawn", { skip }, async (t) => {
	for (const path of ["plain", "tile"]) {
		const server = await serve(t, { HOKKU_CUDA_PATH: path });
		const ask = async (body) => (await generate(server, { seed: 5, stream: false, ...body })).json;
		const told = ({ id, logprob, top_logprobs: top }) => ({ id, logprob, top });
		const begin = [300, 307, 314];
		const drawn = (await ask({ prompt: begin, max_tokens: 21, temperature: 1, logprobs: true, top_logprobs: 3, logit_bias: { 6655: -100 } })).logprobs.map(told);
		const { prompt_logprobs: list } = await ask({ prompt: [...begin, ...drawn.map(({ id }) => id)], max_tokens: 1, prompt_logprobs: 3 });
		assert.equal(list.length, 24);
		assert.deepEqual(list.slice(3).map(told), drawn, path);
		await server.stop();
	}
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
	assert.match(text, /\n  KV: 16 blocks of 32 positions, keys \w+, values \w+\n  driver: 4\.0 GiB free of 4\.0 GiB, 11\.5 MiB less than before the model was opened\n$/);
	assert.equal(JSON.parse(inspect(["--device", "cpu", "--json"]).stdout).device.driver, null);
	// The variables of other commands open nothing here.
	assert.equal(inspect([], { HOKKU_DEVICE: "cuda", CUDASIM_CC: "70" }).stdout, inspect([]).stdout);
	const none = inspect(["--device", "cuda", "--vram-limit", "1K"]);
	assert.equal(none.status, 1);
	assert.match(none.stderr, /^hokku: haiku needs \d+ bytes/);
});

test("a GPU that is lost ends what runs and waits with DEVICE_ERROR; the server tells, stays and stops", { skip }, async (t) => {
	const server = await serve(t, { CUDASIM_FAIL: `launch:${LAUNCH_IN_ANSWER}` });
	const first = await stream(server, { ...prompt, max_tokens: 400, logit_bias: { 0: 0 } });
	const second = await generate(server, { ...prompt, stream: false, max_tokens: 400 });
	await first.done;
	const last = first.events().at(-1);
	for (const error of [last.data, second.json.error ?? second.json]) {
		const text = JSON.stringify(error);
		assert.match(text, /DEVICE_ERROR/);
		assert.match(text, /cuda:0 \(emulated device 0\): cuda\w+: unspecified launch failure/);
	}
	assert.equal(last.kind, "error");
	assert.equal(second.status, 500);
	const { status, body } = await unhealthy(server);
	assert.equal(status, 503);
	assert.equal(body.status, "unhealthy");
	assert.equal(body.code, "DEVICE_ERROR");
	assert.match(body.message, /unspecified launch failure/);
	assert.equal(body.model, "haiku");
	const later = await generate(server, { ...prompt, stream: false });
	assert.equal(later.status, 500);
	assert.match(later.text, /DEVICE_ERROR.*unspecified launch failure/);
	assert.equal(server.log.match(/error DEVICE_ERROR: cuda:0 .*every request is refused from now on/g)?.length, 1, server.log);
	await server.stop();
});

test("memory that leaves the device makes the server unhealthy, also while it is idle", { skip }, async (t) => {
	const server = await serve(t, { HOKKU_TEST_CHECK_MS: "50", CUDASIM_EVICT: "500" });
	await until(async () => (await server.health()).status === "unhealthy", 20000, "a check that fails");
	const { status, body } = await unhealthy(server);
	assert.equal(status, 503);
	assert.equal(body.code, "DEVICE_ERROR");
	assert.match(body.message, /^cuda:0 \(emulated device 0\): the .* bytes\) are not in its own memory/);
	assert.equal((await generate(server, { ...prompt, stream: false })).status, 500);
	await server.stop();
});

test("a second server on a full card is refused, with what others hold", { skip }, async () => {
	const full = { HOKKU_PLUGIN_PATH: plugin, CUDASIM_USED: String(2 ** 30 - 1_000_000), CUDASIM_VRAM: String(2 ** 30) };
	const { code, err } = await startFails(["--device", "cuda", "--port", "0", "--parallel", "1"], full);
	assert.equal(code, 1);
	assert.match(err, /hokku: haiku needs \d+ bytes \(13\.8 MiB: .*\); cuda:0 \(emulated device 0\) has 1000000 bytes available \(976\.6 KiB; 1023\.0 MiB of its 1\.0 GiB are in use\); its weights alone do not fit\n$/);
	assert.equal(run("auto", [], full).status, 0); /* the CPU carries on */
});

test("a GPU that hangs does not keep the server from stopping", { skip }, async (t) => {
	const server = await serve(t, { CUDASIM_HANG: String(LAUNCH_IN_ANSWER) });
	const answer = await stream(server, { ...prompt, max_tokens: 400 });
	await answer.saw("started");
	const begin = performance.now();
	server.child.kill("SIGTERM");
	assert.deepEqual(await server.exited, { code: 0, signal: null }, server.log);
	assert.ok(performance.now() - begin < 10_000);
	assert.match(server.log, /the device does not answer: the server ends without it/);
	await answer.done;
});

test("a GPU that hangs is noticed by the watchdog: /health, the log, and 200 who run and wait", { skip }, async (t) => {
	const server = await serve(t, { CUDASIM_HANG: String(LAUNCH_IN_ANSWER + 300) }, { args: ["--watchdog-timeout", "2", "--parallel", "4"] });
	const all = await Promise.all(Array.from({ length: 200 }, (_, i) => stream(server, { ...prompt, seed: i, max_tokens: 400, logit_bias: { 6655: -100 } })));
	let last;
	await until(async () => (last = await unhealthy(server)).body.status === "unhealthy", 60000, "the watchdog");
	assert.equal(last.status, 503);
	assert.equal(last.body.code, "DEVICE_ERROR");
	assert.match(last.body.message, /^a step of \d sequences? with \d+ tokens? has not ended for \d\.\d s \(--watchdog-timeout 2\)/);
	assert.ok(last.body.stuck_s >= 2);
	await Promise.all(all.map((s) => s.done));
	for (const s of all) {
		assert.deepEqual([s.events().at(-1).kind, s.events().at(-1).data.code], ["error", "DEVICE_ERROR"]);
		assert.equal(s.events().filter((e) => e.kind === "error" || e.kind === "end").length, 1);
	}
	const late = await generate(server, { ...prompt, stream: false });
	assert.equal(late.status, 500);
	assert.match(late.json.error.message, /has not ended for/);
	assert.equal(server.log.match(/error DEVICE_ERROR: a step of .* has not ended/g)?.length, 1, server.log.slice(-2000));
	server.child.kill("SIGTERM");
	assert.deepEqual(await server.exited, { code: 0, signal: null }, server.log.slice(-2000));
});

test("a GPU that is lost with 200 requests in flight: each is told, once", { skip }, async (t) => {
	const server = await serve(t, { CUDASIM_FAIL: `launch:${LAUNCH_IN_ANSWER + 300}` }, { args: ["--parallel", "4"] });
	const all = await Promise.all(Array.from({ length: 200 }, (_, i) => stream(server, { ...prompt, seed: i, max_tokens: 400, logit_bias: { 6655: -100 } })));
	await Promise.all(all.map((s) => s.done));
	for (const s of all) {
		const text = s.status === 200 ? JSON.stringify(s.events().at(-1)) : s.text; // some may come when it is lost already
		assert.match(text, /"DEVICE_ERROR".*unspecified launch failure/);
		assert.ok(s.events().filter((e) => e.kind === "error" || e.kind === "end").length <= 1);
	}
	assert.ok(all.filter((s) => s.status === 200).length > 4);
	const { status, body } = await unhealthy(server);
	assert.deepEqual([status, body.status, body.queue.running, body.queue.queued], [503, "unhealthy", 0, 0]);
	assert.deepEqual([body.queue.finished, body.queue.failed], [body.queue.accepted, body.queue.accepted]);
	await server.stop();
});

test("loading can be interrupted", { skip }, async (t) => {
	const child = spawn(hokku, ["run", "--device", "cuda", "-p", "x"], {
		env: { ...process.env, HOKKU_PLUGIN_PATH: plugin, CUDASIM_SLOW_COPY_MS: "100" },
	});
	let err = "";
	child.stderr.on("data", (data) => (err += data));
	setTimeout(() => child.kill("SIGINT"), 700);
	const { code, signal } = await new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
	assert.deepEqual({ code, signal, err }, { code: 130, signal: null, err: "" });
	const server = await serve(t, { CUDASIM_SLOW_COPY_MS: "100" }, { ready: false });
	await until(async () => (await server.health()).progress > 0.1, 20000, "the weights to be on their way");
	const begin = performance.now();
	await server.stop();
	assert.ok(performance.now() - begin < 4000);
	assert.doesNotMatch(server.log, /does not answer/);
});
