/*
 * Products of the tile path for many columns (prefill, batches), as the host sees them. The bits are those of
 * docs/exactness.md's tile numerics: of the shape a product is cut into, of how many tokens there are and of
 * what else is in the launch they do not depend. C and CUDA C.
 */
#ifndef COMPUTE_CUDA_TILE_PRODUCT_H
#define COMPUTE_CUDA_TILE_PRODUCT_H

#include "compute/cuda/tile/tile_kernels.h"
#include "compute/cuda/tile/tile_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TILE_PRODUCT_MATRICES = 3 };

/* One matrix of a launch. Its results go to columns out_col .. out_col + w.rows - 1 of out. */
struct tile_product_part {
	struct tile_matrix w;
	const float *bias; /* (w.rows), or NULL */
	uint32_t out_col;
};

/* out (n_tokens, out_pitch) = x * w^T (+ bias), added to what out holds if add. All matrices have x.cols
 * columns. x.halves is aligned to 128 bytes; x.sums is read for formats with mins in precision mode FULL
 * (x.planes 2) alone. */
struct tile_product_args {
	struct tile_product_part part[TILE_PRODUCT_MATRICES];
	struct tile_activations x;
	float *out;
	uint32_t n_parts, n_tokens, out_pitch, add;
	uint32_t n_sms; /* multiprocessors of the device */
};
cudaError_t tile_product(const struct tile_product_args *a, cudaStream_t stream);

/* For tests and measurements: as above, but with the shape of that index; cudaErrorInvalidConfiguration if
 * the format has no such shape, cudaErrorInvalidValue past the last. */
cudaError_t tile_product_shaped(const struct tile_product_args *a, uint32_t shape, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
