/*
 * The AMX kernels on machines without AMX: the same source, with the tile instructions played in plain C as
 * Intel's manual defines them, against the portable tier, bit for bit. What this cannot show is that the
 * processor does as its manual says.
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
#define TIER_TILES
#define TIER_NAME "emulated tiles"
#define TIER      emulated_tiles
extern const struct cpu_tier emulated_tiles;
#include "compute/cpu/tier_body.h"

enum { ROWS = 37, BLOCKS = 3 };

static void check_format(const struct format *fmt)
{
	struct weight w = {.fmt = fmt,
			   .rows = ROWS,
			   .cols = BLOCKS * (fmt->block_elements == 1 ? 32 : fmt->block_elements)};
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
	struct qchunk *acts = aligned_alloc(64, QUANT_TILE * w.cols / CHUNK * sizeof *acts);
	float row[BLOCKS * 256];
	for (uint32_t t = 0; t < QUANT_TILE; t++) {
		for (uint32_t k = 0; k < w.cols; k++) {
			uint32_t words[4];
			rng_words(4, RNG_STREAM_TEST, t * w.cols + k, words);
			row[k] = (float)(int32_t)words[0];
		}
		cpu_tier_portable.quantise(row, w.cols / CHUNK, acts + t, QUANT_TILE);
	}
	float want[QUANT_TILE * SLAB_ROWS], got[QUANT_TILE * SLAB_ROWS];
	memset(want, 0, sizeof want);
	memset(got, 0, sizeof got);
	for (uint32_t part = 0; part < 2; part++) { /* one block, then the others */
		uint32_t per_block = pack_block_columns(m.kind), depth = part ? BLOCKS - 1 : 1;
		struct product p = {.depth = depth, .tokens = QUANT_TILE, .first = !part};
		pack_address(&m, 0, part * per_block, &p);
		p.acts = acts + part * per_block / CHUNK * QUANT_TILE;
		p.out = want;
		cpu_tier_portable.product[m.kind](&p);
		p.out = got;
		emulated_tiles.product[m.kind](&p);
	}
	assert_memory_equal(got, want, sizeof got);
	assert_true(want[0] != 0 && want[QUANT_TILE * SLAB_ROWS - SLAB_ROWS + ROWS - 1] != 0);
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
			check_format(fmt);
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
