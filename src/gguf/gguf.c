/* The handle: opening, closing, questions. What makes a file valid is parse.c's and cursor.c's business. */
#include "gguf/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gguf/gguf_internal.h"

struct gguf *gguf_new(const char *path, struct hokku_error *err)
{
	struct gguf *g = calloc(1, sizeof *g);
	if (g) {
		g->file.fd = -1;
		g->path = arena_strdup(&g->arena, path, strlen(path));
	}
	if (g && g->path)
		return g;
	gguf_close(g);
	err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to open it", path);
	return NULL;
}

static enum hokku_code finish(struct gguf *g, enum hokku_code rc, struct gguf **out)
{
	if (rc)
		gguf_close(g);
	else
		*out = g;
	return rc;
}

enum hokku_code gguf_open_single(const char *path, struct gguf **out, struct hokku_error *err)
{
	*out = NULL;
	struct gguf *g = gguf_new(path, err);
	if (!g)
		return HOKKU_OUT_OF_MEMORY;
	enum hokku_code rc = file_open(path, &g->file, err);
	if (!rc)
		rc = file_head_open(&g->head, &g->file, path, err);
	else
		rc = gguf_explain_folder(path, rc, err);
	g->data = g->head.data;
	g->n_bytes = g->file.size;
	if (!rc)
		rc = gguf_parse(g, err);
	file_head_trim(&g->head);
	return finish(g, rc, out);
}

enum hokku_code gguf_open_file(const char *path, struct gguf **out, struct hokku_error *err)
{
	struct gguf *g;
	*out = NULL;
	enum hokku_code rc = gguf_open_single(path, &g, err);
	return rc ? rc : gguf_complete(g, out, err);
}

enum hokku_code gguf_open_memory(const void *bytes, size_t n_bytes, const char *name, struct gguf **out,
				 struct hokku_error *err)
{
	*out = NULL;
	struct gguf *g = gguf_new(name, err);
	if (!g)
		return HOKKU_OUT_OF_MEMORY;
	g->in_memory = true;
	g->data = bytes;
	g->n_bytes = n_bytes;
	return finish(g, gguf_parse(g, err), out);
}

void gguf_close(struct gguf *g)
{
	if (!g)
		return;
	const struct gguf_reader reader = g->reader;
	file_head_close(&g->head);
	file_close(&g->file);
	arena_free(&g->arena);
	free(g);
	if (reader.close)
		reader.close(reader.self);
}

bool gguf_is_assembled(const struct gguf *g)
{
	return g->assembled && !g->joined;
}

const char *gguf_path(const struct gguf *g)
{
	return g->path;
}

uint32_t gguf_version(const struct gguf *g)
{
	return g->version;
}

uint32_t gguf_alignment(const struct gguf *g)
{
	return g->alignment;
}

uint64_t gguf_data_offset(const struct gguf *g)
{
	return g->data_offset;
}

uint64_t gguf_file_bytes(const struct gguf *g)
{
	return g->n_bytes;
}

uint64_t gguf_trailing_bytes(const struct gguf *g)
{
	return g->trailing_bytes;
}

enum hokku_code gguf_read(const struct gguf *g, uint64_t offset, void *to, size_t n_bytes,
			  struct hokku_error *err)
{
	if (offset > g->n_bytes || n_bytes > g->n_bytes - offset)
		return err_set(err, HOKKU_IO_ERROR,
			       "%s: bytes %" PRIu64 " to %" PRIu64 " are not in its %" PRIu64, g->path,
			       offset, offset + n_bytes, g->n_bytes);
	if (g->assembled)
		return g->reader.read(g->reader.self, offset, to, n_bytes, err);
	if (!g->in_memory)
		return file_read_at(&g->file, g->path, offset, to, n_bytes, err);
	if (n_bytes)
		memcpy(to, g->data + offset, n_bytes);
	return HOKKU_OK;
}

enum hokku_code gguf_unchanged(const struct gguf *g, struct hokku_error *err)
{
	if (g->assembled)
		return g->reader.unchanged(g->reader.self, err);
	return g->in_memory ? HOKKU_OK : file_unchanged(&g->file, g->path, err);
}

uint64_t gguf_n_kv(const struct gguf *g)
{
	return g->n_kv;
}

const struct gguf_kv *gguf_kv_at(const struct gguf *g, uint64_t i)
{
	return i < g->n_kv ? &g->kv[i] : NULL;
}

static const struct gguf_kv *find_kv(const struct gguf *g, const char *key)
{
	int64_t row = gguf_index_find(&g->keys, str_c(key));
	return row < 0 ? NULL : &g->kv[row];
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
	const struct gguf_kv *kv = find_kv(g, key);
	return kv ? &kv->value : NULL;
}

uint64_t gguf_n_tensors(const struct gguf *g)
{
	return g->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, uint64_t i)
{
	return i < g->n_tensors ? &g->tensors[i] : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
	int64_t row = gguf_index_find(&g->names, str_c(name));
	return row < 0 ? NULL : &g->tensors[row];
}

/* ---- typed questions ---- */

/* HOKKU_OK with *kv NULL when the key is absent and may be. */
static enum hokku_code look_up(const struct gguf *g, const char *key, const char *wanted, bool *found,
			       const struct gguf_kv **kv, struct hokku_error *err)
{
	*kv = find_kv(g, key);
	if (found)
		*found = *kv != NULL;
	if (!*kv && !found)
		return err_set(err, HOKKU_BAD_FILE, "%s: key \"%s\" is missing; %s is wanted", g->path, key,
			       wanted);
	return HOKKU_OK;
}

void gguf_describe(const struct gguf_value *v, char *out, size_t size)
{
	char quoted[80];
	switch (v->type) {
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		snprintf(out, size, "%s %" PRId64, gguf_type_name(v->type), v->i64);
		break;
	case GGUF_F32:
	case GGUF_F64:
		snprintf(out, size, "%s %.9g", gguf_type_name(v->type), v->f64);
		break;
	case GGUF_BOOL:
		snprintf(out, size, "bool %s", v->u64 ? "true" : "false");
		break;
	case GGUF_STRING:
		snprintf(out, size, "string %s", str_quote(v->string, quoted, sizeof quoted));
		break;
	case GGUF_ARRAY:
		snprintf(out, size, "an array of %" PRIu64 " %s", v->array.n, gguf_type_name(v->array.type));
		break;
	default:
		snprintf(out, size, "%s %" PRIu64, gguf_type_name(v->type), v->u64);
		break;
	}
}

static enum hokku_code refuse(const struct gguf *g, const struct gguf_kv *kv, const char *wanted,
			      struct hokku_error *err)
{
	char value[128], key[100];
	gguf_describe(&kv->value, value, sizeof value);
	return err_set(err, HOKKU_BAD_FILE, "%s: byte %" PRIu64 ": key %s is %s; %s is wanted", g->path,
		       kv->offset, str_quote(kv->key, key, sizeof key), value, wanted);
}

static bool is_unsigned(enum gguf_type type)
{
	return type == GGUF_U8 || type == GGUF_U16 || type == GGUF_U32 || type == GGUF_U64;
}

static bool is_signed(enum gguf_type type)
{
	return type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
}

enum hokku_code gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, bool *found,
			     struct hokku_error *err)
{
	static const char wanted[] = "a whole number from 0 to 4294967295";
	const struct gguf_kv *kv;
	enum hokku_code rc = look_up(g, key, wanted, found, &kv, err);
	if (rc || !kv)
		return rc;
	const struct gguf_value *v = &kv->value;
	bool fits = is_unsigned(v->type) || (is_signed(v->type) && v->i64 >= 0);
	if (!fits || v->u64 > UINT32_MAX)
		return refuse(g, kv, wanted, err);
	*out = (uint32_t)v->u64;
	return HOKKU_OK;
}

enum hokku_code gguf_get_f32(const struct gguf *g, const char *key, float *out, bool *found,
			     struct hokku_error *err)
{
	static const char wanted[] = "a number that a 32-bit float can hold";
	const struct gguf_kv *kv;
	enum hokku_code rc = look_up(g, key, wanted, found, &kv, err);
	if (rc || !kv)
		return rc;
	const struct gguf_value *v = &kv->value;
	float value;
	if (v->type == GGUF_F32 || v->type == GGUF_F64)
		value = (float)v->f64;
	else if (is_unsigned(v->type))
		value = (float)v->u64;
	else if (is_signed(v->type))
		value = (float)v->i64;
	else
		return refuse(g, kv, wanted, err);
	if (!isfinite(value))
		return refuse(g, kv, wanted, err);
	*out = value;
	return HOKKU_OK;
}

enum hokku_code gguf_get_bool(const struct gguf *g, const char *key, bool *out, bool *found,
			      struct hokku_error *err)
{
	const struct gguf_kv *kv;
	enum hokku_code rc = look_up(g, key, "a bool", found, &kv, err);
	if (rc || !kv)
		return rc;
	if (kv->value.type != GGUF_BOOL)
		return refuse(g, kv, "a bool", err);
	*out = kv->value.u64 != 0;
	return HOKKU_OK;
}

enum hokku_code gguf_get_str(const struct gguf *g, const char *key, struct str *out, bool *found,
			     struct hokku_error *err)
{
	const struct gguf_kv *kv;
	enum hokku_code rc = look_up(g, key, "a string", found, &kv, err);
	if (rc || !kv)
		return rc;
	if (kv->value.type != GGUF_STRING)
		return refuse(g, kv, "a string", err);
	*out = kv->value.string;
	return HOKKU_OK;
}

enum hokku_code gguf_get_array(const struct gguf *g, const char *key, enum gguf_type element,
			       struct gguf_array *out, bool *found, struct hokku_error *err)
{
	char wanted[32];
	snprintf(wanted, sizeof wanted, "an array of %s", gguf_type_name(element));
	const struct gguf_kv *kv;
	enum hokku_code rc = look_up(g, key, wanted, found, &kv, err);
	if (rc || !kv)
		return rc;
	if (kv->value.type != GGUF_ARRAY || kv->value.array.type != element)
		return refuse(g, kv, wanted, err);
	*out = kv->value.array;
	return HOKKU_OK;
}
