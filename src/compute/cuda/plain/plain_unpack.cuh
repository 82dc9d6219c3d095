/*
 * Block formats in registers: load8 gives eight elements of a row as float32, the bits of model/format.h's
 * dequantise. Eight at once, an *eight*, because that is what one aligned load of 4 to 16 bytes
 * holds: they come as two runs of four, from columns a and b of the row.
 *
 * Consecutive eights lie in consecutive memory, so a warp whose lanes take consecutive eights reads whole
 * lines.
 */
#ifndef COMPUTE_CUDA_PLAIN_UNPACK_CUH
#define COMPUTE_CUDA_PLAIN_UNPACK_CUH

#include "compute/cuda/plain/plain_kernels.h"
#include "compute/cuda/ptx.cuh"

struct eight {
	float w[8]; /* columns a .. a + 3, b .. b + 3 */
	uint32_t a, b;
};

template <int FORMAT>
__device__ __forceinline__ void load8(const uint8_t *main, const uint8_t *side, uint32_t u,
				      struct eight *out);

static __device__ __forceinline__ uint32_t word_at(const uint8_t *p)
{
	return *reinterpret_cast<const uint32_t *>(p);
}

static __device__ __forceinline__ float half_at(const uint8_t *p)
{
	return half_bits_to_float(*reinterpret_cast<const uint16_t *>(p));
}

/* Low and high half of a word as floats. */
static __device__ __forceinline__ float low_half(uint32_t w)
{
	return half_bits_to_float((uint16_t)w);
}

static __device__ __forceinline__ float high_half(uint32_t w)
{
	return half_bits_to_float((uint16_t)(w >> 16));
}

static __device__ __forceinline__ void plain_columns(uint32_t u, struct eight *out)
{
	out->a = 8 * u;
	out->b = 8 * u + 4;
}

template <>
__device__ __forceinline__ void load8<CUDA_F32>(const uint8_t *main, const uint8_t *, uint32_t u,
						struct eight *out)
{
	const float4 *p = reinterpret_cast<const float4 *>(main) + 2 * u;
	float4 x = p[0], y = p[1];
	out->w[0] = x.x, out->w[1] = x.y, out->w[2] = x.z, out->w[3] = x.w;
	out->w[4] = y.x, out->w[5] = y.y, out->w[6] = y.z, out->w[7] = y.w;
	plain_columns(u, out);
}

template <>
__device__ __forceinline__ void load8<CUDA_F16>(const uint8_t *main, const uint8_t *, uint32_t u,
						struct eight *out)
{
	uint4 p = reinterpret_cast<const uint4 *>(main)[u];
	out->w[0] = low_half(p.x), out->w[1] = high_half(p.x);
	out->w[2] = low_half(p.y), out->w[3] = high_half(p.y);
	out->w[4] = low_half(p.z), out->w[5] = high_half(p.z);
	out->w[6] = low_half(p.w), out->w[7] = high_half(p.w);
	plain_columns(u, out);
}

template <>
__device__ __forceinline__ void load8<CUDA_BF16>(const uint8_t *main, const uint8_t *, uint32_t u,
						 struct eight *out)
{
	uint4 p = reinterpret_cast<const uint4 *>(main)[u];
	out->w[0] = bf16_bits_to_float(p.x & 0xFFFF), out->w[1] = bf16_bits_to_float(p.x >> 16);
	out->w[2] = bf16_bits_to_float(p.y & 0xFFFF), out->w[3] = bf16_bits_to_float(p.y >> 16);
	out->w[4] = bf16_bits_to_float(p.z & 0xFFFF), out->w[5] = bf16_bits_to_float(p.z >> 16);
	out->w[6] = bf16_bits_to_float(p.w & 0xFFFF), out->w[7] = bf16_bits_to_float(p.w >> 16);
	plain_columns(u, out);
}

template <>
__device__ __forceinline__ void load8<CUDA_Q8_0>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	uint2 p = reinterpret_cast<const uint2 *>(main)[u];
	float d = half_at(side + u / 4 * 2);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = (float)(int8_t)(p.x >> 8 * j) * d;
		out->w[4 + j] = (float)(int8_t)(p.y >> 8 * j) * d;
	}
	plain_columns(u, out);
}

/* Blocks of 32: byte i of the quants holds elements i (low nibble) and i + 16. */
static __device__ __forceinline__ void nibble_columns(uint32_t u, struct eight *out)
{
	out->a = u / 4 * 32 + u % 4 * 4;
	out->b = out->a + 16;
}

template <>
__device__ __forceinline__ void load8<CUDA_Q4_0>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	uint32_t q = word_at(main + 4 * u);
	float d = half_at(side + u / 4 * 2);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = (float)((int)(q >> 8 * j & 15) - 8) * d;
		out->w[4 + j] = (float)((int)(q >> (8 * j + 4) & 15) - 8) * d;
	}
	nibble_columns(u, out);
}

template <>
__device__ __forceinline__ void load8<CUDA_Q4_1>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	uint32_t q = word_at(main + 4 * u), dm = word_at(side + u / 4 * 4);
	float d = low_half(dm), m = high_half(dm);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = (float)(q >> 8 * j & 15) * d + m;
		out->w[4 + j] = (float)(q >> (8 * j + 4) & 15) * d + m;
	}
	nibble_columns(u, out);
}

/* The 5-bit kinds: 16 bytes of nibbles, then 32 fifth bits, bit i of element i. */
static __device__ __forceinline__ void five_bits(const uint8_t *main, uint32_t u, uint32_t low[4],
						 uint32_t high[4])
{
	const uint8_t *block = main + u / 4 * 20;
	uint32_t q = word_at(block + u % 4 * 4), bits = word_at(block + 16) >> (u % 4 * 4);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		low[j] = (q >> 8 * j & 15) | (bits >> j & 1) << 4;
		high[j] = (q >> (8 * j + 4) & 15) | (bits >> (16 + j) & 1) << 4;
	}
}

template <>
__device__ __forceinline__ void load8<CUDA_Q5_0>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	uint32_t low[4], high[4];
	five_bits(main, u, low, high);
	float d = half_at(side + u / 4 * 2);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = (float)((int)low[j] - 16) * d;
		out->w[4 + j] = (float)((int)high[j] - 16) * d;
	}
	nibble_columns(u, out);
}

template <>
__device__ __forceinline__ void load8<CUDA_Q5_1>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	uint32_t low[4], high[4], dm = word_at(side + u / 4 * 4);
	five_bits(main, u, low, high);
	float d = low_half(dm), m = high_half(dm);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = (float)low[j] * d + m;
		out->w[4 + j] = (float)high[j] * d + m;
	}
	nibble_columns(u, out);
}

/* The 6-bit scale and min of a group of a Q4_K or Q5_K block (12 bytes behind d and dmin), as
 * model/format_block256.c says. */
static __device__ __forceinline__ void scale_min(const uint8_t *s, uint32_t group, float *scale, float *min)
{
	uint32_t lo, hi;
	if (group < 4) {
		lo = s[group] & 63u;
		hi = s[group + 4] & 63u;
	} else {
		lo = (s[group + 4] & 15u) | (uint32_t)(s[group - 4] >> 6) << 4;
		hi = (uint32_t)(s[group + 4] >> 4) | (uint32_t)(s[group] >> 6) << 4;
	}
	*scale = (float)lo;
	*min = (float)hi;
}

/* Where eight elements of a Q4_K or Q5_K block stand: word i of the 32 bytes of a pair of groups. */
struct k_unit {
	const uint8_t *block;
	uint32_t pair, i;
	float scale[2], min[2]; /* of the pair's groups, times d and dmin */
};

static __device__ __forceinline__ struct k_unit k_locate(const uint8_t *main, uint32_t block_bytes,
							 uint32_t u, struct eight *out)
{
	struct k_unit k;
	k.block = main + (uint64_t)(u / 32) * block_bytes;
	k.pair = u / 8 % 4;
	k.i = u % 8;
	uint32_t dd = word_at(k.block);
	float d = low_half(dd), dmin = high_half(dd);
#pragma unroll
	for (uint32_t h = 0; h < 2; h++) {
		float scale, min;
		scale_min(k.block + 4, 2 * k.pair + h, &scale, &min);
		k.scale[h] = d * scale;
		k.min[h] = dmin * min;
	}
	out->a = u / 32 * 256 + k.pair * 64 + k.i * 4;
	out->b = out->a + 32;
	return k;
}

template <>
__device__ __forceinline__ void load8<CUDA_Q4_K>(const uint8_t *main, const uint8_t *, uint32_t u,
						 struct eight *out)
{
	struct k_unit k = k_locate(main, 144, u, out);
	uint32_t q = word_at(k.block + 16 + k.pair * 32 + k.i * 4);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = k.scale[0] * (float)(q >> 8 * j & 15) - k.min[0];
		out->w[4 + j] = k.scale[1] * (float)(q >> (8 * j + 4) & 15) - k.min[1];
	}
}

template <>
__device__ __forceinline__ void load8<CUDA_Q5_K>(const uint8_t *main, const uint8_t *, uint32_t u,
						 struct eight *out)
{
	struct k_unit k = k_locate(main, 176, u, out);
	uint32_t q = word_at(k.block + 48 + k.pair * 32 + k.i * 4);
	uint32_t bits = word_at(k.block + 16 + k.i * 4) >> (2 * k.pair);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		uint32_t low = (q >> 8 * j & 15) | (bits >> 8 * j & 1) << 4;
		uint32_t high = (q >> (8 * j + 4) & 15) | (bits >> (8 * j + 1) & 1) << 4;
		out->w[j] = k.scale[0] * (float)low - k.min[0];
		out->w[4 + j] = k.scale[1] * (float)high - k.min[1];
	}
}

/* A block: 128 bytes of low bits, 64 of high bits, 16 scales. Word i of the 32 bytes of (half, group) holds
 * the groups `group` (low nibbles) and group + 2. */
template <>
__device__ __forceinline__ void load8<CUDA_Q6_K>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	const uint8_t *block = main + (uint64_t)(u / 32) * 208;
	uint32_t half = u / 16 % 2, group = u / 8 % 2, i = u % 8;
	uint32_t q = word_at(block + half * 64 + group * 32 + i * 4);
	uint32_t bits = word_at(block + 128 + half * 32 + i * 4) >> (2 * group);
	const int8_t *scales = reinterpret_cast<const int8_t *>(block + 192) + half * 8 + i / 4;
	float d = half_at(side + u / 32 * 2);
	float low_d = d * (float)scales[2 * group], high_d = d * (float)scales[2 * group + 4];
#pragma unroll
	for (int j = 0; j < 4; j++) {
		int low = (int)((q >> 8 * j & 15) | (bits >> 8 * j & 3) << 4) - 32;
		int high = (int)((q >> (8 * j + 4) & 15) | (bits >> (8 * j + 4) & 3) << 4) - 32;
		out->w[j] = low_d * (float)low;
		out->w[4 + j] = high_d * (float)high;
	}
	out->a = u / 32 * 256 + half * 128 + group * 32 + i * 4;
	out->b = out->a + 64;
}

/* Where eight elements of a Q2_K or Q3_K block stand: word i of the 32 bytes of a half holds four elements of
 * each of its four groups; a unit takes those of a pair of groups. A scale serves 16 elements: `sixteen` is
 * the one of the pair's first group, the second group's is two further. */
struct pair_unit {
	uint32_t half, pair, i, sixteen;
};

static __device__ __forceinline__ struct pair_unit pair_locate(uint32_t u, struct eight *out)
{
	struct pair_unit p;
	p.half = u / 16 % 2;
	p.pair = u / 8 % 2;
	p.i = u % 8;
	p.sixteen = p.half * 8 + p.pair * 4 + p.i / 4;
	out->a = u / 32 * 256 + p.half * 128 + p.pair * 64 + p.i * 4;
	out->b = out->a + 32;
	return p;
}

/* A block: 16 bytes of scales (low halves) and mins (high halves), 64 of quants, d and dmin. */
template <>
__device__ __forceinline__ void load8<CUDA_Q2_K>(const uint8_t *main, const uint8_t *, uint32_t u,
						 struct eight *out)
{
	const uint8_t *block = main + (uint64_t)(u / 32) * 84;
	struct pair_unit p = pair_locate(u, out);
	uint32_t q = word_at(block + 16 + p.half * 32 + p.i * 4) >> (4 * p.pair), dd = word_at(block + 80);
	uint32_t low = block[p.sixteen], high = block[p.sixteen + 2];
	float d = low_half(dd), dmin = high_half(dd);
	float low_d = d * (float)(low & 15), low_min = dmin * (float)(low >> 4);
	float high_d = d * (float)(high & 15), high_min = dmin * (float)(high >> 4);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = low_d * (float)(q >> 8 * j & 3) - low_min;
		out->w[4 + j] = high_d * (float)(q >> (8 * j + 2) & 3) - high_min;
	}
}

/* Scale s of a Q3_K block (12 bytes), as model/format_block256.c says. */
static __device__ __forceinline__ float q3_scale(const uint8_t *scales, uint32_t s)
{
	uint32_t low = scales[s % 8] >> (s / 8 * 4) & 15u, high = scales[8 + s % 4] >> (s / 4 * 2) & 3u;
	return (float)((int)(low | high << 4) - 32);
}

/* A block: 32 bytes of third bits, 64 of low bits, 12 of scales. */
template <>
__device__ __forceinline__ void load8<CUDA_Q3_K>(const uint8_t *main, const uint8_t *side, uint32_t u,
						 struct eight *out)
{
	const uint8_t *block = main + (uint64_t)(u / 32) * 108;
	struct pair_unit p = pair_locate(u, out);
	uint32_t q = word_at(block + 32 + p.half * 32 + p.i * 4) >> (4 * p.pair);
	uint32_t bits = word_at(block + p.i * 4) >> (4 * p.half + 2 * p.pair);
	float d = half_at(side + u / 32 * 2);
	float low_d = d * q3_scale(block + 96, p.sixteen), high_d = d * q3_scale(block + 96, p.sixteen + 2);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		int low = (int)((q >> 8 * j & 3) | (bits >> 8 * j & 1) << 2) - 4;
		int high = (int)((q >> (8 * j + 2) & 3) | (bits >> (8 * j + 1) & 1) << 2) - 4;
		out->w[j] = low_d * (float)low;
		out->w[4 + j] = high_d * (float)high;
	}
}

/* IQ4_VALUES, eight signed bytes a word. */
static __device__ __forceinline__ float iq4_value(uint32_t q)
{
	uint64_t eight = q & 8 ? 0x7159453526190D01ull : 0xF6EADDCFBFAD9881ull;
	return (float)(int8_t)(eight >> (q & 7) * 8);
}

template <>
__device__ __forceinline__ void load8<CUDA_IQ4_NL>(const uint8_t *main, const uint8_t *side, uint32_t u,
						   struct eight *out)
{
	uint32_t q = word_at(main + 4 * u);
	float d = half_at(side + u / 4 * 2);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = d * iq4_value(q >> 8 * j & 15);
		out->w[4 + j] = d * iq4_value(q >> (8 * j + 4) & 15);
	}
	nibble_columns(u, out);
}

/* A block: d, two high bits of each group's scale, four low bits of each, 128 bytes of quants. */
template <>
__device__ __forceinline__ void load8<CUDA_IQ4_XS>(const uint8_t *main, const uint8_t *, uint32_t u,
						   struct eight *out)
{
	const uint8_t *block = main + (uint64_t)(u / 32) * 136;
	uint32_t group = u / 4 % 8, head = word_at(block), q = word_at(block + 8 + u % 32 * 4);
	uint32_t low = block[4 + group / 2] >> (group % 2 * 4) & 15u, high = head >> (16 + 2 * group) & 3;
	float d = low_half(head) * (float)((int)(low | high << 4) - 32);
#pragma unroll
	for (int j = 0; j < 4; j++) {
		out->w[j] = d * iq4_value(q >> 8 * j & 15);
		out->w[4 + j] = d * iq4_value(q >> (8 * j + 4) & 15);
	}
	nibble_columns(u, out);
}

#endif
