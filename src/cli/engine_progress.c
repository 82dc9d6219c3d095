#include "cli/engine_progress.h"

#include "cli/cli.h"

/* engine_config.on_state, on the engine's thread: it draws and never wipes, for once the model is loaded the
 * terminal is the waiting thread's, whose first words a late wipe would take away. */
static void show_loading(void *user)
{
	struct engine *const *e = user;
	struct engine_state state;
	static char label[] = "loading";
	engine_get_state(*e, &state);
	if (state.phase != ENGINE_LOADING)
		return;
	if (state.load_all_bytes)
		cli_progress_bytes(label, state.load_bytes, state.load_all_bytes, state.load_s);
	else
		cli_progress(label, state.load_part);
}

enum hokku_code cli_start_engine(struct engine_config *config, struct engine **out, struct hokku_error *err)
{
	config->on_state = show_loading;
	config->user = out;
	enum hokku_code rc = engine_create(config, out, err);
	if (!rc)
		rc = engine_wait_ready(*out, err);
	cli_progress(NULL, 1);
	return rc;
}
