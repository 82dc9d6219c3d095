/*
 * A vocabulary as masks are made of it: two tries of its tokens' bytes, of plain tokens and of the others,
 * each in preorder, so that what begins with the bytes on the way to a node is one run of nodes.
 *
 * A token is plain if it is whole code points that a JSON string holds as they are (none below U+0020, no
 * quote, no backslash; valid UTF-8).
 */
#ifndef CONSTRAIN_VOCAB_H
#define CONSTRAIN_VOCAB_H

#include "constrain/constrain.h"

enum {
	VOCAB_MAX_PLAIN = 32,    /* code points up to which plain tokens are kept as masks */
	VOCAB_MAX_BYTES = 65535, /* of a token; a longer one is never allowed */
	VOCAB_MAX_TOKENS = 1 << 24,
};

/* Nodes in preorder; node 0 is the root, the text of no bytes. The children of i are i + 1, then from each
 * child k on end[k], while below end[i]. */
struct vocab_trie {
	uint32_t n;
	uint8_t *byte;    /* that leads to the node; the root's: 0 */
	uint32_t *end;    /* the first node that does not begin with this one's bytes */
	uint32_t *tokens; /* (n + 1): tokens whose bytes end here are ids[tokens[i]] to ids[tokens[i + 1]];
			     those of all nodes below are ids[tokens[i]] to ids[tokens[end[i]]] */
	uint32_t *ids;
	uint8_t *longest; /* of plain: code points of the longest token at or below the node, 255 at most; of
			     the others: NULL */
	uint64_t *below;  /* the kinds (vocab_kinds) of the bytes below the node; of plain: all that is no
			     ASCII  is VOCAB_BEYOND */
	uint32_t depth;   /* bytes of the longest token: what a walk's stack must hold */
};

/* Bytes by kinds, a bit each: signs, digits and capitals by themselves, small letters with their capitals,
 * control characters with the blank; all at once for what is no ASCII. */
static inline uint64_t vocab_kinds(uint8_t byte)
{
	if (byte >= 0x80)
		return UINT64_MAX;
	return UINT64_C(1) << (byte < 0x20 ? 0 : byte < 0x60 ? byte - 0x20 : byte - 0x40);
}

/* A kind that plain bytes have not: of '"'. */
#define VOCAB_BEYOND (UINT64_C(1) << ('"' - 0x20))

struct vocab_sets;

struct constrain_vocab {
	struct vocab_trie plain, other;
	uint32_t n_tokens, n_words; /* of a mask */
	/* The plain tokens of at most k code points: plain_masks + k * n_words, k from 0 to VOCAB_MAX_PLAIN.
	 */
	uint32_t *plain_masks;
	uint32_t longest_plain; /* code points of the longest plain token */
	uint64_t alphabet[4];   /* bytes that a token of one byte is */
	uint32_t *quoted;       /* tokens with a '"' in them */
	uint32_t n_quoted;
	struct vocab_sets *sets; /* with a lock of its own */
	int32_t *ends;
	uint32_t n_ends;
	uint8_t *bytes;   /* of all tokens, one after the other */
	uint32_t *offset; /* (n_tokens + 1); equal: no shape may use it */
	size_t (*encode)(void *user, struct str text, int32_t *out, size_t max); /* may be NULL */
	int32_t (*find)(void *user, struct str name);                            /* the same */
	void *user;
};

/* The token's bytes; none for an id out of range. */
static inline struct str vocab_bytes(const struct constrain_vocab *v, int32_t token)
{
	if (token < 0 || (uint32_t)token >= v->n_tokens)
		return (struct str){NULL, 0};
	return (struct str){(const char *)v->bytes + v->offset[token],
			    v->offset[token + 1] - v->offset[token]};
}

/* Does the token end an answer (the model's end tokens)? */
bool vocab_is_end(const struct constrain_vocab *v, int32_t token);

/* The token of that name, or else the first of those bytes; -1: none. Looks at every token. */
int32_t vocab_find_token(const struct constrain_vocab *v, struct str name);

#endif
