/* What stands between the products: RMSNorm and the residual, RoPE with the KV write, the gate of the
 * feed-forward part, and what is done to hidden states. */
#include "compute/cuda/plain/plain_cache.cuh"
#include "model/spec.h"

namespace
{

enum { NORM_THREADS = 256, THREADS = 128 };

struct norm_shared {
	float sums[NORM_THREADS / 32];
};

/* 1 / sqrt(mean of squares + eps) of a row. Thread t squares columns t, t + 256, ...; lanes are added in a
 * tree, then warps in order. */
__device__ __forceinline__ float norm_scale(const struct plain_norm_args *a, const float *x, struct norm_shared *s)
{
	uint32_t t = threadIdx.x;
	float sum = 0;
	for (uint32_t i = t; i < a->cols; i += NORM_THREADS)
		sum = fmaf(x[i], x[i], sum);
	for (int bit = 16; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, bit);
	if (t % 32 == 0)
		s->sums[t / 32] = sum;
	__syncthreads();
	sum = s->sums[0];
	for (int w = 1; w < NORM_THREADS / 32; w++)
		sum = sum + s->sums[w];
	return 1.0f / sqrtf(sum / (float)a->cols + a->eps);
}

/* A block a row, or a group of one. A thread writes the columns that it alone reads after the sum. */
__global__ void norm_kernel(const struct plain_norm_args a)
{
	SHARED(struct norm_shared, s);
	uint32_t end = a.groups ? a.cols : a.pitch;
	const float *x = a.x + (uint64_t)(a.rows ? a.rows[blockIdx.x] : blockIdx.x) * a.pitch + blockIdx.y * a.cols;
	float *out = a.out + (uint64_t)blockIdx.x * a.pitch + blockIdx.y * a.cols;
	float scale = a.weight ? norm_scale(&a, x, s) : 1.0f;
	for (uint32_t i = threadIdx.x; i < end; i += NORM_THREADS) {
		float y = i < a.cols ? x[i] : 0.0f;
		if (a.weight && i < a.cols)
			y = y * scale * a.weight[i];
		out[i] = a.add ? out[i] + y * a.scale : y;
	}
}

/* Pair i of a head, turned if it is one that RoPE turns; *a and *b are its columns. */
__device__ __forceinline__ void turn(const struct plain_rope_args *r, const float *head, uint32_t i, uint32_t pos,
				     uint32_t *a, uint32_t *b, float *x, float *y)
{
	bool adjacent = !r->neox || 2 * i >= r->n_dims;
	*a = adjacent ? 2 * i : i;
	*b = adjacent ? 2 * i + 1 : i + r->n_dims / 2;
	float p = head[*a], q = head[*b];
	*x = p;
	*y = q;
	if (2 * i >= r->n_dims)
		return;
	float angle = (float)pos * r->frequency[i], c = cosf(angle) * r->factor, s = sinf(angle) * r->factor;
	*x = p * c - q * s;
	*y = q * c + p * s;
}

/* Column d of a head, turned. */
__device__ __forceinline__ float turned_column(const struct plain_rope_args *r, const float *head, uint32_t d,
					       uint32_t pos)
{
	uint32_t half = r->n_dims / 2, a, b;
	bool adjacent = !r->neox || d >= r->n_dims;
	float x, y;
	turn(r, head, adjacent ? d / 2 : d % half, pos, &a, &b, &x, &y);
	return d == a ? x : y;
}

/* Keys of a token as chunks of q8_0, a warp each. memory: of its KV block; slot: its position there. */
__device__ __forceinline__ void put_key_chunks(const struct plain_rope_args *r, const float *k, uint32_t pos,
					       uint8_t *memory, uint32_t slot)
{
	uint32_t n_dim = r->kv.head_dim, n = cache_chunks(n_dim), lane = threadIdx.x % 32;
	for (uint32_t i = threadIdx.x / 32; i < r->kv.n_kv_heads * n; i += THREADS / 32) {
		uint32_t h = i / n, first = i % n * CACHE_CHUNK, d = first + lane;
		float x = d < n_dim ? turned_column(r, k + h * n_dim, d, pos) : 0.0f;
		cache_put_chunk(memory + (uint64_t)h * r->kv.kv_bytes, d * CUDA_KV_BLOCK + slot,
				n_dim * CUDA_KV_BLOCK, first + slot, x, d < n_dim);
	}
}

/* The same of values. */
__device__ __forceinline__ void put_value_chunks(const struct plain_rope_args *r, const float *v,
						 uint8_t *memory, uint32_t slot)
{
	uint32_t n_dim = r->kv.head_dim, n = cache_chunks(n_dim), lane = threadIdx.x % 32;
	for (uint32_t i = threadIdx.x / 32; i < r->kv.n_kv_heads * n; i += THREADS / 32) {
		uint32_t h = i / n, first = i % n * CACHE_CHUNK, d = first + lane;
		float x = d < n_dim ? v[h * n_dim + d] : 0.0f;
		cache_put_chunk(memory + (uint64_t)h * r->kv.kv_bytes + r->kv.k_bytes, slot * n_dim + d,
				n_dim * CUDA_KV_BLOCK, first + slot, x, d < n_dim);
	}
}

/* A block a token. Every pair is read and written by one thread. */
__global__ void rope_kv_kernel(const struct plain_rope_args r)
{
	uint32_t half = r.kv.head_dim / 2, n_dim = r.kv.head_dim;
	struct cuda_token token = r.tokens[blockIdx.x];
	float *q = r.q + (uint64_t)blockIdx.x * r.q_pitch;
	const float *k = r.k + (uint64_t)blockIdx.x * r.kv_pitch,
		    *v = r.v + (uint64_t)blockIdx.x * r.kv_pitch;
	uint64_t block = r.kv.tables[token.table + token.pos / CUDA_KV_BLOCK];
	uint32_t slot = token.pos % CUDA_KV_BLOCK, a, b;
	float x, y;
	for (uint32_t i = threadIdx.x; i < r.kv.n_heads * half; i += blockDim.x) {
		float *head = q + i / half * n_dim;
		turn(&r, head, i % half, token.pos, &a, &b, &x, &y);
		head[a] = x;
		head[b] = y;
	}
	uint8_t *memory = r.kv.layer + block * r.kv.n_kv_heads * r.kv.kv_bytes;
	if (r.kv.k_type == CACHE_Q8_0)
		put_key_chunks(&r, k, token.pos, memory, slot);
	if (r.kv.v_type == CACHE_Q8_0)
		put_value_chunks(&r, v, memory, slot);
	for (uint32_t i = threadIdx.x; i < r.kv.n_kv_heads * half && r.kv.k_type != CACHE_Q8_0; i += blockDim.x) {
		uint32_t h = i / half;
		uint8_t *keys = memory + (uint64_t)h * r.kv.kv_bytes;
		turn(&r, k + h * n_dim, i % half, token.pos, &a, &b, &x, &y);
		cache_put(r.kv.k_type, keys, a * CUDA_KV_BLOCK + slot, x);
		cache_put(r.kv.k_type, keys, b * CUDA_KV_BLOCK + slot, y);
	}
	for (uint32_t i = threadIdx.x; i < r.kv.n_kv_heads * n_dim && r.kv.v_type != CACHE_Q8_0; i += blockDim.x) {
		uint32_t h = i / n_dim;
		cache_put(r.kv.v_type, memory + (uint64_t)h * r.kv.kv_bytes + r.kv.k_bytes,
			  slot * n_dim + i % n_dim, v[i]);
	}
}

__device__ __forceinline__ float activate(uint32_t act, float x)
{
	if (act == ACT_GELU_TANH) /* sqrt(2 / pi) */
		return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
	if (act == ACT_GELU) /* 1 / sqrt(2) */
		return 0.5f * x * (1.0f + erff(x * 0.70710678f));
	return x / (1.0f + expf(-x));
}

__global__ void gate_kernel(const struct plain_gate_args a)
{
	uint64_t row = (uint64_t)blockIdx.y * a.pitch;
	uint32_t i = blockIdx.x * THREADS + threadIdx.x;
	if (i >= a.pitch)
		return;
	float y = 0;
	if (i < a.cols)
		y = a.ungated ? activate(a.act, a.up[row + i]) : activate(a.act, a.gate[row + i]) * a.up[row + i];
	a.gate[row + i] = y;
}

/* A thread a column. */
__global__ void pool_kernel(const struct plain_pool_args a)
{
	uint32_t i = blockIdx.x * THREADS + threadIdx.x;
	if (i >= a.cols)
		return;
	float sum = a.begins ? 0.0f : a.sum[i];
	for (uint32_t t = 0; t < a.n; t++)
		sum = sum + a.states[(uint64_t)t * a.pitch + i];
	a.sum[i] = a.divisor ? sum / (float)a.divisor : sum;
}

} // namespace

cudaError_t plain_norm(const struct plain_norm_args *a, cudaStream_t stream)
{
	LAUNCH(norm_kernel, dim3(a->n, a->groups ? a->groups : 1), dim3(NORM_THREADS), sizeof(struct norm_shared), stream, *a);
	return cudaGetLastError();
}

cudaError_t plain_rope_kv(const struct plain_rope_args *a, cudaStream_t stream)
{
	LAUNCH(rope_kv_kernel, dim3(a->n_tokens), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}

cudaError_t plain_gate(const struct plain_gate_args *a, cudaStream_t stream)
{
	LAUNCH(gate_kernel, dim3((a->pitch + THREADS - 1) / THREADS, a->n_tokens), dim3(THREADS), 0, stream,
	       *a);
	return cudaGetLastError();
}

cudaError_t plain_pool(const struct plain_pool_args *a, cudaStream_t stream)
{
	LAUNCH(pool_kernel, dim3((a->cols + THREADS - 1) / THREADS), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}
