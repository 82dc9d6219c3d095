#include <stdlib.h>

#include "text/tokenizer_internal.h"

/* Multiply and shift over eight bytes at a time; every byte of s reaches every bit of the result. */
static inline uint32_t hash(const char *s, size_t n)
{
	uint64_t h = n * 0x9E3779B97F4A7C15u, word;
	for (; n >= 8; s += 8, n -= 8) {
		memcpy(&word, s, 8);
		h = (h ^ word) * 0xD6E8FEB86659FD93u;
		h ^= h >> 32;
	}
	word = 0;
	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)(unsigned char)s[i] << (8 * i);
	h = (h ^ word) * 0xD6E8FEB86659FD93u;
	h ^= h >> 32;
	h *= 0xD6E8FEB86659FD93u;
	return (uint32_t)(h >> 32);
}

enum { EMPTY = -1 };

enum hokku_code string_table_create(struct string_table *t, uint64_t n, const char *bytes,
				    const uint32_t *offsets, struct hokku_error *err)
{
	uint64_t slots = 16;
	while (slots < n * 2)
		slots *= 2;
	*t = (struct string_table){malloc(slots * sizeof *t->slots), (uint32_t)(slots - 1), bytes, offsets};
	if (!t->slots)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a table of %llu tokens",
			       (unsigned long long)n);
	for (uint64_t i = 0; i < slots; i++)
		t->slots[i] = (struct string_slot){0, (uint32_t)EMPTY};
	return HOKKU_OK;
}

void string_table_destroy(struct string_table *t)
{
	free(t->slots);
	t->slots = NULL;
}

static inline bool holds(const struct string_table *t, uint32_t id, const char *s, size_t n)
{
	uint32_t from = t->offsets[id];
	return t->offsets[id + 1] - from == n && memcmp(t->bytes + from, s, n) == 0;
}

int32_t string_table_put(struct string_table *t, uint32_t id)
{
	const char *s = t->bytes + t->offsets[id];
	size_t n = t->offsets[id + 1] - t->offsets[id];
	uint32_t h = hash(s, n), i = h & t->mask;
	for (; t->slots[i].id != (uint32_t)EMPTY; i = (i + 1) & t->mask)
		if (t->slots[i].hash == h && holds(t, t->slots[i].id, s, n)) {
			int32_t earlier = (int32_t)t->slots[i].id;
			t->slots[i].id = id;
			return earlier;
		}
	t->slots[i] = (struct string_slot){h, id};
	return -1;
}

int32_t string_table_get(const struct string_table *t, const char *s, size_t n)
{
	uint32_t h = hash(s, n);
	for (uint32_t i = h & t->mask;; i = (i + 1) & t->mask) {
		struct string_slot slot = t->slots[i];
		if (slot.id == (uint32_t)EMPTY)
			return -1;
		if (slot.hash == h && holds(t, slot.id, s, n))
			return (int32_t)slot.id;
	}
}
