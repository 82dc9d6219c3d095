/* Numbers of the plain path's KV memory (struct plain_kv): read, and stored. TYPE is an enum cache_type. */
#ifndef COMPUTE_CUDA_PLAIN_CACHE_CUH
#define COMPUTE_CUDA_PLAIN_CACHE_CUH

#include "compute/cache_round.h"
#include "compute/cuda/plain/plain_kernels.h"
#include "compute/cuda/ptx.cuh"

/* Number i; scale: its chunk's, of types that have one. A byte times a half is exact. */
template <uint32_t TYPE>
static __device__ __forceinline__ float cache_number(const uint8_t *from, uint32_t i, float scale)
{
	if (TYPE == CACHE_Q8_0)
		return (float)reinterpret_cast<const int8_t *>(from)[i] * scale;
	if (TYPE == CACHE_F16)
		return half_bits_to_float(reinterpret_cast<const uint16_t *>(from)[i]);
	if (TYPE == CACHE_BF16)
		return f32_from_bits((uint32_t)reinterpret_cast<const uint16_t *>(from)[i] << 16);
	return reinterpret_cast<const float *>(from)[i];
}

/* Scale `i` of those that follow `n` numbers; 1 of types without. */
template <uint32_t TYPE>
static __device__ __forceinline__ float cache_scale_at(const uint8_t *from, uint32_t n, uint32_t i)
{
	return TYPE == CACHE_Q8_0 ? half_bits_to_float(reinterpret_cast<const uint16_t *>(from + n)[i]) : 1.0f;
}

/* x as number i, of types without scales. */
static __device__ __forceinline__ void cache_put(uint32_t type, uint8_t *to, uint32_t i, float x)
{
	if (type == CACHE_F16)
		reinterpret_cast<uint16_t *>(to)[i] = half_bits(cache_limit(x));
	else if (type == CACHE_BF16)
		reinterpret_cast<uint16_t *>(to)[i] = bf16_from_f32(x);
	else
		reinterpret_cast<float *>(to)[i] = x;
}

/* By a warp: lane's x is number i of a chunk, where it is `there`; the chunk's scale goes after n numbers to
 * place `scale_at`. */
static __device__ __forceinline__ void cache_put_chunk(uint8_t *to, uint32_t i, uint32_t n, uint32_t scale_at,
							float x, bool there)
{
	float size = there ? fabsf(x) : 0.0f;
	int finite = size <= 3.402823466e38f;
	size = finite ? size : 0.0f;
	for (int bit = 16; bit >= 1; bit /= 2) {
		size = fmaxf(size, __shfl_xor_sync(FULL_WARP, size, bit));
		finite = finite & __shfl_xor_sync(FULL_WARP, finite, bit);
	}
	struct cache_scale s = cache_scale_of(size, finite);
	if (there)
		reinterpret_cast<int8_t *>(to)[i] = cache_q8_0(x, s);
	if (threadIdx.x % 32 == 0)
		reinterpret_cast<uint16_t *>(to + n)[scale_at] = half_bits(s.scale);
}

#endif
