/* Who gets the page of GET / and who the list of routes: what an Accept header says of either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_wanted), cmocka_unit_test(test_not_wanted)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
