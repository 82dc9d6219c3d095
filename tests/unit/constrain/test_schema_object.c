/* Schemas of objects: order, what must and may be there, what is counted. */
#include "constrain/schema_try.h"

static void test_properties(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"integer\"},\"a\":{\"type\":\"null\"}},\"required\":[\"a\"],"
		 "\"additionalProperties\":false}",
		 {"{\"b\":1,\"a\":null}", "{\"a\":null}"},
		 {"{}", "{\"b\":1}", "{\"a\":null,\"b\":1}", "{\"a\":1}", "{\"a\":null,\"c\":1}",
		  "{\"b\":1,\"b\":1,\"a\":null}"}},
		/* additional ones come after those that are declared, and are none of them */
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}",
		 {"{}", "{\"a\":1,\"x\":[],\"y\":1}", "{\"x\":null}", "{\"ab\":1}", "{\"\":1}"},
		 {"{\"x\":1,\"a\":1}", "{\"a\":\"1\"}", "{\"\\u0061\":\"1\"}", "{\"a\":1,\"a\":2}",
		  "{\"a\":1,\"\\u0061\":2}"}},
		{"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}",
		 {"{}", "{\"a\":true,\"b\":false}"},
		 {"{\"a\":1}"}},
		/* names as odd as names can be */
		{"{\"properties\":{\"a\\\"b\":{\"type\":\"null\"},\"\":{\"type\":\"null\"},\"\\u0000\":{\"type\":\"null\"},\"\\u20ac\":{\"type\":\"null\"}},"
		 "\"additionalProperties\":false,\"type\":\"object\"}",
		 {"{\"a\\\"b\":null,\"\":null,\"\\u0000\":null,\"\xe2\x82\xac\":null}", "{\"\":null}"},
		 {"{\"a\":null}", "{\"a\\\"b\":1}"}},
		/* an optional property that nothing fits is never there */
		{"{\"type\":\"object\",\"properties\":{\"a\":false,\"b\":{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}}}",
		 {"{}", "{\"c\":1}"},
		 {"{\"a\":1}", "{\"b\":1}", "{\"b\":5}"}},
		/* names that only `required` has: anywhere among the additional ones */
		{"{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"x\",\"y\"]}",
		 {"{\"a\":1,\"x\":1,\"y\":2}", "{\"y\":1,\"z\":0,\"x\":1,\"w\":2}"},
		 {"{\"x\":1}", "{\"x\":1,\"x\":2}", "{\"x\":1,\"y\":1,\"a\":1}"}},
		{"{\"type\":\"object\",\"required\":[\"e\",\"d\",\"c\",\"b\",\"a\"]}",
		 {"{\"e\":1,\"d\":1,\"c\":1,\"b\":1,\"a\":1,\"z\":1}"},
		 {"{\"e\":1}"}},
		{"{\"properties\":{\"a\":{\"type\":\"null\"}}}", {"1", "[]", "{\"a\":null}"}, {"{\"a\":1}"}},
	};
	TRY_ROWS(rows);
}

static void test_names(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
		 {"{}", "{\"x-a\":1,\"x-b\":2}"},
		 {"{\"y\":1}", "{\"x-a\":null}", "{\"\\u0078-a\":null}"}},
		{"{\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"integer\"}},\"additionalProperties\":{\"type\":\"null\"}}",
		 {"{\"x\":1,\"y\":null}"},
		 {"{\"x\":null}", "{\"y\":1}"}},
		/* one name, two patterns: both hold */
		{"{\"type\":\"object\",\"patternProperties\":{\"a\":{\"minimum\":3},\"b\":{\"maximum\":5}}}",
		 {"{\"a\":9,\"b\":1,\"ab\":4,\"c\":\"\"}"},
		 {"{\"ab\":2}", "{\"ab\":6}", "{\"a\":2}", "{\"b\":6}"}},
		/* declared, and a pattern as well */
		{"{\"type\":\"object\",\"properties\":{\"ax\":{\"maximum\":5}},\"patternProperties\":{\"^a\":{\"minimum\":3}}}",
		 {"{\"ax\":4}"},
		 {"{\"ax\":2}", "{\"ax\":6}", "{\"ay\":2}"}},
		{"{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-c]$\"},\"properties\":{\"d\":{}}}",
		 {"{}", "{\"a\":1,\"c\":2}"},
		 {"{\"d\":1}", "{\"aa\":1}"}},
		{"{\"type\":\"object\",\"propertyNames\":{\"enum\":[\"a\",\"b\"]}}",
		 {"{\"b\":1,\"a\":2}"},
		 {"{\"c\":1}"}},
		{"{\"type\":\"object\",\"propertyNames\":false}", {"{}"}, {"{\"a\":1}"}},
	};
	TRY_ROWS(rows);
}

static void test_counts(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"minProperties\":1}", {"{\"a\":1}", "{\"a\":1,\"b\":2}"}, {"{}"}},
		{"{\"type\":\"object\",\"maxProperties\":0}", {"{}"}, {"{\"a\":1}"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"minProperties\":2,\"maxProperties\":3}",
		 {"{\"a\":1,\"c\":1}", "{\"a\":1,\"b\":1,\"c\":1}", "{\"a\":1,\"x\":1}",
		  "{\"x\":1,\"y\":1,\"z\":1}"},
		 {"{}", "{\"b\":1}", "{\"a\":1,\"b\":1,\"c\":1,\"d\":1}"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"a\"],\"additionalProperties\":false,\"minProperties\":2}",
		 {"{\"a\":1,\"b\":1}"},
		 {"{\"a\":1}", "{\"b\":1}"}},
		{"{\"type\":\"object\",\"not\":{\"minProperties\":2}}",
		 {"{}", "{\"a\":1}"},
		 {"{\"a\":1,\"b\":1}"}},
		{"{\"type\":\"object\",\"not\":{\"maxProperties\":1}}",
		 {"{\"a\":1,\"b\":1}"},
		 {"{}", "{\"a\":1}"}},
	};
	TRY_ROWS(rows);
}

static void test_dependencies(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"dependentRequired\":{\"a\":[\"b\"]}}",
		 {"{}", "{\"b\":1}", "{\"a\":1,\"b\":1}"},
		 {"{\"a\":1}", "{\"a\":1,\"c\":1}"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"dependencies\":{\"a\":[\"b\"]}}",
		 {"{\"a\":1,\"b\":1}"},
		 {"{\"a\":1}"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{}},\"dependencies\":{\"a\":{\"properties\":{\"b\":{\"const\":1}}}}}",
		 {"{\"a\":1,\"b\":1}", "{\"a\":1}", "{\"b\":2}"},
		 {"{\"a\":1,\"b\":2}"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{}},\"dependentSchemas\":{\"a\":{\"required\":[\"c\"]}}}",
		 {"{\"a\":1,\"c\":1}", "{}"},
		 {"{\"a\":1}"}},
	};
	TRY_ROWS(rows);
}

/* What of an object is not so: it is there, in some property, declared or not. */
static void test_negated(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"not\":{\"required\":[\"a\",\"b\"]}}",
		 {"{}", "{\"a\":1}", "{\"b\":1}"},
		 {"{\"a\":1,\"b\":1}", "{\"b\":1,\"a\":1}"}},
		{"{\"type\":\"object\",\"not\":{\"properties\":{\"a\":{\"type\":\"integer\"}}}}",
		 {"{\"a\":\"\"}", "{\"b\":1,\"a\":null}"},
		 {"{}", "{\"a\":1}", "{\"b\":\"\"}"}},
		{"{\"type\":\"object\",\"not\":{\"additionalProperties\":{\"type\":\"integer\"}}}",
		 {"{\"a\":\"\"}", "{\"b\":1,\"a\":null,\"c\":1}"},
		 {"{}", "{\"a\":1}"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{}},\"not\":{\"patternProperties\":{\"^[ab]$\":{\"type\":\"integer\"}}}}",
		 {"{\"a\":\"\"}", "{\"a\":1,\"b\":\"\"}", "{\"b\":null}"},
		 {"{\"a\":1}", "{\"c\":\"\"}", "{}"}},
		{"{\"type\":\"object\",\"not\":{\"const\":{\"a\":1}}}",
		 {"{}", "{\"a\":2}", "{\"a\":1,\"b\":1}"},
		 {"{\"a\":1}"}},
	};
	TRY_ROWS(rows);
}

/* Hundreds of optional properties: linear in them. */
static void test_many(void **state)
{
	(void)state;
	struct strbuf b = {0};
	strbuf_add_c(&b, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
	for (int i = 0; i < 600; i++)
		strbuf_addf(&b, "%s\"p%03d\":{\"const\":%d}", i ? "," : "", i, i);
	strbuf_add_c(&b, "}}");
	struct hokku_error err = {0};
	struct constrain *c = try_schema((struct str){b.ptr, b.len}, CONSTRAIN_COMPACT, NULL, &err);
	if (!c)
		fail_msg("%s", err.message);
	assert_true(try_instance(c, STR_LIT("{\"p007\":7,\"p300\":300,\"p599\":599}")));
	assert_false(try_instance(c, STR_LIT("{\"p300\":300,\"p007\":7}")));
	assert_false(try_instance(c, STR_LIT("{\"p600\":600}")));
	constrain_unref(c);
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties), cmocka_unit_test(test_names),
		cmocka_unit_test(test_counts),     cmocka_unit_test(test_dependencies),
		cmocka_unit_test(test_negated),    cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
