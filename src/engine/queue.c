/*
 * What the engine's thread shares with its callers. The lock guards the queue and the cached state alone and
 * is held for moments: no step, no loading and no callback runs under it.
 */
#include "engine/queue.h"

#include <stdlib.h>

#include "base/clock.h"

void job_emit(const struct job *job, struct engine_event *event)
{
	event->request = job->id;
	job->on_event(job->user, event);
}

void job_fail(const struct job *job, const struct hokku_error *err)
{
	job_emit(job, &(struct engine_event){.kind = ENGINE_ERROR, .error = err});
}

void job_destroy(struct job *job)
{
	if (!job)
		return;
	stop_deinit(&job->stop);
	free(job->tokens);
	free(job->bias);
	free(job);
}

struct job *queue_pop(struct engine *e)
{
	struct job *job = e->queue[e->queue_head];
	e->queue_head = (e->queue_head + 1) % (e->max_queue + 1);
	e->n_queued--;
	return job;
}

void queue_push(struct engine *e, struct job *job)
{
	e->queue[(e->queue_head + e->n_queued) % (e->max_queue + 1)] = job;
	e->n_queued++;
}

void queue_fail(struct engine *e, struct job *list, const struct hokku_error *err)
{
	while (list) {
		struct job *next = list->next;
		job_fail(list, err);
		job_destroy(list);
		list = next;
		pthread_mutex_lock(&e->lock);
		e->n_finished++;
		pthread_mutex_unlock(&e->lock);
	}
}

struct job *queue_take_out(struct engine *e, bool all)
{
	struct job *list = NULL, **end = &list;
	for (uint32_t n = e->n_queued; n > 0; n--) {
		struct job *job = queue_pop(e);
		if (!all && !atomic_load(&job->cancelled)) {
			queue_push(e, job);
			continue;
		}
		job->next = NULL;
		*end = job;
		end = &job->next;
	}
	atomic_store(&e->n_cancelled, 0);
	return list;
}

void engine_reap_cancelled(struct engine *e)
{
	struct hokku_error err;
	pthread_mutex_lock(&e->lock);
	struct job *list = queue_take_out(e, false);
	pthread_mutex_unlock(&e->lock);
	err_set(&err, HOKKU_CANCELLED, "the request was cancelled while it waited");
	queue_fail(e, list, &err);
}

void engine_count(struct engine *e, uint32_t tokens_in, uint32_t tokens_out)
{
	pthread_mutex_lock(&e->lock);
	e->n_tokens_in += tokens_in;
	e->n_tokens_out += tokens_out;
	pthread_mutex_unlock(&e->lock);
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
