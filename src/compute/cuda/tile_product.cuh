/*
 * The kernel behind tile_product.h: weights in registers times activations in shared memory, by wgmma.
 *
 * A block computes tiles of ROWS * 64 rows of weights x N columns (of activations), one after another. Its last
 * warpgroup only brings data to shared memory, into two rings: boxes of N columns x 64 halves, and units of
 * weights. The others multiply: ROWS warpgroups side by side, or KS groups that take a tile's segments by turns
 * and add them up in order. Every output is the same chain of k16 products per segment in all
 * shapes, so all give the same bits.
 */
#ifndef COMPUTE_CUDA_TILE_PRODUCT_CUH
#define COMPUTE_CUDA_TILE_PRODUCT_CUH

#include "compute/cuda/frag.cuh"
#include "compute/cuda/hopper.cuh"
#include "compute/cuda/tile_product.h"

/* Shapes: X(N, ROWS, KS, HALF too, FULL too). Block formats in FULL keep three numbers a sum, so N is smaller. */
#define TILE_SHAPES(X)                                                                                       \
	X(8, 1, 4, 1, 1) X(16, 1, 4, 1, 1) X(32, 1, 4, 1, 1) X(64, 1, 4, 1, 1) X(64, 2, 1, 1, 1) X(96, 2, 1, 1, 1) \
	X(112, 2, 1, 0, 1) X(128, 2, 1, 1, 1) X(160, 2, 1, 1, 0) X(192, 2, 1, 1, 0)

/* What a kernel gets. Tiles are counted over all parts: the columns of one tile of rows, then the next rows. */
struct tile_product_launch {
	struct tensor_map x_map;
	struct tile_product_part part[TILE_PRODUCT_MATRICES];
	uint32_t row_tiles_end[TILE_PRODUCT_MATRICES]; /* of parts 0 .. i together */
	const float *sums;
	float *out;
	uint32_t planes, sum_pitch, out_pitch, n_columns, add;
	uint32_t column_tiles, n_tiles;
};

/* Runs a launch on the kernel of a format, mode and shape; one function per group of formats, each in a file of
 * its own, because they take long to compile. */
typedef cudaError_t tile_product_runner(const struct tile_product_launch *l, uint32_t format, uint32_t shape,
					uint32_t n_sms, cudaStream_t stream);
tile_product_runner tile_product_f16, tile_product_q8, tile_product_q4, tile_product_q5, tile_product_k4,
	tile_product_k5, tile_product_k6;

template <int FORMAT, int FULL, int N_, int ROWS_, int KS_> struct product_shape {
	enum {
		N = N_,
		ROWS = ROWS_,
		KS = KS_,
		format = FORMAT,
		full = FULL,
		both = FORMAT == CUDA_F16, /* modes */
		chain = !FULL || FORMAT == CUDA_F16, /* a segment is one chain of products */
		mins = !chain && frag_traits<FORMAT>::mins,
		groups = frag_traits<FORMAT>::groups,
		unit_bytes = frag_traits<FORMAT>::unit_bytes,
		unit_chunks = frag_traits<FORMAT>::chunks,
		/* a stage of weights: up to so many chunks of all rows; of activations: two chunks of N columns */
		w_chunks = unit_chunks > 1 ? unit_chunks : KS == 1 ? 2 : FORMAT == CUDA_F16 ? 4 : 8,
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
		w_stages = fit < 2 || (KS == 1 && w_per_b > 1) ? 2 : fit > 12 ? 12 : fit,
		b_fit = (room - w_stages * w_bytes) / (b_bytes + s_bytes),
		b_stages = b_fit > w_stages * w_per_b + 2 ? w_stages * w_per_b + 2 : b_fit,
		w_at = b_stages * b_bytes,
		s_at = w_at + w_stages * w_bytes,
		group_bytes = (s_at + b_stages * s_bytes + 1023) / 1024 * 1024,
		group_barriers = 2 * (w_stages + b_stages),
		total_at = KS * group_bytes,
		barriers_at = total_at + total_bytes,
		bytes = barriers_at + (KS * group_barriers + KS) * 8 + 1024,
		/* of a thread; together no more than the block starts with */
		start_registers = 65536 / threads / 8 * 8,
		producer_registers = KS == 1 ? 40 : 32,
		consumer_registers = KS == 1 ? 232 : 112,
	};
	static_assert(CUDA_SEGMENTS % KS == 0, "the last group has the last segment");
	static_assert(consumer_registers * warpgroups + producer_registers <= start_registers * (warpgroups + 1),
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

/* One group's part of shared memory. */
struct group_memory {
	unsigned char *b, *w, *s;
	uint64_t *b_full, *b_empty, *w_full, *w_empty;
};
template <class S>
static __device__ __forceinline__ struct group_memory group_memory_of(unsigned char *shared, uint32_t group)
{
	struct group_memory m;
	m.b = shared + group * S::group_bytes;
	m.w = m.b + S::w_at;
	m.s = m.b + S::s_at;
	m.b_full = reinterpret_cast<uint64_t *>(shared + S::barriers_at) + group * S::group_barriers;
	m.b_empty = m.b_full + S::b_stages;
	m.w_full = m.b_empty + S::b_stages;
	m.w_empty = m.w_full + S::w_stages;
	return m;
}

/* A tile of the launch. */
struct tile_place {
	uint32_t part, tile, column; /* matrix, its first tile of eight rows, first column */
};
template <class S>
static __device__ __forceinline__ struct tile_place place_of(const struct tile_product_launch &l, uint32_t index)
{
	uint32_t rows = index / l.column_tiles;
	struct tile_place p;
	p.column = index % l.column_tiles * S::N;
	p.part = (rows >= l.row_tiles_end[0] ? 1u : 0u) + (rows >= l.row_tiles_end[1] ? 1u : 0u);
	p.tile = (rows - (p.part ? l.row_tiles_end[p.part - 1] : 0)) * S::tiles;
	return p;
}

/* ---- the warp that brings data ---- */

template <class S>
static __device__ __forceinline__ void bring_sums(const struct tile_product_launch &l, const struct group_memory &m,
						  uint32_t stage, uint32_t column, uint32_t chunk, uint32_t lane)
{
	if (!S::mins)
		return;
	float *to = reinterpret_cast<float *>(m.s + stage * S::s_bytes);
	for (uint32_t i = lane; i < 2 * S::N; i += 32) {
		uint32_t c = column + i % S::N, k = chunk + i / S::N;
		if (c < l.n_columns && k < l.sum_pitch)
			copy_word(to + i, l.sums + (uint64_t)c * l.sum_pitch + k);
	}
	barrier_arrive_copied(&m.b_full[stage]);
}

template <class S>
static __device__ __forceinline__ void produce(const struct tile_product_launch &l, unsigned char *shared,
					       uint32_t group)
{
	uint32_t lane = threadIdx.x % 32;
	struct group_memory m = group_memory_of<S>(shared, group);
	struct ring b = {0, 1}, w = {0, 1};
	for (uint32_t index = blockIdx.x; index < l.n_tiles; index += gridDim.x) {
		struct tile_place p = place_of<S>(l, index);
		const struct tile_matrix *matrix = &l.part[p.part].w;
		uint32_t left = matrix->n_tiles - p.tile, n_tiles = left < S::tiles ? left : (uint32_t)S::tiles;
		for (uint32_t s = group; s < CUDA_SEGMENTS; s += S::KS) {
			uint32_t first = tile_segment(matrix->n_units, s), last = tile_segment(matrix->n_units, s + 1);
			const uint8_t *from = matrix->data + tile_offset(matrix, p.tile + lane, first, last, first);
			for (uint32_t u = first; u < last; u += S::w_units) {
				uint32_t n = last - u < S::w_units ? last - u : (uint32_t)S::w_units;
				barrier_wait(&m.w_empty[w.at], w.phase);
				__syncwarp(); /* or a slow lane would miss a phase */
				if (lane == 0)
					barrier_expect(&m.w_full[w.at], n_tiles * n * S::unit_bytes);
				if (lane < n_tiles)
					copy_bulk(m.w + w.at * S::w_bytes + lane * (S::w_units * S::unit_bytes),
						  from + (uint64_t)(u - first) * S::unit_bytes, n * S::unit_bytes,
						  &m.w_full[w.at]);
				ring_step<S::w_stages>(&w);
				for (uint32_t c = 0; c < n * S::unit_chunks; c += 2) {
					uint32_t chunk = u * S::unit_chunks + c;
					barrier_wait(&m.b_empty[b.at], b.phase);
					__syncwarp();
					if (lane == 0) {
						barrier_expect(&m.b_full[b.at], S::b_bytes);
						copy_box(m.b + b.at * S::b_bytes, &l.x_map, 32 * chunk, p.column,
							 &m.b_full[b.at]);
					}
					bring_sums<S>(l, m, b.at, p.column, chunk, lane);
					ring_step<S::b_stages>(&b);
				}
			}
		}
	}
}

/* ---- the warpgroups that multiply ---- */

/* Where a warp stands in its group's rings. */
struct consumer {
	struct group_memory m;
	struct ring b, w;
	uint32_t lane, tile; /* of the block's, the warp's first of two */
};

/* Operand A of two k16: chunk c of a stage of weights, of the warp's two tiles. */
template <class S, int FULL>
static __device__ __forceinline__ void load_pair(const struct consumer *k, uint32_t c, uint32_t a[8])
{
	const uint8_t *unit = k->m.w + k->w.at * S::w_bytes + k->tile * (S::w_units * S::unit_bytes) +
			      c / S::unit_chunks * S::unit_bytes;
	uint32_t r[4];
#pragma unroll
	for (int i = 0; i < 2; i++) {
		frag_load<S::format, FULL>(unit + i * S::w_units * S::unit_bytes, c % S::unit_chunks, k->lane, r);
		a[i] = r[0], a[2 + i] = r[1], a[4 + i] = r[2], a[6 + i] = r[3];
	}
}

template <class S> static __device__ __forceinline__ void wait_stage(const struct consumer *k, uint32_t c)
{
	if (c % S::w_chunks == 0)
		barrier_wait(&k->m.w_full[k->w.at], k->w.phase);
	barrier_wait(&k->m.b_full[k->b.at], k->b.phase);
}
static __device__ __forceinline__ void release(const struct consumer *k, uint64_t *empty)
{
	__syncwarp();
	if (k->lane == 0)
		barrier_arrive(empty);
}
/* After chunks c and c + 1 of n were loaded. */
template <class S> static __device__ __forceinline__ void release_weights(struct consumer *k, uint32_t c, uint32_t n)
{
	if ((c + 2) % S::w_chunks != 0 && c + 2 < n)
		return;
	release(k, &k->m.w_empty[k->w.at]);
	ring_step<S::w_stages>(&k->w);
}

/* Adds the two k16 of a chunk of weights a and activations b to acc. */
template <class S>
static __device__ __forceinline__ void chunk_chain(uint32_t (&a)[8], const unsigned char *b, float (&acc)[S::N / 2])
{
	wgmma_operand(a);
	wgmma_fence();
	wgmma<S::N>(acc, a, b, true);
	wgmma<S::N>(acc, a + 4, b + 32, true);
	wgmma_commit();
}

/* acc = the chain over a segment of n chunks. While one chunk's products run, the next chunk is decoded. (The compiler
 * keeps that order only if the products of a loop stand under no condition.) */
template <class S>
static __device__ __forceinline__ void segment_chain(struct consumer *k, uint32_t n, float (&acc)[S::N / 2])
{
	uint32_t a0[8], a1[8], c = 0;
	uint64_t *before = NULL;
#pragma unroll
	for (int i = 0; i < S::N / 2; i++)
		acc[i] = 0;
	for (; c + 1 < n; c += 2) {
		wait_stage<S>(k, c);
		const unsigned char *b = k->m.b + k->b.at * S::b_bytes;
		load_pair<S, 0>(k, c % S::w_chunks, a0);
		chunk_chain<S>(a0, b, acc);
		wgmma_wait<1>();
		if (before)
			release(k, before);
		load_pair<S, 0>(k, c % S::w_chunks + 1, a1);
		chunk_chain<S>(a1, b + 64, acc);
		wgmma_wait<1>();
		release_weights<S>(k, c, n);
		before = &k->m.b_empty[k->b.at];
		ring_step<S::b_stages>(&k->b);
	}
	wgmma_wait<0>();
	wgmma_settle<S::N>(acc);
	if (before)
		release(k, before);
	if (c < n) {
		wait_stage<S>(k, c);
		load_pair<S, 0>(k, c % S::w_chunks, a0);
		chunk_chain<S>(a0, k->m.b + k->b.at * S::b_bytes, acc);
		wgmma_wait<0>();
		wgmma_settle<S::N>(acc);
		release_weights<S>(k, c, n);
		release(k, &k->m.b_empty[k->b.at]);
		ring_step<S::b_stages>(&k->b);
	}
}

/* The two rows' scales of chunk c of a stage, and what the sums of activations are multiplied by. */
template <class S>
static __device__ __forceinline__ void load_scales(const struct consumer *k, uint32_t c, uint32_t group,
						   float scale[2], float add[2])
{
	const uint8_t *unit = k->m.w + k->w.at * S::w_bytes + k->tile * (S::w_units * S::unit_bytes) +
			      c / S::unit_chunks * S::unit_bytes;
#pragma unroll
	for (int i = 0; i < 2; i++)
		scale[i] = frag_scale<S::format>(unit + i * S::w_units * S::unit_bytes, c % S::unit_chunks,
						 k->lane / 4, group, &add[i]);
}

/* One chunk of a segment, half h of the stage: acc = scale * blk + acc for each group with a scale of its own. */
template <class S>
static __device__ __forceinline__ void chunk_blocks(const struct consumer *k, uint32_t c, uint32_t h,
						    float (&acc)[S::N / 2])
{
	uint32_t a[8], z[8];
	float blk[S::N / 2], scale[2], add[2];
	const unsigned char *b = k->m.b + k->b.at * S::b_bytes + 64 * h;
	load_pair<S, 1>(k, c, a);
#pragma unroll
	for (uint32_t group = 0; group < S::groups; group++) {
#pragma unroll
		for (int i = 0; i < 8; i++)
			z[i] = S::groups > 1 ? frag_in_group(a[i], k->lane % 4, group) : a[i];
		wgmma_settle<S::N>(blk);
		wgmma_fence();
		wgmma<S::N>(blk, z, b, false);
		wgmma<S::N>(blk, z + 4, b + 32, true);
		wgmma_commit();
		load_scales<S>(k, c, group, scale, add);
		wgmma_wait<0>();
		wgmma_settle<S::N>(blk);
#pragma unroll
		for (int i = 0; i < S::N / 2; i++)
			acc[i] = fmaf(scale[i / 2 % 2], blk[i], acc[i]);
	}
	if (!S::mins)
		return;
	const float *sums = reinterpret_cast<const float *>(k->m.s + k->b.at * S::s_bytes) + h * S::N +
			    2 * (k->lane % 4);
#pragma unroll
	for (int j = 0; j < S::N / 8; j++) {
		float2 s = *reinterpret_cast<const float2 *>(sums + 8 * j);
		acc[4 * j] = fmaf(add[0], s.x, acc[4 * j]);
		acc[4 * j + 1] = fmaf(add[0], s.y, acc[4 * j + 1]);
		acc[4 * j + 2] = fmaf(add[1], s.x, acc[4 * j + 2]);
		acc[4 * j + 3] = fmaf(add[1], s.y, acc[4 * j + 3]);
	}
}

/* acc = a segment of n chunks, block after block. */
template <class S>
static __device__ __forceinline__ void segment_blocks(struct consumer *k, uint32_t n, float (&acc)[S::N / 2])
{
#pragma unroll
	for (int i = 0; i < S::N / 2; i++)
		acc[i] = 0;
	for (uint32_t c = 0; c < n; c += 2) {
		wait_stage<S>(k, c);
		chunk_blocks<S>(k, c % S::w_chunks, 0, acc);
		if (c + 1 < n)
			chunk_blocks<S>(k, c % S::w_chunks + 1, 1, acc);
		release_weights<S>(k, c, n);
		release(k, &k->m.b_empty[k->b.at]);
		ring_step<S::b_stages>(&k->b);
	}
}

/* acc = segment s of a row of n_units; an empty one is what added changes nothing. */
template <class S>
static __device__ __forceinline__ void segment(struct consumer *k, uint32_t n_units, uint32_t s,
					       float (&acc)[S::N / 2])
{
	uint32_t n = (tile_segment(n_units, s + 1) - tile_segment(n_units, s)) * S::unit_chunks;
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

/* The warpgroup's results: total holds the sums of rows of the block's 64-row group, as wgmma laid them. */
template <class S>
static __device__ __forceinline__ void store(const struct tile_product_launch &l, const struct tile_place &p,
					     const struct consumer *k, float (&total)[S::N / 2])
{
	const struct tile_product_part *part = &l.part[p.part];
	bool pairs = S::both ? l.planes == 2 : S::full != 0;
	uint32_t t = k->lane % 4, n_tokens = l.n_columns / l.planes;
	uint32_t row = (p.tile + k->tile) * 8 + k->lane / 4;
#pragma unroll
	for (uint32_t h = 0; h < 2; h++, row += 8) {
		if (row >= part->w.rows)
			return;
		float bias = part->bias ? part->bias[row] : 0, y[S::N / 4];
		float *out = l.out + part->out_col + row;
#pragma unroll
		for (uint32_t i = 0; i < S::N / 4; i++) { /* column 8 (i / 2) + 2 t + i % 2 */
			y[i] = total[i / 2 * 4 + 2 * h + i % 2] +
			       (!pairs ? 0.0f : i % 2 ? 0.0f : total[i / 2 * 4 + 2 * h + 1]);
			if (part->bias)
				y[i] = y[i] + bias;
		}
		uint64_t token = p.column / l.planes;
		if (l.add) {
			float old[S::N / 4];
#pragma unroll
			for (uint32_t i = 0; i < S::N / 4; i++) {
				uint64_t at = token + (pairs ? 4 * (i / 2) + t : 8 * (i / 2) + 2 * t + i % 2);
				old[i] = at < n_tokens && !(pairs && i % 2) ? out[at * l.out_pitch] : 0;
			}
#pragma unroll
			for (uint32_t i = 0; i < S::N / 4; i++)
				y[i] = old[i] + y[i];
		}
#pragma unroll
		for (uint32_t i = 0; i < S::N / 4; i++) {
			uint64_t at = token + (pairs ? 4 * (i / 2) + t : 8 * (i / 2) + 2 * t + i % 2);
			if (at < n_tokens && !(pairs && i % 2))
				out[at * l.out_pitch] = y[i];
		}
	}
}

template <class S> static __device__ __forceinline__ uint64_t *turns_of(unsigned char *shared)
{
	return reinterpret_cast<uint64_t *>(shared + S::barriers_at) + S::KS * S::group_barriers;
}
/* Groups take the segments by turns and pass the sum so far on in shared memory, each thread to the same thread of
 * the next group. total: the sum up to this segment. phase: flips with every turn of the group. */
template <class S>
static __device__ __forceinline__ void pass_on(unsigned char *shared, uint32_t group, uint32_t s, uint32_t phase,
					       float (&total)[S::N / 2])
{
	uint64_t *turn = turns_of<S>(shared);
	float *passed = reinterpret_cast<float *>(shared + S::total_at) + threadIdx.x % 128;
	barrier_wait(&turn[group], group ? phase : phase ^ 1u);
#pragma unroll
	for (int i = 0; i < S::N / 2; i++) {
		if (s)
			total[i] = passed[128 * i] + total[i];
		if (s + 1 < CUDA_SEGMENTS)
			passed[128 * i] = total[i];
	}
	barrier_arrive(&turn[(group + 1) % S::KS]);
}

template <class S>
static __device__ __forceinline__ void consume(const struct tile_product_launch &l, unsigned char *shared,
					       uint32_t warpgroup)
{
	uint32_t group = warpgroup / S::ROWS, phase = 0;
	struct consumer k;
	k.m = group_memory_of<S>(shared, group);
	k.b = k.w = {0, 0};
	k.lane = threadIdx.x % 32;
	k.tile = warpgroup % S::ROWS * 8 + threadIdx.x % 128 / 32 * 2;
	for (uint32_t index = blockIdx.x; index < l.n_tiles; index += gridDim.x) {
		struct tile_place p = place_of<S>(l, index);
		uint32_t n_units = l.part[p.part].w.n_units;
		float total[S::N / 2];
		if (S::KS == 1) {
			float acc[S::N / 2];
#pragma unroll
			for (int i = 0; i < S::N / 2; i++)
				total[i] = -0.0f;
			for (uint32_t s = 0; s < CUDA_SEGMENTS; s++) {
				segment<S>(&k, n_units, s, acc);
#pragma unroll
				for (int i = 0; i < S::N / 2; i++)
					total[i] = total[i] + acc[i];
			}
		} else {
			for (uint32_t s = group; s < CUDA_SEGMENTS; s += S::KS, phase ^= 1u) {
				segment<S>(&k, n_units, s, total);
				pass_on<S>(shared, group, s, phase, total);
			}
			if (group + 1 < S::KS)
				continue;
		}
		store<S>(l, p, &k, total);
	}
}

template <class S>
__global__ void __launch_bounds__(S::threads, 1)
	product_kernel(const GRID_CONSTANT struct tile_product_launch l)
{
	SHARED(unsigned char, bytes);
	unsigned char *shared = bytes + (1024 - shared_offset(bytes) % 1024) % 1024;
	if (threadIdx.x == 0) {
		for (uint32_t g = 0; g < S::KS; g++) {
			struct group_memory m = group_memory_of<S>(shared, g);
			for (uint32_t i = 0; i < S::b_stages; i++) {
				barrier_init(&m.b_full[i], S::mins ? 33 : 1);
				barrier_init(&m.b_empty[i], 4 * S::ROWS);
			}
			for (uint32_t i = 0; i < S::w_stages; i++) {
				barrier_init(&m.w_full[i], 1);
				barrier_init(&m.w_empty[i], 4 * S::ROWS);
			}
			barrier_init(&turns_of<S>(shared)[g], 128);
		}
		barrier_init_done();
	}
	__syncthreads();
	uint32_t warpgroup = threadIdx.x / 128;
	if (warpgroup == S::warpgroups) {
		registers_down<S::producer_registers>();
		if (threadIdx.x % 128 / 32 < S::KS)
			produce<S>(l, shared, threadIdx.x % 128 / 32);
	} else {
		registers_up<S::consumer_registers>();
		consume<S>(l, shared, warpgroup);
	}
}

/* The launch of one kernel. */
template <class S> static cudaError_t run_shape(const struct tile_product_launch *l, uint32_t n_sms, cudaStream_t stream)
{
	void (*kernel)(const struct tile_product_launch) = product_kernel<S>;
	cudaError_t e = cudaFuncSetAttribute((const void *)kernel,
					     cudaFuncAttributeMaxDynamicSharedMemorySize, S::bytes);
	if (e)
		return e;
	LAUNCH(kernel, dim3(l->n_tiles < n_sms ? l->n_tiles : n_sms), dim3(S::threads), S::bytes, stream, *l);
	return cudaGetLastError();
}

template <int FORMAT, int FULL, int N, int ROWS, int KS, int HAS>
static cudaError_t run_if(const struct tile_product_launch *l, uint32_t n_sms, cudaStream_t stream)
{
	if constexpr (HAS)
		return run_shape<product_shape<FORMAT, FULL, N, ROWS, KS>>(l, n_sms, stream);
	return cudaErrorInvalidConfiguration;
}

/* The kernel of a format by mode and shape. F16 has no FULL of its own. */
template <int FORMAT>
static cudaError_t run_format(const struct tile_product_launch *l, uint32_t shape, uint32_t n_sms, cudaStream_t stream)
{
	typedef cudaError_t run(const struct tile_product_launch *, uint32_t, cudaStream_t);
#define HALF_ROW(N, ROWS, KS, HALF, FULL) run_if<FORMAT, 0, N, ROWS, KS, HALF>,
#define FULL_ROW(N, ROWS, KS, HALF, FULL) run_if<FORMAT, FORMAT != CUDA_F16, N, ROWS, KS, FORMAT == CUDA_F16 ? HALF : FULL>,
	static run *const runs[2][16] = {{TILE_SHAPES(HALF_ROW)}, {TILE_SHAPES(FULL_ROW)}};
#undef HALF_ROW
#undef FULL_ROW
	return runs[l->planes == 2][shape](l, n_sms, stream);
}

#endif
