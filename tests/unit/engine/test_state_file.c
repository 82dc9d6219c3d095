/* The header of state files: what is written is read, and every bit of it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "engine/state_file.h"

enum { N_IDS = 70, N_BLOCKS = 2 };

static struct state_header some_header(void)
{
	struct state_header h = {.n_ids = N_IDS,
				 .n_prompt = 33,
				 .n_blocks = N_BLOCKS,
				 .n_groups = 2,
				 .groups = {{100, 0}, {40, 1}}};
	for (uint32_t f = 0; f < STATE_N_FIELDS; f++)
		snprintf(h.identity.text[f], STATE_FIELD_BYTES, "text %u", f);
	return h;
}

static struct strbuf written(struct state_header *h)
{
	struct strbuf b = {0};
	int32_t ids[N_IDS];
	for (int32_t i = 0; i < N_IDS; i++)
		ids[i] = 1000 * i;
	assert_true(state_measure(h));
	state_put_header(h, ids, &b);
	assert_false(b.failed);
	assert_int_equal(b.len, h->header_bytes);
	return b;
}

/* As a file of so many bytes that begins with these n. */
static enum hokku_code read_bytes(const char *bytes, size_t n, uint64_t file_bytes, struct state_header *h,
				  struct hokku_error *err)
{
	uint32_t header_bytes;
	size_t fixed = n < STATE_FIXED_BYTES ? n : STATE_FIXED_BYTES;
	const uint8_t *at = (const uint8_t *)bytes;
	*err = (struct hokku_error){0};
	enum hokku_code rc = state_read_fixed(at, fixed, file_bytes, "it", &header_bytes, err);
	if (rc || header_bytes > n)
		return rc ? rc : HOKKU_BAD_FILE;
	uint8_t *copy = malloc(header_bytes); /* so that a read beyond it is seen */
	memcpy(copy, bytes, header_bytes);
	rc = state_read_header(copy, header_bytes, file_bytes, "it", h, err);
	free(copy);
	return rc;
}

static void comes_back(void **state)
{
	struct state_header h = some_header(), got;
	struct hokku_error err;
	int32_t ids[N_IDS];
	(void)state;
	struct strbuf b = written(&h);
	assert_int_equal(h.file_bytes, h.header_bytes + 2 * 100 + 1 * 40 + STATE_SUM_BYTES);
	assert_int_equal(read_bytes(b.ptr, b.len, h.file_bytes, &got, &err), HOKKU_OK);
	assert_int_equal(got.n_ids, N_IDS);
	assert_int_equal(got.n_prompt, 33);
	assert_int_equal(got.n_blocks, N_BLOCKS);
	assert_int_equal(got.sum, h.sum);
	assert_int_equal(state_piece_bytes(&got, 0), 100);
	assert_int_equal(state_piece_bytes(&got, 1), 140);
	assert_int_equal(state_check_identity(&got.identity, &h.identity, "it", &err), HOKKU_OK);
	state_read_ids(&got, (const uint8_t *)b.ptr, ids);
	for (int32_t i = 0; i < N_IDS; i++)
		assert_int_equal(ids[i], 1000 * i);
	strbuf_free(&b);
}

/* Also where the file's size is changed with it. */
static void every_bit_counts(void **state)
{
	struct state_header h = some_header(), got;
	struct hokku_error err;
	(void)state;
	struct strbuf b = written(&h);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.ptr[bit / 8] ^= (char)(1 << bit % 8);
		uint64_t bytes;
		memcpy(&bytes, b.ptr + 16, sizeof bytes);
		if (read_bytes(b.ptr, b.len, h.file_bytes, &got, &err) != HOKKU_BAD_FILE ||
		    read_bytes(b.ptr, b.len, bytes, &got, &err) != HOKKU_BAD_FILE)
			fail_msg("bit %zu: %s", bit, err.message);
		b.ptr[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (uint64_t n = 0; n < h.file_bytes; n++)
		assert_int_equal(read_bytes(b.ptr, n < b.len ? n : b.len, n, &got, &err), HOKKU_BAD_FILE);
	assert_int_equal(read_bytes(b.ptr, b.len, h.file_bytes + 1, &got, &err), HOKKU_BAD_FILE);
	strbuf_free(&b);
}

static void says_what_is_wrong(void **state)
{
	struct state_header h = some_header(), got;
	struct hokku_error err;
	(void)state;
	struct strbuf b = written(&h);
	read_bytes("GGUF and so on", 14, 14, &got, &err);
	assert_string_equal(err.message, "it is no state: it does not begin with \"hokku kv\"");
	read_bytes(b.ptr, 0, 0, &got, &err);
	assert_string_equal(err.message, "it is no state: it does not begin with \"hokku kv\"");
	read_bytes(b.ptr, 39, 39, &got, &err);
	assert_string_equal(err.message, "it was cut: it has 39 bytes, and a state at least 40");
	read_bytes(b.ptr, b.len, h.file_bytes - 1, &got, &err);
	assert_string_equal(err.message, "it was cut: it has 677 bytes and was written with 678");
	read_bytes(b.ptr, b.len, h.file_bytes + 1, &got, &err);
	assert_string_equal(err.message, "it was written to: it has 679 bytes and was written with 678");
	b.ptr[8] = 2;
	read_bytes(b.ptr, b.len, h.file_bytes, &got, &err);
	assert_string_equal(err.message, "it is a state of version 2; this hokku reads 1");
	b.ptr[8] = STATE_VERSION;
	b.ptr[b.len - 20] ^= 1;
	read_bytes(b.ptr, b.len, h.file_bytes, &got, &err);
	assert_non_null(
		strstr(err.message, "it was changed since it was written: the checksum of its header is "));
	strbuf_free(&b);
}

/* A header whose checksum is right and whose numbers are not. */
static void what_no_writer_writes(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} cases[] = {
		{24, 0},
		{24, STATE_MAX_IDS + 1},
		{24, N_IDS - 1},
		{28, N_IDS + 1},
		{32, N_IDS + 1},
		{32, 1},
		{36, 0},
		{36, MODEL_MAX_KV_GROUPS + 1},
		{36, 1},
		{48, N_BLOCKS + 1},
		{52, 1},
		{40, 99},
		{72, STATE_FIELD_BYTES},
		{72, 0},
		{72, UINT32_MAX},
		{76, 0},
	};
	struct state_header h = some_header(), got;
	struct hokku_error err;
	(void)state;
	struct strbuf b = written(&h);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t before;
		memcpy(&before, b.ptr + cases[i].at, sizeof before);
		assert_int_not_equal(before, cases[i].value);
		memcpy(b.ptr + cases[i].at, &cases[i].value, sizeof before);
		uint64_t sum = state_sum(0, b.ptr, b.len - STATE_SUM_BYTES);
		memcpy(b.ptr + b.len - STATE_SUM_BYTES, &sum, sizeof sum);
		if (read_bytes(b.ptr, b.len, h.file_bytes, &got, &err) != HOKKU_BAD_FILE)
			fail_msg("%u at %zu was taken", cases[i].value, cases[i].at);
		assert_non_null(strstr(err.message, "it breaks the rules of a state"));
		memcpy(b.ptr + cases[i].at, &before, sizeof before);
	}
	strbuf_free(&b);
}

static void each_field_is_named(void **state)
{
	static const char *const names[] = {"model",           "build of hokku",
					    "device class",    "KV layout",
					    "RoPE set",        "number of positions a block",
					    "set of KV groups"};
	struct state_header found = some_header(), wanted = some_header();
	(void)state;
	for (uint32_t f = 0; f < STATE_N_FIELDS; f++) {
		struct hokku_error err;
		char message[160];
		snprintf(found.identity.text[f], STATE_FIELD_BYTES, "that one");
		assert_int_equal(state_check_identity(&found.identity, &wanted.identity, "it", &err),
				 HOKKU_INVALID_REQUEST);
		snprintf(message, sizeof message,
			 "it belongs to another %s: it has \"that one\", and here is \"text %u\"", names[f],
			 f);
		assert_string_equal(err.message, message);
		found.identity = wanted.identity;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),          cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(says_what_is_wrong),  cmocka_unit_test(what_no_writer_writes),
		cmocka_unit_test(each_field_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
