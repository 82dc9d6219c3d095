/* The table of block formats. A format that hokku computes with is a row here and nowhere else. */
#include "model/format.h"

#include "model/format_rows.h"

/* Geometry stands once, in gguf/tensor_type.h. */
enum {
#define TENSOR_X(name, id, elements, bytes) ELEMENTS_##name = (elements), BYTES_##name = (bytes),
	TENSOR_TYPES(TENSOR_X)
#undef TENSOR_X
};

/* name, dequantise, quantise (NULL: hokku does not write it) */
#define FORMATS(X)                              \
	X(F32, f32_dequantise, f32_quantise)    \
	X(F16, f16_dequantise, f16_quantise)    \
	X(BF16, bf16_dequantise, bf16_quantise) \
	X(Q8_0, q8_0_dequantise, q8_0_quantise) \
	X(Q4_0, q4_0_dequantise, NULL)          \
	X(Q4_1, q4_1_dequantise, NULL)          \
	X(Q5_0, q5_0_dequantise, NULL)          \
	X(Q5_1, q5_1_dequantise, NULL)          \
	X(Q4_K, q4_k_dequantise, NULL)          \
	X(Q5_K, q5_k_dequantise, NULL)          \
	X(Q6_K, q6_k_dequantise, NULL)          \
	X(Q2_K, q2_k_dequantise, NULL)          \
	X(Q3_K, q3_k_dequantise, NULL)          \
	X(IQ4_NL, iq4_nl_dequantise, NULL)      \
	X(IQ4_XS, iq4_xs_dequantise, NULL)

#define ROW(name, dequantise, quantise) \
	[TENSOR_##name] = {TENSOR_##name, #name, ELEMENTS_##name, BYTES_##name, dequantise, quantise},
static const struct format formats[TENSOR_N_TYPES] = {FORMATS(ROW)};
#undef ROW

#define ROW(name, dequantise, quantise) #name,
static const char *const names[] = {FORMATS(ROW) NULL};
#undef ROW

const struct format *format_get(enum tensor_type type)
{
	if ((unsigned)type >= TENSOR_N_TYPES || !formats[type].dequantise)
		return NULL;
	return &formats[type];
}

const char *const *format_names(void)
{
	return names;
}
