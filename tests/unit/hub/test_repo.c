/* What a hub says of a repository, and the heads of its answers: what is taken, and what is refused with its
 * reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hub/repo.h"

#define COMMIT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define SUM    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const struct hub_name name = {.repo = "u/r", .revision = "main"};

static enum hokku_code read_text(const char *text, struct hub_repo *out, struct hokku_error *err)
{
	return hub_repo_read(&name, str_c(text), out, err);
}

static void test_a_list(void **state)
{
	(void)state;
	struct hub_repo r;
	assert_int_equal(
		read_text("{\"sha\":\"" COMMIT "\",\"siblings\":["
			  "{\"rfilename\":\"b.gguf\",\"size\":7,\"blobId\":\"x\",\"lfs\":{\"sha256\":\"" SUM
			  "\",\"size\":7}},{\"rfilename\":\"a/c.json\",\"size\":0,\"lfs\":null},"
			  "{\"rfilename\":\"z\",\"size\":9007199254740993}]}",
			  &r, NULL),
		HOKKU_OK);
	assert_string_equal(r.commit, COMMIT);
	assert_int_equal(r.files.n, 3);
	assert_string_equal(r.files.all[0].path, "a/c.json");
	assert_string_equal(r.files.all[0].hash, "");
	assert_string_equal(r.files.all[1].hash, SUM);
	assert_int_equal(r.files.all[2].n_bytes, UINT64_C(9007199254740993));
	hub_repo_free(&r);
}

static void test_bad_lists(void **state)
{
	(void)state;
#define LIST(files)      "{\"sha\":\"" COMMIT "\",\"siblings\":[" files "]}"
#define FILE_OF(n, more) LIST("{\"rfilename\":\"" n "\"," more "}")
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "line 1"},
		{"[]", "it tells no commit"},
		{"{\"sha\":1,\"siblings\":[]}", "it tells no commit"},
		{"{\"sha\":\"" SUM "\",\"siblings\":[]}", "it tells no commit, but \"ba78"},
		{"{\"sha\":\"" COMMIT "\\u0000\",\"siblings\":[]}", "it tells no commit"},
		{"{\"sha\":\"" COMMIT "\",\"siblings\":{}}", "it lists no files"},
		{LIST("1"), "a file has no name"},
		{LIST("{\"size\":1}"), "a file has no name"},
		{FILE_OF("../x", "\"size\":1"), "no file of a repository can be called \"../x\""},
		{FILE_OF("a\\u0000b", "\"size\":1"), "no file of a repository can be called \"a"},
		{FILE_OF("a\\nb", "\"size\":1"), "no file of a repository can be called \"a"},
		{FILE_OF("", "\"size\":1"), "no file of a repository can be called \"\""},
		{FILE_OF("a", "\"size\":-1"), "no size is told of \"a\""},
		{FILE_OF("a", "\"size\":1.5"), "no size is told of \"a\""},
		{FILE_OF("a", "\"size\":1e400"), "no size is told of \"a\""},
		{FILE_OF("a", "\"size\":\"1\""), "no size is told of \"a\""},
		{FILE_OF("a", "\"size\":99999999999999999999"), "no size is told of \"a\""},
		{FILE_OF("a", "\"size\":1,\"lfs\":{\"sha256\":\"" SUM "\",\"size\":2}"),
		 "\"a\" has 1 bytes, and 2 as it is stored"},
		{FILE_OF("a", "\"size\":1,\"lfs\":{\"sha256\":\"../../x\",\"size\":1}"),
		 "this is no checksum: \"../../x\""},
		{FILE_OF("a", "\"size\":1,\"blobId\":\"" SUM "0\""), "this is no checksum"},
		{LIST("{\"rfilename\":\"a\",\"size\":1},{\"rfilename\":\"a\",\"size\":1}"),
		 "two files are called \"a\""},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hub_repo r;
		struct hokku_error err = {0};
		if (read_text(bad[i].text, &r, &err) != HOKKU_BAD_FILE || !strstr(err.message, bad[i].why) ||
		    strncmp(err.message, "the hub's answer for u/r: ", 26) != 0)
			fail_msg("%s: %s", bad[i].text, err.message);
		assert_int_equal(r.files.n, 0);
	}
}

static void test_most_files(void **state)
{
	(void)state;
	for (int d = -1; d <= 1; d++) {
		struct strbuf b = {0};
		struct hub_repo r;
		struct hokku_error err = {0};
		strbuf_add_c(&b, "{\"sha\":\"" COMMIT "\",\"siblings\":[");
		for (int i = 0; i < HUB_MAX_FILES + d; i++)
			strbuf_addf(&b, "%s{\"rfilename\":\"%d\",\"size\":1}", i ? "," : "", i);
		strbuf_add_c(&b, "]}");
		assert_int_equal(read_text(b.ptr, &r, &err), d > 0 ? HOKKU_BAD_FILE : HOKKU_OK);
		assert_int_equal(r.files.n, d > 0 ? 0 : HUB_MAX_FILES + d);
		hub_repo_free(&r);
		strbuf_free(&b);
	}
}

static void take(struct http_headers *h, const char *line)
{
	http_take_header(h, line, strlen(line));
}

static void test_heads(void **state)
{
	(void)state;
	struct http_headers h = {0};
	take(&h, "HTTP/1.1 302 Found\r\n");
	take(&h, "LOCATION:  https://x/y?a=b:c \r\n");
	take(&h, "ETag: W/\"abc\"\r\n");
	take(&h, "x-linked-etag: \"" SUM "\"\r\n");
	take(&h, "X-Linked-Size: 17\r\n");
	take(&h, "no colon\r\n");
	take(&h, "\r\n");
	assert_string_equal(h.location, "https://x/y?a=b:c");
	assert_string_equal(h.etag, "abc");
	assert_string_equal(h.linked_etag, SUM);
	assert_string_equal(h.linked_size, "17");
	/* Of an answer after another, what the first said is gone. */
	take(&h, "HTTP/1.1 200 OK\r\n");
	assert_string_equal(h.location, "");
	/* A value that does not fit is none: one byte less does. */
	char line[256] = "X-Linked-Size: ";
	for (int n = (int)sizeof h.linked_size - 2; n <= (int)sizeof h.linked_size; n++) {
		snprintf(line + 15, sizeof line - 15, "%0*d\r\n", n, 1);
		h.linked_size[0] = '\0';
		take(&h, line);
		assert_int_equal(strlen(h.linked_size), n < (int)sizeof h.linked_size ? n : 0);
	}
	/* Nor is one that would steer the terminal that a message is read on. */
	for (const char *c = "\x01\x1b\x7f\t"; *c; c++) {
		snprintf(line, sizeof line, "Location: ftp://x/%c]0;y\r\n", *c);
		take(&h, line);
	}
	assert_string_equal(h.location, "");
	take(&h, "Location: /\xc3\xa4\r\n");
	assert_string_equal(h.location, "/\xc3\xa4");
	take(&h, "ETag: \"\r\n");
	take(&h, "ETag: W/\r\n");
	take(&h, "ETag:\r\n");
	assert_string_equal(h.etag, "");
}

static void test_paths_of_addresses(void **state)
{
	(void)state;
	struct strbuf b = {0};
	http_add_path(&b, "a b/c#d?e%f&\xc3\xa4+.gguf");
	assert_string_equal(b.ptr, "a%20b/c%23d%3Fe%25f%26%C3%A4%2B.gguf");
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list),
		cmocka_unit_test(test_bad_lists),
		cmocka_unit_test(test_most_files),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_paths_of_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
