/* JSON instances as texts: what Python 3's json.dumps gives for the same values, pointers and places in a
 * text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/instance.h"

static void expect_written(const char *json, const char *wanted, bool exact)
{
	struct jv_doc doc;
	struct strbuf b = {0};
	assert_int_equal(jv_parse(str_c(json), JV_STRICT, &doc, NULL), HOKKU_OK);
	if (exact)
		instance_write_exact(&b, &doc.root);
	else
		instance_write(&b, &doc.root);
	assert_string_equal(b.ptr, wanted);
	jv_doc_free(&doc);
	strbuf_free(&b);
}

/* python3 -c 'import json; print(json.dumps(json.loads(TEXT), ensure_ascii=False))' of each. */
static void test_write(void **state)
{
	static const char *const cases[][2] = {
		{"[]", "[]"},
		{"{}", "{}"},
		{" {\"b\":[1,true,null],\"a\":{\"\":false}}",
		 "{\"b\": [1, true, null], \"a\": {\"\": false}}"},
		{"[0, -0, -0.0, 0.0, 1.0, 1e5, 1E22, 1e16, 1e15]",
		 "[0, 0, -0.0, 0.0, 1.0, 100000.0, 1e+22, 1e+16, 1000000000000000.0]"},
		{"[0.1, 0.00012, 1e-5, 123456.789, 5e-324, 1.7976931348623157e308]",
		 "[0.1, 0.00012, 1e-05, 123456.789, 5e-324, 1.7976931348623157e+308]"},
		{"[123456789012345678901234567890, 123456789012345678901234567890.5, -2.50]",
		 "[123456789012345678901234567890, 1.2345678901234568e+29, -2.5]"},
		{"\"a\\\"b\\\\c\\/d\\u00e9\\ud83c\\udf38\"", "\"a\\\"b\\\\c/d\xc3\xa9\xf0\x9f\x8c\xb8\""},
		{"\"\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f\"", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_written(cases[i][0], cases[i][1], false);
	expect_written(" {\"b\": [1.0, 1e5, -0], \"a\": 0.10}", "{\"b\":[1.0,1e5,-0],\"a\":0.10}", true);
}

/* What stands before the caret. */
static void expect_pointer(const char *before, const char *after, const char *wanted)
{
	char text[256];
	struct strbuf b = {0};
	snprintf(text, sizeof text, "%s%s", before, after);
	instance_pointer(&b, str_c(text), strlen(before));
	assert_string_equal(b.ptr ? b.ptr : "", wanted);
	strbuf_free(&b);
}

static void test_pointer(void **state)
{
	char deep[256] = "", pointer[256] = "";
	(void)state;
	expect_pointer("", "{}", "");
	expect_pointer("{", "\"a\": 1}", "");
	expect_pointer("{\"a", "b\": 1}", "");
	expect_pointer("{\"a\"", ": 1}", "/a");
	expect_pointer("{\"a\": ", "1}", "/a");
	expect_pointer("{\"a\": 1", "}", "/a");
	expect_pointer("{\"a\": 1, ", "\"b\": 2}", "");
	expect_pointer("{\"a\": [1, {\"b\": [", "2]}]}", "/a/1/b/0");
	expect_pointer("{\"a\": [1, {\"b\": [2]}", "]}", "/a/1");
	expect_pointer("{\"x/y~z\": ", "1}", "/x~1y~0z");
	expect_pointer("{\"a\\\"{[,b\": ", "1}", "/a\\\"{[,b");
	expect_pointer("{\"a\": \"x, {[", "\"}", "/a");
	expect_pointer("]}", "", "");     /* no JSON */
	for (size_t i = 0; i < 66; i++) { /* 64 levels are told */
		strcat(deep, "[");
		strcat(pointer, i < 64 ? "/0" : "");
		expect_pointer(deep, "", pointer);
	}
}

static void test_place(void **state)
{
	struct str text = STR_LIT("ab\n\xc3\xa9x\n");
	static const size_t wanted[][2] = {{1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {2, 2}, {2, 3}, {3, 1}};
	(void)state;
	for (size_t i = 0; i <= text.len; i++) {
		struct instance_place p = instance_place(text, i);
		assert_int_equal(p.line, wanted[i][0]);
		if (i != 4) /* in the middle of a character */
			assert_int_equal(p.column, wanted[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_write), cmocka_unit_test(test_pointer),
					   cmocka_unit_test(test_place)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
