/*
 * The decode kernels for some formats alone differ from those for all in nothing but what they are compiled
 * for, and take minutes to compile for the emulator. There, their launches are launches of those.
 */
#include "compute/cuda/decode/decode_kernels.h"

#define TWIN(name, of)                                                                               \
	cudaError_t decode_##name(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes, \
				  cudaStream_t stream)                                               \
	{                                                                                            \
		return decode_##of(a, grid, shared_bytes, stream);                                   \
	}

TWIN(full_f16, full_all)
TWIN(full_q8_0, full_all)
TWIN(full_mixed, full_all)
TWIN(full_any, full_all)
TWIN(half_f16, half_all)
TWIN(half_q8_0, half_all)
TWIN(half_k4, half_all)
TWIN(half_any, half_all)
TWIN(half_rich_k4, half_rich)
TWIN(full_few_f16, full_few)
TWIN(full_few_q8_0, full_few)
TWIN(full_few_mixed, full_few)
TWIN(half_few_f16, half_few)
TWIN(half_few_q8_0, half_few)
TWIN(half_few_k4, half_few)

/* No test runs a rich model with such heads, or in BF16, on the emulator. */
#define NONE(name)                                                                       \
	cudaError_t decode_##name(const struct decode_args *, uint32_t, uint32_t, cudaStream_t) \
	{                                                                                \
		return cudaErrorInvalidValue;                                            \
	}

NONE(full_rich_more)
NONE(half_rich_more)
NONE(full_rich_bf16)
NONE(half_rich_bf16)
