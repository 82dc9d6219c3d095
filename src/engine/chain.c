#include "engine/chain.h"

#include <stdlib.h>

bool chain_init(struct chain *c, uint32_t n_most)
{
	*c = (struct chain){.n_most = n_most};
	c->leading = calloc((size_t)n_most * (MODEL_MAX_KV_GROUPS + 1) + 1, sizeof *c->leading);
	for (uint32_t g = 0; g < MODEL_MAX_KV_GROUPS && c->leading; g++)
		c->blocks[g] = c->leading + (size_t)(g + 1) * n_most;
	return c->leading != NULL;
}

void chain_deinit(struct chain *c)
{
	free(c->leading);
	*c = (struct chain){0};
}

static const int32_t *ids_of(const int32_t *ids, uint32_t i)
{
	return ids + (size_t)i * COMPUTE_KV_BLOCK;
}

/* The name of what stands before block i. */
static uint64_t before(const struct chain *c, const struct sched *s, uint64_t root, uint32_t i)
{
	return i ? kv_name(s->lead, c->leading[i - 1]) : root;
}

/* Block i of a group, beside the one that leads; KV_NONE: there is none. */
static uint32_t beside(const struct chain *c, const struct sched *s, uint32_t group, uint32_t i)
{
	return kv_beside(s->lead, group - s->first_beside, c->leading[i]);
}

/* The blocks that lead into c->leading, not held yet. Returns how many there are; *whole: how far computing
 * need not go. */
static uint32_t look_for(struct chain *c, const struct sched *s, uint64_t root, const int32_t *ids,
			 uint32_t n, uint32_t *whole)
{
	uint64_t hash = root;
	struct kv_reach reach;
	for (kv_reach_from(&reach, 0); reach.end < n;) {
		uint32_t i = reach.end;
		hash = kv_hash(hash, ids_of(ids, i));
		c->leading[i] = kv_find(s->lead, before(c, s, root, i), hash, ids_of(ids, i));
		if (c->leading[i] == KV_NONE)
			break;
		kv_reach_add(&reach, s->lead, c->leading[i]);
	}
	*whole = reach.whole;
	return reach.end;
}

/* Where a group leads, its blocks are c->leading itself. */
static void begin(struct chain *c, const struct sched *s)
{
	c->n_forgotten = s->lead->n_forgotten;
	c->first[0] = 0;
	if (s->first_beside)
		c->blocks[0] = c->leading;
}

/* From the last on. */
static void hold_group(struct chain *c, struct sched *s, uint32_t group)
{
	uint32_t window = s->lead->windows[group - s->first_beside];
	uint32_t least = c->n ? kv_behind(window, (c->n - 1) * COMPUTE_KV_BLOCK) : 0, i = c->n;
	for (; i > least && beside(c, s, group, i - 1) != KV_NONE; i--) {
		c->blocks[group][i - 1] = beside(c, s, group, i - 1);
		kv_hold(&s->kv, c->blocks[group][i - 1]);
	}
	c->first[group] = i;
}

uint32_t chain_find(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n)
{
	begin(c, s);
	look_for(c, s, root, ids, n, &c->n);
	for (uint32_t i = 0; i < c->n; i++)
		kv_hold(s->lead, c->leading[i]);
	for (uint32_t g = s->first_beside; g < s->n_groups; g++)
		hold_group(c, s, g);
	return c->n;
}

bool chain_leaves_room(const struct sched *s)
{
	return s->kv.n_free >= sched_promised(s);
}

/* Of what leads without memory running sequences may name all of a context. */
static bool has_names(const struct sched *s, uint32_t n)
{
	uint64_t promised = 0;
	for (uint32_t i = 0; i < s->n_running; i++)
		promised += s->pitch - s->running[i]->n_blocks;
	return s->first_beside || s->lead->n_free >= promised + n;
}

/* Holds what is known of the blocks; KV_NONE stands for others. Returns how many these are. */
static uint32_t hold_known(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n,
			   const uint32_t *first)
{
	uint32_t whole, n_leading = look_for(c, s, root, ids, n, &whole), n_new = 0;
	for (uint32_t i = 0; i < n_leading; i++)
		kv_hold(s->lead, c->leading[i]);
	for (uint32_t i = n_leading; i < n; i++, n_new += s->first_beside)
		c->leading[i] = KV_NONE;
	for (uint32_t g = s->first_beside; g < s->n_groups; g++) {
		c->first[g] = first[g];
		for (uint32_t i = first[g]; i < n; i++) {
			uint32_t b = i < n_leading ? beside(c, s, g, i) : KV_NONE;
			c->blocks[g][i] = b;
			n_new += b == KV_NONE;
			if (b != KV_NONE)
				kv_hold(&s->kv, b);
		}
	}
	c->n = n;
	return n_new;
}

bool chain_take(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids, uint32_t n,
		const uint32_t first[MODEL_MAX_KV_GROUPS], uint32_t *n_wanted, uint32_t *n_free)
{
	begin(c, s);
	*n_wanted = hold_known(c, s, root, ids, n, first);
	uint64_t promised = sched_promised(s);
	*n_free = s->kv.n_free > promised ? s->kv.n_free - (uint32_t)promised : 0;
	if (*n_wanted > *n_free || !has_names(s, n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (c->leading[i] == KV_NONE)
			c->leading[i] = kv_take(s->lead);
	for (uint32_t g = s->first_beside; g < s->n_groups; g++)
		for (uint32_t i = first[g]; i < n; i++)
			if (c->blocks[g][i] == KV_NONE)
				c->blocks[g][i] = kv_take(&s->kv);
	return true;
}

bool chain_is_new(const struct chain *c, const struct sched *s, uint32_t group, uint32_t i)
{
	return !s->kv.blocks[c->blocks[group][i]].name;
}

void chain_keep(struct chain *c, struct sched *s, uint64_t root, const int32_t *ids)
{
	uint64_t hash = root;
	for (uint32_t i = 0; i < c->n; i++) {
		hash = kv_hash(hash, ids_of(ids, i));
		c->leading[i] = kv_keep(s->lead, c->leading[i], before(c, s, root, i), hash, ids_of(ids, i));
		for (uint32_t g = s->first_beside; g < s->n_groups; g++)
			if (i >= c->first[g])
				c->blocks[g][i] = kv_keep_beside(s->lead, g - s->first_beside,
								 c->blocks[g][i], c->leading[i]);
	}
}

static void release(struct kv_pool *p, uint32_t block)
{
	if (block != KV_NONE)
		kv_release(p, block);
}

void chain_release(struct chain *c, struct sched *s)
{
	while (c->n > 0) {
		uint32_t i = --c->n;
		for (uint32_t g = s->first_beside; g < s->n_groups; g++)
			if (i >= c->first[g])
				release(&s->kv, c->blocks[g][i]);
		release(s->lead, c->leading[i]);
	}
}

bool chain_is_good(const struct chain *c, const struct sched *s)
{
	return c->n_forgotten == s->lead->n_forgotten;
}
