/* Sets of code points as spans: in rising order, apart from each other, surrogates among them or not. */
#ifndef CONSTRAIN_SPANS_H
#define CONSTRAIN_SPANS_H

#include "constrain/rx.h"

enum { CODE_POINT_MAX = 0x10ffff };

struct spans {
	struct rx_span *at;
	size_t n, cap;
	bool failed; /* no memory: the set is not to be used */
};

/* The set is empty; its memory goes, or stays. */
void spans_free(struct spans *s);
void spans_clear(struct spans *s);

/* Puts a span at the end, in any order; spans_sort makes a set of what was put. */
void spans_put(struct spans *s, uint32_t first, uint32_t last);
void spans_put_all(struct spans *s, const struct rx_span *at, size_t n);
void spans_sort(struct spans *s);

/* s becomes what is not in s; needs a set. */
void spans_invert(struct spans *s);

/* *out becomes what is in a and in b (in a alone: and not in b). */
void spans_cut(struct spans *out, const struct spans *a, const struct spans *b, bool in_b);

/* Is c in s; have a and b the same members? Of sorted sets. */
bool spans_has(const struct spans *s, uint32_t c);
bool spans_same(const struct spans *a, const struct spans *b);

#endif
