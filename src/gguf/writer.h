/*
 * Writes GGUF version 3. Two passes: declare every key and tensor, then stream the tensors' bytes in the
 * declared order, so that a file larger than memory can be written. The file appears under its name only when
 * gguf_writer_finish succeeds (base/new_file.h); its whole size is reserved before the first byte of data, so
 * that a full disk is found at the start. One thread at a time.
 */
#ifndef GGUF_WRITER_H
#define GGUF_WRITER_H

#include "gguf/gguf.h"

struct gguf_writer;

/* path gets its file when all is written, and until then keeps what it has. IO_ERROR, OUT_OF_MEMORY. */
enum hokku_code gguf_writer_create(const char *path, struct gguf_writer **out, struct hokku_error *err);

/* Removes the unfinished file. NULL is allowed. */
void gguf_writer_destroy(struct gguf_writer *w);

/* Pass one. Keys and strings are copied. The first failure (no memory, key given twice, ...) is remembered
 * and returned by gguf_writer_begin_data. */
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_u64(struct gguf_writer *w, const char *key, uint64_t value);
void gguf_put_i32(struct gguf_writer *w, const char *key, int32_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_put_str(struct gguf_writer *w, const char *key, struct str value);
void gguf_put_str_array(struct gguf_writer *w, const char *key, const struct str *values, uint64_t n);
void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type fixed_size_type,
		    const void *values, uint64_t n);

/* Any value, also one that was read from another file: integers and floats must fit value->type, an array is
 * its encoded bytes (nested ones too). Everything is copied. The key general.alignment, a U32, sets the
 * alignment. */
void gguf_put_value(struct gguf_writer *w, const char *key, const struct gguf_value *value);

/* dims[0] is the fastest and must be a multiple of the type's block. */
void gguf_put_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims,
		     const uint64_t *dims);

/* Pass two. Writes the header; then the tensors' bytes, in pieces of any size (one may reach over several
 * tensors), in the order of declaration: padding between tensors is the writer's business. */
enum hokku_code gguf_writer_begin_data(struct gguf_writer *w, struct hokku_error *err);
enum hokku_code gguf_writer_data(struct gguf_writer *w, const void *bytes, size_t n_bytes,
				 struct hokku_error *err);

/* Checks that every declared byte was written, syncs, renames. */
enum hokku_code gguf_writer_finish(struct gguf_writer *w, struct hokku_error *err);

#endif
