#include "server/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "server/http.h"

static atomic_int n_stops;  /* any thread may be the one that handles a signal */
static atomic_bool hung_up; /* a SIGHUP has come */
static struct http *woken;  /* set while handlers are in place */
static bool had_terminal;

static void on_stop(int number)
{
	(void)number;
	int error = errno;
	if (atomic_fetch_add(&n_stops, 1) > 0)
		_exit(130);
	http_wake(woken);
	errno = error;
}

static void on_hangup(int number)
{
	(void)number;
	int error = errno;
	atomic_store(&hung_up, true);
	http_wake(woken);
	errno = error;
}

/* A process whose terminal has gone has none any more. */
static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static const struct {
	int number;
	void (*handler)(int number);
} handled[] = {
	{SIGTERM, on_stop}, {SIGINT, on_stop},  {SIGHUP, on_hangup},
	{SIGPIPE, SIG_IGN}, {SIGXFSZ, SIG_IGN}, /* a state that is too large is an error of its own */
};
enum { N_HANDLED = sizeof handled / sizeof *handled };
_Static_assert(N_HANDLED == sizeof((struct signals *)0)->before / sizeof(struct sigaction),
	       "each signal has what it did before");

void signals_begin(struct signals *s, struct http *http)
{
	atomic_store(&n_stops, 0);
	atomic_store(&hung_up, false);
	woken = http;
	had_terminal = has_terminal();
	for (size_t i = 0; i < N_HANDLED; i++) {
		struct sigaction act = {.sa_handler = handled[i].handler, .sa_flags = SA_RESTART};
		sigaction(handled[i].number, &act, &s->before[i]);
		if (handled[i].number == SIGHUP && s->before[i].sa_handler == SIG_IGN)
			had_terminal = false; /* nohup: it stays without */
	}
}

void signals_end(const struct signals *s)
{
	for (size_t i = 0; i < N_HANDLED; i++)
		sigaction(handled[i].number, &s->before[i], NULL);
}

bool signals_stop(void)
{
	return atomic_load(&n_stops) > 0;
}

bool signals_renew(void)
{
	if (!atomic_exchange(&hung_up, false))
		return false;
	if (!had_terminal || has_terminal())
		return true;
	int none = 0; /* the shell may send another: that is no wish to end at once */
	atomic_compare_exchange_strong(&n_stops, &none, 1);
	return false;
}
