/*
 * GGUF files: a reader that reads a file's header and answers questions about it, and trusts nothing in it.
 * Specification: ggml/docs/gguf.md. Versions 2 and 3, little-endian. Knows nothing of models.
 *
 * Everything returned lives until gguf_close. A handle is immutable after gguf_open_*: any number of threads
 * may read it. What becomes of the file afterwards cannot end the process: its keys and names were read, and
 * gguf_read fails where bytes are gone.
 */
#ifndef GGUF_GGUF_H
#define GGUF_GGUF_H

#include "base/error.h"
#include "base/str.h"
#include "gguf/tensor_type.h"

/* Value types, numbered as in the file. */
/* clang-format off */
#define GGUF_TYPES(X) \
	X(U8, 0, 1) \
	X(I8, 1, 1) \
	X(U16, 2, 2) \
	X(I16, 3, 2) \
	X(U32, 4, 4) \
	X(I32, 5, 4) \
	X(F32, 6, 4) \
	X(BOOL, 7, 1) \
	X(STRING, 8, 0) \
	X(ARRAY, 9, 0) \
	X(U64, 10, 8) \
	X(I64, 11, 8) \
	X(F64, 12, 8)
/* clang-format on */
enum gguf_type {
#define GGUF_X(name, id, bytes) GGUF_##name = id,
	GGUF_TYPES(GGUF_X)
#undef GGUF_X
		GGUF_N_TYPES
};
const char *gguf_type_name(enum gguf_type type); /* "u32", "string", ...; "unknown" otherwise */

/* An array of fixed-size elements is n x size bytes at data (unaligned!); an array of strings or arrays is
 * its encoded bytes: walk it with gguf_array_iter. */
struct gguf_array {
	enum gguf_type type; /* of the elements */
	uint64_t n;
	const uint8_t *data;
	uint64_t n_bytes; /* of the encoded elements at data */
};

struct gguf_value {
	enum gguf_type type;
	union {
		uint64_t u64; /* U8, U16, U32, U64, BOOL (0 or 1) */
		int64_t i64;  /* I8, I16, I32, I64 */
		double f64;   /* F32, F64 */
		struct str string;
		struct gguf_array array;
	};
};

struct gguf_kv {
	struct str key;
	struct gguf_value value;
	uint64_t offset; /* of the pair in the file */
};

enum { GGUF_MAX_DIMS = 4 };

struct gguf_tensor {
	struct str name;
	uint32_t n_dims;
	uint64_t dims[GGUF_MAX_DIMS]; /* dims[0] is the fastest (a row's length); unused ones are 1 */
	enum tensor_type type; /* or a number that is none of them: a removed type, or an unknown one */
	uint64_t offset;       /* absolute, in the file */
	uint64_t n_elements;
	uint64_t n_bytes; /* 0 of an unknown type, whose size nobody knows */
	const void *data; /* of gguf_open_memory; NULL of a file: gguf_read */
};

struct gguf;

/* NOT_FOUND, IO_ERROR, or BAD_FILE with a sentence that names the byte, the key or tensor, what was found and
 * what is allowed (docs/gguf.md). Reads the header only, into memory of its own; the file stays open. Any
 * part of a model that was split into several files opens all of them, which lie beside one another, as one
 * (docs/gguf.md, "A model in several files"). */
enum hokku_code gguf_open_file(const char *path, struct gguf **out, struct hokku_error *err);

/* The bytes are borrowed and must stay as they are until gguf_close; name stands in for the path in messages.
 */
enum hokku_code gguf_open_memory(const void *bytes, size_t n_bytes, const char *name, struct gguf **out,
				 struct hokku_error *err);

/* Where the tensors' bytes are of a handle that has no GGUF file. Any number of threads may call read. */
struct gguf_reader {
	void *self;
	/* Bytes offset .. offset + n_bytes - 1 of the space that the tensors' offsets are in. */
	enum hokku_code (*read)(void *self, uint64_t offset, void *to, size_t n_bytes,
				struct hokku_error *err);
	enum hokku_code (*unchanged)(void *self, struct hokku_error *err); /* see gguf_unchanged */
	void (*close)(void *self); /* the last that gguf_close does; NULL: nothing */
};

struct gguf_parts {
	const struct gguf_kv *kv; /* (n_kv) copied; what they point to is borrowed until gguf_close */
	const struct gguf_tensor *tensors; /* (n_tensors) the same */
	uint64_t n_kv, n_tensors;
	uint64_t n_bytes; /* of the space that the tensors' offsets are in */
	struct gguf_reader reader;
};

/* A handle that answers like a file's, of keys and tensors that were made elsewhere; path stands in messages.
 * INTERNAL if two keys or two tensors have one name, or a tensor lies outside n_bytes. */
enum hokku_code gguf_assemble(const char *path, const struct gguf_parts *parts, struct gguf **out,
			      struct hokku_error *err);
void gguf_close(struct gguf *g); /* NULL is allowed */

bool gguf_is_assembled(const struct gguf *g); /* of gguf_assemble: there is no GGUF file */

/* Of a model in several files: how many they are, and each in its order with keys, tensors and path of its
 * own, closed with g. 0 and NULL of every other handle. Path, version and alignment of such a model are its
 * first part's; its offsets are in the bytes of all files, one after another. */
uint32_t gguf_n_parts(const struct gguf *g);
const struct gguf *gguf_part(const struct gguf *g, uint32_t i);

/* Which file a byte of g is in: its part's number from 0 (0 unless g is in several files). *in_part: where
 * there. */
uint32_t gguf_part_of(const struct gguf *g, uint64_t offset, uint64_t *in_part);
const char *gguf_path(const struct gguf *g);
uint32_t gguf_version(const struct gguf *g);
uint32_t gguf_alignment(const struct gguf *g);
uint64_t gguf_data_offset(const struct gguf *g); /* where tensor data begins */
uint64_t gguf_file_bytes(const struct gguf *g);
uint64_t gguf_trailing_bytes(const struct gguf *g); /* after the last tensor, padding not counted */

/* Copies bytes offset .. offset + n_bytes - 1 of the file to `to`. A file that has become shorter is
 * IO_ERROR.
 */
enum hokku_code gguf_read(const struct gguf *g, uint64_t offset, void *to, size_t n_bytes,
			  struct hokku_error *err);

/* IO_ERROR if the file was written to since it was opened, so that what was read may not belong together. A
 * file that took its name later does not matter: the handle keeps the one it opened. */
enum hokku_code gguf_unchanged(const struct gguf *g, struct hokku_error *err);

/* Metadata. */
uint64_t gguf_n_kv(const struct gguf *g);
const struct gguf_kv *gguf_kv_at(const struct gguf *g, uint64_t i);        /* in file order */
const struct gguf_value *gguf_find(const struct gguf *g, const char *key); /* NULL if absent */

/* Tensors. */
uint64_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, uint64_t i);         /* in file order */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name); /* NULL if absent */

/*
 * Typed questions. An absent key leaves *out untouched and is HOKKU_OK with *found = false (found may be NULL
 * when the key must exist: then absence is BAD_FILE naming the key). A key of another type, or a number that
 * does not fit, is BAD_FILE naming the key, its type and value, and what is wanted. Any integer type serves
 * for an integer; any number for gguf_get_f32.
 */
enum hokku_code gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, bool *found,
			     struct hokku_error *err);
enum hokku_code gguf_get_f32(const struct gguf *g, const char *key, float *out, bool *found,
			     struct hokku_error *err);
enum hokku_code gguf_get_bool(const struct gguf *g, const char *key, bool *out, bool *found,
			      struct hokku_error *err);
enum hokku_code gguf_get_str(const struct gguf *g, const char *key, struct str *out, bool *found,
			     struct hokku_error *err);
enum hokku_code gguf_get_array(const struct gguf *g, const char *key, enum gguf_type element,
			       struct gguf_array *out, bool *found, struct hokku_error *err);

/* Walks any array. Start with {0} offsets by gguf_array_iter_init; next returns false at the end. */
struct gguf_array_iter {
	struct gguf_array array;
	uint64_t i, offset;
};
void gguf_array_iter_init(struct gguf_array_iter *it, const struct gguf_array *array);
bool gguf_array_next(struct gguf_array_iter *it, struct gguf_value *out);

#endif
