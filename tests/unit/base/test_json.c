/* The JSON reader: what it takes, what it says of what it does not take, and jansson as its judge. */
#include "base/json.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/json_internal.h"
#include "base/rng.h"
#include "json_same.h"

static struct jv_doc doc;

static const struct jv *parse(const char *text, unsigned flags)
{
	struct hokku_error err = {0};
	jv_doc_free(&doc);
	if (jv_parse(str_c(text), flags, &doc, &err))
		fail_msg("%s: %s", text, err.message);
	return &doc.root;
}

static void refuse(const char *text, unsigned flags, const char *message)
{
	struct jv_doc d;
	struct hokku_error err = {0};
	assert_int_equal(jv_parse(str_c(text), flags, &d, &err), HOKKU_BAD_FILE);
	if (strcmp(err.message, message) != 0)
		fail_msg("%s\n  found  %s\n  wanted %s", text, err.message, message);
	assert_null(d.arena.first);
}

/* The vector of the paper's appendix A, and lengths around a word from the reference implementation's list.
 */
static void test_siphash(void **state)
{
	(void)state;
	uint8_t bytes[64];
	const uint64_t key0 = 0x0706050403020100u, key1 = 0x0f0e0d0c0b0a0908u;
	for (int i = 0; i < 64; i++)
		bytes[i] = (uint8_t)i;
	assert_true(siphash(key0, key1, bytes, 15) == 0xa129ca6149be45e5u);
	assert_true(siphash(key0, key1, bytes, 0) == 0x726fdb47dd0e0e31u);
	assert_true(siphash(key0, key1, bytes, 8) == 0x93f5f5799a932462u);
}

static void test_values(void **state)
{
	(void)state;
	const struct jv *v =
		parse(" {\"b\" : [1, -2.5e1, true, false, null, \"x\\u0000\\n\\ud83d\\ude00\\/\"],\r\n\t"
		      "\"a\":{}, \"\":[]} ",
		      JV_STRICT);
	assert_int_equal(v->n, 3);
	assert_true(str_eq_c(jv_key(v, 0), "b") && str_eq_c(jv_key(v, 1), "a") && jv_key(v, 2).len == 0);
	const struct jv *b = jv_get(v, "b");
	int64_t whole = 7;
	double real = 7;
	assert_int_equal(jv_len(b), 6);
	assert_true(jv_int(jv_at(b, 0), &whole) && whole == 1);
	assert_false(jv_int(jv_at(b, 1), &whole));
	assert_true(jv_double(jv_at(b, 1), &real) && real == -25);
	assert_true(jv_is_true(jv_at(b, 2)) && !jv_is_true(jv_at(b, 3)) && jv_is(jv_at(b, 3), JV_BOOL));
	assert_true(jv_none(jv_at(b, 4)) && jv_none(jv_at(b, 6)) && !jv_none(b));
	assert_true(str_eq(jv_str(jv_at(b, 5)), STR_LIT("x\0\n\xF0\x9F\x98\x80/")));
	/* Every digit, both cases, the last characters before and after the surrogates. */
	assert_true(str_eq_c(
		jv_str(parse("\"\\u0019\\u00aF\\u00Fa\\ud7ff\\ue000\\uffff\\udbff\\udfff\"", JV_STRICT)),
		"\x19\xC2\xAF\xC3\xBA\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF"));
	v = parse("{\"b\":[1,-2.5e1,true,false,null,\"x\"]}", JV_STRICT);
	b = jv_get(v, "b");
	/* Of another type, or of nothing. */
	assert_null(jv_get(b, "b"));
	assert_null(jv_get(NULL, "b"));
	assert_null(jv_get(v, "c"));
	assert_null(jv_at(v, 0));
	assert_null(jv_str(b).ptr);
	assert_int_equal(jv_len(v), 0);
	assert_false(jv_int(v, &whole) || jv_double(v, &real) || jv_int(NULL, &whole) ||
		     jv_double(NULL, &real));
	assert_false(jv_is_true(jv_at(b, 0)) || jv_is_true(NULL));
}

static void test_integers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fits;
		int64_t value;
		double real;
	} rows[] = {
		{"0", true, 0, 0},
		{"-0", true, 0, 0},
		{"9223372036854775807", true, INT64_MAX, 0x1p63},
		{"9223372036854775808", false, 0, 0x1p63},
		{"-9223372036854775808", true, INT64_MIN, -0x1p63},
		{"-9223372036854775809", false, 0, -0x1p63},
		{"1000000000000000019884624838656", false, 0, 1e30},
		{"1.0", false, 0, 1},
		{"1e2", false, 0, 100},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t whole = 77;
		double real = 0;
		const struct jv *v = parse(rows[i].text, JV_STRICT);
		assert_int_equal(jv_int(v, &whole), rows[i].fits);
		assert_true(whole == (rows[i].fits ? rows[i].value : 77));
		assert_true(jv_double(v, &real) && real == rows[i].real);
	}
	static const char *const no_doubles[] = {"1e400", "-1e400", "NaN", "Infinity", "-Infinity"};
	for (size_t i = 0; i < 5; i++) {
		double real;
		int64_t whole;
		char text[32];
		const struct jv *v = parse(no_doubles[i], JV_NONFINITE);
		assert_int_equal(v->type, JV_NUMBER);
		assert_false(jv_double(v, &real) || jv_int(v, &whole));
		assert_string_equal(jv_text(v, text, sizeof text), no_doubles[i]);
	}
	/* A million digits are a number as well. */
	char *long_one = malloc(1000002);
	memset(long_one, '7', 1000001);
	long_one[1000001] = '\0';
	assert_int_equal(parse(long_one, JV_STRICT)->n, 1000001);
	free(long_one);
}

/* What a program around us says of decimal points does not matter. */
static void test_locale(void **state)
{
	(void)state;
	double real;
	setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* where there is none, the plain one stays */
	assert_true(jv_double(parse("0.5", JV_STRICT), &real) && real == 0.5);
	setlocale(LC_NUMERIC, "C");
}

static void test_byte_order_mark(void **state)
{
	(void)state;
	assert_int_equal(parse("\xEF\xBB\xBF{\"a\":1}", JV_STRICT)->n, 1);
	refuse("\xEF\xBB\xBF\xEF\xBB\xBF{}", JV_STRICT,
	       "line 1 column 1: a value is wanted, but there is \"\xEF\xBB\xBF\"");
	refuse("{\xEF\xBB\xBF}", JV_STRICT,
	       "line 1 column 2: a key in quotes or '}' is wanted, but there is \"\xEF\xBB\xBF\"");
	refuse("\xEF\xBB\xBF{\n}}", JV_STRICT, /* places count after the mark */
	       "line 2 column 2: the end of the text is wanted, but there is \"}\"");
	refuse("\xEF\xBB", JV_STRICT, "line 1 column 1: the byte 0xef is no UTF-8");
	refuse("\xFF\xFE{", JV_STRICT,
	       "line 1 column 1: it is UTF-16, as its byte order mark says; UTF-8 is wanted");
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "line 1 column 1: a value is wanted, but the text ends here"},
		{"{", "line 1 column 1: a key in quotes or '}' is wanted, but the text ends here"},
		{"{\"a\"", "line 1 column 4: ':' is wanted, but the text ends here"},
		{"{\"a\":1,}", "line 1 column 8: a key in quotes is wanted, but there is \"}\""},
		{"{a:1}", "line 1 column 2: a key in quotes or '}' is wanted, but there is \"a\""},
		{"[1,]", "line 1 column 4: a value is wanted, but there is \"]\""},
		{"[1 2]", "line 1 column 4: ',' or ']' is wanted, but there is \"2\""},
		{"{\"a\":1]", "line 1 column 7: ',' or '}' is wanted, but there is \"]\""},
		{"{}\nx", "line 2 column 1: the end of the text is wanted, but there is \"x\""},
		{"\"\xC3\xA9\xC3\xA9\",",
		 "line 1 column 5: the end of the text is wanted, but there is \",\""},
		{"tru", "line 1 column 1: a value is wanted, but there is \"tru\""},
		{"01", "line 1 column 1: a value is wanted, but there is \"01\""},
		{"-", "line 1 column 1: a value is wanted, but there is \"-\""},
		{"1.", "line 1 column 1: a value is wanted, but there is \"1.\""},
		{".5", "line 1 column 1: a value is wanted, but there is \".5\""},
		{"1e+", "line 1 column 1: a value is wanted, but there is \"1e+\""},
		{"+1", "line 1 column 1: a value is wanted, but there is \"+1\""},
		{"0x10", "line 1 column 2: the end of the text is wanted, but there is \"x10\""},
		{"NaN", "line 1 column 1: NaN is no number of JSON's; a finite one is wanted"},
		{"-Infinity", "line 1 column 1: -Infinity is no number of JSON's; a finite one is wanted"},
		{"nan", "line 1 column 1: a value is wanted, but there is \"nan\""},
		{"-NaN", "line 1 column 1: a value is wanted, but there is \"-NaN\""},
		{"\"a", "line 1 column 1: the string that begins here has no end"},
		{"\"a\\", "line 1 column 1: the string that begins here has no end"},
		{"\"a\\\"", "line 1 column 1: the string that begins here has no end"},
		{"\"\t\"", "line 1 column 2: a string holds the control character 0x09; \\u0009 is wanted"},
		{"\"\\x\"", "line 1 column 2: \"\\\\x\" is no escape of a character"},
		{"\"\\u12\"", "line 1 column 2: \"\\\\u12\" is no escape of a character"},
		{"\"\\u12g4\"", "line 1 column 2: \"\\\\u12g4\" is no escape of a character"},
		{"\"\\ud800\"", "line 1 column 2: \"\\\\ud800\" is no escape of a character"},
		{"\"\\udc00\"", "line 1 column 2: \"\\\\udc00\" is no escape of a character"},
		{"\"\\udfff\"", "line 1 column 2: \"\\\\udfff\" is no escape of a character"},
		{"x9 ", "line 1 column 1: a value is wanted, but there is \"x9\""},
		{"\"\\ud800\\u0041\"", "line 1 column 2: \"\\\\ud800\" is no escape of a character"},
		{"\"\xff\"", "line 1 column 2: the byte 0xff is no UTF-8"},
		{"\"\xED\xA0\x80\"", "line 1 column 2: the byte 0xed is no UTF-8"},
		{"{\"a\":1,\n\"a\":2}", "line 2 column 1: duplicate key \"a\""},
		{"{\"a\":{\"b\":1,\"\\u0062\":1}}", "line 1 column 13: duplicate key \"b\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		refuse(rows[i].text, JV_STRICT, rows[i].message);
		assert_null(json_compare(str_c(rows[i].text)));
	}
	struct jv_doc d;
	assert_int_equal(jv_parse((struct str){"1\0", 2}, JV_STRICT, &d, NULL), HOKKU_BAD_FILE);
}

/* From a pair more than are looked at one by one there is a table; duplicates are found in both. */
static void test_many_keys(void **state)
{
	(void)state;
	for (uint32_t n = JV_SCAN - 1; n < 2000; n = n < JV_SCAN + 3 ? n + 1 : n * 3) {
		struct strbuf b = {0};
		for (uint32_t i = 0; i < n; i++)
			strbuf_addf(&b, "%s\"k%u\":%u", i ? "," : "{", i, i);
		size_t open = b.len;
		strbuf_add_c(&b, "}");
		const struct jv *v = parse(b.ptr, JV_STRICT);
		assert_int_equal(v->n, n);
		for (uint32_t i = 0; i < n + 2; i++) {
			char key[16];
			snprintf(key, sizeof key, "k%u", i);
			assert_ptr_equal(jv_get(v, key), i < n ? jv_value(v, i) : NULL);
		}
		const uint32_t twice[] = {0, n / 2, n - 1};
		for (size_t i = 0; i < 3; i++) {
			char message[96];
			b.len = open;
			strbuf_addf(&b, ",\"k%u\":0}", twice[i]);
			snprintf(message, sizeof message, "line 1 column %zu: duplicate key \"k%u\"",
				 open + 2, twice[i]);
			refuse(b.ptr, JV_STRICT, message);
		}
		strbuf_free(&b);
	}
}

static void test_depth(void **state)
{
	(void)state;
	for (int n = JV_MAX_DEPTH - 1; n <= JV_MAX_DEPTH + 1; n++) {
		for (int kind = 0; kind < 2; kind++) {
			struct strbuf b = {0};
			struct jv_doc d;
			for (int i = 0; i < n; i++)
				strbuf_add_c(&b, kind && i + 1 < n ? "{\"\":" : "[");
			for (int i = n; i-- > 0;)
				strbuf_add_c(&b, kind && i + 1 < n ? "}" : "]");
			struct hokku_error err = {0};
			enum hokku_code rc = jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &d, &err);
			assert_int_equal(rc, n <= JV_MAX_DEPTH ? HOKKU_OK : HOKKU_BAD_FILE);
			if (rc)
				assert_non_null(strstr(err.message, "deeper than the 1000 allowed"));
			jv_doc_free(&d);
			strbuf_free(&b);
		}
	}
}

static void test_number_of_values(void **state)
{
	(void)state;
	enum { LIMIT = 1000 };
	assert_int_equal(JV_MAX_VALUES, 16777216);
	for (int kind = 0; kind < 2; kind++) { /* the array or object is a value as well, a key is none */
		for (int n = LIMIT - 1; n <= LIMIT + 1; n++) {
			struct strbuf b = {0};
			struct jv_doc d;
			struct hokku_error err = {0};
			for (int i = 0; i < n - 1; i++) {
				strbuf_add_c(&b, i ? "," : kind ? "{" : "[");
				if (kind)
					strbuf_addf(&b, "\"%d\":", i);
				strbuf_add_c(&b, "0");
			}
			strbuf_add_c(&b, kind ? "}" : "]");
			enum hokku_code rc =
				jv_parse_limited((struct str){b.ptr, b.len}, JV_STRICT, LIMIT, &d, &err);
			assert_int_equal(rc, n <= LIMIT ? HOKKU_OK : HOKKU_BAD_FILE);
			if (rc)
				assert_non_null(strstr(err.message, "more than the 1000 values allowed"));
			else
				assert_int_equal(d.root.n, n - 1);
			jv_doc_free(&d);
			strbuf_free(&b);
		}
	}
}

static void test_text(void **state)
{
	(void)state;
	char out[64], small[12];
	const struct jv *v =
		parse("{\"a\":[1,2.50,\"x\\\"\"],\"b\":{\"c\":null,\"d\":true,\"e\":false}}", JV_STRICT);
	assert_string_equal(jv_text(v, out, sizeof out),
			    "{\"a\":[1,2.50,\"x\\\"\"],\"b\":{\"c\":null,\"d\":true,\"e\":false}}");
	assert_string_equal(jv_text(v, small, sizeof small), "{\"a\":[1,...");
	assert_string_equal(jv_text(NULL, small, sizeof small), "absent");
	v = parse("\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"", JV_STRICT); /* no character is cut */
	assert_string_equal(jv_text(v, small, sizeof small), "\"\xC3\xA9\xC3\xA9\xC3\xA9...");
	v = parse("12345678", JV_STRICT);
	assert_string_equal(jv_text(v, small, sizeof small), "12345678"); /* what fits is not cut */
	v = parse("123456789", JV_STRICT);
	assert_string_equal(jv_text(v, small, sizeof small), "12345678...");
}

/* What is written reads as what was read; numbers are the digits that they were. */
static void test_write(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{" null ", "null"},
		{"[ true , false ]", "[true,false]"},
		{"-1.50e+2", "-1.50e+2"},
		{"[]", "[]"},
		{"{ }", "{}"},
		{"{\"\\u0000\" : {\"b\":[{},[]]}, \"a\\\"\":\"\\u00e9\\/\"}",
		 "{\"\\u0000\":{\"b\":[{},[]]},\"a\\\"\":\"\xC3\xA9/\"}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf b = {0};
		jv_write(parse(rows[i][0], JV_STRICT), &b);
		assert_string_equal(b.ptr, rows[i][1]);
		strbuf_free(&b);
	}
	struct strbuf deep = {0}, b = {0};
	for (int i = 0; i < JV_MAX_DEPTH; i++)
		strbuf_add_c(&deep, "[");
	for (int i = 0; i < JV_MAX_DEPTH; i++)
		strbuf_add_c(&deep, "]");
	jv_write(parse(deep.ptr, JV_STRICT), &b);
	assert_string_equal(b.ptr, deep.ptr);
	strbuf_free(&deep);
	strbuf_free(&b);
}

static void test_file(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku-json-XXXXXX";
	struct jv_doc d;
	struct hokku_error err;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	static const struct {
		const char *text, *message; /* NULL: it is taken */
	} rows[] = {
		{"\xEF\xBB\xBF{\"a\":NaN}", NULL},
		{"[1]", "it holds [1]; it must hold a JSON object"},
		{"{", "line 1 column 1: a key in quotes or '}' is wanted, but the text ends here"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char wanted[160];
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), strlen(rows[i].text));
		err.message[0] = '\0';
		assert_int_equal(jv_read_file(path, 100, &d, &err), rows[i].message ? HOKKU_BAD_FILE : 0);
		snprintf(wanted, sizeof wanted, rows[i].message ? "%s: %s" : "", path, rows[i].message);
		assert_string_equal(err.message, wanted);
		jv_doc_free(&d);
	}
	assert_int_equal(jv_read_file(path, 0, &d, &err), HOKKU_BAD_FILE);
	close(fd);
	unlink(path);
	assert_int_equal(jv_read_file(path, 100, &d, &err), HOKKU_NOT_FOUND);
}

/* ---- against jansson ---- */

static uint32_t draw(uint64_t *at, uint32_t n)
{
	uint32_t words[4];
	rng_words(13, RNG_STREAM_TEST, (*at)++, words);
	return words[0] % n;
}

static void random_value(struct strbuf *b, uint64_t *at, unsigned depth)
{
	static const char *const leaves[] = {
		"null",
		"true",
		"false",
		"0",
		"-0",
		"12",
		"-7",
		"1.5",
		"1e3",
		"-2.5E-3",
		"9223372036854775807",
		"\"\"",
		"\"a\"",
		"\"\\u00e9\\n\\\\\"",
		"\"\\ud83d\\ude00\"",
		"\"\xC3\xA9\"",
		"1e-400",
		"9223372036854775808",
		"1e999",
		"\"\\u0000\"",
		"\"\\/\"",
	};
	static const char *const spaces[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
	uint32_t kind = draw(at, depth > 4 ? 2 : 4), n = draw(at, 12);
	strbuf_add_c(b, spaces[draw(at, 7)]);
	if (kind < 2) {
		strbuf_add_c(b, leaves[draw(at, sizeof leaves / sizeof *leaves)]);
	} else {
		strbuf_add_c(b, kind == 2 ? "[" : "{");
		for (uint32_t i = 0; i < n; i++) {
			strbuf_add_c(b, i ? "," : "");
			if (kind == 3)
				strbuf_addf(b, "\"%s%u\"%s:", draw(at, 2) ? "k" : "\\u006b", draw(at, 40),
					    spaces[draw(at, 7)]);
			random_value(b, at, depth + 1);
		}
		strbuf_add_c(b, kind == 2 ? "]" : "}");
	}
	strbuf_add_c(b, spaces[draw(at, 7)]);
}

static void test_like_jansson(void **state)
{
	(void)state;
	static const char damage[] = "\"\\{}[],:0e-.u\x01\xC3\xFF n";
	uint64_t at = 0;
	for (int round = 0; round < 4000; round++) {
		struct strbuf b = {0};
		random_value(&b, &at, 0);
		for (int change = 0; change < 4; change++) {
			const char *wrong = json_compare((struct str){b.ptr, b.len});
			if (wrong)
				fail_msg("%s: %.*s", wrong, (int)b.len, b.ptr);
			b.ptr[draw(&at, (uint32_t)b.len)] = damage[draw(&at, sizeof damage - 1)];
		}
		strbuf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_locale),
		cmocka_unit_test(test_byte_order_mark),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_number_of_values),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_like_jansson),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	jv_doc_free(&doc);
	return rc;
}
