/* Sockets that a service manager opened before this process began (systemd's socket activation): descriptors
 * from 3 on, told by $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES as sd_listen_fds(3) describes them. */
#ifndef BASE_INHERITED_H
#define BASE_INHERITED_H

#include <stdint.h>

#include "base/error.h"

enum {
	INHERITED_FIRST = 3,       /* the first descriptor */
	INHERITED_MAX = 16,        /* of them */
	INHERITED_NAME_BYTES = 64, /* of a name, which is cut there */
};

struct inherited {
	uint32_t n;                                      /* 0: none */
	char names[INHERITED_MAX][INHERITED_NAME_BYTES]; /* "hokku.socket"; "" where none is told */
};

/* Reads the variables. Where $LISTEN_PID is not this process, or one of the two is not set, they speak to
 * another and there are none. A value that is no number, no sockets or more than INHERITED_MAX, and names of
 * another number of sockets, are errors. The descriptors are not looked at, but for this: programs that this
 * one starts do not get them. */
enum hokku_code inherited_read(struct inherited *out, struct hokku_error *err);

#endif
