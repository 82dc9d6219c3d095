#include "server/health.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/access.h"
#include "server/generate.h"
#include "server/hosting_lists.h"
#include "server/reply.h"

static void add_member(struct strbuf *b, const char *name, const char *value)
{
	strbuf_addf(b, ",\"%s\":", name);
	strbuf_add_json(b, value, strlen(value));
}

/* What is held, by class, and of a GPU the driver's own figures. */
static void add_memory(struct strbuf *b, const struct engine_state *state)
{
	const struct compute_memory *m = &state->memory;
	strbuf_addf(b,
		    ",\"resident_bytes\":{\"weights\":%" PRIu64 ",\"kv\":%" PRIu64 ",\"scratch\":%" PRIu64
		    ",\"graphs\":%" PRIu64 ",\"runtime\":%" PRIu64
		    "},\"kv_blocks\":%u,\"cache_type_k\":\"%s\",\"cache_type_v\":\"%s\"",
		    m->weight_bytes, m->kv_bytes, m->scratch_bytes, m->graph_bytes, m->runtime_bytes,
		    m->n_kv_blocks, cache_type_name(m->cache.k), cache_type_name(m->cache.v));
	if (m->device_total_bytes)
		strbuf_addf(b,
			    ",\"vram\":{\"total_bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64
			    ",\"free_before_bytes\":%" PRIu64 ",\"checked_s_ago\":%.3f}",
			    m->device_total_bytes, m->device_free_bytes, m->device_free_before_bytes,
			    state->checked_s);
}

static void add_model(struct strbuf *b, const struct engine_state *state)
{
	const struct hokku_info *i = &state->info;
	add_member(b, "model", i->name);
	add_member(b, "architecture", i->architecture);
	add_member(b, "quantization", i->format);
	add_member(b, "device", i->device);
	add_memory(b, state);
	strbuf_addf(b, ",\"parameters\":%llu,\"vocab_size\":%u,\"n_ctx\":%u", (unsigned long long)i->n_params,
		    i->n_vocab, i->n_ctx);
	add_member(b, "tokenizer", i->tokenizer);
	strbuf_add_c(b, ",\"tokenizer_notes\":[");
	for (const char *const *note = state->tokenizer_notes; note && *note; note++) {
		strbuf_add_c(b, note == state->tokenizer_notes ? "" : ",");
		strbuf_add_json(b, *note, strlen(*note));
	}
	strbuf_add_c(b, "]");
}

static void add_allowance_counters(struct strbuf *b, const struct allowance_counters *c)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
#define ROW(name_, text_) {#name_, c->name_},
		ALLOWANCE_COUNTERS(ROW)
#undef ROW
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		strbuf_addf(b, "%s\"%s\":%" PRIu64, i ? "," : "", rows[i].name, rows[i].value);
}

static void add_counters(const struct server *s, struct strbuf *b, const struct engine_state *state)
{
	struct allowance_counters sum = {0};
	for (uint32_t i = 0; i <= s->n_owners; i++) {
#define SUM(name_, text_) sum.name_ += s->allowances[i].counters.name_;
		ALLOWANCE_COUNTERS(SUM)
#undef SUM
	}
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
#define ROW(name_, text_) {#name_, state->counters.name_},
		SCHED_COUNTERS(ROW)
#undef ROW
#define ROW(name_, text_) {#name_, state->shapes.name_},
			SHAPE_COUNTERS(ROW)
#undef ROW
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		strbuf_addf(b, "%s\"%s\":%" PRIu64, i ? "," : ",\"counters\":{", rows[i].name, rows[i].value);
	strbuf_add_c(b, ",");
	add_allowance_counters(b, &sum);
	strbuf_add_c(b, "}");
}

static void add_limit(struct strbuf *b, const char *name, uint32_t limit)
{
	strbuf_addf(b, "\"%s\":", name);
	if (limit == KEYS_UNLIMITED)
		strbuf_add_c(b, "null");
	else
		strbuf_addf(b, "%" PRIu32, limit);
}

/* What the key that asks has and may have; of the others nothing is said. */
static void add_key(struct server *s, uint32_t owner, struct strbuf *b)
{
	const struct key *key = keys_get(s->keys, owner);
	const struct allowance *a = &s->allowances[owner];
	uint32_t running, waiting;
	uint32_t n_running = 0, n_waiting = 0;
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		if (!h->engine)
			continue;
		engine_get_owner(h->engine, owner, &running, &waiting);
		n_running += running;
		n_waiting += waiting;
	}
	strbuf_addf(b,
		    ",\"key\":{\"name\":\"%s\",\"running\":%" PRIu32 ",\"waiting\":%" PRIu32 ",\"limits\":{",
		    key->name, n_running, n_waiting);
	add_limit(b, "running", key->running);
	strbuf_add_c(b, ",");
	add_limit(b, "waiting", key->waiting);
	strbuf_add_c(b, ",");
	add_limit(b, "tokens_per_minute", key->tokens_per_minute);
	strbuf_add_c(b, "}");
	if (key->tokens_per_minute != KEYS_UNLIMITED)
		strbuf_addf(b, ",\"tokens_left\":%" PRId64, allowance_left(a, clock_ns()));
	strbuf_add_c(b, ",\"counters\":{");
	add_allowance_counters(b, &a->counters);
	strbuf_add_c(b, "}}");
}

/* What clients have in hand; requests, by samples. */
static void add_queue(const struct server *s, struct strbuf *b, const struct engine_state *state)
{
	strbuf_addf(b,
		    ",\"connections\":%" PRIu32
		    ",\"held_bytes\":%zu,\"queue\":{\"running\":%u,\"parallel\":%u,"
		    "\"queued\":%u,\"max_queue\":%u,\"accepted\":%" PRIu64 ",\"finished\":%" PRIu64
		    ",\"cancelled\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"tokens_in\":%" PRIu64
		    ",\"tokens_out\":%" PRIu64 "}",
		    http_n_connections(s->http), http_held_bytes(s->http), state->n_running,
		    state->n_parallel, state->n_queued + s->n_preparing + s->n_parked,
		    s->config.engine.max_queue, state->n_accepted, state->n_finished, state->n_cancelled,
		    state->n_failed, state->n_tokens_in, state->n_tokens_out);
}

static void add_unhealthy(struct strbuf *b, const struct engine_state *state)
{
	strbuf_add_c(b, "{\"status\":\"unhealthy\"");
	add_member(b, "code", hokku_code_name(state->failure.code));
	add_member(b, "message", state->failure.message);
	add_model(b, state);
}

/* Whoever waits for a step that does not end is told so, once; should it end after all, requests are taken
 * again. */
static void watch_engine(struct hosted *h)
{
	struct hokku_error err;
	if (!h->engine)
		return;
	bool stuck = watchdog_look(&h->watchdog, engine_turn(h->engine), clock_ns());
	if (stuck == h->stuck_told)
		return;
	h->stuck_told = stuck;
	if (!stuck) {
		log_warn("the engine goes on: requests are taken again");
		return;
	}
	stuck_error(h, &err);
	log_error("%s: %s; every request is refused until it goes on", hokku_code_name(err.code),
		  err.message);
	gen_stop_of(h, HOKKU_DEVICE_ERROR);
}

void health_watch_engines(struct server *s)
{
	for (struct hosted *h = s->hosted; h; h = h->next)
		watch_engine(h);
}

bool health_is_lost(const struct server *s)
{
	struct engine_state state;
	for (const struct hosted *h = s->hosted; h; h = h->next) {
		if (!h->engine)
			continue;
		engine_get_state(h->engine, &state);
		if (h->stuck_told || state.phase == ENGINE_LOST)
			return true;
	}
	return false;
}

/* What every answer ends with. */
static void reply_health(struct server *s, struct http_request *r, int status, struct strbuf *b,
			 const struct engine_state *state, bool for_good)
{
	strbuf_addf(b, ",\"uptime_s\":%.3f", clock_ms_since(s->started_ns) / 1000);
	add_member(b, "version", hokku_version());
	add_queue(s, b, state);
	add_counters(s, b, state);
	if (owner_of(s, r))
		add_key(s, owner_of(s, r), b);
	strbuf_add_c(b, "}\n");
	if (status == 503 && !for_good)
		http_add_header(r, "Retry-After", "1");
	access_of(r)->code = status == 503 ? HOKKU_NOT_READY : HOKKU_OK;
	reply_json(r, status, b);
}

/* Of several models: that it takes requests for them. One that is stuck or lost makes it unhealthy. */
static void answer_several(struct server *s, struct http_request *r)
{
	struct engine_state sum;
	struct strbuf b = {0}, models = {0};
	const struct hosted *bad = hosting_health(s, r, &models);
	const char *status = s->stopping_ns    ? "stopping"
			     : bad             ? "unhealthy"
			     : s->shelf_number ? "ok"
					       : "loading";
	hosting_sum(s, &sum);
	strbuf_addf(&b, "{\"status\":\"%s\"", status);
	if (models.ptr)
		strbuf_add(&b, models.ptr, models.len);
	b.failed |= models.failed;
	reply_health(s, r, strcmp(status, "ok") == 0 ? 200 : 503, &b, &sum, bad != NULL);
	strbuf_free(&b);
	strbuf_free(&models);
}

void health_route(struct server *s, struct http_request *r)
{
	struct engine_state state;
	struct strbuf b = {0};
	int status = 503;
	struct hosted *h = s->hosted;
	health_watch_engines(s);
	if (s->shelf) {
		answer_several(s, r);
		return;
	}
	engine_get_state(h->engine, &state);
	if (state.phase == ENGINE_LOADING) {
		strbuf_addf(&b, "{\"status\":\"loading\",\"progress\":%.3f", state.load_part);
	} else if (state.phase == ENGINE_FAILED) {
		strbuf_add_c(&b, "{\"status\":\"failed\"");
		add_member(&b, "code", hokku_code_name(state.failure.code));
		add_member(&b, "message", state.failure.message);
	} else if (state.phase == ENGINE_LOST) {
		add_unhealthy(&b, &state);
	} else if (s->stopping_ns || state.phase == ENGINE_STOPPED) {
		strbuf_add_c(&b, "{\"status\":\"stopping\"");
	} else if (h->stuck_told) {
		stuck_error(h, &state.failure);
		add_unhealthy(&b, &state);
		strbuf_addf(&b, ",\"stuck_s\":%.1f", watchdog_seen_s(&h->watchdog));
	} else {
		status = 200;
		strbuf_add_c(&b, "{\"status\":\"ok\"");
		add_model(&b, &state);
	}
	reply_health(s, r, status, &b, &state, state.phase == ENGINE_LOST || h->stuck_told);
	strbuf_free(&b);
}
