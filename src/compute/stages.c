/*
 * The stages that few requests ask for: top-n-sigma, dynamic temperature, typical-p, XTC, and mirostat in
 * place of all cuts. docs/sampling.md defines each to the bit. What is summed in float64 is summed in the
 * order of ids, and logarithms are exact_math.h's, so the bits are those of any machine.
 */
#include <math.h>

#include "base/rng.h"
#include "compute/exact_math.h"
#include "compute/sampler.h"

enum { MIROSTAT_FIRST = 100 }; /* tokens that mirostat 1 looks at */

/* "Top-n-sigma: not all logits are you need" (Tang and others, 2024): tokens more than n standard deviations
 * below the largest logit go. */
static void cut_by_sigma(struct sampler *s, float n_sigma, float largest)
{
	double sum = 0, squares = 0;
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->n_vocab; i++)
		if (s->x[i] > -INFINITY) {
			sum += (double)s->x[i];
			n++;
		}
	double mean = sum / n;
	for (uint32_t i = 0; i < s->n_vocab; i++)
		if (s->x[i] > -INFINITY) {
			double off = (double)s->x[i] - mean;
			squares += off * off;
		}
	float least = (float)((double)largest - (double)n_sigma * sqrt(squares / n));
	for (uint32_t i = 0; i < s->n_vocab; i++)
		if (s->x[i] < least)
			s->x[i] = -INFINITY;
	s->passes->tops(s->tops, s->x, s->n_vocab);
}

/* The mean of (x - largest) / temperature of n tokens by their grains, whose sum is there. */
static double mean_of(const float *x, const float *weights, uint32_t n, float largest, float temperature,
		      uint64_t sum)
{
	double all = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t grains = weight_grains(weights[i]);
		if (grains)
			all += (double)grains * (double)((x[i] - largest) / temperature);
	}
	return all / (double)sum;
}

/* Between temperature - range and temperature + range, by the entropy of the distribution at temperature 1.
 */
static float dynamic_temperature(struct sampler *s, const struct sampling *p, float largest)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->n_vocab; i++)
		n += s->x[i] > -INFINITY;
	if (n < 2)
		return p->temperature;
	s->passes->weigh(s->weights, s->x, largest, 1, s->n_vocab);
	uint64_t sum = s->passes->sum(s->weights, s->n_vocab);
	double entropy =
		exact_log((double)sum * 0x1p-40) - mean_of(s->x, s->weights, s->n_vocab, largest, 1, sum);
	double part = entropy / exact_log(n), low = (double)p->temperature - (double)p->dynatemp_range,
	       high = (double)p->temperature + (double)p->dynatemp_range;
	part = part < 0 ? 0 : part > 1 ? 1 : part;
	low = low < 0 ? 0 : low;
	double power = p->dynatemp_exponent == 0 ? 1
		       : part == 0               ? 0
						 : exact_exp((double)p->dynatemp_exponent * exact_log(part));
	return (float)(low + (high - low) * power);
}

/* "Locally typical sampling" (Meister and others, 2022): tokens whose surprise is nearest to the expected
 * one. -ln p - H is the mean of the exponents less a token's own, whatever the sum of weights is. */
static uint32_t take_typical(struct sampler *s, uint32_t n, float typical_p, float largest, float temperature)
{
	uint64_t sum = s->passes->sum(s->weights, n);
	double mean = mean_of(s->logits, s->weights, n, largest, temperature, sum);
	for (uint32_t i = 0; i < n; i++) {
		double own = (double)((s->logits[i] - largest) / temperature);
		s->x[i] = weight_grains(s->weights[i]) ? -(float)fabs(own - mean) : -INFINITY;
	}
	struct cut cut = sampler_find_cut(s, s->x, s->weights, n, sampler_target(typical_p, sum));
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = logit_key(s->x[i]);
		if (key < cut.key || (key == cut.key && cut.left == 0))
			continue;
		uint64_t grains = weight_grains(s->weights[i]);
		if (key == cut.key)
			cut.left -= grains < cut.left ? grains : cut.left;
		s->ids[kept] = s->ids[i];
		s->weights[kept] = s->weights[i];
		s->logits[kept++] = s->logits[i];
	}
	return kept;
}

/* "Exclude top choices": with a probability all tokens go that are likely enough, but the last of them. */
static uint32_t exclude_top(struct sampler *s, uint32_t n, const struct sampling *p, uint64_t pos)
{
	uint32_t words[4], last = UINT32_MAX, n_likely = 0, kept = 0;
	rng_words(p->seed, RNG_STREAM_SAMPLER, pos, words);
	if (!((double)words[2] < (double)p->xtc_probability * 0x1p32))
		return n;
	double least = (double)p->xtc_threshold * (double)s->passes->sum(s->weights, n);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t grains = weight_grains(s->weights[i]);
		bool likely = grains && (double)grains >= least;
		s->inside[i] = likely;
		n_likely += likely;
		if (likely && (last == UINT32_MAX || s->logits[i] <= s->logits[last]))
			last = i;
	}
	if (n_likely < 2)
		return n;
	for (uint32_t i = 0; i < n; i++) {
		if (s->inside[i] && i != last)
			continue;
		s->ids[kept] = s->ids[i];
		s->weights[kept] = s->weights[i];
		s->logits[kept++] = s->logits[i];
	}
	return kept;
}

/* Of all tokens the first k become candidates, or all of them. */
static uint32_t take_first(struct sampler *s, uint32_t k, float largest, float temperature)
{
	if (k < s->n_vocab)
		return sampler_top_k(s, k, largest, temperature);
	s->passes->weigh(s->weights, s->x, largest, temperature, s->n_vocab);
	return sampler_gather(s, -INFINITY, true);
}

/* ---- "Mirostat: a neural text decoding algorithm that directly controls perplexity" (Basu and others,
 * 2021) ---- */

/* Tokens whose surprise is at most mu bits; one at least. */
static uint32_t take_unsurprising(struct sampler *s, float largest, float temperature, double mu)
{
	uint32_t n = take_first(s, s->n_vocab, largest, temperature), kept = 0, first = 0;
	double least = exact_exp(-mu * EXACT_LN2) * (double)s->passes->sum(s->weights, n);
	for (uint32_t i = 0; i < n; i++)
		if (s->logits[i] > s->logits[first])
			first = i;
	int32_t likeliest = s->ids[first];
	for (uint32_t i = 0; i < n; i++) {
		uint64_t grains = weight_grains(s->weights[i]);
		if (!grains || (double)grains < least)
			continue;
		s->ids[kept] = s->ids[i];
		s->weights[kept++] = s->weights[i];
	}
	if (kept)
		return kept;
	s->ids[0] = likeliest;
	s->weights[0] = 1;
	return 1;
}

/* Zipf's exponent of the first tokens, by least squares; not above 0: there is none. */
static double zipf_exponent(struct sampler *s, float largest, float temperature)
{
	double logs[MIROSTAT_FIRST], products = 0, squares = 0;
	uint32_t all = take_first(s, MIROSTAT_FIRST, largest, temperature), n = 0;
	for (uint32_t i = 0; i < all; i++) {
		double own = (double)((s->logits[i] - largest) / temperature);
		if (!weight_grains(s->weights[i]))
			continue;
		uint32_t at = n++;
		for (; at > 0 && logs[at - 1] < own; at--)
			logs[at] = logs[at - 1];
		logs[at] = own;
	}
	for (uint32_t i = 0; i + 1 < n; i++) {
		double t = exact_log((double)(i + 2) / (double)(i + 1));
		products += t * (logs[i] - logs[i + 1]);
		squares += t * t;
	}
	return n < 2 ? 0 : products / squares;
}

/* How many of the first tokens have a perplexity of 2^mu, if Zipf's law holds. */
static uint32_t mirostat_k(struct sampler *s, float largest, float temperature, double mu)
{
	double exponent = zipf_exponent(s, largest, temperature), over = exponent - 1, n = s->n_vocab;
	if (!(exponent > 0))
		return s->n_vocab;
	double base = exact_exp(mu * EXACT_LN2);
	base = over == 0 ? base / exact_log(n) : over * base / (1 - exact_exp(-over * exact_log(n)));
	if (!(base > 0x1p-1000))
		return 1;
	double k = base < 0x1p1000 ? exact_exp(exact_log(base) / exponent) : (double)INFINITY;
	return k >= n ? s->n_vocab : k < 1 ? 1 : (uint32_t)k;
}

/* The next mu: the surprise of what was drawn, in bits, should have been tau. */
static double correct(const struct sampler *s, uint32_t n, uint32_t drawn, const struct sampling *p,
		      double mu)
{
	double sum = (double)s->passes->sum(s->weights, n), own = (double)weight_grains(s->weights[drawn]);
	double surprise = (exact_log(sum) - exact_log(own)) / EXACT_LN2;
	return mu - (double)p->mirostat_eta * (surprise - (double)p->mirostat_tau);
}

static int32_t draw_mirostat(struct sampler *s, const struct compute_seq *seq, float largest, uint64_t pos)
{
	const struct sampling *p = seq->sampling;
	double mu = seq->mirostat_mu ? *seq->mirostat_mu : 2 * (double)p->mirostat_tau;
	uint32_t n = p->mirostat == 2 ? take_unsurprising(s, largest, p->temperature, mu)
				      : take_first(s, mirostat_k(s, largest, p->temperature, mu), largest,
						   p->temperature);
	uint32_t drawn = sampler_pick(s, s->ids, n, p->seed, pos);
	if (seq->mirostat_mu)
		*seq->mirostat_mu = correct(s, n, drawn, p, mu);
	return s->ids[drawn];
}

/* Of those that typical-p has left it may be less than 1. */
static float largest_weight(const struct sampler *s, uint32_t n)
{
	float largest = 0;
	for (uint32_t i = 0; i < n; i++)
		largest = s->weights[i] > largest ? s->weights[i] : largest;
	return largest;
}

int32_t stages_draw(struct sampler *s, const struct compute_seq *seq, float largest, uint64_t pos)
{
	const struct sampling *p = seq->sampling;
	if (p->mirostat)
		return draw_mirostat(s, seq, largest, pos);
	if (p->top_n_sigma > 0)
		cut_by_sigma(s, p->top_n_sigma, largest);
	float temperature = p->dynatemp_range > 0 ? dynamic_temperature(s, p, largest) : p->temperature;
	if (temperature == 0)
		return sampler_first_of(s, largest);
	uint32_t k = p->top_k > 0 ? (uint32_t)p->top_k : s->n_vocab;
	uint32_t n = take_first(s, k, largest, temperature);
	if (p->typical_p > 0 && p->typical_p < 1)
		n = take_typical(s, n, p->typical_p, largest, temperature);
	if (p->top_p < 1)
		n = sampler_top_p(s, n, p->top_p);
	if (p->min_p > 0)
		n = sampler_min_p(s, n, p->min_p * largest_weight(s, n));
	if (p->xtc_probability > 0)
		n = exclude_top(s, n, p, pos);
	return s->ids[sampler_pick(s, s->ids, n, p->seed, pos)];
}
