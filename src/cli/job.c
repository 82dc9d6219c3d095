#include "cli/job.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static volatile sig_atomic_t interrupted;

/* What ends a program where nobody listens: keys, a hang-up, a reader that went away, limits of size and
 * time. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ, SIGXCPU};

enum { N_SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction earlier[N_SIGNALS];
static bool taken[N_SIGNALS];

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static bool stopped(void *user)
{
	(void)user;
	return interrupted != 0;
}

/* A job tells its progress after every few KiB; the line is redrawn when its percentage changes. */
static void progress(void *user, double part)
{
	static int last = -1;
	int percent = (int)(part * 100);
	if (percent != last)
		cli_progress(user, part);
	last = percent;
}

/* The note takes the progress line's place. */
static void note(void *user, const char *text)
{
	cli_progress(user, 1);
	cli_line(stderr, "note: ", text, "");
}

struct observer cli_job(const char *label)
{
	for (size_t i = 0; i < N_SIGNALS; i++) {
		struct sigaction action = {.sa_handler = on_signal};
		sigemptyset(&action.sa_mask);
		/* nohup, and a shell's jobs in the background, have some ignored */
		if (taken[i] || sigaction(signals[i], NULL, &earlier[i]) || earlier[i].sa_handler == SIG_IGN)
			continue;
		taken[i] = sigaction(signals[i], &action, NULL) == 0;
	}
	return (struct observer){
		.user = (void *)label, .progress = progress, .note = note, .stopped = stopped};
}

void cli_job_release(void)
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		if (taken[i])
			sigaction(signals[i], &earlier[i], NULL);
	memset(taken, 0, sizeof taken);
}

int cli_job_end(enum hokku_code rc, const struct hokku_error *err, const char *out)
{
	struct stat st;
	char size[32], after[40];
	if (!rc) {
		if (stat(out, &st) == 0) {
			snprintf(after, sizeof after, ": %s", str_bytes((uint64_t)st.st_size, size));
			cli_line(stdout, "", out, after);
		}
		return cli_finish(EXIT_OK);
	}
	cli_progress(NULL, 1);
	cli_fail(err);
	return rc == HOKKU_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
}
