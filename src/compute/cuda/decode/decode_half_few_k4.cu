/* The decode kernel of several sequences, of models in Q4_K_M; activations are one half (HALF). */
#define DECODE_FULL 0
#define DECODE_FEW
#include "compute/cuda/decode/decode_kernel.cuh"

cudaError_t decode_half_few_k4(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			       cudaStream_t stream)
{
	return launch_decode<DECODE_K4, 4>(a, grid, shared_bytes, stream);
}
