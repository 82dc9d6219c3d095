#include "server/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "server/access.h"
#include "server/answer.h"
#include "server/cancel.h"
#include "server/gate.h"
#include "server/generate.h"
#include "server/health.h"
#include "server/hosting.h"
#include "server/llama.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/ollama.h"
#include "server/ollama_models.h"
#include "server/page.h"
#include "server/reply.h"
#include "server/responses.h"
#include "server/slots.h"

static void root_route(struct server *s, struct http_request *r);

#define POOLING "refused: for models that pool"

static const struct route {
	enum http_method method;
	enum gate gate;
	const char *path;
	void (*handle)(struct server *s, struct http_request *r); /* NULL: a request for api */
	const struct api *api; /* whose form errors of this path have; NULL: hokku's own */
	const char *text;
} routes[] = {
	{HTTP_GET, GATE_OPEN, "/", root_route, NULL, "to a browser a page to talk in, else this list"},
	{HTTP_GET, GATE_OPEN, "/health", health_route, NULL,
	 "whether the server is ready, and what it serves"},
	{HTTP_GET, GATE_KEY, "/metrics", metrics_route, NULL,
	 "counters and histograms, as Prometheus reads them"},
	{HTTP_POST, GATE_KEY, "/v1/generate", NULL, &api_native, "an answer to a prompt, streamed or whole"},
	{HTTP_POST, GATE_KEY, "/v1/cancel", cancel_route, NULL, "ends a request by its id"},
	{HTTP_POST, GATE_ADMIN, "/v1/state/save", state_save_route, &api_state_save,
	 "puts what is computed of a request into a file"},
	{HTTP_POST, GATE_ADMIN, "/v1/state/restore", state_restore_route, &api_state_restore,
	 "and back into memory"},
	{HTTP_POST, GATE_KEY, "/v1/chat/completions", NULL, &api_openai_chat,
	 "OpenAI's: an answer to a conversation"},
	{HTTP_POST, GATE_KEY, "/v1/responses", NULL, &api_openai_responses,
	 "OpenAI's: an answer to a conversation that may be gone on from"},
	{HTTP_GET, GATE_KEY, "/v1/responses/*", response_route, &api_openai_responses,
	 "OpenAI's: one of these by its id"},
	{HTTP_DELETE, GATE_KEY, "/v1/responses/*", response_delete_route, &api_openai_responses,
	 "OpenAI's: forgets it"},
	{HTTP_POST, GATE_KEY, "/v1/completions", NULL, &api_completion,
	 "OpenAI's: what comes after texts, or in their gaps"},
	{HTTP_POST, GATE_KEY, "/v1/messages", NULL, &api_anthropic,
	 "Anthropic's: an answer to a conversation"},
	{HTTP_POST, GATE_KEY, "/v1/messages/count_tokens", NULL, &api_anthropic_count,
	 "Anthropic's: how many tokens its prompt has"},
	{HTTP_POST, GATE_KEY, "/v1/embeddings", embeddings_route, &api_openai_chat, POOLING},
	{HTTP_GET, GATE_KEY, "/v1/models", models_route, &api_openai_chat, "OpenAI's: what is served"},
	{HTTP_GET, GATE_KEY, "/v1/models/*", model_route, &api_openai_chat,
	 "OpenAI's: one of these by its name"},
	{HTTP_GET, GATE_OPEN, "/v1/health", health_route, NULL, "llama-server's: as /health"},
	{HTTP_GET, GATE_KEY, "/models", models_route, &api_openai_chat, "llama-server's: as /v1/models"},
	{HTTP_POST, GATE_ADMIN, "/models/load", hosting_load_route, &api_models_load,
	 "llama-server's: brings one of several into memory"},
	{HTTP_POST, GATE_ADMIN, "/models/unload", hosting_unload_route, &api_models_unload,
	 "llama-server's: lets it go when its requests are over"},
	{HTTP_POST, GATE_KEY, "/completion", NULL, &api_llama_completion,
	 "llama-server's: an answer to a prompt"},
	{HTTP_POST, GATE_KEY, "/completions", NULL, &api_llama_completion, "llama-server's: the same"},
	{HTTP_POST, GATE_KEY, "/infill", llama_infill_route, &api_llama_infill,
	 "llama-server's: what stands in a gap"},
	{HTTP_GET, GATE_KEY, "/slots", slots_route, &api_llama, "llama-server's: what runs"},
	{HTTP_POST, GATE_ADMIN, "/slots/*", slots_action_route, &api_slot_save,
	 "llama-server's: a slot's state goes into a file, and back"},
	{HTTP_POST, GATE_KEY, "/tokenize", NULL, &api_llama_tokenize, "llama-server's: a text's token ids"},
	{HTTP_POST, GATE_KEY, "/detokenize", NULL, &api_llama_detokenize,
	 "llama-server's: the text of token ids"},
	{HTTP_POST, GATE_KEY, "/apply-template", NULL, &api_llama_template,
	 "llama-server's: the prompt that a conversation becomes"},
	{HTTP_POST, GATE_KEY, "/v1/chat/completions/input_tokens", NULL, &api_llama_count,
	 "llama-server's: how many tokens its prompt has"},
	{HTTP_POST, GATE_KEY, "/chat/completions/input_tokens", NULL, &api_llama_count,
	 "llama-server's: the same"},
	{HTTP_POST, GATE_KEY, "/chat/completions", NULL, &api_openai_chat,
	 "llama-server's: as /v1/chat/completions"},
	{HTTP_POST, GATE_KEY, "/responses", NULL, &api_openai_responses, "llama-server's: as /v1/responses"},
	{HTTP_GET, GATE_KEY, "/props", llama_props_route, &api_llama,
	 "llama-server's: the model, its template, defaults"},
	{HTTP_POST, GATE_ADMIN, "/props", llama_set_props_route, &api_llama,
	 "refused: nothing is changed for all"},
	{HTTP_GET, GATE_KEY, "/lora-adapters", llama_adapters_route, &api_llama,
	 "llama-server's: there are none"},
	{HTTP_POST, GATE_KEY, "/embedding", llama_pooling_route, &api_llama, POOLING},
	{HTTP_POST, GATE_KEY, "/embeddings", llama_pooling_route, &api_llama, POOLING},
	{HTTP_POST, GATE_KEY, "/rerank", llama_pooling_route, &api_llama, POOLING},
	{HTTP_POST, GATE_KEY, "/reranking", llama_pooling_route, &api_llama, POOLING},
	{HTTP_POST, GATE_KEY, "/v1/rerank", llama_pooling_route, &api_llama, POOLING},
	{HTTP_POST, GATE_KEY, "/v1/reranking", llama_pooling_route, &api_llama, POOLING},
	{HTTP_POST, GATE_KEY, "/api/chat", NULL, &api_ollama_chat, "Ollama's: an answer to a conversation"},
	{HTTP_POST, GATE_KEY, "/api/generate", NULL, &api_ollama_generate, "Ollama's: an answer to a prompt"},
	{HTTP_POST, GATE_KEY, "/api/show", NULL, &api_ollama_show, "Ollama's: what the model's file says"},
	{HTTP_POST, GATE_KEY, "/api/embed", NULL, &api_ollama_embed, "Ollama's: for models that pool"},
	{HTTP_POST, GATE_KEY, "/api/embeddings", NULL, &api_ollama_embeddings,
	 "Ollama's: for models that pool"},
	{HTTP_GET, GATE_KEY, "/api/tags", ollama_tags_route, &api_ollama_chat, "Ollama's: what is served"},
	{HTTP_GET, GATE_KEY, "/api/ps", ollama_ps_route, &api_ollama_chat,
	 "Ollama's: the same, and what it takes"},
	{HTTP_GET, GATE_KEY, "/api/version", ollama_version_route, &api_ollama_chat,
	 "Ollama's: this server's version"},
	{HTTP_POST, GATE_ADMIN, "/api/pull", ollama_not_here_route, &api_ollama_chat,
	 "Ollama's: not done, 501"},
	{HTTP_POST, GATE_ADMIN, "/api/push", ollama_not_here_route, &api_ollama_chat,
	 "Ollama's: not done, 501"},
	{HTTP_POST, GATE_ADMIN, "/api/create", ollama_not_here_route, &api_ollama_chat,
	 "Ollama's: not done, 501"},
	{HTTP_POST, GATE_ADMIN, "/api/copy", ollama_not_here_route, &api_ollama_chat,
	 "Ollama's: not done, 501"},
	{HTTP_POST, GATE_ADMIN, "/api/blobs/*", ollama_not_here_route, &api_ollama_chat,
	 "Ollama's: not done, 501"},
	{HTTP_DELETE, GATE_ADMIN, "/api/delete", ollama_not_here_route, &api_ollama_chat,
	 "Ollama's: not done, 501"},
};
enum { N_ROUTES = sizeof routes / sizeof *routes };

static const char *method_text(enum http_method m)
{
	return m == HTTP_GET ? "GET" : m == HTTP_DELETE ? "DELETE" : "POST";
}

bool routes_tell(size_t i, struct route_told *out)
{
	if (i >= N_ROUTES)
		return false;
	const struct route *r = &routes[i];
	bool reads = r->method == HTTP_POST && r->api && r->handle != embeddings_route &&
		     r->handle != ollama_not_here_route;
	*out = (struct route_told){method_text(r->method), r->path, r->text, r->gate,
				   reads ? r->api->form : NULL};
	return true;
}

uint32_t routes_count(void)
{
	return N_ROUTES;
}

static void root_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	const char *prefix = s->config.api_prefix ? s->config.api_prefix : "";
	http_add_header(r, "Vary", "Accept, Accept-Encoding");
	if (page_is_wanted(http_get_header(r, "Accept"))) {
		page_reply(&s->page, r);
		return;
	}
	if (gate_refuses_key(s, r, GATE_KEY))
		return;
	strbuf_add_c(&b, "{\"name\":\"hokku\"");
	strbuf_addf(&b, ",\"version\":\"%s\"", hokku_version());
	strbuf_add_c(&b, ",\"routes\":{");
	for (size_t i = 0; i < N_ROUTES; i++) {
		strbuf_addf(&b, "%s\"%s %s%s\":", i ? "," : "", method_text(routes[i].method), prefix,
			    routes[i].path);
		strbuf_add_json(&b, routes[i].text, strlen(routes[i].text));
	}
	strbuf_add_c(&b, "}}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* The star that a route's path ends with is one part of a path, but of a model's name all of the rest: that
 * may have strokes in it. */
static bool has_path(const struct route *route, const char *path)
{
	size_t n = strlen(route->path);
	if (route->path[n - 1] != '*')
		return strcmp(route->path, path) == 0;
	return strncmp(route->path, path, n - 1) == 0 && path[n - 1] &&
	       (route->handle == model_route || !strchr(path + n - 1, '/'));
}

/* "GET, HEAD, OPTIONS" for path; false if no route has it. */
static bool list_allowed(const char *path, struct strbuf *out)
{
	bool any = false;
	for (size_t i = 0; i < N_ROUTES; i++) {
		if (!has_path(&routes[i], path))
			continue;
		any = true;
		strbuf_addf(out, "%s, ",
			    routes[i].method == HTTP_GET ? "GET, HEAD" : method_text(routes[i].method));
	}
	strbuf_add_c(out, "OPTIONS");
	return any;
}

/* The path that a base URL too long or too short by a stroke was meant for: without empty parts, and with one
 * /v1 where there are several. */
static const char *tidy_path(const char *path, char out[128])
{
	size_t n = 0;
	for (; *path && n < 127; path++)
		if (*path != '/' || (path[1] && path[1] != '/'))
			out[n++] = *path;
	out[n] = '\0';
	while (strncmp(out, "/v1/v1/", 7) == 0)
		memmove(out, out + 3, strlen(out + 3) + 1);
	return out;
}

static bool is_route(const char *path)
{
	for (size_t i = 0; i < N_ROUTES; i++)
		if (has_path(&routes[i], path))
			return true;
	return false;
}

static void answer_no_route(struct server *s, struct http_request *r)
{
	const char *path = http_get_path(r);
	char quoted[128], text[512], tidy[128];
	struct strbuf allowed = {0};
	bool known = strcmp(path, "*") == 0; /* OPTIONS *: the server as a whole */
	if (known)
		strbuf_add_c(&allowed, "GET, HEAD, POST, DELETE, OPTIONS");
	else
		known = list_allowed(path, &allowed);
	if (known)
		http_add_header(r, "Allow", allowed.ptr);
	if (known && http_get_method(r) == HTTP_OPTIONS) {
		/* To a page's question some browsers want 200. */
		bool asked = gate_tell_methods(s, r, allowed.ptr);
		http_reply(r, asked ? 200 : 204, NULL, (struct str){"", 0});
	} else if (known) {
		snprintf(text, sizeof text, "%.200s takes %s, not %.40s", path, allowed.ptr,
			 http_get_method_name(r));
		reply_error(r, HOKKU_INVALID_REQUEST, 405, text, NULL);
	} else {
		const char *paths[N_ROUTES + 1] = {0};
		for (size_t i = 0; i < N_ROUTES; i++)
			paths[i] = routes[i].path;
		const char *near = is_route(tidy_path(path, tidy)) ? tidy : str_nearest(path, paths);
		const char *prefix = s->config.api_prefix ? s->config.api_prefix : "";
		str_quote(str_c(path), quoted, sizeof quoted);
		if (near)
			snprintf(text, sizeof text, "there is no path %s; did you mean %s%s?", quoted, prefix,
				 near);
		else
			snprintf(text, sizeof text, "there is no path %s; GET %s/ lists them", quoted,
				 prefix);
		reply_error(r, HOKKU_NOT_FOUND, 404, text, NULL);
	}
	strbuf_free(&allowed);
}

/* Of a path that no route has: of the first whose family it is of ("/v1/chat/nowhere"). */
const struct api *api_of_path(const char *path)
{
	static const struct {
		const char *prefix;
		const struct api *api;
	} families[] = {
		{"/v1/chat/", &api_openai_chat},
		{"/chat/", &api_openai_chat},
		{"/v1/responses", &api_openai_responses},
		{"/v1/models", &api_openai_chat},
		{"/api/", &api_ollama_chat},
		{"/v1/messages", &api_anthropic},
		{"/v1/embeddings", &api_openai_chat},
		{"/v1/completions", &api_completion},
		{"/v1/audio/", &api_openai_chat},
		{"/v1/images/", &api_openai_chat},
		{"/v1/files", &api_openai_chat},
		{"/v1/batches", &api_openai_chat},
		{"/v1/moderations", &api_openai_chat},
	};
	char tidy[128];
	path = is_route(path) ? path : tidy_path(path, tidy);
	for (size_t i = 0; i < N_ROUTES; i++)
		if (has_path(&routes[i], path))
			return routes[i].api ? routes[i].api : &api_native;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (strncmp(path, families[i].prefix, strlen(families[i].prefix)) == 0)
			return families[i].api;
	return &api_native;
}

static const struct route *find_route(const struct http_request *r)
{
	enum http_method method = http_get_method(r) == HTTP_HEAD ? HTTP_GET : http_get_method(r);
	for (size_t i = 0; i < N_ROUTES; i++)
		if (routes[i].method == method && has_path(&routes[i], http_get_path(r)))
			return &routes[i];
	return NULL;
}

/* The id by which clients of some APIs tell of a request. */
static void add_request_id(struct http_request *r)
{
	char id[64];
	const struct api *api = api_of_path(http_get_path(r));
	if (!api->request_id_header)
		return;
	snprintf(id, sizeof id, "%s%016" PRIx64, api->request_id_prefix, rng_os_seed());
	http_add_header(r, api->request_id_header, id);
}

/* Of a path, the bytes of --api-prefix that it begins with, as all but "*" must; false: it does not. */
static bool begins_with_prefix(const struct server *s, const char *path, size_t *n)
{
	const char *prefix = s->config.api_prefix ? s->config.api_prefix : "";
	*n = strcmp(path, "*") == 0 ? 0 : strlen(prefix);
	return strncmp(path, prefix, *n) == 0 && (*n == 0 || !path[*n] || path[*n] == '/');
}

/* Behind --api-prefix the paths are as they are without. False: the path does not begin with it. */
static bool skip_prefix(const struct server *s, struct http_request *r)
{
	size_t n;
	if (!begins_with_prefix(s, http_get_path(r), &n))
		return false;
	if (n)
		http_skip_path(r, n);
	return true;
}

const struct api *routes_api_asked(const struct server *s, const char *path)
{
	size_t n;
	return api_of_path(begins_with_prefix(s, path, &n) ? path + n : path);
}

static void answer_outside(const struct server *s, struct http_request *r)
{
	char quoted[128], text[512];
	snprintf(text, sizeof text, "there is no path %s; all of this server's begin with %s (--api-prefix)",
		 str_quote(str_c(http_get_path(r)), quoted, sizeof quoted), s->config.api_prefix);
	reply_error(r, HOKKU_NOT_FOUND, 404, text, NULL);
}

void routes_answer(struct server *s, struct http_request *r)
{
	char text[128];
	bool inside = skip_prefix(s, r);
	const struct route *route = find_route(r);
	gate_begin(s, r);
	access_begin(s, r, route ? (uint32_t)(route - routes) : N_ROUTES, owner_of(s, r));
	add_request_id(r);
	if (http_is_refused(r)) {
		snprintf(text, sizeof text, "all %u connections are in use; try again later",
			 s->config.max_connections);
		reply_error(r, HOKKU_OVERLOADED, 503, text, NULL);
	} else if (gate_refuses_page(s, r)) {
		return;
	} else if (!inside) {
		answer_outside(s, r);
	} else if (!route) {
		answer_no_route(s, r);
	} else if (!gate_refuses_key(s, r, route->gate)) {
		if (route->handle)
			route->handle(s, r);
		else
			gen_begin(s, route->api, r);
	}
}
