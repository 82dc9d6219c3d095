/*
 * A model that the server has, and all that is one model's: its engine, the threads that know its vocabulary
 * and its states, what its engine called requests that have ended. All of it belongs to the loop's thread.
 */
#ifndef SERVER_HOSTED_H
#define SERVER_HOSTED_H

#include "server/metrics.h"
#include "server/prepare.h"
#include "server/states.h"

struct http_request;
struct server;

/* What the engine calls a request that has ended, for states. */
struct ended_generation {
	char id[REQUEST_MAX_ID_BYTES + 1];
	uint32_t owner;
	uint32_t slot;
	uint64_t engine_id;
};

struct hosted {
	struct server *server;
	struct hosted *next;
	const char *model;     /* as answers name it; NULL until it is loaded: hosted_model */
	struct engine *engine; /* NULL: it is not in memory, nor on its way */
	struct prepare *prepare;
	struct states *states;                      /* NULL: there is no --state-dir */
	struct ended_generation ended[STATE_ENDED]; /* the latest, by n_ended */
	uint32_t n_ended;
	struct metrics_times times;  /* of all requests for it since the server began */
	bool device_told, loss_told; /* the log has a line about the device, about its loss */
	struct watchdog watchdog;    /* over the engine's thread */
	bool stuck_told;
};

/* Begins to load the model, and starts the threads that go with it. What there is of it is hosted_close's to
 * end, whatever the result. */
enum hokku_code hosted_open(struct hosted *h, struct hokku_error *err);

/* Ends its threads and its engine; nothing of a request may be with one any more, but shapes, which no
 * prepare_job may hold then. */
void hosted_close(struct hosted *h);

/* The name that answers have; "" until it is known. */
const char *hosted_model(struct hosted *h);

/* The model that a request without a body is about; NULL: it was answered that there is none such. */
struct hosted *hosted_of(struct server *s, struct http_request *r);

/* Writes to the log, each once: which device it is, that it is lost. */
void hosted_tell(struct hosted *h, const struct engine_state *state);

#endif
