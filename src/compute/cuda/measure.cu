/* A reduction that only reads: what a device's memory gives to kernels that stream weights. */
#include "compute/cuda/measure.h"
#include "compute/cuda/ptx.cuh"

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

} // namespace

cudaError_t cuda_read(const struct read_args *a, cudaStream_t stream)
{
	LAUNCH(read_kernel, dim3(a->n_blocks), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}
