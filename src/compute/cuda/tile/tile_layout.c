#include "compute/cuda/tile/tile_plan.h"

#include <stddef.h>

/* What a file's format is laid out as, FULL and HALF. */
static const struct row {
	enum tensor_type type;
	enum cuda_format file, full, half;
} rows[] = {
#define SAME(name)                                                   \
	{                                                            \
		TENSOR_##name, CUDA_##name, CUDA_##name, CUDA_##name \
	}
	SAME(F16),
	SAME(BF16),
	{TENSOR_F32, CUDA_F32, CUDA_F32, CUDA_BF16},
	SAME(Q8_0),
	SAME(Q4_0),
	SAME(Q4_1),
	SAME(Q5_0),
	SAME(Q5_1),
	SAME(Q4_K),
	SAME(Q5_K),
	SAME(Q6_K),
	SAME(Q2_K),
	{TENSOR_Q3_K, CUDA_Q3_K, CUDA_Q6_K, CUDA_Q6_K},
	SAME(IQ4_NL),
	{TENSOR_IQ4_XS, CUDA_IQ4_XS, CUDA_IQ4_NL, CUDA_IQ4_NL},
#undef SAME
};

static const struct unit {
	uint32_t bytes, columns;
} units[CUDA_N_FORMATS] = {
#define UNIT(name, bytes, columns) [CUDA_##name] = {bytes, columns},
	TILE_FORMATS(UNIT)
#undef UNIT
};

bool tile_plan(struct tile_matrix *m, const struct weight *w, uint32_t planes)
{
	const struct row *row = NULL;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !row; i++)
		row = rows[i].type == w->fmt->type ? &rows[i] : NULL;
	if (!row)
		return false;
	enum cuda_format format = planes == 1 ? row->half : row->full;
	const struct unit *unit = &units[format];
	*m = (struct tile_matrix){
		.rows = w->rows,
		.cols = w->cols,
		.n_tiles = (uint32_t)(((uint64_t)w->rows + TILE_ROWS - 1) / TILE_ROWS),
		.n_units = (uint32_t)(((uint64_t)w->cols + unit->columns - 1) / unit->columns),
		.unit_bytes = unit->bytes,
		.format = format,
		.file = row->file,
		.bundle = planes == 1 ? tile_bundle_units(unit->bytes) : 0,
	};
	return true;
}
