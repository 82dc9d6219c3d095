/* The room's limits, in one place. Each is far above what real files hold and is tested on both sides. */
#ifndef TEXT_LIMITS_H
#define TEXT_LIMITS_H

enum {
	TOK_MAX_TOKENS = 1 << 19,      /* in a vocabulary; the largest published ones have 262,144 */
	TOK_MAX_MERGES = 1 << 20,      /* converted vocabularies may have several for one token */
	SPM_MAX_JOINS = 1 << 21,       /* ways to join tokens of two others; Llama 2 has two a token */
	TOK_MAX_TOKEN_BYTES = 4096,    /* of one token, as the vocabulary writes it */
	TOK_MAX_TEXT_BYTES = 64 << 20, /* of one tok_encode */
	CHAT_MAX_TEMPLATE_BYTES = 256 << 10,
	CHAT_MAX_MESSAGES = 4096,

	/* A chat template at work (text/jinja). */
	JINJA_MAX_NESTING = 200, /* of blocks, brackets and signs in the source */
	JINJA_MAX_NAMES = 1024,  /* of variables */
	JINJA_MAX_DEPTH = 1000,  /* of statements, expressions, calls and values at work inside each other */
	JINJA_MAX_STEPS = 100000000, /* expressions and statements run, bytes and items looked at by 64 */
	JINJA_MAX_MEMORY_BYTES = 1 << 29, /* of all values of a run */
	/* The same while it is tried, at the start: published ones take some thousand steps. */
	CHAT_MAX_TRIAL_STEPS = 1000000,
	CHAT_MAX_TRIAL_BYTES = 1 << 25,
	JINJA_MAX_RANGE = 100000, /* of range(), as jinja2's sandbox has it */
};

#endif
