#include "compute/cuda/layout.h"

#include <string.h>

enum { UNIT = 8 };

/* Of each block: bytes [main_from[i], + main_bytes[i]) go to the main plane one after another, and
 * [side_from, + side_bytes) to the side plane. Structures: model/format_*.c. */
static const struct row {
	enum tensor_type type;
	enum cuda_format format;
	uint32_t main_from[2], main_bytes[2];
	uint32_t side_from, side_bytes;
} rows[] = {
	{TENSOR_F32, CUDA_F32, {0}, {4}, 0, 0},          {TENSOR_F16, CUDA_F16, {0}, {2}, 0, 0},
	{TENSOR_BF16, CUDA_BF16, {0}, {2}, 0, 0},        {TENSOR_Q8_0, CUDA_Q8_0, {2}, {32}, 0, 2},
	{TENSOR_Q4_0, CUDA_Q4_0, {2}, {16}, 0, 2},       {TENSOR_Q4_1, CUDA_Q4_1, {4}, {16}, 0, 4},
	{TENSOR_Q5_0, CUDA_Q5_0, {6, 2}, {16, 4}, 0, 2}, {TENSOR_Q5_1, CUDA_Q5_1, {8, 4}, {16, 4}, 0, 4},
	{TENSOR_Q4_K, CUDA_Q4_K, {0}, {144}, 0, 0},      {TENSOR_Q5_K, CUDA_Q5_K, {0}, {176}, 0, 0},
	{TENSOR_Q6_K, CUDA_Q6_K, {0}, {208}, 208, 2},
};

static const struct row *find_row(enum tensor_type type)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

bool layout_plan(struct cuda_matrix *m, const struct weight *w)
{
	const struct row *row = find_row(w->fmt->type);
	if (!row)
		return false;
	uint64_t n_blocks = w->cols / w->fmt->block_elements;
	if (w->fmt->block_elements == 1)
		n_blocks = ((uint64_t)w->cols + UNIT - 1) / UNIT * UNIT;
	*m = (struct cuda_matrix){
		.main_pitch = n_blocks * (row->main_bytes[0] + row->main_bytes[1]),
		.side_pitch = n_blocks * row->side_bytes,
		.rows = w->rows,
		.cols = w->cols,
		.format = row->format,
	};
	return true;
}

static void split_row(const struct row *row, const struct format *fmt, const uint8_t *from, uint32_t n_blocks,
		      uint8_t *main, uint8_t *side)
{
	for (uint32_t b = 0; b < n_blocks; b++, from += fmt->block_bytes) {
		memcpy(main, from + row->main_from[0], row->main_bytes[0]);
		main += row->main_bytes[0];
		memcpy(main, from + row->main_from[1], row->main_bytes[1]);
		main += row->main_bytes[1];
		memcpy(side, from + row->side_from, row->side_bytes);
		side += row->side_bytes;
	}
}

void layout_rows(const struct cuda_matrix *m, const struct weight *w, uint32_t first, uint32_t n,
		 uint8_t *main, uint8_t *side)
{
	const struct row *row = find_row(w->fmt->type);
	const uint8_t *from = (const uint8_t *)w->data + first * w->row_bytes;
	for (uint32_t i = 0; i < n; i++, from += w->row_bytes, main += m->main_pitch) {
		if (row->side_bytes) {
			split_row(row, w->fmt, from, w->cols / w->fmt->block_elements, main, side);
			side += m->side_pitch;
		} else {
			memcpy(main, from, w->row_bytes);
			memset(main + w->row_bytes, 0, m->main_pitch - w->row_bytes);
		}
	}
}
