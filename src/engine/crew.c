#include "engine/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of a patient thread: about a tenth of what one of the engine's gets beside it. */
enum { PATIENT_NICE = 10 };

struct line {
	struct crew_task *first, **last;
	pthread_cond_t wake;
};

struct crew {
	pthread_mutex_t lock;
	struct line brisk, patient;
	uint64_t *turns; /* (n_owners) when each last had one, counted in patient tasks */
	uint32_t n_owners;
	uint64_t n_turns;
	pthread_t *threads; /* (n_brisk + n_patient) */
	uint32_t n_brisk, n_patient, n_threads;
	uint32_t n_resting; /* brisk threads that wait */
	bool started, stop;
};

static void line_init(struct line *l)
{
	l->first = NULL;
	l->last = &l->first;
	pthread_cond_init(&l->wake, NULL);
}

struct crew *crew_create(uint32_t n_brisk, uint32_t n_patient, uint32_t n_owners)
{
	struct crew *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->turns = calloc(n_owners, sizeof *c->turns);
	c->threads = calloc(n_brisk + n_patient, sizeof *c->threads);
	if (!c->turns || !c->threads) {
		free(c->turns);
		free(c->threads);
		free(c);
		return NULL;
	}
	c->n_brisk = n_brisk;
	c->n_patient = n_patient;
	c->n_owners = n_owners;
	pthread_mutex_init(&c->lock, NULL);
	line_init(&c->brisk);
	line_init(&c->patient);
	return c;
}

/* Takes the task at *at off its line. */
static struct crew_task *take(struct line *l, struct crew_task **at)
{
	struct crew_task *task = *at;
	*at = task->next;
	if (l->last == &task->next)
		l->last = at;
	task->queued = false;
	return task;
}

/* The first task of the owner whose last turn is longest ago. */
static struct crew_task *take_patient(struct crew *c)
{
	struct crew_task **best = &c->patient.first;
	if (!*best)
		return NULL;
	for (struct crew_task **at = best; *at; at = &(*at)->next)
		if (c->turns[(*at)->owner] < c->turns[(*best)->owner])
			best = at;
	c->turns[(*best)->owner] = ++c->n_turns;
	return take(&c->patient, best);
}

static struct crew_task *take_brisk(struct crew *c)
{
	return c->brisk.first ? take(&c->brisk, &c->brisk.first) : NULL;
}

static void run_task(struct crew *c, struct crew_task *task)
{
	pthread_mutex_unlock(&c->lock);
	task->run(task); /* which may be gone now */
	pthread_mutex_lock(&c->lock);
}

static void *run_brisk(void *arg)
{
	struct crew *c = arg;
	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct crew_task *task = take_brisk(c);
		if (task) {
			run_task(c, task);
			continue;
		}
		if (c->stop)
			break;
		c->n_resting++;
		pthread_cond_wait(&c->brisk.wake, &c->lock);
		c->n_resting--;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void *run_patient(void *arg)
{
	struct crew *c = arg;
	setpriority(PRIO_PROCESS, (id_t)gettid(), PATIENT_NICE); /* Linux: of this thread alone */
	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct crew_task *task = take_patient(c);
		if (task)
			run_task(c, task);
		else if (c->stop)
			break;
		else
			pthread_cond_wait(&c->patient.wake, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

enum hokku_code crew_start(struct crew *c, struct hokku_error *err)
{
	int failed = 0;
	sigset_t all, before;
	sigfillset(&all); /* signals are the program's, not the workers' */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&c->lock);
	/* The patient ones first: without brisk ones whoever waits helps. */
	while (!c->started && !failed && c->n_threads < c->n_brisk + c->n_patient) {
		failed = pthread_create(&c->threads[c->n_threads], NULL,
					c->n_threads < c->n_patient ? run_patient : run_brisk, c);
		c->n_threads += !failed;
	}
	c->started = c->n_threads > 0;
	pthread_mutex_unlock(&c->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (c->started)
		return HOKKU_OK;
	return err_set(err, HOKKU_INTERNAL, "a thread that compiles shapes cannot be started: %s",
		       strerror(failed));
}

void crew_submit(struct crew *c, struct crew_task *task, bool helped)
{
	struct line *l = task->patient ? &c->patient : &c->brisk;
	pthread_mutex_lock(&c->lock);
	/* One brisk task alone is for who submitted it. */
	bool wake = task->patient || ((l->first || !helped) && c->n_resting > 0);
	task->next = NULL;
	task->queued = true;
	*l->last = task;
	l->last = &task->next;
	if (wake)
		pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&c->lock);
}

bool crew_help(struct crew *c)
{
	pthread_mutex_lock(&c->lock);
	struct crew_task *task = take_brisk(c);
	pthread_mutex_unlock(&c->lock);
	if (task)
		task->run(task);
	return task != NULL;
}

bool crew_remove(struct crew *c, struct crew_task *task)
{
	struct line *l = task->patient ? &c->patient : &c->brisk;
	pthread_mutex_lock(&c->lock);
	bool queued = task->queued;
	for (struct crew_task **at = &l->first; queued && *at; at = &(*at)->next)
		if (*at == task) {
			take(l, at);
			break;
		}
	pthread_mutex_unlock(&c->lock);
	return queued;
}

void crew_destroy(struct crew *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->brisk.wake);
	pthread_cond_broadcast(&c->patient.wake);
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = 0; i < c->n_threads; i++)
		pthread_join(c->threads[i], NULL);
	pthread_cond_destroy(&c->brisk.wake);
	pthread_cond_destroy(&c->patient.wake);
	pthread_mutex_destroy(&c->lock);
	free(c->threads);
	free(c->turns);
	free(c);
}
