/* What llama-server tells of itself, and the routes that are refused whatever they are sent. */
#include "server/llama.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/build.h"
#include "server/gate.h"
#include "server/generate.h"
#include "server/reply.h"

/* The model that r is about; NULL: it was answered that there is none yet, or not for this key. */
static struct hosted *find_model(struct server *s, struct http_request *r, struct engine_state *state)
{
	struct hokku_error err;
	enum hokku_code rc = HOKKU_OK;
	struct hosted *h = hosted_of(s, r);
	if (!h)
		return NULL;
	engine_get_state(h->engine, state);
	if (state->info.name)
		rc = gate_check_model(s, owner_of(s, r), hosted_model(h), &err);
	if (rc) {
		reply_error(r, rc, hokku_code_http(rc), err.message, NULL);
		return NULL;
	}
	if (state->info.name && engine_tok(h->engine) && engine_chat(h->engine))
		return h;
	reply_error(r, HOKKU_NOT_READY, 503,
		    "the model is still being loaded; GET /health tells how far it is", NULL);
	return NULL;
}

static void add_token(struct strbuf *b, const char *name, const struct tok *tok, int32_t id)
{
	struct str bytes = id < 0 ? (struct str){"", 0} : tok_bytes(tok, id);
	strbuf_addf(b, ",\"%s\":", name);
	strbuf_add_json(b, bytes.ptr, bytes.len);
}

void llama_props_route(struct server *s, struct http_request *r)
{
	struct engine_state state;
	struct strbuf b = {0};
	struct sampling sampling;
	char build[BUILD_ID_TEXT];
	const struct hosted *h = find_model(s, r, &state);
	if (!h)
		return;
	const struct tok *tok = engine_tok(h->engine);
	const struct chat *chat = engine_chat(h->engine);
	const char *path = h->file.path ? h->file.path : s->config.engine.model_path;
	build_id(build);
	request_defaults(&(struct request_form){.defaults = llama_sampling}, engine_advice(h->engine),
			 &sampling);
	strbuf_add_c(&b, "{\"default_generation_settings\":{\"params\":{");
	llama_settings(&b, &sampling, NULL);
	strbuf_addf(&b,
		    "},\"n_ctx\":%" PRIu32 "},\"total_slots\":%" PRIu32 ",\"model_alias\":", state.info.n_ctx,
		    state.n_parallel);
	answer_text(&b, h->file.name ? h->file.name : state.info.name);
	strbuf_add_c(&b, ",\"model_ftype\":");
	answer_text(&b, state.info.format);
	strbuf_add_c(&b, ",\"model_path\":");
	answer_text(&b, path ? path : "");
	strbuf_add_c(&b, ",\"modalities\":{\"vision\":false,\"video\":false,\"audio\":false},"
			 "\"endpoint_slots\":true,\"endpoint_props\":false,\"endpoint_metrics\":true,"
			 "\"chat_template\":");
	strbuf_add_json(&b, chat->source.ptr ? chat->source.ptr : "", chat->source.len);
	add_token(&b, "bos_token", tok, tok_bos(tok));
	add_token(&b, "eos_token", tok, tok_eos(tok));
	strbuf_add_c(&b, ",\"build_info\":");
	answer_text(&b, build);
	strbuf_add_c(&b, ",\"is_sleeping\":false}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

void llama_set_props_route(struct server *s, struct http_request *r)
{
	(void)s;
	llama_refuse(
		r, 501,
		"this server's properties are what it was started with: no request changes them for the others; "
		"give fields with each request");
}

void llama_adapters_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	(void)s;
	strbuf_add_c(&b, "[]\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* POST /infill, where the vocabulary can. */
void llama_infill_route(struct server *s, struct http_request *r)
{
	static const char *const names[] = {"prefix", "suffix", "middle"};
	char text[256];
	/* Of several it is not known yet which one it is for; its preparation tells the same. */
	const struct tok *tok = s->shelf ? NULL : engine_tok(s->hosted->engine);
	for (int i = TOK_FIM_PREFIX; tok && i <= TOK_FIM_MIDDLE; i++) {
		if (tok_fim(tok, (enum tok_fim)i) >= 0)
			continue;
		snprintf(text, sizeof text,
			 "this model has no %s token: its vocabulary knows no text with a gap "
			 "(tokenizer.ggml.fim_*_token_id)",
			 names[i]);
		llama_refuse(r, 501, text);
		return;
	}
	gen_begin(s, &api_llama_infill, r);
}

void llama_pooling_route(struct server *s, struct http_request *r)
{
	struct engine_state state;
	char text[512], name[160];
	if (s->shelf) {
		llama_refuse(
			r, 400,
			"the models of this server write text and have no pooling: there are no embeddings or "
			"ranks of them; serve a model made for them");
		return;
	}
	if (!find_model(s, r, &state))
		return;
	snprintf(
		text, sizeof text,
		"%s (%s) writes text and has no pooling: there are no embeddings or ranks of it; serve a model "
		"made for them",
		str_quote(str_c(state.info.name), name, sizeof name), state.info.architecture);
	llama_refuse(r, 400, text);
}
