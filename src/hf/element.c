#include "hf/element.h"

#include <string.h>

#include "base/half.h"

static void from_f32(const uint8_t *src, float *dst, size_t n)
{
	memcpy(dst, src, n * sizeof *dst);
}

static void from_f16(const uint8_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, src + 2 * i, sizeof h);
		dst[i] = f32_from_f16(h);
	}
}

static void from_bf16(const uint8_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, src + 2 * i, sizeof h);
		dst[i] = f32_from_bf16(h);
	}
}

static void from_f64(const uint8_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double d;
		memcpy(&d, src + 8 * i, sizeof d);
		dst[i] = (float)d;
	}
}

const struct hf_element *hf_element_get(enum st_dtype dtype)
{
	static const struct hf_element elements[ST_N_DTYPES] = {
		[ST_F32] = {4, TENSOR_F32, from_f32},
		[ST_F16] = {2, TENSOR_F16, from_f16},
		[ST_BF16] = {2, TENSOR_BF16, from_bf16},
		[ST_F64] = {8, TENSOR_F32, from_f64},
	};
	return (unsigned)dtype < ST_N_DTYPES && elements[dtype].bytes ? &elements[dtype] : NULL;
}
