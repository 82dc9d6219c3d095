/*
 * What is known of a request when its answer leaves: its one line in the log, its row in the metrics, and the
 * W3C trace that it belongs to, which goes into the line and back in the answer's header. It lives in the
 * request's http_note.
 *
 * A line never holds what a client wrote, but for the path, ids and the name of a faulty field; with
 * --log-prompts it holds the body, and why a request is wrong in words, which may quote it.
 */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "server/http.h"
#include "server/request.h"

enum {
	ACCESS_TRACE_BYTES = 55,       /* of a traceparent of version 00 */
	ACCESS_BODY_BYTES = 64 * 1024, /* of a body in a line, at most */
};

struct server;

struct access {
	bool begun;
	uint32_t route, owner; /* route: routes.h's number */
	uint64_t arrived_ns;
	enum hokku_code code; /* why it has no answer, or its stream broke off; 0: it has one */
	char trace[ACCESS_TRACE_BYTES + 1];
	char field[64]; /* at fault */
	struct strbuf message;
	struct strbuf body; /* with --log-prompts */
	size_t body_bytes;  /* of all of it */
	/* Of an answer. */
	char id[REQUEST_MAX_ID_BYTES + 1];
	const char *stop; /* why it ended; NULL: it did not, by itself */
	uint32_t prompt_tokens, cached_tokens;
	uint64_t answer_tokens;
	double prepare_ms, queue_ms, ttft_ms; /* 0: it did not come to that */
};

/* What is noted of r, which lives as long as r. */
struct access *access_of(struct http_request *r);

/* When it arrives; route: its number, or that behind the last. */
void access_begin(struct server *s, struct http_request *r, uint32_t route, uint32_t owner);

/* A copy of its body, where --log-prompts asks for it. */
void access_take_body(const struct server *s, struct http_request *r, struct str body);

/* Why it has no answer; field may be NULL. */
void access_fail(struct http_request *r, enum hokku_code code, const char *field, const char *message);

/* http_config.on_answered; status 0: the client is gone. */
void access_end(struct server *s, struct http_request *r, int status);

/* http_config.on_refused: of what never became a request. */
void access_refused(struct server *s, int status);

/* Is this a traceparent that can be passed on (W3C Trace Context, version 00, or what a later one has in its
 * place)? */
bool access_is_trace(const char *text);

#endif
