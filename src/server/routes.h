/* The table of routes, and what is answered before one has the request. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/gate.h"

/* Answers r, now or later: by its route, or with why none has it (no such path, no such method, a wrong key,
 * a foreign host or page). */
void routes_answer(struct server *s, struct http_request *r);

/* Whose form errors have at a path as it was asked for, with --api-prefix before it. */
const struct api *routes_api_asked(const struct server *s, const char *path);

/* A row of the table. */
struct route_told {
	const char *method, *path, *text;
	enum gate gate;
	const struct request_form *form; /* of the body that it reads; NULL: it reads none of a form */
};

/* Rows there are. */
uint32_t routes_count(void);

/* Row number i; false: there are no more. */
bool routes_tell(size_t i, struct route_told *out);

#endif
