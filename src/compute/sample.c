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
#include "compute/logprobs.h"
#include "compute/sampler.h"

enum { MAX_VOCAB = 1 << 23 }; /* so that a sum of grains fits 64 bits (weight.h) */

/* Several arrays behind one pointer; each starts on a cache line. */
static size_t array_bytes(uint32_t n_vocab)
{
	return ((size_t)n_vocab * 4 + 63) & ~(size_t)63;
}

enum { N_ARRAYS = 6 }; /* of n_vocab; and one of tops */

static size_t all_bytes(uint32_t n_vocab)
{
	return N_ARRAYS * array_bytes(n_vocab) + array_bytes(passes_n_tops(n_vocab));
}

struct sampler *sampler_create(uint32_t n_vocab)
{
	if (n_vocab == 0 || n_vocab > MAX_VOCAB)
		return NULL;
	struct sampler *s = calloc(1, sizeof *s);
	size_t step = array_bytes(n_vocab);
	char *block = s ? aligned_alloc(64, all_bytes(n_vocab)) : NULL;
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
	s->tops = (float *)(void *)(block + N_ARRAYS * step);
	s->n_tops = passes_n_tops(n_vocab);
	s->passes = passes_best();
	return s;
}

void sampler_destroy(struct sampler *s)
{
	if (s)
		free(s->x);
	free(s);
}

uint64_t sampler_need(uint32_t n_vocab)
{
	return sizeof(struct sampler) + all_bytes(n_vocab);
}

uint64_t sampler_bytes(const struct sampler *s)
{
	return sampler_need(s->n_vocab);
}

bool sampler_set_level(struct sampler *s, unsigned level)
{
	const struct passes *passes = passes_at(level);
	if (passes)
		s->passes = passes;
	return passes != NULL;
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

float sampler_top(const struct sampler *s)
{
	float largest = -INFINITY;
	for (uint32_t i = 0; i < s->n_tops; i++)
		largest = s->tops[i] > largest ? s->tops[i] : largest;
	return largest;
}

/* Runs the stages that change single logits; returns the largest afterwards. */
static float adjust(struct sampler *s, const struct compute_seq *seq, float largest)
{
	const struct sampling *p = seq->sampling;
	bool repetition = p->repetition_penalty != 1 && seq->n_history;
	bool frequency =
		(p->frequency_penalty != 0 || p->presence_penalty != 0) && seq->n_history > seq->n_prompt;
	if (!seq->mask && !p->n_bias && !repetition && !frequency)
		return largest;
	if (seq->mask)
		s->passes->mask(s->x, seq->mask, s->n_vocab);
	apply_bias(s, p);
	if (repetition)
		apply_repetition(s, seq, p->repetition_penalty);
	if (frequency)
		apply_frequency(s, seq, p);
	s->passes->tops(s->tops, s->x, s->n_vocab);
	return sampler_top(s);
}

/* The shortest prefix whose weight grains (or, without weights, whose number) reach target; 1 <= target <=
 * the sum. */
struct cut sampler_find_cut(struct sampler *s, const float *logits, const float *weights, uint32_t n,
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
	return (struct cut){key, (target + each - 1) / each, target};
}

/* Of the n candidates those that cut takes. */
uint32_t sampler_keep_cut(struct sampler *s, uint32_t n, struct cut cut)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = logit_key(s->logits[i]);
		if (key < cut.key || (key == cut.key && cut.n_ties == 0))
			continue;
		cut.n_ties -= key == cut.key;
		s->ids[kept] = s->ids[i];
		s->weights[kept] = s->weights[i];
		s->logits[kept++] = s->logits[i];
	}
	return kept;
}

/* Tokens with a logit of at least `least` become candidates; what lies in blocks that have none is not looked
 * at. Weights are taken along from their places in the vocabulary. */
uint32_t sampler_gather(struct sampler *s, float least, bool weights)
{
	uint32_t kept = 0;
	for (uint32_t b = 0; b < s->n_tops; b++) {
		if (s->tops[b] < least)
			continue;
		uint32_t begin = b * PASSES_BLOCK, left = s->n_vocab - begin;
		for (uint32_t i = begin; i < begin + (left < PASSES_BLOCK ? left : PASSES_BLOCK); i++) {
			s->ids[kept] = (int32_t)i;
			s->logits[kept] = s->x[i];
			if (weights)
				s->weights[kept] = s->weights[i];
			kept += s->x[i] >= least; /* no branch: it would be guessed wrong */
		}
	}
	return kept;
}

static float logit_of_key(uint32_t key)
{
	return f32_from_bits(key & 0x80000000u ? key & 0x7FFFFFFF : ~key);
}

/* The first k tokens, fewer than there are, become candidates with their weights. That many blocks have each
 * a token that is not below the k-th largest of their largest: so no token below that is one of the first. */
uint32_t sampler_top_k(struct sampler *s, uint32_t k, float largest, float temperature)
{
	float least = -INFINITY;
	if (k <= s->n_tops)
		least = logit_of_key(sampler_find_cut(s, s->tops, NULL, s->n_tops, k).key);
	uint32_t n = sampler_gather(s, least, false);
	n = sampler_keep_cut(s, n, sampler_find_cut(s, s->logits, NULL, n, k));
	s->passes->weigh(s->weights, s->logits, largest, temperature, n);
	return n;
}

uint64_t sampler_target(float top_p, uint64_t sum)
{
	uint64_t target = (uint64_t)ceil((double)top_p * (double)sum);
	return target < 1 ? 1 : target > sum ? sum : target;
}

uint32_t sampler_top_p(struct sampler *s, uint32_t n, float top_p)
{
	uint64_t target = sampler_target(top_p, s->passes->sum(s->weights, n));
	return sampler_keep_cut(s, n, sampler_find_cut(s, s->logits, s->weights, n, target));
}

/* The same of the whole vocabulary, whose weights are there: where those of logits a little below the largest
 * reach the target, the others need not be looked at. */
static uint32_t take_top_p_of_all(struct sampler *s, float top_p, float largest, float temperature)
{
	uint32_t n = s->n_vocab;
	uint64_t target = sampler_target(top_p, s->passes->sum(s->weights, n));
	float least = -INFINITY;
	for (float depth = 4; depth < -WEIGHT_EXP_MIN && !(least > -INFINITY); depth *= 2) {
		float from = largest - depth * temperature;
		if (s->passes->sum_from(s->weights, s->x, from, n) >= target)
			least = from;
	}
	n = sampler_gather(s, least, true);
	return sampler_keep_cut(s, n, sampler_find_cut(s, s->logits, s->weights, n, target));
}

/* The likeliest candidate's weight is exactly 1, so min_p itself is the limit. */
uint32_t sampler_min_p(struct sampler *s, uint32_t n, float min_p)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		s->ids[kept] = s->ids[i];
		s->logits[kept] = s->logits[i];
		s->weights[kept] = s->weights[i];
		kept += !(s->weights[i] < min_p);
	}
	return kept;
}

static float chance(uint64_t grains, uint64_t sum)
{
	return (float)((double)grains / (double)sum);
}

/* Of n candidates with this sum of grains, of which the one at `drawn` was. */
static void tell_chances(const struct sampler *s, const int32_t *ids, uint32_t n, uint64_t sum,
			 uint32_t drawn)
{
	struct token_logprobs *out = s->chances;
	uint64_t grains[LOGPROBS_MAX_TOP];
	uint32_t most = s->n_chances < LOGPROBS_MAX_TOP ? s->n_chances : LOGPROBS_MAX_TOP;
	out->logprob = chance(weight_grains(s->weights[drawn]), sum);
	out->n_top = 0;
	for (uint32_t i = 0; i < n && most; i++) {
		uint64_t own = weight_grains(s->weights[i]);
		if (!own || (out->n_top == most && own <= grains[most - 1]))
			continue;
		uint32_t at = out->n_top < most ? out->n_top++ : most - 1;
		for (; at > 0 && grains[at - 1] < own; at--) { /* of equal ones the smaller id stays first */
			grains[at] = grains[at - 1];
			out->top[at] = out->top[at - 1];
		}
		grains[at] = own;
		out->top[at] = (struct token_logprob){ids ? ids[i] : (int32_t)i, chance(own, sum)};
	}
}

/* A greedy draw: no other can come. */
static void tell_only(const struct sampler *s, int32_t token)
{
	*s->chances = (struct token_logprobs){.logprob = 1, .n_top = s->n_chances > 0, .top = {{token, 1}}};
}

uint32_t sampler_pick(const struct sampler *s, const int32_t *ids, uint32_t n, uint64_t seed, uint64_t pos)
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
	if (s->chances)
		tell_chances(s, ids, n, sum, i);
	return i;
}

/* The first token with the largest logit. */
int32_t sampler_first_of(const struct sampler *s, float largest)
{
	uint32_t b = 0;
	while (s->tops[b] != largest)
		b++;
	uint32_t i = b * PASSES_BLOCK;
	while (s->x[i] != largest)
		i++;
	if (s->chances)
		tell_only(s, (int32_t)i);
	return (int32_t)i;
}

static int32_t draw_token(struct sampler *s, const struct sampling *p, float largest, uint64_t pos)
{
	uint32_t n = s->n_vocab;
	float temperature = p->temperature;
	bool by_rank = p->top_k > 0 && (uint32_t)p->top_k < n;
	if (by_rank)
		n = sampler_top_k(s, (uint32_t)p->top_k, largest, temperature);
	else
		s->passes->weigh(s->weights, s->x, largest, temperature, n);
	if (p->top_p < 1)
		n = by_rank ? sampler_top_p(s, n, p->top_p)
			    : take_top_p_of_all(s, p->top_p, largest, temperature);
	else if (!by_rank && !(p->min_p > 0)) /* all are candidates, each in the place of its id */
		return (int32_t)sampler_pick(s, NULL, n, p->seed, pos);
	else if (!by_rank) /* a little more than min_p lets stay, which is the next to look */
		n = sampler_gather(s, largest + (logf(p->min_p) - 0.01f) * temperature, true);
	if (p->min_p > 0)
		n = sampler_min_p(s, n, p->min_p);
	return s->ids[sampler_pick(s, s->ids, n, p->seed, pos)];
}

void sampler_draw(struct sampler *s, const float *logits, uint64_t pos, struct compute_seq *seq)
{
	seq->token = -1;
	seq->logprob = -INFINITY;
	s->chances = seq->chances;
	s->n_chances = seq->n_chances;
	s->passes->load(s->x, s->tops, logits, s->n_vocab);
	float model_largest = sampler_top(s);
	if (!(model_largest > -INFINITY))
		return;
	uint64_t model_sum = s->passes->sum_exp(s->x, model_largest, s->n_vocab);
	float largest = adjust(s, seq, model_largest);
	if (!(largest > -INFINITY))
		return;
	if (seq->sampling->temperature == 0)
		seq->token = sampler_first_of(s, largest);
	else if (sampling_is_plain(seq->sampling))
		seq->token = draw_token(s, seq->sampling, largest, pos);
	else
		seq->token = stages_draw(s, seq, largest, pos);
	seq->logprob = weight_logprob(logit_clean(logits[seq->token]), model_largest, model_sum);
}
