/* Telling a service manager how far this process is: one datagram to the socket that $NOTIFY_SOCKET names, as
 * sd_notify(3) describes its protocol. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>

/* Sends state ("READY=1", "STOPPING=1", lines ended by \n between them). The variable is a path that begins
 * with / or, with @, a name of the abstract namespace. False where it is not set, is neither, is too long for
 * a socket's address, or nobody takes the datagram; never waits. A process does without. */
bool notify_send(const char *state);

#endif
