/* What a product of the decode kernel (decode_kernel.cuh) multiplies: the words of the phase before, normed
 * or as they are, as halves in shared memory. */
#ifndef COMPUTE_CUDA_DECODE_OPERAND_CUH
#define COMPUTE_CUDA_DECODE_OPERAND_CUH

#include "compute/cuda/decode/decode_block.cuh"
#include "compute/cuda/tile/attend.cuh"

namespace
{

/* Four neighbouring columns of a sequence's numbers into high and low. */
__device__ __forceinline__ void put_four(const struct block *b, uint32_t seq, uint32_t column, uint4 v)
{
	uint2 high = make_uint2(byte_select(v.x, v.y, 0x5410), byte_select(v.z, v.w, 0x5410));
	*reinterpret_cast<uint2 *>(high_of(b, seq) + column) = high;
	if (FULL)
		*reinterpret_cast<uint2 *>(low_of(b, seq) + column) =
			make_uint2(byte_select(v.x, v.y, 0x7632), byte_select(v.z, v.w, 0x7632));
}

__device__ __forceinline__ void pad_columns(const struct block *b, uint32_t k)
{
	uint32_t i = k + b->thread;
	if (i < (k + 31) / 32 * 32)
		for (uint32_t s = 0; s < n_seqs_of(b); s++) {
			high_of(b, s)[i] = 0;
			if (FULL)
				low_of(b, s)[i] = 0;
		}
}

/* FULL: sums of 32 activations, for formats with mins; in the order of the stored slots: columns 2j, 2j + 1
 * of each eight, for j = 0 .. 3. Ends with a barrier. */
__device__ __forceinline__ void sum_chunks(const struct block *b, uint32_t k, bool mins)
{
	if constexpr (FULL) {
		uint32_t n = (k + 31) / 32;
		if (!mins)
			return;
		for (uint32_t at = b->thread; at < 2 * n * n_seqs_of(b); at += WORKERS) {
			uint32_t s = SEQS == 1 ? 0 : at / (2 * n), i = at - s * 2 * n;
			const uint4 *x = reinterpret_cast<const uint4 *>(i < n ? high_of(b, s) + i * 32
									       : low_of(b, s) + (i - n) * 32);
			uint4 v[4] = {x[0], x[1], x[2], x[3]};
			float sum = 0;
#pragma unroll
			for (int slot = 0; slot < 16; slot++) {
				uint32_t two = attend_word(v[slot % 4], slot / 4);
				sum = slot ? sum + half_bits_to_float((uint16_t)two)
					   : half_bits_to_float((uint16_t)two);
				sum = sum + half_bits_to_float((uint16_t)(two >> 16));
			}
			sums_of_chunks(b, s)[2 * (i < n ? i : i - n) + (i >= n)] = sum;
		}
		sync_workers();
	}
}

/* Packed words of another phase become the next product's operand. */
__device__ __forceinline__ void put_words(const struct block *b, uint32_t seq, uint32_t i, uint4 v)
{
	if (FULL)
		put_four(b, seq, 4 * i, v);
	else
		reinterpret_cast<uint4 *>(high_of(b, seq))[i] = v;
}

__device__ __forceinline__ void receive_packed(const struct block *b, uint32_t at, uint32_t k, bool mins)
{
	enum { AT_ONCE = FULL ? 4 : 5 };
	uint32_t n = k / (4 * WORD_NUMBERS);
	for (uint32_t i = b->thread; i < n; i += AT_ONCE * WORKERS) {
		uint4 v[AT_ONCE];
#pragma unroll
		for (uint32_t q = 0; q < AT_ONCE; q++)
			if (i + q * WORKERS < n)
				v[q] = load_words(b->a->now + at + 4 * (i + q * WORKERS));
#pragma unroll
		for (uint32_t q = 0; q < AT_ONCE; q++)
			if (i + q * WORKERS < n) {
				if (!all_there(v[q]))
					v[q] = await_words(b->a->now + at + 4 * (i + q * WORKERS));
				put_words(b, 0, i + q * WORKERS, v[q]);
			}
	}
	pad_columns(b, k);
	sync_workers();
	sum_chunks(b, k, mins);
}

__device__ __forceinline__ float4 add_words(float4 x, uint4 v)
{
	x.x += __uint_as_float(v.x), x.y += __uint_as_float(v.y);
	x.z += __uint_as_float(v.z), x.w += __uint_as_float(v.w);
	return x;
}

__device__ __forceinline__ float4 floats_of(uint4 v)
{
	float4 x;
	x.x = __uint_as_float(v.x), x.y = __uint_as_float(v.y);
	x.z = __uint_as_float(v.z), x.w = __uint_as_float(v.w);
	return x;
}

__device__ __forceinline__ float add_squares(float sum, float4 x)
{
	sum = fmaf(x.x, x.x, sum), sum = fmaf(x.y, x.y, sum);
	return fmaf(x.w, x.w, fmaf(x.z, x.z, sum));
}

__device__ __forceinline__ void put_normed(const struct block *b, uint32_t seq, uint32_t column, float4 x,
					   float scale, float4 w)
{
	put_four(b, seq, column,
		 make_uint4(to_halves(x.x * scale * w.x), to_halves(x.y * scale * w.y),
			    to_halves(x.z * scale * w.z), to_halves(x.w * scale * w.w)));
}

__device__ __forceinline__ float4 four_of(const float *p, uint32_t i)
{
	return *reinterpret_cast<const float4 *>(p + 4 * i);
}

/* The thread's fours of x are raised by the words at `at` (unless CUDA_NOTHING); returns their squares' sum,
 * in the order of the fours. The first stay in kept. */
__device__ __forceinline__ float raise_fours(struct block *b, uint32_t at, float4 kept[NORM_KEPT])
{
	uint32_t t = b->thread, n = b->a->d_model / 4;
	const uint32_t *words = b->a->now + at;
	bool add = at != CUDA_NOTHING;
	uint4 v[NORM_KEPT] = {};
	float sum = 0;
#pragma unroll
	for (uint32_t q = 0; q < NORM_KEPT; q++)
		if (t + q * WORKERS < n) {
			if (add)
				v[q] = load_words(words + 4 * (t + q * WORKERS));
			kept[q] = four_of(shared_x(b), t + q * WORKERS);
		}
#pragma unroll
	for (uint32_t q = 0; q < NORM_KEPT; q++)
		if (t + q * WORKERS < n) {
			if (add) {
				if (!all_there(v[q]))
					v[q] = await_words(words + 4 * (t + q * WORKERS));
				kept[q] = add_words(kept[q], v[q]);
			}
			sum = add_squares(sum, kept[q]);
		}
	for (uint32_t i = t + NORM_KEPT * WORKERS; i < n; i += WORKERS) {
		float4 x = four_of(shared_x(b), i);
		if (add) {
			x = add_words(x, await_words(words + 4 * i));
			*reinterpret_cast<float4 *>(shared_x(b) + 4 * i) = x;
		}
		sum = add_squares(sum, x);
	}
	return sum;
}

/* Sum i (0, 1: not the one before) of the threads' sums, for all. */
__device__ __forceinline__ float sum_workers(const struct block *b, float sum, uint32_t i)
{
	float *sums = reinterpret_cast<float *>(shared_reduce(b)) + i * A16_NORM_SUMS / 32;
	for (int bit = 16; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, bit);
	if (b->thread % 32 == 0)
		sums[b->thread / 32] = sum;
	sync_workers();
	return a16_norm_total(sums);
}

/* x += scale * norm of the words at `at`, or of the words themselves where weight is NULL. A thread's fours
 * of x are those that it norms later. */
__device__ __forceinline__ void raise_by_post(struct block *b, uint32_t at, const float *weight, float factor)
{
	uint32_t t = b->thread, n = b->a->d_model / 4;
	const uint32_t *words = b->a->now + at;
	uint4 kept[NORM_KEPT] = {};
	float sum = 0, scale = 1;
#pragma unroll
	for (uint32_t q = 0; q < NORM_KEPT; q++)
		if (t + q * WORKERS < n) {
			kept[q] = await_words(words + 4 * (t + q * WORKERS));
			sum = add_squares(sum, floats_of(kept[q]));
		}
	if (weight) {
		for (uint32_t i = t + NORM_KEPT * WORKERS; i < n; i += WORKERS)
			sum = add_squares(sum, floats_of(await_words(words + 4 * i)));
		scale = near_rsqrt(fmaf(sum_workers(b, sum, 1), b->a->inverse_d, b->a->eps));
	}
	for (uint32_t i = t, q = 0; i < n; i += WORKERS, q++) {
		uint4 v = q == 0 ? kept[0] : q < NORM_KEPT ? kept[NORM_KEPT - 1] : await_words(words + 4 * i);
		float4 y = floats_of(v), x = four_of(shared_x(b), i);
		if (weight) {
			float4 w = four_of(weight, i);
			y.x = y.x * scale * w.x, y.y = y.y * scale * w.y;
			y.z = y.z * scale * w.z, y.w = y.w * scale * w.w;
		}
		x.x = x.x + y.x * factor, x.y = x.y + y.y * factor;
		x.z = x.z + y.z * factor, x.w = x.w + y.w * factor;
		*reinterpret_cast<float4 *>(shared_x(b) + 4 * i) = x;
	}
}

/* x as it is into high and low. */
__device__ __forceinline__ void receive_rows(struct block *b, bool mins)
{
	for (uint32_t i = b->thread; i < b->a->d_model / 4; i += WORKERS) {
		float4 x = four_of(shared_x(b), i);
		put_four(b, 0, 4 * i,
			 make_uint4(to_halves(x.x), to_halves(x.y), to_halves(x.z), to_halves(x.w)));
	}
	pad_columns(b, b->a->d_model);
	sync_workers();
	sum_chunks(b, b->a->d_model, mins);
}

/* x += words at `at` (unless CUDA_NOTHING), then RMSNorm of x into high and low. */
__device__ __forceinline__ void receive_norm(struct block *b, uint32_t at, const float *weight, bool mins)
{
	uint32_t t = b->thread, n = b->a->d_model / 4;
	float *sums = reinterpret_cast<float *>(shared_reduce(b));
	float4 x[NORM_KEPT] = {}, w[NORM_KEPT] = {};
#pragma unroll
	for (uint32_t q = 0; q < NORM_KEPT; q++)
		if (t + q * WORKERS < n)
			w[q] = four_of(weight, t + q * WORKERS);
	float sum = raise_fours(b, at, x);
	for (int bit = 16; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, bit);
	if (t % 32 == 0)
		sums[t / 32] = sum;
	sync_workers();
	float scale = near_rsqrt(fmaf(a16_norm_total(sums), b->a->inverse_d, b->a->eps));
#pragma unroll
	for (uint32_t q = 0; q < NORM_KEPT; q++)
		if (t + q * WORKERS < n) {
			put_normed(b, 0, 4 * (t + q * WORKERS), x[q], scale, w[q]);
			if (at != CUDA_NOTHING)
				*reinterpret_cast<float4 *>(shared_x(b) + 4 * (t + q * WORKERS)) = x[q];
		}
	for (uint32_t i = t + NORM_KEPT * WORKERS; i < n; i += WORKERS)
		put_normed(b, 0, 4 * i, four_of(shared_x(b), i), scale, four_of(weight, i));
	pad_columns(b, b->a->d_model);
	sync_workers();
	sum_chunks(b, b->a->d_model, mins);
}

} // namespace
#endif
