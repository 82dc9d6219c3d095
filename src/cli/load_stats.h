/* Figures of a run: times one by one, and what is told of them. */
#ifndef CLI_LOAD_STATS_H
#define CLI_LOAD_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct series {
	double *v;
	size_t n, cap;
	bool failed; /* no memory: something is not in it */
};

/* Where there is no memory they are left out, and `failed` tells it. */
void series_add(struct series *s, double value);
void series_add_all(struct series *s, const struct series *more);
void series_clear(struct series *s); /* keeps the memory */
void series_free(struct series *s);

struct summary {
	size_t n;
	double mean, p50, p90, p95, p99, largest; /* of none: 0 */
};

/* Sorts the series. Percentiles lie between the two nearest values, by distance, as NumPy's default has it.
 */
struct summary series_summary(struct series *s);

#endif
