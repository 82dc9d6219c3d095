/* Walks: a state of a shape's machine, and the tokens of a forced text that are still to come. */
#include <stdlib.h>
#include <string.h>

#include "constrain/shape.h"

struct constrain_walk {
	struct constrain *shape;
	state_id state;
	bool done, spent;
	bool looked; /* for a forced text, at this state */
	uint32_t at, n_forced;
	int32_t forced[FORCED_MAX_BYTES]; /* those from `at` on must come */
};

struct constrain_walk *constrain_begin(struct constrain *c)
{
	struct constrain_walk *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	constrain_ref(c);
	w->shape = c;
	w->state = c->start;
	return w;
}

struct constrain_walk *constrain_fork(const struct constrain_walk *w)
{
	struct constrain_walk *f = malloc(sizeof *f);
	if (!f)
		return NULL;
	*f = *w;
	constrain_ref(f->shape);
	return f;
}

void constrain_end(struct constrain_walk *w)
{
	if (!w)
		return;
	constrain_unref(w->shape);
	free(w);
}

/* Each call may do so much. */
static void enter(struct constrain *c)
{
	pthread_mutex_lock(&c->lock);
	rx_more_work(c->machine.pool, c->limits.mask_work);
}

static void leave(struct constrain *c)
{
	pthread_mutex_unlock(&c->lock);
}

static bool may_end(const struct constrain_walk *w)
{
	return w->shape->machine.states[w->state].may_end;
}

/* ---- forced texts ---- */

/* The text that must come in s, at most FORCED_MAX_BYTES. *whole: it is the rest of the shape's text. -1:
 * failed. */
static int forced_text(struct machine *m, state_id s, char *out, bool *whole)
{
	int n = 0, n_next = 0;
	uint8_t byte;
	while (n < FORCED_MAX_BYTES && !m->states[s].may_end) {
		n_next = machine_n_next(m, s, &byte);
		if (n_next != 1)
			break;
		out[n++] = (char)byte;
		s = machine_step(m, s, byte);
		if (s == STATE_FAILED)
			return -1;
	}
	*whole = m->states[s].may_end && (n_next = machine_n_next(m, s, &byte)) == 0;
	return n_next < 0 ? -1 : n;
}

static bool is_text_of(const struct constrain_vocab *v, const int32_t *tokens, size_t n, struct str text)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		struct str b = vocab_bytes(v, tokens[i]);
		if (b.len == 0 || b.len > text.len - at || memcmp(b.ptr, text.ptr + at, b.len) != 0)
			return false;
		at += b.len;
	}
	return at == text.len;
}

/* Finds the tokens that must come, once a state. False: spent. */
static bool look(struct constrain_walk *w)
{
	const struct constrain_vocab *v = w->shape->vocab;
	char text[FORCED_MAX_BYTES];
	bool whole;
	if (w->looked || w->done || !v->encode)
		return true;
	w->at = w->n_forced = 0;
	int n = forced_text(&w->shape->machine, w->state, text, &whole);
	if (n < 0)
		return false;
	w->looked = true;
	size_t n_text = utf8_valid_prefix(text, (size_t)n);
	if (n_text == 0)
		return true;
	whole &= n_text == (size_t)n;
	struct str forced = {text, n_text};
	size_t n_tokens = v->encode(v->user, forced, w->forced, FORCED_MAX_BYTES);
	if (n_tokens == 0 || n_tokens > FORCED_MAX_BYTES || !is_text_of(v, w->forced, n_tokens, forced))
		return true;
	w->n_forced = (uint32_t)(whole ? n_tokens : n_tokens - 1);
	return true;
}

static bool is_forced(const struct constrain_walk *w)
{
	return w->looked && w->at < w->n_forced;
}

/* ---- steps ---- */

static enum constrain_taken spend(struct constrain_walk *w)
{
	w->spent = true;
	return CONSTRAIN_SPENT;
}

static enum constrain_taken take_text(struct constrain_walk *w, struct str text, size_t *n_taken)
{
	state_id s = w->state;
	for (size_t i = 0; i < text.len; i++) {
		state_id next = machine_step(&w->shape->machine, s, (uint8_t)text.ptr[i]);
		if (next == STATE_FAILED)
			return spend(w);
		if (next == STATE_DEAD)
			return CONSTRAIN_REFUSED;
		s = next;
		if (n_taken) { /* each byte counts by itself */
			*n_taken = i + 1;
			w->state = s;
		}
	}
	w->state = s;
	return CONSTRAIN_TAKEN;
}

static enum constrain_taken take(struct constrain_walk *w, int32_t token)
{
	const struct constrain_vocab *v = w->shape->vocab;
	struct str text = vocab_bytes(v, token);
	if (may_end(w) && vocab_is_end(v, token)) {
		w->done = true;
		return CONSTRAIN_DONE;
	}
	if (!look(w))
		return spend(w);
	if (text.len == 0 || (is_forced(w) && w->forced[w->at] != token))
		return CONSTRAIN_REFUSED;
	enum constrain_taken taken = take_text(w, text, NULL);
	if (taken == CONSTRAIN_TAKEN && ++w->at >= w->n_forced)
		w->looked = false;
	return taken;
}

enum constrain_taken constrain_take(struct constrain_walk *w, int32_t token)
{
	if (w->spent || w->done)
		return w->spent ? CONSTRAIN_SPENT : CONSTRAIN_REFUSED;
	enter(w->shape);
	enum constrain_taken taken = take(w, token);
	leave(w->shape);
	return taken;
}

enum constrain_taken constrain_take_bytes(struct constrain_walk *w, struct str bytes, size_t *n_taken)
{
	*n_taken = 0;
	if (w->spent || w->done)
		return w->spent ? CONSTRAIN_SPENT : CONSTRAIN_REFUSED;
	enter(w->shape);
	enum constrain_taken taken = take_text(w, bytes, n_taken);
	leave(w->shape);
	if (*n_taken)
		w->looked = false;
	return taken;
}

/* ---- questions ---- */

enum constrain_taken constrain_mask(struct constrain_walk *w, uint32_t *bits)
{
	struct constrain *c = w->shape;
	const struct constrain_vocab *v = c->vocab;
	bool good = true;
	memset(bits, 0, v->n_words * sizeof *bits);
	if (w->spent || w->done)
		return w->spent ? CONSTRAIN_SPENT : CONSTRAIN_TAKEN;
	enter(c);
	if (!look(w))
		good = false;
	else if (is_forced(w))
		bits[w->forced[w->at] / 32] |= UINT32_C(1) << w->forced[w->at] % 32;
	else
		good = masks_get(&c->masks, w->state, bits);
	for (uint32_t i = 0; good && i < v->n_ends && may_end(w); i++)
		if (v->ends[i] >= 0 && (uint32_t)v->ends[i] < v->n_tokens)
			bits[v->ends[i] / 32] |= UINT32_C(1) << v->ends[i] % 32;
	leave(c);
	return good ? CONSTRAIN_TAKEN : spend(w);
}

size_t constrain_forced(struct constrain_walk *w, int32_t *out, size_t max)
{
	size_t n = 0;
	if (w->spent || w->done)
		return 0;
	enter(w->shape);
	if (!look(w))
		spend(w);
	for (; is_forced(w) && n < w->n_forced - w->at && n < max; n++)
		out[n] = w->forced[w->at + n];
	leave(w->shape);
	return w->spent ? 0 : n;
}

bool constrain_may_end(const struct constrain_walk *w)
{
	if (w->spent || w->done)
		return false;
	enter(w->shape);
	bool end = may_end(w);
	leave(w->shape);
	return end;
}

void constrain_next_bytes(struct constrain_walk *w, uint64_t bytes[4])
{
	memset(bytes, 0, 4 * sizeof *bytes);
	if (w->spent || w->done)
		return;
	enter(w->shape);
	if (!machine_next(&w->shape->machine, w->state, bytes)) {
		memset(bytes, 0, 4 * sizeof *bytes);
		spend(w);
	}
	leave(w->shape);
}
