/*
 * What `hokku constrain` does with a shape: walk instances through it, draw texts from it, and time both.
 * Times are of the thread's processor, so that other programs of a busy machine are not in them.
 */
#ifndef CLI_SHAPE_WALK_H
#define CLI_SHAPE_WALK_H

#include "cli/load_stats.h"
#include "constrain/constrain.h"
#include "text/tokenizer.h"

/* A vocabulary and what has been measured with it. Zeroed, then shape_tools_open. */
struct shape_tools {
	struct tok *tok; /* NULL: the 256 bytes */
	struct constrain_words words;
	struct constrain_vocab *vocab;
	uint32_t *bits; /* a mask */
	int32_t *ids;   /* of the present instance */
	size_t ids_cap;
	struct series compile_us; /* constrain_new of a shape that compiled, */
	struct series first_us;   /* the same and its first mask */
	struct series mask_us;    /* a mask and taking the token */
	size_t n_tokens;          /* walked with masks */
	size_t n_other;           /* of those, other tokens than the canonical ones of a forced text */
};

/* model: as cli_open_tok takes it; bytes: the vocabulary of 256 single bytes in its place. */
enum hokku_code shape_tools_open(struct shape_tools *s, const char *model, bool bytes,
				 struct hokku_error *err);
void shape_tools_close(struct shape_tools *s);

/* constrain_new, timed with the first mask of a walk. */
struct shape_made {
	struct constrain *shape;
	struct constrain_fault fault;
	double compile_us, first_us;
};
enum hokku_code shape_make(struct shape_tools *s, const struct constrain_shape *what, struct shape_made *out,
			   struct hokku_error *err);

enum shape_verdict {
	SHAPE_ACCEPTED,
	SHAPE_REFUSED, /* byte `at` does not fit */
	SHAPE_SHORT,   /* all of it fits, and more must come */
	SHAPE_SPENT,   /* memory or work of the shape is used up */
	SHAPE_FAULT,   /* mask and text disagree: a fault of hokku */
};
const char *shape_verdict_name(enum shape_verdict v);

struct shape_walked {
	enum shape_verdict verdict;
	size_t at;         /* how many bytes fit */
	const char *fault; /* what is at fault; static */
	uint64_t next[4];  /* of REFUSED and SHORT: the bytes that could stand at `at` */
	bool may_end;      /* the text may end at `at` */
	int32_t named;     /* a token that may come there by itself, of n_named */
	uint32_t n_named;
	double mask_mean_us; /* with masks */
	double mask_max_us;
};

/* Walks text: byte by byte; with masks, token by token as the tokenizer cuts it, each mask made, its token
 * looked up in it and taken. Where the shape forces one text its mask has the canonical token alone; what the
 * tokenizer cut otherwise is then taken as bytes. */
void shape_walk(struct shape_tools *s, struct constrain *shape, struct str text, bool masks,
		struct shape_walked *out);

/* A text drawn from the masks. */
struct shape_drawn {
	struct strbuf text;
	size_t n_tokens;
	bool ended;        /* false: cut, after many tokens */
	const char *fault; /* a walk without a next token, a text that a second walk refuses; static, NULL:
			      none */
};

/* Evenly among allowed tokens, leaning to those that end things, and after max_tokens to those alone where it
 * can. The same seed draws the same text. out is zeroed; its text is the caller's to free. */
void shape_draw(struct shape_tools *s, struct constrain *shape, uint64_t seed, uint32_t max_tokens,
		struct shape_drawn *out);

#endif
