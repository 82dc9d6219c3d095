/* Products of a step's activations with a set of matrices, shared out over the threads of the pool. */
#include <string.h>

#include "compute/cpu/cpu.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void acts_put(const struct cpu *c, const struct product_set *set, uint32_t token, uint32_t n_tokens,
	      uint32_t columns, uint32_t from, uint32_t n, const float *row)
{
	if (set->want_quant) {
		uint32_t first = token / QUANT_TILE * QUANT_TILE, chunks = columns / CHUNK;
		uint32_t width = min_u32(n_tokens - first, QUANT_TILE);
		struct qchunk *tile = c->acts.q + (size_t)first * chunks;
		c->tier->quantise(row, n / CHUNK, tile + (size_t)from / CHUNK * width + token - first, width);
	}
	if (set->want_float) {
		uint32_t first = token / FLOAT_TILE * FLOAT_TILE,
			 width = min_u32(n_tokens - first, FLOAT_TILE);
		float *to = c->acts.f + (size_t)first * columns + (size_t)from * width + token - first;
		if (width == 1)
			memcpy(to, row, n * sizeof *to);
		else
			for (uint32_t k = 0; k < n; k++)
				to[(size_t)k * width] = row[k];
	}
}

/* What a thread does at a time: some slabs of a matrix with some tokens of the batch. */
struct share {
	const struct packed *m;
	uint32_t slab, n_slabs;   /* at most SLABS_AT_ONCE */
	uint32_t first, n_tokens; /* at most TOKEN_BLOCK or TILES_BLOCK */
	uint32_t batch;           /* tokens of the step: how wide the last tile is */
	float *sums;              /* (n_slabs, n_tokens, SLAB_ROWS) */
};

/* Columns column .. column + n of one slab, all tiles of tokens. */
static void product_columns(const struct cpu *c, const struct share *s, uint32_t slab, uint32_t column,
			    uint32_t n)
{
	const struct packed *m = s->m;
	bool quantised = pack_is_quantised(m->kind);
	uint32_t tile = quantised ? QUANT_TILE : FLOAT_TILE;
	float *sums = s->sums + (size_t)slab * s->n_tokens * SLAB_ROWS;
	struct product p;
	pack_address(m, s->slab + slab, column, &p);
	p.depth = n / pack_block_columns(m->kind);
	p.first = column == 0;
	p.ahead = s->batch <= tile;
	p.more_tiles = 0;
	p.acts_stride = (size_t)tile * m->cols / CHUNK;
	for (uint32_t t = 0; t < s->n_tokens; t += tile * (1 + p.more_tiles)) {
		size_t at = (size_t)(s->first + t) * m->cols, width = min_u32(s->batch - s->first - t, tile);
		uint32_t whole = (s->n_tokens - t) / tile; /* a block is whole tiles */
		p.more_tiles = quantised && c->tier->takes_tiles && whole ? whole - 1 : 0;
		if (quantised)
			p.acts = c->acts.q + at / CHUNK + column / CHUNK * width;
		else
			p.acts = c->acts.f + at + column * width;
		p.tokens = (uint32_t)width;
		p.out = sums + (size_t)t * SLAB_ROWS;
		c->tier->product[m->kind](&p);
	}
}

/* sums (n_tokens, SLAB_ROWS) to out (n_tokens, stride). Whole panels: rows are padded on both sides. */
static void put_sums(const float *sums, uint32_t n_tokens, uint32_t rows, float *out, size_t stride, bool add)
{
	for (uint32_t t = 0; t < n_tokens; t++, sums += SLAB_ROWS, out += stride) {
		if (!add)
			memcpy(out, sums, rows * sizeof *out);
		else
			for (uint32_t r = 0; r < rows; r++)
				out[r] += sums[r];
	}
}

/* One token streams the weights, row of panels by row of panels. Many tokens take DEPTH_BLOCK columns of all
 * slabs before the next: those columns of the activations stay in the second-level cache meanwhile. */
static void product_share(const struct cpu *c, const struct share *s, float *out, size_t stride, bool add)
{
	const struct packed *m = s->m;
	uint32_t tile = pack_is_quantised(m->kind) ? QUANT_TILE : FLOAT_TILE;
	uint32_t step = s->n_tokens > tile ? DEPTH_BLOCK : m->cols;
	for (uint32_t column = 0; column < m->cols; column += step)
		for (uint32_t slab = 0; slab < s->n_slabs; slab++)
			product_columns(c, s, slab, column, min_u32(step, m->cols - column));
	for (uint32_t slab = 0; slab < s->n_slabs; slab++) {
		uint32_t row = (s->slab + slab) * SLAB_ROWS,
			 rows = min_u32(m->n_panels * PANEL - row, SLAB_ROWS);
		put_sums(s->sums + (size_t)slab * s->n_tokens * SLAB_ROWS, s->n_tokens, rows,
			 out + (size_t)s->first * stride + row, stride, add);
	}
}

void product_run(const struct cpu *c, const struct product_set *set, uint32_t n_tokens, float *const *out,
		 const uint32_t *strides, bool add, uint32_t thread)
{
	uint32_t begin = (uint32_t)((uint64_t)set->n_slabs * thread / c->n_threads);
	uint32_t end = (uint32_t)((uint64_t)set->n_slabs * (thread + 1) / c->n_threads);
	struct share s = {.batch = n_tokens, .sums = c->threads[thread].product};
	const uint32_t block = c->tier->takes_tiles && !set->want_float ? TILES_BLOCK : TOKEN_BLOCK;
	for (; s.first < n_tokens; s.first += block) {
		uint32_t base = 0; /* of matrix i's slabs in the set's */
		s.n_tokens = min_u32(n_tokens - s.first, block);
		for (uint32_t i = 0; i < set->n; base += set->m[i++].n_slabs) {
			s.m = &set->m[i];
			s.slab = begin > base ? begin - base : 0;
			uint32_t stop = end > base ? min_u32(end - base, s.m->n_slabs) : 0;
			for (; s.slab < stop; s.slab += s.n_slabs) {
				/* sums that nobody goes back to are few, and read again while they are in
				 * cache */
				s.n_slabs =
					s.m->cols <= DEPTH_BLOCK ? 1 : min_u32(stop - s.slab, SLABS_AT_ONCE);
				product_share(c, &s, out[i], strides[i], add);
			}
		}
	}
}
