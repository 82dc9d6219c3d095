/* Patterns: what they match, and what is said of those that are none. The many are in test_pattern_table.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "constrain/pattern.h"
#include "rx_try.h"

static struct rx_pool *pool;

static rx pattern(const char *text, enum rx_dress dress, bool whole)
{
	struct hokku_error err = {0};
	rx r;
	if (rx_pattern(pool, dress, str_c(text), whole, &r, &err))
		fail_msg("%s: %s", text, err.message);
	return r;
}

static rx found(const char *text)
{
	return pattern(text, RX_RAW, false);
}

static rx whole(const char *text)
{
	return pattern(text, RX_RAW, true);
}

static int begin(void **state)
{
	(void)state;
	pool = try_pool();
	return 0;
}

static int end(void **state)
{
	(void)state;
	rx_pool_free(pool);
	return 0;
}

static void test_searched_or_whole(void **state)
{
	(void)state;
	MATCHES(pool, found("b+"), "b+", "b", "abc", "aabb", "\nb");
	REFUSES(pool, found("b+"), "b+", "", "a", "B");
	MATCHES(pool, whole("b+"), "whole b+", "b", "bbb");
	REFUSES(pool, whole("b+"), "whole b+", "", "ab", "b\n");
	MATCHES(pool, whole("a|bc"), "whole a|bc", "a", "bc");
	REFUSES(pool, whole("a|bc"), "whole a|bc", "ac", "abc");
	MATCHES(pool, whole("^a$"), "whole ^a$", "a");
	MATCHES(pool, found(""), "empty", "", "x");
	MATCHES(pool, whole(""), "whole empty", "");
	REFUSES(pool, whole(""), "whole empty", "x");
	assert_int_equal(found(""), rx_any_text(pool, RX_RAW, 0, RX_UNBOUNDED));
	REFUSES(pool, found(""), "bytes that are no text", "\xff", "\xed\xa0\x80", "\xc3");
	assert_false(rx_alive(pool, found("a^")));
	assert_false(rx_alive(pool, found("[]")));
	MATCHES(pool, whole("[^]"), "[^]", "\n", "x", "\xf0\x9f\x98\x80");
}

static void test_in_json(void **state)
{
	(void)state;
	rx r = pattern("^\"a\\\\\\n$", RX_JSON, false);
	MATCHES(pool, r, "quote, a, backslash, newline", "\\\"a\\\\\\n", "\\u0022\\u0061\\u005c\\u000A");
	REFUSES(pool, r, "quote, a, backslash, newline", "\"a\\\n", "\\\"a\\\\n");
	r = pattern("(?<!\\n)x", RX_JSON, false); /* what "\\n" ends in is an n */
	MATCHES(pool, r, "not after a newline", "\\\\nx", "x", "\\tx");
	REFUSES(pool, r, "not after a newline", "\\nx", "\\u000ax");
	r = pattern("^.$", RX_JSON, false);
	MATCHES(pool, r, "one", "\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\\\"", "\\t");
	REFUSES(pool, r, "one", "\\n", "\\u2028", "\\ud83d", "ab");
}

static void test_assertions(void **state)
{
	(void)state;
	MATCHES(pool, found("\\bcat\\b"), "\\bcat\\b", "cat", "a cat.", "cat cats", "-cat-");
	REFUSES(pool, found("\\bcat\\b"), "\\bcat\\b", "cats", "concat", "_cat", "");
	MATCHES(pool, whole("(?=.*[0-9])(?=.*[a-z])[0-9a-z]{3,5}"), "both kinds", "a1b", "12z", "abcd9");
	REFUSES(pool, whole("(?=.*[0-9])(?=.*[a-z])[0-9a-z]{3,5}"), "both kinds", "abc", "123", "a1",
		"a1b2c3");
	MATCHES(pool, found("^((?!mode).)*$"), "without mode", "", "mod", "a mo de");
	REFUSES(pool, found("^((?!mode).)*$"), "without mode", "mode", "my modes", "\n");
	MATCHES(pool, found("^([^,]+(,|$)){3,}$"), "three", "a,b,c", "a,b,c,", "a,b,c,d");
	REFUSES(pool, found("^([^,]+(,|$)){3,}$"), "three", "a,b", "a,b,", ",a,b,c", "a,,b,c");
	MATCHES(pool, found("(?<=ab)c"), "(?<=ab)c", "abc", "xabcx");
	REFUSES(pool, found("(?<=ab)c"), "(?<=ab)c", "c", "bc", "ab", "abxc");
	MATCHES(pool, found("(?<!ab)c"), "(?<!ab)c", "c", "bc", "abcc");
	REFUSES(pool, found("(?<!ab)c"), "(?<!ab)c", "abc", "xabc", "");
	MATCHES(pool, found("x(?<=^|x)y|(?<!\\.)z"), "one character back", "xy", "z", "az");
	REFUSES(pool, found("x(?<=^|x)y|(?<!\\.)z"), "one character back", ".z", "y");
	MATCHES(pool, whole("(?m)(?:^a$\\n?)+"), "lines", "a", "a\na", "a\n");
	REFUSES(pool, whole("(?m)(?:^a$\\n?)+"), "lines", "aa", "a\nb");
	MATCHES(pool, whole("(\\b\\w+\\b ?)*"), "words", "", "ab cd", "a");
	REFUSES(pool, whole("(\\b\\w+\\b ?)*"), "words", "  ", "a  b");
}

static void test_flags(void **state)
{
	(void)state;
	MATCHES(pool, whole("(?i)straSSe[^q]"), "(?i)", "STRASSEx", "strasse1");
	REFUSES(pool, whole("(?i)straSSe[^q]"), "(?i)", "strasseQ", "strasse");
	MATCHES(pool, whole("(?i)\\w k"), "(?i) \\w", "\xc5\xbf k", "\xe2\x84\xaa \xe2\x84\xaa", "a K");
	REFUSES(pool, whole("\\w k"), "\\w", "\xc5\xbf k", "a K");
	MATCHES(pool, whole("a(?i:b)c|(?i)d"), "(?i:b)", "abc", "aBc", "d", "D");
	REFUSES(pool, whole("a(?i:b)c|(?i)d"), "(?i:b)", "Abc", "abC");
	MATCHES(pool, whole("(?s).|(?-s:.)x"), "(?s)", "\n", "ax");
	REFUSES(pool, whole("(?s).|(?-s:.)x"), "(?s)", "\nx");
	MATCHES(pool, whole("(?i)\xc3\x84\xcf\x82"), "folding", "\xc3\xa4\xcf\x83", "\xc3\x84\xce\xa3");
}

static void test_characters(void **state)
{
	(void)state;
	MATCHES(pool, whole("\\s"), "\\s", " ", "\t", "\v", "\xc2\xa0", "\xef\xbb\xbf", "\xe2\x80\xa8");
	REFUSES(pool, whole("\\s"), "\\s", "a", "\xc2\x85", "\xe2\x80\x8b");
	MATCHES(pool, whole("\\S\\D\\W"), "\\S\\D\\W", "ab-", "-\xc3\xa4\xc3\xa4");
	MATCHES(pool, whole("\\p{Lu}\\P{L}\\p{gc=Nd}\\p{Any}"), "\\p", "\xc3\x84-1\n", "A0\xd9\xa1x");
	REFUSES(pool, whole("\\p{Lu}\\P{L}\\p{gc=Nd}\\p{Any}"), "\\p", "\xc3\xa4-1x", "AA1x");
	static const char escapes[] = "AB"
				      "C\xf0\x9f\x98\x80\xf0\x9f\x98\x80\n\0/-";
	assert_true(rx_matches(pool, whole("\\x41\\u0042\\u{43}\\u{1F600}\\ud83d\\ude00\\cJ\\0\\/\\-"),
			       escapes, sizeof escapes - 1));
}

static void test_lenient(void **state)
{
	(void)state;
	MATCHES(pool, whole("{a}\\:\\@[\\w-.][a-]]"), "what the u flag alone would refuse", "{a}:@x-]",
		"{a}:@.a]");
	MATCHES(pool, whole("[\\d-x]"), "[\\d-x]", "1", "-", "x");
	REFUSES(pool, whole("[\\d-x]"), "[\\d-x]", "a");
}

static void refused(const char *text, const char *message)
{
	struct hokku_error err = {0};
	rx r = RX_ALL;
	assert_int_equal(rx_pattern(pool, RX_RAW, str_c(text), false, &r, &err), HOKKU_INVALID_REQUEST);
	if (strcmp(err.message, message) != 0)
		fail_msg("%s\n  found  %s\n  wanted %s", text, err.message, message);
	assert_int_equal(r, RX_NONE);
}

static void test_refused(void **state)
{
	(void)state;
	refused("(a)\\1",
		"column 4: \"\\1\" refers back to what a group matched, which cannot be known before it is "
		"written; write out what may stand there");
	refused("\xc3\xa4(", "column 2: \"(\" is not closed; write \")\" after the group, or \"\\(\"");
	refused("a)", "column 2: \")\" without \"(\" before it; for the character itself write \"\\)\"");
	refused("x[a", "column 2: \"[\" is not closed; write \"]\" after the class, or \"\\[\"");
	refused("[z-a]", "column 2: the range begins with U+007A, past its end U+0061; turn it round");
	refused("*a", "column 1: nothing to repeat before \"*\"; for the character itself write \"\\*\"");
	refused("a|{2}", "column 3: nothing to repeat before \"{\"; for the character itself write \"\\{\"");
	refused("^*", "column 2: nothing to repeat: what stands before matches no character");
	refused("a**", "column 3: a quantifier after a quantifier; put what it repeats into \"(?:...)\"");
	refused("a++", "column 3: possessive quantifiers are not ECMA-262's; leave the \"+\" out");
	refused("a{3,2}", "column 2: {3,2}: the least count is above the greatest; turn them round");
	refused("a{,2}",
		"column 2: \"{,\": a least count is wanted, {0,n}; for the character itself write \"\\{\"");
	refused("a\\", "column 2: \"\\\" at the end of the pattern; for the character itself write \"\\\\\"");
	refused("a\\Z", "column 2: \"\\Z\" is no escape of ECMA-262; for the end of the text write \"$\"");
	refused("\\y", "column 1: \"\\y\" is no escape of ECMA-262; for the letter leave out the \"\\\"");
	refused("\\xg1", "column 1: \"\\x\" is no escape of ECMA-262; it wants two hexadecimal digits");
	refused("\\u12", "column 1: \"\\u\" wants four hexadecimal digits, or \"{\", some and \"}\"");
	refused("\\u{110000}", "column 1: \"\\u{...}\" is past U+10FFFF");
	refused("\\p{Greek}",
		"column 1: the property \"Greek\" is not known here: general categories are (\\p{L}, "
		"\\p{Lu}, \\p{gc=Nd}), Any, ASCII, Assigned, White_Space");
	refused("\\pL", "column 1: \"\\p\" wants \"{\", a property's name and \"}\"");
	refused("(?P<a>b)", "column 1: \"(?P<name>\" is Python's; write \"(?<name>\"");
	refused("(?<a>b)(?<a>c)", "column 11: two groups have this name; give them different ones");
	refused("(?<1>b)", "column 4: a group's name is letters, digits, \"_\" and \"$\", then \">\"");
	refused("a(?i)b", "column 2: \"(?i)\" stands at the beginning of a group");
	refused("(?x)a",
		"column 1: \"(?\" begins no group that ECMA-262 has; there are (?:...), (?<name>...), (?=...), "
		"(?!...), (?<=...), (?<!...), and here (?ims-ims:...)");
	refused("a(?<=ba)",
		"column 2: a lookbehind for more than one character can stand only at the beginning of the "
		"pattern or of an alternative that is the whole pattern's");
	refused("(?<=a$)b", "column 5: a lookbehind with \"$\", \"\\b\" or a lookahead in it; take it out");
	refused("a\xff", "column 2: no UTF-8");
}

/* "((...((x))...))" and the like. */
static char *nested(const char *open, size_t n, const char *inner, const char *close)
{
	size_t o = strlen(open), c = strlen(close), i = strlen(inner);
	char *text = malloc(n * (o + c) + i + 1);
	for (size_t k = 0; k < n; k++) {
		memcpy(text + k * o, open, o);
		memcpy(text + n * o + i + k * c, close, c);
	}
	memcpy(text + n * o, inner, i);
	text[n * (o + c) + i] = '\0';
	return text;
}

static void test_limits(void **state)
{
	(void)state;
	char *deep = nested("(", PATTERN_MAX_DEPTH, "x", ")"),
	     *deeper = nested("(", PATTERN_MAX_DEPTH + 1, "x", ")");
	MATCHES(pool, whole(deep), "1000 groups", "x");
	refused(deeper, "column 1001: more than 1000 groups in each other, the limit");
	free(deep);
	free(deeper);
	deep = nested("(?:a|", PATTERN_MAX_DEPTH, "\\b", ")*");
	struct hokku_error err = {0};
	rx r;
	rx_pattern(pool, RX_RAW, str_c(deep), false, &r, &err); /* made or refused, in little time */
	free(deep);
	char *text = malloc(PATTERN_MAX_BYTES + 2);
	memset(text, 'a', PATTERN_MAX_BYTES + 1);
	assert_int_equal(rx_pattern(pool, RX_RAW, (struct str){text, PATTERN_MAX_BYTES}, true, &r, &err),
			 HOKKU_OK);
	assert_true(rx_matches(pool, r, text, PATTERN_MAX_BYTES));
	assert_int_equal(rx_pattern(pool, RX_RAW, (struct str){text, PATTERN_MAX_BYTES + 1}, true, &r, &err),
			 HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "the pattern has 65,537 bytes; the limit is 65536");
	free(text);
	MATCHES(pool, whole("(a*)*b"), "(a*)*b", "b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
	REFUSES(pool, whole("(a*)*b"), "(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac");
	MATCHES(pool, whole("(?:a{0,100000}){0,100000}"), "nested counts", "", "aaa");
	MATCHES(pool, whole("a{0,99999999999999999999}"), "a great count", "aaaa");
	MATCHES(pool, whole("(?:(?=a)|\\b){3,4000000000}a"), "a great count of nothing", "a");
	REFUSES(pool, whole("(?:(?=a)|\\b){3,4000000000}a"), "a great count of nothing", "", "aa");
	refused("^(?:\\ba\\b|b){70000}$",
		"column 5: assertions within repeats here take too many steps; use fewer "
		"repeats, or smaller counts");
}

static void test_pool_too_small(void **state)
{
	(void)state;
	struct rx_pool *small = rx_pool_new(&(struct rx_limits){.bytes = 1 << 20, .work = 20000});
	struct hokku_error err = {0};
	rx r;
	assert_int_equal(rx_pattern(small, RX_JSON, STR_LIT("\\p{L}[\\p{Lu}x]\\P{N}"), false, &r, &err),
			 HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "the pattern takes more memory or work than a shape may; smaller counts or "
			    "fewer alternatives would do");
	rx_pool_free(small);
	/* the counts of what has failed are not counted down (some 4 thousand million steps) */
	for (int least = 0; least < 2; least++) {
		small = rx_pool_new(&(struct rx_limits){.bytes = 16 << 20, .work = 150000});
		const char *text = least ? "(?:k{1,3}\\.*?#(?<=[\\W])){4294967290}"
					 : "(?:k{1,3}\\.*?#(?<=[\\W])){2,666666666666666666}";
		assert_int_equal(rx_pattern(small, RX_RAW, str_c(text), true, &r, &err),
				 HOKKU_INVALID_REQUEST);
		assert_true(rx_failed(small));
		rx_pool_free(small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_searched_or_whole, begin, end),
		cmocka_unit_test_setup_teardown(test_in_json, begin, end),
		cmocka_unit_test_setup_teardown(test_assertions, begin, end),
		cmocka_unit_test_setup_teardown(test_flags, begin, end),
		cmocka_unit_test_setup_teardown(test_characters, begin, end),
		cmocka_unit_test_setup_teardown(test_lenient, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_limits, begin, end),
		cmocka_unit_test_setup_teardown(test_pool_too_small, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
