#include "compute/cuda/plain/plain_layout.h"

#include <stddef.h>

enum { EIGHT = 8 };

/* Of each block: bytes [main_from[i], + main_bytes[i]) go to the main array one after another, and
 * [side_from, + side_bytes) to the side array. Structures: model/format_*.c. */
static const struct row {
	enum tensor_type type;
	enum cuda_format format;
	uint32_t main_from[2], main_bytes[2];
	uint32_t side_from, side_bytes;
} table[] = {
	/* clang-format off */
	{TENSOR_F32, CUDA_F32, {0}, {4}, 0, 0},
	{TENSOR_F16, CUDA_F16, {0}, {2}, 0, 0},
	{TENSOR_BF16, CUDA_BF16, {0}, {2}, 0, 0},
	{TENSOR_Q8_0, CUDA_Q8_0, {2}, {32}, 0, 2},
	{TENSOR_Q4_0, CUDA_Q4_0, {2}, {16}, 0, 2},
	{TENSOR_Q4_1, CUDA_Q4_1, {4}, {16}, 0, 4},
	{TENSOR_Q5_0, CUDA_Q5_0, {6, 2}, {16, 4}, 0, 2},
	{TENSOR_Q5_1, CUDA_Q5_1, {8, 4}, {16, 4}, 0, 4},
	{TENSOR_Q4_K, CUDA_Q4_K, {0}, {144}, 0, 0},
	{TENSOR_Q5_K, CUDA_Q5_K, {0}, {176}, 0, 0},
	{TENSOR_Q6_K, CUDA_Q6_K, {0}, {208}, 208, 2},
	{TENSOR_Q2_K, CUDA_Q2_K, {0}, {84}, 0, 0},
	{TENSOR_Q3_K, CUDA_Q3_K, {0}, {108}, 108, 2},
	{TENSOR_IQ4_NL, CUDA_IQ4_NL, {2}, {16}, 0, 2},
	{TENSOR_IQ4_XS, CUDA_IQ4_XS, {0}, {136}, 0, 0},
	/* clang-format on */
};

static const struct row *find_row(enum tensor_type type)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].type == type)
			return &table[i];
	return NULL;
}

bool plain_layout_plan(struct plain_matrix *m, const struct weight *w)
{
	const struct row *row = find_row(w->fmt->type);
	if (!row)
		return false;
	uint64_t n_blocks = w->cols / w->fmt->block_elements;
	if (w->fmt->block_elements == 1)
		n_blocks = ((uint64_t)w->cols + EIGHT - 1) / EIGHT * EIGHT;
	*m = (struct plain_matrix){
		.main_pitch = n_blocks * (row->main_bytes[0] + row->main_bytes[1]),
		.side_pitch = n_blocks * row->side_bytes,
		.rows = w->rows,
		.cols = w->cols,
		.format = row->format,
	};
	return true;
}

cudaError_t plain_layout_rows(const struct plain_matrix *m, const struct weight *w, const uint8_t *rows,
			      uint32_t first, uint32_t n, cudaStream_t stream)
{
	const struct row *row = find_row(w->fmt->type);
	const struct plain_layout_args a = {
		.m = *m,
		.rows = rows,
		.row_bytes = w->row_bytes,
		.first = first,
		.n = n,
		.block_bytes = w->fmt->block_bytes,
		.n_blocks = w->cols / w->fmt->block_elements,
		.main_from = {row->main_from[0], row->main_from[1]},
		.main_bytes = {row->main_bytes[0], row->main_bytes[1]},
		.side_from = row->side_from,
		.side_bytes = row->side_bytes,
	};
	return plain_layout(&a, stream);
}
