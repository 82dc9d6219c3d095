/*
 * Attention on tensor cores: what defines its bits. Whoever attends (a prompt's bands, a batch of decodes,
 * the decode kernel) cuts the work differently and does exactly this.
 *
 * A *row* is one query head of one token. Its positions 0 .. pos are cut into splits of CUDA_ATTN_SPLIT, each
 * split into four KV blocks b of 32 positions. A *warp* takes up to 16 rows; lane 4 g + t cares for rows g
 * and g + 8. High and low are the planes of a number (tile_kernels.h); with one plane the low products are
 * left out.
 *
 * 1. Score of a position: chains of k16 products over the head's dimensions, each from 0. Chunk after chunk
 * of 32 dimensions, k16 j (0, 1) of a chunk has its dimensions 8t + 4j .. 8t + 4j + 3 (t = 0 .. 3). Three
 * chains: hh of query high * key high, hl of query high * key low, lh of query low * key high. s = (hh + (hl
 * + lh)) * scale, and where there is a soft cap, cap * tanh(s / cap).
 * 2. m = the largest s of the split's positions up to pos, from the window's first on; p = expf(s - m), 0 of others.
 * Splits wholly before the window are left out.
 * 3. l, the sum of p, is a tree: of the 32 positions 8t + i (i = 0 .. 7) of the four blocks, those of blocks
 * 0 and 1 are added, and of 2 and 3; then of i and i ^ 1, i ^ 2, i ^ 4; then those of the two pairs of
 * blocks; then of t and t ^ 1, t ^ 2.
 * 4. Output of a dimension: chains of k16 products over the split's positions, each from 0, p by value. Block
 * after block, k16 j of a block has its positions 8t + 4j .. 8t + 4j + 3. The same three chains, p being the
 * first factor: hh + (hl + lh). Blocks wholly beyond pos may be left out: their products are 0. What lies
 * beyond the last position that was written may be NaN, and is 0 here.
 * 5. Splits are added in order, from a total of {largest -infinity, sum 0, out 0}:
 *        largest' = fmaxf(largest, m), before = expf(largest - largest'), now = expf(m - largest'),
 *        sum' = fmaf(sum, before, l * now), out' = fmaf(out, before, part * now).
 *    The result is attend_finish(out, sum).
 *
 * Fragments: the dimensions 8t .. 8t + 7 of a chunk, or positions 8t .. 8t + 7 of a block, are sixteen bytes
 * in memory and words 2j, 2j + 1 of them are registers of k16 j. Column n of score eight j is position 8 (n /
 * 2) + 2j + n % 2 of a block: then a lane's scores are positions 8t + 2j, 8t + 2j + 1, just what it needs as
 * operand of the second product.
 */
#ifndef COMPUTE_CUDA_ATTEND_CUH
#define COMPUTE_CUDA_ATTEND_CUH

#include "compute/cuda/tile/a16.cuh"

enum {
	ATTEND_BLOCKS = CUDA_ATTN_SPLIT / CUDA_KV_BLOCK, /* of a split */
	ATTEND_EIGHTS = 4,                               /* of positions or dimensions, of 32 */
};

static __device__ __forceinline__ uint32_t attend_word(uint4 v, int i)
{
	return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

/* Position in its block, of column n of score eight j. */
static __device__ __forceinline__ uint32_t attend_position(uint32_t j, uint32_t n)
{
	return 8 * (n / 2) + 2 * j + n % 2;
}

/* Numbers of q8_0 as operands: eight bytes, whose scales are those of `scales` (two each word). Byte times scale,
 * rounded to a half; with two planes the second has the rest, exactly. */
template <int PLANES>
static __device__ __forceinline__ void q8_unpack(uint2 bytes, uint4 scales, uint4 to[PLANES])
{
	uint32_t q[4], high[4], low[4];
#pragma unroll
	for (int i = 0; i < 4; i++) {
		/* the byte and 128 as the last of a half from 1024 on */
		uint32_t x = (i < 2 ? bytes.x : bytes.y) ^ 0x80808080u, s = attend_word(scales, i);
		q[i] = half2_sub(byte_select(x, 0x64646464u, i % 2 ? 0x4342u : 0x4140u), 0x64806480u);
		high[i] = half2_mul(q[i], s);
		low[i] = PLANES == 2 ? half2_fma(q[i], s, high[i] ^ 0x80008000u) : 0;
	}
	to[0] = make_uint4(high[0], high[1], high[2], high[3]);
	if (PLANES == 2)
		to[PLANES - 1] = make_uint4(low[0], low[1], low[2], low[3]);
}

/* What a lane has of the products of four eights: [chain][eight]. Of one plane there is one chain. */
template <int PLANES> struct attend_chains {
	float hh[ATTEND_EIGHTS][4], hl[PLANES == 2 ? ATTEND_EIGHTS : 1][4],
		lh[PLANES == 2 ? ATTEND_EIGHTS : 1][4];
};

/* d += left * right, one k16 of each eight. */
template <int PLANES>
static __device__ __forceinline__ void attend_k16(struct attend_chains<PLANES> *d,
						  const uint32_t left[PLANES][4],
						  const uint4 right[ATTEND_EIGHTS][PLANES], int j)
{
#pragma unroll
	for (int i = 0; i < ATTEND_EIGHTS; i++)
		mma_f16(d->hh[i], left[0], attend_word(right[i][0], 2 * j),
			attend_word(right[i][0], 2 * j + 1));
	if constexpr (PLANES == 2) {
#pragma unroll
		for (int i = 0; i < ATTEND_EIGHTS; i++)
			mma_f16(d->lh[i], left[1], attend_word(right[i][0], 2 * j),
				attend_word(right[i][0], 2 * j + 1));
#pragma unroll
		for (int i = 0; i < ATTEND_EIGHTS; i++)
			mma_f16(d->hl[i], left[0], attend_word(right[i][1], 2 * j),
				attend_word(right[i][1], 2 * j + 1));
	}
}

/* The chains' sum. */
template <int PLANES>
static __device__ __forceinline__ void attend_close(const struct attend_chains<PLANES> *d,
						    float out[ATTEND_EIGHTS][4])
{
#pragma unroll
	for (int i = 0; i < ATTEND_EIGHTS; i++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			out[i][e] = d->hh[i][e];
			if constexpr (PLANES == 2)
				out[i][e] = out[i][e] + (d->hl[i][e] + d->lh[i][e]);
		}
}

/* Scores of one KV block, before the scale: adds one chunk of dimensions. q: [plane][rows g, g + 8], the
 * lane's eight dimensions; k: [eight][plane], those of position attend_position(eight, g). */
template <int PLANES>
static __device__ __forceinline__ void attend_score(struct attend_chains<PLANES> *s, const uint4 q[PLANES][2],
						    const uint4 k[ATTEND_EIGHTS][PLANES])
{
#pragma unroll
	for (int j = 0; j < 2; j++) {
		uint32_t left[PLANES][4];
#pragma unroll
		for (int p = 0; p < PLANES; p++) {
			left[p][0] = attend_word(q[p][0], 2 * j), left[p][1] = attend_word(q[p][1], 2 * j);
			left[p][2] = attend_word(q[p][0], 2 * j + 1),
			left[p][3] = attend_word(q[p][1], 2 * j + 1);
		}
		attend_k16<PLANES>(s, left, k, j);
	}
}

/* The weights p of a split as operands: [block][eight][plane][row g, g + 8], two positions each. */
template <int PLANES> struct attend_weights {
	uint32_t w[ATTEND_BLOCKS][ATTEND_EIGHTS][PLANES][2];
};

/* Scores before their scale become what the cap makes of them, and are not scaled any more. */
static __device__ __forceinline__ void attend_cap(float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4], float scale, float cap)
{
#pragma unroll
	for (uint32_t i = 0; i < ATTEND_BLOCKS * ATTEND_EIGHTS * 4; i++)
		s[i / 16][i / 4 % 4][i % 4] = a16_capped(s[i / 16][i / 4 % 4][i % 4] * scale, cap);
}

/* What rows g and g + 8 do not see of a split, before its position from[0] and from[1], becomes -infinity. */
static __device__ __forceinline__ void attend_mask_before(float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4],
							 const uint32_t from[2])
{
	uint32_t t = threadIdx.x % 4;
#pragma unroll
	for (uint32_t i = 0; i < ATTEND_BLOCKS * ATTEND_EIGHTS * 4; i++) {
		uint32_t position = i / 16 * CUDA_KV_BLOCK + 8 * t + i / 4 % 4 * 2 + i % 2;
		s[i / 16][i / 4 % 4][i % 4] =
			position >= from[i / 2 % 2] ? s[i / 16][i / 4 % 4][i % 4] : -INFINITY;
	}
}

/* What rows g and g + 8 do not see of a split, from its position n[0] and n[1] on, becomes -infinity. */
static __device__ __forceinline__ void attend_mask(float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4],
						   const uint32_t n[2])
{
	uint32_t t = threadIdx.x % 4;
#pragma unroll
	for (uint32_t i = 0; i < ATTEND_BLOCKS * ATTEND_EIGHTS * 4; i++) {
		uint32_t position = i / 16 * CUDA_KV_BLOCK + 8 * t + i / 4 % 4 * 2 + i % 2;
		s[i / 16][i / 4 % 4][i % 4] =
			position < n[i / 2 % 2] ? s[i / 16][i / 4 % 4][i % 4] : -INFINITY;
	}
}

/* The lane's part of l: p[block][eight][2 * row + e], its place i being 2 * eight + e. */
static __device__ __forceinline__ float attend_sum(const float p[ATTEND_BLOCKS][ATTEND_EIGHTS][4], int row)
{
	float u[2][8];
#pragma unroll
	for (int i = 0; i < 16; i++) {
		int half = i / 8, eight = i % 8 / 2, e = 2 * row + i % 2;
		u[half][i % 8] = p[2 * half][eight][e] + p[2 * half + 1][eight][e];
	}
#pragma unroll
	for (int step = 1; step < 8; step *= 2)
#pragma unroll
		for (int i = 0; i < 8; i += 2 * step) {
			u[0][i] = u[0][i] + u[0][i + step];
			u[1][i] = u[1][i] + u[1][i + step];
		}
	return u[0][0] + u[1][0];
}

/* Masked scores of a split to weights; s becomes p. m is -infinity, and all else 0, where nothing is seen. */
template <int PLANES>
static __device__ __forceinline__ void attend_soften(float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4], float scale,
						     float m[2], float l[2],
						     struct attend_weights<PLANES> *to)
{
#pragma unroll
	for (int r = 0; r < 2; r++) {
		m[r] = -INFINITY;
#pragma unroll
		for (int i = 0; i < ATTEND_BLOCKS * ATTEND_EIGHTS; i++) {
			float *v = &s[i / 4][i % 4][2 * r];
			v[0] = v[0] * scale, v[1] = v[1] * scale;
			m[r] = fmaxf(m[r], fmaxf(v[0], v[1]));
		}
		m[r] = fmaxf(m[r], __shfl_xor_sync(FULL_WARP, m[r], 1));
		m[r] = fmaxf(m[r], __shfl_xor_sync(FULL_WARP, m[r], 2));
		float from = m[r] == -INFINITY ? 0.0f : m[r];
#pragma unroll
		for (int i = 0; i < ATTEND_BLOCKS * ATTEND_EIGHTS; i++) {
			float x = expf(s[i / 4][i % 4][2 * r] - from),
			      y = expf(s[i / 4][i % 4][2 * r + 1] - from);
			s[i / 4][i % 4][2 * r] = x, s[i / 4][i % 4][2 * r + 1] = y;
			uint32_t high = half2_pack(x, y);
			to->w[i / 4][i % 4][0][r] = high;
			if (PLANES == 2)
				to->w[i / 4][i % 4][PLANES - 1][r] =
					half2_pack(x - half_bits_to_float((uint16_t)high),
						   y - half_bits_to_float((uint16_t)(high >> 16)));
		}
		l[r] = attend_sum(s, r);
		l[r] = l[r] + __shfl_xor_sync(FULL_WARP, l[r], 1);
		l[r] = l[r] + __shfl_xor_sync(FULL_WARP, l[r], 2);
	}
}

/* Output of 32 dimensions: adds one KV block, whose weights are w. v: [eight][plane], the lane's eight
 * positions of dimension 8 * eight + g. */
template <int PLANES>
static __device__ __forceinline__ void attend_add(struct attend_chains<PLANES> *out,
						  const uint32_t w[ATTEND_EIGHTS][PLANES][2],
						  const uint4 v[ATTEND_EIGHTS][PLANES])
{
#pragma unroll
	for (int j = 0; j < 2; j++) {
		uint32_t left[PLANES][4];
#pragma unroll
		for (int p = 0; p < PLANES; p++) {
			left[p][0] = w[2 * j][p][0], left[p][1] = w[2 * j][p][1];
			left[p][2] = w[2 * j + 1][p][0], left[p][3] = w[2 * j + 1][p][1];
		}
		attend_k16<PLANES>(out, left, v, j);
	}
}

/* out / sum within three units in the last place: every path must have the same bits, none needs the last
 * one. */
static __device__ __forceinline__ float attend_finish(float out, float sum)
{
	return out * near_reciprocal(sum);
}

/* A row's splits so far, but for its output. */
struct attend_total {
	float largest, sum;
};

/* Adds a split's m and l; the output follows by attend_merge. A split that a row sees nothing of (`none`)
 * leaves every bit as it is: out * 1 + 0 * -0. */
static __device__ __forceinline__ void attend_weigh(struct attend_total *total, float m, float l, bool none,
						    float *before, float *now)
{
	float largest = none ? total->largest : fmaxf(total->largest, m);
	*before = none ? 1.0f : expf(total->largest - largest);
	*now = none ? -0.0f : expf(m - largest);
	total->largest = largest;
	total->sum = fmaf(total->sum, *before, l * *now);
}

static __device__ __forceinline__ float attend_merge(float out, float before, float part, float now)
{
	return fmaf(out, before, part * now);
}

#endif
