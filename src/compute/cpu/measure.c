#include "compute/cpu/measure.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "compute/cpu/pool.h"
#include "compute/cpu/tier.h"

enum { ROUNDS = 5, LANES_A_ROUND = PEAK_CHAINS * PANEL };
static const size_t buffer_bytes = (size_t)512 << 20;
static const uint64_t float_rounds = 4000000, byte_rounds = 4000000;

struct measurement {
	const struct cpu_tier *tier;
	struct pool *pool;
	uint8_t *buffer;
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
	float x = m->tier->peak_float(float_rounds);
	if (thread == 0)
		m->sink = x > 0;
}

static void byte_thread(void *arg, uint32_t thread)
{
	struct measurement *m = arg;
	int32_t x = m->tier->peak_bytes(byte_rounds);
	if (thread == 0)
		m->sink = (uint64_t)x;
}

/* Seconds of the fastest of some rounds: what disturbs a measurement only slows it. */
static double fastest(struct measurement *m, void (*fn)(void *, uint32_t))
{
	double best = 1e30;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = clock_ns();
		pool_run(m->pool, fn, m);
		double seconds = clock_ms_since(start) * 1e-3;
		best = seconds < best ? seconds : best;
	}
	return best;
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
		.float_ops_per_s = n * 2 * LANES_A_ROUND * (double)float_rounds / fastest(&m, float_thread),
		.byte_ops_per_s = n * 8 * LANES_A_ROUND * (double)byte_rounds / fastest(&m, byte_thread),
	};
	munmap(p, buffer_bytes);
	pool_destroy(m.pool);
	return HOKKU_OK;
}
