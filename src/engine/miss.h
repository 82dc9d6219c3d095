/* Why a prompt was not found in KV memory further than it was: for requests that ask. */
#ifndef ENGINE_MISS_H
#define ENGINE_MISS_H

#include "engine/kv.h"

/* clang-format off */
#define CACHE_MISSES(X) \
	X(NOT_ASKED, "") \
	X(ALL_FOUND, "all_found")           /* every whole block before the last token */ \
	X(OTHER_TOKEN, "other_token")       /* what is known goes on with another token than `token` at `pos` */ \
	X(EVICTED, "evicted")               /* what is seen from `pos` on was there and was let go for something else */ \
	X(NOTHING_FOLLOWS, "nothing_known") /* nothing that is known goes on at `pos` */ \
	X(OFF, "off")                       /* nothing of the request is looked for */
/* clang-format on */
enum cache_miss_why {
#define MISS_X(name, text) CACHE_MISS_##name,
	CACHE_MISSES(MISS_X)
#undef MISS_X
};

struct cache_miss {
	enum cache_miss_why why;
	uint32_t pos;  /* the first position that was not found; of what is known the longest way */
	int32_t token; /* OTHER_TOKEN: the prompt's there. The other is not told: it may be somebody else's */
};

/* The same as X's second: "other_token". */
const char *cache_miss_name(enum cache_miss_why why);

/* Of n_ids ids (at least one) behind root. Goes through all blocks once. */
struct cache_miss cache_explain(const struct kv_pool *p, uint64_t root, const int32_t *ids, uint32_t n_ids);

#endif
