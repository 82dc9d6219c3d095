/* The fields that give an answer its shape, by all of their names and on both routes: what they come to,
 * which go together, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/request.h"

static struct gen_request r;
static struct request_error err;

static enum hokku_code parse(const struct request_form *form, const char *rest)
{
	static char text[65536];
	snprintf(text, sizeof text, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]%s%s}",
		 *rest ? "," : "", rest);
	return request_parse(str_c(text), form, NULL, &r, &err);
}

static const struct request_form *const forms[] = {&request_native, &request_openai_chat};

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *body, *field;
		enum constrain_kind kind;
		const char *text;
		enum constrain_space space;
	} rows[] = {
		{"\"response_format\":{\"type\":\"json_object\"}", "response_format", CONSTRAIN_JSON_OBJECT,
		 "", CONSTRAIN_COMPACT},
		{"\"response_format\":{\"type\":\"json_object\",\"schema\":{\"a\" : 1.50}}",
		 "response_format.schema", CONSTRAIN_JSON_SCHEMA, "{\"a\":1.50}", CONSTRAIN_COMPACT},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"strict\":true,"
		 "\"description\":\"d\",\"schema\":{\"enum\":[\"\\u0000\\n\",null,true,-1e2]}}}",
		 "response_format.json_schema.schema", CONSTRAIN_JSON_SCHEMA,
		 "{\"enum\":[\"\\u0000\\n\",null,true,-1e2]}", CONSTRAIN_COMPACT},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"strict\":null,\"schema\":true}},"
		 "\"json_space\":\"free\"",
		 "response_format.json_schema.schema", CONSTRAIN_JSON_SCHEMA, "true", CONSTRAIN_FREE},
		{"\"json_space\":\"compact\",\"json_schema\":{}", "json_schema", CONSTRAIN_JSON_SCHEMA, "{}",
		 CONSTRAIN_COMPACT},
		{"\"guided_json\":\"{\\\"type\\\": \\\"null\\\"}\"", "guided_json", CONSTRAIN_JSON_SCHEMA,
		 "{\"type\": \"null\"}", CONSTRAIN_COMPACT},
		{"\"grammar\":\"root ::= \\\"a\\\"\"", "grammar", CONSTRAIN_GBNF, "root ::= \"a\"",
		 CONSTRAIN_COMPACT},
		{"\"guided_grammar\":\"x\"", "guided_grammar", CONSTRAIN_GBNF, "x", CONSTRAIN_COMPACT},
		{"\"regex\":\"[a-z]+\"", "regex", CONSTRAIN_REGEX, "[a-z]+", CONSTRAIN_COMPACT},
		{"\"guided_regex\":\"a\"", "guided_regex", CONSTRAIN_REGEX, "a", CONSTRAIN_COMPACT},
		{"\"choice\":[\"yes\", \"\"]", "choice", CONSTRAIN_CHOICE, "[\"yes\",\"\"]",
		 CONSTRAIN_COMPACT},
		{"\"guided_choice\":[\"a\"]", "guided_choice", CONSTRAIN_CHOICE, "[\"a\"]",
		 CONSTRAIN_COMPACT},
		{"\"structured_outputs\":{\"json\":{\"a\":[]},\"disable_any_whitespace\":false}",
		 "structured_outputs.json", CONSTRAIN_JSON_SCHEMA, "{\"a\":[]}", CONSTRAIN_FREE},
		{"\"structured_outputs\":{\"json\":null,\"regex\":\"a\"}", "structured_outputs.regex",
		 CONSTRAIN_REGEX, "a", CONSTRAIN_COMPACT},
		{"\"structured_outputs\":{\"json_object\":true}", "structured_outputs.json_object",
		 CONSTRAIN_JSON_OBJECT, "", CONSTRAIN_COMPACT},
		{"\"structured_outputs\":{\"choice\":[\"a\"]}", "structured_outputs.choice", CONSTRAIN_CHOICE,
		 "[\"a\"]", CONSTRAIN_COMPACT},
		{"\"structured_outputs\":{\"grammar\":\"g\"}", "structured_outputs.grammar", CONSTRAIN_GBNF,
		 "g", CONSTRAIN_COMPACT},
		{"\"response_format\":{\"type\":\"structural_tag\",\"format\":{\"type\":\"any_text\"}}",
		 "response_format", CONSTRAIN_STRUCTURE,
		 "{\"type\":\"structural_tag\",\"format\":{\"type\":\"any_text\"}}", CONSTRAIN_COMPACT},
		{"\"response_format\":{\"type\":\"structural_tag\",\"structures\":[],\"triggers\":[]},"
		 "\"json_space\":\"spaced\"",
		 "response_format", CONSTRAIN_STRUCTURE,
		 "{\"type\":\"structural_tag\",\"structures\":[],\"triggers\":[]}", CONSTRAIN_SPACED},
		{"\"structural_tag\":{\"format\":{}}", "structural_tag", CONSTRAIN_STRUCTURE,
		 "{\"format\":{}}", CONSTRAIN_COMPACT},
		{"\"structured_outputs\":{\"structural_tag\":\"{\\\"format\\\": 1}\"}",
		 "structured_outputs.structural_tag", CONSTRAIN_STRUCTURE, "{\"format\": 1}",
		 CONSTRAIN_COMPACT},
		{"\"structured_outputs\":{\"structural_tag\":{\"a\":1}}", "structured_outputs.structural_tag",
		 CONSTRAIN_STRUCTURE, "{\"a\":1}", CONSTRAIN_COMPACT},
	};
	for (size_t f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			if (parse(forms[f], rows[i].body))
				fail_msg("%s: %s", rows[i].body, err.error.message);
			assert_true(request_drop_prompt(&r)); /* the text outlives the JSON */
			assert_string_equal(r.shape_field, rows[i].field);
			assert_int_equal(r.shape_kind, rows[i].kind);
			assert_int_equal(r.shape_space, rows[i].space);
			assert_string_equal(r.shape_text.ptr ? r.shape_text.ptr : "", rows[i].text);
			assert_int_equal(r.warnings.len, 0);
			request_free(&r);
		}
}

/* What gives no shape. */
static void test_none(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"\"response_format\":{\"type\":\"text\"}",
		"\"response_format\":null,\"grammar\":null,\"regex\":null,\"choice\":null,\"json_schema\":null,"
		"\"structured_outputs\":null,\"json_space\":null",
		"\"structured_outputs\":{}",
		"\"structured_outputs\":{\"json_object\":false}",
	};
	for (size_t f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			if (parse(forms[f], rows[i]))
				fail_msg("%s: %s", rows[i], err.error.message);
			assert_null(r.shape_field);
			request_free(&r);
		}
	assert_int_equal(parse(forms[0], "\"response_format\":{\"type\":\"text\"},\"regex\":\"a\""),
			 HOKKU_OK);
	assert_string_equal(r.shape_field, "regex");
	request_free(&r);
}

static void test_bad(void **state)
{
	(void)state;
	static const struct {
		const char *body, *field, *message;
	} rows[] = {
		{"\"regex\":\"a\",\"grammar\":\"b\"", "grammar",
		 "grammar and regex both say what shape the answer has; give one of them"},
		{"\"response_format\":{\"type\":\"json_object\"},\"choice\":[\"a\"]", "choice",
		 "choice and response_format both say what shape the answer has; give one of them"},
		{"\"structured_outputs\":{\"json\":{},\"regex\":\"a\"}", "structured_outputs.regex",
		 "structured_outputs.regex and structured_outputs.json both say what shape the answer has; "
		 "give one of them"},
		{"\"guided_json\":{},\"guided_json\":{}", "", "line 1 column"},
		{"\"regex\":\"\"", "regex", "regex is empty; it takes a regular expression in a string"},
		{"\"regex\":5", "regex", "regex is 5; it takes a regular expression in a string"},
		{"\"grammar\":{}", "grammar",
		 "grammar is an object; it takes a grammar as llama.cpp writes it (GBNF), in a string"},
		{"\"choice\":\"a\"", "choice",
		 "choice is the string \"a\"; it takes an array of at least one string"},
		{"\"choice\":[]", "choice",
		 "choice is an array of 0; it takes an array of at least one string"},
		{"\"choice\":[\"a\",5]", "choice[1]", "choice[1] is 5; it takes a string"},
		{"\"json_schema\":[]", "json_schema",
		 "json_schema is an array of 0; it takes a JSON Schema: an object"},
		{"\"response_format\":\"json\"", "response_format",
		 "response_format is the string \"json\"; it takes an object as {\"type\": \"json_object\"}"},
		{"\"response_format\":{}", "response_format.type",
		 "response_format.type is missing; it takes \"text\", \"json_object\", \"json_schema\" "
		 "or \"structural_tag\""},
		{"\"response_format\":{\"type\":\"xml\"}", "response_format.type",
		 "response_format.type is the string \"xml\"; it takes"},
		{"\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema",
		 "response_format.json_schema is missing; it takes {\"name\": ..., \"schema\": ...}"},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\"}}",
		 "response_format.json_schema.schema",
		 "response_format.json_schema.schema is missing; it takes a JSON Schema"},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":5}}",
		 "response_format.json_schema.schema",
		 "response_format.json_schema.schema is 5; it takes a JSON Schema: an object"},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{},\"strict\":1}}",
		 "response_format.json_schema.strict",
		 "response_format.json_schema.strict is 1; it takes true or false"},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{},\"Strict\":true}}",
		 "response_format.json_schema.Strict",
		 "response_format.json_schema.Strict is no member of it that this server knows; there are name, "
		 "description, schema, strict"},
		{"\"response_format\":{\"type\":\"json_object\",\"json_schema\":{}}",
		 "response_format.json_schema",
		 "is no member of it that this server knows; there are type, schema"},
		{"\"response_format\":{\"type\":\"text\",\"schema\":{}}", "response_format.schema",
		 "is no member of it that this server knows; there are type"},
		{"\"structured_outputs\":\"a\"", "structured_outputs",
		 "structured_outputs is the string \"a\"; it takes an object with one of json, regex, choice, "
		 "grammar and structural_tag"},
		{"\"structured_outputs\":{\"whitespace_pattern\":\" \",\"json\":{}}",
		 "structured_outputs.whitespace_pattern", "is no member of it that this server knows"},
		{"\"json_space\":\"some\",\"json_schema\":{}", "json_space",
		 "json_space is the string \"some\"; it takes \"compact\", \"spaced\" or \"free\""},
		{"\"json_space\":\"free\"", "json_space",
		 "json_space is for answers in JSON; it goes with response_format, json_schema or "
		 "structural_tag"},
		{"\"structural_tag\":[1]", "structural_tag",
		 "structural_tag is an array of 1; it takes a structural tag: {\"format\": {\"type\": ...}}"},
		{"\"structural_tag\":{},\"response_format\":{\"type\":\"structural_tag\"}", "response_format",
		 "both say what shape the answer has"},
		{"\"json_space\":\"free\",\"regex\":\"a\"", "json_space",
		 "json_space is for answers in JSON"},
	};
	for (size_t f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			if (parse(forms[f], rows[i].body) != HOKKU_INVALID_REQUEST)
				fail_msg("%s was taken", rows[i].body);
			assert_string_equal(err.field, rows[i].field);
			if (!strstr(err.error.message, rows[i].message))
				fail_msg("%s: %s", rows[i].body, err.error.message);
			request_free(&r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests_name("fields of shapes", tests, NULL, NULL);
}
