/* Back from panels to a row as the file has it, bit for bit: what a tied embedding is looked up in. */
#include <string.h>

#include "compute/cpu/pack.h"

/* One block of one row out of row's lane of the head and of the bodies: what pack.c's functions did, undone.
 */
typedef void unpack_block_fn(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst);

static void get_bytes(const uint8_t *body, uint32_t row, uint32_t w[8])
{
	for (int j = 0; j < 8; j++)
		memcpy(&w[j], body + 64 * j + 4 * row, 4);
}

static void get_nibbles(const uint8_t *body, uint32_t row, uint32_t w[8])
{
	for (int j = 0; j < 4; j++) {
		uint32_t word;
		memcpy(&word, body + 64 * j + 4 * row, 4);
		w[j] = word & 0x0F0F0F0F;
		w[j + 4] = word >> 4 & 0x0F0F0F0F;
	}
}

static uint32_t high_word(const uint8_t *body, uint32_t row)
{
	uint32_t word;
	memcpy(&word, body + 256 + 4 * row, 4);
	return word;
}

/* w[0 .. 7] of four bits each to 16 bytes: columns 0 .. 15 in the low halves, 16 .. 31 in the high ones. */
static void join_nibbles(const uint32_t w[8], uint8_t *dst)
{
	for (int j = 0; j < 4; j++) {
		uint32_t word = w[j] | w[j + 4] << 4;
		memcpy(dst + 4 * j, &word, 4);
	}
}

/* Bit j of each of the 32 bytes of high words: the fifth bits of columns 4 j .. 4 j + 3, to bits 0 .. 31. */
static void join_fifth_bits(uint32_t high, uint8_t *dst)
{
	memset(dst, 0, 4);
	for (int i = 0; i < 32; i++)
		dst[i / 8] |= (uint8_t)((high >> (8 * (i % 4) + i / 4) & 1) << i % 8);
}

static void unpack_q8_0(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	uint32_t w[8];
	get_bytes(body, row, w);
	for (int j = 0; j < 8; j++)
		w[j] ^= 0x80808080;
	memcpy(dst, head + 2 * row, 2);
	memcpy(dst + 2, w, 32);
}

static void unpack_q4_0(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	uint32_t w[8];
	get_nibbles(body, row, w);
	memcpy(dst, head + 2 * row, 2);
	join_nibbles(w, dst + 2);
}

static void unpack_q4_1(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	uint32_t w[8];
	get_nibbles(body, row, w);
	memcpy(dst, head + 2 * row, 2);
	memcpy(dst + 2, head + 32 + 2 * row, 2);
	join_nibbles(w, dst + 4);
}

static void unpack_q5_0(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	uint32_t w[8];
	get_nibbles(body, row, w);
	memcpy(dst, head + 2 * row, 2);
	join_fifth_bits(high_word(body, row), dst + 2);
	join_nibbles(w, dst + 6);
}

static void unpack_q5_1(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	uint32_t w[8];
	get_nibbles(body, row, w);
	memcpy(dst, head + 2 * row, 2);
	memcpy(dst + 2, head + 32 + 2 * row, 2);
	join_fifth_bits(high_word(body, row), dst + 4);
	join_nibbles(w, dst + 8);
}

/* The first 16 bytes of a block: scale, minimum, and six bits of each for the eight chunks. */
static void unpack_k_head(const uint8_t *head, uint32_t row, uint8_t *dst)
{
	memcpy(dst, head + 2 * row, 2);
	memcpy(dst + 2, head + 32 + 2 * row, 2);
	for (uint32_t g = 0; g < 4; g++) {
		const uint8_t *lane = head + 64 + 16 * g + row;
		unsigned scale = lane[0] & 63, scale4 = lane[64] & 63, min = lane[128] & 63;
		unsigned min4 =
			(unsigned)lane[0] >> 6 | (unsigned)lane[64] >> 6 << 2 | (unsigned)lane[128] >> 6 << 4;
		dst[4 + g] = (uint8_t)(scale | scale4 >> 4 << 6);
		dst[8 + g] = (uint8_t)(min | min4 >> 4 << 6);
		dst[12 + g] = (uint8_t)((scale4 & 15) | (min4 & 15) << 4);
	}
}

/* Eight words, shifted, into what stands at dst. */
static void or_words(const uint32_t w[8], int shift, uint8_t *dst)
{
	for (int j = 0; j < 8; j++) {
		uint32_t word;
		memcpy(&word, dst + 4 * j, 4);
		word |= w[j] << shift;
		memcpy(dst + 4 * j, &word, 4);
	}
}

static void unpack_q4_k(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	unpack_k_head(head, row, dst);
	memset(dst + 16, 0, 128);
	for (int g = 0; g < 8; g++, body += 256) {
		uint32_t w[8];
		get_nibbles(body, row, w);
		or_words(w, g % 2 * 4, dst + 16 + 32 * (g / 2));
	}
}

static void unpack_q5_k(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	unpack_k_head(head, row, dst);
	memset(dst + 16, 0, 32 + 128);
	for (int g = 0; g < 8; g++, body += 320) {
		uint32_t w[8], high = high_word(body, row);
		get_nibbles(body, row, w);
		or_words(w, g % 2 * 4, dst + 48 + 32 * (g / 2));
		for (int j = 0; j < 8; j++)
			w[j] = high >> j & 0x01010101;
		or_words(w, g, dst + 16);
	}
}

static void unpack_q6_k(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	memset(dst, 0, 128 + 64);
	for (uint32_t g = 0; g < 16; g++)
		dst[192 + g] = head[32 + 16 * g + row];
	memcpy(dst + 208, head + 2 * row, 2);
	for (int g = 0; g < 8; g++, body += 384) {
		int half = g / 4, quarter = g % 4;
		uint32_t w[8];
		get_nibbles(body, row, w);
		or_words(w, quarter / 2 * 4, dst + 64 * half + 32 * (quarter % 2));
		for (int j = 0; j < 8; j++)
			w[j] = high_word(body + 64 * (j / 4), row) >> 2 * (j % 4) & 0x03030303;
		or_words(w, 2 * quarter, dst + 128 + 32 * half);
	}
}

static void get_two_bits(const uint8_t *body, uint32_t row, uint32_t w[8])
{
	for (int j = 0; j < 8; j++) {
		memcpy(&w[j], body + 64 * (j % 4 / 2) + 4 * row, 4);
		w[j] = w[j] >> (j % 2 * 4 + j / 4 * 2) & 0x03030303;
	}
}

static void get_three_bits(const uint8_t *body, uint32_t row, uint32_t w[8])
{
	uint32_t x[3];
	for (int i = 0; i < 3; i++) {
		memcpy(&x[i], body + 64 * i + 4 * row, 4);
		w[i] = x[i] & 0x07070707;
		w[4 + i] = x[i] >> 3 & 0x07070707;
	}
	w[3] = (x[0] >> 6 & 0x03030303) | (x[2] >> 4 & 0x04040404);
	w[7] = (x[1] >> 6 & 0x03030303) | (x[2] >> 5 & 0x04040404);
}

static void unpack_q2_k(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	memset(dst + 16, 0, 64);
	for (uint32_t g = 0; g < 16; g++)
		dst[g] = head[64 + 64 * (g / 4) + 4 * row + g % 4];
	memcpy(dst + 80, head + 2 * row, 2);
	memcpy(dst + 82, head + 32 + 2 * row, 2);
	for (int g = 0; g < 8; g++, body += 128) {
		uint32_t w[8];
		get_two_bits(body, row, w);
		or_words(w, 2 * (g % 4), dst + 16 + 32 * (g / 4)); /* as pair_group has it */
	}
}

static void unpack_q3_k(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	memset(dst, 0, 32 + 64 + 12);
	for (uint32_t g = 0; g < 16; g++) {
		unsigned scale = (head[32 + 16 * g + row] + 32u) & 63;
		dst[96 + g % 8] |= (uint8_t)((scale & 15) << g / 8 * 4);
		dst[104 + g % 4] |= (uint8_t)(scale >> 4 << g / 4 * 2);
	}
	memcpy(dst + 108, head + 2 * row, 2);
	for (int g = 0; g < 8; g++, body += 192) {
		uint32_t w[8], low[8], third[8];
		get_three_bits(body, row, w);
		for (int j = 0; j < 8; j++) {
			low[j] = w[j] & 0x03030303;
			third[j] = w[j] >> 2 & 0x01010101;
		}
		or_words(low, 2 * (g % 4), dst + 32 + 32 * (g / 4));
		or_words(third, g, dst);
	}
}

static void unpack_iq4_xs(const uint8_t *head, const uint8_t *body, uint32_t row, uint8_t *dst)
{
	memcpy(dst, head + 2 * row, 2);
	memset(dst + 2, 0, 2 + 4);
	for (uint32_t g = 0; g < 8; g++, body += 256) {
		uint32_t w[8];
		unsigned scale = (head[32 + 16 * g + row] + 32u) & 63;
		dst[4 + g / 2] |= (uint8_t)((scale & 15) << g % 2 * 4);
		dst[2 + g / 4] |= (uint8_t)(scale >> 4 << g % 4 * 2);
		get_nibbles(body, row, w);
		join_nibbles(w, dst + 8 + 16 * g);
	}
}

/* Floats have none; their elements move as they are. */
static unpack_block_fn *const unpackers[PACK_N_KINDS] = {
	[PACK_Q8_0] = unpack_q8_0, [PACK_Q4_0] = unpack_q4_0,   [PACK_Q4_1] = unpack_q4_1,
	[PACK_Q5_0] = unpack_q5_0, [PACK_Q5_1] = unpack_q5_1,   [PACK_Q4_K] = unpack_q4_k,
	[PACK_Q5_K] = unpack_q5_k, [PACK_Q6_K] = unpack_q6_k,   [PACK_Q2_K] = unpack_q2_k,
	[PACK_Q3_K] = unpack_q3_k, [PACK_IQ4_NL] = unpack_q4_0, [PACK_IQ4_XS] = unpack_iq4_xs,
};

void pack_row(const struct packed *p, uint32_t row, uint8_t *out)
{
	const struct format *fmt = p->source->fmt;
	uint32_t slab = row / SLAB_ROWS, in_slab = row % SLAB_ROWS;
	size_t panel = in_slab / PANEL * p->panel_bytes;
	struct product at;
	for (uint32_t b = 0; b < p->blocks; b++, out += fmt->block_bytes) {
		pack_address(p, slab, b * fmt->block_elements, &at);
		if (unpackers[p->kind])
			unpackers[p->kind](at.head + panel, at.body + panel, row % PANEL, out);
		else
			memcpy(out, at.head + (size_t)in_slab * fmt->block_bytes, fmt->block_bytes);
	}
}
