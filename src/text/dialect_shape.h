/* The writer of structural tags that the files of dialect_shape share: formats in formats, and where one is.
 */
#ifndef TEXT_DIALECT_SHAPE_H
#define TEXT_DIALECT_SHAPE_H

#include "text/dialect_internal.h"

enum { SHAPE_MAX_LEVELS = 1000 };

struct shaper {
	const struct dialect_shaping *how;
	const struct dialect *d;
	unsigned form;
	struct dialect_shape *out;
	struct strbuf place; /* JSON pointer of what is written now */
	bool failed;         /* field and err say why */
	bool free;   /* a tool that is not strict has a schema that cannot be kept to: no shape at all */
	bool strict; /* of the tool: what cannot be kept to is refused, not left free */
	char *field;
	struct hokku_error *err;
	uint32_t n_values;   /* of notations, written so far */
	char tool_field[64]; /* "tools[2].function.parameters" */
};

/* A list of formats: "sequence" or "or". Of the place: how long it was before, and with the list. */
struct shape_list {
	size_t before, within;
	uint32_t n;
};

/* JSON of a structural tag, piece by piece: text as it is; an object of a type whose member is a list; its
 * items. */
void shape_add(struct shaper *s, const char *text);
void shape_begin(struct shaper *s, const char *type, const char *member, struct shape_list *l);
void shape_item(struct shaper *s, struct shape_list *l); /* before each */
void shape_end(struct shaper *s, struct shape_list *l);

/* One format within another: "star", "optional", "plus". */
size_t shape_open(struct shaper *s, const char *type);
void shape_close(struct shaper *s, size_t mark);

/* Items of a list that are a literal: constants, and control tokens by their names. */
void shape_literal(struct shaper *s, struct shape_list *l, const char *text);
void shape_const(struct shaper *s, struct shape_list *l, struct str text);
void shape_regex(struct shaper *s, struct shape_list *l, const char *pattern);
void shape_any_text(struct shaper *s, struct shape_list *l, const char *const *excludes, size_t n);
bool shape_is_token(const struct shaper *s, struct str name);

/* An instance of schema, whose $defs are those of root. part: its JSON pointer in the tool's schema. */
void shape_schema(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		  const char *part);

/* The parameters of a tool in markup, or in Gemma's or Python's notation. */
void shape_params(struct shaper *s, struct shape_list *l, const struct jv *parameters);
void shape_notation(struct shaper *s, struct shape_list *l, const struct jv *parameters);

/* This cannot be kept to. A strict tool's, or where a call must come: the request is refused. */
void shape_refuse(struct shaper *s, const char *part, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
