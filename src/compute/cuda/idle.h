/* How long the device stood still between steps: HOKKU_CUDA_IDLE in the environment has it measured, by
 * events around each step, and told on stderr when the handle is closed. */
#ifndef COMPUTE_CUDA_IDLE_H
#define COMPUTE_CUDA_IDLE_H

#include "compute/cuda/cuda.h"

enum {
	IDLE_RING = 4,     /* steps whose events are kept: those under way, and the one before */
	IDLE_MOST_MS = 50, /* a longer rest is one in which nobody asked for anything, and does not count */
};

struct cuda_idle {
	cudaEvent_t begun[IDLE_RING], done[IDLE_RING];
	uint64_t n_steps;
	double busy_ms, idle_ms;
};

/* c->idle stays NULL where it is not asked for; then the others do nothing. */
enum hokku_code idle_prepare(struct cuda *c, struct hokku_error *err);
/* Before the first and after the last that the step now submitted gives to the stream. */
enum hokku_code idle_begin(struct cuda *c, struct hokku_error *err);
enum hokku_code idle_end(struct cuda *c, struct hokku_error *err);
/* The step now collected is done. */
enum hokku_code idle_collect(struct cuda *c, struct hokku_error *err);
void idle_close(struct cuda *c);

#endif
