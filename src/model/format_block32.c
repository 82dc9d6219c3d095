/*
 * Formats of 32 elements a block, with one float16 scale d and, in the _1 kinds, one float16 offset m.
 *
 * A product of a scale (11 significant bits) and a quant (at most 8) is exact in float32, so `d * q + m`
 * rounds once in any order of evaluation, fused or not: every correct implementation gives these bits. An
 * infinite or NaN scale passes through: all elements of its block become infinite or NaN.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/half.h"
#include "model/format.h"
#include "model/format_rows.h"

enum { BLOCK = 32, HALF = BLOCK / 2 };

struct block_q8_0 {
	uint16_t d;
	int8_t qs[BLOCK];
};

struct block_q4_0 {
	uint16_t d;
	uint8_t qs[HALF]; /* low nibbles: elements 0..15, high nibbles: 16..31 */
};

struct block_q4_1 {
	uint16_t d, m;
	uint8_t qs[HALF];
};

struct block_q5_0 {
	uint16_t d;
	uint8_t qh[4]; /* bit i, little-endian: the fifth bit of element i */
	uint8_t qs[HALF];
};

struct block_q5_1 {
	uint16_t d, m;
	uint8_t qh[4];
	uint8_t qs[HALF];
};

struct block_iq4_nl {
	uint16_t d;
	uint8_t qs[HALF]; /* as Q4_0's, each of IQ4_VALUES */
};

_Static_assert(sizeof(struct block_iq4_nl) == 18, "IQ4_NL is 18 bytes a block");
_Static_assert(sizeof(struct block_q8_0) == 34, "Q8_0 is 34 bytes a block");
_Static_assert(sizeof(struct block_q4_0) == 18, "Q4_0 is 18 bytes a block");
_Static_assert(sizeof(struct block_q4_1) == 20, "Q4_1 is 20 bytes a block");
_Static_assert(sizeof(struct block_q5_0) == 22, "Q5_0 is 22 bytes a block");
_Static_assert(sizeof(struct block_q5_1) == 24, "Q5_1 is 24 bytes a block");

void q8_0_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q8_0), dst += BLOCK) {
		struct block_q8_0 b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int j = 0; j < BLOCK; j++)
			dst[j] = (float)b.qs[j] * d;
	}
}

/* d = largest magnitude / 127, stored as float16; quants are x times the reciprocal of the unrounded d,
 * rounded half away from zero. A block that holds a NaN or an infinity gets a NaN scale, so that it can never
 * pass for numbers. */
static void q8_0_quantise_block(const float *x, struct block_q8_0 *b)
{
	float largest = 0;
	bool finite = true;
	for (int j = 0; j < BLOCK; j++) {
		finite = finite && isfinite(x[j]);
		largest = fmaxf(largest, fabsf(x[j]));
	}
	memset(b, 0, sizeof *b);
	if (!finite) {
		b->d = 0x7E00;
		return;
	}
	float d = largest / 127.0f;
	float inverse = d != 0 ? 1.0f / d : 0.0f;
	if (isinf(inverse)) /* d is far below float16's smallest: it is stored as zero, so quants say nothing
			     */
		inverse = 0;
	b->d = f16_from_f32(d);
	for (int j = 0; j < BLOCK; j++)
		b->qs[j] = (int8_t)roundf(x[j] * inverse);
}

void q8_0_quantise(const float *src, void *dst, size_t n_elements)
{
	uint8_t *bytes = dst;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q8_0)) {
		struct block_q8_0 b;
		q8_0_quantise_block(src + i, &b);
		memcpy(bytes, &b, sizeof b);
	}
}

void q4_0_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q4_0), dst += BLOCK) {
		struct block_q4_0 b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int j = 0; j < HALF; j++) {
			dst[j] = (float)((b.qs[j] & 15) - 8) * d;
			dst[j + HALF] = (float)((b.qs[j] >> 4) - 8) * d;
		}
	}
}

void q4_1_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q4_1), dst += BLOCK) {
		struct block_q4_1 b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d), m = f32_from_f16(b.m);
		for (int j = 0; j < HALF; j++) {
			dst[j] = (float)(b.qs[j] & 15) * d + m;
			dst[j + HALF] = (float)(b.qs[j] >> 4) * d + m;
		}
	}
}

/* The five bits of elements j and j + 16. */
static void q5_unpack(const uint8_t *qh, const uint8_t *qs, int j, int *low, int *high)
{
	int low_bit = qh[j / 8] >> (j % 8) & 1, high_bit = qh[2 + j / 8] >> (j % 8) & 1;
	*low = (qs[j] & 15) | low_bit << 4;
	*high = qs[j] >> 4 | high_bit << 4;
}

void q5_0_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q5_0), dst += BLOCK) {
		struct block_q5_0 b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int j = 0; j < HALF; j++) {
			int low, high;
			q5_unpack(b.qh, b.qs, j, &low, &high);
			dst[j] = (float)(low - 16) * d;
			dst[j + HALF] = (float)(high - 16) * d;
		}
	}
}

void q5_1_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q5_1), dst += BLOCK) {
		struct block_q5_1 b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d), m = f32_from_f16(b.m);
		for (int j = 0; j < HALF; j++) {
			int low, high;
			q5_unpack(b.qh, b.qs, j, &low, &high);
			dst[j] = (float)low * d + m;
			dst[j + HALF] = (float)high * d + m;
		}
	}
}

void iq4_nl_dequantise(const void *src, float *dst, size_t n_elements)
{
	static const int8_t values[16] = IQ4_VALUES;
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_iq4_nl), dst += BLOCK) {
		struct block_iq4_nl b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int j = 0; j < HALF; j++) {
			dst[j] = d * (float)values[b.qs[j] & 15];
			dst[j + HALF] = d * (float)values[b.qs[j] >> 4];
		}
	}
}
