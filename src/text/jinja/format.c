/* Python's two ways of formatting: "%s" % value, and "{}".format(value). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja/internal.h"

enum {
	MAX_WIDTH = 10000,
	MAX_PRECISION = 300,
	/* Room for the longest number: 309 digits with 102 signs between, a point, a precision, a percent
	   sign. */
	NUMBER_BYTES = 309 + 102 + 1 + MAX_PRECISION + 1 + 1,
};

/* What stands between % and its letter, or behind the colon. */
struct spec {
	char fill[4];
	size_t fill_len;
	char align, sign, group, type; /* 0: not given */
	bool alternate, zero;
	int64_t width, precision; /* -1: not given */
};

static bool trust_of(const struct jstr *s, size_t at)
{
	return s->mark ? s->mark[at] : s->trusted;
}

/* What goes into markup is escaped. */
static jval escaped_for(struct jinja_run *r, const struct jstr *format, jval v)
{
	return format->markup && v.type == J_STRING && !as_str(v)->markup ? str_escape(r, as_str(v)) : v;
}

/* body, with sign before it, brought to the width. The sign stays before zeros. */
static void add_padded(struct jbuild *b, const struct spec *spec, struct str sign, const struct jstr *body,
		       bool trusted)
{
	size_t chars = sign.len + str_chars(body);
	size_t pad = spec->width > (int64_t)chars ? (size_t)spec->width - chars : 0;
	size_t left = spec->align == '<' ? 0 : spec->align == '^' ? pad / 2 : pad;
	if (spec->align == '=')
		jb_add(b, sign.ptr, sign.len, NULL, trusted);
	for (size_t i = 0; i < left; i++)
		jb_add(b, spec->fill, spec->fill_len, NULL, false);
	if (spec->align != '=')
		jb_add(b, sign.ptr, sign.len, NULL, trusted);
	jb_str(b, body);
	for (size_t i = left; i < pad; i++)
		jb_add(b, spec->fill, spec->fill_len, NULL, false);
}

static void add_string(struct jbuild *b, struct spec spec, const struct jstr *s)
{
	if (!spec.align)
		spec.align = '<';
	if (spec.precision >= 0)
		s = as_str(j_sub(b->r, s, 0, str_byte_of(s, (size_t)spec.precision)));
	add_padded(b, &spec, (struct str){"", 0}, s, false);
}

static void append(char text[NUMBER_BYTES], const char *more)
{
	size_t n = strlen(text);
	snprintf(text + n, NUMBER_BYTES - n, "%s", more);
}

/* digits with a sign between every few of them, counted from the point, and before them zeros, grouped too,
 * until all of it has width characters. */
static const struct jstr *grouped(struct jinja_run *r, const struct spec *spec, const char *digits, int every,
				  int64_t width, bool trusted)
{
	struct jbuild b = jb_new(r);
	size_t n = strspn(digits, every == 4 ? "0123456789abcdefABCDEF" : "0123456789"), all = n;
	if (n && spec->group)
		for (int64_t rest = (int64_t)strlen(digits + n);
		     (int64_t)(all + (all - 1) / (size_t)every) + rest < width; all++)
			;
	for (size_t i = all; i > 0; i--) { /* i: how many come until the point */
		jb_add(&b, i > n ? "0" : digits + n - i, 1, NULL, trusted);
		if (spec->group && i > 1 && (i - 1) % (size_t)every == 0)
			jb_add(&b, &spec->group, 1, NULL, trusted);
	}
	jb_text(&b, digits + n, trusted);
	return as_str(jb_done(&b));
}

static void add_number(struct jbuild *b, struct spec spec, bool negative, const char *prefix,
		       const char *digits, int every, bool trusted)
{
	char sign[4];
	snprintf(sign, sizeof sign, "%s%s",
		 negative                               ? "-"
		 : spec.sign == '+' || spec.sign == ' ' ? (char[]){spec.sign, 0}
							: "",
		 prefix);
	if (!spec.align)
		spec.align = spec.zero ? '=' : '>';
	bool zeros = spec.align == '=' && spec.fill_len == 1 && spec.fill[0] == '0';
	const struct jstr *body =
		grouped(b->r, &spec, digits, every, zeros ? spec.width - (int64_t)strlen(sign) : 0, trusted);
	add_padded(b, &spec, str_c(sign), body, trusted);
}

static void add_whole(struct jbuild *b, const struct spec *spec, int64_t v, bool trusted)
{
	char text[NUMBER_BYTES];
	int digits = spec->precision > 0 ? (int)spec->precision : 1; /* at least */
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
	const char *prefix = "";
	switch (spec->type) {
	case 'x':
	case 'X':
		snprintf(text, sizeof text, spec->type == 'x' ? "%.*llx" : "%.*llX", digits,
			 (unsigned long long)u);
		prefix = spec->type == 'x' ? "0x" : "0X";
		break;
	case 'o':
		snprintf(text, sizeof text, "%.*llo", digits, (unsigned long long)u);
		prefix = "0o";
		break;
	case 'b': {
		int n = 0;
		for (int bit = 63; bit >= 0; bit--)
			if (n || (u >> bit & 1) || !bit)
				text[n++] = (char)('0' + (u >> bit & 1));
		text[n] = '\0';
		prefix = "0b";
		break;
	}
	default:
		snprintf(text, sizeof text, "%.*llu", digits, (unsigned long long)u);
	}
	add_number(b, *spec, v < 0, spec->alternate ? prefix : "", text, *prefix ? 4 : 3, trusted);
}

/* Python's format without a type but with a precision: %g that has a digit after its point, or takes an
 * exponent. */
static void general_text(double mag, int precision, bool alternate, char text[NUMBER_BYTES])
{
	int digits = precision > 0 ? precision : 1;
	snprintf(text, NUMBER_BYTES, "%.*e", digits - 1, mag);
	char *exponent = strchr(text, 'e');
	long ten = strtol(exponent + 1, NULL, 10);
	if (ten >= -4 && ten < digits - 1) {
		snprintf(text, NUMBER_BYTES, alternate ? "%#.*g" : "%.*g", digits, mag);
		if (!strchr(text, '.'))
			append(text, ".0");
		return;
	}
	char *end = exponent;
	if (!alternate && memchr(text, '.', (size_t)(exponent - text))) {
		while (end[-1] == '0')
			end--;
		end -= end[-1] == '.';
	}
	memmove(end, exponent, strlen(exponent) + 1);
}

static void add_real(struct jbuild *b, const struct spec *spec, double f, bool trusted)
{
	char text[NUMBER_BYTES], format[16];
	char type = spec->type;
	int precision = spec->precision < 0 ? 6 : (int)spec->precision;
	double mag = fabs(f);
	bool percent = type == '%';
	if (percent) {
		mag *= 100;
		type = 'f';
	}
	if (isnan(f) || isinf(f)) {
		snprintf(text, sizeof text, "%s", isnan(f) ? "nan" : "inf");
	} else if (!type && spec->precision < 0) {
		float_repr(mag, text);
	} else if (!type) {
		general_text(mag, precision, spec->alternate, text);
	} else {
		snprintf(format, sizeof format, "%%%s.*%c", spec->alternate ? "#" : "",
			 type == 'n' ? 'g' : type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof text, format, precision, mag);
#pragma GCC diagnostic pop
	}
	if (percent)
		append(text, "%");
	add_number(b, *spec, signbit(f) && !isnan(f), "", text, 3, trusted);
}

static bool is_real_type(char c)
{
	return c && strchr("eEfFgG%", c);
}

/* ---- % ---- */

struct percent {
	struct jinja_run *r;
	const struct jstr *s;
	size_t at;
	jval args;
	const jval *v; /* what is still to be formatted */
	size_t n;
};

static jval next_arg(struct percent *f)
{
	if (!f->n)
		j_fail(f->r, "a format wants more values than there are");
	f->n--;
	return *f->v++;
}

static int64_t percent_number(struct percent *f, const char *what, int limit)
{
	int64_t n = 0;
	if (f->at < f->s->n && f->s->p[f->at] == '*') {
		f->at++;
		jval v = next_arg(f);
		if (v.type != J_INT || v.as.i < 0 || v.as.i > limit)
			j_fail(f->r, "a %s in a format is no whole number from 0 to %d", what, limit);
		return v.as.i;
	}
	for (; f->at < f->s->n && f->s->p[f->at] >= '0' && f->s->p[f->at] <= '9'; f->at++) {
		n = n * 10 + (f->s->p[f->at] - '0');
		if (n > limit)
			j_fail(f->r, "a %s in a format is above %d", what, limit);
	}
	return n;
}

static struct spec percent_spec(struct percent *f)
{
	struct spec spec = {.fill = " ", .fill_len = 1, .width = -1, .precision = -1, .align = '>'};
	for (; f->at < f->s->n && f->s->p[f->at] && strchr("#0- +", f->s->p[f->at]); f->at++) {
		char c = f->s->p[f->at];
		spec.alternate |= c == '#';
		spec.zero |= c == '0';
		if (c == '-')
			spec.align = '<';
		if (c == '+' || (c == ' ' && !spec.sign))
			spec.sign = c;
	}
	spec.width = percent_number(f, "width", MAX_WIDTH);
	if (f->at < f->s->n && f->s->p[f->at] == '.') {
		f->at++;
		spec.precision = percent_number(f, "precision", MAX_PRECISION);
	}
	while (f->at < f->s->n && (f->s->p[f->at] == 'h' || f->s->p[f->at] == 'l' || f->s->p[f->at] == 'L'))
		f->at++;
	return spec;
}

static void percent_whole(struct percent *f, struct jbuild *b, struct spec spec, jval v)
{
	int64_t i;
	if (v.type == J_FLOAT && fabs(v.as.f) < 0x1p63 && strchr("diu", spec.type))
		i = (int64_t)v.as.f;
	else if (v.type == J_BIG)
		j_fail(f->r, "a whole number past 64 bits in a format");
	else if (!j_whole(v, &i))
		j_fail(f->r, "%%%c in a format wants a number, not a %s", spec.type, type_name(v));
	if (spec.zero && spec.align != '<') {
		spec.fill[0] = '0';
		spec.align = '=';
	}
	add_whole(b, &spec, i, v.trusted);
}

static void percent_value(struct percent *f, struct jbuild *b, struct spec spec, jval v)
{
	double real;
	switch (spec.type) {
	case 's':
	case 'r':
	case 'a': {
		struct jbuild text = jb_new(f->r);
		if (spec.type == 's')
			print_str(&text, v);
		else
			print_repr(&text, v);
		add_string(b, spec, as_str(jb_done(&text)));
		return;
	}
	case 'c': {
		char c[4];
		struct jstr *one = v.type == J_STRING ? as_str(v) : NULL;
		if (v.type == J_INT && v.as.i >= 0 && v.as.i < 0x110000 &&
		    !(v.as.i >= 0xD800 && v.as.i < 0xE000))
			one = as_str(j_str(f->r, c, utf8_put(c, (uint32_t)v.as.i), v.trusted));
		if (!one || str_chars(one) != 1)
			j_fail(f->r, "%%c in a format wants one character");
		add_string(b, spec, one);
		return;
	}
	case 'd':
	case 'i':
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		percent_whole(f, b, spec, v);
		return;
	default:
		break;
	}
	if (!is_real_type(spec.type))
		j_fail(f->r, "%%%c in a format is not known", spec.type);
	if (!j_number(v, &real))
		j_fail(f->r, "%%%c in a format wants a number, not a %s", spec.type, type_name(v));
	if (spec.zero && spec.align != '<') {
		spec.fill[0] = '0';
		spec.align = '=';
	}
	add_real(b, &spec, real, v.trusted);
}

/* %(name)s */
static jval percent_named(struct percent *f)
{
	const char *close = memchr(f->s->p + f->at, ')', f->s->n - f->at);
	if (!close || f->args.type != J_DICT)
		j_fail(f->r, "a format names a value, but is given no dict");
	struct str name = {f->s->p + f->at + 1, (size_t)(close - f->s->p) - f->at - 1};
	f->at += name.len + 2;
	const jval *v = dict_get_text(f->r, as_dict(f->args), name);
	if (!v)
		j_undefined_fail(f->r, j_undefined(f->r, name, "dict"));
	return *v;
}

jval format_percent(struct jinja_run *r, const struct jstr *format, jval args)
{
	struct percent f = {.r = r, .s = format, .args = args, .v = &args, .n = 1};
	struct jbuild b = jb_new(r);
	bool is_tuple = args.type == J_LIST && as_list(args)->kind == K_TUPLE, named = false;
	if (is_tuple) {
		f.v = as_list(args)->v;
		f.n = as_list(args)->n;
	}
	for (size_t from = 0;; from = f.at) {
		const char *sign = from < format->n ? memchr(format->p + from, '%', format->n - from) : NULL;
		f.at = sign ? (size_t)(sign - format->p) : format->n;
		jb_sub(&b, format, from, f.at);
		if (!sign)
			break;
		f.at++;
		jval v = j_missing();
		if (f.at < format->n && format->p[f.at] == '(') {
			v = percent_named(&f);
			named = true;
		}
		struct spec spec = percent_spec(&f);
		if (f.at == format->n)
			j_fail(r, "a format ends in the middle of a %%");
		spec.type = format->p[f.at++];
		if (spec.type == '%') {
			jb_sub(&b, format, f.at - 1, f.at);
			continue;
		}
		v = v.type == J_MISSING ? next_arg(&f) : v;
		percent_value(&f, &b, spec, escaped_for(r, format, v));
	}
	if (f.n && !named && (is_tuple || args.type != J_DICT))
		j_fail(r, "a format has no place for all of its values");
	jval made = jb_done(&b);
	as_str(made)->markup = format->markup;
	return made;
}

/* ---- {} ---- */

struct braces {
	struct jinja_run *r;
	const struct jargs *args;
	int64_t next; /* of {}; -1 once {0} was used */
};

static jval find_named(struct braces *f, struct str name)
{
	for (size_t i = 0; i < f->args->n_named; i++)
		if (str_eq(f->args->names[i], name))
			return f->args->named[i];
	j_undefined_fail(f->r, j_undefined(f->r, name, NULL));
}

static jval first_of(struct braces *f, struct str name)
{
	int64_t i;
	if (!name.len) {
		if (f->next < 0)
			j_fail(f->r, "a format has both {} and {0}");
		i = f->next++;
	} else if (strspn(name.ptr, "0123456789") >= name.len && name.len < 6) {
		if (f->next > 0)
			j_fail(f->r, "a format has both {} and {0}");
		f->next = -1;
		i = 0;
		for (size_t k = 0; k < name.len; k++)
			/* NOLINTNEXTLINE(clang-analyzer-*): strspn has read it */
			i = i * 10 + (name.ptr[k] - '0');
	} else {
		return find_named(f, name);
	}
	if ((size_t)i >= f->args->n)
		j_fail(f->r, "a format wants more values than there are");
	return f->args->v[i];
}

/* NAME.attribute[key] */
static jval field_value(struct braces *f, const struct jstr *s, size_t from, size_t to)
{
	size_t at = from;
	while (at < to && s->p[at] != '.' && s->p[at] != '[')
		at++;
	char name[64];
	if (at - from >= sizeof name)
		j_fail(f->r, "a name of %zu bytes in a format", at - from);
	memcpy(name, s->p + from, at - from);
	name[at - from] = '\0';
	jval v = first_of(f, str_c(name));
	while (at < to) {
		bool dot = s->p[at++] == '.';
		size_t begin = at;
		while (at < to && (dot ? s->p[at] != '.' && s->p[at] != '[' : s->p[at] != ']'))
			at++;
		jval key = j_sub(f->r, s, begin, at);
		int64_t i;
		if (!dot && parse_whole(f->r, str_view(as_str(key)), 10, &i))
			key = j_int(i, false);
		v = dot ? j_attr(f->r, v, key) : j_item(f->r, v, key);
		at += !dot;
	}
	return v;
}

static int64_t spec_number(struct jinja_run *r, const struct jstr *s, size_t *at, const char *what, int limit)
{
	int64_t n = -1;
	for (; *at < s->n && s->p[*at] >= '0' && s->p[*at] <= '9'; ++*at) {
		n = (n < 0 ? 0 : n) * 10 + (s->p[*at] - '0');
		if (n > limit)
			j_fail(r, "a %s in a format is above %d", what, limit);
	}
	return n;
}

static struct spec parse_spec(struct jinja_run *r, const struct jstr *s)
{
	struct spec spec = {.fill = " ", .fill_len = 1, .width = -1, .precision = -1};
	size_t at = 0, len = 0;
	bool filled = false;
	if (s->n)
		utf8_at(s->p, s->n, &len);
	if (s->n > len && len && strchr("<>=^", s->p[len]) && s->p[len]) {
		memcpy(spec.fill, s->p, len);
		spec.fill_len = len;
		filled = true;
		spec.align = s->p[len];
		at = len + 1;
	} else if (s->n && s->p[0] && strchr("<>=^", s->p[0])) {
		spec.align = s->p[0];
		at = 1;
	}
	if (at < s->n && s->p[at] && strchr("+- ", s->p[at]))
		spec.sign = s->p[at++];
	if (at < s->n && s->p[at] == '#')
		spec.alternate = ++at;
	if (at < s->n && s->p[at] == '0') {
		at++;
		spec.zero = true;
		if (!filled)
			spec.fill[0] = '0';
	}
	spec.width = spec_number(r, s, &at, "width", MAX_WIDTH);
	if (at < s->n && (s->p[at] == ',' || s->p[at] == '_'))
		spec.group = s->p[at++];
	if (at < s->n && s->p[at] == '.') {
		at++;
		spec.precision = spec_number(r, s, &at, "precision", MAX_PRECISION);
		if (spec.precision < 0)
			j_fail(r, "a format has a point without a precision");
	}
	if (at < s->n)
		spec.type = s->p[at++];
	if (at < s->n)
		j_fail(r, "a format ends in what is not known: \"%.*s\"", STR_ARG(str_view(s)));
	return spec;
}

static void add_formatted(struct jbuild *b, jval v, const struct jstr *text)
{
	struct jinja_run *r = b->r;
	double f;
	int64_t i;
	if (!text->n) {
		print_str(b, v);
		return;
	}
	struct spec spec = parse_spec(r, text);
	if (v.type == J_STRING) {
		if ((spec.type && spec.type != 's') || spec.align == '=' || spec.sign || spec.group)
			j_fail(r, "a str cannot be formatted as \"%.*s\"", STR_ARG(str_view(text)));
		add_string(b, spec, as_str(v));
		return;
	}
	if (spec.type == 's' || !j_number(v, &f))
		j_fail(r, "a %s cannot be formatted as \"%.*s\"", type_name(v), STR_ARG(str_view(text)));
	if (v.type == J_BIG)
		j_fail(r, "a whole number past 64 bits in a format");
	if (v.type == J_FLOAT || is_real_type(spec.type)) {
		if (spec.type && spec.type != 'n' && !is_real_type(spec.type))
			j_fail(r, "a float cannot be formatted as \"%.*s\"", STR_ARG(str_view(text)));
		add_real(b, &spec, f, v.trusted);
		return;
	}
	if (spec.precision >= 0 || (spec.type && !strchr("bdoxXcn", spec.type)))
		j_fail(r, "an int cannot be formatted as \"%.*s\"", STR_ARG(str_view(text)));
	(void)j_whole(v, &i);
	if (spec.type == 'c') {
		char c[4];
		if (i < 0 || i > 0x10FFFF || (i >= 0xD800 && i < 0xE000))
			j_fail(r, "%lld is no character", (long long)i);
		add_string(b, spec, as_str(j_str(r, c, utf8_put(c, (uint32_t)i), v.trusted)));
		return;
	}
	add_whole(b, &spec, i, v.trusted);
}

static void braces_into(struct braces *f, struct jbuild *b, const struct jstr *s, unsigned depth);

/* One field, from behind its { on; returns where it ends, behind }. */
static size_t add_field(struct braces *f, struct jbuild *b, const struct jstr *s, size_t from, unsigned depth)
{
	size_t at = from, level = 1, name_end = SIZE_MAX, spec_from = SIZE_MAX, to;
	char convert = 0;
	for (; at < s->n; at++) {
		char c = s->p[at];
		level += c == '{';
		level -= c == '}';
		if (!level)
			break;
		if (level == 1 && spec_from == SIZE_MAX && name_end == SIZE_MAX && c == '[') {
			while (at < s->n && s->p[at] != ']')
				at++;
		} else if (level == 1 && name_end == SIZE_MAX && c == '!') {
			name_end = at;
			convert = at + 1 < s->n ? s->p[++at] : 0;
		} else if (level == 1 && spec_from == SIZE_MAX && c == ':') {
			if (name_end == SIZE_MAX)
				name_end = at;
			spec_from = at + 1;
		}
	}
	if (at >= s->n)
		j_fail(f->r, "a format has a { without its }");
	to = at;
	jval v = field_value(f, s, from, name_end == SIZE_MAX ? to : name_end);
	if (convert == 'r' || convert == 'a') {
		struct jbuild text = jb_new(f->r);
		print_repr(&text, v);
		v = jb_done(&text);
	} else if (convert == 's') {
		v = j_to_str(f->r, v);
	} else if (name_end != SIZE_MAX && s->p[name_end] == '!') {
		j_fail(f->r, "a format has !%c; it takes !s, !r or !a", convert ? convert : ' ');
	}
	struct jbuild spec = jb_new(f->r);
	if (spec_from != SIZE_MAX)
		braces_into(f, &spec, as_str(j_sub(f->r, s, spec_from, to)), depth + 1);
	add_formatted(b, escaped_for(f->r, s, v), as_str(jb_done(&spec)));
	return to + 1;
}

static void braces_into(struct braces *f, struct jbuild *b, const struct jstr *s, unsigned depth)
{
	if (depth > 2)
		j_fail(f->r, "a format has fields nested deeper than 2");
	for (size_t at = 0, from = 0;;) {
		while (at < s->n && s->p[at] != '{' && s->p[at] != '}')
			at++;
		jb_sub(b, s, from, at);
		if (at == s->n)
			return;
		if (at + 1 < s->n && s->p[at + 1] == s->p[at]) {
			jb_add(b, s->p + at, 1, NULL, trust_of(s, at));
			at += 2;
		} else if (s->p[at] == '}') {
			j_fail(f->r, "a format has a } without its {");
		} else {
			at = add_field(f, b, s, at + 1, depth);
		}
		from = at;
	}
}

jval format_braces(struct jinja_run *r, const struct jstr *format, const struct jargs *args)
{
	struct braces f = {.r = r, .args = args};
	struct jbuild b = jb_new(r);
	braces_into(&f, &b, format, 0);
	jval made = jb_done(&b);
	as_str(made)->markup = format->markup;
	return made;
}
