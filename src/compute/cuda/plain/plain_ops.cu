/* What stands between the products: RMSNorm, RoPE with the KV write, and the gate of the feed-forward part.
 */
#include "compute/cuda/plain/plain_kernels.h"
#include "compute/cuda/ptx.cuh"

namespace
{

enum { NORM_THREADS = 256, THREADS = 128 };

struct norm_shared {
	float sums[NORM_THREADS / 32];
};

/* A block a row. Thread t squares columns t, t + 256, ...; lanes are added in a tree, then warps in order. */
__global__ void norm_kernel(const struct plain_norm_args a)
{
	SHARED(struct norm_shared, s);
	uint32_t t = threadIdx.x;
	const float *x = a.x + (uint64_t)(a.rows ? a.rows[blockIdx.x] : blockIdx.x) * a.pitch;
	float *out = a.out + (uint64_t)blockIdx.x * a.pitch;
	float sum = 0;
	for (uint32_t i = t; i < a.cols; i += NORM_THREADS)
		sum = fmaf(x[i], x[i], sum);
	for (int bit = 16; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, bit);
	if (t % 32 == 0)
		s->sums[t / 32] = sum;
	__syncthreads();
	sum = s->sums[0];
	for (int w = 1; w < NORM_THREADS / 32; w++)
		sum = sum + s->sums[w];
	float scale = 1.0f / sqrtf(sum / (float)a.cols + a.eps);
	for (uint32_t i = t; i < a.pitch; i += NORM_THREADS)
		out[i] = i < a.cols ? x[i] * scale * a.weight[i] : 0.0f;
}

/* The turned pair i of a head; *a and *b are its columns. */
__device__ __forceinline__ void turn(const struct plain_rope_args *r, const float *head, uint32_t i, uint32_t pos,
				     uint32_t *a, uint32_t *b, float *x, float *y)
{
	float angle = (float)pos * r->frequency[i], c = cosf(angle), s = sinf(angle);
	*a = r->neox ? i : 2 * i;
	*b = r->neox ? i + r->kv.head_dim / 2 : 2 * i + 1;
	float p = head[*a], q = head[*b];
	*x = p * c - q * s;
	*y = q * c + p * s;
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
	for (uint32_t i = threadIdx.x; i < r.kv.n_kv_heads * half; i += blockDim.x) {
		uint32_t h = i / half;
		float *keys = r.kv.layer + (block * r.kv.n_kv_heads + h) * 2 * CUDA_KV_BLOCK * n_dim;
		float *values = keys + (uint64_t)CUDA_KV_BLOCK * n_dim + (uint64_t)slot * n_dim;
		turn(&r, k + h * n_dim, i % half, token.pos, &a, &b, &x, &y);
		keys[a * CUDA_KV_BLOCK + slot] = x;
		keys[b * CUDA_KV_BLOCK + slot] = y;
		values[a] = v[h * n_dim + a];
		values[b] = v[h * n_dim + b];
	}
}

__global__ void silu_kernel(const struct plain_silu_args a)
{
	uint64_t row = (uint64_t)blockIdx.y * a.pitch;
	uint32_t i = blockIdx.x * THREADS + threadIdx.x;
	if (i >= a.pitch)
		return;
	float g = i < a.cols ? a.gate[row + i] : 0.0f;
	a.gate[row + i] = i < a.cols ? g / (1.0f + expf(-g)) * a.up[row + i] : 0.0f;
}

} // namespace

cudaError_t plain_norm(const struct plain_norm_args *a, cudaStream_t stream)
{
	LAUNCH(norm_kernel, dim3(a->n), dim3(NORM_THREADS), sizeof(struct norm_shared), stream, *a);
	return cudaGetLastError();
}

cudaError_t plain_rope_kv(const struct plain_rope_args *a, cudaStream_t stream)
{
	LAUNCH(rope_kv_kernel, dim3(a->n_tokens), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}

cudaError_t plain_silu_mul(const struct plain_silu_args *a, cudaStream_t stream)
{
	LAUNCH(silu_kernel, dim3((a->pitch + THREADS - 1) / THREADS, a->n_tokens), dim3(THREADS), 0, stream,
	       *a);
	return cudaGetLastError();
}
