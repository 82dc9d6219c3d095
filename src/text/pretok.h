/*
 * Pre-tokenizers: cut text into the pieces inside which byte pairs are merged. tokenizer.ggml.pre names one;
 * the table in pretok_rows.c holds the rules of each.
 */
#ifndef TEXT_PRETOK_H
#define TEXT_PRETOK_H

#include "base/error.h"
#include "base/str.h"

struct pretok;

/* An unknown name is BAD_FILE. */
enum hokku_code pretok_create(struct str name, struct pretok **out, struct hokku_error *err);

/* For tests: one that finds every piece by the regular expressions, none by a scanner. */
enum hokku_code pretok_create_by_regex(struct str name, struct pretok **out, struct hokku_error *err);
void pretok_destroy(struct pretok *p); /* NULL is allowed */

/* As tokenizer.ggml.pre has it. Static storage. */
const char *pretok_name(const struct pretok *p);
bool pretok_nfc(const struct pretok *p); /* text is brought to NFC first */
bool pretok_ignore_merges(
	const struct pretok *p); /* a piece that is a token is that token, whatever merging gives */
bool pretok_add_bos(const struct pretok *p); /* where the file does not say (add_bos_token) */

/* One call's working memory; start from zero. One thread at a time. */
struct pretok_work {
	void *match;     /* pcre2_match_data */
	void *context;   /* pcre2_match_context */
	size_t *ends[2]; /* of pieces, before and after a split */
	size_t cap[2];
};
void pretok_work_free(struct pretok_work *w);

/* Calls piece for each piece of text (valid UTF-8), in order; together they are the text. A code that piece
 * returns ends the walk and is returned. */
typedef enum hokku_code (*pretok_piece)(void *user, const char *piece, size_t n);
enum hokku_code pretok_split(const struct pretok *p, struct pretok_work *w, struct str text,
			     pretok_piece piece, void *user, struct hokku_error *err);

/* The names of all, i below pretok_n_names(). */
size_t pretok_n_names(void);
const char *pretok_name_at(size_t i);

#endif
