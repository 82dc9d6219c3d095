#include "compute/cpu/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SPINS = 4000, /* some 50 to 100 microseconds; with more threads than CPUs, waiting awake keeps others
			 from work */
	MAX_CPUS = CPU_SETSIZE,
	CACHE_LINE = 64,
};

/* A word that threads wait on until it changes. */
struct signal_word {
	_Alignas(CACHE_LINE) atomic_uint value;
	_Alignas(CACHE_LINE) atomic_uint sleepers;
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	uint32_t index;
};

struct pool {
	struct signal_word job;  /* one more for each pool_run */
	struct signal_word meet; /* one more for each barrier */
	_Alignas(CACHE_LINE) atomic_uint arrived;
	void (*fn)(void *arg, uint32_t thread);
	void *arg;
	atomic_bool ending;
	uint32_t n_threads, n_workers;
	int spins; /* before a waiting thread sleeps */
	bool pinned;
	cpu_set_t allowed;
	size_t cpus[MAX_CPUS]; /* of thread i, where pinned */
	struct worker workers[];
};

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Until the word is something else than seen. */
static void word_wait(struct signal_word *w, unsigned seen, int spins)
{
	for (int i = 0; i < spins; i++) {
		if (atomic_load_explicit(&w->value, memory_order_acquire) != seen)
			return;
		cpu_relax();
	}
	atomic_fetch_add(&w->sleepers, 1);
	while (atomic_load(&w->value) == seen)
		syscall(SYS_futex, &w->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	atomic_fetch_sub(&w->sleepers, 1);
}

static void word_advance(struct signal_word *w)
{
	atomic_fetch_add(&w->value, 1);
	if (atomic_load(&w->sleepers))
		syscall(SYS_futex, &w->value, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void pool_barrier(struct pool *p)
{
	if (p->n_threads == 1)
		return;
	unsigned seen = atomic_load_explicit(&p->meet.value, memory_order_relaxed);
	if (atomic_fetch_add(&p->arrived, 1) + 1 == p->n_threads) {
		atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
		word_advance(&p->meet);
	} else {
		word_wait(&p->meet, seen, p->spins);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	unsigned seen = 0;
	if (p->pinned) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(p->cpus[w->index], &one);
		sched_setaffinity(0, sizeof one, &one); /* a wish: the pool works without */
	}
	for (;;) {
		word_wait(&p->job, seen++, p->spins);
		if (atomic_load(&p->ending))
			return NULL;
		p->fn(p->arg, w->index);
		pool_barrier(p);
	}
}

/* A caller that sits on a worker's CPU would share it with the worker until the scheduler noticed. */
static void step_aside(const struct pool *p)
{
	if (sched_getcpu() == (int)p->cpus[0])
		return;
	cpu_set_t before, one;
	CPU_ZERO(&one);
	CPU_SET(p->cpus[0], &one);
	if (sched_getaffinity(0, sizeof before, &before) == 0 && CPU_ISSET(p->cpus[0], &before) &&
	    sched_setaffinity(0, sizeof one, &one) == 0)
		sched_setaffinity(0, sizeof before, &before);
}

void pool_run(struct pool *p, void (*fn)(void *arg, uint32_t thread), void *arg)
{
	if (p->n_threads == 1) {
		fn(arg, 0);
		return;
	}
	if (p->pinned)
		step_aside(p);
	p->fn = fn;
	p->arg = arg;
	word_advance(&p->job);
	fn(arg, 0);
	pool_barrier(p);
}

uint32_t pool_size(const struct pool *p)
{
	return p->n_threads;
}

/* CPUs granted by cpu.max of the control group at path ("QUOTA PERIOD" or "max PERIOD"), rounded up. */
static uint32_t quota_at(const char *path)
{
	unsigned long quota, period;
	FILE *f = fopen(path, "re");
	if (!f)
		return UINT32_MAX;
	int n = fscanf(f, "%lu %lu", &quota, &period);
	fclose(f);
	if (n != 2 || !quota || !period || quota / period >= MAX_CPUS)
		return UINT32_MAX;
	return (uint32_t)((quota + period - 1) / period);
}

uint32_t pool_quota(const char *groups, const char *root)
{
	char *line = NULL, path[PATH_MAX];
	size_t size = 0;
	snprintf(path, sizeof path, "%s/cpu.max", root);
	uint32_t least = quota_at(path);
	FILE *f = fopen(groups, "re");
	if (!f)
		return least;
	while (getline(&line, &size, f) > 0) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(path, sizeof path, "%s%s/cpu.max", root, line + 3);
		uint32_t own = quota_at(path);
		least = own < least ? own : least;
	}
	free(line);
	fclose(f);
	return least;
}

static bool allowed_cpus(cpu_set_t *set)
{
	CPU_ZERO(set);
	return sched_getaffinity(0, sizeof *set, set) == 0 && CPU_COUNT(set) > 0;
}

uint32_t pool_cpus(void)
{
	cpu_set_t set;
	uint32_t cpus = allowed_cpus(&set) ? (uint32_t)CPU_COUNT(&set) : 1,
		 quota = pool_quota("/proc/self/cgroup", "/sys/fs/cgroup");
	return quota < cpus ? quota : cpus;
}

static void choose_cpus(struct pool *p)
{
	uint32_t n = 0;
	if (!allowed_cpus(&p->allowed))
		return;
	for (size_t cpu = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &p->allowed))
			p->cpus[n++] = cpu;
	p->pinned = n == p->n_threads;
}

struct pool *pool_create(uint32_t n_threads, struct hokku_error *err)
{
	if (!n_threads)
		n_threads = pool_cpus();
	size_t bytes = sizeof(struct pool) + n_threads * sizeof(struct worker);
	struct pool *p = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	if (!p) {
		err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u threads", n_threads);
		return NULL;
	}
	memset(p, 0, bytes);
	p->n_threads = n_threads;
	p->spins = n_threads <= pool_cpus() ? SPINS : 0;
	choose_cpus(p);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's, not the workers' */
	int failed = 0;
	for (uint32_t i = 1; i < n_threads && !failed; i++) {
		struct worker *w = &p->workers[p->n_workers];
		*w = (struct worker){.pool = p, .index = i};
		failed = pthread_create(&w->thread, NULL, worker_main, w);
		p->n_workers += !failed;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		err_set(err, HOKKU_OUT_OF_MEMORY, "thread %u of %u could not be started: %s",
			p->n_workers + 1, n_threads, strerror(failed));
		pool_destroy(p);
		return NULL;
	}
	return p;
}

void pool_destroy(struct pool *p)
{
	if (!p)
		return;
	atomic_store(&p->ending, true);
	word_advance(&p->job);
	for (uint32_t i = 0; i < p->n_workers; i++)
		pthread_join(p->workers[i].thread, NULL);
	free(p);
}
