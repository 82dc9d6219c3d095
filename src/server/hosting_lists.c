#include "server/hosting_lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "server/answer.h"
#include "server/gate.h"
#include "server/hosting_internal.h"
#include "server/ollama.h"
#include "server/peek.h"
#include "server/reply.h"

static const char *state_of(const struct hosted *h)
{
	return registry_state_name(h->state);
}

static bool takes_memory(const struct hosted *h)
{
	return h->state == REGISTRY_LOADED || h->state == REGISTRY_LOADING || h->state == REGISTRY_UNLOADING;
}

/* To whoever asks. */
static bool is_listed(const struct hosted *h, uint32_t owner)
{
	return !h->file.gone && gate_may_use(h->server, owner, h->file.name);
}

/* {"code","message"} */
static void add_failure(struct strbuf *b, const struct hokku_error *err)
{
	strbuf_addf(b, ",\"error\":{\"code\":\"%s\",\"message\":", hokku_code_name(err->code));
	answer_text(b, err->message);
	strbuf_add_c(b, "}");
}

/* ---- OpenAI's form, with what llama-server's router has in it ---- */

static void add_status(struct strbuf *b, const struct hosted *h)
{
	/* llama-server has no more of them: what goes takes no requests, as what is not there */
	bool failed = h->state == REGISTRY_FAILED;
	const char *value = h->state == REGISTRY_LOADED    ? "loaded"
			    : h->state == REGISTRY_LOADING ? "loading"
							   : "unloaded";
	strbuf_addf(b, ",\"state\":\"%s\",\"status\":{\"value\":\"%s\",\"args\":[]%s}", state_of(h), value,
		    failed ? ",\"failed\":true,\"exit_code\":1" : "");
	if (failed)
		add_failure(b, &h->failure);
}

static void add_model(struct strbuf *b, const struct hosted *h)
{
	const struct model_look *m = &h->file.look->model;
	double up_s = clock_ms_since(h->server->started_ns) / 1000;
	uint32_t n_ctx = hosting_context(h);
	strbuf_add_c(b, "{\"id\":");
	answer_text(b, h->file.name);
	strbuf_addf(b, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"hokku\"",
		    (int64_t)time(NULL) - (int64_t)up_s);
	if (!h->file.look->err.code)
		strbuf_addf(b,
			    ",\"max_model_len\":%" PRIu32 ",\"meta\":{\"n_vocab\":%" PRIu32
			    ",\"n_ctx_train\":%" PRIu32 ",\"n_ctx\":%" PRIu32 ",\"n_embd\":%" PRIu32
			    ",\"n_params\":%" PRIu64 ",\"size\":%" PRIu64 "}",
			    n_ctx, m->n_vocab, m->n_ctx_train, n_ctx, m->d_model, m->n_params,
			    m->weight_bytes);
	add_status(b, h);
	strbuf_add_c(b, "}");
}

void hosting_models_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	bool first = true;
	shelf_ask(s->shelf); /* the next list is of now */
	strbuf_add_c(&b, "{\"object\":\"list\",\"data\":[");
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		if (!is_listed(h, owner_of(s, r)))
			continue;
		strbuf_add_c(&b, first ? "" : ",");
		add_model(&b, h);
		first = false;
	}
	strbuf_add_c(&b, "]}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

void hosting_model_route(struct server *s, struct http_request *r)
{
	struct strbuf name = {0}, b = {0};
	struct hokku_error err;
	const char *sent = http_get_path(r) + strlen("/v1/models/");
	peek_path(str_c(sent), &name);
	bool whole = name.ptr && !name.failed && !memchr(name.ptr, 0, name.len);
	const struct hosted *h = hosting_find(s, owner_of(s, r), whole ? name.ptr : sent, &err);
	if (!h) {
		reply_error(r, err.code, hokku_code_http(err.code), err.message, "model");
	} else {
		add_model(&b, h);
		strbuf_add_c(&b, "\n");
		reply_json(r, 200, &b);
	}
	strbuf_free(&name);
	strbuf_free(&b);
}

/* ---- Ollama's ---- */

static void add_ollama(struct strbuf *b, const struct hosted *h)
{
	const struct shelf_look *look = h->file.look;
	const struct hokku_info info = {.architecture = look->model.architecture,
					.format = look->model.format,
					.n_params = look->model.n_params,
					.n_ctx = hosting_context(h),
					.d_model = look->model.d_model};
	strbuf_add_c(b, "{\"name\":");
	ollama_add_name(b, h->file.name);
	strbuf_add_c(b, ",\"model\":");
	ollama_add_name(b, h->file.name);
	strbuf_addf(b, ",\"digest\":\"%s\",\"details\":", look->digest);
	ollama_add_details_of(b, &info, look->model.assembled);
	strbuf_addf(b, ",\"state\":\"%s\"", state_of(h));
	if (h->state == REGISTRY_FAILED)
		add_failure(b, &h->failure);
}

void hosting_tags_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	char time[OLLAMA_TIME_BYTES];
	bool first = true;
	shelf_ask(s->shelf);
	strbuf_add_c(&b, "{\"models\":[");
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		if (!is_listed(h, owner_of(s, r)))
			continue;
		strbuf_add_c(&b, first ? "" : ",");
		add_ollama(&b, h);
		strbuf_addf(&b, ",\"modified_at\":\"%s\",\"size\":%" PRIu64 "}",
			    ollama_time(h->file.look->modified_ns, time), h->file.look->model.file_bytes);
		first = false;
	}
	strbuf_add_c(&b, "]}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* Those that take memory. */
void hosting_ps_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	char time[OLLAMA_TIME_BYTES];
	bool first = true;
	uint64_t now = clock_ns();
	strbuf_add_c(&b, "{\"models\":[");
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		uint64_t expiry = hosting_expiry(h);
		if (!takes_memory(h) || !is_listed(h, owner_of(s, r)))
			continue;
		if (h->n_running && expiry != UINT64_MAX)
			expiry = now + (expiry - h->used_ns);
		uint64_t left = expiry == UINT64_MAX ? INT64_MAX : expiry > now ? expiry - now : 0;
		strbuf_add_c(&b, first ? "" : ",");
		add_ollama(&b, h);
		strbuf_addf(&b,
			    ",\"size\":%" PRIu64 ",\"size_vram\":%" PRIu64 ",\"context_length\":%" PRIu32
			    ",\"expires_at\":\"%s\"}",
			    h->bytes, h->place == REGISTRY_HOST ? 0 : h->bytes, hosting_context(h),
			    ollama_time(clock_wall_ns() + left, time));
		first = false;
	}
	strbuf_add_c(&b, "]}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* ---- GET /health ---- */

static bool add_health_of(struct strbuf *b, const struct hosted *h)
{
	struct engine_state e = {0};
	bool lost = false;
	if (h->engine)
		engine_get_state(h->engine, &e);
	strbuf_add_c(b, "{\"model\":");
	answer_text(b, h->file.name);
	strbuf_addf(b, ",\"state\":\"%s\",\"running\":%" PRIu32 ",\"waiting\":%" PRIu32, state_of(h),
		    h->n_running, h->n_waiting);
	if (h->state == REGISTRY_LOADED)
		lost = e.phase == ENGINE_LOST || h->stuck_told;
	if (h->state == REGISTRY_LOADING)
		strbuf_addf(b, ",\"progress\":%.3f", e.load_part);
	if (takes_memory(h))
		strbuf_addf(b, ",\"bytes\":%" PRIu64, h->bytes);
	else if (h->state == REGISTRY_UNLOADED)
		strbuf_addf(b, ",\"needs_bytes\":%" PRIu64, h->bytes);
	if (h->state == REGISTRY_LOADED) {
		uint64_t now = clock_ns(), expiry = hosting_expiry(h);
		strbuf_add_c(b, ",\"device\":");
		answer_text(b, e.info.device ? e.info.device : "");
		if (expiry != UINT64_MAX && !h->n_running)
			strbuf_addf(b, ",\"expires_s\":%.3f",
				    expiry > now ? (double)(expiry - now) * 1e-9 : 0);
	}
	if (h->state == REGISTRY_FAILED)
		add_failure(b, &h->failure);
	else if (lost && e.phase == ENGINE_LOST)
		add_failure(b, &e.failure);
	strbuf_addf(b, "%s}", lost && h->stuck_told ? ",\"stuck\":true" : "");
	return lost;
}

static void add_places(struct server *s, struct strbuf *b)
{
	bool first = true;
	strbuf_add_c(b, ",\"memory\":[");
	for (uint32_t p = 0; p < REGISTRY_PLACES; p++) {
		uint64_t used = 0;
		for (const struct hosted *h = s->hosted; h; h = h->next)
			if (h->place == p && takes_memory(h))
				used += h->bytes;
		if (p != REGISTRY_HOST && p != s->gpu_place && !used)
			continue;
		if (p == REGISTRY_HOST)
			strbuf_add_c(b, "{\"place\":\"host\"");
		else
			strbuf_addf(b, "%s{\"place\":\"cuda:%" PRIu32 "\"", first ? "" : ",", p - 1);
		if (s->capacity[p] != UINT64_MAX)
			strbuf_addf(b, ",\"limit_bytes\":%" PRIu64, s->capacity[p]);
		strbuf_addf(b, ",\"used_bytes\":%" PRIu64 "}", used);
		first = false;
	}
	strbuf_add_c(b, "]");
}

const struct hosted *hosting_health(struct server *s, const struct http_request *r, struct strbuf *b)
{
	const struct hosted *unhealthy = NULL;
	bool first = true, told = gate_has_key(s, r);
	struct strbuf one = {0};
	strbuf_add_c(b, ",\"models\":[");
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		if (h->file.gone && !takes_memory(h))
			continue;
		strbuf_clear(&one);
		if (add_health_of(&one, h))
			unhealthy = h;
		b->failed |= one.failed;
		if (one.failed || !told || !gate_may_use(s, owner_of(s, r), h->file.name))
			continue;
		strbuf_add_c(b, first ? "" : ",");
		strbuf_add(b, one.ptr, one.len);
		first = false;
	}
	strbuf_free(&one);
	strbuf_add_c(b, "]");
	add_places(s, b);
	return unhealthy;
}
