/* Arithmetic as Python does it, on 64-bit whole numbers: what does not fit is an error, never another number.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja/internal.h"

static const char *const op_signs[] = {"+", "-", "*", "/", "//", "%", "**"};

static _Noreturn void too_large(struct jinja_run *r)
{
	j_fail(r, "a whole number past 64 bits");
}

static double floor_mod(double a, double b)
{
	double m = fmod(a, b);
	if (m != 0 && (m < 0) != (b < 0))
		m += b;
	return m == 0 ? copysign(0, b) : m;
}

static jval float_arith(struct jinja_run *r, enum binary_op op, double a, double b, bool trusted)
{
	double made = 0;
	switch (op) {
	case OP_ADD:
		made = a + b;
		break;
	case OP_SUB:
		made = a - b;
		break;
	case OP_MUL:
		made = a * b;
		break;
	case OP_POW:
		if ((a == 0 && b < 0) || (a < 0 && b != floor(b)))
			j_fail(r, "%.17g ** %.17g has no value here", a, b);
		made = pow(a, b);
		break;
	default:
		if (b == 0)
			j_fail(r, "a division by zero");
		if (op == OP_DIV)
			made = a / b;
		else if (op == OP_MOD)
			made = floor_mod(a, b);
		else
			made = floor((a - floor_mod(a, b)) / b + 0.5);
	}
	return j_float(made, trusted);
}

static int64_t whole_power(struct jinja_run *r, int64_t base, int64_t n)
{
	int64_t made = 1;
	for (; n; n >>= 1) {
		if ((n & 1) && __builtin_mul_overflow(made, base, &made))
			too_large(r);
		if (n > 1 && __builtin_mul_overflow(base, base, &base))
			too_large(r);
	}
	return made;
}

static jval whole_arith(struct jinja_run *r, enum binary_op op, int64_t a, int64_t b, bool trusted)
{
	int64_t made = 0;
	bool over = false;
	if (op == OP_DIV || (op == OP_POW && b < 0))
		return float_arith(r, op, (double)a, (double)b, trusted);
	switch (op) {
	case OP_ADD:
		over = __builtin_add_overflow(a, b, &made);
		break;
	case OP_SUB:
		over = __builtin_sub_overflow(a, b, &made);
		break;
	case OP_MUL:
		over = __builtin_mul_overflow(a, b, &made);
		break;
	case OP_POW:
		made = whole_power(r, a, b);
		break;
	default:
		if (b == 0)
			j_fail(r, "a division by zero");
		if (b == -1) { /* the one quotient that can overflow */
			over = op == OP_FLOORDIV && __builtin_sub_overflow((int64_t)0, a, &made);
			break;
		}
		made = op == OP_MOD ? a % b : a / b;
		if (op == OP_MOD && made && (made < 0) != (b < 0))
			made += b;
		if (op == OP_FLOORDIV && a % b && (a < 0) != (b < 0))
			made--;
	}
	if (over)
		too_large(r);
	return j_int(made, trusted);
}

static jval add_strings(struct jinja_run *r, jval a, jval b)
{
	const struct jstr *s = as_str(a), *t = as_str(b);
	bool markup = s->markup || t->markup;
	if (markup && !s->markup)
		s = as_str(str_escape(r, s));
	if (markup && !t->markup)
		t = as_str(str_escape(r, t));
	jval made = j_concat(r, s, t);
	as_str(made)->markup = markup;
	return made;
}

static jval add_lists(struct jinja_run *r, const struct jlist *a, const struct jlist *b)
{
	jval made = j_list(r, a->kind, a->n + b->n);
	j_work(r, a->n + b->n);
	for (size_t i = 0; i < a->n; i++)
		list_push(r, as_list(made), a->v[i]);
	for (size_t i = 0; i < b->n; i++)
		list_push(r, as_list(made), b->v[i]);
	return made;
}

/* A string or list, n times. */
static jval repeat(struct jinja_run *r, jval of, int64_t n)
{
	if (of.type == J_STRING) {
		struct jbuild b = jb_new(r);
		for (int64_t i = 0; as_str(of)->n && i < n; i++)
			jb_str(&b, as_str(of));
		jval made = jb_done(&b);
		as_str(made)->markup = as_str(of)->markup;
		return made;
	}
	jval made = j_list(r, as_list(of)->kind, 0);
	for (int64_t i = 0; as_list(of)->n && i < n; i++) {
		j_work(r, as_list(of)->n);
		for (size_t k = 0; k < as_list(of)->n; k++)
			list_push(r, as_list(made), as_list(of)->v[k]);
	}
	return made;
}

static bool is_sequence(jval v)
{
	return v.type == J_STRING || (v.type == J_LIST && as_list(v)->kind <= K_TUPLE);
}

jval j_arith(struct jinja_run *r, enum binary_op op, jval a, jval b)
{
	int64_t i, k;
	double f, g;
	bool trusted = a.trusted && b.trusted;
	if (j_whole(a, &i) && j_whole(b, &k))
		return whole_arith(r, op, i, k, trusted);
	if ((a.type == J_BIG && j_number(b, &g)) || (b.type == J_BIG && j_number(a, &f)))
		too_large(r);
	if (j_number(a, &f) && j_number(b, &g))
		return float_arith(r, op, f, g, trusted);
	if (op == OP_MOD && a.type == J_STRING)
		return format_percent(r, as_str(a), b);
	if (op == OP_ADD && a.type == J_STRING && b.type == J_STRING)
		return add_strings(r, a, b);
	if (op == OP_ADD && a.type == J_LIST && b.type == J_LIST && as_list(a)->kind == as_list(b)->kind &&
	    as_list(a)->kind <= K_TUPLE)
		return add_lists(r, as_list(a), as_list(b));
	if (op == OP_MUL && is_sequence(a) && j_whole(b, &k))
		return repeat(r, a, k);
	if (op == OP_MUL && is_sequence(b) && j_whole(a, &i))
		return repeat(r, b, i);
	if (a.type == J_UNDEFINED)
		j_undefined_fail(r, a);
	if (b.type == J_UNDEFINED)
		j_undefined_fail(r, b);
	j_fail(r, "%s cannot stand between a %s and a %s", op_signs[op], type_name(a), type_name(b));
}

/* ---- text of numbers ---- */

/* The fewest digits that read back as f; returns how many, *exponent is that of the first. */
static int shortest(double f, char digits[32], int *exponent)
{
	char text[40];
	for (int precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof text, "%.*e", precision, f);
		if (strtod(text, NULL) == f)
			break;
	}
	int n = 0;
	const char *p = text;
	for (; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	*exponent = (int)strtol(p + 1, NULL, 10);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	return n;
}

void float_repr(double f, char out[FLOAT_REPR_BYTES])
{
	char digits[32] = "";
	int exponent, n, at = 0;
	if (isnan(f) || isinf(f)) {
		snprintf(out, FLOAT_REPR_BYTES, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
		return;
	}
	if (signbit(f))
		out[at++] = '-';
	n = shortest(fabs(f), digits, &exponent);
	if (exponent < -4 || exponent >= 16) {
		out[at++] = digits[0];
		if (n > 1)
			out[at++] = '.';
		memcpy(out + at, digits + 1, (size_t)n - 1);
		at += n - 1;
		snprintf(out + at, (size_t)(FLOAT_REPR_BYTES - at), "e%c%02d", exponent < 0 ? '-' : '+',
			 abs(exponent));
		return;
	}
	for (int i = exponent < 0 ? exponent : 0; i < n || i <= exponent + 1; i++) {
		if (i == exponent + 1)
			out[at++] = '.';
		out[at++] = i >= 0 && i < n ? digits[i] : '0';
	}
	out[at] = '\0';
}

static struct str trimmed(struct str s)
{
	while (s.len && is_space((unsigned char)s.ptr[0]) && !(s.ptr[0] & 0x80)) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_space((unsigned char)s.ptr[s.len - 1]) && !(s.ptr[s.len - 1] & 0x80))
		s.len--;
	return s;
}

bool parse_float(struct str s, double *out)
{
	char text[512], *end;
	size_t n = 0;
	s = trimmed(s);
	if (!s.len || s.len >= sizeof text)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == 'x' || c == 'X' || c == '(' || c == '\0') /* strtod would take 0x1p4 and nan(1) */
			return false;
		if (c == '_') {
			bool between = i && i + 1 < s.len && s.ptr[i - 1] >= '0' && s.ptr[i - 1] <= '9' &&
				       s.ptr[i + 1] >= '0' && s.ptr[i + 1] <= '9';
			if (!between)
				return false;
			continue;
		}
		text[n++] = c;
	}
	text[n] = '\0';
	*out = strtod(text, &end);
	return *end == '\0';
}

bool parse_whole(struct jinja_run *r, struct str s, int base, int64_t *out)
{
	s = trimmed(s);
	bool negative = s.len && s.ptr[0] == '-', any = false;
	size_t i = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+');
	if (i + 1 < s.len && s.ptr[i] == '0') {
		char c = (char)(s.ptr[i + 1] | 0x20);
		int prefix = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
		if (prefix && (base == prefix || base == 0)) {
			base = prefix;
			i += 2;
		}
	}
	if (base == 0)
		base = 10;
	*out = 0;
	for (; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '_' && any && i + 1 < s.len && s.ptr[i + 1] != '_')
			continue;
		int digit = c >= '0' && c <= '9'                     ? c - '0'
			    : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10
								     : 99;
		if (digit >= base)
			return false;
		if (__builtin_mul_overflow(*out, (int64_t)base, out) ||
		    __builtin_sub_overflow(*out, (int64_t)digit, out))
			too_large(r);
		any = true;
	}
	if (any && !negative && __builtin_sub_overflow((int64_t)0, *out, out))
		too_large(r);
	return any;
}

jval round_to(struct jinja_run *r, jval v, int64_t digits, struct str method)
{
	double f;
	if (v.type == J_UNDEFINED)
		j_undefined_fail(r, v);
	if (!j_number(v, &f))
		j_fail(r, "a %s cannot be rounded", type_name(v));
	if (digits > 300 || digits < -300)
		j_fail(r, "rounding to %lld digits", (long long)digits);
	if (v.type == J_BIG)
		return v;
	if (!str_eq_c(method, "common")) {
		double scale = pow(10, (double)digits);
		f = str_eq_c(method, "ceil") ? ceil(f * scale) / scale : floor(f * scale) / scale;
		return j_float(f, v.trusted);
	}
	if (v.type != J_FLOAT) {
		if (digits >= 0)
			return j_int(v.type == J_BOOL ? v.as.b : v.as.i, v.trusted);
		int64_t scale = digits < -18 ? 0 : whole_power(r, 10, -digits),
			n = v.type == J_BOOL ? v.as.b : v.as.i;
		if (!scale)
			return j_int(0, v.trusted);
		int64_t rest = n % scale, base = n - rest, half = scale / 2;
		int64_t mag = rest < 0 ? -rest : rest;
		if (mag > half || (mag == half && base / scale % 2))
			base = whole_arith(r, OP_ADD, base, n < 0 ? -scale : scale, false).as.i;
		return j_int(base, v.trusted);
	}
	if (isnan(f) || isinf(f))
		return v;
	if (digits < 0) {
		double scale = pow(10, (double)-digits);
		return j_float(nearbyint(f / scale) * scale, v.trusted);
	}
	char text[700];
	snprintf(text, sizeof text, "%.*f", (int)digits, f); /* exact, half to even */
	return j_float(strtod(text, NULL), v.trusted);
}
