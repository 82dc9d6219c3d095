/* Formats: a table whose verdicts are ajv-formats' and the RFCs' (oracle/text_formats.mjs made it), and more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rx_try.h"

static rx format(struct rx_pool *p, struct str name)
{
	rx r;
	if (!rx_format(p, name, &r))
		fail_msg("%.*s is not known", STR_ARG(name));
	assert_false(rx_failed(p));
	assert_true(rx_alive(p, r));
	return r;
}

static void test_table(void **state)
{
	(void)state;
	struct jv_doc d;
	struct rx_pool *p = try_pool();
	struct strbuf text = {0};
	uint32_t n[2] = {0};
	try_read(TEST_GOLDEN_DIR "/text_formats/table.json", &d);
	for (uint32_t i = 0; i < d.root.n; i++) {
		const struct jv *row = d.root.items[i].items, *texts = &row[1];
		rx r = format(p, str_c(row[0].text));
		for (uint32_t k = 0; k < texts->n; k++) {
			struct str plain = jv_key(texts, k);
			bool wanted = atoi(jv_value(texts, k)->text);
			strbuf_clear(&text);
			strbuf_add_json(&text, plain.ptr, plain.len);
			if (rx_matches(p, r, text.ptr + 1, text.len - 2) != wanted)
				fail_msg("%s: %s %s", row[0].text, text.ptr,
					 wanted ? "is refused" : "is taken");
			n[wanted]++;
		}
	}
	assert_true(n[0] > 1000 && n[1] > 500);
	jv_doc_free(&d);
	strbuf_free(&text);
	rx_pool_free(p);
}

static void test_international(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r = format(p, STR_LIT("iri"));
	MATCHES(p, r, "iri", "http://\xc6\x92\xc3\xb8\xc3\xb8.com/?b=\xee\x80\x80#x", "http://a.b/\\u00fc",
		"urn:a");
	REFUSES(p, r, "iri", "http://a.b/\xee\x80\x80", "/abs", "\xc3\xbc:a", "http://a.b/<>");
	r = format(p, STR_LIT("iri-reference"));
	MATCHES(p, r, "iri-reference", "", "//\xc3\xbc", "\xc3\xbc/x:y", "#\xc3\xbc");
	REFUSES(p, r, "iri-reference", "\xc3\xbc:x", "a b");
	rx_pool_free(p);
}

/* Every name is known, has texts, and stands for less than all texts; its escapes are JSON's. */
static void test_names(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r, any = rx_any_text(p, RX_JSON, 0, RX_UNBOUNDED);
	size_t n = 0;
	for (; rx_format_name(n); n++) {
		r = format(p, str_c(rx_format_name(n)));
		assert_false(rx_alive(p, rx_and(p, r, rx_not(p, any))));
		assert_true(rx_alive(p, rx_and(p, any, rx_not(p, r))));
	}
	assert_int_equal(n, 18);
	assert_false(rx_format(p, STR_LIT("idn-email"), &r));
	assert_false(rx_format(p, STR_LIT("dat"), &r));
	assert_false(rx_format(p, STR_LIT(""), &r));
	MATCHES(p, format(p, STR_LIT("date")), "date", "2024-02-29", "\\u0032024-02-29");
	MATCHES(p, format(p, STR_LIT("json-pointer")), "json-pointer", "/\\\"", "\\/a\\n");
	REFUSES(p, format(p, STR_LIT("json-pointer")), "json-pointer", "/\"", "/\n");
	rx_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_international),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
