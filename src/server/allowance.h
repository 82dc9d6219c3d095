/*
 * The tokens a minute that a key may use, and what it has used. Pure figures: the caller says what time it
 * is.
 *
 * A key has its tokens of a minute at first, and gets them back evenly, never more than those of a minute at
 * once. Tokens of a prompt are counted when the request is taken, those of an answer as they are drawn; a
 * request is taken while there is anything left. So what is under way is never cut off, and what it goes on
 * to use is paid back before the next is taken: over any time of T minutes a key uses its limit (T + 1)
 * times, and what its last requests drew beyond that.
 */
#ifndef SERVER_ALLOWANCE_H
#define SERVER_ALLOWANCE_H

#include <stdint.h>

/* What is counted of each key, and of all together: one row each, shown by /health. */
#define ALLOWANCE_COUNTERS(X)                                                      \
	X(requests, "requests that were taken")                                    \
	X(rate_limited, "requests that were refused for a limit of the key's own") \
	X(prompt_tokens, "tokens of the prompts of requests that began")           \
	X(answer_tokens, "tokens that were drawn for them")

struct allowance_counters {
#define ALLOWANCE_X(name, text) uint64_t name;
	ALLOWANCE_COUNTERS(ALLOWANCE_X)
#undef ALLOWANCE_X
};

struct allowance {
	uint32_t tokens_per_minute; /* KEYS_UNLIMITED: no limit */
	uint64_t full_ns;           /* when all of a minute's tokens are there again, if nothing is used */
	struct allowance_counters counters;
};

/* Seconds after which a request is taken if nothing is used until then; 0: now. */
uint32_t allowance_wait_s(const struct allowance *a, uint64_t now_ns);

/* n tokens more are used, or given back. */
void allowance_use(struct allowance *a, uint64_t now_ns, uint64_t n);
void allowance_give_back(struct allowance *a, uint64_t n);

/* Tokens that are there now; less than nothing where more has been used. No limit: INT64_MAX. */
int64_t allowance_left(const struct allowance *a, uint64_t now_ns);

#endif
