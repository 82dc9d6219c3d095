#include "server/net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 512 };

static enum hokku_code bind_failed(const char *host, uint16_t port, int error, struct hokku_error *err)
{
	switch (error) {
	case EADDRINUSE:
		return err_set(err, HOKKU_IO_ERROR,
			       "port %u of %s is in use by another program; give another --port (0 takes a "
			       "free one)",
			       port, host);
	case EACCES:
		return err_set(err, HOKKU_IO_ERROR,
			       "port %u of %s needs privileges this process does not have", port, host);
	case EADDRNOTAVAIL:
		return err_set(err, HOKKU_IO_ERROR, "%s is no address of this machine (--host)", host);
	default:
		return err_set(err, HOKKU_IO_ERROR, "cannot listen on %s port %u: %s", host, port,
			       strerror(error));
	}
}

/* Returns the descriptor, or -1 with errno. */
static int listen_on(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	int one = 1;
	if (fd < 0)
		return -1;
	/* A restarted server must not wait for the old one's connections to be forgotten. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	    bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool write_url(int fd, char *url, size_t url_size)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
	    getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	bool v6 = address.ss_family == AF_INET6;
	snprintf(url, url_size, v6 ? "http://[%s]:%s" : "http://%s:%s", host, port);
	return true;
}

enum hokku_code net_listen(const char *host, uint16_t port, int *fd, char *url, size_t url_size,
			   struct hokku_error *err)
{
	char name[256], service[8];
	size_t n = strlen(host);
	bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
	if (n == 0 || n >= sizeof name)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "--host takes a name or an address of 1 to 255 bytes; it has %zu", n);
	snprintf(name, sizeof name, "%.*s", (int)(brackets ? n - 2 : n), brackets ? host + 1 : host);
	snprintf(service, sizeof service, "%u", port);
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
	int rc = getaddrinfo(name, service, &hints, &found);
	if (rc != 0)
		return err_set(err, HOKKU_IO_ERROR, "--host %s: %s", host,
			       rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	int error = 0;
	*fd = -1;
	for (const struct addrinfo *a = found; a && *fd < 0; a = a->ai_next) {
		*fd = listen_on(a);
		if (*fd < 0)
			error = errno;
	}
	freeaddrinfo(found);
	if (*fd < 0)
		return bind_failed(host, port, error, err);
	if (!write_url(*fd, url, url_size)) {
		close(*fd);
		return err_set(err, HOKKU_INTERNAL, "the address of the listening socket cannot be read");
	}
	return HOKKU_OK;
}

bool net_is_loopback(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return false;
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&address)->sin6_addr;
	if (address.ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)&address)->sin_addr.s_addr) >> 24 == 127;
	return address.ss_family == AF_INET6 &&
	       (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
}

void net_tune(int fd, int send_buffer_bytes)
{
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
}

bool net_is_gone(int fd, size_t *unread)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	int n = 0;
	*unread = 0;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL)))
		return true;
	if (ioctl(fd, FIONREAD, &n) != 0)
		return true;
	*unread = (size_t)n;
	return false;
}

uint64_t net_raise_fd_limit(uint64_t n)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < n) {
		limit.rlim_cur = limit.rlim_max < n ? limit.rlim_max : n;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}
