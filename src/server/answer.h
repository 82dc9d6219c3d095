/*
 * What the server says: JSON objects and server-sent events (the WHATWG HTML standard's text/event-stream),
 * appended to a strbuf. Pure functions without state.
 */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include "server/request.h"

/* {"error":{"code":"...","message":"...","field":"..."}}; field is left out where it is NULL or "". */
void answer_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field);

/* A seed as JSON: a number where every JSON reader keeps it exact (up to 2^53 - 1), else a string of digits.
 */
void answer_seed(struct strbuf *b, uint64_t seed);

/* The shortest decimal that reads back as the same float. */
void answer_float(struct strbuf *b, float value);

/* What is known of a request before its first token. */
struct answer_start {
	const char *id, *model;
	uint64_t seed;
	uint32_t prompt_tokens;
	uint32_t max_tokens; /* 0: no limit but the context, shown as null */
	const char *started_at;
	const char *template_date; /* the date that the chat template put into the prompt; "": none */
	const struct sampling *sampling;
	struct str stop_json;     /* strings separated by commas */
	struct str warnings_json; /* the same */
};

/* The answer's end: times in milliseconds. */
struct answer_end {
	enum hokku_stop stop;
	uint32_t tokens_out;
	uint64_t text_bytes;
	double prefill_ms, decode_ms, ttft_ms;
};

/* The four events of a stream. */
void answer_event_started(struct strbuf *b, const struct answer_start *start);
void answer_event_token(struct strbuf *b, struct str text, uint32_t index, int32_t token);
void answer_event_end(struct strbuf *b, const struct answer_end *end);
void answer_event_error(struct strbuf *b, enum hokku_code code, const char *message);
void answer_keep_alive(struct strbuf *b); /* a comment */

/* All of it in one object, for "stream": false. */
void answer_whole(struct strbuf *b, const struct answer_start *start, struct str text,
		  const struct answer_end *end);

#endif
