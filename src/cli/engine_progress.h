/* The line on stderr while an engine's model is loaded. */
#ifndef CLI_ENGINE_PROGRESS_H
#define CLI_ENGINE_PROGRESS_H

/* engine_config.on_state; user: where the engine's handle is (struct engine **). */
void cli_engine_progress(void *user);

#endif
