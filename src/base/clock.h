/* Clocks: a monotonic one for durations, the wall's for people. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline double clock_ms_since(uint64_t start_ns)
{
	return (double)(clock_ns() - start_ns) * 1e-6;
}

/* Nanoseconds since 1970. */
static inline uint64_t clock_wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The present as "2026-11-23T08:15:30.123Z"; out holds 32 bytes. Returns out. */
const char *clock_iso8601(char out[32]);

#endif
