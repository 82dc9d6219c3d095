/*
 * The fields that give an answer its shape: OpenAI's response_format, this server's own names, and those
 * under which vLLM and llama-server take the same. One of them at a time; what they hold is compiled by the
 * engine's threads later (prepare.h).
 */
#include <stdio.h>

#include "server/field.h"

/* name: of static storage. The text is put in by the caller. */
static enum hokku_code take_shape(struct gen_request *r, const char *name, enum constrain_kind kind,
				  struct request_error *err)
{
	if (r->shape_field)
		return bad(err, name, "and %s both say what shape the answer has; give one of them",
			   r->shape_field);
	r->shape_field = name;
	r->shape_kind = kind;
	return HOKKU_OK;
}

static enum hokku_code take_text(struct gen_request *r, const char *name, enum constrain_kind kind,
				 const char *what, const struct jv *v, struct request_error *err)
{
	char found[96];
	struct str s = jv_str(v);
	if (!jv_is(v, JV_STRING) || s.len == 0)
		return bad(err, name, "is %s; it takes %s",
			   jv_is(v, JV_STRING) ? "empty" : field_describe(v, found), what);
	enum hokku_code rc = take_shape(r, name, kind, err);
	if (!rc)
		strbuf_add(&r->shape_text, s.ptr, s.len);
	return r->shape_text.failed ? field_no_memory(err) : rc;
}

static enum hokku_code take_grammar(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	return take_text(r, name, CONSTRAIN_GBNF, "a grammar as llama.cpp writes it (GBNF), in a string", v,
			 err);
}

static enum hokku_code take_regex(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	return take_text(r, name, CONSTRAIN_REGEX, "a regular expression in a string", v, err);
}

static enum hokku_code take_choice(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY) || jv_len(v) == 0)
		return bad(err, name, "is %s; it takes an array of at least one string",
			   field_describe(v, found));
	for (size_t i = 0; i < jv_len(v); i++) {
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (!jv_is(jv_at(v, i), JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   field_describe(jv_at(v, i), found));
	}
	enum hokku_code rc = take_shape(r, name, CONSTRAIN_CHOICE, err);
	if (!rc)
		jv_write(v, &r->shape_text);
	return r->shape_text.failed ? field_no_memory(err) : rc;
}

/* As an object or true or false; vLLM's clients send it as a string, too. */
static enum hokku_code take_schema(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char found[96];
	bool text = jv_is(v, JV_STRING);
	if (!text && !jv_is(v, JV_OBJECT) && !jv_is(v, JV_BOOL))
		return bad(err, name, "is %s; it takes a JSON Schema: an object",
			   v ? field_describe(v, found) : "missing");
	enum hokku_code rc = take_shape(r, name, CONSTRAIN_JSON_SCHEMA, err);
	if (!rc && text)
		strbuf_add(&r->shape_text, v->text, v->n);
	else if (!rc)
		jv_write(v, &r->shape_text);
	return r->shape_text.failed ? field_no_memory(err) : rc;
}

/* As an object; vLLM's clients send it as a string, too. */
static enum hokku_code take_structure(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	char found[96];
	bool text = jv_is(v, JV_STRING);
	if (!text && !jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes a structural tag: {\"format\": {\"type\": ...}}",
			   field_describe(v, found));
	enum hokku_code rc = take_shape(r, name, CONSTRAIN_STRUCTURE, err);
	if (!rc && text)
		strbuf_add(&r->shape_text, v->text, v->n);
	else if (!rc)
		jv_write(v, &r->shape_text);
	return r->shape_text.failed ? field_no_memory(err) : rc;
}

enum hokku_code field_structural_tag(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	return take_structure(r, name, v, err);
}

enum hokku_code field_grammar(struct gen_request *r, const char *name, const struct jv *v,
			      struct request_error *err)
{
	return take_grammar(r, name, v, err);
}

enum hokku_code field_regex(struct gen_request *r, const char *name, const struct jv *v,
			    struct request_error *err)
{
	return take_regex(r, name, v, err);
}

enum hokku_code field_choice(struct gen_request *r, const char *name, const struct jv *v,
			     struct request_error *err)
{
	return take_choice(r, name, v, err);
}

enum hokku_code field_json_schema(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	return take_schema(r, name, v, err);
}

/* ---- white space ---- */

enum hokku_code field_json_space(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	if (!constrain_space_find(jv_str(v), &r->shape_space))
		return bad(err, name, "is %s; it takes \"compact\", \"spaced\" or \"free\"",
			   field_describe(v, found));
	r->space_field = name;
	return HOKKU_OK;
}

/* ---- objects of options ---- */

/* A member of an object that gives a shape. */
struct member {
	const char *key;
	const char *name; /* for messages */
	field_take *take;
};

static enum hokku_code take_members(struct gen_request *r, const char *name, const struct jv *v,
				    const struct member *members, struct request_error *err)
{
	char field[64], known[160] = "";
	size_t n = 0;
	for (const struct member *m = members; m->key; m++)
		n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", m == members ? "" : ", ", m->key);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct member *m = members;
		struct str key = jv_key(v, i);
		while (m->key && !str_eq_c(key, m->key))
			m++;
		if (!m->key) {
			snprintf(field, sizeof field, "%s.%.30s", name, key.ptr);
			field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
			return bad(err, field, "is no member of it that this server knows; there are %s",
				   known);
		}
		enum hokku_code rc = jv_none(jv_value(v, i)) || !m->take
					     ? HOKKU_OK
					     : m->take(r, m->name, jv_value(v, i), err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static enum hokku_code take_no_spaces(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	bool none = false;
	enum hokku_code rc = field_bool(name, v, &none, err);
	r->shape_space = none ? CONSTRAIN_COMPACT : CONSTRAIN_FREE;
	return rc;
}

static enum hokku_code take_json_object(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	bool wanted = false;
	enum hokku_code rc = field_bool(name, v, &wanted, err);
	return rc || !wanted ? rc : take_shape(r, name, CONSTRAIN_JSON_OBJECT, err);
}

enum hokku_code field_structured_outputs(struct gen_request *r, const char *name, const struct jv *v,
					 struct request_error *err)
{
	static const struct member members[] = {
		{"json", "structured_outputs.json", take_schema},
		{"json_object", "structured_outputs.json_object", take_json_object},
		{"regex", "structured_outputs.regex", take_regex},
		{"choice", "structured_outputs.choice", take_choice},
		{"grammar", "structured_outputs.grammar", take_grammar},
		{"structural_tag", "structured_outputs.structural_tag", take_structure},
		{"disable_any_whitespace", "structured_outputs.disable_any_whitespace", take_no_spaces},
		{NULL, NULL, NULL},
	};
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name,
			   "is %s; it takes an object with one of json, regex, choice, grammar and "
			   "structural_tag",
			   field_describe(v, found));
	return take_members(r, name, v, members, err);
}

/* ---- response_format ---- */

static enum hokku_code take_name(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	(void)r;
	return jv_is(v, JV_STRING) ? HOKKU_OK
				   : bad(err, name, "is %s; it takes a string", field_describe(v, found));
}

/* Every shape is enforced; nothing is done otherwise where that is not asked for. */
static enum hokku_code take_strict(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	bool strict;
	(void)r;
	return field_bool(name, v, &strict, err);
}

static enum hokku_code take_format_schema(struct gen_request *r, const char *name, const struct jv *v,
					  struct request_error *err)
{
	static const struct member members[] = {
		{"name", "response_format.json_schema.name", take_name},
		{"description", "response_format.json_schema.description", take_name},
		{"schema", "response_format.json_schema.schema", take_schema},
		{"strict", "response_format.json_schema.strict", take_strict},
		{NULL, NULL, NULL},
	};
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes {\"name\": ..., \"schema\": ...}",
			   field_describe(v, found));
	enum hokku_code rc = take_members(r, name, v, members, err);
	if (!rc && jv_none(jv_get(v, "schema")))
		return bad(err, "response_format.json_schema.schema", "is missing; it takes a JSON Schema");
	return rc;
}

enum hokku_code field_response_format(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	static const struct member text[] = {{"type", NULL, NULL}, {NULL, NULL, NULL}},
				   /* llama-server's: an object of that schema */
		object[] = {{"type", NULL, NULL},
			    {"schema", "response_format.schema", take_schema},
			    {NULL, NULL, NULL}},
				   schema[] = {
					   {"type", NULL, NULL},
					   {"json_schema", "response_format.json_schema", take_format_schema},
					   {NULL, NULL, NULL}};
	char found[96];
	const struct jv *type = jv_get(v, "type");
	enum hokku_code rc;
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes an object as {\"type\": \"json_object\"}",
			   field_describe(v, found));
	if (str_eq_c(jv_str(type), "text"))
		return take_members(r, name, v, text, err);
	if (str_eq_c(jv_str(type), "json_object")) {
		rc = take_members(r, name, v, object, err);
		return rc || !jv_none(jv_get(v, "schema"))
			       ? rc
			       : take_shape(r, "response_format", CONSTRAIN_JSON_OBJECT, err);
	}
	if (str_eq_c(jv_str(type), "structural_tag"))
		return take_structure(r, "response_format", v, err);
	if (!str_eq_c(jv_str(type), "json_schema"))
		return bad(err, "response_format.type",
			   "is %s; it takes \"text\", \"json_object\", \"json_schema\" or \"structural_tag\"",
			   type ? field_describe(type, found) : "missing");
	rc = take_members(r, name, v, schema, err);
	if (!rc && jv_none(jv_get(v, "json_schema")))
		return bad(err, "response_format.json_schema",
			   "is missing; it takes {\"name\": ..., \"schema\": ...}");
	return rc;
}

/* ---- Ollama's ---- */

enum hokku_code field_format(struct gen_request *r, const char *name, const struct jv *v,
			     struct request_error *err)
{
	char found[96];
	if (jv_is(v, JV_STRING) && v->n == 0)
		return HOKKU_OK;
	if (str_eq_c(jv_str(v), "json"))
		return take_shape(r, "format", CONSTRAIN_JSON_OBJECT, err);
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes \"json\" or a JSON Schema, an object",
			   field_describe(v, found));
	return take_schema(r, "format", v, err);
}

enum hokku_code request_check_shape(const struct gen_request *r, struct request_error *err)
{
	bool json = r->shape_field &&
		    (r->shape_kind == CONSTRAIN_JSON_OBJECT || r->shape_kind == CONSTRAIN_JSON_SCHEMA ||
		     r->shape_kind == CONSTRAIN_STRUCTURE);
	if (r->space_field && !json)
		return bad(
			err, r->space_field,
			"is for answers in JSON; it goes with response_format, json_schema or structural_tag");
	return HOKKU_OK;
}
