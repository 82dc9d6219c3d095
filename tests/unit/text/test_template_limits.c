/* What bounds a chat template from an untrusted file: each limit at n-1, n and n+1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "text/chat.h"
#include "text/limits.h"
#include "text/template_internal.h"

/* Renders source with no messages; the length written or, on an error, its message. */
static enum hokku_code render(const struct strbuf *source, size_t *n_written, struct hokku_error *err)
{
	const struct template_input input = {0};
	struct strbuf out = {0};
	enum hokku_code rc = template_render((struct str){source->ptr, source->len}, &input, &out, err);
	*n_written = out.len;
	strbuf_free(&out);
	return rc;
}

static void expect(const struct strbuf *source, const char *message)
{
	struct hokku_error err = {0};
	size_t n;
	enum hokku_code rc = render(source, &n, &err);
	if (!message && rc)
		fail_msg("refused: %s", err.message);
	if (message && (rc != HOKKU_BAD_FILE || !strstr(err.message, message)))
		fail_msg("%s: %s\nwanted %s", hokku_code_name(rc), err.message, message);
}

static void repeat(struct strbuf *b, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(b, text);
}

static void bytes_of_a_template(void **state)
{
	(void)state;
	for (int over = -1; over <= 1; over++) {
		struct strbuf source = {0};
		repeat(&source, "x", (size_t)(CHAT_MAX_TEMPLATE_BYTES + over));
		expect(&source, over > 0 ? "it has 262145 bytes; 262144 are allowed" : NULL);
		strbuf_free(&source);
	}
}

static void depth_of_blocks(void **state)
{
	(void)state;
	for (int over = -1; over <= 1; over++) {
		struct strbuf source = {0};
		size_t n = (size_t)(TEMPLATE_MAX_DEPTH - 1 + over); /* the text around them is a level too */
		repeat(&source, "{% if true %}", n);
		repeat(&source, "{% endif %}", n);
		expect(&source, over > 0 ? "blocks nested deeper than 32" : NULL);
		strbuf_free(&source);
	}
}

static void depth_of_parentheses(void **state)
{
	(void)state;
	for (int over = -1; over <= 1; over++) {
		struct strbuf source = {0};
		size_t n = (size_t)(TEMPLATE_MAX_DEPTH - 1 + over);
		strbuf_add_c(&source, "{{ ");
		repeat(&source, "(", n);
		strbuf_add_c(&source, "1");
		repeat(&source, ")", n);
		strbuf_add_c(&source, " }}");
		expect(&source, over > 0 ? "parentheses nested too deep" : NULL);
		strbuf_free(&source);
	}
}

static void number_of_variables(void **state)
{
	(void)state;
	for (int over = -1; over <= 1; over++) {
		struct strbuf source = {0};
		for (int i = 0; i < TEMPLATE_MAX_VARIABLES + over; i++)
			strbuf_addf(&source, "{%% set v%d = 1 %%}", i);
		expect(&source, over > 0 ? "more than 256 variables" : NULL);
		strbuf_free(&source);
	}
}

/* Texts that double: the longest is 64 KiB. */
static void bytes_of_a_text(void **state)
{
	(void)state;
	for (int doublings = 15; doublings <= 17; doublings++) {
		struct strbuf source = {0};
		strbuf_add_c(&source, "{% set x = 'a' %}");
		repeat(&source, "{% set x = x + x %}", (size_t)doublings);
		expect(&source, doublings > 16 ? "a text longer than is allowed" : NULL);
		strbuf_free(&source);
	}
}

/* 64 KiB made again and again comes to 16 MiB after some 255 times. */
static void memory_of_all_texts(void **state)
{
	(void)state;
	for (int many = 0; many <= 1; many++) {
		struct strbuf source = {0};
		strbuf_add_c(&source, "{% set x = 'a' %}");
		repeat(&source, "{% set x = x + x %}", 15);
		repeat(&source, "{% set y = x + x %}", many ? 262 : 250);
		expect(&source, many ? "more text made than is allowed" : NULL);
		strbuf_free(&source);
	}
}

static void bytes_written(void **state)
{
	(void)state;
	struct strbuf start = {0};
	strbuf_add_c(&start, "{% set x = 'a' %}");
	repeat(&start, "{% set x = x + x %}", 16);
	for (int over = -1; over <= 1; over++) {
		struct strbuf source = {0};
		strbuf_add(&source, start.ptr, start.len);
		repeat(&source, "{{ x }}", 15);
		repeat(&source, "z", (size_t)(65536 + over));
		struct hokku_error err = {0};
		size_t n;
		enum hokku_code rc = render(&source, &n, &err);
		assert_int_equal(rc, over > 0 ? HOKKU_BAD_FILE : HOKKU_OK);
		if (over > 0)
			assert_non_null(strstr(err.message, "it writes more than 1048576 bytes"));
		else
			assert_int_equal(n, TEMPLATE_MAX_OUTPUT_BYTES + over);
		strbuf_free(&source);
	}
	strbuf_free(&start);
}

/* Steps can only be many through loops: 4 messages, nine loops deep, are 4^9 rounds. */
static void number_of_steps(void **state)
{
	(void)state;
	static const struct template_message messages[4] = {{{"user", 4}, {"a", 1}},
							    {{"assistant", 9}, {"b", 1}},
							    {{"user", 4}, {"c", 1}},
							    {{"assistant", 9}, {"d", 1}}};
	for (int deep = 0; deep <= 1; deep++) {
		const struct template_input input = {.messages = messages, .n_messages = 4};
		struct strbuf source = {0}, out = {0};
		struct hokku_error err = {0};
		size_t loops = deep ? 9 : 5;
		for (size_t i = 0; i < loops; i++)
			strbuf_addf(&source, "{%% for m%zu in messages %%}", i);
		repeat(&source, "{% endfor %}", loops);
		enum hokku_code rc =
			template_render((struct str){source.ptr, source.len}, &input, &out, &err);
		assert_int_equal(rc, deep ? HOKKU_BAD_FILE : HOKKU_OK);
		if (deep)
			assert_non_null(strstr(err.message, "more than 200000 steps"));
		strbuf_free(&source);
		strbuf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_a_template),  cmocka_unit_test(depth_of_blocks),
		cmocka_unit_test(depth_of_parentheses), cmocka_unit_test(number_of_variables),
		cmocka_unit_test(bytes_of_a_text),      cmocka_unit_test(memory_of_all_texts),
		cmocka_unit_test(bytes_written),        cmocka_unit_test(number_of_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
