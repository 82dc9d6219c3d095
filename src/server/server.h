/*
 * The HTTP server: one event-loop thread that parses, validates, enqueues, and writes what the engine
 * produced. It listens before the model is loaded. docs/http.md is the manual of what it speaks.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "engine/engine.h"

enum {
	SERVER_STOP_MS = 5000,  /* from the first SIGTERM to the end of the process, at most */
	SERVER_DRAIN_MS = 4500, /* of these, running requests may finish for so long */
	SERVER_MAX_UNSENT_BYTES = 1024 * 1024,
	SERVER_MAX_READING_BYTES = 256 * 1024 * 1024, /* of requests that are not complete, all together */
};

struct server_config {
	struct engine_config engine; /* on_state and user are the server's */
	const char *host;
	uint32_t port;            /* 0: any free one */
	const char *api_key_file; /* NULL: no keys */
	uint32_t max_connections;
	uint64_t max_body_bytes;
	float idle_timeout_s;
	float read_timeout_s;
	float write_timeout_s;
	float request_timeout_s; /* 0: none */
	float keep_alive_s;
	/* Called once, when connections are accepted. */
	void (*on_listening)(const char *url);
};

/* The defaults; of engine all is zero but its queue and that KV memory grows. */
void server_defaults(struct server_config *c);

/* Serves until SIGTERM or SIGINT, which it handles while it runs (a second one ends the process at once, exit
 * code 130). What keeps it from serving (port, keys, a model that cannot be loaded) is the error. One at a
 * time. */
enum hokku_code server_run(const struct server_config *config, struct hokku_error *err);

#endif
