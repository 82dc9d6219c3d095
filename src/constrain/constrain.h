/*
 * Answers of a given shape. A shape (a JSON Schema, a grammar, a regular expression, a list of choices) is
 * compiled against a vocabulary; then, for each sequence, a walk says which tokens may come next and takes
 * the one that came. What a walk lets through is always the beginning of a text of that shape, and it may
 * end only where the text is one.
 *
 * This room knows bytes and vocabularies: no models, no HTTP. What cannot be enforced is refused when it is
 * compiled, by name and place, never dropped.
 */
#ifndef CONSTRAIN_CONSTRAIN_H
#define CONSTRAIN_CONSTRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* A vocabulary: made once for a model, immutable, read by any number of threads. */
struct constrain_vocab;

struct constrain_words {
	void *user;
	uint32_t n; /* tokens: a mask has n bits, in (n + 31) / 32 words */
	/* The token's bytes in running text (never those of the text's first word alone, with no space put in
	 * or taken out); n 0: none that a shape may use (control tokens, unused entries). Valid until the
	 * next call. */
	struct str (*bytes)(void *user, uint32_t token);
	/* Tokens that end an answer: allowed where the shape's text may end. */
	const int32_t *ends;
	uint32_t n_ends;
	/* Canonical tokens of a text that continues an answer, control tokens not read as such. Returns how
	 * many there are, also if more than max; 0: cannot. NULL: nothing is ever taken ahead. */
	size_t (*encode)(void *user, struct str text, int32_t *out, size_t max);
	/* The token that is written so, "[TOOL_CALLS]" say, control tokens too; negative: none. NULL: tokens
	 * have no names but their bytes. */
	int32_t (*find)(void *user, struct str name);
};

/* OUT_OF_MEMORY; INVALID_REQUEST: no token has any byte. */
enum hokku_code constrain_vocab_new(const struct constrain_words *words, struct constrain_vocab **out,
				    struct hokku_error *err);
void constrain_vocab_free(struct constrain_vocab *v); /* after every shape compiled against it */

enum constrain_kind {
	CONSTRAIN_JSON_SCHEMA, /* text: the schema as JSON */
	CONSTRAIN_JSON_OBJECT, /* any JSON object; no text */
	CONSTRAIN_GBNF,        /* text: a grammar as llama.cpp reads it */
	CONSTRAIN_REGEX,       /* text: a regular expression that the whole answer matches */
	CONSTRAIN_CHOICE,      /* text: a JSON array of strings */
	CONSTRAIN_STRUCTURE,   /* text: a structural tag as XGrammar reads them, as JSON */
};

/* White space between JSON's tokens: none; any; one space behind each ':' and ',' and nothing else, as
 * Python's json.dumps writes. */
enum constrain_space { CONSTRAIN_COMPACT, CONSTRAIN_FREE, CONSTRAIN_SPACED };

/* "compact", "free", "spaced". False: none of them. */
bool constrain_space_find(struct str name, enum constrain_space *out);

struct constrain_shape {
	enum constrain_kind kind;
	struct str text;
	enum constrain_space space; /* of the two JSON kinds, and of schemas in structural tags */
};

/* What compiling may take. Zeros: the defaults. */
struct constrain_limits {
	uint64_t work; /* counted, not timed, so that what compiles compiles everywhere */
	size_t bytes;  /* of one compiled shape, its lazily made states included: where they fill it, states
			  in which no walk stands are forgotten, and made again when they come up */
	/* For one mask; a walk that needs more is spent, the shape's other walks go on. Counted by what has
	 * to be looked at, whether it was made before or not: it depends on the shape and the text alone. */
	uint64_t mask_work;
	/* Asked while it compiles, after each some thousand steps: true ends it (CANCELLED). NULL: never. */
	bool (*stop)(void *user);
	void *user;
};

/* Where a shape is at fault. */
struct constrain_fault {
	char place[256]; /* a JSON pointer into the schema, "line 3 column 5" of a grammar, "[4]" of choices;
			    "" : the whole; cut with "..." */
};

/* A compiled shape: shared by any number of walks and threads; counted. */
struct constrain;

/*
 * INVALID_REQUEST: the shape cannot be read, cannot be enforced or would pass a limit; err's message begins
 * with the place and names what was found there and what is possible; fault (may be NULL) has the place.
 * CANCELLED: limits->stop said so. OUT_OF_MEMORY. The shape's text is not needed afterwards.
 */
enum hokku_code constrain_new(struct constrain_vocab *v, const struct constrain_shape *shape,
			      const struct constrain_limits *limits, struct constrain **out,
			      struct constrain_fault *fault, struct hokku_error *err);
void constrain_ref(struct constrain *c);
void constrain_unref(struct constrain *c);

/* The grammar as text, a rule a line, for people. OUT_OF_MEMORY. */
enum hokku_code constrain_print(struct constrain *c, struct strbuf *out, struct hokku_error *err);

struct constrain_stats {
	size_t bytes;
	uint64_t work;              /* of compiling */
	uint64_t n_masks, n_cached; /* asked for; of those, found made */
};
void constrain_get_stats(struct constrain *c, struct constrain_stats *out);

/* A sequence's way through a shape. One owner at a time; walks of one shape may be used side by side. */
struct constrain_walk;

struct constrain_walk *constrain_begin(struct constrain *c); /* NULL: no memory */
struct constrain_walk *constrain_fork(const struct constrain_walk *w);
void constrain_end(struct constrain_walk *w); /* NULL is allowed */

enum constrain_taken {
	CONSTRAIN_TAKEN,
	CONSTRAIN_REFUSED, /* not allowed here; nothing changed */
	CONSTRAIN_DONE,    /* one of the vocabulary's ends, where it may stand */
	CONSTRAIN_SPENT,   /* memory or work of this shape is used up: the sequence cannot go on */
};

/* The token that came. */
enum constrain_taken constrain_take(struct constrain_walk *w, int32_t token);

/* Bytes that came, of an instance say, whatever tokens they are. *n_taken: how many of them fit. */
enum constrain_taken constrain_take_bytes(struct constrain_walk *w, struct str bytes, size_t *n_taken);

/*
 * The allowed tokens as bits, (n + 31) / 32 words; bits past n are 0. TAKEN, or SPENT.
 *
 * A token is allowed if, read byte by byte, what was written can still be completed after each byte, in bytes
 * that are tokens by themselves; or if the shape has that very token next (a structural tag may name one, a
 * control token say, and then it is that and not its bytes); an end where the text may end. Where one text is
 * forced, its canonical next token alone is allowed, and constrain_take refuses every other. That is, in a
 * state with no tokens left over from before: F is the text that must come: byte by byte as long as the text
 * may not end and one byte alone may come, at most 256 bytes, cut to whole code points. toks is what
 * words.encode makes of F (nothing is forced if that cannot be done, or the bytes of toks are not F). If the
 * shape's text ends with F and nothing else can come then, all of toks are forced, one after the other; else
 * all but the last, which might be part of a longer token with what follows. So what is forced depends on the
 * tokens that were taken and on nothing else.
 */
enum constrain_taken constrain_mask(struct constrain_walk *w, uint32_t *bits);

/* The tokens that must come next one after the other (each mask on the way has one bit), without taking
 * them. Returns how many, at most max. */
size_t constrain_forced(struct constrain_walk *w, int32_t *out, size_t max);

/* Is the answer whole as it stands? */
bool constrain_may_end(const struct constrain_walk *w);

/* The bytes that may come next, of 256 (what a person is told where an instance does not fit). */
void constrain_next_bytes(struct constrain_walk *w, uint64_t bytes[4]);
/* And the tokens that may come by themselves, as bits like a mask's. */
void constrain_next_named(struct constrain_walk *w, uint32_t *bits);

#endif
