/* AVX2 with fused multiply-add and half floats: x86-64 since Haswell and Zen. */
#include "compute/cpu/tier_table.h"

#ifdef __AVX2__
#include <cpuid.h>

/* F16C by its own bit: not every compiler's __builtin_cpu_supports knows its name. That the system keeps the
 * wide registers is part of what it says for AVX2. */
static bool available(void)
{
	unsigned a, b, c, d;
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	       __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

#define TIER cpu_tier_avx2
#include "compute/cpu/tier_body.h"
#endif
