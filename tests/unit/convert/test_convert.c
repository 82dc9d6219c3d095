/* The converter: small Hugging Face folders written here, the GGUF files they become, and the folders it
 * refuses. */
#include "convert/convert.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/half.h"
#include "base/rng.h"
#include "gguf/gguf.h"
#include "in_memory.h"

#define QWEN2_PRE                                                                               \
	"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":" \
	"\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "     \
	"?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+"                           \
	"|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"               \
	"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":false}]}"
#define NFC "{\"type\":\"NFC\"}"
#define MODEL                                                                                       \
	"{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4},\"merges\":[\"a " \
	"b\",[\"ab\",\"c\"]]}"
#define ADDED                                                                                                \
	"[{\"id\":5,\"content\":\"<|end|>\",\"special\":true},{\"id\":6,\"content\":\"<tool>\",\"special\":" \
	"false}]"

/* tokenizer.json out of its parts. */
#define TOKENIZER(normalizer, pre, model, added)                                    \
	"{\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre ",\"model\":" model \
	",\"added_tokens\":" added "}"
#define GOOD_TOKENIZER TOKENIZER(NFC, QWEN2_PRE, MODEL, ADDED)

#define CONFIG(more)                                                                                        \
	"{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\",\"hidden_size\":32,"            \
	"\"intermediate_size\":40,\"num_hidden_layers\":1,\"num_attention_heads\":4,"                       \
	"\"num_key_value_heads\":2,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-06,\"vocab_size\":9," \
	"\"hidden_act\":\"silu\",\"use_sliding_window\":false" more "}"
#define GOOD_CONFIG CONFIG(",\"rope_theta\":10000.0,\"tie_word_embeddings\":true")

struct shape {
	const char *name;
	uint32_t rows, cols; /* rows 0: a vector */
};
static struct shape tensors[] = {
	{"model.embed_tokens.weight", 9, 32},
	{"model.layers.0.input_layernorm.weight", 0, 32},
	{"model.layers.0.self_attn.q_proj.weight", 32, 32},
	{"model.layers.0.self_attn.q_proj.bias", 0, 32},
	{"model.layers.0.self_attn.k_proj.weight", 16, 32},
	{"model.layers.0.self_attn.k_proj.bias", 0, 16},
	{"model.layers.0.self_attn.v_proj.weight", 16, 32},
	{"model.layers.0.self_attn.v_proj.bias", 0, 16},
	{"model.layers.0.self_attn.o_proj.weight", 32, 32},
	{"model.layers.0.post_attention_layernorm.weight", 0, 32},
	{"model.layers.0.mlp.gate_proj.weight", 40, 32},
	{"model.layers.0.mlp.up_proj.weight", 40, 32},
	{"model.layers.0.mlp.down_proj.weight", 32, 40},
	{"model.norm.weight", 0, 32},
	{"lm_head.weight", 9, 32},
};
enum { N_TENSORS = sizeof tensors / sizeof tensors[0], N_TIED = N_TENSORS - 1 };

static char folder[] = "/tmp/hokku-convert-XXXXXX";
static char out_path[128];

static void put(const char *name, const void *bytes, size_t n)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void drop(const char *name)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	unlink(path);
}

/* Element i of tensor t: exact in bfloat16, so that every source type can hold it. */
static float element(size_t t, size_t i)
{
	uint32_t words[4];
	rng_words(t, RNG_STREAM_TEST, i, words);
	return f32_from_bf16(bf16_from_f32((float)(rng_unit(words[0], words[1]) * 2 - 1)));
}

static size_t encode(const char *dtype, float value, uint8_t *out)
{
	uint16_t h = strcmp(dtype, "F16") == 0 ? f16_from_f32(value) : bf16_from_f32(value);
	double d = value;
	if (strcmp(dtype, "F32") == 0)
		return memcpy(out, &value, 4), 4;
	if (strcmp(dtype, "F64") == 0)
		return memcpy(out, &d, 8), 8;
	return memcpy(out, &h, 2), 2;
}

static size_t poison_at = 3;

/* model.safetensors with the first n tensors; poison replaces element poison_at of the gate unless it is 0.
 */
static void put_weights(const char *dtype, size_t n, float poison, const char *extra)
{
	struct strbuf header = {0}, data = {0};
	uint8_t bytes[8];
	for (size_t t = 0; t < n; t++) {
		const struct shape *s = &tensors[t];
		size_t begin = data.len, count = (s->rows ? s->rows : 1) * s->cols;
		for (size_t i = 0; i < count; i++) {
			bool poisoned = poison != 0 && i == poison_at && strstr(s->name, "gate");
			strbuf_add(&data, bytes, encode(dtype, poisoned ? poison : element(t, i), bytes));
		}
		strbuf_addf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", t ? "," : "{", s->name, dtype);
		if (s->rows)
			strbuf_addf(&header, "%u,", s->rows);
		strbuf_addf(&header, "%u],\"data_offsets\":[%zu,%zu]}", s->cols, begin, data.len);
	}
	strbuf_addf(&header, "%s}", extra ? extra : "");
	uint64_t length = header.len;
	struct strbuf file = {0};
	strbuf_add(&file, &length, 8);
	strbuf_add(&file, header.ptr, header.len);
	strbuf_add(&file, data.ptr, data.len);
	put("model.safetensors", file.ptr, file.len);
	strbuf_free(&header);
	strbuf_free(&data);
	strbuf_free(&file);
}

/* Weights in F32 whose head, of a type of its own, is the embedding, but for its last element if it differs.
 */
static void put_head(const char *dtype, bool differs)
{
	const struct shape *s = &tensors[0];
	const size_t count = s->rows * s->cols;
	struct strbuf data = {0};
	uint8_t bytes[8];
	char extra[160];
	size_t before = 0;
	for (size_t t = 0; t < N_TIED; t++)
		before += 4 * (tensors[t].rows ? tensors[t].rows : 1) * tensors[t].cols;
	for (size_t i = 0; i < count; i++) {
		float value = element(0, i) + (differs && i + 1 == count ? 1.0f : 0.0f);
		strbuf_add(&data, bytes, encode(dtype, value, bytes));
	}
	snprintf(extra, sizeof extra,
		 ",\"lm_head.weight\":{\"dtype\":\"%s\",\"shape\":[%u,%u],\"data_offsets\":[%zu,%zu]}", dtype,
		 s->rows, s->cols, before, before + data.len);
	put_weights("F32", N_TIED, 0, extra);
	char path[160];
	snprintf(path, sizeof path, "%s/model.safetensors", folder);
	FILE *f = fopen(path, "ab");
	assert_non_null(f);
	assert_int_equal(fwrite(data.ptr, 1, data.len, f), data.len);
	fclose(f);
	strbuf_free(&data);
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(out_path, sizeof out_path, "%s/out.gguf", folder);
	return 0;
}

static int drop_folder(void **state)
{
	(void)state;
	static const char *const files[] = {"config.json",           "tokenizer.json",
					    "tokenizer_config.json", "generation_config.json",
					    "model.safetensors",     "out.gguf"};
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		drop(files[i]);
	return rmdir(folder); /* fails if something was left behind */
}

static int good_folder(void **state)
{
	(void)state;
	put_text("config.json", GOOD_CONFIG);
	put_text("tokenizer.json", GOOD_TOKENIZER);
	put_text("tokenizer_config.json", "{\"eos_token\":{\"content\":\"<|end|>\"},\"pad_token\":\"<|end|>"
					  "\",\"chat_template\":\"T\"}");
	put_weights("BF16", N_TIED, 0, NULL);
	drop("out.gguf");
	drop("generation_config.json");
	return 0;
}

static char notes[2048];
static int n_stops;

static void take_note(void *user, const char *text)
{
	(void)user;
	size_t n = strlen(notes);
	snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static bool stop_late(void *user)
{
	(void)user;
	return ++n_stops > 5;
}

static struct convert_options options(enum tensor_type type)
{
	notes[0] = '\0';
	return (struct convert_options){
		.dir = folder, .out = out_path, .type = type, .observer = {.note = take_note}};
}

static struct gguf *convert(enum tensor_type type)
{
	struct convert_options o = options(type);
	struct hokku_error err = {0};
	struct gguf *g;
	if (convert_hf(&o, &err) || open_in_memory(out_path, &g, &err))
		fail_msg("%s", err.message);
	return g;
}

static uint32_t u32_of(const struct gguf *g, const char *key)
{
	uint32_t value = UINT32_MAX;
	bool found;
	assert_int_equal(gguf_get_u32(g, key, &value, &found, NULL), HOKKU_OK);
	return value;
}

static void expect_str(const struct gguf *g, const char *key, const char *wanted)
{
	struct str s = {0};
	assert_int_equal(gguf_get_str(g, key, &s, NULL, NULL), HOKKU_OK);
	if (!str_eq_c(s, wanted))
		fail_msg("%s is \"%.*s\", not \"%s\"", key, STR_ARG(s), wanted);
}

static void expect_strings(const struct gguf *g, const char *key, const char *const *wanted, uint64_t n)
{
	struct gguf_array a;
	struct gguf_array_iter it;
	struct gguf_value v;
	assert_int_equal(gguf_get_array(g, key, GGUF_STRING, &a, NULL, NULL), HOKKU_OK);
	assert_int_equal(a.n, n);
	gguf_array_iter_init(&it, &a);
	for (uint64_t i = 0; gguf_array_next(&it, &v); i++)
		if (!str_eq_c(v.string, wanted[i]))
			fail_msg("%s[%d] is \"%.*s\", not \"%s\"", key, (int)i, STR_ARG(v.string), wanted[i]);
}

static float f32_of(const struct gguf *g, const char *key)
{
	float value = NAN;
	gguf_get_f32(g, key, &value, NULL, NULL);
	return value;
}

static void test_metadata(void **state)
{
	(void)state;
	static const char *const tokens[] = {"a",       "b",      "c",      "ab",    "abc",
					     "<|end|>", "<tool>", "[PAD7]", "[PAD8]"};
	static const char *const merges[] = {"a b", "ab c"};
	static const int32_t types[] = {1, 1, 1, 1, 1, 3, 4, 5, 5};
	put_text("generation_config.json", "{\"bos_token_id\":4,\"eos_token_id\":[6,5]}");
	struct gguf *g = convert(TENSOR_F16);
	expect_str(g, "general.architecture", "qwen2");
	expect_str(g, "general.name", strrchr(folder, '/') + 1);
	assert_int_equal(u32_of(g, "general.file_type"), 1);
	assert_int_equal(u32_of(g, "general.quantization_version"), 2);
	assert_int_equal(u32_of(g, "qwen2.context_length"), 64);
	assert_int_equal(u32_of(g, "qwen2.embedding_length"), 32);
	assert_int_equal(u32_of(g, "qwen2.block_count"), 1);
	assert_int_equal(u32_of(g, "qwen2.feed_forward_length"), 40);
	assert_int_equal(u32_of(g, "qwen2.attention.head_count"), 4);
	assert_int_equal(u32_of(g, "qwen2.attention.head_count_kv"), 2);
	assert_null(gguf_find(g, "qwen2.attention.key_length"));
	float theta = 0, eps = 0;
	assert_int_equal(gguf_get_f32(g, "qwen2.rope.freq_base", &theta, NULL, NULL), HOKKU_OK);
	assert_int_equal(gguf_get_f32(g, "qwen2.attention.layer_norm_rms_epsilon", &eps, NULL, NULL),
			 HOKKU_OK);
	assert_true(theta == 10000.0f && eps == 1e-6f);
	expect_str(g, "tokenizer.ggml.model", "gpt2");
	expect_str(g, "tokenizer.ggml.pre", "qwen2");
	expect_strings(g, "tokenizer.ggml.tokens", tokens, 9);
	expect_strings(g, "tokenizer.ggml.merges", merges, 2);
	struct gguf_array a;
	assert_int_equal(gguf_get_array(g, "tokenizer.ggml.token_type", GGUF_I32, &a, NULL, NULL), HOKKU_OK);
	assert_int_equal(a.n, 9);
	assert_memory_equal(a.data, types, sizeof types);
	assert_int_equal(u32_of(g, "tokenizer.ggml.eos_token_id"), 5); /* the tokenizer's word goes first */
	assert_int_equal(u32_of(g, "tokenizer.ggml.eot_token_id"),
			 6); /* the other token that ends an answer */
	assert_int_equal(u32_of(g, "tokenizer.ggml.padding_token_id"), 5);
	assert_int_equal(u32_of(g, "tokenizer.ggml.bos_token_id"), 4);
	bool add_bos = true;
	assert_int_equal(gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &add_bos, NULL, NULL), HOKKU_OK);
	assert_false(add_bos);
	expect_str(g, "tokenizer.chat_template", "T");
	gguf_close(g);
}

/* Every source type gives the same file, and its floats are the source's. */
static void test_source_types(void **state)
{
	(void)state;
	static const char *const dtypes[] = {"F32", "F16", "BF16", "F64"};
	for (size_t k = 0; k < 4; k++) {
		put_weights(dtypes[k], N_TIED, 0, NULL);
		struct gguf *g = convert(TENSOR_F32);
		assert_int_equal(gguf_n_tensors(g), N_TIED);
		for (size_t t = 0; t < N_TIED; t++) { /* the table above stands in the order of the file */
			const struct gguf_tensor *x = gguf_tensor_at(g, t);
			assert_int_equal(x->type, TENSOR_F32);
			assert_int_equal(x->dims[0], tensors[t].cols);
			assert_int_equal(x->n_dims, tensors[t].rows ? 2 : 1);
			for (size_t i = 0; i < x->n_elements; i++) {
				float found, wanted = element(t, i);
				memcpy(&found, (const char *)x->data + 4 * i, 4);
				if (k == 1)
					wanted = f32_from_f16(f16_from_f32(wanted));
				assert_true(found == wanted);
			}
		}
		gguf_close(g);
	}
}

/* ggml's quantize_row_q8_0, written from its definition: d = max/127 before rounding gives the quants. */
static void quantise_q8_0(const float *x, uint8_t *out)
{
	float amax = 0;
	for (int i = 0; i < 32; i++)
		amax = fmaxf(amax, fabsf(x[i]));
	float d = amax / 127, id = d != 0 ? 1 / d : 0;
	uint16_t h = f16_from_f32(d);
	memcpy(out, &h, 2);
	for (int i = 0; i < 32; i++)
		out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * id);
}

static void test_q8_0(void **state)
{
	(void)state;
	struct gguf *g = convert(TENSOR_Q8_0);
	assert_int_equal(u32_of(g, "general.file_type"), 7);
	assert_string_equal(
		notes, "blk.0.ffn_down.weight: rows of 40 are no multiple of Q8_0's 32; written as F16\n");
	for (size_t t = 0; t < N_TIED; t++) {
		const struct gguf_tensor *x = gguf_tensor_at(g, t);
		enum tensor_type wanted = !tensors[t].rows       ? TENSOR_F32
					  : tensors[t].cols % 32 ? TENSOR_F16
								 : TENSOR_Q8_0;
		assert_int_equal(x->type, wanted);
		for (size_t b = 0; wanted == TENSOR_Q8_0 && b < x->n_elements / 32; b++) {
			float values[32];
			uint8_t block[34];
			for (size_t i = 0; i < 32; i++)
				values[i] = element(t, 32 * b + i);
			quantise_q8_0(values, block);
			assert_memory_equal((const uint8_t *)x->data + 34 * b, block, 34);
		}
	}
	gguf_close(g);
}

static void test_tied_and_untied(void **state)
{
	(void)state;
	/* Nothing says it: without a head it is tied. */
	put_text("config.json", CONFIG(",\"rope_theta\":10000.0"));
	put_weights("F32", N_TIED, 0, NULL);
	gguf_close(convert(TENSOR_F16));
	/* An index beside the whole does not count, whatever it says. */
	put_text("config.json", GOOD_CONFIG);
	put_text("model.safetensors.index.json", "{}");
	gguf_close(convert(TENSOR_F16));
	assert_string_equal(notes, "model.safetensors.index.json is left out: model.safetensors counts\n");
	drop("model.safetensors.index.json");
	/* Tied, and yet a head of other values: it stays, as in transformers 5. */
	put_weights("F32", N_TENSORS, 0, NULL);
	struct gguf *g = convert(TENSOR_F16);
	assert_non_null(gguf_find_tensor(g, "output.weight"));
	assert_string_equal(notes, "tie_word_embeddings is true, but lm_head.weight differs from "
				   "model.embed_tokens.weight: it is kept, as transformers 5 keeps it\n");
	gguf_close(g);
	/* The same values, in the same type or in another: left out. */
	static const char *const dtypes[] = {"F32", "BF16"};
	for (size_t i = 0; i < 2; i++) {
		put_head(dtypes[i], false);
		g = convert(TENSOR_F16);
		assert_null(gguf_find_tensor(g, "output.weight"));
		assert_string_equal(notes,
				    "tensor \"lm_head.weight\" is left out: tie_word_embeddings is true\n");
		gguf_close(g);
		put_head(dtypes[i], true); /* only the last element differs */
		g = convert(TENSOR_F16);
		assert_non_null(gguf_find_tensor(g, "output.weight"));
		gguf_close(g);
	}
	put_weights("F32", N_TENSORS, 0, NULL);
	put_text("config.json",
		 CONFIG(",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":500000}"));
	g = convert(TENSOR_BF16); /* nothing said: the head decides; and RoPE as transformers 5 writes it */
	assert_int_equal(gguf_find_tensor(g, "output.weight")->type, TENSOR_BF16);
	assert_int_equal(u32_of(g, "general.file_type"), 32);
	float theta = 0;
	assert_int_equal(gguf_get_f32(g, "qwen2.rope.freq_base", &theta, NULL, NULL), HOKKU_OK);
	assert_true(theta == 500000.0f);
	gguf_close(g);
	put_weights("F32", N_TIED, 0, NULL);
	g = convert(TENSOR_F16);
	assert_null(gguf_find_tensor(g, "output.weight"));
	gguf_close(g);
}

static void test_vocab_only(void **state)
{
	(void)state;
	struct convert_options o = options(TENSOR_F16);
	struct hokku_error err = {0};
	struct gguf *g;
	drop("config.json");
	drop("model.safetensors");
	drop("tokenizer_config.json");
	o.vocab_only = true;
	o.name = "words";
	assert_int_equal(convert_hf(&o, &err), HOKKU_OK);
	assert_int_equal(open_in_memory(out_path, &g, &err), HOKKU_OK);
	assert_int_equal(gguf_n_tensors(g), 0);
	assert_int_equal(gguf_n_kv(g), 10); /* with tokenizer.hokku.normalized, of <tool> */
	expect_str(g, "general.architecture", "qwen2");
	expect_str(g, "general.name", "words");
	struct gguf_array a;
	assert_int_equal(gguf_get_array(g, "tokenizer.ggml.tokens", GGUF_STRING, &a, NULL, NULL), HOKKU_OK);
	assert_int_equal(a.n, 7); /* no vocab_size, no padding */
	gguf_close(g);
}

/* Other definitions of a pre-tokenizer, and a BOS that the post-processor puts first. */
static void test_other_tokenizers(void **state)
{
	(void)state;
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true}"
#define LLAMA3                                                                                   \
	"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"  \
	"\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| " \
	"?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+"                            \
	"|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"                \
	"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}"
	struct convert_options o = options(TENSOR_F16);
	struct hokku_error err = {0};
	struct gguf *g;
	bool add_bos = false;
	o.vocab_only = true;
	drop("config.json");
	drop("tokenizer_config.json");
	put_text("tokenizer.json",
		 TOKENIZER("{\"type\":\"Sequence\",\"normalizers\":[]}", BYTE_LEVEL, MODEL, ADDED));
	assert_int_equal(convert_hf(&o, &err), HOKKU_OK);
	assert_int_equal(open_in_memory(out_path, &g, &err), HOKKU_OK);
	expect_str(g, "tokenizer.ggml.pre", "gpt-2");
	gguf_close(g);
	/* qwen2's split without NFC, as DeepSeek-R1-Distill-Qwen has it. */
	static const char *const none[] = {
		TOKENIZER("null", QWEN2_PRE, MODEL, ADDED),
		TOKENIZER("{\"type\":\"Sequence\",\"normalizers\":[]}", QWEN2_PRE, MODEL, ADDED)};
	for (size_t i = 0; i < 2; i++) {
		put_text("tokenizer.json", none[i]);
		assert_int_equal(convert_hf(&o, &err), HOKKU_OK);
		assert_int_equal(gguf_open_file(out_path, &g, &err), HOKKU_OK);
		expect_str(g, "tokenizer.ggml.pre", "deepseek-r1-qwen");
		expect_str(g, "general.architecture", "qwen2");
		gguf_close(g);
	}
	put_text("tokenizer.json", "{\"pre_tokenizer\":" LLAMA3 ",\"model\":" MODEL ",\"added_tokens\":" ADDED
				   ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" BYTE_LEVEL
				   ",{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
				   "\"<|end|>\",\"type_id\":0}},"
				   "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]}]}}");
	assert_int_equal(convert_hf(&o, &err), HOKKU_OK);
	assert_int_equal(open_in_memory(out_path, &g, &err), HOKKU_OK);
	expect_str(g, "tokenizer.ggml.pre", "llama-bpe");
	assert_int_equal(gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &add_bos, NULL, NULL), HOKKU_OK);
	assert_true(add_bos);
	assert_int_equal(u32_of(g, "tokenizer.ggml.bos_token_id"), 5);
	gguf_close(g);
}

/* The patterns of these two as llama.cpp's llama-vocab.cpp lists them, in a tokenizer.json's clothes. */
static const char deepseek_pre[] =
	"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\\r\\n]\"},"
	"\"behavior"
	"\":\"Isolated\",\"invert\":false},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s?[A-Za-"
	"z\u00b5\u00c0-\u00d6\u00d8-"
	"\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4"
	"-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-"
	"\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-"
	"\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-"
	"\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-"
	"\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6"
	"-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-"
	"\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-"
	"\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-"
	"\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-"
	"\uff3a\uff41-\uff5a\U00010400-"
	"\U0001044f\U000104b0"
	"-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-"
	"\U000118df\U0001e900-\U0001e943]+\"},\"behavior\":\"Isolated\",\"invert\":false},"
	"{\"type\":\"Split\",\"pattern\":{\"Re"
	"gex\":\"\\\\s?[!-/"
	":-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+\"},\"behavior\":\"Isolated\",\"invert\":"
	"false},{\"type\":\"Split\",\"p"
	"attern\":{\"Regex\":\"\\\\s+$\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Split\","
	"\"pattern\":"
	"{\"Regex\":\"[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+\"},\"behavior\":\"Isolated\",\"invert\":"
	"false},{\"type\":\"Digits\","
	"\"individua"
	"l_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_rege"
	"x\":false}]}";
static const char default_pre[] = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Sequence\","
				  "\"pretokenizers\":[{\"type\":\"Split\",\"p"
				  "attern\":{\"Regex\":\"[\\\\p{P}\\\\$\\\\+<=>\\\\^~\\\\|]+\"},\"behavior\":"
				  "\"Isolated\",\"invert\":false},{\"type"
				  "\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d| "
				  "?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p"
				  "{N}]+|\\\\s+(?!\\\\S)\"},\"behavior\":\"Isolated\",\"invert\":false},{"
				  "\"type\":\"Split\",\"pattern\":{\"Rege"
				  "x\":\"\\\\p{N}+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":"
				  "\"Split\",\"pattern\":{\"Regex\":\"[0"
				  "-9][0-9][0-9]\"},\"behavior\":\"Isolated\",\"invert\":false}]},{\"type\":"
				  "\"ByteLevel\",\"add_prefix_sp"
				  "ace\":false,\"trim_offsets\":true,\"use_regex\":false}]}";

static void test_split_tokenizers(void **state)
{
	(void)state;
	const struct {
		const char *pre, *name, *arch;
	} cases[] = {{deepseek_pre, "deepseek-llm", "llama"}, {default_pre, "default", "llama"}};
	drop("config.json");
	for (size_t i = 0; i < 2; i++) {
		struct strbuf b = {0};
		struct convert_options o = options(TENSOR_F16);
		struct hokku_error err = {0};
		struct gguf *g;
		strbuf_addf(&b, "{\"pre_tokenizer\":%s,\"model\":%s,\"added_tokens\":%s}", cases[i].pre,
			    MODEL, ADDED);
		put("tokenizer.json", b.ptr, b.len);
		strbuf_free(&b);
		o.vocab_only = true;
		if (convert_hf(&o, &err) || open_in_memory(out_path, &g, &err))
			fail_msg("%s", err.message);
		expect_str(g, "tokenizer.ggml.pre", cases[i].name);
		expect_str(g, "general.architecture", cases[i].arch);
		gguf_close(g);
	}
}

/* A template of its own file goes first; of a list, "default" counts. What GGUF cannot say is said in notes.
 */
static void test_templates(void **state)
{
	(void)state;
	put_text("tokenizer.json",
		 TOKENIZER(NFC, QWEN2_PRE, MODEL,
			   "[{\"id\":5,\"content\":\"<|end|>\",\"special\":true,\"single_word\":true}]"));
	put_text("tokenizer_config.json", "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"A\"},"
					  "{\"name\":\"default\",\"template\":\"B\"}]}");
	struct gguf *g = convert(TENSOR_F16);
	expect_str(g, "tokenizer.chat_template", "B");
	assert_string_equal(
		notes, "tokenizer.json: added token \"<|end|>\": its single_word is left out; it will be "
		       "found within words, too\n"
		       "the chat template named \"tool_use\" is left out; only \"default\" is kept\n");
	gguf_close(g);
	put_text("chat_template.jinja", "J");
	g = convert(TENSOR_F16);
	expect_str(g, "tokenizer.chat_template", "J");
	gguf_close(g);
	drop("chat_template.jinja");
}

/* ---- refusals ---- */

/* What is refused leaves no file, and the message has this text. */
static void refuse(enum tensor_type type, enum hokku_code code, const char *text)
{
	struct convert_options o = options(type);
	struct hokku_error err = {0};
	enum hokku_code rc = convert_hf(&o, &err);
	if (rc != code || !strstr(err.message, text))
		fail_msg("code %s\n  found  %s\n  wanted %s", hokku_code_name(rc), err.message, text);
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		if (strstr(e->d_name, "gguf"))
			fail_msg("%s was left behind", e->d_name);
	closedir(dir);
}

static void test_bad_config(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		enum hokku_code code;
		const char *text;
	} cases[] = {
		{"{", HOKKU_BAD_FILE,
		 "config.json: line 1 column 1: a key in quotes or '}' is wanted, but the text ends here"},
		{"[]", HOKKU_BAD_FILE, "config.json: it holds []; it must hold a JSON object"},
		{"{}", HOKKU_INVALID_REQUEST, "model_type is absent; hokku converts Qwen2ForCausalLM"},
		{"{\"architectures\":[\"GPT2LMHeadModel\"],\"model_type\":\"qwen2\"}", HOKKU_INVALID_REQUEST,
		 "architectures[0] is \"GPT2LMHeadModel\"; hokku converts Qwen2ForCausalLM"},
		{"{\"model_type\":\"qwen2\",\"hidden_size\":1,\"hidden_size\":2}", HOKKU_BAD_FILE,
		 "config.json: line 1 column 39: duplicate key \"hidden_size\""},
		{"{\"model_type\":\"qwen2\"}", HOKKU_BAD_FILE,
		 "hidden_size is absent; an integer from 1 to 65536 is wanted"},
		{CONFIG(",\"rope_theta\":-1"), HOKKU_BAD_FILE,
		 "rope_theta is -1; a number above 0 is wanted"},
		{CONFIG(",\"rope_theta\":1e4,\"head_dim\":1025"), HOKKU_BAD_FILE,
		 "head_dim is 1025; an integer from 1 to 1024 is wanted"},
		{CONFIG(",\"rope_theta\":1e4,\"head_dim\":7"), HOKKU_BAD_FILE,
		 "the head dim is 7; RoPE wants an even one"},
		{CONFIG(",\"rope_theta\":1e4,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":4}"),
		 HOKKU_INVALID_REQUEST,
		 "rope_parameters.rope_type is \"dynamic\"; hokku converts default, linear, yarn"},
		{CONFIG(",\"rope_theta\":1e4,\"quantization_config\":{\"quant_method\":\"awq\"}"),
		 HOKKU_INVALID_REQUEST,
		 "quantization_config.quant_method is \"awq\": the weights are quantised; hokku converts plain"},
		{"{\"model_type\":\"qwen2\",\"hidden_act\":\"gelu\"}", HOKKU_INVALID_REQUEST,
		 "hidden_act is \"gelu\"; hokku converts Qwen2ForCausalLM with \"silu\""},
		{"{\"model_type\":\"qwen2\",\"use_sliding_window\":true}", HOKKU_INVALID_REQUEST,
		 "use_sliding_window is true; hokku converts Qwen2ForCausalLM with false"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		put_text("config.json", cases[i].config);
		refuse(TENSOR_F16, cases[i].code, cases[i].text);
	}
	drop("config.json");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND, "config.json: No such file or directory");
	put_text("config.json", GOOD_CONFIG);
	refuse(TENSOR_Q4_K, HOKKU_INVALID_REQUEST,
	       "the type is Q4_K; hokku converts to F32, F16, BF16 and Q8_0");
}

#define BAD_MODEL(model) TOKENIZER(NFC, QWEN2_PRE, model, ADDED)
#define BAD_ADDED(added) TOKENIZER(NFC, QWEN2_PRE, MODEL, added)

static void test_bad_tokenizer(void **state)
{
	(void)state;
	static const struct {
		const char *tokenizer, *text;
	} cases[] = {
		{BAD_MODEL("{\"type\":\"Unigram\"}"), "model.type is \"Unigram\"; hokku converts BPE"},
		{BAD_MODEL("{}"), "model.type is absent; hokku converts BPE"},
		{BAD_MODEL("{\"type\":\"BPE\",\"byte_fallback\":true}"), "model.byte_fallback is true"},
		{BAD_MODEL("{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\"}"),
		 "model.end_of_word_suffix is \"</w>\""},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{}}"), "model.vocab is absent or empty"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}"),
		 "token \"a\": its id must be an integer from 0 to 4194303"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":4194304}}"),
		 "token \"a\": its id must be an integer from 0 to 4194303"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"}}"),
		 "token \"a\": its id must be an integer"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":9}}"),
		 "its highest token id is 9; vocab_size in config.json allows up to 8"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":1,\"b\":1}}"), "both have the id 1"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0}}"), "model.merges is absent or no array"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]}"),
		 "model.merges[0] needs the token \"ab\", which is not in the vocabulary"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}"),
		 "model.merges[0] is neither \"a b\" nor [\"a\", \"b\"]"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b\",\"c\"]]}"),
		 "model.merges[0] is neither \"a b\" nor [\"a\", \"b\"]"},
		{BAD_MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a \"]}"),
		 "model.merges[0] is neither"},
		{BAD_ADDED("[{\"id\":0,\"content\":\"x\"}]"), "added token \"x\" has the id 0 of \"a\""},
		{BAD_ADDED("[{\"id\":6,\"content\":\"a\"}]"),
		 "added token \"a\" has the id 6; in the vocabulary it is 0"},
		{BAD_ADDED("[{\"id\":6}]"), "added_tokens[0].content is absent, empty or no string"},
		{BAD_ADDED("[{\"content\":\"x\"}]"), "token \"x\": its id must be an integer"},
		{BAD_ADDED("{}"), "added_tokens is not an array"},
	};
	static const struct {
		const char *tokenizer, *text;
	} unknown[] = {
		/* The step that differs is told, not the long one before it. */
		{TOKENIZER("{\"type\":\"Lowercase\"}", QWEN2_PRE, MODEL, ADDED),
		 "the nearest is qwen2, whose step 1 is \"NFC\", where this one has \"Lowercase "
		 "{\\\"type\\\":\\\"Lowercase\\\"}\""},
		{TOKENIZER("{\"type\":\"NFKC\"}", QWEN2_PRE, MODEL, ADDED),
		 "the nearest is qwen2, whose step 1 is \"NFC\", where this one has \"NFKC {"},
		{TOKENIZER(NFC, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", MODEL, ADDED),
		 "the nearest is qwen2, whose step 2 is \"Split (?i:"},
		{TOKENIZER(NFC, LLAMA3, MODEL, ADDED),
		 "the nearest is qwen2, whose step 2 is ...\"\\\\p{L}+|\\\\p{N}| ?["},
		{TOKENIZER(NFC, LLAMA3, MODEL, ADDED), "where this one has ...\"\\\\p{L}+|\\\\p{N}{1,3}| ?["},
		{TOKENIZER("null", "{\"type\":\"ByteLevel\"}", MODEL, ADDED),
		 "where this one has \"ByteLevel prefix_space regex\""},
		{TOKENIZER("null", "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":NaN}",
			   MODEL, ADDED),
		 "where this one has \"ByteLevel use_regex=NaN\""},
		{TOKENIZER("null", "null", MODEL, ADDED), "where this one has nothing"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		put_text("tokenizer.json", cases[i].tokenizer);
		refuse(TENSOR_F16, HOKKU_BAD_FILE, cases[i].text);
	}
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		put_text("tokenizer.json", unknown[i].tokenizer);
		refuse(TENSOR_F16, HOKKU_INVALID_REQUEST, unknown[i].text);
		refuse(TENSOR_F16, HOKKU_INVALID_REQUEST,
		       "the pre-tokenizer is none of qwen2, deepseek-r1-qwen, gpt-2, llama-bpe, gpt-4o, "
		       "tekken, smollm, deepseek-v3, deepseek-llm, default; "
		       "the nearest is ");
	}
	drop("tokenizer.json");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND, "tokenizer.json: No such file or directory");
}

/* What generation_config.json says of sampling, under llama.cpp's keys and types. */
static void test_sampling(void **state)
{
	(void)state;
	put_text("generation_config.json",
		 "{\"do_sample\":true,\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,\"min_p\":null,"
		 "\"repetition_penalty\":1.05,\"typical_p\":1.0}");
	struct gguf *g = convert(TENSOR_F16);
	assert_true(f32_of(g, "general.sampling.temp") == 0.6f &&
		    f32_of(g, "general.sampling.top_p") == 0.95f);
	assert_true(f32_of(g, "general.sampling.penalty_repeat") == 1.05f);
	assert_int_equal(gguf_find(g, "general.sampling.top_k")->type, GGUF_I32);
	assert_int_equal(gguf_find(g, "general.sampling.top_k")->i64, 20);
	assert_null(gguf_find(g, "general.sampling.min_p"));
	assert_string_equal(notes, "");
	gguf_close(g);
	put_text("generation_config.json", "{\"do_sample\":false,\"temperature\":0.6,\"top_k\":null}");
	g = convert(TENSOR_F16);
	assert_null(gguf_find(g, "general.sampling.temp"));
	assert_non_null(strstr(notes, "temperature is left out: do_sample is false"));
	assert_null(strstr(notes, "top_k"));
	gguf_close(g);
	drop("out.gguf");
	put_text("generation_config.json", "{\"top_k\":20.5}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "generation_config.json: top_k is 20.5; a whole number of 32 bits");
	put_text("generation_config.json", "{\"top_k\":2147483648}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "top_k is 2147483648; a whole number of 32 bits");
	put_text("generation_config.json", "{\"temperature\":\"hot\"}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "generation_config.json: temperature is \"hot\"; a number is wanted");
	put_text("generation_config.json", "{\"do_sample\":1}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "generation_config.json: do_sample is 1; true or false is wanted");
	drop("generation_config.json");
}

static void test_ids(void **state)
{
	(void)state;
	drop("tokenizer_config.json");
	put_text("generation_config.json", "{\"eos_token_id\":9}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "generation_config.json: eos_token_id is 9; the vocabulary has 9 tokens");
	put_text("generation_config.json", "{\"eos_token_id\":[1,\"2\"]}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "generation_config.json: eos_token_id[1] is \"2\"; a token id (or a list of them) is wanted");
	put_text("generation_config.json", "{\"eos_token_id\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "eos_token_id has 17 ids; at most 16 are allowed");

	put_text("config.json",
		 CONFIG(",\"rope_theta\":1e4,\"tie_word_embeddings\":true,\"eos_token_id\":3"));
	put_text("generation_config.json", "{\"eos_token_id\":8}");
	struct gguf *g = convert(TENSOR_F16);
	assert_int_equal(u32_of(g, "tokenizer.ggml.eos_token_id"),
			 8); /* generation goes before config.json */
	assert_null(gguf_find(g, "tokenizer.ggml.eot_token_id"));
	gguf_close(g);
	put_text("generation_config.json", "{\"eos_token_id\":[5,5,6,7]}");
	g = convert(TENSOR_F16);
	assert_int_equal(u32_of(g, "tokenizer.ggml.eos_token_id"), 5);
	assert_int_equal(u32_of(g, "tokenizer.ggml.eot_token_id"), 6);
	assert_string_equal(
		notes, "eos_token_id 3 of config.json is not in generation_config.json, whose ends count\n"
		       "the end token 7 is left out: GGUF names two, 5 and 6\n");
	gguf_close(g);
	drop("generation_config.json");
	g = convert(TENSOR_F16);
	assert_int_equal(u32_of(g, "tokenizer.ggml.eos_token_id"), 3);
	gguf_close(g);
	drop("out.gguf");
	put_text("tokenizer_config.json", "{\"add_bos_token\":true}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "add_bos_token is true, but there is no bos_token");
}

static void test_bad_weights(void **state)
{
	(void)state;
	put_weights("BF16", N_TIED - 1, 0, NULL);
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "the weights have no tensor \"model.norm.weight\"");
	put_weights("BF16", N_TIED, 0,
		    ",\"model.extra\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "tensor \"model.extra\" has no place in a Qwen2ForCausalLM");
	put_weights("BF16", N_TIED, 0,
		    ",\"model.layers.0.self_attn.rotary_emb.inv_freq\":{\"dtype\":\"F32\",\"shape\":[0],"
		    "\"data_offsets\":[0,0]}");
	gguf_close(convert(TENSOR_F16));
	drop("out.gguf");
	put_weights("I16", N_TIED, 0, NULL); /* two bytes, as BF16's encoding */
	refuse(TENSOR_F16, HOKKU_INVALID_REQUEST,
	       "tensor \"model.embed_tokens.weight\" is I16; hokku converts F32, F16, BF16 and F64");
	put_weights("F32", N_TIED, NAN, NULL);
	refuse(TENSOR_F32, HOKKU_BAD_FILE,
	       "gate_proj.weight\", element 3 is nan; a finite float32 is wanted");
	put_weights("F32", N_TIED, -INFINITY, NULL);
	refuse(TENSOR_Q8_0, HOKKU_BAD_FILE,
	       "gate_proj.weight\", element 3 is -inf; a finite float32 is wanted");
	put_weights("F32", N_TIED, 65520, NULL);
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "element 3 is 65520; F16 holds up to 65504: take BF16 or F32");
	gguf_close(convert(TENSOR_BF16));
	drop("out.gguf");
	for (poison_at = 0; poison_at < 40 * 32; poison_at += 40 * 32 - 1) { /* the first and the last */
		char message[64];
		put_weights("F32", N_TIED, NAN, NULL);
		snprintf(message, sizeof message, "gate_proj.weight\", element %zu is nan", poison_at);
		refuse(TENSOR_F16, HOKKU_BAD_FILE, message);
	}
	poison_at = 3;
	put_weights("F32", N_TIED, 65519, NULL);
	gguf_close(convert(TENSOR_F16)); /* rounds to 65504 */
	drop("out.gguf");
	put_text("config.json", CONFIG(",\"rope_theta\":1e4,\"tie_word_embeddings\":false"));
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "the weights have no tensor \"lm_head.weight\", and tie_word_embeddings is false, so that the embedding");
	put_weights("BF16", N_TIED, 0, NULL);
	char *eight = strdup(GOOD_CONFIG), *size = strstr(eight, "\"vocab_size\":9");
	size[strlen("\"vocab_size\":")] = '8'; /* of which the embedding has one row more */
	put_text("config.json", eight);
	free(eight);
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "\"model.embed_tokens.weight\" has the shape [9, 32]; config.json makes it [8, 32] "
	       "(vocab_size, "
	       "hidden_size)");
	put_text("config.json", CONFIG(",\"rope_theta\":1e4,\"head_dim\":16"));
	refuse(TENSOR_F16, HOKKU_BAD_FILE,
	       "tensor \"model.layers.0.self_attn.q_proj.weight\" has the shape [32, 32]; config.json makes "
	       "it [64, 32]");
	drop("model.safetensors");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND,
	       "holds neither model.safetensors nor model.safetensors.index.json");
}

/* model.safetensors of one F32 tensor with that name. */
static void put_one(const char *name)
{
	struct strbuf file = {0}, header = {0};
	strbuf_addf(&header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", name);
	uint64_t length = header.len;
	strbuf_add(&file, &length, 8);
	strbuf_add(&file, header.ptr, header.len);
	strbuf_add(&file, "\0\0\0\0", 4);
	put("model.safetensors", file.ptr, file.len);
	strbuf_free(&file);
	strbuf_free(&header);
}

/* What was found is said, not only what is missing. */
static void test_foreign_tensors(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"_orig_mod.model.embed_tokens.weight", "but \"_orig_mod.model.embed_tokens.weight\": names "
							"begin with \"_orig_mod.\", as torch.compile "
							"wraps"},
		{"base_model.model.model.embed_tokens.weight",
		 "names begin with \"base_model.model.\", as PEFT wraps a model; merge it into its base "
		 "model"},
		{"module.model.embed_tokens.weight", "names begin with \"module.\", as DataParallel wraps"},
		{"module._orig_mod.model.embed_tokens.weight",
		 "names begin with \"module._orig_mod.\", as Data"},
		{"model.language_model.model.embed_tokens.weight",
		 "names begin with \"model.language_model.\", as models with more than text have it"},
		{"model.language_model.embed_tokens.weight",
		 "but \"model.language_model.embed_tokens.weight\" (as models with more than text have it;"},
		{"model._orig_mod.embed_tokens.weight",
		 "but \"model._orig_mod.embed_tokens.weight\" (as torch.compile wraps a model; save model._orig_mod)"},
		{"x.model.embed_tokens.weight", "names begin with \"x.\"; rename the tensors"},
		{"embed_tokens.weight", "but \"embed_tokens.weight\": they are a model's without its head"},
		{"model.embed_tokens.qweight", "but \"model.embed_tokens.qweight\" (quantised as by GPTQ or "
					       "AWQ; hokku converts plain weights)"},
		{"base_model.model.model.embed_tokens.base_layer.weight",
		 "base_layer.weight\" (of a model with an adapter; merge it"},
		{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
		 "the first of their 1 is \"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight\" "
		 "(a "
		 "LoRA adapter's; merge it into its base model (peft: merge_and_unload), save that and "
		 "convert "
		 "it)"},
		{"transformer.wte.weight", "; the first of their 1 is \"transformer.wte.weight\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put_one(rows[i][0]);
		refuse(TENSOR_F16, HOKKU_BAD_FILE, rows[i][1]);
		refuse(TENSOR_F16, HOKKU_BAD_FILE,
		       "the weights have no tensor \"model.embed_tokens.weight\"");
	}
	static const char empty[] = "\2\0\0\0\0\0\0\0{}";
	put("model.safetensors", empty, sizeof empty - 1);
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "no tensor \"model.embed_tokens.weight\", and none at all");
	put_weights("BF16", N_TIED, 0,
		    ",\"model.layers.0.mlp.up_proj.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[0],\"data_"
		    "offsets\":[0,0]}");
	refuse(TENSOR_F16, HOKKU_BAD_FILE, "has no place in a Qwen2ForCausalLM (a LoRA adapter's; merge it");
}

/* Folders that hold something else. */
static void test_other_folders(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"pytorch_model.bin", "but pytorch_model.bin: PyTorch's pickles, which hokku does not read"},
		{"pytorch_model-00001-of-00002.bin",
		 "but pytorch_model-00001-of-00002.bin: PyTorch's pickles"},
		{"pytorch_model.bin.index.json", "but pytorch_model.bin.index.json: PyTorch's pickles"},
		{"adapter_model.safetensors",
		 "but adapter_model.safetensors: an adapter (PEFT), which changes"},
		{"adapter_model.bin", "but adapter_model.bin: an adapter (PEFT)"},
		{"model-00001-of-00002.safetensors", "shards without model.safetensors.index.json"},
		{"weights.safetensors", "but weights.safetensors: no name of a whole model's weights"},
		{"qwen.gguf", "but qwen.gguf: a model in hokku's own format already; give it as MODEL"},
		{"consolidated.00.pth", "but consolidated.00.pth: the layout of the model's maker"},
		{"tf_model.h5", "but tf_model.h5: TensorFlow's"},
		{"flax_model.msgpack", "but flax_model.msgpack: Flax's"},
		{"model.pt", "but model.pt: PyTorch's pickle"},
		{"model.onnx", "but model.onnx: ONNX"},
	};
	struct convert_options o = options(TENSOR_F16);
	struct hokku_error err = {0};
	drop("model.safetensors");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND,
	       "holds neither model.safetensors nor model.safetensors.index.json");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put_text(rows[i][0], "");
		assert_int_equal(convert_hf(&o, &err), HOKKU_NOT_FOUND);
		if (!strstr(err.message, rows[i][1]))
			fail_msg("%s lacks %s", err.message, rows[i][1]);
		drop(rows[i][0]);
	}
	/* a shard that is not there is told by its name, whatever else is */
	put_text("model-00001-of-00002.safetensors", "");
	put_text("model.safetensors.index.json",
		 "{\"weight_map\":{\"a\":\"model-00002-of-00002.safetensors\"}}");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND, "/model-00002-of-00002.safetensors: No such file or directory");
	drop("model.safetensors.index.json");
	drop("model-00001-of-00002.safetensors");
	put_text("z.bin", ""); /* the most telling one is told */
	put_text("adapter_model.safetensors", "");
	put_text("pytorch_model.bin", "");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND, "but adapter_model.safetensors: ");
	drop("adapter_model.safetensors");
	drop("config.json");
	put_text("adapter_config.json", "{\"r\":NaN,\"base_model_name_or_path\":\"Qwen/Qwen2.5-0.5B\"}");
	refuse(TENSOR_F16, HOKKU_INVALID_REQUEST,
	       "it has no config.json, but adapter_config.json: it is an adapter (PEFT) of "
	       "\"Qwen/Qwen2.5-0.5B\", "
	       "not a model; merge it");
	put_text("adapter_config.json", "{\"base_model_name_or_path\":null}");
	refuse(TENSOR_F16, HOKKU_INVALID_REQUEST, "(PEFT) of another model, not a model");
	put_text("adapter_config.json", "no JSON");
	refuse(TENSOR_F16, HOKKU_INVALID_REQUEST, "(PEFT) of another model, not a model");
	drop("adapter_config.json");
	put_text("params.json", "{}");
	refuse(TENSOR_F16, HOKKU_INVALID_REQUEST, "no config.json, but params.json: it is in the layout");
	drop("params.json");
	put_text("model_index.json", "{}");
	refuse(TENSOR_F16, HOKKU_INVALID_REQUEST, "no config.json, but model_index.json: it is a pipeline");
	drop("model_index.json");
	drop("z.bin");
	drop("pytorch_model.bin");
	refuse(TENSOR_F16, HOKKU_NOT_FOUND, "config.json: No such file or directory");
}

static double last_part;
static int n_whole;

/* From 0 to 1, rising, and 1 once. */
static void take_progress(void *user, double part)
{
	(void)user;
	assert_true(part > last_part && part <= 1);
	last_part = part;
	n_whole += part == 1;
}

/* A matrix of several pieces; the token 0 as an id; the progress of it all. */
static void test_large(void **state)
{
	(void)state;
	enum { N_VOCAB = 5000 }; /* of 32: more than two pieces of 65,536 */
	struct convert_options o = options(TENSOR_F32);
	struct hokku_error err;
	struct gguf *g;
	char *config = strdup(GOOD_CONFIG), *size = strstr(config, "\"vocab_size\":9"), text[1024];
	*size = '\0';
	snprintf(text, sizeof text, "%s\"vocab_size\":%d%s", config, N_VOCAB,
		 size + strlen("\"vocab_size\":9"));
	free(config);
	put_text("config.json", text);
	put_text("generation_config.json", "{\"bos_token_id\":0}");
	tensors[0].rows = N_VOCAB;
	put_weights("BF16", N_TIED, 0, NULL);
	o.observer.progress = take_progress;
	last_part = 0;
	n_whole = 0;
	if (convert_hf(&o, &err) || open_in_memory(out_path, &g, &err))
		fail_msg("%s", err.message);
	assert_int_equal(n_whole, 1);
	assert_true(last_part == 1);
	assert_int_equal(u32_of(g, "tokenizer.ggml.bos_token_id"), 0);
	const struct gguf_tensor *x = gguf_tensor_at(g, 0);
	assert_int_equal(x->n_elements, N_VOCAB * 32);
	for (size_t i = 0; i < x->n_elements; i++) {
		float found;
		memcpy(&found, (const char *)x->data + 4 * i, 4);
		assert_true(found == element(0, i));
	}
	gguf_close(g);
	tensors[0].rows = 9;
}

static void test_interrupted(void **state)
{
	(void)state;
	struct convert_options o = options(TENSOR_F16);
	struct hokku_error err;
	n_stops = 0;
	n_whole = 0;
	last_part = 0;
	o.observer.stopped = stop_late;
	o.observer.progress = take_progress;
	assert_int_equal(convert_hf(&o, &err), HOKKU_CANCELLED);
	assert_int_equal(n_whole, 0); /* what was not done is not told as done */
	assert_non_null(strstr(err.message, "interrupted"));
	assert_int_equal(access(out_path, F_OK), -1);
}

static void test_output_over_an_input(void **state)
{
	(void)state;
	char path[160];
	struct stat before, after;
	struct hokku_error err = {0};
	snprintf(path, sizeof path, "%s/model.safetensors", folder);
	assert_int_equal(stat(path, &before), 0);
	struct convert_options o = options(TENSOR_F16);
	o.out = path;
	assert_int_equal(convert_hf(&o, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "which the conversion reads; name another file for its result"));
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
}

static off_t cut_to;

static void cut_weights(void *user, double part)
{
	char path[160];
	(void)user;
	(void)part;
	snprintf(path, sizeof path, "%s/model.safetensors", folder);
	if (cut_to >= 0)
		assert_int_equal(truncate(path, cut_to), 0);
	else /* only touched */
		assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[2]){{1, 0}, {1, 0}}, 0), 0);
}

/* The folder's files may be cut or written to while they are converted: an error, and no file. */
static void test_weights_that_change(void **state)
{
	(void)state;
	static const off_t cuts[] = {0, 100, 3000, -1};
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		struct hokku_error err = {0};
		good_folder(NULL);
		struct convert_options o = options(TENSOR_F16);
		o.observer.progress = cut_weights;
		cut_to = cuts[i];
		assert_int_equal(convert_hf(&o, &err), HOKKU_IO_ERROR);
		assert_non_null(
			strstr(err.message, cuts[i] < 0 ? "model.safetensors: was changed while it was read"
							: "model.safetensors: "));
		assert_int_equal(access(out_path, F_OK), -1);
	}
}

#define TEST(name) cmocka_unit_test_setup(test_##name, good_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(metadata),
		TEST(sampling),
		TEST(source_types),
		TEST(q8_0),
		TEST(output_over_an_input),
		TEST(weights_that_change),
		TEST(tied_and_untied),
		TEST(vocab_only),
		TEST(other_tokenizers),
		TEST(bad_config),
		TEST(split_tokenizers),
		TEST(templates),
		TEST(bad_tokenizer),
		TEST(ids),
		TEST(bad_weights),
		TEST(interrupted),
		TEST(large),
		TEST(foreign_tensors),
		TEST(other_folders),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
