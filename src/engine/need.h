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
 * limits, KV memory and what a step may be asked for; its n_ctx and n_parallel are not looked at. */
struct compute_params engine_ask(struct model *m, const struct engine_config *config, uint32_t n_ctx,
				 uint32_t n_parallel);

/* What an engine with such a config takes on config->device; n_ctx other than 0. m is no engine's. Errors are
 * those of compute_need. */
enum hokku_code engine_need(struct model *m, const struct engine_config *config, uint32_t n_ctx,
			    struct compute_need *out, struct hokku_error *err);

/* KV blocks that one request of n_ctx positions has at most. */
uint32_t engine_context_blocks(const struct model *m, uint32_t n_ctx);

#endif
