/* Handles without a file: questions are answered, reads go to the reader, what cannot be is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "gguf/gguf.h"

static int n_reads;
static uint64_t last_offset;

static enum hokku_code read_some(void *self, uint64_t offset, void *to, size_t n, struct hokku_error *err)
{
	(void)err;
	n_reads++;
	last_offset = offset;
	memset(to, *(const char *)self, n);
	return HOKKU_OK;
}

static enum hokku_code changed(void *self, struct hokku_error *err)
{
	(void)self;
	return err_set(err, HOKKU_IO_ERROR, "it changed");
}

static char fill = 'x';
static struct gguf_kv kv[] = {{.key = {"b", 1}, .value = {.type = GGUF_U32, .u64 = 7}},
			      {.key = {"a", 1}, .value = {.type = GGUF_STRING, .string = {"text", 4}}}};
static struct gguf_tensor tensors[] = {
	{.name = {"t", 1}, .n_dims = 1, .dims = {2, 1, 1, 1}, .n_elements = 2, .n_bytes = 8},
	{.name = {"u", 1}, .n_dims = 1, .dims = {2, 1, 1, 1}, .offset = 8, .n_elements = 2, .n_bytes = 8}};

static enum hokku_code assemble(uint64_t n_bytes, struct gguf **g, struct hokku_error *err)
{
	const struct gguf_parts parts = {kv, tensors, 2, 2, n_bytes, {&fill, read_some, changed, NULL}};
	return gguf_assemble("made", &parts, g, err);
}

static void test_answers(void **state)
{
	(void)state;
	struct gguf *g;
	struct hokku_error err = {0};
	uint32_t number = 0;
	char bytes[4];
	assert_int_equal(assemble(16, &g, &err), HOKKU_OK);
	assert_int_equal(gguf_get_u32(g, "b", &number, NULL, NULL), HOKKU_OK);
	assert_int_equal(number, 7);
	assert_int_equal(gguf_get_u32(g, "a", &number, NULL, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "made"));
	assert_string_equal(gguf_path(g), "made");
	assert_int_equal(gguf_n_kv(g), 2);
	assert_ptr_equal(gguf_find_tensor(g, "u"), gguf_tensor_at(g, 1));
	assert_null(gguf_find_tensor(g, "v"));
	assert_int_equal(gguf_file_bytes(g), 16);
	assert_int_equal(gguf_read(g, 12, bytes, 4, NULL), HOKKU_OK);
	assert_true(n_reads == 1 && last_offset == 12 && bytes[3] == 'x');
	assert_int_equal(gguf_read(g, 13, bytes, 4, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "made: bytes 13 to 17 are not in its 16");
	assert_int_equal(n_reads, 1);
	assert_int_equal(gguf_unchanged(g, &err), HOKKU_IO_ERROR);
	gguf_close(g);
}

/* Names of which one begins another, in every order; what is twice is told of, the first row's name too. */
static void test_names(void **state)
{
	(void)state;
	static const char *const names[3] = {"a", "ab", "abc"};
	static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct gguf *g;
	struct hokku_error err;
	for (int k = 0; k < 6; k++) {
		for (uint64_t n = 1; n <= 3; n++) {
			struct gguf_tensor rows[3] = {0};
			for (uint64_t i = 0; i < n; i++)
				rows[i].name = str_c(names[orders[k][i]]);
			const struct gguf_parts parts = {NULL, rows, 0,
							 n,    0,    {&fill, read_some, changed, NULL}};
			assert_int_equal(gguf_assemble("made", &parts, &g, &err), HOKKU_OK);
			for (uint64_t i = 0; i < n; i++)
				assert_ptr_equal(gguf_find_tensor(g, names[orders[k][i]]),
						 gguf_tensor_at(g, i));
			assert_null(gguf_find_tensor(g, "abcd"));
			assert_null(gguf_find_tensor(g, ""));
			gguf_close(g);
		}
		for (int twice = 0; twice < 3; twice++) { /* row 3 repeats each of the three */
			struct gguf_tensor rows[4] = {0};
			char wanted[64];
			for (int i = 0; i < 3; i++)
				rows[i].name = str_c(names[orders[k][i]]);
			rows[3].name = rows[twice].name;
			const struct gguf_parts parts = {NULL, rows, 0,
							 4,    0,    {&fill, read_some, changed, NULL}};
			assert_int_equal(gguf_assemble("made", &parts, &g, &err), HOKKU_INTERNAL);
			snprintf(wanted, sizeof wanted, "made: tensor \"%s\" is made twice",
				 names[orders[k][twice]]);
			assert_string_equal(err.message, wanted);
		}
	}
}

static void test_what_cannot_be(void **state)
{
	(void)state;
	struct gguf *g = (void *)1;
	struct hokku_error err;
	assert_int_equal(assemble(15, &g, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message, "made: tensor \"u\" lies at 8, outside 15 bytes");
	assert_null(g);
	kv[1].key.ptr = "b";
	assert_int_equal(assemble(16, &g, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message, "made: key \"b\" is made twice");
	kv[1].key.ptr = "a";
	tensors[1].name.ptr = "t";
	assert_int_equal(assemble(16, &g, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message, "made: tensor \"t\" is made twice");
	tensors[1].name.ptr = "u";
	/* Nothing at all is a handle, too: a vocabulary alone has no tensors. */
	const struct gguf_parts none = {.reader = {&fill, read_some, changed, NULL}};
	assert_int_equal(gguf_assemble("empty", &none, &g, &err), HOKKU_OK);
	assert_int_equal(gguf_n_tensors(g) + gguf_n_kv(g), 0);
	assert_null(gguf_find(g, "a"));
	gguf_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_names),
					   cmocka_unit_test(test_what_cannot_be)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
