/* Safetensors: good files read as they were written, broken ones refused with the reason. */
#include "gguf/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A file's bytes: the header's length (length < 0: as it is), the header, n_data bytes counting up. */
static uint8_t *build(const char *header, size_t header_len, int64_t length, size_t n_data, size_t *n)
{
	uint64_t stated = length < 0 ? header_len : (uint64_t)length;
	*n = 8 + header_len + n_data;
	uint8_t *bytes = malloc(*n);
	assert_non_null(bytes);
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(stated >> (8 * i));
	memcpy(bytes + 8, header, header_len);
	for (size_t i = 0; i < n_data; i++)
		bytes[8 + header_len + i] = (uint8_t)i;
	return bytes;
}

static const struct broken {
	const char *header;
	int64_t length;
	size_t n_data;
	const char *message; /* all of it */
} broken[] = {
	/* The header's frame. */
	{"{}", 1, 0, "x: the header length is 1; 2 to 100000000 are allowed"},
	{"{}", 0, 0, "x: the header length is 0; 2 to 100000000 are allowed"},
	{"{}", 100000001, 0, "x: the header length is 100000001; 2 to 100000000 are allowed"},
	{"{}", INT64_MAX, 0, "x: the header length is 9223372036854775807; 2 to 100000000 are allowed"},
	{"{}", 3, 0, "x: the header length is 3, but only 2 bytes follow"},
	{"{}", 100000000, 0, "x: the header length is 100000000, but only 2 bytes follow"},
	{" {}", -1, 0, "x: the header begins with byte 0x20; it must be '{' (0x7b)"},
	{"[]", -1, 0, "x: the header begins with byte 0x5b; it must be '{' (0x7b)"},
	{"{\"a\"", -1, 0, "x: header: line 1 column 4: ':' is wanted, but the text ends here"},
	{"{} x", -1, 0, "x: header: line 1 column 4: the end of the text is wanted, but there is \"x\""},
	{"{\"a\":{},\"a\":{}}", -1, 0, "x: header: line 1 column 9: duplicate key \"a\""},
	{"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", -1, 0,
	 "x: header: line 1 column 20: duplicate key \"dtype\""},
	{"{\"\xff\":{}}", -1, 0, "x: header: line 1 column 3: the byte 0xff is no UTF-8"},
	/* __metadata__ */
	{"{\"__metadata__\":[]}", -1, 0, "x: __metadata__ is an array, not an object of strings"},
	{"{\"__metadata__\":{\"k\":1}}", -1, 0, "x: __metadata__ \"k\" is an integer, not a string"},
	/* An entry's frame. */
	{"{\"a\":7}", -1, 0, "x: tensor \"a\": its entry is an integer, not an object"},
	{"{\"\":{}}", -1, 0, "x: tensor \"\": the name has 0 bytes; 1 to 1024 are allowed"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"codec\":\"z\"}}", -1, 1,
	 "x: tensor \"a\": unknown field \"codec\"; dtype, shape and data_offsets are allowed"},
	/* dtype */
	{"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": dtype is absent, not a string"},
	{"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": dtype is an integer, not a string"},
	{"{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4,
	 "x: tensor \"a\": dtype is \"f32\", which is none of the format's (F32, F16, BF16, F64, I64, ...)"},
	/* shape */
	{"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape is absent, not an array"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape is an integer, not an array"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape[0] is a fraction, not an integer"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[2,-1],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape[1] is -1; it must not be negative"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape has 9 dimensions; at most 8 are allowed"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", -1, 0,
	 "x: tensor \"a\": shape's product passes 2^64 at shape[1] = 4294967296"},
	{"{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,134217728],\"data_offsets\":[0,0]}}", -1, 0,
	 "x: tensor \"a\": 576460752303423488 elements of F64 are more bits than 2^64"},
	{"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": 3 elements of F4 end within a byte"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape[0] is 9223372036854775808; 9223372036854775807 is the most allowed"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1e30],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape[0] is a fraction, not an integer"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[-9223372036854775809],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape[0] is -9223372036854775809; it must not be negative"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[NaN],\"data_offsets\":[0,1]}}", -1, 1,
	 "x: tensor \"a\": shape[0] is NaN, not an integer"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1000000000000000000000000000000]}}", -1,
	 1,
	 "x: tensor \"a\": data_offsets' end is 1000000000000000000000000000000; 9223372036854775807 is the "
	 "most allowed"},
	/* data_offsets */
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", -1, 1,
	 "x: tensor \"a\": data_offsets is absent; it must be [begin, end]"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", -1, 1,
	 "x: tensor \"a\": data_offsets is an array of another length than 2; it must be [begin, end]"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\"0\",1]}}", -1, 1,
	 "x: tensor \"a\": data_offsets' begin is a string, not an integer"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,-1]}}", -1, 1,
	 "x: tensor \"a\": data_offsets' end is -1; it must not be negative"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", -1, 1,
	 "x: tensor \"a\": data_offsets begin at 1, after their end 0"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}", -1, 7,
	 "x: tensor \"a\": data_offsets end at 8, past the 7 bytes of data in the file (is it cut short?)"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", -1, 1,
	 "x: tensor \"a\": data_offsets end at 9223372036854775807, past the 1 bytes of data in the file (is "
	 "it cut "
	 "short?)"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,7]}}", -1, 7,
	 "x: tensor \"a\": data_offsets hold 7 bytes; F32 [2, 1] needs 8"},
	{"{\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,4]}}", -1, 4,
	 "x: tensor \"a\": data_offsets hold 4 bytes; BF16 [] needs 2"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
	 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
	 -1, 6, "x: tensor \"b\": data_offsets begin at 2, which is not a multiple of the 4 bytes of a F32"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
	 "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[1,3]}}",
	 -1, 3, "x: tensor \"b\": data_offsets begin at 1, which is not a multiple of the 2 bytes of a BF16"},
	/* The second of two. */
	{"{\"__metadata__\":{\"k\":\"v\",\"l\":1}}", -1, 0,
	 "x: __metadata__ \"l\" is an integer, not a string"},
	/* The cover. */
	{"{}", -1, 3, "x: 3 bytes of data after the header belong to no tensor"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", -1, 3,
	 "x: 1 bytes of data after \"a\" belong to no tensor"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", -1, 2,
	 "x: tensor \"a\": data_offsets begin at 1 and leave a hole of 1 bytes after the header; no holes "
	 "are allowed"},
	{"{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]},"
	 "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
	 -1, 4,
	 "x: tensor \"b\": data_offsets begin at 3 and leave a hole of 1 bytes after \"a\"; no holes are "
	 "allowed"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
	 "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
	 -1, 4, "x: tensor \"b\": data_offsets begin at 2, inside tensor \"a\", which ends at 3"},
	{"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
	 "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
	 -1, 2, "x: tensor \"?\": data_offsets begin at 0, inside tensor \"?\", which ends at 2"},
};

/* '?' in the expected text stands for any one character. */
static bool same(const char *text, const char *wanted)
{
	for (; *text && *wanted; text++, wanted++)
		if (*wanted != '?' && *text != *wanted)
			return false;
	return *text == *wanted;
}

static void refuse(const uint8_t *bytes, size_t n, const char *message)
{
	struct safetensors *st = (void *)1;
	struct hokku_error err = {0};
	enum hokku_code rc = st_open_memory(bytes, n, "x", &st, &err);
	if (rc != HOKKU_BAD_FILE || !same(err.message, message))
		fail_msg("code %s\n  found  %s\n  wanted %s", hokku_code_name(rc), err.message, message);
	assert_null(st);
}

static void test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		size_t n;
		const struct broken *b = &broken[i];
		uint8_t *bytes = build(b->header, strlen(b->header), b->length, b->n_data, &n);
		refuse(bytes, n, b->message);
		free(bytes);
	}
	assert_true(sizeof broken / sizeof broken[0] >= 40);
}

static void test_short_files(void **state)
{
	(void)state;
	const uint8_t bytes[8] = {2};
	refuse(bytes, 0, "x: 0 bytes; a safetensors file has at least 10");
	refuse(bytes, 7, "x: 7 bytes; a safetensors file has at least 10");
	refuse(bytes, 8, "x: the header length is 2, but only 0 bytes follow");
	static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
	refuse((const uint8_t *)lfs, sizeof lfs - 1,
	       "x: it is a Git LFS pointer; fetch the file itself with `git lfs pull`");
	const uint8_t nul[] = {9, 0, 0, 0, 0, 0, 0, 0, '{', '"', 'a', 0, 'b', '"', ':', '1', '}'};
	struct safetensors *st;
	assert_int_equal(st_open_memory(nul, sizeof nul, "x", &st, NULL), HOKKU_BAD_FILE);
}

/* Every file that is a prefix of a good one is broken. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	static const char header[] = "{\"a\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}";
	size_t n;
	uint8_t *bytes = build(header, strlen(header), -1, 12, &n);
	struct safetensors *st;
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *copy = malloc(
			cut ? cut : 1); /* of its own size, so that the sanitizer sees a step too far */
		assert_non_null(copy);
		memcpy(copy, bytes, cut);
		assert_int_equal(st_open_memory(copy, cut, "x", &st, NULL), HOKKU_BAD_FILE);
		free(copy);
	}
	assert_int_equal(st_open_memory(bytes, n, "x", &st, NULL), HOKKU_OK);
	st_close(st);
	free(bytes);
}

static void test_name_limit(void **state)
{
	(void)state;
	for (size_t len = ST_MAX_NAME_BYTES - 1; len <= ST_MAX_NAME_BYTES + 1; len++) {
		char name[ST_MAX_NAME_BYTES + 2], header[ST_MAX_NAME_BYTES + 100];
		memset(name, 'n', len);
		name[len] = '\0';
		snprintf(header, sizeof header,
			 "{\"%s\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
		size_t n;
		uint8_t *bytes = build(header, strlen(header), -1, 1, &n);
		struct safetensors *st;
		enum hokku_code rc = st_open_memory(bytes, n, "x", &st, NULL);
		assert_int_equal(rc, len <= ST_MAX_NAME_BYTES ? HOKKU_OK : HOKKU_BAD_FILE);
		st_close(st);
		free(bytes);
	}
}

static void test_good(void **state)
{
	(void)state;
	static const char header[] =
		"{\"__metadata__\":{\"format\":\"pt\"},"
		"\"z\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
		"\"m.weight\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
		"\"empty\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[20,20]},"
		"\"a\":{\"shape\":[1,1,1,1,1,1,1,3],\"data_offsets\":[20,23],\"dtype\":\"BOOL\"},"
		"\"four\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[23,24]}}   ";
	size_t n;
	uint8_t *bytes = build(header, strlen(header), -1, 24, &n);
	struct safetensors *st;
	struct hokku_error err;
	assert_int_equal(st_open_memory(bytes, n, "x", &st, &err), HOKKU_OK);
	assert_int_equal(st_n_tensors(st), 5);
	static const char *const sorted[] = {"a", "empty", "four", "m.weight", "z"};
	for (uint64_t i = 0; i < 5; i++) {
		assert_true(str_eq_c(st_tensor_at(st, i)->name, sorted[i]));
		assert_ptr_equal(st_find(st, sorted[i]), st_tensor_at(st, i));
	}
	assert_null(st_tensor_at(st, 5));
	assert_null(st_find(st, "m.weigh"));
	assert_null(st_find(st, "__metadata__"));
	const struct st_tensor *t = st_find(st, "m.weight");
	assert_int_equal(t->dtype, ST_BF16);
	assert_string_equal(st_dtype_name(t->dtype), "BF16");
	assert_int_equal(t->n_dims, 2);
	assert_int_equal(t->dims[0], 2);
	assert_int_equal(t->dims[1], 3);
	assert_int_equal(t->n_elements, 6);
	assert_int_equal(t->n_bytes, 12);
	assert_int_equal(t->offset, 8 + strlen(header) + 8);
	uint8_t byte = 0;
	assert_int_equal(st_read(st, t, 0, &byte, 1, &err), HOKKU_OK);
	assert_int_equal(byte, 8);
	char shape[64], tiny[8];
	assert_string_equal(st_shape(t, shape, sizeof shape), "[2, 3]");
	assert_int_equal(strlen(st_shape(st_find(st, "a"), tiny, sizeof tiny)), 7);
	assert_int_equal(st_find(st, "z")->n_elements, 1);
	for (uint32_t i = 0; i < ST_MAX_DIMS; i++) /* one number has no dimensions */
		assert_int_equal(st_find(st, "z")->dims[i], 1);
	for (size_t size = 1; size < 16; size++) { /* whatever room there is, and no more */
		char room[17];
		memset(room, '#', sizeof room);
		st_shape(t, room, size);
		assert_true(strlen(room) < size && room[size] == '#');
	}
	uint8_t some[4];
	assert_int_equal(st_read(st, t, 3, some, 4, &err), HOKKU_OK);
	assert_true(some[0] == 11 && some[3] == 14);
	assert_int_equal(st_find(st, "empty")->n_bytes, 0);
	st_close(st);
	free(bytes);
}

/* Eight bytes may begin at any multiple of eight; -0 is 0. */
static void test_alignment(void **state)
{
	(void)state;
	static const char header[] = "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[-0,8]},"
				     "\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]},"
				     "\"c\":{\"dtype\":\"F64\",\"shape\":[-0],\"data_offsets\":[16,16]}}";
	size_t n;
	uint8_t *bytes = build(header, strlen(header), -1, 16, &n);
	struct safetensors *st;
	struct hokku_error err = {0};
	if (st_open_memory(bytes, n, "x", &st, &err))
		fail_msg("%s", err.message);
	assert_int_equal(st_find(st, "c")->n_elements, 0);
	st_close(st);
	free(bytes);
}

/* ---- folders ---- */

static char folder[] = "/tmp/hokku-safetensors-XXXXXX";

static void put(const char *name, const void *bytes, size_t n)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put_tensors(const char *name, const char *header, size_t n_data)
{
	size_t n;
	uint8_t *bytes = build(header, strlen(header), -1, n_data, &n);
	put(name, bytes, n);
	free(bytes);
}

static void expect_dir(const char *index, enum hokku_code code, const char *message)
{
	struct safetensors *st;
	struct hokku_error err = {0};
	char wanted[512];
	if (index)
		put("model.safetensors.index.json", index, strlen(index));
	enum hokku_code rc = st_open_dir(folder, &st, &err);
	snprintf(wanted, sizeof wanted, "%s%s", folder, message);
	if (rc != code || strcmp(err.message, wanted) != 0)
		fail_msg("code %s\n  found  %s\n  wanted %s", hokku_code_name(rc), err.message, wanted);
	assert_null(st);
}

#define INDEX "/model.safetensors.index.json: "

/* Paths of 4,095 bytes and a terminator; what is too long for the index's name fits the other's. */
static void test_long_paths(void **state)
{
	(void)state;
	static const size_t index = sizeof "/model.safetensors.index.json" - 1;
	for (size_t n = 4095 - index - 1; n <= 4095 - index + 1; n++) {
		struct safetensors *st;
		struct hokku_error err = {0};
		char dir[4096];
		memset(dir, '/', n); /* the root, and no such file in it */
		dir[n] = '\0';
		enum hokku_code rc = st_open_dir(dir, &st, &err);
		assert_int_equal(rc, n + index <= 4095 ? HOKKU_NOT_FOUND : HOKKU_INVALID_REQUEST);
		if (rc == HOKKU_INVALID_REQUEST) /* the other message is cut before its end */
			assert_non_null(strstr(err.message, "is longer than 4095 bytes"));
	}
}

static void test_shards(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	expect_dir(NULL, HOKKU_NOT_FOUND,
		   ": holds neither model.safetensors nor model.safetensors.index.json");
	put_tensors("s1.safetensors",
		    "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
		    "\"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
		    3);
	put_tensors("s2.safetensors",
		    "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
		    "\"d\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[4,9]}}",
		    9);
	put_tensors("s3.safetensors", "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2);
	put_tensors("bad.safetensors", "{\"a\":{}}", 0);
	expect_dir("{", HOKKU_BAD_FILE,
		   INDEX "line 1 column 1: a key in quotes or '}' is wanted, but the text ends here");
	expect_dir("{}", HOKKU_BAD_FILE,
		   INDEX "weight_map is absent or of another type; it must be an object {tensor: file}");
	expect_dir("{\"weight_map\":{}}", HOKKU_BAD_FILE,
		   INDEX "weight_map is empty; it must be an object {tensor: file}");
	expect_dir("{\"weight_map\":{\"a\":1}}", HOKKU_BAD_FILE, INDEX "weight_map \"a\" is not a string");
	static const char *const names[] = {"../s1.safetensors", "/etc/passwd", "", ".hidden", "..", "x/y"};
	for (size_t i = 0; i < 6; i++) {
		char index[128], message[256];
		snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", names[i]);
		snprintf(message, sizeof message,
			 INDEX "weight_map \"a\" names the file \"%s\"; only a plain file name of the same "
			       "folder is allowed",
			 names[i]);
		expect_dir(index, HOKKU_BAD_FILE, message);
	}
	expect_dir("{\"weight_map\":{\"a\":\"none.safetensors\"}}", HOKKU_NOT_FOUND,
		   "/none.safetensors: No such file or directory");
	expect_dir("{\"weight_map\":{\"a\":\"bad.safetensors\"}}", HOKKU_BAD_FILE,
		   "/bad.safetensors: tensor \"a\": dtype is absent, not a string");
	expect_dir(
		"{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s2.safetensors\",\"d\":\"s2.safetensors\"}}",
		HOKKU_BAD_FILE,
		INDEX "weight_map puts tensor \"b\" into s2.safetensors, which does not have it");
	expect_dir("{\"weight_map\":{\"b\":\"s1.safetensors\"}}", HOKKU_BAD_FILE,
		   "/s1.safetensors: has the tensor \"d\", which the weight_map of "
		   "model.safetensors.index.json does not name");
	expect_dir("{\"weight_map\":{\"a\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}}", HOKKU_BAD_FILE,
		   INDEX "line 1 column 37: duplicate key \"a\"");

	expect_dir("{\"weight_map\":{\"a\":\"s2.safetensors\\u0000\"}}", HOKKU_BAD_FILE,
		   INDEX "weight_map \"a\" names the file \"s2.safetensors\\x00\"; only a plain file name of "
			 "the same folder is allowed");

	/* A tensor in two shards has two values: transformers would take that of the shard it reads last. */
	expect_dir(
		"{\"weight_map\":{\"b\":\"s1.safetensors\",\"a\":\"s2.safetensors\",\"d\":\"s2.safetensors\"}}",
		HOKKU_BAD_FILE,
		"/s1.safetensors: has the tensor \"d\", which model.safetensors.index.json puts into s2.safetensors");

	/* Numbers that nobody reads, as Python writes them, after a byte order mark. */
	static const char good[] =
		"\xEF\xBB\xBF{\"metadata\":{\"total_size\":1000000000000000019884624838656,"
		"\"loss\":NaN},\"weight_map\":{\"b\":\"s3."
		"safetensors\",\"a\":\"s2.safetensors\","
		"\"d\":\"s2.safetensors\"}}";
	struct safetensors *st;
	struct hokku_error err;
	put("model.safetensors.index.json", good, strlen(good));
	assert_int_equal(st_open_dir(folder, &st, &err), HOKKU_OK);
	assert_int_equal(st_n_tensors(st), 3);
	assert_int_equal(st_find(st, "a")->n_bytes, 4);
	assert_int_equal(st_find(st, "b")->n_bytes, 2);
	assert_int_equal(st_find(st, "d")->n_bytes, 5);
	assert_int_equal(st_unchanged(st, &err), HOKKU_OK);
	uint8_t byte = 0;
	assert_int_equal(st_read(st, st_find(st, "d"), 0, &byte, 1, &err), HOKKU_OK);
	assert_int_equal(byte, 4);
	st_close(st);

	put_tensors("model.safetensors", "{\"one\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
		    1);
	assert_int_equal(st_open_dir(folder, &st, &err), HOKKU_OK); /* a single file goes before the index */
	assert_int_equal(st_n_tensors(st), 1);
	st_close(st);

	static const char *const files[] = {"s1.safetensors",    "s2.safetensors",
					    "s3.safetensors",    "bad.safetensors",
					    "model.safetensors", "model.safetensors.index.json"};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[256];
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken),       cmocka_unit_test(test_short_files),
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_name_limit),
		cmocka_unit_test(test_alignment),    cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_good),         cmocka_unit_test(test_shards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
