/* Synthetic models: moments of every format, the mixes' rule, fallbacks, seeds, the vocabulary. */
#include "convert/synth.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "gguf/gguf.h"
#include "in_memory.h"
#include "model/format.h"

static char folder[] = "/tmp/hokku-synth-XXXXXX";
static char config_path[128], out_path[128], other_path[128];
static char notes[1024];
static double last_part;
static int n_stops;

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(config_path, sizeof config_path, "%s/shape.json", folder);
	snprintf(out_path, sizeof out_path, "%s/out.gguf", folder);
	snprintf(other_path, sizeof other_path, "%s/other.gguf", folder);
	return 0;
}

static int drop_folder(void **state)
{
	(void)state;
	unlink(config_path);
	unlink(out_path);
	unlink(other_path);
	return rmdir(folder);
}

static void put_config(uint32_t d, uint32_t ff, uint32_t layers, uint32_t vocab, const char *more)
{
	FILE *f = fopen(config_path, "w");
	assert_non_null(f);
	fprintf(f,
		"{\"model_type\":\"qwen2\",\"hidden_size\":%u,\"intermediate_size\":%u,\"num_hidden_layers\":"
		"%u,"
		"\"num_attention_heads\":2,\"num_key_value_heads\":1,\"vocab_size\":%u,\"max_position_"
		"embeddings\":128,"
		"\"rope_theta\":10000.0,\"rms_norm_eps\":1e-06%s}",
		d, ff, layers, vocab, more);
	fclose(f);
}

static void take_note(void *user, const char *text)
{
	(void)user;
	size_t n = strlen(notes);
	snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static void take_part(void *user, double part)
{
	(void)user;
	assert_true(part >= last_part && part <= 1);
	last_part = part;
}

static bool stop_late(void *user)
{
	(void)user;
	return ++n_stops > 5;
}

static struct gguf *synth(const char *type, uint64_t seed, const char *path)
{
	const struct synth_options o = {.shape = config_path,
					.type = type,
					.out = path,
					.seed = seed,
					.observer = {.note = take_note, .progress = take_part}};
	struct hokku_error err = {0};
	struct gguf *g;
	notes[0] = '\0';
	last_part = 0;
	if (synth_model(&o, &err) || open_in_memory(path, &g, &err))
		fail_msg("%s", err.message);
	assert_true(last_part == 1);
	return g;
}

static enum tensor_type type_of(const struct gguf *g, const char *name)
{
	const struct gguf_tensor *t = gguf_find_tensor(g, name);
	assert_non_null(t);
	return t->type;
}

/* Mean and standard deviation of a tensor's first elements, at most 2^20. */
static void moments(const struct gguf_tensor *t, double *mean, double *deviation)
{
	size_t n = t->n_elements < 1 << 20 ? (size_t)t->n_elements : 1 << 20;
	float *x = malloc(n * sizeof *x);
	assert_non_null(x);
	format_get(t->type)->dequantise(t->data, x, n);
	double sum = 0, squares = 0;
	for (size_t i = 0; i < n; i++) {
		assert_true(isfinite(x[i]));
		sum += (double)x[i];
		squares += (double)x[i] * (double)x[i];
	}
	*mean = sum / (double)n;
	*deviation = sqrt(squares / (double)n - *mean * *mean);
	free(x);
}

/* 1/sqrt(columns), within two hundredths: some 130,000 elements are good to a few thousandths. */
static void test_moments(void **state)
{
	(void)state;
	put_config(256, 1024, 1, 512, "");
	for (const char *const *type = synth_types(); *type; type++) {
		struct gguf *g = synth(*type, 1, out_path);
		static const char *const names[] = {"token_embd.weight", "blk.0.ffn_up.weight",
						    "blk.0.ffn_down.weight", "output.weight"};
		double mean, deviation;
		for (size_t i = 0; i < 4; i++) {
			const struct gguf_tensor *t = gguf_find_tensor(g, names[i]);
			assert_non_null(t);
			double wanted = 1 / sqrt((double)t->dims[0]);
			moments(t, &mean, &deviation);
			if (fabs(deviation / wanted - 1) > 0.02 || fabs(mean / wanted) > 0.01)
				fail_msg("%s %s: mean %g, deviation %g, wanted 0 and %g", *type, names[i],
					 mean, deviation, wanted);
		}
		moments(gguf_find_tensor(g, "output_norm.weight"), &mean, &deviation);
		assert_true(fabs(mean - 1) < 0.05 && deviation > 0.05 && deviation < 0.2);
		moments(gguf_find_tensor(g, "blk.0.attn_q.bias"), &mean, &deviation);
		assert_true(fabs(mean) < 0.05 && deviation > 0.02 && deviation < 0.1);
		gguf_close(g);
	}
}

static void test_plain_types(void **state)
{
	(void)state;
	put_config(256, 256, 1, 300, "");
	static const struct {
		const char *name;
		enum tensor_type type;
		uint32_t file_type; /* enum llama_ftype of llama.h */
	} types[] = {
		{"F32", TENSOR_F32, 0},    {"f16", TENSOR_F16, 1},        {"BF16", TENSOR_BF16, 32},
		{"Q4_0", TENSOR_Q4_0, 2},  {"Q4_1", TENSOR_Q4_1, 3},      {"Q5_0", TENSOR_Q5_0, 8},
		{"Q5_1", TENSOR_Q5_1, 9},  {"q8_0", TENSOR_Q8_0, 7},      {"Q4_K", TENSOR_Q4_K, 14},
		{"Q5_K", TENSOR_Q5_K, 16}, {"Q6_K", TENSOR_Q6_K, 18},     {"Q2_K", TENSOR_Q2_K, 10},
		{"Q3_K", TENSOR_Q3_K, 11}, {"IQ4_NL", TENSOR_IQ4_NL, 25}, {"iq4_xs", TENSOR_IQ4_XS, 30},
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct gguf *g = synth(types[i].name, 1, out_path);
		uint32_t file_type = UINT32_MAX;
		assert_int_equal(gguf_get_u32(g, "general.file_type", &file_type, NULL, NULL), HOKKU_OK);
		assert_int_equal(file_type, types[i].file_type);
		assert_int_equal(gguf_n_tensors(g), 15);
		for (uint64_t t = 0; t < gguf_n_tensors(g); t++) {
			const struct gguf_tensor *x = gguf_tensor_at(g, t);
			assert_int_equal(x->type, x->n_dims == 1 ? TENSOR_F32 : types[i].type);
		}
		assert_string_equal(notes, "");
		gguf_close(g);
	}
}

/* Which layers get more bits, counted out by hand from llama.cpp's use_more_bits. */
static void test_mix(void **state)
{
	(void)state;
	static const struct {
		uint32_t layers;
		const char *more; /* a letter a layer: 6 or 4 */
	} cases[] = {
		{24, "666446446446446446446666"},
		{28, "6664464464464464464464466666"},
		{4, "4466"},
	};
	for (size_t c = 0; c < 3; c++) {
		put_config(256, 256, cases[c].layers, 300, "");
		struct gguf *g = synth("Q4_K_M", 1, out_path);
		for (uint32_t i = 0; i < cases[c].layers; i++) {
			char name[64];
			bool more = cases[c].more[i] == '6';
			snprintf(name, sizeof name, "blk.%u.attn_v.weight", i);
			assert_int_equal(type_of(g, name), more ? TENSOR_Q6_K : TENSOR_Q4_K);
			snprintf(name, sizeof name, "blk.%u.ffn_down.weight", i);
			assert_int_equal(type_of(g, name), more ? TENSOR_Q6_K : TENSOR_Q4_K);
			snprintf(name, sizeof name, "blk.%u.attn_q.weight", i);
			assert_int_equal(type_of(g, name), TENSOR_Q4_K);
		}
		assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_Q4_K);
		assert_int_equal(type_of(g, "output.weight"), TENSOR_Q6_K);
		gguf_close(g);
	}
	put_config(256, 256, 1, 300, ",\"tie_word_embeddings\":true");
	struct gguf *g = synth("Q4_K_M", 1, out_path);
	assert_null(gguf_find_tensor(g, "output.weight"));
	assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_Q6_K); /* the output is read from it */
	gguf_close(g);
}

static void test_fallbacks(void **state)
{
	(void)state;
	put_config(96, 256, 8, 300, ""); /* rows of 96: no 256s, but 32s */
	struct gguf *g = synth("Q4_K_M", 1, out_path);
	assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_Q5_0);
	assert_int_equal(type_of(g, "output.weight"), TENSOR_Q8_0);
	assert_int_equal(type_of(g, "blk.0.attn_v.weight"), TENSOR_Q8_0);
	assert_int_equal(type_of(g, "blk.1.attn_v.weight"), TENSOR_Q5_0);
	assert_int_equal(type_of(g, "blk.0.ffn_down.weight"), TENSOR_Q6_K);
	assert_int_equal(type_of(g, "blk.1.ffn_down.weight"), TENSOR_Q4_K);
	assert_string_equal(
		notes,
		"token_embd.weight and its like: rows of 96 are no multiple of Q4_K's 256; written as Q5_0\n"
		"blk.0.attn_v.weight and its like: rows of 96 are no multiple of Q6_K's 256; written as "
		"Q8_0\n");
	gguf_close(g);
	g = synth("Q5_K_M", 1, out_path);
	assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_Q5_1);
	gguf_close(g);
	static const char *const small[] = {"Q2_K", "Q3_K", "IQ4_XS"};
	for (size_t i = 0; i < 3; i++) {
		g = synth(small[i], 1, out_path);
		assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_IQ4_NL);
		gguf_close(g);
	}
	put_config(48, 96, 1, 300, ""); /* rows of 48: not even 32s */
	g = synth("Q8_0", 1, out_path);
	assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_F16);
	assert_int_equal(type_of(g, "blk.0.ffn_down.weight"), TENSOR_Q8_0);
	gguf_close(g);
	g = synth("Q6_K", 1, out_path);
	assert_int_equal(type_of(g, "token_embd.weight"), TENSOR_F16);
	gguf_close(g);
}

static bool same_data(const struct gguf *a, const struct gguf *b, const char *name)
{
	const struct gguf_tensor *x = gguf_find_tensor(a, name), *y = gguf_find_tensor(b, name);
	assert_non_null(x);
	assert_non_null(y);
	return x->n_bytes == y->n_bytes && memcmp(x->data, y->data, x->n_bytes) == 0;
}

static void test_seeds(void **state)
{
	(void)state;
	put_config(256, 512, 2, 300, "");
	struct gguf *a = synth("Q4_K_M", 7, out_path), *b = synth("Q4_K_M", 7, other_path);
	for (uint64_t i = 0; i < gguf_n_tensors(a); i++) {
		char name[64];
		snprintf(name, sizeof name, "%.*s", STR_ARG(gguf_tensor_at(a, i)->name));
		assert_true(same_data(a, b, name));
	}
	gguf_close(b);
	b = synth("Q4_K_M", 7 + (UINT64_C(1) << 40), other_path); /* every bit of the seed counts */
	assert_false(same_data(a, b, "blk.0.attn_q.weight"));
	gguf_close(b);
	assert_false(memcmp(gguf_find_tensor(a, "blk.0.attn_q.weight")->data,
			    gguf_find_tensor(a, "blk.1.attn_q.weight")->data, 4096) == 0);
	assert_false(memcmp(gguf_find_tensor(a, "blk.0.ffn_up.weight")->data,
			    gguf_find_tensor(a, "blk.0.ffn_gate.weight")->data, 4096) == 0);
	gguf_close(a);
	/* A tensor does not depend on what was written before it. */
	a = synth("Q8_0", 7, out_path);
	put_config(256, 512, 3, 400, ",\"tie_word_embeddings\":true");
	b = synth("Q8_0", 7, other_path);
	assert_true(same_data(a, b, "blk.1.ffn_down.weight"));
	assert_true(same_data(a, b, "output_norm.weight"));
	gguf_close(a);
	gguf_close(b);
}

static int by_text(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
	return order ? order : (int)x->len - (int)y->len;
}

static bool is_token(const struct str *sorted, size_t n, const char *text, size_t len)
{
	const struct str key = {text, len};
	return bsearch(&key, sorted, n, sizeof key, by_text) != NULL;
}

/* Every token once; every merge of two tokens that stand before the one it makes; special tokens last. */
static void check_vocab(const struct gguf *g, uint32_t n)
{
	struct gguf_array tokens, merges;
	struct gguf_array_iter it;
	struct gguf_value v;
	assert_int_equal(gguf_get_array(g, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, NULL, NULL),
			 HOKKU_OK);
	assert_int_equal(tokens.n, n);
	struct str *list = calloc(n, sizeof *list), *sorted = calloc(n, sizeof *sorted);
	assert_true(list && sorted);
	gguf_array_iter_init(&it, &tokens);
	for (uint32_t i = 0; gguf_array_next(&it, &v); i++)
		list[i] = sorted[i] = v.string;
	qsort(sorted, n, sizeof *sorted, by_text);
	for (uint32_t i = 1; i < n; i++)
		assert_true(by_text(&sorted[i - 1], &sorted[i]) < 0);
	assert_true(str_eq_c(list[0], "!") && str_eq_c(list[n - 3], "<|endoftext|>"));
	assert_true(str_eq_c(list[n - 2], "<|im_start|>") && str_eq_c(list[n - 1], "<|im_end|>"));
	assert_int_equal(gguf_get_array(g, "tokenizer.ggml.merges", GGUF_STRING, &merges, NULL, NULL),
			 HOKKU_OK);
	assert_int_equal(merges.n, n - 259);
	gguf_array_iter_init(&it, &merges);
	for (uint32_t i = 0; gguf_array_next(&it, &v); i++) {
		const char *space = memchr(v.string.ptr, ' ', v.string.len);
		assert_non_null(space);
		size_t head = (size_t)(space - v.string.ptr), tail = v.string.len - head - 1;
		assert_true(is_token(sorted, n, v.string.ptr, head) && is_token(sorted, n, space + 1, tail));
		struct str whole = list[256 + i];
		assert_int_equal(whole.len, head + tail);
		assert_memory_equal(whole.ptr, v.string.ptr, head);
		assert_memory_equal(whole.ptr + head, space + 1, tail);
	}
	free(list);
	free(sorted);
}

static void test_vocabulary(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {259, 260, 962, 40000};
	for (size_t i = 0; i < 4; i++) {
		put_config(4, 4, 1, sizes[i], "");
		struct gguf *g = synth("F16", 1, out_path);
		check_vocab(g, sizes[i]);
		gguf_close(g);
	}
}

static void refuse(const char *shape, const char *type, enum hokku_code code, const char *text)
{
	const struct synth_options o = {.shape = shape,
					.type = type,
					.out = other_path,
					.observer = {.stopped = code == HOKKU_CANCELLED ? stop_late : NULL}};
	struct hokku_error err = {0};
	unlink(other_path);
	enum hokku_code rc = synth_model(&o, &err);
	if (rc != code || !strstr(err.message, text))
		fail_msg("code %s\n  found  %s\n  wanted %s", hokku_code_name(rc), err.message, text);
	assert_int_equal(access(other_path, F_OK), -1);
}

static void test_refused(void **state)
{
	(void)state;
	put_config(256, 256, 1, 258, "");
	refuse(config_path, "F16", HOKKU_INVALID_REQUEST,
	       "vocab_size is 258; a made-up vocabulary has at least 259 tokens");
	refuse("qwen", "F16", HOKKU_INVALID_REQUEST,
	       "the shape is \"qwen\"; it must be qwen2.5-0.5b, qwen2.5-7b, qwen3-0.6b, qwen3-4b, "
	       "llama-3.1-8b, phi-3-mini, gemma-3-4b or a config.json's path");
	refuse("none.json", "F16", HOKKU_NOT_FOUND, "none.json: No such file or directory");
	refuse("qwen2.5-0.5b", "Q8_K", HOKKU_INVALID_REQUEST,
	       "the type is \"Q8_K\"; it must be one of F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, "
	       "Q5_1, Q4_K, Q5_K, Q6_K, Q2_K, Q3_K, IQ4_NL, IQ4_XS, Q4_K_M, Q5_K_M");
	refuse("qwen2.5-0.5b", "best", HOKKU_INVALID_REQUEST, "the type is \"best\"; it must be one of");
	n_stops = 0;
	refuse("qwen2.5-7b", "Q4_K_M", HOKKU_CANCELLED, "interrupted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments), cmocka_unit_test(test_plain_types),
		cmocka_unit_test(test_mix),     cmocka_unit_test(test_fallbacks),
		cmocka_unit_test(test_seeds),   cmocka_unit_test(test_vocabulary),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
