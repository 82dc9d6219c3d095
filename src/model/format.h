/*
 * Block formats: one row each in one table. A format says how a run of elements is stored in blocks, how
 * blocks become float32, and (where hokku writes it) how float32 becomes blocks. Geometry comes from
 * gguf/tensor_type.h. Layouts: ggml's block structures. Backends bring their own dot products and must agree
 * with dequantise().
 */
#ifndef MODEL_FORMAT_H
#define MODEL_FORMAT_H

#include <stddef.h>

#include "gguf/tensor_type.h"

struct format {
	enum tensor_type type;
	const char *name;
	uint32_t block_elements, block_bytes;
	/* n_elements is a multiple of block_elements; src needs no alignment. Exact: the float32 operations
	 * and their order are part of the format. */
	void (*dequantise)(const void *src, float *dst, size_t n_elements);
	/* NULL where hokku does not write the format. */
	void (*quantise)(const float *src, void *dst, size_t n_elements);
};

/* What the sixteen quants of IQ4_NL and IQ4_XS stand for, before the scale: finer near zero than far from it.
 */
#define IQ4_VALUES                                                                       \
	{                                                                                \
		-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 \
	}

/* NULL if hokku cannot compute with the type. */
const struct format *format_get(enum tensor_type type);

/* NULL-terminated list of all rows' names, for messages. */
const char *const *format_names(void);

#endif
