/* Which tiers this binary has and which of them this machine can run. */
#include "compute/cpu/tier.h"

#include <stdlib.h>
#include <string.h>

#include "compute/cpu/tier_table.h"

const struct cpu_tier *const cpu_tiers[] = {
#if defined(__x86_64__)
	&cpu_tier_amx,      &cpu_tier_avx512,
	&cpu_tier_avx2,
#elif defined(__ARM_NEON)
	&cpu_tier_neon_dotprod, &cpu_tier_neon,
#endif
	&cpu_tier_portable, NULL,
};

const struct cpu_tier *cpu_tier_get(const char *name)
{
	if (!name)
		name = getenv("HOKKU_CPU_TIER");
	for (const struct cpu_tier *const *t = cpu_tiers; *t; t++)
		if ((!name || !*name || strcmp(name, (*t)->name) == 0) && (*t)->available())
			return *t;
	return NULL;
}
