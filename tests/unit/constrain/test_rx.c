/* Expressions against languages written out: every text of up to six letters, by the definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/str.h"
#include "constrain/rx.h"
#include "constrain/text.h"

enum { LONGEST = 6, N_TEXTS = (1 << (LONGEST + 1)) - 1 };

/* Text number i of a and b: by length, then as binary digits. */
static size_t text_of(unsigned i, char out[LONGEST])
{
	size_t n = 0;
	while (i + 1 >= 2u << n)
		n++;
	unsigned digits = i + 1 - (1u << n);
	for (size_t k = 0; k < n; k++)
		out[k] = digits >> (n - 1 - k) & 1 ? 'b' : 'a';
	return n;
}

static unsigned number_of(const char *text, size_t n)
{
	unsigned i = 1;
	for (size_t k = 0; k < n; k++)
		i = i * 2 + (text[k] == 'b');
	return i - 1;
}

struct language {
	bool has[N_TEXTS];
};

static struct language none(void)
{
	struct language l = {{false}};
	return l;
}

static struct language cat(const struct language *x, const struct language *y)
{
	struct language out = none();
	char text[LONGEST];
	for (unsigned i = 0; i < N_TEXTS; i++) {
		size_t n = text_of(i, text);
		for (size_t k = 0; k <= n && !out.has[i]; k++)
			out.has[i] = x->has[number_of(text, k)] && y->has[number_of(text + k, n - k)];
	}
	return out;
}

static struct language repeat(const struct language *x, uint32_t min, uint32_t max)
{
	struct language power = none(), out = none();
	uint32_t last = max == RX_UNBOUNDED ? min + LONGEST : max;
	power.has[0] = true;
	for (uint32_t i = 0; i <= last; i++) {
		for (unsigned k = 0; k < N_TEXTS && i >= min; k++)
			out.has[k] |= power.has[k];
		power = cat(&power, x);
	}
	return out;
}

static uint32_t draws;

static uint32_t draw(uint32_t below)
{
	uint32_t words[4];
	rng_words(16, RNG_STREAM_TEST, draws++, words);
	return words[0] % below;
}

/* A random expression and its language. */
static rx some(struct rx_pool *p, unsigned depth, struct language *l)
{
	struct language x, y;
	rx a, b;
	uint32_t min, max;
	*l = none();
	switch (depth ? draw(11) : draw(5)) {
	case 0:
		l->has[0] = true;
		return RX_EMPTY;
	case 1:
		l->has[number_of("a", 1)] = true;
		return rx_byte(p, 'a');
	case 2:
		l->has[number_of("b", 1)] = true;
		return rx_byte(p, 'b');
	case 3:
		l->has[number_of("abb", 3)] = true;
		return rx_literal(p, "abb", 3);
	case 4:
		l->has[number_of("a", 1)] = l->has[number_of("b", 1)] = true;
		return rx_byte_set(p, (const uint64_t[4]){0, UINT64_C(6) << 32, 0, 0});
	case 5:
	case 6:
		a = some(p, depth - 1, &x);
		b = some(p, depth - 1, &y);
		*l = cat(&x, &y);
		return rx_cat(p, a, b);
	case 7:
		a = some(p, depth - 1, &x);
		b = some(p, depth - 1, &y);
		for (unsigned i = 0; i < N_TEXTS; i++)
			l->has[i] = x.has[i] || y.has[i];
		return rx_or(p, a, b);
	case 8:
		a = some(p, depth - 1, &x);
		b = some(p, depth - 1, &y);
		for (unsigned i = 0; i < N_TEXTS; i++)
			l->has[i] = x.has[i] && y.has[i];
		return rx_and(p, a, b);
	case 9:
		a = some(p, depth - 1, &x);
		for (unsigned i = 0; i < N_TEXTS; i++)
			l->has[i] = !x.has[i];
		return rx_not(p, a);
	default:
		a = some(p, depth - 1, &x);
		min = draw(4);
		max = draw(3) ? min + draw(4) : RX_UNBOUNDED;
		*l = repeat(&x, min, max);
		return rx_repeat(p, a, min, max);
	}
}

/* Whether an end can be reached over the letters, by walking to all that follows. */
static bool reaches_end(struct rx_pool *p, rx a, const char *letters)
{
	rx *found = malloc(100000 * sizeof *found);
	size_t n = 1;
	bool end = false;
	found[0] = a;
	for (size_t i = 0; i < n && !end; i++) {
		end = rx_nullable(p, found[i]);
		for (const char *c = letters; *c; c++) {
			rx next = rx_derive(p, found[i], (uint8_t)*c);
			size_t k = 0;
			while (k < n && found[k] != next)
				k++;
			assert_true(n < 100000);
			if (k == n)
				found[n++] = next;
		}
	}
	free(found);
	return end;
}

static void random_expressions_match_what_their_definition_says(void **state)
{
	(void)state;
	char text[LONGEST];
	unsigned n_dead = 0, n_alive = 0;
	for (int round = 0; round < 600; round++) {
		struct rx_pool *p = rx_pool_new(NULL);
		struct language l;
		bool only_a = round % 3 == 0;
		uint64_t alphabet[4] = {0, (only_a ? UINT64_C(2) : UINT64_C(6)) << 32, 0, 0};
		rx_alphabet(p, alphabet);
		rx a = some(p, 1 + draw(4), &l);
		bool any = false;
		for (unsigned i = 0; i < N_TEXTS; i++) {
			size_t n = text_of(i, text);
			if (rx_matches(p, a, text, n) != l.has[i])
				fail_msg("round %d, text %.*s", round, (int)n, text);
			any |= l.has[i] && (!only_a || !memchr(text, 'b', n));
		}
		bool alive = rx_alive(p, a);
		assert_true(alive || !any);
		assert_int_equal(alive, reaches_end(p, a, only_a ? "a" : "ab"));
		assert_int_equal(alive, rx_alive(p, a)); /* remembered */
		n_alive += alive;
		n_dead += !alive;
		assert_false(rx_failed(p));
		rx_pool_free(p);
	}
	assert_true(n_dead > 30 && n_alive > 300);
}

static void equal_expressions_have_equal_numbers(void **state)
{
	(void)state;
	struct rx_pool *p = rx_pool_new(NULL);
	rx a = rx_byte(p, 'a'), b = rx_byte(p, 'b'), ab = rx_literal(p, "ab", 2),
	   star = rx_repeat(p, ab, 0, RX_UNBOUNDED);
	assert_int_equal(rx_cat(p, a, b), ab);
	assert_int_equal(rx_cat(p, rx_cat(p, a, b), a), rx_cat(p, a, rx_cat(p, b, a)));
	assert_int_equal(rx_or(p, ab, a), rx_or(p, a, rx_or(p, a, ab)));
	assert_int_equal(rx_and(p, ab, RX_ALL), ab);
	assert_int_equal(rx_and(p, a, b), RX_NONE);
	assert_int_equal(rx_and(p, ab, rx_not(p, ab)), RX_NONE);
	assert_int_equal(rx_or(p, ab, rx_not(p, ab)), RX_ALL);
	assert_int_equal(rx_not(p, rx_not(p, ab)), ab);
	assert_int_equal(rx_repeat(p, star, 0, RX_UNBOUNDED), star);
	assert_int_equal(rx_repeat(p, star, 3, 7), star);
	assert_int_equal(rx_cat(p, star, star), star);
	assert_int_equal(rx_repeat(p, ab, 1, 1), ab);
	assert_int_equal(rx_repeat(p, ab, 0, 0), RX_EMPTY);
	assert_int_equal(rx_repeat(p, RX_NONE, 0, 5), RX_EMPTY);
	assert_int_equal(rx_repeat(p, RX_NONE, 1, 5), RX_NONE);
	assert_int_equal(rx_or(p, rx_repeat(p, ab, 2, 5), rx_repeat(p, ab, 6, 9)), rx_repeat(p, ab, 2, 9));
	assert_int_not_equal(rx_or(p, rx_repeat(p, ab, 2, 5), rx_repeat(p, ab, 7, 9)),
			     rx_repeat(p, ab, 2, 9));
	rx_pool_free(p);
}

static const struct rx_span spans[] = {{'a', 'c'},           {0x7f, 0x80},       {0x7fe, 0x801},
				       {0xfff, 0x1001},      {0xd7f0, 0xe010},   {0xfff0, 0x1000f},
				       {0x20ac, 0x20ac},     {0x3ffff, 0x40000}, {0x50000, 0x8ffff},
				       {0x10fff0, 0x10ffff}, {'b', 'd'}};

static void code_points_are_those_of_the_spans(void **state)
{
	(void)state;
	struct rx_pool *p = rx_pool_new(NULL);
	rx some_chars = rx_chars(p, spans, sizeof spans / sizeof spans[0]);
	rx all = rx_chars(p, &(struct rx_span){0, 0x10ffff}, 1);
	for (uint32_t c = 0; c <= 0x10ffff; c += c % 64 > 2 && c % 64 < 61 && c > 0x900 ? 1 + c % 7 : 1) {
		char utf8[4];
		size_t n = utf8_put(utf8, c);
		bool surrogate = c >= 0xd800 && c <= 0xdfff, in = false;
		for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
			in |= c >= spans[i].first && c <= spans[i].last;
		if (surrogate) { /* utf8_put may refuse them */
			const char bytes[3] = {(char)0xed, (char)(0x80 | (c >> 6 & 63)),
					       (char)(0x80 | (c & 63))};
			assert_false(rx_matches(p, all, bytes, 3));
			assert_false(rx_matches(p, some_chars, bytes, 3));
			continue;
		}
		assert_true(rx_matches(p, all, utf8, n));
		if (rx_matches(p, some_chars, utf8, n) != in)
			fail_msg("U+%04X", (unsigned)c);
	}
	for (const char **bad = (const char *[]){"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
						 "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
						 "\x80", "\xff", "ab", NULL};
	     *bad; bad++)
		assert_false(rx_matches(p, all, *bad, strlen(*bad)));
	assert_int_equal(rx_chars(p, NULL, 0), RX_NONE);
	assert_int_equal(rx_chars(p, &(struct rx_span){0xd800, 0xdfff}, 1), RX_NONE);
	rx_pool_free(p);
}

static rx optional(struct rx_pool *p, rx a)
{
	return rx_repeat(p, a, 0, 1);
}

static void depth_and_length_need_no_stack(void **state)
{
	(void)state;
	struct rx_pool *p = rx_pool_new(NULL);
	rx a = rx_byte(p, 'a'), b = rx_byte(p, 'b'), chain = b, nest = rx_literal(p, "ab", 2);
	for (int i = 0; i < 20000; i++) /* a?a?...b: every tail is looked at */
		chain = rx_cat(p, optional(p, rx_or(p, a, rx_literal(p, "ab", 2))), chain);
	assert_true(rx_matches(p, chain, "aaab", 4));
	for (int i = 0; i < 20000; i++)
		nest = rx_or(p, rx_not(p, rx_cat(p, nest, i % 2 ? a : b)), rx_literal(p, "ba", 2));
	assert_false(rx_failed(p));
	assert_true(rx_alive(p, nest));
	rx_derive(p, nest, 'a');
	rx_pool_free(p);

	p = rx_pool_new(NULL);
	rx many = rx_repeat(p, rx_or(p, rx_byte(p, 'a'), rx_literal(p, "bc", 2)), 99990, 100000), r = many;
	for (int i = 0; i < 100000; i++) {
		assert_int_equal(rx_nullable(p, r), i >= 99990);
		r = rx_derive(p, r, 'a');
	}
	assert_int_equal(r, RX_EMPTY);
	assert_true(rx_alive(p, many));
	assert_false(rx_failed(p));
	rx_pool_free(p);

	/* Both sides count, and agree at 90,000 alone. */
	p = rx_pool_new(NULL);
	a = rx_byte(p, 'a');
	rx both = rx_and(p, rx_repeat(p, a, 90000, RX_UNBOUNDED),
			 rx_repeat(p, rx_literal(p, "aaa", 3), 0, 30000));
	assert_true(rx_alive(p, both));
	both = rx_and(p, rx_repeat(p, a, 1001, 1001), rx_repeat(p, rx_literal(p, "aaa", 3), 0, 30000));
	assert_false(rx_alive(p, both));
	assert_false(rx_failed(p));
	rx_pool_free(p);
}

static void what_goes_on_for_ever(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		bool endless;
	} rows[] = {
		{"", true},           {"^[a-z]+$", true},    {"^x", true},         {"y$", true},
		{"^x.*y$", true},     {"^x[a-w]*y$", false}, {"^(ab)*$", true},    {"^(ab)*c?$", false},
		{"^a{1,64}$", false}, {"^a{64,}$", true},    {"^(a|b|c)$", false}, {"^(a|b.*)$", false},
		{"^$", false},        {"^(?!.*a).*$", true}, {"(?!)", false},
	};
	struct rx_pool *p = rx_pool_new(NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		rx r = RX_NONE;
		struct hokku_error err = {0};
		if (rx_pattern(p, RX_JSON, str_c(rows[i].pattern), false, &r, &err))
			fail_msg("%s: %s", rows[i].pattern, err.message);
		if (rx_endless(p, r, 1000) != rows[i].endless)
			fail_msg("%s: %d", rows[i].pattern, !rows[i].endless);
	}
	/* Each count is a derivative, and one that is past counting. */
	rx five = rx_repeat(p, rx_byte(p, 'a'), 5, RX_UNBOUNDED);
	assert_false(rx_endless(p, five, 5));
	assert_true(rx_endless(p, five, 6));
	assert_true(rx_endless(p, five, 7));
	assert_false(rx_endless(p, five, 0));
	assert_false(rx_failed(p));
	rx_pool_free(p);
}

static void famous_blow_ups_stay_small(void **state)
{
	(void)state;
	struct rx_pool *p = rx_pool_new(NULL);
	rx a = rx_byte(p, 'a'), b = rx_byte(p, 'b');
	rx nested = rx_cat(p, rx_repeat(p, rx_repeat(p, a, 0, RX_UNBOUNDED), 0, RX_UNBOUNDED), b);
	rx doubled = rx_repeat(p, rx_or(p, a, rx_literal(p, "aa", 2)), 0, 10000);
	char text[5000];
	memset(text, 'a', sizeof text);
	size_t before = rx_bytes(p);
	assert_false(rx_matches(p, nested, text, sizeof text));
	text[4999] = 'b';
	assert_true(rx_matches(p, nested, text, sizeof text));
	text[4999] = 'a';
	assert_true(rx_matches(p, doubled, text, sizeof text));
	assert_true(rx_bytes(p) < before + (8 << 20));
	assert_false(rx_failed(p));
	rx_pool_free(p);
}

static void ten_thousand_alternatives(void **state)
{
	(void)state;
	struct rx_pool *p = rx_pool_new(NULL);
	static rx words[10000];
	char word[32];
	for (int i = 0; i < 10000; i++)
		words[i] = rx_literal(
			p, word, (size_t)snprintf(word, sizeof word, "prefix_%d_suffix", i * 7919 % 10007));
	rx all = rx_or_many(p, words, 10000);
	for (int i = 0; i < 10007; i++) {
		size_t n = (size_t)snprintf(word, sizeof word, "prefix_%d_suffix", i);
		bool in = false;
		for (int k = 10000; k < 10007; k++)
			in |= k * 7919 % 10007 == i;
		assert_int_equal(rx_matches(p, all, word, n), !in);
	}
	assert_false(rx_failed(p));
	rx_pool_free(p);
}

/* Work until it fails: exactly as much does. */
static bool works_with(uint64_t work, size_t bytes)
{
	struct rx_pool *p = rx_pool_new(&(struct rx_limits){.work = work, .bytes = bytes});
	rx a = rx_repeat(p, rx_or(p, rx_literal(p, "ab", 2), rx_byte(p, 'a')), 3, 9);
	bool alive = rx_alive(p, rx_and(p, a, rx_not(p, rx_literal(p, "ababab", 6))));
	bool failed = rx_failed(p);
	assert_true(failed || alive);
	if (failed) { /* for good */
		assert_int_equal(rx_byte(p, 'a'), RX_NONE);
		assert_int_equal(rx_literal(p, "abc", 3), RX_NONE);
		assert_int_equal(rx_cat(p, RX_ALL, RX_EMPTY), RX_NONE);
		assert_int_equal(rx_or(p, RX_EMPTY, RX_ALL), RX_NONE);
		assert_int_equal(rx_and(p, RX_EMPTY, RX_ALL), RX_NONE);
		assert_int_equal(rx_not(p, RX_NONE), RX_NONE);
		assert_int_equal(rx_repeat(p, RX_ALL, 0, 1), RX_NONE);
		assert_int_equal(rx_chars(p, spans, 1), RX_NONE);
		assert_int_equal(rx_derive(p, RX_ALL, 'a'), RX_NONE);
		assert_false(rx_alive(p, RX_ALL));
		assert_false(rx_matches(p, RX_ALL, "", 0));
		rx_more_work(p, 1000);
		assert_true(rx_failed(p));
	}
	rx_pool_free(p);
	return !failed;
}

static void limits_hold_to_the_unit(void **state)
{
	(void)state;
	uint64_t least = 1;
	size_t fewest = 1 << 20, step = 1 << 19;
	while (!works_with(least, 1 << 30))
		least++;
	for (uint64_t w = 1; w < least + 5; w++)
		assert_int_equal(works_with(w, 1 << 30), w >= least);
	for (; step; step /= 2)
		if (fewest > step && works_with(1 << 20, fewest - step))
			fewest -= step;
	assert_true(works_with(1 << 20, fewest));
	assert_true(works_with(1 << 20, fewest + 1));
	assert_false(works_with(1 << 20, fewest - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_expressions_match_what_their_definition_says),
		cmocka_unit_test(equal_expressions_have_equal_numbers),
		cmocka_unit_test(code_points_are_those_of_the_spans),
		cmocka_unit_test(depth_and_length_need_no_stack),
		cmocka_unit_test(what_goes_on_for_ever),
		cmocka_unit_test(famous_blow_ups_stay_small),
		cmocka_unit_test(ten_thousand_alternatives),
		cmocka_unit_test(limits_hold_to_the_unit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
