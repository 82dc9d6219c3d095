/* Tile products (tile_product.cuh) with weights in Q4_0 and Q4_1. */
#include "compute/cuda/tile/tile_product.cuh"

cudaError_t tile_product_q4(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
			    uint32_t n_sms, cudaStream_t stream)
{
	return format == CUDA_Q4_0 ? run_format<CUDA_Q4_0>(l, shape, n_sms, stream)
				   : run_format<CUDA_Q4_1>(l, shape, n_sms, stream);
}
