/* Norms, activations, attention: float32 with a fixed order of operations. */
#include <float.h>
#include <math.h>

#include "compute/compute.h"
#include "compute/cpu/tier.h"

/* e^x: x = k ln 2 + r, |r| <= ln 2 / 2, a polynomial of degree 6 in r, times 2^k. Within 2 units in the last
 * place of
 * [-87, 88]; 0 below (also for -infinity), the value at 88 above. NaN stays NaN. */
static inline v16 v16_exp(v16 x)
{
	const float magic = 0x1.8p23f, lowest = -87.0f;
	v16 t = v16_sub(v16_set1(0), v16_max(v16_set1(-88.0f), v16_sub(v16_set1(0), x))); /* min(x, 88) */
	t = v16_max(v16_set1(-88.0f), t);
	v16 z = v16_fma(t, v16_set1(0x1.715476p0f), v16_set1(magic));
	v16 k = v16_sub(z, v16_set1(magic));
	v16 r = v16_fma(k, v16_set1(-0x1.62e4p-1f), t);
	r = v16_fma(k, v16_set1(-0x1.7f7d1cp-20f), r);
	v16 p = v16_set1(0x1.6c16c2p-10f);
	p = v16_fma(p, r, v16_set1(0x1.111112p-7f));
	p = v16_fma(p, r, v16_set1(0x1.555556p-5f));
	p = v16_fma(p, r, v16_set1(0x1.555556p-3f));
	p = v16_fma(p, r, v16_set1(0.5f));
	p = v16_fma(p, r, v16_set1(1.0f));
	p = v16_fma(p, r, v16_set1(1.0f));
	return v16_zero_below(v16_scale_by_magic(p, z), x, lowest);
}

static void rms_norm(const float *x, const float *w, uint32_t n, float eps, float *out)
{
	v16 squares = v16_set1(0);
	for (uint32_t i = 0; i < n; i += 16) {
		v16 a = v16_load(x + i);
		squares = v16_fma(a, a, squares);
	}
	v16 scale = v16_set1(1.0f / sqrtf(v16_sum(squares) / (float)n + eps));
	for (uint32_t i = 0; i < n; i += 16)
		v16_store(out + i, v16_mul(v16_mul(v16_load(x + i), scale), v16_load(w + i)));
}

/* x / (1 + e^-y) */
static inline v16 v16_times_sigmoid(v16 x, v16 y)
{
	return v16_div(x, v16_add(v16_set1(1.0f), v16_exp(v16_sub(v16_set1(0), y))));
}

static inline void store_product(v16 x, const float *up, float *out)
{
	v16_store(out, up ? v16_mul(x, v16_load(up)) : x);
}

static void act_silu(const float *x, const float *up, uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i += 16) {
		v16 a = v16_load(x + i);
		store_product(v16_times_sigmoid(a, a), up ? up + i : NULL, out + i);
	}
}

/* 0.5 x (1 + tanh(u)) is x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static void act_gelu_tanh(const float *x, const float *up, uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i += 16) {
		v16 a = v16_load(x + i), square = v16_mul(a, a);
		v16 u = v16_mul(
			a, v16_fma(square, v16_set1(2 * 0.79788456f * 0.044715f), v16_set1(2 * 0.79788456f)));
		store_product(v16_times_sigmoid(a, u), up ? up + i : NULL, out + i);
	}
}

/* No model of speed has it: the error function is the library's. */
static void act_gelu(const float *x, const float *up, uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i++) {
		float a = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678f));
		out[i] = up ? a * up[i] : a;
	}
}

/* cap tanh(x / cap) is cap - 2 cap / (1 + e^(2 x / cap)) */
static inline v16 v16_soft_cap(v16 x, float cap)
{
	v16 e = v16_exp(v16_mul(x, v16_set1(2 / cap)));
	return v16_sub(v16_set1(cap), v16_div(v16_set1(2 * cap), v16_add(v16_set1(1.0f), e)));
}

static void soft_cap(float *x, uint32_t n, float cap)
{
	for (uint32_t i = 0; i < n; i += 16)
		v16_store(x + i, v16_soft_cap(v16_load(x + i), cap));
}

/* scores (rows, 32) = q (rows, dim) x keys (dim, 32), sums over dim in order. */
KERNEL void score_rows(const struct attention *a, const float *keys, uint32_t row, const int rows)
{
	for (int v = 0; v < 2; v += ATTN_VECTORS) {
		v16 sum[ATTN_ROWS][ATTN_VECTORS];
		EACH(r, rows)
		{
			EACH(i, ATTN_VECTORS) sum[r][i] = v16_set1(0);
		}
		const float *q = a->q + (size_t)row * a->padded_dim, *k = keys + 16 * v;
		for (uint32_t d = 0; d < a->head_dim; d++, k += COMPUTE_KV_BLOCK) {
			v16 x[ATTN_VECTORS];
			EACH(i, ATTN_VECTORS) x[i] = v16_load(k + 16 * i);
			EACH(r, rows)
			{
				v16 y = v16_set1(q[(size_t)r * a->padded_dim + d]);
				EACH(i, ATTN_VECTORS) sum[r][i] = v16_fma(x[i], y, sum[r][i]);
			}
		}
		EACH(r, rows)
		{
			EACH(i, ATTN_VECTORS)
			v16_store(a->scores + (row + (uint32_t)r) * COMPUTE_KV_BLOCK + 16 * (v + i),
				  sum[r][i]);
		}
	}
}

/* acc (rows, dim) += scores (rows, n) x values (n, dim), positions in order. */
KERNEL void value_rows(const struct attention *a, const float *values, uint32_t row, uint32_t n,
		       const int rows, const int vectors)
{
	for (uint32_t d = 0; d < a->padded_dim; d += 16 * (uint32_t)vectors) {
		float *acc = a->acc + (size_t)row * a->padded_dim + d;
		const float *p = a->scores + (size_t)row * COMPUTE_KV_BLOCK;
		v16 sum[ATTN_ROWS][ATTN_VECTORS];
		EACH(r, rows)
		{
			EACH(i, vectors) sum[r][i] = v16_load(acc + (size_t)r * a->padded_dim + 16 * i);
		}
		for (uint32_t j = 0; j < n; j++) {
			v16 x[ATTN_VECTORS];
			EACH(i, vectors)
			x[i] = v16_load(values + (size_t)j * a->padded_dim + d + 16 * (uint32_t)i);
			EACH(r, rows)
			{
				v16 y = v16_set1(p[r * COMPUTE_KV_BLOCK + (int)j]);
				EACH(i, vectors) sum[r][i] = v16_fma(x[i], y, sum[r][i]);
			}
		}
		EACH(r, rows)
		{
			EACH(i, vectors)
			v16_store(acc + (size_t)r * a->padded_dim + 16 * i, sum[r][i]);
		}
	}
}

/* Scores of one row become weights: e^(s - largest so far); the row's sum and accumulator follow. The row
 * sees positions hidden .. n - 1 of the block. */
KERNEL void soften_row(const struct attention *a, uint32_t row, uint32_t hidden, uint32_t n, float *largest,
		       float *total)
{
	float *scores = a->scores + (size_t)row * COMPUTE_KV_BLOCK;
	if (a->soft_cap != 0)
		soft_cap(scores, COMPUTE_KV_BLOCK, a->soft_cap);
	for (uint32_t i = 0; i < hidden; i++)
		scores[i] = -INFINITY;
	v16 lo = v16_keep(v16_load(scores), (int)n, -INFINITY);
	v16 hi = v16_keep(v16_load(scores + 16), (int)n - 16, -INFINITY);
	float now = v16_hmax(v16_max(v16_set1(largest[row]), v16_max(lo, hi)));
	lo = v16_exp(v16_sub(lo, v16_set1(now)));
	hi = v16_exp(v16_sub(hi, v16_set1(now)));
	v16_store(scores, lo);
	v16_store(scores + 16, hi);
	float sum = v16_sum(v16_add(lo, hi));
	if (now != largest[row]) {
		float shrink[16];
		v16_store(shrink, v16_exp(v16_set1(largest[row] - now)));
		total[row] *= shrink[0];
		float *acc = a->acc + (size_t)row * a->padded_dim;
		for (uint32_t d = 0; d < a->padded_dim; d += 16)
			v16_store(acc + d, v16_mul(v16_load(acc + d), v16_set1(shrink[0])));
		largest[row] = now;
	}
	total[row] += sum;
}

#define ROWS_OF(n) ((n) >= ATTN_ROWS ? ATTN_ROWS : (n) >= 4 ? 4 : (n) >= 2 ? 2 : 1)

/* Rows row .. end - 1. */
static void score_all(const struct attention *a, const float *keys, uint32_t row, uint32_t end)
{
	while (row < end) {
		uint32_t n = ROWS_OF(end - row);
		if (n == ATTN_ROWS)
			score_rows(a, keys, row, ATTN_ROWS);
		else if (n == 4)
			score_rows(a, keys, row, 4 < ATTN_ROWS ? 4 : ATTN_ROWS);
		else if (n == 2)
			score_rows(a, keys, row, 2);
		else
			score_rows(a, keys, row, 1);
		row += n;
	}
}

/* Rows row .. end, which all see n positions of the block. */
static void value_span(const struct attention *a, const float *values, uint32_t row, uint32_t end, uint32_t n)
{
	bool wide = a->padded_dim % (16 * ATTN_VECTORS) == 0;
	while (row < end) {
		uint32_t rows = ROWS_OF(end - row);
		if (!wide) {
			rows = 1;
			value_rows(a, values, row, n, 1, 1);
		} else if (rows == ATTN_ROWS) {
			value_rows(a, values, row, n, ATTN_ROWS, ATTN_VECTORS);
		} else if (rows == 4) {
			value_rows(a, values, row, n, 4 < ATTN_ROWS ? 4 : ATTN_ROWS, ATTN_VECTORS);
		} else if (rows == 2) {
			value_rows(a, values, row, n, 2, ATTN_VECTORS);
		} else {
			value_rows(a, values, row, n, 1, ATTN_VECTORS);
		}
		row += rows;
	}
}

/* The first position that row r sees. */
static uint32_t first_seen(const struct attention *a, uint32_t r)
{
	return a->window && a->positions[r] >= a->window ? a->positions[r] - a->window + 1 : 0;
}

/* Rows row .. end - 1 over one block, which begins at position start; each of them sees some of it. */
static void attend_block(const struct attention *a, const uint8_t *block, uint32_t start, uint32_t row,
			 uint32_t end, float *largest, float *total)
{
	uint32_t most = a->positions[end - 1] - start + 1;
	score_all(a, cache_keys(a, block), row, end);
	const float *values =
		cache_values(a, block + a->value_offset, most < COMPUTE_KV_BLOCK ? most : COMPUTE_KV_BLOCK);
	while (row < end) {
		uint32_t seen = a->positions[row] - start + 1, same = row;
		uint32_t n = seen < COMPUTE_KV_BLOCK ? seen : COMPUTE_KV_BLOCK;
		if (seen >= COMPUTE_KV_BLOCK)
			same = end;
		else
			while (same < end && a->positions[same] == a->positions[row])
				same++;
		for (uint32_t i = row; i < same; i++) {
			uint32_t first = first_seen(a, i);
			soften_row(a, i, first > start ? first - start : 0, n, largest, total);
		}
		value_span(a, values, row, same, n);
		row = same;
	}
}

/* Softmax(q k) v, block by block with a running maximum. A row never touches what lies after its own
 * position, so whatever a block holds there (another chunk's tokens, nothing yet) cannot reach it; nor blocks
 * that lie behind its window. */
static void attention(const struct attention *a)
{
	float largest[ATTN_TILE_ROWS], total[ATTN_TILE_ROWS];
	for (uint32_t r = 0; r < a->rows; r++) {
		largest[r] = -INFINITY;
		total[r] = 0;
	}
	for (size_t i = 0; i < (size_t)a->rows * a->padded_dim; i += 16)
		v16_store(a->acc + i, v16_set1(0));
	uint32_t last = a->positions[a->rows - 1], row = 0, end = a->window ? 0 : a->rows;
	for (uint32_t block = first_seen(a, 0) / COMPUTE_KV_BLOCK; block * COMPUTE_KV_BLOCK <= last;
	     block++) {
		uint32_t start = block * COMPUTE_KV_BLOCK;
		while (a->positions[row] < start)
			row++;
		while (end < a->rows && first_seen(a, end) < start + COMPUTE_KV_BLOCK)
			end++;
		attend_block(a, a->kv + a->blocks[block] * a->block_bytes, start, row, end, largest, total);
	}
	for (uint32_t r = 0; r < a->rows; r++)
		for (uint32_t d = 0; d < a->padded_dim; d += 16) {
			float *acc = a->acc + (size_t)r * a->padded_dim + d;
			v16_store(acc, v16_div(v16_load(acc), v16_set1(total[r])));
		}
}
