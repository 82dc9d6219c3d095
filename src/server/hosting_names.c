/* Models by the names that requests give them, as far as a key may use them. */
#include "server/hosting_internal.h"

#include <stdio.h>

#include "server/gate.h"
#include "server/peek.h"
#include "server/reply.h"

/* Names of all that are listed, or of those alone that a key may use; (SHELF_MAX_MODELS * 2) at most. */
static uint32_t take_names(const struct server *s, uint32_t owner, bool all, const char **names,
			   struct hosted **models)
{
	uint32_t n = 0;
	for (struct hosted *h = s->hosted; h && n < SHELF_MAX_MODELS * 2; h = h->next) {
		if (h->file.gone || (!all && !gate_may_use(s, owner, h->file.name)))
			continue;
		names[n] = h->file.name;
		models[n++] = h;
	}
	return n;
}

struct hosted *hosting_find(const struct server *s, uint32_t owner, const char *name, struct hokku_error *err)
{
	const char *names[SHELF_MAX_MODELS * 2];
	struct hosted *models[SHELF_MAX_MODELS * 2];
	int i = model_name_find(name, names, take_names(s, owner, false, names, models), err);
	if (i >= 0)
		return models[i];
	uint32_t n = take_names(s, owner, true, names, models);
	i = model_name_find(name, names, n, NULL);
	if (i >= 0)
		gate_check_model(s, owner, names[i], err);
	return NULL;
}

void hosting_list_names(const struct server *s, uint32_t owner, struct strbuf *out)
{
	const char *names[SHELF_MAX_MODELS * 2];
	struct hosted *models[SHELF_MAX_MODELS * 2];
	model_name_list(names, take_names(s, owner, false, names, models), out);
}

struct hosted *hosting_of_query(struct server *s, struct http_request *r)
{
	struct strbuf name = {0}, list = {0};
	struct hokku_error err;
	char text[400];
	struct hosted *h = NULL;
	bool given = peek_query(http_get_query(r), "model", &name) && name.len;
	if (given)
		h = hosting_find(s, owner_of(s, r), name.ptr, &err);
	else
		hosting_list_names(s, owner_of(s, r), &list);
	if (h && h->engine && h->state == REGISTRY_LOADED) {
		strbuf_free(&name);
		return h;
	}
	if (h) {
		snprintf(text, sizeof text, "model '%.200s' is %s; POST /models/load loads it", h->file.name,
			 registry_state_name(h->state));
		reply_error(r, HOKKU_NOT_READY, 503, text, "model");
	} else if (given) {
		reply_error(r, err.code, hokku_code_http(err.code), err.message, "model");
	} else {
		snprintf(text, sizeof text,
			 "this server has several models: name one of %.280s as ?model=NAME",
			 list.ptr ? list.ptr : "those that GET /v1/models lists");
		reply_error(r, HOKKU_INVALID_REQUEST, 400, text, "model");
	}
	strbuf_free(&name);
	strbuf_free(&list);
	return NULL;
}
