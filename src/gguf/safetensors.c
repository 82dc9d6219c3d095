/*
 * One file is one part; a folder of shards is several parts behind one index (safetensors_dir.c). Every
 * number of the header is checked against the file's real size before a pointer is made of it.
 */
#include "gguf/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gguf/safetensors_internal.h"

enum { LENGTH_BYTES = 8 };

static const struct {
	const char *name;
	uint32_t bits;
} dtypes[ST_N_DTYPES] = {
#define ST_X(name, bits) [ST_##name] = {#name, bits},
	ST_DTYPES(ST_X)
#undef ST_X
};

const char *st_dtype_name(enum st_dtype dtype)
{
	return (unsigned)dtype < ST_N_DTYPES ? dtypes[dtype].name : "unknown";
}

const char *st_shape(const struct st_tensor *t, char *out, size_t out_size)
{
	size_t n = (size_t)snprintf(out, out_size, "[");
	for (uint32_t i = 0; i < t->n_dims && n < out_size; i++)
		n += (size_t)snprintf(out + n, out_size - n, "%s%" PRIu64, i ? ", " : "", t->dims[i]);
	if (n < out_size)
		snprintf(out + n, out_size - n, "]");
	return out;
}

/* What a tensor's checks need: where messages point, and the size of the data. */
struct place {
	const char *path;
	char tensor[160]; /* quoted */
	uint64_t data_start, data_bytes;
	struct hokku_error *err;
};

#define bad(p, ...)                                                                                      \
	err_prefix((p)->err, err_set((p)->err, HOKKU_BAD_FILE, __VA_ARGS__), "%s: tensor %s", (p)->path, \
		   (p)->tensor)

static const char *json_kind(const struct jv *v)
{
	static const char *const names[] = {
		[JV_NULL] = "null",       [JV_BOOL] = "true or false", [JV_NUMBER] = "a fraction",
		[JV_STRING] = "a string", [JV_ARRAY] = "an array",     [JV_OBJECT] = "an object",
	};
	if (!jv_is(v, JV_NUMBER))
		return v ? names[v->type] : "absent";
	return strpbrk(v->text, "NI")    ? v->text /* NaN, Infinity */
	       : strpbrk(v->text, ".eE") ? names[JV_NUMBER]
					 : "an integer";
}

/* A length or an offset. what names it in messages: "shape[0]". */
static enum hokku_code read_size(const struct jv *v, const char *what, uint64_t *out, struct place *p)
{
	char found[48];
	int64_t n;
	if (!jv_is(v, JV_NUMBER) || strpbrk(v->text, ".eENI"))
		return bad(p, "%s is %s, not an integer", what, json_kind(v));
	if (v->text[0] == '-' && !(jv_int(v, &n) && n == 0))
		return bad(p, "%s is %s; it must not be negative", what, jv_text(v, found, sizeof found));
	if (!jv_int(v, &n))
		return bad(p, "%s is %s; 9223372036854775807 is the most allowed", what,
			   jv_text(v, found, sizeof found));
	*out = (uint64_t)n;
	return HOKKU_OK;
}

static enum hokku_code read_dtype(const struct jv *v, struct st_tensor *t, struct place *p)
{
	char found[64];
	if (!jv_is(v, JV_STRING))
		return bad(p, "dtype is %s, not a string", json_kind(v));
	for (unsigned i = 0; i < ST_N_DTYPES; i++) {
		if (str_eq_c(jv_str(v), dtypes[i].name)) {
			t->dtype = (enum st_dtype)i;
			return HOKKU_OK;
		}
	}
	return bad(p, "dtype is %s, which is none of the format's (F32, F16, BF16, F64, I64, ...)",
		   str_quote(jv_str(v), found, sizeof found));
}

static enum hokku_code read_shape(const struct jv *v, struct st_tensor *t, struct place *p)
{
	if (!jv_is(v, JV_ARRAY))
		return bad(p, "shape is %s, not an array", json_kind(v));
	if (jv_len(v) > ST_MAX_DIMS)
		return bad(p, "shape has %zu dimensions; at most %d are allowed", jv_len(v), ST_MAX_DIMS);
	t->n_dims = (uint32_t)jv_len(v);
	t->n_elements = 1;
	for (uint32_t i = 0; i < ST_MAX_DIMS; i++)
		t->dims[i] = 1;
	for (uint32_t i = 0; i < t->n_dims; i++) {
		char what[24];
		snprintf(what, sizeof what, "shape[%u]", i);
		enum hokku_code rc = read_size(jv_at(v, i), what, &t->dims[i], p);
		if (rc)
			return rc;
		if (__builtin_mul_overflow(t->n_elements, t->dims[i], &t->n_elements))
			return bad(p, "shape's product passes 2^64 at shape[%u] = %" PRIu64, i, t->dims[i]);
	}
	uint64_t bits;
	if (__builtin_mul_overflow(t->n_elements, (uint64_t)dtypes[t->dtype].bits, &bits))
		return bad(p, "%" PRIu64 " elements of %s are more bits than 2^64", t->n_elements,
			   dtypes[t->dtype].name);
	if (bits % 8)
		return bad(p, "%" PRIu64 " elements of %s end within a byte", t->n_elements,
			   dtypes[t->dtype].name);
	t->n_bytes = bits / 8;
	return HOKKU_OK;
}

static enum hokku_code read_offsets(const struct jv *v, struct st_tensor *t, struct place *p)
{
	uint64_t at[2];
	static const char *const words[2] = {"data_offsets' begin", "data_offsets' end"};
	if (jv_len(v) != 2)
		return bad(p, "data_offsets is %s%s; it must be [begin, end]", json_kind(v),
			   jv_is(v, JV_ARRAY) ? " of another length than 2" : "");
	for (size_t i = 0; i < 2; i++) {
		enum hokku_code rc = read_size(jv_at(v, i), words[i], &at[i], p);
		if (rc)
			return rc;
	}
	if (at[0] > at[1])
		return bad(p, "data_offsets begin at %" PRIu64 ", after their end %" PRIu64, at[0], at[1]);
	if (at[1] > p->data_bytes)
		return bad(p,
			   "data_offsets end at %" PRIu64 ", past the %" PRIu64
			   " bytes of data in the file (is it cut short?)",
			   at[1], p->data_bytes);
	char shape[192];
	if (at[1] - at[0] != t->n_bytes)
		return bad(p, "data_offsets hold %" PRIu64 " bytes; %s %s needs %" PRIu64, at[1] - at[0],
			   dtypes[t->dtype].name, st_shape(t, shape, sizeof shape), t->n_bytes);
	uint32_t align = dtypes[t->dtype].bits / 8;
	if (align > 1 && at[0] % align)
		return bad(p,
			   "data_offsets begin at %" PRIu64
			   ", which is not a multiple of the %u bytes of a %s",
			   at[0], align, dtypes[t->dtype].name);
	t->offset = p->data_start + at[0];
	return HOKKU_OK;
}

static enum hokku_code read_tensor(struct str name, const struct jv *entry, struct st_tensor *t,
				   struct place *p)
{
	static const char *const known[] = {"dtype", "shape", "data_offsets", NULL};
	char quoted[64];
	t->name = name;
	str_quote(t->name, p->tensor, sizeof p->tensor);
	if (name.len == 0 || name.len > ST_MAX_NAME_BYTES)
		return bad(p, "the name has %zu bytes; 1 to %d are allowed", name.len, ST_MAX_NAME_BYTES);
	if (!jv_is(entry, JV_OBJECT))
		return bad(p, "its entry is %s, not an object", json_kind(entry));
	for (uint32_t i = 0; i < entry->n; i++) {
		bool found = false;
		for (const char *const *k = known; *k; k++)
			found = found || str_eq_c(jv_key(entry, i), *k);
		if (!found)
			return bad(p, "unknown field %s; dtype, shape and data_offsets are allowed",
				   str_quote(jv_key(entry, i), quoted, sizeof quoted));
	}
	enum hokku_code rc = read_dtype(jv_get(entry, "dtype"), t, p);
	if (!rc)
		rc = read_shape(jv_get(entry, "shape"), t, p);
	if (!rc)
		rc = read_offsets(jv_get(entry, "data_offsets"), t, p);
	return rc;
}

static int by_offset(const void *a, const void *b)
{
	const struct st_tensor *x = a, *y = b;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->n_bytes < y->n_bytes ? -1
				       : x->n_bytes > y->n_bytes; /* empty ones first: they cover nothing */
}

/* The tensors must cover the data exactly. Leaves them sorted by offset. */
static enum hokku_code check_cover(struct st_part *part, uint64_t start, uint64_t end, const char *path,
				   struct hokku_error *err)
{
	uint64_t at = start;
	char name[160], before[160] = "the header";
	if (part->n_tensors)
		qsort(part->tensors, part->n_tensors, sizeof *part->tensors, by_offset);
	for (uint64_t i = 0; i < part->n_tensors; i++) {
		const struct st_tensor *t = &part->tensors[i];
		str_quote(t->name, name, sizeof name);
		if (t->offset < at)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: tensor %s: data_offsets begin at %" PRIu64
				       ", inside tensor %s, which ends at %" PRIu64,
				       path, name, t->offset - start, before, at - start);
		if (t->offset > at)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: tensor %s: data_offsets begin at %" PRIu64
				       " and leave a hole of %" PRIu64
				       " bytes after %s; no holes are allowed",
				       path, name, t->offset - start, t->offset - at, before);
		at += t->n_bytes;
		memcpy(before, name, sizeof before);
	}
	if (at != end)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: %" PRIu64 " bytes of data after %s belong to no tensor", path, end - at,
			       before);
	return HOKKU_OK;
}

static enum hokku_code check_metadata(const struct jv *meta, const char *path, struct hokku_error *err)
{
	char quoted[96];
	if (!jv_is(meta, JV_OBJECT))
		return err_set(err, HOKKU_BAD_FILE, "%s: __metadata__ is %s, not an object of strings", path,
			       json_kind(meta));
	for (uint32_t i = 0; i < meta->n; i++)
		if (!jv_is(jv_value(meta, i), JV_STRING))
			return err_set(err, HOKKU_BAD_FILE, "%s: __metadata__ %s is %s, not a string", path,
				       str_quote(jv_key(meta, i), quoted, sizeof quoted),
				       json_kind(jv_value(meta, i)));
	return HOKKU_OK;
}

static enum hokku_code part_read(const struct st_part *part, uint64_t offset, void *to, size_t n,
				 struct hokku_error *err)
{
	if (!part->bytes)
		return file_read_at(&part->file, part->path, offset, to, n, err);
	if (n)
		memcpy(to, part->bytes + offset, n);
	return HOKKU_OK;
}

/* The length of the header, checked against the size of the file. */
static enum hokku_code take_length(const struct st_part *part, uint64_t *length, struct hokku_error *err)
{
	static const char lfs[] = "version https://git-lfs";
	const char *path = part->path;
	uint8_t begin[sizeof lfs - 1] = {0};
	uint64_t n = 0;
	if (part->size < LENGTH_BYTES)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: %" PRIu64 " bytes; a safetensors file has at least %d", path, part->size,
			       LENGTH_BYTES + 2);
	enum hokku_code rc =
		part_read(part, 0, begin, part->size < sizeof begin ? part->size : sizeof begin, err);
	if (rc)
		return rc;
	for (int i = LENGTH_BYTES - 1; i >= 0; i--)
		n = n << 8 | begin[i];
	if (memcmp(begin, lfs, sizeof begin) == 0)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: it is a Git LFS pointer; fetch the file itself with `git lfs pull`",
			       path);
	if (n < 2 || n > ST_MAX_HEADER_BYTES)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: the header length is %" PRIu64 "; 2 to %d are allowed", path, n,
			       ST_MAX_HEADER_BYTES);
	if (n > part->size - LENGTH_BYTES)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: the header length is %" PRIu64 ", but only %" PRIu64 " bytes follow",
			       path, n, part->size - LENGTH_BYTES);
	*length = n;
	return HOKKU_OK;
}

static enum hokku_code parse_header(struct st_part *part, const char *text, uint64_t n,
				    struct hokku_error *err)
{
	if (text[0] != '{')
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: the header begins with byte 0x%02x; it must be '{' (0x7b)", part->path,
			       (unsigned char)text[0]);
	enum hokku_code rc = jv_parse((struct str){text, n}, JV_NONFINITE, &part->header, err);
	if (rc)
		return err_prefix(err, rc, "%s: header", part->path);
	return HOKKU_OK;
}

static enum hokku_code take_header(struct st_part *part, uint64_t *data_start, struct hokku_error *err)
{
	uint64_t n = 0;
	enum hokku_code rc = take_length(part, &n, err);
	if (rc)
		return rc;
	*data_start = LENGTH_BYTES + n;
	if (part->bytes)
		return parse_header(part, (const char *)part->bytes + LENGTH_BYTES, n, err);
	char *text = malloc(n);
	if (!text)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for a header of %" PRIu64 " bytes",
			       part->path, n);
	rc = part_read(part, LENGTH_BYTES, text, n, err);
	if (!rc)
		rc = parse_header(part, text, n, err);
	free(text);
	return rc;
}

static enum hokku_code read_part(struct safetensors *st, size_t i, struct hokku_error *err)
{
	struct st_part *part = &st->parts[i];
	const char *path = part->path;
	struct place p = {.path = path, .err = err};
	enum hokku_code rc = take_header(part, &p.data_start, err);
	if (rc)
		return rc;
	p.data_bytes = part->size - p.data_start;
	const struct jv *header = &part->header.root;
	part->tensors = calloc((size_t)header->n + 1, sizeof *part->tensors);
	if (!part->tensors)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %u tensors", path, header->n);
	for (uint32_t k = 0; k < header->n; k++) {
		if (str_eq_c(jv_key(header, k), "__metadata__"))
			rc = check_metadata(jv_value(header, k), path, err);
		else
			rc = read_tensor(jv_key(header, k), jv_value(header, k),
					 &part->tensors[part->n_tensors++], &p);
		if (rc)
			return rc;
	}
	for (uint64_t k = 0; k < part->n_tensors; k++)
		part->tensors[k].part = i;
	return check_cover(part, p.data_start, part->size, path, err);
}

enum hokku_code st_part_open(struct safetensors *st, size_t i, const char *path, struct hokku_error *err)
{
	struct st_part *part = &st->parts[i];
	part->path = strdup(path);
	if (!part->path)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to open it", path);
	if (!part->bytes) {
		enum hokku_code rc = file_open(path, &part->file, err);
		if (rc)
			return rc;
		part->size = part->file.size;
	}
	return read_part(st, i, err);
}

enum hokku_code st_read(const struct safetensors *st, const struct st_tensor *t, uint64_t from, void *to,
			size_t n, struct hokku_error *err)
{
	return part_read(&st->parts[t->part], t->offset + from, to, n, err);
}

enum hokku_code st_unchanged(const struct safetensors *st, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < st->n_parts && !rc; i++)
		if (!st->parts[i].bytes)
			rc = file_unchanged(&st->parts[i].file, st->parts[i].path, err);
	return rc;
}

void st_close(struct safetensors *st)
{
	if (!st)
		return;
	for (size_t i = 0; i < st->n_parts; i++) {
		struct st_part *part = &st->parts[i];
		jv_doc_free(&part->header);
		free(part->tensors);
		file_close(&part->file);
		free(part->path);
	}
	free(st->parts);
	free(st->index);
	jv_doc_free(&st->map);
	free(st);
}

static int by_name(const void *a, const void *b)
{
	const struct st_tensor *x = *(const struct st_tensor *const *)a,
			       *y = *(const struct st_tensor *const *)b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order = n ? memcmp(x->name.ptr, y->name.ptr, n) : 0;
	return order ? order : x->name.len < y->name.len ? -1 : x->name.len > y->name.len;
}

void st_index_sort(struct safetensors *st)
{
	if (st->n_index)
		qsort(st->index, st->n_index, sizeof(struct st_tensor *), by_name);
}

struct safetensors *st_new(size_t n_parts)
{
	struct safetensors *st = calloc(1, sizeof *st);
	if (!st)
		return NULL;
	st->parts = calloc(n_parts, sizeof *st->parts);
	st->n_parts = n_parts;
	for (size_t i = 0; st->parts && i < n_parts; i++)
		st->parts[i].file.fd = -1;
	if (st->parts)
		return st;
	free(st);
	return NULL;
}

/* bytes NULL: the file at path. */
static enum hokku_code open_single(const void *bytes, size_t n_bytes, const char *path,
				   struct safetensors **out, struct hokku_error *err)
{
	*out = NULL;
	struct safetensors *st = st_new(1);
	if (!st)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to open it", path);
	struct st_part *part = &st->parts[0];
	part->bytes = bytes;
	part->size = n_bytes;
	enum hokku_code rc = st_part_open(st, 0, path, err);
	if (!rc) {
		st->index = calloc(part->n_tensors + 1, sizeof(struct st_tensor *));
		if (!st->index)
			rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its index", path);
	}
	if (rc || !st->index) {
		st_close(st);
		return rc;
	}
	for (uint64_t i = 0; i < part->n_tensors; i++)
		st->index[i] = &part->tensors[i];
	st->n_index = part->n_tensors;
	st_index_sort(st);
	*out = st;
	return HOKKU_OK;
}

enum hokku_code st_open_file(const char *path, struct safetensors **out, struct hokku_error *err)
{
	return open_single(NULL, 0, path, out, err);
}

enum hokku_code st_open_memory(const void *bytes, size_t n_bytes, const char *name, struct safetensors **out,
			       struct hokku_error *err)
{
	return open_single(bytes ? bytes : "", n_bytes, name, out, err);
}

uint64_t st_n_tensors(const struct safetensors *st)
{
	return st->n_index;
}

const struct st_tensor *st_tensor_at(const struct safetensors *st, uint64_t i)
{
	return i < st->n_index ? st->index[i] : NULL;
}

const struct st_tensor *st_find_str(const struct safetensors *st, struct str name)
{
	const struct st_tensor wanted = {.name = name}, *key = &wanted;
	struct st_tensor **hit = NULL;
	if (st->n_index)
		hit = bsearch(&key, st->index, st->n_index, sizeof(struct st_tensor *), by_name);
	return hit ? *hit : NULL;
}

const struct st_tensor *st_find(const struct safetensors *st, const char *name)
{
	return st_find_str(st, str_c(name));
}
