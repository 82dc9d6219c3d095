/* Derivatives, remembered by class, and whether anything matches at all. */
#include <stdlib.h>
#include <string.h>

#include "constrain/rx_internal.h"

/* ---- derivatives ---- */

/* Those that need no more than a look. */
static bool derive_now(const struct rx_pool *p, rx a, uint8_t byte, rx *out)
{
	const struct rx_node *n = &p->nodes[a];
	switch (n->kind) {
	case RX_IS_NONE:
	case RX_IS_EMPTY:
	case RX_IS_TOKEN:
		*out = RX_NONE;
		return true;
	case RX_IS_ALL:
		*out = RX_ALL;
		return true;
	case RX_IS_SET:
		*out = rx_set_has(&p->sets[n->a], byte) ? RX_EMPTY : RX_NONE;
		return true;
	case RX_IS_CAT:
		if (p->nodes[n->a].kind == RX_IS_SET) {
			*out = rx_set_has(&p->sets[p->nodes[n->a].a], byte) ? n->b : RX_NONE;
			return true;
		}
		break;
	default:
		break;
	}
	if (!n->row)
		return false;
	*out = p->rows[n->row + p->classes[n->classes].of[byte]];
	return *out != RX_UNSET;
}

static bool remember(struct rx_pool *p, rx a, uint8_t byte, rx derivative)
{
	uint32_t n = p->classes[p->nodes[a].classes].n;
	if (p->failed)
		return false;
	if (!p->nodes[a].row) {
		if (!RX_ROOM(p, rows, p->n_rows + n))
			return false;
		memset(p->rows + p->n_rows, 0xff, n * sizeof *p->rows);
		p->nodes[a].row = p->n_rows;
		p->n_rows += n;
	}
	p->rows[p->nodes[a].row + p->classes[p->nodes[a].classes].of[byte]] = derivative;
	return true;
}

/* Puts x on the stack if its derivative is not known yet. */
static void want(struct rx_pool *p, rx x, uint8_t byte)
{
	rx known;
	if (!derive_now(p, x, byte, &known) && RX_ROOM(p, stack, p->n_stack))
		p->stack[p->n_stack++] = x;
}

/* The parts whose derivatives that of a is made of. */
static void want_parts(struct rx_pool *p, rx a, uint8_t byte)
{
	const struct rx_node *n = &p->nodes[a];
	switch (n->kind) {
	case RX_IS_CAT:
		want(p, n->a, byte);
		if (p->nodes[n->a].nullable)
			want(p, n->b, byte);
		break;
	case RX_IS_OR:
	case RX_IS_AND:
		for (uint32_t i = 0; i < n->b; i++)
			want(p, p->lists[n->a + i], byte);
		break;
	default:
		want(p, n->a, byte);
		break;
	}
}

static rx known(const struct rx_pool *p, rx a, uint8_t byte)
{
	rx out = RX_NONE;
	derive_now(p, a, byte, &out);
	return out;
}

static rx derive_list(struct rx_pool *p, const struct rx_node *n, uint8_t byte)
{
	uint32_t from = p->n_parts, list = n->a, n_list = n->b;
	enum rx_kind kind = n->kind;
	rx neutral = kind == RX_IS_OR ? RX_NONE : RX_ALL;
	rx_charge(p, n_list / 4);
	for (uint32_t i = 0; i < n_list; i++) {
		rx part = known(p, p->lists[list + i], byte);
		if (part == RX_NONE && kind == RX_IS_AND) {
			p->n_parts = from;
			return RX_NONE;
		}
		if (part != neutral)
			rx_add_part(p, part);
	}
	return rx_of_parts(p, kind, from);
}

static rx combine(struct rx_pool *p, rx a, uint8_t byte)
{
	const struct rx_node n = p->nodes[a];
	rx first;
	switch (n.kind) {
	case RX_IS_CAT:
		first = rx_cat(p, known(p, n.a, byte), n.b);
		if (!p->nodes[n.a].nullable)
			return first;
		return rx_or(p, first, known(p, n.b, byte));
	case RX_IS_REPEAT:
		return rx_cat(p, known(p, n.a, byte),
			      rx_repeat(p, n.a, n.b ? n.b - 1 : 0, n.c == RX_UNBOUNDED ? n.c : n.c - 1));
	case RX_IS_VAR:
		return known(p, n.a, byte);
	case RX_IS_NOT:
		return rx_not(p, known(p, n.a, byte));
	default:
		return derive_list(p, &n, byte);
	}
}

rx rx_derive(struct rx_pool *p, rx a, uint8_t byte)
{
	rx out = RX_NONE;
	uint32_t from = p->n_stack;
	if (p->failed)
		return RX_NONE;
	if (derive_now(p, a, byte, &out))
		return out;
	want(p, a, byte);
	while (p->n_stack > from && rx_charge(p, 1)) {
		uint32_t top = p->n_stack;
		rx x = p->stack[top - 1];
		if (!derive_now(p, x, byte, &out)) {
			want_parts(p, x, byte);
			if (p->n_stack > top || p->failed)
				continue; /* the parts first; what fails ends at the next charge */
			out = combine(p, x, byte);
			if (!remember(p, x, byte, out))
				continue;
		}
		p->n_stack--;
	}
	p->n_stack = from;
	return p->failed ? RX_NONE : out;
}

bool rx_matches(struct rx_pool *p, rx a, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	for (size_t i = 0; i < n && a != RX_NONE; i++)
		a = rx_derive(p, a, b[i]);
	return !p->failed && p->nodes[a].nullable;
}

/* ---- whether anything matches ---- */

/*
 * A search through the derivatives for one that is known to be alive (the empty text matches, or nothing in
 * it is an intersection or complement of living parts), nearest to an end first. All that was seen is dead
 * where none is found.
 */
static bool nearer(const struct rx_pool *p, uint32_t x, uint32_t y)
{
	uint32_t a = p->nodes[p->search[x].what].least, b = p->nodes[p->search[y].what].least;
	return a != b ? a < b : x > y;
}

static void heap_swap(struct rx_pool *p, uint32_t i, uint32_t k)
{
	uint32_t x = p->heap[i];
	p->heap[i] = p->heap[k];
	p->heap[k] = x;
}

static void heap_add(struct rx_pool *p, uint32_t step)
{
	if (!RX_ROOM(p, heap, p->n_heap))
		return;
	uint32_t i = p->n_heap++;
	p->heap[i] = step;
	for (; i && nearer(p, p->heap[i], p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_swap(p, i, (i - 1) / 2);
}

static uint32_t heap_take(struct rx_pool *p)
{
	uint32_t top = p->heap[0], i = 0;
	p->heap[0] = p->heap[--p->n_heap];
	for (;;) {
		uint32_t best = i;
		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < p->n_heap; k++)
			if (nearer(p, p->heap[k], p->heap[best]))
				best = k;
		if (best == i)
			return top;
		heap_swap(p, i, best);
		i = best;
	}
}

/* Marks what a search has seen; a node that was made since may lie past the end. */
static bool see(struct rx_pool *p, rx a)
{
	uint32_t old = p->cap_seen;
	if (a >= old) {
		if (!RX_ROOM(p, seen, a))
			return false;
		memset(p->seen + old, 0, p->cap_seen - old);
	}
	bool before = p->seen[a];
	p->seen[a] = 1;
	return !before;
}

static void add_step(struct rx_pool *p, rx what, uint32_t from)
{
	if (!see(p, what) || !RX_ROOM(p, search, p->n_search))
		return;
	p->search[p->n_search] = (struct rx_search){what, from};
	heap_add(p, p->n_search++);
}

/* The steps from this one back to the first are alive. */
static void mark_alive(struct rx_pool *p, uint32_t step)
{
	for (;; step = p->search[step].from) {
		p->nodes[p->search[step].what].life = RX_ALIVE;
		if (p->search[step].from == step)
			return;
	}
}

/* True: something alive was reached. */
static bool search_from(struct rx_pool *p, uint32_t step)
{
	rx a = p->search[step].what;
	const struct rx_classes *classes = &p->classes[p->nodes[a].classes];
	unsigned n = classes->n_alive;
	for (unsigned k = 0; k < n && rx_charge(p, 1); k++) {
		rx next = rx_derive(p, a, p->classes[p->nodes[a].classes].first[k]);
		if (p->failed || p->nodes[next].life == RX_DEAD)
			continue;
		if (p->nodes[next].life == RX_ALIVE) {
			mark_alive(p, step);
			return true;
		}
		add_step(p, next, step);
	}
	return false;
}

bool rx_alive(struct rx_pool *p, rx a)
{
	bool found = false;
	if (p->failed || p->nodes[a].life != RX_UNKNOWN)
		return !p->failed && p->nodes[a].life == RX_ALIVE;
	p->n_search = p->n_heap = 0;
	add_step(p, a, 0);
	while (!found && p->n_heap && !p->failed)
		found = search_from(p, heap_take(p));
	for (uint32_t i = 0; i < p->n_search; i++) {
		p->seen[p->search[i].what] = 0;
		if (!found && !p->failed)
			p->nodes[p->search[i].what].life = RX_DEAD;
	}
	return found && !p->failed;
}

/* ---- whether it always goes on ---- */

struct ends_search {
	rx *seen;
	uint32_t n;
	uint32_t *slots; /* number in seen + 1, by expression */
	uint32_t mask;
};

/* False: there is no room. */
static bool add_seen(struct ends_search *e, rx a, uint32_t most)
{
	uint32_t at = a * UINT32_C(2654435769) & e->mask;
	for (; e->slots[at]; at = (at + 1) & e->mask)
		if (e->seen[e->slots[at] - 1] == a)
			return true;
	if (e->n >= most)
		return false;
	e->seen[e->n++] = a;
	e->slots[at] = e->n;
	return true;
}

/* Puts what follows a into e. False: nothing does, or there is no room. */
static bool goes_on(struct rx_pool *p, struct ends_search *e, rx a, uint32_t most)
{
	bool on = false;
	unsigned n = rx_classes_of(p, a)->n_alive;
	for (unsigned k = 0; k < n && rx_charge(p, 1); k++) {
		rx next = rx_derive(p, a, rx_classes_of(p, a)->first[k]);
		if (!rx_alive(p, next))
			continue;
		on = true;
		if (!add_seen(e, next, most))
			return false;
	}
	return on && !p->failed;
}

bool rx_endless(struct rx_pool *p, rx a, uint32_t most)
{
	struct ends_search e = {.mask = 15};
	while (e.mask < 2 * most)
		e.mask = 2 * e.mask + 1;
	e.seen = calloc((size_t)most + 1, sizeof *e.seen);
	e.slots = calloc((size_t)e.mask + 1, sizeof *e.slots);
	bool endless = e.seen && e.slots && !p->failed && rx_alive(p, a);
	endless = endless && add_seen(&e, a, most);
	for (uint32_t i = 0; endless && i < e.n; i++)
		endless = goes_on(p, &e, e.seen[i], most);
	free(e.seen);
	free(e.slots);
	return endless;
}
