/* What the machine has of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/memory.h"

static void test_available(void **state)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t there = memory_available();
	(void)state;
	assert_true(there > 0);
	assert_true(there <= all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_available)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
