/*
 * base/half.h against arithmetic that is not its own: every float16 against its definition in IEEE 754
 * (computed with ldexp) and, where the compiler has _Float16, against the compiler's conversions; float32 to
 * float16 and bfloat16 at every point where the result can change, and on random bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/half.h"
#include "base/rng.h"

/* sign, 5 bits of exponent with bias 15, 10 bits of fraction */
static double f16_by_definition(uint32_t h)
{
	int exponent = h >> 10 & 31;
	double fraction = h & 0x3FF, sign = h & 0x8000 ? -1 : 1;
	if (exponent == 31)
		return fraction != 0 ? (double)NAN : sign * HUGE_VAL;
	return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static double bf16_by_definition(uint32_t h)
{
	int exponent = h >> 7 & 255;
	double fraction = h & 0x7F, sign = h & 0x8000 ? -1 : 1;
	if (exponent == 255)
		return fraction != 0 ? (double)NAN : sign * HUGE_VAL;
	return sign * (exponent ? ldexp(128 + fraction, exponent - 134) : ldexp(fraction, -133));
}

static void every_half_widens_to_its_value(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		double want = f16_by_definition(h);
		float got = f32_from_f16((uint16_t)h);
		assert_int_equal(isnan(got), isnan(want));
		if (!isnan(want))
			assert_true((double)got == want);
		assert_int_equal(!!signbit(got), h >> 15);
		want = bf16_by_definition(h);
		got = f32_from_bf16((uint16_t)h);
		assert_int_equal(isnan(got), isnan(want));
		if (!isnan(want))
			assert_true((double)got == want);
		assert_int_equal(!!signbit(got), h >> 15);
	}
}

static void every_half_survives_the_way_there_and_back(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = f32_from_f16((uint16_t)h), b = f32_from_bf16((uint16_t)h);
		if (isnan(f))
			assert_true(isnan(f32_from_f16(f16_from_f32(f))));
		else
			assert_int_equal(f16_from_f32(f), h);
		if (isnan(b))
			assert_true(isnan(f32_from_bf16(bf16_from_f32(b))));
		else
			assert_int_equal(bf16_from_f32(b), h);
	}
}

/* `narrow` must give h up to the middle between h and its upper neighbour, h + 1 beyond it, and the even one
 * of the two in the middle itself. top is infinity's pattern: its "value" is where the next exponent would
 * begin. */
static void check_between_neighbours(uint16_t (*narrow)(float), double (*value)(uint32_t), uint32_t top)
{
	for (uint32_t h = 0; h < top; h++) {
		double low = value(h);
		double high = h + 1 < top ? value(h + 1) : 2 * low - value(h - 1);
		double exact = (low + high) / 2;
		float middle = (float)exact;
		if ((double)middle !=
		    exact) /* below float32's own resolution: only bfloat16's subnormals of 2^-133 */
			fail_msg("the middle of %u and %u is no float32", h, h + 1);
		float below = nextafterf(middle, 0), above = nextafterf(middle, INFINITY);
		uint32_t even = h % 2 ? h + 1 : h;
		for (uint32_t sign = 0; sign < 2; sign++) {
			float s = sign ? -1.0f : 1.0f;
			assert_int_equal(narrow(s * below), h | sign << 15);
			assert_int_equal(narrow(s * middle), even | sign << 15);
			assert_int_equal(narrow(s * above), (h + 1) | sign << 15);
		}
	}
	assert_int_equal(narrow(INFINITY), top);
	assert_int_equal(narrow(-INFINITY), top | 0x8000);
	assert_int_equal(narrow(3.4028235e38f), top);
}

static void f16_rounds_to_nearest_even(void **state)
{
	(void)state;
	check_between_neighbours(f16_from_f32, f16_by_definition, 0x7C00);
}

static void bf16_rounds_to_nearest_even(void **state)
{
	(void)state;
	check_between_neighbours(bf16_from_f32, bf16_by_definition, 0x7F80);
}

static void f16_agrees_with_the_compiler(void **state)
{
	(void)state;
#ifdef __FLT16_MANT_DIG__
	for (uint32_t h = 0; h < 0x10000; h++) {
		uint16_t bits = (uint16_t)h;
		_Float16 theirs;
		memcpy(&theirs, &bits, 2);
		float want = (float)theirs, got = f32_from_f16(bits);
		assert_true(isnan(want) ? isnan(got) : f32_bits(want) == f32_bits(got));
	}
	for (uint64_t i = 0; i < 1000000; i++) {
		uint32_t words[4];
		rng_words(16, RNG_STREAM_TEST, i, words);
		/* every other one in float16's own range, where a random exponent seldom falls */
		uint32_t bits = i % 2 ? words[0] : (words[0] & 0x8FFFFFFF) | (words[1] % 40 + 0x60) << 23;
		float f = f32_from_bits(bits);
		_Float16 theirs = (_Float16)f;
		uint16_t want;
		memcpy(&want, &theirs, 2);
		if (isnan(f))
			assert_true(isnan(f32_from_f16(f16_from_f32(f))));
		else
			assert_int_equal(f16_from_f32(f), want);
	}
#else
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_half_widens_to_its_value),
		cmocka_unit_test(every_half_survives_the_way_there_and_back),
		cmocka_unit_test(f16_rounds_to_nearest_even),
		cmocka_unit_test(bf16_rounds_to_nearest_even),
		cmocka_unit_test(f16_agrees_with_the_compiler),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
