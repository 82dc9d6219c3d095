/* Of the kernel of tile_product.cuh: how a crew multiplies a segment. */
#ifndef COMPUTE_CUDA_TILE_SEGMENT_CUH
#define COMPUTE_CUDA_TILE_SEGMENT_CUH

#include "compute/cuda/tile/tile_shape.cuh"

/* Where a warp stands in its crew's rings. */
struct consumer {
	struct crew_memory m;
	struct ring b, w;
	wgmma_box box;                /* of stage 0 */
	uint32_t lane, tile;          /* of the patch, the warp's first of two */
	const uint8_t *unit0, *unit1; /* of its two tiles, in the stage of weights */
};

/* Waits for a stage of weights of n units of each tile. */
template <class S> static __device__ __forceinline__ void wait_weights(struct consumer *k, uint32_t n)
{
	uint32_t bytes = S::w_units == 1 ? (uint32_t)S::unit_bytes : n * S::unit_bytes;
	barrier_wait(k->m.w_full + 8 * k->w.at, k->w.phase);
	k->unit0 = k->m.start + S::w_at + k->w.at * S::w_bytes + k->tile * bytes;
	k->unit1 = k->unit0 + bytes;
}
template <class S> static __device__ __forceinline__ void release_weights(struct consumer *k)
{
	__syncwarp();
	if (k->lane == 0)
		barrier_arrive(k->m.w_empty + 8 * k->w.at);
	ring_step<S::w_stages>(&k->w);
}
template <class S> static __device__ __forceinline__ wgmma_box wait_columns(const struct consumer *k)
{
	barrier_wait(k->m.b_full + 8 * k->b.at, k->b.phase);
	return wgmma_box_plus(k->box, k->b.at * S::b_bytes);
}
static __device__ __forceinline__ void release_columns(const struct consumer *k, uint32_t stage)
{
	__syncwarp();
	if (k->lane == 0)
		barrier_arrive(k->m.b_empty + 8 * stage);
}

/* The same of F32's second plane. */
template <class S>
static __device__ __forceinline__ void load_rest(const struct consumer *k, uint32_t c, uint32_t (&a)[8])
{
	uint32_t r[4];
	frag_halves(k->unit0 + c * S::unit_bytes, 1, k->lane, r);
	a[0] = r[0], a[2] = r[1], a[4] = r[2], a[6] = r[3];
	frag_halves(k->unit1 + c * S::unit_bytes, 1, k->lane, r);
	a[1] = r[0], a[3] = r[1], a[5] = r[2], a[7] = r[3];
}

/* Operand A of two k16: chunk c of the stage of weights, of the warp's two tiles. */
template <class S, int FULL>
static __device__ __forceinline__ void load_pair(const struct consumer *k, uint32_t c, uint32_t (&a)[8])
{
	uint32_t r[4], at = S::unit_chunks > 1 ? 0 : c * S::unit_bytes;
	frag_load<S::format, FULL>(k->unit0 + at, c % S::unit_chunks, k->lane, r);
	a[0] = r[0], a[2] = r[1], a[4] = r[2], a[6] = r[3];
	frag_load<S::format, FULL>(k->unit1 + at, c % S::unit_chunks, k->lane, r);
	a[1] = r[0], a[3] = r[1], a[5] = r[2], a[7] = r[3];
}

/* Adds the two k16 of a chunk of weights a and activations b to acc, or sets it. */
template <class S>
static __device__ __forceinline__ void multiply(uint32_t (&a)[8], wgmma_box b, float (&acc)[S::N / 2],
						bool add)
{
	wgmma_operand(a);
	wgmma_fence();
	wgmma<S::N>(acc, a, b, add);
	wgmma<S::N>(acc, a + 4, wgmma_box_plus(b, 32), true);
	wgmma_commit();
}

/* Two chunks of a chain, c and c + 1 of the stage of weights, after others of the segment or not. While one
 * chunk's products run, the next is decoded. */
template <class S>
static __device__ __forceinline__ void chain_pair(struct consumer *k, uint32_t c, bool after,
						  float (&acc)[S::N / 2])
{
	uint32_t a0[8], a1[8];
	wgmma_box b = wait_columns<S>(k);
	load_pair<S, 0>(k, c, a0);
	multiply<S>(a0, b, acc, true);
	wgmma_wait<1>();
	if (after) /* the chunk before has been read */
		release_columns(k, k->b.at ? k->b.at - 1 : (uint32_t)S::b_stages - 1);
	if constexpr (S::halves > 1) {
		uint32_t rest[8];
		load_rest<S>(k, c, rest);
		multiply<S>(rest, b, acc, true);
		wgmma_wait<1>();
	}
	load_pair<S, 0>(k, c + 1, a1);
	multiply<S>(a1, wgmma_box_plus(b, 64), acc, true);
	wgmma_wait<1>();
	if constexpr (S::halves > 1) {
		uint32_t rest[8];
		load_rest<S>(k, c + 1, rest);
		multiply<S>(rest, wgmma_box_plus(b, 64), acc, true);
		wgmma_wait<1>();
	}
	ring_step<S::b_stages>(&k->b);
}

/* acc = the chain over a segment of n_units. (The compiler keeps products and decoding side by side only if
 * the products of a loop stand under no condition.) */
template <class S>
static __device__ __forceinline__ void segment_chain(struct consumer *k, uint32_t n_units,
						     float (&acc)[S::N / 2])
{
	const uint32_t step = S::unit_chunks > 1 ? S::unit_chunks : 2;
	uint32_t n = n_units * S::unit_chunks, c;
#pragma unroll
	for (int i = 0; i < S::N / 2; i++)
		acc[i] = 0;
	for (c = 0; c + 1 < n; c += step) {
		if (c % S::w_chunks == 0)
			wait_weights<S>(k, stage_units<S>(c / S::unit_chunks, n_units));
#pragma unroll
		for (uint32_t i = 0; i < step; i += 2)
			chain_pair<S>(k, c % S::w_chunks + i, c + i > 0, acc);
		if ((c + step) % S::w_chunks == 0 || c + step == n)
			release_weights<S>(k);
	}
	wgmma_wait<0>();
	wgmma_settle<S::N>(acc);
	if (n > 1)
		release_columns(k, k->b.at ? k->b.at - 1 : (uint32_t)S::b_stages - 1);
	if (S::unit_chunks == 1 && c < n) {
		uint32_t a[8], rest[8];
		if (c % S::w_chunks == 0)
			wait_weights<S>(k, 1);
		wgmma_box b = wait_columns<S>(k);
		load_pair<S, 0>(k, c % S::w_chunks, a);
		if constexpr (S::halves > 1)
			load_rest<S>(k, c % S::w_chunks, rest);
		multiply<S>(a, b, acc, true);
		if constexpr (S::halves > 1)
			multiply<S>(rest, b, acc, true);
		wgmma_wait<0>();
		wgmma_settle<S::N>(acc);
		/* not before: loads that a product has waited for are done, those that are only asked for may
		   come after the next stage's bytes */
		release_weights<S>(k);
		release_columns(k, k->b.at);
		ring_step<S::b_stages>(&k->b);
	}
}

/* The two rows' scales of chunk c of a stage, and what the sums of activations are multiplied by. */
template <class S>
static __device__ __forceinline__ void load_scales(const struct consumer *k, uint32_t c, uint32_t which,
						   float (&scale)[2], float (&add)[2])
{
	uint32_t at = S::unit_chunks > 1 ? 0 : c * S::unit_bytes, row = k->lane / 4;
	scale[0] = frag_scale<S::format>(k->unit0 + at, c % S::unit_chunks, row, which, &add[0]);
	scale[1] = frag_scale<S::format>(k->unit1 + at, c % S::unit_chunks, row, which, &add[1]);
}

/* blk = the products of a chunk, of the columns of one of its scales, begun. */
template <class S>
static __device__ __forceinline__ void begin_block(const struct consumer *k, const uint32_t (&a)[8],
						   uint32_t which, wgmma_box b, float (&blk)[S::N / 2])
{
	uint32_t z[8];
#pragma unroll
	for (int i = 0; i < 8; i++)
		z[i] = S::scales > 1 ? frag_of_scale(a[i], k->lane % 4, which) : a[i];
	wgmma_settle<S::N>(blk);
	multiply<S>(z, b, blk, false);
}

/* acc = scale * blk + (first ? 0 : acc), once blk is there. */
template <class S>
static __device__ __forceinline__ void add_block(const float (&scale)[2], float (&blk)[S::N / 2], bool first,
						 float (&acc)[S::N / 2])
{
	wgmma_wait<0>();
	wgmma_settle<S::N>(blk);
	if (first) {
#pragma unroll
		for (int i = 0; i < S::N / 2; i++)
			acc[i] = fmaf(scale[i / 2 % 2], blk[i], 0.0f);
	} else {
#pragma unroll
		for (int i = 0; i < S::N / 2; i++)
			acc[i] = fmaf(scale[i / 2 % 2], blk[i], acc[i]);
	}
}

/* acc += add * the sums of the columns of scale `which`, where a chunk has two: by a product of ones. */
template <class S>
static __device__ __forceinline__ void add_ones(const struct consumer *k, uint32_t which, wgmma_box b,
						const float (&add)[2], float (&blk)[S::N / 2],
						float (&acc)[S::N / 2])
{
	if constexpr (S::ones) {
		const uint32_t ones[8] = {HALF2_ONES, HALF2_ONES, HALF2_ONES, HALF2_ONES,
					  HALF2_ONES, HALF2_ONES, HALF2_ONES, HALF2_ONES};
		begin_block<S>(k, ones, which, b, blk);
		add_block<S>(add, blk, false, acc);
	}
}

/* acc += add * the sums of half h of the stage. */
template <class S>
static __device__ __forceinline__ void add_sums(const struct consumer *k, uint32_t h, const float (&add)[2],
						float (&acc)[S::N / 2])
{
	if (!S::mins)
		return;
	const float *sums = reinterpret_cast<const float *>(k->m.start + S::s_at + k->b.at * S::s_bytes) +
			    h * S::N + 2 * (k->lane % 4);
#pragma unroll
	for (int j = 0; j < S::N / 8; j++) {
		float2 s = *reinterpret_cast<const float2 *>(sums + 8 * j);
		acc[4 * j] = fmaf(add[0], s.x, acc[4 * j]);
		acc[4 * j + 1] = fmaf(add[0], s.y, acc[4 * j + 1]);
		acc[4 * j + 2] = fmaf(add[1], s.x, acc[4 * j + 2]);
		acc[4 * j + 3] = fmaf(add[1], s.y, acc[4 * j + 3]);
	}
}

/* One or two chunks of a segment, from chunk c of the stage of weights: block after block. */
template <class S>
static __device__ __forceinline__ void blocks_pair(struct consumer *k, uint32_t c, bool two, bool first,
						   float (&acc)[S::N / 2])
{
	uint32_t a0[8], a1[8];
	float blk[S::N / 2], scale[2], add[2];
	wgmma_box b = wait_columns<S>(k);
	load_pair<S, 1>(k, c, a0);
#pragma unroll
	for (uint32_t g = 0; g < S::scales; g++) {
		begin_block<S>(k, a0, g, b, blk);
		load_scales<S>(k, c, g, scale, add);
		if (two && g + 1 == S::scales)
			load_pair<S, 1>(k, c + 1, a1);
		add_block<S>(scale, blk, first && g == 0, acc);
		add_ones<S>(k, g, b, add, blk, acc);
	}
	add_sums<S>(k, 0, add, acc);
	if (two) {
#pragma unroll
		for (uint32_t g = 0; g < S::scales; g++) {
			begin_block<S>(k, a1, g, wgmma_box_plus(b, 64), blk);
			load_scales<S>(k, c + 1, g, scale, add);
			add_block<S>(scale, blk, false, acc);
			add_ones<S>(k, g, wgmma_box_plus(b, 64), add, blk, acc);
		}
		add_sums<S>(k, 1, add, acc);
	}
	release_columns(k, k->b.at);
	ring_step<S::b_stages>(&k->b);
}

/* acc = a segment of n_units, block after block. */
template <class S>
static __device__ __forceinline__ void segment_blocks(struct consumer *k, uint32_t n_units,
						      float (&acc)[S::N / 2])
{
	for (uint32_t u = 0; u < n_units; u += S::w_units) {
		uint32_t n = stage_units<S>(u, n_units);
		wait_weights<S>(k, n);
		for (uint32_t c = 0; c < n * S::unit_chunks; c += 2)
			blocks_pair<S>(k, c, c + 1 < n * S::unit_chunks, u + c == 0, acc);
		release_weights<S>(k);
	}
}

/* acc = segment s of a row of n_units; an empty one is what added changes nothing. */
template <class S>
static __device__ __forceinline__ void segment(struct consumer *k, uint32_t n_units, uint32_t s,
					       float (&acc)[S::N / 2])
{
	uint32_t n = tile_segment(n_units, s + 1) - tile_segment(n_units, s);
	if (n == 0) {
#pragma unroll
		for (int i = 0; i < S::N / 2; i++)
			acc[i] = -0.0f;
	} else if (S::chain) {
		segment_chain<S>(k, n, acc);
	} else {
		segment_blocks<S>(k, n, acc);
	}
}

/* Where a warp begins. */
template <class S>
static __device__ __forceinline__ struct consumer consumer_of(unsigned char *shared, uint32_t warpgroup)
{
	struct consumer k;
	k.m = crew_memory_of<S>(shared, S::KS == 1 ? 0 : warpgroup / S::ROWS);
	k.box = wgmma_box_of(k.m.b);
	k.b = k.w = {0, 0};
	k.unit0 = k.unit1 = k.m.start;
	k.lane = threadIdx.x % 32;
	k.tile = warpgroup % S::ROWS * 8 + threadIdx.x % 128 / 32 * 2;
	return k;
}

#endif
