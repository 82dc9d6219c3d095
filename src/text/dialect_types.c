/* What values a tool's schema allows, as far as a reader of markup must know. */
#include "text/dialect_internal.h"

static const struct jv *referred(const struct jv *root, struct str ref)
{
	const struct jv *v = root;
	if (!str_starts(ref, STR_LIT("#/")))
		return NULL;
	for (size_t at = 2; v && at <= ref.len;) {
		size_t end = at;
		while (end < ref.len && ref.ptr[end] != '/')
			end++;
		v = jv_get_str(v, (struct str){ref.ptr + at, end - at});
		at = end + 1;
	}
	return v;
}

static unsigned of_type(struct str name)
{
	static const struct {
		const char *name;
		enum jv_type type;
	} types[] = {{"string", JV_STRING}, {"number", JV_NUMBER}, {"integer", JV_NUMBER},
		     {"boolean", JV_BOOL},  {"null", JV_NULL},     {"array", JV_ARRAY},
		     {"object", JV_OBJECT}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (str_eq_c(name, types[i].name))
			return 1u << types[i].type;
	return 0;
}

/* What types of values a schema allows. 0: it does not say. */
static unsigned kinds(const struct jv *root, const struct jv *schema, int depth)
{
	static const char *const unions[] = {"anyOf", "oneOf", NULL};
	unsigned may = 0;
	const struct jv *type = jv_get(schema, "type"), *values = jv_get(schema, "enum"),
			*one = jv_get(schema, "const"), *ref = jv_get(schema, "$ref");
	if (!jv_is(schema, JV_OBJECT) || depth > 8)
		return 0;
	if (jv_is(type, JV_STRING))
		return of_type(jv_str(type));
	for (size_t i = 0; i < jv_len(type); i++)
		may |= of_type(jv_str(jv_at(type, i)));
	if (may)
		return may;
	for (size_t i = 0; i < jv_len(values); i++)
		may |= 1u << jv_at(values, i)->type;
	if (one)
		may |= 1u << one->type;
	if (jv_is(ref, JV_STRING))
		may |= kinds(root, referred(root, jv_str(ref)), depth + 1);
	for (size_t u = 0; unions[u]; u++) {
		const struct jv *members = jv_get(schema, unions[u]);
		for (size_t i = 0; i < jv_len(members) && i < 64; i++)
			may |= kinds(root, jv_at(members, i), depth + 1);
	}
	return may;
}

unsigned dialect_kinds(const struct jv *root, const struct jv *schema)
{
	return kinds(root, schema, 0);
}

const struct jv *dialect_referred(const struct jv *root, const struct jv *schema)
{
	for (int i = 0; i < 8 && jv_is(jv_get(schema, "$ref"), JV_STRING); i++)
		schema = referred(root, jv_str(jv_get(schema, "$ref")));
	return schema;
}
