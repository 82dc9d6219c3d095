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
	bool skips;    /* where all below a node is inside, exits were not looked for there */
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

/* ---- between share.c and share_like.c ---- */

/* NULL: it is not made. */
struct share *share_find(struct masks *k, rx r, bool open);

struct share_walk {
	const struct vocab_trie *t;
	bool other;
	bool taken;    /* of all tokens the bits are set: those that are dead lose theirs */
	uint32_t run;  /* nodes below which no token has more code points are known */
	uint32_t from; /* below this node, to which the state was read */
	rx state;
};

/* Walks one trie by derivatives: what is alive is inside, where it may end is an exit, put into k->found.
 * False: no memory or past the pool's limits. */
bool share_walk(struct masks *k, struct share *sh, const struct share_walk *w, uint32_t *n_found);
/* Bits of the tokens from first to last - 1 in the order of the trie. */
void share_mark(struct share *sh, const struct vocab_trie *t, uint32_t first, uint32_t last, bool inside);
/* What was found becomes its exits. False: no memory. */
bool share_keep(const struct masks *k, struct share *sh, uint32_t n_found);

/* Fills sh, whose bits are room alone, from one that was made lately. */
enum share_like { SHARE_LIKE, SHARE_UNLIKE, SHARE_FAILED };
enum share_like share_from_likes(struct masks *k, struct share *sh);
void share_likes_clear(struct masks *k);
void share_likes_free(struct masks *k);
size_t share_likes_bytes(const struct masks *k);

void shares_clear(struct masks *k);
void shares_free(struct masks *k);
#endif
