/*
 * What kernels ask of the machine beyond CUDA C itself, one small function each, with a twin for the emulator
 * (tests/cudasim). A kernel that needs another instruction gets another function here, never inline assembly
 * of its own.
 *
 * Rules of every kernel of this folder:
 *  - its arguments are one struct, passed by value;
 *  - all shared memory is dynamic and reached through SHARED;
 *  - built without contraction (nvcc -fmad=false): where one rounding is wanted, the code says fmaf;
 *  - no atomics on floats; atomics on whole numbers only where their order does not show.
 */
#ifndef COMPUTE_CUDA_PTX_CUH
#define COMPUTE_CUDA_PTX_CUH

#include <cuda_runtime.h>
#include <stdint.h>

#define FULL_WARP 0xFFFFFFFFu

#define HALF_MOST 65504.0f

#ifdef CUDASIM
#include "twins/ptx.cuh" /* tests/cudasim */
#else

#define LAUNCH(kernel, grid, block, shared, stream, args) kernel<<<grid, block, shared, stream>>>(args)
#define SHARED(type, name)                                            \
	extern __shared__ __align__(16) unsigned char shared_bytes[]; \
	type *name = reinterpret_cast<type *>(shared_bytes)

static __device__ __forceinline__ float half_bits_to_float(uint16_t h)
{
	float f;
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
	return f;
}
static __device__ __forceinline__ uint16_t half_bits(float f)
{
	uint16_t h;
	asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
	return h;
}
/* Two floats as halves, each rounded to nearest. */
static __device__ __forceinline__ uint32_t half2_pack(float low, float high)
{
#if __CUDA_ARCH__ >= 800
	uint32_t d;
	asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
	return d;
#else
	return half_bits(low) | (uint32_t)half_bits(high) << 16;
#endif
}
/* Two halves at once, each rounded once. */
static __device__ __forceinline__ uint32_t half2_sub(uint32_t a, uint32_t b)
{
	uint32_t d;
	asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
	return d;
}
static __device__ __forceinline__ uint32_t half2_mul(uint32_t a, uint32_t b)
{
	uint32_t d;
	asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
	return d;
}
static __device__ __forceinline__ uint32_t half2_fma(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t d;
	asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
	return d;
}
/* The low half of a twice, and the high half: what multiplies by it can read it so, at no cost. */
static __device__ __forceinline__ uint32_t half2_low(uint32_t a)
{
	uint32_t d;
	asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {l, l};}" : "=r"(d) : "r"(a));
	return d;
}
static __device__ __forceinline__ uint32_t half2_high(uint32_t a)
{
	uint32_t d;
	asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {h, h};}" : "=r"(d) : "r"(a));
	return d;
}
/* Byte i of the result is byte (selector >> 4 i) & 7 of b : a. */
static __device__ __forceinline__ uint32_t byte_select(uint32_t a, uint32_t b, uint32_t selector)
{
	return __byte_perm(a, b, selector);
}
/* d (16 x 8 floats) += a (16 x 16 halves) * b (16 x 8 halves), by a whole warp. Lane 4 g + t holds of d: rows
 * g (d[0], d[1]) and g + 8 (d[2], d[3]), columns 2t and 2t + 1; of a: rows g, g + 8, g, g + 8, columns 2t and
 * 2t + 1 in a[0], a[1], and 2t + 8 and 2t + 9 in a[2], a[3]; of b: column g, rows as a's columns. A result
 * depends on d and on the set of its sixteen products, not on their order. From sm_80 up. */
static __device__ __forceinline__ void mma_f16(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
#if __CUDA_ARCH__ >= 800
	asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
	    "{%8, %9}, {%0, %1, %2, %3};"
	    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
	__trap();
#endif
}
/* Starts a copy of 16 bytes to shared memory, the first n (at most 16) from global memory and zeros after
 * them; both addresses are multiples of 16. Copies belong to the group that the next commit closes; wait
 * returns when at most LEFT of this thread's groups are under way. From sm_80 up. */
static __device__ __forceinline__ void copy_async16(void *shared, const void *global, uint32_t n)
{
#if __CUDA_ARCH__ >= 800
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
			     (uint32_t)__cvta_generic_to_shared(shared)),
		     "l"(global), "r"(n)
		     : "memory");
#else
	__trap();
#endif
}
static __device__ __forceinline__ void copy_async_commit(void)
{
#if __CUDA_ARCH__ >= 800
	asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int LEFT> static __device__ __forceinline__ void copy_async_wait(void)
{
#if __CUDA_ARCH__ >= 800
	asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#endif
}
/* (x & mask) | bits, in one instruction. */
static __device__ __forceinline__ uint32_t and_or(uint32_t x, uint32_t mask, uint32_t bits)
{
	uint32_t d;
	asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(d) : "r"(x), "r"(mask), "r"(bits));
	return d;
}
/* n: 1 .. 31. */
static __device__ __forceinline__ uint32_t rotate_left(uint32_t x, uint32_t n)
{
	return __funnelshift_l(x, x, n);
}
/* 1 / sqrt(x) within 2^-22 or so of its size, the same bits on every device of a kind. */
static __device__ __forceinline__ float near_rsqrt(float x)
{
	float y;
	asm("rsqrt.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}
/* 1 / x within a unit in the last place, for normal numbers: the same bits on every device of a kind. */
static __device__ __forceinline__ float near_reciprocal(float x)
{
	float y;
	asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}
/* v limited to what a half holds; a NaN stays one. */
static __device__ __forceinline__ float half_limit(float v)
{
#if __CUDA_ARCH__ >= 800
	float above, within;
	asm("max.NaN.f32 %0, %1, %2;" : "=f"(above) : "f"(v), "f"(-HALF_MOST));
	asm("min.NaN.f32 %0, %1, %2;" : "=f"(within) : "f"(above), "f"(HALF_MOST));
	return within;
#else
	return v != v ? v : fminf(fmaxf(v, -HALF_MOST), HALF_MOST);
#endif
}
/* Where p lies in shared memory. */
static __device__ __forceinline__ uint32_t shared_offset(const void *p)
{
	return (uint32_t)__cvta_generic_to_shared(p);
}

#endif

static __device__ __forceinline__ float bf16_bits_to_float(uint32_t h)
{
	return __uint_as_float(h << 16);
}

#endif
