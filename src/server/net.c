#include "server/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

enum { BACKLOG = 512, LOCK_TRIES = 200 };

static enum hokku_code bind_failed(const char *host, uint16_t port, int error, struct hokku_error *err)
{
	switch (error) {
	case EADDRINUSE:
		return err_set(
			err, HOKKU_IO_ERROR,
			"port %u of %s is in use by another program or another --host; give another --port (0 takes a "
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
static int listen_on(const struct addrinfo *a, bool only_v6)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	int one = 1;
	if (fd < 0)
		return -1;
	/* A restarted server must not wait for the old one's connections to be forgotten. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
	    (!only_v6 || a->ai_family != AF_INET6 ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
	    bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static enum net_reach reach_of(const struct sockaddr_storage *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	bool loopback;
	if (address->ss_family == AF_INET)
		loopback = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
	else
		loopback = address->ss_family == AF_INET6 &&
			   (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127));
	return loopback ? NET_LOOPBACK : NET_OPEN;
}

/* Fills in where it listens; false: that cannot be told. */
static bool describe(struct net_listener *l, bool tls)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	if (getsockname(l->fd, (struct sockaddr *)&address, &size) != 0 ||
	    getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	bool v6 = address.ss_family == AF_INET6;
	l->reach = reach_of(&address);
	l->port = (uint16_t)strtoul(port, NULL, 10);
	int n = snprintf(l->url, sizeof l->url, "http%s://%s%s%s:%s", tls ? "s" : "", v6 ? "[" : "", host,
			 v6 ? "]" : "", port);
	return n > 0 && (size_t)n < sizeof l->url;
}

/* ---- Unix sockets ---- */

bool net_is_path(const char *host)
{
	size_t n = strlen(host);
	return strchr(host, '/') || (n >= 5 && strcmp(host + n - 5, ".sock") == 0);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, path, strlen(path));
	return address;
}

/* Whether a server listens on path: one that is only busy lives too, and so may one that cannot be asked. */
static bool is_alive(const char *path)
{
	const struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool alive = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
		     errno != ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return alive;
}

/* Two servers that start at once must not each take the other's socket for a dead one's: they look and bind
 * one after the other, under a lock on the folder. -1: there is none, where folders cannot be locked. */
static int lock_folder(const char *path)
{
	char folder[NET_MAX_PATH_BYTES + 1];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) + 1 : 1;
	memcpy(folder, slash ? path : ".", n);
	folder[n] = '\0';
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Whoever else locks a folder may do so for long: that is no reason to wait for ever. */
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
		usleep(10000);
	return fd;
}

/* What lies at path is in the way of a new socket. OK: not any more. */
static enum hokku_code clear_way(const char *path, struct hokku_error *err)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return HOKKU_OK; /* bind says why, if it cannot */
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			err, HOKKU_IO_ERROR,
			"--host %s: there is a file of this name, and it is no socket; give another path",
			path);
	if (is_alive(path))
		return err_set(err, HOKKU_IO_ERROR,
			       "--host %s: another server listens there; stop it, or give another path",
			       path);
	unlink(path); /* a dead server's; bind says why, if that did not do */
	return HOKKU_OK;
}

static enum hokku_code bind_path(const char *path, struct net_listener *l, struct hokku_error *err)
{
	const struct sockaddr_un address = address_of(path);
	struct stat st;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || bind(l->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(l->fd, BACKLOG) != 0 || lstat(path, &st) != 0)
		return err_set(err, errno == ENOENT ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR,
			       "--host %s: no socket can be made there: %s%s", path, strerror(errno),
			       errno == ENOENT ? " (the folder must be there already)" : "");
	snprintf(l->file.path, sizeof l->file.path, "%s", path);
	l->file.device = st.st_dev;
	l->file.inode = st.st_ino;
	l->file.others = st.st_mode & S_IWOTH;
	l->reach = NET_FILE;
	snprintf(l->url, sizeof l->url, "unix:%s", path);
	return HOKKU_OK;
}

static enum hokku_code listen_path(const char *path, struct net_listener *l, struct hokku_error *err)
{
	size_t n = strlen(path);
	if (n > NET_MAX_PATH_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "--host: the path of a Unix socket has %zu bytes; the system allows %d", n,
			       NET_MAX_PATH_BYTES);
	int lock = lock_folder(path);
	enum hokku_code rc = clear_way(path, err);
	if (!rc)
		rc = bind_path(path, l, err);
	if (lock >= 0)
		close(lock);
	if (rc && l->fd >= 0)
		close(l->fd);
	return rc;
}

void net_remove(const struct net_file *file)
{
	struct stat st;
	if (file->path[0] && lstat(file->path, &st) == 0 && st.st_dev == file->device &&
	    st.st_ino == file->inode)
		unlink(file->path);
}

/* ---- any ---- */

static enum hokku_code listen_name(const char *host, uint16_t port, bool only_v6, struct net_listener *l,
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
	for (const struct addrinfo *a = found; a && l->fd < 0; a = a->ai_next) {
		l->fd = listen_on(a, only_v6);
		if (l->fd < 0)
			error = errno;
	}
	freeaddrinfo(found);
	return l->fd < 0 ? bind_failed(host, port, error, err) : HOKKU_OK;
}

enum hokku_code net_listen(const char *host, uint16_t port, bool only_v6, bool tls, struct net_listener *out,
			   struct hokku_error *err)
{
	*out = (struct net_listener){.fd = -1};
	if (strstr(host, "://"))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"--host is %.200s; it takes a name, an address or the path of a Unix socket, not a URL",
			host);
	if (net_is_path(host))
		return listen_path(host, out, err);
	enum hokku_code rc = listen_name(host, port, only_v6, out, err);
	if (rc || describe(out, tls))
		return rc;
	close(out->fd);
	return err_set(err, HOKKU_INTERNAL, "the address of the listening socket cannot be read");
}

/* ---- a service manager's ---- */

/* Why fd cannot be listened on, or NULL; *family: what it is otherwise. */
static const char *unfit(int fd, int *family)
{
	struct stat st;
	int type = 0, listens = 0;
	socklen_t size = sizeof(int);
	if (fstat(fd, &st) != 0)
		return "is not open";
	if (!S_ISSOCK(st.st_mode) || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, family, &size) != 0)
		return "is no socket";
	size = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
	    (*family != AF_INET && *family != AF_INET6 && *family != AF_UNIX))
		return "is no stream socket of IPv4, IPv6 or a path (ListenStream=)";
	size = sizeof listens;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
		return "does not listen; a socket unit has Accept=no";
	return NULL;
}

/* Fills in a Unix socket's name: a path, or "@" and a name of the abstract namespace. */
static bool describe_path(struct net_listener *l)
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof address;
	struct stat st;
	if (getsockname(l->fd, (struct sockaddr *)&address, &size) != 0 ||
	    size <= offsetof(struct sockaddr_un, sun_path))
		return false;
	/* The longest path has no zero behind it there, but one that is counted. */
	char path[sizeof address.sun_path + 1] = "", quoted[NET_URL_BYTES - 8];
	size_t n = size - offsetof(struct sockaddr_un, sun_path);
	n = n < sizeof path ? n : sizeof path - 1;
	memcpy(path, address.sun_path, n);
	bool abstract = path[0] == '\0';
	str_quote((struct str){path + abstract, abstract ? n - 1 : strlen(path)}, quoted, sizeof quoted);
	quoted[strlen(quoted) - 1] = '\0'; /* the quotes are for messages */
	snprintf(l->url, sizeof l->url, "unix:%s%s", abstract ? "@" : "", quoted + 1);
	l->reach = NET_FILE;
	l->file.others = abstract || (stat(path, &st) == 0 && (st.st_mode & S_IWOTH));
	return true;
}

enum hokku_code net_adopt(int fd, const char *name, bool tls, struct net_listener *out,
			  struct hokku_error *err)
{
	char quoted[96];
	int family = 0;
	*out = (struct net_listener){.fd = -1};
	str_quote(str_c(name), quoted, sizeof quoted);
	const char *why = unfit(fd, &family);
	if (why)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "descriptor %d (%s), which LISTEN_FDS hands over, %s", fd, quoted, why);
	int flags = fcntl(fd, F_GETFL);
	out->fd = fd;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    !(family == AF_UNIX ? describe_path(out) : describe(out, tls))) {
		out->fd = -1;
		return err_set(err, HOKKU_INTERNAL, "the address of descriptor %d (%s) cannot be read", fd,
			       quoted);
	}
	return HOKKU_OK;
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
