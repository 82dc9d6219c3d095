/* What a model would take of this machine, before it is here: said when a pull begins. */
#ifndef CLI_NEEDS_H
#define CLI_NEEDS_H

#include "hub/pull.h"

/* On stderr: what it takes of each device's memory, out of the beginnings of the model's files, whether that
 * is there, or why it cannot be said; and what this machine has. Never a failure. */
void cli_tell_needs(const struct hub_config *c, const struct hub_plan *plan);

#endif
