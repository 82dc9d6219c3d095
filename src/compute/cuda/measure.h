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

#ifdef __cplusplus
}
#endif
#endif
