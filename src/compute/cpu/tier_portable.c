/* The tier every machine has: plain C. */
#include "compute/cpu/tier_table.h"

/* The compiler may be told to build for a machine with vectors: the plain loops are wanted here all the same.
 */
#define TIER_PLAIN

static bool available(void)
{
	return true;
}

#define TIER cpu_tier_portable
#include "compute/cpu/tier_body.h"
