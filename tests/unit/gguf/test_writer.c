/*
 * The writer: what it makes is read back here, and by another reader in oracle/gguf.test.mjs, for which
 * `gguf_writer --samples DIR` writes the same files.
 */
#include "gguf/builder.h"
#include "in_memory.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gguf/limits.h"
#include "gguf/writer.h"

/* Not in the build folder: one test is nobody for a moment, who may not get there. */
static char dir[] = "/tmp/hokku-writer-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[2][512];
	static int turn;
	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	DIR *d = opendir(dir);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		if (e->d_name[0] != '.')
			unlink(in_dir(e->d_name));
	if (d)
		closedir(d);
	return rmdir(dir);
}

/* Entries of dir. */
static int n_files(void)
{
	int n = 0;
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void ok(enum hokku_code rc, const struct hokku_error *err)
{
	if (rc)
		fail_msg("%s: %s", hokku_code_name(rc), err->message);
}

static struct gguf_writer *create(const char *path)
{
	struct hokku_error err = {0};
	struct gguf_writer *w;
	ok(gguf_writer_create(path, &w, &err), &err);
	return w;
}

static struct gguf *reopen(const char *path)
{
	struct hokku_error err = {0};
	struct gguf *g;
	ok(open_in_memory(path, &g, &err), &err);
	return g;
}

/* What the writer says when it is asked for data after the puts that went before; "" if it is content. */
static const char *begin_message(struct gguf_writer *w)
{
	static struct hokku_error err;
	err = (struct hokku_error){0};
	gguf_writer_begin_data(w, &err);
	gguf_writer_destroy(w);
	const char *text = strstr(err.message, ": ");
	return text ? text + 2 : "";
}

/* ---- files for the reader here and for the oracle ---- */

static void put_array(struct gguf_writer *w, const char *key, enum gguf_type type, uint64_t n,
		      const struct strbuf *b)
{
	struct gguf_array array = {.type = type, .n = n, .data = (const uint8_t *)b->ptr, .n_bytes = b->len};
	gguf_put_value(w, key, &(struct gguf_value){.type = GGUF_ARRAY, .array = array});
}

/* Every type, alone and in arrays, through every gguf_put function. */
static void put_all_types(struct gguf_writer *w)
{
#define PUT(t, field, x) \
	gguf_put_value(w, "v." #t "." #x, &(struct gguf_value){.type = GGUF_##t, .field = (x)})
	PUT(U8, u64, 255), PUT(U8, u64, 0);
	PUT(I8, i64, INT8_MIN), PUT(I8, i64, INT8_MAX);
	PUT(U16, u64, UINT16_MAX), PUT(I16, i64, INT16_MIN), PUT(I16, i64, INT16_MAX);
	PUT(U32, u64, UINT32_MAX), PUT(I32, i64, INT32_MIN), PUT(I32, i64, INT32_MAX);
	PUT(U64, u64, UINT64_MAX), PUT(I64, i64, INT64_MIN), PUT(I64, i64, INT64_MAX);
	PUT(F32, f64, 0.1), PUT(F32, f64, -0.0), PUT(F32, f64, 0x1p-149), PUT(F32, f64, INFINITY);
	PUT(F64, f64, 0.1), PUT(F64, f64, 5e-324), PUT(F64, f64, 1e300), PUT(F64, f64, -INFINITY),
		PUT(F64, f64, NAN);
	PUT(BOOL, u64, 1), PUT(BOOL, u64, 0);
#undef PUT
	gguf_put_u32(w, "p.u32", 151936);
	gguf_put_u64(w, "p.u64", 1ull << 53 | 1);
	gguf_put_i32(w, "p.i32", -1);
	gguf_put_f32(w, "p.f32", 1e-6f);
	gguf_put_bool(w, "p.bool", true);
	gguf_put_str(
		w, "p.str",
		STR_LIT("\"quoted\" \\ and\nlines\t\x01\x7F, \xE4\xBF\xB3\xE5\x8F\xA5, \xF0\x9F\x90\xB8"));
	gguf_put_str(w, "p.empty", STR_LIT(""));
	gguf_put_str(w, "p.nul", (struct str){"a\0b", 3});
	const struct str words[] = {STR_LIT("one"), STR_LIT(""), STR_LIT("\xC4\xA0three"),
				    STR_LIT("\xEF\xBB\xBF\x62om")};
	gguf_put_str_array(w, "p.words", words, 4);
	gguf_put_str_array(w, "p.no_words", NULL, 0);
	gguf_put_array(w, "p.a.u8", GGUF_U8, (const uint8_t[]){0, 1, 255}, 3);
	gguf_put_array(w, "p.a.i8", GGUF_I8, (const int8_t[]){-128, 127}, 2);
	gguf_put_array(w, "p.a.u16", GGUF_U16, (const uint16_t[]){0, 65535}, 2);
	gguf_put_array(w, "p.a.i16", GGUF_I16, (const int16_t[]){-32768, 32767}, 2);
	gguf_put_array(w, "p.a.u32", GGUF_U32, (const uint32_t[]){0, UINT32_MAX}, 2);
	gguf_put_array(w, "p.a.i32", GGUF_I32, (const int32_t[]){INT32_MIN, INT32_MAX, 0}, 3);
	gguf_put_array(w, "p.a.f32", GGUF_F32, (const float[]){0.1f, -1e38f, 1e-45f}, 3);
	gguf_put_array(w, "p.a.bool", GGUF_BOOL, (const uint8_t[]){1, 0, 0, 1}, 4);
	gguf_put_array(w, "p.a.u64", GGUF_U64, (const uint64_t[]){UINT64_MAX}, 1);
	gguf_put_array(w, "p.a.i64", GGUF_I64, (const int64_t[]){INT64_MIN, INT64_MAX}, 2);
	gguf_put_array(w, "p.a.f64", GGUF_F64, (const double[]){0.1, 1e-300}, 2);
	gguf_put_array(w, "p.a.none", GGUF_F64, NULL, 0);
	struct strbuf b = {0};
	b_array(&b, GGUF_U8, 2), b_u8(&b, 1), b_u8(&b, 2);
	b_array(&b, GGUF_STRING, 1), b_str(&b, "three");
	b_array(&b, GGUF_ARRAY, 1), b_array(&b, GGUF_ARRAY, 1), b_array(&b, GGUF_I64, 1),
		b_u64(&b, (uint64_t)-4);
	put_array(w, "n.mixed", GGUF_ARRAY, 3, &b);
	strbuf_free(&b);
}

static void write_types(const char *path)
{
	struct hokku_error err = {0};
	struct gguf_writer *w = create(path);
	gguf_put_str(w, "general.architecture", STR_LIT("types"));
	put_all_types(w);
	ok(gguf_writer_begin_data(w, &err), &err);
	ok(gguf_writer_finish(w, &err), &err);
	gguf_writer_destroy(w);
}

/* The i-th byte of tensor t's data. */
static uint8_t data_byte(uint64_t t, uint64_t i)
{
	return (uint8_t)(i * 7 + t * 13 + (i >> 8));
}

/* One tensor of each type, of 1 to 4 dimensions; data in pieces of 1, 2, 3, ... bytes that cross tensor
 * borders. */
static void write_tensors(const char *path, uint32_t alignment)
{
	struct hokku_error err = {0};
	struct gguf_writer *w = create(path);
	gguf_put_str(w, "general.architecture", STR_LIT("tensors"));
	gguf_put_u32(w, "general.alignment", alignment);
	struct strbuf all = {0};
	for (uint32_t id = 0; id < TENSOR_N_TYPES; id++) {
		const struct tensor_type_info *info = tensor_type_get(id);
		if (!info)
			continue;
		char name[32];
		const uint64_t dims[4] = {info->block_elements * (1 + id % 3), 3, 1 + id % 2, 2};
		uint32_t n_dims = 1 + id % 4;
		uint64_t n_bytes = info->block_bytes * (1 + id % 3);
		for (uint32_t d = 1; d < n_dims; d++)
			n_bytes *= dims[d];
		snprintf(name, sizeof name, "blk.%u.%s.weight", id, info->name);
		gguf_put_tensor(w, name, (enum tensor_type)id, n_dims, dims);
		for (uint64_t i = 0; i < n_bytes; i++)
			b_u8(&all, data_byte(id, i));
	}
	ok(gguf_writer_begin_data(w, &err), &err);
	size_t at = 0;
	for (size_t piece = 1; at < all.len; piece = piece * 5 % 997) {
		size_t n = piece < all.len - at ? piece : all.len - at;
		ok(gguf_writer_data(w, all.ptr + at, n, &err), &err);
		at += n;
	}
	ok(gguf_writer_data(w, NULL, 0, &err), &err);
	ok(gguf_writer_finish(w, &err), &err);
	gguf_writer_destroy(w);
	strbuf_free(&all);
}

/* Version 2 is read and never written: this file is made by hand. */
static void write_version_2(const char *path)
{
	struct strbuf b = {0};
	b_rich(&b, 2, 100);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(b.ptr, 1, b.len, f), b.len);
	assert_int_equal(fclose(f), 0);
	strbuf_free(&b);
}

static int write_samples(const char *folder)
{
	char path[512];
	snprintf(path, sizeof path, "%s/types.gguf", folder);
	write_types(path);
	snprintf(path, sizeof path, "%s/version-2.gguf", folder);
	write_version_2(path);
	for (uint32_t alignment = 8; alignment <= 65536; alignment *= 2) {
		snprintf(path, sizeof path, "%s/align-%05u.gguf", folder, alignment);
		write_tensors(path, alignment);
	}
	return 0;
}

/* ---- read back ---- */

static void test_types(void **state)
{
	(void)state;
	const char *path = in_dir("types.gguf");
	write_types(path);
	struct gguf *g = reopen(path);
	struct hokku_error err = {0};
	assert_int_equal(gguf_version(g), 3);
	assert_int_equal(gguf_alignment(g), 32);
	assert_int_equal(gguf_trailing_bytes(g), 0);
	assert_int_equal(gguf_find(g, "v.U8.255")->u64, 255);
	assert_int_equal(gguf_find(g, "v.I8.INT8_MIN")->i64, -128);
	assert_int_equal(gguf_find(g, "v.I16.INT16_MIN")->i64, -32768);
	assert_int_equal(gguf_find(g, "v.I32.INT32_MIN")->i64, INT32_MIN);
	assert_true(gguf_find(g, "v.U64.UINT64_MAX")->u64 == UINT64_MAX);
	assert_true(gguf_find(g, "v.I64.INT64_MIN")->i64 == INT64_MIN);
	assert_true((float)gguf_find(g, "v.F32.0.1")->f64 == 0.1f);
	assert_true(signbit(gguf_find(g, "v.F32.-0.0")->f64));
	assert_true(gguf_find(g, "v.F64.0.1")->f64 == 0.1);
	assert_true(isnan(gguf_find(g, "v.F64.NAN")->f64));
	assert_int_equal(gguf_find(g, "v.BOOL.1")->u64, 1);
	uint32_t n;
	ok(gguf_get_u32(g, "p.u32", &n, NULL, &err), &err);
	assert_int_equal(n, 151936);
	assert_true(gguf_find(g, "p.u64")->u64 == 9007199254740993);
	assert_int_equal(gguf_find(g, "p.i32")->i64, -1);
	struct str s;
	ok(gguf_get_str(g, "p.nul", &s, NULL, &err), &err);
	assert_true(s.len == 3 && memcmp(s.ptr, "a\0b", 3) == 0);
	struct gguf_array a;
	ok(gguf_get_array(g, "p.words", GGUF_STRING, &a, NULL, &err), &err);
	assert_int_equal(a.n, 4);
	ok(gguf_get_array(g, "p.a.i64", GGUF_I64, &a, NULL, &err), &err);
	int64_t i64[2];
	memcpy(i64, a.data, sizeof i64);
	assert_true(a.n == 2 && i64[0] == INT64_MIN && i64[1] == INT64_MAX);
	ok(gguf_get_array(g, "n.mixed", GGUF_ARRAY, &a, NULL, &err), &err);
	assert_int_equal(a.n, 3);
	gguf_close(g);
	assert_int_equal(n_files(), 1);
	unlink(path);
}

static void test_tensors(void **state)
{
	(void)state;
	const char *path = in_dir("tensors.gguf");
	for (uint32_t alignment = 8; alignment <= 65536; alignment *= 8) {
		write_tensors(path, alignment);
		struct gguf *g = reopen(path);
		assert_int_equal(gguf_alignment(g), alignment);
		assert_int_equal(gguf_n_tensors(g), 35);
		assert_int_equal(gguf_trailing_bytes(g), 0);
		uint64_t end = gguf_data_offset(g);
		for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
			const struct gguf_tensor *t = gguf_tensor_at(g, i);
			const uint8_t *data = t->data;
			for (uint64_t pad = end; pad < t->offset; pad++)
				assert_int_equal(data[(int64_t)(pad - t->offset)], 0);
			assert_true(t->offset - end < alignment);
			assert_int_equal(t->offset % alignment, 0);
			assert_int_equal(t->n_dims, 1 + t->type % 4);
			for (uint64_t k = 0; k < t->n_bytes; k++)
				assert_int_equal(data[k], data_byte(t->type, k));
			end = t->offset + t->n_bytes;
		}
		assert_int_equal(gguf_file_bytes(g) % alignment, 0);
		gguf_close(g);
	}
	unlink(path);
}

/* A file's every key and tensor, put through gguf_put_value, makes the same bytes again. */
static void test_copy(void **state)
{
	(void)state;
	const char *from = in_dir("from.gguf"), *to = in_dir("to.gguf");
	write_types(from);
	struct gguf *g = reopen(from);
	struct hokku_error err = {0};
	struct gguf_writer *w = create(to);
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		char key[64];
		snprintf(key, sizeof key, "%.*s", STR_ARG(kv->key));
		gguf_put_value(w, key, &kv->value);
	}
	ok(gguf_writer_begin_data(w, &err), &err);
	ok(gguf_writer_finish(w, &err), &err);
	gguf_writer_destroy(w);
	struct gguf *again = reopen(to);
	assert_int_equal(gguf_file_bytes(again), gguf_file_bytes(g));
	const char *a = gguf_kv_at(g, 0)->key.ptr, *b = gguf_kv_at(again, 0)->key.ptr;
	assert_memory_equal(a - 32, b - 32, gguf_file_bytes(g));
	gguf_close(g);
	gguf_close(again);
	unlink(from);
	unlink(to);
}

/* Larger than the writer's buffer, in pieces around its size. */
static void test_large_pieces(void **state)
{
	(void)state;
	enum { N = 3 * 1024 * 1024 + 12345 };
	static const size_t pieces[] = {1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 7};
	const char *path = in_dir("large.gguf");
	uint8_t *data = malloc(N);
	assert_non_null(data);
	for (size_t i = 0; i < N; i++)
		data[i] = data_byte(1, i);
	struct hokku_error err = {0};
	struct gguf_writer *w = create(path);
	gguf_put_tensor(w, "w", TENSOR_I8, DIMS(N));
	ok(gguf_writer_begin_data(w, &err), &err);
	for (size_t at = 0, k = 0; at < N; k++) {
		size_t n = pieces[k % 5] < N - at ? pieces[k % 5] : N - at;
		ok(gguf_writer_data(w, data + at, n, &err), &err);
		at += n;
	}
	ok(gguf_writer_finish(w, &err), &err);
	gguf_writer_destroy(w);
	struct gguf *g = reopen(path);
	assert_memory_equal(gguf_find_tensor(g, "w")->data, data, N);
	gguf_close(g);
	free(data);
	unlink(path);
}

/* The file of dir that this process has open, which may have no name there yet. */
static bool find_open(struct stat *out)
{
	for (int fd = 3; fd < 64; fd++) {
		char link[32], to[512];
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, to, sizeof to);
		if (n > 0 && (size_t)n > strlen(dir) && memcmp(to, dir, strlen(dir)) == 0)
			return fstat(fd, out) == 0;
	}
	return false;
}

/* The whole size is there before the first byte of data, and nothing beyond it. */
static void test_reserved(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	struct stat before, after;
	struct gguf_writer *w = create(in_dir("reserved.gguf"));
	gguf_put_str(w, "text",
		     STR_LIT("a value that makes the keys longer than the head and the tensors are"));
	gguf_put_tensor(w, "w", TENSOR_I8, DIMS(100000));
	gguf_put_tensor(w, "v", TENSOR_I8, DIMS(1));
	ok(gguf_writer_begin_data(w, &err), &err);
	assert_true(find_open(&before));
	uint8_t *data = calloc(1, 100001);
	assert_non_null(data);
	ok(gguf_writer_data(w, data, 100001, &err), &err);
	free(data);
	ok(gguf_writer_finish(w, &err), &err);
	gguf_writer_destroy(w);
	assert_int_equal(stat(in_dir("reserved.gguf"), &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	unlink(in_dir("reserved.gguf"));
}

/* ---- refusals ---- */

static void test_puts_refused(void **state)
{
	(void)state;
	const char *path = in_dir("refused.gguf");
	struct gguf_writer *w;
#define REFUSED(text, ...)                                   \
	do {                                                 \
		w = create(path);                            \
		__VA_ARGS__;                                 \
		assert_string_equal(begin_message(w), text); \
	} while (0)
#define VALUE(t, field, x) &(struct gguf_value){.type = GGUF_##t, .field = (x)}
	REFUSED("", gguf_put_u32(w, "a", 1));
	REFUSED("key \"a\" is given twice", gguf_put_u32(w, "a", 1), gguf_put_u32(w, "b", 1),
		gguf_put_str(w, "a", STR_LIT("")));
	REFUSED("tensor \"t\" is given twice", gguf_put_tensor(w, "t", TENSOR_F32, DIMS(1)),
		gguf_put_tensor(w, "t", TENSOR_F16, DIMS(2)));
	REFUSED("key \"\" must be UTF-8 without control characters, and not empty", gguf_put_u32(w, "", 1));
	REFUSED("key \"a\\nb\" must be UTF-8 without control characters, and not empty",
		gguf_put_u32(w, "a\nb", 1));
	REFUSED("tensor \"\\xff\" must be UTF-8 without control characters, and not empty",
		gguf_put_tensor(w, "\xff", TENSOR_F32, DIMS(1)));
	REFUSED("key \"n\": the value 256 does not fit a u8", gguf_put_value(w, "n", VALUE(U8, u64, 256)));
	REFUSED("key \"n\": the value -129 does not fit a i8", gguf_put_value(w, "n", VALUE(I8, i64, -129)));
	REFUSED("key \"n\": the value 65536 does not fit a u16",
		gguf_put_value(w, "n", VALUE(U16, u64, 65536)));
	REFUSED("key \"n\": the value 32768 does not fit a i16",
		gguf_put_value(w, "n", VALUE(I16, i64, 32768)));
	REFUSED("key \"n\": the value 4294967296 does not fit a u32",
		gguf_put_value(w, "n", VALUE(U32, u64, 1ull << 32)));
	REFUSED("key \"n\": the value 2147483648 does not fit a i32",
		gguf_put_value(w, "n", VALUE(I32, i64, 1ll << 31)));
	REFUSED("key \"n\": the value 2 does not fit a bool", gguf_put_value(w, "n", VALUE(BOOL, u64, 2)));
	REFUSED("", gguf_put_u32(w, "a b", 1),
		gguf_put_tensor(w, " ", TENSOR_F32, DIMS(1))); /* blanks are text */
	REFUSED("key \"a\\x7f\" must be UTF-8 without control characters, and not empty",
		gguf_put_u32(w, "a\x7F", 1));
	REFUSED("key \"n\" has no known type",
		gguf_put_value(
			w, "n",
			&(struct gguf_value){.type = GGUF_ARRAY, .array = {.type = (enum gguf_type)13}}));
	REFUSED("key \"n\" has no known type",
		gguf_put_value(w, "n", &(struct gguf_value){.type = (enum gguf_type)13}));
	REFUSED("key \"n\": elements of type string have no fixed size",
		gguf_put_array(w, "n", GGUF_STRING, NULL, 0));
	REFUSED("byte 1: key \"n\": a bool is 3; it must be 0 or 1",
		gguf_put_array(w, "n", GGUF_BOOL, (const uint8_t[]){1, 3}, 2));
	REFUSED("tensor \"t\" has 0 dimensions; it must have 1 to 4",
		gguf_put_tensor(w, "t", TENSOR_F32, 0, NULL));
	REFUSED("tensor \"t\" has 5 dimensions; it must have 1 to 4",
		gguf_put_tensor(w, "t", TENSOR_F32, DIMS(1, 1, 1, 1, 1)));
	REFUSED("tensor \"t\": dimension 1 is 0; a tensor has 1 to 1099511627776 elements",
		gguf_put_tensor(w, "t", TENSOR_F32, DIMS(1, 0)));
	REFUSED("tensor \"t\": dimension 1 is 1048577; a tensor has 1 to 1099511627776 elements",
		gguf_put_tensor(w, "t", TENSOR_F32, DIMS(1 << 20, (1 << 20) + 1)));
	REFUSED("tensor \"t\": its rows have 33 elements; the type Q8_0 wants a multiple of 32",
		gguf_put_tensor(w, "t", TENSOR_Q8_0, DIMS(33, 32)));
	REFUSED("tensor \"t\": its type is 5; no such type is known",
		gguf_put_tensor(w, "t", (enum tensor_type)5, DIMS(1)));
	static const char alignment[] = "general.alignment must be a u32, a power of two from 8 to 65536";
	REFUSED(alignment, gguf_put_u32(w, "general.alignment", 4));
	REFUSED(alignment, gguf_put_u32(w, "general.alignment", 24));
	REFUSED(alignment, gguf_put_u32(w, "general.alignment", 131072));
	REFUSED(alignment, gguf_put_u64(w, "general.alignment", 32));
	REFUSED("general.alignment must be given before the first tensor",
		gguf_put_tensor(w, "t", TENSOR_F32, DIMS(1)), gguf_put_u32(w, "general.alignment", 64));
	/* the first failure is the one that is told */
	REFUSED("key \"n\": the value 256 does not fit a u8", gguf_put_value(w, "n", VALUE(U8, u64, 256)),
		gguf_put_u32(w, "", 1), gguf_put_tensor(w, "t", TENSOR_F32, 0, NULL));
	assert_int_equal(n_files(), 0);
}

static void test_encoded_arrays_refused(void **state)
{
	(void)state;
	const char *path = in_dir("refused.gguf");
	struct strbuf b = {0};
	b_str(&b, "one");
	struct gguf_writer *w = create(path);
	put_array(w, "k", GGUF_STRING, 2, &b);
	assert_string_equal(begin_message(w),
			    "byte 11: key \"k\": a string of the array needs 8 bytes; the file has 0 "
			    "more (is it cut short?)");
	b_u8(&b, 0);
	w = create(path);
	put_array(w, "k", GGUF_STRING, 1, &b);
	assert_string_equal(begin_message(w), "key \"k\": the array's elements take 11 bytes; 12 are given");
	w = create(path);
	put_array(w, "k", (enum gguf_type)50, 1, &b);
	assert_string_equal(begin_message(w), "key \"k\" has no known type");
	strbuf_free(&b);
}

static void test_limits(void **state)
{
	(void)state;
	const char *path = in_dir("limits.gguf");
	char name[80] = {0};
	for (uint64_t n = GGUF_MAX_WRITTEN_NAME_BYTES - 1; n <= GGUF_MAX_WRITTEN_NAME_BYTES + 1; n++) {
		memset(name, 'n', n);
		struct gguf_writer *w = create(path);
		gguf_put_tensor(w, name, TENSOR_F32, DIMS(1));
		const char *message = begin_message(w);
		if (n <= GGUF_MAX_WRITTEN_NAME_BYTES)
			assert_string_equal(message, "");
		else
			assert_non_null(strstr(message, "has 64 bytes; at most 63 are allowed"));
	}
	char *key = calloc(1, GGUF_MAX_KEY_BYTES + 2);
	assert_non_null(key);
	for (uint64_t n = GGUF_MAX_KEY_BYTES - 1; n <= GGUF_MAX_KEY_BYTES + 1; n++) {
		memset(key, 'k', n);
		struct gguf_writer *w = create(path);
		gguf_put_u32(w, key, 1);
		const char *message = begin_message(w);
		if (n <= GGUF_MAX_KEY_BYTES)
			assert_string_equal(message, "");
		else
			assert_non_null(strstr(message, "has 65536 bytes; at most 65535 are allowed"));
	}
	free(key);
	for (uint64_t n = GGUF_MAX_KEYS; n <= GGUF_MAX_KEYS + 1; n++) {
		struct gguf_writer *w = create(path);
		for (uint64_t i = 0; i < n; i++) {
			snprintf(name, sizeof name, "k%llu", (unsigned long long)i);
			gguf_put_bool(w, name, true);
		}
		assert_string_equal(begin_message(w),
				    n <= GGUF_MAX_KEYS ? "" : "65537 keys; at most 65536 are allowed");
	}
	struct gguf_writer *w = create(path);
	gguf_put_str(w, "k", (struct str){"", GGUF_MAX_STRING_BYTES + 1});
	assert_string_equal(begin_message(w),
			    "key \"k\": a string has 67108865 bytes; at most 67108864 are allowed");
	w = create(path);
	gguf_put_array(w, "k", GGUF_U8, "", GGUF_MAX_ARRAY + 1);
	assert_string_equal(begin_message(w),
			    "key \"k\": the array has 67108865 elements; at most 67108864 are allowed");
	w = create(path);
	gguf_put_str_array(w, "k", NULL, GGUF_MAX_ARRAY + 1);
	assert_string_equal(begin_message(w),
			    "key \"k\": the array has 67108865 elements; at most 67108864 are allowed");
}

static void test_order_of_calls(void **state)
{
	(void)state;
	const char *path = in_dir("order.gguf");
	struct hokku_error err = {0};
	struct gguf_writer *w = create(path);
	assert_int_equal(gguf_writer_data(w, "x", 1, &err), HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "data before gguf_writer_begin_data"));
	gguf_writer_destroy(w);
	w = create(path);
	assert_int_equal(gguf_writer_finish(w, &err), HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "finished before gguf_writer_begin_data"));
	gguf_writer_destroy(w);
	w = create(path);
	ok(gguf_writer_begin_data(w, &err), &err);
	gguf_put_u32(w, "late", 1);
	assert_int_equal(gguf_writer_finish(w, &err), HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "key \"late\" comes after the data has begun"));
	gguf_writer_destroy(w);
	w = create(path);
	ok(gguf_writer_begin_data(w, &err), &err);
	assert_int_equal(gguf_writer_begin_data(w, &err), HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "its data has begun already"));
	gguf_writer_destroy(w);
	assert_int_equal(n_files(), 0);
	w = create(path);
	ok(gguf_writer_begin_data(w, &err), &err);
	ok(gguf_writer_finish(w, &err), &err);
	assert_int_equal(gguf_writer_finish(w, &err), HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "finished twice"));
	gguf_writer_destroy(w);
	assert_int_equal(n_files(), 1); /* what was finished stays */
	unlink(path);
	gguf_writer_destroy(NULL);
}

static void test_too_few_and_too_many(void **state)
{
	(void)state;
	const char *path = in_dir("bytes.gguf");
	struct hokku_error err = {0};
	uint8_t data[200] = {0};
	for (size_t n = 0; n <= 22; n++) { /* 12 + 8 bytes are right */
		struct gguf_writer *w = create(path);
		gguf_put_tensor(w, "first", TENSOR_F32, DIMS(3));
		gguf_put_tensor(w, "second", TENSOR_F16, DIMS(4));
		ok(gguf_writer_begin_data(w, &err), &err);
		enum hokku_code rc = gguf_writer_data(w, data, n, &err);
		char want[100];
		if (n > 20) {
			assert_int_equal(rc, HOKKU_INTERNAL);
			snprintf(want, sizeof want, "%zu bytes more than its 2 tensors hold", n - 20);
			assert_non_null(strstr(err.message, want));
		} else {
			assert_int_equal(rc, HOKKU_OK);
			rc = gguf_writer_finish(w, &err);
			assert_int_equal(rc, n == 20 ? HOKKU_OK : HOKKU_INTERNAL);
			snprintf(want, sizeof want,
				 n < 12 ? "tensor \"first\" got %zu of its 12 bytes"
					: "tensor \"second\" got %zu of its 8 bytes",
				 n < 12 ? n : n - 12);
			if (rc)
				assert_non_null(strstr(err.message, want));
		}
		gguf_writer_destroy(w);
		assert_int_equal(n_files(), n == 20);
		unlink(path);
	}
}

/* ---- the file system ---- */

static void test_nothing_until_finished(void **state)
{
	(void)state;
	const char *path = in_dir("model.gguf");
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("old", f);
	fclose(f);
	struct hokku_error err = {0};
	struct gguf_writer *w = create(path);
	ok(gguf_writer_begin_data(w, &err), &err);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_in_range(n_files(), 1, 2); /* it has no name yet, or one beside its place */
	gguf_writer_destroy(w);           /* given up: the old file stays */
	assert_int_equal(n_files(), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3);
	w = create(path);
	ok(gguf_writer_begin_data(w, &err), &err);
	ok(gguf_writer_finish(w, &err), &err);
	gguf_writer_destroy(w);
	gguf_close(reopen(path));
	assert_int_equal(stat(path, &st), 0);
	mode_t mask = umask(022);
	umask(mask);
	assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
	assert_int_equal(n_files(), 1);
	unlink(path);
}

static void test_link_is_followed(void **state)
{
	(void)state;
	const char *target = in_dir("target.gguf"), *link = in_dir("link.gguf");
	write_types(target);
	assert_int_equal(symlink(target, link), 0);
	write_tensors(link, 32);
	struct stat st;
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	struct gguf *g = reopen(target);
	assert_int_equal(gguf_n_tensors(g), 35);
	gguf_close(g);
	unlink(link);
	unlink(target);
}

static void test_places_refused(void **state)
{
	(void)state;
	struct gguf_writer *w;
	struct hokku_error err = {0};
	assert_int_equal(gguf_writer_create("/nowhere/x.gguf", &w, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/nowhere/x.gguf: cannot be created: No such file or directory");
	assert_null(w);
	assert_int_equal(gguf_writer_create("/tmp", &w, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/tmp: is a directory, not a file");
	assert_int_equal(gguf_writer_create("/dev/full", &w, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/dev/full: is a device, pipe or socket, not a file");
	assert_int_equal(gguf_writer_create("/dev/null/x.gguf", &w, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/dev/null/x.gguf: Not a directory");
	assert_int_equal(gguf_writer_create("", &w, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "the path of the file to write is empty");
	const char *dangling = in_dir("dangling.gguf");
	assert_int_equal(symlink("/nowhere/else.gguf", dangling), 0);
	assert_int_equal(gguf_writer_create(dangling, &w, &err), HOKKU_IO_ERROR);
	unlink(dangling);
	assert_int_equal(n_files(), 0);
}

static void test_unwritable_folder(void **state)
{
	(void)state;
	struct gguf_writer *w;
	struct hokku_error err = {0};
	char message[600];
	uid_t uid = geteuid();
	assert_int_equal(chmod(dir, 0555), 0);
	if (uid == 0) /* root may write anywhere: for a moment be nobody */
		assert_int_equal(seteuid(65534), 0);
	const char *path = in_dir("x.gguf");
	enum hokku_code rc = gguf_writer_create(path, &w, &err);
	if (uid == 0)
		assert_int_equal(seteuid(0), 0);
	chmod(dir, 0700);
	assert_int_equal(rc, HOKKU_IO_ERROR);
	snprintf(message, sizeof message, "%s: cannot be created: Permission denied", path);
	assert_string_equal(err.message, message);
}

/* A file-size limit stands in for a full disk: the same path, another errno. */
static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk(void **state)
{
	(void)state;
	const char *path = in_dir("full.gguf");
	struct hokku_error err = {0};
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

	/* found before the first byte of data */
	struct gguf_writer *w = create(path);
	gguf_put_tensor(w, "w", TENSOR_F32, DIMS(1 << 20));
	limit_file_size(1 << 20);
	enum hokku_code rc = gguf_writer_begin_data(w, &err);
	limit_file_size(before.rlim_cur);
	assert_int_equal(rc, HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "the 4194368 bytes it needs cannot be had: File too large"));
	assert_int_equal(gguf_writer_finish(w, &err), HOKKU_IO_ERROR); /* and remembered */
	gguf_writer_destroy(w);
	assert_int_equal(n_files(), 0);

	/* found while writing */
	static uint8_t data[4 << 20];
	w = create(path);
	gguf_put_tensor(w, "w", TENSOR_F32, DIMS(1 << 20));
	ok(gguf_writer_begin_data(w, &err), &err);
	limit_file_size(1 << 20);
	rc = gguf_writer_data(w, data, sizeof data, &err);
	limit_file_size(before.rlim_cur);
	assert_int_equal(rc, HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "cannot be written at byte 1048576 of 4194368: File too large"));
	assert_int_equal(gguf_writer_data(w, data, 1, &err), HOKKU_IO_ERROR);
	gguf_writer_destroy(w);
	assert_int_equal(n_files(), 0);
	signal(SIGXFSZ, handler);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--samples") == 0)
		return write_samples(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_large_pieces),
		cmocka_unit_test(test_puts_refused),
		cmocka_unit_test(test_encoded_arrays_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_order_of_calls),
		cmocka_unit_test(test_too_few_and_too_many),
		cmocka_unit_test(test_nothing_until_finished),
		cmocka_unit_test(test_link_is_followed),
		cmocka_unit_test(test_places_refused),
		cmocka_unit_test(test_unwritable_folder),
		cmocka_unit_test(test_full_disk),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
