/* Requests on their way to their model: it is found, and they wait here until it is there. */
#include "server/hosting_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "server/field.h"
#include "server/generate.h"
#include "server/hosting_show.h"
#include "server/llama.h"
#include "server/ollama.h"
#include "server/peek.h"
#include "server/reply.h"

enum { MAX_SHOWS = 256 /* of models that are not in memory: more wait until they are */ };

void hosting_answer(struct generation *g, const struct hokku_error *err, const char *field)
{
	g->stopped = err->code;
	gen_answer_error(g, err->code, err->message, field);
	gen_free(g);
}

static void park(struct generation *g)
{
	struct server *s = g->server;
	g->parked = true;
	s->n_parked++;
	s->n_parked_bytes += g->job.body.len;
	if (g->hosted)
		g->hosted->n_waiting++;
	http_set_user(g->client, g);
}

static void unpark(struct generation *g)
{
	struct server *s = g->server;
	g->parked = false;
	s->n_parked--;
	s->n_parked_bytes -= g->job.body.len;
	if (g->hosted)
		g->hosted->n_waiting--;
}

void hosting_let_go(struct generation *g)
{
	struct hosted *h = g->hosted;
	if (g->parked) {
		unpark(g);
	} else if (h) {
		h->n_running--;
		h->used_ns = clock_ns();
	}
}

/* As much may wait here as for an engine; a key that has nothing here may always bring one. */
static bool has_room(const struct generation *g)
{
	const struct server *s = g->server;
	if (s->n_parked < s->config.engine.max_queue &&
	    (!s->n_parked || s->n_parked_bytes + g->job.body.len <= PREPARE_MAX_BYTES))
		return true;
	for (const struct generation *o = s->generations; o; o = o->next)
		if (o != g && o->parked && o->owner == g->owner)
			return false;
	return g->owner != 0;
}

static void park_if_room(struct generation *g)
{
	struct hokku_error err;
	if (has_room(g)) {
		park(g);
		return;
	}
	g->hosted = NULL;
	err_set(&err, HOKKU_OVERLOADED,
		"%" PRIu32 " requests wait for models to be loaded (--max-queue %" PRIu32
		"); try again later",
		g->server->n_parked, g->server->config.engine.max_queue);
	hosting_answer(g, &err, NULL);
}

static bool is_open(const struct hosted *h)
{
	return h->state == REGISTRY_LOADED && !h->closed && !h->file.gone;
}

/* Its model is there. */
static void begin(struct generation *g)
{
	g->hosted->n_running++;
	g->hosted->used_ns = clock_ns();
	gen_prepare(g);
}

/* Ollama's request that nothing be kept of a model, which need not be loaded for that. */
static bool tells_unloaded(struct generation *g)
{
	struct gen_request r = {0};
	struct request_error err;
	struct strbuf body = {0};
	struct http_request *client = g->client;
	bool is = (g->api == &api_ollama_chat || g->api == &api_ollama_generate) &&
		  g->job.body.len <= REQUEST_MAX_SMALL_BODY;
	if (!is)
		return false;
	is = !request_parse((struct str){g->job.body.ptr, g->job.body.len}, g->job.form, NULL, &r, &err) &&
	     !r.messages && !r.prompt.ptr && r.has_keep_alive && r.keep_alive_ns == 0;
	if (is) {
		ollama_add_loaded(&body, g->api == &api_ollama_chat, r.model, clock_wall_ns(), "unload");
		g->client = NULL;
		http_set_user(client, NULL);
		reply_json(client, 200, &body);
		gen_free(g);
	}
	request_free(&r);
	strbuf_free(&body);
	return is;
}

static void place(struct generation *g, struct hosted *h)
{
	struct hokku_error err;
	if (is_open(h)) {
		g->hosted = h;
		begin(g);
	} else if ((h->state == REGISTRY_UNLOADED || h->state == REGISTRY_UNLOADING) && tells_unloaded(g)) {
		return;
	} else if (g->api == &api_ollama_show && h->state != REGISTRY_FAILED && !is_open(h) &&
		   g->server->n_preparing < MAX_SHOWS) {
		g->hosted = h;
		h->n_running++;
		if (!show_submit(g)) {
			err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory for the request");
			hosting_answer(g, &err, NULL);
		}
	} else if (h->state == REGISTRY_FAILED && (g->api != &api_models_load || h->file.look->err.code)) {
		err = h->failure;
		err_prefix(&err, err.code, "model '%s' cannot be served", h->file.name);
		hosting_answer(g, &err, "model");
	} else {
		if (h->state == REGISTRY_FAILED) { /* told to try again */
			h->file.load_err.code = HOKKU_OK;
			h->state = REGISTRY_UNLOADED;
		}
		if (g->api == &api_models_load)
			h->lack.code = HOKKU_OK;
		g->hosted = h;
		park_if_room(g);
	}
}

/* The name in the body, or in the query; false: there is none. */
static bool name_of(const struct generation *g, struct strbuf *name)
{
	const char *old = g->api == &api_ollama_show ? "name" : NULL; /* for "model", once */
	return peek_model((struct str){g->job.body.ptr, g->job.body.len}, old, name) ||
	       peek_query(http_get_query(g->client), "model", name);
}

/* Of a body without a model's name: what is wrong with it where it is none at all, else that. */
static void answer_nameless(struct generation *g)
{
	struct request_error err = {.field = "model"};
	struct strbuf list = {0};
	struct gen_request r = {0};
	enum hokku_code rc = HOKKU_OK;
	hosting_list_names(g->server, g->owner, &list);
	if (g->job.body.len <= REQUEST_MAX_SMALL_BODY) {
		err.field[0] = '\0';
		rc = request_parse((struct str){g->job.body.ptr, g->job.body.len}, g->job.form, NULL, &r,
				   &err);
		request_free(&r);
	}
	if (!rc) {
		snprintf(err.field, sizeof err.field, "model");
		err_set(&err.error, HOKKU_INVALID_REQUEST,
			"model is missing; this server has several: name one of %s",
			list.ptr ? list.ptr : "those that GET /v1/models lists");
	}
	strbuf_free(&list);
	hosting_answer(g, &err.error, err.field);
}

/* looked: the shelf was looked at after it came. */
static void route(struct generation *g, bool looked)
{
	struct server *s = g->server;
	struct strbuf name = {0};
	struct hokku_error err;
	struct hosted *h = NULL;
	if (!name_of(g, &name) || name.failed || strlen(name.ptr ? name.ptr : "") != name.len || !name.len ||
	    name.len > REQUEST_MAX_MODEL_BYTES) {
		strbuf_free(&name);
		answer_nameless(g);
		return;
	}
	h = hosting_find(s, g->owner, name.ptr, &err);
	strbuf_free(&name);
	if (h) {
		place(g, h);
	} else if (looked || err.code != HOKKU_NOT_FOUND) {
		hosting_answer(g, &err, "model");
	} else { /* its file may have come just now */
		g->shelf_number = shelf_ask(s->shelf);
		park_if_room(g);
	}
}

void hosting_take(struct generation *g)
{
	route(g, false);
}

void hosting_keep(struct generation *g)
{
	struct hosted *h = g->hosted;
	const struct gen_request *r = &g->job.request;
	if (!h || !h->file.name || !r->has_keep_alive)
		return;
	h->keep_ns = r->keep_alive_ns;
	h->pinned = r->keep_alive_ns < 0;
}

/* Those that wait for h, in the order in which they came. */
static struct generation *first_parked(const struct hosted *h)
{
	struct generation *first = NULL;
	for (struct generation *g = h->server->generations; g; g = g->next)
		if (g->parked && g->hosted == h && (!first || g->sequence < first->sequence))
			first = g;
	return first;
}

void hosting_refuse_all(struct hosted *h, const struct hokku_error *err)
{
	for (struct generation *g; (g = first_parked(h));)
		hosting_answer(g, err, "model");
}

void hosting_begin_all(struct hosted *h)
{
	for (struct generation *g; (g = first_parked(h));) {
		if (g->stopped ||
		    !g->client) { /* it has left, or was told to stop, in this turn of the loop */
			gen_free(g);
			continue;
		}
		unpark(g);
		begin(g);
	}
}

/* Told to stop, or waiting for a look that has been taken. */
void hosting_sweep(struct server *s)
{
	for (struct generation *g = s->generations, *next; g; g = next) {
		next = g->next;
		if (!g->parked)
			continue;
		if (g->stopped || !g->client) {
			gen_free(g);
		} else if (!g->hosted && g->shelf_number <= s->shelf_number) {
			unpark(g);
			route(g, true);
		}
	}
}
