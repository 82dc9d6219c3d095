/* Hidden states through the door, whole or pooled, as tests of every backend ask for them. */
#ifndef TEST_POOLED_H
#define TEST_POOLED_H

#include <math.h>

#include "compute/compute.h"
#include "golden.h"

typedef enum hokku_code pooled_step(void *self, struct compute_seq *seqs, uint32_t n,
				    struct hokku_error *err);

/* A prompt in steps of `chunk`, beside (other != NULL) a sequence that wants nothing of the kind, on blocks
 * of its own. states: as pooling says; POOL_NONE: (n, d_model). */
struct pooled_run {
	pooled_step *step;
	void *self;
	uint32_t d_model;
	const int32_t *ids;
	uint32_t n;
	const uint32_t *blocks;
	struct compute_seq *other;
};

GOLDEN_INLINE bool pooled_run(const struct pooled_run *r, enum compute_pooling pooling, uint32_t chunk,
			      float *states, float *logits)
{
	struct hokku_error err = {0};
	for (uint32_t pos = 0; pos < r->n; pos += chunk) {
		uint32_t n = r->n - pos < chunk ? r->n - pos : chunk;
		struct compute_seq seqs[2];
		struct compute_seq *seq = &seqs[r->other != NULL];
		if (r->other)
			seqs[0] = *r->other;
		*seq = (struct compute_seq){
			.tokens = r->ids + pos,
			.n_tokens = n,
			.pos = pos,
			.blocks = r->blocks,
			.pooling = pooling,
			.states = states + (pooling == COMPUTE_POOL_NONE ? (size_t)pos * r->d_model : 0),
			.ends = pos + n == r->n,
			.logits = pos + n == r->n ? logits : NULL,
		};
		if (r->step(r->self, seqs, 1 + (r->other != NULL), &err)) {
			fprintf(stderr, "step at %u: %s\n", pos, err.message);
			return false;
		}
	}
	return true;
}

/* The last row of logits that states give by the output matrix, in double precision: how far, relative to the
 * largest, those of the device are from it. */
GOLDEN_INLINE double pooled_logits_error(const struct model *m, const float *state, const float *logits)
{
	struct hokku_error err = {0};
	float *row = malloc(m->hp.d_model * sizeof *row);
	double worst = 0, largest = 0;
	for (uint32_t i = 0; i < m->hp.n_vocab; i++) {
		double sum = 0;
		if (weight_floats(&m->w[ROLE_OUTPUT], i, row, &err))
			return INFINITY;
		for (uint32_t k = 0; k < m->hp.d_model; k++)
			sum += (double)row[k] * (double)state[k];
		worst = fmax(worst, fabs(sum - (double)logits[i]));
		largest = fmax(largest, fabs(sum));
	}
	free(row);
	return worst / largest;
}

/* How far mean (d_model) is from that of states (n, d_model), relative to the largest. */
GOLDEN_INLINE double pooled_mean_error(const float *states, uint32_t n, uint32_t d_model, const float *mean)
{
	double worst = 0, largest = 0;
	for (uint32_t k = 0; k < d_model; k++) {
		double sum = 0;
		for (uint32_t t = 0; t < n; t++)
			sum += (double)states[(size_t)t * d_model + k];
		worst = fmax(worst, fabs(sum / n - (double)mean[k]));
		largest = fmax(largest, fabs(sum / n));
	}
	return worst / largest;
}

#endif
