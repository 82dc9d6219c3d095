/* A grammar's text as trees: what gbnf_parse.c makes and gbnf.c turns into places and expressions. */
#ifndef CONSTRAIN_GBNF_H
#define CONSTRAIN_GBNF_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "constrain/constrain.h"
#include "constrain/rx.h"

enum {
	GBNF_MAX_BYTES = 1 << 20,
	GBNF_MAX_DEPTH = 1000,   /* groups in groups */
	GBNF_MAX_COUNT = 100000, /* of what refers to a rule that is recursive or large */
};

enum gbnf_kind { G_TEXT, G_RULE, G_CAT, G_OR, G_REPEAT };

struct gbnf_node {
	enum gbnf_kind kind;
	uint32_t at;       /* its first byte */
	uint32_t min, max; /* of REPEAT; RX_UNBOUNDED */
	uint32_t rule;     /* of RULE: which, once all are known */
	uint32_t within;   /* of RULE: the one that it stands in */
	struct str name;   /* of RULE */
	rx text;           /* the expression that it is: of TEXT at once, of others where it is made */
	bool made;
	bool regular;  /* no rule in it is recursive or large */
	uint64_t size; /* of the expression, were it written out */
	uint32_t n_kids;
	struct gbnf_node **kids;
};

struct gbnf_rule {
	struct str name;
	uint32_t at;
	struct gbnf_node *body;
};

struct gbnf_text {
	struct str text;
	struct arena *arena;
	struct rx_pool *pool;
	struct gbnf_rule *rules; /* in the order of the text */
	struct gbnf_rule **by_name;
	uint32_t n_rules, cap_rules;
	struct gbnf_node **references; /* every RULE */
	uint32_t n_references, cap_references;
	struct constrain_fault *fault;
	struct hokku_error *err;
	enum hokku_code rc;
};

/* Fills rules and references; classes and literals become expressions in t->pool. The arrays are the arena's.
 */
enum hokku_code gbnf_parse(struct gbnf_text *t);

/* The rule of that name; NULL: none. Once all are read. */
const struct gbnf_rule *gbnf_find(const struct gbnf_text *t, struct str name);

/* The first fault is kept; `at` is the byte where it is. Both return false. */
bool gbnf_fail(struct gbnf_text *t, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool gbnf_no_memory(struct gbnf_text *t);

#endif
