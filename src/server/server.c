#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/salts.h"
#include "server/answer.h"
#include "server/cancel.h"
#include "server/generate.h"
#include "server/models.h"
#include "server/net.h"
#include "server/reply.h"

void server_defaults(struct server_config *c)
{
	*c = (struct server_config){
		.host = "127.0.0.1",
		.port = 8080,
		.max_connections = 512,
		.max_body_bytes = 8 * 1024 * 1024,
		.max_unread_bytes = 16 * 1024 * 1024,
		.idle_timeout_s = 60,
		.read_timeout_s = 30,
		.write_timeout_s = 60,
		.request_timeout_s = 3600,
		.keep_alive_s = 10,
		.watchdog_timeout_s = 300,
	};
	c->engine.max_queue = ENGINE_MAX_QUEUE;
	c->engine.itl_ms = PACE_TARGET_MS;
	c->engine.kv_grows = true;
}

static void make_error_body(enum hokku_code code, const char *text, struct strbuf *out)
{
	answer_error(out, code, text, NULL);
}

/* ---- routes ---- */

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
	engine_get_owner(s->engine, owner, &running, &waiting);
	strbuf_addf(b,
		    ",\"key\":{\"name\":\"%s\",\"running\":%" PRIu32 ",\"waiting\":%" PRIu32 ",\"limits\":{",
		    key->name, running, waiting);
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
		    state->n_parallel, state->n_queued + s->n_preparing, s->config.engine.max_queue,
		    state->n_accepted, state->n_finished, state->n_cancelled, state->n_failed,
		    state->n_tokens_in, state->n_tokens_out);
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
static void watch_engine(struct server *s)
{
	struct hokku_error err;
	bool stuck = watchdog_look(&s->watchdog, engine_turn(s->engine), clock_ns());
	if (stuck == s->stuck_told)
		return;
	s->stuck_told = stuck;
	if (!stuck) {
		log_warn("the engine goes on: requests are taken again");
		return;
	}
	stuck_error(s, &err);
	log_error("%s: %s; every request is refused until it goes on", hokku_code_name(err.code),
		  err.message);
	gen_stop_all(s, HOKKU_DEVICE_ERROR);
}

static void health_route(struct server *s, struct http_request *r)
{
	struct engine_state state;
	struct strbuf b = {0};
	int status = 503;
	watch_engine(s);
	engine_get_state(s->engine, &state);
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
	} else if (s->stuck_told) {
		stuck_error(s, &state.failure);
		add_unhealthy(&b, &state);
		strbuf_addf(&b, ",\"stuck_s\":%.1f", watchdog_seen_s(&s->watchdog));
	} else {
		status = 200;
		strbuf_add_c(&b, "{\"status\":\"ok\"");
		add_model(&b, &state);
	}
	strbuf_addf(&b, ",\"uptime_s\":%.3f", clock_ms_since(s->started_ns) / 1000);
	add_member(&b, "version", hokku_version());
	add_queue(s, &b, &state);
	add_counters(s, &b, &state);
	if (owner_of(s, r))
		add_key(s, owner_of(s, r), &b);
	strbuf_add_c(&b, "}\n");
	if (status == 503 && state.phase != ENGINE_LOST && !s->stuck_told)
		http_add_header(r, "Retry-After", "1");
	reply_json(r, status, &b);
	strbuf_free(&b);
}

static void root_route(struct server *s, struct http_request *r);

static const struct route {
	enum http_method method;
	bool open; /* answers without a key */
	const char *path;
	void (*handle)(struct server *s, struct http_request *r);
	const char *text;
} routes[] = {
	{HTTP_GET, true, "/", root_route, "this list"},
	{HTTP_GET, true, "/health", health_route, "whether the server is ready, and what it serves"},
	{HTTP_POST, false, "/v1/generate", gen_route, "an answer to a prompt, streamed or whole"},
	{HTTP_POST, false, "/v1/cancel", cancel_route, "ends a request by its id"},
	{HTTP_POST, false, "/v1/state/save", state_save_route,
	 "puts what is computed of a request into a file"},
	{HTTP_POST, false, "/v1/state/restore", state_restore_route, "and back into memory"},
	{HTTP_POST, false, "/v1/chat/completions", chat_route, "OpenAI's: an answer to a conversation"},
	{HTTP_GET, false, "/v1/models", models_route, "OpenAI's: what is served"},
	{HTTP_GET, false, "/v1/models/*", model_route, "OpenAI's: one of these by its name"},
};
enum { N_ROUTES = sizeof routes / sizeof *routes };

static const char *method_text(enum http_method m)
{
	return m == HTTP_GET ? "GET" : "POST";
}

static void root_route(struct server *s, struct http_request *r)
{
	struct strbuf b = {0};
	(void)s;
	strbuf_add_c(&b, "{\"name\":\"hokku\"");
	add_member(&b, "version", hokku_version());
	strbuf_add_c(&b, ",\"routes\":{");
	for (size_t i = 0; i < N_ROUTES; i++) {
		strbuf_addf(&b, "%s\"%s %s\":", i ? "," : "", method_text(routes[i].method), routes[i].path);
		strbuf_add_json(&b, routes[i].text, strlen(routes[i].text));
	}
	strbuf_add_c(&b, "}}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}

/* A route whose path ends with a star has every path that goes on there. */
static bool has_path(const struct route *route, const char *path)
{
	size_t n = strlen(route->path);
	if (route->path[n - 1] != '*')
		return strcmp(route->path, path) == 0;
	return strncmp(route->path, path, n - 1) == 0 && path[n - 1];
}

/* "GET, HEAD, OPTIONS" for path; false if no route has it. */
static bool list_allowed(const char *path, struct strbuf *out)
{
	bool any = false;
	for (size_t i = 0; i < N_ROUTES; i++) {
		if (!has_path(&routes[i], path))
			continue;
		any = true;
		strbuf_add_c(out, routes[i].method == HTTP_GET ? "GET, HEAD, " : "POST, ");
	}
	strbuf_add_c(out, "OPTIONS");
	return any;
}

static void answer_no_route(struct http_request *r)
{
	const char *path = http_get_path(r);
	char quoted[128], text[512];
	struct strbuf allowed = {0};
	bool known = strcmp(path, "*") == 0; /* OPTIONS *: the server as a whole */
	if (known)
		strbuf_add_c(&allowed, "GET, HEAD, POST, OPTIONS");
	else
		known = list_allowed(path, &allowed);
	if (known)
		http_add_header(r, "Allow", allowed.ptr);
	if (known && http_get_method(r) == HTTP_OPTIONS) {
		reply_log(r, 204);
		http_reply(r, 204, NULL, (struct str){"", 0});
	} else if (known) {
		snprintf(text, sizeof text, "%.200s takes %s, not %.40s", path, allowed.ptr,
			 http_get_method_name(r));
		reply_error(r, HOKKU_INVALID_REQUEST, 405, text, NULL);
	} else {
		const char *paths[N_ROUTES + 1] = {0};
		for (size_t i = 0; i < N_ROUTES; i++)
			paths[i] = routes[i].path;
		const char *near = str_nearest(path, paths);
		str_quote(str_c(path), quoted, sizeof quoted);
		snprintf(text, sizeof text, "there is no path %s; %s%s%s", quoted,
			 near ? "did you mean " : "GET / lists them", near ? near : "", near ? "?" : "");
		reply_error(r, HOKKU_NOT_FOUND, 404, text, NULL);
	}
	strbuf_free(&allowed);
}

static const struct route *find_route(const struct http_request *r)
{
	enum http_method method = http_get_method(r) == HTTP_HEAD ? HTTP_GET : http_get_method(r);
	for (size_t i = 0; i < N_ROUTES; i++)
		if (routes[i].method == method && has_path(&routes[i], http_get_path(r)))
			return &routes[i];
	return NULL;
}

/* How a name becomes one that is allowed: name as it would be given, where that is short enough to be one. */
static struct str to_allow(struct str name)
{
	return name.len > 0 && name.len <= HOSTS_MAX_NAME_BYTES ? name : STR_LIT("NAME");
}

/* Whether a request to a server that everybody on this machine may use was made by a page in a browser, under
 * a name of that page's owner or from that page; text becomes what is said to it. */
static bool is_foreign(const struct server *s, const struct http_request *r, char *text, size_t size)
{
	char quoted[160];
	struct str name = {0}, port;
	const char *host = http_get_header(r, "Host"), *origin = http_get_header(r, "Origin");
	const struct str url = http_get_authority(r);
	const struct str asked[] = {url, host ? str_c(host) : (struct str){0}};
	for (size_t i = url.len ? 0 : 1; i < (host ? 2 : 1); i++) {
		if (hosts_split(asked[i], &name, &port) && hosts_allow(&s->config.hosts, name))
			continue;
		snprintf(text, size,
			 "the request asks for the host %s, which is no loopback name or address; start the "
			 "server with --allowed-hosts %.*s if it is to answer to that",
			 str_quote(asked[i], quoted, sizeof quoted), STR_ARG(to_allow(name)));
		return true;
	}
	bool named = origin && hosts_of_origin(str_c(origin), &name);
	if (!origin || (named && hosts_allow(&s->config.hosts, name)))
		return false;
	snprintf(text, size,
		 "the request comes from a page of another host (Origin is %s); start the server with "
		 "--allowed-hosts %.*s if that may use it",
		 str_quote(str_c(origin), quoted, sizeof quoted),
		 STR_ARG(to_allow(named ? name : (struct str){0})));
	return true;
}

static void on_request(void *user, struct http_request *r)
{
	struct server *s = user;
	const struct route *route = find_route(r);
	uint32_t owner = owner_of(s, r);
	char text[512];
	if (http_is_refused(r)) {
		snprintf(text, sizeof text, "all %u connections are in use; try again later",
			 s->config.max_connections);
		reply_error(r, HOKKU_OVERLOADED, 503, text, NULL);
	} else if (s->guarded && is_foreign(s, r, text, sizeof text)) {
		reply_error(r, HOKKU_INVALID_REQUEST, 403, text, NULL);
	} else if (!route) {
		answer_no_route(r);
	} else if (!route->open && s->keys && !owner) {
		http_add_header(r, "WWW-Authenticate", "Bearer realm=\"hokku\"");
		reply_error(r, HOKKU_UNAUTHORIZED, 401,
			    http_get_header(r, "Authorization")
				    ? "the API key is wrong"
				    : "this server wants an API key: Authorization: Bearer KEY",
			    NULL);
	} else {
		if (owner)
			http_add_header(r, "Hokku-Key", owner_name(s, owner));
		route->handle(s, r);
	}
}

/* ---- stopping ---- */

static volatile sig_atomic_t n_signals;
static struct http *signal_http; /* set while handlers are in place */

static void on_signal(int number)
{
	(void)number;
	int error = errno;
	if (++n_signals > 1)
		_exit(130);
	http_wake(signal_http);
	errno = error;
}

static void set_handlers(struct http *http, struct sigaction before[4])
{
	struct sigaction handle = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	n_signals = 0;
	signal_http = http;
	sigaction(SIGTERM, &handle, &before[0]);
	sigaction(SIGINT, &handle, &before[1]);
	sigaction(SIGPIPE, &ignore, &before[2]);
	sigaction(SIGXFSZ, &ignore, &before[3]); /* a state that is too large is an error of its own */
}

static void restore_handlers(const struct sigaction before[4])
{
	sigaction(SIGTERM, &before[0], NULL);
	sigaction(SIGINT, &before[1], NULL);
	sigaction(SIGPIPE, &before[2], NULL);
	sigaction(SIGXFSZ, &before[3], NULL);
}

/* Once told to stop: refuses, waits for what runs, in the end cancels it. */
static void go_on_stopping(struct server *s)
{
	if (n_signals && !s->stopping_ns) {
		s->stopping_ns = clock_ns();
		engine_close_door(s->engine);
		engine_close_shapes(s->engine); /* their requests would be refused */
		log_info("stopping: %u requests may finish within %d ms", s->n_generations, SERVER_DRAIN_MS);
	}
	if (!s->stopping_ns)
		return;
	double ms = clock_ms_since(s->stopping_ns);
	if (ms > SERVER_DRAIN_MS)
		gen_stop_all(s, HOKKU_SHUTTING_DOWN);
	bool idle = s->n_generations == 0 && http_all_sent(s->http);
	if (idle || ms > SERVER_STOP_MS - 200)
		http_stop(s->http);
}

/* ---- the loop's calls ---- */

static void on_gone(void *user, struct http_request *r)
{
	(void)user;
	struct generation *g = http_get_user(r);
	if (g)
		gen_client_gone(g);
}

/* Once: which device it is, and why where nobody said; what the tokenizer's file left open. */
static void tell_device(struct server *s, const struct engine_state *state)
{
	if (state->phase != ENGINE_READY || s->device_told)
		return;
	s->device_told = true;
	log_write(state->device_why_notable ? LOG_WARN : LOG_INFO, "computing on %s%s%s", state->info.device,
		  state->device_why ? ", because " : "", state->device_why ? state->device_why : "");
	log_info("tokenizer %s", state->info.tokenizer);
	for (const char *const *note = state->tokenizer_notes; note && *note; note++)
		log_warn("%s", *note);
}

/* Once: the server stays, so that whoever asks learns why it answers nothing. */
static void tell_loss(struct server *s, const struct engine_state *state)
{
	if (state->phase != ENGINE_LOST || s->loss_told)
		return;
	s->loss_told = true;
	log_error("%s: %s; every request is refused from now on: restart the server when the device works "
		  "again",
		  hokku_code_name(state->failure.code), state->failure.message);
}

static void on_wake(void *user)
{
	struct server *s = user;
	struct engine_state state;
	gen_take_prepared(s);
	gen_take_mail(s);
	gen_take_states(s);
	engine_get_state(s->engine, &state);
	tell_device(s, &state);
	tell_loss(s, &state);
	if (state.phase == ENGINE_FAILED && !s->failure.code) {
		s->failure = state.failure;
		http_stop(s->http);
	}
	go_on_stopping(s);
}

static void on_tick(void *user)
{
	struct server *s = user;
	watch_engine(s);
	gen_tick(s, clock_ns());
	go_on_stopping(s);
}

static void wake_loop(void *user)
{
	struct server *s = user;
	http_wake(s->http);
}

static uint32_t to_ms(float seconds)
{
	return seconds >= 4e6f ? UINT32_MAX : (uint32_t)(seconds * 1000);
}

static enum hokku_code open_http(struct server *s, struct hokku_error *err)
{
	const struct server_config *c = &s->config;
	uint64_t wanted = (uint64_t)c->max_connections + HTTP_REFUSED_CONNECTIONS + 64;
	uint64_t limit = net_raise_fd_limit(wanted);
	if (limit < wanted)
		log_warn("%u connections need %llu file descriptors; the system allows %llu",
			 c->max_connections, (unsigned long long)wanted, (unsigned long long)limit);
	const struct http_config config = {
		.host = c->host,
		.port = (uint16_t)c->port,
		.max_connections = c->max_connections,
		.max_body_bytes = (size_t)c->max_body_bytes,
		.max_reading_bytes = SERVER_MAX_READING_BYTES > c->max_body_bytes * 2
					     ? SERVER_MAX_READING_BYTES
					     : (size_t)c->max_body_bytes * 2,
		.unread = {SERVER_SENDING_BYTES, (size_t)c->max_unread_bytes, SERVER_MAX_HELD_BYTES},
		.idle_ms = to_ms(c->idle_timeout_s),
		.read_ms = to_ms(c->read_timeout_s),
		.write_ms = to_ms(c->write_timeout_s),
		.on_request = on_request,
		.on_gone = on_gone,
		.on_wake = on_wake,
		.on_tick = on_tick,
		.error_body = make_error_body,
		.user = s,
	};
	return http_open(&config, &s->http, err);
}

/* Whether Host and Origin are looked at, and a warning where that would not help. */
static void choose_guard(struct server *s)
{
	const struct hosts *hosts = &s->config.hosts;
	const char *url = http_url(s->http);
	bool open = !s->keys && !http_is_loopback(s->http);
	bool all = strstr(url, "//0.0.0.0:") || strstr(url, "//[::]:");
	s->guarded = !hosts->any && (hosts->n > 0 || (!s->keys && !open));
	if (open)
		log_warn(
			"every machine that can reach %s%s%s may use this server, as no keys are asked for; "
			"close it with --api-key-file FILE, or with --host 127.0.0.1 to all but this machine",
			all ? "this one (" : "", url, all ? ")" : "");
}

/* What each key may use; without keys all is owner 0's. */
static enum hokku_code set_owners(struct server *s, struct hokku_error *err)
{
	s->n_owners = s->keys ? keys_count(s->keys) : 0;
	s->allowances = calloc((size_t)s->n_owners + 1, sizeof *s->allowances);
	if (!s->allowances)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the limits of %" PRIu32 " keys",
			       s->n_owners);
	s->allowances[0].tokens_per_minute = KEYS_UNLIMITED;
	for (uint32_t i = 1; i <= s->n_owners; i++)
		s->allowances[i].tokens_per_minute = keys_get(s->keys, i)->tokens_per_minute;
	return HOKKU_OK;
}

static enum hokku_code create_engine(struct server *s, struct hokku_error *err)
{
	struct engine_limits *limits = calloc((size_t)s->n_owners + 1, sizeof *limits);
	if (!limits)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the limits of %" PRIu32 " keys",
			       s->n_owners);
	for (uint32_t i = 0; i < s->n_owners; i++) {
		const struct key *key = keys_get(s->keys, i + 1);
		limits[i] = (struct engine_limits){key->running, key->waiting};
	}
	s->config.engine.owners = limits;
	s->config.engine.n_owners = s->n_owners;
	enum hokku_code rc = engine_create(&s->config.engine, &s->engine, err);
	s->config.engine.owners = NULL;
	free(limits);
	return rc;
}

static enum hokku_code server_open(struct server *s, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	if (s->config.api_key_file)
		rc = keys_load(s->config.api_key_file, &s->keys, err);
	if (rc == HOKKU_OK)
		rc = set_owners(s, err);
	if (rc == HOKKU_OK)
		rc = open_http(s, err);
	if (rc)
		return rc;
	choose_guard(s);
	s->config.engine.on_state = wake_loop;
	s->config.engine.user = s;
	s->config.engine.states = s->config.state_dir != NULL;
	s->config.engine.prompt_logprobs = true;
	rc = create_engine(s, err);
	if (rc == HOKKU_OK)
		rc = prepare_create(s->engine,
				    &(struct prepare_chat){s->config.chat_kwargs, s->config.chat_now},
				    s->config.engine.max_queue + ENGINE_MAX_PARALLEL, s->n_owners, wake_loop,
				    s, &s->prepare, err);
	if (rc == HOKKU_OK && s->config.state_dir)
		rc = states_create(s->engine, s->config.state_dir, wake_loop, s, &s->states, err);
	return rc;
}

_Static_assert(KEYS_UNLIMITED == ENGINE_UNLIMITED, "limits go from keys to the engine as they are");
_Static_assert((int)SALTS_OWNERS == (int)KEYS_MAX + 1, "a key is an owner");

/* A device that has stopped answering must not keep the process: it ends with everything as it is. Not by
 * exit(), whose handlers would wait for the device too. */
static void end_within_time(struct server *s)
{
	double left = SERVER_STOP_MS - 100 - (s->stopping_ns ? clock_ms_since(s->stopping_ns) : 0);
	if (engine_stop(s->engine, left > 100 ? (uint32_t)left : 100))
		return;
	log_error("the device does not answer: the server ends without it");
	fflush(NULL);
	_exit(0);
}

/* Nor must a disk: a state that is being written has no name yet, and none is lost. */
static void states_end_within_time(struct server *s)
{
	double left = SERVER_STOP_MS - 50 - (s->stopping_ns ? clock_ms_since(s->stopping_ns) : 0);
	if (states_stop(s->states, left > 50 ? (uint32_t)left : 50))
		return;
	log_error("the disk does not answer: the server ends without the state that was to be saved");
	fflush(NULL);
	_exit(0);
}

enum hokku_code server_run(const struct server_config *config, struct hokku_error *err)
{
	struct sigaction before[4];
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the server");
	s->config = *config;
	s->started_ns = clock_ns();
	watchdog_init(&s->watchdog, (double)config->watchdog_timeout_s);
	mailbox_init(&s->mailbox);
	json_object_seed(0); /* once, before there are threads */
	enum hokku_code rc = server_open(s, err);
	bool running = rc == HOKKU_OK;
	if (running) {
		set_handlers(s->http, before);
		s->config.on_listening(http_url(s->http));
		http_run(s->http);
		rc = s->failure.code;
		if (rc && err)
			*err = s->failure;
		end_within_time(s);
	}
	/* The other threads end first: they put things in the mailbox and wake the loop. */
	prepare_destroy(s->prepare);
	if (running)
		states_end_within_time(s);
	states_destroy(s->states);
	gen_drop_shapes(s);
	if (s->engine)
		engine_destroy(s->engine, 0);
	s->engine = NULL;
	if (running)
		restore_handlers(before);
	http_close(s->http);
	gen_free_all(s);
	cancel_forget_early(s);
	keys_free(s->keys);
	free(s->allowances);
	mailbox_deinit(&s->mailbox);
	free(s);
	return rc;
}
