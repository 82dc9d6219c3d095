/* Which block of the decode kernel does what: tiles dealt out evenly, phase by phase. */
#include "compute/cuda/decode/decode_plan.h"

enum {
	MAX_STINTS = 1536,
	MAX_MATRICES = 1024,
	SHARED_ALIGN = 128,
	HALF_BANKS = 64, /* bytes: so that high and low are read from different banks */
};

/* Of a unit. */
static const uint8_t chunks_of[] = {
#define CHUNKS(name, bytes, columns) [CUDA_##name] = (columns) / TILE_CHUNK,
	TILE_FORMATS(CHUNKS)
#undef CHUNKS
};

/* BF16's products are F16's. */
static uint32_t product_format(uint32_t format)
{
	return format == CUDA_BF16 ? CUDA_F16 : format;
}

struct decode_matrix decode_plan_matrix(const struct tile_matrix *m, bool few)
{
	uint32_t most_bytes = few ? DECODE_PARCEL_FEW : DECODE_PARCEL_BYTES;
	uint32_t longest = (m->n_units + TILE_SEGMENTS - 1) / TILE_SEGMENTS; /* segment, in units */
	uint32_t pair = 2 * longest * m->unit_bytes, units = most_bytes / (2 * m->unit_bytes);
	struct decode_matrix d = {
		.data = m->data,
		.rows = m->rows,
		.n_units = m->n_units,
		.unit_bytes = (uint16_t)m->unit_bytes,
		.format = (uint8_t)product_format(m->format),
		.scaled = tile_has_row_scales(m->format),
		.chunks = chunks_of[m->format],
	};
	if (m->bundle)
		pair = tile_bundle_bytes(longest, m->unit_bytes);
	if (pair > DECODE_GOOD_BYTES) {
		units = units < 1 ? 1 : units < 4 ? units : units / 4 * 4; /* four go at once */
		d.units = (uint8_t)(m->bundle ? m->bundle : units);
	} else {
		d.units = (uint8_t)longest;
		d.pairs = (uint8_t)(DECODE_GOOD_BYTES / pair);
	}
	d.shifts = d.chunks > 1 && d.pairs <= 1 && m->n_units % TILE_SEGMENTS != 0;
	if (m->bundle) {
		uint32_t least = m->n_units / TILE_SEGMENTS;
		d.pair_bytes = tile_pair_bytes(least, m->unit_bytes, m->bundle);
		d.more_bytes =
			(uint16_t)(tile_pair_bytes(least + 1, m->unit_bytes, m->bundle) - d.pair_bytes);
		d.bundle_bytes = (uint16_t)tile_bundle_bytes(d.units, m->unit_bytes);
	}
	return d;
}

struct dealer {
	struct decode_stint *stints; /* NULL: only counts */
	uint32_t n;
	uint32_t block, grid;
	uint32_t lot, gate_lot, down_lot; /* tiles */
	bool paired;                      /* HALF: tiles go in pairs, from an even one on, or one alone */
	bool mins;                        /* in the present phase */
};

/* Tiles one after another. Of several matrices, they are counted over all; paired, each has whole pairs, the
 * last with a tile that is none. */
struct span {
	uint32_t tile, n;
};
enum { SPANS = 2 };

static bool any_mins(const struct tile_matrix *m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (tile_has_mins(m[i].format))
			return true;
	return false;
}

static void deal(struct dealer *d, uint32_t matrix, uint32_t tile, uint32_t n, uint32_t at, bool lot,
		 bool phase)
{
	if (d->stints)
		d->stints[d->n] = (struct decode_stint){
			.tile = tile,
			.matrix = (uint16_t)matrix,
			.n_tiles = (uint8_t)n,
			.at = at & 31u,
			.last_of_lot = lot,
			.last_of_phase = phase,
			.mins = d->mins,
		};
	d->n++;
}

static uint32_t tiles_of(const struct dealer *d, const struct tile_matrix *m)
{
	return d->paired ? (m->n_tiles + 1) / 2 * 2 : m->n_tiles;
}

/* The block's share of n things, as one span; rotated, so that the same blocks are not always those with
 * more.
 */
static struct span share(const struct dealer *d, uint32_t n, uint32_t rotate)
{
	uint64_t b = (d->block + rotate) % d->grid;
	uint32_t first = (uint32_t)(n * b / d->grid);
	return (struct span){first, (uint32_t)(n * (b + 1) / d->grid) - first};
}

/* The block's share of n tiles. Paired: whole pairs; where half of the blocks or fewer would have a pair more
 * than the others, twice as many have a tile more. at_once: in one span. */
static void share_tiles(const struct dealer *d, uint32_t n, uint32_t rotate, bool at_once,
			struct span spans[SPANS])
{
	uint32_t b = (d->block + rotate) % d->grid, each = n / 2 / d->grid, more = n / 2 % d->grid;
	spans[1] = (struct span){0};
	if (!d->paired) {
		spans[0] = share(d, n, rotate);
	} else if (at_once || 2 * more > d->grid) {
		spans[0] = share(d, n / 2, rotate);
		spans[0].tile *= 2;
		spans[0].n *= 2;
	} else {
		spans[0] = (struct span){2 * b * each, 2 * each};
		if (b < 2 * more)
			spans[1] = (struct span){2 * each * d->grid + b, 1};
	}
}

/* Of n tiles from `tile` on, so many as one stint may have, where there is room for `room`. */
static uint32_t stint_tiles(const struct dealer *d, uint32_t tile, uint32_t n, uint32_t room)
{
	if (d->paired && tile % 2)
		return 1;
	return n < room ? n : room;
}

/* A part of a span that lies in one matrix. */
struct stretch {
	uint32_t matrix, tile, n;
};
enum { MOST_STRETCHES = 2 * SPANS * 3 };

static uint32_t cut_stretches(const struct dealer *d, const struct tile_matrix *matrices,
			      uint32_t first_matrix, uint32_t n_matrices, const struct span spans[SPANS],
			      struct stretch stretches[MOST_STRETCHES])
{
	uint32_t n_stretches = 0;
	for (uint32_t i = 0; i < SPANS; i++) {
		uint32_t begin = 0, from = spans[i].tile, to = from + spans[i].n;
		for (uint32_t m = first_matrix; m < first_matrix + n_matrices; m++) {
			uint32_t end = begin + matrices[m].n_tiles, /* without what is none */
				a = from > begin ? from : begin, z = to < end ? to : end;
			if (a < z)
				stretches[n_stretches++] = (struct stretch){m, a - begin, z - a};
			begin += tiles_of(d, &matrices[m]);
		}
	}
	return n_stretches;
}

/* Tiles of several matrices, one after another. */
static void deal_phase(struct dealer *d, const struct tile_matrix *matrices, uint32_t first_matrix,
		       uint32_t n_matrices, uint32_t rotate, bool at_once, uint32_t lot)
{
	struct span spans[SPANS];
	struct stretch stretches[MOST_STRETCHES];
	uint32_t all = 0, at = 0;
	d->mins = any_mins(matrices + first_matrix, n_matrices);
	for (uint32_t m = 0; m < n_matrices; m++)
		all += tiles_of(d, &matrices[first_matrix + m]);
	share_tiles(d, all, rotate, at_once, spans);
	uint32_t n_stretches = cut_stretches(d, matrices, first_matrix, n_matrices, spans, stretches);
	if (n_stretches == 0)
		deal(d, first_matrix, 0, 0, 0, true, true);
	for (uint32_t i = 0; i < n_stretches; i++)
		for (struct stretch *r = &stretches[i]; r->n;) {
			uint32_t k = stint_tiles(d, r->tile, r->n, lot - at);
			bool last = i + 1 == n_stretches && k == r->n;
			deal(d, r->matrix, r->tile, k, at, at + k == lot || last, last);
			at = (at + k) % lot;
			r->tile += k;
			r->n -= k;
		}
}

static void deal_gate_up(struct dealer *d, const struct tile_matrix *matrices, uint32_t gate)
{
	struct span spans[SPANS];
	struct stretch stretches[MOST_STRETCHES];
	d->mins = any_mins(matrices + gate, 2);
	share_tiles(d, tiles_of(d, &matrices[gate]), 0, false, spans);
	uint32_t n_stretches = cut_stretches(d, matrices, gate, 1, spans, stretches);
	if (n_stretches == 0)
		deal(d, gate, 0, 0, 0, true, true);
	for (uint32_t i = 0; i < n_stretches; i++)
		for (struct stretch *r = &stretches[i]; r->n;) {
			uint32_t k = stint_tiles(d, r->tile, r->n, d->gate_lot / 2);
			deal(d, gate, r->tile, k, 0, false, false);
			deal(d, gate + 1, r->tile, k, k, true, i + 1 == n_stretches && k == r->n);
			r->tile += k;
			r->n -= k;
		}
}

static uint32_t lot_tiles(uint32_t planes)
{
	return planes == 2 ? DECODE_LOT_FULL : DECODE_LOT_HALF;
}

uint32_t decode_plan_stints(const struct tile_matrix *matrices, uint32_t n_layers, uint32_t planes, bool few,
			    uint32_t block, uint32_t grid, struct decode_stint *stints)
{
	struct dealer d = {.stints = stints,
			   .block = block,
			   .grid = grid,
			   .lot = few && planes == 2 ? DECODE_LOT_FEW : lot_tiles(planes),
			   .gate_lot = lot_tiles(planes),
			   .down_lot = !few          ? lot_tiles(planes)
				       : planes == 2 ? DECODE_LOT_DOWN_FULL
						     : DECODE_LOT_DOWN_HALF,
			   .paired = planes == 1};
	for (uint32_t l = 0; l < n_layers; l++) {
		uint32_t first = l * DECODE_N_ROLES;
		deal_phase(&d, matrices, first + DECODE_Q, 3, 0, false, d.lot);
		deal_phase(&d, matrices, first + DECODE_O, 1, grid / 3, false, d.lot);
		deal_gate_up(&d, matrices, first + DECODE_GATE);
		deal_phase(&d, matrices, first + DECODE_DOWN, 1, 2 * grid / 3, false, d.down_lot);
	}
	deal_phase(&d, matrices, n_layers * DECODE_N_ROLES, 1, 0, true, d.lot); /* decode_head.cuh: in one */
	return d.n;
}

uint64_t decode_tagged_bytes(const struct decode_args *a, uint32_t grid)
{
	uint64_t parts = (uint64_t)a->n_heads * a->n_split_max * (2 + a->head_dim);
	return (4ull * grid + parts) * decode_kernel_seqs(a) * sizeof(uint64_t);
}

/* Of several sequences: bytes of a column of an operand of all phases but the last of a layer. */
static uint32_t short_column(const struct decode_args *a)
{
	uint32_t k = a->d_model > a->q_dim ? a->d_model : a->q_dim;
	return (k * 2 + SHARED_ALIGN - 1) / SHARED_ALIGN * SHARED_ALIGN;
}

/* Bytes of the sums of `tiles` tiles, of all segments. */
static uint32_t part_bytes(const struct decode_args *a, uint32_t tiles)
{
	return TILE_SEGMENTS * tiles * decode_kernel_seqs(a) * a->planes * TILE_ROWS * 4;
}

/* Of several sequences: sums lie behind the columns of short operands, as many segments' behind each, where
 * there is room; those of the longest operand's phase, few tiles', have a place of their own. Else all have
 * one place. */
static void place_sums(struct decode_args *a, uint32_t *part, uint32_t *part_down)
{
	uint32_t columns = decode_kernel_seqs(a) * a->planes, all = part_bytes(a, lot_tiles(a->planes));
	a->part_column = all / columns / 4;
	*part = all;
	*part_down = 0;
	if (a->most_seqs < decode_kernel_seqs(a) || short_column(a) + all / columns > a->column * 2)
		return;
	*part = 0;
	*part_down = part_bytes(a, a->planes == 2 ? DECODE_LOT_DOWN_FULL : DECODE_LOT_DOWN_HALF);
	a->part_column = a->column / 2;
}

uint32_t decode_merge_log(uint32_t n_heads, uint32_t head_dim, uint32_t grid)
{
	uint32_t log = DECODE_MERGE_LOG_LEAST;
	while (log < DECODE_MERGE_LOG_MOST && n_heads * ((head_dim + (1u << log) - 1) >> log) > grid)
		log++;
	return log;
}

/* Sets the offsets; returns where the shared memory ends. */
static uint32_t lay_out(struct decode_args *a)
{
	struct decode_shared *s = &a->shared;
	uint32_t seqs = a->most_seqs ? a->most_seqs : 1, columns = seqs * a->planes;
	/* Of a column and the next, eight lanes read from different banks. */
	a->column = a->k_max + (a->k_max * 2 % (2 * HALF_BANKS) == 0 ? HALF_BANKS / 2 : 0);
	uint32_t high = a->most_seqs ? columns * a->column * 2 : a->k_max * 2,
		 low = a->planes == 2 && !a->most_seqs ? a->k_max * 2 + HALF_BANKS : 0;
	uint32_t part = 2 * part_bytes(a, lot_tiles(a->planes)), part_down = 0;
	if (a->most_seqs)
		place_sums(a, &part, &part_down);
	const struct {
		uint32_t *offset;
		uint32_t bytes;
	} parts[] = {
		{&s->matrices, (a->n_layers * DECODE_N_ROLES + 1) * (uint32_t)sizeof(struct decode_matrix)},
		{&s->stints, a->n_stints * (uint32_t)sizeof(struct decode_stint)},
		{&s->x, seqs * a->d_model * 4},
		{&s->high, high},
		{&s->low, low},
		{&s->zeros, HALF_BANKS + DECODE_ZEROS * 2},
		{&s->sums, a->any_mins ? decode_kernel_seqs(a) * 2 * a->k_max / 32 * 4 : 0},
		{&s->part, part},
		{&a->part_down, part_down},
		{&s->peaks, 3 * a->group_rows * 8 * 4},
		{&s->p16, a->planes * a->group_rows * (CUDA_ATTN_SPLIT + DECODE_ROW_PAD) * 2},
		{&s->query, a->planes * a->group_rows * (a->hd + DECODE_ROW_PAD) * 2},
		{&s->fresh, a->planes * 2 * a->hd * 2},
		{&s->turn, a->n_turns * seqs * a->hd * 4},
		{&s->table, DECODE_PLACES * (CUDA_ATTN_SPLIT / CUDA_KV_BLOCK + 1) * 8},
		{&s->reduce, 64 * 8},
		{&s->bars, (TILE_SEGMENTS * DECODE_PARCELS + DECODE_STREAM_WARPS) * 8},
		{&s->notes, TILE_SEGMENTS * DECODE_PARCELS * 8},
		{&s->done, TILE_SEGMENTS * 2 * 4},
		{&s->kept, TILE_SEGMENTS * 4 * 4},
		{&s->ring, TILE_SEGMENTS * a->ring_bytes},
	};
	uint32_t at = 0;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		at = (at + SHARED_ALIGN - 1) / SHARED_ALIGN * SHARED_ALIGN;
		*parts[i].offset = at;
		at += parts[i].bytes;
	}
	if (part_down)
		s->part = s->high + short_column(a);
	else
		a->part_down = s->part;
	s->zeros += HALF_BANKS;
	s->low = a->planes == 2 ? s->low + HALF_BANKS : s->high;
	return at;
}

bool decode_plan_shared(struct decode_args *a, uint32_t shared_bytes, uint32_t *bytes)
{
	a->ring_bytes = 0;
	uint32_t rest = lay_out(a);
	if (rest > shared_bytes || a->n_stints > MAX_STINTS ||
	    a->n_layers * DECODE_N_ROLES + 1 > MAX_MATRICES)
		return false;
	a->ring_bytes = (shared_bytes - rest) / TILE_SEGMENTS / SHARED_ALIGN * SHARED_ALIGN;
	*bytes = lay_out(a);
	return a->ring_bytes >= DECODE_PARCEL_BYTES;
}
