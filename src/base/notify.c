#include "base/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

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

enum hokku_code notify_watchdog(double *ms, struct hokku_error *err)
{
	const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t number = 0;
	char quoted[64];
	*ms = 0;
	if (!time)
		return HOKKU_OK;
	if (pid && !str_read_digits(pid, &number))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "WATCHDOG_PID is %s; it takes the number of the process that is watched",
			       str_quote(str_c(pid), quoted, sizeof quoted));
	if (pid && number != (uint64_t)getpid())
		return HOKKU_OK;
	if (!str_read_digits(time, &number) || number == 0)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"WATCHDOG_USEC is %s; it takes microseconds, 1 or more; unset it where nobody watches",
			str_quote(str_c(time), quoted, sizeof quoted));
	*ms = (double)number / 1000;
	return HOKKU_OK;
}
