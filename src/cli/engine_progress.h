/* An engine for a command that waits for it, with a line on stderr while its model is loaded. */
#ifndef CLI_ENGINE_PROGRESS_H
#define CLI_ENGINE_PROGRESS_H

#include "engine/engine.h"

/* engine_create and engine_wait_ready; *out as the former leaves it, to be destroyed whatever is returned.
 * config's on_state and user are set here. On return the line is gone and nothing writes to the terminal any
 * more. */
enum hokku_code cli_start_engine(struct engine_config *config, struct engine **out, struct hokku_error *err);

#endif
