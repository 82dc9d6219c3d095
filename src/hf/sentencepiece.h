/* SentencePiece's model file (tokenizer.model): a protocol buffer with the pieces of a vocabulary, their
 * scores and types, and how text is normalised. */
#ifndef HF_SENTENCEPIECE_H
#define HF_SENTENCEPIECE_H

#include "base/arena.h"
#include "hf/reader.h"

/* A piece, as the file has it. */
struct sp_piece {
	struct str text;
	float score;
	int32_t type; /* SentencePiece's numbers, which are GGUF's (VOCAB_*) */
};

struct sp_model {
	struct sp_piece *pieces; /* (n) in the arena; their texts point into the file's bytes */
	uint32_t n;
	bool byte_fallback, add_dummy_prefix, remove_extra_whitespaces;
	int64_t unk, bos, eos, pad; /* ids as the file says; -1: none */
};

enum { SP_MAX_PIECES = 1 << 19, SP_MAX_PIECE_BYTES = 4096 };

/* Reads the bytes of a file, which must outlive *out. BAD_FILE: where the bytes are no such file, with the
 * offset; INVALID_REQUEST: what would be computed otherwise (unigram models, a normaliser with a table), by
 * name. */
enum hokku_code sp_read(struct str bytes, const struct hf_reader *r, struct arena *arena,
			struct sp_model *out);

#endif
