#include "base/rng.h"

#include <sys/random.h>

#include "base/clock.h"

uint64_t rng_os_seed(void)
{
	uint64_t seed;
	if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed)
		return seed;
	return clock_ns() * 0x9E3779B97F4A7C15u;
}
