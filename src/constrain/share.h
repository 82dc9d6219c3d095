/* What a mask takes of an expression, whatever follows it. */
#ifndef CONSTRAIN_SHARE_H
#define CONSTRAIN_SHARE_H

#include "constrain/mask.h"
#include "constrain/vocab_set.h"

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

struct share_chain {
	const struct vocab_set *set;
	uint64_t bytes[2]; /* of ASCII */
	bool broad;        /* and all that is no ASCII */
	uint64_t apart;    /* kinds of bytes that lead elsewhere; all others are dead */
	uint32_t reach;    /* so many code points of the set may come */
};

static inline bool share_chain_has(const struct share_chain *c, uint8_t byte)
{
	return byte < 0x80 ? c->bytes[byte >> 6] >> (byte & 63) & 1 : c->broad;
}

/* Nothing at or below a node goes apart, to which this byte leads from bytes of the set alone. */
static inline bool share_chain_settles(const struct share_chain *c, uint8_t byte, uint64_t below)
{
	if (share_chain_has(c, byte))
		return !(below & c->apart);
	return byte >= 0x80 || !(vocab_kinds(byte) & c->apart);
}

/* NULL: it is not made. */
struct share *share_find(struct masks *k, rx r, bool open);

struct share_walk {
	const struct vocab_trie *t;
	bool other;
	bool taken;    /* of all tokens the bits are set: those that are dead lose theirs */
	uint32_t run;  /* nodes below which no token has more code points are known */
	uint32_t from; /* below this node, to which the state was read */
	rx state;
	const struct share_chain *chain; /* of the state: its set's tokens are inside already; NULL: none */
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

/* All shares are forgotten; the memory of the table stays, or goes too. */
void shares_clear(struct masks *k);
void shares_free(struct masks *k);
#endif
