/*
 * The kernel behind tile_product.h: weights in registers times activations in shared memory, by wgmma.
 *
 * A block computes *patches* of ROWS * 64 rows of weights x N columns (of activations), one after another.
 * Its last warpgroup only brings data to shared memory, into two rings: boxes of N columns x 64 halves, and
 * units of weights. The others multiply: ROWS warpgroups side by side, or KS crews (of ROWS warpgroups each)
 * that take a patch's segments one after another and add them up in order. Where there are fewer patches than
 * multiprocessors, a *team* of blocks (a cluster) shares a patch: each of its crews takes other segments, and
 * each block gets a part of the sums of all of them to add up, in the same order. Every output is the same
 * chain of k16 products per segment in all shapes, so all give the same bits.
 */
#ifndef COMPUTE_CUDA_TILE_PRODUCT_CUH
#define COMPUTE_CUDA_TILE_PRODUCT_CUH

#include "compute/cuda/chain.cuh"
#include "compute/cuda/sm90.cuh"
#include "compute/cuda/tile/frag.cuh"
#include "compute/cuda/tile/tile_product.h"

/* Shapes: X(N, ROWS, KS, TEAM (blocks), HALF too, FULL too). Block formats in FULL keep three numbers a sum,
 * so N is smaller. */
/* clang-format off */
#define TILE_SHAPES(X) \
	X(8, 1, 4, 1, 1, 1) \
	X(16, 1, 4, 1, 1, 1) \
	X(32, 1, 4, 1, 1, 1) \
	X(64, 1, 4, 1, 1, 1) \
	X(64, 2, 1, 1, 1, 1) \
	X(96, 2, 1, 1, 1, 1) \
	X(112, 2, 1, 1, 0, 1) \
	X(128, 2, 1, 1, 1, 1) \
	X(160, 2, 1, 1, 1, 0) \
	X(192, 2, 1, 1, 1, 0) \
	X(8, 1, 4, 2, 1, 1) \
	X(8, 1, 4, 4, 1, 1) \
	X(8, 1, 4, 8, 1, 1) \
	X(16, 1, 4, 2, 1, 1) \
	X(16, 1, 4, 4, 1, 1) \
	X(16, 1, 4, 8, 1, 1) \
	X(32, 1, 4, 2, 1, 1) \
	X(32, 1, 4, 4, 1, 1) \
	X(32, 1, 4, 8, 1, 1) \
	X(64, 1, 4, 4, 1, 1)
/* clang-format on */

/* What a kernel gets. Patches are counted over all parts: the columns of one run of rows, then the next rows.
 */
struct tile_product_launch {
	struct tensor_map x_map;
	struct tile_product_part part[TILE_PRODUCT_MATRICES];
	uint32_t row_patches_end[TILE_PRODUCT_MATRICES]; /* of parts 0 .. i together */
	const float *sums;
	float *out;
	uint32_t planes, sum_pitch, out_pitch, n_columns, add;
	uint32_t column_patches, n_patches;
	uint32_t team; /* blocks */
};

/* Runs a launch on the kernel of a format, mode and shape; one function for some formats, each in a file
 * of its own, because they take long to compile. */
typedef cudaError_t tile_product_runner(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
					uint32_t n_sms, cudaStream_t stream);
tile_product_runner tile_product_f16, tile_product_q8, tile_product_q4, tile_product_q5, tile_product_k4,
	tile_product_k5, tile_product_k6, tile_product_k2, tile_product_iq4, tile_product_f32;

template <int FORMAT, int FULL, int N_, int ROWS_, int KS_> struct product_shape {
	enum {
		N = N_,
		ROWS = ROWS_,
		KS = KS_,
		format = FORMAT,
		full = FULL,
		halves = frag_traits<FORMAT>::halves,
		both = FORMAT == CUDA_F16,   /* modes */
		chain = !FULL || halves > 0, /* a segment is one chain of products */
		mins = !chain && frag_traits<FORMAT>::sums,
		ones = !chain && frag_traits<FORMAT>::ones,
		scales = frag_traits<FORMAT>::scales,
		unit_bytes = frag_traits<FORMAT>::unit_bytes,
		unit_chunks = frag_traits<FORMAT>::chunks,
		many = KS > 1 &&
		       N > 32, /* columns take so much room that stages are small, or they are too few */
		/* a stage of weights: up to so many chunks of all rows; of activations: two chunks of N
		   columns */
		w_chunks = unit_chunks > 1                              ? unit_chunks
			   : halves > 1 || (many && FORMAT == CUDA_F16) ? 2
			   : KS == 1 || FORMAT == CUDA_F16 || many      ? 4
									: 8,
		w_units = w_chunks / unit_chunks,
		tiles = ROWS * 8,
		w_bytes = tiles * w_units * unit_bytes,
		b_bytes = N * 128,
		s_bytes = mins ? 2 * N * 4 : 0,
		warpgroups = ROWS * KS,
		threads = (warpgroups + 1) * 128,
		total_bytes = KS > 1 ? 64 * N * 4 : 0,
		most_bytes = 227 * 1024,
		room = (most_bytes - 1024 - 2048 - total_bytes) / KS / 1024 * 1024,
		w_per_b = w_chunks / 2,
		fit = room / (w_bytes + w_per_b * (b_bytes + s_bytes)),
		w_stages = KS == 1    ? (unit_chunks > 1   ? 2
					 : w_bytes > 20000 ? 3
							   : 4)
			   : fit < 2  ? 2
			   : fit > 12 ? 12
				      : fit,
		b_fit = (room - w_stages * w_bytes) / (b_bytes + s_bytes),
		b_stages = b_fit > w_stages *w_per_b + 2 ? w_stages *w_per_b + 2 : b_fit,
		w_at = b_stages * b_bytes,
		s_at = w_at + w_stages * w_bytes,
		crew_bytes = (s_at + b_stages * s_bytes + 1023) / 1024 * 1024,
		crew_barriers = 2 * (w_stages + b_stages),
		total_at = KS * crew_bytes,
		barriers_at = total_at + total_bytes,
		bytes = barriers_at + (KS * crew_barriers + KS) * 8 + 1024,
		/* of a thread; together no more than the block starts with */
		start_registers = 65536 / threads / 8 * 8,
		producer_registers = KS == 1 ? 40 : 32,
		consumer_registers = KS == 1 ? 232 : 112,
	};
	static_assert(TILE_SEGMENTS % KS == 0, "the last crew has the last segment");
	static_assert(consumer_registers * warpgroups + producer_registers <=
			      start_registers * (warpgroups + 1),
		      "or the warpgroups wait for registers for ever");
	static_assert(w_stages >= 2 && b_stages >= 2 && bytes <= most_bytes, "the rings fit");
};

/* Where a ring stands: the stage, and the phase of its barriers. */
struct ring {
	uint32_t at, phase;
};
template <int STAGES> static __device__ __forceinline__ void ring_step(struct ring *r)
{
	if (++r->at == STAGES) {
		r->at = 0;
		r->phase ^= 1u;
	}
}

/* One crew's part of shared memory: its rings, and their barriers. */
struct crew_memory {
	unsigned char *start;
	shared_place b, w, s;
	shared_place b_full, b_empty, w_full, w_empty;
};
template <class S>
static __device__ __forceinline__ struct crew_memory crew_memory_of(unsigned char *shared, uint32_t crew)
{
	struct crew_memory m;
	m.start = shared + crew * S::crew_bytes;
	m.b = place_in_shared(shared) + crew * S::crew_bytes;
	m.w = m.b + S::w_at;
	m.s = m.b + S::s_at;
	m.b_full = place_in_shared(shared) + S::barriers_at + crew * (S::crew_barriers * 8);
	m.b_empty = m.b_full + S::b_stages * 8;
	m.w_full = m.b_empty + S::b_stages * 8;
	m.w_empty = m.w_full + S::w_stages * 8;
	return m;
}
/* The barrier at which crew `crew` waits until it may add. */
template <class S>
static __device__ __forceinline__ shared_place baton_of(unsigned char *shared, uint32_t crew)
{
	return place_in_shared(shared) + S::barriers_at + (S::KS * S::crew_barriers + crew) * 8;
}

/* A patch of the launch. */
struct patch_place {
	uint32_t part, tile, column; /* matrix, its first tile of eight rows, first column */
};
template <class S>
static __device__ __forceinline__ struct patch_place place_of(const struct tile_product_launch &l,
							      uint32_t index)
{
	uint32_t rows = index / l.column_patches;
	struct patch_place p;
	p.column = index % l.column_patches * S::N;
	p.part = (rows >= l.row_patches_end[0] ? 1u : 0u) + (rows >= l.row_patches_end[1] ? 1u : 0u);
	p.tile = (rows - (p.part ? l.row_patches_end[p.part - 1] : 0)) * S::tiles;
	return p;
}

/* ---- the warp that brings data ---- */

/* The tiles of a patch in a segment of a matrix. */
struct patch_weights {
	const uint8_t *data; /* the segment's */
	uint32_t tile, n_tiles, n_units;
};

/* Paired: units u .. u + n - 1, those of a tile one after another in shared memory. What a bundle has is
 * known when compiling: one lane does all of this, and divisions would hold the products up. */
template <class S>
static __device__ __forceinline__ void bring_pairs(const struct patch_weights *p, uint32_t u, uint32_t n,
						   shared_place to, shared_place full)
{
	const uint32_t bundle = tile_bundle_units(S::unit_bytes);
	uint32_t step = tile_pair_bytes(p->n_units, S::unit_bytes, bundle);
	for (uint32_t v = 0, here; v < n; v += here) { /* what is of one bundle */
		uint32_t in = (u + v) % bundle, before = u + v - in, left = p->n_units - before,
			 units = left < bundle ? left : bundle;
		here = n - v < units - in ? n - v : units - in;
		const uint8_t *from = p->data + (uint64_t)(p->tile / 2) * step +
				      tile_pair_bytes(before, S::unit_bytes, bundle) + in * S::unit_bytes;
		shared_place at = to + v * S::unit_bytes;
		for (uint32_t i = 0; i < p->n_tiles; i += 2, from += step, at += 2 * n * S::unit_bytes) {
			copy_bulk(at, from, here * S::unit_bytes, full);
			if (i + 1 < p->n_tiles)
				copy_bulk(at + n * S::unit_bytes, from + units * S::unit_bytes,
					  here * S::unit_bytes, full);
		}
	}
}

/* Units of the stage of weights that starts at unit u of a segment's n_units. */
template <class S> static __device__ __forceinline__ uint32_t stage_units(uint32_t u, uint32_t n_units)
{
	return S::w_units == 1 || n_units - u > S::w_units ? (uint32_t)S::w_units : n_units - u;
}

/* Units u .. u + n - 1 of the patch, each tile's one after another in shared memory. By one lane. */
template <class S>
static __device__ __forceinline__ void bring_weights(const struct tile_matrix *w,
						     const struct patch_weights *p, uint32_t u, uint32_t n,
						     const struct crew_memory &m, struct ring ring)
{
	shared_place to = m.w + ring.at * S::w_bytes, full = m.w_full + 8 * ring.at;
	uint32_t bytes = n * S::unit_bytes;
	barrier_expect(full, p->n_tiles * bytes);
	if (w->bundle) {
		bring_pairs<S>(p, u, n, to, full);
		return;
	}
	const uint8_t *from = p->data + tile_unit_at(w, p->tile, p->n_units, u);
	if (n == p->n_units) { /* they lie so in memory too */
		copy_bulk(to, from, p->n_tiles * bytes, full);
		return;
	}
	for (uint32_t i = 0; i < p->n_tiles; i++)
		copy_bulk(to + i * bytes, from + (uint64_t)(i * p->n_units) * S::unit_bytes, bytes, full);
}

/* Sums of the stage's two chunks: (2, N). By a whole warp. */
template <class S>
static __device__ __forceinline__ void bring_sums(const struct tile_product_launch &l,
						  const struct crew_memory &m, uint32_t stage,
						  uint32_t column, uint32_t chunk)
{
	shared_place to = m.s + stage * S::s_bytes;
	for (uint32_t i = threadIdx.x % 32; i < 2 * S::N; i += 32) {
		uint32_t c = column + i % S::N, k = chunk + i / S::N;
		if (c < l.n_columns && k < l.sum_pitch)
			copy_word(to + 4 * i, l.sums + (uint64_t)c * l.sum_pitch + k);
	}
	barrier_arrive_copied(m.b_full + 8 * stage);
}

/* Which patches a block has, index + k * step, and which segments crew c: first + c * spread + k * apart. */
struct share {
	uint32_t index, step, first, spread, apart;
};
template <class S, int TEAMS> static __device__ __forceinline__ struct share share_of(void)
{
	if (TEAMS)
		return {cluster_number<0>(), 1u << 31, cluster_rank<0>(), cluster_size<0>(),
			cluster_size<0>() * S::KS};
	return {blockIdx.x, gridDim.x, 0, 1, S::KS};
}

/* Stages of weights of segment s that a ring holds: those are brought before others' results are waited for.
 */
template <class S> static __device__ __forceinline__ uint32_t stages_ahead(uint32_t n_units)
{
	uint32_t n = (n_units + S::w_units - 1) / S::w_units;
	return n < S::w_stages ? n : (uint32_t)S::w_stages;
}

/* Brings everything of a crew. By a whole warp if there are sums to bring, otherwise by one lane. */
template <class S>
static __device__ __forceinline__ void produce(const struct tile_product_launch &l, unsigned char *shared,
					       uint32_t crew, struct share share)
{
	struct crew_memory m = crew_memory_of<S>(shared, crew);
	struct ring b = {0, 1}, w = {0, 1};
	bool waited = false;
	uint32_t ahead = 0; /* stages that have been asked for already */
	for (uint32_t index = share.index; index < l.n_patches; index += share.step) {
		struct patch_place p = place_of<S>(l, index);
		const struct tile_matrix *matrix = &l.part[p.part].w;
		uint32_t left = matrix->n_tiles - p.tile,
			 n_tiles = left < S::tiles ? left : (uint32_t)S::tiles;
		for (uint32_t s = share.first + crew * share.spread; s < TILE_SEGMENTS; s += share.apart) {
			uint32_t first = tile_segment(matrix->n_units, s),
				 last = tile_segment(matrix->n_units, s + 1);
			const struct patch_weights weights = {
				matrix->data + tile_segment_at(matrix->n_tiles, matrix->n_units,
							       S::unit_bytes, matrix->bundle, s),
				p.tile, n_tiles, last - first};
			if (!waited) {
				ahead = stages_ahead<S>(last - first);
				for (uint32_t i = 0, u = 0; i < ahead; i++, u += S::w_units)
					if (!S::mins || elected())
						bring_weights<S>(matrix, &weights, u,
								 stage_units<S>(u, last - first), m, {i, 1});
				chain_wait();
				waited = true;
			}
			for (uint32_t u = first; u < last; u += S::w_units) {
				uint32_t n = last - u < S::w_units ? last - u : (uint32_t)S::w_units;
				if (ahead) {
					ahead--;
				} else {
					barrier_wait(m.w_empty + 8 * w.at, w.phase);
					if (S::mins)
						__syncwarp(); /* or a slow lane would miss a phase */
					if (!S::mins || elected())
						bring_weights<S>(matrix, &weights, u - first, n, m, w);
				}
				ring_step<S::w_stages>(&w);
				for (uint32_t c = 0; c < n * S::unit_chunks; c += 2) {
					uint32_t chunk = u * S::unit_chunks + c;
					shared_place full = m.b_full + 8 * b.at;
					barrier_wait(m.b_empty + 8 * b.at, b.phase);
					if (S::mins)
						__syncwarp();
					if (!S::mins || elected()) {
						barrier_expect(full, S::b_bytes);
						copy_box(m.b + b.at * S::b_bytes, &l.x_map, 32 * chunk,
							 p.column, full);
					}
					if (S::mins)
						bring_sums<S>(l, m, b.at, p.column, chunk);
					ring_step<S::b_stages>(&b);
				}
			}
		}
	}
}

/* ---- the warpgroups that multiply ---- */

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

/* total *= the scales of the warp's two rows. */
template <class S>
static __device__ __forceinline__ void scale_rows(const uint8_t *data, uint32_t row, bool row0, bool row1,
						  float (&total)[S::N / 2])
{
	float scale0 = row0 ? *tile_row_scale(data, row) : 0,
	      scale1 = row1 ? *tile_row_scale(data, row + 8) : 0;
#pragma unroll
	for (int i = 0; i < S::N / 2; i++)
		total[i] = total[i] * (i / 2 % 2 ? scale1 : scale0);
}

/* Results of the warp's two rows (of eight apart): planes added up, with biases, as many as y has. A row
 * beyond the matrix and a token beyond the last are left out. total: the sums as wgmma laid them; column 8 j
 * + 2 t + e. */
template <class S>
static __device__ __forceinline__ void store(const struct tile_product_launch &l, const struct patch_place &p,
					     const struct consumer *k, float (&total)[S::N / 2])
{
	const struct tile_product_part *part = &l.part[p.part];
	bool pairs = S::both ? l.planes == 2 : S::full != 0;
	uint32_t row = (p.tile + k->tile) * 8 + k->lane / 4, t = k->lane % 4;
	uint32_t token = pairs ? p.column / 2 + t : p.column + 2 * t, step = pairs ? 4 : 8;
	int left = (int)(pairs ? l.n_columns / 2 : l.n_columns) - (int)token;
	bool row0 = row < part->w.rows, row1 = row + 8 < part->w.rows;
	float bias0 = part->bias && row0 ? part->bias[row] : 0,
	      bias1 = part->bias && row1 ? part->bias[row + 8] : 0;
	float *out = l.out + part->out_col + row + (uint64_t)token * l.out_pitch;
	uint64_t pitch = l.out_pitch, jump = step * pitch;
#pragma unroll
	for (int i = 0; i < S::N / 2; i++) /* total[4 j + 2 h] (+ e): the result of row h (, token e) */
		total[i] = total[i] + (pairs && i % 2 == 0 ? total[i + 1] : 0.0f);
	if (S::halves > 0 && tile_has_row_scales(part->w.format))
		scale_rows<S>(part->w.data, row, row0, row1, total);
	if (part->bias) {
#pragma unroll
		for (int i = 0; i < S::N / 2; i++)
			total[i] = total[i] + (i / 2 % 2 ? bias1 : bias0);
	}
	if (l.add) {
		const float *from = out;
#pragma unroll
		for (int j = 0; j < S::N / 8; j++, from += jump) {
			if (j % 4 == 0) /* so many loads at once */
				wgmma_settle<S::N>(total);
#pragma unroll
			for (int i = 0; i < 4; i++)
				if ((int)(j * step) + i % 2 < left && (i / 2 ? row1 : row0) &&
				    !(pairs && i % 2))
					total[4 * j + i] = from[i % 2 * pitch + i / 2 * 8] + total[4 * j + i];
		}
	}
#pragma unroll
	for (int j = 0; j < S::N / 8; j++, out += jump)
#pragma unroll
		for (int i = 0; i < 4; i++)
			if ((int)(j * step) + i % 2 < left && (i / 2 ? row1 : row0) && !(pairs && i % 2))
				out[i % 2 * pitch + i / 2 * 8] = total[4 * j + i];
}

/* Crews take the segments one after another and pass the sum so far on in shared memory, each thread to the
 * same thread of the next crew. total: the sum up to this segment. phase: flips each time the crew adds. */
template <class S>
static __device__ __forceinline__ void pass_on(unsigned char *shared, uint32_t crew, uint32_t s,
					       uint32_t phase, float (&total)[S::N / 2])
{
	float *passed = reinterpret_cast<float *>(shared + S::total_at) + threadIdx.x % 128;
	barrier_wait(baton_of<S>(shared, crew), crew ? phase : phase ^ 1u);
#pragma unroll
	for (int i = 0; i < S::N / 2; i++) {
		if (s)
			total[i] = passed[128 * i] + total[i];
		if (s + 1 < TILE_SEGMENTS)
			passed[128 * i] = total[i];
	}
	barrier_arrive(baton_of<S>(shared, (crew + 1) % S::KS));
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

template <class S>
static __device__ __forceinline__ void consume(const struct tile_product_launch &l, unsigned char *shared,
					       uint32_t warpgroup)
{
	uint32_t crew = S::KS == 1 ? 0 : warpgroup / S::ROWS, phase = 0;
	struct consumer k = consumer_of<S>(shared, warpgroup);
	chain_wait(); /* out is another launch's too */
	for (uint32_t index = blockIdx.x; index < l.n_patches; index += gridDim.x) {
		struct patch_place p = place_of<S>(l, index);
		uint32_t n_units = l.part[p.part].w.n_units;
		float total[S::N / 2];
		if (S::KS == 1) {
			float acc[S::N / 2];
#pragma unroll
			for (int i = 0; i < S::N / 2; i++)
				total[i] = -0.0f;
			for (uint32_t s = 0; s < TILE_SEGMENTS; s++) {
				segment<S>(&k, n_units, s, acc);
#pragma unroll
				for (int i = 0; i < S::N / 2; i++)
					total[i] = total[i] + acc[i];
			}
		} else {
			for (uint32_t s = crew; s < TILE_SEGMENTS; s += S::KS, phase ^= 1u) {
				segment<S>(&k, n_units, s, total);
				pass_on<S>(shared, crew, s, phase, total);
			}
			if (crew + 1 < S::KS)
				continue;
		}
		store<S>(l, p, &k, total);
	}
}

/* ---- teams ---- */

/* A thread of a crew has sums of a segment in pairs of neighbouring columns, float2 `i` of N / 4; of those,
 * block i % team adds up all segments'. What it gets lies where the rings were: (segment, i / team, thread of
 * 128). */
template <class S> struct team_shape {
	enum {
		pairs = S::N / 4,
		least = S::N <= 32 ? 2 : 4,                  /* blocks */
		held = TILE_SEGMENTS / (S::KS * (int)least), /* segments a crew has, at most */
		most_pairs = (pairs + least - 1) / least,    /* that a block adds up, of a thread */
		bytes = (S::bytes + 1023) / 1024 * 1024,     /* of shared memory, a block */
	};
	static_assert(TILE_SEGMENTS * most_pairs * 128 * sizeof(float2) <= (size_t)(S::KS * S::crew_bytes),
		      "sums have room where the rings were");
	static_assert((int)bytes <= (int)S::most_bytes && S::ROWS == 1, "as team_store counts");
};

/* Results of one pair of sums, as store() has them: of row h of the two (of eight apart) that a thread has,
 * of columns 8 j + 2 t and the next. at: the thread of 128. */
template <class S>
static __device__ __forceinline__ void store_pair(const struct tile_product_launch &l,
						  const struct patch_place &p, uint32_t at, uint32_t i,
						  float2 sum)
{
	const struct tile_product_part *part = &l.part[p.part];
	bool pairs = S::both ? l.planes == 2 : S::full != 0;
	uint32_t row = (p.tile + at / 32 * 2) * 8 + at % 32 / 4 + i % 2 * 8;
	uint32_t column = p.column + i / 2 * 8 + 2 * (at % 4);
	if (row >= part->w.rows || column >= l.n_columns)
		return;
	float v[2] = {sum.x + (pairs ? sum.y : 0.0f), sum.y};
	float scale = S::halves > 0 && tile_has_row_scales(part->w.format)
			      ? *tile_row_scale(part->w.data, row)
			      : 1.0f;
	float bias = part->bias ? part->bias[row] : 0;
	float *out = l.out + part->out_col + row + (uint64_t)(pairs ? column / 2 : column) * l.out_pitch;
#pragma unroll
	for (uint32_t e = 0; e < 2; e++, out += l.out_pitch) {
		if (e && (pairs || column + 1 >= l.n_columns))
			break;
		if (S::halves > 0 && tile_has_row_scales(part->w.format))
			v[e] = v[e] * scale;
		if (part->bias)
			v[e] = v[e] + bias;
		*out = l.add ? *out + v[e] : v[e];
	}
}

/* Adds up the block's part of a patch's sums, segment after segment, and stores the results. thread: of all
 * that multiply. */
template <class S>
static __device__ __forceinline__ void team_store(const struct tile_product_launch &l,
						  const struct patch_place &p, const float2 *sums,
						  uint32_t thread, uint32_t rank, uint32_t team)
{
	const uint32_t n = (team_shape<S>::pairs + team - 1) / team * 128;
	for (uint32_t at = thread; at < n; at += S::warpgroups * 128) {
		uint32_t i = at / 128 * team + rank;
		if (i >= team_shape<S>::pairs)
			break;
		float2 sum = sums[at];
#pragma unroll 5
		for (uint32_t s = 1; s < TILE_SEGMENTS; s++) {
			float2 more = sums[s * n + at];
			sum.x = sum.x + more.x;
			sum.y = sum.y + more.y;
		}
		store_pair<S>(l, p, at % 128, i, sum);
	}
}

template <class S>
static __device__ __forceinline__ void
consume_in_team(const struct tile_product_launch &l, unsigned char *shared, uint32_t crew, struct share share)
{
	typedef team_shape<S> T;
	struct consumer k = consumer_of<S>(shared, crew);
	struct patch_place p = place_of<S>(l, share.index);
	uint32_t n_units = l.part[p.part].w.n_units, rank = cluster_rank<0>(), team = cluster_size<0>(),
		 n = (T::pairs + team - 1) / team,
		 shift = team == 8   ? 3
			 : team == 4 ? 2
				     : 1,
		 first = share.first + crew * share.spread;
	float held[T::held][S::N / 2];
#pragma unroll
	for (uint32_t h = 0; h < T::held; h++)
		if (first + h * share.apart < TILE_SEGMENTS)
			segment<S>(&k, n_units, first + h * share.apart, held[h]);
	chain_wait();
	cluster_sync<0>(); /* nobody's rings are read any more */
#pragma unroll
	for (uint32_t h = 0; h < T::held; h++) {
		uint32_t s = first + h * share.apart;
#pragma unroll
		for (uint32_t i = 0; i < T::pairs && s < TILE_SEGMENTS; i++) {
			float2 *to =
				cluster_peer<0>(reinterpret_cast<float2 *>(shared), i & (team - 1), T::bytes);
			to[(s * n + (i >> shift)) * 128 + threadIdx.x % 128] = {held[h][2 * i],
										held[h][2 * i + 1]};
		}
	}
	cluster_sync<0>();
	team_store<S>(l, p, reinterpret_cast<const float2 *>(shared), crew * 128 + threadIdx.x % 128, rank,
		      team);
}

template <class S> static __device__ __forceinline__ void make_barriers(unsigned char *shared)
{
	for (uint32_t g = 0; g < S::KS; g++) {
		struct crew_memory m = crew_memory_of<S>(shared, g);
		for (uint32_t i = 0; i < S::b_stages; i++) {
			barrier_init(m.b_full + 8 * i, S::mins ? 33 : 1);
			barrier_init(m.b_empty + 8 * i, 4 * S::ROWS);
		}
		for (uint32_t i = 0; i < S::w_stages; i++) {
			barrier_init(m.w_full + 8 * i, 1);
			barrier_init(m.w_empty + 8 * i, 4 * S::ROWS);
		}
		barrier_init(baton_of<S>(shared, g), 128);
	}
	barrier_init_done();
}

template <class S>
__global__ void __launch_bounds__(S::threads, 1)
	product_kernel(const GRID_CONSTANT struct tile_product_launch l)
{
	SHARED(unsigned char, bytes);
	unsigned char *shared = bytes + (1024 - place_in_shared(bytes) % 1024) % 1024;
	uint32_t warp = warp_uniform(threadIdx.x / 32);
	chain_next();
	if (threadIdx.x == 0)
		make_barriers<S>(shared);
	__syncthreads();
	if (warp / 4 == S::warpgroups) {
		registers_down<S::producer_registers>();
		if (warp % 4 < S::KS && (S::mins || elected()))
			produce<S>(l, shared, S::KS == 1 ? 0 : warp % 4, share_of<S, 0>());
	} else {
		registers_up<S::consumer_registers>();
		consume<S>(l, shared, warp / 4);
	}
}

/* A cluster of l.team blocks a patch. */
template <class S>
__global__ void __launch_bounds__(S::threads, 1)
	team_product_kernel(const GRID_CONSTANT struct tile_product_launch l)
{
	SHARED(unsigned char, all_bytes);
	unsigned char *bytes = cluster_own<0>(all_bytes, team_shape<S>::bytes);
	unsigned char *shared = bytes + (1024 - place_in_shared(bytes) % 1024) % 1024;
	uint32_t thread = cluster_thread<0>(), warp = warp_uniform(thread / 32);
	chain_next();
	if (thread == 0)
		make_barriers<S>(shared);
	cluster_block_sync<0>();
	if (warp / 4 == S::warpgroups) {
		registers_down<S::producer_registers>();
		if (S::mins || elected())
			produce<S>(l, shared, warp % 4, share_of<S, 1>());
		__syncwarp();
		cluster_sync<0>();
		cluster_sync<0>();
	} else {
		registers_up<S::consumer_registers>();
		consume_in_team<S>(l, shared, warp / 4, share_of<S, 1>());
	}
}

/* The launch of one kernel. */
template <class S>
static cudaError_t run_shape(const struct tile_product_launch *l, uint32_t n_sms, cudaStream_t stream)
{
	void (*kernel)(const struct tile_product_launch) = product_kernel<S>;
	cudaError_t e = cudaFuncSetAttribute((const void *)kernel,
					     cudaFuncAttributeMaxDynamicSharedMemorySize, S::bytes);
	if (e)
		return e;
	return LAUNCH_CHAINED(1, kernel, dim3(l->n_patches < n_sms ? l->n_patches : n_sms), S::threads,
			      S::bytes, stream, *l);
}

template <class S> static cudaError_t run_teams(const struct tile_product_launch *l, cudaStream_t stream)
{
	void (*kernel)(const struct tile_product_launch) = team_product_kernel<S>;
	cudaError_t e = cudaFuncSetAttribute(
		(const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, team_shape<S>::bytes);
	if (e)
		return e;
	return LAUNCH_CHAINED(l->team, kernel, dim3(l->n_patches), S::threads, team_shape<S>::bytes, stream,
			      *l);
}

template <int FORMAT, int FULL, int N, int ROWS, int KS, int TEAM, int HAS>
static cudaError_t run_if(const struct tile_product_launch *l, uint32_t n_sms, cudaStream_t stream)
{
	typedef product_shape<FORMAT, FULL, N, ROWS, KS> S;
	if constexpr (HAS && TEAM > 1)
		return run_teams<S>(l, stream);
	else if constexpr (HAS)
		return run_shape<S>(l, n_sms, stream);
	return cudaErrorInvalidConfiguration;
}

/* The kernel of a format by mode and shape. F16 has no FULL of its own, F32 no HALF. */
template <int FORMAT>
static cudaError_t run_format(const struct tile_product_launch *l, uint32_t shape, uint32_t n_sms,
			      cudaStream_t stream)
{
	typedef cudaError_t run(const struct tile_product_launch *, uint32_t, cudaStream_t);
#define HALF_ROW(N, ROWS, KS, TEAM, HALF, FULL) \
	run_if<FORMAT, 0, N, ROWS, KS, TEAM, HALF && FORMAT != CUDA_F32>,
#define FULL_ROW(N, ROWS, KS, TEAM, HALF, FULL) \
	run_if<FORMAT, FORMAT != CUDA_F16, N, ROWS, KS, TEAM, FORMAT == CUDA_F16 ? HALF : FULL>,
	static run *const runs[2][20] = {{TILE_SHAPES(HALF_ROW)}, {TILE_SHAPES(FULL_ROW)}};
#undef HALF_ROW
#undef FULL_ROW
	return runs[l->planes == 2][shape](l, n_sms, stream);
}

#endif
