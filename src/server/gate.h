/*
 * Who may do what: whose page and which host a request comes from, whose key it shows, which routes and
 * models that key may use. Hosts are hosts.h's, origins cors.h's, keys keys.h's; here they meet a request.
 */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include "server/state.h"

/* What a route wants. */
enum gate {
	GATE_KEY,  /* a key, where there are any */
	GATE_OPEN, /* nothing */
	GATE_ADMIN /* an administrator's key, where there is one; else as GATE_KEY */
};

/* Of every request, first: finds whose key it shows (owner_of), says with its answer what pages of other
 * origins may do with that. */
void gate_begin(const struct server *s, struct http_request *r);

/* The same of OPTIONS, where path takes these methods ("GET, HEAD, OPTIONS"). True: a page asks whether it
 * may send another request. */
bool gate_tell_methods(const struct server *s, struct http_request *r, const char *methods);

/* Finds whose key r shows (owner_of). True: it was refused and answered, for its host or the page it comes
 * from. */
bool gate_refuses_page(struct server *s, struct http_request *r);

/* True: it was refused and answered, for its key. */
bool gate_refuses_key(struct server *s, struct http_request *r, enum gate wanted);

/* Whether r shows a key that is enough for the routes of users, or there is no need to. */
bool gate_has_key(const struct server *s, const struct http_request *r);

/* Whether owner may use the model of this name. */
bool gate_may_use(const struct server *s, uint32_t owner, const char *model);

/* FORBIDDEN with the reason where owner may not. */
enum hokku_code gate_check_model(const struct server *s, uint32_t owner, const char *model,
				 struct hokku_error *err);

#endif
