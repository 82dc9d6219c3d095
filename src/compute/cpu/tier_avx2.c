/* AVX2 with fused multiply-add and half floats: x86-64 since Haswell and Zen. */
#include "compute/cpu/tier_table.h"

#ifdef __AVX2__
static bool available(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	       __builtin_cpu_supports("f16c");
}

#define TIER cpu_tier_avx2
#include "compute/cpu/tier_body.h"
#endif
