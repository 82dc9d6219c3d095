/* Tile products (tile_product.cuh) with weights in Q2_K. */
#include "compute/cuda/tile/tile_product.cuh"

cudaError_t tile_product_k2(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
			    uint32_t n_sms, cudaStream_t stream)
{
	(void)format;
	return run_format<CUDA_Q2_K>(l, shape, n_sms, stream);
}
