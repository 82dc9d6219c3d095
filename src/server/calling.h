/*
 * Tools and thinking of a request: what they ask of its prompt (arguments of the template), of the answer's
 * shape (thinking is free, what follows it has the shape; calls are held to their tools' schemas), and of the
 * reader that tells the answer apart (text/dialect.h). All of it is a pure function of request and model.
 */
#ifndef SERVER_CALLING_H
#define SERVER_CALLING_H

#include "server/request.h"
#include "text/dialect.h"

struct calling {
	bool reads;          /* the answer is to be told apart */
	struct jv_doc tools; /* the request's, kept as long as the reader */
	struct jv_doc kwargs;
	struct strbuf tail;         /* the end of the prompt */
	struct dialect_shape shape; /* of calls; its text has gone to the request */
	bool beside;                /* it stands beside the shape that the request has */
	bool lenient;               /* what of it cannot be enforced is left free: nobody asked for it */
	struct tok_ids close;       /* what ends thinking, where it has a budget */
	const struct dialect_thinking *marks; /* of the template, told apart or not; NULL: none */
	struct dialect_reading how;
};

/* Before the prompt is rendered: fills c->kwargs, which go to the template behind the request's own. */
enum hokku_code calling_begin(struct calling *c, struct gen_request *r, const struct dialect_found *found,
			      bool thinking_is_text, struct request_error *err);

/* After it: what the answer's shape becomes, how it is read. */
enum hokku_code calling_go_on(struct calling *c, struct gen_request *r, const struct dialect_found *found,
			      const struct tok *tok, const struct tok_ids *ids, struct request_error *err);

/* The answer's shape was refused at a place of it: err->field names the tool whose schema that is, where it
 * is one's. True: the answer may be drawn without a shape, and the request is warned of it. */
bool calling_refused(const struct calling *c, struct gen_request *r, const char *place,
		     struct request_error *err);

/* A reader of one sample's answer. NULL: no memory. */
struct dialect_reader *calling_reader(const struct calling *c, dialect_sink *sink, void *user);

void calling_free(struct calling *c);

#endif
