/* Whatever a request says is text: names of control tokens in contents, names, tools, schemas, arguments and
 * results make none, through every template that is known by name and every dialect. */
#include "text/vocab.h"

#include "text/dialect.h"

enum { N_BYTES = 256 };

static const char *const controls[] = {
	"<s>",
	"</s>",
	"<|im_start|>",
	"<|im_end|>",
	"<|im_sep|>",
	"[INST]",
	"[/INST]",
	"[SYSTEM_PROMPT]",
	"[/SYSTEM_PROMPT]",
	"<|start_header_id|>",
	"<|end_header_id|>",
	"<|eot_id|>",
	"<|header_start|>",
	"<|header_end|>",
	"<|eot|>",
	"<|EOT|>",
	"<start_of_turn>",
	"<end_of_turn>",
	"<|system|>",
	"<|user|>",
	"<|assistant|>",
	"<|end|>",
	"<|endoftext|>",
	"<|end_of_text|>",
	"<|end_of_turn|>",
	"<|start_of_role|>",
	"<|end_of_role|>",
	"<|START_OF_TURN_TOKEN|>",
	"<|END_OF_TURN_TOKEN|>",
	"<|USER_TOKEN|>",
	"<|SYSTEM_TOKEN|>",
	"<|CHATBOT_TOKEN|>",
	"<|start|>",
	"<|message|>",
	"<|channel|>",
	"<|call|>",
	"<|return|>",
	"<sop>",
	"[gMASK]",
	"<tool_call>",
	"</tool_call>",
	"<tool_response>",
	"</tool_response>",
	"<think>",
	"</think>",
	"[TOOL_CALLS]",
	"[ARGS]",
	"[CALL_ID]",
	"[AVAILABLE_TOOLS]",
	"[TOOL_RESULTS]",
	"<|tool_call|>",
	"<|/tool_call|>",
	"<|tool_call:begin|>",
	"<|tool_call:end|>",
	"<|python_tag|>",
	"<function=",
	"<|START_ACTION|>",
	"<|END_ACTION|>",
	"<|action_start|>",
	"<|plugin|>",
	"<arg_key>",
	"<arg_value>",
	"<\uff5cUser\uff5c>",
	"<\uff5cAssistant\uff5c>",
	"<\uff5cend\u2581of\u2581sentence\uff5c>",
	"<\uff5ctool\u2581calls\u2581begin\uff5c>",
	"<\uff5ctool\u2581call\u2581begin\uff5c>",
	"<\uff5ctool\u2581sep\uff5c>",
};
enum { N_CONTROLS = sizeof controls / sizeof *controls };

/* @ stands for what is said. The first that a template takes is rendered: some want turns of two alone. */
static const char *const conversations[] = {
	"[{\"role\":\"system\",\"content\":\"@\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"@\"}]},"
	"{\"role\":\"assistant\",\"content\":\"@\",\"reasoning_content\":\"@\",\"thinking\":\"@\",\"tool_calls\":[{\"id\":\"abcdefghi\","
	"\"type\":\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"@\\\":[\\\"@\\\",{\\\"@\\\":\\\"@\\\"}]}\"}}]},"
	"{\"role\":\"tool\",\"tool_call_id\":\"abcdefghi\",\"name\":\"@\",\"content\":\"@\"},{\"role\":\"user\",\"content\":\"@\",\"name\":\"@\"}]",
	"[{\"role\":\"system\",\"content\":\"@\"},{\"role\":\"user\",\"content\":\"@\"},{\"role\":\"assistant\",\"content\":\"@\"},"
	"{\"role\":\"user\",\"content\":\"@\"}]",
	"[{\"role\":\"user\",\"content\":\"@\"},{\"role\":\"assistant\",\"content\":\"@\"},{\"role\":\"user\",\"content\":\"@\"}]",
};
static const char tools[] =
	"[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"description\":\"@\",\"parameters\":{\"type\":\"object\",\"title\":\"@\","
	"\"properties\":{\"@\":{\"description\":\"@\",\"enum\":[\"@\"],\"default\":\"@\"}},\"required\":[\"@\"]},\"returns\":\"@\"}}]";
static const char kwargs[] =
	"{\"t\":\"@\",\"custom\":{\"@\":\"@\"},\"documents\":[{\"title\":\"@\",\"text\":\"@\"}],\"enable_thinking\":true}";

struct scene {
	struct tok *tok;
	struct chat chat;
	struct strbuf all; /* every name, one behind the other */
};

static void begin(struct scene *s, struct str source)
{
	struct vocab v = v_new("qwen2");
	struct hokku_error err;
	struct gguf *g;
	void *copy;
	for (size_t i = 0; i < N_CONTROLS; i++) {
		v_token(&v, controls[i], TOK_CONTROL);
		strbuf_add_c(&s->all, controls[i]);
	}
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", N_BYTES);
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", N_BYTES + 1);
	struct strbuf b = v_file(&v);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	if (tok_create(g, &s->tok, &err))
		fail_msg("%s", err.message);
	assert_int_equal(chat_init(&s->chat, g, source, &err), HOKKU_OK);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
}

static void end(struct scene *s)
{
	chat_deinit(&s->chat);
	tok_destroy(s->tok);
	strbuf_free(&s->all);
}

static void fill(const char *form, const char *what, struct jv_doc *doc)
{
	struct strbuf text = {0};
	struct hokku_error err;
	for (; *form; form++)
		if (*form == '@')
			strbuf_add_c(&text, what);
		else
			strbuf_add(&text, form, 1);
	if (jv_parse((struct str){text.ptr, text.len}, JV_STRICT, doc, &err))
		fail_msg("%s", err.message);
	strbuf_free(&text);
}

/* How often the prompt has each control token; false: the template refuses the conversation. */
static bool count(const struct scene *s, const struct dialect_found *f, size_t conversation, const char *what,
		  bool with_tools, uint32_t counts[N_CONTROLS], size_t *n_ids)
{
	struct jv_doc doc, tool_doc, kwarg_doc;
	struct chat_message m[8];
	struct tok_ids ids = {0};
	struct hokku_error err;
	char field[64];
	fill(conversations[conversation], what, &doc);
	fill(tools, what, &tool_doc);
	fill(kwargs, what, &kwarg_doc);
	struct chat_input in = {.messages = m,
				.n_messages = jv_len(&doc.root),
				.tools = with_tools ? &tool_doc.root : NULL,
				.kwargs = {&kwarg_doc.root}};
	for (size_t i = 0; i < in.n_messages; i++)
		assert_int_equal(chat_message_read(jv_at(&doc.root, i), i, &m[i], field, &err), HOKKU_OK);
	enum hokku_code rc = dialect_render(f, &s->chat, s->tok, &in, &ids, NULL, &err);
	memset(counts, 0, N_CONTROLS * sizeof *counts);
	for (size_t i = 0; i < ids.n; i++)
		if (ids.ids[i] >= N_BYTES)
			counts[ids.ids[i] - N_BYTES]++;
	*n_ids = ids.n;
	tok_ids_free(&ids);
	jv_doc_free(&doc);
	jv_doc_free(&tool_doc);
	jv_doc_free(&kwarg_doc);
	return rc == HOKKU_OK;
}

static void check(const char *name, const struct scene *s, const struct dialect_found *f)
{
	uint32_t plain[N_CONTROLS], named[N_CONTROLS];
	size_t n_plain, n_named, n_rendered = 0;
	for (size_t i = 0; i < 6; i++) {
		bool taken = count(s, f, i / 2, "x", i % 2, plain, &n_plain);
		assert_int_equal(count(s, f, i / 2, s->all.ptr, i % 2, named, &n_named), taken);
		if (!taken)
			continue;
		n_rendered++;
		for (size_t k = 0; k < N_CONTROLS; k++)
			if (plain[k] != named[k])
				fail_msg(
					"%s, dialect %s, conversation %zu: %s comes %u times, and %u where it is spoken of",
					name, dialect_name(f->dialect), i, controls[k], plain[k], named[k]);
		/* It is there: the bytes of each name, three times at least. */
		assert_true(n_named >= n_plain + 3 * (s->all.len - 1));
	}
	if (!n_rendered)
		fail_msg("%s: no conversation is rendered", name);
}

static void templates(void **state)
{
	(void)state;
	const char *name;
	for (size_t i = 0; (name = chat_name(i)); i++) {
		struct scene s = {0};
		struct dialect_found f;
		struct hokku_error err;
		begin(&s, chat_named(name));
		assert_int_equal(dialect_probe(&s.chat, &f, &err), HOKKU_OK);
		check(name, &s, &f);
		end(&s);
	}
}

/* What tells of tools, calls and results where the template does not. */
static void dialects(void **state)
{
	(void)state;
	const struct dialect *d;
	for (size_t i = 0; (d = dialect_at(i)); i++) {
		struct scene s = {0};
		struct dialect_found f;
		struct hokku_error err;
		begin(&s, chat_named("chatml"));
		assert_int_equal(dialect_probe_as(&s.chat, d, &f, &err), HOKKU_OK);
		check("chatml", &s, &f);
		end(&s);
	}
}

/* A template that writes all it is given, in several ways. */
static void one_that_writes_everything(void **state)
{
	(void)state;
	struct scene s = {0};
	struct dialect_found f;
	struct hokku_error err;
	begin(&s,
	      STR_LIT("{{ bos_token }}{% if tools %}<tool_call>{{ tools|tojson }}{{ tools }}{{ tools|string }}{% for t in tools %}{{ t.function.description|"
		      "trim|upper|lower }}{% for k, v in t.function.parameters.properties.items() %}{{ k ~ v.enum|join }}{% endfor %}{% endfor "
		      "%}</tool_call>{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{% for p in (m.content if m.content is not string else "
		      "[{'text': m.content}]) or [] %}{{ p.text|replace('a', 'a') }}{{ p.text.split('|')|join('|') }}{% endfor %}{{ m.name }}{{ "
		      "m.reasoning_content }}{% for c in m.tool_calls or [] %}<tool_call>{{ c|tojson }}{{ c.function.arguments }}{% endfor %}<|im_end|>{% "
		      "endfor %}{{ t }}{{ custom|tojson }}{{ documents[0].title ~ documents[0].text }}<|im_start|>assistant\n"));
	assert_int_equal(s.chat.kind, CHAT_JINJA);
	assert_int_equal(dialect_probe(&s.chat, &f, &err), HOKKU_OK);
	check("everything", &s, &f);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates),
		cmocka_unit_test(dialects),
		cmocka_unit_test(one_that_writes_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
