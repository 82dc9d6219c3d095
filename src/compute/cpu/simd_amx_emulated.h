/* What the tile instructions mean, in plain C, from Intel's manual: for tests on machines without them. */
#ifndef COMPUTE_CPU_SIMD_AMX_EMULATED_H
#define COMPUTE_CPU_SIMD_AMX_EMULATED_H

#include <stdint.h>
#include <string.h>

static struct {
	uint8_t bytes[16][64];
	uint16_t column_bytes;
	uint8_t rows;
} registers[8];

/* config: 64 bytes as struct tile_config lays them. */
static void tile_configure(const void *config)
{
	const uint8_t *c = config;
	for (int i = 0; i < 8; i++) {
		memset(&registers[i], 0, sizeof registers[i]);
		memcpy(&registers[i].column_bytes, c + 16 + 2 * i, 2);
		registers[i].rows = c[48 + i];
	}
}

static void tile_release(void)
{
	memset(registers, 0xFF, sizeof registers);
}

static void tile_zero(int tile)
{
	memset(registers[tile].bytes, 0, sizeof registers[tile].bytes);
}

static void tile_load(int tile, const void *p, size_t stride)
{
	tile_zero(tile);
	for (int r = 0; r < registers[tile].rows; r++)
		memcpy(registers[tile].bytes[r], (const uint8_t *)p + (size_t)r * stride,
		       registers[tile].column_bytes);
}

static void tile_store(int tile, void *p, size_t stride)
{
	for (int r = 0; r < registers[tile].rows; r++)
		memcpy((uint8_t *)p + (size_t)r * stride, registers[tile].bytes[r],
		       registers[tile].column_bytes);
}

/* sum[m][n] += a[m][k][i] * b[k][n][i] over k and i < 4: TDPBSSD */
static void tile_dot(int sum, int a, int b)
{
	for (int m = 0; m < registers[sum].rows; m++)
		for (int k = 0; k < registers[a].column_bytes / 4; k++)
			for (int n = 0; n < registers[sum].column_bytes / 4; n++) {
				int32_t x;
				memcpy(&x, registers[sum].bytes[m] + 4 * n, 4);
				for (int i = 0; i < 4; i++)
					x += (int8_t)registers[a].bytes[m][4 * k + i] *
					     (int8_t)registers[b].bytes[k][4 * n + i];
				memcpy(registers[sum].bytes[m] + 4 * n, &x, 4);
			}
}

#endif
