/* Sockets that a service manager hands over: whom the variables speak to, and what they cannot say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/inherited.h"

/* NULL: not set; for the process "" is this one. */
static enum hokku_code read_with(const char *pid, const char *fds, const char *names, struct inherited *out,
				 struct hokku_error *err)
{
	char own[24];
	snprintf(own, sizeof own, "%d", (int)getpid());
	if (pid && !*pid)
		pid = own;
	pid ? setenv("LISTEN_PID", pid, 1) : unsetenv("LISTEN_PID");
	fds ? setenv("LISTEN_FDS", fds, 1) : unsetenv("LISTEN_FDS");
	names ? setenv("LISTEN_FDNAMES", names, 1) : unsetenv("LISTEN_FDNAMES");
	err->message[0] = '\0';
	return inherited_read(out, err);
}

static void they_are_counted_and_named(void **state)
{
	(void)state;
	struct inherited got;
	struct hokku_error err;
	assert_int_equal(read_with("", "1", NULL, &got, &err), HOKKU_OK);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.names[0], "");
	assert_int_equal(read_with("", "1", "hokku.socket", &got, &err), HOKKU_OK);
	assert_string_equal(got.names[0], "hokku.socket");
	assert_int_equal(read_with("", "3", "web::admin", &got, &err), HOKKU_OK);
	assert_int_equal(got.n, 3);
	assert_string_equal(got.names[0], "web");
	assert_string_equal(got.names[1], "");
	assert_string_equal(got.names[2], "admin");
	char all[INHERITED_MAX * 2] = "";
	for (int i = 0; i < INHERITED_MAX; i++)
		strcat(all, i ? ":n" : "n");
	assert_int_equal(read_with("", "16", all, &got, &err), HOKKU_OK);
	assert_int_equal(got.n, INHERITED_MAX);
	assert_string_equal(got.names[INHERITED_MAX - 1], "n");
	/* A name is cut where there is no more room: n - 1, n, n + 1. */
	char longest[INHERITED_NAME_BYTES + 300];
	for (size_t n = INHERITED_NAME_BYTES - 1; n<sizeof longest; n += n> INHERITED_NAME_BYTES ? 100 : 1) {
		memset(longest, 'n', n);
		longest[n] = '\0';
		assert_int_equal(read_with("", "1", longest, &got, &err), HOKKU_OK);
		assert_int_equal(strlen(got.names[0]), INHERITED_NAME_BYTES - 1);
	}
}

static void what_speaks_to_another_is_passed_over(void **state)
{
	(void)state;
	static const struct {
		const char *pid, *fds;
	} none[] = {{NULL, NULL},     {"", NULL}, {NULL, "1"},       {"1", "1"},
		    {"1", "rubbish"}, {"1", "0"}, {"999999999", "1"}};
	struct inherited got;
	struct hokku_error err;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		got.n = 7;
		assert_int_equal(read_with(none[i].pid, none[i].fds, "a:b", &got, &err), HOKKU_OK);
		assert_int_equal(got.n, 0);
	}
}

static void what_cannot_be_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *pid, *fds, *names, *words;
	} bad[] = {
		{"x", "1", NULL, "LISTEN_PID is \"x\"; it takes"},
		{"-1", "1", NULL, "LISTEN_PID is \"-1\""},
		{"0x10", "1", NULL, "LISTEN_PID is \"0x10\""},
		{" 1", "1", NULL, "LISTEN_PID is \" 1\""},
		{"", "0", NULL,
		 "LISTEN_FDS is \"0\"; it takes the number of sockets that a service manager hands over, 1 to 16"},
		{"", "", NULL, "LISTEN_FDS is \"\""},
		{"", "one", NULL, "LISTEN_FDS is \"one\""},
		{"", "-1", NULL, "LISTEN_FDS is \"-1\""},
		{"", "1 ", NULL, "LISTEN_FDS is \"1 \""},
		{"", "17", NULL, "LISTEN_FDS is \"17\""},
		{"", "99999999999999999999", NULL, "LISTEN_FDS is \"99999999999999999999\""},
		{"", "1\n2", NULL, "LISTEN_FDS is \"1\\n2\""},
		{"", "1", "a:b", "LISTEN_FDNAMES has 2 names, and LISTEN_FDS says 1 socket"},
		{"", "3", "a:b", "LISTEN_FDNAMES has 2 names, and LISTEN_FDS says 3 socket"},
		{"", "2", "", "LISTEN_FDNAMES has 1 names"},
	};
	struct inherited got;
	struct hokku_error err;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(read_with(bad[i].pid, bad[i].fds, bad[i].names, &got, &err),
				 HOKKU_INVALID_REQUEST);
		if (!strstr(err.message, bad[i].words))
			fail_msg("%s", err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_counted_and_named),
		cmocka_unit_test(what_speaks_to_another_is_passed_over),
		cmocka_unit_test(what_cannot_be_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
