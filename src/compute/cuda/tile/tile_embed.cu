/* Rows of the embedding from the tile layout. */
#include "compute/cuda/chain.cuh"
#include "compute/cuda/tile/frag.cuh"

namespace
{

enum { THREADS = 128 };

/* A block a token; a thread takes eight columns at a time. */
template <int FORMAT> __global__ void tile_embed_kernel(const struct tile_embed_args a)
{
	const struct tile_matrix *e = &a.embedding;
	chain_next();
	chain_wait();
	uint32_t row = (uint32_t)a.tokens[blockIdx.x].id, s = 0;
	float *x = a.x + (uint64_t)blockIdx.x * a.pitch;
	for (uint32_t i = threadIdx.x; i < a.pitch / 8; i += THREADS) {
		const uint32_t chunks = frag_traits<FORMAT>::chunks;
		uint32_t unit = i / 4 / chunks;
		float w[8] = {};
		if (8 * i < e->cols) {
			while (tile_segment(e->n_units, s + 1) <= unit)
				s++;
			uint64_t at = tile_offset(e, row / TILE_ROWS, s, unit);
			frag_exact<FORMAT>(e->data + at, i / 4 % chunks, row % TILE_ROWS, i % 4, w);
		}
#pragma unroll
		for (uint32_t j = 0; j < 8; j++)
			x[8 * i + j] =
				(tile_has_row_scales(FORMAT) ? w[j] * *tile_row_scale(e->data, row) : w[j]) *
				a.scale;
	}
}

template <int FORMAT> cudaError_t launch_embed(const struct tile_embed_args *a, cudaStream_t stream)
{
	void (*kernel)(struct tile_embed_args) = tile_embed_kernel<FORMAT>;
	return LAUNCH_CHAINED(1, kernel, dim3(a->n_tokens), THREADS, 0, stream, *a);
}

} // namespace

#define EMBED_CASE(name, bytes, columns) \
	case CUDA_##name:                \
		return launch_embed<CUDA_##name>(a, stream);

cudaError_t tile_embed(const struct tile_embed_args *a, cudaStream_t stream)
{
	switch (a->embedding.format) {
		TILE_FORMATS(EMBED_CASE)
	default:
		return cudaErrorInvalidValue;
	}
}
