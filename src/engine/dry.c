#include "engine/dry.h"

#include <stdlib.h>

#include "engine/stop.h"

const struct str dry_default_breakers[] = {STR_LIT("\n"), STR_LIT(":"), STR_LIT("\""), STR_LIT("*")};
const uint32_t n_dry_default_breakers = sizeof dry_default_breakers / sizeof *dry_default_breakers;

/* A token that goes on with a repetition of so many tokens. */
struct repeat {
	int32_t token;
	uint32_t length;
};

struct dry {
	const struct tok *tok;
	double multiplier, base;
	uint32_t allowed, last_n; /* UINT32_MAX: all */
	struct stop_matcher breakers;
	uint32_t n_read, begin; /* of the ids so many were looked at; what may be repeated begins there */
	uint32_t *common;       /* (n_most) */
	struct repeat *repeats; /* (n_most) */
};

enum hokku_code dry_check(const struct str *breakers, uint32_t n, struct hokku_error *err)
{
	if (n > DRY_MAX_BREAKERS)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "dry_sequence_breakers has %u texts; %d are allowed", n, DRY_MAX_BREAKERS);
	for (uint32_t i = 0; i < n; i++)
		if (breakers[i].len < 1 || breakers[i].len > DRY_MAX_BREAKER_BYTES)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "dry_sequence_breakers[%u] has %zu bytes; it takes 1 to %d", i,
				       breakers[i].len, DRY_MAX_BREAKER_BYTES);
	return HOKKU_OK;
}

enum hokku_code dry_new(const struct sampling *p, const struct str *breakers, uint32_t n,
			const struct tok *tok, uint32_t n_most, struct dry **out, struct hokku_error *err)
{
	*out = NULL;
	if (!(p->dry_multiplier > 0) || p->dry_penalty_last_n == 0)
		return HOKKU_OK;
	struct dry *d = calloc(1, sizeof *d);
	if (!d)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for repetitions");
	*d = (struct dry){.tok = tok,
			  .multiplier = (double)p->dry_multiplier,
			  .base = (double)p->dry_base,
			  .allowed = (uint32_t)p->dry_allowed_length,
			  .last_n = (uint32_t)p->dry_penalty_last_n}; /* -1 becomes the most */
	d->common = malloc((size_t)n_most * sizeof *d->common);
	d->repeats = malloc((size_t)n_most * sizeof *d->repeats);
	enum hokku_code rc = stop_init(&d->breakers, breakers, n, 0, err);
	if (!rc && (!d->common || !d->repeats))
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for repetitions");
	if (rc)
		dry_free(d);
	else
		*out = d;
	return rc;
}

void dry_free(struct dry *d)
{
	if (!d)
		return;
	stop_deinit(&d->breakers);
	free(d->common);
	free(d->repeats);
	free(d);
}

static bool is_text(const struct dry *d, int32_t token)
{
	return tok_type(d->tok, token) != TOK_CONTROL && !tok_is_end(d->tok, token);
}

/* Does a breaker end in the token, which comes next? */
static bool read_token(struct dry *d, int32_t token)
{
	struct str bytes = tok_bytes(d->tok, token);
	bool broken = !is_text(d, token);
	for (uint32_t t = 0; t < d->breakers.n_texts; t++) {
		struct stop_text *text = &d->breakers.texts[t];
		if (!is_text(d, token))
			text->state = 0;
		else
			for (size_t i = 0; i < bytes.len; i++)
				broken |= stop_advance(text, bytes.ptr[i]);
	}
	return broken;
}

/* Where in the history a repetition may begin: behind the last token that a breaker ends in, or that is no
 * text. */
static void read_breakers(struct dry *d, const int32_t *ids, uint32_t n)
{
	for (; d->n_read < n; d->n_read++)
		if (read_token(d, ids[d->n_read]))
			d->begin = d->n_read + 1;
}

/* Does a breaker stand in the token's text? */
static bool breaks(const struct dry *d, int32_t token)
{
	struct str bytes = tok_bytes(d->tok, token);
	for (uint32_t t = 0; t < d->breakers.n_texts; t++) {
		struct str b = d->breakers.texts[t].text;
		for (size_t i = 0; i + b.len <= bytes.len; i++)
			if (memcmp(bytes.ptr + i, b.ptr, b.len) == 0)
				return true;
	}
	return false;
}

/* How long the end of ids (n) and what ends k tokens before it are alike, for k from 1 on: the Z function of
 * the ids read backwards. */
static void compare_ends(const int32_t *ids, uint32_t n, uint32_t *common)
{
	const int32_t *last = ids + n - 1;
	for (uint32_t k = 1, from = 0, to = 0; k < n; k++) {
		uint32_t z = k < to ? common[k - from] : 0;
		z = k < to && z > to - k ? to - k : z;
		while (k + z < n && last[-(ptrdiff_t)z] == last[-(ptrdiff_t)(k + z)])
			z++;
		common[k] = z;
		if (k + z > to) {
			from = k;
			to = k + z;
		}
	}
}

/* By token, the longest first. */
static int by_token(const struct repeat *x, const struct repeat *y)
{
	if (x->token != y->token)
		return x->token < y->token ? -1 : 1;
	return (x->length < y->length) - (x->length > y->length);
}

/* The longest first, of equal ones the smallest token. */
static int by_length(const struct repeat *x, const struct repeat *y)
{
	if (x->length != y->length)
		return x->length < y->length ? 1 : -1;
	return (x->token > y->token) - (x->token < y->token);
}

typedef int compare_repeats(const struct repeat *x, const struct repeat *y);

/* What stands at i goes down to where it belongs in a heap of n, the last in order on top. */
static void sink(struct repeat *all, uint32_t i, uint32_t n, compare_repeats *compare)
{
	struct repeat one = all[i];
	for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && compare(&all[child], &all[child + 1]) < 0)
			child++;
		if (compare(&one, &all[child]) >= 0)
			break;
		all[i] = all[child];
	}
	all[i] = one;
}

/* In place: qsort may allocate, which nothing does between two tokens. */
static void sort(struct repeat *all, uint32_t n, compare_repeats *compare)
{
	for (uint32_t i = n / 2; i-- > 0;)
		sink(all, i, n, compare);
	for (uint32_t last = n; last-- > 1;) {
		struct repeat top = all[0];
		all[0] = all[last];
		all[last] = top;
		sink(all, 0, last, compare);
	}
}

/* The longest of each token, ascending tokens; the most that there may be. */
static uint32_t longest_of_each(struct dry *d, uint32_t n)
{
	uint32_t kept = 0;
	sort(d->repeats, n, by_token);
	for (uint32_t i = 0; i < n; i++) {
		int32_t token = d->repeats[i].token;
		bool known = i > 0 && d->repeats[i - 1].token == token;
		if (!known && is_text(d, token) && !breaks(d, token))
			d->repeats[kept++] = d->repeats[i];
		while (i + 1 < n && d->repeats[i + 1].token == token)
			i++;
	}
	if (kept <= DRY_MAX_TOKENS)
		return kept;
	sort(d->repeats, kept, by_length);
	sort(d->repeats, DRY_MAX_TOKENS, by_token);
	return DRY_MAX_TOKENS;
}

/* multiplier * base^exponent, by squaring; each product rounded on its own. */
static double penalty_of(const struct dry *d, uint32_t exponent)
{
	double power = 1, square = d->base;
	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			power *= square;
		square *= square;
	}
	double penalty = d->multiplier * power;
	return penalty < DRY_MAX_PENALTY ? penalty : DRY_MAX_PENALTY;
}

uint32_t dry_make(struct dry *d, const int32_t *ids, uint32_t n, struct hokku_logit_bias *out)
{
	read_breakers(d, ids, n);
	uint32_t most = n - d->begin, n_repeats = 0, skipped = n > d->last_n ? n - d->last_n : 0;
	if (most < d->allowed)
		return 0;
	ids += skipped;
	n -= skipped;
	compare_ends(ids, n, d->common);
	for (uint32_t k = 1; k < n; k++) {
		uint32_t length = d->common[k] < most ? d->common[k] : most;
		if (length >= d->allowed)
			d->repeats[n_repeats++] = (struct repeat){ids[n - k], length};
	}
	n_repeats = longest_of_each(d, n_repeats);
	for (uint32_t i = 0; i < n_repeats; i++)
		out[i] = (struct hokku_logit_bias){d->repeats[i].token,
						   (float)-penalty_of(d, d->repeats[i].length - d->allowed)};
	return n_repeats;
}
