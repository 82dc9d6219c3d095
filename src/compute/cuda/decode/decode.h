/* The decode kernel's place in the tile path, host's side: which models it takes, its tables and words, its
 * launch. It borrows the path's weights. */
#ifndef COMPUTE_CUDA_DECODE_H
#define COMPUTE_CUDA_DECODE_H

#include "compute/cuda/decode/decode_kernels.h"
#include "compute/cuda/tile/tile_weights.h"

struct decode_handle {
	struct decode_args args;
	uint32_t grid, shared_bytes;
	struct tile_matrix *matrices; /* (n_layers * DECODE_N_ROLES + 1) */
	struct decode_layer *layers;  /* (n_layers) */
	struct decode_stint *stints;  /* (grid, n_stints) */
	struct {                      /* the same on the device */
		void *matrices, *layers, *stints;
	} device;
	uint32_t *words[2]; /* device (n_layers * per_layer): of even and odd launches, all DECODE_EMPTY at
			       first */
	uint64_t words_bytes, tagged_bytes; /* of one set; of all */
	uint32_t filled[2]; /* of several sequences: whose words of each set may not be empty, from the first
			       on */
	uint32_t *table;    /* device (KV groups, blocks of a context): of the step's sequence */
	uint32_t *table_sent; /* host: what it holds when all that was submitted is done */
};

/* What of the model the kernel cannot do, in out or a constant; NULL if it can do all, though tables may
 * still be too large for a block's memory. */
const char *decode_lacks(const struct cuda *c, char out[MODEL_SUPPORT_TEXT]);
/* Once the weights' shapes are known. *d is NULL where the kernel cannot run the model. few: that of several
 * sequences. OUT_OF_MEMORY. */
enum hokku_code decode_create(const struct cuda *c, bool few, struct decode_handle **d,
			      struct hokku_error *err);
/* d may be NULL. */
void decode_destroy(struct decode_handle *d);
void decode_take(const struct cuda *c, struct decode_handle *d, struct cuda_taker *t);
/* Once its memory is there: tables to the device, words emptied. */
enum hokku_code decode_prepare(struct cuda *c, struct decode_handle *d, struct hokku_error *err);
/* The step's one token, from the embedding to the logits, and the draw if it is a plain greedy one (then
 * c->is_drawn). */
enum hokku_code decode_run(struct cuda *c, struct decode_handle *d, struct hokku_error *err);
/* Whether a step is one token of each of several sequences, no more than a launch of d (may be NULL) takes;
 * the step, as decode_run has it. */
bool decode_takes_together(const struct cuda *c, const struct decode_handle *d);
enum hokku_code decode_run_together(struct cuda *c, struct decode_handle *d, struct hokku_error *err);
/* A launch of the kernel with the arguments as they stand. */
enum hokku_code decode_launch(struct cuda *c, struct decode_handle *d, struct hokku_error *err);
/* A draw that the kernel makes itself: the likeliest token, nothing changed before. */
bool decode_is_greedy(const struct cuda_draw *draw);

#endif
