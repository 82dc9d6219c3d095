/* Warnings in a header: ASCII, valid JSON, never longer than its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "server/warnings.h"

static struct strbuf b;

static void expect(const char *json, const char *header)
{
	warnings_header(str_c(json), &b);
	assert_string_equal(b.ptr, header);
	strbuf_free(&b);
}

static void test_text(void **state)
{
	(void)state;
	expect("\"a\"", "[\"a\"]");
	expect("\"a, b\",\"c\"", "[\"a, b\",\"c\"]");
	expect("\"\\\"[\\\\\",\"\\u000a\\n\"", "[\"\\\"[\\\\\",\"\\u000a\\n\"]");
	expect("\"\xC3\xA9\xE3\x81\xAE\xF0\x9F\x8C\x8A\x7F\"", "[\"\\u00e9\\u306e\\ud83c\\udf0a\\u007f\"]");
}

/* A string that just fits, with what is around it, and one byte more; the same before another. */
static void test_limit(void **state)
{
	(void)state;
	for (int others = 0; others < 2; others++) {
		/* of '[', ']' or the comma and the last string, and quotes */
		int room = WARNINGS_MAX_HEADER_BYTES - (others ? 1 + 1 + 28 + 1 : 2) - 2;
		for (int n = room - 1; n <= room + 1; n++) {
			struct strbuf json = {0};
			struct jv_doc doc;
			struct hokku_error err;
			strbuf_addf(&json, "\"%0*d\"%s", n, 1, others ? ",\"z\",\"y\"" : "");
			for (int i = 0; others && i < 100; i++)
				strbuf_add_c(&json, ",\"something else\"");
			warnings_header((struct str){json.ptr, json.len}, &b);
			assert_true(b.len <= WARNINGS_MAX_HEADER_BYTES);
			assert_int_equal(jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &doc, &err),
					 HOKKU_OK);
			bool kept = jv_str(jv_at(&doc.root, 0)).len == (size_t)n;
			assert_int_equal(kept, n <= room);
			if (others || !kept)
				assert_true(str_eq_c(jv_str(jv_at(&doc.root, jv_len(&doc.root) - 1)),
						     "there are more in the body"));
			jv_doc_free(&doc);
			strbuf_free(&json);
			strbuf_free(&b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests_name("warnings", tests, NULL, NULL);
}
