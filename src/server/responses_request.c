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
#include "server/responses_internal.h"

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
	{"conversation", field_refuse},
	{"prompt", field_refuse},
	{"max_tool_calls", field_refuse},
	{"context_management", field_refuse},
	{"moderation", field_refuse},
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
		responses_add_string(out, jv_key(format, i));
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
		responses_add_string(b, r->effort);
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
		responses_add_string(b, jv_str(own->input));
		strbuf_add_c(b, "}");
	}
	for (size_t i = 0; i < jv_len(own->input); i++) {
		strbuf_add_c(b, i ? "," : "");
		jv_write(jv_at(own->input, i), b);
	}
}

static enum hokku_code read_conversation(struct responses_messages *c, const struct jv *before)
{
	struct responses_request *own = c->r->responses;
	if (own->instructions) {
		strbuf_add_c(&c->out, "{\"role\":\"system\",\"content\":");
		responses_add_string(&c->out, jv_str(own->instructions));
		strbuf_add_c(&c->out, "}");
	}
	c->where = "previous_response_id";
	enum hokku_code rc = responses_read_items(c, before);
	c->where = "input";
	if (!rc && jv_is(own->input, JV_STRING)) {
		responses_end_turn(c);
		strbuf_add_c(&c->out, c->out.len ? ",{\"role\":\"user\",\"content\":"
						 : "{\"role\":\"user\",\"content\":");
		responses_add_string(&c->out, jv_str(own->input));
		strbuf_add_c(&c->out, "}");
	} else if (!rc) {
		rc = responses_read_items(c, own->input);
	}
	responses_end_turn(c);
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

/* What is wrong with the response_format that was made is wrong with text.format, of which it was. */
static void name_format(struct request_error *err)
{
	static const char *const made[] = {"response_format.json_schema", "response_format"};
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		struct request_error before = *err;
		size_t n = strlen(before.field), skip = strlen(made[i]);
		if (strncmp(before.field, made[i], skip) != 0)
			continue;
		snprintf(err->field, sizeof err->field, "text.format%s", before.field + skip);
		if (strncmp(before.error.message, before.field, n) == 0)
			err_set(&err->error, before.error.code, "%s%s", err->field, before.error.message + n);
		return;
	}
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
		if (rc) {
			name_format(err);
			return rc;
		}
	}
	const char *shaped = r->shape_field; /* by response_format: there is no other here */
	if (shaped)
		r->shape_field =
			strcmp(shaped, "response_format") == 0 ? "text.format" : "text.format.schema";
	return request_openai_chat.check(r, (struct str){0}, err);
}

static enum hokku_code link_request(struct gen_request *r, const struct request_memory *memory,
				    struct request_error *err)
{
	struct responses_request *own = r->responses;
	struct responses_messages c = {.r = r, .err = err};
	struct responses_toolbox tools = {.r = r, .err = err};
	struct strbuf choice = {0}, made = {0};
	struct jv_doc before = {0};
	const struct jv *root = NULL;
	enum hokku_code rc = own->previous ? recall(r, memory, &before, err) : HOKKU_OK;
	if (!rc)
		rc = read_conversation(&c, own->previous ? &before.root : NULL);
	if (!rc)
		rc = responses_write_choice(&tools, own->choice, &choice);
	if (!rc)
		rc = responses_read_tools(&tools, own->tools);
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
		if (rc == HOKKU_INTERNAL) /* it is deeper than the body was */
			rc = bad(err, own->tools ? "tools" : "input", "cannot be taken: %.300s",
				 err->error.message);
	}
	if (!rc)
		rc = take_made(r, root, err);
	if (!rc) {
		make_echo(r, &tools.echo);
		add_input(own);
		if (own->echo.failed || own->items.failed)
			rc = field_no_memory(err);
	}
	struct strbuf *all[] = {&c.out,
				&c.thinking,
				&c.text,
				&c.calls,
				&c.ids,
				&tools.out,
				&tools.echo,
				&tools.names,
				&tools.flat_names,
				&tools.known,
				&tools.flat_known,
				&choice,
				&made};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
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
					       .messages = "input",
					       .name_tool = responses_name_tool};
