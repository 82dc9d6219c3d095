/*
 * The signals of a server while it runs. SIGTERM and SIGINT tell it to stop, a second one ends the process
 * with 130. SIGHUP has it read its files again (renew.h); where that came because the terminal is gone that
 * the process was started from, it is told to stop. SIGPIPE and SIGXFSZ are errors of their own.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct http;

/* What they did before. */
struct signals {
	struct sigaction before[5];
};

/* From here on each wakes http; until signals_end. One server of a process at a time. */
void signals_begin(struct signals *s, struct http *http);
void signals_end(const struct signals *s);

/* Was it told to stop? */
bool signals_stop(void);

/* Has a SIGHUP come since the last call that was to read files again? */
bool signals_renew(void);

#endif
