/* What stands between the products of the tile path: RMSNorm, RoPE with the KV write, and the gate of the
 * feed-forward part. It computes what plain_ops.cu does, with sums and reciprocals of its own, which the
 * decode kernel has too (a16.cuh); results are halves (tile_kernels.h). */
#include "compute/cache_round.h"
#include "compute/cuda/chain.cuh"
#include "compute/cuda/tile/a16.cuh"

namespace
{

enum {
	NORM_THREADS = A16_NORM_SUMS / 4,
	GROUP_THREADS = 128,
	ROPE_THREADS = 128,
	GATE_THREADS = 128,
	VALUES = 8
};

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

/* What a row's numbers are multiplied by. */
__device__ __forceinline__ float norm_scale(const float *x, uint32_t cols, float eps, struct norm_shared *s)
{
	return near_rsqrt(fmaf(sum_squares(x, cols, s), 1.0f / (float)cols, eps));
}

/* The column of pair i of a lane's unit of eight. */
__device__ __forceinline__ uint32_t norm_column(uint32_t unit, uint32_t i)
{
	return unit / 4 * TILE_CHUNK + 8 * i + 2 * (unit % 4);
}

/* A block a row; four lanes a chunk. */
__global__ void __launch_bounds__(NORM_THREADS) tile_norm_kernel(const struct tile_norm_args a)
{
	SHARED(struct norm_shared, s);
	const float *x = a.x + (uint64_t)(a.rows ? a.rows[blockIdx.x] : blockIdx.x) * a.x_pitch;
	uint32_t cols = a.out.cols, n_units = a.out.pitch / 8, lane = threadIdx.x % 32;
	float2 ahead[4]; /* the first weights */
	chain_next();
#pragma unroll
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t c = norm_column(threadIdx.x, i);
		ahead[i] = {0, 0};
		if (c + 1 < cols)
			ahead[i] = *reinterpret_cast<const float2 *>(a.weight + c);
	}
	chain_wait();
	float scale = norm_scale(x, cols, a.eps, s);
	for (uint32_t u = threadIdx.x; u - lane < n_units; u += NORM_THREADS) {
		float v[8];
#pragma unroll
		for (uint32_t i = 0; i < 4; i++) {
			uint32_t c = norm_column(u, i);
			v[2 * i] = v[2 * i + 1] = 0;
			if (c + 1 < cols) {
				float2 p = *reinterpret_cast<const float2 *>(x + c);
				float2 w = u < NORM_THREADS ? ahead[i]
							    : *reinterpret_cast<const float2 *>(a.weight + c);
				v[2 * i] = p.x * scale * w.x;
				v[2 * i + 1] = p.y * scale * w.y;
			} else if (c < cols) {
				v[2 * i] = x[c] * scale * a.weight[c];
			}
		}
		a16_put(&a.out, blockIdx.x, u / 4, u < n_units, v);
	}
}

/* Activations are what the rows are, without a norm. */
__global__ void __launch_bounds__(NORM_THREADS) tile_rows_kernel(const struct tile_norm_args a)
{
	const float *x = a.x + (uint64_t)(a.rows ? a.rows[blockIdx.x] : blockIdx.x) * a.x_pitch;
	uint32_t cols = a.out.cols, n_units = a.out.pitch / 8, lane = threadIdx.x % 32;
	chain_next();
	chain_wait();
	for (uint32_t u = threadIdx.x; u - lane < n_units; u += NORM_THREADS) {
		float v[8];
#pragma unroll
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t c = u / 4 * TILE_CHUNK + 8 * (i / 2) + 2 * (u % 4) + i % 2;
			v[i] = c < cols ? x[c] : 0.0f;
		}
		a16_put(&a.out, blockIdx.x, u / 4, u < n_units, v);
	}
}

/* A block a row. */
__global__ void __launch_bounds__(NORM_THREADS) tile_post_kernel(const struct tile_post_args a)
{
	SHARED(struct norm_shared, s);
	const float *y = a.y + (uint64_t)blockIdx.x * a.pitch;
	float *x = a.x + (uint64_t)blockIdx.x * a.pitch;
	chain_next();
	chain_wait();
	float scale = a.weight ? norm_scale(y, a.cols, a.eps, s) : 1.0f;
	for (uint32_t c = threadIdx.x; c < a.cols; c += NORM_THREADS) {
		float v = a.weight ? y[c] * scale * a.weight[c] : y[c];
		x[c] = x[c] + v * a.scale;
	}
}

/* A block a group of a row: thread t squares columns t, t + 128, ...; lanes are added in a tree, then warps
 * in order. A thread writes what it alone reads. */
__global__ void __launch_bounds__(GROUP_THREADS) tile_groups_kernel(const struct tile_groups_args a)
{
	SHARED(struct norm_shared, s);
	float *x = a.x + (uint64_t)blockIdx.x * a.pitch + (uint64_t)blockIdx.y * a.cols, sum = 0;
	chain_next();
	chain_wait();
	for (uint32_t c = threadIdx.x; c < a.cols; c += GROUP_THREADS)
		sum = fmaf(x[c], x[c], sum);
	for (int bit = 16; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, bit);
	if (threadIdx.x % 32 == 0)
		s->sums[threadIdx.x / 32] = sum;
	__syncthreads();
	sum = s->sums[0];
	for (int w = 1; w < GROUP_THREADS / 32; w++)
		sum = sum + s->sums[w];
	float scale = near_rsqrt(fmaf(sum, 1.0f / (float)a.cols, a.eps));
	for (uint32_t c = threadIdx.x; c < a.cols; c += GROUP_THREADS)
		x[c] = x[c] * scale * a.weight[c];
}

/* Columns c and c + 1 of the gate and the part above it. */
__device__ __forceinline__ void fetch_gate(const struct tile_gate_args *a, const float *gate, const float *up,
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
template <uint32_t ACT> __global__ void tile_gate_kernel(const struct tile_gate_args a)
{
	uint32_t unit = blockIdx.x * GATE_THREADS + threadIdx.x, n_units = a.out.pitch / 8, cols = a.out.cols;
	const float *up = a.up + (uint64_t)blockIdx.y * a.pitch,
		    *gate = a.gate ? a.gate + (uint64_t)blockIdx.y * a.pitch : up;
	chain_next();
	chain_wait();
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
			if (!a.gate)
				u = {1.0f, 1.0f};
			v[2 * i] = a16_gated_by(ACT, g.x, u.x);
			v[2 * i + 1] = c + 1 < cols ? a16_gated_by(ACT, g.y, u.y) : 0.0f;
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

/* Four numbers of a head that RoPE turns as two pairs, i (even) and i + 1; of dimensions that it does not
 * turn, or that lie side by side, those from 2i on. */
struct four {
	float p[2], q[2];
	uint32_t i;
	bool neox, two; /* two: pair i + 1 is there too */
};

/* Where dimension p or q of pair i + k lies. */
__device__ __forceinline__ uint32_t first_of(const struct four *f, uint32_t k)
{
	return f->neox ? f->i + k : 2 * (f->i + k);
}
__device__ __forceinline__ uint32_t second_of(const struct four *f, uint32_t half, uint32_t k)
{
	return f->neox ? f->i + k + half : 2 * (f->i + k) + 1;
}

__device__ __forceinline__ struct four fetch_four(const struct tile_rope_args *r, const float *head,
						  uint32_t i, bool there)
{
	uint32_t turned = r->n_dims / 2;
	struct four f = {};
	f.i = i;
	f.neox = r->neox && i < turned;
	f.two = i + 1 < r->kv.head_dim / 2;
#pragma unroll
	for (uint32_t k = 0; k < 2; k++)
		if (there && (k == 0 || f.two)) {
			f.p[k] = head[first_of(&f, k)];
			f.q[k] = head[second_of(&f, turned, k)];
		}
	return f;
}

__device__ __forceinline__ void scale_four(struct four *f, uint32_t turned, float scale, const float *weight)
{
#pragma unroll
	for (uint32_t k = 0; k < 2; k++) {
		f->p[k] = f->p[k] * scale * weight[first_of(f, k)];
		f->q[k] = f->q[k] * scale * weight[second_of(f, turned, k)];
	}
}

/* Turns the pairs, and multiplies by factor. */
__device__ __forceinline__ void turn_four(const struct tile_rope_args *r, const struct rope_shared *s,
					  const struct four *f, float factor, float x[2], float y[2])
{
#pragma unroll
	for (uint32_t k = 0; k < 2; k++) {
		float c = s->c[f->i + k], d = s->s[f->i + k];
		x[k] = f->p[k] * c - f->q[k] * d;
		y[k] = f->q[k] * c + f->p[k] * d;
		if (r->every)
			x[k] = x[k] * factor, y[k] = y[k] * factor;
	}
}

/* Stores what turn_four made of them. */
__device__ __forceinline__ void put_four(const struct tile_rope_args *r, const struct four *f,
					 const float x[2], const float y[2], uint16_t *to, uint64_t plane)
{
	uint32_t half = r->n_dims / 2, planes = r->kv.planes, i = f->i;
	if (!f->neox) {
		put_pair(to, plane, planes, 2 * i, x[0], y[0]);
		if (f->two)
			put_pair(to, plane, planes, 2 * i + 2, x[1], y[1]);
	} else if (f->two) {
		put_pair(to, plane, planes, i, x[0], x[1]);
		put_pair(to, plane, planes, i + half, y[0], y[1]);
	} else { /* the last of an odd number: its first dimension's neighbour is another pair's second */
		uint32_t high = a16_high(x[0], y[0]), low = a16_low(x[0], y[0], high);
		to[i] = (uint16_t)high, to[i + half] = (uint16_t)(high >> 16);
		if (planes == 2)
			to[plane + i] = (uint16_t)low, to[plane + i + half] = (uint16_t)(low >> 16);
	}
}

/* The same as they are. */
__device__ __forceinline__ void stage_four(const struct tile_rope_args *r, const struct four *f,
					   const float x[2], const float y[2], float *to)
{
#pragma unroll
	for (uint32_t k = 0; k < 2; k++)
		if (k == 0 || f->two) {
			to[first_of(f, k)] = x[k];
			to[second_of(f, r->n_dims / 2, k)] = y[k];
		}
}

/* By a warp: lane's x becomes the byte at to, of a chunk whose scale goes to *scale. Beyond the head x is 0.
 * What comes out of it again is a half: it is limited so that it can be. */
__device__ __forceinline__ void put_q8_0(float x, uint8_t *to, uint16_t *scale)
{
	const float most =
		127 * 515.5f; /* 515.5, a half, is the largest scale; this rounds to a half as well */
	x = x > most ? most : x < -most ? -most : x;
	float size = fabsf(x);
	int finite = x == x;
	size = finite ? size : 0.0f;
	for (int bit = 16; bit >= 1; bit /= 2) {
		size = fmaxf(size, __shfl_xor_sync(FULL_WARP, size, bit));
		finite = finite & __shfl_xor_sync(FULL_WARP, finite, bit);
	}
	struct cache_scale s = cache_scale_of(size, finite);
	*to = (uint8_t)cache_q8_0(x, s);
	if (threadIdx.x % 32 == 0)
		*scale = half_bits(s.scale);
}

/* A token's heads (n_kv_heads, `pitch` floats apart) to a KV block's K (or V); a warp a chunk. to: of the
 * first head's K (or V); dimension d goes to d * step + at. */
__device__ __forceinline__ void put_heads_q8_0(const struct tile_rope_args *r, const float *heads,
					       uint32_t pitch, uint32_t slot, uint8_t *to, uint32_t step,
					       uint32_t at)
{
	uint32_t n_dim = r->kv.head_dim, n = (n_dim + TILE_CHUNK - 1) / TILE_CHUNK, hd = n * TILE_CHUNK;
	uint32_t half_bytes = CUDA_KV_BLOCK * (hd + 2 * n); /* of a head: K with its scales */
	for (uint32_t i = threadIdx.x / 32; i < r->kv.n_kv_heads * n; i += ROPE_THREADS / 32) {
		uint32_t h = i / n, c = i - h * n, d = c * TILE_CHUNK + threadIdx.x % 32;
		uint8_t *head = to + (uint64_t)h * 2 * half_bytes;
		uint16_t *scales = reinterpret_cast<uint16_t *>(head + CUDA_KV_BLOCK * hd);
		put_q8_0(d < n_dim ? heads[h * pitch + d] : 0.0f, head + d * step + at,
			 scales + c * CUDA_KV_BLOCK + slot);
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

/* A token's cosines and sines; of what is not turned 1 and 0. */
__device__ __forceinline__ void find_turns(const struct tile_rope_args *r, uint32_t pos,
					   struct rope_shared *s)
{
	uint32_t half = r->kv.head_dim / 2, turned = r->frequency ? r->n_dims / 2 : 0;
	for (uint32_t i = threadIdx.x; i < (half + 1) / 2 * 2; i += ROPE_THREADS) {
		float angle = i < turned ? (float)pos * r->frequency[i] : 0.0f,
		      factor = i < turned ? r->factor : 1.0f;
		s->c[i] = cosf(angle) * factor;
		s->s[i] = sinf(angle) * factor;
	}
}

/* A block a token. FOURS: of a head, that a lane has, where heads are normed: 2 in heads of 256. Q8: KV
 * memory is q8_0; keys then lie in shared memory first, behind rope_shared. */
template <uint32_t FOURS, int Q8>
__global__ void __launch_bounds__(ROPE_THREADS) tile_rope_kv_kernel(const struct tile_rope_args r)
{
	SHARED(struct rope_shared, s);
	uint32_t n_dim = r.kv.head_dim, half = n_dim / 2, planes = r.kv.planes, n_heads = r.kv.n_heads;
	uint32_t hd = (n_dim + TILE_CHUNK - 1) / TILE_CHUNK * TILE_CHUNK;
	struct cuda_token token = r.tokens[blockIdx.x];
	uint64_t block = r.kv.tables[token.table + token.pos / CUDA_KV_BLOCK], plane = CUDA_KV_BLOCK * hd;
	uint32_t n_values = Q8 ? 0 : count_values(&r, blockIdx.x, &token), slot = token.pos % CUDA_KV_BLOCK;
	float *staged = reinterpret_cast<float *>(s + 1);              /* (n_kv_heads, hd) */
	uint32_t q8_half = CUDA_KV_BLOCK * (hd + hd / TILE_CHUNK * 2); /* bytes of a head's K, or V */
	float factor = r.every ? a16_temperature(r.temperature, r.every, token.pos) : 1.0f;
	chain_next();
	find_turns(&r, token.pos, s);
	chain_wait();
	uint16_t *memory = r.kv.layer + block * r.kv.n_kv_heads * planes * 2 * plane;
	uint8_t *bytes = reinterpret_cast<uint8_t *>(r.kv.layer) + block * r.kv.n_kv_heads * 2 * q8_half;
	if (Q8)
		put_heads_q8_0(&r, r.v + (uint64_t)blockIdx.x * r.pitch, n_dim, slot, bytes + q8_half,
			       CUDA_KV_BLOCK, slot);
	if (n_values)
		put_values(&r, n_values, slot, memory, plane);
	__syncthreads();
	const float *q = r.q + (uint64_t)blockIdx.x * r.pitch, *k = r.k + (uint64_t)blockIdx.x * r.pitch;
	uint16_t *out = r.out + (uint64_t)blockIdx.x * n_heads * planes * hd;
	uint32_t per_head = ((half + 1) / 2) / FOURS;
	uint32_t n = (n_heads + r.kv.n_kv_heads) * per_head, lane = threadIdx.x % 32;
	for (uint32_t i = threadIdx.x; i - lane < n; i += ROPE_THREADS) { /* whole warps, for the norm */
		bool there = i < n;
		uint32_t h = there ? i / per_head : 0, pair = there ? 2 * (i - h * per_head) : 0,
			 kv = h - n_heads;
		bool is_q = h < n_heads;
		const float *head = is_q ? q + h * n_dim : k + kv * n_dim,
			    *weight = is_q ? r.q_norm : r.k_norm;
		uint16_t *to = is_q ? out + h * planes * hd : memory + kv * planes * 2 * plane + slot * hd;
		struct four f[FOURS];
		float sum = 0;
#pragma unroll
		for (uint32_t j = 0; j < FOURS; j++) {
			f[j] = fetch_four(&r, head, pair + 2 * per_head * j, there);
			if (r.q_norm)
				sum = head_norm_squares(sum, f[j].p[0], f[j].p[1], f[j].q[0], f[j].q[1]);
		}
		float scale = r.q_norm ? head_norm_scale(sum, per_head, r.inverse_head, r.eps) : 1.0f;
#pragma unroll
		for (uint32_t j = 0; j < FOURS && there; j++) {
			if (weight)
				scale_four(&f[j], r.n_dims / 2, scale, weight);
			float x[2], y[2];
			turn_four(&r, s, &f[j], is_q ? factor : 1.0f, x, y);
			if (Q8 && !is_q)
				stage_four(&r, &f[j], x, y, staged + kv * hd);
			else
				put_four(&r, &f[j], x, y, to, is_q ? hd : plane);
		}
	}
	if (Q8) {
		__syncthreads();
		put_heads_q8_0(&r, staged, hd, slot, bytes, 1, slot * hd);
	}
	uint32_t padding = (hd - n_dim) / 2;
	for (uint32_t i = threadIdx.x; i < (n_heads + (Q8 ? 0 : r.kv.n_kv_heads)) * padding;
	     i += ROPE_THREADS) {
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
	if (a->weight)
		return LAUNCH_CHAINED(1, tile_norm_kernel, dim3(a->n), NORM_THREADS,
				      sizeof(struct norm_shared), stream, *a);
	return LAUNCH_CHAINED(1, tile_rows_kernel, dim3(a->n), NORM_THREADS, 0, stream, *a);
}

cudaError_t tile_post(const struct tile_post_args *a, cudaStream_t stream)
{
	return LAUNCH_CHAINED(1, tile_post_kernel, dim3(a->n), NORM_THREADS, sizeof(struct norm_shared),
			      stream, *a);
}

cudaError_t tile_norm_groups(const struct tile_groups_args *a, cudaStream_t stream)
{
	return LAUNCH_CHAINED(1, tile_groups_kernel, dim3(a->n, a->groups), GROUP_THREADS,
			      sizeof(struct norm_shared), stream, *a);
}

cudaError_t tile_gate(const struct tile_gate_args *a, cudaStream_t stream)
{
	static void (*const kernels[N_ACTIVATIONS])(struct tile_gate_args) = {
		tile_gate_kernel<ACT_SILU>, tile_gate_kernel<ACT_GELU_TANH>, tile_gate_kernel<ACT_GELU>};
	dim3 grid((a->out.pitch / 8 + GATE_THREADS - 1) / GATE_THREADS, a->n_tokens);
	return LAUNCH_CHAINED(1, kernels[a->act], grid, GATE_THREADS, 0, stream, *a);
}

cudaError_t tile_rope_kv(const struct tile_rope_args *a, cudaStream_t stream)
{
	static void (*const kernels[2][2])(struct tile_rope_args) = {
		{tile_rope_kv_kernel<1, 0>, tile_rope_kv_kernel<1, 1>},
		{tile_rope_kv_kernel<2, 0>, tile_rope_kv_kernel<2, 1>}};
	uint32_t staged =
		a->kv.q8_0 ? a->kv.n_kv_heads * tile_hd(a->kv.head_dim) * (uint32_t)sizeof(float) : 0;
	return LAUNCH_CHAINED(1, kernels[a->q_norm && a->kv.head_dim == 256][a->kv.q8_0], dim3(a->n_tokens),
			      ROPE_THREADS, sizeof(struct rope_shared) + staged, stream, *a);
}
