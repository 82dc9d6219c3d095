/*
 * Chained launches (compute capability 9.0; "programmatic dependent launch"): a kernel's blocks come to their
 * multiprocessors while the kernel queued before it still runs, as far as there is room, and do what does not
 * depend on it: tables, barriers, weights. Rules:
 *
 *  - chain_wait() returns once all that was queued before has ended, and its writes are seen. A thread calls
 *    it before it reads or writes what another launch touches, and some thread of every grid calls it: then
 *    "the one before has ended" means that all before it have.
 *  - chain_next() lets the next launch begin, once every block has called it or ended. What a kernel still
 *    does afterwards is its own: the next waits for its end.
 *
 * In a launch that was not chained both do nothing. On the emulator launches follow each other whole.
 */
#ifndef COMPUTE_CUDA_CHAIN_CUH
#define COMPUTE_CUDA_CHAIN_CUH

#include "compute/cuda/cluster.cuh"

#ifdef CUDASIM
#include "twins/chain.cuh" /* tests/cudasim */
#else

static __device__ __forceinline__ void chain_wait(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
static __device__ __forceinline__ void chain_next(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
/* grid: of clusters of n blocks, n of them side by side in x (n 1: of blocks). */
#define LAUNCH_CHAINED(n, kernel, grid, threads, shared, stream, args) \
	launch_chained(n, (const void *)(kernel), grid, threads, shared, stream, &(args))
static inline cudaError_t launch_chained(unsigned n, const void *kernel, dim3 grid, unsigned threads,
					 size_t shared, cudaStream_t stream, const void *args)
{
	cudaLaunchAttribute attributes[2] = {};
	cudaLaunchConfig_t config = {};
	void *all[] = {const_cast<void *>(args)};
	attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
	attributes[0].val.programmaticStreamSerializationAllowed = 1;
	attributes[1].id = cudaLaunchAttributeClusterDimension;
	attributes[1].val.clusterDim.x = n;
	attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
	config.gridDim = dim3(grid.x * n, grid.y, grid.z);
	config.blockDim = dim3(threads);
	config.dynamicSmemBytes = shared;
	config.stream = stream;
	config.attrs = attributes;
	config.numAttrs = n > 1 ? 2 : 1;
	return cudaLaunchKernelExC(&config, kernel, all);
}

#endif
#endif
