#include "engine/pace.h"

#define AGEING 0.5 /* what a step still weighs when the next has come */

void pace_init(struct pace *p, uint32_t n_max, double target_ms)
{
	*p = (struct pace){
		.n_max = n_max, .chunk = n_max < PACE_FIRST ? n_max : PACE_FIRST, .target_ms = target_ms};
}

/* Least squares. Steps of always the same length say nothing about the slope: it stays what it was; before
 * any is known, all of the time counts as the tokens'. True if the slope was seen. */
static bool fit(struct pace *p, double *fixed)
{
	double n = p->n / p->w, ms = p->ms / p->w;
	double spread = p->nn / p->w - n * n;
	bool seen = spread > 0.01 * n * n;
	double slope = seen ? (p->nms / p->w - n * ms) / spread : 0;
	if (slope > 0) { /* a shorter step that took longer tells of the machine, not of steps */
		p->each = slope;
		p->sloped = true;
	}
	if (!p->sloped || p->each * n > ms)
		p->each = ms / n;
	*fixed = ms - p->each * n;
	return seen;
}

void pace_add(struct pace *p, uint32_t n, double ms)
{
	double fixed, chunk = p->n_max;
	p->w = p->w * AGEING + 1;
	p->n = p->n * AGEING + n;
	p->ms = p->ms * AGEING + ms;
	p->nn = p->nn * AGEING + (double)n * n;
	p->nms = p->nms * AGEING + n * ms;
	bool seen = fit(p, &fixed);
	double left = p->target_ms - fixed;
	if (left < fixed)
		left = fixed;
	if (p->each * chunk > left)
		chunk = left / p->each;
	/* What decodes has its tokens in any case: a step may have been longer than it was to be. */
	double had = p->chunk > n ? p->chunk : n;
	double longest = had * PACE_MAX_CHANGE, shortest = (double)p->chunk / PACE_MAX_CHANGE;
	chunk = chunk > longest ? longest : chunk < shortest ? shortest : chunk;
	/* Several steps of one length, not short ones, and the slope unknown or perhaps no longer true: a
	 * different length tells. A shorter one, unless the last was to be as short already and sequences
	 * that decode made it longer. */
	bool doubtful = p->sloped ? ms > p->target_ms && n > 1 : ms > p->target_ms / 2 || n < 2;
	if (!seen && p->w > 1 && doubtful)
		chunk = n < 2 ? 2 : n / 2 < p->chunk ? n / 2.0 : n * 1.25 + 1;
	uint32_t whole = chunk < 1 ? 1 : chunk > p->n_max ? p->n_max : (uint32_t)chunk;
	p->chunk = whole < PACE_TILE ? whole : whole - whole % PACE_TILE;
}

uint32_t pace_chunk(const struct pace *p)
{
	return p->chunk;
}
