/* What the machine, and the group of processes that this one is in, have of memory. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdint.h>

/* Bytes that new things may take: what the system says is available, or less where a limit of the control
 * group leaves less; what a group keeps of files goes when it is wanted and counts as left. 0: nobody says.
 */
uint64_t memory_available(void);

/* The same out of other files than the system's: /proc/meminfo, and the group's folder. */
uint64_t memory_available_in(const char *meminfo, const char *group);

/* Bytes that the machine has. 0: nobody says. */
uint64_t memory_total(void);

#endif
