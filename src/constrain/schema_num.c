/* Sets of numbers: bounds, multiples, and single values. Decimal, of any length, never as doubles. */
#include "constrain/schema_internal.h"

#include <stdlib.h>

/* The value of JSON text without trailing zeros behind the point: digits, how many are behind it. */
const struct decimal *schema_decimal(struct schema *s, const struct jv *at, const char *keyword,
				     const struct jv *number)
{
	const char *t = number->text, *end = t + number->n;
	struct decimal *d = schema_alloc(s, 1, sizeof *d);
	char *digits = schema_alloc(s, (size_t)number->n + SCHEMA_MAX_DIGITS + 1, 1);
	size_t n = 0;
	long scale = 0, exponent = 0;
	bool behind = false;
	d->negative = *t == '-';
	for (t += d->negative; t < end && *t != 'e' && *t != 'E'; t++) {
		if (*t == '.') {
			behind = true;
			continue;
		}
		scale += behind;
		if (n || *t != '0')
			digits[n++] = *t;
	}
	if (t < end)
		exponent = strtol(t + 1, NULL,
				  10); /* of any size: what is out of range is LONG_MIN or LONG_MAX */
	if (exponent > 1000000 || exponent < -1000000)
		exponent = exponent > 0 ? 1000000 : -1000000;
	scale -= exponent;
	for (; scale > 0 && n && digits[n - 1] == '0'; scale--)
		n--;
	if (!n) {
		*d = (struct decimal){.digits = {digits, 0}};
		return d;
	}
	if (scale > SCHEMA_MAX_DIGITS || n > SCHEMA_MAX_DIGITS ||
	    (scale < 0 && (long)n - scale > SCHEMA_MAX_DIGITS)) {
		char text[64];
		schema_refuse(s, at, keyword, "%s has more than %d digits when written without an exponent",
			      jv_text(number, text, sizeof text), SCHEMA_MAX_DIGITS);
	}
	for (; scale < 0; scale++)
		digits[n++] = '0';
	d->digits = (struct str){digits, n};
	d->scale = (int32_t)scale;
	return d;
}

/* Digit i (10^i) of a. */
static int digit(const struct decimal *a, long i)
{
	long at = (long)a->digits.len - 1 - (i + a->scale);
	return at >= 0 && at < (long)a->digits.len ? a->digits.ptr[at] - '0' : 0;
}

int schema_decimal_cmp(const struct decimal *a, const struct decimal *b)
{
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	long top_a = (long)a->digits.len - a->scale, top_b = (long)b->digits.len - b->scale;
	long top = top_a > top_b ? top_a : top_b, low = -(a->scale > b->scale ? a->scale : b->scale);
	for (long i = top; i >= low; i--) {
		int difference = digit(a, i) - digit(b, i);
		if (difference)
			return (difference > 0) != a->negative ? 1 : -1;
	}
	return 0;
}

static bool is_integer(const struct decimal *a)
{
	return a->scale == 0; /* trailing zeros behind the point are taken away */
}

/* a is k times m: long division in decimal, m's digits as the divisor. */
static bool is_multiple(const struct decimal *a, const struct decimal *m)
{
	long scale = a->scale > m->scale ? a->scale : m->scale;
	/* Both as whole numbers of 10^-scale. */
	size_t n_m = m->digits.len + (size_t)(scale - m->scale),
	       n_a = a->digits.len + (size_t)(scale - a->scale);
	int rest[2 * SCHEMA_MAX_DIGITS + 2] = {0}; /* n_m + 1 digits, the highest first */
	for (size_t i = 0; i < n_a; i++) {
		memmove(rest, rest + 1, n_m * sizeof *rest);
		rest[n_m] = i < a->digits.len ? a->digits.ptr[i] - '0' : 0;
		for (;;) { /* take the divisor away while it fits */
			int borrow = 0, less[2 * SCHEMA_MAX_DIGITS + 2];
			for (size_t k = n_m + 1; k-- > 0;) {
				int d = k == 0 ? 0 : k - 1 < m->digits.len ? m->digits.ptr[k - 1] - '0' : 0;
				int v = rest[k] - d - borrow;
				borrow = v < 0;
				less[k] = v + 10 * borrow;
			}
			if (borrow)
				break;
			memcpy(rest, less, (n_m + 1) * sizeof *rest);
		}
	}
	for (size_t k = 0; k <= n_m; k++)
		if (rest[k])
			return false;
	return true;
}

static bool fits(const struct num *n, const struct decimal *v)
{
	if ((n->integer == NUM_INTEGER && !is_integer(v)) || (n->integer == NUM_FRACTION && is_integer(v)))
		return false;
	int low = n->min ? schema_decimal_cmp(v, n->min) : 1,
	    high = n->max ? schema_decimal_cmp(v, n->max) : -1;
	if (low < 0 || (low == 0 && n->min_excluded) || high > 0 || (high == 0 && n->max_excluded))
		return false;
	for (uint32_t i = 0; i < n->n_multiples; i++)
		if (!is_multiple(v, n->multiples[i]))
			return false;
	for (uint32_t i = 0; i < n->n_not_multiples; i++)
		if (is_multiple(v, n->not_multiples[i]))
			return false;
	for (uint32_t i = 0; i < n->n_nots; i++)
		if (schema_decimal_cmp(v, n->nots[i]) == 0)
			return false;
	bool among = !n->n_points;
	for (uint32_t i = 0; i < n->n_points && !among; i++)
		among = schema_decimal_cmp(v, n->points[i]) == 0;
	return among;
}

static const struct decimal **join(struct schema *s, const struct decimal **a, uint32_t n_a,
				   const struct decimal **b, uint32_t n_b, uint32_t *n)
{
	*n = n_a;
	if (!n_b)
		return a;
	const struct decimal **all = schema_alloc(s, (size_t)n_a + n_b, sizeof(void *));
	if (n_a)
		memcpy(all, a, n_a * sizeof(void *));
	schema_work(s, (uint64_t)n_a + n_b);
	for (uint32_t i = 0; i < n_b; i++) {
		bool known = false;
		for (uint32_t j = 0; j < n_a && n_a < 64 && !known; j++)
			known = schema_decimal_cmp(a[j], b[i]) == 0;
		if (!known)
			all[(*n)++] = b[i];
	}
	return all;
}

/* The points of a that fit b too. */
static const struct num *pick(struct schema *s, const struct num *a, const struct num *b)
{
	struct num *n = schema_alloc(s, 1, sizeof *n);
	n->points = schema_alloc(s, a->n_points, sizeof(void *));
	n->integer = a->integer == NUM_INTEGER || b->integer == NUM_INTEGER ? NUM_INTEGER : NUM_ANY;
	for (uint32_t i = 0; i < a->n_points; i++) {
		schema_work(s, 1 + (uint64_t)b->n_points + b->n_nots);
		if (fits(b, a->points[i]))
			n->points[n->n_points++] = a->points[i];
	}
	return n->n_points ? n : NULL;
}

static bool contradicts(const struct num *n)
{
	if (n->min && n->max) {
		int c = schema_decimal_cmp(n->min, n->max);
		return c > 0 || (c == 0 && (n->min_excluded || n->max_excluded));
	}
	return false;
}

const struct num *schema_num_and(struct schema *s, const struct num *a, const struct num *b)
{
	schema_work(s, 1);
	if (a->n_points || b->n_points)
		return a->n_points ? pick(s, a, b) : pick(s, b, a);
	if (a->integer && b->integer && a->integer != b->integer)
		return NULL;
	struct num *n = schema_alloc(s, 1, sizeof *n);
	*n = *a;
	n->integer = a->integer ? a->integer : b->integer;
	int c = a->min && b->min ? schema_decimal_cmp(a->min, b->min) : 0;
	if (b->min && (!a->min || c < 0 || (c == 0 && b->min_excluded))) {
		n->min = b->min;
		n->min_excluded = b->min_excluded;
	}
	c = a->max && b->max ? schema_decimal_cmp(a->max, b->max) : 0;
	if (b->max && (!a->max || c > 0 || (c == 0 && b->max_excluded))) {
		n->max = b->max;
		n->max_excluded = b->max_excluded;
	}
	n->multiples = join(s, a->multiples, a->n_multiples, b->multiples, b->n_multiples, &n->n_multiples);
	n->not_multiples = join(s, a->not_multiples, a->n_not_multiples, b->not_multiples, b->n_not_multiples,
				&n->n_not_multiples);
	n->nots = join(s, a->nots, a->n_nots, b->nots, b->n_nots, &n->n_nots);
	for (uint32_t i = 0; i < n->n_multiples; i++)
		for (uint32_t j = 0; j < n->n_not_multiples; j++)
			if (is_multiple(n->multiples[i], n->not_multiples[j]))
				return NULL;
	return contradicts(n) ? NULL : n;
}

static bool num_free(const struct num *n)
{
	return !n->integer && !n->min && !n->max && !n->n_multiples && !n->n_not_multiples && !n->n_nots &&
	       !n->n_points;
}

void schema_nums_add(struct schema *s, struct num_list *l, const struct num *n)
{
	if (!n || (l->n && num_free(l->at[0])))
		return;
	if (num_free(n))
		l->n = 0;
	/* Single values gather in one record. */
	for (uint32_t i = 0; n->n_points && i < l->n; i++) {
		if (!l->at[i]->n_points || l->at[i]->integer != n->integer)
			continue;
		struct num *both = schema_alloc(s, 1, sizeof *both);
		*both = *l->at[i];
		both->points = join(s, l->at[i]->points, l->at[i]->n_points, n->points, n->n_points,
				    &both->n_points);
		l->at[i] = both;
		return;
	}
	if (!(l->n & (l->n - 1))) { /* full at each power of two */
		const struct num **at = schema_alloc(s, l->n ? (size_t)l->n * 2 : 1, sizeof(void *));
		if (l->n)
			memcpy(at, l->at, l->n * sizeof(void *));
		l->at = at;
	}
	l->at[l->n++] = n;
}

void schema_num_not(struct schema *s, const struct num *a, struct num_list *out)
{
	if (a->n_points) {
		struct num n = {.nots = a->points, .n_nots = a->n_points};
		struct num *copy = schema_alloc(s, 1, sizeof *copy);
		*copy = n;
		schema_nums_add(s, out, copy);
		return; /* `integer` said no more than the points did */
	}
	struct num *n = schema_alloc(s, 5 + (size_t)a->n_multiples + a->n_not_multiples, sizeof *n);
	if (a->min) {
		*n = (struct num){.max = a->min, .max_excluded = !a->min_excluded};
		schema_nums_add(s, out, n++);
	}
	if (a->max) {
		*n = (struct num){.min = a->max, .min_excluded = !a->max_excluded};
		schema_nums_add(s, out, n++);
	}
	if (a->integer) {
		n->integer = a->integer == NUM_INTEGER ? NUM_FRACTION : NUM_INTEGER;
		schema_nums_add(s, out, n++);
	}
	for (uint32_t i = 0; i < a->n_multiples; i++) {
		*n = (struct num){.not_multiples = &a->multiples[i], .n_not_multiples = 1};
		schema_nums_add(s, out, n++);
	}
	for (uint32_t i = 0; i < a->n_not_multiples; i++) {
		*n = (struct num){.multiples = &a->not_multiples[i], .n_multiples = 1};
		schema_nums_add(s, out, n++);
	}
	if (a->n_nots) {
		*n = (struct num){.points = a->nots, .n_points = a->n_nots};
		schema_nums_add(s, out, n++);
	}
}

/* As digits, without an exponent. */
static struct str plain_text(struct schema *s, const struct decimal *v)
{
	size_t whole = v->digits.len > (size_t)v->scale ? v->digits.len - (size_t)v->scale : 0;
	size_t zeros = (size_t)v->scale > v->digits.len ? (size_t)v->scale - v->digits.len : 0, n = 0;
	char *t = arena_alloc(&s->arena, v->digits.len + zeros + 3, 1);
	if (!t)
		schema_no_memory(s);
	if (v->negative)
		t[n++] = '-';
	memcpy(t + n, whole ? v->digits.ptr : "0", whole ? whole : 1);
	n += whole ? whole : 1;
	if (v->scale) {
		t[n++] = '.';
		memset(t + n, '0', zeros);
		memcpy(t + n + zeros, v->digits.ptr + whole, v->digits.len - whole);
		n += zeros + v->digits.len - whole;
	}
	return (struct str){t, n};
}

enum zeros { NO_ZEROS, SOME_ZEROS, ENDLESS_ZEROS };

/* Values with so many digits behind the point (the most: or more), and zeros behind them. */
static rx behind_rx(struct schema *s, const struct decimal **values, uint32_t n, int32_t scale, rx zeros)
{
	struct str *texts = schema_alloc(s, n, sizeof *texts);
	uint32_t n_texts = 0;
	for (uint32_t i = 0; i < n; i++)
		if (values[i]->scale == scale || (scale == NUMBER_ZEROS && values[i]->scale > scale))
			texts[n_texts++] = plain_text(s, values[i]);
	return rx_cat(s->p, schema_texts_rx(s, texts, n_texts), zeros);
}

/* The values and, unless digits alone are wanted, zeros behind the point. */
static rx values_rx(struct schema *s, const struct decimal **values, uint32_t n, enum zeros zeros)
{
	struct rx_pool *p = s->p;
	struct str *whole =
		schema_alloc(s, (size_t)n * 2, sizeof *whole); /* 0 is "-0" too, and may come twice */
	uint32_t n_whole = 0, n_behind = 0;
	rx zero = rx_byte(p, '0');
	for (uint32_t i = 0; i < n; i++) {
		n_behind += values[i]->scale > 0;
		if (!values[i]->scale)
			whole[n_whole++] = plain_text(s, values[i]);
		if (!values[i]->digits.len && zeros != NO_ZEROS)
			whole[n_whole++] = STR_LIT("-0");
	}
	rx r = schema_texts_rx(s, whole, n_whole);
	if (zeros != NO_ZEROS) {
		uint32_t most = zeros == ENDLESS_ZEROS ? RX_UNBOUNDED : NUMBER_ZEROS;
		rx behind = rx_cat(p, rx_byte(p, '.'), rx_repeat(p, zero, 1, most));
		r = rx_cat(p, r, rx_repeat(p, behind, 0, 1));
	}
	for (int32_t scale = 1; scale <= NUMBER_ZEROS && n_behind; scale++) {
		uint32_t most = zeros == ENDLESS_ZEROS ? RX_UNBOUNDED : (uint32_t)(NUMBER_ZEROS - scale);
		r = rx_or(p, r, behind_rx(s, values, n, scale, rx_repeat(p, zero, 0, most)));
	}
	return r;
}

static rx number_rx(struct schema *s, const struct rx_number *what)
{
	rx r = RX_NONE;
	struct hokku_error e = {0};
	enum hokku_code rc = rx_number(s->p, what, &r, &e);
	if (rc == HOKKU_OUT_OF_MEMORY)
		schema_no_memory(s);
	/* Nothing fits, or too many states: the second is found by asking whether a limit was named. */
	if (rc && strstr(e.message, "limit"))
		schema_refuse(s, schema_here(s), NULL, "%s", e.message);
	return rc ? RX_NONE : r;
}

/* Whole numbers as a schema means them: 1.0 is one. */
static rx whole_rx(struct schema *s)
{
	struct rx_pool *p = s->p;
	rx zeros = rx_cat(p, rx_byte(p, '.'), rx_repeat(p, rx_byte(p, '0'), 1, RX_UNBOUNDED));
	uint64_t digits[4] = {(uint64_t)0x3ff << '0'};
	rx d = rx_repeat(p, rx_byte_set(p, digits), 1, RX_UNBOUNDED);
	rx whole = rx_cat(p, rx_repeat(p, rx_byte(p, '-'), 0, 1), d);
	return rx_cat(p, whole, rx_repeat(p, zeros, 0, 1));
}

rx schema_num_rx(struct schema *s, const struct num *n)
{
	struct rx_pool *p = s->p;
	if (num_free(n))
		return s->number_any;
	if (n->n_points)
		return values_rx(s, n->points, n->n_points,
				 n->integer == NUM_INTEGER ? NO_ZEROS : SOME_ZEROS);
	struct rx_number what = {.integer = n->integer == NUM_INTEGER,
				 .min = n->min,
				 .max = n->max,
				 .min_excluded = n->min_excluded,
				 .max_excluded = n->max_excluded,
				 .multiple_of = n->n_multiples ? n->multiples[0] : NULL,
				 .plain = n->integer || n->n_not_multiples || n->n_nots};
	bool bare = !what.integer && !n->min && !n->max && !n->n_multiples;
	rx r = bare ? s->decimal_any : number_rx(s, &what);
	for (uint32_t i = 1; i < n->n_multiples && r; i++)
		r = rx_and(p, r, number_rx(s, &(struct rx_number){.multiple_of = n->multiples[i]}));
	if (n->integer == NUM_FRACTION)
		r = rx_and(p, r, rx_not(p, whole_rx(s)));
	for (uint32_t i = 0; i < n->n_not_multiples; i++)
		r = rx_and(p, r,
			   rx_not(p, number_rx(s, &(struct rx_number){.multiple_of = n->not_multiples[i],
								      .endless = true})));
	if (n->n_nots)
		r = rx_and(p, r, rx_not(p, values_rx(s, n->nots, n->n_nots, ENDLESS_ZEROS)));
	return r;
}
