/* Tokens a minute: taken while any are left, paid back evenly, and the time told is the time it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/allowance.h"

#define S UINT64_C(1000000000)

static const uint32_t limits[] = {1, 7, 60, 100, 59999, 60000, 99999999, 100000000};
enum { N_LIMITS = sizeof limits / sizeof *limits };

/* At n - 1 tokens of a minute a request is taken, at n and n + 1 none is. */
static void test_limits(void **state)
{
	(void)state;
	for (int i = 0; i < N_LIMITS; i++) {
		uint64_t now = 1000 * S, n = limits[i];
		struct allowance a = {.tokens_per_minute = limits[i]};
		assert_int_equal(allowance_wait_s(&a, now), 0);
		assert_int_equal(allowance_left(&a, now), n);
		if (n > 1)
			allowance_use(&a, now, n - 1);
		assert_int_equal(allowance_wait_s(&a, now), 0);
		allowance_use(&a, now, n > 1 ? 1 : n);
		assert_int_equal(allowance_wait_s(&a, now), 1);
		assert_true(allowance_left(&a, now) == 0);
		allowance_use(&a, now, 1);
		uint64_t wait = allowance_wait_s(&a, now);
		assert_true(wait >= 1 && (wait - 1) * n <= 60 && wait * n > 59);
	}
}

/* Whatever was used: after the seconds told one is taken, and a second earlier none. */
static void test_wait_is_true(void **state)
{
	(void)state;
	static const uint64_t uses[] = {1, 2, 59, 60, 61, 100, 5000, 262144, 1u << 24};
	for (int i = 0; i < N_LIMITS; i++)
		for (size_t u = 0; u < sizeof uses / sizeof *uses; u++) {
			uint64_t now = 5 * S + 123456789;
			struct allowance a = {.tokens_per_minute = limits[i]};
			allowance_use(&a, now, limits[i]);
			allowance_use(&a, now, uses[u]);
			uint64_t wait = allowance_wait_s(&a, now);
			assert_true(wait >= 1);
			assert_int_equal(allowance_wait_s(&a, now + wait * S), 0);
			assert_true(wait == 1 || allowance_wait_s(&a, now + (wait - 1) * S) > 0);
			/* It is what the rate says. */
			double seconds = (double)uses[u] * 60 / limits[i];
			assert_true((double)wait > seconds - 0.001 && (double)wait <= seconds + 1.001);
		}
}

/* Never more than a minute's tokens at once, however long nothing was used; and in the long run the rate. */
static void test_rate(void **state)
{
	(void)state;
	struct allowance a = {.tokens_per_minute = 600};
	uint64_t now = 100000 * S, n_used = 0, begin = now;
	for (; allowance_wait_s(&a, now) == 0; n_used += 10)
		allowance_use(&a, now, 10);
	assert_int_equal(n_used, 600);
	for (; now < begin + 600 * S; now += S / 20)
		if (allowance_wait_s(&a, now) == 0) {
			allowance_use(&a, now, 25);
			n_used += 25;
		}
	assert_true(n_used >= 600 + 6000 - 25 && n_used <= 600 + 6000 + 25);
}

static void test_give_back(void **state)
{
	(void)state;
	struct allowance a = {.tokens_per_minute = 100}, before;
	allowance_use(&a, 10 * S, 100);
	before = a;
	allowance_use(&a, 10 * S, 12345);
	assert_int_equal(allowance_left(&a, 10 * S), -12345);
	allowance_give_back(&a, 12345);
	assert_int_equal(a.full_ns, before.full_ns);
	assert_int_equal(allowance_wait_s(&a, 10 * S), 1);
	allowance_give_back(&a, 50);
	assert_int_equal(allowance_left(&a, 10 * S), 50);
	allowance_give_back(&a, 1000000);
	assert_int_equal(allowance_left(&a, 10 * S), 100);
}

static void test_unlimited(void **state)
{
	(void)state;
	struct allowance a = {.tokens_per_minute = UINT32_MAX};
	allowance_use(&a, S, UINT64_MAX);
	allowance_give_back(&a, 1);
	assert_int_equal(allowance_wait_s(&a, S), 0);
	assert_true(allowance_left(&a, S) == INT64_MAX);
	/* With the smallest limit what nobody can use ends in no overflow. */
	a = (struct allowance){.tokens_per_minute = 1};
	for (int i = 0; i < 3; i++)
		allowance_use(&a, S, UINT64_MAX / 2);
	assert_int_equal(allowance_wait_s(&a, S), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),    cmocka_unit_test(test_wait_is_true),
		cmocka_unit_test(test_rate),      cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_unlimited),
	};
	return cmocka_run_group_tests_name("allowance", tests, NULL, NULL);
}
