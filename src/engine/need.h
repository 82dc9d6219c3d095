/*
 * What an engine asks of its device: one place, for its loading and for what is told of it before anything is
 * loaded (look.h, `hokku fit`, the refusals of a server).
 */
#ifndef ENGINE_NEED_H
#define ENGINE_NEED_H

#include "engine/engine.h"

/* Requests that run at a time, before the device is known: the most that any would have. */
uint32_t engine_most_parallel(const struct engine_config *config);

/* The model's layers are in KV groups from then on (model_group_kv), and its context is set. config: device,
 * limits, KV memory and what a step may be asked for; n_parallel is not looked at. With a default context
 * (config->n_ctx 0) the tables of RoPE are the default's, whatever n_ctx has room: what fits changes no bits.
 */
struct compute_params engine_ask(struct model *m, const struct engine_config *config, uint32_t n_ctx,
				 uint32_t n_parallel);

/* What an engine with such a config takes on config->device; n_ctx other than 0. m is no engine's. Errors are
 * those of compute_need. */
enum hokku_code engine_need(struct model *m, const struct engine_config *config, uint32_t n_ctx,
			    struct compute_need *out, struct hokku_error *err);

/* The context of an engine with such a config, and what would be taken if there were room for it. */
struct engine_context {
	uint32_t n_ctx, n_ctx_wanted; /* the same, but where a default does not fit */
};

/* Where config->n_ctx is 0 and the default does not fit the device: the largest that does, in whole KV
 * blocks, but no less than ENGINE_LEAST_CTX, or all of a smaller default. Of "auto" a GPU that has room for
 * that is the device. Where that does not fit either n_ctx is the default, and opening refuses it. What
 * somebody else may take until then is left: a part of what is available, unless a limit was set. */
enum hokku_code engine_settle_context(struct model *m, const struct engine_config *config,
				      struct engine_context *out, struct hokku_error *err);

/* KV blocks that one request of n_ctx positions has at most. */
uint32_t engine_context_blocks(const struct model *m, uint32_t n_ctx);

#endif
