/* Names of models: every form, every limit, and what no name may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hub/name.h"

static const struct hub_config config = {.endpoint = (char *)"https://hub.test:8443/base"};

struct row {
	const char *text, *repo, *revision, *want;
};

static void test_repositories(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"user/repo", "user/repo", "main", ""},
		{"u/r:Q4_K_M", "u/r", "main", "Q4_K_M"},
		{"u/r:sub/file.gguf", "u/r", "main", "sub/file.gguf"},
		{"u/r:a file.gguf", "u/r", "main", "a file.gguf"},
		{"u/r@v1.0", "u/r", "v1.0", ""},
		{"u/r@refs/pr/3:Q8_0", "u/r", "refs/pr/3", "Q8_0"},
		{"hf.co/u/r", "u/r", "main", ""},
		{"hf.co/u/r:F16", "u/r", "main", "F16"},
		{"huggingface.co/u/r@dev", "u/r", "dev", ""},
		{"https://hf.co/u/r/", "u/r", "main", ""},
		{"http://hf.co/u/r:F16", "u/r", "main", "F16"},
		{"https://www.huggingface.co/u/r?x=y", "u/r", "main", ""},
		{"https://huggingface.co/u/r/tree/main", "u/r", "main", ""},
		{"https://huggingface.co/u/r/blob/main/a/b.gguf", "u/r", "main", "a/b.gguf"},
		{"https://huggingface.co/u/r/resolve/v2/b.gguf?download=true#x", "u/r", "v2", "b.gguf"},
		{"https://hub.test:8443/base/u/r/resolve/main/b.gguf", "u/r", "main", "b.gguf"},
		{"qwen3:4b", "Qwen/Qwen3-4B-GGUF", "main", "Qwen3-4B-Q4_K_M.gguf"},
		{"qwen3", "Qwen/Qwen3-4B-GGUF", "main", "Qwen3-4B-Q4_K_M.gguf"},
		{"A.b_c-1/d.e", "A.b_c-1/d.e", "main", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct hub_name n;
		struct hokku_error err = {0};
		if (hub_name_parse(rows[i].text, &config, &n, &err))
			fail_msg("%s: %s", rows[i].text, err.message);
		assert_int_equal(n.kind, HUB_REPO);
		assert_string_equal(n.repo, rows[i].repo);
		assert_string_equal(n.revision, rows[i].revision);
		assert_string_equal(n.want, rows[i].want);
	}
}

static void test_paths_and_urls(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum hub_kind kind;
	} rows[] = {
		{"./m.gguf", HUB_PATH},
		{"/m.gguf", HUB_PATH},
		{"../m", HUB_PATH},
		{"m.gguf", HUB_PATH},
		{"a/b/c.gguf", HUB_PATH},
		{"~/m.gguf", HUB_PATH},
		{"u/r:\xc2\xa0", HUB_REPO},
		{"https://x.test/m.gguf", HUB_URL},
		{"http://x.test/a/m.gguf?sig=1", HUB_URL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct hub_name n;
		assert_int_equal(hub_name_parse(rows[i].text, &config, &n, NULL), HOKKU_OK);
		assert_int_equal(n.kind, rows[i].kind);
	}
}

static void test_bad(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"u/r:",
		"u/r:../x",
		"u/r:/x",
		"u/r:a//b",
		"u/r:a/./b",
		"u/r:a\\b",
		"u/r:a\nb",
		"u/r:a\x1b[1mb",
		"u/r:a\x7f",
		"u/r:a\xc2\x80",
		"u/r:a\xc2\x9f"
		"b",
		"u/r:\xff",
		"u/r@",
		"u/r@../x",
		"u/r@a b",
		"u/r@-x",
		"u/r@.x",
		"u/r@a..b",
		"u--x/r",
		"u/r..x",
		"u/.r",
		"u/r.",
		"-u/r",
		"u/r r",
		"hf.co/u",
		"hf.co/",
		"hf.co/u/r/x/main/f",
		"hf.co/../r",
		"hf.co/u/..",
		"ftp://x/m.gguf",
		"https://x.test/m",
		"https://http://hf.co/u/r",
		"https://x y/m.gguf",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hub_name n;
		struct hokku_error err = {0};
		if (hub_name_parse(bad[i], &config, &n, &err) != HOKKU_INVALID_REQUEST)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_non_null(strstr(err.message, "names no model: "));
	}
}

static void test_short_names(void **state)
{
	(void)state;
	struct hub_name n;
	struct hokku_error err = {0};
	assert_int_equal(hub_name_parse("qwen3:5b", &config, &n, &err), HOKKU_NOT_FOUND);
	assert_non_null(strstr(err.message, "did you mean qwen3:"));
	assert_int_equal(hub_name_parse("zzzzzzzzzz", &config, &n, &err), HOKKU_NOT_FOUND);
	assert_null(strstr(err.message, "did you mean"));
	/* Each row is a name that can be, once. */
	for (const struct hub_short *s = hub_shorts; s->name; s++) {
		assert_int_equal(hub_name_parse(s->name, &config, &n, &err), HOKKU_OK);
		assert_ptr_equal(n.known, s);
		assert_string_equal(n.repo, s->repo);
		assert_true(hub_file_name_ok(str_c(s->file)) && s->n_bytes > 1000000);
	}
}

static void test_lengths(void **state)
{
	(void)state;
	char text[2 * HUB_MAX_FILE + 400];
	struct hub_name n;
	/* A repository's, "u/" counted. */
	for (int d = -1; d <= 1; d++) {
		snprintf(
			text, sizeof text, "u/%.*s", HUB_MAX_REPO - 2 + d,
			"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
			"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr");
		assert_int_equal(hub_name_parse(text, &config, &n, NULL),
				 d > 0 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
	}
	/* A file's: components of up to 255 bytes, 1,024 in all. */
	for (int d = -1; d <= 1; d++) {
		char *at = text + sprintf(text, "u/r:");
		for (int i = 0; i < 4; i++)
			at += sprintf(at, "%0*d/", 204, 1);
		sprintf(at, "%0*d", HUB_MAX_FILE - 4 * 205 + d, 1);
		assert_int_equal(strlen(text), 4 + HUB_MAX_FILE + d);
		assert_int_equal(hub_name_parse(text, &config, &n, NULL),
				 d > 0 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		sprintf(text, "u/r:%0*d", 255 + d, 1);
		assert_int_equal(hub_name_parse(text, &config, &n, NULL),
				 d > 0 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		sprintf(text, "u/r@%0*d", HUB_MAX_REVISION + d, 1);
		assert_int_equal(hub_name_parse(text, &config, &n, NULL),
				 d > 0 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repositories), cmocka_unit_test(test_paths_and_urls),
		cmocka_unit_test(test_bad),          cmocka_unit_test(test_short_names),
		cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
