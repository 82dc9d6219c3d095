#include "server/ollama_models.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "server/gate.h"
#include "server/hosting_lists.h"
#include "server/ollama.h"
#include "server/reply.h"
#include "server/shelf.h"

/* "7.6B", "3.10M", "12K" */
static void add_count(struct strbuf *b, uint64_t n)
{
	if (n >= 1000000000)
		strbuf_addf(b, "\"%.1fB\"", (double)n / 1e9);
	else if (n >= 1000000)
		strbuf_addf(b, "\"%.2fM\"", (double)n / 1e6);
	else
		strbuf_addf(b, "\"%" PRIu64 "K\"", n / 1000);
}

void ollama_add_details(struct strbuf *b, const struct hokku_info *i, const struct gguf *file)
{
	ollama_add_details_of(b, i, gguf_is_assembled(file));
}

void ollama_add_details_of(struct strbuf *b, const struct hokku_info *i, bool assembled)
{
	strbuf_addf(b, "{\"parent_model\":\"\",\"format\":\"%s\",\"family\":",
		    assembled ? "safetensors" : "gguf");
	answer_text(b, i->architecture);
	strbuf_add_c(b, ",\"families\":[");
	answer_text(b, i->architecture);
	strbuf_add_c(b, "],\"parameter_size\":");
	add_count(b, i->n_params);
	strbuf_add_c(b, ",\"quantization_level\":");
	answer_text(b, i->format);
	strbuf_addf(b, ",\"context_length\":%" PRIu32 ",\"embedding_length\":%" PRIu32 "}", i->n_ctx,
		    i->d_model);
}

/* 64 digits, as Ollama's; it tells models apart by their bytes. */
static void add_digest(struct strbuf *b, const struct gguf *g)
{
	char digest[SHELF_DIGEST_BYTES];
	shelf_digest(g, digest);
	strbuf_addf(b, "\"%s\"", digest);
}

const char *ollama_modified(const struct gguf *file, char out[OLLAMA_TIME_BYTES])
{
	struct stat st = {0};
	if (stat(gguf_path(file), &st) != 0 && stat("/proc/self/exe", &st) != 0)
		st = (struct stat){0};
	return ollama_time((uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec, out);
}

/* {"models":[..]} up to the size of the one; NULL: it was answered that there is none yet, or none for this
 * key. */
static const struct gguf *begin_list(struct server *s, struct http_request *r, struct engine_state *state,
				     struct strbuf *b)
{
	struct hosted *h = hosted_of(s, r);
	if (!h)
		return NULL;
	engine_get_state(h->engine, state);
	if (!state->info.name || !engine_file(h->engine)) {
		reply_error(r, HOKKU_NOT_READY, 503,
			    "the model is still being loaded; GET /health tells how far it is", NULL);
		return NULL;
	}
	if (!gate_may_use(s, owner_of(s, r), state->info.name)) {
		strbuf_add_c(b, "{\"models\":[]}\n");
		reply_json(r, 200, b);
		strbuf_free(b);
		return NULL;
	}
	strbuf_add_c(b, "{\"models\":[{\"name\":");
	ollama_add_name(b, state->info.name);
	strbuf_add_c(b, ",\"model\":");
	ollama_add_name(b, state->info.name);
	return engine_file(h->engine);
}

void ollama_tags_route(struct server *s, struct http_request *r)
{
	if (s->shelf) {
		hosting_tags_route(s, r);
		return;
	}
	struct engine_state state;
	struct strbuf b = {0};
	char time[OLLAMA_TIME_BYTES];
	const struct gguf *g = begin_list(s, r, &state, &b);
	if (!g)
		return;
	strbuf_addf(&b, ",\"modified_at\":\"%s\",\"size\":%" PRIu64 ",\"digest\":", ollama_modified(g, time),
		    gguf_file_bytes(g));
	add_digest(&b, g);
	strbuf_add_c(&b, ",\"details\":");
	ollama_add_details(&b, &state.info, g);
	strbuf_add_c(&b, "}]}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* It never leaves: that is 292 years hence, the longest that Ollama's own durations hold. */
void ollama_ps_route(struct server *s, struct http_request *r)
{
	if (s->shelf) {
		hosting_ps_route(s, r);
		return;
	}
	struct engine_state state;
	struct strbuf b = {0};
	char time[OLLAMA_TIME_BYTES];
	const struct gguf *g = begin_list(s, r, &state, &b);
	if (!g)
		return;
	const struct compute_memory *m = &state.memory;
	uint64_t bytes = m->weight_bytes + m->kv_bytes + m->scratch_bytes + m->graph_bytes;
	strbuf_addf(&b, ",\"size\":%" PRIu64 ",\"digest\":", bytes);
	add_digest(&b, g);
	strbuf_add_c(&b, ",\"details\":");
	ollama_add_details(&b, &state.info, g);
	strbuf_addf(&b,
		    ",\"expires_at\":\"%s\",\"size_vram\":%" PRIu64 ",\"context_length\":%" PRIu32 "}]}\n",
		    ollama_time(clock_wall_ns() + INT64_MAX, time), m->device_total_bytes ? bytes : 0,
		    state.info.n_ctx);
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

void ollama_version_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	(void)s;
	strbuf_addf(&b, "{\"version\":\"%s\"}\n", hokku_version());
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

void ollama_not_here_route(struct server *s, struct http_request *r)
{
	char text[256];
	(void)s;
	snprintf(text, sizeof text,
		 "%s is not done by this server: it has the models that it was started with (hokku serve "
		 "FILE, --models-dir DIR); GET /api/tags names them",
		 http_get_path(r));
	reply_error(r, HOKKU_NOT_FOUND, 501, text, NULL);
}
