/*
 * Which model it is, in one number: of what its file says (keys, tensors, but not where they lie in it) and
 * of samples of its weights. So a copy, a file cut into parts and a folder that gives the same keys and
 * tensors are the same model; another fine-tune, another quantisation and another vocabulary are others. What
 * differs outside the samples alone is not seen: it takes a tool that means to change one number and nothing
 * else.
 */
#ifndef MODEL_IDENTITY_H
#define MODEL_IDENTITY_H

#include "model/model.h"

enum {
	IDENTITY_PAGE = 4096,
	IDENTITY_PAGES = 3, /* of a tensor: its first, its middle, its last; all of one that has no more */
};

/* Reads three pages a tensor. IO_ERROR where the file has lost them, OUT_OF_MEMORY. */
enum hokku_code model_identity(const struct gguf *g, uint64_t *out, struct hokku_error *err);

/* The same of the tables of RoPE, which depend on the context that was chosen (model_set_context). */
uint64_t model_rope_identity(const struct model *m);

#endif
