/*
 * Which tokens may come next in an answer, beside what its shape says, and which of them end it: the rules
 * that a request gives as lists of tokens. All of them act as a mask, which is ANDed with the shape's: so
 * they hold on every device, and nothing of a mask depends on anything but the request and the tokens so far.
 *
 * A request without rules has none of this: rules_new gives NULL, which all functions here take.
 */
#ifndef ENGINE_RULES_H
#define ENGINE_RULES_H

#include "base/error.h"
#include "base/str.h"
#include "hokku.h"
#include "text/dialect.h"

enum {
	RULES_MAX_STOP_TOKENS = 256,
	RULES_MAX_ALLOWED = 1 << 18,
	RULES_MAX_BAD_WORDS = 256,      /* texts that a route takes; */
	RULES_MAX_BAD_WORD_BYTES = 256, /* of each */
	RULES_MAX_CLOSE_BYTES = 64,
	RULES_MAX_BAD_IDS = 1 << 15, /* tokens of all that they become, ends counted */
	RULES_FEW = 32,              /* tokens that biases can forbid as well as a mask */
};

/* As a request gives them; all zero: none. */
struct token_rules {
	uint32_t min_tokens; /* before so many no end token and no stop token comes, and no stop text ends
				the answer */
	bool ignore_eos;     /* no end token comes that is none of stop_tokens */
	bool include_stop;   /* what ends the answer, stop text or stop token, is shown */
	const int32_t *stop_tokens; /* (n_stop_tokens) end the answer, as a stop text does */
	uint32_t n_stop_tokens;
	const int32_t *allowed; /* (n_allowed) no others come; none: all do */
	uint32_t n_allowed;
	/* Sequences of tokens that do not stand in the answer, each with -1 behind it. */
	const int32_t *bad_words; /* (n_bad_ids) */
	uint32_t n_bad_ids;
	/* Thinking, which the answer begins with, has an end: once it has so many tokens, close's tokens come
	 * one after the other, behind the first token that ends with a whole character. It is over where its
	 * text holds close, however that was cut into tokens, and where what tells the answer apart says so:
	 * a call may come out of thinking, and close does not come into it. */
	struct rules_thinking {
		uint32_t max;     /* 0: no limit */
		struct str open;  /* an answer that does not begin so has none; empty: every one has */
		struct str close; /* RULES_MAX_CLOSE_BYTES at most */
		const int32_t *close_ids; /* (n_close) its tokens */
		uint32_t n_close;
		const struct dialect_reading
			*how; /* what tells it apart, as long as the rules; NULL: nothing */
		/* A token's text; the engine's. */
		struct str (*bytes)(const void *user, int32_t token);
		const void *user;
	} thinking;
};

/* INVALID_REQUEST names the field. max_tokens 0: none was given. */
enum hokku_code rules_check(const struct token_rules *r, uint32_t n_vocab, uint32_t max_tokens,
			    struct hokku_error *err);

struct rules;

/* Of rules that passed the check, and of the biases that forbid a token (minus infinity). ends: (a bit a
 * token) the model's end tokens. *out NULL: there is nothing to keep. */
enum hokku_code rules_new(const struct token_rules *r, const struct hokku_logit_bias *bias, uint32_t n_bias,
			  const uint32_t *ends, uint32_t n_vocab, struct rules **out,
			  struct hokku_error *err);
void rules_free(struct rules *r);

/* Does a mask depend on the tokens drawn before, so that they must be known? */
bool rules_look_back(const struct rules *r);

/* Where the rules forbid but RULES_FEW tokens, the same ones in the whole answer: which, into ids, and how
 * many. They are the caller's to keep out from now on, and in no mask: biases of minus infinity are drawn
 * with at the pace of a free answer, and a mask is sent with each step. Else 0. */
uint32_t rules_give_away(struct rules *r, int32_t ids[RULES_FEW]);

/* What may come after an answer of n tokens, of which the request has drawn n_drawn and the others were
 * there: `shape` (NULL: all) without what is forbidden; NULL: all. Either may be the result, which stays
 * until the next call. */
const uint32_t *rules_mask(struct rules *r, const int32_t *answer, uint32_t n, uint32_t n_drawn,
			   const uint32_t *shape);

/* Did the last mask allow no token at all? */
bool rules_left_none(const struct rules *r);

/* Does the token end the answer as a stop text does? */
bool rules_stop(const struct rules *r, int32_t token);

/* Is what ends the answer part of it (rules may be NULL); before how many tokens does nothing end it? */
bool rules_include_stop(const struct rules *r);
uint32_t rules_min_tokens(const struct rules *r);

#endif
