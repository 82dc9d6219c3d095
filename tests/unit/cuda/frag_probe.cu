#include "frag_probe.h"

#include "compute/cuda/tile/frag.cuh"

namespace
{

__device__ __forceinline__ float half_of(const uint32_t r[4], uint32_t i)
{
	return half_bits_to_float((uint16_t)(r[i / 2] >> (i % 2 ? 16 : 0)));
}

/* A warp a tile and segment. */
template <int FORMAT> __global__ void probe_kernel(const struct probe_args a)
{
	const uint32_t chunks = frag_traits<FORMAT>::chunks;
	uint32_t lane = threadIdx.x, row = lane / 4, tile = blockIdx.x;
	uint32_t first = tile_segment(a.m.n_units, blockIdx.y),
		 last = tile_segment(a.m.n_units, blockIdx.y + 1);
	struct probed *out = a.out + (uint64_t)(8 * tile + row) * a.m.n_units * chunks * 32;
	uint2 words = make_uint2(0, 0);
	for (uint32_t u = first; u < last; u++)
		for (uint32_t c = 0; c < chunks; c++) {
			const uint8_t *unit = a.m.data + tile_offset(&a.m, tile, blockIdx.y, u);
			words = frag_next_words<FORMAT>(unit, c, lane, words);
			uint32_t half[4], full[4];
			float exact[8], add, scale = frag_scale<FORMAT>(unit, c, row, lane % 4 / 2, &add);
			frag_load<FORMAT, 0>(unit, c, lane, half);
			frag_load<FORMAT, 1>(unit, c, lane, full);
			frag_exact<FORMAT>(unit, c, row, lane % 4, exact);
			uint32_t rest[4] = {0, 0, 0, 0};
			if constexpr (frag_traits<FORMAT>::halves > 1)
				frag_halves(unit, 1, lane, rest);
			uint32_t tiny[4] = {half[0], half[1], half[2], half[3]};
			if constexpr (frag_short<FORMAT>::is) {
				frag_small<FORMAT>(words, c % 2, tiny);
				frag_weights_short(tiny, frag_scale_short<FORMAT>(frag_scale_word<FORMAT>(
								 unit, c, row, lane % 4)));
			}
			float times = tile_has_row_scales(FORMAT) ? *tile_row_scale(a.m.data, 8 * tile + row)
								  : 1.0f;
			for (uint32_t i = 0; i < 8; i++) {
				struct probed p = {half_of(half, i) * times,
						   half_of(full, i) + half_of(rest, i),
						   scale * times,
						   add,
						   exact[i] * times,
						   half_of(tiny, i) * times};
				out[(u * chunks + c) * 32 + lane % 4 * 8 + i] = p;
			}
		}
}

template <int FORMAT> void launch_probe(const struct probe_args *a, cudaStream_t stream)
{
	void (*kernel)(struct probe_args) = probe_kernel<FORMAT>;
	LAUNCH(kernel, dim3(a->m.n_tiles, TILE_SEGMENTS), dim3(32), 0, stream, *a);
}

} // namespace

#define PROBE_CASE(name, bytes, columns)              \
	case CUDA_##name:                             \
		launch_probe<CUDA_##name>(a, stream); \
		break;

cudaError_t probe_frags(const struct probe_args *a, cudaStream_t stream)
{
	switch (a->m.format) {
		TILE_FORMATS(PROBE_CASE)
	default:
		return cudaErrorInvalidValue;
	}
	return cudaGetLastError();
}
