/* Which weights have a tile layout (tile_layout.h), and how large it is: the host's side of it. */
#ifndef COMPUTE_CUDA_TILE_PLAN_H
#define COMPUTE_CUDA_TILE_PLAN_H

#include "compute/cuda/tile/tile_layout.h"
#include "model/model.h"

/* Fills m for w but for m->data, which wants tile_bytes(m) bytes, and tile_lead_bytes(m) before it. planes: 1
 * (HALF) or 2 (FULL). False: the format has no tile kernels. */
bool tile_plan(struct tile_matrix *m, const struct weight *w, uint32_t planes);

#endif
