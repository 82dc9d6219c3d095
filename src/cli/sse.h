/*
 * Server-sent events as they come in (the HTML standard, 9.2.6): bytes cut anywhere in, whole events out.
 * Lines end with LF, CR LF or CR; comments, "id" and "retry" are passed over, as is a byte order mark.
 */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "base/str.h"

enum { SSE_MAX_BYTES = 4 << 20 /* of a line, and of an event's data */ };

struct sse {
	struct strbuf line; /* the present one, so far as it has come */
	struct strbuf type, data;
	bool has_data;
	bool after_cr; /* an LF that comes next belongs to it */
	bool begun;    /* a byte order mark can come no more */
};

/* type: "message" where the event has none. Both live until the call returns. */
typedef void sse_event(void *user, struct str type, struct str data);

/* False: a line or an event is longer than SSE_MAX_BYTES, or there is no memory; the stream is of no more
 * use. */
bool sse_take(struct sse *s, struct str bytes, sse_event *on_event, void *user);

void sse_clear(struct sse *s); /* for the next stream; keeps the memory */
void sse_free(struct sse *s);

#endif
