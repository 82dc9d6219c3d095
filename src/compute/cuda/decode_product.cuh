/* Products of the decode kernel (decode.cu): a warp's segment of a job's tiles, from its stream into part. */
#ifndef COMPUTE_CUDA_DECODE_PRODUCT_CUH
#define COMPUTE_CUDA_DECODE_PRODUCT_CUH

#include "compute/cuda/decode_block.cuh"

namespace
{

/* acc += 32 columns of 8 rows times the activations w (rows 0 and 1 of the left operand: the high and the low
 * part; lanes of other rows hold zeros). sum: of the activations, for formats with mins. */
template <int FORMAT, int FULL>
__device__ __forceinline__ void multiply_chunk(float acc[4], const uint8_t *unit, uint32_t c, uint32_t lane,
					       uint4 w, float sum)
{
	typedef frag_traits<FORMAT> traits;
	uint32_t r[4], t = lane % 4;
	uint32_t a0[4] = {w.x, 0, w.y, 0}, a1[4] = {w.z, 0, w.w, 0};
	frag_load<FORMAT, FULL>(unit, c, lane, r);
	if (!FULL || !traits::scaled) {
		mma_f16(acc, a0, r[0], r[1]);
		mma_f16(acc, a1, r[2], r[3]);
		return;
	}
#pragma unroll
	for (uint32_t q = 0; q < traits::groups; q++) {
		float blk[4] = {}, add0, add1;
		if (traits::groups == 1) {
			mma_f16(blk, a0, r[0], r[1]);
			mma_f16(blk, a1, r[2], r[3]);
		} else {
			mma_f16(blk, a0, frag_in_group(r[0], t, q), frag_in_group(r[1], t, q));
			mma_f16(blk, a1, frag_in_group(r[2], t, q), frag_in_group(r[3], t, q));
		}
		acc[0] = fmaf(frag_scale<FORMAT>(unit, c, 2 * t, q, &add0), blk[0], acc[0]);
		acc[1] = fmaf(frag_scale<FORMAT>(unit, c, 2 * t + 1, q, &add1), blk[1], acc[1]);
		if (traits::mins) {
			acc[0] = fmaf(add0, sum, acc[0]);
			acc[1] = fmaf(add1, sum, acc[1]);
		}
	}
}

template <int FULL> __device__ __forceinline__ void put_part(float *part, uint32_t lane, const float acc[4])
{
	if (lane < (FULL ? 8 : 4))
		*reinterpret_cast<float2 *>(part + lane / 4 * 8 + 2 * (lane % 4)) =
			make_float2(acc[0], acc[1]);
}

/* Where this lane's activations of a segment are; lanes without a row read nothing. */
struct operand {
	const uint16_t *x;
	const float *sums;
	bool has_row;
};

__device__ __forceinline__ uint4 operand_chunk(const struct operand *o, uint32_t chunk)
{
	return o->has_row ? *reinterpret_cast<const uint4 *>(o->x + chunk * 32) : make_uint4(0, 0, 0, 0);
}

/* A segment of a job on its way through a warp. */
struct run {
	struct view v;
	struct operand o;
	float *part;
	const uint8_t *unit;     /* next in the piece */
	uint32_t in_piece, left; /* units: of the piece, of the job */
};

__device__ __forceinline__ void need_piece(struct block *b, struct run *r, uint32_t side, uint32_t in_tile,
					   uint32_t unit_bytes)
{
	if (r->in_piece)
		return;
	r->in_piece = piece_units(&r->v, r->left, in_tile);
	r->unit = open_piece(b, side, r->in_piece * unit_bytes);
}

__device__ __forceinline__ void used_units(struct block *b, struct run *r, uint32_t side, uint32_t n,
					   uint32_t unit_bytes)
{
	r->unit += n * unit_bytes;
	r->left -= n;
	r->in_piece -= n;
	if (r->in_piece == 0)
		close_piece(b, side);
}

/* Two tiles of a segment side by side, or one. */
template <int FORMAT, int FULL, int TILES>
__device__ __forceinline__ void multiply_tiles(const uint8_t *unit, uint32_t n, const uint4 w[FEW_UNITS],
					       const float sum[FEW_UNITS], uint32_t lane, float *part)
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	float acc[TILES][4] = {};
#pragma unroll
	for (uint32_t u = 0; u < FEW_UNITS; u++)
		if (u < n)
#pragma unroll
			for (uint32_t i = 0; i < TILES; i++)
				multiply_chunk<FORMAT, FULL>(acc[i], unit + (i * n + u) * traits::unit_bytes,
							     0, lane, w[u], sum[u]);
#pragma unroll
	for (uint32_t i = 0; i < TILES; i++)
		put_part<FULL>(part + i * PART_TILE, lane, acc[i]);
}

/* Segments of few units: the activations stay in registers, tiles go two by two. */
template <int FORMAT, int FULL>
__device__ __forceinline__ void product_few(struct block *b, struct run *r, uint32_t side)
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	uint4 w[FEW_UNITS];
	float sum[FEW_UNITS];
	uint32_t n = r->v.n;
#pragma unroll
	for (uint32_t u = 0; u < FEW_UNITS; u++) {
		w[u] = u < n ? operand_chunk(&r->o, u) : make_uint4(0, 0, 0, 0);
		sum[u] = traits::mins && FULL && u < n && r->o.has_row ? r->o.sums[u] : 0.0f;
	}
	while (r->left) {
		uint32_t units = piece_units(&r->v, r->left, 0), i = 0;
		const uint8_t *unit = open_piece(b, side, units * traits::unit_bytes);
		for (; i + 2 * n <= units;
		     i += 2 * n, unit += 2 * n * traits::unit_bytes, r->part += 2 * PART_TILE)
			multiply_tiles<FORMAT, FULL, 2>(unit, n, w, sum, b->lane, r->part);
		if (i < units)
			multiply_tiles<FORMAT, FULL, 1>(unit, n, w, sum, b->lane, r->part);
		r->left -= units;
		close_piece(b, side);
	}
}

/* acc += a unit: the segment's `index`-th, `ahead` units beyond the piece's next one. */
template <int FORMAT, int FULL>
__device__ __forceinline__ void multiply_unit(float acc[4], const struct run *r, uint32_t ahead,
					      uint32_t index, uint32_t lane)
{
	typedef frag_traits<FORMAT> traits;
	const uint8_t *unit = r->unit + ahead * traits::unit_bytes;
#pragma unroll
	for (uint32_t c = 0; c < traits::chunks; c++) {
		uint32_t chunk = index * traits::chunks + c;
		float sum = traits::mins && FULL && r->o.has_row ? r->o.sums[chunk] : 0.0f;
		multiply_chunk<FORMAT, FULL>(acc, unit, c, lane, operand_chunk(&r->o, chunk), sum);
	}
}

template <int FORMAT, int FULL>
__device__ __forceinline__ void product_many(struct block *b, struct run r[SIDES])
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	for (uint32_t i = 0; i < r[0].v.n_tiles; i++) {
		float acc[SIDES][4] = {};
		uint32_t u[SIDES] = {};
		for (;;) {
			uint32_t m[SIDES], n = 0xFFFFFFFFu, busy = 0;
#pragma unroll
			for (uint32_t s = 0; s < SIDES; s++) {
				m[s] = 0;
				if (u[s] < r[s].v.n) {
					need_piece(b, &r[s], s, r[s].v.n - u[s], traits::unit_bytes);
					m[s] = r[s].in_piece < r[s].v.n - u[s] ? r[s].in_piece
									       : r[s].v.n - u[s];
					n = n < m[s] ? n : m[s];
					busy++;
				}
			}
			if (busy == 0)
				break;
			if (busy == SIDES) {
#pragma unroll(traits::chunks == 1 ? 4 : 1)
				for (uint32_t q = 0; q < n; q++)
#pragma unroll
					for (uint32_t s = 0; s < SIDES; s++)
						multiply_unit<FORMAT, FULL>(acc[s], &r[s], q, u[s] + q,
									    b->lane);
			} else {
				/* segments differ by a unit at most: one is through */
#pragma unroll
				for (uint32_t s = 0; s < SIDES; s++)
					for (uint32_t q = 0; m[s] && q < n; q++)
						multiply_unit<FORMAT, FULL>(acc[s], &r[s], q, u[s] + q,
									    b->lane);
			}
#pragma unroll
			for (uint32_t s = 0; s < SIDES; s++)
				if (m[s]) {
					used_units(b, &r[s], s, n, traits::unit_bytes);
					u[s] += n;
				}
		}
#pragma unroll
		for (uint32_t s = 0; s < SIDES; s++)
			put_part<FULL>(r[s].part + i * PART_TILE, b->lane, acc[s]);
	}
}

template <int FORMAT, int FULL>
__device__ __forceinline__ void product(struct block *b, const struct view v[SIDES])
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	uint32_t g = b->lane / 4, t = b->lane % 4;
	struct run r[SIDES];
#pragma unroll
	for (uint32_t s = 0; s < SIDES; s++) {
		r[s].v = v[s];
		r[s].o.has_row = g < (FULL ? 2 : 1);
		r[s].o.x = (g ? shared_low(b) : shared_high(b)) + v[s].from * traits::chunks * 32 + 8 * t;
		r[s].o.sums = shared_sums(b) + g * (b->a->k_max / 32) + v[s].from * traits::chunks;
		r[s].part = shared_part(b) +
			    ((b->part_at * CUDA_SEGMENTS + SIDES * b->warp + s) * DECODE_BATCH + v[s].at) *
				    PART_TILE;
		r[s].unit = NULL;
		r[s].in_piece = 0;
		r[s].left = v[s].n_tiles * v[s].n;
	}
	if (traits::chunks == 1 && v[0].few) {
#pragma unroll
		for (uint32_t s = 0; s < SIDES; s++)
			if (v[s].n) {
				product_few<FORMAT, FULL>(b, &r[s], s);
			} else {
				float none[4] = {};
				for (uint32_t i = 0; i < v[s].n_tiles; i++)
					put_part<FULL>(r[s].part + i * PART_TILE, b->lane, none);
			}
	} else {
		product_many<FORMAT, FULL>(b, r);
	}
}

/* The sums of this warp's segments over a job's tiles, into part. */
template <int FULL> __device__ __forceinline__ void run_job(struct block *b, const struct view v[SIDES])
{
#define JOB_CASE(name, bytes, columns)            \
	case CUDA_##name:                         \
		product<CUDA_##name, FULL>(b, v); \
		break;
	switch (v[0].format) {
		CUDA_TILE_FORMATS(JOB_CASE)
	}
#undef JOB_CASE
}

} // namespace
#endif
