#include "server/hosting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "compute/plugin.h"
#include "server/field.h"
#include "server/gate.h"
#include "server/generate.h"
#include "server/hosting_show.h"
#include "server/llama.h"
#include "server/ollama.h"
#include "server/peek.h"
#include "server/reply.h"

enum {
	SHARED_KV_CONTEXTS = 4, /* of a GPU that several models share; one alone takes what is left */
	MAX_NAMED = 16,         /* models that a message names */
	MAX_SHOWS = 256,        /* of models that are not in memory: more wait until they are */
};

/* ---- the ledger ---- */

/* N of "cuda:N", and 0 of "cuda". */
static uint32_t place_of_device(const char *device)
{
	const char *colon = strchr(device, ':');
	unsigned long n = colon ? strtoul(colon + 1, NULL, 10) : 0;
	if (strncmp(device, "cpu", 3) == 0)
		return REGISTRY_HOST;
	return n + 1 < REGISTRY_PLACES ? (uint32_t)n + 1 : REGISTRY_PLACES - 1;
}

/* Of the GPU that is used, where there is one. */
static void measure_gpu(struct server *s)
{
	const struct engine_config *c = &s->config.engine;
	const char *device = c->device ? c->device : "auto";
	const struct compute_plugin *plugin;
	const struct compute_backend *backend;
	uint32_t index = 0;
	uint64_t free_bytes = 0;
	if (strncmp(device, "cpu", 3) == 0 || plugin_get(&plugin, NULL))
		return;
	if (strcmp(device, "auto") == 0) {
		if (plugin_first_usable(&backend, &index, NULL))
			return;
		s->gpu_place = index + 1 < REGISTRY_PLACES ? index + 1 : 0;
	} else {
		s->gpu_place = place_of_device(device);
	}
	if (!s->gpu_place)
		return;
	bool known = !plugin->free_bytes(s->gpu_place - 1, &free_bytes, NULL);
	s->capacity[s->gpu_place] = known ? free_bytes : UINT64_MAX;
	if (c->vram_limit && c->vram_limit < s->capacity[s->gpu_place])
		s->capacity[s->gpu_place] = c->vram_limit;
}

static void measure_places(struct server *s)
{
	for (uint32_t i = 0; i < REGISTRY_PLACES; i++)
		s->capacity[i] = UINT64_MAX;
	uint64_t there = memory_available();
	s->capacity[REGISTRY_HOST] = s->config.models_memory ? s->config.models_memory
				     : there                 ? there - there / 10
							     : UINT64_MAX;
	measure_gpu(s);
}

/* What h will need, and where. */
static void plan(struct hosted *h)
{
	const struct server *s = h->server;
	const char *device = s->config.engine.device ? s->config.engine.device : "auto";
	const struct model_look *look = &h->file.look->model;
	bool picks = strcmp(device, "auto") == 0;
	h->place = picks ? s->gpu_place : place_of_device(device);
	if (picks && h->place && look->device_bytes > s->capacity[h->place]) /* as the device would say */
		h->place = REGISTRY_HOST;
	h->bytes = h->place ? look->device_bytes : look->weight_bytes + look->kv_bytes + look->scratch_bytes;
	if (h->known_bytes)
		h->bytes = h->known_bytes;
}

/* The registry's view. *models is the caller's to free; NULL: no memory. */
static bool view(const struct server *s, struct registry *r, struct registry_model **models,
		 struct hosted ***all)
{
	uint32_t n = 0;
	for (struct hosted *h = s->hosted; h; h = h->next)
		n++;
	*models = calloc((size_t)n + 1, sizeof **models);
	*all = calloc((size_t)n + 1, sizeof **all);
	*r = (struct registry){.models = *models};
	memcpy(r->capacity, s->capacity, sizeof r->capacity);
	if (!*models || !*all)
		return false;
	for (struct hosted *h = s->hosted; h; h = h->next) {
		struct registry_model *m = &(*models)[r->n];
		(*all)[r->n++] = h;
		*m = (struct registry_model){
			.state = h->state,
			.place = h->place,
			.bytes = h->bytes,
			.n_running = h->n_running,
			.n_waiting = h->n_waiting,
			.waiting_since = UINT64_MAX,
			.used_ns = h->used_ns,
			.expires_ns = hosting_expiry(h),
			.pinned = h->pinned,
			.closed = h->closed,
		};
		for (const struct generation *g = s->generations; g && h->n_waiting; g = g->next)
			if (g->parked && g->hosted == h && g->sequence < m->waiting_since)
				m->waiting_since = g->sequence;
	}
	return true;
}

uint64_t hosting_expiry(const struct hosted *h)
{
	double keep_ns = h->keep_ns;
	if (h->state != REGISTRY_LOADED || keep_ns < 0 || keep_ns > 9e18)
		return UINT64_MAX;
	return h->used_ns + (uint64_t)keep_ns;
}

void hosting_fit(const struct hosted *h, struct engine_config *config)
{
	const struct server *s = h->server;
	struct registry_model *models;
	struct hosted **all;
	struct registry r;
	config->model_path = h->file.path;
	config->kv_contexts = SHARED_KV_CONTEXTS;
	if (h->place != REGISTRY_HOST && s->capacity[h->place] != UINT64_MAX && view(s, &r, &models, &all)) {
		uint64_t used = registry_used(&r, h->place),
			 own = h->state == REGISTRY_LOADING ? h->bytes : 0;
		uint64_t capacity = s->capacity[h->place], others = used - own;
		config->vram_limit = others < capacity ? capacity - others : 1;
		free(models);
		free(all);
	}
}

/* ---- requests that wait ---- */

static void answer(struct generation *g, const struct hokku_error *err, const char *field)
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
	answer(g, &err, NULL);
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
			answer(g, &err, NULL);
		}
	} else if (h->state == REGISTRY_FAILED && (g->api != &api_models_load || h->file.look->err.code)) {
		err = h->failure;
		err_prefix(&err, err.code, "model '%s' cannot be served", h->file.name);
		answer(g, &err, "model");
	} else {
		if (h->state == REGISTRY_FAILED) { /* told to try again */
			h->file.load_err.code = HOKKU_OK;
			h->state = REGISTRY_UNLOADED;
		}
		g->hosted = h;
		park_if_room(g);
	}
}

/* Names of all that are listed, or of those alone that a key may use; (SHELF_MAX_MODELS * 2) at most. */
static uint32_t take_names(const struct server *s, uint32_t owner, bool all, const char **names,
			   struct hosted **models)
{
	uint32_t n = 0;
	for (struct hosted *h = s->hosted; h && n < SHELF_MAX_MODELS * 2; h = h->next) {
		if (h->file.gone || (!all && !gate_may_use(s, owner, h->file.name)))
			continue;
		names[n] = h->file.name;
		models[n++] = h;
	}
	return n;
}

struct hosted *hosting_find(const struct server *s, uint32_t owner, const char *name, struct hokku_error *err)
{
	const char *names[SHELF_MAX_MODELS * 2];
	struct hosted *models[SHELF_MAX_MODELS * 2];
	int i = model_name_find(name, names, take_names(s, owner, false, names, models), err);
	if (i >= 0)
		return models[i];
	uint32_t n = take_names(s, owner, true, names, models);
	i = model_name_find(name, names, n, NULL);
	if (i >= 0)
		gate_check_model(s, owner, names[i], err);
	return NULL;
}

/* The name in the body, or in the query; false: there is none. */
static bool name_of(const struct generation *g, struct strbuf *name)
{
	const char *old = g->api == &api_ollama_show ? "name" : NULL; /* for "model", once */
	return peek_model((struct str){g->job.body.ptr, g->job.body.len}, old, name) ||
	       peek_query(http_get_query(g->client), "model", name);
}

static void list_names(const struct server *s, uint32_t owner, struct strbuf *out)
{
	const char *names[SHELF_MAX_MODELS * 2];
	struct hosted *models[SHELF_MAX_MODELS * 2];
	model_name_list(names, take_names(s, owner, false, names, models), out);
}

/* Of a body without a model's name: what is wrong with it where it is none at all, else that. */
static void answer_nameless(struct generation *g)
{
	struct request_error err = {.field = "model"};
	struct strbuf list = {0};
	struct gen_request r = {0};
	enum hokku_code rc = HOKKU_OK;
	list_names(g->server, g->owner, &list);
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
	answer(g, &err.error, err.field);
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
		answer(g, &err, "model");
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

static void refuse_all(struct hosted *h, const struct hokku_error *err)
{
	for (struct generation *g; (g = first_parked(h));)
		answer(g, err, "model");
}

static void begin_all(struct hosted *h)
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
static void sweep_parked(struct server *s)
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

/* ---- files ---- */

static struct hosted *find_file(const struct server *s, const char *name)
{
	for (struct hosted *h = s->hosted; h; h = h->next)
		if (strcmp(h->file.name, name) == 0)
			return h;
	return NULL;
}

/* What is on the shelf now becomes true; the model is not in memory. */
static void take_look(struct hosted *h)
{
	struct hosted_file *f = &h->file;
	if (f->next_look) {
		free(f->look);
		f->look = f->next_look;
		f->print = f->next_print;
		f->next_look = NULL;
		f->load_err.code = HOKKU_OK;
		h->known_bytes = 0;
	}
	h->closed = h->pinned = false;
	h->failure = f->look->err.code ? f->look->err : f->load_err;
	h->state = h->failure.code ? REGISTRY_FAILED : REGISTRY_UNLOADED;
	plan(h);
	if (h->state == REGISTRY_FAILED) {
		struct hokku_error err = h->failure;
		log_warn("model '%s' cannot be served: %s", f->name, err.message);
		err_prefix(&err, err.code, "model '%s' cannot be served", f->name);
		refuse_all(h, &err);
	}
}

static void add_file(struct server *s, struct shelf_model *m)
{
	struct hosted *h = calloc(1, sizeof *h), **end = &s->hosted;
	if (h)
		h->file.name = strdup(m->name);
	if (!h || !h->file.name || !m->look) {
		free(h ? h->file.name : NULL);
		free(h);
		return;
	}
	h->server = s;
	h->file.path = m->path;
	h->file.named = m->named;
	h->file.print = m->print;
	h->file.look = m->look;
	m->path = NULL;
	m->look = NULL;
	h->keep_ns = s->config.models_keep_alive_ns;
	while (*end)
		end = &(*end)->next;
	*end = h;
	take_look(h);
	log_info("model '%s' is %s", h->file.name, h->file.path);
}

/* The file is another one than that which was known. */
static void change_file(struct hosted *h, struct shelf_model *m)
{
	free(h->file.next_look);
	h->file.next_look = m->look;
	h->file.next_print = m->print;
	m->look = NULL;
	free(h->file.path);
	h->file.path = m->path;
	m->path = NULL;
	log_info("the file of model '%s' has changed", h->file.name);
	if (h->state == REGISTRY_UNLOADED || h->state == REGISTRY_FAILED)
		take_look(h);
	else
		h->closed = true; /* what is in memory goes when its requests are over; later ones get the new
				     one */
}

static void free_model(struct hosted *h)
{
	free(h->file.name);
	free(h->file.path);
	free(h->file.look);
	free(h->file.next_look);
	free(h);
}

static void add_counters(struct engine_state *sum, const struct engine_state *e)
{
	sum->n_accepted += e->n_accepted;
	sum->n_finished += e->n_finished;
	sum->n_cancelled += e->n_cancelled;
	sum->n_failed += e->n_failed;
	sum->n_tokens_in += e->n_tokens_in;
	sum->n_tokens_out += e->n_tokens_out;
#define SUM(name_, text_) sum->counters.name_ += e->counters.name_;
	SCHED_COUNTERS(SUM)
#undef SUM
#define SUM(name_, text_) sum->shapes.name_ += e->shapes.name_;
	SHAPE_COUNTERS(SUM)
#undef SUM
}

/* Out of the list, once nothing knows it any more. */
static void drop_gone(struct server *s)
{
	for (struct hosted **at = &s->hosted; *at;) {
		struct hosted *h = *at;
		if (!h->file.gone || h->engine || h->retiring || h->n_running || h->n_waiting) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		add_counters(&s->past, &h->past);
		free_model(h);
	}
}

static void lose_file(struct hosted *h)
{
	struct hokku_error err;
	h->file.gone = h->closed = true;
	log_info("the file of model '%s' is gone", h->file.name);
	err_set(&err, HOKKU_NOT_FOUND, "model '%s' not found: its file was removed", h->file.name);
	refuse_all(h, &err);
}

static void take_list(struct server *s)
{
	struct shelf_list *list = shelf_take(s->shelf);
	if (!list)
		return;
	for (struct hosted *h = s->hosted; h; h = h->next) {
		bool there = false;
		for (uint32_t i = 0; i < list->n && !there; i++)
			there = strcmp(list->models[i].name, h->file.name) == 0;
		if (!there && !h->file.gone)
			lose_file(h);
	}
	drop_gone(s);
	for (uint32_t i = 0; i < list->n; i++) {
		struct hosted *h = find_file(s, list->models[i].name);
		if (!h)
			add_file(s, &list->models[i]);
		else if (list->models[i].look)
			change_file(h, &list->models[i]);
		if (h)
			h->file.gone = false; /* it is there again */
	}
	if (list->err.code && strcmp(list->err.message, s->shelf_err.message) != 0)
		log_warn("%s", list->err.message);
	if (list->n_left_out && list->n_left_out != s->n_left_out)
		log_warn("%" PRIu32
			 " files of --models-dir are passed over: there may be %d models, with names "
			 "of %d bytes",
			 list->n_left_out, SHELF_MAX_MODELS, MODEL_NAME_MAX_BYTES);
	s->shelf_err = list->err;
	s->n_left_out = list->n_left_out;
	s->shelf_number = list->number;
	shelf_list_free(list);
}

/* ---- engines ---- */

static uint64_t all_bytes(const struct compute_memory *m)
{
	return m->weight_bytes + m->kv_bytes + m->scratch_bytes + m->graph_bytes + m->runtime_bytes;
}

void hosting_add_past(const struct hosted *h, struct engine_state *out)
{
	add_counters(out, &h->past);
}

void hosting_sum(const struct server *s, struct engine_state *out)
{
	struct engine_state e;
	*out = s->past;
	out->phase = ENGINE_READY;
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		add_counters(out, &h->past);
		if (!h->engine)
			continue;
		engine_get_state(h->engine, &e);
		add_counters(out, &e);
		out->n_queued += e.n_queued;
		out->n_running += e.n_running;
		out->n_parallel += e.n_parallel;
	}
}

static void unload(struct hosted *h, const char *why)
{
	struct engine_state e;
	engine_get_state(h->engine, &e);
	add_counters(&h->past, &e);
	log_info("model '%s' is unloaded%s", h->file.name, why);
	h->state = REGISTRY_UNLOADING;
	if (!hosted_retire(h))
		take_look(h);
}

/* A lack of memory is the machine's matter: it may be there the next time. */
static bool lacks_memory(enum hokku_code code)
{
	return code == HOKKU_INSUFFICIENT_VRAM || code == HOKKU_OUT_OF_MEMORY ||
	       code == HOKKU_INSUFFICIENT_MEMORY;
}

static void load_failed(struct hosted *h, const struct hokku_error *why)
{
	struct hokku_error err = *why;
	if (err.code == HOKKU_OUT_OF_MEMORY)
		err.code = HOKKU_INSUFFICIENT_MEMORY;
	err_prefix(&err, err.code, "model '%s' cannot be loaded", h->file.name);
	log_error("%s: %s", hokku_code_name(err.code), err.message);
	refuse_all(h, &err);
	if (!lacks_memory(why->code))
		h->file.load_err = *why; /* until the file is another one, or it is told to try again */
	if (h->engine)
		unload(h, ", as it cannot be loaded");
	else
		take_look(h);
}

static void loaded(struct hosted *h, const struct engine_state *e)
{
	h->state = REGISTRY_LOADED;
	h->place = strncmp(e->info.device, "cpu", 3) == 0 ? REGISTRY_HOST : h->place;
	h->bytes = h->known_bytes = all_bytes(&e->memory);
	h->used_ns = clock_ns();
	h->keep_ns = h->server->config.models_keep_alive_ns;
	h->pinned = false;
	log_info("model '%s' is loaded: %" PRIu64 " bytes, %.1f s", h->file.name, h->bytes, e->load_s);
	if (!h->file.gone && !h->file.next_look)
		begin_all(h);
}

static void watch_engine_of(struct hosted *h)
{
	struct engine_state e;
	if (h->retiring && atomic_load(&h->retiring->over)) {
		pthread_join(h->retiring->thread, NULL);
		free(h->retiring);
		h->retiring = NULL;
		take_look(h);
	}
	if (h->state != REGISTRY_LOADING)
		return;
	engine_get_state(h->engine, &e);
	if (e.phase == ENGINE_FAILED)
		load_failed(h, &e.failure);
	else if (e.phase == ENGINE_READY && engine_tok(h->engine))
		loaded(h, &e);
}

/* ---- what the registry says ---- */

static const char *place_name(const struct hosted *h, char out[32])
{
	if (h->place == REGISTRY_HOST)
		return "the host";
	snprintf(out, 32, "cuda:%" PRIu32, h->place - 1);
	return out;
}

static void refuse(struct hosted *h, const struct registry *r, uint32_t number, struct hosted **all)
{
	struct strbuf way = {0};
	struct hokku_error err;
	uint32_t in_way[MAX_NAMED];
	char need[32], weights[32], kv[32], have[32], used[32], bytes[32], at[32];
	uint32_t n = registry_in_the_way(r, number, in_way, MAX_NAMED);
	const char *option = h->place == REGISTRY_HOST ? "--models-memory" : "--vram-limit";
	for (uint32_t i = 0; i < n; i++)
		strbuf_addf(&way, "%s'%.60s' (%s)",
			    !i           ? ""
			    : i + 1 == n ? " and "
					 : ", ",
			    all[in_way[i]]->file.name, str_bytes(all[in_way[i]]->bytes, bytes));
	str_bytes(h->bytes, need);
	str_bytes(r->capacity[h->place], have);
	if (n)
		err_set(&err, HOKKU_INSUFFICIENT_MEMORY,
			"model '%.60s' needs %s of %s's memory, of which %s of %s are taken (%s); %s would have "
			"to go, and %s kept there (keep_alive -1): unload %s with keep_alive 0",
			h->file.name, need, place_name(h, at), str_bytes(registry_used(r, h->place), used),
			have, option, way.ptr ? way.ptr : "", n == 1 ? "is" : "are",
			n == 1 ? "it" : "one of them");
	else
		err_set(&err, HOKKU_INSUFFICIENT_MEMORY,
			"model '%.60s' needs %s of %s's memory (%s of it for weights, %s for contexts), and all models "
			"together may have %s (%s): no other that goes would make it fit; a smaller --ctx needs "
			"less",
			h->file.name, need, place_name(h, at),
			str_bytes(h->file.look->model.weight_bytes, weights),
			str_bytes(h->file.look->model.kv_bytes, kv), have, option);
	strbuf_free(&way);
	refuse_all(h, &err);
}

static void load(struct hosted *h)
{
	struct hokku_error err;
	h->state = REGISTRY_LOADING;
	log_info("model '%s' is being loaded", h->file.name);
	if (hosted_open(h, &err)) {
		hosted_close(h);
		load_failed(h, &err);
	}
}

/* False: there is nothing to do. */
static bool do_next(struct server *s)
{
	struct registry_model *models;
	struct hosted **all;
	struct registry r;
	struct registry_step step = {REGISTRY_NOTHING, 0};
	if (view(s, &r, &models, &all))
		step = registry_next(&r, clock_ns());
	struct hosted *h = step.act ? all[step.model] : NULL;
	switch (step.act) {
	case REGISTRY_NOTHING:
		break;
	case REGISTRY_LOAD:
		load(h);
		break;
	case REGISTRY_UNLOAD:
		unload(h, h->closed                         ? ""
			  : h->n_waiting                    ? ""
			  : hosting_expiry(h) <= clock_ns() ? ", as nobody asks for it"
							    : ", to make room");
		break;
	case REGISTRY_CLOSE:
		log_info("model '%s' takes no more requests, to make room", h->file.name);
		h->closed = true;
		break;
	case REGISTRY_REFUSE:
		refuse(h, &r, step.model, all);
		break;
	}
	free(models);
	free(all);
	return step.act != REGISTRY_NOTHING;
}

void hosting_go_on(struct server *s)
{
	struct hokku_error stopping;
	if (!s->shelf)
		return;
	if (!s->stopping_ns)
		take_list(s);
	for (struct hosted *h = s->hosted; h; h = h->next)
		watch_engine_of(h);
	if (s->stopping_ns) {
		err_set(&stopping, HOKKU_SHUTTING_DOWN, "the server is stopping and takes no new work");
		for (struct generation *g = s->generations, *next; g; g = next) {
			next = g->next;
			if (g->parked && !g->stopped && g->client)
				answer(g, &stopping, NULL);
		}
	}
	show_take(s);
	sweep_parked(s);
	while (!s->stopping_ns && do_next(s)) {
	}
	drop_gone(s);
}

/* ---- the server's ---- */

static void wake(void *user)
{
	struct server *s = user;
	http_wake(s->http);
}

enum hokku_code hosting_open(struct server *s, struct hokku_error *err)
{
	const struct server_config *c = &s->config;
	struct engine_config engine = c->engine;
	engine.prompt_logprobs = true; /* as hosted.c makes them */
	measure_places(s);
	return shelf_create(&(struct shelf_config){.paths = c->model_paths,
						   .n_paths = c->n_model_paths,
						   .dir = c->models_dir,
						   .engine = engine,
						   .on_list = wake,
						   .user = s},
			    &s->shelf, err);
}

bool hosting_stop(struct server *s, uint32_t stop_ms)
{
	struct timespec until;
	show_stop(s);
	shelf_destroy(s->shelf);
	s->shelf = NULL;
	for (struct hosted *h = s->hosted; h; h = h->next) {
		if (!h->retiring)
			continue;
		double left = (double)stop_ms - (s->stopping_ns ? clock_ms_since(s->stopping_ns) : 0);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += left < 1000 ? 1 : (time_t)(left / 1000);
		if (pthread_timedjoin_np(h->retiring->thread, NULL, &until))
			return false;
		free(h->retiring);
		h->retiring = NULL;
	}
	return true;
}

void hosting_close(struct server *s)
{
	for (struct hosted *h = s->hosted, *next; h; h = next) {
		next = h->next;
		free_model(h);
	}
	s->hosted = NULL;
}

struct hosted *hosting_of_query(struct server *s, struct http_request *r)
{
	struct strbuf name = {0}, list = {0};
	struct hokku_error err;
	char text[400];
	struct hosted *h = NULL;
	bool given = peek_query(http_get_query(r), "model", &name) && name.len;
	if (given)
		h = hosting_find(s, owner_of(s, r), name.ptr, &err);
	else
		list_names(s, owner_of(s, r), &list);
	if (h && h->engine && h->state == REGISTRY_LOADED) {
		strbuf_free(&name);
		return h;
	}
	if (h) {
		snprintf(text, sizeof text, "model '%.200s' is %s; POST /models/load loads it", h->file.name,
			 registry_state_name(h->state));
		reply_error(r, HOKKU_NOT_READY, 503, text, "model");
	} else if (given) {
		reply_error(r, err.code, hokku_code_http(err.code), err.message, "model");
	} else {
		snprintf(text, sizeof text,
			 "this server has several models: name one of %.280s as ?model=NAME",
			 list.ptr ? list.ptr : "those that GET /v1/models lists");
		reply_error(r, HOKKU_INVALID_REQUEST, 400, text, "model");
	}
	strbuf_free(&name);
	strbuf_free(&list);
	return NULL;
}
