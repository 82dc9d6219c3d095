/* Stop texts: cases by hand, and every cut of random texts against a plain search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "engine/stop.h"

/* Pushes the pieces (split at '|') and returns what comes out, '!' where a stop text was complete, '>' where
 * the input ended without one. What each piece released is separated by '|'. */
static const char *feed(const char *stops, const char *pieces)
{
	static char result[512];
	struct str texts[ENGINE_MAX_STOP];
	uint32_t n = 0;
	for (const char *p = stops; *p; p += strcspn(p, "|"), p += *p == '|')
		texts[n++] = (struct str){p, strcspn(p, "|")};
	struct stop_matcher m;
	struct strbuf out = {0};
	bool found = false;
	assert_int_equal(stop_init(&m, texts, n, 64, NULL), HOKKU_OK);
	for (const char *p = pieces; *p && !found; p += *p == '|') {
		size_t len = strcspn(p, "|");
		found = stop_push(&m, (struct str){p, len}, &out);
		p += len;
		if (*p && !found)
			strbuf_add(&out, "|", 1);
	}
	if (!found) {
		strbuf_add(&out, ">", 1);
		stop_finish(&m, &out);
	} else {
		assert_true(stop_push(&m, (struct str){"more", 4}, &out)); /* nothing comes after it */
		stop_finish(&m, &out);
		strbuf_add(&out, "!", 1);
	}
	snprintf(result, sizeof result, "%s", out.ptr);
	strbuf_free(&out);
	stop_deinit(&m);
	return result;
}

static void test_by_hand(void **state)
{
	(void)state;
	assert_string_equal(feed("", "abc|def"), "abc|def>");
	assert_string_equal(feed("END", "abcENDdef"), "abc!");
	assert_string_equal(feed("END", "abc|E|N|D|x"), "abc|||!");
	assert_string_equal(feed("END", "abcE|Nx"), "abc|ENx>");
	assert_string_equal(feed("END", "abcEN"), "abc>EN");
	assert_string_equal(feed("END", "EEND"), "E!");
	/* a failed beginning may hold the true one */
	assert_string_equal(feed("aab", "aa|ab"), "|a!");
	assert_string_equal(feed("aab", "aaa|a|b"), "a|a|!");
	assert_string_equal(feed("abab", "aba|abab"), "|aba!");
	assert_string_equal(feed("aab", "a|a|c"), "||aac>");
	/* several: the first to be complete; of two complete together, the longest */
	assert_string_equal(feed("world|lo w", "hello world"), "hel!");
	assert_string_equal(feed("bc|abc|c", "xabc"), "x!");
	assert_string_equal(feed("abcd|bc", "xab|cd"), "x|a!");
	assert_string_equal(feed("abcd|xyz", "abc|xy|q"), "|abc|xyq>");
	/* characters of several bytes: U+3042 and U+3044 share their first two bytes */
	assert_string_equal(feed("\xE3\x81\x82", "x\xE3\x81\x84y"), "x\xE3\x81\x84y>");
	assert_string_equal(feed("\xE3\x81\x82", "x\xE3\x81\x84|\xE3\x81\x82y"), "x\xE3\x81\x84|!");
	assert_string_equal(feed("\n\n", "a\n|b\n|\nc"), "a|\nb|!");
}

/* Which of them it was: the longest of those that are complete together, whatever their order. */
static void test_which(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t which;
	} rows[] = {{"xa", 0}, {"xbc", 2}, {"xb|", 1}, {"bcb", 2}};
	const struct str texts[] = {STR_LIT("a"), STR_LIT("b|"), STR_LIT("bc"), STR_LIT("c")};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct stop_matcher m;
		struct strbuf out = {0};
		assert_int_equal(stop_init(&m, texts, 4, 64, NULL), HOKKU_OK);
		assert_true(stop_push(&m, str_c(rows[i].text), &out));
		assert_int_equal(m.which, rows[i].which);
		stop_deinit(&m);
		strbuf_free(&out);
	}
}

static void test_limits(void **state)
{
	(void)state;
	struct hokku_error err;
	struct str texts[ENGINE_MAX_STOP + 1];
	static char longest[ENGINE_MAX_STOP_BYTES + 1];
	memset(longest, 'a', sizeof longest);
	for (uint32_t i = 0; i <= ENGINE_MAX_STOP; i++)
		texts[i] = STR_LIT("x");
	assert_int_equal(stop_check(texts, 0, &err), HOKKU_OK);
	assert_int_equal(stop_check(texts, ENGINE_MAX_STOP - 1, &err), HOKKU_OK);
	assert_int_equal(stop_check(texts, ENGINE_MAX_STOP, &err), HOKKU_OK);
	assert_int_equal(stop_check(texts, ENGINE_MAX_STOP + 1, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "stop has 17 texts; 16 are allowed");
	texts[1] = STR_LIT("");
	assert_int_equal(stop_check(texts, 2, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "stop text 1 is empty");
	texts[1] = STR_LIT("ab\xE3\x81");
	assert_int_equal(stop_check(texts, 2, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "stop text 1 is not UTF-8 at byte 2");
	for (size_t n = ENGINE_MAX_STOP_BYTES - 1; n <= ENGINE_MAX_STOP_BYTES + 1; n++) {
		texts[0] = (struct str){longest, n};
		assert_int_equal(stop_check(texts, 1, &err),
				 n <= ENGINE_MAX_STOP_BYTES ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	}
	assert_string_equal(err.message, "stop text 0 has 513 bytes; 512 are allowed");
	/* the longest works */
	struct stop_matcher m;
	struct strbuf out = {0};
	texts[0] = (struct str){longest, ENGINE_MAX_STOP_BYTES};
	assert_int_equal(stop_init(&m, texts, 1, 8, &err), HOKKU_OK);
	for (int i = 0; i < ENGINE_MAX_STOP_BYTES - 1; i++)
		assert_false(stop_push(&m, STR_LIT("a"), &out));
	assert_int_equal(out.len, 0);
	assert_false(stop_push(&m, STR_LIT("b"), &out));
	assert_int_equal(out.len, ENGINE_MAX_STOP_BYTES);
	for (int i = 0; i < ENGINE_MAX_STOP_BYTES - 1; i++)
		assert_false(stop_push(&m, STR_LIT("a"), &out));
	assert_true(stop_push(&m, STR_LIT("a"), &out));
	assert_int_equal(out.len, ENGINE_MAX_STOP_BYTES);
	stop_deinit(&m);
	strbuf_free(&out);
}

/* Where the text must be cut by a plain search: the smallest end of any occurrence, then the smallest begin;
 * or n. */
static size_t search(const char *text, size_t n, const struct str *stops, uint32_t n_stops)
{
	for (size_t end = 1; end <= n; end++) {
		size_t longest = 0;
		for (uint32_t j = 0; j < n_stops; j++)
			if (stops[j].len <= end && stops[j].len > longest &&
			    memcmp(text + end - stops[j].len, stops[j].ptr, stops[j].len) == 0)
				longest = stops[j].len;
		if (longest)
			return end - longest;
	}
	return n;
}

static void test_random_cuts(void **state)
{
	(void)state;
	struct strbuf out = {0};
	for (uint64_t trial = 0; trial < 3000; trial++) {
		char text[64], bytes[3][8];
		struct str stops[3];
		uint32_t r[4];
		rng_words(trial, RNG_STREAM_TEST, 0, r);
		uint32_t n_stops = 1 + r[0] % 3, letters = 2 + r[1] % 2;
		for (size_t i = 0; i < sizeof text; i++) {
			rng_words(trial, RNG_STREAM_TEST, i + 1, r);
			text[i] = (char)('a' + r[0] % letters);
		}
		for (uint32_t j = 0; j < n_stops; j++) {
			rng_words(trial, RNG_STREAM_TEST, 100 + j, r);
			stops[j] = (struct str){bytes[j], 3 + r[0] % 6};
			for (size_t i = 0; i < stops[j].len; i++)
				bytes[j][i] = (char)('a' + (r[1] >> (2 * i) & 3) % letters);
		}
		size_t cut = search(text, sizeof text, stops, n_stops);
		struct stop_matcher m;
		bool found = false;
		assert_int_equal(stop_init(&m, stops, n_stops, sizeof text, NULL), HOKKU_OK);
		strbuf_clear(&out);
		for (size_t i = 0, n; i < sizeof text && !found; i += n) {
			rng_words(trial, RNG_STREAM_TEST, 200 + i, r);
			n = r[0] % 5;
			n = n > sizeof text - i ? sizeof text - i : n;
			found = stop_push(&m, (struct str){text + i, n}, &out);
			assert_true(out.len <= cut); /* nothing of a stop text is ever shown */
			if (n == 0) {                /* an empty piece is allowed; go on with one byte */
				found = stop_push(&m, (struct str){text + i, n = 1}, &out);
				assert_true(out.len <= cut);
			}
		}
		stop_finish(&m, &out);
		assert_int_equal(found, cut < sizeof text);
		assert_int_equal(out.len, cut);
		assert_memory_equal(out.ptr ? out.ptr : "", text, cut);
		stop_deinit(&m);
	}
	strbuf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_random_cuts),
	};
	return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}
