/*
 * POST /v1/chat/completions: OpenAI's fields, and the samplers and template arguments that other servers take
 * under the same names. A field is done, or has no effect on an answer here (told as a warning), or is
 * refused by name: nothing that would change the answer is passed over.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/name_set.h"
#include "server/openai_fields.h"

static enum hokku_code take_max_completion_tokens(struct gen_request *r, const char *name, const struct jv *v,
						  struct request_error *err)
{
	uint32_t before = r->max_tokens;
	enum hokku_code rc = field_max_tokens(r, name, v, err);
	r->max_completion_tokens = r->max_tokens;
	r->max_tokens = before;
	return rc;
}

/* ---- calls and thinking ---- */

static enum hokku_code take_named(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	char found[96], field[64];
	struct str tool = jv_str(field_function_name(v));
	snprintf(field, sizeof field, "%s.function.name", name);
	if (!tool.len)
		return bad(err, field, "is %s; it takes the name of one of tools",
			   jv_text(field_function_name(v), found, sizeof found));
	r->tool_choice = TOOLS_NAMED;
	r->tool_name = tool;
	return HOKKU_OK;
}

/* {"mode", "tools": [{"type": "function", "function": {"name"}}]}; check_allowed goes on. */
static enum hokku_code take_allowed(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	char found[96], field[64];
	const struct jv *allowed = jv_get(v, "allowed_tools"), *mode = jv_get(allowed, "mode"),
			*tools = jv_get(allowed, "tools");
	r->tool_choice = str_eq_c(jv_str(mode), "required") ? TOOLS_REQUIRED : TOOLS_AUTO;
	snprintf(field, sizeof field, "%s.allowed_tools.mode", name);
	if (r->tool_choice == TOOLS_AUTO && !str_eq_c(jv_str(mode), "auto"))
		return bad(err, field, "is %s; it takes \"auto\" or \"required\"",
			   jv_text(mode, found, sizeof found));
	snprintf(field, sizeof field, "%s.allowed_tools.tools", name);
	if (!jv_len(tools))
		return bad(err, field, "is %s; it takes an array of at least one of tools",
			   jv_text(tools, found, sizeof found));
	for (size_t i = 0; i < jv_len(tools); i++) {
		snprintf(field, sizeof field, "%s.allowed_tools.tools[%zu]", name, i);
		if (!jv_str(field_function_name(jv_at(tools, i))).len)
			return bad(err, field,
				   "is %s; it takes {\"type\": \"function\", \"function\": {\"name\"}}",
				   field_describe(jv_at(tools, i), found));
	}
	r->allowed_tools = tools;
	return HOKKU_OK;
}

static enum hokku_code take_tool_choice(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	static const struct {
		const char *text;
		enum tool_choice choice;
	} rows[] = {{"auto", TOOLS_AUTO}, {"none", TOOLS_NONE}, {"required", TOOLS_REQUIRED}};
	char found[96];
	const struct jv *type = jv_get(v, "type");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!str_eq_c(jv_str(v), rows[i].text))
			continue;
		r->tool_choice = rows[i].choice;
		return HOKKU_OK;
	}
	if (str_eq_c(jv_str(type), "function"))
		return take_named(r, name, v, err);
	if (str_eq_c(jv_str(type), "allowed_tools"))
		return take_allowed(r, name, v, err);
	return bad(err, name,
		   "is %s; it takes \"auto\", \"none\", \"required\", {\"type\": \"function\", \"function\": "
		   "{\"name\"}} or {\"type\": \"allowed_tools\", ...}",
		   jv_is(v, JV_OBJECT) ? jv_text(v, found, sizeof found) : field_describe(v, found));
}

static enum hokku_code take_parallel_calls(struct gen_request *r, const char *name, const struct jv *v,
					   struct request_error *err)
{
	bool parallel = true;
	enum hokku_code rc = field_bool(name, v, &parallel, err);
	r->one_call = !parallel;
	return rc;
}

static enum hokku_code take_effort(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	static const char *const known[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
	char found[96];
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!str_eq_c(jv_str(v), known[i]))
			continue;
		r->thinking = i ? THINKING_ON : THINKING_OFF;
		r->effort = i ? jv_str(v) : (struct str){NULL, 0};
		return HOKKU_OK;
	}
	return bad(
		err, name,
		"is %s; it takes \"none\", \"minimal\", \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"",
		field_describe(v, found));
}

static bool has_tool(const struct jv *tools, struct str name)
{
	for (size_t i = 0; i < jv_len(tools); i++)
		if (str_eq(jv_str(field_function_name(jv_at(tools, i))), name))
			return true;
	return false;
}

/* The names of tools. */
static void list_tools(const struct jv *tools, struct strbuf *set)
{
	for (size_t i = 0; i < jv_len(tools); i++)
		name_set_add(set, jv_str(field_function_name(jv_at(tools, i))));
}

static enum hokku_code no_such_tool(struct request_error *err, const char *field, struct str name)
{
	char quoted[80];
	return bad(err, field, "is %s, which none of tools is called",
		   str_quote(name, quoted, sizeof quoted));
}

/* The tools that may be called are all that there are, then. */
static enum hokku_code keep_allowed(struct gen_request *r, struct request_error *err)
{
	char field[80];
	struct strbuf kept = {0}, names = {0}, allowed = {0};
	enum hokku_code rc = HOKKU_OK;
	bool any = false;
	list_tools(r->tools, &names);
	list_tools(r->allowed_tools, &allowed);
	if (names.failed || allowed.failed)
		rc = field_no_memory(err);
	for (size_t i = 0; i < jv_len(r->allowed_tools) && !rc; i++) {
		struct str name = jv_str(field_function_name(jv_at(r->allowed_tools, i)));
		snprintf(field, sizeof field, "tool_choice.allowed_tools.tools[%zu].function.name", i);
		if (!name_set_has(&names, name))
			rc = no_such_tool(err, field, name);
	}
	strbuf_add_c(&kept, "[");
	for (size_t i = 0; i < jv_len(r->tools); i++) {
		const struct jv *tool = jv_at(r->tools, i);
		if (!name_set_has(&allowed, jv_str(field_function_name(tool))))
			continue;
		strbuf_add_c(&kept, any ? "," : "");
		jv_write(tool, &kept);
		any = true;
	}
	strbuf_add_c(&kept, "]");
	kept.failed |= names.failed || allowed.failed;
	if (!rc)
		rc = request_make(r, &kept, &r->tools, err);
	strbuf_free(&kept);
	strbuf_free(&names);
	strbuf_free(&allowed);
	return rc;
}

/* What tool_choice asks of tools. */
static enum hokku_code check_tools(struct gen_request *r, struct request_error *err)
{
	bool wants = r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED || r->allowed_tools;
	if (wants && !r->tools)
		return bad(err, "tool_choice", "asks for a call, and there are no tools");
	if (r->tool_choice == TOOLS_NAMED && !has_tool(r->tools, r->tool_name))
		return no_such_tool(err, "tool_choice.function.name", r->tool_name);
	if (r->tool_choice == TOOLS_NONE)
		r->tools = NULL;
	return r->allowed_tools ? keep_allowed(r, err) : HOKKU_OK;
}

/* ---- what is not done: the value that asks for nothing is taken, any other refused ---- */

static enum hokku_code take_modalities(struct gen_request *r, const char *name, const struct jv *v,
				       struct request_error *err)
{
	char found[96];
	(void)r;
	if (jv_len(v) == 1 && str_eq_c(jv_str(jv_at(v, 0)), "text"))
		return HOKKU_OK;
	return bad(err, name, "is %s; this server answers with [\"text\"] alone",
		   jv_text(v, found, sizeof found));
}

static enum hokku_code take_verbosity(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	char found[96];
	(void)r;
	if (str_eq_c(jv_str(v), "medium"))
		return HOKKU_OK;
	return bad(err, name, "is %s; this server takes \"medium\" alone: ask for it in a message",
		   field_describe(v, found));
}

const struct field openai_chat_fields[] = {
	/* clang-format off */
	{"messages", field_messages},
	{"model", field_model},
	{"stream", field_stream},
	{"stream_options", openai_take_stream_options},
	{"max_tokens", field_max_tokens},
	{"max_completion_tokens", take_max_completion_tokens},
	FIELDS_OF_QUEUE,
	{"return_token_ids", field_return_ids},
	{"stop", field_stop},
	{"seed", openai_take_seed},
	{"top_p", openai_take_top_p},
	FIELDS_OF_RULES,
	{"logprobs", field_logprobs},
	{"top_logprobs", field_top_logprobs},
	{"prompt_logprobs", field_prompt_logprobs},
	{"tools", field_function_tools},
	{"tool_choice", take_tool_choice},
	{"parallel_tool_calls", take_parallel_calls},
	{"reasoning_effort", take_effort},
	{"thinking_token_budget", field_thinking_budget},
	FIELDS_OF_SHAPES,
	{"modalities", take_modalities},
	{"verbosity", take_verbosity},
	{"functions", field_refuse},
	{"function_call", field_refuse},
	{"audio", field_refuse},
	{"web_search_options", field_refuse},
	{"moderation", field_refuse},
	OPENAI_PASSED_OVER,
	/* As other servers of this API have them, beside the sampling fields. */
	{"chat_template_kwargs", field_template_kwargs},
	{"add_generation_prompt", field_generation_prompt},
	{"now", field_now},
	{"id", field_id},
	{NULL, NULL},
	/* clang-format on */
};

static enum hokku_code check_chat(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->messages)
		return bad(err, "messages", "is missing; it takes an array of at least one {role, content}");
	if (r->max_tokens && r->max_completion_tokens && r->max_tokens != r->max_completion_tokens)
		return bad(err, "max_completion_tokens", "is %u and max_tokens is %u; give one of them",
			   r->max_completion_tokens, r->max_tokens);
	if (r->max_completion_tokens)
		r->max_tokens = r->max_completion_tokens;
	enum hokku_code rc = openai_check_stream(r, err);
	if (!rc)
		rc = openai_check_messages(jv_get(&r->json.root, "messages"), err);
	if (!rc)
		rc = check_tools(r, err);
	if (rc)
		return rc;
	rc = request_check_shape(r, err);
	if (!rc)
		rc = request_check_rules(r, err);
	return rc ? rc : request_check_logprobs(r, err);
}

const struct request_form request_openai_chat = {.sampling = SAMPLING_OPENAI,
						 .reads = true,
						 .strict = true,
						 .fields = openai_chat_fields,
						 .check = check_chat};
