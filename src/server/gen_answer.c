/* What the engine tells of a request goes to its client: at once, or gathered where the whole is wanted. */
#include "server/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "server/access.h"
#include "server/answer.h"
#include "server/reply.h"
#include "server/slots.h"

static struct answer_start gen_start_info(const struct generation *g, const char *model)
{
	const struct gen_request *r = &g->job.request;
	return (struct answer_start){
		.id = g->id,
		.model = model,
		.fingerprint = engine_fingerprint(g->hosted->engine),
		.key = owner_name(g->server, g->owner),
		.asked_model = r->model,
		.seed = r->sampling.seed,
		.prompt_tokens = g->prompt_tokens,
		.max_tokens = r->max_tokens,
		.no_answer = r->no_answer,
		.started_at = g->started_at,
		.created = g->created,
		.now_ns = clock_wall_ns(),
		.return_ids = r->return_ids,
		.prompt_ids = g->prompt_ids.n ? &g->prompt_ids : NULL,
		.request = r,
		.slot = g->slot,
		.sampling = &r->sampling,
		.rules = &r->rules,
		.template_date = g->job.template_date,
		.back = g->job.back,
		.n_back = g->job.n_back,
		.stop_json = {g->job.stop_json.ptr, g->job.stop_json.len},
		.warnings_json = {r->warnings.ptr, r->warnings.len},
		.n = gen_n_asked(g),
		.logprobs = r->logprobs,
		.prompts = g->job.prompts,
		.n_each = r->n,
		.echo = r->echo,
		.prompt_json = {g->samples[0].prompt_json.ptr, g->samples[0].prompt_json.len},
		.include_usage = r->include_usage,
		.responses = r->responses,
		.tok = engine_tok(g->hosted->engine),
	};
}

/* The same, for what is told of one sample. */
struct answer_start gen_sample_start(struct sample *sample, const char *model)
{
	struct answer_start start = gen_start_info(sample->generation, model);
	start.memo = sample->generation->streaming ? &sample->memo : NULL;
	return start;
}

/* A piece of the prompt's logprobs: it leaves at once, or waits for the whole answer. */
static void gen_tell_prompt(struct sample *sample, const struct answer_prompt *prompt, const char *model)
{
	struct generation *g = sample->generation;
	const struct answer_start start = gen_sample_start(sample, model);
	if (!g->client)
		return;
	if (g->streaming) {
		g->api->prompt(&g->out, &start, prompt);
		gen_mark_dirty(g);
		return;
	}
	if (prompt->first)
		strbuf_add_c(&sample->prompt_json, ",");
	g->api->prompt_logprobs(&sample->prompt_json, &start, prompt);
}

static void gen_prompt(struct sample *sample, const struct mail *m, const char *model)
{
	struct prompt_logprob rows[SCHED_MAX_ROWS];
	memcpy(rows, m->text.ptr, m->text.len);
	const struct answer_prompt prompt = {
		.sample = sample->index,
		.first = m->index > 1 ? m->index : 0,
		.n = (uint32_t)(m->text.len / sizeof *rows),
		.rows = rows,
	};
	gen_tell_prompt(sample, &prompt, model);
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}

/* A token of the sample was drawn. */
static void time_token(struct sample *sample, uint64_t at_ns)
{
	struct generation *g = sample->generation;
	struct metrics_times *times = &g->hosted->times;
	if (sample->token_ns) {
		histogram_add(&times->itl, seconds(sample->token_ns, at_ns));
	} else {
		histogram_add(&times->prefill, seconds(sample->begun_ns, at_ns));
		histogram_add(&times->ttft, seconds(g->arrived_ns, at_ns));
		g->first_ns = g->first_ns ? g->first_ns : at_ns;
	}
	sample->token_ns = at_ns;
}

static void gen_started(struct sample *sample, const struct mail *m, const char *model)
{
	struct generation *g = sample->generation;
	bool first = !g->started;
	sample->begun_ns = m->at_ns;
	histogram_add(&g->hosted->times.queue, seconds(g->submitted_ns, m->at_ns));
	if (first) {
		g->begun_ns = m->at_ns;
		histogram_add(&g->hosted->times.prepare, seconds(g->arrived_ns, g->submitted_ns));
		histogram_add(&g->hosted->times.prompt, g->prompt_tokens);
		histogram_add(&g->hosted->times.samples, g->job.request.n);
		if (g->job.request.max_tokens)
			histogram_add(&g->hosted->times.asked, g->job.request.max_tokens);
		g->started = true;
		g->slot = slots_pick(g);
		g->server->allowances[g->owner].counters.prompt_tokens += g->prompt_tokens;
		g->created = (int64_t)time(NULL);
		clock_iso8601(g->started_at);
	}
	if (g->client && g->streaming) {
		struct answer_start start = gen_sample_start(sample, model);
		g->api->started(&g->out, &start, sample->index, first);
		gen_mark_dirty(g);
	}
	if (gen_tells_prompt(sample) && m->prompt_tokens == 1) /* the engine has none to tell */
		gen_tell_prompt(sample, &(struct answer_prompt){.sample = sample->index}, model);
}

/* Its key has used n tokens for the sample's answer so far. */
static void count_tokens(struct sample *sample, uint32_t n)
{
	struct generation *g = sample->generation;
	struct allowance *a = &g->server->allowances[g->owner];
	if (n > sample->n_counted)
		allowance_use(a, clock_ns(), n - sample->n_counted);
	else
		allowance_give_back(a, sample->n_counted - n);
	a->counters.answer_tokens += n - (uint64_t)sample->n_counted;
	sample->n_counted = n;
}

/* What a piece of the answer's text is made of, or (ends) what came to light at its end; valid until the
 * next. Without memory for it the rest is told none. */
static const struct part *tell_apart(struct sample *sample, struct str text, bool ends, size_t *n)
{
	struct part_list *pieces = &sample->generation->pieces;
	struct hokku_error err;
	part_list_clear(pieces);
	if (!sample->reader) {
		if (text.len)
			part_list_add(pieces, &(struct part){.kind = PART_TEXT, .text = text});
		return part_list_get(pieces, n);
	}
	if (ends ? dialect_reader_end(sample->reader, &err) : dialect_reader_feed(sample->reader, text, &err))
		pieces->failed = true;
	return part_list_get(pieces, n);
}

/* Without memory for it the end is told none. */
static void keep_id(struct sample *sample, int32_t token)
{
	struct generation *g = sample->generation;
	struct hokku_error err;
	if (g->prompt_ids.n && tok_ids_push(&sample->ids, token, &err))
		tok_ids_free(&g->prompt_ids);
}

/* For the whole answer. */
static void keep_logprobs(struct sample *sample, const struct answer_start *start,
			  const struct answer_token *token)
{
	if (!token->logprobs)
		return;
	if (sample->logprobs_json.len)
		strbuf_add_c(&sample->logprobs_json, ",");
	sample->generation->api->logprobs(&sample->logprobs_json, start, token);
}

/* Does the token go on with what is for people? sample->parts has it already. */
static bool is_text(const struct sample *sample, const struct answer_token *token)
{
	for (size_t i = 0; i < token->n_parts; i++)
		if (token->parts[i].kind == PART_TEXT)
			return true;
	return token->n_parts == 0 && sample->parts.n &&
	       sample->parts.parts[sample->parts.n - 1].kind == PART_TEXT;
}

/* An answer cannot go on with a hole in it. */
static void gen_no_memory(struct generation *g)
{
	if (g->stopped)
		return;
	g->stopped = HOKKU_OUT_OF_MEMORY;
	gen_cancel_samples(g);
	gen_answer_error(g, HOKKU_OUT_OF_MEMORY, "no memory for the answer", NULL);
}

static void gen_token(struct sample *sample, const struct mail *m, const char *model)
{
	struct generation *g = sample->generation;
	const struct answer_start start = gen_sample_start(sample, model);
	struct answer_token token = {
		.sample = sample->index,
		.index = m->index,
		.token = m->token,
		.text = m->text,
		.logprobs = m->has_logprobs ? &m->logprobs : NULL,
	};
	if (g->job.request.no_answer)
		return;
	time_token(sample, m->at_ns);
	count_tokens(sample, m->index + 1);
	if (!g->client)
		return;
	keep_id(sample, m->token);
	if (sample->reader)
		thinking_count_token(&sample->thought, sample->reader, m->index);
	token.parts = tell_apart(sample, m->text, false, &token.n_parts);
	if (g->pieces.failed) {
		gen_no_memory(g);
		return;
	}
	if (g->streaming) {
		g->api->token(&g->out, &start, &token);
		gen_mark_dirty(g);
		return;
	}
	strbuf_add(&sample->text, m->text.ptr, m->text.len);
	for (size_t i = 0; i < token.n_parts; i++)
		part_list_add(&sample->parts, &token.parts[i]);
	if (!g->api->text_logprobs || is_text(sample, &token))
		keep_logprobs(sample, &start, &token);
}

/* A sample of a whole answer; its text and logprobs are borrowed. */
static struct answer_sample whole_sample(struct sample *s)
{
	struct answer_sample out = {
		.text = {s->text.ptr, s->text.len},
		.logprobs_json = {s->logprobs_json.ptr, s->logprobs_json.len},
		.prompt_json = {s->prompt_json.ptr, s->prompt_json.len},
		.end = s->end,
	};
	out.parts = part_list_get(&s->parts, &out.n_parts);
	return out;
}

/* Answers a client that waits for the whole. */
static void gen_answer_whole(struct generation *g, const struct answer_start *start)
{
	struct strbuf body = {0};
	struct http_request *client = g->client;
	struct answer_sample *samples = calloc(g->n_samples, sizeof *samples);
	body.failed = !samples;
	for (uint32_t i = 0; i < g->n_samples && samples; i++) {
		struct sample *s = &g->samples[i];
		samples[i] = whole_sample(s);
		body.failed |= g->pieces.failed || s->text.failed || s->logprobs_json.failed ||
			       s->parts.failed || s->prompt_json.failed;
	}
	if (samples)
		g->api->whole(&body, start, samples);
	gen_add_warnings(g);
	g->client = NULL;
	http_set_user(client, NULL);
	reply_json(client, 200, &body);
	strbuf_free(&body);
	free(samples);
}

/* Before the client has its answer, from which it may go on at once. */
static void gen_keep(struct sample *sample, const struct answer_start *start)
{
	struct generation *g = sample->generation;
	const struct answer_sample whole = whole_sample(sample);
	if (g->api->keep && g->server->responses)
		g->api->keep(g->server->responses, g->owner, start, &whole);
}

/* Of each prompt what its first sample found, as far as that has ended. */
uint32_t gen_n_cached(const struct generation *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_samples; i += g->job.request.n)
		n += g->samples[i].end.cached_tokens;
	return n;
}

/* An answer without a token has its first with its end. */
static void time_end(struct sample *sample, const struct mail *m, uint32_t tokens_out)
{
	struct generation *g = sample->generation;
	struct metrics_times *times = &g->hosted->times;
	if (!sample->token_ns)
		time_token(sample, m->at_ns);
	histogram_add(&times->decode, m->result.decode_ms * 1e-3);
	histogram_add(&times->inference, seconds(sample->begun_ns, m->at_ns));
	if (tokens_out > 1)
		histogram_add(&times->tpot, m->result.decode_ms * 1e-3 / (tokens_out - 1));
	histogram_add(&times->answer, tokens_out);
	if (sample->end.last) {
		uint32_t longest = 0;
		for (uint32_t i = 0; i < g->n_samples; i++)
			longest = g->samples[i].end.tokens_out > longest ? g->samples[i].end.tokens_out
									 : longest;
		histogram_add(&times->longest, longest);
		histogram_add(&times->total, seconds(g->arrived_ns, m->at_ns));
	}
	times->stops[sample->end.stop]++;
}

static void gen_end(struct sample *sample, const struct mail *m, const char *model)
{
	struct generation *g = sample->generation;
	bool silent = g->job.request.no_answer;
	/* The engine's clock starts when it gets the request; the client's when it has sent it. */
	double before_ms = (double)(g->submitted_ns - g->arrived_ns) * 1e-6;
	uint32_t tokens_out = silent ? 0 : m->result.tokens_out;
	g->n_tokens_out += tokens_out;
	if (sample->ids.n > tokens_out) /* an end token had an event */
		sample->ids.n = tokens_out;
	count_tokens(sample, tokens_out); /* an end token that had an event is none */
	size_t n_parts = 0;
	const struct part *parts = g->client ? tell_apart(sample, (struct str){"", 0}, true, &n_parts) : NULL;
	for (size_t i = 0; i < n_parts && !g->streaming; i++)
		part_list_add(&sample->parts, &parts[i]);
	if (g->client && g->pieces.failed)
		gen_no_memory(g);
	uint32_t n_thinking = thinking_count_end(&sample->thought, tokens_out);
	g->n_thinking += n_thinking;
	sample->end.cached_tokens = m->cached_tokens;
	sample->end = (struct answer_end){
		.sample = sample->index,
		.stop = silent ? HOKKU_STOP_LENGTH : m->result.stop,
		.tokens_out = tokens_out,
		.cached_tokens = m->cached_tokens,
		.cache_miss = m->cache_miss,
		.text_bytes = silent ? 0 : m->result.text_bytes,
		.prefill_ms = m->result.prefill_ms,
		.decode_ms = m->result.decode_ms,
		.ttft_ms = m->result.ttft_ms + before_ms,
		.total_ms = clock_ms_since(g->arrived_ns),
		.stop_text = m->stop_text >= 0 ? g->job.request.stop[m->stop_text] : (struct str){0},
		.ids = g->prompt_ids.n ? &sample->ids : NULL,
		.parts = g->streaming ? parts : NULL, /* else with the others */
		.n_parts = g->streaming ? n_parts : 0,
		.n_calls = sample->n_calls,
		.thinking_tokens = n_thinking,
		.last = g->n_over + 1 == g->n_samples,
		.usage = {.prompt_tokens = g->prompt_tokens,
			  .completion_tokens = g->n_tokens_out,
			  .cached_tokens = gen_n_cached(g),
			  .thinking_tokens = g->n_thinking},
	};
	time_end(sample, m, tokens_out);
	if (!g->client)
		return;
	const struct answer_start start = gen_sample_start(sample, model);
	const struct answer_token end_token = {
		.sample = sample->index,
		.index = tokens_out,
		.token = m->token,
		.logprobs = m->has_logprobs && g->api->tells_end_token && !silent ? &m->logprobs : NULL,
	};
	if (g->streaming) {
		struct answer_end end = sample->end;
		end.end_token = end_token.logprobs ? &end_token : NULL;
		g->api->end(&g->out, &start, &end);
		gen_mark_dirty(g);
	} else {
		keep_logprobs(sample, &start, &end_token);
	}
	if (!sample->end.last)
		return;
	gen_note(g);
	access_of(g->client)->stop = hokku_stop_name(sample->end.stop);
	gen_keep(sample, &start);
	if (g->streaming)
		gen_end_stream(g);
	else
		gen_answer_whole(g, &start);
}

/* One that cannot go on ends the answer; nobody hears it where gen_stop was before it. */
static void gen_error(struct sample *sample, const struct mail *m)
{
	struct generation *g = sample->generation;
	char text[512];
	snprintf(text, sizeof text, "%.*s", STR_ARG(m->text));
	if (!g->stopped) {
		g->stopped = m->code;
		gen_cancel_samples(g);
	}
	gen_answer_error(g, m->code, text, NULL);
}

/* The engine is done with it; the last one's generation goes. */
static void sample_over(struct sample *sample)
{
	struct generation *g = sample->generation;
	sample->over = true;
	if (++g->n_over == g->n_samples)
		gen_free(g);
}

void gen_take_mail(struct server *s)
{
	struct mail m;
	bool lost;
	struct str rest = mailbox_take(&s->mailbox, &lost);
	if (lost && !s->failure.code) {
		err_set(&s->failure, HOKKU_OUT_OF_MEMORY, "no memory for the engine's events");
		http_stop(s->http);
	}
	if (rest.len == 0)
		return;
	while (mail_next(&rest, &m)) {
		struct sample *sample = m.to;
		const char *model = hosted_model(sample->generation->hosted);
		switch (m.kind) {
		case ENGINE_STARTED:
			gen_started(sample, &m, model);
			break;
		case ENGINE_PROMPT:
			gen_prompt(sample, &m, model);
			break;
		case ENGINE_TOKEN:
			gen_token(sample, &m, model);
			break;
		case ENGINE_END:
			gen_end(sample, &m, model);
			sample_over(sample);
			break;
		case ENGINE_ERROR:
			gen_error(sample, &m);
			sample_over(sample);
			break;
		}
	}
	gen_send_dirty(s);
}
