/* The length of prompt steps on devices made of a formula. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "engine/pace.h"

/* Steps of a device that needs fixed + each * n ms, times 1 to 1 + noise. Returns the longest that a step
 * took after the first `settle`; *tokens is what a step had on average then. */
static double simulate(struct pace *p, double fixed, double each, double noise, double *tokens)
{
	enum { STEPS = 60, SETTLE = 12 };
	double longest = 0;
	*tokens = 0;
	for (uint32_t i = 0; i < STEPS; i++) {
		uint32_t n = pace_chunk(p), r[4];
		assert_in_range(n, 1, p->n_max);
		rng_words(1, RNG_STREAM_TEST, i, r);
		double ms = (fixed + each * n) * (1 + noise * rng_unit(r[0], r[1]));
		pace_add(p, n, ms);
		if (i < SETTLE)
			continue;
		longest = ms > longest ? ms : longest;
		*tokens += (double)n / (STEPS - SETTLE);
	}
	return longest;
}

static void test_devices(void **state)
{
	(void)state;
	const struct {
		double fixed, each, noise, min_tokens, max_tokens, max_ms;
	} rows[] = {
		{0, 0.001, 0, 512, 512, 1}, /* a device so quick that n_max is the limit */
		{0.1, 0.01, 0, 512, 512, 10},    {0, 0.5, 0, 128, 144, 75},
		{25, 0.8, 0, 48, 64, 75}, /* 0.5B on two cores: weights are read in 25 ms */
		{0, 5, 0, 14, 15, 75},           {0, 200, 0, 1, 1, 200}, /* a token is too long already */
		{130, 6, 0, 12, 21, 260},     /* a large model: twice the shortest step */
		{650, 0, 0, 400, 512, 650},   /* a crowded machine: only the number of steps counts */
		{10, 0.5, 0.3, 48, 144, 150}, /* noise */
		{650, 0.1, 0.3, 100, 512, 1000},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pace p;
		double tokens;
		pace_init(&p, 512, PACE_TARGET_MS);
		assert_int_equal(pace_chunk(&p), PACE_FIRST);
		double ms = simulate(&p, rows[i].fixed, rows[i].each, rows[i].noise, &tokens);
		if (tokens < rows[i].min_tokens || tokens > rows[i].max_tokens + 1e-6 ||
		    ms > rows[i].max_ms + 1e-6)
			fail_msg("row %zu: %.1f tokens a step, %.1f ms at most", i, tokens, ms);
	}
}

/* Steps of one token between prompts, as in decoding, and a device that changes its speed. */
static void test_changes(void **state)
{
	(void)state;
	struct pace p;
	double tokens;
	pace_init(&p, 512, PACE_TARGET_MS);
	simulate(&p, 1, 0.1, 0, &tokens);
	assert_true(tokens > 511.9);
	for (int i = 0; i < 5; i++) { /* answers begin: single steps between the prompt's */
		pace_add(&p, pace_chunk(&p), 1 + 0.1 * pace_chunk(&p));
		pace_add(&p, 1, 1.1);
		assert_int_equal(pace_chunk(&p), 512);
	}
	assert_true(simulate(&p, 1, 1, 0, &tokens) <= 75); /* ten times slower */
	assert_in_range((int)tokens, 32, 74);
	simulate(&p, 1, 0.1, 0, &tokens);
	assert_in_range((int)tokens, 500, 512);
}

static void test_small_limit(void **state)
{
	(void)state;
	struct pace p;
	double tokens;
	for (uint32_t n_max = 1; n_max <= 17; n_max += 8) {
		pace_init(&p, n_max, PACE_TARGET_MS);
		simulate(&p, 0, 0.001, 0, &tokens);
		assert_int_equal(pace_chunk(&p), n_max < 17 ? n_max : 16);
	}
}

/* Beside sequences that decode, which have their tokens in every step, a prompt gets its share even where a
 * step of hardly any tokens takes longer than is wanted: the time is the weights', and twice that is allowed.
 */
static void test_beside_decoding(void **state)
{
	(void)state;
	for (uint32_t n_decoding = 1; n_decoding <= 64; n_decoding *= 4) {
		struct pace p;
		uint32_t left = 0;
		pace_init(&p, 512, PACE_TARGET_MS);
		/* Noise has made it believe that a token costs everything. */
		for (int step = 0; step < 4; step++) {
			pace_add(&p, n_decoding + 1, 91.0 + n_decoding);
			p.chunk = 1;
		}
		for (int step = 0; step < 20; step++) {
			uint32_t chunk = pace_chunk(&p), least = chunk < 16 ? chunk : 16;
			left = chunk > n_decoding + least ? chunk - n_decoding : least;
			pace_add(&p, n_decoding + left, 90.0 + n_decoding + left);
		}
		assert_in_range(n_decoding + left, 64, 112);
		assert_true(left >= 16);
	}
}

/* On a quick device prompts get all that a step holds, however many decode beside them from the first step
 * on.
 */
static void test_quick_beside_decoding(void **state)
{
	(void)state;
	for (uint32_t n_decoding = 1; n_decoding <= 256; n_decoding *= 2) {
		struct pace p;
		uint32_t left = 0;
		pace_init(&p, 512, PACE_TARGET_MS);
		for (int step = 0; step < 12; step++) {
			uint32_t chunk = pace_chunk(&p), least = chunk < 16 ? chunk : 16;
			left = chunk > n_decoding + least ? chunk - n_decoding : least;
			pace_add(&p, n_decoding + left, 0.1 + 0.01 * (n_decoding + left));
		}
		assert_int_equal(n_decoding + left, 512);
	}
}

/* Other times than the usual, at the limits of the setting and between. */
static void test_targets(void **state)
{
	(void)state;
	const struct {
		double target_ms, fixed, each, min_tokens, max_tokens, max_ms;
	} rows[] = {
		{1, 0, 0.05, 16, 20, 1},        {1, 0.5, 0.01, 48, 50, 1},
		{1, 2, 0.1, 12, 20, 4}, /* the shortest step is too long: twice that */
		{2, 0, 0.05, 32, 40, 2},        {20, 0, 0.5, 32, 40, 20},
		{74, 0, 1, 64, 74, 74},         {76, 0, 1, 64, 76, 76},
		{300, 25, 0.8, 320, 344, 300},  {10000, 0, 25, 384, 400, 10000},
		{10000, 0, 1, 512, 512, 10000},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pace p;
		double tokens;
		pace_init(&p, 512, rows[i].target_ms);
		double ms = simulate(&p, rows[i].fixed, rows[i].each, 0, &tokens);
		if (tokens < rows[i].min_tokens || tokens > rows[i].max_tokens + 1e-6 ||
		    ms > rows[i].max_ms + 1e-6)
			fail_msg("row %zu: %.1f tokens a step, %.1f ms at most", i, tokens, ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_devices),         cmocka_unit_test(test_changes),
		cmocka_unit_test(test_small_limit),     cmocka_unit_test(test_targets),
		cmocka_unit_test(test_beside_decoding), cmocka_unit_test(test_quick_beside_decoding),
	};
	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
