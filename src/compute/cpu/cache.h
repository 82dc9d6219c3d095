/*
 * How one KV head lies in a KV block of the fast path, and what brings a token's keys and values there. In
 * numbers: keys (head_dim, COMPUTE_KV_BLOCK), values (COMPUTE_KV_BLOCK, padded head_dim). Of q8_0 these are
 * bytes, and after them come the scales, halves (chunks, COMPUTE_KV_BLOCK). Each part begins at a multiple of
 * 64 bytes. kernel_cache.h reads them.
 */
#ifndef COMPUTE_CPU_CACHE_H
#define COMPUTE_CPU_CACHE_H

#include "compute/cache_type.h"

/* The types that cpu and cpu:reference store. */
enum { CPU_CACHE_TYPES = CACHE_BIT(F32) | CACHE_BIT(F16) | CACHE_BIT(BF16) | CACHE_BIT(Q8_0) };

/* Bytes of a head's keys, or values, in a block; width: head_dim, of values padded. */
size_t cpu_cache_bytes(enum cache_type type, uint32_t head_dim, uint32_t width);

/* x (head_dim) to position `at` of a block. */
void cpu_cache_put_key(enum cache_type type, uint8_t *keys, uint32_t at, const float *x, uint32_t head_dim);
void cpu_cache_put_value(enum cache_type type, uint8_t *values, uint32_t at, const float *x,
			 uint32_t head_dim, uint32_t padded_dim);

#endif
