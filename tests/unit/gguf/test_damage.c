/* A right file damaged anywhere, in any way: cut at each byte, each byte changed, names as long as allowed;
 * and paths that are no files. */
#include "gguf/builder.h"

/* Cut anywhere before its last tensor's end, a file is refused. */
static void test_every_prefix(void **state)
{
	(void)state;
	struct strbuf whole = {0};
	struct hokku_error err;
	struct gguf *g;
	void *copy;
	b_rich(&whole, 3, 0);
	assert_int_equal(b_open(&whole, &copy, &g, &err), HOKKU_OK);
	const struct gguf_tensor *last = gguf_find_tensor(g, "blk.0.cube");
	uint64_t end = last->offset + last->n_bytes;
	gguf_close(g);
	free(copy);
	for (size_t n = 0; n < end; n++) {
		struct strbuf b = {.ptr = whole.ptr, .len = n};
		assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_BAD_FILE);
		assert_true(err.message[0]);
		free(copy);
	}
	strbuf_free(&whole);
}

/* Any one byte of the header changed: an error or a file that can be walked, never a fault. */
static void test_every_byte(void **state)
{
	(void)state;
	static const uint8_t flips[] = {0x01, 0x80, 0xFF};
	struct strbuf b = {0};
	b_rich(&b, 3, 0);
	for (size_t i = 0; i < b.len - 512; i++) {
		for (size_t f = 0; f < sizeof flips; f++) {
			struct hokku_error err;
			struct gguf *g;
			void *copy;
			b.ptr[i] = (char)(b.ptr[i] ^ flips[f]);
			if (!b_open(&b, &copy, &g, &err)) {
				uint8_t sum = 0;
				for (uint64_t t = 0; t < gguf_n_tensors(g); t++) {
					const struct gguf_tensor *tensor = gguf_tensor_at(g, t);
					for (uint64_t k = 0; k < tensor->n_bytes; k++)
						sum ^= ((const uint8_t *)tensor->data)[k];
				}
				(void)sum;
			}
			gguf_close(g);
			free(copy);
			b.ptr[i] = (char)(b.ptr[i] ^ flips[f]);
		}
	}
	strbuf_free(&b);
}

/* Messages stay whole sentences when a name from the file is as long as allowed. */
static void test_long_key_is_cut(void **state)
{
	(void)state;
	struct strbuf b = {0}, key = {0};
	struct hokku_error err;
	struct gguf *g;
	void *copy;
	while (key.len < 60000)
		strbuf_add_c(&key, "long.");
	b_header(&b, 3, 0, 1);
	b_key(&b, key.ptr, 77);
	b_u64(&b, 0);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "...\": the value's type is 77; it must be 0 to 12"));
	assert_true(strlen(err.message) < 250);
	free(copy);
	strbuf_free(&b);
	strbuf_free(&key);
}

static void test_files(void **state)
{
	(void)state;
	struct hokku_error err;
	struct gguf *g = (struct gguf *)&err;
	assert_int_equal(gguf_open_file("/nowhere/x.gguf", &g, &err), HOKKU_NOT_FOUND);
	assert_null(g);
	assert_string_equal(err.message, "/nowhere/x.gguf: No such file or directory");
	assert_int_equal(gguf_open_file("/", &g, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/: is a directory, not a file");
	assert_int_equal(gguf_open_file("/dev/null", &g, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/dev/null: is a device, pipe or socket, not a file");
	assert_int_equal(gguf_open_file("/proc/self/status", &g, &err), HOKKU_BAD_FILE);
	assert_string_equal(err.message,
			    "/proc/self/status: the file is empty; a GGUF file begins with \"GGUF\"");
	gguf_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_long_key_is_cut),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
