/*
 * Top-n-sigma, dynamic temperature, typical-p, XTC and mirostat: cases by hand, and the papers' definitions
 * in plain double precision with a sort and libm's logarithms, draw for draw. All seeds are fixed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "compute/exact_math.h"
#include "compute/logprobs.h"
#include "compute/sample.h"
#include "small.h"

enum { MAX_N = 300 };

static const struct sampling plain = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};

/* ---- the definitions ---- */

struct candidate {
	uint32_t id;
	double x, p, score;
};

static int by_likelihood(const void *a, const void *b)
{
	const struct candidate *l = a, *r = b;
	return l->x != r->x ? (l->x < r->x ? 1 : -1) : (l->id > r->id) - (l->id < r->id);
}

static int by_score(const void *a, const void *b)
{
	const struct candidate *l = a, *r = b;
	return l->score != r->score ? (l->score > r->score ? 1 : -1) : (l->id > r->id) - (l->id < r->id);
}

static int by_id(const void *a, const void *b)
{
	const struct candidate *l = a, *r = b;
	return (l->id > r->id) - (l->id < r->id);
}

static void normalise(struct candidate *c, uint32_t n)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += c[i].p;
	for (uint32_t i = 0; i < n; i++)
		c[i].p /= sum;
}

static void softmax(struct candidate *c, uint32_t n, double temperature)
{
	double largest = -DBL_MAX;
	for (uint32_t i = 0; i < n; i++)
		largest = c[i].x > largest ? c[i].x : largest;
	for (uint32_t i = 0; i < n; i++)
		c[i].p = exp((c[i].x - largest) / temperature);
	normalise(c, n);
}

static double entropy(const struct candidate *c, uint32_t n)
{
	double h = 0;
	for (uint32_t i = 0; i < n; i++)
		h -= c[i].p > 0 ? c[i].p * log(c[i].p) : 0;
	return h;
}

/* The shortest beginning that holds the part p. */
static uint32_t hold(const struct candidate *c, uint32_t n, double p)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		if ((sum += c[i].p) >= p)
			return i + 1;
	return n;
}

static uint32_t define_mirostat(struct candidate *c, uint32_t n, uint32_t n_vocab, const struct sampling *p,
				double mu)
{
	qsort(c, n, sizeof *c, by_likelihood);
	if (p->mirostat == 2) {
		uint32_t kept = 0;
		while (kept < n && -log2(c[kept].p) <= mu)
			kept++;
		return kept ? kept : 1;
	}
	double products = 0, squares = 0;
	for (uint32_t i = 0; i + 1 < n && i + 1 < 100; i++) {
		double t = log((double)(i + 2) / (double)(i + 1)), b = log(c[i].p / c[i + 1].p);
		products += t * b;
		squares += t * t;
	}
	double s = products / squares, e = s - 1;
	double k = pow(e * pow(2, mu) / (1 - pow(n_vocab, -e)), 1 / s);
	return k >= n ? n : k < 1 ? 1 : (uint32_t)k;
}

/* Who is left, ascending ids, and with which probabilities. Returns how many. */
static uint32_t define(const float *logits, uint32_t n_vocab, const struct sampling *p, uint64_t pos,
		       double mu, struct candidate *c)
{
	uint32_t n = 0, words[4];
	double largest = -DBL_MAX, mean = 0, squares = 0, temperature = (double)p->temperature;
	for (uint32_t i = 0; i < n_vocab; i++)
		if (logits[i] > -INFINITY)
			c[n++] = (struct candidate){.id = i, .x = (double)logits[i]};
	if (!p->mirostat && p->top_n_sigma > 0) {
		uint32_t kept = 0;
		for (uint32_t i = 0; i < n; i++) {
			largest = c[i].x > largest ? c[i].x : largest;
			mean += c[i].x / n;
		}
		for (uint32_t i = 0; i < n; i++)
			squares += (c[i].x - mean) * (c[i].x - mean) / n;
		for (uint32_t i = 0; i < n; i++)
			if (c[i].x >= largest - (double)p->top_n_sigma * sqrt(squares))
				c[kept++] = c[i];
		n = kept;
	}
	if (!p->mirostat && p->dynatemp_range > 0 && n > 1) {
		softmax(c, n, 1);
		double low = fmax(0, temperature - (double)p->dynatemp_range);
		double high = temperature + (double)p->dynatemp_range;
		temperature = low + (high - low) * pow(entropy(c, n) / log(n), (double)p->dynatemp_exponent);
	}
	softmax(c, n, temperature);
	if (p->mirostat) {
		n = define_mirostat(c, n, n_vocab, p, mu);
		goto done;
	}
	qsort(c, n, sizeof *c, by_likelihood);
	n = p->top_k && (uint32_t)p->top_k < n ? (uint32_t)p->top_k : n;
	normalise(c, n);
	if (p->typical_p > 0 && p->typical_p < 1) {
		double h = entropy(c, n);
		for (uint32_t i = 0; i < n; i++)
			c[i].score = fabs(-log(c[i].p) - h);
		qsort(c, n, sizeof *c, by_score);
		n = hold(c, n, (double)p->typical_p);
		qsort(c, n, sizeof *c, by_likelihood);
		normalise(c, n);
	}
	if (p->top_p < 1)
		n = hold(c, n, (double)p->top_p);
	while (n > 1 && c[n - 1].p < (double)p->min_p * c[0].p)
		n--;
	normalise(c, n);
	rng_words(p->seed, RNG_STREAM_SAMPLER, pos, words);
	if (p->xtc_probability > 0 && words[2] < (double)p->xtc_probability * 4294967296.0) {
		uint32_t likely = 0;
		while (likely < n && c[likely].p >= (double)p->xtc_threshold)
			likely++;
		if (likely > 1) {
			n -= likely - 1;
			memmove(c, c + likely - 1, n * sizeof *c);
		}
	}
done:
	normalise(c, n);
	qsort(c, n, sizeof *c, by_id);
	return n;
}

/* The one in whose probability, walked in the order of ids, the random point lies. */
static uint32_t define_draw(const struct candidate *c, uint32_t n, const struct sampling *p, uint64_t pos)
{
	uint32_t words[4], i = 0;
	rng_words(p->seed, RNG_STREAM_SAMPLER, pos, words);
	double point = ((double)words[0] + (double)words[1] * 0x1p-32) * 0x1p-32, sum = c[0].p;
	while (i + 1 < n && sum <= point)
		sum += c[++i].p;
	return i;
}

/* ---- draw for draw ---- */

static float drawn_below(uint64_t seed, uint64_t *at, float n)
{
	uint32_t words[4];
	rng_words(seed, 9, (*at)++, words);
	return (float)words[0] * 0x1p-32f * n;
}

static void make_logits(float *logits, uint32_t n, uint64_t seed)
{
	uint64_t at = 0;
	float width = 1 + drawn_below(seed, &at, 3);
	for (uint32_t i = 0; i < n; i++) {
		float sum = 0; /* about normal */
		for (int k = 0; k < 6; k++)
			sum += drawn_below(seed, &at, 1) - 0.5f;
		logits[i] = drawn_below(seed, &at, 12) < 1 ? -INFINITY : width * sum;
	}
	logits[0] = 1;
	logits[1] = 1.5f;
}

/* What one stage, or several, are asked for. */
static struct sampling make_sampling(uint64_t seed)
{
	uint64_t at = 1000000;
	struct sampling p = plain;
	uint32_t which = (uint32_t)(seed % 8);
	p.seed = seed * 77;
	p.temperature = 0.3f + drawn_below(seed, &at, 1.5f);
	p.xtc_threshold = drawn_below(seed, &at, 0.2f);
	p.dynatemp_exponent = drawn_below(seed, &at, 3);
	p.mirostat_tau = 0.5f + drawn_below(seed, &at, 6);
	p.mirostat_eta = drawn_below(seed, &at, 0.5f);
	if (which == 0 || which == 5)
		p.typical_p = 0.1f + drawn_below(seed, &at, 0.89f);
	if (which == 1 || which == 5)
		p.top_n_sigma = 0.2f + drawn_below(seed, &at, 3);
	if (which == 2 || which >= 5)
		p.xtc_probability = which == 5 ? 0.5f : 1;
	if (which == 3 || which == 6)
		p.dynatemp_range = drawn_below(seed, &at, 1);
	if (which >= 5) {
		p.top_k = 1 + (int32_t)drawn_below(seed, &at, 40);
		p.top_p = 0.4f + drawn_below(seed, &at, 0.6f);
		p.min_p = drawn_below(seed, &at, 0.1f);
	}
	if (which == 4)
		p.mirostat = 1 + (int32_t)(seed / 8 % 2);
	return p;
}

/* Chances after all stages are the definition's. */
static void check_chances(const struct token_logprobs *told, struct candidate *c, uint32_t n, uint32_t at)
{
	assert_true(fabs((double)told->logprob - c[at].p) < 1e-5);
	qsort(c, n, sizeof *c, by_likelihood);
	assert_true(told->n_top <= n && told->n_top <= 5);
	for (uint32_t i = 0; i < told->n_top; i++) {
		assert_int_equal(told->top[i].token, c[i].id);
		assert_true(fabs((double)told->top[i].logprob - c[i].p) < 1e-5);
	}
	for (uint32_t i = told->n_top; i < n && i < 5; i++) /* too small to be drawn */
		assert_true(c[i].p < 1e-9);
}

static void test_draw_for_draw(void **state)
{
	(void)state;
	static float logits[MAX_N];
	static struct candidate c[MAX_N];
	const uint32_t sizes[] = {2, 3, 40, 99, 100, 101, MAX_N};
	uint32_t n_seeds = test_small() ? 40 : 160, n_off = 0, n_all = 0;
	for (uint64_t seed = 0; seed < n_seeds; seed++) {
		uint32_t n_vocab = sizes[seed % 7];
		struct sampling p = make_sampling(seed);
		double mu = 2 * (double)p.mirostat_tau, wanted_mu = mu;
		struct sampler *s = sampler_create(n_vocab);
		struct token_logprobs told;
		struct compute_seq seq = {
			.sampling = &p, .mirostat_mu = &mu, .chances = &told, .n_chances = 5};
		assert_false(sampling_is_plain(&p));
		for (uint64_t pos = 0; pos < 40; pos++) {
			make_logits(logits, n_vocab, seed * 1000 + pos / 8);
			uint32_t n = define(logits, n_vocab, &p, pos, mu, c);
			uint32_t at = define_draw(c, n, &p, pos);
			wanted_mu = mu - (double)p.mirostat_eta * (-log2(c[at].p) - (double)p.mirostat_tau);
			sampler_set_level(s, (unsigned)pos % 3);
			sampler_draw(s, logits, pos, &seq);
			n_all++;
			n_off += seq.token != (int32_t)c[at].id;
			if (seq.token != (int32_t)c[at].id) {
				wanted_mu = mu;
				print_message("seed %llu pos %llu: %d, not %u\n", (unsigned long long)seed,
					      (unsigned long long)pos, seq.token, c[at].id);
			}
			if (p.mirostat)
				assert_true(fabs(mu - wanted_mu) < 1e-5 * (1 + fabs(mu)));
			check_chances(&told, c, n, at);
		}
		sampler_destroy(s);
	}
	/* A point on the boundary of two tokens may fall to either: none does with these seeds. */
	assert_int_equal(n_off, 0);
	assert_true(n_all >= 1600);
}

/* ---- by hand ---- */

/* Which tokens come up in 2,000 draws, as bits. */
static uint32_t support(const float *logits, uint32_t n, struct sampling p)
{
	struct sampler *s = sampler_create(n);
	struct compute_seq seq = {.sampling = &p};
	uint32_t seen = 0;
	for (uint64_t pos = 0; pos < 2000; pos++) {
		sampler_draw(s, logits, pos, &seq);
		assert_in_range(seq.token, 0, n - 1);
		seen |= 1u << seq.token;
	}
	sampler_destroy(s);
	return seen;
}

/* Probabilities 1/2, 1/4, 1/8, 1/8. */
static const float halves[] = {3 * 0.693147181f, 2 * 0.693147181f, 0.693147181f, 0.693147181f};

static void test_typical(void **state)
{
	(void)state;
	/* The entropy is 1.75 bits, the surprises 1, 2, 3 and 3: 0.75, 0.25, 1.25 and 1.25 off. */
	const struct {
		float p;
		uint32_t support;
	} rows[] = {{0.01f, 2}, {0.2f, 2}, {0.3f, 3}, {0.7f, 3}, {0.8f, 7}, {0.99f, 15}, {1, 15}, {0, 15}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sampling p = plain;
		p.typical_p = rows[i].p;
		assert_int_equal(support(halves, 4, p), rows[i].support);
	}
	/* The likeliest has gone: min-p counts from the likeliest that is left. */
	struct sampling p = plain;
	p.typical_p = 0.2f;
	p.min_p = 1;
	assert_int_equal(support(halves, 4, p), 2);
	p.temperature = 0; /* the likeliest all the same */
	assert_int_equal(support(halves, 4, p), 1);
	/* All alike: the smaller ids. */
	p = plain;
	p.typical_p = 0.5f;
	assert_int_equal(support((float[]){1, 1, 1, 1}, 4, p), 3);
	assert_int_equal(support((float[]){-INFINITY, 1, NAN, 1}, 4, p), 2);
}

static void test_top_n_sigma(void **state)
{
	(void)state;
	/* 0, 1, 2, 3: the deviation is 1.118. */
	const struct {
		float n;
		uint32_t support;
	} rows[] = {{0.5f, 8}, {0.89f, 8}, {0.9f, 12}, {1.7f, 12}, {1.8f, 14}, {3, 15}, {0, 15}, {-1, 15}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sampling p = plain;
		p.top_n_sigma = rows[i].n;
		assert_int_equal(support((float[]){0, 1, 2, 3}, 4, p), rows[i].support);
		/* Tokens that can never be drawn count for nothing. */
		assert_int_equal(support((float[]){0, 1, 2, 3, -INFINITY, NAN}, 6, p), rows[i].support);
	}
}

static void test_xtc(void **state)
{
	(void)state;
	struct sampling p = plain;
	p.xtc_probability = 1;
	const struct {
		float threshold;
		uint32_t support;
	} rows[] = {{0.6f, 15}, {0.49f, 15}, {0.26f, 15}, {0.24f, 14}, {0.13f, 14}, {0.12f, 8}, {0, 8}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		p.xtc_threshold = rows[i].threshold;
		assert_int_equal(support(halves, 4, p), rows[i].support);
	}
	/* A quarter of the time token 0 goes: it comes with 3/4 of its half. */
	p.xtc_probability = 0.25f;
	p.xtc_threshold = 0.24f;
	struct sampler *s = sampler_create(4);
	struct compute_seq seq = {.sampling = &p};
	uint32_t n_first = 0;
	for (uint64_t pos = 0; pos < 4000; pos++) {
		sampler_draw(s, halves, pos, &seq);
		n_first += seq.token == 0;
	}
	sampler_destroy(s);
	assert_in_range(n_first, 1500 - 95, 1500 + 95); /* three deviations */
}

static void test_dynamic_temperature(void **state)
{
	(void)state;
	struct sampling p = plain;
	p.dynatemp_range = 5;
	p.dynatemp_exponent = 1;
	/* All alike: as much entropy as there can be. Nothing below 6 is so even. */
	float two[] = {0, -10};
	assert_int_equal(support((float[]){1, 1}, 2, p), 3);
	/* None to speak of: near 0. */
	assert_int_equal(support(two, 2, p), 1);
	p.dynatemp_exponent = 0; /* always the highest, 6 */
	assert_int_equal(support(two, 2, p), 3);
	p.dynatemp_exponent = 100;
	assert_int_equal(support((float[]){0, -3}, 2, p), 1);
	/* One token alone, and a temperature of 0. */
	assert_int_equal(support((float[]){-INFINITY, 1}, 2, p), 2);
	p.temperature = 0;
	assert_int_equal(support((float[]){1, 1}, 2, p), 1);
}

static void test_mirostat(void **state)
{
	(void)state;
	struct sampling p = plain;
	struct sampler *s = sampler_create(4);
	double mu = 1;
	struct compute_seq seq = {.sampling = &p, .mirostat_mu = &mu};
	p.mirostat = 2;
	p.mirostat_tau = 0.5f;
	p.mirostat_eta = 0.5f;
	/* Of a surprise of one bit at most there is token 0 alone, which then is none. */
	sampler_draw(s, halves, 3, &seq);
	assert_true(seq.token == 0 && mu == 1.25);
	mu = -5; /* one at least: the likeliest */
	sampler_draw(s, halves, 3, &seq);
	assert_true(seq.token == 0 && mu == -4.75);
	/* With 2.5 bits there are two, 2/3 and 1/3. */
	for (uint64_t pos = 0; pos < 50; pos++) {
		mu = 2.5;
		sampler_draw(s, halves, pos, &seq);
		double surprise = seq.token == 0 ? log2(1.5) : log2(3);
		assert_in_range(seq.token, 0, 1);
		assert_true(fabs(mu - (2.5 - 0.5 * (surprise - 0.5))) < 1e-6);
	}
	/* Without a place for it each draw is the first: mu is 2 tau. */
	seq.mirostat_mu = NULL;
	p.mirostat_tau = 0.55f;
	assert_int_equal(support(halves, 4, p), 1);
	p.mirostat_tau = 1.1f;
	assert_int_equal(support(halves, 4, p), 3);
	/* A target of 0 bits ends with the likeliest alone, one that is far too high with all. */
	for (int version = 1; version <= 2; version++) {
		p.mirostat = version;
		p.mirostat_tau = 0;
		mu = 0;
		seq.mirostat_mu = &mu;
		for (uint64_t pos = 0; pos < 100; pos++) {
			sampler_draw(s, halves, pos, &seq);
			assert_int_equal(seq.token, 0);
		}
		p.mirostat_tau = 100;
		assert_int_equal(support(halves, 4, p), 15);
		assert_int_equal(support((float[]){1, 1, 1, 1}, 4, p), 15);
		assert_int_equal(support((float[]){-INFINITY, 1, -INFINITY, NAN}, 4, p), 2);
	}
	sampler_destroy(s);
}

/* ---- logarithms ---- */

static void test_exact_math(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 20000; i++) {
		uint32_t words[4];
		rng_words(i, 1, 1, words);
		double x = ldexp(1 + (double)words[0] * 0x1p-32 + (double)words[1] * 0x1p-64,
				 (int)(words[2] % 2000) - 1000);
		double wanted = log(x), got = exact_log(x);
		assert_true(fabs(got - wanted) <= 4e-16 * (fabs(wanted) + 0.25));
		double y = ((double)words[3] * 0x1p-32 - 0.5) * (i % 2 ? 1400 : 4);
		assert_true(fabs(exact_exp(y) - exp(y)) <= 8e-16 * exp(y));
	}
	assert_true(exact_log(1) == 0 && exact_exp(0) == 1);
	assert_true(exact_exp(-701) == 0 && exact_exp(701) == INFINITY && exact_exp(-INFINITY) == 0);
	/* To the bit, on every machine. */
	assert_true(exact_log(10) == 0x1.26bb1bbb55516p+1 && exact_exp(1) == 0x1.5bf0a8b14576ap+1);
	assert_true(exact_log(3e-5) == -0x1.4d420db4d09fap+3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_math),          cmocka_unit_test(test_typical),
		cmocka_unit_test(test_top_n_sigma),         cmocka_unit_test(test_xtc),
		cmocka_unit_test(test_dynamic_temperature), cmocka_unit_test(test_mirostat),
		cmocka_unit_test(test_draw_for_draw),
	};
	return cmocka_run_group_tests_name("stages", tests, NULL, NULL);
}
