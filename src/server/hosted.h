/*
 * A model that the server has, and all that is one model's: its engine, the threads that know its vocabulary
 * and its states, what its engine called requests that have ended. All of it belongs to the loop's thread.
 */
#ifndef SERVER_HOSTED_H
#define SERVER_HOSTED_H

#include <pthread.h>

#include "engine/registry.h"
#include "server/metrics.h"
#include "server/prepare.h"
#include "server/shelf.h"
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

/* An engine on its way out, with the threads that go with it: on a thread of its own, as giving back what
 * they have takes time. */
struct retiring {
	struct prepare *prepare;
	struct states *states;
	struct engine *engine;
	struct server *server;
	pthread_t thread;
	atomic_bool over;
};

/* What is there of one of several models whether it is in memory or not (hosting.h). */
struct hosted_file {
	char *name, *path;
	uint64_t print;          /* of the file that look is about, and the engine's */
	struct shelf_look *look; /* never NULL */
	struct hokku_error
		load_err; /* why it could not be loaded, although it can be read; code 0: it was not */
	bool named, gone; /* gone: it goes from the list once it is out of memory */
	/* The file has changed while it was in memory: what becomes true when it is out. */
	uint64_t next_print;
	struct shelf_look *next_look; /* NULL: it has not */
};

struct hosted {
	struct server *server;
	struct hosted *next;
	struct hosted_file file;   /* of several; name NULL: it is the only one */
	enum registry_state state; /* the same, and what follows up to failure */
	uint32_t place;
	uint64_t bytes;       /* that it takes there, or will */
	uint64_t known_bytes; /* that it has taken when it was last at known_place; 0: nobody knows yet */
	uint32_t known_place;
	uint64_t given_bytes; /* what others left it when it was last loaded; 0: nobody knows */
	uint64_t tried_bytes; /* so much was too little; 0: that never was */
	bool beside;          /* there were others then */
	/* Why it did not fit alone, code 0: it did; and what there was for it then, beside what others had.
	 * It is not tried again until there is more, its file is another one, or somebody says so. */
	struct hokku_error lack;
	uint64_t lack_bytes;
	bool device_named; /* it had to be h->device, so that others go before the CPU has to do */
	bool any_device;   /* that one cannot do the model */
	char device[16];
	uint32_t n_running; /* generations that are the engine's or the threads' */
	uint32_t n_waiting; /* those that wait until it is loaded */
	uint64_t used_ns;   /* when the last of them was over or came */
	double keep_ns;     /* it stays for so long after that; below 0: for ever */
	bool pinned;        /* as a request has asked */
	bool closed;        /* goes when it has none */
	struct retiring *retiring;
	struct hokku_error failure; /* of FAILED */
	struct engine_state past;   /* sums over its engines that are gone: counters alone */
	const char *model;          /* as answers name it; NULL until it is loaded: hosted_model */
	struct engine *engine;      /* NULL: it is not in memory, nor on its way */
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

/* The same in the background: its engine is NULL from now on, h->retiring tells when it is over. False: there
 * is no thread for it, and it was done at once. */
bool hosted_retire(struct hosted *h);

/* What an engine knows of the requests of a key. */
struct engine_limits hosted_limits(const struct server *s, uint32_t owner);

/* The name that answers have; "" until it is known. */
const char *hosted_model(struct hosted *h);

/* The model that a request is about whose body says nothing of it; NULL: it was answered that there is none
 * such, or that it is not in memory. */
struct hosted *hosted_of(struct server *s, struct http_request *r);

/* Writes to the log, each once: which device it is, that it is lost. */
void hosted_tell(struct hosted *h, const struct engine_state *state);

#endif
