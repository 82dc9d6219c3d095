#include "engine/look.h"

#include <stdio.h>

#include "engine/need.h"
#include "model/kind.h"

/* Of one context, in halves. */
static uint64_t on_device(const struct model *m, uint32_t n_ctx)
{
	return m->n_weight_bytes + (uint64_t)engine_context_blocks(m, n_ctx) * COMPUTE_KV_BLOCK *
					   m->hp.n_kv_heads * m->hp.head_dim * model_kv_places(m) * 2 * 2;
}

/* As an engine opens it (need.h). */
static enum hokku_code measure(struct model *m, const struct engine_config *config, struct model_look *out,
			       struct hokku_error *err)
{
	struct compute_need need;
	struct engine_config cpu = *config;
	cpu.device = "cpu";
	enum hokku_code rc = engine_need(m, &cpu, out->n_ctx, &need, err);
	if (rc)
		return rc;
	out->weight_bytes = need.memory.weight_bytes;
	out->kv_bytes = need.memory.kv_bytes;
	out->scratch_bytes = need.memory.scratch_bytes;
	bool shrinks = !config->n_ctx && !config->ctx_whole && out->n_ctx_wanted > ENGINE_LEAST_CTX;
	out->device_bytes = on_device(m, out->n_ctx_wanted);
	out->device_least_bytes = shrinks ? on_device(m, ENGINE_LEAST_CTX) : out->device_bytes;
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
	struct engine_config cpu = *config;
	struct engine_context ctx;
	cpu.device = "cpu";
	rc = engine_settle_context(&m, &cpu, &ctx, err);
	out->n_ctx = ctx.n_ctx;
	out->n_ctx_wanted = ctx.n_ctx_wanted;
	if (!rc)
		rc = measure(&m, config, out, err);
	model_unbind(&m);
	return rc;
}
