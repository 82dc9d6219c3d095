/*
 * Random blocks, made directly: the scales are chosen so that the elements have the wanted variance, the
 * quants are random bits. Layouts: ggml's block structures, the ones format_block32.c and format_block256.c
 * read.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "base/rng.h"
#include "convert/synth_internal.h"
#include "model/format.h"

/* Standard deviations of uniform integers. */
#define STD_2_BITS 1.1180340f  /* 0 to 3 */
#define RMS_3_BITS 2.3452079f  /* -4 to 3 */
#define STD_4_BITS 4.6097722f  /* 0 to 15 */
#define STD_5_BITS 9.2330926f  /* 0 to 31 */
#define STD_6_BITS 18.4729081f /* 0 to 63 */
#define RMS_INT8   73.4676800f /* -127 to 127, 0 twice as often */
#define RMS_IQ4    67.4388612f /* IQ4_VALUES */
#define RMS_SCALE4 11.7260394f /* 8 to 15 */
#define RMS_SCALE5 23.9478600f /* 16 to 31 */
#define RMS_SCALE6 48.3890483f /* 32 to 63 */
#define RMS_SCALE8 97.2702421f /* 64 to 127 */
#define RMS_JITTER 1.0103629f  /* of 0.75 to 1.25 */

struct synth_random synth_random_for(uint64_t seed, uint32_t layer, uint32_t ordinal)
{
	/* 24 bits name the tensor, 40 count its bytes in sixteens. */
	return (struct synth_random){seed, ((uint64_t)layer << 6 | (ordinal & 63)) << 40};
}

static void random_bytes(struct synth_random *r, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i += 16) {
		uint32_t words[4];
		rng_words(r->seed, RNG_STREAM_SYNTH, r->next++, words);
		memcpy(out + i, words, sizeof words);
	}
}

static void put_f16(uint8_t *out, float value)
{
	uint16_t h = f16_from_f32(value);
	memcpy(out, &h, sizeof h);
}

/* Block scales differ by up to a quarter, as real ones do. */
static float jitter(uint8_t random)
{
	return (0.75f + (float)random * (0.5f / 256)) / RMS_JITTER;
}

/* Formats without a minimum are off centre by half a step; a random sign of the scale keeps the mean at zero.
 */
static float signed_scale(const uint8_t *random, float scale)
{
	return (random[1] & 1 ? -scale : scale) * jitter(random[0]);
}

static void make_q4_0(const uint8_t *random, float sigma, uint8_t *block)
{
	put_f16(block, signed_scale(random, sigma / STD_4_BITS));
	memcpy(block + 2, random + 2, 16);
}

static void make_q4_1(const uint8_t *random, float sigma, uint8_t *block)
{
	float d = sigma / STD_4_BITS * jitter(random[0]);
	put_f16(block, d);
	put_f16(block + 2, -7.5f * d);
	memcpy(block + 4, random + 1, 16);
}

static void make_q5_0(const uint8_t *random, float sigma, uint8_t *block)
{
	put_f16(block, signed_scale(random, sigma / STD_5_BITS));
	memcpy(block + 2, random + 2, 20);
}

static void make_q5_1(const uint8_t *random, float sigma, uint8_t *block)
{
	float d = sigma / STD_5_BITS * jitter(random[0]);
	put_f16(block, d);
	put_f16(block + 2, -15.5f * d);
	memcpy(block + 4, random + 1, 20);
}

/* No quantiser writes -128. */
static void make_q8_0(const uint8_t *random, float sigma, uint8_t *block)
{
	put_f16(block, sigma / RMS_INT8 * jitter(random[0]));
	for (int i = 0; i < 32; i++)
		block[2 + i] = random[1 + i] == 0x80 ? 0 : random[1 + i];
}

/* Eight 6-bit scales of 32 to 63 and eight minimums within one of them, packed in 12 bytes. */
static void put_scales_k(const uint8_t *random, uint8_t *out)
{
	uint8_t scale[8], minimum[8];
	for (int j = 0; j < 8; j++) {
		scale[j] = (uint8_t)(32 + (random[j] & 31));
		int m = scale[j] + (random[j] >> 5) % 3 - 1;
		minimum[j] = (uint8_t)(m > 63 ? 63 : m);
	}
	for (int j = 0; j < 4; j++) {
		out[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
		out[j + 4] = (uint8_t)(minimum[j] | minimum[j + 4] >> 4 << 6);
		out[j + 8] = (uint8_t)((scale[j + 4] & 15) | (minimum[j + 4] & 15) << 4);
	}
}

static void make_q4_k(const uint8_t *random, float sigma, uint8_t *block)
{
	float d = sigma / (STD_4_BITS * RMS_SCALE6) * jitter(random[0]);
	put_f16(block, d);
	put_f16(block + 2, 7.5f * d);
	put_scales_k(random + 1, block + 4);
	memcpy(block + 16, random + 9, 128);
}

static void make_q5_k(const uint8_t *random, float sigma, uint8_t *block)
{
	float d = sigma / (STD_5_BITS * RMS_SCALE6) * jitter(random[0]);
	put_f16(block, d);
	put_f16(block + 2, 15.5f * d);
	put_scales_k(random + 1, block + 4);
	memcpy(block + 16, random + 9, 160);
}

static void make_q6_k(const uint8_t *random, float sigma, uint8_t *block)
{
	memcpy(block, random, 192);
	for (int j = 0; j < 16; j++) {
		uint8_t r = random[192 + j];
		int scale = 64 + (r & 63);
		block[192 + j] = (uint8_t)(r & 0x80 ? -scale : scale);
	}
	put_f16(block + 208, sigma / (STD_6_BITS * RMS_SCALE8) * jitter(random[208]));
}

/* Minimums are the scales, and dmin is one and a half of d: every group is centred. */
static void make_q2_k(const uint8_t *random, float sigma, uint8_t *block)
{
	float d = sigma / (STD_2_BITS * RMS_SCALE4) * jitter(random[0]);
	for (int j = 0; j < 16; j++)
		block[j] = (uint8_t)((8 + (random[1 + j] & 7)) * 0x11);
	memcpy(block + 16, random + 17, 64);
	put_f16(block + 80, d);
	put_f16(block + 82, 1.5f * d);
}

/* 16 to 31 of either sign, as six bits that are 32 too high. */
static uint8_t scale_of_6_bits(uint8_t random)
{
	int scale = 16 + (random & 15);
	return (uint8_t)(32 + (random & 0x80 ? -scale : scale));
}

static void make_q3_k(const uint8_t *random, float sigma, uint8_t *block)
{
	memcpy(block, random, 96);
	memset(block + 96, 0, 12);
	for (int j = 0; j < 16; j++) {
		uint8_t scale = scale_of_6_bits(random[96 + j]);
		block[96 + j % 8] |= (uint8_t)((scale & 15) << j / 8 * 4);
		block[104 + j % 4] |= (uint8_t)(scale >> 4 << j / 4 * 2);
	}
	put_f16(block + 108, sigma / (RMS_3_BITS * RMS_SCALE5) * jitter(random[112]));
}

static void make_iq4_nl(const uint8_t *random, float sigma, uint8_t *block)
{
	put_f16(block, signed_scale(random, sigma / RMS_IQ4));
	memcpy(block + 2, random + 2, 16);
}

static void make_iq4_xs(const uint8_t *random, float sigma, uint8_t *block)
{
	put_f16(block, sigma / (RMS_IQ4 * RMS_SCALE5) * jitter(random[0]));
	memset(block + 2, 0, 6);
	for (int j = 0; j < 8; j++) {
		uint8_t scale = scale_of_6_bits(random[1 + j]);
		block[4 + j / 2] |= (uint8_t)((scale & 15) << j % 2 * 4);
		block[2 + j / 4] |= (uint8_t)(scale >> 4 << j % 4 * 2);
	}
	memcpy(block + 8, random + 9, 128);
}

static const struct synth_kind kinds[] = {
	/* clang-format off */
	{TENSOR_F32, 2, NULL},
	{TENSOR_F16, 2, NULL},
	{TENSOR_BF16, 2, NULL},
	{TENSOR_Q4_0, 18, make_q4_0},
	{TENSOR_Q4_1, 17, make_q4_1},
	{TENSOR_Q5_0, 22, make_q5_0},
	{TENSOR_Q5_1, 21, make_q5_1},
	{TENSOR_Q8_0, 33, make_q8_0},
	{TENSOR_Q4_K, 137, make_q4_k},
	{TENSOR_Q5_K, 169, make_q5_k},
	{TENSOR_Q6_K, 209, make_q6_k},
	{TENSOR_Q2_K, 81, make_q2_k},
	{TENSOR_Q3_K, 113, make_q3_k},
	{TENSOR_IQ4_NL, 18, make_iq4_nl},
	{TENSOR_IQ4_XS, 137, make_iq4_xs},
	/* clang-format on */
};

const struct synth_kind *synth_kind_get(enum tensor_type type)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

void synth_table(struct synth_buffers *b, enum tensor_type type, float mean, float spread)
{
	for (int i = 0; i < 65536; i++)
		b->floats[i] = mean + spread * (((float)i - 32767.5f) / 32768.0f);
	format_get(type)->quantise(b->floats, b->table, 65536);
}

static void look_up(const struct synth_buffers *b, size_t element_bytes, size_t n)
{
	uint16_t i;
	if (element_bytes == 4) {
		for (size_t k = 0; k < n; k++) {
			memcpy(&i, b->random + 2 * k, sizeof i);
			memcpy(b->blocks + 4 * k, b->table + 4 * (size_t)i, 4);
		}
		return;
	}
	for (size_t k = 0; k < n; k++) {
		memcpy(&i, b->random + 2 * k, sizeof i);
		memcpy(b->blocks + 2 * k, b->table + 2 * (size_t)i, 2);
	}
}

size_t synth_fill(struct synth_buffers *b, struct synth_random *r, enum tensor_type type, float sigma,
		  size_t n)
{
	const struct synth_kind *kind = synth_kind_get(type);
	const struct tensor_type_info *info = tensor_type_get(type);
	size_t n_blocks = n / info->block_elements;
	random_bytes(r, b->random, n_blocks * kind->random_bytes);
	if (!kind->make)
		look_up(b, info->block_bytes, n);
	for (size_t i = 0; kind->make && i < n_blocks; i++)
		kind->make(b->random + i * kind->random_bytes, sigma, b->blocks + i * info->block_bytes);
	return n_blocks * info->block_bytes;
}
