#include "engine/look.h"

#include <stdio.h>

#include "compute/kv_blocks.h"
#include "model/kind.h"

/* As an engine opens it (load.c). */
static enum hokku_code measure(struct model *m, const struct engine_config *config, struct model_look *out,
			       struct hokku_error *err)
{
	struct compute_memory need;
	model_group_kv(m);
	uint32_t n_blocks = kv_blocks_all_groups(m, out->n_ctx, ENGINE_BATCH);
	uint32_t n_host = engine_kv_blocks(m, out->n_ctx, config->kv_grows);
	uint32_t n_seqs = config->n_parallel ? config->n_parallel
			  : config->kv_grows ? ENGINE_PARALLEL_GPU
					     : 1;
	const struct compute_params params = {
		.model = m,
		.device = "cpu",
		.n_threads = config->n_threads,
		.n_ctx = out->n_ctx,
		.n_seqs = n_seqs,
		.n_kv_blocks = n_blocks,
		.n_kv_blocks_host = n_host > n_blocks ? n_host : 0,
		.kv_bytes = config->kv_bytes,
		.cache = config->cache,
		.n_batch = ENGINE_BATCH,
		.all_logits = config->prompt_logprobs,
	};
	model_set_context(m, out->n_ctx);
	enum hokku_code rc = compute_need_host(&params, &need, err);
	if (rc)
		return rc;
	out->weight_bytes = need.weight_bytes;
	out->kv_bytes = need.kv_bytes;
	out->scratch_bytes = need.scratch_bytes;
	/* Halves, for one context. */
	out->device_bytes = m->n_weight_bytes + (uint64_t)n_blocks * COMPUTE_KV_BLOCK * m->hp.n_kv_heads *
							m->hp.head_dim * model_kv_places(m) * 2 * 2;
	return HOKKU_OK;
}

enum hokku_code engine_look(const struct gguf *g, const struct engine_config *config, struct model_look *out,
			    struct hokku_error *err)
{
	struct model m = {0};
	*out = (struct model_look){.file_bytes = gguf_file_bytes(g), .assembled = gguf_is_assembled(g)};
	enum hokku_code rc = file_kind_check(g, err);
	if (!rc)
		rc = model_bind(&m, g, err);
	if (rc)
		return rc;
	snprintf(out->architecture, sizeof out->architecture, "%s", m.arch_name);
	snprintf(out->format, sizeof out->format, "%s", m.format_name);
	out->n_ctx_train = m.hp.n_ctx_train;
	out->d_model = m.hp.d_model;
	out->n_vocab = m.hp.n_vocab;
	out->n_params = m.n_params;
	rc = engine_choose_context(m.hp.n_ctx_train, config->n_ctx, &out->n_ctx, err);
	if (!rc)
		rc = measure(&m, config, out, err);
	model_unbind(&m);
	return rc;
}
