#include "cli/load_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct series *s, size_t extra)
{
	if (extra <= s->cap - s->n)
		return true;
	size_t cap = s->cap ? s->cap : 64;
	while (cap < s->n + extra)
		cap *= 2;
	double *v = realloc(s->v, cap * sizeof *v);
	if (!v) {
		s->failed = true;
		return false;
	}
	s->v = v;
	s->cap = cap;
	return true;
}

void series_add(struct series *s, double value)
{
	if (reserve(s, 1))
		s->v[s->n++] = value;
}

void series_add_all(struct series *s, const struct series *more)
{
	s->failed |= more->failed;
	if (!more->n || !reserve(s, more->n))
		return;
	memcpy(s->v + s->n, more->v, more->n * sizeof *s->v);
	s->n += more->n;
}

void series_clear(struct series *s)
{
	s->n = 0;
}

void series_free(struct series *s)
{
	free(s->v);
	*s = (struct series){0};
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double percentile(const struct series *s, double part)
{
	double at = part * (double)(s->n - 1), low = floor(at);
	size_t i = (size_t)low;
	return i + 1 < s->n ? s->v[i] + (s->v[i + 1] - s->v[i]) * (at - low) : s->v[i];
}

struct summary series_summary(struct series *s)
{
	if (!s->n)
		return (struct summary){0};
	double sum = 0;
	qsort(s->v, s->n, sizeof *s->v, by_size);
	for (size_t i = 0; i < s->n; i++)
		sum += s->v[i];
	return (struct summary){
		.n = s->n,
		.mean = sum / (double)s->n,
		.p50 = percentile(s, 0.5),
		.p90 = percentile(s, 0.9),
		.p95 = percentile(s, 0.95),
		.p99 = percentile(s, 0.99),
		.largest = s->v[s->n - 1],
	};
}
