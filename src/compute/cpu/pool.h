/*
 * A fixed crew of threads that run one function together and meet at barriers. Waiting spins for some tens of
 * microseconds, then sleeps in the kernel: a step's barriers cost under a microsecond and an idle pool costs
 * nothing.
 *
 * The caller of pool_run is thread 0. Where the pool has a thread for every CPU the process may use, worker i
 * stays on the i-th of them and pool_run moves the caller off the workers' CPUs (its affinity is as before
 * when pool_run returns); a smaller pool is left to the scheduler, so that two of them share a machine well.
 */
#ifndef COMPUTE_CPU_POOL_H
#define COMPUTE_CPU_POOL_H

#include "base/error.h"

struct pool;

/* CPUs the process may run on, no more than its control group's quota grants; at least 1. */
uint32_t pool_cpus(void);

/* CPUs that a control group (version 2) grants, rounded up: the least of what root/cpu.max says and the
 * cpu.max below root of the group that the file `groups` names, as /proc/self/cgroup does. UINT32_MAX: no
 * quota is told. */
uint32_t pool_quota(const char *groups, const char *root);

/* n_threads 0: pool_cpus(). NULL and err where threads or memory cannot be had. */
struct pool *pool_create(uint32_t n_threads, struct hokku_error *err);
void pool_destroy(struct pool *p); /* NULL is allowed */

/* Threads, the one that calls pool_run included. */
uint32_t pool_size(const struct pool *p);

/* Runs fn(arg, thread) on every thread, 0 <= thread < pool_size, and returns when all have returned. */
void pool_run(struct pool *p, void (*fn)(void *arg, uint32_t thread), void *arg);

/* Called by every thread from within fn: none goes on before all have come; what was written before is seen
 * after. */
void pool_barrier(struct pool *p);

#endif
