#include "cli/engine_progress.h"

#include "cli/cli.h"
#include "engine/engine.h"

void cli_engine_progress(void *user)
{
	struct engine *const *e = user;
	struct engine_state state;
	static char label[] = "loading";
	engine_get_state(*e, &state);
	if (state.phase == ENGINE_LOADING && state.load_all_bytes)
		cli_progress_bytes("loading", state.load_bytes, state.load_all_bytes, state.load_s);
	else
		cli_progress(label, state.phase == ENGINE_LOADING ? state.load_part : 1);
}
