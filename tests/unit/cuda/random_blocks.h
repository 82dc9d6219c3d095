/* Blocks of any format with random bits. */
#ifndef TEST_CUDA_RANDOM_BLOCKS_H
#define TEST_CUDA_RANDOM_BLOCKS_H

#include "base/half.h"
#include "device_memory.h"
#include "model/model.h"

/* Random blocks with scales of ordinary size: every bit of every quant is exercised. */
GOLDEN_INLINE void random_blocks(uint8_t *data, const struct format *fmt, uint64_t n_blocks, uint64_t series)
{
	static const struct {
		enum tensor_type type;
		uint32_t at[2], n; /* where the float16 scales of a block stand */
	} scales[] = {{TENSOR_Q8_0, {0}, 1},    {TENSOR_Q4_0, {0}, 1},    {TENSOR_Q4_1, {0, 2}, 2},
		      {TENSOR_Q5_0, {0}, 1},    {TENSOR_Q5_1, {0, 2}, 2}, {TENSOR_Q4_K, {0, 2}, 2},
		      {TENSOR_Q5_K, {0, 2}, 2}, {TENSOR_Q6_K, {208}, 1},  {TENSOR_Q2_K, {80, 82}, 2},
		      {TENSOR_Q3_K, {108}, 1},  {TENSOR_IQ4_NL, {0}, 1},  {TENSOR_IQ4_XS, {0}, 1}};
	for (uint64_t i = 0; i < n_blocks * fmt->block_bytes; i++) {
		uint32_t w[4];
		rng_words(series, RNG_STREAM_TEST, i, w);
		data[i] = (uint8_t)w[0];
	}
	for (size_t k = 0; k < sizeof scales / sizeof scales[0]; k++)
		for (uint64_t b = 0; b < n_blocks && scales[k].type == fmt->type; b++)
			for (uint32_t j = 0; j < scales[k].n; j++) {
				uint16_t h = f16_from_f32(noise(series + 1, 2 * b + j) * 0.01f);
				memcpy(data + b * fmt->block_bytes + scales[k].at[j], &h, 2);
			}
}

/* rows x cols of the format; *data is malloc'ed and what the weight's rows lie in. */
GOLDEN_INLINE struct weight random_weight(const struct format *fmt, uint32_t rows, uint32_t cols,
					  uint64_t series, uint8_t **data)
{
	struct weight w = {.fmt = fmt, .rows = rows, .cols = cols};
	uint64_t n_blocks = (uint64_t)rows * (cols / fmt->block_elements);
	w.row_bytes = (uint64_t)(cols / fmt->block_elements) * fmt->block_bytes;
	*data = malloc(n_blocks * fmt->block_bytes + 1);
	assert_non_null(*data);
	if (fmt->block_elements == 1) {
		float *values = noise_floats(series, n_blocks);
		fmt->quantise(values, *data, n_blocks);
		free(values);
	} else {
		random_blocks(*data, fmt, n_blocks, series);
	}
	w.data = *data;
	return w;
}

/* (rows, cols), malloc'ed */
GOLDEN_INLINE float *weight_values(const struct weight *w)
{
	float *values = malloc((size_t)w->rows * w->cols * sizeof *values);
	assert_non_null(values);
	w->fmt->dequantise(w->data, values, (size_t)w->rows * w->cols);
	return values;
}

#endif
