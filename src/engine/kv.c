#include "engine/kv.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { BLOCK_BYTES = COMPUTE_KV_BLOCK * sizeof(int32_t) };

static uint32_t n_buckets_for(uint32_t n_blocks)
{
	uint32_t n = 1;
	while (n < n_blocks && n < UINT32_C(1) << 31)
		n *= 2;
	return n;
}

/* ---- free blocks ---- */

static void add_newest(struct kv_pool *p, uint32_t b)
{
	struct kv_block *block = &p->blocks[b];
	block->older = p->newest;
	block->newer = KV_NONE;
	*(p->newest == KV_NONE ? &p->oldest : &p->blocks[p->newest].newer) = b;
	p->newest = b;
	p->n_free++;
}

static void add_oldest(struct kv_pool *p, uint32_t b)
{
	struct kv_block *block = &p->blocks[b];
	block->newer = p->oldest;
	block->older = KV_NONE;
	*(p->oldest == KV_NONE ? &p->newest : &p->blocks[p->oldest].older) = b;
	p->oldest = b;
	p->n_free++;
}

static void remove_free(struct kv_pool *p, uint32_t b)
{
	const struct kv_block *block = &p->blocks[b];
	*(block->older == KV_NONE ? &p->oldest : &p->blocks[block->older].newer) = block->newer;
	*(block->newer == KV_NONE ? &p->newest : &p->blocks[block->newer].older) = block->older;
	p->n_free--;
}

/* ---- what can be found ---- */

static uint32_t *bucket_of(const struct kv_pool *p, uint64_t hash)
{
	return &p->buckets[hash & (p->n_buckets - 1)];
}

/* Of what is beside another. What nobody holds or finds is taken first. */
static void forget_beside(struct kv_pool *p, uint32_t b)
{
	struct kv_block *block = &p->blocks[b];
	struct kv_pool *lead = p->lead;
	lead->beside[(size_t)(block->group - 1) * lead->n_blocks + block->next_found] = KV_NONE;
	block->name = 0;
	block->group = 0;
	if (block->n_held)
		return;
	remove_free(p, b);
	add_oldest(p, b);
}

static void forget_block(struct kv_pool *p, uint32_t b)
{
	uint32_t *at = bucket_of(p, p->blocks[b].hash);
	while (*at != b)
		at = &p->blocks[*at].next_found;
	*at = p->blocks[b].next_found;
	p->blocks[b].name = 0;
	for (uint32_t g = 0; g < p->n_beside; g++)
		if (kv_beside(p, g, b) != KV_NONE)
			forget_beside(p->store, kv_beside(p, g, b));
}

uint64_t kv_name(const struct kv_pool *p, uint32_t block)
{
	return p->blocks[block].name;
}

uint64_t kv_hash(uint64_t before, const int32_t *ids)
{
	return siphash(before, UINT64_C(0x6b765f626c6f636b), ids, BLOCK_BYTES);
}

uint32_t kv_find(const struct kv_pool *p, uint64_t before, uint64_t hash, const int32_t *ids)
{
	for (uint32_t b = *bucket_of(p, hash); b != KV_NONE; b = p->blocks[b].next_found)
		if (p->blocks[b].hash == hash && p->blocks[b].before == before &&
		    memcmp(p->ids + (size_t)b * COMPUTE_KV_BLOCK, ids, BLOCK_BYTES) == 0)
			return b;
	return KV_NONE;
}

/* The caller, who holds b, names found instead. */
static uint32_t exchange(struct kv_pool *p, uint32_t b, uint32_t found)
{
	if (found == b)
		return b;
	kv_hold(p, found);
	kv_release(p, b);
	return found;
}

uint32_t kv_keep(struct kv_pool *p, uint32_t b, uint64_t before, uint64_t hash, const int32_t *ids)
{
	uint32_t found = kv_find(p, before, hash, ids), *bucket = bucket_of(p, hash);
	struct kv_block *block = &p->blocks[b];
	if (found != KV_NONE)
		return exchange(p, b, found);
	block->hash = hash;
	block->before = before;
	block->name = ++p->last_name;
	block->next_found = *bucket;
	*bucket = b;
	memcpy(p->ids + (size_t)b * COMPUTE_KV_BLOCK, ids, BLOCK_BYTES);
	return b;
}

uint32_t kv_keep_beside(struct kv_pool *p, uint32_t g, uint32_t b, uint32_t leading)
{
	uint32_t *at = &p->beside[(size_t)g * p->n_blocks + leading];
	struct kv_block *block = &p->store->blocks[b];
	if (*at != KV_NONE)
		return exchange(p->store, b, *at);
	block->name = ++p->store->last_name;
	block->group = g + 1;
	block->next_found = leading;
	*at = b;
	return b;
}

void kv_reach_from(struct kv_reach *r, uint32_t from)
{
	*r = (struct kv_reach){.from = from, .end = from, .whole = from};
	for (uint32_t g = 0; g < MODEL_MAX_KV_GROUPS; g++)
		r->since[g] = from;
}

void kv_reach_add(struct kv_reach *r, const struct kv_pool *p, uint32_t leading)
{
	bool whole = true;
	r->end++;
	for (uint32_t g = 0; g < p->n_beside; g++) {
		uint32_t seen = kv_behind(p->windows[g], r->end * COMPUTE_KV_BLOCK);
		if (kv_beside(p, g, leading) == KV_NONE)
			r->since[g] = r->end;
		whole = whole && r->since[g] <= (seen > r->from ? seen : r->from);
	}
	if (whole)
		r->whole = r->end;
}

bool kv_was_evicted(const struct kv_pool *p, uint64_t hash)
{
	return p->evicted[hash & (p->n_buckets - 1)] == hash;
}

void kv_forget(struct kv_pool *p)
{
	p->n_forgotten++;
	for (uint32_t b = 0; b < p->n_blocks; b++)
		if (p->blocks[b].name && !p->blocks[b].group)
			forget_block(p, b);
}

/* ---- holding ---- */

/* It is held, and taken for something else. */
static void evict(struct kv_pool *p, uint32_t b)
{
	p->n_evicted++;
	if (p->blocks[b].group) {
		forget_beside(p, b);
		return;
	}
	forget_block(p, b);
	p->evicted[p->blocks[b].hash & (p->n_buckets - 1)] = p->blocks[b].hash;
}

uint32_t kv_take(struct kv_pool *p)
{
	uint32_t b = p->oldest;
	if (b == KV_NONE)
		return KV_NONE;
	remove_free(p, b);
	p->blocks[b].n_held = 1;
	if (p->blocks[b].name)
		evict(p, b);
	return b;
}

void kv_hold(struct kv_pool *p, uint32_t b)
{
	if (p->blocks[b].n_held++ == 0)
		remove_free(p, b);
}

void kv_release(struct kv_pool *p, uint32_t b)
{
	if (--p->blocks[b].n_held > 0)
		return;
	if (p->blocks[b].name)
		add_newest(p, b);
	else
		add_oldest(p, b);
}

bool kv_init(struct kv_pool *p, uint32_t n_blocks)
{
	*p = (struct kv_pool){.n_blocks = n_blocks, .oldest = KV_NONE, .newest = KV_NONE};
	p->n_buckets = n_buckets_for(n_blocks);
	p->blocks = calloc(n_blocks, sizeof *p->blocks);
	p->ids = calloc(n_blocks, BLOCK_BYTES);
	p->buckets = malloc(p->n_buckets * sizeof *p->buckets);
	p->evicted = calloc(p->n_buckets, sizeof *p->evicted);
	if (!p->blocks || !p->ids || !p->buckets || !p->evicted)
		return false;
	memset(p->buckets, 0xff, p->n_buckets * sizeof *p->buckets);
	for (uint32_t b = 0; b < n_blocks; b++)
		add_newest(p, b);
	return true;
}

bool kv_init_beside(struct kv_pool *p, const uint32_t *windows, uint32_t n, struct kv_pool *store)
{
	size_t bytes = (size_t)n * p->n_blocks * sizeof *p->beside;
	p->beside = malloc(bytes ? bytes : 1);
	if (!p->beside)
		return false;
	memset(p->beside, 0xff, bytes);
	p->n_beside = n;
	p->store = store;
	store->lead = p;
	for (uint32_t g = 0; g < n; g++)
		p->windows[g] = windows[g];
	return true;
}

void kv_deinit(struct kv_pool *p)
{
	free(p->beside);
	free(p->blocks);
	free(p->ids);
	free(p->buckets);
	free(p->evicted);
	*p = (struct kv_pool){0};
}
