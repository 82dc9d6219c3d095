/* What a grammar holds, for those that build, seal, print and walk it. */
#ifndef CONSTRAIN_GRAMMAR_INTERNAL_H
#define CONSTRAIN_GRAMMAR_INTERNAL_H

#include "base/str.h"
#include "constrain/grammar.h"

enum edge_kind { EDGE_READS, EDGE_CALLS, EDGE_SKIPS };

struct grammar_edge {
	place_id from, to;
	uint32_t kind;
	uint32_t what; /* an expression, a rule */
};

struct grammar_rule {
	char *name; /* NULL: none was given */
	place_id start, end;
	uint32_t rank;     /* sealed: above that of every rule it begins with */
	bool may_be_empty; /* sealed */
};

struct grammar_place {
	rule_id rule;
	uint32_t edges;       /* sealed: the first of its edges; those of the next place begin behind them */
	bool good, reachable; /* an end can be written from here; texts come here */
	bool may_end;         /* nothing need be written to get to the rule's end */
	bool only_end;        /* and nothing can */
	bool in_front;        /* nothing need be written to get here from the rule's start */
};

struct grammar {
	struct rx_pool *pool;
	struct grammar_rule *rules;
	uint32_t n_rules, cap_rules;
	struct grammar_place *places; /* sealed: one more, for where the last one's edges end */
	uint32_t n_places, cap_places;
	struct grammar_edge *edges; /* sealed: in the order of their places, those that lead nowhere cut */
	uint32_t n_edges, cap_edges;
	bool too_many_places, too_many_rules, failed, empty;
	bool distinct; /* its texts are JSON, and no name comes twice in an object (names.h) */
};

/* A rule's name for messages. Returns out. */
const char *grammar_rule_name(const struct grammar *g, rule_id r, char out[64]);

/* The grammar as text, a rule a line. */
void grammar_print(const struct grammar *g, struct strbuf *out);

/* An expression as text: (a|b){2,5}; cut with "..." where it is long or deep. */
void rx_print(const struct rx_pool *p, rx a, struct strbuf *out);

#endif
