/* A folder answers as the file that convert makes of it: the same keys, names, shapes and bytes; and it binds
 * to a model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "convert/convert.h"
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_like_its_file),
					   cmocka_unit_test(test_binds)};
	return cmocka_run_group_tests(tests, make_path, drop_path);
}
