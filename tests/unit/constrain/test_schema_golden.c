/* Schemas drawn at random against a judge that nobody here wrote (tests/golden/schemas/make.py). */
#include "constrain/schema_try.h"

enum { MAX_BYTES = 4 << 20 };

static bool any_fits(struct constrain *c, const struct jv *texts)
{
	for (size_t i = 0; i < jv_len(texts); i++)
		if (try_instance(c, jv_str(jv_at(texts, i))))
			return true;
	return false;
}

/* As a text again: the reader's values are no text. */
static void write_value(const struct jv *v, struct strbuf *out)
{
	if (v->type == JV_NULL || v->type == JV_BOOL)
		strbuf_add_c(out, v->type == JV_NULL ? "null" : v->n ? "true" : "false");
	else if (v->type == JV_NUMBER)
		strbuf_add(out, v->text, v->n);
	else if (v->type == JV_STRING)
		strbuf_add_json(out, v->text, v->n);
	else
		strbuf_add_c(out, v->type == JV_ARRAY ? "[" : "{");
	for (uint32_t i = 0; v->type >= JV_ARRAY && i < v->n; i++) {
		if (i)
			strbuf_add_c(out, ",");
		if (v->type == JV_OBJECT) {
			strbuf_add_json(out, jv_key(v, i).ptr, jv_key(v, i).len);
			strbuf_add_c(out, ":");
		}
		write_value(v->type == JV_OBJECT ? jv_value(v, i) : &v->items[i], out);
	}
	if (v->type >= JV_ARRAY)
		strbuf_add_c(out, v->type == JV_ARRAY ? "]" : "}");
}

/* What a row says of a schema that compiles. Refused ones are counted. */
static void try_judged(const struct jv *row, struct strbuf *schema, unsigned *n_refused)
{
	struct hokku_error err = {0};
	struct constrain *c =
		try_schema((struct str){schema->ptr, schema->len}, CONSTRAIN_COMPACT, NULL, &err);
	const struct jv *valid = jv_get(row, "valid"), *invalid = jv_get(row, "invalid");
	if (!c) {
		assert_int_equal(err.code, HOKKU_INVALID_REQUEST);
		++*n_refused;
		if (jv_len(valid) && strstr(err.message, "no text at all"))
			fail_msg("%s: %s", schema->ptr, err.message);
		return;
	}
	for (size_t i = 0; i < jv_len(valid); i++)
		if (!any_fits(c, jv_at(valid, i)))
			fail_msg("%s does not take %s", schema->ptr, jv_at(jv_at(valid, i), 0)->text);
	for (size_t i = 0; i < jv_len(invalid); i++)
		if (try_instance(c, jv_str(jv_at(invalid, i))))
			fail_msg("%s takes %s", schema->ptr, jv_at(invalid, i)->text);
	constrain_unref(c);
}

static void test_judged(void **state)
{
	(void)state;
	char *text = malloc(MAX_BYTES);
	FILE *f = fopen(TEST_GOLDEN_DIR "/schemas/schemas.json", "rb");
	struct jv_doc d;
	unsigned n_refused = 0;
	assert_non_null(text);
	assert_non_null(f);
	size_t n = fread(text, 1, MAX_BYTES, f);
	fclose(f);
	assert_int_equal(jv_parse((struct str){text, n}, JV_STRICT, &d, NULL), HOKKU_OK);
	assert_true(jv_len(&d.root) >= 400);
	for (size_t i = 0; i < jv_len(&d.root); i++) {
		struct strbuf schema = {0};
		write_value(jv_get(jv_at(&d.root, i), "schema"), &schema);
		try_judged(jv_at(&d.root, i), &schema, &n_refused);
		strbuf_free(&schema);
	}
	/* What nothing fits, circles, and unevaluatedItems beside contains. */
	if (n_refused > jv_len(&d.root) / 8)
		fail_msg("%u of %zu are refused", n_refused, jv_len(&d.root));
	jv_doc_free(&d);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_judged)};
	return cmocka_run_group_tests(tests, try_begin, try_end);
}
