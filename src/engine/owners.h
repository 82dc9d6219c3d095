/*
 * Whose requests they are: how many of each owner's are there, and whether one more is taken. Owner 0 is
 * everybody where nobody is told apart. All of it under the engine's lock but what is constant.
 */
#ifndef ENGINE_OWNERS_H
#define ENGINE_OWNERS_H

#include "engine/engine.h"

struct owner {
	struct engine_limits limits;
	uint32_t n_jobs, n_running; /* requests in all; of these those that have started */
};

struct owners {
	struct owner *all; /* (n) */
	uint32_t n;        /* constant */
	uint32_t n_there;  /* of these, beside owner 0, that are not absent */
};

/* Owners 1 to n with limits (n), and owner 0 without. False: no memory. */
bool owners_init(struct owners *o, const struct engine_limits *limits, uint32_t n);
void owners_deinit(struct owners *o);

void owners_set(struct owners *o, uint32_t owner, const struct engine_limits *limits);

/* May n more requests of an owner come? n_free: places where nobody runs. RATE_LIMITED: no, as many of its
 * own wait as may, those not counted that could run at once. */
enum hokku_code owners_check(const struct owner *o, uint32_t n, uint32_t n_free, struct hokku_error *err);

/* Places of a queue of max_queue that are an owner's own, though all others be taken: an equal share for
 * each, one at least. 0 where there is but owner 0. */
uint32_t owners_share(const struct owners *o, uint32_t max_queue);

#endif
