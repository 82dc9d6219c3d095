/* A pool cut back to its first nodes and those that somebody still walks with. */
#include <stdlib.h>
#include <string.h>

#include "constrain/rx_internal.h"

void rx_recover(struct rx_pool *p)
{
	p->failed = false;
	p->n_parts = p->n_stack = p->n_search = p->n_heap = 0;
	if (p->seen)
		memset(p->seen, 0, p->cap_seen);
}

static void mark(const struct rx_cut *cut, rx a)
{
	if (a >= cut->base)
		cut->kept[a - cut->base] = true;
}

static void mark_parts(const struct rx_pool *p, const struct rx_cut *cut, const struct rx_node *n)
{
	switch (n->kind) {
	case RX_IS_OR:
	case RX_IS_AND:
		for (uint32_t i = 0; i < n->b; i++)
			mark(cut, rx_list(p, n)[i]);
		break;
	case RX_IS_CAT:
		mark(cut, n->a);
		mark(cut, n->b);
		break;
	case RX_IS_REPEAT:
	case RX_IS_NOT:
		mark(cut, n->a);
		break;
	default:
		break;
	}
}

/* A node in its new place; its list moves down with it, as the nodes' lists lie in their order. */
static void move(struct rx_pool *p, const struct rx_cut *cut, uint32_t from, uint32_t to, uint32_t *n_lists)
{
	struct rx_node n = p->nodes[from];
	if (n.kind == RX_IS_OR || n.kind == RX_IS_AND) {
		for (uint32_t i = 0; i < n.b; i++)
			p->lists[*n_lists + i] = rx_cut_to(cut, p->lists[n.a + i]);
		n.a = *n_lists;
		*n_lists += n.b;
	} else if (n.kind == RX_IS_CAT || n.kind == RX_IS_REPEAT || n.kind == RX_IS_NOT) {
		n.a = rx_cut_to(cut, n.a);
		n.b = n.kind == RX_IS_CAT ? rx_cut_to(cut, n.b) : n.b;
	}
	p->nodes[to] = n;
}

bool rx_cut_begin(struct rx_pool *p, struct rx_cut *cut, uint32_t base, uint32_t base_lists)
{
	uint32_t n = p->n_nodes - base;
	*cut = (struct rx_cut){.base = base, .base_lists = base_lists};
	cut->kept = calloc((size_t)n + 1, sizeof *cut->kept);
	cut->to = malloc(((size_t)n + 1) * sizeof *cut->to);
	return cut->kept && cut->to;
}

void rx_cut_keep(const struct rx_cut *cut, rx a)
{
	mark(cut, a);
}

void rx_cut_do(struct rx_pool *p, struct rx_cut *cut)
{
	uint32_t n = cut->base, n_lists = cut->base_lists;
	for (uint32_t i = p->n_nodes; i-- > cut->base;) /* parts have smaller numbers */
		if (cut->kept[i - cut->base])
			mark_parts(p, cut, &p->nodes[i]);
	for (uint32_t i = cut->base; i < p->n_nodes; i++) {
		if (!cut->kept[i - cut->base])
			continue;
		cut->to[i - cut->base] = n;
		move(p, cut, i, n++, &n_lists);
	}
	p->n_nodes = n;
	p->n_lists = n_lists;
	p->n_rows = 1;
	for (uint32_t i = 0; i < n; i++)
		p->nodes[i].row = 0;
	rx_index_nodes(p);
}

void rx_cut_end(struct rx_cut *cut)
{
	free(cut->kept);
	free(cut->to);
}
