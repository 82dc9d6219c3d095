/* What is handed on, held back and refused of answers that nobody reads, at each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/unread.h"

static const struct unread_limits limits = {.sending = 100, .unread = 1000, .held = 1500};
static char bytes[2000];

static struct str piece(size_t n)
{
	return (struct str){bytes, n};
}

static void test_soft(void **state)
{
	(void)state;
	for (size_t n = 99; n <= 101; n++) {
		struct strbuf held = {0};
		size_t all = 0;
		enum unread_step want = n <= 100 ? UNREAD_SEND : UNREAD_HELD;
		assert_int_equal(unread_take(&limits, 0, piece(n), &held, &all), want);
		assert_int_equal(held.len, n <= 100 ? 0 : n);
		assert_int_equal(all, held.len);
		unread_forget(&held, &all);
		assert_int_equal(unread_take(&limits, n - 10, piece(10), &held, &all), want);
		unread_forget(&held, &all);
		assert_int_equal(all, 0);
	}
	/* nothing overtakes what is held */
	struct strbuf held = {0};
	size_t all = 0;
	assert_int_equal(unread_take(&limits, 95, STR_LIT("0123456789"), &held, &all), UNREAD_HELD);
	assert_int_equal(unread_take(&limits, 0, STR_LIT("ab"), &held, &all), UNREAD_HELD);
	assert_int_equal(held.len, 12);
	assert_memory_equal(held.ptr, "0123456789ab", 12);
	/* half of it gone */
	for (size_t n = 49; n <= 51; n++)
		assert_int_equal(unread_is_due(&limits, n, &held), n <= 50);
	unread_forget(&held, &all);
	assert_false(unread_is_due(&limits, 0, &held));
	assert_int_equal(unread_take(&limits, 0, STR_LIT("ab"), &held, &all), UNREAD_SEND);
}

static void test_hard(void **state)
{
	(void)state;
	for (size_t n = 899; n <= 901; n++) {
		struct strbuf held = {0};
		size_t all = 7;
		enum unread_step want = n <= 900 ? UNREAD_HELD : UNREAD_TOO_MUCH;
		assert_int_equal(unread_take(&limits, 100, piece(n), &held, &all), want);
		assert_int_equal(all, n <= 900 ? 7 + n : 7);
		unread_forget(&held, &all);
		assert_int_equal(all, 7);
		assert_int_equal(unread_take(&limits, 100, piece(500), &held, &all), UNREAD_HELD);
		assert_int_equal(unread_take(&limits, 100, piece(n - 500), &held, &all), want);
		assert_int_equal(held.len, n <= 900 ? n : 500);
		unread_forget(&held, &all);
	}
}

static void test_of_all(void **state)
{
	(void)state;
	for (size_t n = 699; n <= 701; n++) {
		struct strbuf first = {0}, second = {0};
		size_t all = 0;
		assert_int_equal(unread_take(&limits, 100, piece(800), &first, &all), UNREAD_HELD);
		assert_int_equal(unread_take(&limits, 100, piece(n), &second, &all),
				 n <= 700 ? UNREAD_HELD : UNREAD_TOO_MUCH_OF_ALL);
		assert_int_equal(all, n <= 700 ? 800 + n : 800);
		/* who holds nothing back is not asked */
		assert_int_equal(unread_take(&limits, 0, piece(1), &(struct strbuf){0}, &all), UNREAD_SEND);
		unread_forget(&first, &all);
		unread_forget(&second, &all);
		assert_int_equal(all, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_soft),
		cmocka_unit_test(test_hard),
		cmocka_unit_test(test_of_all),
	};
	return cmocka_run_group_tests_name("unread", tests, NULL, NULL);
}
