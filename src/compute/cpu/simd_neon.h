/* Sixteen lanes in four NEON registers; byte products by dot product where the build has it. Meaning:
 * simd_portable.h. */
#ifndef COMPUTE_CPU_SIMD_NEON_H
#define COMPUTE_CPU_SIMD_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "base/half.h"

#ifdef __ARM_FEATURE_DOTPROD
#define SIMD_NAME "neon-dotprod"
#else
#define SIMD_NAME "neon"
#endif
#define MM_PANELS    1
#define MM_TOKENS    6
#define QUANT_TOKENS 4
#define ATTN_ROWS    4
#define ATTN_VECTORS 1

typedef float32x4x4_t v16;
typedef int32x4x4_t v16i;
typedef uint8x16x4_t v64;

#define LANES4 for (int i = 0; i < 4; i++)

#define V16_BINARY(name, op)                              \
	static inline v16 name(v16 x, v16 y)              \
	{                                                 \
		LANES4 x.val[i] = op(x.val[i], y.val[i]); \
		return x;                                 \
	}
V16_BINARY(v16_add, vaddq_f32)
V16_BINARY(v16_sub, vsubq_f32)
V16_BINARY(v16_mul, vmulq_f32)
V16_BINARY(v16_div, vdivq_f32)

static inline v16 v16_set1(float x)
{
	float32x4_t v = vdupq_n_f32(x);
	return (v16){{v, v, v, v}};
}

static inline v16 v16_load(const float *p)
{
	v16 r;
	LANES4 r.val[i] = vld1q_f32(p + 4 * i);
	return r;
}

static inline void v16_store(float *p, v16 x)
{
	LANES4 vst1q_f32(p + 4 * i, x.val[i]);
}

static inline v16 v16_load_f16(const void *p)
{
	v16 r;
	LANES4 r.val[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)p + 8 * i)));
	return r;
}

static inline v16 v16_load_bf16(const void *p)
{
	v16 r;
	LANES4 r.val[i] = vreinterpretq_f32_u32(
		vshll_n_u16(vreinterpret_u16_u8(vld1_u8((const uint8_t *)p + 8 * i)), 16));
	return r;
}

static inline v16 v16_load_u8(const uint8_t *p)
{
	uint8x16_t b = vld1q_u8(p);
	uint16x8_t lo = vmovl_u8(vget_low_u8(b)), hi = vmovl_u8(vget_high_u8(b));
	return (v16){{vcvtq_f32_u32(vmovl_u16(vget_low_u16(lo))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(lo))),
		      vcvtq_f32_u32(vmovl_u16(vget_low_u16(hi))),
		      vcvtq_f32_u32(vmovl_u16(vget_high_u16(hi)))}};
}

static inline v16 v16_load_i8(const uint8_t *p)
{
	int8x16_t b = vreinterpretq_s8_u8(vld1q_u8(p));
	int16x8_t lo = vmovl_s8(vget_low_s8(b)), hi = vmovl_s8(vget_high_s8(b));
	return (v16){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(lo))),
		      vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi))),
		      vcvtq_f32_s32(vmovl_s16(vget_high_s16(hi)))}};
}

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
	LANES4 z.val[i] = vfmaq_f32(z.val[i], x.val[i], y.val[i]);
	return z;
}

/* Not vmaxq: it would return a NaN that stands first. */
static inline v16 v16_max(v16 x, v16 y)
{
	LANES4 x.val[i] = vbslq_f32(vcgtq_f32(x.val[i], y.val[i]), x.val[i], y.val[i]);
	return x;
}

static inline v16 v16_abs(v16 x)
{
	LANES4 x.val[i] = vabsq_f32(x.val[i]);
	return x;
}

static inline v16 v16_keep(v16 x, int n, float fill)
{
	const int32x4_t first = {0, 1, 2, 3};
	LANES4 x.val[i] = vbslq_f32(vcltq_s32(first, vdupq_n_s32(n - 4 * i)), x.val[i], vdupq_n_f32(fill));
	return x;
}

static inline v16 v16_zero_below(v16 x, v16 t, float limit)
{
	LANES4 x.val[i] = vbslq_f32(vcltq_f32(t.val[i], vdupq_n_f32(limit)), vdupq_n_f32(0), x.val[i]);
	return x;
}

static inline v16 v16_scale_by_magic(v16 x, v16 z)
{
	LANES4 x.val[i] = vreinterpretq_f32_u32(
		vaddq_u32(vreinterpretq_u32_f32(x.val[i]), vshlq_n_u32(vreinterpretq_u32_f32(z.val[i]), 23)));
	return x;
}

static inline float v16_sum(v16 x)
{
	float32x4_t a = vaddq_f32(x.val[0], x.val[2]), b = vaddq_f32(x.val[1], x.val[3]);
	a = vaddq_f32(a, b);
	float32x2_t c = vadd_f32(vget_low_f32(a), vget_high_f32(a));
	return vget_lane_f32(c, 0) + vget_lane_f32(c, 1);
}

static inline float v16_hmax(v16 x)
{
	v16 y = {{x.val[2], x.val[3], x.val[2], x.val[3]}};
	x = v16_max(x, y);
	float32x4_t a = vbslq_f32(vcgtq_f32(x.val[0], x.val[1]), x.val[0], x.val[1]);
	float32x2_t lo = vget_low_f32(a), hi = vget_high_f32(a), c = vbsl_f32(vcgt_f32(lo, hi), lo, hi);
	float c0 = vget_lane_f32(c, 0), c1 = vget_lane_f32(c, 1);
	return c0 > c1 ? c0 : c1;
}

static inline v16 v16_from_i32(v16i x)
{
	v16 r;
	LANES4 r.val[i] = vcvtq_f32_s32(x.val[i]);
	return r;
}

static inline v16i v16_to_i32(v16 x)
{
	v16i r;
	LANES4 r.val[i] = vcvtnq_s32_f32(x.val[i]);
	return r;
}

static inline v16i v16i_set1(int32_t x)
{
	int32x4_t v = vdupq_n_s32(x);
	return (v16i){{v, v, v, v}};
}

static inline int32_t v16i_sum(v16i x)
{
	return vaddvq_s32(vaddq_s32(vaddq_s32(x.val[0], x.val[1]), vaddq_s32(x.val[2], x.val[3])));
}

static inline void v16i_store_i8(int8_t *p, v16i x)
{
	int16x8_t lo = vcombine_s16(vmovn_s32(x.val[0]), vmovn_s32(x.val[1]));
	int16x8_t hi = vcombine_s16(vmovn_s32(x.val[2]), vmovn_s32(x.val[3]));
	vst1q_s8(p, vcombine_s8(vmovn_s16(lo), vmovn_s16(hi)));
}

static inline v64 v64_load(const uint8_t *p)
{
	v64 r;
	LANES4 r.val[i] = vld1q_u8(p + 16 * i);
	return r;
}

static inline void v64_store(uint8_t *p, v64 x)
{
	LANES4 vst1q_u8(p + 16 * i, x.val[i]);
}

static inline v64 v64_or(v64 x, v64 y)
{
	LANES4 x.val[i] = vorrq_u8(x.val[i], y.val[i]);
	return x;
}

static inline v64 v64_and(v64 x, uint8_t mask)
{
	LANES4 x.val[i] = vandq_u8(x.val[i], vdupq_n_u8(mask));
	return x;
}

static inline v64 v64_shl(v64 x, int n)
{
	LANES4 x.val[i] = vshlq_u8(x.val[i], vdupq_n_s8((int8_t)n));
	return x;
}

static inline v64 v64_shr(v64 x, int n)
{
	return v64_shl(x, -n);
}

static inline v64 v64_lookup(v64 x, const uint8_t table[16])
{
	uint8x16_t t = vld1q_u8(table);
	LANES4 x.val[i] = vqtbl1q_u8(t, x.val[i]);
	return x;
}

static inline v16 v16_nibble(v64 x)
{
	v16 r;
	LANES4 r.val[i] = vcvtq_f32_u32(vandq_u32(vreinterpretq_u32_u8(x.val[i]), vdupq_n_u32(15)));
	return r;
}

/* Signed bytes by signed bytes, four of each into a lane. */
static inline int32x4_t dot4_part(int32x4_t acc, int8x16_t w, int8x16_t a)
{
#ifdef __ARM_FEATURE_DOTPROD
	return vdotq_s32(acc, w, a);
#else
	int16x8_t lo = vmull_s8(vget_low_s8(w), vget_low_s8(a)),
		  hi = vmull_s8(vget_high_s8(w), vget_high_s8(a));
	return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi)));
#endif
}

static inline int8x16_t four_of(const int8_t *p)
{
	int32_t four;
	memcpy(&four, p, sizeof four);
	return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

static inline v16i dot4(v16i acc, v64 w, const int8_t *p)
{
	int8x16_t a = four_of(p);
	LANES4 acc.val[i] = dot4_part(acc.val[i], vreinterpretq_s8_u8(w.val[i]), a);
	return acc;
}

/* Taking 128 away again is flipping the top bit: the bytes are signed then, and the sum starts from zero. */
#define dot4_q8_start(chunk) v16i_set1(0)
static inline v16i dot4_q8(v16i acc, v64 w, const int8_t *p)
{
	int8x16_t a = four_of(p);
	LANES4 acc.val[i] =
		dot4_part(acc.val[i], vreinterpretq_s8_u8(veorq_u8(w.val[i], vdupq_n_u8(0x80))), a);
	return acc;
}

#endif
