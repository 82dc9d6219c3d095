/*
 * KV blocks: who holds each, and which can be found again by what they hold. A block is held by as many
 * sequences as name it; one that nobody holds is free, and what a free block holds can still be found until
 * the block is taken for something else: the one that has been free longest goes first.
 *
 * A block is found by the 32 ids whose keys and values it holds and by the name of the block before it in its
 * sequence, which was found the same way: so by all ids from the first on. The first block has a root before
 * it in place of a name, so that sequences of different roots share nothing. A hash only leads there; what is
 * found has been compared.
 *
 * That is said of blocks that lead: those of one KV group. The blocks that hold the same positions in the
 * model's other groups are found beside them (kv_beside), as long as both are what they were. All are taken
 * from the same pool, whichever group they serve; where every group has a window, and lets go of what lies
 * behind it, blocks of a pool of their own lead, which have no memory.
 */
#ifndef ENGINE_KV_H
#define ENGINE_KV_H

#include "compute/compute.h"

#define KV_NONE UINT32_MAX
#define KV_ROOT (UINT64_C(1) << 63) /* set in every root but 0, in no name */

struct kv_block {
	uint64_t hash;
	uint64_t name;         /* of what it holds, never given twice; 0: it cannot be found */
	uint64_t before;       /* the name of the block before, or a root: it is the first */
	uint32_t n_held;       /* sequences that name it */
	uint32_t next_found;   /* in its bucket; of a block beside another: that one */
	uint32_t group;        /* 0: it leads, or cannot be found; else one more than its place beside */
	uint32_t older, newer; /* in the list of free blocks, while it is free */
};

struct kv_pool {
	struct kv_block *blocks; /* (n_blocks) */
	int32_t *ids;            /* (n_blocks, COMPUTE_KV_BLOCK) of those that lead and can be found */
	uint32_t *buckets;       /* (n_buckets) */
	uint64_t *evicted;       /* (n_buckets) hashes of blocks that were taken for something else */
	uint32_t n_blocks, n_buckets, n_free;
	uint32_t oldest, newest; /* free blocks: taken from the oldest on */
	uint64_t last_name, n_evicted;
	uint64_t n_forgotten; /* times that kv_forget was called */
	/* What is beside blocks of this pool, and where it lies: in this one or in another. */
	uint32_t *beside; /* (n_beside, n_blocks) */
	uint32_t n_beside, windows[MODEL_MAX_KV_GROUPS];
	struct kv_pool *store;
	struct kv_pool *lead; /* of a store: beside whose blocks its own are */
};

/* False: no memory. */
bool kv_init(struct kv_pool *p, uint32_t n_blocks);

/* Beside blocks of p are those of n groups with these windows (0: none), which lie in store: p itself, or
 * another pool for as long as p. False: no memory. */
bool kv_init_beside(struct kv_pool *p, const uint32_t *windows, uint32_t n, struct kv_pool *store);
void kv_deinit(struct kv_pool *p);

/* A free block, held once, of which nothing can be found any more; KV_NONE: there is none. */
uint32_t kv_take(struct kv_pool *p);

/* One holder more of a block that has one. */
void kv_hold(struct kv_pool *p, uint32_t block);

/* One holder less. What a sequence holds is released from its end on, so that a beginning outlives what
 * follows it. */
void kv_release(struct kv_pool *p, uint32_t block);

/* The name of block, which can be found, for what comes after it. */
uint64_t kv_name(const struct kv_pool *p, uint32_t block);

/* The hash of ids (COMPUTE_KV_BLOCK) after blocks of the hash `before`, or after a root. */
uint64_t kv_hash(uint64_t before, const int32_t *ids);

/* The block with these ids after the block of the name `before`, or after that root; KV_NONE: there is none.
 */
uint32_t kv_find(const struct kv_pool *p, uint64_t before, uint64_t hash, const int32_t *ids);

/* Block, which is held, is full of these ids after `before`, as above, and can be found from now on. Returns
 * the block that the caller names from now on: another one, which is held in its place, if there was one. */
uint32_t kv_keep(struct kv_pool *p, uint32_t block, uint64_t before, uint64_t hash, const int32_t *ids);

/* What is there of group g (0 .. n_beside - 1) beside a block that leads; KV_NONE: nothing. */
static inline uint32_t kv_beside(const struct kv_pool *p, uint32_t g, uint32_t leading)
{
	return p->beside[(size_t)g * p->n_blocks + leading];
}

/* Block, which is held, holds the same positions as `leading`, which can be found, and is found beside it
 * from now on. Returns as kv_keep. */
uint32_t kv_keep_beside(struct kv_pool *p, uint32_t g, uint32_t block, uint32_t leading);

/* Of a group's blocks, those wholly behind its window (0: none) for the token at pos. */
static inline uint32_t kv_behind(uint32_t window, uint32_t pos)
{
	return window && pos >= window ? (pos - window + 1) / COMPUTE_KV_BLOCK : 0;
}

/* How far blocks that were found reach, one after another. */
struct kv_reach {
	uint32_t from, end; /* blocks: where they began, and where they end */
	uint32_t whole;     /* the last position, in blocks, at which a token finds all that it sees */
	uint32_t since[MODEL_MAX_KV_GROUPS]; /* of each group beside: all blocks from here to `end` are there
					      */
};

/* Of a sequence that has all that a token at block `from` sees. */
void kv_reach_from(struct kv_reach *r, uint32_t from);

/* The next block is this one. */
void kv_reach_add(struct kv_reach *r, const struct kv_pool *p, uint32_t leading);

/* Was a block of this hash there and taken for something else? As far as is remembered: the last of each
 * bucket.
 */
bool kv_was_evicted(const struct kv_pool *p, uint64_t hash);

/* Nothing is found any more of what the blocks hold now. */
void kv_forget(struct kv_pool *p);

#endif
