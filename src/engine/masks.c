#include "engine/masks.h"

#include "base/clock.h"
#include "engine/deliver.h"

/* On a device that runs ahead masks are waited for before a plan for so long, as tokens that must come are
 * known then; the step under way takes longer. */
enum { SETTLE_NS = 200000 };

static void add_news(struct engine *e, struct job *job)
{
	job->next_news = e->news;
	e->news = job;
}

void masks_begin(struct engine *e, struct job *job)
{
	if (!job->walk)
		return;
	job->seq.held = true;
	walk_ask(job->walk, -1);
	add_news(e, job);
}

void masks_end(struct engine *e, struct job *job)
{
	for (struct job **at = &e->news; *at; at = &(*at)->next_news)
		if (*at == job) {
			*at = job->next_news;
			return;
		}
}

bool masks_have_come(const struct engine *e)
{
	for (const struct job *job = e->news; job; job = job->next_news)
		if (walk_is_ready(job->walk))
			return true;
	return false;
}

/* Until no mask is open that somebody waits for, or that moment; helps: this thread makes some meanwhile. */
static void wait_brisk(struct engine *e, uint64_t until_ns, bool helps)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
				       .tv_nsec = (long)(until_ns % 1000000000u)};
	while (atomic_load(&e->walks.n_brisk) && clock_ns() < until_ns) {
		if (helps && crew_help(shapes_crew(e->shapes)))
			continue;
		pthread_mutex_lock(&e->lock);
		if (atomic_load(&e->walks.n_brisk))
			pthread_cond_timedwait(&e->work, &e->lock, &until);
		pthread_mutex_unlock(&e->lock);
	}
}

/* Tokens that must come next are taken as if they had been drawn. False: the answer has ended with one. */
static bool jump(struct engine *e, struct job *job)
{
	const int32_t *forced;
	while (walk_forced(job->walk, &forced) && job->seq.n_ids < job->seq.n_most) {
		int32_t token = forced[0];
		walk_skip(job->walk);
		sched_append(&job->seq, token);
		if (!deliver_token(e, job, &(struct compute_seq){.token = token}))
			return false;
	}
	return true;
}

/* What was found out for the job. The first token of all is always drawn: it tells when the prompt was
 * computed. */
static void take_news(struct engine *e, struct job *job)
{
	struct hokku_error err;
	if (walk_check(job->walk, &err)) {
		deliver_error(e, job, &err);
		return;
	}
	if (job->first_ns && !job->seq.n_open && !jump(e, job))
		return;
	job->seq.held = job->seq.n_open > 0;
}

void masks_settle(struct engine *e, bool ahead)
{
	uint32_t n_open = 0;
	if (!e->news)
		return;
	wait_brisk(e, ahead ? clock_ns() + SETTLE_NS : UINT64_MAX, !ahead);
	for (struct job **at = &e->news; *at;) {
		struct job *job = *at;
		bool in_flight = job->seq.n_open > 0;
		if (walk_is_ready(job->walk)) {
			*at = job->next_news;
			take_news(e, job);
			continue;
		}
		bool may_follow = ahead && !walk_is_slow(job->walk) && n_open < e->n_open_masks;
		job->seq.held = in_flight || !may_follow;
		n_open += !job->seq.held || in_flight;
		at = &job->next_news;
	}
}

/* What may be drawn in a step: of the shape's mask (NULL: there is no shape) what the rules leave. */
static const uint32_t *narrow(struct job *job, const struct compute_seq *step, const uint32_t *shape)
{
	uint32_t n_prompt = job->seq.n_prompt, begin = n_prompt - job->n_answered;
	uint32_t n = step->pos + step->n_tokens; /* of its ids; the history may be the last of them */
	return rules_mask(job->rules, job->seq.ids + begin, n - begin, n - n_prompt, shape);
}

void masks_describe(struct job *job, struct compute_seq *step)
{
	if (job->walk && !walk_is_ready(job->walk))
		step->mask_open = true;
	else
		step->mask = narrow(job, step, job->walk ? walk_mask(job->walk) : NULL);
}

void masks_submitted(struct job *job)
{
	if (job->walk || job->looks_back)
		job->seq.held = true;
}

enum hokku_code masks_hand_out(struct engine *e, struct flight *f, bool wait, struct hokku_error *err)
{
	struct hokku_error ignored;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < f->n && !rc; i++) {
		if (!f->steps[i].mask_open || !f->planned[i])
			continue;
		struct walk *w = job_of(f->planned[i])->walk;
		if (wait && !walk_is_ready(w))
			wait_brisk(e, UINT64_MAX, true);
		/* One that has come to its end draws nothing: take_result tells why. */
		if (walk_is_ready(w) && !walk_check(w, &ignored))
			rc = compute_mask(e->compute, i,
					  narrow(job_of(f->planned[i]), &f->steps[i], walk_mask(w)), err);
	}
	return rc;
}

void masks_drew(struct engine *e, struct job *job, int32_t token)
{
	if (!job->walk)
		return;
	masks_end(e, job); /* its mask came while it was in the step */
	if (!walk_took(job->walk, token))
		walk_ask(job->walk, token);
}

void masks_go_on(struct engine *e, struct job *job)
{
	if (job->walk)
		add_news(e, job);
	else
		job->seq.held = false;
}
