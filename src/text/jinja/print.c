/* Values as text: Python's str and repr, and JSON as json.dumps writes it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja/internal.h"

static void print_sequence(struct jbuild *b, const struct jlist *l, const char *open, const char *close)
{
	jb_text(b, open, false);
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			jb_text(b, ", ", false);
		print_repr(b, l->v[i]);
	}
	if (l->kind == K_TUPLE && l->n == 1)
		jb_text(b, ",", false);
	jb_text(b, close, false);
}

static void print_range(struct jbuild *b, const struct jlist *l)
{
	/* (from, to, step) stand behind the items: see the function range */
	const jval *v = l->v + l->n;
	char text[80];
	if (v[2].as.i == 1)
		snprintf(text, sizeof text, "range(%lld, %lld)", (long long)v[0].as.i, (long long)v[1].as.i);
	else
		snprintf(text, sizeof text, "range(%lld, %lld, %lld)", (long long)v[0].as.i,
			 (long long)v[1].as.i, (long long)v[2].as.i);
	jb_text(b, text, false);
}

static void print_list(struct jbuild *b, const struct jlist *l)
{
	static const char *const open[] = {"[", "(", NULL, "dict_keys([", "dict_values([", "dict_items(["},
				 *const close[] = {"]", ")", NULL, "])", "])", "])"};
	if (l->kind == K_GENERATOR)
		j_fail(b->r, "a generator is written; it wants the filter list or join");
	if (l->kind == K_RANGE)
		print_range(b, l);
	else
		print_sequence(b, l, open[l->kind], close[l->kind]);
}

static void print_dict(struct jbuild *b, const struct jdict *d)
{
	jb_text(b, "{", false);
	for (size_t i = 0; i < d->n; i++) {
		if (i)
			jb_text(b, ", ", false);
		print_repr(b, d->v[i].key);
		jb_text(b, ": ", false);
		print_repr(b, d->v[i].value);
	}
	jb_text(b, "}", false);
}

static void repr_char(struct jbuild *b, const struct jstr *s, size_t at, size_t len, uint32_t c, char quote)
{
	char text[16] = "";
	bool trusted = s->mark ? s->mark[at] : s->trusted;
	if (c == '\n' || c == '\r' || c == '\t')
		snprintf(text, sizeof text, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	else if (c == '\\' || c == (unsigned char)quote)
		snprintf(text, sizeof text, "\\%c", (char)c);
	else if (len == 1 && (c < 32 || c >= 127))
		snprintf(text, sizeof text, "\\x%02x", c);
	else if (!char_is_printable(c))
		snprintf(text, sizeof text, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
	if (*text)
		jb_text(b, text, trusted);
	else
		jb_sub(b, s, at, at + len);
}

static void print_quoted(struct jbuild *b, const struct jstr *s)
{
	char quote = s->n && memchr(s->p, '\'', s->n) && !memchr(s->p, '"', s->n) ? '"' : '\'';
	size_t len;
	jb_add(b, &quote, 1, NULL, false);
	for (size_t i = 0; i < s->n; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		repr_char(b, s, i, len, c, quote);
	}
	jb_add(b, &quote, 1, NULL, false);
}

void print_repr(struct jbuild *b, jval v)
{
	char text[40];
	j_enter(b->r);
	switch (v.type) {
	case J_NONE:
		jb_text(b, "None", false);
		break;
	case J_BOOL:
		jb_text(b, v.as.b ? "True" : "False", false);
		break;
	case J_INT:
		snprintf(text, sizeof text, "%lld", (long long)v.as.i);
		jb_text(b, text, v.trusted);
		break;
	case J_BIG:
		jb_str(b, as_str(v));
		break;
	case J_FLOAT:
		float_repr(v.as.f, text);
		jb_text(b, text, v.trusted);
		break;
	case J_STRING:
		if (as_str(v)->markup)
			jb_text(b, "Markup(", false);
		print_quoted(b, as_str(v));
		if (as_str(v)->markup)
			jb_text(b, ")", false);
		break;
	case J_LIST:
		print_list(b, as_list(v));
		break;
	case J_DICT:
		print_dict(b, as_dict(v));
		break;
	case J_UNDEFINED:
		jb_text(b, "Undefined", false);
		break;
	case J_NAMESPACE:
		jb_text(b, "<Namespace ", false);
		print_dict(b, as_dict(v));
		jb_text(b, ">", false);
		break;
	default:
		j_fail(b->r, "a %s is written; is it to be called?", type_name(v));
	}
	j_leave(b->r);
}

void print_str(struct jbuild *b, jval v)
{
	if (v.type == J_STRING)
		jb_str(b, as_str(v));
	else if (v.type != J_UNDEFINED)
		print_repr(b, v);
}

jval j_to_str(struct jinja_run *r, jval v)
{
	if (v.type == J_STRING)
		return v;
	struct jbuild b = jb_new(r);
	print_str(&b, v);
	return jb_done(&b);
}

struct jstr *j_soft_str(struct jinja_run *r, jval v)
{
	return as_str(j_to_str(r, v));
}

/* ---- JSON ---- */

static void json_string(struct jbuild *b, const struct jstr *s, bool ascii)
{
	size_t from = 0, len;
	jb_text(b, "\"", false);
	for (size_t i = 0; i < s->n; i += len) {
		static const char names[] = "\"\\\n\r\t\f\b", values[] = "\"\\nrtfb";
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		const char *known = c && c < 128 ? strchr(names, (int)c) : NULL;
		if (!known && c >= 32 && !(ascii && c >= 127))
			continue;
		bool trusted = s->mark ? s->mark[i] : s->trusted;
		char text[16];
		if (known)
			snprintf(text, sizeof text, "\\%c", values[known - names]);
		else if (c >= 0x10000)
			snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
				 0xDC00 + ((c - 0x10000) & 0x3FF));
		else
			snprintf(text, sizeof text, "\\u%04x", c);
		jb_sub(b, s, from, i);
		jb_text(b, text, trusted);
		from = i + len;
	}
	jb_sub(b, s, from, s->n);
	jb_text(b, "\"", false);
}

static void json_float(struct jbuild *b, jval v)
{
	char text[FLOAT_REPR_BYTES];
	if (isnan(v.as.f))
		snprintf(text, sizeof text, "NaN");
	else if (isinf(v.as.f))
		snprintf(text, sizeof text, "%s", v.as.f < 0 ? "-Infinity" : "Infinity");
	else
		float_repr(v.as.f, text);
	jb_text(b, text, v.trusted);
}

static void json_break(struct jbuild *b, const struct json_style *style, unsigned level)
{
	if (!style->indent)
		return;
	jb_text(b, "\n", false);
	for (unsigned i = 0; i < level; i++)
		jb_str(b, style->indent);
}

static void json_list(struct jbuild *b, const struct jlist *l, const struct json_style *style, unsigned level)
{
	if (l->kind > K_TUPLE)
		j_fail(b->r, "a %s has no JSON", l->kind == K_RANGE ? "range" : "view of a dict");
	jb_text(b, "[", false);
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			jb_str(b, style->item);
		json_break(b, style, level + 1);
		print_json(b, l->v[i], style, level + 1);
	}
	if (l->n)
		json_break(b, style, level);
	jb_text(b, "]", false);
}

static void json_key(struct jbuild *b, jval key, const struct json_style *style)
{
	if (key.type == J_STRING) {
		json_string(b, as_str(key), style->ascii);
		return;
	}
	if (key.type != J_INT && key.type != J_FLOAT && key.type != J_BOOL && key.type != J_BIG &&
	    key.type != J_NONE)
		j_fail(b->r, "a %s cannot be a key of JSON", type_name(key));
	jb_text(b, "\"", false);
	print_json(b, key, style, 0);
	jb_text(b, "\"", false);
}

static int pair_order(const void *a, const void *b, void *r)
{
	return j_order(r, ((const struct jpair *)a)->key, ((const struct jpair *)b)->key, "<");
}

static void json_dict(struct jbuild *b, const struct jdict *d, const struct json_style *style, unsigned level)
{
	struct jpair *v = d->v;
	if (style->sorted && d->n) {
		v = j_array(b->r, d->n, sizeof *v);
		memcpy(v, d->v, d->n * sizeof *v);
		stable_sort(b->r, v, d->n, sizeof *v, pair_order, b->r);
	}
	jb_text(b, "{", false);
	for (size_t i = 0; i < d->n; i++) {
		if (i)
			jb_str(b, style->item);
		json_break(b, style, level + 1);
		json_key(b, v[i].key, style);
		jb_str(b, style->key);
		print_json(b, v[i].value, style, level + 1);
	}
	if (d->n)
		json_break(b, style, level);
	jb_text(b, "}", false);
}

void print_json(struct jbuild *b, jval v, const struct json_style *style, unsigned level)
{
	j_enter(b->r);
	switch (v.type) {
	case J_NONE:
		jb_text(b, "null", false);
		break;
	case J_BOOL:
		jb_text(b, v.as.b ? "true" : "false", false);
		break;
	case J_INT:
	case J_BIG:
		print_repr(b, v);
		break;
	case J_FLOAT:
		json_float(b, v);
		break;
	case J_STRING:
		json_string(b, as_str(v), style->ascii);
		break;
	case J_LIST: /* jinja2 fails on a generator, as map gives; others write the list that is meant */
		json_list(b, as_list(v)->kind == K_GENERATOR ? j_items(b->r, v) : as_list(v), style, level);
		break;
	case J_DICT:
		json_dict(b, as_dict(v), style, level);
		break;
	case J_UNDEFINED:
		j_undefined_fail(b->r, v);
	default:
		j_fail(b->r, "a %s has no JSON", type_name(v));
	}
	j_leave(b->r);
}

/* ---- and read (the filter from_json) ---- */

struct reader {
	struct jinja_run *r;
	const struct jstr *s;
	size_t at;
};

static _Noreturn void bad_json(struct reader *j)
{
	char quoted[48];
	j_fail(j->r, "from_json: this is no JSON: %s",
	       str_quote((struct str){j->s->p + j->at, j->s->n - j->at}, quoted, sizeof quoted));
}

static char peek(struct reader *j)
{
	while (j->at < j->s->n && strchr(" \t\r\n", j->s->p[j->at]) && j->s->p[j->at])
		j->at++;
	return j->at < j->s->n ? j->s->p[j->at] : '\0';
}

static bool take(struct reader *j, char c)
{
	bool is = peek(j) == c;
	j->at += is;
	return is;
}

static uint32_t read_hex(struct reader *j)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++, j->at++) {
		char c = j->at < j->s->n ? j->s->p[j->at] : '\0';
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			bad_json(j);
	}
	return v;
}

static void read_escape(struct reader *j, struct jbuild *b)
{
	static const char names[] = "\"\\/nrtfb", values[] = "\"\\/\n\r\t\f\b";
	bool trusted = j->s->mark ? j->s->mark[j->at] : j->s->trusted;
	j->at++;
	char c = j->at < j->s->n ? j->s->p[j->at] : '\0';
	const char *known = c ? strchr(names, c) : NULL;
	if (!known && c != 'u')
		bad_json(j);
	j->at++;
	if (known) {
		jb_char(b, (unsigned char)values[known - names], trusted);
		return;
	}
	uint32_t v = read_hex(j);
	if (v >= 0xD800 && v < 0xDC00 && j->at + 6 <= j->s->n && memcmp(j->s->p + j->at, "\\u", 2) == 0) {
		j->at += 2;
		uint32_t low = read_hex(j);
		v = low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00) : 0xD800;
	}
	if (v >= 0xD800 && v < 0xE000)
		bad_json(j);
	jb_char(b, v, trusted);
}

static jval read_string(struct reader *j)
{
	struct jbuild b = jb_new(j->r);
	size_t from = ++j->at;
	for (;; from = j->at) {
		while (j->at < j->s->n && j->s->p[j->at] != '"' && j->s->p[j->at] != '\\')
			j->at++;
		if (j->at == j->s->n)
			bad_json(j);
		jb_sub(&b, j->s, from, j->at);
		if (j->s->p[j->at] == '"')
			break;
		read_escape(j, &b);
	}
	j->at++;
	return jb_done(&b);
}

static jval read_number(struct reader *j)
{
	char text[64];
	size_t n = 0;
	double f;
	int64_t i;
	bool trusted = j->s->mark ? j->s->mark[j->at] : j->s->trusted;
	while (j->at < j->s->n && n + 1 < sizeof text && j->s->p[j->at] &&
	       strchr("+-.0123456789eE", j->s->p[j->at]))
		text[n++] = j->s->p[j->at++];
	text[n] = '\0';
	struct str s = {text, n};
	if (n > 18 && !strpbrk(text, ".eE")) {
		jval big = j_sub(j->r, j->s, j->at - n, j->at);
		big.type = J_BIG;
		return big;
	}
	if (n && !strpbrk(text, ".eE") && parse_whole(j->r, s, 10, &i))
		return j_int(i, trusted);
	if (!n || !parse_float(s, &f))
		bad_json(j);
	return j_float(f, trusted);
}

static jval read_value(struct reader *j);

static jval read_list(struct reader *j)
{
	jval list = j_list(j->r, K_LIST, 0);
	j->at++;
	while (!take(j, ']')) {
		if (as_list(list)->n && !take(j, ','))
			bad_json(j);
		list_push(j->r, as_list(list), read_value(j));
	}
	return list;
}

static jval read_dict(struct reader *j)
{
	jval dict = j_dict(j->r);
	j->at++;
	while (!take(j, '}')) {
		if (as_dict(dict)->n && !take(j, ','))
			bad_json(j);
		if (peek(j) != '"')
			bad_json(j);
		jval key = read_string(j);
		if (!take(j, ':'))
			bad_json(j);
		dict_put(j->r, as_dict(dict), key, read_value(j));
	}
	return dict;
}

static jval read_value(struct reader *j)
{
	static const struct {
		const char *word;
		uint8_t type, b;
	} words[] = {{"null", J_NONE, 0}, {"true", J_BOOL, 1}, {"false", J_BOOL, 0}};
	jval v;
	char c = peek(j);
	j_work(j->r, 0);
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(words[i].word);
		if (j->s->n - j->at >= n && memcmp(j->s->p + j->at, words[i].word, n) == 0) {
			j->at += n;
			return words[i].type == J_NONE ? j_none() : j_bool(words[i].b);
		}
	}
	j_enter(j->r);
	v = c == '"' ? read_string(j) : c == '[' ? read_list(j) : c == '{' ? read_dict(j) : read_number(j);
	j_leave(j->r);
	return v;
}

jval json_parse(struct jinja_run *r, const struct jstr *s)
{
	struct reader j = {r, s, 0};
	jval v = read_value(&j);
	peek(&j);
	if (j.at < s->n)
		bad_json(&j);
	return v;
}
