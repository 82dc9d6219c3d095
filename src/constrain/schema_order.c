/*
 * In which orders the properties of an object may come. Each `properties` says one for its own names. Where
 * several of them hold for one object (allOf, $ref, if, dependencies ...), what none of them orders may come
 * either way, as far as the ways are few: a node is a set of properties that are dealt with, written or left
 * out; an edge writes one, and leaves out what would have to stand before it.
 */
#include "constrain/schema_internal.h"

enum { WORDS = SCHEMA_MAX_ORDERED / 64 };

struct props_set {
	uint64_t words[WORDS];
};

struct ordering {
	struct schema *s;
	const struct obj *o;
	const struct prop **props;
	uint32_t n;
	struct props_set *before; /* of each: all that must come before it */
	struct props_set *nodes;
	uint32_t n_nodes;
	struct order_edge *edges; /* from a node: those of the next node begin behind them */
	uint32_t n_edges, *first_edge;
};

static bool has(const struct props_set *a, uint32_t i)
{
	return a->words[i / 64] >> (i % 64) & 1;
}

static void add(struct props_set *a, uint32_t i)
{
	a->words[i / 64] |= 1ull << (i % 64);
}

static void add_all(struct props_set *a, const struct props_set *b)
{
	for (uint32_t k = 0; k < WORDS; k++)
		a->words[k] |= b->words[k];
}

static bool is_same(const struct props_set *a, const struct props_set *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static uint32_t size_of(const struct props_set *a)
{
	uint32_t n = 0;
	for (uint32_t k = 0; k < WORDS; k++)
		n += (uint32_t)__builtin_popcountll(a->words[k]);
	return n;
}

static uint32_t index_of(const struct ordering *r, struct str key)
{
	uint32_t i = 0;
	while (i < r->n && !str_eq(r->props[i]->key, key))
		i++;
	return i;
}

/* u before v, unless v stands before u already: then the schema that was met first is believed. */
static void relate(struct ordering *r, uint32_t u, uint32_t v)
{
	if (u == v || has(&r->before[u], v) || has(&r->before[v], u))
		return;
	for (uint32_t x = 0; x < r->n; x++)
		if (x == v || has(&r->before[x], v)) {
			add_all(&r->before[x], &r->before[u]);
			add(&r->before[x], u);
		}
}

static void relate_all(struct ordering *r)
{
	memset(r->before, 0, r->n * sizeof *r->before);
	for (uint32_t i = 0; i < r->o->n_orders; i++) {
		const struct order *order = &r->o->orders[i];
		uint32_t before = r->n;
		schema_work(r->s, 1 + (uint64_t)order->n * r->n / 8);
		for (uint32_t k = 0; k < order->n; k++) {
			uint32_t at = index_of(r, order->keys[k]);
			if (at < r->n && before < r->n)
				relate(r, before, at);
			before = at < r->n ? at : before;
		}
	}
	/* What is only required comes last, one after the other. */
	for (uint32_t i = 1; i < r->n; i++)
		for (uint32_t k = 0; k < i && r->props[i]->late; k++)
			relate(r, k, i);
}

/* Puts r->props in the first order that fits all: of those that may come next, the first that was met. */
static void sort(struct ordering *r)
{
	const struct prop **sorted = schema_alloc(r->s, r->n, sizeof(void *));
	struct props_set done = {0};
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t i = 0;
		for (;; i++) {
			bool ready = !has(&done, i);
			for (uint32_t w = 0; w < WORDS && ready; w++)
				ready = !(r->before[i].words[w] & ~done.words[w]);
			if (ready)
				break;
		}
		add(&done, i);
		sorted[k] = r->props[i];
	}
	memcpy(r->props, sorted, r->n * sizeof(void *));
}

static bool is_one_order(const struct ordering *r)
{
	for (uint32_t i = 1; i < r->n; i++)
		if (!has(&r->before[i], i - 1))
			return false;
	return true;
}

/* After what is left out for it, p may be written: nothing of that is required. */
static bool may_write(const struct ordering *r, const struct props_set *node, uint32_t p)
{
	for (uint32_t i = 0; i < p; i++)
		if (r->props[i]->required && has(&r->before[p], i) && !has(node, i))
			return false;
	return !has(node, p);
}

/* The nodes in the order in which they are met; false: too many, or too many edges. */
static bool find_nodes(struct ordering *r)
{
	r->n_nodes = 1; /* nothing is dealt with */
	for (uint32_t i = 0; i < r->n_nodes; i++) {
		r->first_edge[i] = r->n_edges;
		for (uint32_t p = 0; p < r->n; p++) {
			if (!may_write(r, &r->nodes[i], p))
				continue;
			struct props_set next = r->nodes[i];
			add_all(&next, &r->before[p]);
			add(&next, p);
			uint32_t to = 0;
			while (to < r->n_nodes && !is_same(&r->nodes[to], &next))
				to++;
			if (to == SCHEMA_MAX_ORDER_NODES || r->n_edges == SCHEMA_MAX_ORDER_EDGES)
				return false;
			if (to == r->n_nodes)
				r->nodes[r->n_nodes++] = next;
			r->edges[r->n_edges++] = (struct order_edge){p, to};
		}
		schema_work(r->s, r->n / 4 + r->n_nodes / 4);
	}
	r->first_edge[r->n_nodes] = r->n_edges;
	return true;
}

static bool is_done(const struct ordering *r, const struct props_set *node)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->props[i]->required && !has(node, i))
			return false;
	return true;
}

/* Nodes by how much is dealt with, so that edges lead from smaller numbers to larger ones. */
static void put_out(struct ordering *r, struct orders *out)
{
	struct schema *s = r->s;
	uint32_t *number = schema_alloc(s, r->n_nodes, sizeof *number), n = 0, n_edges = 0;
	uint32_t *at = schema_alloc(s, r->n_nodes, sizeof *at);
	for (uint32_t size = 0; size <= r->n; size++)
		for (uint32_t i = 0; i < r->n_nodes; i++)
			if (size_of(&r->nodes[i]) == size) {
				at[n] = i;
				number[i] = n++;
			}
	struct order_node *nodes = schema_alloc(s, (size_t)n + 1, sizeof *nodes);
	struct order_edge *edges = schema_alloc(s, r->n_edges, sizeof *edges);
	for (uint32_t i = 0; i < n; i++) {
		nodes[i] = (struct order_node){n_edges, is_done(r, &r->nodes[at[i]])};
		for (uint32_t e = r->first_edge[at[i]]; e < r->first_edge[at[i] + 1]; e++)
			edges[n_edges++] = (struct order_edge){r->edges[e].prop, number[r->edges[e].to]};
	}
	nodes[n] = (struct order_node){n_edges, true};
	*out = (struct orders){.nodes = nodes, .n_nodes = n, .edges = edges};
}

void schema_orders(struct schema *s, const struct obj *o, const struct prop **props, uint32_t n,
		   struct orders *out)
{
	struct ordering r = {.s = s, .o = o, .props = props, .n = n};
	*out = (struct orders){.n_nodes = 0};
	if (o->n_orders < 2 || n < 2 || n > SCHEMA_MAX_ORDERED)
		return;
	r.before = schema_alloc(s, n, sizeof *r.before);
	schema_work(s, (uint64_t)n * n / 8);
	relate_all(&r);
	sort(&r);
	relate_all(&r);
	if (is_one_order(&r))
		return;
	r.nodes = schema_alloc(s, SCHEMA_MAX_ORDER_NODES, sizeof *r.nodes);
	r.edges = schema_alloc(s, SCHEMA_MAX_ORDER_EDGES, sizeof *r.edges);
	r.first_edge = schema_alloc(s, SCHEMA_MAX_ORDER_NODES + 1, sizeof *r.first_edge);
	if (!find_nodes(&r) || s->n_order_edges + r.n_edges > SCHEMA_MAX_ALL_ORDERS)
		return;
	s->n_order_edges += r.n_edges;
	put_out(&r, out);
}
