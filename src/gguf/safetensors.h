/*
 * Safetensors files: a reader that reads a file's header and trusts nothing in it. The format: a 64-bit
 * little-endian header length, a JSON object {name: {"dtype", "shape", "data_offsets"}, "__metadata__":
 * {string: string}}, then the data, which the tensors fill from the first byte to the last without gap or
 * overlap (github.com/huggingface/safetensors, README).
 *
 * Everything returned points into the handle and lives until st_close. A handle is immutable: any number of
 * threads may read it.
 */
#ifndef GGUF_SAFETENSORS_H
#define GGUF_SAFETENSORS_H

#include "base/error.h"
#include "base/str.h"

enum {
	ST_MAX_DIMS = 8,
	ST_MAX_NAME_BYTES = 1024,
	ST_MAX_HEADER_BYTES = 100000000, /* the reference implementation's limit */
	ST_MAX_INDEX_BYTES = 64 << 20,
	ST_MAX_SHARDS = 4096,
};

/* Element types and their size in bits. */
/* clang-format off */
#define ST_DTYPES(X) \
	X(BOOL, 8) \
	X(F4, 4) \
	X(F6_E2M3, 6) \
	X(F6_E3M2, 6) \
	X(U8, 8) \
	X(I8, 8) \
	X(F8_E5M2, 8) \
	X(F8_E4M3, 8) \
	X(F8_E8M0, 8) \
	X(I16, 16) \
	X(U16, 16) \
	X(F16, 16) \
	X(BF16, 16) \
	X(I32, 32) \
	X(U32, 32) \
	X(F32, 32) \
	X(C64, 64) \
	X(F64, 64) \
	X(I64, 64) \
	X(U64, 64)
/* clang-format on */
enum st_dtype {
#define ST_X(name, bits) ST_##name,
	ST_DTYPES(ST_X)
#undef ST_X
		ST_N_DTYPES
};
const char *st_dtype_name(enum st_dtype dtype); /* "BF16" */

struct st_tensor {
	struct str name;
	enum st_dtype dtype;
	uint32_t n_dims;
	uint64_t dims[ST_MAX_DIMS]; /* as in the file: the last is the fastest (a row's length); unused ones
				       are 1 */
	uint64_t n_elements;
	uint64_t offset; /* absolute, in the file */
	uint64_t n_bytes;
	size_t part; /* which of the handle's files */
};

struct safetensors;

/* BAD_FILE names the tensor, the value found and the value allowed. */
enum hokku_code st_open_file(const char *path, struct safetensors **out, struct hokku_error *err);

/* The bytes are borrowed until st_close; name stands in for the path in messages. */
enum hokku_code st_open_memory(const void *bytes, size_t n_bytes, const char *name, struct safetensors **out,
			       struct hokku_error *err);

/*
 * A model's folder: model.safetensors, or the files that model.safetensors.index.json names. Its weight_map
 * must name plain files (no '/', no leading '.'), every tensor must be in the file the map gives for it;
 * tensors the map does not name are left out. NOT_FOUND if the folder has neither file.
 */
enum hokku_code st_open_dir(const char *dir, struct safetensors **out, struct hokku_error *err);

void st_close(struct safetensors *st); /* NULL is allowed */

/* Tensors of all parts. */
uint64_t st_n_tensors(const struct safetensors *st);
const struct st_tensor *st_tensor_at(const struct safetensors *st, uint64_t i);  /* sorted by name */
const struct st_tensor *st_find(const struct safetensors *st, const char *name); /* NULL if absent */
const struct st_tensor *st_find_str(const struct safetensors *st, struct str name);

/* Copies bytes from .. from + n - 1 of a tensor to `to`. IO_ERROR where the file no longer has them. */
enum hokku_code st_read(const struct safetensors *st, const struct st_tensor *t, uint64_t from, void *to,
			size_t n, struct hokku_error *err);

/* IO_ERROR if a file was written to since it was opened. */
enum hokku_code st_unchanged(const struct safetensors *st, struct hokku_error *err);

/* "[151936, 896]" of a tensor, for messages. Returns out. */
const char *st_shape(const struct st_tensor *t, char *out, size_t out_size);

#endif
