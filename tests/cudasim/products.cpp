/*
 * A step of a chain of tensor-core products: c plus sixteen products. The emulator's products and their sum
 * are exact, so that no order shows. Each product is cut at 2^-16, the upper parts add up to less than 2^37
 * and the lower ones to whole multiples of 2^-48 below 2^-12, which fit a double each; operands near enough
 * to each other need no cut. What is added to c is rounded three times.
 */
#include <string.h>

#include <cuda_runtime.h>

#include "products.h"
#include "twins/halves.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace
{

#ifdef __AVX512F__
enum { K = 16, WIDE = 8 };
#else
enum { K = 16, WIDE = 4 };
#endif
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));
typedef float wide_floats __attribute__((vector_size(WIDE * sizeof(float))));

inline wide all(double value)
{
#ifdef __AVX512F__
	return (wide)_mm512_set1_pd(value);
#else
	return wide{value, value, value, value};
#endif
}

/* sum + a * b, where nothing is rounded. */
inline wide add_exact(wide sum, wide a, wide b)
{
#if defined(__AVX512F__)
	return (wide)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)sum);
#elif defined(__FMA__)
	return (wide)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)sum);
#else
	return sum + a * b;
#endif
}

/* Exact sums of products, as many at once as wide has. NARROW: the products fit one double together. */
struct sums {
	wide high, low;
};
template <bool NARROW> inline void add_product(struct sums *s, wide a, wide b)
{
	if (NARROW) {
		s->high = add_exact(s->high, a, b);
		return;
	}
	const double cut = 0x1.8p36;
	wide p = a * b, h = (p + cut) - cut;
	s->high += h;
	s->low += p - h;
}
/* Of a row's columns, two a lane, at `at` of its sums. */
inline void close_chains(wide sum, float *const *lanes, unsigned at, bool add)
{
	double pairs[WIDE / 2];
	for (unsigned i = 0; i < WIDE / 2; i++)
		memcpy(&pairs[i], lanes[i] + at, 8);
	wide_floats c;
	memcpy(&c, pairs, sizeof c);
	wide before = add ? __builtin_convertvector(c, wide) : all(0);
	c = __builtin_convertvector(before + sum, wide_floats);
	memcpy(pairs, &c, sizeof c);
	for (unsigned i = 0; i < WIDE / 2; i++)
		memcpy(lanes[i] + at, &pairs[i], 8);
}

/* Bits of halves without their signs: the largest, and one below the smallest that is not 0. */
struct extent {
	uint16_t most, least;
};
#ifdef __AVX2__
typedef __m256i halves16;
struct extents {
	halves16 most, least;
};
inline struct extents no_extents(void)
{
	return {_mm256_setzero_si256(), _mm256_set1_epi16(-1)};
}
inline void extend(struct extents *e, const uint16_t *first, const uint16_t *second)
{
	halves16 v = _mm256_loadu2_m128i((const __m128i *)(const void *)second,
					 (const __m128i *)(const void *)first);
	v = _mm256_and_si256(v, _mm256_set1_epi16(0x7FFF));
	e->most = _mm256_max_epu16(e->most, v);
	e->least = _mm256_min_epu16(e->least, _mm256_sub_epi16(v, _mm256_set1_epi16(1)));
}
inline struct extent extent_of(const struct extents *e)
{
	uint16_t most[16], least[16];
	memcpy(most, &e->most, sizeof most);
	memcpy(least, &e->least, sizeof least);
	struct extent out = {most[0], least[0]};
	for (int i = 1; i < 16; i++) {
		out.most = most[i] > out.most ? most[i] : out.most;
		out.least = least[i] < out.least ? least[i] : out.least;
	}
	return out;
}
#else
struct extents {
	bool unknown;
};
inline struct extents no_extents(void)
{
	return {true};
}
inline void extend(struct extents *, const uint16_t *, const uint16_t *)
{
}
inline struct extent extent_of(const struct extents *)
{
	return {0x7C00, 0};
}
#endif

/* A half with exponent bits E is below 2^(E - 14) and a multiple of 2^(E - 25), where E is 1 at least. */
inline int exponent(uint32_t bits)
{
	return bits >> 10 ? (int)(bits >> 10) : 1;
}

/* Whether sixteen products of such numbers, and their sums in any order, are whole multiples below 2^53 of
 * one number. */
inline bool are_narrow(const struct extents *a, const struct extents *b)
{
	struct extent x = extent_of(a), y = extent_of(b);
	if (x.most == 0 || y.most == 0)
		return true;
	if (exponent(x.most) == 31 || exponent(y.most) == 31)
		return false;
	return 4 + (exponent(x.most) - 14 + exponent(y.most) - 14) -
		       (exponent(x.least + 1u) - 25 + exponent(y.least + 1u) - 25) <=
	       53;
}

/* Sixteen halves, eight from each place. */
inline void load_halves(const uint16_t *first, const uint16_t *second, wide out[K / WIDE])
{
	float f[K];
	halves_to_floats(first, f);
	halves_to_floats(second, f + 8);
	for (int i = 0; i < K / WIDE; i++) {
		wide_floats part;
		memcpy(&part, f + WIDE * i, sizeof part);
		out[i] = __builtin_convertvector(part, wide);
	}
}

/* The left operand of a warp, rows of K, as pairs of halves and as numbers. */
struct rows {
	uint32_t pairs[16][K / 2];
	alignas(sizeof(wide)) double of[16][K];
	struct extents extents;
};
/* What lane i holds: columns 2t, 2t + 1 of rows g and g + 8, then columns 2t + 8, 2t + 9. */
inline void place_rows(struct rows *o, unsigned i, const uint32_t a[4])
{
	unsigned g = i / 4, t = i % 4;
	o->pairs[g][t] = a[0];
	o->pairs[g + 8][t] = a[1];
	o->pairs[g][t + 4] = a[2];
	o->pairs[g + 8][t + 4] = a[3];
}
inline void finish_rows(struct rows *o)
{
	o->extents = no_extents();
	for (unsigned r = 0; r < 16; r++) {
		const uint16_t *h = (const uint16_t *)o->pairs[r];
		load_halves(h, h + 8, (wide *)o->of[r]);
		extend(&o->extents, h, h + 8);
	}
}

/* Eight columns of the right operand: where the first and the last eight halves of each lie. */
struct columns {
	const uint16_t *first[8], *last[8];
};

/* A name for the sums of each of eight rows, which then stay in registers. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define BEGIN_ROW(R) struct sums s##R = {};
#define ADD_ROW(R) add_product<NARROW>(&s##R, all(row[R * K]), x);
#define CLOSE_ROW(R) close_chains(s##R.high + s##R.low, &d[4 * R + at / 2], 2 * half, add);

/* d[i]: lane i's four sums. */
template <bool NARROW>
inline void multiply(const struct rows *a, const struct columns *c, float *const d[32], bool add)
{
	alignas(sizeof(wide)) double b[K][8], column[K];
	for (unsigned n = 0; n < 8; n++) {
		load_halves(c->first[n], c->last[n], (wide *)column);
		for (unsigned k = 0; k < K; k++)
			b[k][n] = column[k];
	}
	for (unsigned half = 0; half < 2; half++)
		for (unsigned at = 0; at < 8; at += WIDE) {
			EACH_ROW(BEGIN_ROW)
			for (unsigned k = 0; k < K; k++) {
				const double *row = &a->of[8 * half][k];
				wide x = *(const wide *)&b[k][at];
				EACH_ROW(ADD_ROW)
			}
			EACH_ROW(CLOSE_ROW)
		}
}
inline void multiply_any(const struct rows *a, const struct columns *c, float *const d[32], bool add)
{
	struct extents b = no_extents();
	for (unsigned n = 0; n < 8; n++)
		extend(&b, c->first[n], c->last[n]);
	(are_narrow(&a->extents, &b) ? multiply<true> : multiply<false>)(a, c, d, add);
}

/* A box: columns of 128 bytes, in whose eight places eights of halves lie turned; b points into the first
 * column. */
inline const uint16_t *eight(uintptr_t b, uint32_t n, uint32_t i)
{
	return (const uint16_t *)(b / 1024 * 1024) + 64 * n + (((uint32_t)(b % 1024) / 16 + i) ^ n % 8) * 8;
}

} // namespace

void cudasim_mma_warp(const uint64_t *parts, struct cudasim_mma *own)
{
	if (own->done)
		return;
	struct rows a;
	uint32_t b[8][K / 2];
	struct columns c;
	float *d[32];
	for (unsigned i = 0; i < 32; i++) {
		struct cudasim_mma *lane = (struct cudasim_mma *)(uintptr_t)parts[i];
		place_rows(&a, i, lane->a);
		b[i / 4][i % 4] = lane->b[0];
		b[i / 4][i % 4 + 4] = lane->b[1];
		d[i] = lane->d;
		lane->done = true;
	}
	finish_rows(&a);
	for (unsigned n = 0; n < 8; n++) {
		c.first[n] = (const uint16_t *)b[n];
		c.last[n] = c.first[n] + 8;
	}
	multiply_any(&a, &c, d, true);
}

void cudasim_wgmma_warp(const uint64_t *parts, struct cudasim_wgmma *own, uint32_t n, uintptr_t box, bool add)
{
	if (own->done)
		return;
	struct rows a;
	float *d[32];
	for (unsigned i = 0; i < 32; i++) {
		struct cudasim_wgmma *lane = (struct cudasim_wgmma *)(uintptr_t)parts[i];
		place_rows(&a, i, lane->a);
		d[i] = lane->d;
		lane->done = true;
	}
	finish_rows(&a);
	for (uint32_t j = 0; j < n / 8; j++) {
		struct columns c;
		for (uint32_t i = 0; i < 8; i++) {
			c.first[i] = eight(box, 8 * j + i, 0);
			c.last[i] = eight(box, 8 * j + i, 1);
		}
		multiply_any(&a, &c, d, add);
		for (unsigned i = 0; i < 32; i++)
			d[i] += 4;
	}
}
