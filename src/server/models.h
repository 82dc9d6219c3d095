/* GET /v1/models and GET /v1/models/{id}: what a client may name as model, in OpenAI's form. */
#ifndef SERVER_MODELS_H
#define SERVER_MODELS_H

#include "server/state.h"

/* GET /v1/models; then GET /v1/models/{id}. */
void models_route(struct server *s, struct http_request *r);
void embeddings_route(struct server *s, struct http_request *r); /* POST /v1/embeddings */
void model_route(struct server *s, struct http_request *r);

#endif
