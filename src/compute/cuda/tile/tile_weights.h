/* The handle of the tile path, and its weights: which there are, and their way to the device. */
#ifndef COMPUTE_CUDA_TILE_WEIGHTS_H
#define COMPUTE_CUDA_TILE_WEIGHTS_H

#include "compute/cuda/cuda.h"
#include "compute/cuda/load.h"
#include "compute/cuda/tile/tile_kernels.h"

/* Vectors are float32, with zeros after them up to a multiple of four. */
struct tile_layer {
	struct tile_matrix m[N_LAYER_ROLES]; /* of the roles that are matrices */
	float *v[N_LAYER_ROLES];             /* of those that are vectors; NULL: the layer has none */
};

/* What the path keeps in c->own. Pointers inside are the device's, but for layers. */
struct tile_handle {
	struct tile_layer *layers; /* (n_layers) */
	struct tile_matrix embedding, output;
	float *output_norm;                     /* (d_model) */
	float *rope_frequency[MODEL_MAX_ROPES]; /* (n_dims / 2) */
	uint32_t planes;                        /* of f16 that an activation is held in: 2 FULL, 1 HALF */
	bool any_mins;                          /* FULL: some matrix wants the sums of activations */
	bool any_post; /* some block's output is normed or scaled before it is added */

	/* scratch of steps */
	float *x;                                         /* (n_batch, d_pitch) the residual */
	float *qkv;                                       /* (n_batch, qkv_pitch) rows of q, k, v */
	float *gate_up;                                   /* (n_batch, 2 * ff_pitch) */
	float *block;                                     /* any_post: (n_batch, d_pitch) a block's output */
	uint16_t *q;                                      /* (n_batch, n_heads, planes, hd) */
	float *partial;                                   /* (TILE_SPLITS, n_heads, 2 + hd) */
	struct tile_activations normed, attended, hidden; /* (n_batch, ..) */
	uint32_t hd, qkv_pitch, n_sms;
	uint32_t n_together; /* blocks of a launch that may wait for each other */

	/* of the present step */
	struct attend_plan plan;
	uint32_t bands; /* word of the input where attention's bands lie */
	bool split;

	struct decode_path *one; /* what decode/ keeps for steps of one token; it alone looks in */
};

enum {
	TILE_CC = 90,       /* the compute capability that the path is for */
	TILE_SPLITS = 2048, /* that there is a partial buffer for, over all tokens of a step */
};

static inline struct tile_handle *tile_of(const struct cuda *c)
{
	return c->own;
}

/* Makes c->own and decides the planes: two for models below 2,000,000,000 weights;
 * HOKKU_CUDA_PRECISION=full|half in the environment, for tests, decides otherwise. MODEL_LOAD_FAILED for a
 * format without tile kernels, INVALID_REQUEST, OUT_OF_MEMORY; then c->own is NULL. */
enum hokku_code tile_create(struct cuda *c, struct hokku_error *err);
/* Frees c->own; there may be none. */
void tile_destroy(struct cuda *c);

/* load_place_fn for struct tile_matrix. */
cudaError_t tile_place(const struct load_item *item, const uint8_t *rows, uint32_t first, uint32_t n,
		       cudaStream_t stream);

/* Of struct cuda_path. */
void tile_take_weights(struct cuda *c, struct cuda_taker *t);
enum hokku_code tile_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err);

#endif
