/*
 * POST /v1/generate and the routes like it: the life of a request for an answer.
 *
 *     arrives -> prepared (another thread: JSON, template, tokens) -> queued in the engine -> answered
 *
 * A generation is freed on the loop's thread once nobody else can know it: after its job came back when it
 * never reached the engine, after the engine's last event (end or error) when it did. The client may be gone
 * long before.
 */
#include "server/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "server/answer.h"
#include "server/cancel.h"
#include "server/reply.h"
#include "server/slots.h"
#include "server/warnings.h"

void gen_free(struct generation *g)
{
	struct server *s = g->server;
	for (struct generation **d = &s->dirty; *d; d = &(*d)->next_dirty) {
		if (*d == g) {
			*d = g->next_dirty;
			break;
		}
	}
	if (g->prev)
		g->prev->next = g->next;
	else
		s->generations = g->next;
	if (g->next)
		g->next->prev = g->prev;
	s->n_generations--;
	gen_state_remember(g);
	states_job_free(g->state);
	if (g->n_reserved && !g->started) /* nothing of it was computed */
		allowance_give_back(&s->allowances[g->owner], g->n_reserved);
	prepare_job_free(&g->job);
	strbuf_free(&g->out);
	part_list_free(&g->pieces);
	tok_ids_free(&g->prompt_ids);
	for (uint32_t i = 0; i < g->n_samples; i++) {
		strbuf_free(&g->samples[i].text);
		strbuf_free(&g->samples[i].logprobs_json);
		strbuf_free(&g->samples[i].prompt_json);
		part_list_free(&g->samples[i].parts);
		dialect_reader_free(g->samples[i].reader);
		strbuf_free(&g->samples[i].memo.text);
		strbuf_free(&g->samples[i].memo.done);
		tok_ids_free(&g->samples[i].ids);
		strbuf_free(&g->samples[i].memo.name);
		strbuf_free(&g->samples[i].memo.logprobs);
	}
	free(g->samples);
	free(g);
}

/* ---- writing ---- */

static void gen_mark_dirty(struct generation *g)
{
	if (g->dirty)
		return;
	g->dirty = true;
	g->next_dirty = g->server->dirty;
	g->server->dirty = g;
}

static void gen_send(struct generation *g)
{
	if (g->client && g->out.len)
		http_stream_send(g->client, (struct str){g->out.ptr, g->out.len});
	strbuf_clear(&g->out);
	g->sent_ns = clock_ns();
}

/* All events of one loop turn leave in one piece. */
static void send_dirty(struct server *s)
{
	struct generation *g = s->dirty;
	s->dirty = NULL;
	while (g) {
		struct generation *next = g->next_dirty;
		g->next_dirty = NULL;
		g->dirty = false;
		gen_send(g);
		g = next;
	}
}

/* The last event of a stream is in out. */
static void gen_end_stream(struct generation *g)
{
	struct http_request *client = g->client;
	gen_send(g);
	g->client = NULL;
	http_set_user(client, NULL);
	http_stream_end(client);
}

static struct answer_start sample_start_info(struct sample *sample, const char *model);

/* The last event of a stream that does not go on. */
static void gen_break(struct generation *g, enum hokku_code code, const char *message)
{
	struct engine_state state;
	if (!g->api->broken || !g->started || g->n_samples != 1) {
		g->api->failed(&g->out, code, message);
		return;
	}
	engine_get_state(g->server->engine, &state);
	const struct answer_start start =
		sample_start_info(g->samples, state.info.name ? state.info.name : "");
	g->api->broken(&g->out, &start, code, message);
}

/* Of several prompts, the first that does not fit. */
static void reply_too_long(struct generation *g, struct http_request *client, const char *message)
{
	struct engine_state state;
	struct strbuf body = {0};
	uint32_t n = g->prompt_tokens;
	engine_get_state(g->server->engine, &state);
	for (uint32_t p = g->job.prompts ? g->job.n_prompts : 0; p-- > 0;)
		if (g->job.prompts[p].n > state.info.n_ctx || g->job.n_prompts == 1)
			n = (uint32_t)g->job.prompts[p].n;
	g->api->too_long(&body, message, n, state.info.n_ctx);
	reply_json(client, hokku_code_http(HOKKU_CONTEXT_EXCEEDED), &body);
	strbuf_free(&body);
}

/* The error that ends the answer, in the form that the client waits for. */
void gen_answer_error(struct generation *g, enum hokku_code code, const char *message, const char *field)
{
	struct http_request *client = g->client;
	if (!client)
		return;
	log_info("%s%s%s: %s: %s", g->api->does ? "state" : "generate", g->id[0] ? " " : "", g->id,
		 hokku_code_name(code), message);
	if (g->streaming) {
		gen_break(g, code, message);
		gen_end_stream(g);
		return;
	}
	g->client = NULL;
	http_set_user(client, NULL);
	g->server->allowances[g->owner].counters.rate_limited += code == HOKKU_RATE_LIMITED;
	if (code == HOKKU_CONTEXT_EXCEEDED && g->api->too_long)
		reply_too_long(g, client, message);
	else
		reply_refused(client, code, hokku_code_http(code), message, field, g->retry_after_s);
}

enum hokku_code stuck_error(const struct server *s, struct hokku_error *err)
{
	char what[128];
	watchdog_describe(&s->watchdog, what);
	return err_set(err, HOKKU_DEVICE_ERROR,
		       "%s (--watchdog-timeout %g); if it does not go on, restart the server", what,
		       (double)s->config.watchdog_timeout_s);
}

static const char *stop_message(const struct generation *g, char out[256])
{
	struct hokku_error err;
	switch (g->stopped) {
	case HOKKU_INFERENCE_TIMEOUT:
		snprintf(out, 256,
			 "the request ran longer than the %g seconds it is allowed (--request-timeout)",
			 (double)g->server->config.request_timeout_s);
		break;
	case HOKKU_SHUTTING_DOWN:
		snprintf(out, 256, "the server is stopping and could not finish this request in time");
		break;
	case HOKKU_DEVICE_ERROR:
		stuck_error(g->server, &err);
		snprintf(out, 256, "%.255s", err.message);
		break;
	default:
		snprintf(out, 256, "the request was cancelled");
	}
	return out;
}

/* ---- being told to stop ---- */

/* What the engine has of it ends a step later. */
static void gen_cancel_samples(struct generation *g)
{
	for (uint32_t i = 0; i < g->n_samples; i++)
		if (!g->samples[i].over)
			engine_cancel(g->server->engine, g->samples[i].engine_id);
}

/* Once is enough. The client hears it at once; the engine lets go a step later. */
static void gen_stop(struct generation *g, enum hokku_code why)
{
	char text[256];
	if (g->stopped)
		return;
	g->stopped = why;
	if (g->preparing)
		atomic_store(&g->job.abandoned, true);
	if (g->state)
		atomic_store(&g->state->stop, true);
	gen_cancel_samples(g);
	gen_answer_error(g, why, stop_message(g, text), NULL);
}

void gen_client_gone(struct generation *g)
{
	g->client = NULL;
	if (g->server->engine) {
		log_info("generate%s%s: the client is gone", g->id[0] ? " " : "", g->id);
		gen_stop(g, HOKKU_CANCELLED);
	}
}

void gen_stop_all(struct server *s, enum hokku_code code)
{
	for (struct generation *g = s->generations; g; g = g->next)
		gen_stop(g, code);
}

void gen_drop_shapes(struct server *s)
{
	for (struct generation *g = s->generations; g; g = g->next)
		prepare_drop_shape(&g->job);
}

void gen_free_all(struct server *s)
{
	while (s->generations)
		gen_free(s->generations);
}

static struct generation *find_live(struct server *s, uint32_t owner, const char *id)
{
	for (struct generation *g = s->generations; g; g = g->next)
		if (g->owner == owner && g->client && !g->stopped && strcmp(g->id, id) == 0)
			return g;
	return NULL;
}

bool gen_cancel(struct server *s, uint32_t owner, const char *id)
{
	struct generation *g = find_live(s, owner, id);
	if (g)
		gen_stop(g, HOKKU_CANCELLED);
	return g != NULL;
}

/* ---- arriving ---- */

/* Does the server take work at all? */
static enum hokku_code check_serving(struct server *s, struct hokku_error *err)
{
	struct engine_state state;
	engine_get_state(s->engine, &state);
	if (s->stopping_ns || state.phase == ENGINE_STOPPED)
		return err_set(err, HOKKU_SHUTTING_DOWN, "the server is stopping and takes no new work");
	if (state.phase == ENGINE_LOST)
		return err_set(err, state.failure.code, "%s", state.failure.message);
	if (s->stuck_told)
		return stuck_error(s, err);
	if (state.phase != ENGINE_READY)
		return err_set(err, HOKKU_NOT_READY,
			       "the model is still being loaded; GET /health tells how far it is");
	return HOKKU_OK;
}

static struct generation *gen_create(struct server *s, const struct api *api, struct http_request *r)
{
	struct generation *g = calloc(1, sizeof *g);
	size_t n = 0;
	char *body = g ? http_take_body(r, &n) : NULL;
	if (!body) {
		free(g);
		return NULL;
	}
	g->job.body = (struct strbuf){.ptr = body, .len = n, .cap = n + 1};
	g->job.owner = g;
	g->job.form = s->config.keep_billing_header && api->form_kept ? api->form_kept : api->form;
	g->job.key = g->owner = owner_of(s, r);
	g->api = api;
	g->server = s;
	g->client = r;
	g->sequence = ++s->sequence;
	g->arrived_ns = g->sent_ns = clock_ns();
	g->next = s->generations;
	if (g->next)
		g->next->prev = g;
	s->generations = g;
	s->n_generations++;
	return g;
}

void gen_begin(struct server *s, const struct api *api, struct http_request *r)
{
	struct hokku_error err;
	char text[160];
	uint32_t owner = owner_of(s, r), retry_after_s = 0;
	enum hokku_code rc = check_serving(s, &err);
	const char *encoding = http_get_header(r, "Content-Encoding");
	if (!rc)
		rc = gen_check_allowance(s, owner, &retry_after_s, &err);
	if (rc) {
		s->allowances[owner].counters.rate_limited += rc == HOKKU_RATE_LIMITED;
		reply_refused(r, rc, hokku_code_http(rc), err.message, NULL, retry_after_s);
		return;
	}
	if (encoding && strcasecmp(encoding, "identity") != 0) {
		reply_error(r, HOKKU_INVALID_REQUEST, 415,
			    "Content-Encoding is not supported; send plain JSON", NULL);
		return;
	}
	struct generation *g = gen_create(s, api, r);
	if (!g) {
		reply_error(r, HOKKU_OUT_OF_MEMORY, 500, "no memory for the request", NULL);
		return;
	}
	if (!prepare_submit(s->prepare, &g->job)) {
		gen_free(g);
		snprintf(text, sizeof text,
			 "too many requests wait (--max-queue %" PRIu32 "); try again later",
			 s->config.engine.max_queue);
		reply_error(r, HOKKU_OVERLOADED, 503, text, NULL);
		return;
	}
	g->preparing = true;
	s->n_preparing++;
	http_set_user(r, g);
}

/* ---- prepared ---- */

/* Its id is known from here on. Returns the error that ends it. */
static enum hokku_code gen_check_id(struct generation *g)
{
	struct server *s = g->server;
	struct request_error *err = &g->job.err;
	const char *id = g->job.request.id;
	if (*id && find_live(s, g->owner, id)) {
		snprintf(err->field, sizeof err->field, "id");
		return err_set(&err->error, HOKKU_INVALID_REQUEST,
			       "id is \"%s\", which another running request has", id);
	}
	if (*id)
		memcpy(g->id, id, sizeof g->id);
	else
		snprintf(g->id, sizeof g->id, "%s%016" PRIx64, g->api->id_prefix, rng_os_seed());
	if (cancel_came_early(s, g))
		return err_set(&err->error, HOKKU_CANCELLED, "the request was cancelled");
	return HOKKU_OK;
}

/* What the answer warns of can be read before it. */
static void add_warnings(struct generation *g)
{
	const struct strbuf *warnings = &g->job.request.warnings;
	struct strbuf header = {0};
	if (!warnings->len)
		return;
	warnings_header((struct str){warnings->ptr, warnings->len}, &header);
	if (!header.failed)
		http_add_header(g->client, "Hokku-Warnings", header.ptr);
	strbuf_free(&header);
}

/* The whole answer is there already. */
static void gen_tell(struct generation *g)
{
	struct http_request *client = g->client;
	add_warnings(g);
	g->client = NULL;
	http_set_user(client, NULL);
	reply_json(client, 200, &g->job.told);
	gen_free(g);
}

static void gen_take_job(struct generation *g)
{
	struct server *s = g->server;
	enum hokku_code refused, rc = g->job.rc;
	g->preparing = false;
	s->n_preparing--;
	if (!g->client) { /* gone, or told to stop and answered */
		gen_free(g);
		return;
	}
	refused = check_serving(s, &g->job.err.error);
	rc = refused ? refused : rc;
	if (rc == HOKKU_OK && (g->api->does == API_TELLS || g->job.told.len)) {
		gen_tell(g);
		return;
	}
	if (rc == HOKKU_OK && g->api->does) {
		rc = gen_check_allowance(s, g->owner, &g->retry_after_s, &g->job.err.error);
		if (rc == HOKKU_OK)
			rc = gen_state_submit(g);
		if (rc == HOKKU_OK)
			return;
	}
	if (rc == HOKKU_OK)
		rc = slots_check(g, &g->job.err);
	if (rc == HOKKU_OK)
		rc = gen_check_id(g);
	if (rc == HOKKU_OK)
		rc = gen_submit(g);
	if (rc) {
		g->stopped = rc;
		gen_cancel_samples(g);
		gen_answer_error(g, rc, g->job.err.error.message, g->job.err.field);
		if (g->n_samples == 0) /* else after the last one's event */
			gen_free(g);
		return;
	}
	if (g->job.request.stream) {
		g->streaming = true;
		add_warnings(g);
		http_stream_start(g->client, 200,
				  g->api->stream_type ? g->api->stream_type : "text/event-stream");
	}
}

void gen_take_prepared(struct server *s)
{
	for (struct prepare_job *job = prepare_take_done(s->prepare), *next; job; job = next) {
		next = job->next;
		gen_take_job(job->owner);
	}
	if (s->n_preparing == 0)
		cancel_forget_early(s);
}

/* ---- answered ---- */

static struct answer_start gen_start_info(const struct generation *g, const char *model)
{
	const struct gen_request *r = &g->job.request;
	return (struct answer_start){
		.id = g->id,
		.model = model,
		.fingerprint = engine_fingerprint(g->server->engine),
		.key = owner_name(g->server, g->owner),
		.asked_model = r->model,
		.seed = r->sampling.seed,
		.prompt_tokens = g->prompt_tokens,
		.max_tokens = r->max_tokens,
		.no_answer = r->no_answer,
		.started_at = g->started_at,
		.created = g->created,
		.now_ns = clock_wall_ns(),
		.prompt_ids = g->prompt_ids.n ? &g->prompt_ids : NULL,
		.request = r,
		.slot = g->slot,
		.sampling = &r->sampling,
		.rules = &r->rules,
		.template_date = g->job.template_date,
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
		.tok = engine_tok(g->server->engine),
	};
}

/* The same, for what is told of one sample. */
static struct answer_start sample_start_info(struct sample *sample, const char *model)
{
	struct answer_start start = gen_start_info(sample->generation, model);
	start.memo = sample->generation->streaming ? &sample->memo : NULL;
	return start;
}

/* A piece of the prompt's logprobs: it leaves at once, or waits for the whole answer. */
static void gen_tell_prompt(struct sample *sample, const struct answer_prompt *prompt, const char *model)
{
	struct generation *g = sample->generation;
	const struct answer_start start = sample_start_info(sample, model);
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

static void gen_started(struct sample *sample, const struct mail *m, const char *model)
{
	struct generation *g = sample->generation;
	bool first = !g->started;
	if (first) {
		g->started = true;
		g->slot = slots_pick(g);
		g->server->allowances[g->owner].counters.prompt_tokens += g->prompt_tokens;
		g->created = (int64_t)time(NULL);
		clock_iso8601(g->started_at);
	}
	if (g->client && g->streaming) {
		struct answer_start start = sample_start_info(sample, model);
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
	sample->n_thinking += !ends && dialect_reader_thinks(sample->reader);
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

static void gen_token(struct sample *sample, const struct mail *m, const char *model)
{
	struct generation *g = sample->generation;
	const struct answer_start start = sample_start_info(sample, model);
	struct answer_token token = {
		.sample = sample->index,
		.index = m->index,
		.token = m->token,
		.text = m->text,
		.logprobs = m->has_logprobs ? &m->logprobs : NULL,
	};
	if (g->job.request.no_answer)
		return;
	count_tokens(sample, m->index + 1);
	if (!g->client)
		return;
	keep_id(sample, m->token);
	token.parts = tell_apart(sample, m->text, false, &token.n_parts);
	if (g->streaming) {
		g->api->token(&g->out, &start, &token);
		gen_mark_dirty(g);
		return;
	}
	strbuf_add(&sample->text, m->text.ptr, m->text.len);
	for (size_t i = 0; i < token.n_parts; i++)
		part_list_add(&sample->parts, &token.parts[i]);
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
		body.failed |=
			s->text.failed || s->logprobs_json.failed || s->parts.failed || s->prompt_json.failed;
	}
	if (samples)
		g->api->whole(&body, start, samples);
	add_warnings(g);
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
static uint32_t sum_cached(const struct generation *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_samples; i += g->job.request.n)
		n += g->samples[i].end.cached_tokens;
	return n;
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
	g->n_thinking += sample->n_thinking;
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
		.thinking_tokens = sample->n_thinking,
		.last = g->n_over + 1 == g->n_samples,
		.usage = {.prompt_tokens = g->prompt_tokens,
			  .completion_tokens = g->n_tokens_out,
			  .cached_tokens = sum_cached(g),
			  .thinking_tokens = g->n_thinking},
	};
	if (!g->client)
		return;
	const struct answer_start start = sample_start_info(sample, model);
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
	log_info("generate %s: %s, %" PRIu32 " tokens in, %" PRIu64 " out, %.1f ms", g->id,
		 hokku_stop_name(sample->end.stop), g->prompt_tokens, g->n_tokens_out,
		 clock_ms_since(g->arrived_ns));
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
	struct engine_state state;
	struct mail m;
	bool lost;
	struct str rest = mailbox_take(&s->mailbox, &lost);
	if (lost && !s->failure.code) {
		err_set(&s->failure, HOKKU_OUT_OF_MEMORY, "no memory for the engine's events");
		http_stop(s->http);
	}
	if (rest.len == 0)
		return;
	engine_get_state(s->engine, &state);
	const char *model = state.info.name ? state.info.name : "";
	while (mail_next(&rest, &m)) {
		struct sample *sample = m.to;
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
	send_dirty(s);
}

/* ---- the clock ---- */

void gen_tick(struct server *s, uint64_t now_ns)
{
	const struct server_config *c = &s->config;
	for (struct generation *g = s->generations; g; g = g->next) {
		double age_s = (double)(now_ns - g->arrived_ns) * 1e-9;
		double quiet_s = now_ns > g->sent_ns ? (double)(now_ns - g->sent_ns) * 1e-9 : 0;
		if (c->request_timeout_s > 0 && age_s > (double)c->request_timeout_s)
			gen_stop(g, HOKKU_INFERENCE_TIMEOUT);
		if (g->client && g->streaming && g->api->keep_alive && quiet_s > (double)c->keep_alive_s) {
			g->api->keep_alive(&g->out);
			gen_send(g);
		}
	}
}
