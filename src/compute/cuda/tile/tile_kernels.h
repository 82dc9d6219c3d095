/*
 * The kernels of the tile path between the products, as the host sees them: any number of tokens a step, from
 * one to a whole prompt. One function each, which queues the launch (or two) and returns cudaGetLastError().
 * Pointers are device memory unless said otherwise. Bits depend on a row's own numbers alone, never on the
 * other rows of the step. C and CUDA C.
 *
 * `planes`: how many halves hold a number. 2 (FULL): x is high + low, high = x rounded to a half, low = x -
 * high rounded to a half. 1 (HALF): high alone. Both are first limited to +-65504.
 */
#ifndef COMPUTE_CUDA_TILE_KERNELS_H
#define COMPUTE_CUDA_TILE_KERNELS_H

#include <stdbool.h>

#include "compute/cuda/tile/tile_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	TILE_PITCH = 64,         /* halves: rows of activations are padded to whole numbers of this many */
	ATTEND_ROWS = 16,        /* (token, query head) pairs that attention takes together at least */
	ATTEND_WIDE_ROWS = 64,   /* and where a sequence has many new tokens */
	TILE_SPLIT_TOKENS = 64,  /* steps of up to so many tokens gain by a partial buffer */
	TILE_MAX_HEAD_DIM = 256, /* head_dim is even and at most this */
};

/* Activations as operand of a tensor-core product. Row planes * i + p is plane p of token i. In each chunk of
 * 32 columns, column 8i + 4j + 2q + e lies in slot 16j + 8q + 2i + e. What is beyond cols is 0. */
struct tile_activations {
	uint16_t *halves; /* (planes * n_tokens, pitch), aligned to 16 bytes */
	float *sums; /* (planes * n_tokens, pitch / 32): each chunk's halves added up in the order of their
		      * slots; or NULL: nobody wants them */
	uint32_t cols, pitch; /* pitch: a multiple of TILE_PITCH */
	uint32_t planes;
};

static inline uint32_t tile_pitch(uint32_t cols)
{
	return (cols + TILE_PITCH - 1) / TILE_PITCH * TILE_PITCH;
}

/* out row i = x row (rows ? rows[i] : i) / sqrt(mean of squares + eps) * weight, or the row itself where
 * weight is NULL. x and weight are aligned to 16 bytes, x_pitch is a multiple of 4. */
struct tile_norm_args {
	const float *x;       /* (.., x_pitch) */
	const float *weight;  /* (out.cols) or NULL */
	const uint32_t *rows; /* (n) or NULL */
	struct tile_activations out;
	uint32_t n, x_pitch;
	float eps;
};
cudaError_t tile_norm(const struct tile_norm_args *a, cudaStream_t stream);

/* x row i += scale * norm of y row i, or of y's row itself where weight is NULL. All are aligned to 16 bytes,
 * pitch is a multiple of 4. */
struct tile_post_args {
	const float *y;      /* (n, pitch) */
	const float *weight; /* (cols) or NULL */
	float *x;            /* (n, pitch) */
	uint32_t n, cols, pitch;
	float eps, scale;
};
cudaError_t tile_post(const struct tile_post_args *a, cudaStream_t stream);

/* Each of `groups` neighbouring groups of `cols` columns of a row of x becomes its norm times weight. */
struct tile_groups_args {
	float *x;            /* (n, pitch) */
	const float *weight; /* (cols) */
	uint32_t n, groups, cols, pitch;
	float eps;
};
cudaError_t tile_norm_groups(const struct tile_groups_args *a, cudaStream_t stream);

/* out = act(gate) * up, act(up) where gate is NULL. Column c of row i of gate is gate[i * pitch + c * step],
 * and of up alike: step 1 where they lie side by side, 2 where they take turns. */
struct tile_gate_args {
	const float *gate, *up;
	struct tile_activations out;
	uint32_t n_tokens, pitch, step;
	uint32_t act; /* enum activation_kind */
};
cudaError_t tile_gate(const struct tile_gate_args *a, cudaStream_t stream);

/*
 * KV memory of one layer: (n_kv_blocks, n_kv_heads) of K (planes, CUDA_KV_BLOCK, hd) and V (planes, hd,
 * CUDA_KV_BLOCK), all halves; hd is head_dim padded to 32. Padding of K is written and 0; padding of V is not
 * written. What no position was written to may hold anything. Of q8_0: one plane of bytes, and after K's and
 * after V's their scales, halves (hd / 32, CUDA_KV_BLOCK); operands have `planes` all the same.
 */
struct tile_kv {
	uint16_t *layer;        /* aligned to 16 bytes */
	const uint32_t *tables; /* the step's block tables */
	uint32_t n_heads, n_kv_heads, head_dim;
	uint32_t planes;
	bool q8_0;
};

static inline uint32_t tile_hd(uint32_t head_dim)
{
	return (head_dim + TILE_CHUNK - 1) / TILE_CHUNK * TILE_CHUNK;
}

/* Bytes of one KV block of one layer. */
static inline uint64_t tile_kv_block_bytes(uint32_t n_kv_heads, uint32_t head_dim, uint32_t planes, bool q8_0)
{
	uint32_t hd = tile_hd(head_dim);
	if (q8_0)
		return (uint64_t)n_kv_heads * 2 * CUDA_KV_BLOCK * (hd + hd / TILE_CHUNK * sizeof(uint16_t));
	return (uint64_t)n_kv_heads * planes * 2 * CUDA_KV_BLOCK * hd * sizeof(uint16_t);
}

/* A layer's keys pass through shared memory before they become q8_0: so many numbers at most. */
enum { TILE_Q8_0_WIDTH = 11264 };

/* Turns q and k by their positions (RoPE); k and v go to the KV memory, q to out. */
struct tile_rope_args {
	struct tile_kv kv;
	const struct cuda_token *tokens;
	const float *frequency; /* (n_dims / 2); NULL: nothing is turned */
	const float *q, *k, *v; /* rows of heads, `pitch` floats apart */
	uint16_t *out;          /* (n_tokens, n_heads, planes, hd): dimensions in order, padding 0 */
	uint32_t pitch, n_tokens;
	uint32_t neox; /* pairs (i, i + n_dims / 2); otherwise (2i, 2i + 1) */
	/* Norms of each head of q and of k, (head_dim); NULL: none. Only of heads that head_norm_fits. */
	const float *q_norm, *k_norm;
	float inverse_head, eps; /* 1 / head_dim */
	uint32_t n_dims;   /* the first of a head, which are turned: head_dim, or a multiple of 4 below it */
	float factor;      /* of cosines and sines */
	float temperature; /* q is multiplied by 1 + temperature * ln(1 + floor(pos / every)) */
	uint32_t every;    /* 0: it is not */
};

/* Whether lanes of one warp can hold a head of so many columns in fours, each as many. */
static inline bool head_norm_fits(uint32_t head_dim)
{
	return head_dim == 32 || head_dim == 64 || head_dim == 128 || head_dim == 256;
}

cudaError_t tile_rope_kv(const struct tile_rope_args *a, cudaStream_t stream);

/* A band: rows of attention that one warp (ATTEND_ROWS) or one block (ATTEND_WIDE_ROWS) takes: row r of a
 * sequence's new tokens is head r % group of each KV head's `group` query heads, of its token r / group. */
struct attend_band {
	uint32_t token;       /* of the step: the sequence's first new one */
	uint32_t row, n_rows; /* rows row .. row + n_rows - 1 */
};

/* What a step needs of attention; filled by attend_plan_bands on the host, the bands then copied. */
struct attend_plan {
	uint32_t n_wide, n_narrow; /* bands, in this order */
	uint32_t n_splits;         /* of CUDA_ATTN_SPLIT positions, of the longest sequence */
};

/* Most bands of a step. */
static inline uint32_t attend_most_bands(uint32_t n_tokens, uint32_t group)
{
	return n_tokens * ((group + ATTEND_ROWS - 1) / ATTEND_ROWS);
}

/* Host. Cuts a step's tokens (host memory; neighbours of the same table are one sequence, in order of
 * position) into bands, room for attend_most_bands() of them. split: there will be a partial buffer. */
struct attend_plan attend_plan_bands(const struct cuda_token *tokens, uint32_t n_tokens, uint32_t group,
				     bool split, struct attend_band *bands);

/* out = attention of q over the KV memory, each token up to its own position (attend.cuh). */
struct tile_attention_args {
	struct tile_kv kv;
	const struct cuda_token *tokens; /* (n_tokens) */
	const struct attend_band *bands; /* (plan.n_wide + plan.n_narrow) */
	const uint16_t *q;               /* (n_tokens, n_heads, planes, hd), of tile_rope_kv */
	struct tile_activations out;     /* cols n_heads * head_dim */
	float *partial; /* NULL, or scratch (n_tokens, n_heads, plan.n_splits, 2 + hd): then splits are spread
			 * over the device. The bits are the same with and without. */
	struct attend_plan plan;
	uint32_t n_tokens;
	float scale;
	uint32_t window; /* a token sees itself and the window - 1 before it; 0: all before it */
	float soft_cap;  /* scores become soft_cap * tanh(score / soft_cap); 0: they stay */
};
cudaError_t tile_attention(const struct tile_attention_args *a, cudaStream_t stream);
/* Its parts: as above, but for the adding up of partial. */
cudaError_t tile_attention_bent(const struct tile_attention_args *a, cudaStream_t stream);
cudaError_t tile_attention_q8_0(const struct tile_attention_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
