/* The ledger above all models: what each place has, what a model will need there and may take. */
#include "server/hosting_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "compute/plugin.h"

enum { SHARED_KV_CONTEXTS = 4 /* of a GPU that several models share; one alone takes what is left */ };

/* N of "cuda:N", and 0 of "cuda". */
uint32_t hosting_place(const char *device)
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
		s->gpu_place = hosting_place(device);
	}
	if (!s->gpu_place)
		return;
	bool known = !plugin->free_bytes(s->gpu_place - 1, &free_bytes, NULL);
	s->capacity[s->gpu_place] = known ? free_bytes : UINT64_MAX;
	if (c->vram_limit && c->vram_limit < s->capacity[s->gpu_place])
		s->capacity[s->gpu_place] = c->vram_limit;
}

void hosting_measure(struct server *s)
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
void hosting_plan(struct hosted *h)
{
	const struct server *s = h->server;
	const char *device = s->config.engine.device ? s->config.engine.device : "auto";
	const struct model_look *look = &h->file.look->model;
	bool picks = strcmp(device, "auto") == 0;
	h->place = picks ? s->gpu_place : hosting_place(device);
	uint64_t capacity = s->capacity[h->place];
	if (picks && h->place && look->device_least_bytes > capacity) /* as the device would say */
		h->place = REGISTRY_HOST;
	h->bytes = look->weight_bytes + look->kv_bytes + look->scratch_bytes;
	if (h->place) /* alone, with the context that fits, where its default does not */
		h->bytes = look->device_bytes <= capacity || look->device_least_bytes > capacity
				   ? look->device_bytes
				   : capacity;
	if (h->known_bytes && h->known_place == h->place)
		h->bytes = h->known_bytes;
	if (h->bytes <= h->tried_bytes)
		h->bytes = h->tried_bytes + 1;
}

uint64_t hosting_room(const struct hosted *h)
{
	const struct server *s = h->server;
	const struct engine_config *c = &s->config.engine;
	const struct compute_plugin *plugin;
	struct registry_model *models;
	struct hosted **all;
	struct registry r;
	uint64_t room = 0, limit = h->place ? c->vram_limit : c->ram_limit;
	if (!h->place)
		room = memory_available();
	else if (plugin_get(&plugin, NULL) || plugin->free_bytes(h->place - 1, &room, NULL))
		room = 0;
	if (!room)
		return limit ? limit : UINT64_MAX;
	if (hosting_view(s, &r, &models, &all))
		room += registry_used(&r, h->place) - (h->state == REGISTRY_LOADING ? h->bytes : 0);
	free(models);
	free(all);
	return limit && limit < room ? limit : room;
}

uint32_t hosting_context(const struct hosted *h)
{
	struct engine_state e;
	const struct model_look *look = &h->file.look->model;
	if (h->engine && h->state == REGISTRY_LOADED) {
		engine_get_state(h->engine, &e);
		return e.info.n_ctx;
	}
	return h->place == REGISTRY_HOST ? look->n_ctx : look->n_ctx_wanted;
}

/* The registry's view. *models and *all are the caller's to free. False: no memory, and both are NULL. */
bool hosting_view(const struct server *s, struct registry *r, struct registry_model **models,
		  struct hosted ***all)
{
	uint32_t n = 0;
	for (struct hosted *h = s->hosted; h; h = h->next)
		n++;
	*models = calloc((size_t)n + 1, sizeof **models);
	*all = calloc((size_t)n + 1, sizeof(struct hosted *));
	*r = (struct registry){.models = *models};
	memcpy(r->capacity, s->capacity, sizeof r->capacity);
	if (!*models || !*all) {
		free(*models);
		free(*all);
		*models = NULL;
		*all = NULL;
		return false;
	}
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

/* What the others leave of its place. */
static void measure_rest(struct hosted *h)
{
	struct registry_model *models;
	struct hosted **all;
	struct registry r;
	uint64_t capacity = h->server->capacity[h->place];
	h->given_bytes = 0;
	h->beside = false;
	if (capacity != UINT64_MAX && hosting_view(h->server, &r, &models, &all)) {
		uint64_t own = h->state == REGISTRY_LOADING ? h->bytes : 0;
		uint64_t others = registry_used(&r, h->place) - own;
		h->given_bytes = others < capacity ? capacity - others : 1;
		h->beside = others > 0;
		free(models);
		free(all);
	}
}

void hosting_fit(struct hosted *h, struct engine_config *config)
{
	bool picks = !config->device || strcmp(config->device, "auto") == 0;
	measure_rest(h);
	config->model_path = h->file.path;
	config->kv_contexts = SHARED_KV_CONTEXTS;
	h->device_named = picks && h->place != REGISTRY_HOST && h->beside && !h->any_device;
	/* What fits alone was settled by the whole ledger; beside others they go before a context is cut. */
	config->ctx_whole = h->beside;
	if (h->place == REGISTRY_HOST)
		config->n_ctx_most = h->file.look->model.n_ctx;
	if (h->place != REGISTRY_HOST && h->given_bytes)
		config->vram_limit = h->given_bytes;
	if (h->device_named) {
		snprintf(h->device, sizeof h->device, "cuda:%" PRIu32, h->place - 1);
		config->device = h->device;
	}
}
