/*
 * How the tile path lays weights out: in tiles of eight rows, so that one lane's load is what a tensor-core
 * product wants from it, and in the order in which decoding reads them. Nothing is decoded; the bytes are the
 * file's but for scales of less than a byte, which get one each (those of IQ4_XS a float), and for BF16 and
 * F32.
 *
 * A *unit* is 8 rows x 32 columns (8 x 256 of the K formats). Rows are padded to whole tiles and columns to
 * whole units with zeros. Lane l = 4 g + t of a warp owns row g, columns 8t .. 8t + 7 of each 32 ("chunk"),
 * in natural order c0 .. c7. Inside a unit, one after another:
 *
 *     F16    halves  [lane][c0 .. c7]                                            512 bytes
 *     BF16   the same, of the number times a power of two that its row has       512
 *     F32    the same, and what those halves leave of it, as halves              512 + 512
 *     Q8_0   bytes   [lane][c0 .. c7], quant + 128; d: half [row]                256 + 16
 *     Q4_0   nibbles [lane]; d: half [row]                                       128 + 16
 *     Q4_1   nibbles; (d, m): two halves [row]                                   128 + 32
 *     Q5_0   nibbles; fifth bits: byte [lane]; d: half [row]                     128 + 32 + 16
 *     Q5_1   nibbles; fifth bits; (d, m) [row]                                   128 + 32 + 32
 *     IQ4_NL nibbles [lane], c0 lowest; scale: float [row]                       128 + 32
 *     Q4_K   nibbles [chunk][lane]; (scale, min): two bytes [chunk][row];
 *            (d, dmin): two halves [row]                                         1024 + 128 + 32
 *     Q5_K   nibbles; fifth bits: byte [chunk][lane]; (scale, min); (d, dmin)    1024 + 256 + 128 + 32
 *     Q6_K   words [chunk][lane]; two bytes [two chunks][lane][chunk]; scales: two signed bytes [chunk][row]
 *            (columns 0 .. 15 and 16 .. 31 of the chunk); d: half [row]          1024 + 512 + 128 + 16
 *     Q2_K   two bytes [chunk][lane]; scales: two bytes [chunk][row] (the columns as Q6_K's; the scale in the
 *            low four bits, the min in the others); (d, dmin): two halves [row]  512 + 128 + 32
 *
 * A lane's nibbles are one 32-bit word: c(2i) in bits 4i .. 4i + 3, c(2i+1) in bits 16 + 4i .. 16 + 4i + 3.
 * Q4_K's are so that the word rotated to the left by 0, 4, 28, 8 has c(2i) in bits 6 .. 9 and c(2i+1) in bits
 * 22 .. 25, for i = 0 .. 3: there, with nothing else, they are halves of 2^-18 times their size.
 * Fifth bits are one byte: c0 c1 c4 c5 c2 c3 c6 c7 from bit 0 on.
 *
 * Of Q6_K, the lower half of the word has c0 (bits 4 .. 9), c2 (10 .. 15) and the low four bits of c6 (0 ..
 * 3); the first byte has c4 (2 .. 7) and the rest of c6 (0, 1). The upper half and the second byte have c1,
 * c3, c7 and c5 so. In bits 4 .. 9 of a half, with nothing else, they are 2^-20 times their size.
 *
 * Q2_K's even columns are the first of the two bytes, c0 lowest, its odd ones the second.
 *
 * Numbers are stored as the file has them (unsigned, before the format's offset is taken off).
 *
 * Two formats of files are another's here: Q3_K is Q6_K, with its six-bit scales and three-bit numbers in
 * wider places; IQ4_XS is IQ4_NL. In HALF, F32 is BF16: rounded to a half.
 *
 * BF16 and F32 have numbers that are no halves. So a row is multiplied by the power of two that brings its
 * largest number to 2^14 .. 2^15, and its sums are divided by it again, which rounds nothing. Numbers of
 * eight bits from 2^-31 of the row's largest on are halves then; what is smaller is off by 2^-39 of it at
 * most. What the sums are multiplied by lies before the matrix, as floats, row 0's last (tile_row_scale).
 *
 * The units of a row are cut into TILE_SEGMENTS segments, whose sums are added in order: segment s has units
 * s n / 16 .. (s + 1) n / 16 - 1. A matrix lies as [segment][tile][unit of the segment].
 *
 * In precision mode HALF it is *paired*: [segment][pair of tiles][bundle of units][tile][unit], each bundle
 * of a pair padded to whole lines of memory (128 bytes) with zeros, and an odd last tile to a pair. Decoding
 * brings a bundle of a pair at once, and copies of whole lines are 10% faster than others.
 */
#ifndef COMPUTE_CUDA_TILE_LAYOUT_H
#define COMPUTE_CUDA_TILE_LAYOUT_H

#include <stdbool.h>

#include "base/host_device.h"
#include "compute/cuda/kernels.h"

enum {
	TILE_ROWS = 8,
	TILE_CHUNK = 32,          /* columns; of activations: what lies together and has one sum */
	TILE_SEGMENTS = 16,       /* of a row */
	TILE_LINE = 128,          /* bytes */
	TILE_BUNDLE_BYTES = 4096, /* of a bundle of units, at most */
};

/* Formats that weights have in the tile path: bytes and columns of a unit. */
/* clang-format off */
#define TILE_FORMATS(X) \
	X(F16, 512, 32) \
	X(BF16, 512, 32) \
	X(F32, 1024, 32) \
	X(Q8_0, 272, 32) \
	X(Q4_0, 144, 32) \
	X(Q4_1, 160, 32) \
	X(Q5_0, 176, 32) \
	X(Q5_1, 192, 32) \
	X(IQ4_NL, 160, 32) \
	X(Q4_K, 1184, 256) \
	X(Q5_K, 1440, 256) \
	X(Q6_K, 1680, 256) \
	X(Q2_K, 672, 256)
/* clang-format on */

struct tile_matrix {
	const uint8_t *data; /* tile_bytes(m), aligned to TILE_LINE; tile_lead_bytes(m) before */
	uint32_t rows, cols;
	uint32_t n_tiles, n_units; /* of all rows; of one row */
	uint32_t unit_bytes;
	uint32_t format; /* enum cuda_format, of TILE_FORMATS */
	uint32_t bundle; /* paired: units of a tile in a bundle, a power of two; else 0 */
	uint32_t file;   /* enum cuda_format that the file has; last: kernels do not ask for it */
};

/* FULL: does a product need the sums of 32 activations besides? */
static HOST_DEVICE bool tile_has_mins(uint32_t format)
{
	return format == CUDA_Q4_1 || format == CUDA_Q5_1 || format == CUDA_Q4_K || format == CUDA_Q5_K;
}

/* Does each row have a scale of its own, before the matrix? */
static HOST_DEVICE bool tile_has_row_scales(uint32_t format)
{
	return format == CUDA_BF16 || format == CUDA_F32;
}

/* data: struct tile_matrix's. */
static HOST_DEVICE float *tile_row_scale(const uint8_t *data, uint32_t row)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): who lays a matrix out may write */
	return (float *)(uintptr_t)(data - sizeof(float) * ((uint64_t)row + 1));
}

/* Bytes before m->data. */
static HOST_DEVICE uint64_t tile_lead_bytes(const struct tile_matrix *m)
{
	uint64_t bytes = (uint64_t)m->n_tiles * TILE_ROWS * sizeof(float);
	return tile_has_row_scales(m->format) ? (bytes + TILE_LINE - 1) / TILE_LINE * TILE_LINE : 0;
}

/* First unit of segment s; of segment TILE_SEGMENTS: the number of units. */
static HOST_DEVICE uint32_t tile_segment(uint32_t n_units, uint32_t s)
{
	return n_units * s / TILE_SEGMENTS; /* a row has fewer than 2^27 units */
}

/* Paired: units of a bundle, as many as a copy of decode's should bring: 8, 4, 2 or 1. */
static HOST_DEVICE uint32_t tile_bundle_units(uint32_t unit_bytes)
{
	uint32_t most = TILE_BUNDLE_BYTES / 2 / unit_bytes;
	return most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1;
}

/* Paired: bytes of a bundle of n units. */
static HOST_DEVICE uint32_t tile_bundle_bytes(uint32_t n, uint32_t unit_bytes)
{
	return (2 * n * unit_bytes + TILE_LINE - 1) / TILE_LINE * TILE_LINE;
}

/* Paired: bytes of n units of a pair, the first of which begins a bundle. */
static HOST_DEVICE uint32_t tile_pair_bytes(uint32_t n, uint32_t unit_bytes, uint32_t bundle)
{
	return n / bundle * tile_bundle_bytes(bundle, unit_bytes) + tile_bundle_bytes(n % bundle, unit_bytes);
}

/* Where segment s begins; of segment TILE_SEGMENTS: where the matrix ends. */
static HOST_DEVICE uint64_t tile_segment_at(uint32_t n_tiles, uint32_t n_units, uint32_t unit_bytes,
					    uint32_t bundle, uint32_t s)
{
	uint32_t first = tile_segment(n_units, s), least = n_units / TILE_SEGMENTS;
	if (bundle == 0)
		return (uint64_t)first * n_tiles * unit_bytes;
	/* of the segments before, so many have one unit more than the least */
	uint32_t longer = first - s * least, bytes = tile_pair_bytes(least, unit_bytes, bundle),
		 more = tile_pair_bytes(least + 1, unit_bytes, bundle) - bytes;
	return (uint64_t)((n_tiles + 1) / 2) * ((uint64_t)s * bytes + (uint64_t)longer * more);
}

static HOST_DEVICE uint64_t tile_bytes(const struct tile_matrix *m)
{
	return tile_segment_at(m->n_tiles, m->n_units, m->unit_bytes, m->bundle, TILE_SEGMENTS);
}

/* Where unit u (from 0) of a tile's segment of n units lies in that segment. */
static HOST_DEVICE uint64_t tile_unit_at(const struct tile_matrix *m, uint32_t tile, uint32_t n, uint32_t u)
{
	if (m->bundle == 0)
		return ((uint64_t)tile * n + u) * m->unit_bytes;
	uint32_t before = u / m->bundle * m->bundle, left = n - before,
		 here = left < m->bundle ? left : m->bundle;
	return (uint64_t)(tile / 2) * tile_pair_bytes(n, m->unit_bytes, m->bundle) +
	       tile_pair_bytes(before, m->unit_bytes, m->bundle) +
	       (tile % 2 * here + u - before) * m->unit_bytes;
}

/* Where a tile's unit `unit` (of the row), which is in segment s, lies. */
static HOST_DEVICE uint64_t tile_offset(const struct tile_matrix *m, uint32_t tile, uint32_t s, uint32_t unit)
{
	uint32_t first = tile_segment(m->n_units, s), n = tile_segment(m->n_units, s + 1) - first;
	return tile_segment_at(m->n_tiles, m->n_units, m->unit_bytes, m->bundle, s) +
	       tile_unit_at(m, tile, n, unit - first);
}

#ifdef __cplusplus
extern "C" {
#endif

/* Rows first .. first + n - 1 of a matrix, as they stand in the file, go to their places in m.data. first is
 * a multiple of TILE_ROWS; n too, unless these are the last rows: padding is written with them. */
struct tile_repack_args {
	struct tile_matrix m;
	const uint8_t *rows; /* (n) rows of row_bytes, one right after another; aligned to 2, F32 to 4 */
	uint64_t row_bytes;
	uint32_t first, n;
};
cudaError_t tile_repack(const struct tile_repack_args *a, cudaStream_t stream);

/* *any (device) becomes 1 if a Q4_K matrix has a block with a scale of 1/4 or more, or a Q6_K matrix one of
 * 1/16 or more, or one that is no number: 2^18, 2^20 times as much is no half. Otherwise it stays. */
cudaError_t tile_find_wide(const struct tile_matrix *m, uint32_t *any, cudaStream_t stream);

/* x (n_tokens, pitch) = rows of the embedding, bit for bit model/format.h's dequantise (BF16, F32: as near as
 * the layout has them); columns up to pitch become 0. pitch is a multiple of CUDA_PITCH. */
struct tile_embed_args {
	struct tile_matrix embedding;
	const struct cuda_token *tokens;
	float *x;
	uint32_t pitch, n_tokens;
	float scale; /* of the rows */
};
cudaError_t tile_embed(const struct tile_embed_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
