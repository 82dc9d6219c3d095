/*
 * Which of several models are in memory: pure policy. It is told what each model takes and has to do, and
 * says what is to be done next; it has no clock, opens nothing and frees nothing, so that a test or a fuzzer
 * can drive it.
 *
 * One ledger stands above all models: of the host and of each device there are so many bytes, and no model is
 * loaded that would not fit beside those that are there. For one that waits others go, the one that was used
 * longest ago first. None goes while it has requests: it is closed instead, its later requests wait with
 * the others, and it goes when those that it has are over. Who waited first is served first, so that no model
 * keeps another out for ever. Models are never counted.
 *
 * One model is loaded at a time: what it has really taken is known before the next is decided on.
 */
#ifndef ENGINE_REGISTRY_H
#define ENGINE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	REGISTRY_HOST = 0,    /* the place that is no device; */
	REGISTRY_PLACES = 17, /* device N is place N + 1 */
};
#define REGISTRY_NEVER UINT64_MAX

enum registry_state {
	REGISTRY_UNLOADED,
	REGISTRY_LOADING,
	REGISTRY_LOADED,
	REGISTRY_UNLOADING,
	REGISTRY_FAILED, /* it cannot be loaded as it is */
	REGISTRY_N_STATES
};
const char *registry_state_name(enum registry_state state); /* "unloaded", "loading" ... */

struct registry_model {
	enum registry_state state;
	uint32_t place;         /* where it is, or will be */
	uint64_t bytes;         /* that it has there, or will need */
	uint32_t n_running;     /* requests that it has: it stays while there are any */
	uint32_t n_waiting;     /* requests that wait until it is loaded */
	uint64_t waiting_since; /* the order of arrival of the first of these */
	uint64_t used_ns;       /* when it was last used */
	uint64_t expires_ns;    /* it goes then if it has nothing to do; REGISTRY_NEVER */
	bool pinned;            /* a request said that it stays: it does not go for others */
	bool closed;            /* takes no more requests, and goes when it has none */
};

struct registry {
	const struct registry_model *models; /* (n) */
	uint32_t n;
	uint64_t capacity[REGISTRY_PLACES]; /* bytes; UINT64_MAX: nobody knows, and the device itself refuses
					     */
};

enum registry_act {
	REGISTRY_NOTHING, /* until something has changed */
	REGISTRY_LOAD,
	REGISTRY_UNLOAD, /* has no requests */
	REGISTRY_CLOSE,  /* has some: closed is to be set */
	REGISTRY_REFUSE, /* those that wait for it: it does not fit */
};

struct registry_step {
	enum registry_act act;
	uint32_t model;
};

/* The next thing to do; to be asked again once it is done, until NOTHING. Every act changes what is told in
 * such a way that this ends. */
struct registry_step registry_next(const struct registry *r, uint64_t now_ns);

/* Bytes that are taken at a place: of all models that are there, on their way there or on their way out. */
uint64_t registry_used(const struct registry *r, uint32_t place);

/* The models that would have to go for `model` to fit, which no request of its own may make go: those that
 * are pinned at its place, in their order, into out (cap). Returns how many; 0: it would not fit alone. */
uint32_t registry_in_the_way(const struct registry *r, uint32_t model, uint32_t *out, uint32_t cap);

#endif
