/* POST /models/load and /models/unload, as llama-server has them where it serves several models. */
#include <stdio.h>
#include <stdlib.h>

#include "server/field.h"
#include "server/gate.h"
#include "server/generate.h"
#include "server/hosting.h"
#include "server/llama.h"
#include "server/reply.h"

static enum hokku_code check_named(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return r->model ? HOKKU_OK : bad(err, "model", "is required; GET /models lists what there is");
}

static enum hokku_code tell_done(const struct request_told *told, struct strbuf *out,
				 struct request_error *err)
{
	(void)told;
	(void)err;
	strbuf_add_c(out, "{\"success\":true}\n");
	return HOKKU_OK;
}

static const struct field named_fields[] = {{"model", field_model}, {NULL, NULL}};
static const struct request_form request_named = {.strict = true,
						  .no_sampling = true,
						  .untokenized = true,
						  .fields = named_fields,
						  .check = check_named,
						  .tell = tell_done};

const struct api api_models_load = {.does = API_TELLS, .form = &request_named, .error = llama_error_body};
const struct api api_models_unload = {.does = API_TELLS, .form = &request_named, .error = llama_error_body};

/* True: it was answered that there is the one model alone. */
static bool answer_only(const struct server *s, struct http_request *r)
{
	if (!s->shelf)
		reply_error(
			r, HOKKU_INVALID_REQUEST, 400,
			"this server has the one model that it was started with, which stays; start it with "
			"--models-dir DIR, or several files, for models that come and go",
			NULL);
	return !s->shelf;
}

void hosting_load_route(struct server *s, struct http_request *r)
{
	if (!answer_only(s, r))
		gen_begin(s, &api_models_load, r);
}

/* What is in memory goes once its requests are over; NULL: it was answered why not. */
static enum hokku_code let_go(struct server *s, uint32_t owner, struct str body, struct request_error *err)
{
	struct gen_request q = {0};
	struct hosted *h = NULL;
	enum hokku_code rc = request_parse(body, &request_named, NULL, &q, err);
	if (!rc && !(h = hosting_find(s, owner, q.model, &err->error))) {
		rc = err->error.code;
		snprintf(err->field, sizeof err->field, "model");
	}
	if (h && h->state != REGISTRY_LOADED && h->state != REGISTRY_LOADING)
		rc = bad(err, "model", "'%.200s' is not in memory: it is %s", h->file.name,
			 registry_state_name(h->state));
	else if (h)
		h->closed = true;
	request_free(&q);
	return rc;
}

void hosting_unload_route(struct server *s, struct http_request *r)
{
	struct request_error err = {.field = ""};
	struct strbuf out = {0};
	size_t n = 0;
	if (answer_only(s, r))
		return;
	char *body = http_take_body(r, &n);
	enum hokku_code rc = !body || n > REQUEST_MAX_SMALL_BODY
				     ? bad(&err, "", "the body has %zu bytes; %d are allowed here", n,
					   REQUEST_MAX_SMALL_BODY)
				     : let_go(s, owner_of(s, r), (struct str){body, n}, &err);
	free(body);
	if (rc) {
		reply_error(r, rc, hokku_code_http(rc), err.error.message, err.field);
		return;
	}
	tell_done(NULL, &out, NULL);
	reply_json(r, 200, &out);
	strbuf_free(&out);
	hosting_go_on(s);
}
