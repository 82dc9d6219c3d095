/*
 * The arithmetic of drawing a token (docs/sampling.md), once for the host's sampler, the device's and the
 * decode kernel: built without contraction, it gives the same bits everywhere. C and CUDA C.
 */
#ifndef COMPUTE_WEIGHT_H
#define COMPUTE_WEIGHT_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "base/half.h"

/* Below this a weight would be under 2^-40 and counts as 0. */
#define WEIGHT_EXP_MIN -28.0f

/* NaN is never drawn; infinity counts as the largest finite number. */
static HOST_DEVICE float logit_clean(float v)
{
	v = v != v ? -INFINITY : v;
	return v > FLT_MAX ? FLT_MAX : v;
}

/* Whole numbers in the order of the floats; -0 counts as 0. */
static HOST_DEVICE uint32_t logit_key(float v)
{
	uint32_t bits = f32_bits(v + 0.0f);
	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/*
 * exp(d) for WEIGHT_EXP_MIN <= d <= 0 in float32: the argument is reduced by powers of two, then a polynomial
 * of degree 7 (the coefficients of Cephes' expf, S. Moshier); within 2 units in the last place, every
 * operation rounded on its own.
 */
static HOST_DEVICE float weight_exp(float d)
{
	float k = (d * 1.44269504f + 12582912.0f) - 12582912.0f; /* d / ln 2, to the nearest whole number */
	float r = d - k * 0.693359375f;
	r = r - k * -2.12194440e-4f;
	float p = 1.9875691500e-4f;
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + r + 1.0f;
	return p * f32_from_bits((uint32_t)((int32_t)k + 127) << 23);
}

/* Weights are summed as whole grains of 2^-40 of the likeliest token's. The product is exact, the fraction is
 * cut off; with 2^23 tokens a sum stays below 2^63. */
static HOST_DEVICE uint64_t weight_grains(float weight)
{
	return (uint64_t)(int64_t)(weight * 0x1p40f);
}

/* sum: grains of all tokens at temperature 1. */
static HOST_DEVICE float weight_logprob(float logit, float largest, uint64_t sum)
{
	return (float)((double)(logit - largest) - log((double)sum * 0x1p-40));
}

#endif
