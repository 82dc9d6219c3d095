/*
 * TLS to the server that `hokku bench serve` measures: OpenSSL, through libevent's bufferevent_openssl. The
 * server's certificate must be of an authority that is known and of the URL's host, as it is for curl.
 */
#ifndef CLI_LOAD_TLS_H
#define CLI_LOAD_TLS_H

#include "cli/load_url.h"

/* Whose word a certificate is believed on. */
struct load_trust {
	const char *cacert; /* a file of authorities (PEM) in place of the system's; NULL: those */
	bool insecure;      /* any certificate will do */
};

struct load_tls;
struct bufferevent;
struct event_base;

/* url must live as long. A file without a certificate is an error that names it. */
enum hokku_code load_tls_create(const struct load_url *url, const struct load_trust *trust,
				struct load_tls **out, struct hokku_error *err);
void load_tls_destroy(struct load_tls *t); /* NULL is allowed; connections may outlive it */

/* A handshake on a connection, which may block; the error says why there is no TLS with this server. */
enum hokku_code load_tls_try(const struct load_tls *t, int fd, struct hokku_error *err);

/* For one connection, whose handshake begins when it is there. NULL: no memory. */
struct bufferevent *load_tls_connection(const struct load_tls *t, struct event_base *base);

#endif
