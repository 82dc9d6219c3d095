// tests/gpu/run.sh without a GPU: programs that pretend to be hokku and its checks, so that what the script concludes from what
// they say is seen to be right before a device's time is spent on it.
import { test } from "node:test";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ended, until } from "./waits.mjs";

const script = fileURLToPath(new URL("../gpu/run.sh", import.meta.url));

function folder(t) {
	const dir = mkdtempSync(path.join(tmpdir(), "hokku-gpu-script-"));
	t.after(() => rmSync(dir, { recursive: true, force: true }));
	return dir;
}

function program(file, lines) {
	mkdirSync(path.dirname(file), { recursive: true });
	writeFileSync(file, `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
}

// A hokku whose synth makes empty files and whose bench gives the decode rates of `decode`, one after another, and 1000 x that in prefill.
function pretend(dir, name, decode, more = "") {
	program(path.join(dir, name, "hokku"), `
		case $1 in
		devices) [ "$2" = --json ] && echo '"vram_free_bytes": 1,' || echo 'cuda:0  pretended' ;;
		version) echo "hokku of ${name}" ;;
		synth) for last; do :; done; echo "${name} $*" >>${dir}/calls; : >"$last" ;;
		bench)
			echo "${name} $*" >>${dir}/calls
			${more}
			[ -f "$4" ] || { echo "hokku: no file $4" >&2; exit 1; }
			n=$(($(cat ${dir}/${name}/n 2>/dev/null || echo 0) + 1)); echo $n >${dir}/${name}/n
			set -- ${decode.join(" ")}
			shift $(((n - 1) % $#))
			printf '{\\n  "load_s": 1.0,\\n  "prefill": {\\n    "tokens": 2048,\\n    "tokens_per_s": %s000.0\\n  },\\n' $1
			printf '  "decode": {\\n    "tokens": 128,\\n    "tokens_per_s": %s.5\\n  }\\n}\\n' $1 ;;
		run) exit 0 ;;
		*) exit 3 ;;
		esac`);
	return path.join(dir, name);
}

function script_env(dir, env = {}) {
	return { ...process.env, HOKKU_GPU_MODELS: `${dir}/models`, HOKKU_GPU_LOGS: `${dir}/logs`, ...env };
}

function run(dir, args, env) {
	const r = spawnSync("sh", [script, ...args], { env: script_env(dir, env), encoding: "utf8", timeout: 60_000 });
	return { ...r, lines: r.stdout.split("\n").filter((l) => /^(PASS|FAIL|SKIP)/.test(l)) };
}

test("pair: six models, each timed in turn; medians, their ratio, 2% and no more", (t) => {
	const dir = folder(t);
	// the median of the rounds counts: one that is far away on either side does not
	const old = pretend(dir, "old", [1000, 5000, 1000]);
	const same = pretend(dir, "new", [980, 1, 980]);
	const r = run(dir, ["pair", old, same], { HOKKU_GPU_ROUNDS: "3" });
	assert.equal(r.status, 0, r.stdout + r.stderr);
	const models = ["0.5B", "7B"].flatMap((s) => ["F16", "Q8_0", "Q4_K_M"].map((f) => `${s}-${f}`));
	assert.deepEqual(r.lines, models.flatMap((m) => [
		`PASS ${m} decode of 128: 1000.5 -> 980.5 tokens/s, ratio 0.9800 (at least 0.98)`,
		`PASS ${m} prefill of 2,048: 1000000.0 -> 980000.0 tokens/s, ratio 0.9800 (at least 0.98)`,
	]));
	assert.match(r.stdout, /old: hokku of old\n.*new: hokku of new\n/);
	const calls = readFileSync(`${dir}/calls`, "utf8").trim().split("\n").map((l) => l.split(" "));
	// the new one makes each model, once
	assert.deepEqual(calls.slice(0, 6).map((c) => `${c[0]} ${c[1]}`), Array(6).fill("new synth"));
	assert.deepEqual(calls.slice(6).map((c) => c[0]).join(" "),
		Array(6).fill("old new new old old new").join(" "));
	assert.deepEqual([...new Set(calls.slice(6).map((c) => c.slice(5).join(" ")))], ["--json --prefill 2048 --decode 128 -n 5"]);
	// a second run finds them
	const again = run(dir, ["pair", old, same], { HOKKU_GPU_ROUNDS: "1", HOKKU_GPU_SHAPES: "0.5B" });
	assert.equal(again.lines.length, 6);
	assert.equal(readFileSync(`${dir}/calls`, "utf8").match(/new synth --/g).length, 6);
});

test("pair: what is slower by more than 2% fails, the rest is still told", (t) => {
	const dir = folder(t);
	const r = run(dir, ["pair", pretend(dir, "old", [1000]), pretend(dir, "new", [979])], { HOKKU_GPU_ROUNDS: "1", HOKKU_GPU_SHAPES: "0.5B" });
	assert.equal(r.status, 1);
	assert.equal(r.lines.filter((l) => l.startsWith("FAIL 0.5B-")).length, 6);
	assert.match(r.lines[1], /^FAIL 0.5B-F16 prefill of 2,048: 1000000.0 -> 979000.0 tokens\/s, ratio 0.9790 /);
	assert.match(r.stdout, /\n0 passed, 6 failed, 0 skipped; /);
});

test("pair: an old program that does not read the models, or says nothing, is a failure that is told", (t) => {
	const dir = folder(t);
	const fresh = pretend(dir, "new", [1000]);
	const blind = run(dir, ["pair", pretend(dir, "old", [1000], "echo 'hokku: unknown type' >&2; exit 1"), fresh],
		{ HOKKU_GPU_ROUNDS: "2", HOKKU_GPU_SHAPES: "0.5B" });
	assert.equal(blind.status, 1);
	assert.equal(blind.lines.length, 3);
	assert.match(blind.lines[0], /^FAIL .*old\/hokku bench of 0.5B-F16.gguf: exit code 1: hokku: unknown type$/);
	const mute = run(dir, ["pair", pretend(dir, "mute", [1000], "exit 0"), fresh], { HOKKU_GPU_ROUNDS: "1", HOKKU_GPU_SHAPES: "0.5B" });
	assert.equal(mute.status, 1);
	assert.equal(mute.lines.filter((l) => l.startsWith("FAIL")).length, 3);
	assert.match(mute.lines[0], /^FAIL .*mute\/hokku bench of 0.5B-F16.gguf: no figures in /);
});

test("what is not there is said before anything runs", (t) => {
	const dir = folder(t);
	const some = pretend(dir, "some", [1]);
	for (const [args, what] of [
		[[], /usage: .*DIR \[PART\.\.\.\].*pair OLD_DIR NEW_DIR/],
		[["pair", some], /usage: /],
		[["pair", some, some, "exact"], /usage: /],
		[["pair", dir, some], /there is no program .*\/hokku\n/],
		[[some, "speed"], /there is no part "speed"/],
	]) {
		const r = run(dir, args);
		assert.equal(r.status, 2, `${args}`);
		assert.match(r.stderr, what);
	}
});

test("parts: each says that it ended; groups of them are their parts; unknown devices fail", (t) => {
	const dir = folder(t);
	const some = pretend(dir, "some", [1]);
	program(path.join(some, "gpu_test_right"), "exit 0");
	program(path.join(some, "gpu_test_wrong"), "echo 'what went wrong'; exit 1");
	const r = run(dir, [some, "unit", "sanitize"], { PATH: `${dir}/bin:/usr/bin:/bin` });
	assert.equal(r.status, 1);
	assert.match(r.lines[0], /^PASS gpu_test_right \(\d+ s\)$/);
	assert.match(r.lines[1], /^FAIL gpu_test_wrong: exit code 1; /);
	assert.match(r.stdout, /what went wrong\n/);
	assert.deepEqual(r.stdout.match(/part \w+: \d+ s/g).map((l) => l.split(/[ :]/)[1]), ["unit", "memcheck", "racecheck", "initcheck", "synccheck"]);
});

test("a run that is stopped says what is left to do", async (t) => {
	const dir = folder(t);
	const some = pretend(dir, "some", [1]);
	program(path.join(some, "gpu_test_long"), `: >${dir}/begun; exec sleep 30`);
	const child = spawn("sh", [script, some, "unit", "greedy", "http"], { env: script_env(dir), detached: true });
	let out = "";
	child.stdout.on("data", (d) => (out += d));
	const over = ended(child);
	await until(() => existsSync(`${dir}/begun`), 60000, "the program to begin");
	process.kill(-child.pid, "SIGTERM");
	assert.equal((await over).code, 1);
	assert.match(out, /\nFAIL stopped in part unit; not done: unit greedy http\n/);
	assert.match(out, / 1 failed, /);
});
