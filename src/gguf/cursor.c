#include <inttypes.h>
#include <stdio.h>

#include "gguf/gguf_internal.h"

enum { QUOTE_BYTES = 100 }; /* of a name in a message: a tensor's whole, a key's beginning */

enum hokku_code gguf_bad(struct gguf_cursor *c, uint64_t at, const char *format, ...)
{
	char text[sizeof c->err->message], quoted[QUOTE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!c->kind)
		err_set(c->err, HOKKU_BAD_FILE, "%s: byte %" PRIu64 ": %s", c->path, at, text);
	else if (c->name.len)
		err_set(c->err, HOKKU_BAD_FILE, "%s: byte %" PRIu64 ": %s %s: %s", c->path, at, c->kind,
			str_quote(c->name, quoted, sizeof quoted), text);
	else
		err_set(c->err, HOKKU_BAD_FILE, "%s: byte %" PRIu64 ": %s %" PRIu64 " of %" PRIu64 ": %s",
			c->path, at, c->kind, c->i + 1, c->n, text);
	return HOKKU_BAD_FILE;
}

enum hokku_code gguf_reach(struct gguf_cursor *c, uint64_t n)
{
	return c->head ? file_head_reach(c->head, n, c->path, c->err) : HOKKU_OK;
}

/* *p is n bytes at the cursor. */
static enum hokku_code take(struct gguf_cursor *c, const char *what, uint64_t n, const uint8_t **p)
{
	*p = NULL;
	if (n > c->n_bytes - c->at) {
		gguf_bad(c, c->at,
			 "%s needs %" PRIu64 " bytes; the file has %" PRIu64 " more (is it cut short?)", what,
			 n, c->n_bytes - c->at);
		return HOKKU_BAD_FILE;
	}
	enum hokku_code rc = gguf_reach(c, c->at + n);
	*p = c->data + c->at;
	c->at += n;
	return rc;
}

enum hokku_code gguf_take_u32(struct gguf_cursor *c, const char *what, uint32_t *out)
{
	const uint8_t *p;
	enum hokku_code rc = take(c, what, sizeof *out, &p);
	if (!rc)
		memcpy(out, p, sizeof *out);
	return rc;
}

enum hokku_code gguf_take_u64(struct gguf_cursor *c, const char *what, uint64_t *out)
{
	const uint8_t *p;
	enum hokku_code rc = take(c, what, sizeof *out, &p);
	if (!rc)
		memcpy(out, p, sizeof *out);
	return rc;
}

enum hokku_code gguf_take_string(struct gguf_cursor *c, const char *what, uint64_t max, struct str *out)
{
	uint64_t start = c->at, n;
	enum hokku_code rc = gguf_take_u64(c, what, &n);
	if (rc)
		return rc;
	if (n > max)
		return gguf_bad(c, start, "%s has %" PRIu64 " bytes; at most %" PRIu64 " are allowed", what,
				n, max);
	const uint8_t *p;
	rc = take(c, what, n, &p);
	if (!rc)
		*out = (struct str){(const char *)p, n};
	return rc;
}

/* ---- values ---- */

static const struct {
	const char *name;
	uint32_t bytes;
} types[GGUF_N_TYPES] = {
	[GGUF_U8] = {"u8", 1},         [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2},
	[GGUF_I16] = {"i16", 2},       [GGUF_U32] = {"u32", 4},     [GGUF_I32] = {"i32", 4},
	[GGUF_F32] = {"f32", 4},       [GGUF_BOOL] = {"bool", 1},   [GGUF_U64] = {"u64", 8},
	[GGUF_STRING] = {"string", 0}, [GGUF_ARRAY] = {"array", 0}, [GGUF_I64] = {"i64", 8},
	[GGUF_F64] = {"f64", 8},
};

const char *gguf_type_name(enum gguf_type type)
{
	return (unsigned)type < GGUF_N_TYPES ? types[type].name : "unknown";
}

uint32_t gguf_type_bytes(uint32_t type)
{
	return type < GGUF_N_TYPES ? types[type].bytes : 0;
}

/* Widens the element of a fixed size at p. */
static void decode(enum gguf_type type, const uint8_t *p, struct gguf_value *out)
{
	union {
		uint16_t u16;
		int16_t i16;
		uint32_t u32;
		int32_t i32;
		float f32;
	} raw = {0};
	out->type = type;
	if (types[type].bytes <= sizeof raw)
		memcpy(&raw, p, types[type].bytes);
	switch (type) {
	case GGUF_U8:
	case GGUF_BOOL:
		out->u64 = *p;
		break;
	case GGUF_I8:
		out->i64 = (int64_t)(int8_t)*p;
		break;
	case GGUF_U16:
		out->u64 = raw.u16;
		break;
	case GGUF_I16:
		out->i64 = raw.i16;
		break;
	case GGUF_U32:
		out->u64 = raw.u32;
		break;
	case GGUF_I32:
		out->i64 = raw.i32;
		break;
	case GGUF_F32:
		out->f64 = (double)raw.f32;
		break;
	case GGUF_U64:
	case GGUF_I64:
	case GGUF_F64:
		memcpy(&out->u64, p, sizeof out->u64); /* the members share their bytes */
		break;
	default:
		break;
	}
}

static enum hokku_code take_type(struct gguf_cursor *c, const char *what, enum gguf_type *out)
{
	uint32_t type;
	enum hokku_code rc = gguf_take_u32(c, what, &type);
	*out = GGUF_U8;
	if (rc)
		return rc;
	if (type >= GGUF_N_TYPES)
		return gguf_bad(c, c->at - 4, "%s is %" PRIu32 "; it must be 0 to %d", what, type,
				GGUF_N_TYPES - 1);
	*out = (enum gguf_type)type;
	return HOKKU_OK;
}

static enum hokku_code check_bools(struct gguf_cursor *c, const uint8_t *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (p[i] > 1)
			return gguf_bad(c, (uint64_t)(p - c->data) + i, "a bool is %u; it must be 0 or 1",
					p[i]);
	return HOKKU_OK;
}

static enum hokku_code take_array(struct gguf_cursor *c, uint32_t depth, struct gguf_array *out)
{
	uint64_t start = c->at;
	if (depth > GGUF_MAX_DEPTH)
		return gguf_bad(c, start,
				"arrays are nested %" PRIu32 " deep; at most %" PRIu64 " are allowed", depth,
				GGUF_MAX_DEPTH);
	enum hokku_code rc = take_type(c, "the array's element type", &out->type);
	if (rc)
		return rc;
	rc = gguf_take_u64(c, "the array's length", &out->n);
	if (rc)
		return rc;
	if (out->n > GGUF_MAX_ARRAY)
		return gguf_bad(c, c->at - 8,
				"the array has %" PRIu64 " elements; at most %" PRIu64 " are allowed", out->n,
				GGUF_MAX_ARRAY);
	return gguf_take_elements(c, depth, out);
}

enum hokku_code gguf_take_elements(struct gguf_cursor *c, uint32_t depth, struct gguf_array *out)
{
	uint64_t start = c->at;
	enum hokku_code rc = HOKKU_OK;
	out->data = c->data + start;
	if (types[out->type].bytes) {
		const uint8_t *p;
		rc = take(c, "the array", out->n * types[out->type].bytes, &p);
		if (!rc && out->type == GGUF_BOOL)
			rc = check_bools(c, p, out->n);
	} else {
		struct str string;
		struct gguf_array inner;
		for (uint64_t i = 0; i < out->n && !rc; i++)
			rc = out->type == GGUF_STRING ? gguf_take_string(c, "a string of the array",
									 GGUF_MAX_STRING_BYTES, &string)
						      : take_array(c, depth + 1, &inner);
	}
	out->n_bytes = c->at - start;
	return rc;
}

enum hokku_code gguf_take_value(struct gguf_cursor *c, struct gguf_value *out)
{
	enum hokku_code rc = take_type(c, "the value's type", &out->type);
	if (rc)
		return rc;
	if (out->type == GGUF_STRING)
		return gguf_take_string(c, "the string", GGUF_MAX_STRING_BYTES, &out->string);
	if (out->type == GGUF_ARRAY)
		return take_array(c, 1, &out->array);
	const uint8_t *p;
	rc = take(c, "the value", types[out->type].bytes, &p);
	if (rc)
		return rc;
	decode(out->type, p, out);
	return out->type == GGUF_BOOL ? check_bools(c, p, 1) : HOKKU_OK;
}

/* ---- walking arrays that were checked when the file was opened ---- */

void gguf_array_iter_init(struct gguf_array_iter *it, const struct gguf_array *array)
{
	*it = (struct gguf_array_iter){.array = *array};
}

bool gguf_array_next(struct gguf_array_iter *it, struct gguf_value *out)
{
	const struct gguf_array *a = &it->array;
	if (it->i >= a->n)
		return false;
	it->i++;
	if (types[a->type].bytes) {
		decode(a->type, a->data + it->offset, out);
		it->offset += types[a->type].bytes;
		return true;
	}
	struct gguf_cursor c = {.data = a->data, .n_bytes = a->n_bytes, .at = it->offset, .path = ""};
	out->type = a->type;
	enum hokku_code rc = a->type == GGUF_STRING
				     ? gguf_take_string(&c, "", GGUF_MAX_STRING_BYTES, &out->string)
				     : take_array(&c, 1, &out->array);
	it->offset = c.at;
	return rc == HOKKU_OK;
}
