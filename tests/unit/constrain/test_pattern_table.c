/* Patterns and texts of a table whose verdicts are Node's (oracle/patterns.mjs made it). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rx_try.h"
#include "small.h"

enum { REFUSED = 1 }; /* \1 in it */

static struct {
	uint32_t patterns, refused, texts, found;
} count;

/* The pattern as a test gives it: flags are written in it. */
static void try_row(struct str pattern, bool any_case, const struct jv *texts)
{
	struct strbuf b = {0}, text = {0};
	struct hokku_error err = {0};
	struct rx_pool *p = try_pool();
	rx raw, json;
	strbuf_add_c(&b, any_case ? "(?i)" : "");
	strbuf_add(&b, pattern.ptr, pattern.len);
	count.patterns++;
	enum hokku_code rc = rx_pattern(p, RX_RAW, (struct str){b.ptr, b.len}, false, &raw, &err);
	if (rc) {
		count.refused++;
		if (getenv("HOKKU_TELL_REFUSED"))
			printf("refused: %s: %s\n", b.ptr, err.message);
		rx_pool_free(p);
		strbuf_free(&b);
		return;
	}
	assert_int_equal(rx_pattern(p, RX_JSON, (struct str){b.ptr, b.len}, false, &json, &err), HOKKU_OK);
	for (uint32_t i = 0; i < texts->n; i++) {
		struct str plain = jv_key(texts, i);
		bool wanted = atoi(jv_value(texts, i)->text);
		strbuf_clear(&text);
		strbuf_add_json(&text, plain.ptr, plain.len);
		if (rx_matches(p, raw, plain.ptr, plain.len) != wanted)
			fail_msg("%s %s %s", b.ptr, wanted ? "is not found in" : "is found in", text.ptr);
		if (rx_matches(p, json, text.ptr + 1, text.len - 2) != wanted)
			fail_msg("%s %s %s as JSON", b.ptr, wanted ? "is not found in" : "is found in",
				 text.ptr);
		count.texts++;
		count.found += wanted;
	}
	if (rx_failed(p))
		fail_msg("%s takes too much", b.ptr);
	rx_pool_free(p);
	strbuf_free(&b);
	strbuf_free(&text);
}

static void test_table(void **state)
{
	(void)state;
	struct jv_doc d;
	try_read(TEST_GOLDEN_DIR "/patterns/table.json", &d);
	for (size_t i = 0; i < d.root.n; i += small_step(20)) {
		const struct jv *row = &d.root.items[i];
		try_row((struct str){row->items[0].text, row->items[0].n}, row->items[1].n > 0,
			&row->items[2]);
	}
	printf("%u patterns, %u of them refused; %u texts, %u found\n", count.patterns, count.refused,
	       count.texts, count.found);
	assert_true(test_small() || count.refused == REFUSED);
	assert_true(test_small() ||
		    (count.patterns > 3500 && count.found > 10000 && count.texts - count.found > 10000));
	jv_doc_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
