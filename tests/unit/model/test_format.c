/* Block formats, bit for bit, against golden/formats (made by another implementation, see its README). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/half.h"
#include "golden.h"
#include "model/format.h"

static void *read_kind(const char *name, const char *kind, size_t *n)
{
	char path[512];
	snprintf(path, sizeof path, "%s/formats/%s.%s.bin", TEST_GOLDEN_DIR, name, kind);
	return golden_read(path, n);
}

/* Equal bits; a NaN equals any NaN, whose payload no format speaks of. */
static void assert_same_floats(const char *name, const float *got, const float *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (f32_bits(got[i]) != f32_bits(want[i]) && !(isnan(got[i]) && isnan(want[i])))
			fail_msg("%s: element %zu is %a, wanted %a", name, i, (double)got[i],
				 (double)want[i]);
}

static const char *const all[] = {"F32",  "F16",  "BF16", "Q8_0", "Q4_0", "Q4_1",   "Q5_0",   "Q5_1",
				  "Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS", NULL};

static const struct format *by_name(const char *name)
{
	enum tensor_type type;
	assert_true(tensor_type_by_name(str_c(name), &type));
	const struct format *f = format_get(type);
	assert_non_null(f);
	return f;
}

static void the_table_is_whole(void **state)
{
	(void)state;
	size_t n = 0;
	for (; all[n]; n++) {
		const struct format *f = by_name(all[n]);
		const struct tensor_type_info *info = tensor_type_get(f->type);
		assert_string_equal(format_names()[n], all[n]);
		assert_string_equal(f->name, info->name);
		assert_int_equal(f->block_elements, info->block_elements);
		assert_int_equal(f->block_bytes, info->block_bytes);
		assert_non_null(f->dequantise);
	}
	assert_null(format_names()[n]);
	for (unsigned id = 0; id <= TENSOR_N_TYPES + 1; id++) {
		const struct format *f = format_get((enum tensor_type)id);
		assert_true(!f || f->type == id);
	}
	assert_null(format_get(TENSOR_Q8_K));
	assert_null(format_get(TENSOR_N_TYPES));
}

static void blocks_stand_for_the_golden_values(void **state)
{
	(void)state;
	for (size_t i = 1; all[i]; i++) { /* F32 is its own value */
		const struct format *f = by_name(all[i]);
		size_t n_bytes, n_value_bytes;
		char *blocks = read_kind(all[i], "blocks", &n_bytes);
		float *want = read_kind(all[i], "values", &n_value_bytes);
		size_t n = n_bytes / f->block_bytes * f->block_elements;
		assert_int_equal(n_bytes % f->block_bytes, 0);
		assert_int_equal(n * sizeof(float), n_value_bytes);
		float *got = malloc(n_value_bytes);
		f->dequantise(blocks, got, n);
		assert_same_floats(all[i], got, want, n);

		/* the same from an odd address */
		char *moved = malloc(n_bytes + 1);
		memcpy(moved + 1, blocks, n_bytes);
		memset(got, 0xFF, n_value_bytes);
		f->dequantise(moved + 1, got, n);
		assert_same_floats(all[i], got, want, n);
		free(moved);
		free(got);
		free(want);
		free(blocks);
	}
}

static void floats_become_the_golden_blocks(void **state)
{
	(void)state;
	static const char *const written[][2] = {
		{"F16", "blocks"}, {"BF16", "blocks"}, {"Q8_0", "quantised"}};
	for (size_t i = 0; i < 3; i++) {
		const struct format *f = by_name(written[i][0]);
		size_t n_source_bytes, n_bytes;
		float *source = read_kind(f->name, "source", &n_source_bytes);
		unsigned char *want = read_kind(f->name, written[i][1], &n_bytes);
		size_t n = n_source_bytes / sizeof(float);
		assert_int_equal(n / f->block_elements * f->block_bytes, n_bytes);
		unsigned char *got = malloc(n_bytes);
		f->quantise(source, got, n);
		for (size_t b = 0; b < n_bytes; b++)
			if (got[b] != want[b])
				fail_msg("%s: byte %zu of block %zu is %u, wanted %u", f->name,
					 b % f->block_bytes, b / f->block_bytes, got[b], want[b]);
		free(got);
		free(want);
		free(source);
	}
}

static void f32_is_copied(void **state)
{
	(void)state;
	const struct format *f = by_name("F32");
	const float values[] = {0.0f, -0.0f, 1.5f, INFINITY, 1e-45f, NAN};
	float there[6], back[6];
	f->quantise(values, there, 6);
	f->dequantise(there, back, 6);
	assert_memory_equal(back, values, sizeof values);
}

/* What is no number must not come back as one. */
static void q8_0_does_not_hide_what_is_no_number(void **state)
{
	(void)state;
	const struct format *f = by_name("Q8_0");
	static const float odd[] = {NAN, INFINITY, -INFINITY};
	for (size_t k = 0; k < 3; k++) {
		float values[64], back[64];
		unsigned char blocks[68];
		for (int i = 0; i < 64; i++)
			values[i] = (float)i;
		values[40] = odd[k];
		f->quantise(values, blocks, 64);
		f->dequantise(blocks, back, 64);
		for (int i = 0; i < 32; i++)
			assert_true(fabsf(back[i] - values[i]) < 0.13f && isnan(back[32 + i]));
	}
	/* A scale far below float16: zero, and no overflow on the way (the reciprocal is infinite). */
	float tiny[32], back[32];
	unsigned char block[34];
	for (int i = 0; i < 32; i++)
		tiny[i] = 1e-44f;
	f->quantise(tiny, block, 32);
	f->dequantise(block, back, 32);
	for (int i = 0; i < 32; i++)
		assert_true(back[i] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_whole),
		cmocka_unit_test(blocks_stand_for_the_golden_values),
		cmocka_unit_test(floats_become_the_golden_blocks),
		cmocka_unit_test(f32_is_copied),
		cmocka_unit_test(q8_0_does_not_hide_what_is_no_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
