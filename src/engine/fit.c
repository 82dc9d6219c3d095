#include "engine/fit.h"

/* What asks for a device's memory, again and again with other numbers. */
struct asking {
	struct model *m;
	struct engine_config config;
	uint64_t given;       /* --kv-bytes; 0: what the streams take */
	uint64_t block_bytes; /* of a KV block */
};

static uint64_t bytes_of(const struct asking *a, uint32_t n_ctx, uint32_t n_streams)
{
	return (uint64_t)n_streams * engine_context_blocks(a->m, n_ctx) * a->block_bytes;
}

static enum hokku_code ask(struct asking *a, uint32_t n_ctx, uint32_t n_streams, struct compute_need *out,
			   struct hokku_error *err)
{
	uint64_t bytes = bytes_of(a, n_ctx, n_streams);
	a->config.n_parallel = n_streams;
	a->config.kv_bytes = a->given ? a->given : bytes;
	enum hokku_code rc = engine_need(a->m, &a->config, n_ctx, out, err);
	if (a->given && bytes > a->given)
		out->fits = false;
	return rc;
}

static bool fits(struct asking *a, uint32_t n_ctx, uint32_t n_streams)
{
	struct compute_need need;
	struct hokku_error err;
	return !ask(a, n_ctx, n_streams, &need, &err) && need.fits;
}

/* The largest multiple of a block, or n_max itself. */
static uint32_t find_ctx(struct asking *a, uint32_t n_max, uint32_t n_streams)
{
	uint32_t low = 0, high = n_max / COMPUTE_KV_BLOCK;
	if (fits(a, n_max, n_streams))
		return n_max;
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (fits(a, middle * COMPUTE_KV_BLOCK, n_streams))
			low = middle;
		else
			high = middle - 1;
	}
	return low * COMPUTE_KV_BLOCK;
}

static uint32_t find_streams(struct asking *a, uint32_t n_ctx)
{
	uint32_t low = 0, high = ENGINE_MAX_PARALLEL;
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (fits(a, n_ctx, middle))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

enum hokku_code engine_fit(struct model *m, const struct engine_config *config, struct engine_fit *out,
			   struct hokku_error *err)
{
	struct asking a = {.m = m, .config = *config, .given = config->kv_bytes};
	*out = (struct engine_fit){.n_streams = config->n_parallel ? config->n_parallel : 1};
	struct engine_context ctx;
	enum hokku_code rc = engine_settle_context(m, config, &ctx, err);
	out->n_ctx = ctx.n_ctx;
	out->n_ctx_wanted = ctx.n_ctx_wanted;
	if (!rc)
		rc = engine_need(m, config, out->n_ctx, &out->server, err);
	if (rc)
		return rc;
	a.block_bytes = out->server.kv_block_bytes;
	out->token_bytes = (uint64_t)m->n_kv_groups * a.block_bytes / COMPUTE_KV_BLOCK;
	out->stream_bytes = bytes_of(&a, out->n_ctx, 1);
	out->kv_bytes_to_have = bytes_of(&a, out->n_ctx, out->n_streams);
	rc = ask(&a, out->n_ctx, out->n_streams, &out->need, err);
	if (rc)
		return rc;
	/* What is free may change while this looks; what is told hangs together. */
	a.config.vram_limit = a.config.ram_limit = out->need.available_bytes;
	out->most_ctx_alone = find_ctx(&a, m->hp.n_ctx_train, 1);
	out->most_ctx =
		out->n_streams == 1 ? out->most_ctx_alone : find_ctx(&a, m->hp.n_ctx_train, out->n_streams);
	out->most_streams = find_streams(&a, out->n_ctx);
	return HOKKU_OK;
}
