/* Draws whose masks follow while the step is under way: their logits are set aside, masks cross the bus as
 * they come, on a stream of their own, and when the step is collected all are drawn. */
#ifndef COMPUTE_CUDA_LATE_H
#define COMPUTE_CUDA_LATE_H

#include "compute/cuda/cuda.h"

/* One such draw of a step. */
struct late_draw {
	uint32_t seq, draw; /* among the step's sequences, and its draws */
	/* bytes from the beginning of the step's input: of its draws, of the words, of the mask */
	uint64_t draws_at, words_at, mask_at;
	bool come; /* the mask has */
};

struct cuda_late {
	uint32_t n_max; /* of a step; 0: there are none */
	cudaStream_t stream;
	/* of each step under way */
	struct late_draw *draws[COMPUTE_MAX_AHEAD]; /* (n_max) */
	uint32_t n[COMPUTE_MAX_AHEAD];
	cudaEvent_t sent[COMPUTE_MAX_AHEAD];  /* the input is there */
	cudaEvent_t ready[COMPUTE_MAX_AHEAD]; /* logits are set aside */
	/* device; draw i of step k is number (k % COMPUTE_MAX_AHEAD) * n_max + i */
	float *logits;                 /* (2 * n_max, vocab_pitch) */
	float *x;                      /* (2 * n_max, n_vocab) */
	uint32_t *counts;              /* (2 * n_max, n_vocab) zeros between draws */
	struct cuda_drawn *drawn;      /* (2 * n_max) */
	struct cuda_drawn *drawn_host; /* pinned */
};

/* Of struct cuda: memory, by the ledger and pinned. */
void late_take(struct cuda *c, struct cuda_taker *t);
enum hokku_code late_prepare(struct cuda *c, struct hokku_error *err);
void late_close(struct cuda *c);

/* While step k is laid out: sequence s has an open mask, and its draw, which is in the input, is such a one.
 * Returns which. */
uint32_t late_add(struct cuda *c, uint32_t k, uint32_t s, uint32_t draw, uint32_t mask);
/* While it is queued: the input is sent; row `row` of the logits is that of a late draw (its slot says
 * which); all are set aside. */
enum hokku_code late_sent(struct cuda *c, uint32_t k, struct hokku_error *err);
enum hokku_code late_set_aside(struct cuda *c, uint32_t number, uint32_t row, struct hokku_error *err);
enum hokku_code late_queued(struct cuda *c, uint32_t k, struct hokku_error *err);
/* The mask of sequence s has come. */
enum hokku_code late_mask(struct cuda *c, uint32_t k, uint32_t s, const uint32_t *mask,
			  struct hokku_error *err);
/* Before step k is waited for: queues the draws whose masks have come, in one launch. (The others too, with
 * what lies where their masks would: nobody looks at what they drew.) */
enum hokku_code late_draw(struct cuda *c, uint32_t k, struct hokku_error *err);
/* When step k is done: waits for its late draws and puts those whose masks have come into seqs. */
enum hokku_code late_collect(struct cuda *c, uint32_t k, struct compute_seq *seqs, struct hokku_error *err);

#endif
