/* Every field of every form takes any value there is, or refuses it: none is read past the end of a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "server/field.h"
#include "server/ollama.h"
#include "server/responses.h"
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

/* What clients of OpenAI's API send, and what llama-server and vLLM take beside: each field is done by a
 * route (d), has no effect, which is told (w), or is refused (r); none is passed over in silence. */
static void test_named_fields(void **state)
{
	(void)state;
	static const struct {
		const struct request_form *form;
		const char *path, *rest; /* what a request cannot be without */
	} routes[] = {
		{&request_openai_chat, "/v1/chat/completions",
		 "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]"},
		{&request_completion, "/v1/completions", "\"prompt\":\"a\""},
		{&request_responses, "/v1/responses", "\"input\":\"a\""},
	};
#define CHAT_TOOL "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define FLAT_TOOL "[{\"type\":\"function\",\"name\":\"f\"}]"
	static const struct {
		const char *field, *value, *want; /* of each route; '-': its value has another form there */
	} rows[] = {
		{"stream", "true", "ddd"},
		{"stream_options", "{\"include_usage\":true},\"stream\":true", "dd-"},
		{"max_tokens", "3", "ddr"},
		{"max_completion_tokens", "3", "drr"},
		{"max_output_tokens", "16", "rrd"},
		{"n", "2", "ddr"},
		{"stop", "[\"x\"]", "ddr"},
		{"seed", "1", "ddd"},
		{"temperature", "0.5", "ddd"},
		{"top_p", "0.5", "ddd"},
		{"logprobs", "true", "d--"},
		{"logprobs", "2", "-d-"},
		{"top_logprobs", "2,\"logprobs\":true", "d--"},
		{"prompt_logprobs", "1", "ddr"},
		{"echo", "true", "rdr"},
		{"suffix", "\"x\"", "rdr"},
		{"logit_bias", "{\"5\":1}", "ddr"},
		{"frequency_penalty", "0.1", "ddd"},
		{"presence_penalty", "0.1", "ddd"},
		{"response_format", "{\"type\":\"json_object\"}", "ddr"},
		{"tools", CHAT_TOOL, "dr-"},
		{"tools", FLAT_TOOL, "-rd"},
		{"tool_choice", "\"required\",\"tools\":" CHAT_TOOL, "dr-"},
		{"parallel_tool_calls", "false,\"tools\":" CHAT_TOOL, "dr-"},
		{"reasoning_effort", "\"low\"", "drr"},
		{"reasoning", "{\"effort\":\"low\"}", "-rd"},
		{"user", "\"u\"", "www"},
		{"service_tier", "\"auto\"", "www"},
		{"safety_identifier", "\"u\"", "w-w"},
		{"prompt_cache_key", "\"u\"", "w-w"},
		{"store", "true", "ww-"},
		{"metadata", "{\"a\":\"b\"}", "ww-"},
		{"store", "true", "--d"},
		{"metadata", "{\"a\":\"b\"}", "--d"},
		{"top_k", "5", "ddd"},
		{"min_p", "0.1", "ddd"},
		{"typical_p", "0.5", "ddd"},
		{"repetition_penalty", "1.1", "ddd"},
		{"repeat_last_n", "5", "ddd"},
		{"dry_multiplier", "1", "ddd"},
		{"dry_base", "1.5", "ddd"},
		{"dry_allowed_length", "2", "ddd"},
		{"dry_penalty_last_n", "5", "ddd"},
		{"dry_sequence_breakers", "[\"x\"]", "ddr"},
		{"xtc_probability", "0.5", "ddd"},
		{"xtc_threshold", "0.1", "ddd"},
		{"top_n_sigma", "1", "ddd"},
		{"dynatemp_range", "0.2", "ddd"},
		{"dynatemp_exponent", "1", "ddd"},
		{"mirostat", "2", "ddd"},
		{"mirostat_tau", "5", "ddd"},
		{"mirostat_eta", "0.1", "ddd"},
		{"min_tokens", "1", "ddr"},
		{"ignore_eos", "true", "ddr"},
		{"stop_token_ids", "[5]", "ddr"},
		{"bad_words", "[\"x\"]", "ddr"},
		{"allowed_token_ids", "[5]", "ddr"},
		{"include_stop_str_in_output", "true", "ddr"},
		{"chat_template_kwargs", "{\"a\":1}", "drd"},
		{"add_generation_prompt", "true", "drr"},
		{"return_token_ids", "true", "ddr"},
		{"cache_prompt", "false", "ddd"},
		{"cache_salt", "\"x\"", "ddd"},
		{"best_of", "2", "rrr"},
		{"functions", "[]", "rrr"},
		{"min_length", "3", "rrr"},
		{"truncate_prompt_tokens", "3", "rrr"},
		{"continue_final_message", "true", "rrr"},
		{"nobodys_field", "1", "rrr"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t k = 0; k < 3; k++) {
			char body[512];
			struct gen_request r;
			struct request_error err;
			if (rows[i].want[k] == '-')
				continue;
			int n = snprintf(body, sizeof body, "{%s,\"%s\":%s}", routes[k].rest, rows[i].field,
					 rows[i].value);
			enum hokku_code rc =
				request_parse((struct str){body, (size_t)n}, routes[k].form, NULL, &r, &err);
			char got = rc ? 'r' : r.warnings.len ? 'w' : 'd';
			if (got != rows[i].want[k] || (got == 'w' && !strstr(r.warnings.ptr, rows[i].field)))
				fail_msg("%s of %s: %c, not %c (%s)", rows[i].field, routes[k].path, got,
					 rows[i].want[k],
					 rc               ? err.error.message
					 : r.warnings.len ? r.warnings.ptr
							  : "");
			request_free(&r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_named_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
