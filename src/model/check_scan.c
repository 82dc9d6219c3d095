#include "model/check_scan.h"

#include <string.h>

/* How a scale is written. E8M0 and UE4M3 are those of the OCP microscaling formats. */
enum scale { SCALE_NONE, SCALE_F16, SCALE_F32, SCALE_E8M0, SCALE_UE4M3, SCALE_IQ1_M };

/* Where the scales of a block stand. A few removed types interleave the blocks of several rows: then the
 * scales of `group` blocks stand together. */
static const struct layout {
	uint32_t id;
	uint8_t group;
	struct {
		uint8_t scale, at, n; /* n of them from byte `at` on */
	} scales[2];
} layouts[] = {
	{TENSOR_Q4_0, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_Q4_1, 1, {{SCALE_F16, 0, 2}}},
	{TENSOR_Q5_0, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_Q5_1, 1, {{SCALE_F16, 0, 2}}},
	{TENSOR_Q8_0, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_Q8_1, 1, {{SCALE_F16, 0, 2}}},
	{TENSOR_Q2_K, 1, {{SCALE_F16, 80, 2}}},
	{TENSOR_Q3_K, 1, {{SCALE_F16, 108, 1}}},
	{TENSOR_Q4_K, 1, {{SCALE_F16, 0, 2}}},
	{TENSOR_Q5_K, 1, {{SCALE_F16, 0, 2}}},
	{TENSOR_Q6_K, 1, {{SCALE_F16, 208, 1}}},
	{TENSOR_Q8_K, 1, {{SCALE_F32, 0, 1}}},
	{TENSOR_IQ2_XXS, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ2_XS, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ2_S, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ3_XXS, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ3_S, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ1_S, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ1_M, 1, {{SCALE_IQ1_M, 48, 1}}},
	{TENSOR_IQ4_NL, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_IQ4_XS, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_TQ1_0, 1, {{SCALE_F16, 52, 1}}},
	{TENSOR_TQ2_0, 1, {{SCALE_F16, 64, 1}}},
	{TENSOR_MXFP4, 1, {{SCALE_E8M0, 0, 1}}},
	{TENSOR_NVFP4, 1, {{SCALE_UE4M3, 0, 4}}},
	{TENSOR_Q1_0, 1, {{SCALE_F16, 0, 1}}},
	{TENSOR_Q2_0, 1, {{SCALE_F16, 0, 1}}},
	{4, 1, {{SCALE_F16, 0, 1}}},  /* Q4_2 */
	{5, 1, {{SCALE_F16, 0, 2}}},  /* Q4_3 */
	{31, 4, {{SCALE_F16, 0, 4}}}, /* Q4_0_4_4 */
	{32, 4, {{SCALE_F16, 0, 4}}}, /* Q4_0_4_8 */
	{33, 8, {{SCALE_F16, 0, 8}}}, /* Q4_0_8_8 */
	{36, 4, {{SCALE_F16, 0, 4}}}, /* IQ4_NL_4_4 */
	{37, 4, {{SCALE_F16, 0, 4}}}, /* IQ4_NL_4_8 */
	{38, 8, {{SCALE_F16, 0, 8}}}, /* IQ4_NL_8_8 */
};

bool check_layout_of(uint32_t type, struct check_layout *out)
{
	const struct tensor_type_info *info = tensor_type_get(type);
	if (!info)
		info = tensor_type_removed(type, NULL);
	if (!info)
		return false;
	bool is_integer = type == TENSOR_I8 || type == TENSOR_I16 || type == TENSOR_I32 || type == TENSOR_I64;
	*out = (struct check_layout){info->block_bytes, info->block_elements, !is_integer};
	return true;
}

/* ---- numbers ---- */

enum found { FINITE, INFINITE, NOT_A_NUMBER };

static void count(struct check_tally *t, enum found found, uint64_t unit)
{
	if (found == NOT_A_NUMBER && t->n_nan++ == 0)
		t->first_nan = unit;
	if (found == INFINITE && t->n_infinite++ == 0)
		t->first_infinite = unit;
}

static enum found judge_bits(uint64_t bits, uint64_t exponent, uint64_t fraction)
{
	if ((bits & exponent) != exponent)
		return FINITE;
	return bits & fraction ? NOT_A_NUMBER : INFINITE;
}

/* First whether any is there, at the speed of memory; then which. */
#define PLAIN(name, word, exponent, fraction)                                                            \
	static void scan_##name(const uint8_t *bytes, uint64_t n, uint64_t first, struct check_tally *t) \
	{                                                                                                \
		const word *x = (const void *)bytes;                                                     \
		word any = 0;                                                                            \
		for (uint64_t i = 0; i < n; i++)                                                         \
			any |= (word)((x[i] & (exponent)) == (exponent));                                \
		for (uint64_t i = 0; i < n && any; i++)                                                  \
			count(t, judge_bits(x[i], exponent, fraction), first + i);                       \
	}
PLAIN(f16, uint16_t, 0x7C00, 0x03FF)
PLAIN(bf16, uint16_t, 0x7F80, 0x007F)
PLAIN(f32, uint32_t, 0x7F800000, 0x007FFFFF)
PLAIN(f64, uint64_t, 0x7FF0000000000000, 0x000FFFFFFFFFFFFF)

static enum found judge_scale(enum scale scale, const uint8_t *p)
{
	uint16_t half, words[4];
	uint32_t single;
	switch (scale) {
	case SCALE_F16:
		memcpy(&half, p, sizeof half);
		return judge_bits(half, 0x7C00, 0x03FF);
	case SCALE_F32:
		memcpy(&single, p, sizeof single);
		return judge_bits(single, 0x7F800000, 0x007FFFFF);
	case SCALE_E8M0:
		return *p == 0xFF ? NOT_A_NUMBER : FINITE;
	case SCALE_UE4M3:
		return (*p & 0x7F) == 0x7F ? NOT_A_NUMBER : FINITE;
	case SCALE_IQ1_M: /* a half float in the high four bits of four words */
		memcpy(words, p, sizeof words);
		half = (uint16_t)(words[0] >> 12 | (words[1] >> 8 & 0x00F0) | (words[2] >> 4 & 0x0F00) |
				  (words[3] & 0xF000));
		return judge_bits(half, 0x7C00, 0x03FF);
	case SCALE_NONE:
		break;
	}
	return FINITE;
}

static uint32_t scale_bytes(enum scale scale)
{
	return scale == SCALE_F32 ? 4 : scale == SCALE_F16 ? 2 : 1;
}

/* The worst of a block's scales. Where blocks are interleaved, each has one of the group's. */
static void scan_blocks(const struct layout *l, const uint8_t *bytes, uint32_t block_bytes, uint64_t n,
			uint64_t first, struct check_tally *t)
{
	for (uint64_t b = 0; b + l->group <= n; b += l->group)
		for (uint32_t i = 0; i < l->group; i++) {
			enum found worst = FINITE;
			for (int k = 0; k < 2 && l->scales[k].scale; k++) {
				enum scale scale = (enum scale)l->scales[k].scale;
				uint32_t each = l->scales[k].n / l->group;
				const uint8_t *p = bytes + b * block_bytes + l->scales[k].at +
						   (size_t)i * each * scale_bytes(scale);
				for (uint32_t s = 0; s < each; s++, p += scale_bytes(scale)) {
					enum found found = judge_scale(scale, p);
					worst = found > worst ? found : worst;
				}
			}
			if (worst)
				count(t, worst, first + b + i);
		}
}

void check_numbers(uint32_t type, const uint8_t *bytes, uint64_t n_units, uint64_t first,
		   struct check_tally *t)
{
	struct check_layout layout;
	switch (type) {
	case TENSOR_F16:
		scan_f16(bytes, n_units, first, t);
		return;
	case TENSOR_BF16:
		scan_bf16(bytes, n_units, first, t);
		return;
	case TENSOR_F32:
		scan_f32(bytes, n_units, first, t);
		return;
	case TENSOR_F64:
		scan_f64(bytes, n_units, first, t);
		return;
	default:
		break;
	}
	for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
		if (layouts[i].id == type && check_layout_of(type, &layout))
			scan_blocks(&layouts[i], bytes, layout.unit_bytes, n_units, first, t);
}

/* ---- zeros ---- */

static bool is_zero(const uint8_t *p, uint32_t n)
{
	uint64_t word;
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, sizeof word);
		if (word)
			return false;
	}
	while (n--)
		if (*p++)
			return false;
	return true;
}

uint64_t check_zeros_from(const uint8_t *bytes, uint32_t unit_bytes, uint64_t from, uint64_t n_units)
{
	uint64_t at = from;
	while (at < n_units && is_zero(bytes + at * unit_bytes, unit_bytes))
		at++;
	return at - from;
}

uint64_t check_zeros_before(const uint8_t *bytes, uint32_t unit_bytes, uint64_t end)
{
	uint64_t at = end;
	while (at > 0 && is_zero(bytes + (at - 1) * unit_bytes, unit_bytes))
		at--;
	return end - at;
}
