/* The table of sampling fields: defaults, and every range at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "engine/engine.h"

static struct hokku_error err;

static void set(struct sampling *s, const struct sampling_field *f, double value)
{
	char *at = (char *)s + f->offset;
	if (f->kind == SAMPLING_INT)
		*(int32_t *)at = (int32_t)value;
	else
		*(float *)at = (float)value;
}

static enum hokku_code check(const char *name, double value)
{
	struct sampling s;
	sampling_defaults(&s);
	for (size_t i = 0; i < n_sampling_fields; i++)
		if (str_eq_c(str_c(sampling_fields[i].name), name))
			set(&s, &sampling_fields[i], value);
	return sampling_check(&s, 10, &err);
}

static void test_defaults(void **state)
{
	(void)state;
	const struct hokku_sampling public = HOKKU_SAMPLING_INIT;
	struct sampling s;
	sampling_defaults(&s);
	assert_int_equal(sampling_check(&s, 10, &err), HOKKU_OK);
	assert_true(s.temperature == public.temperature && s.top_k == public.top_k &&
		    s.top_p == public.top_p && s.min_p == public.min_p &&
		    s.repetition_penalty == public.repetition_penalty &&
		    s.frequency_penalty == public.frequency_penalty &&
		    s.presence_penalty == public.presence_penalty);
}

static void test_ranges(void **state)
{
	(void)state;
	const struct {
		const char *name;
		double allowed[2], refused[2];
	} rows[] = {
		{"temperature", {0, 100}, {-1e-30, 100.00001}},
		{"top_k", {0, 2147483647}, {-1, -2147483648.0}},
		{"top_p", {1e-30, 1}, {0, 1.0000001}},
		{"min_p", {0, 1}, {-1e-30, 1.0000001}},
		{"repetition_penalty", {1e-30, 10}, {0, 10.000001}},
		{"frequency_penalty", {-2, 2}, {-2.000001, 2.000001}},
		{"presence_penalty", {-2, 2}, {-2.000001, 2.000001}},
	};
	assert_int_equal(sizeof rows / sizeof *rows, n_sampling_fields);
	for (size_t i = 0; i < n_sampling_fields; i++) {
		for (int j = 0; j < 2; j++) {
			assert_int_equal(check(rows[i].name, rows[i].allowed[j]), HOKKU_OK);
			assert_int_equal(check(rows[i].name, rows[i].refused[j]), HOKKU_INVALID_REQUEST);
			assert_true(str_starts(str_c(err.message), str_c(rows[i].name)));
		}
		if (i == 1)
			continue;
		assert_int_equal(check(rows[i].name, NAN), HOKKU_INVALID_REQUEST);
		assert_int_equal(check(rows[i].name, INFINITY), HOKKU_INVALID_REQUEST);
		assert_int_equal(check(rows[i].name, -INFINITY), HOKKU_INVALID_REQUEST);
	}
	check("top_p", 0);
	assert_string_equal(err.message, "top_p is 0; it must be more than 0 and at most 1");
	check("temperature", 101);
	assert_string_equal(err.message, "temperature is 101; it must be from 0 to 100");
}

static void test_bias(void **state)
{
	(void)state;
	static struct hokku_logit_bias bias[COMPUTE_MAX_LOGIT_BIAS + 1];
	struct sampling s;
	sampling_defaults(&s);
	s.bias = bias;
	for (uint32_t n = COMPUTE_MAX_LOGIT_BIAS - 1; n <= COMPUTE_MAX_LOGIT_BIAS + 1; n++) {
		s.n_bias = n;
		assert_int_equal(sampling_check(&s, 10, &err),
				 n <= COMPUTE_MAX_LOGIT_BIAS ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	}
	assert_string_equal(err.message, "logit_bias has 1025 entries; 1024 are allowed");
	s.n_bias = 2;
	const struct {
		struct hokku_logit_bias entry;
		const char *message; /* NULL: allowed */
	} rows[] = {
		{{9, 1000}, NULL},
		{{0, -1000}, NULL},
		{{10, 0}, "logit_bias names token 10; the vocabulary has 0 to 9"},
		{{-1, 0}, "logit_bias names token -1; the vocabulary has 0 to 9"},
		{{1, 1000.1f}, "logit_bias of token 1 is 1000.1; it must be from -1000 to 1000"},
		{{1, NAN}, "logit_bias of token 1 is nan; it must be from -1000 to 1000"},
		{{1, -INFINITY}, "logit_bias of token 1 is -inf; it must be from -1000 to 1000"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bias[1] = rows[i].entry;
		assert_int_equal(sampling_check(&s, 10, &err),
				 rows[i].message ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		if (rows[i].message)
			assert_string_equal(err.message, rows[i].message);
	}
	s.bias = NULL;
	assert_int_equal(sampling_check(&s, 10, &err), HOKKU_INVALID_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bias),
	};
	return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
