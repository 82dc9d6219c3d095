/*
 * Attention over the paged KV memory. Positions are cut into splits of CUDA_ATTN_SPLIT, always from position
 * 0; each split is summed by itself, and the splits are added up in order. One warp does both, or many warps
 * do the first and one does the second: every bit is the same, so steps of few tokens spread over the device
 * and steps of many do not need memory for parts.
 */
#include "compute/cuda/plain/plain_cache.cuh"

namespace
{

enum { WARPS = 4, PER_LANE = CUDA_MAX_HEAD_DIM / 32 };

struct attention_shared {
	float q[WARPS][CUDA_MAX_HEAD_DIM];
};

/* A softmax under way: sum of exp(score - largest) and of that times the values; lane l holds columns l,
 * l + 32, ... */
struct part {
	float largest, sum, out[PER_LANE];
};

__device__ __forceinline__ float warp_max(float v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, bit));
	return v;
}

__device__ __forceinline__ float warp_sum(float v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v = v + __shfl_xor_sync(FULL_WARP, v, bit);
	return v;
}

/* q . k of the lane's position: even dimensions, then odd ones (head_dim is even). */
template <uint32_t TYPE>
__device__ __forceinline__ float dot(const float *q, const uint8_t *keys, uint32_t n_dim)
{
	uint32_t lane = threadIdx.x % 32;
	float even = 0, odd = 0;
	for (uint32_t first = 0; first < n_dim; first += CACHE_CHUNK) {
		uint32_t end = first + CACHE_CHUNK < n_dim ? first + CACHE_CHUNK : n_dim;
		float scale = cache_scale_at<TYPE>(keys, n_dim * CUDA_KV_BLOCK, first + lane);
		for (uint32_t d = first; d < end; d += 2) {
			even = fmaf(q[d], cache_number<TYPE>(keys, d * CUDA_KV_BLOCK + lane, scale), even);
			odd = fmaf(q[d + 1], cache_number<TYPE>(keys, (d + 1) * CUDA_KV_BLOCK + lane, scale), odd);
		}
	}
	return even + odd;
}

__device__ __forceinline__ float dot_of(uint32_t type, const float *q, const uint8_t *keys, uint32_t n_dim)
{
	if (type == CACHE_Q8_0)
		return dot<CACHE_Q8_0>(q, keys, n_dim);
	if (type == CACHE_F16)
		return dot<CACHE_F16>(q, keys, n_dim);
	if (type == CACHE_BF16)
		return dot<CACHE_BF16>(q, keys, n_dim);
	return dot<CACHE_F32>(q, keys, n_dim);
}

/* Adds the values of positions from .. n_valid - 1, each times the weight of the lane of its number. */
template <uint32_t TYPE>
__device__ __forceinline__ void add_values(const uint8_t *values, uint32_t n_dim, float weight, uint32_t from,
					   uint32_t n_valid, struct part *p)
{
	uint32_t lane = threadIdx.x % 32;
	for (uint32_t j = from; j < n_valid; j++) {
		float w = __shfl_sync(FULL_WARP, weight, (int)j);
#pragma unroll
		for (uint32_t i = 0; i < PER_LANE; i++)
			if (lane + 32 * i < n_dim) {
				float scale = cache_scale_at<TYPE>(values, n_dim * CUDA_KV_BLOCK,
								   i * CUDA_KV_BLOCK + j);
				p->out[i] = fmaf(w, cache_number<TYPE>(values, j * n_dim + lane + 32 * i, scale),
						 p->out[i]);
			}
	}
}

/* Takes positions from .. n_valid - 1 of one KV block into p. */
__device__ __forceinline__ void attend_block(const struct plain_attention_args *a, const float *q, float scale,
					     const uint8_t *keys, uint32_t from, uint32_t n_valid, struct part *p)
{
	uint32_t lane = threadIdx.x % 32, n_dim = a->kv.head_dim;
	const uint8_t *values = keys + a->kv.k_bytes;
	float score = -INFINITY;
	bool seen = lane >= from && lane < n_valid;
	if (seen) {
		score = dot_of(a->kv.k_type, q, keys, n_dim) * scale;
		if (a->soft_cap != 0)
			score = a->soft_cap * tanhf(score / a->soft_cap);
	}
	float largest = fmaxf(p->largest, warp_max(score));
	float rescale = expf(p->largest - largest), weight = seen ? expf(score - largest) : 0.0f;
	p->sum = fmaf(p->sum, rescale, warp_sum(weight));
	p->largest = largest;
#pragma unroll
	for (int i = 0; i < PER_LANE; i++)
		p->out[i] *= rescale;
	if (a->kv.v_type == CACHE_Q8_0)
		add_values<CACHE_Q8_0>(values, n_dim, weight, from, n_valid, p);
	else if (a->kv.v_type == CACHE_F16)
		add_values<CACHE_F16>(values, n_dim, weight, from, n_valid, p);
	else if (a->kv.v_type == CACHE_BF16)
		add_values<CACHE_BF16>(values, n_dim, weight, from, n_valid, p);
	else
		add_values<CACHE_F32>(values, n_dim, weight, from, n_valid, p);
}

__device__ __forceinline__ void clear(struct part *p)
{
	p->largest = -INFINITY;
	p->sum = 0;
#pragma unroll
	for (int i = 0; i < PER_LANE; i++)
		p->out[i] = 0;
}

/* The first position that a token sees. */
__device__ __forceinline__ uint32_t first_seen(const struct plain_attention_args *a, uint32_t pos)
{
	return a->window && pos >= a->window ? pos - a->window + 1 : 0;
}

__device__ __forceinline__ float score_scale(const struct plain_attention_args *a, uint32_t pos)
{
	if (!a->every)
		return a->scale;
	return a->scale * (1 + a->temperature * logf(1 + floorf((float)pos / (float)a->every)));
}

__device__ __forceinline__ void attend_split(const struct plain_attention_args *a, const struct cuda_token *token,
					     const float *q, uint32_t kv_head, uint32_t split, struct part *p)
{
	uint32_t end = (split + 1) * CUDA_ATTN_SPLIT, pos = split * CUDA_ATTN_SPLIT;
	uint32_t first = first_seen(a, token->pos), before = first / CUDA_KV_BLOCK * CUDA_KV_BLOCK;
	float scale = score_scale(a, token->pos);
	end = end < token->pos + 1 ? end : token->pos + 1;
	clear(p);
	for (pos = pos > before ? pos : before; pos < end; pos += CUDA_KV_BLOCK) {
		uint64_t block = a->kv.tables[token->table + pos / CUDA_KV_BLOCK];
		const uint8_t *keys = a->kv.layer + (block * a->kv.n_kv_heads + kv_head) * a->kv.kv_bytes;
		attend_block(a, q, scale, keys, first > pos ? first - pos : 0,
			     end - pos < CUDA_KV_BLOCK ? end - pos : CUDA_KV_BLOCK, p);
	}
}

/* total = total, then p */
__device__ __forceinline__ void add_part(struct part *total, const struct part *p)
{
	float largest = fmaxf(total->largest, p->largest);
	float before = expf(total->largest - largest), now = expf(p->largest - largest);
	total->largest = largest;
	total->sum = fmaf(total->sum, before, p->sum * now);
#pragma unroll
	for (int i = 0; i < PER_LANE; i++)
		total->out[i] = fmaf(total->out[i], before, p->out[i] * now);
}

__device__ __forceinline__ void write_out(const struct plain_attention_args *a, uint32_t t, uint32_t head,
					  const struct part *total)
{
	uint32_t lane = threadIdx.x % 32, n_dim = a->kv.head_dim;
	float *out = a->out + (uint64_t)t * a->pitch;
#pragma unroll
	for (uint32_t i = 0; i < PER_LANE; i++)
		if (lane + 32 * i < n_dim)
			out[head * n_dim + lane + 32 * i] = total->out[i] / total->sum;
	uint32_t column = a->kv.n_heads * n_dim + lane; /* what is left of the pitch */
	if (head == 0 && column < a->pitch)
		out[column] = 0;
}

__device__ __forceinline__ float *partial_of(const struct plain_attention_args *a, uint32_t index, uint32_t split)
{
	return a->partial + ((uint64_t)index * a->n_splits + split) * (2 + a->kv.head_dim);
}

/* A warp's query in shared memory. */
__device__ __forceinline__ const float *fetch_query(const struct plain_attention_args *a, uint32_t t, uint32_t head,
						    float *q)
{
	uint32_t n_dim = a->kv.head_dim;
	for (uint32_t d = threadIdx.x % 32; d < n_dim; d += 32)
		q[d] = a->q[(uint64_t)t * a->pitch + head * n_dim + d];
	__syncwarp();
	return q;
}

/* Warp (blockIdx.x, threadIdx.x / 32): one head of one token; all its splits, or with `partial` split
 * blockIdx.y. */
__global__ void attention_kernel(const struct plain_attention_args a)
{
	SHARED(struct attention_shared, s);
	uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, index = blockIdx.x * WARPS + warp;
	uint32_t t = index / a.kv.n_heads, head = index % a.kv.n_heads;
	if (t >= a.n_tokens)
		return;
	struct cuda_token token = a.tokens[t];
	uint32_t n_splits = token.pos / CUDA_ATTN_SPLIT + 1,
		 kv_head = head / (a.kv.n_heads / a.kv.n_kv_heads);
	uint32_t first_split = first_seen(&a, token.pos) / CUDA_ATTN_SPLIT;
	if (blockIdx.y >= n_splits || (a.partial && blockIdx.y < first_split))
		return;
	const float *q = fetch_query(&a, t, head, s->q[warp]);
	struct part p;
	if (a.partial) {
		attend_split(&a, &token, q, kv_head, blockIdx.y, &p);
		float *to = partial_of(&a, index, blockIdx.y);
		if (lane == 0) {
			to[0] = p.largest;
			to[1] = p.sum;
		}
#pragma unroll
		for (uint32_t i = 0; i < PER_LANE; i++)
			if (lane + 32 * i < a.kv.head_dim)
				to[2 + lane + 32 * i] = p.out[i];
		return;
	}
	struct part total;
	clear(&total);
	for (uint32_t split = first_split; split < n_splits; split++) {
		attend_split(&a, &token, q, kv_head, split, &p);
		add_part(&total, &p);
	}
	write_out(&a, t, head, &total);
}

/* Adds up what attention_kernel left in partial. */
__global__ void combine_kernel(const struct plain_attention_args a)
{
	uint32_t lane = threadIdx.x % 32, index = blockIdx.x * WARPS + threadIdx.x / 32;
	uint32_t t = index / a.kv.n_heads, head = index % a.kv.n_heads;
	if (t >= a.n_tokens)
		return;
	uint32_t pos = a.tokens[t].pos, n_splits = pos / CUDA_ATTN_SPLIT + 1;
	struct part total, p;
	clear(&total);
	for (uint32_t split = first_seen(&a, pos) / CUDA_ATTN_SPLIT; split < n_splits; split++) {
		const float *from = partial_of(&a, index, split);
		p.largest = from[0];
		p.sum = from[1];
#pragma unroll
		for (uint32_t i = 0; i < PER_LANE; i++)
			p.out[i] = lane + 32 * i < a.kv.head_dim ? from[2 + lane + 32 * i] : 0.0f;
		add_part(&total, &p);
	}
	write_out(&a, t, head, &total);
}

} // namespace

cudaError_t plain_attention(const struct plain_attention_args *a, cudaStream_t stream)
{
	dim3 grid((a->n_tokens * a->kv.n_heads + WARPS - 1) / WARPS, a->partial ? a->n_splits : 1);
	LAUNCH(attention_kernel, grid, dim3(WARPS * 32), sizeof(struct attention_shared), stream, *a);
	if (a->partial)
		LAUNCH(combine_kernel, dim3(grid.x), dim3(WARPS * 32), 0, stream, *a);
	return cudaGetLastError();
}
