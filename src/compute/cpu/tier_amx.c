/*
 * AMX: Sapphire Rapids and later Xeons. Everything is AVX-512's but the quantised products of many tokens.
 * The kernel hands out tile state only to those who ask (arch_prctl); a program that does not is killed at
 * its first tile.
 */
#include "compute/cpu/tier_table.h"

#if defined(__AMX_INT8__) || defined(__AMXINT8__) /* as gcc and as clang 14 call it */
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool available(void)
{
	enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, EDX_TILES = 1 << 24 | 1 << 25 };
	unsigned a, b, c, d;
	if (!cpu_tier_avx512.available() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
	    (d & EDX_TILES) != EDX_TILES)
		return false;
	return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

#include "compute/cpu/simd_amx.h"
#define TIER      cpu_tier_amx
#define TIER_NAME "amx"
#define TIER_TILES 1
#include "compute/cpu/tier_body.h"
#endif
