/* Attention of the tile path without windows and soft caps, and the adding up of splits. */
#include "compute/cuda/tile/tile_attention.cuh"

namespace
{

/* ---- splits by themselves ---- */

enum { AT_ONCE = 1024, COMBINE_AHEAD = 16 /* loads under way */ };

struct combine_shared {
	float before[AT_ONCE], now[AT_ONCE], sum[AT_ONCE]; /* of each split */
	float out[TILE_MAX_HEAD_DIM + 32];
};

/* By a warp: what each split of those at once, and all before it, are multiplied by. *largest: of those
 * before the batch, then with it. now: the splits' largest scores. */
__device__ __forceinline__ void weigh_batch(struct combine_shared *s, uint32_t n, float *largest)
{
	uint32_t lane = threadIdx.x;
	for (uint32_t first = 0; first < n; first += 32) {
		float own = first + lane < n ? s->now[first + lane] : -INFINITY, top = own;
#pragma unroll
		for (uint32_t step = 1; step < 32; step *= 2) {
			float lower = __shfl_up_sync(FULL_WARP, top, step);
			top = lane >= step ? fmaxf(lower, top) : top;
		}
		top = fmaxf(*largest, top);
		float before = __shfl_up_sync(FULL_WARP, top, 1);
		before = lane ? before : *largest;
		if (first + lane < n) {
			s->before[first + lane] = expf(before - top);
			s->now[first + lane] = expf(own - top);
		}
		*largest = __shfl_sync(FULL_WARP, top, 31);
	}
}

/* Block (head, token): thread d adds up dimension d of its splits, thread hd the sums. */
__global__ void tile_combine_kernel(const struct tile_attention_args a)
{
	SHARED(struct combine_shared, s);
	uint32_t head = blockIdx.x, token = blockIdx.y, t = threadIdx.x, hd = blockDim.x - 32,
		 stride = 2 + hd;
	uint32_t n_seen = a.tokens[token].pos + 1, from = first_seen(&a, n_seen) / CUDA_ATTN_SPLIT;
	uint32_t n_splits = (n_seen - 1) / CUDA_ATTN_SPLIT + 1 - from;
	const float *parts = part_at(&a, token, head, from, hd);
	chain_next();
	chain_wait();
	float sum = 0, largest = -INFINITY;
	for (uint32_t first = 0; first < n_splits; first += AT_ONCE, parts += (uint64_t)AT_ONCE * stride) {
		uint32_t n = least(n_splits - first, AT_ONCE);
		for (uint32_t i = t; i < n; i += blockDim.x) {
			float2 ml = *reinterpret_cast<const float2 *>(parts + (uint64_t)i * stride);
			s->now[i] = ml.x;
			s->sum[i] = ml.y;
		}
		__syncthreads();
		if (t < 32)
			weigh_batch(s, n, &largest);
		__syncthreads();
		for (uint32_t i = 0; i < n && t <= hd; i += COMBINE_AHEAD) {
			float part[COMBINE_AHEAD];
#pragma unroll
			for (uint32_t k = 0; k < COMBINE_AHEAD; k++)
				if (i + k < n)
					part[k] = t < hd ? parts[(uint64_t)(i + k) * stride + 2 + t]
							 : s->sum[i + k];
#pragma unroll
			for (uint32_t k = 0; k < COMBINE_AHEAD; k++)
				if (i + k < n)
					sum = attend_merge(sum, s->before[i + k], part[k], s->now[i + k]);
		}
		__syncthreads();
	}
	s->out[t] = sum;
	__syncthreads();
	if (t >= 32)
		return;
	float v[8] = {};
#pragma unroll
	for (uint32_t i = 0; i < 8; i++)
		if (t / 4 < hd / TILE_CHUNK)
			v[i] = attend_finish(s->out[t / 4 * TILE_CHUNK + 8 * (i / 2) + 2 * (t % 4) + i % 2],
					     s->out[hd]);
	put_chunk(&a, token, head, t / 4, t / 4 < hd / TILE_CHUNK, v);
}

/* The sums of chunks that no warp holds whole: where heads are no multiple of 32. A thread a chunk of a row.
 */
__global__ void tile_sums_kernel(const struct tile_activations a)
{
	uint32_t chunk = blockIdx.y * blockDim.x + threadIdx.x, n = a.pitch / TILE_CHUNK;
	chain_next();
	chain_wait();
	if (chunk >= n)
		return;
	const uint16_t *slots = a.halves + (uint64_t)blockIdx.x * a.pitch + chunk * TILE_CHUNK;
	float sum = half_bits_to_float(slots[0]);
	for (uint32_t p = 1; p < TILE_CHUNK; p++)
		sum = sum + half_bits_to_float(slots[p]);
	a.sums[(uint64_t)blockIdx.x * n + chunk] = sum;
}

cudaError_t launch_combine(const struct tile_attention_args *a, cudaStream_t stream)
{
	return LAUNCH_CHAINED(1, tile_combine_kernel, dim3(a->kv.n_heads, a->n_tokens),
			      tile_hd(a->kv.head_dim) + 32, sizeof(struct combine_shared), stream, *a);
}

cudaError_t launch_sums(const struct tile_attention_args *a, cudaStream_t stream)
{
	uint32_t n = a->out.pitch / TILE_CHUNK, threads = least(n, 128);
	return LAUNCH_CHAINED(1, tile_sums_kernel,
			      dim3(a->kv.planes * a->n_tokens, (n + threads - 1) / threads), threads, 0,
			      stream, a->out);
}

} // namespace

static cudaError_t attend(const struct tile_attention_args *a, cudaStream_t stream)
{
	static const struct head_launch shapes[] = {{64, {launch_shape<2, 1, 0>, launch_shape<2, 2, 0>}},
						    {128, {launch_shape<4, 1, 0>, launch_shape<4, 2, 0>}}};
	if (a->kv.q8_0)
		return tile_attention_q8_0(a, stream);
	if (!a->window && a->soft_cap == 0)
		for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
			if (tile_hd(a->kv.head_dim) == shapes[i].hd)
				return shapes[i].of_planes[a->kv.planes - 1](a, stream);
	return tile_attention_bent(a, stream);
}

cudaError_t tile_attention(const struct tile_attention_args *a, cudaStream_t stream)
{
	struct tile_attention_args args = *a;
	if (a->plan.n_wide || a->plan.n_narrow * a->kv.n_kv_heads >= ENOUGH_TEAMS ||
	    a->plan.n_splits <= FEW_SPLITS)
		args.partial = NULL;
	cudaError_t e = attend(&args, stream);
	if (!e && args.partial)
		e = launch_combine(&args, stream);
	if (!e && a->out.sums && a->kv.head_dim % TILE_CHUNK)
		e = launch_sums(&args, stream);
	return e;
}
