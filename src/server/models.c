#include "server/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "server/answer.h"
#include "server/gate.h"
#include "server/hosting_lists.h"
#include "server/peek.h"
#include "server/reply.h"

/* False: it was answered that the key of r may not use this model. */
static bool may_use(struct server *s, struct http_request *r, const char *model)
{
	struct hokku_error err;
	enum hokku_code rc = gate_check_model(s, owner_of(s, r), model, &err);
	if (rc)
		reply_error(r, rc, hokku_code_http(rc), err.message, "model");
	return !rc;
}

/* NULL: it was answered that there is none yet. */
static struct hosted *served_model(struct server *s, struct http_request *r, struct hokku_info *out)
{
	struct engine_state state;
	struct hosted *h = hosted_of(s, r);
	if (!h)
		return NULL;
	engine_get_state(h->engine, &state);
	*out = state.info;
	if (state.info.name && engine_tok(h->engine))
		return h;
	reply_error(r, HOKKU_NOT_READY, 503,
		    "the model is still being loaded; GET /health tells how far it is", NULL);
	return NULL;
}

/* As llama-server tells them: the kind of the vocabulary as its number, the context that the model was made
 * for; and the one that it has here. */
static void add_meta(struct strbuf *b, const struct hosted *h, const struct hokku_info *i)
{
	static const char *const kinds[] = {"none", "llama", "gpt2", "bert", "t5", NULL};
	const char *kind = tok_kind(engine_tok(h->engine));
	char key[80];
	uint32_t n_train = 0;
	size_t n = strcspn(kind, "/"), k = 0;
	bool found = false;
	while (kinds[k] && (strlen(kinds[k]) != n || strncmp(kinds[k], kind, n) != 0))
		k++;
	snprintf(key, sizeof key, "%.60s.context_length", i->architecture);
	gguf_get_u32(engine_file(h->engine), key, &n_train, &found, NULL);
	strbuf_addf(b,
		    ",\"meta\":{\"vocab_type\":%zu,\"n_vocab\":%" PRIu32 ",\"n_ctx_train\":%" PRIu32
		    ",\"n_ctx\":%" PRIu32 ",\"n_embd\":%" PRIu32 ",\"n_params\":%" PRIu64 ",\"size\":%" PRIu64
		    "}",
		    kinds[k] ? k : 0, i->n_vocab, n_train, i->n_ctx, i->d_model, i->n_params,
		    i->weight_bytes);
}

/* created: when this server began to serve it. max_model_len is vLLM's name for the context. */
static void add_model(struct strbuf *b, const struct hosted *h, const struct hokku_info *i)
{
	const struct server *s = h->server;
	int64_t created = (int64_t)time(NULL) - (int64_t)(clock_ms_since(s->started_ns) / 1000);
	strbuf_add_c(b, "{\"id\":");
	answer_text(b, i->name);
	strbuf_addf(b,
		    ",\"object\":\"model\",\"created\":%" PRId64
		    ",\"owned_by\":\"hokku\",\"max_model_len\":%" PRIu32,
		    created, i->n_ctx);
	add_meta(b, h, i);
	strbuf_add_c(b, "}");
}

void models_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	struct hokku_info info;
	if (s->shelf) {
		hosting_models_route(s, r);
		return;
	}
	const struct hosted *h = served_model(s, r, &info);
	if (!h)
		return;
	strbuf_add_c(&b, "{\"object\":\"list\",\"data\":[");
	if (gate_may_use(s, owner_of(s, r), info.name))
		add_model(&b, h, &info);
	strbuf_add_c(&b, "]}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* Is the path's text, percent-encoded as clients send it or not, this name? */
static bool is_name(const char *path, const char *name)
{
	struct strbuf plain = {0};
	peek_path(str_c(path), &plain);
	bool is = plain.ptr && !plain.failed && str_eq_c((struct str){plain.ptr, plain.len}, name);
	strbuf_free(&plain);
	return is;
}

void model_route(struct server *s, struct http_request *r)
{
	const char *asked = http_get_path(r) + strlen("/v1/models/");
	struct hokku_info info;
	struct strbuf b = {0};
	char text[512], quoted[160], served[160];
	if (s->shelf) {
		hosting_model_route(s, r);
		return;
	}
	const struct hosted *h = served_model(s, r, &info);
	if (!h)
		return;
	if (!is_name(asked, info.name)) {
		snprintf(text, sizeof text, "there is no model %s; this server has %s",
			 str_quote(str_c(asked), quoted, sizeof quoted),
			 str_quote(str_c(info.name), served, sizeof served));
		reply_error(r, HOKKU_NOT_FOUND, 404, text, "model");
		return;
	}
	if (!may_use(s, r, info.name))
		return;
	add_model(&b, h, &info);
	strbuf_add_c(&b, "\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* No architecture that is served pools, whatever the request has. */
void embeddings_route(struct server *s, struct http_request *r)
{
	struct hokku_info info;
	char text[512], name[160];
	if (s->shelf) {
		reply_error(
			r, HOKKU_INVALID_REQUEST, 400,
			"the models of this server write text and do not pool: there are no embeddings of "
			"them; serve a model that is made for them",
			"model");
		return;
	}
	if (!served_model(s, r, &info) || !may_use(s, r, info.name))
		return;
	snprintf(
		text, sizeof text,
		"%s (%s) writes text and does not pool: there are no embeddings of it; serve a model that is "
		"made for them",
		str_quote(str_c(info.name), name, sizeof name), info.architecture);
	reply_error(r, HOKKU_INVALID_REQUEST, 400, text, "model");
}
