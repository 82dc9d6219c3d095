/* Activations of the tile path (struct tile_activations) in tests: their memory, and what they hold. */
#ifndef TEST_CUDA_TILE_DATA_H
#define TEST_CUDA_TILE_DATA_H

#include "base/half.h"
#include "compute/cuda/tile/tile_kernels.h"
#include "device_memory.h"

/* Activations on the host. */
struct tile_copy {
	uint16_t *halves;
	float *sums;
	uint32_t n, cols, pitch, planes;
};

GOLDEN_INLINE size_t tile_rows(const struct tile_activations *a, uint32_t n)
{
	return (size_t)a->planes * n;
}

/* Room for n tokens, poisoned. */
GOLDEN_INLINE struct tile_activations make_activations(uint32_t n, uint32_t cols, uint32_t planes)
{
	struct tile_activations a = {NULL, NULL, cols, tile_pitch(cols), planes};
	a.halves = on_device(NULL, tile_rows(&a, n) * a.pitch * sizeof *a.halves);
	a.sums = on_device(NULL, tile_rows(&a, n) * (a.pitch / TILE_CHUNK) * sizeof *a.sums);
	return a;
}

/* Takes them from the device, and frees them there. */
GOLDEN_INLINE struct tile_copy fetch_activations(struct tile_activations *a, uint32_t n)
{
	struct tile_copy c = {NULL, NULL, n, a->cols, a->pitch, a->planes};
	c.halves = from_device(a->halves, tile_rows(a, n) * a->pitch * sizeof *a->halves);
	c.sums = from_device(a->sums, tile_rows(a, n) * (a->pitch / TILE_CHUNK) * sizeof *a->sums);
	cudaFree(a->halves);
	cudaFree(a->sums);
	return c;
}

GOLDEN_INLINE void free_copy(struct tile_copy *c)
{
	free(c->halves);
	free(c->sums);
}

/* Where a column lies in its row. */
GOLDEN_INLINE uint32_t tile_slot(uint32_t column)
{
	uint32_t c = column % 32, i = c / 8, j = c % 8 / 4, q = c % 4 / 2, e = c % 2;
	return column - c + 16 * j + 8 * q + 2 * i + e;
}

GOLDEN_INLINE float tile_plane(const struct tile_copy *c, uint32_t token, uint32_t plane, uint32_t column)
{
	return f32_from_f16(c->halves[((size_t)c->planes * token + plane) * c->pitch + tile_slot(column)]);
}

/* The number that the planes hold together. */
GOLDEN_INLINE double tile_value(const struct tile_copy *c, uint32_t token, uint32_t column)
{
	double v = (double)tile_plane(c, token, 0, column);
	return c->planes == 2 ? v + (double)tile_plane(c, token, 1, column) : v;
}

/* How far planes may be from the float they hold. */
GOLDEN_INLINE double tile_rounding(uint32_t planes, double v)
{
	return planes == 2 ? 0x1p-22 * fabs(v) + 0x1p-25 : 0x1p-11 * fabs(v) + 0x1p-25;
}

/* Same tokens i and j of two copies, to the bit. */
GOLDEN_INLINE void assert_same_token(const struct tile_copy *x, uint32_t i, const struct tile_copy *y,
				     uint32_t j)
{
	size_t row = (size_t)x->planes * x->pitch, sums = (size_t)x->planes * (x->pitch / TILE_CHUNK);
	assert_int_equal(x->pitch, y->pitch);
	assert_memory_equal(x->halves + i * row, y->halves + j * row, row * sizeof *x->halves);
	assert_memory_equal(x->sums + i * sums, y->sums + j * sums, sums * sizeof *x->sums);
}

/* Low is no more than rounding can leave of high, what is beyond the columns is 0, and the sums are those of
 * the slots in order. */
GOLDEN_INLINE void check_planes(const struct tile_copy *c, const char *what)
{
	for (uint32_t i = 0; i < c->n; i++)
		for (uint32_t column = 0; column < c->pitch; column++) {
			float high = tile_plane(c, i, 0, column),
			      low = c->planes == 2 ? tile_plane(c, i, 1, column) : 0;
			bool ok =
				fabsf(low) <= fmaxf(fabsf(high) * 0x1p-11f, 0x1p-25f) || fabsf(high) == 65504;
			if (column >= c->cols)
				ok = high == 0 && low == 0;
			if (!ok)
				fail_msg("%s: token %u, column %u holds %.9g and %.9g", what, i, column,
					 (double)high, (double)low);
		}
	for (size_t row = 0; row < (size_t)c->planes * c->n; row++)
		for (uint32_t chunk = 0; chunk < c->pitch / TILE_CHUNK; chunk++) {
			const uint16_t *slots = c->halves + row * c->pitch + (size_t)chunk * TILE_CHUNK;
			float sum = f32_from_f16(slots[0]);
			for (uint32_t p = 1; p < TILE_CHUNK; p++)
				sum = sum + f32_from_f16(slots[p]);
			assert_memory_equal(&c->sums[row * (c->pitch / TILE_CHUNK) + chunk], &sum,
					    sizeof sum);
		}
}

#endif
