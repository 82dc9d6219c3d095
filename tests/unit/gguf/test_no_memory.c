/* Each allocation of the room fails once: files written, read, joined and assembled, safetensors, JSON. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "failing_alloc.h"
#include "gguf/safetensors.h"
#include "gguf/writer.h"

static char folder[] = "/tmp/hokku-no-memory-XXXXXX";
static char path[128];
enum { N_ROWS = 200 }; /* keys and tensors: their tables grow twice */

/* One run of what is tried; whatever it returns, it has freed what it took. */
typedef enum hokku_code (*run)(struct hokku_error *err);

static int n_files(void)
{
	int n = 0;
	DIR *d = opendir(folder);
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Returns how many allocations a run makes. */
static long fail_each(run what)
{
	int files = n_files();
	for (long n = 0;; n++) {
		struct hokku_error err = {0};
		fail_allocation(n);
		enum hokku_code rc = what(&err);
		bool failed = stop_failing();
		if (rc && !failed)
			fail_msg("%s", err.message);
		if (!failed)
			return n;
		if (!rc) /* it had another way; each run looks at what it made */
			continue;
		if (rc != HOKKU_OUT_OF_MEMORY || !err.message[0])
			fail_msg("allocation %ld: %s, %s", n, hokku_code_name(rc), err.message);
		assert_int_equal(n_files(), files);
	}
}

static enum hokku_code write_file(struct hokku_error *err)
{
	static const uint64_t dims[1] = {2};
	static const float data[2] = {1, 2};
	static const struct str words[2] = {{"one", 3}, {"two", 3}};
	struct gguf_writer *w;
	enum hokku_code rc = gguf_writer_create(path, &w, err);
	if (rc)
		return rc;
	gguf_put_str(w, "text", STR_LIT("value"));
	gguf_put_str_array(w, "words", words, 2);
	for (int i = 0; i < N_ROWS; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		gguf_put_u32(w, name, (uint32_t)i);
		gguf_put_tensor(w, name, TENSOR_F32, 1, dims);
	}
	rc = gguf_writer_begin_data(w, err);
	for (int i = 0; i < N_ROWS && !rc; i++)
		rc = gguf_writer_data(w, data, sizeof data, err);
	if (!rc)
		rc = gguf_writer_finish(w, err);
	gguf_writer_destroy(w);
	struct gguf *g; /* the new file, or what was there before */
	if (stop_failing() || !rc) {
		assert_int_equal(gguf_open_file(path, &g, NULL), HOKKU_OK);
		assert_int_equal(gguf_n_tensors(g), N_ROWS);
		gguf_close(g);
	}
	return rc;
}

static void test_writer(void **state)
{
	(void)state;
	struct hokku_error err;
	assert_int_equal(write_file(&err), HOKKU_OK);
	assert_true(fail_each(write_file) > 10);
}

static enum hokku_code read_file(struct hokku_error *err)
{
	struct gguf *g = NULL;
	enum hokku_code rc = gguf_open_file(path, &g, err);
	assert_true((g == NULL) == (rc != HOKKU_OK));
	if (!rc)
		assert_non_null(gguf_find_tensor(g, "n199"));
	gguf_close(g);
	return rc;
}

static void test_reader(void **state)
{
	(void)state;
	assert_true(fail_each(read_file) > 1);
}

static enum hokku_code assemble(struct hokku_error *err)
{
	static const struct gguf_kv kv = {.key = {"k", 1}, .value = {.type = GGUF_U32}};
	static const struct gguf_tensor t = {.name = {"t", 1}};
	const struct gguf_parts parts = {&kv, &t, 1, 1, 0, {0}};
	struct gguf *g;
	enum hokku_code rc = gguf_assemble("made", &parts, &g, err);
	assert_true((g == NULL) == (rc != HOKKU_OK));
	gguf_close(g);
	return rc;
}

static void test_assemble(void **state)
{
	(void)state;
	assert_true(fail_each(assemble) > 1);
}

static void part_path(int i, char out[160])
{
	snprintf(out, 160, "%s/m-%05d-of-00002.gguf", folder, i + 1);
}

static enum hokku_code read_parts(struct hokku_error *err)
{
	char file[160];
	struct gguf *g;
	part_path(1, file);
	enum hokku_code rc = gguf_open_file(file, &g, err);
	assert_true((g == NULL) == (rc != HOKKU_OK));
	if (!rc)
		assert_non_null(gguf_find_tensor(g, "t0"));
	gguf_close(g);
	return rc;
}

static void test_parts(void **state)
{
	(void)state;
	static const uint64_t dims[1] = {1};
	struct hokku_error err;
	for (int i = 0; i < 2; i++) {
		char file[160], name[16];
		struct gguf_writer *w;
		part_path(i, file);
		snprintf(name, sizeof name, "t%d", i);
		assert_int_equal(gguf_writer_create(file, &w, &err), HOKKU_OK);
		gguf_put_u32(w, "split.no", (uint32_t)i);
		gguf_put_u32(w, "split.count", 2);
		gguf_put_u32(w, "split.tensors.count", 2);
		gguf_put_tensor(w, name, TENSOR_F32, 1, dims);
		assert_int_equal(gguf_writer_begin_data(w, &err), HOKKU_OK);
		assert_int_equal(gguf_writer_data(w, &(float){1}, 4, &err), HOKKU_OK);
		assert_int_equal(gguf_writer_finish(w, &err), HOKKU_OK);
		gguf_writer_destroy(w);
	}
	assert_true(fail_each(read_parts) > 12);
}

/* name in the folder: two tensors of one byte. */
static void put_shard(const char *name, const char *one, const char *two)
{
	char file[160], header[200];
	snprintf(file, sizeof file, "%s/%s", folder, name);
	snprintf(header, sizeof header,
		 "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
		 "\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
		 one, two);
	uint64_t length = strlen(header);
	FILE *f = fopen(file, "wb");
	assert_non_null(f);
	fwrite(&length, 1, 8, f);
	fwrite(header, 1, length, f);
	fwrite("ab", 1, 2, f);
	fclose(f);
}

static enum hokku_code read_shards(struct hokku_error *err)
{
	struct safetensors *st;
	enum hokku_code rc = st_open_dir(folder, &st, err);
	assert_true((st == NULL) == (rc != HOKKU_OK));
	if (!rc)
		assert_int_equal(st_n_tensors(st), 4);
	st_close(st);
	return rc;
}

static void test_safetensors(void **state)
{
	(void)state;
	static const char index[] = "{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\","
				    "\"c\":\"s2.safetensors\",\"d\":\"s2.safetensors\"}}";
	char file[160];
	snprintf(file, sizeof file, "%s/model.safetensors.index.json", folder);
	FILE *f = fopen(file, "wb");
	assert_non_null(f);
	fwrite(index, 1, sizeof index - 1, f);
	fclose(f);
	put_shard("s1.safetensors", "a", "b");
	put_shard("s2.safetensors", "c", "d");
	assert_true(fail_each(read_shards) > 10);
	put_shard("model.safetensors", "a", "b");
	put_shard("model.safetensors", "a", "b");
}

static enum hokku_code read_json(struct hokku_error *err)
{
	/* Values, pairs and frames that grow, and an object with a table. */
	struct strbuf b = {0};
	strbuf_reserve(&b, 1 << 16);
	if (b.failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the text");
	for (int i = 0; i < 100; i++)
		strbuf_add_c(&b, "[");
	for (int i = 0; i < 100; i++)
		strbuf_addf(&b, "%s\"k%d\":\"text\"", i ? "," : "{", i);
	strbuf_add_c(&b, "}");
	for (int i = 0; i < 100; i++)
		strbuf_add_c(&b, ",1,2]");
	struct jv_doc d;
	enum hokku_code rc = jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &d, err);
	if (rc)
		assert_null(d.arena.first);
	jv_doc_free(&d);
	strbuf_free(&b);
	return rc;
}

static void test_json(void **state)
{
	(void)state;
	assert_true(fail_each(read_json) > 5);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/out.gguf", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	DIR *d = opendir(folder);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		char file[400];
		snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.')
			unlink(file);
	}
	if (d)
		closedir(d);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),   cmocka_unit_test(test_reader),
		cmocka_unit_test(test_assemble), cmocka_unit_test(test_safetensors),
		cmocka_unit_test(test_json),     cmocka_unit_test(test_parts),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
