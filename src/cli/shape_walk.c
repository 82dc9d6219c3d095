#include "cli/shape_walk.h"

#include <stdlib.h>
#include <time.h>

#include "cli/open_tok.h"
#include "engine/words.h"

enum { N_BYTES = 256, END_OF_BYTES = N_BYTES };

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static struct str single_byte(void *user, uint32_t token)
{
	static char bytes[N_BYTES];
	(void)user;
	if (token >= N_BYTES)
		return (struct str){NULL, 0};
	bytes[token] = (char)token;
	return (struct str){&bytes[token], 1};
}

static const struct constrain_words byte_words = {
	.n = N_BYTES + 1, .bytes = single_byte, .ends = (const int32_t[]){END_OF_BYTES}, .n_ends = 1};

enum hokku_code shape_tools_open(struct shape_tools *s, const char *model, bool bytes,
				 struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	if (bytes) {
		s->words = byte_words;
	} else {
		rc = cli_open_tok(model, &s->tok, NULL, (struct str){NULL, 0}, err);
		if (!rc)
			rc = words_init(s->tok, &s->words, err);
	}
	if (!rc && !(s->bits = calloc((s->words.n + 31) / 32, sizeof *s->bits)))
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a mask of %u tokens", s->words.n);
	return rc ? rc : constrain_vocab_new(&s->words, &s->vocab, err);
}

void shape_tools_close(struct shape_tools *s)
{
	if (s->vocab)
		constrain_vocab_free(s->vocab);
	if (s->tok)
		words_deinit(&s->words);
	tok_destroy(s->tok);
	free(s->bits);
	free(s->ids);
	series_free(&s->compile_us);
	series_free(&s->first_us);
	series_free(&s->mask_us);
	*s = (struct shape_tools){0};
}

enum hokku_code shape_make(struct shape_tools *s, const struct constrain_shape *what, struct shape_made *out,
			   struct hokku_error *err)
{
	*out = (struct shape_made){0};
	double begin = now_us();
	enum hokku_code rc = constrain_new(s->vocab, what, NULL, &out->shape, &out->fault, err);
	out->compile_us = now_us() - begin;
	if (rc)
		return rc;
	struct constrain_walk *w = constrain_begin(out->shape);
	if (!w || constrain_mask(w, s->bits) == CONSTRAIN_SPENT)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "the first mask passes the shape's memory or work");
	out->first_us = now_us() - begin;
	constrain_end(w);
	if (rc) {
		constrain_unref(out->shape);
		out->shape = NULL;
		return rc;
	}
	series_add(&s->compile_us, out->compile_us);
	series_add(&s->first_us, out->first_us);
	return HOKKU_OK;
}

const char *shape_verdict_name(enum shape_verdict v)
{
	static const char *const names[] = {"accepted", "refused", "too short", "spent", "fault"};
	return names[v];
}

static bool has_bit(const uint32_t *bits, int32_t i)
{
	return bits[i / 32] >> (i % 32) & 1;
}

/* How many bits are set, counted to two. */
static unsigned one_or_more(const uint32_t *bits, uint32_t n)
{
	unsigned found = 0;
	for (uint32_t i = 0; i < (n + 31) / 32 && found < 2; i++)
		found += bits[i] ? (bits[i] & (bits[i] - 1) ? 2 : 1) : 0;
	return found;
}

/* A walk at byte `at` of text, which fits. */
static struct constrain_walk *walk_to(struct constrain *shape, struct str text, size_t at)
{
	size_t taken;
	struct constrain_walk *w = constrain_begin(shape);
	if (w && at && constrain_take_bytes(w, (struct str){text.ptr, at}, &taken) != CONSTRAIN_TAKEN) {
		constrain_end(w);
		return NULL;
	}
	return w;
}

/* What could stand where the text did not fit. */
static void look_around(struct shape_tools *s, struct constrain *shape, struct str text,
			struct shape_walked *out)
{
	struct constrain_walk *w = walk_to(shape, text, out->at);
	if (!w)
		return;
	constrain_next_bytes(w, out->next);
	out->may_end = constrain_may_end(w);
	constrain_next_named(w, s->bits);
	for (uint32_t i = 0; i < s->words.n; i++)
		if (has_bit(s->bits, (int32_t)i) && out->n_named++ == 0)
			out->named = (int32_t)i;
	constrain_end(w);
}

static void walk_bytes(struct constrain *shape, struct str text, struct shape_walked *out)
{
	struct constrain_walk *w = constrain_begin(shape);
	enum constrain_taken taken = w ? CONSTRAIN_TAKEN : CONSTRAIN_SPENT;
	if (w && text.len)
		taken = constrain_take_bytes(w, text, &out->at);
	if (taken == CONSTRAIN_SPENT)
		out->verdict = SHAPE_SPENT;
	else if (taken != CONSTRAIN_TAKEN)
		out->verdict = SHAPE_REFUSED;
	else
		out->verdict = constrain_may_end(w) ? SHAPE_ACCEPTED : SHAPE_SHORT;
	constrain_end(w);
}

/* The text's tokens, in s->ids; 0: it has none that give its bytes back. */
static size_t tokens_of(struct shape_tools *s, struct str text)
{
	if (text.len > s->ids_cap) {
		int32_t *ids = realloc(s->ids, text.len * sizeof *ids);
		if (!ids)
			return 0;
		s->ids = ids;
		s->ids_cap = text.len;
	}
	if (s->words.encode) {
		size_t n = s->words.encode(s->words.user, text, s->ids, s->ids_cap);
		return n <= s->ids_cap ? n : 0;
	}
	for (size_t i = 0; i < text.len; i++)
		s->ids[i] = (unsigned char)text.ptr[i];
	return text.len;
}

/* Takes a token that the present mask (s->bits) was made for. */
static enum constrain_taken take_masked(struct shape_tools *s, struct constrain_walk *w, int32_t id,
					struct str piece, struct shape_walked *out)
{
	size_t fit;
	if (has_bit(s->bits, id)) {
		enum constrain_taken taken = constrain_take(w, id);
		if (taken != CONSTRAIN_TAKEN && taken != CONSTRAIN_SPENT)
			out->fault = "a token of the mask is not taken";
		return taken;
	}
	bool forced = one_or_more(s->bits, s->words.n) == 1;
	enum constrain_taken taken = constrain_take_bytes(w, piece, &fit);
	if (taken == CONSTRAIN_TAKEN && forced)
		s->n_other++;
	else if (taken == CONSTRAIN_TAKEN)
		out->fault = "the mask leaves out a token whose bytes fit";
	if (taken == CONSTRAIN_REFUSED)
		out->at += fit;
	return taken;
}

/* The mask where the text is at its end has the tokens that end it, or has not. */
static void check_ends(struct shape_tools *s, struct constrain_walk *w, struct shape_walked *out)
{
	bool may_end = constrain_may_end(w);
	if (constrain_mask(w, s->bits) == CONSTRAIN_SPENT) {
		out->verdict = SHAPE_SPENT;
		return;
	}
	out->verdict = may_end ? SHAPE_ACCEPTED : SHAPE_SHORT;
	for (uint32_t i = 0; i < s->words.n_ends; i++)
		if (has_bit(s->bits, s->words.ends[i]) != may_end)
			out->fault = "the mask and the walk disagree on whether the text may end";
	if (!one_or_more(s->bits, s->words.n))
		out->fault = "nothing may come next";
}

static void walk_masks(struct shape_tools *s, struct constrain *shape, size_t n, struct shape_walked *out)
{
	struct constrain_walk *w = constrain_begin(shape);
	enum constrain_taken taken = w ? CONSTRAIN_TAKEN : CONSTRAIN_SPENT;
	double sum = 0, last = now_us();
	size_t i = 0;
	while (i < n && taken == CONSTRAIN_TAKEN && !out->fault) {
		struct str piece = s->words.bytes(s->words.user, (uint32_t)s->ids[i]);
		taken = constrain_mask(w, s->bits);
		if (taken == CONSTRAIN_TAKEN)
			taken = take_masked(s, w, s->ids[i], piece, out);
		double end = now_us();
		series_add(&s->mask_us, end - last);
		sum += end - last;
		if (end - last > out->mask_max_us)
			out->mask_max_us = end - last;
		last = end;
		i++;
		if (taken == CONSTRAIN_TAKEN)
			out->at += piece.len;
	}
	s->n_tokens += i;
	out->mask_mean_us = i ? sum / (double)i : 0;
	if (taken == CONSTRAIN_TAKEN && !out->fault)
		check_ends(s, w, out);
	else
		out->verdict = taken == CONSTRAIN_SPENT ? SHAPE_SPENT : SHAPE_REFUSED;
	if (out->fault)
		out->verdict = SHAPE_FAULT;
	constrain_end(w);
}

void shape_walk(struct shape_tools *s, struct constrain *shape, struct str text, bool masks,
		struct shape_walked *out)
{
	*out = (struct shape_walked){0};
	size_t n = masks ? tokens_of(s, text) : 0;
	if (n)
		walk_masks(s, shape, n, out);
	else
		walk_bytes(shape, text, out);
	if (out->verdict == SHAPE_REFUSED || out->verdict == SHAPE_SHORT)
		look_around(s, shape, text, out);
}
