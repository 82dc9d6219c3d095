/*
 * Each kernel of src/compute/cuda on the emulator, against plain loops in double precision, at sizes that no
 * tile divides. Outputs and scratch are NaN before; every kernel runs under several random orders of lanes,
 * warps and blocks and must give the same bits.
 */
#include "random_blocks.h"

#include "compute/cuda/layout.h"
#include "gguf/tensor_type.h"

enum { N_SCHEDULES = 3 };

static uint32_t pitch_of(uint32_t n)
{
	return (n + CUDA_PITCH - 1) / CUDA_PITCH * CUDA_PITCH;
}

/* Rows of noise, padded with zeros to the pitch. */
static float *padded_noise(uint64_t series, uint32_t rows, uint32_t cols)
{
	uint32_t pitch = pitch_of(cols);
	float *x = calloc((size_t)rows * pitch, sizeof *x);
	assert_non_null(x);
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t c = 0; c < cols; c++)
			x[r * pitch + c] = noise(series, (uint64_t)r * cols + c);
	return x;
}

static void assert_near(float got, double want, double tolerance, const char *what, uint32_t row,
			uint32_t col)
{
	if (!(fabs((double)got - want) <= tolerance))
		fail_msg("%s: row %u, column %u is %.9g, wanted %.9g to %g", what, row, col, (double)got,
			 want, tolerance);
}

/* ---- products ---- */

static const enum tensor_type types[CUDA_N_FORMATS] = {
#define ROW(name) TENSOR_##name,
	CUDA_FORMATS(ROW)
#undef ROW
};

/* A weight of any format, in the file's form and on the device. */
struct test_weight {
	struct weight w;
	uint8_t *data;
	float *values; /* (rows, cols) */
	struct cuda_matrix m;
};

static struct test_weight make_weight(enum cuda_format format, uint32_t rows, uint32_t cols, uint64_t series)
{
	struct test_weight t = {0};
	t.w = random_weight(format_get(types[format]), rows, cols, series, &t.data);
	t.values = weight_values(&t.w);
	assert_true(layout_plan(&t.m, &t.w));
	uint8_t *main = malloc(rows * t.m.main_pitch + 1), *side = malloc(rows * t.m.side_pitch + 1);
	assert_non_null(main);
	assert_non_null(side);
	layout_rows(&t.m, &t.w, 0, rows, main, side);
	t.m.main = on_device(main, rows * t.m.main_pitch);
	t.m.side = t.m.side_pitch ? on_device(side, rows * t.m.side_pitch) : NULL;
	free(main);
	free(side);
	return t;
}

static void free_weight(struct test_weight *t)
{
	cudaFree((void *)(uintptr_t)t->m.main);
	cudaFree((void *)(uintptr_t)t->m.side);
	free(t->data);
	free(t->values);
}

static float *run_product(const struct product_args *a, float *out, size_t n_bytes)
{
	assert_int_equal(cuda_product(a, test_stream()), cudaSuccess);
	finish();
	return from_device(out, n_bytes);
}

/* n tokens against double precision; each token also alone: the same bits. */
static void check_product(enum cuda_format format, uint32_t rows, uint32_t cols, uint32_t n)
{
	struct test_weight t = make_weight(format, rows, cols, 100 + format);
	uint32_t x_pitch = pitch_of(cols), out_pitch = rows + 3;
	float *x = padded_noise(7, n, cols), *bias = noise_floats(8, rows);
	float *dx = on_device(x, (size_t)n * x_pitch * sizeof *x),
	      *dbias = on_device(bias, rows * sizeof *bias);
	size_t n_bytes = (size_t)n * out_pitch * sizeof(float);
	float *dout = on_device(NULL, n_bytes);
	struct product_args a = {t.m, dx, dbias, dout, x_pitch, out_pitch, n, 0};
	float *got = run_product(&a, dout, n_bytes);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t r = 0; r < rows; r++) {
			double want = bias[r], size = 1;
			for (uint32_t c = 0; c < cols; c++) {
				double term =
					(double)t.values[(size_t)r * cols + c] * (double)x[i * x_pitch + c];
				want += term;
				size += fabs(term);
			}
			assert_near(got[i * out_pitch + r], want, size * 1e-6, t.w.fmt->name, i, r);
		}
	for (uint32_t s = 0; s < N_SCHEDULES; s++) {
		set_schedule(s);
		assert_int_equal(cudaMemsetAsync(dout, 0xFF, n_bytes, test_stream()), cudaSuccess);
		for (uint32_t i = 0; i < n; i++) { /* one at a time */
			struct product_args one = {t.m,     dx + i * x_pitch, dbias, dout + i * out_pitch,
						   x_pitch, out_pitch,        1,     0};
			assert_int_equal(cuda_product(&one, test_stream()), cudaSuccess);
		}
		finish();
		float *alone = from_device(dout, n_bytes);
		assert_memory_equal(alone, got, n_bytes); /* what lies beyond the rows is still poison */
		free(alone);
	}
	set_schedule(0);
	a.bias = NULL;
	a.add = 1;
	float *twice = run_product(&a, dout, n_bytes);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t r = 0; r < rows; r++) {
			float once = got[i * out_pitch + r];
			assert_near(twice[i * out_pitch + r], 2 * (double)once - (double)bias[r],
				    1e-4 + fabs((double)once) * 1e-5, "added", i, r);
		}
	free(twice);
	free(got);
	free(x);
	free(bias);
	cudaFree(dx);
	cudaFree(dbias);
	cudaFree(dout);
	free_weight(&t);
}

static void products(void **state)
{
	(void)state;
	for (int f = 0; f < CUDA_N_FORMATS; f++) {
		uint32_t block = format_get(types[f])->block_elements;
		static const uint32_t odd[] = {1, 31, 32, 33, 896};
		for (size_t k = 0; k < sizeof odd / sizeof odd[0]; k++)
			if (odd[k] % block == 0)
				check_product((enum cuda_format)f, 9, odd[k], 1);
		check_product((enum cuda_format)f, 5, 4864, 3);
		check_product((enum cuda_format)f, 33, block == 1 ? 33 : block, 11);
		check_product((enum cuda_format)f, 1, block == 1 ? 1 : block, 8);
	}
}

/* Rows of the embedding are the format's own dequantised numbers, bit for bit. */
static void embeddings(void **state)
{
	(void)state;
	for (int f = 0; f < CUDA_N_FORMATS; f++) {
		uint32_t cols = format_get(types[f])->block_elements == 1 ? 33 : 512,
			 pitch = pitch_of(cols) + 8;
		struct test_weight t = make_weight((enum cuda_format)f, 5, cols, 300);
		const struct cuda_token tokens[] = {{4, 0, 0}, {0, 0, 0}, {3, 0, 0}};
		struct cuda_token *dtokens = on_device(tokens, sizeof tokens);
		float *dx = on_device(NULL, 3 * pitch * sizeof(float));
		const struct embed_args a = {t.m, dtokens, dx, pitch, 3};
		assert_int_equal(cuda_embed(&a, test_stream()), cudaSuccess);
		finish();
		float *x = from_device(dx, 3 * pitch * sizeof *x);
		for (int i = 0; i < 3; i++) {
			assert_memory_equal(x + (size_t)i * pitch, t.values + (size_t)tokens[i].id * cols,
					    cols * sizeof *x);
			assert_true(isnan(x[(size_t)i * pitch + cols]));
		}
		free(x);
		cudaFree(dx);
		cudaFree(dtokens);
		free_weight(&t);
	}
}

/* ---- norm and gate ---- */

static void norms(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 31, 32, 33, 255, 256, 257, 896, 4864};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
		uint32_t cols = widths[k], pitch = pitch_of(cols);
		const uint32_t rows[] = {2, 0};
		float *x = padded_noise(20, 3, cols), *w = noise_floats(21, cols);
		size_t n_bytes = (size_t)2 * pitch * sizeof(float);
		float *dx = on_device(x, (size_t)3 * pitch * sizeof *x), *dw = on_device(w, cols * sizeof *w);
		float *dout = on_device(NULL, n_bytes), *first = NULL;
		uint32_t *drows = on_device(rows, sizeof rows);
		const struct norm_args a = {dx, dw, drows, dout, 2, cols, pitch, 1e-5f};
		for (uint32_t s = 0; s < N_SCHEDULES; s++) {
			set_schedule(s);
			assert_int_equal(cuda_norm(&a, test_stream()), cudaSuccess);
			finish();
			float *got = from_device(dout, n_bytes);
			if (first)
				assert_memory_equal(got, first, n_bytes);
			free(first);
			first = got;
		}
		for (uint32_t i = 0; i < 2; i++) {
			double sum = 0;
			for (uint32_t c = 0; c < cols; c++)
				sum += (double)x[rows[i] * pitch + c] * (double)x[rows[i] * pitch + c];
			for (uint32_t c = 0; c < pitch; c++) {
				double want = c < cols ? (double)x[rows[i] * pitch + c] * (double)w[c] /
								 sqrt(sum / cols + (double)1e-5f)
						       : 0;
				assert_near(first[i * pitch + c], want, 2e-6 * (1 + fabs(want)), "norm", i,
					    c);
			}
		}
		free(first);
		free(x);
		free(w);
		cudaFree(dx);
		cudaFree(dw);
		cudaFree(dout);
		cudaFree(drows);
	}
	set_schedule(0);
}

static void gates(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 31, 33, 128, 172};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
		uint32_t cols = widths[k], pitch = pitch_of(cols);
		size_t n_bytes = (size_t)3 * pitch * sizeof(float);
		float *gate = padded_noise(30, 3, cols), *up = padded_noise(31, 3, cols);
		for (uint32_t i = 0; i < 3 * pitch; i++) {
			gate[i] =
				i % pitch < cols ? gate[i] * 20 : NAN; /* the padding must not come through */
			up[i] = i % pitch < cols ? up[i] : NAN;
		}
		float *dgate = on_device(gate, n_bytes), *dup = on_device(up, n_bytes);
		const struct silu_args a = {dgate, dup, cols, pitch, 3};
		assert_int_equal(cuda_silu_mul(&a, test_stream()), cudaSuccess);
		finish();
		float *got = from_device(dgate, n_bytes);
		for (uint32_t i = 0; i < 3; i++)
			for (uint32_t c = 0; c < pitch; c++) {
				double g = (double)gate[i * pitch + c];
				double want = c < cols ? g / (1 + exp(-g)) * (double)up[i * pitch + c] : 0;
				assert_near(got[i * pitch + c], want, 3e-6 * fabs(want) + 1e-12, "gate", i,
					    c);
			}
		free(got);
		free(gate);
		free(up);
		cudaFree(dgate);
		cudaFree(dup);
	}
}

/* ---- RoPE, KV and attention ---- */

/* One sequence whose keys and values come through cuda_rope_kv, and the same in double precision. */
struct attention_case {
	uint32_t n_heads, n_kv_heads, head_dim, n_ctx;
	bool neox;
};

enum { N_BLOCKS = 12 };

static double rope_column(const struct attention_case *c, const float *head, const float *frequency,
			  uint32_t pos, uint32_t column)
{
	uint32_t half = c->head_dim / 2, i = c->neox ? column % half : column / 2;
	bool second = c->neox ? column >= half : column % 2;
	uint32_t a = c->neox ? i : 2 * i, b = c->neox ? i + half : 2 * i + 1;
	double angle = (double)((float)pos * frequency[i]);
	double p = (double)head[a], q = (double)head[b];
	return second ? q * cos(angle) + p * sin(angle) : p * cos(angle) - q * sin(angle);
}

struct attention_data {
	float *q, *k, *v; /* (n_ctx, heads * head_dim) */
	float frequency[CUDA_MAX_HEAD_DIM / 2];
	struct cuda_token *tokens;
	uint32_t tables[N_BLOCKS], q_pitch, kv_pitch;
};

static double *reference_attention(const struct attention_case *c, const struct attention_data *d, uint32_t t)
{
	uint32_t n = c->head_dim, n_pos = t + 1;
	double *out = calloc(c->n_heads * n, sizeof *out), *score = calloc(n_pos, sizeof *score);
	double *q = calloc(n, sizeof *q);
	for (uint32_t h = 0; h < c->n_heads; h++) {
		uint32_t kh = h / (c->n_heads / c->n_kv_heads);
		double largest = -INFINITY, sum = 0;
		for (uint32_t i = 0; i < n; i++)
			q[i] = rope_column(c, d->q + t * d->q_pitch + h * n, d->frequency, t, i);
		for (uint32_t p = 0; p < n_pos; p++) {
			for (uint32_t i = 0; i < n; i++)
				score[p] += q[i] * rope_column(c, d->k + p * d->kv_pitch + kh * n,
							       d->frequency, p, i);
			score[p] /= sqrt(n);
			largest = fmax(largest, score[p]);
		}
		for (uint32_t p = 0; p < n_pos; p++)
			sum += score[p] = exp(score[p] - largest);
		for (uint32_t p = 0; p < n_pos; p++) {
			for (uint32_t i = 0; i < n; i++)
				out[h * n + i] += score[p] / sum * (double)d->v[p * d->kv_pitch + kh * n + i];
			score[p] = 0;
		}
	}
	free(q);
	free(score);
	return out;
}

static void check_attention(const struct attention_case *c)
{
	uint32_t n = c->n_ctx, q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
	struct attention_data d = {.q_pitch = pitch_of(q_dim), .kv_pitch = pitch_of(kv_dim)};
	d.q = padded_noise(40, n, q_dim);
	d.k = padded_noise(41, n, kv_dim);
	d.v = padded_noise(42, n, kv_dim);
	d.tokens = calloc(n, sizeof *d.tokens);
	for (uint32_t t = 0; t < n; t++)
		d.tokens[t] = (struct cuda_token){0, t, 1};
	for (uint32_t i = 0; i < N_BLOCKS; i++) /* a table that is neither sorted nor gapless */
		d.tables[i] = (i * 7 + 5) % 13;
	for (uint32_t i = 0; i < c->head_dim / 2; i++)
		d.frequency[i] = powf(10000, -2.0f * (float)i / (float)c->head_dim);
	size_t kv_bytes = (size_t)13 * kv_dim * 2 * CUDA_KV_BLOCK * sizeof(float);
	size_t q_bytes = (size_t)n * d.q_pitch * sizeof(float),
	       v_bytes = (size_t)n * d.kv_pitch * sizeof(float);
	float *kv = on_device(NULL, kv_bytes), *dq = on_device(d.q, q_bytes),
	      *dout = on_device(NULL, q_bytes);
	float *dk = on_device(d.k, v_bytes), *dv = on_device(d.v, v_bytes);
	float *frequency = on_device(d.frequency, sizeof d.frequency);
	uint32_t *tables = on_device(d.tables, sizeof d.tables), n_splits = (n - 1) / CUDA_ATTN_SPLIT + 1;
	struct cuda_token *tokens = on_device(d.tokens, n * sizeof *tokens);
	struct kv_shape shape = {kv, tables, c->n_heads, c->n_kv_heads, c->head_dim};
	const struct rope_args rope = {shape, tokens,    frequency,  dq, dk,
				       dv,    d.q_pitch, d.kv_pitch, n,  c->neox};
	assert_int_equal(cuda_rope_kv(&rope, test_stream()), cudaSuccess);
	struct attention_args a = {
		shape, tokens, dq, dout, NULL, d.q_pitch, n, n_splits, 1 / sqrtf((float)c->head_dim)};
	assert_int_equal(cuda_attention(&a, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(dout, q_bytes);
	for (uint32_t t = n > 2 ? n - 2 : 0; t < n; t++) {
		double *want = reference_attention(c, &d, t);
		for (uint32_t i = 0; i < d.q_pitch; i++)
			assert_near(got[t * d.q_pitch + i], i < q_dim ? want[i] : 0, 2e-6, "attention", t, i);
		free(want);
	}
	/* The last token alone, its splits spread over blocks, under other schedules. */
	size_t part = (size_t)c->n_heads * n_splits * (2 + c->head_dim) * sizeof(float);
	a.q += (size_t)(n - 1) * d.q_pitch;
	a.tokens += n - 1;
	a.n_tokens = 1;
	for (uint32_t s = 0; s < N_SCHEDULES; s++) {
		set_schedule(s);
		float *partial = on_device(NULL, part);
		a.partial = partial;
		a.out = on_device(NULL, d.q_pitch * sizeof(float));
		assert_int_equal(cuda_attention(&a, test_stream()), cudaSuccess);
		finish();
		float *alone = from_device(a.out, d.q_pitch * sizeof *alone);
		assert_memory_equal(alone, got + (size_t)(n - 1) * d.q_pitch, d.q_pitch * sizeof *alone);
		free(alone);
		cudaFree(a.out);
		cudaFree(partial);
	}
	set_schedule(0);
	void *const all[] = {kv, dq, dk, dv, dout, frequency, tables, tokens};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		cudaFree(all[i]);
	free(got);
	free(d.q);
	free(d.k);
	free(d.v);
	free(d.tokens);
}

static void attentions(void **state)
{
	(void)state;
	static const struct attention_case cases[] = {
		{2, 1, 6, 1, true},    {2, 1, 6, 15, false},  {3, 3, 20, 16, true},  {3, 1, 34, 17, true},
		{2, 2, 64, 31, false}, {7, 1, 64, 32, true},  {1, 1, 128, 33, true}, {4, 2, 2, 127, true},
		{2, 1, 64, 128, true}, {2, 1, 32, 129, true}, {2, 1, 256, 40, true}, {3, 1, 64, 300, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_attention(&cases[i]);
}

static void nothing_is_left(void **state)
{
	(void)state;
	assert_int_equal(cudasim_live_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products), cmocka_unit_test(embeddings), cmocka_unit_test(norms),
		cmocka_unit_test(gates),    cmocka_unit_test(attentions), cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda kernels", tests, NULL, NULL);
}
