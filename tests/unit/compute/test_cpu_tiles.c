/*
 * The AMX kernels on machines without AMX: the same source, with the tile instructions played in plain C as
 * Intel's manual defines them, against the portable tier, bit for bit. That the processor does as its manual
 * says is shown where there is one with AMX: there the tier itself is tried as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "compute/cpu/pack.h"
#include "compute/cpu/simd_amx_emulated.h"
#include "compute/cpu/tier_table.h"

static bool available(void)
{
	return false;
}

#define TIER_PLAIN
#define TIER_TILES 1
#define TIER_NAME  "emulated tiles"
#define TIER       emulated_tiles
extern const struct cpu_tier emulated_tiles;
#include "compute/cpu/tier_body.h"

/* Tiles and panels are taken two at a time: both end in one that is alone. */
enum { ROWS = 37, TILES = 3, MAX_COLUMNS = 40 * CHUNK, OUT = QUANT_TILE * SLAB_ROWS };

/* Tiles 0 .. n - 1 of columns from..: by a tier that takes one at a time, or that takes them at once. */
static void multiply(const struct cpu_tier *tier, const struct packed *m, const struct qchunk *acts,
		     uint32_t n, uint32_t from, uint32_t blocks, float *out)
{
	size_t stride = (size_t)QUANT_TILE * m->cols / CHUNK;
	for (uint32_t t = 0; t < n; t += tier->takes_tiles ? n : 1) {
		struct product p = {.depth = blocks, .tokens = QUANT_TILE, .first = from == 0};
		pack_address(m, 0, from, &p);
		p.acts = acts + t * stride + (size_t)from / CHUNK * QUANT_TILE;
		p.acts_stride = stride;
		p.more_tiles = tier->takes_tiles ? n - 1 : 0;
		p.out = out + t * OUT;
		tier->product[m->kind](&p);
	}
}

/* The first block, then the others. */
static void check_tiles(const struct cpu_tier *tier, const struct packed *m, const struct qchunk *acts,
			uint32_t blocks, uint32_t tiles)
{
	float want[TILES * OUT], got[TILES * OUT];
	memset(want, 0, sizeof want);
	memset(got, 0, sizeof got);
	uint32_t per_block = pack_block_columns(m->kind);
	const struct cpu_tier *pair[] = {&cpu_tier_portable, tier};
	for (int i = 0; i < 2; i++) {
		multiply(pair[i], m, acts, tiles, 0, 1, i ? got : want);
		multiply(pair[i], m, acts, tiles, per_block, blocks - 1, i ? got : want);
	}
	assert_memory_equal(got, want, sizeof got);
	for (uint32_t t = 0; t < tiles; t++)
		assert_true(want[t * OUT] != 0 && want[(t + 1) * OUT - SLAB_ROWS + ROWS - 1] != 0);
}

/* n blocks a row. */
static void check_format(const struct format *fmt, uint32_t n_blocks)
{
	struct weight w = {.fmt = fmt, .rows = ROWS, .cols = n_blocks * fmt->block_elements};
	w.row_bytes = (uint64_t)w.cols / fmt->block_elements * fmt->block_bytes;
	uint8_t *bytes = malloc(ROWS * w.row_bytes);
	for (uint64_t i = 0; i < ROWS * w.row_bytes; i++) {
		uint32_t words[4];
		rng_words(3, RNG_STREAM_TEST, i, words);
		bytes[i] = (uint8_t)(words[0] & 0x3F); /* no scale is an infinity or a NaN */
	}
	w.data = bytes;
	struct packed m;
	assert_true(pack_plan(&m, &w));
	m.data = aligned_alloc(64, m.bytes);
	memset(m.data, 0, m.bytes);
	assert_int_equal(pack_slabs(&m, 0, m.n_slabs, NULL, NULL), HOKKU_OK);
	struct qchunk *acts = aligned_alloc(64, (size_t)TILES * QUANT_TILE * w.cols / CHUNK * sizeof *acts);
	float row[MAX_COLUMNS];
	assert_true(w.cols <= MAX_COLUMNS);
	for (uint32_t t = 0; t < TILES * QUANT_TILE; t++) {
		for (uint32_t k = 0; k < w.cols; k++) {
			uint32_t words[4];
			rng_words(4, RNG_STREAM_TEST, t * w.cols + k, words);
			row[k] = (float)(int32_t)words[0];
		}
		struct qchunk *tile = acts + (size_t)t / QUANT_TILE * QUANT_TILE * (w.cols / CHUNK);
		cpu_tier_portable.quantise(row, w.cols / CHUNK, tile + t % QUANT_TILE, QUANT_TILE);
	}
	const struct cpu_tier *tiers[] = {&emulated_tiles, cpu_tier_get("amx")};
	for (int i = 0; i < 2 && tiers[i]; i++)
		for (uint32_t tiles = 1; tiles <= TILES; tiles++)
			check_tiles(tiers[i], &m, acts, n_blocks, tiles);
	free(acts);
	free(m.data);
	free(bytes);
}

static void tiles_give_the_same_bits(void **state)
{
	(void)state;
	int n = 0;
	for (int type = 0; type < TENSOR_N_TYPES; type++) {
		const struct format *fmt = format_get((enum tensor_type)type);
		if (fmt && fmt->block_elements > 1) {
			uint32_t chunks = fmt->block_elements / CHUNK;
			check_format(fmt, 3);
			/* one block and as many as are unpacked at a time, less one, and one more */
			if (chunks == 1)
				check_format(fmt, TILE_MAX_DEPTH);
			check_format(fmt, 1 + TILE_MAX_DEPTH / chunks);
			if (chunks == 1)
				check_format(fmt, 2 + TILE_MAX_DEPTH);
			n++;
		}
	}
	assert_int_equal(n, PACK_N_KINDS - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tiles_give_the_same_bits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
