/*
 * JSON (RFC 8259) read whole into a tree that keeps the order of keys and the text of numbers: an integer of
 * any size is a number, and whether it fits is asked where it is read. A byte order mark before the text is
 * skipped. A key that stands twice in one object is refused, as are bytes that are no UTF-8.
 *
 * The tree is one arena: jv_doc_free frees all of it at once. It is immutable: any number of threads may
 * read it. Every question takes NULL for a value that is not there.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum {
	JV_MAX_DEPTH = 1000,
	JV_MAX_VALUES = 16 << 20,
	JV_MAX_BYTES = 1 << 30,
};

enum jv_type { JV_NULL, JV_BOOL, JV_NUMBER, JV_STRING, JV_ARRAY, JV_OBJECT };

struct jv_object;

struct jv {
	enum jv_type type;
	uint32_t n; /* of a number or a string: bytes; of an array: values; of an object: pairs; of true: 1 */
	union {
		const char *text; /* terminated; a string's may hold zero bytes as well */
		const struct jv *items;
		const struct jv_object *object;
	};
};

struct jv_doc {
	struct arena arena;
	struct jv root;
};

/* What the text may hold beyond the standard. */
enum { JV_STRICT = 0, JV_NONFINITE = 1 /* NaN, Infinity and -Infinity, as Python writes them */ };

/* BAD_FILE: "line 1 column 5: ..."; OUT_OF_MEMORY. *out needs no jv_doc_free then. */
enum hokku_code jv_parse(struct str text, unsigned flags, struct jv_doc *out, struct hokku_error *err);
void jv_doc_free(struct jv_doc *d); /* {0} is allowed */

/* A file of at most max_bytes that holds one JSON object, as Python reads and writes them (JV_NONFINITE).
 * NOT_FOUND, IO_ERROR, BAD_FILE, OUT_OF_MEMORY; messages begin with the path. */
enum hokku_code jv_read_file(const char *path, size_t max_bytes, struct jv_doc *out, struct hokku_error *err);

/* The same of a file that nobody named but a folder, as file_read_named reads it. */
enum hokku_code jv_read_named(const char *path, size_t max_bytes, struct jv_doc *out,
			      struct hokku_error *err);

/* The value of a key; NULL if v is no object or has no such key. */
const struct jv *jv_get(const struct jv *v, const char *key);
const struct jv *jv_get_str(const struct jv *v, struct str key);

/* Pair i of an object, in the order of the text. i < v->n. */
struct str jv_key(const struct jv *v, uint32_t i);
const struct jv *jv_value(const struct jv *v, uint32_t i);

/* Value i of an array; NULL if v is no array or has no such value. */
const struct jv *jv_at(const struct jv *v, size_t i);
size_t jv_len(const struct jv *v); /* of an array; 0 for anything else */

static inline bool jv_is(const struct jv *v, enum jv_type type)
{
	return v && v->type == type;
}

/* Absent, or null. */
static inline bool jv_none(const struct jv *v)
{
	return !v || v->type == JV_NULL;
}

static inline bool jv_is_true(const struct jv *v)
{
	return jv_is(v, JV_BOOL) && v->n;
}

/* A string's bytes; {NULL, 0} for anything else. */
static inline struct str jv_str(const struct jv *v)
{
	return jv_is(v, JV_STRING) ? (struct str){v->text, v->n} : (struct str){NULL, 0};
}

/* False if v is no number written as an integer, or does not fit. */
bool jv_int(const struct jv *v, int64_t *out);

/* The nearest double, of integers too. False if v is no number or none that is finite. */
bool jv_double(const struct jv *v, double *out);

/* v as JSON, without white space, appended to out. Numbers are as they were written. */
void jv_write(const struct jv *v, struct strbuf *out);

/* v as JSON, cut to the room there is, for messages; "absent" for NULL. Returns out. */
const char *jv_text(const struct jv *v, char *out, size_t out_size);

#endif
