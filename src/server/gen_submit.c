/* From a prepared request to the engine: its samples, what their key has left, room for all of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "server/generate.h"

enum hokku_code gen_check_allowance(const struct server *s, uint32_t owner, uint32_t *retry_after_s,
				    struct hokku_error *err)
{
	const struct allowance *a = &s->allowances[owner];
	*retry_after_s = allowance_wait_s(a, clock_ns());
	if (*retry_after_s == 0)
		return HOKKU_OK;
	return err_set(err, HOKKU_RATE_LIMITED,
		       "the key %s has used its %" PRIu32 " tokens a minute; try again in %" PRIu32 " s",
		       owner_name(s, owner), a->tokens_per_minute, *retry_after_s);
}

/* The engine's thread. */
static void on_engine_event(void *user, const struct engine_event *event)
{
	struct sample *sample = user;
	struct server *s = sample->generation->server;
	if (mailbox_put(&s->mailbox, sample, event))
		http_wake(s->http);
}

uint32_t gen_n_asked(const struct generation *g)
{
	return g->job.request.n * g->job.n_prompts;
}

/* That each of several prompts fits, before any of them is begun. */
static enum hokku_code check_prompts(struct generation *g)
{
	struct request_error *err = &g->job.err;
	struct engine_state state;
	char found[32], allowed[32];
	engine_get_state(g->hosted->engine, &state);
	for (uint32_t i = 0; i < g->job.n_prompts; i++) {
		if (g->job.prompts[i].n <= state.info.n_ctx)
			continue;
		snprintf(err->field, sizeof err->field, "prompt[%" PRIu32 "]", i);
		return err_set(&err->error, HOKKU_CONTEXT_EXCEEDED, "%s has %s tokens, the context holds %s",
			       err->field, str_thousands(g->job.prompts[i].n, found),
			       str_thousands(state.info.n_ctx, allowed));
	}
	return HOKKU_OK;
}

/* Room for all of them, here and in the engine. */
static enum hokku_code gen_make_samples(struct generation *g)
{
	const struct gen_request *request = &g->job.request;
	struct request_error *err = &g->job.err;
	uint32_t n = gen_n_asked(g);
	enum hokku_code rc = HOKKU_OK;
	if (n > 1)
		rc = engine_check_samples(g->hosted->engine, g->owner, n, &err->error);
	if (rc == HOKKU_INVALID_REQUEST)
		snprintf(err->field, sizeof err->field, "n");
	if (rc == HOKKU_INVALID_REQUEST && g->job.n_prompts > 1) {
		snprintf(err->field, sizeof err->field, "prompt");
		err_prefix(&err->error, rc,
			   "prompt has %" PRIu32 ", of n = %" PRIu32 " samples each: together",
			   g->job.n_prompts, request->n);
	}
	if (!rc && g->job.n_prompts > 1)
		rc = check_prompts(g);
	if (rc)
		return rc;
	g->samples = calloc(n, sizeof *g->samples);
	if (!g->samples)
		rc = err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for %" PRIu32 " samples", n);
	return rc;
}

/* Once for each prompt is enough, but where each echoes it. */
bool gen_tells_prompt(const struct sample *sample)
{
	const struct gen_request *r = &sample->generation->job.request;
	return r->prompt_logprobs && ((r->echo && r->logprobs) || sample->index % r->n == 0);
}

/* dialect_sink */
static void take_part(void *user, const struct part *part)
{
	struct sample *sample = user;
	sample->n_calls += part->kind == PART_CALL_END;
	part_list_add(&sample->generation->pieces, part);
}

/* All samples at once: those of a prompt differ by their seeds alone. Those that were taken before one was
 * refused are n_samples. */
static enum hokku_code gen_submit_samples(struct generation *g)
{
	struct server *s = g->server;
	struct gen_request *request = &g->job.request;
	struct hokku_error *err = &g->job.err.error;
	if (!request->has_seed)
		request->sampling.seed = rng_os_seed() >> 11; /* 53 bits: exact in any JSON reader */
	enum hokku_code rc = gen_make_samples(g);
	g->submitted_ns = clock_ns();
	for (uint32_t i = 0; i < gen_n_asked(g) && !rc; i++) {
		struct sample *sample = &g->samples[i];
		const struct prepare_prompt all = {.n = g->job.ids.n},
					    *prompt = g->job.prompts ? &g->job.prompts[i / request->n] : &all;
		sample->generation = g;
		sample->index = i;
		struct engine_request submit = {
			.tokens = g->job.ids.ids + prompt->first,
			.n_tokens = prompt->n,
			.max_tokens = request->max_tokens,
			.logprobs = request->logprobs,
			.n_top = request->n_top,
			.chances = request->llama.post_probs,
			.prompt_logprobs = gen_tells_prompt(sample),
			.n_prompt_top = request->n_prompt_top,
			.sampling = request->sampling,
			.stop = request->stop,
			.n_stop = request->n_stop,
			.rules = request->rules,
			.dry_breakers = request->has_dry_breakers ? request->dry_breakers : NULL,
			.n_dry_breakers = request->n_dry_breakers,
			.priority = request->priority,
			.control_text = request->control_text  ? ENGINE_ALL
					: g->job.calling.reads ? ENGINE_MARKERS
							       : ENGINE_HIDDEN,
			.no_cache = !request->cache_prompt,
			.cache_debug = request->cache_debug,
			.shape = g->job.shape,
			.group = request->n > 1 ? g->sequence : 0, /* samples share their prompt */
			.owner = g->owner,
			.cache_salt = {request->cache_salt.ptr, request->cache_salt.len},
			.on_event = on_engine_event,
			.user = sample,
		};
		if (g->job.calling.reads)
			sample->reader = calling_reader(&g->job.calling, take_part, sample);
		if (g->job.calling.reads && !sample->reader)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the request");
		/* n is 1 and more. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
		submit.sampling.seed += i % request->n;
		rc = engine_submit(g->hosted->engine, &submit, &sample->engine_id, err);
		g->n_samples += !rc;
		if (rc) { /* it is none of those that are freed as samples */
			dialect_reader_free(sample->reader);
			sample->reader = NULL;
		}
	}
	if (rc == HOKKU_RATE_LIMITED)
		err_set(err, rc, "the key %s has as many requests waiting as it may; try again later",
			owner_name(s, g->owner));
	return rc;
}

enum hokku_code gen_submit(struct generation *g)
{
	struct allowance *a = &g->server->allowances[g->owner];
	enum hokku_code rc = gen_check_allowance(g->server, g->owner, &g->retry_after_s, &g->job.err.error);
	if (!rc)
		rc = request_check_prompt_logprobs(&g->job.request, g->job.ids.n, &g->job.err);
	if (!rc)
		rc = gen_submit_samples(g);
	g->prompt_tokens = (uint32_t)g->job.ids.n;
	if (g->n_samples) {
		g->n_reserved = (uint32_t)g->job.ids.n;
		allowance_use(a, clock_ns(), g->n_reserved);
	}
	a->counters.requests += !rc;
	if (g->job.request.keep_ids)
		g->prompt_ids = g->job.ids;
	else
		tok_ids_free(&g->job.ids);
	g->job.ids = (struct tok_ids){0};
	prepare_drop_shape(&g->job); /* the engine has its own references */
	return rc;
}
