/*
 * Products of the decode kernel (decode_kernel.cuh): a warp's segment of a stint's tiles, from its stream
 * into part. Two tiles are the sixteen rows of the left operand; the activations are the right one: its first
 * column (HALF), or the high and the low part its first two (FULL). So it is for each of several sequences,
 * which have the next columns and cost no product more. The other columns are zeros, which cost the least
 * power.
 */
#ifndef COMPUTE_CUDA_DECODE_PRODUCT_CUH
#define COMPUTE_CUDA_DECODE_PRODUCT_CUH

#include "compute/cuda/decode/decode_block.cuh"

namespace
{

/* Where this lane's activations of a segment are, and their sums by chunks. */
struct operand {
	const uint16_t *x;
	uint32_t step; /* halves from a chunk to the next; 0: the lane's column is one of zeros */
	const float2 *sums;
};

/* What a warp has to do for a stint: known before the activations are there. */
struct task {
	struct view v; /* the warp's segment; of a matrix that shifts: not known here */
	struct operand o;
	float *part;
	struct decode_matrix m;
	struct decode_stint stint;
};

/* What all lanes read alike, in a form that the compiler knows to be alike. */
template <typename T> __device__ __forceinline__ void load_uniform(T *to, const T *from)
{
	uint32_t w[sizeof(T) / 4];
#pragma unroll
	for (uint32_t i = 0; i < sizeof(T) / 4; i++)
		w[i] = warp_uniform(reinterpret_cast<const uint32_t *>(from)[i]);
	memcpy(to, w, sizeof w);
}

/* Where the lane's operands and sums of a segment are, whose first unit is `unit`. */
__device__ __forceinline__ struct operand operand_at(const struct block *b, const struct decode_matrix *m,
						     uint32_t unit)
{
	uint32_t chunk = unit * m->chunks, column = b->lane / 4;
	struct operand o;
	if (SEQS == 1) {
		o.step = column < PLANES ? TILE_CHUNK : 0;
		o.x = column >= PLANES ? shared_zeros(b) : (FULL && column ? shared_low(b) : shared_high(b));
	} else {
		bool there = column < n_seqs_of(b) * PLANES;
		o.step = there ? TILE_CHUNK : 0;
		o.x = there ? shared_high(b) + column * b->a->column : shared_zeros(b);
	}
	o.x += chunk * o.step + 8 * (b->lane % 4);
	/* of several: of the sequence whose sums the lane has */
	o.sums = reinterpret_cast<const float2 *>(sums_of_chunks(b, FULL * (b->lane % 4) % SEQS)) + chunk;
	return o;
}

/* Of several sequences: where the sums of a phase are; from a segment's to the next one's, from PART_SEGMENTS
 * to the next as many. b->part_at: 1 in the phase with the longest operand, whose columns leave no room
 * behind them. */
__device__ __forceinline__ float *part_of_few(const struct block *b, uint32_t *segment, uint32_t *column)
{
	SHARED(unsigned char, base);
	*segment = (b->part_at ? LOT_DOWN : LOT) * TILE_SUMS;
	*column = b->part_at ? LOT_DOWN * TILE_SUMS * PART_SEGMENTS : b->a->part_column;
	return b->part_at ? reinterpret_cast<float *>(base + b->a->part_down) : shared_part(b);
}

__device__ __forceinline__ float *part_of(const struct block *b, uint32_t segment, uint32_t at)
{
	if (SEQS > 1) {
		uint32_t step, column;
		float *part = part_of_few(b, &step, &column);
		return part + segment / PART_SEGMENTS * column + segment % PART_SEGMENTS * step +
		       at * TILE_SUMS;
	}
	return shared_part(b) + ((b->part_at * TILE_SEGMENTS + segment) * LOT + at) * TILE_SUMS;
}

__device__ __forceinline__ struct task next_task(const struct block *b)
{
	struct task k;
	load_uniform(&k.stint, &shared_stints(b)[b->stint]);
	load_uniform(&k.m, &shared_matrices(b)[k.stint.matrix]);
	k.v = look(&k.m, b->warp);
	k.o = operand_at(b, &k.m, k.v.from);
	k.part = part_of(b, b->warp, k.stint.at);
	return k;
}

template <int FORMAT> struct product_traits {
	typedef frag_traits<FORMAT> traits;
	enum {
		scaled = FULL && traits::scaled,
		mins = scaled && traits::sums,
		/* of many chunks, a parcel holds one unit of each tile; of small ones it may hold several */
		several = traits::chunks > 1 && 4 * traits::unit_bytes <= (uint32_t)DECODE_PARCEL_BYTES,
	};
};

/* Chunk first + i; i: less than DECODE_ZEROS has. */
__device__ __forceinline__ uint4 operand_chunk(const struct operand *o, uint32_t first, uint32_t i)
{
	return *reinterpret_cast<const uint4 *>(o->x + first * o->step + i * TILE_CHUNK);
}

template <int FORMAT> __device__ __forceinline__ float2 operand_sum(const struct operand *o, uint32_t chunk)
{
	return product_traits<FORMAT>::mins ? o->sums[chunk] : make_float2(0, 0);
}

/* The part of the activations that one of Q6_K's two scales belongs to. */
__device__ __forceinline__ uint4 operand_of_scale(uint4 w, uint32_t lane, uint32_t which)
{
	return make_uint4(frag_of_scale(w.x, lane % 4, which), frag_of_scale(w.y, lane % 4, which),
			  frag_of_scale(w.z, lane % 4, which), frag_of_scale(w.w, lane % 4, which));
}

/* acc += F32's second plane of a chunk times the activations w. */
template <int TWO>
__device__ __forceinline__ void multiply_rest(float acc[4], const uint8_t *p, const uint8_t *q, uint32_t lane,
					      uint4 w)
{
	uint32_t x[4], y[4] = {};
	frag_halves(p, 1, lane, x);
	if (TWO)
		frag_halves(q, 1, lane, y);
	uint32_t first[4] = {x[0], y[0], x[1], y[1]}, second[4] = {x[2], y[2], x[3], y[3]};
	mma_f16(acc, first, w.x, w.y);
	mma_f16(acc, second, w.z, w.w);
}

/* The sums of the activations v, for each row: what a minimum of 16 columns is multiplied by. */
__device__ __forceinline__ void multiply_ones(float sums[4], uint4 v)
{
	const uint32_t ones[4] = {HALF2_ONES, HALF2_ONES, HALF2_ONES, HALF2_ONES};
	mma_f16(sums, ones, v.x, v.y);
	mma_f16(sums, ones, v.z, v.w);
}

/* acc += chunk c of the units at p and q (rows g and g + 8) times the activations w; not TWO: of p alone. */
template <int FORMAT, int TWO>
__device__ __forceinline__ void multiply_chunk(float acc[4], const uint8_t *p, const uint8_t *q, uint32_t c,
					       uint32_t lane, uint4 w, float2 sum)
{
	typedef frag_traits<FORMAT> traits;
	uint32_t x[4], y[4] = {}, g = lane / 4;
	frag_load<FORMAT, FULL>(p, c, lane, x);
	if (TWO)
		frag_load<FORMAT, FULL>(q, c, lane, y);
	uint32_t first[4] = {x[0], y[0], x[1], y[1]}, second[4] = {x[2], y[2], x[3], y[3]};
	if constexpr (!product_traits<FORMAT>::scaled) {
		mma_f16(acc, first, w.x, w.y);
		mma_f16(acc, second, w.z, w.w);
		if constexpr (traits::halves > 1)
			multiply_rest<TWO>(acc, p, q, lane, w);
	} else
#pragma unroll
		for (int i = 0; i < traits::scales; i++) {
			uint4 v = traits::scales == 1 ? w : operand_of_scale(w, lane, (uint32_t)i);
			float blk[4] = {}, add_p, add_q = 0;
			mma_f16(blk, first, v.x, v.y);
			mma_f16(blk, second, v.z, v.w);
			float scale_p = frag_scale<FORMAT>(p, c, g, (uint32_t)i, &add_p),
			      scale_q = TWO ? frag_scale<FORMAT>(q, c, g, (uint32_t)i, &add_q) : 0;
			acc[0] = fmaf(scale_p, blk[0], acc[0]);
			acc[1] = fmaf(scale_p, blk[1], acc[1]);
			if (product_traits<FORMAT>::mins) {
				acc[0] = fmaf(add_p, sum.x, acc[0]);
				acc[1] = fmaf(add_p, sum.y, acc[1]);
			}
			float ones[4] = {};
			if constexpr (traits::ones) {
				multiply_ones(ones, v);
				acc[0] = fmaf(add_p, ones[0], acc[0]);
				acc[1] = fmaf(add_p, ones[1], acc[1]);
			}
			if (!TWO)
				continue;
			acc[2] = fmaf(scale_q, blk[2], acc[2]);
			acc[3] = fmaf(scale_q, blk[3], acc[3]);
			if (product_traits<FORMAT>::mins) {
				acc[2] = fmaf(add_q, sum.x, acc[2]);
				acc[3] = fmaf(add_q, sum.y, acc[3]);
			}
			if constexpr (traits::ones) {
				acc[2] = fmaf(add_q, ones[2], acc[2]);
				acc[3] = fmaf(add_q, ones[3], acc[3]);
			}
		}
}

/* Where the sums of row g of a pair's first tile go. */
__device__ __forceinline__ float *lane_part(float *part, uint32_t lane)
{
	return part + lane / 4 * COLUMNS + (SEQS > 1 ? lane % 4 * 2 : 0);
}

/* The sums of a pair of tiles, or of the first alone. */
__device__ __forceinline__ void put_part(float *to, uint32_t lane, const float acc[4], bool two)
{
	if (lane % 4 * 2 >= COLUMNS) /* columns of zeros */
		return;
	if (COLUMNS > 1) {
		*reinterpret_cast<float2 *>(to) = make_float2(acc[0], acc[1]);
		if (two)
			*reinterpret_cast<float2 *>(to + TILE_SUMS) = make_float2(acc[2], acc[3]);
	} else {
		to[0] = acc[0];
		if (two)
			to[TILE_SUMS] = acc[2];
	}
}

/* acc += UNITS units of a pair, from the segment's unit `unit` on. */
template <int FORMAT, int TWO, int UNITS>
__device__ __forceinline__ void multiply_some(float acc[4], const uint8_t *p, const uint8_t *q, uint32_t unit,
					      uint32_t lane, const struct operand *o)
{
	typedef frag_traits<FORMAT> traits;
#pragma unroll
	for (uint32_t u = 0; u < UNITS; u++) {
#pragma unroll(traits::chunks == 1 ? 1 : FULL ? 2 : 8)
		for (uint32_t c = 0; c < (uint32_t)traits::chunks; c++) {
			uint32_t first = unit * traits::chunks, i = u * traits::chunks + c;
			multiply_chunk<FORMAT, TWO>(
				acc, p + u * traits::unit_bytes, q + u * traits::unit_bytes, c, lane,
				operand_chunk(o, first, i), operand_sum<FORMAT>(o, first + i));
		}
	}
}

/* The same of n units: four at once, and the rest. */
template <int FORMAT, int TWO>
__device__ __forceinline__ void multiply_more(float acc[4], const uint8_t *p, const uint8_t *q, uint32_t n,
					      uint32_t unit, uint32_t lane, const struct operand *o)
{
	typedef frag_traits<FORMAT> traits;
	uint32_t u = 0;
	if (traits::chunks == 1) {
		for (; u + 4 <= n; u += 4)
			multiply_some<FORMAT, TWO, 4>(acc, p + u * traits::unit_bytes,
						      q + u * traits::unit_bytes, unit + u, lane, o);
		if (u + 3 == n) {
			multiply_some<FORMAT, TWO, 3>(acc, p + u * traits::unit_bytes,
						      q + u * traits::unit_bytes, unit + u, lane, o);
			return;
		}
		if (u + 2 <= n) {
			multiply_some<FORMAT, TWO, 2>(acc, p + u * traits::unit_bytes,
						      q + u * traits::unit_bytes, unit + u, lane, o);
			u += 2;
		}
	}
	for (; u < n; u++)
		multiply_some<FORMAT, TWO, 1>(acc, p + u * traits::unit_bytes, q + u * traits::unit_bytes,
					      unit + u, lane, o);
}

/* stride: bytes from the one tile's units to the other's. */
template <int FORMAT>
__device__ __forceinline__ void multiply_units(float acc[4], const uint8_t *p, uint32_t stride, bool two,
					       uint32_t n, uint32_t unit, uint32_t lane,
					       const struct operand *o)
{
	if (two)
		multiply_more<FORMAT, 1>(acc, p, p + stride, n, unit, lane, o);
	else
		multiply_more<FORMAT, 0>(acc, p, p, n, unit, lane, o);
}

/* The same of a cut parcel of a pair: n units of the one tile, then n of the other. Of the usual n, where all
 * is, is known when compiling. */
template <int FORMAT>
__device__ __forceinline__ void multiply_cut(float acc[4], const uint8_t *p, uint32_t n, uint32_t unit,
					     uint32_t lane, const struct operand *o)
{
	typedef frag_traits<FORMAT> traits;
	enum { ONE = traits::unit_bytes };
	if (traits::chunks > 1 && !product_traits<FORMAT>::several)
		multiply_some<FORMAT, 1, 1>(acc, p, p + ONE, unit, lane, o);
	else if (n == 4)
		multiply_some<FORMAT, 1, 4>(acc, p, p + 4 * ONE, unit, lane, o);
	else if (n == 3)
		multiply_some<FORMAT, 1, 3>(acc, p, p + 3 * ONE, unit, lane, o);
	else
		multiply_more<FORMAT, 1>(acc, p, p + n * ONE, n, unit, lane, o);
}

/* What a lane needs of UNITS units of a tile, HALF. Lanes of a row that have the same scales of K units share
 * their making: each makes those of some chunks. Where there is a short way to the weights, it is taken. */
template <int FORMAT, int UNITS> struct fetched {
	enum {
		small = frag_short<FORMAT>::is,
		chunks = frag_traits<FORMAT>::chunks,
		share = chunks == 1                       ? 1
			: frag_traits<FORMAT>::scales > 1 ? 2
							  : 4,
		n = UNITS * chunks,
	};
	uint4 weights[FORMAT == CUDA_F16 ? n : 1];
	uint2 words[FORMAT == CUDA_F16 ? 1 : n];
	uint32_t scale[n / share], add[chunks == 1 ? n : 1];

	__device__ __forceinline__ void fetch(const uint8_t *p, uint32_t lane)
	{
#pragma unroll
		for (uint32_t i = 0; i < n; i++) {
			const uint8_t *unit = p + i / chunks * frag_traits<FORMAT>::unit_bytes;
			if constexpr (FORMAT == CUDA_F16) {
				weights[i] = *reinterpret_cast<const uint4 *>(unit + 16 * lane);
			} else {
				words[i] =
					frag_next_words<FORMAT>(unit, i % chunks, lane, words[i ? i - 1 : 0]);
				if constexpr (chunks == 1)
					frag_half_scale<FORMAT>(unit, 0, lane / 4, lane % 4, &scale[i],
								&add[i]);
				else if (i % share == 0)
					scale[i / share] = frag_scale_word<FORMAT>(
						unit, i % chunks + lane % share, lane / 4, lane % 4);
				if constexpr (small)
					if (i % share == 0)
						scale[i / share] = frag_scale_short<FORMAT>(scale[i / share]);
			}
		}
	}

	/* The weights of chunk i. */
	__device__ __forceinline__ void take(uint32_t i, uint32_t r[4]) const
	{
		if constexpr (FORMAT == CUDA_F16) {
			r[0] = weights[i].x, r[1] = weights[i].y, r[2] = weights[i].z, r[3] = weights[i].w;
		} else {
			uint32_t s = chunks == 1 ? 0 : shuffle_group<share>(scale[i / share], i % share);
			if constexpr (small) {
				frag_small<FORMAT>(words[i], i % 2, r);
				frag_weights_short(r, s);
				return;
			}
			frag_integers<FORMAT>(words[i], r);
			if constexpr (chunks == 1)
				frag_weights<FORMAT>(r, scale[i], add[i]);
			else
				frag_weights<FORMAT>(r, half2_low(s), half2_high(s));
		}
	}
};

/* HALF: the same of the last UNITS units of a parcel, which goes back before they are multiplied: the next
 * ones come sooner. stride: bytes from the one tile's units to the other's. */
template <int FORMAT, int UNITS>
__device__ __forceinline__ void multiply_early(struct block *b, float acc[4], const uint8_t *p,
					       uint32_t stride, uint32_t unit, const struct operand *o)
{
	typedef frag_traits<FORMAT> traits;
	struct fetched<FORMAT, UNITS> f[2];
	f[0].fetch(p, b->lane);
	f[1].fetch(p + stride, b->lane);
	close_parcel(b);
#pragma unroll
	for (uint32_t i = 0; i < UNITS * (uint32_t)traits::chunks; i++) {
		uint4 w = operand_chunk(o, unit * traits::chunks, i);
		uint32_t x[4], y[4];
		f[0].take(i, x);
		f[1].take(i, y);
		uint32_t first[4] = {x[0], y[0], x[1], y[1]}, second[4] = {x[2], y[2], x[3], y[3]};
		mma_f16(acc, first, w.x, w.y);
		mma_f16(acc, second, w.z, w.w);
	}
}

/* HALF: a parcel of n units of many chunks of each tile: one, or of small ones two. */
template <int FORMAT>
__device__ __forceinline__ void multiply_bundle(struct block *b, float acc[4], const uint8_t *p, uint32_t n,
						uint32_t unit, const struct operand *o)
{
	enum { ONE = frag_traits<FORMAT>::unit_bytes };
	if constexpr (product_traits<FORMAT>::several) {
		if (n == 2) {
			multiply_some<FORMAT, 1, 1>(acc, p, p + 2 * ONE, unit, b->lane, o);
			multiply_early<FORMAT, 1>(b, acc, p + ONE, 2 * ONE, unit + 1, o);
			return;
		}
	}
	multiply_early<FORMAT, 1>(b, acc, p, ONE, unit, o);
}

/* Of a pair's whole segment in a parcel, from one pair to the next. */
template <int FORMAT> __device__ __forceinline__ uint32_t pair_step(uint32_t n)
{
	const uint32_t bytes = frag_traits<FORMAT>::unit_bytes;
	return FULL ? 2 * n * bytes : tile_bundle_bytes(n, bytes);
}

/* Parcels are whole segments of pairs. */
template <int FORMAT>
__device__ __forceinline__ void product_whole(struct block *b, const struct view *v, uint32_t n_tiles,
					      const struct operand *o, float *part)
{
	typedef frag_traits<FORMAT> traits;
	uint32_t tile_bytes = v->n * traits::unit_bytes, step = pair_step<FORMAT>(v->n);
	for (uint32_t left = n_tiles; left;) {
		uint32_t tiles = least(left, 2 * v->pairs);
		const uint8_t *p = open_parcel(b);
		left -= tiles;
		for (uint32_t i = 0; i < tiles; i += 2) {
			bool two = i + 1 < tiles;
			float acc[4] = {};
			multiply_units<FORMAT>(acc, p, tile_bytes, two, v->n, 0, b->lane, o);
			put_part(part, b->lane, acc, two);
			p += step;
			part += 2 * TILE_SUMS;
		}
		close_parcel(b);
	}
}

/* Two pairs of tiles, or one, with the same activations; not TWO: the last of them is one tile. */
template <int FORMAT, int PAIRS, int TWO>
__device__ __forceinline__ void multiply_few(const uint8_t *p, uint32_t n, uint32_t tile_bytes,
					     const uint4 w[2], const float2 sum[2], uint32_t lane,
					     float *part)
{
	typedef frag_traits<FORMAT> traits;
	float acc[PAIRS][4] = {};
	uint32_t step = pair_step<FORMAT>(n);
#pragma unroll
	for (uint32_t u = 0; u < 2; u++)
		if (u < n)
#pragma unroll
			for (uint32_t i = 0; i < PAIRS; i++) {
				const uint8_t *tile = p + i * step + u * traits::unit_bytes;
				if (TWO || i + 1 < PAIRS)
					multiply_chunk<FORMAT, 1>(acc[i], tile, tile + tile_bytes, 0, lane,
								  w[u], sum[u]);
				else
					multiply_chunk<FORMAT, 0>(acc[i], tile, tile, 0, lane, w[u], sum[u]);
			}
#pragma unroll
	for (uint32_t i = 0; i < PAIRS; i++)
		put_part(part + 2 * i * TILE_SUMS, lane, acc[i], TWO || i + 1 < PAIRS);
}

/* Segments of one or two units of 32 columns: the activations stay in registers over all tiles. */
template <int FORMAT>
__device__ __forceinline__ void product_few(struct block *b, const struct view *v, uint32_t n_tiles,
					    const struct operand *o, float *part)
{
	typedef frag_traits<FORMAT> traits;
	uint32_t n = v->n, tile_bytes = n * traits::unit_bytes;
	uint4 w[2];
	float2 sum[2];
	w[0] = operand_chunk(o, 0, 0);
	sum[0] = operand_sum<FORMAT>(o, 0);
	w[1] = operand_chunk(o, n - 1, 0);
	sum[1] = operand_sum<FORMAT>(o, n - 1);
	for (uint32_t left = n_tiles; left;) {
		uint32_t tiles = least(left, 2 * v->pairs), i = 0;
		const uint8_t *p = open_parcel(b);
		left -= tiles;
		for (; i + 4 <= tiles; i += 4, p += 2 * pair_step<FORMAT>(n), part += 4 * TILE_SUMS)
			multiply_few<FORMAT, 2, 1>(p, n, tile_bytes, w, sum, b->lane, part);
		if (tiles - i == 3)
			multiply_few<FORMAT, 2, 0>(p, n, tile_bytes, w, sum, b->lane, part);
		else if (tiles - i == 2)
			multiply_few<FORMAT, 1, 1>(p, n, tile_bytes, w, sum, b->lane, part);
		else if (tiles - i == 1)
			multiply_few<FORMAT, 1, 0>(p, n, tile_bytes, w, sum, b->lane, part);
		part += 2 * ((tiles - i + 1) / 2) * TILE_SUMS;
		close_parcel(b);
	}
}

/* The segment of a pair of tiles, or (not TWO) of one, in parcels that are some units of each. WIDE: scales
 * may be too large for the short way. */
template <int FORMAT, int TWO, int WIDE>
__device__ __forceinline__ void multiply_segment(struct block *b, float acc[4], const struct view *v,
						 const struct operand *o)
{
	typedef frag_traits<FORMAT> traits;
	for (uint32_t u = 0; u < v->n;) {
		uint32_t n = TWO && traits::chunks > 1 && !product_traits<FORMAT>::several
				     ? 1
				     : least(cut_units(v, TWO ? 2 : 1), v->n - u);
		const uint8_t *p = open_parcel(b);
		if (!FULL && TWO && traits::chunks > 1 && !WIDE) {
			multiply_bundle<FORMAT>(b, acc, p, n, u, o);
		} else if (!FULL && TWO && n == 4) {
			multiply_early<FORMAT, 4>(b, acc, p, 4 * traits::unit_bytes, u, o);
		} else if (!FULL && TWO && n == 3) {
			multiply_early<FORMAT, 3>(b, acc, p, 3 * traits::unit_bytes, u, o);
		} else {
			if (TWO)
				multiply_cut<FORMAT>(acc, p, n, u, b->lane, o);
			else
				multiply_more<FORMAT, 0>(acc, p, p, n, u, b->lane, o);
			close_parcel(b);
		}
		u += n;
	}
}

template <int FORMAT, int WIDE>
__device__ __forceinline__ void product_cut(struct block *b, const struct view *v, uint32_t n_tiles,
					    const struct operand *o, float *part)
{
	uint32_t i = 0;
	for (; i + 2 <= n_tiles; i += 2, part += 2 * TILE_SUMS) {
		float acc[4] = {};
		multiply_segment<FORMAT, 1, WIDE>(b, acc, v, o);
		put_part(part, b->lane, acc, true);
	}
	if (i < n_tiles) {
		float acc[4] = {};
		multiply_segment<FORMAT, 0, WIDE>(b, acc, v, o);
		put_part(part, b->lane, acc, false);
	}
}

/* Of each pair another segment; parcels as they are cut, or a pair's whole segment, which is a unit then.
 * Most of what a pair needs is one step on from the pair before. */
template <int FORMAT, int WIDE>
__device__ __forceinline__ void product_shifting(struct block *b, const struct task *k)
{
	const uint32_t n_units = k->m.n_units;
	uint32_t segment = decode_segment(&k->m, b->warp, k->stint.at), sixteenths = n_units * segment;
	const struct operand begin = operand_at(b, &k->m, 0);
	const uint32_t step = frag_traits<FORMAT>::chunks * begin.step;
	float *part = lane_part(part_of(b, 0, k->stint.at), b->lane);
	struct view v = k->v;
	struct operand o = begin;
	for (uint32_t left = k->stint.n_tiles; left;) {
		v.from = sixteenths / TILE_SEGMENTS;
		sixteenths += n_units;
		v.n = sixteenths / TILE_SEGMENTS - v.from;
		o.x = begin.x + v.from * step;
		o.sums = begin.sums + v.from * frag_traits<FORMAT>::chunks;
		float acc[4] = {}, *to = part + segment * (LOT * TILE_SUMS);
		if (SEQS > 1)
			to = lane_part(part_of(b, segment, k->stint.at + k->stint.n_tiles - left), b->lane);
		if (left == 1) {
			multiply_segment<FORMAT, 0, WIDE>(b, acc, &v, &o);
			put_part(to, b->lane, acc, false);
			break;
		}
		multiply_segment<FORMAT, 1, WIDE>(b, acc, &v, &o);
		put_part(to, b->lane, acc, true);
		left -= 2;
		part += 2 * TILE_SUMS;
		if (++segment == TILE_SEGMENTS)
			segment = sixteenths = 0;
	}
}

/* Of a matrix whose parcels are parts of tiles. */
template <int FORMAT, int WIDE>
__device__ __forceinline__ void product_parts(struct block *b, const struct task *k, float *part)
{
	if (frag_traits<FORMAT>::chunks > 1 && k->m.shifts)
		product_shifting<FORMAT, WIDE>(b, k);
	else
		product_cut<FORMAT, WIDE>(b, &k->v, k->stint.n_tiles, &k->o, part);
}

template <int FORMAT> __device__ __forceinline__ void product(struct block *b, const struct task *k)
{
	typedef frag_traits<FORMAT> traits;
	const struct view *v = &k->v;
	uint32_t n_tiles = k->stint.n_tiles;
	b->lane = anew(b->lane); /* or what all formats need of it would be computed for all, whatever the
				    stint's is */
	float *part = lane_part(k->part, b->lane);
	bool shifts = traits::chunks > 1 && k->m.shifts;
	if (v->n == 0 && !shifts) {
		float none[4] = {};
		for (uint32_t i = 0; i < n_tiles; i += 2)
			put_part(part + i * TILE_SUMS, b->lane, none, i + 1 < n_tiles);
	} else if (traits::chunks > 1 || v->pairs == 0) {
		if (!FULL && frag_short<FORMAT>::is && b->a->wide)
			product_parts<FORMAT, 1>(b, k, part);
		else
			product_parts<FORMAT, 0>(b, k, part);
	} else if (v->n <= 2) {
		product_few<FORMAT>(b, v, n_tiles, &k->o, part);
	} else {
		product_whole<FORMAT>(b, v, n_tiles, &k->o, part);
	}
}

/* Whether a kernel for FORMATS has products of a format: BF16's are F16's (decode_plan.c), and F32 is FULL's
 * alone. */
template <uint32_t FORMATS, int FORMAT> struct has_product {
	enum { is = (FORMATS >> FORMAT & 1u) && FORMAT != CUDA_BF16 && (FULL || FORMAT != CUDA_F32) };
};

/* The sums of this warp's segment over a stint's tiles, into part. FORMATS: those that there are, a bit each.
 */
template <uint32_t FORMATS> __device__ __forceinline__ void run_stint(struct block *b, const struct task *k)
{
	if constexpr (FORMATS == DECODE_BF16) {
		product<CUDA_F16>(b, k);
		return;
	}
#define STINT_CASE(name, bytes, columns)                             \
	case CUDA_##name:                                            \
		if constexpr (has_product<FORMATS, CUDA_##name>::is) \
			product<CUDA_##name>(b, k);                  \
		break;
#define ONLY_CASE(name, bytes, columns)     \
	if (FORMATS == 1u << CUDA_##name) { \
		product<CUDA_##name>(b, k); \
		return;                     \
	}
	TILE_FORMATS(ONLY_CASE)
#undef ONLY_CASE
	switch (k->m.format) {
		TILE_FORMATS(STINT_CASE)
	}
#undef STINT_CASE
}

} // namespace
#endif
