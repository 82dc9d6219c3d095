/*
 * Names of hosts as HTTP writes them, and which of them a server answers to. A page in a browser can have its
 * own name resolved to a loopback address (DNS rebinding) and so reach a server that listens there; the name
 * it asked for still stands in Host, and its own in Origin. Pure functions; no sockets.
 */
#ifndef SERVER_HOSTS_H
#define SERVER_HOSTS_H

#include "base/error.h"
#include "base/str.h"

enum { HOSTS_MAX = 64, HOSTS_MAX_NAME_BYTES = 253 };

/* The names a server answers to beside the loopback ones; views of the texts given to hosts_add. Start from
 * zero. */
struct hosts {
	struct str names[HOSTS_MAX];
	uint32_t n;
	bool any; /* "*" was among them */
};

/* Adds names separated by commas, blanks around them allowed: a host's name, an address (IPv6 with or without
 * brackets), or * for all. What is none is INVALID_REQUEST and names it. */
enum hokku_code hosts_add(struct hosts *h, const char *list, struct hokku_error *err);

/* Gives each part of a list that commas divide to add, without the blanks around it; ends at its first error.
 */
typedef enum hokku_code hosts_add_fn(void *to, struct str text, struct hokku_error *err);
enum hokku_code hosts_each(const char *list, hosts_add_fn *add, void *to, struct hokku_error *err);

/* Whether name, as hosts_split gives it, is localhost, one below it (x.localhost) or a loopback address, or
 * one of h. */
bool hosts_allow(const struct hosts *h, struct str name);

/* Takes "name", "name:port", "address:port" or "[IPv6]:port" apart: *name without brackets and the dot at its
 * end, *port empty where there is none. False where text is none of these (RFC 3986, 3.2.2 and 3.2.3; no
 * user, no escapes). An empty text is an empty name. */
bool hosts_split(struct str text, struct str *name, struct str *port);

/* The host of an Origin header, "scheme://host:port". False where there is none: null, a list, anything else.
 */
bool hosts_of_origin(struct str origin, struct str *name);

#endif
