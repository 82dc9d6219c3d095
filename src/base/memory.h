/* What the machine, and the group of processes that this one is in, have of memory. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdint.h>

/* Bytes that new things may take: what the system says is available, or less where a limit of the control
 * group leaves less. 0: nobody says. */
uint64_t memory_available(void);

#endif
