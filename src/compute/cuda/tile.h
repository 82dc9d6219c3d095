/*
 * How the tile path lays weights out: in tiles of eight rows, so that one lane's load is what a tensor-core
 * product wants from it, and in the order in which decoding reads them. Nothing is decoded; the bytes are the
 * file's but for the 6-bit scales of Q4_K and Q5_K, which get a byte each.
 *
 * A *unit* is 8 rows x 32 columns (8 x 256 of the K formats). Rows are padded to whole tiles and columns to
 * whole units with zeros. Lane l = 4 g + t of a warp owns row g, columns 8t .. 8t + 7 of each 32 ("chunk"),
 * in natural order c0 .. c7. Inside a unit, one after another:
 *
 *     F16    halves  [lane][c0 .. c7]                                            512 bytes
 *     Q8_0   bytes   [lane][c0 .. c7], quant + 128; d: half [row]                256 + 16
 *     Q4_0   nibbles [lane]; d: half [row]                                       128 + 16
 *     Q4_1   nibbles; (d, m): two halves [row]                                   128 + 32
 *     Q5_0   nibbles; fifth bits: byte [lane]; d: half [row]                     128 + 32 + 16
 *     Q5_1   nibbles; fifth bits; (d, m) [row]                                   128 + 32 + 32
 *     Q4_K   nibbles [chunk][lane]; (scale, min): two bytes [chunk][row];
 *            (d, dmin): two halves [row]                                         1024 + 128 + 32
 *     Q5_K   nibbles; fifth bits: byte [chunk][lane]; (scale, min); (d, dmin)    1024 + 256 + 128 + 32
 *     Q6_K   low nibbles; high bits: two bytes [chunk][lane]; scales: two signed bytes [chunk][row] (columns
 *            0 .. 15 and 16 .. 31 of the chunk); d: half [row]                   1024 + 512 + 128 + 16
 *
 * A lane's nibbles are one 32-bit word: c(2i) in bits 4i .. 4i + 3, c(2i+1) in bits 16 + 4i .. 16 + 4i + 3.
 * Its fifth bits are one byte: c0 c1 c4 c5 c2 c3 c6 c7 from bit 0 on. Its high bits (Q6_K) are one 16-bit
 * word: c0 c4 c2 c6 c1 c5 c3 c7, two bits each, from bit 0 on. Numbers are stored as the file has them
 * (unsigned, before the format's offset is taken off).
 *
 * The units of a row are cut into CUDA_SEGMENTS segments, whose sums are added in order: segment s has units
 * s n / 16 .. (s + 1) n / 16 - 1. A matrix lies as [segment][tile][unit of the segment].
 */
#ifndef COMPUTE_CUDA_TILE_H
#define COMPUTE_CUDA_TILE_H

#include <stdbool.h>

#include "compute/cuda/kernels.h"

enum {
	CUDA_TILE_ROWS = 8,
	CUDA_CHUNK = 32,    /* columns */
	CUDA_SEGMENTS = 16, /* of a row */
};

/* Formats of the tile path: bytes and columns of a unit. */
#define CUDA_TILE_FORMATS(X) \
	X(F16, 512, 32)      \
	X(Q8_0, 272, 32)     \
	X(Q4_0, 144, 32)     \
	X(Q4_1, 160, 32)     \
	X(Q5_0, 176, 32) X(Q5_1, 192, 32) X(Q4_K, 1184, 256) X(Q5_K, 1440, 256) X(Q6_K, 1680, 256)

struct tile_matrix {
	const uint8_t *data; /* tile_bytes(m), aligned to 16 */
	uint32_t rows, cols;
	uint32_t n_tiles, n_units; /* of all rows; of one row */
	uint32_t unit_bytes;
	uint32_t format; /* enum cuda_format */
};

#ifdef __CUDACC__
#define TILE_FN __host__ __device__ __forceinline__
#else
#define TILE_FN inline
#endif

/* FULL: does a product need the sums of the activations besides? */
static TILE_FN bool tile_has_mins(uint32_t format)
{
	return format == CUDA_Q4_1 || format == CUDA_Q5_1 || format == CUDA_Q4_K || format == CUDA_Q5_K;
}

/* First unit of segment s; of segment CUDA_SEGMENTS: the number of units. */
static TILE_FN uint32_t tile_segment(uint32_t n_units, uint32_t s)
{
	return n_units * s / CUDA_SEGMENTS; /* a row has fewer than 2^27 units */
}

static TILE_FN uint64_t tile_bytes(const struct tile_matrix *m)
{
	return (uint64_t)m->n_tiles * m->n_units * m->unit_bytes;
}

/* Where unit `unit` of segment s (first <= unit < last) of a tile lies. */
static TILE_FN uint64_t tile_offset(const struct tile_matrix *m, uint32_t tile, uint32_t first, uint32_t last,
				    uint32_t unit)
{
	return ((uint64_t)first * m->n_tiles + (uint64_t)tile * (last - first) + (unit - first)) *
	       m->unit_bytes;
}

#ifdef __cplusplus
extern "C" {
#endif

/* Rows first .. first + n - 1 of a matrix, as they stand in the file, go to their places in m.data. first is
 * a multiple of CUDA_TILE_ROWS; n too, unless these are the last rows: padding is written with them. */
struct repack_args {
	struct tile_matrix m;
	const uint8_t *rows; /* (n) rows of row_bytes, one right after another; aligned to 2 */
	uint64_t row_bytes;
	uint32_t first, n;
};
cudaError_t cuda_tile_repack(const struct repack_args *a, cudaStream_t stream);

/* x (n_tokens, pitch) = rows of the embedding, bit for bit model/format.h's dequantise; columns up to pitch
 * become 0. pitch is a multiple of CUDA_PITCH. */
struct tile_embed_args {
	struct tile_matrix embedding;
	const struct cuda_token *tokens;
	float *x;
	uint32_t pitch, n_tokens;
};
cudaError_t cuda_tile_embed(const struct tile_embed_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
