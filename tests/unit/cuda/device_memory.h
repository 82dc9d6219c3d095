/*
 * Device memory and random numbers for tests of kernels. They run on the emulator (CTest) and, built from the
 * same sources with HOKKU_GPU_TESTS, on a device: there tests/gpu/include/cudasim.h stands in for the
 * emulator's settings.
 */
#ifndef TEST_CUDA_DEVICE_MEMORY_H
#define TEST_CUDA_DEVICE_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "compute/cuda/kernels.h"
#include "cudasim.h"
#include "golden.h"

/* Ends a test that only the emulator can run where a device runs the tests; cmocka tells of it. */
#define EMULATOR_ONLY()               \
	do {                          \
		if (!CUDASIM_PRESENT) \
			skip();       \
	} while (0)

/* Whether sizes that are too large for the emulator are due: on a device, unless HOKKU_TEST_SMALL is set
 * (under compute-sanitizer). */
GOLDEN_INLINE bool full_sizes(void)
{
	return !CUDASIM_PRESENT && !getenv("HOKKU_TEST_SMALL");
}

GOLDEN_INLINE cudaStream_t test_stream(void)
{
	static cudaStream_t stream;
	if (!stream)
		assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
	return stream;
}

GOLDEN_INLINE void finish(void)
{
	assert_int_equal(cudaStreamSynchronize(test_stream()), cudaSuccess);
}

/* n bytes of NaN, as floats. */
GOLDEN_INLINE void poison_device(void *p, size_t n)
{
	assert_int_equal(cudaMemsetAsync(p, 0xFF, n, test_stream()), cudaSuccess);
	finish();
}

/* n bytes on the device: a copy of from, or poison with NULL. Any stream may use them at once. */
GOLDEN_INLINE void *on_device(const void *from, size_t n)
{
	void *p = NULL;
	assert_int_equal(cudaMalloc(&p, n), cudaSuccess);
	if (from)
		assert_int_equal(cudaMemcpy(p, from, n, cudaMemcpyHostToDevice), cudaSuccess);
	else
		poison_device(p, n);
	assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
	return p;
}

/* The bytes of a device allocation, malloc'ed. */
GOLDEN_INLINE void *from_device(const void *p, size_t n)
{
	void *to = malloc(n);
	assert_non_null(to);
	assert_int_equal(cudaMemcpy(to, p, n, cudaMemcpyDeviceToHost), cudaSuccess);
	return to;
}

/* The i-th random number of a series, from -1 to 1. */
GOLDEN_INLINE float noise(uint64_t series, uint64_t i)
{
	uint32_t w[4];
	rng_words(series, RNG_STREAM_TEST, i, w);
	return (float)(rng_unit(w[0], w[1]) * 2 - 1);
}

GOLDEN_INLINE float *noise_floats(uint64_t series, size_t n)
{
	float *x = malloc(n * sizeof *x + 1);
	assert_non_null(x);
	for (size_t i = 0; i < n; i++)
		x[i] = noise(series, i);
	return x;
}

/* The order of lanes, warps and blocks from now on; a device has its own. */
GOLDEN_INLINE void set_schedule(uint64_t seed)
{
	struct cudasim_settings s;
	cudasim_get(&s);
	s.seed = seed;
	cudasim_set(&s);
}

/* The last test of a program: what the others took of the device and of pinned memory, they gave back. */
GOLDEN_INLINE void nothing_is_left(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	assert_int_equal(cudasim_live_bytes(), 0);
	assert_int_equal(cudasim_live_pinned(), 0);
}

#endif
