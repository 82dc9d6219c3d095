/* The tile path: weights in tiles (tile.h), products on tensor cores. */
#ifndef COMPUTE_CUDA_HOPPER_H
#define COMPUTE_CUDA_HOPPER_H

#include "compute/cuda/cuda.h"
#include "compute/cuda/tile.h"

/* Vectors are float32, with zeros after them up to a multiple of four. */
struct tile_layer {
	struct tile_matrix wq, wk, wv, wo, w_gate, w_up, w_down;
	float *attn_norm, *ffn_norm; /* (d_model) */
	float *bq, *bk, *bv;         /* as wide as the rows, NULL: none */
};

/* What the path keeps in c->own. Pointers inside are the device's, but for layers. */
struct hopper {
	struct tile_layer *layers; /* (n_layers) */
	struct tile_matrix embedding, output;
	float *output_norm;    /* (d_model) */
	float *rope_frequency; /* (head_dim / 2) */
	uint32_t planes;       /* of f16 that an activation is held in: 2 FULL, 1 HALF */
};

static inline struct hopper *hopper_of(const struct cuda *c)
{
	return c->own;
}

/* hopper_load.c. Makes c->own and decides the planes: two for models below 2,000,000,000 weights;
 * HOKKU_CUDA_PRECISION=full|half in the environment, for tests, decides otherwise. MODEL_LOAD_FAILED for a
 * format without tile kernels, INVALID_REQUEST, OUT_OF_MEMORY; then c->own is NULL. */
enum hokku_code hopper_create(struct cuda *c, struct hokku_error *err);
/* Frees c->own; there may be none. */
void hopper_destroy(struct cuda *c);

/* Of struct cuda_path. */
void hopper_take_weights(struct cuda *c, struct cuda_taker *t);
enum hokku_code hopper_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err);

#endif
