/*
 * Answers of a given shape, in the loop: whose mask has to be there before whose draw (walk.h), and tokens
 * that are taken without a draw. Of the engine's thread.
 *
 * A mask needs the token before it. So a sequence with a shape is not planned while its last token is being
 * drawn, and others' steps go on without it. Its next mask is made as soon as the token is known: where the
 * device runs ahead, beside the step that it is drawn in, which is submitted with the mask open; else before
 * that step. A mask that may take long (the first of an answer, and one that follows a slow one) is never
 * waited for: its sequence is out of all steps until the mask is there. None of this changes what is drawn.
 */
#ifndef ENGINE_MASKS_H
#define ENGINE_MASKS_H

#include "engine/queue.h"

/* The scheduler has the job. */
void masks_begin(struct engine *e, struct job *job);

/* Before a plan: waits for masks as long as it is worth it, takes what was found, and says which sequences
 * may draw. Answers may end here. ahead: the next step may be submitted without all of them. */
void masks_settle(struct engine *e, bool ahead);

/* Is there something for masks_settle? */
bool masks_have_come(const struct engine *e);

/* Its draw is being described: the mask, or that it follows. */
void masks_describe(struct job *job, struct compute_seq *step);

/* The step that draws for it is submitted. */
void masks_submitted(struct job *job);

/* Hands out what masks of the step that is collected next there are; wait: all of them. */
enum hokku_code masks_hand_out(struct engine *e, struct flight *f, bool wait, struct hokku_error *err);

/* The job's draw gave this token: its next mask is asked for, before all that is done with the token. */
void masks_drew(struct engine *e, struct job *job, int32_t token);

/* And the answer goes on with it. */
void masks_go_on(struct engine *e, struct job *job);

/* The job ends. */
void masks_end(struct engine *e, struct job *job);

#endif
