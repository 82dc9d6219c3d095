#include "text/stream.h"

/* Encoding Standard, "UTF-8 decoder": https://encoding.spec.whatwg.org/#utf-8-decoder */

static void replace(struct strbuf *out)
{
	strbuf_add(out, "\xEF\xBF\xBD", 3);
}

/* How many continuation bytes follow the lead byte c, and the range of the first of them; 0 for a byte that
 * cannot begin a character of several bytes. */
static unsigned lead(unsigned char c, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xBF;
	if (c >= 0xC2 && c <= 0xDF)
		return 1;
	if (c >= 0xE0 && c <= 0xEF) {
		if (c == 0xE0)
			*low = 0xA0;
		else if (c == 0xED)
			*high = 0x9F;
		return 2;
	}
	if (c >= 0xF0 && c <= 0xF4) {
		if (c == 0xF0)
			*low = 0x90;
		else if (c == 0xF4)
			*high = 0x8F;
		return 3;
	}
	return 0;
}

/* A byte while nothing is held. */
static void begin(struct text_stream *s, unsigned char c, struct strbuf *out)
{
	unsigned char low, high;
	if (c < 0x80) {
		strbuf_add(out, &c, 1);
	} else if (lead(c, &low, &high)) {
		s->held[0] = c;
		s->n_held = 1;
	} else {
		replace(out);
	}
}

static void push_byte(struct text_stream *s, unsigned char c, struct strbuf *out)
{
	if (s->n_held == 0) {
		begin(s, c, out);
		return;
	}
	unsigned char low, high;
	unsigned wanted = lead(s->held[0], &low, &high);
	if (s->n_held > 1) {
		low = 0x80;
		high = 0xBF;
	}
	if (c < low || c > high) { /* what is held can never become a character; c is looked at afresh */
		replace(out);
		s->n_held = 0;
		begin(s, c, out);
		return;
	}
	s->held[s->n_held++] = c;
	if (s->n_held == wanted + 1) {
		strbuf_add(out, s->held, s->n_held);
		s->n_held = 0;
	}
}

void text_stream_push(struct text_stream *s, struct str bytes, struct strbuf *out)
{
	size_t i = 0;
	while (i < bytes.len) {
		if (s->n_held == 0) {
			size_t whole = utf8_valid_prefix(bytes.ptr + i, bytes.len - i);
			strbuf_add(out, bytes.ptr + i, whole);
			i += whole;
		}
		if (i < bytes.len)
			push_byte(s, (unsigned char)bytes.ptr[i++], out);
	}
}

void text_stream_finish(struct text_stream *s, struct strbuf *out)
{
	if (s->n_held)
		replace(out);
	s->n_held = 0;
}
