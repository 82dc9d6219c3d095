/* Tile products (tile_product.cuh) with weights in Q5_0 and Q5_1. */
#include "compute/cuda/tile/tile_product.cuh"

cudaError_t tile_product_q5(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
			    uint32_t n_sms, cudaStream_t stream)
{
	return format == CUDA_Q5_0 ? run_format<CUDA_Q5_0>(l, shape, n_sms, stream)
				   : run_format<CUDA_Q5_1>(l, shape, n_sms, stream);
}
