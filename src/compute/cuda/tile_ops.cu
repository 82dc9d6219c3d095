/* What stands between the products of the tile path: RMSNorm, RoPE with the KV write, and the gate of the
 * feed-forward part. The arithmetic is that of ops.cu; results are halves (tile_kernels.h). */
#include "compute/cuda/a16.cuh"

namespace
{

enum { NORM_THREADS = 256, ROPE_THREADS = 256, SILU_THREADS = 128 };

struct norm_shared {
	float sums[NORM_THREADS / 32];
};

/* The sum of a row's squares: thread t takes groups t, t + 256, ... of four columns; lanes are added in a tree,
 * then warps in order. */
__device__ __forceinline__ float sum_squares(const float *x, uint32_t cols, struct norm_shared *s)
{
	uint32_t t = threadIdx.x;
	float sum = 0;
	for (uint32_t c = 4 * t; c < cols; c += 4 * NORM_THREADS) {
		float4 v = *reinterpret_cast<const float4 *>(x + c);
		v.y = c + 1 < cols ? v.y : 0.0f;
		v.z = c + 2 < cols ? v.z : 0.0f;
		v.w = c + 3 < cols ? v.w : 0.0f;
		sum = fmaf(v.x, v.x, sum), sum = fmaf(v.y, v.y, sum);
		sum = fmaf(v.z, v.z, sum), sum = fmaf(v.w, v.w, sum);
	}
	for (int bit = 16; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, bit);
	if (t % 32 == 0)
		s->sums[t / 32] = sum;
	__syncthreads();
	sum = s->sums[0];
	for (int w = 1; w < NORM_THREADS / 32; w++)
		sum = sum + s->sums[w];
	return sum;
}

/* A block a row; four lanes a chunk. */
__global__ void tile_norm_kernel(const struct tile_norm_args a)
{
	SHARED(struct norm_shared, s);
	const float *x = a.x + (uint64_t)(a.rows ? a.rows[blockIdx.x] : blockIdx.x) * a.x_pitch;
	uint32_t cols = a.out.cols, n_units = a.out.pitch / 8, lane = threadIdx.x % 32;
	float scale = 1.0f / sqrtf(sum_squares(x, cols, s) / (float)cols + a.eps);
	for (uint32_t u = threadIdx.x; u - lane < n_units; u += NORM_THREADS) {
		float v[8];
#pragma unroll
		for (uint32_t i = 0; i < 4; i++) {
			uint32_t c = u / 4 * TILE_CHUNK + 8 * i + 2 * (u % 4);
			v[2 * i] = v[2 * i + 1] = 0;
			if (c + 1 < cols) {
				float2 p = *reinterpret_cast<const float2 *>(x + c);
				float2 w = *reinterpret_cast<const float2 *>(a.weight + c);
				v[2 * i] = p.x * scale * w.x;
				v[2 * i + 1] = p.y * scale * w.y;
			} else if (c < cols) {
				v[2 * i] = x[c] * scale * a.weight[c];
			}
		}
		a16_put(&a.out, blockIdx.x, u / 4, u < n_units, v);
	}
}

/* Columns c and c + 1 of the gate and the part above it. */
__device__ __forceinline__ void fetch_gate(const struct tile_silu_args *a, const float *gate, const float *up,
					   uint32_t c, bool pairs, float2 *g, float2 *u)
{
	if (pairs) {
		*g = *reinterpret_cast<const float2 *>(gate + c);
		*u = *reinterpret_cast<const float2 *>(up + c);
		return;
	}
	bool second = c + 1 < a->out.cols;
	g->x = gate[c * a->step], g->y = second ? gate[(c + 1) * a->step] : 0.0f;
	u->x = up[c * a->step], u->y = second ? up[(c + 1) * a->step] : 0.0f;
}

/* Four lanes a chunk of one token. */
__global__ void tile_silu_kernel(const struct tile_silu_args a)
{
	uint32_t unit = blockIdx.x * SILU_THREADS + threadIdx.x, n_units = a.out.pitch / 8, cols = a.out.cols;
	const float *gate = a.gate + (uint64_t)blockIdx.y * a.pitch, *up = a.up + (uint64_t)blockIdx.y * a.pitch;
	bool pairs = a.step == 1 && ((uintptr_t)gate | (uintptr_t)up) % sizeof(float2) == 0 && cols % 2 == 0;
	if (unit - threadIdx.x % 32 >= n_units)
		return;
	float v[8];
#pragma unroll
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t c = unit / 4 * TILE_CHUNK + 8 * i + 2 * (unit % 4);
		v[2 * i] = v[2 * i + 1] = 0;
		if (c < cols) {
			float2 g, u;
			fetch_gate(&a, gate, up, c, pairs, &g, &u);
			v[2 * i] = g.x / (1.0f + expf(-g.x)) * u.x;
			v[2 * i + 1] = c + 1 < cols ? g.y / (1.0f + expf(-g.y)) * u.y : 0.0f;
		}
	}
	a16_put(&a.out, blockIdx.y, unit / 4, unit < n_units, v);
}

/* Cosine and sine of a token's angles. */
struct rope_shared {
	float c[TILE_MAX_HEAD_DIM / 2], s[TILE_MAX_HEAD_DIM / 2];
};

/* Dimension d of a turned head. */
__device__ __forceinline__ float turned(const struct tile_rope_args *r, const struct rope_shared *s, const float *head,
					uint32_t d)
{
	uint32_t half = r->kv.head_dim / 2, i = r->neox ? (d < half ? d : d - half) : d / 2;
	uint32_t a = r->neox ? i : 2 * i, b = r->neox ? i + half : 2 * i + 1;
	float p = head[a], q = head[b];
	return d == a ? p * s->c[i] - q * s->s[i] : q * s->c[i] + p * s->s[i];
}

/* Dimensions d and d + 1 (d even) of a turned head as a word of each plane, `stride` halves apart. */
__device__ __forceinline__ void put_turned(const struct tile_rope_args *r, const struct rope_shared *s, const float *head,
					   uint32_t d, uint16_t *to, uint64_t stride)
{
	float x = 0, y = 0;
	if (d < r->kv.head_dim) {
		x = turned(r, s, head, d);
		y = turned(r, s, head, d + 1);
	}
	uint32_t high = a16_high(x, y);
	*reinterpret_cast<uint32_t *>(to + d) = high;
	if (r->kv.planes == 2)
		*reinterpret_cast<uint32_t *>(to + stride + d) = a16_low(x, y, high);
}

/* A block a token. */
__global__ void tile_rope_kv_kernel(const struct tile_rope_args r)
{
	SHARED(struct rope_shared, s);
	uint32_t n_dim = r.kv.head_dim, hd = (n_dim + TILE_CHUNK - 1) / TILE_CHUNK * TILE_CHUNK, planes = r.kv.planes;
	struct cuda_token token = r.tokens[blockIdx.x];
	for (uint32_t i = threadIdx.x; i < n_dim / 2; i += ROPE_THREADS) {
		float angle = (float)token.pos * r.frequency[i];
		s->c[i] = cosf(angle);
		s->s[i] = sinf(angle);
	}
	__syncthreads();
	const float *q = r.q + (uint64_t)blockIdx.x * r.pitch, *k = r.k + (uint64_t)blockIdx.x * r.pitch,
		    *v = r.v + (uint64_t)blockIdx.x * r.pitch;
	uint16_t *out = r.out + (uint64_t)blockIdx.x * r.kv.n_heads * planes * hd;
	for (uint32_t i = threadIdx.x; i < r.kv.n_heads * hd / 2; i += ROPE_THREADS) {
		uint32_t h = i / (hd / 2), d = 2 * (i % (hd / 2));
		put_turned(&r, s, q + h * n_dim, d, out + h * planes * hd, hd);
	}
	uint64_t block = r.kv.tables[token.table + token.pos / CUDA_KV_BLOCK], plane = CUDA_KV_BLOCK * hd;
	uint16_t *memory = r.kv.layer + block * r.kv.n_kv_heads * planes * 2 * plane;
	uint32_t slot = token.pos % CUDA_KV_BLOCK;
	for (uint32_t i = threadIdx.x; i < r.kv.n_kv_heads * hd / 2; i += ROPE_THREADS) {
		uint32_t h = i / (hd / 2), d = 2 * (i % (hd / 2));
		put_turned(&r, s, k + h * n_dim, d, memory + h * planes * 2 * plane + slot * hd, plane);
	}
	for (uint32_t i = threadIdx.x; i < r.kv.n_kv_heads * n_dim; i += ROPE_THREADS) {
		uint32_t h = i / n_dim, d = i % n_dim;
		uint16_t *to = memory + (h * 2 + 1) * planes * plane + d * CUDA_KV_BLOCK + slot;
		uint32_t high = a16_high(v[i], 0);
		*to = (uint16_t)high;
		if (planes == 2)
			to[plane] = (uint16_t)a16_low(v[i], 0, high);
	}
}

} // namespace

cudaError_t cuda_tile_norm(const struct tile_norm_args *a, cudaStream_t stream)
{
	LAUNCH(tile_norm_kernel, dim3(a->n), dim3(NORM_THREADS), sizeof(struct norm_shared), stream, *a);
	return cudaGetLastError();
}

cudaError_t cuda_tile_silu(const struct tile_silu_args *a, cudaStream_t stream)
{
	dim3 grid((a->out.pitch / 8 + SILU_THREADS - 1) / SILU_THREADS, a->n_tokens);
	LAUNCH(tile_silu_kernel, grid, dim3(SILU_THREADS), 0, stream, *a);
	return cudaGetLastError();
}

cudaError_t cuda_tile_rope_kv(const struct tile_rope_args *a, cudaStream_t stream)
{
	LAUNCH(tile_rope_kv_kernel, dim3(a->n_tokens), dim3(ROPE_THREADS), sizeof(struct rope_shared), stream, *a);
	return cudaGetLastError();
}
