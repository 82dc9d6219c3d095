/*
 * Log probabilities under the model's own distribution: from the logits as the model gave them, before bias,
 * penalties and mask, at temperature 1 (docs/sampling.md). The same logits give the same bits on every device
 * that returns them, and that of the token drawn is compute_seq.logprob.
 */
#ifndef COMPUTE_LOGPROBS_H
#define COMPUTE_LOGPROBS_H

#include "compute/compute.h"

enum { LOGPROBS_MAX_TOP = 20 };

struct token_logprob {
	int32_t token;
	float logprob;
};

/* Where a request asks for chances (compute_seq.chances) these are probabilities, 0 to 1, of the distribution
 * that was drawn from: a token's grains of those that all candidates have. */
struct token_logprobs {
	float logprob;  /* of the token asked for */
	uint32_t n_top; /* may be fewer than wanted: a token that can never be drawn is none */
	struct token_logprob
		top[LOGPROBS_MAX_TOP]; /* logprob descending, of equal logits the smaller id first */
};

/* token's log probability and those of the n_top (LOGPROBS_MAX_TOP at most) likeliest of logits (n_vocab);
 * minus infinity where token can never be drawn. */
void logprobs_take(const float *logits, uint32_t n_vocab, int32_t token, uint32_t n_top,
		   struct token_logprobs *out);

/* token's place in the order of top, counted from 1, however far down it is. */
uint32_t logprobs_rank(const float *logits, uint32_t n_vocab, int32_t token);

#endif
