#include "engine/miss.h"

enum { BLOCK = COMPUTE_KV_BLOCK };

const char *cache_miss_name(enum cache_miss_why why)
{
	static const char *const names[] = {
#define MISS_X(name, text) [CACHE_MISS_##name] = text,
		CACHE_MISSES(MISS_X)
#undef MISS_X
	};
	return names[why];
}

static uint32_t n_alike(const int32_t *a, const int32_t *b)
{
	uint32_t n = 0;
	while (n < BLOCK && a[n] == b[n])
		n++;
	return n;
}

/* Of the blocks after `before` the one that goes the longest way with ids, which none goes to its end. */
static struct cache_miss find_other(const struct kv_pool *p, uint64_t before, const int32_t *ids,
				    uint32_t pos)
{
	struct cache_miss miss = {.why = CACHE_MISS_NOTHING_FOLLOWS, .pos = pos};
	for (uint32_t b = 0; b < p->n_blocks; b++) {
		if (!p->blocks[b].name || p->blocks[b].group || p->blocks[b].before != before)
			continue;
		const int32_t *known = p->ids + (size_t)b * BLOCK;
		uint32_t n = n_alike(ids, known);
		if (n == BLOCK || (miss.why == CACHE_MISS_OTHER_TOKEN && pos + n <= miss.pos))
			continue;
		miss = (struct cache_miss){CACHE_MISS_OTHER_TOKEN, pos + n, ids[n]};
	}
	return miss;
}

struct cache_miss cache_explain(const struct kv_pool *p, uint64_t root, const int32_t *ids, uint32_t n_ids)
{
	uint64_t before = root, hash = root;
	uint32_t n = (n_ids - 1) / BLOCK; /* the last token is always computed */
	struct kv_reach reach;
	for (kv_reach_from(&reach, 0); reach.end < n;) {
		const int32_t *block = ids + (size_t)reach.end * BLOCK;
		hash = kv_hash(hash, block);
		uint32_t found = kv_find(p, before, hash, block);
		if (found == KV_NONE)
			break;
		before = kv_name(p, found);
		kv_reach_add(&reach, p, found);
	}
	uint32_t pos = reach.whole * BLOCK;
	if (reach.whole < reach.end || (pos / BLOCK < n && kv_was_evicted(p, hash)))
		return (struct cache_miss){.why = CACHE_MISS_EVICTED, .pos = pos};
	if (pos / BLOCK < n)
		return find_other(p, before, ids + pos, pos);
	return (struct cache_miss){.why = CACHE_MISS_ALL_FOUND, .pos = pos};
}
