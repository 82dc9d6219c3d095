/* What becomes of a drawn token: text, stop texts, events, and whether the answer ends. On the engine's
 * thread. */
#ifndef ENGINE_DELIVER_H
#define ENGINE_DELIVER_H

#include "engine/queue.h"

/* The job's sequence has its first step: its event, unless it had it. */
void deliver_start(struct engine *e, struct job *job);

/* Tells the prompt's logprobs of a step that gave all logits of these positions. */
void deliver_prompt(const struct engine *e, struct job *job, const struct compute_seq *did);

/* Deals with a token that the step `drawn` drew, which is in the job's sequence: its event; then, where it
 * was the last, the answer's end: false, and the job is gone. */
bool deliver_token(struct engine *e, struct job *job, const struct compute_seq *drawn);

/* Nothing could be drawn where the token at pos was wanted: ends the job with the reason. */
void deliver_nothing(struct engine *e, struct job *job, uint32_t pos);

/* Ends the job with an error. */
void deliver_error(struct engine *e, struct job *job, const struct hokku_error *err);

#endif
