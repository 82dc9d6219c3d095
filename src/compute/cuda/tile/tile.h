/* The tile path: weights in tiles (tile_layout.h), products on tensor cores. Steps of one token
 * run in one launch (decode_kernels.h), others kernel by kernel; the bits are the same. */
#ifndef COMPUTE_CUDA_TILE_H
#define COMPUTE_CUDA_TILE_H

#include "compute/cuda/cuda.h"
#include "compute/cuda/decode/decode_kernels.h"
#include "compute/cuda/tile/tile_kernels.h"
#include "compute/cuda/tile/tile_layout.h"

/* Vectors are float32, with zeros after them up to a multiple of four. */
struct tile_layer {
	struct tile_matrix m[N_LAYER_ROLES]; /* of the roles that are matrices */
	float *v[N_LAYER_ROLES];             /* of those that are vectors; NULL: the layer has none */
};

/* What the path keeps in c->own. Pointers inside are the device's, but for layers. */
struct tile_handle {
	struct tile_layer *layers; /* (n_layers) */
	struct tile_matrix embedding, output;
	float *output_norm;    /* (d_model) */
	float *rope_frequency; /* (head_dim / 2) */
	uint32_t planes;       /* of f16 that an activation is held in: 2 FULL, 1 HALF */
	bool any_mins;         /* FULL: some matrix wants the sums of activations */

	/* scratch of steps */
	float *x;                                         /* (n_batch, d_pitch) the residual */
	float *qkv;                                       /* (n_batch, qkv_pitch) rows of q, k, v */
	float *gate_up;                                   /* (n_batch, 2 * ff_pitch) */
	uint16_t *q;                                      /* (n_batch, n_heads, planes, hd) */
	float *partial;                                   /* (TILE_SPLITS, n_heads, 2 + hd) */
	struct tile_activations normed, attended, hidden; /* (n_batch, ..) */
	uint32_t hd, qkv_pitch, n_sms;

	/* of the present step */
	struct attend_plan plan;
	uint32_t tiles; /* word of the input where attention's tiles lie */
	bool split;

	struct decode_handle *decode; /* NULL: this model has no decode kernel */
};

/* Splits that there is a partial buffer for, over all tokens of a step. */
enum { TILE_SPLITS = 2048 };

/* The step after the last one, begun before the host has asked for it (decode_ahead.c). */
struct decode_ahead {
	struct cuda_drawn *drawn; /* (2) pinned: of the step under way and of the one before */
	cudaEvent_t done[3];      /* when those are there; the third: a step that was asked for */
	uint32_t slot;            /* of the step under way */
	bool pending;             /* there is one */
	uint32_t pos;             /* its position */
	int32_t token;            /* its token, once the step before is through */
	uint32_t *table;          /* KV blocks of its sequence */
};

/* What the decode kernel needs, host's side. */
struct decode_handle {
	struct decode_args args;
	uint32_t grid, shared_bytes;
	struct tile_matrix *matrices; /* (n_layers * DECODE_N_ROLES + 1) */
	struct decode_layer *layers;  /* (n_layers) */
	struct decode_job *jobs;      /* (grid, n_jobs) */
	struct {                      /* the same on the device */
		void *matrices, *layers, *jobs;
	} device;
	uint32_t *words[2]; /* device (n_layers * per_layer): of even and odd launches, all DECODE_EMPTY at
			       first */
	struct decode_ahead ahead;
	uint64_t words_bytes, tagged_bytes; /* of one set; of all */
};

static inline struct tile_handle *tile_of(const struct cuda *c)
{
	return c->own;
}

/* tile_weights.c. Makes c->own and decides the planes: two for models below 2,000,000,000 weights;
 * HOKKU_CUDA_PRECISION=full|half in the environment, for tests, decides otherwise. MODEL_LOAD_FAILED for a
 * format without tile kernels, INVALID_REQUEST, OUT_OF_MEMORY; then c->own is NULL. */
enum hokku_code tile_create(struct cuda *c, struct hokku_error *err);
/* Frees c->own; there may be none. */
void tile_destroy(struct cuda *c);

/* decode.c. Once the weights' shapes are known: makes h->decode, or leaves it NULL where the kernel
 * cannot run the model. OUT_OF_MEMORY. */
enum hokku_code decode_create(struct cuda *c, struct hokku_error *err);
void decode_destroy(struct tile_handle *h);
void decode_take(struct cuda *c, struct cuda_taker *t);
/* Once its memory is there: tables to the device, words emptied. */
enum hokku_code decode_prepare(struct cuda *c, struct hokku_error *err);
/* The step's one token, from the embedding to the logits, and the draw if it is a plain greedy one (then
 * c->is_drawn). */
enum hokku_code decode_run(struct cuda *c, struct hokku_error *err);
/* A launch of the kernel with the arguments as they stand. */
enum hokku_code decode_launch(struct cuda *c, struct hokku_error *err);
/* A draw that the kernel makes itself: the likeliest token, nothing changed before. */
bool decode_is_greedy(const struct cuda_draw *draw);

/* decode_ahead.c. Of struct cuda_path: foreseen, foresee. */
enum hokku_code decode_ahead_create(struct cuda *c, struct hokku_error *err);
void decode_ahead_destroy(struct decode_handle *d);
enum hokku_code decode_foreseen(struct cuda *c, bool *is, struct hokku_error *err);
enum hokku_code decode_foresee(struct cuda *c, struct hokku_error *err);

/* Of struct cuda_path. */
void tile_take_weights(struct cuda *c, struct cuda_taker *t);
enum hokku_code tile_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err);

#endif
