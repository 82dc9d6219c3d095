#include "gguf/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/new_file.h"
#include "gguf/gguf_internal.h"

enum { BUFFER_BYTES = 1 << 20 }; /* small pieces are gathered to this before they are written */

struct declared {
	struct str name;          /* first: gguf_index reads rows by their names */
	uint64_t offset, n_bytes; /* offset from the beginning of the data */
};

struct gguf_writer {
	struct new_file file;
	struct arena arena;         /* names */
	struct hokku_error failure; /* the first one; code HOKKU_OK: none */
	uint32_t alignment;

	struct strbuf kv, infos;  /* encoded, as they will stand in the file */
	struct str *keys;         /* (n_kv) */
	struct declared *tensors; /* (n_tensors) */
	uint64_t n_kv, n_tensors, cap_kv, cap_tensors;

	bool in_data;
	uint64_t data_offset, total_bytes; /* of the file */
	uint64_t tensor, tensor_done;      /* where the data stands: bytes done of which tensor */
	uint8_t *buffer;                   /* (BUFFER_BYTES) */
	uint64_t n_buffered, written;      /* written: bytes of the file that left the buffer */
};

/* Keeps the first failure; its message begins with the path. */
static enum hokku_code __attribute__((format(printf, 3, 4)))
fail(struct gguf_writer *w, enum hokku_code code, const char *format, ...)
{
	if (w->failure.code)
		return w->failure.code;
	char text[sizeof w->failure.message];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return err_set(&w->failure, code, "%s: %s", w->file.path, text);
}

static enum hokku_code report(const struct gguf_writer *w, struct hokku_error *err)
{
	if (err)
		*err = w->failure;
	return w->failure.code;
}

/* ---- the file ---- */

enum hokku_code gguf_writer_create(const char *path, struct gguf_writer **out, struct hokku_error *err)
{
	*out = NULL;
	struct gguf_writer *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to write it", path);
	w->alignment = (uint32_t)GGUF_DEFAULT_ALIGNMENT;
	enum hokku_code rc = new_file_create(&w->file, path, err);
	w->buffer = malloc(BUFFER_BYTES);
	if (!rc && !w->buffer)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to write it", path);
	if (rc) {
		gguf_writer_destroy(w);
		return rc;
	}
	*out = w;
	return HOKKU_OK;
}

void gguf_writer_destroy(struct gguf_writer *w)
{
	if (!w)
		return;
	new_file_close(&w->file);
	strbuf_free(&w->kv);
	strbuf_free(&w->infos);
	arena_free(&w->arena);
	free(w->keys);
	free(w->tensors);
	free(w->buffer);
	free(w);
}

/* ---- pass one: keys ---- */

static void *grow(void *rows, uint64_t n, uint64_t *cap, size_t size)
{
	if (n < *cap)
		return rows;
	uint64_t more = *cap ? *cap * 2 : 64;
	void *grown = realloc(rows, more * size);
	if (grown)
		*cap = more;
	return grown;
}

static bool is_name(struct str name)
{
	bool is_text = name.len > 0 && utf8_valid_prefix(name.ptr, name.len) == name.len;
	for (size_t i = 0; i < name.len && is_text; i++)
		is_text = (unsigned char)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7F;
	return is_text;
}

/* Checks what a key and a tensor's name have in common; false when the writer has failed. */
static bool check_name(struct gguf_writer *w, const char *kind, const char *name, uint64_t max)
{
	char quoted[100];
	if (w->failure.code)
		return false;
	str_quote(str_c(name), quoted, sizeof quoted);
	if (w->in_data)
		fail(w, HOKKU_INTERNAL, "%s %s comes after the data has begun", kind, quoted);
	else if (!is_name(str_c(name)))
		fail(w, HOKKU_BAD_FILE, "%s %s must be UTF-8 without control characters, and not empty", kind,
		     quoted);
	else if (strlen(name) > max)
		fail(w, HOKKU_BAD_FILE, "%s %s has %zu bytes; at most %" PRIu64 " are allowed", kind, quoted,
		     strlen(name), max);
	return !w->failure.code;
}

static void put_u32(struct strbuf *b, uint32_t value)
{
	strbuf_add(b, &value, sizeof value);
}

static void put_u64(struct strbuf *b, uint64_t value)
{
	strbuf_add(b, &value, sizeof value);
}

static void put_string(struct strbuf *b, struct str s)
{
	put_u64(b, s.len);
	strbuf_add(b, s.ptr, s.len);
}

/* The pair's beginning: key and type. False when the writer has failed. */
static bool begin_key(struct gguf_writer *w, const char *key, enum gguf_type type)
{
	if (!check_name(w, "key", key, GGUF_MAX_KEY_BYTES))
		return false;
	struct str *keys = grow(w->keys, w->n_kv, &w->cap_kv, sizeof *keys);
	char *copy = arena_strdup(&w->arena, key, strlen(key));
	if (keys)
		w->keys = keys;
	if (!keys || !copy) {
		fail(w, HOKKU_OUT_OF_MEMORY, "no memory for key \"%s\"", key);
		return false;
	}
	w->keys[w->n_kv++] = str_c(copy);
	put_string(&w->kv, str_c(key));
	put_u32(&w->kv, type);
	return true;
}

static bool check_array(struct gguf_writer *w, const char *key, uint64_t n)
{
	if (n > GGUF_MAX_ARRAY && !w->failure.code)
		fail(w, HOKKU_BAD_FILE,
		     "key \"%s\": the array has %" PRIu64 " elements; at most %" PRIu64 " are allowed", key,
		     n, GGUF_MAX_ARRAY);
	return !w->failure.code;
}

static bool check_string(struct gguf_writer *w, const char *key, struct str s)
{
	if (s.len > GGUF_MAX_STRING_BYTES && !w->failure.code)
		fail(w, HOKKU_BAD_FILE, "key \"%s\": a string has %zu bytes; at most %" PRIu64 " are allowed",
		     key, s.len, GGUF_MAX_STRING_BYTES);
	return !w->failure.code;
}

/* An array's encoded bytes come from a caller: they are read as a file's would be. */
static bool check_encoded(struct gguf_writer *w, const char *key, const struct gguf_array *array)
{
	struct gguf_array again = *array;
	struct gguf_cursor c = {
		.data = array->data, .n_bytes = array->n_bytes, .path = w->file.path, .err = &w->failure};
	c.kind = "key";
	c.name = str_c(key);
	if (!check_array(w, key, array->n) || gguf_take_elements(&c, 1, &again))
		return false;
	if (c.at != array->n_bytes)
		fail(w, HOKKU_BAD_FILE,
		     "key \"%s\": the array's elements take %" PRIu64 " bytes; %" PRIu64 " are given", key,
		     c.at, array->n_bytes);
	return !w->failure.code;
}

static bool number_fits(const struct gguf_value *v)
{
	switch (v->type) {
	case GGUF_U8:
		return v->u64 <= UINT8_MAX;
	case GGUF_U16:
		return v->u64 <= UINT16_MAX;
	case GGUF_U32:
		return v->u64 <= UINT32_MAX;
	case GGUF_BOOL:
		return v->u64 <= 1;
	case GGUF_I8:
		return v->i64 >= INT8_MIN && v->i64 <= INT8_MAX;
	case GGUF_I16:
		return v->i64 >= INT16_MIN && v->i64 <= INT16_MAX;
	case GGUF_I32:
		return v->i64 >= INT32_MIN && v->i64 <= INT32_MAX;
	default:
		return true;
	}
}

static void set_alignment(struct gguf_writer *w, const struct gguf_value *v)
{
	uint64_t n = v->u64;
	if (v->type != GGUF_U32 || n < GGUF_MIN_ALIGNMENT || n > GGUF_MAX_ALIGNMENT || (n & (n - 1)))
		fail(w, HOKKU_BAD_FILE,
		     "general.alignment must be a u32, a power of two from %" PRIu64 " to %" PRIu64,
		     GGUF_MIN_ALIGNMENT, GGUF_MAX_ALIGNMENT);
	else if (w->n_tensors)
		fail(w, HOKKU_INTERNAL, "general.alignment must be given before the first tensor");
	else
		w->alignment = (uint32_t)n;
}

static void put_number(struct gguf_writer *w, const char *key, const struct gguf_value *v)
{
	if (!w->failure.code && !number_fits(v))
		fail(w, HOKKU_BAD_FILE, "key \"%s\": the value %" PRId64 " does not fit a %s", key, v->i64,
		     gguf_type_name(v->type));
	if (!begin_key(w, key, v->type))
		return;
	float f32 = (float)v->f64;
	/* little-endian: the low bytes of a two's complement number are the narrower number */
	const void *bytes = v->type == GGUF_F32 ? (const void *)&f32 : (const void *)&v->u64;
	strbuf_add(&w->kv, bytes, gguf_type_bytes(v->type));
}

void gguf_put_value(struct gguf_writer *w, const char *key, const struct gguf_value *v)
{
	if (strcmp(key, "general.alignment") == 0 && !w->failure.code)
		set_alignment(w, v);
	if ((unsigned)v->type >= GGUF_N_TYPES ||
	    (v->type == GGUF_ARRAY && (unsigned)v->array.type >= GGUF_N_TYPES)) {
		fail(w, HOKKU_INTERNAL, "key \"%s\" has no known type", key);
		return;
	}
	switch (v->type) {
	case GGUF_STRING:
		if (check_string(w, key, v->string) && begin_key(w, key, GGUF_STRING))
			put_string(&w->kv, v->string);
		break;
	case GGUF_ARRAY:
		if (!check_encoded(w, key, &v->array) || !begin_key(w, key, GGUF_ARRAY))
			break;
		put_u32(&w->kv, v->array.type);
		put_u64(&w->kv, v->array.n);
		strbuf_add(&w->kv, v->array.data, v->array.n_bytes);
		break;
	default:
		put_number(w, key, v);
		break;
	}
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_U32, .u64 = value});
}

void gguf_put_u64(struct gguf_writer *w, const char *key, uint64_t value)
{
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_U64, .u64 = value});
}

void gguf_put_i32(struct gguf_writer *w, const char *key, int32_t value)
{
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_I32, .i64 = value});
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float value)
{
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_F32, .f64 = (double)value});
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool value)
{
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_BOOL, .u64 = value});
}

void gguf_put_str(struct gguf_writer *w, const char *key, struct str value)
{
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_STRING, .string = value});
}

void gguf_put_str_array(struct gguf_writer *w, const char *key, const struct str *values, uint64_t n)
{
	if (!check_array(w, key, n) || !begin_key(w, key, GGUF_ARRAY))
		return;
	put_u32(&w->kv, GGUF_STRING);
	put_u64(&w->kv, n);
	for (uint64_t i = 0; i < n && check_string(w, key, values[i]); i++)
		put_string(&w->kv, values[i]);
}

void gguf_put_array(struct gguf_writer *w, const char *key, enum gguf_type fixed_size_type,
		    const void *values, uint64_t n)
{
	uint32_t bytes = gguf_type_bytes(fixed_size_type);
	if (!bytes) {
		fail(w, HOKKU_INTERNAL, "key \"%s\": elements of type %s have no fixed size", key,
		     gguf_type_name(fixed_size_type));
		return;
	}
	if (!check_array(w, key, n))
		return;
	struct gguf_array array = {.type = fixed_size_type, .n = n, .data = values, .n_bytes = n * bytes};
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_ARRAY, .array = array});
}

/* ---- pass one: tensors ---- */

/* Bytes of a tensor of this shape; 0 when the shape is refused (the writer has failed). */
static uint64_t shape_bytes(struct gguf_writer *w, const char *name, const struct tensor_type_info *info,
			    uint32_t n_dims, const uint64_t *dims)
{
	uint64_t n = 1;
	if (n_dims < 1 || n_dims > GGUF_MAX_DIMS) {
		fail(w, HOKKU_INTERNAL, "tensor \"%s\" has %" PRIu32 " dimensions; it must have 1 to %d",
		     name, n_dims, GGUF_MAX_DIMS);
		return 0;
	}
	for (uint32_t i = 0; i < n_dims; i++) {
		if (dims[i] == 0 || dims[i] > GGUF_MAX_ELEMENTS || n > GGUF_MAX_ELEMENTS / dims[i]) {
			fail(w, HOKKU_BAD_FILE,
			     "tensor \"%s\": dimension %" PRIu32 " is %" PRIu64 "; a tensor has 1 to %" PRIu64
			     " elements",
			     name, i, dims[i], GGUF_MAX_ELEMENTS);
			return 0;
		}
		n *= dims[i];
	}
	if (dims[0] % info->block_elements) {
		fail(w, HOKKU_BAD_FILE,
		     "tensor \"%s\": its rows have %" PRIu64
		     " elements; the type %s wants a multiple of %" PRIu32,
		     name, dims[0], info->name, info->block_elements);
		return 0;
	}
	return n / info->block_elements * info->block_bytes;
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, uint32_t n_dims,
		     const uint64_t *dims)
{
	if (!check_name(w, "tensor", name, GGUF_MAX_WRITTEN_NAME_BYTES))
		return;
	const struct tensor_type_info *info = tensor_type_get(type);
	if (!info) {
		fail(w, HOKKU_INTERNAL, "tensor \"%s\": its type is %d; no such type is known", name,
		     (int)type);
		return;
	}
	uint64_t n_bytes = shape_bytes(w, name, info, n_dims, dims);
	if (!n_bytes)
		return;
	struct declared *tensors = grow(w->tensors, w->n_tensors, &w->cap_tensors, sizeof *tensors);
	char *copy = arena_strdup(&w->arena, name, strlen(name));
	if (tensors)
		w->tensors = tensors;
	if (!tensors || !copy) {
		fail(w, HOKKU_OUT_OF_MEMORY, "no memory for tensor \"%s\"", name);
		return;
	}
	uint64_t offset = 0;
	if (w->n_tensors) {
		const struct declared *last = &w->tensors[w->n_tensors - 1];
		offset = gguf_align_up(last->offset + last->n_bytes, w->alignment);
	}
	if (offset + n_bytes > INT64_MAX / 2) {
		fail(w, HOKKU_BAD_FILE, "tensor \"%s\" would end past byte %" PRIu64, name,
		     (uint64_t)INT64_MAX / 2);
		return;
	}
	w->tensors[w->n_tensors++] = (struct declared){str_c(copy), offset, n_bytes};
	put_string(&w->infos, str_c(name));
	put_u32(&w->infos, n_dims);
	strbuf_add(&w->infos, dims, n_dims * sizeof *dims);
	put_u32(&w->infos, type);
	put_u64(&w->infos, offset);
}

/* ---- pass two ---- */

static enum hokku_code flush(struct gguf_writer *w, const uint8_t *bytes, uint64_t n)
{
	while (n > 0) {
		ssize_t done = write(w->file.fd, bytes, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return fail(w, HOKKU_IO_ERROR,
				    "cannot be written at byte %" PRIu64 " of %" PRIu64 ": %s", w->written,
				    w->total_bytes, strerror(done < 0 ? errno : ENOSPC));
		bytes += done;
		n -= (uint64_t)done;
		w->written += (uint64_t)done;
	}
	return HOKKU_OK;
}

static enum hokku_code put_bytes(struct gguf_writer *w, const void *bytes, uint64_t n)
{
	enum hokku_code rc = HOKKU_OK;
	if (w->n_buffered + n > BUFFER_BYTES) {
		rc = flush(w, w->buffer, w->n_buffered);
		w->n_buffered = 0;
	}
	if (rc)
		return rc;
	if (n > BUFFER_BYTES)
		return flush(w, bytes, n);
	if (n)
		memcpy(w->buffer + w->n_buffered, bytes, n);
	w->n_buffered += n;
	return HOKKU_OK;
}

static enum hokku_code put_padding(struct gguf_writer *w)
{
	static const uint8_t zeros[4096];
	enum hokku_code rc = HOKKU_OK;
	uint64_t at = w->written + w->n_buffered, n = gguf_align_up(at, w->alignment) - at;
	for (uint64_t step; n > 0 && !rc; n -= step) {
		step = n < sizeof zeros ? n : sizeof zeros;
		rc = put_bytes(w, zeros, step);
	}
	return rc;
}

static enum hokku_code check_duplicates(struct gguf_writer *w, const char *kind, const void *rows,
					size_t stride, uint64_t n)
{
	struct gguf_index index;
	int64_t first;
	char quoted[100];
	uint32_t *order = calloc(n ? n : 1, sizeof *order);
	if (!order)
		return fail(w, HOKKU_OUT_OF_MEMORY, "no memory for %" PRIu64 " names", n);
	gguf_index_build(&index, order, rows, stride, n);
	int64_t row = gguf_index_duplicate(&index, &first);
	free(order);
	if (row < 0)
		return HOKKU_OK;
	struct str name;
	memcpy(&name, (const char *)rows + (uint64_t)row * stride, sizeof name);
	return fail(w, HOKKU_BAD_FILE, "%s %s is given twice", kind, str_quote(name, quoted, sizeof quoted));
}

static enum hokku_code check_declared(struct gguf_writer *w)
{
	if (w->failure.code)
		return w->failure.code;
	if (w->in_data)
		return fail(w, HOKKU_INTERNAL, "its data has begun already");
	if (w->kv.failed || w->infos.failed)
		return fail(w, HOKKU_OUT_OF_MEMORY, "no memory for its header");
	if (w->n_kv > GGUF_MAX_KEYS)
		return fail(w, HOKKU_BAD_FILE, "%" PRIu64 " keys; at most %" PRIu64 " are allowed", w->n_kv,
			    GGUF_MAX_KEYS);
	if (w->n_tensors > GGUF_MAX_TENSORS)
		return fail(w, HOKKU_BAD_FILE, "%" PRIu64 " tensors; at most %" PRIu64 " are allowed",
			    w->n_tensors, GGUF_MAX_TENSORS);
	enum hokku_code rc = check_duplicates(w, "key", w->keys, sizeof *w->keys, w->n_kv);
	return rc ? rc : check_duplicates(w, "tensor", w->tensors, sizeof *w->tensors, w->n_tensors);
}

/* Better to hear of a full disk now than after an hour. A file system that cannot reserve says so, and the
 * writes themselves will tell. */
static enum hokku_code reserve(struct gguf_writer *w)
{
	if (fallocate(w->file.fd, 0, 0, (off_t)w->total_bytes) == 0)
		return HOKKU_OK;
	if (errno != ENOSPC && errno != EFBIG && errno != EDQUOT)
		return HOKKU_OK;
	return fail(w, HOKKU_IO_ERROR, "the %" PRIu64 " bytes it needs cannot be had: %s", w->total_bytes,
		    strerror(errno));
}

enum hokku_code gguf_writer_begin_data(struct gguf_writer *w, struct hokku_error *err)
{
	if (check_declared(w))
		return report(w, err);
	struct strbuf head = {0};
	strbuf_add_c(&head, "GGUF");
	put_u32(&head, 3);
	put_u64(&head, w->n_tensors);
	put_u64(&head, w->n_kv);
	w->data_offset = gguf_align_up(head.len + w->kv.len + w->infos.len, w->alignment);
	w->total_bytes = w->data_offset;
	if (w->n_tensors) {
		const struct declared *last = &w->tensors[w->n_tensors - 1];
		w->total_bytes += gguf_align_up(last->offset + last->n_bytes, w->alignment);
	}
	w->in_data = true;
	if (head.failed)
		fail(w, HOKKU_OUT_OF_MEMORY, "no memory for its header");
	else if (!reserve(w) && !put_bytes(w, head.ptr, head.len) && !put_bytes(w, w->kv.ptr, w->kv.len) &&
		 !put_bytes(w, w->infos.ptr, w->infos.len))
		put_padding(w);
	strbuf_free(&head);
	return report(w, err);
}

enum hokku_code gguf_writer_data(struct gguf_writer *w, const void *bytes, size_t n_bytes,
				 struct hokku_error *err)
{
	const uint8_t *p = bytes;
	if (!w->failure.code && !w->in_data)
		fail(w, HOKKU_INTERNAL, "data before gguf_writer_begin_data");
	while (n_bytes > 0 && !w->failure.code) {
		if (w->tensor == w->n_tensors) {
			fail(w, HOKKU_INTERNAL, "%zu bytes more than its %" PRIu64 " tensors hold", n_bytes,
			     w->n_tensors);
			break;
		}
		uint64_t left = w->tensors[w->tensor].n_bytes - w->tensor_done;
		uint64_t step = n_bytes < left ? n_bytes : left;
		if (put_bytes(w, p, step))
			break;
		p += step;
		n_bytes -= step;
		w->tensor_done += step;
		if (step == left && !put_padding(w)) {
			w->tensor++;
			w->tensor_done = 0;
		}
	}
	return report(w, err);
}

enum hokku_code gguf_writer_finish(struct gguf_writer *w, struct hokku_error *err)
{
	char quoted[100];
	if (!w->failure.code && !w->in_data)
		fail(w, HOKKU_INTERNAL, "finished before gguf_writer_begin_data");
	if (!w->failure.code && w->file.fd < 0)
		fail(w, HOKKU_INTERNAL, "finished twice");
	if (!w->failure.code && w->tensor < w->n_tensors)
		fail(w, HOKKU_INTERNAL, "tensor %s got %" PRIu64 " of its %" PRIu64 " bytes",
		     str_quote(w->tensors[w->tensor].name, quoted, sizeof quoted), w->tensor_done,
		     w->tensors[w->tensor].n_bytes);
	if (w->failure.code || flush(w, w->buffer, w->n_buffered))
		return report(w, err);
	w->n_buffered = 0;
	enum hokku_code rc = new_file_finish(&w->file, &w->failure);
	return rc ? report(w, err) : HOKKU_OK;
}
