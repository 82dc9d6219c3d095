/*
 * Origins as browsers write them (RFC 6454, 6.2), which of them may read answers, and what is said to them
 * (the WHATWG's Fetch standard, CORS protocol). Pure functions; no sockets.
 */
#ifndef SERVER_CORS_H
#define SERVER_CORS_H

#include "base/error.h"
#include "base/str.h"

enum {
	ORIGINS_MAX = 64,
	ORIGINS_MAX_BYTES = 300,     /* of one */
	CORS_MAX_ASKED_BYTES = 2048, /* of the headers that a page asks for */
};

/* Views of the texts given to origins_add. Start from zero. */
struct origins {
	struct str names[ORIGINS_MAX];
	uint32_t n;
	bool any;   /* "*" was among them */
	bool local; /* "localhost" was: pages of this machine */
};

/* Adds origins separated by commas, blanks around them allowed: "scheme://host", with a port or without,
 * "null", "localhost" for http and https of loopback names and addresses with any port, or * for all, which
 * stands alone. What is none is INVALID_REQUEST and names it. */
enum hokku_code origins_add(struct origins *o, const char *list, struct hokku_error *err);

/* Whether any page of another origin may read anything. */
bool origins_any(const struct origins *o);

/* Whether origin, as the header of that name has it, is one of o: scheme and host in letters of any size, a
 * port that is the scheme's own as none. */
bool origins_allow(const struct origins *o, struct str origin);

/* Adds a header to an answer. */
typedef void cors_add(void *to, const char *name, const char *value);

/* What a page of origin (NULL: the header was not there) is told with any answer. */
void cors_answer(const struct origins *o, const char *origin, cors_add *add, void *to);

/* What it is told beside that of an OPTIONS request that asks whether it may send another: methods is what
 * the path takes; headers is what it asks for, network the same of a server nearer than its own (NULL: not
 * asked). */
void cors_preflight(const struct origins *o, const char *origin, const char *methods, const char *headers,
		    const char *network, cors_add *add, void *to);

#endif
