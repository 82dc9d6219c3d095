/* What is drawn while a model comes: share, bytes, rate, time left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/pull_model.h"

static void test_lines(void **state)
{
	(void)state;
	static const struct {
		uint64_t done, all;
		double rate;
		const char *line;
	} rows[] = {
		{0, 1 << 20, 0, "0%, 0 B of 1.0 MiB"},
		{512 << 10, 1 << 20, 0, "50%, 512.0 KiB of 1.0 MiB"},
		{0, 100000000, 1e6, "0%, 0 B of 95.4 MiB, 1.0 MB/s, 1:40 left"},
		{99000000, 100000000, 35.25e6, "99%, 94.4 MiB of 95.4 MiB, 35.2 MB/s, 0:00 left"},
		{0, 3599000000, 1e6, "0%, 0 B of 3.4 GiB, 1.0 MB/s, 59:59 left"},
		{0, 3600000000, 1e6, "0%, 0 B of 3.4 GiB, 1.0 MB/s, 1:00:00 left"},
		{0, 359999000000, 1e6, "0%, 0 B of 335.3 GiB, 1.0 MB/s, 99:59:59 left"},
		{0, 360000000000, 1e6, "0%, 0 B of 335.3 GiB, 1.000 MB/s, days left"},
		{100, 100, 1e6, "100%, 100 B of 100 B, 1.0 MB/s, 0:00 left"},
		{0, 0, 0, "100%, 0 B of 0 B"},
		{0, UINT64_MAX, 1, "0%, 0 B of 16.0 EiB, 0.000 MB/s, days left"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char line[128];
		assert_string_equal(cli_pull_line(rows[i].done, rows[i].all, rows[i].rate, line),
				    rows[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
