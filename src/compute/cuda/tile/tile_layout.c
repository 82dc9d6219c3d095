#include "compute/cuda/tile/tile_plan.h"

#include <stddef.h>

static const struct row {
	enum tensor_type type;
	enum cuda_format format;
	uint32_t unit_bytes, unit_columns;
} rows[] = {
#define ROW(name, bytes, columns) {TENSOR_##name, CUDA_##name, bytes, columns},
	TILE_FORMATS(ROW)
#undef ROW
};

bool tile_plan(struct tile_matrix *m, const struct weight *w, uint32_t planes)
{
	const struct row *row = NULL;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !row; i++)
		row = rows[i].type == w->fmt->type ? &rows[i] : NULL;
	if (!row)
		return false;
	*m = (struct tile_matrix){
		.rows = w->rows,
		.cols = w->cols,
		.n_tiles = (uint32_t)(((uint64_t)w->rows + TILE_ROWS - 1) / TILE_ROWS),
		.n_units = (uint32_t)(((uint64_t)w->cols + row->unit_columns - 1) / row->unit_columns),
		.unit_bytes = row->unit_bytes,
		.format = row->format,
		.bundle = planes == 1 ? tile_bundle_units(row->unit_bytes) : 0,
	};
	return true;
}
