/* What a model would take of this machine, before it is here: said when a pull begins. */
#ifndef CLI_NEEDS_H
#define CLI_NEEDS_H

#include "hub/pull.h"

/* On stderr, two lines or three: weights and KV memory, out of the beginnings of the model's files, or why
 * that cannot be said; what this machine has; and whether the one is more than the other. Never a failure. */
void cli_tell_needs(const struct hub_config *c, const struct hub_plan *plan);

#endif
