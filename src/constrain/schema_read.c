/* A schema's keywords, in the order in which they stand, as a set: those that hold schemas for the same value
 * here, those of one type in schema_base.c. */
#include "constrain/schema_internal.h"

#include <stdio.h>

static const struct set *sub(struct schema *s, const struct jv *at)
{
	return schema_set(s, schema_term(s, at, LIT_SCHEMA, false));
}

static const struct jv *list_of(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *list = jv_get(at, keyword);
	char text[64];
	if (!jv_is(list, JV_ARRAY) || !list->n)
		schema_refuse(s, at, keyword,
			      "%s is not a list of schemas; a list with at least one would do",
			      jv_text(list, text, sizeof text));
	return list;
}

static const struct set *read_all_of(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *list = list_of(s, at, keyword);
	const struct set *set = s->any;
	for (uint32_t i = 0; i < list->n; i++)
		set = schema_and(s, set, sub(s, &list->items[i]));
	return set;
}

/* Where what is evaluated counts, a value that fits several members has what all of them evaluated: each
 * subset is an alternative of its own. One that fits more evaluates more, so that it does no harm that its
 * smaller subsets stand beside it. */
static const struct set *subsets(struct schema *s, const struct jv *at, const char *keyword,
				 const struct set *const *parts, uint32_t n)
{
	if (n > SCHEMA_MAX_SUBSETS)
		schema_refuse(
			s, at, keyword,
			"%u members beside unevaluatedProperties or unevaluatedItems; at most %d would do", n,
			SCHEMA_MAX_SUBSETS);
	const struct set *all[1 << SCHEMA_MAX_SUBSETS];
	uint32_t n_all = 0;
	for (uint32_t mask = 1; mask < 1u << n; mask++) {
		const struct set *set = s->any;
		for (uint32_t i = 0; i < n; i++)
			if (mask >> i & 1)
				set = schema_and(s, set, parts[i]);
		all[n_all++] = set;
	}
	return schema_or_many(s, all, n_all);
}

static const struct set **parts_of(struct schema *s, const struct jv *list)
{
	const struct set **parts = schema_alloc(s, list->n, sizeof(void *));
	for (uint32_t i = 0; i < list->n; i++)
		parts[i] = sub(s, &list->items[i]);
	return parts;
}

static const struct set *read_any_of(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *list = list_of(s, at, keyword);
	const struct set **parts = parts_of(s, list);
	return s->wants_seen ? subsets(s, at, keyword, parts, list->n) : schema_or_many(s, parts, list->n);
}

static const struct set *keywords(struct schema *s, const struct jv *at, bool without_one_of);

/* Whether two members exclude each other may hang on what stands beside them. */
static const struct set *read_one_of(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *list = list_of(s, at, keyword);
	const struct set **parts = parts_of(s, list);
	return schema_one_of(s, keywords(s, at, true), parts, list->n);
}

/* What holds, less what a schema says. Taken off what is known already: a complement by itself has many more
 * alternatives. */
static const struct set *less(struct schema *s, const struct set *set, const struct jv *at)
{
	if (set == s->any)
		return schema_set(s, schema_term(s, at, LIT_SCHEMA, true));
	return schema_without(s, set, sub(s, at));
}

static const struct set *less_not(struct schema *s, const struct set *set, const struct jv *at)
{
	return less(s, set, jv_get(at, "not"));
}

static const struct set *branch(struct schema *s, const struct set *set, const struct jv *at)
{
	const struct jv *condition = jv_get(at, "if"), *then = jv_get(at, "then"),
			*other = jv_get(at, "else");
	if (!then && !other && !s->wants_seen)
		return set;
	const struct set *yes = schema_and(s, set, sub(s, condition)), *no = less(s, set, condition);
	if (then)
		yes = schema_and(s, yes, sub(s, then));
	if (other)
		no = schema_and(s, no, sub(s, other));
	return schema_or(s, yes, no);
}

static const struct set *read_ref(struct schema *s, const struct jv *at, const char *keyword)
{
	return sub(s, schema_resolve(s, at, keyword));
}

static const struct set *read_enum(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *list = jv_get(at, keyword);
	char text[64];
	if (!jv_is(list, JV_ARRAY) || !list->n)
		schema_refuse(s, at, keyword, "%s is not a list of values; a list with at least one would do",
			      jv_text(list, text, sizeof text));
	return schema_read_values(s, list);
}

static const struct set *read_const(struct schema *s, const struct jv *at, const char *keyword)
{
	return schema_read_value(s, jv_get(at, keyword));
}

/* Values that are no objects, and these objects. */
static const struct set *beside(struct schema *s, const struct obj *o)
{
	const struct set *others = schema_typed(s, T_ALL & ~T_OBJECT);
	struct set *set = schema_alloc(s, 1, sizeof *set);
	*set = *others;
	schema_objs_add(s, &set->objs, o);
	return set;
}

static const struct set *objects(struct schema *s, const struct obj *o)
{
	struct set *set = schema_alloc(s, 1, sizeof *set);
	set->strings.rx = RX_NONE;
	schema_objs_add(s, &set->objs, o);
	return set;
}

static const struct set *needs_keys(struct schema *s, const struct jv *at, const char *keyword,
				    struct str key, const struct jv *list)
{
	const struct obj *o = schema_obj_requires(s, key, TERM_ANY);
	for (uint32_t i = 0; i < list->n && o; i++) {
		char text[64];
		if (!jv_is(&list->items[i], JV_STRING))
			schema_refuse(s, at, keyword, "%s is not the name of a property",
				      jv_text(&list->items[i], text, sizeof text));
		o = schema_obj_and(s, o, schema_obj_requires(s, jv_str(&list->items[i]), TERM_ANY));
	}
	return schema_or(s, beside(s, schema_obj_forbids(s, key)), objects(s, o));
}

static const struct set *read_dependent(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *map = jv_get(at, keyword);
	const struct set *set = s->any;
	char text[64];
	if (!jv_is(map, JV_OBJECT))
		schema_refuse(s, at, keyword, "%s is not an object of names",
			      jv_text(map, text, sizeof text));
	for (uint32_t i = 0; i < map->n; i++) {
		struct str key = jv_key(map, i);
		const struct jv *value = jv_value(map, i);
		if (jv_is(value, JV_ARRAY)) {
			set = schema_and(s, set, needs_keys(s, at, keyword, key, value));
			continue;
		}
		const struct set *there = objects(s, schema_obj_requires(s, key, TERM_ANY));
		there = schema_and(s, there, sub(s, value));
		set = schema_and(s, set, schema_or(s, beside(s, schema_obj_forbids(s, key)), there));
	}
	return set;
}

static const struct set *read_unevaluated(struct schema *s, const struct jv *at, const char *keyword)
{
	(void)at;
	(void)keyword;
	return s->any; /* last of all: see below */
}

static const struct keyword {
	const char *name;
	const struct set *(*read)(struct schema *s, const struct jv *at,
				  const char *keyword); /* NULL: the base, or `hold` */
	/* What of a set is left. */
	const struct set *(*hold)(struct schema *s, const struct set *set, const struct jv *at);
} KEYWORDS[] = {
	{"$ref", read_ref, NULL},
	{"$dynamicRef", read_ref, NULL},
	{"$recursiveRef", read_ref, NULL},
	{"allOf", read_all_of, NULL},
	{"anyOf", read_any_of, NULL},
	{"oneOf", read_one_of, NULL},
	{"not", NULL, less_not},
	{"if", NULL, branch},
	{"enum", read_enum, NULL},
	{"const", read_const, NULL},
	{"dependentRequired", read_dependent, NULL},
	{"dependentSchemas", read_dependent, NULL},
	{"dependencies", read_dependent, NULL},
	{"unevaluatedProperties", read_unevaluated, NULL},
	{"unevaluatedItems", read_unevaluated, NULL},
	{"type", NULL, NULL},
	{"multipleOf", NULL, NULL},
	{"maximum", NULL, NULL},
	{"exclusiveMaximum", NULL, NULL},
	{"minimum", NULL, NULL},
	{"exclusiveMinimum", NULL, NULL},
	{"maxLength", NULL, NULL},
	{"minLength", NULL, NULL},
	{"pattern", NULL, NULL},
	{"format", NULL, NULL},
	{"items", NULL, NULL},
	{"prefixItems", NULL, NULL},
	{"additionalItems", NULL, NULL},
	{"contains", NULL, NULL},
	{"minContains", NULL, NULL},
	{"maxContains", NULL, NULL},
	{"minItems", NULL, NULL},
	{"maxItems", NULL, NULL},
	{"uniqueItems", NULL, NULL},
	{"properties", NULL, NULL},
	{"patternProperties", NULL, NULL},
	{"additionalProperties", NULL, NULL},
	{"propertyNames", NULL, NULL},
	{"required", NULL, NULL},
	{"minProperties", NULL, NULL},
	{"maxProperties", NULL, NULL},
};

static const struct keyword *keyword_of(struct str name)
{
	for (size_t i = 0; i < sizeof KEYWORDS / sizeof *KEYWORDS; i++)
		if (str_eq_c(name, KEYWORDS[i].name))
			return &KEYWORDS[i];
	return NULL; /* an annotation: without effect */
}

bool schema_only_refers(const struct jv *at)
{
	uint32_t n = 0;
	for (uint32_t i = 0; jv_is(at, JV_OBJECT) && i < at->n; i++)
		n += keyword_of(jv_key(at, i)) != NULL;
	return n == 1 && jv_get(at, "$ref");
}

bool schema_says_nothing(const struct jv *at)
{
	if (!jv_is(at, JV_OBJECT))
		return false;
	for (uint32_t i = 0; i < at->n; i++)
		if (keyword_of(jv_key(at, i)))
			return false;
	return true;
}

/* Properties that nobody evaluated. */
static const struct set *unevaluated_properties(struct schema *s, const struct set *set,
						const struct jv *sub_at)
{
	term_id term = schema_term(s, sub_at, LIT_SCHEMA, false);
	struct set *out = schema_alloc(s, 1, sizeof *out);
	*out = *set;
	out->objs = (struct obj_list){0};
	for (uint32_t i = 0; i < set->objs.n; i++) {
		struct obj *limit = schema_alloc(s, 1, sizeof *limit);
		struct keys *k = schema_alloc(s, 2, sizeof *k);
		rx seen = set->objs.at[i]->seen, rest = rx_and(s->p, s->any_text, rx_not(s->p, seen));
		*limit = (struct obj){.regions = k, .max = SCHEMA_UNBOUNDED, .seen = s->any_text};
		if (seen != RX_NONE)
			k[limit->n_regions++] = (struct keys){seen, TERM_ANY};
		if (term != TERM_NONE && rx_alive(s->p, rest))
			k[limit->n_regions++] = (struct keys){rest, term};
		schema_objs_add(s, &out->objs, schema_obj_and(s, set->objs.at[i], limit));
	}
	return out;
}

static const struct set *unevaluated_items(struct schema *s, const struct set *set, const struct jv *at,
					   const struct jv *sub_at)
{
	term_id term = schema_term(s, sub_at, LIT_SCHEMA, false);
	struct set *out = schema_alloc(s, 1, sizeof *out);
	*out = *set;
	out->arrs = (struct arr_list){0};
	for (uint32_t i = 0; i < set->arrs.n; i++) {
		const struct arr *a = set->arrs.at[i];
		if (a->seen_some && a->seen != SCHEMA_UNBOUNDED && term != TERM_ANY)
			schema_refuse(
				s, at, "unevaluatedItems",
				"beside `contains`, whose items count as evaluated, it cannot be enforced");
		struct arr *limit = schema_alloc(s, 1, sizeof *limit);
		*limit = (struct arr){.rest = term, .max = SCHEMA_UNBOUNDED, .seen = SCHEMA_UNBOUNDED};
		if (a->seen == SCHEMA_UNBOUNDED) {
			limit->rest = TERM_ANY;
		} else {
			term_id *prefix = schema_alloc(s, a->seen, sizeof *prefix); /* zeros: TERM_ANY */
			limit->prefix = prefix;
			limit->n_prefix = a->seen;
		}
		if (limit->rest == TERM_NONE)
			limit->max = limit->n_prefix;
		schema_arrs_add(s, &out->arrs, schema_arr_and(s, a, limit));
	}
	return out;
}

/* All keywords in their order. */
static const struct set *keywords(struct schema *s, const struct jv *at, bool without_one_of)
{
	const struct set *set = s->any;
	bool declares = jv_get(at, "properties") != NULL, based = false;
	for (uint32_t i = 0; i < at->n; i++) {
		const struct keyword *k = keyword_of(jv_key(at, i));
		if (!k || (without_one_of && k->read == read_one_of))
			continue;
		if (k->hold) {
			set = k->hold(s, set, at);
		} else if (k->read) {
			set = schema_and(s, set, k->read(s, at, k->name));
		} else if (!based && (!declares || strcmp(k->name, "properties") == 0)) {
			based = true;
			set = schema_and(s, set, schema_base(s, at));
		}
	}
	return set;
}

const struct set *schema_read(struct schema *s, const struct jv *at)
{
	char text[64];
	if (jv_is(at, JV_BOOL))
		return at->n ? s->any : s->none;
	if (!jv_is(at, JV_OBJECT))
		schema_refuse(s, at, NULL, "%s is no schema; an object, true or false would do",
			      jv_text(at, text, sizeof text));
	const struct set *set = keywords(s, at, false);
	const struct jv *properties = jv_get(at, "unevaluatedProperties"),
			*items = jv_get(at, "unevaluatedItems");
	if (properties)
		set = unevaluated_properties(s, set, properties);
	if (items)
		set = unevaluated_items(s, set, at, items);
	return set;
}

static const struct set *read_array(struct schema *s, const struct jv *value)
{
	struct set *set = schema_alloc(s, 1, sizeof *set);
	struct arr *a = schema_alloc(s, 1, sizeof *a);
	term_id *prefix = schema_alloc(s, value->n, sizeof *prefix);
	for (uint32_t i = 0; i < value->n; i++)
		prefix[i] = schema_term(s, &value->items[i], LIT_VALUE, false);
	*a = (struct arr){
		.prefix = prefix, .n_prefix = value->n, .rest = TERM_NONE, .min = value->n, .max = value->n};
	set->strings.rx = RX_NONE;
	schema_arrs_add(s, &set->arrs, a);
	return set;
}

static const struct set *read_object(struct schema *s, const struct jv *value)
{
	struct obj *o = schema_alloc(s, 1, sizeof *o);
	struct prop *props = schema_alloc(s, value->n, sizeof *props);
	for (uint32_t i = 0; i < value->n; i++)
		props[i] = (struct prop){.key = jv_key(value, i),
					 .required = true,
					 .term = schema_term(s, jv_value(value, i), LIT_VALUE, false)};
	struct order *order = schema_alloc(s, 1, sizeof *order);
	struct str *keys = schema_alloc(s, value->n, sizeof *keys);
	for (uint32_t i = 0; i < value->n; i++)
		keys[i] = jv_key(value, i);
	*order = (struct order){keys, value->n};
	*o = (struct obj){.props = props,
			  .n_props = value->n,
			  .max = SCHEMA_UNBOUNDED,
			  .seen = RX_NONE,
			  .orders = order,
			  .n_orders = 1};
	return objects(s, o);
}

const struct set *schema_read_value(struct schema *s, const struct jv *value)
{
	struct set *set;
	switch (value->type) {
	case JV_ARRAY:
		return read_array(s, value);
	case JV_OBJECT:
		return read_object(s, value);
	case JV_NUMBER: {
		struct num *n = schema_alloc(s, 1, sizeof *n);
		n->points = schema_alloc(s, 1, sizeof(void *));
		n->points[n->n_points++] = schema_decimal(s, value, NULL, value);
		set = schema_alloc(s, 1, sizeof *set);
		set->strings.rx = RX_NONE;
		schema_nums_add(s, &set->nums, n);
		return set;
	}
	case JV_STRING: {
		struct str *word = schema_alloc(s, 1, sizeof *word);
		*word = jv_str(value);
		set = schema_alloc(s, 1, sizeof *set);
		set->strings = schema_words(s, word, 1);
		return set;
	}
	default:
		set = schema_alloc(s, 1, sizeof *set);
		set->strings.rx = RX_NONE;
		set->null = value->type == JV_NULL;
		set->bools = value->type == JV_BOOL ? (value->n ? 2 : 1) : 0;
		return set;
	}
}

const struct set *schema_read_values(struct schema *s, const struct jv *list)
{
	const struct set **parts = schema_alloc(s, list->n, sizeof(void *));
	struct num *numbers = schema_alloc(s, 1, sizeof *numbers);
	uint32_t n = 0;
	numbers->points = schema_alloc(s, list->n, sizeof(void *));
	for (uint32_t i = 0; i < list->n; i++) {
		const struct jv *v = &list->items[i];
		if (v->type == JV_NUMBER)
			numbers->points[numbers->n_points++] = schema_decimal(s, v, NULL, v);
		else
			parts[n++] = schema_read_value(s, v);
	}
	struct set *all = schema_alloc(s, 1, sizeof *all);
	if (n)
		*all = *schema_or_many(s, parts, n);
	else
		all->strings.rx = RX_NONE;
	if (numbers->n_points)
		schema_nums_add(s, &all->nums, numbers);
	return all;
}
