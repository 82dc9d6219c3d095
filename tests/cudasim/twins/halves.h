/* Conversions of the emulator, of base/half.h's bits (the emulator's test compares them), by instructions
 * where the compiler may use them. */
#ifndef CUDASIM_TWINS_HALVES_H
#define CUDASIM_TWINS_HALVES_H

#include "base/half.h"

#ifdef __F16C__
#include <immintrin.h>

static inline float half_bits_to_float(uint16_t h)
{
	return _cvtsh_ss(h);
}
static inline uint16_t half_bits(float f)
{
	return f != f ? 0x7FFF : _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT); /* the device knows one NaN */
}
/* Eight halves in a row. */
static inline void halves_to_floats(const uint16_t *from, float *to)
{
	_mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)from)));
}

#else

static inline float half_bits_to_float(uint16_t h)
{
	return f32_from_f16(h);
}
static inline uint16_t half_bits(float f)
{
	return f != f ? 0x7FFF : f16_from_f32(f);
}
static inline void halves_to_floats(const uint16_t *from, float *to)
{
	for (int i = 0; i < 8; i++)
		to[i] = f32_from_f16(from[i]);
}

#endif
#endif
