/* What src/compute/cuda/cluster.cuh is on the emulator, which includes it: a twin of each of its functions.
 */
#ifndef CUDASIM_TWINS_CLUSTER_CUH
#define CUDASIM_TWINS_CLUSTER_CUH

#include "twins/ptx.cuh"

/* A cluster is one block here, whose threads are its blocks', one after the other. N 0: as many blocks as it
 * was launched with. */
#define CLUSTER_SHARED(n)           (227u << 10)
#define CLUSTER_THREADS(threads, n) ((threads) / (n))
template <int N> static inline uint32_t cluster_size(void)
{
	return N ? N : cudasim_cluster();
}
template <int N> static inline uint32_t cluster_threads(void)
{
	return blockDim.x / cluster_size<N>();
}
template <int N> static inline uint32_t cluster_number(void)
{
	return blockIdx.x;
}
template <int N> static inline uint32_t cluster_rank(void)
{
	return threadIdx.x / cluster_threads<N>();
}
template <int N> static inline uint32_t cluster_thread(void)
{
	return threadIdx.x % cluster_threads<N>();
}
template <int N> static inline void cluster_block_sync(void)
{
	cudasim_barrier(cluster_rank<N>(), cluster_threads<N>());
}
template <int N> static inline void cluster_sync(void)
{
	__syncthreads();
}
template <int N, typename T> static inline T *cluster_own(T *shared, uint32_t bytes)
{
	return (T *)((char *)shared + (size_t)cluster_rank<N>() * bytes);
}
template <int N, typename T> static inline T *cluster_peer(T *own, uint32_t rank, uint32_t bytes)
{
	return (T *)((char *)own + ((ptrdiff_t)rank - (ptrdiff_t)cluster_rank<N>()) * (ptrdiff_t)bytes);
}
template <typename A>
static inline cudaError_t cudasim_start_clusters(unsigned n, const char *name, void (*kernel)(A), dim3 grid,
						 unsigned threads, size_t shared, cudaStream_t stream,
						 const A &args)
{
	cudasim_set_cluster(n);
	cudasim_start(name, kernel, grid, dim3(threads * n), shared * n, stream, args);
	cudasim_set_cluster(1);
	return cudaGetLastError();
}
#define LAUNCH_CLUSTERS(n, kernel, clusters, threads, shared, stream, args) \
	cudasim_start_clusters(n, #kernel, kernel, clusters, threads, shared, stream, args)

#endif
