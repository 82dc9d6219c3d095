/* What the machine has of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static char dir[] = "/tmp/hokku-memory-XXXXXX", meminfo[512], self[512];

static void make_folder(const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void drop(const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(remove(path), 0);
}

static int begin(void **state)
{
	(void)state;
	memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
	if (!mkdtemp(dir))
		return -1;
	snprintf(meminfo, sizeof meminfo, "%s/meminfo", dir);
	snprintf(self, sizeof self, "%s/self", dir);
	put(dir, "meminfo", "MemTotal:  9000 kB\nMemFree:  1 kB\nMemAvailable:   4000 kB\n");
	put(dir, "self", "0::/\n");
	return 0;
}

static int end(void **state)
{
	(void)state;
	drop("meminfo");
	drop("self");
	return rmdir(dir);
}

static uint64_t available(void)
{
	return memory_available_in(meminfo, self, dir);
}

/* Pages of files that the group keeps go when they are wanted. */
static void test_group(void **state)
{
	(void)state;
	static const struct {
		const char *max, *high, *current, *stat;
		uint64_t want;
	} rows[] = {
		{"max\n", "max\n", "500\n", "", 4096000},
		{"1000\n", "max\n", "400\n", "anon 5\n", 600},
		{"1000\n", "max\n", "900\n",
		 "anon 500\nfile 400\ninactive_anon 1\nactive_anon 499\ninactive_file 250\nactive_file 50\n",
		 400},
		{"1000\n", "max\n", "900\n", "anon 5\ninactive_file 2000\n", 1000},
		{"1000\n", "max\n", "1000\n", "", 1},
		{"1000\n", "max\n", "1200\n", "anon 9\nactive_file 100\n", 1},
		{"9000000\n", "max\n", "100\n", "", 4096000},
		{"max\n", "800\n", "100\n", "", 700},
		{"1000\n", "800\n", "100\n", "", 700},
		{"1000\n", "1001\n", "100\n", "", 900},
	};
	assert_int_equal(available(), 4096000);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put(dir, "memory.max", rows[i].max);
		put(dir, "memory.high", rows[i].high);
		put(dir, "memory.current", rows[i].current);
		put(dir, "memory.stat", rows[i].stat);
		assert_int_equal(available(), rows[i].want);
	}
	put(dir, "meminfo", "nothing\n");
	assert_int_equal(available(), 900);
	drop("memory.max");
	drop("memory.high");
	drop("memory.current");
	drop("memory.stat");
	assert_int_equal(available(), 0);
}

/* A unit's own limit, and that of the slice above it, whichever leaves less. */
static void test_groups_above(void **state)
{
	(void)state;
	make_folder("system.slice");
	make_folder("system.slice/hokku.service");
	put(dir, "self", "0::/system.slice/hokku.service\n");
	assert_int_equal(available(), 4096000);
	put(dir, "system.slice/hokku.service/memory.max", "2000\n");
	put(dir, "system.slice/hokku.service/memory.current", "500\n");
	assert_int_equal(available(), 1500);
	put(dir, "system.slice/memory.max", "9000\n");
	put(dir, "system.slice/memory.current", "8000\n");
	assert_int_equal(available(), 1000);
	put(dir, "system.slice/memory.max", "9500\n");
	assert_int_equal(available(), 1500);
	put(dir, "memory.max", "10\n"); /* of the mount itself, as a container sees its own */
	assert_int_equal(available(), 10);
	/* what cannot be seen from here, and what would lead out of the mount, leave the mount */
	put(dir, "self", "0::/docker/0123456789abcdef\n");
	assert_int_equal(available(), 10);
	put(dir, "self", "0::/../../system.slice/hokku.service\n");
	assert_int_equal(available(), 10);
	drop("memory.max");
	assert_int_equal(available(), 4096000);
	/* lines of groups that limit no memory, and what is no line */
	put(dir, "self",
	    "5:cpu,cpuacct:/system.slice/hokku.service\n1:name=systemd:/\nwhat\n::\n7:xmemory:/\n");
	assert_int_equal(available(), 4096000);
	put(dir, "self", "5:cpu:/\n0::/system.slice/hokku.service");
	assert_int_equal(available(), 1500);
	drop("system.slice/hokku.service/memory.max");
	drop("system.slice/hokku.service/memory.current");
	drop("system.slice/hokku.service");
	drop("system.slice/memory.max");
	drop("system.slice/memory.current");
	drop("system.slice");
	drop("self");
	assert_int_equal(available(), 4096000);
	put(dir, "self", "0::/\n");
}

static void test_older_groups(void **state)
{
	(void)state;
	static const char of_all[] = "9223372036854771712\n"; /* "none" */
	make_folder("memory");
	make_folder("memory/box");
	make_folder("unified");
	put(dir, "self", "9:name=systemd:/\n4:memory,hugetlb:/box\n1:cpu:/other\n0::/\n");
	put(dir, "memory/memory.limit_in_bytes", of_all);
	put(dir, "memory/memory.usage_in_bytes", "12345\n");
	put(dir, "memory/box/memory.limit_in_bytes", of_all);
	assert_int_equal(available(), 4096000);
	put(dir, "memory/box/memory.limit_in_bytes", "5000\n");
	put(dir, "memory/box/memory.usage_in_bytes", "4000\n");
	put(dir, "memory/box/memory.stat",
	    "inactive_file 9999\nactive_file 9999\ntotal_inactive_file 300\ntotal_active_file 30\n");
	assert_int_equal(available(), 1330);
	put(dir, "unified/memory.max", "1200\n"); /* the newer kind beside it */
	put(dir, "unified/memory.current", "100\n");
	assert_int_equal(available(), 1100);
	drop("unified/memory.max");
	drop("unified/memory.current");
	drop("unified");
	drop("memory/box/memory.stat");
	drop("memory/box/memory.limit_in_bytes");
	drop("memory/box/memory.usage_in_bytes");
	drop("memory/box");
	drop("memory/memory.limit_in_bytes");
	drop("memory/memory.usage_in_bytes");
	drop("memory");
	put(dir, "self", "0::/\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_available),
		cmocka_unit_test_setup_teardown(test_group, begin, end),
		cmocka_unit_test_setup_teardown(test_groups_above, begin, end),
		cmocka_unit_test_setup_teardown(test_older_groups, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
