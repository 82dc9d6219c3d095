/* Equations: what states say, and the same as expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rx_try.h"

/* An even and an odd number of "a", with any "b" between. */
static rx even(struct rx_pool *p, rx *odd)
{
	rx a = rx_byte(p, 'a'), b = rx_byte(p, 'b'), e = rx_var(p, true), o = rx_var(p, false);
	rx parts[] = {RX_EMPTY, rx_cat(p, a, o), rx_cat(p, b, e)};
	rx_define(p, e, rx_or_many(p, parts, 3));
	rx_define(p, o, rx_or(p, rx_cat(p, a, e), rx_cat(p, b, o)));
	*odd = o;
	return e;
}

static void test_states(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx odd, e = even(p, &odd), a = rx_byte(p, 'a'), b = rx_byte(p, 'b');
	MATCHES(p, e, "even", "", "b", "aa", "abab", "babba");
	REFUSES(p, e, "even", "a", "aaa", "ab", "c");
	MATCHES(p, odd, "odd", "a", "bab", "aaab");
	REFUSES(p, odd, "odd", "", "aa", "b");
	/* b*(ab*ab*)* is the same. */
	rx bs = rx_repeat(p, b, 0, RX_UNBOUNDED);
	rx two = rx_cat(p, a, rx_cat(p, bs, rx_cat(p, a, bs)));
	rx same = rx_cat(p, bs, rx_repeat(p, two, 0, RX_UNBOUNDED));
	assert_false(rx_alive(p, rx_and(p, e, rx_not(p, same))));
	assert_false(rx_alive(p, rx_and(p, same, rx_not(p, e))));
	assert_false(rx_alive(p, rx_and(p, e, odd)));
	assert_true(rx_alive(p, rx_and(p, rx_not(p, e), rx_not(p, odd)))); /* other bytes */
	rx_pool_free(p);
}

static void test_in_expressions(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx odd, e = even(p, &odd), c = rx_byte(p, 'c');
	rx r = rx_repeat(p, rx_cat(p, odd, c), 2, 3);
	MATCHES(p, r, "(odd c){2,3}", "acac", "bacaaacac");
	REFUSES(p, r, "(odd c){2,3}", "ac", "acc", "aacac", "acacacac");
	MATCHES(p, rx_cat(p, e, odd), "even, then odd", "a", "aaa", "abb");
	rx_pool_free(p);
}

static void test_without_an_end(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx v = rx_var(p, false), a = rx_byte(p, 'a');
	rx_define(p, v, rx_cat(p, a, v));
	assert_false(rx_alive(p, v));
	assert_false(rx_alive(p, rx_cat(p, a, v)));
	assert_true(rx_alive(p, rx_or(p, v, a)));
	assert_true(rx_var(p, false) != rx_var(p, false));
	rx_pool_free(p);
	p = rx_pool_new(&(struct rx_limits){.bytes = 1 << 16, .work = 100});
	for (int i = 0; i < 200; i++) {
		v = rx_var(p, false);
		rx_define(p, v, rx_cat(p, rx_byte(p, 'a'), v));
	}
	assert_true(rx_failed(p));
	assert_int_equal(rx_var(p, true), RX_NONE);
	rx_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_in_expressions),
		cmocka_unit_test(test_without_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
