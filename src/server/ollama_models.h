/* GET /api/tags, /api/ps and /api/version: what is served, as Ollama tells it. */
#ifndef SERVER_OLLAMA_MODELS_H
#define SERVER_OLLAMA_MODELS_H

#include "server/state.h"

/* GET /api/tags, /api/ps and /api/version. */
void ollama_tags_route(struct server *s, struct http_request *r);
void ollama_ps_route(struct server *s, struct http_request *r);
void ollama_version_route(struct server *s, struct http_request *r);

/* What Ollama does to models and this server does not: 501. */
void ollama_not_here_route(struct server *s, struct http_request *r);

#endif
