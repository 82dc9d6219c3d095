/*
 * What becomes of a streamed answer that its client does not read as fast as it comes. Up to a soft limit it
 * is handed on and waits to be sent; what comes on top is held back here, so that it later leaves in one
 * piece; past a hard limit, or a limit on what is held back of all clients together, the client is to be
 * dropped.
 */
#ifndef SERVER_UNREAD_H
#define SERVER_UNREAD_H

#include "base/str.h"

struct unread_limits {
	size_t sending; /* soft: most that waits to be sent */
	size_t unread;  /* hard: that and what is held back, of a client */
	size_t held;    /* hard: held back, of all clients */
};

enum unread_step { UNREAD_SEND, UNREAD_HELD, UNREAD_TOO_MUCH, UNREAD_TOO_MUCH_OF_ALL, UNREAD_NO_MEMORY };

/* bytes come while n_sending of those before wait to be sent. held is the client's, *n_all the sum over all
 * clients. UNREAD_SEND: they may be handed on; UNREAD_HELD: they have been added to held; else nothing was
 * done and the client is to be dropped. */
enum unread_step unread_take(const struct unread_limits *limits, size_t n_sending, struct str bytes,
			     struct strbuf *held, size_t *n_all);

/* Is there something held, and so little left to be sent that it should follow? */
bool unread_is_due(const struct unread_limits *limits, size_t n_sending, const struct strbuf *held);

/* held has been handed on, or nobody wants it any more. */
void unread_forget(struct strbuf *held, size_t *n_all);

#endif
