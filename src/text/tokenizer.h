/*
 * Tokenizers: bytes to token ids and back, from the metadata of a GGUF file (tokenizer.ggml.*).
 * Immutable after tok_create; any number of threads may encode at once.
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "gguf/gguf.h"

struct tok;

/* Token types, as tokenizer.ggml.token_type numbers them. */
enum tok_type { TOK_NORMAL = 1, TOK_UNKNOWN, TOK_CONTROL, TOK_USER_DEFINED, TOK_UNUSED, TOK_BYTE };

enum {
	TOK_PARSE_SPECIAL = 1, /* names of special tokens in the text become those tokens */
	TOK_ADD_BOS = 2,       /* put the BOS token first, if the model wants one (add_bos_token) */
};

/* What the file cannot serve (unknown tokenizer model or pre-tokenizer, merges of unknown tokens, ...) is an
 * error that names the key. g may be closed afterwards: everything needed is copied. */
enum hokku_code tok_create(const struct gguf *g, struct tok **out, struct hokku_error *err);
void tok_destroy(struct tok *t); /* NULL is allowed */

const char *tok_kind(const struct tok *t); /* "gpt2/qwen2": model and pre-tokenizer */
uint32_t tok_n_vocab(const struct tok *t);

/* What the file leaves out, or holds wrongly where nothing needs it, and what was done: a sentence each, NULL
 * past the last. */
const char *const *tok_notes(const struct tok *t);

/* Encodes text (any bytes; invalid UTF-8 is encoded byte by byte). *ids is grown with realloc and owned by
 * the caller (start with NULL and *cap = 0); new ids are appended after the *n present ones, so that pieces
 * with different flags can follow one another. */
struct tok_ids {
	int32_t *ids;
	size_t n, cap;
};
enum hokku_code tok_encode(const struct tok *t, struct str text, unsigned flags, struct tok_ids *out,
			   struct hokku_error *err);

/* A text made of parts, of which only some may name special tokens: a chat template's own words beside what
 * a request brought. */
struct tok_part {
	size_t len;   /* bytes; the parts together are the text */
	bool trusted; /* a special token's name counts only where all of its bytes are in trusted parts */
};

/* As tok_encode, with each part's trust in place of TOK_PARSE_SPECIAL (which flags may not hold). Where a
 * part ends changes nothing else: text between special tokens is cut and merged as one. */
enum hokku_code tok_encode_parts(const struct tok *t, struct str text, const struct tok_part *parts,
				 size_t n_parts, unsigned flags, struct tok_ids *out,
				 struct hokku_error *err);
enum hokku_code tok_ids_push(struct tok_ids *ids, int32_t id, struct hokku_error *err);
void tok_ids_free(struct tok_ids *ids);

/* The exact bytes a token stands for; special (control) tokens give their name. Empty for an unused token
 * ("[PAD151700]") and for an id out of range. */
struct str tok_bytes(const struct tok *t, int32_t id);

/* The token as the vocabulary writes it ("Ġthe"); empty for an id out of range. */
struct str tok_piece(const struct tok *t, int32_t id);
enum tok_type tok_type(const struct tok *t, int32_t id);

/* Id of a special token by its exact name, or -1. */
int32_t tok_find_special(const struct tok *t, struct str name);

int32_t tok_bos(const struct tok *t); /* -1: none */
int32_t tok_eos(const struct tok *t); /* -1: none */

/* Tokens that part a text with a gap (fill in the middle): by the file's keys (tokenizer.ggml.fim_*), else by
 * the names that vocabularies give them. -1: none. */
enum tok_fim { TOK_FIM_PREFIX, TOK_FIM_SUFFIX, TOK_FIM_MIDDLE, TOK_FIM_REPO, TOK_FIM_FILE, TOK_N_FIM };
int32_t tok_fim(const struct tok *t, enum tok_fim which);

/* Tokens that end an answer: eos, eot and every control token known to end a turn ("<|im_end|>",
 * "<|eot_id|>", ...). */
bool tok_is_end(const struct tok *t, int32_t id);

#endif
