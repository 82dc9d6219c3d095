/*
 * What the decode kernel (decode_kernel.cuh) does otherwise for several sequences: each step of a phase is
 * that of one sequence, for all of them at once, so that what they wait for they wait for together. The
 * products between are the same products (decode_product.cuh), and every sum is one sequence's own, in the
 * order that it has alone.
 */
#ifndef COMPUTE_CUDA_DECODE_FEW_CUH
#define COMPUTE_CUDA_DECODE_FEW_CUH

#include "compute/cuda/decode/decode_head.cuh"
#include "compute/cuda/decode/decode_operand.cuh"
#include "compute/cuda/decode/decode_product.cuh"

namespace
{

/* How threads share rows: rows of up to a thousand columns are for half of the threads, which leaves the
 * other half for another sequence. */
struct sharing {
	uint32_t thread, span;  /* of those that have a row together: which, how many */
	uint32_t group, groups; /* a group has sequences group, group + groups, ... */
};
__device__ __forceinline__ struct sharing share_rows(const struct block *b)
{
	struct sharing h = {b->thread, WORKERS, 0, 1};
	if (b->a->d_model <= 4 * WORKERS / 2) {
		h.span = WORKERS / 2;
		h.thread = b->thread % h.span;
		h.group = b->thread / h.span;
		h.groups = 2;
	}
	return h;
}

enum { NORM_SUMS = A16_NORM_SUMS / 32, NORM_PASS = 2 /* sequences that a thread waits for at once */ };

/* Of NORM_PASS sequences from `first` on: their residuals are raised by the words at `at` (unless
 * CUDA_NOTHING), and the sums of their squares over 32 threads left for a16_norm_total. */
__device__ __forceinline__ void raise_few(const struct block *b, const struct sharing *h, uint32_t at,
					  uint32_t first)
{
	uint32_t n = b->a->d_model / 4, n_seqs = n_seqs_of(b);
	const uint32_t *words = b->a->now + at;
	float *sums = reinterpret_cast<float *>(shared_reduce(b));
	bool add = at != CUDA_NOTHING;
	uint4 v[NORM_PASS][NORM_KEPT] = {};
	float sum[NORM_PASS] = {};
#pragma unroll
	for (uint32_t k = 0; k < NORM_PASS; k++)
#pragma unroll
		for (uint32_t q = 0; q < NORM_KEPT; q++) {
			uint32_t s = first + k * h->groups, i = h->thread + q * h->span;
			if (add && s < n_seqs && i < n)
				v[k][q] = load_words(words + words_of(b, s) + 4 * i);
		}
#pragma unroll
	for (uint32_t k = 0; k < NORM_PASS; k++) {
		uint32_t s = first + k * h->groups;
		if (s >= n_seqs)
			continue;
		float *x = residual_of(b, s);
#pragma unroll
		for (uint32_t q = 0; q < NORM_KEPT; q++) {
			uint32_t i = h->thread + q * h->span;
			if (i >= n)
				continue;
			float4 y = four_of(x, i);
			if (add) {
				if (!all_there(v[k][q]))
					v[k][q] = await_words(words + words_of(b, s) + 4 * i);
				y = add_words(y, v[k][q]);
				*reinterpret_cast<float4 *>(x + 4 * i) = y;
			}
			sum[k] = add_squares(sum[k], y);
		}
		for (uint32_t i = h->thread + NORM_KEPT * h->span; i < n; i += h->span) {
			float4 y = four_of(x, i);
			if (add) {
				y = add_words(y, await_words(words + words_of(b, s) + 4 * i));
				*reinterpret_cast<float4 *>(x + 4 * i) = y;
			}
			sum[k] = add_squares(sum[k], y);
		}
	}
	for (int bit = 16; bit >= 1; bit /= 2)
#pragma unroll
		for (uint32_t k = 0; k < NORM_PASS; k++)
			sum[k] = sum[k] + __shfl_xor_sync(FULL_WARP, sum[k], bit);
	if (b->lane)
		return;
#pragma unroll
	for (uint32_t k = 0; k < NORM_PASS; k++) {
		uint32_t s = first + k * h->groups;
		if (s >= n_seqs)
			continue;
		sums[s * NORM_SUMS + h->thread / 32] = sum[k];
		if (h->groups > 1) /* of the threads that a row does not reach */
			sums[s * NORM_SUMS + NORM_SUMS / 2 + h->thread / 32] = 0;
	}
}

/* As receive_norm. */
__device__ __forceinline__ void receive_norm_few(struct block *b, uint32_t at, const float *weight, bool mins)
{
	uint32_t n = b->a->d_model / 4, n_seqs = n_seqs_of(b);
	struct sharing h = share_rows(b);
	const float *sums = reinterpret_cast<const float *>(shared_reduce(b));
	float4 w[NORM_KEPT] = {};
#pragma unroll
	for (uint32_t q = 0; q < NORM_KEPT; q++)
		if (h.thread + q * h.span < n)
			w[q] = four_of(weight, h.thread + q * h.span);
	for (uint32_t s = h.group; s - h.group < n_seqs; s += NORM_PASS * h.groups) /* whole warps */
		raise_few(b, &h, at, s);
	sync_workers();
	for (uint32_t s = h.group; s < n_seqs; s += h.groups) {
		const float *x = residual_of(b, s);
		float scale =
			near_rsqrt(fmaf(a16_norm_total(sums + s * NORM_SUMS), b->a->inverse_d, b->a->eps));
#pragma unroll
		for (uint32_t q = 0; q < NORM_KEPT; q++)
			if (h.thread + q * h.span < n)
				put_normed(b, s, 4 * (h.thread + q * h.span),
					   four_of(x, h.thread + q * h.span), scale, w[q]);
		for (uint32_t i = h.thread + NORM_KEPT * h.span; i < n; i += h.span)
			put_normed(b, s, 4 * i, four_of(x, i), scale, four_of(weight, i));
	}
	pad_columns(b, b->a->d_model);
	sync_workers();
	sum_chunks(b, b->a->d_model, mins);
}

/* Which sequence has number i, where each has n. */
__device__ __forceinline__ uint32_t seq_of(uint32_t i, uint32_t n)
{
	uint32_t seq = 0;
#pragma unroll
	for (uint32_t s = 1; s < SEQS; s++)
		seq += i >= s * n;
	return seq;
}

/* As receive_packed. */
__device__ __forceinline__ void receive_packed_few(const struct block *b, uint32_t at, uint32_t k, bool mins)
{
	enum { AT_ONCE = 5 };
	uint32_t n = k / (4 * WORD_NUMBERS), all = n * n_seqs_of(b);
	for (uint32_t i = b->thread; i < all; i += AT_ONCE * WORKERS) {
		uint4 v[AT_ONCE];
#pragma unroll
		for (uint32_t q = 0; q < AT_ONCE; q++) {
			uint32_t here = i + q * WORKERS, s = seq_of(here, n);
			if (here < all)
				v[q] = load_words(b->a->now + at + words_of(b, s) + 4 * (here - s * n));
		}
#pragma unroll
		for (uint32_t q = 0; q < AT_ONCE; q++) {
			uint32_t here = i + q * WORKERS, s = seq_of(here, n);
			if (here >= all)
				continue;
			if (!all_there(v[q]))
				v[q] = await_words(b->a->now + at + words_of(b, s) + 4 * (here - s * n));
			put_words(b, s, here - s * n, v[q]);
		}
	}
	pad_columns(b, k);
	sync_workers();
	sum_chunks(b, k, mins);
}

/* As struct target: a thread for each plane of a row of each sequence; of gate and up, for both. */
struct target_few {
	uint32_t place, up; /* of the row among the lot's; CUDA_NOTHING: none. Of the row of up */
	uint32_t word;      /* where it goes; of the output matrix: its row */
	uint32_t seq;
	float bias;
	float scale[2]; /* of the row, and of up's */
};

/* Adds up the segments of the thread's column of a row, then the planes; all threads of a warp call. */
__device__ __forceinline__ float add_segments_few(const struct block *b, uint32_t place)
{
	uint32_t segment, column;
	const float *part = part_of_few(b, &segment, &column) + place * COLUMNS + b->thread % COLUMNS;
	float v[TILE_SEGMENTS], sum = 0;
	if (place != CUDA_NOTHING) {
#pragma unroll
		for (uint32_t s = 0; s < TILE_SEGMENTS; s++)
			v[s] = part[s / PART_SEGMENTS * column + s % PART_SEGMENTS * segment];
		sum = v[0];
#pragma unroll
		for (uint32_t s = 1; s < TILE_SEGMENTS; s++)
			sum = sum + v[s];
	}
	return FULL ? sum + __shfl_xor_sync(FULL_WARP, sum, 1) : sum;
}

/* As draw_greedy, of all sequences, each of which has its logits. */
__device__ __forceinline__ void draw_greedy_few(const struct block *b)
{
	const struct decode_args *a = b->a;
	uint32_t t = b->thread, first = 0, n = own_rows(b, &first), n_seqs = n_seqs_of(b);
	struct best top[SEQS];
	sync_workers(); /* all rows are written */
#pragma unroll
	for (uint32_t s = 0; s < SEQS; s++) {
		if (s >= n_seqs)
			continue;
		uint64_t *mine = a->tagged + 4 * (s * gridDim.x + blockIdx.x);
		const float *logits = a->seqs[s].logits + first;
		struct best own = {-INFINITY, CUDA_NOTHING};
		for (uint32_t i = t; i < n; i += WORKERS)
			keep_better(&own, logit_clean(logits[i]), first + i);
		block_best(b, &own);
		top[s] = own;
		if (t == 0) {
			store_tagged(mine, __float_as_uint(own.logit), a->launch);
			store_tagged(mine + 1, own.id, a->launch);
		}
	}
#pragma unroll
	for (uint32_t s = 0; s < SEQS; s++) {
		if (s >= n_seqs)
			continue;
		uint64_t *all = a->tagged + 4 * s * gridDim.x, *mine = all + 4 * blockIdx.x;
		const float *logits = a->seqs[s].logits + first;
		for (uint32_t i = t; i < gridDim.x; i += WORKERS)
			keep_better(&top[s], __uint_as_float(await_value(all + 4 * i, a->launch)),
				    await_value(all + 4 * i + 1, a->launch));
		block_best(b, &top[s]);
		unsigned long long sum = 0;
		for (uint32_t i = t; i < n && top[s].logit > -INFINITY; i += WORKERS)
			sum += weight_grains(weight_of(logit_clean(logits[i]), top[s].logit, 1.0f));
		sum = block_grains(b, sum);
		if (t == 0) {
			store_tagged(mine + 2, (uint32_t)sum, a->launch);
			store_tagged(mine + 3, (uint32_t)(sum >> 32), a->launch);
		}
	}
#pragma unroll
	for (uint32_t s = 0; s < SEQS; s++) {
		if (s >= n_seqs || blockIdx.x != s % gridDim.x)
			continue;
		const uint64_t *all = a->tagged + 4 * s * gridDim.x;
		unsigned long long sum = 0;
		for (uint32_t i = t; i < gridDim.x; i += WORKERS)
			sum += await_value(all + 4 * i + 2, a->launch) |
			       (unsigned long long)await_value(all + 4 * i + 3, a->launch) << 32;
		sum = block_grains(b, sum);
		bool none = !(top[s].logit > -INFINITY);
		if (t == 0) {
			a->seqs[s].drawn->token = none ? -1 : (int32_t)top[s].id;
			a->seqs[s].drawn->logprob =
				none ? -INFINITY : weight_logprob(top[s].logit, top[s].logit, sum);
		}
	}
}

} // namespace
#endif
