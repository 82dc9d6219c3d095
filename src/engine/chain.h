/*
 * The full blocks of a sequence that is no request's: of one that is saved, whose blocks must stay while they
 * are read, or restored, whose blocks are written before they can be found. On the engine's thread alone.
 */
#ifndef ENGINE_CHAIN_H
#define ENGINE_CHAIN_H

#include "engine/sched.h"

struct chain {
	uint32_t *blocks;     /* (n_most) */
	uint32_t n, n_most;   /* those it holds */
	uint64_t n_forgotten; /* of the pool, when the first was held: chain_is_good */
};

/* False: no memory. Before chain_deinit its blocks are released, or the scheduler is gone. */
bool chain_init(struct chain *c, uint32_t n_most);
void chain_deinit(struct chain *c); /* {0} is allowed */

/* Holds those of the first n blocks of ids that are found, from the first on. Returns how many: c->n. */
uint32_t chain_find(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n);

/* Are there free blocks left for what running sequences are about to take? */
bool chain_leaves_room(const struct sched *s);

/* Takes free blocks until there are n. False: there are not so many beside those that running sequences are
 * about to take; *n_free: how many there are. */
bool chain_take(struct chain *c, struct sched *s, uint32_t n, uint32_t *n_free);

/* Blocks from `from` on, which hold ids now, can be found. */
void chain_keep(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t from);

void chain_release(struct chain *c, struct sched *s);

/* Has nothing happened meanwhile after which blocks mean nothing (sched_forget)? */
bool chain_is_good(const struct chain *c, const struct sched *s);

#endif
