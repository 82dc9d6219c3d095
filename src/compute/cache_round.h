/*
 * What the KV memory's types do to a number (docs/exactness.md), once for every device: built without
 * contraction, it gives the same bits everywhere. C and CUDA C.
 */
#ifndef COMPUTE_CACHE_ROUND_H
#define COMPUTE_CACHE_ROUND_H

#include <math.h>

#include "base/half.h"

/* x within a half's range; NaN stays. */
static HOST_DEVICE float cache_limit(float x)
{
	x = x > 65504.0f ? 65504.0f : x;
	return x < -65504.0f ? -65504.0f : x;
}

static inline uint16_t cache_f16(float x)
{
	return f16_from_f32(cache_limit(x));
}

/* Of a chunk: what is stored (as a half), and what numbers are multiplied by before they are rounded. */
struct cache_scale {
	float scale, inverse;
};

/* As Q8_0 of weights (model/format_block32.c): the scale is a 127th of the largest magnitude, rounded to a
 * half only when it is stored. `largest` is of the chunk; finite: none of it is NaN or infinite. One that is
 * makes the scale NaN, so that the chunk can never pass for numbers. */
static HOST_DEVICE struct cache_scale cache_scale_of(float largest, int finite)
{
	struct cache_scale s;
	s.scale = largest / 127.0f;
	s.inverse = s.scale > 0 ? 1.0f / s.scale : 0.0f;
	if (s.inverse > 3.402823466e38f) /* far below a half's smallest: 0 is stored, so bytes say nothing */
		s.inverse = 0;
	if (!finite) {
		s.scale = f32_from_bits(0x7FC00000u);
		s.inverse = 0;
	}
	return s;
}

/* The byte: to the nearest, halves away from zero. */
static HOST_DEVICE int8_t cache_q8_0(float x, struct cache_scale s)
{
	return s.inverse > 0 ? (int8_t)roundf(x * s.inverse) : (int8_t)0;
}

static inline struct cache_scale cache_q8_0_scale(const float *x, uint32_t n)
{
	float largest = 0;
	int finite = 1;
	for (uint32_t i = 0; i < n; i++) {
		float size = fabsf(x[i]);
		finite = finite && size <= 3.402823466e38f;
		largest = size > largest ? size : largest;
	}
	return cache_scale_of(largest, finite);
}

#endif
