/* Chat templates: which are taken for ChatML, and what is rendered. The templates are those that models
 * publish; the texts expected were written by hand from the templates. tests/oracle/tokenizer.test.mjs
 * compares with a real engine. */
#include "text/vocab.h"

#include "text/chat.h"
#include "text/template.h"

#define MESSAGES_LOOP                                                                                     \
	"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + " \
	"'<|im_end|>' + '\\n'}}{% endfor %}"
#define ANSWER "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

static const char qwen2[] = "{% for message in messages %}{% if loop.first and messages[0]['role'] != "
			    "'system' %}{{ '<|im_start|>system\\nYou are a "
			    "helpful assistant.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + "
			    "message['role'] + '\\n' + message['content'] + "
			    "'<|im_end|>' + '\\n'}}{% endfor %}" ANSWER;

static const char qwen25[] =
	"{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0]['role'] == 'system' "
	"%}\n        {{- "
	"messages[0]['content'] }}\n    {%- else %}\n        {{- 'You are Qwen, created by Alibaba Cloud. "
	"You are a helpful "
	"assistant.' }}\n    {%- endif %}\n    {{- \"\\n\\n# Tools\\n\" }}\n    {%- for tool in tools %}\n   "
	"     {{- \"\\n\" "
	"}}\n        {{- tool | tojson }}\n    {%- endfor %}\n    {{- \"\\n</tools>\\n{\\\"name\\\": "
	"<function-name>}\\n<|im_end|>\\n\" }}\n{%- else %}\n    {%- if messages[0]['role'] == 'system' %}\n "
	"       {{- "
	"'<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n    {%- else %}\n        {{- "
	"'<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
	"assistant.<|im_end|>\\n' }}\n    {%- "
	"endif %}\n{%- endif %}\n{%- for message in messages %}\n    {%- if (message.role == \"user\") or "
	"(message.role == "
	"\"system\" and not loop.first) or (message.role == \"assistant\" and not message.tool_calls) %}\n   "
	"     {{- "
	"'<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- elif "
	"message.role == "
	"\"assistant\" %}\n        {{- '<|im_start|>' + message.role }}\n        {%- for tool_call in "
	"message.tool_calls %}\n  "
	"          {%- set tool_call = tool_call.function %}\n            {{- tool_call.arguments | tojson "
	"}}\n        {%- "
	"endfor %}\n        {{- '<|im_end|>\\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if "
	"add_generation_prompt %}\n    {{- "
	"'<|im_start|>assistant\\n' }}\n{%- endif %}\n";

static const char dolphin[] = "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] "
			      "%}{% set system_message = "
			      "messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set "
			      "system_message = 'You are Dolphin, a "
			      "helpful AI assistant.' %}{% endif %}{% if not add_generation_prompt is "
			      "defined %}{% set add_generation_prompt = false "
			      "%}{% endif %}{{'<|im_start|>system\\n' + system_message + '<|im_end|>\\n'}}{% "
			      "for message in loop_messages "
			      "%}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
			      "'<|im_end|>' + '\\n'}}{% endfor %}" ANSWER;

static const char per_role[] =
	"{{ bos_token }}{%- for message in messages -%}\n{%- if message.role == 'system' -%}\n{{ "
	"'<|im_start|>system\\n' ~ "
	"message.content ~ '<|im_end|>\\n' }}\n{%- elif message['role'] == \"user\" -%}\n{{ "
	"\"<|im_start|>user\\n\" + "
	"message['content'] + \"<|im_end|>\\n\" }}\n{%- else -%}\n{{ '<|im_start|>assistant\\n' + "
	"message.content + "
	"'<|im_end|>\\n' }}\n{%- endif -%}\n{%- endfor -%}\n{% if add_generation_prompt == true %}{{ "
	"'<|im_start|>assistant\\n' }}{% endif %}";

static const char plain_text[] = "{% for message in messages %}\n"
				 "<|im_start|>{{ message.role }}\n"
				 "{{ message.content }}<|im_end|>\n"
				 "{% endfor %}\n"
				 "{# the answer #}\n"
				 "  {% if add_generation_prompt %}\n"
				 "<|im_start|>assistant\n"
				 "{% endif %}\n";

static const char factory[] = "{% set system_message = 'You are a helpful assistant.' %}{% if "
			      "messages[0]['role'] == 'system' %}{% set system_message = "
			      "messages[0]['content'] %}{% endif %}{% if system_message is defined %}{{ "
			      "'<|im_start|>system\\n' + system_message + "
			      "'<|im_end|>\\n' }}{% endif %}{% for message in messages %}{% set content = "
			      "message['content'] %}{% if message['role'] == "
			      "'user' %}{{ '<|im_start|>user\\n' + content + "
			      "'<|im_end|>\\n<|im_start|>assistant\\n' }}{% elif message['role'] == "
			      "'assistant' %}{{ content + '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}";

/* Refuses two messages of one role after each other, as some do. */
static const char strict[] = "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 "
			     "% 2 == 0) and messages[0]['role'] == 'user' "
			     "%}{{ raise_exception('Roles must alternate') }}{% endif %}{{'<|im_start|>' + "
			     "message['role'] + '\\n' + "
			     "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}" ANSWER;

static const struct {
	const char *label, *source, *default_system; /* NULL: none */
	bool adds_bos;
	const char *refuses; /* a list of this shape is refused; NULL: none */
} chatml[] = {
	{"plain", MESSAGES_LOOP ANSWER, NULL, false, NULL},
	{"hermes", "{{bos_token}}" MESSAGES_LOOP ANSWER, NULL, true, NULL},
	{"yi",
	 "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif "
	 "%}" MESSAGES_LOOP ANSWER,
	 NULL, false, NULL},
	{"qwen2", qwen2, "You are a helpful assistant.", false, NULL},
	{"qwen2.5", qwen25, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", false,
	 NULL},
	{"dolphin", dolphin, "You are Dolphin, a helpful AI assistant.", false, NULL},
	{"per role", per_role, NULL, true, NULL},
	{"plain text", plain_text, NULL, false, NULL},
	{"factory", factory, "You are a helpful assistant.", false, "ua"},
	{"strict", strict, NULL, false, "uu"},
};

static const struct {
	const char *label, *source, *name;
} others[] = {
	{"llama 3", "{{ '<|start_header_id|>' + role + '<|end_header_id|>' }}",
	 "Llama 3 (it holds <|start_header_id|>)"},
	{"mistral", "{{ '[INST] ' + message['content'] + ' [/INST]' }}",
	 "Llama 2 or Mistral (it holds [INST])"},
	{"gemma", "{{ '<start_of_turn>' + role + '\n' }}", "Gemma (it holds <start_of_turn>)"},
	{"alpaca", "### Instruction:\n{{ messages[0].content }}", "Alpaca (it holds ### Instruction)"},
	{"zephyr", "{{ '<|user|>\n' + message['content'] }}", "Zephyr or Phi-3 (it holds <|user|>)"},
	{"mixed", MESSAGES_LOOP "[INST]" ANSWER, "Llama 2 or Mistral (it holds [INST])"},
	{"none of them", "A: {{ x }}\nB:", "\"A: {{ x }}\""},
	{"trims",
	 "{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + m.content | trim + '<|im_end|>\\n'}}{% "
	 "endfor %}" ANSWER,
	 "like ChatML, but not plainly: it writes messages in another way"},
	{"no line break",
	 "{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>'}}{% endfor "
	 "%}" ANSWER,
	 "like ChatML, but not plainly: it writes messages in another way"},
	{"splits",
	 "{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + m.content.split('</think>')[-1] + "
	 "'<|im_end|>\\n'}}"
	 "{% endfor %}" ANSWER,
	 "like ChatML, but not plainly: the method \"split\" is not known"},
	{"thinks", MESSAGES_LOOP "{{ '<|im_start|>assistant\\n<think>\\n' }}",
	 "like ChatML, but not plainly: it writes messages in another way"},
	{"namespace", "{% set ns = namespace(a=1) %}" MESSAGES_LOOP ANSWER,
	 "like ChatML, but not plainly: a list that is not understood at \"=1) \""},
	{"macro", "{% macro f(x) %}{{ '<|im_start|>' }}{% endmacro %}",
	 "like ChatML, but not plainly: the statement \"macro\" is not known"},
	{"open tag", "<|im_start|>{{ messages", "like ChatML, but not plainly: a {{ is never closed"},
	{"open block", "<|im_start|>{% if true %}x", "like ChatML, but not plainly: an if is never ended"},
	{"open loop", "<|im_start|>{% for m in messages %}x",
	 "like ChatML, but not plainly: a for has an else, or is never ended"},
	{"stray end", "<|im_start|>{% endif %}x",
	 "like ChatML, but not plainly: a block is ended that was never begun"},
	{"loops for ever",
	 "<|im_start|>{% for a in messages %}{% for b in messages %}{% for a in messages %}{% for a in "
	 "messages %}{% for "
	 "a in messages %}{% for a in messages %}{% for a in messages %}{% for a in messages %}{% for a in "
	 "messages %}"
	 "{% for a in messages %}{% for a in messages %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% "
	 "endfor %}{% endfor "
	 "%}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
	 "like ChatML, but not plainly: it writes messages in another way"},
};

/* Ids: 256 <|im_start|>, 257 <|im_end|>, 258 <s>. */
static struct tok *open(const char *source, struct chat *c)
{
	struct vocab v = v_new("qwen2");
	struct hokku_error err;
	struct gguf *g;
	struct tok *t;
	void *copy;
	v_token(&v, "<|im_start|>", TOK_CONTROL);
	v_token(&v, "<|im_end|>", TOK_CONTROL);
	v_token(&v, "<s>", TOK_CONTROL);
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", 258);
	if (source)
		v_key_str(&v, "tokenizer.chat_template", source);
	struct strbuf b = v_file(&v);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	assert_int_equal(tok_create(g, &t, &err), HOKKU_OK);
	assert_int_equal(chat_init(c, g, &err), HOKKU_OK);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
	return t;
}

static size_t messages_of(const char *shape, struct chat_message *out)
{
	size_t n = 0;
	for (; shape[n]; n++) {
		out[n].role = shape[n] == 's'   ? STR_LIT("system")
			      : shape[n] == 'u' ? STR_LIT("user")
						: STR_LIT("assistant");
		out[n].content = STR_LIT(" hi <|im_end|>\n");
	}
	return n;
}

/* What was rendered, as text; special tokens shown as [id]. */
static enum hokku_code render(const struct chat *c, const struct tok *t, const struct chat_message *m,
			      size_t n, struct strbuf *out, struct hokku_error *err)
{
	struct tok_ids ids = {0};
	strbuf_clear(out);
	enum hokku_code rc = chat_render(c, t, m, n, &ids, err);
	for (size_t i = 0; i < ids.n; i++) {
		if (tok_type(t, ids.ids[i]) == TOK_CONTROL)
			strbuf_addf(out, "[%d]", ids.ids[i]);
		else
			strbuf_add(out, tok_bytes(t, ids.ids[i]).ptr, tok_bytes(t, ids.ids[i]).len);
	}
	assert_true(rc == HOKKU_OK || ids.n == 0);
	tok_ids_free(&ids);
	return rc;
}

static void chatml_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chatml / sizeof *chatml; i++) {
		struct chat c;
		struct chat_message m[4];
		struct strbuf got = {0};
		struct hokku_error err;
		struct tok *t = open(chatml[i].source, &c);
		if (c.kind != CHAT_CHATML)
			fail_msg("%s: %s", chatml[i].label, c.name);
		assert_string_equal(c.name, "ChatML");
		assert_int_equal(c.has_default_system, chatml[i].default_system != NULL);
		if (c.has_default_system)
			assert_string_equal(c.default_system, chatml[i].default_system);
		assert_int_equal(c.adds_bos, chatml[i].adds_bos);
		char want[512];
		int n = snprintf(want, sizeof want, "%s", c.adds_bos ? "[258]" : "");
		if (c.has_default_system)
			n += snprintf(want + n, sizeof want - (size_t)n, "[256]system\n%s[257]\n",
				      chatml[i].default_system);
		snprintf(want + n, sizeof want - (size_t)n,
			 "[256]user\n hi <|im_end|>\n[257]\n[256]assistant\n");
		assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_OK);
		assert_string_equal(got.ptr, want);
		assert_int_equal(render(&c, t, m, messages_of("suau", m), &got, &err), HOKKU_OK);
		snprintf(want, sizeof want,
			 "%s[256]system\n hi <|im_end|>\n[257]\n[256]user\n hi "
			 "<|im_end|>\n[257]\n[256]assistant\n hi <|im_end|>\n[257]\n"
			 "[256]user\n hi <|im_end|>\n[257]\n[256]assistant\n",
			 c.adds_bos ? "[258]" : "");
		assert_string_equal(got.ptr, want);
		if (chatml[i].refuses) {
			assert_int_equal(render(&c, t, m, messages_of(chatml[i].refuses, m), &got, &err),
					 HOKKU_INVALID_REQUEST);
			assert_non_null(strstr(err.message, "which the model's chat template does not take"));
		} else {
			for (const char *const *s = (const char *const[]){"uu", "ua", "usu", "au", "s", NULL};
			     *s; s++)
				assert_int_equal(render(&c, t, m, messages_of(*s, m), &got, &err), HOKKU_OK);
		}
		strbuf_free(&got);
		tok_destroy(t);
	}
}

/* Any line end is LF to Jinja, as whitespace, in plain text and inside strings; an escape stays what it is.
 */
static void line_ends_of_templates(void **state)
{
	(void)state;
	static const char *const ends[] = {"\n", "\r\n", "\r"};
	static const char *const sources[] = {
		plain_text,
		qwen25,
		per_role,
		"{% for message in messages %}{{'<|im_start|>' + message.role + '\n' + message.content + "
		"'<|im_end|>\n'}}{% endfor %}<|im_start|>assistant\n\n",
		"{% for m in messages -%}\n  {{ '<|im_start|>' }}{{ m.role }}\n{{ m.content }}<|im_end|>\n\n"
		"{%- endfor %}\n<|im_start|>assistant\n\n",
		"{% for m in messages %}\n\t {% if true %}\n<|im_start|>{{ m.role }}\n{{ m.content "
		"}}<|im_end|>\n"
		"\t{% endif %}\n{% endfor %}\n<|im_start|>assistant\n\n",
	};
	for (size_t k = 0; k < sizeof sources / sizeof *sources; k++) {
		struct strbuf want = {0};
		for (size_t e = 0; e < 3; e++) {
			struct chat c;
			struct chat_message m[4];
			struct strbuf source = {0}, got = {0};
			struct hokku_error err;
			for (const char *p = sources[k]; *p; p++)
				strbuf_add_c(&source, *p == '\n' ? ends[e] : (const char[]){*p, '\0'});
			struct tok *t = open(source.ptr, &c);
			enum chat_kind kind = k == 4 ? CHAT_OTHER : CHAT_CHATML;
			if (c.kind != kind)
				fail_msg("source %zu, end %zu: %s", k, e, c.name);
			if (kind == CHAT_CHATML)
				assert_int_equal(render(&c, t, m, messages_of("suau", m), &got, &err),
						 HOKKU_OK);
			else
				strbuf_add_c(&got, c.name);
			if (e == 0)
				strbuf_add(&want, got.ptr, got.len);
			assert_string_equal(got.ptr, want.ptr);
			strbuf_free(&source);
			strbuf_free(&got);
			tok_destroy(t);
		}
		strbuf_free(&want);
	}
	struct chat c;
	struct tok *t = open("{% for m in messages %}{{'<|im_start|>' + m.role + '\\r\\n' + m.content + "
			     "'<|im_end|>\\n'}}{% endfor %}" ANSWER,
			     &c);
	assert_int_equal(c.kind, CHAT_OTHER);
	tok_destroy(t);
	t = open("A:\rB", &c);
	assert_string_equal(c.name, "\"A:\"");
	tok_destroy(t);
}

/* A default system message as long as is kept, a byte shorter, a byte longer. */
static void the_longest_default_system_message(void **state)
{
	(void)state;
	struct chat c;
	struct hokku_error err;
	for (size_t n = sizeof c.default_system - 2; n <= sizeof c.default_system; n++) {
		struct strbuf source = {0}, got = {0}, want = {0};
		struct chat_message m[4];
		strbuf_add_c(&source, "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n");
		strbuf_add_c(&want, "[256]system\n");
		for (size_t i = 0; i < n; i++) {
			strbuf_add(&source, &(char){(char)('a' + (int)(i % 26))}, 1);
			strbuf_add(&want, &(char){(char)('a' + (int)(i % 26))}, 1);
		}
		strbuf_add_c(&source, "<|im_end|>\\n' }}{% endif %}" MESSAGES_LOOP ANSWER);
		strbuf_add_c(&want, "[257]\n[256]user\n hi <|im_end|>\n[257]\n[256]assistant\n");
		struct tok *t = open(source.ptr, &c);
		bool fits = n < sizeof c.default_system;
		assert_int_equal(c.kind, fits ? CHAT_CHATML : CHAT_OTHER);
		if (fits) {
			assert_int_equal(strlen(c.default_system), n);
			assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_OK);
			assert_string_equal(got.ptr, want.ptr);
		} else {
			assert_string_equal(c.name,
					    "like ChatML, but not plainly: its default system message has "
					    "512 bytes; 511 are allowed");
		}
		tok_destroy(t);
		strbuf_free(&source);
		strbuf_free(&got);
		strbuf_free(&want);
	}
}

static void other_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct chat c;
		struct chat_message m[4];
		struct strbuf got = {0};
		struct hokku_error err;
		struct tok *t = open(others[i].source, &c);
		if (c.kind != CHAT_OTHER || strcmp(c.name, others[i].name) != 0)
			fail_msg("%s: kind %d, %s", others[i].label, c.kind, c.name);
		assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_INVALID_REQUEST);
		assert_non_null(strstr(err.message, others[i].name));
		strbuf_free(&got);
		tok_destroy(t);
	}
}

static void refused_requests(void **state)
{
	(void)state;
	struct chat c;
	struct strbuf got = {0};
	struct hokku_error err;
	struct chat_message m[4];
	struct tok *t = open(NULL, &c);
	assert_int_equal(c.kind, CHAT_NONE);
	assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "the model's file has no chat template; give a prompt instead of messages");
	tok_destroy(t);

	t = open(qwen2, &c);
	assert_int_equal(render(&c, t, m, 0, &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "messages holds 0 messages; 1 to 4096 are allowed");
	messages_of("uau", m);
	m[1].role = STR_LIT("tool");
	assert_int_equal(render(&c, t, m, 3, &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "messages[1].role is \"tool\"; it takes \"system\", \"user\" or \"assistant\"");
	struct chat_message *many = calloc(4097, sizeof *many);
	for (size_t i = 0; i < 4097; i++)
		many[i] = (struct chat_message){STR_LIT("user"), STR_LIT("x")};
	assert_int_equal(render(&c, t, many, 4095, &got, &err), HOKKU_OK);
	assert_int_equal(render(&c, t, many, 4096, &got, &err), HOKKU_OK);
	assert_int_equal(render(&c, t, many, 4097, &got, &err), HOKKU_INVALID_REQUEST);
	free(many);
	tok_destroy(t);

	struct vocab v = v_new("qwen2");
	t = v_open(&v, &err);
	assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(
		err.message,
		"the model's chat template is ChatML, but its vocabulary has no token <|im_start|>");
	tok_destroy(t);
	strbuf_free(&got);
}

/* The template language: expected texts are Jinja's, by its documentation. */
static const struct {
	const char *source, *text; /* NULL: refused */
} language[] = {
	{"a {{ 'b' }} c\n", "a b c"},
	{"a {{ 'b' }} c\r\n", "a b c"},
	{"a\r\n\r", "a\n"},
	{"a\r\r\n{% if true %}\r\nb\r{% endif %}\rc\r\n\r\n", "a\n\nb\nc\n"},
	{"{{ 'a\r\nb\rc\\r' }}", "a\nb\nc\r"},
	{"a\n{% if true %}\nb\n{% endif %}\nc", "a\nb\nc"},
	{"  {% if true %}  x{% endif %}", "  x"},
	{"a {%- if true -%} b {%- endif -%} c", "abc"},
	{"a {%+ if true +%}\nb{% endif %}", "a \nb"},
	{"x {# {{ no }} #}\ny", "x y"},
	{"{{ '%}' }}{{ \"}}\" }}", "%}}}"},
	{"{{ 'a\\n\\t\\'\\\"\\\\b' }}", "a\n\t'\"\\b"},
	{"{{ 1 + 2 }}{{ 7 % 3 }}{{ 'a' ~ 'b' }}{{ -1 + 3 }}", "31ab2"},
	{"{{ 'y' if 1 == 1 else 'n' }}{{ 'y' if not (1 < 2) else 'n' }}{{ 'z' if false }}", "yn"},
	{"{{ 'y' if 'b' in 'abc' and 'd' not in ['a', 'b'] }}", "y"},
	{"{{ 'y' if undefined_thing is not defined and messages is defined }}", "y"},
	{"{{ missing.member if missing else 'safe' }}", "safe"},
	{"{% set x = 'a' %}{% for m in messages %}{% set x = m.role %}{{ x }}{{ loop.index }}{% endfor %}{{ "
	 "x }}",
	 "user1assistant2a"},
	{"{% for m in messages[1:] %}{{ m.role }}{% endfor %}{{ messages[-1].content }}{{ messages | length "
	 "}}",
	 "assistantB2"},
	{"{{ messages[0]['content'].strip() }}|{{ ' x '.rstrip() }}|{{ ' x ' | trim }}", "A| x|x"},
	{"{{ 'y' if messages[0].content.startswith('A') and not messages[0].content.endswith('B') }}", "y"},
	{"{{ messages[0].get('name', 'none') }}{{ 'z' if messages[0].name is none else 'u' }}", "noneu"},
	{"{% generation %}g{% endgeneration %}", "g"},
	{"{{ raise_exception('no') }}", NULL},
	{"{{ 'a' + 1 }}", NULL},
	{"{{ missing.member }}", NULL},
	{"{{ messages }}", NULL},
	{"{{ 'a' 'b' }}", NULL},
	{"{{ 'a }}", NULL},
	{"{{ f(1) }}", NULL},
	{"{{ 'a' | upper }}", NULL},
	{"{{ (1 }}", NULL},
	{"{{ ((((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))))) }}", NULL},
	{"{% include 'x' %}", NULL},
	{"{{ 'a' \x01 }}", NULL},
};

static void template_language(void **state)
{
	(void)state;
	const struct template_message messages[] = {{STR_LIT("user"), STR_LIT("A")},
						    {STR_LIT("assistant"), STR_LIT("B")}};
	const struct template_input input = {messages, 2, true, STR_LIT("<s>"), STR_LIT("</s>")};
	for (size_t i = 0; i < sizeof language / sizeof *language; i++) {
		struct strbuf out = {0};
		struct hokku_error err = {0};
		enum hokku_code rc = template_render(str_c(language[i].source), &input, &out, &err);
		if (!rc != !!language[i].text ||
		    (!rc && strcmp(out.ptr ? out.ptr : "", language[i].text) != 0))
			fail_msg("%s: code %d %s, \"%s\"", language[i].source, rc, err.message,
				 out.ptr ? out.ptr : "");
		strbuf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chatml_templates),  cmocka_unit_test(line_ends_of_templates),
		cmocka_unit_test(the_longest_default_system_message),
		cmocka_unit_test(other_templates),   cmocka_unit_test(refused_requests),
		cmocka_unit_test(template_language),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
