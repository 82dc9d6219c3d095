/* What an engine asks of its device; need.c asks the device. */
#include "engine/need.h"

#include "compute/kv_blocks.h"
#include "engine/load.h"

enum {
	/* Positions that a server on a CPU has for each of its parallel requests, where one context is not
	 * more: beyond that they share. */
	SHORT_CTX = 512,
	/* Masks that may follow a step on a device that runs ahead: their logits are set aside in its memory.
	 * More wait until they are made. */
	MAX_OPEN_MASKS = 32,
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Of host memory, where it may grow: what parallel requests of few positions each need, and at least as many
 * as share one context. */
static uint32_t n_blocks_host(const struct model *m, uint32_t n_ctx)
{
	uint32_t n = 0, short_ctx = min_u32(n_ctx, SHORT_CTX);
	uint32_t a_share = max_u32(short_ctx, n_ctx / ENGINE_PARALLEL_CPU);
	for (uint32_t g = 0; g < m->n_kv_groups; g++) {
		uint32_t window = m->kv_groups[g].window;
		uint32_t all = window ? 0 : kv_blocks_most(0, n_ctx, 0);
		n += max_u32(all, ENGINE_PARALLEL_CPU *
					  kv_blocks_most(window, window ? a_share : short_ctx, ENGINE_BATCH));
	}
	return n;
}

static uint32_t default_context(uint32_t n_train)
{
	return min_u32(n_train, ENGINE_DEFAULT_MAX_CTX);
}

enum hokku_code engine_choose_context(uint32_t n_train, uint32_t asked, uint32_t *out,
				      struct hokku_error *err)
{
	char found[32], trained[32];
	*out = default_context(n_train);
	if (asked > n_train)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "a context of %s was asked for; the model was trained for %s at most",
			       str_thousands(asked, found), str_thousands(n_train, trained));
	if (asked)
		*out = asked;
	return HOKKU_OK;
}

uint32_t engine_most_parallel(const struct engine_config *config)
{
	if (config->n_parallel)
		return config->n_parallel;
	return config->kv_grows ? ENGINE_PARALLEL_GPU : 1;
}

uint32_t engine_context_blocks(const struct model *m, uint32_t n_ctx)
{
	return kv_blocks_all_groups(m, n_ctx, ENGINE_BATCH);
}

struct compute_params engine_ask(struct model *m, const struct engine_config *config, uint32_t n_ctx,
				 uint32_t n_parallel)
{
	model_group_kv(m);
	model_set_context(m, config->n_ctx ? n_ctx : default_context(m->hp.n_ctx_train));
	uint32_t n_blocks = engine_context_blocks(m, n_ctx), n_host = n_blocks_host(m, n_ctx);
	uint32_t contexts = config->kv_contexts ? config->kv_contexts : ENGINE_MAX_KV_CONTEXTS;
	return (struct compute_params){
		.model = m,
		.device = config->device,
		.n_threads = config->n_threads,
		.n_ctx = n_ctx,
		.n_seqs = n_parallel,
		.n_kv_blocks = n_blocks,
		.n_kv_blocks_max = config->kv_grows ? n_blocks * contexts : 0,
		.n_kv_blocks_host = config->kv_grows && n_host > n_blocks ? n_host : 0,
		.kv_bytes = config->kv_bytes,
		.cache = config->cache,
		.vram_limit = config->vram_limit,
		.ram_limit = config->ram_limit,
		.n_batch = ENGINE_BATCH,
		.all_logits = config->prompt_logprobs,
		.n_open_masks = min_u32(n_parallel, MAX_OPEN_MASKS),
	};
}
