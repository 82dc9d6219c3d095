/* Names of several models, and what a request's name means; the model that a body names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/model_name.h"
#include "server/peek.h"

static void test_names_of_paths(void **state)
{
	char out[MODEL_NAME_MAX_BYTES + 1];
	static const struct {
		const char *path;
		unsigned n;
		const char *name;
	} rows[] = {
		{"m.gguf", 1, "m"},
		{"m.GGUF", 1, "m"},
		{"/a/b/m.gguf", 1, "m"},
		{"/a/b/m.gguf", 2, "b/m"},
		{"/a/b/m.gguf", 3, "a/b/m"},
		{"/a/b/m.gguf", 4, NULL},
		{"a//m.gguf", 2, "a//m"},
		{"m.gguf", 2, NULL},
		{"/a/folder/", 1, "folder"},
		{"/", 1, NULL},
		{"x-00001-of-00003.gguf", 1, "x"},
		{"x-00001-of-0003.gguf", 1, "x-00001-of-0003"},
		{"-00001-of-00003.gguf", 1, "-00001-of-00003"},
		{".gguf", 1, ".gguf"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool is = model_name_of(rows[i].path, rows[i].n, out);
		assert_int_equal(is, rows[i].name != NULL);
		if (is)
			assert_string_equal(out, rows[i].name);
	}
	char path[MODEL_NAME_MAX_BYTES + 8];
	for (size_t n = MODEL_NAME_MAX_BYTES - 1; n <= MODEL_NAME_MAX_BYTES + 1; n++) {
		memset(path, 'a', n);
		strcpy(path + n, ".gguf");
		assert_int_equal(model_name_of(path, 1, out), n <= MODEL_NAME_MAX_BYTES);
	}
}

static void test_finds(void **state)
{
	static const char *const names[] = {"qwen3-4b", "Tiny", "a/m", "b/m", "a/other", "TINY2"};
	static const struct {
		const char *asked;
		int found;
		const char *why;
	} rows[] = {
		{"qwen3-4b", 0, NULL},
		{"QWEN3-4B:latest", 0, NULL},
		{"qwen3-4b.gguf", 0, NULL},
		{"tiny", 1, NULL},
		{"a/m", 2, NULL},
		{"B/M", 3, NULL},
		{"other", 4, NULL},
		{"other:LATEST", 4, NULL},
		{"m", -1, "model \"m\" not found: it may be 'a/m' or 'b/m'; name one of them"},
		{"qwen3-4", -1, "did you mean 'qwen3-4b'? This server has 'qwen3-4b', 'Tiny', 'a/m', "},
		{"zzzzzzzzz", -1, "model \"zzzzzzzzz\" not found; this server has "},
		{"", -1, "not found"},
		{"/m", -1, "not found"},
		{"a/", -1, "not found"},
	};
	struct hokku_error err;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(model_name_find(rows[i].asked, names, 6, &err), rows[i].found);
		if (rows[i].why) {
			assert_int_equal(err.code, HOKKU_NOT_FOUND);
			if (!strstr(err.message, rows[i].why))
				fail_msg("%s: %s", rows[i].asked, err.message);
		}
	}
	assert_int_equal(model_name_find("x", NULL, 0, &err), -1);
	assert_non_null(strstr(err.message, "this server has none"));
	static const char *const alike[] = {"Tiny", "TINY"};
	assert_int_equal(model_name_find("TINY", alike, 2, &err), 1);
	assert_int_equal(model_name_find("tiny", alike, 2, &err), -1);
}

static void test_long_lists_are_cut(void **state)
{
	const char *names[500];
	struct hokku_error err;
	(void)state;
	for (int i = 0; i < 500; i++)
		names[i] = "a-name-of-some-length";
	assert_int_equal(model_name_find("x", names, 500, &err), -1);
	assert_non_null(strstr(err.message, " more"));
}

static void test_peeks(void **state)
{
	static const struct {
		const char *body, *model;
	} rows[] = {
		{"{\"model\":\"a\"}", "a"},
		{" \n{ \"x\" : [1,{\"model\":\"no\"},\"]\\\"}\"] , \"model\"\t:\r\"b\\u0041\\\"\" }", "bA\""},
		{"\xEF\xBB\xBF{\"model\":\"a\"}", "a"},
		{"{\"name\":\"n\"}", "n"},
		{"{\"name\":\"n\",\"model\":\"m\"}", "m"},
		{"{\"m\\u006fdel\":\"esc\"}", "esc"},
		{"{\"messages\":[{\"model\":\"no\"}],\"stream\":true}", NULL},
		{"{\"model\":5,\"name\":\"n\"}", "n"},
		{"{\"model\":null}", NULL},
		{"{\"a\":true,\"b\":-1.5e3,\"c\":null,\"model\":\"m\"}", "m"},
		{"{\"a\":\"\\\\\",\"model\":\"m\"}", "m"},
		{"{\"a\":\"\\\\\\\"\",\"model\":\"m\"}", "m"},
		{"{\"model\":\"m\", what follows is not read", "m"},
		{"{\"model\":\"cut", NULL},
		{"{\"model\":\"bad \xff\"}", NULL},
		{"{\"a\":[[[[", NULL},
		{"{\"a\":]", NULL},
		{"[\"model\"]", NULL},
		{"{,\"model\":\"m\"}", NULL},
		{"{x,\"model\":\"m\"}", NULL},
		{"{\"a\",\"model\":\"m\"}", NULL},
		{"{}", NULL},
		{"{", NULL},
		{"\"", NULL},
		{"", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf out = {0};
		bool is = peek_model(str_c(rows[i].body), "name", &out);
		if (is != (rows[i].model != NULL))
			fail_msg("%s", rows[i].body);
		if (is)
			assert_string_equal(out.ptr, rows[i].model);
		strbuf_free(&out);
	}
	struct strbuf out = {0};
	assert_false(peek_model(str_c("{\"name\":\"n\"}"), NULL, &out));
}

static void test_peeks_at_queries(void **state)
{
	static const struct {
		const char *query, *value;
	} rows[] = {
		{"model=a", "a"},       {"x=1&model=a%2Fb+c&y", "a/b c"},
		{"model=%4", "%4"},     {"model=%zz", "%zz"},
		{"model=%41", "A"},     {"models=a", NULL},
		{"model", NULL},        {"", NULL},
		{"amodel=a&=&&", NULL}, {"model=%", "%"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf out = {0};
		assert_int_equal(peek_query(str_c(rows[i].query), "model", &out), rows[i].value != NULL);
		if (rows[i].value)
			assert_string_equal(out.ptr, rows[i].value);
		strbuf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_paths),     cmocka_unit_test(test_finds),
		cmocka_unit_test(test_long_lists_are_cut), cmocka_unit_test(test_peeks),
		cmocka_unit_test(test_peeks_at_queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
