/* Weights in the tile layout, in tests. */
#ifndef TEST_CUDA_TILE_WEIGHT_H
#define TEST_CUDA_TILE_WEIGHT_H

#include "compute/cuda/tile/tile_plan.h"
#include "random_blocks.h"

/* Of files: what the path has takes is all that there is. */
static const enum tensor_type types[] = {
#define ROW(name) TENSOR_##name,
	CUDA_FORMATS(ROW)
#undef ROW
};
enum { N_TYPES = sizeof types / sizeof types[0] };

/* A weight in the tile layout of a number of planes, brought there in pieces of `piece` rows. */
struct tiled {
	struct weight w;
	uint8_t *bytes;
	float *values; /* (rows, cols) */
	struct tile_matrix m;
	void *device;
};

GOLDEN_INLINE struct tiled make_tiled(enum tensor_type type, uint32_t rows, uint32_t cols, uint32_t piece,
				      uint64_t series, uint32_t planes)
{
	struct tiled t = {0};
	t.w = random_weight(format_get(type), rows, cols, series, &t.bytes);
	t.values = weight_values(&t.w);
	assert_true(tile_plan(&t.m, &t.w, planes));
	t.device = on_device(NULL, tile_lead_bytes(&t.m) + tile_bytes(&t.m));
	t.m.data = (uint8_t *)t.device + tile_lead_bytes(&t.m);
	for (uint32_t first = 0; first < rows; first += piece) {
		struct tile_repack_args a = {.m = t.m, .row_bytes = t.w.row_bytes, .first = first};
		a.n = rows - first < piece ? rows - first : piece;
		void *staging = on_device(t.bytes + first * t.w.row_bytes, a.n * t.w.row_bytes);
		a.rows = staging;
		assert_int_equal(tile_repack(&a, test_stream()), cudaSuccess);
		finish();
		cudaFree(staging);
	}
	return t;
}

GOLDEN_INLINE void free_tiled(struct tiled *t)
{
	cudaFree(t->device);
	free(t->bytes);
	free(t->values);
}

#endif
