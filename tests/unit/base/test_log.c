/* Lines of the log: in text and as JSON, one a call, whatever their values hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"

/* What write puts on stderr. */
static char *said(void (*write_it)(void))
{
	static char text[200000];
	FILE *file = tmpfile();
	assert_non_null(file);
	int before = dup(STDERR_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	write_it();
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void write_line(void)
{
	struct log_line l;
	log_begin(&l, LOG_WARN, "what \"it\" is\n");
	log_str(&l, "plain", STR_LIT("one/word-1"));
	log_str(&l, "blank", STR_LIT("two words"));
	log_str(&l, "empty", STR_LIT(""));
	log_str(&l, "odd", STR_LIT("\"\\\n\x01\xFF\xC3\xA9="));
	log_u64(&l, "n", UINT64_MAX);
	log_ms(&l, "ms", 0.26);
	log_detail(&l, "detail", "json alone");
	log_end(&l);
}

static void write_two(void)
{
	log_info("a %d\nb", 5);
	log_info("e %s", "\x1b[2J\x07\x7f\r\t\xC3\xA9");
	log_debug("nobody reads this");
	struct log_line l;
	log_begin(&l, LOG_DEBUG, "nor this");
	log_str(&l, "x", STR_LIT("y"));
	log_end(&l);
}

static void write_long(void)
{
	log_info("%s", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	char text[3000];
	memset(text, '\x01', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_info("%s", text);
	struct log_line l;
	static char large[70000];
	memset(large, 'x', sizeof large);
	log_begin(&l, LOG_INFO, "large");
	log_str(&l, "body", (struct str){large, sizeof large});
	log_end(&l);
}

static void test_text(void **state)
{
	(void)state;
	log_format_set(LOG_TEXT);
	assert_string_equal(
		said(write_line) + 24,
		" warn  what \"it\" is  plain=one/word-1 blank=\"two words\" empty=\"\" "
		"odd=\"\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xC3\xA9=\" n=18446744073709551615 ms=0.3\n");
	char *two = said(write_two), *second = strchr(two, '\n');
	assert_non_null(second);
	assert_string_equal(second + 1 + 24, " info  e  [2J    \xC3\xA9\n"); /* nothing steers a terminal */
	second[1] = '\0';
	assert_string_equal(two + 24, " info  a 5 b\n");
}

static const char *text_of(json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

static void test_json(void **state)
{
	(void)state;
	log_format_set(LOG_JSON);
	const char *line = said(write_line);
	assert_int_equal(strchr(line, '\n') - line + 1, strlen(line));
	assert_non_null(strstr(line, "\"n\":18446744073709551615,\"ms\":0.3,")); /* more than jansson reads */
	char small[1000];
	snprintf(small, sizeof small, "%.*s0%s", (int)(strstr(line, "18446") - line), line,
		 strstr(line, "709551615") + 9);
	json_t *read = json_loads(small, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(read);
	assert_int_equal(strlen(text_of(read, "time")), 24);
	assert_string_equal(text_of(read, "level"), "warn");
	assert_string_equal(text_of(read, "message"), "what \"it\" is\n");
	assert_string_equal(text_of(read, "plain"), "one/word-1");
	assert_string_equal(text_of(read, "empty"), "");
	assert_string_equal(text_of(read, "odd"), "\"\\\n\x01\xEF\xBF\xBD\xC3\xA9=");
	assert_string_equal(text_of(read, "detail"), "json alone");
	json_decref(read);
	line = said(write_two);
	assert_non_null(strstr(line, "\"level\":\"info\",\"message\":\"a 5\\nb\"}\n"));
	assert_null(strstr(line, "this"));
	int n = 0;
	for (char *at = said(write_long), *end; (end = strchr(at, '\n')); at = end + 1, n++) {
		*end = '\0';
		read = json_loads(at, 0, NULL);
		assert_non_null(read);
		json_decref(read);
	}
	assert_int_equal(n, 3);
	log_format_set(LOG_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_json)};
	log_level_set(LOG_INFO);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
