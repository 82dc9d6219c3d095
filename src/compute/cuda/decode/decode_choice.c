/* Which of the decode kernels (decode_kernel.cuh) a launch takes. */
#include "compute/cuda/decode/decode_kernels.h"

/* Columns of a head, padded to 32s, as a bit of `heads`. */
#define HEADS(hd) (1u << (hd) / 32)

/* The first row that fits is taken. Kernels for some formats alone are there for shapes that models of the
 * size have: each costs half a minute of compiling. */
static const struct {
	uint32_t planes, formats, heads, rich;
	decode_launch_fn *launch, *few; /* few: of several sequences; may be NULL */
} kernels[] = {
	{2, DECODE_F16, HEADS(64) | HEADS(128), 0, decode_full_f16, decode_full_few_f16},
	{2, DECODE_BF16, HEADS(32) | HEADS(64) | HEADS(96) | HEADS(128), 0, decode_full_bf16, NULL},
	{2, DECODE_Q8_0, HEADS(64) | HEADS(128), 0, decode_full_q8_0, decode_full_few_q8_0},
	{2, DECODE_MIXED, HEADS(64) | HEADS(128), 0, decode_full_mixed, decode_full_few_mixed},
	{1, DECODE_F16, HEADS(128), 0, decode_half_f16, decode_half_few_f16},
	{1, DECODE_BF16, HEADS(32) | HEADS(64) | HEADS(96) | HEADS(128), 0, decode_half_bf16, NULL},
	{1, DECODE_Q8_0, HEADS(128), 0, decode_half_q8_0, decode_half_few_q8_0},
	{1, DECODE_K4, HEADS(128), 0, decode_half_k4, decode_half_few_k4},
	{2, DECODE_ANY, HEADS(64) | HEADS(128), 0, decode_full_any, NULL},
	{2, DECODE_ANY, HEADS(32) | HEADS(96), 0, decode_full_odd, NULL},
	{2, DECODE_ALL, HEADS(64) | HEADS(128), 0, decode_full_all, decode_full_few},
	{1, DECODE_ANY, HEADS(64) | HEADS(128), 0, decode_half_any, NULL},
	{1, DECODE_ANY, HEADS(32) | HEADS(96), 0, decode_half_odd, NULL},
	{1, DECODE_ALL, HEADS(64) | HEADS(128), 0, decode_half_all, decode_half_few},
	{2, DECODE_BF16, HEADS(32) | HEADS(64) | HEADS(96) | HEADS(128) | HEADS(256), 1,
	 decode_full_rich_bf16, NULL},
	{1, DECODE_BF16, HEADS(32) | HEADS(64) | HEADS(96) | HEADS(128) | HEADS(256), 1,
	 decode_half_rich_bf16, NULL},
	{1, DECODE_K4, HEADS(96) | HEADS(256), 1, decode_half_rich_k4, NULL},
	{2, DECODE_ANY, HEADS(32) | HEADS(256), 1, decode_full_rich, NULL},
	{1, DECODE_ANY, HEADS(32) | HEADS(256), 1, decode_half_rich, NULL},
	{2, DECODE_ANY, HEADS(64) | HEADS(96) | HEADS(128), 1, decode_full_rich_more, NULL},
	{1, DECODE_ANY, HEADS(64) | HEADS(96) | HEADS(128), 1, decode_half_rich_more, NULL},
};

static decode_launch_fn *kernel_of(const struct decode_args *a)
{
	for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
		decode_launch_fn *launch = a->most_seqs ? kernels[i].few : kernels[i].launch;
		if (launch && kernels[i].planes == a->planes && kernels[i].rich == a->rich &&
		    !(a->formats & ~kernels[i].formats) && kernels[i].heads & HEADS(a->hd))
			return launch;
	}
	return NULL;
}

bool decode_has_kernel(const struct decode_args *a)
{
	return kernel_of(a) != NULL;
}

cudaError_t decode_start(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			 cudaStream_t stream)
{
	decode_launch_fn *launch = kernel_of(a);
	return launch ? launch(a, grid, shared_bytes, stream) : cudaErrorInvalidValue;
}
