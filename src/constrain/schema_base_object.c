/* The keywords of objects. */
#include "constrain/schema_internal.h"

struct reading {
	struct schema *s;
	const struct jv *at;
	struct keys *patterns; /* of patternProperties */
	uint32_t n_patterns;
	term_id additional;
	rx names; /* of propertyNames */
};

static const struct jv *map_of(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *v = jv_get(at, keyword);
	char text[64];
	if (v && !jv_is(v, JV_OBJECT))
		schema_refuse(s, at, keyword, "%s is not an object of names and schemas",
			      jv_text(v, text, sizeof text));
	return v;
}

static void read_patterns(struct reading *r)
{
	struct schema *s = r->s;
	const struct jv *map = map_of(s, r->at, "patternProperties");
	struct hokku_error e = {0};
	if (!map)
		return;
	r->patterns = schema_alloc(s, map->n, sizeof *r->patterns);
	for (uint32_t i = 0; i < map->n; i++) {
		rx keys = RX_NONE;
		char text[80];
		enum hokku_code rc = rx_pattern(s->p, RX_JSON, jv_key(map, i), false, &keys, &e);
		if (rc == HOKKU_OUT_OF_MEMORY)
			schema_no_memory(s);
		if (rc)
			schema_refuse(s, r->at, "patternProperties", "%s: %s",
				      str_quote(jv_key(map, i), text, sizeof text), e.message);
		r->patterns[r->n_patterns++] =
			(struct keys){keys, schema_term(s, jv_value(map, i), LIT_SCHEMA, false)};
	}
}

static void read_names(struct reading *r)
{
	const struct jv *names = jv_get(r->at, "propertyNames");
	r->names = r->s->any_text;
	if (names) {
		const struct set *set = schema_set(r->s, schema_term(r->s, names, LIT_SCHEMA, false));
		r->names = schema_strings_rx(r->s, &set->strings);
	}
}

/* What the schema says of a key beyond `properties`; *declared: it stands there. */
static term_id key_term(struct reading *r, struct str key, const struct jv *own)
{
	struct schema *s = r->s;
	term_id t = own ? schema_term(s, own, LIT_SCHEMA, false) : TERM_ANY;
	bool matched = own != NULL;
	if (!schema_key_in(s, r->names, key))
		return TERM_NONE;
	for (uint32_t i = 0; i < r->n_patterns; i++) {
		if (!schema_key_in(s, r->patterns[i].keys, key))
			continue;
		matched = true;
		t = schema_term_and(s, t, r->patterns[i].term);
	}
	return matched ? t : r->additional;
}

static rx alive_and(struct schema *s, rx a, rx b)
{
	rx both = a == s->any_text || a == b ? b : b == s->any_text ? a : rx_and(s->p, a, b);
	return both == s->any_text || rx_alive(s->p, both) ? both : RX_NONE;
}

/* All keys by the patterns that they match. */
static void read_regions(struct reading *r, struct obj *o)
{
	struct schema *s = r->s;
	struct split {
		rx keys;
		term_id term;
		bool matched;
	} *parts = schema_alloc(s, 1, sizeof *parts);
	uint32_t n = 1;
	parts[0] = (struct split){r->names, TERM_ANY, false};
	for (uint32_t i = 0; i < r->n_patterns; i++) {
		struct split *next = schema_alloc(s, (size_t)n * 2, sizeof *next);
		uint32_t n_next = 0;
		for (uint32_t k = 0; k < n; k++) {
			rx in = alive_and(s, parts[k].keys, r->patterns[i].keys);
			rx out = parts[k].keys;
			if (in != RX_NONE) {
				out = rx_and(s->p, out, rx_not(s->p, r->patterns[i].keys));
				out = rx_alive(s->p, out) ? out : RX_NONE;
			}
			schema_work(s, 16);
			if (in != RX_NONE)
				next[n_next++] = (struct split){
					in, schema_term_and(s, parts[k].term, r->patterns[i].term), true};
			if (out != RX_NONE)
				next[n_next++] = (struct split){out, parts[k].term, parts[k].matched};
		}
		if (n_next > 256)
			schema_refuse(
				s, r->at, "patternProperties",
				"the patterns divide the names into more than 256 kinds; patterns that exclude each "
				"other would do");
		parts = next;
		n = n_next;
	}
	struct keys *regions = schema_alloc(s, n, sizeof *regions);
	for (uint32_t k = 0; k < n; k++) {
		term_id t = parts[k].matched ? parts[k].term : r->additional;
		if (t != TERM_NONE && parts[k].keys != RX_NONE)
			regions[o->n_regions++] = (struct keys){parts[k].keys, t};
	}
	o->regions = regions;
}

static void read_props(struct reading *r, struct obj *o)
{
	struct schema *s = r->s;
	const struct jv *map = map_of(s, r->at, "properties"), *required = jv_get(r->at, "required");
	char text[64];
	if (required && !jv_is(required, JV_ARRAY))
		schema_refuse(s, r->at, "required",
			      "%s is no list of names; draft 3's true and false are not read",
			      jv_text(required, text, sizeof text));
	uint32_t n_map = map ? map->n : 0, n_required = required ? required->n : 0, n = 0;
	struct prop *props = schema_alloc(s, (size_t)n_map + n_required, sizeof *props);
	for (; n < n_map; n++)
		props[n] = (struct prop){.key = jv_key(map, n),
					 .term = key_term(r, jv_key(map, n), jv_value(map, n))};
	for (uint32_t i = 0; i < n_required; i++) {
		const struct jv *name = &required->items[i];
		if (!jv_is(name, JV_STRING))
			schema_refuse(s, r->at, "required", "%s is not the name of a property",
				      jv_text(name, text, sizeof text));
		struct prop *known = schema_prop_find(s, props, n, jv_str(name));
		if (!known) {
			known = &props[n++];
			*known = (struct prop){
				.key = jv_str(name), .late = true, .term = key_term(r, jv_str(name), NULL)};
		}
		known->required = true;
	}
	o->props = props;
	o->n_props = n;
	if (n_map) {
		struct order *order = schema_alloc(s, 1, sizeof *order);
		struct str *keys = schema_alloc(s, n_map, sizeof *keys);
		for (uint32_t i = 0; i < n_map; i++)
			keys[i] = jv_key(map, i);
		*order = (struct order){keys, n_map};
		o->orders = order;
		o->n_orders = 1;
	}
}

static rx seen_keys(struct reading *r, const struct obj *o)
{
	struct schema *s = r->s;
	if (!s->wants_seen)
		return RX_NONE;
	if (jv_get(r->at, "additionalProperties"))
		return s->any_text;
	rx seen = RX_NONE;
	for (uint32_t i = 0; i < o->n_props; i++)
		if (!o->props[i].late)
			seen = rx_or(s->p, seen, rx_text(s->p, RX_JSON, o->props[i].key));
	for (uint32_t i = 0; i < r->n_patterns; i++)
		seen = rx_or(s->p, seen, r->patterns[i].keys);
	return seen;
}

const struct obj *schema_base_obj(struct schema *s, const struct jv *at)
{
	const struct jv *additional = jv_get(at, "additionalProperties");
	struct reading r = {.s = s, .at = at};
	struct obj *o = schema_alloc(s, 1, sizeof *o);
	r.additional = additional ? schema_term(s, additional, LIT_SCHEMA, false) : TERM_ANY;
	o->min = schema_count(s, at, "minProperties", 0);
	o->max = schema_count(s, at, "maxProperties", SCHEMA_UNBOUNDED);
	read_patterns(&r);
	read_names(&r);
	read_props(&r, o);
	read_regions(&r, o);
	o->seen = seen_keys(&r, o);
	return schema_obj_dead(o) ? NULL : o;
}
