#include "server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/salts.h"
#include "server/answer.h"
#include "server/cancel.h"
#include "server/generate.h"
#include "server/health.h"
#include "server/net.h"
#include "server/responses.h"
#include "server/routes.h"

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
		.response_store_bytes = 64 * 1024 * 1024,
		.response_ttl_s = 3600,
	};
	c->engine.max_queue = ENGINE_MAX_QUEUE;
	c->engine.itl_ms = PACE_TARGET_MS;
	c->engine.kv_grows = true;
}

static void make_error_body(enum hokku_code code, const char *text, struct strbuf *out)
{
	answer_error(out, code, text, NULL);
}

/* ---- stopping ---- */

static atomic_int n_signals; /* any thread may be the one that handles a signal */
static struct http *signal_http; /* set while handlers are in place */

static void on_signal(int number)
{
	(void)number;
	int error = errno;
	if (atomic_fetch_add(&n_signals, 1) > 0)
		_exit(130);
	http_wake(signal_http);
	errno = error;
}

static void set_handlers(struct http *http, struct sigaction before[4])
{
	struct sigaction handle = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	atomic_store(&n_signals, 0);
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
	if (atomic_load(&n_signals) && !s->stopping_ns) {
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

static void on_request(void *user, struct http_request *r)
{
	routes_answer(user, r);
}

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
	health_watch_engine(s);
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

/* What the server's options give to prompts and shapes: answers differ where it does. */
static void tell_apart(const struct server_config *c, struct strbuf *out)
{
	char now[20];
	strbuf_add_c(out, "kwargs ");
	if (c->chat_kwargs)
		jv_write(c->chat_kwargs, out);
	if (c->chat_now)
		strbuf_addf(out, " now %s", (jinja_time_text(c->chat_now, now), now));
	if (c->engine.dialect)
		strbuf_addf(out, " dialect %s", dialect_name(c->engine.dialect));
	strbuf_add_c(out, c->thinking_is_text ? " thinking is text" : "");
	strbuf_add_c(out, c->keep_billing_header ? " billing" : "");
}

static enum hokku_code server_open(struct server *s, struct hokku_error *err)
{
	struct strbuf apart = {0};
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
	tell_apart(&s->config, &apart);
	s->config.engine.fingerprint_of = apart.ptr;
	rc = apart.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a server")
			  : create_engine(s, err);
	s->config.engine.fingerprint_of = NULL;
	strbuf_free(&apart);
	s->responses = responses_new(s->config.response_store_bytes, s->config.response_ttl_s);
	if (!s->responses)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for responses");
	if (rc == HOKKU_OK)
		rc = prepare_create(s->engine,
				    &(struct prepare_chat){.kwargs = s->config.chat_kwargs,
							   .now = s->config.chat_now,
							   .thinking_is_text = s->config.thinking_is_text,
							   .responses = s->responses},
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
	responses_free(s->responses);
	free(s->allowances);
	mailbox_deinit(&s->mailbox);
	free(s);
	return rc;
}
