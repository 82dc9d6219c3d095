/* Of the kernel of tile_product.cuh: its shapes, what a launch gets, and how a block's shared memory is cut:
 * rings of stages and their barriers, for each crew. */
#ifndef COMPUTE_CUDA_TILE_SHAPE_CUH
#define COMPUTE_CUDA_TILE_SHAPE_CUH

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

/* Units of the stage of weights that starts at unit u of a segment's n_units. */
template <class S> static __device__ __forceinline__ uint32_t stage_units(uint32_t u, uint32_t n_units)
{
	return S::w_units == 1 || n_units - u > S::w_units ? (uint32_t)S::w_units : n_units - u;
}

#endif
