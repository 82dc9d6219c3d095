/* A schema against instances, byte by byte, with a vocabulary of the 256 bytes. */
#ifndef SCHEMA_TRY_H
#define SCHEMA_TRY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "constrain/constrain.h"

static struct constrain_vocab *try_vocab;

static struct str try_bytes(void *user, uint32_t token)
{
	static char bytes[256];
	(void)user;
	if (token > 255)
		return (struct str){NULL, 0};
	bytes[token] = (char)token;
	return (struct str){bytes + token, 1};
}

static int try_begin(void **state)
{
	static const int32_t end = 256;
	const struct constrain_words words = {.n = 257, .bytes = try_bytes, .ends = &end, .n_ends = 1};
	(void)state;
	return constrain_vocab_new(&words, &try_vocab, NULL) != HOKKU_OK;
}

static int try_end(void **state)
{
	(void)state;
	constrain_vocab_free(try_vocab);
	return 0;
}

static struct constrain *try_schema(struct str schema, enum constrain_space space,
				    struct constrain_fault *fault, struct hokku_error *err)
{
	const struct constrain_shape shape = {CONSTRAIN_JSON_SCHEMA, schema, space};
	struct constrain *c = NULL;
	constrain_new(try_vocab, &shape, NULL, &c, fault, err);
	return c;
}

static bool try_instance(struct constrain *c, struct str text)
{
	size_t n = 0;
	struct constrain_walk *w = constrain_begin(c);
	assert_non_null(w);
	enum constrain_taken taken = constrain_take_bytes(w, text, &n);
	bool fits = taken == CONSTRAIN_TAKEN && n == text.len && constrain_may_end(w);
	constrain_end(w);
	return fits;
}

/* A schema, instances that fit, instances that do not; each list ends with NULL. */
struct try_row {
	const char *schema;
	const char *fits[12], *others[12];
};

static inline void try_row(const struct try_row *row, enum constrain_space space)
{
	struct hokku_error err = {0};
	struct constrain *c = try_schema(str_c(row->schema), space, NULL, &err);
	if (!c)
		fail_msg("%s: %s", row->schema, err.message);
	for (const char *const *t = row->fits; *t; t++)
		if (!try_instance(c, str_c(*t)))
			fail_msg("%s does not take %s", row->schema, *t);
	for (const char *const *t = row->others; *t; t++)
		if (try_instance(c, str_c(*t)))
			fail_msg("%s takes %s", row->schema, *t);
	constrain_unref(c);
}

static inline void try_rows(const struct try_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		try_row(&rows[i], CONSTRAIN_COMPACT);
}
#define TRY_ROWS(rows) try_rows(rows, sizeof(rows) / sizeof *(rows))

/* A schema that is refused, the place, and words of the message. */
struct try_refused {
	const char *schema, *place, *words;
};

static inline void try_refused(const struct try_refused *row)
{
	struct hokku_error err = {0};
	struct constrain_fault fault = {{0}};
	struct constrain *c = try_schema(str_c(row->schema), CONSTRAIN_COMPACT, &fault, &err);
	if (c)
		fail_msg("%s is not refused", row->schema);
	if (err.code != HOKKU_INVALID_REQUEST || strcmp(fault.place, row->place) != 0 ||
	    !strstr(err.message, row->words))
		fail_msg("%s: at \"%s\": %s", row->schema, fault.place, err.message);
}

#endif
