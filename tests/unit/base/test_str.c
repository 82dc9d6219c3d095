#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <wchar.h>

#include <cmocka.h>

#include "base/str.h"

static void views_compare(void **state)
{
	(void)state;
	assert_true(str_eq(STR_LIT("abc"), str_c("abc")));
	assert_false(str_eq(STR_LIT("abc"), str_c("abd")));
	assert_false(str_eq(STR_LIT("abc"), str_c("ab")));
	assert_true(str_eq((struct str){NULL, 0}, STR_LIT("")));
	assert_true(str_starts(STR_LIT("token_embd"), STR_LIT("token")));
	assert_false(str_starts(STR_LIT("tok"), STR_LIT("token")));
}

static void buffers_grow(void **state)
{
	(void)state;
	struct strbuf b = {0};
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&b, "%d,", i);
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(b.ptr), b.len);
	strbuf_clear(&b);
	strbuf_add_c(&b, "again");
	strbuf_add(&b, "", 0);
	assert_string_equal(b.ptr, "again");
	assert_false(strbuf_reserve(&b, SIZE_MAX - 2));
	assert_true(b.failed);
	assert_string_equal(b.ptr, "again");
	strbuf_free(&b);
	assert_null(b.ptr);
	assert_false(b.failed);
}

/* One piece that could not be added makes the whole a failure, whatever is added after it. */
static void a_failed_buffer_stays_failed(void **state)
{
	(void)state;
	static const char piece[] = "piece";
	for (int how = 0; how < 6; how++) {
		struct strbuf b = {0};
		strbuf_add_c(&b, "before");
		if (how == 5) /* no such character: vsnprintf's own failure */
			strbuf_addf(&b, "%lc", (wint_t)0x110000);
		else
			assert_false(strbuf_reserve(&b, SIZE_MAX / 2 - b.len));
		assert_true(b.failed);
		assert_string_equal(b.ptr, "before");
		if (how == 0)
			assert_true(strbuf_reserve(&b, 1));
		else if (how == 1)
			strbuf_add(&b, piece, sizeof piece - 1);
		else if (how == 2)
			strbuf_add_c(&b, piece);
		else if (how == 3)
			strbuf_addf(&b, "%s", piece);
		else
			strbuf_add_json(&b, piece, sizeof piece - 1);
		assert_true(b.failed);
		strbuf_clear(&b);
		assert_false(b.failed);
		assert_int_equal(b.len, 0);
		assert_string_equal(b.ptr, "");
		strbuf_free(&b);
	}
}

static void json_strings(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *out;
	} cases[] = {
		{STR_LIT(""), "\"\""},
		{STR_LIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
		{STR_LIT("\n\t\x01\x7f"), "\"\\n\\u0009\\u0001\\u007f\""},
		{STR_LIT("\xE6\xA1\x9C"), "\"\xE6\xA1\x9C\""},
		{STR_LIT("\xE6\xA1"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{STR_LIT("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{STR_LIT("\0"), "\"\\u0000\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct strbuf b = {0};
		strbuf_add_json(&b, cases[i].in.ptr, cases[i].in.len);
		assert_string_equal(b.ptr, cases[i].out);
		strbuf_free(&b);
	}
}

static void quotes_are_printable_and_bounded(void **state)
{
	(void)state;
	char out[64], small[12];
	assert_string_equal(str_quote(STR_LIT("plain"), out, sizeof out), "\"plain\"");
	assert_string_equal(str_quote(STR_LIT("a\nb\x1b\xFF"), out, sizeof out), "\"a\\nb\\x1b\\xff\"");
	assert_string_equal(str_quote(STR_LIT("\xC3\xA9"), out, sizeof out), "\"\xC3\xA9\"");
	assert_string_equal(str_quote(STR_LIT("say \"x\""), out, sizeof out), "\"say \\\"x\\\"\"");
	assert_string_equal(str_quote(STR_LIT("0123456789abcdef"), small, sizeof small), "\"012345...\"");
	assert_string_equal(str_quote(STR_LIT("x"), small, 4), "");
}

static void nearest_word(void **state)
{
	(void)state;
	static const char *const words[] = {"inspect", "serve", "run", "convert", NULL};
	assert_string_equal(str_nearest("insepct", words), "inspect");
	assert_string_equal(str_nearest("rnu", words), "run");
	assert_string_equal(str_nearest("server", words), "serve");
	assert_null(str_nearest("zzzzzz", words));
	assert_null(str_nearest("a word that is far longer than any that could be meant here", words));
}

/* A third of the word's length and one more is near; the next is not. A swap counts one, as does a letter
 * that is other, missing or too much. Of equals the first is taken, and the nearest of all. */
static void nearest_words_at_the_edge(void **state)
{
	(void)state;
	static const struct {
		const char *word, *known, *other;
		bool near;
	} rows[] = {
		{"", "a", "bb", true},
		{"", "ab", "abc", false},
		{"ab", "xb", "xy", true},
		{"ab", "xy", "xyz", false},
		{"abc", "xyc", "xyz", true},
		{"abc", "xyz", "xyzv", false},
		{"abcde", "xycde", "xyzde", true},
		{"abcde", "xyzde", "xyzue", false},
		{"abcdef", "xyzdef", "xyzvef", true},
		{"abcdef", "xyzvef", "xyzvwf", false},
		{"abcdef", "bacdfe", "xyzuvw", true}, /* two swaps */
		{"abcdef", "bcdefa", "xyzuvw", true}, /* one gone, one more */
		{"abcdef", "badcfe", "xyzuvw", true}, /* three swaps */
		{"abcdef", "cabfde", "xyzuvw", true}, /* c more, c for f, f gone */
		{"abc", "abcde", "abcdefg", true},
		{"abc", "abcdef", "abcdefg", false},
		{"abcdef", "abc", "ab", true},
		{"abcdef", "ab", "a", false},
		{"a234567890123456789012345678901b", "a234567890123456789012345678901c", "x", true}, /* 32 */
		{"a234567890123456789012345678901bc", "a234567890123456789012345678901bd", "x", false},
		{"a234567890123456789012345678901b", "a234567890123456789012345678901bd", "x", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const words[] = {rows[i].other, rows[i].known, rows[i].other, NULL};
		const char *got = str_nearest(rows[i].word, words);
		if (got != (rows[i].near ? rows[i].known : NULL))
			fail_msg("\"%s\" to \"%s\": %s", rows[i].word, rows[i].known, got ? got : "none");
	}
	static const char *const equals[] = {"axx", "abx", "aby", "abc", "abz", NULL};
	assert_ptr_equal(str_nearest("abq", equals), equals[1]);
	assert_ptr_equal(str_nearest("abc", equals), equals[3]);
}

static void utf8_prefixes(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		size_t valid;
	} cases[] = {
		{STR_LIT("abc"), 3},
		{STR_LIT("a\xE2\x82\xAC"), 4},
		{STR_LIT("a\xE2\x82"), 1},
		{STR_LIT("\xED\xA0\x80"), 0},     /* a surrogate */
		{STR_LIT("\xF4\x8F\xBF\xBF"), 4}, /* U+10FFFF */
		{STR_LIT("\xF4\x90\x80\x80"), 0}, /* one past it */
		{STR_LIT("\xE0\x9F\xBF"), 0},     /* overlong */
		{STR_LIT("\xF0\x8F\xBF\xBF"), 0}, /* overlong */
		{STR_LIT("\xC1\xBF"), 0},         /* overlong */
		{STR_LIT("\xF5\x80\x80\x80"), 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(utf8_valid_prefix(cases[i].in.ptr, cases[i].in.len), cases[i].valid);
}

static void numbers_for_people(void **state)
{
	(void)state;
	char out[32];
	assert_string_equal(str_thousands(0, out), "0");
	assert_string_equal(str_thousands(999, out), "999");
	assert_string_equal(str_thousands(1000, out), "1,000");
	assert_string_equal(str_thousands(151936, out), "151,936");
	assert_string_equal(str_thousands(UINT64_MAX, out), "18,446,744,073,709,551,615");
	assert_string_equal(str_bytes(1023, out), "1023 B");
	assert_string_equal(str_bytes(1024, out), "1.0 KiB");
	assert_string_equal(str_bytes(1536 * 1024, out), "1.5 MiB");
	assert_string_equal(str_bytes(UINT64_MAX, out), "16.0 EiB");
}

static void digits_alone(void **state)
{
	(void)state;
	static const char *const none[] = {"",    " 1",  "1 ",  "-1",  "+1",
					   "0x1", "1e3", "1.0", "one", "1000000000000000000"};
	uint64_t got = 7;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_false(str_read_digits(none[i], &got));
	assert_int_equal(got, 7);
	assert_true(str_read_digits("0", &got) && got == 0);
	assert_true(str_read_digits("007", &got) && got == 7);
	assert_true(str_read_digits("999999999999999999", &got) && got == 999999999999999999);
}

static void logins_are_hidden(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"http://user:secret@host/a.gguf", "http://***@host/a.gguf"},
		{"https://token@host:80/a@b", "https://***@host:80/a@b"},
		{"http://a:b@c@host", "http://***@host"}, /* the last one ends it */
		{"http://a:b/c@host/x", "http://***@host/x"},
		{"http://a:b?c#d@host/x", "http://***@host/x"},
		{"ftp://a:b@h", "ftp://***@h"},
		{"a:b@host/x", "***@host/x"},
		/* there is none */
		{"http://host:8080/user/repo@rev", "http://host:8080/user/repo@rev"},
		{"http://[::1]/r@v", "http://[::1]/r@v"},
		{"https://hf.co/user/repo@rev", "https://hf.co/user/repo@rev"},
		{"user/repo@rev:Q4_K_M", "user/repo@rev:Q4_K_M"},
		{"name@rev:Q4", "name@rev:Q4"},
		{"http://", "http://"},
		{"", ""},
	};
	char out[64], small[12];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(str_hide_login(rows[i][0], out, sizeof out), rows[i][1]);
	assert_string_equal(str_hide_login("http://u:secret@host", small, sizeof small), "http://***@");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views_compare),
		cmocka_unit_test(buffers_grow),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(quotes_are_printable_and_bounded),
		cmocka_unit_test(nearest_word),
		cmocka_unit_test(utf8_prefixes),
		cmocka_unit_test(numbers_for_people),
		cmocka_unit_test(a_failed_buffer_stays_failed),
		cmocka_unit_test(nearest_words_at_the_edge),
		cmocka_unit_test(digits_alone),
		cmocka_unit_test(logins_are_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
