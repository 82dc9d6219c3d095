/* Sixteen lanes in one AVX-512 register; byte products by VNNI. Meaning: simd_portable.h. */
#ifndef COMPUTE_CPU_SIMD_AVX512_H
#define COMPUTE_CPU_SIMD_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "base/half.h"

#define SIMD_NAME    "avx512"
#define MM_PANELS    4
#define MM_TOKENS    6
#define QUANT_TOKENS 16
#define ATTN_ROWS    8
#define ATTN_VECTORS 2

typedef __m512 v16;
typedef __m512i v16i;
typedef __m512i v64;

#define v16_set1(x)     _mm512_set1_ps(x)
#define v16_load(p)     _mm512_loadu_ps(p)
#define v16_store(p, x) _mm512_storeu_ps(p, x)
#define v16_fma         _mm512_fmadd_ps
#define v16_add         _mm512_add_ps
#define v16_sub         _mm512_sub_ps
#define v16_mul         _mm512_mul_ps
#define v16_div         _mm512_div_ps
#define v16_max         _mm512_max_ps
#define v16_abs         _mm512_abs_ps
#define v16_from_i32    _mm512_cvtepi32_ps
#define v16_to_i32      _mm512_cvtps_epi32
#define v16i_load(p)    _mm512_loadu_si512(p)
#define v16i_add        _mm512_add_epi32
#define v16i_set1(x)    _mm512_set1_epi32(x)
#define v16i_sum(x)     _mm512_reduce_add_epi32(x)
#define v64_load(p)     _mm512_loadu_si512(p)
#define v64_store(p, x) _mm512_storeu_si512(p, x)
#define v64_or          _mm512_or_si512
#define v64_and(a, m)   _mm512_and_si512(a, _mm512_set1_epi8((char)(m)))
#define v64_sub(a, n)   _mm512_sub_epi8(a, _mm512_set1_epi8((char)(n)))
#define v64_shr(a, n)   _mm512_srli_epi32(a, n)
#define v64_shl(a, n)   _mm512_slli_epi32(a, n)

static inline v16 v16_load_f16(const void *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline v16 v16_load_bf16(const void *p)
{
	__m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
	return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline v16 v16_load_u8(const uint8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline v16 v16_load_i8(const uint8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline v16 v16_keep(v16 x, int n, float fill)
{
	__mmask16 mask = (__mmask16)(n >= 16 ? 0xFFFFu : n <= 0 ? 0u : (1u << n) - 1u);
	return _mm512_mask_blend_ps(mask, _mm512_set1_ps(fill), x);
}

static inline v16 v16_zero_below(v16 x, v16 t, float limit)
{
	return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(t, _mm512_set1_ps(limit), _CMP_LT_OQ), x,
				    _mm512_setzero_ps());
}

static inline v16 v16_scale_by_magic(v16 x, v16 z)
{
	return _mm512_castsi512_ps(
		_mm512_add_epi32(_mm512_castps_si512(x), _mm512_slli_epi32(_mm512_castps_si512(z), 23)));
}

static inline float v16_sum(v16 a)
{
	__m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
	c = _mm_add_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float v16_hmax(v16 a)
{
	__m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
	c = _mm_max_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

static inline void v16i_store_i8(int8_t *p, v16i x)
{
	_mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x));
}

static inline v64 v64_lookup(v64 x, const uint8_t table[16])
{
	return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), x);
}

/* A permutation looks at no more than four bits of an index. */
static inline v16 v16_nibble(v64 x)
{
	return _mm512_permutexvar_ps(x, _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

static inline v16i dot4(v16i acc, v64 w, const int8_t *a)
{
	int32_t four;
	memcpy(&four, a, sizeof four);
	return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(four));
}

#define dot4_q8_start(chunk) v16i_set1((chunk)->minus_128)
#define dot4_q8              dot4

#endif
