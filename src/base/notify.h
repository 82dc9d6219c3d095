/* Telling a service manager how far this process is: one datagram to the socket that $NOTIFY_SOCKET names, as
 * sd_notify(3) describes its protocol; and being watched by it, sd_watchdog_enabled(3). */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>

#include "base/error.h"

/* Sends state ("READY=1", "STOPPING=1", lines ended by \n between them). The variable is a path that begins
 * with / or, with @, a name of the abstract namespace. False where it is not set, is neither, is too long for
 * a socket's address, or nobody takes the datagram; never waits. A process does without. */
bool notify_send(const char *state);

/* *ms: the longest time that may lie between two "WATCHDOG=1" before the manager takes this process for hung
 * ($WATCHDOG_USEC, where $WATCHDOG_PID is not another process); 0: it does not look. A value that is no time
 * is an error. */
enum hokku_code notify_watchdog(double *ms, struct hokku_error *err);

#endif
