/* The keywords of one type: what each says, and what is wrong with it where it says nothing. */
#include "constrain/schema_internal.h"

#include <stdio.h>

static const struct {
	const char *name;
	unsigned type;
} TYPES[] = {{"null", T_NULL},     {"boolean", T_BOOL},  {"object", T_OBJECT}, {"array", T_ARRAY},
	     {"number", T_NUMBER}, {"string", T_STRING}, {"integer", T_NUMBER}};

enum { T_INTEGER_ONLY = 64, T_WHOLE_NUMBER = 128 };

static unsigned type_named(struct schema *s, const struct jv *at, const struct jv *name)
{
	char text[64];
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (jv_is(name, JV_STRING) && str_eq_c(jv_str(name), TYPES[i].name))
			return TYPES[i].type | (strcmp(TYPES[i].name, "integer") == 0 ? T_INTEGER_ONLY : 0) |
			       (strcmp(TYPES[i].name, "number") == 0 ? T_WHOLE_NUMBER : 0);
	schema_refuse(s, at, "type",
		      "%s is no type; null, boolean, object, array, number, string or integer would do",
		      jv_text(name, text, sizeof text));
}

/* T_INTEGER_ONLY: of numbers, integers alone. */
unsigned schema_types(struct schema *s, const struct jv *at)
{
	const struct jv *type = jv_get(at, "type");
	unsigned types = 0;
	if (!type)
		return T_ALL;
	if (!jv_is(type, JV_ARRAY))
		return type_named(s, at, type);
	if (!type->n)
		schema_refuse(s, at, "type", "an empty list of types; at least one would do");
	for (uint32_t i = 0; i < type->n; i++)
		types |= type_named(s, at, &type->items[i]);
	return types & T_WHOLE_NUMBER ? types & ~(unsigned)T_INTEGER_ONLY : types;
}

uint32_t schema_count(struct schema *s, const struct jv *at, const char *keyword, uint32_t absent)
{
	const struct jv *v = jv_get(at, keyword);
	char text[64];
	if (!v)
		return absent;
	const struct decimal *d = jv_is(v, JV_NUMBER) ? schema_decimal(s, at, keyword, v) : NULL;
	if (!d || d->negative || d->scale)
		schema_refuse(s, at, keyword, "%s is no count; a whole number from 0 on would do",
			      jv_text(v, text, sizeof text));
	uint64_t n = 0;
	for (size_t i = 0; i < d->digits.len && n < SCHEMA_UNBOUNDED; i++)
		n = n * 10 + (uint64_t)(d->digits.ptr[i] - '0');
	return n < SCHEMA_UNBOUNDED - 1 ? (uint32_t)n : SCHEMA_UNBOUNDED - 1;
}

static const struct decimal *number(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *v = jv_get(at, keyword);
	char text[64];
	if (!v)
		return NULL;
	if (!jv_is(v, JV_NUMBER))
		schema_refuse(s, at, keyword, "%s is no number", jv_text(v, text, sizeof text));
	return schema_decimal(s, at, keyword, v);
}

/* The bound, and whether it is excluded itself: draft 4 says so beside it, later ones give another. */
static const struct decimal *bound(struct schema *s, const struct jv *at, const char *name,
				   const char *exclusive, int sign, bool *excluded)
{
	const struct decimal *plain = number(s, at, name);
	const struct jv *other = jv_get(at, exclusive);
	*excluded = false;
	if (jv_is(other, JV_BOOL)) {
		*excluded = other->n;
		return plain;
	}
	const struct decimal *open = number(s, at, exclusive);
	if (!open || (plain && sign * schema_decimal_cmp(plain, open) > 0))
		return plain;
	*excluded = true;
	return open;
}

/* OpenAPI's formats of numbers that have a range: integers of so many bits. NULL: format is none of them. */
static const struct num *stored_in(struct schema *s, const struct jv *format)
{
	static const struct {
		const char *name;
		struct decimal min, max;
	} formats[] = {
		{"int32", {true, {"2147483648", 10}, 0}, {false, {"2147483647", 10}, 0}},
		{"int64", {true, {"9223372036854775808", 19}, 0}, {false, {"9223372036854775807", 19}, 0}},
	};
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (str_eq_c(jv_str(format), formats[i].name)) {
			struct num *n = schema_alloc(s, 1, sizeof *n);
			n->integer = NUM_INTEGER;
			n->min = &formats[i].min;
			n->max = &formats[i].max;
			return n;
		}
	return NULL;
}

static const struct num *base_num(struct schema *s, const struct jv *at, bool integer)
{
	struct num *n = schema_alloc(s, 1, sizeof *n);
	char text[64];
	n->integer = integer ? NUM_INTEGER : NUM_ANY;
	n->min = bound(s, at, "minimum", "exclusiveMinimum", 1, &n->min_excluded);
	n->max = bound(s, at, "maximum", "exclusiveMaximum", -1, &n->max_excluded);
	const struct decimal *multiple = number(s, at, "multipleOf");
	if (multiple && (multiple->negative || !multiple->digits.len))
		schema_refuse(s, at, "multipleOf", "%s is not above 0",
			      jv_text(jv_get(at, "multipleOf"), text, sizeof text));
	if (multiple) {
		n->multiples = schema_alloc(s, 1, sizeof(void *));
		n->multiples[n->n_multiples++] = multiple;
	}
	static const struct num all;
	const struct num *stored = stored_in(s, jv_get(at, "format"));
	return schema_num_and(s, n, stored ? stored : &all); /* NULL where the bounds contradict */
}

static rx text_pattern(struct schema *s, const struct jv *at)
{
	const struct jv *v = jv_get(at, "pattern");
	struct hokku_error e = {0};
	char text[64];
	rx r = RX_NONE;
	if (!v)
		return s->any_text;
	if (!jv_is(v, JV_STRING))
		schema_refuse(s, at, "pattern", "%s is no text", jv_text(v, text, sizeof text));
	enum hokku_code rc = rx_pattern(s->p, RX_JSON, jv_str(v), false, &r, &e);
	if (rc == HOKKU_OUT_OF_MEMORY)
		schema_no_memory(s);
	if (rc)
		schema_refuse(s, at, "pattern", "%s", e.message);
	return r;
}

/* What a format does not say about strings: names of OpenAPI for how numbers are stored (stored_in) or fields
 * are shown. */
static bool says_nothing(struct str format)
{
	static const char *const names[] = {"int32", "int64", "float", "double", "password", "binary", NULL};
	for (size_t i = 0; names[i]; i++)
		if (str_eq_c(format, names[i]))
			return true;
	return false;
}

static rx text_format(struct schema *s, const struct jv *at)
{
	const struct jv *v = jv_get(at, "format");
	char text[64];
	rx r = RX_NONE;
	if (!v)
		return s->any_text;
	if (!jv_is(v, JV_STRING))
		schema_refuse(s, at, "format", "%s is no text", jv_text(v, text, sizeof text));
	if (rx_format(s->p, jv_str(v), &r))
		return r;
	if (says_nothing(jv_str(v)))
		return s->any_text;
	struct strbuf known = {0};
	for (size_t i = 0; rx_format_name(i); i++)
		strbuf_addf(&known, "%s%s", i ? ", " : "", rx_format_name(i));
	char names[300];
	snprintf(names, sizeof names, "%s", known.ptr ? known.ptr : "none");
	strbuf_free(&known);
	schema_refuse(s, at, "format", "%s cannot be enforced; these can: %s", jv_text(v, text, sizeof text),
		      names);
}

static rx both(struct schema *s, rx a, rx b)
{
	return a == s->any_text ? b : b == s->any_text ? a : rx_and(s->p, a, b);
}

static rx base_text(struct schema *s, const struct jv *at)
{
	uint32_t min = schema_count(s, at, "minLength", 0),
		 max = schema_count(s, at, "maxLength", SCHEMA_UNBOUNDED);
	if (min > max)
		return RX_NONE;
	rx r = !min && max == SCHEMA_UNBOUNDED
		       ? s->any_text
		       : rx_any_text(s->p, RX_JSON, min, max == SCHEMA_UNBOUNDED ? RX_UNBOUNDED : max);
	r = both(s, r, both(s, text_pattern(s, at), text_format(s, at)));
	return r == s->any_text || rx_alive(s->p, r) ? r : RX_NONE;
}

static const struct jv *schemas(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *v = jv_get(at, keyword);
	char text[64];
	if (v && !jv_is(v, JV_ARRAY))
		schema_refuse(s, at, keyword, "%s is no list of schemas", jv_text(v, text, sizeof text));
	return v;
}

static void read_contains(struct schema *s, const struct jv *at, struct arr *a)
{
	const struct jv *contains = jv_get(at, "contains");
	if (!contains)
		return;
	struct contains *c = schema_alloc(s, 1, sizeof *c);
	*c = (struct contains){schema_term(s, contains, LIT_SCHEMA, false), 0,
			       schema_count(s, at, "minContains", 1),
			       schema_count(s, at, "maxContains", SCHEMA_UNBOUNDED)};
	a->seen_some = true;
	if (!c->min && c->max == SCHEMA_UNBOUNDED)
		return;
	a->contains = c;
	a->n_contains = 1;
}

/* prefixItems and items; before 2020-12 a list of items, and additionalItems. */
static void read_items(struct schema *s, const struct jv *at, struct arr *a)
{
	const struct jv *items = jv_get(at, "items"), *rest = items;
	const struct jv *first = schemas(s, at, "prefixItems");
	if (!first && jv_is(items, JV_ARRAY)) {
		first = items;
		rest = jv_get(at, "additionalItems");
	}
	a->n_prefix = first ? first->n : 0;
	term_id *prefix = schema_alloc(s, a->n_prefix, sizeof *prefix);
	for (uint32_t i = 0; i < a->n_prefix; i++)
		prefix[i] = schema_term(s, &first->items[i], LIT_SCHEMA, false);
	a->prefix = prefix;
	a->rest = rest ? schema_term(s, rest, LIT_SCHEMA, false) : TERM_ANY;
	a->seen = rest ? SCHEMA_UNBOUNDED : a->n_prefix;
}

static const struct arr *base_arr(struct schema *s, const struct jv *at)
{
	const struct jv *unique = jv_get(at, "uniqueItems");
	struct arr *a = schema_alloc(s, 1, sizeof *a);
	char text[64];
	a->min = schema_count(s, at, "minItems", 0);
	a->max = schema_count(s, at, "maxItems", SCHEMA_UNBOUNDED);
	if (unique && !jv_is(unique, JV_BOOL))
		schema_refuse(s, at, "uniqueItems", "%s is neither true nor false",
			      jv_text(unique, text, sizeof text));
	a->unique = jv_is_true(unique);
	a->unique_at = at;
	read_items(s, at, a);
	read_contains(s, at, a);
	return schema_arr_settled(s, a) ? a : NULL;
}

const struct set *schema_base(struct schema *s, const struct jv *at)
{
	unsigned types = schema_types(s, at);
	struct set *set = schema_alloc(s, 1, sizeof *set);
	set->null = types & T_NULL;
	set->bools = types & T_BOOL ? 3 : 0;
	set->strings.rx = types & T_STRING ? base_text(s, at) : RX_NONE;
	if (types & T_NUMBER)
		schema_nums_add(s, &set->nums, base_num(s, at, types & T_INTEGER_ONLY));
	if (types & T_ARRAY)
		schema_arrs_add(s, &set->arrs, base_arr(s, at));
	if (types & T_OBJECT)
		schema_objs_add(s, &set->objs, schema_base_obj(s, at));
	return set;
}
