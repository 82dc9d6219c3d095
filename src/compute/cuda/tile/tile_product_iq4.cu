/* Tile products (tile_product.cuh) with weights in IQ4_NL and IQ4_XS. */
#include "compute/cuda/tile/tile_product.cuh"

cudaError_t tile_product_iq4(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
			     uint32_t n_sms, cudaStream_t stream)
{
	(void)format;
	return run_format<CUDA_IQ4_NL>(l, shape, n_sms, stream);
}
