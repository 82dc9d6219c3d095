/* What becomes of a drawn token: text, stop texts, events, and whether the answer ends. On the engine's
 * thread. */
#ifndef ENGINE_DELIVER_H
#define ENGINE_DELIVER_H

#include "engine/queue.h"

/* The job's sequence has its first step: its event, unless it had it. */
void deliver_start(struct engine *e, struct job *job);

/* Deals with a token that the step `drawn` drew after the job's last one: its event; then the next token, or
 * the answer's end. True: it goes on, and the token is in its sequence. */
bool deliver_token(struct engine *e, struct job *job, const struct compute_seq *drawn);

/* Ends the job with an error. */
void deliver_error(struct engine *e, struct job *job, const struct hokku_error *err);

#endif
