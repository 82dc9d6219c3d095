/* The decode kernel of rich models in BF16; activations are two halves (FULL). */
#define DECODE_FULL 1
#define DECODE_RICH 1
#include "compute/cuda/decode/decode_kernel.cuh"

cudaError_t decode_full_rich_bf16(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
				  cudaStream_t stream)
{
	return launch_decode<DECODE_BF16, 1, 2, 3, 4, 8>(a, grid, shared_bytes, stream);
}
