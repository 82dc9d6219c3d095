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
#include "server/access.h"
#include "server/answer.h"
#include "server/cancel.h"
#include "server/gate.h"
#include "server/hosting.h"
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
	hosting_let_go(g);
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

void gen_mark_dirty(struct generation *g)
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
void gen_send_dirty(struct server *s)
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

/* What its line in the log tells, as far as it has come. */
void gen_note(struct generation *g)
{
	struct access *a = access_of(g->client);
	memcpy(a->id, g->id, sizeof a->id);
	a->answer_tokens = 0;
	for (uint32_t i = 0; i < g->n_samples; i++)
		a->answer_tokens += g->samples[i].n_counted;
	if (!g->started)
		return;
	a->prompt_tokens = g->prompt_tokens;
	a->cached_tokens = gen_n_cached(g);
	a->prepare_ms = (double)(g->submitted_ns - g->arrived_ns) * 1e-6;
	a->queue_ms = (double)(g->begun_ns - g->submitted_ns) * 1e-6;
	if (g->first_ns)
		a->ttft_ms = (double)(g->first_ns - g->arrived_ns) * 1e-6;
}

/* The last event of a stream is in out. */
void gen_end_stream(struct generation *g)
{
	struct http_request *client = g->client;
	gen_send(g);
	g->client = NULL;
	http_set_user(client, NULL);
	http_stream_end(client);
}

/* The last event of a stream that does not go on. */
static void gen_break(struct generation *g, enum hokku_code code, const char *message)
{
	if (!g->api->broken || !g->started || g->n_samples != 1) {
		g->api->failed(&g->out, code, message);
		return;
	}
	const struct answer_start start = gen_sample_start(g->samples, hosted_model(g->hosted));
	g->api->broken(&g->out, &start, code, message);
}

/* Of several prompts, the first that does not fit. */
static void reply_too_long(struct generation *g, struct http_request *client, const char *message)
{
	struct engine_state state;
	struct strbuf body = {0};
	uint32_t n = g->prompt_tokens;
	engine_get_state(g->hosted->engine, &state);
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
	gen_note(g);
	access_fail(client, code, field, message);
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

enum hokku_code stuck_error(const struct hosted *h, struct hokku_error *err)
{
	char what[128];
	watchdog_describe(&h->watchdog, what);
	return err_set(err, HOKKU_DEVICE_ERROR,
		       "%s (--watchdog-timeout %g); if it does not go on, restart the server", what,
		       (double)h->server->config.watchdog_timeout_s);
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
		stuck_error(g->hosted, &err);
		snprintf(out, 256, "%.255s", err.message);
		break;
	default:
		snprintf(out, 256, "the request was cancelled");
	}
	return out;
}

/* ---- being told to stop ---- */

/* What the engine has of it ends a step later. */
void gen_cancel_samples(struct generation *g)
{
	for (uint32_t i = 0; i < g->n_samples; i++)
		if (!g->samples[i].over)
			engine_cancel(g->hosted->engine, g->samples[i].engine_id);
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
	gen_note(g);
	g->client = NULL;
	if (!g->server->closing)
		gen_stop(g, HOKKU_CANCELLED);
}

void gen_stop_all(struct server *s, enum hokku_code code)
{
	for (struct generation *g = s->generations; g; g = g->next)
		gen_stop(g, code);
}

void gen_stop_of(struct hosted *h, enum hokku_code code)
{
	for (struct generation *g = h->server->generations; g; g = g->next)
		if (g->hosted == h)
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

/* Does the model take work at all? h NULL: it is not known yet. */
static enum hokku_code check_serving(struct server *s, struct hosted *h, struct hokku_error *err)
{
	struct engine_state state = {.phase = ENGINE_READY};
	if (h && h->engine)
		engine_get_state(h->engine, &state);
	if (s->stopping_ns || state.phase == ENGINE_STOPPED)
		return err_set(err, HOKKU_SHUTTING_DOWN, "the server is stopping and takes no new work");
	if (state.phase == ENGINE_LOST)
		return err_set(err, state.failure.code, "%s", state.failure.message);
	if (h && h->stuck_told)
		return stuck_error(h, err);
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
	access_take_body(s, r, (struct str){body, n});
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
	uint32_t owner = owner_of(s, r), retry_after_s = 0;
	struct hosted *only = s->shelf ? NULL : s->hosted;
	enum hokku_code rc = check_serving(s, only, &err);
	if (!rc && only)
		rc = gate_check_model(s, owner, hosted_model(only), &err);
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
	if (only) {
		g->hosted = only;
		only->n_running++;
		gen_prepare(g);
	} else {
		hosting_take(g);
		hosting_go_on(s);
	}
}

void gen_prepare(struct generation *g)
{
	struct server *s = g->server;
	struct http_request *r = g->client;
	struct hokku_error err;
	char text[160];
	enum hokku_code rc = check_serving(s, g->hosted, &err); /* it may have waited since it came */
	if (rc) {
		g->stopped = rc;
		gen_answer_error(g, rc, err.message, NULL);
		gen_free(g);
		return;
	}
	if (!prepare_submit(g->hosted->prepare, &g->job)) {
		http_set_user(r, NULL);
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
void gen_add_warnings(struct generation *g)
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
	gen_add_warnings(g);
	g->client = NULL;
	http_set_user(client, NULL);
	reply_json(client, 200, &g->job.told);
	gen_free(g);
}

void gen_take_job(struct generation *g)
{
	struct server *s = g->server;
	enum hokku_code refused, rc = g->job.rc;
	g->preparing = false;
	s->n_preparing--;
	if (!g->client) { /* gone, or told to stop and answered */
		gen_free(g);
		return;
	}
	refused = check_serving(s, g->of_file ? NULL : g->hosted, &g->job.err.error);
	rc = refused ? refused : rc;
	if (rc == HOKKU_OK)
		hosting_keep(g);
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
		gen_add_warnings(g);
		http_stream_start(g->client, 200,
				  g->api->stream_type ? g->api->stream_type : "text/event-stream");
	}
}

void gen_take_prepared(struct server *s)
{
	for (struct hosted *h = s->hosted; h; h = h->next) {
		struct prepare_job *job = h->prepare ? prepare_take_done(h->prepare) : NULL;
		for (struct prepare_job *next; job; job = next) {
			next = job->next;
			gen_take_job(job->owner);
		}
	}
	if (s->n_preparing + s->n_parked == 0)
		cancel_forget_early(s);
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
