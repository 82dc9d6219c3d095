/* What Anthropic's API calls tools, as chat templates read them (OpenAI's form). */
#include <stdio.h>
#include <stdlib.h>

#include "server/anthropic.h"

static void put_str(struct strbuf *b, struct str s)
{
	strbuf_add_json(b, s.len ? s.ptr : "", s.len);
}

/* Members of a tool that ask for nothing here, but in the one way that is done. */
static enum hokku_code check_tool_options(const char *path, const struct jv *tool, struct request_error *err)
{
	char field[64], found[96];
	bool on = false;
	const struct jv *callers = jv_get(tool, "allowed_callers"),
			*examples = jv_get(tool, "input_examples"), *later = jv_get(tool, "defer_loading"),
			*eager = jv_get(tool, "eager_input_streaming"), *strict = jv_get(tool, "strict");
	enum hokku_code rc = HOKKU_OK;
	anthropic_at(path, "strict", field);
	if (!jv_none(strict))
		rc = field_bool(field, strict, &on, err);
	anthropic_at(path, "eager_input_streaming", field);
	if (!rc && !jv_none(eager)) /* input always comes as it is drawn */
		rc = field_bool(field, eager, &on, err);
	anthropic_at(path, "defer_loading", field);
	on = false;
	if (!rc && !jv_none(later))
		rc = field_bool(field, later, &on, err);
	if (!rc && on)
		rc = bad(err, field,
			 "is true; this server searches no tools: all of them go into the prompt");
	anthropic_at(path, "allowed_callers", field);
	if (!rc && !jv_none(callers) &&
	    !(jv_len(callers) == 1 && str_eq_c(jv_str(jv_at(callers, 0)), "direct")))
		rc = bad(err, field, "is %s; it takes [\"direct\"]: no tool of this server's calls others",
			 jv_text(callers, found, sizeof found));
	anthropic_at(path, "input_examples", field);
	if (!rc && !jv_none(examples) && !(jv_is(examples, JV_ARRAY) && jv_len(examples) == 0))
		rc = bad(err, field,
			 "is %s; chat templates have no place for examples: put them into description",
			 field_describe(examples, found));
	return rc;
}

static enum hokku_code check_tool(const char *path, const struct jv *tool, struct request_error *err)
{
	static const char *const known[] = {"type",
					    "name",
					    "description",
					    "input_schema",
					    "strict",
					    "cache_control",
					    "input_examples",
					    "defer_loading",
					    "allowed_callers",
					    "eager_input_streaming",
					    NULL};
	char field[64], found[96];
	if (!jv_is(tool, JV_OBJECT))
		return bad(err, path, "is %s; it takes an object with name and input_schema",
			   field_describe(tool, found));
	const struct jv *type = jv_get(tool, "type"), *text = jv_get(tool, "description"),
			*schema = jv_get(tool, "input_schema");
	anthropic_at(path, "type", field);
	if (!jv_none(type) && !str_eq_c(jv_str(type), "custom"))
		return bad(err, field, "is %s; it takes \"custom\": this server has no tools of its own",
			   field_describe(type, found));
	enum hokku_code rc = anthropic_check_members(path, "a tool", tool, known, err);
	anthropic_at(path, "name", field);
	if (!rc)
		rc = anthropic_check_name(field, jv_get(tool, "name"), err);
	anthropic_at(path, "description", field);
	if (!rc && !jv_none(text) && !jv_is(text, JV_STRING))
		rc = bad(err, field, "is %s; it takes a string", field_describe(text, found));
	anthropic_at(path, "input_schema", field);
	if (!rc)
		rc = anthropic_check_object(field, schema, err);
	anthropic_at(path, "input_schema.type", field);
	if (!rc && !str_eq_c(jv_str(jv_get(schema, "type")), "object"))
		rc = bad(err, field, "is %s; it takes \"object\"",
			 jv_text(jv_get(schema, "type"), found, sizeof found));
	if (!rc)
		rc = anthropic_check_cache_control(path, jv_get(tool, "cache_control"), err);
	return rc ? rc : check_tool_options(path, tool, err);
}

static void put_tool(struct strbuf *b, const struct jv *tool)
{
	const struct jv *text = jv_get(tool, "description"), *strict = jv_get(tool, "strict");
	strbuf_add_c(b, "{\"type\":\"function\",\"function\":{\"name\":");
	put_str(b, jv_str(jv_get(tool, "name")));
	if (!jv_none(text)) {
		strbuf_add_c(b, ",\"description\":");
		put_str(b, jv_str(text));
	}
	strbuf_add_c(b, ",\"parameters\":");
	jv_write(jv_get(tool, "input_schema"), b);
	if (!jv_none(strict))
		strbuf_add_c(b, jv_is_true(strict) ? ",\"strict\":true" : ",\"strict\":false");
	strbuf_add_c(b, "}}");
}

struct tool_name {
	struct str name;
	size_t index;
};

static int by_name(const void *left, const void *right)
{
	const struct tool_name *a = left, *b = right;
	int order = memcmp(a->name.ptr, b->name.ptr, a->name.len < b->name.len ? a->name.len : b->name.len);
	if (order || a->name.len != b->name.len)
		return order ? order : a->name.len < b->name.len ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* Each tool has a name of its own. */
static enum hokku_code check_names(const struct jv *tools, struct request_error *err)
{
	char field[64], quoted[64];
	size_t n = jv_len(tools);
	struct tool_name *names = malloc((n + 1) * sizeof *names);
	if (!names)
		return field_no_memory(err);
	for (size_t i = 0; i < n; i++)
		names[i] = (struct tool_name){jv_str(jv_get(jv_at(tools, i), "name")), i};
	qsort(names, n, sizeof *names, by_name);
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 1; i < n && !rc; i++) {
		if (!str_eq(names[i - 1].name, names[i].name))
			continue;
		snprintf(field, sizeof field, "tools.%zu.name", names[i].index);
		rc = bad(err, field, "is %s, which tools.%zu has, too; each has one of its own",
			 str_quote(names[i].name, quoted, sizeof quoted), names[i - 1].index);
	}
	free(names);
	return rc;
}

enum hokku_code anthropic_put_tools(const struct jv *v, struct strbuf *out, struct request_error *err)
{
	char found[96], field[64];
	if (jv_none(v))
		return HOKKU_OK;
	if (!jv_is(v, JV_ARRAY))
		return bad(err, "tools", "is %s; it takes an array of tools", field_describe(v, found));
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *tool = jv_at(v, i);
		snprintf(field, sizeof field, "tools.%zu", i);
		enum hokku_code rc = check_tool(field, tool, err);
		if (rc)
			return rc;
		strbuf_add_c(out, i ? "," : "");
		put_tool(out, tool);
	}
	return check_names(v, err);
}
