/* A conversation of the public library (struct hokku_conversation): JSON in, a prompt, a shape and parts out.
 */
#ifndef ENGINE_CONVERSATION_H
#define ENGINE_CONVERSATION_H

#include "engine/calling.h"
#include "engine/engine.h"
#include "hokku.h"

struct conversation {
	struct hokku_conversation given;
	const struct jinja_time *now; /* what the template reads as the time; NULL: the clock */
	struct jv_doc messages, tools, kwargs;
	struct chat_message *list;
	struct strbuf shape_text;
	enum constrain_space space;
	struct calling calling;
	struct calling_ask ask; /* after conversation_open: the shape and the limit that the answer has */
	struct dialect_reader *reader; /* NULL: all of the answer is text */
	struct thinking_count thought;
	void *user;   /* of given.on_part */
	bool refused; /* on_part returned false */
};

/* Reads what is given and renders it into ids. c->ask has the shape that the request has besides, or none.
 * INVALID_REQUEST begins with the member at fault. The caller closes c whatever comes back. */
enum hokku_code conversation_open(struct conversation *c, const struct engine *e, struct tok_ids *ids,
				  struct hokku_error *err);

/* The text of token `index` of the answer; then, once, its end. False: on_part would not go on, or there is
 * no memory. */
bool conversation_feed(struct conversation *c, uint32_t index, struct str text);
bool conversation_end(struct conversation *c);

/* How many of the answer's n_tokens are thinking. */
uint32_t conversation_thinking(struct conversation *c, uint32_t n_tokens);

/* Frees all of it. One of zeroes is allowed, and is what it leaves. */
void conversation_close(struct conversation *c);

#endif
