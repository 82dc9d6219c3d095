/*
 * Kernels: one table of functions for each instruction set ("tier"). All tiers are compiled from the same
 * bodies (kernel_*.h) over the same sixteen-lane operations (simd_*.h), in which every floating-point
 * operation and its order are fixed; so all tiers give the same bits, and so do any number of threads and any
 * cut of a prompt.
 *
 * Weights are laid out in panels of PANEL rows (pack.h); SLAB_PANELS panels are a slab, what a thread takes
 * at a time. Activations are laid out in tiles: FLOAT_TILE tokens of floats, (cols, tokens), or QUANT_TILE
 * tokens of quantised chunks, (cols / CHUNK, tokens); a last tile holds fewer and is as narrow as what it
 * holds.
 */
#ifndef COMPUTE_CPU_TIER_H
#define COMPUTE_CPU_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compute/cache_type.h"
#include "model/spec.h"

enum {
	PANEL = 16,
	SLAB_PANELS = 4,
	SLAB_ROWS = PANEL * SLAB_PANELS,
	CHUNK = 32,
	FLOAT_TILE = 6,
	QUANT_TILE = 16,
	PEAK_CHAINS = 12,    /* as many independent sums as hide the latency of a multiply-add */
	ATTN_TILE_ROWS = 64, /* most query rows (tokens x heads of a KV head) of one attention call */
};

/* 32 activations as bytes: x = d * q, |q| <= 127. The rest are constants that kernels would otherwise compute
 * again for each panel. One cache line. */
struct qchunk {
	int8_t q[CHUNK];
	float d;
	float d_sum;     /* d * (sum of q) */
	int32_t minus_8; /* -8 * (sum of q): the correction for weights stored 8 too high */
	int32_t minus_16;
	int32_t minus_128;
	int32_t half_minus_32[2]; /* of each 16 of q */
	int32_t half_minus_4;     /* of the first 16 */
};

/* One product: out (n_tokens, SLAB_ROWS) from `panels` panels of weights and one tile of activations.
 * Sums run over the columns in order; a call may cover part of them (depth), the next goes on from out. */
struct product {
	const uint8_t *head; /* quantised: scales, else the weights; first panel */
	const uint8_t *body; /* quantised: quants */
	size_t panel_bytes;  /* quantised: from panel to panel, of head and body alike */
	uint32_t panels;     /* 1 to SLAB_PANELS */
	uint32_t depth;      /* columns (float) or blocks (quantised) to sum over */
	const void *acts;    /* tile, at the first column of this call */
	uint32_t tokens;     /* of the tile */
	uint32_t more_tiles; /* of as many tokens that follow the first: only of a tier that takes_tiles, and
			      * of whole tiles of quantised activations */
	size_t acts_stride;  /* chunks from tile to tile of those */
	bool first;          /* out starts from zero */
	bool ahead;          /* no other tile of the step reads these weights: fetch what follows them */
	float *out;          /* (tokens of all tiles, SLAB_ROWS) */
};

/* The rows of one attention call share a KV head. A row is one head of one new token. cache.h says how keys
 * and values lie. */
struct attention {
	const uint8_t *kv;   /* this layer's cache of this KV head in block 0 */
	size_t block_bytes;  /* from block to block */
	size_t value_offset; /* bytes from a block's keys to its values */
	struct cache_types types;
	const uint32_t *blocks; /* block table */
	uint32_t head_dim, padded_dim;
	uint32_t rows;             /* at most ATTN_TILE_ROWS */
	uint32_t window;           /* a row sees its own position and the window - 1 before; 0: all before */
	float soft_cap;            /* scores become soft_cap * tanh(score / soft_cap); 0: they stay */
	const float *q;            /* (rows, padded_dim), scaled */
	const uint32_t *positions; /* (rows), rising */
	float *acc;                /* (rows, padded_dim): the result */
	float *scores;             /* scratch (rows, COMPUTE_KV_BLOCK) */
	/* scratch for types other than f32: (head_dim, COMPUTE_KV_BLOCK), (COMPUTE_KV_BLOCK, padded_dim) */
	float *keys, *values;
};

/* Formats of packed weights; a row each in pack.c's table. */
/* clang-format off */
#define PACK_KINDS(X) \
	X(F32) X(F16) X(BF16) X(Q8_0) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q4_K) X(Q5_K) X(Q6_K) \
	X(Q2_K) X(Q3_K) X(IQ4_NL) X(IQ4_XS)
/* clang-format on */
enum pack_kind {
#define PACK_X(name) PACK_##name,
	PACK_KINDS(PACK_X)
#undef PACK_X
		PACK_N_KINDS
};

struct cpu_tier {
	const char *name;
	bool (*available)(void);
	void (*product[PACK_N_KINDS])(const struct product *p);
	bool takes_tiles; /* its quantised products take many tiles at once */
	/* n chunks of x; chunk g goes to out[g * stride]. */
	void (*quantise)(const float *x, uint32_t n, struct qchunk *out, size_t stride);
	/* out = x / sqrt(mean(x^2) + eps) * w; n elements, arrays padded with zeros to a multiple of 16. */
	void (*rms_norm)(const float *x, const float *w, uint32_t n, float eps, float *out);
	/* out = act(x) * up, or act(x) where up is NULL; n a multiple of 16. By enum activation_kind. */
	void (*activation[N_ACTIVATIONS])(const float *x, const float *up, uint32_t n, float *out);
	/* x = cap * tanh(x / cap); n a multiple of 16. */
	void (*soft_cap)(float *x, uint32_t n, float cap);
	void (*attention)(const struct attention *a);
	/* For the measurement of the machine: n rounds of PEAK_CHAINS x 16 multiply-adds in registers, of
	 * floats, or of four bytes each; n bytes (a multiple of 256) read from memory. */
	float (*peak_float)(uint64_t n);
	int32_t (*peak_bytes)(uint64_t n);
	uint32_t (*read)(const uint8_t *p, size_t n);
};

/* All tiers this binary was built with, best first, NULL-terminated; portable is always the last. */
extern const struct cpu_tier *const cpu_tiers[];

/* By name; NULL: the best one this machine has. The variable HOKKU_CPU_TIER stands in for NULL. Returns NULL
 * if there is none or the machine lacks it. */
const struct cpu_tier *cpu_tier_get(const char *name);

#endif
