#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool notify_send(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = name ? strlen(name) : 0;
	if (n < 2 || n > sizeof to.sun_path - (name[0] == '/') || (name[0] != '/' && name[0] != '@'))
		return false;
	memcpy(to.sun_path, name, n); /* a path has a zero behind it, an abstract name has none */
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	size_t len = strlen(state);
	ssize_t sent = sendto(fd, state, len, MSG_NOSIGNAL, (const struct sockaddr *)&to, bytes);
	close(fd);
	return sent == (ssize_t)len;
}
