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

#ifdef CUDASIM

#include "base/half.h"

template <typename A> static inline void cudasim_body(const void *kernel, const void *args)
{
	A copy;
	memcpy((void *)&copy, args, sizeof copy);
	((void (*)(A))kernel)(copy);
}
template <typename A>
static inline void cudasim_start(const char *name, void (*kernel)(A), dim3 grid, dim3 block, size_t shared,
				 cudaStream_t stream, const A &args)
{
	cudasim_launch(name, grid, block, shared, stream, cudasim_body<A>, (const void *)kernel, &args,
		       sizeof args);
}
#define LAUNCH(kernel, grid, block, shared, stream, args) \
	cudasim_start(#kernel, kernel, grid, block, shared, stream, args)
#define SHARED(type, name) type *name = (type *)cudasim_shared()

static inline float half_bits_to_float(uint16_t h)
{
	return f32_from_f16(h);
}
static inline uint16_t half_bits(float f)
{
	return f16_from_f32(f);
}
static inline uint32_t cudasim_half2(float low, float high)
{
	return half_bits(low) | (uint32_t)half_bits(high) << 16;
}
#define CUDASIM_LOW(x)  half_bits_to_float((uint16_t)(x))
#define CUDASIM_HIGH(x) half_bits_to_float((uint16_t)((x) >> 16))
/* Two halves at once. The emulator's fused pair rounds to a float first, which rarely shows. */
static inline uint32_t half2_sub(uint32_t a, uint32_t b)
{
	return cudasim_half2(CUDASIM_LOW(a) - CUDASIM_LOW(b), CUDASIM_HIGH(a) - CUDASIM_HIGH(b));
}
static inline uint32_t half2_mul(uint32_t a, uint32_t b)
{
	return cudasim_half2(CUDASIM_LOW(a) * CUDASIM_LOW(b), CUDASIM_HIGH(a) * CUDASIM_HIGH(b));
}
static inline uint32_t half2_fma(uint32_t a, uint32_t b, uint32_t c)
{
	return cudasim_half2(CUDASIM_LOW(a) * CUDASIM_LOW(b) + CUDASIM_LOW(c),
			     CUDASIM_HIGH(a) * CUDASIM_HIGH(b) + CUDASIM_HIGH(c));
}
static inline uint32_t byte_select(uint32_t a, uint32_t b, uint32_t selector)
{
	uint64_t bytes = a | (uint64_t)b << 32;
	uint32_t out = 0;
	for (int i = 0; i < 4; i++)
		out |= (uint32_t)(bytes >> 8 * (selector >> 4 * i & 7) & 0xFF) << 8 * i;
	return out;
}

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
/* Byte i of the result is byte (selector >> 4 i) & 7 of b : a. */
static __device__ __forceinline__ uint32_t byte_select(uint32_t a, uint32_t b, uint32_t selector)
{
	return __byte_perm(a, b, selector);
}

#endif

static __device__ __forceinline__ float bf16_bits_to_float(uint32_t h)
{
	return __uint_as_float(h << 16);
}

#endif
