/*
 * The kernels of every instruction set this machine has: against plain loops in double (and, for weights of
 * floats, in the very order they promise), and against each other bit for bit, at sizes that fit nothing.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "base/rng.h"
#include "compute/compute.h"
#include "compute/cpu/cache.h"
#include "compute/cpu/pack.h"

enum { MAX_TIERS = 8 };

static const struct cpu_tier *tiers[MAX_TIERS];
static size_t n_tiers;
static uint64_t random_index;

static uint32_t random_word(void)
{
	uint32_t words[4];
	rng_words(7, RNG_STREAM_TEST, random_index++, words);
	return words[0];
}

/* About normal: the sum of a few uniform ones. */
static float random_float(void)
{
	float sum = 0;
	for (int i = 0; i < 4; i++)
		sum += (float)((int32_t)random_word() >> 8) * 0x1p-23f;
	return sum;
}

static void *aligned(size_t n)
{
	void *p = aligned_alloc(64, (n + 63) / 64 * 64);
	assert_non_null(p);
	memset(p, 0, (n + 63) / 64 * 64);
	return p;
}

/* ---- products ---- */

/* Where the half floats of a block lie that must be of a sane size. */
static const struct {
	enum tensor_type type;
	int halves[2];
} block_scales[] = {{TENSOR_Q8_0, {0, -1}},   {TENSOR_Q4_0, {0, -1}},   {TENSOR_Q4_1, {0, 2}},
		    {TENSOR_Q5_0, {0, -1}},   {TENSOR_Q5_1, {0, 2}},    {TENSOR_Q4_K, {0, 2}},
		    {TENSOR_Q5_K, {0, 2}},    {TENSOR_Q6_K, {208, -1}}, {TENSOR_Q2_K, {80, 82}},
		    {TENSOR_Q3_K, {108, -1}}, {TENSOR_IQ4_NL, {0, -1}}, {TENSOR_IQ4_XS, {0, -1}}};

struct matrix {
	struct weight w;
	uint8_t *bytes;
	float *values; /* (rows, cols) dequantised */
	struct packed packed;
};

static void matrix_make(struct matrix *m, enum tensor_type type, uint32_t rows, uint32_t cols)
{
	const struct format *fmt = format_get(type);
	m->w = (struct weight){.fmt = fmt, .rows = rows, .cols = cols};
	m->w.row_bytes = (uint64_t)cols / fmt->block_elements * fmt->block_bytes;
	size_t n = rows * m->w.row_bytes;
	m->bytes = malloc(n);
	assert_non_null(m->bytes);
	for (size_t i = 0; i < n; i++)
		m->bytes[i] = (uint8_t)random_word();
	for (size_t b = 0; b < n / fmt->block_bytes && fmt->block_elements > 1; b++)
		for (size_t i = 0; i < sizeof block_scales / sizeof block_scales[0]; i++)
			for (int h = 0;
			     h < 2 && block_scales[i].type == type && block_scales[i].halves[h] >= 0; h++) {
				uint16_t half = f16_from_f32(random_float() * 0.01f);
				memcpy(m->bytes + b * fmt->block_bytes + block_scales[i].halves[h], &half, 2);
			}
	m->values = malloc((size_t)rows * cols * sizeof(float));
	if (fmt->block_elements == 1) {
		for (size_t i = 0; i < (size_t)rows * cols; i++)
			m->values[i] = random_float();
		fmt->quantise(m->values, m->bytes, (size_t)rows * cols);
	}
	fmt->dequantise(m->bytes, m->values, (size_t)rows * cols);
	m->w.data = m->bytes;
	assert_true(pack_plan(&m->packed, &m->w));
	assert_true(m->packed.bytes >= n && m->packed.bytes < n + 64 * m->w.row_bytes + 64 * 64);
	m->packed.data = aligned(m->packed.bytes);
	assert_int_equal(pack_slabs(&m->packed, 0, m->packed.n_slabs, NULL, NULL), HOKKU_OK);
	uint8_t *row = malloc(m->w.row_bytes);
	for (uint32_t r = 0; r < rows; r++) { /* and back again */
		memset(row, 0xA5, m->w.row_bytes);
		pack_row(&m->packed, r, row);
		assert_memory_equal(row, m->bytes + r * m->w.row_bytes, m->w.row_bytes);
	}
	free(row);
}

static void matrix_free(struct matrix *m)
{
	free(m->bytes);
	free(m->values);
	free(m->packed.data);
}

/* out (tokens, padded rows) by tier, in pieces of `step` columns; x is (tokens, cols). */
static void multiply(const struct cpu_tier *tier, const struct matrix *m, const float *x, uint32_t tokens,
		     uint32_t step, float *out)
{
	uint32_t cols = m->w.cols, stride = m->packed.n_panels * PANEL;
	bool quantised = pack_is_quantised(m->packed.kind);
	struct qchunk *chunks = quantised ? aligned(tokens * cols / CHUNK * sizeof *chunks) : NULL;
	float *floats = quantised ? NULL : aligned(tokens * (size_t)cols * sizeof *floats);
	for (uint32_t t = 0; t < tokens; t++) {
		if (quantised)
			tier->quantise(x + (size_t)t * cols, cols / CHUNK, chunks + t, tokens);
		for (uint32_t k = 0; k < cols && !quantised; k++)
			floats[k * tokens + t] = x[(size_t)t * cols + k];
	}
	for (uint32_t slab = 0; slab < m->packed.n_slabs; slab++) {
		float sums[QUANT_TILE * SLAB_ROWS];
		memset(sums, 0xFF, sizeof sums);
		struct product p = {.ahead = tokens % 3 == 0}; /* it changes no bit */
		for (uint32_t k = 0; k < cols; k += step) {
			pack_address(&m->packed, slab, k, &p);
			p.depth = (cols - k < step ? cols - k : step) / pack_block_columns(m->packed.kind);
			p.acts = quantised ? (const void *)(chunks + (size_t)k / CHUNK * tokens)
					   : (const void *)(floats + (size_t)k * tokens);
			p.tokens = tokens;
			p.first = k == 0;
			p.out = sums;
			tier->product[m->packed.kind](&p);
		}
		for (uint32_t t = 0; t < tokens; t++)
			memcpy(out + (size_t)t * stride + slab * SLAB_ROWS, sums + t * SLAB_ROWS,
			       p.panels * PANEL * sizeof *out);
	}
	free(chunks);
	free(floats);
}

/* Floats: the promised order itself. Quantised: the exact sum, with the activations as the tier rounded them.
 */
static void check_product(const struct matrix *m, const float *x, uint32_t tokens, const float *out)
{
	uint32_t cols = m->w.cols, stride = m->packed.n_panels * PANEL;
	struct qchunk *q = aligned(cols / CHUNK * sizeof *q + 64);
	for (uint32_t t = 0; t < tokens; t++) {
		if (pack_is_quantised(m->packed.kind))
			tiers[0]->quantise(x + (size_t)t * cols, cols / CHUNK, q, 1);
		for (uint32_t r = 0; r < m->w.rows; r++) {
			const float *w = m->values + (size_t)r * cols, *a = x + (size_t)t * cols;
			float got = out[(size_t)t * stride + r], ordered = 0;
			double exact = 0, size = 0;
			for (uint32_t k = 0; k < cols; k++) {
				ordered = fmaf(w[k], a[k], ordered);
				double y = (double)q[k / CHUNK].d * q[k / CHUNK].q[k % CHUNK];
				exact += w[k] * y;
				size += fabs(w[k] * y);
			}
			if (!pack_is_quantised(m->packed.kind))
				assert_memory_equal(&got, &ordered, sizeof got);
			else if (!(fabs((double)got - exact) <= 2e-6 * size))
				fail_msg("%s %ux%u, row %u, token %u: %g, wanted %g", m->w.fmt->name,
					 m->w.rows, cols, r, t, (double)got, exact);
		}
		for (uint32_t r = m->w.rows; r < stride; r++)
			assert_true(out[(size_t)t * stride + r] == 0);
	}
	free(q);
}

static void check_matrix(enum tensor_type type, uint32_t rows, uint32_t cols)
{
	static const uint32_t widths[] = {1, 2, 3, 4, 5, 6, 7, 13, 15, 16};
	struct matrix m;
	matrix_make(&m, type, rows, cols);
	uint32_t stride = m.packed.n_panels * PANEL, block = pack_block_columns(m.packed.kind);
	uint32_t most = pack_is_quantised(m.packed.kind) ? QUANT_TILE : FLOAT_TILE;
	float *x = malloc((size_t)QUANT_TILE * cols * sizeof *x);
	float *want = aligned((size_t)QUANT_TILE * stride * sizeof *want),
	      *got = aligned((size_t)QUANT_TILE * stride * 4);
	for (size_t i = 0; i < (size_t)QUANT_TILE * cols; i++)
		x[i] = random_float();
	multiply(tiers[0], &m, x, most, cols, want);
	check_product(&m, x, most, want);
	for (size_t i = 0; i < n_tiers; i++)
		for (size_t n = 0; n < sizeof widths / sizeof widths[0] && widths[n] <= most; n++) {
			multiply(tiers[i], &m, x, widths[n], n % 2 ? cols : block * 2, got);
			if (memcmp(got, want, (size_t)widths[n] * stride * sizeof *got) != 0)
				fail_msg("%s %ux%u on %s: %u tokens give other bits than %u on %s",
					 m.w.fmt->name, rows, cols, tiers[i]->name, widths[n], most,
					 tiers[0]->name);
		}
	free(x);
	free(want);
	free(got);
	matrix_free(&m);
}

static void products_are_right_and_the_same_bits_everywhere(void **state)
{
	(void)state;
	static const enum tensor_type types[] = {TENSOR_F32,  TENSOR_F16,    TENSOR_BF16,  TENSOR_Q8_0,
						 TENSOR_Q4_0, TENSOR_Q4_1,   TENSOR_Q5_0,  TENSOR_Q5_1,
						 TENSOR_Q4_K, TENSOR_Q5_K,   TENSOR_Q6_K,  TENSOR_Q2_K,
						 TENSOR_Q3_K, TENSOR_IQ4_NL, TENSOR_IQ4_XS};
	static const uint32_t rows[] = {1, 15, 16, 17, 31, 64, 65, 113},
			      cols[] = {1, 20, 32, 64, 96, 256, 864, 1792};
	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
		for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
			for (size_t c = 0; c < sizeof cols / sizeof cols[0]; c++)
				/* the widest with one awkward height: it is the slowest in plain C */
				if (cols[c] % format_get(types[t])->block_elements == 0 &&
				    (cols[c] <= 256 || rows[r] == 17))
					check_matrix(types[t], rows[r], cols[c]);
}

static void every_format_has_a_kernel(void **state)
{
	(void)state;
	size_t n = 0;
	for (int type = 0; type < TENSOR_N_TYPES; type++) {
		const struct format *fmt = format_get((enum tensor_type)type);
		struct weight w = {.fmt = fmt, .rows = 1, .cols = fmt ? fmt->block_elements : 0};
		struct packed p;
		if (!fmt)
			continue;
		n++;
		assert_true(pack_plan(&p, &w));
	}
	assert_int_equal(n, PACK_N_KINDS);
	for (size_t i = 0; i < n_tiers; i++)
		for (int kind = 0; kind < PACK_N_KINDS; kind++)
			assert_non_null(tiers[i]->product[kind]);
}

/* ---- activations ---- */

static void quantised_activations(void **state)
{
	(void)state;
	float x[5 * CHUNK];
	for (int i = 0; i < CHUNK; i++) {
		x[i] = random_float();
		x[CHUNK + i] = 0;
		x[2 * CHUNK + i] =
			(float)(i - 16) * 0.5f; /* halves: ties to even, with a largest of 127 / 2 */
		x[3 * CHUNK + i] = 1e-33f * (float)i;
		x[4 * CHUNK + i] = i == 7 ? NAN : i == 9 ? INFINITY : 1;
	}
	x[2 * CHUNK] = -63.5f;
	x[2 * CHUNK + 1] = 31.75f;
	struct qchunk want[5];
	for (size_t i = 0; i < n_tiers; i++) {
		struct qchunk got[5];
		memset(got, 0xFF, sizeof got);
		tiers[i]->quantise(x, 5, got, 1);
		if (i == 0)
			memcpy(want, got, sizeof got);
		for (int g = 0; g < 4; g++)
			assert_memory_equal(&got[g], &want[g], sizeof got[g]);
		assert_true(isnan(got[4].d));
	}
	for (int g = 0; g < 4; g++) {
		float largest = 0;
		int32_t sum = 0, half = 0;
		for (int i = 0; i < CHUNK; i++)
			largest = fmaxf(largest, fabsf(x[g * CHUNK + i]));
		float d = g == 3 ? 0 : largest / 127, inverse = d > 0 ? 127 / largest : 0;
		for (int i = 0; i < CHUNK; i++) {
			int q = (int)nearbyintf(x[g * CHUNK + i] * inverse);
			assert_int_equal(want[g].q[i], q);
			sum += q;
			half += i < 16 ? q : 0;
		}
		assert_true(want[g].d == d && want[g].d_sum == d * (float)sum);
		assert_int_equal(want[g].minus_8, -8 * sum);
		assert_int_equal(want[g].minus_16, -16 * sum);
		assert_int_equal(want[g].minus_128, -128 * sum);
		assert_int_equal(want[g].half_minus_32[0], -32 * half);
		assert_int_equal(want[g].half_minus_32[1], -32 * (sum - half));
		assert_int_equal(want[g].half_minus_4, -4 * half);
	}
	assert_int_equal(want[2].q[0], -127);
	assert_int_equal(want[2].q[1], 64); /* 63.5 */
}

static void norms(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 15, 16, 17, 100, 896};
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		float x[896] = {0}, w[896] = {0}, want[896], got[896];
		uint32_t n = sizes[s], width = (n + 15) / 16 * 16;
		double squares = 0;
		for (uint32_t i = 0; i < n; i++) {
			x[i] = random_float() * 10;
			w[i] = random_float();
			squares += (double)x[i] * x[i];
		}
		for (size_t i = 0; i < n_tiers; i++) {
			tiers[i]->rms_norm(x, w, n, 1e-6f, i ? got : want);
			if (i)
				assert_memory_equal(got, want, width * sizeof *got);
		}
		for (uint32_t i = 0; i < width; i++) {
			double exact = x[i] / sqrt(squares / n + 1e-6) * w[i];
			assert_true(fabs(want[i] - exact) <= 1e-6 * fabs(exact));
		}
	}
}

/* Through silu, e^x shows over its whole range. */
static void activation(void **state)
{
	(void)state;
	enum { N = 4096 };
	static float gate[N], up[N], want[N], got[N];
	for (int i = 0; i < N; i++) {
		gate[i] = (float)(i - N / 2) * (100.0f / (N / 2));
		up[i] = random_float();
	}
	gate[0] = -INFINITY;
	gate[1] = NAN;
	gate[2] = INFINITY;
	gate[3] = -0.0f;
	gate[4] = -1e30f;
	for (size_t i = 0; i < n_tiers; i++) {
		tiers[i]->activation[ACT_SILU](gate, up, N, i ? got : want);
		for (int k = 0; k < N && i; k++)
			assert_true(memcmp(&got[k], &want[k], sizeof *got) == 0 ||
				    (isnan(got[k]) && isnan(want[k])));
	}
	assert_true(isnan(want[1]));
	for (int i = 5; i < N; i++) {
		double exact = gate[i] / (1 + exp(-(double)gate[i])) * up[i];
		assert_true(fabs(want[i] - exact) <= 5e-7 * fabs(exact) + 1e-35);
	}
}

/* ---- attention ---- */

struct heads {
	struct cache_types types;
	uint32_t dim, padded, n_ctx, n_blocks;
	size_t value_offset, block_bytes;
	uint8_t *kv;     /* (3 * n_blocks + 1) blocks, poisoned where nothing was stored */
	uint32_t *table; /* (n_blocks) scattered */
	float *k, *v;    /* (n_ctx, dim) what is stored, by the formats' own functions */
};

/* What a number becomes in a file of the format: rows of whole blocks. */
static void round_row(enum cache_type type, const float *x, uint32_t n, float *out)
{
	static const enum tensor_type formats[CACHE_N_TYPES] = {[CACHE_F32] = TENSOR_F32,
								[CACHE_F16] = TENSOR_F16,
								[CACHE_BF16] = TENSOR_BF16,
								[CACHE_Q8_0] = TENSOR_Q8_0};
	const struct format *f = format_get(formats[type]);
	float padded[288] = {0};
	uint8_t stored[288 * 4];
	memcpy(padded, x, n * sizeof *x);
	f->quantise(padded, stored, 288);
	f->dequantise(stored, padded, 288);
	memcpy(out, padded, n * sizeof *out);
}

static void heads_make(struct heads *h, uint32_t dim, uint32_t n_ctx, struct cache_types types)
{
	*h = (struct heads){.types = types, .dim = dim, .padded = (dim + 15) / 16 * 16, .n_ctx = n_ctx};
	h->n_blocks = (n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
	h->value_offset = cpu_cache_bytes(types.k, dim, dim);
	h->block_bytes = h->value_offset + cpu_cache_bytes(types.v, dim, h->padded);
	size_t n = (3 * (size_t)h->n_blocks + 1) * h->block_bytes;
	h->kv = aligned(n);
	h->table = malloc(h->n_blocks * sizeof *h->table);
	h->k = malloc((size_t)n_ctx * dim * sizeof *h->k);
	h->v = malloc((size_t)n_ctx * dim * sizeof *h->v);
	memset(h->kv, 0xFF, n);
	for (uint32_t b = 0; b < h->n_blocks; b++)
		h->table[b] = 3 * (h->n_blocks - b);
	for (uint32_t p = 0; p < n_ctx; p++) {
		uint8_t *keys = h->kv + h->table[p / COMPUTE_KV_BLOCK] * h->block_bytes;
		float k[256], v[256];
		for (uint32_t d = 0; d < dim; d++) {
			k[d] = random_float();
			v[d] = random_float();
		}
		cpu_cache_put_key(types.k, keys, p % COMPUTE_KV_BLOCK, k, dim);
		cpu_cache_put_value(types.v, keys + h->value_offset, p % COMPUTE_KV_BLOCK, v, dim, h->padded);
		round_row(types.k, k, dim, h->k + p * dim);
		round_row(types.v, v, dim, h->v + p * dim);
	}
}

static void exact_attention(const struct heads *h, const float *q, uint32_t pos, double *out)
{
	double *weights = malloc((pos + 1) * sizeof *weights), largest = -INFINITY, sum = 0;
	for (uint32_t p = 0; p <= pos; p++) {
		weights[p] = 0;
		for (uint32_t d = 0; d < h->dim; d++)
			weights[p] += (double)q[d] * (double)h->k[p * h->dim + d];
		largest = fmax(largest, weights[p]);
	}
	for (uint32_t p = 0; p <= pos; p++)
		sum += weights[p] = exp(weights[p] - largest);
	for (uint32_t d = 0; d < h->dim; d++)
		out[d] = 0;
	for (uint32_t p = 0; p <= pos; p++)
		for (uint32_t d = 0; d < h->dim; d++)
			out[d] += weights[p] / sum * (double)h->v[p * h->dim + d];
	free(weights);
}

static void attend(const struct cpu_tier *tier, const struct heads *h, const float *q,
		   const uint32_t *positions, uint32_t rows, float *out)
{
	float *scores = aligned(ATTN_TILE_ROWS * COMPUTE_KV_BLOCK * sizeof *scores);
	float *keys = aligned(COMPUTE_KV_BLOCK * h->dim * sizeof *keys);
	float *values = aligned(COMPUTE_KV_BLOCK * h->padded * sizeof *values);
	memset(out, 0xFF, rows * h->padded * sizeof *out);
	memset(keys, 0xFF, COMPUTE_KV_BLOCK * h->dim * sizeof *keys);
	memset(values, 0xFF, COMPUTE_KV_BLOCK * h->padded * sizeof *values);
	tier->attention(&(struct attention){
		.kv = h->kv,
		.block_bytes = h->block_bytes,
		.value_offset = h->value_offset,
		.types = h->types,
		.blocks = h->table,
		.head_dim = h->dim,
		.padded_dim = h->padded,
		.rows = rows,
		.q = q,
		.positions = positions,
		.acc = out,
		.scores = scores,
		.keys = keys,
		.values = values,
	});
	free(scores);
	free(keys);
	free(values);
}

/* The columns of each row that are no padding, which may hold anything. */
static void assert_same_rows(const struct heads *h, const float *got, const float *want, uint32_t rows)
{
	for (uint32_t r = 0; r < rows; r++)
		assert_memory_equal(got + r * h->padded, want + r * h->padded, h->dim * sizeof *got);
}

/* Rows of `group` heads a token, the last tokens of a context: right, and each row the same bits as alone. */
static void check_attention(struct cache_types types, uint32_t dim, uint32_t n_ctx, uint32_t group,
			    uint32_t tokens)
{
	struct heads h;
	heads_make(&h, dim, n_ctx, types);
	uint32_t rows = group * tokens, positions[ATTN_TILE_ROWS];
	size_t n = (size_t)rows * h.padded;
	float *q = aligned(n * sizeof *q), *want = aligned(n * sizeof *want), *got = aligned(n * sizeof *got);
	for (uint32_t r = 0; r < rows; r++) {
		positions[r] = n_ctx - tokens + r / group;
		for (uint32_t d = 0; d < dim; d++)
			q[r * h.padded + d] = random_float() * 1.5f / sqrtf((float)dim);
	}
	attend(tiers[0], &h, q, positions, rows, want);
	for (uint32_t r = 0; r < rows; r++) {
		double exact[256];
		exact_attention(&h, q + r * h.padded, positions[r], exact);
		for (uint32_t d = 0; d < dim; d++)
			if (!(fabs(want[r * h.padded + d] - exact[d]) <= 4e-6))
				fail_msg("dim %u, context %u, row %u: %g, wanted %g", dim, n_ctx, r,
					 (double)want[r * h.padded + d], exact[d]);
	}
	for (size_t i = 0; i < n_tiers; i++) {
		attend(tiers[i], &h, q, positions, rows, got);
		assert_same_rows(&h, got, want, rows);
		for (uint32_t r = 0; r < rows; r += 5) {
			attend(tiers[i], &h, q + r * h.padded, positions + r, 1, got);
			assert_same_rows(&h, got, want + r * h.padded, 1);
		}
	}
	free(q);
	free(want);
	free(got);
	free(h.kv);
	free(h.table);
	free(h.k);
	free(h.v);
}

static void attention_is_right_and_sees_nothing_ahead(void **state)
{
	(void)state;
	const struct cache_types f32 = {CACHE_F32, CACHE_F32};
	static const uint32_t dims[] = {2, 20, 48, 64, 128}, contexts[] = {1, 16, 31, 32, 33, 64, 100};
	for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
		for (size_t c = 0; c < sizeof contexts / sizeof contexts[0]; c++) {
			check_attention(f32, dims[d], contexts[c], 7, 1);
			check_attention(f32, dims[d], contexts[c], 1, contexts[c] < 64 ? contexts[c] : 64);
			check_attention(f32, dims[d], contexts[c], 7, contexts[c] < 9 ? contexts[c] : 9);
		}
	check_attention(f32, 64, 1000, 4, 16);
}

/* The same over what other types store, which is what the formats of weights make of a number. Heads around
 * whole chunks of 32, and of a vector. */
static void attention_reads_what_is_stored(void **state)
{
	(void)state;
	static const struct cache_types types[] = {{CACHE_Q8_0, CACHE_Q8_0}, {CACHE_F16, CACHE_F16},
						   {CACHE_BF16, CACHE_BF16}, {CACHE_Q8_0, CACHE_F32},
						   {CACHE_F32, CACHE_Q8_0},  {CACHE_F16, CACHE_Q8_0}};
	static const uint32_t dims[] = {2, 16, 18, 31, 32, 33, 48, 64, 80, 128};
	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
		for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
			check_attention(types[t], dims[d], 1, 1, 1);
			check_attention(types[t], dims[d], 32, 7, 9);
			check_attention(types[t], dims[d], 33, 2, 2);
			check_attention(types[t], dims[d], 95, 1, 64);
		}
}

/* A chunk's bytes and scale are those of a Q8_0 block of weights, whatever it holds. */
static void a_chunk_is_a_block_of_q8_0(void **state)
{
	(void)state;
	static const float odd[] = {0,     -0.0f, 1e-45f, 1e-40f, 3e-8f, 7.7e-6f, 0.5f / 127, 65504,  8.3e6f,
				    1e30f, 1.5f,  127,    63.5f,  NAN,   1e38f,   INFINITY,   -126.5f};
	enum { N = sizeof odd / sizeof odd[0], DIM = 48 };
	const struct format *f = format_get(TENSOR_Q8_0);
	for (uint32_t i = 0; i < 40 * N; i++) {
		float x[64] = {0};
		uint8_t block[2][34], keys[DIM * 32 + 2 * 64] = {0}, values[DIM * 32 + 2 * 64] = {0};
		uint32_t at = i % COMPUTE_KV_BLOCK;
		for (uint32_t d = 0; d < DIM; d++)
			x[d] = random_float() * 3;
		x[i % DIM] = odd[i % N];
		if (i % 3 == 0) /* nothing larger beside it */
			for (uint32_t d = 0; d < DIM; d++)
				x[d] = d == i % DIM ? x[d] : x[d] * 1e-9f;
		f->quantise(x, block, 64);
		cpu_cache_put_key(CACHE_Q8_0, keys, at, x, DIM);
		cpu_cache_put_value(CACHE_Q8_0, values, at, x, DIM, DIM);
		for (uint32_t d = 0; d < DIM; d++) {
			uint8_t want = block[d / 32][2 + d % 32];
			assert_int_equal(keys[d * 32 + at], want);
			assert_int_equal(values[at * DIM + d], want);
		}
		for (uint32_t c = 0; c < 2; c++) {
			assert_memory_equal(keys + DIM * 32 + 2 * (32 * c + at), block[c], 2);
			assert_memory_equal(values + DIM * 32 + 2 * (32 * c + at), block[c], 2);
		}
	}
}

/* ---- dispatch ---- */

static void tiers_are_chosen_by_name(void **state)
{
	(void)state;
	unsetenv("HOKKU_CPU_TIER");
	assert_ptr_equal(cpu_tier_get(NULL), tiers[0]);
	assert_string_equal(tiers[n_tiers - 1]->name, "portable");
	for (size_t i = 0; i < n_tiers; i++) {
		assert_ptr_equal(cpu_tier_get(tiers[i]->name), tiers[i]);
		setenv("HOKKU_CPU_TIER", tiers[i]->name, 1);
		assert_ptr_equal(cpu_tier_get(NULL), tiers[i]);
	}
	setenv("HOKKU_CPU_TIER", "abacus", 1);
	assert_null(cpu_tier_get(NULL));
	setenv("HOKKU_CPU_TIER", "", 1);
	assert_ptr_equal(cpu_tier_get(NULL), tiers[0]);
	unsetenv("HOKKU_CPU_TIER");
}

int main(void)
{
	for (const struct cpu_tier *const *t = cpu_tiers; *t && n_tiers < MAX_TIERS; t++)
		if ((*t)->available())
			tiers[n_tiers++] = *t;
	for (size_t i = 0; i < n_tiers; i++)
		print_message("tier %s\n", tiers[i]->name);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_are_right_and_the_same_bits_everywhere),
		cmocka_unit_test(every_format_has_a_kernel),
		cmocka_unit_test(quantised_activations),
		cmocka_unit_test(norms),
		cmocka_unit_test(activation),
		cmocka_unit_test(attention_is_right_and_sees_nothing_ahead),
		cmocka_unit_test(attention_reads_what_is_stored),
		cmocka_unit_test(a_chunk_is_a_block_of_q8_0),
		cmocka_unit_test(tiers_are_chosen_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
