/* Every limit of gguf/limits.h at n - 1, n and n + 1. Large strings and arrays are untouched zero pages. */
#include "gguf/builder.h"

#include <sys/mman.h>

#include "base/file.h"
#include "gguf/limits.h"

/* What opening says: NULL when it opens, else the message (static). */
static const char *opens(const void *bytes, size_t n)
{
	static struct hokku_error err;
	struct gguf *g;
	enum hokku_code rc = gguf_open_memory(bytes, n, "x.gguf", &g, &err);
	gguf_close(g);
	return rc ? err.message : NULL;
}

static void assert_opens(const struct strbuf *b)
{
	const char *message = opens(b->ptr, b->len);
	if (message)
		fail_msg("should open: %s", message);
}

static void assert_refused(const struct strbuf *b, const char *part)
{
	const char *message = opens(b->ptr, b->len);
	assert_non_null(message);
	if (!strstr(message, part))
		fail_msg("%s\n  lacks: %s", message, part);
}

/* One file with one too many serves for all three: where the header counts fewer, the rest lies behind the
 * data. */
static void set_count(struct strbuf *b, size_t at, uint64_t n)
{
	memcpy(b->ptr + at, &n, sizeof n);
}

static void test_keys(void **state)
{
	(void)state;
	struct strbuf b = {0};
	b_header(&b, 3, 0, 0);
	for (uint64_t i = 0; i < GGUF_MAX_KEYS + 1; i++) {
		char key[16];
		snprintf(key, sizeof key, "%06x", (unsigned)(i * 40503 % 1000003));
		b_key(&b, key, GGUF_U8);
		b_u8(&b, 0);
	}
	set_count(&b, 16, GGUF_MAX_KEYS - 1);
	assert_opens(&b);
	set_count(&b, 16, GGUF_MAX_KEYS);
	assert_opens(&b);
	set_count(&b, 16, GGUF_MAX_KEYS + 1);
	assert_refused(&b, "the number of keys is 65537; at most 65536 are allowed");
	strbuf_free(&b);
}

static void test_key_bytes(void **state)
{
	(void)state;
	for (uint64_t n = GGUF_MAX_KEY_BYTES - 1; n <= GGUF_MAX_KEY_BYTES + 1; n++) {
		struct strbuf b = {0};
		b_header(&b, 3, 0, 1);
		b_u64(&b, n);
		b_zeros(&b, n);
		memset(b.ptr + b.len - n, 'k', n);
		b_u32(&b, GGUF_U8);
		b_u8(&b, 0);
		if (n <= GGUF_MAX_KEY_BYTES)
			assert_opens(&b);
		else
			assert_refused(&b, "the key has 65536 bytes; at most 65535 are allowed");
		strbuf_free(&b);
	}
}

/* head, then so many zero bytes that no memory is spent on */
static const char *opens_with_zeros(const struct strbuf *head, size_t zeros)
{
	size_t n = head->len + zeros;
	void *bytes =
		mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(bytes != MAP_FAILED);
	memcpy(bytes, head->ptr, head->len);
	const char *message = opens(bytes, n);
	munmap(bytes, n);
	return message;
}

static void test_string_bytes(void **state)
{
	(void)state;
	for (uint64_t n = GGUF_MAX_STRING_BYTES - 1; n <= GGUF_MAX_STRING_BYTES + 1; n++) {
		struct strbuf b = {0};
		b_header(&b, 3, 0, 1);
		b_key(&b, "k", GGUF_STRING);
		b_u64(&b, n);
		const char *message = opens_with_zeros(&b, n);
		if (n <= GGUF_MAX_STRING_BYTES)
			assert_null(message);
		else
			assert_non_null(strstr(
				message, "the string has 67108865 bytes; at most 67108864 are allowed"));
		strbuf_free(&b);
	}
}

static void test_array(void **state)
{
	(void)state;
	for (uint64_t n = GGUF_MAX_ARRAY - 1; n <= GGUF_MAX_ARRAY + 1; n++) {
		struct strbuf b = {0};
		b_header(&b, 3, 0, 1);
		b_key(&b, "k", GGUF_ARRAY);
		b_array(&b, GGUF_U32, n);
		const char *message = opens_with_zeros(&b, 4 * n);
		if (n <= GGUF_MAX_ARRAY)
			assert_null(message);
		else
			assert_non_null(strstr(
				message, "the array has 67108865 elements; at most 67108864 are allowed"));
		strbuf_free(&b);
	}
}

static void test_depth(void **state)
{
	(void)state;
	for (uint64_t n = GGUF_MAX_DEPTH - 1; n <= GGUF_MAX_DEPTH + 1; n++) {
		struct strbuf b = {0};
		b_header(&b, 3, 0, 1);
		b_key(&b, "k", GGUF_ARRAY);
		for (uint64_t i = 1; i < n; i++)
			b_array(&b, GGUF_ARRAY, 1);
		b_array(&b, GGUF_U8, 1);
		b_u8(&b, 0);
		if (n <= GGUF_MAX_DEPTH)
			assert_opens(&b);
		else
			assert_refused(&b, "arrays are nested 5 deep; at most 4 are allowed");
		strbuf_free(&b);
	}
}

static void test_tensors(void **state)
{
	(void)state;
	struct strbuf b = {0};
	b_header(&b, 3, 0, 1);
	b_key_u32(&b, "general.alignment", 8);
	for (uint64_t i = 0; i < GGUF_MAX_TENSORS + 1; i++) {
		char name[16];
		snprintf(name, sizeof name, "%06x", (unsigned)(i * 40503 % 1000003));
		b_tensor(&b, name, DIMS(1), TENSOR_I8, i * 8);
	}
	b_zeros(&b, GGUF_MAX_TENSORS * 8 + 16);
	set_count(&b, 8, GGUF_MAX_TENSORS - 1);
	assert_opens(&b);
	set_count(&b, 8, GGUF_MAX_TENSORS);
	assert_opens(&b);
	set_count(&b, 8, GGUF_MAX_TENSORS + 1);
	assert_refused(&b, "the number of tensors is 65537; at most 65536 are allowed");
	strbuf_free(&b);
}

static void test_name_bytes(void **state)
{
	(void)state;
	for (uint64_t n = GGUF_MAX_NAME_BYTES - 1; n <= GGUF_MAX_NAME_BYTES + 1; n++) {
		struct strbuf b = {0};
		char name[80] = {0};
		memset(name, 'n', n);
		b_header(&b, 3, 1, 0);
		b_tensor(&b, name, DIMS(1), TENSOR_F32, 0);
		b_zeros(&b, 64);
		if (n <= GGUF_MAX_NAME_BYTES)
			assert_opens(&b);
		else
			assert_refused(&b, "the tensor's name has 65 bytes; at most 64 are allowed");
		strbuf_free(&b);
	}
}

static void test_dims(void **state)
{
	(void)state;
	static const uint64_t dims[5] = {1, 1, 1, 1, 1};
	for (uint32_t n = GGUF_MAX_DIMS - 1; n <= GGUF_MAX_DIMS + 1; n++) {
		struct strbuf b = {0};
		b_header(&b, 3, 1, 0);
		b_tensor(&b, "w", n, dims, TENSOR_F32, 0);
		b_zeros(&b, 64);
		if (n <= GGUF_MAX_DIMS)
			assert_opens(&b);
		else
			assert_refused(&b, "the number of dimensions is 5; at most 4 are allowed");
		strbuf_free(&b);
	}
}

/* No file holds a tensor of 2^40 elements here: one within the limit is refused for its size alone. */
static void test_elements(void **state)
{
	(void)state;
	static const struct {
		uint32_t n_dims;
		uint64_t dims[2];
		const char *message;
	} want[] = {
		{1, {(1ull << 40) - 1, 1}, "its offset is 0 and it takes 1099511627775 bytes"},
		{1, {1ull << 40, 1}, "its offset is 0 and it takes 1099511627776 bytes"},
		{1, {(1ull << 40) + 1, 1}, "dimension 0 is 1099511627777; it must be 1 to 1099511627776"},
		{2, {(1ull << 20) - 1, (1ull << 20) + 1}, "its offset is 0 and it takes 1099511627775 bytes"},
		{2, {1ull << 20, 1ull << 20}, "its offset is 0 and it takes 1099511627776 bytes"},
		/* 257 x 4278255361 = 2^40 + 1 */
		{2,
		 {257, 4278255361},
		 "257 x 4278255361 elements in dimensions 0 to 1; at most 1099511627776 are allowed"},
	};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct strbuf b = {0};
		b_header(&b, 3, 1, 0);
		b_tensor(&b, "w", want[i].n_dims, want[i].dims, TENSOR_I8, 0);
		b_zeros(&b, 64);
		assert_refused(&b, want[i].message);
		strbuf_free(&b);
	}
}

static void test_alignment(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 2 * GGUF_MAX_ALIGNMENT; n *= 2) {
		for (uint64_t k = n - 1; k <= n + 1; k++) {
			struct strbuf b = {0};
			b_header(&b, 3, 2, 1);
			b_key_u32(&b, "general.alignment", (uint32_t)k);
			b_tensor(&b, "a", DIMS(1), TENSOR_F32, 0);
			b_tensor(&b, "b", DIMS(1), TENSOR_F32, k < 8 ? 8 : k);
			b_zeros(&b, 3 * GGUF_MAX_ALIGNMENT);
			if (k >= GGUF_MIN_ALIGNMENT && k <= GGUF_MAX_ALIGNMENT && (k & (k - 1)) == 0)
				assert_opens(&b);
			else
				assert_refused(&b, "it must be a power of two from 8 to 65536");
			strbuf_free(&b);
		}
	}
}

/* docs/gguf.md shows the table as it is. */
static void test_documented(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	char *text, number[32], row[256];
	size_t n;
	if (file_read(TEST_SOURCE_DIR "/docs/gguf.md", 1 << 20, &text, &n, &err))
		fail_msg("%s", err.message);
#define GGUF_X(name, value, what)                                                                     \
	snprintf(row, sizeof row, "| `%s` | %s | %s |\n", #name, str_thousands(value, number), what); \
	if (!strstr(text, row))                                                                       \
		fail_msg("docs/gguf.md lacks: %s", row);
	GGUF_LIMITS(GGUF_X)
	GGUF_X(GGUF_MAX_DIMS, GGUF_MAX_DIMS, "dimensions in a tensor")
#undef GGUF_X
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),         cmocka_unit_test(test_key_bytes),
		cmocka_unit_test(test_string_bytes), cmocka_unit_test(test_array),
		cmocka_unit_test(test_depth),        cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_name_bytes),   cmocka_unit_test(test_dims),
		cmocka_unit_test(test_elements),     cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
