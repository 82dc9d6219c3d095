/* GET /health: whether the server is ready, what it serves, and its counters. */
#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H

#include "server/state.h"

/* GET /health. */
void health_route(struct server *s, struct http_request *r);

/* Looks whether a step of the engine has been under way for too long, and tells once. */
void health_watch_engines(struct server *s);

/* Whether a device is lost or a step of a model stuck: what only a restart mends. */
bool health_is_lost(const struct server *s);

#endif
