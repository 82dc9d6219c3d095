/* Grammars and expressions as people read them. */
#include <stdlib.h>
#include <string.h>

#include "constrain/grammar_internal.h"
#include "constrain/rx_internal.h"

enum { PRINT_MAX_BYTES = 4000, PRINT_MAX_DEPTH = 100, PRINT_MAX_RULES_BYTES = 4 << 20 };

/* How tightly what is printed must hold together. */
enum { LOOSE, IN_AND, IN_CAT, IN_REPEAT };

static void print_byte(struct strbuf *out, unsigned b)
{
	if (b > 0x20 && b < 0x7f) {
		if (strchr("\\[](){}|&*+?.^-\"~", (int)b))
			strbuf_add_c(out, "\\");
		strbuf_add(out, (char[]){(char)b}, 1);
	} else {
		strbuf_addf(out, b == ' ' ? " " : "\\x%02X", b);
	}
}

static void print_set(const struct rx_set *s, struct strbuf *out)
{
	unsigned n = 0, last = 0;
	for (unsigned b = 0; b < 256; b++) {
		n += rx_set_has(s, b);
		last = rx_set_has(s, b) ? b : last;
	}
	if (n == 1) {
		print_byte(out, last);
		return;
	}
	bool flip = n > 128;
	strbuf_add_c(out, flip ? "[^" : "[");
	for (unsigned b = 0; b < 256; b++) {
		unsigned end = b;
		if (rx_set_has(s, b) == flip)
			continue;
		while (end + 1 < 256 && rx_set_has(s, end + 1) != flip)
			end++;
		print_byte(out, b);
		if (end > b + 1)
			strbuf_add_c(out, "-");
		if (end > b)
			print_byte(out, end);
		b = end;
	}
	strbuf_add_c(out, "]");
}

static void print_times(uint32_t min, uint32_t max, struct strbuf *out)
{
	if (max == RX_UNBOUNDED && min <= 1)
		strbuf_add_c(out, min ? "+" : "*");
	else if (min == 0 && max == 1)
		strbuf_add_c(out, "?");
	else if (max == RX_UNBOUNDED)
		strbuf_addf(out, "{%u,}", (unsigned)min);
	else if (min == max)
		strbuf_addf(out, "{%u}", (unsigned)min);
	else
		strbuf_addf(out, "{%u,%u}", (unsigned)min, (unsigned)max);
}

struct printing {
	const struct rx_pool *pool;
	struct strbuf *out;
	size_t limit; /* of out->len */
};

static void print_node(const struct printing *p, rx a, int tight, unsigned depth);

static void print_list(const struct printing *p, const struct rx_node *n, unsigned depth)
{
	bool is_or = n->kind == RX_IS_OR;
	for (uint32_t i = 0; i < n->b && p->out->len < p->limit; i++) {
		if (i)
			strbuf_add_c(p->out, is_or ? "|" : "&");
		print_node(p, rx_list(p->pool, n)[i], is_or ? IN_AND : IN_CAT, depth);
	}
}

/* Chains are loops: what is printed is cut long before a stack would matter. */
static void print_cat(const struct printing *p, rx a, unsigned depth)
{
	const struct rx_node *n = &p->pool->nodes[a];
	while (n->kind == RX_IS_CAT && p->out->len < p->limit) {
		print_node(p, n->a, IN_CAT, depth);
		a = n->b;
		n = &p->pool->nodes[a];
	}
	print_node(p, a, IN_CAT, depth);
}

static void print_node(const struct printing *p, rx a, int tight, unsigned depth)
{
	static const int own[] = {[RX_IS_CAT] = IN_CAT,
				  [RX_IS_OR] = LOOSE,
				  [RX_IS_AND] = IN_AND,
				  [RX_IS_REPEAT] = IN_CAT,
				  [RX_IS_NOT] = IN_CAT};
	const struct rx_node *n = &p->pool->nodes[a];
	if (p->out->len >= p->limit || depth > PRINT_MAX_DEPTH) {
		strbuf_add_c(p->out, "...");
		return;
	}
	bool brackets = n->kind < sizeof own / sizeof own[0] && own[n->kind] < tight && n->kind > RX_IS_SET;
	if (brackets)
		strbuf_add_c(p->out, "(");
	switch (n->kind) {
	case RX_IS_NONE:
		strbuf_add_c(p->out, "[]");
		break;
	case RX_IS_EMPTY:
		strbuf_add_c(p->out, "()");
		break;
	case RX_IS_ALL:
		strbuf_add_c(p->out, ".*");
		break;
	case RX_IS_SET:
		print_set(&p->pool->sets[n->a], p->out);
		break;
	case RX_IS_CAT:
		print_cat(p, a, depth + 1);
		break;
	case RX_IS_REPEAT:
		print_node(p, n->a, IN_REPEAT, depth + 1);
		print_times(n->b, n->c, p->out);
		break;
	case RX_IS_NOT:
		strbuf_add_c(p->out, "~");
		print_node(p, n->a, IN_REPEAT, depth + 1);
		break;
	case RX_IS_OR:
	case RX_IS_AND:
		print_list(p, n, depth + 1);
		break;
	case RX_IS_TOKEN: /* as llama.cpp's grammars write it */
		strbuf_addf(p->out, "<[%u]>", (unsigned)n->a);
		break;
	default: /* a variable: its meaning may lead back to it */
		strbuf_addf(p->out, "<%u>", (unsigned)a);
		break;
	}
	if (brackets)
		strbuf_add_c(p->out, ")");
}

void rx_print(const struct rx_pool *p, rx a, struct strbuf *out)
{
	const struct printing printing = {p, out, out->len + PRINT_MAX_BYTES};
	print_node(&printing, a, LOOSE, 0);
}

static void print_place(const struct grammar *g, rule_id r, place_id p, struct strbuf *out)
{
	if (p == g->rules[r].start)
		strbuf_add_c(out, "start");
	else if (p == g->rules[r].end)
		strbuf_add_c(out, "end");
	else
		strbuf_addf(out, "%u", (unsigned)p);
}

static void print_what(const struct grammar *g, const struct grammar_edge *e, struct strbuf *out)
{
	char name[64];
	if (e->kind == EDGE_CALLS)
		strbuf_addf(out, "<%s>", grammar_rule_name(g, e->what, name));
	else if (e->kind == EDGE_READS)
		rx_print(g->pool, e->what, out);
}

static void print_edge(const struct grammar *g, rule_id r, const struct grammar_edge *e, struct strbuf *out)
{
	strbuf_add_c(out, "  ");
	print_place(g, r, e->from, out);
	strbuf_add_c(out, " -> ");
	print_place(g, r, e->to, out);
	strbuf_add_c(out, ": ");
	print_what(g, e, out);
	strbuf_add_c(out, "\n");
}

/* A rule: on one line if one edge leads from its start to its end, else an edge a line. */
static void print_rule(const struct grammar *g, rule_id r, const place_id *places, uint32_t n,
		       struct strbuf *out)
{
	char name[64];
	const struct grammar_rule *rule = &g->rules[r];
	uint32_t n_edges = 0;
	strbuf_addf(out, "%s ::=", grammar_rule_name(g, r, name));
	for (uint32_t i = 0; i < n; i++)
		n_edges += g->places[places[i] + 1].edges - g->places[places[i]].edges;
	const struct grammar_edge *only = &g->edges[g->places[rule->start].edges];
	if (n_edges == 1 && only->from == rule->start && only->to == rule->end && only->kind != EDGE_SKIPS) {
		strbuf_add_c(out, " ");
		print_what(g, only, out);
		strbuf_add_c(out, "\n");
		return;
	}
	strbuf_add_c(out, "\n");
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = g->places[places[i]].edges; k < g->places[places[i] + 1].edges; k++)
			print_edge(g, r, &g->edges[k], out);
}

void grammar_print(const struct grammar *g, struct strbuf *out)
{
	/* Places by rule: those of r from first[r] to first[r + 1]. */
	uint32_t *first = calloc((size_t)g->n_rules + 2, sizeof *first);
	place_id *places = malloc(((size_t)g->n_places + 1) * sizeof *places);
	if (!first || !places) {
		out->failed = true;
		goto done;
	}
	for (place_id p = 0; p < g->n_places; p++)
		first[g->places[p].rule + 2]++;
	for (uint32_t k = 2; k < g->n_rules + 2; k++)
		first[k] += first[k - 1];
	for (place_id p = 0; p < g->n_places; p++)
		places[first[g->places[p].rule + 1]++] = p;
	for (rule_id r = 0; r < g->n_rules; r++) {
		if (!g->places[g->rules[r].start].reachable)
			continue;
		if (out->len > PRINT_MAX_RULES_BYTES) {
			strbuf_add_c(out, "...\n");
			break;
		}
		print_rule(g, r, places + first[r], first[r + 1] - first[r], out);
	}
	if (g->distinct)
		strbuf_add_c(out, "# and no object has a name twice\n");
done:
	free(first);
	free(places);
}
