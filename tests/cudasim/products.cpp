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
typedef double quad __attribute__((vector_size(4 * sizeof(double))));
typedef float wide_floats __attribute__((vector_size(WIDE * sizeof(float))));

inline wide all(double value)
{
	wide out;
	for (int i = 0; i < WIDE; i++)
		out[i] = value;
	return out;
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

/* Of sums that are exact, in whatever order. */
inline double total(wide v)
{
	quad parts[WIDE / 4];
	memcpy(parts, &v, sizeof parts);
	quad sum = parts[0];
	for (int i = 1; i < WIDE / 4; i++)
		sum += parts[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
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
inline float close_chain(float c, double high, double low)
{
	return (float)((double)c + (high + low));
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

/* The operands of a warp, (rows or columns, K). */
struct operands {
	uint32_t a[16][K / 2], b[8][K / 2]; /* pairs of halves */
};
inline void collect(struct cudasim_mma *const lanes[32], struct operands *o)
{
	for (unsigned i = 0; i < 32; i++) {
		unsigned g = i / 4, t = i % 4;
		o->a[g][t] = lanes[i]->a[0];
		o->a[g + 8][t] = lanes[i]->a[1];
		o->a[g][t + 4] = lanes[i]->a[2];
		o->a[g + 8][t + 4] = lanes[i]->a[3];
		o->b[g][t] = lanes[i]->b[0];
		o->b[g][t + 4] = lanes[i]->b[1];
	}
}

template <bool NARROW> inline void multiply(const struct operands *o, struct cudasim_mma *const lanes[32])
{
	alignas(sizeof(wide)) double b[K][8], row[K];
	for (unsigned n = 0; n < 8; n++) {
		const uint16_t *h = (const uint16_t *)o->b[n];
		load_halves(h, h + 8, (wide *)row);
		for (unsigned k = 0; k < K; k++)
			b[k][n] = row[k];
	}
	for (unsigned r = 0; r < 16; r++) {
		const uint16_t *h = (const uint16_t *)o->a[r];
		struct sums s[8 / WIDE] = {};
		load_halves(h, h + 8, (wide *)row);
		for (unsigned k = 0; k < K; k++)
			for (unsigned i = 0; i < 8 / WIDE; i++)
				add_product<NARROW>(&s[i], all(row[k]), *(const wide *)&b[k][WIDE * i]);
		for (unsigned n = 0; n < 8; n++) {
			float *d = &lanes[r % 8 * 4 + n / 2]->d[r / 8 * 2 + n % 2];
			*d = close_chain(*d, s[n / WIDE].high[n % WIDE], s[n / WIDE].low[n % WIDE]);
		}
	}
}

/* Columns of 128 bytes, in whose eight places eights of halves lie turned. */
struct box {
	const uint16_t *columns;
	uint32_t chunk;
};
inline const uint16_t *eight(const struct box *b, uint32_t n, uint32_t i)
{
	return b->columns + 64 * n + ((b->chunk + i) ^ n % 8) * 8;
}

template <bool NARROW>
inline void multiply_lane(float *d, uint32_t n, const wide w[2][K / WIDE], const struct box *b, bool add)
{
	uint32_t t = cudasim_now->lane % 4;
	wide x[K / WIDE];
	for (uint32_t j = 0; j < n / 8; j++)
		for (uint32_t e = 0; e < 2; e++) {
			uint32_t at = 8 * j + 2 * t + e;
			load_halves(eight(b, at, 0), eight(b, at, 1), x);
			for (int half = 0; half < 2; half++) {
				struct sums s = {};
				for (int i = 0; i < K / WIDE; i++)
					add_product<NARROW>(&s, w[half][i], x[i]);
				float *o = &d[4 * j + 2 * half + e];
				*o = close_chain(add ? *o : 0, total(s.high), NARROW ? 0 : total(s.low));
			}
		}
}

} // namespace

void cudasim_mma_warp(const uint64_t *parts, struct cudasim_mma *own)
{
	if (own->done)
		return;
	struct operands o;
	struct cudasim_mma *lanes[32];
	for (unsigned i = 0; i < 32; i++)
		lanes[i] = (struct cudasim_mma *)(uintptr_t)parts[i];
	collect(lanes, &o);
	struct extents a = no_extents(), b = no_extents();
	for (unsigned r = 0; r < 16; r++)
		extend(&a, (const uint16_t *)o.a[r], (const uint16_t *)o.a[r] + 8);
	for (unsigned n = 0; n < 8; n++)
		extend(&b, (const uint16_t *)o.b[n], (const uint16_t *)o.b[n] + 8);
	(are_narrow(&a, &b) ? multiply<true> : multiply<false>)(&o, lanes);
	for (unsigned i = 0; i < 32; i++)
		lanes[i]->done = true;
}

void cudasim_wgmma_lane(float *d, uint32_t n, const uint64_t rows[2][4], uintptr_t box, bool add)
{
	const struct box b = {(const uint16_t *)(box / 1024 * 1024), (uint32_t)(box % 1024) / 16};
	struct extents of_w = no_extents(), of_x = no_extents();
	wide w[2][K / WIDE];
	for (int half = 0; half < 2; half++) {
		uint32_t pairs[K / 2]; /* of columns 0, 2, ... */
		for (int i = 0; i < 4; i++) {
			pairs[i] = (uint32_t)rows[half][i];
			pairs[i + 4] = (uint32_t)(rows[half][i] >> 32);
		}
		const uint16_t *h = (const uint16_t *)pairs;
		load_halves(h, h + 8, w[half]);
		extend(&of_w, h, h + 8);
	}
	for (uint32_t i = 0; i < n / 4; i++) {
		uint32_t at = 8 * (i / 2) + 2 * (cudasim_now->lane % 4) + i % 2;
		extend(&of_x, eight(&b, at, 0), eight(&b, at, 1));
	}
	(are_narrow(&of_w, &of_x) ? multiply_lane<true> : multiply_lane<false>)(d, n, w, &b, add);
}
