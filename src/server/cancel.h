/* POST /v1/cancel, and cancels that come before what they are for. */
#ifndef SERVER_CANCEL_H
#define SERVER_CANCEL_H

#include "server/state.h"

/* POST /v1/cancel. */
void cancel_route(struct server *s, struct http_request *r);

/* A request whose body is still being read has no id yet: a cancel of id waits for it. OVERLOADED: too many
 * wait, of this key or of all; nothing is forgotten for another. */
enum hokku_code cancel_remember(struct server *s, uint32_t owner, const char *id, struct hokku_error *err);

/* Has a cancel of its id come since g arrived, while its body was being read? */
bool cancel_came_early(const struct server *s, const struct generation *g);

/* No body is being read any more. */
void cancel_forget_early(struct server *s);

#endif
