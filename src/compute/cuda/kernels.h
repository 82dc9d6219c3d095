/*
 * What the kernels of all paths share, as the host sees it: formats, the step's tokens, and the sampler. A
 * kernel is one function, which queues the launch and returns cudaGetLastError(). Pointers are device memory
 * unless said otherwise. C and CUDA C.
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
	CUDA_MAX_HEAD_DIM = 256,  /* on every path */
	CUDA_PITCH = 8,           /* rows of activations are padded to whole numbers of this many floats */
	CUDA_NOTHING = 0xFFFFFFFF /* as an index or offset: there is none */
};

/* Formats with kernels; plain_layout.c has a row each. */
/* clang-format off */
#define CUDA_FORMATS(X) \
	X(F32) X(F16) X(BF16) X(Q8_0) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q4_K) X(Q5_K) X(Q6_K) \
	X(Q2_K) X(Q3_K) X(IQ4_NL) X(IQ4_XS)
/* clang-format on */
enum cuda_format {
#define CUDA_X(name) CUDA_##name,
	CUDA_FORMATS(CUDA_X)
#undef CUDA_X
		CUDA_N_FORMATS
};

/* One new token of the step. */
struct cuda_token {
	int32_t id; /* -1 - n until cuda_feed: what draw n of the step before gave */
	uint32_t pos;
	uint32_t table; /* index of its first KV block in the step's block tables */
};

/* One token to be drawn. Offsets count 4-byte words from sample_args.words. */
struct cuda_draw {
	uint64_t seed, pos;
	float temperature, top_p, min_p;
	float repetition_penalty, frequency_penalty, presence_penalty;
	int32_t top_k;
	uint32_t row;          /* of the logits */
	uint32_t slot;         /* of the results */
	uint32_t bias, n_bias; /* pairs (token, bias) */
	/* The history: its first n_kept ids lie where its sequence's are kept (`kept` - 1; 0: nowhere), the
	 * next in the words, and those from n_told on are tokens of the step, from `first` on. */
	uint32_t n_history, n_prompt;
	uint32_t kept, n_kept, history, n_told, first;
	uint32_t mask; /* CUDA_NOTHING, or (n_vocab / 32 words) */
	uint32_t late; /* its mask follows: it is drawn by a launch of its own */
	uint32_t padding;
};
struct cuda_drawn {
	int32_t token;
	float logprob;
};

/* docs/sampling.md, to the bit: a block a draw, or a cluster of blocks. */
enum { SAMPLE_TEAMS_FROM = 4097 }; /* tokens of a vocabulary that is worth one */
struct sample_args {
	const float *logits;           /* (rows, pitch) */
	const struct cuda_draw *draws; /* (n) */
	const uint32_t *words;
	const struct cuda_token *tokens; /* of the step */
	uint32_t *kept;                  /* (sequences, kept_pitch) histories */
	struct cuda_drawn *results;
	float *x;         /* (n, n_vocab) scratch; late draws': by their slots */
	uint32_t *counts; /* (n, n_vocab) all zero between draws; the same */
	uint32_t n, n_vocab, pitch, kept_pitch;
	uint32_t late;        /* which draws are meant */
	uint32_t small_teams; /* not 0: clusters are small ones, so that more draws are made at once; worth it
				 for many that are greedy, as they keep no weights */
	uint32_t teams_from;  /* vocabularies from so many tokens on are drawn by clusters; 0: none (before
				 compute capability 9.0) */
};
cudaError_t cuda_sample(const struct sample_args *a, cudaStream_t stream);

/* Puts what the step before drew where tokens (n) wait for it; 0 where nothing could be drawn: what follows
 * is thrown away. */
struct cuda_feed_args {
	struct cuda_token *tokens;
	const struct cuda_drawn *drawn;
	uint32_t n;
};
cudaError_t cuda_feed(const struct cuda_feed_args *a, cudaStream_t stream);

/* Logits: x (n, pitch) = cap * tanh(scale * x / cap) in the first cols columns; cap 0: scale * x */
struct cuda_bend_args {
	float *x;
	uint32_t n, cols, pitch;
	float scale, cap;
};
cudaError_t cuda_bend(const struct cuda_bend_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
