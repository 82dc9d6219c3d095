/* The table of routes, and what is answered before one has the request. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/state.h"

/* Answers r, now or later: by its route, or with why none has it (no such path, no such method, a wrong key,
 * a foreign host or page). */
void routes_answer(struct server *s, struct http_request *r);

#endif
