/* What a device gives to kernels that stream weights, and to those that multiply on tensor cores. */
#include "compute/cuda/measure.cuh"

namespace
{

enum { THREADS = 512, LOADS = 8 };

/* Each block takes runs of THREADS * LOADS * 16 bytes, one after another. What it saw is written only where it is
 * not what the memory holds: the loads must not be optimised away. */
__global__ void __launch_bounds__(THREADS) read_kernel(const struct read_args a)
{
	const uint4 *p = reinterpret_cast<const uint4 *>(a.from);
	uint64_t n = a.bytes / sizeof(uint4), step = (uint64_t)gridDim.x * THREADS * LOADS;
	uint32_t seen = a.word;
	for (uint64_t i = (uint64_t)blockIdx.x * THREADS * LOADS + threadIdx.x; i + (LOADS - 1) * THREADS < n;
	     i += step) {
		uint4 v[LOADS];
#pragma unroll
		for (int k = 0; k < LOADS; k++)
			v[k] = p[i + (uint64_t)k * THREADS];
#pragma unroll
		for (int k = 0; k < LOADS; k++)
			seen |= v[k].x | v[k].y | v[k].z | v[k].w;
	}
	if (seen != a.word)
		*a.out = seen;
}

enum { MULTIPLY_WARPS = 8, SUMS = 8 };

/* Each warp adds to eight sums that wait for nothing but themselves. */
__global__ void __launch_bounds__(MULTIPLY_WARPS * 32) multiply_kernel(const struct multiply_args a)
{
	float d[SUMS][4] = {};
	uint32_t w[4], x[2];
	for (uint32_t i = 0; i < 4; i++)
		w[i] = random_halves(threadIdx.x * 6 + i);
	for (uint32_t i = 0; i < 2; i++)
		x[i] = random_halves(threadIdx.x * 6 + 4 + i);
	for (uint32_t r = 0; r < a.rounds; r++)
#pragma unroll
		for (int i = 0; i < SUMS; i++)
			mma_f16(d[i], w, x[0], x[1]);
	float sum = 0;
#pragma unroll
	for (int i = 0; i < SUMS; i++)
		sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
	if (sum != sum)
		*a.out = sum;
}

} // namespace

cudaError_t cuda_read(const struct read_args *a, cudaStream_t stream)
{
	LAUNCH(read_kernel, dim3(a->n_blocks), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}

cudaError_t cuda_multiply(const struct multiply_args *a, cudaStream_t stream)
{
	LAUNCH(multiply_kernel, dim3(a->n_blocks), dim3(MULTIPLY_WARPS * 32), 0, stream, *a);
	return cudaGetLastError();
}
