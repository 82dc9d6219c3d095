/*
 * Drawing a token from logits on the host: the CPU backends use it, and it is the oracle for device samplers.
 * docs/sampling.md describes the stages; the order is fixed.
 */
#ifndef COMPUTE_SAMPLE_H
#define COMPUTE_SAMPLE_H

#include "compute/compute.h"

struct sampler; /* scratch for one vocabulary size; one thread at a time */

struct sampler *sampler_create(uint32_t n_vocab); /* NULL: no memory */
void sampler_destroy(struct sampler *s);
uint64_t sampler_bytes(const struct sampler *s);
uint64_t sampler_need(uint32_t n_vocab); /* the same of one that is not there */

/* For tests: makes s use plain code (0), AVX2 (1) or AVX-512 (2); false where the CPU has none. The tokens
 * are the same; sampler_create chooses the best. */
bool sampler_set_level(struct sampler *s, unsigned level);

/* Draws the token at position pos (seq->pos + seq->n_tokens: where the token will stand) from logits
 * (n_vocab), which are left as they were. Uses seq's sampling, history and mask; sets seq->token and
 * seq->logprob. Where no token may be drawn (every logit is NaN, minus infinity or masked) the token is -1
 * and its logprob minus infinity. Ids of the history and the bias that are outside the vocabulary are passed
 * over. Nothing is allocated. */
void sampler_draw(struct sampler *s, const float *logits, uint64_t pos, struct compute_seq *seq);

#endif
