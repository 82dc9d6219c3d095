/*
 * Between any two steps requests may come, end and be cancelled; a step is kept so short (pace.h) that a
 * cancel acts in time. What the steps are is sched.c's to say; here they are carried out.
 */
#include "engine/loop.h"

#include <errno.h>

#include "base/clock.h"
#include "engine/deliver.h"

/* The device's memory, where that is due. */
static enum hokku_code check_device(struct engine *e, struct hokku_error *err)
{
	struct compute_memory memory;
	uint64_t now = clock_ns();
	if (now < e->next_check_ns)
		return HOKKU_OK;
	enum hokku_code rc = compute_check(e->compute, err);
	if (rc)
		return rc;
	compute_get_memory(e->compute, &memory);
	pthread_mutex_lock(&e->lock);
	e->memory = memory;
	e->checked_ns = now;
	pthread_mutex_unlock(&e->lock);
	e->next_check_ns = now + e->check_ns;
	return HOKKU_OK;
}

/* Gives the scheduler what came meanwhile; where there is nothing at all to do, waits for it, until it is
 * time for a check at most. False: the engine stops and all is done. */
static bool take_new(struct engine *e)
{
	const struct timespec until = {.tv_sec = (time_t)(e->next_check_ns / 1000000000u),
				       .tv_nsec = (long)(e->next_check_ns % 1000000000u)};
	int waited = 0;
	pthread_mutex_lock(&e->lock);
	e->counters = e->sched.counters;
	while (e->n_jobs == 0 && !e->stopping && waited != ETIMEDOUT) {
		watch_rest(&e->turn);
		waited = pthread_cond_timedwait(&e->work, &e->lock, &until);
	}
	bool over = e->n_jobs == 0 && e->stopping;
	struct job *job = queue_take_new(e);
	pthread_mutex_unlock(&e->lock);
	watch_begin_turn(&e->turn);
	for (; job; job = job->next_new)
		sched_add(&e->sched, &job->seq);
	return !over;
}

static void describe_seq(struct engine *e, uint32_t i)
{
	struct sched_seq *seq = e->planned[i];
	struct job *job = job_of(seq);
	uint32_t n = seq->n_done + seq->n_new;
	e->steps[i] = (struct compute_seq){
		.tokens = seq->ids + seq->n_done,
		.n_tokens = seq->n_new,
		.pos = seq->n_done,
		.blocks = seq->blocks,
		.blocks_pitch = e->sched.pitch,
		.sampling = n == seq->n_ids ? &job->sampling : NULL,
		.history = seq->ids,
		.n_history = n,
		.n_prompt = n < seq->n_prompt ? n : seq->n_prompt,
		.logits = n == seq->n_ids && job->logprobs ? e->logits + (size_t)i * e->n_vocab : NULL,
		.error = &e->step_errors[i],
		.token = -1,
	};
}

/* Was each of them left out for a reason of its own, and the others' memory touched by nothing? */
static bool all_left_out(const struct engine *e, uint32_t n)
{
	uint32_t n_out = 0;
	for (uint32_t i = 0; i < n; i++)
		n_out += e->steps[i].code != HOKKU_OK;
	return n_out == n;
}

/* The step over the n sequences planned. */
static enum hokku_code step(struct engine *e, uint32_t n, struct hokku_error *err)
{
	uint32_t n_tokens = 0;
	bool telling = false; /* of the many steps of decoding the first is enough to know what one costs */
	for (uint32_t i = 0; i < n; i++) {
		deliver_start(e, job_of(e->planned[i]));
		describe_seq(e, i);
		n_tokens += e->steps[i].n_tokens;
		telling = telling || e->steps[i].pos <= e->planned[i]->n_prompt;
	}
	watch_begin_step(&e->turn, n, n_tokens);
	uint64_t begin = clock_ns();
	enum hokku_code rc = compute_step(e->compute, e->steps, n, err);
	if (!rc && telling)
		pace_add(&e->pace, n_tokens, clock_ms_since(begin));
	return rc && all_left_out(e, n) ? HOKKU_OK : rc;
}

/* A sequence's share of a step that was done. */
static void take_result(struct engine *e, uint32_t i)
{
	struct hokku_error err;
	struct sched_seq *seq = e->planned[i];
	const struct compute_seq *did = &e->steps[i];
	if (did->code) {
		deliver_error(e, job_of(seq), did->error);
		return;
	}
	sched_advance(&e->sched, seq);
	if (!did->sampling)
		return;
	if (did->token >= 0 && (uint32_t)did->token < e->n_vocab) {
		deliver_token(e, job_of(seq), did);
		return;
	}
	err_set(&err, HOKKU_INTERNAL,
		"no token can be drawn at position %u: every logit is NaN, minus infinity or masked",
		seq->n_ids);
	deliver_error(e, job_of(seq), &err);
}

/* A step failed as a whole: what the blocks hold has no meaning any more. */
static void fail_running(struct engine *e, const struct hokku_error *err)
{
	while (e->sched.n_running)
		deliver_error(e, job_of(e->sched.running[0]), err);
	sched_forget(&e->sched);
}

enum hokku_code engine_loop(struct engine *e, struct hokku_error *err)
{
	while (take_new(e)) {
		enum hokku_code rc;
		queue_reap_cancelled(e);
		rc = check_device(e, err);
		if (rc)
			return rc;
		uint32_t n = sched_plan(&e->sched, pace_chunk(&e->pace), e->planned);
		if (n == 0)
			continue;
		rc = step(e, n, err);
		if (rc == HOKKU_DEVICE_ERROR)
			return rc;
		if (rc)
			fail_running(e, err);
		for (uint32_t i = 0; !rc && i < n; i++)
			take_result(e, i);
	}
	return HOKKU_OK;
}
