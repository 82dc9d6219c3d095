/* The sequences that `hokku bench` runs: tokens that are made up, each sequence with KV blocks of its own. */
#ifndef CLI_BENCH_BATCH_H
#define CLI_BENCH_BATCH_H

#include "compute/compute.h"

struct bench_batch {
	uint32_t n_seqs, n_vocab;
	uint32_t n_blocks; /* of all sequences, in each KV group */
	uint32_t pitch;    /* blocks of a sequence */
	uint32_t *tables;  /* (n_seqs, n_groups, pitch) */
	uint32_t n_groups;
	int32_t *tokens;          /* (COMPUTE_MAX_BATCH) of a step */
	struct compute_seq *seqs; /* (COMPUTE_MAX_AHEAD, n_seqs) of steps under way */
};

/* Room for n_positions of each of n_seqs sequences: blocks 0 .. n_blocks - 1. */
enum hokku_code bench_batch_init(struct bench_batch *b, const struct model *m, uint32_t n_seqs,
				 uint32_t n_positions, struct hokku_error *err);
void bench_batch_deinit(struct bench_batch *b); /* zeroes are allowed */

/* Each sequence's first n tokens, in steps of n_batch, which take the end of one prompt with the beginning of
 * the next. draws: a token after the last one of each. on_progress: NULL, or told of each step. */
enum hokku_code bench_batch_prefill(struct bench_batch *b, struct compute *c, uint32_t n, uint32_t n_batch,
				    bool draws, void (*on_progress)(double part), struct hokku_error *err);

/* n steps of one token of each sequence, from position pos on: one made up, then the likeliest. */
enum hokku_code bench_batch_decode(struct bench_batch *b, struct compute *c, uint32_t pos, uint32_t n,
				   struct hokku_error *err);

#endif
