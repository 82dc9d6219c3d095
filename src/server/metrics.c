#include "server/metrics.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(METRICS_N_STOPS == HOKKU_STOP_CONTEXT + 1, "each has its counter");

void metrics_times_init(struct metrics_times *t)
{
	*t = (struct metrics_times){0};
#define METRICS_X(name, told, bounds, vllm, help) t->name = bounds;
	METRICS_HISTOGRAMS(METRICS_X)
#undef METRICS_X
}

bool metrics_init(struct metrics_requests *m, uint32_t n_routes, uint32_t n_owners, uint32_t max_series)
{
	*m = (struct metrics_requests){.n_routes = n_routes, .n_owners = n_owners, .max_series = max_series};
	m->counts = calloc((size_t)n_owners + 2, sizeof *m->counts);
	return m->counts != NULL;
}

void metrics_deinit(struct metrics_requests *m)
{
	for (uint32_t i = 0; m->counts && i < m->n_owners + 2; i++)
		free(m->counts[i]);
	free(m->counts);
	*m = (struct metrics_requests){0};
}

/* The row of counters of owner; NULL: no memory. */
static uint64_t *counts_of(struct metrics_requests *m, uint32_t owner)
{
	if (!m->counts[owner])
		m->counts[owner] = calloc(((size_t)m->n_routes + 1) * METRICS_N_OUTCOMES, sizeof **m->counts);
	return m->counts[owner];
}

void metrics_count(struct metrics_requests *m, uint32_t route, uint32_t owner, unsigned outcome)
{
	size_t at = (size_t)route * METRICS_N_OUTCOMES + outcome;
	uint64_t *counts = counts_of(m, owner);
	if (counts && counts[at] == 0 && m->n_series == m->max_series)
		counts = counts_of(m, m->n_owners + 1);
	else if (counts && counts[at] == 0)
		m->n_series++;
	if (counts)
		counts[at]++;
}

const char *metrics_outcome(unsigned outcome, char out[32])
{
	const char *name = outcome == METRICS_GONE ? "gone" : hokku_code_name((enum hokku_code)outcome);
	size_t i = 0;
	for (; name[i] && i < 31; i++)
		out[i] = (char)tolower((unsigned char)name[i]);
	out[i] = '\0';
	return out;
}
