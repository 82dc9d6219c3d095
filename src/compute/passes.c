/*
 * The loops are written so that a compiler vectorises them: no control flow, sums of integers, and the
 * largest of floats found as the largest of whole numbers in the same order.
 */
#include "compute/passes.h"

#include <stdbool.h>

#include "compute/weight.h"

#define INLINE static inline __attribute__((always_inline))

enum {
	BLOCK = PASSES_BLOCK,
	SUM_BLOCK = 1024, /* halves of so many grains fit 32 bits */
	MASK_BLOCK = 32,
};

/* In the order of floats, signed; its own inverse. */
INLINE int32_t ordered(int32_t bits)
{
	return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}

INLINE float from_ordered(int32_t key)
{
	return f32_from_bits((uint32_t)ordered(key));
}

INLINE int32_t order_of(float v)
{
	return ordered((int32_t)f32_bits(v));
}

/* v where keep is all ones, 0 where it is 0. */
INLINE float masked(float v, uint32_t keep)
{
	return f32_from_bits(f32_bits(v) & keep);
}

/* logit_clean, as one instruction each way. */
INLINE float clean(float v)
{
	v = v > -INFINITY ? v : -INFINITY;
	return v < FLT_MAX ? v : FLT_MAX;
}

INLINE float top_body(const float *restrict x, uint32_t n)
{
	int32_t top = order_of(-INFINITY);
	for (uint32_t i = 0; i < n; i++) {
		int32_t key = order_of(clean(x[i]));
		top = key > top ? key : top;
	}
	return from_ordered(top);
}

INLINE void tops_body(float *restrict tops, const float *restrict x, uint32_t n)
{
	uint32_t i = 0;
	for (; i + BLOCK <= n; i += BLOCK)
		tops[i / BLOCK] = top_body(x + i, BLOCK);
	if (i < n)
		tops[i / BLOCK] = top_body(x + i, n - i);
}

INLINE void load_body(float *restrict x, float *restrict tops, const float *restrict logits, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] = clean(logits[i]);
	tops_body(tops, logits, n);
}

/* exp(d) of d <= 0, whose bits grow as it falls: so that nothing is compared as a float, which compilers make
 * branches of. */
INLINE float weight_of(float d)
{
	const uint32_t least = f32_bits(WEIGHT_EXP_MIN);
	uint32_t bits = f32_bits(d), held = bits < least ? bits : least;
	return masked(weight_exp(f32_from_bits(held)), -(uint32_t)(bits <= least));
}

INLINE void weigh_body(float *restrict w, const float *restrict x, float largest, float temperature,
		       uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		w[i] = weight_of((x[i] - largest) / temperature);
}

/* The grains of a weight in halves of 20 bits, which are added apart. */
struct halves {
	uint32_t high, low;
};

INLINE void add_grains(struct halves *sum, float w)
{
	float scaled = w * 0x1p20f;
	int32_t h = (int32_t)scaled;
	sum->high += (uint32_t)h;
	sum->low += (uint32_t)(int32_t)((scaled - (float)h) * 0x1p20f);
}

INLINE uint64_t grains_of(struct halves sum)
{
	return ((uint64_t)sum.high << 20) + sum.low;
}

/* The sum over all n of what WEIGHT makes of i. */
#define SUM(WEIGHT)                                                           \
	uint64_t sum = 0;                                                     \
	for (uint32_t begin = 0; begin < n; begin += SUM_BLOCK) {             \
		uint32_t end = n - begin < SUM_BLOCK ? n : begin + SUM_BLOCK; \
		struct halves part = {0, 0};                                  \
		for (uint32_t i = begin; i < end; i++)                        \
			add_grains(&part, WEIGHT);                            \
		sum += grains_of(part);                                       \
	}                                                                     \
	return sum

INLINE uint64_t sum_body(const float *restrict w, uint32_t n)
{
	SUM(w[i]);
}

INLINE uint64_t sum_from_body(const float *restrict w, const float *restrict x, float least, uint32_t n)
{
	SUM(masked(w[i], -(uint32_t)(x[i] >= least)));
}

INLINE uint64_t sum_exp_body(const float *restrict x, float largest, uint32_t n)
{
	SUM(weight_of(clean(x[i]) - largest));
}

INLINE void count_body(const float *restrict logits, float x, uint32_t n, uint32_t *above, uint32_t *same)
{
	uint32_t n_above = 0, n_same = 0;
	for (uint32_t i = 0; i < n; i++) {
		float v = clean(logits[i]);
		n_above += v > x;
		n_same += v == x;
	}
	*above = n_above;
	*same = n_same;
}

INLINE void mask_word(float *restrict x, uint32_t word, uint32_t n)
{
	const uint32_t nothing = f32_bits(-INFINITY);
	for (uint32_t j = 0; j < n; j++) {
		uint32_t keep = -(word >> j & 1);
		x[j] = f32_from_bits((f32_bits(x[j]) & keep) | (nothing & ~keep));
	}
}

INLINE void mask_body(float *restrict x, const uint32_t *restrict mask, uint32_t n)
{
	uint32_t i = 0;
	for (; i + MASK_BLOCK <= n; i += MASK_BLOCK)
		if (mask[i / MASK_BLOCK] != UINT32_MAX)
			mask_word(x + i, mask[i / MASK_BLOCK], MASK_BLOCK);
	if (i < n)
		mask_word(x + i, mask[i / MASK_BLOCK], n - i);
}

#define PASSES(name, attributes)                                                                            \
	attributes static void tops_##name(float *tops, const float *x, uint32_t n)                         \
	{                                                                                                   \
		tops_body(tops, x, n);                                                                      \
	}                                                                                                   \
	attributes static void load_##name(float *x, float *tops, const float *logits, uint32_t n)          \
	{                                                                                                   \
		load_body(x, tops, logits, n);                                                              \
	}                                                                                                   \
	attributes static void weigh_##name(float *w, const float *x, float top, float temperature,         \
					    uint32_t n)                                                     \
	{                                                                                                   \
		weigh_body(w, x, top, temperature, n);                                                      \
	}                                                                                                   \
	attributes static uint64_t sum_##name(const float *w, uint32_t n)                                   \
	{                                                                                                   \
		return sum_body(w, n);                                                                      \
	}                                                                                                   \
	attributes static uint64_t sum_from_##name(const float *w, const float *x, float least, uint32_t n) \
	{                                                                                                   \
		return sum_from_body(w, x, least, n);                                                       \
	}                                                                                                   \
	attributes static uint64_t sum_exp_##name(const float *x, float largest, uint32_t n)                \
	{                                                                                                   \
		return sum_exp_body(x, largest, n);                                                         \
	}                                                                                                   \
	attributes static void count_##name(const float *logits, float x, uint32_t n, uint32_t *above,      \
					    uint32_t *same)                                                 \
	{                                                                                                   \
		count_body(logits, x, n, above, same);                                                      \
	}                                                                                                   \
	attributes static void mask_##name(float *x, const uint32_t *mask, uint32_t n)                      \
	{                                                                                                   \
		mask_body(x, mask, n);                                                                      \
	}

#define ROW(name)                                                                                    \
	{                                                                                            \
		tops_##name, load_##name, weigh_##name, sum_##name, sum_from_##name, sum_exp_##name, \
			count_##name, mask_##name                                                    \
	}

PASSES(plain, )
#ifdef __x86_64__
PASSES(avx2, __attribute__((target("avx2"))))
#ifdef __clang__
PASSES(avx512, __attribute__((target("avx512f"))))
#else
PASSES(avx512, __attribute__((target("avx512f,prefer-vector-width=512"))))
#endif
#endif

static const struct passes rows[] = {
	ROW(plain),
#ifdef __x86_64__
	ROW(avx2),
	ROW(avx512),
#endif
};

const struct passes *passes_at(unsigned level)
{
	bool can = level == 0;
#ifdef __x86_64__
	can |= level == 1 && __builtin_cpu_supports("avx2");
	can |= level == 2 && __builtin_cpu_supports("avx512f");
#endif
	return can ? &rows[level] : NULL;
}

const struct passes *passes_best(void)
{
	unsigned level = PASSES_LEVELS - 1;
	while (!passes_at(level))
		level--;
	return passes_at(level);
}
