/* Every field of every form takes any value there is, or refuses it: none is read past the end of a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "server/field.h"
#include "server/ollama.h"
#include "server/routes.h"

static const char *const values[] = {
	"null",
	"true",
	"false",
	"0",
	"1",
	"-1",
	"1.5",
	"1e30",
	"\"\"",
	"\"x\"",
	"[]",
	"[1]",
	"[\"x\"]",
	"[[]]",
	"[{}]",
	"[null]",
	"{}",
	"{\"a\":1}",
	"{\"type\":1}",
	"{\"type\":\"x\"}",
	"{\"format\":{}}",
};

static void parse(const struct request_form *form, bool option, const char *name, const char *value)
{
	char body[256];
	struct gen_request r;
	struct request_error err;
	int n = snprintf(body, sizeof body, "%s\"%s\":%s%s", option ? "{\"options\":{" : "{", name, value,
			 option ? "}}" : "}");
	assert_true(n > 0 && (size_t)n < sizeof body);
	enum hokku_code rc = request_parse((struct str){body, (size_t)n}, form, NULL, &r, &err);
	assert_true(rc == HOKKU_OK || rc == HOKKU_INVALID_REQUEST);
	assert_true(rc == HOKKU_OK || err.error.message[0]);
	request_free(&r);
}

static void test_every_field(void **state)
{
	struct route_told route;
	size_t n_fields = 0;
	(void)state;
	for (size_t i = 0; routes_tell(i, &route); i++) {
		for (const struct field *f = route.form ? route.form->fields : NULL; f && f->name; f++) {
			n_fields++;
			for (size_t k = 0; k < sizeof values / sizeof *values; k++)
				parse(route.form, false, f->name, values[k]);
		}
	}
	assert_true(n_fields > 500);
}

static void test_every_option(void **state)
{
	(void)state;
	for (size_t i = 0; ollama_option_name(i); i++)
		for (size_t k = 0; k < sizeof values / sizeof *values; k++)
			parse(&request_ollama_chat, true, ollama_option_name(i), values[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_every_option),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
