#include <stdlib.h>

#include "text/tokenizer_internal.h"

enum hokku_code merges_create(struct merges *m, uint64_t n, struct hokku_error *err)
{
	unsigned bits = 4;
	while (((uint64_t)1 << bits) < n + n / 2)
		bits++;
	m->mask = ((uint64_t)1 << bits) - 1;
	m->shift = 64 - bits;
	m->slots = malloc((m->mask + 1) * sizeof *m->slots);
	if (!m->slots)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %llu merges", (unsigned long long)n);
	for (uint64_t i = 0; i <= m->mask; i++)
		m->slots[i] = (struct merge_slot){MERGE_EMPTY, 0};
	return HOKKU_OK;
}

void merges_destroy(struct merges *m)
{
	free(m->slots);
	m->slots = NULL;
}

bool merges_put(struct merges *m, uint32_t left, uint32_t right, uint64_t value, uint64_t *earlier)
{
	uint64_t key = (uint64_t)left << 32 | right;
	uint64_t i = (key * 0x9E3779B97F4A7C15u) >> m->shift;
	for (; m->slots[i].key != MERGE_EMPTY; i = (i + 1) & m->mask) {
		if (m->slots[i].key == key) {
			*earlier = m->slots[i].value;
			return false;
		}
	}
	m->slots[i] = (struct merge_slot){key, value};
	return true;
}

/* Merges of one rank are one to the order: the leftmost goes first, whatever it makes. */
static inline uint32_t rank_of(uint64_t value)
{
	return (uint32_t)(value >> 32);
}

/* Up to so many ids the plain loop is faster than a heap: nearly every piece of real text. */
enum { BPE_SMALL = 48 };

static size_t merge_small(const struct merges *m, int32_t *ids, size_t n)
{
	uint64_t value[BPE_SMALL]; /* of the pair (i, i + 1) */
	for (size_t i = 0; i + 1 < n; i++)
		value[i] = merges_get(m, (uint32_t)ids[i], (uint32_t)ids[i + 1]);
	while (n > 1) {
		size_t best = 0;
		for (size_t i = 1; i + 1 < n; i++)
			if (rank_of(value[i]) < rank_of(value[best]))
				best = i;
		if (value[best] == MERGE_NONE)
			break;
		ids[best] = (int32_t)(uint32_t)value[best];
		n--;
		for (size_t i = best + 1; i < n; i++) {
			ids[i] = ids[i + 1];
			value[i - 1] = value[i];
		}
		if (best + 1 < n)
			value[best] = merges_get(m, (uint32_t)ids[best], (uint32_t)ids[best + 1]);
		if (best > 0)
			value[best - 1] = merges_get(m, (uint32_t)ids[best - 1], (uint32_t)ids[best]);
	}
	return n;
}

/*
 * Long pieces, O(n log n): a linked list of symbols, and the pairs that a merge joins in the order of rank,
 * the leftmost of one rank first. A pair's place in that order is one number, rank << 32 | position: what is
 * sorted is small, which decides the time of megabytes. The pairs at the beginning are sorted once; those
 * that merges make go through a heap. A place is stale where its position has another rank by now.
 */
struct node {
	uint64_t value; /* of the pair (this, next), or MERGE_NONE */
	int32_t id;
	uint32_t previous, next; /* LINK_NONE at the ends */
};
#define LINK_NONE UINT32_MAX

struct order {
	uint64_t *sorted; /* (n_sorted), of which the first `at` are done */
	size_t n_sorted, at;
	uint64_t *heap; /* (n_heap), four children a node */
	size_t n_heap, cap;
};

static uint64_t place_of(uint64_t value, size_t at)
{
	return (uint64_t)rank_of(value) << 32 | at;
}

/* Sorts by rank; places of one rank keep their order, which is that of their positions. */
static bool sort_places(uint64_t *places, size_t n)
{
	enum { BITS = 11, PASSES = 2, SIZE = 1 << BITS };
	_Static_assert(TOK_MAX_MERGES <= 1 << (BITS * PASSES) && TOK_MAX_TOKENS <= 1 << (BITS * PASSES),
		       "ranks fit");
	uint64_t *other = malloc(n * sizeof *other);
	if (!other)
		return false;
	for (unsigned pass = 0; pass < PASSES; pass++) {
		size_t from[SIZE] = {0}, sum = 0;
		const unsigned shift = 32 + pass * BITS;
		uint64_t *source = pass ? other : places, *to = pass ? places : other;
		for (size_t i = 0; i < n; i++)
			from[source[i] >> shift & (SIZE - 1)]++;
		for (size_t i = 0; i < SIZE; i++) {
			size_t count = from[i];
			from[i] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[from[source[i] >> shift & (SIZE - 1)]++] = source[i];
	}
	free(other);
	return true;
}

static bool heap_push(struct order *o, uint64_t place)
{
	if (o->n_heap == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 256;
		uint64_t *larger = realloc(o->heap, cap * sizeof *larger);
		if (!larger)
			return false;
		o->heap = larger;
		o->cap = cap;
	}
	size_t i = o->n_heap++;
	for (; i > 0 && place < o->heap[(i - 1) / 4]; i = (i - 1) / 4)
		o->heap[i] = o->heap[(i - 1) / 4];
	o->heap[i] = place;
	return true;
}

static uint64_t heap_pop(struct order *o)
{
	uint64_t *h = o->heap, top = h[0], moving = h[--o->n_heap];
	size_t i = 0, n = o->n_heap;
	for (size_t child; (child = 4 * i + 1) < n; i = child) {
		size_t end = child + 4 < n ? child + 4 : n;
		for (size_t k = child + 1; k < end; k++)
			if (h[k] < h[child])
				child = k;
		if (h[child] >= moving)
			break;
		h[i] = h[child];
	}
	h[i] = moving;
	return top;
}

/* False once nothing is left. */
static bool next_place(struct order *o, uint64_t *place)
{
	bool has = o->at < o->n_sorted;
	if (o->n_heap && (!has || o->heap[0] < o->sorted[o->at]))
		*place = heap_pop(o);
	else if (has)
		*place = o->sorted[o->at++];
	else
		return false;
	return true;
}

/* The pair at a position is another; where it can be merged, it gets its place. */
static bool renew(const struct merges *m, struct node *nodes, uint32_t at, struct order *o)
{
	struct node *left = &nodes[at];
	left->value = left->next == LINK_NONE
			      ? MERGE_NONE
			      : merges_get(m, (uint32_t)left->id, (uint32_t)nodes[left->next].id);
	return left->value == MERGE_NONE || heap_push(o, place_of(left->value, at));
}

static bool merge_places(const struct merges *m, struct node *nodes, struct order *o)
{
	for (uint64_t place; next_place(o, &place);) {
		uint32_t at = (uint32_t)place;
		struct node *left = &nodes[at];
		if (left->value == MERGE_NONE || rank_of(left->value) != place >> 32)
			continue;
		struct node *right = &nodes[left->next];
		left->id = (int32_t)(uint32_t)left->value;
		left->next = right->next;
		right->value = MERGE_NONE;
		if (left->next != LINK_NONE)
			nodes[left->next].previous = at;
		if (!renew(m, nodes, at, o) ||
		    (left->previous != LINK_NONE && !renew(m, nodes, left->previous, o)))
			return false;
	}
	return true;
}

/* Fewer are not worth the sort's tables. */
enum { SORT_MIN = 1024 };

static size_t merge_long(const struct merges *m, int32_t *ids, size_t n)
{
	struct node *nodes = malloc(n * sizeof *nodes);
	struct order o = {.sorted = malloc(n * sizeof *o.sorted)};
	size_t left = 0;
	bool ok = nodes && o.sorted;
	for (size_t i = 0; ok && i < n; i++) {
		uint64_t value =
			i + 1 < n ? merges_get(m, (uint32_t)ids[i], (uint32_t)ids[i + 1]) : MERGE_NONE;
		nodes[i] = (struct node){value, ids[i], i ? (uint32_t)i - 1 : LINK_NONE,
					 i + 1 < n ? (uint32_t)i + 1 : LINK_NONE};
		if (value != MERGE_NONE && n >= SORT_MIN)
			o.sorted[o.n_sorted++] = place_of(value, i);
		else if (value != MERGE_NONE)
			ok = heap_push(&o, place_of(value, i));
	}
	ok = ok && (o.n_sorted == 0 || sort_places(o.sorted, o.n_sorted)) && merge_places(m, nodes, &o);
	for (uint32_t i = 0; ok && i != LINK_NONE; i = nodes[i].next)
		ids[left++] = nodes[i].id;
	free(nodes);
	free(o.sorted);
	free(o.heap);
	return left;
}

size_t bpe_merge(const struct merges *m, int32_t *ids, size_t n)
{
	return n <= BPE_SMALL ? merge_small(m, ids, n) : merge_long(m, ids, n);
}
