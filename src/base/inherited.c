#include "base/inherited.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

/* "web:admin": as many names as there are sockets; some may be empty. */
static enum hokku_code read_names(const char *list, struct inherited *out, struct hokku_error *err)
{
	uint32_t n = 0;
	for (const char *at = list;; at++, n++) {
		size_t bytes = strcspn(at, ":");
		if (n < out->n)
			snprintf(out->names[n], sizeof out->names[n], "%.*s",
				 (int)(bytes < 255 ? bytes : 255), at);
		at += bytes;
		if (!*at)
			break;
	}
	if (n + 1 == out->n)
		return HOKKU_OK;
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "LISTEN_FDNAMES has %u names, and LISTEN_FDS says %u sockets", n + 1, out->n);
}

enum hokku_code inherited_read(struct inherited *out, struct hokku_error *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"),
		   *names = getenv("LISTEN_FDNAMES");
	uint64_t number;
	char quoted[96];
	*out = (struct inherited){0};
	if (!pid || !fds)
		return HOKKU_OK;
	if (!str_read_digits(pid, &number))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"LISTEN_PID is %s; it takes the number of the process that sockets are handed to",
			str_quote(str_c(pid), quoted, sizeof quoted));
	if (number != (uint64_t)getpid())
		return HOKKU_OK;
	if (!str_read_digits(fds, &number) || number == 0 || number > INHERITED_MAX)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"LISTEN_FDS is %s; it takes the number of sockets that a service manager hands over, 1 to "
			"%d; unset it to listen where --host and --port say",
			str_quote(str_c(fds), quoted, sizeof quoted), INHERITED_MAX);
	out->n = (uint32_t)number;
	for (uint32_t i = 0; i < out->n; i++)
		fcntl(INHERITED_FIRST + (int)i, F_SETFD, FD_CLOEXEC);
	return names ? read_names(names, out, err) : HOKKU_OK;
}
