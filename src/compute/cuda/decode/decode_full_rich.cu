/* The decode kernel of rich models with heads of up to 32 and of 256; activations are two halves (FULL). */
#define DECODE_FULL 1
#define DECODE_RICH 1
#include "compute/cuda/decode/decode_kernel.cuh"

cudaError_t decode_full_rich(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			 cudaStream_t stream)
{
	return launch_decode<DECODE_ANY, 1, 8>(a, grid, shared_bytes, stream);
}
