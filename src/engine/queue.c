/*
 * What the engine's thread shares with its callers. The lock guards the queue and the cached state alone and
 * is held for moments: no step, no loading and no callback runs under it.
 */
#include "engine/queue.h"

#include <stdlib.h>

#include "base/clock.h"
#include "engine/masks.h"
#include "engine/state.h"

void job_emit(const struct job *job, struct engine_event *event)
{
	event->request = job->id;
	job->on_event(job->user, event);
}

void job_destroy(struct job *job)
{
	if (!job)
		return;
	stop_deinit(&job->stop);
	walk_free(job->walk);
	rules_free(job->rules);
	dry_free(job->dry);
	free(job->seq.ids);
	free(job->seq.hashes);
	free(job->bias);
	free(job);
}

void queue_push(struct engine *e, struct job *job)
{
	job->prev = e->last_job;
	job->next = NULL;
	*(e->last_job ? &e->last_job->next : &e->jobs) = job;
	e->last_job = job;
	job->next_new = NULL;
	*e->new_end = job;
	e->new_end = &job->next_new;
	e->n_jobs++;
	e->owners.all[job->seq.owner].n_jobs++;
}

struct job *queue_take_new(struct engine *e)
{
	struct job *list = e->new_jobs;
	e->new_jobs = NULL;
	e->new_end = &e->new_jobs;
	for (const struct job *job = list; job; job = job->next_new)
		e->n_logprobs += job_sees_logits(job);
	return list;
}

void queue_limit_owners(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	for (uint32_t i = 0; i < e->owners.n; i++)
		sched_limit(&e->sched, i, e->owners.all[i].limits.max_running);
	e->owners_changed = false;
	pthread_mutex_unlock(&e->lock);
}

void queue_cancel(struct engine *e, struct job *job)
{
	if (!atomic_exchange(&job->cancelled, true))
		atomic_fetch_add(&e->n_cancelled, 1);
}

/* What steps under way still draw for it is nobody's. */
static void leave_flights(struct engine *e, const struct sched_seq *seq)
{
	for (uint32_t k = e->n_collected; k != e->n_submitted; k++) {
		struct flight *f = &e->flights[k % COMPUTE_MAX_AHEAD];
		for (uint32_t i = 0; i < f->n; i++)
			if (f->planned[i] == seq)
				f->planned[i] = NULL;
	}
}

void queue_finish(struct engine *e, struct job *job, struct engine_event *last)
{
	if (last->kind == ENGINE_ERROR)
		job->failed = last->error->code;
	leave_flights(e, &job->seq);
	masks_end(e, job);
	e->n_logprobs -= job_sees_logits(job);
	sched_remove(&e->sched, &job->seq);
	pthread_mutex_lock(&e->lock);
	*(job->prev ? &job->prev->next : &e->jobs) = job->next;
	*(job->next ? &job->next->prev : &e->last_job) = job->prev;
	e->n_jobs--;
	e->n_running -= job->started;
	e->owners.all[job->seq.owner].n_jobs--;
	e->owners.all[job->seq.owner].n_running -= job->started;
	e->n_finished++;
	e->n_ended_cancelled += job->failed == HOKKU_CANCELLED;
	e->n_ended_failed += job->failed && job->failed != HOKKU_CANCELLED;
	e->counters = e->sched.counters;
	if (atomic_load(&job->cancelled))
		atomic_fetch_sub(&e->n_cancelled, 1);
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	state_remember(e, job);
	job_emit(job, last); /* whoever hears it may have the place */
	job_destroy(job);
}

/* The first job from `job` on that is to end, of those that the scheduler knows. The list grows at its end
 * alone, and only the engine's thread takes jobs out, so it may go on from where it was. */
static struct job *next_to_end(struct job *job, bool all)
{
	while (job && (job->seq.state == SCHED_OUT || (!all && !atomic_load(&job->cancelled))))
		job = job->next;
	return job;
}

static void end_jobs(struct engine *e, const struct hokku_error *err)
{
	struct hokku_error why;
	pthread_mutex_lock(&e->lock);
	struct job *job = next_to_end(e->jobs, err != NULL);
	while (job) {
		pthread_mutex_unlock(&e->lock);
		if (err)
			why = *err;
		else if (job->started)
			err_set(&why, HOKKU_CANCELLED, "the request was cancelled after %u tokens",
				job->n_out);
		else
			err_set(&why, HOKKU_CANCELLED, "the request was cancelled while it waited");
		pthread_mutex_lock(&e->lock);
		struct job *next = next_to_end(job->next, err != NULL);
		pthread_mutex_unlock(&e->lock);
		queue_finish(e, job, &(struct engine_event){.kind = ENGINE_ERROR, .error = &why});
		pthread_mutex_lock(&e->lock);
		job = next;
	}
	pthread_mutex_unlock(&e->lock);
}

void queue_fail_all(struct engine *e, const struct hokku_error *err)
{
	end_jobs(e, err);
}

void queue_reap_cancelled(struct engine *e)
{
	if (atomic_load_explicit(&e->n_cancelled, memory_order_relaxed))
		end_jobs(e, NULL);
}

static void tell_state(struct engine *e)
{
	if (e->on_state)
		e->on_state(e->user);
}

void engine_set_load_part(struct engine *e, double part)
{
	pthread_mutex_lock(&e->lock);
	bool moved = part >= e->load_part + 0.01; /* a hundred calls at most */
	if (moved)
		e->load_part = part < 1 ? part : 1;
	pthread_mutex_unlock(&e->lock);
	if (moved)
		tell_state(e);
}

void engine_set_load_bytes(struct engine *e, uint64_t done, uint64_t all)
{
	pthread_mutex_lock(&e->lock);
	if (!e->load_begun_ns)
		e->load_begun_ns = clock_ns();
	e->load_bytes = done;
	e->load_all_bytes = all;
	pthread_mutex_unlock(&e->lock);
}

bool engine_is_stopped(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	bool stopping = e->stopping;
	pthread_mutex_unlock(&e->lock);
	return stopping || (e->stopped && e->stopped(e->user));
}

void engine_enter_phase(struct engine *e, enum engine_phase phase, const struct hokku_error *err)
{
	pthread_mutex_lock(&e->lock);
	e->phase = phase;
	if (phase == ENGINE_READY)
		e->load_part = 1;
	if (err)
		e->failure = *err;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	tell_state(e);
}
