/* A pool for a test, and texts against an expression. */
#ifndef RX_TRY_H
#define RX_TRY_H

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "constrain/text.h"

static inline struct rx_pool *try_pool(void)
{
	static const struct rx_limits limits = {.bytes = 256 << 20, .work = 200000000};
	struct rx_pool *p = rx_pool_new(&limits);
	assert_non_null(p);
	return p;
}

static inline bool try_text(struct rx_pool *p, rx r, const char *text)
{
	bool is = rx_matches(p, r, text, strlen(text));
	assert_false(rx_failed(p));
	return is;
}

/* Texts up to "" (NULL-terminated) that match, and that do not. */
static inline void try_all(struct rx_pool *p, rx r, const char *what, bool wanted, const char *const *texts)
{
	for (; *texts; texts++)
		if (try_text(p, r, *texts) != wanted)
			fail_msg("%s: %s %s", what, wanted ? "does not match" : "matches", *texts);
}
#define MATCHES(p, r, what, ...) try_all(p, r, what, true, (const char *const[]){__VA_ARGS__, NULL})
#define REFUSES(p, r, what, ...) try_all(p, r, what, false, (const char *const[]){__VA_ARGS__, NULL})

/* A JSON file of tests/golden. */
static inline void try_read(const char *path, struct jv_doc *out)
{
	struct strbuf b = {0};
	struct hokku_error err = {0};
	char part[4096];
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
		strbuf_add(&b, part, n);
	fclose(f);
	if (jv_parse((struct str){b.ptr, b.len}, JV_STRICT, out, &err))
		fail_msg("%s: %s", path, err.message);
	strbuf_free(&b);
}

/* 0 to n - 1. */
static inline uint32_t try_draw(uint64_t *at, uint32_t n)
{
	uint32_t words[4];
	rng_words(1, RNG_STREAM_TEST, (*at)++, words);
	return words[0] % n;
}

#endif
