/*
 * DRY ("don't repeat yourself", p-e-w, 2024): what is taken off tokens that would go on with a repetition.
 * What comes of it are biases, so that it holds on every device; they depend on the request and the tokens so
 * far alone. docs/sampling.md defines them.
 */
#ifndef ENGINE_DRY_H
#define ENGINE_DRY_H

#include "base/str.h"
#include "compute/compute.h"
#include "text/tokenizer.h"

enum {
	DRY_MAX_BREAKERS = 64,
	DRY_MAX_BREAKER_BYTES = 64,
	DRY_MAX_TOKENS = COMPUTE_MAX_BIASES - COMPUTE_MAX_LOGIT_BIAS, /* that it takes something off */
	DRY_MAX_PENALTY = 1000000,
};

/* Texts that a repetition never goes across; where a request says none. */
extern const struct str dry_default_breakers[];
extern const uint32_t n_dry_default_breakers;

/* INVALID_REQUEST: too many, an empty one, one that is too long. */
enum hokku_code dry_check(const struct str *breakers, uint32_t n, struct hokku_error *err);

struct dry;

/* The breakers are copied. n_most: tokens of the longest history. *out NULL: the request has no DRY. */
enum hokku_code dry_new(const struct sampling *p, const struct str *breakers, uint32_t n,
			const struct tok *tok, uint32_t n_most, struct dry **out, struct hokku_error *err);
void dry_free(struct dry *d);

/* The biases of the token behind ids (n), into out (DRY_MAX_TOKENS), ascending ids; returns how many. Each
 * call has the ids of the one before, and as many more as there are. */
uint32_t dry_make(struct dry *d, const int32_t *ids, uint32_t n, struct hokku_logit_bias *out);

#endif
