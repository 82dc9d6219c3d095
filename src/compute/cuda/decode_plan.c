/* Which block of the decode kernel does what: tiles dealt out evenly, phase by phase. */
#include "compute/cuda/decode_plan.h"

struct dealer {
	struct decode_job *jobs; /* NULL: only counts */
	uint32_t n;
	uint32_t block, grid;
};

static void deal(struct dealer *d, uint32_t matrix, uint32_t tile, uint32_t n, uint32_t at, bool batch, bool phase)
{
	if (d->jobs)
		d->jobs[d->n] = (struct decode_job){
			.tile = tile,
			.matrix = (uint16_t)matrix,
			.n_tiles = (uint8_t)n,
			.at = at & 31u,
			.last_of_batch = batch,
			.last_of_phase = phase,
		};
	d->n++;
}

/* The block's share of n things; rotated, so that the same blocks are not always those with more. */
static uint32_t share(const struct dealer *d, uint32_t n, uint32_t rotate, uint32_t *first)
{
	uint64_t b = (d->block + rotate) % d->grid;
	*first = (uint32_t)(n * b / d->grid);
	return (uint32_t)(n * (b + 1) / d->grid) - *first;
}

/* Tiles of several matrices, one after another. */
static void deal_phase(struct dealer *d, const struct tile_matrix *matrices, uint32_t first_matrix, uint32_t n_matrices,
		       uint32_t rotate)
{
	uint32_t all = 0, tile, n, at = 0;
	for (uint32_t m = 0; m < n_matrices; m++)
		all += matrices[first_matrix + m].n_tiles;
	n = share(d, all, rotate, &tile);
	if (n == 0)
		deal(d, first_matrix, 0, 0, 0, true, true);
	for (uint32_t m = first_matrix; n; m++) {
		uint32_t here = matrices[m].n_tiles;
		while (n && tile < here) {
			uint32_t k = here - tile < n ? here - tile : n;
			k = k < DECODE_BATCH - at ? k : DECODE_BATCH - at;
			deal(d, m, tile, k, at, at + k == DECODE_BATCH || k == n, k == n);
			at = (at + k) % DECODE_BATCH;
			tile += k;
			n -= k;
		}
		tile -= here;
	}
}

static void deal_gate_up(struct dealer *d, const struct tile_matrix *matrices, uint32_t gate)
{
	uint32_t tile, n = share(d, matrices[gate].n_tiles, 0, &tile);
	if (n == 0)
		deal(d, gate, 0, 0, 0, true, true);
	for (uint32_t k; n; n -= k, tile += k) {
		k = n < DECODE_BATCH / 2 ? n : DECODE_BATCH / 2;
		deal(d, gate, tile, k, 0, false, false);
		deal(d, gate + 1, tile, k, k, true, k == n);
	}
}

uint32_t decode_plan_jobs(const struct tile_matrix *matrices, uint32_t n_layers, uint32_t block, uint32_t grid,
			  struct decode_job *jobs)
{
	struct dealer d = {.jobs = jobs, .block = block, .grid = grid};
	for (uint32_t l = 0; l < n_layers; l++) {
		uint32_t first = l * DECODE_N_ROLES;
		deal_phase(&d, matrices, first + DECODE_Q, 3, 0);
		deal_phase(&d, matrices, first + DECODE_O, 1, grid / 3);
		deal_gate_up(&d, matrices, first + DECODE_GATE);
		deal_phase(&d, matrices, first + DECODE_DOWN, 1, 2 * grid / 3);
	}
	deal_phase(&d, matrices, n_layers * DECODE_N_ROLES, 1, 0);
	return d.n;
}
