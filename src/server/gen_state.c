/* POST /v1/state/save and /v1/state/restore, between the loop and the thread of states (states.h): what is
 * saved is found by the id that its client knows it by. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "server/generate.h"
#include "server/reply.h"
#include "server/slots.h"

const struct api api_state_save = {.does = API_SAVES, .form = &request_state_save, .error = answer_error};
const struct api api_state_restore = {
	.does = API_RESTORES, .form = &request_state_restore, .error = answer_error};

static void begin(struct server *s, const struct api *api, struct http_request *r)
{
	if (s->config.state_dir)
		gen_begin(s, api, r);
	else
		reply_error(r, HOKKU_NOT_FOUND, 404,
			    "this server keeps no states; start it with --state-dir DIR if it is to", NULL);
}

void state_save_route(struct server *s, struct http_request *r)
{
	begin(s, &api_state_save, r);
}

void state_restore_route(struct server *s, struct http_request *r)
{
	begin(s, &api_state_restore, r);
}

/* ---- whose states they are ---- */

/* Of several models each has folders of its own, by a hash of its name. A key's by a hash of the key itself,
 * which stays whatever its name and its line become; the key names nothing on the disk. */
static void name_folder(const struct generation *g, char out[STATES_FOLDER_BYTES])
{
	const struct key *key = g->owner ? keys_get(g->server->keys, g->owner) : NULL;
	const char *model = g->hosted->file.name;
	size_t n = 0;
	if (model)
		n = (size_t)snprintf(out, STATES_FOLDER_BYTES, "model-%016" PRIx64 "-",
				     siphash(UINT64_C(0x6d6f64656c), 0, model, strlen(model)));
	if (key)
		snprintf(out + n, STATES_FOLDER_BYTES - n, "key-%016" PRIx64, key->folder);
	else
		snprintf(out + n, STATES_FOLDER_BYTES - n, "none");
}

/* ---- which request an id names ---- */

void gen_state_remember(struct generation *g)
{
	struct hosted *h = g->hosted;
	if (!g->n_samples || !h->states)
		return;
	struct ended_generation *to = &h->ended[h->n_ended++ % STATE_ENDED];
	memcpy(to->id, g->id, sizeof to->id);
	to->owner = g->owner;
	to->slot = g->started ? g->slot : UINT32_MAX;
	to->engine_id = g->samples[0].engine_id;
}

/* The latest of this key that had this id: its first sample. 0: none. */
static uint64_t find_request(const struct hosted *h, uint32_t owner, const char *id)
{
	uint32_t n = h->n_ended < STATE_ENDED ? h->n_ended : STATE_ENDED;
	for (const struct generation *g = h->server->generations; g; g = g->next)
		if (g->n_samples && g->hosted == h && g->owner == owner && strcmp(g->id, id) == 0)
			return g->samples[0].engine_id;
	for (uint32_t k = 1; k <= n; k++) {
		const struct ended_generation *e = &h->ended[(h->n_ended - k) % STATE_ENDED];
		if (e->owner == owner && strcmp(e->id, id) == 0)
			return e->engine_id;
	}
	return 0;
}

/* ---- to the thread and back ---- */

enum hokku_code gen_state_submit(struct generation *g)
{
	struct server *s = g->server;
	const struct gen_request *r = &g->job.request;
	struct request_error *err = &g->job.err;
	uint64_t request = r->id[0] ? find_request(g->hosted, g->owner, r->id) : 0;
	if (g->api == &api_slot_save) {
		slots_of_path(g->client, &g->slot);
		request = slots_find(g->hosted, g->owner, g->slot);
		if (!request)
			return err_set(&err->error, HOKKU_NOT_FOUND,
				       "slot %" PRIu32
				       " has no request that runs, nor among the last %d that ended",
				       g->slot, STATE_ENDED);
	}
	if (r->id[0] && !request) {
		snprintf(err->field, sizeof err->field, "id");
		return err_set(&err->error, HOKKU_NOT_FOUND,
			       "there is no request \"%s\" that runs, nor among the last %d that ended",
			       r->id, STATE_ENDED);
	}
	struct states_job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the request");
	job->owner = g;
	job->save = g->api->does == API_SAVES;
	memcpy(job->name, r->name, sizeof job->name);
	name_folder(g, job->folder);
	job->request = request;
	job->priority = r->priority;
	job->key = g->owner;
	job->cache_salt = g->job.request.cache_salt;
	g->job.request.cache_salt = (struct strbuf){0};
	job->ids = g->job.ids;
	g->job.ids = (struct tok_ids){0};
	g->state = job;
	g->n_reserved = (uint32_t)job->ids.n; /* given back where nothing comes of it */
	allowance_use(&s->allowances[g->owner], clock_ns(), g->n_reserved);
	if (states_submit(g->hosted->states, job))
		return HOKKU_OK;
	return err_set(&err->error, HOKKU_OVERLOADED,
		       "%d states wait to be saved or restored; try again later", STATES_MAX_WAITING);
}

static void reply(struct generation *g, const struct states_job *job)
{
	struct strbuf body = {0};
	struct http_request *client = g->client;
	const char *field = job->rc == HOKKU_NOT_FOUND && job->save ? "id" : NULL;
	if (!client)
		return;
	bool of_slot = g->api == &api_slot_save || g->api == &api_slot_restore;
	if (!job->save && (job->rc == HOKKU_NOT_FOUND || job->rc == HOKKU_INVALID_REQUEST))
		field = of_slot ? "filename" : "name";
	else if (of_slot)
		field = NULL;
	if (job->rc) {
		gen_answer_error(g, job->rc, job->err.message, field);
		return;
	}
	if (of_slot)
		slots_of_path(client, &g->slot);
	g->client = NULL;
	http_set_user(client, NULL);
	if (of_slot)
		slots_answer(&body, job, g->slot);
	else
		states_answer(&body, job);
	reply_json(client, 200, &body);
	strbuf_free(&body);
}

void gen_take_states(struct server *s)
{
	for (struct hosted *h = s->hosted; h; h = h->next) {
		struct states_job *job = h->states ? states_take_done(h->states) : NULL;
		for (struct states_job *next; job; job = next) {
			struct generation *g = job->owner;
			next = job->next;
			g->started = !job->rc;
			reply(g, job);
			gen_free(g);
		}
	}
}
