#include "engine/look.h"

#include <stdio.h>

#include "engine/need.h"
#include "model/kind.h"

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
	/* Halves, for one context. */
	out->device_bytes = m->n_weight_bytes + (uint64_t)engine_context_blocks(m, out->n_ctx) *
							COMPUTE_KV_BLOCK * m->hp.n_kv_heads * m->hp.head_dim *
							model_kv_places(m) * 2 * 2;
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
