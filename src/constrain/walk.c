/* Walks: a state of a shape's machine, and the tokens of a forced text that are still to come. */
#include <stdlib.h>
#include <string.h>

#include "constrain/shape.h"

void shape_ask(struct constrain *c)
{
	uint64_t most = c->limits.mask_work;
	machine_ask(&c->machine, most);
	rx_more_work(c->machine.pool,
		     most > UINT64_MAX / SHAPE_WORK_FACTOR ? UINT64_MAX : most * SHAPE_WORK_FACTOR);
}

static void enter(struct constrain *c)
{
	pthread_mutex_lock(&c->lock);
	shape_ask(c);
}

static void leave(struct constrain *c)
{
	pthread_mutex_unlock(&c->lock);
}

static void link_walk(struct constrain_walk *w)
{
	struct constrain *c = w->shape;
	w->next = c->walks;
	w->link = &c->walks;
	if (c->walks)
		c->walks->link = &w->next;
	c->walks = w;
}

struct constrain_walk *constrain_begin(struct constrain *c)
{
	struct constrain_walk *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	constrain_ref(c);
	w->shape = c;
	enter(c);
	w->state = w->before = c->start;
	w->spent = c->broken;
	link_walk(w);
	leave(c);
	return w;
}

struct constrain_walk *constrain_fork(const struct constrain_walk *w)
{
	struct constrain_walk *f = malloc(sizeof *f);
	if (!f)
		return NULL;
	constrain_ref(w->shape);
	enter(w->shape); /* its state may get another number while another walk forgets */
	*f = *w;
	bool copied = names_copy(&f->names, &w->names);
	if (copied)
		link_walk(f);
	leave(w->shape);
	if (copied)
		return f;
	constrain_unref(w->shape);
	free(f);
	return NULL;
}

void constrain_end(struct constrain_walk *w)
{
	if (!w)
		return;
	enter(w->shape);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	leave(w->shape);
	constrain_unref(w->shape);
	names_free(&w->names);
	free(w);
}

bool shape_forget(struct constrain *c)
{
	struct rx_pool *p = c->machine.pool;
	if (!machine_paid(&c->machine))
		return false;
	bool was_memory = p->failed && p->work_left > 0;
	uint32_t n = 1;
	for (struct constrain_walk *w = c->walks; w; w = w->next)
		n += 2;
	state_id **states = c->broken ? NULL : malloc(n * sizeof *states);
	if (states) {
		states[0] = &c->start;
		n = 1;
		for (struct constrain_walk *w = c->walks; w; w = w->next) {
			states[n++] = &w->state;
			states[n++] = &w->before;
		}
		c->broken = !machine_cut(&c->machine, c->base_nodes, c->base_lists, states, n);
		masks_forget(&c->masks);
		shape_ask(c);
	} else {
		c->broken = true;
	}
	free(states);
	for (struct constrain_walk *w = c->walks; w && c->broken; w = w->next)
		w->spent = true;
	return was_memory && !c->broken;
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
	while (n < FORCED_MAX_BYTES && !m->states[s].may_end && !m->states[s].names) {
		n_next = machine_n_next(m, s, &byte);
		if (n_next != 1)
			break;
		if (!machine_pay(m, m->states[s].weight))
			return -1;
		out[n++] = (char)byte;
		s = machine_step(m, s, byte);
		if (s == STATE_FAILED)
			return -1;
	}
	*whole = m->states[s].may_end && !m->states[s].names && (n_next = machine_n_next(m, s, &byte)) == 0;
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

/* Finds the tokens that must come, once a state. False: something failed. */
static bool try_to_look(struct constrain_walk *w)
{
	const struct constrain_vocab *v = w->shape->vocab;
	char text[FORCED_MAX_BYTES];
	bool whole;
	if (w->looked || w->done || !v->encode)
		return true;
	w->at = w->n_forced = 0;
	shape_ask(w->shape);
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

/* The same, and once more where that may help. False: the walk is spent. */
static bool look(struct constrain_walk *w)
{
	w->spent |= !try_to_look(w) && !(shape_forget(w->shape) && try_to_look(w));
	return !w->spent;
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

/* Where no name may come twice: the byte is taken, or ends one that its object has. */
static enum names_step name_step(struct constrain_walk *w, uint8_t byte)
{
	return w->shape->grammar->distinct ? names_read(&w->names, byte) : NAMES_TAKEN;
}

/* Takes what fits of a text, *n_taken bytes. */
static enum constrain_taken take_text(struct constrain_walk *w, struct str text, size_t *n_taken)
{
	struct constrain *c = w->shape;
	size_t failed_at = SIZE_MAX;
	*n_taken = 0;
	while (*n_taken < text.len) {
		shape_ask(c); /* for each byte */
		state_id next = machine_step(&c->machine, w->state, (uint8_t)text.ptr[*n_taken]);
		if (next == STATE_FAILED || !machine_see(&c->machine, next)) {
			if (!shape_forget(c) || failed_at == *n_taken)
				return spend(w);
			failed_at = *n_taken;
			continue;
		}
		if (next == STATE_DEAD)
			return CONSTRAIN_REFUSED;
		enum names_step named = name_step(w, (uint8_t)text.ptr[*n_taken]);
		if (named != NAMES_TAKEN)
			return named == NAMES_TWICE ? CONSTRAIN_REFUSED : spend(w);
		w->state = next;
		++*n_taken;
	}
	return CONSTRAIN_TAKEN;
}

/* A token that comes by itself, not by its bytes. */
static enum constrain_taken take_named(struct constrain_walk *w, uint32_t token)
{
	struct constrain *c = w->shape;
	state_id next = machine_token(&c->machine, w->state, token);
	if (next == STATE_FAILED && shape_forget(c))
		next = machine_token(&c->machine, w->state, token);
	if (next == STATE_FAILED)
		return spend(w);
	w->state = w->before = next;
	w->looked = false;
	return CONSTRAIN_TAKEN;
}

static enum constrain_taken take(struct constrain_walk *w, int32_t token)
{
	const struct constrain_vocab *v = w->shape->vocab;
	struct str text = vocab_bytes(v, token);
	size_t n_taken;
	if (may_end(w) && vocab_is_end(v, token)) {
		w->done = true;
		return CONSTRAIN_DONE;
	}
	if (token >= 0 && machine_names(&w->shape->machine, w->state, (uint32_t)token))
		return take_named(w, (uint32_t)token);
	if (!look(w))
		return CONSTRAIN_SPENT;
	if (text.len == 0 || (is_forced(w) && w->forced[w->at] != token))
		return CONSTRAIN_REFUSED;
	w->before = w->state;
	names_mark(&w->names);
	enum constrain_taken taken = take_text(w, text, &n_taken);
	if (taken == CONSTRAIN_REFUSED) {
		w->state = w->before;
		names_back(&w->names);
	}
	w->names.marked = false;
	w->before = w->state;
	if (taken == CONSTRAIN_TAKEN && ++w->at >= w->n_forced)
		w->looked = false;
	return taken;
}

enum constrain_taken constrain_take(struct constrain_walk *w, int32_t token)
{
	enter(w->shape);
	enum constrain_taken taken = w->spent  ? CONSTRAIN_SPENT
				     : w->done ? CONSTRAIN_REFUSED
					       : take(w, token);
	leave(w->shape);
	return taken;
}

enum constrain_taken constrain_take_bytes(struct constrain_walk *w, struct str bytes, size_t *n_taken)
{
	*n_taken = 0;
	enter(w->shape);
	enum constrain_taken taken = w->spent  ? CONSTRAIN_SPENT
				     : w->done ? CONSTRAIN_REFUSED
					       : take_text(w, bytes, n_taken);
	w->before = w->state;
	w->looked = w->looked && *n_taken == 0;
	leave(w->shape);
	return taken;
}

/* ---- questions ---- */

/* Whether the text would end a name that its object has. */
static enum names_step would_name(struct names *n, struct str text)
{
	enum names_step step = NAMES_TAKEN;
	names_mark(n);
	for (size_t i = 0; i < text.len && step == NAMES_TAKEN; i++)
		step = names_read(n, (uint8_t)text.ptr[i]);
	names_back(n);
	return step;
}

/* Takes the tokens out that would. False: no memory, or it costs more than a mask may. */
static bool leave_names_out(struct constrain_walk *w, uint32_t *bits)
{
	const struct constrain_vocab *v = w->shape->vocab;
	for (uint32_t i = 0; i < v->n_quoted; i++) {
		uint32_t t = v->quoted[i], bit = UINT32_C(1) << t % 32;
		if (!(bits[t / 32] & bit))
			continue;
		uint64_t looked = w->names.looked;
		enum names_step step = would_name(&w->names, vocab_bytes(v, (int32_t)t));
		if (step == NAMES_NO_MEMORY ||
		    !machine_pay(&w->shape->machine, 1 + (w->names.looked - looked) / 8))
			return false;
		if (step == NAMES_TWICE)
			bits[t / 32] &= ~bit;
	}
	return true;
}

static bool fill(struct constrain_walk *w, uint32_t *bits)
{
	const struct constrain_vocab *v = w->shape->vocab;
	struct masks *m = &w->shape->masks;
	if (!look(w))
		return false;
	shape_ask(w->shape); /* looking was another one, made at this call or before */
	if (is_forced(w))
		bits[w->forced[w->at] / 32] |= UINT32_C(1) << w->forced[w->at] % 32;
	else if (!masks_get(m, w->state, bits) && !(shape_forget(w->shape) && masks_get(m, w->state, bits)))
		return false;
	if (w->shape->grammar->distinct && !is_forced(w) && !leave_names_out(w, bits))
		return false;
	for (uint32_t i = 0; i < v->n_ends && may_end(w); i++)
		if (v->ends[i] >= 0 && (uint32_t)v->ends[i] < v->n_tokens)
			bits[v->ends[i] / 32] |= UINT32_C(1) << v->ends[i] % 32;
	return true;
}

enum constrain_taken constrain_mask(struct constrain_walk *w, uint32_t *bits)
{
	const struct constrain_vocab *v = w->shape->vocab;
	memset(bits, 0, v->n_words * sizeof *bits);
	enter(w->shape);
	if (!w->spent && !w->done && !fill(w, bits)) {
		memset(bits, 0, v->n_words * sizeof *bits);
		spend(w);
	}
	bool spent = w->spent;
	leave(w->shape);
	return spent ? CONSTRAIN_SPENT : CONSTRAIN_TAKEN;
}

size_t constrain_forced(struct constrain_walk *w, int32_t *out, size_t max)
{
	size_t n = 0;
	enter(w->shape);
	bool good = !w->spent && !w->done && look(w);
	for (; good && is_forced(w) && n < w->n_forced - w->at && n < max; n++)
		out[n] = w->forced[w->at + n];
	leave(w->shape);
	return n;
}

bool constrain_may_end(const struct constrain_walk *w)
{
	enter(w->shape);
	bool end = !w->spent && !w->done && may_end(w);
	leave(w->shape);
	return end;
}

void constrain_next_bytes(struct constrain_walk *w, uint64_t bytes[4])
{
	memset(bytes, 0, 4 * sizeof *bytes);
	struct machine *m = &w->shape->machine;
	enter(w->shape);
	if (!w->spent && !w->done && !machine_next(m, w->state, bytes) &&
	    !(shape_forget(w->shape) && machine_next(m, w->state, bytes))) {
		memset(bytes, 0, 4 * sizeof *bytes);
		spend(w);
	}
	if (w->shape->grammar->distinct && would_name(&w->names, STR_LIT("\"")) != NAMES_TAKEN)
		bytes[0] &= ~(UINT64_C(1) << '"');
	leave(w->shape);
}

void constrain_next_named(struct constrain_walk *w, uint32_t *bits)
{
	struct machine *m = &w->shape->machine;
	memset(bits, 0, w->shape->vocab->n_words * sizeof *bits);
	enter(w->shape);
	if (!w->spent && !w->done && m->states[w->state].names)
		machine_add_named(m, w->state, bits);
	leave(w->shape);
}
