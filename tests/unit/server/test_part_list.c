/* What an answer is made of, kept: what goes on with the last part becomes one with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/part_list.h"

static void add(struct part_list *l, enum part_kind kind, uint32_t call, const char *text)
{
	part_list_add(l, &(struct part){kind, call, {text, strlen(text)}});
}

static void pieces_become_one(void **state)
{
	(void)state;
	static const struct {
		enum part_kind kind;
		uint32_t call;
		const char *text;
	} want[] = {
		{PART_THINKING, 0, "so it is"},
		{PART_TEXT, 0, "ab"},
		{PART_CALL, 0, "f"},
		{PART_ARGUMENTS, 0, "{}"},
		{PART_CALL_END, 0, ""},
		{PART_CALL, 1, "f"},
		{PART_ARGUMENTS, 1, "{\"a\""},
		{PART_ARGUMENTS, 2, ":1}"}, /* another call's are no more of it */
		{PART_TEXT, 0, "c"},
	};
	struct part_list l = {0};
	size_t n;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
			const char *t = want[i].text;
			bool whole = want[i].kind == PART_CALL || want[i].kind == PART_CALL_END;
			if (whole)
				add(&l, want[i].kind, want[i].call, t);
			for (size_t k = 0; !whole && k < strlen(t); k++)
				part_list_add(&l, &(struct part){want[i].kind, want[i].call, {t + k, 1}});
		}
		const struct part *parts = part_list_get(&l, &n);
		assert_int_equal(n, sizeof want / sizeof *want);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(parts[i].kind, want[i].kind);
			assert_int_equal(parts[i].call, want[i].call);
			assert_true(str_eq_c(parts[i].text, want[i].text));
		}
		part_list_clear(&l);
		part_list_get(&l, &n);
		assert_int_equal(n, 0);
	}
	part_list_free(&l);
	part_list_get(&l, &n);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pieces_become_one)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
