/* What the machine, and the group of processes that this one is in, have of memory. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdint.h>

/* Bytes that new things may take: what the system says is available, or less where a limit of the process's
 * control group, or of one above it, leaves less (MemoryMax and MemoryHigh of a systemd unit, the limit of a
 * container): cgroup v2's memory.max and memory.high, cgroup v1's memory.limit_in_bytes. What a group keeps
 * of files goes when it is wanted and counts as left. 0: nobody says.
 */
uint64_t memory_available(void);

/* The same out of other files than the system's: /proc/meminfo, /proc/self/cgroup, and where groups are
 * mounted. */
uint64_t memory_available_in(const char *meminfo, const char *self, const char *fs);

/* Bytes that the machine has. 0: nobody says. */
uint64_t memory_total(void);

#endif
