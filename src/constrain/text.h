/*
 * How texts of JSON and of users' patterns become regular expressions over bytes.
 *
 * A pattern's subject is a text of code points. It can stand in the answer as it is (RAW: UTF-8) or between
 * the quotes of a JSON string (JSON: each code point as itself where JSON allows that, by its short escape,
 * or as \uXXXX with hexadecimal digits of either case, surrogate pairs beyond U+FFFF).
 */
#ifndef CONSTRAIN_TEXT_H
#define CONSTRAIN_TEXT_H

#include "base/error.h"
#include "base/str.h"
#include "constrain/constrain.h"
#include "constrain/grammar.h"
#include "constrain/rx.h"

enum rx_dress { RX_RAW, RX_JSON };

/* One code point of the spans, in that dress (without quotes). Spans in rising order, apart from each other.
 */
rx rx_char(struct rx_pool *p, enum rx_dress dress, const struct rx_span *spans, size_t n);

/* Any code point, min to max of them: the length of a JSON string counts code points. */
rx rx_any_text(struct rx_pool *p, enum rx_dress dress, uint32_t min, uint32_t max);

/* A text as such, each of its ways of being written in that dress. utf8 is valid UTF-8. */
rx rx_text(struct rx_pool *p, enum rx_dress dress, struct str utf8);

/*
 * A pattern as ECMA-262 with the u flag reads it, and what is common beyond it ((?i), (?:...), \d \w \s \b
 * where it can be had, lazy quantifiers, named groups, \p{...}); lookahead and lookbehind where they become
 * intersections. whole: the pattern is the whole text (as response `regex` is meant); else it is searched
 * for, as JSON Schema's `pattern`. INVALID_REQUEST: no pattern, or one that cannot be enforced
 * (backreferences): the column, what stands there, and why.
 */
enum hokku_code rx_pattern(struct rx_pool *p, enum rx_dress dress, struct str pattern, bool whole, rx *out,
			   struct hokku_error *err);

/* The `format` of a JSON Schema as an expression in JSON dress: true and *out, or false: not known. */
bool rx_format(struct rx_pool *p, struct str name, rx *out);
/* Their names, for messages; NULL past the last. */
const char *rx_format_name(size_t i);

/* Decimal numbers as a schema writes them: sign, digits with the point taken out, and how many of them are
 * behind it. Any number of digits. */
struct decimal {
	bool negative;
	struct str digits; /* no leading zeros; "" is 0 */
	int32_t scale;     /* value = digits x 10^-scale */
};

struct rx_number {
	bool integer; /* 1.0 and 1e2 are integers too for a schema; only plain digits are written, and no
			 exponent */
	const struct decimal *min, *max; /* NULL: none */
	bool min_excluded, max_excluded;
	const struct decimal *multiple_of; /* NULL: any; above 0 */
	bool plain;                        /* without an exponent */
	bool endless; /* zeros that change no value may go on for ever: for what is to be negated */
};

/* Where nothing but zeros can follow behind a point, they end with this digit behind it (as C's "%f" has
 * them), or with the last that the bound or value has. */
enum { NUMBER_ZEROS = 6 };

/*
 * JSON numbers within the bounds. Without bounds and multiple: all that RFC 8259 allows. With bounds alone:
 * plain, or with one digit from 1 to 9 before the point and an exponent from -300 to 300, so that none is 0
 * or infinite to a reader of doubles. With a multiple: plain. INVALID_REQUEST: no number fits ("nothing is
 * between 5 and 4"), or it would take too many states (what, how many, the limit).
 */
enum hokku_code rx_number(struct rx_pool *p, const struct rx_number *what, rx *out, struct hokku_error *err);

/* A grammar as llama.cpp reads GBNF: rules, literals, classes, *, +, ?, {m,n}, groups, alternatives,
 * comments, "." ; from `root`. INVALID_REQUEST: "line 3 column 5: ...", with what was found and wanted. */
enum hokku_code gbnf_compile(struct grammar *g, struct str text, struct constrain_fault *fault,
			     struct hokku_error *err);

/* The same; *root is the rule that `root` became. */
enum hokku_code gbnf_into(struct grammar *g, struct str text, rule_id *root, struct constrain_fault *fault,
			  struct hokku_error *err);

/* A schema into g, whose first rule becomes its texts. root: read by jv_parse. INVALID_REQUEST: the pointer
 * of the keyword, what was found there, what would do. */
struct jv;
enum hokku_code schema_compile(struct grammar *g, const struct jv *root, enum constrain_space space,
			       struct constrain_fault *fault, struct hokku_error *err);

/* What is the same for every schema of a grammar, made with the first; zeros before. */
struct schema_base_texts {
	bool made;
	rx any_text, string_any, number_any, decimal_any;
	struct json_any_rules {
		bool made;
		rule_id value, array, object;
	} json[CONSTRAIN_SPACED + 1]; /* by white space */
};

/* The same between two places of a rule. whole: what the schema stands in; pointers are into that. */
struct schema_site {
	struct grammar *g;
	place_id from, to;
	const struct jv *whole;
	struct schema_base_texts *shared; /* by all schemas of g */
	bool alone;                       /* nothing else is written by g */
};
enum hokku_code schema_into(const struct schema_site *site, const struct jv *root, enum constrain_space space,
			    struct constrain_fault *fault, struct hokku_error *err);

/* Any JSON value, any object: what an empty schema and json_object mean. from and to as grammar_reads has
 * them. */
void json_any(struct grammar *g, place_id from, place_id to, enum constrain_space space);
void json_any_object(struct grammar *g, place_id from, place_id to, enum constrain_space space);

#endif
