/*
 * What the decode kernel asks of a Hopper beyond ptx.cuh and sm90.cuh: words that blocks pass to each other
 * while they run, barriers of some of a block's threads. One small function each, with a twin for the
 * emulator (which stretches a grid of one block).
 */
#ifndef COMPUTE_CUDA_DECODE_PTX_CUH
#define COMPUTE_CUDA_DECODE_PTX_CUH

#include "compute/cuda/sm90.cuh"

#ifdef CUDASIM
#include "twins/decode_ptx.cuh" /* tests/cudasim */
#else

static __device__ __forceinline__ uint32_t thread_index(void)
{
	uint32_t t;
	asm volatile("mov.u32 %0, %%tid.x;" : "=r"(t));
	return t;
}
/* x, which the compiler takes for a number that it has not seen before. */
static __device__ __forceinline__ uint32_t anew(uint32_t x)
{
	asm volatile("mov.u32 %0, %0;" : "+r"(x));
	return x;
}
/* A barrier of n_threads of the block (whole warps); id 1 .. 15. */
static __device__ __forceinline__ void some_barrier(uint32_t id, uint32_t n_threads)
{
	asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n_threads) : "memory");
}
static __device__ __forceinline__ void rest(void)
{
	__nanosleep(250);
}
/* Waits until phase `phase` of a barrier has ended, but for 200 ns or so at most. Whether it has. */
static __device__ __forceinline__ bool barrier_nap(shared_place b, uint32_t phase)
{
	uint32_t ended;
	asm volatile("{.reg .pred p;\n"
		     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2, 200;\n"
		     "selp.u32 %0, 1, 0, p;\n}"
		     : "=r"(ended)
		     : "r"(b), "r"(phase)
		     : "memory");
	return ended;
}
/* v of lane i of each N lanes. By a whole warp. */
template <int N> static __device__ __forceinline__ uint32_t shuffle_group(uint32_t v, uint32_t i)
{
	return __shfl_sync(FULL_WARP, v, (int)i, N);
}
/* Two words that another warp writes as one. */
static __device__ __forceinline__ uint2 load_shared_words(shared_place p)
{
	uint2 v;
	asm volatile("ld.volatile.shared.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(p) : "memory");
	return v;
}
/* For copy_bulk_once: what is read once in a launch is the first to leave the L2. */
static __device__ __forceinline__ uint64_t policy_read_once(void)
{
	uint64_t p;
	asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(p));
	return p;
}
static __device__ __forceinline__ void copy_bulk_once(shared_place to, const void *from, uint32_t bytes,
						      shared_place b, uint64_t policy)
{
	asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], "
		     "[%1], %2, [%3], %4;" ::"r"(to),
		     "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(b), "l"(policy)
		     : "memory");
}

/* Words that other blocks write or read while the kernel stretches. */
static __device__ __forceinline__ void store_word(uint32_t *p, uint32_t v)
{
	asm volatile("st.relaxed.gpu.global.b32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
static __device__ __forceinline__ uint32_t load_word(const uint32_t *p)
{
	uint32_t v;
	asm volatile("ld.relaxed.gpu.global.b32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
	return v;
}
/* Four words; each is whole, all four need not be of one time. */
static __device__ __forceinline__ uint4 load_words(const uint32_t *p)
{
	uint4 v;
	asm volatile("ld.relaxed.gpu.global.v4.b32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		     : "l"(p)
		     : "memory");
	return v;
}
static __device__ __forceinline__ uint2 load_two_words(const uint32_t *p)
{
	uint2 v;
	asm volatile("ld.relaxed.gpu.global.v2.b32 {%0,%1}, [%2];"
		     : "=r"(v.x), "=r"(v.y)
		     : "l"(p)
		     : "memory");
	return v;
}
/* A value and its tag travel as one. */
static __device__ __forceinline__ void store_tagged(uint64_t *p, uint32_t value, uint32_t tag)
{
	asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(p), "l"((uint64_t)tag << 32 | value)
		     : "memory");
}
static __device__ __forceinline__ uint64_t load_tagged(const uint64_t *p)
{
	uint64_t v;
	asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(v) : "l"(p) : "memory");
	return v;
}
static __device__ __forceinline__ ulonglong2 load_two_tagged(const uint64_t *p)
{
	ulonglong2 v;
	asm volatile("ld.relaxed.gpu.global.v2.b64 {%0,%1}, [%2];"
		     : "=l"(v.x), "=l"(v.y)
		     : "l"(p)
		     : "memory");
	return v;
}
/* Past the first-level cache, which other blocks' stores do not reach. */
static __device__ __forceinline__ uint4 load_l2(const void *p)
{
	uint4 v;
	asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		     : "l"(p)
		     : "memory");
	return v;
}
/* Asks for what will be read soon: whole lines of memory. */
static __device__ __forceinline__ void bring_to_l2(const void *p, uint32_t bytes)
{
	asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(p)),
		     "r"(bytes)
		     : "memory");
}
static __device__ __forceinline__ void give_up(void)
{
	asm volatile("trap;");
}
/* All blocks of the grid run at once, or the launch fails. */
#define LAUNCH_TOGETHER(kernel, grid, block, shared, stream, args) \
	launch_together((const void *)(kernel), grid, block, shared, stream, &(args))
static inline cudaError_t launch_together(const void *kernel, dim3 grid, dim3 block, size_t shared,
					  cudaStream_t stream, const void *args)
{
	void *all[] = {(void *)args};
	return cudaLaunchCooperativeKernel(kernel, grid, block, all, shared, stream);
}

#endif
#endif
