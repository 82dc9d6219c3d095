/*
 * Numbers of JSON within bounds, digit by digit: a number is above another if it has more digits before the
 * point, or is greater at the first digit that differs. Multiples are read by their remainder.
 */
#include <stdio.h>
#include <stdlib.h>

#include "constrain/text.h"

enum {
	MAX_DIGITS = 4096, /* of a bound, written out */
	MAX_STATES = 10000 /* of remainders */
};

/* A decimal without its sign, written out: whole digits, at least one, and those behind the point up to the
 * last that is not 0. */
struct written {
	const struct decimal *d;
	size_t n; /* digits of d up to the last that is not 0 */
	size_t n_whole, n_behind;
	int64_t point; /* digits of d before the point; negative: zeros behind it first */
};

struct maker {
	struct rx_pool *p;
	bool integer, endless;
	rx digits;   /* any, none too */
	rx fraction; /* what may stand behind the whole digits, or nothing */
};

static rx digit_range(struct rx_pool *p, int first, int last)
{
	uint64_t bytes[4] = {0};
	for (int d = first; d <= last; d++)
		bytes[0] |= (uint64_t)1 << ('0' + d);
	return first > last ? RX_NONE : rx_byte_set(p, bytes);
}

static rx n_digits(struct rx_pool *p, size_t min, size_t max)
{
	return rx_repeat(p, digit_range(p, 0, 9), (uint32_t)min, (uint32_t)max);
}

/* Zeros that say nothing, after so many digits behind the point. */
static rx more_zeros(const struct maker *m, size_t behind)
{
	uint32_t n = behind < NUMBER_ZEROS ? (uint32_t)(NUMBER_ZEROS - behind) : 0;
	return rx_repeat(m->p, digit_range(m->p, 0, 0), 0, m->endless ? RX_UNBOUNDED : n);
}

static bool write_out(const struct decimal *d, struct written *out)
{
	size_t n = d->digits.len;
	while (n && d->digits.ptr[n - 1] == '0')
		n--;
	int64_t point = n ? (int64_t)d->digits.len - d->scale : 0;
	*out = (struct written){.d = d, .n = n, .point = point, .n_whole = point > 0 ? (size_t)point : 1};
	if ((int64_t)n > point)
		out->n_behind = (size_t)((int64_t)n - point);
	return out->n_whole + out->n_behind <= MAX_DIGITS;
}

static int digit_at(const struct written *w, int64_t i) /* counted from d's first */
{
	return i >= 0 && i < (int64_t)w->n ? w->d->digits.ptr[i] - '0' : 0;
}

static int whole_digit(const struct written *w, size_t i)
{
	return w->point > 0 ? digit_at(w, (int64_t)i) : 0;
}

static int digit_behind(const struct written *w, size_t i)
{
	return digit_at(w, w->point + (int64_t)i);
}

/* What may follow whole digits that equal the bound's, for numbers above it. */
static rx fraction_above(const struct maker *m, const struct written *w, bool excluded)
{
	struct rx_pool *p = m->p;
	if (m->integer)
		return excluded || w->n_behind ? RX_NONE : RX_EMPTY;
	rx some = rx_cat(p, m->digits, rx_cat(p, digit_range(p, 1, 9), m->digits));
	if (!w->n_behind)
		return excluded ? rx_cat(p, rx_byte(p, '.'), some) : m->fraction;
	rx r = excluded ? some : m->digits;
	for (size_t i = w->n_behind; i-- > 0;) {
		int d = digit_behind(w, i);
		r = rx_or(p, rx_cat(p, digit_range(p, d + 1, 9), m->digits),
			  rx_cat(p, digit_range(p, d, d), r));
	}
	return rx_cat(p, rx_byte(p, '.'), r);
}

/* The same for numbers below it. */
static rx fraction_below(const struct maker *m, const struct written *w, bool excluded)
{
	struct rx_pool *p = m->p;
	rx zero = digit_range(p, 0, 0), r;
	if (m->integer)
		return excluded && !w->n_behind ? RX_NONE : RX_EMPTY;
	if (!w->n_behind && excluded)
		return RX_NONE;
	r = excluded ? RX_NONE : more_zeros(m, w->n_behind ? w->n_behind : 1);
	if (!w->n_behind)
		r = rx_cat(p, zero, r);
	for (size_t i = w->n_behind; i-- > 0;) {
		int d = digit_behind(w, i);
		r = rx_or(p, rx_cat(p, digit_range(p, 0, d - 1), m->digits),
			  rx_cat(p, digit_range(p, d, d), r));
		if (i)
			r = rx_or(p, RX_EMPTY, r);
	}
	return rx_or(p, RX_EMPTY, rx_cat(p, rx_byte(p, '.'), r));
}

/* Numbers without a sign, at least w (above: true) or at most w. */
static rx compared(const struct maker *m, const struct written *w, bool excluded, bool above)
{
	struct rx_pool *p = m->p;
	size_t n = w->n_whole;
	rx r = above ? fraction_above(m, w, excluded) : fraction_below(m, w, excluded);
	for (size_t i = n; i-- > 0;) {
		int d = whole_digit(w, i), least = i == 0 && n > 1;
		rx differs = above ? digit_range(p, d + 1, 9) : digit_range(p, least, d - 1);
		differs = rx_cat(p, differs, rx_cat(p, n_digits(p, n - 1 - i, n - 1 - i), m->fraction));
		r = rx_or(p, differs, rx_cat(p, digit_range(p, d, d), r));
	}
	if (above)
		return rx_or(p, r,
			     rx_cat(p, digit_range(p, 1, 9),
				    rx_cat(p, n_digits(p, n, RX_UNBOUNDED), m->fraction)));
	if (n == 1)
		return r;
	rx shorter = rx_cat(p, digit_range(p, 1, 9), n_digits(p, 0, n - 2));
	return rx_or(p, r, rx_cat(p, rx_or(p, digit_range(p, 0, 0), shorter), m->fraction));
}

/* What is read of a number: the remainder of its digits so far, by divisor. */
struct remainders {
	struct maker *m;
	uint32_t divisor, n_behind; /* digits behind the point that count */
	rx *vars, *after, *next;    /* divisor of each */
};

/* Digits, each followed by what its remainder leads to. */
static rx by_digit(const struct remainders *r, const rx *to, uint32_t remainder)
{
	struct rx_pool *p = r->m->p;
	rx parts[10];
	for (uint32_t d = 0; d < 10; d++)
		parts[d] = rx_cat(p, rx_byte(p, (uint8_t)('0' + d)),
				  to[((uint64_t)remainder * 10 + d) % r->divisor]);
	return rx_or_many(p, parts, 10);
}

/* The number may end here, k of the digits that count behind the point are still 0. */
static bool divides(const struct remainders *r, uint32_t remainder, uint32_t k)
{
	uint64_t x = remainder;
	for (; k && x; k--)
		x = x * 10 % r->divisor;
	return x == 0;
}

/* Digits that make a multiple of divisor x 10^-n_behind; where n_behind is 0 or only integers are written
 * there is no point among them. */
static rx multiples(struct remainders *r)
{
	struct rx_pool *p = r->m->p;
	uint32_t n = r->divisor, s = r->n_behind;
	rx zeros = more_zeros(r->m, s);
	for (uint32_t i = 0; i < n; i++) {
		r->vars[i] = rx_var(p, divides(r, i, s));
		r->after[i] = i == 0 ? zeros : RX_NONE;
	}
	for (uint32_t k = 1; k <= s && !r->m->integer && !rx_failed(p);
	     k++) { /* the last digit that counts first */
		rx *swap = r->after;
		for (uint32_t i = 0; i < n; i++) {
			rx more = by_digit(r, r->after, i);
			r->next[i] = k < s && divides(r, i, k) ? rx_or(p, RX_EMPTY, more) : more;
		}
		r->after = r->next;
		r->next = swap;
	}
	for (uint32_t i = 0; i < n && !rx_failed(p); i++) {
		rx ways[] = {
			divides(r, i, s) ? RX_EMPTY : RX_NONE,
			by_digit(r, r->vars, i),
			s && !r->m->integer ? rx_cat(p, rx_byte(p, '.'), r->after[i]) : RX_NONE,
		};
		rx_define(p, r->vars[i], rx_or_many(p, ways, 3));
	}
	return r->vars[0];
}

static void say(const struct decimal *d, struct strbuf *out)
{
	struct written w;
	if (!write_out(d, &w) || w.n_whole + w.n_behind > 40) {
		char text[48];
		str_quote(d->digits, text, sizeof text);
		strbuf_addf(out, "%s%s x 10^%d", d->negative ? "-" : "", text, -d->scale);
		return;
	}
	if (d->negative && w.n)
		strbuf_add_c(out, "-");
	for (size_t i = 0; i < w.n_whole; i++)
		strbuf_addf(out, "%d", whole_digit(&w, i));
	for (size_t i = 0; i < w.n_behind; i++)
		strbuf_addf(out, "%s%d", i ? "" : ".", digit_behind(&w, i));
}

static enum hokku_code no_multiple(const struct decimal *d, const char *why, struct hokku_error *err)
{
	struct strbuf b = {0};
	say(d, &b);
	enum hokku_code rc =
		err_set(err, HOKKU_INVALID_REQUEST, "multiples of %s %s", b.ptr ? b.ptr : "it", why);
	strbuf_free(&b);
	return rc;
}

static enum hokku_code rx_multiples(struct maker *m, const struct decimal *d, rx *out,
				    struct hokku_error *err)
{
	struct rx_pool *p = m->p;
	struct remainders r = {.m = m};
	struct written w;
	char why[160];
	uint64_t value = 0, n_states;
	bool fits = write_out(d, &w);
	if (!w.n || d->negative)
		return no_multiple(d, "cannot be asked for: the number must be above 0", err);
	for (size_t i = 0; i < w.n && value <= MAX_STATES; i++)
		value = value * 10 + (uint64_t)digit_at(&w, (int64_t)i);
	r.n_behind = (uint32_t)w.n_behind;
	n_states = value * (m->integer ? 1 : r.n_behind + 1);
	if (!fits || value > MAX_STATES || n_states > MAX_STATES) {
		snprintf(why, sizeof why,
			 "would be told by more than %d remainders, the limit; a shorter number would do",
			 MAX_STATES);
		return no_multiple(d, why, err);
	}
	r.divisor = (uint32_t)value;
	r.vars = calloc(3 * value, sizeof *r.vars);
	if (!r.vars)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the multiples of a number");
	r.after = r.vars + value;
	r.next = r.after + value;
	rx *memory = r.vars;
	*out = multiples(&r);
	free(memory);
	if (w.n_behind)
		return HOKKU_OK;
	/* A multiple of the digits, then the zeros that the number ends in; or 0. */
	size_t n_zeros = w.n_whole - w.n;
	rx zero = digit_range(p, 0, 0);
	rx dot_zeros = rx_cat(p, rx_byte(p, '.'), rx_cat(p, zero, more_zeros(m, 1)));
	rx whole = n_zeros ? rx_or(p, zero,
				   rx_cat(p, *out, rx_repeat(p, zero, (uint32_t)n_zeros, (uint32_t)n_zeros)))
			   : *out;
	*out = m->integer ? whole : rx_cat(p, whole, rx_or(p, RX_EMPTY, dot_zeros));
	return HOKKU_OK;
}

/* "no multiple of 10 is at least 11 and at most 19" */
static enum hokku_code nothing_fits(const struct rx_number *what, struct hokku_error *err)
{
	struct strbuf b = {0};
	if (what->multiple_of) {
		strbuf_add_c(&b, what->integer ? "no integer that is a multiple of " : "no multiple of ");
		say(what->multiple_of, &b);
	} else {
		strbuf_add_c(&b, what->integer ? "no integer" : "no number");
	}
	strbuf_add_c(&b, " is ");
	if (what->min) {
		strbuf_add_c(&b, what->min_excluded ? "above " : "at least ");
		say(what->min, &b);
	}
	if (what->max) {
		strbuf_add_c(&b, what->min ? " and " : "");
		strbuf_add_c(&b, what->max_excluded ? "below " : "at most ");
		say(what->max, &b);
	}
	enum hokku_code rc = b.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a message")
				      : err_set(err, HOKKU_INVALID_REQUEST, "%s", b.ptr);
	strbuf_free(&b);
	return rc;
}

/* How far from 0 the numbers of one sign may be. NULL: any. */
struct distance {
	const struct decimal *near, *far;
	bool near_excluded, far_excluded;
};

/* Of positive numbers (and 0), or of negative ones (and -0). */
static rx of_sign(const struct maker *m, struct distance d, bool negative)
{
	struct written w;
	struct rx_pool *p = m->p;
	rx r = rx_cat(
		p,
		rx_or(p, digit_range(p, 0, 0), rx_cat(p, digit_range(p, 1, 9), n_digits(p, 0, RX_UNBOUNDED))),
		m->fraction);
	if (d.far && write_out(d.far, &w)) {
		bool beyond = w.n && d.far->negative != negative; /* all of this sign are past it */
		r = beyond ? RX_NONE : compared(m, &w, d.far_excluded, false);
	}
	if (d.near && write_out(d.near, &w) && (!w.n || d.near->negative == negative)) {
		if (w.n || d.near_excluded)
			r = rx_and(p, r, compared(m, &w, d.near_excluded, true));
	}
	return r;
}

/* ---- with an exponent ---- */

enum { MAX_EXPONENT = 300 };

/* The numbers from low to high, each written with n digits. */
static rx n_digit_range(struct rx_pool *p, int low, int high, int n)
{
	int unit = n == 3 ? 100 : n == 2 ? 10 : 1;
	rx r = RX_NONE;
	if (n == 0)
		return low <= 0 && high >= 0 ? RX_EMPTY : RX_NONE;
	for (int d = 0; d < 10; d++) {
		int from = low - d * unit, to = high - d * unit;
		if (from >= unit || to < 0)
			continue;
		rx rest = n_digit_range(p, from > 0 ? from : 0, to < unit ? to : unit - 1, n - 1);
		r = rx_or(p, r, rx_cat(p, digit_range(p, d, d), rest));
	}
	return r;
}

/* "e-06": from low to high, of one to three digits. */
static rx exponents(struct rx_pool *p, int64_t low, int64_t high)
{
	rx up = RX_NONE, down = RX_NONE;
	uint64_t e[4] = {0, (uint64_t)1 << ('e' - 64) | (uint64_t)1 << ('E' - 64)};
	low = low < -MAX_EXPONENT ? -MAX_EXPONENT : low;
	high = high > MAX_EXPONENT ? MAX_EXPONENT : high;
	for (int n = 1; n <= 3 && low <= high; n++) {
		if (high >= 0)
			up = rx_or(p, up, n_digit_range(p, low > 0 ? (int)low : 0, (int)high, n));
		if (low <= 0)
			down = rx_or(p, down, n_digit_range(p, high < 0 ? (int)-high : 0, (int)-low, n));
	}
	rx plus = rx_or(p, RX_EMPTY, rx_byte(p, '+')), minus = rx_byte(p, '-');
	return rx_cat(p, rx_byte_set(p, e), rx_or(p, rx_cat(p, plus, up), rx_cat(p, minus, down)));
}

/* Above or below a bound other than 0: another exponent, or the same and a digit that differs. */
static rx exponent_compared(const struct maker *m, const struct written *w, rx leading, bool excluded,
			    bool above)
{
	struct rx_pool *p = m->p;
	int64_t own = w->point - 1;
	struct decimal d = {.digits = {w->d->digits.ptr, w->n}, .scale = (int32_t)w->n - 1};
	struct written one;
	rx same = RX_NONE;
	if (write_out(&d, &one))
		same = rx_and(p, leading, compared(m, &one, excluded, above));
	rx other = above ? exponents(p, own + 1, MAX_EXPONENT) : exponents(p, -MAX_EXPONENT, own - 1);
	return rx_or(p, rx_cat(p, leading, other), rx_cat(p, same, exponents(p, own, own)));
}

static rx exponent_of_sign(const struct maker *m, struct distance d, bool negative)
{
	struct written w;
	struct rx_pool *p = m->p;
	rx leading = rx_cat(p, digit_range(p, 1, 9), m->fraction);
	rx r = rx_cat(p, leading, exponents(p, -MAX_EXPONENT, MAX_EXPONENT));
	if (d.far && write_out(d.far, &w)) {
		if (!w.n || d.far->negative != negative)
			return RX_NONE;
		r = exponent_compared(m, &w, leading, d.far_excluded, false);
	}
	if (d.near && write_out(d.near, &w) && w.n && d.near->negative == negative)
		r = rx_and(p, r, exponent_compared(m, &w, leading, d.near_excluded, true));
	return rx_alive(p, r) ? r : RX_NONE;
}

static enum hokku_code too_long(const char *which, struct hokku_error *err)
{
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "the %s has more than %d digits when it is written out, the limit", which, MAX_DIGITS);
}

static bool is_short(const struct decimal *d)
{
	struct written w;
	return !d || write_out(d, &w);
}

enum hokku_code rx_number(struct rx_pool *p, const struct rx_number *what, rx *out, struct hokku_error *err)
{
	rx digit = digit_range(p, 0, 9), multiple = RX_ALL;
	rx some = rx_repeat(p, digit, 1, RX_UNBOUNDED);
	struct maker m = {.p = p,
			  .integer = what->integer,
			  .endless = what->endless,
			  .digits = n_digits(p, 0, RX_UNBOUNDED)};
	bool bounded = what->min || what->max || what->multiple_of;
	*out = RX_NONE;
	if (!is_short(what->min))
		return too_long("least number", err);
	if (!is_short(what->max))
		return too_long("greatest number", err);
	m.fraction = what->integer ? RX_EMPTY : rx_or(p, RX_EMPTY, rx_cat(p, rx_byte(p, '.'), some));
	if (what->multiple_of) {
		enum hokku_code rc = rx_multiples(&m, what->multiple_of, &multiple, err);
		if (rc)
			return rc;
	}
	struct distance up = {what->min, what->max, what->min_excluded, what->max_excluded};
	struct distance down = {what->max, what->min, what->max_excluded, what->min_excluded};
	rx r = rx_or(p, of_sign(&m, up, false), rx_cat(p, rx_byte(p, '-'), of_sign(&m, down, true)));
	if (what->multiple_of) {
		rx minus = rx_or(p, RX_EMPTY, rx_byte(p, '-'));
		r = rx_and(p, r, rx_cat(p, minus, multiple));
	}
	if (bounded && !what->integer && !what->multiple_of && !what->plain) {
		rx more = rx_cat(p, rx_byte(p, '-'), exponent_of_sign(&m, down, true));
		r = rx_or(p, r, rx_or(p, exponent_of_sign(&m, up, false), more));
	}
	if (!bounded && !what->integer && !what->plain) {
		uint64_t e[4] = {0, (uint64_t)1 << ('e' - 64) | (uint64_t)1 << ('E' - 64)};
		rx plus = rx_byte(p, '+'), minus = rx_byte(p, '-');
		rx sign = rx_or(p, RX_EMPTY, rx_or(p, plus, minus));
		r = rx_cat(p, r, rx_or(p, RX_EMPTY, rx_cat(p, rx_byte_set(p, e), rx_cat(p, sign, some))));
	}
	if (!rx_alive(p, r) && !rx_failed(p))
		return nothing_fits(what, err);
	*out = r;
	return HOKKU_OK;
}
