#include "engine/need.h"

#include <string.h>

#include "engine/load.h"

enum { SPARE_PART = 16 /* of what is available, this part is left to others where a default does not fit */ };

enum hokku_code engine_need(struct model *m, const struct engine_config *config, uint32_t n_ctx,
			    struct compute_need *out, struct hokku_error *err)
{
	const struct compute_params params = engine_ask(m, config, n_ctx, engine_most_parallel(config));
	return compute_need(&params, out, err);
}

static bool is_cpu(const struct compute_need *need)
{
	return strncmp(need->device, "cpu", 3) == 0;
}

/* On a GPU, or on any device where that is not asked for. A refusal is another way not to fit: of too little
 * --kv-bytes it is told so. */
static bool fits(struct model *m, const struct engine_config *config, uint32_t n_ctx, bool on_gpu,
		 struct compute_need *need)
{
	struct hokku_error err;
	return !engine_need(m, config, n_ctx, need, &err) && need->fits && !(on_gpu && is_cpu(need));
}

/* What others may take between now and the opening, and what a GPU's driver takes beside all that is counted,
 * is left alone, but where it is a limit of somebody's own. */
static void set_limit(struct engine_config *config, const struct compute_need *need)
{
	uint64_t available = need->available_bytes,
		 *limit = is_cpu(need) ? &config->ram_limit : &config->vram_limit;
	if (available != UINT64_MAX && available != *limit)
		*limit = available - available / SPARE_PART;
}

enum hokku_code engine_settle_context(struct model *m, const struct engine_config *config,
				      struct engine_context *out, struct hokku_error *err)
{
	struct engine_config c = *config;
	struct compute_need need;
	*out = (struct engine_context){0};
	enum hokku_code rc = engine_choose_context(m->hp.n_ctx_train, config->n_ctx, &out->n_ctx, err);
	out->n_ctx_wanted = out->n_ctx;
	if (!config->n_ctx && config->n_ctx_most && config->n_ctx_most < out->n_ctx)
		out->n_ctx = config->n_ctx_most;
	if (rc || config->n_ctx || config->ctx_whole || out->n_ctx <= ENGINE_LEAST_CTX)
		return rc;
	bool picks = !config->device || strcmp(config->device, "auto") == 0;
	bool whole = fits(m, config, out->n_ctx, false, &need);
	if (whole && (!picks || !is_cpu(&need)))
		return HOKKU_OK;
	/* "auto": a GPU that has room for less is used before the CPU is. */
	bool on_gpu = picks && fits(m, config, ENGINE_LEAST_CTX, true, &need);
	if ((whole && !on_gpu) || (!on_gpu && !fits(m, config, ENGINE_LEAST_CTX, false, &need)))
		return HOKKU_OK;
	set_limit(&c, &need);
	uint32_t low = ENGINE_LEAST_CTX / COMPUTE_KV_BLOCK, high = out->n_ctx / COMPUTE_KV_BLOCK;
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (fits(m, &c, middle * COMPUTE_KV_BLOCK, on_gpu, &need))
			low = middle;
		else
			high = middle - 1;
	}
	out->n_ctx = low * COMPUTE_KV_BLOCK;
	return HOKKU_OK;
}
