/* hokku run --state FILE: an answer that goes on from a file, and is put into it at the end. */
#ifndef CLI_RUN_STATE_H
#define CLI_RUN_STATE_H

#include "cli/cli.h"
#include "engine/engine.h"

/* Is there a file to go on from? */
bool run_state_is_there(const char *path);

/* Before anything is computed: can a file of this name be made? IO_ERROR. */
enum hokku_code run_state_check(const char *path, struct hokku_error *err);

/* Restores the state; stopped: as of engine_restore. ids, of a prompt that begins with the state's or refused
 * (INVALID_REQUEST), stay as they are; empty ones become the state's, of which the last *n_answered are an
 * answer. */
enum hokku_code run_state_restore(struct engine *e, const char *path, struct tok_ids *ids,
				  uint32_t *n_answered, bool (*stopped)(void *user), struct hokku_error *err);

/* Saves what has come of request, or, where it is 0, computes ids and saves them. tell: how many tokens and
 * bytes, on stderr. */
enum hokku_code run_state_save(struct engine *e, const char *path, uint64_t request,
			       const struct tok_ids *ids, bool tell, bool (*stopped)(void *user),
			       struct hokku_error *err);

#endif
