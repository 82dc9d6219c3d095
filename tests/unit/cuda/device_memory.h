/* Device memory and random numbers for tests of kernels on the emulator. */
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

/* n bytes on the device: a copy of from, or poison (NaN as floats) with NULL. */
GOLDEN_INLINE void *on_device(const void *from, size_t n)
{
	void *p = NULL;
	assert_int_equal(cudaMalloc(&p, n), cudaSuccess);
	if (from)
		assert_int_equal(cudaMemcpy(p, from, n, cudaMemcpyHostToDevice), cudaSuccess);
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

/* Runs check under several orders of lanes, warps and blocks; it must leave the same bytes each time. */
GOLDEN_INLINE void set_schedule(uint64_t seed)
{
	struct cudasim_settings s;
	cudasim_get(&s);
	s.seed = seed;
	cudasim_set(&s);
}

#endif
