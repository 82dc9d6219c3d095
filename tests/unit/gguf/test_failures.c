/*
 * The system refuses once, at each place in turn: every read of a file, every allocation. Opening then fails
 * with a message that names the file, leaves no handle, and the next try succeeds; the first, the second and
 * the last refusal are told alike.
 */
#include "gguf/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gguf/safetensors.h"

static int reads_left = -1, allocations_left = -1; /* until one is refused; -1: none is */

static bool is_refused(int *left)
{
	return *left >= 0 && (*left)-- == 0;
}

ssize_t pread(int fd, void *to, size_t n, off_t offset)
{
	if (is_refused(&reads_left)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, to, n, offset);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CAN_REFUSE_MEMORY = 0 }; /* their allocator is not ours to replace */
#else
enum { CAN_REFUSE_MEMORY = 1 };
/* glibc's own names for what is replaced here. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	return is_refused(&allocations_left) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return is_refused(&allocations_left) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return is_refused(&allocations_left) ? NULL : __libc_realloc(p, n);
}
#endif

/* ---- what is opened ---- */

static char dir[] = "/tmp/hokku-failures-XXXXXX", model_path[64], single_path[64];
static struct strbuf gguf_bytes;

static enum hokku_code open_gguf(struct hokku_error *err)
{
	struct gguf *g = (struct gguf *)-1;
	enum hokku_code rc = gguf_open_file(model_path, &g, err);
	assert_true(rc ? g == NULL : gguf_n_tensors(g) == 3);
	gguf_close(g);
	return rc;
}

static enum hokku_code open_gguf_memory(struct hokku_error *err)
{
	struct gguf *g = (struct gguf *)-1;
	enum hokku_code rc = gguf_open_memory(gguf_bytes.ptr, gguf_bytes.len, model_path, &g, err);
	assert_true(rc ? g == NULL : gguf_n_tensors(g) == 3);
	gguf_close(g);
	return rc;
}

static enum hokku_code read_both(struct safetensors *st, enum hokku_code rc, struct hokku_error *err)
{
	uint8_t byte = 0;
	if (rc) {
		assert_null(st);
		return rc;
	}
	for (uint64_t i = 0; i < st_n_tensors(st) && !rc; i++) {
		const struct st_tensor *t = st_tensor_at(st, i);
		rc = st_read(st, t, 1, &byte, 1, err);
		assert_true(rc || byte == (t->name.ptr[0] == 'b' ? 1 : t->name.ptr[0] == 'c' ? 3 : 1));
	}
	if (!rc)
		rc = st_unchanged(st, err);
	st_close(st);
	return rc;
}

static enum hokku_code open_single(struct hokku_error *err)
{
	struct safetensors *st = NULL;
	enum hokku_code rc = st_open_file(single_path, &st, err);
	return read_both(st, rc, err);
}

static enum hokku_code open_folder(struct hokku_error *err)
{
	struct safetensors *st = NULL;
	enum hokku_code rc = st_open_dir(dir, &st, err);
	return read_both(st, rc, err);
}

static void put(const char *name, const void *bytes, size_t n)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put_shard(const char *name, const char *header, size_t n_data)
{
	struct strbuf b = {0};
	b_u64(&b, strlen(header));
	strbuf_add_c(&b, header);
	for (size_t i = 0; i < n_data; i++)
		b_u8(&b, (uint8_t)i);
	put(name, b.ptr, b.len);
	strbuf_free(&b);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return 1;
	static const char index[] =
		"{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"s2."
		"safetensors\"}}";
	b_rich(&gguf_bytes, 3, 0);
	put("m.gguf", gguf_bytes.ptr, gguf_bytes.len);
	put("model.safetensors.index.json", index, strlen(index));
	put_shard("s1.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
	put_shard("s2.safetensors",
		  "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
		  "\"c\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
		  4);
	snprintf(model_path, sizeof model_path, "%s/m.gguf", dir);
	snprintf(single_path, sizeof single_path, "%s/s1.safetensors", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	static const char *const names[] = {"m.gguf", "model.safetensors.index.json", "s1.safetensors",
					    "s2.safetensors"};
	for (size_t i = 0; i < 4; i++) {
		char path[96];
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	strbuf_free(&gguf_bytes);
	return rmdir(dir);
}

static const struct {
	enum hokku_code (*open)(struct hokku_error *err);
	int reads_min, allocations_min;
} kinds[] = {{open_gguf, 1, 2}, {open_gguf_memory, 0, 2}, {open_single, 2, 6}, {open_folder, 7, 12}};

/* Refuses the first, the second ... until one try needs no more. *n: how many were refused. */
static void refuse_each(size_t kind, int *left, enum hokku_code code, int *n)
{
	for (*n = 0;; (*n)++) {
		struct hokku_error err = {0};
		*left = *n;
		enum hokku_code rc = kinds[kind].open(&err);
		bool used = *left < 0;
		*left = -1;
		if (!used) {
			assert_int_equal(rc, HOKKU_OK);
			return;
		}
		if (rc != code || err.code != code || !strstr(err.message, dir))
			fail_msg("kind %zu, refusal %d: %s: %s", kind, *n, hokku_code_name(rc), err.message);
		assert_int_equal(kinds[kind].open(&err), HOKKU_OK);
	}
}

static void reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		int n;
		refuse_each(i, &reads_left, HOKKU_IO_ERROR, &n);
		assert_true(n >= kinds[i].reads_min);
	}
}

static void allocations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && CAN_REFUSE_MEMORY; i++) {
		int n;
		refuse_each(i, &allocations_left, HOKKU_OUT_OF_MEMORY, &n);
		assert_true(n >= kinds[i].allocations_min);
	}
}

/* Each file of a folder counts. */
static void changes(void **state)
{
	(void)state;
	static const char *const shards[] = {"s1.safetensors", "s2.safetensors"};
	for (size_t i = 0; i < 2; i++) {
		struct safetensors *st;
		struct hokku_error err;
		char path[96];
		const struct timespec then[2] = {{1, 0}, {(time_t)i + 1, 0}};
		snprintf(path, sizeof path, "%s/%s", dir, shards[i]);
		assert_int_equal(st_open_dir(dir, &st, &err), HOKKU_OK);
		assert_int_equal(st_unchanged(st, &err), HOKKU_OK);
		assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
		assert_int_equal(st_unchanged(st, &err), HOKKU_IO_ERROR);
		assert_non_null(strstr(err.message, shards[i]));
		st_close(st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(allocations),
					   cmocka_unit_test(changes)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
