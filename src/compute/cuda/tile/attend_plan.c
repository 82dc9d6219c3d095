/* Which rows attention takes together (tile_kernels.h). */
#include "compute/cuda/tile/tile_kernels.h"

/* Bands of one sequence's n tokens from `first`, the last rows first: they have most to attend to. */
static uint32_t cut(uint32_t first, uint32_t n, uint32_t group, uint32_t rows, struct attend_band *bands)
{
	uint32_t n_rows = n * group, count = (n_rows + rows - 1) / rows;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = (count - 1 - i) * rows, left = n_rows - row;
		bands[i] = (struct attend_band){first, row, left < rows ? left : rows};
	}
	return count;
}

struct attend_plan attend_plan_bands(const struct cuda_token *tokens, uint32_t n_tokens, uint32_t group,
				     bool split, struct attend_band *bands)
{
	struct attend_plan plan = {0};
	for (int narrow = 0; narrow < 2; narrow++)
		for (uint32_t first = 0, n; first < n_tokens; first += n) {
			for (n = 1; first + n < n_tokens && tokens[first + n].table == tokens[first].table;)
				n++;
			uint32_t n_splits = tokens[first + n - 1].pos / CUDA_ATTN_SPLIT + 1;
			plan.n_splits = n_splits > plan.n_splits ? n_splits : plan.n_splits;
			bool wide = !split && n * group > ATTEND_WIDE_ROWS;
			if (wide && !narrow)
				plan.n_wide += cut(first, n, group, ATTEND_WIDE_ROWS, bands + plan.n_wide);
			if (!wide && narrow)
				plan.n_narrow += cut(first, n, group, ATTEND_ROWS,
						     bands + plan.n_wide + plan.n_narrow);
		}
	return plan;
}
