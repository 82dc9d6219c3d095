/*
 * The passes over all logits of a vocabulary that drawing a token and telling log probabilities are made of,
 * compiled for several instruction sets; the bits are the same (weight.h). Largest logits are told by blocks,
 * so that what looks for the few largest passes over the rest.
 */
#ifndef COMPUTE_PASSES_H
#define COMPUTE_PASSES_H

#include <stddef.h>
#include <stdint.h>

enum {
	PASSES_BLOCK = 64,
	PASSES_LEVELS = 3, /* plain code, AVX2, AVX-512 */
};

struct passes {
	/* tops[b]: the largest of x's block b, once cleaned (weight.h); of equal zeros +0. */
	void (*tops)(float *tops, const float *x, uint32_t n);
	/* The same; and clean logits to x. */
	void (*load)(float *x, float *tops, const float *logits, uint32_t n);
	/* w = exp((x - largest) / temperature), x being clean. */
	void (*weigh)(float *w, const float *x, float largest, float temperature, uint32_t n);
	/* Grains of w, of w where x is not below least, and of exp(x - largest), x being of any kind. */
	uint64_t (*sum)(const float *w, uint32_t n);
	uint64_t (*sum_from)(const float *w, const float *x, float least, uint32_t n);
	uint64_t (*sum_exp)(const float *x, float largest, uint32_t n);
	/* How many, cleaned, are above x; and how many are x. */
	void (*count)(const float *logits, float x, uint32_t n, uint32_t *above, uint32_t *same);
	/* Where mask has no bit, x becomes minus infinity. */
	void (*mask)(float *x, const uint32_t *mask, uint32_t n);
};

static inline uint32_t passes_n_tops(uint32_t n)
{
	return n / PASSES_BLOCK + (n % PASSES_BLOCK > 0);
}

/* NULL: the CPU does not have it. */
const struct passes *passes_at(unsigned level);

/* The highest level that the CPU has. */
const struct passes *passes_best(void);

#endif
