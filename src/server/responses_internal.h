/* For the files that make a conversation of what POST /v1/responses takes: responses_request.c (fields, the
 * whole), responses_items.c (items to messages) and responses_tools.c. */
#ifndef SERVER_RESPONSES_INTERNAL_H
#define SERVER_RESPONSES_INTERNAL_H

#include "server/field.h"
#include "server/responses.h"

enum { PATH_BYTES = 128 }; /* of the place of a value */

/* A conversation on its way into messages. */
struct responses_messages {
	struct gen_request *r;
	struct request_error *err;
	const char *where; /* "input", or the response before */
	struct strbuf out; /* messages, separated by commas */
	/* The assistant's turn that is being gathered. */
	bool in_turn, has_text;
	struct strbuf thinking, text,
		calls;        /* thinking and text without quotes' insides; calls separated by commas */
	struct strbuf ids;    /* of calls that were made: a name set */
	uint32_t n_encrypted; /* items of reasoning without a text; the first is told */
};

/* Appends what items say; where: c->where[i] is at fault. */
enum hokku_code responses_read_items(struct responses_messages *c, const struct jv *items);

/* The assistant's turn that is being gathered, if there is one, becomes a message. */
void responses_end_turn(struct responses_messages *c);

struct responses_toolbox {
	struct gen_request *r;
	struct request_error *err;
	const struct jv *allowed;        /* the tools that tool_choice leaves; NULL: all */
	const struct jv *chosen;         /* tool_choice, where it names one tool; NULL: it does not */
	struct strbuf names, flat_names; /* of these: without a namespace, and with the one they name */
	struct strbuf known, flat_known; /* of all tools that there are, the same */
	struct strbuf out, echo;         /* as chat templates know them, and as the response has them */
	uint32_t n_left_out;
	uint32_t outer, inner; /* where the tool at hand stands: tools[outer].tools[inner]; UINT32_MAX: it is
				  in no namespace */
};

/* tool_choice as POST /v1/chat/completions takes it, before the tools, of which it may leave some out;
 * nothing: it was not said. */
enum hokku_code responses_write_choice(struct responses_toolbox *t, const struct jv *choice,
				       struct strbuf *out);
enum hokku_code responses_read_tools(struct responses_toolbox *t, const struct jv *tools);

/* request_form.name_tool. */
void responses_name_tool(const struct gen_request *r, char field[64]);

/* s as a JSON string. */
static inline void responses_add_string(struct strbuf *b, struct str s)
{
	strbuf_add_json(b, s.ptr ? s.ptr : "", s.len);
}

#endif
