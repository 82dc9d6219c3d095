#include "engine/need.h"

enum hokku_code engine_need(struct model *m, const struct engine_config *config, uint32_t n_ctx,
			    struct compute_need *out, struct hokku_error *err)
{
	const struct compute_params params = engine_ask(m, config, n_ctx, engine_most_parallel(config));
	return compute_need(&params, out, err);
}
