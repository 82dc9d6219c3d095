/* Building a grammar: rules, places and edges as they come. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constrain/grammar_internal.h"
#include "constrain/rx_internal.h"

#define ROOM(g, name) \
	rx_grow((g)->pool, (void **)&(g)->name, (g)->n_##name, &(g)->cap_##name, sizeof *(g)->name)

struct grammar *grammar_new(struct rx_pool *p)
{
	struct grammar *g = p ? calloc(1, sizeof *g) : NULL;
	if (!g) {
		rx_pool_free(p);
		return NULL;
	}
	g->pool = p;
	return g;
}

void grammar_free(struct grammar *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->n_rules; i++)
		free(g->rules[i].name);
	free(g->rules);
	free(g->places);
	free(g->edges);
	rx_pool_free(g->pool);
	free(g);
}

struct rx_pool *grammar_pool(struct grammar *g)
{
	return g->pool;
}

/* In a grammar that has failed everything is rule 0 and place 0, which need not be there. */
static place_id new_place(struct grammar *g, rule_id r)
{
	g->too_many_places |= g->n_places >= GRAMMAR_MAX_PLACES;
	if (g->too_many_places || !ROOM(g, places))
		g->failed = true;
	if (g->failed || !rx_charge(g->pool, 1))
		return 0;
	g->places[g->n_places] = (struct grammar_place){.rule = r};
	return g->n_places++;
}

rule_id grammar_rule(struct grammar *g, const char *name)
{
	g->too_many_rules |= g->n_rules >= GRAMMAR_MAX_RULES;
	if (g->too_many_rules || !ROOM(g, rules))
		g->failed = true;
	if (g->failed)
		return 0;
	struct grammar_rule rule = {.name = name ? strdup(name) : NULL};
	if (name && !rule.name) {
		g->failed = true;
		return 0;
	}
	rule.start = new_place(g, g->n_rules);
	rule.end = new_place(g, g->n_rules);
	g->rules[g->n_rules] = rule;
	return g->n_rules++;
}

place_id grammar_start(const struct grammar *g, rule_id r)
{
	return r < g->n_rules ? g->rules[r].start : 0;
}

place_id grammar_end(const struct grammar *g, rule_id r)
{
	return r < g->n_rules ? g->rules[r].end : 0;
}

place_id grammar_place(struct grammar *g, place_id beside)
{
	return beside < g->n_places ? new_place(g, g->places[beside].rule) : 0;
}

static void add_edge(struct grammar *g, place_id from, place_id to, enum edge_kind kind, uint32_t what)
{
	if (g->failed || g->pool->failed)
		return;
	assert(from < g->n_places && to < g->n_places && g->places[from].rule == g->places[to].rule);
	if (!ROOM(g, edges)) {
		g->failed = true;
		return;
	}
	g->edges[g->n_edges++] = (struct grammar_edge){from, to, kind, what};
	rx_charge(g->pool, 1);
}

void grammar_reads(struct grammar *g, place_id from, place_id to, rx text)
{
	if (text == RX_EMPTY)
		add_edge(g, from, to, EDGE_SKIPS, 0);
	else if (text != RX_NONE)
		add_edge(g, from, to, EDGE_READS, text);
}

void grammar_calls(struct grammar *g, place_id from, place_id to, rule_id callee)
{
	assert(g->failed || g->pool->failed || callee < g->n_rules);
	add_edge(g, from, to, EDGE_CALLS, callee);
}

void grammar_skips(struct grammar *g, place_id from, place_id to)
{
	if (from != to)
		add_edge(g, from, to, EDGE_SKIPS, 0);
}

void grammar_distinct(struct grammar *g)
{
	g->distinct = true;
}

bool grammar_failed(const struct grammar *g)
{
	return g->failed || rx_failed(g->pool);
}

const char *grammar_rule_name(const struct grammar *g, rule_id r, char out[64])
{
	const char *name = g->rules[r].name;
	if (name)
		snprintf(out, 64, "%.60s", name);
	else
		snprintf(out, 64, "rule-%u", (unsigned)r);
	return out;
}
