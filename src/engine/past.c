#include "engine/past.h"

static bool has_window(const struct sampling *p)
{
	return p->repeat_last_n >= 0 &&
	       (p->repetition_penalty != 1 || p->frequency_penalty != 0 || p->presence_penalty != 0);
}

bool past_is_looked_at(const struct sampling *p)
{
	return has_window(p) || p->dry_multiplier > 0;
}

void past_describe(struct job *job, struct compute_seq *step)
{
	uint32_t n = step->n_history, last_n = (uint32_t)job->sampling.repeat_last_n;
	step->mirostat_mu = &job->mirostat_mu;
	if (job->dry)
		job->sampling.n_bias =
			job->n_bias + dry_make(job->dry, step->history, n, job->bias + job->n_bias);
	if (!has_window(&job->sampling) || n <= last_n)
		return;
	uint32_t skipped = n - last_n;
	step->history += skipped;
	step->n_history = last_n;
	step->n_prompt = step->n_prompt > skipped ? step->n_prompt - skipped : 0;
	step->id = 0; /* what a device keeps of it is another history */
}
