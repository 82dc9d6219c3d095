/*
 * Stands in for tests/cudasim/cudasim.h where the tests of tests/unit/cuda run on a real device: there is
 * nothing to set and nothing is counted. Tests that need more than that begin with EMULATOR_ONLY().
 */
#ifndef CUDASIM_H
#define CUDASIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CUDASIM_PRESENT = 0 };

struct cudasim_settings {
	unsigned n_devices, cc;
	size_t vram_bytes, used_bytes;
	uint64_t seed;
	bool fence;
	int driver_version;
	size_t kernel_bytes;
};

static inline void cudasim_get(struct cudasim_settings *out)
{
	*out = (struct cudasim_settings){0};
}

static inline void cudasim_set(const struct cudasim_settings *s)
{
	(void)s;
}

static inline void cudasim_fail(const char *name, unsigned n, int error)
{
	(void)name, (void)n, (void)error;
}

static inline void cudasim_evict(unsigned n)
{
	(void)n;
}

static inline unsigned cudasim_calls(void)
{
	return 0;
}

static inline size_t cudasim_live_bytes(void)
{
	return 0;
}

static inline size_t cudasim_live_pinned(void)
{
	return 0;
}

static inline unsigned cudasim_contexts(void)
{
	return 0;
}

static inline unsigned cudasim_launches(void)
{
	return 0;
}

#endif
