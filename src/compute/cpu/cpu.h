/* The handle of the fast path: what cpu.c sets up and forward.c runs. */
#ifndef COMPUTE_CPU_CPU_H
#define COMPUTE_CPU_CPU_H

#include <stdatomic.h>

#include "compute/compute.h"
#include "compute/cpu/pack.h"
#include "compute/cpu/pool.h"
#include "compute/cpu/tier.h"
#include "compute/sample.h"

enum {
	TOKEN_BLOCK = 384,   /* tokens that pass over a slab of weights together: whole tiles of both kinds */
	TILES_BLOCK = 528,   /* the same of block formats where a tier takes many tiles at once: their
			      * activations are small, and each block reads and unpacks all weights again */
	SLABS_AT_ONCE = 8,   /* slabs whose sums a thread holds at once */
	LOGIT_ROWS = 48,     /* rows of logits that are computed together: the same */
	DEPTH_BLOCK = 1024,  /* columns of one call where there are many tokens */
	SPLIT_COLUMNS = 512, /* columns of d_ff that are one piece of work */
};

/* Matrices that read the same activations. */
struct product_set {
	struct packed m[3];
	uint32_t n;
	uint32_t n_slabs;            /* of all */
	bool want_float, want_quant; /* forms of the activations */
};

struct cpu_layer {
	uint8_t *kv; /* its place in KV memory: (n_kv_blocks, n_kv_heads) of keys, then values (cache.h) */
	struct product_set qkv, wo, gate_up, down; /* gate_up: of a feed-forward without a gate, up alone */
	float *v[N_LAYER_ROLES];                   /* vectors, padded to whole panels; NULL: none */
};

/* Activations in the tiles that the kernels read; tier.h. */
struct acts {
	float *f;
	struct qchunk *q;
};

struct token_info {
	int32_t id;
	uint32_t pos;
	const uint32_t *blocks; /* tables, one a KV group */
	uint32_t blocks_pitch;
};

/* Where a row of logits goes. */
struct output_row {
	uint32_t token;          /* index into the step's tokens */
	float *logits;           /* NULL: nobody wants to see it */
	struct compute_seq *seq; /* draws from it; NULL: no */
};

/* Tokens x heads of one KV head of one sequence: one call of the attention kernel. */
struct attn_task {
	uint32_t first, n_tokens, kv_head;
};

/* What a thread needs for itself. */
struct thread_scratch {
	float *row;           /* (widest row) */
	float *product;       /* (SLABS_AT_ONCE, TOKEN_BLOCK or TILES_BLOCK, SLAB_ROWS) */
	float *q, *acc;       /* (ATTN_TILE_ROWS, head_stride) */
	float *scores;        /* (ATTN_TILE_ROWS, COMPUTE_KV_BLOCK) */
	float *keys, *values; /* (head_dim, COMPUTE_KV_BLOCK), (COMPUTE_KV_BLOCK, head_stride), unpacked */
	uint32_t *positions;  /* (ATTN_TILE_ROWS) */
	struct sampler
		*sampler; /* NULL: the thread draws nothing, as there are fewer rows of logits than threads */
};

struct cpu {
	const struct model *model;
	const struct cpu_tier *tier;
	struct pool *pool;
	char device[64];
	struct compute_memory memory;
	uint32_t n_batch, n_threads;
	bool pooled; /* steps may ask for hidden states */

	/* widths, padded to whole panels */
	uint32_t d_stride, q_stride, kv_stride, ff_stride, vocab_stride, head_stride;
	uint32_t q_dim, kv_dim;

	struct cpu_layer *layers; /* (n_layers) */
	struct product_set output;
	const uint8_t *embedding; /* (n_vocab, row_bytes) as in the file; NULL: tied, look it up in output */
	uint8_t *embedding_copy;  /* the same, where it is read; NULL: it is in memory anyway, or tied */
	float *output_norm;       /* (d_stride) */

	size_t kv_value_offset; /* of a head: from its keys to its values */
	size_t kv_head_bytes, kv_block_bytes;

	/* scratch, (n_batch, ...) */
	struct token_info *tokens;
	struct output_row *outputs;
	struct attn_task *tasks;    /* (n_batch * n_kv_heads) */
	float *x;                   /* (d_stride) the residual stream */
	float *q, *attended;        /* (q_stride) */
	float *k, *v;               /* (kv_stride) */
	float *gate, *up;           /* (ff_stride) */
	float *y;                   /* (d_stride) what is normed or scaled before it is added to x, and hidden
				     * states to be pooled; or NULL */
	float *rope_cos, *rope_sin; /* (n_ropes, head_dim / 2) */
	struct acts acts;
	float *logits; /* (logit_rows, vocab_stride) */
	uint32_t logit_rows;
	struct thread_scratch *threads; /* (n_threads) */

	/* of the present step */
	const struct compute_seq *seqs; /* (n_seqs) */
	uint32_t n_seqs, n_tokens, n_outputs, n_tasks;
	bool wants_states;      /* one of them does */
	atomic_uint *next_task; /* (n_layers): tasks are taken as threads become free */
	atomic_uint next_draw;  /* the same of rows of logits that a token is drawn from */

	void *regions[4]; /* mapped memory: weights, KV, scratch */
	size_t region_bytes[4];
};

/* Is what a block adds to the residual its last product and nothing else? Then the product itself adds it. */
static inline bool cpu_adds_product(const struct layer *layer, enum layer_role bias,
				    enum layer_role post_norm)
{
	return !layer->w[bias].tensor && !layer->w[post_norm].tensor && layer->spec->residual_scale == 1;
}

/* Fills what is set aside for weights, from the file: IO_ERROR if it has become shorter. */
enum hokku_code cpu_load(struct cpu *c, const struct compute_params *p, struct hokku_error *err);

/* Of struct compute_backend (kv.c). */
uint64_t cpu_kv_bytes(const void *self, uint32_t group);
enum hokku_code cpu_kv_read(void *self, uint32_t group, uint32_t block, void *to, struct hokku_error *err);
enum hokku_code cpu_kv_write(void *self, uint32_t group, uint32_t block, const void *from,
			     struct hokku_error *err);
void cpu_kv_describe(const void *self, struct compute_kv_kind *out);

/* Lays out the step and runs it on the pool. */
void cpu_forward(struct cpu *c, struct compute_seq *seqs, uint32_t n_seqs);

/* out (n_tokens, strides[i]) = acts x set.m[i]; added to it with `add`. Every thread of the pool calls it:
 * each takes its share of the slabs. columns: of the activations. */
void product_run(const struct cpu *c, const struct product_set *set, uint32_t n_tokens, float *const *out,
		 const uint32_t *strides, bool add, uint32_t thread);

/* Puts one token's row of activations (columns from .. from + n) where set's kernels read it. */
void acts_put(const struct cpu *c, const struct product_set *set, uint32_t token, uint32_t n_tokens,
	      uint32_t columns, uint32_t from, uint32_t n, const float *row);

#endif
