/*
 * An arena: many allocations, one lifetime (a model, a request, a step). Memory comes from chained chunks;
 * nothing is freed alone. arena_reset keeps the chunks for the next lifetime, so a warmed arena allocates
 * nothing. Not thread-safe: one owner.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *first, *current;
	size_t chunk_bytes; /* of a new chunk; 0: 64 KiB */
	size_t used_bytes;
};

/* n bytes, zeroed, aligned to align (a power of two, 4,096 at most); NULL when the host has no memory. */
void *arena_alloc(struct arena *a, size_t n, size_t align);

/* count x size with the product checked; NULL on overflow too. */
void *arena_array(struct arena *a, size_t count, size_t size);

/* A terminated copy. */
char *arena_strdup(struct arena *a, const char *text, size_t n);

/* All that was taken is gone, and its memory is used again. */
void arena_reset(struct arena *a);
/* The same, and the memory is given back. */
void arena_free(struct arena *a);

#endif
