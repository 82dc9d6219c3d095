#include "engine/chain.h"

#include <stdlib.h>

bool chain_init(struct chain *c, uint32_t n_most)
{
	*c = (struct chain){.n_most = n_most};
	c->blocks = calloc(n_most ? n_most : 1, sizeof *c->blocks);
	return c->blocks != NULL;
}

void chain_deinit(struct chain *c)
{
	free(c->blocks);
	*c = (struct chain){0};
}

static const int32_t *ids_of(const int32_t *ids, uint32_t i)
{
	return ids + (size_t)i * COMPUTE_KV_BLOCK;
}

/* The name of what stands before block i. */
static uint64_t before(const struct chain *c, const struct sched *s, uint64_t root, uint32_t i)
{
	return i ? kv_name(&s->kv, c->blocks[i - 1]) : root;
}

uint32_t chain_find(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n)
{
	uint64_t hash = root;
	c->n_forgotten = s->kv.n_forgotten;
	for (c->n = 0; c->n < n; c->n++) {
		hash = kv_hash(hash, ids_of(ids, c->n));
		uint32_t found = kv_find(&s->kv, before(c, s, root, c->n), hash, ids_of(ids, c->n));
		if (found == KV_NONE)
			break;
		kv_hold(&s->kv, found);
		c->blocks[c->n] = found;
	}
	return c->n;
}

/* Blocks that those who run are about to take: for their present ids, and one more each. */
static uint64_t n_soon_taken(const struct sched *s)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < s->n_running; i++)
		n += s->running[i]->n_ids / COMPUTE_KV_BLOCK + 2 - s->running[i]->n_blocks;
	return n;
}

bool chain_leaves_room(const struct sched *s)
{
	return s->kv.n_free >= n_soon_taken(s);
}

bool chain_take(struct chain *c, struct sched *s, uint32_t n, uint32_t *n_free)
{
	uint64_t promised = n_soon_taken(s);
	*n_free = s->kv.n_free > promised ? s->kv.n_free - (uint32_t)promised : 0;
	if (n > c->n + *n_free)
		return false;
	while (c->n < n)
		c->blocks[c->n++] = kv_take(&s->kv);
	return true;
}

void chain_keep(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t from)
{
	uint64_t hash = root;
	for (uint32_t i = 0; i < c->n; i++) {
		hash = kv_hash(hash, ids_of(ids, i));
		if (i >= from)
			c->blocks[i] =
				kv_keep(&s->kv, c->blocks[i], before(c, s, root, i), hash, ids_of(ids, i));
	}
}

void chain_release(struct chain *c, struct sched *s)
{
	while (c->n > 0)
		kv_release(&s->kv, c->blocks[--c->n]);
}

bool chain_is_good(const struct chain *c, const struct sched *s)
{
	return c->n_forgotten == s->kv.n_forgotten;
}
