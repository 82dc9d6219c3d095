/* The decode kernel of several sequences, of models in Q8_0; activations are one half (HALF). */
#define DECODE_FULL 0
#define DECODE_FEW
#include "compute/cuda/decode/decode_kernel.cuh"

cudaError_t decode_half_few_q8_0(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
				 cudaStream_t stream)
{
	return launch_decode<DECODE_Q8_0, 4>(a, grid, shared_bytes, stream);
}
