/* The settings of the environment, by the names that other programs of the hub read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "hub/hub.h"

static const char *const names[] = {"HF_ENDPOINT",
				    "HF_TOKEN",
				    "HUGGING_FACE_HUB_TOKEN",
				    "HF_TOKEN_PATH",
				    "HF_HOME",
				    "HF_HUB_CACHE",
				    "HUGGINGFACE_HUB_CACHE",
				    "XDG_CACHE_HOME",
				    "HF_HUB_OFFLINE",
				    "CURL_CA_BUNDLE",
				    "SSL_CERT_FILE",
				    "HOME",
				    "HOKKU_TEST_RETRY_MS",
				    "REQUESTS_CA_BUNDLE",
				    NULL};

/* An environment that is these pairs alone, of them. */
static void set(const char *const *pairs)
{
	for (size_t i = 0; names[i]; i++)
		unsetenv(names[i]);
	for (; *pairs; pairs += 2)
		setenv(pairs[0], pairs[1], 1);
}
#define SET(...) set((const char *const[]){__VA_ARGS__, NULL})

static void test_places(void **state)
{
	(void)state;
	static const struct {
		const char *pairs[7], *cache, *urls;
	} rows[] = {
		{{"HOME", "/h"}, "/h/.cache/huggingface/hub", "/h/.cache/hokku/urls"},
		{{"HOME", "/h", "XDG_CACHE_HOME", "/x/"}, "/x/huggingface/hub", "/x/hokku/urls"},
		{{"HOME", "/h", "HF_HOME", "/f", "XDG_CACHE_HOME", "/x"}, "/f/hub", "/x/hokku/urls"},
		{{"HF_HOME", "/f", "HF_HUB_CACHE", "/c", "HOME", "/h"}, "/c", "/h/.cache/hokku/urls"},
		{{"HF_HUB_CACHE", "", "HF_HOME", "", "HOME", "/h"},
		 "/h/.cache/huggingface/hub",
		 "/h/.cache/hokku/urls"},
		{{"HUGGINGFACE_HUB_CACHE", "/old"}, "/old", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct hub_config c;
		set(rows[i].pairs);
		assert_int_equal(hub_config_read(&c, NULL), HOKKU_OK);
		assert_string_equal(c.cache, rows[i].cache);
		assert_true(rows[i].urls ? strcmp(c.urls, rows[i].urls) == 0 : !c.urls);
		assert_string_equal(c.endpoint, "https://huggingface.co");
		assert_string_equal(hub_display(&c), "hf.co");
		assert_true(!c.token && !c.offline && !c.ca_file);
		hub_config_free(&c);
	}
}

static void test_bad(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *why;
	} rows[] = {
		{"HF_ENDPOINT", "huggingface.co",
		 "HF_ENDPOINT is \"huggingface.co\"; it takes the address of a hub"},
		{"HF_ENDPOINT", "https://", "HF_ENDPOINT is"},
		{"HF_ENDPOINT", "https:///", "HF_ENDPOINT is"},
		{"HF_ENDPOINT", "ftp://x", "HF_ENDPOINT is"},
		{"HF_ENDPOINT", "https://user:secret@x", "HF_ENDPOINT is"},
		{"HF_ENDPOINT", "https://x/?y", "HF_ENDPOINT is"},
		{"HF_ENDPOINT", "https://x\r\nHost: y", "HF_ENDPOINT is"},
		{"HF_TOKEN", "a b", "HF_TOKEN holds no token: byte 2"},
		{"HF_TOKEN", "a\r\nX: y", "HF_TOKEN holds no token: byte 2"},
		{"HF_TOKEN", "\xc3\xa4", "HF_TOKEN holds no token: byte 1"},
		{"HF_HUB_OFFLINE", "maybe", "HF_HUB_OFFLINE is \"maybe\"; it takes 1 or 0"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct hub_config c;
		struct hokku_error err = {0};
		SET("HOME", "/h", rows[i].name, rows[i].value);
		assert_int_equal(hub_config_read(&c, &err), HOKKU_INVALID_REQUEST);
		if (!strstr(err.message, rows[i].why))
			fail_msg("%s", err.message);
		hub_config_free(&c);
	}
	struct hub_config c;
	struct hokku_error err = {0};
	SET("HF_ENDPOINT", "https://x");
	assert_int_equal(hub_config_read(&c, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "HOME is not set; set HF_HOME or HF_HUB_CACHE"));
	hub_config_free(&c);
}

static void test_values(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku-token-XXXXXX";
	struct hub_config c;
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "  hf_file\r\n", 11), 11);
	close(fd);
	SET("HOME", "/h", "HF_TOKEN_PATH", path, "HF_ENDPOINT", "http://mirror:80/base//", "HF_HUB_OFFLINE",
	    "TRUE", "SSL_CERT_FILE", "/ca");
	assert_int_equal(hub_config_read(&c, NULL), HOKKU_OK);
	assert_string_equal(c.token, "hf_file");
	assert_string_equal(c.endpoint, "http://mirror:80/base");
	assert_string_equal(hub_display(&c), "http://mirror:80/base");
	assert_string_equal(c.ca_file, "/ca");
	assert_true(c.offline);
	hub_config_free(&c);
	SET("HOME", "/h", "HF_TOKEN_PATH", path, "HF_TOKEN", "hf_env\n", "HF_HUB_OFFLINE", "0");
	assert_int_equal(hub_config_read(&c, NULL), HOKKU_OK);
	assert_string_equal(c.token, "hf_env");
	assert_false(c.offline);
	hub_config_free(&c);
	unlink(path);
	/* The longest token, and one byte more. */
	static char text[4200];
	for (int n = 4095; n <= 4097; n++) {
		memset(text, 'x', (size_t)n);
		text[n] = '\0';
		SET("HOME", "/h", "HF_TOKEN", text);
		assert_int_equal(hub_config_read(&c, NULL), n > 4096 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		hub_config_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
