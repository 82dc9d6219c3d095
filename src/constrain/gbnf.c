/*
 * A grammar in llama.cpp's notation. Rules that are not recursive are expressions and stand where they are
 * named; so does whatever in the others has no recursive rule in it. What is large is a rule of its own, that
 * a name that stands in many places does not multiply it.
 */
#include "constrain/gbnf.h"

#include <string.h>

#include "constrain/text.h"

enum { MAX_INLINE = 2000 }; /* parts of an expression that stands where its rule is named */

struct compiler {
	struct gbnf_text *t;
	struct grammar *g;
	rule_id *made;            /* by rule: what it is in the grammar, + 1; 0: none yet */
	uint32_t *queue, n_queue; /* rules that were made, in that order */
	rule_id root;
};

/* ---- what is regular ---- */

static bool is_inline(const struct gbnf_node *n)
{
	return n->regular && n->size <= MAX_INLINE;
}

/* Whether n is regular, and its size. Rules that it names are judged before, or they are not regular. */
static void judge(struct gbnf_text *t, struct gbnf_node *n)
{
	bool regular = n->kind != G_RULE || is_inline(t->rules[n->rule].body);
	uint64_t size = n->kind == G_TEXT ? n->size : n->kind == G_RULE ? t->rules[n->rule].body->size : 1;
	for (uint32_t i = 0; i < n->n_kids; i++) {
		judge(t, n->kids[i]);
		regular &= n->kids[i]->regular;
		size += n->kids[i]->size;
	}
	n->regular = regular;
	n->size = size;
}

/* The expression of what is regular. */
static rx expression(struct gbnf_text *t, struct gbnf_node *n)
{
	struct rx_pool *p = t->pool;
	rx r = n->kind == G_OR ? RX_NONE : RX_EMPTY;
	if (n->made || rx_failed(p))
		return n->text;
	switch (n->kind) {
	case G_RULE:
		r = expression(t, t->rules[n->rule].body); /* made before */
		break;
	case G_OR:
		for (uint32_t i = 0; i < n->n_kids; i++)
			r = rx_or(p, r, expression(t, n->kids[i]));
		break;
	case G_REPEAT:
		r = rx_repeat(p, expression(t, n->kids[0]), n->min, n->max);
		break;
	default:
		for (uint32_t i = n->n_kids; i-- > 0;)
			r = rx_cat(p, expression(t, n->kids[i]), r);
	}
	n->made = true;
	return n->text = r;
}

/* Expressions for the rules that name only such, from those that name none upwards; then the others are
 * judged. */
static bool find_regular(struct gbnf_text *t)
{
	/* The rules that name rule i: namers[first[i]] to namers[first[i + 1] - 1]. */
	uint32_t *first = arena_array(t->arena, (size_t)t->n_rules + 2, sizeof *first);
	uint32_t *namers = arena_array(t->arena, (size_t)t->n_references + 1, sizeof *namers);
	uint32_t *n_waits = arena_array(t->arena, t->n_rules, sizeof *n_waits);
	uint32_t *order = arena_array(t->arena, t->n_rules, sizeof *order), n_order = 0;
	if (!first || !namers || !n_waits || !order)
		return gbnf_no_memory(t);
	for (uint32_t i = 0; i < t->n_references; i++) {
		n_waits[t->references[i]->within]++;
		first[t->references[i]->rule + 2]++;
	}
	for (uint32_t i = 2; i < t->n_rules + 2; i++)
		first[i] += first[i - 1];
	for (uint32_t i = 0; i < t->n_references; i++)
		namers[first[t->references[i]->rule + 1]++] = t->references[i]->within;
	for (uint32_t i = 0; i < t->n_rules; i++)
		if (!n_waits[i])
			order[n_order++] = i;
	for (uint32_t at = 0; at < n_order; at++) {
		struct gbnf_node *body = t->rules[order[at]].body;
		judge(t, body);
		if (!is_inline(body))
			continue;
		expression(t, body);
		for (uint32_t i = first[order[at]]; i < first[order[at] + 1]; i++)
			if (--n_waits[namers[i]] == 0)
				order[n_order++] = namers[i];
	}
	for (uint32_t i = 0; i < t->n_rules; i++)
		if (n_waits[i])
			judge(t, t->rules[i].body);
	return true;
}

/* ---- rules and places ---- */

static rule_id rule_of(struct compiler *c, uint32_t rule)
{
	struct gbnf_text *t = c->t;
	if (!c->made[rule]) {
		char *name = arena_strdup(t->arena, t->rules[rule].name.ptr, t->rules[rule].name.len);
		if (!name)
			gbnf_no_memory(t);
		c->made[rule] = grammar_rule(c->g, name) + 1;
		c->queue[c->n_queue++] = rule;
	}
	return c->made[rule] - 1;
}

static void put(struct compiler *c, struct gbnf_node *n, place_id from, place_id to);

/* One of several copies of n: what is not short is a rule, made at the first. */
static void put_copy(struct compiler *c, struct gbnf_node *n, rule_id *rule, place_id from, place_id to)
{
	if (is_inline(n) || n->kind == G_RULE) {
		put(c, n, from, to);
		return;
	}
	if (*rule == UINT32_MAX) {
		*rule = grammar_rule(c->g, NULL);
		put(c, n, grammar_start(c->g, *rule), grammar_end(c->g, *rule));
	}
	grammar_calls(c->g, from, to, *rule);
}

/* Any number of times, none too. */
static void put_loop(struct compiler *c, struct gbnf_node *n, rule_id *rule, place_id from, place_id to)
{
	place_id before = grammar_place(c->g, from), after = grammar_place(c->g, from);
	grammar_skips(c->g, from, before);
	if (*rule == UINT32_MAX)
		put(c, n, before, after);
	else
		put_copy(c, n, rule, before, after);
	grammar_skips(c->g, after, before);
	grammar_skips(c->g, before, to);
}

static void put_repeat(struct compiler *c, struct gbnf_node *n, place_id from, place_id to)
{
	struct gbnf_node *body = n->kids[0];
	rule_id rule = UINT32_MAX;
	uint32_t n_copies = n->max == RX_UNBOUNDED ? n->min : n->max;
	if (n_copies > GBNF_MAX_COUNT) {
		gbnf_fail(c->t, n->at, "a count of %u for what is recursive or large; the limit is %d",
			  n_copies, GBNF_MAX_COUNT);
		return;
	}
	if (n_copies <= 1 && n->min == 0) { /* * and ? */
		if (n->max == RX_UNBOUNDED)
			put_loop(c, body, &rule, from, to);
		else if (n->max)
			put(c, body, from, to);
		if (n->max != RX_UNBOUNDED)
			grammar_skips(c->g, from, to);
		return;
	}
	for (uint32_t i = 0; i < n_copies && !grammar_failed(c->g); i++) {
		place_id next = grammar_place(c->g, from);
		if (i >= n->min)
			grammar_skips(c->g, from, to);
		put_copy(c, body, &rule, from, next);
		from = next;
	}
	if (n->max == RX_UNBOUNDED)
		put_loop(c, body, &rule, from, to);
	else
		grammar_skips(c->g, from, to);
}

/* Puts what leads from the one place to the other. */
static void put(struct compiler *c, struct gbnf_node *n, place_id from, place_id to)
{
	if (c->t->rc || grammar_failed(c->g))
		return;
	if (is_inline(n)) {
		grammar_reads(c->g, from, to, expression(c->t, n));
		return;
	}
	switch (n->kind) {
	case G_TEXT:
		grammar_reads(c->g, from, to, n->text);
		break;
	case G_RULE:
		grammar_calls(c->g, from, to, rule_of(c, n->rule));
		break;
	case G_REPEAT:
		put_repeat(c, n, from, to);
		break;
	case G_OR:
		for (uint32_t i = 0; i < n->n_kids; i++)
			put(c, n->kids[i], from, to);
		break;
	case G_CAT:
		for (uint32_t i = 0; i < n->n_kids; i++) {
			place_id next = i + 1 < n->n_kids ? grammar_place(c->g, from) : to;
			put(c, n->kids[i], from, next);
			from = next;
		}
		break;
	}
}

static bool compile(struct compiler *c)
{
	struct gbnf_text *t = c->t;
	const struct gbnf_rule *root = gbnf_find(t, STR_LIT("root"));
	if (!root) {
		t->rc = err_set(t->err, HOKKU_INVALID_REQUEST,
				"there is no rule \"root\", with which texts begin: root ::= ... is wanted");
		return false;
	}
	c->made = arena_array(t->arena, t->n_rules, sizeof *c->made);
	c->queue = arena_array(t->arena, t->n_rules, sizeof *c->queue);
	if (!c->made || !c->queue)
		return gbnf_no_memory(t);
	if (!find_regular(t))
		return false;
	c->root = rule_of(c, (uint32_t)(root - t->rules));
	for (uint32_t i = 0; i < c->n_queue && !t->rc && !grammar_failed(c->g); i++) {
		rule_id rule = c->made[c->queue[i]] - 1;
		put(c, t->rules[c->queue[i]].body, grammar_start(c->g, rule), grammar_end(c->g, rule));
	}
	return !t->rc;
}

enum hokku_code gbnf_into(struct grammar *g, struct str text, rule_id *root, struct constrain_fault *fault,
			  struct hokku_error *err)
{
	struct arena arena = {0};
	struct gbnf_text t = {
		.text = text, .arena = &arena, .pool = grammar_pool(g), .fault = fault, .err = err};
	struct compiler c = {.t = &t, .g = g};
	if (fault)
		fault->place[0] = '\0';
	if (gbnf_parse(&t) == HOKKU_OK && !rx_failed(t.pool))
		compile(&c);
	*root = c.root;
	if (!t.rc && rx_failed(t.pool))
		t.rc = err_set(err, HOKKU_INVALID_REQUEST,
			       "the grammar takes more memory or work than a shape may; make it smaller");
	arena_free(&arena);
	return t.rc;
}

enum hokku_code gbnf_compile(struct grammar *g, struct str text, struct constrain_fault *fault,
			     struct hokku_error *err)
{
	rule_id root;
	return gbnf_into(g, text, &root, fault, err);
}
