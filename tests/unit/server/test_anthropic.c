/* POST /v1/messages and /v1/messages/count_tokens: what becomes of messages, system and tools, which fields
 * are done, have no effect or are refused, at their limits; and the answers' bytes. The official client reads
 * them in tests/e2e/anthropic.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/answer.h"
#include "server/anthropic.h"

static struct gen_request r;
static struct request_error err;
static struct strbuf b;

static enum hokku_code parse_as(const struct request_form *form, const char *text)
{
	return request_parse(str_c(text), form, NULL, &r, &err);
}

/* A request of these members, beside max_tokens and, where REST has none, messages. */
static enum hokku_code parse(const char *rest)
{
	static char text[65536];
	bool has = strstr(rest, "\"messages\":") != NULL;
	snprintf(text, sizeof text, "{\"max_tokens\":2000%s%s%s}",
		 has ? "" : ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]", *rest ? "," : "", rest);
	return parse_as(&request_anthropic, text);
}

static void good(const char *rest)
{
	if (parse(rest))
		fail_msg("%s: %s", rest, err.error.message);
}

static void refused(const char *rest, const char *field, const char *part)
{
	if (parse(rest) != HOKKU_INVALID_REQUEST || strcmp(err.field, field) != 0 ||
	    !strstr(err.error.message, part) || strncmp(err.error.message, field, strlen(field)) != 0)
		fail_msg("%s: field %s, message %s", rest, err.field, err.error.message);
	request_free(&r);
}

/* ---- what becomes of a conversation ---- */

/* The messages that chat templates get of the members in rest. */
static void becomes(const char *rest, const char *messages)
{
	struct strbuf made = {0};
	good(rest);
	jv_write(jv_get(&r.made.root, "messages"), &made);
	assert_string_equal(made.ptr, messages);
	assert_int_equal(r.n_messages, jv_len(jv_get(&r.made.root, "messages")));
	strbuf_free(&made);
	request_free(&r);
}

#define USER(content)      "{\"role\":\"user\",\"content\":" content "}"
#define ASSISTANT(content) "{\"role\":\"assistant\",\"content\":" content "}"
#define SYSTEM(content)    "{\"role\":\"system\",\"content\":" content "}"
#define TEXT(text)         "{\"type\":\"text\",\"text\":\"" text "\"}"
#define CALL(id, input)    "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f_" id "\",\"input\":" input "}"
#define MADE(id, input)                                                                                     \
	"{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f_" id "\",\"arguments\":" input \
	"}}"
#define RESULT(id, rest) "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\"" rest "}"
#define TOOL(id, content) \
	"{\"role\":\"tool\",\"content\":" content ",\"tool_call_id\":\"" id "\",\"name\":\"f_" id "\"}"

static void test_texts(void **state)
{
	(void)state;
	becomes("", "[" USER("\"a\"") "]");
	/* a text alone is the same in either form */
	becomes("\"messages\":[" USER("[" TEXT("a") "]") "]", "[" USER("\"a\"") "]");
	becomes("\"messages\":[" USER("[" TEXT("a") "," TEXT("b\\n") "]") "]",
		"[" USER("[" TEXT("a") "," TEXT("b\\n") "]") "]");
	becomes("\"messages\":[" USER("\"\"") "]", "[" USER("\"\"") "]");
	becomes("\"messages\":[" USER("\"a\"") "," ASSISTANT("\"b\"") "," USER("\"c\"") "]",
		"[" USER("\"a\"") "," ASSISTANT("\"b\"") "," USER("\"c\"") "]");
	/* turns of one side are one */
	becomes("\"messages\":[" USER("\"a\"") "," USER("[" TEXT("b") "]") "," ASSISTANT(
			"\"c\"") "," ASSISTANT("\"d\"") "," USER("\"e\"") "]",
		"[" USER("[" TEXT("a") "," TEXT("b") "]") "," ASSISTANT(
			"[" TEXT("c") "," TEXT("d") "]") "," USER("\"e\"") "]");
	/* system, above and among them */
	becomes("\"system\":\"s\"", "[" SYSTEM("\"s\"") "," USER("\"a\"") "]");
	becomes("\"system\":\"\"", "[" SYSTEM("\"\"") "," USER("\"a\"") "]");
	becomes("\"system\":[]", "[" USER("\"a\"") "]");
	becomes("\"system\":null", "[" USER("\"a\"") "]");
	becomes("\"system\":[" TEXT("s") "]", "[" SYSTEM("\"s\"") "," USER("\"a\"") "]");
	becomes("\"system\":[" TEXT("s") "," TEXT("t") "]",
		"[" SYSTEM("[" TEXT("s") "," TEXT("t") "]") "," USER("\"a\"") "]");
	becomes("\"messages\":[" USER("\"a\"") "," SYSTEM("\"s\"") "," USER("\"b\"") "]",
		"[" USER("\"a\"") "," SYSTEM("\"s\"") "," USER("\"b\"") "]");
	becomes("\"messages\":[" USER("\"a\"") "," ASSISTANT("\"b\"") "," SYSTEM("[" TEXT("s") "]") "]",
		"[" USER("\"a\"") "," ASSISTANT("\"b\"") "," SYSTEM("\"s\"") "]");
	/* what answers of ours and other clients put beside texts */
	becomes("\"cache_control\":{\"type\":\"ephemeral\"},\"messages\":[" USER(
			"[{\"type\":\"text\",\"text\":\"a\",\"citations\":null,\"cache_control\":{\"type\":\"ephemeral\","
			"\"ttl\":\"1h\"}},{\"type\":\"text\",\"text\":\"b\",\"citations\":[],\"cache_control\":null}]") "]",
		"[" USER("[" TEXT("a") "," TEXT("b") "]") "]");
}

static void test_blocks(void **state)
{
	(void)state;
#define ASKED USER("\"a\"") "," ASSISTANT("[" CALL("x", "{\"k\":[1.50,{}]}") "]")
#define CALLED        \
	USER("\"a\"") \
	",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" MADE("x", "{\"k\":[1.50,{}]}") "]}"
	becomes("\"messages\":[" ASKED "," USER("[" RESULT("x", ",\"content\":\"r\"") "]") "]",
		"[" CALLED "," TOOL("x", "\"r\"") "]");
	becomes("\"messages\":[" ASKED "," USER("[" RESULT("x", "") "]") "]",
		"[" CALLED "," TOOL("x", "\"\"") "]");
	becomes("\"messages\":[" ASKED "," USER("[" RESULT(
			"x", ",\"content\":[" TEXT("r") "," TEXT("s") "],\"is_error\":false") "]") "]",
		"[" CALLED "," TOOL("x", "[" TEXT("r") "," TEXT("s") "]") "]");
	/* one that failed says so in its text */
	becomes("\"messages\":[" ASKED
		"," USER("[" RESULT("x", ",\"content\":\"r\",\"is_error\":true") "]") "]",
		"[" CALLED "," TOOL("x", "\"Error: r\"") "]");
	becomes("\"messages\":[" ASKED "," USER("[" RESULT("x", ",\"content\":[],\"is_error\":true") "]") "]",
		"[" CALLED "," TOOL("x", "\"Error\"") "]");
	becomes("\"messages\":[" ASKED "," USER("[" RESULT(
			"x", ",\"content\":[" TEXT("r") "," TEXT("s") "],\"is_error\":true") "]") "]",
		"[" CALLED "," TOOL("x", "[" TEXT("Error: r") "," TEXT("s") "]") "]");
	/* two calls beside a text and thinking; results in their order, text after them and before */
	becomes("\"messages\":[" USER("\"a\"") "," ASSISTANT(
			"[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"q\"}," TEXT("b") "," CALL("x", "{}") "," CALL(
				"y",
				"{}") "]") "," USER("[" RESULT("y",
							       ",\"content\":\"2\"") "," RESULT("x",
												",\"content\":\"1\"") "," TEXT("c") "]") "]",
		"[" USER(
			"\"a\"") ",{\"role\":\"assistant\",\"content\":\"b\",\"reasoning_content\":\"t\",\"tool_"
				 "calls\":[" MADE("x", "{}") "," MADE("y", "{}") "]}," TOOL(
					 "y", "\"2\"") "," TOOL("x", "\"1\"") "," USER("\"c\"") "]");
	becomes("\"messages\":[" ASKED
		"," USER("[" TEXT("c") "," RESULT("x", ",\"content\":\"1\"") "," TEXT("d") "]") "]",
		"[" CALLED "," USER("\"c\"") "," TOOL("x", "\"1\"") "," USER("\"d\"") "]");
	/* an order that one message does not have: a message more */
	becomes("\"messages\":[" USER("\"a\"") "," ASSISTANT("[" TEXT(
			"b") ",{\"type\":\"thinking\",\"thinking\":\"t\"},{\"type\":\"thinking\",\"thinking\":\"u\"}"
			     "," CALL("x", "{}") "," TEXT("c") "]") "," USER("[" RESULT("x", "") "]") "]",
		"[" USER("\"a\"") "," ASSISTANT(
			"\"b\"") ",{\"role\":\"assistant\",\"content\":\"\",\"reasoning_"
				 "content\":\"t\\nu\",\"tool_calls\":[" MADE("x", "{}") "]}," ASSISTANT(
					 "\"c\"") "," TOOL("x", "\"\"") "]");
	becomes("\"messages\":[" USER("\"a\"") "," ASSISTANT(
			"[{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f_x\",\"input\":{},\"caller\":{\"type\":\"direct\"},"
			"\"toolset_name\":null,\"cache_control\":{\"type\":\"ephemeral\"}}]") "," USER("[" RESULT("x",
														  ",\"cache_control\":{\"type\":\"ephemeral\"}") "]") "]",
		"[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" MADE(
			"x", "{}") "]}," TOOL("x", "\"\"") "]");
}

/* An answer that is begun is no message, but what the answer begins with. */
static void test_begun(void **state)
{
	(void)state;
	static const char *const contents[] = {"\"b \"", "[" TEXT("b ") "]"};
	char rest[256];
	for (size_t i = 0; i < 2; i++) {
		snprintf(rest, sizeof rest,
			 "\"messages\":[" USER("\"a\"") ",{\"role\":\"assistant\",\"content\":%s}]",
			 contents[i]);
		becomes(rest, "[" USER("\"a\"") "]");
		good(rest);
		assert_true(str_eq_c(r.begun, "b "));
		assert_true(request_drop_prompt(&r));
		assert_null(r.begun.ptr);
		request_free(&r);
	}
	good("\"messages\":[" USER("\"a\"") "," ASSISTANT("\"\"") "]"); /* with nothing: it is not */
	assert_int_equal(r.begun.len, 0);
	assert_int_equal(r.n_messages, 1);
	request_free(&r);
	good("");
	assert_null(r.begun.ptr);
	request_free(&r);
}

/* Where a message came from, for what the template says of it. */
static void test_origins(void **state)
{
	(void)state;
	good("\"system\":\"s\",\"messages\":[" USER("\"z\"") "," ASKED "," USER(
		"[" RESULT("x", "") "," TEXT("b") "]") "," ASSISTANT("\"c\"") "," USER("\"d\"") "]");
	const uint32_t wanted[] = {REQUEST_ORIGIN_SYSTEM, 0, 2, 3, 3, 4, 5};
	assert_int_equal(r.n_messages, 7);
	assert_memory_equal(r.origins, wanted, sizeof wanted);
	assert_true(request_drop_prompt(&r));
	assert_null(r.origins);
	request_free(&r);
}

#define HEADER "x-anthropic-billing-header:"
#define TOLD                                                                               \
	" begins with x-anthropic-billing-header: and was left out of the prompt (--keep-" \
	"billing-header keeps it)\""

/* The one rule by which anything is left out. */
static void test_billing_header(void **state)
{
	(void)state;
	becomes("\"system\":[" TEXT(HEADER " cc_version=1") "," TEXT("s") "]",
		"[" SYSTEM("\"s\"") "," USER("\"a\"") "]");
	becomes("\"system\":[" TEXT(HEADER) "]", "[" USER("\"a\"") "]");
	/* nothing else: not what only holds it, or begins almost so, nor outside of system's blocks */
	becomes("\"system\":[" TEXT(" " HEADER " x") "," TEXT("X-Anthropic-Billing-Header: x") "," TEXT(
			"x-anthropic-billing-header") "]",
		"[" SYSTEM("[" TEXT(" " HEADER " x") "," TEXT("X-Anthropic-Billing-Header: x") "," TEXT(
			"x-anthropic-billing-header") "]") "," USER("\"a\"") "]");
	becomes("\"system\":\"" HEADER " x\"", "[" SYSTEM("\"" HEADER " x\"") "," USER("\"a\"") "]");
	becomes("\"messages\":[" USER("[" TEXT(HEADER) "]") "]", "[" USER("\"" HEADER "\"") "]");
	good("\"system\":[" TEXT("s") "," TEXT(HEADER "x") "]");
	assert_string_equal(r.warnings.ptr, "\"system.1" TOLD);
	request_free(&r);
	good("\"system\":[" TEXT(HEADER) "," TEXT("s") "," TEXT(HEADER) "," TEXT(HEADER) "]");
	assert_string_equal(r.warnings.ptr, "\"system.0 (and 2 more)" TOLD);
	request_free(&r);
	static const char body[] = "{\"max_tokens\":1,\"system\":[" TEXT(HEADER) "," TEXT(
		"s") "],\"messages\":[" USER("\"a\"") "]}";
	assert_int_equal(parse_as(&request_anthropic_kept, body), HOKKU_OK);
	assert_int_equal(r.warnings.len, 0);
	assert_int_equal(jv_len(jv_get(jv_at(jv_get(&r.made.root, "messages"), 0), "content")), 2);
	request_free(&r);
	static const char count[] = "{\"system\":[" TEXT(HEADER) "],\"messages\":[" USER("\"a\"") "]}";
	for (int kept = 0; kept < 2; kept++) {
		assert_int_equal(
			parse_as(kept ? &request_anthropic_count_kept : &request_anthropic_count, count),
			HOKKU_OK);
		assert_int_equal(r.n_messages, 1 + kept);
		request_free(&r);
	}
}

static void test_redacted(void **state)
{
	(void)state;
	static const char messages[] = "\"messages\":[" USER("\"a\"") "," ASSISTANT(
		"[{\"type\":\"redacted_thinking\",\"data\":\"e\"}," TEXT("b") "]") "," USER("\"c\"") "]";
	becomes(messages, "[" USER("\"a\"") "," ASSISTANT("\"b\"") "," USER("\"c\"") "]");
	good(messages);
	assert_string_equal(
		r.warnings.ptr,
		"\"messages.1.content.0 is redacted_thinking, which no model here can read: it has no effect\"");
	request_free(&r);
}

/* A call that was cut has partial_json in an answer, which clients send back as it came. */
static void test_cut_call(void **state)
{
	(void)state;
#define CUT(json)                                                                                         \
	"\"messages\":[" USER("\"a\"") "," ASSISTANT(                                                     \
		"[{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{},\"partial_json\":" json \
		"}]") "," USER("[" RESULT("x", ",\"content\":\"y\"") "]") "]"
	static const char messages[] = CUT("\"{\\\"k\\\": \\\"v\"");
	good(messages);
	assert_string_equal(r.warnings.ptr,
			    "\"messages.1.content.0.partial_json is of a call that was cut and has "
			    "no effect: its input counts\"");
	request_free(&r);
	good(CUT("\"\"")); /* nothing of its arguments had come */
	assert_null(r.warnings.ptr);
	request_free(&r);
#undef CUT
}

/* ---- tools ---- */

#define SCHEMA "{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"string\"}}}"

static void test_tools(void **state)
{
	(void)state;
	struct strbuf made = {0};
	good("\"tools\":[{\"name\":\"f-1_X\",\"description\":\"d\",\"input_schema\":" SCHEMA
	     ",\"cache_control\":{\"type\":\"ephemeral\"},\"eager_input_streaming\":true,\"defer_loading\":false,"
	     "\"allowed_callers\":[\"direct\"],\"input_examples\":[]},{\"type\":\"custom\",\"name\":\"g\","
	     "\"input_schema\":{\"type\":\"object\"},\"strict\":true}],\"tool_choice\":{\"type\":\"auto\"}");
	jv_write(r.tools, &made);
	assert_string_equal(made.ptr,
			    "[{\"type\":\"function\",\"function\":{\"name\":\"f-1_X\",\"description\":\"d\","
			    "\"parameters\":" SCHEMA
			    "}},{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":{\"type\":"
			    "\"object\"},\"strict\":true}}]");
	assert_int_equal(r.tool_choice, TOOLS_AUTO);
	strbuf_free(&made);
	request_free(&r);
	good("\"tools\":[{\"name\":\"f\",\"input_schema\":" SCHEMA "}],\"tool_choice\":{\"type\":\"none\"}");
	assert_null(r.tools);
	assert_int_equal(r.tool_choice, TOOLS_NONE);
	request_free(&r);
	good("\"tools\":[]");
	assert_null(r.tools);
	request_free(&r);
	/* names at their limits */
	for (int n = ANTHROPIC_MAX_NAME_BYTES - 1; n <= ANTHROPIC_MAX_NAME_BYTES + 1; n++) {
		char text[400];
		snprintf(text, sizeof text, "\"tools\":[{\"name\":\"%0*d\",\"input_schema\":" SCHEMA "}]", n,
			 1);
		if (n > ANTHROPIC_MAX_NAME_BYTES)
			refused(text, "tools.0.name", "takes 1 to 128 characters");
		else
			good(text);
		request_free(&r);
	}
}

/* As many tools as a body holds (two objects each), and one more; names are told apart whatever their order.
 */
static void test_many_tools(void **state)
{
	(void)state;
	struct strbuf text = {0};
	const int most = (REQUEST_MAX_CONTAINERS - 4) / 2;
	for (int n = most - 1; n <= most + 1; n++) {
		strbuf_clear(&text);
		strbuf_add_c(&text, "{\"max_tokens\":1,\"messages\":[" USER("\"a\"") "],\"tools\":[");
		for (int i = 0; i < n; i++)
			strbuf_addf(&text, "%s{\"name\":\"f%d\",\"input_schema\":{\"type\":\"object\"}}",
				    i ? "," : "", (i * 7) % n);
		strbuf_add_c(&text, "]}");
		enum hokku_code rc = parse_as(&request_anthropic, text.ptr);
		if (n > most)
			assert_non_null(strstr(err.error.message,
					       "the body has 20002 objects and arrays; 20000 are"));
		assert_int_equal(rc, n > most ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		assert_int_equal(jv_len(r.tools), n > most ? 0 : n);
		request_free(&r);
	}
	strbuf_free(&text);
	refused("\"tools\":[{\"name\":\"b\",\"input_schema\":" SCHEMA
		"},{\"name\":\"a\",\"input_schema\":" SCHEMA "},{\"name\":\"bb\",\"input_schema\":" SCHEMA
		"},{\"name\":\"b\",\"input_schema\":" SCHEMA "}]",
		"tools.3.name", "\"b\", which tools.0 has, too");
}

/* A call's input and a tool's schema as deep as they may stand, and one deeper. */
static void test_depth(void **state)
{
	(void)state;
	static char text[8192], deep[4096];
	for (int schema = 0; schema < 2; schema++) {
		for (int n = ANTHROPIC_MAX_DEPTH - 1; n <= ANTHROPIC_MAX_DEPTH + 1; n++) {
			memset(deep, '[', (size_t)n - 1);
			memset(deep + n - 1, ']', (size_t)n - 1);
			deep[2 * n - 2] = '\0';
			snprintf(
				text, sizeof text,
				schema ? "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"k\":%s}}]"
				       : "\"messages\":[" USER("\"a\"") "," ASSISTANT(
						 "[{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{\"k\":%s}}]") "," USER("\"b\"") "]",
				deep);
			if (n > ANTHROPIC_MAX_DEPTH)
				refused(text, schema ? "tools.0.input_schema" : "messages.1.content.0.input",
					"901 deep; they may stand 900 deep");
			else
				good(text);
			request_free(&r);
		}
	}
}

/* ---- fields ---- */

static void test_done(void **state)
{
	(void)state;
	good("");
	assert_true(!r.stream && r.sampling.temperature == 1 && r.sampling.top_p == 1 && r.n == 1);
	assert_true(r.max_tokens == 2000 && !r.tools && !r.model && r.n_stop == 0 && !r.shape_field);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good("\"model\":\"org/name\",\"stream\":true,\"stop_sequences\":[\"x\",\"y\"],\"temperature\":0.5,\"top_p\":0,"
	     "\"top_k\":3,\"min_p\":0.1,\"seed\":7,\"id\":\"my-1\",\"priority\":0,\"cache_salt\":\"s\","
	     "\"chat_template_kwargs\":{\"a\":1},\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"},"
	     "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA
	     "},\"effort\":null},"
	     "\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\",\"keep\":\"all\"}]}");
	assert_true(request_drop_prompt(&r));
	assert_string_equal(r.model, "org/name"); /* outlives the JSON */
	assert_true(r.stream && r.n_stop == 2 && str_eq_c(r.stop[1], "y") && r.sampling.temperature == 0.5f);
	assert_true(r.sampling.top_p > 0 && r.sampling.top_p < 1e-30f && r.sampling.top_k == 3);
	assert_true(r.has_seed && r.sampling.seed == 7 && r.priority == 0 && strcmp(r.id, "my-1") == 0);
	assert_string_equal(r.shape_field, "output_config.format.schema");
	assert_int_equal(r.shape_kind, CONSTRAIN_JSON_SCHEMA);
	assert_string_equal(r.shape_text.ptr, SCHEMA);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good("\"output_format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA "}");
	assert_string_equal(r.shape_field, "output_format.schema");
	request_free(&r);
	good("\"stop_sequences\":null,\"temperature\":null,\"tools\":null,\"tool_choice\":null,\"thinking\":null,"
	     "\"output_config\":null,\"metadata\":null,\"container\":null,\"mcp_servers\":null,\"stream\":null");
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good("\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"auto\",\"speed\":\"fast\",\"inference_geo\":\"us\"");
	assert_string_equal(r.warnings.ptr,
			    "\"metadata has no effect here\",\"service_tier has no effect here\",\"speed "
			    "has no effect here\",\"inference_geo has no effect here\"");
	request_free(&r);
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *field, *low, *lowest, *highest, *high;
	} rows[] = {
		{"temperature", "-0.1", "0", "2", "101"},
		{"top_p", "-1e-30", "0", "1", "1.01"},
		{"top_k", "-1", "0", "2147483647", "2147483648"},
		{"seed", "-1", "0", "9223372036854775807", "\"18446744073709551616\""},
		{"priority", "-1", "0", "3", "4"},
	};
	char text[2048];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *values[] = {rows[i].low, rows[i].lowest, rows[i].highest, rows[i].high};
		for (size_t k = 0; k < 4; k++) {
			snprintf(text, sizeof text, "\"%s\":%s", rows[i].field, values[k]);
			if (k == 0 || k == 3)
				refused(text, rows[i].field, "takes");
			else
				good(text);
			request_free(&r);
		}
	}
	static const char *const max_tokens[] = {"-1", "0", "1", "2147483647", "2147483648", "null", "1.5"};
	for (size_t i = 0; i < sizeof max_tokens / sizeof *max_tokens; i++) {
		snprintf(text, sizeof text, "{\"messages\":[" USER("\"a\"") "],\"max_tokens\":%s}",
			 max_tokens[i]);
		assert_int_equal(parse_as(&request_anthropic, text),
				 i >= 1 && i <= 3 ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		if (i < 1 || i > 3)
			assert_string_equal(err.field, "max_tokens");
		else
			assert_int_equal(r.no_answer, i == 1);
		request_free(&r);
	}
	for (int n = ENGINE_MAX_STOP - 1; n <= ENGINE_MAX_STOP + 1; n++) {
		size_t at = (size_t)snprintf(text, sizeof text, "\"stop_sequences\":[\"s\"");
		for (int i = 1; i < n; i++)
			at += (size_t)snprintf(text + at, sizeof text - at, ",\"s\"");
		snprintf(text + at, sizeof text - at, "]");
		if (n > ENGINE_MAX_STOP)
			refused(text, "stop_sequences", "has 17 strings; it takes up to 16");
		else
			good(text);
		request_free(&r);
	}
	for (int n = ENGINE_MAX_STOP_BYTES - 1; n <= ENGINE_MAX_STOP_BYTES + 1; n++) {
		snprintf(text, sizeof text, "\"stop_sequences\":[\"a\",\"%0*d\"]", n, 1);
		if (n > ENGINE_MAX_STOP_BYTES)
			refused(text, "stop_sequences.1", "has 513 bytes");
		else
			good(text);
		request_free(&r);
	}
	for (int n = ANTHROPIC_MAX_ID_BYTES - 1; n <= ANTHROPIC_MAX_ID_BYTES + 1; n++) {
		snprintf(
			text, sizeof text,
			"\"messages\":[" USER("\"a\"") "," ASSISTANT(
				"[{\"type\":\"tool_use\",\"id\":\"%0*d\",\"name\":\"f\",\"input\":{}}]") "," USER("\"b\"") "]",
			n, 1);
		if (n > ANTHROPIC_MAX_ID_BYTES)
			refused(text, "messages.1.content.0.id", "takes a string of 1 to 256 bytes");
		else
			good(text);
		request_free(&r);
	}
	for (int n = ANTHROPIC_MIN_BUDGET - 1; n <= 2001; n += n == ANTHROPIC_MIN_BUDGET ? 975 : 1) {
		snprintf(text, sizeof text, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":%d}", n);
		if (n >= ANTHROPIC_MIN_BUDGET && n < 2000) {
			good(text);
			assert_true(r.thinking == THINKING_ON && r.thinking_budget == (uint32_t)n);
			request_free(&r);
			continue;
		}
		refused(text, "thinking.budget_tokens", n < 2000 ? "from 1024" : "less than max_tokens");
	}
}

static void test_refused(void **state)
{
	(void)state;
#define BLOCK(block) "\"messages\":[" USER("[" block "]") "]"
#define OF(block)    "\"messages\":[" USER("\"a\"") "," ASSISTANT("[" block "]") "," USER("\"b\"") "]"
#define TOOLS(rest)  "\"tools\":[{\"name\":\"f\",\"input_schema\":" SCHEMA rest "}]"
	static const char *const rows[][3] = {
		{"\"messages\":[]", "messages", "an array of 0"},
		{"\"messages\":null", "messages", "is null"},
		{"\"messages\":\"a\"", "messages", "the string"},
		{"\"messages\":[1]", "messages.0", "is 1"},
		{"\"messages\":[{\"content\":\"a\"}]", "messages.0.role", "is missing"},
		{"\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]", "messages.0.role", "\"tool\""},
		{"\"messages\":[{\"role\":\"user\"}]", "messages.0.content", "is missing"},
		{"\"messages\":[" USER("null") "]", "messages.0.content", "is null"},
		{"\"messages\":[" USER("[]") "]", "messages.0.content", "an array of 0"},
		{"\"messages\":[" USER("7") "]", "messages.0.content", "is 7"},
		{"\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"name\":\"n\"}]", "messages.0.name",
		 "no field"},
		{"\"messages\":[" ASSISTANT("\"b\"") "]", "messages",
		 "nothing but the beginning of an answer"},
		{"\"messages\":[" USER("\"a\"") "," ASSISTANT("[" TEXT("b") "," TEXT("c") "]") "]",
		 "messages.1.content", "an array of 2; the last message is the user's, or one text"},
		{"\"messages\":[" USER("\"a\"") "," ASSISTANT("[" CALL("x", "{}") "]") "]",
		 "messages.1.content", "or one text"},
		{"\"messages\":[" USER("\"a\"") "," ASSISTANT("\"b\"") "," ASSISTANT("\"c\"") "]",
		 "messages.2.role", "an answer begins with one text"},
		{"\"messages\":[" USER("\"a\"") "," ASSISTANT("\"b\"") "],\"regex\":\"b\"", "regex",
		 "and so does the last message"},
		{"\"messages\":[" USER("\"a\"") "," ASSISTANT(
			 "\"b\"") "],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}",
		 "thinking", "and so does the last message"},
		{"\"messages\":[" SYSTEM("[]") "," USER("\"a\"") "]", "messages.0.content", "at least one"},
		{"\"messages\":[" SYSTEM("[1]") "," USER("\"a\"") "]", "messages.0.content.0", "is 1"},
		{BLOCK("1"), "messages.0.content.0", "is 1"},
		{BLOCK("{}"), "messages.0.content.0.type", "is missing"},
		{BLOCK("{\"type\":\"image\",\"source\":{}}"), "messages.0.content.0.type", "\"image\""},
		{BLOCK("{\"type\":\"document\",\"source\":{}}"), "messages.0.content.0.type", "\"document\""},
		{BLOCK("{\"type\":\"search_result\"}"), "messages.0.content.0.type", "reads text alone"},
		{BLOCK("{\"type\":\"thinking\",\"thinking\":\"t\"}"), "messages.0.content.0.type",
		 "of the user"},
		{BLOCK("{\"type\":\"text\"}"), "messages.0.content.0.text", "is missing"},
		{BLOCK("{\"type\":\"text\",\"text\":1}"), "messages.0.content.0.text", "is 1"},
		{BLOCK("{\"type\":\"text\",\"text\":\"a\",\"txt\":1}"), "messages.0.content.0.txt",
		 "did you mean \"text\"?"},
		{BLOCK("{\"type\":\"text\",\"text\":\"a\",\"citations\":[{}]}"),
		 "messages.0.content.0.citations", "no citations"},
		{BLOCK("{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{}}"),
		 "messages.0.content.0.cache_control", "ephemeral"},
		{BLOCK("{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"2h\"}}"),
		 "messages.0.content.0.cache_control.ttl", "\"5m\" or \"1h\""},
		{BLOCK(RESULT("x", "")), "messages.0.content.0.tool_use_id", "no tool_use block before it"},
		{BLOCK("{\"type\":\"tool_result\"}"), "messages.0.content.0.tool_use_id", "is missing"},
		{"\"messages\":[" ASKED "," USER("[" RESULT("x", ",\"content\":1") "]") "]",
		 "messages.2.content.0.content", "is 1"},
		{"\"messages\":[" ASKED
		 "," USER("[" RESULT("x", ",\"content\":[{\"type\":\"image\"}]") "]") "]",
		 "messages.2.content.0.content.0.type", "\"image\""},
		{"\"messages\":[" ASKED "," USER("[" RESULT("x", ",\"is_error\":1") "]") "]",
		 "messages.2.content.0.is_error", "true or false"},
		{"\"messages\":[" ASKED "," USER("[" RESULT("y", "") "]") "]",
		 "messages.2.content.0.tool_use_id", "\"y\""},
		{"\"messages\":[" ASKED
		 "," USER("[" RESULT("x", "") "]") "," ASSISTANT("[" CALL("x", "{}") "]") "]",
		 "messages.3.content.0.id", "which another call before it has"},
		{OF(RESULT("x", "")), "messages.1.content.0.type", "of the assistant"},
		{OF("{\"type\":\"server_tool_use\"}"), "messages.1.content.0.type", "\"server_tool_use\""},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\"}"), "messages.1.content.0.input",
		 "is missing"},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":\"{}\"}"),
		 "messages.1.content.0.input", "takes an object"},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"input\":{}}"), "messages.1.content.0.name",
		 "is missing"},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f g\",\"input\":{}}"),
		 "messages.1.content.0.name", "\"f g\""},
		{OF("{\"type\":\"tool_use\",\"id\":\"\",\"name\":\"f\",\"input\":{}}"),
		 "messages.1.content.0.id", "1 to 256 bytes"},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{},\"caller\":{\"type\":\"code\"}}"),
		 "messages.1.content.0.caller", "direct"},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{},\"toolset_name\":\"t\"}"),
		 "messages.1.content.0.toolset_name", "no toolsets"},
		{OF("{\"type\":\"thinking\"}"), "messages.1.content.0.thinking", "is missing"},
		{OF("{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":1}"),
		 "messages.1.content.0.signature", "is 1"},
		{OF("{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{},\"partial_json\":5}"),
		 "messages.1.content.0.partial_json", "is 5; it takes a string"},
		{OF("{\"type\":\"redacted_thinking\"}"), "messages.1.content.0.data", "is missing"},
		{"\"system\":1", "system", "is 1"},
		{"\"system\":[1]", "system.0", "is 1"},
		{"\"system\":[{\"type\":\"image\"}]", "system.0.type", "\"image\""},
		{"\"tools\":{}", "tools", "an object"},
		{"\"tools\":[1]", "tools.0", "is 1"},
		{"\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]", "tools.0.type",
		 "\"web_search_20250305\"; it takes \"custom\""},
		{"\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]", "tools.0.type",
		 "\"bash_20250124\""},
		{"\"tools\":[{\"input_schema\":" SCHEMA "}]", "tools.0.name", "is missing"},
		{"\"tools\":[{\"name\":\"f\"}]", "tools.0.input_schema", "is missing"},
		{"\"tools\":[{\"name\":\"f\",\"input_schema\":{}}]", "tools.0.input_schema.type",
		 "is absent"},
		{"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"string\"}}]",
		 "tools.0.input_schema.type", "takes \"object\""},
		{TOOLS(",\"parameters\":{}"), "tools.0.parameters", "no field of a tool"},
		{TOOLS(",\"description\":1"), "tools.0.description", "takes a string"},
		{TOOLS(",\"strict\":1"), "tools.0.strict", "true or false"},
		{TOOLS(",\"eager_input_streaming\":1"), "tools.0.eager_input_streaming", "true or false"},
		{TOOLS(",\"defer_loading\":true"), "tools.0.defer_loading", "is true"},
		{TOOLS(",\"allowed_callers\":[\"code_execution_20250825\"]"), "tools.0.allowed_callers",
		 "direct"},
		{TOOLS(",\"input_examples\":[{}]"), "tools.0.input_examples", "put them into description"},
		{"\"tools\":[{\"name\":\"f\",\"input_schema\":" SCHEMA
		 "},{\"name\":\"f\",\"input_schema\":" SCHEMA "}]",
		 "tools.1.name", "which tools.0 has, too"},
		{"\"tool_choice\":\"auto\"", "tool_choice", "takes an object"},
		{"\"tool_choice\":{}", "tool_choice.type", "is missing"},
		{"\"tool_choice\":{\"type\":\"required\"}", "tool_choice.type",
		 "\"any\", \"tool\" or \"none\""},
		{"\"tool_choice\":{\"type\":\"any\"}", "tool_choice", "there are none"},
		{"\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}", "tool_choice.name", "one of tools"},
		{TOOLS("") ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}", "tool_choice.name",
		 "one of tools"},
		{TOOLS("") ",\"tool_choice\":{\"type\":\"tool\"}", "tool_choice.name", "is missing"},
		{TOOLS("") ",\"tool_choice\":{\"type\":\"auto\",\"name\":\"f\"}", "tool_choice.name",
		 "goes with"},
		{TOOLS("") ",\"tool_choice\":{\"type\":\"auto\",\"x\":1}", "tool_choice.x", "no field"},
		{TOOLS("") ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":1}",
		 "tool_choice.disable_parallel_tool_use", "true or false"},
		{"\"thinking\":true", "thinking", "takes an object"},
		{"\"thinking\":{}", "thinking.type", "is missing"},
		{"\"thinking\":{\"type\":\"between_tools\"}", "thinking.type", "\"between_tools\""},
		{"\"thinking\":{\"type\":\"enabled\"}", "thinking.budget_tokens", "is missing"},
		{"\"thinking\":{\"type\":\"adaptive\",\"budget_tokens\":2000}", "thinking.budget_tokens",
		 "goes with"},
		{"\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"}", "thinking.display",
		 "summarized"},
		{"\"thinking\":{\"type\":\"adaptive\",\"budget\":1}", "thinking.budget",
		 "no field of thinking"},
		{"\"output_config\":1", "output_config", "is 1"},
		{"\"output_config\":{\"effort\":\"none\"}", "output_config.effort", "\"none\""},
		{"\"output_config\":{\"task_budget\":{}}", "output_config.task_budget", "no field"},
		{"\"output_config\":{\"format\":{\"type\":\"text\"}}", "output_config.format.type",
		 "json_schema"},
		{"\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":true}}",
		 "output_config.format.schema", "is true"},
		{"\"output_format\":{\"type\":\"json_schema\"}", "output_format.schema", "is missing"},
		{"\"output_format\":{\"type\":\"json_schema\",\"schema\":{}},\"output_config\":{\"format\":{\"type\":"
		 "\"json_schema\",\"schema\":{}}}",
		 "output_config.format.schema", "and output_format.schema both"},
		{"\"stop_sequences\":\"a\"", "stop_sequences", "takes an array"},
		{"\"stop_sequences\":[1]", "stop_sequences.0", "is 1"},
		{"\"stop_sequences\":[\"a\",\"\"]", "stop_sequences.1", "has 0 bytes"},
		{"\"cache_control\":{\"type\":\"lasting\"}", "cache_control", "ephemeral"},
		{"\"context_management\":{\"edits\":{}}", "context_management.edits", "is an object; it takes an array"},
		{"\"context_management\":{\"edits\":[{\"type\":\"clear_tool_uses_20250919\"}]}",
		 "context_management.edits.0", "clears nothing"},
		{"\"container\":\"c\"", "container", "no code runs"},
		{"\"mcp_servers\":[]", "mcp_servers", "calls no others"},
		{"\"diagnostics\":{}", "diagnostics", "cache_debug"},
		{"\"model\":\"\"", "model", "1 to 256 bytes"},
		{"\"stream\":1", "stream", "true or false"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		refused(rows[i][0], rows[i][1], rows[i][2]);
	/* those of no known name do not begin with it */
	assert_int_equal(parse("\"stop\":[\"a\"]"), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.field, "stop");
	request_free(&r);
	/* counting takes what the prompt is made of, and no more */
	assert_int_equal(
		parse_as(&request_anthropic_count, "{\"max_tokens\":1,\"messages\":[" USER("\"a\"") "]}"),
		HOKKU_INVALID_REQUEST);
	assert_string_equal(err.field, "max_tokens");
	request_free(&r);
	assert_int_equal(parse_as(&request_anthropic_count,
				  "{\"model\":\"m\",\"messages\":[" USER(
					  "\"a\"") "],\"system\":\"s\",\"tools\":[{\"name\":"
						   "\"f\",\"input_schema\":" SCHEMA
						   "}],\"tool_choice\":{\"type\":\"auto\"},\"thinking\":{"
						   "\"type\":\"adaptive\"}}"),
			 HOKKU_OK);
	request_free(&r);
}

/* Read and checked, but refused until it is done. */
static void test_choices(void **state)
{
	(void)state;
	good(TOOLS("") ",\"tool_choice\":{\"type\":\"any\"}");
	assert_int_equal(r.tool_choice, TOOLS_REQUIRED);
	request_free(&r);
	good(TOOLS("") ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}");
	assert_true(r.tool_choice == TOOLS_NAMED && str_eq_c(r.tool_name, "f"));
	request_free(&r);
	good(TOOLS("") ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}");
	assert_true(r.one_call);
	request_free(&r);
	good("\"thinking\":{\"type\":\"disabled\"}");
	assert_int_equal(r.thinking, THINKING_OFF);
	request_free(&r);
	good("\"output_config\":{\"effort\":\"high\"}");
	assert_true(str_eq_c(r.effort, "high"));
	request_free(&r);
}

/* ---- answers ---- */

static void expect(const char *text)
{
	assert_string_equal(b.ptr ? b.ptr : "", text);
	strbuf_free(&b);
}

#define OWN                                                                                                     \
	"\"hokku\":{\"model\":\"m\",\"seed\":7,\"max_tokens\":3,\"stop\":[],\"sampling\":{\"temperature\":1,\"" \
	"top_k\":0,"
#define USAGE(in, read, out, thought)                                                              \
	"\"usage\":{\"input_tokens\":" in ",\"cache_creation_input_tokens\":0,\"cache_read_input_" \
	"tokens\":" read ",\"output_tokens\":" out                                                 \
	",\"output_tokens_details\":{\"thinking_tokens\":" thought "},\"server_tool_use\":null"
#define HEAD                                                                                                \
	"\"id\":\"msg_a.b\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"asked\",\"container\":" \
	"null,\"content\":["
#define STOP(reason, sequence) \
	"\"stop_reason\":" reason ",\"stop_sequence\":" sequence ",\"stop_details\":null"
#define EVENT(type) "event: " type "\ndata: {\"type\":\"" type "\""
#define DELTA(i, type, member, text) \
	EVENT("content_block_delta") \
	",\"index\":" i ",\"delta\":{\"type\":\"" type "\",\"" member "\":\"" text "\"}}\n\n"
#define START(i, block) EVENT("content_block_start") ",\"index\":" i ",\"content_block\":" block "}\n\n"
#define END(i)          EVENT("content_block_stop") ",\"index\":" i "}\n\n"
#define TEXT_BLOCK      "{\"type\":\"text\",\"text\":\"\",\"citations\":null}"
#define THOUGHT_BLOCK   "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"
#define CALL_BLOCK(n, name, input)                     \
	"{\"type\":\"tool_use\",\"id\":\"toolu_a-b_" n \
	"\",\"caller\":{\"type\":\"direct\"},\"name\":\"" name "\",\"input\":" input

static struct sampling sampling;
static struct answer_memo memo;
static struct answer_start start = {.id = "msg_a.b",
				    .model = "m",
				    .asked_model = "asked",
				    .seed = 7,
				    .max_tokens = 3,
				    .prompt_tokens = 9,
				    .sampling = &sampling,
				    .memo = &memo,
				    .n = 1};

static void part(enum part_kind kind, uint32_t call, const char *text)
{
	const struct part one = {kind, call, str_c(text)};
	const struct answer_token token = {.text = STR_LIT("as drawn"), .parts = &one, .n_parts = 1};
	api_anthropic.token(&b, &start, &token);
}

/* The end's events; what hokku itself tells lies between. */
static void expect_end(const char *before, const char *stop)
{
	char text[1024];
	snprintf(text, sizeof text,
		 "%s" EVENT("message_delta") ",\"delta\":{\"container\":null,%s}," USAGE("5", "4", "6",
											 "2") "}," OWN,
		 before, stop);
	assert_int_equal(strncmp(b.ptr, text, strlen(text)), 0);
	const char *last = EVENT("message_stop") "}\n\n";
	assert_string_equal(b.ptr + b.len - strlen(last), last);
	strbuf_free(&b);
	memo = (struct answer_memo){0};
}

static const struct answer_usage usage = {9, 6, 4, 2};

static void test_stream(void **state)
{
	(void)state;
	sampling_defaults(&sampling, SAMPLING_OPENAI, NULL);
	api_anthropic.started(&b, &start, 0, true);
	expect(EVENT("message_start") ",\"message\":{" HEAD "]," STOP("null", "null") "," USAGE(
		"9", "0", "0", "0") ",\"service_tier\":\"standard\"}}}\n\n");
	part(PART_TEXT, 0, "");
	expect("");
	part(PART_TEXT, 0, "\"x");
	expect(START("0", TEXT_BLOCK) DELTA("0", "text_delta", "text", "\\\"x"));
	part(PART_TEXT, 0, "y");
	expect(DELTA("0", "text_delta", "text", "y"));
	struct answer_end end = {.stop = HOKKU_STOP_END, .last = true, .usage = usage};
	api_anthropic.end(&b, &start, &end);
	expect_end(END("0"), STOP("\"end_turn\"", "null"));
	/* an answer without anything */
	end.stop = HOKKU_STOP_LENGTH;
	api_anthropic.end(&b, &start, &end);
	expect_end("", STOP("\"max_tokens\"", "null"));
	end.stop = HOKKU_STOP_CONTEXT;
	api_anthropic.end(&b, &start, &end);
	expect_end("", STOP("\"model_context_window_exceeded\"", "null"));
	end.stop = HOKKU_STOP_STOP;
	end.stop_text = (struct str)STR_LIT("s\"");
	api_anthropic.end(&b, &start, &end);
	expect_end("", STOP("\"stop_sequence\"", "\"s\\\"\""));
	api_anthropic.keep_alive(&b);
	expect(EVENT("ping") "}\n\n");
	api_anthropic.failed(&b, HOKKU_DEVICE_ERROR, "why");
	expect("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"why\"},"
	       "\"request_id\":null}\n\n");
}

static void test_stream_of_blocks(void **state)
{
	(void)state;
	part(PART_THINKING, 0, "t");
	expect(START("0", THOUGHT_BLOCK) DELTA("0", "thinking_delta", "thinking", "t"));
	part(PART_THINKING, 0, "u");
	expect(DELTA("0", "thinking_delta", "thinking", "u"));
	part(PART_TEXT, 0, "a");
	expect(DELTA("0", "signature_delta", "signature", "hokku") END("0") START("1", TEXT_BLOCK)
		       DELTA("1", "text_delta", "text", "a"));
	part(PART_CALL, 0, "f");
	expect(END("1") START("2", CALL_BLOCK("0", "f", "{}}")));
	part(PART_ARGUMENTS, 0, "{\"k\":");
	expect(DELTA("2", "input_json_delta", "partial_json", "{\\\"k\\\":"));
	part(PART_ARGUMENTS, 0, "1}");
	expect(DELTA("2", "input_json_delta", "partial_json", "1}"));
	part(PART_CALL_END, 0, "");
	expect(END("2"));
	part(PART_CALL, 1, "g"); /* two at once, the second without arguments */
	expect(START("3", CALL_BLOCK("1", "g", "{}}")));
	part(PART_CALL_END, 1, "");
	expect(END("3"));
	const struct part last[] = {{PART_TEXT, 0, STR_LIT("b")}};
	struct answer_end end = {.stop = HOKKU_STOP_END,
				 .last = true,
				 .usage = usage,
				 .n_calls = 2,
				 .parts = last,
				 .n_parts = 1};
	api_anthropic.end(&b, &start, &end);
	expect_end(START("4", TEXT_BLOCK) DELTA("4", "text_delta", "text", "b") END("4"),
		   STOP("\"tool_use\"", "null"));
	/* a call that max_tokens cut; thinking that it cut */
	part(PART_CALL, 0, "f");
	part(PART_ARGUMENTS, 0, "{\"k");
	strbuf_free(&b);
	end = (struct answer_end){.stop = HOKKU_STOP_LENGTH, .last = true, .usage = usage};
	api_anthropic.end(&b, &start, &end);
	expect_end(END("0"), STOP("\"max_tokens\"", "null"));
	part(PART_THINKING, 0, "t");
	strbuf_free(&b);
	api_anthropic.end(&b, &start, &end);
	expect_end(DELTA("0", "signature_delta", "signature", "hokku") END("0"),
		   STOP("\"max_tokens\"", "null"));
}

static void whole(const struct part *parts, size_t n, const char *content)
{
	char text[1024];
	const struct answer_sample sample = {
		.parts = parts,
		.n_parts = n,
		.end = {.stop = HOKKU_STOP_END, .last = true, .n_calls = 1, .usage = usage}};
	api_anthropic.whole(&b, &start, &sample);
	snprintf(text, sizeof text,
		 "{" HEAD "%s]," STOP("\"tool_use\"", "null") "," USAGE(
			 "5", "4", "6", "2") ",\"service_tier\":\"standard\"}," OWN,
		 content);
	if (strncmp(b.ptr, text, strlen(text)) != 0)
		fail_msg("%s\nis not\n%s", b.ptr, text);
	strbuf_free(&b);
}

static void test_whole(void **state)
{
	(void)state;
	const struct part parts[] = {
		{PART_THINKING, 0, STR_LIT("t\n")}, {PART_TEXT, 0, STR_LIT("a")},
		{PART_CALL, 0, STR_LIT("f")},       {PART_ARGUMENTS, 0, STR_LIT("{\"k\":1}")},
		{PART_CALL_END, 0, STR_LIT("")},    {PART_TEXT, 0, STR_LIT("")},
		{PART_CALL, 1, STR_LIT("g")},       {PART_CALL_END, 1, STR_LIT("")},
		{PART_CALL, 2, STR_LIT("h")},       {PART_ARGUMENTS, 2, STR_LIT("{\"k")},
	};
	whole(parts, 10,
	      "{\"type\":\"thinking\",\"thinking\":\"t\\n\",\"signature\":\"hokku\"},{\"type\":\"text\",\"text\":\"a\","
	      "\"citations\":null}," CALL_BLOCK("0", "f", "{\"k\":1}}") "," CALL_BLOCK(
		      "1", "g", "{}}") "," CALL_BLOCK("2", "h", "{},\"partial_json\":\"{\\\"k\"}"));
	whole(parts + 8, 1, CALL_BLOCK("2", "h", "{},\"partial_json\":\"\"}"));
	whole(parts, 0, "");
	start.warnings_json = (struct str)STR_LIT("\"w\"");
	const struct answer_sample sample = {.end = {.last = true}};
	api_anthropic.whole(&b, &start, &sample);
	assert_non_null(strstr(b.ptr, "}},\"warnings\":[\"w\"]}\n"));
	strbuf_free(&b);
	start.warnings_json = (struct str){NULL, 0};
}

static void test_errors(void **state)
{
	(void)state;
	static const struct {
		enum hokku_code code;
		int status;
		const char *type;
		int told;
		const char *message;
	} rows[] = {
		{HOKKU_INVALID_REQUEST, 400, "invalid_request_error", 400, "w\\\""},
		{HOKKU_CONTEXT_EXCEEDED, 400, "invalid_request_error", 400, "prompt is too long: w\\\""},
		{HOKKU_UNAUTHORIZED, 401, "authentication_error", 401, "w\\\""},
		{HOKKU_INVALID_REQUEST, 403, "permission_error", 403, "w\\\""},
		{HOKKU_NOT_FOUND, 404, "not_found_error", 404, "w\\\""},
		{HOKKU_INVALID_REQUEST, 405, "invalid_request_error", 405, "w\\\""},
		{HOKKU_INVALID_REQUEST, 413, "request_too_large", 413, "w\\\""},
		{HOKKU_RATE_LIMITED, 429, "rate_limit_error", 429, "w\\\""},
		{HOKKU_CANCELLED, 499, "invalid_request_error", 499, "w\\\""},
		{HOKKU_INTERNAL, 500, "api_error", 500, "w\\\""},
		{HOKKU_OVERLOADED, 503, "overloaded_error", 529, "w\\\""},
		{HOKKU_NOT_READY, 503, "api_error", 503, "w\\\""},
		{HOKKU_INFERENCE_TIMEOUT, 504, "timeout_error", 504, "w\\\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[256];
		int told = api_anthropic.refused(&b, rows[i].code, rows[i].status, "w\"", "req_1");
		assert_int_equal(told, rows[i].told);
		snprintf(
			text, sizeof text,
			"{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"},\"request_id\":\"req_1\"}\n",
			rows[i].type, rows[i].message);
		expect(text);
	}
	api_anthropic.error(&b, HOKKU_RATE_LIMITED, "w", NULL);
	expect("{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"w\"},\"request_id\":null}\n");
	assert_ptr_equal(api_of_path("/v1/messages"), &api_anthropic);
	assert_ptr_equal(api_of_path("/v1/messages/count_tokens"), &api_anthropic_count);
	assert_ptr_equal(api_of_path("/v1/messages/batches"), &api_anthropic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_begun),
		cmocka_unit_test(test_billing_header),
		cmocka_unit_test(test_redacted),
		cmocka_unit_test(test_cut_call),
		cmocka_unit_test(test_cut_call),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_many_tools),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_of_blocks),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests_name("anthropic", tests, NULL, NULL);
}
