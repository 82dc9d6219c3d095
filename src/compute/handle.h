/*
 * What stands behind a handle of compute.h: open.c makes it, compute.c runs steps through it. Nobody else
 * includes this.
 */
#ifndef COMPUTE_HANDLE_H
#define COMPUTE_HANDLE_H

#include "compute/compute.h"
#include "compute/sample.h"

/* A step from its submit to its collect. */
struct flight {
	struct compute_seq *seqs; /* (n) the caller's */
	uint32_t n, n_good;
	struct compute_seq *good; /* (n_seqs) those that run, where some are left out */
	uint32_t *good_index;     /* (n_seqs) of each of seqs that runs, among those */
	bool gathered;            /* the backend gets those, not the caller's */
	bool drawn_here;          /* some of their tokens are drawn by the host */
};

struct compute {
	const struct compute_backend *backend;
	void *self;
	struct compute_params params; /* defaults filled in; device is the one that runs */
	char device[16];              /* "cuda:N", for params */
	char why[sizeof((struct hokku_error *)0)->message]; /* "auto" chose so; "" */
	bool why_notable;
	/* (n_kv_blocks) each: in which step, and by which sequence, a block was last seen, and
	 * in which table. They let a step find blocks that two sequences write, or that a table names twice,
	 * without clearing anything. */
	uint64_t *written_at, *named_at, *tabled_at;
	uint64_t *slotted_at; /* (n_seqs) the same of places of histories */
	uint64_t stamp;       /* one more for each sequence that is checked; never repeats */
	struct flight flights[COMPUTE_MAX_AHEAD];
	uint32_t n_submitted, n_collected; /* flight number k is flights[k % COMPUTE_MAX_AHEAD] */
	uint32_t n_open;                   /* masks of the step that is being checked that follow */
	struct sampler *sampler;           /* for what the backend does not draw; NULL: it draws all */
	uint32_t *masks;                   /* (n_seqs, mask_words) that came late, for a device that waits */
};

/* Of a token mask: a bit for each id of the vocabulary. */
static inline size_t mask_words(const struct compute *c)
{
	return ((size_t)c->params.model->hp.n_vocab + 31) / 32;
}

#endif
