/*
 * How a weight lies in device memory: its own format, nothing decoded. Kernels load aligned words, and most
 * blocks are no multiple of four bytes; so each block gives up a few bytes (its scales) to a second array:
 *
 *     main array: row after row, the blocks' quants     side array: row after row, what was taken out
 *
 * Rows of plain floats are padded with zeros to whole eights. The arrays together are as large as the
 * file's tensor, but for that padding.
 */
#ifndef COMPUTE_CUDA_PLAIN_LAYOUT_H
#define COMPUTE_CUDA_PLAIN_LAYOUT_H

#include "compute/cuda/plain/plain_kernels.h"
#include "model/model.h"

/* Fills m's shape and pitches for w, not its pointers. False: there is no kernel for the format. */
bool plain_layout_plan(struct plain_matrix *m, const struct weight *w);

/* plain_layout for rows of w, which lie in `rows` on the device. */
cudaError_t plain_layout_rows(const struct plain_matrix *m, const struct weight *w, const uint8_t *rows,
			      uint32_t first, uint32_t n, cudaStream_t stream);

#endif
