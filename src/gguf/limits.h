/*
 * The limits of a GGUF file, all of them. The reader refuses what is beyond, the writer never makes it,
 * docs/gguf.md shows this table. They are far above what real files hold; their use is that a broken file
 * cannot make the reader allocate, walk or recurse without bound (every count is checked against the bytes
 * left in the file as well).
 */
#ifndef GGUF_LIMITS_H
#define GGUF_LIMITS_H

#include <stdint.h>

/* name, value, what it bounds */
#define GGUF_LIMITS(X)                                                                                      \
	X(GGUF_MAX_KEYS, 65536, "keys in a file")                                                           \
	X(GGUF_MAX_KEY_BYTES, 65535, "bytes in a key (the specification's own limit)")                      \
	X(GGUF_MAX_STRING_BYTES, 67108864, "bytes in a string value")                                       \
	X(GGUF_MAX_ARRAY, 67108864, "elements in an array")                                                 \
	X(GGUF_MAX_DEPTH, 4, "arrays inside one another, the outermost counted")                            \
	X(GGUF_MAX_TENSORS, 65536, "tensors in a file, or in all parts of a model")                         \
	X(GGUF_MAX_NAME_BYTES, 64, "bytes in a tensor name (the specification's own limit)")                \
	X(GGUF_MAX_WRITTEN_NAME_BYTES, 63, "bytes in a tensor name that is written (ggml reads no longer)") \
	X(GGUF_MAX_ELEMENTS, 1099511627776, "elements in a tensor")                                         \
	X(GGUF_MAX_PARTS, 512, "files that a model is split into (each stays open)")                        \
	X(GGUF_MIN_ALIGNMENT, 8, "the smallest alignment, a power of two")                                  \
	X(GGUF_MAX_ALIGNMENT, 65536, "the largest alignment, a power of two")                               \
	X(GGUF_DEFAULT_ALIGNMENT, 32, "the alignment of a file that names none")

/* GGUF_MAX_DIMS, 4 dimensions in a tensor, stands in gguf.h because a struct needs it. */

#define GGUF_X(name, value, text) static const uint64_t name = (value);
GGUF_LIMITS(GGUF_X)
#undef GGUF_X

#endif
