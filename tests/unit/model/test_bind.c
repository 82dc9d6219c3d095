/*
 * model_bind: a sound file binds to what it says; each way a file can be wrong is refused with a message that
 * names the thing, the value found and the value wanted; each limit of the hyperparameters is tried on both
 * sides.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf/writer.h"
#include "model/arch.h"
#include "model/model.h"

enum { MAX_ROWS = 64 };

struct key {
	const char *name;
	enum gguf_type type; /* U32, F32, BOOL, STRING; ARRAY: `number` strings; U8: no key */
	double number;
	const char *text;
};

struct tensor {
	char name[48];
	enum tensor_type type;
	uint32_t n_dims;
	uint64_t dims[4];
};

/* A key that is an array of numbers. */
struct array_key {
	const char *name; /* NULL: none */
	enum gguf_type of;
	uint64_t n;
	const void *elements; /* (n) */
};

struct file {
	struct key keys[MAX_ROWS];
	size_t n_keys;
	struct array_key array;
	struct tensor tensors[MAX_ROWS];
	size_t n_tensors;
};

static void set_key(struct file *f, struct key key)
{
	size_t i = 0;
	while (i < f->n_keys && strcmp(f->keys[i].name, key.name) != 0)
		i++;
	if (i == f->n_keys)
		f->n_keys++;
	f->keys[i] = key;
}

static void set_tensor(struct file *f, const char *name, enum tensor_type type, uint64_t cols, uint64_t rows)
{
	size_t i = 0;
	while (i < f->n_tensors && strcmp(f->tensors[i].name, name) != 0)
		i++;
	if (i == f->n_tensors)
		f->n_tensors++;
	f->tensors[i] =
		(struct tensor){.type = type, .n_dims = rows ? 2 : 1, .dims = {cols, rows ? rows : 1, 1, 1}};
	snprintf(f->tensors[i].name, sizeof f->tensors[i].name, "%s", name);
}

static void drop_tensor(struct file *f, const char *name)
{
	for (size_t i = 0; i < f->n_tensors; i++)
		if (strcmp(f->tensors[i].name, name) == 0) {
			f->tensors[i] = f->tensors[--f->n_tensors];
			return;
		}
	fail_msg("there is no tensor %s to drop", name);
}

/* Two layers, width 64, 4 heads on 2 of 16, FFN 96, vocabulary 40, untied. */
static void good_file(struct file *f)
{
	*f = (struct file){0};
	static const struct key keys[] = {
		{"general.architecture", GGUF_STRING, 0, "qwen2"},
		{"general.name", GGUF_STRING, 0, "a tiny one"},
		{"qwen2.block_count", GGUF_U32, 2, NULL},
		{"qwen2.context_length", GGUF_U32, 128, NULL},
		{"qwen2.embedding_length", GGUF_U32, 64, NULL},
		{"qwen2.feed_forward_length", GGUF_U32, 96, NULL},
		{"qwen2.attention.head_count", GGUF_U32, 4, NULL},
		{"qwen2.attention.head_count_kv", GGUF_U32, 2, NULL},
		{"qwen2.attention.layer_norm_rms_epsilon", GGUF_F32, 1e-6, NULL},
		{"qwen2.rope.freq_base", GGUF_F32, 1e6, NULL},
		{"tokenizer.ggml.tokens", GGUF_ARRAY, 40, NULL},
	};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		set_key(f, keys[i]);
	set_tensor(f, "token_embd.weight", TENSOR_Q8_0, 64, 40);
	set_tensor(f, "output_norm.weight", TENSOR_F32, 64, 0);
	set_tensor(f, "output.weight", TENSOR_F16, 64, 40);
	static const struct {
		const char *name;
		enum tensor_type type;
		uint64_t cols, rows;
	} layer[] = {
		{"attn_norm.weight", TENSOR_F32, 64, 0}, {"attn_q.weight", TENSOR_Q4_0, 64, 64},
		{"attn_q.bias", TENSOR_F32, 64, 0},      {"attn_k.weight", TENSOR_Q4_0, 64, 32},
		{"attn_k.bias", TENSOR_F32, 32, 0},      {"attn_v.weight", TENSOR_Q8_0, 64, 32},
		{"attn_v.bias", TENSOR_F32, 32, 0},      {"attn_output.weight", TENSOR_Q8_0, 64, 64},
		{"ffn_norm.weight", TENSOR_F32, 64, 0},  {"ffn_gate.weight", TENSOR_Q8_0, 64, 96},
		{"ffn_up.weight", TENSOR_Q8_0, 64, 96},  {"ffn_down.weight", TENSOR_Q8_0, 96, 64},
	};
	for (int l = 0; l < 2; l++)
		for (size_t i = 0; i < sizeof layer / sizeof layer[0]; i++) {
			char name[48];
			snprintf(name, sizeof name, "blk.%d.%s", l, layer[i].name);
			set_tensor(f, name, layer[i].type, layer[i].cols, layer[i].rows);
		}
}

static void put_key(struct gguf_writer *w, const struct key *k)
{
	switch (k->type) {
	case GGUF_U32:
		gguf_put_u32(w, k->name, (uint32_t)k->number);
		break;
	case GGUF_I32:
		gguf_put_i32(w, k->name, (int32_t)k->number);
		break;
	case GGUF_F32:
		gguf_put_f32(w, k->name, (float)k->number);
		break;
	case GGUF_BOOL:
		gguf_put_bool(w, k->name, k->number != 0);
		break;
	case GGUF_STRING:
		gguf_put_str(w, k->name, str_c(k->text));
		break;
	case GGUF_ARRAY: {
		struct str *texts = calloc((size_t)k->number, sizeof *texts);
		for (size_t i = 0; i < (size_t)k->number; i++)
			texts[i] = STR_LIT("x");
		gguf_put_str_array(w, k->name, texts, (uint64_t)k->number);
		free(texts);
		break;
	}
	default: /* the key is left out */
		break;
	}
}

/* Writes f (all weights zero) and opens it. */
static struct gguf *open_file(const struct file *f, char path[256])
{
	struct hokku_error err = {0};
	struct gguf_writer *w = NULL;
	struct gguf *g = NULL;
	snprintf(path, 256, "%s/test_bind.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	assert_int_equal(gguf_writer_create(path, &w, &err), HOKKU_OK);
	for (size_t i = 0; i < f->n_keys; i++)
		put_key(w, &f->keys[i]);
	if (f->array.name)
		gguf_put_array(w, f->array.name, f->array.of, f->array.elements, f->array.n);
	for (size_t i = 0; i < f->n_tensors; i++)
		gguf_put_tensor(w, f->tensors[i].name, f->tensors[i].type, f->tensors[i].n_dims,
				f->tensors[i].dims);
	assert_int_equal(gguf_writer_begin_data(w, &err), HOKKU_OK);
	for (size_t i = 0; i < f->n_tensors; i++) {
		const struct tensor *t = &f->tensors[i];
		const struct tensor_type_info *info = tensor_type_get(t->type);
		size_t n = (size_t)(t->dims[0] * t->dims[1] / info->block_elements * info->block_bytes);
		void *zeros = calloc(1, n);
		assert_int_equal(gguf_writer_data(w, zeros, n, &err), HOKKU_OK);
		free(zeros);
	}
	assert_int_equal(gguf_writer_finish(w, &err), HOKKU_OK);
	gguf_writer_destroy(w);
	if (gguf_open_file(path, &g, &err))
		fail_msg("%s", err.message);
	return g;
}

static void refused(const char *what, const struct file *f, const char *message)
{
	char path[256];
	struct gguf *g = open_file(f, path);
	struct hokku_error err = {0};
	struct model m;
	if (model_bind(&m, g, &err) == HOKKU_OK)
		fail_msg("%s: it was bound", what);
	assert_int_equal(err.code, HOKKU_MODEL_LOAD_FAILED);
	const char *named = strstr(err.message, path);
	if (!strstr(err.message, message) || named != err.message || strstr(named + 1, path))
		fail_msg("%s: the message is\n  %s\nwanted\n  %s", what, err.message, message);
	assert_null(m.layers);
	assert_null(m.file);
	gguf_close(g);
	unlink(path);
}

static void a_sound_file_binds(void **state)
{
	(void)state;
	struct file f;
	char path[256];
	good_file(&f);
	struct gguf *g = open_file(&f, path);
	struct hokku_error err = {0};
	struct model m;
	if (model_bind(&m, g, &err))
		fail_msg("%s", err.message);
	assert_string_equal(m.arch_name, "qwen2");
	assert_string_equal(m.name, "a tiny one");
	assert_string_equal(m.format_name, "Q8_0");
	assert_ptr_equal(m.file, g);
	assert_int_equal(m.hp.n_layers, 2);
	assert_int_equal(m.hp.d_model, 64);
	assert_int_equal(m.hp.n_heads, 4);
	assert_int_equal(m.hp.n_kv_heads, 2);
	assert_int_equal(m.hp.head_dim, 16);
	assert_int_equal(m.hp.d_ff, 96);
	assert_int_equal(m.hp.n_vocab, 40);
	assert_int_equal(m.hp.n_ctx_train, 128);
	assert_true(m.hp.rope_theta == 1e6f && m.hp.norm_eps == 1e-6f);
	assert_false(m.tied);
	assert_int_equal(m.w[ROLE_OUTPUT].rows, 40);
	assert_ptr_equal(m.layers[1].w[ROLE_WK].tensor, gguf_find_tensor(g, "blk.1.attn_k.weight"));
	assert_ptr_equal(m.layers[1].w[ROLE_WK].data, m.layers[1].w[ROLE_WK].tensor->data);
	assert_int_equal(m.layers[1].w[ROLE_WK].rows, 32);
	assert_int_equal(m.layers[1].w[ROLE_WK].cols, 64);
	assert_int_equal(m.layers[1].w[ROLE_WK].row_bytes, 36);
	assert_string_equal(m.layers[1].w[ROLE_WK].fmt->name, "Q4_0");
	assert_int_equal(m.layers[0].w[ROLE_BV].rows, 1);
	assert_int_equal(m.layers[0].w[ROLE_BV].cols, 32);
	assert_int_equal(m.layers[0].w[ROLE_W_DOWN].cols, 96);

	/* sums, from the shapes above */
	uint64_t layer = 2 * 64 + 2 * (64 * 64) + 64 + 2 * (64 * 32) + 2 * 32 + 3 * (64 * 96);
	assert_int_equal(m.n_params, 2 * 40 * 64 + 64 + 2 * layer);
	uint64_t vectors = 4 * (2 * 64 + 64 + 2 * 32), q4_0 = (64 * 64 + 64 * 32) / 32 * 18;
	uint64_t q8_0 = (64 * 32 + 64 * 64 + 3 * 64 * 96) / 32 * 34;
	assert_int_equal(m.n_weight_bytes,
			 40 * 64 / 32 * 34 + 64 * 4 + 40 * 64 * 2 + 2 * (vectors + q4_0 + q8_0));
	model_unbind(&m);
	model_unbind(&m); /* of an unbound model: nothing */
	gguf_close(g);
	unlink(path);
}

/* It is shown on terminals, in logs and as JSON. */
static void a_name_is_plain_text(void **state)
{
	(void)state;
	struct file f;
	char path[256];
	struct hokku_error err = {0};
	struct model m;
	good_file(&f);
	set_key(&f, (struct key){"general.name", GGUF_STRING, 0,
				 "a\x1b[1m\n\x7f\xff \xc2\x9b \xc3\xa9 \xc2\xa0 \xe2\x82"});
	struct gguf *g = open_file(&f, path);
	if (model_bind(&m, g, &err))
		fail_msg("%s", err.message);
	assert_string_equal(m.name, "a?[1m??? ?? \xc3\xa9 \xc2\xa0 ??");
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

/* What a file may leave out, and what stands in for it. */
static void what_may_be_absent(void **state)
{
	(void)state;
	struct file f;
	char path[256];
	good_file(&f);
	drop_tensor(&f, "output.weight");
	set_key(&f, (struct key){"general.name", GGUF_U8, 0, NULL});
	set_key(&f, (struct key){"qwen2.rope.freq_base", GGUF_U8, 0, NULL});
	set_key(&f, (struct key){"tokenizer.ggml.tokens", GGUF_U8, 0, NULL});
	set_key(&f, (struct key){"qwen2.attention.head_count_kv", GGUF_U8, 0, NULL});
	for (int l = 0; l < 2; l++) { /* without head_count_kv there are as many as heads */
		char name[48];
		static const char kinds[] = {'k', 'v'};
		for (int i = 0; i < 2; i++) {
			snprintf(name, sizeof name, "blk.%d.attn_%c.weight", l, kinds[i]);
			set_tensor(&f, name, TENSOR_Q8_0, 64, 64);
			snprintf(name, sizeof name, "blk.%d.attn_%c.bias", l, kinds[i]);
			set_tensor(&f, name, TENSOR_F32, 64, 0);
		}
	}
	/* neutral values of keys that would be refused otherwise */
	set_key(&f, (struct key){"qwen2.rope.scaling.type", GGUF_STRING, 0, "linear"});
	set_key(&f, (struct key){"qwen2.rope.scaling.factor", GGUF_F32, 1, NULL});
	set_key(&f, (struct key){"qwen2.attention.sliding_window", GGUF_U32, 128, NULL});
	set_key(&f, (struct key){"qwen2.attention.key_length", GGUF_U32, 16, NULL});
	set_key(&f, (struct key){"qwen2.attention.value_length", GGUF_U32, 16, NULL});
	set_key(&f, (struct key){"qwen2.rope.dimension_count", GGUF_U32, 16, NULL});
	set_key(&f, (struct key){"qwen2.vocab_size", GGUF_U32, 40, NULL});
	set_key(&f, (struct key){"qwen2.expert_count", GGUF_U32, 0, NULL});
	set_key(&f, (struct key){"qwen2.attention.causal", GGUF_BOOL, 1, NULL});
	set_key(&f, (struct key){"split.count", GGUF_U32, 1, NULL});
	struct gguf *g = open_file(&f, path);
	struct hokku_error err = {0};
	struct model m;
	if (model_bind(&m, g, &err))
		fail_msg("%s", err.message);
	assert_true(m.tied);
	assert_ptr_equal(m.w[ROLE_OUTPUT].tensor, m.w[ROLE_EMBEDDING].tensor);
	assert_string_equal(m.name, strrchr(path, '/') + 1);
	assert_int_equal(m.hp.n_kv_heads, 4);
	assert_true(m.hp.rope_theta == 10000.0f);
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

/* "none" is not the same as nothing: factors beside it do not count. */
static void a_scaling_of_none_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		float factor;
	} cases[] = {{NULL, 8}, {"linear", 8}, {"none", 1}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct file f;
		char path[256];
		good_file(&f);
		if (cases[i].type)
			set_key(&f, (struct key){"qwen2.rope.scaling.type", GGUF_STRING, 0, cases[i].type});
		set_key(&f, (struct key){"qwen2.rope.scaling.factor", GGUF_F32, 8, NULL});
		struct gguf *g = open_file(&f, path);
		struct hokku_error err = {0};
		struct model m;
		if (model_bind(&m, g, &err))
			fail_msg("%s", err.message);
		assert_true(m.ropes[0].freq[0] == 1 / cases[i].factor);
		model_unbind(&m);
		gguf_close(g);
		unlink(path);
	}
}

static void wrong_keys_are_refused(void **state)
{
	(void)state;
	static const struct {
		struct key key;
		const char *message;
	} cases[] = {
		{{"general.architecture", GGUF_STRING, 0, "mamba"},
		 "general.architecture is \"mamba\"; hokku knows qwen2, qwen3, llama"},
		{{"general.architecture", GGUF_U8, 0, NULL}, "general.architecture"},
		{{"general.architecture", GGUF_U32, 7, NULL}, "general.architecture"},
		{{"general.type", GGUF_STRING, 0, "adapter"}, "this is a LoRA adapter"},
		{{"general.type", GGUF_STRING, 0, "sculpture"},
		 "general.type is \"sculpture\"; hokku runs \"model\" files"},
		{{"qwen2.block_count", GGUF_U8, 0, NULL}, "qwen2.block_count"},
		{{"qwen2.block_count", GGUF_STRING, 0, "two"}, "qwen2.block_count"},
		{{"qwen2.block_count", GGUF_I32, -1, NULL}, "qwen2.block_count"},
		{{"qwen2.block_count", GGUF_U32, 1, NULL},
		 "tensor \"blk.1.attn_norm.weight\" is in the file, but a qwen2 model of 1 layers has no "
		 "such tensor"},
		{{"qwen2.block_count", GGUF_U32, 3, NULL},
		 "tensor blk.2.attn_norm.weight is missing; every qwen2 model has it"},
		{{"qwen2.attention.head_count", GGUF_U32, 5, NULL},
		 "qwen2.attention.head_count 5 is no multiple of qwen2.attention.head_count_kv 2"},
		{{"qwen2.attention.head_count", GGUF_U32, 6, NULL},
		 "qwen2.embedding_length 64 is no multiple of qwen2.attention.head_count 6"},
		{{"qwen2.attention.head_count", GGUF_U32, 64, NULL}, "the head dim is 1"},
		{{"qwen2.attention.head_count", GGUF_ARRAY, 2, NULL},
		 "qwen2.attention.head_count is an array of 2 string; hokku takes a whole number, or one for "
		 "each of the 2 layers"},
		{{"qwen2.attention.key_length", GGUF_U32, 15, NULL}, "the head dim is 15"},
		{{"qwen2.attention.value_length", GGUF_U32, 32, NULL},
		 "qwen2.attention.value_length is 32; for qwen2 hokku takes only the head dim, 16"},
		{{"qwen2.rope.dimension_count", GGUF_U32, 18, NULL},
		 "qwen2.rope.dimension_count is 18; hokku takes 2 to 16"},
		{{"qwen2.rope.dimension_count", GGUF_U32, 7, NULL},
		 "qwen2.rope.dimension_count is 7; hokku takes even numbers"},
		{{"qwen2.rope.scaling.type", GGUF_STRING, 0, "dynamic"},
		 "qwen2.rope.scaling.type is \"dynamic\"; hokku takes \"none\", \"linear\", \"yarn\" and "
		 "\"longrope\""},
		{{"qwen2.rope.scaling.type", GGUF_STRING, 0, "yarn"}, "qwen2.rope.scaling.factor"},
		{{"qwen2.rope.scaling.type", GGUF_STRING, 0, "longrope"},
		 "qwen2.rope.scaling.type is \"longrope\", but the file has no tensor "
		 "rope_factors_long.weight"},
		{{"qwen2.rope.scaling.type", GGUF_STRING, 0, "Linear"},
		 "qwen2.rope.scaling.type is \"Linear\""},
		{{"qwen2.rope.scaling.factor", GGUF_F32, 0, NULL},
		 "qwen2.rope.scaling.factor is 0; hokku takes"},
		{{"qwen2.rope.scale_linear", GGUF_F32, -2, NULL},
		 "qwen2.rope.scale_linear is -2; hokku takes"},
		{{"qwen2.rope.scaling.yarn_ext_factor", GGUF_F32, 2, NULL},
		 "the file has the key qwen2.rope.scaling.yarn_ext_factor, which hokku does not know for "
		 "qwen2"},
		{{"qwen2.attention.sliding_window_pattern", GGUF_U32, 2, NULL},
		 "the file has the key qwen2.attention.sliding_window_pattern, which hokku does not know"},
		{{"qwen2.residual_scale", GGUF_F32, 0.5, NULL},
		 "qwen2.residual_scale is 0.5; for qwen2 hokku takes only 1"},
		{{"qwen2.rope.scaling.factor", GGUF_F32, (double)NAN, NULL},
		 "\"qwen2.rope.scaling.factor\" is f32 nan"},
		{{"qwen2.final_logit_softcapping", GGUF_F32, 30, NULL},
		 "qwen2.final_logit_softcapping is 30"},
		{{"qwen2.expert_count", GGUF_U32, 8, NULL}, "qwen2.expert_count is 8"},
		{{"qwen2.attention.sliding_window", GGUF_U32, 127, NULL},
		 "qwen2.attention.sliding_window is 127, less than the context of 128"},
		{{"qwen2.attention.causal", GGUF_BOOL, 0, NULL}, "qwen2.attention.causal is false"},
		{{"qwen2.attention.layer_norm_rms_epsilon", GGUF_F32, 0, NULL},
		 "layer_norm_rms_epsilon is 0"},
		{{"qwen2.attention.layer_norm_rms_epsilon", GGUF_F32, (double)NAN, NULL},
		 "layer_norm_rms_epsilon\" is f32 nan"},
		{{"qwen2.attention.layer_norm_rms_epsilon", GGUF_U8, 0, NULL}, "layer_norm_rms_epsilon"},
		{{"qwen2.rope.freq_base", GGUF_F32, (double)INFINITY, NULL},
		 "\"qwen2.rope.freq_base\" is f32 inf"},
		{{"qwen2.vocab_size", GGUF_U32, 41, NULL},
		 "qwen2.vocab_size is 41, but token_embd.weight has 40 rows"},
		{{"tokenizer.ggml.tokens", GGUF_ARRAY, 39, NULL},
		 "tokenizer.ggml.tokens has 39 entries, but token_embd.weight has 40 rows"},
		{{"tokenizer.ggml.tokens", GGUF_U32, 39, NULL}, "tokenizer.ggml.tokens"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct file f;
		good_file(&f);
		set_key(&f, cases[i].key);
		refused(cases[i].key.name, &f, cases[i].message);
	}
}

static void wrong_tensors_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum tensor_type type;
		uint64_t cols, rows; /* cols 0: the tensor is missing */
		const char *message;
	} cases[] = {
		{"blk.1.attn_k.weight", TENSOR_F32, 64, 16,
		 "blk.1.attn_k.weight has shape 64 x 16, the header wants 64 x 32 "
		 "(qwen2.attention.head_count_kv 2 x head dim 16)"},
		{"blk.0.attn_q.weight", TENSOR_F32, 64, 80,
		 "blk.0.attn_q.weight has shape 64 x 80, the header wants 64 x 64 "
		 "(qwen2.attention.head_count 4 x head dim 16)"},
		{"blk.0.attn_output.weight", TENSOR_F32, 32, 64,
		 "blk.0.attn_output.weight has shape 32 x 64, the header wants 64 x 64 "
		 "(qwen2.attention.head_count 4 x head dim 16)"},
		{"blk.0.ffn_down.weight", TENSOR_F32, 64, 96,
		 "blk.0.ffn_down.weight has shape 64 x 96, the header wants 96 x 64 "
		 "(qwen2.feed_forward_length 96)"},
		{"blk.0.ffn_up.weight", TENSOR_F32, 60, 96,
		 "blk.0.ffn_up.weight has shape 60 x 96, the header wants 64 x 96 (qwen2.embedding_length "
		 "64)"},
		{"blk.1.attn_v.bias", TENSOR_F32, 64, 0,
		 "blk.1.attn_v.bias has shape 64, the header wants 32"},
		{"output_norm.weight", TENSOR_F32, 64, 2,
		 "output_norm.weight has shape 64 x 2, the header wants 64"},
		{"output.weight", TENSOR_F16, 64, 41,
		 "output.weight has shape 64 x 41, the header wants 64 x 40 (a vocabulary of 40, the rows of "
		 "token_embd.weight)"},
		{"blk.1.attn_v.bias", TENSOR_F32, 0, 0,
		 "tensor blk.1.attn_v.bias is missing; every qwen2 model has it"},
		{"blk.0.ffn_gate.weight", TENSOR_F32, 0, 0, "tensor blk.0.ffn_gate.weight is missing"},
		{"token_embd.weight", TENSOR_F32, 0, 0, "tensor token_embd.weight is missing"},
		{"output_norm.weight", TENSOR_F32, 0, 0, "tensor output_norm.weight is missing"},
		{"blk.0.ffn_up.weight", TENSOR_MXFP4, 64, 96,
		 "blk.0.ffn_up.weight is stored as MXFP4, which hokku cannot compute with; it knows F32, "
		 "F16, BF16, "
		 "Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K, Q2_K, Q3_K, IQ4_NL, IQ4_XS"},
		{"blk.0.ffn_up.weight", TENSOR_I32, 64, 96, "blk.0.ffn_up.weight is stored as I32"},
		{"blk.0.attn_q_norm.weight", TENSOR_F32, 16, 0,
		 "tensor \"blk.0.attn_q_norm.weight\" is in the file, but a qwen2 model of 2 layers has no "
		 "such tensor"},
		{"rope_freqs.weight", TENSOR_F32, 8, 0, "tensor \"rope_freqs.weight\" is in the file"},
		{"blk.2.ffn_up.weight", TENSOR_F32, 64, 96, "tensor \"blk.2.ffn_up.weight\" is in the file"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct file f;
		good_file(&f);
		if (cases[i].cols)
			set_tensor(&f, cases[i].name, cases[i].type, cases[i].cols, cases[i].rows);
		else
			drop_tensor(&f, cases[i].name);
		refused(cases[i].name, &f, cases[i].message);
	}
}

/* A number for each layer: of every type of whole numbers, and the same for all. */
static void a_number_for_each_layer(void **state)
{
	(void)state;
	static const uint8_t u8[] = {2, 2};
	static const int16_t i16[] = {2, 2};
	static const uint32_t u32[] = {2, 2, 2};
	static const int32_t i32[] = {2, 2}, unequal[] = {2, 4}, negative[] = {2, -2}, zero[] = {0, 0};
	static const int64_t i64[] = {2, 2};
	static const uint64_t u64[] = {2, 2}, large[] = {2, UINT64_MAX};
	static const float f32[] = {2, 2};
	static const struct {
		enum gguf_type of;
		uint32_t n;
		const void *elements;
		const char *message; /* NULL: it binds */
	} cases[] = {
		{GGUF_U8, 2, u8, NULL},
		{GGUF_I16, 2, i16, NULL},
		{GGUF_U32, 2, u32, NULL},
		{GGUF_I32, 2, i32, NULL},
		{GGUF_I64, 2, i64, NULL},
		{GGUF_U64, 2, u64, NULL},
		{GGUF_I32, 2, unequal,
		 "head_count_kv is 2 for layer 0 and 4 for layer 1; for qwen2 hokku takes one number for all "
		 "layers"},
		{GGUF_I32, 2, negative, "head_count_kv is -2 for layer 1; hokku takes 1 to 1024"},
		{GGUF_I32, 2, zero, "head_count_kv is 0 for layer 0; hokku takes 1 to 1024"},
		{GGUF_U64, 2, large, "is 18446744073709551615 for layer 1; hokku takes 1 to 1024"},
		{GGUF_U32, 1, u32,
		 "head_count_kv is an array of 1 u32; hokku takes a whole number, or one for each of the 2 "
		 "layers"},
		{GGUF_U32, 3, u32, "head_count_kv is an array of 3 u32; hokku takes"},
		{GGUF_F32, 2, f32, "head_count_kv is an array of 2 f32; hokku takes"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct file f;
		char path[256];
		good_file(&f);
		set_key(&f, (struct key){"qwen2.attention.head_count_kv", GGUF_U8, 0, NULL});
		f.array = (struct array_key){"qwen2.attention.head_count_kv", cases[i].of, cases[i].n,
					     cases[i].elements};
		if (cases[i].message) {
			refused(cases[i].message, &f, cases[i].message);
			continue;
		}
		struct gguf *g = open_file(&f, path);
		struct hokku_error err = {0};
		struct model m;
		if (model_bind(&m, g, &err))
			fail_msg("%s", err.message);
		assert_int_equal(m.hp.n_kv_heads, 2);
		model_unbind(&m);
		gguf_close(g);
		unlink(path);
	}
}

/* n - 1, n and n + 1 at both ends of each number's range. */
static void limits_hold_on_both_sides(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		uint32_t min, max;
	} limits[] = {
		{"qwen2.block_count", 1, 1024},          {"qwen2.context_length", 1, 1 << 24},
		{"qwen2.embedding_length", 1, 1 << 16},  {"qwen2.feed_forward_length", 1, 1 << 20},
		{"qwen2.attention.head_count", 1, 1024}, {"qwen2.attention.head_count_kv", 1, 1024},
		{"qwen2.attention.key_length", 2, 1024},
	};
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		for (int end = 0; end < 2; end++)
			for (int step = -1; step <= 1; step++) {
				uint32_t bound = end ? limits[i].max : limits[i].min;
				uint32_t value = bound + (uint32_t)step;
				struct file f;
				char path[256], want[128];
				good_file(&f);
				f.n_tensors = 0;
				set_key(&f, (struct key){limits[i].key, GGUF_U32, value, NULL});
				struct gguf *g = open_file(&f, path);
				struct hokku_error err = {0};
				struct model m = {.file = g, .arch = arch_get(STR_LIT("qwen2"))};
				enum hokku_code rc = arch_read(&m, &err);
				arena_free(&m.arena);
				snprintf(want, sizeof want, "%s is %u; hokku takes %u to %u", limits[i].key,
					 value, limits[i].min, limits[i].max);
				bool inside = value >= limits[i].min && value <= limits[i].max;
				/* a value within may still not fit its neighbours; then another sentence says
				 * so */
				bool named = rc && strcmp(err.message, want) == 0;
				if (inside ? named : !named)
					fail_msg("%s = %u: \"%s\"", limits[i].key, value,
						 rc ? err.message : "taken");
				gguf_close(g);
				unlink(path);
			}
}

static void the_vocabulary_has_a_limit(void **state)
{
	(void)state;
	struct file f;
	good_file(&f);
	set_key(&f, (struct key){"tokenizer.ggml.tokens", GGUF_U8, 0, NULL});
	set_tensor(&f, "token_embd.weight", TENSOR_F16, 1, (1 << 22) + 1);
	refused("vocabulary", &f,
		"token_embd.weight has 4194305 rows; hokku takes a vocabulary of 1 to 4194304");
	set_tensor(&f, "token_embd.weight", TENSOR_F16, 1, 1 << 22);
	refused("vocabulary", &f, "token_embd.weight has shape 1 x 4194304, the header wants 64 x 4194304");
}

static void architectures_are_listed(void **state)
{
	(void)state;
	const char *const *names = arch_names();
	size_t n = 0;
	for (; names[n]; n++)
		assert_string_equal(arch_get(str_c(names[n]))->name, names[n]);
	assert_true(n >= 1);
	assert_null(arch_get(STR_LIT("qwen")));
	assert_null(arch_get(STR_LIT("qwen22")));
	assert_null(arch_get((struct str){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_file_binds),         cmocka_unit_test(what_may_be_absent),
		cmocka_unit_test(a_scaling_of_none_is_none),  cmocka_unit_test(wrong_keys_are_refused),
		cmocka_unit_test(wrong_tensors_are_refused),  cmocka_unit_test(limits_hold_on_both_sides),
		cmocka_unit_test(the_vocabulary_has_a_limit), cmocka_unit_test(architectures_are_listed),
		cmocka_unit_test(a_name_is_plain_text),       cmocka_unit_test(a_number_for_each_layer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
