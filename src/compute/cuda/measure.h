/* What a device can do at most, measured. */
#ifndef COMPUTE_CUDA_MEASURE_H
#define COMPUTE_CUDA_MEASURE_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDA_READ_GRAIN = 64 << 10 };

/* Reads bytes (a multiple of CUDA_READ_GRAIN) of device memory, each 4 of them `word`; out is written if one
 * is not. */
struct read_args {
	const void *from;
	uint32_t *out;
	uint64_t bytes;
	uint32_t n_blocks, word;
};
cudaError_t cuda_read(const struct read_args *a, cudaStream_t stream);

/* Tensor-core products of halves summed in float32, on numbers that never leave the multiprocessors: `rounds`
 * of them in each of n_blocks blocks, one or two of which a multiprocessor takes. */
struct multiply_args {
	float *out; /* written if a sum is not a number */
	uint32_t n_blocks, rounds;
};
enum {
	CUDA_MULTIPLY_OPS = 8 * 8 * 2 * 16 * 8 * 16,         /* of a block's round */
	CUDA_MULTIPLY_WGMMA_OPS = 2 * 4 * 2 * 64 * 192 * 16, /* the same */
};
cudaError_t cuda_multiply(const struct multiply_args *a, cudaStream_t stream);       /* from sm_80 up */
cudaError_t cuda_multiply_wgmma(const struct multiply_args *a, cudaStream_t stream); /* sm_90 alone */

#ifdef __cplusplus
}
#endif
#endif
