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
		uint32_t first = token / QUANT_TILE * QUANT_TILE, groups = columns / GROUP;
		uint32_t width = min_u32(n_tokens - first, QUANT_TILE);
		struct qgroup *tile = c->acts.q + (size_t)first * groups;
		c->tier->quantise(row, n / GROUP, tile + (size_t)from / GROUP * width + token - first, width);
	}
	if (set->want_float) {
		uint32_t first = token / FLOAT_TILE * FLOAT_TILE, width = min_u32(n_tokens - first, FLOAT_TILE);
		float *to = c->acts.f + (size_t)first * columns + (size_t)from * width + token - first;
		if (width == 1)
			memcpy(to, row, n * sizeof *to);
		else
			for (uint32_t k = 0; k < n; k++)
				to[(size_t)k * width] = row[k];
	}
}

/* One unit of one matrix with the tokens first .. first + n_tokens - 1. */
static void product_unit(const struct cpu *c, const struct packed *m, uint32_t unit, uint32_t first,
			 uint32_t n_tokens, uint32_t batch, float *sums)
{
	bool quantised = pack_is_quantised(m->kind);
	uint32_t tile = quantised ? QUANT_TILE : FLOAT_TILE, per_block = pack_block_columns(m->kind);
	uint32_t step = n_tokens > tile ? DEPTH_BLOCK : m->cols;
	for (uint32_t column = 0; column < m->cols; column += step) {
		struct product p;
		pack_address(m, unit, column, &p);
		p.depth = min_u32(step, m->cols - column) / per_block;
		p.first = column == 0;
		for (uint32_t t = 0; t < n_tokens; t += tile) {
			size_t at = (size_t)(first + t) * m->cols, width = min_u32(batch - first - t, tile);
			if (quantised)
				p.acts = c->acts.q + at / GROUP + column / GROUP * width;
			else
				p.acts = c->acts.f + at + column * width;
			p.tokens = (uint32_t)width;
			p.out = sums + (size_t)t * UNIT_ROWS;
			c->tier->product[m->kind](&p);
		}
	}
}

/* sums (n_tokens, UNIT_ROWS) to out (n_tokens, stride). Whole panels: rows are padded on both sides. */
static void put_sums(const float *sums, uint32_t n_tokens, uint32_t rows, float *out, size_t stride, bool add)
{
	for (uint32_t t = 0; t < n_tokens; t++, sums += UNIT_ROWS, out += stride) {
		if (!add)
			memcpy(out, sums, rows * sizeof *out);
		else
			for (uint32_t r = 0; r < rows; r++)
				out[r] += sums[r];
	}
}

void product_run(const struct cpu *c, const struct product_set *set, uint32_t n_tokens, float *const *out,
		 const uint32_t *strides, bool add, uint32_t thread)
{
	uint32_t begin = (uint32_t)((uint64_t)set->n_units * thread / c->n_threads);
	uint32_t end = (uint32_t)((uint64_t)set->n_units * (thread + 1) / c->n_threads);
	float *sums = c->threads[thread].product;
	for (uint32_t first = 0; first < n_tokens; first += TOKEN_BLOCK) {
		uint32_t n = min_u32(n_tokens - first, TOKEN_BLOCK), base = 0;
		for (uint32_t i = 0; i < set->n; i++) {
			const struct packed *m = &set->m[i];
			for (uint32_t unit = begin > base ? begin - base : 0;
			     unit < m->n_units && base + unit < end; unit++) {
				product_unit(c, m, unit, first, n, n_tokens, sums);
				uint32_t rows = min_u32(m->n_panels * PANEL - unit * UNIT_ROWS, UNIT_ROWS);
				float *to = out[i] + (size_t)first * strides[i] + (size_t)unit * UNIT_ROWS;
				put_sums(sums, n, rows, to, strides[i], add);
			}
			base += m->n_units;
		}
	}
}
