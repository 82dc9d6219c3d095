/*
 * The tiny models of golden/models, made again from their recipe: weights come from Philox words, so no file
 * of weights is stored. README.md in golden/models is the recipe; make.py follows it in numpy and asks
 * transformers for the logits.
 */
#ifndef TEST_TINY_MODEL_H
#define TEST_TINY_MODEL_H

#include <jansson.h>

#include "base/half.h"
#include "base/rng.h"
#include "gguf/writer.h"
#include "golden.h"
#include "model/format.h"

struct tiny {
	const char *name;
	uint64_t seed;
	uint32_t n_layers, d_model, n_heads, n_kv_heads, d_ff, n_vocab;
	bool tied;
	float rope_theta, norm_eps;
	int32_t *prompt, *greedy;
	uint32_t n_prompt, n_greedy;
	const char *formats[16]; /* NULL-terminated; "MIXED" or a block format */
};

struct tiny_set {
	json_t *root;
	struct tiny models[16];
	size_t n_models;
	enum tensor_type mixed[16]; /* the types of MIXED's matrices, over and over */
	size_t n_mixed;
};

/* A fixture that cannot be made ends the test program. */
#define TINY_NEED(condition)                                                                                \
	do {                                                                                                \
		if (!(condition)) {                                                                         \
			fprintf(stderr, "%s:%d: the golden model cannot be made: %s\n", __FILE__, __LINE__, \
				#condition);                                                                \
			exit(1);                                                                            \
		}                                                                                           \
	} while (0)

GOLDEN_INLINE int32_t *tiny_ids(const json_t *array, uint32_t *n)
{
	*n = (uint32_t)json_array_size(array);
	int32_t *ids = calloc(*n + 1, sizeof *ids);
	for (uint32_t i = 0; i < *n; i++)
		ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
	return ids;
}

GOLDEN_INLINE uint32_t tiny_u32(const json_t *object, const char *key)
{
	TINY_NEED(json_is_integer(json_object_get(object, key)));
	return (uint32_t)json_integer_value(json_object_get(object, key));
}

GOLDEN_INLINE void tiny_load(struct tiny_set *set)
{
	json_error_t err;
	*set = (struct tiny_set){.root = json_load_file(TEST_GOLDEN_DIR "/models/models.json", 0, &err)};
	TINY_NEED(set->root);
	json_t *mixed = json_object_get(set->root, "mixed"), *models = json_object_get(set->root, "models");
	for (size_t i = 0; i < json_array_size(mixed); i++)
		TINY_NEED(tensor_type_by_name(str_c(json_string_value(json_array_get(mixed, i))),
					      &set->mixed[set->n_mixed++]));
	TINY_NEED(json_array_size(models) > 0 && json_array_size(models) <= 16);
	for (size_t i = 0; i < json_array_size(models); i++) {
		json_t *m = json_array_get(models, i), *formats = json_object_get(m, "formats");
		struct tiny *t = &set->models[set->n_models++];
		*t = (struct tiny){
			.name = json_string_value(json_object_get(m, "name")),
			.seed = tiny_u32(m, "seed"),
			.n_layers = tiny_u32(m, "n_layers"),
			.d_model = tiny_u32(m, "d_model"),
			.n_heads = tiny_u32(m, "n_heads"),
			.n_kv_heads = tiny_u32(m, "n_kv_heads"),
			.d_ff = tiny_u32(m, "d_ff"),
			.n_vocab = tiny_u32(m, "n_vocab"),
			.tied = json_is_true(json_object_get(m, "tied")),
			.rope_theta = (float)json_number_value(json_object_get(m, "rope_theta")),
			.norm_eps = (float)json_number_value(json_object_get(m, "norm_eps")),
		};
		t->prompt = tiny_ids(json_object_get(m, "prompt"), &t->n_prompt);
		t->greedy = tiny_ids(json_object_get(m, "greedy"), &t->n_greedy);
		for (size_t f = 0; f < json_array_size(formats) && f < 15; f++)
			t->formats[f] = json_string_value(json_array_get(formats, f));
	}
}

GOLDEN_INLINE void tiny_free(struct tiny_set *set)
{
	for (size_t i = 0; i < set->n_models; i++) {
		free(set->models[i].prompt);
		free(set->models[i].greedy);
	}
	json_decref(set->root);
}

GOLDEN_INLINE const struct tiny *tiny_find(const struct tiny_set *set, const char *name)
{
	for (size_t i = 0; i < set->n_models; i++)
		if (strcmp(set->models[i].name, name) == 0)
			return &set->models[i];
	fprintf(stderr, "there is no golden model %s\n", name);
	exit(1);
}

/* ---- the recipe ---- */

enum tiny_kind { TINY_MATRIX, TINY_NORM, TINY_BIAS };

struct tiny_tensor {
	char name[64];
	uint32_t rows, cols; /* rows 0: a vector */
	enum tiny_kind kind;
	enum tensor_type type;
	uint32_t stream;
};

/* n 32-bit words of a stream into out, which has room for n + 3. */
GOLDEN_INLINE void tiny_words(const struct tiny *t, uint32_t stream, size_t n, uint32_t *out)
{
	for (size_t i = 0; i < n; i += 4) {
		uint32_t words[4];
		rng_words(t->seed, stream, i / 4, words);
		memcpy(out + i, words, sizeof words);
	}
}

/* In [-1, 1), a multiple of 2^-23. */
GOLDEN_INLINE float tiny_uniform(uint32_t word)
{
	return (float)((int32_t)(word >> 8) - (1 << 23)) * 0x1p-23f;
}

/* The k with 4^k <= cols < 4^(k+1): matrices have elements of about 2^-k. */
GOLDEN_INLINE int tiny_shift(uint32_t cols)
{
	int k = 0;
	while (1ull << 2 * (k + 1) <= cols)
		k++;
	return k;
}

/* Turns random bytes into sane blocks: scales get the exponent that makes elements of about 2^-shift. */
GOLDEN_INLINE void tiny_set_scales(enum tensor_type type, int shift, uint8_t *blocks, size_t n_blocks)
{
	static const struct {
		enum tensor_type type;
		int d_at, m_at, m_shift, deviation; /* m_at -1: there is no second scale */
		bool adds;                          /* m is added, otherwise taken away */
	} rows[] = {
		{TENSOR_Q8_0, 0, -1, 0, 6, false},   {TENSOR_Q4_0, 0, -1, 0, 2, false},
		{TENSOR_Q4_1, 0, 2, 3, 2, true},     {TENSOR_Q5_0, 0, -1, 0, 3, false},
		{TENSOR_Q5_1, 0, 2, 4, 3, true},     {TENSOR_Q4_K, 0, 2, 3, 8, false},
		{TENSOR_Q5_K, 0, 2, 4, 9, false},    {TENSOR_Q6_K, 208, -1, 0, 10, false},
		{TENSOR_Q2_K, 80, 82, 1, 4, false},  {TENSOR_Q3_K, 108, -1, 0, 5, false},
		{TENSOR_IQ4_NL, 0, -1, 0, 6, false}, {TENSOR_IQ4_XS, 0, -1, 0, 10, false},
	};
	size_t r = 0;
	while (r < sizeof rows / sizeof rows[0] && rows[r].type != type)
		r++;
	TINY_NEED(r < sizeof rows / sizeof rows[0] && 15 - shift - rows[r].deviation >= 1);
	for (size_t b = 0; b < n_blocks; b++, blocks += format_get(type)->block_bytes) {
		uint16_t half, m;
		memcpy(&half, blocks + rows[r].d_at, 2);
		half = (uint16_t)((half & 0x83F8) | (15 - shift - rows[r].deviation) << 10);
		memcpy(blocks + rows[r].d_at, &half, 2);
		m = (uint16_t)((half + (rows[r].m_shift << 10)) ^ (rows[r].adds ? 0x8000 : 0));
		if (rows[r].m_at >= 0)
			memcpy(blocks + rows[r].m_at, &m, 2);
	}
}

GOLDEN_INLINE size_t tiny_bytes(const struct tiny_tensor *w)
{
	const struct format *f = format_get(w->type);
	return (size_t)(w->rows ? w->rows : 1) * w->cols / f->block_elements * f->block_bytes;
}

/* The tensor's bytes as the file holds them; malloc'ed. */
GOLDEN_INLINE uint8_t *tiny_data(const struct tiny *t, const struct tiny_tensor *w)
{
	const struct format *f = format_get(w->type);
	size_t n = (size_t)(w->rows ? w->rows : 1) * w->cols, n_bytes = tiny_bytes(w);
	bool blocks = f->block_elements > 1;
	size_t n_words = blocks ? n_bytes / 4 + 1 : n;
	uint32_t *words = malloc((n_words + 3) * 4);
	uint8_t *out = malloc(n_bytes);
	TINY_NEED(words && out);
	tiny_words(t, w->stream, n_words, words);
	if (blocks) {
		memcpy(out, words, n_bytes);
		tiny_set_scales(w->type, tiny_shift(w->cols), out, n / f->block_elements);
	} else {
		float scale = ldexpf(1.0f, 1 - tiny_shift(w->cols)), *values = malloc(n * sizeof *values);
		TINY_NEED(values);
		for (size_t i = 0; i < n; i++) {
			float u = tiny_uniform(words[i]);
			values[i] = w->kind == TINY_NORM   ? 1.0f + u * 0.25f
				    : w->kind == TINY_BIAS ? u * 0.5f
							   : u * scale;
		}
		f->quantise(values, out, n);
		free(values);
	}
	free(words);
	return out;
}

/* The model's tensors in the order of their streams; returns how many. */
GOLDEN_INLINE size_t tiny_tensors(const struct tiny_set *set, const struct tiny *t, const char *format_name,
				  struct tiny_tensor *out)
{
	uint32_t q = t->d_model, k = t->d_model / t->n_heads * t->n_kv_heads;
	const struct {
		const char *name;
		uint32_t rows, cols;
		enum tiny_kind kind;
	} of_model[] = {{"token_embd.weight", t->n_vocab, t->d_model, TINY_MATRIX},
			{"output_norm.weight", 0, t->d_model, TINY_NORM},
			{"output.weight", t->n_vocab, t->d_model, TINY_MATRIX}},
	  of_layer[] = {{"attn_norm.weight", 0, t->d_model, TINY_NORM},
			{"attn_q.weight", q, t->d_model, TINY_MATRIX},
			{"attn_q.bias", 0, q, TINY_BIAS},
			{"attn_k.weight", k, t->d_model, TINY_MATRIX},
			{"attn_k.bias", 0, k, TINY_BIAS},
			{"attn_v.weight", k, t->d_model, TINY_MATRIX},
			{"attn_v.bias", 0, k, TINY_BIAS},
			{"attn_output.weight", t->d_model, q, TINY_MATRIX},
			{"ffn_norm.weight", 0, t->d_model, TINY_NORM},
			{"ffn_gate.weight", t->d_ff, t->d_model, TINY_MATRIX},
			{"ffn_up.weight", t->d_ff, t->d_model, TINY_MATRIX},
			{"ffn_down.weight", t->d_model, t->d_ff, TINY_MATRIX}};
	size_t n = 0, n_model = t->tied ? 2 : 3, n_matrices = 0;
	for (size_t i = 0; i < n_model + 12 * (size_t)t->n_layers; i++) {
		struct tiny_tensor *w = &out[n];
		if (i < n_model) {
			*w = (struct tiny_tensor){"", of_model[i].rows, of_model[i].cols, of_model[i].kind, 0,
						  0};
			snprintf(w->name, sizeof w->name, "%s", of_model[i].name);
		} else {
			size_t layer = (i - n_model) / 12, r = (i - n_model) % 12;
			*w = (struct tiny_tensor){"", of_layer[r].rows, of_layer[r].cols, of_layer[r].kind, 0,
						  0};
			snprintf(w->name, sizeof w->name, "blk.%zu.%s", layer, of_layer[r].name);
		}
		w->stream = (uint32_t)(100 + n++);
		w->type = TENSOR_F32;
		if (w->kind == TINY_MATRIX && strcmp(format_name, "MIXED") == 0)
			w->type = set->mixed[n_matrices++ % set->n_mixed];
		else if (w->kind == TINY_MATRIX)
			TINY_NEED(tensor_type_by_name(str_c(format_name), &w->type));
	}
	return n;
}

/* The tensor's numbers in place of its bytes: F32. */
GOLDEN_INLINE uint8_t *tiny_values(const struct tiny *t, struct tiny_tensor *w)
{
	size_t n = (size_t)(w->rows ? w->rows : 1) * w->cols;
	uint8_t *blocks = tiny_data(t, w);
	float *values = malloc(n * sizeof *values);
	TINY_NEED(values);
	format_get(w->type)->dequantise(blocks, values, n);
	free(blocks);
	w->type = TENSOR_F32;
	return (uint8_t *)values;
}

/* Writes the model as a GGUF file; `more`, unless NULL, adds keys of its own. `values`: as a file of F32 with
 * the numbers that the format's blocks stand for. */
GOLDEN_INLINE void tiny_write_as(const struct tiny_set *set, const struct tiny *t, const char *format_name,
				 bool values, const char *path,
				 void (*more)(struct gguf_writer *w, const struct tiny *t))
{
	struct hokku_error err = {0};
	struct gguf_writer *w = NULL;
	struct tiny_tensor *tensors = calloc(3 + 12 * (size_t)t->n_layers, sizeof *tensors);
	TINY_NEED(tensors && gguf_writer_create(path, &w, &err) == HOKKU_OK);
	size_t n = tiny_tensors(set, t, format_name, tensors);
	gguf_put_str(w, "general.architecture", STR_LIT("qwen2"));
	gguf_put_str(w, "general.name", str_c(t->name));
	gguf_put_u32(w, "qwen2.block_count", t->n_layers);
	gguf_put_u32(w, "qwen2.context_length", 256);
	gguf_put_u32(w, "qwen2.embedding_length", t->d_model);
	gguf_put_u32(w, "qwen2.feed_forward_length", t->d_ff);
	gguf_put_u32(w, "qwen2.attention.head_count", t->n_heads);
	gguf_put_u32(w, "qwen2.attention.head_count_kv", t->n_kv_heads);
	gguf_put_f32(w, "qwen2.attention.layer_norm_rms_epsilon", t->norm_eps);
	gguf_put_f32(w, "qwen2.rope.freq_base", t->rope_theta);
	if (more)
		more(w, t);
	for (size_t i = 0; i < n; i++) {
		const uint64_t dims[] = {tensors[i].cols, tensors[i].rows};
		gguf_put_tensor(w, tensors[i].name, values ? TENSOR_F32 : tensors[i].type,
				tensors[i].rows ? 2 : 1, dims);
	}
	TINY_NEED(gguf_writer_begin_data(w, &err) == HOKKU_OK);
	for (size_t i = 0; i < n; i++) {
		uint8_t *data = values ? tiny_values(t, &tensors[i]) : tiny_data(t, &tensors[i]);
		TINY_NEED(gguf_writer_data(w, data, tiny_bytes(&tensors[i]), &err) == HOKKU_OK);
		free(data);
	}
	TINY_NEED(gguf_writer_finish(w, &err) == HOKKU_OK);
	gguf_writer_destroy(w);
	free(tensors);
}

GOLDEN_INLINE void tiny_write_with(const struct tiny_set *set, const struct tiny *t, const char *format_name,
				   const char *path,
				   void (*more)(struct gguf_writer *w, const struct tiny *t))
{
	tiny_write_as(set, t, format_name, false, path, more);
}

GOLDEN_INLINE void tiny_write(const struct tiny_set *set, const struct tiny *t, const char *format_name,
			      const char *path)
{
	tiny_write_with(set, t, format_name, path, NULL);
}

#endif
