/*
 * How a JSON Schema becomes a grammar, between the files schema*.c.
 *
 * A *literal* is a place of the schema (or a value of enum or const) that a value has to fit, or, negated,
 * must not. A *term* is a list of literals that all hold: what a property or an item has to be. A term's
 * *set* is its meaning one level deep: for each JSON type what is allowed, arrays and objects as unions of
 * records whose children are terms again. So a schema is unfolded only as far as it is looked at, and
 * recursion ends at terms that were met before.
 *
 * Everything made while compiling lies in one arena. What is refused, and the lack of memory, leave by
 * longjmp to schema_compile.
 */
#ifndef CONSTRAIN_SCHEMA_INTERNAL_H
#define CONSTRAIN_SCHEMA_INTERNAL_H

#include <setjmp.h>

#include "base/arena.h"
#include "base/json.h"
#include "constrain/text.h"

enum {
	/* Schemas that hold for one value, one inside the other (allOf, anyOf, $ref, not ...). */
	SCHEMA_MAX_NESTED = 200,
	/* Alternatives of one value: records of objects and arrays, number ranges. */
	SCHEMA_MAX_ALTERNATIVES = 20000,
	/* States of an object whose properties are counted, of an array whose items are distinct. */
	SCHEMA_MAX_STATES = 1 << 16,
	/* Digits of a number of the schema. */
	SCHEMA_MAX_DIGITS = 400,
	/* anyOf beside unevaluatedProperties: each of its subsets is an alternative. */
	SCHEMA_MAX_SUBSETS = 5,
	/* Properties that must be there and are not declared stand anywhere among the additional ones up to
	 * this number; more of them come in the order of `required`, before the additional ones. */
	SCHEMA_MAX_LATE = 4,
	/* Derivatives that are looked at to see that names of a kind never run out. */
	SCHEMA_MAX_NAME_STATES = 1024,
	/* Properties of an object that come from several `properties`: how many are ordered anew; nodes and
	 * edges of the ways in which they may come; edges of all objects together. */
	SCHEMA_MAX_ORDERED = 256,
	SCHEMA_MAX_ORDER_NODES = 128,
	SCHEMA_MAX_ORDER_EDGES = 512,
	SCHEMA_MAX_ALL_ORDERS = 16384,
	SCHEMA_UNBOUNDED = UINT32_MAX,
};

enum { T_NULL = 1, T_BOOL = 2, T_NUMBER = 4, T_STRING = 8, T_ARRAY = 16, T_OBJECT = 32, T_ALL = 63 };

typedef uint32_t term_id;
enum { TERM_ANY = 0, TERM_NONE = 1 };

enum lit_kind { LIT_SCHEMA, LIT_VALUE };

struct set;

struct lit {
	const struct jv *at;
	enum lit_kind kind;
	bool negated;
	bool busy;
	uint32_t level;        /* of the judgement that made it busy */
	const struct set *set; /* NULL: not asked for yet */
};

struct first {
	const struct jv *at;
	uint64_t hash;
};

struct term {
	const uint32_t *lits; /* in the order in which they were met */
	uint32_t n;
	rule_id rule; /* its arrays and objects */
	bool has_rule, busy;
	bool dead, judged;
	const struct set *set;
};

/* Numbers. */
struct num {
	enum { NUM_ANY, NUM_INTEGER, NUM_FRACTION } integer;
	const struct decimal *min, *max;
	bool min_excluded, max_excluded;
	const struct decimal **multiples, **not_multiples, **nots;
	uint32_t n_multiples, n_not_multiples, n_nots;
	/* One of these alone; all else but `integer` is then none. */
	const struct decimal **points;
	uint32_t n_points;
};

struct num_list {
	const struct num **at;
	uint32_t n;
};

/* Strings: words, sorted by bytes and distinct, and what rx matches (in JSON dress, without quotes). */
struct strings {
	const struct str *words;
	uint32_t n_words;
	rx rx;
};

struct contains {
	term_id term;
	uint32_t from; /* the first item that counts */
	uint32_t min, max;
};

struct arr {
	const term_id *prefix;
	uint32_t n_prefix;
	term_id rest;
	uint32_t min, max;
	const struct contains *contains;
	uint32_t n_contains;
	bool unique;
	const struct jv *unique_at; /* the schema that asked for it */
	uint32_t seen;              /* items that are evaluated, for unevaluatedItems */
	bool seen_some;             /* and those that `contains` found */
};

struct arr_list {
	const struct arr **at;
	uint32_t n;
};

struct prop {
	struct str key;
	bool required;
	bool late; /* named by `required` and declared by no `properties` */
	term_id term;
};

/* Keys (in JSON dress, without quotes) and what their values are. */
struct keys {
	rx keys;
	term_id term;
};

/* The names of one `properties`. */
struct order {
	const struct str *keys;
	uint32_t n;
};

struct obj {
	const struct prop *props;
	uint32_t n_props;
	const struct keys *regions; /* disjoint; of keys that are no props. A key of none is forbidden. */
	uint32_t n_regions;
	const struct keys *somes; /* of each, a property that fits is there */
	uint32_t n_somes;
	uint32_t min, max;
	rx seen;                    /* keys that are evaluated, for unevaluatedProperties */
	const struct order *orders; /* that hold together */
	uint32_t n_orders;
};

struct obj_list {
	const struct obj **at;
	uint64_t
		*marks; /* a bit for each thing that a record asks: one within another has all bits of that */
	uint32_t n;
};

struct set {
	bool null;
	uint8_t bools; /* 1: false, 2: true */
	struct strings strings;
	struct num_list nums;
	struct arr_list arrs;
	struct obj_list objs;
};

/* Any value, any array, any object. */
struct json_rules {
	rule_id value, array, object;
};

/* A base of $ref: the root, or a schema with its own $id. */
struct resource {
	struct str uri; /* without fragment */
	const struct jv *root;
};

struct anchor {
	struct str name;
	uint32_t resource;
	bool dynamic;
	const struct jv *at;
};

struct ref_base {
	const struct jv *at;
	uint32_t resource;
};

struct index {
	uint32_t *slots; /* number plus one */
	uint32_t mask, n;
};

/* A question whether a term is empty: where it goes on if that cannot be known. */
struct judge {
	jmp_buf jump;
	struct judge *outer;
	uint32_t n_busy, nested, fuel;
};

struct schema {
	struct grammar *g;
	struct rx_pool *p;
	const struct jv *root;
	const struct jv *whole; /* what the root stands in */
	place_id from, to;
	enum constrain_space space;
	struct constrain_fault *fault;
	struct hokku_error *err;
	enum hokku_code rc;
	jmp_buf jump;
	struct arena arena;

	struct lit *lits;
	uint32_t n_lits, cap_lits;
	struct index lit_index;
	struct first *firsts; /* of schemas and values with the same content */
	uint32_t n_firsts, cap_firsts;
	struct index first_index;
	struct term *terms;
	uint32_t n_terms, cap_terms;
	struct index term_index;
	term_id writing; /* TERM_ANY: none */
	term_id *queue;  /* rules whose bodies are to be written */
	uint32_t n_queue, cap_queue;

	struct resource *resources;
	uint32_t n_resources, cap_resources;
	struct anchor *anchors;
	uint32_t n_anchors, cap_anchors;
	struct ref_base *bases; /* of schemas that hold references, by address */
	uint32_t n_bases, cap_bases;

	bool wants_seen; /* unevaluatedProperties or unevaluatedItems stands somewhere */
	uint32_t nested;
	uint32_t *busy; /* literals that are being unfolded */
	uint32_t n_busy, cap_busy;
	struct judge *judge;
	uint32_t n_order_edges;
	rx *kinds; /* of names of additional properties that are written, but any_text */
	uint32_t n_kinds, cap_kinds;
	const struct jv *counts; /* a schema whose count of properties a name that comes twice would break */
	bool wants_some;         /* some additional property has to be of a kind */
	uint32_t level, fuel;    /* of judgements; levels that schema_dead may still look down */
	uint64_t work;           /* steps of bringing schemas together, of all that the shape has */

	const struct set *any, *none;
	rx any_text, space_rx, string_any, number_any;
	rx decimal_any; /* numbers without exponent */
	rx chars[128];  /* of ASCII, in JSON dress; 0: not made */
	struct schema_base_texts *shared;
};

/* schema.c */
void *schema_alloc(struct schema *s, size_t count, size_t size);
void *schema_grow(struct schema *s, void *array, uint32_t n, uint32_t *cap,
		  size_t size);                       /* room for one more */
void schema_work(struct schema *s, uint64_t steps);   /* leaves where the shape's are used up */
const struct jv *schema_here(const struct schema *s); /* the schema that is being unfolded or written */
/* Leaves. at: the schema; keyword: the place in it, NULL: itself. */
_Noreturn void schema_refuse(struct schema *s, const struct jv *at, const char *keyword, const char *format,
			     ...) __attribute__((format(printf, 4, 5)));
_Noreturn void schema_no_memory(struct schema *s);

/* schema_term.c */
void schema_terms_init(struct schema *s);
term_id schema_term(struct schema *s, const struct jv *at, enum lit_kind kind, bool negated);
term_id schema_term_and(struct schema *s, term_id a, term_id b);
term_id schema_term_of_lit(struct schema *s, uint32_t lit);
uint32_t schema_lit_not(struct schema *s, uint32_t lit);
term_id schema_term_not(struct schema *s, term_id t); /* of one literal at most: refused otherwise */
const struct set *schema_set(struct schema *s, term_id t);
const struct set *schema_peek(struct schema *s, term_id t); /* of a child; NULL: not to be known yet */
const struct set *schema_lit_set(struct schema *s, uint32_t lit);
/* No value at all fits, as far as that was seen; false may still be none. */
bool schema_dead(struct schema *s, term_id t);

/* schema_set.c */
const struct set *schema_and(struct schema *s, const struct set *a, const struct set *b);
const struct set *schema_or(struct schema *s, const struct set *a, const struct set *b);
const struct set *schema_not(struct schema *s, const struct set *a);
/* What is of a and not of b. */
const struct set *schema_without(struct schema *s, const struct set *a, const struct set *b);
const struct set *schema_or_many(struct schema *s, const struct set *const *parts, uint32_t n);
/* In exactly one of them, as far as it is in `context`, which the caller brings in. */
const struct set *schema_one_of(struct schema *s, const struct set *context, const struct set *const *parts,
				uint32_t n);
const struct set *schema_typed(struct schema *s, unsigned types); /* all values of the types */
bool schema_is_none(const struct set *a);

/* schema_read.c */
const struct set *schema_read(struct schema *s, const struct jv *at); /* what the keywords say */
const struct set *schema_read_value(struct schema *s, const struct jv *value);
const struct set *schema_read_values(struct schema *s, const struct jv *list);
bool schema_says_nothing(const struct jv *at);
bool schema_only_refers(const struct jv *at); /* by $ref */

/* schema_base.c: the keywords of one type */
const struct set *schema_base(struct schema *s, const struct jv *at);
uint32_t schema_count(struct schema *s, const struct jv *at, const char *keyword, uint32_t absent);
unsigned schema_types(struct schema *s, const struct jv *at);
/* schema_base_object.c */
const struct obj *schema_base_obj(struct schema *s, const struct jv *at);

/* schema_ref.c */
void schema_scan(struct schema *s);
const struct jv *schema_resolve(struct schema *s, const struct jv *at, const char *keyword);

/* schema_obj.c; NULL: nothing fits */
const struct obj *schema_obj_and(struct schema *s, const struct obj *a, const struct obj *b);
void schema_obj_not(struct schema *s, const struct obj *a, struct obj_list *out);
bool schema_obj_within(struct schema *s, const struct obj *a, const struct obj *b); /* what fits a fits b */
bool schema_obj_free(struct schema *s, const struct obj *a);
struct prop *schema_prop_find(struct schema *s, struct prop *props, uint32_t n, struct str key);
bool schema_obj_dead(const struct obj *o); /* more has to be there than may be */
term_id schema_obj_term(struct schema *s, const struct obj *o, struct str key);
const struct obj *schema_obj_requires(struct schema *s, struct str key, term_id term); /* the key is there */
const struct obj *schema_obj_forbids(struct schema *s, struct str key);
bool schema_key_in(struct schema *s, rx keys, struct str key);
rx schema_keys_beside(struct schema *s, const struct obj *o, rx keys); /* those that are no props */
void schema_objs_add(struct schema *s, struct obj_list *l, const struct obj *o);

/* schema_order.c */
struct order_edge {
	uint32_t prop, to; /* writes this, comes to that node */
};
struct order_node {
	uint32_t edges; /* the first of its own */
	bool done;      /* nothing that is required is left */
};
/* Edges lead to nodes with higher numbers, from node 0, where nothing is written. n_nodes 0: one order. */
struct orders {
	const struct order_node *nodes; /* one more, for where the last one's edges end */
	const struct order_edge *edges;
	uint32_t n_nodes;
};
/* Of n props of o, which are put in an order that fits all. */
void schema_orders(struct schema *s, const struct obj *o, const struct prop **props, uint32_t n,
		   struct orders *out);

/* schema_arr.c */
const struct arr *schema_arr_and(struct schema *s, const struct arr *a, const struct arr *b);
void schema_arr_not(struct schema *s, const struct arr *a, struct arr_list *out);
bool schema_arr_same(const struct arr *a, const struct arr *b);
bool schema_arr_settled(struct schema *s, struct arr *a); /* false: no array fits */
bool schema_arr_free(const struct arr *a);
void schema_arrs_add(struct schema *s, struct arr_list *l, const struct arr *a);

/* schema_num.c */
const struct decimal *schema_decimal(struct schema *s, const struct jv *at, const char *keyword,
				     const struct jv *number);
int schema_decimal_cmp(const struct decimal *a, const struct decimal *b);
const struct num *schema_num_and(struct schema *s, const struct num *a, const struct num *b);
void schema_num_not(struct schema *s, const struct num *a, struct num_list *out);
void schema_nums_add(struct schema *s, struct num_list *l, const struct num *n);
rx schema_num_rx(struct schema *s, const struct num *n);

/* schema_str.c */
struct strings schema_strings_and(struct schema *s, struct strings a, struct strings b);
struct strings schema_strings_or(struct schema *s, struct strings a, struct strings b);
struct strings schema_strings_not(struct schema *s, struct strings a);
void schema_sort(struct schema *s, struct str *words, uint32_t n);            /* by bytes */
struct strings schema_words(struct schema *s, struct str *words, uint32_t n); /* sorted here */
bool schema_strings_none(const struct strings *a);
rx schema_strings_rx(struct schema *s, const struct strings *a); /* every way of writing, without quotes */
rx schema_names_rx(struct schema *s, struct str *words, uint32_t n); /* the same; sorts them */
void schema_write(struct strbuf *out, struct str text); /* the one way of writing, without quotes */
rx schema_word_rx(struct schema *s, struct str word, const char *after);   /* quoted, then `after` */
rx schema_words_rx(struct schema *s, const struct str *words, uint32_t n); /* quoted */
rx schema_texts_rx(struct schema *s, struct str *texts, uint32_t n);       /* as they are; sorts them */

/* schema_emit.c */
void schema_emit(struct schema *s, place_id from, place_id to, term_id t);
void schema_emit_queue(struct schema *s);
/* A bracket, comma or colon with the white space that may stand before or after it. */
enum { SPACE_BEFORE = 1, SPACE_AFTER = 2 };
rx schema_mark(struct schema *s, char c, unsigned spaces);
rx schema_key_rx(struct schema *s, struct str key); /* quoted, with its colon */

/* schema_emit_object.c, schema_emit_array.c */
void schema_emit_obj(struct schema *s, place_id from, place_id to, const struct obj *o);
void schema_emit_arr(struct schema *s, place_id from, place_id to, const struct arr *a);

/* json_any.c */
struct json_rules json_rules(struct grammar *g, enum constrain_space space);

#endif
