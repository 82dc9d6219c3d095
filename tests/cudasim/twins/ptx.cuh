/* What src/compute/cuda/ptx.cuh is on the emulator, which includes it: a twin of each of its functions. */
#ifndef CUDASIM_TWINS_PTX_CUH
#define CUDASIM_TWINS_PTX_CUH

#include "products.h"
#include "twins/halves.h"

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

static inline uint32_t half2_pack(float low, float high)
{
	return half_bits(low) | (uint32_t)half_bits(high) << 16;
}
#define CUDASIM_LOW(x)  half_bits_to_float((uint16_t)(x))
#define CUDASIM_HIGH(x) half_bits_to_float((uint16_t)((x) >> 16))
/* Two halves at once. The emulator's fused pair rounds to a float first, which rarely shows. */
static inline uint32_t half2_sub(uint32_t a, uint32_t b)
{
	return half2_pack(CUDASIM_LOW(a) - CUDASIM_LOW(b), CUDASIM_HIGH(a) - CUDASIM_HIGH(b));
}
static inline uint32_t half2_mul(uint32_t a, uint32_t b)
{
	return half2_pack(CUDASIM_LOW(a) * CUDASIM_LOW(b), CUDASIM_HIGH(a) * CUDASIM_HIGH(b));
}
static inline uint32_t half2_fma(uint32_t a, uint32_t b, uint32_t c)
{
	return half2_pack(CUDASIM_LOW(a) * CUDASIM_LOW(b) + CUDASIM_LOW(c),
			  CUDASIM_HIGH(a) * CUDASIM_HIGH(b) + CUDASIM_HIGH(c));
}
static inline uint32_t half2_low(uint32_t a)
{
	return (a & 0xFFFFu) * 0x10001u;
}
static inline uint32_t half2_high(uint32_t a)
{
	return (a >> 16) * 0x10001u;
}
static inline uint32_t byte_select(uint32_t a, uint32_t b, uint32_t selector)
{
	uint64_t bytes = a | (uint64_t)b << 32;
	uint32_t out = 0;
	for (int i = 0; i < 4; i++)
		out |= (uint32_t)(bytes >> 8 * (selector >> 4 * i & 7) & 0xFF) << 8 * i;
	return out;
}
static inline uint32_t and_or(uint32_t x, uint32_t mask, uint32_t bits)
{
	return (x & mask) | bits;
}
static inline uint32_t rotate_left(uint32_t x, uint32_t n)
{
	return x << n | x >> (32 - n);
}
static inline float near_rsqrt(float x)
{
	return 1.0f / sqrtf(x);
}
static inline float near_reciprocal(float x)
{
	return 1.0f / x;
}
static inline float half_limit(float v)
{
	return v != v ? v : fminf(fmaxf(v, -HALF_MOST), HALF_MOST);
}
static inline uint32_t shared_offset(const void *p)
{
	return (uint32_t)(uintptr_t)p;
}
static inline void mma_f16(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
	struct cudasim_mma own = {{a[0], a[1], a[2], a[3]}, {b0, b1}, d, false};
	cudasim_mma_warp(cudasim_gather(FULL_WARP, (uint64_t)(uintptr_t)&own), &own);
}
static inline void copy_async16(void *shared, const void *global, uint32_t n)
{
	memset(shared, 0, 16);
	memcpy(shared, global, n);
}
static inline void copy_async_commit(void)
{
}
template <int LEFT> static inline void copy_async_wait(void)
{
}

#endif
