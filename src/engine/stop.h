/*
 * Stop texts, found in text that comes in pieces. What could be the beginning of a stop text is held back
 * until it is known to be one or not, so that nothing of a stop text is ever shown. One Knuth-Morris-Pratt
 * automaton a stop text: its state is the length of the longest beginning of that text which the input ends
 * with.
 *
 * The stop text that is complete first ends the text; of several complete at the same byte, the longest.
 * Pieces must be valid, whole UTF-8 (text/stream.h gives such); then what is released is too.
 */
#ifndef ENGINE_STOP_H
#define ENGINE_STOP_H

#include "base/error.h"
#include "base/str.h"

struct stop_text {
	struct str text;
	uint16_t *fail; /* (text.len) fail[i]: longest proper beginning of text that text[0 .. i] ends with */
	uint32_t state; /* bytes matched */
};

struct stop_matcher {
	struct stop_text *texts; /* (n_texts) */
	uint32_t n_texts;
	char *bytes; /* the texts */
	uint16_t *fails;
	struct strbuf held; /* what is held back */
	bool found;
	bool shows;     /* the text that is found is shown too */
	uint32_t which; /* the one that was found */
};

/* INVALID_REQUEST: more than ENGINE_MAX_STOP texts, an empty one, one over ENGINE_MAX_STOP_BYTES, invalid
 * UTF-8. */
enum hokku_code stop_check(const struct str *texts, uint32_t n, struct hokku_error *err);

/* Copies the texts, which passed stop_check. Sets aside room so that pieces of up to max_piece bytes allocate
 * nothing. */
enum hokku_code stop_init(struct stop_matcher *m, const struct str *texts, uint32_t n, size_t max_piece,
			  struct hokku_error *err);
void stop_deinit(struct stop_matcher *m);

/* One byte more of an input; true where a text is complete with it. */
bool stop_advance(struct stop_text *t, char byte);

/* Takes a piece; what may be shown is appended to out. True when a stop text is complete: out then ends
 * before it (with it where m->shows), and later pieces give nothing. */
bool stop_push(struct stop_matcher *m, struct str piece, struct strbuf *out);

/* The input has ended without one: what is held back is appended to out. */
void stop_finish(struct stop_matcher *m, struct strbuf *out);

#endif
