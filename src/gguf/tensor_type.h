/*
 * Tensor types as GGUF numbers them, with the geometry of their blocks: how many elements a block holds and
 * how many bytes it takes. All of ggml's are known by name and size, so that any file can be inspected; which
 * of them can be computed with is model/format.h's business. Types that the format had once and has no more
 * keep their numbers, names and sizes here for the same reason; ids beyond are somebody else's, of unknown
 * size.
 */
#ifndef GGUF_TENSOR_TYPE_H
#define GGUF_TENSOR_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* name, id, elements a block, bytes a block */
/* clang-format off */
#define TENSOR_TYPES(X) \
	X(F32, 0, 1, 4) \
	X(F16, 1, 1, 2) \
	X(Q4_0, 2, 32, 18) \
	X(Q4_1, 3, 32, 20) \
	X(Q5_0, 6, 32, 22) \
	X(Q5_1, 7, 32, 24) \
	X(Q8_0, 8, 32, 34) \
	X(Q8_1, 9, 32, 36) \
	X(Q2_K, 10, 256, 84) \
	X(Q3_K, 11, 256, 110) \
	X(Q4_K, 12, 256, 144) \
	X(Q5_K, 13, 256, 176) \
	X(Q6_K, 14, 256, 210) \
	X(Q8_K, 15, 256, 292) \
	X(IQ2_XXS, 16, 256, 66) \
	X(IQ2_XS, 17, 256, 74) \
	X(IQ3_XXS, 18, 256, 98) \
	X(IQ1_S, 19, 256, 50) \
	X(IQ4_NL, 20, 32, 18) \
	X(IQ3_S, 21, 256, 110) \
	X(IQ2_S, 22, 256, 82) \
	X(IQ4_XS, 23, 256, 136) \
	X(I8, 24, 1, 1) \
	X(I16, 25, 1, 2) \
	X(I32, 26, 1, 4) \
	X(I64, 27, 1, 8) \
	X(F64, 28, 1, 8) \
	X(IQ1_M, 29, 256, 56) \
	X(BF16, 30, 1, 2) \
	X(TQ1_0, 34, 256, 54) \
	X(TQ2_0, 35, 256, 66) \
	X(MXFP4, 39, 32, 17) \
	X(NVFP4, 40, 64, 36) \
	X(Q1_0, 41, 128, 18) \
	X(Q2_0, 42, 64, 18)
/* clang-format on */

/* Types that were removed: name, id, elements a block, bytes a block, what took its place */
/* clang-format off */
#define REMOVED_TENSOR_TYPES(X) \
	X(Q4_2, 4, 16, 10, Q4_0) \
	X(Q4_3, 5, 16, 12, Q4_1) \
	X(Q4_0_4_4, 31, 32, 18, Q4_0) \
	X(Q4_0_4_8, 32, 32, 18, Q4_0) \
	X(Q4_0_8_8, 33, 32, 18, Q4_0) \
	X(IQ4_NL_4_4, 36, 32, 18, IQ4_NL) \
	X(IQ4_NL_4_8, 37, 32, 18, IQ4_NL) \
	X(IQ4_NL_8_8, 38, 32, 18, IQ4_NL)
/* clang-format on */

enum tensor_type {
#define TENSOR_X(name, id, elements, bytes) TENSOR_##name = id,
	TENSOR_TYPES(TENSOR_X)
#undef TENSOR_X
		TENSOR_N_TYPES = 43 /* ids are below this; some are unused */
};

struct tensor_type_info {
	const char *name; /* "Q4_K"; NULL for an unused id */
	uint32_t block_elements;
	uint32_t block_bytes;
};

/* NULL for an id that nobody uses, or uses no more. */
const struct tensor_type_info *tensor_type_get(uint32_t id);

/* NULL for an id that was not removed. *instead (may be NULL) is the type that took its place. */
const struct tensor_type_info *tensor_type_removed(uint32_t id, enum tensor_type *instead);

/* "Q4_K", "Q4_0_4_4" (removed), "type 57" (unknown), which is written to out. */
const char *tensor_type_label(uint32_t id, char out[16]);

/* By name, case ignored ("q8_0"); false if there is none. */
bool tensor_type_by_name(struct str name, enum tensor_type *out);

#endif
