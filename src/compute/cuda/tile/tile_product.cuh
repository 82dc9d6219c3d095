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

#include "compute/cuda/tile/tile_team.cuh"

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

/* ---- kernels and launches ---- */

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
