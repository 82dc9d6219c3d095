/*
 * What the files of the interpreter share. A template goes through lex.c (source to tokens) and parse.c,
 * parse_expr.c (tokens to a tree, in the template's arena); a run walks the tree: exec.c statements, eval.c
 * expressions, call.c what can be called. value.c holds strings, lists and dicts, print.c their text and
 * JSON.
 *
 * All memory of a run is its arena's, so a failure jumps out (j_fail does not return) and nothing leaks: no
 * function here returns a code.
 */
#ifndef TEXT_JINJA_INTERNAL_H
#define TEXT_JINJA_INTERNAL_H

#include <setjmp.h>

#include "base/arena.h"
#include "text/jinja/jinja.h"
#include "text/limits.h"

/* ---- values ---- */

enum jtype {
	J_MISSING, /* no value: an argument that was not given */
	J_UNDEFINED,
	J_NONE,
	J_BOOL,
	J_INT,
	J_FLOAT,
	J_BIG, /* a whole number past 64 bits: a string of its digits, with which nothing is computed */
	J_STRING,
	J_LIST,
	J_DICT,
	J_NAMESPACE,
	J_FUNCTION,
	J_LOOP,
	J_CYCLER,
	J_JOINER
};
typedef struct jinja_value jval;

/* Bytes are UTF-8; what is not counts a character a byte. */
struct jstr {
	const char *p;
	const uint8_t *mark; /* (n) 1: trusted; NULL: all of them as trusted says */
	size_t n, n_chars;   /* n_chars SIZE_MAX: not counted yet */
	struct jbuild *tip; /* the string ends where this one's bytes end: adding needs no copy. NULL: none */
	bool trusted;
	bool markup; /* went through safe or escape: what is added is escaped, as jinja2 has it */
};

/* A string being made. */
struct jbuild {
	struct jinja_run *r;
	char *p;
	uint8_t *mark; /* NULL as long as all bytes are trusted alike */
	size_t n, cap;
	bool trusted;
};

/* What Python has as several types and templates tell apart by what they may do with them. */
enum jkind { K_LIST, K_TUPLE, K_RANGE, K_KEYS, K_VALUES, K_ITEMS, K_GENERATOR };
struct jlist {
	jval *v;
	size_t n, cap;
	size_t taken; /* of a generator, which gives each item once */
	uint8_t kind;
};

struct jpair {
	jval key, value;
};
struct jdict {
	struct jpair *v;
	size_t n, cap;
	uint32_t *index; /* (mask + 1) place in v plus 1; NULL while n is small */
	uint32_t mask;
	ptrdiff_t message; /* which message of the conversation this is; -1: none */
};

struct jundefined {
	struct str name;
	const char *owner; /* what has no such member; NULL: a variable */
};

struct jargs {
	jval *v;
	size_t n;
	struct str *names; /* (n_named) */
	jval *named;
	size_t n_named, n_written; /* written: by the template itself, the first of them; others came by ** */
};

struct builtin; /* call.c */
struct macro;
struct scope;
struct jfunction {
	const struct builtin *builtin; /* NULL: a macro, or a recursive loop */
	jval self;                     /* of a method; the loop */
	const struct macro *macro;
	struct scope *scope; /* where the macro was defined */
};

static inline struct jstr *as_str(jval v)
{
	return v.as.p;
}
static inline struct jlist *as_list(jval v)
{
	return v.as.p;
}
static inline struct jdict *as_dict(jval v)
{
	return v.as.p;
}
static inline struct jfunction *as_function(jval v)
{
	return v.as.p;
}
static inline jval j_bool(bool b)
{
	return (jval){J_BOOL, false, {.b = b}};
}
static inline jval j_int(int64_t i, bool trusted)
{
	return (jval){J_INT, trusted, {.i = i}};
}
static inline jval j_float(double f, bool trusted)
{
	return (jval){J_FLOAT, trusted, {.f = f}};
}
static inline jval j_none(void)
{
	return (jval){J_NONE, false, {.p = NULL}};
}
static inline jval j_missing(void)
{
	return (jval){J_MISSING, false, {.p = NULL}};
}

/* ---- the tree ---- */

enum node_kind {
	N_CONST,
	N_NAME,
	N_LIST, /* list */
	N_TUPLE,
	N_DICT,   /* list: key, value, key ... */
	N_ATTR,   /* a . text */
	N_ITEM,   /* a [ b ] */
	N_SLICE,  /* a [ b : c : d ], each may be NULL */
	N_CALL,   /* a ( args ) */
	N_FILTER, /* a | text ( args ); a NULL in a filter block */
	N_TEST,
	N_NEGATE,
	N_PLUS,
	N_NOT,
	N_AND,
	N_OR,
	N_BINARY,  /* a op b */
	N_CONCAT,  /* list */
	N_COMPARE, /* a, then list of N_OPERAND */
	N_OPERAND, /* op a */
	N_COND,    /* b if a else c; c NULL */
	N_NSREF,   /* name . text, where a value is set */

	N_TEXT,         /* value */
	N_OUTPUT,       /* a */
	N_BLOCK,        /* list of statements */
	N_IF,           /* a: test, b: block, c: else, NULL */
	N_FOR,          /* a: target, b: list, c: test, NULL, d: block, e: else, NULL; op: recursive */
	N_SET,          /* a: target, b: value */
	N_SET_BLOCK,    /* a: target, b: filter or NULL, d: block */
	N_MACRO,        /* macro */
	N_CALL_BLOCK,   /* a: call, macro: its caller */
	N_FILTER_BLOCK, /* b: filter, d: block */
	N_WITH,         /* list: target, value ...; d: block */
	N_SCOPE,        /* d: block, with variables of its own */
	N_BREAK,
	N_CONTINUE
};

enum binary_op { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW };
enum compare_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN };

struct named_arg {
	struct str name;
	struct node *value;
};
struct call_args {
	struct node **v;
	struct named_arg *named;
	size_t n, n_named;
	struct node *star, *star_star; /* *args and **kwargs; NULL */
};

struct node {
	uint8_t kind, op;
	uint32_t line;
	uint32_t name; /* number of a variable's name */
	struct str text;
	struct node *a, *b, *c, *d, *e;
	struct node **list;
	size_t n;
	jval value;
	struct call_args *args;
	struct macro *macro;
};

struct macro {
	struct str name;
	uint32_t name_id;
	uint32_t *params;        /* (n_params) */
	struct str *param_names; /* (n_params) */
	struct node **defaults;  /* (n_params) NULL: none */
	size_t n_params;
	struct node *body;
	bool uses_caller, uses_varargs, uses_kwargs;
};

struct jinja {
	struct arena mem;
	struct node *root;
	struct str *names; /* (n_names) the variables' */
	uint32_t n_names;
};

/* Names that the interpreter itself looks up; the first of every template. */
enum { NAME_LOOP, NAME_CALLER, NAME_VARARGS, NAME_KWARGS, N_FIXED_NAMES };

/* ---- parsing ---- */

enum token_kind {
	T_END,
	T_TEXT,         /* template data */
	T_OUTPUT_BEGIN, /* {{ */
	T_OUTPUT_END,
	T_BLOCK_BEGIN, /* {% */
	T_BLOCK_END,
	T_NAME,
	T_STRING,
	T_INT,
	T_FLOAT,
	T_SIGN /* text */
};
struct token {
	uint8_t kind;
	uint32_t line;
	struct str text; /* of a string, what it means */
	int64_t i;
	double f;
};
struct parser {
	struct jinja *t;
	struct hokku_error *err;
	jmp_buf jump;
	enum hokku_code rc;
	struct arena scratch; /* of the tokens */
	struct token *tokens; /* ends with T_END */
	size_t n_tokens, cap_tokens, at;
	unsigned depth, n_loops;
	struct macro *macro; /* the one whose body is being read; NULL */
	uint32_t cap_names;
};

_Noreturn void p_fail(struct parser *p, uint32_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void *p_alloc(struct parser *p, size_t n);
void p_push(struct parser *p, struct node ***list, size_t *n, size_t *cap, struct node *node);
void lex(struct parser *p, struct str source);

static inline const struct token *p_now(const struct parser *p)
{
	return &p->tokens[p->at];
}
const struct token *p_next(struct parser *p); /* the present one; goes on to the next */
bool p_is_sign(const struct parser *p, const char *sign);
bool p_is_name(const struct parser *p, const char *name);
bool p_skip_sign(struct parser *p, const char *sign);
bool p_skip_name(struct parser *p, const char *name);
void p_want_sign(struct parser *p, const char *sign);
struct str p_want_name(struct parser *p, const char *what);
_Noreturn void p_unexpected(struct parser *p, const char *wanted);
struct node *p_node(struct parser *p, enum node_kind kind);
uint32_t p_name_id(struct parser *p, struct str name);
void p_enter(struct parser *p);
void p_leave(struct parser *p);

struct node *parse_expression(struct parser *p);
struct node *parse_or(struct parser *p);
/* One expression, or several with commas, which are a tuple. */
struct node *parse_tuple(struct parser *p, bool with_condition);
struct node *parse_target(struct parser *p, bool with_namespace);
struct node *parse_filters(struct parser *p, struct node *of, bool begun);

/* ---- running ---- */

struct slot {
	uint32_t name;
	jval v;
};
struct scope {
	struct scope *parent;
	struct slot *slots;
	uint32_t n, cap;
	bool kept; /* a macro defined here may outlive it */
};

/* A loop, and what "loop" is in its body. */
struct jloop {
	const struct node *node;
	struct scope *outer; /* where the loop stands */
	struct jlist *items;
	size_t next;                 /* of items */
	jval before, current, after; /* after: looked at already; J_MISSING */
	bool exhausted, is_counted;
	size_t index, length, depth; /* index from 0 */
	jval changed;                /* what loop.changed saw last */
	struct jloop *up;
};

struct jinja_run {
	struct arena mem;
	const struct jinja *t;
	jmp_buf jump;
	bool in_render, failed; /* failed: no memory for a value, before rendering */
	struct hokku_error *err;
	enum hokku_code rc;
	bool ran_out;              /* of what follows */
	uint64_t steps, max_steps; /* JINJA_MAX_STEPS and JINJA_MAX_MEMORY_BYTES, but for the fuzzer */
	size_t max_memory;
	uint64_t seed[2]; /* of the dicts' tables */
	unsigned depth;
	uint32_t line;
	struct scope *scope;
	struct scope *spare; /* scopes to use again, by parent */
	jval *base;          /* (t->n_names) the variables that were set; J_MISSING */
	struct slot_by_name {
		struct str name;
		jval v;
	} * vars;
	size_t n_vars, cap_vars;
	struct jbuild *out;
	struct jbuild text;
	struct tok_part *parts;
	size_t n_parts;
	struct jloop *loop;
	ptrdiff_t message, last_message;
	bool refused, used_time, has_now;
	struct jinja_time now;
};

_Noreturn void j_fail(struct jinja_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void j_no_memory(struct jinja_run *r);
void *j_alloc(struct jinja_run *r, size_t n);
void *j_array(struct jinja_run *r, size_t n, size_t size);

/* Counts work: a step, and one more for every 64 bytes or items that it touches. */
void j_work(struct jinja_run *r, size_t n);
void j_enter(struct jinja_run *r);
static inline void j_leave(struct jinja_run *r)
{
	r->depth--;
}

/* value.c */
bool is_space(uint32_t c);                              /* as Python's str.isspace */
uint32_t utf8_at(const char *p, size_t n, size_t *len); /* invalid bytes give themselves and length 1 */
size_t str_count_chars(struct str s);
jval j_str(struct jinja_run *r, const char *p, size_t n, bool trusted);
jval j_text(struct jinja_run *r, const char *terminated); /* of the engine: not trusted */
jval j_sub(struct jinja_run *r, const struct jstr *s, size_t from, size_t to);
jval j_concat(struct jinja_run *r, const struct jstr *a, const struct jstr *b);
size_t str_chars(const struct jstr *s);
size_t str_byte_of(const struct jstr *s, size_t n_chars);               /* where character n_chars begins */
ptrdiff_t str_find(const struct jstr *s, size_t from, struct str what); /* -1: not there */
struct str str_view(const struct jstr *s);
bool str_is(const struct jstr *s, const char *c);
jval str_strip(struct jinja_run *r, const struct jstr *s, const struct jstr *chars, bool left, bool right);
jval str_escape(struct jinja_run *r, const struct jstr *s); /* HTML; the result is markup */

struct jbuild jb_new(struct jinja_run *r);
void jb_add(struct jbuild *b, const char *p, size_t n, const uint8_t *mark, bool trusted);
void jb_text(struct jbuild *b, const char *terminated, bool trusted);
void jb_sub(struct jbuild *b, const struct jstr *s, size_t from, size_t to);
void jb_str(struct jbuild *b, const struct jstr *s);
void jb_char(struct jbuild *b, uint32_t c, bool trusted);
jval jb_done(struct jbuild *b);

jval j_list(struct jinja_run *r, enum jkind kind, size_t cap);
void list_push(struct jinja_run *r, struct jlist *l, jval v);
void list_reverse(struct jlist *l);
jval j_pair(struct jinja_run *r, jval a, jval b); /* a tuple of two */
jval j_dict(struct jinja_run *r);
jval *dict_get(struct jinja_run *r, const struct jdict *d, jval key); /* NULL: not there */
jval *dict_get_text(struct jinja_run *r, const struct jdict *d, struct str key);
void dict_put(struct jinja_run *r, struct jdict *d, jval key, jval v);
bool dict_remove(struct jinja_run *r, struct jdict *d, jval key, jval *was);
uint64_t j_hash(struct jinja_run *r, jval key);
jval j_undefined(struct jinja_run *r, struct str name, const char *owner);

const char *type_name(jval v); /* as Python calls it */
bool j_true(struct jinja_run *r, jval v);
bool j_equal(struct jinja_run *r, jval a, jval b);
int j_order(struct jinja_run *r, jval a, jval b, const char *sign); /* -1, 0, 1 */
bool j_contains(struct jinja_run *r, jval list, jval item);
/* The items of anything that can be walked through. */
struct jlist *j_items(struct jinja_run *r, jval v);
size_t j_length(struct jinja_run *r, jval v);
bool j_number(jval v, double *f); /* int, float or bool */
bool j_whole(jval v, int64_t *i); /* int or bool */
_Noreturn void j_undefined_fail(struct jinja_run *r, jval v);

/* Merge sort: equal ones stay in their order, and a comparison may fail. */
void stable_sort(struct jinja_run *r, void *base, size_t n, size_t size,
		 int (*order)(const void *a, const void *b, void *user), void *user);

/* number.c */
jval j_arith(struct jinja_run *r, enum binary_op op, jval a, jval b);
enum { FLOAT_REPR_BYTES = 32 };
void float_repr(double f, char out[FLOAT_REPR_BYTES]); /* as Python's repr */
bool parse_float(struct str s, double *out);
/* As Python's int(s, base). */
bool parse_whole(struct jinja_run *r, struct str s, int base, int64_t *out);
jval round_to(struct jinja_run *r, jval v, int64_t digits, struct str method);

/* print.c */
void print_str(struct jbuild *b, jval v);  /* str(v) */
void print_repr(struct jbuild *b, jval v); /* repr(v) */
jval j_to_str(struct jinja_run *r, jval v);
struct jstr *j_soft_str(struct jinja_run *r, jval v); /* the string itself, or str(v) */
struct json_style {
	bool ascii, sorted;
	const struct jstr *indent, *item, *key; /* indent NULL: one line */
};
void print_json(struct jbuild *b, jval v, const struct json_style *style, unsigned level);
jval json_parse(struct jinja_run *r, const struct jstr *s);

/* methods_text.c, methods_list.c */
enum pad_side { PAD_LEFT, PAD_RIGHT, PAD_BOTH };
jval str_lines(struct jinja_run *r, const struct jstr *s, bool keep_ends);
jval str_replace(struct jinja_run *r, const struct jstr *s, const struct jstr *old, const struct jstr *with,
		 int64_t max);
jval str_pad(struct jinja_run *r, const struct jstr *s, int64_t width, const struct jstr *fill,
	     enum pad_side side);
jval dict_view(struct jinja_run *r, const struct jdict *d, enum jkind kind);
bool char_is_alnum(uint32_t c);

/* format.c */
jval format_percent(struct jinja_run *r, const struct jstr *format, jval args);
jval format_braces(struct jinja_run *r, const struct jstr *format, const struct jargs *args);

/* case.c: by Unicode, with the characters that become several */
enum case_kind { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL, CASE_SWAP, CASE_FOLD };
jval str_case(struct jinja_run *r, const struct jstr *s, enum case_kind kind);
bool char_is_upper(uint32_t c);
bool char_is_lower(uint32_t c);
bool char_is_printable(uint32_t c);

/* eval.c */
jval eval(struct jinja_run *r, const struct node *n);
jval eval_call(struct jinja_run *r, const struct node *n,
	       jval caller); /* caller: of a call block, or J_MISSING */
jval eval_filters(struct jinja_run *r, const struct node *n, jval v); /* v through n's filters; n NULL: v */
jval j_attr(struct jinja_run *r, jval of, jval name);                 /* of.name */
jval j_item(struct jinja_run *r, jval of, jval key);                  /* of[key] */
jval j_slice(struct jinja_run *r, jval of, jval from, jval to, jval step);

/* exec.c */
enum exec_result { EXEC_ON, EXEC_BREAK, EXEC_CONTINUE };
enum exec_result exec(struct jinja_run *r, const struct node *n);
jval call_macro(struct jinja_run *r, const struct jfunction *f, const struct jargs *args);
jval call_loop(struct jinja_run *r, struct jloop *loop, jval list);
void scope_set(struct jinja_run *r, struct scope *s, uint32_t name, jval v);
struct scope *scope_push(struct jinja_run *r, struct scope *parent);
void scope_pop(struct jinja_run *r, struct scope *s, struct scope *back);
jval loop_member(struct jinja_run *r, struct jloop *loop, struct str name);

/* call.c */
/* A function of the language. v holds self (of methods, filters, tests), then a value for each name of
 * params, J_MISSING where it was not given; with params NULL all arguments are in args as they came. */
struct builtin {
	const char *name, *params; /* "a,b,c" */
	uint8_t n_min;             /* of them must be given */
	jval (*run)(struct jinja_run *r, jval self, const jval *v, const struct jargs *args);
};
enum { MAX_PARAMS = 6 };
jval call_builtin(struct jinja_run *r, const struct builtin *f, jval self, const struct jargs *args);
/* Arguments of a builtin: a whole number, or fallback where none is given; given and true. of is for
 * messages. */
int64_t arg_whole(struct jinja_run *r, jval v, int64_t fallback, const char *of);
bool arg_true(struct jinja_run *r, jval v);
jval args_name(struct jinja_run *r, const struct jargs *args, size_t i); /* of args->named[i] */
jval j_call(struct jinja_run *r, jval f, const struct jargs *args);
jval call_filter(struct jinja_run *r, struct str name, jval v, const struct jargs *args);
bool call_test(struct jinja_run *r, struct str name, jval v, const struct jargs *args);
const struct builtin *find_builtin(const struct builtin *table, struct str name);
const struct builtin *find_method(jval of, struct str name);
void range_bounds(struct jlist *l, int64_t from, int64_t to,
		  int64_t step);                     /* behind its items, for its text */
jval j_global(struct jinja_run *r, struct str name); /* J_MISSING: there is none */

/* Tables, each ending with a row without a name. */
extern const struct builtin jinja_globals[], jinja_tests[], jinja_string_methods[], jinja_dict_methods[],
	jinja_list_methods[], jinja_tuple_methods[], jinja_loop_methods[], jinja_cycler_methods[],
	jinja_filters_text[], jinja_filters_list[];

/* strftime.c */
jval format_time(struct jinja_run *r, const struct jstr *format);

#endif
