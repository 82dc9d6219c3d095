#include "server/cancel.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/generate.h"
#include "server/reply.h"

bool cancel_came_early(const struct server *s, const struct generation *g)
{
	for (uint32_t i = 0; i < s->n_early; i++)
		if (s->early[i].owner == g->owner && s->early[i].sequence > g->sequence &&
		    strcmp(s->early[i].id, g->id) == 0)
			return true;
	return false;
}

void cancel_forget_early(struct server *s)
{
	free(s->early);
	s->early = NULL;
	s->n_early = s->cap_early = 0;
}

/* Room for one more; false: there is none, for this key or for all. */
static bool make_room(struct server *s, uint32_t owner)
{
	uint32_t n_own = 0;
	for (uint32_t i = 0; i < s->n_early; i++)
		n_own += s->early[i].owner == owner;
	if (s->n_early == MAX_EARLY_CANCELS || n_own == MAX_EARLY_CANCELS_OWNER)
		return false;
	if (s->n_early < s->cap_early)
		return true;
	uint32_t cap = s->cap_early ? 2 * s->cap_early : 64;
	struct early_cancel *early = realloc(s->early, cap * sizeof *early);
	if (!early)
		return false;
	s->early = early;
	s->cap_early = cap;
	return true;
}

enum hokku_code cancel_remember(struct server *s, uint32_t owner, const char *id, struct hokku_error *err)
{
	if (s->n_preparing + s->n_parked == 0)
		return HOKKU_OK;
	struct early_cancel *e = s->early, *end = e + s->n_early;
	while (e < end && (e->owner != owner || strcmp(e->id, id) != 0))
		e++;
	if (e == end) {
		if (!make_room(s, owner))
			return err_set(err, HOKKU_OVERLOADED,
				       "no request has the id %s yet, and %u cancels wait for those that are "
				       "being read; try again later",
				       id, s->n_early);
		e = &s->early[s->n_early++];
		e->owner = owner;
		snprintf(e->id, sizeof e->id, "%s", id);
	}
	e->sequence = ++s->sequence;
	return HOKKU_OK;
}

static void answer(struct http_request *r, const char *id, bool found, const struct strbuf *warnings)
{
	struct strbuf body = {0};
	strbuf_addf(&body, "{\"id\":\"%s\",\"found\":%s", id, found ? "true" : "false");
	if (warnings->len)
		strbuf_addf(&body, ",\"warnings\":[%s]", warnings->ptr);
	strbuf_add_c(&body, "}\n");
	reply_json(r, 202, &body);
	strbuf_free(&body);
}

void cancel_route(struct server *s, struct http_request *r)
{
	struct request_error err = {.field = ""};
	struct strbuf warnings = {0};
	char id[REQUEST_MAX_ID_BYTES + 1] = "", text[96];
	uint32_t owner = owner_of(s, r);
	size_t n = 0;
	char *body = http_take_body(r, &n);
	if (!body || n > REQUEST_MAX_SMALL_BODY) {
		snprintf(text, sizeof text, "the body has %zu bytes; %d are allowed here", n,
			 REQUEST_MAX_SMALL_BODY);
		reply_error(r, HOKKU_INVALID_REQUEST, 413, text, NULL);
		free(body);
		return;
	}
	enum hokku_code rc = request_parse_cancel((struct str){body, n}, id, &warnings, &err);
	free(body);
	bool found = !rc && gen_cancel(s, owner, id);
	if (!rc && !found)
		rc = cancel_remember(s, owner, id, &err.error);
	if (rc)
		reply_error(r, rc, hokku_code_http(rc), err.error.message, err.field);
	else
		answer(r, id, found, &warnings);
	strbuf_free(&warnings);
}
