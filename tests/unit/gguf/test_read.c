/* What a right file answers: versions, values of every type, arrays, tensors, typed questions and their
 * refusals. */
#include "gguf/builder.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

struct opened {
	struct strbuf bytes;
	void *copy;
	struct gguf *g;
};

static struct opened open_rich(uint32_t version, uint64_t trailing)
{
	struct opened o = {0};
	struct hokku_error err = {0};
	b_rich(&o.bytes, version, trailing);
	if (b_open(&o.bytes, &o.copy, &o.g, &err))
		fail_msg("%s", err.message);
	return o;
}

static void opened_free(struct opened *o)
{
	gguf_close(o->g);
	free(o->copy);
	strbuf_free(&o->bytes);
}

static const struct gguf_value *value(const struct gguf *g, const char *key, enum gguf_type type)
{
	const struct gguf_value *v = gguf_find(g, key);
	assert_non_null(v);
	assert_int_equal(v->type, type);
	return v;
}

static void test_header(void **state)
{
	(void)state;
	for (uint32_t version = 2; version <= 3; version++) {
		struct opened o = open_rich(version, 0);
		assert_string_equal(gguf_path(o.g), "x.gguf");
		assert_int_equal(gguf_version(o.g), version);
		assert_int_equal(gguf_alignment(o.g), 64);
		assert_int_equal(gguf_file_bytes(o.g), o.bytes.len);
		assert_int_equal(gguf_data_offset(o.g) % 64, 0);
		assert_int_equal(gguf_data_offset(o.g), o.bytes.len - 512);
		assert_int_equal(gguf_trailing_bytes(o.g), 0);
		assert_int_equal(gguf_n_kv(o.g), RICH_KV);
		assert_int_equal(gguf_n_tensors(o.g), 3);
		opened_free(&o);
	}
}

static void test_order_and_lookup(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	assert_true(str_eq_c(gguf_kv_at(o.g, 0)->key, "general.architecture"));
	assert_int_equal(gguf_kv_at(o.g, 0)->offset, 24);
	assert_true(str_eq_c(gguf_kv_at(o.g, 1)->key, "general.alignment"));
	assert_int_equal(gguf_kv_at(o.g, 1)->offset, 24 + 8 + 20 + 4 + 8 + 4);
	assert_true(str_eq_c(gguf_kv_at(o.g, RICH_KV - 1)->key, "a.nested"));
	assert_null(gguf_kv_at(o.g, RICH_KV));
	for (uint64_t i = 0; i < RICH_KV; i++) {
		const struct gguf_kv *kv = gguf_kv_at(o.g, i);
		char key[64];
		snprintf(key, sizeof key, "%.*s", STR_ARG(kv->key));
		assert_ptr_equal(gguf_find(o.g, key), &kv->value);
	}
	static const char *const absent[] = {"", "v", "v.u", "v.u88", "zzz", "V.U8", "general.architectur"};
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		assert_null(gguf_find(o.g, absent[i]));
	opened_free(&o);
}

static void test_values(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	assert_int_equal(value(o.g, "v.u8", GGUF_U8)->u64, 200);
	assert_int_equal(value(o.g, "v.i8", GGUF_I8)->i64, -100);
	assert_int_equal(value(o.g, "v.u16", GGUF_U16)->u64, 60000);
	assert_int_equal(value(o.g, "v.i16", GGUF_I16)->i64, -30000);
	assert_int_equal(value(o.g, "v.u32", GGUF_U32)->u64, 4000000000);
	assert_int_equal(value(o.g, "v.i32", GGUF_I32)->i64, -2000000000);
	assert_true((float)value(o.g, "v.f32", GGUF_F32)->f64 == 1e-6f);
	assert_int_equal(value(o.g, "v.true", GGUF_BOOL)->u64, 1);
	assert_int_equal(value(o.g, "v.false", GGUF_BOOL)->u64, 0);
	assert_true(value(o.g, "v.u64", GGUF_U64)->u64 == UINT64_MAX);
	assert_true(value(o.g, "v.i64", GGUF_I64)->i64 == INT64_MIN);
	assert_true(value(o.g, "v.f64", GGUF_F64)->f64 == 0.1);
	assert_int_equal(value(o.g, "v.empty", GGUF_STRING)->string.len, 0);
	assert_true(str_eq_c(value(o.g, "v.text", GGUF_STRING)->string,
			     "gr\xC3\xBC\xC3\x9F\x65 \"\\\n\xE4\xBF\xB3"));
	/* in place: a string points into the given bytes */
	const char *p = value(o.g, "general.architecture", GGUF_STRING)->string.ptr;
	assert_true(p > (char *)o.copy && p < (char *)o.copy + o.bytes.len);
	opened_free(&o);
}

/* The elements of key's array, as many as n_max; returns how many the iterator gave. */
static uint64_t elements(const struct gguf *g, const char *key, enum gguf_type type, struct gguf_value *out,
			 uint64_t n_max)
{
	struct gguf_array_iter it;
	const struct gguf_array *array = &value(g, key, GGUF_ARRAY)->array;
	assert_int_equal(array->type, type);
	gguf_array_iter_init(&it, array);
	uint64_t n = 0;
	struct gguf_value v;
	while (gguf_array_next(&it, &v)) {
		assert_int_equal(v.type, type);
		if (n < n_max)
			out[n] = v;
		n++;
	}
	assert_int_equal(n, array->n);
	assert_false(gguf_array_next(&it, &v));
	return n;
}

static void test_arrays(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	struct gguf_value v[4];
	assert_int_equal(elements(o.g, "a.u8", GGUF_U8, v, 4), 3);
	assert_int_equal(v[2].u64, 255);
	assert_int_equal(elements(o.g, "a.i8", GGUF_I8, v, 4), 2);
	assert_int_equal(v[0].i64, -128);
	assert_int_equal(v[1].i64, 127);
	assert_int_equal(elements(o.g, "a.u16", GGUF_U16, v, 4), 2);
	assert_int_equal(v[1].u64, 65535);
	assert_int_equal(elements(o.g, "a.i16", GGUF_I16, v, 4), 2);
	assert_int_equal(v[0].i64, -32768);
	assert_int_equal(elements(o.g, "a.u32", GGUF_U32, v, 4), 2);
	assert_int_equal(v[1].u64, UINT32_MAX);
	assert_int_equal(elements(o.g, "a.i32", GGUF_I32, v, 4), 2);
	assert_int_equal(v[0].i64, INT32_MIN);
	assert_int_equal(elements(o.g, "a.f32", GGUF_F32, v, 4), 3);
	assert_true((float)v[0].f64 == 3.4028235e38f && v[1].f64 == 0 && signbit(v[1].f64) &&
		    (float)v[2].f64 == 1e-45f);
	assert_int_equal(elements(o.g, "a.bool", GGUF_BOOL, v, 4), 3);
	assert_int_equal(v[0].u64 * 4 + v[1].u64 * 2 + v[2].u64, 5);
	assert_int_equal(elements(o.g, "a.string", GGUF_STRING, v, 4), 3);
	assert_true(str_eq_c(v[0].string, "one") && v[1].string.len == 0 &&
		    str_eq_c(v[2].string, "\xC4\xA0three"));
	assert_int_equal(elements(o.g, "a.u64", GGUF_U64, v, 4), 2);
	assert_true(v[1].u64 == UINT64_MAX);
	assert_int_equal(elements(o.g, "a.i64", GGUF_I64, v, 4), 2);
	assert_true(v[0].i64 == INT64_MIN && v[1].i64 == INT64_MAX);
	assert_int_equal(elements(o.g, "a.f64", GGUF_F64, v, 4), 2);
	assert_true(v[0].f64 == 1.7976931348623157e308 && v[1].f64 == 5e-324);
	assert_int_equal(elements(o.g, "a.none", GGUF_STRING, v, 4), 0);
	/* bytes of elements: 3 + 8 x 3 of strings "one", "", "?three" of 7 bytes */
	assert_int_equal(gguf_find(o.g, "a.string")->array.n_bytes, 3 * 8 + 3 + 0 + 7);
	assert_int_equal(gguf_find(o.g, "a.u16")->array.n_bytes, 4);
	opened_free(&o);
}

/* [[[["deep"]], []], [[[1, 2]]]] */
static void test_nested(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	struct gguf_array_iter outer, middle, inner, leaf;
	struct gguf_value v;
	gguf_array_iter_init(&outer, &gguf_find(o.g, "a.nested")->array);
	assert_true(gguf_array_next(&outer, &v) && v.type == GGUF_ARRAY && v.array.n == 2);
	gguf_array_iter_init(&middle, &v.array);
	assert_true(gguf_array_next(&middle, &v) && v.array.type == GGUF_ARRAY && v.array.n == 1);
	gguf_array_iter_init(&inner, &v.array);
	assert_true(gguf_array_next(&inner, &v) && v.array.type == GGUF_STRING && v.array.n == 1);
	gguf_array_iter_init(&leaf, &v.array);
	assert_true(gguf_array_next(&leaf, &v) && v.type == GGUF_STRING && str_eq_c(v.string, "deep"));
	assert_false(gguf_array_next(&inner, &v));
	assert_true(gguf_array_next(&middle, &v) && v.array.type == GGUF_U8 && v.array.n == 0);
	assert_false(gguf_array_next(&middle, &v));
	assert_true(gguf_array_next(&outer, &v) && v.array.n == 1);
	gguf_array_iter_init(&middle, &v.array);
	assert_true(gguf_array_next(&middle, &v) && v.array.n == 1);
	gguf_array_iter_init(&inner, &v.array);
	assert_true(gguf_array_next(&inner, &v) && v.array.type == GGUF_U16 && v.array.n == 2);
	gguf_array_iter_init(&leaf, &v.array);
	assert_true(gguf_array_next(&leaf, &v) && v.u64 == 1);
	assert_true(gguf_array_next(&leaf, &v) && v.u64 == 2);
	assert_false(gguf_array_next(&leaf, &v));
	assert_false(gguf_array_next(&outer, &v));
	opened_free(&o);
}

static void test_tensors(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	uint64_t data = gguf_data_offset(o.g);
	static const struct {
		const char *name;
		enum tensor_type type;
		uint32_t n_dims;
		uint64_t dims[4], offset, n_elements, n_bytes;
	} want[3] = {
		{"token_embd.weight", TENSOR_Q8_0, 2, {32, 5, 1, 1}, 0, 160, 170},
		{"output_norm.weight", TENSOR_F32, 1, {3, 1, 1, 1}, 192, 3, 12},
		{"blk.0.cube", TENSOR_F16, 4, {2, 3, 4, 5}, 256, 120, 240},
	};
	for (uint64_t i = 0; i < 3; i++) {
		const struct gguf_tensor *t = gguf_tensor_at(o.g, i);
		assert_true(str_eq_c(t->name, want[i].name));
		assert_ptr_equal(gguf_find_tensor(o.g, want[i].name), t);
		assert_int_equal(t->type, want[i].type);
		assert_int_equal(t->n_dims, want[i].n_dims);
		assert_memory_equal(t->dims, want[i].dims, sizeof t->dims);
		assert_int_equal(t->offset, data + want[i].offset);
		assert_int_equal(t->n_elements, want[i].n_elements);
		assert_int_equal(t->n_bytes, want[i].n_bytes);
		assert_ptr_equal(t->data, (const char *)o.copy + t->offset);
		assert_int_equal(*(const uint8_t *)t->data, (uint8_t)want[i].offset);
	}
	assert_null(gguf_tensor_at(o.g, 3));
	assert_null(gguf_find_tensor(o.g, "blk.0"));
	assert_null(gguf_find_tensor(o.g, ""));
	opened_free(&o);
}

/* Any order in the file, gaps between, and a scalar. */
static void test_tensors_out_of_order(void **state)
{
	(void)state;
	struct strbuf b = {0};
	struct hokku_error err = {0};
	struct gguf *g;
	void *copy;
	b_header(&b, 3, 3, 0);
	b_tensor(&b, "last", DIMS(8), TENSOR_F32, 320);
	b_tensor(&b, "scalar", 0, NULL, TENSOR_F64, 0);
	b_tensor(&b, "middle", DIMS(1, 1, 1, 1), TENSOR_I8, 64);
	b_pad(&b, 32);
	uint64_t data = b.len;
	b_zeros(&b, 352);
	if (b_open(&b, &copy, &g, &err))
		fail_msg("%s", err.message);
	assert_int_equal(gguf_alignment(g), 32);
	assert_int_equal(gguf_data_offset(g), data);
	const struct gguf_tensor *t = gguf_find_tensor(g, "scalar");
	assert_int_equal(t->n_dims, 0);
	assert_int_equal(t->n_elements, 1);
	assert_int_equal(t->n_bytes, 8);
	assert_int_equal(gguf_find_tensor(g, "last")->offset, data + 320);
	assert_int_equal(gguf_trailing_bytes(g), 0);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
}

static void test_trailing(void **state)
{
	(void)state;
	for (uint64_t n = 0; n <= 100; n += 25) {
		struct opened o = open_rich(3, n);
		assert_int_equal(gguf_trailing_bytes(o.g), n);
		opened_free(&o);
	}
}

/* The last tensor's padding may be missing, and is not counted where it stands. */
static void test_last_padding(void **state)
{
	(void)state;
	for (uint64_t n = 0; n <= 40; n++) {
		struct strbuf b = {0};
		struct hokku_error err = {0};
		struct gguf *g;
		void *copy;
		b_header(&b, 3, 1, 0);
		b_tensor(&b, "w", DIMS(1), TENSOR_F32, 0);
		b_pad(&b, 32);
		b_zeros(&b, 4 + n);
		assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
		assert_int_equal(gguf_trailing_bytes(g), n > 28 ? n - 28 : 0);
		gguf_close(g);
		free(copy);
		strbuf_free(&b);
	}
}

static void test_nothing_inside(void **state)
{
	(void)state;
	struct strbuf b = {0};
	struct hokku_error err = {0};
	struct gguf *g;
	void *copy;
	b_header(&b, 3, 0, 0);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	assert_int_equal(gguf_n_kv(g), 0);
	assert_int_equal(gguf_n_tensors(g), 0);
	assert_null(gguf_kv_at(g, 0));
	assert_null(gguf_tensor_at(g, 0));
	assert_null(gguf_find(g, "general.architecture"));
	assert_null(gguf_find_tensor(g, "w"));
	assert_int_equal(gguf_trailing_bytes(g), 0);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
}

/* ---- typed questions ---- */

static void test_get_u32(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	struct hokku_error err = {0};
	uint32_t n = 77;
	bool found = true;
	assert_int_equal(gguf_get_u32(o.g, "absent", &n, &found, &err), HOKKU_OK);
	assert_false(found);
	assert_int_equal(n, 77);
	assert_int_equal(gguf_get_u32(o.g, "absent", &n, NULL, &err), HOKKU_BAD_FILE);
	assert_string_equal(
		err.message,
		"x.gguf: key \"absent\" is missing; a whole number from 0 to 4294967295 is wanted");
	assert_int_equal(gguf_get_u32(o.g, "v.u8", &n, &found, &err), HOKKU_OK);
	assert_true(found);
	assert_int_equal(n, 200);
	assert_int_equal(gguf_get_u32(o.g, "v.u32", &n, NULL, &err), HOKKU_OK);
	assert_int_equal(n, 4000000000);
	static const struct {
		const char *key, *message;
	} wrong[] = {
		{"v.i8", "key \"v.i8\" is i8 -100; a whole number from 0 to 4294967295 is wanted"},
		{"v.u64",
		 "key \"v.u64\" is u64 18446744073709551615; a whole number from 0 to 4294967295 is wanted"},
		{"v.f64", "key \"v.f64\" is f64 0.1; a whole number from 0 to 4294967295 is wanted"},
		{"v.true", "key \"v.true\" is bool true; a whole number from 0 to 4294967295 is wanted"},
		{"general.architecture", "key \"general.architecture\" is string \"test\"; a whole number "
					 "from 0 to 4294967295 is wanted"},
		{"a.u8", "key \"a.u8\" is an array of 3 u8; a whole number from 0 to 4294967295 is wanted"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		n = 77;
		assert_int_equal(gguf_get_u32(o.g, wrong[i].key, &n, &found, &err), HOKKU_BAD_FILE);
		assert_non_null(strstr(err.message, wrong[i].message));
		assert_int_equal(n, 77);
	}
	assert_int_equal(gguf_get_u32(o.g, "general.architecture", &n, &found, &err), HOKKU_BAD_FILE);
	assert_string_equal(err.message,
			    "x.gguf: byte 24: key \"general.architecture\" is string \"test\"; a whole "
			    "number from 0 to 4294967295 is wanted");
	opened_free(&o);
}

static void test_get_f32(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	struct hokku_error err = {0};
	float x = 77;
	bool found = true;
	assert_int_equal(gguf_get_f32(o.g, "absent", &x, &found, &err), HOKKU_OK);
	assert_false(found);
	assert_int_equal(gguf_get_f32(o.g, "absent", &x, NULL, &err), HOKKU_BAD_FILE);
	assert_true(x == 77);
	assert_int_equal(gguf_get_f32(o.g, "v.f32", &x, NULL, &err), HOKKU_OK);
	assert_true(x == 1e-6f);
	assert_int_equal(gguf_get_f32(o.g, "v.f64", &x, NULL, &err), HOKKU_OK);
	assert_true(x == 0.1f);
	assert_int_equal(gguf_get_f32(o.g, "v.i16", &x, NULL, &err), HOKKU_OK);
	assert_true(x == -30000);
	assert_int_equal(gguf_get_f32(o.g, "v.u16", &x, NULL, &err), HOKKU_OK);
	assert_true(x == 60000);
	assert_int_equal(gguf_get_f32(o.g, "v.true", &x, &found, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "is bool true; a number that a 32-bit float can hold is wanted"));
	opened_free(&o);
}

static void test_get_f32_not_finite(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *shown;
	} wrong[] = {{1e39, "f64 1e+39"}, {-1e300, "f64 -1e+300"}, {INFINITY, "f64 inf"}, {NAN, "f64 nan"}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct strbuf b = {0};
		struct hokku_error err = {0};
		struct gguf *g;
		void *copy;
		float x = 77;
		b_header(&b, 3, 0, 1);
		b_key(&b, "k", GGUF_F64);
		b_f64(&b, wrong[i].value);
		assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
		assert_int_equal(gguf_get_f32(g, "k", &x, NULL, &err), HOKKU_BAD_FILE);
		assert_non_null(strstr(err.message, wrong[i].shown));
		assert_true(x == 77);
		gguf_close(g);
		free(copy);
		strbuf_free(&b);
	}
}

static void test_get_others(void **state)
{
	(void)state;
	struct opened o = open_rich(3, 0);
	struct hokku_error err = {0};
	bool yes = false, found;
	struct str s = {0};
	struct gguf_array a = {0};
	assert_int_equal(gguf_get_bool(o.g, "v.true", &yes, NULL, &err), HOKKU_OK);
	assert_true(yes);
	assert_int_equal(gguf_get_bool(o.g, "v.false", &yes, NULL, &err), HOKKU_OK);
	assert_false(yes);
	assert_int_equal(gguf_get_bool(o.g, "v.u8", &yes, &found, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "key \"v.u8\" is u8 200; a bool is wanted"));
	assert_int_equal(gguf_get_bool(o.g, "absent", &yes, NULL, &err), HOKKU_BAD_FILE);
	assert_int_equal(gguf_get_str(o.g, "general.architecture", &s, &found, &err), HOKKU_OK);
	assert_true(found && str_eq_c(s, "test"));
	assert_int_equal(gguf_get_str(o.g, "v.f32", &s, &found, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "a string is wanted"));
	assert_int_equal(gguf_get_str(o.g, "absent", &s, &found, &err), HOKKU_OK);
	assert_false(found);
	assert_int_equal(gguf_get_str(o.g, "absent", &s, NULL, &err), HOKKU_BAD_FILE);
	assert_string_equal(err.message, "x.gguf: key \"absent\" is missing; a string is wanted");
	assert_int_equal(gguf_get_array(o.g, "a.string", GGUF_STRING, &a, &found, &err), HOKKU_OK);
	assert_int_equal(a.n, 3);
	assert_int_equal(gguf_get_array(o.g, "a.string", GGUF_F32, &a, &found, &err), HOKKU_BAD_FILE);
	assert_non_null(
		strstr(err.message, "key \"a.string\" is an array of 3 string; an array of f32 is wanted"));
	assert_int_equal(gguf_get_array(o.g, "v.u8", GGUF_F32, &a, &found, &err), HOKKU_BAD_FILE);
	assert_int_equal(gguf_get_array(o.g, "absent", GGUF_F32, &a, &found, &err), HOKKU_OK);
	assert_false(found);
	assert_int_equal(gguf_get_array(o.g, "absent", GGUF_F32, &a, NULL, &err), HOKKU_BAD_FILE);
	assert_string_equal(err.message, "x.gguf: key \"absent\" is missing; an array of f32 is wanted");
	opened_free(&o);
}

static void test_type_names(void **state)
{
	(void)state;
	assert_string_equal(gguf_type_name(GGUF_U8), "u8");
	assert_string_equal(gguf_type_name(GGUF_STRING), "string");
	assert_string_equal(gguf_type_name(GGUF_F64), "f64");
	assert_string_equal(gguf_type_name((enum gguf_type)13), "unknown");
	assert_string_equal(gguf_type_name((enum gguf_type) - 1), "unknown");
}

/* ---- files that others made ---- */

static void test_vocabularies(void **state)
{
	(void)state;
	static const struct {
		const char *file, *model;
		uint64_t n_kv, n_tokens;
	} want[] = {
		{"gpt-2.gguf", "gpt2", 16, 50257},
		{"llama-spm.gguf", "llama", 22, 32000},
		{"phi-3.gguf", "llama", 26, 32064},
		{"deepseek-llm.gguf", "gpt2", 23, 102400},
	};
	if (access(TEST_SHARED_DIR "/vocab/gpt-2.gguf", R_OK)) {
		print_message("skipped: there is no " TEST_SHARED_DIR "/vocab/gpt-2.gguf\n");
		skip();
	}
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		char path[512];
		struct hokku_error err = {0};
		struct gguf *g;
		struct str model;
		struct gguf_array tokens;
		snprintf(path, sizeof path, "%s/vocab/%s", TEST_SHARED_DIR, want[i].file);
		if (gguf_open_file(path, &g, &err))
			fail_msg("%s", err.message);
		assert_int_equal(gguf_version(g), 3);
		assert_int_equal(gguf_n_kv(g), want[i].n_kv);
		assert_int_equal(gguf_n_tensors(g), 0);
		assert_int_equal(gguf_get_str(g, "tokenizer.ggml.model", &model, NULL, &err), HOKKU_OK);
		assert_true(str_eq_c(model, want[i].model));
		assert_int_equal(gguf_get_array(g, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, NULL, &err),
				 HOKKU_OK);
		assert_int_equal(tokens.n, want[i].n_tokens);
		gguf_close(g);
	}
}

/* Of this thread, so that a busy machine does not count. */
static double cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* 150,000 tokens with scores and as many merges: opened and walked in milliseconds. The limit is loose, so
 * that sanitizers pass; the time is printed. */
static void test_large_vocabulary(void **state)
{
	(void)state;
	enum { N = 150000 };
	struct strbuf b = {0};
	struct hokku_error err = {0};
	struct gguf *g;
	b_header(&b, 3, 0, 3);
	static const char *const keys[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"};
	for (int k = 0; k < 2; k++) {
		b_key(&b, keys[k], GGUF_ARRAY), b_array(&b, GGUF_STRING, N);
		for (int i = 0; i < N; i++) {
			char token[32];
			snprintf(token, sizeof token, "token %d", i * 7);
			b_str(&b, token);
		}
	}
	b_key(&b, "tokenizer.ggml.scores", GGUF_ARRAY), b_array(&b, GGUF_F32, N);
	b_zeros(&b, 4 * N);
	double start = cpu_ms();
	assert_int_equal(gguf_open_memory(b.ptr, b.len, "x.gguf", &g, &err), HOKKU_OK);
	double open_ms = cpu_ms() - start;
	struct gguf_array_iter it;
	struct gguf_value v;
	uint64_t n = 0, bytes = 0;
	start = cpu_ms();
	gguf_array_iter_init(&it, &gguf_find(g, "tokenizer.ggml.tokens")->array);
	while (gguf_array_next(&it, &v)) {
		n++;
		bytes += v.string.len;
	}
	print_message("opened in %.2f ms, %d tokens walked in %.2f ms\n", open_ms, N, cpu_ms() - start);
	assert_int_equal(n, N);
	assert_true(bytes > 6 * N);
	assert_true(open_ms < 1000);
	gguf_close(g);
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),           cmocka_unit_test(test_order_and_lookup),
		cmocka_unit_test(test_values),           cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_nested),           cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_trailing),         cmocka_unit_test(test_tensors_out_of_order),
		cmocka_unit_test(test_last_padding),     cmocka_unit_test(test_nothing_inside),
		cmocka_unit_test(test_get_u32),          cmocka_unit_test(test_get_f32),
		cmocka_unit_test(test_get_others),       cmocka_unit_test(test_get_f32_not_finite),
		cmocka_unit_test(test_type_names),       cmocka_unit_test(test_vocabularies),
		cmocka_unit_test(test_large_vocabulary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
