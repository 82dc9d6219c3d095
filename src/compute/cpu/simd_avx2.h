/* Sixteen lanes in two AVX2 registers. Meaning: simd_portable.h. */
#ifndef COMPUTE_CPU_SIMD_AVX2_H
#define COMPUTE_CPU_SIMD_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "base/half.h"

#define SIMD_NAME    "avx2"
#define MM_PANELS    1
#define MM_TOKENS    6
#define QUANT_TOKENS 4
#define ATTN_ROWS    4
#define ATTN_VECTORS 1

typedef struct {
	__m256 a, b;
} v16;
typedef struct {
	__m256i a, b;
} v16i;
typedef v16i v64;

#define V16_BINARY(name, op)                              \
	static inline v16 name(v16 x, v16 y)              \
	{                                                 \
		return (v16){op(x.a, y.a), op(x.b, y.b)}; \
	}
V16_BINARY(v16_add, _mm256_add_ps)
V16_BINARY(v16_sub, _mm256_sub_ps)
V16_BINARY(v16_mul, _mm256_mul_ps)
V16_BINARY(v16_div, _mm256_div_ps)
V16_BINARY(v16_max, _mm256_max_ps)

static inline v16 v16_set1(float x)
{
	return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline v16 v16_load(const float *p)
{
	return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline void v16_store(float *p, v16 x)
{
	_mm256_storeu_ps(p, x.a);
	_mm256_storeu_ps(p + 8, x.b);
}

static inline v16 v16_load_f16(const void *p)
{
	const __m128i *h = p;
	return (v16){_mm256_cvtph_ps(_mm_loadu_si128(h)), _mm256_cvtph_ps(_mm_loadu_si128(h + 1))};
}

static inline v16 v16_load_bf16(const void *p)
{
	const __m128i *h = p;
	__m256i a = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(h)), 16);
	__m256i b = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(h + 1)), 16);
	return (v16){_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)};
}

static inline v16 v16_load_u8(const uint8_t *p)
{
	__m256i a = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
	__m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)));
	return (v16){_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)};
}

static inline v16 v16_load_i8(const uint8_t *p)
{
	__m256i a = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
	__m256i b = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)));
	return (v16){_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)};
}

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
	return (v16){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}

static inline v16 v16_abs(v16 x)
{
	__m256 sign = _mm256_set1_ps(-0.0f);
	return (v16){_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}

static inline v16 v16_keep(v16 x, int n, float fill)
{
	const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256 a = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), low));
	__m256 b = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), low));
	__m256 f = _mm256_set1_ps(fill);
	return (v16){_mm256_blendv_ps(f, x.a, a), _mm256_blendv_ps(f, x.b, b)};
}

static inline v16 v16_zero_below(v16 x, v16 t, float limit)
{
	__m256 l = _mm256_set1_ps(limit);
	return (v16){_mm256_andnot_ps(_mm256_cmp_ps(t.a, l, _CMP_LT_OQ), x.a),
		     _mm256_andnot_ps(_mm256_cmp_ps(t.b, l, _CMP_LT_OQ), x.b)};
}

static inline __m256 v8_scale_by_magic(__m256 x, __m256 z)
{
	return _mm256_castsi256_ps(
		_mm256_add_epi32(_mm256_castps_si256(x), _mm256_slli_epi32(_mm256_castps_si256(z), 23)));
}

static inline v16 v16_scale_by_magic(v16 x, v16 z)
{
	return (v16){v8_scale_by_magic(x.a, z.a), v8_scale_by_magic(x.b, z.b)};
}

static inline float v16_sum(v16 x)
{
	__m256 b = _mm256_add_ps(x.a, x.b);
	__m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
	c = _mm_add_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float v16_hmax(v16 x)
{
	__m256 b = _mm256_max_ps(x.a, x.b);
	__m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
	c = _mm_max_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

static inline v16 v16_from_i32(v16i x)
{
	return (v16){_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}

static inline v16i v16_to_i32(v16 x)
{
	return (v16i){_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
}

static inline v16i v16i_set1(int32_t x)
{
	return (v16i){_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}

static inline int32_t v16i_sum(v16i x)
{
	__m256i s = _mm256_add_epi32(x.a, x.b);
	__m128i t = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
	t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4E));
	t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0xB1));
	return _mm_cvtsi128_si32(t);
}

static inline void v16i_store_i8(int8_t *p, v16i x)
{
	__m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xD8);
	__m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
	_mm_storeu_si128((__m128i *)p, bytes);
}

static inline v64 v64_load(const uint8_t *p)
{
	const __m256i *q = (const __m256i *)p;
	return (v64){_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}

static inline void v64_store(uint8_t *p, v64 x)
{
	_mm256_storeu_si256((__m256i *)p, x.a);
	_mm256_storeu_si256((__m256i *)p + 1, x.b);
}

static inline v64 v64_or(v64 x, v64 y)
{
	return (v64){_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
}

static inline v64 v64_and(v64 x, uint8_t mask)
{
	__m256i m = _mm256_set1_epi8((char)mask);
	return (v64){_mm256_and_si256(x.a, m), _mm256_and_si256(x.b, m)};
}

#define v64_shr(x, n) ((v64){_mm256_srli_epi32((x).a, n), _mm256_srli_epi32((x).b, n)})
#define v64_shl(x, n) ((v64){_mm256_slli_epi32((x).a, n), _mm256_slli_epi32((x).b, n)})

static inline v64 v64_lookup(v64 x, const uint8_t table[16])
{
	__m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
	return (v64){_mm256_shuffle_epi8(t, x.a), _mm256_shuffle_epi8(t, x.b)};
}

static inline v16 v16_nibble(v64 x)
{
	__m256i m = _mm256_set1_epi32(15);
	return (v16){_mm256_cvtepi32_ps(_mm256_and_si256(x.a, m)),
		     _mm256_cvtepi32_ps(_mm256_and_si256(x.b, m))};
}

/* Two products of a byte below 128 with one of at most 127 fit in 16 bits: nothing saturates. */
static inline __m256i dot4_half(__m256i acc, __m256i w, __m256i a)
{
	__m256i pairs = _mm256_maddubs_epi16(w, a);
	return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline v16i dot4(v16i acc, v64 w, const int8_t *p)
{
	int32_t four;
	memcpy(&four, p, sizeof four);
	__m256i a = _mm256_set1_epi32(four);
	return (v16i){dot4_half(acc.a, w.a, a), dot4_half(acc.b, w.b, a)};
}

/* Bytes of 128 and more would saturate: multiply |w| by a with w's sign instead, and start from zero. */
#define dot4_q8_start(chunk) v16i_set1(0)
static inline v16i dot4_q8(v16i acc, v64 w, const int8_t *p)
{
	int32_t four;
	memcpy(&four, p, sizeof four);
	__m256i a = _mm256_set1_epi32(four), flip = _mm256_set1_epi8((char)0x80);
	__m256i wa = _mm256_xor_si256(w.a, flip), wb = _mm256_xor_si256(w.b, flip);
	return (v16i){dot4_half(acc.a, _mm256_abs_epi8(wa), _mm256_sign_epi8(a, wa)),
		      dot4_half(acc.b, _mm256_abs_epi8(wb), _mm256_sign_epi8(a, wb))};
}

#endif
