/* The decode kernel for models whose activations are two halves (FULL). Eight warps with two segments each:
 * the second half of the activations and the scales in float32 need registers. */
#define DECODE_SIDES 2
#include "compute/cuda/decode_kernel.cuh"

cudaError_t cuda_decode_full(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			     cudaStream_t stream)
{
	return launch_decode<1>(a, grid, shared_bytes, stream);
}

uint32_t cuda_decode_blocks(uint32_t n_sms)
{
#ifdef CUDASIM
	return n_sms < 1 ? n_sms
			 : 1; /* the emulator runs one block after another; a block alone waits for nobody */
#else
	return n_sms;
#endif
}
