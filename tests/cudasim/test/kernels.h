/* The emulator's test kernels, kernels.cu. */
#ifndef CUDASIM_TEST_KERNELS_H
#define CUDASIM_TEST_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct test_args {
	const float *in;
	float *out;
	unsigned n;
};

enum test_kernel {
	TEST_REVERSE,
	TEST_REVERSE_RACE,
	TEST_REVERSE_WARP,
	TEST_REVERSE_WARP_RACE,
	TEST_SHUFFLES,
	TEST_EARLY_END,
	TEST_DIVERGENT_SHUFFLE,
	TEST_DEADLOCK,
	TEST_BEYOND,
	TEST_BEYOND_SHARED,
	TEST_READ_SHARED,
	TEST_MMA,
	TEST_MMA_PERMUTED,
};

cudaError_t test_launch(enum test_kernel kernel, const struct test_args *a, unsigned blocks, unsigned threads,
			unsigned shared, cudaStream_t stream);

/* The twins of ptx.cuh's conversions. */
float test_float_of_half(uint16_t h);
uint16_t test_half_of_float(float f);

#ifdef __cplusplus
}
#endif
#endif
