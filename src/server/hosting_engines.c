/* Engines of models that come and go, and what they have counted. */
#include "server/hosting_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

void hosting_add_counters(struct engine_state *sum, const struct engine_state *e)
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

static uint64_t all_bytes(const struct compute_memory *m)
{
	return m->weight_bytes + m->kv_bytes + m->scratch_bytes + m->graph_bytes + m->runtime_bytes;
}

void hosting_add_past(const struct hosted *h, struct engine_state *out)
{
	hosting_add_counters(out, &h->past);
}

void hosting_sum(const struct server *s, struct engine_state *out)
{
	struct engine_state e;
	*out = s->past;
	out->phase = ENGINE_READY;
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		hosting_add_counters(out, &h->past);
		if (!h->engine)
			continue;
		engine_get_state(h->engine, &e);
		hosting_add_counters(out, &e);
		out->n_queued += e.n_queued;
		out->n_running += e.n_running;
		out->n_parallel += e.n_parallel;
	}
}

void hosting_unload(struct hosted *h, const char *why)
{
	struct engine_state e;
	engine_get_state(h->engine, &e);
	hosting_add_counters(&h->past, &e);
	log_info("model '%s' is unloaded%s", h->file.name, why);
	h->state = REGISTRY_UNLOADING;
	if (!hosted_retire(h))
		hosting_take_look(h);
}

/* A lack of memory is the machine's matter: it may be there the next time. */
static bool lacks_memory(enum hokku_code code)
{
	return code == HOKKU_INSUFFICIENT_VRAM || code == HOKKU_OUT_OF_MEMORY ||
	       code == HOKKU_INSUFFICIENT_MEMORY;
}

/* What a model needs of a GPU is known to the GPU alone, and the ledger may know too little. Where it did not
 * fit beside others these go, one by one, before it is refused. */
static bool tries_again(struct hosted *h, const struct hokku_error *why)
{
	if (!h->n_waiting || !h->beside || (!lacks_memory(why->code) && !h->device_named))
		return false;
	if (lacks_memory(why->code))
		h->tried_bytes = h->given_bytes;
	else
		h->any_device = true;
	log_info("model '%s' is not loaded beside the others: %s", h->file.name, why->message);
	return true;
}

/* There is so much more now than when it did not fit that it is worth another try: what is available moves a
 * little all the time. */
static bool has_more(const struct hosted *h)
{
	uint64_t room = hosting_room(h);
	return room > h->lack_bytes && room - h->lack_bytes > h->lack_bytes / 64;
}

/* Opening it would end as it did, after its file was read and others had gone to make room. */
static void refuse_lacking(struct hosted *h)
{
	if (h->state != REGISTRY_UNLOADED || !h->lack.code || !h->n_waiting)
		return;
	if (has_more(h))
		h->lack.code = HOKKU_OK;
	else
		hosting_refuse_all(h, &h->lack);
}

static void load_failed(struct hosted *h, const struct hokku_error *why)
{
	struct hokku_error err = *why;
	bool again = tries_again(h, why);
	if (err.code == HOKKU_OUT_OF_MEMORY)
		err.code = HOKKU_INSUFFICIENT_MEMORY;
	if (!again) {
		err_prefix(&err, err.code, "model '%s' cannot be loaded", h->file.name);
		log_error("%s: %s", hokku_code_name(err.code), err.message);
		hosting_refuse_all(h, &err);
		if (lacks_memory(why->code))
			err_set(&h->lack, err.code,
				"%.380s; it is not tried again until more is free, its file changes or POST "
				"/models/load says so",
				err.message);
		h->tried_bytes = 0;
		h->any_device = false;
	}
	if (!again && !lacks_memory(why->code))
		h->file.load_err = *why; /* until the file is another one, or it is told to try again */
	if (h->engine)
		hosting_unload(h, again ? ", to be loaded again" : ", as it cannot be loaded");
	else
		hosting_take_look(h);
}

static void loaded(struct hosted *h, const struct engine_state *e)
{
	h->state = REGISTRY_LOADED;
	h->place = h->known_place = hosting_place(e->info.device); /* "auto" may have chosen another */
	h->bytes = h->known_bytes = all_bytes(&e->memory);
	h->tried_bytes = 0;
	h->used_ns = clock_ns();
	h->keep_ns = h->server->config.models_keep_alive_ns;
	h->pinned = false;
	log_info("model '%s' is loaded: %" PRIu64 " bytes, %.1f s", h->file.name, h->bytes, e->load_s);
	if (!h->file.gone && !h->file.next_look)
		hosting_begin_all(h);
}

void hosting_watch(struct hosted *h)
{
	struct engine_state e;
	if (h->retiring && atomic_load(&h->retiring->over)) {
		pthread_join(h->retiring->thread, NULL);
		free(h->retiring);
		h->retiring = NULL;
		hosting_take_look(h);
	}
	refuse_lacking(h);
	if (h->state != REGISTRY_LOADING)
		return;
	engine_get_state(h->engine, &e);
	if (e.phase == ENGINE_FAILED)
		load_failed(h, &e.failure);
	else if (e.phase == ENGINE_READY && engine_tok(h->engine))
		loaded(h, &e);
}

void hosting_load(struct hosted *h)
{
	struct hokku_error err;
	h->lack.code = HOKKU_OK;
	h->lack_bytes = hosting_room(h); /* while nothing is taken of it yet */
	h->state = REGISTRY_LOADING;
	log_info("model '%s' is being loaded", h->file.name);
	if (hosted_open(h, &err)) {
		hosted_close(h);
		load_failed(h, &err);
	}
}
