/*
 * Sixteen lanes in plain C. Also the meaning of every operation: the other simd_*.h files must give these
 * bits. A compiler for a machine with fused multiply-add turns the loops into its vector instructions;
 * elsewhere fmaf is a library call, which is slow and right.
 */
#ifndef COMPUTE_CPU_SIMD_PORTABLE_H
#define COMPUTE_CPU_SIMD_PORTABLE_H

#include <math.h>
#include <string.h>

#include "base/half.h"

#define SIMD_NAME    "portable"
#define MM_PANELS    1 /* panels a register tile of the float product covers */
#define MM_TOKENS    1 /* tokens beside them: FLOAT_TILE or 1 */
#define QUANT_TOKENS 1 /* tokens a register tile of the quantised product covers */
#define ATTN_ROWS    4 /* query rows a register tile of attention covers */
#define ATTN_VECTORS 1 /* and vectors beside them */

typedef struct {
	float l[16];
} v16;
typedef struct {
	int32_t l[16];
} v16i;
typedef struct {
	uint32_t l[16];
} v64; /* 64 bytes: four of each of 16 rows */

#define LANES for (int i = 0; i < 16; i++)

static inline v16 v16_set1(float x)
{
	v16 r;
	LANES r.l[i] = x;
	return r;
}

static inline v16 v16_load(const float *p)
{
	v16 r;
	memcpy(&r, p, sizeof r);
	return r;
}

static inline void v16_store(float *p, v16 x)
{
	memcpy(p, &x, sizeof x);
}

static inline v16 v16_load_f16(const void *p)
{
	uint16_t h[16];
	v16 r;
	memcpy(h, p, sizeof h);
	LANES r.l[i] = f32_from_f16(h[i]);
	return r;
}

static inline v16 v16_load_bf16(const void *p)
{
	uint16_t h[16];
	v16 r;
	memcpy(h, p, sizeof h);
	LANES r.l[i] = f32_from_bf16(h[i]);
	return r;
}

static inline v16 v16_load_u8(const uint8_t *p)
{
	v16 r;
	LANES r.l[i] = (float)p[i];
	return r;
}

static inline v16 v16_load_i8(const uint8_t *p)
{
	v16 r;
	LANES r.l[i] = (float)(int8_t)p[i];
	return r;
}

/* a * b + c, rounded once. */
static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
	v16 r;
	LANES r.l[i] = fmaf(a.l[i], b.l[i], c.l[i]);
	return r;
}

static inline v16 v16_add(v16 a, v16 b)
{
	LANES a.l[i] += b.l[i];
	return a;
}

static inline v16 v16_sub(v16 a, v16 b)
{
	LANES a.l[i] -= b.l[i];
	return a;
}

static inline v16 v16_mul(v16 a, v16 b)
{
	LANES a.l[i] *= b.l[i];
	return a;
}

static inline v16 v16_div(v16 a, v16 b)
{
	LANES a.l[i] /= b.l[i];
	return a;
}

/* a where a > b, else b: b also where either is NaN. */
static inline v16 v16_max(v16 a, v16 b)
{
	v16 r;
	LANES r.l[i] = a.l[i] > b.l[i] ? a.l[i] : b.l[i];
	return r;
}

static inline v16 v16_abs(v16 a)
{
	LANES a.l[i] = fabsf(a.l[i]);
	return a;
}

/* x in lanes below n, fill in the others. */
static inline v16 v16_keep(v16 x, int n, float fill)
{
	LANES x.l[i] = i < n ? x.l[i] : fill;
	return x;
}

/* x where t >= limit, else 0. */
static inline v16 v16_zero_below(v16 x, v16 t, float limit)
{
	LANES x.l[i] = t.l[i] >= limit ? x.l[i] : (t.l[i] < limit ? 0.0f : x.l[i]);
	return x;
}

/* x * 2^k for the integer k that z, a float of the form k + 1.5 * 2^23, carries in its low bits. */
static inline v16 v16_scale_by_magic(v16 x, v16 z)
{
	LANES x.l[i] = f32_from_bits(f32_bits(x.l[i]) + (f32_bits(z.l[i]) << 23));
	return x;
}

/* Sums as a tree: lane i with lane i + 8, then + 4, + 2, + 1. */
static inline float v16_sum(v16 a)
{
	for (int n = 8; n; n /= 2)
		for (int i = 0; i < n; i++)
			a.l[i] += a.l[i + n];
	return a.l[0];
}

static inline float v16_hmax(v16 a)
{
	for (int n = 8; n; n /= 2)
		for (int i = 0; i < n; i++)
			a.l[i] = a.l[i] > a.l[i + n] ? a.l[i] : a.l[i + n];
	return a.l[0];
}

static inline v16 v16_from_i32(v16i x)
{
	v16 r;
	LANES r.l[i] = (float)x.l[i];
	return r;
}

/* Rounded to the nearest, ties to even; |x| below 2^22. */
static inline v16i v16_to_i32(v16 x)
{
	v16i r;
	LANES r.l[i] = (int32_t)(f32_bits(x.l[i] + 0x1.8p23f) - 0x4B400000u);
	return r;
}

static inline v16i v16i_set1(int32_t x)
{
	v16i r;
	LANES r.l[i] = x;
	return r;
}

static inline v16i v16i_load(const int32_t *p)
{
	v16i r;
	memcpy(&r, p, sizeof r);
	return r;
}

static inline v16i v16i_add(v16i a, v16i b)
{
	LANES a.l[i] += b.l[i];
	return a;
}

static inline int32_t v16i_sum(v16i x)
{
	uint32_t sum = 0;
	LANES sum += (uint32_t)x.l[i];
	return (int32_t)sum;
}

static inline void v16i_store_i8(int8_t *p, v16i x)
{
	LANES p[i] = (int8_t)x.l[i];
}

static inline v64 v64_load(const uint8_t *p)
{
	v64 r;
	memcpy(&r, p, sizeof r);
	return r;
}

static inline void v64_store(uint8_t *p, v64 x)
{
	memcpy(p, &x, sizeof x);
}

static inline v64 v64_or(v64 a, v64 b)
{
	LANES a.l[i] |= b.l[i];
	return a;
}

/* Every byte & mask. */
static inline v64 v64_and(v64 a, uint8_t mask)
{
	LANES a.l[i] &= mask * 0x01010101u;
	return a;
}

/* Every byte less n. */
static inline v64 v64_sub(v64 a, uint8_t n)
{
	uint8_t bytes[64];
	v64_store(bytes, a);
	for (int i = 0; i < 64; i++)
		bytes[i] = (uint8_t)(bytes[i] - n);
	return v64_load(bytes);
}

/* Bits cross bytes: mask afterwards. */
#define v64_shr(a, n) v64_shr_lanes(a, n)
#define v64_shl(a, n) v64_shl_lanes(a, n)
static inline v64 v64_shr_lanes(v64 a, int n)
{
	LANES a.l[i] >>= n;
	return a;
}

static inline v64 v64_shl_lanes(v64 a, int n)
{
	LANES a.l[i] <<= n;
	return a;
}

/* table[byte] for each byte, which is below 16. */
static inline v64 v64_lookup(v64 x, const uint8_t table[16])
{
	uint8_t bytes[64];
	v64_store(bytes, x);
	for (int i = 0; i < 64; i++)
		bytes[i] = table[bytes[i]];
	return v64_load(bytes);
}

/* The low four bits of each row's word, as a float. */
static inline v16 v16_nibble(v64 x)
{
	v16 r;
	LANES r.l[i] = (float)(x.l[i] & 15);
	return r;
}

/* acc + the product of each row's four unsigned bytes (below 128) with the four signed bytes at a. */
static inline v16i dot4(v16i acc, v64 w, const int8_t *a)
{
	LANES for (int t = 0; t < 4; t++) acc.l[i] += (int32_t)(w.l[i] >> 8 * t & 0xFF) * a[t];
	return acc;
}

/* The same for bytes that stand for themselves less 128; what acc starts from is dot4_q8_start's business. */
#define dot4_q8_start(chunk) v16i_set1((chunk)->minus_128)
static inline v16i dot4_q8(v16i acc, v64 w, const int8_t *a)
{
	return dot4(acc, w, a);
}

#endif
