/*
 * How a structural tag becomes a grammar, between the files structure*.c.
 *
 * A format is written between two places. Free text ends where what comes after it begins, and an expression
 * that holds both (the text without the end in it, then the end) says so exactly and makes cheap masks: what
 * it ends with is known at few nodes of a vocabulary. So the texts that follow a format (`after`) are handed
 * down to it, and those that can, write both at once.
 *
 * What is refused, and the lack of memory, leave by longjmp to structure_compile. All lies in one arena.
 */
#ifndef CONSTRAIN_STRUCTURE_INTERNAL_H
#define CONSTRAIN_STRUCTURE_INTERNAL_H

#include <setjmp.h>

#include "base/arena.h"
#include "base/json.h"
#include "constrain/structure.h"
#include "constrain/vocab.h"

/* Texts, in the order in which they were given. */
struct marks {
	const struct str *at;
	uint32_t n;
};

/* What follows a format: one of these, read with it. none at all: nothing is to be read. */
struct after {
	struct marks texts;
	bool ends; /* they end a tag: the first that comes does, wherever free text could go on */
};

/* From where to where, and within what. */
struct site {
	place_id from, to;
	struct marks tag_ends; /* of the innermost tag: free text in it holds none of them */
	const struct after *after;
	uint32_t depth;
};

struct structure {
	struct grammar *g;
	struct rx_pool *p;
	const struct constrain_vocab *vocab; /* for tokens by name */
	const struct jv *root;
	enum constrain_space space;
	struct constrain_fault *fault;
	struct hokku_error *err;
	struct schema_base_texts schemas; /* what they share */
	enum hokku_code rc;
	jmp_buf jump;
	struct arena arena;
};

/* structure.c */
void *structure_alloc(struct structure *s, size_t count, size_t size);
/* Leaves. at: a value; key: a member of it, NULL: itself. */
_Noreturn void structure_refuse(struct structure *s, const struct jv *at, const char *key, const char *format,
				...) __attribute__((format(printf, 4, 5)));
/* What another maker refused with its own place in a text. */
_Noreturn void structure_refuse_text(struct structure *s, const struct jv *text, enum hokku_code rc);
void structure_put(struct structure *s, const struct jv *v, struct site site);
place_id structure_place(struct structure *s, struct site site);
rx structure_one_of(struct structure *s, struct marks texts);

/* structure_read.c: members, checked */
const char *structure_found(const struct jv *v, char out[64]);
bool structure_bool(struct structure *s, const struct jv *v, const char *key, bool absent);
int64_t structure_int(struct structure *s, const struct jv *v, const char *key, int64_t min, int64_t max);
struct str structure_string(struct structure *s, const struct jv *v, const char *key, bool may_be_empty);
const struct jv *structure_list(struct structure *s, const struct jv *v, const char *key); /* not empty */
/* Strings of at most STRUCTURE_MAX_MARK bytes. */
struct marks structure_marks(struct structure *s, const struct jv *list, bool may_be_empty);
struct str structure_mark(struct structure *s, const struct jv *v, bool may_be_empty);
void structure_refuse_others(struct structure *s, const struct jv *v, const char *const *known);
/* A token by its number or its name. */
int32_t structure_token(struct structure *s, const struct jv *v);
int32_t structure_opening_token(struct structure *s, const struct jv *v); /* none that ends an answer */
bool structure_is_token(const struct jv *v);                              /* {"type": "token", ...} */
int32_t structure_token_format(struct structure *s, const struct jv *v);
/* Tokens that free text is not to hold: those that it never does. Refuses others. */
void structure_check_excluded(struct structure *s, const struct jv *list);

/* A tag as it was read. */
struct tag {
	const struct jv *at, *content, *schema; /* schema: of the older form, instead of a content */
	struct str begin;
	struct marks ends;
	int32_t begin_token, end_token; /* in place of these; -1: none */
};

/* Tags, each with a rule of its own for what comes behind its begin, so that it may stand in several places.
 */
struct tags {
	struct tag *at;
	rule_id *rests;
	uint32_t n;
};

/* structure_tags.c */
struct tags structure_read_tags(struct structure *s, const struct jv *list, bool older, uint32_t depth);
/* The tag from byte `skip` of its begin on; if that is above 0, behind its token. */
void structure_put_one(struct structure *s, const struct tags *tags, uint32_t i, size_t skip, place_id from,
		       place_id to);
void structure_put_any(struct structure *s, const struct tags *tags, place_id from, place_id to);
void structure_put_schema(struct structure *s, const struct jv *schema, enum constrain_space space,
			  struct site site);
void structure_put_tag(struct structure *s, const struct jv *v, struct site site);
void structure_put_separated(struct structure *s, const struct jv *v, struct site site);

/* structure_triggers.c */
void structure_put_triggered(struct structure *s, const struct jv *v, struct site site);
void structure_put_token_triggered(struct structure *s, const struct jv *v, struct site site);
void structure_put_token_dispatch(struct structure *s, const struct jv *v, struct site site);
void structure_put_dispatch(struct structure *s, const struct jv *v, struct site site);
void structure_put_older(struct structure *s, const struct jv *v, struct site site);

/* structure_free.c */
struct free_text {
	struct marks never; /* it holds none of these */
	uint32_t min_chars, max_chars;
	rx also; /* what it matches, besides */
};
/* The text alone. */
rx structure_free(struct structure *s, const struct free_text *t);
/* The text and then `next`, where none of `first` begins earlier and would be read by then. */
rx structure_free_then(struct structure *s, const struct free_text *t, struct marks first, struct str next);
/* The text and what follows the site. */
rx structure_free_after(struct structure *s, const struct free_text *t, struct marks first,
			const struct after *after);
void structure_put_any_text(struct structure *s, const struct jv *v, struct site site);
void structure_put_any_tokens(struct structure *s, const struct jv *v, struct site site);
struct marks structure_join(struct structure *s, struct marks a, struct marks b);
struct marks structure_not_empty(struct structure *s, struct marks a);
bool structure_holds(struct str text, struct str part);

#endif
