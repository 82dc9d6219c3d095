/*
 * What a model is, as data: the architecture table's row, the hyperparameters, and every tensor bound by
 * name. model_bind fills a struct model from an open file or says what is missing or has a wrong shape.
 * Weight pointers stay in the file's mapping; backends copy or re-lay them as they like.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/arena.h"
#include "gguf/gguf.h"
#include "model/format.h"

/* A bound tensor: `rows` rows of `cols` elements, each row whole blocks of fmt. A vector has one row. */
struct weight {
	const struct gguf_tensor *tensor; /* NULL: this model has none (an optional bias, ...) */
	const struct format *fmt;
	const void *data;
	uint32_t rows, cols;
	uint64_t row_bytes;
};

enum rope_kind { ROPE_NEOX, ROPE_NORM };
enum activation_kind { ACT_SILU };
enum norm_kind { NORM_RMS };

/* One architecture: a row of the table in arch.c. A new architecture is a new row and, at most, a new
 * variant. */
struct arch {
	const char *name; /* general.architecture, also the prefix of its keys */
	enum norm_kind norm;
	enum rope_kind rope;
	enum activation_kind activation;
	bool qkv_bias;
};

struct hparams {
	uint32_t n_layers;
	uint32_t d_model;
	uint32_t n_heads;
	uint32_t n_kv_heads;
	uint32_t head_dim;
	uint32_t d_ff;
	uint32_t n_vocab;
	uint32_t n_ctx_train;
	float rope_theta;
	float norm_eps;
};

struct layer {
	struct weight attn_norm; /* (d_model) */
	struct weight wq;        /* (n_heads * head_dim, d_model) */
	struct weight wk;        /* (n_kv_heads * head_dim, d_model) */
	struct weight wv;        /* (n_kv_heads * head_dim, d_model) */
	struct weight bq;        /* (n_heads * head_dim), optional */
	struct weight bk;        /* (n_kv_heads * head_dim), optional */
	struct weight bv;        /* (n_kv_heads * head_dim), optional */
	struct weight wo;        /* (d_model, n_heads * head_dim) */
	struct weight ffn_norm;  /* (d_model) */
	struct weight w_gate;    /* (d_ff, d_model) */
	struct weight w_up;      /* (d_ff, d_model) */
	struct weight w_down;    /* (d_model, d_ff) */
};

struct model {
	const struct gguf *file; /* borrowed */
	const struct arch *arch;
	struct hparams hp;
	struct weight embedding;   /* (n_vocab, d_model) */
	struct weight output_norm; /* (d_model) */
	struct weight output;      /* (n_vocab, d_model); the embedding again when tied */
	bool tied;
	struct layer *layers; /* (n_layers) */
	uint64_t n_params, n_weight_bytes;
	const char *name;        /* general.name or the file's name */
	const char *format_name; /* the format that holds most bytes */
	struct arena arena;
};

/* The row for a name, or NULL. */
const struct arch *arch_get(struct str name);

/* NULL-terminated list of known architectures, for messages. */
const char *const *arch_names(void);

/* g is borrowed and must outlive m. On failure m is zeroed and MODEL_LOAD_FAILED says what is wrong. */
enum hokku_code model_bind(struct model *m, const struct gguf *g, struct hokku_error *err);
void model_unbind(struct model *m);

#endif
