/* KV memory to numbers (cache.h has the layouts). A byte times its scale is exact, so these are the stored
 * values themselves, on every tier. */
#include "compute/compute.h"
#include "compute/cpu/tier.h"

typedef v16 cache_load_fn(const void *p);

/* n numbers (a multiple of 16) of a type without scales. */
KERNEL void cache_unpack(const uint8_t *from, uint32_t n, uint32_t bytes, cache_load_fn *load, float *to)
{
	for (uint32_t i = 0; i < n; i += 16)
		v16_store(to + i, load(from + (size_t)i * bytes));
}

static void cache_unpack_half(enum cache_type type, const uint8_t *from, uint32_t n, float *to)
{
	if (type == CACHE_F16)
		cache_unpack(from, n, 2, v16_load_f16, to);
	else
		cache_unpack(from, n, 2, v16_load_bf16, to);
}

/* The keys (head_dim, COMPUTE_KV_BLOCK) of a block. */
static const float *cache_keys(const struct attention *a, const uint8_t *from)
{
	uint32_t n = a->head_dim * COMPUTE_KV_BLOCK;
	const uint8_t *scales = from + n;
	if (a->types.k == CACHE_F32)
		return (const float *)(const void *)from;
	if (a->types.k != CACHE_Q8_0) {
		cache_unpack_half(a->types.k, from, n, a->keys);
		return a->keys;
	}
	v16 low = v16_set1(0), high = low;
	for (uint32_t d = 0; d < a->head_dim; d++) {
		float *to = a->keys + d * COMPUTE_KV_BLOCK;
		if (d % CACHE_CHUNK == 0) {
			low = v16_load_f16(scales + 2 * (size_t)d);
			high = v16_load_f16(scales + 2 * (size_t)d + 32);
		}
		v16_store(to, v16_mul(v16_load_i8(from + d * COMPUTE_KV_BLOCK), low));
		v16_store(to + 16, v16_mul(v16_load_i8(from + d * COMPUTE_KV_BLOCK + 16), high));
	}
	return a->keys;
}

/* The first n_seen values (COMPUTE_KV_BLOCK, padded_dim) of a block. */
static const float *cache_values(const struct attention *a, const uint8_t *from, uint32_t n_seen)
{
	uint32_t n = a->padded_dim * COMPUTE_KV_BLOCK;
	const uint8_t *scales = from + n;
	if (a->types.v == CACHE_F32)
		return (const float *)(const void *)from;
	if (a->types.v != CACHE_Q8_0) {
		cache_unpack_half(a->types.v, from, a->padded_dim * n_seen, a->values);
		return a->values;
	}
	for (uint32_t first = 0; first < a->head_dim; first += CACHE_CHUNK) {
		float scale[COMPUTE_KV_BLOCK];
		v16_store(scale, v16_load_f16(scales + 2 * (size_t)first));
		v16_store(scale + 16, v16_load_f16(scales + 2 * (size_t)first + 32));
		bool whole = first + 16 < a->padded_dim;
		for (uint32_t p = 0; p < n_seen; p++) {
			size_t at = (size_t)p * a->padded_dim + first;
			v16 s = v16_set1(scale[p]);
			v16_store(a->values + at, v16_mul(v16_load_i8(from + at), s));
			if (whole)
				v16_store(a->values + at + 16, v16_mul(v16_load_i8(from + at + 16), s));
		}
	}
	return a->values;
}
