#include "constrain/lists.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const uint32_t *values, uint32_t n)
{
	uint64_t h = n;
	for (uint32_t i = 0; i < n; i++) {
		h = (h ^ values[i]) * 0xbf58476d1ce4e5b9u;
		h ^= h >> 29;
	}
	return h;
}

static bool more_slots(struct lists *l)
{
	uint32_t old = l->cap_slots, cap = old, *slots = NULL;
	/* rx_grow alone would keep what is there; it counts, and says whether it fits. */
	if (!rx_grow(l->pool, (void **)&l->slots, old, &cap, sizeof *l->slots))
		return false;
	slots = l->slots;
	memset(slots, 0, cap * sizeof *slots);
	l->cap_slots = cap;
	for (uint32_t i = 0; i < lists_count(l); i++) {
		uint32_t n, at;
		const uint32_t *values = lists_get(l, i, &n);
		at = (uint32_t)hash(values, n) & (cap - 1);
		while (slots[at])
			at = (at + 1) & (cap - 1);
		slots[at] = i + 1;
	}
	return true;
}

uint32_t lists_intern(struct lists *l, const uint32_t *values, uint32_t n, bool *is_new)
{
	uint32_t count = lists_count(l), n_old;
	if (is_new)
		*is_new = false;
	if (!rx_charge(l->pool, 1 + n / 8) || (count + 1 > l->cap_slots / 2 && !more_slots(l)) ||
	    !rx_grow(l->pool, (void **)&l->values, l->n_values + n, &l->cap_values, sizeof *l->values) ||
	    !rx_grow(l->pool, (void **)&l->first, l->n_first + 1, &l->cap_first, sizeof *l->first))
		return LISTS_FAILED;
	if (!l->n_first)
		l->first[l->n_first++] = 0;
	uint32_t at = (uint32_t)hash(values, n) & (l->cap_slots - 1);
	for (; l->slots[at]; at = (at + 1) & (l->cap_slots - 1)) {
		const uint32_t *old = lists_get(l, l->slots[at] - 1, &n_old);
		if (n_old == n && memcmp(old, values, n * sizeof *values) == 0)
			return l->slots[at] - 1;
	}
	if (n)
		memcpy(l->values + l->n_values, values, n * sizeof *values);
	l->n_values += n;
	l->first[l->n_first++] = l->n_values;
	l->slots[at] = count + 1;
	if (is_new)
		*is_new = true;
	return count;
}

void lists_clear(struct lists *l)
{
	l->n_values = l->n_first = 0;
	if (l->slots)
		memset(l->slots, 0, l->cap_slots * sizeof *l->slots);
}

void lists_free(struct lists *l)
{
	free(l->values);
	free(l->first);
	free(l->slots);
}
