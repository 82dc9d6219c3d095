/* Lines of a pipe: whole ones, their ends, and one that is too long or never ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/line_reader.h"

enum { MAX = 8, WAIT_S = 60 };

static int feed = -1;

/* Standard input has these bytes, and goes on as long as feed is open. */
static struct line_reader *read_from(const char *bytes, size_t n)
{
	int ends[2];
	struct hokku_error err;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], bytes, n), n);
	assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
	close(ends[0]);
	feed = ends[1];
	struct line_reader *r = line_reader_open(false, -1, MAX, &err);
	assert_non_null(r);
	return r;
}

static void expect(struct line_reader *r, const char *text, size_t n)
{
	struct str line;
	struct hokku_error err = {.message = ""};
	if (line_reader_next(r, "", &line, &err) != LINE_READ)
		fail_msg("no line: %s", err.message);
	assert_int_equal(line.len, n);
	assert_memory_equal(line.ptr, text, n);
}

static void test_lines(void **state)
{
	(void)state;
	struct str line;
	struct hokku_error err;
	static const char bytes[] = "one\n\ntwo\r\na\0b\n1234567\n12345678\n12345678";
	struct line_reader *r = read_from(bytes, sizeof bytes - 1);
	expect(r, "one", 3);
	expect(r, "", 0);
	expect(r, "two", 3);
	expect(r, "a\0b", 3);
	expect(r, "1234567", 7);
	expect(r, "12345678", 8);
	close(feed);
	expect(r, "12345678", 8); /* its end is the input's */
	assert_int_equal(line_reader_next(r, "", &line, &err), LINE_OVER);
	line_reader_close(r);
}

/* It is told as soon as it is: what goes on for ever is not waited for. */
static void test_too_long(void **state)
{
	(void)state;
	struct str line;
	struct hokku_error err;
	struct line_reader *r = read_from("12345678\n123456789", 18);
	expect(r, "12345678", 8);
	alarm(WAIT_S); /* a reader that waits for its end ends here */
	assert_int_equal(line_reader_next(r, "", &line, &err), LINE_FAILED);
	alarm(0);
	assert_string_equal(err.message, "a line has more than the 8 bytes that are allowed");
	line_reader_close(r);
	close(feed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_too_long)};
	return cmocka_run_group_tests_name("line_reader", tests, NULL, NULL);
}
