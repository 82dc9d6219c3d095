/* Code points as the bytes of UTF-8, sets of any size: a tree by lead byte whose equal branches are one. */
#include <stdlib.h>
#include <string.h>

#include "constrain/rx_internal.h"

enum { SURROGATE_FIRST = 0xd800, SURROGATE_LAST = 0xdfff };

/* By the number of bytes, less one. */
static const struct length {
	struct rx_span points, points_2; /* the second beyond the surrogates */
	uint8_t lead_first, lead_last, mark;
} lengths[4] = {
	{{0, 0x7f}, {1, 0}, 0, 0x7f, 0},
	{{0x80, 0x7ff}, {1, 0}, 0xc2, 0xdf, 0xc0},
	{{0x800, SURROGATE_FIRST - 1}, {SURROGATE_LAST + 1, 0xffff}, 0xe0, 0xef, 0xe0},
	{{0x10000, 0x10ffff}, {1, 0}, 0xf0, 0xf4, 0xf0},
};

struct chars {
	struct rx_pool *pool;
	struct rx_span *spans; /* of one length, in order, with gaps between them */
	size_t n;
};

static void add_clipped(struct chars *c, struct rx_span s, struct rx_span to)
{
	s.first = s.first < to.first ? to.first : s.first;
	s.last = s.last > to.last ? to.last : s.last;
	if (s.first <= s.last)
		c->spans[c->n++] = s;
}

static int by_first(const void *a, const void *b)
{
	uint32_t x = ((const struct rx_span *)a)->first, y = ((const struct rx_span *)b)->first;
	return (x > y) - (x < y);
}

static void put_in_order(struct chars *c)
{
	size_t kept = 0;
	qsort(c->spans, c->n, sizeof *c->spans, by_first);
	for (size_t i = 0; i < c->n; i++) {
		struct rx_span *last = kept ? &c->spans[kept - 1] : NULL;
		if (!last || c->spans[i].first > last->last + 1)
			c->spans[kept++] = c->spans[i];
		else if (c->spans[i].last > last->last)
			last->last = c->spans[i].last;
	}
	c->n = kept;
}

/* The first span that does not end before `first`; n: none. */
static size_t span_at(const struct chars *c, uint32_t first)
{
	size_t low = 0, high = c->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (c->spans[middle].last < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Branches, each with the bytes that lead to it. */
struct branches {
	rx to[128];
	uint64_t bytes[128][4];
	unsigned n;
};

static void add_branch(struct branches *b, uint8_t byte, rx to)
{
	unsigned i = 0;
	if (to == RX_NONE)
		return;
	while (i < b->n && b->to[i] != to)
		i++;
	if (i == b->n) {
		memset(b->bytes[i], 0, sizeof b->bytes[i]);
		b->to[b->n++] = to;
	}
	b->bytes[i][byte >> 6] |= UINT64_C(1) << (byte & 63);
}

static rx join(struct rx_pool *p, const struct branches *b)
{
	rx out = RX_NONE;
	for (unsigned i = 0; i < b->n; i++)
		out = rx_or(p, out, rx_cat(p, rx_byte_set(p, b->bytes[i]), b->to[i]));
	return out;
}

/* The n continuation bytes of code points first to first + 64^n - 1. */
static rx tails(const struct chars *c, uint32_t first, unsigned n)
{
	static const uint64_t continuation[4] = {0, 0, UINT64_MAX, 0};
	uint32_t size = UINT32_C(1) << 6 * n, last = first + size - 1;
	size_t at = span_at(c, first);
	struct branches b;
	if (!rx_charge(c->pool, 1) || at == c->n || c->spans[at].first > last)
		return RX_NONE;
	if (n == 0)
		return RX_EMPTY;
	if (c->spans[at].first <= first && c->spans[at].last >= last)
		return rx_cat(c->pool, rx_byte_set(c->pool, continuation), tails(c, first, n - 1));
	b.n = 0;
	for (unsigned i = 0; i < 64; i++)
		add_branch(&b, (uint8_t)(0x80 + i), tails(c, first + i * (size / 64), n - 1));
	return join(c->pool, &b);
}

rx rx_chars(struct rx_pool *p, const struct rx_span *spans, size_t n)
{
	rx out = RX_NONE;
	struct chars c = {p, malloc((2 * n + 1) * sizeof *c.spans), 0};
	if (!c.spans) {
		p->failed = true;
		return RX_NONE;
	}
	for (unsigned length = 0; length < 4 && rx_charge(p, 1 + n / 8); length++) {
		const struct length *l = &lengths[length];
		struct branches b = {.n = 0};
		c.n = 0;
		for (size_t i = 0; i < n; i++) {
			add_clipped(&c, spans[i], l->points);
			add_clipped(&c, spans[i], l->points_2);
		}
		put_in_order(&c);
		for (unsigned lead = l->lead_first; lead <= l->lead_last; lead++)
			add_branch(&b, (uint8_t)lead, tails(&c, (lead - l->mark) << 6 * length, length));
		out = rx_or(p, out, join(p, &b));
	}
	free(c.spans);
	return p->failed ? RX_NONE : out;
}
