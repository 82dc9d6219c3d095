/* Tools of POST /v1/responses: those that a client runs itself are given to the model as functions; those
 * that OpenAI's servers would run are left out, and told of. */
#include <stdio.h>
#include <stdlib.h>

#include "server/name_set.h"
#include "server/responses_internal.h"

enum { MAX_TOOL_NAME = 128 };

/* The name by which the model knows a tool; NULL: no memory. The caller frees it. */
static char *flat_name(struct str name, struct str of)
{
	struct strbuf flat = {0};
	strbuf_add(&flat, of.len ? of.ptr : "", of.len);
	strbuf_add_c(&flat, of.len ? "__" : "");
	strbuf_add(&flat, name.ptr ? name.ptr : "", name.len);
	if (!flat.failed)
		return flat.ptr;
	strbuf_free(&flat);
	return NULL;
}

/* Keeps the names of the tools that may be called; false: no memory. */
static bool list_allowed(struct responses_toolbox *t)
{
	for (size_t i = 0; i < jv_len(t->allowed); i++) {
		const struct jv *row = jv_at(t->allowed, i);
		struct str name = jv_str(jv_get(row, "name")), of = jv_str(jv_get(row, "namespace"));
		char *flat = flat_name(name.ptr ? name : STR_LIT(""), of);
		if (!flat)
			return false;
		name_set_add(of.len ? &t->flat_names : &t->names, str_c(flat));
		free(flat);
	}
	return !t->names.failed && !t->flat_names.failed;
}

static bool is_allowed(const struct responses_toolbox *t, struct str name, const char *flat)
{
	return !t->allowed || name_set_has(&t->names, name) || name_set_has(&t->flat_names, str_c(flat));
}

static enum hokku_code rename_tool(struct responses_toolbox *t, const char *flat, struct str name,
				   struct str of, bool custom)
{
	struct responses_request *own = t->r->responses;
	void *grown = realloc(own->renamed, (own->n_renamed + 1) * sizeof *own->renamed);
	if (!grown)
		return field_no_memory(t->err);
	own->renamed = grown;
	struct responses_tool row = {.flat = strdup(flat),
				     .name = strndup(name.ptr ? name.ptr : "", name.len),
				     .of = of.len ? strndup(of.ptr, of.len) : NULL,
				     .custom = custom};
	if (!row.flat || !row.name || (of.len && !row.of)) {
		free(row.flat);
		free(row.name);
		free(row.of);
		return field_no_memory(t->err);
	}
	own->renamed[own->n_renamed++] = row;
	return HOKKU_OK;
}

/* The format of a custom tool is one that is known: another would be a promise that nobody keeps. */
static enum hokku_code check_format(struct responses_toolbox *t, const struct jv *format, const char *at)
{
	static const struct {
		const char *member, *values[2], *wanted;
	} rows[] = {{"type", {"text", "grammar"}, "\"text\" or \"grammar\""},
		    {"syntax", {"regex", "lark"}, "\"regex\" or \"lark\""},
		    {"definition", {NULL, NULL}, "a string"}};
	char field[PATH_BYTES], found[96];
	snprintf(field, sizeof field, "%.100s.format", at);
	if (jv_none(format))
		return HOKKU_OK;
	if (!jv_is(format, JV_OBJECT))
		return bad(t->err, field,
			   "is %s; it takes {\"type\": \"text\"} or {\"type\": \"grammar\", ...}",
			   jv_text(format, found, sizeof found));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct jv *v = jv_get(format, rows[i].member);
		bool good = jv_is(v, JV_STRING) &&
			    (!rows[i].values[0] || str_eq_c(jv_str(v), rows[i].values[0]) ||
			     str_eq_c(jv_str(v), rows[i].values[1]));
		snprintf(field, sizeof field, "%.100s.format.%s", at, rows[i].member);
		if (!good)
			return bad(t->err, field, "is %s; it takes %s",
				   v ? jv_text(v, found, sizeof found) : "missing", rows[i].wanted);
		if (i == 0 && str_eq_c(jv_str(v), "text"))
			break;
	}
	return HOKKU_OK;
}

/* What a tool may leave out, and what it may not say. */
static enum hokku_code check_tool(struct responses_toolbox *t, const struct jv *tool, bool custom,
				  const char *at)
{
	char field[PATH_BYTES], found[96];
	const struct jv *description = jv_get(tool, "description"), *strict = jv_get(tool, "strict");
	snprintf(field, sizeof field, "%.100s.description", at);
	if (!jv_none(description) && !jv_is(description, JV_STRING))
		return bad(t->err, field, "is %s; it takes a string",
			   jv_text(description, found, sizeof found));
	snprintf(field, sizeof field, "%.100s.strict", at);
	if (!jv_none(strict) && !jv_is(strict, JV_BOOL))
		return bad(t->err, field, "is %s; it takes true or false",
			   jv_text(strict, found, sizeof found));
	return custom ? check_format(t, jv_get(tool, "format"), at) : HOKKU_OK;
}

/* A custom tool's calls hold a text; its form is a pattern, which can be enforced, or a grammar of a kind
 * that only its author's servers read, which the model is told. */
static void add_custom_schema(struct responses_toolbox *t, const struct jv *tool)
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
		responses_add_string(&t->out, (struct str){pattern.ptr, pattern.len});
	}
	t->out.failed |= pattern.failed;
	strbuf_free(&pattern);
	strbuf_add_c(&t->out, "}},\"required\":[\"input\"],\"additionalProperties\":false}");
}

static void add_description(struct responses_toolbox *t, const struct jv *tool, const struct jv *of,
			    bool custom)
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
		responses_add_string(&t->out, (struct str){text.ptr, text.len});
	}
	t->out.failed |= text.failed;
	strbuf_free(&text);
}

/* A function or a custom tool; of: the namespace that it stands in, NULL: none. */
static enum hokku_code add_tool(struct responses_toolbox *t, const struct jv *tool, const struct jv *of,
				const char *at)
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
	enum hokku_code rc = check_tool(t, tool, custom, at);
	char *flat = rc ? NULL : flat_name(jv_str(name), of_name);
	if (!flat)
		return rc ? rc : field_no_memory(t->err);
	name_set_add(&t->known, jv_str(name));
	name_set_add(&t->flat_known, str_c(flat));
	if (!is_allowed(t, jv_str(name), flat)) {
		free(flat);
		return HOKKU_OK;
	}
	if (strlen(flat) > MAX_TOOL_NAME) {
		snprintf(field, sizeof field, "%.100s.name", at);
		free(flat);
		return bad(t->err, field,
			   "has with its namespace more than %d bytes, which is the most there may be",
			   MAX_TOOL_NAME);
	}
	const uint32_t place[2] = {t->outer, t->inner};
	strbuf_add(&t->r->responses->made_from, place, sizeof place);
	if (custom || of)
		rc = rename_tool(t, flat, jv_str(name), of_name, custom);
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

static enum hokku_code add_namespace(struct responses_toolbox *t, const struct jv *of, const char *at)
{
	char field[PATH_BYTES], found[96];
	const struct jv *tools = jv_get(of, "tools"), *name = jv_get(of, "name");
	snprintf(field, sizeof field, "%.100s.name", at);
	if (!jv_str(name).len || jv_str(name).len > MAX_TOOL_NAME)
		return bad(t->err, field, "is %s; it takes a string of 1 to %d bytes",
			   name ? jv_text(name, found, sizeof found) : "missing", MAX_TOOL_NAME);
	enum hokku_code checked = check_tool(t, of, false, at);
	if (checked)
		return checked;
	for (size_t i = 0; i < jv_len(tools); i++) {
		const struct jv *tool = jv_at(tools, i), *type = jv_get(tool, "type");
		snprintf(field, sizeof field, "%.60s.tools[%zu]", at, i);
		t->inner = (uint32_t)i;
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

/* That what tool_choice names is there; a tool that was left out may be named. */
static enum hokku_code check_named(struct responses_toolbox *t)
{
	char field[PATH_BYTES], found[96];
	for (size_t i = 0; i < jv_len(t->allowed); i++) {
		const struct jv *row = jv_at(t->allowed, i), *type = jv_get(row, "type"),
				*name = jv_get(row, "name");
		struct str of = jv_str(jv_get(row, "namespace"));
		if (is_theirs(jv_str(type)))
			continue;
		snprintf(field, sizeof field, "tool_choice.tools[%zu]", i);
		if (!str_eq_c(jv_str(type), "function") && !str_eq_c(jv_str(type), "custom"))
			return bad(t->err, field,
				   "is %s; it takes {\"type\": \"function\" or \"custom\", \"name\"}",
				   jv_text(row, found, sizeof found));
		char *flat = flat_name(jv_str(name).ptr ? jv_str(name) : STR_LIT(""), of);
		if (!flat)
			return field_no_memory(t->err);
		bool known = name_set_has(of.len ? &t->flat_known : &t->known, str_c(flat));
		free(flat);
		snprintf(field, sizeof field, "tool_choice.tools[%zu].name", i);
		if (!known)
			return bad(t->err, field, "is %s, which none of tools is called",
				   name ? jv_text(name, found, sizeof found) : "missing");
	}
	if (!t->chosen)
		return HOKKU_OK;
	char *flat = flat_name(jv_str(jv_get(t->chosen, "name")), jv_str(jv_get(t->chosen, "namespace")));
	if (!flat)
		return field_no_memory(t->err);
	bool known = name_set_has(&t->flat_known, str_c(flat));
	free(flat);
	return known ? HOKKU_OK
		     : bad(t->err, "tool_choice.name", "is %s, which none of tools is called",
			   jv_text(jv_get(t->chosen, "name"), found, sizeof found));
}

enum hokku_code responses_read_tools(struct responses_toolbox *t, const struct jv *tools)
{
	char field[PATH_BYTES], found[96], text[160];
	if (!list_allowed(t))
		return field_no_memory(t->err);
	for (size_t i = 0; i < jv_len(tools); i++) {
		const struct jv *tool = jv_at(tools, i), *type = jv_get(tool, "type");
		struct str kind = jv_str(type);
		enum hokku_code rc = HOKKU_OK;
		snprintf(field, sizeof field, "tools[%zu]", i);
		t->outer = (uint32_t)i;
		t->inner = UINT32_MAX;
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
			if (t->n_left_out++ == REQUEST_MAX_WARNINGS)
				snprintf(text, sizeof text, "more tools were left out");
			if (t->n_left_out <= REQUEST_MAX_WARNINGS + 1)
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
	return t->known.failed || t->flat_known.failed ? field_no_memory(t->err) : check_named(t);
}

/* tool_choice as POST /v1/chat/completions takes it; empty: not said. */
enum hokku_code responses_write_choice(struct responses_toolbox *t, const struct jv *choice,
				       struct strbuf *out)
{
	char field[PATH_BYTES], found[96];
	const struct jv *type = jv_get(choice, "type"), *name = jv_get(choice, "name"), *mode;
	if (jv_none(choice))
		return HOKKU_OK;
	if (jv_is(choice, JV_STRING)) {
		responses_add_string(out, jv_str(choice));
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
		responses_add_string(out, jv_str(mode));
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
	t->chosen = choice;
	char *flat = flat_name(jv_str(name), jv_str(jv_get(choice, "namespace")));
	if (!flat)
		return field_no_memory(t->err);
	strbuf_add_c(out, "{\"type\":\"function\",\"function\":{\"name\":");
	strbuf_add_json(out, flat, strlen(flat));
	strbuf_add_c(out, "}}");
	free(flat);
	return HOKKU_OK;
}

void responses_name_tool(const struct gen_request *r, char field[64])
{
	static const char inner[] = ".function";
	const struct strbuf *from = &r->responses->made_from;
	char before[64], where[48], text[128], *rest;
	uint32_t place[2];
	memcpy(before, field, sizeof before);
	if (strncmp(before, "tools[", 6) != 0)
		return;
	size_t i = strtoul(before + 6, &rest, 10);
	if (*rest != ']' || (i + 1) * sizeof place > from->len)
		return;
	memcpy(place, from->ptr + i * sizeof place, sizeof place);
	rest++;
	rest += strncmp(rest, inner, sizeof inner - 1) == 0 ? sizeof inner - 1 : 0;
	if (place[1] == UINT32_MAX)
		snprintf(where, sizeof where, "tools[%u]", place[0]);
	else
		snprintf(where, sizeof where, "tools[%u].tools[%u]", place[0], place[1]);
	snprintf(text, sizeof text, "%s%.63s", where, rest);
	snprintf(field, 64, "%.63s", text);
	field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
}
