/* Opening reads the header and nothing else, however large the file. */
#include "gguf/builder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint64_t DATA_BYTES = 1ull << 30;

/* A header of n_tokens strings, then one tensor of 1 GiB. */
static void build_header(struct strbuf *b, int n_tokens)
{
	b_header(b, 3, 1, 1);
	b_key(b, "tokenizer.ggml.tokens", GGUF_ARRAY), b_array(b, GGUF_STRING, (uint64_t)n_tokens);
	for (int i = 0; i < n_tokens; i++)
		b_str(b, "a token");
	b_tensor(b, "w", DIMS(DATA_BYTES / 4096, 1024), TENSOR_F32, 0);
	b_pad(b, 32);
}

/* The data's pages may not be touched at all: whoever reads one is killed by SIGSEGV. */
static void test_memory(void **state)
{
	(void)state;
	struct strbuf head = {0};
	struct hokku_error err = {0};
	struct gguf *g;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	build_header(&head, 5000);
	size_t head_pages = (head.len + page - 1) / page * page, all = head_pages + DATA_BYTES;
	char *map = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map, head_pages, PROT_READ | PROT_WRITE), 0);
	memcpy(map, head.ptr, head.len);
	if (gguf_open_memory(map, head.len + DATA_BYTES, "x.gguf", &g, &err))
		fail_msg("%s", err.message);
	assert_int_equal(gguf_find_tensor(g, "w")->n_bytes, DATA_BYTES);
	assert_int_equal(gguf_find(g, "tokenizer.ggml.tokens")->array.n, 5000);
	gguf_close(g);
	munmap(map, all);
	strbuf_free(&head);
}

static uint64_t resident_bytes(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Pages of the file that the kernel holds in memory, from its own view of them. */
static uint64_t cached_bytes(int fd, uint64_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (bytes + page - 1) / page;
	unsigned char *in = malloc(n);
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED && in);
	assert_int_equal(mincore(map, bytes, in), 0);
	uint64_t cached = 0;
	for (size_t i = 0; i < n; i++)
		cached += (in[i] & 1) * page;
	munmap(map, bytes);
	free(in);
	return cached;
}

/* The kernel may read ahead of the header, by its own window (some hundred KiB); 1 GiB it must not. */
static void test_file(void **state)
{
	(void)state;
	char path[] = TEST_BINARY_DIR "/pages-XXXXXX";
	struct strbuf head = {0};
	struct hokku_error err = {0};
	struct gguf *g;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	build_header(&head, 5000);
	uint64_t bytes = head.len + DATA_BYTES;
	assert_int_equal(write(fd, head.ptr, head.len), head.len);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	uint64_t cached_before = cached_bytes(fd, bytes), resident_before = resident_bytes();
	enum hokku_code rc = gguf_open_file(path, &g, &err);
	uint64_t cached = cached_bytes(fd, bytes) - cached_before,
		 resident = resident_bytes() - resident_before;
	unlink(path);
	close(fd);
	if (rc)
		fail_msg("%s", err.message);
	print_message("header %zu bytes of %llu: %llu bytes more resident, %llu more cached\n", head.len,
		      (unsigned long long)bytes, (unsigned long long)resident, (unsigned long long)cached);
	assert_true(resident < (4u << 20));
	assert_true(cached < (4u << 20));
	gguf_close(g);
	strbuf_free(&head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_file)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
