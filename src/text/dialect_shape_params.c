/*
 * Shapes of arguments that are not JSON: parameters in markup, Gemma's notation and Python's. Their strings
 * are written bare, so that a schema can hold them to a list of values and a greatest length, and to nothing
 * else; what is JSON in them is held to its schema whole.
 */
#include <stdio.h>

#include "text/dialect_shape.h"

enum { MAX_FREE_OPTIONAL = 64, MAX_NESTING = 32, MAX_VALUES = 10000 };

/* Says nothing about values. */
static bool is_annotation(struct str key)
{
	static const char *const known[] = {"description", "title",       "default",    "examples", "$schema",
					    "$defs",       "definitions", "deprecated", "$comment", "strict"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq_c(key, known[i]))
			return true;
	return false;
}

/* Refuses keywords of schema beyond those of known. */
static void only(struct shaper *s, const struct jv *schema, const char *const *known, const char *part,
		 const char *what)
{
	for (uint32_t i = 0; jv_is(schema, JV_OBJECT) && i < schema->n; i++) {
		struct str key = jv_key(schema, i);
		const char *const *k = known;
		while (*k && !str_eq_c(key, *k))
			k++;
		if (!*k && !is_annotation(key))
			shape_refuse(s, part,
				     "has \"%.*s\", which the dialect %s cannot hold %s to; leave it out, or "
				     "ask for no call of this tool",
				     STR_ARG(key), s->d->name, what);
	}
}

/* ---- strings ---- */

typedef void quote_fn(struct shaper *s, struct shape_list *l, const struct jv *text);

/* The values that an enum or a const leaves; NULL: any. */
static const struct jv *values_of(const struct jv *schema, uint32_t *n)
{
	const struct jv *one = jv_get(schema, "const"), *list = jv_get(schema, "enum");
	*n = one ? 1 : (uint32_t)jv_len(list);
	return one ? one : *n ? jv_at(list, 0) : NULL;
}

static void one_of(struct shaper *s, struct shape_list *l, const struct jv *values, uint32_t n,
		   quote_fn *quote)
{
	struct shape_list any, one;
	shape_item(s, l);
	shape_begin(s, "or", "elements", &any);
	for (uint32_t i = 0; i < n; i++) {
		shape_item(s, &any);
		shape_begin(s, "sequence", "elements", &one);
		quote(s, &one, &values[i]);
		shape_end(s, &one);
	}
	shape_end(s, &any);
}

static void bare(struct shaper *s, struct shape_list *l, const struct jv *text)
{
	struct strbuf b = {0};
	if (jv_is(text, JV_STRING))
		strbuf_add(&b, text->text, text->n);
	else
		dialect_write_json(text, s->form & DIALECT_SPACED, &b);
	shape_const(s, l, (struct str){b.ptr, b.len});
	strbuf_free(&b);
}

static const char *const bounded_words[] = {"type", "enum", "const", "maxLength", NULL};
/* Where what stands in the answer is the string, without a line break more or less. */
static const char *const exact_words[] = {"type", "enum", "const", "maxLength", "minLength", "pattern", NULL};

static void free_text(struct shaper *s, struct shape_list *l, const struct jv *schema, const char *end,
		      const char *part)
{
	const struct jv *min = jv_get(schema, "minLength"), *pattern = jv_get(schema, "pattern");
	int64_t most, least;
	shape_item(s, l);
	shape_add(s, "{\"type\":\"any_text\"");
	if (!shape_is_token(s, str_c(end))) {
		shape_add(s, ",\"excludes\":[");
		strbuf_add_json(&s->out->text, end, strlen(end));
		shape_add(s, "]");
	}
	if (jv_int(jv_get(schema, "maxLength"), &most) && most >= 0)
		strbuf_addf(&s->out->text, ",\"max_chars\":%lld", (long long)most);
	if (min && (!jv_int(min, &least) || least < 0 || least > INT32_MAX))
		shape_refuse(s, part, "has a \"minLength\" that is no count");
	else if (min)
		strbuf_addf(&s->out->text, ",\"min_chars\":%lld", (long long)least);
	if (pattern && (!jv_is(pattern, JV_STRING) || !pattern->n))
		shape_refuse(s, part, "has a \"pattern\" that is no regular expression");
	else if (pattern) {
		shape_add(s, ",\"pattern\":");
		jv_write(pattern, &s->out->text);
	}
	shape_add(s, "}");
}

/* ---- parameters in markup ---- */

static void markup_value(struct shaper *s, struct shape_list *l, const struct jv *schema,
			 const struct jv *root, unsigned may, bool exact, const char *part)
{
	uint32_t n;
	const struct jv *values = values_of(schema, &n);
	if (may && !(may & MAY_STRING)) {
		shape_schema(s, l, schema, root, part);
		return;
	}
	only(s, schema, exact && may == MAY_STRING ? exact_words : bounded_words, part, "text in markup");
	if (values)
		one_of(s, l, values, n, bare);
	else
		free_text(s, l, schema, s->d->param_end, part);
}

/* What ends the key where the value is of one of these types. */
static const char *key_end(const struct shaper *s, unsigned may)
{
	static const char *const types[] = {"null", "boolean", "number", "string", "array", "object"};
	bool text = !may || may & MAY_STRING;
	const char *found = NULL;
	for (size_t i = 0; i < 8 && s->d->key_end[i]; i++) {
		const char *end = s->d->key_end[i];
		if (*end != (text ? 's' : 'j'))
			continue;
		found = found ? found : end + 1;
		for (size_t t = 0; t < 6; t++)
			if (!text && may == 1u << t && strstr(end, types[t]))
				found = end + 1;
	}
	return found ? found : "";
}

/* Does what is written from here on begin with a line break? */
static bool begins_line(const struct shaper *s, const char *text)
{
	struct strbuf piece = {0};
	char op;
	bool line = dialect_write_next(s->d, s->form, &text, &op, &piece) && !op && piece.len &&
		    piece.ptr[0] == '\n';
	strbuf_free(&piece);
	return line;
}

static void param(struct shaper *s, struct shape_list *l, struct str key, const struct jv *schema,
		  const struct jv *root)
{
	char part[128], op;
	const char *text = s->d->write_param;
	struct strbuf piece = {0};
	schema = dialect_referred(root, schema);
	unsigned may = dialect_kinds(root, schema);
	snprintf(part, sizeof part, "/properties/%.*s", STR_ARG(key));
	bool line_before = false;
	while (dialect_write_next(s->d, s->form, &text, &op, &piece)) {
		if (op == OP_KEY) {
			shape_const(s, l, key);
			if (s->d->key_end[0][0] != '?')
				shape_literal(s, l, key_end(s, may));
		} else if (op == OP_VALUE) {
			bool exact = !(s->d->flags & DIALECT_LINES) || (line_before && begins_line(s, text));
			markup_value(s, l, schema, root, may, exact, part);
		} else {
			shape_literal(s, l, piece.ptr);
		}
		line_before = !op && piece.len && piece.ptr[piece.len - 1] == '\n';
	}
	strbuf_free(&piece);
}

static bool is_required(const struct jv *schema, struct str key)
{
	const struct jv *list = jv_get(schema, "required");
	for (size_t i = 0; i < jv_len(list); i++)
		if (str_eq(jv_str(jv_at(list, i)), key))
			return true;
	return false;
}

/* An object whose properties come in the order in which they are declared. */
static const struct jv *properties_of(struct shaper *s, const struct jv *schema, const char *part)
{
	static const char *const words[] = {"type", "properties", "required", "additionalProperties", NULL};
	const struct jv *list = jv_get(schema, "required"), *properties = jv_get(schema, "properties");
	only(s, schema, words, part, "parameters");
	for (size_t i = 0; i < jv_len(list); i++)
		if (!jv_get_str(properties, jv_str(jv_at(list, i))))
			shape_refuse(s, part, "requires \"%.*s\", which its properties do not declare",
				     STR_ARG(jv_str(jv_at(list, i))));
	return jv_is(properties, JV_OBJECT) ? properties : NULL;
}

void shape_params(struct shaper *s, struct shape_list *l, const struct jv *parameters)
{
	const struct jv *properties = properties_of(s, parameters, "");
	struct shape_list one;
	for (uint32_t i = 0; properties && i < properties->n; i++) {
		struct str key = jv_key(properties, i);
		bool required = is_required(parameters, key);
		size_t optional = 0;
		shape_item(s, l);
		if (!required)
			optional = shape_open(s, "optional");
		shape_begin(s, "sequence", "elements", &one);
		param(s, &one, key, jv_value(properties, i), parameters);
		shape_end(s, &one);
		if (!required)
			shape_close(s, optional);
	}
}

/* ---- notations ---- */

static void value(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		  int depth, const char *part);

static bool is_python(const struct shaper *s)
{
	return s->d->body == BODY_PYTHON;
}

static void noted(struct shaper *s, struct shape_list *l, const struct jv *v)
{
	struct strbuf b = {0};
	dialect_write_notation(s->d, v, &b);
	shape_literal(s, l, b.ptr ? b.ptr : "");
	strbuf_free(&b);
}

/* What repr writes: in either quotes, with its escapes. */
static const char python_text[] =
	"'([^'\\\\\\x00-\\x1f]|\\\\[\\\\'nrt])*'|\"([^\"\\\\\\x00-\\x1f]|\\\\[\\\\nrt])*\"";

static void text_value(struct shaper *s, struct shape_list *l, const struct jv *schema, const char *part)
{
	static const char mark[] = "<|\"|>";
	only(s, schema, is_python(s) ? bounded_words : exact_words, part, "text");
	if (is_python(s)) {
		if (jv_get(schema, "maxLength"))
			shape_refuse(s, part,
				     "has \"maxLength\", which the dialect %s cannot hold text to; leave it "
				     "out, or ask for no call of this tool",
				     s->d->name);
		shape_regex(s, l, python_text);
		return;
	}
	shape_literal(s, l, mark);
	free_text(s, l, schema, mark, part);
	shape_literal(s, l, mark);
}

/* An item of an object or of arguments: its key, and its value. */
static void pair(struct shaper *s, struct shape_list *l, const struct jv *properties, uint32_t i,
		 const struct jv *root, int depth)
{
	char part[128];
	struct str key = jv_key(properties, i);
	snprintf(part, sizeof part, "/properties/%.*s", STR_ARG(key));
	if (is_python(s) && depth) {
		struct jv name = {.type = JV_STRING, .n = (uint32_t)key.len, .text = key.ptr};
		noted(s, l, &name);
		shape_literal(s, l, ": ");
	} else {
		shape_const(s, l, key);
		shape_literal(s, l, is_python(s) ? "=" : ":");
	}
	value(s, l, jv_value(properties, i), root, depth + 1, part);
}

/* Property i with what parts it from another, before it or behind. */
static void parted(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		   int depth, uint32_t i, bool before)
{
	const struct jv *properties = jv_get(schema, "properties");
	const char *comma = is_python(s) ? ", " : ",";
	struct shape_list one;
	bool required = is_required(schema, jv_key(properties, i));
	size_t optional = 0;
	shape_item(s, l);
	if (!required)
		optional = shape_open(s, "optional");
	shape_begin(s, "sequence", "elements", &one);
	if (before)
		shape_literal(s, &one, comma);
	pair(s, &one, properties, i, root, depth);
	if (!before)
		shape_literal(s, &one, comma);
	shape_end(s, &one);
	if (!required)
		shape_close(s, optional);
}

static void pairs_from(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		       int depth, uint32_t first)
{
	const struct jv *properties = jv_get(schema, "properties");
	pair(s, l, properties, first, root, depth);
	for (uint32_t i = first + 1; i < properties->n; i++)
		parted(s, l, schema, root, depth, i, true);
}

/* The pairs of an object: those before the first that must come have their comma behind them, the others
 * before. */
static void pairs(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		  int depth, const char *part)
{
	const struct jv *properties = properties_of(s, schema, part);
	struct shape_list any, one;
	uint32_t n = properties ? properties->n : 0, first = 0;
	if (depth && !properties)
		shape_refuse(s, part,
			     "declares no properties, and the dialect %s can be held to declared ones only",
			     s->d->name);
	while (first < n && !is_required(schema, jv_key(properties, first)))
		first++;
	for (uint32_t i = 0; i < first && first < n; i++)
		parted(s, l, schema, root, depth, i, false);
	if (first < n) {
		pairs_from(s, l, schema, root, depth, first);
		return;
	}
	if (!n)
		return;
	if (n > MAX_FREE_OPTIONAL) {
		shape_refuse(s, part,
			     "has %u properties of which none is required; the dialect %s takes %d of them",
			     n, s->d->name, MAX_FREE_OPTIONAL);
		return;
	}
	shape_item(s, l);
	size_t optional = shape_open(s, "optional");
	shape_begin(s, "or", "elements", &any);
	for (uint32_t i = 0; i < n; i++) {
		shape_item(s, &any);
		shape_begin(s, "sequence", "elements", &one);
		pairs_from(s, &one, schema, root, depth, i);
		shape_end(s, &one);
	}
	shape_end(s, &any);
	shape_close(s, optional);
}

static void array_value(struct shaper *s, struct shape_list *l, const struct jv *schema,
			const struct jv *root, int depth, const char *part)
{
	static const char *const words[] = {"type", "items", NULL};
	const struct jv *items = jv_get(schema, "items");
	struct shape_list some, more;
	only(s, schema, words, part, "arrays");
	if (!jv_is(items, JV_OBJECT))
		shape_refuse(
			s, part,
			"says nothing of its items, and the dialect %s can be held to declared ones only",
			s->d->name);
	shape_literal(s, l, "[");
	shape_item(s, l);
	size_t optional = shape_open(s, "optional");
	shape_begin(s, "sequence", "elements", &some);
	value(s, &some, items, root, depth + 1, part);
	shape_item(s, &some);
	size_t star = shape_open(s, "star");
	shape_begin(s, "sequence", "elements", &more);
	shape_literal(s, &more, is_python(s) ? ", " : ",");
	value(s, &more, items, root, depth + 1, part);
	shape_end(s, &more);
	shape_close(s, star);
	shape_end(s, &some);
	shape_close(s, optional);
	shape_literal(s, l, "]");
}

static void value(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		  int depth, const char *part)
{
	uint32_t n;
	schema = dialect_referred(root, schema);
	const struct jv *values = values_of(schema, &n);
	unsigned may = dialect_kinds(root, schema);
	if (depth > MAX_NESTING || ++s->n_values > MAX_VALUES)
		shape_refuse(
			s, part,
			"has more than %d values, or some nested more than %d deep, which the dialect %s "
			"cannot be held to",
			MAX_VALUES, MAX_NESTING, s->d->name);
	if (s->failed || s->free) {
		shape_literal(s, l, "-");
	} else if (values) {
		one_of(s, l, values, n, noted);
	} else if (may == MAY_STRING) {
		text_value(s, l, schema, part);
	} else if (may == 1u << JV_OBJECT) {
		shape_literal(s, l, "{");
		pairs(s, l, schema, root, depth, part);
		shape_literal(s, l, "}");
	} else if (may == 1u << JV_ARRAY) {
		array_value(s, l, schema, root, depth, part);
	} else if (may == 1u << JV_NUMBER ||
		   (!is_python(s) && may && !(may & (MAY_STRING | 1u << JV_ARRAY | 1u << JV_OBJECT)))) {
		shape_schema(s, l, schema, root, part);
	} else if (may == 1u << JV_BOOL) {
		shape_regex(s, l, "True|False");
	} else {
		shape_refuse(
			s, part,
			"allows values of several types, or does not say which, and the dialect %s can be "
			"held to one of them only",
			s->d->name);
	}
}

void shape_notation(struct shaper *s, struct shape_list *l, const struct jv *parameters)
{
	if (!is_python(s))
		shape_literal(s, l, "{");
	pairs(s, l, parameters, parameters, 0, "");
	if (!is_python(s))
		shape_literal(s, l, "}");
}
