/* A folder answers as the file that convert makes of it: the same keys, names, shapes and bytes; and it binds
 * to a model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/half.h"
#include "base/rng.h"
#include "convert/convert.h"
#include "gguf/safetensors.h"
#include "hf/folder.h"
#include "model/model.h"

static const char dir[] = TEST_GOLDEN_DIR "/models/hf";
static char out_path[] = "/tmp/hokku-folder-XXXXXX";

static void expect_same_value(const struct gguf_kv *a, const struct gguf_value *b)
{
	assert_non_null(b);
	const struct gguf_value *v = &a->value;
	assert_int_equal(v->type, b->type);
	if (v->type == GGUF_STRING)
		assert_true(str_eq(v->string, b->string));
	else if (v->type == GGUF_ARRAY)
		assert_true(v->array.type == b->array.type && v->array.n == b->array.n &&
			    v->array.n_bytes == b->array.n_bytes &&
			    memcmp(v->array.data, b->array.data, v->array.n_bytes) == 0);
	else if (v->type == GGUF_F32)
		assert_true(v->f64 == b->f64);
	else
		assert_true(v->u64 == b->u64);
}

/* Pieces that begin and end anywhere, within elements too. */
static void expect_same_bytes(const struct gguf *a, const struct gguf_tensor *x, const struct gguf *b,
			      const struct gguf_tensor *y, uint64_t seed)
{
	uint8_t *one = malloc(x->n_bytes), *two = malloc(x->n_bytes);
	assert_true(one && two);
	for (uint64_t i = 0; i < 20; i++) {
		uint32_t words[4];
		rng_words(seed, RNG_STREAM_TEST, i, words);
		size_t from = i ? words[0] % x->n_bytes : 0,
		       n = i ? words[1] % (x->n_bytes - from) : x->n_bytes;
		assert_int_equal(gguf_read(a, x->offset + from, one, n, NULL), HOKKU_OK);
		assert_int_equal(gguf_read(b, y->offset + from, two, n, NULL), HOKKU_OK);
		assert_memory_equal(one, two, n);
	}
	free(one);
	free(two);
}

static struct gguf *open_converted(void)
{
	const struct convert_options o = {.dir = dir, .out = out_path, .type = TENSOR_BF16, .name = "same"};
	struct hokku_error err;
	struct gguf *g;
	if (convert_hf(&o, &err) || gguf_open_file(out_path, &g, &err))
		fail_msg("%s", err.message);
	return g;
}

static struct hf_folder *open_folder(const char *name)
{
	const struct hf_options o = {.dir = dir, .name = name};
	struct hokku_error err;
	struct hf_folder *f;
	if (hf_open(&o, &f, &err))
		fail_msg("%s", err.message);
	return f;
}

static void test_like_its_file(void **state)
{
	(void)state;
	struct gguf *file = open_converted();
	struct hf_folder *f = open_folder("same");
	const struct gguf *g = hf_model(f);
	assert_string_equal(gguf_path(g), dir);
	assert_int_equal(gguf_n_kv(g) + 1, gguf_n_kv(file)); /* general.file_type is a file's alone */
	assert_null(gguf_find(g, "general.file_type"));
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		expect_same_value(kv, gguf_find(file, kv->key.ptr));
		assert_ptr_equal(gguf_find(g, kv->key.ptr), &kv->value);
	}
	assert_int_equal(gguf_n_tensors(g), gguf_n_tensors(file));
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) { /* its matrices are BF16, its vectors F32 */
		const struct gguf_tensor *x = gguf_tensor_at(g, i), *y = gguf_tensor_at(file, i);
		assert_true(str_eq(x->name, y->name));
		assert_ptr_equal(gguf_find_tensor(g, x->name.ptr), x);
		assert_int_equal(x->type, y->type);
		assert_int_equal(x->n_dims, y->n_dims);
		assert_memory_equal(x->dims, y->dims, sizeof x->dims);
		assert_int_equal(x->n_bytes, y->n_bytes);
		expect_same_bytes(g, x, file, y, i);
	}
	assert_string_equal(hf_tensor_name(f, 0), "model.embed_tokens.weight");
	assert_int_equal(gguf_unchanged(g, NULL), HOKKU_OK);
	/* One read over the border of two tensors, and none past the last. */
	const struct gguf_tensor *x = gguf_tensor_at(g, 1), *last = gguf_tensor_at(g, gguf_n_tensors(g) - 1);
	uint8_t both[16], one[8];
	assert_int_equal(gguf_read(g, x->offset - 8, both, 16, NULL), HOKKU_OK);
	assert_int_equal(gguf_read(g, x->offset, one, 8, NULL), HOKKU_OK);
	assert_memory_equal(both + 8, one, 8);
	assert_int_equal(gguf_read(g, x->offset - 8, one, 8, NULL), HOKKU_OK);
	assert_memory_equal(both, one, 8);
	assert_int_equal(gguf_read(g, last->offset + last->n_bytes - 7, one, 8, NULL), HOKKU_IO_ERROR);
	assert_int_equal(gguf_read(g, last->offset + last->n_bytes - 8, one, 8, NULL), HOKKU_OK);
	hf_close(f);
	gguf_close(file);
}

static void test_binds(void **state)
{
	(void)state;
	struct hf_folder *f = open_folder(NULL);
	struct hokku_error err;
	struct model m;
	struct str name;
	assert_int_equal(gguf_get_str(hf_model(f), "general.name", &name, NULL, NULL), HOKKU_OK);
	assert_true(str_eq_c(name, "hf"));
	if (model_bind(&m, hf_model(f), &err))
		fail_msg("%s", err.message);
	model_unbind(&m);
	hf_close(f);
}

/* ---- folders made of the golden one ---- */

static char made[] = "/tmp/hokku-made-XXXXXX";

static const char *in_made(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", made, name);
	return path;
}

static void put_file(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(in_made(name), "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static char *golden(const char *name, size_t *n)
{
	char path[512], *text;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(file_read(path, 1 << 24, &text, n, NULL), HOKKU_OK);
	return text;
}

static struct hf_folder *open_made(void)
{
	const struct hf_options o = {.dir = made};
	struct hokku_error err;
	struct hf_folder *f;
	if (hf_open(&o, &f, &err))
		fail_msg("%s", err.message);
	return f;
}

static void drop_made(void)
{
	unlink(in_made("config.json"));
	unlink(in_made("tokenizer.json"));
	unlink(in_made("model.safetensors"));
	assert_int_equal(rmdir(made), 0);
}

/* A head as large as several pieces that are compared: it is left out when it is the embedding, and stays
 * when any one element differs. */
static void test_tied(void **state)
{
	(void)state;
	size_t n, n_tokenizer, n_config;
	char *config = golden("config.json", &n_config), *tokenizer = golden("tokenizer.json", &n_tokenizer);
	char *weights = golden("model.safetensors", &n), *tied = strstr(config, "embeddings\": false");
	struct safetensors *st;
	assert_non_null(mkdtemp(made));
	assert_non_null(tied);
	memcpy(tied, "embeddings\": true ", 18);
	put_file("config.json", config, n_config);
	put_file("tokenizer.json", tokenizer, n_tokenizer);
	assert_int_equal(st_open_memory(weights, n, "weights", &st, NULL), HOKKU_OK);
	const struct st_tensor *head = st_find(st, "lm_head.weight"),
			       *embedding = st_find(st, "model.embed_tokens.weight");
	memcpy(weights + head->offset, weights + embedding->offset, head->n_bytes);
	const uint64_t wrong[] = {UINT64_MAX, 0, 4095, 4096, 8191, head->n_elements - 1};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (i)
			weights[head->offset + 2 * wrong[i]] ^= 1;
		put_file("model.safetensors", weights, n);
		if (i)
			weights[head->offset + 2 * wrong[i]] ^= 1;
		struct hf_folder *f = open_made();
		assert_int_equal(gguf_find_tensor(hf_model(f), "output.weight") != NULL, i > 0);
		hf_close(f);
	}
	st_close(st);
	free(config);
	free(tokenizer);
	free(weights);
	drop_made();
}

/* The golden weights as F64: they are F32 in the model, and pieces of any size are the same bytes. */
static void test_f64(void **state)
{
	(void)state;
	size_t n, n_tokenizer, n_config;
	char *config = golden("config.json", &n_config), *tokenizer = golden("tokenizer.json", &n_tokenizer);
	char *weights = golden("model.safetensors", &n);
	struct safetensors *st;
	struct strbuf header = {0}, data = {0};
	assert_non_null(mkdtemp(strcpy(made, "/tmp/hokku-made-XXXXXX")));
	assert_int_equal(st_open_memory(weights, n, "weights", &st, NULL), HOKKU_OK);
	for (uint64_t i = 0; i < st_n_tensors(st); i++) {
		const struct st_tensor *t = st_tensor_at(st, i);
		char shape[64];
		strbuf_addf(&header, "%s\"%.*s\":{\"dtype\":\"F64\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
			    i ? "," : "{", STR_ARG(t->name), st_shape(t, shape, sizeof shape), data.len,
			    data.len + 8 * (size_t)t->n_elements);
		for (uint64_t k = 0; k < t->n_elements; k++) {
			uint16_t h;
			memcpy(&h, weights + t->offset + 2 * k, 2);
			double d = (double)f32_from_bf16(h);
			strbuf_add(&data, &d, 8);
		}
	}
	strbuf_add_c(&header, "}");
	uint64_t length = header.len;
	struct strbuf file = {0};
	strbuf_add(&file, &length, 8);
	strbuf_add(&file, header.ptr, header.len);
	strbuf_add(&file, data.ptr, data.len);
	put_file("model.safetensors", file.ptr, file.len);
	put_file("config.json", config, n_config);
	put_file("tokenizer.json", tokenizer, n_tokenizer);
	st_close(st);

	const struct convert_options o = {.dir = dir, .out = out_path, .type = TENSOR_F32};
	struct gguf *g;
	assert_int_equal(convert_hf(&o, NULL), HOKKU_OK);
	assert_int_equal(gguf_open_file(out_path, &g, NULL), HOKKU_OK);
	struct hf_folder *f = open_made();
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *x = gguf_tensor_at(hf_model(f), i), *y = gguf_tensor_at(g, i);
		assert_int_equal(x->type, TENSOR_F32);
		expect_same_bytes(hf_model(f), x, g, y, i);
	}
	hf_close(f);
	gguf_close(g);
	strbuf_free(&header);
	strbuf_free(&data);
	strbuf_free(&file);
	free(config);
	free(tokenizer);
	free(weights);
	drop_made();
}

static int make_path(void **state)
{
	(void)state;
	int fd = mkstemp(out_path);
	return fd < 0 ? -1 : close(fd);
}

static int drop_path(void **state)
{
	(void)state;
	return unlink(out_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_like_its_file), cmocka_unit_test(test_binds),
					   cmocka_unit_test(test_tied), cmocka_unit_test(test_f64)};
	return cmocka_run_group_tests(tests, make_path, drop_path);
}
