/* Threads beside the engine's: every task is run once, owners take turns, what is taken back is not run, and
 * whoever waits can help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "engine/crew.h"

enum { N = 200 };

static struct job {
	struct crew_task task;
	atomic_uint place; /* in the order of running */
	atomic_uint n_runs;
} jobs[N];
static atomic_uint n_begun, n_run;
static atomic_bool closed; /* tasks wait */

static void rest(void)
{
	nanosleep(&(struct timespec){0, 200000}, NULL);
}

static void run(struct crew_task *task)
{
	struct job *job = (struct job *)(void *)task; /* its first member */
	while (atomic_load(&closed))
		rest();
	atomic_store(&job->place, atomic_fetch_add(&n_begun, 1));
	atomic_fetch_add(&job->n_runs, 1);
	atomic_fetch_add(&n_run, 1);
}

static void reset(bool patient, uint32_t n_owners)
{
	n_run = n_begun = 0;
	for (uint32_t i = 0; i < N; i++) {
		jobs[i].task = (struct crew_task){.run = run, .patient = patient, .owner = i % n_owners};
		jobs[i].n_runs = 0;
	}
}

static void wait_run(unsigned n)
{
	while (atomic_load(&n_run) < n)
		rest();
}

static void test_all(void **state)
{
	(void)state;
	struct hokku_error err;
	for (int patient = 0; patient < 2; patient++) {
		struct crew *c = crew_create(3, 2, 4);
		reset(patient, 4);
		assert_int_equal(crew_start(c, &err), HOKKU_OK);
		assert_int_equal(crew_start(c, &err), HOKKU_OK); /* once is enough */
		for (uint32_t i = 0; i < N; i++)
			crew_submit(c, &jobs[i].task, false);
		crew_destroy(c); /* runs them */
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(jobs[i].n_runs, 1);
	}
	crew_destroy(crew_create(1, 1, 1)); /* never started */
	crew_destroy(NULL);
}

/* A helped task is left to its submitter. */
static void test_help(void **state)
{
	(void)state;
	struct hokku_error err;
	struct crew *c = crew_create(1, 1, 1);
	reset(false, 1);
	assert_int_equal(crew_start(c, &err), HOKKU_OK);
	assert_false(crew_help(c));
	for (uint32_t i = 0; i < N; i++) {
		crew_submit(c, &jobs[i].task, true);
		crew_help(c);
	}
	wait_run(N);
	assert_false(crew_help(c));
	crew_destroy(c);
}

/* One owner with many does not keep another's one waiting. */
static void test_turns(void **state)
{
	(void)state;
	struct hokku_error err;
	struct crew *c = crew_create(1, 1, 2);
	reset(true, 1);
	for (uint32_t i = 1; i < N; i += 50)
		jobs[i].task.owner = 1;
	assert_int_equal(crew_start(c, &err), HOKKU_OK);
	atomic_store(&closed, true);
	for (uint32_t i = 0; i < N; i++)
		crew_submit(c, &jobs[i].task, false);
	atomic_store(&closed, false);
	wait_run(N);
	for (uint32_t i = 1, k = 0; i < N; i += 50, k++)
		assert_true(jobs[i].place <= 2 * k + 2);
	for (uint32_t i = 2, last = 0; i < N; i++) { /* of one owner the first first */
		if (jobs[i].task.owner)
			continue;
		assert_true(jobs[i].place > last);
		last = jobs[i].place;
	}
	crew_destroy(c);
}

static void test_remove(void **state)
{
	(void)state;
	struct hokku_error err;
	for (int patient = 0; patient < 2; patient++) {
		struct crew *c = crew_create(1, 1, 1);
		reset(patient, 1);
		assert_int_equal(crew_start(c, &err), HOKKU_OK);
		atomic_store(&closed, true);
		for (uint32_t i = 0; i < 5; i++)
			crew_submit(c, &jobs[i].task, false);
		assert_true(crew_remove(c, &jobs[4].task));
		assert_false(crew_remove(c, &jobs[4].task));
		assert_true(crew_remove(c, &jobs[2].task));
		crew_submit(c, &jobs[5].task, false); /* behind the last that is there */
		atomic_store(&closed, false);
		wait_run(4);
		assert_false(crew_remove(c, &jobs[5].task));
		crew_destroy(c);
		for (uint32_t i = 0; i < 6; i++)
			assert_int_equal(jobs[i].n_runs, i != 2 && i != 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_remove),
	};
	return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
