/* The decode kernel for models whose activations are one half (HALF). */
#define DECODE_FULL 0
#include "compute/cuda/decode_kernel.cuh"

cudaError_t cuda_decode_half(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			     cudaStream_t stream)
{
	return launch_decode(a, grid, shared_bytes, stream);
}
