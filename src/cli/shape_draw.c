/* Texts drawn at random from the masks of a shape: what a model of no sense could answer. */
#include "base/rng.h"
#include "cli/shape_walk.h"

enum {
	CUT_TIMES = 4,    /* a text that does not end is cut after so many times max_tokens, */
	CUT_MORE = 1000,  /* and so many tokens */
	N_ONES = 256,     /* tokens of one byte */
	ONE_IN_ENDS = 6,  /* of draws go for what ends something, */
	ONE_IN_BYTES = 3, /* of the others for a token of one byte */
};

struct draw {
	struct shape_tools *s;
	struct constrain_walk *walk;
	uint64_t seed, index;
	int32_t ones[N_ONES]; /* -1: no such token */
	bool named;           /* the text holds the name of a token that is no bytes */
};

static uint32_t number_below(struct draw *d, uint32_t n)
{
	uint32_t words[4];
	rng_words(d->seed, RNG_STREAM_SHAPE, d->index++, words);
	return (uint32_t)(((uint64_t)words[0] * n) >> 32);
}

static bool is_allowed(const struct draw *d, int32_t id)
{
	return id >= 0 && (d->s->bits[id / 32] >> (id % 32) & 1);
}

static void find_ones(struct draw *d)
{
	for (size_t i = 0; i < N_ONES; i++)
		d->ones[i] = -1;
	for (uint32_t i = 0; i < d->s->words.n; i++) {
		struct str b = d->s->words.bytes(d->s->words.user, i);
		if (b.len == 1)
			d->ones[(unsigned char)b.ptr[0]] = (int32_t)i;
	}
}

/* What ends a text, or the innermost thing that is open in one. */
static int32_t closing(struct draw *d)
{
	const struct constrain_words *w = &d->s->words;
	if (w->n_ends && is_allowed(d, w->ends[0]))
		return w->ends[0];
	for (const char *p = "\"}]"; *p; p++) /* the quote first: within a string the others end nothing */
		if (is_allowed(d, d->ones[(unsigned char)*p]))
			return d->ones[(unsigned char)*p];
	return -1;
}

static int32_t any_one(struct draw *d)
{
	int32_t found[N_ONES];
	uint32_t n = 0;
	for (size_t i = 0; i < N_ONES; i++)
		if (is_allowed(d, d->ones[i]))
			found[n++] = d->ones[i];
	return n ? found[number_below(d, n)] : -1;
}

/* Any of the mask; -1: it has none. */
static int32_t any(struct draw *d)
{
	uint32_t n_words = (d->s->words.n + 31) / 32, n = 0;
	for (uint32_t i = 0; i < n_words; i++)
		n += (uint32_t)__builtin_popcount(d->s->bits[i]);
	if (!n)
		return -1;
	uint32_t left = number_below(d, n);
	for (uint32_t i = 0; i < n_words; i++) {
		uint32_t word = d->s->bits[i], here = (uint32_t)__builtin_popcount(word);
		if (left >= here) {
			left -= here;
			continue;
		}
		while (left--)
			word &= word - 1;
		return (int32_t)(i * 32 + (uint32_t)__builtin_ctz(word));
	}
	return -1;
}

static int32_t next_token(struct draw *d, bool close)
{
	int32_t id = -1;
	if (close || number_below(d, ONE_IN_ENDS) == 0)
		id = closing(d);
	if (id < 0 && number_below(d, ONE_IN_BYTES) == 0)
		id = any_one(d);
	return id < 0 ? any(d) : id;
}

static const char *draw_text(struct draw *d, uint32_t max_tokens, struct shape_drawn *out)
{
	size_t most = (size_t)max_tokens * CUT_TIMES + CUT_MORE;
	for (; out->n_tokens < most; out->n_tokens++) {
		if (constrain_mask(d->walk, d->s->bits) != CONSTRAIN_TAKEN)
			return NULL; /* spent: cut here */
		int32_t id = next_token(d, out->n_tokens >= max_tokens);
		if (id < 0)
			return "nothing may come next";
		switch (constrain_take(d->walk, id)) {
		case CONSTRAIN_DONE:
			out->ended = true;
			return NULL;
		case CONSTRAIN_REFUSED:
			return "a token of the mask is not taken";
		case CONSTRAIN_SPENT:
			return NULL;
		case CONSTRAIN_TAKEN:
			break;
		}
		struct str piece = d->s->words.bytes(d->s->words.user, (uint32_t)id);
		if (!piece.len && d->s->tok) { /* a control token: by its name */
			d->named = true;
			piece = tok_bytes(d->s->tok, id);
		}
		strbuf_add(&out->text, piece.ptr, piece.len);
	}
	return NULL;
}

void shape_draw(struct shape_tools *s, struct constrain *shape, uint64_t seed, uint32_t max_tokens,
		struct shape_drawn *out)
{
	struct draw d = {.s = s, .walk = constrain_begin(shape), .seed = seed};
	if (!d.walk)
		return;
	find_ones(&d);
	out->fault = draw_text(&d, max_tokens, out);
	constrain_end(d.walk);
	struct shape_walked again;
	if (out->fault || out->text.failed || d.named)
		return;
	shape_walk(s, shape, (struct str){out->text.ptr, out->text.len}, false, &again);
	bool fits = again.verdict == SHAPE_ACCEPTED || (!out->ended && again.verdict == SHAPE_SHORT);
	if (!fits && again.verdict != SHAPE_SPENT)
		out->fault = "a second walk refuses the text";
}
