/* The thread pool: everybody runs, barriers hold, idling is free, the caller's affinity stays its own. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "compute/cpu/pool.h"

enum { MAX_THREADS = 9, ROUNDS = 200 };

struct relay {
	struct pool *pool;
	uint32_t n;
	uint64_t cell[MAX_THREADS]; /* plain memory: the barriers alone order it */
	uint64_t seen[MAX_THREADS];
	atomic_uint runs;
};

/* Each round, everybody writes its cell, and then reads its neighbour's. */
static void relay_thread(void *arg, uint32_t thread)
{
	struct relay *r = arg;
	atomic_fetch_add(&r->runs, 1);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		r->cell[thread] = round * MAX_THREADS + thread;
		pool_barrier(r->pool);
		uint32_t next = (thread + 1) % r->n;
		r->seen[thread] += r->cell[next] == round * MAX_THREADS + next;
		pool_barrier(r->pool);
	}
}

static void barriers_order_memory(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 2, 3, 5, 9};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct hokku_error err;
		struct relay r = {.pool = pool_create(sizes[i], &err), .n = sizes[i]};
		assert_non_null(r.pool);
		assert_int_equal(pool_size(r.pool), sizes[i]);
		for (int run = 1; run <= 3; run++) {
			pool_run(r.pool, relay_thread, &r);
			assert_int_equal(atomic_load(&r.runs), (uint32_t)run * sizes[i]);
			for (uint32_t t = 0; t < sizes[i]; t++)
				assert_int_equal(r.seen[t], (uint64_t)run * ROUNDS);
		}
		pool_destroy(r.pool);
	}
	pool_destroy(NULL);
}

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void nothing(void *arg, uint32_t thread)
{
	(void)arg;
	(void)thread;
}

static void idling_is_free(void **state)
{
	(void)state;
	struct hokku_error err;
	struct pool *p = pool_create(3, &err);
	assert_non_null(p);
	pool_run(p, nothing, NULL);
	usleep(50 * 1000);
	double before = cpu_seconds();
	usleep(300 * 1000);
	double used = cpu_seconds() - before;
	if (used > 0.03)
		fail_msg("an idle pool used %g s of CPU time in 0.3 s", used);
	pool_run(p, nothing, NULL); /* and it still wakes up */
	pool_destroy(p);
}

static void the_callers_affinity_stays(void **state)
{
	(void)state;
	cpu_set_t before, after, own[2];
	struct hokku_error err;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	uint32_t cpus = pool_cpus();
	assert_true(cpus >= 1 && cpus <= (uint32_t)CPU_COUNT(&before));
	struct pool *p = pool_create(0, &err);
	assert_non_null(p);
	assert_int_equal(pool_size(p), cpus);
	for (int i = 0; i < 20; i++)
		pool_run(p, nothing, NULL);
	assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
	/* a caller that may use one CPU only keeps to it, whichever it is */
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&own[0]);
		CPU_SET(cpu, &own[0]);
		assert_int_equal(sched_setaffinity(0, sizeof own[0], &own[0]), 0);
		assert_int_equal(pool_cpus(), 1);
		pool_run(p, nothing, NULL);
		assert_int_equal(sched_getaffinity(0, sizeof own[1], &own[1]), 0);
		assert_true(CPU_EQUAL(&own[0], &own[1]));
	}
	sched_setaffinity(0, sizeof before, &before);
	pool_destroy(p);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void quotas_are_the_least_on_the_way(void **state)
{
	(void)state;
	static const struct {
		const char *groups, *root, *own; /* NULL: there is no such file */
		uint32_t n;
	} rows[] = {
		{NULL, NULL, NULL, UINT32_MAX},
		{NULL, "max 100000\n", NULL, UINT32_MAX},
		{NULL, "200000 100000\n", "100000 100000\n", 2},
		{"0::/\n", "199999 100000\n", NULL, 2},
		{"0::/\n", "200001 100000\n", NULL, 3},
		{"0::/\n", "1 100000\n", NULL, 1},
		{"0::/\n", "0 100000\n", NULL, UINT32_MAX},
		{"0::/\n", "100000 0\n", NULL, UINT32_MAX},
		{"0::/\n", "100000\n", NULL, UINT32_MAX},
		{"0::/g\n", "max 100000\n", "300000 100000\n", 3},
		{"0::/g\n", "200000 100000\n", "300000 100000\n", 2},
		{"0::/g\n", NULL, "300000 100000\n", 3},
		{"0::/g\n", "400000 100000\n", "max 100000\n", 4},
		{"0::/h\n", NULL, "300000 100000\n", UINT32_MAX},
		{"4:cpu:/h\n0::/g\n1:x:/h\n", NULL, "300000 100000\n", 3}, /* one line of several is ours */
	};
	char dir[] = "/tmp/hokku-pool-XXXXXX", groups[64], root[64], group[64], own[64];
	assert_non_null(mkdtemp(dir));
	snprintf(groups, sizeof groups, "%s/groups", dir);
	snprintf(root, sizeof root, "%s/cpu.max", dir);
	snprintf(group, sizeof group, "%s/g", dir);
	snprintf(own, sizeof own, "%s/g/cpu.max", dir);
	assert_int_equal(mkdir(group, 0700), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *const paths[] = {groups, root, own};
		const char *const texts[] = {rows[i].groups, rows[i].root, rows[i].own};
		for (size_t k = 0; k < 3; k++)
			if (texts[k])
				put(paths[k], texts[k]);
		if (pool_quota(groups, dir) != rows[i].n)
			fail_msg("row %zu: %u CPUs, not %u", i, pool_quota(groups, dir), rows[i].n);
		for (size_t k = 0; k < 3; k++)
			unlink(paths[k]);
	}
	assert_true(rmdir(group) == 0 && rmdir(dir) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(barriers_order_memory),
		cmocka_unit_test(idling_is_free),
		cmocka_unit_test(quotas_are_the_least_on_the_way),
		cmocka_unit_test(the_callers_affinity_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
