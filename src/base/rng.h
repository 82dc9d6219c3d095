/*
 * Random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011). The same (key, counter) gives the same numbers on every machine and device, in any
 * order. C and CUDA C.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

#include "base/host_device.h"

static HOST_DEVICE void philox4x32_10(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];
	for (int round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
		uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c1 = (uint32_t)p1;
		c3 = (uint32_t)p0;
		c0 = n0;
		c2 = n2;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

/* Four words for (seed, index) of stream; streams keep the users of one seed apart. */
static HOST_DEVICE void rng_words(uint64_t seed, uint32_t stream, uint64_t index, uint32_t out[4])
{
	const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), stream, 0};
	const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
	philox4x32_10(out, counter, key);
}

/* A double in [0, 1) with 53 random bits from two words. */
static inline double rng_unit(uint32_t high, uint32_t low)
{
	return (double)((((uint64_t)high << 32) | low) >> 11) * 0x1p-53;
}

/* Streams in use. */
enum {
	RNG_STREAM_SAMPLER = 1,
	RNG_STREAM_SYNTH = 2,
	RNG_STREAM_TEST = 3,
	RNG_STREAM_LOAD = 4,
	RNG_STREAM_SHAPE = 5
};

/* 64 bits from the operating system, for a seed nobody gave. */
uint64_t rng_os_seed(void);

#endif
