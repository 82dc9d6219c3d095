// A server on the CUDA backend, through the plugin built on the emulator (tests/cudasim): its memory, a GPU that is lost or hangs, and a
// start that is interrupted. Commands: cuda.test.mjs.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LAUNCH_IN_ANSWER, plugin, run, skip } from "./cuda_common.mjs";
import { folder, generate, hokku, model, post, sanitized, start, startFails, stream, until } from "./server_common.mjs";
import { ended, within } from "./waits.mjs";

// What bits and bytes a server has is no question of its threads: other builds tell.
const alone = skip || (sanitized === "tsan" && "no question of threads");

// A server that ends with its test, whatever happens there.
const serve = async (t, env, { args = [], ...options } = {}) => {
	const server = await start(["--device", "cuda", "--kv-bytes", "8M", ...args], { env: { HOKKU_PLUGIN_PATH: plugin, ...env }, ...options });
	t.after(() => server.child.kill("SIGKILL"));
	return server;
};
// What `hokku fit` tells as JSON.
const fitWith = (env) => (...args) => {
	const r = spawnSync(hokku, ["fit", "--json", "--no-measure", ...args], { env: { ...process.env, HOKKU_PLUGIN_PATH: plugin, ...env }, encoding: "utf8", timeout: 60_000 });
	assert.equal(r.status, 0, r.stderr);
	return JSON.parse(r.stdout);
};
const fit = Object.assign(fitWith({}), { with: fitWith });
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
	const { devices: [told] } = fit("--device", "cuda", "--kv-bytes", "8M");
	assert.deepEqual(told.serve_bytes, { weights: held.weights, kv: held.kv, scratch: held.scratch, sum: held.weights + held.kv + held.scratch, fits: true });
	assert.equal(told.text, health.device);
	assert.equal(held.kv, 8388608 - (8388608 % 81920));
	assert.equal(health.kv_blocks, held.kv / 81920);
	assert.equal(vram.total_bytes, 2 ** 32);
	assert.equal(vram.free_before_bytes - vram.free_bytes, Object.values(held).reduce((a, b) => a + b));
	await until(async () => (await server.health()).vram.checked_s_ago < vram.checked_s_ago, 20000, "another check");
	assert.equal((await generate(server, { ...prompt, stream: false, max_tokens: 4 })).status, 200);
	await server.stop();
	assert.match(server.log, /info {2}computing on cuda:0 \(/);
});

test("several models on a GPU: one ledger above all, one goes for another by bytes, 507 says what would have to go", { skip }, async (t) => {
	const tiny = model("tiny"), dir = mkdtempSync(join(folder, "gpu-models-"));
	t.after(() => rmSync(dir, { recursive: true }));
	for (const name of ["a", "b", "c", "d"]) copyFileSync(tiny, join(dir, `${name}.gguf`));
	copyFileSync(model("wide"), join(dir, "wide.gguf"));
	const several = (device, limit) => serve(t, { HOKKU_CUDA_PATH: "plain" }, { args: ["--device", device, "--models-dir", dir, "--kv-bytes", "1M", "--ctx", "256", "--parallel", "2", "--vram-limit", limit] });
	const ask = (server, name) => generate(server, { model: name, prompt: "rain", temperature: 0, max_tokens: 2, stream: false });
	const keep = (server, name, how) => post(server, "/api/generate", { model: name, keep_alive: how });
	const told = async (server) => {
		const { models, memory } = await server.health(), loaded = models.filter((m) => m.state === "loaded");
		const gpu = memory.find((m) => m.place === "cuda:0");
		assert.equal(gpu.used_bytes, loaded.filter((m) => m.device.startsWith("cuda:0 ")).reduce((sum, m) => sum + m.bytes, 0));
		assert.ok(gpu.used_bytes <= gpu.limit_bytes);
		return { bytes: gpu.used_bytes, loaded: loaded.map((m) => `${m.model} ${m.device.slice(0, 4)}`).sort().join() };
	};
	const server = await several("cuda", "7M");
	const first = await ask(server, "a"), { bytes: one } = await told(server);
	assert.equal((await ask(server, "b")).json.text, first.json.text);
	assert.deepEqual(await told(server), { bytes: 2 * one, loaded: "a cuda,b cuda" });
	const metrics = await (await fetch(`${server.url}/metrics`)).text();
	const free = Math.min(...[...metrics.matchAll(/^hokku_device_memory_bytes\{model="\w",state="free"\} (\d+)$/gm)].map((m) => Number(m[1])));
	assert.equal(2 ** 32 - free, 2 * one); // the driver's figure is the ledger's
	// What c needs the device alone knows: it does not fit beside both, so the one goes that is not kept.
	await keep(server, "a", -1);
	assert.equal((await ask(server, "c")).json.text, first.json.text);
	assert.deepEqual(await told(server), { bytes: 2 * one, loaded: "a cuda,c cuda" });
	assert.match(server.log, /model 'c' is not loaded beside the others: .* needs \d+ bytes .*cuda:0 .* has \d+ bytes available/);
	assert.match(server.log, /model 'b' is unloaded, to make room\n/);
	await keep(server, "c", -1);
	for (const [name, words] of [
		["b", /^model 'b' needs 2\.8 MiB of cuda:0's memory, of which 5\.7 MiB of 7\.0 MiB are taken \(--vram-limit\); 'a' \(2\.8 MiB\) and 'c' \(2\.8 MiB\) would have to go, and are kept there \(keep_alive -1\)/],
		["d", /^model 'd' needs more than 1\.3 MiB of cuda:0's memory, of which .*; 'a' \(2\.8 MiB\) and 'c' \(2\.8 MiB\) would have to go/], // it was never there
		["wide", /^model 'wide' needs .* of cuda:0's memory \(.*\), and all models together may have 7\.0 MiB \(--vram-limit\): no other that goes would make it fit/],
	]) {
		const { status, json } = await ask(server, name);
		assert.deepEqual([status, json.error.code], [507, "INSUFFICIENT_MEMORY"], JSON.stringify(json));
		assert.match(json.error.message, words);
	}
	assert.deepEqual(await told(server), { bytes: 2 * one, loaded: "a cuda,c cuda" });
	await keep(server, "c", 0);
	assert.equal((await ask(server, "d")).status, 200);
	assert.deepEqual(await told(server), { bytes: 2 * one, loaded: "a cuda,d cuda" });
	await server.stop();

	// Where it may choose, another goes before the CPU has to do; what does not fit the GPU alone is the CPU's.
	const picks = await several("auto", "4M");
	for (const name of ["a", "b"]) assert.equal((await ask(picks, name)).json.text, first.json.text);
	assert.deepEqual(await told(picks), { bytes: one, loaded: "b cuda" });
	assert.equal((await ask(picks, "wide")).status, 200);
	assert.deepEqual(await told(picks), { bytes: one, loaded: "b cuda,wide cpu " });
	await picks.stop();
});

test("a prompt's log probabilities have the bits of its tokens as they were drawn", { skip: alone }, async (t) => {
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

test("a GPU that is lost ends what runs and waits with DEVICE_ERROR; the server tells, stays and stops", { skip }, async (t) => {
	const server = await serve(t, { CUDASIM_FAIL: `launch:${LAUNCH_IN_ANSWER}` });
	const first = await stream(server, { ...prompt, max_tokens: 400, logit_bias: { 0: 0 } });
	const second = await generate(server, { ...prompt, stream: false, max_tokens: 400 });
	await within(first.done, 'the stream to end');
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

test("a second server on a full card is refused, with what others hold", { skip: alone }, async () => {
	const full = { HOKKU_PLUGIN_PATH: plugin, CUDASIM_USED: String(2 ** 30 - 1_000_000), CUDASIM_VRAM: String(2 ** 30) };
	const { code, err } = await startFails(["--device", "cuda", "--port", "0", "--parallel", "1"], full);
	assert.equal(code, 1);
	assert.match(err, /hokku: haiku needs \d+ bytes \(21\.3 MiB: .*\); cuda:0 \(emulated device 0\) has 1000000 bytes available \(976\.6 KiB; 1023\.0 MiB of its 1\.0 GiB are in use\); its weights alone do not fit\n$/);
	assert.equal(run("auto", [], full).status, 0); /* the CPU carries on */
	const { devices } = fit.with(full)();
	assert.deepEqual(devices.map((d) => [d.device, d.fits, d.most_parallel]), [["cpu", true, 256], ["cuda:0", false, 0]]);
	assert.equal(devices[1].available_bytes, 1_000_000);
});

test("fit tells what a server takes and where it turns: KV memory that grows, types, limits", { skip: alone }, async (t) => {
	for (const [options, env] of [
		[["-c", "256", "-np", "3", "-ctk", "q8_0", "-ctv", "q8_0"], {}],
		[["-c", "128"], { CUDASIM_VRAM: String(2 ** 30), CUDASIM_USED: String(2 ** 28), HOKKU_CUDA_PATH: "plain" }],
	]) {
		const { devices: [told], parallel } = fit.with(env)("--device", "cuda", ...options);
		for (const [bytes, kv] of [[told.serve_bytes, []], [told.bytes, ["--kv-bytes", `${told.kv_bytes_option}`, "--parallel", `${parallel}`]]]) {
			const args = ["--device", "cuda", ...options.slice(0, kv.length ? 2 : undefined), ...(kv.length ? options.slice(4) : []), ...kv];
			const server = await start(args, { env: { HOKKU_PLUGIN_PATH: plugin, ...env } });
			t.after(() => server.child.kill("SIGKILL"));
			const { weights, kv: cache, scratch } = (await server.health()).resident_bytes;
			assert.deepEqual({ weights, kv: cache, scratch, sum: weights + cache + scratch, fits: true }, bytes, args.join(" "));
			await server.stop();
		}
	}
	const { sum, kv, scratch } = fit("--device", "cuda").devices[0].bytes, limited = (bytes, ...args) => fit("--device", "cuda", "--vram-limit", `${bytes}`, ...args).devices[0];
	assert.deepEqual([sum - 1, sum, sum + 1].map((limit) => [limited(limit).fits, limited(limit).most_context]), [[false, 480], [true, 512], [true, 512]]);
	assert.ok(limited(sum + 5 * kv).most_parallel > 4 && scratch > 0);
	const { serve_bytes: whole, kv_bytes_per_context: one } = limited(sum + 100 * kv), fewest = whole.sum - whole.kv + one;
	const { code, err } = await startFails(["--device", "cuda", "--port", "0", "--vram-limit", `${fewest - 1}`], { HOKKU_PLUGIN_PATH: plugin });
	assert.equal(code, 1);
	assert.match(err, new RegExp(`needs ${fewest} bytes .* has ${fewest - 1} bytes available \\(.*, the limit that was set\\); a context of 480 positions would fit\\n$`));
});

test("a default context that a GPU cannot hold is made as small as fits, on the GPU where it may choose too, and changes no bit", { skip: alone }, async (t) => {
	const bytes = readFileSync(new URL("../../models/haiku/haiku.gguf", import.meta.url)), key = "qwen2.context_length";
	const dir = mkdtempSync(join(tmpdir(), "hokku-gpu-ctx-")), long = join(dir, "long.gguf");
	t.after(() => rmSync(dir, { recursive: true }));
	bytes.writeUInt32LE(8192, bytes.indexOf(key) + key.length + 4); // behind the key's type
	writeFileSync(long, bytes);
	const gpu = (...args) => fit(long, "--device", "cuda", ...args).devices[0];
	const { sum, kv } = gpu().serve_bytes, least = gpu("-c", "4096").serve_bytes, answers = [];
	assert.equal(gpu().context, 8192);
	const limit = ["--vram-limit", `${gpu("-c", "4608", "--kv-bytes", `${gpu("-c", "4608").kv_bytes_per_context}`).serve_bytes.sum}`];
	const whole = ["--kv-bytes", `${gpu().kv_bytes_per_context}`]; // one context's, as an emulated device is slow to fill memory
	assert.ok(sum > kv && least.fits);
	for (const [device, more, n_ctx] of [["cuda", whole, 8192], ["cuda", limit, 4608], ["auto", limit, 4608]]) {
		const server = await start([long, "--device", device, ...more], { env: { HOKKU_PLUGIN_PATH: plugin } });
		t.after(() => server.child.kill("SIGKILL"));
		const health = await server.health();
		assert.match(health.device, /^cuda:0/);
		assert.equal(health.n_ctx, n_ctx);
		answers.push((await generate(server, { ...prompt, seed: 3, stream: false, max_tokens: 12, logprobs: true })).json.logprobs);
		await server.stop();
		assert.equal(server.log.includes(`the context is 4,608, as much as fits on cuda:0: 8,192 would be the default; --ctx N sets one`), more === limit, server.log);
	}
	assert.deepEqual(answers[1], answers[0]);
	assert.deepEqual(answers[2], answers[0]);
	const { code, err } = await startFails([long, "--device", "cuda", "--port", "0", "-c", "8192", ...limit], { HOKKU_PLUGIN_PATH: plugin });
	assert.equal(code, 1);
	assert.match(err, / has \d+ bytes available \(.*, the limit that was set\); a context of \d+ positions would fit\n$/);
});

test("a GPU that hangs does not keep the server from stopping", { skip }, async (t) => {
	const server = await serve(t, { CUDASIM_HANG: String(LAUNCH_IN_ANSWER) });
	const answer = await stream(server, { ...prompt, max_tokens: 400 });
	await answer.saw("started");
	const begin = performance.now();
	server.child.kill("SIGTERM");
	assert.deepEqual(await within(server.exited, 'the server to end'), { code: 0, signal: null }, server.log);
	assert.ok(performance.now() - begin < 10_000);
	assert.match(server.log, /the device does not answer: the server ends without it/);
	await within(answer.done, 'the stream to end');
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
	assert.deepEqual(await within(server.exited, 'the server to end'), { code: 0, signal: null }, server.log.slice(-2000));
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
	const { code, signal } = await ended(child);
	assert.deepEqual({ code, signal, err }, { code: 130, signal: null, err: "" });
	const server = await serve(t, { CUDASIM_SLOW_COPY_MS: "100" }, { ready: false });
	await until(async () => (await server.health()).progress > 0.1, 20000, "the weights to be on their way");
	const begin = performance.now();
	await server.stop();
	assert.ok(performance.now() - begin < 4000);
	assert.doesNotMatch(server.log, /does not answer/);
});
