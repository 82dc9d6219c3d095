#include "server/hosting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/hosting_internal.h"
#include "server/hosting_show.h"

enum { MAX_NAMED = 16 /* models that a message names */ };

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
	char need[48], weights[32], kv[32], have[32], used[32], bytes[32], at[32];
	uint32_t n = registry_in_the_way(r, number, in_way, MAX_NAMED);
	const char *option = h->place == REGISTRY_HOST ? "--models-memory" : "--vram-limit";
	for (uint32_t i = 0; i < n; i++)
		strbuf_addf(&way, "%s'%.60s' (%s)",
			    !i           ? ""
			    : i + 1 == n ? " and "
					 : ", ",
			    all[in_way[i]]->file.name, str_bytes(all[in_way[i]]->bytes, bytes));
	str_bytes(h->bytes, bytes);
	snprintf(need, sizeof need, "%s%s", h->bytes == h->tried_bytes + 1 ? "more than " : "", bytes);
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
	hosting_refuse_all(h, &err);
}

/* False: there is nothing to do. */
static bool do_next(struct server *s)
{
	struct registry_model *models;
	struct hosted **all;
	struct registry r;
	struct registry_step step = {REGISTRY_NOTHING, 0};
	if (hosting_view(s, &r, &models, &all))
		step = registry_next(&r, clock_ns());
	struct hosted *h = step.act ? all[step.model] : NULL;
	switch (step.act) {
	case REGISTRY_NOTHING:
		break;
	case REGISTRY_LOAD:
		hosting_load(h);
		break;
	case REGISTRY_UNLOAD:
		hosting_unload(h, h->closed                         ? ""
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
		hosting_take_list(s);
	for (struct hosted *h = s->hosted; h; h = h->next)
		hosting_watch(h);
	if (s->stopping_ns) {
		err_set(&stopping, HOKKU_SHUTTING_DOWN, "the server is stopping and takes no new work");
		for (struct generation *g = s->generations, *next; g; g = next) {
			next = g->next;
			if (g->parked && !g->stopped && g->client)
				hosting_answer(g, &stopping, NULL);
		}
	}
	show_take(s);
	hosting_sweep(s);
	while (!s->stopping_ns && do_next(s)) {
	}
	hosting_drop_gone(s);
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
	hosting_measure(s);
	if (s->capacity[REGISTRY_HOST] != UINT64_MAX &&
	    (!engine.ram_limit || s->capacity[REGISTRY_HOST] < engine.ram_limit))
		engine.ram_limit = s->capacity[REGISTRY_HOST]; /* what one model may have, alone */
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
		hosting_free_model(h);
	}
	s->hosted = NULL;
}
