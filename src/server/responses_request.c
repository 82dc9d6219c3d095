/*
 * POST /v1/responses: what it takes, and how it becomes a conversation as chat templates know it. Input items
 * that stand side by side and are one turn of the assistant's (reasoning, a message, calls) become one
 * message; the messages of a response that is gone on from stand before them. Tools that a client runs itself
 * are given to the model; those that OpenAI's servers would run are left out, and told of.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/answer.h"
#include "server/field.h"
#include "server/responses.h"

enum {
	MAX_TOOL_NAME = 128,
	PATH_BYTES = 128, /* of the place of a value */
};

static struct responses_request *own(struct gen_request *r)
{
	if (!r->responses) {
		r->responses = calloc(1, sizeof *r->responses);
		if (r->responses)
			r->responses->store = true;
	}
	return r->responses;
}

/* ---- fields ---- */

/* How POST /v1/chat/completions takes the field of that name. */
static field_take *of_chat(const char *name)
{
	const struct field *f = request_openai_chat.fields;
	while (strcmp(f->name, name) != 0)
		f++;
	return f->take;
}

static enum hokku_code as_chat(struct gen_request *r, const char *name, const struct jv *v,
			       struct request_error *err)
{
	return of_chat(name)(r, name, v, err);
}

#define TAKE_VALUE(function, member, what, ...)                                                      \
	static enum hokku_code function(struct gen_request *r, const char *name, const struct jv *v, \
					struct request_error *err)                                   \
	{                                                                                            \
		char found[96];                                                                      \
		if (!own(r))                                                                         \
			return field_no_memory(err);                                                 \
		if (!(__VA_ARGS__))                                                                  \
			return bad(err, name, "is %s; it takes " what, field_describe(v, found));    \
		r->responses->member = v;                                                            \
		return HOKKU_OK;                                                                     \
	}

TAKE_VALUE(take_input, input, "a string or an array of items", jv_is(v, JV_STRING) || jv_len(v))
TAKE_VALUE(take_instructions, instructions, "a string", jv_is(v, JV_STRING))
TAKE_VALUE(take_tools, tools, "an array of tools", jv_is(v, JV_ARRAY))
TAKE_VALUE(take_choice, choice, "\"auto\", \"none\", \"required\" or an object that names a tool",
	   jv_is(v, JV_STRING) || jv_is(v, JV_OBJECT))

static enum hokku_code take_text(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96], quoted[64];
	if (!own(r))
		return field_no_memory(err);
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes {\"format\": {...}}", field_describe(v, found));
	for (uint32_t i = 0; i < v->n; i++) {
		const struct jv *member = jv_value(v, i);
		if (str_eq_c(jv_key(v, i), "format")) {
			r->responses->format = jv_none(member) ? NULL : member;
			if (!jv_none(member) && !jv_is(member, JV_OBJECT))
				return bad(err, "text.format", "is %s; it takes an object",
					   field_describe(member, found));
		} else if (!str_eq_c(jv_key(v, i), "verbosity")) {
			return bad(err, name, "holds %s; it takes format and verbosity",
				   str_quote(jv_key(v, i), quoted, sizeof quoted));
		} else if (!jv_none(member) && !str_eq_c(jv_str(member), "medium")) {
			return bad(err, "text.verbosity",
				   "is %s; this server takes \"medium\" alone: ask for it in a message",
				   field_describe(member, found));
		}
	}
	return HOKKU_OK;
}

static enum hokku_code take_previous(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	char found[96];
	struct str id = jv_str(v);
	if (!own(r))
		return field_no_memory(err);
	if (!jv_is(v, JV_STRING) || id.len == 0 || id.len > REQUEST_MAX_ID_BYTES || strlen(id.ptr) != id.len)
		return bad(err, name, "is %s; it takes the id of a response (1 to %d bytes)",
			   field_describe(v, found), REQUEST_MAX_ID_BYTES);
	free(r->responses->previous);
	r->responses->previous = strdup(id.ptr);
	return r->responses->previous ? HOKKU_OK : field_no_memory(err);
}

static enum hokku_code take_store(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	if (!own(r))
		return field_no_memory(err);
	return field_bool(name, v, &r->responses->store, err);
}

static enum hokku_code take_reasoning(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	char found[96], quoted[64];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes {\"effort\": ...}", field_describe(v, found));
	for (uint32_t i = 0; i < v->n; i++) {
		const struct jv *member = jv_value(v, i);
		bool effort = str_eq_c(jv_key(v, i), "effort");
		if (!effort && !str_eq_c(jv_key(v, i), "summary") &&
		    !str_eq_c(jv_key(v, i), "generate_summary"))
			return bad(err, name, "holds %s; it takes effort and summary",
				   str_quote(jv_key(v, i), quoted, sizeof quoted));
		if (jv_none(member))
			continue;
		if (!jv_is(member, JV_STRING))
			return bad(err, effort ? "reasoning.effort" : "reasoning.summary",
				   "is %s; it takes a string", field_describe(member, found));
		if (!effort) {
			field_warn(&r->warnings,
				   "reasoning.summary has no effect here: reasoning comes as it is");
			continue;
		}
		enum hokku_code rc = of_chat("reasoning_effort")(r, "reasoning.effort", member, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* What a client may have told beside: of these only logprobs are something here. */
static enum hokku_code take_include(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	static const struct {
		const char *name;
		bool logprobs, told;
	} rows[] = {
		{"message.output_text.logprobs", true, false},
		{"reasoning.encrypted_content", false, true},
		{"file_search_call.results", false, false},
		{"web_search_call.results", false, false},
		{"web_search_call.action.sources", false, false},
		{"message.input_image.image_url", false, false},
		{"computer_call_output.output.image_url", false, false},
		{"code_interpreter_call.outputs", false, false},
	};
	char found[96], field[64], text[160];
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array of strings", field_describe(v, found));
	for (size_t i = 0; i < jv_len(v); i++) {
		size_t k = 0;
		while (k < sizeof rows / sizeof *rows && !str_eq_c(jv_str(jv_at(v, i)), rows[k].name))
			k++;
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (k == sizeof rows / sizeof *rows)
			return bad(err, field, "is %s; there is nothing of that name to include",
				   field_describe(jv_at(v, i), found));
		r->logprobs |= rows[k].logprobs;
		if (!rows[k].told)
			continue;
		snprintf(text, sizeof text, "%s has no effect here: reasoning comes as it is", rows[k].name);
		field_warn(&r->warnings, text);
	}
	return HOKKU_OK;
}

static enum hokku_code take_truncation(struct gen_request *r, const char *name, const struct jv *v,
				       struct request_error *err)
{
	char found[96];
	(void)r;
	if (str_eq_c(jv_str(v), "disabled"))
		return HOKKU_OK;
	return bad(err, name, "is %s; this server takes \"disabled\" alone: nothing is ever cut",
		   field_describe(v, found));
}

static enum hokku_code take_background(struct gen_request *r, const char *name, const struct jv *v,
				       struct request_error *err)
{
	bool background;
	(void)r;
	enum hokku_code rc = field_bool(name, v, &background, err);
	if (!rc && background)
		return bad(err, name, "is true; this server answers the request that asks, and no later one");
	return rc;
}

static enum hokku_code refuse(struct gen_request *r, const char *name, const struct jv *v,
			      struct request_error *err)
{
	static const struct {
		const char *name, *instead;
	} rows[] = {
		{"conversation", "give its items as input, or a previous_response_id"},
		{"prompt", "templates of prompts are kept nowhere here: give instructions and input"},
		{"max_tool_calls", "no tool runs on this server; the client that runs them can count them"},
		{"context_management", "nothing is ever cut or summed up here"},
		{"moderation", "nothing is judged here"},
	};
	size_t i = 0;
	(void)r;
	(void)v;
	while (strcmp(rows[i].name, name) != 0)
		i++;
	return bad(err, name, "is given and would change the answer, but is not done by this server: %s",
		   rows[i].instead);
}

/* As the same rows of POST /v1/chat/completions. */
static enum hokku_code pass_over(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	return of_chat("user")(r, name, v, err);
}

/* Given back as it came. */
static enum hokku_code take_metadata(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	char found[96];
	if (!own(r))
		return field_no_memory(err);
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes an object of strings", field_describe(v, found));
	r->responses->metadata = v;
	return HOKKU_OK;
}

static const struct field fields[] = {
	/* clang-format off */
	{"model", as_chat},
	{"input", take_input},
	{"instructions", take_instructions},
	{"previous_response_id", take_previous},
	{"store", take_store},
	{"stream", field_stream},
	{"stream_options", as_chat},
	{"max_output_tokens", field_max_tokens},
	{"top_p", as_chat},
	{"seed", as_chat},
	{"top_logprobs", field_top_logprobs},
	{"include", take_include},
	{"text", take_text},
	{"reasoning", take_reasoning},
	{"thinking_token_budget", field_thinking_budget},
	{"tools", take_tools},
	{"tool_choice", take_choice},
	{"parallel_tool_calls", as_chat},
	{"truncation", take_truncation},
	{"background", take_background},
	{"conversation", refuse},
	{"prompt", refuse},
	{"max_tool_calls", refuse},
	{"context_management", refuse},
	{"moderation", refuse},
	{"metadata", take_metadata},
	{"user", as_chat},
	{"service_tier", as_chat},
	{"safety_identifier", as_chat},
	{"prompt_cache_key", as_chat},
	{"prompt_cache_options", pass_over},
	{"prompt_cache_retention", as_chat},
	{"client_metadata", pass_over},
	{"priority", field_priority},
	{"cache_prompt", field_cache_prompt},
	{"cache_salt", field_cache_salt},
	{"chat_template_kwargs", field_template_kwargs},
	{"now", field_now},
	{NULL, NULL},
	/* clang-format on */
};

/* ---- items to messages ---- */

/* A conversation on its way into messages. */
struct conversation {
	struct gen_request *r;
	struct request_error *err;
	const char *where; /* "input", or the response before */
	struct strbuf out; /* messages, separated by commas */
	/* The assistant's turn that is being gathered. */
	bool in_turn, has_text;
	struct strbuf thinking, text,
		calls;     /* thinking and text without quotes' insides; calls separated by commas */
	struct strbuf ids; /* of calls that were made, each terminated */
};

static void add_string(struct strbuf *b, struct str s)
{
	strbuf_add_json(b, s.ptr ? s.ptr : "", s.len);
}

static void end_turn(struct conversation *c)
{
	if (!c->in_turn)
		return;
	strbuf_add_c(&c->out, c->out.len ? ",{\"role\":\"assistant\",\"content\":"
					 : "{\"role\":\"assistant\",\"content\":");
	if (c->has_text || !c->calls.len)
		add_string(&c->out, (struct str){c->text.ptr, c->text.len});
	else
		strbuf_add_c(&c->out, "null");
	if (c->thinking.len) {
		strbuf_add_c(&c->out, ",\"reasoning_content\":");
		add_string(&c->out, (struct str){c->thinking.ptr, c->thinking.len});
	}
	if (c->calls.len) {
		strbuf_add_c(&c->out, ",\"tool_calls\":[");
		strbuf_add(&c->out, c->calls.ptr, c->calls.len);
		strbuf_add_c(&c->out, "]");
	}
	strbuf_add_c(&c->out, "}");
	strbuf_clear(&c->thinking);
	strbuf_clear(&c->text);
	strbuf_clear(&c->calls);
	c->in_turn = c->has_text = false;
}

/* Begins an item of the assistant's; one that a turn has already had begins another turn. */
static void go_on(struct conversation *c, bool ends_turn)
{
	if (ends_turn)
		end_turn(c);
	c->in_turn = true;
}

static enum hokku_code no_text(struct conversation *c, const char *field, const struct jv *v)
{
	char found[96];
	return bad(c->err, field, "is %s; it takes a string or an array of text parts",
		   v ? jv_text(v, found, sizeof found) : "missing");
}

/* The text of a content: a string, or parts of text, one after the other. field: where it stands. */
static enum hokku_code read_text(struct conversation *c, const struct jv *v, const char *field,
				 struct strbuf *out)
{
	static const char *const kinds[] = {"input_text", "output_text", "text", "summary_text",
					    "reasoning_text"};
	char part[PATH_BYTES], found[96];
	if (jv_is(v, JV_STRING)) {
		strbuf_add(out, v->text, v->n);
		return HOKKU_OK;
	}
	if (!jv_is(v, JV_ARRAY))
		return no_text(c, field, v);
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *type = jv_get(jv_at(v, i), "type");
		bool refusal = str_eq_c(jv_str(type), "refusal");
		const struct jv *text = jv_get(jv_at(v, i), refusal ? "refusal" : "text");
		bool known = refusal;
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			known |= str_eq_c(jv_str(type), kinds[k]);
		if (!known) {
			snprintf(part, sizeof part, "%.60s[%zu].type", field, i);
			return bad(
				c->err, part,
				"is %s; it takes \"input_text\" or \"output_text\": this server reads text alone",
				type ? jv_text(type, found, sizeof found) : "missing");
		}
		if (!jv_is(text, JV_STRING)) {
			snprintf(part, sizeof part, "%.60s[%zu].text", field, i);
			return bad(c->err, part, "is %s; it takes a string",
				   text ? jv_text(text, found, sizeof found) : "missing");
		}
		strbuf_add(out, text->text, text->n);
	}
	return HOKKU_OK;
}

static enum hokku_code item_message(struct conversation *c, const struct jv *item, const char *at)
{
	static const char *const roles[] = {"user", "system", "developer", "assistant"};
	char field[PATH_BYTES], found[96];
	const struct jv *role = jv_get(item, "role");
	struct strbuf text = {0};
	size_t k = 0;
	while (k < 4 && !str_eq_c(jv_str(role), roles[k]))
		k++;
	snprintf(field, sizeof field, "%s.role", at);
	if (k == 4)
		return bad(c->err, field,
			   "is %s; it takes \"user\", \"system\", \"developer\" or \"assistant\"",
			   role ? jv_text(role, found, sizeof found) : "missing");
	snprintf(field, sizeof field, "%s.content", at);
	enum hokku_code rc = read_text(c, jv_get(item, "content"), field, &text);
	if (!rc && k == 3) {
		go_on(c, c->has_text || c->calls.len);
		strbuf_add(&c->text, text.ptr ? text.ptr : "", text.len);
		c->has_text = true;
	} else if (!rc) {
		end_turn(c);
		/* A developer's word is the system's, which is the name that templates know. */
		strbuf_addf(&c->out, "%s{\"role\":\"%s\",\"content\":", c->out.len ? "," : "",
			    k == 0 ? "user" : "system");
		add_string(&c->out, (struct str){text.ptr, text.len});
		strbuf_add_c(&c->out, "}");
	}
	c->out.failed |= text.failed;
	strbuf_free(&text);
	return rc;
}

static enum hokku_code item_reasoning(struct conversation *c, const struct jv *item, const char *at)
{
	char field[PATH_BYTES];
	const struct jv *content = jv_get(item, "content"), *summary = jv_get(item, "summary");
	bool whole = jv_len(content) > 0;
	if (!whole && !jv_len(summary)) /* it is encrypted, by somebody else */
		return HOKKU_OK;
	go_on(c, c->has_text || c->calls.len);
	snprintf(field, sizeof field, "%s.%s", at, whole ? "content" : "summary");
	return read_text(c, whole ? content : summary, field, &c->thinking);
}

/* The name by which the model knows a tool of a call. */
static void add_flat_name(struct conversation *c, struct str name, struct str of, struct strbuf *out)
{
	struct strbuf flat = {0};
	if (of.len) {
		strbuf_add(&flat, of.ptr, of.len);
		strbuf_add_c(&flat, "__");
	}
	strbuf_add(&flat, name.ptr, name.len);
	c->out.failed |= flat.failed;
	add_string(out, (struct str){flat.ptr, flat.len});
	strbuf_free(&flat);
}

static enum hokku_code item_call(struct conversation *c, const struct jv *item, const char *at)
{
	static const char *const wanted[] = {"call_id", "name", NULL};
	char field[PATH_BYTES], found[96];
	bool custom = str_eq_c(jv_str(jv_get(item, "type")), "custom_tool_call");
	const struct jv *arguments = jv_get(item, custom ? "input" : "arguments");
	for (const char *const *w = wanted; *w; w++) {
		const struct jv *v = jv_get(item, *w);
		snprintf(field, sizeof field, "%s.%s", at, *w);
		if (!jv_str(v).len)
			return bad(c->err, field, "is %s; it takes a string",
				   v ? jv_text(v, found, sizeof found) : "missing");
	}
	snprintf(field, sizeof field, "%s.%s", at, custom ? "input" : "arguments");
	if (!jv_is(arguments, JV_STRING))
		return bad(c->err, field, "is %s; it takes a string",
			   arguments ? jv_text(arguments, found, sizeof found) : "missing");
	struct strbuf text = {0};
	if (custom) {
		strbuf_add_c(&text, "{\"input\":");
		add_string(&text, jv_str(arguments));
		strbuf_add_c(&text, "}");
	} else {
		strbuf_add(&text, arguments->text, arguments->n);
	}
	struct str id = jv_str(jv_get(item, "call_id"));
	go_on(c, false);
	strbuf_add_c(&c->calls, c->calls.len ? ",{\"id\":" : "{\"id\":");
	add_string(&c->calls, id);
	strbuf_add_c(&c->calls, ",\"type\":\"function\",\"function\":{\"name\":");
	add_flat_name(c, jv_str(jv_get(item, "name")), jv_str(jv_get(item, "namespace")), &c->calls);
	strbuf_add_c(&c->calls, ",\"arguments\":");
	add_string(&c->calls, (struct str){text.ptr, text.len});
	strbuf_add_c(&c->calls, "}}");
	strbuf_add(&c->ids, id.ptr, id.len);
	strbuf_add(&c->ids, "", 1);
	c->out.failed |= text.failed;
	strbuf_free(&text);
	return HOKKU_OK;
}

static bool was_called(const struct conversation *c, struct str id)
{
	for (const char *at = c->ids.ptr; at && at < c->ids.ptr + c->ids.len; at += strlen(at) + 1)
		if (str_eq_c(id, at))
			return true;
	return false;
}

static enum hokku_code item_output(struct conversation *c, const struct jv *item, const char *at)
{
	char field[PATH_BYTES], quoted[80], found[96];
	const struct jv *id = jv_get(item, "call_id");
	struct strbuf text = {0};
	snprintf(field, sizeof field, "%s.call_id", at);
	if (!jv_str(id).len)
		return bad(c->err, field, "is %s; it takes a string",
			   id ? jv_text(id, found, sizeof found) : "missing");
	if (!was_called(c, jv_str(id)))
		return bad(c->err, field, "is %s, and no call before it has this id",
			   str_quote(jv_str(id), quoted, sizeof quoted));
	snprintf(field, sizeof field, "%s.output", at);
	enum hokku_code rc = read_text(c, jv_get(item, "output"), field, &text);
	end_turn(c);
	strbuf_add_c(&c->out, c->out.len ? ",{\"role\":\"tool\",\"tool_call_id\":"
					 : "{\"role\":\"tool\",\"tool_call_id\":");
	add_string(&c->out, jv_str(id));
	strbuf_add_c(&c->out, ",\"content\":");
	add_string(&c->out, (struct str){text.ptr, text.len});
	strbuf_add_c(&c->out, "}");
	c->out.failed |= text.failed;
	strbuf_free(&text);
	return rc;
}

static enum hokku_code read_items(struct conversation *c, const struct jv *items)
{
	static const struct {
		const char *type;
		enum hokku_code (*read)(struct conversation *c, const struct jv *item, const char *at);
	} rows[] = {
		{"message", item_message},
		{"reasoning", item_reasoning},
		{"function_call", item_call},
		{"custom_tool_call", item_call},
		{"function_call_output", item_output},
		{"custom_tool_call_output", item_output},
	};
	enum { N = sizeof rows / sizeof *rows };
	char at[48], field[64], found[96];
	for (size_t i = 0; i < jv_len(items); i++) {
		const struct jv *item = jv_at(items, i), *type = jv_get(item, "type");
		size_t k = 0;
		snprintf(at, sizeof at, "%s[%zu]", c->where, i);
		if (!jv_is(item, JV_OBJECT))
			return bad(c->err, at, "is %s; it takes an object",
				   jv_text(item, found, sizeof found));
		if (!jv_none(type)) /* a message may do without */
			while (k < N && !str_eq_c(jv_str(type), rows[k].type))
				k++;
		snprintf(field, sizeof field, "%s.type", at);
		if (k == N)
			return bad(c->err, field,
				   "is %s; it takes message, reasoning, function_call, custom_tool_call and "
				   "the two's outputs: nothing else runs here, or is kept by an item's id",
				   jv_text(type, found, sizeof found));
		enum hokku_code rc = rows[k].read(c, item, at);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- tools ---- */

struct toolbox {
	struct gen_request *r;
	struct request_error *err;
	const struct jv *allowed; /* the tools that tool_choice leaves; NULL: all */
	struct strbuf out, echo;  /* as chat templates know them, and as the response has them */
	bool told;                /* one of the allowed ones */
};

/* The name by which the model knows a tool. */
static char *flat_name(struct str name, struct str of)
{
	char *flat = malloc(name.len + of.len + 3);
	if (flat)
		sprintf(flat, "%.*s%s%.*s", STR_ARG(of.len ? of : STR_LIT("")), of.len ? "__" : "",
			STR_ARG(name));
	return flat;
}

static bool is_allowed(const struct toolbox *t, struct str name, struct str of)
{
	for (size_t i = 0; i < jv_len(t->allowed); i++) {
		const struct jv *row = jv_at(t->allowed, i);
		if (str_eq(jv_str(jv_get(row, "name")), name) &&
		    (!jv_get(row, "namespace") || str_eq(jv_str(jv_get(row, "namespace")), of)))
			return true;
	}
	return !t->allowed;
}

static enum hokku_code rename_tool(struct toolbox *t, const char *flat, struct str name, struct str of,
				   bool custom)
{
	struct responses_request *own = t->r->responses;
	void *grown = realloc(own->renamed, (own->n_renamed + 1) * sizeof *own->renamed);
	if (!grown)
		return field_no_memory(t->err);
	own->renamed = grown;
	own->renamed[own->n_renamed++] =
		(struct responses_tool){.flat = strdup(flat),
					.name = strndup(name.ptr, name.len),
					.of = of.len ? strndup(of.ptr, of.len) : NULL,
					.custom = custom};
	return HOKKU_OK;
}

/* A custom tool's calls hold a text; its form is a pattern, which can be enforced, or a grammar of a kind
 * that only its author's servers read, which the model is told. */
static void add_custom_schema(struct toolbox *t, const struct jv *tool)
{
	const struct jv *format = jv_get(tool, "format"), *definition = jv_get(format, "definition");
	bool regex = str_eq_c(jv_str(jv_get(format, "syntax")), "regex");
	struct strbuf pattern = {0};
	strbuf_add_c(&t->out,
		     "\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"");
	if (regex && jv_is(definition, JV_STRING)) {
		strbuf_add_c(&t->out, ",\"pattern\":");
		strbuf_add_c(&pattern, "^(?:");
		strbuf_add(&pattern, definition->text, definition->n);
		strbuf_add_c(&pattern, ")$");
		add_string(&t->out, (struct str){pattern.ptr, pattern.len});
	}
	t->out.failed |= pattern.failed;
	strbuf_free(&pattern);
	strbuf_add_c(&t->out, "}},\"required\":[\"input\"],\"additionalProperties\":false}");
}

static void add_description(struct toolbox *t, const struct jv *tool, const struct jv *of, bool custom)
{
	struct strbuf text = {0};
	char warning[200], quoted[80];
	const struct jv *parts[] = {jv_get(of, "description"), jv_get(tool, "description")};
	const struct jv *format = jv_get(tool, "format"), *definition = jv_get(format, "definition");
	for (size_t i = 0; i < 2; i++) {
		if (!jv_str(parts[i]).len)
			continue;
		strbuf_add_c(&text, text.len ? "\n\n" : "");
		strbuf_add(&text, parts[i]->text, parts[i]->n);
	}
	if (custom && str_eq_c(jv_str(jv_get(format, "syntax")), "lark") && jv_is(definition, JV_STRING)) {
		strbuf_add_c(&text, text.len ? "\n\ninput is of this grammar (Lark):\n"
					     : "input is of this grammar (Lark):\n");
		strbuf_add(&text, definition->text, definition->n);
		snprintf(warning, sizeof warning,
			 "the grammar of the tool %s is told to the model, not enforced: it is written for "
			 "Lark",
			 str_quote(jv_str(jv_get(tool, "name")), quoted, sizeof quoted));
		field_warn(&t->r->warnings, warning);
	}
	if (text.len) {
		strbuf_add_c(&t->out, ",\"description\":");
		add_string(&t->out, (struct str){text.ptr, text.len});
	}
	t->out.failed |= text.failed;
	strbuf_free(&text);
}

/* A function or a custom tool; of: the namespace that it stands in, NULL: none. */
static enum hokku_code add_tool(struct toolbox *t, const struct jv *tool, const struct jv *of, const char *at)
{
	char field[PATH_BYTES], found[96];
	const struct jv *type = jv_get(tool, "type"), *name = jv_get(tool, "name"),
			*parameters = jv_get(tool, "parameters"), *strict = jv_get(tool, "strict");
	struct str of_name = jv_str(jv_get(of, "name"));
	bool custom = str_eq_c(jv_str(type), "custom");
	snprintf(field, sizeof field, "%.100s.name", at);
	if (!jv_str(name).len || jv_str(name).len > MAX_TOOL_NAME)
		return bad(t->err, field, "is %s; it takes a string of 1 to %d bytes",
			   name ? jv_text(name, found, sizeof found) : "missing", MAX_TOOL_NAME);
	snprintf(field, sizeof field, "%.100s.parameters", at);
	if (!jv_none(parameters) && !jv_is(parameters, JV_OBJECT))
		return bad(t->err, field, "is %s; it takes a JSON schema",
			   jv_text(parameters, found, sizeof found));
	if (!is_allowed(t, jv_str(name), of_name))
		return HOKKU_OK;
	char *flat = flat_name(jv_str(name), of_name);
	if (!flat)
		return field_no_memory(t->err);
	enum hokku_code rc = custom || of ? rename_tool(t, flat, jv_str(name), of_name, custom) : HOKKU_OK;
	strbuf_add_c(&t->out, t->out.len ? ",{\"type\":\"function\",\"function\":{\"name\":"
					 : "{\"type\":\"function\",\"function\":{\"name\":");
	strbuf_add_json(&t->out, flat, strlen(flat));
	free(flat);
	add_description(t, tool, of, custom);
	strbuf_add_c(&t->out, ",");
	if (custom) {
		add_custom_schema(t, tool);
	} else {
		strbuf_add_c(&t->out, "\"parameters\":");
		if (jv_none(parameters))
			strbuf_add_c(&t->out, "{\"type\":\"object\",\"properties\":{}}");
		else
			jv_write(parameters, &t->out);
		if (jv_is(strict, JV_BOOL))
			strbuf_add_c(&t->out, strict->n ? ",\"strict\":true" : ",\"strict\":false");
	}
	strbuf_add_c(&t->out, "}}");
	return rc;
}

static enum hokku_code add_namespace(struct toolbox *t, const struct jv *of, const char *at)
{
	char field[PATH_BYTES], found[96];
	const struct jv *tools = jv_get(of, "tools"), *name = jv_get(of, "name");
	snprintf(field, sizeof field, "%.100s.name", at);
	if (!jv_str(name).len || jv_str(name).len > MAX_TOOL_NAME)
		return bad(t->err, field, "is %s; it takes a string of 1 to %d bytes",
			   name ? jv_text(name, found, sizeof found) : "missing", MAX_TOOL_NAME);
	for (size_t i = 0; i < jv_len(tools); i++) {
		const struct jv *tool = jv_at(tools, i), *type = jv_get(tool, "type");
		snprintf(field, sizeof field, "%.60s.tools[%zu]", at, i);
		if (!str_eq_c(jv_str(type), "function") && !str_eq_c(jv_str(type), "custom"))
			return bad(t->err, field, "is of the type %s; a namespace takes function and custom",
				   jv_text(type, found, sizeof found));
		enum hokku_code rc = add_tool(t, tool, of, field);
		if (rc)
			return rc;
	}
	snprintf(field, sizeof field, "%.100s.tools", at);
	return jv_len(tools) ? HOKKU_OK
			     : bad(t->err, field, "is %s; it takes an array of at least one tool",
				   jv_text(tools, found, sizeof found));
}

/* What OpenAI's own servers would run. */
static bool is_theirs(struct str type)
{
	static const char *const types[] = {"web_search",
					    "web_search_preview",
					    "file_search",
					    "computer",
					    "computer_use_preview",
					    "mcp",
					    "code_interpreter",
					    "image_generation",
					    "local_shell",
					    "shell",
					    "apply_patch",
					    "tool_search",
					    "programmatic_tool_calling"};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct str known = str_c(types[i]);
		/* web_search_2025_08_26 is a web_search. */
		if (str_starts(type, known) &&
		    (type.len == known.len || strncmp(type.ptr + known.len, "_20", 3) == 0))
			return true;
	}
	return false;
}

static enum hokku_code read_tools(struct toolbox *t, const struct jv *tools)
{
	char field[PATH_BYTES], found[96], text[160];
	for (size_t i = 0; i < jv_len(tools); i++) {
		const struct jv *tool = jv_at(tools, i), *type = jv_get(tool, "type");
		struct str kind = jv_str(type);
		enum hokku_code rc = HOKKU_OK;
		snprintf(field, sizeof field, "tools[%zu]", i);
		if (str_eq_c(kind, "function") || str_eq_c(kind, "custom")) {
			rc = add_tool(t, tool, NULL, field);
		} else if (str_eq_c(kind, "namespace")) {
			rc = add_namespace(t, tool, field);
		} else if (is_theirs(kind)) {
			snprintf(
				text, sizeof text,
				"tools[%zu] (%.60s) was left out: this server runs no tools, nor has the model "
				"that one",
				i, kind.ptr);
			field_warn(&t->r->warnings, text);
		} else {
			snprintf(field, sizeof field, "tools[%zu].type", i);
			rc = bad(t->err, field, "is %s; it takes \"function\", \"custom\" or \"namespace\"",
				 type ? jv_text(type, found, sizeof found) : "missing");
		}
		if (rc)
			return rc;
		strbuf_add_c(&t->echo, i ? "," : "");
		jv_write(tool, &t->echo);
	}
	return HOKKU_OK;
}

/* tool_choice as POST /v1/chat/completions takes it; empty: not said. */
static enum hokku_code write_choice(struct toolbox *t, const struct jv *choice, struct strbuf *out)
{
	char field[PATH_BYTES], found[96];
	const struct jv *type = jv_get(choice, "type"), *name = jv_get(choice, "name"), *mode;
	if (jv_none(choice))
		return HOKKU_OK;
	if (jv_is(choice, JV_STRING)) {
		add_string(out, jv_str(choice));
		return HOKKU_OK;
	}
	if (str_eq_c(jv_str(type), "allowed_tools")) {
		mode = jv_get(choice, "mode");
		t->allowed = jv_get(choice, "tools");
		if (!str_eq_c(jv_str(mode), "auto") && !str_eq_c(jv_str(mode), "required"))
			return bad(t->err, "tool_choice.mode", "is %s; it takes \"auto\" or \"required\"",
				   mode ? jv_text(mode, found, sizeof found) : "missing");
		if (!jv_len(t->allowed))
			return bad(t->err, "tool_choice.tools",
				   "is %s; it takes an array of at least one of tools",
				   jv_text(t->allowed, found, sizeof found));
		add_string(out, jv_str(mode));
		return HOKKU_OK;
	}
	snprintf(field, sizeof field, "tool_choice.%s",
		 str_eq_c(jv_str(type), "function") || str_eq_c(jv_str(type), "custom") ? "name" : "type");
	if (strcmp(field, "tool_choice.type") == 0)
		return bad(
			t->err, field,
			"is %s; it takes \"function\", \"custom\" or \"allowed_tools\": other tools are not "
			"run here",
			type ? jv_text(type, found, sizeof found) : "missing");
	if (!jv_str(name).len)
		return bad(t->err, field, "is %s; it takes the name of one of tools",
			   name ? jv_text(name, found, sizeof found) : "missing");
	char *flat = flat_name(jv_str(name), jv_str(jv_get(choice, "namespace")));
	if (!flat)
		return field_no_memory(t->err);
	strbuf_add_c(out, "{\"type\":\"function\",\"function\":{\"name\":");
	strbuf_add_json(out, flat, strlen(flat));
	strbuf_add_c(out, "}}");
	free(flat);
	return HOKKU_OK;
}

/* ---- the whole request ---- */

/* text.format as POST /v1/chat/completions' response_format. */
static void write_format(const struct jv *format, struct strbuf *out)
{
	if (!str_eq_c(jv_str(jv_get(format, "type")), "json_schema")) {
		jv_write(format, out);
		return;
	}
	strbuf_add_c(out, "{\"type\":\"json_schema\",\"json_schema\":{");
	for (uint32_t i = 0, n = 0; i < format->n; i++) {
		if (str_eq_c(jv_key(format, i), "type"))
			continue;
		strbuf_add_c(out, n++ ? "," : "");
		add_string(out, jv_key(format, i));
		strbuf_add_c(out, ":");
		jv_write(jv_value(format, i), out);
	}
	strbuf_add_c(out, "}}");
}

static void echo_value(struct strbuf *b, const char *name, const struct jv *v, const char *otherwise)
{
	strbuf_addf(b, ",\"%s\":", name);
	if (jv_none(v))
		strbuf_add_c(b, otherwise);
	else
		jv_write(v, b);
}

/* What the response says of its request. tools: as they came, separated by commas. */
static void make_echo(const struct gen_request *r, const struct strbuf *tools)
{
	const struct responses_request *own = r->responses;
	struct strbuf *b = &r->responses->echo;
	echo_value(b, "instructions", own->instructions, "null");
	echo_value(b, "metadata", own->metadata, "{}");
	strbuf_addf(b, ",\"background\":false,\"max_tool_calls\":null,\"max_output_tokens\":");
	if (r->max_tokens)
		strbuf_addf(b, "%u", r->max_tokens);
	else
		strbuf_add_c(b, "null");
	strbuf_addf(b,
		    ",\"parallel_tool_calls\":%s,\"previous_response_id\":", r->one_call ? "false" : "true");
	if (own->previous)
		strbuf_add_json(b, own->previous, strlen(own->previous));
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"reasoning\":{\"effort\":");
	if (r->thinking == THINKING_OFF)
		strbuf_add_c(b, "\"none\"");
	else if (r->effort.ptr)
		add_string(b, r->effort);
	else
		strbuf_add_c(b, "null");
	strbuf_addf(b, ",\"summary\":null},\"service_tier\":\"default\",\"store\":%s,\"temperature\":",
		    own->store ? "true" : "false");
	answer_float(b, r->sampling.temperature);
	strbuf_add_c(b, ",\"text\":{\"format\":");
	if (own->format)
		jv_write(own->format, b);
	else
		strbuf_add_c(b, "{\"type\":\"text\"}");
	strbuf_add_c(b, "}");
	echo_value(b, "tool_choice", own->choice, "\"auto\"");
	strbuf_add_c(b, ",\"tools\":[");
	strbuf_add(b, tools->ptr ? tools->ptr : "", tools->len);
	strbuf_addf(b, "],\"top_logprobs\":%u,\"top_p\":", r->n_top);
	answer_float(b, r->sampling.top_p);
	strbuf_add_c(b, ",\"truncation\":\"disabled\"");
}

/* The items that the request adds to the conversation. */
static void add_input(struct responses_request *own)
{
	struct strbuf *b = &own->items;
	strbuf_add_c(b, b->len ? "," : "");
	if (jv_is(own->input, JV_STRING)) {
		strbuf_add_c(b, "{\"type\":\"message\",\"role\":\"user\",\"content\":");
		add_string(b, jv_str(own->input));
		strbuf_add_c(b, "}");
	}
	for (size_t i = 0; i < jv_len(own->input); i++) {
		strbuf_add_c(b, i ? "," : "");
		jv_write(jv_at(own->input, i), b);
	}
}

static enum hokku_code read_conversation(struct conversation *c, const struct jv *before)
{
	struct responses_request *own = c->r->responses;
	if (own->instructions) {
		strbuf_add_c(&c->out, "{\"role\":\"system\",\"content\":");
		add_string(&c->out, jv_str(own->instructions));
		strbuf_add_c(&c->out, "}");
	}
	c->where = "previous_response_id";
	enum hokku_code rc = read_items(c, before);
	c->where = "input";
	if (!rc && jv_is(own->input, JV_STRING)) {
		end_turn(c);
		strbuf_add_c(&c->out, c->out.len ? ",{\"role\":\"user\",\"content\":"
						 : "{\"role\":\"user\",\"content\":");
		add_string(&c->out, jv_str(own->input));
		strbuf_add_c(&c->out, "}");
	} else if (!rc) {
		rc = read_items(c, own->input);
	}
	end_turn(c);
	c->out.failed |= c->thinking.failed || c->text.failed || c->calls.failed || c->ids.failed;
	return rc;
}

/* The response before, as a document of its items. */
static enum hokku_code recall(struct gen_request *r, const struct request_memory *memory, struct jv_doc *doc,
			      struct request_error *err)
{
	struct responses_request *own = r->responses;
	struct strbuf text = {0};
	char quoted[160];
	if (!memory->responses ||
	    !responses_get(memory->responses, memory->owner, own->previous, NULL, &own->items, clock_ns())) {
		snprintf(err->field, sizeof err->field, "previous_response_id");
		return err_set(
			&err->error, HOKKU_NOT_FOUND,
			"previous_response_id is %s, and no response is kept under this id: its time may "
			"be over, or it was not stored; give the whole conversation as input",
			str_quote(str_c(own->previous), quoted, sizeof quoted));
	}
	strbuf_add_c(&text, "[");
	strbuf_add(&text, own->items.ptr ? own->items.ptr : "", own->items.len);
	strbuf_add_c(&text, "]");
	enum hokku_code rc =
		text.failed ? field_no_memory(err)
			    : jv_parse((struct str){text.ptr, text.len}, JV_STRICT, doc, &err->error);
	strbuf_free(&text);
	return rc;
}

/* All that stands in made goes through the fields of POST /v1/chat/completions. */
static enum hokku_code take_made(struct gen_request *r, const struct jv *made, struct request_error *err)
{
	static const struct {
		const char *name, *as;
	} rows[] = {{"tools", "tools"},
		    {"tool_choice", "tool_choice"},
		    {"response_format", "response_format"},
		    {"messages", "input"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct jv *v = jv_get(made, rows[i].name);
		enum hokku_code rc = v ? of_chat(rows[i].name)(r, rows[i].as, v, err) : HOKKU_OK;
		if (rc)
			return rc;
	}
	return request_openai_chat.check(r, (struct str){0}, err);
}

static enum hokku_code link_request(struct gen_request *r, const struct request_memory *memory,
				    struct request_error *err)
{
	struct responses_request *own = r->responses;
	struct conversation c = {.r = r, .err = err};
	struct toolbox tools = {.r = r, .err = err};
	struct strbuf choice = {0}, made = {0};
	struct jv_doc before = {0};
	const struct jv *root = NULL;
	enum hokku_code rc = own->previous ? recall(r, memory, &before, err) : HOKKU_OK;
	if (!rc)
		rc = read_conversation(&c, own->previous ? &before.root : NULL);
	if (!rc)
		rc = write_choice(&tools, own->choice, &choice);
	if (!rc)
		rc = read_tools(&tools, own->tools);
	if (!rc) {
		strbuf_add_c(&made, "{\"messages\":[");
		strbuf_add(&made, c.out.ptr ? c.out.ptr : "", c.out.len);
		strbuf_add_c(&made, "],\"tools\":[");
		strbuf_add(&made, tools.out.ptr ? tools.out.ptr : "", tools.out.len);
		strbuf_add_c(&made, "]");
		if (choice.len) {
			strbuf_add_c(&made, ",\"tool_choice\":");
			strbuf_add(&made, choice.ptr, choice.len);
		}
		if (own->format) {
			strbuf_add_c(&made, ",\"response_format\":");
			write_format(own->format, &made);
		}
		strbuf_add_c(&made, "}");
		made.failed |= c.out.failed || tools.out.failed || tools.echo.failed || choice.failed;
		rc = request_make(r, &made, &root, err);
	}
	if (!rc)
		rc = take_made(r, root, err);
	if (!rc) {
		make_echo(r, &tools.echo);
		add_input(own);
		if (own->echo.failed || own->items.failed)
			rc = field_no_memory(err);
	}
	struct strbuf *all[] = {&c.out,     &c.thinking, &c.text, &c.calls, &c.ids,
				&tools.out, &tools.echo, &choice, &made};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		strbuf_free(all[i]);
	jv_doc_free(&before);
	return rc;
}

static enum hokku_code check(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!own(r))
		return field_no_memory(err);
	if (!r->responses->input)
		return bad(err, "input", "is missing; it takes a string or an array of items");
	if (r->n_top && !r->logprobs)
		return bad(err, "top_logprobs",
			   "is %u; it goes with \"include\": [\"message.output_text.logprobs\"]", r->n_top);
	return HOKKU_OK;
}

const struct request_form request_responses = {.sampling = SAMPLING_OPENAI,
					       .reads = true,
					       .strict = true,
					       .fields = fields,
					       .check = check,
					       .link = link_request,
					       .messages = "input"};
