/*
 * Where a request ends: RFC 9112 as far as a proxy and a server could read it differently and so see
 * different requests. Whatever is ambiguous is refused and the connection closed. The parser behind takes
 * more than we do, so it gets to see what was judged here, and what it would misread is written over in
 * place: blanks for the tabs of a head and for chunk extensions, letters without a meaning for trailers,
 * which would else be taken for headers. Pure functions; no sockets.
 */
#ifndef SERVER_FRAMING_H
#define SERVER_FRAMING_H

#include "base/str.h"

enum { FRAMING_MAX_CHUNK_LINE = 4096 }; /* size and extensions, without the line's end */

struct framing_limits {
	size_t max_head; /* request line, headers and trailers, with the empty lines before them */
	size_t max_body; /* of all chunks together */
};

/* What the next byte belongs to. */
enum framing_part {
	FRAMING_BEFORE, /* empty lines, which do not count: RFC 9112, 2.2 */
	FRAMING_HEAD,
	FRAMING_BODY, /* with Content-Length */
	FRAMING_CHUNK_SIZE,
	FRAMING_CHUNK_BLANK, /* behind the size: only an extension may follow */
	FRAMING_CHUNK_EXTENSION,
	FRAMING_CHUNK_LINE_END, /* the LF behind its CR */
	FRAMING_CHUNK,
	FRAMING_CHUNK_CR, /* behind the chunk's bytes */
	FRAMING_CHUNK_LF,
	FRAMING_TRAILER,
	FRAMING_OVER, /* the next byte is another request's */
};

/* The request that is coming in. Start from a zeroed struct. */
struct framing {
	enum framing_part part;
	struct strbuf head;    /* and trailers */
	size_t n_empty;        /* bytes of the empty lines before the head */
	size_t line_at;        /* where the line that is not complete yet begins in head */
	uint64_t left, n_body; /* bytes still to come of body or chunk; of all chunks so far */
	size_t n_line;         /* of the present chunk line */
	char line[32];         /* how it begins */
	/* Known once the head is complete; offsets in head. */
	size_t method_end, path_at, path_end;
	struct {
		size_t at, len;
	} query;
	struct {
		size_t at, len;
	} authority; /* of a target that is a whole URL; len 0: it is none */
	bool closes; /* Connection: close */
};

struct framing_fault {
	int status; /* 400, 413, 501, 505; 0: none */
	char text[256];
};

/* For the next request; keeps the memory. */
void framing_restart(struct framing *f);

/* Takes the next n bytes, up to the request's end or a fault; returns how many. *n_empty: how many of these
 * are empty lines before the request line: they are the first of them, and not for the parser. */
size_t framing_take(struct framing *f, char *bytes, size_t n, const struct framing_limits *limits,
		    struct framing_fault *fault);

/* Once the head is complete: the method. */
const char *framing_method(const struct framing *f);

/* The same: the target's path, terminated, without query; "*" for OPTIONS *. */
const char *framing_path(const struct framing *f);

/* The same as soon as the request line was read, also where something behind it is at fault; NULL: it was
 * not. Nothing more may be taken then. */
const char *framing_path_read(struct framing *f);

/* What stands behind the target's question mark, as sent; empty: nothing. */
struct str framing_query(const struct framing *f);

/* The host and port of a target that is a whole URL; empty where it is none. */
struct str framing_authority(const struct framing *f);

#endif
