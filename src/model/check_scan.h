/* What check.c asks of bytes: numbers that are not finite, and runs of zeros. */
#ifndef MODEL_CHECK_SCAN_H
#define MODEL_CHECK_SCAN_H

#include "gguf/tensor_type.h"

/* How a type's numbers lie in its bytes. */
struct check_layout {
	uint32_t unit_bytes; /* an element of a plain type, a block */
	uint32_t unit_elements;
	bool is_number; /* false: integers, in which nothing is wrong */
};

/* False for a type whose size nobody knows. */
bool check_layout_of(uint32_t type, struct check_layout *out);

/* Counts of units, and which unit the first is. */
struct check_tally {
	uint64_t n_nan, n_infinite, first_nan, first_infinite;
};

/* n_units units at bytes (aligned to 8) of a tensor, the first of them its unit number `first`: added to *t.
 * A whole number of CHECK_GROUP units, but at the tensor's end. */
enum { CHECK_GROUP = 8 };
void check_numbers(uint32_t type, const uint8_t *bytes, uint64_t n_units, uint64_t first,
		   struct check_tally *t);

/* Units that are zero, from unit `from` on, or before unit `end`; at most to the ends of the n_units. */
uint64_t check_zeros_from(const uint8_t *bytes, uint32_t unit_bytes, uint64_t from, uint64_t n_units);
uint64_t check_zeros_before(const uint8_t *bytes, uint32_t unit_bytes, uint64_t end);

#endif
