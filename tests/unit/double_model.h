/*
 * A Qwen2 model in double precision, to hold devices against where no golden file can be: far positions,
 * answers of quantised weights, and what rounding alone costs. Proved itself, in each test that uses it,
 * against transformers' golden logits. Its weights are the format's dequantised ones; RoPE's frequencies and
 * angles are float32 numbers, as docs/exactness.md has them, everything else is double.
 *
 * With `halves` it rounds what HALF rounds (docs/exactness.md) and nothing else: what enters a matrix,
 * queries and keys after RoPE, values and the weights of attention become halves; a matrix's weights become
 * halves where its scale is taken in, and so do the scales and minima of the K formats and IQ4_XS, and the
 * embedding of F32.
 */
#ifndef TEST_DOUBLE_MODEL_H
#define TEST_DOUBLE_MODEL_H

#include "base/half.h"
#include "compute/compute.h"
#include "golden.h"
#include "model/model.h"

enum { DOUBLE_SPLIT = 128 }; /* positions whose weights of attention are relative to one maximum */

/* (rows, cols) and, of matrices with one, a bias (rows). */
struct double_matrix {
	double *w, *bias;
	uint32_t rows, cols;
};

struct double_layer {
	double *attn_norm, *ffn_norm; /* (d_model) */
	struct double_matrix q, k, v, o, gate, up, down;
};

struct double_model {
	struct hparams hp;
	bool halves;
	double *embedding, *output_norm; /* (n_vocab, d_model), (d_model) */
	struct double_matrix output;
	struct double_layer *layers; /* (n_layers) */
	uint32_t q_dim, kv_dim, n_kv_blocks;
	double *keys, *values; /* (n_layers, n_kv_blocks * COMPUTE_KV_BLOCK, kv_dim) */
};

GOLDEN_INLINE double *double_take(size_t n)
{
	double *p = calloc(n ? n : 1, sizeof *p);
	if (!p) {
		fprintf(stderr, "no memory for %zu doubles\n", n);
		exit(1);
	}
	return p;
}

/* ---- weights ---- */

GOLDEN_INLINE double double_half(double x)
{
	return f32_from_f16(f16_from_f32((float)fmax(fmin(x, 65504.0), -65504.0)));
}

/* Where a block of a K format has its scale and its scale of minima (-1: none), and the bytes that make all
 * its quants 1. */
struct double_k_block {
	enum tensor_type type;
	int d, d_min;
	struct {
		int at, n;
		uint8_t byte;
	} ones[2];
};

GOLDEN_INLINE const struct double_k_block *double_k_block(enum tensor_type type)
{
	static const struct double_k_block rows[] = {
		{TENSOR_Q4_K, 0, 2, {{16, 128, 0x11}, {16, 0, 0}}},
		{TENSOR_Q5_K, 0, 2, {{16, 32, 0x00}, {48, 128, 0x11}}},
		{TENSOR_Q6_K, 208, -1, {{0, 128, 0x11}, {128, 64, 0xAA}}}, /* 33 - 32 */
		{TENSOR_Q2_K, 80, 82, {{16, 64, 0x55}, {16, 0, 0}}},
		{TENSOR_Q3_K, 108, -1, {{0, 32, 0xFF}, {32, 64, 0x55}}}, /* 5 - 4 */
		{TENSOR_IQ4_XS, 0, -1, {{8, 128, 0x88}, {8, 0, 0}}},     /* the table's ninth is 1 */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

/* The block's values with other scales. */
GOLDEN_INLINE void double_k_values(const struct double_k_block *k, const uint8_t *block, uint16_t d,
				   uint16_t d_min, float out[256])
{
	uint8_t copy[256];
	memcpy(copy, block, format_get(k->type)->block_bytes);
	memcpy(copy + k->d, &d, sizeof d);
	if (k->d_min >= 0)
		memcpy(copy + k->d_min, &d_min, sizeof d_min);
	format_get(k->type)->dequantise(copy, out, 256);
}

/* half(half(d * scale) * quant - half(d_min * minimum)); the three whole numbers are read by the format's own
 * dequantise. */
GOLDEN_INLINE void double_k_halves(const struct double_k_block *k, const uint8_t *block, float out[256])
{
	enum { ONE = 0x3C00 };
	float scale[256], scaled[256], minimum[256];
	uint16_t d, d_min = 0;
	uint8_t ones[256];
	memcpy(&d, block + k->d, sizeof d);
	if (k->d_min >= 0)
		memcpy(&d_min, block + k->d_min, sizeof d_min);
	memcpy(ones, block, format_get(k->type)->block_bytes);
	for (int i = 0; i < 2; i++)
		memset(ones + k->ones[i].at, k->ones[i].byte, (size_t)k->ones[i].n);
	double_k_values(k, ones, ONE, 0, scale);
	double_k_values(k, block, ONE, 0, scaled);
	double_k_values(k, block, 0, ONE, minimum);
	for (int i = 0; i < 256; i++) {
		double quant = scale[i] != 0 ? scaled[i] / scale[i] : 0;
		double s = double_half((double)f32_from_f16(d) * scale[i]);
		double m = k->d_min >= 0 ? double_half((double)f32_from_f16(d_min) * minimum[i]) : 0;
		out[i] = (float)double_half(s * quant + m);
	}
}

/* As doubles; as HALF rounds them, where asked. NULL: there is no such tensor. */
GOLDEN_INLINE double *double_weights(const struct weight *w, bool halves)
{
	if (!w->tensor)
		return NULL;
	const struct double_k_block *k = double_k_block(w->fmt->type);
	double *out = double_take((size_t)w->rows * w->cols);
	float *row = malloc(w->cols * sizeof *row);
	uint8_t *bytes = malloc(w->row_bytes);
	struct hokku_error err;
	for (uint32_t r = 0; r < w->rows; r++) {
		const uint8_t *from = row && bytes ? weight_rows(w, r, 1, bytes, &err) : NULL;
		if (!from) {
			fprintf(stderr, "a weight of a golden model cannot be read\n");
			exit(1);
		}
		w->fmt->dequantise(from, row, w->cols);
		for (uint32_t b = 0; halves && k && b < w->cols / 256; b++)
			double_k_halves(k, from + (size_t)b * w->fmt->block_bytes, row + 256 * b);
		for (uint32_t i = 0; i < w->cols; i++)
			out[(size_t)r * w->cols + i] = halves ? double_half(row[i]) : row[i];
	}
	free(row);
	free(bytes);
	return out;
}

GOLDEN_INLINE struct double_matrix double_matrix(const struct weight *w, const struct weight *bias,
						 bool halves)
{
	return (struct double_matrix){double_weights(w, halves), bias ? double_weights(bias, false) : NULL,
				      w->rows, w->cols};
}

/* m may be closed afterwards. */
GOLDEN_INLINE void double_open(struct double_model *d, const struct model *m, bool halves,
			       uint32_t n_kv_blocks)
{
	const struct weight *embedding = &m->w[ROLE_EMBEDDING];
	*d = (struct double_model){
		.hp = m->hp,
		.halves = halves,
		.embedding = double_weights(embedding, halves && embedding->fmt->type == TENSOR_F32),
		.output_norm = double_weights(&m->w[ROLE_OUTPUT_NORM], false),
		.output = double_matrix(&m->w[ROLE_OUTPUT], NULL, halves),
		.layers = calloc(m->hp.n_layers, sizeof *d->layers),
		.q_dim = m->hp.n_heads * m->hp.head_dim,
		.kv_dim = m->hp.n_kv_heads * m->hp.head_dim,
		.n_kv_blocks = n_kv_blocks,
	};
	for (uint32_t l = 0; d->layers && l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		d->layers[l] = (struct double_layer){
			.attn_norm = double_weights(&from[ROLE_ATTN_NORM], false),
			.ffn_norm = double_weights(&from[ROLE_FFN_NORM], false),
			.q = double_matrix(&from[ROLE_WQ], &from[ROLE_BQ], halves),
			.k = double_matrix(&from[ROLE_WK], &from[ROLE_BK], halves),
			.v = double_matrix(&from[ROLE_WV], &from[ROLE_BV], halves),
			.o = double_matrix(&from[ROLE_WO], NULL, halves),
			.gate = double_matrix(&from[ROLE_W_GATE], NULL, halves),
			.up = double_matrix(&from[ROLE_W_UP], NULL, halves),
			.down = double_matrix(&from[ROLE_W_DOWN], NULL, halves),
		};
	}
	d->keys = double_take((size_t)m->hp.n_layers * n_kv_blocks * COMPUTE_KV_BLOCK * d->kv_dim);
	d->values = double_take((size_t)m->hp.n_layers * n_kv_blocks * COMPUTE_KV_BLOCK * d->kv_dim);
}

GOLDEN_INLINE void double_close(struct double_model *d)
{
	for (uint32_t l = 0; l < d->hp.n_layers; l++) {
		struct double_layer *y = &d->layers[l];
		const struct double_matrix all[] = {y->q, y->k, y->v, y->o, y->gate, y->up, y->down};
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
			free(all[i].w);
			free(all[i].bias);
		}
		free(y->attn_norm);
		free(y->ffn_norm);
	}
	free(d->layers);
	free(d->embedding);
	free(d->output_norm);
	free(d->output.w);
	free(d->keys);
	free(d->values);
	*d = (struct double_model){0};
}

/* ---- a token ---- */

/* What HALF rounds. */
GOLDEN_INLINE void double_round(const struct double_model *d, double *x, size_t n)
{
	for (size_t i = 0; d->halves && i < n; i++)
		x[i] = double_half(x[i]);
}

/*
 * The sum of w[i] * x[i], in four partial sums, begun with `first`. Half of what programs that judge by this
 * model compute under sanitizers was here: it is optimised in every build, and no sanitizer looks. Its caller
 * touches the ends of both.
 */
__attribute__((noinline, no_sanitize("address", "undefined"), optimize("O3"))) static double
double_dot(const double *w, const double *x, uint32_t n, double first)
{
	double sum[4] = {first};
	uint32_t i = 0;
	for (; i + 4 <= n; i += 4)
		for (uint32_t k = 0; k < 4; k++)
			sum[k] += w[i + k] * x[i + k];
	for (; i < n; i++)
		sum[i % 4] += w[i] * x[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

GOLDEN_INLINE void double_multiply(const struct double_matrix *m, const double *x, double *out)
{
	volatile double ends; /* read, for the sanitizers to see */
	for (uint32_t r = 0; r < m->rows; r++) {
		const double *w = m->w + (size_t)r * m->cols;
		ends = w[0] + w[m->cols - 1] + x[0] + x[m->cols - 1];
		out[r] = double_dot(w, x, m->cols, m->bias ? m->bias[r] : 0);
	}
	(void)ends;
}

/* x normed and, in halves, rounded. */
GOLDEN_INLINE void double_norm(const struct double_model *d, const double *x, const double *weight,
			       double *out)
{
	double sum = 0;
	for (uint32_t i = 0; i < d->hp.d_model; i++)
		sum += x[i] * x[i];
	double scale = 1 / sqrt(sum / d->hp.d_model + d->hp.norm_eps);
	for (uint32_t i = 0; i < d->hp.d_model; i++)
		out[i] = x[i] * scale * weight[i];
	double_round(d, out, d->hp.d_model);
}

/* Turns n_heads heads: columns i and i + head_dim / 2 are a pair. */
GOLDEN_INLINE void double_rope(const struct double_model *d, double *heads, uint32_t n_heads, uint32_t pos)
{
	uint32_t half = d->hp.head_dim / 2;
	for (uint32_t i = 0; i < half; i++) {
		float frequency = (float)(1 / pow((double)d->hp.rope_theta, 2.0 * i / d->hp.head_dim));
		float angle = (float)pos * frequency;
		double c = cos((double)angle), s = sin((double)angle);
		for (uint32_t h = 0; h < n_heads; h++) {
			double *a = heads + (size_t)h * d->hp.head_dim + i, *b = a + half, p = *a, q = *b;
			*a = p * c - q * s;
			*b = q * c + p * s;
		}
	}
}

/* Where a layer has a position's keys or values. */
GOLDEN_INLINE size_t double_place(const struct double_model *d, uint32_t l, const uint32_t *table,
				  uint32_t pos)
{
	size_t block = (size_t)l * d->n_kv_blocks + table[pos / COMPUTE_KV_BLOCK];
	return (block * COMPUTE_KV_BLOCK + pos % COMPUTE_KV_BLOCK) * d->kv_dim;
}

/* One query head over positions 0 .. pos. offset: of its KV head. */
GOLDEN_INLINE void double_attend(const struct double_model *d, uint32_t l, const uint32_t *table,
				 uint32_t pos, const double *q, uint32_t offset, double *out)
{
	uint32_t hd = d->hp.head_dim;
	double largest = -INFINITY, total = 0, score[DOUBLE_SPLIT];
	memset(out, 0, hd * sizeof *out);
	for (uint32_t first = 0; first <= pos; first += DOUBLE_SPLIT) {
		uint32_t n = pos + 1 - first < DOUBLE_SPLIT ? pos + 1 - first : DOUBLE_SPLIT;
		double most = -INFINITY;
		for (uint32_t p = 0; p < n; p++) {
			const double *k = d->keys + double_place(d, l, table, first + p) + offset;
			double sum = 0;
			for (uint32_t i = 0; i < hd; i++)
				sum += q[i] * k[i];
			score[p] = sum / sqrt((double)hd);
			most = fmax(most, score[p]);
		}
		/* this split's weights are relative to its own maximum, and rounded so */
		double before = exp(largest - fmax(largest, most)), now = exp(most - fmax(largest, most));
		largest = fmax(largest, most);
		total *= before;
		for (uint32_t i = 0; i < hd; i++)
			out[i] *= before;
		for (uint32_t p = 0; p < n; p++) {
			const double *v = d->values + double_place(d, l, table, first + p) + offset;
			double weight = exp(score[p] - most);
			total += weight * now;
			double_round(d, &weight, 1);
			for (uint32_t i = 0; i < hd; i++)
				out[i] += weight * now * v[i];
		}
	}
	for (uint32_t i = 0; i < hd; i++)
		out[i] /= total;
}

GOLDEN_INLINE void double_attention(struct double_model *d, uint32_t l, const uint32_t *table, uint32_t pos,
				    double *x)
{
	const struct double_layer *w = &d->layers[l];
	const struct hparams *hp = &d->hp;
	double *normed = double_take(hp->d_model), *q = double_take(d->q_dim), *out = double_take(d->q_dim);
	double *sum = double_take(hp->d_model), *k = d->keys + double_place(d, l, table, pos),
	       *v = d->values + double_place(d, l, table, pos);
	double_norm(d, x, w->attn_norm, normed);
	double_multiply(&w->q, normed, q);
	double_multiply(&w->k, normed, k);
	double_multiply(&w->v, normed, v);
	double_rope(d, q, hp->n_heads, pos);
	double_rope(d, k, hp->n_kv_heads, pos);
	double_round(d, q, d->q_dim);
	double_round(d, k, d->kv_dim);
	double_round(d, v, d->kv_dim);
	for (uint32_t h = 0; h < hp->n_heads; h++)
		double_attend(d, l, table, pos, q + (size_t)h * hp->head_dim,
			      h / (hp->n_heads / hp->n_kv_heads) * hp->head_dim,
			      out + (size_t)h * hp->head_dim);
	double_round(d, out, d->q_dim);
	double_multiply(&w->o, out, sum);
	for (uint32_t i = 0; i < hp->d_model; i++)
		x[i] += sum[i];
	free(normed);
	free(q);
	free(out);
	free(sum);
}

GOLDEN_INLINE void double_feed_forward(const struct double_model *d, uint32_t l, double *x)
{
	const struct double_layer *w = &d->layers[l];
	double *normed = double_take(d->hp.d_model), *gate = double_take(d->hp.d_ff),
	       *up = double_take(d->hp.d_ff);
	double_norm(d, x, w->ffn_norm, normed);
	double_multiply(&w->gate, normed, gate);
	double_multiply(&w->up, normed, up);
	for (uint32_t i = 0; i < d->hp.d_ff; i++)
		gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
	double_round(d, gate, d->hp.d_ff);
	double_multiply(&w->down, gate, normed);
	for (uint32_t i = 0; i < d->hp.d_model; i++)
		x[i] += normed[i];
	free(normed);
	free(gate);
	free(up);
}

/* Tokens at positions pos, pos + 1, ... of the sequence whose KV blocks are `table`, one after another.
 * Logits of each (n, n_vocab), or NULL. */
GOLDEN_INLINE void double_step(struct double_model *d, const int32_t *ids, uint32_t n, uint32_t pos,
			       const uint32_t *table, float *logits)
{
	uint32_t n_vocab = d->hp.n_vocab, d_model = d->hp.d_model;
	double *x = double_take(d_model), *normed = double_take(d_model), *row = double_take(n_vocab);
	for (uint32_t t = 0; t < n; t++) {
		memcpy(x, d->embedding + (size_t)ids[t] * d_model, d_model * sizeof *x);
		for (uint32_t l = 0; l < d->hp.n_layers; l++) {
			double_attention(d, l, table, pos + t, x);
			double_feed_forward(d, l, x);
		}
		if (!logits)
			continue;
		double_norm(d, x, d->output_norm, normed);
		double_multiply(&d->output, normed, row);
		for (uint32_t i = 0; i < n_vocab; i++)
			logits[(size_t)t * n_vocab + i] = (float)row[i];
	}
	free(x);
	free(normed);
	free(row);
}

#endif
