/* Tables of RoPE frequencies: theta^(-2 i / n_dims), scaled as the source says. */
#include "model/rope.h"

#include <math.h>

/* The pair (counted in reals) that turns n_turns times within the original context. */
static double pair_of_turns(const struct rope_source *s, uint32_t n_dims, double n_turns)
{
	const double two_pi = 6.283185307179586;
	return n_dims * log(s->n_ctx_original / (n_turns * two_pi)) / (2 * log((double)s->base));
}

/* YaRN: how much of frequency i is kept as it was, from 1 (fast) to 0 (slow, divided by the factor). */
static double yarn_kept(const struct rope_source *s, uint32_t n_dims, uint32_t i)
{
	double low = floor(pair_of_turns(s, n_dims, s->beta_fast));
	double high = ceil(pair_of_turns(s, n_dims, s->beta_slow));
	low = fmax(low, 0);
	high = fmin(high, (double)n_dims - 1);
	if (high == low)
		high += 0.001;
	return 1 - fmin(1, fmax(0, (i - low) / (high - low)));
}

/* What scaling i's frequency is divided by, a tensor's number. */
static double factor_of(const struct weight *w, uint32_t i)
{
	float value;
	memcpy(&value, (const char *)w->data + i * sizeof value, sizeof value);
	return value;
}

void rope_fill(struct model *m, uint32_t at, uint32_t n_ctx)
{
	const struct rope *r = &m->ropes[at];
	const struct rope_source *s = &m->rope_sources[at];
	bool is_long = s->scaling == ROPE_LONG && n_ctx > s->n_ctx_original;
	for (uint32_t i = 0; i < r->n_dims / 2; i++) {
		double freq = 1.0 / pow((double)s->base, 2.0 * i / r->n_dims);
		double kept;
		switch (s->scaling) {
		case ROPE_PLAIN:
			break;
		case ROPE_LINEAR:
			freq /= s->factor;
			break;
		case ROPE_YARN:
			kept = yarn_kept(s, r->n_dims, i);
			freq = freq * kept + freq / s->factor * (1 - kept);
			break;
		case ROPE_FACTORS:
			freq /= factor_of(&m->w[ROLE_ROPE_FREQS], i);
			break;
		case ROPE_LONG:
			freq /= factor_of(&m->w[is_long ? ROLE_ROPE_LONG : ROLE_ROPE_SHORT], i);
			break;
		}
		s->freq[i] = (float)freq;
	}
}

static enum hokku_code check_factors(const struct weight *w, struct hokku_error *err)
{
	if (!w->tensor)
		return HOKKU_OK;
	if (w->tensor->type != TENSOR_F32)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED, "%.*s is stored as %s; hokku takes F32",
			       STR_ARG(w->tensor->name), w->fmt->name);
	for (uint32_t i = 0; i < w->cols; i++)
		if (!(factor_of(w, i) >= 1e-6 && factor_of(w, i) <= 1e6))
			return err_set(err, HOKKU_MODEL_LOAD_FAILED,
				       "%.*s has the factor %g for pair %u; hokku takes 1e-06 to 1e+06",
				       STR_ARG(w->tensor->name), factor_of(w, i), i);
	return HOKKU_OK;
}

enum hokku_code rope_prepare(struct model *m, struct hokku_error *err)
{
	static const enum model_role factors[] = {ROLE_ROPE_FREQS, ROLE_ROPE_LONG, ROLE_ROPE_SHORT};
	for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
		enum hokku_code rc = weight_keep(&m->w[factors[i]], &m->arena, err);
		if (!rc)
			rc = check_factors(&m->w[factors[i]], err);
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < m->n_ropes; i++) {
		float *freq = arena_array(&m->arena, m->ropes[i].n_dims / 2, sizeof *freq);
		if (!freq)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for RoPE's frequencies");
		m->ropes[i].freq = m->rope_sources[i].freq = freq;
		rope_fill(m, i, m->hp.n_ctx_train);
	}
	return HOKKU_OK;
}
