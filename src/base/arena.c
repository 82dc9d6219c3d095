#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_chunk {
	struct arena_chunk *next;
	size_t cap, used;
	_Alignas(64) unsigned char bytes[];
};

static void *take(struct arena *a, struct arena_chunk *c, size_t n, size_t align)
{
	unsigned char *start = (unsigned char *)c->bytes + c->used;
	size_t pad = (size_t)(-(uintptr_t)start & (align - 1));
	if (pad > c->cap - c->used || n > c->cap - c->used - pad)
		return NULL;
	c->used += pad + n;
	a->used_bytes += n;
	return memset(start + pad, 0, n);
}

void *arena_alloc(struct arena *a, size_t n, size_t align)
{
	for (struct arena_chunk *c = a->current; c; c = c->next) {
		void *p = take(a, c, n, align);
		if (p) {
			a->current = c;
			return p;
		}
	}
	size_t cap = a->chunk_bytes ? a->chunk_bytes : 64 * 1024;
	if (n > SIZE_MAX - sizeof(struct arena_chunk) - align)
		return NULL;
	if (cap < n + align)
		cap = n + align;
	struct arena_chunk *c = malloc(sizeof *c + cap);
	if (!c)
		return NULL;
	c->next = NULL;
	c->cap = cap;
	c->used = 0;
	struct arena_chunk **end = a->current ? &a->current->next : &a->first;
	while (*end)
		end = &(*end)->next;
	*end = c;
	a->current = c;
	return take(a, c, n, align);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;
	if (__builtin_mul_overflow(count, size, &n))
		return NULL;
	return arena_alloc(a, n, 64);
}

char *arena_strdup(struct arena *a, const char *text, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1, 1) : NULL;
	if (copy && n)
		memcpy(copy, text, n);
	return copy;
}

void arena_reset(struct arena *a)
{
	for (struct arena_chunk *c = a->first; c; c = c->next)
		c->used = 0;
	a->current = a->first;
	a->used_bytes = 0;
}

void arena_free(struct arena *a)
{
	for (struct arena_chunk *c = a->first; c;) {
		struct arena_chunk *next = c->next;
		free(c);
		c = next;
	}
	a->first = a->current = NULL;
	a->used_bytes = 0;
}
