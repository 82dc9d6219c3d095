/*
 * The streaming decoder: takes a token's bytes as they come, gives out text that is always whole, valid
 * UTF-8. Invalid sequences become U+FFFD as the WHATWG Encoding Standard's UTF-8 decoder replaces them; the
 * output is the same however the input is cut.
 */
#ifndef TEXT_STREAM_H
#define TEXT_STREAM_H

#include "base/str.h"

struct text_stream {
	unsigned char held[4]; /* the beginning of a character that is not complete yet */
	uint8_t n_held;
};

/* Appends to out what bytes release. Start from a zeroed struct. */
void text_stream_push(struct text_stream *s, struct str bytes, struct strbuf *out);

/* The input has ended: what is still held becomes one U+FFFD. */
void text_stream_finish(struct text_stream *s, struct strbuf *out);

#endif
