/* The sockets that listen, the loop, and its clocks. */
#include "server/http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/tls.h"

/* ---- clocks ---- */

static uint64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (to_ns - from_ns) / 1000000 : 0;
}

static void conn_check_clock(struct conn *c, uint64_t now)
{
	const struct http_config *config = &c->http->config;
	uint64_t age_ms = ms_between(c->since_ns, now);
	switch (c->state) {
	case CONN_IDLE:
		/* A handshake is the beginning of a request. */
		if (age_ms > config->idle_ms ||
		    (age_ms > config->read_ms && c->door->tls && !tls_is_up(c->bev)))
			conn_drop(c);
		break;
	case CONN_READING:
		if (age_ms > config->read_ms) {
			c->fault.status = 408;
			conn_refuse(c);
		}
		break;
	case CONN_HANDLING:
		if (conn_is_broken(c)) {
			conn_drop(c);
			break;
		}
		/* fall through */
	case CONN_SENDING:
		if (conn_sending(c) > 0 && ms_between(c->progress_ns, now) > config->write_ms) {
			log_info("a client took nothing of its answer for %u ms: dropped", config->write_ms);
			conn_drop(c);
		}
		break;
	case CONN_LEAVING:
		if (age_ms > HTTP_LEAVING_MS)
			conn_drop(c);
		break;
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	(void)fd;
	(void)what;
	uint64_t now = clock_ns();
	for (struct conn *c = h->conns, *next; c; c = next) {
		next = c->next;
		if (unread_is_due(&h->config.unread, conn_sending(c), &c->held))
			conn_release_held(c);
		if (c->evcon)
			conn_check_clock(c, now);
	}
	for (uint32_t i = 0; i < h->n_doors; i++)
		evconnlistener_enable(h->doors[i].listener); /* in case on_accept_error paused it */
	h->config.on_tick(h->config.user);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	(void)what;
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof count);
	(void)n;
	h->config.on_wake(h->config.user);
}

/* accept() failed for want of descriptors or memory: trying at once would only spin. on_tick goes on. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	static uint64_t said_ns; /* once in ten seconds is enough */
	(void)arg;
	if (said_ns == 0 || clock_ms_since(said_ns) > 10000) {
		log_warn("no connection can be accepted now (%s); trying on", strerror(errno));
		said_ns = clock_ns();
	}
	evconnlistener_disable(listener);
}

/* ---- the server ---- */

static void on_libevent_log(int severity, const char *text)
{
	log_write(severity >= EVENT_LOG_WARN ? LOG_WARN : LOG_DEBUG, "libevent: %s", text);
}

static bool make_base(struct http *h)
{
	event_set_log_callback(on_libevent_log);
	struct event_config *config = event_config_new();
	if (!config)
		return false;
	/* Without it a vanished client would go unnoticed; epoll has it. */
	event_config_require_features(config, EV_FEATURE_EARLY_CLOSE);
	h->base = event_base_new_with_config(config);
	event_config_free(config);
	return h->base != NULL;
}

/* Each door has an evhttp of its own, as that knows no more of where a connection came from. */
static bool make_evhttp(struct door *d)
{
	struct http *h = d->http;
	d->evhttp = evhttp_new(h->base);
	if (!d->evhttp)
		return false;
	d->listener = evconnlistener_new(h->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
					 0, d->at.fd);
	if (!d->listener)
		return false;
	d->at.fd = -1; /* the listener's */
	if (!evhttp_bind_listener(d->evhttp, d->listener)) {
		evconnlistener_free(d->listener);
		d->listener = NULL;
		return false;
	}
	evconnlistener_set_error_cb(d->listener, on_accept_error);
	evhttp_set_bevcb(d->evhttp, conn_on_new, d);
	evhttp_set_gencb(d->evhttp, conn_on_request, d);
	evhttp_set_allowed_methods(d->evhttp, UINT16_MAX); /* the routes decide, and say so in JSON */
	evhttp_set_max_headers_size(d->evhttp, HTTP_MAX_HEADER_BYTES);
	evhttp_set_max_body_size(d->evhttp, (ev_ssize_t)h->config.max_body_bytes);
	evhttp_set_default_content_type(d->evhttp, NULL);
	/* Chunks past the limit are read to their end and thrown away: their sender gets to read the 413. */
	evhttp_set_flags(d->evhttp, EVHTTP_SERVER_LINGERING_CLOSE);
	return true;
}

_Static_assert((int)INHERITED_MAX <= (int)HTTP_MAX_HOSTS, "a door for each");

static void add_door(struct http *h)
{
	struct door *d = &h->doors[h->n_doors++];
	d->http = h;
	d->tls = h->config.tls && d->at.reach != NET_FILE;
}

static enum hokku_code take_doors(struct http *h, struct hokku_error *err)
{
	const struct inherited *all = h->config.inherited;
	for (uint32_t i = 0; i < all->n; i++) {
		enum hokku_code rc = net_adopt(INHERITED_FIRST + (int)i, all->names[i], h->config.tls != NULL,
					       &h->doors[i].at, err);
		if (rc)
			return rc;
		add_door(h);
	}
	return HOKKU_OK;
}

/* Where several addresses have a port that is any free one, it is the same of all. */
static enum hokku_code open_doors(struct http *h, struct hokku_error *err)
{
	uint16_t port = h->config.port;
	uint32_t n = h->config.n_hosts;
	if (h->config.inherited && h->config.inherited->n)
		return take_doors(h, err);
	if (n == 0 || n > HTTP_MAX_HOSTS)
		return err_set(err, HOKKU_INVALID_REQUEST, "--host is given %u times; it takes 1 to %d", n,
			       HTTP_MAX_HOSTS);
	for (uint32_t i = 0; i < n; i++) {
		struct door *d = &h->doors[i];
		enum hokku_code rc = net_listen(h->config.hosts[i], port, n > 1, h->config.tls, &d->at, err);
		if (rc)
			return rc;
		add_door(h);
		port = d->at.port ? d->at.port : port;
	}
	return HOKKU_OK;
}

static bool make_events(struct http *h)
{
	static const struct timeval interval = {HTTP_TICK_MS / 1000, HTTP_TICK_MS % 1000 * 1000};
	h->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (h->wake_fd < 0)
		return false;
	h->wake = event_new(h->base, h->wake_fd, EV_READ | EV_PERSIST, on_wake, h);
	h->tick = event_new(h->base, -1, EV_PERSIST, on_tick, h);
	return h->wake && h->tick && event_add(h->wake, NULL) == 0 && event_add(h->tick, &interval) == 0;
}

enum hokku_code http_open(const struct http_config *config, struct http **out, struct hokku_error *err)
{
	*out = NULL;
	struct http *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the HTTP server");
	h->config = *config;
	h->wake_fd = -1;
	enum hokku_code rc = open_doors(h, err);
	bool made = rc == HOKKU_OK && make_base(h) && make_events(h);
	for (uint32_t i = 0; made && i < h->n_doors; i++)
		made = make_evhttp(&h->doors[i]);
	if (rc == HOKKU_OK && !made)
		rc = err_set(err, HOKKU_INTERNAL, "the event loop cannot be set up: %s", strerror(errno));
	if (rc) {
		http_close(h);
		return rc;
	}
	*out = h;
	return HOKKU_OK;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	for (uint32_t i = 0; i < h->n_doors; i++) {
		net_remove(
			&h->doors[i]
				 .at.file); /* while it listens: then nobody else can have taken its place */
		if (h->doors[i].evhttp)
			evhttp_free(h->doors[i].evhttp);
		if (h->doors[i].at.fd >= 0)
			close(h->doors[i].at.fd);
	}
	while (h->conns)
		conn_forget(h->conns);
	if (h->wake)
		event_free(h->wake);
	if (h->tick)
		event_free(h->tick);
	if (h->wake_fd >= 0)
		close(h->wake_fd);
	if (h->base)
		event_base_free(h->base);
	libevent_global_shutdown();
	free(h);
}

const struct net_listener *http_listener(const struct http *h, uint32_t i)
{
	return i < h->n_doors ? &h->doors[i].at : NULL;
}

void http_run(struct http *h)
{
	event_base_dispatch(h->base);
}

void http_stop(struct http *h)
{
	event_base_loopbreak(h->base);
}

void http_wake(struct http *h)
{
	static const uint64_t one = 1;
	ssize_t n = write(h->wake_fd, &one, sizeof one);
	(void)n; /* a full counter wakes as well */
}

uint32_t http_n_connections(const struct http *h)
{
	return h->n_conns;
}

size_t http_reading_bytes(const struct http *h)
{
	return h->reading_bytes;
}

size_t http_held_bytes(const struct http *h)
{
	return h->held_bytes;
}

bool http_all_sent(const struct http *h)
{
	for (const struct conn *c = h->conns; c; c = c->next)
		if (c->state == CONN_SENDING)
			return false;
	return true;
}
