/*
 * Roots of KV blocks (kv.h): one for each pair of an owner and a cache_salt, so that what one computed is
 * found by nobody who does not come with the same pair. Pairs are compared, byte by byte, and no root is
 * given twice. The table is bounded: a pair that has not come for long is forgotten, and gets a root of its
 * own again when it comes, behind which nothing is found.
 */
#ifndef ENGINE_SALTS_H
#define ENGINE_SALTS_H

#include "base/str.h"

enum {
	/* Pairs that are known. Of the owner that has most the one goes that was used least recently. */
	SALTS_MAX = 4096,
	SALTS_BUCKETS = 1024,
	SALTS_MAX_BYTES = 256, /* of a salt */
	SALTS_OWNERS = 1025,   /* 0 and the keys there can be */
};

struct salt {
	struct salt *next; /* of its bucket */
	uint64_t root, used;
	uint32_t owner;
	size_t n_bytes;
	char bytes[];
};

struct salts {
	struct salt *buckets[SALTS_BUCKETS];
	uint64_t secret; /* strangers choose the salts */
	uint64_t last_root, clock;
	uint32_t n;
	uint32_t n_of[SALTS_OWNERS]; /* of these an owner's */
};

/* Draws the secret that roots are made with. */
void salts_init(struct salts *t);
void salts_deinit(struct salts *t);

/* The root of the blocks of owner (below SALTS_OWNERS) under salt (SALTS_MAX_BYTES at most; empty: none is
 * given, which takes no place in the table). Without memory it is one that nobody else has. */
uint64_t salts_root(struct salts *t, uint32_t owner, struct str salt);

#endif
