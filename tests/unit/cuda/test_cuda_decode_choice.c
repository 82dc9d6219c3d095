/*
 * Which kernel a launch of the decode kernel takes: decode_choice.c, with launches that only note
 * their name. Needs no device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "compute/cuda/decode/decode_kernels.h"

/* clang-format off */
#define KERNELS(X) \
	X(full_f16) \
	X(full_bf16) \
	X(full_q8_0) \
	X(full_mixed) \
	X(full_any) \
	X(full_odd) \
	X(full_all) \
	X(half_f16) \
	X(half_bf16) \
	X(half_q8_0) \
	X(half_k4) \
	X(half_any) \
	X(half_odd) \
	X(half_all) \
	X(full_rich) \
	X(full_rich_more) \
	X(half_rich) \
	X(half_rich_more) \
	X(half_rich_k4) \
	X(full_rich_bf16) \
	X(half_rich_bf16) \
	X(full_few_f16) \
	X(full_few_q8_0) \
	X(full_few_mixed) \
	X(full_few) \
	X(half_few_f16) \
	X(half_few_q8_0) \
	X(half_few_k4) \
	X(half_few)
/* clang-format on */

static const char *taken;

#define NOTE(name)                                                                                        \
	static cudaError_t note_##name(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes, \
				       cudaStream_t stream)                                               \
	{                                                                                                 \
		(void)a, (void)grid, (void)shared_bytes, (void)stream;                                    \
		taken = #name;                                                                            \
		return cudaSuccess;                                                                       \
	}
KERNELS(NOTE)

#define decode_full_f16       note_full_f16
#define decode_full_bf16      note_full_bf16
#define decode_full_q8_0      note_full_q8_0
#define decode_full_mixed     note_full_mixed
#define decode_full_any       note_full_any
#define decode_full_odd       note_full_odd
#define decode_full_all       note_full_all
#define decode_half_f16       note_half_f16
#define decode_half_bf16      note_half_bf16
#define decode_half_q8_0      note_half_q8_0
#define decode_half_k4        note_half_k4
#define decode_half_any       note_half_any
#define decode_half_odd       note_half_odd
#define decode_half_all       note_half_all
#define decode_full_rich      note_full_rich
#define decode_half_rich      note_half_rich
#define decode_full_rich_more note_full_rich_more
#define decode_half_rich_more note_half_rich_more
#define decode_half_rich_k4   note_half_rich_k4
#define decode_full_rich_bf16 note_full_rich_bf16
#define decode_half_rich_bf16 note_half_rich_bf16
#define decode_full_few_f16   note_full_few_f16
#define decode_full_few_q8_0  note_full_few_q8_0
#define decode_full_few_mixed note_full_few_mixed
#define decode_full_few       note_full_few
#define decode_half_few_f16   note_half_few_f16
#define decode_half_few_q8_0  note_half_few_q8_0
#define decode_half_few_k4    note_half_few_k4
#define decode_half_few       note_half_few
#include "compute/cuda/decode/decode_choice.c"

static void choice(void **state)
{
	(void)state;
	enum {
		F16 = 1u << CUDA_F16,
		BF16 = 1u << CUDA_BF16,
		F32 = 1u << CUDA_F32,
		IQ4_NL = 1u << CUDA_IQ4_NL,
		Q8_0 = 1u << CUDA_Q8_0,
		Q5_0 = 1u << CUDA_Q5_0,
		Q4_K = 1u << CUDA_Q4_K,
		Q5_K = 1u << CUDA_Q5_K,
		Q6_K = 1u << CUDA_Q6_K,
	};
	static const struct {
		uint32_t planes, formats, hd;
		const char *kernel; /* NULL: refused */
	} rows[] = {
		{2, F16, 64, "full_f16"},
		{2, F16, 128, "full_f16"},
		{2, F16, 32, "full_odd"},
		{2, F16, 96, "full_odd"},
		{2, Q8_0, 64, "full_q8_0"},
		{2, Q8_0 | F16, 64, "full_any"},
		{2, Q4_K | Q6_K | Q5_0 | Q8_0, 64, "full_mixed"},
		{2, Q4_K, 128, "full_mixed"},
		{2, Q4_K | Q5_K, 128, "full_any"},
		{1, F16, 128, "half_f16"},
		{1, F16, 64, "half_any"},
		{1, F16, 96, "half_odd"},
		{2, BF16, 64, "full_bf16"},
		{2, BF16, 128, "full_bf16"},
		{2, BF16, 96, "full_bf16"},
		{2, BF16 | F16, 128, "full_all"},
		{2, F32, 64, "full_all"},
		{2, F32, 32, NULL},
		{1, BF16, 128, "half_bf16"},
		{1, BF16, 64, "half_bf16"},
		{1, IQ4_NL | Q6_K, 128, "half_all"},
		{1, IQ4_NL | Q6_K, 96, NULL},
		{2, BF16, 160, NULL},
		{1, Q8_0, 128, "half_q8_0"},
		{1, Q4_K | Q6_K, 128, "half_k4"},
		{1, Q6_K, 128, "half_k4"},
		{1, Q4_K | Q6_K, 64, "half_any"},
		{1, Q4_K | Q6_K, 32, "half_odd"},
		{1, Q4_K | Q6_K | Q8_0, 128, "half_any"},
		{1, F16, 160, NULL},
		{2, F16, 160, NULL},
		{2, F16, 256, NULL},
		{3, F16, 64, NULL},
	};
	static const struct {
		uint32_t planes, formats, hd;
		const char *kernel;
	} rich[] = {
		{2, F16, 32, "full_rich"},        {2, Q8_0, 64, "full_rich_more"},
		{2, F16, 96, "full_rich_more"},   {2, Q4_K, 128, "full_rich_more"},
		{2, Q4_K, 256, "full_rich"},      {1, F16, 32, "half_rich"},
		{1, Q8_0, 96, "half_rich_more"},  {1, Q4_K | Q6_K, 96, "half_rich_k4"},
		{1, Q5_K, 256, "half_rich"},      {1, Q4_K | Q6_K, 256, "half_rich_k4"},
		{1, Q4_K, 128, "half_rich_more"}, {1, Q4_K, 160, NULL},
		{1, BF16, 256, "half_rich_bf16"}, {2, BF16, 96, "full_rich_bf16"},
		{2, IQ4_NL, 128, NULL},
	};
	/* of several sequences; BF16 and heads of 32 and 96 have none */
	static const struct {
		uint32_t planes, formats, hd;
		const char *kernel;
	} several[] = {
		{2, F16, 64, "full_few_f16"},
		{2, Q8_0, 128, "full_few_q8_0"},
		{2, Q4_K | Q8_0, 64, "full_few_mixed"},
		{2, Q4_K | Q5_K, 64, "full_few"},
		{1, F16, 128, "half_few_f16"},
		{1, Q8_0, 128, "half_few_q8_0"},
		{1, Q4_K | Q6_K, 128, "half_few_k4"},
		{1, F16, 64, "half_few"},
		{1, IQ4_NL, 128, "half_few"},
		{2, F32, 128, "full_few"},
		{2, F16, 32, NULL},
		{1, Q8_0, 96, NULL},
		{2, BF16, 32, NULL},
		{2, F16, 256, NULL},
	};
	for (size_t i = 0; i < sizeof several / sizeof several[0]; i++) {
		struct decode_args a = {.planes = several[i].planes,
					.formats = several[i].formats,
					.hd = several[i].hd,
					.most_seqs = 2};
		taken = "none";
		cudaError_t e = decode_start(&a, 1, 0, NULL);
		assert_int_equal(e, several[i].kernel ? cudaSuccess : cudaErrorInvalidValue);
		assert_string_equal(taken, several[i].kernel ? several[i].kernel : "none");
	}
	for (size_t i = 0; i < sizeof rich / sizeof rich[0]; i++) {
		struct decode_args a = {
			.planes = rich[i].planes, .formats = rich[i].formats, .hd = rich[i].hd, .rich = 1};
		taken = "none";
		cudaError_t e = decode_start(&a, 1, 0, NULL);
		assert_int_equal(e, rich[i].kernel ? cudaSuccess : cudaErrorInvalidValue);
		assert_string_equal(taken, rich[i].kernel ? rich[i].kernel : "none");
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct decode_args a = {
			.planes = rows[i].planes, .formats = rows[i].formats, .hd = rows[i].hd};
		taken = NULL;
		assert_int_equal(decode_has_kernel(&a), rows[i].kernel != NULL);
		cudaError_t e = decode_start(&a, 1, 0, NULL);
		if (!rows[i].kernel) {
			assert_int_equal(e, cudaErrorInvalidValue);
			assert_null(taken);
			continue;
		}
		assert_int_equal(e, cudaSuccess);
		assert_string_equal(taken, rows[i].kernel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(choice)};
	return cmocka_run_group_tests_name("cuda decode choice", tests, NULL, NULL);
}
