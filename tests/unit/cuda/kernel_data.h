/* What the tests of kernels share: noise in the layout of activations, weights of any format, and sizes. */
#ifndef TEST_CUDA_KERNEL_DATA_H
#define TEST_CUDA_KERNEL_DATA_H

#include "random_blocks.h"

#include "compute/cuda/plain/plain_layout.h"
#include "gguf/tensor_type.h"

enum { N_SCHEDULES = 3 }; /* random orders of lanes, warps and blocks; on a device: runs */

GOLDEN_INLINE uint32_t pitch_of(uint32_t n)
{
	return (n + CUDA_PITCH - 1) / CUDA_PITCH * CUDA_PITCH;
}

/* Rows of noise, padded with zeros to the pitch. */
GOLDEN_INLINE float *padded_noise(uint64_t series, uint32_t rows, uint32_t cols)
{
	uint32_t pitch = pitch_of(cols);
	float *x = calloc((size_t)rows * pitch, sizeof *x);
	assert_non_null(x);
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t c = 0; c < cols; c++)
			x[r * pitch + c] = noise(series, (uint64_t)r * cols + c);
	return x;
}

GOLDEN_INLINE void assert_near(float got, double want, double tolerance, const char *what, uint32_t row,
			       uint32_t col)
{
	if (!(fabs((double)got - want) <= tolerance))
		fail_msg("%s: row %u, column %u is %.9g, wanted %.9g to %g", what, row, col, (double)got,
			 want, tolerance);
}

__attribute__((unused)) static const enum tensor_type types[CUDA_N_FORMATS] = {
#define ROW(name) TENSOR_##name,
	CUDA_FORMATS(ROW)
#undef ROW
};

/* A weight of any format, in the file's form and on the device. */
struct test_weight {
	struct weight w;
	uint8_t *data;
	float *values; /* (rows, cols) */
	struct plain_matrix m;
};

GOLDEN_INLINE struct test_weight make_weight(enum cuda_format format, uint32_t rows, uint32_t cols,
					     uint64_t series)
{
	struct test_weight t = {0};
	t.w = random_weight(format_get(types[format]), rows, cols, series, &t.data);
	t.values = weight_values(&t.w);
	assert_true(plain_layout_plan(&t.m, &t.w));
	t.m.main = on_device(NULL, rows * t.m.main_pitch);
	t.m.side = t.m.side_pitch ? on_device(NULL, rows * t.m.side_pitch) : NULL;
	for (uint32_t first = 0; first < rows; first += 64) {
		uint32_t n = rows - first < 64 ? rows - first : 64;
		void *staging = on_device(t.data + first * t.w.row_bytes, n * t.w.row_bytes);
		assert_int_equal(plain_layout_rows(&t.m, &t.w, staging, first, n, test_stream()),
				 cudaSuccess);
		finish();
		cudaFree(staging);
	}
	return t;
}

GOLDEN_INLINE void free_weight(struct test_weight *t)
{
	cudaFree((void *)(uintptr_t)t->m.main);
	cudaFree((void *)(uintptr_t)t->m.side);
	free(t->data);
	free(t->values);
}

#endif
