#include "compute/logprobs.h"

#include "compute/weight.h"

/* Puts a token in its place among the likeliest so far; tokens come in the order of their ids, so that of
 * equal ones the first stays before. logprob holds the logit meanwhile. */
static void insert(struct token_logprobs *out, uint32_t n_top, int32_t token, float logit)
{
	uint32_t at = out->n_top < n_top ? out->n_top++ : n_top - 1;
	for (; at > 0 && out->top[at - 1].logprob < logit; at--)
		out->top[at] = out->top[at - 1];
	out->top[at] = (struct token_logprob){token, logit};
}

void logprobs_take(const float *logits, uint32_t n_vocab, int32_t token, uint32_t n_top,
		   struct token_logprobs *out)
{
	float largest = -INFINITY;
	uint64_t sum = 0;
	out->n_top = 0;
	out->logprob = -INFINITY;
	for (uint32_t i = 0; i < n_vocab; i++) {
		float x = logit_clean(logits[i]);
		largest = x > largest ? x : largest;
	}
	if (!(largest > -INFINITY))
		return;
	for (uint32_t i = 0; i < n_vocab; i++) {
		float d = logit_clean(logits[i]) - largest;
		sum += d < WEIGHT_EXP_MIN ? 0 : weight_grains(weight_exp(d));
	}
	for (uint32_t i = 0; i < n_vocab && n_top; i++) {
		float x = logit_clean(logits[i]);
		if (x > -INFINITY && (out->n_top < n_top || x > out->top[n_top - 1].logprob))
			insert(out, n_top, (int32_t)i, x);
	}
	for (uint32_t i = 0; i < out->n_top; i++)
		out->top[i].logprob = weight_logprob(out->top[i].logprob, largest, sum);
	if (token >= 0 && (uint32_t)token < n_vocab)
		out->logprob = weight_logprob(logit_clean(logits[token]), largest, sum);
}

uint32_t logprobs_rank(const float *logits, uint32_t n_vocab, int32_t token)
{
	uint32_t n = 0;
	float own = logit_clean(logits[token]);
	for (uint32_t i = 0; i < (uint32_t)token; i++)
		n += logit_clean(logits[i]) >= own;
	for (uint32_t i = (uint32_t)token + 1; i < n_vocab; i++)
		n += logit_clean(logits[i]) > own;
	return n + 1;
}
