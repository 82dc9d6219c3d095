/* Code points and texts in their two dresses, against a plain reader of JSON strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/json.h"
#include "rx_try.h"

static void test_ways(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	const struct rx_span letter = {'a', 'a'}, quote = {'"', '"'}, slash = {'/', '/'},
			     newline = {'\n', '\n'}, control = {1, 1}, u_umlaut = {0xfc, 0xfc},
			     face = {0x1f600, 0x1f600}, delete = {0x7f, 0x7f};
	MATCHES(p, rx_char(p, RX_JSON, &letter, 1), "a", "a", "\\u0061");
	REFUSES(p, rx_char(p, RX_JSON, &letter, 1), "a", "", "A", "\\a", "\\u0041", "\\U0061", "u0061", "aa",
		"\\u061");
	MATCHES(p, rx_char(p, RX_JSON, &quote, 1), "quote", "\\\"", "\\u0022");
	REFUSES(p, rx_char(p, RX_JSON, &quote, 1), "quote", "\"", "\\\\");
	MATCHES(p, rx_char(p, RX_JSON, &slash, 1), "slash", "/", "\\/", "\\u002f", "\\u002F");
	MATCHES(p, rx_char(p, RX_JSON, &newline, 1), "newline", "\\n", "\\u000a", "\\u000A");
	REFUSES(p, rx_char(p, RX_JSON, &newline, 1), "newline", "\n", "n", "\\r", "\\u000b");
	MATCHES(p, rx_char(p, RX_JSON, &control, 1), "control", "\\u0001");
	REFUSES(p, rx_char(p, RX_JSON, &control, 1), "control", "\1", "\\1");
	MATCHES(p, rx_char(p, RX_JSON, &delete, 1), "delete", "\x7f", "\\u007f", "\\u007F");
	MATCHES(p, rx_char(p, RX_JSON, &u_umlaut, 1), "ue", "\xc3\xbc", "\\u00fc", "\\u00FC", "\\u00fC");
	MATCHES(p, rx_char(p, RX_JSON, &face, 1), "face", "\xf0\x9f\x98\x80", "\\ud83d\\ude00",
		"\\uD83D\\uDE00", "\\uD83d\\udE00");
	REFUSES(p, rx_char(p, RX_JSON, &face, 1), "face", "\\ud83d", "\\ude00", "\\ud83d\\ude01",
		"\\ude00\\ud83d", "\\u1f600");
	MATCHES(p, rx_char(p, RX_RAW, &quote, 1), "raw quote", "\"");
	REFUSES(p, rx_char(p, RX_RAW, &quote, 1), "raw quote", "\\\"", "\\u0022");
	rx_pool_free(p);
}

static void test_surrogates_are_no_text(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	const struct rx_span alone = {0xd800, 0xdfff}, all = {0, 0x10ffff};
	assert_int_equal(rx_char(p, RX_JSON, &alone, 1), RX_NONE);
	REFUSES(p, rx_any_text(p, RX_JSON, 0, RX_UNBOUNDED), "lone", "\\ud800", "\\udfff", "\\ud800x",
		"\\ud800\\u0041", "\\ud83d\\ud83d", "\xed\xa0\x80");
	MATCHES(p, rx_any_text(p, RX_JSON, 0, RX_UNBOUNDED), "pairs", "", "\\ud800\\udc00", "\\udbff\\udfff",
		"\\ud7ff", "\\ue000", "\\uffff", "\xf4\x8f\xbf\xbf");
	MATCHES(p, rx_char(p, RX_JSON, &all, 1), "any", "\\ud800\\udc00", "\\udbff\\udfff");
	rx_pool_free(p);
}

static void test_counts_code_points(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r = rx_any_text(p, RX_JSON, 2, 3);
	MATCHES(p, r, "2 to 3", "ab", "abc", "\\n\\\\", "\\u0041\\ud83d\\ude00",
		"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80");
	REFUSES(p, r, "2 to 3", "", "a", "abcd", "\\u0041", "\\ud83d\\ude00", "\\\\\\\\\\\\\\\\");
	rx raw = rx_any_text(p, RX_RAW, 1, 1);
	MATCHES(p, raw, "1 raw", "a", "\n", "\"", "\xf0\x9f\x98\x80");
	REFUSES(p, raw, "1 raw", "", "ab", "\xf0\x9f\x98", "\x80");
	rx_pool_free(p);
}

static void test_whole_texts(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r = rx_text(p, RX_JSON, STR_LIT("a\"\xc3\xbc\xf0\x9f\x98\x80"));
	MATCHES(p, r, "text", "a\\\"\xc3\xbc\xf0\x9f\x98\x80", "\\u0061\\u0022\\u00fc\\ud83d\\uDE00");
	REFUSES(p, r, "text", "", "a\"\xc3\xbc\xf0\x9f\x98\x80", "a\\\"\xc3\xbc");
	MATCHES(p, rx_text(p, RX_RAW, STR_LIT("a\"")), "raw", "a\"");
	assert_int_equal(rx_text(p, RX_JSON, STR_LIT("")), RX_EMPTY);
	assert_true(rx_matches(p, rx_text(p, RX_JSON, (struct str){"\0", 1}), "\\u0000", 6));
	rx_pool_free(p);
}

/* Bytes drawn at random, of those that escapes are made of: what matches is what a reader of JSON takes. */
static void test_as_json_reads(void **state)
{
	(void)state;
	static const char chars[] = "\\\\\\\\uuuddDD8c0aF\"/nbx\x01\xc3\xbc";
	struct rx_pool *p = try_pool();
	uint64_t rng = 7;
	rx r = rx_any_text(p, RX_JSON, 0, RX_UNBOUNDED);
	uint32_t n_taken = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		char text[40] = "\"";
		size_t n = 1 + try_draw(&rng, 14);
		if (i % 4 == 0) { /* such as are likely to be pairs */
			n = (size_t)snprintf(text + 1, 30, "\\u%c%c%x%x\\u%c%cff", "dD0"[try_draw(&rng, 3)],
					     "7889abcd"[try_draw(&rng, 8)], try_draw(&rng, 16),
					     try_draw(&rng, 16), "dDe"[try_draw(&rng, 3)],
					     "bcdefCF0"[try_draw(&rng, 8)]) +
			    1;
		} else {
			for (size_t k = 1; k < n; k++)
				text[k] = chars[try_draw(&rng, sizeof chars - 1)];
		}
		text[n] = '"';
		struct jv_doc d;
		bool taken = jv_parse((struct str){text, n + 1}, JV_STRICT, &d, NULL) == HOKKU_OK;
		if (taken) {
			struct str plain = {d.root.text, d.root.n};
			if (!rx_matches(p, rx_text(p, RX_JSON, plain), text + 1, n - 1))
				fail_msg("%s is not among the ways of what it says", text);
			n_taken++;
		}
		jv_doc_free(&d);
		if (rx_matches(p, r, text + 1, n - 1) != taken)
			fail_msg("%s: the reader of JSON says %d", text, taken);
	}
	assert_true(n_taken > 1000);
	assert_false(rx_failed(p));
	rx_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_surrogates_are_no_text),
		cmocka_unit_test(test_counts_code_points),
		cmocka_unit_test(test_whole_texts),
		cmocka_unit_test(test_as_json_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
