/*
 * KV blocks: who holds each, and which can be found again by what they hold. A block is held by as many
 * sequences as name it; one that nobody holds is free, and what a free block holds can still be found until
 * the block is taken for something else: the one that has been free longest goes first.
 *
 * A block is found by the 32 ids whose keys and values it holds and by the name of the block before it in its
 * sequence, which was found the same way: so by all ids from the first on. The first block has a root before
 * it in place of a name, so that sequences of different roots share nothing. A hash only leads there; what is
 * found has been compared. In a model of several KV groups a number stands for the block of that number in
 * each.
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
	uint32_t next_found;   /* in its bucket */
	uint32_t older, newer; /* in the list of free blocks, while it is free */
};

struct kv_pool {
	struct kv_block *blocks; /* (n_blocks) */
	int32_t *ids;            /* (n_blocks, COMPUTE_KV_BLOCK) of those that can be found */
	uint32_t *buckets;       /* (n_buckets) */
	uint64_t *evicted;       /* (n_buckets) hashes of blocks that were taken for something else */
	uint32_t n_blocks, n_buckets, n_free;
	uint32_t oldest, newest; /* free blocks: taken from the oldest on */
	uint64_t last_name, n_evicted;
	uint64_t n_forgotten; /* times that kv_forget was called */
};

/* False: no memory. */
bool kv_init(struct kv_pool *p, uint32_t n_blocks);
void kv_deinit(struct kv_pool *p);

/* A free block, held once, of which nothing can be found any more; KV_NONE: there is none. */
uint32_t kv_take(struct kv_pool *p);

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

/* Was a block of this hash there and taken for something else? As far as is remembered: the last of each
 * bucket.
 */
bool kv_was_evicted(const struct kv_pool *p, uint64_t hash);

/* Nothing is found any more of what the blocks hold now. */
void kv_forget(struct kv_pool *p);

#endif
