/*
 * SentencePiece's BPE (tokenizer.ggml.model is "llama"): text is characters with blanks as U+2581; of all
 * neighbours that together are a token the one of highest score is joined, the leftmost among equals, until
 * none is left; what is no token then is spelt in byte tokens.
 *
 * The joins are made into a table of pairs once (spm_vocab.c), as the merges of byte-level BPE are, so that
 * both share their loops (bpe.c). SentencePiece joins over the whole text. Here it is cut first, between
 * characters that no token holds side by side: nothing is ever joined across such a place.
 *
 * A vocabulary out of a tokenizer.json has merges, each with a rank of its own (join_by_merges), and what
 * else the Rust tokenizers do otherwise than SentencePiece: own_keys.c's keys say which of it.
 */
#ifndef TEXT_SPM_H
#define TEXT_SPM_H

#include "text/tokenizer_internal.h"

#define SPM_BLANK "\xE2\x96\x81" /* U+2581 */
enum { SPM_BLANK_BYTES = sizeof SPM_BLANK - 1 };

/* A symbol is a token's id; past the vocabulary, a character that stands in tokens and is none itself
 * (loose); below 0, SPM_STRANGER less a character that stands in no token. */
enum { SPM_STRANGER = -2 };
struct spm {
	bool space_prefix;     /* a blank goes before the text */
	bool prefix_first;     /* only before the text, not behind a special token */
	bool prefix_once;      /* not where there is a blank already */
	bool remove_extra;     /* blanks at both ends go, of several one stays */
	bool join_by_merges;   /* tokens are joined as tokenizer.ggml.merges says, not by scores */
	bool ignore_merges;    /* text between cuts that is a token becomes that token */
	bool split_at_spaces;  /* nothing is joined across the beginning of a U+2581 */
	struct added normal;   /* added tokens that are looked for in the text once it is normalised */
	int32_t *of_character; /* (UNICODE_LIMIT) its symbol + 1; 0: it stands in no token */
	uint32_t *loose;       /* (n_loose) the characters of the symbols past the vocabulary */
	uint32_t n_loose;
	struct merges beside; /* pairs of symbols of characters that some token holds side by side */
};

static inline int32_t spm_symbol(const struct spm *s, uint32_t c)
{
	return s->of_character[c] ? s->of_character[c] - 1 : SPM_STRANGER - (int32_t)c;
}

#endif
