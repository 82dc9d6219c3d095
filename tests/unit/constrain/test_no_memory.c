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

/* Walking, whichever allocation fails: masks are right or the walk is spent, and what holds the shape goes
 * on. */
static void test_walk(void **state)
{
	(void)state;
	static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
				     "\"required\":[\"a\"],\"additionalProperties\":false}";
	static uint32_t expected[1 << 16], bits[1 << 16];
	long n = 0;
	size_t n_taken;
	for (bool failed = true; failed; n++) {
		struct constrain *c = try_schema(STR_LIT(schema), CONSTRAIN_COMPACT, NULL, NULL);
		assert_non_null(c);
		fail_allocation(n);
		struct constrain_walk *w = constrain_begin(c), *f = NULL;
		enum constrain_taken taken = CONSTRAIN_SPENT;
		if (w && constrain_take_bytes(w, STR_LIT("{\"a\":\"x"), &n_taken) == CONSTRAIN_TAKEN) {
			f = constrain_fork(w);
			taken = constrain_mask(w, bits);
		}
		failed = stop_failing();
		assert_true(failed || (f && taken == CONSTRAIN_TAKEN));
		if (n == 0) { /* with all the memory: what masks are */
			struct constrain *whole = try_schema(STR_LIT(schema), CONSTRAIN_COMPACT, NULL, NULL);
			struct constrain_walk *x = constrain_begin(whole);
			assert_int_equal(constrain_take_bytes(x, STR_LIT("{\"a\":\"x"), &n_taken),
					 CONSTRAIN_TAKEN);
			assert_int_equal(constrain_mask(x, expected), CONSTRAIN_TAKEN);
			constrain_end(x);
			constrain_unref(whole);
		}
		if (taken == CONSTRAIN_TAKEN)
			assert_memory_equal(bits, expected, sizeof bits);
		if (f && constrain_mask(f, bits) == CONSTRAIN_TAKEN)
			assert_memory_equal(bits, expected, sizeof bits);
		constrain_end(w);
		constrain_end(f);
		constrain_unref(c);
	}
	assert_true(n > 5);
}

/* Compiling a structural tag and taking a token of it, the same. */
static void test_structure(void **state)
{
	(void)state;
	static const char tag[] =
		"{\"format\":{\"type\":\"sequence\",\"elements\":[{\"type\":\"tag\",\"begin\":\"<\",\"content\":{\"type\":"
		"\"any_text\",\"excludes\":[\"x\"]},\"end\":[\"aba\",\">\"]},{\"type\":\"triggered_tags\",\"triggers\":[\"aa\","
		"\"[\"],\"tags\":[{\"begin\":\"aab\",\"content\":{\"type\":\"json_schema\",\"json_schema\":{\"type\":\"string\"}},"
		"\"end\":{\"type\":\"token\",\"token\":65}},{\"begin\":\"[\",\"content\":{\"type\":\"grammar\",\"grammar\":\"root ::= "
		"[a-z]+\"},\"end\":\"]\"}]}]}}";
	static uint32_t bits[1 << 16];
	long n = 0;
	for (bool failed = true; failed; n++) {
		struct hokku_error err = {0};
		const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE, .text = STR_LIT(tag)};
		struct constrain *c = NULL;
		size_t n_taken;
		fail_allocation(n);
		enum hokku_code rc = constrain_new(try_vocab, &shape, NULL, &c, NULL, &err);
		struct constrain_walk *w = rc ? NULL : constrain_begin(c);
		if (w && constrain_take_bytes(w, STR_LIT("<b>aab\"q\""), &n_taken) == CONSTRAIN_TAKEN)
			constrain_mask(w, bits);
		constrain_end(w);
		failed = stop_failing();
		if (rc && (!failed || !strstr(err.message, "memory")))
			fail_msg("allocation %ld: code %d: %s", n, rc, err.message);
		constrain_unref(c);
	}
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_schema), cmocka_unit_test(test_walk),
					   cmocka_unit_test(test_structure)};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
