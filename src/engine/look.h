/*
 * What a model's file says of it and what it would take, before anything of it is loaded: the header is read,
 * the tensors are bound, no weight is touched.
 */
#ifndef ENGINE_LOOK_H
#define ENGINE_LOOK_H

#include "engine/engine.h"

struct model_look {
	char architecture[64], format[32]; /* as hokku_info has them */
	uint32_t n_ctx, n_ctx_train;       /* n_ctx: that it would have on the device cpu, */
	uint32_t n_ctx_wanted;             /* and where there is room */
	uint32_t d_model, n_vocab;
	uint64_t n_params, file_bytes;
	bool assembled;                                 /* a folder, no GGUF file */
	uint64_t weight_bytes, kv_bytes, scratch_bytes; /* that it would take on the device cpu */
	uint64_t device_bytes;       /* that it would take of a GPU's memory at the least, about, */
	uint64_t device_least_bytes; /* and with the smallest context that it may have there */
};

/* config: of the engine that would be made; its model_path is not looked at. g: an open file. Errors are
 * those of loading it. */
enum hokku_code engine_look(const struct gguf *g, const struct engine_config *config, struct model_look *out,
			    struct hokku_error *err);

#endif
