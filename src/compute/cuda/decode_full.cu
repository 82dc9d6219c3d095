/* The decode kernel for models whose activations are two halves (FULL). */
#define DECODE_FULL 1
#include "compute/cuda/decode_kernel.cuh"

cudaError_t cuda_decode_full(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			     cudaStream_t stream)
{
	return launch_decode(a, grid, shared_bytes, stream);
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
