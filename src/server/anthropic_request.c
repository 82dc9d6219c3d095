/*
 * POST /v1/messages and /v1/messages/count_tokens: Anthropic's fields, and of the samplers and template
 * arguments those that hokku's other routes take, too. A field is done, or has no effect on an answer here
 * (told as a warning), or is refused by name. Places in a request are named as that API's own errors do:
 * messages.2.content.0.text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/anthropic.h"
#include "server/openai_fields.h"

/* ---- objects in messages and tools ---- */

const char *anthropic_at(const char *path, const char *name, char out[64])
{
	snprintf(out, 64, "%.40s%s%.22s", path, *path ? "." : "", name);
	out[utf8_valid_prefix(out, strlen(out))] = '\0'; /* it may be cut */
	return out;
}

enum hokku_code anthropic_check_members(const char *path, const char *where, const struct jv *v,
					const char *const *known, struct request_error *err)
{
	char field[64];
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = jv_key(v, i);
		const char *const *k = known;
		while (*k && !str_eq_c(key, *k))
			k++;
		if (*k || jv_none(jv_value(v, i)))
			continue;
		const char *near = str_nearest(key.ptr, known);
		anthropic_at(path, key.ptr, field);
		return bad(err, field,
			   near ? "is no field of %s that this server knows; did you mean \"%s\"?"
				: "is no field of %s that this server knows%s",
			   where, near ? near : "");
	}
	return HOKKU_OK;
}

enum hokku_code anthropic_check_cache_control(const char *path, const struct jv *v, struct request_error *err)
{
	char field[64], found[96];
	const struct jv *ttl = jv_get(v, "ttl");
	if (jv_none(v))
		return HOKKU_OK;
	if (!str_eq_c(jv_str(jv_get(v, "type")), "ephemeral")) {
		anthropic_at(path, "cache_control", field);
		return bad(err, field, "is %s; it takes {\"type\": \"ephemeral\"}",
			   jv_text(v, found, sizeof found));
	}
	if (!jv_none(ttl) && !str_eq_c(jv_str(ttl), "5m") && !str_eq_c(jv_str(ttl), "1h")) {
		anthropic_at(path, "cache_control.ttl", field);
		return bad(err, field, "is %s; it takes \"5m\" or \"1h\"", field_describe(ttl, found));
	}
	return HOKKU_OK;
}

enum hokku_code anthropic_check_name(const char *path, const struct jv *v, struct request_error *err)
{
	char found[96];
	struct str s = jv_str(v);
	bool ok = s.len >= 1 && s.len <= ANTHROPIC_MAX_NAME_BYTES;
	for (size_t i = 0; ok && i < s.len; i++) {
		char c = s.ptr[i];
		ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
		     c == '_';
	}
	if (ok)
		return HOKKU_OK;
	return bad(err, path, "is %s; it takes 1 to %d characters out of A-Z a-z 0-9 - _",
		   v ? field_describe(v, found) : "missing", ANTHROPIC_MAX_NAME_BYTES);
}

/* How many arrays and objects stand in one another. */
static uint32_t depth_of(const struct jv *v)
{
	uint32_t deepest = 0, n = v->type == JV_ARRAY || v->type == JV_OBJECT ? v->n : 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t depth = depth_of(v->type == JV_ARRAY ? jv_at(v, i) : jv_value(v, i));
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + (v->type == JV_ARRAY || v->type == JV_OBJECT);
}

enum hokku_code anthropic_check_object(const char *path, const struct jv *v, struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, path, "is %s; it takes an object", v ? field_describe(v, found) : "missing");
	uint32_t depth = depth_of(v);
	if (depth > ANTHROPIC_MAX_DEPTH)
		return bad(err, path, "has objects and arrays %u deep; they may stand %d deep", depth,
			   ANTHROPIC_MAX_DEPTH);
	return HOKKU_OK;
}

/* ---- fields ---- */

/* system, messages, tools and tool_choice are read together, once all fields are there. */
static enum hokku_code take_later(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	(void)r;
	(void)name;
	(void)v;
	(void)err;
	return HOKKU_OK;
}

static enum hokku_code take_stop_sequences(struct gen_request *r, const char *name, const struct jv *v,
					   struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array of up to %d strings",
			   field_describe(v, found), ENGINE_MAX_STOP);
	if (jv_len(v) > ENGINE_MAX_STOP)
		return bad(err, name, "has %zu strings; it takes up to %d", jv_len(v), ENGINE_MAX_STOP);
	for (size_t i = 0; i < jv_len(v); i++) {
		struct str s = jv_str(jv_at(v, i));
		snprintf(field, sizeof field, "%s.%zu", name, i);
		if (!jv_is(jv_at(v, i), JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   field_describe(jv_at(v, i), found));
		if (s.len < 1 || s.len > ENGINE_MAX_STOP_BYTES)
			return bad(err, field, "has %zu bytes; it takes 1 to %d", s.len,
				   ENGINE_MAX_STOP_BYTES);
		r->stop[r->n_stop++] = s;
	}
	return HOKKU_OK;
}

static enum hokku_code take_thinking(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	static const char *const known[] = {"type", "budget_tokens", "display", NULL};
	char found[96];
	int64_t n = 0;
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes an object as {\"type\": \"adaptive\"}",
			   field_describe(v, found));
	const struct jv *type = jv_get(v, "type"), *budget = jv_get(v, "budget_tokens"),
			*display = jv_get(v, "display");
	bool enabled = str_eq_c(jv_str(type), "enabled");
	enum hokku_code rc = anthropic_check_members(name, name, v, known, err);
	if (rc)
		return rc;
	if (!enabled && !str_eq_c(jv_str(type), "disabled") && !str_eq_c(jv_str(type), "adaptive"))
		return bad(err, "thinking.type", "is %s; it takes \"adaptive\", \"enabled\" or \"disabled\"",
			   type ? field_describe(type, found) : "missing");
	if (!jv_none(display) && !str_eq_c(jv_str(display), "summarized"))
		return bad(err, "thinking.display",
			   "is %s; it takes \"summarized\": thinking comes as it is drawn",
			   field_describe(display, found));
	if (!enabled && !jv_none(budget))
		return bad(err, "thinking.budget_tokens", "is %s; it goes with \"type\": \"enabled\"",
			   field_describe(budget, found));
	if (enabled && (!budget || !field_whole(budget, &n) || n < ANTHROPIC_MIN_BUDGET || n > INT32_MAX))
		return bad(err, "thinking.budget_tokens", "is %s; it takes a whole number from %d to %d",
			   budget ? field_describe(budget, found) : "missing", ANTHROPIC_MIN_BUDGET,
			   INT32_MAX);
	r->thinking = enabled                              ? THINKING_ON
		      : str_eq_c(jv_str(type), "disabled") ? THINKING_OFF
							   : THINKING_UNSAID;
	r->thinking_budget = (uint32_t)n;
	return HOKKU_OK;
}

/* name: of static storage; its members are named after it. */
static enum hokku_code take_format(struct gen_request *r, const char *name, const char *type_name,
				   const char *schema_name, const struct jv *v, struct request_error *err)
{
	static const char *const known[] = {"type", "schema", NULL};
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes {\"type\": \"json_schema\", \"schema\": {...}}",
			   field_describe(v, found));
	const struct jv *type = jv_get(v, "type"), *schema = jv_get(v, "schema");
	enum hokku_code rc = anthropic_check_members(name, name, v, known, err);
	if (rc)
		return rc;
	if (!str_eq_c(jv_str(type), "json_schema"))
		return bad(err, type_name, "is %s; it takes \"json_schema\"",
			   type ? field_describe(type, found) : "missing");
	if (!jv_is(schema, JV_OBJECT))
		return bad(err, schema_name, "is %s; it takes a JSON Schema: an object",
			   schema ? field_describe(schema, found) : "missing");
	return field_json_schema(r, schema_name, schema, err);
}

static enum hokku_code take_output_format(struct gen_request *r, const char *name, const struct jv *v,
					  struct request_error *err)
{
	return take_format(r, name, "output_format.type", "output_format.schema", v, err);
}

static enum hokku_code take_output_config(struct gen_request *r, const char *name, const struct jv *v,
					  struct request_error *err)
{
	static const char *const known[] = {"format", "effort", NULL};
	static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max"};
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes an object with format or effort",
			   field_describe(v, found));
	const struct jv *format = jv_get(v, "format"), *effort = jv_get(v, "effort");
	enum hokku_code rc = anthropic_check_members(name, name, v, known, err);
	if (!rc && !jv_none(format))
		rc = take_format(r, "output_config.format", "output_config.format.type",
				 "output_config.format.schema", format, err);
	if (rc || jv_none(effort))
		return rc;
	for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++)
		if (str_eq_c(jv_str(effort), efforts[i]))
			r->effort = jv_str(effort);
	if (!r->effort.ptr)
		return bad(err, "output_config.effort",
			   "is %s; it takes \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"",
			   field_describe(effort, found));
	return HOKKU_OK;
}

static enum hokku_code take_cache_control(struct gen_request *r, const char *name, const struct jv *v,
					  struct request_error *err)
{
	(void)r;
	(void)name;
	return anthropic_check_cache_control("", v, err);
}

/* Edits of the conversation before it goes to the model: those that keep all of it. */
static enum hokku_code take_context_management(struct gen_request *r, const char *name, const struct jv *v,
					       struct request_error *err)
{
	static const char *const known[] = {"edits", NULL};
	char field[64], found[96];
	(void)r;
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes an object with edits", field_describe(v, found));
	const struct jv *edits = jv_get(v, "edits");
	enum hokku_code rc = anthropic_check_members(name, name, v, known, err);
	if (!rc && !jv_none(edits) && !jv_is(edits, JV_ARRAY))
		return bad(err, "context_management.edits", "is %s; it takes an array of edits",
			   field_describe(edits, found));
	for (size_t i = 0; i < jv_len(edits) && !rc; i++) {
		const struct jv *edit = jv_at(edits, i);
		snprintf(field, sizeof field, "context_management.edits.%zu", i);
		if (!str_eq_c(jv_str(jv_get(edit, "type")), "clear_thinking_20251015") ||
		    !str_eq_c(jv_str(jv_get(edit, "keep")), "all"))
			rc = bad(
				err, field,
				"is %s; it takes {\"type\": \"clear_thinking_20251015\", \"keep\": \"all\"}: this server "
				"clears nothing of a conversation",
				jv_text(edit, found, sizeof found));
	}
	return rc;
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

/* What the prompt depends on, and more that clients give with it: count_tokens takes no other. */
#define PROMPT_FIELDS                                                                                    \
	{"model", field_model}, {"system", take_later}, {"messages", take_later}, {"tools", take_later}, \
		{"tool_choice", take_later}, {"thinking", take_thinking},                                \
		{"output_config", take_output_config}, {"output_format", take_output_format},            \
		{"cache_control", take_cache_control}, {"context_management", take_context_management},  \
		{"mcp_servers", field_refuse}, {"speed", pass_over},                                     \
		{"chat_template_kwargs", field_template_kwargs},                                         \
	{                                                                                                \
		"now", field_now                                                                         \
	}

static const struct field message_fields[] = {
	/* clang-format off */
	PROMPT_FIELDS,
	{"max_tokens", field_max_tokens_or_none},
	{"stream", field_stream},
	{"stop_sequences", take_stop_sequences},
	{"top_p", openai_take_top_p},
	{"metadata", pass_over},
	{"service_tier", pass_over},
	{"inference_geo", pass_over},
	{"container", field_refuse},
	{"diagnostics", field_refuse},
	/* hokku's own, beside the sampling fields. */
	{"seed", field_seed},
	FIELDS_OF_RULES,
	{"id", field_id},
	{"priority", field_priority},
	{"cache_prompt", field_cache_prompt},
	{"cache_salt", field_cache_salt},
	{"cache_debug", field_cache_debug},
	{"json_schema", field_json_schema},
	{"grammar", field_grammar},
	{"regex", field_regex},
	{"choice", field_choice},
	{"json_space", field_json_space},
	{NULL, NULL},
	/* clang-format on */
};

static const struct field count_fields[] = {PROMPT_FIELDS, {NULL, NULL}};

/* ---- what must hold between them ---- */

static bool has_tool(const struct gen_request *r, struct str name)
{
	for (size_t i = 0; i < jv_len(r->tools); i++)
		if (str_eq(jv_str(jv_get(jv_get(jv_at(r->tools, i), "function"), "name")), name))
			return true;
	return false;
}

/* The tools are there. */
static enum hokku_code read_tool_choice(struct gen_request *r, struct request_error *err)
{
	static const char *const known[] = {"type", "name", "disable_parallel_tool_use", NULL};
	static const char *const types[] = {"auto", "none", "any", "tool"}; /* as in enum tool_choice */
	char found[96];
	const struct jv *v = jv_get(&r->json.root, "tool_choice"), *type = jv_get(v, "type"),
			*name = jv_get(v, "name"), *single = jv_get(v, "disable_parallel_tool_use");
	size_t i = 0;
	if (jv_none(v))
		return HOKKU_OK;
	if (!jv_is(v, JV_OBJECT))
		return bad(err, "tool_choice", "is %s; it takes an object as {\"type\": \"auto\"}",
			   field_describe(v, found));
	enum hokku_code rc = anthropic_check_members("tool_choice", "tool_choice", v, known, err);
	if (!rc && !jv_none(single))
		rc = field_bool("tool_choice.disable_parallel_tool_use", single, &r->one_call, err);
	if (rc)
		return rc;
	while (i < sizeof types / sizeof *types && !str_eq_c(jv_str(type), types[i]))
		i++;
	if (i == sizeof types / sizeof *types)
		return bad(err, "tool_choice.type", "is %s; it takes \"auto\", \"any\", \"tool\" or \"none\"",
			   type ? field_describe(type, found) : "missing");
	r->tool_choice = (enum tool_choice)i;
	if (r->tool_choice == TOOLS_NONE)
		r->tools = NULL;
	if (r->tool_choice != TOOLS_NAMED)
		return jv_none(name) ? HOKKU_OK
				     : bad(err, "tool_choice.name", "is %s; it goes with \"type\": \"tool\"",
					   field_describe(name, found));
	r->tool_name = jv_str(name);
	if (!jv_is(name, JV_STRING) || !has_tool(r, r->tool_name))
		return bad(err, "tool_choice.name", "is %s; it takes the name of one of tools",
			   name ? field_describe(name, found) : "missing");
	return HOKKU_OK;
}

/* An answer that is begun goes on with a text, any. */
static enum hokku_code check_begun(const struct gen_request *r, struct request_error *err)
{
	const char *other = r->shape_field               ? r->shape_field
			    : r->thinking == THINKING_ON ? "thinking"
			    : r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED
				    ? "tool_choice"
				    : NULL;
	if (!r->begun.len || !other)
		return HOKKU_OK;
	return bad(err, other,
		   "says how the answer begins, and so does the last message, which is the assistant's; "
		   "give one of them");
}

static enum hokku_code check_prompt(struct gen_request *r, bool keep, struct request_error *err)
{
	enum hokku_code rc = anthropic_translate(r, keep, err);
	if (!rc)
		rc = read_tool_choice(r, err);
	if (!rc && !r->tools && (r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED))
		rc = bad(err, "tool_choice", "goes with tools, and there are none");
	return rc ? rc : check_begun(r, err);
}

static enum hokku_code check_messages(struct gen_request *r, bool keep, struct request_error *err)
{
	if (!r->max_tokens)
		return bad(err, "max_tokens", "is missing; it takes a whole number from 0 to %d", INT32_MAX);
	if (r->thinking_budget >= r->max_tokens)
		return bad(err, "thinking.budget_tokens",
			   "is %u; it must be less than max_tokens, which is %u", r->thinking_budget,
			   r->no_answer ? 0 : r->max_tokens);
	enum hokku_code rc = check_prompt(r, keep, err);
	if (!rc)
		rc = request_check_rules(r, err);
	return rc ? rc : request_check_shape(r, err);
}

static enum hokku_code check(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return check_messages(r, false, err);
}

static enum hokku_code check_kept(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return check_messages(r, true, err);
}

static enum hokku_code check_count(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return check_prompt(r, false, err);
}

static enum hokku_code check_count_kept(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return check_prompt(r, true, err);
}

static enum hokku_code tell_count(const struct request_told *told, struct strbuf *out,
				  struct request_error *err)
{
	const struct strbuf *warnings = &told->request->warnings;
	(void)err;
	strbuf_addf(out, "{\"input_tokens\":%zu", told->ids->n);
	if (warnings->len)
		strbuf_addf(out, ",\"warnings\":[%s]", warnings->ptr);
	strbuf_add_c(out, "}\n");
	return HOKKU_OK;
}

static void name_tool(const struct gen_request *r, char field[64])
{
	(void)r;
	static const char inner[] = ".function.parameters";
	char before[64], *rest;
	memcpy(before, field, sizeof before);
	if (strncmp(before, "tools[", 6) != 0)
		return;
	unsigned long i = strtoul(before + 6, &rest, 10);
	if (*rest != ']')
		return;
	bool schema = strncmp(++rest, inner, sizeof inner - 1) == 0;
	rest += schema ? sizeof inner - 1 : 0;
	snprintf(field, 64, "tools.%lu%s%.40s", i, schema ? ".input_schema" : "", rest);
	field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
}

#define ANTHROPIC_FORM .reads = true, .name_tool = name_tool, .sampling = SAMPLING_OPENAI, .strict = true
const struct request_form request_anthropic = {ANTHROPIC_FORM, .fields = message_fields, .check = check};
const struct request_form request_anthropic_kept = {ANTHROPIC_FORM, .fields = message_fields,
						    .check = check_kept};
const struct request_form request_anthropic_count = {ANTHROPIC_FORM, .no_sampling = true,
						     .fields = count_fields, .tell = tell_count,
						     .check = check_count};
const struct request_form request_anthropic_count_kept = {ANTHROPIC_FORM, .no_sampling = true,
							  .fields = count_fields, .tell = tell_count,
							  .check = check_count_kept};
