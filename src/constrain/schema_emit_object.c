/*
 * Objects: a grid of places. S(i, c, b) is where the first i properties are dealt with and c are written, b
 * being the bits of what has to be somewhere among them; C(i, c, b) is where a key is to come. c ends at the
 * highest count that makes a difference.
 */
#include "constrain/schema_internal.h"

enum {
	MAX_BITS = 6,
	MAX_ORDERED_STATES = 1024, /* nodes x counts x bits; with more, one order is kept */
};

struct grid {
	struct schema *s;
	const struct obj *o;
	place_id start, end;
	const struct prop **props; /* in the order of writing, those that can be */
	uint32_t n;
	const struct prop *late[SCHEMA_MAX_LATE]; /* once, anywhere among the additional ones */
	uint32_t n_late;
	const struct prop **loose; /* as often as you like, as additional ones are */
	uint32_t n_loose;
	uint32_t required_from; /* past the last required of props */
	struct orders orders;   /* if there are several: i is then a node, the last one past them all */
	uint32_t n_cells;       /* of i */
	uint32_t min, max, top;
	uint32_t n_bits;       /* somes first, then late ones */
	uint32_t optional;     /* bits of late ones that need not be there */
	place_id *after, *key; /* S and C; 0: not made */
};

static size_t cell(const struct grid *g, uint32_t i, uint32_t c, uint32_t bits)
{
	return (((size_t)i * (g->top + 1) + c) << g->n_bits) + bits;
}

static uint32_t next_count(const struct grid *g, uint32_t c)
{
	return c < g->top ? c + 1 : c;
}

static bool may_write(const struct grid *g, uint32_t c)
{
	return c < g->max;
}

static place_id key_place(struct grid *g, uint32_t i, uint32_t c, uint32_t bits)
{
	place_id *p = &g->key[cell(g, i, c, bits)];
	if (!*p)
		*p = grammar_place(g->s->g, g->start);
	return *p;
}

/* Made with its ways on: a comma to the next key, or the closing brace. */
static place_id after_place(struct grid *g, uint32_t i, uint32_t c, uint32_t bits)
{
	struct schema *s = g->s;
	place_id *p = &g->after[cell(g, i, c, bits)];
	if (*p)
		return *p;
	*p = grammar_place(s->g, g->start);
	if (may_write(g, c) && c)
		grammar_reads(s->g, *p, key_place(g, i, c, bits),
			      schema_mark(s, ',', SPACE_BEFORE | SPACE_AFTER));
	if (may_write(g, c) && !c)
		grammar_skips(s->g, *p, key_place(g, i, c, bits));
	bool done = g->orders.n_nodes ? g->orders.nodes[i].done : i >= g->required_from;
	if (done && c >= g->min && (bits | g->optional) + 1 == 1u << g->n_bits)
		grammar_reads(s->g, *p, g->end, schema_mark(s, '}', c ? SPACE_BEFORE : 0));
	return *p;
}

/* Names of additional properties that are written somewhere. */
static void note_kind(struct schema *s, rx keys)
{
	if (keys == s->any_text)
		return;
	schema_work(s, s->n_kinds / 16);
	for (uint32_t i = 0; i < s->n_kinds; i++)
		if (s->kinds[i] == keys)
			return;
	s->kinds = schema_grow(s, s->kinds, s->n_kinds, &s->cap_kinds, sizeof *s->kinds);
	s->kinds[s->n_kinds++] = keys;
}

/* What asks that no name comes twice, and which could; settled when all is written (schema.c). */
static void note_names(const struct grid *g)
{
	struct schema *s = g->s;
	const struct obj *o = g->o;
	uint32_t required = 0;
	for (uint32_t i = 0; i < o->n_props; i++)
		required += o->props[i].required;
	if (o->n_regions && g->min >= required + 2 && !s->counts)
		s->counts = schema_here(s);
	s->wants_some |= o->n_somes && o->n_regions;
	for (uint32_t k = 0; k < o->n_regions; k++)
		note_kind(s, o->regions[k].keys);
	for (uint32_t k = 0; k < g->n_loose; k++) {
		struct str name = g->loose[k]->key;
		note_kind(s, schema_names_rx(s, &name, 1));
	}
}

/* A key that is one of `keys`, then a value, once for each way of fulfilling some of what is still missing.
 */
static void write_pair(struct grid *g, place_id from, rx key, rx names, struct str name, term_id term,
		       uint32_t to, uint32_t c, uint32_t bits)
{
	struct schema *s = g->s;
	uint32_t n_somes = g->o->n_somes;
	for (uint32_t mask = 0; mask < 1u << n_somes; mask++) {
		term_id t = term;
		rx some = names;
		bool fits = !(mask & bits);
		for (uint32_t k = 0; k < n_somes && fits; k++) {
			const struct keys *want = &g->o->somes[k];
			if (!(mask >> k & 1))
				continue;
			t = schema_term_and(s, t, want->term);
			if (names != RX_NONE)
				some = rx_and(s->p, some, want->keys);
			else
				fits = schema_key_in(s, want->keys, name);
		}
		if (!fits || t == TERM_NONE || (mask && names != RX_NONE && !rx_alive(s->p, some)))
			continue;
		rx read = key;
		if (mask && names != RX_NONE)
			note_kind(s, some);
		if (names != RX_NONE) {
			rx quote = rx_byte(s->p, '"');
			read = rx_cat(s->p, quote, rx_cat(s->p, some, rx_cat(s->p, quote, key)));
		}
		place_id value = grammar_place(s->g, g->start);
		grammar_reads(s->g, from, value, read);
		schema_emit(s, value, after_place(g, to, next_count(g, c), bits | mask), t);
	}
}

static void write_declared(struct grid *g, uint32_t i)
{
	struct schema *s = g->s;
	const struct prop *p = g->props[i];
	rx key = schema_key_rx(s, p->key);
	for (uint32_t c = 0; c <= g->top; c++)
		for (uint32_t bits = 0; bits < 1u << g->n_bits; bits++) {
			place_id from = g->key[cell(g, i, c, bits)];
			if (!from)
				continue;
			write_pair(g, from, key, RX_NONE, p->key, p->term, i + 1, c, bits);
			if (!p->required)
				grammar_skips(s->g, from, key_place(g, i + 1, c, bits));
		}
}

/* Where several orders are possible: whatever may be written from node i. */
static void write_ordered(struct grid *g, uint32_t i, const rx *keys)
{
	const struct order_node *node = &g->orders.nodes[i];
	for (uint32_t c = 0; c <= g->top; c++)
		for (uint32_t bits = 0; bits < 1u << g->n_bits; bits++) {
			place_id from = g->key[cell(g, i, c, bits)];
			for (uint32_t e = node->edges; from && e < node[1].edges; e++) {
				const struct order_edge *edge = &g->orders.edges[e];
				const struct prop *p = g->props[edge->prop];
				write_pair(g, from, keys[edge->prop], RX_NONE, p->key, p->term, edge->to, c,
					   bits);
			}
			if (from && node->done)
				grammar_skips(g->s->g, from, key_place(g, g->n_cells - 1, c, bits));
		}
}

static void write_all_declared(struct grid *g)
{
	struct schema *s = g->s;
	rx *keys = schema_alloc(s, g->n, sizeof *keys);
	if (!g->orders.n_nodes) {
		for (uint32_t i = 0; i < g->n; i++)
			write_declared(g, i);
		return;
	}
	for (uint32_t i = 0; i < g->n; i++)
		keys[i] = schema_key_rx(s, g->props[i]->key);
	for (uint32_t i = 0; i < g->orders.n_nodes; i++)
		write_ordered(g, i, keys);
}

/* From a place after the declared ones: what leads on has a higher count or more bits, or is the place. */
static void write_rest(struct grid *g, const rx *names, rx colon, uint32_t c, uint32_t bits)
{
	uint32_t here = g->n_cells - 1;
	place_id from = g->key[cell(g, here, c, bits)];
	if (!from)
		return;
	for (uint32_t k = 0; k < g->n_late; k++) {
		const struct prop *p = g->late[k];
		uint32_t own = 1u << (g->o->n_somes + k);
		if (!(bits & own))
			write_pair(g, from, schema_key_rx(g->s, p->key), RX_NONE, p->key, p->term, here, c,
				   bits | own);
	}
	for (uint32_t k = 0; k < g->n_loose; k++)
		write_pair(g, from, schema_key_rx(g->s, g->loose[k]->key), RX_NONE, g->loose[k]->key,
			   g->loose[k]->term, here, c, bits);
	for (uint32_t k = 0; k < g->o->n_regions; k++)
		if (names[k] != RX_NONE)
			write_pair(g, from, colon, names[k], (struct str){0}, g->o->regions[k].term, here, c,
				   bits);
}

static void write_additional(struct grid *g)
{
	struct schema *s = g->s;
	const struct obj *o = g->o;
	rx *names = schema_alloc(s, o->n_regions, sizeof *names);
	rx colon = schema_mark(s, ':', SPACE_BEFORE | SPACE_AFTER);
	for (uint32_t k = 0; k < o->n_regions; k++)
		names[k] = schema_keys_beside(s, o, o->regions[k].keys);
	for (uint32_t c = 0; c <= g->top; c++)
		for (uint32_t bits = 0; bits < 1u << g->n_bits; bits++)
			write_rest(g, names, colon, c, bits);
}

/* Which properties are written where, and what has to be counted. */
static void plan(struct grid *g)
{
	const struct obj *o = g->o;
	uint32_t n_late = 0, n_all_late = 0, required = 0;
	g->props = schema_alloc(g->s, o->n_props, sizeof(void *));
	g->loose = schema_alloc(g->s, o->n_props, sizeof(void *));
	for (uint32_t i = 0; i < o->n_props; i++) {
		n_late += o->props[i].late && o->props[i].required;
		n_all_late += o->props[i].late && o->props[i].term != TERM_NONE;
		required += o->props[i].required;
	}
	bool all_late = n_all_late <= SCHEMA_MAX_LATE && n_all_late + o->n_somes <= MAX_BITS;
	bool counts = o->n_somes || o->max != SCHEMA_UNBOUNDED || o->min > required;
	for (uint32_t i = 0; i < o->n_props; i++) {
		const struct prop *p = &o->props[i];
		if (p->term == TERM_NONE)
			continue;
		if (p->late && (all_late || (p->required && n_late <= SCHEMA_MAX_LATE))) {
			g->optional |= p->required ? 0 : 1u << (o->n_somes + g->n_late);
			g->late[g->n_late++] = p;
		} else if (p->late && !p->required && !counts) {
			g->loose[g->n_loose++] = p;
		} else {
			g->props[g->n++] = p;
		}
	}
	schema_orders(g->s, o, g->props, g->n, &g->orders);
	for (uint32_t i = 0; i < g->n; i++)
		if (g->props[i]->required)
			g->required_from = i + 1;
	g->min = o->min <= required ? 0 : o->min;
	g->max = o->max;
	if (!o->n_regions && g->max >= g->n + g->n_late)
		g->max = SCHEMA_UNBOUNDED;
	g->top = g->max != SCHEMA_UNBOUNDED ? g->max : g->min;
	if (!g->top)
		g->top = 1;
	g->n_bits = o->n_somes + g->n_late;
}

void schema_emit_obj(struct schema *s, place_id from, place_id to, const struct obj *o)
{
	struct grid g = {.s = s, .o = o, .start = from, .end = to};
	plan(&g);
	if ((uint64_t)g.orders.n_nodes * (g.top + 1) << g.n_bits > MAX_ORDERED_STATES)
		g.orders.n_nodes = 0;
	g.n_cells = (g.orders.n_nodes ? g.orders.n_nodes : g.n) + 1;
	uint64_t states = (uint64_t)g.n_cells * (g.top + 1);
	if (g.n_bits > MAX_BITS || states << g.n_bits > SCHEMA_MAX_STATES)
		schema_refuse(
			s, schema_here(s), NULL,
			"an object with %u properties of which up to %u are counted takes more than %d states; "
			"smaller minProperties or maxProperties, or fewer negated additionalProperties, would do",
			g.n + g.n_late, g.top, SCHEMA_MAX_STATES);
	g.after = schema_alloc(s, (size_t)states << g.n_bits, sizeof *g.after);
	g.key = schema_alloc(s, (size_t)states << g.n_bits, sizeof *g.key);
	schema_work(s, states << g.n_bits);
	note_names(&g);
	grammar_reads(s->g, from, after_place(&g, 0, 0, 0), schema_mark(s, '{', SPACE_AFTER));
	write_all_declared(&g);
	write_additional(&g);
}
