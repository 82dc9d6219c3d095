/* One tier: included once by each tier_*.c, which is compiled for its instruction set and defines TIER. */
#if defined(TIER_PLAIN)
#include "compute/cpu/simd_portable.h"
#elif defined(__AVX512VNNI__)
#include "compute/cpu/simd_avx512.h"
#elif defined(__AVX2__)
#include "compute/cpu/simd_avx2.h"
#elif defined(__ARM_NEON)
#include "compute/cpu/simd_neon.h"
#else
#include "compute/cpu/simd_portable.h"
#endif

/*
 * Kernels are written for one width each and meant to unroll into registers. Sanitizers check every access of
 * that: minutes of compiling for code that runs no faster, so their builds keep the loops. The order of
 * operations is the same.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KERNELS_AS_LOOPS
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KERNELS_AS_LOOPS
#endif
#ifdef KERNELS_AS_LOOPS
#define KERNEL     static
#define EACH(i, n) for (int i = 0; i < (n); i++)
#else
#define KERNEL static inline __attribute__((always_inline))
#ifdef __clang__
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif
#endif

/* A step of few tokens reads each weight once, faster than the processor's own prefetching brings them: it
 * stops at pages, and a panel is small. Panels follow each other, so what lies ahead is always what comes
 * next; it is asked for in even steps over heads and bodies, though a kernel reads them side by side. */
#ifndef PREFETCH_AHEAD
#define PREFETCH_AHEAD 4096
#endif

#include "compute/cpu/kernel_float.h"
#include "compute/cpu/kernel_quant.h"
#ifdef TIER_TILES
#include "compute/cpu/kernel_amx.h"
#else
#define TIER_TILES 0
#endif
#include "compute/cpu/kernel_cache.h"
#include "compute/cpu/kernel_vector.h"

#ifndef TIER_NAME
#define TIER_NAME SIMD_NAME
#endif

static float peak_float(uint64_t n)
{
	static const float lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	v16 sum[PEAK_CHAINS];
	v16 x = v16_set1((float)n), y = v16_set1(0.5f);
	/* different lanes: equal halves of a vector would be computed once */
	EACH(i, PEAK_CHAINS) sum[i] = v16_add(v16_load(lanes), v16_set1((float)i));
	while (n--) {
		EACH(i, PEAK_CHAINS) sum[i] = v16_fma(sum[i], y, x);
	}
	v16 all = sum[0];
	for (int i = 1; i < PEAK_CHAINS; i++)
		all = v16_add(all, sum[i]);
	return v16_sum(all);
}

static int32_t peak_bytes(uint64_t n)
{
	static const uint8_t ones[64] = {1, 2, 3};
	v16i sum[PEAK_CHAINS];
	v64 w = v64_load(ones);
	int8_t a[4 * (PEAK_CHAINS + 8)] = {(int8_t)(n & 1), 1, 2, 3};
	EACH(i, PEAK_CHAINS) sum[i] = v16i_set1(i);
	while (n--) {
		const int8_t *x = a + 4 * (n % 8); /* the same bytes again would be multiplied once */
		EACH(i, PEAK_CHAINS) sum[i] = dot4(sum[i], w, x + 4 * i);
	}
	int32_t all = 0;
	for (int i = 0; i < PEAK_CHAINS; i++)
		all ^= v16i_sum(sum[i]);
	return all;
}

static uint32_t read_memory(const uint8_t *p, size_t n)
{
	v64 all = v64_load(p);
	for (size_t i = 0; i < n; i += 256) {
		EACH(j, 4) all = v64_or(all, v64_load(p + i + 64 * j));
	}
	uint8_t bytes[64];
	v64_store(bytes, all);
	return bytes[0];
}

#ifdef TIER_WATCHED
#include "compute/cpu/tier_watched.h"
#define DOOR(function) watched_##function
#else
#define DOOR(function) function
#endif

#define PRODUCT_ROW(name) \
	DOOR(product_##name), /* PACK_KINDS made the enumeration too: the order is its own */
const struct cpu_tier TIER = {
	.name = TIER_NAME,
	.available = available,
	.product = {PACK_KINDS(PRODUCT_ROW)},
	.takes_tiles = TIER_TILES,
	.quantise = DOOR(quantise),
	.rms_norm = DOOR(rms_norm),
	.activation = {[ACT_SILU] = DOOR(act_silu),
		       [ACT_GELU_TANH] = DOOR(act_gelu_tanh),
		       [ACT_GELU] = DOOR(act_gelu)},
	.soft_cap = DOOR(soft_cap),
	.attention = DOOR(attention),
	.peak_float = peak_float,
	.peak_bytes = peak_bytes,
	.read = read_memory,
};
