/* Variables: an expression that is given a meaning after others were made of it. */
#include <assert.h>

#include "constrain/rx_internal.h"

/* Each byte by itself: before its meaning is known, nothing is known of what a variable tells apart. */
static uint32_t all_apart(struct rx_pool *p)
{
	uint32_t classes = RX_ONE_CLASS;
	if (p->apart)
		return p->apart;
	for (unsigned bit = 0; bit < 8; bit++) {
		uint64_t bytes[4] = {0};
		for (unsigned b = 0; b < 256; b++)
			bytes[b >> 6] |= (uint64_t)(b >> bit & 1) << (b & 63);
		classes = rx_meet(p, classes, rx_set_classes(p, rx_intern_set(p, bytes)));
	}
	return p->apart = classes;
}

rx rx_token(struct rx_pool *p, uint32_t token)
{
	return rx_intern_node(
		p, (struct rx_node){.kind = RX_IS_TOKEN, .life = RX_ALIVE, .a = token, .least = 1}, NULL);
}

rx rx_var(struct rx_pool *p, bool nullable)
{
	struct rx_node n = {.kind = RX_IS_VAR, .a = RX_NONE, .b = p->n_nodes, .nullable = nullable};
	n.least = nullable ? 0 : 1;
	n.life = nullable ? RX_ALIVE : RX_UNKNOWN;
	if (p->failed)
		return RX_NONE;
	n.classes = all_apart(p);
	return rx_intern_node(p, n, NULL);
}

void rx_define(struct rx_pool *p, rx var, rx meaning)
{
	if (p->failed)
		return;
	struct rx_node *n = &p->nodes[var];
	assert(n->kind == RX_IS_VAR && n->a == RX_NONE && n->nullable == p->nodes[meaning].nullable);
	n->a = meaning;
	n->classes = p->nodes[meaning].classes;
}
