/* Compiling a schema, whichever allocation fails: an error that speaks of memory, and nothing is left behind.
 * (A pool of expressions without memory is one that has used up what it may have.) */
#include "constrain/schema_try.h"

#include "failing_alloc.h"

static void test_schema(void **state)
{
	(void)state;
	static const char schema[] =
		"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":3,\"multipleOf\":5},"
		"\"b\":{\"enum\":[\"x\",\"yy\",1.5,[1],{\"k\":null}]},\"c\":{\"$ref\":\"#\"},\"d\":{\"pattern\":\"^a+b\"}},"
		"\"patternProperties\":{\"^x\":{\"type\":\"array\",\"contains\":{\"const\":1},\"maxItems\":9}},"
		"\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"not\":{\"required\":[\"d\"]}}";
	long n = 0;
	for (bool failed = true; failed; n++) {
		struct hokku_error err = {0};
		fail_allocation(n);
		struct constrain *c = try_schema(STR_LIT(schema), CONSTRAIN_COMPACT, NULL, &err);
		failed = stop_failing();
		if (failed && (c || !strstr(err.message, "memory")))
			fail_msg("allocation %ld: %s, code %d: %s", n, c ? "compiled" : "refused", err.code,
				 err.message);
		if (!failed && !c)
			fail_msg("%s", err.message);
		constrain_unref(c);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_schema)};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
