/*
 * A histogram with fixed bounds: how many values lie at or below each, and their sum. Plain figures that are
 * copied by assignment; whoever shares one looks after the lock.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_MAX_BOUNDS = 24 };

struct histogram {
	const double *bounds; /* (n_bounds) of static storage, ascending */
	uint32_t n_bounds;
	uint64_t counts[HISTOGRAM_MAX_BOUNDS +
			1]; /* of values above the bound before and not above this; the last: above all */
	double sum;
};

/* Bounds by what is counted: a whole request or a part of it, the time of a token or a step, and powers of
 * two. */
#define HISTOGRAM_SECONDS                                   \
	(struct histogram)                                  \
	{                                                   \
		.bounds = histogram_seconds, .n_bounds = 19 \
	}
#define HISTOGRAM_STEP_SECONDS                                   \
	(struct histogram)                                       \
	{                                                        \
		.bounds = histogram_step_seconds, .n_bounds = 17 \
	}
#define HISTOGRAM_LENGTHS                                  \
	(struct histogram)                                 \
	{                                                  \
		.bounds = histogram_powers, .n_bounds = 21 \
	} /* to 1,048,576 */
#define HISTOGRAM_SIZES                                    \
	(struct histogram)                                 \
	{                                                  \
		.bounds = histogram_powers, .n_bounds = 11 \
	} /* to 1,024 */
extern const double histogram_seconds[19], histogram_step_seconds[17], histogram_powers[21];

/* One value more. What is no number, or below zero, counts as zero. */
void histogram_add(struct histogram *h, double value);

/* All values. */
uint64_t histogram_count(const struct histogram *h);

#endif
