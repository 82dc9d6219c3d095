#include "server/slots.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/field.h"
#include "server/gate.h"
#include "server/generate.h"
#include "server/llama.h"
#include "server/reply.h"

/* ---- which slot ---- */

static bool runs(const struct generation *g)
{
	return g->started && g->n_samples && g->n_over < g->n_samples;
}

enum hokku_code slots_check(const struct generation *g, struct request_error *err)
{
	struct engine_state state;
	int32_t slot = g->job.request.llama.slot - 1;
	engine_get_state(g->hosted->engine, &state);
	if (slot < (int32_t)state.n_parallel)
		return HOKKU_OK;
	return bad(err, "id_slot", "is %d; there are slots 0 to %u (--parallel), and -1 is any of them", slot,
		   state.n_parallel - 1);
}

uint32_t slots_pick(const struct generation *g)
{
	bool taken[ENGINE_MAX_PARALLEL] = {false};
	uint32_t slot = 0;
	if (g->job.request.llama.slot)
		return (uint32_t)g->job.request.llama.slot - 1;
	for (const struct generation *o = g->server->generations; o; o = o->next)
		if (o != g && o->hosted == g->hosted && runs(o))
			taken[o->slot] = true;
	while (slot + 1 < ENGINE_MAX_PARALLEL && taken[slot])
		slot++;
	return slot;
}

uint64_t slots_find(const struct hosted *h, uint32_t owner, uint32_t slot)
{
	const struct generation *latest = NULL;
	uint32_t n = h->n_ended < STATE_ENDED ? h->n_ended : STATE_ENDED;
	for (const struct generation *g = h->server->generations; g; g = g->next)
		if (g->hosted == h && g->started && g->n_samples && g->owner == owner && g->slot == slot &&
		    (!latest || g->sequence > latest->sequence))
			latest = g;
	if (latest)
		return latest->samples[0].engine_id;
	for (uint32_t k = 1; k <= n; k++) {
		const struct ended_generation *e = &h->ended[(h->n_ended - k) % STATE_ENDED];
		if (e->owner == owner && e->slot == slot)
			return e->engine_id;
	}
	return 0;
}

/* ---- GET /slots ---- */

/* Of another key's request nothing is told but that it is there. */
static void add_slot(struct strbuf *b, uint32_t slot, uint32_t n_ctx, const struct generation *g, bool own)
{
	strbuf_addf(b,
		    "{\"id\":%" PRIu32 ",\"id_task\":%" PRId64 ",\"n_ctx\":%" PRIu32
		    ",\"speculative\":false,\"is_processing\":%s",
		    slot, g ? (int64_t)g->sequence : -1, n_ctx, g ? "true" : "false");
	if (g && own) {
		const struct gen_request *r = &g->job.request;
		uint32_t n = g->samples[0].n_counted;
		strbuf_addf(b, ",\"n_prompt_tokens\":%" PRIu32 ",\"params\":{", g->prompt_tokens);
		llama_settings(b, &r->sampling, r);
		strbuf_addf(b,
			    "},\"next_token\":[{\"has_next_token\":true,\"n_remain\":%" PRId64
			    ",\"n_decoded\":%" PRIu32 "}]",
			    r->max_tokens ? (int64_t)r->max_tokens - n : -1, n);
	}
	strbuf_add_c(b, "}");
}

/* The value of a parameter of the query; false: it is not there. */
static bool query_value(const struct http_request *r, const char *name, struct str *out)
{
	struct str query = http_get_query(r);
	size_t n = strlen(name);
	while (query.len) {
		const char *end = memchr(query.ptr, '&', query.len);
		struct str one = {query.ptr, end ? (size_t)(end - query.ptr) : query.len};
		size_t skip = one.len + (end ? 1 : 0);
		if (one.len >= n && memcmp(one.ptr, name, n) == 0 && (one.len == n || one.ptr[n] == '=')) {
			*out = one.len == n ? (struct str){"", 0}
					    : (struct str){one.ptr + n + 1, one.len - n - 1};
			return true;
		}
		query.ptr += skip;
		query.len -= skip;
	}
	return false;
}

void slots_route(struct server *s, struct http_request *r)
{
	struct engine_state state;
	struct strbuf b = {0};
	struct str fails = {0};
	const struct generation *in[ENGINE_MAX_PARALLEL] = {0};
	uint32_t owner = owner_of(s, r), n_idle = 0;
	struct hosted *h = hosted_of(s, r);
	struct hokku_error err;
	if (!h)
		return;
	engine_get_state(h->engine, &state);
	if (state.info.name && gate_check_model(s, owner, hosted_model(h), &err)) {
		reply_error(r, err.code, hokku_code_http(err.code), err.message, NULL);
		return;
	}
	if (!state.info.name) {
		reply_error(r, HOKKU_NOT_READY, 503,
			    "the model is still being loaded; GET /health tells how far it is", NULL);
		return;
	}
	for (const struct generation *g = s->generations; g; g = g->next)
		if (g->hosted == h && runs(g))
			in[g->slot] = g;
	strbuf_add_c(&b, "[");
	for (uint32_t i = 0; i < state.n_parallel; i++) {
		n_idle += !in[i];
		strbuf_add_c(&b, i ? "," : "");
		add_slot(&b, i, state.info.n_ctx, in[i], in[i] && in[i]->owner == owner);
	}
	strbuf_add_c(&b, "]\n");
	if (query_value(r, "fail_on_no_slot", &fails) && fails.len && !n_idle)
		reply_error(r, HOKKU_OVERLOADED, 503, "all slots are taken; requests wait their turn", NULL);
	else
		reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* ---- POST /slots/ID ---- */

static enum hokku_code check_filename(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->name[0])
		return bad(err, "filename", "is missing; it names the state");
	return HOKKU_OK;
}

static const struct field slot_fields[] = {
	{"filename", states_take_name}, {"model", field_model}, {NULL, NULL}};
static const struct request_form request_slot = {
	.strict = true, .no_sampling = true, .fields = slot_fields, .check = check_filename};

const struct api api_slot_save = {.does = API_SAVES, .form = &request_slot, .error = llama_error_body};
const struct api api_slot_restore = {.does = API_RESTORES, .form = &request_slot, .error = llama_error_body};

bool slots_of_path(const struct http_request *r, uint32_t *out)
{
	const char *at = http_get_path(r) + strlen("/slots/");
	uint32_t n = 0;
	size_t i = 0;
	for (; at[i] >= '0' && at[i] <= '9' && i < 4; i++)
		n = n * 10 + (uint32_t)(at[i] - '0');
	*out = n;
	return i > 0 && !at[i];
}

void slots_action_route(struct server *s, struct http_request *r)
{
	struct engine_state state;
	struct str action = {"", 0};
	uint32_t slot;
	char text[320], quoted[96];
	bool given = query_value(r, "action", &action), numbered = slots_of_path(r, &slot);
	const struct hosted *h = hosted_of(s, r);
	if (!h)
		return;
	engine_get_state(h->engine, &state);
	str_quote(numbered ? action : str_c(http_get_path(r) + strlen("/slots/")), quoted, sizeof quoted);
	if (!numbered || (state.n_parallel && slot >= state.n_parallel)) {
		if (numbered)
			snprintf(quoted, sizeof quoted, "%" PRIu32, slot);
		snprintf(text, sizeof text, "there is no slot %s; there are 0 to %" PRIu32 " (--parallel)",
			 quoted, state.n_parallel ? state.n_parallel - 1 : 0);
		llama_refuse(r, 400, text);
	} else if (str_eq_c(action, "erase")) {
		llama_refuse(
			r, 501,
			"nothing is erased by hand: what is computed can be found until its memory is needed; a "
			"request with \"cache_prompt\": false neither finds nor leaves anything");
	} else if (!str_eq_c(action, "save") && !str_eq_c(action, "restore")) {
		snprintf(text, sizeof text,
			 "action is %s; it takes save or restore: /slots/%" PRIu32 "?action=save",
			 given ? quoted : "missing", slot);
		llama_refuse(r, 400, text);
	} else if (!s->config.state_dir) {
		llama_refuse(r, 501,
			     "this server keeps no states; start it with --state-dir DIR if it is to");
	} else {
		gen_begin(s, str_eq_c(action, "save") ? &api_slot_save : &api_slot_restore, r);
	}
}

void slots_answer(struct strbuf *b, const struct states_job *job, uint32_t slot)
{
	const struct engine_state_told *t = &job->told;
	strbuf_addf(b,
		    "{\"id_slot\":%" PRIu32 ",\"filename\":\"%s\",\"%s\":%" PRIu32 ",\"%s\":%" PRIu64
		    ",\"timings\":{\"%s\":%.3f}}\n",
		    slot, job->name, job->save ? "n_saved" : "n_restored", t->n_tokens,
		    job->save ? "n_written" : "n_read", t->bytes, job->save ? "save_ms" : "restore_ms",
		    job->ms);
}
