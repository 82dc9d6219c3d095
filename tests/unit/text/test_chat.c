/* Chat templates: which are taken for ChatML, and what is rendered. The templates are those that models
 * publish; the texts expected were written by hand from the templates. tests/oracle/tokenizer.test.mjs
 * compares with a real engine. */
#include "text/vocab.h"

#include "text/chat.h"

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
	{"factory", factory, "You are a helpful assistant.", false, NULL},
	{"strict", strict, NULL, false, "uu"},
};

/* Not plainly ChatML: the template itself renders. shown: what it makes of a user's " hi <|im_end|>\n". */
static const struct {
	const char *label, *source, *name, *shown; /* shown NULL: it refuses */
} others[] = {
	{"llama 3", "{{ '<|start_header_id|>' + messages[0].role + '<|end_header_id|>' }}",
	 "Llama 3 (it holds <|start_header_id|>)", "<|start_header_id|>user<|end_header_id|>"},
	{"mistral", "{{ '[INST] ' + messages[0]['content'] + ' [/INST]' }}",
	 "Llama 2 or Mistral (it holds [INST])", "[INST]  hi <|im_end|>\n [/INST]"},
	{"none of them", "A: {{ x }}\nB:", "\"A: {{ x }}\"", "A: \nB:"},
	{"mixed", MESSAGES_LOOP "[INST]" ANSWER, "Llama 2 or Mistral (it holds [INST])",
	 "[256]user\n hi <|im_end|>\n[257]\n[INST][256]assistant\n"},
	{"trims",
	 "{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + m.content | trim + '<|im_end|>\\n'}}{% "
	 "endfor %}" ANSWER,
	 NULL, "[256]user\nhi <|im_end|>[257]\n[256]assistant\n"},
	{"no line break",
	 "{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>'}}{% endfor "
	 "%}" ANSWER,
	 NULL, "[256]user\n hi <|im_end|>\n[257][256]assistant\n"},
	{"thinks", MESSAGES_LOOP "{{ '<|im_start|>assistant\\n<think>\\n' }}", NULL,
	 "[256]user\n hi <|im_end|>\n[257]\n[256]assistant\n<think>\n"},
	{"both specials", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}", NULL,
	 "[258] hi <|im_end|>\n"},
	{"refuses", "{{ raise_exception('Only system prompts') }}", NULL, NULL},
	{"fails", "{{ messages[0].content + 1 }}", NULL, NULL},
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
	assert_int_equal(chat_init(c, g, (struct str){NULL, 0}, &err), HOKKU_OK);
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
		out[n].json = NULL;
	}
	return n;
}

static void show(const struct tok *t, const struct tok_ids *ids, struct strbuf *out)
{
	for (size_t i = 0; i < ids->n; i++) {
		if (tok_type(t, ids->ids[i]) == TOK_CONTROL)
			strbuf_addf(out, "[%d]", ids->ids[i]);
		else
			strbuf_add(out, tok_bytes(t, ids->ids[i]).ptr, tok_bytes(t, ids->ids[i]).len);
	}
}

/* What was rendered, as text; special tokens shown as [id]. */
static enum hokku_code render(const struct chat *c, const struct tok *t, const struct chat_message *m,
			      size_t n, struct strbuf *out, struct hokku_error *err)
{
	struct tok_ids ids = {0};
	strbuf_clear(out);
	enum hokku_code rc =
		chat_render(c, t, &(struct chat_input){.messages = m, .n_messages = n}, &ids, NULL, err);
	show(t, &ids, out);
	assert_true(rc == HOKKU_OK || ids.n == 0);
	tok_ids_free(&ids);
	return rc;
}

/* ChatML's rule gives the very tokens that running the template gives, which template arguments ask for. */
static void as_the_template_has_it(const struct chat *c, const struct tok *t, const struct chat_message *m,
				   size_t n, const char *shown)
{
	struct jv_doc none;
	struct tok_ids ids = {0};
	struct strbuf got = {0};
	struct hokku_error err;
	assert_int_equal(jv_parse(STR_LIT("{}"), JV_STRICT, &none, &err), HOKKU_OK);
	const struct chat_input in = {.messages = m, .n_messages = n, .kwargs = {&none.root}};
	assert_int_equal(chat_render(c, t, &in, &ids, NULL, &err), HOKKU_OK);
	show(t, &ids, &got);
	assert_string_equal(got.ptr, shown);
	strbuf_free(&got);
	tok_ids_free(&ids);
	jv_doc_free(&none);
}

static void chatml_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chatml / sizeof *chatml; i++) {
		struct chat c;
		struct chat_message m[8];
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
		for (const char *const *s = (const char *const[]){"u", "uu", "ua", "usu", "au", "s", "suauau",
								  "uaau", "sau", NULL};
		     *s; s++) {
			size_t n_messages = messages_of(*s, m);
			enum hokku_code rc = render(&c, t, m, n_messages, &got, &err);
			bool is_refused =
				chatml[i].refuses && (strcmp(*s, "uu") == 0 || strcmp(*s, "uaau") == 0);
			assert_int_equal(rc, is_refused ? HOKKU_INVALID_REQUEST : HOKKU_OK);
			if (is_refused)
				assert_string_equal(
					err.message + 11,
					": the model's chat template refuses it: Roles must alternate");
			else
				as_the_template_has_it(&c, t, m, n_messages, got.ptr);
		}
		strbuf_free(&got);
		chat_deinit(&c);
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
			struct chat_message m[8];
			struct strbuf source = {0}, got = {0};
			struct hokku_error err;
			for (const char *p = sources[k]; *p; p++)
				strbuf_add_c(&source, *p == '\n' ? ends[e] : (const char[]){*p, '\0'});
			struct tok *t = open(source.ptr, &c);
			enum chat_kind kind = k == 4 ? CHAT_JINJA : CHAT_CHATML;
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
			chat_deinit(&c);
			tok_destroy(t);
		}
		strbuf_free(&want);
	}
	struct chat c;
	struct tok *t = open("{% for m in messages %}{{'<|im_start|>' + m.role + '\\r\\n' + m.content + "
			     "'<|im_end|>\\n'}}{% endfor %}" ANSWER,
			     &c);
	assert_int_equal(c.kind, CHAT_JINJA);
	chat_deinit(&c);
	tok_destroy(t);
	t = open("A:\rB", &c);
	assert_string_equal(c.name, "\"A:\"");
	chat_deinit(&c);
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
		struct chat_message m[8];
		strbuf_add_c(&source, "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\n");
		strbuf_add_c(&want, "[256]system\n");
		for (size_t i = 0; i < n; i++) {
			strbuf_add(&source, &(char){(char)('a' + (int)(i % 26))}, 1);
			strbuf_add(&want, &(char){(char)('a' + (int)(i % 26))}, 1);
		}
		strbuf_add_c(&source, "<|im_end|>\\n' }}{% endif %}" MESSAGES_LOOP ANSWER);
		strbuf_add_c(&want, "[257]\n[256]user\n hi <|im_end|>\n[257]\n[256]assistant\n");
		struct tok *t = open(source.ptr, &c);
		bool fits = n < sizeof c.default_system; /* else the template renders, to the same */
		assert_int_equal(c.kind, fits ? CHAT_CHATML : CHAT_JINJA);
		if (fits)
			assert_int_equal(strlen(c.default_system), n);
		assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_OK);
		assert_string_equal(got.ptr, want.ptr);
		chat_deinit(&c);
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
		struct chat_message m[8];
		struct strbuf got = {0};
		struct hokku_error err = {0};
		struct tok *t = open(others[i].source, &c);
		if (c.kind != CHAT_JINJA || (others[i].name && strcmp(c.name, others[i].name) != 0))
			fail_msg("%s: kind %d, %s", others[i].label, c.kind, c.name);
		enum hokku_code rc = render(&c, t, m, messages_of("u", m), &got, &err);
		assert_int_equal(rc, others[i].shown ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		if (others[i].shown && strcmp(got.ptr, others[i].shown) != 0)
			fail_msg("%s: %s", others[i].label, got.ptr);
		strbuf_free(&got);
		chat_deinit(&c);
		tok_destroy(t);
	}
}

/* What a file's template may be and cannot be used. */
static void broken_templates(void **state)
{
	(void)state;
	static const struct {
		const char *source, *why;
	} rows[] = {
		{"<|im_start|>{{ messages", "line 1: a {{ is never closed"},
		{"a\n{% if true %}x", "line 2: an if is never ended with endif"},
		{"{% include 'x' %}",
		 "line 1: the statement \"include\" is refused: a chat template stands alone"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct chat c;
		struct chat_message m[8];
		struct strbuf got = {0};
		struct hokku_error err;
		char want[300];
		struct tok *t = open(rows[i].source, &c);
		assert_int_equal(c.kind, CHAT_BROKEN);
		assert_string_equal(c.name, rows[i].why);
		assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_INVALID_REQUEST);
		snprintf(
			want, sizeof want,
			"the model's chat template cannot be used (%s); --chat-template puts another in its place",
			rows[i].why);
		assert_string_equal(err.message, want);
		strbuf_free(&got);
		chat_deinit(&c);
		tok_destroy(t);
	}
}

static void refused_requests(void **state)
{
	(void)state;
	struct chat c;
	struct strbuf got = {0};
	struct hokku_error err;
	struct chat_message m[8];
	struct tok *t = open(NULL, &c);
	assert_int_equal(c.kind, CHAT_NONE);
	assert_int_equal(render(&c, t, m, messages_of("u", m), &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "the model's file has no chat template; give a prompt instead of messages, or "
			    "name a template with --chat-template");
	chat_deinit(&c);
	tok_destroy(t);

	t = open(qwen2, &c);
	assert_int_equal(render(&c, t, m, 0, &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "messages holds 0 messages; 1 to 4096 are allowed");
	messages_of("uau", m);
	m[1].role = STR_LIT("<|im_end|>");
	assert_int_equal(render(&c, t, m, 3, &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "messages[1].role is \"<|im_end|>\"; it takes \"system\", \"developer\", "
			    "\"user\", \"assistant\", \"tool\" or \"function\"");
	m[1].role = STR_LIT("tool");
	assert_int_equal(render(&c, t, m, 2, &got, &err), HOKKU_OK);
	assert_string_equal(
		got.ptr, "[256]system\nYou are a helpful assistant.[257]\n[256]user\n hi <|im_end|>\n[257]\n"
			 "[256]tool\n hi <|im_end|>\n[257]\n[256]assistant\n");
	struct chat_message *many = calloc(4097, sizeof *many);
	for (size_t i = 0; i < 4097; i++)
		many[i] = (struct chat_message){.role = STR_LIT("user"), .content = STR_LIT("x")};
	assert_int_equal(render(&c, t, many, 4095, &got, &err), HOKKU_OK);
	assert_int_equal(render(&c, t, many, 4096, &got, &err), HOKKU_OK);
	assert_int_equal(render(&c, t, many, 4097, &got, &err), HOKKU_INVALID_REQUEST);
	free(many);

	struct vocab v = v_new("qwen2");
	struct tok *other = v_open(&v, &err);
	assert_int_equal(render(&c, other, m, messages_of("u", m), &got, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(
		err.message,
		"the model's chat template is ChatML, but its vocabulary has no token <|im_start|>");
	tok_destroy(other);
	chat_deinit(&c);
	tok_destroy(t);
	strbuf_free(&got);
}

/* ---- messages as JSON, tools, arguments, dates ---- */

/* Renders the messages of a JSON array; tools and kwargs may be NULL. */
static enum hokku_code render_json(const char *source, const char *messages, const char *tools,
				   const char *kwargs, const char *date, struct strbuf *out,
				   struct chat_told *told, struct hokku_error *err)
{
	struct chat c;
	struct chat_message m[8];
	struct jv_doc doc, tools_doc = {0}, kwargs_doc = {0};
	struct jinja_time now;
	struct tok_ids ids = {0};
	char field[64];
	struct tok *t = open(source, &c);
	assert_int_equal(jv_parse(str_c(messages), JV_STRICT, &doc, err), HOKKU_OK);
	struct chat_input in = {.messages = m, .n_messages = jv_len(&doc.root)};
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; !rc && i < in.n_messages; i++)
		rc = chat_message_read(jv_at(&doc.root, i), i, &m[i], field, err);
	if (tools && !jv_parse(str_c(tools), JV_STRICT, &tools_doc, err))
		in.tools = &tools_doc.root;
	if (kwargs && !jv_parse(str_c(kwargs), JV_STRICT, &kwargs_doc, err))
		in.kwargs[1] = &kwargs_doc.root;
	if (date && jinja_time_parse(str_c(date), &now))
		in.now = &now;
	strbuf_clear(out);
	if (!rc)
		rc = chat_render(&c, t, &in, &ids, told, err);
	show(t, &ids, out);
	if (!out->ptr)
		strbuf_add_c(out, "");
	tok_ids_free(&ids);
	jv_doc_free(&doc);
	jv_doc_free(&tools_doc);
	jv_doc_free(&kwargs_doc);
	chat_deinit(&c);
	tok_destroy(t);
	return rc;
}

static const struct {
	const char *label, *source, *messages, *tools, *kwargs, *shown; /* shown: or the error */
} conversations[] =
	{
		{"extras are the template's",
		 "{% for m in messages %}{{ m.name }}={{ m.content }}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\",\"name\":\"<s>\"}]", NULL, NULL, "<s>=x"},
		{"parts joined", "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"<s>\"}]}]",
		 NULL, NULL, "[a\n<s>]"},
		{"parts as they are",
		 "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}({{ p.text "
		 "}}){% endfor %}{% endif %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":"
		 "\"assistant\",\"content\":\"c\"}]",
		 NULL, NULL, "(a)(b)c"},
		{"a string for parts",
		 "{% for m in messages %}{% for p in m.content %}({{ p.text }}){% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"a\"}]", NULL, NULL, "(a)"},
		{"a list printed is not understood", "{% for m in messages %}{{ m.content }}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]", NULL, NULL, "a"},
		{"arguments as objects",
		 "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments|tojson }}{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":  [1, \\\"<s>\\\"]}\"}}]}]",
		 NULL, NULL, "{\"b\": [1, \"<s>\"]}"},
		{"arguments as text",
		 "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ '' + c.function.arguments }}{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":{\"b\":1}}}]}]",
		 NULL, NULL, "{\"b\": 1}"},
		{"null is no text",
		 "{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}{{ "
		 "c.function.arguments|tojson }}{% endfor %};{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":{\"b\":1}}}]}]",
		 NULL, NULL, "user:x;assistant:{\"b\": 1};"},
		{"null that the template asks for",
		 "{% for m in messages %}{{ '-' if m.content is none else m.content }}{% for c in "
		 "m.tool_calls or [] %}{{ c.function.arguments|tojson }}{% endfor %};{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":{\"b\":1}}}]}]",
		 NULL, NULL, "x;-{\"b\": 1};"},
		{"arguments in both forms",
		 "{% for m in messages %}{% for c in m.tool_calls or [] %}{% set a = c.function.arguments %}{{ a if a is string "
		 "else a|tojson }};{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":1}\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\","
		 "\"arguments\":{\"b\":1}}}]}]",
		 NULL, NULL, "{\"b\": 1};{\"b\": 1};"},
		{"arguments in both forms that are no object",
		 "{% for m in messages %}{% for c in m.tool_calls or [] %}{% set a = c.function.arguments %}{{ a if a is string "
		 "else a|tojson }};{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":\"[1,2]\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\","
		 "\"arguments\":\"so\"}}]}]",
		 NULL, NULL, "[1,2];so;"},
		{"a call without arguments, as text",
		 "{% for m in messages %}{% for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() %}{{ k }}={{ "
		 "v }}{% endfor %};{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\","
		 "\"arguments\":\" \\n\"}}]}]",
		 NULL, NULL, ";;"},
		{"arguments that were cut, where the template takes objects",
		 "{% for m in messages %}{% for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() %}{{ k }}={{ "
		 "v }}{% endfor %};{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\","
		 "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":1}\"}},{\"type\":\"function\",\"function\":{\"name\":\"f\","
		 "\"arguments\":\"{\\\"b\\\": 1\"}}]}]",
		 NULL, NULL,
		 "messages[1]: tool_calls[1].function.arguments is the string \"{\\\"b\\\": 1\", which holds no JSON object; the model's "
		 "chat template takes nothing else"},
		{"tools without what the template asks for",
		 "{% for t in tools %}{{ t.function.name + '//' + t.function.description }}{% for k, v in "
		 "t.function.parameters.properties.items() %},{{ k + ':' + v.description }}{% endfor %};{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]",
		 "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"description\":"
		 "{\"type\":\"string\"},\"b\":{\"description\":\"B\"}}}}},{\"type\":\"function\",\"function\":{\"name\":\"g\","
		 "\"description\":\"G\"}},{\"type\":\"function\",\"function\":{\"name\":\"h\",\"description\":null,\"parameters\":null}}]",
		 NULL, "f//,description:,b:B;g//G;h//;"},
		{"the same of tools that are functions themselves",
		 "{% for t in tools %}{{ t.name + t.description }}{{ t.parameters.type }};{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"name\":\"f\"}]", NULL, "fobject;"},
		{"parameters that say nothing",
		 "{% for t in tools %}{{ t.function.parameters.type }}{% for k, v in t.function.parameters.properties.items() %}{{ k "
		 "}}{% endfor %};{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]",
		 "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}},{\"type\":\"function\",\"function\":{"
		 "\"name\":\"g\",\"parameters\":{\"properties\":{\"a\":{}}}}}]",
		 NULL, "object;objecta;"},
		{"tools as they are where that will do", "{{ tools|tojson }}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]",
		 "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", NULL,
		 "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]"},
		{"what is not there all the same",
		 "{% for t in tools %}{{ t.function.description + t.function.strange }}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]",
		 "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]", NULL,
		 "messages: the model's chat template cannot render them: line 1: a dict has no member \"description\""},
		{"tools", "{{ tools|tojson }}{{ documents is none }}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"name\":\"<s>\"}]", NULL,
		 "[{\"name\": \"<s>\"}]True"},
		{"no tools are none", "{{ tools is none }}{{ tools is defined }}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]", NULL, NULL, "TrueTrue"},
		{"where none fails, nothing", "{% for t in tools %}{{ t }}{% endfor %}ok",
		 "[{\"role\":\"user\",\"content\":\"x\"}]", NULL, NULL, "ok"},
		{"arguments of the template", "{{ enable_thinking }}{{ x }}{{ add_generation_prompt }}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]", NULL,
		 "{\"enable_thinking\":false,\"x\":\"<s>\",\"add_generation_prompt\":false}",
		 "False<s>False"},
		{"roles may be tokens",
		 "<|im_{{ 'start' if messages[0].role == 'user' }}|>{{ '<|im_' ~ messages[0].name ~ '|>' }}",
		 "[{\"role\":\"user\",\"content\":\"x\",\"name\":\"end\"}]", NULL, NULL, "[256]<|im_end|>"},
		{"a refusal is the turn's text", "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no <s>\"}]", NULL, NULL,
		 "[no <s>]"},
		{"a refusal without a content", "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"refusal\":\"no\"}]", NULL, NULL, "[no]"},
		{"a refusal in place of an empty content",
		 "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":\"\",\"refusal\":\"no\"}]", NULL, NULL, "[no]"},
		{"a refusal behind a content", "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":\"yes\",\"refusal\":\"no\"}]", NULL, NULL,
		 "[yes\nno]"},
		{"a refusal that is none", "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":\"yes\",\"refusal\":null}]", NULL, NULL, "[yes]"},
		{"a refusal as a part", "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]", NULL,
		 NULL, "[no]"},
		{"a refusal as a part beside text",
		 "{% for m in messages %}[{{ m.content + '' }}]{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"refusal\",\"refusal\":\"no\"}]}]",
		 NULL, NULL, "[a\nno]"},
		{"a refusal where lists alone are understood",
		 "{% for m in messages %}{% for p in m.content %}({{ p.type }}:{{ p.text }}){% endfor %}{{ m.refusal is defined }}{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"}]", NULL, NULL,
		 "(text:no)False"},
		{"a part of refusal where lists alone are understood",
		 "{% for m in messages %}{% for p in m.content %}({{ p.type }}:{{ p.text }}){% endfor %}{{ m.refusal is defined }}{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}],\"refusal\":\"never\"}]",
		 NULL, NULL, "(text:no)(text:never)False"},
		{"a refusal where both are understood",
		 "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}({{ p.text }}){% endfor %}{% endif %}{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"}]", NULL, NULL, "no"},
		{"a part of refusal where both are understood",
		 "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}({{ p.text }}){% endfor %}{% endif %}{% endfor %}",
		 "[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]", NULL,
		 NULL, "(no)"},
		{"a refusal that is no text", "x",
		 "[{\"role\":\"assistant\",\"content\":null,\"refusal\":5}]", NULL, NULL,
		 "messages[0].refusal is 5; it takes a string"},
		{"an empty refusal", "x", "[{\"role\":\"assistant\",\"content\":null,\"refusal\":\"\"}]",
		 NULL, NULL, "messages[0].content is null; it takes a string or an array of text parts"},
		{"a part of refusal without one", "x",
		 "[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"text\":\"no\"}]}]", NULL,
		 NULL, "messages[0].content[0].refusal is absent; it takes a string"},
		{"a part of another kind of the assistant's", "x",
		 "[{\"role\":\"assistant\",\"content\":[{\"type\":\"image_url\"}]}]", NULL, NULL,
		 "messages[0].content[0].type is \"image_url\"; it takes \"text\" or \"refusal\", the kinds of part there are here"},
		{"a refusal of somebody else's is the template's",
		 "{% for m in messages %}{{ m.content }}{{ m.refusal }}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\",\"refusal\":\"y\"}]", NULL, NULL, "xy"},
		{"a part of refusal of somebody else's", "x",
		 "[{\"role\":\"user\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]", NULL, NULL,
		 "messages[0].content[0].type is \"refusal\"; it takes \"text\", the one kind of part there is here"},
		{"types that are none of a template's, letter by letter for ever",
		 "{% macro t(s) %}{% if {'string': 'str'}[s.type] is defined %}{{ {'string': 'str'}[s.type] }}{% elif s.type is iterable %}Union[{% for x in s.type %}{{ t({'type': x}) }}{% if not loop.last %},{% endif %}{% endfor %}]{% else %}Any{% endif %}{% endmacro %}{% for f in tools %}{% for n, p in f.function.parameters.properties|items %}{{ n }}:{{ t(p) }};{% endfor %}{{ f|tojson }}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": [\"string\", \"null\"], \"description\": \"x\"}, \"b\": {\"type\": \"null\", \"description\": \"\", \"default\": {\"type\": \"null\"}}, \"type\": {\"type\": [\"string\", \"null\"], \"description\": \"\", \"items\": {\"anyOf\": [{\"type\": \"null\"}, {\"enum\": [\"null\"]}]}}}}}}]", NULL, "a:Union[str,Any];b:Any;type:Union[str,Any];{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": [\"string\", null], \"description\": \"x\"}, \"b\": {\"type\": null, \"description\": \"\", \"default\": {\"type\": \"null\"}}, \"type\": {\"type\": [\"string\", null], \"description\": \"\", \"items\": {\"anyOf\": [{\"type\": null}, {\"enum\": [\"null\"]}]}}}}}}"},
		{"types that a template knows are as they came",
		 "{% macro t(s) %}{% if {'string': 'str'}[s.type] is defined %}{{ {'string': 'str'}[s.type] }}{% elif s.type is iterable %}Union[{% for x in s.type %}{{ t({'type': x}) }}{% if not loop.last %},{% endif %}{% endfor %}]{% else %}Any{% endif %}{% endmacro %}{% for f in tools %}{% for n, p in f.function.parameters.properties|items %}{{ n }}:{{ t(p) }};{% endfor %}{{ f|tojson }}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]",
		 "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": [\"string\", \"string\"], \"description\": \"x\"}}}}}]",
		 NULL,
		 "a:Union[str,str];{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": [\"string\", \"string\"], \"description\": \"x\"}}}}}"},
		{"a type of null that a template renders is as it came", "{{ tools|tojson }}", "[{\"role\":\"user\",\"content\":\"x\"}]", "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": [\"string\", \"null\"], \"description\": \"x\"}, \"b\": {\"type\": \"null\", \"description\": \"\", \"default\": {\"type\": \"null\"}}, \"type\": {\"type\": [\"string\", \"null\"], \"description\": \"\", \"items\": {\"anyOf\": [{\"type\": \"null\"}, {\"enum\": [\"null\"]}]}}}}}}]", NULL,
		 "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": [\"string\", \"null\"], \"description\": \"x\"}, \"b\": {\"type\": \"null\", \"description\": \"\", \"default\": {\"type\": \"null\"}}, \"type\": {\"type\": [\"string\", \"null\"], \"description\": \"\", \"items\": {\"anyOf\": [{\"type\": \"null\"}, {\"enum\": [\"null\"]}]}}}}}}]"},
		{"what objects hold beside their properties",
		 "{% macro t(s) %}{% if s.type == 'object' %}{{ t(s.additionalProperties) }}{% else %}{{ s.type or 'any' }}{% endif %}{% endmacro %}{% for f in tools %}{% for n, p in f.function.parameters.properties|items %}{{ n }}:{{ t(p) }};{% endfor %}{% endfor %}",
		 "[{\"role\":\"user\",\"content\":\"x\"}]",
		 "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"object\", \"description\": \"\"}, \"b\": {\"type\": \"object\", \"additionalProperties\": {\"type\": \"object\"}}, \"c\": {\"type\": \"string\"}}}}}]",
		 NULL, "a:any;b:any;c:string;"},
		{"a part of another kind", "x",
		 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\"}]}]",
		 NULL, NULL,
		 "messages[0].content[1].type is \"image_url\"; it takes \"text\", the one kind of part there is here"},
		{"a part without text", "x", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", NULL,
		 NULL, "messages[0].content[0].text is absent; it takes a string"},
		{"no parts", "x", "[{\"role\":\"user\",\"content\":[]}]", NULL, NULL,
		 "messages[0].content is an empty array; it takes at least one text part"},
		{"no content", "x", "[{\"role\":\"user\",\"content\":null}]", NULL, NULL,
		 "messages[0].content is null; it takes a string or an array of text parts"},
		{"no role", "x", "[{\"content\":\"x\"}]", NULL, NULL,
		 "messages[0].role is missing; it takes \"system\", \"developer\", \"user\", \"assistant\", \"tool\" or "
		 "\"function\""},
		{"no message", "x", "[5]", NULL, NULL,
		 "messages[0] is 5; it takes an object with role and content"},
};

static void conversations_as_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof conversations / sizeof *conversations; i++) {
		struct strbuf got = {0};
		struct hokku_error err = {0};
		enum hokku_code rc =
			render_json(conversations[i].source, conversations[i].messages,
				    conversations[i].tools, conversations[i].kwargs, NULL, &got, NULL, &err);
		const char *is = rc ? err.message : got.ptr;
		if (strcmp(is, conversations[i].shown) != 0)
			fail_msg("%s: %s", conversations[i].label, is);
		strbuf_free(&got);
	}
}

static void dates_are_told(void **state)
{
	(void)state;
	static const char one[] = "[{\"role\":\"user\",\"content\":\"x\"}]";
	struct strbuf got = {0};
	struct hokku_error err;
	struct chat_told told;
	char date[20];
	assert_int_equal(render_json("{{ strftime_now('%d %b %Y') }}", one, NULL, NULL, "2024-02-29T01:02:03",
				     &got, &told, &err),
			 HOKKU_OK);
	assert_string_equal(got.ptr, "29 Feb 2024");
	assert_true(told.used_time);
	assert_string_equal(jinja_time_text(&told.time, date), "2024-02-29T01:02:03");
	assert_int_equal(render_json("x", one, NULL, NULL, "2024-02-29", &got, &told, &err), HOKKU_OK);
	assert_false(told.used_time);
	strbuf_free(&got);
}

static void template_arguments(void **state)
{
	(void)state;
	static const struct {
		const char *json, *message; /* NULL: taken */
	} rows[] = {
		{"{}", NULL},
		{"{\"enable_thinking\": false, \"add_generation_prompt\": true, \"documents\": []}", NULL},
		{"[]", "is []; it takes an object of template arguments"},
		{"{\"messages\": []}", "holds \"messages\", which has a field of its own"},
		{"{\"tools\": []}", "holds \"tools\", which has a field of its own"},
		{"{\"bos_token\": \"<s>\"}", "holds \"bos_token\", which the model's file sets"},
		{"{\"mask_token\": \"<s>\"}", "holds \"mask_token\", which the model's file sets"},
		{"{\"add_generation_prompt\": 1}",
		 "holds \"add_generation_prompt\": 1; it takes true or false"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jv_doc doc;
		struct hokku_error err;
		assert_int_equal(jv_parse(str_c(rows[i].json), JV_STRICT, &doc, &err), HOKKU_OK);
		enum hokku_code rc = chat_check_kwargs(&doc.root, &err);
		assert_int_equal(rc, rows[i].message ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		if (rows[i].message)
			assert_string_equal(err.message, rows[i].message);
		jv_doc_free(&doc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chatml_templates),
		cmocka_unit_test(line_ends_of_templates),
		cmocka_unit_test(the_longest_default_system_message),
		cmocka_unit_test(other_templates),
		cmocka_unit_test(broken_templates),
		cmocka_unit_test(refused_requests),
		cmocka_unit_test(conversations_as_json),
		cmocka_unit_test(dates_are_told),
		cmocka_unit_test(template_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
