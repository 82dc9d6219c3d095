/*
 * Where a request ends: the checks of RFC 9112 on its head (request line and headers) that libevent leaves
 * out. A proxy and a server that read lengths differently can be made to see different requests, so whatever
 * is ambiguous is refused and the connection closed. Pure functions; no sockets.
 */
#ifndef SERVER_FRAMING_H
#define SERVER_FRAMING_H

#include "base/str.h"

/* The head of the request that is coming in. Start from a zeroed struct. */
struct framing {
	struct strbuf head;
	size_t line_at; /* where the line that is not complete yet begins in head */
	bool complete;
};

struct framing_fault {
	int status; /* 400, 413, 501; 0: none */
	char text[256];
};

/* For the next request; keeps the memory. */
void framing_restart(struct framing *f);

/* Takes bytes until the head is complete or longer than max_head; what is left belongs to the body. */
void framing_add(struct framing *f, const char *bytes, size_t n, size_t max_head);

/* What is wrong with the head as far as it is there. A head that is not complete is only judged by its
 * length. */
void framing_check(const struct framing *f, size_t max_head, size_t max_body, struct framing_fault *fault);

#endif
