/* The sampler's insides, shared by its parts: sample.c has the plain stages, stages.c the others. */
#ifndef COMPUTE_SAMPLER_H
#define COMPUTE_SAMPLER_H

#include "compute/passes.h"
#include "compute/sample.h"
#include "compute/weight.h"

/* The three digits of a 32-bit key that a cut is searched by, highest first. */
enum { N_DIGITS = 3, DIGIT_BITS = 11, N_BUCKETS = 1 << DIGIT_BITS };

struct sampler {
	uint32_t n_vocab, n_tops;
	const struct passes *passes;
	float *x;         /* (n_vocab) logits as the stages leave them */
	float *tops;      /* (n_tops) their largest, by blocks */
	uint32_t *counts; /* (n_vocab) all zero between draws */
	/* Candidates, ascending ids. */
	int32_t *ids;     /* (n_vocab) */
	float *logits;    /* (n_vocab) */
	float *weights;   /* (n_vocab) exp((logit - largest) / temperature) */
	uint32_t *inside; /* (n_vocab) candidates of one bucket */
	uint64_t buckets[N_BUCKETS];
	/* Of the draw at hand; NULL: they are not asked for. */
	struct token_logprobs *chances;
	uint32_t n_chances;
};

/* A prefix of the candidates ordered by (key descending, id ascending): all with a larger key, and the first
 * n_ties of those with this key, which all have the same weight; where they have not, the first of them whose
 * grains reach `left`. */
struct cut {
	uint32_t key;
	uint64_t n_ties, left;
};

/* The largest of s->x, whose tops are up to date. */
float sampler_top(const struct sampler *s);

/* The shortest prefix whose weight grains (or, without weights, whose number) reach target; 1 <= target <=
 * the sum. */
struct cut sampler_find_cut(struct sampler *s, const float *logits, const float *weights, uint32_t n,
			    uint64_t target);

/* Of the n candidates those that cut takes. */
uint32_t sampler_keep_cut(struct sampler *s, uint32_t n, struct cut cut);

/* Tokens with a logit of at least `least` become candidates; what lies in blocks that have none is not looked
 * at. Weights are taken along from their places in the vocabulary. */
uint32_t sampler_gather(struct sampler *s, float least, bool weights);

/* The first k tokens, fewer than there are, become candidates with their weights. */
uint32_t sampler_top_k(struct sampler *s, uint32_t k, float largest, float temperature);

/* Grains that hold the part p of sum. */
uint64_t sampler_target(float p, uint64_t sum);
uint32_t sampler_top_p(struct sampler *s, uint32_t n, float top_p);
uint32_t sampler_min_p(struct sampler *s, uint32_t n, float min_p);

/* The candidate in whose grains, counted in the order of ids, a random point of their sum lies: its place.
 * ids: theirs (s->ids), or NULL where each has its id's place. Chances are told where they are asked for. */
uint32_t sampler_pick(const struct sampler *s, const int32_t *ids, uint32_t n, uint64_t seed, uint64_t pos);

/* The first token with the largest logit. */
int32_t sampler_first_of(const struct sampler *s, float largest);

/* Draws with stages that draw_token of sample.c has not (sampling_is_plain): from s->x, the largest of which
 * is above minus infinity, at a temperature above 0. */
int32_t stages_draw(struct sampler *s, const struct compute_seq *seq, float largest, uint64_t pos);

#endif
