/* POST /v1/responses: what is kept and for whom, items as messages, parts as events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/answer.h"
#include "server/responses.h"

/* ---- the store ---- */

static bool put(struct responses *s, uint32_t owner, const char *id, size_t n_items, uint64_t now_ns)
{
	char *items = malloc(n_items + 1);
	memset(items, 'i', n_items);
	bool ok = responses_put(s, owner, id, STR_LIT("{}"), (struct str){items, n_items}, now_ns);
	free(items);
	return ok;
}

static bool has(struct responses *s, uint32_t owner, const char *id, uint64_t now_ns)
{
	struct strbuf object = {0}, items = {0};
	bool found = responses_get(s, owner, id, &object, &items, now_ns);
	assert_int_equal(found, object.len > 0);
	strbuf_free(&object);
	strbuf_free(&items);
	return found;
}

static void a_key_has_its_own(void **state)
{
	(void)state;
	struct responses *s = responses_new(1 << 20, 60);
	assert_true(put(s, 1, "a", 10, 0));
	assert_true(has(s, 1, "a", 1));
	assert_false(has(s, 2, "a", 1));
	assert_false(responses_drop(s, 2, "a", 1));
	assert_true(responses_drop(s, 1, "a", 1));
	assert_false(has(s, 1, "a", 1));
	assert_false(responses_drop(s, 1, "a", 1));
	responses_free(s);
	responses_free(NULL);
}

static void the_bytes_have_a_limit(void **state)
{
	(void)state;
	uint32_t n;
	size_t one, sum;
	struct responses *s = responses_new(1 << 20, 60);
	assert_true(put(s, 0, "a", 100, 0));
	responses_count(s, &n, &one);
	assert_int_equal(n, 1);
	responses_free(s);
	/* Room for exactly two: of a third, the one that was used longest ago goes. */
	s = responses_new(2 * one, 60);
	assert_true(put(s, 0, "a", 100, 0) && put(s, 0, "b", 100, 0));
	assert_true(has(s, 0, "a", 1) && has(s, 0, "b", 1) && has(s, 0, "a", 1));
	assert_true(put(s, 0, "c", 100, 2));
	assert_true(has(s, 0, "a", 3) && has(s, 0, "c", 3) && !has(s, 0, "b", 3));
	responses_count(s, &n, &sum);
	assert_int_equal(n, 2);
	assert_int_equal(sum, 2 * one);
	/* One as large as all of it, and one byte more. */
	assert_true(put(s, 0, "d", 100 + one, 4));
	assert_true(has(s, 0, "d", 4) && !has(s, 0, "a", 4) && !has(s, 0, "c", 4));
	assert_false(put(s, 0, "e", 101 + one, 4));
	assert_true(has(s, 0, "d", 4));
	responses_free(s);
	/* Of two with a byte less there is room for one. */
	s = responses_new(2 * one - 1, 60);
	assert_true(put(s, 0, "a", 100, 0) && put(s, 0, "b", 100, 0));
	assert_true(!has(s, 0, "a", 1) && has(s, 0, "b", 1));
	responses_free(s);
	s = responses_new(0, 60);
	assert_false(put(s, 0, "a", 0, 0));
	responses_free(s);
}

static void their_time_ends(void **state)
{
	(void)state;
	const uint64_t second = 1000000000;
	struct responses *s = responses_new(1 << 20, 2);
	assert_true(put(s, 0, "a", 1, 0) && put(s, 0, "b", 1, 0));
	assert_true(has(s, 0, "a", 2 * second)); /* used again: its time begins anew */
	assert_false(has(s, 0, "b", 2 * second + 1));
	assert_true(has(s, 0, "a", 4 * second));
	assert_false(has(s, 0, "a", 6 * second + 1));
	responses_free(s);
}

/* ---- requests ---- */

struct linked {
	struct gen_request r;
	struct request_error err;
	enum hokku_code rc;
	struct strbuf made;
};

static void link_body(struct linked *l, struct responses *store, const char *body)
{
	*l = (struct linked){0};
	l->rc = request_parse(str_c(body), &request_responses, NULL, &l->r, &l->err);
	if (!l->rc)
		l->rc = request_responses.link(&l->r, &(struct request_memory){store, 3}, &l->err);
	if (!l->rc)
		jv_write(&l->r.made.root, &l->made);
}

static void unlink_body(struct linked *l)
{
	request_free(&l->r);
	strbuf_free(&l->made);
}

static void items_become_messages(void **state)
{
	(void)state;
	static const struct {
		const char *body, *messages;
	} rows[] = {
		{"{\"input\":\"hi\"}", "[{\"role\":\"user\",\"content\":\"hi\"}]"},
		{"{\"input\":\"hi\",\"instructions\":\"be brief\"}",
		 "[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"hi\"}]"},
		/* Parts are one text; a developer's word is the system's, wherever it stands. */
		{"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},"
		 "{\"type\":\"input_text\",\"text\":\"b\"}]},{\"type\":\"message\",\"role\":\"developer\","
		 "\"content\":\"c\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":"
		 "\"no\"}]}]}",
		 "[{\"role\":\"user\",\"content\":\"ab\"},{\"role\":\"system\",\"content\":\"c\"},"
		 "{\"role\":\"assistant\",\"content\":\"no\"}]"},
		/* One turn of the assistant's is one message, and two messages are two. */
		{"{\"input\":[{\"role\":\"user\",\"content\":\"q\"},{\"type\":\"reasoning\",\"summary\":[],"
		 "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]},{\"role\":\"assistant\","
		 "\"content\":\"so\"},{\"type\":\"function_call\",\"call_id\":\"1\",\"name\":\"f\","
		 "\"arguments\":\"{}\"},{\"type\":\"function_call\",\"call_id\":\"2\",\"name\":\"g\","
		 "\"namespace\":\"n\",\"arguments\":\"{\\\"x\\\":1}\"},{\"type\":\"function_call_output\","
		 "\"call_id\":\"2\",\"output\":\"two\"},{\"type\":\"function_call_output\",\"call_id\":\"1\","
		 "\"output\":[{\"type\":\"input_text\",\"text\":\"one\"}]},{\"role\":\"assistant\","
		 "\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}",
		 "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"so\","
		 "\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"2\",\"type\":\"function\","
		 "\"function\":{\"name\":\"n__g\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":\"tool\","
		 "\"tool_call_id\":\"2\",\"content\":\"two\"},{\"role\":\"tool\",\"tool_call_id\":\"1\","
		 "\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"assistant\","
		 "\"content\":\"b\"}]"},
		/* Calls alone have no content; a custom tool's text is its one argument. */
		{"{\"input\":[{\"role\":\"user\",\"content\":\"q\"},{\"type\":\"custom_tool_call\","
		 "\"call_id\":\"1\",\"name\":\"patch\",\"input\":\"a\\\"b\"},{\"type\":"
		 "\"custom_tool_call_output\",\"call_id\":\"1\",\"output\":\"done\"}]}",
		 "[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,"
		 "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"patch\","
		 "\"arguments\":\"{\\\"input\\\":\\\"a\\\\\\\"b\\\"}\"}}]},{\"role\":\"tool\","
		 "\"tool_call_id\":\"1\",\"content\":\"done\"}]"},
		/* Thinking that is encrypted is nobody's here. */
		{"{\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"x\"},"
		 "{\"role\":\"user\",\"content\":\"q\"}]}",
		 "[{\"role\":\"user\",\"content\":\"q\"}]"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct linked l;
		struct strbuf messages = {0};
		link_body(&l, NULL, rows[i].body);
		assert_string_equal(l.rc ? l.err.error.message : "", "");
		jv_write(jv_get(&l.r.made.root, "messages"), &messages);
		assert_string_equal(messages.ptr, rows[i].messages);
		strbuf_free(&messages);
		unlink_body(&l);
	}
}

static void a_response_is_gone_on_from(void **state)
{
	(void)state;
	struct linked l;
	struct strbuf messages = {0};
	struct responses *s = responses_new(1 << 20, 1e6);
	assert_true(responses_put(
		s, 3, "resp_1", STR_LIT("{}"),
		STR_LIT("{\"role\":\"user\",\"content\":\"q\"},{\"type\":\"function_call\",\"call_id\":\"c\","
			"\"name\":\"f\",\"arguments\":\"{}\"}"),
		1));
	link_body(&l, s,
		  "{\"previous_response_id\":\"resp_1\",\"instructions\":\"new\",\"input\":[{\"type\":"
		  "\"function_call_output\",\"call_id\":\"c\",\"output\":\"7\"}]}");
	assert_string_equal(l.rc ? l.err.error.message : "", "");
	jv_write(jv_get(&l.r.made.root, "messages"), &messages);
	assert_string_equal(
		messages.ptr,
		"[{\"role\":\"system\",\"content\":\"new\"},{\"role\":\"user\",\"content\":\"q\"},"
		"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
		"\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":"
		"\"tool\",\"tool_call_id\":\"c\",\"content\":\"7\"}]");
	/* What comes to be kept: all that was said, without the instructions. */
	assert_non_null(strstr(l.r.responses->items.ptr, "\"content\":\"q\"},{\"type\":\"function_call\""));
	assert_non_null(strstr(l.r.responses->items.ptr, "\"output\":\"7\"}"));
	assert_null(strstr(l.r.responses->items.ptr, "new"));
	strbuf_free(&messages);
	unlink_body(&l);
	link_body(&l, s, "{\"previous_response_id\":\"resp_2\",\"input\":\"x\"}");
	assert_int_equal(l.rc, HOKKU_NOT_FOUND);
	assert_string_equal(l.err.field, "previous_response_id");
	unlink_body(&l);
	responses_free(s);
}

static void tools_as_the_model_knows_them(void **state)
{
	(void)state;
	struct linked l;
	struct strbuf tools = {0};
	link_body(&l, NULL,
		  "{\"input\":\"q\",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":"
		  "[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"custom\",\"name\":\"raw\"},{\"type\":"
		  "\"function\",\"name\":\"g\"}]},\"tools\":[{\"type\":\"function\",\"name\":\"f\","
		  "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true},{\"type\":"
		  "\"function\",\"name\":\"not\"},{\"type\":\"custom\",\"name\":\"raw\",\"format\":{\"type\":"
		  "\"grammar\",\"syntax\":\"regex\",\"definition\":\"[ab]+\"}},{\"type\":\"namespace\","
		  "\"name\":\"n\",\"description\":\"ns\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},"
		  "{\"type\":\"web_search_2025_08_26\"}]}");
	assert_string_equal(l.rc ? l.err.error.message : "", "");
	jv_write(l.r.tools, &tools);
	assert_string_equal(
		tools.ptr,
		"[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":"
		"{\"type\":\"object\"},\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":\"raw\","
		"\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"pattern\":"
		"\"^(?:[ab]+)$\"}},\"required\":[\"input\"],\"additionalProperties\":false}}},{\"type\":"
		"\"function\",\"function\":{\"name\":\"n__g\",\"description\":\"ns\",\"parameters\":{\"type\":"
		"\"object\",\"properties\":{}}}}]");
	assert_non_null(strstr(l.r.warnings.ptr, "tools[4] (web_search_2025_08_26) was left out"));
	const struct responses_tool *raw = responses_find(l.r.responses, STR_LIT("raw")),
				    *g = responses_find(l.r.responses, STR_LIT("n__g"));
	assert_true(raw && raw->custom && !raw->of);
	assert_true(g && !g->custom && strcmp(g->of, "n") == 0 && strcmp(g->name, "g") == 0);
	assert_null(responses_find(l.r.responses, STR_LIT("f")));
	strbuf_free(&tools);
	unlink_body(&l);
}

/* Tools that are left out may be named, reasoning that is encrypted is told. */
static void what_is_left_out_is_no_fault(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"mcp\",\"server_label\":\"s\"},"
		"{\"type\":\"function\",\"name\":\"g\"}]}",
		"{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"g\","
		"\"namespace\":\"n\"}]}",
		"{\"type\":\"function\",\"name\":\"g\",\"namespace\":\"n\"}",
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct linked l;
		char body[1024];
		snprintf(
			body, sizeof body,
			"{\"input\":[{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"e\"},{\"type\":"
			"\"reasoning\",\"encrypted_content\":\"e\"},{\"role\":\"user\",\"content\":\"x\"}],\"tools\":"
			"[{\"type\":\"mcp\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":"
			"\"function\",\"name\":\"g\"}]}],\"tool_choice\":%s}",
			bodies[i]);
		link_body(&l, NULL, body);
		assert_string_equal(l.rc ? l.err.error.message : "", "");
		assert_int_equal(jv_len(l.r.tools), 1);
		assert_non_null(
			strstr(l.r.warnings.ptr, "input[0] is reasoning that somebody else has encrypted"));
		assert_null(strstr(l.r.warnings.ptr, "input[1]"));
		unlink_body(&l);
	}
}

static void faults_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *body, *field;
	} rows[] = {
		{"{}", "input"},
		{"{\"input\":[]}", "input"},
		{"{\"input\":7}", "input"},
		{"{\"input\":[7]}", "input[0]"},
		{"{\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}", "input[0].type"},
		{"{\"input\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "input[0].role"},
		{"{\"input\":[{\"role\":\"user\"}]}", "input[0].content"},
		{"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]}",
		 "input[0].content[0].type"},
		{"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]}",
		 "input[0].content[0].text"},
		{"{\"input\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"}]}",
		 "input[0].call_id"},
		{"{\"input\":[{\"type\":\"function_call\",\"call_id\":\"1\",\"arguments\":\"{}\"}]}",
		 "input[0].name"},
		{"{\"input\":[{\"type\":\"function_call\",\"call_id\":\"1\",\"name\":\"f\",\"arguments\":{}}]}",
		 "input[0].arguments"},
		{"{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"1\",\"output\":\"x\"}]}",
		 "input[0].call_id"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\"}]}", "tools[0].name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"\"}]}", "tools[0].name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"namespace\",\"name\":\"n\"}]}", "tools[0].tools"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":"
		 "\"shell\"}]}]}",
		 "tools[0].tools[0]"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"magic\"}]}", "tools[0].type"},
		{"{\"input\":\"x\",\"tool_choice\":{\"type\":\"mcp\"}}", "tool_choice.type"},
		{"{\"input\":\"x\",\"tool_choice\":{\"type\":\"function\"}}", "tool_choice.name"},
		{"{\"input\":\"x\",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"may\"}}",
		 "tool_choice.mode"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"strict\":\"true\"}]}",
		 "tools[0].strict"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":5}]}",
		 "tools[0].description"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"namespace\",\"name\":\"n\",\"description\":5,\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]}]}",
		 "tools[0].description"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":5}]}",
		 "tools[0].format"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{}}]}",
		 "tools[0].format.type"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"gbnf\"}}]}",
		 "tools[0].format.type"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"grammar\"}}]}",
		 "tools[0].format.syntax"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"grammar\",\"syntax\":\"gbnf\",\"definition\":\"x\"}}]}",
		 "tools[0].format.syntax"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"grammar\",\"syntax\":\"regex\"}}]}",
		 "tools[0].format.definition"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":5}}]}",
		 "tools[0].format.definition"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"z\"}}",
		 "tool_choice.name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"g\"}}",
		 "tool_choice.name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"g\",\"namespace\":\"m\"}}",
		 "tool_choice.name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\",\"name\":\"z\"}]}}",
		 "tool_choice.tools[1].name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\"}]}}",
		 "tool_choice.tools[0].name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"g\",\"namespace\":\"m\"}]}}",
		 "tool_choice.tools[0].name"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[\"f\"]}}",
		 "tool_choice.tools[0]"},
		{"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]},{\"type\":\"mcp\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"name\":\"f\"}]}}",
		 "tool_choice.tools[0]"},
		{"{\"input\":[{\"type\":\"reasoning\",\"content\":\"x\"}]}", "input[0].content"},
		{"{\"input\":[{\"type\":\"reasoning\",\"summary\":5}]}", "input[0].summary"},
		{"{\"input\":\"x\",\"truncation\":\"auto\"}", "truncation"},
		{"{\"input\":\"x\",\"background\":true}", "background"},
		{"{\"input\":\"x\",\"conversation\":\"c\"}", "conversation"},
		{"{\"input\":\"x\",\"include\":[\"all\"]}", "include[0]"},
		{"{\"input\":\"x\",\"top_logprobs\":1}", "top_logprobs"},
		{"{\"input\":\"x\",\"reasoning\":{\"effort\":\"lots\"}}", "reasoning.effort"},
		{"{\"input\":\"x\",\"reasoning\":{\"how\":1}}", "reasoning"},
		{"{\"input\":\"x\",\"text\":{\"format\":\"json\"}}", "text.format"},
		{"{\"input\":\"x\",\"text\":{\"format\":{}}}", "text.format.type"},
		{"{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\"}}}", "text.format.schema"},
		{"{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":5}}}",
		 "text.format.schema"},
		{"{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":{},\"more\":1}}}",
		 "text.format.more"},
		{"{\"input\":\"x\",\"text\":{\"verbosity\":\"low\"}}", "text.verbosity"},
		{"{\"input\":\"x\",\"previous_response_id\":\"\"}", "previous_response_id"},
		{"{\"input\":\"x\",\"n\":2}", "n"},
		{"{\"input\":\"x\",\"messages\":[]}", "messages"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct linked l;
		link_body(&l, NULL, rows[i].body);
		print_message("%s: %s\n", rows[i].field, l.err.error.message);
		assert_int_equal(l.rc, HOKKU_INVALID_REQUEST);
		assert_string_equal(l.err.field, rows[i].field);
		unlink_body(&l);
	}
}

/* ---- answers ---- */

/* A stream in which each part came in pieces of n bytes, and what was kept of it. */
static void tell(struct linked *l, const struct part *parts, size_t n_parts, size_t n, enum hokku_stop stop,
		 struct strbuf *out, struct strbuf *object)
{
	const struct sampling sampling = {0};
	struct answer_memo memo = {0};
	struct responses *s = responses_new(1 << 20, 1e9);
	struct answer_start start = {.id = "resp_7",
				     .model = "m",
				     .sampling = &sampling,
				     .n = 1,
				     .responses = l->r.responses,
				     .memo = &memo};
	const struct answer_end end = {.stop = stop, .last = true};
	api_openai_responses.started(out, &start, 0, true);
	for (size_t i = 0; i < n_parts; i++) {
		bool whole = parts[i].kind == PART_CALL || parts[i].kind == PART_CALL_END;
		for (size_t at = 0; at == 0 || (!whole && at < parts[i].text.len); at += n) {
			size_t left = parts[i].text.len - at;
			struct part piece = parts[i];
			if (!whole)
				piece.text = (struct str){parts[i].text.ptr + at, left < n ? left : n};
			const struct answer_token token = {.text = piece.text, .parts = &piece, .n_parts = 1};
			api_openai_responses.token(out, &start, &token);
		}
	}
	api_openai_responses.end(out, &start, &end);
	const struct answer_sample sample = {.end = end};
	api_openai_responses.keep(s, 3, &start, &sample);
	assert_true(responses_get(s, 3, "resp_7", object, NULL, 1));
	strbuf_free(&memo.text);
	strbuf_free(&memo.done);
	strbuf_free(&memo.name);
	strbuf_free(&memo.logprobs);
	responses_free(s);
}

#define PART(k, c, t)                                                        \
	{                                                                    \
		.kind = PART_##k, .call = (c), .text = {(t), sizeof(t) - 1 } \
	}

static const struct part told[] = {
	PART(THINKING, 0, "hm"),
	PART(TEXT, 0, "so: "),
	PART(CALL, 0, "f"),
	PART(ARGUMENTS, 0, "{}"),
	PART(CALL_END, 0, ""),
	PART(CALL, 1, "raw"),
	PART(ARGUMENTS, 1, "{\"input\":\"a\\nb\"}"),
	PART(CALL_END, 1, ""),
	PART(TEXT, 0, "there"),
};
enum { N_TOLD = sizeof told / sizeof *told };

static const char want_output[] =
	"\"output\":[{\"id\":\"rs_7_0\",\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[],\"content\":"
	"[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]},{\"id\":\"msg_7_1\",\"type\":\"message\",\"status\":"
	"\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"annotations\":[],"
	"\"logprobs\":[],\"text\":\"so: \"}]},{\"id\":\"fc_7_2\",\"type\":\"function_call\",\"call_id\":"
	"\"call_7_2\",\"name\":\"f\",\"arguments\":\"{}\",\"status\":\"completed\"},{\"id\":\"ctc_7_3\",\"type\":"
	"\"custom_tool_call\",\"call_id\":\"call_7_3\",\"name\":\"raw\",\"input\":\"a\\nb\"},{\"id\":\"msg_7_4\","
	"\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":"
	"\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"there\"}]}]";

/* Every event of one kind for its own number, every piece added up: what the last event has, streamed at any
 * cut and whole. */
static void parts_become_items(void **state)
{
	(void)state;
	struct linked l;
	link_body(&l, NULL, "{\"input\":\"q\",\"tools\":[{\"type\":\"custom\",\"name\":\"raw\"}]}");
	for (size_t n = 1; n <= 20; n += n == 3 ? 17 : 1) {
		struct strbuf out = {0}, object = {0};
		tell(&l, told, N_TOLD, n, HOKKU_STOP_END, &out, &object);
		assert_non_null(strstr(object.ptr, want_output));
		const char *last = strstr(out.ptr, "event: response.completed\n");
		assert_non_null(last);
		assert_non_null(strstr(last, want_output));
		uint64_t number = 0;
		for (const char *at = out.ptr; (at = strstr(at, "\"sequence_number\":")); number++) {
			at += strlen("\"sequence_number\":");
			assert_int_equal(strtoull(at, NULL, 10), number);
		}
		assert_true(number > 20);
		static const char *const once[] = {
			"event: response.created\n",
			"event: response.reasoning_text.done\n",
			"event: response.function_call_arguments.done\n",
			"event: response.custom_tool_call_input.delta\n",
			"event: response.custom_tool_call_input.done\n",
		};
		for (size_t k = 0; k < sizeof once / sizeof *once; k++) {
			const char *found = strstr(out.ptr, once[k]);
			assert_non_null(found);
			assert_null(strstr(found + 1, once[k]));
		}
		strbuf_free(&out);
		strbuf_free(&object);
	}
	/* In one piece. */
	struct strbuf out = {0};
	const struct sampling sampling = {0};
	const struct answer_start start = {
		.id = "resp_7", .model = "m", .sampling = &sampling, .n = 1, .responses = l.r.responses};
	const struct answer_sample sample = {
		.parts = told, .n_parts = N_TOLD, .end = {.stop = HOKKU_STOP_END, .last = true}};
	api_openai_responses.whole(&out, &start, &sample);
	assert_non_null(strstr(out.ptr, want_output));
	assert_non_null(strstr(out.ptr, "\"status\":\"completed\",\"completed_at\""));
	strbuf_free(&out);
	unlink_body(&l);
}

/* A call that max_tokens cut has the arguments that came, and says that it is not whole. */
static void a_call_may_be_cut(void **state)
{
	(void)state;
	static const struct part cut[] = {PART(CALL, 0, "f"), PART(ARGUMENTS, 0, "{\"a")};
	static const char want[] =
		"\"output\":[{\"id\":\"fc_7_0\",\"type\":\"function_call\",\"call_id\":\"call_7_0\","
		"\"name\":\"f\",\"arguments\":\"{\\\"a\",\"status\":\"incomplete\"}]";
	struct linked l;
	struct strbuf out = {0}, object = {0};
	link_body(&l, NULL, "{\"input\":\"q\"}");
	tell(&l, cut, 2, 1, HOKKU_STOP_LENGTH, &out, &object);
	assert_non_null(strstr(object.ptr, want));
	assert_non_null(strstr(object.ptr, "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"));
	assert_non_null(strstr(out.ptr, "event: response.incomplete\n"));
	strbuf_clear(&out);
	const struct sampling sampling = {0};
	const struct answer_start start = {
		.id = "resp_7", .model = "m", .sampling = &sampling, .n = 1, .responses = l.r.responses};
	const struct answer_sample sample = {
		.parts = cut, .n_parts = 2, .end = {.stop = HOKKU_STOP_LENGTH, .last = true}};
	api_openai_responses.whole(&out, &start, &sample);
	assert_non_null(strstr(out.ptr, want));
	strbuf_free(&out);
	strbuf_free(&object);
	unlink_body(&l);
}

static void a_stream_may_break(void **state)
{
	(void)state;
	const struct sampling sampling = {0};
	struct linked l;
	struct strbuf out = {0};
	struct answer_memo memo = {0};
	link_body(&l, NULL, "{\"input\":\"q\"}");
	struct answer_start start = {.id = "resp_7",
				     .model = "m",
				     .sampling = &sampling,
				     .n = 1,
				     .responses = l.r.responses,
				     .memo = &memo};
	const struct part text = PART(TEXT, 0, "half");
	const struct answer_token token = {.text = text.text, .parts = &text, .n_parts = 1};
	api_openai_responses.started(&out, &start, 0, true);
	api_openai_responses.token(&out, &start, &token);
	api_openai_responses.broken(&out, &start, HOKKU_DEVICE_ERROR, "it is gone");
	const char *last = strstr(out.ptr, "event: response.failed\n");
	assert_non_null(last);
	assert_non_null(strstr(last, "\"status\":\"failed\""));
	assert_non_null(strstr(last, "\"error\":{\"code\":\"server_error\",\"message\":\"it is gone\"}"));
	assert_non_null(strstr(last, "\"status\":\"incomplete\",\"role\":\"assistant\""));
	strbuf_clear(&out);
	api_openai_responses.failed(&out, HOKKU_DEVICE_ERROR, "it is gone"); /* before it began */
	assert_non_null(strstr(out.ptr, "event: error\n"));
	strbuf_free(&out);
	strbuf_free(&memo.text);
	strbuf_free(&memo.done);
	strbuf_free(&memo.name);
	strbuf_free(&memo.logprobs);
	unlink_body(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_its_own),
		cmocka_unit_test(the_bytes_have_a_limit),
		cmocka_unit_test(their_time_ends),
		cmocka_unit_test(items_become_messages),
		cmocka_unit_test(a_response_is_gone_on_from),
		cmocka_unit_test(tools_as_the_model_knows_them),
		cmocka_unit_test(what_is_left_out_is_no_fault),
		cmocka_unit_test(faults_are_named),
		cmocka_unit_test(parts_become_items),
		cmocka_unit_test(a_call_may_be_cut),
		cmocka_unit_test(a_stream_may_break),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
