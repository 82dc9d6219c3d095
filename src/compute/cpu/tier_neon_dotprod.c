/* 64-bit ARM with byte dot products: Neoverse N1 and V1, Cortex-A75, Apple M1 and later. */
#include "compute/cpu/tier_table.h"

#ifdef __ARM_FEATURE_DOTPROD
#include <sys/auxv.h>

static bool available(void)
{
	enum { HWCAP_BIT_ASIMDDP = 20 };
	return getauxval(AT_HWCAP) >> HWCAP_BIT_ASIMDDP & 1;
}

#define TIER cpu_tier_neon_dotprod
#include "compute/cpu/tier_body.h"
#endif
