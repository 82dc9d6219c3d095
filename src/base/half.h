/*
 * 16-bit floats in software: IEEE 754 binary16 and bfloat16, both rounded to nearest even.
 * Every path of every backend must give these bits; hardware conversions do.
 */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

#include "base/host_device.h"

static HOST_DEVICE float f32_from_bits(uint32_t bits)
{
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

static HOST_DEVICE uint32_t f32_bits(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

static inline float f32_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 0x1F, fraction = h & 0x3FF;
	if (exponent == 31)
		return f32_from_bits(sign | 0x7F800000u | fraction << 13);
	if (exponent)
		return f32_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
	float subnormal = (float)fraction * 0x1p-24f;
	return f32_from_bits(sign | f32_bits(subnormal));
}

static inline uint16_t f16_from_f32(float f)
{
	uint32_t bits = f32_bits(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
	if (magnitude > 0x7F800000) /* NaN stays NaN, quiet, with its upper bits */
		return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
	if (magnitude >= 0x47800000)
		return (uint16_t)(sign | 0x7C00);
	if (magnitude < 0x38800000) { /* subnormal: let the float adder round at 2^-24 */
		float scaled = f32_from_bits(magnitude) + 0.5f;
		return (uint16_t)(sign | (f32_bits(scaled) & 0x7FF));
	}
	uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
	return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

static inline float f32_from_bf16(uint16_t h)
{
	return f32_from_bits((uint32_t)h << 16);
}

static HOST_DEVICE uint16_t bf16_from_f32(float f)
{
	uint32_t bits = f32_bits(f);
	if ((bits & 0x7FFFFFFF) > 0x7F800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
