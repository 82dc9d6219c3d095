/*
 * The HTTP server: one event-loop thread that parses, validates, enqueues, and writes what the engine
 * produced. It listens before the model is loaded. docs/http.md is the manual of what it speaks.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/config.h"

/* The defaults; of engine all is zero but its queue and that KV memory grows. */
void server_defaults(struct server_config *c);

/* Serves until SIGTERM or SIGINT, which it handles while it runs (a second one ends the process at once, exit
 * code 130). What keeps it from serving (port, keys, a model that cannot be loaded) is the error. One at a
 * time. */
enum hokku_code server_run(const struct server_config *config, struct hokku_error *err);

#endif
