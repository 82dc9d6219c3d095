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

#endif

static __device__ __forceinline__ float bf16_bits_to_float(uint32_t h)
{
	return __uint_as_float(h << 16);
}

#endif
