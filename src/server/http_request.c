/* Requests as the layer above sees them, and their answers. */
#include "server/http_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/keyvalq_struct.h>

#include "base/log.h"
#include "server/refusal.h"
#include "server/tls.h"

/* ---- answers in pieces ---- */

size_t conn_sending(const struct conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* In parts, whose leaving can be seen one by one. */
static bool add_parts(const struct conn *c, struct evbuffer *out, struct str bytes)
{
	size_t most = c->door->tls ? TLS_PART_BYTES : bytes.len;
	for (size_t at = 0, n; at < bytes.len; at += n) {
		n = bytes.len - at < most ? bytes.len - at : most;
		if (evbuffer_add(out, bytes.ptr + at, n) != 0)
			return false;
	}
	return true;
}

static void conn_send_piece(struct conn *c, struct str bytes)
{
	struct evbuffer *chunk = evbuffer_new();
	if (chunk && add_parts(c, chunk, bytes))
		evhttp_send_reply_chunk(c->request.req, chunk);
	else
		conn_doom(c); /* no memory: better no answer than one with a hole */
	if (chunk)
		evbuffer_free(chunk);
}

void conn_release_held(struct conn *c)
{
	if (c->held.len && !c->doomed)
		conn_send_piece(c, (struct str){c->held.ptr, c->held.len});
	unread_forget(&c->held, &c->http->held_bytes);
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

enum net_reach http_get_reach(const struct http_request *r)
{
	return r->conn->door->at.reach;
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
	if (status != 204 && status != 304) { /* of 304 it would be the length of what does not come */
		snprintf(length, sizeof length, "%zu", body.len);
		http_add_header(r, "Content-Length", length);
	}
	if (!out || (http_get_method(r) != HTTP_HEAD && !add_parts(r->conn, out, body)))
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
