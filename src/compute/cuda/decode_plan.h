/* The work of the decode kernel's blocks. */
#ifndef COMPUTE_CUDA_DECODE_PLAN_H
#define COMPUTE_CUDA_DECODE_PLAN_H

#include <stdbool.h>

#include "compute/cuda/decode.h"

/* The jobs of one of `grid` blocks, in order, over all layers and the output matrix; returns how many. jobs
 * NULL: only counts. matrices: (n_layers * DECODE_N_ROLES + 1). */
uint32_t decode_plan_jobs(const struct tile_matrix *matrices, uint32_t n_layers, uint32_t block, uint32_t grid,
			  struct decode_job *jobs);

#endif
