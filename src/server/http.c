/*
 * Connections. This file, http_server.c and http_request.c are the ones that know libevent's evhttp (2.1),
 * tls.c its bufferevents over OpenSSL. What was learnt of it, and how each point is met here:
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
#include "server/http_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/refusal.h"
#include "server/tls.h"

/* ---- the life of a connection ---- */

void conn_set_state(struct conn *c, enum conn_state state)
{
	/* One that leaves still holds the chunks that evhttp has taken; everything else has been freed. */
	size_t kept = state == CONN_LEAVING ? (size_t)c->framing.n_body : 0;
	kept = kept < c->read_bytes ? kept : c->read_bytes;
	c->http->reading_bytes -= c->read_bytes - kept;
	c->read_bytes = kept;
	c->state = state;
	c->since_ns = clock_ns();
}

void conn_unwatch(struct conn *c)
{
	if (c->closed)
		event_free(c->closed);
	c->closed = NULL;
}

static void on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg);
static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg);

static void conn_free(struct conn *c)
{
	/* A bufferevent over TLS may go on with its buffers after this, until the call that it is in has
	 * ended. */
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	evbuffer_remove_cb(bufferevent_get_output(c->bev), on_output, c);
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
	/* An answer that was cut off must not look like one that has ended. */
	if (c->door->tls && tls_is_up(c->bev) && !r->open && !c->doomed && !c->said && conn_sending(c) == 0)
		tls_say_goodbye(c->bev);
	/* evhttp closes the descriptor before it takes it from the loop: by then its number may be another
	 * thread's. */
	if (!c->door->tls)
		bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	if (r->open) {
		r->open = false;
		if (!evhttp_request_get_connection(r->req))
			evhttp_request_free(r->req);
		h->config.on_gone(h->config.user, r);
	}
	conn_free(c);
}

void conn_drop(struct conn *c)
{
	evhttp_connection_free(c->evcon);
}

void conn_doom(struct conn *c)
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

/* The handshake has ended, one way or another. What came instead of it in plain text is answered so. */
static void on_handshake(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;
	char words[TLS_WORDS_BYTES];
	if (what & BEV_EVENT_CONNECTED) {
		bufferevent_setcb(bev, c->theirs.read, c->theirs.write, c->theirs.event, c->evcon);
		return;
	}
	if (tls_was_plain(bev, words)) {
		snprintf(c->fault.text, sizeof c->fault.text,
			 "this port speaks TLS, and the request came without: write https:// for http://");
		conn_refuse_soon(c, 400);
		return;
	}
	if (words[0])
		log_info("a client's TLS handshake failed: %s", words);
	conn_doom(c);
}

static void conn_await_handshake(struct conn *c)
{
	void *evcon;
	bufferevent_getcb(c->bev, &c->theirs.read, &c->theirs.write, &c->theirs.event, &evcon);
	bufferevent_setcb(c->bev, NULL, NULL, on_handshake, c);
}

/* evhttp has ended: of what it had accepted last, the turn for conn_adopt never came. */
void conn_forget(struct conn *c)
{
	struct bufferevent *bev = c->bev;
	conn_free(c);
	bufferevent_decref(bev);
}

/* One loop turn after bevcb: evhttp has made its connection by now and put it on the bufferevent. */
static void conn_adopt(struct conn *c)
{
	struct http *h = c->http;
	void *evcon = NULL;
	bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
	struct bufferevent *bev = c->bev;
	if (!evcon) { /* evhttp gave up on it for want of memory */
		conn_forget(c);
		return;
	}
	bufferevent_decref(bev);
	c->evcon = evcon;
	if (c->door->tls)
		conn_await_handshake(c);
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

/* The front of the output can be taken from by others than the bufferevent, or not any more. Over TLS it
 * always can. */
static void conn_thaw(const struct conn *c, bool thaw)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	if (c->door->tls)
		return;
	if (thaw)
		evbuffer_unfreeze(out, 1);
	else
		evbuffer_freeze(out, 1);
}

/* Puts our own page in the place of evhttp's. Nothing of it can have been sent: the loop has not turned
 * since. */
static void conn_replace_page(struct conn *c)
{
	static const char proceed[] = " 100 Continue\r\n\r\n";
	struct evbuffer *out = bufferevent_get_output(c->bev);
	c->page = false;
	char head[64];
	conn_thaw(c, true); /* the bufferevent keeps its front frozen, even to be looked at */
	ssize_t n = evbuffer_copyout(out, head, sizeof head - 1);
	conn_thaw(c, false);
	head[n > 0 ? n : 0] = '\0';
	char *status_at = strchr(head, ' ');
	if (status_at && strncmp(status_at, proceed, sizeof proceed - 1) == 0)
		status_at = strchr(status_at + sizeof proceed - 1, ' ');
	if (!status_at)
		return;
	struct strbuf page = {0};
	int status = (int)strtol(status_at, NULL, 10);
	refusal_write(&c->http->config, framing_path_read(&c->framing), status, NULL, &page);
	conn_set_state(c, CONN_SENDING); /* before anything is written: on_output tells a page by the state */
	conn_thaw(c, true);
	evbuffer_drain(out, evbuffer_get_length(out));
	conn_thaw(c, false);
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

/* ---- leaving by TLS ---- */

static void on_tls_rest(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	(void)arg;
	evbuffer_drain(in, evbuffer_get_length(in));
}

static void on_tls_said(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	if (c->said || conn_sending(c) > 0)
		return;
	c->said = true;
	tls_say_goodbye(bev);
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void on_tls_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	conn_doom(arg);
}

/* As conn_refuse, with the answer and the goodbye inside TLS. */
static void conn_refuse_tls(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev), *out = bufferevent_get_output(c->bev);
	struct strbuf text = {0};
	conn_unwatch(c);
	bufferevent_setcb(c->bev, on_tls_rest, on_tls_said, on_tls_end, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	conn_set_state(c, CONN_LEAVING);
	evbuffer_drain(in, evbuffer_get_length(in));
	evbuffer_drain(out, evbuffer_get_length(out));
	refusal_write(&c->http->config, framing_path_read(&c->framing), c->fault.status,
		      c->fault.text[0] ? c->fault.text : NULL, &text);
	if (text.failed || evbuffer_add(out, text.ptr, text.len) != 0 ||
	    bufferevent_enable(c->bev, EV_READ | EV_WRITE) != 0)
		conn_doom(c);
	strbuf_free(&text);
	tls_read_on(c->bev);
}

/* Closing a socket with unread bytes resets it, and a reset may overtake the answer: the client gets
 * HTTP_LEAVING_MS to read it. */
void conn_refuse(struct conn *c)
{
	int fd = bufferevent_getfd(c->bev);
	if (c->door->tls && tls_is_up(c->bev)) {
		conn_refuse_tls(c);
		return;
	}
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	struct evbuffer *in = bufferevent_get_input(c->bev), *out = bufferevent_get_output(c->bev);
	conn_set_state(c, CONN_LEAVING);
	evbuffer_drain(in, evbuffer_get_length(in));
	conn_thaw(c, true);
	evbuffer_drain(out, evbuffer_get_length(out));
	conn_thaw(c, false);
	refusal_send(&c->http->config, framing_path_read(&c->framing), fd, c->fault.status,
		     c->fault.text[0] ? c->fault.text : NULL);
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

struct bufferevent *conn_on_new(struct event_base *base, void *arg)
{
	const struct door *door = arg;
	struct http *h = door->http;
	struct bufferevent *bev =
		door->tls ? tls_accept(h->config.tls, base) : bufferevent_socket_new(base, -1, 0);
	struct conn *c = calloc(1, sizeof *c);
	if (c)
		c->fix = event_new(base, -1, 0, conn_fix, c);
	if (!bev || !c || !c->fix) {
		if (c && c->fix)
			event_free(c->fix);
		free(c);
		return bev; /* unknown connections are refused in on_evhttp_request */
	}
	c->http = h;
	c->door = door;
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

/* Over TLS the end of what a client sends is a message in itself: the bufferevent reads on for it. evhttp
 * takes its callbacks back when it begins to write. */
static void on_tls_gone(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_doom(arg);
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

bool conn_is_broken(const struct conn *c)
{
	size_t unread;
	if (net_is_gone(bufferevent_getfd(c->bev), &unread))
		return true;
	if (c->door->tls)
		unread += tls_pending(c->bev);
	return evbuffer_get_length(bufferevent_get_input(c->bev)) + unread > HTTP_MAX_PIPELINED_BYTES;
}

static void on_complete(struct evhttp_request *req, void *arg)
{
	struct conn *c = arg;
	(void)req;
	conn_unwatch(c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	if (c->door->tls)
		tls_read_on(c->bev);
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

void conn_on_request(struct evhttp_request *req, void *arg)
{
	struct http *h = ((const struct door *)arg)->http;
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
	if (c->door->tls) {
		bufferevent_setcb(c->bev, NULL, NULL, on_tls_gone, c);
		bufferevent_enable(c->bev, EV_READ);
		tls_read_on(c->bev);
	}
	conn_watch(c, c->door->tls ? EV_CLOSED : EV_CLOSED | EV_READ);
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
