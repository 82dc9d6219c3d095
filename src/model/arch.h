/*
 * Architectures: a row of arch.c's table each. A row has a name, what a layer holds, and a function that
 * makes specs out of the file's keys. Nothing outside model/ and the converters knows an architecture.
 */
#ifndef MODEL_ARCH_H
#define MODEL_ARCH_H

#include "model/keys.h"
#include "model/model.h"

struct arch {
	const char *name;
	enum rope_kind rope;
	uint64_t must, may; /* roles of a layer: that each holds, that it may hold (ROLE_BIT) */
	uint32_t may_model; /* roles of the model that it may hold besides EMBEDDING, OUTPUT_NORM and OUTPUT:
			       1u << */
	/* Once m->hp is read, m->specs are all the plainest layer, and m->ropes[0] is plain RoPE over the
	 * head: changes what this architecture does otherwise. Failures go to k. */
	void (*read)(struct keys *k, struct model *m);
};

/* The row for a name, or NULL. */
const struct arch *arch_get(struct str name);

/* Hyperparameters, specs and sources of RoPE from the file's keys (m->file, m->arch); n_vocab is not among
 * them. A key that nobody asked for and that is not neutral is refused: MODEL_LOAD_FAILED names the key, the
 * value found and the value allowed. */
enum hokku_code arch_read(struct model *m, struct hokku_error *err);

#endif
