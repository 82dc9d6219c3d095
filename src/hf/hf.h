/*
 * The parts of a Hugging Face folder read as a model: config.json becomes a shape (shape.c: an architecture
 * is a row of tables; config_rules.c: what can be said twice), tokenizer.json and its companions a vocabulary
 * (vocab.c, added.c, ids.c; recognise.c: a pre-tokenizer is a row as well). folder.h is the whole. Nothing
 * here writes a file.
 */
#ifndef HF_HF_H
#define HF_HF_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/observer.h"
#include "base/str.h"

/* Which of the shape's numbers a tensor's side is. */
enum side {
	SIDE_NONE,
	SIDE_MODEL,
	SIDE_Q,
	SIDE_KV,
	SIDE_QKV, /* q, k and v one after another */
	SIDE_FF,
	SIDE_2FF, /* gate and up one after another */
	SIDE_HEAD,
	SIDE_VOCAB,
	N_SIDES
};

/* What llama.cpp's quantiser tells apart. */
enum hf_part { PART_OTHER, PART_EMBEDDING, PART_OUTPUT, PART_ATTN_V, PART_FFN_DOWN, PART_NORM, PART_BIAS };

/* When a model has a tensor. */
enum hf_when { WHEN_ALWAYS, WHEN_UNTIED, WHEN_ATTN_BIAS, WHEN_MLP_BIAS };

/* What is done to a tensor on its way. */
enum hf_change {
	CHANGE_NONE,
	CHANGE_PERMUTE,  /* rows of each head: pairs (i, i + half) become neighbours, for RoPE of that kind */
	CHANGE_PLUS_ONE, /* a norm that is stored less one */
};

/* One tensor of the model, or one of each layer: after the folder's and the file's layer prefix. */
struct hf_tensor_row {
	const char *hf, *gguf;
	enum side rows, cols; /* rows SIDE_NONE: a vector of cols */
	enum hf_part part;
	bool per_layer;
	enum hf_when when;
	enum hf_change change;
};

enum { HF_MAX_LAYERS = 1024, HF_MAX_PAIRS = 512, HF_MAX_KEYS = 24 };

/* A key of the file, after the architecture's prefix, beside those of the rows of numbers. */
struct hf_key {
	const char *name;
	enum { HF_U32, HF_F32, HF_STR, HF_LAYERS } type; /* HF_LAYERS: the shape's windowed, a bool a layer */
	uint32_t u32;
	float f32;
	const char *str;
};

/* Numbers that RoPE's frequencies are divided by: a tensor of the file that no tensor of the folder is. */
enum hf_table { TABLE_ROPE_FREQS, TABLE_ROPE_LONG, TABLE_ROPE_SHORT, N_HF_TABLES };

/* The shape of a model, out of config.json. */
struct hf_shape {
	const struct hf_arch *arch;
	uint32_t n_ctx, d_model, n_layers, d_ff, n_heads, n_kv_heads, head_dim, n_vocab;
	float rope_theta, norm_eps;
	bool tied, tied_given, attn_bias, mlp_bias;
	bool has_vision; /* the folder is of more than text: its other tensors are left out */
	struct hf_key keys[HF_MAX_KEYS];
	uint32_t n_keys;
	uint8_t windowed[HF_MAX_LAYERS]; /* 0 or 1 */
	float tables[N_HF_TABLES][HF_MAX_PAIRS];
	uint32_t n_pairs[N_HF_TABLES]; /* 0: there is no such table */
};

/* One number of config.json and the key it becomes (gguf NULL: none). */
struct config_row {
	const char *config, *gguf;
	bool is_float;
	uint32_t max;  /* of an integer; the least is 1 */
	size_t offset; /* in struct hf_shape */
};

/* A setting that must have the value we compute with, where it is given. */
struct refuse_row {
	const char *config;
	const char *wanted; /* as JSON; NULL: must be absent or null */
};

struct hf_reader;
struct sp_model;

struct hf_arch {
	const char *model_type; /* config.json's */
	const char *class_name; /* config.json's architectures[0] */
	const char *gguf;       /* general.architecture */
	const char *hf_layers;  /* "model.layers." */
	/* What transformers' class has where config.json says nothing, as a JSON object; NULL: every number
	 * must be said. */
	const char *defaults;
	/* Reads what the rows of numbers do not have, and refuses what is not converted; NULL: only the rows.
	 */
	enum hokku_code (*read)(const struct hf_reader *r, const struct jv *root, struct hf_shape *s);
	const char *text_type; /* of a class that reads pictures too: its text_config's model_type */
	bool windows;          /* use_sliding_window is a setting, and no layer may slide */
	bool one_window;       /* sliding_window counts, for all layers */
	bool layer_types;      /* layer_types counts: which layers have the window */
	bool layer_ropes;      /* kinds of layers may have a RoPE each */
	bool partial_rope;     /* RoPE may turn a part of a head */
	uint32_t window;       /* sliding_window where it is absent; 0: none */
	uint32_t
		original_ctx; /* original_max_position_embeddings where it is absent; 0: the class has none */
	const struct config_row *config;     /* ends with config NULL */
	const struct refuse_row *refuse;     /* ends with config NULL */
	const struct hf_tensor_row *tensors; /* ends with hf NULL; in the order they are written */
	const char *const *ignored;          /* suffixes of tensors that carry no weights; NULL-terminated */
};

/* root is a config.json, path names it in messages. INVALID_REQUEST: a setting that we would compute
 * otherwise. Where a thing is said twice and differently, a note tells which counts. */
enum hokku_code hf_shape_read(const struct jv *root, const char *path, const struct observer *observer,
			      struct hf_shape *out, struct hokku_error *err);

/* Rows or columns of a tensor that has this side; 1 for SIDE_NONE. */
uint32_t hf_side(const struct hf_shape *s, enum side side);

/* Tensors that are tables, of the shape's: name of the file's; numbers and how many there are, 0: none. */
const char *hf_table(const struct hf_shape *s, enum hf_table which, const float **values, uint32_t *n);

/* Rows of the shape's tensors, all layers. Start with {0}; false at the end. */
struct tensor_iter {
	const struct hf_tensor_row *row;
	uint32_t layer;
	size_t at, per_layer_from;
	uint32_t ordinal; /* the row's number in the table, for seeds */
	char hf[128], gguf[128];
	uint64_t rows, cols; /* a vector has one row */
};
bool tensor_iter_next(const struct hf_shape *s, struct tensor_iter *it);

/* A token that matches as a whole before anything is split or merged. */
struct added_token {
	struct str text;
	uint32_t id;
	bool special;    /* it controls the model; the others are text */
	bool normalized; /* it is looked for in the normalised text */
	unsigned strips; /* ADDED_* */
};
enum { ADDED_LSTRIP = 1, ADDED_RSTRIP = 2, ADDED_SINGLE_WORD = 4 /* of which GGUF has no word */ };

/* What is done with text before tokens are joined, where a vocabulary is of SentencePiece's shape: keys of
 * tokenizer.ggml.* and tokenizer.hokku.* (docs/tokenizer.md). */
struct vocab_text {
	bool space_prefix, prefix_first, prefix_once, remove_extra, split_at_spaces, join_by_merges;
	bool normalizes, prepends; /* the normaliser turns blanks into U+2581, and puts one first */
};

/* A vocabulary, ready to be written. Texts live in the arena or in the documents. */
struct vocab {
	struct str *tokens;
	int32_t *types; /* VOCAB_* */
	float *scores;  /* (n) of SentencePiece's shape, else NULL: the higher, the earlier joined */
	uint32_t n;
	struct str *merges; /* "a b" */
	uint64_t n_merges;
	struct sp_model *model; /* the file that it came from, if that was tokenizer.model */
	bool spm;               /* of SentencePiece's shape: text says more; else byte-level BPE */
	struct vocab_text text;
	bool ignore_merges;              /* a piece that is a token becomes it, whatever merging gives */
	const char *pre;                 /* of byte-level BPE */
	const char *arch;                /* general.architecture of a file that has no config.json */
	int64_t bos, eos, eot, pad, unk; /* -1: none; eot ends an answer too */
	bool add_bos;
	struct str chat_template; /* ptr NULL: none */
	struct arena arena;
	struct added_token *added; /* (n_added) in the order of their addition */
	uint32_t n_added;
	uint32_t *added_slots; /* (added_mask + 1) their hash table; a slot holds a number plus one */
	uint32_t added_mask;
	uint64_t added_seed[2];
	/* The folder's files; any but the first may be empty. */
	struct jv_doc tokenizer, config, special_map, added_tokens;
};
/* enum tok_type's numbers. */
enum {
	VOCAB_NORMAL = 1,
	VOCAB_UNKNOWN,
	VOCAB_CONTROL,
	VOCAB_USER_DEFINED,
	VOCAB_UNUSED,
	VOCAB_BYTE,
};
enum { HF_MAX_VOCAB = 4 << 20, HF_MAX_TOKENIZER_BYTES = 256 << 20, HF_MAX_CONFIG_BYTES = 16 << 20 };

/* n_vocab 0: as many as the tokenizer has; otherwise the rest is padded with unused tokens. */
enum hokku_code vocab_read(struct vocab *v, const char *dir, uint32_t n_vocab,
			   const struct observer *observer, struct hokku_error *err);

/* Fills in the ids that the tokenizer's files left open; an id outside the vocabulary is BAD_FILE. */
enum hokku_code vocab_read_ids(struct vocab *v, const char *dir, const struct observer *observer,
			       struct hokku_error *err);
void vocab_free(struct vocab *v);

/* The pre-tokenizer's name for tokenizer.json's definition, or INVALID_REQUEST with the definition. */
enum hokku_code vocab_recognise(const struct jv *tokenizer, const char *path, const char **pre,
				const char **arch, struct hokku_error *err);

#endif
