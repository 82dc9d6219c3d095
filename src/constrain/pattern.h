/* A pattern as a tree: what pattern_parse.c makes and pattern.c turns into an expression. */
#ifndef CONSTRAIN_PATTERN_H
#define CONSTRAIN_PATTERN_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "constrain/spans.h"

enum {
	PATTERN_MAX_BYTES = 1 << 16,
	PATTERN_MAX_DEPTH = 1000, /* groups in groups */
};

enum pattern_kind {
	P_CHARS,  /* one code point of a set */
	P_CAT,    /* kids one after the other; none: the empty text */
	P_OR,     /* one of the kids */
	P_REPEAT, /* the kid min to max times */
	P_AHEAD,  /* what follows begins with the kid (behind = false) or does not */
	P_BEHIND, /* what stands before ends in the kid or does not */
	P_START,  /* the text begins here; lines: or a line */
	P_END,
	P_BOUNDARY, /* \b */
};

struct pattern_node {
	enum pattern_kind kind;
	uint32_t at;       /* its first byte in the pattern */
	bool negative;     /* of AHEAD, BEHIND, BOUNDARY (\B) */
	bool lines;        /* of START, END: (?m) */
	bool any_case;     /* of BOUNDARY: words as (?i) has them */
	bool asserts;      /* it or one below it is an assertion */
	uint32_t min, max; /* RX_UNBOUNDED */
	uint32_t n_kids;
	struct pattern_node **kids;
	uint32_t n_spans;
	struct rx_span *spans; /* of CHARS */
	rx plain;              /* of one without assertions, once made; RX_NONE before */
	bool made;
};

/* Flags that (?ims) sets. */
struct pattern_flags {
	bool any_case, lines, dot_all;
};

struct pattern_name {
	struct str name;
	struct pattern_name *next;
};

struct pattern_parser {
	struct str text;
	size_t at;
	uint32_t depth;
	struct pattern_flags flags;
	struct arena *arena;
	struct rx_pool *pool; /* whose work it is */
	struct pattern_name *names;
	struct hokku_error *err;
	enum hokku_code rc;
};

/* *out lies in the arena. INVALID_REQUEST: "column 3: ..."; OUT_OF_MEMORY. */
enum hokku_code pattern_parse(struct rx_pool *pool, struct str pattern, struct arena *arena,
			      struct pattern_node **out, struct hokku_error *err);

/* Characters before the byte at `at`, and one. */
uint32_t pattern_column(struct str pattern, size_t at);

/* For the parser's files: the first fault is kept; `at` is the byte where it is. Both return false. */
bool pattern_fail(struct pattern_parser *p, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool pattern_no_memory(struct pattern_parser *p);
enum hokku_code pattern_too_much(struct hokku_error *err);
/* The character at p->at, 0 at the end of the text; *n its bytes. */
uint32_t pattern_peek(const struct pattern_parser *p, size_t *n);

/* pattern_class.c: what stands at p->at, one "\", one "[" or the character itself. */
bool pattern_class(struct pattern_parser *p, struct spans *out);
bool pattern_escape(struct pattern_parser *p, struct spans *out);
void pattern_any_case(struct pattern_parser *p, struct spans *s); /* unicode_any_case */
/* The word characters, the ends of lines. */
void pattern_words(bool any_case, struct spans *out);
void pattern_line_ends(struct spans *out);

#endif
