/* What the machine has of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"

static void test_available(void **state)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t there = memory_available();
	(void)state;
	assert_true(there > 0);
	assert_true(there <= all);
	assert_in_range(memory_total(), all / 2, all + all / 2);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* Pages of files that the group keeps go when they are wanted. */
static void test_group(void **state)
{
	(void)state;
	static const struct {
		const char *max, *current, *stat;
		uint64_t want;
	} rows[] = {
		{"max\n", "500\n", "", 4096000},
		{"1000\n", "400\n", "anon 5\n", 600},
		{"1000\n", "900\n",
		 "anon 500\nfile 400\ninactive_anon 1\nactive_anon 499\ninactive_file 250\nactive_file 50\n",
		 400},
		{"1000\n", "900\n", "anon 5\ninactive_file 2000\n", 1000},
		{"1000\n", "1000\n", "", 1},
		{"1000\n", "1200\n", "anon 9\nactive_file 100\n", 1},
		{"9000000\n", "100\n", "", 4096000},
		{NULL, NULL, NULL, 4096000},
	};
	static const char *const names[] = {"memory.max", "memory.current", "memory.stat", "meminfo"};
	char dir[] = "/tmp/hokku-memory-XXXXXX", path[512], meminfo[512];
	assert_non_null(mkdtemp(dir));
	snprintf(meminfo, sizeof meminfo, "%s/meminfo", dir);
	put(dir, "meminfo", "MemTotal:  9000 kB\nMemFree:  1 kB\nMemAvailable:   4000 kB\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t k = 0; k < 3; k++) {
			snprintf(path, sizeof path, "%s/%s", dir, names[k]);
			unlink(path);
		}
		if (rows[i].max) {
			put(dir, "memory.max", rows[i].max);
			put(dir, "memory.current", rows[i].current);
			put(dir, "memory.stat", rows[i].stat);
		}
		assert_int_equal(memory_available_in(meminfo, dir), rows[i].want);
	}
	for (size_t k = 0; k < 4; k++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[k]);
		unlink(path);
	}
	assert_int_equal(memory_available_in(meminfo, dir), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_available), cmocka_unit_test(test_group)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
