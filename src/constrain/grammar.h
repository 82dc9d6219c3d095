/*
 * A grammar: rules, each a small nondeterministic automaton of places joined by edges. An edge reads a text
 * that a regular expression matches, calls a rule, or skips. What makes grammars (schema.c, gbnf.c) hands
 * down two places and says what leads from the one to the other.
 *
 * Built once, then sealed, then walked (machine.h). Not thread-safe while it is built.
 */
#ifndef CONSTRAIN_GRAMMAR_H
#define CONSTRAIN_GRAMMAR_H

#include "base/error.h"
#include "constrain/rx.h"

struct grammar;

typedef uint32_t rule_id;
typedef uint32_t place_id; /* a place belongs to one rule, by the call that made it */

enum { GRAMMAR_MAX_PLACES = 1 << 20, GRAMMAR_MAX_RULES = 1 << 17 };

/* Its expressions lie in p, which the grammar owns from here on. NULL: no memory (p is freed then too). */
struct grammar *grammar_new(struct rx_pool *p);
void grammar_free(struct grammar *g);
struct rx_pool *grammar_pool(struct grammar *g);

/* A new rule with a start and an end. The first one made is where texts begin. name: for messages and
 * grammar_print, copied; NULL: a number. */
rule_id grammar_rule(struct grammar *g, const char *name);
place_id grammar_start(const struct grammar *g, rule_id r);
place_id grammar_end(const struct grammar *g, rule_id r);

/* Another place of the rule that `beside` belongs to. */
place_id grammar_place(struct grammar *g, place_id beside);

/* Edges; from and to belong to one rule. An edge that reads RX_NONE is left out. */
void grammar_reads(struct grammar *g, place_id from, place_id to, rx text);
void grammar_calls(struct grammar *g, place_id from, place_id to, rule_id callee);
void grammar_skips(struct grammar *g, place_id from, place_id to);

/* The texts are JSON, and their objects have no name twice, whatever the rules say. Only where each name that
 * a rule has begun can be gone on with for ever, so that there is always another one. */
void grammar_distinct(struct grammar *g);

/* Something did not fit (places, rules, memory, the pool's limits): asked once, at the end. */
bool grammar_failed(const struct grammar *g);

/*
 * Ends building: skips are closed, places that lead nowhere are cut (rules without a finite text, expressions
 * that match nothing), rules that may be empty are found. INVALID_REQUEST: nothing at all can be written, a
 * rule begins with itself (the rules of the circle are named), or a limit was passed (which, and how far).
 */
enum hokku_code grammar_seal(struct grammar *g, struct hokku_error *err);

/* Was it refused because no text at all is in it? */
bool grammar_is_empty(const struct grammar *g);

#endif
