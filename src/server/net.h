/* Sockets. */
#ifndef SERVER_NET_H
#define SERVER_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	NET_MAX_PATH_BYTES = 107, /* of a Unix socket's path */
	NET_URL_BYTES = 128,
};

/* Who can reach a socket that listens. */
enum net_reach {
	NET_FILE,     /* a Unix socket: whoever may write to its file */
	NET_LOOPBACK, /* this machine */
	NET_OPEN,     /* others too */
};

/* A Unix socket's file, as it was when it was made; path "": there is none. */
struct net_file {
	char path[NET_MAX_PATH_BYTES + 1];
	uint64_t device, inode;
	bool others; /* everybody on this machine may write to it */
};

/* A socket that listens, and does not block. */
struct net_listener {
	int fd;
	enum net_reach reach;
	uint16_t port;           /* the real one; 0 of a file */
	char url[NET_URL_BYTES]; /* "http://HOST:PORT" with the real address and port, "unix:PATH" of a file
				  */
	struct net_file file;
};

/* Whether host means a Unix socket: it has a stroke or ends with ".sock". */
bool net_is_path(const char *host);

/* Binds host (a name, an IPv4 or IPv6 address; brackets around the latter are allowed; or the path of a Unix
 * socket, whose permissions are what the umask leaves) and port (0: any free one) and listens. only_v6: "::"
 * stands for IPv6 alone. A socket's file that nobody listens on is replaced; one of a server that lives, and
 * any other file, is an error. */
enum hokku_code net_listen(const char *host, uint16_t port, bool only_v6, bool tls, struct net_listener *out,
			   struct hokku_error *err);

/* Takes a socket that listens already and that a service manager opened (base/inherited.h); name is what that
 * calls it, for messages. Its file, if it has one, is the manager's: it is not removed. A descriptor that is
 * not open, no stream socket of IPv4, IPv6 or a path, or does not listen, is an error and stays open. */
enum hokku_code net_adopt(int fd, const char *name, bool tls, struct net_listener *out,
			  struct hokku_error *err);

/* Removes the file, if it is still the one that was made; while the socket listens, which keeps another from
 * being taken for it. */
void net_remove(const struct net_file *file);

/* A connection's socket: small pieces leave at once, and what the client leaves unread stays bounded. */
void net_tune(int fd, int send_buffer_bytes);

/* Whether the other side has closed or reset; *unread: bytes that wait to be received. */
bool net_is_gone(int fd, size_t *unread);

/* Raises the limit of open descriptors to at least n if the system allows; returns what it is now. */
uint64_t net_raise_fd_limit(uint64_t n);

#endif
