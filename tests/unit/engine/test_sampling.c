/* The table of sampling fields: defaults, and every range at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

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
	sampling_defaults(&s, SAMPLING_OWN, NULL);
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
	sampling_defaults(&s, SAMPLING_OWN, NULL);
	assert_int_equal(sampling_check(&s, 10, &err), HOKKU_OK);
	assert_true(s.temperature == public.temperature && s.top_k == public.top_k &&
		    s.top_p == public.top_p && s.min_p == public.min_p &&
		    s.repetition_penalty == public.repetition_penalty &&
		    s.frequency_penalty == public.frequency_penalty &&
		    s.presence_penalty == public.presence_penalty);
	const struct hokku_samplers more = HOKKU_SAMPLERS_INIT;
	assert_true(s.repeat_last_n == more.repeat_last_n && s.typical_p == more.typical_p &&
		    s.top_n_sigma == more.top_n_sigma && s.xtc_probability == more.xtc_probability &&
		    s.xtc_threshold == more.xtc_threshold && s.dynatemp_range == more.dynatemp_range &&
		    s.dynatemp_exponent == more.dynatemp_exponent &&
		    s.dry_multiplier == more.dry_multiplier && s.dry_base == more.dry_base &&
		    s.dry_allowed_length == more.dry_allowed_length &&
		    s.dry_penalty_last_n == more.dry_penalty_last_n && s.mirostat == more.mirostat &&
		    s.mirostat_tau == more.mirostat_tau && s.mirostat_eta == more.mirostat_eta);
	assert_true(sampling_is_plain(&s));
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
		{"repeat_last_n", {-1, 2147483647}, {-2, -2147483648.0}},
		{"typical_p", {1e-30, 1}, {0, 1.0000001}},
		{"top_n_sigma", {-1, 100}, {-1.000001, 100.00001}},
		{"xtc_probability", {0, 1}, {-1e-30, 1.0000001}},
		{"xtc_threshold", {0, 1}, {-1e-30, 1.0000001}},
		{"dynatemp_range", {0, 100}, {-1e-30, 100.00001}},
		{"dynatemp_exponent", {0, 100}, {-1e-30, 100.00001}},
		{"dry_multiplier", {0, 100}, {-1e-30, 100.00001}},
		{"dry_base", {1, 100}, {0.9999999, 100.00001}},
		{"dry_allowed_length", {1, 2147483647}, {0, -1}},
		{"dry_penalty_last_n", {-1, 2147483647}, {-2, -3}},
		{"mirostat", {0, 2}, {-1, 3}},
		{"mirostat_tau", {0, 100}, {-1e-30, 100.00001}},
		{"mirostat_eta", {0, 1}, {-1e-30, 1.0000001}},
	};
	assert_int_equal(sizeof rows / sizeof *rows, n_sampling_fields);
	for (size_t i = 0; i < n_sampling_fields; i++) {
		for (int j = 0; j < 2; j++) {
			assert_int_equal(check(rows[i].name, rows[i].allowed[j]), HOKKU_OK);
			assert_int_equal(check(rows[i].name, rows[i].refused[j]), HOKKU_INVALID_REQUEST);
			assert_true(str_starts(str_c(err.message), str_c(rows[i].name)));
		}
		if (sampling_fields[i].kind == SAMPLING_INT)
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
	sampling_defaults(&s, SAMPLING_OWN, NULL);
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
		{{1, 1000.1f},
		 "logit_bias of token 1 is 1000.1; it must be from -1000 to 1000, or minus infinity: never drawn"},
		{{1, NAN},
		 "logit_bias of token 1 is nan; it must be from -1000 to 1000, or minus infinity: never drawn"},
		{{1, INFINITY},
		 "logit_bias of token 1 is inf; it must be from -1000 to 1000, or minus infinity: never drawn"},
		{{1, -INFINITY}, NULL},
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

/* ---- what a file recommends ---- */

enum { MAX_KEYS = 8 };
static char notes[2048];

static void note(void *user, const char *text)
{
	(void)user;
	snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

static struct gguf_kv real(const char *key, double value)
{
	return (struct gguf_kv){.key = str_c(key), .value = {.type = GGUF_F32, .f64 = value}};
}

static struct gguf_kv whole(const char *key, int64_t value)
{
	return (struct gguf_kv){.key = str_c(key), .value = {.type = GGUF_I32, .i64 = value}};
}

static enum hokku_code read_nothing(void *self, uint64_t offset, void *to, size_t n, struct hokku_error *e)
{
	(void)self, (void)offset, (void)to, (void)n;
	return err_set(e, HOKKU_IO_ERROR, "there is nothing");
}

static struct sampling_advice advice_of(const struct gguf_kv *kv, uint64_t n)
{
	struct sampling_advice out;
	struct gguf *g;
	const struct gguf_parts parts = {.kv = kv, .n_kv = n, .reader.read = read_nothing};
	notes[0] = '\0';
	assert_int_equal(gguf_assemble("test.gguf", &parts, &g, &err), HOKKU_OK);
	sampling_read_advice(g, &out, note, NULL);
	gguf_close(g);
	return out;
}

/* By API, and by the file before that. */
static void test_advice(void **state)
{
	(void)state;
	struct sampling s;
	sampling_defaults(&s, SAMPLING_OPENAI, NULL);
	assert_true(s.temperature == 1 && s.top_p == 1 && s.top_k == 0 && s.repetition_penalty == 1);
	sampling_defaults(&s, SAMPLING_OLLAMA, NULL);
	assert_true(s.temperature == 0.8f && s.top_p == 0.9f && s.top_k == 40 && s.repetition_penalty == 1 &&
		    s.min_p == 0 && s.frequency_penalty == 0 && s.presence_penalty == 0);
	const struct gguf_kv all[] = {real("general.sampling.temp", 0.6f),
				      whole("general.sampling.top_k", 20),
				      real("general.sampling.top_p", 0.95f),
				      real("general.sampling.min_p", 0.05f),
				      real("general.sampling.penalty_repeat", 1.05f),
				      whole("general.sampling.penalty_last_n", 64),
				      real("general.sampling.xtc_probability", 0),
				      real("general.other", 3)};
	struct sampling_advice a = advice_of(all, 8);
	assert_string_equal(notes, "");
	assert_int_equal(a.given, 31 | 1 << 7 | 1 << 10); /* and repeat_last_n, xtc_probability */
	sampling_defaults(&s, SAMPLING_OPENAI, &a);
	assert_true(s.temperature == 0.6f && s.top_k == 20 && s.top_p == 0.95f && s.min_p == 0.05f &&
		    s.repetition_penalty == 1.05f && s.frequency_penalty == 0 && s.repeat_last_n == 64 &&
		    s.xtc_probability == 0);
	a = advice_of(&all[1], 1); /* one alone */
	sampling_defaults(&s, SAMPLING_OWN, &a);
	assert_true(s.temperature == 0.7f && s.top_k == 20 && s.top_p == 1);
}

static void test_bad_advice(void **state)
{
	(void)state;
	const struct {
		struct gguf_kv kv;
		const char *note; /* NULL: taken */
	} rows[] = {
		{real("general.sampling.temp", 0), NULL},
		{real("general.sampling.temp", 100), NULL},
		{real("general.sampling.temp", 100.5),
		 "general.sampling.temp is 100.5; it takes a number from 0 to 100"},
		{real("general.sampling.temp", NAN), "key \"general.sampling.temp\" is f32 nan"},
		{real("general.sampling.top_p", 0),
		 "general.sampling.top_p is 0; it takes a number above 0 to 1"},
		{real("general.sampling.top_k", 20), NULL},
		{real("general.sampling.top_k", 20.5),
		 "general.sampling.top_k is 20.5; it takes a whole number"},
		{whole("general.sampling.top_k", -1), "general.sampling.top_k is -1"},
		{whole("general.sampling.top_k", 2147483647), "general.sampling.top_k is 2.14748365e+09"},
		{{.key = STR_LIT("general.sampling.temp"),
		  .value = {.type = GGUF_STRING, .string = STR_LIT("hot")}},
		 "key \"general.sampling.temp\" is string"},
		{real("general.sampling.xtc_probability", 0.5), NULL},
		{whole("general.sampling.mirostat", 2), NULL},
		{whole("general.sampling.mirostat", 3),
		 "general.sampling.mirostat is 3; it takes a whole number from 0 to 2"},
		{real("general.sampling.new_one", 0), "\"general.sampling.new_one\" asks for a stage"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sampling_advice a = advice_of(&rows[i].kv, 1);
		if ((a.given != 0) != (rows[i].note == NULL))
			fail_msg("%zu: %x, %s", i, a.given, notes);
		if (rows[i].note && !strstr(notes, rows[i].note))
			fail_msg("%zu: %s", i, notes);
		else if (!rows[i].note)
			assert_string_equal(notes, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_advice),   cmocka_unit_test(test_bad_advice),
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bias),
	};
	return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
