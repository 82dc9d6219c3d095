/* $ref: what it points at within the schema. Nothing is fetched. */
#include "constrain/schema_internal.h"

#include <stdio.h>
#include <stdlib.h>

static bool has_scheme(struct str u)
{
	size_t i = 0;
	while (i < u.len && (((u.ptr[i] | 0x20) >= 'a' && (u.ptr[i] | 0x20) <= 'z') ||
			     (i && strchr("0123456789+-.", u.ptr[i]))))
		i++;
	return i > 0 && i < u.len && u.ptr[i] == ':';
}

static struct str joined(struct schema *s, struct str a, struct str b)
{
	char *t = schema_alloc(s, a.len + b.len, 1);
	memcpy(t, a.ptr ? a.ptr : "", a.len);
	memcpy(t + a.len, b.ptr ? b.ptr : "", b.len);
	return (struct str){t, a.len + b.len};
}

/* A reference without its fragment, seen from base (RFC 3986, without the removal of dots). */
static struct str absolute(struct schema *s, struct str base, struct str ref)
{
	if (!ref.len)
		return base;
	if (has_scheme(ref) || !base.len)
		return ref;
	size_t root = 0; /* past scheme and authority */
	const char *colon = memchr(base.ptr, ':', base.len);
	if (has_scheme(base)) {
		root = (size_t)(colon - base.ptr) + 1;
		if (base.len > root + 1 && base.ptr[root] == '/' && base.ptr[root + 1] == '/')
			for (root += 2; root < base.len && base.ptr[root] != '/'; root++)
				;
	}
	if (ref.len > 1 && ref.ptr[0] == '/' && ref.ptr[1] == '/' && colon)
		return joined(s, (struct str){base.ptr, (size_t)(colon - base.ptr) + 1}, ref);
	if (ref.ptr[0] == '/')
		return joined(s, (struct str){base.ptr, root}, ref);
	size_t end = base.len;
	while (end > root && base.ptr[end - 1] != '/')
		end--;
	return joined(s, (struct str){base.ptr, end}, ref);
}

static struct str before_fragment(struct str u)
{
	const char *hash = u.len ? memchr(u.ptr, '#', u.len) : NULL;
	return hash ? (struct str){u.ptr, (size_t)(hash - u.ptr)} : u;
}

static struct str fragment(struct str u)
{
	const char *hash = u.len ? memchr(u.ptr, '#', u.len) : NULL;
	return hash ? (struct str){hash + 1, u.len - (size_t)(hash - u.ptr) - 1} : (struct str){NULL, 0};
}

static void add_anchor(struct schema *s, struct str name, uint32_t resource, const struct jv *at,
		       bool dynamic)
{
	s->anchors = schema_grow(s, s->anchors, s->n_anchors, &s->cap_anchors, sizeof *s->anchors);
	s->anchors[s->n_anchors++] = (struct anchor){name, resource, dynamic, at};
}

/* The resource that begins at the schema, if it has an id of its own. */
static uint32_t enter(struct schema *s, const struct jv *at, uint32_t resource)
{
	const struct jv *id = jv_get(at, "$id");
	if (!id)
		id = jv_get(at, "id"); /* of draft 4 */
	struct str text = jv_str(id);
	if (!text.len)
		return resource;
	if (text.ptr[0] == '#') { /* before 2019-09 an anchor */
		add_anchor(s, fragment(text), resource, at, false);
		return resource;
	}
	struct str uri = absolute(s, s->resources[resource].uri, before_fragment(text));
	if (at == s->root) {
		s->resources[0].uri = uri;
		return 0;
	}
	s->resources = schema_grow(s, s->resources, s->n_resources, &s->cap_resources, sizeof *s->resources);
	s->resources[s->n_resources] = (struct resource){uri, at};
	return s->n_resources++;
}

/* What a schema refers to depends on the resource it is in. named: its anchors count. */
static void note(struct schema *s, const struct jv *at, uint32_t resource, bool named)
{
	if (named && jv_is(jv_get(at, "$anchor"), JV_STRING))
		add_anchor(s, jv_str(jv_get(at, "$anchor")), resource, at, false);
	if (named && jv_is(jv_get(at, "$dynamicAnchor"), JV_STRING))
		add_anchor(s, jv_str(jv_get(at, "$dynamicAnchor")), resource, at, true);
	if (jv_get(at, "unevaluatedProperties") || jv_get(at, "unevaluatedItems"))
		s->wants_seen = true;
	if (!jv_get(at, "$ref") && !jv_get(at, "$dynamicRef"))
		return;
	s->bases = schema_grow(s, s->bases, s->n_bases, &s->cap_bases, sizeof *s->bases);
	s->bases[s->n_bases++] = (struct ref_base){at, resource};
}

/* Keywords whose objects are values or annotations, not schemas. */
static bool is_value(struct str key)
{
	return str_eq_c(key, "enum") || str_eq_c(key, "const") || str_eq_c(key, "default") ||
	       str_eq_c(key, "examples") || str_eq_c(key, "example");
}

/* Keywords whose objects, also those in an array, are schemas. */
static bool is_schema(struct str key)
{
	static const char *const keys[] = {"allOf",
					   "anyOf",
					   "oneOf",
					   "not",
					   "if",
					   "then",
					   "else",
					   "items",
					   "prefixItems",
					   "additionalItems",
					   "unevaluatedItems",
					   "contains",
					   "propertyNames",
					   "additionalProperties",
					   "unevaluatedProperties",
					   "contentSchema"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (str_eq_c(key, keys[i]))
			return true;
	return false;
}

/* A metaschema of one's own may say that keywords do not count, or that there are more. */
static void check_dialect(struct schema *s, const struct jv *at)
{
	static const char *const known[] = {
		"schema",          "draft-04/schema",      "draft-06/schema",
		"draft-07/schema", "draft/2019-09/schema", "draft/2020-12/schema"};
	char quoted[128];
	struct str uri = before_fragment(jv_str(jv_get(at, "$schema")));
	if (!uri.ptr)
		return;
	for (const char *host = "http://json-schema.org/"; host;
	     host = host[4] == ':' ? "https://json-schema.org/" : NULL)
		for (size_t i = 0; i < sizeof known / sizeof *known && str_starts(uri, str_c(host)); i++)
			if (str_eq_c((struct str){uri.ptr + strlen(host), uri.len - strlen(host)}, known[i]))
				return;
	schema_refuse(
		s, at, "$schema",
		"%s is no dialect that is known; https://json-schema.org/draft/2020-12/schema, and drafts 4, "
		"6, 7 and 2019-09, are",
		str_quote(uri, quoted, sizeof quoted));
}

/* What v is: below a keyword that nobody knows a schema can be pointed at, and its names are none. */
enum scanned { SCHEMAS, NAMES, UNKNOWN };

/* Everything below v (1,000 deep at most: JV_MAX_DEPTH). */
static void scan(struct schema *s, const struct jv *v, uint32_t resource, enum scanned what)
{
	static const char *const maps[] = {"properties",       "patternProperties", "$defs",
					   "dependentSchemas", "definitions",       "dependencies"};
	if (v->type == JV_ARRAY) {
		for (uint32_t i = 0; i < v->n; i++)
			scan(s, &v->items[i], resource, what);
		return;
	}
	if (v->type != JV_OBJECT)
		return;
	if (what == SCHEMAS) {
		check_dialect(s, v);
		resource = enter(s, v, resource);
	}
	if (what != NAMES)
		note(s, v, resource, what == SCHEMAS);
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = jv_key(v, i);
		enum scanned below = what == NAMES ? SCHEMAS : UNKNOWN;
		for (size_t k = 0; k < sizeof maps / sizeof *maps && what == SCHEMAS && below != NAMES; k++)
			below = str_eq_c(key, maps[k]) ? NAMES : UNKNOWN;
		if (what == SCHEMAS && is_schema(key))
			below = SCHEMAS;
		if (what == NAMES || !is_value(key))
			scan(s, jv_value(v, i), resource, below);
	}
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct ref_base *)a)->at,
		  y = (uintptr_t)((const struct ref_base *)b)->at;
	return (x > y) - (x < y);
}

void schema_scan(struct schema *s)
{
	s->resources = schema_grow(s, NULL, 0, &s->cap_resources, sizeof *s->resources);
	s->resources[s->n_resources++] = (struct resource){{"", 0}, s->root};
	scan(s, s->root, 0, SCHEMAS);
	if (s->n_bases)
		qsort(s->bases, s->n_bases, sizeof *s->bases, by_address);
}

static uint32_t resource_of(struct schema *s, const struct jv *at)
{
	struct ref_base key = {at, 0};
	const struct ref_base *b =
		s->n_bases ? bsearch(&key, s->bases, s->n_bases, sizeof key, by_address) : NULL;
	return b ? b->resource : 0;
}

/* Percent signs and ~0 ~1 taken out of one step of a pointer. */
static struct str unescaped(struct schema *s, struct str t)
{
	char *out = schema_alloc(s, t.len, 1);
	size_t n = 0;
	for (size_t i = 0; i < t.len; i++) {
		if (t.ptr[i] == '%' && i + 2 < t.len && hex_digit(t.ptr[i + 1]) >= 0 &&
		    hex_digit(t.ptr[i + 2]) >= 0) {
			out[n++] = (char)(hex_digit(t.ptr[i + 1]) * 16 + hex_digit(t.ptr[i + 2]));
			i += 2;
		} else {
			out[n++] = t.ptr[i];
		}
	}
	size_t m = 0;
	for (size_t i = 0; i < n; i++) {
		bool tilde = out[i] == '~' && i + 1 < n && (out[i + 1] == '0' || out[i + 1] == '1');
		out[m++] = tilde ? (out[i + 1] == '0' ? '~' : '/') : out[i];
		i += tilde;
	}
	return (struct str){out, m};
}

static const struct jv *follow(struct schema *s, const struct jv *v, struct str pointer)
{
	while (pointer.len && v) {
		size_t n = 1;
		while (n < pointer.len && pointer.ptr[n] != '/')
			n++;
		struct str step = unescaped(s, (struct str){pointer.ptr + 1, n - 1});
		pointer = (struct str){pointer.ptr + n, pointer.len - n};
		if (v->type == JV_ARRAY) {
			size_t i = 0;
			for (size_t k = 0; k < step.len; k++)
				i = step.ptr[k] >= '0' && step.ptr[k] <= '9' && i <= v->n
					    ? i * 10 + (size_t)(step.ptr[k] - '0')
					    : SIZE_MAX / 16;
			v = step.len ? jv_at(v, i) : NULL;
		} else {
			v = jv_get_str(v, step);
		}
	}
	return v;
}

static const struct jv *anchored(struct schema *s, uint32_t resource, struct str name, bool dynamic,
				 const struct jv *at, const char *keyword)
{
	const struct jv *found = NULL;
	bool is_dynamic = false;
	uint32_t n_dynamic = 0;
	for (uint32_t i = 0; i < s->n_anchors; i++) {
		const struct anchor *a = &s->anchors[i];
		if (!str_eq(a->name, name))
			continue;
		n_dynamic += a->dynamic;
		if (a->resource == resource) {
			found = a->at;
			is_dynamic = a->dynamic;
		}
	}
	if (dynamic && is_dynamic && n_dynamic > 1)
		schema_refuse(
			s, at, keyword,
			"depends on where it is come from: %u schemas have this $dynamicAnchor; one would do",
			n_dynamic);
	return found;
}

const struct jv *schema_resolve(struct schema *s, const struct jv *at, const char *keyword)
{
	const struct jv *v = jv_get(at, keyword);
	char text[160];
	if (!jv_is(v, JV_STRING))
		schema_refuse(s, at, keyword, "%s is no reference; a text as \"#/$defs/name\" would do",
			      jv_text(v, text, sizeof text));
	struct str ref = jv_str(v), part = fragment(ref);
	uint32_t own = resource_of(s, at), to = s->n_resources;
	struct str uri = absolute(s, s->resources[own].uri, before_fragment(ref));
	if (!before_fragment(ref).len)
		to = own;
	for (uint32_t i = 0; i < s->n_resources && to == s->n_resources; i++)
		if (str_eq(s->resources[i].uri, uri))
			to = i;
	if (to == s->n_resources)
		schema_refuse(s, at, keyword,
			      "%s lies outside the schema; nothing is fetched, only what is in it can be "
			      "pointed at (\"#/$defs/name\")",
			      jv_text(v, text, sizeof text));
	bool dynamic = strcmp(keyword, "$dynamicRef") == 0;
	const struct jv *target = part.len && part.ptr[0] != '/'
					  ? anchored(s, to, unescaped(s, part), dynamic, at, keyword)
					  : follow(s, s->resources[to].root, part);
	/* Where ids are strewn about, people still count from the whole. */
	if (!target && to == own && part.len && part.ptr[0] == '/')
		target = follow(s, s->root, part);
	if (!target)
		schema_refuse(s, at, keyword, "%s points at nothing in the schema",
			      jv_text(v, text, sizeof text));
	return target;
}
