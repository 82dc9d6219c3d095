/* What src/compute/cuda/ptx.cuh is on the emulator, which includes it: a twin of each of its functions. */
#ifndef CUDASIM_TWINS_PTX_CUH
#define CUDASIM_TWINS_PTX_CUH

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
	return f != f ? 0x7FFF : f16_from_f32(f); /* the device knows one NaN */
}
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
/* c plus sixteen products, as one step of a chain of tensor-core products: the emulator's products and their
 * sum are exact, so that no order shows (each product is cut at 2^-16; the parts' sums fit a double), and
 * what is added to c is rounded three times. */
static inline float cudasim_chain(float c, const float a[16], const float b[16])
{
	const double cut = 0x1.8p36;
	double high = 0, low = 0;
	for (int k = 0; k < 16; k++) {
		double p = (double)a[k] * (double)b[k], h = (p + cut) - cut;
		high += h;
		low += p - h;
	}
	return (float)((double)c + (high + low));
}
struct cudasim_fragment {
	float a[8], b[4];
};
static inline void mma_f16(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
	struct cudasim_fragment own;
	for (int i = 0; i < 4; i++) {
		own.a[2 * i] = CUDASIM_LOW(a[i]);
		own.a[2 * i + 1] = CUDASIM_HIGH(a[i]);
	}
	own.b[0] = CUDASIM_LOW(b0), own.b[1] = CUDASIM_HIGH(b0);
	own.b[2] = CUDASIM_LOW(b1), own.b[3] = CUDASIM_HIGH(b1);
	const uint64_t *all = cudasim_gather(FULL_WARP, (uint64_t)(uintptr_t)&own);
	unsigned g = cudasim_now->lane / 4, t = cudasim_now->lane % 4;
	float rows[2][16], columns[2][16];
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < 16; k++) {
			unsigned from = k % 8 / 2, e = k % 2;
			rows[i][k] = ((const struct cudasim_fragment *)all[4 * g + from])
					     ->a[4 * (k / 8) + 2 * i + e];
			columns[i][k] = ((const struct cudasim_fragment *)all[4 * (2 * t + i) + from])
						->b[2 * (k / 8) + e];
		}
	for (unsigned i = 0; i < 4; i++)
		d[i] = cudasim_chain(d[i], rows[i / 2], columns[i % 2]);
	__syncwarp(); /* others read `own` */
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
