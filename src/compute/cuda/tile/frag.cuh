/*
 * Units of the tile layout (tile_layout.h) in registers. The same fragments are operand B of decode's
 * mma.sync (8 rows of weights) and operand A of prefill's wgmma (16 rows: two tiles), so both compute the
 * same bits.
 *
 * A chunk (32 columns) of a lane is four registers of two halves: r[0], r[1] for the first k16, r[2], r[3]
 * for the second. HALF gives weights (dequantised, rounded once to a half by the last operation); FULL gives
 * the block's integers, and frag_scale() what they are multiplied by, in float32.
 */
#ifndef COMPUTE_CUDA_FRAG_CUH
#define COMPUTE_CUDA_FRAG_CUH

#include "compute/cuda/ptx.cuh"
#include "compute/cuda/tile/tile_layout.h"

/* What is known of a format when compiling. FULL: a minimum of 32 columns is multiplied by their sum
 * (`sums`), one of 16 by a product of ones. */
template <int FORMAT> struct frag_traits;
#define FRAG_TRAITS(NAME, BYTES, COLUMNS, HALVES, MINS, SCALES)                                      \
	template <> struct frag_traits<CUDA_##NAME> {                                                \
		enum {                                                                               \
			unit_bytes = BYTES,                                                          \
			chunks = COLUMNS / 32,                                                       \
			halves = HALVES,      /* planes of them that are the weights; 0: integers */ \
			scaled = HALVES == 0, /* FULL: integers and scales, not weights */           \
			mins = MINS,                                                                 \
			scales = SCALES, /* of a row in a chunk */                                   \
			sums = (MINS) == 1 && (SCALES) == 1,                                         \
			ones = (MINS) == 1 && (SCALES) > 1,                                          \
		};                                                                                   \
	}
FRAG_TRAITS(F16, 512, 32, 1, 0, 1);
FRAG_TRAITS(BF16, 512, 32, 1, 0, 1);
FRAG_TRAITS(F32, 1024, 32, 2, 0, 1);
FRAG_TRAITS(Q8_0, 272, 32, 0, 0, 1);
FRAG_TRAITS(Q4_0, 144, 32, 0, 0, 1);
FRAG_TRAITS(Q4_1, 160, 32, 0, 1, 1);
FRAG_TRAITS(Q5_0, 176, 32, 0, 0, 1);
FRAG_TRAITS(Q5_1, 192, 32, 0, 1, 1);
FRAG_TRAITS(IQ4_NL, 160, 32, 0, 0, 1);
FRAG_TRAITS(Q4_K, 1184, 256, 0, 1, 1);
FRAG_TRAITS(Q5_K, 1440, 256, 0, 1, 1);
FRAG_TRAITS(Q6_K, 1680, 256, 0, 0, 2);
FRAG_TRAITS(Q2_K, 672, 256, 0, 1, 2);
#undef FRAG_TRAITS

#define HALF2_1024 0x64006400u /* 1024, 1024: its low bits count in ones */
#define HALF2_ONES 0x3C003C00u /* 1, 1 */

static __device__ __forceinline__ uint32_t frag_u32(const uint8_t *p)
{
	return *reinterpret_cast<const uint32_t *>(p);
}
static __device__ __forceinline__ uint32_t frag_u16(const uint8_t *p)
{
	return *reinterpret_cast<const uint16_t *>(p);
}

/*
 * Nibbles as halves of 1024 + n in r[0], r[2] and of 1024 + 16 n in r[1], r[3], where they lie four bits
 * higher (one shift for all four). Then bits above the nibbles, in the same places; their layouts
 * (tile_layout.h) are such that one word, and the same two bits further down, has all of them in place.
 */
static __device__ __forceinline__ void frag_nibbles(uint32_t w, uint32_t r[4])
{
#pragma unroll
	for (int i = 0; i < 4; i += 2, w >>= 8) {
		r[i] = and_or(w, 0x000F000Fu, HALF2_1024);
		r[i + 1] = and_or(w, 0x00F000F0u, HALF2_1024);
	}
}
/* Q4_K: its nibbles in r, in bits 6 .. 9 and 22 .. 25, under what `bits` has. */
static __device__ __forceinline__ void frag_rotated(uint32_t w, uint32_t bits, uint32_t r[4])
{
	const uint32_t mask = 0x03C003C0u;
	r[0] = and_or(w, mask, bits);
	r[1] = and_or(w << 4, mask, bits);
	r[2] = and_or(w >> 4, mask, bits);
	r[3] = and_or(rotate_left(w, 8), mask, bits);
}
static __device__ __forceinline__ void frag_fifth(uint32_t byte, uint32_t r[4])
{
	uint32_t spread = byte * 0x80010u; /* bits 0, 4 at 4, 8 and 1, 5 at 20, 24; then 2, 6 and 3, 7 */
#pragma unroll
	for (int i = 0; i < 4; i += 2, spread >>= 2) {
		r[i] = and_or(spread, 0x00100010u, r[i]);
		r[i + 1] = and_or(spread, 0x01000100u, r[i + 1]);
	}
}
/* Q6_K: its numbers in r, in bits 4 .. 9 and 20 .. 25, under what `bits` has. odd: w.y is of two chunks. */
static __device__ __forceinline__ void frag_six(uint2 w, uint32_t odd, uint32_t bits, uint32_t r[4])
{
	const uint32_t mask = 0x03F003F0u;
	uint32_t spread = byte_select(w.y, 0, odd ? 0x3424u : 0x1404u); /* two bytes at 8 and 24 */
	r[0] = and_or(w.x, mask, bits);
	r[1] = and_or(w.x >> 6, mask, bits);
	r[2] = and_or(spread >> 6, mask, bits);
	r[3] = and_or(w.x << 4, 0x00F000F0u, and_or(spread, 0x03000300u, bits));
}

/* IQ4_NL: what eight nibbles stand for, + 128, as bytes: by their low three bits in one half of the table and
 * in the other, then by the fourth. */
static __device__ __forceinline__ uint32_t frag_four_of_table(uint32_t w)
{
	uint32_t three = w & 0x7777u, fourth = (w & 0x8888u) >> 1;
	uint32_t low = byte_select(0x3F2D1801u, 0x766A5D4Fu, three),
		 high = byte_select(0xA6998D81u, 0xF1D9C5B5u, three);
	return byte_select(low, high, fourth | 0x3210u);
}
static __device__ __forceinline__ uint2 frag_of_table(uint32_t w)
{
	return make_uint2(frag_four_of_table(w), frag_four_of_table(w >> 16));
}

/* What the numbers of a format are off by. */
template <int FORMAT> struct frag_offset {
	enum {
		bytes = FORMAT == CUDA_Q8_0 || FORMAT == CUDA_IQ4_NL,
		n = bytes                 ? 128
		    : FORMAT == CUDA_Q4_0 ? 8
		    : FORMAT == CUDA_Q5_0 ? 16
					  : 0,
		ones = (0x6400 + n) * 0x10001,             /* 1024 + n, as two halves */
		sixteenths = (0xD400 + 16 * n) * 0x10001u, /* -(64 + n) */
	};
};
#define HALF2_SIXTEENTH 0x2C002C00u
#define HALF2_16        0x4C004C00u /* 16, 16: its bits 6 .. 9 count in ones */
#define HALF2_64        0x54005400u /* 64, 64: its bits 4 .. 9 do */
#define HALF2_96        0x56005600u

enum { FRAG_SIX_HIGH = 1024 }; /* in a unit of Q6_K: words of two chunks */

enum { FRAG_K_SCALES_Q2 = 512, FRAG_K_SCALES_Q4 = 1024, FRAG_K_SCALES_Q5 = 1280, FRAG_K_SCALES_Q6 = 1536 };

/* What a lane needs of chunk c for its integers: bytes (Q8_0), or nibbles and the bits above them. */
template <int FORMAT>
static __device__ __forceinline__ uint2 frag_words(const uint8_t *unit, uint32_t c, uint32_t lane)
{
	if (FORMAT == CUDA_Q8_0)
		return *reinterpret_cast<const uint2 *>(unit + 8 * lane);
	if (FORMAT == CUDA_Q2_K)
		return make_uint2(frag_u16(unit + 64 * c + 2 * lane), 0);
	uint32_t above = 0;
	if (FORMAT == CUDA_Q5_0 || FORMAT == CUDA_Q5_1)
		above = unit[128 + lane];
	if (FORMAT == CUDA_Q5_K)
		above = unit[1024 + 32 * c + lane];
	if (FORMAT == CUDA_Q6_K)
		above = frag_u16(unit + FRAG_SIX_HIGH + c / 2 * 128 + 4 * lane + c % 2 * 2);
	return make_uint2(frag_u32(unit + 128 * c + 4 * lane), above);
}

/* The same for one chunk after another: an odd one's upper word came with the one before it, `before`. */
template <int FORMAT>
static __device__ __forceinline__ uint2 frag_next_words(const uint8_t *unit, uint32_t c, uint32_t lane,
							uint2 before)
{
	if (FORMAT != CUDA_Q6_K)
		return frag_words<FORMAT>(unit, c, lane);
	return make_uint2(frag_u32(unit + 128 * c + 4 * lane),
			  c % 2 ? before.y : frag_u32(unit + FRAG_SIX_HIGH + c / 2 * 128 + 4 * lane));
}

/* The integers as halves. */
template <int FORMAT> static __device__ __forceinline__ void frag_integers(uint2 w, uint32_t r[4])
{
	if (FORMAT == CUDA_Q4_K) {
		frag_rotated(w.x, HALF2_16, r);
#pragma unroll
		for (int i = 0; i < 4; i++)
			r[i] = half2_sub(r[i], HALF2_16);
		return;
	}
	if (FORMAT == CUDA_Q6_K) {
		frag_six(w, 0, HALF2_64, r);
#pragma unroll
		for (int i = 0; i < 4; i++)
			r[i] = half2_sub(r[i], HALF2_96);
		return;
	}
	if (FORMAT == CUDA_Q2_K) {
		uint32_t spread = byte_select(w.x, 0, 0x4140);
#pragma unroll
		for (int i = 0; i < 4; i++)
			r[i] = half2_sub(and_or(spread >> 2 * i, 0x00030003u, HALF2_1024), HALF2_1024);
		return;
	}
	if (FORMAT == CUDA_IQ4_NL)
		w = frag_of_table(w.x);
	if (frag_offset<FORMAT>::bytes) {
		r[0] = byte_select(w.x, 0x64646464u, 0x4140);
		r[1] = byte_select(w.x, 0x64646464u, 0x4342);
		r[2] = byte_select(w.y, 0x64646464u, 0x4140);
		r[3] = byte_select(w.y, 0x64646464u, 0x4342);
	} else {
		frag_nibbles(w.x, r);
		if (FORMAT == CUDA_Q5_0 || FORMAT == CUDA_Q5_1 || FORMAT == CUDA_Q5_K)
			frag_fifth(w.y, r);
	}
#pragma unroll
	for (int i = 0; i < 4; i++) /* exact, all of it */
		r[i] = frag_offset<FORMAT>::bytes || i % 2 == 0
			       ? half2_sub(r[i], frag_offset<FORMAT>::ones)
			       : half2_fma(r[i], HALF2_SIXTEENTH, (uint32_t)frag_offset<FORMAT>::sixteenths);
}

/* Two bytes as two halves. */
static __device__ __forceinline__ uint32_t halves_of_bytes(uint32_t two)
{
	return half2_sub(byte_select(two, 0x64646464u, 0x4140), HALF2_1024);
}

/* Formats of 256 columns, HALF: what row g's integers of chunk c are multiplied by, in the low half, and
 * added to (Q6_K: the same again), in the high one. t: the lane's place. Lanes of a row have the same but for
 * Q6_K's and Q2_K's, which pairs of lanes have. */
template <int FORMAT>
static __device__ __forceinline__ uint32_t frag_scale_word(const uint8_t *unit, uint32_t c, uint32_t g,
							   uint32_t t)
{
	if (FORMAT == CUDA_Q6_K) {
		uint32_t s = (uint32_t)unit[FRAG_K_SCALES_Q6 + 16 * c + 2 * g + t / 2] ^ 0x80u;
		s = half2_sub(half2_low(s | 0x6400u), 0x64806480u);
		return half2_mul(half2_low(frag_u16(unit + FRAG_K_SCALES_Q6 + 128 + 2 * g)), s);
	}
	if (FORMAT == CUDA_Q2_K) {
		uint32_t two = unit[FRAG_K_SCALES_Q2 + 16 * c + 2 * g + t / 2];
		return half2_mul(frag_u32(unit + FRAG_K_SCALES_Q2 + 128 + 4 * g) ^ 0x80000000u,
				 halves_of_bytes((two & 15u) | two >> 4 << 8));
	}
	const uint8_t *s = unit + (FORMAT == CUDA_Q4_K ? FRAG_K_SCALES_Q4 : FRAG_K_SCALES_Q5);
	return half2_mul(frag_u32(s + 128 + 4 * g) ^ 0x80000000u,
			 halves_of_bytes(frag_u16(s + 16 * c + 2 * g)));
}

/* HALF: what row g's integers of chunk c are multiplied by and added to, as pairs of halves. t: the lane's
 * place. */
template <int FORMAT>
static __device__ __forceinline__ void frag_half_scale(const uint8_t *unit, uint32_t c, uint32_t g,
						       uint32_t t, uint32_t *scale, uint32_t *add)
{
	uint32_t two;
	*add = 0;
	if (FORMAT == CUDA_Q8_0)
		*scale = half2_low(frag_u16(unit + 256 + 2 * g));
	if (FORMAT == CUDA_Q4_0)
		*scale = half2_low(frag_u16(unit + 128 + 2 * g));
	if (FORMAT == CUDA_Q5_0)
		*scale = half2_low(frag_u16(unit + 160 + 2 * g));
	if (FORMAT == CUDA_Q4_1 || FORMAT == CUDA_Q5_1) {
		two = frag_u32(unit + (FORMAT == CUDA_Q4_1 ? 128 : 160) + 4 * g);
		*scale = half2_low(two);
		*add = half2_high(two);
	}
	if (FORMAT == CUDA_IQ4_NL)
		*scale = half2_low(half2_pack(*reinterpret_cast<const float *>(unit + 128 + 4 * g), 0));
	if (FORMAT == CUDA_Q4_K || FORMAT == CUDA_Q5_K || FORMAT == CUDA_Q6_K || FORMAT == CUDA_Q2_K) {
		two = frag_scale_word<FORMAT>(unit, c, g, t);
		*scale = half2_low(two);
		*add = half2_high(two);
	}
}

/*
 * The short way to weights, HALF: integers stay as small as they are without anything above them, 2^-18
 * (Q4_K) or 2^-20 (Q6_K) of their size, and what they are multiplied by is so much larger. Exact, and so the
 * same weights, where no scale is as large as frag_wide says. scale: of frag_scale_word's; the result is what
 * the small integers are multiplied by, and added to.
 */
template <int FORMAT> static __device__ __forceinline__ uint32_t frag_scale_short(uint32_t scale)
{
	if (FORMAT == CUDA_Q4_K)
		return half2_mul(half2_mul(scale, 0x3C007800u), 0x3C004800u); /* 2^15, 1; 2^3, 1 */
	return half2_mul(half2_mul(scale, 0xBC007800u), 0x50005000u);         /* 2^15, -1; 2^5, 2^5 */
}
template <int FORMAT> static __device__ __forceinline__ bool frag_wide(uint32_t scale)
{
	return (scale & 0x7FFFu) >= (FORMAT == CUDA_Q4_K ? 0x3400u : 0x2C00u); /* 1/4, 1/16 */
}
/* odd: the chunk is, and w is frag_next_words'. */
template <int FORMAT> static __device__ __forceinline__ void frag_small(uint2 w, uint32_t odd, uint32_t r[4])
{
	if (FORMAT == CUDA_Q4_K)
		frag_rotated(w.x, 0, r);
	else
		frag_six(w, odd, 0, r);
}
/* Formats that have a short way. */
template <int FORMAT> struct frag_short {
	enum { is = FORMAT == CUDA_Q4_K || FORMAT == CUDA_Q6_K };
};
/* frag_small's integers to weights; scale: frag_scale_short's. */
static __device__ __forceinline__ void frag_weights_short(uint32_t r[4], uint32_t scale)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		r[i] = half2_fma(r[i], half2_low(scale), half2_high(scale));
}

/* HALF: integers to weights. */
template <int FORMAT>
static __device__ __forceinline__ void frag_weights(uint32_t r[4], uint32_t scale, uint32_t add)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		r[i] = frag_traits<FORMAT>::mins ? half2_fma(r[i], scale, add) : half2_mul(r[i], scale);
}

/* Registers of chunk c, of formats of halves: the weights (F16), or so many times as much (BF16); of F32 by
 * plane. */
static __device__ __forceinline__ void frag_halves(const uint8_t *unit, uint32_t plane, uint32_t lane,
						   uint32_t r[4])
{
	uint4 w = *reinterpret_cast<const uint4 *>(unit + 512 * plane + 16 * lane);
	r[0] = w.x, r[1] = w.y, r[2] = w.z, r[3] = w.w;
}

/* Registers of chunk c: weights (HALF, and formats of halves always) or integers (FULL). */
template <int FORMAT, int FULL>
static __device__ __forceinline__ void frag_load(const uint8_t *unit, uint32_t c, uint32_t lane,
						 uint32_t r[4])
{
	if (frag_traits<FORMAT>::halves > 0) {
		frag_halves(unit, 0, lane, r);
		return;
	}
	frag_integers<FORMAT>(frag_words<FORMAT>(unit, c, lane), r);
	if (FULL)
		return;
	uint32_t scale, add;
	frag_half_scale<FORMAT>(unit, c, lane / 4, lane % 4, &scale, &add);
	frag_weights<FORMAT>(r, scale, add);
}

/* FULL: the float32 scale of row `row` (0 .. 7) of chunk c; which: of Q6_K's and Q2_K's two. *add: what the
 * sum of the activations is multiplied by (formats with mins). */
template <int FORMAT>
static __device__ __forceinline__ float frag_scale(const uint8_t *unit, uint32_t c, uint32_t row,
						   uint32_t which, float *add)
{
	*add = 0;
	if (FORMAT == CUDA_Q8_0)
		return half_bits_to_float((uint16_t)frag_u16(unit + 256 + 2 * row));
	if (FORMAT == CUDA_Q4_0)
		return half_bits_to_float((uint16_t)frag_u16(unit + 128 + 2 * row));
	if (FORMAT == CUDA_Q5_0)
		return half_bits_to_float((uint16_t)frag_u16(unit + 160 + 2 * row));
	if (FORMAT == CUDA_Q4_1 || FORMAT == CUDA_Q5_1) {
		uint32_t two = frag_u32(unit + (FORMAT == CUDA_Q4_1 ? 128 : 160) + 4 * row);
		*add = half_bits_to_float((uint16_t)(two >> 16));
		return half_bits_to_float((uint16_t)two);
	}
	if (FORMAT == CUDA_Q4_K || FORMAT == CUDA_Q5_K) {
		const uint8_t *s = unit + (FORMAT == CUDA_Q4_K ? FRAG_K_SCALES_Q4 : FRAG_K_SCALES_Q5);
		uint32_t dd = frag_u32(s + 128 + 4 * row), two = frag_u16(s + 16 * c + 2 * row);
		*add = -(half_bits_to_float((uint16_t)(dd >> 16)) * (float)(two >> 8));
		return half_bits_to_float((uint16_t)dd) * (float)(two & 0xFFu);
	}
	if (FORMAT == CUDA_IQ4_NL)
		return *reinterpret_cast<const float *>(unit + 128 + 4 * row);
	if (FORMAT == CUDA_Q2_K) {
		uint32_t dd = frag_u32(unit + FRAG_K_SCALES_Q2 + 128 + 4 * row),
			 two = unit[FRAG_K_SCALES_Q2 + 16 * c + 2 * row + which];
		*add = -(half_bits_to_float((uint16_t)(dd >> 16)) * (float)(two >> 4));
		return half_bits_to_float((uint16_t)dd) * (float)(two & 15u);
	}
	if (FORMAT == CUDA_Q6_K) {
		int8_t s = (int8_t)unit[FRAG_K_SCALES_Q6 + 16 * c + 2 * row + which];
		return half_bits_to_float((uint16_t)frag_u16(unit + FRAG_K_SCALES_Q6 + 128 + 2 * row)) *
		       (float)s;
	}
	return 1.0f;
}

/* The registers of chunk c that one of Q6_K's or Q2_K's two scales belongs to: columns 0 .. 15 are lanes t =
 * 0, 1. */
static __device__ __forceinline__ uint32_t frag_of_scale(uint32_t r, uint32_t t, uint32_t which)
{
	return t / 2 == which ? r : 0;
}

/* Eight weights of a row as float32, the bits of model/format.h's dequantise: columns 8t .. 8t + 7 of chunk
 * c. BF16 and F32: so many times as much as the row's scale says. */
template <int FORMAT>
static __device__ __forceinline__ void frag_exact(const uint8_t *unit, uint32_t c, uint32_t g, uint32_t t,
						  float out[8])
{
	uint32_t r[4];
	frag_load<FORMAT, 1>(unit, c, 4 * g + t, r);
	float add, scale = frag_scale<FORMAT>(unit, c, g, t / 2, &add);
#pragma unroll
	for (int i = 0; i < 8; i++) {
		float q = half_bits_to_float((uint16_t)(r[i / 2] >> (i % 2 ? 16 : 0)));
		out[i] = frag_traits<FORMAT>::halves > 0 ? q
			 : frag_traits<FORMAT>::mins     ? q * scale + add
							 : q * scale;
	}
	if (frag_traits<FORMAT>::halves < 2)
		return;
	frag_halves(unit, 1, 4 * g + t, r);
#pragma unroll
	for (int i = 0; i < 8; i++)
		out[i] += half_bits_to_float((uint16_t)(r[i / 2] >> (i % 2 ? 16 : 0)));
}

#endif
