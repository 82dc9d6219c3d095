/* What stands between the products of the tile path: RMSNorm, RoPE with the KV write, and the gate of the
 * feed-forward part. It computes what plain_ops.cu does, with sums and reciprocals of its own, which the decode
 * kernel has too (a16.cuh); results are halves (tile_kernels.h). */
#include "compute/cuda/tile/a16.cuh"

namespace
{

enum { NORM_THREADS = A16_NORM_SUMS / 4, ROPE_THREADS = 128, SILU_THREADS = 128, VALUES = 8 };

struct norm_shared {
	alignas(16) float sums[A16_NORM_SUMS / 32];
};

/* The sum of a row's squares: sum t takes groups t, t + 512, ... of four columns; 32 neighbouring sums are
 * added in a tree, then what comes of them (a16_norm_total). A thread has four of the sums. */
__device__ __forceinline__ float sum_squares(const float *x, uint32_t cols, struct norm_shared *s)
{
	float sum[A16_NORM_SUMS / NORM_THREADS] = {};
#pragma unroll
	for (uint32_t k = 0; k < A16_NORM_SUMS / NORM_THREADS; k++)
		for (uint32_t c = 4 * (k * NORM_THREADS + threadIdx.x); c < cols; c += 4 * A16_NORM_SUMS) {
			float4 v = *reinterpret_cast<const float4 *>(x + c);
			v.y = c + 1 < cols ? v.y : 0.0f;
			v.z = c + 2 < cols ? v.z : 0.0f;
			v.w = c + 3 < cols ? v.w : 0.0f;
			sum[k] = fmaf(v.x, v.x, sum[k]), sum[k] = fmaf(v.y, v.y, sum[k]);
			sum[k] = fmaf(v.z, v.z, sum[k]), sum[k] = fmaf(v.w, v.w, sum[k]);
		}
	for (int bit = 16; bit >= 1; bit /= 2)
#pragma unroll
		for (uint32_t k = 0; k < A16_NORM_SUMS / NORM_THREADS; k++)
			sum[k] = sum[k] + __shfl_xor_sync(FULL_WARP, sum[k], bit);
	if (threadIdx.x % 32 == 0)
#pragma unroll
		for (uint32_t k = 0; k < A16_NORM_SUMS / NORM_THREADS; k++)
			s->sums[(k * NORM_THREADS + threadIdx.x) / 32] = sum[k];
	__syncthreads();
	return a16_norm_total(s->sums);
}

/* A block a row; four lanes a chunk. */
__global__ void __launch_bounds__(NORM_THREADS) tile_norm_kernel(const struct tile_norm_args a)
{
	SHARED(struct norm_shared, s);
	const float *x = a.x + (uint64_t)(a.rows ? a.rows[blockIdx.x] : blockIdx.x) * a.x_pitch;
	uint32_t cols = a.out.cols, n_units = a.out.pitch / 8, lane = threadIdx.x % 32;
	float scale = near_rsqrt(fmaf(sum_squares(x, cols, s), 1.0f / (float)cols, a.eps));
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
	const float *gate = a.gate + (uint64_t)blockIdx.y * a.pitch,
		    *up = a.up + (uint64_t)blockIdx.y * a.pitch;
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
			v[2 * i] = a16_gated(g.x, u.x);
			v[2 * i + 1] = c + 1 < cols ? a16_gated(g.y, u.y) : 0.0f;
		}
	}
	a16_put(&a.out, blockIdx.y, unit / 4, unit < n_units, v);
}

/* ---- RoPE and the KV memory ---- */

/* Cosine and sine of a token's angles. */
struct rope_shared {
	float c[TILE_MAX_HEAD_DIM / 2], s[TILE_MAX_HEAD_DIM / 2];
};

/* Stores dimensions d and d + 1 of a head in its planes, `plane` halves apart. */
__device__ __forceinline__ void put_pair(uint16_t *to, uint64_t plane, uint32_t planes, uint32_t d, float x,
					 float y)
{
	uint32_t high = a16_high(x, y), low = planes == 2 ? a16_low(x, y, high) : 0;
	if (d % 2 == 0) {
		*reinterpret_cast<uint32_t *>(to + d) = high;
		if (planes == 2)
			*reinterpret_cast<uint32_t *>(to + plane + d) = low;
		return;
	}
	to[d] = (uint16_t)high, to[d + 1] = (uint16_t)(high >> 16);
	if (planes == 2)
		to[plane + d] = (uint16_t)low, to[plane + d + 1] = (uint16_t)(low >> 16);
}

/* Turns pair i (even) of a head and its neighbour i + 1, and stores their four dimensions. weight: not NULL, they
 * are normed first, which a whole warp calls for neighbouring pairs; `there` false: only to take part. */
__device__ __forceinline__ void turn_two(const struct tile_rope_args *r, const struct rope_shared *s,
					 const float *head, const float *weight, uint32_t i, bool there, uint16_t *to,
					 uint64_t plane)
{
	uint32_t half = r->kv.head_dim / 2, planes = r->kv.planes;
	bool two = i + 1 < half;
	float p[2] = {}, q[2] = {}, x[2], y[2];
#pragma unroll
	for (uint32_t k = 0; k < 2; k++)
		if (there && (k == 0 || two)) {
			p[k] = head[r->neox ? i + k : 2 * (i + k)];
			q[k] = head[r->neox ? i + k + half : 2 * (i + k) + 1];
		}
	if (weight) {
		float scale = head_norm_scale(p[0], p[1], q[0], q[1], half / 2, r->inverse_head, r->eps);
#pragma unroll
		for (uint32_t k = 0; k < 2; k++) {
			p[k] = p[k] * scale * weight[r->neox ? i + k : 2 * (i + k)];
			q[k] = q[k] * scale * weight[r->neox ? i + k + half : 2 * (i + k) + 1];
		}
	}
	if (!there)
		return;
#pragma unroll
	for (uint32_t k = 0; k < 2; k++) {
		float c = s->c[i + k], d = s->s[i + k];
		x[k] = p[k] * c - q[k] * d;
		y[k] = q[k] * c + p[k] * d;
	}
	if (!r->neox) {
		put_pair(to, plane, planes, 2 * i, x[0], y[0]);
		if (two)
			put_pair(to, plane, planes, 2 * i + 2, x[1], y[1]);
	} else if (two) {
		put_pair(to, plane, planes, i, x[0], x[1]);
		put_pair(to, plane, planes, i + half, y[0], y[1]);
	} else { /* the last of an odd number: its first dimension's neighbour is another pair's second */
		uint32_t high = a16_high(x[0], y[0]), low = a16_low(x[0], y[0], high);
		to[i] = (uint16_t)high, to[i + half] = (uint16_t)(high >> 16);
		if (planes == 2)
			to[plane + i] = (uint16_t)low, to[plane + i + half] = (uint16_t)(low >> 16);
	}
}

/* How many tokens' values a token's block stores: all of VALUES neighbours that fill a unit of V where it is
 * the first of such, none where another does it, else its own. */
__device__ __forceinline__ uint32_t count_values(const struct tile_rope_args *r, uint32_t i,
						 const struct cuda_token *t)
{
	uint32_t before = t->pos % VALUES, first = i - before;
	if (i < before || first + VALUES > r->n_tokens)
		return 1;
	struct cuda_token a = r->tokens[first], b = r->tokens[first + VALUES - 1];
	if (a.table != t->table || b.table != t->table || a.pos + before != t->pos ||
	    b.pos != a.pos + VALUES - 1)
		return 1;
	return before ? 0 : VALUES;
}

/* V of n (1 or VALUES) tokens, of which the first is the block's. memory: of its KV block. */
__device__ __forceinline__ void put_values(const struct tile_rope_args *r, uint32_t n, uint32_t slot,
					   uint16_t *memory, uint64_t plane)
{
	uint32_t n_dim = r->kv.head_dim, planes = r->kv.planes;
	const float *v = r->v + (uint64_t)blockIdx.x * r->pitch;
	for (uint32_t i = threadIdx.x; i < r->kv.n_kv_heads * n_dim; i += ROPE_THREADS) {
		uint32_t h = i / n_dim, d = i - h * n_dim;
		uint16_t *to = memory + (h * 2 + 1) * planes * plane + d * CUDA_KV_BLOCK + slot;
		if (n == 1) {
			uint32_t high = a16_high(v[i], 0);
			*to = (uint16_t)high;
			if (planes == 2)
				to[plane] = (uint16_t)a16_low(v[i], 0, high);
			continue;
		}
		uint32_t high[VALUES / 2], low[VALUES / 2];
#pragma unroll
		for (uint32_t k = 0; k < VALUES / 2; k++) {
			float x = v[(uint64_t)(2 * k) * r->pitch + i],
			      y = v[(uint64_t)(2 * k + 1) * r->pitch + i];
			high[k] = a16_high(x, y);
			low[k] = planes == 2 ? a16_low(x, y, high[k]) : 0;
		}
		*reinterpret_cast<uint4 *>(to) = make_uint4(high[0], high[1], high[2], high[3]);
		if (planes == 2)
			*reinterpret_cast<uint4 *>(to + plane) = make_uint4(low[0], low[1], low[2], low[3]);
	}
}

/* A block a token. */
__global__ void __launch_bounds__(ROPE_THREADS) tile_rope_kv_kernel(const struct tile_rope_args r)
{
	SHARED(struct rope_shared, s);
	uint32_t n_dim = r.kv.head_dim, half = n_dim / 2, planes = r.kv.planes, n_heads = r.kv.n_heads;
	uint32_t hd = (n_dim + TILE_CHUNK - 1) / TILE_CHUNK * TILE_CHUNK;
	struct cuda_token token = r.tokens[blockIdx.x];
	uint64_t block = r.kv.tables[token.table + token.pos / CUDA_KV_BLOCK], plane = CUDA_KV_BLOCK * hd;
	uint32_t n_values = count_values(&r, blockIdx.x, &token), slot = token.pos % CUDA_KV_BLOCK;
	for (uint32_t i = threadIdx.x; i < (half + 1) / 2 * 2; i += ROPE_THREADS) {
		float angle = i < half ? (float)token.pos * r.frequency[i] : 0.0f;
		s->c[i] = cosf(angle);
		s->s[i] = sinf(angle);
	}
	uint16_t *memory = r.kv.layer + block * r.kv.n_kv_heads * planes * 2 * plane;
	if (n_values)
		put_values(&r, n_values, slot, memory, plane);
	__syncthreads();
	const float *q = r.q + (uint64_t)blockIdx.x * r.pitch, *k = r.k + (uint64_t)blockIdx.x * r.pitch;
	uint16_t *out = r.out + (uint64_t)blockIdx.x * n_heads * planes * hd;
	uint32_t per_head = (half + 1) / 2;
	uint32_t n_pairs = (n_heads + r.kv.n_kv_heads) * per_head, lane = threadIdx.x % 32;
	for (uint32_t i = threadIdx.x; i - lane < n_pairs; i += ROPE_THREADS) { /* whole warps, for the norm */
		bool there = i < n_pairs;
		uint32_t h = there ? i / per_head : 0, pair = there ? 2 * (i - h * per_head) : 0, kv = h - n_heads;
		bool is_q = h < n_heads;
		const float *head = is_q ? q + h * n_dim : k + kv * n_dim;
		uint16_t *to = is_q ? out + h * planes * hd : memory + kv * planes * 2 * plane + slot * hd;
		turn_two(&r, s, head, is_q ? r.q_norm : r.k_norm, pair, there, to, is_q ? hd : plane);
	}
	uint32_t padding = (hd - n_dim) / 2;
	for (uint32_t i = threadIdx.x; i < (n_heads + r.kv.n_kv_heads) * padding; i += ROPE_THREADS) {
		uint32_t h = i / padding, d = n_dim + 2 * (i - h * padding), kv = h - n_heads;
		if (h < n_heads)
			put_pair(out + h * planes * hd, hd, planes, d, 0, 0);
		else
			put_pair(memory + kv * planes * 2 * plane + slot * hd, plane, planes, d, 0, 0);
	}
}

} // namespace

cudaError_t tile_norm(const struct tile_norm_args *a, cudaStream_t stream)
{
	LAUNCH(tile_norm_kernel, dim3(a->n), dim3(NORM_THREADS), sizeof(struct norm_shared), stream, *a);
	return cudaGetLastError();
}

cudaError_t tile_silu(const struct tile_silu_args *a, cudaStream_t stream)
{
	dim3 grid((a->out.pitch / 8 + SILU_THREADS - 1) / SILU_THREADS, a->n_tokens);
	LAUNCH(tile_silu_kernel, grid, dim3(SILU_THREADS), 0, stream, *a);
	return cudaGetLastError();
}

cudaError_t tile_rope_kv(const struct tile_rope_args *a, cudaStream_t stream)
{
	LAUNCH(tile_rope_kv_kernel, dim3(a->n_tokens), dim3(ROPE_THREADS), sizeof(struct rope_shared), stream,
	       *a);
	return cudaGetLastError();
}
