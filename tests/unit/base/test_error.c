#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void set_keeps_code_and_text(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	assert_int_equal(err_set(&err, HOKKU_BAD_FILE, "key %s at %d", "x", 7), HOKKU_BAD_FILE);
	assert_int_equal(err.code, HOKKU_BAD_FILE);
	assert_string_equal(err.message, "key x at 7");
	assert_int_equal(err_set(NULL, HOKKU_INTERNAL, "nobody asked"), HOKKU_INTERNAL);
}

static void prefix_goes_before(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	err_set(&err, HOKKU_BAD_FILE, "inner");
	assert_int_equal(err_prefix(&err, HOKKU_MODEL_LOAD_FAILED, "model %d", 3), HOKKU_MODEL_LOAD_FAILED);
	assert_string_equal(err.message, "model 3: inner");
	assert_int_equal(err.code, HOKKU_MODEL_LOAD_FAILED);
	assert_int_equal(err_prefix(NULL, HOKKU_INTERNAL, "x"), HOKKU_INTERNAL);
}

/* The edge of the message's room: n-1 and n bytes stay whole, n+1 ends in dots. */
static void long_messages_are_marked(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	const int room = (int)sizeof err.message - 1;
	char text[sizeof err.message + 8];
	memset(text, 'a', sizeof text);
	for (int n = room - 1; n <= room + 1; n++) {
		err_set(&err, HOKKU_INTERNAL, "%.*s", n, text);
		int length = (int)strlen(err.message);
		assert_int_equal(length, n <= room ? n : room);
		assert_int_equal(strcmp(err.message + length - 3, "...") == 0, n > room);
	}
	err_set(&err, HOKKU_INTERNAL, "%.*s", room - 2, text);
	err_prefix(&err, HOKKU_INTERNAL, "more");
	assert_int_equal(strlen(err.message), room);
	assert_string_equal(err.message + room - 3, "...");
	err_prefix(&err, HOKKU_INTERNAL, "%.*s", room + 1, text);
	assert_string_equal(err.message + room - 3, "...");
}

static void cut_leaves_whole_characters(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	char text[sizeof err.message * 2] = "a";
	for (size_t i = 1; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "\xC3\xA9", 2);
	for (int shift = 0; shift < 2; shift++) {
		err_set(&err, HOKKU_INTERNAL, "%s", text + shift);
		size_t length = strlen(err.message);
		assert_string_equal(err.message + length - 3, "...");
		assert_int_equal((unsigned char)err.message[length - 4], 0xA9);
	}
}

static void tables_agree(void **state)
{
	(void)state;
	assert_string_equal(hokku_code_name(HOKKU_OK), "OK");
	assert_int_equal(hokku_code_http(HOKKU_OK), 200);
	assert_string_equal(hokku_code_name(HOKKU_CONTEXT_EXCEEDED), "CONTEXT_EXCEEDED");
	assert_int_equal(hokku_code_http(HOKKU_CONTEXT_EXCEEDED), 400);
	assert_int_equal(hokku_code_http(HOKKU_OVERLOADED), 503);
	for (int code = 1; code < HOKKU_N_CODES; code++) {
		assert_non_null(hokku_code_name((enum hokku_code)code));
		assert_in_range(hokku_code_http((enum hokku_code)code), 400, 599);
	}
	assert_string_equal(hokku_code_name((enum hokku_code)HOKKU_N_CODES), "UNKNOWN");
	assert_int_equal(hokku_code_http((enum hokku_code) - 1), 500);
	assert_int_equal(hokku_code_http(HOKKU_N_CODES), 500);
	assert_string_equal(hokku_code_name(HOKKU_N_CODES), "UNKNOWN");
	assert_string_equal(hokku_stop_name(HOKKU_STOP_CONTEXT), "context");
	assert_string_equal(hokku_stop_name((enum hokku_stop)99), "unknown");
	assert_string_equal(hokku_version(), "0.1.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_keeps_code_and_text),
		cmocka_unit_test(prefix_goes_before),
		cmocka_unit_test(long_messages_are_marked),
		cmocka_unit_test(cut_leaves_whole_characters),
		cmocka_unit_test(tables_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
