/* JSON instances as texts: written as most programs write them, and where in one a byte stands. */
#ifndef CLI_INSTANCE_H
#define CLI_INSTANCE_H

#include "base/json.h"
#include "base/str.h"

/* v as Python's json.dumps(v, ensure_ascii=False) writes it: ", " and ": ", numbers with a point or an
 * exponent as the shortest text of their double. */
void instance_write(struct strbuf *b, const struct jv *v);

/* v without white space, its numbers as they were read. */
void instance_write_exact(struct strbuf *b, const struct jv *v);

/* The JSON pointer of the value that byte `at` of text belongs to, or of the object or array it stands
 * between the values of; what is before `at` is taken for JSON as far as it goes. */
void instance_pointer(struct strbuf *b, struct str text, size_t at);

/* Counted from 1; a column is a code point. */
struct instance_place {
	size_t line, column;
};
struct instance_place instance_place(struct str text, size_t at);

#endif
