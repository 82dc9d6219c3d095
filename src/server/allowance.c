#include "server/allowance.h"

#include <stdbool.h>

#include "server/keys.h"

#define NS_PER_S  UINT64_C(1000000000)
#define MINUTE_NS (60 * NS_PER_S)

static bool is_limited(const struct allowance *a)
{
	return a->tokens_per_minute != KEYS_UNLIMITED;
}

/* How long n tokens take to come back, rounded up. */
static uint64_t time_of(const struct allowance *a, uint64_t n)
{
	uint64_t ns;
	if (__builtin_mul_overflow(n, MINUTE_NS / a->tokens_per_minute, &ns))
		return UINT64_MAX;
	uint64_t rest = MINUTE_NS % a->tokens_per_minute, more;
	if (__builtin_mul_overflow(n, rest, &more) ||
	    __builtin_add_overflow(ns, more / a->tokens_per_minute + (more % a->tokens_per_minute > 0), &ns))
		return UINT64_MAX;
	return ns;
}

static uint64_t missing_ns(const struct allowance *a, uint64_t now_ns)
{
	return a->full_ns > now_ns ? a->full_ns - now_ns : 0;
}

uint32_t allowance_wait_s(const struct allowance *a, uint64_t now_ns)
{
	uint64_t missing = missing_ns(a, now_ns);
	if (!is_limited(a) || missing < MINUTE_NS)
		return 0;
	uint64_t s = (missing - MINUTE_NS) / NS_PER_S + 1;
	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

void allowance_use(struct allowance *a, uint64_t now_ns, uint64_t n)
{
	if (!is_limited(a))
		return;
	uint64_t from = a->full_ns > now_ns ? a->full_ns : now_ns;
	if (__builtin_add_overflow(from, time_of(a, n), &a->full_ns))
		a->full_ns = UINT64_MAX;
}

void allowance_give_back(struct allowance *a, uint64_t n)
{
	if (!is_limited(a))
		return;
	uint64_t ns = time_of(a, n);
	a->full_ns = a->full_ns > ns ? a->full_ns - ns : 0;
}

int64_t allowance_left(const struct allowance *a, uint64_t now_ns)
{
	if (!is_limited(a))
		return INT64_MAX;
	double part = (double)missing_ns(a, now_ns) / (double)MINUTE_NS;
	return (int64_t)(a->tokens_per_minute * (1 - part));
}
