/* A warp computes 16 rows x 8 columns of one matrix with mma.sync, one segment after another. */
#include "tile_reference.h"

#include "compute/cuda/tile/frag.cuh"

namespace
{

struct reference_args {
	struct tile_product_args a;
	uint32_t part;
};

/* acc += minima of 16 columns times their sums. x: the chunk's. */
__device__ void reference_ones(const uint16_t *x, uint32_t t, uint32_t which, const float add[2],
			       float acc[4])
{
	uint32_t one = frag_of_scale(HALF2_ONES, t, which), ones[4] = {one, one, one, one};
	float sum[4] = {0, 0, 0, 0};
	for (int j = 0; j < 2; j++) {
		const uint16_t *slots = x + 16 * j + 2 * t;
		mma_f16(sum, ones, *reinterpret_cast<const uint32_t *>(slots),
			*reinterpret_cast<const uint32_t *>(slots + 8));
	}
	for (int i = 0; i < 4; i++)
		acc[i] = fmaf(add[i / 2], sum[i], acc[i]);
}

/* acc += F32's second plane of a chunk. */
__device__ void reference_rest(const uint16_t *x, const uint8_t *const unit[2], float acc[4])
{
	uint32_t r[2][4], t = threadIdx.x % 4;
	for (int i = 0; i < 2; i++)
		frag_halves(unit[i], 1, threadIdx.x, r[i]);
	for (int j = 0; j < 2; j++) {
		uint32_t m[4] = {r[0][2 * j], r[1][2 * j], r[0][2 * j + 1], r[1][2 * j + 1]};
		const uint16_t *slots = x + 16 * j + 2 * t;
		mma_f16(acc, m, *reinterpret_cast<const uint32_t *>(slots),
			*reinterpret_cast<const uint32_t *>(slots + 8));
	}
}

/* acc = segment s of two tiles; column: of this lane's operand B; columns of its results: 2
 * t, 2 t + 1 from `from`. */
template <int FORMAT, int FULL>
__device__ void reference_segment(const struct tile_product_args &a, const struct tile_matrix &w,
				  uint32_t tile, uint32_t s, uint32_t from, float acc[4])
{
	const int halves = frag_traits<FORMAT>::halves, chain = !FULL || halves > 0,
		  chunks = frag_traits<FORMAT>::chunks;
	uint32_t first = tile_segment(w.n_units, s), last = tile_segment(w.n_units, s + 1);
	uint32_t lane = threadIdx.x, g = lane / 4, t = lane % 4, n = a.n_tokens * a.x.planes;
	const uint16_t *x = a.x.halves + (uint64_t)(from + g < n ? from + g : 0) * a.x.pitch;
	for (int i = 0; i < 4; i++)
		acc[i] = 0;
	for (uint32_t c = first * chunks; c < last * chunks; c++) {
		const uint8_t *unit[2];
		uint32_t r[2][4];
		for (uint32_t i = 0; i < 2; i++) {
			uint32_t row = tile + i < w.n_tiles ? tile + i : tile;
			unit[i] = w.data + tile_offset(&w, row, s, c / chunks);
			frag_load<FORMAT, FULL>(unit[i], c % chunks, lane, r[i]);
		}
		float add[2] = {0, 0};
		for (uint32_t which = 0; which < (chain ? 1u : (uint32_t)frag_traits<FORMAT>::scales);
		     which++) {
			float blk[4] = {0, 0, 0, 0}, *sum = chain ? acc : blk;
			for (int j = 0; j < 2; j++) {
				uint32_t m[4] = {r[0][2 * j], r[1][2 * j], r[0][2 * j + 1], r[1][2 * j + 1]};
				if (!chain && frag_traits<FORMAT>::scales > 1)
					for (int i = 0; i < 4; i++)
						m[i] = frag_of_scale(m[i], t, which);
				const uint16_t *slots = x + 32 * c + 16 * j + 2 * t;
				mma_f16(sum, m, *reinterpret_cast<const uint32_t *>(slots),
					*reinterpret_cast<const uint32_t *>(slots + 8));
			}
			for (int i = 0; i < 4 && !chain; i++)
				acc[i] = fmaf(
					frag_scale<FORMAT>(unit[i / 2], c % chunks, g, which, &add[i / 2]),
					blk[i], acc[i]);
			if (!chain && frag_traits<FORMAT>::ones)
				reference_ones(x + 32 * c, t, which, add, acc);
		}
		if (halves > 1)
			reference_rest(x + 32 * c, unit, acc);
		for (uint32_t i = 0; i < 4 && !chain && frag_traits<FORMAT>::sums; i++) {
			uint32_t column = from + 2 * t + i % 2;
			acc[i] = fmaf(
				add[i / 2],
				a.x.sums[(uint64_t)(column < n ? column : 0) * (a.x.pitch / TILE_CHUNK) + c],
				acc[i]);
		}
	}
}

template <int FORMAT, int FULL> __global__ void reference_kernel(const struct reference_args r)
{
	const struct tile_product_args &a = r.a;
	const struct tile_product_part &p = a.part[r.part];
	uint32_t tile = 2 * blockIdx.x, from = 8 * blockIdx.y, g = threadIdx.x / 4, t = threadIdx.x % 4;
	float total[4] = {0, 0, 0, 0}, acc[4];
	bool some = false;
	for (uint32_t s = 0; s < TILE_SEGMENTS; s++) {
		uint32_t first = tile_segment(p.w.n_units, s), last = tile_segment(p.w.n_units, s + 1);
		if (first == last)
			continue;
		reference_segment<FORMAT, FULL>(a, p.w, tile, s, from, acc);
		for (int i = 0; i < 4; i++)
			total[i] = some ? total[i] + acc[i] : acc[i];
		some = true;
	}
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t row = 8 * tile + g + i / 2 * 8, column = from + 2 * t + i % 2;
		if (row >= p.w.rows || column >= a.n_tokens * a.x.planes || (a.x.planes == 2 && i % 2))
			continue;
		float y = total[i] + (a.x.planes == 2 ? total[i + 1 < 4 ? i + 1 : 3] : 0.0f);
		if (tile_has_row_scales(FORMAT))
			y = y * *tile_row_scale(p.w.data, row);
		if (p.bias)
			y = y + p.bias[row];
		float *out = a.out + (uint64_t)(column / a.x.planes) * a.out_pitch + p.out_col + row;
		*out = a.add ? *out + y : y;
	}
}

template <int FORMAT> void start(const struct reference_args *r, cudaStream_t stream)
{
	void (*kernel)(struct reference_args) =
		r->a.x.planes == 2 ? reference_kernel<FORMAT, 1> : reference_kernel<FORMAT, 0>;
	dim3 grid((r->a.part[r->part].w.rows + 15) / 16, (r->a.n_tokens * r->a.x.planes + 7) / 8);
	LAUNCH(kernel, grid, dim3(32), 0, stream, *r);
}

} // namespace

#define REFERENCE_CASE(NAME, BYTES, COLUMNS)    \
	case CUDA_##NAME:                       \
		start<CUDA_##NAME>(&r, stream); \
		break;

cudaError_t tile_product_reference(const struct tile_product_args *a, cudaStream_t stream)
{
	for (uint32_t i = 0; i < a->n_parts; i++) {
		struct reference_args r = {*a, i};
		switch (a->part[i].w.format) {
			TILE_FORMATS(REFERENCE_CASE)
		default:
			return cudaErrorInvalidValue;
		}
	}
	return cudaGetLastError();
}
