/* What is done to logits after the output matrix. */
#include "compute/cuda/kernels.h"
#include "compute/cuda/ptx.cuh"

namespace
{

enum { THREADS = 128 };

__global__ void bend_kernel(const struct cuda_bend_args a)
{
	uint32_t i = blockIdx.x * THREADS + threadIdx.x;
	float *x = a.x + (uint64_t)blockIdx.y * a.pitch + i;
	if (i >= a.cols)
		return;
	*x = a.cap != 0 ? a.cap * tanhf(*x * a.scale / a.cap) : *x * a.scale;
}

} // namespace

cudaError_t cuda_bend(const struct cuda_bend_args *a, cudaStream_t stream)
{
	LAUNCH(bend_kernel, dim3((a->cols + THREADS - 1) / THREADS, a->n), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}
