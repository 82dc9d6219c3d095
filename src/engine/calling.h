/*
 * Tools and thinking of a request: what they ask of its prompt (arguments of the template), of the answer's
 * shape (thinking is free, what follows it has the shape; calls are held to their tools' schemas), and of the
 * reader that tells the answer apart (text/dialect.h). All of it is a pure function of request and model.
 */
#ifndef ENGINE_CALLING_H
#define ENGINE_CALLING_H

#include "constrain/constrain.h"
#include "engine/rules.h"
#include "text/dialect.h"

/* What a request says. */
struct calling_ask {
	const struct jv *tools; /* an array in OpenAI's form; NULL: none */
	enum tool_choice { TOOLS_AUTO, TOOLS_NONE, TOOLS_REQUIRED, TOOLS_NAMED } choice;
	struct str tool_name; /* of TOOLS_NAMED */
	bool one_call;        /* at most */
	enum thinking { THINKING_UNSAID, THINKING_OFF, THINKING_ON } thinking;
	struct str effort;     /* "low" ...; ptr NULL: not said */
	uint32_t budget;       /* most tokens of thinking; 0: no limit of its own */
	bool thinking_is_text; /* it is not told apart */
	size_t begun_bytes;    /* of the prompt: its end, with which the answer begins */
	/* The answer's shape, and the field that gave it, of static storage: NULL: it has none. Becomes the
	 * one that holds calls and thinking, too. */
	const char *shape_field;
	enum constrain_kind shape_kind;
	struct strbuf *shape_text;
	struct rules_thinking limit; /* comes back; its tokens and reading are the calling's */
	void (*warn)(void *user, const char *text);
	void *user;
};

/* An error that may name a field of a request: "temperature", "messages[2].role"; "" where none is at fault.
 */
struct request_error {
	struct hokku_error error;
	char field[64];
};

struct calling {
	bool reads;          /* the answer is to be told apart */
	struct jv_doc tools; /* the request's, kept as long as the reader */
	struct jv_doc kwargs;
	struct strbuf tail;         /* the end of the prompt */
	struct dialect_shape shape; /* of calls; its text has gone to the request */
	bool wrapped;               /* the request's own shape stands in another */
	bool beside;                /* it stands beside the shape that the request has */
	bool lenient;               /* what of it cannot be enforced is left free: nobody asked for it */
	struct tok_ids close;       /* what ends thinking, where it has a budget */
	const struct dialect_thinking *marks; /* of the template, told apart or not; NULL: none */
	struct dialect_reading how;
};

/* Before the prompt is rendered: fills c->kwargs, which go to the template behind the request's own. */
enum hokku_code calling_begin(struct calling *c, struct calling_ask *ask, const struct dialect_found *found,
			      struct request_error *err);

/* After it: what the answer's shape becomes, how it is read. */
enum hokku_code calling_go_on(struct calling *c, struct calling_ask *ask, const struct dialect_found *found,
			      const struct tok *tok, const struct tok_ids *ids, struct request_error *err);

/* The answer's shape was refused at a place of it: field names the tool whose schema that is, where it is
 * one's (else it is ""). True: the answer may be drawn without a shape, for nobody was promised one. */
bool calling_refused(const struct calling *c, const char *place, char field[64]);

/* What was refused of the request's own shape, without where it stands behind thinking or beside calls. */
const char *calling_own_place(const struct calling *c, const char *message);

/* A reader of one sample's answer. NULL: no memory. */
struct dialect_reader *calling_reader(const struct calling *c, dialect_sink *sink, void *user);

/* How many tokens of an answer are thinking: those before which its reader thinks. */
struct thinking_count {
	uint32_t n;
	uint32_t end; /* one past the last of them, counted as the answer's tokens are */
};
/* Before the reader gets the text of token `index` of the answer. */
void thinking_count_token(struct thinking_count *t, const struct dialect_reader *reader, uint32_t index);
/* At the answer's end, of n_tokens: an end token that had an event is none. */
uint32_t thinking_count_end(struct thinking_count *t, uint32_t n_tokens);

/* NULL is not allowed; one of zeroes is. */
void calling_free(struct calling *c);

#endif
