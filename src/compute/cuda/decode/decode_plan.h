/* The work of the decode kernel's blocks. */
#ifndef COMPUTE_CUDA_DECODE_PLAN_H
#define COMPUTE_CUDA_DECODE_PLAN_H

#include <stdbool.h>

#include "compute/cuda/decode/decode_kernels.h"

/* The matrix in the kernel's terms; few: as below. */
struct decode_matrix decode_plan_matrix(const struct tile_matrix *m, bool few);

/* The stints of one of `grid` blocks, in order, over all layers and the output matrix; returns how many.
 * stints NULL: only counts. matrices: (n_layers * DECODE_N_ROLES + 1). planes: as in struct decode_args; few:
 * for a kernel of several sequences. */
uint32_t decode_plan_stints(const struct tile_matrix *matrices, uint32_t n_layers, uint32_t planes, bool few,
			    uint32_t block, uint32_t grid, struct decode_stint *stints);

/* Bytes of tagged words. */
uint64_t decode_tagged_bytes(const struct decode_args *a, uint32_t grid);

/* How many columns of a head a block merges (struct decode_args): so few that all blocks have something to
 * do. */
uint32_t decode_merge_log(uint32_t n_heads, uint32_t head_dim, uint32_t grid);

/* Fills shared, ring_bytes and column for the shared memory that a block may have, and how much of it is
 * used; false: the model does not fit. */
bool decode_plan_shared(struct decode_args *a, uint32_t shared_bytes, uint32_t *bytes);

#endif
