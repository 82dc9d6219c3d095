/* What stands between the products (plain_ops.cu) against double precision: norms and gates. */
#include "kernel_data.h"
#include "model/spec.h"

static void check_norm(uint32_t cols)
{
	uint32_t pitch = pitch_of(cols);
	const uint32_t rows[] = {2, 0};
	float *x = padded_noise(20, 3, cols), *w = noise_floats(21, cols);
	size_t n_bytes = (size_t)2 * pitch * sizeof(float);
	float *dx = on_device(x, (size_t)3 * pitch * sizeof *x), *dw = on_device(w, cols * sizeof *w);
	float *dout = on_device(NULL, n_bytes), *first = NULL;
	uint32_t *drows = on_device(rows, sizeof rows);
	const struct plain_norm_args a = {.x = dx,
					  .weight = dw,
					  .rows = drows,
					  .out = dout,
					  .n = 2,
					  .cols = cols,
					  .pitch = pitch,
					  .eps = 1e-5f};
	for (uint32_t s = 0; s < N_SCHEDULES; s++) {
		set_schedule(s);
		poison_device(dout, n_bytes);
		assert_int_equal(plain_norm(&a, test_stream()), cudaSuccess);
		finish();
		float *got = from_device(dout, n_bytes);
		if (first)
			assert_memory_equal(got, first, n_bytes);
		free(first);
		first = got;
	}
	set_schedule(0);
	for (uint32_t i = 0; i < 2; i++) {
		double sum = 0;
		for (uint32_t c = 0; c < cols; c++)
			sum += (double)x[rows[i] * pitch + c] * (double)x[rows[i] * pitch + c];
		for (uint32_t c = 0; c < pitch; c++) {
			double want = c < cols ? (double)x[rows[i] * pitch + c] * (double)w[c] /
							 sqrt(sum / cols + (double)1e-5f)
					       : 0;
			assert_near(first[i * pitch + c], want, 2e-6 * (1 + fabs(want)), "norm", i, c);
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

static void norms(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 31, 32, 33, 255, 256, 257, 896, 4864, 18944};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++)
		check_norm(widths[k]);
}

static void check_gate(uint32_t cols, uint32_t n)
{
	uint32_t pitch = pitch_of(cols);
	size_t n_bytes = (size_t)n * pitch * sizeof(float);
	float *gate = padded_noise(30, n, cols), *up = padded_noise(31, n, cols);
	for (uint32_t i = 0; i < n * pitch; i++) {
		gate[i] = i % pitch < cols ? gate[i] * 20 : NAN; /* the padding must not come through */
		up[i] = i % pitch < cols ? up[i] : NAN;
	}
	float *dgate = on_device(gate, n_bytes), *dup = on_device(up, n_bytes);
	const struct plain_gate_args a = {dgate, dup, cols, pitch, n, ACT_SILU, 0};
	assert_int_equal(plain_gate(&a, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(dgate, n_bytes);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = 0; c < pitch; c++) {
			double g = (double)gate[i * pitch + c];
			double want = c < cols ? g / (1 + exp(-g)) * (double)up[i * pitch + c] : 0;
			assert_near(got[i * pitch + c], want, 3e-6 * fabs(want) + 1e-12, "gate", i, c);
		}
	free(got);
	free(gate);
	free(up);
	cudaFree(dgate);
	cudaFree(dup);
}

static void gates(void **state)
{
	(void)state;
	static const uint32_t widths[] = {1, 31, 33, 128, 172};
	for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++)
		check_gate(widths[k], 3);
	if (full_sizes()) {
		check_gate(4864, 65);
		check_gate(18944, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(norms),
		cmocka_unit_test(gates),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda operations", tests, NULL, NULL);
}
