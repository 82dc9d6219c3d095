/* Lists of numbers, equal ones found again: what a machine's states are made of. Memory counts as the pool's.
 */
#ifndef CONSTRAIN_LISTS_H
#define CONSTRAIN_LISTS_H

#include "constrain/rx_internal.h"

struct lists {
	struct rx_pool *pool;
	uint32_t *values; /* of all lists, one after the other */
	uint32_t n_values, cap_values;
	uint32_t *first; /* where list i begins; one more, for where the last one ends */
	uint32_t n_first, cap_first;
	uint32_t *slots; /* a table: list + 1; 0: free */
	uint32_t cap_slots;
};

enum { LISTS_FAILED = UINT32_MAX };

/* The list's number; *is_new (may be NULL): it was not there. */
uint32_t lists_intern(struct lists *l, const uint32_t *values, uint32_t n, bool *is_new);
void lists_clear(struct lists *l); /* keeps the memory */
void lists_free(struct lists *l);

static inline uint32_t lists_count(const struct lists *l)
{
	return l->n_first ? l->n_first - 1 : 0;
}

static inline const uint32_t *lists_get(const struct lists *l, uint32_t number, uint32_t *n)
{
	*n = l->first[number + 1] - l->first[number];
	return l->values + l->first[number];
}

#endif
