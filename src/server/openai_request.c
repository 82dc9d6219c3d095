/*
 * POST /v1/chat/completions: OpenAI's fields, and the samplers and template arguments that other servers take
 * under the same names. A field is done, or has no effect on an answer here (told as a warning), or is
 * refused by name: nothing that would change the answer is passed over.
 */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/field.h"

static enum hokku_code take_model(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	char found[96];
	struct str s = jv_str(v);
	if (!jv_is(v, JV_STRING) || s.len < 1 || s.len > REQUEST_MAX_MODEL_BYTES)
		return bad(err, name, "is %s; it takes a string of 1 to %d bytes", field_describe(v, found),
			   REQUEST_MAX_MODEL_BYTES);
	r->model = strndup(s.ptr, s.len);
	return r->model ? HOKKU_OK : field_no_memory(err);
}

static enum hokku_code take_max_completion_tokens(struct gen_request *r, const char *name, const struct jv *v,
						  struct request_error *err)
{
	uint32_t before = r->max_tokens;
	enum hokku_code rc = field_max_tokens(r, name, v, err);
	r->max_completion_tokens = r->max_tokens;
	r->max_tokens = before;
	return rc;
}

/* OpenAI's seeds are signed: a negative one is the unsigned number of the same 64 bits. */
static enum hokku_code take_seed(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	int64_t n;
	if (!field_whole(v, &n) || n >= 0)
		return field_seed(r, name, v, err);
	r->sampling.seed = (uint64_t)n;
	r->has_seed = true;
	return HOKKU_OK;
}

/* OpenAI's range includes 0: the likeliest token alone, which the least number above it is too. */
static enum hokku_code take_top_p(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	const struct sampling_field *f = sampling_fields;
	while (strcmp(f->name, name) != 0)
		f++;
	if (field_number(v) != 0)
		return field_sampling(r, f, v, err);
	r->sampling.top_p = FLT_MIN;
	return HOKKU_OK;
}

static enum hokku_code take_tools(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	char found[96], field[64];
	enum hokku_code rc = field_tools(r, name, v, err);
	for (size_t i = 0; !rc && i < jv_len(v); i++) {
		const struct jv *type = jv_get(jv_at(v, i), "type"),
				*function = jv_get(jv_at(v, i), "function");
		snprintf(field, sizeof field, "%s[%zu].type", name, i);
		if (!str_eq_c(jv_str(type), "function"))
			return bad(err, field, "is %s; it takes \"function\"",
				   type ? field_describe(type, found) : "missing");
		snprintf(field, sizeof field, "%s[%zu].function.name", name, i);
		if (!jv_is(jv_get(function, "name"), JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   jv_text(jv_get(function, "name"), found, sizeof found));
	}
	return rc;
}

static enum hokku_code take_stream_options(struct gen_request *r, const char *name, const struct jv *v,
					   struct request_error *err)
{
	static const char *const known[] = {"include_usage", "include_obfuscation", NULL};
	char found[96], field[64];
	bool ignored;
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes {\"include_usage\": true}", field_describe(v, found));
	r->stream_options = true;
	for (uint32_t i = 0; i < v->n; i++) {
		bool usage = str_eq_c(jv_key(v, i), known[0]);
		snprintf(field, sizeof field, "%s.%.40s", name, jv_key(v, i).ptr);
		field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
		if (!usage && !str_eq_c(jv_key(v, i), known[1]))
			return bad(err, field, "is no option of a stream; there are %s and %s", known[0],
				   known[1]);
		enum hokku_code rc = jv_none(jv_value(v, i))
					     ? HOKKU_OK
					     : field_bool(field, jv_value(v, i),
							  usage ? &r->include_usage : &ignored, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- what is not done: the value that asks for nothing is taken, any other refused ---- */

static enum hokku_code take_tool_choice(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	char found[96];
	r->no_tools = str_eq_c(jv_str(v), "none");
	if (r->no_tools || str_eq_c(jv_str(v), "auto"))
		return HOKKU_OK;
	return bad(err, name,
		   "is %s; this server takes \"auto\" and \"none\": no call can be forced on the model here",
		   field_describe(v, found));
}

static enum hokku_code take_parallel_calls(struct gen_request *r, const char *name, const struct jv *v,
					   struct request_error *err)
{
	bool parallel;
	(void)r;
	enum hokku_code rc = field_bool(name, v, &parallel, err);
	if (!rc && !parallel)
		return bad(err, name, "is false; this server cannot keep the model from several calls");
	return rc;
}

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

static enum hokku_code refuse(struct gen_request *r, const char *name, const struct jv *v,
			      struct request_error *err)
{
	static const struct {
		const char *name, *instead;
	} rows[] = {
		{"functions", "give them as tools"},
		{"function_call", "give functions as tools, which may have a tool_choice"},
		{"reasoning_effort",
		 "leave it out, or give chat_template_kwargs what the model's template takes for it"},
		{"audio", "answers are text"},
		{"web_search_options", "nothing is searched"},
	};
	size_t i = 0;
	(void)r;
	(void)v;
	while (strcmp(rows[i].name, name) != 0)
		i++;
	return bad(err, name, "is given and would change the answer, but is not done by this server: %s",
		   rows[i].instead);
}

/* What clients send along and no answer depends on here. */
static enum hokku_code pass_over(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char text[128];
	(void)v;
	(void)err;
	snprintf(text, sizeof text, "%s has no effect here", name);
	field_warn(&r->warnings, text);
	return HOKKU_OK;
}

static const struct field chat_fields[] = {
	/* clang-format off */
	{"messages", field_messages},
	{"model", take_model},
	{"stream", field_stream},
	{"stream_options", take_stream_options},
	{"max_tokens", field_max_tokens},
	{"max_completion_tokens", take_max_completion_tokens},
	{"n", field_n},
	{"priority", field_priority},
	{"cache_prompt", field_cache_prompt},
	{"cache_salt", field_cache_salt},
	{"cache_debug", field_cache_debug},
	{"stop", field_stop},
	{"seed", take_seed},
	{"top_p", take_top_p},
	{"logit_bias", field_logit_bias},
	{"logprobs", field_logprobs},
	{"top_logprobs", field_top_logprobs},
	{"prompt_logprobs", field_prompt_logprobs},
	{"tools", take_tools},
	{"tool_choice", take_tool_choice},
	{"parallel_tool_calls", take_parallel_calls},
	{"response_format", field_response_format},
	{"json_schema", field_json_schema},
	{"grammar", field_grammar},
	{"regex", field_regex},
	{"choice", field_choice},
	{"json_space", field_json_space},
	{"structured_outputs", field_structured_outputs},
	{"guided_json", field_json_schema},
	{"guided_regex", field_regex},
	{"guided_choice", field_choice},
	{"guided_grammar", field_grammar},
	{"modalities", take_modalities},
	{"verbosity", take_verbosity},
	{"functions", refuse},
	{"function_call", refuse},
	{"reasoning_effort", refuse},
	{"audio", refuse},
	{"web_search_options", refuse},
	{"user", pass_over},
	{"metadata", pass_over},
	{"store", pass_over},
	{"service_tier", pass_over},
	{"safety_identifier", pass_over},
	{"prompt_cache_key", pass_over},
	{"prompt_cache_retention", pass_over},
	{"prediction", pass_over},
	/* As other servers of this API have them, beside the sampling fields. */
	{"chat_template_kwargs", field_template_kwargs},
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
	if (r->stream_options && !r->stream)
		return bad(err, "stream_options", "is for streams; it goes with \"stream\": true");
	if (r->max_tokens && r->max_completion_tokens && r->max_tokens != r->max_completion_tokens)
		return bad(err, "max_completion_tokens", "is %u and max_tokens is %u; give one of them",
			   r->max_completion_tokens, r->max_tokens);
	if (r->max_completion_tokens)
		r->max_tokens = r->max_completion_tokens;
	if (r->no_tools)
		r->tools = NULL;
	if (r->tools)
		field_warn(
			&r->warnings,
			"tools go to the model through its chat template; a call that it answers with comes as "
			"it writes it, in content");
	enum hokku_code rc = request_check_shape(r, err);
	return rc ? rc : request_check_logprobs(r, err);
}

const struct request_form request_openai_chat = {
	.sampling = SAMPLING_OPENAI, .strict = true, .fields = chat_fields, .check = check_chat};
