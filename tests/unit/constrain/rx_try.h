/* A pool for a test, and texts against an expression. */
#ifndef RX_TRY_H
#define RX_TRY_H

#include <string.h>

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

/* 0 to n - 1. */
static inline uint32_t try_draw(uint64_t *at, uint32_t n)
{
	uint32_t words[4];
	rng_words(1, RNG_STREAM_TEST, (*at)++, words);
	return words[0] % n;
}

#endif
