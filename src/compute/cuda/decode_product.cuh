/* Products of the decode kernel (decode.cu): a warp's segment of a job's tiles, from its stream into part. */
#ifndef COMPUTE_CUDA_DECODE_PRODUCT_CUH
#define COMPUTE_CUDA_DECODE_PRODUCT_CUH

#include "compute/cuda/decode_block.cuh"

namespace
{

/* acc += 32 columns of 8 rows times the activations w (rows 0 and 1 of the left operand: the high and the low
 * part; lanes of other rows hold zeros). sum: of the activations, for formats with mins. */
template <int FORMAT, int FULL>
__device__ __forceinline__ void multiply_chunk(float acc[4], const uint8_t *unit, uint32_t c, uint32_t lane, uint4 w, float sum)
{
	typedef frag_traits<FORMAT> traits;
	uint32_t r[4], t = lane % 4;
	uint32_t a0[4] = {w.x, 0, w.y, 0}, a1[4] = {w.z, 0, w.w, 0};
	frag_load<FORMAT, FULL>(unit, c, lane, r);
	if (!FULL || !traits::scaled) {
		mma_16816(acc, a0, r[0], r[1]);
		mma_16816(acc, a1, r[2], r[3]);
		return;
	}
#pragma unroll
	for (uint32_t q = 0; q < traits::groups; q++) {
		float blk[4] = {}, add0, add1;
		if (traits::groups == 1) {
			mma_16816(blk, a0, r[0], r[1]);
			mma_16816(blk, a1, r[2], r[3]);
		} else {
			mma_16816(blk, a0, frag_in_group(r[0], t, q), frag_in_group(r[1], t, q));
			mma_16816(blk, a1, frag_in_group(r[2], t, q), frag_in_group(r[3], t, q));
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
		*reinterpret_cast<float2 *>(part + lane / 4 * 8 + 2 * (lane % 4)) = make_float2(acc[0], acc[1]);
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

__device__ __forceinline__ void need_piece(struct block *b, struct run *r, uint32_t side, uint32_t in_tile, uint32_t unit_bytes)
{
	if (r->in_piece)
		return;
	r->in_piece = piece_units(&r->v, r->left, in_tile);
	r->unit = open_piece(b, side, r->in_piece * unit_bytes);
}

__device__ __forceinline__ void used_units(struct block *b, struct run *r, uint32_t side, uint32_t n, uint32_t unit_bytes)
{
	r->unit += n * unit_bytes;
	r->left -= n;
	r->in_piece -= n;
	if (r->in_piece == 0)
		close_piece(b, side);
}

/* Segments of few units: the activations stay in registers, tiles go two by two. */
template <int FORMAT, int FULL> __device__ __forceinline__ void product_few(struct block *b, struct run r[2])
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	uint4 w[2][FEW_UNITS];
	float sum[2][FEW_UNITS];
#pragma unroll
	for (uint32_t s = 0; s < 2; s++)
#pragma unroll
		for (uint32_t u = 0; u < FEW_UNITS; u++) {
			bool there = u < r[s].v.n;
			w[s][u] = there ? operand_chunk(&r[s].o, u) : make_uint4(0, 0, 0, 0);
			sum[s][u] = traits::mins && FULL && there && r[s].o.has_row ? r[s].o.sums[u] : 0.0f;
		}
	for (uint32_t i = 0; i < r[0].v.n_tiles; i += 2) {
		bool two = i + 1 < r[0].v.n_tiles;
		float acc[2][2][4] = {};
#pragma unroll
		for (uint32_t s = 0; s < 2; s++)
			if (r[s].v.n)
				need_piece(b, &r[s], s, 0, traits::unit_bytes);
#pragma unroll
		for (uint32_t u = 0; u < FEW_UNITS; u++)
#pragma unroll
			for (uint32_t s = 0; s < 2; s++)
				if (u < r[s].v.n) {
					const uint8_t *unit = r[s].unit + u * traits::unit_bytes;
					uint32_t next = two ? r[s].v.n * traits::unit_bytes : 0;
					multiply_chunk<FORMAT, FULL>(acc[s][0], unit, 0, b->lane, w[s][u], sum[s][u]);
					multiply_chunk<FORMAT, FULL>(acc[s][1], unit + next, 0, b->lane, w[s][u], sum[s][u]);
				}
#pragma unroll
		for (uint32_t s = 0; s < 2; s++) {
			if (r[s].v.n)
				used_units(b, &r[s], s, two ? 2 * r[s].v.n : r[s].v.n, traits::unit_bytes);
			put_part<FULL>(r[s].part + i * PART_TILE, b->lane, acc[s][0]);
			if (two)
				put_part<FULL>(r[s].part + (i + 1) * PART_TILE, b->lane, acc[s][1]);
		}
	}
}

/* acc += chunks of a unit run: `q` counts them from the piece's next unit, `chunk` is the first one's place in the
 * segment. */
template <int FORMAT, int FULL>
__device__ __forceinline__ void multiply_next(float acc[4], const struct run *r, uint32_t q, uint32_t chunk, uint32_t lane)
{
	typedef frag_traits<FORMAT> traits;
	float sum = traits::mins && FULL && r->o.has_row ? r->o.sums[chunk + q] : 0.0f;
	multiply_chunk<FORMAT, FULL>(acc, r->unit + q / traits::chunks * traits::unit_bytes, q % traits::chunks, lane,
				     operand_chunk(&r->o, chunk + q), sum);
}

template <int FORMAT, int FULL> __device__ __forceinline__ void product_many(struct block *b, struct run r[2])
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	for (uint32_t i = 0; i < r[0].v.n_tiles; i++) {
		float acc[2][4] = {};
		uint32_t u[2] = {0, 0};
		while (u[0] < r[0].v.n || u[1] < r[1].v.n) {
			uint32_t m[2] = {0, 0};
#pragma unroll
			for (uint32_t s = 0; s < 2; s++)
				if (u[s] < r[s].v.n) {
					need_piece(b, &r[s], s, r[s].v.n - u[s], traits::unit_bytes);
					m[s] = r[s].in_piece < r[s].v.n - u[s] ? r[s].in_piece : r[s].v.n - u[s];
				}
			uint32_t n = m[0] && m[1] ? (m[0] < m[1] ? m[0] : m[1]) : m[0] + m[1];
			if (m[0] && m[1]) {
#pragma unroll 2
				for (uint32_t q = 0; q < n * traits::chunks; q++) {
					multiply_next<FORMAT, FULL>(acc[0], &r[0], q, u[0] * traits::chunks, b->lane);
					multiply_next<FORMAT, FULL>(acc[1], &r[1], q, u[1] * traits::chunks, b->lane);
				}
			} else {
				/* the segments differ by a unit at most: one is through */
				uint32_t s = m[1] ? 1 : 0;
				for (uint32_t q = 0; q < n * traits::chunks; q++)
					if (s)
						multiply_next<FORMAT, FULL>(acc[1], &r[1], q, u[1] * traits::chunks, b->lane);
					else
						multiply_next<FORMAT, FULL>(acc[0], &r[0], q, u[0] * traits::chunks, b->lane);
			}
#pragma unroll
			for (uint32_t s = 0; s < 2; s++)
				if (m[s]) {
					used_units(b, &r[s], s, n, traits::unit_bytes);
					u[s] += n;
				}
		}
#pragma unroll
		for (uint32_t s = 0; s < 2; s++)
			put_part<FULL>(r[s].part + i * PART_TILE, b->lane, acc[s]);
	}
}

template <int FORMAT, int FULL> __device__ __forceinline__ void product(struct block *b, const struct view v[2])
{
	typedef frag_traits<FORMAT> traits;
	enum { PART_TILE = FULL ? 16 : 8 };
	uint32_t g = b->lane / 4, t = b->lane % 4;
	struct run r[2];
#pragma unroll
	for (uint32_t s = 0; s < 2; s++) {
		r[s].v = v[s];
		r[s].o.has_row = g < (FULL ? 2 : 1);
		r[s].o.x = (g ? shared_low(b) : shared_high(b)) + v[s].from * traits::chunks * 32 + 8 * t;
		r[s].o.sums = shared_sums(b) + g * (b->a->k_max / 32) + v[s].from * traits::chunks;
		r[s].part = shared_part(b) + ((b->part_at * CUDA_SEGMENTS + 2 * b->warp + s) * DECODE_BATCH + v[s].at) * PART_TILE;
		r[s].unit = NULL;
		r[s].in_piece = 0;
		r[s].left = v[s].n_tiles * v[s].n;
	}
	if (traits::chunks == 1 && v[0].few)
		product_few<FORMAT, FULL>(b, r);
	else
		product_many<FORMAT, FULL>(b, r);
}

/* The sums of this warp's segments over a job's tiles, into part. */
template <int FULL> __device__ __forceinline__ void run_job(struct block *b, const struct view v[2])
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
