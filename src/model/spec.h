/*
 * What a layer computes, as data. An architecture (arch.c) makes one spec a layer out of the file's keys; a
 * backend reads specs and never asks for the architecture. One layer, on the residual stream x (d_model):
 *
 *     a = norm(x, ATTN_NORM)                      x itself where the role is absent
 *     q, k, v = WQ a + BQ, WK a + BK, WV a + BV
 *     q, k = norm(q, Q_NORM), norm(k, K_NORM)     as qk_norm says
 *     q, k = rope(q), rope(k)                     none where rope is NULL
 *     s(p) = scale * temperature(pos) * (q . k[p]) for the positions p that the window shows
 *     s = soft_cap * tanh(s / soft_cap)           where soft_cap is not 0
 *     y = WO (sum of softmax(s)(p) v[p]) + BO
 *     x += residual_scale * norm(y, ATTN_POST_NORM)
 *     f = norm(x, FFN_NORM)
 *     y = W_DOWN (act(W_GATE f + B_GATE) * (W_UP f + B_UP)) + B_DOWN     gated; else W_DOWN act(W_UP f +
 * B_UP) + B_DOWN x += residual_scale * norm(y, FFN_POST_NORM)
 *
 * Before the layers x is the token's embedding times embedding_scale; after them logits are OUTPUT
 * norm(x, OUTPUT_NORM) times logit_scale, then logit_cap * tanh(logits / logit_cap).
 */
#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "model/roles.h"

enum rope_kind {
	ROPE_NEOX, /* pairs (i, i + n_dims / 2) */
	ROPE_NORM, /* pairs (2 i, 2 i + 1) */
};
enum activation_kind { ACT_SILU, ACT_GELU_TANH, ACT_GELU, N_ACTIVATIONS };
enum qk_norm_kind {
	QK_NORM_NONE,
	QK_NORM_HEAD,  /* each head by itself, the weight as wide as a head */
	QK_NORM_WIDTH, /* all heads together */
};

/* Pair i of the first n_dims numbers of a head is turned by position * freq[i]; both cosine and sine are
 * multiplied by attn_factor. Every kind of scaling ends here. */
struct rope {
	enum rope_kind kind;
	uint32_t n_dims; /* even; at most the head dim */
	float attn_factor;
	const float *freq; /* (n_dims / 2) */
};

struct attn_spec {
	uint32_t n_heads, n_kv_heads, head_dim;
	uint32_t window; /* a token sees itself and the window - 1 before it; 0: all before it */
	float scale;     /* of scores */
	float soft_cap;  /* 0: none */
	/* Scores of a token at pos are multiplied by 1 + temperature * ln(1 + floor(pos /
	 * temperature_every)); 0: by nothing. */
	float temperature;
	uint32_t temperature_every;
	enum qk_norm_kind qk_norm;
	const struct rope *rope; /* NULL: positions leave no trace in q and k */
};

struct ffn_spec {
	enum activation_kind act;
	bool gated;
	uint32_t d_ff;
};

struct layer_spec {
	struct attn_spec attn;
	struct ffn_spec ffn;
	float norm_eps;
	float residual_scale; /* 1: none */
	uint32_t kv_group;    /* whose block tables its keys and values are found by */
	uint32_t kv_place;    /* where in a KV block they lie: no other layer of the group has the same */
};

/* Layers whose keys and values live equally long. A sequence has a block table in each group. */
struct kv_group {
	/* No layer of it sees farther back (attn_spec.window); 0: some see all. Other than 0 it is longer
	 * than a KV block, so that the block in which it begins was written by the steps before. */
	uint32_t window;
};
enum { KV_MIN_WINDOW = 33 };

/*
 * What a spec can ask for beyond the plainest layer, by the name that a message uses. A backend says which of
 * these it carries out (struct spec_support); model_unsupported names the first that it does not.
 */
/* clang-format off */
#define SPEC_FEATURES(X)                                                                   \
	X(WINDOW,          "window",             s->attn.window != 0)                      \
	X(SOFT_CAP,        "soft_cap",           s->attn.soft_cap != 0)                    \
	X(TEMPERATURE,     "temperature",        s->attn.temperature != 0)                 \
	X(QK_NORM_HEAD,    "qk_norm",            s->attn.qk_norm == QK_NORM_HEAD)          \
	X(QK_NORM_WIDTH,   "qk_norm over the width", s->attn.qk_norm == QK_NORM_WIDTH)     \
	X(NO_ROPE,         "rope (none)",        s->attn.rope == NULL)                     \
	X(ROPE_PARTIAL,    "rope.n_dims",        s->attn.rope && s->attn.rope->n_dims != s->attn.head_dim) \
	X(ROPE_FACTOR,     "rope.attn_factor",   s->attn.rope && s->attn.rope->attn_factor != 1)           \
	X(ROPE_OTHER,      "rope (another than the first)", s->attn.rope && s->attn.rope != &m->ropes[0]) \
	X(SCALE,           "scale",              s->attn.scale != spec_plain_scale(s->attn.head_dim))       \
	X(ACT_GELU_TANH,   "act (GELU, tanh)",   s->ffn.act == ACT_GELU_TANH)              \
	X(ACT_GELU,        "act (GELU)",         s->ffn.act == ACT_GELU)                   \
	X(UNGATED,         "gated (not)",        !s->ffn.gated)                            \
	X(RESIDUAL_SCALE,  "residual_scale",     s->residual_scale != 1)                   \
	X(OTHER_HEADS,     "n_heads (another than the model's)", s->attn.n_heads != m->hp.n_heads)          \
	X(OTHER_KV_HEADS,  "n_kv_heads (another than the model's)", s->attn.n_kv_heads != m->hp.n_kv_heads) \
	X(OTHER_HEAD_DIM,  "head_dim (another than the model's)", s->attn.head_dim != m->hp.head_dim)       \
	X(OTHER_D_FF,      "d_ff (another than the model's)", s->ffn.d_ff != m->hp.d_ff)
/* Of the whole model; m is it. */
#define MODEL_FEATURES(X)                                                                  \
	X(EMBEDDING_SCALE, "embedding_scale",    m->embedding_scale != 1)                  \
	X(LOGIT_SCALE,     "logit_scale",        m->logit_scale != 1)                      \
	X(LOGIT_CAP,       "logit_cap",          m->logit_cap != 0)                        \
	X(KV_GROUPS,       "kv_groups (more than one)", m->n_kv_groups > 1)
/* clang-format on */
enum spec_feature {
#define FEATURE_X(name, ...) FEATURE_##name,
	SPEC_FEATURES(FEATURE_X) MODEL_FEATURES(FEATURE_X)
#undef FEATURE_X
		N_FEATURES
};
#define FEATURE_BIT(name) (1u << FEATURE_##name)

/* What a backend carries out: bits of the roles (ROLE_BIT) that a layer may hold and that each must, and of
 * features. */
struct spec_support {
	uint64_t roles, must;
	uint32_t features;
};

/* All that there is: of a backend that carries out everything. */
#define SPEC_ALL_ROLES    ((UINT64_C(1) << N_LAYER_ROLES) - 1)
#define SPEC_ALL_FEATURES ((1u << N_FEATURES) - 1)

/* Layers of more than one shape: what a backend that takes its widths from the model's numbers leaves out. */
#define SPEC_OTHER_SHAPES                                                                       \
	(FEATURE_BIT(OTHER_HEADS) | FEATURE_BIT(OTHER_KV_HEADS) | FEATURE_BIT(OTHER_HEAD_DIM) | \
	 FEATURE_BIT(OTHER_D_FF))

/* What the plainest layer holds. */
#define SPEC_PLAIN_ROLES                                                                   \
	(ROLE_BIT(ATTN_NORM) | ROLE_BIT(WQ) | ROLE_BIT(WK) | ROLE_BIT(WV) | ROLE_BIT(WO) | \
	 ROLE_BIT(FFN_NORM) | ROLE_BIT(W_GATE) | ROLE_BIT(W_UP) | ROLE_BIT(W_DOWN))

/* 1 / sqrt(head dim), as every backend has always computed it. */
float spec_plain_scale(uint32_t head_dim);

#endif
