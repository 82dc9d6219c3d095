/*
 * Several models: each is loaded when a request names it, stays while it has requests and for a time after,
 * and goes earlier where another needs its memory. What is loaded and what goes is the registry's to say
 * (engine/registry.h); here it is done, and requests wait here until their model is there.
 *
 *     arrives -> its model is found by name -> waits until that is loaded -> prepared ... (generate.c)
 *
 * All of it belongs to the loop's thread.
 */
#ifndef SERVER_HOSTING_H
#define SERVER_HOSTING_H

#include "server/state.h"

/* Are there, or may there be, several? */
static inline bool hosting_wanted(const struct server_config *c)
{
	return c->models_dir || c->n_model_paths;
}

/* The ledger, and the thread that looks at files. */
enum hokku_code hosting_open(struct server *s, struct hokku_error *err);

/* Brings g to its model; g may be gone then. */
void hosting_take(struct generation *g);

/* Its request says how long the model shall stay. */
void hosting_keep(struct generation *g);

/* g is about to go. */
void hosting_let_go(struct generation *g);

/* Does what there is to do: lists, engines that are ready or have failed, what the registry says. */
void hosting_go_on(struct server *s);

/* What an engine is made with, so that it stays within the ledger. */
void hosting_fit(struct hosted *h, struct engine_config *config);

/* hosted_of, where there are several. */
struct hosted *hosting_of_query(struct server *s, struct http_request *r);

/* The model that a name means; NULL: NOT_FOUND, or FORBIDDEN to this key. */
struct hosted *hosting_find(const struct server *s, uint32_t owner, const char *name,
			    struct hokku_error *err);

/* Adds what engines of h that are gone have counted. */
void hosting_add_past(const struct hosted *h, struct engine_state *out);

/* Sums over all engines there are and were: queues and counters. */
void hosting_sum(const struct server *s, struct engine_state *out);

/* When it goes, if nobody asks for it (clock_ns); UINT64_MAX: never, or it is not there. While it has
 * requests, as if they were over now. */
uint64_t hosting_expiry(const struct hosted *h);

/* No thread but those of models in memory is left; false: one of a model on its way out goes on, although
 * stop_ms have gone by since the server was told to stop. hosting_close frees all. */
bool hosting_stop(struct server *s, uint32_t stop_ms);
void hosting_close(struct server *s);

/* POST /models/unload: the model goes when its requests are over. */
void hosting_unload_route(struct server *s, struct http_request *r);
void hosting_load_route(struct server *s, struct http_request *r); /* POST /models/load */
extern const struct api api_models_load, api_models_unload;

#endif
