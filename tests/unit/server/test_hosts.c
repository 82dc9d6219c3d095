/* Names of hosts: what Host and Origin may look like, and which of them a server on loopback answers to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/hosts.h"

static void test_split(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name, *port; /* name NULL: it is none */
	} cases[] = {
		{"a", "a", ""},
		{"a:80", "a", "80"},
		{"a:", "a", ""},
		{"a:0", "a", "0"},
		{"a:65535", "a", "65535"},
		{"a:00080", "a", "00080"},
		{"A_b-c.d~1", "A_b-c.d~1", ""},
		{"a.", "a", ""},
		{"a.:80", "a", "80"},
		{".", ".", ""},
		{"127.0.0.1:1", "127.0.0.1", "1"},
		{"[::1]", "::1", ""},
		{"[::1]:8080", "::1", "8080"},
		{"[::ffff:127.0.0.1]", "::ffff:127.0.0.1", ""},
		{"[2001:db8::7]:", "2001:db8::7", ""},
		{"", "", ""},
		{":80", NULL, NULL},
		{"a:65536", NULL, NULL},
		{"a:100000", NULL, NULL},
		{"a:99999", NULL, NULL},
		{"a:8o", NULL, NULL},
		{"a:-1", NULL, NULL},
		{"a:+1", NULL, NULL},
		{"a: 1", NULL, NULL},
		{"a:1:2", NULL, NULL},
		{"::1", NULL, NULL},
		{"[::1", NULL, NULL},
		{"[::1]x", NULL, NULL},
		{"[::1]80", NULL, NULL},
		{"[]", NULL, NULL},
		{"[a]", NULL, NULL},
		{"[127.0.0.1]", NULL, NULL},
		{"[::1%lo]", NULL, NULL},
		{"[v1.x]", NULL, NULL},
		{"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]", NULL, NULL},
		{"a b", NULL, NULL},
		{"u@a", NULL, NULL},
		{"a/b", NULL, NULL},
		{"a?b", NULL, NULL},
		{"a#b", NULL, NULL},
		{"a%41", NULL, NULL},
		{"a\\b", NULL, NULL},
		{"\xC3\xA9", NULL, NULL},
		{"a\x01", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str name, port;
		bool ok = hosts_split(str_c(cases[i].text), &name, &port);
		if (ok != (cases[i].name != NULL) ||
		    (ok && (!str_eq_c(name, cases[i].name) || !str_eq_c(port, cases[i].port))))
			fail_msg("\"%s\" becomes \"%.*s\", \"%.*s\"", cases[i].text, STR_ARG(name),
				 STR_ARG(port));
	}
	struct str name, port;
	assert_false(hosts_split((struct str){"a\0b", 3}, &name, &port));
}

static void test_origins(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
	} cases[] = {
		{"http://a", "a"},
		{"https://a.b:8443", "a.b"},
		{"http://[::1]:3000", "::1"},
		{"HTTP://LOCALHOST", "LOCALHOST"},
		{"chrome-extension://abc", "abc"},
		{"web+x.y-z://h", "h"},
		{"null", NULL},
		{"", NULL},
		{"http://", NULL},
		{"://a", NULL},
		{"a", NULL},
		{"//a", NULL},
		{"http:/a", NULL},
		{"http:a", NULL},
		{"http://a/", NULL},
		{"http://a/localhost", NULL},
		{"http://u@localhost", NULL},
		{"http://a http://b", NULL},
		{"http://a, http://b", NULL},
		{"ht tp://a", NULL},
		{" http://a", NULL},
		{"!ttp://a", NULL},
		{"http://a:x", NULL},
		{"http://:80", NULL},
		{"file://", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str name = {0};
		bool ok = hosts_of_origin(str_c(cases[i].text), &name);
		if (ok != (cases[i].name != NULL) || (ok && !str_eq_c(name, cases[i].name)))
			fail_msg("\"%s\" becomes \"%.*s\"", cases[i].text, STR_ARG(name));
	}
	struct str name;
	assert_false(hosts_of_origin((struct str){"h\0://a", 6}, &name));
}

static void test_loopback(void **state)
{
	(void)state;
	static const char *const mine[] = {"localhost",        "LocalHost",    "a.localhost",
					   "a.b.LOCALHOST",    "127.0.0.1",    "127.0.0.0",
					   "127.255.255.255",  "127.1",        "2130706433",
					   "0x7f.1",           "::1",          "0:0:0:0:0:0:0:1",
					   "::ffff:127.0.0.1", "::ffff:7f00:1"};
	static const char *const foreign[] = {"",
					      "example.org",
					      "localhost.example.org",
					      "xlocalhost",
					      ".localhost",
					      "localhos",
					      "localhostx",
					      "local",
					      "0.0.0.0",
					      "126.255.255.255",
					      "128.0.0.0",
					      "10.0.0.1",
					      "127.0.0.1.example.org",
					      "127.0.0.1.",
					      "127.0.0.256",
					      "1270.0.0.1",
					      "127",
					      "0",
					      "::",
					      "::2",
					      "::127.0.0.1",
					      "::ffff:10.0.0.1",
					      "::ffff:128.0.0.1",
					      "1::1",
					      "fe80::1",
					      "\x00",
					      "*"};
	const struct hosts none = {0};
	for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
		if (!hosts_allow(&none, str_c(mine[i])))
			fail_msg("%s is foreign", mine[i]);
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		if (hosts_allow(&none, str_c(foreign[i])))
			fail_msg("%s is loopback", foreign[i]);
}

/* Names longer than any address, which is looked for in each. */
static void test_lengths(void **state)
{
	(void)state;
	const struct hosts none = {0};
	for (size_t n = 1; n < 100; n++) {
		char name[100], zeros[100];
		struct str split, port;
		memset(name, 'a', n);
		memset(zeros, '0', n);
		assert_false(hosts_allow(&none, (struct str){name, n}));
		assert_false(hosts_allow(&none, (struct str){zeros, n}));
		name[0] = '[';
		name[n - 1] = ']';
		assert_false(hosts_split((struct str){name, n}, &split, &port));
	}
}

static void test_lists(void **state)
{
	(void)state;
	struct hosts h = {0};
	struct hokku_error err;
	assert_int_equal(hosts_add(&h, " app.example.org,\t Box \t,10.0.0.7", &err), HOKKU_OK);
	assert_int_equal(hosts_add(&h, "[2001:db8::7],fe80::1,b.", &err), HOKKU_OK);
	assert_int_equal(h.n, 6);
	static const char *const good[] = {"app.example.org", "APP.EXAMPLE.ORG", "box", "10.0.0.7", "10.7",
					   "2001:db8:0::7",   "fe80::1",         "b",   "localhost"};
	static const char *const bad[] = {"example.org", "x.app.example.org", "app.example.orgs", "bo",
					  "10.0.0.8",    "2001:db8::8",       "app.example.org.", ""};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!hosts_allow(&h, str_c(good[i])))
			fail_msg("%s is foreign", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (hosts_allow(&h, str_c(bad[i])))
			fail_msg("%s is allowed", bad[i]);
	assert_int_equal(hosts_add(&h, "*", &err), HOKKU_OK);
	assert_true(h.any);
	assert_int_equal(h.n, 6);
	assert_true(hosts_allow(&h, STR_LIT("example.org")));

	static const struct {
		const char *list, *told;
	} wrong[] = {{"", "\"\""},
		     {"a,", "\"\""},
		     {",a", "\"\""},
		     {"a,,b", "\"\""},
		     {"a b", "\"a b\""},
		     {"a:80", "a port"},
		     {"[::1]:80", "a port"},
		     {"*.a.org", "\"*.a.org\""},
		     {"**", "\"**\""},
		     {"http://a", "\"http://a\""},
		     {"a/b", "\"a/b\""},
		     {"[::1", "\"[::1\""},
		     {"::1%lo", "\"::1%lo\""}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		h = (struct hosts){0};
		assert_int_equal(hosts_add(&h, wrong[i].list, &err), HOKKU_INVALID_REQUEST);
		if (!strstr(err.message, wrong[i].told))
			fail_msg("%s: %s", wrong[i].list, err.message);
	}
}

static void test_limits(void **state)
{
	(void)state;
	struct hokku_error err;
	for (size_t n = HOSTS_MAX_NAME_BYTES - 1; n <= HOSTS_MAX_NAME_BYTES + 1; n++) {
		struct hosts h = {0};
		char name[HOSTS_MAX_NAME_BYTES + 2];
		memset(name, 'a', n);
		name[n] = '\0';
		enum hokku_code rc = hosts_add(&h, name, &err);
		assert_int_equal(rc, n > HOSTS_MAX_NAME_BYTES ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		assert_true(rc || hosts_allow(&h, str_c(name)));
	}
	for (uint32_t n = HOSTS_MAX - 1; n <= HOSTS_MAX + 1; n++) {
		struct hosts h = {0};
		struct strbuf list = {0};
		for (uint32_t i = 0; i < n; i++)
			strbuf_addf(&list, "%sh%u", i ? "," : "", i);
		assert_int_equal(hosts_add(&h, list.ptr, &err),
				 n > HOSTS_MAX ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		assert_true(n > HOSTS_MAX || hosts_allow(&h, (struct str){list.ptr + list.len - 3, 3}));
		strbuf_free(&list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),    cmocka_unit_test(test_origins),
		cmocka_unit_test(test_loopback), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_lists),    cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
