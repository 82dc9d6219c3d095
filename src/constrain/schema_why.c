/* Why nothing satisfies a schema: told after the fact, for people. Only what must be kept to is looked at
 * (all of allOf, required properties, items that must be there), and only what a schema says of itself is
 * compared. */
#include "constrain/schema_why.h"

#include <stdarg.h>
#include <stdio.h>

enum { MAX_DEPTH = 64, MAX_LOOKS = 20000 };

struct search {
	const struct jv *root, *at; /* at: what was found */
	const struct jv *above[MAX_DEPTH];
	char *text;
	size_t size;
	uint32_t depth, left;
};

static bool found(struct search *s, const struct jv *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool found(struct search *s, const struct jv *at, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(s->text, s->size, format, args);
	va_end(args);
	s->at = at;
	return true;
}

/* Only a schema of one type is asked for its bounds: of other values they say nothing. */
static const struct {
	const char *type, *least, *most;
	bool open; /* the two themselves are not allowed */
} bounds[] = {
	{"integer", "minimum", "maximum", false},
	{"number", "minimum", "maximum", false},
	{"integer", "exclusiveMinimum", "maximum", true},
	{"number", "exclusiveMinimum", "maximum", true},
	{"integer", "minimum", "exclusiveMaximum", true},
	{"number", "minimum", "exclusiveMaximum", true},
	{"integer", "exclusiveMinimum", "exclusiveMaximum", true},
	{"number", "exclusiveMinimum", "exclusiveMaximum", true},
	{"string", "minLength", "maxLength", false},
	{"array", "minItems", "maxItems", false},
	{"object", "minProperties", "maxProperties", false},
};

static bool bounds_contradict(struct search *s, const struct jv *v)
{
	struct str type = jv_str(jv_get(v, "type"));
	char from[40], to[40];
	double least, most;
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		const struct jv *low = jv_get(v, bounds[i].least), *high = jv_get(v, bounds[i].most);
		if (!str_eq_c(type, bounds[i].type) || !jv_double(low, &least) || !jv_double(high, &most))
			continue;
		if (least > most || (bounds[i].open && least == most))
			return found(s, v, "%s is %s and %s is %s: nothing lies between", bounds[i].least,
				     jv_text(low, from, sizeof from), bounds[i].most,
				     jv_text(high, to, sizeof to));
	}
	return false;
}

static bool is_of_type(const struct jv *v, struct str type)
{
	static const char *const names[] = {
		[JV_NULL] = "null",     [JV_BOOL] = "boolean", [JV_NUMBER] = "number",
		[JV_STRING] = "string", [JV_ARRAY] = "array",  [JV_OBJECT] = "object",
	};
	return str_eq_c(type, names[v->type]) || (v->type == JV_NUMBER && str_eq_c(type, "integer"));
}

static bool values_contradict(struct search *s, const struct jv *v)
{
	char value[40];
	struct str type = jv_str(jv_get(v, "type"));
	const struct jv *values = jv_get(v, "enum"), *one = jv_get(v, "const");
	if (!type.ptr || (!one && !jv_len(values)))
		return false;
	for (size_t i = 0; i < (one ? 1 : jv_len(values)); i++)
		if (is_of_type(one ? one : jv_at(values, i), type))
			return false;
	return found(s, v, "none of its values (%s ...) is of the type %.*s",
		     jv_text(one ? one : jv_at(values, 0), value, sizeof value),
		     (int)(type.len < 40 ? type.len : 40), type.ptr);
}

static bool look(struct search *s, const struct jv *v);

static bool object_contradicts(struct search *s, const struct jv *v)
{
	char name[64];
	double most;
	const struct jv *required = jv_get(v, "required"), *known = jv_get(v, "properties"),
			*more = jv_get(v, "additionalProperties");
	if (!str_eq_c(jv_str(jv_get(v, "type")), "object"))
		return false;
	if (jv_double(jv_get(v, "maxProperties"), &most) && most < (double)jv_len(required))
		return found(s, v, "maxProperties is %.0f and required names %zu", most, jv_len(required));
	for (size_t i = 0; i < jv_len(required); i++) {
		const struct jv *of = jv_get_str(known, jv_str(jv_at(required, i)));
		if (of && look(s, of))
			return true;
		if (!of && jv_is(more, JV_BOOL) && !jv_is_true(more) && !jv_get(v, "patternProperties"))
			return found(s, v,
				     "%s is required, and additionalProperties lets none of that name be",
				     jv_text(jv_at(required, i), name, sizeof name));
	}
	return false;
}

static bool array_contradicts(struct search *s, const struct jv *v)
{
	double least;
	const struct jv *first = jv_get(v, "prefixItems"), *items = jv_get(v, "items");
	if (!str_eq_c(jv_str(jv_get(v, "type")), "array") || !jv_double(jv_get(v, "minItems"), &least))
		return false;
	for (size_t i = 0; i < jv_len(first) && (double)i < least; i++)
		if (look(s, jv_at(first, i)))
			return true;
	return items && items->type != JV_ARRAY && least > (double)jv_len(first) && look(s, items);
}

static bool alternatives_contradict(struct search *s, const struct jv *all)
{
	for (size_t i = 0; i < jv_len(all); i++)
		if (!look(s, jv_at(all, i)))
			return false;
	return jv_len(all) > 0; /* the last one's reason */
}

static bool reference_contradicts(struct search *s, const struct jv *v)
{
	static const char *const places[] = {"$defs", "definitions"};
	struct str ref = jv_str(jv_get(v, "$ref"));
	const struct jv *target = str_eq_c(ref, "#") ? s->root : NULL;
	for (size_t i = 0; ref.ptr && i < 2; i++) {
		char before[24];
		size_t n = (size_t)snprintf(before, sizeof before, "#/%s/", places[i]);
		if (ref.len > n && memcmp(ref.ptr, before, n) == 0)
			target = jv_get_str(jv_get(s->root, places[i]),
					    (struct str){ref.ptr + n, ref.len - n});
	}
	for (uint32_t i = 0; target && i < s->depth; i++)
		if (s->above[i] == target)
			return found(s, v,
				     "it must hold what it is itself a part of, so that no text of it ends");
	return target && look(s, target);
}

/* Does v, or what it must keep to, say so by itself? */
static bool look(struct search *s, const struct jv *v)
{
	if (s->left == 0 || s->depth == MAX_DEPTH)
		return false;
	s->left--;
	if (jv_is(v, JV_BOOL))
		return !jv_is_true(v) && found(s, v, "false is satisfied by nothing");
	if (!jv_is(v, JV_OBJECT))
		return false;
	s->above[s->depth++] = v;
	bool is = bounds_contradict(s, v) || values_contradict(s, v) || object_contradicts(s, v) ||
		  array_contradicts(s, v) || reference_contradicts(s, v);
	const struct jv *all = jv_get(v, "allOf");
	for (size_t i = 0; !is && i < jv_len(all); i++)
		is = look(s, jv_at(all, i));
	is = is || alternatives_contradict(s, jv_get(v, "anyOf")) ||
	     alternatives_contradict(s, jv_get(v, "oneOf"));
	s->depth--;
	return is;
}

const struct jv *schema_why_empty(const struct jv *root, char *text, size_t size)
{
	struct search s = {.root = root, .text = text, .size = size, .left = MAX_LOOKS};
	return look(&s, root) ? s.at : NULL;
}
