/* What dialect_probe finds. Templates written here, one a question; oracle/dialects.test.mjs has the
 * published ones. */
#include "text/vocab.h"

#include "text/dialect.h"

/* name: of the one that is asked for; NULL: any. */
static void probe_as(const char *source, const char *name, struct dialect_found *out)
{
	struct strbuf b = {0};
	struct gguf *g;
	void *copy;
	struct chat c;
	struct hokku_error err;
	b_header(&b, 3, 0, 0);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	assert_int_equal(chat_init(&c, g, source ? str_c(source) : (struct str){NULL, 0}, &err), HOKKU_OK);
	if (name)
		assert_int_equal(dialect_probe_as(&c, dialect_find(name), out, &err), HOKKU_OK);
	else
		assert_int_equal(dialect_probe(&c, out, &err), HOKKU_OK);
	chat_deinit(&c);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
}

static void probe(const char *source, struct dialect_found *out)
{
	probe_as(source, NULL, out);
}

#define LIST   "{% if tools %}tools: {{ tools|tojson }}\n{% endif %}"
#define EACH   "{% for m in messages %}<{{ m.role }}>"
#define CALLS  "{% for t in m.tool_calls or [] %}{% set f = t.function %}"
#define ENDS   "{% endfor %}{{ m.content or '' }}\n{% endfor %}"
#define PROMPT "{% if add_generation_prompt %}<assistant>{% endif %}"
#define HERMES(args)                                                                        \
	LIST EACH CALLS "<tool_call>\n{\"name\": \"{{ f.name }}\", \"arguments\": {{ " args \
			"}}}\n</tool_call>" ENDS PROMPT

static const struct {
	const char *label, *source, *dialect;
	bool exact, lists, calls, results;
	unsigned form;
} rows[] = {
	{"none", NULL, "generic", false, false, false, false, DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"broken", "{% if %}", "generic", false, false, false, false, DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"no tools", EACH "{{ m.content }}{% endfor %}" PROMPT, "generic", false, false, false, false,
	 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"refuses the conversation", "{{ raise_exception('no') }}", "generic", false, false, false, false,
	 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"spaced", HERMES("f.arguments|tojson "), "hermes", true, true, true, true, DIALECT_SPACED},
	{"compact", HERMES("f.arguments|tojson(separators=(',', ':')) "), "hermes", true, true, true, true,
	 0},
	{"lists no tools",
	 EACH CALLS
	 "<tool_call>\n{\"name\": \"{{ f.name }}\", \"arguments\": {{ f.arguments|tojson }}}\n</tool_call>" ENDS
		 PROMPT,
	 "hermes", true, false, true, true, DIALECT_SPACED},
	{"all tight",
	 LIST EACH CALLS
	 "<tool_call>\n{\"name\":\"{{ f.name }}\",\"arguments\":{{ f.arguments|tojson(separators=(',', "
	 "':')) }}}\n</tool_call>" ENDS PROMPT,
	 "hermes", true, true, true, true, DIALECT_TIGHT},
	{"otherwise written",
	 LIST EACH CALLS
	 "<tool_call>{\"arguments\":{{ f.arguments|tojson(separators=(',', ':')) }},\"name\":\"{{ f.name "
	 "}}\"}</tool_call>" ENDS PROMPT,
	 "hermes", false, true, true, true, DIALECT_SOFT_BREAKS},
	{"only told",
	 "{% if tools %}<|tool|>{{ tools|tojson }}<|/tool|>{% endif %}" EACH
	 "{{ m.content or '' }}{% endfor %}" PROMPT,
	 "phi4-mini", false, true, false, true, DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"without line breaks",
	 LIST EACH CALLS
	 "<tool_call>{{ f.name }}{% for k, v in f.arguments.items() %}<arg_key>{{ k }}</arg_key><arg_value>{{ v "
	 "}}</arg_value>{% endfor %}</tool_call>" ENDS PROMPT,
	 "glm-4.5", true, true, true, true, DIALECT_SPACED},
};

static void dialects(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dialect_found f;
		probe(rows[i].source, &f);
		if (strcmp(dialect_name(f.dialect), rows[i].dialect) != 0 || f.exact != rows[i].exact ||
		    f.lists_tools != rows[i].lists || f.writes_calls != rows[i].calls ||
		    f.writes_results != rows[i].results || f.form != rows[i].form)
			fail_msg("%s: %s (%s), exact %d, lists %d, calls %d, results %d, form %u",
				 rows[i].label, dialect_name(f.dialect), f.why, f.exact, f.lists_tools,
				 f.writes_calls, f.writes_results, f.form);
		assert_non_null(f.thinking);
		assert_true(f.why[0] != '\0');
	}
}

#define TURNS EACH "{{ m.content }}{% endfor %}"

static const struct {
	const char *label, *source, *thinking, *argument, *effort, *none, *budget;
	bool marks, opens, without;
} thoughts[] = {
	{"none", TURNS PROMPT, "think", NULL, NULL, NULL, NULL, false, false, false},
	{"opened", TURNS PROMPT "<think>\n", "think", NULL, NULL, NULL, NULL, true, true, true},
	{"on unless told",
	 TURNS PROMPT
	 "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}",
	 "think", "enable_thinking", NULL, NULL, NULL, true, false, true},
	{"off unless told", TURNS PROMPT "[THINK]{% if not thinking %}[/THINK]{% endif %}", "mistral",
	 "thinking", NULL, NULL, NULL, true, false, false},
	{"in history alone",
	 EACH
	 "{% if m.reasoning_content %}<seed:think>{{ m.reasoning_content }}</seed:think>{% endif %}{{ m.content }}{% "
	 "endfor %}" PROMPT,
	 "seed", NULL, NULL, NULL, NULL, true, false, false},
	{"effort", "{{ 'effort: ' ~ reasoning_effort if reasoning_effort }}" TURNS PROMPT, "think", NULL,
	 "reasoning_effort", NULL, NULL, false, false, false},
	{"effort none", TURNS PROMPT "<think>{% if thinking_effort == 'none' %}</think>{% endif %}", "think",
	 NULL, "thinking_effort", "none", NULL, true, true, true},
	{"budget", "{{ 'at most ' ~ thinking_budget if thinking_budget }}" TURNS PROMPT, "think", NULL, NULL,
	 NULL, "thinking_budget", false, false, false},
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void thinking(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof thoughts / sizeof *thoughts; i++) {
		struct dialect_found f;
		probe(thoughts[i].source, &f);
		if (!same(f.thinking->name, thoughts[i].thinking) ||
		    !same(f.switch_argument, thoughts[i].argument) ||
		    !same(f.effort_argument, thoughts[i].effort) || !same(f.effort_none, thoughts[i].none) ||
		    !same(f.budget_argument, thoughts[i].budget) || f.marks_thinking != thoughts[i].marks ||
		    f.opens_thinking != thoughts[i].opens || f.thinks_without != thoughts[i].without)
			fail_msg(
				"%s: %s, switch %s, effort %s, none %s, budget %s, marks %d, opens %d, without %d",
				thoughts[i].label, f.thinking->name, f.switch_argument, f.effort_argument,
				f.effort_none, f.budget_argument, f.marks_thinking, f.opens_thinking,
				f.thinks_without);
	}
}

/* ---- what a template leaves out ---- */

static const char one_tool[] =
	"[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {}}}]";

#define TOLD                                                                                                                       \
	"You can call these tools, each described by a line of JSON:\\n\\n{\\\"name\\\": \\\"f\\\", \\\"parameters\\\": {}}\\n\\n" \
	"To call a tool, write its name and its arguments in this form:\\n\\n<tool_call>\\n{\\\"name\\\": \\\"NAME\\\", "          \
	"\\\"arguments\\\": {\\\"PARAMETER\\\": \\\"VALUE\\\"}}\\n</tool_call>\\n\\nSeveral calls may follow one another. After "  \
	"them end your message: what the tools answer comes next."
#define CALL_OF(id, arguments) \
	"{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":" arguments "}}"
#define RESULT_OF(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"

enum { LISTS = 1, CALLS_ONE = 2, SEVERAL = 4, RESULTS = 8, SYSTEM = 16 };

static const struct {
	const char *label;
	unsigned has;
	bool tools;
	const char *messages, *made; /* NULL: nothing is left out */
} left_out[] = {
	{"all is there", LISTS | CALLS_ONE | SEVERAL | RESULTS | SYSTEM, true,
	 "[{\"role\":\"assistant\",\"tool_calls\":[" CALL_OF("1", "{}") "," CALL_OF(
		 "2", "{}") "]}," RESULT_OF("1", "x") "]",
	 NULL},
	{"no tools", SYSTEM, false, "[{\"role\":\"user\",\"content\":\"x\"}]", NULL},
	{"the list, a system message", SYSTEM, true,
	 "[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"x\"}]",
	 "[{\"role\": \"system\", \"content\": \"be\\n\\n" TOLD
	 "\"}, {\"role\":\"user\",\"content\":\"x\"}]"},
	{"the list, none", SYSTEM, true, "[{\"role\":\"user\",\"content\":\"x\"}]",
	 "[{\"role\": \"system\", \"content\": \"" TOLD "\"}, {\"role\":\"user\",\"content\":\"x\"}]"},
	{"the list, system messages are not taken", 0, true, "[{\"role\":\"user\",\"content\":\"x\"}]",
	 "[{\"role\": \"user\", \"content\": \"" TOLD "\\n\\nx\"}]"},
	{"the list, a content of parts", SYSTEM, true,
	 "[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"be\"}]}]",
	 "[{\"role\": \"developer\", \"content\": [{\"type\":\"text\",\"text\":\"be\"}, {\"type\": \"text\", \"text\": \"" TOLD
	 "\"}]}]"},
	{"calls and results", LISTS, true,
	 "[{\"role\":\"assistant\",\"content\":\"so\",\"tool_calls\":[" CALL_OF("1", "\"{\\\"a\\\":1}\"") "," CALL_OF(
		 "2",
		 "{}") "]}," RESULT_OF("1",
				       "x\\\"y") "," RESULT_OF("2",
							       "z") ",{\"role\":\"user\",\"content\":\"w\"}]",
	 "[{\"role\": \"assistant\", \"content\": \"so\\n\\n<tool_call>\\n{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {\\\"a\\\": "
	 "1}}\\n</tool_call>\\n<tool_call>\\n{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {}}\\n</tool_call>\"}, {\"role\": "
	 "\"user\", \"content\": \"<tool_response>\\nx\\\"y\\n</tool_response>\\n<tool_response>\\nz\\n</tool_response>\"}, "
	 "{\"role\":\"user\",\"content\":\"w\"}]"},
	{"one call of a message", LISTS | CALLS_ONE | RESULTS, true,
	 "[{\"role\":\"assistant\",\"content\":\"so\",\"tool_calls\":[" CALL_OF("1", "{}") "," CALL_OF(
		 "2", "{}") "]}," RESULT_OF("2", "b") "," RESULT_OF("1", "a") "," RESULT_OF("3", "c") "]",
	 "[{\"role\": \"assistant\", \"content\": \"so\", \"tool_calls\": [" CALL_OF("1", "{}") "]}, " RESULT_OF("1", "a") ", {\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [" CALL_OF(
		 "2", "{}") "]}, " RESULT_OF("2", "b") ", " RESULT_OF("3", "c") "]"},
};

static void conversations_are_completed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
		unsigned has = left_out[i].has;
		const struct dialect_found f = {.dialect = dialect_find("generic"),
						.form = DIALECT_SPACED | DIALECT_SOFT_BREAKS,
						.lists_tools = has & LISTS,
						.writes_calls = has & CALLS_ONE,
						.writes_several = has & SEVERAL,
						.writes_results = has & RESULTS,
						.takes_system = has & SYSTEM};
		struct jv_doc messages, tools, again;
		struct strbuf out = {0};
		struct hokku_error err;
		assert_int_equal(jv_parse(str_c(left_out[i].messages), JV_STRICT, &messages, &err), HOKKU_OK);
		assert_int_equal(jv_parse(STR_LIT(one_tool), JV_STRICT, &tools, &err), HOKKU_OK);
		const struct jv *given = left_out[i].tools ? &tools.root : NULL;
		assert_int_equal(dialect_completes(&f, &messages.root, given), left_out[i].made != NULL);
		if (left_out[i].made) {
			assert_int_equal(dialect_complete(&f, &messages.root, given, &out, &err), HOKKU_OK);
			if (strcmp(out.ptr, left_out[i].made) != 0)
				fail_msg("%s:\n%s\ninstead of\n%s", left_out[i].label, out.ptr,
					 left_out[i].made);
			assert_int_equal(jv_parse((struct str){out.ptr, out.len}, JV_STRICT, &again, &err),
					 HOKKU_OK);
			jv_doc_free(&again);
		}
		strbuf_free(&out);
		jv_doc_free(&messages);
		jv_doc_free(&tools);
	}
}

/* ---- prompts ---- */

/* The prompt that a template makes of a conversation with tools. */
static void prompt_of(const char *source, const char *messages, const char *tools, const char *forced,
		      struct strbuf *out)
{
	struct vocab v = v_new("gpt-2");
	struct strbuf b = v_file(&v);
	struct gguf *g;
	void *copy;
	struct chat c;
	struct tok *t;
	struct tok_ids ids = {0};
	struct dialect_found f;
	struct jv_doc doc, tools_doc;
	struct chat_message m[8];
	char field[64];
	struct hokku_error err = {0};
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	assert_int_equal(tok_create(g, &t, &err), HOKKU_OK);
	assert_int_equal(chat_init(&c, g, str_c(source), &err), HOKKU_OK);
	assert_int_equal(forced ? dialect_probe_as(&c, dialect_find(forced), &f, &err)
				: dialect_probe(&c, &f, &err),
			 HOKKU_OK);
	assert_int_equal(jv_parse(str_c(messages), JV_STRICT, &doc, &err), HOKKU_OK);
	assert_int_equal(jv_parse(str_c(tools), JV_STRICT, &tools_doc, &err), HOKKU_OK);
	struct chat_input in = {.messages = m, .n_messages = jv_len(&doc.root), .tools = &tools_doc.root};
	for (size_t i = 0; i < in.n_messages; i++)
		assert_int_equal(chat_message_read(jv_at(&doc.root, i), i, &m[i], field, &err), HOKKU_OK);
	if (dialect_render(&f, &c, t, &in, &ids, NULL, &err))
		fail_msg("%s", err.message);
	strbuf_clear(out);
	for (size_t i = 0; i < ids.n; i++)
		strbuf_add(out, tok_bytes(t, ids.ids[i]).ptr, tok_bytes(t, ids.ids[i]).len);
	tok_ids_free(&ids);
	jv_doc_free(&doc);
	jv_doc_free(&tools_doc);
	chat_deinit(&c);
	tok_destroy(t);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
}

#define CONVERSATION                                                                                                  \
	"[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"so\",\"tool_calls\":[" CALL_OF( \
		"1", "\"{\\\"a\\\":1}\"") "]}," RESULT_OF("1", "x") "]"

static void prompts_leave_nothing_out(void **state)
{
	(void)state;
	struct strbuf got = {0};
	prompt_of(EACH "{{ m.content }}{% endfor %}" PROMPT, CONVERSATION, one_tool, NULL, &got);
	assert_non_null(strstr(got.ptr, "<system>You can call these tools"));
	assert_non_null(strstr(got.ptr, "{\"name\": \"f\", \"parameters\": {}}"));
	assert_non_null(strstr(
		got.ptr, "<user>q<assistant>so\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
			 "1}}\n</tool_call><user><tool_response>\nx\n</tool_response><assistant>"));
	prompt_of(EACH "{{ m.content }}{% endfor %}" PROMPT, CONVERSATION, one_tool, "deepseek-v3.1", &got);
	assert_non_null(
		strstr(got.ptr, "<\uff5ctool\u2581call\u2581begin\uff5c>NAME<\uff5ctool\u2581sep\uff5c>"));
	assert_non_null(strstr(
		got.ptr, "<\uff5ctool\u2581call\u2581begin\uff5c>f<\uff5ctool\u2581sep\uff5c>{\"a\": 1}"));
	prompt_of(HERMES("f.arguments|tojson "), CONVERSATION, one_tool, NULL, &got);
	assert_string_equal(
		got.ptr,
		"tools: [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {}}}]\n<user>q\n"
		"<assistant><tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>so\n<tool>x\n"
		"<assistant>");
	strbuf_free(&got);
}

/* A template that never ends, or fills memory, costs the start a few trials of the size that a trial may
 * have. */
static void endless_templates(void **state)
{
	(void)state;
	static const struct {
		const char *source;
		bool endless;
	} some[] = {
		{"{% for a in range(9) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", false},
		{"{% for a in range(11) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", true},
		{"{{ ('a' * 1000) * 1000 }}", false},
		{"{{ ('a' * 1000) * 40000 }}", true},
		{"{% if tools %}{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}{% endif %}x",
		 true},
		{"{{ range(100001)|length }}", false}, /* another limit */
	};
	for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
		struct dialect_found f;
		probe(some[i].source, &f);
		assert_string_equal(dialect_name(f.dialect), "generic");
		if ((strstr(f.why, "tried no further") != NULL) != some[i].endless)
			fail_msg("%s: %s", some[i].source, f.why);
	}
}

static void named_dialects(void **state)
{
	(void)state;
	static const struct {
		const char *source, *name;
		bool exact, lists, calls;
		unsigned form;
	} forced[] = {
		{HERMES("f.arguments|tojson "), "hermes", true, true, true, DIALECT_SPACED},
		{HERMES("f.arguments|tojson "), "mistral", false, true, false,
		 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
		{HERMES("f.arguments|tojson "), "generic", true, true, true,
		 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
		{TURNS PROMPT, "mistral", false, false, false, DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	};
	for (size_t i = 0; i < sizeof forced / sizeof *forced; i++) {
		struct dialect_found f;
		probe_as(forced[i].source, forced[i].name, &f);
		assert_string_equal(dialect_name(f.dialect), forced[i].name);
		if (f.exact != forced[i].exact || f.lists_tools != forced[i].lists ||
		    f.writes_calls != forced[i].calls || f.form != forced[i].form)
			fail_msg("%zu: exact %d, lists %d, calls %d, form %u", i, f.exact, f.lists_tools,
				 f.writes_calls, f.form);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialects),
		cmocka_unit_test(thinking),
		cmocka_unit_test(conversations_are_completed),
		cmocka_unit_test(prompts_leave_nothing_out),
		cmocka_unit_test(named_dialects),
		cmocka_unit_test(endless_templates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
