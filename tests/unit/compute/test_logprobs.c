/* Logprobs: by hand, against a sort, and to the bit against what the sampler says of the token it draws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "compute/logprobs.h"
#include "compute/passes.h"
#include "compute/sample.h"

static void test_by_hand(void **state)
{
	(void)state;
	const float logits[4] = {0, logf(4), logf(2), logf(3)};
	const int order[4] = {1, 3, 2, 0};
	const double p[4] = {0.1, 0.4, 0.2, 0.3};
	struct token_logprobs l;
	for (uint32_t n = 0; n <= LOGPROBS_MAX_TOP; n++) {
		logprobs_take(logits, 4, 2, n, &l);
		assert_float_equal(l.logprob, log(0.2), 1e-6);
		assert_int_equal(l.n_top, n < 4 ? n : 4);
		for (uint32_t i = 0; i < l.n_top; i++) {
			assert_int_equal(l.top[i].token, order[i]);
			assert_float_equal(l.top[i].logprob, log(p[order[i]]), 1e-6);
		}
	}
}

static void test_odd_logits(void **state)
{
	(void)state;
	struct token_logprobs l;
	const float none[2] = {NAN, -INFINITY}, odd[5] = {NAN, 1, -INFINITY, 1, INFINITY};
	logprobs_take(none, 2, 0, 2, &l);
	assert_true(l.n_top == 0 && l.logprob == -INFINITY);
	logprobs_take(odd, 5, 1, 20, &l); /* what can never be drawn is not told; of equals the smaller id */
	assert_int_equal(l.n_top, 3);
	assert_true(l.top[0].token == 4 && l.top[1].token == 1 && l.top[2].token == 3);
	assert_true(l.top[0].logprob == 0 && l.logprob == l.top[1].logprob);
	logprobs_take(odd, 5, 0, 0, &l);
	assert_true(l.logprob == -INFINITY);
	logprobs_take(odd, 5, 5, 0, &l); /* no token of the vocabulary */
	assert_true(l.logprob == -INFINITY);
}

static const float *sorted_by;

static int by_logit(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	float p = sorted_by[x], q = sorted_by[y];
	return p != q ? (p < q) - (p > q) : (x > y) - (x < y);
}

/* Rough logits, so that there are ties; whatever the draw does, the model's distribution is told. */
static void test_as_the_sampler(void **state)
{
	(void)state;
	enum { N = 64 * PASSES_BLOCK + 700 }; /* more than is looked at in one go */
	static float logits[N];
	static int32_t ids[N];
	const struct hokku_logit_bias bias[] = {{7, 30}, {8, -100}};
	const int32_t history[] = {1, 2, 3};
	struct sampler *s = sampler_create(N);
	struct token_logprobs l;
	for (uint64_t round = 0; round < 60; round++) {
		for (uint32_t i = 0; i < N; i++) {
			uint32_t w[4];
			rng_words(round, 1, i, w);
			logits[i] = (float)(w[0] % 997) / (round % 2 ? 50.0f : 5.0f);
			ids[i] = (int32_t)i;
		}
		const struct sampling p = {.temperature = (float)(round % 4) * 0.5f,
					   .top_p = round % 3 ? 0.9f : 1,
					   .repetition_penalty = round % 5 ? 1.3f : 1,
					   .seed = round,
					   .bias = bias,
					   .n_bias = round % 2 ? 2 : 0};
		struct compute_seq seq = {.sampling = &p, .history = history, .n_history = 3, .n_prompt = 2};
		sampler_draw(s, logits, round, &seq);
		logprobs_take(logits, N, seq.token, LOGPROBS_MAX_TOP, &l);
		assert_memory_equal(&l.logprob, &seq.logprob, sizeof l.logprob);
		sorted_by = logits;
		qsort(ids, N, sizeof *ids, by_logit);
		assert_int_equal(l.n_top, LOGPROBS_MAX_TOP);
		for (uint32_t i = 0; i < l.n_top; i++) {
			struct token_logprobs one;
			assert_int_equal(logprobs_rank(logits, N, ids[i]), i + 1);
			assert_int_equal(l.top[i].token, ids[i]);
			logprobs_take(logits, N, ids[i], 0, &one);
			assert_memory_equal(&one.logprob, &l.top[i].logprob, sizeof one.logprob);
		}
	}
	assert_int_equal(logprobs_rank(logits, N, ids[N - 1]), N);
	assert_int_equal(logprobs_rank(logits, N, ids[N / 2]), N / 2 + 1);
	sampler_destroy(s);
}

/* What can never be drawn comes last, by its ids; infinity is the largest number there is. */
static void test_odd_ranks(void **state)
{
	(void)state;
	const float logits[] = {NAN, -INFINITY, 1, INFINITY, FLT_MAX, 1, 0, -0.0f};
	static const uint32_t ranks[] = {7, 8, 3, 1, 2, 4, 5, 6};
	for (int32_t i = 0; i < 8; i++)
		assert_int_equal(logprobs_rank(logits, 8, i), ranks[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_odd_logits),
		cmocka_unit_test(test_as_the_sampler),
		cmocka_unit_test(test_odd_ranks),
	};
	return cmocka_run_group_tests_name("logprobs", tests, NULL, NULL);
}
