/* What a draw is told of the tokens before it: the history that penalties look at, and what DRY makes of it.
 * Of the engine's thread. */
#ifndef ENGINE_PAST_H
#define ENGINE_PAST_H

#include "engine/queue.h"

/* Must all tokens be known before the next is drawn with it? */
bool past_is_looked_at(const struct sampling *p);

/* The job's draw is being described, with all of its history: fills in the rest. */
void past_describe(struct job *job, struct compute_seq *step);

#endif
