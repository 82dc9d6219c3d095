/* Names of files and folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"

static void a_path_is_a_folder_and_a_name(void **state)
{
	(void)state;
	static const struct {
		const char *path, *folder, *name;
	} rows[] = {
		{"a", ".", "a"},  {"a/b", "a", "b"},   {"/a/b.gguf", "/a", "b.gguf"},
		{"/a", "/", "a"}, {"a//b", "a/", "b"}, {"a/", "a", ""},
		{"/", "/", ""},   {"", ".", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *folder = file_folder_of(rows[i].path);
		assert_string_equal(file_base_name(rows[i].path), rows[i].name);
		assert_string_equal(folder, rows[i].folder);
		free(folder);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_path_is_a_folder_and_a_name)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
