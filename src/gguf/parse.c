/*
 * From bytes to a checked handle, in the order of the file: header, keys, tensor infos; then what can only be
 * judged with all of them known (duplicates, overlaps, the end of the file). Tensor data is never touched.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gguf/gguf_internal.h"

enum {
	HEADER_BYTES = 24,     /* magic, version, tensor count, key count */
	KEY_BYTES_MIN = 14,    /* length, one character, type, one byte of value */
	TENSOR_BYTES_MIN = 25, /* length, one character, dimension count, type, offset */
	STRANGER_BYTES = 64    /* looked at to tell what a file is that is no GGUF file */
};

/* ---- header ---- */

/* Files that people hand to a GGUF reader by mistake. */
static const struct {
	const char *begin, *is;
} strangers[] = {
	{"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"},
	{"PK\x03\x04", "a zip archive or a PyTorch checkpoint"},
	{"\x80\x02", "a Python pickle, as old PyTorch checkpoints are"},
	{"\x89HDF", "an HDF5 file"},
	{"{", "a JSON file"},
	{"\xEF\xBB\xBF{", "a JSON file"},
	{"tjgg", "a GGJT file of the time before GGUF"},
	{"fmgg", "a GGMF file of the time before GGUF"},
	{"lmgg", "a GGML file of the time before GGUF"},
	{"<!DOCTYPE", "a web page"},
	{"<html", "a web page"},
	{"algg", "a LoRA adapter of the time before GGUF"},
	{"nsgg", "a session saved by llama.cpp, not a model"},
	{"qsgg", "a sequence's state saved by llama.cpp, not a model"},
	{"\x1f\x8b", "a gzip archive; unpack it first"},
	{"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"},
};

/* llama.cpp's importance matrices of the time before GGUF: a count, then the length of a tensor's name and
 * the name. */
static bool is_old_imatrix(struct str all)
{
	static const char *const names[] = {"blk.", "output.weight", "token_embd.weight"};
	struct str name = {all.ptr + 8, all.len > 8 ? all.len - 8 : 0};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (all.len > 8 && str_starts(name, str_c(names[i])))
			return true;
	return false;
}

/* Whether a name says that the file is a piece of another, as `split` and uploaders name them. */
static bool is_named_piece(const char *path)
{
	const char *name = file_base_name(path);
	return strstr(name, "part") || strstr(name, "split") || strstr(name, "-of-");
}

static enum hokku_code check_magic(struct gguf_cursor *c)
{
	char quoted[64];
	struct str all = {(const char *)c->data, c->n_bytes < STRANGER_BYTES ? c->n_bytes : STRANGER_BYTES};
	enum hokku_code rc = gguf_reach(c, all.len);
	if (rc)
		return rc;
	if (str_starts(all, STR_LIT("GGUF")))
		return HOKKU_OK;
	if (all.len == 0)
		return err_set(c->err, HOKKU_BAD_FILE,
			       "%s: the file is empty; a GGUF file begins with \"GGUF\"", c->path);
	if (gguf_is_safetensors(all))
		return gguf_explain_safetensors(c->path, c->err);
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
		if (str_starts(all, str_c(strangers[i].begin)))
			return err_set(c->err, HOKKU_BAD_FILE, "%s: not a GGUF file: it looks like %s",
				       c->path, strangers[i].is);
	if (is_old_imatrix(all))
		return err_set(
			c->err, HOKKU_BAD_FILE,
			"%s: not a GGUF file: it looks like an importance matrix of llama.cpp's; give the "
			"model's own file",
			c->path);
	if (all.len > 4)
		all.len = 4;
	return err_set(c->err, HOKKU_BAD_FILE, "%s: not a GGUF file: it begins with %s; \"GGUF\" is wanted%s",
		       c->path, str_quote(all, quoted, sizeof quoted),
		       is_named_piece(c->path)
			       ? " (a later piece of a file that was cut into pieces is joined to "
				 "the first with `cat`)"
			       : "");
}

static enum hokku_code check_version(struct gguf_cursor *c, uint32_t version)
{
	uint32_t swapped = __builtin_bswap32(version);
	if (version == 2 || version == 3)
		return HOKKU_OK;
	if (swapped >= 1 && swapped <= 0xFFFF)
		return gguf_bad(c, 4,
				"the file is big-endian (GGUF version %" PRIu32
				"); only little-endian files can be read",
				swapped);
	return gguf_bad(c, 4, "the GGUF version is %" PRIu32 "; 2 and 3 can be read", version);
}

/* A count that the rest of the file cannot hold is refused before anything is allocated for it. */
static enum hokku_code take_count(struct gguf_cursor *c, const char *what, uint64_t max, uint64_t bytes_min,
				  uint64_t *out)
{
	uint64_t at = c->at;
	enum hokku_code rc = gguf_take_u64(c, what, out);
	if (rc)
		return rc;
	if (*out > max)
		return gguf_bad(c, at, "%s is %" PRIu64 "; at most %" PRIu64 " are allowed", what, *out, max);
	uint64_t left = c->n_bytes > HEADER_BYTES ? c->n_bytes - HEADER_BYTES : 0;
	if (*out > left / bytes_min)
		return gguf_bad(c, at,
				"%s is %" PRIu64 "; the %" PRIu64
				" bytes after the header hold at most %" PRIu64 " (is the file cut short?)",
				what, *out, left, left / bytes_min);
	return HOKKU_OK;
}

static enum hokku_code take_header(struct gguf *g, struct gguf_cursor *c)
{
	enum hokku_code rc = check_magic(c);
	if (rc)
		return rc;
	c->at = 4;
	rc = gguf_take_u32(c, "the version", &g->version);
	if (!rc)
		rc = check_version(c, g->version);
	if (!rc)
		rc = take_count(c, "the number of tensors", GGUF_MAX_TENSORS, TENSOR_BYTES_MIN,
				&g->n_tensors);
	if (!rc)
		rc = take_count(c, "the number of keys", GGUF_MAX_KEYS, KEY_BYTES_MIN, &g->n_kv);
	if (rc)
		return rc;
	g->kv = arena_array(&g->arena, g->n_kv, sizeof *g->kv);
	g->tensors = arena_array(&g->arena, g->n_tensors, sizeof *g->tensors);
	uint32_t *key_order = arena_array(&g->arena, g->n_kv, sizeof *key_order);
	uint32_t *name_order = arena_array(&g->arena, g->n_tensors, sizeof *name_order);
	if (!g->kv || !g->tensors || !key_order || !name_order)
		return err_set(c->err, HOKKU_OUT_OF_MEMORY,
			       "%s: no memory for %" PRIu64 " keys and %" PRIu64 " tensors", c->path, g->n_kv,
			       g->n_tensors);
	g->keys.order = key_order;
	g->names.order = name_order;
	return HOKKU_OK;
}

/* ---- keys ---- */

/* Names are printed, compared and put into JSON: text, without control characters. */
static enum hokku_code check_name(struct gguf_cursor *c, uint64_t at, const char *what, struct str name)
{
	char quoted[128];
	if (name.len == 0)
		return gguf_bad(c, at, "%s is empty", what);
	bool is_text = utf8_valid_prefix(name.ptr, name.len) == name.len;
	for (size_t i = 0; i < name.len && is_text; i++)
		is_text = (unsigned char)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7F;
	if (is_text)
		return HOKKU_OK;
	return gguf_bad(c, at, "%s is %s; it must be UTF-8 without control characters", what,
			str_quote(name, quoted, sizeof quoted));
}

/* Where the name of a row begins (with its length). */
static uint64_t name_offset(const struct gguf_cursor *c, const struct gguf_index *index, int64_t row,
			    struct str *name)
{
	memcpy(name, (const char *)index->base + (uint64_t)row * index->stride, sizeof *name);
	return (uint64_t)((const uint8_t *)name->ptr - c->data) - sizeof(uint64_t);
}

static enum hokku_code check_duplicates(struct gguf_cursor *c, const struct gguf_index *index)
{
	struct str name;
	int64_t first = 0, row = gguf_index_duplicate(index, &first);
	if (row < 0)
		return HOKKU_OK;
	uint64_t first_at = name_offset(c, index, first, &name);
	uint64_t at = name_offset(c, index, row, &c->name);
	return gguf_bad(c, at, "the same name stands at byte %" PRIu64 "; each %s may occur once", first_at,
			c->kind);
}

static enum hokku_code take_keys(struct gguf *g, struct gguf_cursor *c)
{
	enum hokku_code rc = HOKKU_OK;
	c->kind = "key";
	c->n = g->n_kv;
	for (c->i = 0; c->i < g->n_kv && !rc; c->i++) {
		struct gguf_kv *kv = &g->kv[c->i];
		kv->offset = c->at;
		c->name = (struct str){0};
		rc = gguf_take_string(c, "the key", GGUF_MAX_KEY_BYTES, &kv->key);
		if (!rc)
			rc = check_name(c, kv->offset, "the key", kv->key);
		if (rc)
			break;
		c->name = kv->key;
		rc = gguf_take_value(c, &kv->value);
	}
	if (rc)
		return rc;
	gguf_index_build(&g->keys, g->keys.order, g->kv, sizeof *g->kv, g->n_kv);
	return check_duplicates(c, &g->keys);
}

static enum hokku_code set_alignment(struct gguf *g, struct gguf_cursor *c)
{
	g->alignment = (uint32_t)GGUF_DEFAULT_ALIGNMENT;
	int64_t row = gguf_index_find(&g->keys, STR_LIT("general.alignment"));
	if (row < 0)
		return HOKKU_OK;
	const struct gguf_kv *kv = &g->kv[row];
	uint64_t at = kv->offset + 8 + kv->key.len;
	c->name = kv->key;
	if (kv->value.type != GGUF_U32)
		return gguf_bad(c, at, "the value's type is %s; it must be u32",
				gguf_type_name(kv->value.type));
	uint64_t n = kv->value.u64;
	if (n < GGUF_MIN_ALIGNMENT || n > GGUF_MAX_ALIGNMENT || (n & (n - 1)))
		return gguf_bad(c, at + 4,
				"the alignment is %" PRIu64 "; it must be a power of two from %" PRIu64
				" to %" PRIu64,
				n, GGUF_MIN_ALIGNMENT, GGUF_MAX_ALIGNMENT);
	g->alignment = (uint32_t)n;
	return HOKKU_OK;
}

/* ---- tensors ---- */

static enum hokku_code take_dims(struct gguf_cursor *c, struct gguf_tensor *t)
{
	uint64_t at = c->at;
	enum hokku_code rc = gguf_take_u32(c, "the number of dimensions", &t->n_dims);
	if (rc)
		return rc;
	if (t->n_dims > GGUF_MAX_DIMS)
		return gguf_bad(c, at, "the number of dimensions is %" PRIu32 "; at most %d are allowed",
				t->n_dims, GGUF_MAX_DIMS);
	t->n_elements = 1;
	for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
		t->dims[i] = 1;
		if (i >= t->n_dims)
			continue;
		at = c->at;
		rc = gguf_take_u64(c, "a dimension", &t->dims[i]);
		if (rc)
			return rc;
		if (t->dims[i] == 0 || t->dims[i] > GGUF_MAX_ELEMENTS)
			return gguf_bad(c, at,
					"dimension %" PRIu32 " is %" PRIu64 "; it must be 1 to %" PRIu64, i,
					t->dims[i], GGUF_MAX_ELEMENTS);
		if (t->n_elements > GGUF_MAX_ELEMENTS / t->dims[i])
			return gguf_bad(c, at,
					"%" PRIu64 " x %" PRIu64 " elements in dimensions 0 to %" PRIu32
					"; at most %" PRIu64 " are allowed",
					t->n_elements, t->dims[i], i, GGUF_MAX_ELEMENTS);
		t->n_elements *= t->dims[i];
	}
	return HOKKU_OK;
}

static enum hokku_code take_tensor_type(struct gguf_cursor *c, struct gguf_tensor *t)
{
	uint32_t id;
	uint64_t at = c->at;
	enum hokku_code rc = gguf_take_u32(c, "the tensor's type", &id);
	if (rc)
		return rc;
	t->type = (enum tensor_type)id;
	const struct tensor_type_info *info = tensor_type_get(id);
	if (!info)
		info = tensor_type_removed(id, NULL);
	if (!info)
		return HOKKU_OK; /* of unknown size: whoever only lists it can do so */
	if (t->dims[0] % info->block_elements)
		return gguf_bad(
			c, at, "its rows have %" PRIu64 " elements; the type %s wants a multiple of %" PRIu32,
			t->dims[0], info->name, info->block_elements);
	t->n_bytes = t->n_elements / info->block_elements * info->block_bytes;
	return HOKKU_OK;
}

/* One tensor info. t->offset stays relative until data_offset is known. */
static enum hokku_code take_tensor(struct gguf *g, struct gguf_cursor *c, struct gguf_tensor *t)
{
	uint64_t at = c->at;
	enum hokku_code rc = gguf_take_string(c, "the tensor's name", GGUF_MAX_NAME_BYTES, &t->name);
	if (!rc)
		rc = check_name(c, at, "the tensor's name", t->name);
	if (rc)
		return rc;
	c->name = t->name;
	rc = take_dims(c, t);
	if (!rc)
		rc = take_tensor_type(c, t);
	at = c->at;
	if (!rc)
		rc = gguf_take_u64(c, "the tensor's offset", &t->offset);
	if (!rc && t->offset % g->alignment)
		rc = gguf_bad(c, at,
			      "its offset is %" PRIu64 "; it must be a multiple of the alignment, %" PRIu32,
			      t->offset, g->alignment);
	return rc;
}

/* Where in the file a tensor's offset field stands. */
static uint64_t offset_field(const struct gguf *g, const struct gguf_tensor *t)
{
	uint64_t name_at = (uint64_t)((const uint8_t *)t->name.ptr - g->data);
	return name_at + t->name.len + 4 + 8 * (uint64_t)t->n_dims + 4;
}

static enum hokku_code place_tensor(struct gguf *g, struct gguf_cursor *c, struct gguf_tensor *t)
{
	uint64_t room = g->n_bytes > g->data_offset ? g->n_bytes - g->data_offset : 0;
	uint64_t least = t->n_bytes ? t->n_bytes : 1;
	c->name = t->name;
	if (t->offset > room || least > room - t->offset)
		return gguf_bad(c, offset_field(g, t),
				"its offset is %" PRIu64 " and it takes %" PRIu64
				" bytes; the file holds %" PRIu64 " bytes of tensor data (is it cut short?)",
				t->offset, least, room);
	t->offset += g->data_offset;
	t->data = g->in_memory ? g->data + t->offset : NULL;
	return HOKKU_OK;
}

static int compare_offsets(const void *a, const void *b, void *tensors)
{
	const struct gguf_tensor *t = tensors;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	if (t[i].offset != t[j].offset)
		return t[i].offset < t[j].offset ? -1 : 1;
	return (i > j) - (i < j);
}

/* Also finds what lies after the last tensor. order: scratch of n_tensors words. */
static enum hokku_code check_overlaps(struct gguf *g, struct gguf_cursor *c, uint32_t *order)
{
	char other[100];
	uint64_t end = g->data_offset;
	bool unknown_tail = false;
	for (uint32_t i = 0; i < g->n_tensors; i++)
		order[i] = i;
	if (g->n_tensors > 1)
		qsort_r(order, g->n_tensors, sizeof *order, compare_offsets, g->tensors);
	for (uint64_t i = 0; i < g->n_tensors; i++) {
		const struct gguf_tensor *t = &g->tensors[order[i]];
		if (i > 0 && t->offset < end) {
			const struct gguf_tensor *before = &g->tensors[order[i - 1]];
			c->name = t->name;
			return gguf_bad(c, offset_field(g, t),
					"its bytes begin at %" PRIu64 ", inside those of tensor %s (%" PRIu64
					" to %" PRIu64 "); tensors must not overlap",
					t->offset, str_quote(before->name, other, sizeof other),
					before->offset, end);
		}
		end = t->offset + (t->n_bytes ? t->n_bytes : 1); /* of an unknown size, but not none */
		unknown_tail = !t->n_bytes;
	}
	if (unknown_tail)
		end = g->n_bytes;
	end = gguf_align_up(end, g->alignment);
	g->trailing_bytes = g->n_bytes > end ? g->n_bytes - end : 0;
	return HOKKU_OK;
}

static enum hokku_code take_tensors(struct gguf *g, struct gguf_cursor *c)
{
	enum hokku_code rc = HOKKU_OK;
	c->kind = "tensor";
	c->n = g->n_tensors;
	for (c->i = 0; c->i < g->n_tensors && !rc; c->i++) {
		c->name = (struct str){0};
		rc = take_tensor(g, c, &g->tensors[c->i]);
	}
	if (rc)
		return rc;
	g->data_offset = gguf_align_up(c->at, g->alignment);
	for (uint64_t i = 0; i < g->n_tensors && !rc; i++)
		rc = place_tensor(g, c, &g->tensors[i]);
	if (!rc)
		rc = check_overlaps(g, c, g->names.order);
	if (rc)
		return rc;
	gguf_index_build(&g->names, g->names.order, g->tensors, sizeof *g->tensors, g->n_tensors);
	return check_duplicates(c, &g->names);
}

enum hokku_code gguf_parse(struct gguf *g, struct hokku_error *err)
{
	struct gguf_cursor c = {.data = g->data,
				.n_bytes = g->n_bytes,
				.head = g->in_memory ? NULL : &g->head,
				.path = g->path,
				.err = err};
	enum hokku_code rc = take_header(g, &c);
	if (!rc)
		rc = take_keys(g, &c);
	if (!rc)
		rc = set_alignment(g, &c);
	if (!rc)
		rc = take_tensors(g, &c);
	return rc;
}
