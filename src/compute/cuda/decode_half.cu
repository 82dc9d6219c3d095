/* The decode kernel for models whose activations are one half (HALF). Eight warps with two segments each. */
#define DECODE_SIDES 2
#include "compute/cuda/decode_kernel.cuh"

cudaError_t cuda_decode_half(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			     cudaStream_t stream)
{
	return launch_decode<0>(a, grid, shared_bytes, stream);
}
