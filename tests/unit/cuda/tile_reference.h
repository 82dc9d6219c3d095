/* The numbers of the tile path's products, by the plainest kernel that gives them: what all fast ones must
 * equal to the bit. Runs on the emulator and on devices with mma.sync. */
#ifndef TEST_CUDA_TILE_REFERENCE_H
#define TEST_CUDA_TILE_REFERENCE_H

#include "compute/cuda/tile/tile_product.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As tile_product(). */
cudaError_t tile_product_reference(const struct tile_product_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
