/* Tools that requests bring, in OpenAI's form, which Ollama's API has too. */
#include <stdio.h>

#include "server/field.h"

/* OpenAI's own characters, and those that other servers' tools have besides. */
static bool is_tool_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i], lower = (char)(c | 0x20);
		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && !strchr("_-.:/", c))
			return false;
	}
	return name.len >= 1 && name.len <= REQUEST_MAX_TOOL_NAME_BYTES && !memchr(name.ptr, 0, name.len);
}

const struct jv *field_function_name(const struct jv *tool)
{
	return jv_get(jv_get(tool, "function"), "name");
}

static enum hokku_code check_tool(const struct jv *tool, size_t i, const char *name,
				  struct request_error *err)
{
	static const struct {
		const char *name;
		enum jv_type type;
		const char *takes;
	} rows[] = {
		{"description", JV_STRING, "a string"},
		{"parameters", JV_OBJECT, "a JSON Schema, an object"},
		{"strict", JV_BOOL, "true or false"},
	};
	char found[96], field[64];
	const struct jv *type = jv_get(tool, "type"), *function = jv_get(tool, "function");
	snprintf(field, sizeof field, "%s[%zu].type", name, i);
	if (!str_eq_c(jv_str(type), "function"))
		return bad(err, field, "is %s; it takes \"function\"",
			   type ? field_describe(type, found) : "missing");
	snprintf(field, sizeof field, "%s[%zu].function.name", name, i);
	if (!is_tool_name(jv_str(field_function_name(tool))))
		return bad(err, field, "is %s; it takes 1 to %d characters out of A-Z a-z 0-9 _ - . : /",
			   jv_text(field_function_name(tool), found, sizeof found),
			   REQUEST_MAX_TOOL_NAME_BYTES);
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		const struct jv *v = jv_get(function, rows[k].name);
		snprintf(field, sizeof field, "%s[%zu].function.%s", name, i, rows[k].name);
		if (!jv_none(v) && !jv_is(v, rows[k].type))
			return bad(err, field, "is %s; it takes %s", field_describe(v, found), rows[k].takes);
	}
	return HOKKU_OK;
}

enum hokku_code field_function_tools(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	enum hokku_code rc = field_tools(r, name, v, err);
	for (size_t i = 0; !rc && i < jv_len(v); i++)
		rc = check_tool(jv_at(v, i), i, name, err);
	return rc;
}
