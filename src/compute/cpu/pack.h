/*
 * Weights as the kernels read them. A matrix is cut into panels of PANEL rows; rows that fill the last panel
 * are zero. Bytes stay as many as in the file (Q3_K's and IQ4_XS's: a few more).
 *
 * Floats: a slab of up to SLAB_PANELS panels is (cols, panels * PANEL) elements in their own format.
 *
 * Quantised: a panel is its heads, one a block, padded to 64 bytes, then its bodies, one a chunk of CHUNK
 * columns. A body is quads: 64 bytes, four columns of each of 16 rows, as unsigned numbers; quad j has
 * columns 4 j .. 4 j + 3.
 *
 *     Q8_0        8 quads of bytes, 128 too high
 *     four bits   4 x 64 bytes: quad j in the low halves, quad j + 4 in the high halves
 *     five bits   the same, then 64 bytes whose bit j is the fifth bit of quad j
 *     six bits    the same as four, then 64 bytes with bits 4 and 5 of quads 0 .. 3, 64 of quads 4 .. 7
 *     two bits    64 bytes with quads 0, 4, 1, 5 from the low bits up, 64 with quads 2, 6, 3, 7
 *     three bits  3 x 64 bytes: quad j in the low bits, quad j + 4 above it; in the two bits left over the
 *                 low bits of quad 3, those of quad 7, and the third bits of both
 *
 * A head is (16) half floats: the scale, or scale and minimum; then for Q4_K and Q5_K 3 x 64 bytes of six-bit
 * numbers (kernel_quant.h), for Q6_K and Q3_K (16 half chunks, 16 rows) signed bytes, for IQ4_XS (8 chunks,
 * 16 rows) signed bytes, for Q2_K (4 pairs of chunks, 16 rows, 4 half chunks) bytes: scale in the low half,
 * minimum in the high one. IQ4_NL and IQ4_XS keep their four bits, and a kernel looks the bytes up.
 */
#ifndef COMPUTE_CPU_PACK_H
#define COMPUTE_CPU_PACK_H

#include "compute/cpu/tier.h"
#include "model/model.h"

struct packed {
	enum pack_kind kind;
	uint32_t rows, cols;
	uint32_t n_panels, n_slabs;
	uint32_t blocks;    /* a row's; columns, for floats */
	size_t panel_bytes; /* quantised */
	size_t body_offset; /* from a panel's head to its body */
	uint64_t bytes;     /* a multiple of 64 */
	const struct weight *source;
	uint8_t *data; /* (bytes), aligned to 64, zeroed before pack_slabs */
};

/* Blocks of small integers with scales, not numbers of 16 or 32 bits each. */
bool pack_is_quantised(enum pack_kind kind);

/* Describes w packed, all but data. False if there is no kernel for its format. */
bool pack_plan(struct packed *p, const struct weight *w);

/* Lays slabs first .. end - 1, read into buffer one after another (pack_buffer_bytes; NULL where the source
 * has its data in memory). Different slabs may be laid by different threads at once, each with a buffer of
 * its own. */
enum hokku_code pack_slabs(const struct packed *p, uint32_t first, uint32_t end, void *buffer,
			   struct hokku_error *err);
uint64_t pack_buffer_bytes(const struct packed *p);

/* Row `row` as it stands in the file, out of the panels. */
void pack_row(const struct packed *p, uint32_t row, uint8_t *out);

/* Columns a call of the product may cover must be a multiple of this. */
uint32_t pack_block_columns(enum pack_kind kind);

/* Fills the weight part of a product: slab `slab`, from column `column`. */
void pack_address(const struct packed *p, uint32_t slab, uint32_t column, struct product *out);

#endif
