/* POST /v1/chat/completions: which fields are done, which have no effect, which are refused, at their limits;
 * and the answers' bytes. The official client reads them in tests/e2e/openai.test.mjs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/answer.h"

static struct gen_request r;
static struct request_error err;
static struct strbuf b;

/* {"messages": [...], REST} */
static enum hokku_code parse(const char *rest)
{
	static char text[65536];
	snprintf(text, sizeof text, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]%s%s}",
		 *rest ? "," : "", rest);
	return request_parse(str_c(text), &request_openai_chat, NULL, &r, &err);
}

static void good(const char *rest)
{
	if (parse(rest))
		fail_msg("%s: %s", rest, err.error.message);
}

static void bad(const char *rest, const char *field, const char *part)
{
	if (parse(rest) != HOKKU_INVALID_REQUEST || strcmp(err.field, field) != 0 ||
	    !strstr(err.error.message, part))
		fail_msg("%s: field %s, message %s", rest, err.field, err.error.message);
	request_free(&r);
}

static void test_done(void **state)
{
	(void)state;
	good("");
	assert_true(!r.stream && r.sampling.temperature == 1 && r.sampling.top_p == 1 && r.n == 1);
	assert_true(!r.logprobs && r.n_top == 0 && !r.has_seed && r.max_tokens == 0 && !r.model);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good("\"model\":\"org/name\",\"stream\":true,\"stream_options\":{\"include_usage\":true,"
	     "\"include_obfuscation\":false},\"max_completion_tokens\":9,\"n\":3,\"stop\":[\"x\",\"y\"],"
	     "\"seed\":-1,\"temperature\":0.5,\"top_p\":0,\"top_k\":3,\"min_p\":0.1,\"repetition_penalty\":1.1,"
	     "\"presence_penalty\":-2,\"frequency_penalty\":2,\"logit_bias\":{\"5\":-100},\"logprobs\":true,"
	     "\"top_logprobs\":20,\"prompt_logprobs\":3,\"chat_template_kwargs\":{\"a\":1},\"id\":\"my-1\"");
	assert_true(request_drop_prompt(&r));
	assert_string_equal(r.model, "org/name"); /* outlives the JSON */
	assert_true(r.stream && r.include_usage && r.max_tokens == 9 && r.n == 3 && r.n_stop == 2);
	assert_true(r.has_seed && r.sampling.seed == UINT64_MAX && r.sampling.temperature == 0.5f);
	assert_true(r.sampling.top_p > 0 && r.sampling.top_p < 1e-30f && r.sampling.top_k == 3);
	assert_int_equal(sampling_check(&r.sampling, 10, NULL), HOKKU_OK);
	assert_true(r.prompt_logprobs && r.n_prompt_top == 3);
	assert_true(r.logprobs && r.n_top == 20 && r.sampling.n_bias == 1 && strcmp(r.id, "my-1") == 0);
	request_free(&r);
	/* What the official types allow to be null is as good as left out. */
	good("\"stop\":null,\"max_tokens\":null,\"logprobs\":null,\"top_logprobs\":null,\"seed\":null,\"n\":null,"
	     "\"stream_options\":null,\"temperature\":null,\"logit_bias\":null,\"reasoning_effort\":null,"
	     "\"response_format\":null,\"user\":null,\"audio\":null");
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *field, *low, *lowest, *highest, *high;
	} rows[] = {
		{"n", "0", "1", "128", "129"},
		{"max_tokens", "0", "1", "2147483647", "2147483648"},
		{"max_completion_tokens", "0", "1", "2147483647", "2147483648"},
		{"temperature", "-0.1", "0", "2", "101"},
		{"top_p", "-1e-30", "0", "1", "1.01"},
		{"presence_penalty", "-2.01", "-2", "2", "2.01"},
		{"frequency_penalty", "-2.01", "-2", "2", "2.01"},
		{"seed", "-9223372036854775809", "-9223372036854775808", "9223372036854775807",
		 "\"18446744073709551616\""},
		{"logprobs\":true,\"top_logprobs", "-1", "0", "20", "21"},
		{"prompt_logprobs", "-1", "0", "20", "21"},
		{"priority", "-1", "0", "3", "4"},
	};
	char text[128];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *values[] = {rows[i].low, rows[i].lowest, rows[i].highest, rows[i].high};
		const char *field =
			strrchr(rows[i].field, '"') ? strrchr(rows[i].field, '"') + 1 : rows[i].field;
		for (size_t k = 0; k < 4; k++) {
			snprintf(text, sizeof text, "\"%s\":%s", rows[i].field, values[k]);
			if (k == 0 || k == 3)
				bad(text, field, "takes");
			else
				good(text);
			request_free(&r);
		}
		snprintf(text, sizeof text, "\"%s\":[]", rows[i].field);
		bad(text, field, "an array of 0");
	}
	for (size_t n = REQUEST_MAX_MODEL_BYTES - 1; n <= REQUEST_MAX_MODEL_BYTES + 1; n++) {
		char name[REQUEST_MAX_MODEL_BYTES + 32];
		snprintf(name, sizeof name, "\"model\":\"%0*d\"", (int)n, 1);
		assert_int_equal(parse(name),
				 n <= REQUEST_MAX_MODEL_BYTES ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		request_free(&r);
	}
	bad("\"model\":\"\"", "model", "takes a string of 1 to 256 bytes");
	bad("\"model\":1", "model", "is 1");
}

#define TOOL(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"
#define TOOLS      ",\"tools\":[" TOOL("f") "," TOOL("g") "]"
#define CHOICE(c)  "\"tool_choice\":" c
#define ALLOWED(mode, tools) \
	CHOICE("{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"" mode "\",\"tools\":[" tools "]}}")

static void test_refused(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"\"top_logprobs\":1", "top_logprobs", "goes with \"logprobs\": true"},
		{"\"logprobs\":false,\"top_logprobs\":1", "top_logprobs", "goes with"},
		{"\"logprobs\":1", "logprobs", "true or false"},
		{"\"stream_options\":{}", "stream_options", "goes with \"stream\": true"},
		{"\"stream\":true,\"stream_options\":{\"usage\":true}", "stream_options.usage", "no option"},
		{"\"stream\":true,\"stream_options\":{\"include_usage\":1}", "stream_options.include_usage",
		 "is 1"},
		{"\"stream\":true,\"stream_options\":true", "stream_options", "include_usage"},
		{"\"max_tokens\":1,\"max_completion_tokens\":2", "max_completion_tokens",
		 "is 2 and max_tokens is 1"},
		{"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}",
		 "response_format.json_schema.schema", "is missing"},
		{"\"response_format\":\"text\"", "response_format", "the string \"text\""},
		{"\"tool_choice\":\"required\"", "tool_choice", "asks for a call, and there are no tools"},
		{"\"tool_choice\":\"required\",\"tools\":[]", "tool_choice", "there are no tools"},
		{CHOICE("{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), "tool_choice",
		 "there are no tools"},
		{CHOICE("\"any\"") TOOLS, "tool_choice", "is the string \"any\"; it takes \"auto\""},
		{CHOICE("1") TOOLS, "tool_choice", "is 1; it takes"},
		{CHOICE("{}") TOOLS, "tool_choice", "is {}; it takes"},
		{CHOICE("{\"type\":\"custom\",\"custom\":{\"name\":\"f\"}}") TOOLS, "tool_choice", "custom"},
		{CHOICE("{\"type\":\"function\"}") TOOLS, "tool_choice.function.name", "is absent"},
		{CHOICE("{\"type\":\"function\",\"name\":\"f\"}") TOOLS, "tool_choice.function.name",
		 "is absent"},
		{CHOICE("{\"type\":\"function\",\"function\":{\"name\":\"\"}}") TOOLS,
		 "tool_choice.function.name", "is \"\""},
		{CHOICE("{\"type\":\"function\",\"function\":{\"name\":\"h\"}}") TOOLS,
		 "tool_choice.function.name", "is \"h\", which none of tools is called"},
		{ALLOWED("any", TOOL("f")) TOOLS, "tool_choice.allowed_tools.mode", "is \"any\""},
		{ALLOWED("auto", "") TOOLS, "tool_choice.allowed_tools.tools", "is []"},
		{ALLOWED("auto", "1") TOOLS, "tool_choice.allowed_tools.tools[0]", "is 1"},
		{ALLOWED("auto", TOOL("f") "," TOOL("h")) TOOLS,
		 "tool_choice.allowed_tools.tools[1].function.name", "is \"h\", which none"},
		{ALLOWED("auto", TOOL("f")), "tool_choice", "there are no tools"},
		{"\"parallel_tool_calls\":0", "parallel_tool_calls", "is 0; it takes true or false"},
		{"\"modalities\":[\"text\",\"audio\"]", "modalities", "[\"text\"] alone"},
		{"\"verbosity\":\"low\"", "verbosity", "\"low\""},
		{"\"functions\":[]", "functions", "give them as tools"},
		{"\"function_call\":\"auto\"", "function_call", "tools"},
		{"\"reasoning_effort\":\"huge\"", "reasoning_effort",
		 "is the string \"huge\"; it takes \"none\""},
		{"\"reasoning_effort\":1", "reasoning_effort", "is 1"},
		{"\"moderation\":{}", "moderation", "nothing is moderated"},
		{"\"user\":1", "user", "is 1; it takes a string"},
		{"\"metadata\":\"a\"", "metadata", "it takes an object of strings"},
		{"\"store\":\"true\"", "store", "it takes true or false"},
		{"\"audio\":{}", "audio", "answers are text"},
		{"\"web_search_options\":{}", "web_search_options", "nothing is searched"},
		{"\"tools\":[{\"type\":\"custom\"}]", "tools[0].type", "takes \"function\""},
		{"\"tools\":[{}]", "tools[0].type", "is missing"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{}}]", "tools[0].function.name",
		 "is absent"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"\"}}]", "tools[0].function.name",
		 "is \"\"; it takes 1 to 128 characters"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"<|im_end|>\"}}]",
		 "tools[0].function.name", "A-Z a-z 0-9"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\\u0000\"}}]",
		 "tools[0].function.name", "A-Z a-z 0-9"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]",
		 "tools[0].function.parameters", "is an array of 0; it takes a JSON Schema, an object"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":1}}]",
		 "tools[0].function.strict", "is 1; it takes true or false"},
		{"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":1}}]",
		 "tools[0].function.description", "is 1; it takes a string"},
		{"\"tools\":[1]", "tools[0]", "takes an object"},
		{"\"temprature\":1", "temprature", "did you mean \"temperature\"?"},
		{"\"prompt\":\"a\"", "prompt", "is no field of this route"},
		{"\"a_field_whose_name_is_longer_than_what_an_error_has_room_for_\xE3\x81\xAE\":1",
		 "a_field_whose_name_is_longer_than_what_an_error_has_room_for_", "is no field"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		bad(rows[i][0], rows[i][1], rows[i][2]);
	assert_int_equal(request_parse(STR_LIT("{}"), &request_openai_chat, NULL, &r, &err),
			 HOKKU_INVALID_REQUEST);
	assert_string_equal(err.field, "messages");
	request_free(&r);
}

/* What asks for nothing is taken; what cannot change an answer is told. */
static void test_without_effect(void **state)
{
	(void)state;
	good("\"response_format\":{\"type\":\"text\"},\"tool_choice\":\"auto\",\"parallel_tool_calls\":true,"
	     "\"modalities\":[\"text\"],\"verbosity\":\"medium\",\"max_tokens\":5,\"max_completion_tokens\":5");
	assert_int_equal(r.warnings.len, 0);
	assert_int_equal(r.max_tokens, 5);
	request_free(&r);
	good("\"user\":\"u\",\"store\":true,\"metadata\":{},\"service_tier\":\"auto\",\"safety_identifier\":\"x\","
	     "\"prompt_cache_key\":\"k\",\"prompt_cache_retention\":\"24h\",\"prediction\":{}");
	assert_int_equal(
		strncmp(r.warnings.ptr, "\"user has no effect here\",\"store has no effect here\"", 52), 0);
	request_free(&r);
	good("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
	assert_non_null(r.tools);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\"");
	assert_null(r.tools);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
}

/* {"messages": [a user's, MORE]} */
static enum hokku_code parse_messages(const char *more)
{
	static char text[4096];
	snprintf(text, sizeof text, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}%s]}", more);
	return request_parse(str_c(text), &request_openai_chat, NULL, &r, &err);
}

/* Results belong to calls; a conversation that goes wrong says where. */
static void test_messages(void **state)
{
	(void)state;
#define CALL(id) \
	"{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
#define CALLS(c)   ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" c "]}"
#define RESULT(id) ",{\"role\":\"tool\",\"content\":\"1\",\"tool_call_id\":\"" id "\"}"
#define USER       ",{\"role\":\"user\",\"content\":\"b\"}"
	static const char *const right[] = {
		"",
		CALLS(CALL("x")) RESULT("x"),
		CALLS(CALL("x") "," CALL("y")) RESULT("y") RESULT("x") USER,
		CALLS(CALL("x")) RESULT("x") CALLS(CALL("z")) RESULT("z"),
		CALLS(CALL("x")) USER, /* a call that nobody answered is the client's affair */
		",{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[]}" USER,
		",{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":null}" USER,
		CALLS("{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}"),
		CALLS("{\"function\":{\"name\":\"f\"}}"),
		",{\"role\":\"user\",\"content\":\"\",\"name\":\"n\"}",
	};
	static const char *const wrong[][3] = {
		{RESULT("x"), "messages[1].role", "have no call that it could be the result of"},
		{CALLS(CALL("x")) USER RESULT("x"), "messages[3].role", "have no call"},
		{",{\"role\":\"assistant\",\"content\":\"a\"}" RESULT("x"), "messages[2].role",
		 "have no call"},
		{CALLS(CALL("x")) RESULT("y"), "messages[2].tool_call_id", "is \"y\", which no call"},
		{CALLS(CALL("x")) RESULT(""), "messages[2].tool_call_id", "is \"\"; it takes"},
		{CALLS(CALL("x")) ",{\"role\":\"tool\",\"content\":\"1\"}", "messages[2].tool_call_id",
		 "is absent"},
		{CALLS("1"), "messages[1].tool_calls[0].function.name", "is absent"},
		{CALLS("{\"function\":{\"name\":\"\"}}"), "messages[1].tool_calls[0].function.name",
		 "is \"\""},
		{CALLS("{\"function\":{\"name\":\"f\",\"arguments\":1}}"),
		 "messages[1].tool_calls[0].function.arguments", "is 1"},
		{CALLS("{\"id\":1,\"function\":{\"name\":\"f\"}}"), "messages[1].tool_calls[0].id", "is 1"},
		{",{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":{}}", "messages[1].tool_calls",
		 "is an object"},
		{",{\"role\":\"user\",\"content\":\"a\",\"name\":5}", "messages[1].name",
		 "is 5; it takes a string"},
		{",{\"role\":\"wizard\",\"content\":\"a\"}", "messages[1].role",
		 "is \"wizard\"; it takes \"system\""},
		{",{\"content\":\"a\"}", "messages[1].role", "is missing"},
		{",{\"role\":\"user\"}", "messages[1].content", "is missing"},
		{",{\"role\":\"user\",\"content\":null}", "messages[1].content", "is null"},
		{",{\"role\":\"assistant\",\"content\":null}", "messages[1].content", "is null"},
		{",1", "messages[1]", "takes an object"},
	};
	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		if (parse_messages(right[i]))
			fail_msg("%s: %s", right[i], err.error.message);
		request_free(&r);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (parse_messages(wrong[i][0]) != HOKKU_INVALID_REQUEST ||
		    strcmp(err.field, wrong[i][1]) != 0 || !strstr(err.error.message, wrong[i][2]))
			fail_msg("%s: field %s, message %s", wrong[i][0], err.field, err.error.message);
		request_free(&r);
	}
}

/* What calls there may be, and how much thinking. */
static void test_calls(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum tool_choice choice;
		const char *name;
		size_t n_tools;
		bool one_call;
	} rows[] = {
		{"\"n\":1" TOOLS, TOOLS_AUTO, "", 2, false},
		{CHOICE("\"auto\"") TOOLS, TOOLS_AUTO, "", 2, false},
		{CHOICE("\"none\"") TOOLS, TOOLS_NONE, "", 0, false},
		{CHOICE("\"none\""), TOOLS_NONE, "", 0, false},
		{CHOICE("\"auto\""), TOOLS_AUTO, "", 0, false},
		{CHOICE("\"required\"") TOOLS, TOOLS_REQUIRED, "", 2, false},
		{CHOICE(TOOL("g")) TOOLS, TOOLS_NAMED, "g", 2, false},
		{ALLOWED("auto", TOOL("g")) TOOLS, TOOLS_AUTO, "", 1, false},
		{ALLOWED("required", TOOL("g") "," TOOL("f")) TOOLS, TOOLS_REQUIRED, "", 2, false},
		{"\"parallel_tool_calls\":false" TOOLS, TOOLS_AUTO, "", 2, true},
		{"\"parallel_tool_calls\":true" TOOLS, TOOLS_AUTO, "", 2, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum hokku_code rc = parse(rows[i].text);
		if (r.tool_choice != rows[i].choice || !str_eq_c(r.tool_name, rows[i].name) ||
		    jv_len(r.tools) != rows[i].n_tools || r.one_call != rows[i].one_call || rc != HOKKU_OK)
			fail_msg("%s: %s", rows[i].text, err.error.message);
		if (rows[i].n_tools == 1) /* the allowed one */
			assert_true(
				str_eq_c(jv_str(jv_get(jv_get(jv_at(r.tools, 0), "function"), "name")), "g"));
		request_free(&r);
	}
	static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
	for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++) {
		char text[64];
		snprintf(text, sizeof text, "\"reasoning_effort\":\"%s\"", efforts[i]);
		good(text);
		assert_int_equal(r.thinking, i ? THINKING_ON : THINKING_OFF);
		assert_true(str_eq_c(r.effort, i ? efforts[i] : ""));
		request_free(&r);
	}
	good("\"temperature\":1");
	assert_int_equal(r.thinking, THINKING_UNSAID);
	request_free(&r);
	for (int n = REQUEST_MAX_TOOL_NAME_BYTES - 1; n <= REQUEST_MAX_TOOL_NAME_BYTES + 1; n++) {
		char text[512];
		snprintf(text, sizeof text,
			 "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a_-.:/Z9%0*d\"}}]",
			 n - 8, 1);
		assert_int_equal(parse(text),
				 n <= REQUEST_MAX_TOOL_NAME_BYTES ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		request_free(&r);
	}
}

/* The file's advice goes before the API's defaults, the request before both. */
static void test_advice(void **state)
{
	(void)state;
	const struct sampling_advice advice = {.values = {.temperature = 0.6f, .top_k = 20}, .given = 3};
	static const char body[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"top_k\":7}";
	assert_int_equal(request_parse(str_c(body), &request_openai_chat, &advice, &r, &err), HOKKU_OK);
	assert_true(r.sampling.temperature == 0.6f && r.sampling.top_k == 7 && r.sampling.top_p == 1);
	request_free(&r);
}

/* ---- answers ---- */

static void expect(const char *text)
{
	assert_string_equal(b.ptr ? b.ptr : "", text);
	strbuf_free(&b);
}

#define HEAD(object) "{\"id\":\"c-1\",\"object\":\"" object "\",\"created\":5,\"model\":\"asked\""
#define CHUNK        "data: " HEAD("chat.completion.chunk")
#define OWN                                                                                                     \
	"\"hokku\":{\"model\":\"m\",\"seed\":7,\"max_tokens\":3,\"stop\":[],\"sampling\":{\"temperature\":1,\"" \
	"top_k\":0,\"top_p\":1,\"min_p\":0,\"repetition_penalty\":1,\"frequency_penalty\":0,\"presence_"        \
	"penalty\":0,\"logit_bias\":{}}}"

static struct sampling sampling;
static struct answer_start start = {.id = "c-1",
				    .model = "m",
				    .asked_model = "asked",
				    .seed = 7,
				    .max_tokens = 3,
				    .created = 5,
				    .sampling = &sampling,
				    .n = 2,
				    .include_usage = true};

static void test_stream(void **state)
{
	(void)state;
	const struct api *api = &api_openai_chat;
	sampling_defaults(&sampling, SAMPLING_OPENAI, NULL);
	api->started(&b, &start, 1, true);
	expect(CHUNK
	       ",\"choices\":[{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
	       "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n");
	struct part part = {.kind = PART_TEXT, .text = STR_LIT("\"x")};
	struct answer_token token = {.sample = 1, .text = part.text, .parts = &part, .n_parts = 1};
	api->token(&b, &start, &token);
	expect(CHUNK ",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"\\\"x\"},\"logprobs\":null,"
		     "\"finish_reason\":null}],\"usage\":null}\n\n");
	part.text.len = 0; /* held back: there is nothing to say */
	api->token(&b, &start, &token);
	expect("");
	token.n_parts = 0;
	api->token(&b, &start, &token);
	expect("");
	struct answer_end end = {.sample = 0, .stop = HOKKU_STOP_CONTEXT};
	api->end(&b, &start, &end);
	expect(CHUNK
	       ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}],"
	       "\"usage\":null}\n\n");
	end = (struct answer_end){.sample = 1, .stop = HOKKU_STOP_STOP, .last = true, .usage = {4, 6, 3, 2}};
	api->end(&b, &start, &end);
	expect(CHUNK
	       ",\"choices\":[{\"index\":1,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
	       "\"usage\":null," OWN "}\n\n" CHUNK
	       ",\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":6,\"total_tokens\":10,\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n"
	       "data: [DONE]\n\n");
	start.include_usage = false;
	api->end(&b, &start, &end);
	expect(CHUNK
	       ",\"choices\":[{\"index\":1,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]," OWN
	       "}\n\ndata: [DONE]\n\n");
	api->failed(&b, HOKKU_DEVICE_ERROR, "why");
	expect("data: {\"error\":{\"message\":\"why\",\"type\":\"server_error\",\"param\":null,\"code\":\"device_"
	       "error\"}}\n\n");
}

static void test_whole(void **state)
{
	(void)state;
	const struct part text = {.kind = PART_TEXT, .text = STR_LIT("one")};
	const struct answer_sample samples[2] = {
		{.text = text.text,
		 .parts = &text,
		 .n_parts = 1,
		 .end = {.sample = 0, .stop = HOKKU_STOP_END, .last = true, .usage = {4, 6, 3, 2}}},
		{.text = STR_LIT(""), .end = {.sample = 1, .stop = HOKKU_STOP_LENGTH}},
	};
	api_openai_chat.whole(&b, &start, samples);
	expect(HEAD(
		"chat.completion") ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"one\","
				   "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"},{\"index\":1,"
				   "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
				   "\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":4,"
				   "\"completion_tokens\":6,\"total_tokens\":10,\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_tokens\":2}}," OWN
				   "}\n");
}

/* Thinking, text and calls of one sample: streamed piece by piece, and whole. */
static void test_parts(void **state)
{
	(void)state;
	static const struct part parts[] = {
		{PART_THINKING, 0, STR_LIT("hm\n")}, {PART_TEXT, 0, STR_LIT("so: ")},
		{PART_CALL, 0, STR_LIT("f")},        {PART_ARGUMENTS, 0, STR_LIT("{\"a\":")},
		{PART_ARGUMENTS, 0, STR_LIT("1}")},  {PART_CALL_END, 0, STR_LIT("")},
		{PART_CALL, 1, STR_LIT("g")},        {PART_CALL_END, 1, STR_LIT("")},
		{PART_TEXT, 0, STR_LIT("done")},
	};
	static const char *const deltas[] = {
		"{\"reasoning_content\":\"hm\\n\"}",
		"{\"content\":\"so: \"}",
		"{\"tool_calls\":[{\"index\":0,\"id\":\"call_ID0\",\"type\":\"function\",\"function\":{\"name\":\"f\","
		"\"arguments\":\"\"}}]}",
		"{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}",
		"{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}",
		"{\"tool_calls\":[{\"index\":1,\"id\":\"call_ID1\",\"type\":\"function\",\"function\":{\"name\":\"g\","
		"\"arguments\":\"\"}}]}",
		"{\"content\":\"done\"}",
	};
	enum { N = sizeof parts / sizeof *parts, TEXT = 5 };
	const struct api *api = &api_openai_chat;
	char ids[2][32] = {"", ""};
	/* One token that released all of it, and one a part: the same. */
	for (int way = 0; way < 2; way++) {
		struct answer_token token = {.sample = 1, .parts = parts, .n_parts = N};
		for (size_t i = 0; i < (way ? N : 1); i++) {
			token.parts = parts + i;
			token.n_parts = way ? 1 : N;
			api->token(&b, &start, &token);
		}
		const char *at = b.ptr;
		for (size_t i = 0; i < sizeof deltas / sizeof *deltas; i++) {
			char wanted[512], *id;
			snprintf(
				wanted, sizeof wanted,
				CHUNK
				",\"choices\":[{\"index\":1,\"delta\":%s,\"logprobs\":null,\"finish_reason\":null}]}\n\n",
				deltas[i]);
			if ((id = strstr(wanted, "call_ID"))) {
				int k = id[7] - '0';
				const char *told = strstr(at, "call_");
				assert_non_null(told);
				if (!way)
					snprintf(ids[k], sizeof ids[k], "%.21s", told);
				char rest[512];
				snprintf(rest, sizeof rest, "%s", id + 8);
				snprintf(id, sizeof wanted - (size_t)(id - wanted), "%s%s", ids[k], rest);
			}
			if (strncmp(at, wanted, strlen(wanted)) != 0)
				fail_msg("%s\nis not\n%s", at, wanted);
			at += strlen(wanted);
		}
		assert_string_equal(at, "");
		strbuf_free(&b);
	}
	assert_string_not_equal(ids[0], ids[1]);
	/* What is left at the end comes before the last chunk. */
	struct answer_end end = {
		.sample = 1, .stop = HOKKU_STOP_END, .parts = parts + 8, .n_parts = 1, .n_calls = 2};
	api->end(&b, &start, &end);
	expect(CHUNK
	       ",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"done\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n" CHUNK
	       ",\"choices\":[{\"index\":1,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}]}\n\n");
	/* Whole: with all of it, with the calls alone, with thinking alone. */
	static const struct {
		size_t first, n;
		enum hokku_stop stop;
		uint32_t n_calls;
		const char *message, *finish;
	} rows[] = {
		{0, N, HOKKU_STOP_END, 2,
		 "\"content\":\"so: done\",\"refusal\":null,\"reasoning_content\":\"hm\\n\",\"tool_calls\":[",
		 "tool_calls"},
		{2, 6, HOKKU_STOP_STOP, 2, "\"content\":null,\"refusal\":null,\"tool_calls\":[",
		 "tool_calls"},
		{2, 6, HOKKU_STOP_LENGTH, 2, "\"content\":null,\"refusal\":null,\"tool_calls\":[", "length"},
		{2, 6, HOKKU_STOP_CONTEXT, 2, "\"content\":null,\"refusal\":null,\"tool_calls\":[", "length"},
		{0, 1, HOKKU_STOP_LENGTH, 0,
		 "\"content\":\"\",\"refusal\":null,\"reasoning_content\":\"hm\\n\"}", "length"},
		{1, 1, HOKKU_STOP_END, 0, "\"content\":\"so: \",\"refusal\":null}", "stop"},
		{0, 0, HOKKU_STOP_END, 0, "\"content\":\"\",\"refusal\":null}", "stop"},
	};
	start.n = 1;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char wanted[2048], calls[1024];
		const struct answer_sample sample = {.parts = parts + rows[i].first,
						     .n_parts = rows[i].n,
						     .end = {.sample = 1,
							     .stop = rows[i].stop,
							     .n_calls = rows[i].n_calls,
							     .last = true,
							     .usage = {4, 6, 3, 2}}};
		snprintf(
			calls, sizeof calls,
			"{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},"
			"{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}",
			ids[0], ids[1]);
		snprintf(
			wanted, sizeof wanted,
			",\"choices\":[{\"index\":1,\"message\":{\"role\":\"assistant\",%s%s,\"logprobs\":null,"
			"\"finish_reason\":\"%s\"}],",
			rows[i].message, rows[i].n_calls ? calls : "", rows[i].finish);
		api->whole(&b, &start, &sample);
		if (!strstr(b.ptr, wanted))
			fail_msg("%s\nlacks\n%s", b.ptr, wanted);
		strbuf_free(&b);
	}
	start.n = 2;
}

/* Of every answer and every chunk, where the engine tells one. */
static void test_fingerprint(void **state)
{
	(void)state;
	const struct answer_end end = {.stop = HOKKU_STOP_END, .last = true};
	const struct answer_sample samples[2] = {{.end = end}, {.end = end}};
	static const char wanted[] = ",\"model\":\"asked\",\"system_fingerprint\":\"fp_1\",\"choices\":";
	start.fingerprint = "fp_1";
	start.include_usage = true;
	api_openai_chat.whole(&b, &start, samples);
	assert_non_null(strstr(b.ptr, wanted));
	strbuf_free(&b);
	api_openai_chat.end(&b, &start, &end);
	const char *usage = strstr(b.ptr, wanted);
	assert_true(usage && strstr(usage + 1, wanted)); /* both chunks */
	strbuf_free(&b);
	start.include_usage = false;
	start.fingerprint = NULL;
}

/* Warnings stand beside "hokku", where there are any. */
static void test_warned(void **state)
{
	(void)state;
	const struct answer_end end = {.stop = HOKKU_STOP_END, .last = true};
	const struct answer_sample samples[2] = {{.end = end}, {.end = end}};
	start.warnings_json = (struct str)STR_LIT("\"a\",\"b\"");
	api_openai_chat.whole(&b, &start, samples);
	assert_non_null(strstr(b.ptr, "\"logit_bias\":{}}},\"warnings\":[\"a\",\"b\"]}\n"));
	strbuf_free(&b);
	api_openai_chat.end(&b, &start, &end);
	assert_non_null(strstr(b.ptr, "\"logit_bias\":{}}},\"warnings\":[\"a\",\"b\"]}\n\n"));
	strbuf_free(&b);
	start.warnings_json = (struct str){NULL, 0};
}

/* A piece from the beginning, with a token that can never come, and one from later on. */
static void check_prompt_logprobs(int32_t the, int32_t odd)
{
	const struct prompt_logprob rows[] = {
		{the, 2, {-0.5f, 2, {{odd, -0.25f}, {the, -0.5f}}}},
		{odd, 9, {-INFINITY, 1, {{the, -0.125f}}}},
		{the, 1, {-1, 0, {{0, 0}}}},
	};
	const struct answer_prompt first = {0, 0, 2, rows}, later = {0, 3, 1, rows + 2}, one = {0};
	char wanted[1024], head[2048];
	snprintf(wanted, sizeof wanted,
		 "null,{\"%d\":{\"logprob\":-0.5,\"rank\":2,\"decoded_token\":\"the\"},"
		 "\"%d\":{\"logprob\":-0.25,\"rank\":1,\"decoded_token\":\"\xEF\xBF\xBD\"}},"
		 "{\"%d\":{\"logprob\":-9999,\"rank\":9,\"decoded_token\":\"\xEF\xBF\xBD\"},"
		 "\"%d\":{\"logprob\":-0.125,\"rank\":1,\"decoded_token\":\"the\"}}",
		 the, odd, odd, the);
	api_openai_chat.prompt_logprobs(&b, &start, &first);
	expect(wanted);
	api_openai_chat.prompt(&b, &start, &first);
	snprintf(head, sizeof head, CHUNK ",\"choices\":[],\"prompt_logprobs\":[%s]}\n\n", wanted);
	expect(head);
	start.include_usage = true;
	api_openai_chat.prompt(&b, &start, &one);
	expect(CHUNK ",\"choices\":[],\"prompt_logprobs\":[null],\"usage\":null}\n\n");
	start.include_usage = false;
	snprintf(
		wanted, sizeof wanted,
		"null,{\"token\":\"the\",\"id\":%d,\"logprob\":-0.5,\"bytes\":[116,104,101],\"rank\":2,"
		"\"top_logprobs\":[{\"token\":\"\xEF\xBF\xBD\",\"id\":%d,\"logprob\":-0.25,\"bytes\":[227]},"
		"{\"token\":\"the\",\"id\":%d,\"logprob\":-0.5,\"bytes\":[116,104,101]}]},"
		"{\"token\":\"\xEF\xBF\xBD\",\"id\":%d,\"logprob\":-9999,\"bytes\":[227],\"rank\":9,"
		"\"top_logprobs\":[{\"token\":\"the\",\"id\":%d,\"logprob\":-0.125,\"bytes\":[116,104,101]}]}",
		the, odd, the, odd, the);
	api_native.prompt_logprobs(&b, &start, &first);
	expect(wanted);
	api_native.prompt(&b, &start, &later);
	snprintf(wanted, sizeof wanted,
		 "event: prompt\ndata: {\"i\":3,\"prompt_logprobs\":[{\"token\":\"the\",\"id\":%d,"
		 "\"logprob\":-1,\"bytes\":[116,104,101],\"rank\":1,\"top_logprobs\":[]}]}\n\n",
		 the);
	expect(wanted);
	api_native.prompt(&b, &start, &one);
	expect("event: prompt\ndata: {\"i\":0,\"prompt_logprobs\":[null]}\n\n");
	/* In a whole answer. */
	const struct answer_sample sample = {.text = STR_LIT("x")};
	start.n = 1;
	start.prompt_json = (struct str)STR_LIT("null");
	for (int native = 0; native < 2; native++) {
		(native ? &api_native : &api_openai_chat)->whole(&b, &start, &sample);
		assert_non_null(strstr(b.ptr, ",\"prompt_logprobs\":[null],"));
		strbuf_free(&b);
	}
	start.prompt_json = (struct str){NULL, 0};
}

/* With the bundled model's vocabulary: a token of text, a control token and one that is no whole character.
 */
static void test_logprobs(void **state)
{
	(void)state;
	struct gguf *g;
	struct tok *t;
	struct hokku_error e;
	struct tok_ids ids = {0};
	if (engine_open_file(NULL, &g, &e) || engine_open_tok(g, &t, NULL, (struct str){NULL, 0}, &e))
		fail_msg("%s", e.message);
	assert_int_equal(tok_encode(t, STR_LIT("the"), 0, &ids, &e), HOKKU_OK);
	assert_int_equal(ids.n, 1);
	int32_t odd = 0, control = 0;
	while (tok_bytes(t, odd).len != 1 || (unsigned char)tok_bytes(t, odd).ptr[0] != 0xE3)
		odd++;
	while (tok_type(t, control) != TOK_CONTROL)
		control++;
	const struct token_logprobs logprobs = {-0.5f, 2, {{odd, -0.25f}, {control, -12.125f}}};
	const struct answer_token token = {.token = ids.ids[0], .logprobs = &logprobs};
	start.tok = t;
	api_openai_chat.logprobs(&b, &start, &token);
	const char *entry = "{\"token\":\"the\",\"logprob\":-0.5,\"bytes\":[116,104,101],\"top_logprobs\":["
			    "{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-0.25,\"bytes\":[227]},{\"token\":\"";
	assert_int_equal(strncmp(b.ptr, entry, strlen(entry)), 0);
	struct str name = tok_bytes(t, control);
	assert_int_equal(strncmp(b.ptr + strlen(entry), name.ptr, name.len), 0);
	strbuf_free(&b);
	api_openai_chat.token(&b, &start, &token); /* without text it is said all the same */
	assert_non_null(
		strstr(b.ptr, "\"delta\":{\"content\":\"\"},\"logprobs\":{\"content\":[{\"token\":\"the\""));
	strbuf_free(&b);
	char own[160];
	snprintf(own, sizeof own, "{\"token\":\"the\",\"id\":%d,\"logprob\":-0.5,", ids.ids[0]);
	api_native.logprobs(&b, &start, &token);
	assert_int_equal(strncmp(b.ptr, own, strlen(own)), 0);
	strbuf_free(&b);
	check_prompt_logprobs(ids.ids[0], odd);
	tok_ids_free(&ids);
	tok_destroy(t);
	gguf_close(g);
}

static void test_errors(void **state)
{
	(void)state;
	static const struct {
		enum hokku_code code;
		const char *field, *rest;
	} rows[] = {
		{HOKKU_INVALID_REQUEST, "stop[1]",
		 "\"invalid_request_error\",\"param\":\"stop[1]\",\"code\":null}}\n"},
		{HOKKU_CONTEXT_EXCEEDED, NULL,
		 "\"invalid_request_error\",\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}\n"},
		{HOKKU_UNAUTHORIZED, "",
		 "\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"}}\n"},
		{HOKKU_NOT_FOUND, "model",
		 "\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_found\"}}\n"},
		{HOKKU_NOT_FOUND, NULL,
		 "\"invalid_request_error\",\"param\":null,\"code\":\"not_found\"}}\n"},
		{HOKKU_RATE_LIMITED, NULL,
		 "\"rate_limit_error\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}\n"},
		{HOKKU_OVERLOADED, NULL, "\"server_error\",\"param\":null,\"code\":\"overloaded\"}}\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[256];
		api_openai_chat.error(&b, rows[i].code, "w\"", rows[i].field);
		snprintf(text, sizeof text, "{\"error\":{\"message\":\"w\\\"\",\"type\":%s", rows[i].rest);
		expect(text);
	}
	assert_ptr_equal(api_of_path("/v1/chat/completions"), &api_openai_chat);
	assert_ptr_equal(api_of_path("/v1/models/x"), &api_openai_chat);
	assert_ptr_equal(api_of_path("/v1/generate"), &api_native);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_done),        cmocka_unit_test(test_limits),
		cmocka_unit_test(test_refused),     cmocka_unit_test(test_without_effect),
		cmocka_unit_test(test_advice),      cmocka_unit_test(test_stream),
		cmocka_unit_test(test_calls),       cmocka_unit_test(test_messages),
		cmocka_unit_test(test_parts),       cmocka_unit_test(test_warned),
		cmocka_unit_test(test_fingerprint), cmocka_unit_test(test_whole),
		cmocka_unit_test(test_logprobs),    cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests_name("openai", tests, NULL, NULL);
}
