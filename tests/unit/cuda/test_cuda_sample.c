/*
 * The device's sampler against compute/sample.c: the same token and the same logprob for thousands of random
 * cases in which every stage, tie and special number occurs, under random schedules; several draws a launch,
 * a vocabulary that takes blocks of 1,024 threads, and clusters of eight.
 */
#include "device_memory.h"

#include "compute/sample.h"

enum { N_DRAWS = 4, MAX_HISTORY = 60, MAX_BIAS = 12, MAX_WORDS = 4096 };

/* One draw's sequence, with the memory behind it. */
struct test_draw {
	struct sampling sampling;
	struct compute_seq seq;
	struct hokku_logit_bias bias[MAX_BIAS];
	int32_t history[MAX_HISTORY];
	uint32_t *mask;
};

/* Random whole numbers of one series. */
struct dice {
	uint64_t series, i;
};

static uint32_t roll(struct dice *d, uint32_t n)
{
	uint32_t w[4];
	rng_words(d->series, RNG_STREAM_TEST, d->i++, w);
	return w[0] % n;
}

static float pick(struct dice *d, const float *from, uint32_t n)
{
	return from[roll(d, n)];
}
#define PICK(d, ...) \
	pick(d, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float))

static void random_draw(struct dice *d, struct test_draw *t, uint32_t n)
{
	uint64_t seed = (uint64_t)roll(d, UINT32_MAX) << 32 | roll(d, UINT32_MAX);
	const int32_t ks[] = {0, 0, 1, 2, 40, (int32_t)n - 1, (int32_t)n, INT32_MAX};
	t->sampling = (struct sampling){
		.temperature = PICK(d, 0, 0.1f, 0.7f, 1, 1, 3, 100),
		.top_k = ks[roll(d, 8)],
		.top_p = PICK(d, 1, 1, 0.95f, 0.5f, 0.1f, 1e-6f),
		.min_p = PICK(d, 0, 0, 0.05f, 0.5f, 1, 1e-13f),
		.repetition_penalty = PICK(d, 1, 1, 1.3f, 0.5f, 10),
		.frequency_penalty = PICK(d, 0, 0, 0.5f, -2),
		.presence_penalty = PICK(d, 0, 0, 2, -0.1f),
		.seed = seed,
		.bias = t->bias,
		.n_bias = roll(d, 3) ? 0 : roll(d, MAX_BIAS),
	};
	for (uint32_t i = 0; i < MAX_BIAS; i++) /* few tokens, so that entries fall on one */
		t->bias[i] = (struct hokku_logit_bias){(int32_t)roll(d, n < 5 ? n : 5),
						       PICK(d, 1, -1000, 1000, 0.3f, -7)};
	t->seq = (struct compute_seq){
		.n_tokens = 1 + roll(d, 3),
		.pos = roll(d, 1000),
		.sampling = &t->sampling,
		.history = t->history,
		.n_history = roll(d, MAX_HISTORY),
	};
	t->seq.n_prompt = roll(d, t->seq.n_history + 1);
	for (uint32_t i = 0; i < MAX_HISTORY; i++)
		t->history[i] = (int32_t)(roll(d, 4) ? roll(d, n < 9 ? n : 9) : roll(d, n));
	uint32_t n_words = (n + 31) / 32, density = roll(d, 3);
	t->mask = calloc(n_words, sizeof *t->mask);
	assert_non_null(t->mask);
	for (uint32_t i = 0; i < n; i++)
		if (roll(d, 4) <= density)
			t->mask[i / 32] |= 1u << (i % 32);
	t->seq.mask = roll(d, 4) ? NULL : t->mask;
}

static void random_logits(struct dice *d, float *logits, uint32_t n)
{
	float spread = PICK(d, 0.5f, 4, 30, 1000);
	bool ties = roll(d, 2), special = roll(d, 4) == 0, nothing = roll(d, 50) == 0;
	for (uint32_t i = 0; i < n; i++) {
		float v = noise(d->series, d->i++) * spread;
		v = ties ? roundf(v) : v;
		if (special && roll(d, 8) == 0)
			v = PICK(d, NAN, INFINITY, -INFINITY, -0.0f, 1e-42f);
		logits[i] = nothing ? -INFINITY : v;
	}
}

static uint32_t put(uint32_t *words, uint32_t *n, const void *from, uint32_t count)
{
	uint32_t at = *n;
	assert_true(at + count <= MAX_WORDS);
	memcpy(words + at, from, count * sizeof *words);
	*n += count;
	return at;
}

static struct cuda_draw device_form(const struct test_draw *t, uint32_t n_vocab, uint32_t row, uint32_t slot,
				    uint32_t *words, uint32_t *n_words)
{
	const struct sampling *p = &t->sampling;
	struct cuda_draw d = {
		.seed = p->seed,
		.pos = (uint64_t)t->seq.pos + t->seq.n_tokens,
		.temperature = p->temperature,
		.top_p = p->top_p,
		.min_p = p->min_p,
		.repetition_penalty = p->repetition_penalty,
		.frequency_penalty = p->frequency_penalty,
		.presence_penalty = p->presence_penalty,
		.top_k = p->top_k,
		.row = row,
		.slot = slot,
		.n_bias = p->n_bias,
		.n_history = t->seq.n_history,
		.n_told = t->seq.n_history,
		.n_prompt = t->seq.n_prompt,
		.mask = CUDA_NOTHING,
	};
	d.bias = put(words, n_words, p->bias, 2 * p->n_bias);
	d.history = put(words, n_words, t->history, d.n_history);
	if (t->seq.mask)
		d.mask = put(words, n_words, t->mask, (n_vocab + 31) / 32);
	return d;
}

/* N_DRAWS random draws of a vocabulary of n tokens in one launch. */
static void check_launch(uint64_t series, uint32_t n, bool teams, bool small)
{
	struct dice d = {.series = series};
	struct test_draw t[N_DRAWS];
	struct cuda_draw draws[N_DRAWS];
	uint32_t *words = calloc(MAX_WORDS, sizeof *words), n_words = 0, pitch = n + roll(&d, 3);
	float *logits = calloc((size_t)N_DRAWS * pitch, sizeof *logits);
	for (uint32_t i = 0; i < N_DRAWS; i++) {
		random_draw(&d, &t[i], n);
		random_logits(&d, logits + (size_t)(N_DRAWS - 1 - i) * pitch, n);
		draws[i] = device_form(&t[i], n, N_DRAWS - 1 - i, i, words, &n_words);
	}
	uint32_t *zeros = calloc((size_t)N_DRAWS * n, sizeof *zeros);
	struct sample_args a = {
		.logits = on_device(logits, (size_t)N_DRAWS * pitch * sizeof *logits),
		.draws = on_device(draws, sizeof draws),
		.words = on_device(words, MAX_WORDS * sizeof *words),
		.results = on_device(NULL, N_DRAWS * sizeof(struct cuda_drawn)),
		.x = on_device(NULL, (size_t)N_DRAWS * n * sizeof(float)),
		.counts = on_device(zeros, (size_t)N_DRAWS * n * sizeof *zeros),
		.n = N_DRAWS,
		.n_vocab = n,
		.pitch = pitch,
		.teams_from = teams,
		.small_teams = small,
	};
	set_schedule(series % 3 ? series : 0);
	assert_int_equal(cuda_sample(&a, test_stream()), cudaSuccess);
	finish();
	struct cuda_drawn *got = from_device(a.results, N_DRAWS * sizeof *got);
	uint32_t *counts = from_device(a.counts, (size_t)N_DRAWS * n * sizeof *counts);
	assert_memory_equal(counts, zeros, (size_t)N_DRAWS * n * sizeof *counts);
	struct sampler *s = sampler_create(n);
	for (uint32_t i = 0; i < N_DRAWS; i++) {
		sampler_draw(s, logits + (size_t)(N_DRAWS - 1 - i) * pitch, draws[i].pos, &t[i].seq);
		if (got[i].token != t[i].seq.token)
			fail_msg("case %llu of %u tokens, draw %u: token %d, wanted %d",
				 (unsigned long long)series, n, i, got[i].token, t[i].seq.token);
		assert_memory_equal(&got[i].logprob, &t[i].seq.logprob, sizeof(float));
		free(t[i].mask);
	}
	sampler_destroy(s);
	const void *const device[] = {a.logits, a.draws, a.words, a.results, a.x, a.counts};
	for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
		cudaFree((void *)(uintptr_t)device[i]);
	free(got);
	free(counts);
	free(zeros);
	free(logits);
	free(words);
}

static void small_vocabularies(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 2, 31, 32, 33, 127, 129, 300, 1000};
	for (uint64_t i = 0; i < 600; i++)
		check_launch(i + 1, sizes[i % (sizeof sizes / sizeof sizes[0])], false, false);
}

static void larger_vocabularies(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {4096, 4097, 12345};
	for (uint64_t i = 0; i < 9; i++)
		check_launch(10000 + i, sizes[i % 3], false, false);
}

/* Slices of 32 tokens that are empty, one token, whole; and so long that ties fill lists. */
static void by_clusters(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 31, 33, 255, 256, 257, 1000, 4096, 12345};
	for (uint64_t i = 0; i < 90; i++)
		check_launch(20000 + i, sizes[i % 9], true, i / 9 % 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_vocabularies),
		cmocka_unit_test(larger_vocabularies),
		cmocka_unit_test(by_clusters),
	};
	return cmocka_run_group_tests_name("cuda sampler", tests, NULL, NULL);
}
