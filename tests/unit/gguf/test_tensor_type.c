/* Names, ids and block sizes of the tensor types. The numbers are the GGUF specification's and, for bytes,
 * what the block layouts add up to (docs/gguf.md); oracle/gguf.test.mjs compares names and ids with another
 * reader. */
#include "gguf/builder.h"

#include "gguf/tensor_type.h"

static void test_geometry(void **state)
{
	(void)state;
	static const struct {
		uint32_t id;
		const char *name;
		uint32_t elements, bytes;
	} want[] = {
		{0, "F32", 1, 4},
		{1, "F16", 1, 2},
		{2, "Q4_0", 32, 2 + 16},
		{3, "Q4_1", 32, 2 + 2 + 16},
		{6, "Q5_0", 32, 2 + 4 + 16},
		{7, "Q5_1", 32, 2 + 2 + 4 + 16},
		{8, "Q8_0", 32, 2 + 32},
		{9, "Q8_1", 32, 2 + 2 + 32},
		{10, "Q2_K", 256, 16 + 64 + 2 + 2},
		{11, "Q3_K", 256, 32 + 64 + 12 + 2},
		{12, "Q4_K", 256, 2 + 2 + 12 + 128},
		{13, "Q5_K", 256, 2 + 2 + 12 + 32 + 128},
		{14, "Q6_K", 256, 128 + 64 + 16 + 2},
		{15, "Q8_K", 256, 4 + 256 + 32},
		{16, "IQ2_XXS", 256, 2 + 64},
		{17, "IQ2_XS", 256, 2 + 64 + 8},
		{18, "IQ3_XXS", 256, 2 + 64 + 32},
		{19, "IQ1_S", 256, 2 + 32 + 16},
		{20, "IQ4_NL", 32, 2 + 16},
		{21, "IQ3_S", 256, 2 + 64 + 8 + 32 + 4},
		{22, "IQ2_S", 256, 2 + 64 + 8 + 8},
		{23, "IQ4_XS", 256, 2 + 2 + 4 + 128},
		{24, "I8", 1, 1},
		{25, "I16", 1, 2},
		{26, "I32", 1, 4},
		{27, "I64", 1, 8},
		{28, "F64", 1, 8},
		{29, "IQ1_M", 256, 32 + 16 + 8},
		{30, "BF16", 1, 2},
		{34, "TQ1_0", 256, 48 + 4 + 2},
		{35, "TQ2_0", 256, 64 + 2},
		{39, "MXFP4", 32, 1 + 16},
		{40, "NVFP4", 64, 4 + 32},
		{41, "Q1_0", 128, 2 + 16},
		{42, "Q2_0", 64, 2 + 16},
	};
	uint32_t next = 0;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		for (; next < want[i].id; next++)
			assert_null(tensor_type_get(next)); /* ids between the known ones were withdrawn */
		const struct tensor_type_info *info = tensor_type_get(next++);
		assert_non_null(info);
		assert_string_equal(info->name, want[i].name);
		assert_int_equal(info->block_elements, want[i].elements);
		assert_int_equal(info->block_bytes, want[i].bytes);
	}
	assert_int_equal(next, TENSOR_N_TYPES);
	assert_null(tensor_type_get(TENSOR_N_TYPES));
	assert_null(tensor_type_get(UINT32_MAX));
}

static void test_removed(void **state)
{
	(void)state;
	static const struct {
		uint32_t id;
		const char *name;
		uint32_t elements, bytes;
		enum tensor_type instead;
	} want[] = {
		{4, "Q4_2", 16, 2 + 8, TENSOR_Q4_0},           {5, "Q4_3", 16, 2 + 2 + 8, TENSOR_Q4_1},
		{31, "Q4_0_4_4", 32, 2 + 16, TENSOR_Q4_0},     {32, "Q4_0_4_8", 32, 2 + 16, TENSOR_Q4_0},
		{33, "Q4_0_8_8", 32, 2 + 16, TENSOR_Q4_0},     {36, "IQ4_NL_4_4", 32, 2 + 16, TENSOR_IQ4_NL},
		{37, "IQ4_NL_4_8", 32, 2 + 16, TENSOR_IQ4_NL}, {38, "IQ4_NL_8_8", 32, 2 + 16, TENSOR_IQ4_NL},
	};
	char label[16];
	enum tensor_type type = TENSOR_I8;
	size_t n = 0;
	for (uint32_t id = 0; id <= TENSOR_N_TYPES + 1; id++) {
		const struct tensor_type_info *info = tensor_type_removed(id, &type);
		if (!info)
			continue;
		assert_int_equal(id, want[n].id);
		assert_string_equal(info->name, want[n].name);
		assert_string_equal(tensor_type_label(id, label), want[n].name);
		assert_int_equal(info->block_elements, want[n].elements);
		assert_int_equal(info->block_bytes, want[n].bytes);
		assert_int_equal(type, want[n].instead);
		assert_ptr_equal(tensor_type_removed(id, NULL), info);
		assert_null(tensor_type_get(id));
		assert_false(tensor_type_by_name(str_c(info->name), &type)); /* nobody writes it */
		n++;
	}
	assert_int_equal(n, sizeof want / sizeof *want);
	assert_null(tensor_type_removed(UINT32_MAX, &type));
	assert_string_equal(tensor_type_label(TENSOR_Q4_K, label), "Q4_K");
	assert_string_equal(tensor_type_label(TENSOR_N_TYPES, label), "type 43");
	assert_string_equal(tensor_type_label(UINT32_MAX, label), "type 4294967295");
}

static void test_by_name(void **state)
{
	(void)state;
	enum tensor_type type = TENSOR_I8;
	assert_true(tensor_type_by_name(STR_LIT("Q4_K"), &type));
	assert_int_equal(type, TENSOR_Q4_K);
	assert_true(tensor_type_by_name(STR_LIT("q8_0"), &type));
	assert_int_equal(type, TENSOR_Q8_0);
	assert_true(tensor_type_by_name(STR_LIT("bf16"), &type));
	assert_int_equal(type, TENSOR_BF16);
	static const char *const none[] = {"", "Q4", "Q4_K_M", "Q4_", "F3", "F322", "unknown"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_false(tensor_type_by_name(str_c(none[i]), &type));
	assert_false(tensor_type_by_name((struct str){"F32", 2}, &type));
	assert_int_equal(type, TENSOR_BF16); /* untouched */
	for (uint32_t id = 0; id < TENSOR_N_TYPES; id++)
		if (tensor_type_get(id)) {
			assert_true(tensor_type_by_name(str_c(tensor_type_get(id)->name), &type));
			assert_int_equal(type, id);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_geometry), cmocka_unit_test(test_removed),
					   cmocka_unit_test(test_by_name)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
