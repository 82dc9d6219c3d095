/* The passes over all logits: every instruction set that the machine has against one loop each, bit for bit,
 * with lengths around their blocks and every kind of number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"
#include "compute/passes.h"
#include "compute/weight.h"

enum { MOST = 2100 };

static const uint32_t lengths[] = {1, 5, 31, 32, 33, 63, 64, 65, 127, 128, 130, 1023, 1024, 1025, 2048, 2085};
static float logits[MOST], clean[MOST];
static uint32_t mask[MOST / 32 + 1];

static void fill(uint64_t round)
{
	static const float odd[] = {NAN,      -NAN, INFINITY, -INFINITY, FLT_MAX,
				    -FLT_MAX, 0,    -0.0f,    1e-42f,    -1e-42f};
	for (uint32_t i = 0; i < MOST; i++) {
		uint32_t w[4];
		rng_words(round, 1, i, w);
		logits[i] = ((float)(w[0] % 4001) - 2000) / (round % 3 ? 100.0f : 1000.0f);
		if (round % 2 && w[1] % 8 == 0)
			logits[i] = odd[w[2] % (round % 4 == 1 ? 10 : 5)];
		clean[i] = logit_clean(logits[i]);
		mask[i / 32] = w[3] % 3 ? w[2] : -(w[3] % 2);
	}
}

static float largest_of(uint32_t from, uint32_t to)
{
	float largest = -INFINITY;
	for (uint32_t i = from; i < to; i++)
		largest = clean[i] > largest ? clean[i] : largest;
	return largest;
}

static void check_largest(const struct passes *p, uint32_t n)
{
	static float tops[MOST / PASSES_BLOCK + 2], again[MOST / PASSES_BLOCK + 2], x[MOST + 1];
	uint32_t n_tops = (n + PASSES_BLOCK - 1) / PASSES_BLOCK;
	assert_int_equal(passes_n_tops(n), n_tops);
	tops[n_tops] = again[n_tops] = x[n] = 77; /* nothing is written behind the end */
	p->tops(tops, logits, n);
	p->load(x, again, logits, n);
	for (uint32_t b = 0; b < n_tops; b++) {
		uint32_t end = (b + 1) * PASSES_BLOCK;
		float wanted = largest_of(b * PASSES_BLOCK, end < n ? end : n);
		assert_true(tops[b] == wanted && again[b] == wanted); /* of zeros either */
	}
	assert_memory_equal(x, clean, n * sizeof *x);
	assert_true(tops[n_tops] == 77 && again[n_tops] == 77 && x[n] == 77);
}

static void check_sums(const struct passes *p, uint32_t n, float temperature)
{
	static float w[MOST + 1];
	float largest = largest_of(0, n), least = largest - 5 * temperature;
	uint64_t sum = 0, sum_from = 0, sum_exp = 0;
	if (!(largest > -INFINITY))
		return;
	w[n] = 77;
	p->weigh(w, clean, largest, temperature, n);
	for (uint32_t i = 0; i < n; i++) {
		float d = (clean[i] - largest) / temperature, one = clean[i] - largest;
		float wanted = d < WEIGHT_EXP_MIN ? 0 : weight_exp(d);
		assert_memory_equal(&w[i], &wanted, sizeof wanted);
		sum += weight_grains(wanted);
		sum_from += clean[i] >= least ? weight_grains(wanted) : 0;
		sum_exp += one < WEIGHT_EXP_MIN ? 0 : weight_grains(weight_exp(one));
	}
	assert_true(w[n] == 77);
	assert_true(p->sum(w, n) == sum);
	assert_true(p->sum_from(w, clean, least, n) == sum_from);
	assert_true(p->sum_from(w, clean, -INFINITY, n) == sum);
	assert_true(p->sum_exp(logits, largest, n) == sum_exp);
	assert_true(p->sum_exp(clean, largest, n) == sum_exp);
}

static void check_count(const struct passes *p, uint32_t n)
{
	for (uint32_t k = 0; k < 12; k++) {
		uint32_t above = 0, same = 0, n_above, n_same;
		float x = clean[k * 7];
		for (uint32_t i = 0; i < n; i++) {
			above += clean[i] > x;
			same += clean[i] == x;
		}
		p->count(logits, x, n, &n_above, &n_same);
		assert_true(n_above == above && n_same == same);
	}
}

static void check_mask(const struct passes *p, uint32_t n)
{
	static float x[MOST + 1];
	memcpy(x, clean, sizeof clean);
	p->mask(x, mask, n);
	for (uint32_t i = 0; i < MOST; i++) {
		bool kept = i >= n || mask[i / 32] >> (i % 32) & 1;
		float wanted = kept ? clean[i] : -INFINITY;
		assert_memory_equal(&x[i], &wanted, sizeof wanted);
	}
}

static void test_levels(void **state)
{
	static const float temperatures[] = {1, 0.7f, 100, 1e-30f};
	(void)state;
	unsigned n_levels = 0;
	assert_non_null(passes_at(0));
	for (unsigned level = 0; level < PASSES_LEVELS; level++) {
		const struct passes *p = passes_at(level);
		if (!p)
			continue;
		n_levels++;
		for (uint64_t round = 0; round < 8; round++) {
			fill(round);
			for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
				check_largest(p, lengths[i]);
				check_sums(p, lengths[i], temperatures[round % 4]);
				check_count(p, lengths[i]);
				check_mask(p, lengths[i]);
			}
		}
	}
	print_message("%u instruction sets\n", n_levels);
	assert_null(passes_at(PASSES_LEVELS));
	bool best = false;
	for (unsigned level = 0; level < PASSES_LEVELS; level++)
		best = passes_at(level) ? passes_at(level) == passes_best() : best;
	assert_true(best);
}

/* Where weights become none. */
static void test_least_weight(void **state)
{
	(void)state;
	const float x[] = {0, WEIGHT_EXP_MIN, nextafterf(WEIGHT_EXP_MIN, 0),
			   nextafterf(WEIGHT_EXP_MIN, -100)};
	for (unsigned level = 0; level < PASSES_LEVELS; level++) {
		float w[4];
		if (!passes_at(level))
			continue;
		passes_at(level)->weigh(w, x, 0, 1, 4);
		assert_true(w[0] == 1 && w[1] == weight_exp(x[1]) && w[2] == weight_exp(x[2]) && w[3] == 0);
		assert_true(w[1] > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_least_weight),
	};
	return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
