/* From what a file says about RoPE to the table of frequencies: every kind of scaling ends in it. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "model/model.h"

enum rope_scaling {
	ROPE_PLAIN,
	ROPE_LINEAR, /* every frequency divided by factor */
	ROPE_YARN, /* low frequencies divided by factor, high ones kept, a ramp between (arXiv 2309.00071) */
	ROPE_FACTORS, /* divided by ROPE_FREQS, a factor a pair */
	ROPE_LONG, /* divided by ROPE_LONG, or ROPE_SHORT where the context is not longer than n_ctx_original
		    */
};

struct rope_source {
	enum rope_scaling scaling;
	float base;
	float factor;               /* LINEAR, YARN */
	uint32_t n_ctx_original;    /* YARN, LONG */
	float beta_fast, beta_slow; /* YARN: turns within n_ctx_original at the ramp's ends */
	float *freq;                /* (n_dims / 2), the rope's own */
};

/* Fills m->ropes[i].freq for a context. Tensors are bound, tables are there. */
void rope_fill(struct model *m, uint32_t i, uint32_t n_ctx);

/* Sets aside the tables; checks that the tensors of factors are there and hold sane numbers. */
enum hokku_code rope_prepare(struct model *m, struct hokku_error *err);

#endif
