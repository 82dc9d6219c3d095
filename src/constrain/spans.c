#include "constrain/spans.h"

#include <stdlib.h>
#include <string.h>

void spans_free(struct spans *s)
{
	free(s->at);
	*s = (struct spans){0};
}

void spans_clear(struct spans *s)
{
	s->n = 0;
	s->failed = false;
}

void spans_put(struct spans *s, uint32_t first, uint32_t last)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct rx_span *bigger = realloc(s->at, cap * sizeof *bigger);
		if (!bigger) {
			s->failed = true;
			return;
		}
		s->at = bigger;
		s->cap = cap;
	}
	s->at[s->n++] = (struct rx_span){first, last};
}

void spans_put_all(struct spans *s, const struct rx_span *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		spans_put(s, at[i].first, at[i].last);
}

static int by_first(const void *a, const void *b)
{
	uint32_t x = ((const struct rx_span *)a)->first, y = ((const struct rx_span *)b)->first;
	return (x > y) - (x < y);
}

void spans_sort(struct spans *s)
{
	size_t n = 0;
	if (s->n > 1)
		qsort(s->at, s->n, sizeof *s->at, by_first);
	for (size_t i = 0; i < s->n; i++) {
		struct rx_span now = s->at[i];
		if (n && now.first <= s->at[n - 1].last + 1) {
			if (now.last > s->at[n - 1].last)
				s->at[n - 1].last = now.last;
		} else {
			s->at[n++] = now;
		}
	}
	s->n = n;
}

void spans_invert(struct spans *s)
{
	struct spans out = {.failed = s->failed};
	uint32_t next = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (s->at[i].first > next)
			spans_put(&out, next, s->at[i].first - 1);
		next = s->at[i].last + 1;
	}
	if (next <= CODE_POINT_MAX)
		spans_put(&out, next, CODE_POINT_MAX);
	free(s->at);
	*s = out;
}

void spans_cut(struct spans *out, const struct spans *a, const struct spans *b, bool in_b)
{
	size_t j = 0;
	spans_clear(out);
	out->failed = a->failed || b->failed;
	for (size_t i = 0; i < a->n; i++) {
		uint32_t next = a->at[i].first, last = a->at[i].last;
		while (j < b->n && b->at[j].last < next)
			j++;
		size_t k = j;
		for (; k < b->n && b->at[k].first <= last; k++) {
			uint32_t from = b->at[k].first > next ? b->at[k].first : next;
			uint32_t to = b->at[k].last < last ? b->at[k].last : last;
			if (in_b)
				spans_put(out, from, to);
			else if (from > next)
				spans_put(out, next, from - 1);
			next = to + 1;
		}
		if (!in_b && next <= last)
			spans_put(out, next, last);
	}
}

bool spans_has(const struct spans *s, uint32_t c)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (c < s->at[middle].first)
			high = middle;
		else if (c > s->at[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

bool spans_same(const struct spans *a, const struct spans *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->at, b->at, a->n * sizeof *a->at) == 0);
}
