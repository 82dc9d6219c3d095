/* The tree: looking things up in it. How it is made of a text is json_parse.c. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json_internal.h"
#include "base/plain_locale.h"

void jv_doc_free(struct jv_doc *d)
{
	arena_free(&d->arena);
	d->root = (struct jv){0};
}

static enum hokku_code read_file(const char *path, size_t max_bytes, bool in_folder, struct jv_doc *out,
				 struct hokku_error *err)
{
	char *text;
	size_t n;
	*out = (struct jv_doc){0};
	enum hokku_code rc = in_folder ? file_read_named(path, max_bytes, &text, &n, err)
				       : file_read(path, max_bytes, &text, &n, err);
	if (rc)
		return rc;
	rc = jv_parse((struct str){text, n}, JV_NONFINITE, out, err);
	if (rc && str_starts((struct str){text, n}, STR_LIT("version https://git-lfs")))
		err_set(err, rc, "it is a Git LFS pointer; fetch the file itself with `git lfs pull`");
	free(text);
	if (rc)
		return err_prefix(err, rc, "%s", path);
	if (out->root.type == JV_OBJECT)
		return HOKKU_OK;
	char found[64];
	rc = err_set(err, HOKKU_BAD_FILE, "%s: it holds %s; it must hold a JSON object", path,
		     jv_text(&out->root, found, sizeof found));
	jv_doc_free(out);
	return rc;
}

enum hokku_code jv_read_file(const char *path, size_t max_bytes, struct jv_doc *out, struct hokku_error *err)
{
	return read_file(path, max_bytes, false, out, err);
}

enum hokku_code jv_read_named(const char *path, size_t max_bytes, struct jv_doc *out, struct hokku_error *err)
{
	return read_file(path, max_bytes, true, out, err);
}

const struct jv *jv_get_str(const struct jv *v, struct str key)
{
	if (!jv_is(v, JV_OBJECT))
		return NULL;
	uint32_t i = jv_object_find(v->object, v->n, key);
	return i < v->n ? &v->object->pairs[i].value : NULL;
}

const struct jv *jv_get(const struct jv *v, const char *key)
{
	return jv_get_str(v, str_c(key));
}

struct str jv_key(const struct jv *v, uint32_t i)
{
	return v->object->pairs[i].key;
}

const struct jv *jv_value(const struct jv *v, uint32_t i)
{
	return &v->object->pairs[i].value;
}

const struct jv *jv_at(const struct jv *v, size_t i)
{
	return i < jv_len(v) ? &v->items[i] : NULL;
}

size_t jv_len(const struct jv *v)
{
	return jv_is(v, JV_ARRAY) ? v->n : 0;
}

bool jv_int(const struct jv *v, int64_t *out)
{
	if (!jv_is(v, JV_NUMBER))
		return false;
	bool negative = v->text[0] == '-';
	int64_t value = 0;
	for (uint32_t i = negative; i < v->n; i++) {
		int digit = v->text[i] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value)) /* below zero, where there is one more */
			return false;
	}
	if (!negative && __builtin_sub_overflow(0, value, &value))
		return false;
	*out = value;
	return true;
}

bool jv_double(const struct jv *v, double *out)
{
	if (!jv_is(v, JV_NUMBER))
		return false;
	locale_t plain = plain_locale();
	double value = plain ? strtod_l(v->text, NULL, plain) : (double)NAN;
	if (!isfinite(value))
		return false;
	*out = value;
	return true;
}

/* Text that is cut where the room ends. */
struct out {
	char *at;
	size_t left; /* the terminator not counted */
	bool cut;
};

static void put(struct out *o, const char *text, size_t n)
{
	size_t fits = n <= o->left ? n : utf8_valid_prefix(text, o->left);
	o->cut = o->cut || fits < n;
	memcpy(o->at, text, fits);
	o->at += fits;
	o->left = o->cut ? 0 : o->left - fits;
}

static void put_value(struct out *o, const struct jv *v)
{
	char quoted[512];
	switch (v->type) {
	case JV_NULL:
		put(o, "null", 4);
		break;
	case JV_BOOL:
		put(o, v->n ? "true" : "false", v->n ? 4 : 5);
		break;
	case JV_NUMBER:
		put(o, v->text, v->n);
		break;
	case JV_STRING:
		str_quote(jv_str(v), quoted, sizeof quoted);
		put(o, quoted, strlen(quoted));
		break;
	case JV_ARRAY:
		put(o, "[", 1);
		for (uint32_t i = 0; i < v->n && !o->cut; i++) {
			put(o, ",", i > 0);
			put_value(o, &v->items[i]);
		}
		put(o, "]", 1);
		break;
	case JV_OBJECT:
		put(o, "{", 1);
		for (uint32_t i = 0; i < v->n && !o->cut; i++) {
			put(o, ",", i > 0);
			str_quote(jv_key(v, i), quoted, sizeof quoted);
			put(o, quoted, strlen(quoted));
			put(o, ":", 1);
			put_value(o, jv_value(v, i));
		}
		put(o, "}", 1);
		break;
	}
}

const char *jv_text(const struct jv *v, char *out, size_t out_size)
{
	struct out o = {out, out_size - 4, false}; /* "..." fits after what was cut */
	if (v)
		put_value(&o, v);
	else
		put(&o, "absent", 6);
	if (o.cut)
		memcpy(o.at, "...", 4);
	else
		*o.at = '\0';
	return out;
}

/* As deep as the value is: JV_MAX_DEPTH. */
void jv_write(const struct jv *v, struct strbuf *out)
{
	static const char ends[] = "[]{}";
	bool object = v->type == JV_OBJECT;
	switch (v->type) {
	case JV_NULL:
		strbuf_add_c(out, "null");
		break;
	case JV_BOOL:
		strbuf_add_c(out, v->n ? "true" : "false");
		break;
	case JV_NUMBER:
		strbuf_add(out, v->text, v->n);
		break;
	case JV_STRING:
		strbuf_add_json(out, v->text, v->n);
		break;
	case JV_ARRAY:
	case JV_OBJECT:
		strbuf_add(out, ends + 2 * object, 1);
		for (uint32_t i = 0; i < v->n; i++) {
			strbuf_add(out, ",", i > 0);
			if (object) {
				strbuf_add_json(out, jv_key(v, i).ptr, jv_key(v, i).len);
				strbuf_add_c(out, ":");
			}
			jv_write(object ? jv_value(v, i) : &v->items[i], out);
		}
		strbuf_add(out, ends + 2 * object + 1, 1);
		break;
	}
}
