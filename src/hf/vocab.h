/* What the files that read a vocabulary share. */
#ifndef HF_VOCAB_H
#define HF_VOCAB_H

#include "hf/hf.h"
#include "hf/reader.h"

/* The files of a tokenizer, for messages. */
struct vocab_files {
	struct hf_reader tokenizer, config, special_map, added_tokens;
};

/* The special tokens that have a name, in the order in which transformers adds them. */
enum { NAMED_BOS, NAMED_EOS, NAMED_UNK, NAMED_SEP, NAMED_PAD, NAMED_CLS, NAMED_MASK, N_NAMED };

/*
 * Every added token and its id, as transformers and its tokenizers make them on loading (added.c): those of
 * tokenizer.json in its order, then what other files declare. named gets the texts of the named ones
 * ({NULL, 0}: none). base are the tokens of model.vocab by id (n_base).
 */
enum hokku_code vocab_collect_added(struct vocab *v, const struct vocab_files *f, const struct str *base,
				    uint32_t n_base, struct str named[N_NAMED]);

/* Whether a tokenizer.json is of SentencePiece's shape rather than byte-level BPE, and what it then does with
 * text. INVALID_REQUEST: a component that hokku does not compute, by its name. */
bool vocab_is_spm(const struct jv *tokenizer);
enum hokku_code vocab_read_spm_shape(const struct jv *tokenizer, const struct hf_reader *r,
				     struct vocab_text *out);

/* A tokenizer.model read into v: its settings, and its pieces as a tokenizer.json would say them. */
enum hokku_code vocab_read_model(struct vocab *v, const struct hf_reader *r);

/* Types and scores of the tokens that are its pieces, once these are in their places. */
enum hokku_code vocab_place_pieces(struct vocab *v, const struct hf_reader *r);

/* The id of a text: an added token's, else the vocabulary's; -1 if it has none. */
int64_t vocab_find(const struct vocab *v, struct str text);

/* An integer from 0 to HF_MAX_VOCAB - 1 that is a token's id. */
enum hokku_code vocab_read_id(const struct hf_reader *r, struct str token, const struct jv *id,
			      uint32_t *out);

#endif
