/* Shared by template.c (text and statements) and template_expr.c (expressions). */
#ifndef TEXT_TEMPLATE_INTERNAL_H
#define TEXT_TEMPLATE_INTERNAL_H

#include "base/arena.h"
#include "text/template.h"

enum {
	TEMPLATE_MAX_DEPTH = 32,     /* of blocks and of parentheses */
	TEMPLATE_MAX_STEPS = 200000, /* tags run and operands read */
	TEMPLATE_MAX_VARIABLES = 256,
	TEMPLATE_MAX_STRING_BYTES = 1 << 16, /* made by one expression */
	TEMPLATE_MAX_OUTPUT_BYTES = 1 << 20,
	TEMPLATE_MAX_MEMORY_BYTES = 16 << 20, /* of all texts made on the way */
};

enum value_type { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_STRING, V_MESSAGES, V_MESSAGE, V_LOOP, V_LIST };
struct value {
	enum value_type type;
	union {
		bool b;
		int64_t i;
		struct str s;
		struct {
			size_t from, to;
		} range;        /* V_MESSAGES */
		size_t message; /* V_MESSAGE */
		struct {
			size_t index, n;
		} loop;
		struct {
			const struct value *items;
			size_t n;
		} list;
	};
};

struct variable {
	struct str name;
	struct value value;
};

struct template
{
	const struct template_input *input;
	struct strbuf *out;
	struct hokku_error *err;
	enum hokku_code rc; /* of the first failure; everything stops then */
	struct arena arena;
	struct variable variables[TEMPLATE_MAX_VARIABLES];
	size_t n_variables;
	uint32_t n_steps;
};

/* Keeps the first failure. */
void template_fail(struct template *t, enum hokku_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool template_step(struct template *t); /* false: too many, or something failed before */

/* A position inside a tag. */
struct expr {
	struct template *t;
	const char *p, *end;
	unsigned depth;
	unsigned skip; /* above 0: only read over, evaluate nothing */
};

void expr_space(struct expr *e);
bool expr_accept(struct expr *e, const char *sign); /* "(", "==" */
bool expr_accept_word(struct expr *e, const char *word);
struct str expr_name(struct expr *e); /* an identifier; empty if there is none */
struct value expr_eval(struct expr *e);
bool value_is_true(const struct value *v);

#endif
