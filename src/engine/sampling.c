/* The table of sampling fields: ranges, defaults, and the check that every request passes. */
#include <math.h>
#include <stdio.h>

#include "engine/request.h"

#define FIELD(field, kind_, min_, max_, own, openai, ollama, open, text_)                                   \
	{                                                                                                   \
		.name = #field, .kind = kind_, .min = min_, .max = max_, .fallback = {own, openai, ollama}, \
		.min_open = open, .offset = offsetof(struct sampling, field), .text = text_                 \
	}
/* One that answers tell of where it is not at its default, which every API has. */
#define RARE(field, kind_, min_, max_, neutral, open, text_)                             \
	{                                                                                \
		.name = #field, .kind = kind_, .min = min_, .max = max_,                 \
		.fallback = {neutral, neutral, neutral}, .min_open = open, .rare = true, \
		.offset = offsetof(struct sampling, field), .text = text_                \
	}

/* The three numbers after the range are the defaults of hokku's own doors, of OpenAI's API and of Ollama's.
 */

const struct sampling_field sampling_fields[] = {
	FIELD(temperature, SAMPLING_FLOAT, 0, 100, 0.7, 1, 0.8, false,
	      "how even the draw is; 0 takes the likeliest token"),
	FIELD(top_k, SAMPLING_INT, 0, 2147483647, 0, 0, 40, false,
	      "draw among the K likeliest tokens; 0: all"),
	FIELD(top_p, SAMPLING_FLOAT, 0, 1, 1, 1, 0.9, true,
	      "draw among the likeliest tokens that hold this probability"),
	FIELD(min_p, SAMPLING_FLOAT, 0, 1, 0, 0, 0, false,
	      "leave out tokens less likely than this part of the likeliest"),
	FIELD(repetition_penalty, SAMPLING_FLOAT, 0, 10, 1, 1, 1, true,
	      "above 1: avoid tokens of prompt and answer"),
	FIELD(frequency_penalty, SAMPLING_FLOAT, -2, 2, 0, 0, 0, false,
	      "taken off a logit for each time in the answer"),
	FIELD(presence_penalty, SAMPLING_FLOAT, -2, 2, 0, 0, 0, false,
	      "taken off a logit once in the answer"),
	{.name = "repeat_last_n",
	 .kind = SAMPLING_INT,
	 .min = -1,
	 .max = 2147483647,
	 .fallback = {-1, -1, 64},
	 .rare = true,
	 .offset = offsetof(struct sampling, repeat_last_n),
	 .text = "penalties look at the last N tokens; -1: at all"},
	RARE(typical_p, SAMPLING_FLOAT, 0, 1, 1, true,
	     "draw among the most typical tokens that hold this probability"),
	RARE(top_n_sigma, SAMPLING_FLOAT, -1, 100, -1, false,
	     "leave out logits more than N standard deviations below the largest; 0, -1: off"),
	RARE(xtc_probability, SAMPLING_FLOAT, 0, 1, 0, false,
	     "how often the likeliest tokens are left out, all but one"),
	RARE(xtc_threshold, SAMPLING_FLOAT, 0, 1, 0.1, false, "how likely such tokens are at least"),
	RARE(dynatemp_range, SAMPLING_FLOAT, 0, 100, 0, false,
	     "temperatures so far around the one given, by entropy"),
	RARE(dynatemp_exponent, SAMPLING_FLOAT, 0, 100, 1, false, "how entropy becomes a temperature there"),
	RARE(dry_multiplier, SAMPLING_FLOAT, 0, 100, 0, false,
	     "how much is taken off tokens that go on with a repetition; 0: nothing"),
	RARE(dry_base, SAMPLING_FLOAT, 1, 100, 1.75, false, "how many times as much for each token more"),
	RARE(dry_allowed_length, SAMPLING_INT, 1, 2147483647, 2, false,
	     "repetitions shorter than this are free"),
	RARE(dry_penalty_last_n, SAMPLING_INT, -1, 2147483647, -1, false,
	     "repetitions of the last N tokens count; -1: of all"),
	RARE(mirostat, SAMPLING_INT, 0, 2, 0, false,
	     "keep the answer's surprise at a target: version 1 or 2"),
	RARE(mirostat_tau, SAMPLING_FLOAT, 0, 100, 5, false, "the target, in bits a token"),
	RARE(mirostat_eta, SAMPLING_FLOAT, 0, 1, 0.1, false, "how fast it is approached"),
};
const size_t n_sampling_fields = sizeof sampling_fields / sizeof *sampling_fields;

double sampling_get(const struct sampling *s, const struct sampling_field *f)
{
	const char *at = (const char *)s + f->offset;
	return f->kind == SAMPLING_INT ? (double)*(const int32_t *)at : (double)*(const float *)at;
}

void sampling_defaults(struct sampling *s, enum sampling_api api, const struct sampling_advice *advice)
{
	*s = (struct sampling){0};
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		char *at = (char *)s + f->offset;
		if (advice && advice->given >> i & 1)
			memcpy(at, (const char *)&advice->values + f->offset, 4);
		else if (f->kind == SAMPLING_INT)
			*(int32_t *)at = (int32_t)f->fallback[api];
		else
			*(float *)at = (float)f->fallback[api];
	}
}

enum hokku_code sampling_check(const struct sampling *s, uint32_t n_vocab, struct hokku_error *err)
{
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		double value = sampling_get(s, f);
		bool low = f->min_open ? value <= f->min : value < f->min;
		if (!isnan(value) && !low && value <= f->max)
			continue;
		if (f->min_open)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s is %.7g; it must be more than %.10g and at most %.10g", f->name,
				       value, f->min, f->max);
		return err_set(err, HOKKU_INVALID_REQUEST, "%s is %.7g; it must be from %.10g to %.10g",
			       f->name, value, f->min, f->max);
	}
	if (s->n_bias > COMPUTE_MAX_LOGIT_BIAS)
		return err_set(err, HOKKU_INVALID_REQUEST, "logit_bias has %u entries; %u are allowed",
			       s->n_bias, COMPUTE_MAX_LOGIT_BIAS);
	if (s->n_bias && !s->bias)
		return err_set(err, HOKKU_INVALID_REQUEST, "logit_bias is NULL but n_logit_bias is %u",
			       s->n_bias);
	for (uint32_t i = 0; i < s->n_bias; i++) {
		const struct hokku_logit_bias *b = &s->bias[i];
		if (b->token < 0 || (uint32_t)b->token >= n_vocab)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "logit_bias names token %d; the vocabulary has 0 to %u", b->token,
				       n_vocab - 1);
		if (!(fabsf(b->bias) <= ENGINE_MAX_LOGIT_BIAS) && b->bias != -INFINITY)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "logit_bias of token %d is %.7g; it must be from -%d to %d, or minus "
				       "infinity: never drawn",
				       b->token, (double)b->bias, ENGINE_MAX_LOGIT_BIAS,
				       ENGINE_MAX_LOGIT_BIAS);
	}
	return HOKKU_OK;
}
