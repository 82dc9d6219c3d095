/* Instructions of sm_80 and sm_90 that kernels of the tile path ask for, one small function each. */
#ifndef COMPUTE_CUDA_PTX_SM90_CUH
#define COMPUTE_CUDA_PTX_SM90_CUH

#include "compute/cuda/ptx.cuh"

static __device__ __forceinline__ uint32_t shared_address(const void *p)
{
	return (uint32_t)__cvta_generic_to_shared(p);
}

/* c (16 x 8) += a (16 x 16) b (16 x 8), halves into float32. */
static __device__ __forceinline__ void mma_16816(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
		     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
		     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ void mbarrier_init(uint64_t *b, uint32_t count)
{
	asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}
/* What was initialised is seen by the copy engine. */
static __device__ __forceinline__ void mbarrier_init_fence(void)
{
	asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
static __device__ __forceinline__ void mbarrier_expect(uint64_t *b, uint32_t bytes)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes)
		     : "memory");
}
static __device__ __forceinline__ bool mbarrier_try(uint64_t *b, uint32_t parity)
{
	uint32_t done;
	asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
		     : "=r"(done)
		     : "r"(shared_address(b)), "r"(parity)
		     : "memory");
	return done;
}
static __device__ __forceinline__ void mbarrier_wait(uint64_t *b, uint32_t parity)
{
	for (uint32_t i = 0; !mbarrier_try(b, parity); i++)
		if (i == 1u << 22)
			asm volatile("trap;");
}

/* Global to shared by the copy engine; read once, so first to leave the L2. */
static __device__ __forceinline__ void bulk_copy(void *to, const void *from, uint32_t bytes, uint64_t *b,
						 uint64_t policy)
{
	asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::
			     "r"(shared_address(to)),
		     "l"(from), "r"(bytes), "r"(shared_address(b)), "l"(policy)
		     : "memory");
}
static __device__ __forceinline__ uint64_t policy_evict_first(void)
{
	uint64_t p;
	asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(p));
	return p;
}

/* Words that other blocks write or read while the kernel runs. */
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
static __device__ __forceinline__ uint4 load_words(const uint32_t *p)
{
	uint4 v;
	asm volatile("ld.relaxed.gpu.global.v4.b32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
		     : "l"(p)
		     : "memory");
	return v;
}
/* A value and its tag travel as one. */
static __device__ __forceinline__ void store_tagged(uint64_t *p, uint32_t value, uint32_t tag)
{
	asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(p), "l"((uint64_t)tag << 32 | value) : "memory");
}
static __device__ __forceinline__ uint64_t load_tagged(const uint64_t *p)
{
	uint64_t v;
	asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(v) : "l"(p) : "memory");
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
static __device__ __forceinline__ uint32_t thread_index(void)
{
	uint32_t t;
	asm volatile("mov.u32 %0, %%tid.x;" : "=r"(t));
	return t;
}
static __device__ __forceinline__ void give_up(void)
{
	asm volatile("trap;");
}

#endif
