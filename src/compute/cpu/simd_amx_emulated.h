/* What the tile instructions mean, in plain C, from Intel's manual: for tests on machines without them. */
#ifndef COMPUTE_CPU_SIMD_AMX_EMULATED_H
#define COMPUTE_CPU_SIMD_AMX_EMULATED_H

#include <stdint.h>
#include <string.h>

static struct {
	uint8_t bytes[16][64];
	uint16_t column_bytes;
	uint8_t rows;
} tiles[8];

/* config: 64 bytes as struct tile_config lays them. */
static void tile_configure(const void *config)
{
	const uint8_t *c = config;
	for (int i = 0; i < 8; i++) {
		memset(&tiles[i], 0, sizeof tiles[i]);
		memcpy(&tiles[i].column_bytes, c + 16 + 2 * i, 2);
		tiles[i].rows = c[48 + i];
	}
}

static void tile_release(void)
{
	memset(tiles, 0xFF, sizeof tiles);
}

static void tile_zero(int tile)
{
	memset(tiles[tile].bytes, 0, sizeof tiles[tile].bytes);
}

static void tile_load(int tile, const void *p, size_t stride)
{
	tile_zero(tile);
	for (int r = 0; r < tiles[tile].rows; r++)
		memcpy(tiles[tile].bytes[r], (const uint8_t *)p + (size_t)r * stride,
		       tiles[tile].column_bytes);
}

static void tile_store(int tile, void *p, size_t stride)
{
	for (int r = 0; r < tiles[tile].rows; r++)
		memcpy((uint8_t *)p + (size_t)r * stride, tiles[tile].bytes[r], tiles[tile].column_bytes);
}

/* sum[m][n] += a[m][k][i] * b[k][n][i] over k and i < 4: TDPBSUD */
static void tile_dot(int sum, int a, int b)
{
	for (int m = 0; m < tiles[sum].rows; m++)
		for (int k = 0; k < tiles[a].column_bytes / 4; k++)
			for (int n = 0; n < tiles[sum].column_bytes / 4; n++) {
				int32_t x;
				memcpy(&x, tiles[sum].bytes[m] + 4 * n, 4);
				for (int i = 0; i < 4; i++)
					x += (int8_t)tiles[a].bytes[m][4 * k + i] *
					     tiles[b].bytes[k][4 * n + i];
				memcpy(tiles[sum].bytes[m] + 4 * n, &x, 4);
			}
}

#endif
