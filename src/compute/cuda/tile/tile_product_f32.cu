/* Tile products (tile_product.cuh) with weights in F32, of two planes. */
#include "compute/cuda/tile/tile_product.cuh"

cudaError_t tile_product_f32(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
			     uint32_t n_sms, cudaStream_t stream)
{
	(void)format;
	return run_format<CUDA_F32>(l, shape, n_sms, stream);
}
