/*
 * Products with a weight matrix of every format against plain loops in double precision, at sizes that no
 * tile divides. Outputs are NaN before; each token alone gives the bits that it has beside others, and so do
 * other orders of lanes, warps and blocks. A path's product is a row of `products`.
 */
#include "kernel_data.h"

/* One way to multiply: x (n, x_pitch) by w into out (n, out_pitch), + bias, or added to out. */
struct product {
	const char *name;
	cudaError_t (*run)(const struct plain_product_args *a, cudaStream_t stream);
	double tolerance; /* of the sum of the terms' sizes, + 1 */
};

static const struct product products[] = {
	{"plain", plain_product, 1e-6},
};

struct size {
	uint32_t rows, cols, n_tokens;
	bool full; /* too large for the emulator */
};

/* Of floats; formats of blocks take those whose columns are whole blocks. */
static const struct size sizes[] = {
	{9, 1, 1, false},      {9, 31, 1, false},    {9, 32, 1, false},      {9, 33, 1, false},
	{9, 256, 1, false},    {9, 896, 1, false},   {5, 4864, 3, false},    {33, 32, 11, false},
	{33, 33, 11, false},   {33, 256, 11, false}, {1, 1, 8, false},       {1, 32, 8, false},
	{1, 256, 8, false},    {33, 896, 17, true},  {130, 4864, 67, true},  {33, 18944, 1, true},
	{65, 18944, 33, true}, {7, 18944, 9, true},  {1153, 1024, 40, true},
};

static float *run_product(const struct product *p, const struct plain_product_args *a, size_t n_bytes)
{
	assert_int_equal(p->run(a, test_stream()), cudaSuccess);
	finish();
	return from_device(a->out, n_bytes);
}

/* Against double precision. x (n_tokens, x_pitch), got (n_tokens, out_pitch). */
static void check_values(const struct product *p, const struct test_weight *t,
			 const struct plain_product_args *a, const float *x, const float *bias,
			 const float *got)
{
	for (uint32_t i = 0; i < a->n_tokens; i++)
		for (uint32_t r = 0; r < t->w.rows; r++) {
			double want = bias[r], size = 1;
			for (uint32_t c = 0; c < t->w.cols; c++) {
				double term = (double)t->values[(size_t)r * t->w.cols + c] *
					      (double)x[i * a->x_pitch + c];
				want += term;
				size += fabs(term);
			}
			assert_near(got[i * a->out_pitch + r], want, size * p->tolerance, t->w.fmt->name, i,
				    r);
		}
}

/* One token at a time, under other schedules: the bits of `got`. */
static void check_alone(const struct product *p, const struct plain_product_args *all, const float *got,
			size_t n_bytes)
{
	for (uint32_t s = 0; s < N_SCHEDULES; s++) {
		set_schedule(s);
		poison_device(all->out, n_bytes);
		for (uint32_t i = 0; i < all->n_tokens; i++) {
			struct plain_product_args one = *all;
			one.x += (size_t)i * all->x_pitch;
			one.out += (size_t)i * all->out_pitch;
			one.n_tokens = 1;
			assert_int_equal(p->run(&one, test_stream()), cudaSuccess);
		}
		finish();
		float *alone = from_device(all->out, n_bytes);
		assert_memory_equal(alone, got, n_bytes); /* what lies beyond the rows is still poison */
		free(alone);
	}
	set_schedule(0);
}

static void check_product(const struct product *p, enum cuda_format format, const struct size *size)
{
	uint32_t rows = size->rows, n = size->n_tokens;
	struct test_weight t = make_weight(format, rows, size->cols, 100 + format);
	uint32_t x_pitch = pitch_of(size->cols), out_pitch = rows + 3;
	float *x = padded_noise(7, n, size->cols), *bias = noise_floats(8, rows);
	float *dx = on_device(x, (size_t)n * x_pitch * sizeof *x),
	      *dbias = on_device(bias, rows * sizeof *bias);
	size_t n_bytes = (size_t)n * out_pitch * sizeof(float);
	float *dout = on_device(NULL, n_bytes);
	struct plain_product_args a = {t.m, dx, dbias, dout, x_pitch, out_pitch, n, 0};
	float *got = run_product(p, &a, n_bytes);
	check_values(p, &t, &a, x, bias, got);
	check_alone(p, &a, got, n_bytes);
	a.bias = NULL;
	a.add = 1;
	float *twice = run_product(p, &a, n_bytes);
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

static void product_values(void **state)
{
	(void)state;
	for (size_t p = 0; p < sizeof products / sizeof products[0]; p++)
		for (int f = 0; f < CUDA_N_FORMATS; f++)
			for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
				if (sizes[k].cols % format_get(types[f])->block_elements == 0 &&
				    (!sizes[k].full || full_sizes()))
					check_product(&products[p], (enum cuda_format)f, &sizes[k]);
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
		const struct plain_embed_args a = {t.m, dtokens, dx, pitch, 3, 1};
		assert_int_equal(plain_embed(&a, test_stream()), cudaSuccess);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(product_values),
		cmocka_unit_test(embeddings),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda products", tests, NULL, NULL);
}
