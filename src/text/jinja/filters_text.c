/* Filters of single values: text, numbers, JSON. */
#include <math.h>
#include <stdio.h>

#include "text/jinja/internal.h"

#define FILTER(name) static jval name(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
#define UNUSED(a, b)       \
	do {               \
		(void)(a); \
		(void)(b); \
	} while (0)

FILTER(f_default)
{
	(void)args;
	if (self.type == J_UNDEFINED || (arg_true(r, v[1]) && !j_true(r, self)))
		return v[0].type == J_MISSING ? j_text(r, "") : v[0];
	return self;
}

FILTER(f_length)
{
	UNUSED(v, args);
	return j_int((int64_t)j_length(r, self), false);
}

FILTER(f_string)
{
	UNUSED(v, args);
	return j_to_str(r, self);
}

FILTER(f_safe)
{
	UNUSED(v, args);
	const struct jstr *s = j_soft_str(r, self);
	jval made = j_sub(r, s, 0, s->n);
	as_str(made)->markup = true;
	return made;
}

FILTER(f_escape)
{
	UNUSED(v, args);
	const struct jstr *s = j_soft_str(r, self);
	return s->markup ? self : str_escape(r, s);
}

FILTER(f_forceescape)
{
	UNUSED(v, args);
	return str_escape(r, j_soft_str(r, self));
}

FILTER(f_upper)
{
	UNUSED(v, args);
	return str_case(r, j_soft_str(r, self), CASE_UPPER);
}

FILTER(f_lower)
{
	UNUSED(v, args);
	return str_case(r, j_soft_str(r, self), CASE_LOWER);
}

FILTER(f_capitalize)
{
	UNUSED(v, args);
	return str_case(r, j_soft_str(r, self), CASE_CAPITAL);
}

static bool parts_words(uint32_t c)
{
	return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/* Not Python's title: a word begins behind a blank, "-" or an opening bracket, and an apostrophe is part of
 * it. */
FILTER(f_title)
{
	UNUSED(v, args);
	const struct jstr *s = j_soft_str(r, self);
	struct jbuild b = jb_new(r);
	size_t len;
	for (size_t at = 0; at < s->n;) {
		size_t from = at;
		bool parts = parts_words(utf8_at(s->p + at, s->n - at, &len));
		size_t first = at + len;
		while (at < s->n && parts_words(utf8_at(s->p + at, s->n - at, &len)) == parts)
			at += len;
		jb_str(&b, as_str(str_case(r, as_str(j_sub(r, s, from, first)), CASE_UPPER)));
		jb_str(&b, as_str(str_case(r, as_str(j_sub(r, s, first, at)), CASE_LOWER)));
	}
	return jb_done(&b);
}

static const struct jstr *text_or_null(struct jinja_run *r, jval v, const char *of)
{
	if (v.type == J_MISSING || v.type == J_NONE)
		return NULL;
	if (v.type != J_STRING)
		j_fail(r, "%s takes a str, not a %s", of, type_name(v));
	return as_str(v);
}

FILTER(f_trim)
{
	UNUSED(v, args);
	return str_strip(r, j_soft_str(r, self), text_or_null(r, v[0], "trim"), true, true);
}

FILTER(f_replace)
{
	UNUSED(v, args);
	int64_t max = v[2].type == J_NONE ? -1 : arg_whole(r, v[2], -1, "replace");
	jval made = str_replace(r, j_soft_str(r, self), j_soft_str(r, v[0]), j_soft_str(r, v[1]), max);
	as_str(made)->markup = false;
	return made;
}

FILTER(f_center)
{
	UNUSED(v, args);
	return str_pad(r, j_soft_str(r, self), arg_whole(r, v[0], 80, "center"), NULL, PAD_BOTH);
}

FILTER(f_indent)
{
	UNUSED(v, args);
	const struct jstr *s = j_soft_str(r, self), *by;
	if (v[0].type == J_STRING)
		by = as_str(v[0]);
	else
		by = as_str(
			str_pad(r, as_str(j_text(r, "")), arg_whole(r, v[0], 4, "indent"), NULL, PAD_RIGHT));
	bool first = arg_true(r, v[1]), blank = arg_true(r, v[2]);
	/* a line end more makes a line of what follows the last one, as jinja2 does it */
	jval all = str_lines(r, as_str(j_concat(r, s, as_str(j_text(r, "\n")))), false);
	const struct jlist *lines = as_list(all);
	struct jbuild b = jb_new(r);
	for (size_t i = 0; i < lines->n; i++) {
		const struct jstr *line = as_str(lines->v[i]);
		if (i)
			jb_text(&b, "\n", false);
		if (i ? blank || line->n : first)
			jb_str(&b, by);
		jb_str(&b, line);
	}
	return jb_done(&b);
}

FILTER(f_truncate)
{
	UNUSED(v, args);
	const struct jstr *s = j_soft_str(r, self),
			  *end = v[2].type == J_MISSING ? as_str(j_text(r, "...")) : j_soft_str(r, v[2]);
	int64_t length = arg_whole(r, v[0], 255, "truncate"),
		leeway = v[3].type == J_NONE ? 5 : arg_whole(r, v[3], 5, "truncate");
	if (length < (int64_t)str_chars(end) || leeway < 0)
		j_fail(r, "truncate to %lld characters, which is less than its end has", (long long)length);
	if ((int64_t)str_chars(s) <= length || (int64_t)str_chars(s) - length <= leeway)
		return self.type == J_STRING ? self : j_sub(r, s, 0, s->n);
	size_t to = str_byte_of(s, (size_t)(length - (int64_t)str_chars(end)));
	if (!arg_true(r, v[1])) {
		const char *blank = to ? memrchr(s->p, ' ', to) : NULL;
		to = blank ? (size_t)(blank - s->p) : to;
	}
	struct jbuild b = jb_new(r);
	jb_sub(&b, s, 0, to);
	jb_str(&b, end);
	return jb_done(&b);
}

FILTER(f_wordcount)
{
	UNUSED(v, args);
	const struct jstr *s = j_soft_str(r, self);
	int64_t n = 0;
	bool in_word = false;
	size_t len;
	j_work(r, s->n);
	for (size_t i = 0; i < s->n; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		bool word = c == '_' || char_is_alnum(c);
		n += word && !in_word;
		in_word = word;
	}
	return j_int(n, false);
}

static void add_quoted(struct jbuild *b, const struct jstr *s, bool slash)
{
	for (size_t i = 0; i < s->n; i++) {
		unsigned char c = (unsigned char)s->p[i];
		char text[4];
		if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '.' ||
		    c == '-' || c == '~' || (slash && c == '/')) {
			jb_sub(b, s, i, i + 1);
			continue;
		}
		snprintf(text, sizeof text, !slash && c == ' ' ? "+" : "%%%02X", c);
		jb_text(b, text, s->mark ? s->mark[i] : s->trusted);
	}
}

FILTER(f_urlencode)
{
	UNUSED(v, args);
	struct jbuild b = jb_new(r);
	if (self.type != J_DICT && self.type != J_LIST) {
		add_quoted(&b, j_soft_str(r, self), true);
		return jb_done(&b);
	}
	jval pairs = self.type == J_DICT ? dict_view(r, as_dict(self), K_ITEMS) : self;
	const struct jlist *l = j_items(r, pairs);
	for (size_t i = 0; i < l->n; i++) {
		const struct jlist *pair = j_items(r, l->v[i]);
		if (pair->n != 2)
			j_fail(r, "urlencode wants pairs, and is given %zu values", pair->n);
		if (i)
			jb_text(&b, "&", false);
		add_quoted(&b, j_soft_str(r, pair->v[0]), false);
		jb_text(&b, "=", false);
		add_quoted(&b, j_soft_str(r, pair->v[1]), false);
	}
	return jb_done(&b);
}

FILTER(f_format)
{
	(void)v;
	if (args->n && args->n_named)
		j_fail(r, "format takes values with names or without, not both");
	jval values;
	if (args->n_named) {
		values = j_dict(r);
		for (size_t i = 0; i < args->n_named; i++)
			dict_put(r, as_dict(values), args_name(r, args, i), args->named[i]);
	} else {
		values = j_list(r, K_TUPLE, args->n);
		for (size_t i = 0; i < args->n; i++)
			list_push(r, as_list(values), args->v[i]);
	}
	return format_percent(r, j_soft_str(r, self), values);
}

/* ---- numbers ---- */

FILTER(f_abs)
{
	UNUSED(v, args);
	double f;
	if (self.type == J_UNDEFINED)
		j_undefined_fail(r, self);
	if (!j_number(self, &f))
		j_fail(r, "abs of a %s", type_name(self));
	if (self.type == J_FLOAT)
		return j_float(fabs(f), self.trusted);
	if (self.type == J_BIG && f > 0)
		return self;
	return f < 0 ? j_arith(r, OP_SUB, j_int(0, true), self) : j_arith(r, OP_ADD, j_int(0, true), self);
}

static bool trust_of_text(jval v)
{
	const struct jstr *s = as_str(v);
	if (!s->mark)
		return s->trusted;
	for (size_t i = 0; i < s->n; i++)
		if (!s->mark[i])
			return false;
	return true;
}

FILTER(f_int)
{
	UNUSED(v, args);
	int64_t i, base = arg_whole(r, v[1], 10, "int");
	double f;
	jval fallback = v[0].type == J_MISSING ? j_int(0, true) : v[0];
	bool trusted = self.type == J_STRING ? trust_of_text(self) : self.trusted;
	if (self.type == J_UNDEFINED)
		j_undefined_fail(r, self);
	if (base < 0 || base == 1 || base > 36)
		j_fail(r, "int with the base %lld", (long long)base);
	if (self.type == J_BIG)
		return self;
	if (j_whole(self, &i))
		return j_int(i, trusted);
	if (self.type == J_STRING) {
		if (parse_whole(r, str_view(as_str(self)), (int)base, &i))
			return j_int(i, trusted);
		if (!parse_float(str_view(as_str(self)), &f))
			return fallback;
	} else if (!j_number(self, &f)) {
		return fallback;
	}
	return fabs(f) < 0x1p63 ? j_int((int64_t)f, trusted) : fallback;
}

FILTER(f_float)
{
	UNUSED(v, args);
	double f;
	if (self.type == J_UNDEFINED)
		j_undefined_fail(r, self);
	if (j_number(self, &f))
		return j_float(f, self.trusted);
	if (self.type == J_STRING && parse_float(str_view(as_str(self)), &f))
		return j_float(f, trust_of_text(self));
	return v[0].type == J_MISSING ? j_float(0, true) : v[0];
}

FILTER(f_round)
{
	UNUSED(v, args);
	struct str method = STR_LIT("common");
	if (v[1].type == J_STRING)
		method = str_view(as_str(v[1]));
	if (!str_eq_c(method, "common") && !str_eq_c(method, "ceil") && !str_eq_c(method, "floor"))
		j_fail(r, "round takes the method common, ceil or floor");
	return round_to(r, self, arg_whole(r, v[0], 0, "round"), method);
}

/* ---- JSON ---- */

FILTER(f_tojson)
{
	UNUSED(v, args);
	static const struct jstr comma = {.p = ", ", .n = 2}, bare_comma = {.p = ",", .n = 1},
				 colon = {.p = ": ", .n = 2};
	struct json_style style = {
		.ascii = arg_true(r, v[0]), .sorted = arg_true(r, v[3]), .item = &comma, .key = &colon};
	if (v[1].type == J_STRING) {
		style.indent = as_str(v[1]);
	} else if (v[1].type != J_MISSING && v[1].type != J_NONE) {
		int64_t n = arg_whole(r, v[1], 0, "tojson");
		style.indent = as_str(str_pad(r, as_str(j_text(r, "")), n, NULL, PAD_RIGHT));
	}
	if (style.indent)
		style.item = &bare_comma;
	if (v[2].type != J_MISSING && v[2].type != J_NONE) {
		const struct jlist *both = j_items(r, v[2]);
		if (both->n != 2 || both->v[0].type != J_STRING || both->v[1].type != J_STRING)
			j_fail(r, "tojson: separators is not two texts");
		style.item = as_str(both->v[0]);
		style.key = as_str(both->v[1]);
	}
	struct jbuild b = jb_new(r);
	print_json(&b, self, &style, 0);
	return jb_done(&b);
}

FILTER(f_from_json)
{
	UNUSED(v, args);
	if (self.type != J_STRING)
		j_fail(r, "from_json takes a str, not a %s", type_name(self));
	return json_parse(r, as_str(self));
}

const struct builtin jinja_filters_text[] = {
	{"tojson", "ensure_ascii,indent,separators,sort_keys", 0, f_tojson},
	{"length", "", 0, f_length},
	{"count", "", 0, f_length},
	{"trim", "chars", 0, f_trim},
	{"default", "default_value,boolean", 0, f_default},
	{"d", "default_value,boolean", 0, f_default},
	{"string", "", 0, f_string},
	{"safe", "", 0, f_safe},
	{"escape", "", 0, f_escape},
	{"e", "", 0, f_escape},
	{"forceescape", "", 0, f_forceescape},
	{"upper", "", 0, f_upper},
	{"lower", "", 0, f_lower},
	{"title", "", 0, f_title},
	{"capitalize", "", 0, f_capitalize},
	{"replace", "old,new,count", 2, f_replace},
	{"indent", "width,first,blank", 0, f_indent},
	{"center", "width", 0, f_center},
	{"truncate", "length,killwords,end,leeway", 0, f_truncate},
	{"wordcount", "", 0, f_wordcount},
	{"urlencode", "", 0, f_urlencode},
	{"format", NULL, 0, f_format},
	{"abs", "", 0, f_abs},
	{"int", "default,base", 0, f_int},
	{"float", "default", 0, f_float},
	{"round", "precision,method", 0, f_round},
	{"from_json", "", 0, f_from_json},
	{0},
};
