/* What a mask takes of an expression, whatever follows it. */
#ifndef CONSTRAIN_SHARE_H
#define CONSTRAIN_SHARE_H

#include "constrain/mask.h"

struct share_exit {
	uint32_t node; /* of plain, or of other: the expression may end with the bytes on the way to it */
	bool other;
};

struct share {
	struct share *next; /* of its bucket */
	rx r;
	bool open;     /* nothing follows: exits were not looked for */
	bool too_wide; /* it may end at more nodes than are worth keeping: walk it instead */
	uint64_t used;
	uint32_t n_exits; /* nodes with others below them */
	struct share_exit *exits;
	uint32_t *inside; /* tokens after whose bytes the expression is alive */
};

/* Of r; open: nothing can follow it. NULL: no memory, or the pool's limits were passed. Valid until the next
 * call. */
struct share *share_get(struct masks *k, rx r, bool open);

/* Much text may stand in r: a share of it is worth its making. */
bool share_is_wide(struct masks *k, rx r);

void shares_clear(struct masks *k);
void shares_free(struct masks *k);
#endif
