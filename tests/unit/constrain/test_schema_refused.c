/* Schemas that cannot be read, cannot be enforced or are too much: by place, with what would do. */
#include "constrain/schema_try.h"

static void test_misread(void **state)
{
	(void)state;
	static const struct try_refused rows[] = {
		{"5", "", "no schema"},
		{"{\"properties\":{\"a\":[]}}", "/properties/a", "no schema"},
		{"{\"properties\":[]}", "/properties", "not an object of names"},
		{"{\"type\":\"strnig\"}", "/type", "\"strnig\" is no type"},
		{"{\"type\":[]}", "/type", "empty list"},
		{"{\"items\":{\"type\":7}}", "/items/type", "7 is no type"},
		{"{\"required\":true}", "/required", "no list of names"},
		{"{\"required\":[1]}", "/required", "1 is not the name"},
		{"{\"enum\":\"a\"}", "/enum", "not a list of values"},
		{"{\"enum\":[]}", "/enum", "at least one"},
		{"{\"anyOf\":{}}", "/anyOf", "not a list of schemas"},
		{"{\"allOf\":[]}", "/allOf", "at least one"},
		{"{\"allOf\":[{\"oneOf\":[1]}]}", "/allOf/0/oneOf/0", "no schema"},
		{"{\"minLength\":-1}", "/minLength", "-1 is no count"},
		{"{\"maxItems\":1.5}", "/maxItems", "1.5 is no count"},
		{"{\"minProperties\":\"1\"}", "/minProperties", "is no count"},
		{"{\"minimum\":\"1\"}", "/minimum", "is no number"},
		{"{\"multipleOf\":0}", "/multipleOf", "0 is not above 0"},
		{"{\"multipleOf\":-2}", "/multipleOf", "-2 is not above 0"},
		{"{\"pattern\":5}", "/pattern", "no text"},
		{"{\"pattern\":\"(\"}", "/pattern", "column"},
		{"{\"patternProperties\":{\"[\":{}}}", "/patternProperties", "\"[\""},
		{"{\"uniqueItems\":1}", "/uniqueItems", "neither true nor false"},
		{"{\"$defs\":{\"a/b\":{\"type\":1}},\"$ref\":\"#/$defs/a~1b\"}", "/$defs/a~1b/type",
		 "1 is no type"},
		{"{\"maximum\":1e999}", "/maximum", "digits"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		try_refused(&rows[i]);
}

static void test_not_to_be_had(void **state)
{
	(void)state;
	static const struct try_refused rows[] = {
		{"{\"$ref\":\"http://x.org/s.json\"}", "/$ref", "nothing is fetched"},
		{"{\"items\":{\"$ref\":\"#/$defs/no\"}}", "/items/$ref", "points at nothing"},
		{"{\"$ref\":5}", "/$ref", "no reference"},
		{"{\"$ref\":\"#\"}", "", "refers to itself"},
		{"{\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/b\"}]},\"b\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}]}},\"$ref\":\"#/$defs/a\"}",
		 "/$defs/a", "refers to itself"},
		{"{\"not\":{\"$ref\":\"#\"}}", "", "refers to itself"},
		{"{\"type\":\"array\",\"uniqueItems\":true}", "/uniqueItems", "more than a grammar can say"},
		{"{\"properties\":{\"a\":{\"not\":{\"uniqueItems\":true}}}}", "/properties/a/not/uniqueItems",
		 "cannot be negated"},
		{"{\"pattern\":\"(a)\\\\1\"}", "/pattern", "column"},
		{"{\"format\":\"no-such-format\",\"type\":\"string\"}", "/format",
		 "cannot be enforced; these can: "},
		{"{\"type\":\"array\",\"contains\":{},\"unevaluatedItems\":false}", "/unevaluatedItems",
		 "contains"},
		{"{\"properties\":{\"a\":{\"minProperties\":2,\"propertyNames\":{\"maxLength\":9}}}}",
		 "/properties/a/minProperties", "names that can go on for ever"},
		{"{\"minProperties\":2,\"additionalProperties\":{\"propertyNames\":{\"enum\":[\"a\"]}}}",
		 "/minProperties", "names that can go on for ever"},
		{"{\"not\":{\"maxProperties\":1},\"patternProperties\":{\"^a?$\":{}},\"additionalProperties\":false}",
		 "", "names that can go on for ever"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		try_refused(&rows[i]);
}

static void test_nothing_fits(void **state)
{
	(void)state;
	static const struct try_refused rows[] = {
		{"false", "", "false is satisfied by nothing"},
		{"{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "",
		 "the schema: minimum is 5 and maximum is 4"},
		{"{\"type\":\"number\",\"exclusiveMinimum\":5,\"maximum\":5}", "",
		 "exclusiveMinimum is 5 and maximum is 5"},
		{"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "",
		 "minLength is 3 and maxLength is 2"},
		{"{\"type\":\"object\",\"required\":[\"b\",\"a\"],\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":1},"
		 "\"b\":{}}}",
		 "/properties/a",
		 "/properties/a: minimum is 2 and maximum is 1: nothing lies between; no text at all"},
		{"{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}",
		 "/properties/a", "a part of"},
		{"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/x\"}}}}",
		 "/$defs/x/items", "a part of"},
		{"{\"allOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", "", ""},
		{"{\"allOf\":[{},{\"type\":\"array\",\"minItems\":2,\"prefixItems\":[{},false]}]}",
		 "/allOf/1/prefixItems/1", "false"},
		{"{\"anyOf\":[{\"type\":\"string\",\"enum\":[1]},{\"type\":\"null\",\"const\":5}]}",
		 "/anyOf/1", "(5 ...)"},
		{"{\"oneOf\":[true,true]}", "", ""},
		{"{\"type\":\"array\",\"minItems\":2,\"maxItems\":1}", "", "minItems is 2"},
		{"{\"type\":\"object\",\"maxProperties\":1,\"required\":[\"a\",\"b\"]}", "",
		 "required names 2"},
		{"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"]}", "",
		 "\"a\" is required"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		try_refused(&rows[i]);
}

/* N times before, a middle, N times after. */
static struct strbuf nested(const char *before, const char *middle, const char *after, int n)
{
	struct strbuf b = {0};
	for (int i = 0; i < n; i++)
		strbuf_add_c(&b, before);
	strbuf_add_c(&b, middle);
	for (int i = 0; i < n; i++)
		strbuf_add_c(&b, after);
	assert_false(b.failed);
	return b;
}

static void expect(struct strbuf schema, bool compiles, const char *words)
{
	struct hokku_error err = {0};
	struct constrain *c = try_schema((struct str){schema.ptr, schema.len}, CONSTRAIN_COMPACT, NULL, &err);
	if (compiles != (c != NULL) || (!c && !strstr(err.message, words)))
		fail_msg("%.60s... (%zu bytes): %s", schema.ptr, schema.len, c ? "compiles" : err.message);
	constrain_unref(c);
	strbuf_free(&schema);
}

static void test_deep(void **state)
{
	(void)state;
	expect(nested("{\"items\":", "{\"type\":\"null\"}", "}", 990), true, "");
	expect(nested("{\"properties\":{\"a\":", "{\"type\":\"null\"}", "}}", 490), true, "");
	expect(nested("{\"not\":", "{\"type\":\"null\"}", "}", 199), true, "");
	expect(nested("{\"not\":", "{\"type\":\"null\"}", "}", 200), false, "more than 200");
	expect(nested("{\"allOf\":[", "{\"type\":\"null\"}", "]}", 490), false, "more than 200");
}

static void test_wide(void **state)
{
	(void)state;
	struct strbuf words = {0}, kinds = {0}, product = {0};
	strbuf_add_c(&words, "{\"enum\":[0");
	for (int i = 0; i < 10000; i++)
		strbuf_addf(&words, ",\"a word of some length %d\",%d", i, i + 1);
	strbuf_add_c(&words, "]}");
	expect(words, true, "");
	strbuf_add_c(&kinds, "{\"oneOf\":[false");
	for (int i = 0; i < 300; i++)
		strbuf_addf(
			&kinds,
			",{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"w%d\"}},\"required\":[\"k\"]}",
			i);
	strbuf_add_c(&kinds, "]}");
	expect(kinds, true, "");
	/* each alternative with each of the others: 9^8 */
	strbuf_add_c(&product, "{\"allOf\":[true");
	for (int i = 0; i < 8; i++) {
		strbuf_add_c(&product, ",{\"anyOf\":[false");
		for (int k = 0; k < 9; k++)
			strbuf_addf(&product, ",{\"required\":[\"k%d_%d\"]}", i, k);
		strbuf_add_c(&product, "]}");
	}
	strbuf_add_c(&product, "]}");
	expect(product, false, "alternatives");
	static const struct try_refused rows[] = {
		{"{\"items\":{\"type\":\"object\",\"minProperties\":65536}}", "/items", "65536 states"},
		{"{\"items\":{\"contains\":{\"const\":1},\"minContains\":65536}}", "/items", "65536 states"},
		{"{\"items\":{\"type\":\"number\",\"multipleOf\":0.123456789}}", "/items", "limit"},
		{"{\"items\":{\"uniqueItems\":true,\"items\":{\"enum\":[1,2,3,4,5,6,7,8,9,10,11]}}}",
		 "/items/uniqueItems", "at most 10 values"},
		{"{\"$schema\":\"http://x.org/own\"}", "/$schema", "no dialect"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		try_refused(&rows[i]);
	static const struct try_row most[] = {
		{"{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"enum\":[1,2,3,4,5,6,7,8,9,10]}}",
		 {"[10,9,1]"},
		 {"[9,9]"}},
	};
	TRY_ROWS(most);
}

static void test_large_bounds(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"string\",\"maxLength\":100000}", {"\"abc\""}, {"\""}},
		{"{\"type\":\"array\",\"minItems\":100000}", {NULL}, {"[]", "[1,2]"}},
		{"{\"type\":\"array\",\"maxItems\":100000,\"items\":{\"type\":\"null\"}}",
		 {"[]", "[null,null]"},
		 {"[1]"}},
		{"{\"type\":\"integer\",\"maximum\":123456789012345678901234567890}",
		 {"123456789012345678901234567890"},
		 {"123456789012345678901234567891"}},
		{"{\"type\":\"object\",\"minProperties\":2,\"maxProperties\":1000}",
		 {"{\"a\":1,\"b\":1}"},
		 {"{\"a\":1}"}},
	};
	TRY_ROWS(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_misread),      cmocka_unit_test(test_not_to_be_had),
		cmocka_unit_test(test_nothing_fits), cmocka_unit_test(test_deep),
		cmocka_unit_test(test_wide),         cmocka_unit_test(test_large_bounds),
	};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
