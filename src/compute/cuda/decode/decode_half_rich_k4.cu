/* The decode kernel of rich models in Q4_K and Q6_K, with the heads of Phi 3 and of Gemma; activations are one half
 * (HALF). */
#define DECODE_FULL 0
#define DECODE_RICH 1
#include "compute/cuda/decode/decode_kernel.cuh"

cudaError_t decode_half_rich_k4(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			 cudaStream_t stream)
{
	return launch_decode<DECODE_K4, 3, 8>(a, grid, shared_bytes, stream);
}
