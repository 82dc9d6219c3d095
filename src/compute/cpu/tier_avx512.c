/* AVX-512 with byte products (VNNI): Ice Lake, Sapphire Rapids, Zen 4 and later. */
#include "compute/cpu/tier_table.h"

#ifdef __AVX512VNNI__
static bool available(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512vnni");
}

#define TIER cpu_tier_avx512
#include "compute/cpu/tier_body.h"
#endif
