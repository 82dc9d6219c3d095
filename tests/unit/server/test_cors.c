/* Origins of every kind, which of them are allowed, and the headers that say so (WHATWG Fetch, "CORS
 * protocol"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/cors.h"

static struct origins made(const char *list)
{
	struct origins o = {0};
	struct hokku_error err = {.message = ""};
	if (origins_add(&o, list, &err))
		fail_msg("%s: %s", list, err.message);
	return o;
}

static void bad(const char *list, const char *message)
{
	struct origins o = {0};
	struct hokku_error err = {.message = ""};
	assert_int_equal(origins_add(&o, list, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, message);
}

/* Every kind of origin against every kind of list: the letters say which of them allow it. */
static void test_allow(void **state)
{
	(void)state;
	static const struct {
		char letter;
		const char *list;
	} lists[] = {{'a', "https://app.example.org"},
		     {'b', " http://localhost:3000,\thttp://[::1]:8080 , https://B.example"},
		     {'n', "null"},
		     {'f', "file://"},
		     {'x', "chrome-extension://abcdef"},
		     {'l', "localhost"},
		     {'*', "*"}};
	static const struct {
		const char *origin, *allowed;
	} rows[] = {
		{"https://app.example.org", "a*"},
		{"https://app.example.org:443", "a*"},
		{"HTTPS://APP.Example.ORG", "a*"},
		{"https://app.example.org:8443", "*"},
		{"http://app.example.org", "*"},
		{"http://app.example.org:443", "*"},
		{"https://app.example.org.evil.example", "*"},
		{"https://evil-app.example.org", "*"},
		{"https://sub.app.example.org", "*"},
		{"https://example.org", "*"},
		{"https://app.example.org/", "*"},
		{"https://app.example.org/path", "*"},
		{"https://user@app.example.org", "*"},
		{"https://app.example.org https://evil.example", "*"},
		{"https://app.example.org:", "*"},
		{"https://app.example.org:0", "*"},
		{"https://app.example.org:99999", "*"},
		{"app.example.org", "*"},
		{"//app.example.org", "*"},
		{"http://localhost:3000", "lb*"},
		{"http://localhost", "l*"},
		{"http://localhost:30000", "l*"},
		{"http://LOCALHOST:03000", "lb*"},
		{"http://[::1]:8080", "lb*"},
		{"http://[::1]", "l*"},
		{"http://127.0.0.1:3000", "l*"},
		{"https://b.example", "b*"},
		{"https://localhost", "l*"},
		{"http://a.localhost:5173", "l*"},
		{"http://localhost.evil.example", "*"},
		{"http://notlocalhost", "*"},
		{"ftp://localhost", "*"},
		{"http://127.evil.example", "*"},
		{"http://localhost@evil.example", "*"},
		{"localhost", "*"},
		{"null", "n*"},
		{"NULL", "*"},
		{"file://", "f*"},
		{"FILE://", "f*"},
		{"file:///", "*"},
		{"file:///etc/passwd", "*"},
		{"chrome-extension://abcdef", "x*"},
		{"chrome-extension://abcdee", "*"},
		{"", "*"},
		{"*", "*"},
		{"data:", "*"},
	};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct origins o = made(lists[i].list);
		for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
			bool wanted = strchr(rows[j].allowed, lists[i].letter) != NULL;
			if (origins_allow(&o, str_c(rows[j].origin)) != wanted)
				fail_msg("%s %s %s", lists[i].list, rows[j].origin, wanted ? "is not" : "is");
		}
	}
	struct origins none = {0};
	assert_false(origins_any(&none));
	assert_false(origins_allow(&none, STR_LIT("null")));
	char text[20000] = "https://";
	memset(text + 8, 'a', sizeof text - 9); /* as long as a head may be */
	struct origins a = made("https://app.example.org");
	assert_false(origins_allow(&a, str_c(text)));
}

static void test_bad(void **state)
{
	(void)state;
	static const char beside[] = "* stands for every origin, so that no other belongs beside it";
	char text[ORIGINS_MAX_BYTES + 32], message[512];
	bad("*,https://a.example", beside);
	bad("https://a.example,*", beside);
	bad("*,*", beside);
	bad("localhost,*", beside);
	bad("*,localhost", beside);
	bad("https://a.example/", "\"https://a.example/\" has a path; an origin ends with its host or port");
	bad("https://a.example/app",
	    "\"https://a.example/app\" has a path; an origin ends with its host or port");
	bad("http://a:80/,b", "\"http://a:80/\" has a path; an origin ends with its host or port");
	static const char *const none[] = {
		"app.example.org", "",         "https://*.example.org", "https://a b", "://a",
		"1a://b",          "https:/a", "https://a:x",           "https://a:",  "https://user@a"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		snprintf(
			message, sizeof message,
			"\"%s\" is no origin; one as https://app.example.org or http://localhost:3000, null, localhost for this machine and every port, or * for all "
			"is taken",
			none[i]);
		bad(none[i], message);
	}
	for (size_t n = ORIGINS_MAX_BYTES - 1; n <= ORIGINS_MAX_BYTES + 1; n++) {
		struct origins o = {0};
		struct hokku_error err;
		memset(text, 'a', sizeof text);
		memcpy(text, "https://", 8);
		text[n] = '\0';
		assert_int_equal(origins_add(&o, text, &err),
				 n <= ORIGINS_MAX_BYTES ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	}
	struct origins o = {0};
	struct hokku_error err;
	static char names[ORIGINS_MAX + 1][32];
	for (int i = 0; i <= ORIGINS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "http://a:%d", i + 1);
		assert_int_equal(origins_add(&o, names[i], &err),
				 i < ORIGINS_MAX ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	}
	assert_string_equal(err.message, "more than 64 origins are given");
}

static void add(void *to, const char *name, const char *value)
{
	strbuf_addf(to, "%s: %s|", name, value);
}

#define EXPOSE                                                                                                               \
	"Access-Control-Expose-Headers: Hokku-Key, Hokku-Warnings, Request-Id, Retry-After, Traceparent, WWW-Authenticate, " \
	"X-Request-Id|"

static void test_answer(void **state)
{
	(void)state;
	static const struct {
		const char *list, *origin, *told;
	} rows[] = {
		{NULL, "https://a.example", ""},
		{"https://a.example", NULL, "Vary: Origin|"},
		{"https://a.example", "https://b.example", "Vary: Origin|"},
		{"https://a.example", "null", "Vary: Origin|"},
		{"https://a.example", "https://A.example",
		 "Vary: Origin|Access-Control-Allow-Origin: https://A.example|Access-Control-Allow-Credentials: true|" EXPOSE},
		{"null", "null",
		 "Vary: Origin|Access-Control-Allow-Origin: null|Access-Control-Allow-Credentials: true|" EXPOSE},
		{"*", NULL, ""},
		{"*", "https://a.example", "Access-Control-Allow-Origin: *|" EXPOSE},
		{"*", "null", "Access-Control-Allow-Origin: *|" EXPOSE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct origins o = {0};
		struct strbuf b = {0};
		if (rows[i].list)
			o = made(rows[i].list);
		cors_answer(&o, rows[i].origin, add, &b);
		assert_string_equal(b.ptr ? b.ptr : "", rows[i].told);
		strbuf_free(&b);
	}
}

static void test_preflight(void **state)
{
	(void)state;
	struct origins o = made("https://a.example");
	static char longest[CORS_MAX_ASKED_BYTES + 2];
	static const char own[] = "Authorization, Content-Type, X-Api-Key",
			  end[] = "|Access-Control-Max-Age: 600|";
	char wanted[CORS_MAX_ASKED_BYTES + 256];
	const struct {
		const char *headers, *told;
	} rows[] = {{NULL, own},
		    {"", own},
		    {"authorization,x-stainless-os", "authorization,x-stainless-os"},
		    {"a: b\"", own},
		    {"a\r\nb", own},
		    {longest, longest},
		    {longest, own}};
	memset(longest, 'h', CORS_MAX_ASKED_BYTES);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf b = {0};
		if (i + 1 == sizeof rows / sizeof *rows)
			longest[CORS_MAX_ASKED_BYTES] = 'h';
		cors_preflight(&o, "https://a.example", "GET, OPTIONS", rows[i].headers, NULL, add, &b);
		snprintf(wanted, sizeof wanted,
			 "Access-Control-Allow-Methods: GET, OPTIONS|Access-Control-Allow-Headers: %s%s",
			 rows[i].told, end);
		assert_string_equal(b.ptr, wanted);
		strbuf_free(&b);
	}
	struct strbuf b = {0};
	cors_preflight(&o, "https://b.example", "GET", "a", "true", add, &b);
	cors_preflight(&o, NULL, "GET", "a", "true", add, &b);
	assert_int_equal(b.len, 0);
	cors_preflight(&o, "https://a.example", "GET", "a", "true", add, &b);
	assert_non_null(strstr(b.ptr, "Access-Control-Allow-Private-Network: true|"));
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allow),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_preflight),
	};
	return cmocka_run_group_tests_name("cors", tests, NULL, NULL);
}
