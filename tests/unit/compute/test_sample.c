/*
 * The sampler: cases worked by hand, a plain reference that sorts (docs/sampling.md word for word), and
 * chi-square tests of the distribution. All seeds are fixed, so nothing here depends on luck twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/half.h"
#include "base/rng.h"
#include "compute/logprobs.h"
#include "compute/sample.h"

static const struct sampling plain = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};

/* One draw without history or mask. */
static int32_t draw_at(const float *logits, uint32_t n, struct sampling p, uint64_t pos)
{
	struct sampler *s = sampler_create(n);
	assert_non_null(s);
	struct compute_seq seq = {.sampling = &p};
	sampler_draw(s, logits, pos, &seq);
	sampler_destroy(s);
	return seq.token;
}

/* Which tokens come up in 4,000 draws, as bits. */
static uint32_t support(const float *logits, uint32_t n, struct sampling p)
{
	struct sampler *s = sampler_create(n);
	struct compute_seq seq = {.sampling = &p};
	uint32_t seen = 0;
	for (uint64_t pos = 0; pos < 4000; pos++) {
		sampler_draw(s, logits, pos, &seq);
		assert_in_range(seq.token, 0, n - 1);
		seen |= 1u << seq.token;
	}
	sampler_destroy(s);
	return seen;
}

/* The greedy choice after penalties over history, the first n_prompt of which are the prompt. */
static int32_t greedy(const float *logits, uint32_t n, struct sampling p, const int32_t *history,
		      uint32_t n_history, uint32_t n_prompt)
{
	struct sampler *s = sampler_create(n);
	p.temperature = 0;
	struct compute_seq seq = {
		.sampling = &p, .history = history, .n_history = n_history, .n_prompt = n_prompt};
	sampler_draw(s, logits, n_history, &seq);
	int32_t first = seq.token;
	sampler_draw(s, logits, n_history, &seq); /* the scratch is as it was */
	assert_int_equal(seq.token, first);
	sampler_destroy(s);
	return first;
}

/* Random123's known answers (kat_vectors: philox4x32 10). */
static void test_philox(void **state)
{
	(void)state;
	uint32_t out[4];
	philox4x32_10(out, (uint32_t[]){0, 0, 0, 0}, (uint32_t[]){0, 0});
	assert_int_equal(out[0], 0x6627e8d5);
	assert_int_equal(out[1], 0xe169c58d);
	assert_int_equal(out[2], 0xbc57ac4c);
	assert_int_equal(out[3], 0x9b00dbd8);
	philox4x32_10(out, (uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
		      (uint32_t[]){0xa4093822, 0x299f31d0});
	assert_int_equal(out[0], 0xd16cfe09);
	assert_int_equal(out[1], 0x94fdcceb);
	assert_int_equal(out[2], 0x5001e420);
	assert_int_equal(out[3], 0x24126ea1);
}

static void test_create_limits(void **state)
{
	(void)state;
	assert_null(sampler_create(0));
	assert_null(sampler_create((1u << 23) + 1));
	struct sampler *s = sampler_create(1);
	assert_non_null(s);
	assert_true(sampler_bytes(s) > 0);
	struct sampling p = plain;
	struct compute_seq seq = {.sampling = &p};
	sampler_draw(s, (float[]){-3}, 0, &seq);
	assert_int_equal(seq.token, 0);
	assert_float_equal(seq.logprob, 0, 1e-6);
	sampler_destroy(s);
	sampler_destroy(NULL);
}

static void test_greedy(void **state)
{
	(void)state;
	struct sampling p = plain;
	p.temperature = 0;
	assert_int_equal(draw_at((float[]){1, 3, 2}, 3, p, 0), 1);
	assert_int_equal(draw_at((float[]){1, 3, 3}, 3, p, 0), 1); /* ties: the smaller id */
	assert_int_equal(draw_at((float[]){-0.0f, 0.0f}, 2, p, 0), 0);
	assert_int_equal(draw_at((float[]){0.0f, -0.0f}, 2, p, 0), 0);
	/* the other stages cannot move it */
	p.top_k = 1;
	p.top_p = 1e-9f;
	p.min_p = 1;
	assert_int_equal(draw_at((float[]){1, 3, 3}, 3, p, 7), 1);
}

static void test_not_finite(void **state)
{
	(void)state;
	struct sampling p = plain;
	for (int hot = 0; hot < 2; hot++) {
		p.temperature = (float)hot;
		assert_int_equal(draw_at((float[]){NAN, -5, NAN}, 3, p, 1), 1);
		assert_int_equal(draw_at((float[]){-INFINITY, -5, NAN}, 3, p, 1), 1);
		assert_int_equal(draw_at((float[]){3, INFINITY, 5}, 3, p, 1), 1);
		assert_int_equal(draw_at((float[]){3, FLT_MAX, 5}, 3, p, 1), 1);
		assert_int_equal(draw_at((float[]){NAN, NAN}, 2, p, 1), -1);
		assert_int_equal(draw_at((float[]){-INFINITY, NAN}, 2, p, 1), -1);
	}
	/* several infinities are equal; the lowest finite number is still there beside the highest */
	assert_int_equal(support((float[]){INFINITY, 0, INFINITY, FLT_MAX}, 4, plain), 0xD);
	p = plain;
	p.temperature = 1e-38f;
	assert_int_equal(support((float[]){FLT_MAX, -FLT_MAX, FLT_MAX}, 3, p), 5);
	p.temperature = 100;
	assert_int_equal(support((float[]){FLT_MAX, -FLT_MAX, FLT_MAX}, 3, p), 5);
	/* a bias or a penalty that overflows stays finite */
	const struct hokku_logit_bias bias[] = {{0, 1000}};
	p = plain;
	p.bias = bias;
	p.n_bias = 1;
	p.repetition_penalty = 1e-6f;
	assert_int_equal(greedy((float[]){FLT_MAX, FLT_MAX}, 2, p, (int32_t[]){1, 0}, 2, 2), 0);
}

/* Equal logits have equal weights of 2^40 units: with four of them the top two bits of the random number
 * choose. */
static void test_equal_logits_by_hand(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 500; i++) {
		uint32_t words[4];
		struct sampling p = plain;
		p.seed = i * 0x9E3779B97F4A7C15u;
		rng_words(p.seed, RNG_STREAM_SAMPLER, i, words);
		assert_int_equal(draw_at((float[]){2, 2, 2, 2}, 4, p, i), words[0] >> 30);
		/* three: thirds of the range */
		uint64_t random = (uint64_t)words[0] << 32 | words[1];
		int32_t third = (int32_t)((unsigned __int128)random * 3 >> 64);
		assert_int_equal(draw_at((float[]){-1, -1, -1}, 3, p, i), third);
		/* a gap between them changes nothing, and neither does the temperature */
		p.temperature = 0.01f;
		assert_int_equal(draw_at((float[]){-1, NAN, -1, -1000, -1}, 5, p, i),
				 third == 0 ? 0 : third * 2);
	}
}

static void test_seed_and_position(void **state)
{
	(void)state;
	float logits[64] = {0};
	struct sampling p = plain;
	unsigned same_seed = 0, same_pos = 0;
	p.seed = 1;
	struct sampling q = p;
	q.seed = UINT64_C(1) << 32 | 1; /* all 64 bits count */
	for (uint64_t pos = 0; pos < 1000; pos++) {
		int32_t t = draw_at(logits, 64, p, pos);
		assert_int_equal(t, draw_at(logits, 64, p, pos));
		same_pos += t == draw_at(logits, 64, p, pos + (UINT64_C(1) << 32));
		same_seed += t == draw_at(logits, 64, q, pos);
	}
	assert_in_range(same_seed, 1, 50); /* about 1,000 / 64 */
	assert_in_range(same_pos, 1, 50);
}

static void test_top_k(void **state)
{
	(void)state;
	const float logits[8] = {3, 8, 1, 6, 2, 7, 5, 4};
	struct sampling p = plain;
	p.temperature = 100; /* nearly even */
	const struct {
		int32_t k;
		uint32_t seen;
	} rows[] = {{1, 1u << 1}, {2, 1u << 1 | 1u << 5}, {7, 0xFFu & ~(1u << 2)}, {8, 0xFF}, {9, 0xFF},
		    {0, 0xFF},    {INT32_MAX, 0xFF}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		p.top_k = rows[i].k;
		assert_int_equal(support(logits, 8, p), rows[i].seen);
	}
	/* equal logits: the smaller ids; also on the border and with zeros of both signs */
	p.top_k = 3;
	assert_int_equal(support((float[]){1, 1, 1, 1, 1}, 5, p), 7);
	assert_int_equal(support((float[]){1, 2, 1, 1, 3}, 5, p), 1u | 2 | 16);
	assert_int_equal(support((float[]){0.0f, -0.0f, 0.0f, -0.0f}, 4, p), 7);
	/* fewer can be drawn than k */
	assert_int_equal(support((float[]){NAN, 1, -INFINITY, NAN, 3}, 5, p), 2 | 16);
}

static void test_top_p(void **state)
{
	(void)state;
	const float even[4] = {5, 5, 5, 5}; /* a quarter each, exactly */
	struct sampling p = plain;
	const struct {
		float top_p;
		uint32_t seen;
	} rows[] = {{1e-30f, 1},      {0.25f, 1}, {0.25000003f, 3},  {0.5f, 3},
		    {0.74999994f, 7}, {0.75f, 7}, {0.99999994f, 15}, {1, 15}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		p.top_p = rows[i].top_p;
		assert_int_equal(support(even, 4, p), rows[i].seen);
	}
	/* 0.1, 0.4, 0.2, 0.3: the likeliest come first */
	const float logits[4] = {0, logf(4), logf(2), logf(3)};
	p.top_p = 0.39f;
	assert_int_equal(support(logits, 4, p), 2);
	p.top_p = 0.41f;
	assert_int_equal(support(logits, 4, p), 2 | 8);
	p.top_p = 0.71f;
	assert_int_equal(support(logits, 4, p), 2 | 8 | 4);
	p.top_p = 0.91f;
	assert_int_equal(support(logits, 4, p), 15);
}

/* One likely token and many that are far below, the first of which belong to the probability that stays. */
static void test_top_p_far_below(void **state)
{
	(void)state;
	enum { N = 60000 };
	static const double depths[] = {3, 5, 9};
	float *logits = malloc(N * sizeof *logits);
	struct sampler *s = sampler_create(N);
	struct sampling p = plain;
	struct compute_seq seq = {.sampling = &p};
	for (size_t k = 0; k < 3; k++) {
		double others = (N - 1) * exp(-depths[k]), wanted = 0.9 * (1 + others) - 1;
		double most = wanted / exp(-depths[k]); /* of the others */
		int32_t largest = 0;
		p.top_p = 0.9f;
		for (uint32_t i = 0; i < N; i++)
			logits[i] = i ? -(float)depths[k] : 0;
		for (uint64_t pos = 0; pos < 40; pos++) {
			sampler_draw(s, logits, pos, &seq);
			largest = seq.token > largest ? seq.token : largest;
		}
		assert_true(largest < most + 2 && largest > 0.8 * most);
	}
	sampler_destroy(s);
	free(logits);
}

static void test_min_p(void **state)
{
	(void)state;
	const float logits[4] = {0, logf(4), logf(2), logf(3)}; /* 1/4, 1, 1/2, 3/4 of the likeliest */
	struct sampling p = plain;
	const struct {
		float min_p;
		uint32_t seen;
	} rows[] = {{0, 15}, {0.24f, 15}, {0.26f, 14}, {0.49f, 14}, {0.51f, 10}, {0.76f, 2}, {1, 2}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		p.min_p = rows[i].min_p;
		assert_int_equal(support(logits, 4, p), rows[i].seen);
	}
	p.min_p = 1; /* only what equals the likeliest */
	assert_int_equal(support((float[]){1, 3, 2, 3}, 4, p), 10);
}

static void test_penalties(void **state)
{
	(void)state;
	struct sampling p = plain;
	/* repetition: prompt and answer, once however often; positive is divided, negative multiplied */
	p.repetition_penalty = 2;
	assert_int_equal(greedy((float[]){4, 2.1f, 1}, 3, p, (int32_t[]){0, 0, 0}, 3, 3), 1);
	assert_int_equal(greedy((float[]){4, 1.9f, 1}, 3, p, (int32_t[]){0, 0, 0}, 3, 3), 0);
	assert_int_equal(greedy((float[]){4, 1.9f, 1}, 3, p, (int32_t[]){0, 0, 0}, 3, 1), 0);
	assert_int_equal(greedy((float[]){-1, -1.9f}, 2, p, (int32_t[]){0}, 1, 1), 1);
	assert_int_equal(greedy((float[]){-1, -2.1f}, 2, p, (int32_t[]){0}, 1, 1), 0);
	p.repetition_penalty = 0.5f; /* below 1 it draws them in */
	assert_int_equal(greedy((float[]){1.1f, 2}, 2, p, (int32_t[]){0}, 1, 1), 0);
	/* frequency: the answer alone, for each time */
	p = plain;
	p.frequency_penalty = 1;
	const int32_t history[] = {0, 0, 0, 1, 1, 2};
	assert_int_equal(greedy((float[]){5, 6.9f, 5.9f}, 3, p, history, 6, 3), 0); /* 5, 4.9, 4.9 */
	assert_int_equal(greedy((float[]){5, 7.1f, 5.9f}, 3, p, history, 6, 3), 1); /* 5, 5.1, 4.9 */
	assert_int_equal(greedy((float[]){5, 6.9f, 5.9f}, 3, p, history, 6, 6), 1); /* all prompt: off */
	p.frequency_penalty = -2;
	assert_int_equal(greedy((float[]){5, 1.1f, 2}, 3, p, history, 6, 3), 1); /* 5, 5.1, 4 */
	/* presence: the answer alone, once */
	p = plain;
	p.presence_penalty = 2;
	assert_int_equal(greedy((float[]){5, 6.9f, 6.8f}, 3, p, history, 6, 3), 0);
	assert_int_equal(greedy((float[]){5, 7.1f, 6.8f}, 3, p, history, 6, 3), 1);
	/* ids outside the vocabulary are passed over */
	p.repetition_penalty = 2;
	assert_int_equal(greedy((float[]){1, 2}, 2, p, (int32_t[]){-1, 2, INT32_MAX, INT32_MIN}, 4, 1), 1);
}

static void test_bias_and_mask(void **state)
{
	(void)state;
	const struct hokku_logit_bias bias[] = {{2, 1.5f}, {0, -1}, {2, 1}, {99, 5}, {-1, 5}};
	struct sampling p = plain;
	p.bias = bias;
	p.n_bias = 5;
	assert_int_equal(greedy((float[]){3, 2, 0}, 3, p, NULL, 0, 0), 2); /* 2, 2, 2.5: entries add up */
	p.n_bias = 2;
	assert_int_equal(greedy((float[]){3, 2, 0}, 3, p, NULL, 0, 0), 0); /* 2, 2, 1.5 */
	float logits[40];
	for (int i = 0; i < 40; i++)
		logits[i] = (float)i;
	const uint32_t mask[2] = {1u << 5 | 1u << 31, 1u << 2}, none[2] = {0, 0xFFFFFF00u};
	struct sampler *s = sampler_create(40);
	p = plain;
	p.temperature = 0;
	struct compute_seq seq = {.sampling = &p, .mask = mask};
	sampler_draw(s, logits, 0, &seq);
	assert_int_equal(seq.token, 34);
	p.temperature = 100;
	for (uint64_t pos = 0; pos < 200; pos++) {
		sampler_draw(s, logits, pos, &seq);
		assert_true(seq.token == 5 || seq.token == 31 || seq.token == 34);
	}
	seq.mask = none; /* bits past the vocabulary mean nothing */
	sampler_draw(s, logits, 0, &seq);
	assert_int_equal(seq.token, -1);
	assert_true(isinf(seq.logprob) && seq.logprob < 0);
	for (int i = 0; i < 40; i++)
		assert_true(logits[i] == (float)i);
	sampler_destroy(s);
}

/* Each case comes out otherwise if two neighbouring stages change places. */
static void test_order_of_stages(void **state)
{
	(void)state;
	const struct hokku_logit_bias up = {0, 1};
	struct sampling p = plain;
	/* bias, then repetition: (1 + 1) / 2 = 1 and not 1 / 2 + 1 = 1.5 */
	p.bias = &up;
	p.n_bias = 1;
	p.repetition_penalty = 2;
	assert_int_equal(greedy((float[]){1, 1.25f}, 2, p, (int32_t[]){0}, 1, 1), 1);
	/* repetition, then presence: 4 / 2 - 1 = 1 and not (4 - 1) / 2 = 1.5 */
	p = plain;
	p.repetition_penalty = 2;
	p.presence_penalty = 1;
	assert_int_equal(greedy((float[]){4, 1.25f}, 2, p, (int32_t[]){0}, 1, 0), 1);
	p.presence_penalty = 0;
	p.frequency_penalty = 1;
	assert_int_equal(greedy((float[]){4, 1.25f}, 2, p, (int32_t[]){0}, 1, 0), 1);
	/* temperature, then top_p: 0.7, 0.2, 0.1 become nearly even, so that 0.6 takes two */
	const float logits[3] = {logf(7), logf(2), 0};
	p = plain;
	p.top_p = 0.6f;
	assert_int_equal(support(logits, 3, p), 1);
	p.temperature = 100;
	assert_int_equal(support(logits, 3, p), 3);
	/* temperature, then min_p */
	p.top_p = 1;
	p.min_p = 0.5f;
	assert_int_equal(support(logits, 3, p), 7);
	/* top_k, then top_p over what is left: 0.4 and 0.3 become 0.57 and 0.43 */
	const float four[4] = {logf(4), logf(3), logf(2), 0};
	p = plain;
	p.top_p = 0.5f;
	assert_int_equal(support(four, 4, p), 3);
	p.top_k = 2;
	assert_int_equal(support(four, 4, p), 1);
	/* top_p, then min_p: without the 0.1 that min_p drops, 0.9 would be reached by 0.4 + 0.3 + 0.2 as
	 * well, but 0.91 takes all four before min_p drops the last */
	p = plain;
	p.top_p = 0.75f;
	p.min_p = 0.45f;
	assert_int_equal(support(four, 4, p), 7);
	p.min_p = 0.55f; /* were min_p first: 4 / 7 < 0.75, both stay; top_p first: three stay, min_p drops
			    one */
	assert_int_equal(support(four, 4, p), 3);
	p.top_p = 0.55f; /* top_p first: 0.4 < 0.55, two stay. min_p first: 4 / 7 = 0.57, one would stay */
	assert_int_equal(support(four, 4, p), 3);
}

/* Under the model's own distribution, whatever the sampling; the exponential against libm's in double. */
static void test_logprob(void **state)
{
	(void)state;
	const float logits[4] = {0, logf(4), logf(2), logf(3)};
	const struct hokku_logit_bias bias = {0, 100};
	struct sampling p = plain;
	struct sampler *s = sampler_create(4);
	struct compute_seq seq = {.sampling = &p};
	sampler_draw(s, logits, 0, &seq);
	assert_float_equal(seq.logprob, log((double[]){0.1, 0.4, 0.2, 0.3}[seq.token]), 1e-6);
	p.temperature = 0;
	sampler_draw(s, logits, 0, &seq);
	assert_float_equal(seq.logprob, log(0.4), 1e-6);
	p.bias = &bias;
	p.n_bias = 1;
	sampler_draw(s, logits, 0, &seq);
	assert_int_equal(seq.token, 0);
	assert_float_equal(seq.logprob, log(0.1), 1e-6);
	sampler_destroy(s);
	/* 1,000 tokens at -d and one at 0: log(1 + 1000 exp(-d)) */
	float *many = calloc(1001, sizeof *many);
	s = sampler_create(1001);
	p.n_bias = 0;
	for (double d = 0; d < 40; d += 0.037) {
		for (int i = 1; i <= 1000; i++)
			many[i] = -(float)d;
		sampler_draw(s, many, 0, &seq);
		assert_int_equal(seq.token, 0);
		assert_float_equal(seq.logprob, -log1p(1000 * exp(-(double)(float)d)),
				   4e-7f * (1 + fabsf(seq.logprob)));
	}
	sampler_destroy(s);
	free(many);
}

/* The document's algorithm with a sort. */
struct entry {
	float x, w;
	int32_t id;
};

static int by_logit(const void *a, const void *b)
{
	const struct entry *p = a, *q = b;
	if (p->x != q->x)
		return p->x < q->x ? 1 : -1;
	return (p->id > q->id) - (p->id < q->id);
}

static int by_id(const void *a, const void *b)
{
	return ((const struct entry *)a)->id - ((const struct entry *)b)->id;
}

static float reference_exp(float d)
{
	volatile float k = d * 1.44269504f + 12582912.0f;
	k = k - 12582912.0f;
	volatile float r = d - k * 0.693359375f;
	r = r - k * -2.12194440e-4f;
	static const float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
				  4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
	volatile float p = c[0], t;
	for (int i = 1; i < 6; i++) {
		t = p * r;
		p = t + c[i];
	}
	t = r * r;
	p = p * t;
	p = p + r;
	p = p + 1;
	return ldexpf(p, (int)k);
}

static uint64_t units(float w)
{
	return (uint64_t)floor(ldexp(w, 40));
}

/* What is told of chances: the token's share of all grains, and the likeliest. */
static void reference_chances(struct entry *e, uint32_t kept, uint64_t sum, uint32_t drawn, uint32_t n_top,
			      struct token_logprobs *out)
{
	out->logprob = (float)((double)units(e[drawn].w) / (double)sum);
	qsort(e, kept, sizeof *e, by_logit);
	for (out->n_top = 0; out->n_top < n_top && out->n_top < kept && units(e[out->n_top].w); out->n_top++)
		out->top[out->n_top] = (struct token_logprob){
			e[out->n_top].id, (float)((double)units(e[out->n_top].w) / (double)sum)};
}

static int32_t reference_draw(const float *logits, uint32_t n, const struct sampling *p, uint64_t pos,
			      uint32_t n_top, struct token_logprobs *told)
{
	static struct entry e[3000];
	uint64_t sum = 0, reached = 0;
	uint32_t kept = n, words[4];
	for (uint32_t i = 0; i < n; i++) {
		float v = isnan(logits[i]) ? -INFINITY : fminf(logits[i], FLT_MAX);
		e[i] = (struct entry){.x = v, .id = (int32_t)i};
	}
	qsort(e, n, sizeof *e, by_logit);
	if (e[0].x == -INFINITY)
		return -1;
	*told = (struct token_logprobs){.logprob = 1, .n_top = n_top > 0, .top = {{e[0].id, 1}}};
	if (p->temperature == 0)
		return e[0].id;
	if (p->top_k > 0 && (uint32_t)p->top_k < n)
		kept = (uint32_t)p->top_k;
	for (uint32_t i = 0; i < kept; i++) {
		float d = (e[i].x - e[0].x) / p->temperature;
		e[i].w = d < -28 ? 0 : reference_exp(d);
		sum += units(e[i].w);
	}
	if (p->top_p < 1) {
		uint64_t target = (uint64_t)ceil((double)p->top_p * (double)sum);
		uint32_t i = 0;
		do
			reached += units(e[i].w);
		while (reached < target && ++i < kept);
		kept = i < kept ? i + 1 : kept;
	}
	while (kept > 1 && e[kept - 1].w < p->min_p)
		kept--;
	qsort(e, kept, sizeof *e, by_id);
	sum = 0;
	for (uint32_t i = 0; i < kept; i++)
		sum += units(e[i].w);
	rng_words(p->seed, RNG_STREAM_SAMPLER, pos, words);
	uint64_t point = (uint64_t)((unsigned __int128)((uint64_t)words[0] << 32 | words[1]) * sum >> 64);
	uint32_t i = 0;
	for (reached = units(e[0].w); reached <= point; reached += units(e[i].w))
		i++;
	int32_t id = e[i].id;
	reference_chances(e, kept, sum, i, n_top, told);
	return id;
}

static void test_against_reference(void **state)
{
	(void)state;
	for (uint64_t trial = 0; trial < 4000; trial++) {
		uint32_t words[4];
		static float logits[3000];
		rng_words(trial, RNG_STREAM_TEST, 0, words);
		uint32_t n = 1 + words[0] % (trial % 20 ? 300 : 3000);
		float spread = (float[]){0.5f, 4, 30, 1000}[words[1] % 4];
		struct sampling p = plain;
		p.seed = trial;
		p.temperature = (float[]){0.1f, 0.7f, 1, 3, 100}[words[1] / 4 % 5];
		p.top_k = (int32_t[]){0, 1, 2, 40, 299, (int32_t)n - 1, (int32_t)n}[words[2] % 7];
		p.top_p = (float[]){1, 0.95f, 0.5f, 0.1f, 1e-6f}[words[2] / 8 % 5];
		p.min_p = (float[]){0, 0.05f, 0.5f, 1}[words[3] % 4];
		for (uint32_t i = 0; i < n; i++) {
			uint32_t r[4];
			rng_words(trial, RNG_STREAM_TEST, i + 1, r);
			logits[i] = (float)(rng_unit(r[0], r[1]) - 0.5) * spread;
			if (words[3] & 16) /* many ties */
				logits[i] = roundf(logits[i]);
			if (words[3] & 32 && r[2] % 16 == 0)
				logits[i] = (float[]){NAN, INFINITY, -INFINITY, -0.0f}[r[3] % 4];
		}
		if (trial % 50 == 49)
			p.temperature = 0;
		struct token_logprobs told, want = {0};
		uint32_t n_top = (uint32_t)(trial % (LOGPROBS_MAX_TOP + 1));
		int32_t expected = reference_draw(logits, n, &p, trial * 3, n_top, &want);
		struct sampler *s = sampler_create(n);
		struct compute_seq seq = {.sampling = &p, .chances = &told, .n_chances = n_top};
		for (unsigned level = 0; level < 3; level++) { /* all instruction sets this machine has */
			if (!sampler_set_level(s, level))
				continue;
			sampler_draw(s, logits, trial * 3, &seq);
			assert_int_equal(seq.token, expected);
			if (expected < 0)
				continue;
			assert_true(told.logprob == want.logprob);
			assert_int_equal(told.n_top, want.n_top);
			for (uint32_t i = 0; i < want.n_top; i++)
				if (told.top[i].token != want.top[i].token ||
				    told.top[i].logprob != want.top[i].logprob)
					fail_msg("trial %d: %u: %d %g, not %d %g", (int)trial, i,
						 told.top[i].token, (double)told.top[i].logprob,
						 want.top[i].token, (double)want.top[i].logprob);
		}
		sampler_destroy(s);
	}
}

/* Pearson's statistic of n_draws draws against expected probabilities, compared with the critical value of
 * chi-square at significance 0.001. Positions run on under one seed, or seeds under one position. */
static void check_distribution(const float *logits, uint32_t n, struct sampling p, const double *expected,
			       double critical, bool over_seeds)
{
	enum { N_DRAWS = 40000 };
	unsigned counts[16] = {0};
	struct sampler *s = sampler_create(n);
	struct compute_seq seq = {.sampling = &p};
	for (uint64_t i = 0; i < N_DRAWS; i++) {
		p.seed = over_seeds ? i : 4711;
		sampler_draw(s, logits, over_seeds ? 5 : i, &seq);
		counts[seq.token]++;
	}
	sampler_destroy(s);
	double statistic = 0;
	for (uint32_t i = 0; i < n; i++) {
		double mean = expected[i] * N_DRAWS;
		if (expected[i] == 0)
			assert_int_equal(counts[i], 0);
		else
			statistic += (counts[i] - mean) * (counts[i] - mean) / mean;
	}
	if (!(statistic < critical))
		fail_msg("chi-square is %g, critical value %g", statistic, critical);
}

static void softmax(const float *logits, uint32_t n, double temperature, uint32_t keep, double *out)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		out[i] = keep >> i & 1 ? exp(logits[i] / temperature) : 0;
		sum += out[i];
	}
	for (uint32_t i = 0; i < n; i++)
		out[i] /= sum;
}

static void test_distribution(void **state)
{
	(void)state;
	/* Critical values of chi-square at 0.001 (NIST/SEMATECH e-Handbook, 1.3.6.7.4). */
	enum { N = 8 };
	const double critical[N] = {0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322};
	const float logits[N] = {0.3f, -1.2f, 2.0f, 1.1f, 0, -0.4f, 1.9f, -3};
	double expected[N];
	for (int over_seeds = 0; over_seeds < 2; over_seeds++) {
		struct sampling p = plain;
		softmax(logits, N, 1, 0xFF, expected);
		check_distribution(logits, N, p, expected, critical[7], over_seeds);
		p.temperature = 0.7f;
		softmax(logits, N, 0.7, 0xFF, expected);
		check_distribution(logits, N, p, expected, critical[7], over_seeds);
		p.temperature = 5;
		p.top_k = 4; /* 2, 6, 3, 0 */
		softmax(logits, N, 5, 0x4D, expected);
		check_distribution(logits, N, p, expected, critical[3], over_seeds);
		p = plain;
		p.top_p = 0.8f; /* 0.392, 0.355, 0.159: three */
		softmax(logits, N, 1, 0x4C, expected);
		check_distribution(logits, N, p, expected, critical[2], over_seeds);
		p = plain;
		p.min_p = 0.15f; /* e^-1.7 = 0.183 stays, e^-2 = 0.135 goes */
		softmax(logits, N, 1, 0x4D, expected);
		check_distribution(logits, N, p, expected, critical[3], over_seeds);
	}
}

/* A vocabulary of a real model's size: agreement of the bits is the reference test's; here, that it is quick
 * and that top_k 40 of a known order takes the right ones. */
static void test_large(void **state)
{
	(void)state;
	enum { N = 151936 };
	float *logits = malloc(N * sizeof *logits);
	for (uint32_t i = 0; i < N; i++) {
		uint32_t r[4];
		rng_words(9, RNG_STREAM_TEST, i, r);
		logits[i] = (float)(rng_unit(r[0], r[1]) * 20 - 10);
	}
	for (uint32_t i = 0; i < 40; i++)
		logits[i * 3001 + 7] = 11 + (float)i * 0.01f;
	struct sampler *s = sampler_create(N);
	struct sampling p = plain;
	p.top_k = 40;
	struct compute_seq seq = {.sampling = &p};
	bool seen[40] = {0};
	for (uint64_t pos = 0; pos < 300; pos++) {
		sampler_draw(s, logits, pos, &seq);
		assert_int_equal((seq.token - 7) % 3001, 0);
		seen[(seq.token - 7) / 3001] = true;
	}
	unsigned n_seen = 0;
	for (int i = 0; i < 40; i++)
		n_seen += seen[i];
	assert_true(n_seen > 35);
	p = plain;
	for (uint64_t pos = 0; pos < 20; pos++) {
		p.temperature = 1 + (float)pos;
		p.top_p = pos % 2 ? 0.9f : 1;
		sampler_set_level(s, 0);
		sampler_draw(s, logits, pos, &seq);
		int32_t token = seq.token;
		float logprob = seq.logprob;
		for (unsigned level = 1; level < 3 && sampler_set_level(s, level); level++) {
			sampler_draw(s, logits, pos, &seq);
			assert_int_equal(seq.token, token);
			assert_true(seq.logprob == logprob);
		}
	}
	sampler_destroy(s);
	free(logits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_philox),
		cmocka_unit_test(test_create_limits),
		cmocka_unit_test(test_greedy),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_equal_logits_by_hand),
		cmocka_unit_test(test_seed_and_position),
		cmocka_unit_test(test_top_k),
		cmocka_unit_test(test_top_p),
		cmocka_unit_test(test_top_p_far_below),
		cmocka_unit_test(test_min_p),
		cmocka_unit_test(test_penalties),
		cmocka_unit_test(test_bias_and_mask),
		cmocka_unit_test(test_order_of_stages),
		cmocka_unit_test(test_logprob),
		cmocka_unit_test(test_against_reference),
		cmocka_unit_test(test_distribution),
		cmocka_unit_test(test_large),
	};
	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
