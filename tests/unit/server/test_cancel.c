/* Cancels that come before what they are for: found by its key alone, once it is there, and bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "server/cancel.h"

static struct server s;

static bool is_cancelled(uint32_t owner, const char *id, uint64_t sequence)
{
	struct generation g = {.owner = owner, .sequence = sequence};
	snprintf(g.id, sizeof g.id, "%s", id);
	return cancel_came_early(&s, &g);
}

static void remember(uint32_t owner, const char *id)
{
	char whole[REQUEST_MAX_ID_BYTES + 1] = "";
	snprintf(whole, sizeof whole, "%s", id);
	assert_int_equal(cancel_remember(&s, owner, whole, NULL), HOKKU_OK);
}

static void test_whose(void **state)
{
	(void)state;
	s = (struct server){.sequence = 10};
	remember(1, "a"); /* nothing is being read: it can be for nothing */
	assert_int_equal(s.n_early, 0);
	s.n_preparing = 3;
	remember(1, "a");
	remember(2, "b");
	assert_true(is_cancelled(1, "a", 9));
	assert_false(is_cancelled(2, "a", 9));
	assert_false(is_cancelled(0, "a", 9));
	assert_false(is_cancelled(1, "b", 9));
	assert_false(is_cancelled(1, "aa", 9));
	/* What arrived after it is not meant; unless it comes again. */
	uint64_t later = ++s.sequence;
	assert_false(is_cancelled(1, "a", later));
	remember(1, "a");
	assert_int_equal(s.n_early, 2);
	assert_true(is_cancelled(1, "a", later));
	cancel_forget_early(&s);
	assert_false(is_cancelled(1, "a", 9));
}

/* Of one key 1,024 wait, of all 4,096; what is there stays, and may come again. */
static void test_bounds(void **state)
{
	(void)state;
	struct hokku_error err;
	char id[REQUEST_MAX_ID_BYTES + 1] = "";
	s = (struct server){.n_preparing = 1};
	for (uint32_t owner = 1; owner <= MAX_EARLY_CANCELS / MAX_EARLY_CANCELS_OWNER; owner++) {
		for (int i = 0; i < MAX_EARLY_CANCELS_OWNER; i++) {
			snprintf(id, sizeof id, "id-%d", i);
			remember(owner, id);
		}
		assert_int_equal(cancel_remember(&s, owner, "more", &err), HOKKU_OVERLOADED);
		snprintf(id, sizeof id, "no request has the id more yet, and %u cancels wait",
			 owner * MAX_EARLY_CANCELS_OWNER);
		assert_non_null(strstr(err.message, id));
		remember(owner, "id-0");
		assert_true(is_cancelled(owner, "id-0", 0) && is_cancelled(owner, "id-1023", 0));
		assert_false(is_cancelled(owner, "more", 0));
	}
	assert_int_equal(s.n_early, MAX_EARLY_CANCELS);
	assert_int_equal(cancel_remember(&s, 0, "more", &err), HOKKU_OVERLOADED);
	cancel_forget_early(&s);
	remember(0, "more");
	assert_true(is_cancelled(0, "more", 0));
	cancel_forget_early(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_whose), cmocka_unit_test(test_bounds)};
	return cmocka_run_group_tests_name("cancel", tests, NULL, NULL);
}
