/* Schemas of scalars and arrays; white space. */
#include "constrain/schema_try.h"

static void test_types(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"true",
		 {"null", "[1,{\"a\":[]}]", "\"x\"", "-1.5e+7"},
		 {"", "nul", "[1,]", "{a:1}", "01", "NaN"}},
		{"{}", {"{}", "[]", "true"}, {"[", " 1"}},
		{"{\"type\":\"null\"}", {"null"}, {"0", "\"null\""}},
		{"{\"type\":[\"boolean\",\"null\"]}", {"true", "false", "null"}, {"\"true\"", "1"}},
		{"{\"type\":\"object\"}",
		 {"{}", "{\"a\":{\"b\":[1,2]},\"c\":null}"},
		 {"[]", "{\"a\"}", "{,}"}},
		{"{\"type\":\"array\"}", {"[]", "[[],{},\"\"]"}, {"{}", "[1 ]"}},
		{"{\"type\":\"string\"}",
		 {"\"\"", "\"\\u00e9\\n\\\"\"", "\"\xf0\x9f\x98\x80\""},
		 {"\"", "\"\n\"", "\"\xff\""}},
		{"{\"title\":\"t\",\"x-any\":1,\"minimun\":5}", {"1", "null"}, {""}}, /* annotations */
	};
	TRY_ROWS(rows);
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"integer\"}",
		 {"0", "-12", "123456789012345678901234567890"},
		 {"1.5", "1e3", "01", "-"}},
		{"{\"type\":\"number\"}", {"0", "-1.25", "1e3", "1.5E-2"}, {".5", "+1"}},
		{"{\"type\":[\"integer\",\"number\"]}", {"1.5"}, {"\"1\""}},
		{"{\"type\":\"integer\",\"minimum\":-3,\"maximum\":120}",
		 {"-3", "0", "99", "120"},
		 {"-4", "121", "1000"}},
		{"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1.5}",
		 {"0.001", "1.5", "1.50", "1", "1e-06", "1.5e0"},
		 {"0", "0.0", "1.51", "-0.1", "2", "1.51e0", "1e1"}},
		{"{\"type\":\"number\",\"format\":\"int32\"}",
		 {"0", "-2147483648", "2147483647"},
		 {"-2147483649", "2147483648", "1.5", "1e3"}},
		{"{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":0}",
		 {"0", "9223372036854775807"},
		 {"-1", "9223372036854775808"}},
		{"{\"format\":\"int32\"}", {"\"x\"", "7"}, {"7.5"}},
		{"{\"type\":\"number\",\"not\":{\"format\":\"int32\"}}",
		 {"2147483648", "0.5"},
		 {"1", "-2147483648"}},
		{"{\"type\":\"number\",\"format\":\"float\"}", {"1.5", "2147483648"}, {"\"\""}},
		/* draft 4 */
		{"{\"type\":\"integer\",\"minimum\":3,\"exclusiveMinimum\":true}", {"4"}, {"3"}},
		{"{\"type\":\"integer\",\"minimum\":3,\"exclusiveMinimum\":false}", {"3"}, {"2"}},
		{"{\"type\":\"integer\",\"minimum\":3,\"exclusiveMinimum\":7}", {"8"}, {"7", "4"}},
		{"{\"type\":\"integer\",\"multipleOf\":7}", {"0", "-14", "700"}, {"8", "1"}},
		{"{\"multipleOf\":0.25,\"type\":\"number\"}",
		 {"0.25", "-1.5", "2", "2.750"},
		 {"0.3", "1.125"}},
		{"{\"type\":\"number\",\"allOf\":[{\"multipleOf\":4},{\"multipleOf\":6}]}",
		 {"12", "24"},
		 {"4", "6", "18"}},
		{"{\"const\":1}", {"1", "1.0", "1.000000"}, {"1.5", "true", "\"1\"", "1.0000000"}},
		{"{\"enum\":[0.5,-0,1.2345678]}",
		 {"0.5", "0.500000", "0.0", "-0.000000", "1.2345678"},
		 {"0.5000000", "0.0000000", "1.23456780"}},
		{"{\"type\":\"number\",\"not\":{\"enum\":[1,0.5]}}",
		 {"2", "0.51"},
		 {"1.00000000000", "0.500000000000", "1"}},
		{"{\"type\":\"number\",\"minimum\":0,\"not\":{\"enum\":[1,0.5]}}",
		 {"2", "0.51"},
		 {"1.00000000000", "0.500000000000", "1e0", "5e-1"}},
		{"{\"type\":\"number\",\"minimum\":0,\"not\":{\"multipleOf\":2}}",
		 {"1", "0.5"},
		 {"2.00000000000", "2e0", "4"}},
		{"{\"enum\":[0,2.50,1e2,-7]}",
		 {"0", "-0", "2.5", "2.500", "100", "-7"},
		 {"2.51", "1", "7", "10"}},
		{"{\"enum\":[1,2.5,3],\"type\":\"integer\"}", {"1", "3"}, {"2.5", "1.0", "2"}},
		{"{\"enum\":[1,5,9],\"minimum\":2,\"exclusiveMaximum\":9}", {"5"}, {"1", "9"}},
		{"{\"type\":\"number\",\"not\":{\"type\":\"integer\"}}", {"1.5", "-0.25"}, {"1", "1.0", "0"}},
		{"{\"type\":\"integer\",\"not\":{\"multipleOf\":3}}", {"1", "10", "-4"}, {"0", "9", "-3"}},
		{"{\"type\":\"integer\",\"not\":{\"minimum\":3,\"maximum\":5}}", {"2", "6"}, {"3", "4", "5"}},
		{"{\"type\":\"integer\",\"not\":{\"enum\":[3,5]}}", {"2", "4"}, {"3", "5"}},
	};
	TRY_ROWS(rows);
}

static void test_strings(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
		 {"\"ab\"", "\"abc\"", "\"\\u0041\xc3\xa9\"", "\"\\ud83d\\ude00x\""},
		 {"\"a\"", "\"abcd\"", "\"\\ud83d\\ude00\""}},
		{"{\"type\":\"string\",\"pattern\":\"^a+$\"}",
		 {"\"a\"", "\"aaa\"", "\"\\u0061\""},
		 {"\"\"", "\"ab\""}},
		{"{\"type\":\"string\",\"pattern\":\"b\",\"maxLength\":2}",
		 {"\"b\"", "\"ab\""},
		 {"\"aa\"", "\"aab\""}},
		{"{\"pattern\":\"^a\"}", {"\"a\"", "1", "null", "[\"b\"]"}, {"\"b\""}},
		{"{\"const\":\"a\\\"\\u0000\\u00e9/\"}", {"\"a\\\"\\u0000\xc3\xa9/\""}, {"\"a\""}},
		{"{\"enum\":[\"a\",\"ab\",\"abc\",\"b\"]}",
		 {"\"a\"", "\"ab\"", "\"abc\"", "\"b\""},
		 {"\"\"", "\"bc\"", "\"abcd\""}},
		{"{\"enum\":[\"a\",\"bb\",null,true,[],{\"k\":[1]}]}",
		 {"\"a\"", "null", "true", "[]", "{\"k\":[1]}"},
		 {"false", "[1]", "{}", "{\"k\":[]}", "{\"k\":[1],\"l\":1}"}},
		{"{\"enum\":[\"a\",\"bb\",7],\"type\":\"string\",\"minLength\":2}",
		 {"\"bb\""},
		 {"\"a\"", "7"}},
		{"{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"ab\"]}}",
		 {"\"b\"", "\"\"", "\"abc\""},
		 {"\"a\"", "\"ab\"", "\"\\u0061\""}},
		{"{\"type\":\"string\",\"allOf\":[{\"pattern\":\"^a\"},{\"not\":{\"pattern\":\"b$\"}}]}",
		 {"\"a\"", "\"aba\""},
		 {"\"ab\"", "\"c\""}},
		{"{\"format\":\"int32\",\"type\":\"integer\"}", {"5"}, {"\"5\""}},
	};
	TRY_ROWS(rows);
}

static void test_arrays(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
		 {"[]", "[1]", "[1,2,3]"},
		 {"[\"a\"]", "[1,]", "[,1]"}},
		{"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":2,\"maxItems\":3}",
		 {"[null,null]", "[null,null,null]"},
		 {"[]", "[null]", "[null,null,null,null]"}},
		{"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
		{"{\"type\":\"array\",\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":{\"const\":3}}",
		 {"[]", "[1]", "[1,2]", "[1,2,3,3]"},
		 {"[2]", "[1,3]", "[1,2,2]"}},
		{"{\"type\":\"array\",\"prefixItems\":[{\"const\":1}],\"items\":false}",
		 {"[]", "[1]"},
		 {"[1,1]", "[2]"}},
		/* before 2020-12 */
		{"{\"type\":\"array\",\"items\":[{\"const\":1}],\"additionalItems\":{\"const\":2}}",
		 {"[1]", "[1,2,2]"},
		 {"[1,1]"}},
		{"{\"type\":\"array\",\"items\":{\"const\":1},\"additionalItems\":false}",
		 {"[1,1]"},
		 {"[2]"}},
		{"{\"type\":\"array\",\"contains\":{\"const\":1}}",
		 {"[1]", "[2,1]", "[1,1,3]"},
		 {"[]", "[2]"}},
		{"{\"type\":\"array\",\"contains\":{\"type\":\"string\"},\"minContains\":2,\"maxContains\":3}",
		 {"[\"\",\"\"]", "[\"a\",1,\"b\",2,\"c\"]"},
		 {"[]", "[\"a\"]", "[\"a\",\"b\",\"c\",\"d\"]"}},
		{"{\"type\":\"array\",\"contains\":{\"const\":1},\"minContains\":0,\"maxContains\":1}",
		 {"[]", "[1]", "[2,1]"},
		 {"[1,1]"}},
		{"{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"b\",1]}}",
		 {"[]", "[\"b\",\"a\"]", "[1,\"a\",\"b\"]"},
		 {"[\"a\",\"a\"]", "[1,\"b\",1.0]", "[\"c\"]"}},
		{"{\"type\":\"array\",\"uniqueItems\":true,\"maxItems\":1}", {"[]", "[[1,1]]"}, {"[1,2]"}},
		{"{\"type\":\"array\",\"uniqueItems\":false}", {"[1,1]"}, {"{}"}},
		{"{\"const\":[1,[2,\"x\"]]}",
		 {"[1,[2,\"x\"]]", "[1.0,[2,\"x\"]]"},
		 {"[1]", "[1,[2]]", "[1,[2,\"x\"],3]"}},
		{"{\"type\":\"array\",\"not\":{\"items\":{\"type\":\"integer\"}}}",
		 {"[\"a\"]", "[1,null]"},
		 {"[]", "[1]"}},
		{"{\"type\":\"array\",\"not\":{\"minItems\":2}}", {"[]", "[1]"}, {"[1,2]"}},
		{"{\"type\":\"array\",\"not\":{\"contains\":{\"const\":1}}}",
		 {"[]", "[2]"},
		 {"[1]", "[2,1]"}},
	};
	TRY_ROWS(rows);
}

/* Many items are rules of powers of two: each count around the bounds. */
static void test_long_arrays(void **state)
{
	(void)state;
	static const struct {
		unsigned min, max;
	} bounds[] = {{0, 65}, {0, 100}, {1, 66}, {70, 70}, {65, 130}, {127, 128}, {0, 127}, {0, 128}};
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		char schema[128], text[600];
		snprintf(schema, sizeof schema,
			 "{\"type\":\"array\",\"items\":{\"const\":1},\"minItems\":%u,\"maxItems\":%u}",
			 bounds[i].min, bounds[i].max);
		struct constrain *c = try_schema(str_c(schema), CONSTRAIN_COMPACT, NULL, NULL);
		assert_non_null(c);
		for (unsigned n = 0; n <= bounds[i].max + 2; n++) {
			size_t len = 0;
			text[len++] = '[';
			for (unsigned k = 0; k < n; k++) {
				if (k)
					text[len++] = ',';
				text[len++] = '1';
			}
			text[len++] = ']';
			bool fits = n >= bounds[i].min && n <= bounds[i].max;
			if (try_instance(c, (struct str){text, len}) != fits)
				fail_msg("%s and %u items", schema, n);
		}
		constrain_unref(c);
	}
}

static void test_spaces(void **state)
{
	(void)state;
	static const struct try_row free_row = {
		"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"b\":{}}}",
		{"{}", "{ }", "{\"a\":[1,2]}", "{\n\t\"a\" : [ 1 ,\r\n2 ] , \"b\" : { \"c\" : [ ] }\n}",
		 "{ \"x\" : 1 }"},
		{" {}", "{} ", "{\"a\":[1\v]}", "{\"a\" 1}"}};
	try_row(&free_row, CONSTRAIN_FREE);
	static const struct try_row compact_row = {
		"{\"type\":\"object\"}", {"{}", "{\"a\":1}"}, {"{ }", "{\"a\": 1}", "{\"a\":1, \"b\":2}"}};
	try_row(&compact_row, CONSTRAIN_COMPACT);
}

/* What an enum has many times is there once, whatever it is. */
static void test_many_times(void **state)
{
	(void)state;
	static const struct {
		const char *value, *other;
	} rows[] = {{"0", "1"},        {"-0", "1"},       {"0.0", "0.5"}, {"7", "70"},        {"2.5", "2"},
		    {"\"a\"", "\"\""}, {"\"\"", "\"a\""}, {"[0]", "[]"},  {"{\"a\":0}", "{}"}};
	static const uint32_t times[] = {2, 3, 8, 256, 257, 258, 2000};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
			struct strbuf b = {0};
			strbuf_add_c(&b, "{\"enum\":[");
			for (uint32_t n = 0; n < times[k]; n++) {
				strbuf_add_c(&b, n ? "," : "");
				strbuf_add_c(&b, rows[i].value);
			}
			strbuf_add(&b, "]}", 3);
			const struct try_row row = {b.ptr, {rows[i].value}, {rows[i].other}};
			try_row(&row, CONSTRAIN_COMPACT);
			strbuf_free(&b);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),       cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_strings),     cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_long_arrays), cmocka_unit_test(test_spaces),
		cmocka_unit_test(test_many_times),
	};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
