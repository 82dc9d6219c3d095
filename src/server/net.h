/* Sockets. */
#ifndef SERVER_NET_H
#define SERVER_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Binds host (a name, an IPv4 or IPv6 address; brackets around the latter are allowed) and port (0: any free
 * one) and listens; *fd does not block. url becomes "http://HOST:PORT" with the real address and port. */
enum hokku_code net_listen(const char *host, uint16_t port, int *fd, char *url, size_t url_size,
			   struct hokku_error *err);

/* Whether a socket is bound to a loopback address. */
bool net_is_loopback(int fd);

/* A connection's socket: small pieces leave at once, and what the client leaves unread stays bounded. */
void net_tune(int fd, int send_buffer_bytes);

/* Whether the other side has closed or reset; *unread: bytes that wait to be received. */
bool net_is_gone(int fd, size_t *unread);

/* Raises the limit of open descriptors to at least n if the system allows; returns what it is now. */
uint64_t net_raise_fd_limit(uint64_t n);

#endif
