/*
 * Slots, as llama-server numbers its places for requests. Here a number is a name alone: of as many as run at
 * a time each has one, the one that it asked for or the least that is free, and its state is saved by it.
 */
#ifndef SERVER_SLOTS_H
#define SERVER_SLOTS_H

#include "server/state.h"

/* That the slot which a request asks for is one of those that there are. */
enum hokku_code slots_check(const struct generation *g, struct request_error *err);

/* For a request that begins. */
uint32_t slots_pick(const struct generation *g);

/* Its latest request that began in a slot: what the engine calls it; 0: there is none that is known. */
uint64_t slots_find(const struct hosted *h, uint32_t owner, uint32_t slot);

void slots_route(struct server *s, struct http_request *r);        /* GET /slots */
void slots_action_route(struct server *s, struct http_request *r); /* POST /slots/ID?action=... */

/* The slot that the path of such a request names; false: it names none. */
bool slots_of_path(const struct http_request *r, uint32_t *out);

/* What is answered to one that was done. */
void slots_answer(struct strbuf *b, const struct states_job *job, uint32_t slot);

extern const struct api api_slot_save, api_slot_restore;

#endif
