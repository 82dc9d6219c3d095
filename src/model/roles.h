/*
 * What a model can hold besides its numbers: one row a tensor. Binding, loading, packing and the messages
 * loop over these tables; a layer's new weight is a new row here and its use in a backend.
 */
#ifndef MODEL_ROLES_H
#define MODEL_ROLES_H

#include <stdbool.h>
#include <stdint.h>

/* What a tensor is as long as; dim_size (bind.c) says how long that is in a layer. */
enum dim {
	DIM_ONE,    /* a vector has one row */
	DIM_MODEL,  /* d_model */
	DIM_Q,      /* n_heads x head dim: what queries, and what attention gives, are wide */
	DIM_KV,     /* n_kv_heads x head dim */
	DIM_Q_NORM, /* the norm of queries: the head dim, or DIM_Q where it goes over the width */
	DIM_K_NORM, /* that of keys */
	DIM_FF,     /* d_ff */
	DIM_VOCAB,
	DIM_ROPE, /* pairs of numbers that RoPE turns */
};

/* clang-format off */
/* role, name after "blk.N.", columns, rows */
#define LAYER_ROLES(X)                                                   \
	X(ATTN_NORM,      "attn_norm.weight",           MODEL,  ONE)     \
	X(WQ,             "attn_q.weight",              MODEL,  Q)       \
	X(BQ,             "attn_q.bias",                Q,      ONE)     \
	X(WK,             "attn_k.weight",              MODEL,  KV)      \
	X(BK,             "attn_k.bias",                KV,     ONE)     \
	X(WV,             "attn_v.weight",              MODEL,  KV)      \
	X(BV,             "attn_v.bias",                KV,     ONE)     \
	X(Q_NORM,         "attn_q_norm.weight",         Q_NORM, ONE)     \
	X(K_NORM,         "attn_k_norm.weight",         K_NORM, ONE)     \
	X(WO,             "attn_output.weight",         Q,      MODEL)   \
	X(BO,             "attn_output.bias",           MODEL,  ONE)     \
	X(ATTN_POST_NORM, "post_attention_norm.weight", MODEL,  ONE)     \
	X(FFN_NORM,       "ffn_norm.weight",            MODEL,  ONE)     \
	X(W_GATE,         "ffn_gate.weight",            MODEL,  FF)      \
	X(B_GATE,         "ffn_gate.bias",              FF,     ONE)     \
	X(W_UP,           "ffn_up.weight",              MODEL,  FF)      \
	X(B_UP,           "ffn_up.bias",                FF,     ONE)     \
	X(W_DOWN,         "ffn_down.weight",            FF,     MODEL)   \
	X(B_DOWN,         "ffn_down.bias",              MODEL,  ONE)     \
	X(FFN_POST_NORM,  "post_ffw_norm.weight",       MODEL,  ONE)

/* role, name, columns, rows */
#define MODEL_ROLES(X)                                                   \
	X(EMBEDDING,      "token_embd.weight",          MODEL,  VOCAB)   \
	X(OUTPUT_NORM,    "output_norm.weight",         MODEL,  ONE)     \
	X(OUTPUT,         "output.weight",              MODEL,  VOCAB)   \
	X(ROPE_FREQS,     "rope_freqs.weight",          ROPE,   ONE)     \
	X(ROPE_LONG,      "rope_factors_long.weight",   ROPE,   ONE)     \
	X(ROPE_SHORT,     "rope_factors_short.weight",  ROPE,   ONE)
/* clang-format on */

#define ROLE_X(name, ...) ROLE_##name,
enum layer_role { LAYER_ROLES(ROLE_X) N_LAYER_ROLES };
enum model_role { MODEL_ROLES(ROLE_X) N_MODEL_ROLES };
#undef ROLE_X

struct role_row {
	const char *name; /* of the tensor; without "blk.N." in the layers' table */
	enum dim cols, rows;
};
extern const struct role_row layer_roles[N_LAYER_ROLES], model_roles[N_MODEL_ROLES];

/* Tensors that hold several roles' rows, one after another: read where the first role's own is absent. */
enum { N_FUSED_ROWS = 4, MAX_FUSED = 3 };
struct fused_row {
	const char *name; /* without "blk.N." */
	enum layer_role roles[MAX_FUSED];
	uint32_t n;
};
extern const struct fused_row fused_rows[N_FUSED_ROWS];

/* Sets of a layer's roles: a bit each. */
#define ROLE_BIT(name) (UINT64_C(1) << ROLE_##name)

/* Those of matrices; the others are vectors. */
#define ROLE_X(name, text, cols, rows) | (DIM_##rows == DIM_ONE ? 0 : ROLE_BIT(name))
static const uint64_t layer_matrix_roles = 0 LAYER_ROLES(ROLE_X);
#undef ROLE_X

static inline bool role_is_matrix(uint32_t role)
{
	return layer_matrix_roles >> role & 1;
}

#endif
