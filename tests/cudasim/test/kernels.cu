/* Kernels that test the emulator: some right, most of them wrong in the ways it is there to find. */
#include "kernels.h"

#include "compute/cuda/ptx.cuh"

namespace
{

/* Reverses 64 numbers through shared memory; without the barrier a race. */
template <bool BARRIER> __global__ void reverse(const struct test_args a)
{
	SHARED(float, s);
	s[threadIdx.x] = a.in[threadIdx.x];
	if (BARRIER)
		__syncthreads();
	a.out[threadIdx.x] = s[63 - threadIdx.x];
}

/* The same within a warp. */
template <bool BARRIER> __global__ void reverse_warp(const struct test_args a)
{
	SHARED(float, s);
	s[threadIdx.x] = a.in[threadIdx.x];
	if (BARRIER)
		__syncwarp();
	a.out[threadIdx.x] = s[threadIdx.x ^ 31];
}

/* Prefix sums of each warp, their exchange by xor, and votes; lane 31's result to all. */
__global__ void shuffles(const struct test_args a)
{
	float v = a.in[threadIdx.x], other = __shfl_xor_sync(FULL_WARP, v, 5);
	for (unsigned step = 1; step < 32; step *= 2) {
		float lower = __shfl_up_sync(FULL_WARP, v, step);
		if (threadIdx.x % 32 >= step)
			v += lower;
	}
	unsigned votes = __ballot_sync(FULL_WARP, threadIdx.x % 3 == 0);
	a.out[threadIdx.x] = v + 1000 * other + 100000 * __shfl_sync(FULL_WARP, v, 31) + (float)(votes >> 31);
}

/* Half the threads leave out a barrier that the others reach; those that end count as arrived. */
__global__ void early_end(const struct test_args a)
{
	if (threadIdx.x % 2)
		return;
	__syncthreads();
	a.out[threadIdx.x] = a.in[threadIdx.x];
}

__global__ void divergent_shuffle(const struct test_args a)
{
	if (threadIdx.x < 16)
		a.out[threadIdx.x] = __shfl_xor_sync(FULL_WARP, a.in[threadIdx.x], 1);
}

__global__ void deadlock(const struct test_args a)
{
	if (threadIdx.x < 16)
		__syncthreads();
	else
		__syncwarp(0xFFFF0000u), __syncwarp(), a.out[0] = 0;
}

__global__ void beyond(const struct test_args a)
{
	a.out[a.n] = 1; /* the first float behind the allocation */
}

__global__ void beyond_shared(const struct test_args a)
{
	SHARED(float, s);
	a.out[0] = s[64];
}

__global__ void read_shared(const struct test_args a)
{
	SHARED(float, s);
	a.out[blockIdx.x] = s[0];
	s[0] = 1;
}

/* Adds a (16, 16) * b (16, 8), one after the other in a.in as floats, to what a.out (16, 8) holds; the sixteen
 * products of an element in order, or permuted. */
template <bool PERMUTED> __global__ void mma(const struct test_args a)
{
	unsigned g = threadIdx.x / 4, t = threadIdx.x % 4;
	const float *x = a.in, *y = a.in + 256;
	uint32_t p[4], q[2];
	for (unsigned i = 0; i < 4; i++) {
		unsigned k = 2 * t + 8 * (i / 2), row = g + 8 * (i % 2);
		unsigned k0 = PERMUTED ? (5 * k + 3) % 16 : k, k1 = PERMUTED ? (5 * k + 8) % 16 : k + 1;
		p[i] = half2_pack(x[16 * row + k0], x[16 * row + k1]);
		if (i % 2 == 0)
			q[i / 2] = half2_pack(y[8 * k0 + g], y[8 * k1 + g]);
	}
	float d[4];
	for (unsigned i = 0; i < 4; i++)
		d[i] = a.out[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
	mma_f16(d, p, q[0], q[1]);
	for (unsigned i = 0; i < 4; i++)
		a.out[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = d[i];
}

} // namespace

cudaError_t test_launch(enum test_kernel kernel, const struct test_args *a, unsigned blocks, unsigned threads,
			unsigned shared, cudaStream_t stream)
{
	static void (*const kernels[])(struct test_args) = {
		reverse<true>, reverse<false>, reverse_warp<true>, reverse_warp<false>,
		shuffles,      early_end,      divergent_shuffle,  deadlock,
		beyond,        beyond_shared,  read_shared,        mma<false>,
		mma<true>};
	if (shared > 64 << 10) { /* asks for leave; below that, tests see what happens without */
		cudaError_t e = cudaFuncSetAttribute((const void *)kernels[kernel],
						     cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
		if (e)
			return e;
	}
	LAUNCH(kernels[kernel], dim3(blocks), dim3(threads), shared, stream, *a);
	return cudaGetLastError();
}

float test_float_of_half(uint16_t h)
{
	return half_bits_to_float(h);
}

uint16_t test_half_of_float(float f)
{
	return half_bits(f);
}
