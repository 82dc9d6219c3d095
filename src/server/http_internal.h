/* What the files of the HTTP layer share: connections (http.c), the sockets and the loop (http_server.c),
 * requests and answers (http_request.c). */
#ifndef SERVER_HTTP_INTERNAL_H
#define SERVER_HTTP_INTERNAL_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "server/framing.h"
#include "server/http.h"
#include "server/net.h"

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

/* evhttp's own callbacks of a bufferevent, while ours have their place. */
struct callbacks {
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;
};

struct conn {
	struct http *http;
	const struct door *door;
	struct conn *next, *prev;
	struct bufferevent *bev;         /* owned by evcon; we hold a reference until it is adopted */
	struct evhttp_connection *evcon; /* NULL until adopted */
	struct event *fix;    /* runs conn_fix in the same loop turn, outside of evhttp's functions */
	struct event *closed; /* the client's end, while HANDLING */
	enum conn_state state;
	bool refused;            /* past the cap */
	bool doomed;             /* conn_fix will drop it */
	bool page;               /* evhttp wrote a page of its own */
	bool said;               /* leaving by TLS: all has been said, the goodbye too */
	struct callbacks theirs; /* until TLS has shaken hands */
	struct framing framing;  /* of the request that is coming in, then of the one that is handled */
	struct framing_fault
		fault;        /* told to the client, then closed; evhttp's view does not count any more */
	uint64_t since_ns;    /* of the state's clock */
	uint64_t progress_ns; /* when the client last took something, or there was nothing to take */
	size_t read_bytes;    /* of the request that is coming in */
	struct strbuf held;   /* of the answer: what is not given to evhttp yet */
	struct http_request request;
};

/* A socket that listens. */
struct door {
	struct http *http;
	struct evhttp *evhttp;
	struct evconnlistener *listener;
	struct net_listener at;
	bool tls;
};

struct http {
	struct http_config config;
	struct event_base *base;
	struct door doors[HTTP_MAX_HOSTS];
	uint32_t n_doors;
	struct event *wake, *tick;
	int wake_fd;
	struct conn *conns;
	uint32_t n_conns;
	size_t reading_bytes, held_bytes;
};

void conn_set_state(struct conn *c, enum conn_state state);

/* Ends the watch over a client's going away. */
void conn_unwatch(struct conn *c);

/* Never from within one of evhttp's callbacks: see conn_doom. */
void conn_drop(struct conn *c);

/* Drops c in this loop turn, but not from within the present call. */
void conn_doom(struct conn *c);

/* Of a connection that was never adopted, when evhttp has nothing of it any more. */
void conn_forget(struct conn *c);

/* Answers c->fault and takes the connection out of evhttp's hands. */
void conn_refuse(struct conn *c);

/* A client that is gone, or that sent so much behind its request that its going could not be seen any more:
 * its end comes after what nobody reads. */
bool conn_is_broken(const struct conn *c);

/* evhttp's: a bufferevent for a connection to a door (arg), a request to one. */
struct bufferevent *conn_on_new(struct event_base *base, void *arg);
void conn_on_request(struct evhttp_request *req, void *arg);

/* Bytes of its answer that are not sent yet. */
size_t conn_sending(const struct conn *c);

/* Hands on what is held back. */
void conn_release_held(struct conn *c);

#endif
