/*
 * How the KV memory stores keys and values: its types by the names that other programs use, and what a
 * backend or a path says of those that it can store. Each is chosen for keys (K) and values (V) apart. What a
 * type does to a number stands in docs/exactness.md. C and CUDA C.
 */
#ifndef COMPUTE_CACHE_TYPE_H
#define COMPUTE_CACHE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host_device.h"

/* f16x2: a half and another of what the first left out. q8_0: bytes, and a half for each CACHE_CHUNK of
 * them. */
/* clang-format off */
#define CACHE_TYPES(X) X(F32, "f32") X(F16, "f16") X(BF16, "bf16") X(F16X2, "f16x2") X(Q8_0, "q8_0")
/* clang-format on */
enum cache_type {
	CACHE_DEFAULT, /* what the path that runs the model stores best */
#define CACHE_X(name, text) CACHE_##name,
	CACHE_TYPES(CACHE_X)
#undef CACHE_X
		CACHE_N_TYPES
};
#define CACHE_BIT(name) (1u << CACHE_##name)

enum {
	CACHE_CHUNK = 32, /* numbers of a head that share a scale; a head's last chunk may hold fewer */
	CACHE_TYPES_TEXT = 64,
};

/* Of keys and of values. */
struct cache_types {
	enum cache_type k, v;
};

/* Chunks of a head. */
static HOST_DEVICE uint32_t cache_chunks(uint32_t head_dim)
{
	return (head_dim + CACHE_CHUNK - 1) / CACHE_CHUNK;
}

#ifndef __CUDACC__
#include <stdio.h>

#include "base/error.h"

/* "f32"; of CACHE_DEFAULT "default". */
static inline const char *cache_type_name(enum cache_type type)
{
	static const char *const names[CACHE_N_TYPES] = {"default",
#define CACHE_X(name, text) text,
							 CACHE_TYPES(CACHE_X)
#undef CACHE_X
	};
	return names[type];
}

/* "f32, f16" of the types whose bits are set. Returns out. */
static inline const char *cache_types_list(uint32_t bits, char out[CACHE_TYPES_TEXT])
{
	size_t used = 0;
	out[0] = '\0';
	for (int t = CACHE_DEFAULT + 1; t < CACHE_N_TYPES && used < CACHE_TYPES_TEXT; t++)
		if (bits >> t & 1)
			used += (size_t)snprintf(out + used, CACHE_TYPES_TEXT - used, "%s%s",
						 used ? ", " : "", cache_type_name((enum cache_type)t));
	return out;
}

/* What of the two is CACHE_DEFAULT becomes `fallback`; INVALID_REQUEST if a type is none of `can` (bits).
 * who: "cpu", "cuda/plain". */
static inline enum hokku_code cache_types_settle(const char *who, uint32_t can, enum cache_type fallback,
						 struct cache_types *types, struct hokku_error *err)
{
	char list[CACHE_TYPES_TEXT];
	enum cache_type *const both[] = {&types->k, &types->v};
	for (int i = 0; i < 2; i++) {
		if (*both[i] == CACHE_DEFAULT)
			*both[i] = fallback;
		if ((uint32_t)*both[i] >= CACHE_N_TYPES || !(can >> *both[i] & 1))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s cannot do cache type %s (of %s); it stores %s", who,
				       (uint32_t)*both[i] < CACHE_N_TYPES ? cache_type_name(*both[i]) : "?",
				       i ? "values" : "keys", cache_types_list(can, list));
	}
	return HOKKU_OK;
}
#endif

#endif
