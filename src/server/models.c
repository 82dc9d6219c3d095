#include "server/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "server/answer.h"
#include "server/reply.h"

/* The served model's name; NULL: it was answered that there is none yet. */
static const char *served_model(struct server *s, struct http_request *r)
{
	struct engine_state state;
	engine_get_state(s->engine, &state);
	if (state.info.name)
		return state.info.name;
	reply_error(r, HOKKU_NOT_READY, 503,
		    "the model is still being loaded; GET /health tells how far it is", NULL);
	return NULL;
}

/* created: when this server began to serve it. */
static void add_model(struct strbuf *b, const struct server *s, const char *name)
{
	int64_t created = (int64_t)time(NULL) - (int64_t)(clock_ms_since(s->started_ns) / 1000);
	strbuf_add_c(b, "{\"id\":");
	answer_text(b, name);
	strbuf_addf(b, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"hokku\"}", created);
}

void models_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	const char *name = served_model(s, r);
	if (!name)
		return;
	strbuf_add_c(&b, "{\"object\":\"list\",\"data\":[");
	add_model(&b, s, name);
	strbuf_add_c(&b, "]}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* Is the path's text, percent-encoded as clients send it or not, this name? */
static bool is_name(const char *path, const char *name)
{
	for (; *path; path++, name++) {
		int c = (unsigned char)*path, high, low;
		if (c == '%' && (high = hex_digit(path[1])) >= 0 && (low = hex_digit(path[2])) >= 0) {
			c = high * 16 + low;
			path += 2;
		}
		if (c != (unsigned char)*name || c == 0)
			return false;
	}
	return *name == '\0';
}

void model_route(struct server *s, struct http_request *r)
{
	const char *asked = http_get_path(r) + strlen("/v1/models/"), *name = served_model(s, r);
	struct strbuf b = {0};
	char text[512], quoted[160], served[160];
	if (!name)
		return;
	if (!is_name(asked, name)) {
		snprintf(text, sizeof text, "there is no model %s; this server has %s",
			 str_quote(str_c(asked), quoted, sizeof quoted),
			 str_quote(str_c(name), served, sizeof served));
		reply_error(r, HOKKU_NOT_FOUND, 404, text, "model");
		return;
	}
	add_model(&b, s, name);
	strbuf_add_c(&b, "\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}
