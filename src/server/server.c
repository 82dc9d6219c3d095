#include "server/server.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "server/access.h"
#include "server/answer.h"
#include "server/cancel.h"
#include "server/generate.h"
#include "server/health.h"
#include "server/hosting.h"
#include "server/net.h"
#include "server/renew.h"
#include "server/responses.h"
#include "server/routes.h"
#include "server/signals.h"
#include "server/tls.h"

void server_defaults(struct server_config *c)
{
	static const char *const loopback[] = {"127.0.0.1"};
	*c = (struct server_config){
		.listen = loopback,
		.n_listen = 1,
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
		.models_keep_alive_ns = SERVER_MODELS_KEEP_ALIVE_S * 1e9,
	};
	c->engine.max_queue = ENGINE_MAX_QUEUE;
	c->engine.itl_ms = PACE_TARGET_MS;
	c->engine.kv_grows = true;
}

static int make_error_body(void *user, const char *path, enum hokku_code code, int status, const char *text,
			   struct strbuf *out)
{
	const struct api *api = path ? routes_api_asked(user, path) : &api_native;
	if (api->refused)
		return api->refused(out, code, status, text, NULL);
	api->error(out, code, text, NULL);
	return status;
}

/* ---- stopping ---- */

/* Once told to stop: refuses, waits for what runs, in the end cancels it. */
static void go_on_stopping(struct server *s)
{
	if (signals_stop() && !s->stopping_ns) {
		s->stopping_ns = clock_ns();
		for (struct hosted *h = s->hosted; h; h = h->next) {
			if (!h->engine)
				continue;
			engine_close_door(h->engine);
			engine_close_shapes(h->engine); /* their requests would be refused */
		}
		notify_send("STOPPING=1");
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

/* The service manager restarts what does not tell for too long: a loop that hangs, and a device or a step
 * that only a restart mends. */
static void tell_watchdog(struct server *s)
{
	if (!s->watched_ms || clock_ms_since(s->told_ns) < s->watched_ms / 3 || health_is_lost(s))
		return;
	s->told_ns = clock_ns();
	notify_send("WATCHDOG=1");
}

/* ---- the loop's calls ---- */

static void on_request(void *user, struct http_request *r)
{
	routes_answer(user, r);
}

static void on_answered(void *user, struct http_request *r, int status)
{
	access_end(user, r, status);
}

static void on_refused(void *user, int status)
{
	access_refused(user, status);
}

static void on_gone(void *user, struct http_request *r)
{
	struct generation *g = http_get_user(r);
	if (g)
		gen_client_gone(g);
	access_end(user, r, 0);
}

static void on_wake(void *user)
{
	struct server *s = user;
	struct engine_state state;
	gen_take_prepared(s);
	gen_take_mail(s);
	gen_take_states(s);
	for (struct hosted *h = s->hosted; h; h = h->next) {
		if (!h->engine)
			continue;
		engine_get_state(h->engine, &state);
		hosted_tell(h, &state);
		if (state.phase == ENGINE_FAILED && !s->failure.code && !s->shelf) {
			s->failure = state.failure;
			http_stop(s->http);
		}
	}
	hosting_go_on(s);
	if (signals_renew() && !s->stopping_ns)
		renew_files(s);
	go_on_stopping(s);
}

static void on_tick(void *user)
{
	struct server *s = user;
	health_watch_engines(s);
	gen_tick(s, clock_ns());
	hosting_go_on(s);
	go_on_stopping(s);
	tell_watchdog(s);
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
		.hosts = c->listen,
		.n_hosts = c->n_listen,
		.inherited = &c->inherited,
		.tls = s->tls,
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
		.on_answered = on_answered,
		.on_refused = on_refused,
		.on_wake = on_wake,
		.on_tick = on_tick,
		.error_body = make_error_body,
		.user = s,
	};
	return http_open(&config, &s->http, err);
}

static void warn_of_listener(const struct net_listener *l)
{
	bool all = strstr(l->url, "//0.0.0.0:") || strstr(l->url, "//[::]:");
	if (l->reach == NET_OPEN)
		log_warn(
			"every machine that can reach %s%s%s may use this server, as no keys are asked for; "
			"close it with --api-key-file FILE, or with --host 127.0.0.1 to all but this machine",
			all ? "this one (" : "", l->url, all ? ")" : "");
	if (l->file.others)
		log_warn(
			"everybody on this machine may use this server by %s, as all may write to it and no keys are "
			"asked for; close it with --api-key-file FILE, or with a umask of 007 or 077",
			l->url);
}

/* Whether Host and Origin are looked at, and a warning where that would not help. */
static void choose_guard(struct server *s)
{
	const struct hosts *hosts = &s->config.hosts;
	const struct net_listener *l;
	s->guarded = !hosts->any && hosts->n > 0;
	s->guards_loopback = !hosts->any && !s->config.api_key_file;
	for (uint32_t i = 0; !s->config.api_key_file && (l = http_listener(s->http, i)); i++)
		warn_of_listener(l);
	if (s->config.origins.any && !s->config.api_key_file)
		log_warn(
			"every page in a browser that can reach this server may use it and read its answers, as "
			"--cors-origins is * and no keys are asked for");
	else if (!s->config.api_key_file && origins_allow(&s->config.origins, STR_LIT("null")))
		log_warn(
			"any page in a browser that can reach this server may use it and read its answers through a "
			"sandboxed frame, whose origin is null, as --cors-origins has null and no keys are asked for");
}

/* What each key may use; without keys all is owner 0's. */
static enum hokku_code set_owners(struct server *s, struct hokku_error *err)
{
	s->n_owners = s->keys ? keys_most(s->keys) : 0; /* those that may come too */
	s->allowances = calloc((size_t)s->n_owners + 1, sizeof *s->allowances);
	if (!s->allowances)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the limits of %" PRIu32 " keys",
			       s->n_owners);
	if (!metrics_init(&s->requests, routes_count(), s->n_owners, METRICS_MAX_SERIES))
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the counts of %" PRIu32 " keys",
			       s->n_owners);
	s->allowances[0].tokens_per_minute = KEYS_UNLIMITED;
	for (uint32_t i = 1; s->keys && i <= keys_count(s->keys); i++)
		s->allowances[i].tokens_per_minute = keys_get(s->keys, i)->tokens_per_minute;
	return HOKKU_OK;
}

/* The model that the server was started with. */
static enum hokku_code host_one(struct server *s, struct hokku_error *err)
{
	s->hosted = calloc(1, sizeof *s->hosted);
	if (!s->hosted)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a server");
	s->hosted->server = s;
	return hosted_open(s->hosted, err);
}

static enum hokku_code server_open(struct server *s, struct hokku_error *err)
{
	enum hokku_code rc = notify_watchdog(&s->watched_ms, err);
	if (rc == HOKKU_OK && s->config.api_key_file)
		rc = keys_load(s->config.api_key_file, &s->keys, err);
	if (rc == HOKKU_OK && s->config.admin_key)
		rc = keys_add_admin(&s->keys, s->config.admin_key, err);
	if (rc == HOKKU_OK)
		rc = set_owners(s, err);
	if (rc == HOKKU_OK)
		rc = page_open(&s->page, err);
	if (rc == HOKKU_OK && s->config.ssl_cert_file)
		rc = tls_load(s->config.ssl_cert_file, s->config.ssl_key_file, &s->tls, err);
	if (rc == HOKKU_OK)
		rc = open_http(s, err);
	if (rc == HOKKU_OK && s->tls)
		log_info("TLS with the certificate of %s", tls_words(s->tls));
	if (rc)
		return rc;
	choose_guard(s);
	s->responses = responses_new(s->config.response_store_bytes, s->config.response_ttl_s);
	if (!s->responses)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for responses");
	return hosting_wanted(&s->config) ? hosting_open(s, err) : host_one(s, err);
}

/* A device that has stopped answering must not keep the process: it ends with everything as it is. Not by
 * exit(), whose handlers would wait for the device too. */
static void end_within_time(struct server *s)
{
	for (struct hosted *h = s->hosted; h; h = h->next) {
		double left = SERVER_STOP_MS - 100 - (s->stopping_ns ? clock_ms_since(s->stopping_ns) : 0);
		if (!h->engine || engine_stop(h->engine, left > 100 ? (uint32_t)left : 100))
			continue;
		log_error("the device does not answer: the server ends without it");
		fflush(NULL);
		_exit(0);
	}
}

/* The other threads end first: they put things in the mailbox and wake the loop. Nor must a disk keep the
 * process: a state that is being written has no name yet, and none is lost. */
static void close_models(struct server *s, bool running)
{
	for (struct hosted *h = s->hosted; h; h = h->next) {
		double left = SERVER_STOP_MS - 50 - (s->stopping_ns ? clock_ms_since(s->stopping_ns) : 0);
		prepare_destroy(h->prepare);
		h->prepare = NULL;
		if (!running || states_stop(h->states, left > 50 ? (uint32_t)left : 50))
			continue;
		log_error("the disk does not answer: the server ends without the state that was to be saved");
		fflush(NULL);
		_exit(0);
	}
	if (!hosting_stop(s, running ? SERVER_STOP_MS - 50 : UINT32_MAX)) {
		log_error("the device does not answer: the server ends without it");
		fflush(NULL);
		_exit(0);
	}
	gen_drop_shapes(s);
	for (struct hosted *h = s->hosted; h; h = h->next)
		hosted_close(h);
	s->closing = true;
}

enum hokku_code server_run(const struct server_config *config, struct hokku_error *err)
{
	struct signals signals;
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the server");
	s->config = *config;
	s->started_ns = clock_ns();
	mailbox_init(&s->mailbox);
	json_object_seed(0); /* once, before there are threads */
	enum hokku_code rc = server_open(s, err);
	bool running = rc == HOKKU_OK;
	if (running) {
		signals_begin(&signals, s->http);
		for (uint32_t i = 0; http_listener(s->http, i); i++)
			s->config.on_listening(http_listener(s->http, i)->url);
		notify_send("READY=1");
		http_run(s->http);
		rc = s->failure.code;
		if (rc && err)
			*err = s->failure;
		end_within_time(s);
	}
	close_models(s, running);
	if (running)
		signals_end(&signals);
	http_close(s->http);
	tls_free(s->tls);
	page_close(&s->page);
	gen_free_all(s);
	hosting_close(s);
	cancel_forget_early(s);
	keys_free(s->keys);
	responses_free(s->responses);
	free(s->allowances);
	metrics_deinit(&s->requests);
	mailbox_deinit(&s->mailbox);
	free(s);
	return rc;
}
