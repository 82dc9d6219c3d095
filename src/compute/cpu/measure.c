#include "compute/cpu/measure.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "compute/cpu/pool.h"
#include "compute/cpu/tier.h"

enum { RUNS = 5, LANES_A_ROUND = PEAK_CHAINS * PANEL };
static const size_t buffer_bytes = (size_t)512 << 20;
/* Multiply-adds: so many, some 10 ms, or as many as take about that (a build with sanitizers is slow). */
static const uint64_t most_rounds = 4000000, sample_rounds = 50000;
static const double round_seconds = 10e-3;

struct measurement {
	const struct cpu_tier *tier;
	struct pool *pool;
	uint8_t *buffer;
	uint64_t rounds;
	volatile uint64_t sink; /* keeps the work from being thrown away */
};

static void fill_thread(void *arg, uint32_t thread)
{
	struct measurement *m = arg;
	size_t n = buffer_bytes / pool_size(m->pool);
	memset(m->buffer + thread * n, (int)thread + 1, n);
}

static void read_thread(void *arg, uint32_t thread)
{
	struct measurement *m = arg;
	size_t n = buffer_bytes / pool_size(m->pool) / 4096 * 4096;
	uint32_t seen = m->tier->read(m->buffer + thread * n, n);
	if (thread == 0)
		m->sink = seen;
}

static void float_thread(void *arg, uint32_t thread)
{
	struct measurement *m = arg;
	float x = m->tier->peak_float(m->rounds);
	if (thread == 0)
		m->sink = x > 0;
}

static void byte_thread(void *arg, uint32_t thread)
{
	struct measurement *m = arg;
	int32_t x = m->tier->peak_bytes(m->rounds);
	if (thread == 0)
		m->sink = (uint64_t)x;
}

static double seconds_of(struct measurement *m, void (*fn)(void *, uint32_t))
{
	uint64_t start = clock_ns();
	pool_run(m->pool, fn, m);
	return clock_ms_since(start) * 1e-3;
}

/* Seconds of the fastest of some runs: what disturbs a measurement only slows it. */
static double fastest(struct measurement *m, void (*fn)(void *, uint32_t))
{
	double best = 1e30;
	for (int i = 0; i < RUNS; i++) {
		double seconds = seconds_of(m, fn);
		best = seconds < best ? seconds : best;
	}
	return best;
}

/* Multiply-adds a second of one lane of one chain. */
static double fastest_rounds(struct measurement *m, void (*fn)(void *, uint32_t))
{
	m->rounds = sample_rounds;
	double fitting = (double)sample_rounds * round_seconds / seconds_of(m, fn);
	m->rounds = fitting > (double)most_rounds     ? most_rounds
		    : fitting > (double)sample_rounds ? (uint64_t)fitting
						      : sample_rounds;
	return (double)m->rounds / fastest(m, fn);
}

enum hokku_code cpu_measure(uint32_t n_threads, struct cpu_limits *out, struct hokku_error *err)
{
	struct measurement m = {.tier = cpu_tier_get(NULL)};
	if (!m.tier)
		return err_set(err, HOKKU_INVALID_REQUEST, "HOKKU_CPU_TIER names no tier of this machine");
	m.pool = pool_create(n_threads, err);
	if (!m.pool)
		return HOKKU_OUT_OF_MEMORY;
	void *p = mmap(NULL, buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		pool_destroy(m.pool);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu bytes to read", buffer_bytes);
	}
	madvise(p, buffer_bytes, MADV_HUGEPAGE);
	m.buffer = p;
	double n = pool_size(m.pool);
	pool_run(m.pool, fill_thread, &m);
	*out = (struct cpu_limits){
		.n_threads = pool_size(m.pool),
		.tier = m.tier->name,
		.read_bytes_per_s = (double)buffer_bytes / fastest(&m, read_thread),
		.float_ops_per_s = n * 2 * LANES_A_ROUND * fastest_rounds(&m, float_thread),
		.byte_ops_per_s = n * 8 * LANES_A_ROUND * fastest_rounds(&m, byte_thread),
	};
	munmap(p, buffer_bytes);
	pool_destroy(m.pool);
	return HOKKU_OK;
}
