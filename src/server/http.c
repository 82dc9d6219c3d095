/*
 * The one file that knows libevent's evhttp (2.1). What was learnt of it, and how each point is met here:
 *
 * - It does not notice that a client went away while nothing was written to it: its connection does not read
 * then. Enabling EV_READ there is no way out (a pipelined request ends the process), so an event of our own
 * watches the descriptor while a request is being handled: EV_CLOSED for an orderly end, and EV_READ, because
 * libevent reports a reset as that. Once data lies there unread, EV_READ would never rest: it is left out
 * from then on, and every tick asks instead.
 * - It has no cap on connections and no clock for a request that trickles in. A record for every connection
 * is made in the bufferevent callback; the evhttp_connection that belongs to it is the callback argument
 * evhttp puts on its bufferevent, read back one loop turn later (conn_adopt), which allows a close callback
 * from the start.
 * - It makes HTML pages for what it refuses (400, 413, 417). Nothing else is ever written while a request is
 * being read, so such a page is seen by a callback on the output buffer and replaced before the loop can send
 * it.
 * - It takes a body's length from the first Content-Length and ignores what else is said of it, takes "+5"
 * and "0x5" for the size of a chunk, trailers for headers, and an empty line for a broken request. Every byte
 * is judged here (framing.h) before evhttp gets to see it, and what is faulty is answered at once.
 * - While an answer is written it reads ahead without a limit: a high-water mark bounds that.
 */
#include "server/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/framing.h"
#include "server/net.h"
#include "server/refusal.h"

enum conn_state {
	CONN_IDLE,     /* waits for the first byte of a request */
	CONN_READING,  /* a request is coming in */
	CONN_HANDLING, /* the upper layer has the request */
	CONN_SENDING,  /* the answer is complete and being sent */
	CONN_LEAVING, /* refused and told so; what still comes is thrown away, so that the answer gets read */
};

struct http_request {
	struct conn *conn;
	struct evhttp_request *req;
	void *user;
	uint32_t owner;
	bool open;  /* the upper layer holds it */
	int status; /* of a stream */
	_Alignas(16) unsigned char note[HTTP_NOTE_BYTES];
};

struct conn {
	struct http *http;
	struct conn *next, *prev;
	struct bufferevent *bev;         /* owned by evcon; we hold a reference until it is adopted */
	struct evhttp_connection *evcon; /* NULL until adopted */
	struct event *fix;    /* runs conn_fix in the same loop turn, outside of evhttp's functions */
	struct event *closed; /* the client's end, while HANDLING */
	enum conn_state state;
	bool refused;           /* past the cap */
	bool doomed;            /* conn_fix will drop it */
	bool page;              /* evhttp wrote a page of its own */
	struct framing framing; /* of the request that is coming in, then of the one that is handled */
	struct framing_fault
		fault;        /* told to the client, then closed; evhttp's view does not count any more */
	uint64_t since_ns;    /* of the state's clock */
	uint64_t progress_ns; /* when the client last took something, or there was nothing to take */
	size_t read_bytes;    /* of the request that is coming in */
	struct strbuf held;   /* of the answer: what is not given to evhttp yet */
	struct http_request request;
};

struct http {
	struct http_config config;
	struct event_base *base;
	struct evhttp *evhttp;
	struct evconnlistener *listener;
	struct event *wake, *tick;
	int wake_fd;
	struct conn *conns;
	uint32_t n_conns;
	size_t reading_bytes, held_bytes;
	char url[128];
};

/* ---- the life of a connection ---- */

static void conn_set_state(struct conn *c, enum conn_state state)
{
	/* One that leaves still holds the chunks that evhttp has taken; everything else has been freed. */
	size_t kept = state == CONN_LEAVING ? (size_t)c->framing.n_body : 0;
	kept = kept < c->read_bytes ? kept : c->read_bytes;
	c->http->reading_bytes -= c->read_bytes - kept;
	c->read_bytes = kept;
	c->state = state;
	c->since_ns = clock_ns();
}

static void conn_unwatch(struct conn *c)
{
	if (c->closed)
		event_free(c->closed);
	c->closed = NULL;
}

static void conn_free(struct conn *c)
{
	conn_set_state(c, CONN_IDLE);
	conn_unwatch(c);
	unread_forget(&c->held, &c->http->held_bytes);
	if (c->fix)
		event_free(c->fix);
	strbuf_free(&c->framing.head);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->http->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->http->n_conns--;
	free(c);
}

/* evhttp is about to free the connection. A request that was cut off in its middle has been taken off the
 * connection by then and is ours to free; any other is freed with it. */
static void on_close(struct evhttp_connection *evcon, void *arg)
{
	struct conn *c = arg;
	(void)evcon;
	struct http *h = c->http;
	struct http_request *r = &c->request;
	if (r->open) {
		r->open = false;
		if (!evhttp_request_get_connection(r->req))
			evhttp_request_free(r->req);
		h->config.on_gone(h->config.user, r);
	}
	conn_free(c);
}

/* Never from within one of evhttp's callbacks: see conn_doom. */
static void conn_drop(struct conn *c)
{
	evhttp_connection_free(c->evcon);
}

/* Drops c in this loop turn, but not from within the present call. */
static void conn_doom(struct conn *c)
{
	c->doomed = true;
	event_active(c->fix, EV_TIMEOUT, 0);
}

/* Answers c with status and its own text and closes it; as conn_doom. The first fault is the one that is
 * told. */
static void conn_refuse_soon(struct conn *c, int status)
{
	if (!c->fault.status)
		c->fault.status = status;
	event_active(c->fix, EV_TIMEOUT, 0);
}

/* The newest n bytes of the input are the next of the request that is coming in. evhttp has not seen them. */
static void conn_judge(struct conn *c, size_t n)
{
	const struct framing_limits limits = {HTTP_MAX_HEADER_BYTES, c->http->config.max_body_bytes};
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_ptr at;
	struct evbuffer_iovec part;
	size_t from = evbuffer_get_length(in) - n, n_empty = c->framing.n_empty;
	while (n > 0 && c->framing.part != FRAMING_OVER && !c->fault.status && !c->framing.head.failed) {
		if (evbuffer_ptr_set(in, &at, from, EVBUFFER_PTR_SET) != 0 ||
		    evbuffer_peek(in, (ev_ssize_t)n, &at, &part, 1) < 1 || part.iov_len == 0)
			return;
		size_t some = part.iov_len < n ? part.iov_len : n;
		framing_take(&c->framing, part.iov_base, some, &limits, &c->fault);
		from += some;
		n -= some;
	}
	/* Nothing of this request has come before its empty lines, so they are the first of the input. */
	evbuffer_drain(in, c->framing.n_empty - n_empty);
	if (c->framing.head.failed)
		conn_refuse_soon(c, 503);
	else if (c->fault.status)
		event_active(c->fix, EV_TIMEOUT, 0);
}

static void on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;
	struct http *h = c->http;
	(void)buffer;
	if (info->n_added == 0 || (c->state != CONN_IDLE && c->state != CONN_READING))
		return;
	conn_judge(c, info->n_added);
	if (c->state == CONN_IDLE && c->framing.part == FRAMING_BEFORE)
		return; /* empty lines alone are no request that takes its time */
	if (c->state == CONN_IDLE)
		conn_set_state(c, CONN_READING);
	/* A body past its limit is thrown away as it comes, so it is not counted further. */
	size_t most = h->config.max_body_bytes + HTTP_MAX_HEADER_BYTES;
	size_t n = info->n_added < most - c->read_bytes ? info->n_added : most - c->read_bytes;
	c->read_bytes += n;
	h->reading_bytes += n;
	if (h->reading_bytes > h->config.max_reading_bytes)
		conn_refuse_soon(c, 503);
}

static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;
	(void)buffer;
	if (info->n_deleted || info->orig_size == 0)
		c->progress_ns = clock_ns();
	if (info->n_added && (c->state == CONN_IDLE || c->state == CONN_READING) && !c->page) {
		c->page = true;
		event_active(c->fix, EV_TIMEOUT, 0);
	}
}

/* One loop turn after bevcb: evhttp has made its connection by now and put it on the bufferevent. */
static void conn_adopt(struct conn *c)
{
	struct http *h = c->http;
	void *evcon = NULL;
	bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
	struct bufferevent *bev = c->bev;
	if (!evcon) { /* evhttp gave up on it for want of memory */
		conn_free(c);
		bufferevent_decref(bev);
		return;
	}
	bufferevent_decref(bev);
	c->evcon = evcon;
	evhttp_connection_set_closecb(c->evcon, on_close, c);
	net_tune(bufferevent_getfd(bev), HTTP_SEND_BUFFER_BYTES);
	c->refused = h->n_conns > h->config.max_connections;
	if (h->n_conns > h->config.max_connections + HTTP_REFUSED_CONNECTIONS)
		conn_drop(c);
}

static void conn_limit_read_ahead(struct conn *c)
{
	size_t now = evbuffer_get_length(bufferevent_get_input(c->bev));
	bufferevent_setwatermark(c->bev, EV_READ, 0, now + HTTP_MAX_PIPELINED_BYTES);
}

/* Puts our own page in the place of evhttp's. Nothing of it can have been sent: the loop has not turned
 * since. */
static void conn_replace_page(struct conn *c)
{
	static const char proceed[] = " 100 Continue\r\n\r\n";
	struct evbuffer *out = bufferevent_get_output(c->bev);
	c->page = false;
	char head[64];
	evbuffer_unfreeze(out, 1); /* the bufferevent keeps its front frozen, even to be looked at */
	ssize_t n = evbuffer_copyout(out, head, sizeof head - 1);
	evbuffer_freeze(out, 1);
	head[n > 0 ? n : 0] = '\0';
	char *status_at = strchr(head, ' ');
	if (status_at && strncmp(status_at, proceed, sizeof proceed - 1) == 0)
		status_at = strchr(status_at + sizeof proceed - 1, ' ');
	if (!status_at)
		return;
	struct strbuf page = {0};
	int status = (int)strtol(status_at, NULL, 10);
	refusal_write(&c->http->config, status, NULL, &page);
	conn_set_state(c, CONN_SENDING); /* before anything is written: on_output tells a page by the state */
	evbuffer_unfreeze(out, 1);
	evbuffer_drain(out, evbuffer_get_length(out));
	evbuffer_freeze(out, 1);
	evbuffer_add(out, page.ptr, page.len);
	strbuf_free(&page);
	conn_limit_read_ahead(c);
}

static void on_leaving(evutil_socket_t fd, short what, void *arg)
{
	char bytes[16384];
	(void)what;
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_drop(arg);
}

/* Answers c->fault and takes the connection out of evhttp's hands. Closing a socket with unread bytes resets
 * it, and a reset may overtake the answer: the client gets HTTP_LEAVING_MS to read it. */
static void conn_refuse(struct conn *c)
{
	int fd = bufferevent_getfd(c->bev);
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	struct evbuffer *in = bufferevent_get_input(c->bev), *out = bufferevent_get_output(c->bev);
	conn_set_state(c, CONN_LEAVING);
	evbuffer_drain(in, evbuffer_get_length(in));
	evbuffer_unfreeze(out, 1);
	evbuffer_drain(out, evbuffer_get_length(out));
	evbuffer_freeze(out, 1);
	refusal_send(&c->http->config, fd, c->fault.status, c->fault.text[0] ? c->fault.text : NULL);
	shutdown(fd, SHUT_WR);
	conn_unwatch(c);
	c->closed = event_new(c->http->base, fd, EV_READ | EV_PERSIST, on_leaving, c);
	if (!c->closed || event_add(c->closed, NULL) != 0)
		conn_drop(c);
}

static void conn_fix(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd;
	(void)what;
	if (!c->evcon) {
		conn_adopt(c);
	} else if (c->doomed) {
		conn_drop(c);
	} else if (c->fault.status) {
		if (c->state != CONN_LEAVING)
			conn_refuse(c);
	} else if (c->page) {
		conn_replace_page(c);
	}
}

static struct bufferevent *on_new_connection(struct event_base *base, void *arg)
{
	struct http *h = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
	struct conn *c = calloc(1, sizeof *c);
	if (c)
		c->fix = event_new(base, -1, 0, conn_fix, c);
	if (!bev || !c || !c->fix) {
		free(c);
		return bev; /* unknown connections are refused in on_evhttp_request */
	}
	c->http = h;
	c->bev = bev;
	c->request.conn = c;
	c->since_ns = c->progress_ns = clock_ns();
	c->next = h->conns;
	if (c->next)
		c->next->prev = c;
	h->conns = c;
	h->n_conns++;
	bufferevent_incref(bev);
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	evbuffer_add_cb(bufferevent_get_output(bev), on_output, c);
	event_active(c->fix, EV_TIMEOUT, 0);
	return bev;
}

static void conn_watch(struct conn *c, short what);

static void on_client_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	char byte;
	if (what & EV_CLOSED) {
		conn_drop(c);
		return;
	}
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0)
		conn_watch(c, EV_CLOSED); /* the next request; conn_check_clock sees a reset that follows */
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_drop(c);
}

/* Watches the descriptor until conn_unwatch; what: EV_CLOSED with or without EV_READ. */
static void conn_watch(struct conn *c, short what)
{
	conn_unwatch(c);
	c->closed = event_new(c->http->base, bufferevent_getfd(c->bev), (short)(what | EV_PERSIST),
			      on_client_event, c);
	if (!c->closed || event_add(c->closed, NULL) != 0)
		log_warn("a connection cannot be watched for its end: no memory");
}

/* A client that is gone, or that sent so much behind its request that its going could not be seen any more:
 * its end comes after what nobody reads. */
static bool conn_is_broken(const struct conn *c)
{
	size_t unread;
	return net_is_gone(bufferevent_getfd(c->bev), &unread) ||
	       evbuffer_get_length(bufferevent_get_input(c->bev)) + unread > HTTP_MAX_PIPELINED_BYTES;
}

static void on_complete(struct evhttp_request *req, void *arg)
{
	struct conn *c = arg;
	(void)req;
	conn_unwatch(c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	framing_restart(&c->framing);
	conn_judge(c, evbuffer_get_length(bufferevent_get_input(c->bev)));
	conn_set_state(c, c->framing.part == FRAMING_BEFORE ? CONN_IDLE : CONN_READING);
}

static struct conn *find_conn(struct http *h, struct evhttp_request *req)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
	for (struct conn *c = h->conns; c; c = c->next)
		if (c->bev == bev)
			return c;
	return NULL;
}

/* A body that evhttp did not read (HEAD, unknown methods) would be taken for the next request. */
static bool has_unread_body(const struct http_request *r)
{
	enum http_method m = http_get_method(r);
	return (m == HTTP_HEAD || m == HTTP_DELETE || m == HTTP_OTHER) &&
	       (http_get_header(r, "Content-Length") || http_get_header(r, "Transfer-Encoding"));
}

static void on_evhttp_request(struct evhttp_request *req, void *arg)
{
	struct http *h = arg;
	struct conn *c = find_conn(h, req);
	if (!c || !c->evcon) {
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
		evhttp_send_reply(req, 503, refusal_reason(503), NULL);
		return;
	}
	struct http_request *r = &c->request;
	r->req = req;
	bool unread = has_unread_body(r);
	if (c->framing.part != FRAMING_OVER && !unread)
		conn_refuse_soon(c, 400); /* evhttp sees an end where there is none */
	if (c->fault.status || c->doomed)
		return; /* conn_fix comes next */
	conn_set_state(c, CONN_HANDLING);
	conn_limit_read_ahead(c);
	conn_watch(c, EV_CLOSED | EV_READ);
	evhttp_request_set_on_complete_cb(req, on_complete, c);
	r->user = NULL;
	r->owner = 0;
	r->open = true;
	memset(r->note, 0, sizeof r->note);
	/* After a target that is a whole URL evhttp closes, as it thinks it is a proxy: that is told. */
	if (c->refused || unread || c->framing.closes || c->framing.authority.len)
		http_add_header(r, "Connection", "close");
	h->config.on_request(h->config.user, r);
}

/* ---- answers in pieces ---- */

static size_t conn_sending(const struct conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void conn_send_piece(struct conn *c, struct str bytes)
{
	struct evbuffer *chunk = evbuffer_new();
	if (chunk && evbuffer_add(chunk, bytes.ptr, bytes.len) == 0)
		evhttp_send_reply_chunk(c->request.req, chunk);
	else
		conn_doom(c); /* no memory: better no answer than one with a hole */
	if (chunk)
		evbuffer_free(chunk);
}

static void conn_release_held(struct conn *c)
{
	if (c->held.len && !c->doomed)
		conn_send_piece(c, (struct str){c->held.ptr, c->held.len});
	unread_forget(&c->held, &c->http->held_bytes);
}

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
		if (age_ms > config->idle_ms)
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
	evconnlistener_enable(h->listener); /* in case on_accept_error paused it */
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

static bool make_evhttp(struct http *h, int fd)
{
	h->evhttp = evhttp_new(h->base);
	if (!h->evhttp)
		return false;
	h->listener =
		evconnlistener_new(h->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!h->listener)
		return false;
	if (!evhttp_bind_listener(h->evhttp, h->listener)) {
		evconnlistener_free(h->listener);
		return false;
	}
	evconnlistener_set_error_cb(h->listener, on_accept_error);
	evhttp_set_bevcb(h->evhttp, on_new_connection, h);
	evhttp_set_gencb(h->evhttp, on_evhttp_request, h);
	evhttp_set_allowed_methods(h->evhttp, UINT16_MAX); /* the routes decide, and say so in JSON */
	evhttp_set_max_headers_size(h->evhttp, HTTP_MAX_HEADER_BYTES);
	evhttp_set_max_body_size(h->evhttp, (ev_ssize_t)h->config.max_body_bytes);
	evhttp_set_default_content_type(h->evhttp, NULL);
	/* Chunks past the limit are read to their end and thrown away: their sender gets to read the 413. */
	evhttp_set_flags(h->evhttp, EVHTTP_SERVER_LINGERING_CLOSE);
	return true;
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
	int fd = -1;
	enum hokku_code rc = net_listen(config->host, config->port, &fd, h->url, sizeof h->url, err);
	if (rc == HOKKU_OK && (!make_base(h) || !make_events(h) || !make_evhttp(h, fd))) {
		rc = err_set(err, HOKKU_INTERNAL, "the event loop cannot be set up: %s", strerror(errno));
		if (!h->listener)
			close(fd);
	}
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
	if (h->evhttp)
		evhttp_free(h->evhttp);
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

const char *http_url(const struct http *h)
{
	return h->url;
}

bool http_is_loopback(const struct http *h)
{
	return net_is_loopback(evconnlistener_get_fd(h->listener));
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

/* ---- requests ---- */

enum http_method http_get_method(const struct http_request *r)
{
	/* As in enum http_method. */
	static const char *const names[] = {"GET", "HEAD", "POST", "DELETE", "OPTIONS"};
	unsigned i = 0;
	while (i < HTTP_OTHER && strcmp(names[i], http_get_method_name(r)) != 0)
		i++;
	return (enum http_method)i;
}

const char *http_get_method_name(const struct http_request *r)
{
	return framing_method(&r->conn->framing);
}

const char *http_get_path(const struct http_request *r)
{
	return framing_path(&r->conn->framing);
}

struct str http_get_query(const struct http_request *r)
{
	return framing_query(&r->conn->framing);
}

struct str http_get_authority(const struct http_request *r)
{
	return framing_authority(&r->conn->framing);
}

const char *http_get_header(const struct http_request *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->req), name);
}

bool http_is_refused(const struct http_request *r)
{
	return r->conn->refused;
}

char *http_take_body(struct http_request *r, size_t *n_bytes)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r->req);
	size_t n = evbuffer_get_length(in);
	char *body = malloc(n + 1);
	if (!body)
		return NULL;
	ssize_t taken = evbuffer_remove(in, body, n);
	*n_bytes = taken > 0 ? (size_t)taken : 0;
	body[*n_bytes] = '\0';
	return body;
}

void http_set_user(struct http_request *r, void *user)
{
	r->user = user;
}

void *http_get_user(const struct http_request *r)
{
	return r->user;
}

void http_set_owner(struct http_request *r, uint32_t owner)
{
	r->owner = owner;
}

uint32_t http_get_owner(const struct http_request *r)
{
	return r->owner;
}

void http_skip_path(struct http_request *r, size_t n)
{
	r->conn->framing.path_at += n;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(r->req), name, value);
}

const char *http_get_added(const struct http_request *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_output_headers(r->req), name);
}

void *http_note(struct http_request *r)
{
	return r->note;
}

/* From here on the answer needs no one but the loop. */
static void request_end(struct http_request *r, int status)
{
	const struct http_config *config = &r->conn->http->config;
	if (config->on_answered)
		config->on_answered(config->user, r, status);
	r->open = false;
	conn_unwatch(r->conn);
	conn_set_state(r->conn, CONN_SENDING);
}

void http_reply(struct http_request *r, int status, const char *content_type, struct str body)
{
	char length[24];
	struct evbuffer *out = evbuffer_new();
	request_end(r, status);
	if (content_type)
		http_add_header(r, "Content-Type", content_type);
	if (status != 204) {
		snprintf(length, sizeof length, "%zu", body.len);
		http_add_header(r, "Content-Length", length);
	}
	if (!out || (http_get_method(r) != HTTP_HEAD && evbuffer_add(out, body.ptr, body.len) != 0))
		conn_doom(r->conn); /* no memory: better no answer than half of one */
	evhttp_send_reply(r->req, status, refusal_reason(status), out);
	if (out)
		evbuffer_free(out);
}

void http_stream_start(struct http_request *r, int status, const char *content_type)
{
	r->status = status;
	http_add_header(r, "Content-Type", content_type);
	http_add_header(r, "Cache-Control", "no-store");
	http_add_header(r, "X-Accel-Buffering", "no"); /* proxies that know it pass the pieces on at once */
	evhttp_send_reply_start(r->req, status, refusal_reason(status));
}

void http_stream_send(struct http_request *r, struct str bytes)
{
	struct conn *c = r->conn;
	struct http *h = c->http;
	if (c->doomed)
		return;
	size_t n = conn_sending(c);
	enum unread_step step = unread_take(&h->config.unread, n, bytes, &c->held, &h->held_bytes);
	if (step == UNREAD_SEND)
		conn_send_piece(c, bytes);
	else if (step != UNREAD_HELD) {
		log_info("a client left %zu bytes of its answer unread%s: dropped", n + c->held.len,
			 step == UNREAD_TOO_MUCH_OF_ALL ? ", with too much held back of all" : "");
		conn_doom(c);
	}
}

void http_stream_end(struct http_request *r)
{
	conn_release_held(r->conn);
	request_end(r, r->status);
	evhttp_send_reply_end(r->req);
}
