/*
 * Between any two steps requests may come, end and be cancelled; a step is kept so short (pace.h) that a
 * cancel acts in time. What the steps are is sched.c's to say; here they are carried out. On a device that
 * runs ahead a step is submitted before the one under way is collected: tokens go from one to the next on the
 * device, and what is drawn becomes text and events while it computes.
 */
#include "engine/loop.h"

#include <errno.h>

#include "base/clock.h"
#include "engine/call.h"
#include "engine/deliver.h"
#include "engine/masks.h"
#include "engine/past.h"

/* One in so many of a step that have masks makes the next one wait. */
enum { MASKED_SHARE = 4 };

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

/* From now on a step is under way, or none is. Under the lock: who reads the times sees them only grow. */
static void set_busy(struct engine *e, bool busy)
{
	uint64_t now = clock_ns();
	if (e->device_busy == busy)
		return;
	*(busy ? &e->idle_ns : &e->busy_ns) += now - e->busy_changed_ns;
	e->busy_changed_ns = now;
	e->device_busy = busy;
}

static void tell_busy(struct engine *e, bool busy)
{
	pthread_mutex_lock(&e->lock);
	set_busy(e, busy);
	pthread_mutex_unlock(&e->lock);
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
	e->steps = e->steps_done;
	e->steps.n_kv_blocks = e->sched.kv.n_blocks;
	e->steps.n_kv_held = e->sched.kv.n_blocks - e->sched.kv.n_free;
	if (n_under_way(e) == 0) /* also after a step that failed */
		set_busy(e, false);
	while (e->n_jobs == 0 && n_under_way(e) == 0 && !e->calls && !e->stopping && waited != ETIMEDOUT) {
		watch_rest(&e->turn);
		waited = pthread_cond_timedwait(&e->work, &e->lock, &until);
	}
	bool over = e->n_jobs == 0 && n_under_way(e) == 0 && e->stopping;
	struct job *job = queue_take_new(e);
	bool changed = e->owners_changed;
	pthread_mutex_unlock(&e->lock);
	if (changed)
		queue_limit_owners(e);
	watch_begin_turn(&e->turn);
	for (; job; job = job->next_new) {
		sched_add(&e->sched, &job->seq);
		masks_begin(e, job);
	}
	return !over;
}

/* Where the logits go of sequence i of a step; NULL: nobody wants any. */
static float *logits_of(struct engine *e, struct flight *f, uint32_t i)
{
	const struct sched_seq *seq = f->planned[i];
	const struct job *job = job_of(f->planned[i]);
	size_t n_vocab = e->n_vocab, row = f->n_rows;
	if (!sched_shows(seq))
		return sched_draws(seq) && (job->logprobs || job->by_host) ? f->logits + i * n_vocab : NULL;
	f->n_rows += seq->n_new;
	return e->row_logits + row * n_vocab;
}

static void describe_seq(struct engine *e, struct flight *f, uint32_t i)
{
	struct sched_seq *seq = f->planned[i];
	struct job *job = job_of(seq);
	uint32_t n = seq->n_done + seq->n_new, n_prompt = seq->n_prompt - job->n_answered;
	bool draws = sched_draws(seq);
	f->steps[i] = (struct compute_seq){
		.tokens = seq->ids + seq->n_done,
		.n_tokens = seq->n_new,
		.from = draws && seq->n_open ? job->place + 1 : 0,
		.pos = seq->n_done,
		.blocks = seq->blocks,
		.blocks_pitch = e->sched.pitch,
		.sampling = draws ? &job->sampling : NULL,
		.history = seq->ids,
		.id = job->id,
		.slot = seq->slot,
		.n_history = n,
		.n_prompt = n < n_prompt ? n : n_prompt,
		.logits = logits_of(e, f, i),
		.all_logits = sched_shows(seq),
		.error = &f->errors[i],
		.chances = draws && job->chances ? &job->told_chances : NULL,
		.n_chances = job->n_top,
		.token = -1,
	};
	if (!draws)
		return;
	masks_describe(job, &f->steps[i]);
	past_describe(job, &f->steps[i]);
}

/* What is known of the step's sequences once it is submitted: those that were left out end, the others have
 * their places in what comes next. */
static void take_places(struct engine *e, struct flight *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		struct sched_seq *seq = f->planned[i];
		if (f->steps[i].code) {
			deliver_error(e, job_of(seq), &f->errors[i]);
			f->planned[i] = NULL;
			continue;
		}
		job_of(seq)->place = i;
		if (f->steps[i].sampling)
			masks_submitted(job_of(seq));
		sched_advance(&e->sched, seq);
	}
}

/* Was each of them left out for a reason of its own, and the others' memory touched by nothing? */
static bool all_left_out(const struct flight *f)
{
	uint32_t n_out = 0;
	for (uint32_t i = 0; i < f->n; i++)
		n_out += f->steps[i].code != HOKKU_OK;
	return n_out == f->n;
}

static void count_step(struct engine *e, const struct flight *f, uint64_t ns)
{
	struct engine_steps *done = &e->steps_done;
	histogram_add(&done->tokens, f->n_tokens);
	histogram_add(&done->sequences, f->n);
	histogram_add(&done->seconds, (double)ns * 1e-9);
}

/* Waits for the oldest step under way. */
static enum hokku_code await(struct engine *e, const struct flight *f, struct hokku_error *err)
{
	watch_begin_step(&e->turn, f->n, f->n_tokens);
	enum hokku_code rc = compute_collect(e->compute, err);
	uint64_t now = clock_ns(), begun = f->submitted_ns;
	begun = begun > e->collected_ns ? begun : e->collected_ns; /* it waited for the one before */
	e->collected_ns = now;
	if (n_under_way(e) <= 1) /* it alone was, whether it is counted already or not */
		tell_busy(e, false);
	if (!rc)
		count_step(e, f, now - begun);
	if (!rc && f->telling)
		pace_add(&e->pace, f->n_tokens, (double)(now - begun) * 1e-6);
	return rc;
}

/* Submits a step over the n sequences that are planned in the next flight. A device that does not run ahead
 * computes it here: it reads the block tables when it computes, and places in what comes next change them. */
static enum hokku_code submit(struct engine *e, uint32_t n, struct hokku_error *err)
{
	struct flight *f = &e->flights[e->n_submitted % COMPUTE_MAX_AHEAD];
	f->n = n;
	f->n_tokens = f->n_rows = 0;
	f->telling = false; /* of the many steps of decoding the first is enough to know what one costs */
	for (uint32_t i = 0; i < n; i++) {
		deliver_start(e, job_of(f->planned[i]));
		describe_seq(e, f, i);
		f->n_tokens += f->steps[i].n_tokens;
		f->telling = f->telling || f->steps[i].pos <= f->planned[i]->n_prompt;
	}
	watch_begin_step(&e->turn, n, f->n_tokens);
	tell_busy(e, true);
	f->submitted_ns = clock_ns();
	enum hokku_code rc = compute_submit(e->compute, f->steps, n, err);
	if (rc && !all_left_out(f))
		return rc;
	bool is_there = !rc;
	rc = is_there && !compute_runs_ahead(e->compute) ? await(e, f, err) : HOKKU_OK;
	if (rc)
		return rc;
	take_places(e, f);
	e->n_submitted += is_there;
	return HOKKU_OK;
}

static bool has_token(const struct engine *e, const struct compute_seq *did)
{
	return did->sampling && did->token >= 0 && (uint32_t)did->token < e->n_vocab;
}

/* A sequence's share of a step that was done. */
static void take_result(struct engine *e, const struct flight *f, uint32_t i)
{
	struct hokku_error err;
	struct sched_seq *seq = f->planned[i];
	const struct compute_seq *did = &f->steps[i];
	if (seq && did->all_logits)
		deliver_prompt(e, job_of(seq), did);
	if (!seq || !did->sampling)
		return;
	struct job *job = job_of(seq);
	sched_fill(&e->sched, seq, did->token);
	if (has_token(e, did)) {
		if (deliver_token(e, job, did))
			masks_go_on(e, job);
		return;
	}
	if (job->walk && walk_check(job->walk, &err))
		deliver_error(e, job, &err);
	else
		deliver_nothing(e, job, did->pos + did->n_tokens);
}

/* Ends those of a step that are still there, whatever has become of their places meanwhile. */
static void fail_flight(struct engine *e, const struct flight *f, const struct hokku_error *err)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->planned[i])
			deliver_error(e, job_of(f->planned[i]), err);
}

/* Collects the oldest step under way: waits for it, and deals with what it drew. */
static enum hokku_code collect(struct engine *e, struct hokku_error *err)
{
	struct flight *f = &e->flights[e->n_collected % COMPUTE_MAX_AHEAD];
	bool ahead = compute_runs_ahead(e->compute);
	enum hokku_code rc = ahead ? masks_hand_out(e, f, true, err) : HOKKU_OK;
	if (ahead && !rc)
		rc = await(e, f, err);
	for (uint32_t i = 0; i < f->n && !rc; i++) /* others make masks while this thread goes on */
		if (f->planned[i] && has_token(e, &f->steps[i]))
			masks_drew(e, job_of(f->planned[i]), f->steps[i].token);
	for (uint32_t i = 0; i < f->n && !rc; i++)
		take_result(e, f, i);
	if (rc && rc != HOKKU_DEVICE_ERROR)
		fail_flight(e, f, err);
	e->n_collected++;
	return rc;
}

/* A step failed as a whole: what the blocks hold has no meaning any more. */
static void fail_running(struct engine *e, const struct hokku_error *err)
{
	struct hokku_error ignored;
	for (; n_under_way(e); e->n_collected++) {
		fail_flight(e, &e->flights[e->n_collected % COMPUTE_MAX_AHEAD], err);
		compute_collect(e->compute, &ignored);
	}
	while (e->sched.n_running)
		deliver_error(e, job_of(e->sched.running[0]), err);
	sched_forget(&e->sched);
}

static enum hokku_code collect_down_to(struct engine *e, uint32_t n, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	while (!rc && n_under_way(e) > n)
		rc = collect(e, err);
	return rc;
}

/* Nothing can go on: blocks are held that no sequence holds (a state is being written), or sequences wait for
 * masks. A call, a cancel or a mask wakes. */
static void wait_for_blocks(struct engine *e)
{
	enum { MOST_NS = 10000000 };
	uint64_t at = clock_ns() + MOST_NS;
	const struct timespec until = {.tv_sec = (time_t)(at / 1000000000u),
				       .tv_nsec = (long)(at % 1000000000u)};
	pthread_mutex_lock(&e->lock);
	if (e->n_jobs && !e->calls && !e->stopping && !masks_have_come(e))
		pthread_cond_timedwait(&e->work, &e->lock, &until);
	pthread_mutex_unlock(&e->lock);
}

/* Does a good part of the step under way draw what has to be known before it goes on, for a mask? It would
 * have no place in a step that is submitted now: such sequences would part into two groups that take turns,
 * and a step of half of them takes nearly as long. So the step is collected first: the others lose what the
 * host takes to do that, which they would not for a few. */
static bool is_mostly_masked(const struct engine *e)
{
	uint32_t n = 0;
	if (!n_under_way(e))
		return false;
	const struct flight *f = &e->flights[(e->n_submitted - 1) % COMPUTE_MAX_AHEAD];
	for (uint32_t i = 0; i < f->n; i++)
		n += f->planned[i] && f->steps[i].sampling && f->planned[i]->held;
	return n * MASKED_SHARE >= f->n;
}

/* One turn: a step is submitted, if there is anything to compute, and the one before it collected. On a
 * device that does not run ahead it is collected itself, and so it is where logprobs are told: their logits
 * come to the host before submit returns, and the step before would wait for them. */
static enum hokku_code turn(struct engine *e, struct hokku_error *err)
{
	struct flight *next = &e->flights[e->n_submitted % COMPUTE_MAX_AHEAD];
	bool ahead = compute_runs_ahead(e->compute) && e->n_logprobs == 0;
	enum hokku_code rc = ahead && !is_mostly_masked(e) ? HOKKU_OK : collect_down_to(e, 0, err);
	if (rc)
		return rc;
	masks_settle(e, ahead);
	uint32_t n = sched_plan(&e->sched, pace_chunk(&e->pace), next->planned);
	if (n == 0 && n_under_way(e) == 0)
		wait_for_blocks(e);
	rc = n ? submit(e, n, err) : HOKKU_OK;
	return rc ? rc : collect_down_to(e, n && ahead ? 1 : 0, err);
}

enum hokku_code engine_loop(struct engine *e, struct hokku_error *err)
{
	while (take_new(e)) {
		enum hokku_code rc = HOKKU_OK;
		queue_reap_cancelled(e);
		call_run_all(e);
		if (clock_ns() >= e->next_check_ns)
			rc = collect_down_to(e, 0, err);
		if (!rc)
			rc = check_device(e, err);
		if (!rc)
			rc = turn(e, err);
		if (rc == HOKKU_DEVICE_ERROR) {
			tell_busy(e, false);
			return rc;
		}
		if (rc)
			fail_running(e, err);
	}
	return HOKKU_OK;
}
