/*
 * What a model is, as data: hyperparameters, a spec for each layer (spec.h), and every tensor bound by its
 * role (roles.h). model_bind fills a struct model from an open file or says what is missing or has a wrong
 * shape. Weights stay in the file: a backend reads them once, when it is opened (weight_rows), and lays them
 * out as it likes. After that the file may become what it will.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/arena.h"
#include "gguf/gguf.h"
#include "model/format.h"
#include "model/roles.h"
#include "model/spec.h"

/* A bound matrix or vector: `rows` rows of `cols` elements, each row whole blocks of fmt. A vector has one
 * row. Where a file holds several of them in one tensor (q, k and v; gate and up), each is a slice of its
 * rows. */
struct weight {
	const struct gguf_tensor *tensor; /* NULL: this model has none (an optional bias, ...) */
	const struct format *fmt;
	const struct gguf *file; /* that holds it */
	const void *data;        /* where it is in memory anyway (gguf_open_memory); otherwise NULL */
	uint64_t offset;         /* of it in the tensor's data */
	uint32_t rows, cols;
	uint64_t row_bytes;
};

/* Numbers of the whole model. All layers of the architectures that are known have as many heads, as wide, and
 * feed-forwards as wide: what their specs say of it is said here too. */
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
	const struct layer_spec *spec;
	struct weight w[N_LAYER_ROLES];
};

enum {
	MODEL_MAX_ROPES = 2, /* different ones of a model's layers */
	MODEL_MAX_KV_GROUPS = 8,
	MODEL_MAX_KV_WINDOWS = 4, /* different ones of a model's layers, or none: more share the longest */
	MODEL_SUPPORT_TEXT = 96,
};

struct arch; /* arch.h */

struct model {
	const struct gguf *file; /* borrowed */
	const struct arch *arch;
	const char *arch_name; /* general.architecture, also the prefix of its keys */
	struct hparams hp;
	float embedding_scale, logit_scale; /* 1: none */
	float logit_cap;                    /* 0: none */
	struct weight w[N_MODEL_ROLES];     /* OUTPUT is EMBEDDING again when tied */
	bool tied;
	struct layer *layers;             /* (n_layers) */
	struct layer_spec *specs;         /* (n_layers) */
	struct rope *ropes;               /* (MODEL_MAX_ROPES) those that specs point to */
	struct rope_source *rope_sources; /* (MODEL_MAX_ROPES) what ropes are made of (rope.h) */
	uint32_t n_ropes;
	struct kv_group kv_groups[MODEL_MAX_KV_GROUPS]; /* (n_kv_groups) */
	uint32_t n_kv_groups;
	uint64_t n_params, n_weight_bytes;
	const char *name;        /* general.name or the file's name, as plain text */
	const char *format_name; /* the format that holds most bytes */
	struct arena arena;
};

/* Rows first .. first + n - 1 as they stand in the file: where they are in memory, or read into buffer
 * (n * row_bytes; NULL where data is not). NULL and IO_ERROR where the file no longer has them. */
const void *weight_rows(const struct weight *w, uint32_t first, uint32_t n, void *buffer,
			struct hokku_error *err);

/* Row `row` as float32. */
enum hokku_code weight_floats(const struct weight *w, uint32_t row, float *out, struct hokku_error *err);

/* Reads all of w into the arena, unless it is in memory or there is none. */
enum hokku_code weight_keep(struct weight *w, struct arena *arena, struct hokku_error *err);

/* NULL-terminated list of known architectures, for messages. */
const char *const *arch_names(void);

/* g is borrowed and must outlive m. On failure m is zeroed and MODEL_LOAD_FAILED says what is wrong. */
enum hokku_code model_bind(struct model *m, const struct gguf *g, struct hokku_error *err);
void model_unbind(struct model *m); /* {0} is allowed */

/* A model like m, of the same file, all of whose weights are in memory: what m has there is shared. m must
 * outlive it. On failure out is zeroed. */
enum hokku_code model_read(struct model *out, const struct model *m, struct hokku_error *err);

/*
 * Chooses what depends on the context that sequences may have (RoPE whose factors are two sets, one for
 * contexts up to the original one and one for longer): once, before a backend is opened, so that a token's
 * logits never depend on how long its sequence is. model_bind has chosen for the context of the training.
 */
void model_set_context(struct model *m, uint32_t n_ctx);

/*
 * Puts layers of one window into KV groups of their own; those that see all are the first. All groups have as
 * many layers or somewhat fewer, so that a KV block of one has room for any other: of 5 layers that see all
 * and 29 with a window come a group of 5 and six of 5, 5, 5, 5, 5 and 4. Whoever does so has a block table a
 * group for each sequence; else a model has one group, of which nothing is left behind. Before a backend is
 * opened.
 */
void model_group_kv(struct model *m);

/* Layers that a KV block has room for. */
uint32_t model_kv_places(const struct model *m);

/* What of the model a backend cannot do: "soft_cap of layer 3", in out; NULL if it can do all. */
const char *model_unsupported(const struct model *m, const struct spec_support *can,
			      char out[MODEL_SUPPORT_TEXT]);

#endif
