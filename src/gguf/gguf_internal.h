/* What the files of this room share: the handle, the cursor over untrusted bytes, the index. Nobody else's
 * business. */
#ifndef GGUF_GGUF_INTERNAL_H
#define GGUF_GGUF_INTERNAL_H

#include "base/arena.h"
#include "base/file.h"
#include "gguf/gguf.h"
#include "gguf/limits.h"

/* Names in sorted order: lookup by binary search, duplicates found as neighbours, no input that makes it
 * slow. */
struct gguf_index {
	uint32_t *order; /* (n) */
	uint64_t n;
	const void *base; /* (n) rows of stride bytes, each beginning with its name, a struct str */
	size_t stride;
};

/* order holds n words and is filled. */
void gguf_index_build(struct gguf_index *index, uint32_t *order, const void *base, size_t stride, uint64_t n);

/* The row's number, or -1. */
int64_t gguf_index_find(const struct gguf_index *index, struct str name);

/* The first row (by number) whose name an earlier row has; *first is that earlier one. -1: all differ. */
int64_t gguf_index_duplicate(const struct gguf_index *index, int64_t *first);

struct gguf {
	char *path;
	struct file file;      /* of gguf_open_file; */
	struct file_head head; /* keys and tensor infos of it */
	bool in_memory;        /* of gguf_open_memory: data is all of it */
	bool assembled;        /* of gguf_assemble: reader has the tensors' bytes */
	struct gguf_reader reader;
	struct gguf_joined *joined; /* of a model in several files, besides (join.c) */
	const uint8_t *data;
	uint64_t n_bytes;
	struct arena arena;

	uint32_t version, alignment;
	uint64_t n_kv, n_tensors;
	struct gguf_kv *kv;          /* (n_kv) */
	struct gguf_tensor *tensors; /* (n_tensors) */
	struct gguf_index keys, names;
	uint64_t data_offset, trailing_bytes;
};

/* A cursor over bytes that nobody vouches for. Every take checks what is left; a failure says where the
 * cursor stood and what was being read. */
struct gguf_cursor {
	const uint8_t *data;
	uint64_t n_bytes, at;
	struct file_head *head; /* data is of a file that is read as it is needed; NULL: it is all there */
	const char *path;
	struct hokku_error *err;
	const char *kind; /* "key" or "tensor"; NULL: the header */
	struct str name;  /* of the key or tensor; empty until it is known */
	uint64_t i, n;    /* which of how many, from 0 */
};

/* BAD_FILE: "PATH: byte AT: key "NAME": TEXT". */
enum hokku_code gguf_bad(struct gguf_cursor *c, uint64_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Makes bytes 0 .. n - 1 readable; n is at most c->n_bytes. */
enum hokku_code gguf_reach(struct gguf_cursor *c, uint64_t n);

/* The next number, little-endian; BAD_FILE names what it is (what) and the offset where the file ends. */
enum hokku_code gguf_take_u32(struct gguf_cursor *c, const char *what, uint32_t *out);
enum hokku_code gguf_take_u64(struct gguf_cursor *c, const char *what, uint64_t *out);

/* A length and so many bytes; refuses more than max. */
enum hokku_code gguf_take_string(struct gguf_cursor *c, const char *what, uint64_t max, struct str *out);

/* The value of a key: its type, then what the type says. */
enum hokku_code gguf_take_value(struct gguf_cursor *c, struct gguf_value *out);

/* What stands after an array's own type, count: n elements, at depth (1: outermost). */
enum hokku_code gguf_take_elements(struct gguf_cursor *c, uint32_t depth, struct gguf_array *out);

/* Bytes of one element of a fixed size; 0 for strings, arrays and unknown types. */
uint32_t gguf_type_bytes(uint32_t type);

/* Header, keys and tensors of g->data into g. */
enum hokku_code gguf_parse(struct gguf *g, struct hokku_error *err);

static inline uint64_t gguf_align_up(uint64_t n, uint64_t alignment)
{
	return (n + alignment - 1) & ~(alignment - 1); /* callers keep n below 2^63 */
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "GGUF is read in place: a little-endian host is needed");

/* A handle with nothing in it but its path; NULL (OUT_OF_MEMORY). */
struct gguf *gguf_new(const char *path, struct hokku_error *err);

/* In order of their numbers, all n (at least 2) open. Takes them over, also when it fails; the array stays
 * the caller's. BAD_FILE where they do not belong together. Of files or of memory (join.c). */
enum hokku_code gguf_join(struct gguf *const *parts, uint32_t n, struct gguf **out, struct hokku_error *err);

/* given as it is, or, if it is a part of a split model, the model, with all parts found beside it. Takes
 * given over, also when it fails (split.c). */
enum hokku_code gguf_complete(struct gguf *given, struct gguf **out, struct hokku_error *err);

/* A file by itself, whatever it is a part of. */
enum hokku_code gguf_open_single(const char *path, struct gguf **out, struct hokku_error *err);

/* What a part says of itself: from 0, of how many, and the tensors of all of them. */
struct gguf_split_keys {
	uint32_t no, count, n_tensors;
};

/* "u32 7", "string "abc"", "an array of 5 string". */
void gguf_describe(const struct gguf_value *v, char *out, size_t size);

/* Strangers that hokku convert makes a GGUF file of (stranger.c). */
bool gguf_is_safetensors(struct str file);
enum hokku_code gguf_explain_safetensors(const char *path, struct hokku_error *err);

/* code, with a message that says more where path is a folder. */
enum hokku_code gguf_explain_folder(const char *path, enum hokku_code code, struct hokku_error *err);

#endif
