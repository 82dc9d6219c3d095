/* 64-bit ARM. */
#include "compute/cpu/tier_table.h"

#ifdef __ARM_NEON
static bool available(void)
{
	return true;
}

#define TIER cpu_tier_neon
#include "compute/cpu/tier_body.h"
#endif
