#include "compute/logprobs.h"

#include "compute/passes.h"
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

static bool is_among(const struct token_logprobs *out, uint32_t n_top, float logit)
{
	return logit > -INFINITY && (out->n_top < n_top || logit > out->top[n_top - 1].logprob);
}

/* Some blocks of logits, from id `first` on, whose largest are tops: what they have of the likeliest. */
static void take_tops(const float *logits, uint32_t n, const float *tops, uint32_t first, uint32_t n_top,
		      struct token_logprobs *out)
{
	for (uint32_t begin = 0; begin < n && n_top; begin += PASSES_BLOCK) {
		if (!is_among(out, n_top, tops[begin / PASSES_BLOCK]))
			continue;
		for (uint32_t i = begin; i < n && i < begin + PASSES_BLOCK; i++) {
			float x = logit_clean(logits[i]);
			if (is_among(out, n_top, x))
				insert(out, n_top, (int32_t)(first + i), x);
		}
	}
}

void logprobs_take(const float *logits, uint32_t n_vocab, int32_t token, uint32_t n_top,
		   struct token_logprobs *out)
{
	enum { N = 64 * PASSES_BLOCK };
	const struct passes *passes = passes_best();
	float largest = -INFINITY, tops[N / PASSES_BLOCK];
	out->n_top = 0;
	out->logprob = -INFINITY;
	for (uint32_t first = 0; first < n_vocab; first += N) {
		uint32_t n = n_vocab - first < N ? n_vocab - first : N;
		passes->tops(tops, logits + first, n);
		for (uint32_t b = 0; b < passes_n_tops(n); b++)
			largest = tops[b] > largest ? tops[b] : largest;
		take_tops(logits + first, n, tops, first, n_top, out);
	}
	if (!(largest > -INFINITY))
		return;
	uint64_t sum = passes->sum_exp(logits, largest, n_vocab);
	for (uint32_t i = 0; i < out->n_top; i++)
		out->top[i].logprob = weight_logprob(out->top[i].logprob, largest, sum);
	if (token >= 0 && (uint32_t)token < n_vocab)
		out->logprob = weight_logprob(logit_clean(logits[token]), largest, sum);
}

uint32_t logprobs_rank(const float *logits, uint32_t n_vocab, int32_t token)
{
	const struct passes *passes = passes_best();
	uint32_t above, same, before, equal;
	float own = logit_clean(logits[token]);
	passes->count(logits, own, n_vocab, &above, &same);
	passes->count(logits, own, (uint32_t)token, &before, &equal); /* of equal ones the smaller ids */
	return above + equal + 1;
}
