// `hokku inspect` as a user meets it: the six lines first, then everything; errors on stderr with their exit codes.
// That its values are right is oracle/gguf.test.mjs's business.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ended } from "./waits.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const hokku = process.env.HOKKU ?? join(root, "build/test/hokku");
const shared = process.env.HOKKU_SHARED ?? join(root, "../shared");
const scratch = mkdtempSync(join(tmpdir(), "hokku-inspect-"));
after(() => rmSync(scratch, { recursive: true }));

const inspect = (...args) => spawnSync(hokku, ["inspect", ...args], { encoding: "utf8", maxBuffer: 1 << 28 });

// A GGUF file, written here byte by byte. kv: [key, type, bytes]; tensors: [name, dims, type, offset].
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(n)); return b; };
const f32 = (n) => { const b = Buffer.alloc(4); b.writeFloatLE(n); return b; };
const str = (s) => { const b = Buffer.isBuffer(s) ? s : Buffer.from(s); return Buffer.concat([u64(b.length), b]); };
const arr = (type, ...elements) => Buffer.concat([u32(type), u64(elements.length), ...elements]);
const [U32, F32, STRING, ARRAY, U64] = [4, 6, 8, 9, 10];

function gguf(kv, tensors = [], dataBytes = 0) {
	const head = Buffer.concat([
		Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(kv.length),
		...kv.flatMap(([key, type, bytes]) => [str(key), u32(type), bytes]),
		...tensors.flatMap(([name, dims, type, offset]) => [str(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)]),
	]);
	return Buffer.concat([head, Buffer.alloc(-head.length & 31), Buffer.alloc(dataBytes)]);
}

function file(name, bytes) {
	const path = join(scratch, name);
	writeFileSync(path, bytes);
	return path;
}

const model = [
	["general.architecture", STRING, str("qwen2")],
	["qwen2.embedding_length", U32, u32(896)],
	["qwen2.block_count", U32, u32(24)],
	["qwen2.context_length", U32, u32(32768)],
	["qwen2.attention.head_count", U32, u32(14)],
	["qwen2.attention.head_count_kv", U32, u32(2)],
	["tokenizer.ggml.tokens", ARRAY, arr(STRING, ...Array.from({ length: 1234 }, (_, i) => str(`t${i}`)))],
];

test("the six lines come first, in their order", () => {
	const run = inspect(file("model.gguf", gguf(model)));
	assert.equal(run.status, 0);
	assert.equal(run.stderr, "");
	assert.deepEqual(run.stdout.split("\n").slice(0, 7), [
		"architecture:    qwen2",
		"vocabulary size: 1,234",
		"hidden dim:      896",
		"layers:          24",
		"heads:           14 (2 KV)",
		"context:         32,768",
		"",
	]);
});

test("an architecture that hokku does not know, and heads that differ by layer", () => {
	const kv = [
		["general.architecture", STRING, str("openelm")],
		["openelm.vocab_size", U32, u32(32000)],
		["openelm.attention.head_count", ARRAY, arr(U32, u32(12), u32(20), u32(16))],
		["openelm.attention.head_count_kv", ARRAY, arr(U32, u32(3), u32(3), u32(3))],
		["openelm.block_count", STRING, str("three")],
	];
	const path = file("openelm.gguf", gguf(kv));
	const run = inspect(path);
	assert.equal(run.status, 0);
	assert.deepEqual(run.stdout.split("\n").slice(0, 6), [
		"architecture:    openelm",
		"vocabulary size: 32,000",
		"hidden dim:      not given",
		"layers:          not given",
		"heads:           12 to 20 (3 KV)",
		"context:         not given",
	]);
	assert.deepEqual(JSON.parse(inspect("--json", path).stdout).summary, {
		architecture: "openelm", vocabulary_size: 32000, hidden_dim: null, layers: null, heads: [12, 20], kv_heads: 3,
		context: null,
	});
});

test("a file without any key", () => {
	const path = file("none.gguf", gguf([]));
	assert.match(inspect(path).stdout, /^architecture: {4}not given\nvocabulary size: not given\n/);
	const json = JSON.parse(inspect(path, "--json").stdout);
	assert.deepEqual([json.summary.architecture, json.metadata, json.tensors], [null, {}, []]);
});

test("metadata, tensors, bytes by format, trailing bytes", () => {
	const kv = [
		["a.text", STRING, str("two\nlines \"quoted\" \u001b[31m")],
		["a.long", STRING, str("x".repeat(1000))],
		["a.words", ARRAY, arr(STRING, ...["a", "b", "c", "d", "e", "f", "g"].map(str))],
		["a.nested", ARRAY, arr(ARRAY, arr(U32, u32(1), u32(2)), arr(STRING, str("x")))],
		["a.epsilon", F32, f32(1e-6)],
		["a.large", U64, u64(2n ** 64n - 1n)],
	];
	const tensors = [["token_embd.weight", [64, 3], 8, 0], ["output_norm.weight", [64], 0, 224]];
	const run = inspect(file("rich.gguf", Buffer.concat([gguf(kv, tensors, 480), Buffer.from("rest")])));
	assert.equal(run.status, 0);
	const lines = run.stdout.split("\n");
	for (const line of [
		'  a.text     string  "two\\nlines \\"quoted\\" \\x1b[31m"',
		"  a.words    array   7 string: [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", ...]",
		"  a.nested   array   2 array: [2 u32: [1, 2], 1 string: [\"x\"]]",
		"  a.epsilon  f32     1e-06",
		"  a.large    u64     18446744073709551615",
		"  token_embd.weight   64 x 3  Q8_0               1440             204",
		"  output_norm.weight  64      F32                1664             256",
		"  F32            1                  64                 256   55.7%",
		"  Q8_0           1                 192                 204   44.3%",
		"  all            2                 256                 460  100.0%",
		"trailing bytes: 4 after the last tensor, not used",
	]) assert.ok(lines.includes(line), `${line}\n--- is not in ---\n${run.stdout}`);
	assert.match(run.stdout, /  a\.long     string  "x{80,100}\.\.\." \(1,000 bytes\)\n/);
});

test("types that were removed, and types nobody has heard of, are listed with a mark", () => {
	const tensors = [["old", [64, 2], 31, 0], ["new", [7], 57, 96], ["plain", [3], 0, 128]];
	const path = file("types.gguf", gguf(model, tensors, 160));
	const run = inspect(path);
	assert.equal(run.status, 0);
	assert.match(run.stdout, /\n {2}old {4}64 x 2 {2}Q4_0_4_4 +\d+ +72 {2}\*\n {2}new {4}7 {7}type 57 +\d+ +\? {2}\*\n {2}plain {2}3 {7}F32 +\d+ +12\n/);
	assert.match(run.stdout, /\n {2}\* of a type that was removed from the format\n {2}\* of a type that hokku has not heard of, nor of its size\n/);
	assert.match(run.stdout, /\n {2}Q4_0_4_4 +1 +128 +72 +85\.7%\n {2}F32 +1 +3 +12 +14\.3%\n {2}unknown +1 +7 +0 +0\.0%\n/);
	const json = JSON.parse(inspect(path, "--json").stdout);
	assert.deepEqual(json.tensors.map(({ type, bytes, note }) => [type, bytes, note]),
		[["Q4_0_4_4", 72, "removed type"], ["type 57", null, "unknown type"], ["F32", 12, undefined]]);
	assert.equal(json.kind, "a model");
});

test("what a file is stands beside its size", () => {
	const adapter = file("lora.gguf", gguf([["general.type", STRING, str("adapter")]]));
	assert.match(inspect(adapter).stdout, /\n {2}a LoRA adapter\n/);
});

test("--check reads every block: NaN, infinities, and a download whose tail never came", () => {
	const tensors = [["blk.0.attn_q.bias", [64], 0, 0], ["w", [64, 200], 8, 256], ["v", [64, 8], 1, 256 + 13600], ["output_norm.weight", [64], 0, 256 + 13600 + 1024]];
	const bytes = gguf(model, tensors, 256 + 13600 + 1024 + 256), data = bytes.length - 15136;
	bytes.fill(0x11, data);
	const good = Buffer.from(bytes);
	good.fill(0, data, data + 256); // a bias of zeros is honest
	const ok = inspect("--check", file("good.gguf", good));
	assert.deepEqual([ok.status, ok.stderr], [0, ""]);
	assert.match(ok.stdout, /\n\ncheck: 14\.8 KiB in 4 tensors read, nothing wrong\n$/);

	const bad = Buffer.from(good);
	bad.writeUInt16LE(0x7e00, data + 256 + 34 * 5); // row 2, column 32
	bad.writeUInt16LE(0xfc00, data + 256 + 34 * 7);
	bad.writeUInt16LE(0xfc00, data + 256 + 13600 + 2 * 70);
	const path = file("bad.gguf", bad), run = inspect(path, "--check", "--threads", "2");
	assert.equal(run.status, 1);
	assert.equal(run.stderr, `hokku: ${path}: the check found 3 things that no sound file holds\n`);
	assert.match(run.stdout, /\n\ncheck: 14\.8 KiB in 4 tensors read, 3 wrong:\n {2}w: 1 of its 400 blocks have a scale that is NaN, the first at row 2, column 32\n {2}w: 1 of its 400 blocks have a scale that is an infinity, the first at row 3, column 32\n {2}v: 1 of its 512 elements are infinite, the first is row 1, column 6\n$/);

	const half = Buffer.from(good);
	half.fill(0, data + 256 + 34 * 101);
	const cut = file("half.gguf", half), json = inspect(cut, "--check", "--json");
	assert.equal(json.status, 1);
	const { check } = JSON.parse(json.stdout), begin = data + 256 + 34 * 101, end = half.length;
	assert.deepEqual(check, {
		tensors: 4, bytes: 256 + 13600 + 1024 + 256, tensors_not_read: 0,
		wrong: [
			{ tensor: "w", what: "zeros", bytes: 13600 - 34 * 101, row: 50, column: 32, file_bytes: [begin, end] },
			{ tensor: "v", what: "zeros", bytes: 1024, row: 0, column: 0, file_bytes: [begin, end] },
			{ tensor: "output_norm.weight", what: "zeros", bytes: 256, row: 0, column: 0, file_bytes: [begin, end] },
		],
	});
	assert.match(inspect(cut, "--check").stdout, /\n {2}w: 10,166 of its 13,600 bytes are zero, one after another from row 50, column 32, byte [\d,]+ of the file\n {2}v: all of its 1,024 bytes are zero, from byte [\d,]+ of the file\n {2}output_norm\.weight: all of its 256 bytes are zero, from byte [\d,]+ of the file\n {2}zeros from byte [\d,]+ to [\d,]+ of the file, 11,446 bytes: so looks a download of which a part never came; fetch the file again\n$/);
	assert.equal(JSON.parse(inspect(cut, "--json").stdout).check, undefined);

	const types = inspect(file("check-types.gguf", gguf(model, [["old", [64, 2], 31, 0], ["new", [7], 57, 96]], 128)), "--check");
	assert.match(types.stdout, /\ncheck: 72 B in 1 tensors read, nothing wrong\n {2}not looked at: tensors of types that hokku has not heard of, 1\n$/);
});

test("--json holds everything, exactly", () => {
	const kv = [
		["a.long", STRING, str("x".repeat(1000))],
		["a.control", STRING, str("\u0000\u0001\u001f\u007f\"\\/\u2028俳句\u{1F438}")],
		["a.bytes", STRING, str(Buffer.from([0x66, 0xff, 0x00]))],
		["a.many", ARRAY, arr(U32, ...Array.from({ length: 100000 }, (_, i) => u32(i * 42949)))],
		["a.floats", ARRAY, arr(F32, f32(0.1), f32(-0), f32(NaN), f32(Infinity), f32(-Infinity), f32(3.4028234663852886e38), f32(1e-45))],
		["a.large", U64, u64(2n ** 64n - 1n)],
	];
	const run = inspect(file("exact.gguf", gguf(kv, [["w", [3], 0, 0]], 12)), "--json");
	assert.equal(run.status, 0);
	const { metadata, tensors, ...rest } = JSON.parse(run.stdout);
	assert.equal(metadata["a.long"].value.length, 1000);
	assert.equal(metadata["a.control"].value, "\u0000\u0001\u001f\u007f\"\\/\u2028俳句\u{1F438}");
	assert.deepEqual(metadata["a.bytes"].value, { hex: "66ff00" });
	assert.equal(metadata["a.many"].value.length, 100000);
	assert.equal(metadata["a.many"].value[99999], 99999 * 42949);
	assert.deepEqual(metadata["a.floats"].value.map((x) => Math.fround(Number(x))),
		[Math.fround(0.1), -0, NaN, Infinity, -Infinity, 3.4028234663852886e38, Math.fround(1e-45)]);
	assert.match(run.stdout, /"value": 18446744073709551615}/);
	assert.deepEqual(tensors, [{ name: "w", shape: [3], type: "F32", offset: rest.data_offset, bytes: 12 }]);
	assert.deepEqual([rest.gguf_version, rest.alignment, rest.trailing_bytes], [3, 32, 0]);
	assert.equal(rest.file_bytes, rest.data_offset + 12);
});

test("a file of 20 GB is inspected at once", () => {
	const bytes = 20e9;
	const path = file("large.gguf", gguf(model, [["w", [bytes / 4 / 1000, 1000], 0, 0]]));
	const head = gguf(model, [["w", [bytes / 4 / 1000, 1000], 0, 0]]).length;
	truncateSync(path, head + bytes);
	const start = performance.now();
	const run = inspect(path);
	assert.equal(run.status, 0);
	assert.match(run.stdout, /  F32 {12}1 {7}5,000,000,000 {6}20,000,000,000  100\.0%/);
	assert.ok(performance.now() - start < 5000);
});

test("errors: exit 1 and one line on stderr", () => {
	for (const [path, message] of [
		[join(scratch, "absent.gguf"), "No such file or directory"],
		[scratch, "is a directory, not a file"],
		["/dev/null", "is a device, pipe or socket, not a file"],
		[file("empty.gguf", ""), 'the file is empty; a GGUF file begins with "GGUF"'],
		[file("text.gguf", "hello"), 'not a GGUF file: it begins with "hell"; "GGUF" is wanted'],
		[file("cut.gguf", gguf(model).subarray(0, 130)), 'byte 115: key 3 of 7: the key needs 17 bytes; the file has 15 more (is it cut short?)'],
	]) {
		const run = inspect(path);
		assert.equal(run.status, 1, path);
		assert.equal(run.stdout, "", path);
		assert.ok(run.stderr.startsWith(`hokku: ${path}: ${message}`), run.stderr);
		assert.equal(run.stderr.trimEnd().split("\n").length, 1);
	}
});

test("a wrong command line: exit 2", () => {
	const near = inspect("x.gguf", "--jsn");
	assert.equal(near.status, 2);
	assert.match(near.stderr, /there is no option --jsn; did you mean --json\?/);
	const many = inspect("a.gguf", "b.gguf");
	assert.equal(many.status, 2);
	assert.match(many.stderr, /"b\.gguf" is one word too many/);
	const help = inspect("--help");
	assert.equal(help.status, 0);
	assert.match(help.stdout, /usage: hokku inspect \[FILE\] \[--check\] \[--json\][^]*Examples:\n  hokku inspect/);
});

test("a full disk and a reader that went away", async () => {
	const path = file("pipe.gguf", gguf(model));
	const full = openSync("/dev/full", "w");
	const run = spawnSync(hokku, ["inspect", path], { stdio: ["ignore", full, "pipe"], encoding: "utf8" });
	closeSync(full);
	assert.equal(run.status, 1);
	assert.match(run.stderr, /^hokku: standard output: No space left on device\n$/);
	const child = spawn(hokku, ["inspect", path, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
	child.stdout.destroy();
	const { code, signal } = await ended(child);
	assert.ok(code === 0 || code === 1 || signal === "SIGPIPE", `${code} ${signal}`);
});

test("without FILE: the bundled model", { skip: !existsSync(join(root, "models/haiku/haiku.gguf")) && "none in this tree" }, () => {
	const bundled = inspect("--json"), named = inspect(join(root, "models/haiku/haiku.gguf"), "--json");
	assert.equal(bundled.status, 0);
	const a = JSON.parse(bundled.stdout), b = JSON.parse(named.stdout);
	assert.equal(a.file, "haiku.gguf (bundled)");
	assert.deepEqual({ ...a, file: "" }, { ...b, file: "" });
});

const phi3 = join(shared, "vocab/phi-3.gguf");
test("a vocabulary without weights", { skip: !existsSync(phi3) && `no ${phi3}` }, () => {
	const run = inspect(phi3);
	assert.equal(run.status, 0);
	assert.match(run.stdout, /^architecture: {4}phi3\nvocabulary size: 32,064\nhidden dim: {6}3,072\nlayers: {10}32\nheads: {11}32 \(32 KV\)\ncontext: {9}4,096\n/);
	assert.match(run.stdout, /\ntensors: 0\n$/);
});
