// GGUF files read twice: by `hokku inspect --json` and by @huggingface/gguf, a reader that nobody here wrote. They agree
// on every key, its type and its value, and on every tensor's name, shape, type and offset. The files: vocabularies of
// other projects, files that our writer makes (every type, nested arrays, every alignment), a version 2 file, the
// bundled model and the golden models where they are present. And the other way round: files that the package writes.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { GGMLQuantizationType, GGUFValueType, gguf, serializeGgufMetadata } from "@huggingface/gguf";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const hokku = process.env.HOKKU ?? join(root, "build/test/hokku");
const build = process.env.HOKKU_BUILD_DIR ?? join(root, "build/test");
const shared = process.env.HOKKU_SHARED ?? join(root, "../shared");
const scratch = mkdtempSync(join(tmpdir(), "hokku-gguf-"));
after(() => rmSync(scratch, { recursive: true }));

// Our names of the value types, theirs.
const TYPES = {
	u8: "UINT8", i8: "INT8", u16: "UINT16", i16: "INT16", u32: "UINT32", i32: "INT32", u64: "UINT64", i64: "INT64",
	f32: "FLOAT32", f64: "FLOAT64", bool: "BOOL", string: "STRING", array: "ARRAY",
};

// JSON.parse would round integers past 2^53: those become "\u0000int:DIGITS" first. Strings are skipped over.
function parseExact(text) {
	const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (token) =>
		token[0] === '"' ? token : `"\\u0000int:${token}"`);
	return JSON.parse(marked);
}

function inspect(path) {
	const text = execFileSync(hokku, ["inspect", path, "--json"], { maxBuffer: 1 << 30, encoding: "utf8" });
	return parseExact(text);
}

function integer(value) {
	return BigInt(typeof value === "string" ? value.replace("\u0000int:", "") : value);
}

function number(value, type) {
	const x = typeof value === "string" ? Number(value) : value; // "NaN", "Infinity", "-Infinity"
	return type === "f32" ? Math.fround(x) : x;
}

// The package decodes with TextDecoder: a byte order mark at a string's beginning disappears, and bytes that are no
// UTF-8 become U+FFFD.
function string(value) {
	const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value.hex, "hex");
	return new TextDecoder().decode(bytes);
}

// Nested arrays carry no type of their own in either output: what theirs is decides.
function same(ours, theirs, type, where) {
	if (Array.isArray(theirs)) {
		assert.ok(Array.isArray(ours), where);
		assert.equal(ours.length, theirs.length, where);
		for (let i = 0; i < ours.length; i++) same(ours[i], theirs[i], type === "array" ? null : type, where);
	} else if (typeof theirs === "bigint" || /^[ui]\d/.test(type ?? "")) {
		assert.equal(integer(ours), BigInt(theirs), where);
	} else if (typeof theirs === "number") {
		assert.ok(Object.is(number(ours, type), theirs), `${where}: ${ours} is not ${theirs}`);
	} else if (typeof theirs === "string") {
		assert.equal(string(ours), theirs, where);
	} else {
		assert.equal(ours, theirs, where);
	}
}

async function compare(path) {
	const ours = inspect(path);
	const theirs = await gguf(path, { allowLocalFile: true, typedMetadata: true });
	const metadata = { ...theirs.typedMetadata };
	assert.equal(ours.gguf_version, metadata.version.value);
	assert.equal(BigInt(Object.keys(ours.metadata).length), metadata.kv_count.value);
	assert.equal(BigInt(ours.tensors.length), metadata.tensor_count.value);
	for (const counted of ["version", "tensor_count", "kv_count"]) delete metadata[counted];
	assert.deepEqual(Object.keys(ours.metadata), Object.keys(metadata));
	for (const [key, { type, subType, value }] of Object.entries(metadata)) {
		const our = ours.metadata[key];
		assert.equal(TYPES[our.type], GGUFValueType[type], key);
		if (our.type === "array") assert.equal(TYPES[our.element_type], GGUFValueType[subType], key);
		same(our.value, value, our.type === "array" ? our.element_type : our.type, key);
	}
	assert.equal(BigInt(ours.data_offset), theirs.tensorDataOffset);
	assert.equal(ours.tensors.length, theirs.tensorInfos.length);
	theirs.tensorInfos.forEach((their, i) => {
		const our = ours.tensors[i];
		assert.equal(our.name, their.name);
		assert.deepEqual(our.shape.map(BigInt), their.shape, our.name);
		assert.equal(our.type, GGMLQuantizationType[their.dtype], our.name);
		assert.equal(BigInt(our.offset - ours.data_offset), their.offset, our.name);
	});
	return { keys: Object.keys(metadata).length, tensors: ours.tensors.length };
}

function ggufFiles(folder) {
	if (!existsSync(folder)) return [];
	return readdirSync(folder, { recursive: true })
		.map(String)
		.filter((name) => name.endsWith(".gguf"))
		.sort()
		.map((name) => join(folder, name));
}

const vocab = ggufFiles(join(shared, "vocab"));
test("vocabularies of other projects", { skip: vocab.length === 0 && `no *.gguf in ${shared}/vocab` }, async (t) => {
	for (const path of vocab) await t.test(path, async () => assert.ok((await compare(path)).keys > 10));
});

const writer = join(build, "tests/gguf_writer");
test("files that the writer makes", { skip: !process.env.HOKKU_BUILD_DIR && !existsSync(writer) && `no ${writer}` }, async (t) => {
	execFileSync(writer, ["--samples", scratch]);
	const files = ggufFiles(scratch);
	assert.equal(files.length, 16); // types, version 2, alignments 8 to 65,536
	let tensors = 0;
	for (const path of files) await t.test(path, async () => (tensors += (await compare(path)).tensors));
	assert.equal(tensors, 3 + 14 * Object.values(GGMLQuantizationType).filter(Number.isInteger).length);
});

const models = [...ggufFiles(join(root, "models")), ...ggufFiles(join(root, "tests/golden"))];
test("models of this repository", { skip: models.length === 0 && "none here" }, async (t) => {
	for (const path of models) await t.test(path, async () => assert.ok((await compare(path)).tensors > 0));
});

// The package as the writer.
const typed = {
	version: { value: 3, type: GGUFValueType.UINT32 },
	tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
	kv_count: { value: 0n, type: GGUFValueType.UINT64 },
	"general.architecture": { value: "written elsewhere", type: GGUFValueType.STRING },
	"k.u64": { value: 2n ** 64n - 1n, type: GGUFValueType.UINT64 },
	"k.i64": { value: -(2n ** 63n), type: GGUFValueType.INT64 },
	"k.f64": { value: Math.PI, type: GGUFValueType.FLOAT64 },
	"k.f32": { value: Math.fround(1e-6), type: GGUFValueType.FLOAT32 },
	"k.bool": { value: true, type: GGUFValueType.BOOL },
	"k.words": { value: ["俳句", "", "\u{1F438}", "\u0000\u0001\u007f\"\\"], type: GGUFValueType.ARRAY, subType: GGUFValueType.STRING },
	"k.i8": { value: [-128, 0, 127], type: GGUFValueType.ARRAY, subType: GGUFValueType.INT8 },
};

test("files that the package writes", async (t) => {
	for (const version of [2, 3]) {
		await t.test(`version ${version}`, async () => {
			const path = join(scratch, `package-${version}.gguf`);
			const metadata = { ...typed, version: { ...typed.version, value: version } };
			writeFileSync(path, serializeGgufMetadata(metadata));
			assert.equal((await compare(path)).keys, 8);
			const ours = inspect(path);
			assert.equal(integer(ours.metadata["k.u64"].value), 2n ** 64n - 1n);
			assert.equal(ours.metadata["k.f64"].value, Math.PI);
			assert.deepEqual(ours.metadata["k.words"].value, typed["k.words"].value);
		});
	}
	await t.test("big-endian is refused by name", () => {
		const path = join(scratch, "big-endian.gguf");
		writeFileSync(path, serializeGgufMetadata(typed, { littleEndian: false }));
		const run = spawnSync(hokku, ["inspect", path], { encoding: "utf8" });
		assert.equal(run.status, 1);
		assert.equal(run.stderr, `hokku: ${path}: byte 4: the file is big-endian (GGUF version 3); only little-endian files can be read\n`);
	});
});
