/* How the decode kernel's work is dealt out (decode_plan.c): every tile of every matrix to one block, lots
 * and phases closed, for any number of blocks; and the shared memory that a model takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/cuda/decode/decode_plan.h"

enum { LAYERS = 2, N_MATRICES = LAYERS * DECODE_N_ROLES + 1, PHASES = 4 };

static void set_tiles(struct tile_matrix m[N_MATRICES], const uint32_t tiles[DECODE_N_ROLES], uint32_t output)
{
	memset(m, 0, N_MATRICES * sizeof *m);
	for (uint32_t i = 0; i < N_MATRICES; i++)
		m[i].n_tiles = i == N_MATRICES - 1 ? output : tiles[i % DECODE_N_ROLES];
}

/* The phase that a matrix belongs to, counted over all layers. */
static uint32_t phase_of(uint32_t matrix)
{
	static const uint32_t phases[DECODE_N_ROLES] = {0, 0, 0, 1, 2, 2, 3};
	return matrix == N_MATRICES - 1 ? LAYERS * PHASES
					: matrix / DECODE_N_ROLES * PHASES + phases[matrix % DECODE_N_ROLES];
}

struct walk {
	uint32_t phase, at; /* of the next stint: its phase, its place in the lot */
	bool is_up;         /* an up stint must follow its gate stint */
	struct decode_stint gate;
};

static void check_job(struct walk *w, const struct decode_stint *j, uint32_t planes, bool few)
{
	assert_int_equal(phase_of(j->matrix), w->phase);
	if (j->n_tiles)
		assert_int_equal(j->at, w->at);
	assert_true(j->at + j->n_tiles <= (planes == 2 ? DECODE_LOT_FULL : DECODE_LOT_HALF));
	bool gated = j->matrix != N_MATRICES - 1 &&
		     (j->matrix % DECODE_N_ROLES == DECODE_GATE || j->matrix % DECODE_N_ROLES == DECODE_UP);
	if (few && !gated) /* a thread for each row, plane and sequence */
		assert_true((uint32_t)(j->at + j->n_tiles) * 8 * planes *
				    (uint32_t)(planes == 2 ? DECODE_SEQS_FULL : DECODE_SEQS_HALF) <=
			    512);
	if (few && j->matrix != N_MATRICES - 1 && j->matrix % DECODE_N_ROLES == DECODE_DOWN)
		assert_true(j->at + j->n_tiles <=
			    (planes == 2 ? DECODE_LOT_DOWN_FULL : DECODE_LOT_DOWN_HALF));
	assert_true(planes == 2 || j->tile % 2 == 0 || j->n_tiles == 1); /* paired: pairs, or one alone */
	if (j->matrix % DECODE_N_ROLES == DECODE_UP) {
		assert_true(w->is_up);
		assert_int_equal(j->tile, w->gate.tile);
		assert_int_equal(j->n_tiles, w->gate.n_tiles);
	}
	w->is_up = j->matrix != N_MATRICES - 1 && j->matrix % DECODE_N_ROLES == DECODE_GATE && j->n_tiles;
	w->gate = *j;
	w->at = j->last_of_lot ? 0 : w->at + j->n_tiles;
	if (j->last_of_phase) {
		assert_true(j->last_of_lot);
		w->phase++;
	}
}

static void check_grid(const struct tile_matrix *m, uint32_t planes, bool few, uint32_t grid)
{
	uint8_t *seen[N_MATRICES];
	for (uint32_t i = 0; i < N_MATRICES; i++)
		assert_non_null(seen[i] = calloc(m[i].n_tiles, 1));
	for (uint32_t b = 0; b < grid; b++) {
		uint32_t n = decode_plan_stints(m, LAYERS, planes, few, b, grid, NULL);
		struct decode_stint *stints = calloc(n, sizeof *stints);
		struct walk w = {0};
		assert_non_null(stints);
		assert_int_equal(decode_plan_stints(m, LAYERS, planes, few, b, grid, stints), n);
		for (uint32_t i = 0; i < n; i++) {
			check_job(&w, &stints[i], planes, few);
			for (uint32_t t = 0; t < stints[i].n_tiles; t++) {
				assert_true(stints[i].tile + t < m[stints[i].matrix].n_tiles);
				seen[stints[i].matrix][stints[i].tile + t]++;
			}
		}
		assert_int_equal(w.phase, LAYERS * PHASES + 1);
		free(stints);
	}
	for (uint32_t i = 0; i < N_MATRICES; i++) {
		for (uint32_t t = 0; t < m[i].n_tiles; t++)
			assert_int_equal(seen[i][t], 1);
		free(seen[i]);
	}
}

static void every_tile_once(void **state)
{
	(void)state;
	static const uint32_t shapes[][DECODE_N_ROLES] = {
		{112, 16, 16, 112, 608, 608, 112},   /* 0.5B */
		{448, 64, 64, 448, 2368, 2368, 448}, /* 7B */
		{1, 1, 1, 1, 1, 1, 1},
		{17, 3, 2, 9, 33, 33, 15},
	};
	static const uint32_t grids[] = {1, 2, 7, 16, 114, 132, 144};
	struct tile_matrix m[N_MATRICES];
	for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
		for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++) {
			set_tiles(m, shapes[s], s == 0 ? 18992 : s == 2 ? 1 : 131);
			for (uint32_t planes = 1; planes <= 2; planes++) {
				check_grid(m, planes, false, grids[g]);
				check_grid(m, planes, true, grids[g]);
			}
		}
}

static struct decode_args seven_b(uint32_t planes)
{
	return (struct decode_args){.n_layers = 28,
				    .n_stints = 300,
				    .d_model = 3584,
				    .k_max = 18944,
				    .planes = planes,
				    .hd = 128,
				    .group_rows = 8,
				    .any_mins = planes == 2};
}

/* Parts lie apart and within what there is; what is left becomes rings; a block with too little is told so.
 */
static void shared_memory(void **state)
{
	(void)state;
	uint32_t bytes = 0, most = 227 << 10;
	struct decode_args a = seven_b(1);
	assert_true(decode_plan_shared(&a, most, &bytes));
	assert_true(bytes <= most);
	assert_int_equal(a.shared.low, a.shared.high); /* one plane: nobody reads it */
	assert_true(a.shared.ring + 16 * a.ring_bytes == bytes);
	assert_true(a.ring_bytes >= DECODE_PARCEL_BYTES);
	assert_int_equal(a.shared.ring % 128, 0);
	uint32_t least = a.shared.ring + 16 * (DECODE_PARCEL_BYTES);
	assert_true(decode_plan_shared(&a, least, &bytes));
	assert_false(decode_plan_shared(&a, least - 1, &bytes));
	assert_false(decode_plan_shared(&a, 1000, &bytes));
	a.n_stints = 1 << 20;
	assert_false(decode_plan_shared(&a, most, &bytes));
	a = seven_b(2);
	a.k_max = 4864;
	a.d_model = 896;
	assert_true(decode_plan_shared(&a, most, &bytes));
	assert_true(a.shared.low >= a.shared.high + a.k_max * 2);
}

/* Kernels of several sequences: each has its residual and its columns, from other banks than its neighbour's.
 */
static void shared_by_several(void **state)
{
	(void)state;
	uint32_t bytes = 0, most = 227 << 10;
	struct decode_args a = {.n_layers = 24,
				.n_stints = 220,
				.d_model = 896,
				.k_max = 4864,
				.planes = 2,
				.hd = 64,
				.group_rows = 8,
				.n_turns = 1,
				.any_mins = 1,
				.most_seqs = DECODE_SEQS_FULL}; /* 0.5B: all four fit */
	assert_true(decode_plan_shared(&a, most, &bytes));
	assert_true(a.column >= a.k_max && a.column * 2 % 128 == 64);
	assert_true(a.shared.high >= a.shared.x + 4 * a.d_model * 4);
	assert_true(a.shared.zeros >= a.shared.high + 8 * a.column * 2);
	a = seven_b(1);
	a.n_turns = 1;
	a.most_seqs = DECODE_SEQS_HALF; /* 7B: both */
	assert_true(decode_plan_shared(&a, most, &bytes));
	assert_true(a.column >= a.k_max && a.column * 2 % 128 == 64);
	/* sums: behind the columns of all operands but the longest, each as far as the next column begins */
	assert_int_equal(a.part_column, a.column / 2);
	assert_true(a.shared.part >= a.shared.high + a.d_model * 2);
	assert_true(a.shared.part + 8 * DECODE_LOT_HALF * 8 * 2 * 4 <= a.shared.high + a.column * 2);
	assert_true(a.part_down >= a.shared.high + 2 * a.column * 2);
	a.k_max = a.d_model = 4096; /* nothing is left behind them */
	assert_true(decode_plan_shared(&a, most, &bytes));
	assert_true(a.shared.part >= a.shared.high + 2 * a.column * 2);
	assert_int_equal(a.part_down, a.shared.part);
	assert_int_equal(a.part_column, 8 * DECODE_LOT_HALF * 8 * 2);
	a = seven_b(2); /* two do not, with two planes */
	a.most_seqs = 2;
	assert_false(decode_plan_shared(&a, most, &bytes));
}

/* What the busiest block gets of a phase's tiles. */
static void balance(void **state)
{
	(void)state;
	static const uint32_t tiles[DECODE_N_ROLES] = {448, 64, 64, 448, 2368, 2368, 448};
	static const uint32_t most[PHASES] = {5, 4, 36, 4}; /* 576 / 132 is 4.4; 448, 3.4; 4736, 35.9 */
	struct tile_matrix m[N_MATRICES];
	set_tiles(m, tiles, 19008);
	for (uint32_t planes = 1; planes <= 2; planes++)
		for (uint32_t b = 0; b < 132; b++) {
			struct decode_stint stints[200];
			uint32_t n = decode_plan_stints(m, LAYERS, planes, false, b, 132, NULL),
				 got[PHASES] = {0};
			assert_true(n <= 200);
			decode_plan_stints(m, LAYERS, planes, false, b, 132, stints);
			for (uint32_t i = 0; i < n && stints[i].matrix < DECODE_N_ROLES; i++)
				got[phase_of(stints[i].matrix)] += stints[i].n_tiles;
			for (uint32_t p = 0; p < PHASES; p++)
				assert_true(got[p] <= most[p]);
		}
}

/* Parcels: whole segments of pairs while those fit, else some units of both tiles; never more than a parcel
 * holds. */
static void parcels(void **state)
{
	(void)state;
	static const struct {
		uint32_t units, bytes, pairs, cut;
	} cases[] = {
		{28, 512, 1, 0},                     /* two units of two tiles: 2,048 bytes */
		{28, 272, 2, 0},                     /* 1,088 */
		{16, 144, 8, 0},                     /* 288 */
		{128, 160, 1, 0},                    /* 2,560: just fits */
		{129, 160, 0, 12},                   /* 2,880: does not */
		{112, 272, 0, 4},                    /* 3,808 */
		{592, 512, 0, 4},                    /* long rows */
		{14, 1184, 1, 0},                    /* segments of one unit, or none */
		{74, 1184, 0, 1},  {74, 1680, 0, 1}, /* 3,360: the most that a parcel has */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tile_matrix m = {.n_units = cases[i].units, .unit_bytes = cases[i].bytes};
		struct decode_matrix d = decode_plan_matrix(&m, false);
		uint32_t longest = (cases[i].units + TILE_SEGMENTS - 1) / TILE_SEGMENTS;
		assert_int_equal(d.pairs, cases[i].pairs);
		assert_int_equal(d.units, d.pairs ? longest : cases[i].cut);
		assert_true(2 * d.unit_bytes * d.units * (d.pairs ? d.pairs : 1) <= DECODE_PARCEL_BYTES);
	}
	/* paired: in whole lines; those that are cut, in bundles */
	static const struct {
		uint32_t units, bytes, bundle, pairs, cut, pair_bytes;
	} paired[] = {
		{112, 272, 4, 0, 4, 2176 + 1664}, {592, 272, 4, 0, 4, 9 * 2176 + 640},
		{112, 512, 4, 0, 4, 7168},        {112, 144, 8, 1, 7, 2048},
		{14, 1184, 1, 1, 1, 0},           {74, 1680, 1, 0, 1, 4 * 3456},
	};
	for (size_t i = 0; i < sizeof paired / sizeof paired[0]; i++) {
		struct tile_matrix m = {.n_units = paired[i].units,
					.unit_bytes = paired[i].bytes,
					.bundle = paired[i].bundle};
		struct decode_matrix d = decode_plan_matrix(&m, false);
		assert_int_equal(d.pairs, paired[i].pairs);
		assert_int_equal(d.units, paired[i].cut);
		assert_int_equal(d.pair_bytes, paired[i].pair_bytes);
		assert_int_equal(d.bundle_bytes, tile_bundle_bytes(d.units, d.unit_bytes));
		assert_true(d.bundle_bytes * (d.pairs ? d.pairs : 1) <= DECODE_PARCEL_BYTES);
	}
}

/* Columns that a block merges: as few as leave no block two shares, 8 to 32. */
static void merge_shares(void **state)
{
	(void)state;
	static const struct {
		uint32_t n_heads, head_dim, grid, log;
	} cases[] = {
		{14, 64, 132, 3},  {16, 64, 128, 3},  {16, 64, 127, 4},  {16, 128, 132, 4}, {28, 128, 132, 5},
		{32, 128, 128, 5}, {32, 128, 127, 5}, {64, 256, 132, 5}, {1, 8, 1, 3},      {1, 9, 1, 4},
		{2, 40, 10, 3},    {2, 40, 9, 4},     {2, 40, 5, 5},     {2, 40, 1, 5},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(decode_merge_log(cases[i].n_heads, cases[i].head_dim, cases[i].grid),
				 cases[i].log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_tile_once),   cmocka_unit_test(shared_memory),
		cmocka_unit_test(shared_by_several), cmocka_unit_test(balance),
		cmocka_unit_test(merge_shares),      cmocka_unit_test(parcels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
