/*
 * The kernels of the plain path, as the host sees them (kernels.h). All matrices are row after row. C and
 * CUDA C.
 */
#ifndef COMPUTE_CUDA_PLAIN_KERNELS_H
#define COMPUTE_CUDA_PLAIN_KERNELS_H

#include "compute/cache_type.h"
#include "compute/cuda/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	PLAIN_SPLIT_TOKENS = 32, /* steps of up to so many tokens spread a token's splits over blocks */
};

/* A matrix on the device, in its own format but with what is not a multiple of four bytes taken out of the
 * blocks: quants in one array, scales in the other (plain_layout.h). */
struct plain_matrix {
	const uint8_t *main, *side;      /* side NULL: nothing was taken out */
	uint64_t main_pitch, side_pitch; /* bytes a row */
	uint32_t rows, cols;
	uint32_t format; /* enum cuda_format */
};

/* Rows first .. first + n - 1 of a matrix, as they stand in the file, go to their places in m. Of each block
 * the bytes [main_from[i], + main_bytes[i]) go to the main array one after another, and [side_from, +
 * side_bytes) to the side array; all are even. */
struct plain_layout_args {
	struct plain_matrix m;
	const uint8_t *rows; /* (n) rows of row_bytes, one right after another; aligned to 2 */
	uint64_t row_bytes;
	uint32_t first, n;
	uint32_t block_bytes, n_blocks; /* n_blocks: of a row */
	uint32_t main_from[2], main_bytes[2];
	uint32_t side_from, side_bytes;
};
cudaError_t plain_layout(const struct plain_layout_args *a, cudaStream_t stream);

/* x (n_tokens, pitch) = rows of the embedding */
struct plain_embed_args {
	struct plain_matrix embedding;
	const struct cuda_token *tokens;
	float *x;
	uint32_t pitch, n_tokens;
	float scale; /* of the rows */
};
cudaError_t plain_embed(const struct plain_embed_args *a, cudaStream_t stream);

/* norm of row (rows ? rows[i] : i) of x: x / sqrt(mean of squares + eps) * weight, or x itself where weight
 * is NULL. out row i becomes it, columns up to pitch 0; with `add`, scale times it is added to out's. */
struct plain_norm_args {
	const float *x, *weight; /* weight (cols) */
	const uint32_t *rows;
	float *out; /* may be x */
	uint32_t n, cols, pitch;
	float eps;
	uint32_t groups; /* other than 0: a row is so many groups of cols, each normed by itself; none is
			    padding */
	uint32_t add;
	float scale;
};
cudaError_t plain_norm(const struct plain_norm_args *a, cudaStream_t stream);

/* out (n_tokens, out_pitch) = x (n_tokens, x_pitch) * w^T, + bias (w.rows) unless NULL; with add, added to
 * what out holds. The order of a sum depends on w's format and columns only. */
struct plain_product_args {
	struct plain_matrix w;
	const float *x, *bias;
	float *out;
	uint32_t x_pitch, out_pitch, n_tokens, add;
};
cudaError_t plain_product(const struct plain_product_args *a, cudaStream_t stream);

enum { PLAIN_CACHE_TYPES = CACHE_BIT(F32) | CACHE_BIT(F16) | CACHE_BIT(BF16) | CACHE_BIT(Q8_0) };

/* KV memory of one layer: (n_kv_blocks, n_kv_heads) of keys (head_dim, CUDA_KV_BLOCK), values (CUDA_KV_BLOCK,
 * head_dim); of q8_0 each followed by its scales, halves (chunks, CUDA_KV_BLOCK). */
struct plain_kv {
	uint8_t *layer;
	const uint32_t *tables; /* the step's block tables */
	uint32_t n_heads, n_kv_heads, head_dim;
	enum cache_type k_type, v_type;
	uint32_t k_bytes, kv_bytes; /* of a head in a block: its keys; all */
};

/* Bytes of a head's keys, or values, in a block: a multiple of 4. */
static inline uint32_t plain_cache_bytes(enum cache_type type, uint32_t head_dim)
{
	uint32_t n = CUDA_KV_BLOCK * head_dim;
	if (type == CACHE_Q8_0)
		return n + CUDA_KV_BLOCK * cache_chunks(head_dim) * 2;
	return n * (type == CACHE_F32 ? 4 : 2);
}

/* Fills all but layer and tables. */
static inline struct plain_kv plain_kv_of(uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_dim,
					  struct cache_types types)
{
	uint32_t k_bytes = plain_cache_bytes(types.k, head_dim);
	struct plain_kv kv = {NULL,       NULL,     n_heads,
			      n_kv_heads, head_dim, types.k,
			      types.v,    k_bytes,  k_bytes + plain_cache_bytes(types.v, head_dim)};
	return kv;
}

/* Turns q (in place) and k by their positions (RoPE), and stores k and v in the KV memory. */
struct plain_rope_args {
	struct plain_kv kv;
	const struct cuda_token *tokens;
	const float *frequency; /* (n_dims / 2) */
	float *q;
	const float *k, *v;
	uint32_t q_pitch, kv_pitch, n_tokens;
	uint32_t neox;   /* pairs (i, i + n_dims / 2); otherwise (2i, 2i + 1) */
	uint32_t n_dims; /* the first numbers of a head, which are turned; 0: none */
	float factor;    /* of cosines and sines */
};
cudaError_t plain_rope_kv(const struct plain_rope_args *a, cudaStream_t stream);

/* out (n_tokens, pitch) = attention of q over the KV memory up to each token's own position. partial: NULL,
 * or (n_tokens, n_heads, n_splits) of (2 + head_dim) floats; the bits are the same with and without. */
struct plain_attention_args {
	struct plain_kv kv;
	const struct cuda_token *tokens;
	const float *q;
	float *out, *partial;
	uint32_t pitch, n_tokens;
	uint32_t n_splits; /* of the longest sequence of the step */
	float scale;
	uint32_t window;   /* a token sees itself and the window - 1 before it; 0: all before it */
	float soft_cap;    /* scores become soft_cap * tanh(score / soft_cap); 0: they stay */
	float temperature; /* scale is multiplied by 1 + temperature * ln(1 + floor(pos / every)) */
	uint32_t every;    /* 0: it is not */
};
cudaError_t plain_attention(const struct plain_attention_args *a, cudaStream_t stream);

/* gate = act(gate) * up, or act(up) where it is not gated, (n_tokens, pitch); columns up to pitch become 0 */
struct plain_gate_args {
	float *gate;
	const float *up;
	uint32_t cols, pitch, n_tokens;
	uint32_t act; /* enum activation_kind */
	uint32_t ungated;
};
cudaError_t plain_gate(const struct plain_gate_args *a, cudaStream_t stream);

/* sum (cols) = the rows of states (n, pitch) added to it in their order, or to 0 where it begins; then
 * divided by divisor, unless that is 0 */
struct plain_pool_args {
	const float *states;
	float *sum;
	uint32_t n, cols, pitch, begins, divisor;
};
cudaError_t plain_pool(const struct plain_pool_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
