/* Every ingredient of a fingerprint changes it, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fingerprint.h"

static struct state_identity identity;
static struct fingerprint_of of;

static void fill(void)
{
	memset(&identity, 0, sizeof identity);
	for (int i = 0; i < STATE_N_FIELDS; i++)
		snprintf(identity.text[i], sizeof identity.text[i], "ab");
	of = (struct fingerprint_of){.identity = &identity, .build = "1", .n_ctx = 512, .other = ""};
}

static const char *make(void)
{
	static char out[FINGERPRINT_BYTES];
	fingerprint_make(&of, out);
	return out;
}

static char seen[64][FINGERPRINT_BYTES];
static int n_seen;

static void expect_new(const char *what)
{
	const char *print = make();
	assert_int_equal(strlen(print), 19);
	assert_int_equal(strncmp(print, "fp_", 3), 0);
	assert_int_equal(strspn(print + 3, "0123456789abcdef"), 16);
	for (int i = 0; i < n_seen; i++)
		if (strcmp(seen[i], print) == 0)
			fail_msg("%s: as number %d", what, i);
	memcpy(seen[n_seen++], print, FINGERPRINT_BYTES);
}

static void test_ingredients(void **state)
{
	(void)state;
	static const char *const names[] = {
#define STATE_X(name, text) text,
		STATE_FIELDS(STATE_X)
#undef STATE_X
	};
	fill();
	expect_new("the first");
	for (int i = 0; i < STATE_N_FIELDS; i++) {
		fill();
		snprintf(identity.text[i], sizeof identity.text[i], "ac");
		expect_new(names[i]);
		snprintf(identity.text[i], sizeof identity.text[i],
			 "a"); /* what it lacks is not the next's */
		if (i + 1 < STATE_N_FIELDS)
			snprintf(identity.text[i + 1], sizeof identity.text[i], "bab");
		expect_new(names[i]);
	}
	fill();
	of.build = "2";
	expect_new("build");
	fill();
	of.n_ctx = 513;
	expect_new("context");
	fill();
	of.chat_template = (struct str)STR_LIT("");
	expect_new("an empty template");
	of.chat_template = (struct str)STR_LIT("x");
	expect_new("a template");
	fill();
	of.other = "x";
	expect_new("other");
	fill();
	memset(identity.text[0] + 3, 'x', 8); /* behind the text's end */
	assert_string_equal(make(), seen[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ingredients)};
	return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
