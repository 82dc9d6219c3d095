/*
 * One token of one sequence, or of each of a few, in one launch: a cooperative kernel with a block on every
 * multiprocessor that stretches the model from the embedding to the logits. Blocks pass activations on
 * through words in global memory (no barrier over the grid); weights stream through shared memory ahead of
 * the work. C and CUDA C.
 */
#ifndef COMPUTE_CUDA_DECODE_KERNELS_H
#define COMPUTE_CUDA_DECODE_KERNELS_H

#include "compute/cuda/tile/tile_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	DECODE_LOT_FULL = 10, /* tiles whose sums are added up together */
	DECODE_LOT_HALF = 20,
	DECODE_LOT_FEW = 8,   /* FULL, of several sequences: a thread finishes a row's plane of one of them */
	DECODE_SEQS_FULL = 4, /* sequences that a launch of several takes at most: two columns each, */
	DECODE_SEQS_HALF = 2, /* or one */
	DECODE_SEQS = 4,      /* the larger of the two */
	DECODE_MAX_GROUP = 16, /* query heads on one KV head: rows of a tensor-core product */
	DECODE_ROW_PAD = 32, /* halves after a row of attention's operands: eight lanes then read all banks */
	DECODE_ZEROS = 8 * TILE_CHUNK, /* halves: as much as is read from one place in an operand */
	DECODE_STREAM_WARPS = 4,
	DECODE_PARCELS = 8, /* of weights in flight for a segment, at most */
	DECODE_GOOD_BYTES =
		2560, /* of a parcel of whole segments: smaller ones cost more, larger ones come later */
	DECODE_PARCEL_BYTES = 4096, /* of others: two copies, which should not be small */
	DECODE_LOT_DOWN_FULL = 2,   /* of several sequences, where the operand leaves the sums no room */
	DECODE_LOT_DOWN_HALF = 4,
	DECODE_PARCEL_FEW = 2176,  /* FULL, of several sequences, whose rings are half as large */
	DECODE_PLACES = 10,        /* items of attention whose KV blocks a block knows the places of */
	DECODE_MERGE_SPLITS = 256, /* that are merged at once, of up to 16 columns; half as many of 32 */
	DECODE_MERGE_LOG_LEAST = 3,
	DECODE_MERGE_LOG_MOST = 5,
};

/* A word that nobody has written: not a number that the kernel makes. */
#define DECODE_EMPTY 0xFFFFFFFFu

/* Matrices of a layer, in the order they are read; the output matrix comes after the last layer's. */
enum decode_role {
	DECODE_Q,
	DECODE_K,
	DECODE_V,
	DECODE_O,
	DECODE_GATE,
	DECODE_UP,
	DECODE_DOWN,
	DECODE_N_ROLES
};

/* Different RoPEs of a model's layers, and beside them one that turns nothing. */
enum { DECODE_ROPES = 2, DECODE_STILL = DECODE_ROPES };

/*
 * A matrix as the decode kernel reads it: tiles two by two, as the sixteen rows of a tensor-core product, in
 * *parcels* that a copy brings to shared memory. Where a segment of two tiles fits in a parcel, a parcel is
 * whole segments of `pairs` pairs (`units`: in the longest); else `units` units of the one tile, then those
 * of the other (pairs is 0). Where segments differ in length, warps change segments from pair to pair
 * (`shifts`; decode_segment).
 *
 * HALF: the matrix is paired (tile_layout.h), and such a parcel is a bundle, or bundles that are whole
 * segments.
 */
struct decode_matrix {
	const uint8_t *data;
	uint32_t rows, n_units;
	uint32_t pair_bytes;   /* HALF: a pair's segment of n_units / TILE_SEGMENTS units, */
	uint16_t more_bytes;   /* what one unit more takes, */
	uint16_t bundle_bytes; /* and a parcel of `units` */
	uint16_t unit_bytes;
	uint8_t format, chunks; /* chunks: of 32 columns, in a unit */
	uint8_t pairs, units;
	uint8_t shifts;
	uint8_t scaled; /* rows have scales (tile_row_scale) */
};

/* Tiles of one matrix that a block works on, in the order it does. A lot ends where `last_of_lot`. */
struct decode_stint {
	uint32_t tile; /* first */
	uint16_t matrix;
	uint8_t n_tiles; /* 0: the block has nothing to do here */
	uint8_t at : 5;  /* place of the first among the lot's tiles */
	uint8_t last_of_lot : 1;
	uint8_t last_of_phase : 1;
	uint8_t mins : 1; /* FULL: the phase needs the sums of its activations */
};

struct decode_layer {
	const float *attn_norm, *ffn_norm; /* (d_model) */
	const float *bias[3];              /* of q, k, v; NULL: none */
	const float *qk_norm[2];           /* (head_dim) of q and of k; NULL: none */
	/* What only the kernels of rich models look at (struct decode_args). */
	const float
		*post_norm[2]; /* (d_model) of what attention and the feed-forward part give; NULL: none */
	float residual_scale;  /* of the same */
	float soft_cap;        /* 0: none */
	uint32_t window;       /* 0: none */
	uint32_t table;        /* words from the first KV group's block table to that of the layer's */
	uint32_t kv_place;     /* of the layer, in each block */
	uint32_t rope;         /* DECODE_STILL: none */
};

/* Words that blocks pass on, in a layer: first word of each kind. All are whole multiples of four. */
struct decode_words {
	uint32_t qkv, attended, o, hidden, down, per_layer;
};

/* Offsets of a block's shared memory (decode_block.cuh); decode_plan_shared fills them. */
struct decode_shared {
	uint32_t matrices, stints, x, high, low, zeros, sums, part, peaks, p16, query, fresh, turn, table,
		reduce, bars, notes, done, kept, ring;
};

/* A sequence of a launch of several, with its one token. */
struct decode_seq {
	uint32_t pos;
	int32_t token;
	const int32_t *fed;    /* not NULL: the token is there, on the device, instead */
	const uint32_t *table; /* device: its KV blocks */
	float *logits;         /* (n_vocab) or NULL: nobody wants them */
	struct cuda_drawn *drawn;
};

struct decode_args {
	const struct decode_matrix *matrices; /* device (n_layers * DECODE_N_ROLES + 1) */
	const struct decode_stint *stints;    /* device (grid, n_stints) */
	const struct decode_layer *layers;    /* device (n_layers) */
	const float *output_norm;             /* (d_model) */
	const float *frequency[DECODE_ROPES]; /* (n_dims / 2), RoPE */
	struct tile_matrix embedding;
	uint32_t n_stints, n_layers;
	uint32_t d_model, q_dim, kv_dim, d_ff, n_vocab;
	uint32_t n_heads, n_kv_heads, head_dim, hd; /* hd: head_dim padded to 32 */
	uint32_t group;                             /* query heads on a KV head */
	uint32_t group_rows;                        /* that are kept of a group: 8 or 16 */
	uint32_t quarter_inverse; /* 2^18 / (head_dim / 4) + 1, for divisions of numbers below 2^11 */
	uint32_t planes;          /* of f16 that a number is held in: 2 FULL, 1 HALF */
	uint32_t neox;
	uint32_t any_mins;  /* some matrix wants sums of activations (FULL) */
	uint32_t formats;   /* that matrices have: a bit each */
	uint32_t wide;      /* HALF: some scale is too large for the short way (frag.cuh) */
	float inverse_d;    /* 1 / d_model */
	float inverse_head; /* 1 / head_dim */
	float eps, scale;
	/* Rich: the model asks for more than norms of heads and one RoPE over whole heads, or has heads of
	 * 256. It has kernels of its own, and they alone look at the rest. */
	uint32_t rich;
	uint32_t n_ropes, n_turns; /* n_turns: with DECODE_STILL, DECODE_ROPES + 1 */
	uint32_t n_dims; /* the first columns of a head, which are turned; head_dim, or a multiple of 4 */
	float factor[DECODE_ROPES]; /* of cosines and sines */
	float embedding_scale, logit_scale, logit_cap;
	uint32_t act;
	float temperature;
	uint32_t every; /* 0: q is not multiplied by what grows with the position */
	uint8_t *kv;
	uint64_t kv_layer_bytes;
	const uint32_t *table; /* device: KV blocks of the sequence, a table a KV group */
	uint32_t pos;
	int32_t token;
	const int32_t *fed;    /* not NULL: the token is there, on the device, instead */
	uint32_t *now, *other; /* device (n_layers * per_layer): the launch's words, and the other set */
	struct decode_words at;
	uint64_t *tagged; /* device: words with a tag: parts of attention (tag: launch * n_layers + layer),
			   * the likeliest token (launch). Readers wait for the tag of their own, so none may
			   * stand there from before; at first all are 0, which is nobody's */
	uint32_t n_split_max; /* splits that there is room for in tagged */
	uint32_t merge_log;   /* 2^merge_log columns of a head are merged by one block */
	uint32_t launch; /* its number: 1 .. decode_last_launch(n_layers), then from 1 or 2 on again, the tags
			    gone */
	float *logits;   /* (n_vocab) */
	struct cuda_drawn *drawn; /* greedy: token and logprob */
	uint32_t greedy;
	struct decode_shared shared;
	uint32_t ring_bytes; /* of each warp */
	uint32_t k_max;      /* most columns of a matrix, a multiple of 32 */
	/* Kernels of several sequences: what differs between these is not above, but here. */
	uint32_t most_seqs; /* that there is room for; 0: a kernel of one */
	uint32_t n_seqs;    /* of the launch, 2 .. most_seqs */
	uint32_t column; /* halves from a column of an operand to the next: sequence by sequence, the planes
			    of each */
	uint32_t seq_words;   /* from a sequence's words to the next one's */
	uint32_t part_column; /* floats from the sums of some segments to those of the next as many: (COLUMNS)
				 of them, behind the columns of a short operand where there is room */
	uint32_t
		part_down; /* offset in shared memory of the sums of the phase whose operand is the longest */
	struct decode_seq seqs[DECODE_SEQS];
};

/* Sequences that a kernel is compiled for: columns of its sums. */
static HOST_DEVICE uint32_t decode_kernel_seqs(const struct decode_args *a)
{
	return a->most_seqs == 0 ? 1 : a->planes == 2 ? DECODE_SEQS_FULL : DECODE_SEQS_HALF;
}

/* The largest number of a launch whose tags fit 32 bits. A launch a token of 2,000 a second and 24 layers
 * comes there after 24 hours; decode_launch then empties the tagged words and counts anew. */
static HOST_DEVICE uint32_t decode_last_launch(uint32_t n_layers)
{
	return 0xFFFFFFFFu / n_layers - 1;
}

/* The launch, of the kernel for the model's planes, formats and heads. sm_90 and later; shared_bytes as
 * planned (decode_plan.h). */
cudaError_t decode_start(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			 cudaStream_t stream);

/* Sets of formats that kernels are compiled for: where they are few, the code is short. */
#define DECODE_F16  (1u << CUDA_F16)
#define DECODE_BF16 (1u << CUDA_BF16)
#define DECODE_Q8_0 (1u << CUDA_Q8_0)
#define DECODE_K4   (1u << CUDA_Q4_K | 1u << CUDA_Q6_K)
/* with what rows get that are no multiple of 256 */
#define DECODE_MIXED (DECODE_K4 | 1u << CUDA_Q5_0 | DECODE_Q8_0)
/* without those that came later: more formats cost each of them registers */
#define DECODE_ANY \
	(DECODE_MIXED | DECODE_F16 | 1u << CUDA_Q4_0 | 1u << CUDA_Q4_1 | 1u << CUDA_Q5_1 | 1u << CUDA_Q5_K)
#define DECODE_ALL (~0u)

/* Whether there is a kernel for the model's planes, formats and heads. */
bool decode_has_kernel(const struct decode_args *a);

/* Those kernels, a file each, which compile beside each other; FULL and HALF. decode_choice.c knows which
 * heads each has been compiled for; others are cudaErrorInvalidValue. */
typedef cudaError_t decode_launch_fn(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
				     cudaStream_t stream);
decode_launch_fn decode_full_f16, decode_full_bf16, decode_full_q8_0, decode_full_mixed, decode_full_any,
	decode_full_odd, decode_full_all;
decode_launch_fn decode_half_f16, decode_half_bf16, decode_half_q8_0, decode_half_k4, decode_half_any,
	decode_half_odd, decode_half_all;
/* The same of rich models; heads of 32 and 256, the others, and formats that large ones have. */
decode_launch_fn decode_full_rich, decode_full_rich_more, decode_half_rich, decode_half_rich_more,
	decode_half_rich_k4, decode_full_rich_bf16, decode_half_rich_bf16;
/* The same of several sequences. */
decode_launch_fn decode_full_few_f16, decode_full_few_q8_0, decode_full_few_mixed, decode_full_few,
	decode_half_few_f16, decode_half_few_q8_0, decode_half_few_k4, decode_half_few;

#ifdef __cplusplus
}
#endif
#endif
