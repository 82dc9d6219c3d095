/*
 * HTTP/1.1 on one event-loop thread; behind it alone is libevent known. It owns connections,
 * their limits and their clocks, and it answers by itself what no handler needs to see: requests that are no
 * HTTP, headers or bodies past their limit, requests that never get complete, connections past the cap.
 *
 * A struct http_request lives from on_request until exactly one of: http_reply, http_stream_end, or on_gone
 * (the client went away, or was dropped because it stopped reading). After that the pointer is dead.
 *
 * Threads: everything here is called on the loop's thread, save http_wake.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "base/error.h"
#include "base/inherited.h"
#include "base/str.h"
#include "server/net.h"
#include "server/unread.h"

enum {
	HTTP_MAX_HEADER_BYTES = 16 * 1024,    /* request line and headers together */
	HTTP_MAX_PIPELINED_BYTES = 64 * 1024, /* behind a request that is handled: more is dropped */
	HTTP_SEND_BUFFER_BYTES = 128 * 1024,  /* of a socket; left alone, it grows to megabytes */
	HTTP_REFUSED_CONNECTIONS = 64,        /* past the cap: told so; any more are closed at once */
	HTTP_LEAVING_MS = 5000,               /* to read a refusal in, after which the connection is closed */
	HTTP_TICK_MS = 50,                    /* how often deadlines are looked at */
	HTTP_MAX_HOSTS = 16,                  /* sockets to listen on */
	HTTP_NOTE_BYTES = 512,                /* of http_note */
};

struct http;
struct http_request;
struct tls;

struct http_config {
	const char *const
		*hosts; /* (n_hosts): names, IPv4 and IPv6 addresses, paths of Unix sockets (net.h) */
	uint32_t n_hosts;
	const struct inherited
		*inherited; /* NULL, or sockets to take instead, where n is not 0 (net_adopt) */
	uint16_t port;      /* of all; 0: any free one */
	struct tls *tls; /* spoken on all but Unix sockets; NULL: nowhere. Must live as long as the server. */
	uint32_t max_connections;
	size_t max_body_bytes;
	size_t max_reading_bytes;    /* of all requests that are not complete yet */
	struct unread_limits unread; /* what a client may leave unread of a streamed answer */
	uint32_t idle_ms;            /* a connection without a request is closed after this */
	uint32_t read_ms;            /* a request must be complete this long after its first byte */
	uint32_t write_ms;           /* a client that takes nothing of its answer for so long is dropped */

	/* A complete request. Must answer, now or later. */
	void (*on_request)(void *user, struct http_request *r);
	/* The client of r is gone: r must not be used again. */
	void (*on_gone)(void *user, struct http_request *r);
	/* The answer to r is complete, or its stream has ended, and is about to leave; r lives for the call.
	 * Not called after on_gone. May be NULL. */
	void (*on_answered)(void *user, struct http_request *r, int status);
	/* What never becomes a request was answered with status. May be NULL. */
	void (*on_refused)(void *user, int status);
	/* After http_wake, once for any number of calls. */
	void (*on_wake)(void *user);
	/* Every HTTP_TICK_MS. */
	void (*on_tick)(void *user);
	/* The body (JSON) of the answers that are made here; text is the sentence for people. path: what was
	 * asked for; NULL: that did not come. Returns the status with which it is said there. */
	int (*error_body)(void *user, const char *path, enum hokku_code code, int status, const char *text,
			  struct strbuf *out);
	void *user;
};

/* Binds and listens, or takes what is inherited; connections are served once http_run runs. Errors name host
 * and port. */
enum hokku_code http_open(const struct http_config *config, struct http **out, struct hokku_error *err);

/* Number i of where it listens; NULL: there are no more. Lives as long as h. */
const struct net_listener *http_listener(const struct http *h, uint32_t i);

/* Runs the loop until http_stop. */
void http_run(struct http *h);
void http_stop(struct http *h);

/* Has on_wake called on the loop's thread, soon. Any thread, and signal handlers. */
void http_wake(struct http *h);

/* Connections, those past the cap included; bytes of requests that are not complete yet; of answers that are
 * held back. */
uint32_t http_n_connections(const struct http *h);
size_t http_reading_bytes(const struct http *h);
size_t http_held_bytes(const struct http *h);

/* True when every answer that was finished has also left for its client. */
bool http_all_sent(const struct http *h);

/* Closes everything; requests still open get on_gone. NULL is allowed. */
void http_close(struct http *h);

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

/* Of the request; strings live as long as it is open. */
enum http_method http_get_method(const struct http_request *r);
const char *http_get_method_name(const struct http_request *r); /* as sent */
const char *http_get_path(const struct http_request *r);        /* as sent, without query; never NULL */
struct str http_get_query(const struct http_request *r); /* as sent, behind the question mark; may be empty */
const char *http_get_header(const struct http_request *r, const char *name); /* NULL: not there */
/* The host (and port) of a request whose target is a whole URL; empty where it is a path. */
struct str http_get_authority(const struct http_request *r);
enum net_reach http_get_reach(const struct http_request *r); /* of the socket it came to */
bool http_is_refused(const struct http_request *r);          /* came on a connection past max_connections */

/* Moves the body out of r: malloc, terminated, *n_bytes without the end. NULL: no memory. */
char *http_take_body(struct http_request *r, size_t *n_bytes);

/* Memory of the upper layer's own, zeros when a request arrives, as long as r lives: also in on_gone. */
void *http_note(struct http_request *r);

/* The upper layer's own pointer. */
void http_set_user(struct http_request *r, void *user);
void *http_get_user(const struct http_request *r);

/* The upper layer's number of whose it is; 0 at first. */
void http_set_owner(struct http_request *r, uint32_t owner);
uint32_t http_get_owner(const struct http_request *r);

/* The path begins n bytes later from now on; n is at most its length. */
void http_skip_path(struct http_request *r, size_t n);

/* Adds a header to the answer; before http_reply or http_stream_start. */
void http_add_header(struct http_request *r, const char *name, const char *value);
const char *http_get_added(const struct http_request *r, const char *name); /* NULL: it was not */

/* The whole answer at once (HEAD: its headers). */
void http_reply(struct http_request *r, int status, const char *content_type, struct str body);

/* An answer in pieces. http_stream_send checks how much the client has left unread, holds back or drops it
 * past the limits: on_gone comes later, from the loop, never from within. */
void http_stream_start(struct http_request *r, int status, const char *content_type);
void http_stream_send(struct http_request *r, struct str bytes);
void http_stream_end(struct http_request *r);

#endif
