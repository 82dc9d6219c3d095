/* Numbers within bounds: every short text against integer arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rx_try.h"
#include "small.h"

/* A decimal as a test writes it: "-1.50". */
struct typed {
	char digits[64];
	struct decimal d;
};

static const struct decimal *typed(struct typed *t, const char *text)
{
	if (!text)
		return NULL;
	size_t n = 0;
	memset(t, 0, sizeof *t);
	t->d.negative = *text == '-';
	const char *point = strchr(text, '.');
	for (text += t->d.negative; *text; text++)
		if (*text != '.' && (n || *text != '0'))
			t->digits[n++] = *text;
	t->d.digits = (struct str){t->digits, n};
	t->d.scale = point ? (int32_t)strlen(point + 1) : 0;
	return &t->d;
}

struct wanted {
	const char *min, *max, *multiple_of;
	bool min_excluded, max_excluded, integer, plain, endless;
};

static enum hokku_code make(struct rx_pool *p, const struct wanted *w, rx *out, struct hokku_error *err)
{
	struct typed min, max, multiple;
	struct rx_number what = {.integer = w->integer,
				 .min = typed(&min, w->min),
				 .max = typed(&max, w->max),
				 .min_excluded = w->min_excluded,
				 .max_excluded = w->max_excluded,
				 .multiple_of = typed(&multiple, w->multiple_of),
				 .plain = w->plain,
				 .endless = w->endless};
	return rx_number(p, &what, out, err);
}

static rx number(struct rx_pool *p, struct wanted w)
{
	struct hokku_error err = {0};
	rx r;
	if (make(p, &w, &r, &err))
		fail_msg("%s", err.message);
	return r;
}

static void test_free_numbers(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r = number(p, (struct wanted){0});
	MATCHES(p, r, "number", "0", "-0", "10", "-1.50", "0.0", "1e5", "1E+05", "-12.5e-300", "0e0",
		"123456789012345678901234567890");
	REFUSES(p, r, "number", "", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "1.5.2", "0x1", "1e5.0",
		"NaN", "Infinity", " 1");
	r = number(p, (struct wanted){.integer = true});
	MATCHES(p, r, "integer", "0", "-0", "10", "-7", "123456789012345678901234567890");
	REFUSES(p, r, "integer", "", "-", "00", "1.0", "1e2", "--1");
	rx_pool_free(p);
}

static void test_bounds(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r = number(p, (struct wanted){.min = "-10.5", .max = "0.25", .max_excluded = true});
	MATCHES(p, r, "-10.5..0.25", "-10.5", "-10.50", "-10.4999", "0", "-0", "0.2499", "0.2", "-9",
		"-0.0001", "-10", "1e-3", "-1.05e+1");
	REFUSES(p, r, "-10.5..0.25", "-10.51", "-11", "0.25", "0.250", "0.3", "1", "-100", "2.5e-1",
		"-10.5001", "-1.051e1", "1e0");
	r = number(p, (struct wanted){.min = "1", .max = "150", .integer = true});
	MATCHES(p, r, "1..150", "1", "9", "10", "99", "100", "149", "150");
	REFUSES(p, r, "1..150", "0", "-1", "151", "1000", "200", "01", "-0");
	r = number(p, (struct wanted){.min = "0", .min_excluded = true});
	MATCHES(p, r, "> 0", "0.1", "0.0001", "1", "10.0", "100", "1e5", "1e-06");
	REFUSES(p, r, "> 0", "0", "0.0", "-0", "-0.0", "-1", "-1e-5", "0e5", "1e-301");
	r = number(p, (struct wanted){.min = "0", .max = "0"});
	MATCHES(p, r, "0", "0", "-0", "0.0", "-0.000");
	REFUSES(p, r, "0", "0.01", "1", "-1");
	r = number(p, (struct wanted){.min = "1.2", .max = "3.7", .integer = true});
	MATCHES(p, r, "integers 1.2..3.7", "2", "3");
	REFUSES(p, r, "integers 1.2..3.7", "1", "4", "2.0");
	r = number(p, (struct wanted){
			      .min = "-9223372036854775808", .max = "9223372036854775807", .integer = true});
	MATCHES(p, r, "int64", "-9223372036854775808", "9223372036854775807", "0", "1000000000000000000");
	REFUSES(p, r, "int64", "-9223372036854775809", "9223372036854775808", "10000000000000000000");
	rx_pool_free(p);
}

static void test_multiples(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	rx r = number(p, (struct wanted){.multiple_of = "0.01"});
	MATCHES(p, r, "0.01", "0", "1", "1.5", "1.25", "-1.250", "0.010000", "99999999999999999999.01");
	REFUSES(p, r, "0.01", "0.001", "1.255", "1e2", "0.0100001", "1.");
	r = number(p, (struct wanted){.multiple_of = "2.5"});
	MATCHES(p, r, "2.5", "0", "-0", "2.5", "5", "7.50", "-12.5", "100");
	REFUSES(p, r, "2.5", "1", "2", "2.4", "2.55", "6.5");
	r = number(p, (struct wanted){.multiple_of = "300", .integer = true, .min = "1", .max = "1000000"});
	MATCHES(p, r, "300", "300", "600", "999900", "3000");
	REFUSES(p, r, "300", "0", "100", "200", "1000", "1000200", "30", "-300");
	r = number(p, (struct wanted){.multiple_of = "100"});
	MATCHES(p, r, "100", "0", "0.0", "100", "100.00", "-1000", "123400");
	REFUSES(p, r, "100", "10", "150", "00", "000", "100.5", ".0");
	r = number(p, (struct wanted){.multiple_of = "0.3", .integer = true});
	MATCHES(p, r, "0.3 of integers", "0", "3", "-6", "300");
	REFUSES(p, r, "0.3 of integers", "1", "2", "4", "0.3");
	r = number(p, (struct wanted){.multiple_of = "0.00000001"});
	MATCHES(p, r, "1e-8", "0.00000001", "1", "0.12345678", "0.12345600");
	REFUSES(p, r, "1e-8", "0.000000001", "0.123456780");
	rx_pool_free(p);
}

enum { LENGTH_OF_EXPONENTS = 6 };

static void refused(struct wanted w, const char *message)
{
	struct rx_pool *p = try_pool();
	struct hokku_error err = {0};
	rx r = RX_ALL;
	assert_int_equal(make(p, &w, &r, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, message);
	assert_int_equal(r, RX_NONE);
	rx_pool_free(p);
}

static void test_nothing_fits(void **state)
{
	(void)state;
	refused((struct wanted){.min = "5", .max = "4"}, "no number is at least 5 and at most 4");
	refused((struct wanted){.min = "-0.5", .max = "-0.50", .min_excluded = true},
		"no number is above -0.5 and at most -0.5");
	refused((struct wanted){.min = "1.2", .max = "1.8", .integer = true},
		"no integer is at least 1.2 and at most 1.8");
	refused((struct wanted){.min = "11", .max = "19", .multiple_of = "10"},
		"no multiple of 10 is at least 11 and at most 19");
	refused((struct wanted){.min = "1", .max = "2.9", .multiple_of = "0.3", .integer = true},
		"no integer that is a multiple of 0.3 is at least 1 and at most 2.9");
	refused((struct wanted){.multiple_of = "0"},
		"multiples of 0 cannot be asked for: the number must be above 0");
	refused((struct wanted){.multiple_of = "-2"},
		"multiples of -2 cannot be asked for: the number must be above 0");
}

static void test_limits(void **state)
{
	(void)state;
	refused((struct wanted){.multiple_of = "10001"},
		"multiples of 10001 would be told by more than 10000 remainders, the limit; a shorter number would do");
	refused((struct wanted){.multiple_of = "2.501"},
		"multiples of 2.501 would be told by more than 10000 remainders, the limit; a shorter number would do");
	struct rx_pool *p = try_pool();
	rx r = number(p, (struct wanted){.multiple_of = "9999", .integer = true});
	MATCHES(p, r, "9999", "9999", "19998", "0");
	r = number(p, (struct wanted){.multiple_of = "2.499"});
	REFUSES(p, r, "2.499", "2.4991", "1");
	MATCHES(p, r, "2.499", "4.998", "2499");
	r = number(p, (struct wanted){.multiple_of = "1000000000000000000000000", .integer = true});
	MATCHES(p, r, "1e24", "0", "3000000000000000000000000");
	/* Bounds of 4,096 digits and one more. */
	char *digits = malloc(4097);
	memset(digits, '7', 4097);
	struct decimal bound = {false, {digits, 4096}, 0};
	struct rx_number what = {.integer = true, .max = &bound};
	struct hokku_error err = {0};
	assert_int_equal(rx_number(p, &what, &r, &err), HOKKU_OK);
	assert_true(rx_matches(p, r, digits, 4096));
	assert_false(rx_matches(p, r, digits, 4097));
	bound.digits.len = 4097;
	assert_int_equal(rx_number(p, &what, &r, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(
		err.message,
		"the greatest number has more than 4096 digits when it is written out, the limit");
	bound = (struct decimal){false, {"1", 1}, -4095};
	assert_int_equal(rx_number(p, &what, &r, &err), HOKKU_OK);
	bound.scale = INT32_MIN;
	assert_int_equal(rx_number(p, &what, &r, &err), HOKKU_INVALID_REQUEST);
	bound.scale = INT32_MAX;
	what.integer = false;
	assert_int_equal(rx_number(p, &what, &r, &err), HOKKU_INVALID_REQUEST);
	free(digits);
	rx_pool_free(p);
}

/* ---- exponents ---- */

/* As it is written with a bound: one digit before the point, an exponent up to 300. */
static bool is_scientific(const char *t)
{
	char *end;
	t += *t == '-';
	if (*t < '1' || *t > '9')
		return false;
	size_t n = *++t == '.' ? strspn(t + 1, "0123456789") : 0;
	if (*t == '.' && !n)
		return false;
	t += n ? n + 1 : 0;
	if (*t != 'e' && *t != 'E')
		return false;
	t += t[1] == '+' || t[1] == '-' ? 2 : 1;
	if (*t < '0' || *t > '9' || strlen(t) > 3)
		return false;
	long exponent = strtol(t, &end, 10);
	return !*end && exponent <= 300;
}

static void every_exponent(struct rx_pool *p, rx r, const struct wanted *w, char *text, size_t n)
{
	static const char chars[] = "01359-+.e";
	if (strchr(text, 'e') || n == LENGTH_OF_EXPONENTS) {
		long double v = strtold(text, NULL), min = w->min ? strtold(w->min, NULL) : -INFINITY,
			    max = w->max ? strtold(w->max, NULL) : INFINITY;
		bool wanted = is_scientific(text) && (w->min_excluded ? v > min : v >= min) &&
			      (w->max_excluded ? v < max : v <= max);
		if (strchr(text, 'e') && rx_nullable(p, r) != wanted)
			fail_msg("%s%s .. %s%s: \"%s\" %s", w->min ? w->min : "",
				 w->min_excluded ? " excluded" : "", w->max ? w->max : "",
				 w->max_excluded ? " excluded" : "", text,
				 wanted ? "is refused" : "is taken");
	}
	if (n == LENGTH_OF_EXPONENTS ||
	    (n > 1 && (strstr(text, "..") || (strchr("+-", text[n - 1]) && text[n - 2] != 'e'))))
		return;
	for (const char *c = chars; *c; c++) {
		text[n] = *c;
		text[n + 1] = '\0';
		every_exponent(p, rx_derive(p, r, (uint8_t)*c), w, text, n + 1);
		text[n] = '\0';
	}
}

static void test_exponents(void **state)
{
	(void)state;
	static const struct wanted rows[] = {
		{.min = "0"},
		{.min = "0", .min_excluded = true, .max = "1"},
		{.min = "0.05", .max = "31.5"},
		{.max = "-0.35"},
		{.min = "-30", .max = "1000", .max_excluded = true},
		{.min = "1000", .min_excluded = true},
		{.min = "0.00001", .max = "0.0000135"},
		{.min = "3", .max = "3"},
		{.min = "5", .min_excluded = true, .max = "5.9"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i += small_step(4)) {
		struct rx_pool *p = try_pool();
		char text[LENGTH_OF_EXPONENTS + 1] = "";
		every_exponent(p, number(p, rows[i]), &rows[i], text, 0);
		rx_pool_free(p);
	}
	struct rx_pool *p = try_pool();
	rx r = number(p, (struct wanted){.min = "0"});
	MATCHES(p, r, "limits of exponents", "1e299", "1e300", "9.99E-300", "1e+000", "2e-0");
	REFUSES(p, r, "limits of exponents", "1e301", "1e-301", "1e0300", "10e1", "0.1e1", "-1e5", "1e");
	r = number(p, (struct wanted){.min = "0", .plain = true});
	REFUSES(p, r, "plain", "1e5", "1e-06");
	r = number(p, (struct wanted){.min = "0", .integer = true});
	REFUSES(p, r, "integers", "1e5");
	r = number(p, (struct wanted){.min = "0", .multiple_of = "0.5"});
	REFUSES(p, r, "multiples", "1e5");
	rx_pool_free(p);
}

/* ---- zeros that say nothing ---- */

static void test_zeros(void **state)
{
	(void)state;
	struct rx_pool *p = try_pool();
	struct wanted w = {.min = "7", .max = "7"};
	rx r = number(p, w);
	MATCHES(p, r, "7", "7", "7.0", "7.00000", "7.000000");
	REFUSES(p, r, "7", "7.0000000", "7.0000001");
	w.endless = true;
	MATCHES(p, number(p, w), "7 to be negated", "7.0000000", "7.0000000000000000000000");
	r = number(p, (struct wanted){.max = "0.25"});
	MATCHES(p, r, "at most 0.25", "0.25", "0.25000", "0.250000", "0.24000000000", "0.2499999999");
	REFUSES(p, r, "at most 0.25", "0.2500000");
	r = number(p, (struct wanted){.max = "0.1234567"});
	MATCHES(p, r, "longer than the zeros", "0.1234567", "0.12345660000");
	REFUSES(p, r, "longer than the zeros", "0.12345670");
	r = number(p, (struct wanted){.multiple_of = "0.25"});
	MATCHES(p, r, "multiples of 0.25", "0.25", "0.250000", "1.000000", "0.5");
	REFUSES(p, r, "multiples of 0.25", "0.2500000");
	r = number(p, (struct wanted){.multiple_of = "10"});
	MATCHES(p, r, "multiples of 10", "20.0", "20.000000");
	REFUSES(p, r, "multiples of 10", "20.0000000");
	r = number(p, (struct wanted){.multiple_of = "10", .endless = true});
	MATCHES(p, r, "multiples of 10 to be negated", "20.0000000", "20.00000000000000000");
	rx_pool_free(p);
}

/* ---- every short text ---- */

enum { SCALE = 6, ONE = 1000000, LENGTH = 6 };

/* A decimal text x 10^6; false: none, or with an exponent. */
static bool value_of(const char *text, int64_t *out)
{
	bool negative = *text == '-', point = false;
	int64_t v = 0;
	int behind = 0, n = 0;
	for (text += negative; *text; text++) {
		if (*text == '.') {
			if (point || !n)
				return false;
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || (n == 1 && v == 0 && !point))
			return false;
		v = v * 10 + *text - '0';
		n++;
		behind += point;
	}
	if (!n || (point && !behind))
		return false;
	for (; behind < SCALE; behind++)
		v *= 10;
	*out = negative ? -v : v;
	return true;
}

static bool fits(const struct wanted *w, const char *text)
{
	int64_t v, bound;
	if (!value_of(text, &v) || (w->integer && strchr(text, '.')))
		return false;
	if (w->min && value_of(w->min, &bound) && (w->min_excluded ? v <= bound : v < bound))
		return false;
	if (w->max && value_of(w->max, &bound) && (w->max_excluded ? v >= bound : v > bound))
		return false;
	return !w->multiple_of || !value_of(w->multiple_of, &bound) || v % bound == 0;
}

static uint64_t n_tried, n_matched;

static void every_text(struct rx_pool *p, rx r, const struct wanted *w, char *text, size_t n)
{
	static const char chars[] = "0123579-.";
	bool wanted = fits(w, text);
	if (rx_nullable(p, r) != wanted)
		fail_msg("%s%s%s .. %s%s, multiple of %s: \"%s\" %s", w->integer ? "integer " : "",
			 w->min ? w->min : "", w->min_excluded ? " excluded" : "", w->max ? w->max : "",
			 w->max_excluded ? " excluded" : "", w->multiple_of ? w->multiple_of : "any", text,
			 wanted ? "is refused" : "is taken");
	n_tried++;
	n_matched += wanted;
	/* What cannot become a number need not be tried on; all the more should it be NONE. */
	if (n == LENGTH || (n > 1 && (strchr(text + 1, '-') || strstr(text, "..") || strstr(text, "-."))))
		return;
	for (const char *c = chars; *c; c++) {
		text[n] = *c;
		text[n + 1] = '\0';
		every_text(p, rx_derive(p, r, (uint8_t)*c), w, text, n + 1);
		text[n] = '\0';
	}
}

static void test_every_short_text(void **state)
{
	(void)state;
	static const char *const bounds[] = {NULL,   "0",   "-0.1", "1",     "-1",   "0.25",
					     "9.99", "10",  "-10",  "12.05", "-0.5", "99",
					     "100",  "-99", "3.0",  "0.03",  "-2.7", "101.5"};
	static const char *const multiples[] = {NULL,  NULL,   "1",    "2",   "7",   "10",
						"0.5", "0.25", "0.01", "2.5", "0.3", "20"};
	uint64_t at = 0;
	for (size_t i = 0; i < 60; i += small_step(20)) {
		struct wanted w = {
			.min = bounds[try_draw(&at, sizeof bounds / sizeof *bounds)],
			.max = bounds[try_draw(&at, sizeof bounds / sizeof *bounds)],
			.multiple_of = multiples[try_draw(&at, sizeof multiples / sizeof *multiples)],
			.min_excluded = try_draw(&at, 2),
			.max_excluded = try_draw(&at, 2),
			.integer = try_draw(&at, 3) == 0,
		};
		if (!w.min && !w.max && !w.multiple_of)
			continue;
		struct rx_pool *p = try_pool();
		struct hokku_error err = {0};
		char text[LENGTH + 1] = "";
		rx r;
		if (make(p, &w, &r, &err) == HOKKU_OK)
			assert_true(rx_alive(p, r));
		every_text(p, r, &w, text, 0); /* nothing at all, where it was refused */
		assert_false(rx_failed(p));
		rx_pool_free(p);
	}
	assert_true(test_small() || (n_tried > 1000000 && n_matched > 50000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_free_numbers), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_multiples),    cmocka_unit_test(test_nothing_fits),
		cmocka_unit_test(test_limits),       cmocka_unit_test(test_every_short_text),
		cmocka_unit_test(test_exponents),    cmocka_unit_test(test_zeros),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
