/*
 * Grammars from any numbers, what they mean by their definition, and a machine and masks compared with that.
 * Texts of up to five letters, a and b, are bits of a word.
 */
#ifndef TEST_GRAMMAR_TRY_H
#define TEST_GRAMMAR_TRY_H

#include <stdlib.h>
#include <string.h>

#include "constrain/machine.h"
#include "constrain/mask.h"

enum { TRY_LONGEST = 5, TRY_TEXTS = 63, TRY_MAX_RULES = 4, TRY_MAX_EDGES = 40, TRY_MAX_PLACES = 40 };

/* Numbers below n. */
struct try_source {
	uint32_t (*draw)(struct try_source *s, uint32_t n);
	const uint8_t *bytes;
	size_t n_bytes, at;
	uint32_t seed;
};

struct try_edge {
	place_id from, to;
	int kind;      /* 0 reads, 1 calls, 2 skips */
	uint64_t text; /* the texts that it reads */
	rule_id callee;
};

struct try_grammar {
	struct grammar *g;
	rule_id rules[TRY_MAX_RULES];
	uint32_t n_rules, n_edges, n_places;
	place_id places[TRY_MAX_RULES][8];
	uint32_t n_of[TRY_MAX_RULES];
	struct try_edge edges[TRY_MAX_EDGES];
};

static inline size_t try_text(unsigned i, char out[TRY_LONGEST])
{
	size_t n = 0;
	while (i + 1 >= 2u << n)
		n++;
	for (size_t k = 0; k < n; k++)
		out[k] = (i + 1) >> (n - 1 - k) & 1 ? 'b' : 'a';
	return n;
}

static inline unsigned try_number(const char *text, size_t n)
{
	unsigned i = 1;
	for (size_t k = 0; k < n; k++)
		i = i * 2 + (text[k] == 'b');
	return i - 1;
}

static inline uint64_t try_cat(uint64_t x, uint64_t y)
{
	uint64_t out = 0;
	char a[2 * TRY_LONGEST];
	for (unsigned i = 0; i < TRY_TEXTS; i++) {
		size_t n = try_text(i, a);
		for (unsigned k = 0; x >> i & 1 && k < TRY_TEXTS; k++)
			if (y >> k & 1) {
				size_t m = try_text(k, a + n);
				if (n + m <= TRY_LONGEST)
					out |= UINT64_C(1) << try_number(a, n + m);
			}
	}
	return out;
}

static inline rx try_expression(struct rx_pool *p, struct try_source *s, unsigned depth)
{
	static const struct rx_span wide = {0x20, 0x10ffff}, letters = {'a', 'z'};
	uint32_t min;
	rx a;
	switch (s->draw(s, depth ? 13 : 7)) {
	case 0:
		return rx_byte(p, 'a');
	case 1:
		return rx_byte(p, 'b');
	case 2:
		return rx_literal(p, "ab", 2);
	case 3:
		return rx_chars(p, &letters, 1);
	case 4:
		return rx_and(p, rx_chars(p, &wide, 1), rx_not(p, rx_byte(p, '"')));
	case 5:
		return rx_literal(p, "\"", 1);
	case 6:
		return RX_EMPTY;
	case 7:
		a = try_expression(p, s, depth - 1);
		return rx_cat(p, a, try_expression(p, s, depth - 1));
	case 8:
		a = try_expression(p, s, depth - 1);
		return rx_or(p, a, try_expression(p, s, depth - 1));
	case 9:
		a = try_expression(p, s, depth - 1);
		return rx_and(p, a, rx_not(p, try_expression(p, s, depth - 1)));
	case 10:
		min = s->draw(s, 9);
		a = try_expression(p, s, depth - 1);
		a = rx_repeat(p, a, 2, 2 + s->draw(s, 3));
		return rx_and(p, a, rx_repeat(p, try_expression(p, s, 1), 1 + min, 9));
	default:
		min = s->draw(s, 3);
		a = try_expression(p, s, depth - 1);
		return rx_repeat(p, a, min, s->draw(s, 3) ? min + s->draw(s, 4) : RX_UNBOUNDED);
	}
}

static inline uint64_t try_texts(struct rx_pool *p, rx a)
{
	uint64_t out = 0;
	char text[TRY_LONGEST];
	for (unsigned i = 0; i < TRY_TEXTS; i++) {
		size_t n = try_text(i, text);
		if (rx_matches(p, a, text, n))
			out |= UINT64_C(1) << i;
	}
	return out;
}

static inline place_id try_place(struct try_grammar *t, struct try_source *s, uint32_t r)
{
	return t->places[r][s->draw(s, t->n_of[r])];
}

/* False: no memory. */
static inline bool try_grammar_make(struct try_grammar *t, struct try_source *s)
{
	struct rx_pool *p = rx_pool_new(&(struct rx_limits){.work = 3000000, .bytes = 32 << 20});
	memset(t, 0, sizeof *t);
	t->g = grammar_new(p);
	if (!t->g)
		return false;
	t->n_rules = 1 + s->draw(s, TRY_MAX_RULES);
	for (uint32_t r = 0; r < t->n_rules; r++) {
		t->rules[r] = grammar_rule(t->g, NULL);
		t->places[r][0] = grammar_start(t->g, t->rules[r]);
		t->places[r][1] = grammar_end(t->g, t->rules[r]);
		t->n_of[r] = 2 + s->draw(s, 4);
		for (uint32_t i = 2; i < t->n_of[r]; i++)
			t->places[r][i] = grammar_place(t->g, t->places[r][0]);
	}
	for (uint32_t r = 0; r < t->n_rules; r++) {
		uint32_t n = 1 + s->draw(s, 7);
		for (uint32_t i = 0; i < n && t->n_edges < TRY_MAX_EDGES; i++) {
			struct try_edge *e = &t->edges[t->n_edges++];
			*e = (struct try_edge){.from = i ? try_place(t, s, r) : t->places[r][0]};
			e->to = i == 1 ? t->places[r][1] : try_place(t, s, r);
			uint32_t kind = s->draw(s, 8);
			e->kind = kind < 5 ? 0 : kind < 7 ? 1 : 2;
			if (e->kind == 0) {
				rx text = try_expression(p, s, s->draw(s, 4));
				e->text = try_texts(p, text);
				grammar_reads(t->g, e->from, e->to, text);
			} else if (e->kind == 1) {
				e->callee = s->draw(s, t->n_rules);
				grammar_calls(t->g, e->from, e->to, t->rules[e->callee]);
			} else {
				grammar_skips(t->g, e->from, e->to);
			}
		}
	}
	return true;
}

/* The texts from each place to its rule's end, until nothing is new. */
static inline uint64_t try_language(const struct try_grammar *t)
{
	uint64_t from[256] = {0};
	for (uint32_t r = 0; r < t->n_rules; r++)
		from[t->places[r][1]] = 1;
	for (bool changed = true; changed;) {
		changed = false;
		for (uint32_t i = 0; i < t->n_edges; i++) {
			const struct try_edge *e = &t->edges[i];
			uint64_t read = e->kind == 0   ? e->text
					: e->kind == 1 ? from[t->places[e->callee][0]]
						       : 1;
			uint64_t now = from[e->from] | try_cat(read, from[e->to]);
			changed |= now != from[e->from];
			from[e->from] = now;
		}
	}
	return from[t->places[0][0]];
}

enum { TRY_STATES = 120 };

/* States that bytes lead to from s, s first: TRY_STATES at most (*all: these are all). 0: failed. */
static inline size_t try_follow(struct machine *m, state_id s, state_id found[TRY_STATES], bool *all)
{
	size_t n = 1;
	found[0] = s;
	*all = true;
	for (size_t i = 0; i < n; i++) {
		uint32_t classes = m->states[found[i]].classes;
		for (uint32_t k = 0; k < m->pool->classes[classes].n_alive; k++) {
			state_id next = machine_step(m, found[i], m->pool->classes[classes].first[k]);
			size_t at = 0;
			if (next == STATE_FAILED)
				return 0;
			while (at < n && found[at] != next)
				at++;
			if (next == STATE_DEAD || at < n)
				continue;
			if (n == TRY_STATES) {
				*all = false;
				return n;
			}
			found[n++] = next;
		}
	}
	return n;
}

/* Whether all states have a way to an end, as far as that is seen. */
static inline bool try_ways(struct machine *m, state_id start, bool *failed)
{
	static state_id found[TRY_STATES], behind[TRY_STATES];
	bool all, all_behind;
	size_t n = try_follow(m, start, found, &all);
	*failed |= n == 0;
	for (size_t i = 0; i < n && i < 30; i++) {
		size_t n_behind = try_follow(m, found[i], behind, &all_behind);
		bool end = false;
		for (size_t k = 0; k < n_behind; k++)
			end |= m->states[behind[k]].may_end;
		*failed |= n_behind == 0;
		if (n_behind && all_behind && !end)
			return false;
	}
	return true;
}

/* What texts behind s do: whether the machine lives, whether it may end. False: failed. */
static inline bool try_behind(struct machine *m, state_id s, uint64_t *lives, uint64_t *ends)
{
	char text[TRY_LONGEST];
	*lives = *ends = 0;
	for (unsigned i = 0; i < TRY_TEXTS; i++) {
		size_t n = try_text(i, text);
		state_id at = s;
		for (size_t b = 0; b < n && at != STATE_DEAD; b++) {
			at = machine_step(m, at, (uint8_t)(text[b] == 'b' ? '"' : 'a'));
			if (at == STATE_FAILED)
				return false;
		}
		*lives |= (uint64_t)(at != STATE_DEAD) << i;
		*ends |= (uint64_t)m->states[at].may_end << i;
	}
	return true;
}

/* What is wrong with the mask of s; NULL: nothing, or memory or work was used up (*failed). */
static inline const char *try_masks(struct masks *k, struct machine *m, const struct constrain_vocab *v,
				    state_id s, bool *failed)
{
	uint32_t bits[64];
	if (!masks_get(k, s, bits)) {
		*failed = true;
		return NULL;
	}
	for (uint32_t i = 0; i < v->n_tokens; i++) {
		struct str text = vocab_bytes(v, (int32_t)i);
		state_id at = s;
		for (size_t b = 0; b < text.len && at != STATE_DEAD; b++) {
			at = machine_step(m, at, (uint8_t)text.ptr[b]);
			if (at == STATE_FAILED) {
				*failed = true;
				return NULL;
			}
		}
		bool allowed = text.len && at != STATE_DEAD;
		if (allowed != (bits[i / 32] >> i % 32 & 1))
			return allowed ? "a token is missing in a mask" : "a mask has a token too many";
	}
	return NULL;
}

/* Walks all texts and some others. NULL: all is right. */
static inline const char *try_machine(struct try_grammar *t, const struct constrain_vocab *v,
				      struct try_source *s, bool *refused)
{
	struct hokku_error err;
	struct machine m;
	struct masks k;
	const char *wrong = NULL;
	uint64_t language = try_language(t);
	*refused = grammar_seal(t->g, &err) != HOKKU_OK;
	if (*refused) /* left recursion, nothing at all, a limit */
		return language && strstr(err.message, "no text at all") ? "a grammar with texts has none"
									 : NULL;
	uint32_t base = t->g->pool->n_nodes, base_lists = t->g->pool->n_lists;
	bool failed = !machine_init(&m, t->g) || !masks_init(&k, v, &m, 1 << 20);
	state_id start = failed ? STATE_FAILED : machine_start(&m), at;
	rx_more_work(m.pool, 3000000);
	failed |= start == STATE_FAILED;
	if (!failed && !try_ways(&m, start, &failed))
		wrong = "a state has no way to an end";
	for (unsigned round = 0; round < 2 && !failed && !wrong; round++) {
		char text[TRY_LONGEST];
		for (unsigned i = 0; i < TRY_TEXTS && !failed && !wrong; i++) {
			size_t n = try_text(i, text);
			at = start;
			for (size_t b = 0; b < n && at != STATE_DEAD && !failed; b++) {
				at = machine_step(&m, at, (uint8_t)text[b]);
				failed = at == STATE_FAILED;
			}
			if (failed)
				break;
			if (m.states[at].may_end != (language >> i & 1))
				wrong = "a text is taken for what it is not";
			else if (i < 7 && at != STATE_DEAD)
				wrong = try_masks(&k, &m, v, at, &failed);
		}
		at = start;
		for (unsigned i = 0; i < 12 && !failed && !wrong; i++) { /* some way */
			uint8_t byte;
			int n_next = machine_n_next(&m, at, &byte);
			if (n_next < 0 || (wrong = try_masks(&k, &m, v, at, &failed)) || n_next == 0)
				break;
			for (unsigned tries = 0; n_next == 2 && tries < 50; tries++) {
				byte = (uint8_t) "ab\"cxyz \xc3\xa9\xf0\x9f"[s->draw(s, 12)];
				state_id next = machine_step(&m, at, byte);
				if (next != STATE_DEAD)
					break;
			}
			state_id next = machine_step(&m, at, byte);
			failed |= next == STATE_FAILED;
			at = next == STATE_DEAD || failed ? at : next;
		}
		if (!failed && !wrong && round == 0) { /* all of it again from what is left after a cut */
			state_id *kept[] = {&start, &at};
			uint64_t before[2], after[2];
			failed = !try_behind(&m, at, &before[0], &before[1]);
			failed |= !machine_cut(&m, base, base_lists, kept, 2);
			masks_forget(&k);
			rx_more_work(m.pool, 3000000);
			if (failed)
				break;
			wrong = try_masks(&k, &m, v, at, &failed);
			failed |= !try_behind(&m, at, &after[0], &after[1]);
			if (!failed && !wrong && (before[0] != after[0] || before[1] != after[1]))
				wrong = "a state means something else after a cut";
		}
	}
	masks_free(&k);
	machine_free(&m);
	return wrong;
}

#endif
