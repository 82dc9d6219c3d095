#include "engine/look.h"

#include <stdio.h>

#include "compute/kv_blocks.h"
#include "model/kind.h"

/* Bytes that n numbers of a head take. */
static uint64_t head_bytes(enum cache_type type, uint32_t n)
{
	switch (type) {
	case CACHE_F16:
	case CACHE_BF16:
		return 2ull * n;
	case CACHE_Q8_0:
		return n + 2ull * cache_chunks(n);
	default:
		return 4ull * n;
	}
}

/* Of KV memory as a server on a CPU takes it, which is the most that one does without being told. */
static uint64_t kv_bytes_of(struct model *m, const struct engine_config *config, uint32_t n_ctx)
{
	if (config->kv_bytes)
		return config->kv_bytes;
	model_group_kv(m);
	uint64_t block =
		(head_bytes(config->cache.k, m->hp.head_dim) + head_bytes(config->cache.v, m->hp.head_dim)) *
		COMPUTE_KV_BLOCK * m->hp.n_kv_heads * model_kv_places(m);
	return block * engine_kv_blocks(m, n_ctx, config->kv_grows);
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
	out->weight_bytes = m.n_weight_bytes;
	rc = engine_choose_context(m.hp.n_ctx_train, config->n_ctx, &out->n_ctx, err);
	if (!rc)
		out->kv_bytes = kv_bytes_of(&m, config, out->n_ctx);
	model_unbind(&m);
	return rc;
}
