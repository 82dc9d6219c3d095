/*
 * What stands between the products of the tile path (tile_ops.cu) against double precision, at sizes that no
 * chunk divides. Outputs are NaN before, and so is what must not be read.
 */
#include "tile_data.h"

#include "model/spec.h"

enum { N_ORDERS = 3 };

static void assert_value(const struct tile_copy *c, uint32_t token, uint32_t column, double want,
			 double tolerance, const char *what)
{
	double got = tile_value(c, token, column), allowed = tolerance + tile_rounding(c->planes, want);
	if (!(fabs(got - want) <= allowed))
		fail_msg("%s: token %u, column %u is %.9g, wanted %.9g to %g", what, token, column, got, want,
			 allowed);
}

/* Rows of noise `pitch` floats apart, NaN after them. */
static float *noisy_rows(uint64_t series, uint32_t rows, uint32_t cols, uint32_t pitch)
{
	float *x = malloc((size_t)rows * pitch * sizeof *x);
	assert_non_null(x);
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t c = 0; c < pitch; c++)
			x[(size_t)r * pitch + c] = c < cols ? noise(series, (uint64_t)r * cols + c) : NAN;
	return x;
}

static void check_norm(uint32_t cols, uint32_t planes)
{
	enum { N_ROWS = 4, N = 3 };
	static const uint32_t rows[N] = {2, 0, 2};
	uint32_t pitch = (cols + 3) / 4 * 4 + 4;
	float *x = noisy_rows(20, N_ROWS, cols, pitch), *w = noise_floats(21, cols);
	float *dx = on_device(x, (size_t)N_ROWS * pitch * sizeof *x), *dw = on_device(w, cols * sizeof *w);
	uint32_t *drows = on_device(rows, sizeof rows);
	struct tile_copy first = {0};
	for (uint32_t s = 0; s < N_ORDERS; s++) {
		struct tile_norm_args a = {dx, dw, drows, make_activations(N, cols, planes), N, pitch, 1e-5f};
		set_schedule(s);
		assert_int_equal(tile_norm(&a, test_stream()), cudaSuccess);
		finish();
		struct tile_copy got = fetch_activations(&a.out, N);
		for (uint32_t i = 0; i < N && s; i++)
			assert_same_token(&got, i, &first, i);
		free_copy(&first);
		first = got;
	}
	set_schedule(0);
	check_planes(&first, "norm");
	assert_same_token(&first, 0, &first, 2);
	for (uint32_t i = 0; i < N; i++) {
		const float *row = x + (size_t)rows[i] * pitch;
		double sum = 0;
		for (uint32_t c = 0; c < cols; c++)
			sum += (double)row[c] * (double)row[c];
		for (uint32_t c = 0; c < cols; c++) {
			double want = (double)row[c] * (double)w[c] / sqrt(sum / cols + (double)1e-5f);
			assert_value(&first, i, c, want, 1e-6 * fabs(want), "norm");
		}
	}
	/* without a list: the first rows */
	struct tile_norm_args all = {dx, dw, NULL, make_activations(1, cols, planes), 1, pitch, 1e-5f};
	assert_int_equal(tile_norm(&all, test_stream()), cudaSuccess);
	finish();
	struct tile_copy one = fetch_activations(&all.out, 1);
	assert_same_token(&one, 0, &first, 1);
	free_copy(&one);
	free_copy(&first);
	free(x);
	free(w);
	cudaFree(dx);
	cudaFree(dw);
	cudaFree(drows);
}

static void norms(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 4, 31, 32, 33, 63, 64, 65, 255, 256, 257, 896, 1023, 4864};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++)
		for (uint32_t planes = 1; planes <= 2; planes++)
			check_norm(widths[k], planes);
}

static double activate(uint32_t act, double x)
{
	if (act == ACT_GELU_TANH)
		return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
	if (act == ACT_GELU)
		return 0.5 * x * (1 + erf(x / sqrt(2)));
	return x / (1 + exp(-x));
}

/* Gate and the part above it side by side (step 1) or taking turns (2); `lead` floats before. Not gated: of
 * the gate's columns alone. */
static void check_gate(uint32_t cols, uint32_t planes, uint32_t step, uint32_t lead, uint32_t act, bool gated)
{
	enum { N = 3 };
	uint32_t pitch = lead + 2 * cols + 3;
	float *x = noisy_rows(30, N, lead + 2 * cols, pitch);
	uint32_t up_at = step == 1 ? cols : 1;
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t c = 0; c < cols; c++) {
			x[(size_t)i * pitch + lead + c * step] *= 20;
			if (c % 7 == 3 && gated)
				x[(size_t)i * pitch + lead + up_at + c * step] *=
					9000; /* beyond what a half holds */
		}
	float *dx = on_device(x, (size_t)N * pitch * sizeof *x);
	struct tile_gate_args a = {gated ? dx + lead : NULL,
				   gated ? dx + lead + up_at : dx + lead,
				   make_activations(N, cols, planes),
				   N,
				   pitch,
				   step,
				   act};
	assert_int_equal(tile_gate(&a, test_stream()), cudaSuccess);
	finish();
	struct tile_copy got = fetch_activations(&a.out, N);
	check_planes(&got, "gate");
	for (uint32_t i = 0; i < N; i++) {
		const float *gate = x + (size_t)i * pitch + lead, *up = gate + up_at;
		for (uint32_t c = 0; c < cols; c++) {
			double g = (double)gate[c * step], u = gated ? (double)up[c * step] : 1,
			       want = activate(act, g) * u;
			double most = 65504.0 * planes;
			want = want > most ? most : want < -most ? -most : want;
			double high = want > 65504 ? 65504 : want < -65504 ? -65504 : want;
			double rest = tile_rounding(1, want - high); /* of what the low half takes over */
			/* GELU is a difference of near ones far below 0 */
			double lost = act == ACT_SILU ? 0 : 2e-7 * fabs(g * u);
			assert_value(&got, i, c, want, 1e-6 * fabs(want) + lost + (want == high ? 0 : rest),
				     "gate");
		}
	}
	free_copy(&got);
	free(x);
	cudaFree(dx);
}

static void gates(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 2, 31, 33, 64, 128, 172, 1025};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++)
		for (uint32_t planes = 1; planes <= 2; planes++) {
			for (uint32_t act = 0; act < N_ACTIVATIONS; act++) {
				check_gate(widths[k], planes, 1, 0, act, true);
				check_gate(widths[k], planes, 1, 0, act, false);
			}
			check_gate(widths[k], planes, 1, 1, ACT_SILU, true);
			check_gate(widths[k], planes, 2, 0, ACT_SILU, true);
		}
}

/* What a block gave is normed, or not, and scaled before it is added. */
static void check_post(uint32_t cols, bool normed, float scale)
{
	enum { N = 3 };
	uint32_t pitch = (cols + 3) / 4 * 4;
	float *x = noisy_rows(22, N, cols, pitch), *y = noisy_rows(23, N, cols, pitch),
	      *w = noise_floats(24, cols);
	float *dx = on_device(x, (size_t)N * pitch * sizeof *x),
	      *dy = on_device(y, (size_t)N * pitch * sizeof *y), *dw = on_device(w, cols * sizeof *w);
	struct tile_post_args a = {dy, normed ? dw : NULL, dx, N, cols, pitch, 1e-5f, scale};
	assert_int_equal(tile_post(&a, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(dx, (size_t)N * pitch * sizeof *got);
	for (uint32_t i = 0; i < N; i++) {
		const float *row = y + (size_t)i * pitch;
		double sum = 0;
		for (uint32_t c = 0; c < cols; c++)
			sum += (double)row[c] * (double)row[c];
		for (uint32_t c = 0; c < cols; c++) {
			double v = (double)row[c];
			if (normed)
				v *= (double)w[c] / sqrt(sum / cols + (double)1e-5f);
			double before = (double)x[(size_t)i * pitch + c], want = before + v * (double)scale;
			if (!(fabs((double)got[(size_t)i * pitch + c] - want) <=
			      1e-6 * (fabs(v) + fabs(before))))
				fail_msg("post: row %u, column %u", i, c);
		}
	}
	free(got);
	free(x);
	free(y);
	free(w);
	cudaFree(dx);
	cudaFree(dy);
	cudaFree(dw);
}

/* Groups of a row's columns are normed by themselves; what stands beside them stays. */
static void check_groups(uint32_t cols, uint32_t groups)
{
	enum { N = 2 };
	uint32_t pitch = groups * cols + 3;
	float *x = noisy_rows(25, N, groups * cols, pitch), *w = noise_floats(26, cols);
	float *dx = on_device(x, (size_t)N * pitch * sizeof *x), *dw = on_device(w, cols * sizeof *w);
	struct tile_groups_args a = {dx, dw, N, groups, cols, pitch, 1e-5f};
	assert_int_equal(tile_norm_groups(&a, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(dx, (size_t)N * pitch * sizeof *got);
	for (uint32_t k = 0; k < N * groups; k++) {
		size_t at = (size_t)(k / groups) * pitch + (size_t)(k % groups) * cols;
		double sum = 0;
		for (uint32_t c = 0; c < cols; c++)
			sum += (double)x[at + c] * (double)x[at + c];
		for (uint32_t c = 0; c < cols; c++) {
			double want = (double)x[at + c] * (double)w[c] / sqrt(sum / cols + (double)1e-5f);
			if (!(fabs((double)got[at + c] - want) <= 1e-6 * fabs(want)))
				fail_msg("group %u of %u, column %u", k, cols, c);
		}
	}
	assert_true(isnan(got[pitch - 1]));
	free(got);
	free(x);
	free(w);
	cudaFree(dx);
	cudaFree(dw);
}

static void blocks(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 4, 33, 127, 128, 896, 2560};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++) {
		check_post(widths[k], true, 1);
		check_post(widths[k], true, 0.22f);
		check_post(widths[k], false, 0.22f);
		check_groups(widths[k], 1);
		check_groups(widths[k], 3);
	}
}

/* ---- RoPE and the KV memory ---- */

struct rope_case {
	uint32_t n_heads, n_kv_heads, head_dim;
	bool neox;
};

/* Dimension d of a head at a position: turned, or as it is. */
static double rope_value(const struct rope_case *c, const float *head, const float *frequency, uint32_t pos,
			 uint32_t d, bool turn)
{
	if (!turn)
		return (double)head[d];
	uint32_t half = c->head_dim / 2, i = c->neox ? d % half : d / 2;
	bool second = c->neox ? d >= half : d % 2;
	double p = (double)head[c->neox ? i : 2 * i], q = (double)head[c->neox ? i + half : 2 * i + 1];
	double angle = (double)((float)pos * frequency[i]);
	return second ? q * cos(angle) + p * sin(angle) : p * cos(angle) - q * sin(angle);
}

/* Compares hd numbers that lie `stride` halves apart, their low halves `plane` after them; padding is 0. */
static void check_head(const struct rope_case *c, const uint16_t *got, size_t stride, size_t plane,
		       uint32_t planes, const float *head, const float *frequency, uint32_t pos, bool turn,
		       const char *what)
{
	for (uint32_t d = 0; d < tile_hd(c->head_dim); d++) {
		if (d >= c->head_dim && !turn)
			break; /* padding of V: anything */
		double v = (double)f32_from_f16(got[d * stride]);
		if (planes == 2)
			v += (double)f32_from_f16(got[d * stride + plane]);
		double want = d < c->head_dim ? rope_value(c, head, frequency, pos, d, turn) : 0;
		if (!(fabs(v - want) <= tile_rounding(planes, want) + (d < c->head_dim && turn ? 3e-7 : 0)))
			fail_msg("%s: position %u, dimension %u is %.9g, wanted %.9g", what, pos, d, v, want);
	}
}

static void check_rope(const struct rope_case *c, uint32_t planes)
{
	enum { N = 34, N_KV_BLOCKS = 5 };
	static const uint32_t tables[] = {9, 3, 0, 2, 1, 4};
	/* sequences with a table at 1 (positions 5 to 33) and at 3; one whole group of eight is cut off at
	 * the end */
	struct cuda_token tokens[N];
	for (uint32_t i = 0; i < N; i++)
		tokens[i] =
			i < 29 ? (struct cuda_token){0, 5 + i, 1} : (struct cuda_token){0, 64 + i - 29, 3};
	uint32_t n = c->head_dim, hd = tile_hd(n), q_dim = c->n_heads * n, kv_dim = c->n_kv_heads * n;
	uint32_t pitch = q_dim + 2 * kv_dim + 1;
	float frequency[TILE_MAX_HEAD_DIM / 2], *x = noisy_rows(40, N, q_dim + 2 * kv_dim, pitch);
	for (uint32_t i = 0; i < n / 2; i++)
		frequency[i] = powf(10000, -2.0f * (float)i / (float)n);
	size_t q_halves = (size_t)N * c->n_heads * planes * hd, plane = (size_t)CUDA_KV_BLOCK * hd;
	size_t kv_bytes = N_KV_BLOCKS * tile_kv_block_bytes(c->n_kv_heads, n, planes, false);
	float *dx = on_device(x, (size_t)N * pitch * sizeof *x),
	      *df = on_device(frequency, n / 2 * sizeof *df);
	uint32_t *dtables = on_device(tables, sizeof tables);
	struct cuda_token *dtokens = on_device(tokens, sizeof tokens);
	uint16_t *dkv = on_device(NULL, kv_bytes), *dq = on_device(NULL, q_halves * sizeof *dq);
	const struct tile_kv kv = {dkv, dtables, c->n_heads, c->n_kv_heads, n, planes, false};
	const struct tile_rope_args a = {kv, dtokens, df, dx,      dx + q_dim, dx + q_dim + kv_dim,
					 dq, pitch,   N,  c->neox, NULL,       NULL,
					 0,  0,       n,  1,       0,          0};
	assert_int_equal(tile_rope_kv(&a, test_stream()), cudaSuccess);
	finish();
	uint16_t *q = from_device(dq, q_halves * sizeof *q), *memory = from_device(dkv, kv_bytes);
	for (uint32_t i = 0; i < N; i++) {
		const float *row = x + (size_t)i * pitch;
		uint32_t pos = tokens[i].pos, slot = pos % CUDA_KV_BLOCK;
		size_t block = tables[tokens[i].table + pos / CUDA_KV_BLOCK];
		for (uint32_t h = 0; h < c->n_heads; h++)
			check_head(c, q + ((size_t)i * c->n_heads + h) * planes * hd, 1, hd, planes,
				   row + h * n, frequency, pos, true, "q");
		for (uint32_t h = 0; h < c->n_kv_heads; h++) {
			const uint16_t *keys = memory + (block * c->n_kv_heads + h) * 2 * planes * plane;
			check_head(c, keys + (size_t)slot * hd, 1, plane, planes, row + q_dim + h * n,
				   frequency, pos, true, "k");
			check_head(c, keys + planes * plane + slot, CUDA_KV_BLOCK, plane, planes,
				   row + q_dim + kv_dim + h * n, frequency, pos, false, "v");
		}
	}
	size_t written = 0;
	for (size_t i = 0; i < kv_bytes / sizeof *memory; i++)
		written += memory[i] != 0xFFFF;
	assert_int_equal(written, (size_t)N * c->n_kv_heads * planes * (hd + n)); /* and nothing else */
	void *const all[] = {dx, df, dtables, dtokens, dkv, dq};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		cudaFree(all[i]);
	free(q);
	free(memory);
	free(x);
}

static void ropes(void **state)
{
	(void)state;
	static const struct rope_case cases[] = {{1, 1, 2, true},   {2, 1, 6, false},  {3, 3, 20, true},
						 {4, 2, 34, true},  {14, 2, 64, true}, {2, 2, 96, false},
						 {7, 1, 128, true}, {3, 1, 256, true}, {3, 1, 254, false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (uint32_t planes = 1; planes <= 2; planes++)
			check_rope(&cases[i], planes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(norms),
		cmocka_unit_test(gates),
		cmocka_unit_test(blocks),
		cmocka_unit_test(ropes),
	};
	return cmocka_run_group_tests_name("cuda tile operations", tests, NULL, NULL);
}
