/* F32, F16, BF16: plain floats, little-endian, in any alignment. Narrowing rounds to nearest even. */
#include <string.h>

#include "base/half.h"
#include "model/format_rows.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "tensor data is little-endian and is used as it lies");

void f32_dequantise(const void *src, float *dst, size_t n_elements)
{
	memcpy(dst, src, n_elements * sizeof(float));
}

void f32_quantise(const float *src, void *dst, size_t n_elements)
{
	memcpy(dst, src, n_elements * sizeof(float));
}

static void widen(const void *src, float *dst, size_t n_elements, float (*to_f32)(uint16_t))
{
	const uint8_t *bytes = src;
	for (size_t i = 0; i < n_elements; i++) {
		uint16_t h;
		memcpy(&h, bytes + 2 * i, 2);
		dst[i] = to_f32(h);
	}
}

static void narrow(const float *src, void *dst, size_t n_elements, uint16_t (*from_f32)(float))
{
	uint8_t *bytes = dst;
	for (size_t i = 0; i < n_elements; i++) {
		uint16_t h = from_f32(src[i]);
		memcpy(bytes + 2 * i, &h, 2);
	}
}

void f16_dequantise(const void *src, float *dst, size_t n_elements)
{
	widen(src, dst, n_elements, f32_from_f16);
}

void f16_quantise(const float *src, void *dst, size_t n_elements)
{
	narrow(src, dst, n_elements, f16_from_f32);
}

void bf16_dequantise(const void *src, float *dst, size_t n_elements)
{
	widen(src, dst, n_elements, f32_from_bf16);
}

void bf16_quantise(const float *src, void *dst, size_t n_elements)
{
	narrow(src, dst, n_elements, bf16_from_f32);
}
