/* hokku chat without a model: lines put together, commands, messages and their files, settings, what a
 * terminal is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/chat_answer.h"
#include "cli/talk.h"

/* Lines of one text, with '|' between them; '#' before what comes out where it is plain. */
static const struct {
	const char *lines, *texts;
} line_rows[] = {
	{"snow", "snow"},
	{"", ""},
	{"one\\|two", "one\ntwo"},
	{"one\\|two\\|", "one\ntwo\n"},
	{"even\\\\", "even\\\\"},
	{"odd\\\\\\|x", "odd\\\\\nx"},
	{"\"\"\"one|two\"\"\"", "#one\ntwo"},
	{"\"\"\"|one|two|\"\"\"", "#one\ntwo"},
	{"\"\"\"||one||\"\"\"", "#\none\n"},
	{"\"\"\"one\"\"\"", "#one"},
	{"\"\"\"\"\"\"", "#"},
	{"\"\"\"|\"\"\"", "#"},
	{"\"\"\"/help\\|\\\"\"\"", "#/help\\\n\\"},
	{"\"\"\"a \"\"\" b|c\"\"\"", "#a \"\"\" b\nc"},
	{"/system \"\"\"one|two\"\"\"", "/system one\ntwo"},
	{"/system   \"\"\"|one|\"\"\"", "/system   one"},
	{"/system no \"\"\" here", "/system no \"\"\" here"},
	{"no \"\"\" here", "no \"\"\" here"},
	{"first\\|\"\"\"", "first\n\"\"\""},
};

static void test_lines(void **state)
{
	(void)state;
	struct talk_lines l = {0};
	for (size_t i = 0; i < sizeof line_rows / sizeof *line_rows; i++) {
		const char *at = line_rows[i].lines, *wanted = line_rows[i].texts;
		bool whole = false, plain = *wanted == '#';
		for (;;) {
			size_t n = strcspn(at, "|");
			assert_false(whole);
			whole = talk_lines_add(&l, (struct str){at, n});
			assert_int_equal(whole, !l.begun && !l.quoted);
			if (!at[n])
				break;
			at += n + 1;
		}
		if (!whole) { /* the last row that ends with a backslash's line */
			fail_msg("\"%s\" is not whole", line_rows[i].lines);
		}
		assert_string_equal(l.text.ptr ? l.text.ptr : "", wanted + plain);
		assert_int_equal(l.plain, plain);
	}
	/* What was begun can be dropped. */
	assert_false(talk_lines_add(&l, STR_LIT("\"\"\"one")));
	talk_lines_clear(&l);
	assert_true(talk_lines_add(&l, STR_LIT("two")));
	assert_string_equal(l.text.ptr, "two");
	talk_lines_free(&l);
}

static void test_commands(void **state)
{
	(void)state;
	struct hokku_error nul = {0};
	enum talk_command none;
	struct str after;
	/* A NUL is no blank. */
	assert_int_equal(talk_parse((struct str){"/clear\0", 7}, &none, &after, &nul), HOKKU_INVALID_REQUEST);
	assert_int_equal(talk_parse((struct str){"/clear \0", 8}, &none, &after, &nul),
			 HOKKU_INVALID_REQUEST);
	static const struct {
		const char *text;
		enum talk_command command;
		const char *rest;
	} rows[] = {
		{"snow", TALK_SAY, "snow"},
		{" /help", TALK_SAY, " /help"},
		{"//etc/passwd", TALK_SAY, "/etc/passwd"},
		{"//", TALK_SAY, "/"},
		{"/help", TALK_HELP, ""},
		{"/help \t", TALK_HELP, ""},
		{"/bye", TALK_BYE, ""},
		{"/clear", TALK_CLEAR, ""},
		{"/show", TALK_SHOW, ""},
		{"/regen", TALK_REGEN, ""},
		{"/retry", TALK_RETRY, ""},
		{"/retry another word", TALK_RETRY, "another word"},
		{"/system", TALK_SYSTEM, ""},
		{"/system  Be brief. ", TALK_SYSTEM, "Be brief."},
		{"/system one\ntwo", TALK_SYSTEM, "one\ntwo"},
		{"/set", TALK_SET, ""},
		{"/set top_k 40", TALK_SET, "top_k 40"},
		{"/save a b.json", TALK_SAVE, "a b.json"},
		{"/load x", TALK_LOAD, "x"},
	};
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"/",
		 "there is no command \"/\"; /help lists them (a message that begins with / is written //)"},
		{"/hlep", "there is no command \"/hlep\" (did you mean /help?)"},
		{"/exit", "there is no command \"/exit\""},
		{"/Help", "there is no command \"/Help\""},
		{"/etc/passwd is a file", "there is no command \"/etc/passwd\""},
		{"/help me", "/help takes nothing behind it, and has \"me\""},
		{"/bye now", "/bye takes nothing behind it, and has \"now\""},
		{"/save", "/save needs a name behind it: /save FILE"},
		{"/load  ", "/load needs a name behind it: /load FILE"},
	};
	enum talk_command command;
	struct str rest;
	struct hokku_error err;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(talk_parse(str_c(rows[i].text), &command, &rest, &err), HOKKU_OK);
		assert_int_equal(command, rows[i].command);
		assert_true(str_eq_c(rest, rows[i].rest));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(talk_parse(str_c(bad[i].text), &command, &rest, &err),
				 HOKKU_INVALID_REQUEST);
		if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
			fail_msg("\"%s\": %s", bad[i].text, err.message);
	}
}

static const struct str none = {"", 0};

static void test_messages(void **state)
{
	(void)state;
	struct talk t = {0};
	struct strbuf json = {0};
	struct hokku_error err;
	assert_int_equal(talk_last_asked(&t), 0);
	talk_write(&t, &json);
	assert_string_equal(json.ptr, "[]");
	for (int i = 0; i < 40; i++)
		assert_int_equal(talk_add(&t, i % 2, STR_LIT("x"), none, &err), HOKKU_OK);
	assert_int_equal(talk_last_asked(&t), 38);
	talk_cut(&t, 0);
	strbuf_add_c(&t.system, "Be \"brief\".");
	assert_int_equal(talk_add(&t, false, STR_LIT("snow\nand ice"), none, &err), HOKKU_OK);
	assert_int_equal(talk_add(&t, true, STR_LIT("white"), STR_LIT("hm"), &err), HOKKU_OK);
	assert_int_equal(talk_add(&t, false, STR_LIT("ab\xff"), none, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "byte 2 of the message (0xff) is no UTF-8, which messages are written in");
	assert_int_equal(t.n, 2);
	strbuf_clear(&json);
	talk_write(&t, &json);
	assert_string_equal(json.ptr,
			    "[{\"role\":\"system\",\"content\":\"Be \\\"brief\\\".\"},\n"
			    "{\"role\":\"user\",\"content\":\"snow\\nand ice\"},\n"
			    "{\"role\":\"assistant\",\"content\":\"white\",\"reasoning_content\":\"hm\"}]");
	strbuf_free(&json);
	talk_free(&t);
}

static char path[] = "/tmp/hokku-talk-XXXXXX";

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_files(void **state)
{
	(void)state;
	struct talk t = {0}, back = {0};
	struct strbuf json = {0}, again = {0};
	struct hokku_error err;
	strbuf_add_c(&t.system, "Be brief.");
	assert_int_equal(talk_add(&t, false, STR_LIT("snow"), none, &err), HOKKU_OK);
	assert_int_equal(talk_add(&t, true, STR_LIT("white"), STR_LIT("hm"), &err), HOKKU_OK);
	assert_int_equal(talk_save(&t, path, "haiku", false, &err), HOKKU_INVALID_REQUEST); /* mkstemp's */
	assert_non_null(strstr(err.message, "is there already"));
	assert_int_equal(talk_save(&t, path, "haiku", true, &err), HOKKU_OK);
	assert_int_equal(talk_load(&back, path, &err), HOKKU_OK);
	talk_write(&t, &json);
	talk_write(&back, &again);
	assert_string_equal(json.ptr, again.ptr);

	static const struct {
		const char *text, *message;
	} bad[] = {
		{"", "line 1 column 1"},
		{"{\"messages\": [", "line 1 column"},
		{"3", "messages is absent; it takes an array"},
		{"{\"messages\": {}}", "messages is {}; it takes an array"},
		{"[3]", "messages[0].role is absent"},
		{"[{\"role\": \"tool\", \"content\": \"x\"}]", "messages[0].role is \"tool\""},
		{"[{\"role\": \"user\"}]", "messages[0].content is absent; it takes a string"},
		{"[{\"role\": \"user\", \"content\": [1]}]", "messages[0].content is [1]; it takes a string"},
		{"[{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"system\", \"content\": \"y\"}]",
		 "messages[1].role is \"system\"; only the first message may be that"},
		{"[{\"role\": \"assistant\", \"content\": \"x\", \"reasoning_content\": 1}]",
		 "messages[0].reasoning_content is 1; it takes a string"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_file(bad[i].text);
		assert_int_equal(talk_load(&back, path, &err), HOKKU_BAD_FILE);
		assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
		if (!strstr(err.message, bad[i].message))
			fail_msg("%s: %s", bad[i].text, err.message);
		strbuf_clear(&again); /* it is as it was */
		talk_write(&back, &again);
		assert_string_equal(json.ptr, again.ptr);
	}
	write_file("[{\"role\": \"user\", \"content\": \"x\", \"reasoning_content\": null}]");
	assert_int_equal(talk_load(&back, path, &err), HOKKU_OK);
	assert_int_equal(back.n, 1);
	assert_int_equal(back.system.len, 0);
	assert_int_equal(talk_load(&back, "/nowhere/at/all", &err), HOKKU_NOT_FOUND);
	assert_int_equal(back.n, 1);
	strbuf_free(&json);
	strbuf_free(&again);
	talk_free(&t);
	talk_free(&back);
}

static void test_settings(void **state)
{
	(void)state;
	struct talk_settings s = {0}, fallback = {0};
	struct hokku_error err;
	sampling_defaults(&fallback.sampling, SAMPLING_OWN, NULL);
	fallback.max_tokens = 7;
	s = fallback;
#define SET(text) talk_set(&s, &fallback, str_c(text), &err)
	assert_int_equal(SET("temperature 0.25"), HOKKU_OK);
	assert_float_equal(s.sampling.temperature, 0.25, 0);
	assert_int_equal(SET("temperature 100"), HOKKU_OK);
	assert_int_equal(SET("top-k  40"), HOKKU_OK);
	assert_int_equal(s.sampling.top_k, 40);
	assert_int_equal(SET("max_tokens 2147483647"), HOKKU_OK);
	assert_int_equal(s.max_tokens, INT32_MAX);
	assert_int_equal(SET("seed 18446744073709551615"), HOKKU_OK);
	assert_true(s.seed_given && s.sampling.seed == UINT64_MAX);
	assert_int_equal(SET("seed random"), HOKKU_OK);
	assert_false(s.seed_given);
	assert_int_equal(SET("thinking off"), HOKKU_OK);
	assert_int_equal(s.thinking, HOKKU_THINKING_OFF);
	assert_int_equal(SET("thinking on"), HOKKU_OK);
	assert_int_equal(s.thinking, HOKKU_THINKING_ON);
	assert_int_equal(SET("thinking_budget 12"), HOKKU_OK);
	assert_int_equal(s.thinking_budget, 12);
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"temperature",
		 "the value of temperature is missing; it takes a number from 0 to 100, or default"},
		{"temperature hot", "the value of temperature is \"hot\"; it takes a number from 0 to 100"},
		{"temperature 1 2", "the value of temperature is \"1 2\""},
		{"temperature nan", "the value of temperature is \"nan\""},
		{"temperature -0.1", "temperature is -0.1; it must be from 0 to 100"},
		{"temperature 100.1", "temperature is 100.1; it must be from 0 to 100"},
		{"top_p 0", "top_p is 0; it must be more than 0 and at most 1"},
		{"top_k 1.5", "the value of top_k is \"1.5\"; it takes a whole number from 0 to 2147483647"},
		{"top_k 2147483648", "the value of top_k is \"2147483648\""},
		{"top_k -1", "top_k is -1; it must be from 0 to 2147483647"},
		{"max_tokens 2147483648",
		 "the value of max_tokens is \"2147483648\"; it takes 0 (no limit) to 2147483647, or default"},
		{"max_tokens -1", "the value of max_tokens is \"-1\""},
		{"seed 18446744073709551616", "the value of seed is \"18446744073709551616\""},
		{"seed ", "the value of seed is missing"},
		{"thinking maybe",
		 "the value of thinking is \"maybe\"; it takes on, off or auto, or default"},
		{"temprature 1", "there is no setting \"temprature\" (did you mean temperature?)"},
		{"zzz 1", "there is no setting \"zzz\"; /set alone lists them"},
	};
	struct talk_settings before = s;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(SET(bad[i].text), HOKKU_INVALID_REQUEST);
		if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
			fail_msg("\"%s\": %s", bad[i].text, err.message);
		assert_memory_equal(&s.sampling, &before.sampling, sizeof s.sampling);
	}
	for (const char *const *n = (const char *const[]){"temperature", "top_k", "max_tokens", "thinking",
							  "thinking_budget", "seed", NULL};
	     *n; n++) {
		char text[64];
		snprintf(text, sizeof text, "%s default", *n);
		assert_int_equal(SET(text), HOKKU_OK);
	}
	assert_float_equal(s.sampling.temperature, fallback.sampling.temperature, 0);
	assert_int_equal(s.sampling.top_k, fallback.sampling.top_k);
	assert_int_equal(s.max_tokens, 7);
	assert_int_equal(s.thinking_budget, 0);
	assert_int_equal(s.thinking, HOKKU_THINKING_UNSAID);
#undef SET
}

static void test_shown(void **state)
{
	(void)state;
	struct strbuf out = {0};
	const char text[] = "a\tb\nc\x1b[2Jd\x07\x7f\r\xc2\x9b"
			    "e\xc2\xa0\xc3\xa9\xe9\x9b\xaa";
	chat_add_shown(&out, (struct str){text, sizeof text - 1});
	assert_string_equal(out.ptr, "a\tb\nc\xef\xbf\xbd[2Jd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				     "e\xc2\xa0\xc3\xa9\xe9\x9b\xaa");
	strbuf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),    cmocka_unit_test(test_commands),
		cmocka_unit_test(test_messages), cmocka_unit_test(test_files),
		cmocka_unit_test(test_settings), cmocka_unit_test(test_shown),
	};
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
