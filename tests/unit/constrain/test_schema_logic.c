/* Schemas brought together: allOf, anyOf, oneOf, not, if, references, what is unevaluated. */
#include "constrain/schema_try.h"

static void test_all_of(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		/* in the order of each `properties` (test_schema_order.c has more) */
		{"{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"integer\"}},"
		 "\"allOf\":[{\"properties\":{\"a\":{},\"b\":{\"minimum\":3}},\"required\":[\"a\"]}]}",
		 {"{\"a\":1,\"b\":3}", "{\"a\":1}"},
		 {"{\"a\":1,\"b\":2}", "{\"b\":3,\"a\":1}", "{\"b\":3}"}},
		{"{\"allOf\":[{\"properties\":{\"a\":{}}}],\"properties\":{\"b\":{}},\"type\":\"object\"}",
		 {"{\"a\":1,\"b\":1}", "{\"b\":1,\"a\":1}"},
		 {"{\"b\":1,\"a\":1,\"b\":1}"}},
		/* additionalProperties knows its own properties alone */
		{"{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{}},\"additionalProperties\":false},{\"properties\":{\"b\":{}}}]}",
		 {"{}", "{\"a\":1}"},
		 {"{\"b\":1}", "{\"a\":1,\"b\":1}"}},
		{"{\"type\":\"integer\",\"allOf\":[{\"minimum\":2},{\"maximum\":4},{\"not\":{\"const\":3}}]}",
		 {"2", "4"},
		 {"1", "3", "5"}},
		{"{\"allOf\":[{\"enum\":[1,\"a\",null]},{\"enum\":[\"a\",null,2]}]}",
		 {"\"a\"", "null"},
		 {"1", "2"}},
		{"{\"type\":\"array\",\"allOf\":[{\"prefixItems\":[{\"minimum\":1}]},{\"items\":{\"type\":\"integer\"}}]}",
		 {"[]", "[1,0]"},
		 {"[0]", "[1,null]"}},
	};
	TRY_ROWS(rows);
}

static void test_one_of(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"},{\"const\":[]}]}",
		 {"1", "\"a\"", "[]"},
		 {"null", "[1]"}},
		{"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}",
		 {"1", "2.5", "null", "\"\""},
		 {"3", "1.5"}},
		{"{\"oneOf\":[{\"multipleOf\":2},{\"multipleOf\":3}],\"type\":\"integer\"}",
		 {"2", "3", "9"},
		 {"0", "6", "5"}},
		{"{\"oneOf\":[{\"enum\":[\"a\",\"b\"]},{\"enum\":[\"b\",\"c\"]}]}",
		 {"\"a\"", "\"c\""},
		 {"\"b\""}},
		{"{\"oneOf\":[{\"type\":\"string\",\"pattern\":\"^a\"},{\"type\":\"string\",\"pattern\":\"b$\"}]}",
		 {"\"a\"", "\"b\""},
		 {"\"ab\"", "\"c\""}},
		{"{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
		 {"{\"a\":1}", "{\"b\":1,\"c\":1}"},
		 {"{}", "{\"a\":1,\"b\":1}"}},
		{"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"x\"},\"v\":{\"type\":\"integer\"}},\"required\":[\"k\",\"v\"]},"
		 "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"y\"},\"v\":{\"type\":\"string\"}},\"required\":[\"k\",\"v\"]}]}",
		 {"{\"k\":\"x\",\"v\":1}", "{\"k\":\"y\",\"v\":\"\"}"},
		 {"{\"k\":\"x\",\"v\":\"\"}", "{\"k\":\"z\",\"v\":1}"}},
		/* what tells the members apart stands beside them */
		{"{\"type\":\"object\",\"required\":[\"k\"],\"properties\":{\"k\":{\"type\":\"string\"}},\"oneOf\":["
		 "{\"properties\":{\"k\":{\"const\":\"x\"}}},{\"properties\":{\"k\":{\"const\":\"y\"}}}]}",
		 {"{\"k\":\"x\"}", "{\"k\":\"y\",\"z\":1}"},
		 {"{\"k\":\"z\"}", "{}"}},
		{"{\"oneOf\":[true,true,{\"type\":\"null\"}]}", {NULL}, {"null", "1"}},
		{"{\"oneOf\":[{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},{\"type\":\"array\",\"minItems\":1}]}",
		 {"[]", "[\"a\"]", "[1,null]"},
		 {"[1]"}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].fits[0])
			try_row(&rows[i], CONSTRAIN_COMPACT);
}

static void test_not_and_if(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"not\":{\"type\":[\"string\",\"object\"]}}", {"1", "null", "[]"}, {"\"\"", "{}"}},
		{"{\"not\":{\"not\":{\"type\":\"null\"}}}", {"null"}, {"1"}},
		{"{\"type\":\"object\",\"properties\":{\"a\":{}},\"if\":{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},"
		 "\"then\":{\"required\":[\"b\"]},\"else\":{\"required\":[\"c\"]}}",
		 {"{\"a\":1,\"b\":0}", "{\"a\":2,\"c\":0}", "{\"c\":1}"},
		 {"{\"a\":1,\"c\":0}", "{\"a\":2,\"b\":0}", "{}"}},
		{"{\"if\":{\"type\":\"integer\"},\"then\":{\"minimum\":5}}", {"5", "1.5", "\"\""}, {"4"}},
		{"{\"if\":{\"type\":\"integer\"},\"else\":{\"type\":\"null\"}}",
		 {"4", "null"},
		 {"\"\"", "1.5"}},
		{"{\"if\":{\"const\":1}}", {"1", "2"}, {"x"}},
		{"{\"then\":false,\"else\":false}", {"1"}, {"x"}},
	};
	TRY_ROWS(rows);
}

static void test_references(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"},\"v\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
		 {"{}", "{\"next\":{\"next\":{\"v\":1}},\"v\":2}"},
		 {"{\"next\":1}", "{\"next\":{\"w\":1}}"}},
		{"{\"$ref\":\"#/$defs/a~1b%25\",\"$defs\":{\"a/b%\":{\"type\":\"null\"}}}", {"null"}, {"1"}},
		{"{\"$ref\":\"#/definitions/l\",\"definitions\":{\"l\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/l\"}}}}",
		 {"[]", "[[],[[]]]"},
		 {"[1]"}},
		{"{\"$ref\":\"#/$defs/a/prefixItems/1\",\"$defs\":{\"a\":{\"prefixItems\":[{},{\"const\":1}]}}}",
		 {"1"},
		 {"2"}},
		{"{\"items\":{\"$ref\":\"#here\"},\"type\":\"array\",\"$defs\":{\"a\":{\"$anchor\":\"here\",\"const\":1}}}",
		 {"[1]"},
		 {"[2]"}},
		{"{\"$id\":\"http://x.org/a/b.json\",\"$ref\":\"c.json#/$defs/d\",\"$defs\":{\"c\":{\"$id\":\"c.json\",\"$defs\":{\"d\":{\"const\":1}}}}}",
		 {"1"},
		 {"2"}},
		/* what stands beside a reference holds too */
		{"{\"$ref\":\"#/$defs/a\",\"maximum\":3,\"$defs\":{\"a\":{\"type\":\"integer\"}}}",
		 {"3"},
		 {"4", "1.5"}},
		{"{\"$dynamicRef\":\"#a\",\"$defs\":{\"a\":{\"$dynamicAnchor\":\"a\",\"type\":\"null\"}}}",
		 {"null"},
		 {"1"}},
		/* a recursion through oneOf, whose members are told apart one level down */
		{"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"l\":{\"$ref\":\"#\"},\"k\":{\"const\":1}},\"required\":[\"l\",\"k\"]},"
		 "{\"type\":\"object\",\"properties\":{\"l\":{\"$ref\":\"#\"},\"k\":{\"const\":2}},\"required\":[\"l\",\"k\"]},{\"type\":\"null\"}]}",
		 {"null", "{\"l\":{\"l\":null,\"k\":2},\"k\":1}"},
		 {"{\"l\":{\"l\":null,\"k\":3},\"k\":1}", "{\"l\":1,\"k\":1}"}},
		/* an alternative that never ends is none */
		{"{\"anyOf\":[{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#/anyOf/0\"}}},{\"type\":\"null\"}]}",
		 {"null"},
		 {"{", "{\"a\":"}},
	};
	TRY_ROWS(rows);
}

static void test_unevaluated(void **state)
{
	(void)state;
	static const struct try_row rows[] = {
		{"{\"type\":\"object\",\"properties\":{\"a\":{}},\"allOf\":[{\"properties\":{\"b\":{}}}],\"unevaluatedProperties\":false}",
		 {"{}", "{\"a\":1,\"b\":1}"},
		 {"{\"c\":1}", "{\"a\":1,\"c\":1}"}},
		{"{\"type\":\"object\",\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}}},{\"properties\":{\"b\":{\"const\":2}}}],\"unevaluatedProperties\":false}",
		 {"{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}"},
		 {"{\"a\":1,\"b\":3}", "{\"a\":2}", "{\"c\":1}"}},
		{"{\"type\":\"object\",\"if\":{\"required\":[\"a\"],\"properties\":{\"a\":{}}},\"then\":{\"properties\":{\"b\":{}}},\"unevaluatedProperties\":{\"type\":\"null\"}}",
		 {"{\"a\":1,\"b\":1}", "{\"b\":null}", "{\"a\":1,\"c\":null}"},
		 {"{\"b\":1}", "{\"a\":1,\"c\":1}"}},
		{"{\"type\":\"array\",\"prefixItems\":[{}],\"unevaluatedItems\":{\"type\":\"null\"}}",
		 {"[1]", "[1,null]"},
		 {"[1,1]"}},
		{"{\"type\":\"array\",\"allOf\":[{\"items\":{\"type\":\"integer\"}}],\"unevaluatedItems\":false}",
		 {"[1,2]"},
		 {"[null]"}},
	};
	TRY_ROWS(rows);
}

/* What is taken off what: alternatives do not multiply where they exclude each other, or where a property may
 * as well be missing as be another. */
static void test_taken_off(void **state)
{
	(void)state;
#define OPERATOR(name) \
	"{\"type\":\"object\",\"required\":[\"" name "\"],\"properties\":{\"" name "\":{\"type\":\"array\"}}}"
#define KIND(name, more)                                                                           \
	"{\"type\":\"object\",\"required\":[\"kind\"],\"properties\":{\"kind\":{\"enum\":[\"" name \
	"\"]}," more "}}"
	static const struct try_row rows[] = {
		/* 2^12 ways of what the other twelve are not */
		{"{\"oneOf\":[" OPERATOR("a") "," OPERATOR("b") "," OPERATOR("c") "," OPERATOR("d") "," OPERATOR("e") "," OPERATOR("f") "," OPERATOR(
			 "g") "," OPERATOR("h") "," OPERATOR("i") "," OPERATOR("j") "," OPERATOR("k") "," OPERATOR("l") "," OPERATOR("m") "]}",
		 {"{\"a\":[]}", "{\"m\":[]}", "{\"a\":[],\"b\":1}",
		  "{\"a\":[],\"z\":1,\"c\":1,\"y\":1,\"b\":1}", "{\"c\":[],\"z\":[],\"a\":null}"},
		 {"{}", "{\"a\":1}", "{\"a\":[],\"b\":[]}", "{\"a\":[],\"z\":1,\"m\":[]}", "[]"}},
		/* none of many that a kind tells apart */
		{"{\"not\":{\"anyOf\":[" KIND("p", "\"x\":{\"type\":\"integer\"},\"y\":{\"minimum\":1}") "," KIND("q", "\"x\":{\"type\":\"string\"},\"y\":{\"minimum\":2}") "," KIND(
			 "r",
			 "\"x\":{},\"y\":{\"minimum\":3}") "," KIND("s",
								    "\"u\":{\"type\":\"null\"},\"v\":{\"type\":\"null\"}") "," KIND("t",
																    "\"u\":{\"type\":\"null\"}") "," KIND("u",
																					  "\"w\":{\"type\":\"null\"},\"v\":{\"type\":\"null\"}") "]},\"type\":\"object\"}",
		 {"{}", "{\"kind\":\"z\"}", "{\"kind\":\"p\",\"x\":\"\"}", "{\"y\":1,\"kind\":\"r\"}",
		  "{\"x\":1}", "{\"kind\":\"u\",\"o\":1,\"v\":0}", "{\"kind\":1}"},
		 {"{\"kind\":\"p\",\"x\":1}", "{\"kind\":\"q\"}", "{\"x\":1,\"kind\":\"t\"}",
		  "{\"kind\":\"s\",\"u\":null,\"v\":null}"}},
		/* a property that is none or another stands anywhere among those that nobody declares, up to
		   four ... */
		{"{\"type\":\"object\",\"not\":" OPERATOR("a") "}",
		 {"{}", "{\"a\":1}", "{\"z\":1,\"a\":1,\"y\":1}", "{\"z\":[]}"},
		 {"{\"a\":[]}", "{\"z\":1,\"a\":[]}", "{\"a\":[1],\"z\":1}"}},
		/* ... and more, also where it is counted */
		{"{\"type\":\"object\",\"maxProperties\":2,\"properties\":{\"n\":{\"type\":\"integer\"}},\"not\":" OPERATOR(
			 "a") "}",
		 {"{}", "{\"a\":1,\"z\":1}", "{\"z\":1,\"a\":1}", "{\"n\":1,\"a\":{}}"},
		 {"{\"a\":[]}", "{\"n\":1,\"a\":1,\"z\":1}", "{\"z\":1,\"y\":1,\"a\":1}",
		  "{\"n\":1,\"a\":[]}"}},
		/* `if` and `not` before and behind what they are taken off */
		{"{\"if\":{\"properties\":{\"a\":{\"const\":1}}},\"then\":{\"required\":[\"b\"]},\"not\":{\"required\":[\"c\"]},"
		 "\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2]},\"b\":{\"type\":\"null\"}},\"else\":{\"maxProperties\":2}}",
		 {"{\"a\":1,\"b\":null}", "{\"a\":2}", "{\"a\":2,\"b\":null}",
		  "{\"b\":null,\"z\":1,\"y\":1}"},
		 {"{}", "{\"a\":1}", "{\"a\":2,\"c\":1}", "{\"a\":2,\"z\":1,\"y\":1}",
		  "{\"b\":null,\"c\":1}"}},
	};
	TRY_ROWS(rows);
#undef OPERATOR
#undef KIND
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of),      cmocka_unit_test(test_one_of),
		cmocka_unit_test(test_not_and_if),  cmocka_unit_test(test_references),
		cmocka_unit_test(test_unevaluated), cmocka_unit_test(test_taken_off),
	};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
