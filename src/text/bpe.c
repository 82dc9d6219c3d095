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

/* A possible merge of the symbols at and after at. It is stale when either has been merged since. */
struct candidate {
	uint64_t value;
	uint32_t at;
	int32_t left, right;
};

struct heap {
	struct candidate *c;
	size_t n, cap;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
	uint32_t x = rank_of(a->value), y = rank_of(b->value);
	return x != y ? x < y : a->at < b->at;
}

static void sift_down(struct heap *h, size_t i)
{
	struct candidate moving = h->c[i];
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && before(&h->c[child + 1], &h->c[child]))
			child++;
		if (!before(&h->c[child], &moving))
			break;
		h->c[i] = h->c[child];
	}
	h->c[i] = moving;
}

static void heap_push(struct heap *h, struct candidate c)
{
	size_t i = h->n++;
	for (; i > 0 && before(&c, &h->c[(i - 1) / 2]); i = (i - 1) / 2)
		h->c[i] = h->c[(i - 1) / 2];
	h->c[i] = c;
}

static struct candidate heap_pop(struct heap *h)
{
	struct candidate top = h->c[0];
	h->c[0] = h->c[--h->n];
	if (h->n)
		sift_down(h, 0);
	return top;
}

struct link {
	uint32_t previous, next; /* LINK_NONE at the ends */
};
#define LINK_NONE UINT32_MAX

static bool candidate_at(const struct merges *m, const int32_t *ids, const struct link *links, uint32_t at,
			 struct candidate *out)
{
	uint32_t next = links[at].next;
	if (next == LINK_NONE)
		return false;
	uint64_t value = merges_get(m, (uint32_t)ids[at], (uint32_t)ids[next]);
	*out = (struct candidate){value, at, ids[at], ids[next]};
	return value != MERGE_NONE;
}

/* O(n log n): a linked list of symbols and a heap of candidates. A merge takes one candidate off and puts at
 * most two on, one of them in its place, so the first n - 1 and one for each merge are all the room it needs:
 * 2 n. */
static size_t merge_long(const struct merges *m, int32_t *ids, size_t n)
{
	struct link *links = malloc(n * sizeof *links);
	struct heap h = {malloc(2 * n * sizeof *h.c), 0, 2 * n};
	size_t left = 0;
	if (!links || !h.c)
		goto done;
	struct candidate c;
	for (size_t i = 0; i < n; i++)
		links[i] = (struct link){i ? (uint32_t)i - 1 : LINK_NONE,
					 i + 1 < n ? (uint32_t)i + 1 : LINK_NONE};
	for (size_t i = 0; i < n; i++)
		if (candidate_at(m, ids, links, (uint32_t)i, &c))
			h.c[h.n++] = c;
	for (size_t i = h.n / 2; i-- > 0;)
		sift_down(&h, i);
	while (h.n) {
		c = heap_pop(&h);
		uint32_t next = links[c.at].next;
		if (ids[c.at] != c.left || next == LINK_NONE || ids[next] != c.right)
			continue;
		uint32_t after = links[next].next, previous = links[c.at].previous;
		ids[c.at] = (int32_t)(uint32_t)c.value;
		ids[next] = -1;
		links[c.at].next = after;
		if (after != LINK_NONE)
			links[after].previous = c.at;
		if (candidate_at(m, ids, links, c.at, &c))
			heap_push(&h, c);
		if (previous != LINK_NONE && candidate_at(m, ids, links, previous, &c))
			heap_push(&h, c);
	}
	for (uint32_t i = 0; i != LINK_NONE; i = links[i].next)
		ids[left++] = ids[i];
done:
	free(links);
	free(h.c);
	return left;
}

size_t bpe_merge(const struct merges *m, int32_t *ids, size_t n)
{
	return n <= BPE_SMALL ? merge_small(m, ids, n) : merge_long(m, ids, n);
}
