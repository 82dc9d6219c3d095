/*
 * The full blocks of a sequence that is no request's: of one that is saved, whose blocks must stay while they
 * are read, or restored, whose blocks are written before they can be found. In a KV group with a window those
 * from `first` on are there alone: what a token after the last block sees, and where it is found what one at
 * the last block sees, so that a prompt of these very ids can go on before it. On the engine's thread alone.
 */
#ifndef ENGINE_CHAIN_H
#define ENGINE_CHAIN_H

#include "engine/sched.h"

struct chain {
	uint32_t *leading;                     /* (n_most) blocks that lead (kv.h) */
	uint32_t *blocks[MODEL_MAX_KV_GROUPS]; /* (n_most) of each group; of one that leads the same */
	uint32_t first[MODEL_MAX_KV_GROUPS];   /* of each group: blocks before it are not held */
	uint32_t n, n_most;                    /* those it holds */
	uint64_t n_forgotten;                  /* of the pool, when the first was held: chain_is_good */
};

/* False: no memory. Before chain_deinit its blocks are released, or the scheduler is gone. */
bool chain_init(struct chain *c, uint32_t n_most);
void chain_deinit(struct chain *c); /* {0} is allowed */

/* Holds those of the first n blocks of ids that are found, from the first on, as far as a token after them
 * finds all that it sees. Returns how many: c->n. */
uint32_t chain_find(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n);

/* Are there free blocks left for what running sequences are about to take? */
bool chain_leaves_room(const struct sched *s);

/* Holds n blocks of ids, of each group from first on: those that are found, and free ones for the rest
 * (chain_is_new). False: there are not so many beside those that running sequences are about to take;
 * *n_free of *n_wanted. */
bool chain_take(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n,
		const uint32_t first[MODEL_MAX_KV_GROUPS], uint32_t *n_wanted, uint32_t *n_free);

/* Is block i of a group one that nobody else knows, whose contents are still to come? */
bool chain_is_new(const struct chain *c, const struct sched *s, uint32_t group, uint32_t i);

/* The blocks, which hold ids now, can be found. */
void chain_keep(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids);

/* Gives all blocks back, the last first, so that a beginning outlives what follows it. */
void chain_release(struct chain *c, struct sched *s);

/* Has nothing happened meanwhile after which blocks mean nothing (sched_forget)? */
bool chain_is_good(const struct chain *c, const struct sched *s);

#endif
