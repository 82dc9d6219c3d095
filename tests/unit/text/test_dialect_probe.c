/* What dialect_probe finds. Templates written here, one a question; oracle/dialects.test.mjs has the
 * published ones. */
#include "gguf/builder.h"

#include "text/dialect.h"

static void probe(const char *source, struct dialect_found *out)
{
	struct strbuf b = {0};
	struct gguf *g;
	void *copy;
	struct chat c;
	struct hokku_error err;
	b_header(&b, 3, 0, 0);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	assert_int_equal(chat_init(&c, g, source ? str_c(source) : (struct str){NULL, 0}, &err), HOKKU_OK);
	assert_int_equal(dialect_probe(&c, out, &err), HOKKU_OK);
	chat_deinit(&c);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
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
	{"no tools", EACH "{{ m.content }}{% endfor %}" PROMPT, "generic", false, false, false, true,
	 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"refuses the conversation", "{{ raise_exception('no') }}", "generic", false, false, false, false,
	 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"spaced", HERMES("f.arguments|tojson "), "hermes", true, true, true, true,
	 DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"compact", HERMES("f.arguments|tojson(separators=(',', ':')) "), "hermes", true, true, true, true,
	 DIALECT_SOFT_BREAKS},
	{"lists no tools",
	 EACH CALLS
	 "<tool_call>\n{\"name\": \"{{ f.name }}\", \"arguments\": {{ f.arguments|tojson }}}\n</tool_call>" ENDS
		 PROMPT,
	 "hermes", true, false, true, true, DIALECT_SPACED | DIALECT_SOFT_BREAKS},
	{"all tight",
	 LIST EACH CALLS
	 "<tool_call>\n{\"name\":\"{{ f.name }}\",\"arguments\":{{ f.arguments|tojson(separators=(',', "
	 "':')) }}}\n</tool_call>" ENDS PROMPT,
	 "hermes", true, true, true, true, DIALECT_TIGHT | DIALECT_SOFT_BREAKS},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialects),
		cmocka_unit_test(thinking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
