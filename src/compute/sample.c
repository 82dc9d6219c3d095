/*
 * The sampler. Every stage is written so that another device can give the same token bit for bit
 * (docs/sampling.md): single operations of IEEE float32, an exponential of fixed operations, and sums of
 * integers, which come out the same in any order. Nothing is sorted: a cut ("the first k", "the first that
 * hold p") is found by histograms of the logits' bits, and tokens stay in the order of their ids throughout.
 */
#include "compute/sample.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "compute/weight.h"

enum { MAX_VOCAB = 1 << 23 }; /* so that a sum of grains fits 64 bits (weight.h) */

/* The three digits of a 32-bit key that a cut is searched by, highest first. */
enum { N_DIGITS = 3, DIGIT_BITS = 11, N_BUCKETS = 1 << DIGIT_BITS };

/* The three passes over the whole vocabulary, compiled for several instruction sets; the bits are the same.
 */
struct passes {
	float (*load)(float *x, const float *logits, uint32_t n);
	void (*weigh)(float *w, const float *x, float largest, float temperature, uint32_t n);
	uint64_t (*sum)(const float *w, uint32_t n);
};

struct sampler {
	uint32_t n_vocab;
	const struct passes *passes;
	float *x;         /* (n_vocab) logits as the stages leave them */
	uint32_t *counts; /* (n_vocab) all zero between draws */
	/* Candidates, ascending ids. */
	int32_t *ids;     /* (n_vocab) */
	float *logits;    /* (n_vocab) */
	float *weights;   /* (n_vocab) exp((logit - largest) / temperature) */
	uint32_t *inside; /* (n_vocab) candidates of one bucket */
	uint64_t buckets[N_BUCKETS];
};

/* Several arrays behind one pointer; each starts on a cache line. */
static size_t array_bytes(uint32_t n_vocab)
{
	return ((size_t)n_vocab * 4 + 63) & ~(size_t)63;
}

enum { N_ARRAYS = 6 };

struct sampler *sampler_create(uint32_t n_vocab)
{
	if (n_vocab == 0 || n_vocab > MAX_VOCAB)
		return NULL;
	struct sampler *s = calloc(1, sizeof *s);
	size_t step = array_bytes(n_vocab);
	char *block = s ? aligned_alloc(64, N_ARRAYS * step) : NULL;
	if (!block) {
		free(s);
		return NULL;
	}
	memset(block + step, 0, step); /* counts; the others are written before they are read */
	s->n_vocab = n_vocab;
	s->x = (float *)(void *)block;
	s->counts = (uint32_t *)(void *)(block + step);
	s->ids = (int32_t *)(void *)(block + 2 * step);
	s->logits = (float *)(void *)(block + 3 * step);
	s->weights = (float *)(void *)(block + 4 * step);
	s->inside = (uint32_t *)(void *)(block + 5 * step);
	for (unsigned level = 0; level < 3; level++)
		sampler_set_level(s, level); /* the highest that the CPU has stays */
	return s;
}

void sampler_destroy(struct sampler *s)
{
	if (s)
		free(s->x);
	free(s);
}

uint64_t sampler_bytes(const struct sampler *s)
{
	return sizeof *s + N_ARRAYS * array_bytes(s->n_vocab);
}

enum { LANES = 16 };

/* x = clean logits; returns the largest. */
static inline __attribute__((always_inline)) float load_body(float *restrict x, const float *restrict logits,
							     uint32_t n)
{
	float top[LANES], largest = -INFINITY;
	for (int j = 0; j < LANES; j++)
		top[j] = -INFINITY;
	uint32_t i = 0;
	for (; i + LANES <= n; i += LANES) {
		for (uint32_t j = 0; j < LANES; j++) {
			float v = logit_clean(logits[i + j]);
			x[i + j] = v;
			top[j] = v > top[j] ? v : top[j];
		}
	}
	for (; i < n; i++) {
		x[i] = logit_clean(logits[i]);
		largest = x[i] > largest ? x[i] : largest;
	}
	for (int j = 0; j < LANES; j++)
		largest = top[j] > largest ? top[j] : largest;
	return largest;
}

/* w = exp((x - largest) / temperature). */
static inline __attribute__((always_inline)) void weigh_body(float *restrict w, const float *restrict x,
							     float largest, float temperature, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		float d = (x[i] - largest) / temperature;
		float e = weight_exp(d < WEIGHT_EXP_MIN ? WEIGHT_EXP_MIN : d);
		w[i] = d < WEIGHT_EXP_MIN ? 0 : e;
	}
}

/* The sum of the weights' grains. Halves of 20 bits are added apart, in 32 bits, so that it vectorises
 * everywhere. */
static inline __attribute__((always_inline)) uint64_t sum_body(const float *restrict w, uint32_t n)
{
	enum { BLOCK = 1024 }; /* 1024 x 2^20 fits 32 bits */
	uint64_t sum = 0;
	for (uint32_t begin = 0; begin < n; begin += BLOCK) {
		uint32_t end = n - begin < BLOCK ? n : begin + BLOCK, high = 0, low = 0;
		for (uint32_t i = begin; i < end; i++) {
			float scaled = w[i] * 0x1p20f;
			int32_t h = (int32_t)scaled;
			high += (uint32_t)h;
			low += (uint32_t)(int32_t)((scaled - (float)h) * 0x1p20f);
		}
		sum += ((uint64_t)high << 20) + low;
	}
	return sum;
}

#define PASSES(name, attributes)                                                                    \
	attributes static float load_##name(float *x, const float *logits, uint32_t n)              \
	{                                                                                           \
		return load_body(x, logits, n);                                                     \
	}                                                                                           \
	attributes static void weigh_##name(float *w, const float *x, float top, float temperature, \
					    uint32_t n)                                             \
	{                                                                                           \
		weigh_body(w, x, top, temperature, n);                                              \
	}                                                                                           \
	attributes static uint64_t sum_##name(const float *w, uint32_t n)                           \
	{                                                                                           \
		return sum_body(w, n);                                                              \
	}

PASSES(portable, )
#ifdef __x86_64__
PASSES(avx2, __attribute__((target("avx2"))))
#ifdef __clang__
PASSES(avx512, __attribute__((target("avx512f"))))
#else
PASSES(avx512, __attribute__((target("avx512f,prefer-vector-width=512"))))
#endif
#endif

static const struct passes passes[] = {
	{load_portable, weigh_portable, sum_portable},
#ifdef __x86_64__
	{load_avx2, weigh_avx2, sum_avx2},
	{load_avx512, weigh_avx512, sum_avx512},
#endif
};

bool sampler_set_level(struct sampler *s, unsigned level)
{
	bool can = level == 0;
#ifdef __x86_64__
	can |= level == 1 && __builtin_cpu_supports("avx2");
	can |= level == 2 && __builtin_cpu_supports("avx512f");
#endif
	if (can)
		s->passes = &passes[level];
	return can;
}

static void apply_mask(float *x, const uint32_t *mask, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!(mask[i / 32] >> (i % 32) & 1))
			x[i] = -INFINITY;
}

static void apply_bias(struct sampler *s, const struct sampling *p)
{
	for (uint32_t i = 0; i < p->n_bias; i++) {
		uint32_t id = (uint32_t)p->bias[i].token;
		if (id < s->n_vocab)
			s->x[id] = logit_clean(s->x[id] + p->bias[i].bias);
	}
}

/* Divides what speaks for a token of the history, multiplies what speaks against it (Keskar and others:
 * "CTRL", 2019, with the sign rule of transformers), once however often the token occurs. */
static void apply_repetition(struct sampler *s, const struct compute_seq *seq, float penalty)
{
	for (uint32_t i = 0; i < seq->n_history; i++) {
		uint32_t id = (uint32_t)seq->history[i];
		if (id >= s->n_vocab || s->counts[id]++)
			continue;
		float v = s->x[id];
		s->x[id] = logit_clean(v > 0 ? v / penalty : v * penalty);
	}
	for (uint32_t i = 0; i < seq->n_history; i++)
		if ((uint32_t)seq->history[i] < s->n_vocab)
			s->counts[seq->history[i]] = 0;
}

/* OpenAI's rule: count x frequency, and presence once, over the answer alone. */
static void apply_frequency(struct sampler *s, const struct compute_seq *seq, const struct sampling *p)
{
	for (uint32_t i = seq->n_prompt; i < seq->n_history; i++)
		if ((uint32_t)seq->history[i] < s->n_vocab)
			s->counts[seq->history[i]]++;
	for (uint32_t i = seq->n_prompt; i < seq->n_history; i++) {
		uint32_t id = (uint32_t)seq->history[i];
		if (id >= s->n_vocab || s->counts[id] == 0)
			continue;
		float v = s->x[id] - (float)s->counts[id] * p->frequency_penalty;
		s->x[id] = logit_clean(v - p->presence_penalty);
		s->counts[id] = 0;
	}
}

static float largest_of(const float *x, uint32_t n)
{
	float largest = -INFINITY;
	for (uint32_t i = 0; i < n; i++)
		largest = x[i] > largest ? x[i] : largest;
	return largest;
}

/* Runs the stages that change single logits; returns the largest afterwards. */
static float adjust(struct sampler *s, const struct compute_seq *seq, float largest)
{
	const struct sampling *p = seq->sampling;
	bool changed = false;
	if (seq->mask) {
		apply_mask(s->x, seq->mask, s->n_vocab);
		changed = true;
	}
	if (p->n_bias) {
		apply_bias(s, p);
		changed = true;
	}
	if (p->repetition_penalty != 1 && seq->n_history) {
		apply_repetition(s, seq, p->repetition_penalty);
		changed = true;
	}
	if ((p->frequency_penalty != 0 || p->presence_penalty != 0) && seq->n_history > seq->n_prompt) {
		apply_frequency(s, seq, p);
		changed = true;
	}
	return changed ? largest_of(s->x, s->n_vocab) : largest;
}

/* A prefix of the candidates ordered by (logit descending, id ascending): all with a larger key, and the
 * first n_ties of those with this key. */
struct cut {
	uint32_t key;
	uint64_t n_ties;
};

/* The shortest prefix whose weight grains (or, without weights, whose number) reach target; 1 <= target <=
 * the sum. */
static struct cut find_cut(struct sampler *s, const float *logits, const float *weights, uint32_t n,
			   uint64_t target)
{
	static const unsigned shifts[N_DIGITS] = {21, 10, 0};
	uint32_t key = 0, n_inside = n, n_buckets = N_BUCKETS;
	for (unsigned digit = 0; digit < N_DIGITS; digit++) {
		n_buckets = digit == N_DIGITS - 1 ? 1u << (32 - 2 * DIGIT_BITS) : N_BUCKETS;
		memset(s->buckets, 0, n_buckets * sizeof *s->buckets);
		for (uint32_t j = 0; j < n_inside; j++) {
			uint32_t i = digit ? s->inside[j] : j;
			uint64_t grains = weights ? weight_grains(weights[i]) : 1;
			s->buckets[logit_key(logits[i]) >> shifts[digit] & (n_buckets - 1)] += grains;
		}
		uint32_t bucket = n_buckets - 1;
		while (bucket > 0 && s->buckets[bucket] < target)
			target -= s->buckets[bucket--];
		key |= bucket << shifts[digit];
		uint32_t kept = 0;
		for (uint32_t j = 0; j < n_inside; j++) {
			uint32_t i = digit ? s->inside[j] : j;
			if (logit_key(logits[i]) >> shifts[digit] == key >> shifts[digit])
				s->inside[kept++] = i;
		}
		n_inside = kept;
	}
	uint64_t each = weights && n_inside ? weight_grains(weights[s->inside[0]]) : 1;
	return (struct cut){key, (target + each - 1) / each};
}

/* Keeps the candidates that cut takes: of the n tokens of the vocabulary (ids NULL), or of the candidates
 * themselves. */
static uint32_t keep_cut(struct sampler *s, const float *logits, const int32_t *ids, uint32_t n,
			 struct cut cut)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = logit_key(logits[i]);
		if (key < cut.key || (key == cut.key && cut.n_ties == 0))
			continue;
		cut.n_ties -= key == cut.key;
		s->ids[kept] = ids ? ids[i] : (int32_t)i;
		s->weights[kept] = s->weights[i];
		s->logits[kept++] = logits[i];
	}
	return kept;
}

/* The first k tokens of the vocabulary, or all of it, become candidates with their weights. */
static uint32_t take_top_k(struct sampler *s, int32_t top_k, float largest, float temperature)
{
	uint32_t n = s->n_vocab, kept = 0;
	if (top_k > 0 && (uint32_t)top_k < n) {
		n = keep_cut(s, s->x, NULL, n, find_cut(s, s->x, NULL, n, (uint64_t)top_k));
		s->passes->weigh(s->weights, s->logits, largest, temperature, n);
		return n;
	}
	s->passes->weigh(s->weights, s->x, largest, temperature, n);
	for (uint32_t i = 0; i < n;
	     i++) { /* without the many that weigh nothing; no branch: it would be guessed wrong */
		s->ids[kept] = (int32_t)i;
		s->logits[kept] = s->x[i];
		s->weights[kept] = s->weights[i];
		kept += s->weights[i] >= 0x1p-40f;
	}
	return kept;
}

static uint32_t take_top_p(struct sampler *s, uint32_t n, float top_p)
{
	if (!(top_p < 1))
		return n;
	uint64_t sum = s->passes->sum(s->weights, n);
	uint64_t target = (uint64_t)ceil((double)top_p * (double)sum);
	target = target < 1 ? 1 : target > sum ? sum : target;
	return keep_cut(s, s->logits, s->ids, n, find_cut(s, s->logits, s->weights, n, target));
}

/* The likeliest candidate's weight is exactly 1, so min_p itself is the limit. */
static uint32_t take_min_p(struct sampler *s, uint32_t n, float min_p)
{
	uint32_t kept = 0;
	if (!(min_p > 0))
		return n;
	for (uint32_t i = 0; i < n; i++) {
		if (s->weights[i] < min_p)
			continue;
		s->ids[kept] = s->ids[i];
		s->weights[kept++] = s->weights[i];
	}
	return kept;
}

/* The candidate in whose grains, counted in the order of ids, a random point of their sum lies. */
static int32_t draw(const struct sampler *s, uint32_t n, uint64_t seed, uint64_t pos)
{
	enum { BLOCK = 1024 };
	uint32_t words[4], i = 0;
	uint64_t sum = s->passes->sum(s->weights, n), grains;
	rng_words(seed, RNG_STREAM_SAMPLER, pos, words);
	uint64_t random = (uint64_t)words[0] << 32 | words[1];
	uint64_t point = (uint64_t)((unsigned __int128)random * sum >> 64); /* 0 .. sum - 1 */
	for (; n - i > BLOCK && point >= (grains = s->passes->sum(s->weights + i, BLOCK)); i += BLOCK)
		point -= grains;
	for (; i < n - 1 && point >= (grains = weight_grains(s->weights[i])); i++)
		point -= grains;
	return s->ids[i];
}

void sampler_draw(struct sampler *s, const float *logits, uint64_t pos, struct compute_seq *seq)
{
	const struct sampling *p = seq->sampling;
	seq->token = -1;
	seq->logprob = -INFINITY;
	float model_largest = s->passes->load(s->x, logits, s->n_vocab);
	if (!(model_largest > -INFINITY))
		return;
	s->passes->weigh(s->weights, s->x, model_largest, 1, s->n_vocab);
	uint64_t model_sum = s->passes->sum(s->weights, s->n_vocab);
	float largest = adjust(s, seq, model_largest);
	if (!(largest > -INFINITY))
		return;
	if (p->temperature == 0) {
		uint32_t i = 0;
		while (s->x[i] != largest)
			i++;
		seq->token = (int32_t)i;
	} else {
		uint32_t n = take_top_k(s, p->top_k, largest, p->temperature);
		n = take_top_p(s, n, p->top_p);
		n = take_min_p(s, n, p->min_p);
		seq->token = draw(s, n, p->seed, pos);
	}
	seq->logprob = weight_logprob(logit_clean(logits[seq->token]), model_largest, model_sum);
}
