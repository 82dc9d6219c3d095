/*
 * What a pool of expressions holds, for the files rx*.c and for those that walk a vocabulary with one.
 *
 * A node's parts have smaller numbers than itself, so what concerns a node can be counted from its parts when
 * it is made, and a pool can be cut back to its first nodes.
 */
#ifndef CONSTRAIN_RX_INTERNAL_H
#define CONSTRAIN_RX_INTERNAL_H

#include "constrain/rx.h"

enum rx_kind {
	RX_IS_NONE,
	RX_IS_EMPTY,
	RX_IS_ALL,
	RX_IS_SET,
	RX_IS_CAT,
	RX_IS_REPEAT,
	RX_IS_OR,
	RX_IS_AND,
	RX_IS_NOT,
	RX_IS_VAR,
	RX_IS_TOKEN
};
enum rx_life { RX_UNKNOWN, RX_DEAD, RX_ALIVE };

struct rx_node {
	uint8_t kind, life;
	bool nullable;
	uint32_t a, b, c; /* SET: a set. CAT: head, tail. REPEAT: body, min, max. OR, AND: where its list
			     begins, how many. NOT: what. VAR: its meaning, its own number. TOKEN: which */
	uint32_t classes; /* of bytes after which the same remains */
	uint32_t least;   /* no shorter text matches; UINT32_MAX: at least that */
	uint32_t row;     /* of its derivatives by class; 0: none yet */
};

/* Bytes that need not be told apart. */
struct rx_classes {
	uint8_t of[256];
	uint8_t first[256];  /* a byte of the class, one of the alphabet if it has one */
	uint16_t n, n_alive; /* the classes with a byte of the alphabet come first */
};

struct rx_set {
	uint64_t bits[4];
	uint32_t classes; /* once asked for; 0 before */
};

/* Numbers by 64-bit keys or by what the numbers stand for: open addressing, a power of two of slots. */
struct rx_index {
	uint32_t *slots; /* number + 1; 0: free */
	uint32_t n, cap;
};

struct rx_pair {
	uint32_t x, y, z;
};

struct rx_search { /* a step of rx_alive's search */
	rx what;
	uint32_t from; /* number of the step before; itself: the first */
};

struct rx_pool {
	struct rx_limits limits;
	uint64_t work_left;
	size_t bytes;
	bool failed, stopped;

	struct rx_node *nodes;
	uint32_t n_nodes, cap_nodes;
	uint32_t *lists;
	uint32_t n_lists, cap_lists;
	uint32_t *rows;
	uint32_t n_rows, cap_rows;
	struct rx_set *sets;
	uint32_t n_sets, cap_sets;
	struct rx_classes *classes;
	uint32_t n_classes, cap_classes;
	struct rx_pair *meets; /* classes x and y together are z */
	uint32_t n_meets, cap_meets;
	struct rx_index node_index, set_index, class_index, meet_index;

	struct rx_set alphabet;
	uint32_t apart; /* the classes that have a byte each, once they were asked for; 0 before */

	/* Scratch. */
	uint32_t *parts; /* of a union or an intersection that is being made */
	uint32_t n_parts, cap_parts;
	uint32_t *stack;
	uint32_t n_stack, cap_stack;
	struct rx_search *search;
	uint32_t n_search, cap_search;
	uint32_t *heap;
	uint32_t n_heap, cap_heap;
	uint8_t *seen;
	uint32_t cap_seen;
};

enum { RX_UNSET = UINT32_MAX }; /* in a row */

/* Room for one more of array (its fields n_NAME, cap_NAME): false, and the pool has failed. */
bool rx_grow(struct rx_pool *p, void **array, uint32_t n, uint32_t *cap, size_t size);
#define RX_ROOM(p, name, n) rx_grow(p, (void **)&(p)->name, (n), &(p)->cap_##name, sizeof *(p)->name)

bool rx_charge(struct rx_pool *p, uint64_t work); /* false: that was too much */

static inline uint64_t rx_work_left(const struct rx_pool *p)
{
	return p->work_left;
}

/* Numbers of equal content are equal; RX_NONE or 0 if the pool has failed. */
uint32_t rx_intern_node(struct rx_pool *p, struct rx_node node, const uint32_t *list);
uint32_t rx_intern_set(struct rx_pool *p, const uint64_t bits[4]);
uint32_t rx_set_classes(struct rx_pool *p, uint32_t set); /* in it, not in it */
uint32_t rx_meet(struct rx_pool *p, uint32_t x, uint32_t y);
uint32_t rx_meet_parts(struct rx_pool *p, const rx *parts, size_t n); /* the classes of n nodes */
/* The union or intersection of just these, if it was made; RX_NONE: not. */
rx rx_find_list(struct rx_pool *p, enum rx_kind kind, const rx *list, uint32_t n);
enum { RX_ONE_CLASS = 0 }; /* all bytes, but those outside the alphabet apart */

static inline bool rx_set_has(const struct rx_set *s, unsigned byte)
{
	return s->bits[byte >> 6] >> (byte & 63) & 1;
}

static inline const uint32_t *rx_list(const struct rx_pool *p, const struct rx_node *n)
{
	return p->lists + n->a;
}

/* Union (RX_IS_OR) or intersection of p->parts from `from` on, which are taken away. */
rx rx_of_parts(struct rx_pool *p, enum rx_kind kind, uint32_t from);
bool rx_add_part(struct rx_pool *p, rx part);

/* rx_derive, for loops that mostly meet what is remembered. */
static inline rx rx_derive_known(struct rx_pool *p, rx a, uint8_t byte)
{
	const struct rx_node *n = &p->nodes[a];
	uint32_t known = n->row ? p->rows[n->row + p->classes[n->classes].of[byte]] : (uint32_t)RX_UNSET;
	return known != (uint32_t)RX_UNSET ? known : rx_derive(p, a, byte);
}

/* The classes of what remains of a; its derivative by each is the same for all their bytes. */
static inline const struct rx_classes *rx_classes_of(const struct rx_pool *p, rx a)
{
	return &p->classes[p->nodes[a].classes];
}

/*
 * A pool that is used up goes on: rx_recover makes it work again; a cut forgets the nodes from `base` on but
 * for those that are kept and their parts, which get new, smaller numbers in the same order. Between begin
 * and do nothing is made. What a variable means must lie below the base.
 */
struct rx_cut {
	uint32_t base, base_lists;
	bool *kept;   /* by node from base on */
	uint32_t *to; /* their new numbers */
};

void rx_recover(struct rx_pool *p);
bool rx_cut_begin(struct rx_pool *p, struct rx_cut *cut, uint32_t base,
		  uint32_t base_lists); /* false: no memory */
void rx_cut_keep(const struct rx_cut *cut, rx a);
void rx_cut_do(struct rx_pool *p, struct rx_cut *cut);
void rx_cut_end(struct rx_cut *cut);

/* The new number of a node that was kept. */
static inline rx rx_cut_to(const struct rx_cut *cut, rx a)
{
	return a < cut->base ? a : cut->to[a - cut->base];
}

/* The table of nodes anew. */
void rx_index_nodes(struct rx_pool *p);

#endif
