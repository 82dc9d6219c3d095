/*
 * The K formats: 256 elements a block, cut into groups that have small integer scales of their own, which the
 * block's float16 d (and dmin) scale in turn.
 *
 * d * scale * quant has at most 11 + 6 + 5 significant bits (Q6_K: 11 + 7 + 5, IQ4_XS: 11 + 5 + 7), so it is
 * exact in float32, and taking away the exact dmin * min rounds once: every correct implementation gives
 * these bits. An infinite or NaN d or dmin passes through to the elements.
 */
#include <string.h>

#include "base/half.h"
#include "model/format.h"
#include "model/format_rows.h"

enum { BLOCK = 256, GROUP = 32, SCALE_BYTES = 12 };

struct block_q2_k {
	uint8_t scales[BLOCK / 16]; /* low half: the scale of 16 elements, high half: their min */
	uint8_t qs[BLOCK / 4];
	uint16_t d, dmin;
};

struct block_q3_k {
	uint8_t hmask[BLOCK / 8]; /* bit g of byte j: the third bit of element j of group g */
	uint8_t qs[BLOCK / 4];
	uint8_t scales[SCALE_BYTES]; /* sixteen 6-bit scales, 32 too high, see q3_k_dequantise */
	uint16_t d;
};

struct block_q4_k {
	uint16_t d, dmin;
	uint8_t scales[SCALE_BYTES]; /* eight 6-bit scales and eight 6-bit mins, see scale_min */
	uint8_t qs[BLOCK / 2];       /* 32 bytes a pair of groups: low nibbles the even group, high the odd */
};

struct block_q5_k {
	uint16_t d, dmin;
	uint8_t scales[SCALE_BYTES];
	uint8_t qh[BLOCK / 8]; /* bit g of byte j: the fifth bit of element j of group g */
	uint8_t qs[BLOCK / 2];
};

struct block_q6_k {
	uint8_t ql[BLOCK / 2]; /* low four bits */
	uint8_t qh[BLOCK / 4]; /* high two bits */
	int8_t scales[BLOCK / 16];
	uint16_t d;
};

struct block_iq4_xs {
	uint16_t d;
	uint16_t scales_h; /* bits 2g, 2g + 1: the upper two of group g's scale, which is 32 too high */
	uint8_t scales_l[BLOCK / 64]; /* the lower four: low halves the even groups, high the odd */
	uint8_t qs[BLOCK / 2];        /* 16 bytes a group: elements 0 .. 15 low, 16 .. 31 high */
};

_Static_assert(sizeof(struct block_q2_k) == 84, "Q2_K is 84 bytes a block");
_Static_assert(sizeof(struct block_q3_k) == 110, "Q3_K is 110 bytes a block");
_Static_assert(sizeof(struct block_q4_k) == 144, "Q4_K is 144 bytes a block");
_Static_assert(sizeof(struct block_q5_k) == 176, "Q5_K is 176 bytes a block");
_Static_assert(sizeof(struct block_q6_k) == 210, "Q6_K is 210 bytes a block");
_Static_assert(sizeof(struct block_iq4_xs) == 136, "IQ4_XS is 136 bytes a block");

/* Each half of 128 elements is four groups of 32: bits 2g, 2g + 1 of the half's qs byte j are element j of
 * group g. A scale serves 16 elements. */
static int two_bits(const uint8_t *qs, int e)
{
	return qs[e / 128 * 32 + e % GROUP] >> (e % 128 / GROUP * 2) & 3;
}

void q2_k_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q2_k)) {
		struct block_q2_k b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d), dmin = f32_from_f16(b.dmin);
		for (int e = 0; e < BLOCK; e++) {
			float scale = d * (float)(b.scales[e / 16] & 15);
			float min = dmin * (float)(b.scales[e / 16] >> 4);
			*dst++ = scale * (float)two_bits(b.qs, e) - min;
		}
	}
}

/* Scale s: its low four bits are a half of byte s % 8 (scales 8 .. 15: the high one), its high two are bits
 * 2 * (s / 4) and the next of byte 8 + s % 4. A third bit that is not set takes 4 away. */
void q3_k_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q3_k)) {
		struct block_q3_k b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int e = 0; e < BLOCK; e++) {
			int s = e / 16;
			int scale = b.scales[s % 8] >> (s / 8 * 4) & 15;
			scale |= (b.scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
			int third = b.hmask[e % GROUP] >> (e / GROUP) & 1;
			*dst++ = d * (float)(scale - 32) * (float)(two_bits(b.qs, e) + 4 * third - 4);
		}
	}
}

/* Groups 0..3: the low six bits of bytes g (scale) and g + 4 (min). Groups 4..7: low four bits in the nibbles
 * of byte g + 4, high two bits in the top of bytes g - 4 (scale) and g (min). */
static void scale_min(const uint8_t *scales, int group, int *scale, int *min)
{
	if (group < 4) {
		*scale = scales[group] & 63;
		*min = scales[group + 4] & 63;
	} else {
		*scale = (scales[group + 4] & 15) | scales[group - 4] >> 6 << 4;
		*min = scales[group + 4] >> 4 | scales[group] >> 6 << 4;
	}
}

void q4_k_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q4_k)) {
		struct block_q4_k b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d), dmin = f32_from_f16(b.dmin);
		for (int group = 0; group < BLOCK / GROUP; group++) {
			int scale, min, shift = group % 2 * 4;
			scale_min(b.scales, group, &scale, &min);
			float group_d = d * (float)scale, group_min = dmin * (float)min;
			for (int j = 0; j < GROUP; j++) {
				int q = b.qs[group / 2 * GROUP + j] >> shift & 15;
				*dst++ = group_d * (float)q - group_min;
			}
		}
	}
}

void q5_k_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q5_k)) {
		struct block_q5_k b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d), dmin = f32_from_f16(b.dmin);
		for (int group = 0; group < BLOCK / GROUP; group++) {
			int scale, min, shift = group % 2 * 4;
			scale_min(b.scales, group, &scale, &min);
			float group_d = d * (float)scale, group_min = dmin * (float)min;
			for (int j = 0; j < GROUP; j++) {
				int q = b.qs[group / 2 * GROUP + j] >> shift & 15;
				q |= (b.qh[j] >> group & 1) << 4;
				*dst++ = group_d * (float)q - group_min;
			}
		}
	}
}

/* Each half of 128 elements is four groups of 32: group g takes the low (g < 2) or high nibbles of the half's
 * ql bytes 32 * (g % 2) + j, and bits 2g, 2g + 1 of its qh byte j. A scale serves 16 elements. */
void q6_k_dequantise(const void *src, float *dst, size_t n_elements)
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_q6_k)) {
		struct block_q6_k b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int e = 0; e < BLOCK; e++) {
			int half = e / 128, group = e % 128 / GROUP, j = e % GROUP, sixteen = e / 16;
			int low = b.ql[half * 64 + group % 2 * GROUP + j] >> (group / 2 * 4) & 15;
			int high = b.qh[half * 32 + j] >> (group * 2) & 3;
			*dst++ = d * (float)b.scales[sixteen] * (float)((low | high << 4) - 32);
		}
	}
}

void iq4_xs_dequantise(const void *src, float *dst, size_t n_elements)
{
	static const int8_t values[16] = IQ4_VALUES;
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i += BLOCK, bytes += sizeof(struct block_iq4_xs)) {
		struct block_iq4_xs b;
		memcpy(&b, bytes, sizeof b);
		float d = f32_from_f16(b.d);
		for (int group = 0; group < BLOCK / GROUP; group++) {
			int scale = b.scales_l[group / 2] >> (group % 2 * 4) & 15;
			scale |= (b.scales_h >> (2 * group) & 3) << 4;
			float group_d = d * (float)(scale - 32);
			for (int j = 0; j < GROUP; j++) {
				int q = b.qs[group * 16 + j % 16] >> (j / 16 * 4) & 15;
				*dst++ = group_d * (float)values[q];
			}
		}
	}
}
