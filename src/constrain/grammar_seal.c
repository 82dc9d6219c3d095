/*
 * Sealing a grammar: what leads nowhere is cut, and what walking needs to know of rules and places is found,
 * each by following edges from where it is known to where it follows. Nothing recurses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constrain/grammar_internal.h"
#include "constrain/rx_internal.h"

struct seal {
	struct grammar *g;
	struct hokku_error *err;
	uint32_t *into_first, *into;   /* edges by the place they lead to */
	uint32_t *calls_first, *calls; /* edges by the rule they call */
	uint32_t *out_first, *out;     /* edges by the place they leave */
	place_id *todo;
	uint32_t n_todo;
	bool *alive; /* by edge: what it reads, if anything, has a text */
};

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "there is no memory for the grammar of the shape");
}

static enum hokku_code limit_passed(const struct grammar *g, struct hokku_error *err)
{
	const struct rx_pool *p = g->pool;
	char bytes[32];
	if (g->too_many_places)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the shape needs more than %d places in its grammar: make it smaller",
			       GRAMMAR_MAX_PLACES);
	if (g->too_many_rules)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the shape needs more than %d rules in its grammar: make it smaller",
			       GRAMMAR_MAX_RULES);
	if (p->failed && p->work_left == 0)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"the shape takes more work to compile than the %llu steps that are allowed: make it "
			"smaller",
			(unsigned long long)p->limits.work);
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "the shape needs more than the %s of memory that one may take: make it smaller",
		       str_bytes(p->limits.bytes, bytes));
}

/* Edges sorted by a key: those of key k from first[k] to first[k + 1]. */
static bool sort_edges(const struct grammar *g, uint32_t n_keys, uint32_t (*key)(const struct grammar_edge *),
		       uint32_t **first, uint32_t **sorted)
{
	*first = calloc((size_t)n_keys + 2, sizeof **first);
	*sorted = malloc(((size_t)g->n_edges + 1) * sizeof **sorted);
	if (!*first || !*sorted)
		return false;
	for (uint32_t i = 0; i < g->n_edges; i++)
		if (key(&g->edges[i]) < n_keys)
			(*first)[key(&g->edges[i]) + 2]++;
	for (uint32_t k = 2; k < n_keys + 2; k++)
		(*first)[k] += (*first)[k - 1];
	for (uint32_t i = 0; i < g->n_edges; i++)
		if (key(&g->edges[i]) < n_keys)
			(*sorted)[(*first)[key(&g->edges[i]) + 1]++] = i;
	return true;
}

static uint32_t to_of(const struct grammar_edge *e)
{
	return e->to;
}

static uint32_t from_of(const struct grammar_edge *e)
{
	return e->from;
}

static uint32_t callee_of(const struct grammar_edge *e)
{
	return e->kind == EDGE_CALLS ? e->what : UINT32_MAX;
}

/* ---- backwards from the ends ---- */

enum question { GOOD, MAY_END };

static bool *answer(struct grammar *g, place_id p, enum question q)
{
	return q == GOOD ? &g->places[p].good : &g->places[p].may_end;
}

static void say_yes(struct seal *s, place_id p, enum question q)
{
	bool *yes = answer(s->g, p, q);
	if (*yes)
		return;
	*yes = true;
	s->todo[s->n_todo++] = p;
}

static bool passes(const struct seal *s, uint32_t edge, enum question q)
{
	struct grammar *g = s->g;
	const struct grammar_edge *e = &g->edges[edge];
	if (e->kind == EDGE_CALLS)
		return *answer(g, g->rules[e->what].start, q);
	return e->kind == EDGE_SKIPS || (q == GOOD ? s->alive[edge] : rx_nullable(g->pool, e->what));
}

/* Which places have a way to their rule's end over edges that pass. */
static void ask_backwards(struct seal *s, enum question q)
{
	struct grammar *g = s->g;
	for (rule_id r = 0; r < g->n_rules; r++)
		say_yes(s, g->rules[r].end, q);
	while (s->n_todo) {
		place_id p = s->todo[--s->n_todo];
		for (uint32_t i = s->into_first[p]; i < s->into_first[p + 1]; i++)
			if (passes(s, s->into[i], q))
				say_yes(s, g->edges[s->into[i]].from, q);
		rule_id r = g->places[p].rule;
		if (g->rules[r].start != p)
			continue;
		for (uint32_t i = s->calls_first[r]; i < s->calls_first[r + 1]; i++) {
			const struct grammar_edge *e = &g->edges[s->calls[i]];
			if (*answer(g, e->to, q))
				say_yes(s, e->from, q);
		}
	}
}

/* ---- forwards ---- */

static bool is_good(const struct seal *s, uint32_t edge)
{
	return s->g->places[s->g->edges[edge].to].good && passes(s, edge, GOOD);
}

static void reach(struct seal *s, place_id p)
{
	if (s->g->places[p].reachable)
		return;
	s->g->places[p].reachable = true;
	s->todo[s->n_todo++] = p;
}

static void find_reachable(struct seal *s)
{
	struct grammar *g = s->g;
	reach(s, g->rules[0].start);
	while (s->n_todo) {
		place_id p = s->todo[--s->n_todo];
		for (uint32_t i = s->out_first[p]; i < s->out_first[p + 1]; i++) {
			const struct grammar_edge *e = &g->edges[s->out[i]];
			if (!is_good(s, s->out[i]))
				continue;
			reach(s, e->to);
			if (e->kind == EDGE_CALLS)
				reach(s, g->rules[e->what].start);
		}
	}
}

/* Keeps the edges that are walked, by place. */
static void cut(struct seal *s, struct grammar_edge *kept)
{
	struct grammar *g = s->g;
	uint32_t n = 0;
	for (place_id p = 0; p < g->n_places; p++) {
		g->places[p].edges = n;
		for (uint32_t i = s->out_first[p]; i < s->out_first[p + 1]; i++)
			if (g->places[p].reachable && is_good(s, s->out[i]))
				kept[n++] = g->edges[s->out[i]];
	}
	g->places[g->n_places].edges = n;
	memcpy(g->edges, kept, n * sizeof *kept);
	g->n_edges = n;
}

static bool needs_nothing(const struct grammar *g, const struct grammar_edge *e)
{
	if (e->kind == EDGE_CALLS)
		return g->rules[e->what].may_be_empty;
	return e->kind == EDGE_SKIPS || rx_nullable(g->pool, e->what);
}

/* only_end: backwards from places that read or call, over skips. */
static void find_only_ends(struct seal *s)
{
	struct grammar *g = s->g;
	for (place_id p = 0; p < g->n_places; p++)
		g->places[p].only_end = true;
	for (uint32_t i = 0; i < g->n_edges; i++) {
		struct grammar_place *from = &g->places[g->edges[i].from];
		if (g->edges[i].kind == EDGE_SKIPS || !from->only_end)
			continue;
		from->only_end = false;
		s->todo[s->n_todo++] = g->edges[i].from;
	}
	while (s->n_todo) {
		place_id p = s->todo[--s->n_todo];
		for (uint32_t i = s->into_first[p]; i < s->into_first[p + 1]; i++) {
			struct grammar_edge *e = &g->edges[s->into[i]];
			if (e->kind != EDGE_SKIPS || !g->places[e->from].only_end)
				continue;
			g->places[e->from].only_end = false;
			s->todo[s->n_todo++] = e->from;
		}
	}
}

static void enter_front(struct seal *s, place_id p)
{
	if (s->g->places[p].in_front)
		return;
	s->g->places[p].in_front = true;
	s->todo[s->n_todo++] = p;
}

static void find_fronts(struct seal *s)
{
	struct grammar *g = s->g;
	for (rule_id r = 0; r < g->n_rules; r++)
		enter_front(s, g->rules[r].start);
	while (s->n_todo) {
		place_id p = s->todo[--s->n_todo];
		for (uint32_t i = g->places[p].edges; i < g->places[p + 1].edges; i++)
			if (needs_nothing(g, &g->edges[i]))
				enter_front(s, g->edges[i].to);
	}
}

/* ---- the order of rules ---- */

/* A rule on the way down: which of its front's calls comes next. */
struct descent {
	rule_id rule;
	uint32_t next; /* into `front` */
};

enum { UNSEEN = 0, ON_THE_WAY = UINT32_MAX }; /* ranks while they are made */

static enum hokku_code left_recursion(const struct seal *s, const struct descent *way, uint32_t n,
				      rule_id again)
{
	struct strbuf circle = {0};
	char name[64];
	uint32_t i = n;
	while (i > 0 && way[i - 1].rule != again)
		i--;
	for (i = i ? i - 1 : 0; i < n; i++) {
		if (circle.len > 200) {
			strbuf_add_c(&circle, "... -> ");
			break;
		}
		strbuf_addf(&circle, "%s -> ", grammar_rule_name(s->g, way[i].rule, name));
	}
	strbuf_add_c(&circle, grammar_rule_name(s->g, again, name));
	if (circle.failed) {
		strbuf_free(&circle);
		return no_memory(s->err);
	}
	err_set(s->err, HOKKU_INVALID_REQUEST,
		"a rule begins with itself (%s), so nothing says how often: write the repetition as one that comes "
		"after what is repeated",
		circle.ptr);
	strbuf_free(&circle);
	return HOKKU_INVALID_REQUEST;
}

/* front: the calls that stand in a rule's front, by rule. way has room for every rule. */
static enum hokku_code rank_from(struct seal *s, const uint32_t *first, const uint32_t *front,
				 struct descent *way, rule_id start, uint32_t *rank)
{
	struct grammar *g = s->g;
	uint32_t n = 1;
	way[0] = (struct descent){start, first[start]};
	g->rules[start].rank = ON_THE_WAY;
	while (n) {
		struct descent *d = &way[n - 1];
		if (d->next == first[d->rule + 1]) {
			g->rules[d->rule].rank = (*rank)--;
			n--;
			continue;
		}
		rule_id callee = g->edges[front[d->next++]].what;
		if (g->rules[callee].rank == ON_THE_WAY)
			return left_recursion(s, way, n, callee);
		if (g->rules[callee].rank != UNSEEN)
			continue;
		g->rules[callee].rank = ON_THE_WAY;
		way[n++] = (struct descent){callee, first[callee]};
	}
	return HOKKU_OK;
}

static enum hokku_code rank_rules(struct seal *s)
{
	struct grammar *g = s->g;
	uint32_t *first = calloc((size_t)g->n_rules + 2, sizeof *first);
	uint32_t *front = malloc(((size_t)g->n_edges + 1) * sizeof *front);
	struct descent *way = malloc((size_t)g->n_rules * sizeof *way);
	uint32_t rank = g->n_rules;
	enum hokku_code rc = HOKKU_OK;
	if (!first || !front || !way) {
		rc = no_memory(s->err);
		goto out;
	}
	for (int pass = 0; pass < 2; pass++) { /* count, then place */
		for (uint32_t i = 0; i < g->n_edges; i++) {
			const struct grammar_edge *e = &g->edges[i];
			const struct grammar_place *from = &g->places[e->from];
			if (e->kind != EDGE_CALLS || !from->in_front)
				continue;
			if (pass == 0)
				first[from->rule + 2]++;
			else
				front[first[from->rule + 1]++] = i;
		}
		for (uint32_t k = 2; pass == 0 && k < g->n_rules + 2; k++)
			first[k] += first[k - 1];
	}
	for (rule_id r = 0; r < g->n_rules && !rc; r++)
		if (g->rules[r].rank == UNSEEN && g->places[g->rules[r].start].reachable)
			rc = rank_from(s, first, front, way, r, &rank);
out:
	free(first);
	free(front);
	free(way);
	return rc;
}

/* ---- all of it ---- */

static enum hokku_code find_living_edges(struct seal *s)
{
	struct grammar *g = s->g;
	for (uint32_t i = 0; i < g->n_edges; i++) {
		s->alive[i] = g->edges[i].kind != EDGE_READS || rx_alive(g->pool, g->edges[i].what);
		rx_charge(g->pool, 4);
	}
	return rx_failed(g->pool) ? limit_passed(g, s->err) : HOKKU_OK;
}

static enum hokku_code seal(struct seal *s)
{
	struct grammar *g = s->g;
	struct grammar_edge *kept = malloc(((size_t)g->n_edges + 1) * sizeof *kept);
	s->todo = malloc(((size_t)g->n_places + 1) * sizeof *s->todo);
	s->alive = malloc(((size_t)g->n_edges + 1) * sizeof *s->alive);
	bool enough = kept && s->todo && s->alive &&
		      sort_edges(g, g->n_places, to_of, &s->into_first, &s->into) &&
		      sort_edges(g, g->n_places, from_of, &s->out_first, &s->out) &&
		      sort_edges(g, g->n_rules, callee_of, &s->calls_first, &s->calls) &&
		      rx_grow(g->pool, (void **)&g->places, g->n_places, &g->cap_places, sizeof *g->places);
	enum hokku_code rc = enough               ? find_living_edges(s)
			     : rx_failed(g->pool) ? limit_passed(g, s->err)
						  : no_memory(s->err);
	if (rc)
		goto out;
	memset(&g->places[g->n_places], 0, sizeof *g->places);
	ask_backwards(s, GOOD);
	if (!g->places[g->rules[0].start].good) {
		g->empty = true;
		rc = err_set(s->err, HOKKU_INVALID_REQUEST, "no text at all has this shape");
		goto out;
	}
	ask_backwards(s, MAY_END);
	for (rule_id r = 0; r < g->n_rules; r++)
		g->rules[r].may_be_empty = g->places[g->rules[r].start].may_end;
	find_reachable(s);
	cut(s, kept);
	free(s->into_first);
	free(s->into);
	s->into_first = s->into = NULL;
	if (!sort_edges(g, g->n_places, to_of, &s->into_first, &s->into)) {
		rc = no_memory(s->err);
		goto out;
	}
	find_only_ends(s);
	find_fronts(s);
	rc = rank_rules(s);
out:
	free(kept);
	return rc;
}

bool grammar_is_empty(const struct grammar *g)
{
	return g->empty;
}

enum hokku_code grammar_seal(struct grammar *g, struct hokku_error *err)
{
	struct seal s = {.g = g, .err = err};
	if (grammar_failed(g))
		return limit_passed(g, err);
	if (!g->n_rules)
		return err_set(err, HOKKU_INVALID_REQUEST, "the grammar has no rules");
	enum hokku_code rc = seal(&s);
	void *all[] = {s.into_first, s.into, s.calls_first, s.calls, s.out_first, s.out, s.todo, s.alive};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	return rc;
}
