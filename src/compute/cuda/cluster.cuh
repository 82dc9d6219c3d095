/*
 * Clusters of N blocks (compute capability 9.0), whose blocks run at once and reach each other's shared
 * memory: how many those are, the cluster's number in the grid, the block's in the cluster, the thread's in
 * the block; barriers of a block and of its cluster; the block's own shared memory, and the same place in
 * another block's. N 0: as many as the launch says. The emulator (tests/cudasim) has one block for a cluster,
 * whose shared memory is `bytes` a block.
 */
#ifndef COMPUTE_CUDA_CLUSTER_CUH
#define COMPUTE_CUDA_CLUSTER_CUH

#include "compute/cuda/ptx.cuh"

#ifdef CUDASIM
#include "twins/cluster.cuh" /* tests/cudasim */
#else

#define CLUSTER_SHARED(n)           (227u << 10) /* bytes a block may have */
#define CLUSTER_THREADS(threads, n) (threads)
template <int N> static __device__ __forceinline__ uint32_t cluster_size(void)
{
	uint32_t n = N;
#if __CUDA_ARCH__ >= 900
	if (N == 0)
		asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(n));
#endif
	return n;
}
template <int N> static __device__ __forceinline__ uint32_t cluster_number(void)
{
	return blockIdx.x / cluster_size<N>();
}
template <int N> static __device__ __forceinline__ uint32_t cluster_rank(void)
{
	return blockIdx.x % cluster_size<N>();
}
template <int N> static __device__ __forceinline__ uint32_t cluster_thread(void)
{
	return threadIdx.x;
}
template <int N> static __device__ __forceinline__ uint32_t cluster_threads(void)
{
	return blockDim.x;
}
template <int N> static __device__ __forceinline__ void cluster_block_sync(void)
{
	__syncthreads();
}
template <int N> static __device__ __forceinline__ void cluster_sync(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("barrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;" ::: "memory");
#else
	__trap();
#endif
}
template <int N, typename T> static __device__ __forceinline__ T *cluster_own(T *shared, uint32_t bytes)
{
	return shared;
}
template <int N, typename T>
static __device__ __forceinline__ T *cluster_peer(T *own, uint32_t rank, uint32_t bytes)
{
#if __CUDA_ARCH__ >= 900
	uint64_t there;
	asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(own), "r"(rank));
	return reinterpret_cast<T *>(there);
#else
	__trap();
	return own;
#endif
}
#define LAUNCH_CLUSTERS(n, kernel, clusters, threads, shared, stream, args) \
	launch_clusters(n, (const void *)(kernel), clusters, threads, shared, stream, &(args))
static inline cudaError_t launch_clusters(unsigned n, const void *kernel, unsigned clusters, unsigned threads,
					  size_t shared, cudaStream_t stream, const void *args)
{
	cudaLaunchAttribute attribute = {};
	cudaLaunchConfig_t config = {};
	void *all[] = {const_cast<void *>(args)};
	attribute.id = cudaLaunchAttributeClusterDimension;
	attribute.val.clusterDim.x = n;
	attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
	config.gridDim = dim3(clusters * n);
	config.blockDim = dim3(threads);
	config.dynamicSmemBytes = shared;
	config.stream = stream;
	config.attrs = &attribute;
	config.numAttrs = 1;
	return cudaLaunchKernelExC(&config, kernel, all);
}

#endif
#endif
