/* The functions behind the rows of format.c's table; nobody else calls them by name. */
#ifndef MODEL_FORMAT_ROWS_H
#define MODEL_FORMAT_ROWS_H

#include <stddef.h>

/* format_float.c: one element a block. */
void f32_dequantise(const void *src, float *dst, size_t n_elements);
void f32_quantise(const float *src, void *dst, size_t n_elements);
void f16_dequantise(const void *src, float *dst, size_t n_elements);
void f16_quantise(const float *src, void *dst, size_t n_elements);
void bf16_dequantise(const void *src, float *dst, size_t n_elements);
void bf16_quantise(const float *src, void *dst, size_t n_elements);

/* format_block32.c: 32 elements a block. */
void q8_0_dequantise(const void *src, float *dst, size_t n_elements);
void q8_0_quantise(const float *src, void *dst, size_t n_elements);
void q4_0_dequantise(const void *src, float *dst, size_t n_elements);
void q4_1_dequantise(const void *src, float *dst, size_t n_elements);
void q5_0_dequantise(const void *src, float *dst, size_t n_elements);
void q5_1_dequantise(const void *src, float *dst, size_t n_elements);
void iq4_nl_dequantise(const void *src, float *dst, size_t n_elements);

/* format_block256.c: 256 elements a block. */
void q2_k_dequantise(const void *src, float *dst, size_t n_elements);
void q3_k_dequantise(const void *src, float *dst, size_t n_elements);
void q4_k_dequantise(const void *src, float *dst, size_t n_elements);
void q5_k_dequantise(const void *src, float *dst, size_t n_elements);
void q6_k_dequantise(const void *src, float *dst, size_t n_elements);
void iq4_xs_dequantise(const void *src, float *dst, size_t n_elements);

#endif
