#include "compute/cpu/pack.h"

#include <string.h>

/* Lays one block of one row: row's lane of the head and of the bodies, which follow each other. */
typedef void pack_block_fn(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row);

/* Four columns at a time as a word; what a body makes of the eight words of a chunk. */
static void put_bytes(const uint32_t w[8], uint8_t *body, uint32_t row)
{
	for (int j = 0; j < 8; j++)
		memcpy(body + 64 * j + 4 * row, &w[j], 4);
}

static void put_nibbles(const uint32_t w[8], uint8_t *body, uint32_t row)
{
	for (int j = 0; j < 4; j++) {
		uint32_t word = (w[j] & 0x0F0F0F0F) | (w[j + 4] & 0x0F0F0F0F) << 4;
		memcpy(body + 64 * j + 4 * row, &word, 4);
	}
}

static void put_five_bits(const uint32_t w[8], uint8_t *body, uint32_t row)
{
	uint32_t high = 0;
	for (int j = 0; j < 8; j++)
		high |= (w[j] >> 4 & 0x01010101) << j;
	put_nibbles(w, body, row);
	memcpy(body + 256 + 4 * row, &high, 4);
}

/* Bits shift and shift + 1 of each byte. */
static void put_pairs(const uint32_t w[8], int shift, uint8_t *body, uint32_t row)
{
	for (int half = 0; half < 2; half++) {
		uint32_t word = 0;
		for (int j = 0; j < 4; j++)
			word |= (w[4 * half + j] >> shift & 0x03030303) << 2 * j;
		memcpy(body + 64 * half + 4 * row, &word, 4);
	}
}

static void put_six_bits(const uint32_t w[8], uint8_t *body, uint32_t row)
{
	put_nibbles(w, body, row);
	put_pairs(w, 4, body + 256, row);
}

static void put_two_bits(const uint32_t w[8], uint8_t *body, uint32_t row)
{
	for (int i = 0; i < 2; i++) {
		const uint32_t *lo = w + 2 * i, *hi = lo + 4;
		uint32_t word = lo[0] | hi[0] << 2 | lo[1] << 4 | hi[1] << 6;
		memcpy(body + 64 * i + 4 * row, &word, 4);
	}
}

/* What the seventh and the eighth bits of three bytes hold: two numbers' low pairs and third bits. */
static void put_three_bits(const uint32_t w[8], uint8_t *body, uint32_t row)
{
	const uint32_t pair = 0x03030303, third = 0x04040404;
	uint32_t top[3] = {(w[3] & pair) << 6, (w[7] & pair) << 6, (w[3] & third) << 4 | (w[7] & third) << 5};
	for (int i = 0; i < 3; i++) {
		uint32_t word = w[i] | w[4 + i] << 3 | top[i];
		memcpy(body + 64 * i + 4 * row, &word, 4);
	}
}

static void pack_q8_0(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	uint32_t w[8];
	memcpy(head + 2 * row, src, 2);
	memcpy(w, src + 2, 32);
	for (int j = 0; j < 8; j++)
		w[j] ^= 0x80808080;
	put_bytes(w, body, row);
}

/* 16 bytes hold columns 0 .. 15 in their low halves, 16 .. 31 in their high halves. */
static void split_nibbles(const uint8_t *src, uint32_t w[8])
{
	uint32_t x[4];
	memcpy(x, src, 16);
	for (int j = 0; j < 4; j++) {
		w[j] = x[j] & 0x0F0F0F0F;
		w[j + 4] = x[j] >> 4 & 0x0F0F0F0F;
	}
}

/* Bit i of the 32 is the fifth bit of column i. */
static void add_fifth_bits(const uint8_t *src, uint32_t w[8])
{
	uint8_t v[32];
	memcpy(v, w, 32);
	for (int i = 0; i < 32; i++)
		v[i] |= (uint8_t)((src[i / 8] >> i % 8 & 1) << 4);
	memcpy(w, v, 32);
}

static void pack_q4_0(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	uint32_t w[8];
	memcpy(head + 2 * row, src, 2);
	split_nibbles(src + 2, w);
	put_nibbles(w, body, row);
}

static void pack_q4_1(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	uint32_t w[8];
	memcpy(head + 2 * row, src, 2);
	memcpy(head + 32 + 2 * row, src + 2, 2);
	split_nibbles(src + 4, w);
	put_nibbles(w, body, row);
}

static void pack_q5_0(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	uint32_t w[8];
	memcpy(head + 2 * row, src, 2);
	split_nibbles(src + 6, w);
	add_fifth_bits(src + 2, w);
	put_five_bits(w, body, row);
}

static void pack_q5_1(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	uint32_t w[8];
	memcpy(head + 2 * row, src, 2);
	memcpy(head + 32 + 2 * row, src + 2, 2);
	split_nibbles(src + 8, w);
	add_fifth_bits(src + 4, w);
	put_five_bits(w, body, row);
}

/* Scale and minimum of the eight chunks: six bits each, in the 12 bytes at s. */
static void pack_k_head(const uint8_t *src, uint8_t *head, uint32_t row)
{
	const uint8_t *s = src + 4;
	uint8_t scale[8], min[8];
	memcpy(head + 2 * row, src, 2);
	memcpy(head + 32 + 2 * row, src + 2, 2);
	for (int g = 0; g < 4; g++) {
		scale[g] = s[g] & 63;
		min[g] = s[g + 4] & 63;
		scale[g + 4] = (uint8_t)((s[g + 8] & 15) | s[g] >> 6 << 4);
		min[g + 4] = (uint8_t)(s[g + 8] >> 4 | s[g + 4] >> 6 << 4);
	}
	for (uint32_t g = 0; g < 4; g++) {
		uint8_t *lane = head + 64 + 16 * g + row;
		lane[0] = (uint8_t)(scale[g] | (min[g + 4] & 3) << 6);
		lane[64] = (uint8_t)(scale[g + 4] | (min[g + 4] >> 2 & 3) << 6);
		lane[128] = (uint8_t)(min[g] | (min[g + 4] >> 4 & 3) << 6);
	}
}

/* Chunks 2 j and 2 j + 1 are the low and the high halves of 32 bytes. */
static void k_group(const uint8_t *quants, int g, uint32_t w[8])
{
	memcpy(w, quants + 32 * (g / 2), 32);
	for (int j = 0; j < 8; j++)
		w[j] = w[j] >> (g % 2 * 4) & 0x0F0F0F0F;
}

static void pack_q4_k(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	pack_k_head(src, head, row);
	for (int g = 0; g < 8; g++, body += 256) {
		uint32_t w[8];
		k_group(src + 16, g, w);
		put_nibbles(w, body, row);
	}
}

static void pack_q5_k(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	uint32_t high[8];
	memcpy(high, src + 16, 32);
	pack_k_head(src, head, row);
	for (int g = 0; g < 8; g++, body += 320) {
		uint32_t w[8];
		k_group(src + 48, g, w);
		for (int j = 0; j < 8; j++)
			w[j] |= (high[j] >> g & 0x01010101) << 4;
		put_five_bits(w, body, row);
	}
}

static void pack_q6_k(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	const uint8_t *low = src, *high = src + 128, *scales = src + 192;
	memcpy(head + 2 * row, src + 208, 2);
	for (uint32_t g = 0; g < 16; g++)
		head[32 + 16 * g + row] = scales[g];
	for (int g = 0; g < 8; g++, body += 384) {
		int half = g / 4, quarter = g % 4; /* of 256 and of 128 columns */
		uint32_t w[8], h[8];
		memcpy(w, low + 64 * half + 32 * (quarter % 2), 32);
		memcpy(h, high + 32 * half, 32);
		for (int j = 0; j < 8; j++)
			w[j] = (w[j] >> quarter / 2 * 4 & 0x0F0F0F0F) | (h[j] >> 2 * quarter & 0x03030303)
										<< 4;
		put_six_bits(w, body, row);
	}
}

/* Chunk g of a block of two-bit numbers: four chunks share 32 bytes. */
static void pair_group(const uint8_t *quants, int g, uint32_t w[8])
{
	memcpy(w, quants + 32 * (g / 4), 32);
	for (int j = 0; j < 8; j++)
		w[j] = w[j] >> 2 * (g % 4) & 0x03030303;
}

static void pack_q2_k(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	memcpy(head + 2 * row, src + 80, 2);
	memcpy(head + 32 + 2 * row, src + 82, 2);
	for (uint32_t g = 0; g < 16; g++)
		head[64 + 64 * (g / 4) + 4 * row + g % 4] = src[g];
	for (int g = 0; g < 8; g++, body += 128) {
		uint32_t w[8];
		pair_group(src + 16, g, w);
		put_two_bits(w, body, row);
	}
}

/* The sixteen scales: four low bits each in the halves of eight bytes, two high bits each in four bytes. */
static void pack_q3_k(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	const uint8_t *s = src + 96;
	uint32_t third[8];
	memcpy(third, src, 32);
	memcpy(head + 2 * row, src + 108, 2);
	for (uint32_t g = 0; g < 16; g++) {
		int low = s[g % 8] >> g / 8 * 4 & 15, high = s[8 + g % 4] >> g / 4 * 2 & 3;
		head[32 + 16 * g + row] = (uint8_t)((low | high << 4) - 32);
	}
	for (int g = 0; g < 8; g++, body += 192) {
		uint32_t w[8];
		pair_group(src + 32, g, w);
		for (int j = 0; j < 8; j++)
			w[j] |= (third[j] >> g & 0x01010101) << 2;
		put_three_bits(w, body, row);
	}
}

static void pack_iq4_xs(const uint8_t *src, uint8_t *head, uint8_t *body, uint32_t row)
{
	unsigned high = (unsigned)src[2] | (unsigned)src[3] << 8;
	memcpy(head + 2 * row, src, 2);
	for (uint32_t g = 0; g < 8; g++, body += 256) {
		uint32_t w[8];
		int low = src[4 + g / 2] >> g % 2 * 4 & 15;
		head[32 + 16 * g + row] = (uint8_t)((low | (int)(high >> 2 * g & 3) << 4) - 32);
		split_nibbles(src + 8 + 16 * g, w);
		put_nibbles(w, body, row);
	}
}

/* One row a format. Floats have no pack function; their elements move as they are. */
static const struct {
	enum tensor_type type;
	uint32_t columns;    /* a block */
	uint32_t head_bytes; /* a block of a panel; floats: bytes an element */
	uint32_t body_bytes; /* a chunk of a panel */
	pack_block_fn *pack;
} kinds[PACK_N_KINDS] = {
	[PACK_F32] = {TENSOR_F32, 1, 4, 0, NULL},
	[PACK_F16] = {TENSOR_F16, 1, 2, 0, NULL},
	[PACK_BF16] = {TENSOR_BF16, 1, 2, 0, NULL},
	[PACK_Q8_0] = {TENSOR_Q8_0, 32, 32, 512, pack_q8_0},
	[PACK_Q4_0] = {TENSOR_Q4_0, 32, 32, 256, pack_q4_0},
	[PACK_Q4_1] = {TENSOR_Q4_1, 32, 64, 256, pack_q4_1},
	[PACK_Q5_0] = {TENSOR_Q5_0, 32, 32, 320, pack_q5_0},
	[PACK_Q5_1] = {TENSOR_Q5_1, 32, 64, 320, pack_q5_1},
	[PACK_Q4_K] = {TENSOR_Q4_K, 256, 256, 256, pack_q4_k},
	[PACK_Q5_K] = {TENSOR_Q5_K, 256, 256, 320, pack_q5_k},
	[PACK_Q6_K] = {TENSOR_Q6_K, 256, 288, 384, pack_q6_k},
	[PACK_Q2_K] = {TENSOR_Q2_K, 256, 320, 128, pack_q2_k},
	[PACK_Q3_K] = {TENSOR_Q3_K, 256, 288, 192, pack_q3_k},
	[PACK_IQ4_NL] = {TENSOR_IQ4_NL, 32, 32, 256, pack_q4_0},
	[PACK_IQ4_XS] = {TENSOR_IQ4_XS, 256, 160, 256, pack_iq4_xs},
};

bool pack_is_quantised(enum pack_kind kind)
{
	return kinds[kind].pack != NULL;
}

uint32_t pack_block_columns(enum pack_kind kind)
{
	return kinds[kind].columns;
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

bool pack_plan(struct packed *p, const struct weight *w)
{
	int kind = 0;
	while (kind < PACK_N_KINDS && kinds[kind].type != w->fmt->type)
		kind++;
	if (kind == PACK_N_KINDS)
		return false;
	uint32_t panels = (w->rows + PANEL - 1) / PANEL;
	*p = (struct packed){
		.kind = (enum pack_kind)kind,
		.rows = w->rows,
		.cols = w->cols,
		.n_panels = panels,
		.n_slabs = (panels + SLAB_PANELS - 1) / SLAB_PANELS,
		.blocks = w->cols / kinds[kind].columns,
		.source = w,
	};
	if (kinds[kind].pack) {
		p->body_offset = round_up((size_t)p->blocks * kinds[kind].head_bytes, 64);
		p->panel_bytes = p->body_offset + (size_t)w->cols / CHUNK * kinds[kind].body_bytes;
	} else {
		p->panel_bytes = (size_t)w->cols * PANEL * kinds[kind].head_bytes;
	}
	p->bytes = round_up((uint64_t)panels * p->panel_bytes, 64);
	return true;
}

/* rows: those of the panel, as in the file. */
static void pack_quantised_panel(const struct packed *p, uint32_t panel, const uint8_t *rows)
{
	const struct weight *w = p->source;
	uint32_t row0 = panel * PANEL, n = w->rows - row0 < PANEL ? w->rows - row0 : PANEL;
	uint8_t *head = p->data + panel * p->panel_bytes, *body = head + p->body_offset;
	size_t block_bytes = w->fmt->block_bytes, bodies = kinds[p->kind].body_bytes;
	bodies *= kinds[p->kind].columns / CHUNK;
	for (uint32_t b = 0; b < p->blocks; b++) {
		for (uint32_t r = 0; r < n; r++) {
			const uint8_t *row = rows + r * w->row_bytes;
			kinds[p->kind].pack(row + b * block_bytes, head, body, r);
		}
		head += kinds[p->kind].head_bytes;
		body += bodies;
	}
}

/* A tile of the transposition fits in the first-level cache. */
enum { TRANSPOSE_COLUMNS = 32 };

/* Four rows of four 16-bit elements at from (row_bytes apart) to four rows at to (stride bytes apart). */
static void transpose_4x4(const uint8_t *from, uint64_t row_bytes, uint8_t *to, size_t stride)
{
	const uint64_t even = 0x0000FFFF0000FFFF, low = 0x00000000FFFFFFFF;
	uint64_t r[4], pairs[4], out[4];
	for (int i = 0; i < 4; i++)
		memcpy(&r[i], from + (uint64_t)i * row_bytes, 8);
	pairs[0] = (r[0] & even) | (r[1] & even) << 16;
	pairs[1] = (r[0] >> 16 & even) | (r[1] & ~even);
	pairs[2] = (r[2] & even) | (r[3] & even) << 16;
	pairs[3] = (r[2] >> 16 & even) | (r[3] & ~even);
	out[0] = (pairs[0] & low) | pairs[2] << 32;
	out[1] = (pairs[1] & low) | pairs[3] << 32;
	out[2] = pairs[0] >> 32 | (pairs[2] & ~low);
	out[3] = pairs[1] >> 32 | (pairs[3] & ~low);
	for (int i = 0; i < 4; i++)
		memcpy(to + (size_t)i * stride, &out[i], 8);
}

/* Columns first .. end - 1 of rows n0 .. n - 1 at from, element by element, to (columns, stride bytes) at to.
 */
static void transpose_rest(const uint8_t *from, uint64_t row_bytes, uint32_t n0, uint32_t n, uint32_t first,
			   uint32_t end, uint32_t size, uint8_t *to, size_t stride)
{
	for (uint32_t r = n0; r < n; r++)
		for (uint32_t k = first; k < end; k++)
			memcpy(to + k * stride + r * size, from + r * row_bytes + k * size, size);
}

/* from: the slab's rows, as in the file. */
static void pack_float_slab(const struct packed *p, uint32_t slab, const uint8_t *from)
{
	const struct weight *w = p->source;
	uint32_t row0 = slab * SLAB_ROWS, n = w->rows - row0 < SLAB_ROWS ? w->rows - row0 : SLAB_ROWS;
	uint32_t panels = p->n_panels - slab * SLAB_PANELS, size = kinds[p->kind].head_bytes;
	size_t stride = (panels < SLAB_PANELS ? panels : SLAB_PANELS) * (size_t)PANEL * size;
	uint8_t *to = p->data + slab * SLAB_PANELS * p->panel_bytes;
	for (uint32_t k0 = 0; k0 < w->cols; k0 += TRANSPOSE_COLUMNS) {
		uint32_t end = w->cols - k0 < TRANSPOSE_COLUMNS ? w->cols : k0 + TRANSPOSE_COLUMNS;
		uint32_t k4 = size == 2 ? k0 + (end - k0) / 4 * 4 : k0, n4 = size == 2 ? n / 4 * 4 : 0;
		for (uint32_t r = 0; r < n4; r += 4)
			for (uint32_t k = k0; k < k4; k += 4)
				transpose_4x4(from + r * w->row_bytes + k * size, w->row_bytes,
					      to + k * stride + r * size, stride);
		transpose_rest(from, w->row_bytes, 0, n4, k4, end, size, to, stride);
		transpose_rest(from, w->row_bytes, n4, n, k0, end, size, to, stride);
	}
}

uint64_t pack_buffer_bytes(const struct packed *p)
{
	return (uint64_t)(p->rows < SLAB_ROWS ? p->rows : SLAB_ROWS) * p->source->row_bytes;
}

enum hokku_code pack_slabs(const struct packed *p, uint32_t first, uint32_t end, void *buffer,
			   struct hokku_error *err)
{
	const struct weight *w = p->source;
	for (uint32_t slab = first; slab < end; slab++) {
		uint32_t row = slab * SLAB_ROWS, n = w->rows - row < SLAB_ROWS ? w->rows - row : SLAB_ROWS;
		const uint8_t *rows = weight_rows(w, row, n, buffer, err);
		if (!rows)
			return HOKKU_IO_ERROR;
		if (!kinds[p->kind].pack) {
			pack_float_slab(p, slab, rows);
			continue;
		}
		for (uint32_t i = 0; i < n; i += PANEL)
			pack_quantised_panel(p, (row + i) / PANEL, rows + i * w->row_bytes);
	}
	return HOKKU_OK;
}

void pack_address(const struct packed *p, uint32_t slab, uint32_t column, struct product *out)
{
	const uint8_t *panel = p->data + (size_t)slab * SLAB_PANELS * p->panel_bytes;
	uint32_t left = p->n_panels - slab * SLAB_PANELS;
	out->panels = left < SLAB_PANELS ? left : SLAB_PANELS;
	out->panel_bytes = p->panel_bytes;
	if (!kinds[p->kind].pack) {
		out->head = panel + (size_t)column * out->panels * PANEL * kinds[p->kind].head_bytes;
		out->body = NULL;
		return;
	}
	out->head = panel + (size_t)column / kinds[p->kind].columns * kinds[p->kind].head_bytes;
	out->body = panel + p->body_offset + (size_t)column / CHUNK * kinds[p->kind].body_bytes;
}
