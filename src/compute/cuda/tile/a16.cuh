/*
 * Activations as halves: how a float is split into planes, and how four lanes store a chunk of a
 * struct tile_activations.
 */
#ifndef COMPUTE_CUDA_A16_CUH
#define COMPUTE_CUDA_A16_CUH

#include "compute/cuda/ptx.cuh"
#include "compute/cuda/tile/tile_kernels.h"
#include "model/spec.h"

/* Two numbers as pairs of halves: x in the low half, y in the high half. */
static __device__ __forceinline__ uint32_t a16_high(float x, float y)
{
	return half2_pack(half_limit(x), half_limit(y));
}

/* What `high` = a16_high(x, y) leaves of them. */
static __device__ __forceinline__ uint32_t a16_low(float x, float y, uint32_t high)
{
	return half2_pack(half_limit(x - half_bits_to_float((uint16_t)high)),
			  half_limit(y - half_bits_to_float((uint16_t)(high >> 16))));
}

/* RMSNorm: how many sums of squares a row's are cut into; how the sixteen sums of 32 of them are added, four
 * at a time. */
enum { A16_NORM_SUMS = 512 };
static __device__ __forceinline__ float a16_norm_total(const float sums[A16_NORM_SUMS / 32])
{
	const float4 *s = reinterpret_cast<const float4 *>(sums);
	float4 a = s[0], b = s[1], c = s[2], d = s[3];
	return (a.x + a.y + (a.z + a.w) + (b.x + b.y + (b.z + b.w))) +
	       (c.x + c.y + (c.z + c.w) + (d.x + d.y + (d.z + d.w)));
}

/* The norm of a head: the squares of four of its numbers, after `sum` of those before. */
static __device__ __forceinline__ float head_norm_squares(float sum, float p0, float p1, float q0, float q1)
{
	return fmaf(q1, q1, fmaf(q0, q0, fmaf(p1, p1, fmaf(p0, p0, sum))));
}

/* What a head's numbers are multiplied by, where each of `lanes` neighbouring lanes (8, 16 or 32, and the first is
 * a multiple of it) has the squares of some of them: 1 / sqrt(mean of squares + eps). By a whole warp. */
static __device__ __forceinline__ float head_norm_scale(float sum, uint32_t lanes, float inverse, float eps)
{
	for (uint32_t bit = lanes / 2; bit >= 1; bit /= 2)
		sum = sum + __shfl_xor_sync(FULL_WARP, sum, (int)bit);
	return near_rsqrt(fmaf(sum, inverse, eps));
}

/* SwiGLU: gate / (1 + exp(-gate)) * up. */
static __device__ __forceinline__ float a16_gated(float gate, float up)
{
	return gate * near_reciprocal(1.0f + expf(-gate)) * up;
}

/* act(gate) * up; act is an activation_kind. */
static __device__ __forceinline__ float a16_gated_by(uint32_t act, float gate, float up)
{
	if (act == ACT_GELU_TANH) /* sqrt(2 / pi) */
		return 0.5f * gate * (1.0f + tanhf(0.79788456f * (gate + 0.044715f * gate * gate * gate))) * up;
	if (act == ACT_GELU) /* 1 / sqrt(2) */
		return 0.5f * gate * (1.0f + erff(gate * 0.70710678f)) * up;
	return a16_gated(gate, up);
}

/* A number that is capped: cap * tanh(x / cap). */
static __device__ __forceinline__ float a16_capped(float x, float cap)
{
	return cap * tanhf(x / cap);
}

/* What q of a position is multiplied by where scores grow with it (struct attn_spec). */
static __device__ __forceinline__ float a16_temperature(float temperature, uint32_t every, uint32_t pos)
{
	return 1.0f + temperature * logf(1.0f + floorf((float)pos / (float)every));
}

/* Where a column lies in its row. */
static __device__ __forceinline__ uint32_t a16_slot(uint32_t column)
{
	uint32_t c = column % TILE_CHUNK;
	return column - c + c % 8 / 4 * 16 + c % 4 / 2 * 8 + c / 8 * 2 + c % 2;
}

/* The sum of a chunk's 32 halves in the order of their slots; lane t of each four lanes has slots 8t .. 8t +
 * 7, and lane 3's result is it. By a whole warp. */
static __device__ __forceinline__ float a16_chunk_sum(const uint32_t w[4])
{
	uint32_t lane = threadIdx.x % 32;
	float sum = 0;
#pragma unroll
	for (uint32_t owner = 0; owner < 4; owner++) {
		float before = __shfl_sync(FULL_WARP, sum, (int)((lane & ~3u) + (owner ? owner - 1 : 0)));
#pragma unroll
		for (uint32_t i = 0; i < 8; i++) {
			float v = half_bits_to_float((uint16_t)(w[i / 2] >> (i % 2 ? 16 : 0)));
			before = owner + i ? before + v : v;
		}
		sum = before;
	}
	return sum;
}

/* Stores a chunk of token `token`: lane t of each four lanes gives columns 8i + 2t + e (i = 0 .. 3, e = 0, 1)
 * of it as v[2i + e], which are its slots 8t .. 8t + 7. By a whole warp; lanes with `write` false only take
 * part. */
static __device__ __forceinline__ void a16_put(const struct tile_activations *a, uint32_t token,
					       uint32_t chunk, bool write, const float v[8])
{
	uint32_t t = threadIdx.x % 4, high[4], low[4];
#pragma unroll
	for (int i = 0; i < 4; i++) {
		high[i] = a16_high(v[2 * i], v[2 * i + 1]);
		low[i] = a->planes == 2 ? a16_low(v[2 * i], v[2 * i + 1], high[i]) : 0;
	}
	uint64_t row = (uint64_t)a->planes * token;
	if (write) {
		uint16_t *to = a->halves + row * a->pitch + chunk * TILE_CHUNK + 8 * t;
		*reinterpret_cast<uint4 *>(to) = make_uint4(high[0], high[1], high[2], high[3]);
		if (a->planes == 2)
			*reinterpret_cast<uint4 *>(to + a->pitch) =
				make_uint4(low[0], low[1], low[2], low[3]);
	}
	if (!a->sums)
		return;
	uint32_t n = a->pitch / TILE_CHUNK;
	float sum = a16_chunk_sum(high), rest = a->planes == 2 ? a16_chunk_sum(low) : 0.0f;
	if (write && t == 3) {
		a->sums[row * n + chunk] = sum;
		if (a->planes == 2)
			a->sums[(row + 1) * n + chunk] = rest;
	}
}

#endif
