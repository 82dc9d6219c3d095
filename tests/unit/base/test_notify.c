/* Datagrams to a service manager: what arrives, and the names that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/notify.h"

enum { PATH_BYTES = sizeof((struct sockaddr_un *)0)->sun_path };

/* Binds a datagram socket to a name as the variable has it, of any length that fits, and sets the variable.
 */
static int manager(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t n = strlen(name);
	memcpy(at.sun_path, name, n);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, bytes), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void assert_received(int fd, const char *wanted)
{
	char got[64] = "";
	ssize_t n = recv(fd, got, sizeof got - 1, 0);
	assert_int_equal(n, strlen(wanted));
	assert_string_equal(got, wanted);
	assert_int_equal(recv(fd, got, sizeof got, 0), -1); /* one datagram */
}

static void arrives_by_path(void **state)
{
	(void)state;
	char folder[] = "/tmp/hokku-notify-XXXXXX", path[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/socket", folder);
	int fd = manager(path);
	assert_true(notify_send("READY=1\nSTATUS=listening"));
	assert_received(fd, "READY=1\nSTATUS=listening");
	assert_true(notify_send("STOPPING=1"));
	assert_received(fd, "STOPPING=1");
	close(fd);
	assert_false(notify_send("STOPPING=1")); /* nobody is there */
	unlink(path);
	assert_false(notify_send("STOPPING=1"));
	rmdir(folder);
}

static void arrives_by_abstract_name(void **state)
{
	(void)state;
	char name[PATH_BYTES + 2];
	/* The longest one has no zero behind it. */
	for (int n = PATH_BYTES - 1; n <= PATH_BYTES; n++) {
		memset(name, 'n', sizeof name);
		name[snprintf(name, sizeof name, "@hokku-%d-%d-", (int)getpid(), n)] = 'n';
		name[n] = '\0';
		int fd = manager(name);
		assert_true(notify_send("READY=1"));
		assert_received(fd, "READY=1");
		close(fd);
	}
}

static void what_is_no_name_is_passed_over(void **state)
{
	(void)state;
	char longest[PATH_BYTES + 2];
	static const char *const none[] = {
		"", "/", "@", "relative/socket", "vsock:2:1234", "/nowhere/at/all"};
	unsetenv("NOTIFY_SOCKET");
	assert_false(notify_send("READY=1"));
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		setenv("NOTIFY_SOCKET", none[i], 1);
		assert_false(notify_send("READY=1"));
	}
	for (int n = PATH_BYTES - 1; n <= PATH_BYTES + 1; n++) {
		memset(longest, 'n', sizeof longest);
		longest[0] = n > PATH_BYTES ? '@' : '/';
		longest[n] = '\0';
		setenv("NOTIFY_SOCKET", longest, 1);
		assert_false(notify_send("READY=1"));
	}
}

static void the_time_between_two_signs_of_life(void **state)
{
	(void)state;
	char own[24];
	struct hokku_error err;
	double ms;
	snprintf(own, sizeof own, "%d", (int)getpid());
	static const struct {
		const char *time, *pid; /* "": this process */
		double ms;              /* -1: an error */
	} cases[] = {{NULL, NULL, 0},
		     {NULL, "", 0},
		     {"30000000", NULL, 30000},
		     {"30000000", "", 30000},
		     {"1", "", 0.001},
		     {"30000000", "1", 0},
		     {"0", "1", 0},
		     {"0", "", -1},
		     {"", "", -1},
		     {"-1", "", -1},
		     {"1s", "", -1},
		     {"1", "x", -1},
		     {"1", " 1", -1},
		     {"1000000000000000000", "", -1},
		     {"999999999999999999", "", 999999999999999.999}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *pid = cases[i].pid && !*cases[i].pid ? own : cases[i].pid;
		cases[i].time ? setenv("WATCHDOG_USEC", cases[i].time, 1) : unsetenv("WATCHDOG_USEC");
		pid ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID");
		enum hokku_code rc = notify_watchdog(&ms, &err);
		assert_int_equal(rc, cases[i].ms < 0 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		assert_true(ms == (cases[i].ms < 0 ? 0 : cases[i].ms));
		if (rc)
			assert_non_null(strstr(err.message, "; it takes"));
	}
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrives_by_path),
		cmocka_unit_test(arrives_by_abstract_name),
		cmocka_unit_test(what_is_no_name_is_passed_over),
		cmocka_unit_test(the_time_between_two_signs_of_life),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
