#include "compute/cpu/cache.h"

#include <string.h>

#include "base/half.h"
#include "compute/cache_round.h"
#include "compute/compute.h"

static uint32_t number_bytes(enum cache_type type)
{
	return type == CACHE_F32 ? 4 : type == CACHE_Q8_0 ? 1 : 2;
}

static size_t whole_lines(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

size_t cpu_cache_bytes(enum cache_type type, uint32_t head_dim, uint32_t width)
{
	size_t bytes = (size_t)COMPUTE_KV_BLOCK * width * number_bytes(type);
	if (type == CACHE_Q8_0)
		bytes += (size_t)COMPUTE_KV_BLOCK * cache_chunks(head_dim) * sizeof(uint16_t);
	return whole_lines(bytes);
}

/* Number d goes to first + d * step. */
static void put_f32(uint8_t *to, size_t first, size_t step, const float *x, uint32_t head_dim)
{
	float *numbers = (float *)(void *)to;
	for (uint32_t d = 0; d < head_dim; d++)
		numbers[first + d * step] = x[d];
}

static void put_half(enum cache_type type, uint8_t *to, size_t first, size_t step, const float *x,
		     uint32_t head_dim)
{
	uint16_t *numbers = (uint16_t *)(void *)to;
	for (uint32_t d = 0; d < head_dim; d++)
		numbers[first + d * step] = type == CACHE_F16 ? cache_f16(x[d]) : bf16_from_f32(x[d]);
}

/* scales: of the block. */
static void put_q8_0(uint8_t *to, size_t first, size_t step, uint8_t *scales, uint32_t at, const float *x,
		     uint32_t head_dim)
{
	for (uint32_t from = 0; from < head_dim; from += CACHE_CHUNK) {
		uint32_t n = head_dim - from < CACHE_CHUNK ? head_dim - from : CACHE_CHUNK;
		struct cache_scale s = cache_q8_0_scale(x + from, n);
		uint16_t half = f16_from_f32(s.scale);
		memcpy(scales + ((size_t)from + at) * sizeof half, &half, sizeof half);
		for (uint32_t d = from; d < from + n; d++)
			to[first + d * step] = (uint8_t)cache_q8_0(x[d], s);
	}
}

static void put(enum cache_type type, uint8_t *to, size_t first, size_t step, uint32_t width, uint32_t at,
		const float *x, uint32_t head_dim)
{
	if (type == CACHE_F32)
		put_f32(to, first, step, x, head_dim);
	else if (type == CACHE_Q8_0)
		put_q8_0(to, first, step, to + (size_t)width * COMPUTE_KV_BLOCK, at, x, head_dim);
	else
		put_half(type, to, first, step, x, head_dim);
}

void cpu_cache_put_key(enum cache_type type, uint8_t *keys, uint32_t at, const float *x, uint32_t head_dim)
{
	put(type, keys, at, COMPUTE_KV_BLOCK, head_dim, at, x, head_dim);
}

void cpu_cache_put_value(enum cache_type type, uint8_t *values, uint32_t at, const float *x,
			 uint32_t head_dim, uint32_t padded_dim)
{
	put(type, values, (size_t)at * padded_dim, 1, padded_dim, at, x, head_dim);
}

_Static_assert((int)CACHE_CHUNK == (int)COMPUTE_KV_BLOCK, "chunk c's scales begin at 32 c");
