/*
 * What the files of this room share. A tokenizer is made of four parts, one file each: the byte alphabet and
 * the vocabulary (tokenizer.c), the pre-tokenizer that cuts text into pieces (pretok.c), byte-pair merging
 * inside a piece (bpe.c), and the trie that finds added tokens in text (added.c). encode.c puts them
 * together.
 */
#ifndef TEXT_TOKENIZER_INTERNAL_H
#define TEXT_TOKENIZER_INTERNAL_H

#include <stdatomic.h>

#include "text/limits.h"
#include "text/pretok.h"
#include "text/tokenizer.h"

/* (left id, right id) -> rank and the token they make. Open addressing; an empty slot's key is MERGE_EMPTY.
 */
#define MERGE_EMPTY UINT64_MAX
#define MERGE_NONE  UINT64_MAX
struct merge_slot {
	uint64_t key;   /* left << 32 | right */
	uint64_t value; /* rank << 32 | merged id: the smaller value merges first */
};
struct merges {
	struct merge_slot *slots; /* (mask + 1) */
	uint64_t mask;
	unsigned shift; /* 64 - log2(mask + 1) */
};
enum hokku_code merges_create(struct merges *m, uint64_t n, struct hokku_error *err);
void merges_destroy(struct merges *m);

/* False if the pair is there already; *earlier is then its value. */
bool merges_put(struct merges *m, uint32_t left, uint32_t right, uint64_t value, uint64_t *earlier);

static inline uint64_t merges_get(const struct merges *m, uint32_t left, uint32_t right)
{
	uint64_t key = (uint64_t)left << 32 | right;
	uint64_t i = (key * 0x9E3779B97F4A7C15u) >> m->shift;
	for (;; i = (i + 1) & m->mask) {
		if (m->slots[i].key == key)
			return m->slots[i].value;
		if (m->slots[i].key == MERGE_EMPTY)
			return MERGE_NONE;
	}
}

/* Merges the n ids in place, lowest rank first and leftmost among equals, until no neighbours merge. Returns
 * how many are left, or 0 when the host has no memory (n is at least 1). */
size_t bpe_merge(const struct merges *m, int32_t *ids, size_t n);

/* A table of strings -> ids; the strings stand elsewhere (text(id)). */
struct string_slot {
	uint32_t hash, id; /* id UINT32_MAX: empty */
};
struct string_table {
	struct string_slot *slots;
	uint32_t mask;
	const char *bytes; /* string id is bytes[offsets[id] .. offsets[id + 1]) */
	const uint32_t *offsets;
};
enum hokku_code string_table_create(struct string_table *t, uint64_t n, const char *bytes,
				    const uint32_t *offsets, struct hokku_error *err);
void string_table_destroy(struct string_table *t);
/* The string is id's from now on; -1, or the id that had it before. */
int32_t string_table_put(struct string_table *t, uint32_t id);
int32_t string_table_get(const struct string_table *t, const char *s, size_t n); /* -1: none */

/* Added tokens: found in text before anything else looks at it. */
struct added_node {
	uint32_t child, sibling; /* 0: none */
	int32_t id;              /* -1: no token ends here */
	uint8_t byte;
	bool only_special; /* the token counts only with TOK_PARSE_SPECIAL */
};
struct added {
	struct added_node *nodes; /* nodes[0] is unused */
	size_t n, cap;
	uint32_t root[256];
};
enum hokku_code added_put(struct added *a, struct str name, int32_t id, bool only_special,
			  struct hokku_error *err);
void added_destroy(struct added *a);

/* Where in a text special tokens may be: in all of it, nowhere, or as parts say. A cursor: positions asked
 * for only grow. */
struct added_trust {
	const struct tok_part *parts; /* NULL: all decides for every byte */
	size_t n_parts, i;            /* the next part to look at */
	size_t end;                   /* of the parts before it; the last ones of one trust count as one */
	bool all, trusted;            /* trusted: those last ones */
};

/* The leftmost, there the longest, added token in text from *at on; false if there is none. */
bool added_find(const struct added *a, struct str text, struct added_trust *trust, size_t *at, size_t *len,
		int32_t *id);

enum { TOK_FLAG_END = 0x80, TOK_FLAG_RSTRIP = 0x40, TOK_FLAG_LSTRIP = 0x20, TOK_TYPE_MASK = 0x0F };

/* What is known about a token as a whole piece, found out at its first use. */
enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };

/* One each for a missing pre-tokenizer, missing types and repeated texts, one for each key of a special
 * token. */
enum { TOK_MAX_NOTES = 24, TOK_NOTE_BYTES = 256 };

/* A kind of tokenizer: tokenizer.ggml.model names it. */
struct tok_work;
struct tok_model {
	const char *name;
	/* Reads what comes before the vocabulary; sets t->kind and the default of t->add_bos. */
	enum hokku_code (*open)(const struct gguf *g, struct tok *t, struct hokku_error *err);
	/* The vocabulary is read, types and special ids are known: makes what encoding and decoding need. */
	enum hokku_code (*build)(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
				 struct hokku_error *err);
	/* Encodes text without added tokens, at least a byte; it begins the whole (w->at_start) or follows an
	 * added token. */
	enum hokku_code (*encode)(struct tok_work *w, struct str text);
	void (*close)(struct tok *t); /* NULL: nothing of its own */
};

struct tok {
	const struct tok_model *model;
	char kind[64];
	char notes[TOK_MAX_NOTES][TOK_NOTE_BYTES];
	const char *note_list[TOK_MAX_NOTES + 1];
	size_t n_notes;
	struct pretok *pretok; /* byte-level BPE's, else NULL */
	struct spm *spm;       /* SentencePiece's, else NULL */
	uint32_t n_vocab;
	char *pieces, *bytes;                   /* as the vocabulary writes them; as they are */
	uint32_t *piece_offsets, *byte_offsets; /* (n_vocab + 1) */
	uint8_t *flags;                         /* (n_vocab) type, TOK_FLAG_* */
	_Atomic uint8_t *whole;       /* (n_vocab) WHOLE_*: does merging the token's bytes give this token? */
	struct string_table by_bytes; /* the tokens that text can become; SentencePiece's by their pieces */
	struct merges merges;
	struct added added;
	struct added normal; /* byte-level BPE's that are looked for in the normalised text */
	int32_t byte_ids[256];  /* -1: the vocabulary has no token for the byte */
	int32_t bos, eos, unk;  /* -1: none */
	int32_t fim[TOK_N_FIM]; /* the same */
	bool add_bos;
};

/* One call's working memory. Small pieces, nearly all of them, need none of the heap. */
enum { TOK_WORK_SMALL = 256 };
struct tok_work {
	const struct tok *t;
	struct tok_ids *out;
	struct hokku_error *err;
	bool at_start; /* nothing of the text comes before what is encoded now */
	struct pretok_work pretok;
	struct strbuf normal; /* the text normalised, where it was not */
	int32_t small[TOK_WORK_SMALL];
	int32_t *large;
	size_t large_cap;
};

/* The token of a byte; an error where there is none. */
enum hokku_code tok_push_byte(struct tok_work *w, unsigned char byte);

/* Room for n symbols, those present (n_present) kept; NULL with w->err set where there is no memory. */
int32_t *tok_symbols(struct tok_work *w, size_t n_present, size_t n);

/* Merges the n symbols of a piece in place; *n becomes how many are left. whole: the token that the piece is,
 * or -1; whether merging gives it is remembered there. */
enum hokku_code tok_merge(struct tok_work *w, int32_t whole, int32_t *symbols, size_t *n);
static inline bool tok_is_whole(const struct tok *t, int32_t whole)
{
	return whole >= 0 && atomic_load_explicit(&t->whole[whole], memory_order_relaxed) == WHOLE_YES;
}
enum hokku_code tok_push_all(struct tok_work *w, const int32_t *ids, size_t n);

/* What an added token takes of a text, found at *at with len bytes, where everything before done is taken:
 * from and end with the blanks that it takes along. The search goes on at *at, which may be within these: the
 * Rust tokenizers find the next one there, and drop it where nothing is left of it (counts is then false). */
struct tok_span {
	size_t from, end;
	bool counts;
};
struct tok_span tok_span_of(const struct tok *t, struct str text, size_t done, size_t *at, size_t len,
			    int32_t id);

/* own_keys.c: the keys of this project's own, for what a tokenizer.json says and GGUF has no word for. */
enum hokku_code tok_read_own_bool(const struct gguf *g, const char *name, bool *out, struct hokku_error *err);
enum hokku_code tok_read_strips(const struct gguf *g, struct tok *t, struct hokku_error *err);
/* Calls put for each id of the list; an id out of range is BAD_FILE. *found may be NULL. */
enum hokku_code tok_each_own_id(const struct gguf *g, const struct tok *t, const char *name,
				void (*put)(void *user, uint32_t id), void *user, bool *found,
				struct hokku_error *err);

/* byte_bpe.c: tokenizer.ggml.merges into t->merges, by rank. */
enum hokku_code tok_read_merges(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
				struct hokku_error *err);

/* byte_bpe.c, encode.c */
enum hokku_code byte_bpe_open(const struct gguf *g, struct tok *t, struct hokku_error *err);
enum hokku_code byte_bpe_build(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
			       struct hokku_error *err);
enum hokku_code byte_bpe_encode(struct tok_work *w, struct str text);

/* spm_vocab.c, spm.c */
enum hokku_code spm_open(const struct gguf *g, struct tok *t, struct hokku_error *err);
enum hokku_code spm_build(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
			  struct hokku_error *err);
enum hokku_code spm_encode(struct tok_work *w, struct str text);
void spm_close(struct tok *t);
bool spm_byte_name(struct str piece, unsigned *byte); /* "<0x0A>" */

/* A sentence more of tok_notes: what the file says and is not done. */
void tok_add_note(struct tok *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets t->fim. */
void tok_read_fim(const struct gguf *g, struct tok *t, const struct string_table *by_piece);

/* The special ids and what ends an answer; where the file gives no types (has_types), which tokens are
 * control tokens. Of a value out of range that nothing needs, a note. */
enum hokku_code tok_read_specials(const struct gguf *g, struct tok *t, bool has_types,
				  struct hokku_error *err);

#endif
