/* What is told of several models: their states in the form of each API. */
#ifndef SERVER_HOSTING_LISTS_H
#define SERVER_HOSTING_LISTS_H

#include "server/hosting.h"

void hosting_models_route(struct server *s, struct http_request *r); /* GET /v1/models */
void hosting_model_route(struct server *s, struct http_request *r);  /* GET /v1/models/{id} */
void hosting_tags_route(struct server *s, struct http_request *r);   /* GET /api/tags */
void hosting_ps_route(struct server *s, struct http_request *r);     /* GET /api/ps */

/* ,"models":[..],"memory":[..] of GET /health, which asks for no key: of the models those that the key of r
 * may use, and none where a key is wanted and there is none. Returns a model of all that answers nothing
 * although it is there; NULL: none such. */
const struct hosted *hosting_health(struct server *s, const struct http_request *r, struct strbuf *b);

#endif
