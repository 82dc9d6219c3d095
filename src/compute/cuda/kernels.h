/*
 * The kernels of the plain path, as the host sees them: one function each, which queues the launch and
 * returns cudaGetLastError(). Pointers are device memory unless said otherwise; all matrices are row after
 * row, rows `stride` floats apart. C and CUDA C.
 */
#ifndef COMPUTE_CUDA_KERNELS_H
#define COMPUTE_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	CUDA_KV_BLOCK = 32,       /* COMPUTE_KV_BLOCK: one position a lane */
	CUDA_ATTN_SPLIT = 128,    /* positions that are summed by themselves before splits are added up */
	CUDA_MAX_HEAD_DIM = 256,  /* floats of a head that a warp holds: 8 a lane */
	CUDA_PITCH = 8,           /* rows of activations are padded to whole numbers of this many floats */
	PLAIN_SPLIT_TOKENS = 32,  /* steps of up to so many tokens spread a token's splits over blocks */
	CUDA_NOTHING = 0xFFFFFFFF /* as an index or offset: there is none */
};

/* Formats with kernels; plain_layout.c has a row each. */
#define CUDA_FORMATS(X) X(F32) X(F16) X(BF16) X(Q8_0) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q4_K) X(Q5_K) X(Q6_K)
enum cuda_format {
#define CUDA_X(name) CUDA_##name,
	CUDA_FORMATS(CUDA_X)
#undef CUDA_X
		CUDA_N_FORMATS
};

/* A matrix on the device, in its own format but with what is not a multiple of four bytes taken out of the
 * blocks: quants in one plane, scales in the other (plain_layout.h). */
struct plain_matrix {
	const uint8_t *main, *side;      /* side NULL: nothing was taken out */
	uint64_t main_pitch, side_pitch; /* bytes a row */
	uint32_t rows, cols;
	uint32_t format; /* enum cuda_format */
};

/* Rows first .. first + n - 1 of a matrix, as they stand in the file, go to their places in m. Of each block
 * the bytes [main_from[i], + main_bytes[i]) go to the main plane one after another, and [side_from, +
 * side_bytes) to the side plane; all are even. */
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

/* One new token of the step. */
struct cuda_token {
	int32_t id;
	uint32_t pos;
	uint32_t table; /* index of its first KV block in the step's block tables */
};

/* x (n_tokens, pitch) = rows of the embedding */
struct plain_embed_args {
	struct plain_matrix embedding;
	const struct cuda_token *tokens;
	float *x;
	uint32_t pitch, n_tokens;
};
cudaError_t plain_embed(const struct plain_embed_args *a, cudaStream_t stream);

/* out row i = x row (rows ? rows[i] : i) / sqrt(mean of squares + eps) * weight; columns up to pitch become
 * 0.
 */
struct plain_norm_args {
	const float *x, *weight; /* weight (cols) */
	const uint32_t *rows;
	float *out;
	uint32_t n, cols, pitch;
	float eps;
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

/* KV memory of one layer: (n_kv_blocks, n_kv_heads) of keys (head_dim, CUDA_KV_BLOCK), values (CUDA_KV_BLOCK,
 * head_dim). */
struct plain_kv {
	float *layer;
	const uint32_t *tables; /* the step's block tables */
	uint32_t n_heads, n_kv_heads, head_dim;
};

/* Turns q (in place) and k by their positions (RoPE), and stores k and v in the KV memory. */
struct plain_rope_args {
	struct plain_kv kv;
	const struct cuda_token *tokens;
	const float *frequency; /* (head_dim / 2) */
	float *q;
	const float *k, *v;
	uint32_t q_pitch, kv_pitch, n_tokens;
	uint32_t neox; /* pairs (i, i + head_dim / 2); otherwise (2i, 2i + 1) */
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
};
cudaError_t plain_attention(const struct plain_attention_args *a, cudaStream_t stream);

/* gate = gate / (1 + exp(-gate)) * up, (n_tokens, pitch); columns up to pitch become 0 */
struct plain_silu_args {
	float *gate;
	const float *up;
	uint32_t cols, pitch, n_tokens;
};
cudaError_t plain_silu_mul(const struct plain_silu_args *a, cudaStream_t stream);

/* One token to be drawn. Offsets count 4-byte words from sample_args.words. */
struct cuda_draw {
	uint64_t seed, pos;
	float temperature, top_p, min_p;
	float repetition_penalty, frequency_penalty, presence_penalty;
	int32_t top_k;
	uint32_t row;          /* of the logits */
	uint32_t slot;         /* of the results */
	uint32_t bias, n_bias; /* pairs (token, bias) */
	uint32_t history, n_history, n_prompt;
	uint32_t mask; /* CUDA_NOTHING, or (n_vocab / 32 words) */
	uint32_t padding;
};
struct cuda_drawn {
	int32_t token;
	float logprob;
};

/* docs/sampling.md, to the bit. One block a draw. */
struct sample_args {
	const float *logits;           /* (rows, pitch) */
	const struct cuda_draw *draws; /* (n) */
	const uint32_t *words;
	struct cuda_drawn *results;
	float *x;         /* (n, n_vocab) scratch */
	uint32_t *counts; /* (n, n_vocab) all zero between draws */
	uint32_t n, n_vocab, pitch;
};
cudaError_t cuda_sample(const struct sample_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
