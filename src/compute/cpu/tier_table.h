/* The tiers by symbol; which of them exist is the build's business (cmake/rooms.cmake). */
#ifndef COMPUTE_CPU_TIER_TABLE_H
#define COMPUTE_CPU_TIER_TABLE_H

#include "compute/cpu/tier.h"

extern const struct cpu_tier cpu_tier_portable;
extern const struct cpu_tier cpu_tier_avx2;
extern const struct cpu_tier cpu_tier_avx512;
extern const struct cpu_tier cpu_tier_amx;
extern const struct cpu_tier cpu_tier_neon;
extern const struct cpu_tier cpu_tier_neon_dotprod;

#endif
