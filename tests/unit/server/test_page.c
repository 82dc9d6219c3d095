/* Who gets the page of GET / and who the list of routes, and in which form: what a client's headers say of
 * each; that the page in the program is a whole one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "server/accept.h"
#include "server/page.h"

static const char *const wanted[] = {
	"text/html",
	"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", /* a browser */
	"TEXT/HTML",
	" text/html ",
	"text/html;q=0.001",
	"text/html; q=1.000",
	"text/html;Q=0.5",
	"text/html;level=1;q=0.5",
	"text/*",
	"text/*;q=0.1",
	"text/html;q=0.5, text/html;q=0.7, application/json;q=0.6", /* the higher of two */
	"application/json, text/html",
	"application/json;q=0.5, text/html;q=0.5",
	"application/json;q=0, text/html;q=0.1",
	"x/y;a=\"b,application/json;q=1\", text/html;q=0.5", /* of a quoted string nothing counts */
	",,text/html,,",
	"\ttext/html\t;\tq=0.3",
};

static const char *const not_wanted[] = {
	NULL,
	"",
	"*/*",
	"application/json",
	"application/*",
	"text/html;q=0",
	"text/html;q=0.000",
	"text/html;q=2",
	"text/html;q=1.001",
	"text/html;q=-1",
	"text/html;q=0.1234",
	"text/html;q=",
	"text/html;q=.5",
	"text/html;q=x",
	"text/html;q=0,5",
	"text/html;q=0, text/*",
	"text/htmlx",
	"text/htm",
	"text",
	"text /html",
	"text/plain",
	"text/html;q=0.4, application/json;q=0.5",
	"text/*;q=0.4, application/json;q=0.5",
	"x/y;a=\"text/html",
	"x/y;a=\",text/html\"",
	"x/y;a=\"\\\",text/html\"",
	",;,;q=1,",
};

static void test_wanted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!page_is_wanted(wanted[i]))
			fail_msg("no page for %s", wanted[i]);
}

static void test_not_wanted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof not_wanted / sizeof *not_wanted; i++)
		if (page_is_wanted(not_wanted[i]))
			fail_msg("a page for %s", not_wanted[i] ? not_wanted[i] : "no header");
}

static const char *const gzip[] = {
	"gzip",
	"gzip, deflate, br, zstd", /* a browser */
	"GZip",
	"x-gzip",
	"x-gzip;q=0.1",
	"gzip;q=0, x-gzip", /* the higher of two names of one thing */
	"*",
	"*;q=0.001",
	"br, *;q=0.1",
	"gzip;q=0.5, identity;q=0.5",
	"identity;q=0.4, gzip;q=0.5",
	"identity;q=0, gzip;q=0.001",
	"gzip;q=1.000, *;q=0",
	"identity;q=0, *",
	",gzip,",
	"\tgzip\t;\tq=0.3",
};

static const char *const plain[] = {
	NULL,
	"",
	"identity",
	"br",
	"gzip;q=0",
	"gzip;q=0.000",
	"gzip;q=0, *", /* what is named goes before what is not */
	"gzip;q=0, x-gzip;q=0, *;q=1",
	"*;q=0",
	"identity;q=0, *;q=0", /* it gets what there is */
	"identity, gzip;q=0.9",
	"identity, *;q=0.9",
	"gzip;q=2",
	"gzip;q=x",
	"gzip;q=",
	"gzip;q=0.0001",
	"gzipped",
	"gzi",
	"\"gzip\"",
};

static void test_gzip(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof gzip / sizeof *gzip; i++)
		if (!accept_gzip(gzip[i]))
			fail_msg("no gzip for %s", gzip[i]);
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (accept_gzip(plain[i]))
			fail_msg("gzip for %s", plain[i] ? plain[i] : "no header");
}

static void test_tags(void **state)
{
	(void)state;
	static const char *const same[] = {
		"\"a-gzip\"", "W/\"a-gzip\"", "*", "\"b\", \"a-gzip\"", "\"b,c\" , W/\"a-gzip\" ",
		"\"b\",,*"};
	static const char *const other[] = {
		NULL,           "",           "a-gzip",          "\"a\"", "\"a-gzip", "W\"a-gzip\"",
		"w/\"a-gzip\"", "\"A-gzip\"", "\"b, \"a-gzip\"", "\"*\"", "W/"};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (!accept_has_tag(same[i], "\"a-gzip\""))
			fail_msg("not in %s", same[i]);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++)
		if (accept_has_tag(other[i], "\"a-gzip\""))
			fail_msg("in %s", other[i] ? other[i] : "no header");
}

static void test_whole(void **state)
{
	(void)state;
	struct page p = {0};
	struct hokku_error err;
	char *text;
	size_t n;
	assert_int_equal(page_open(&p, &err), HOKKU_OK);
	assert_int_equal(file_read(TEST_SOURCE_DIR "/page/dist/index.html", 1 << 20, &text, &n, &err),
			 HOKKU_OK);
	assert_int_equal(p.n_plain, n);
	assert_memory_equal(p.plain, text, n);
	assert_int_equal(strlen(p.tag), 16);
	free(text);
	page_close(&p);
	page_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_wanted), cmocka_unit_test(test_not_wanted),
					   cmocka_unit_test(test_gzip), cmocka_unit_test(test_tags),
					   cmocka_unit_test(test_whole)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
