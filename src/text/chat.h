/*
 * Chat templates. The file's tokenizer.chat_template decides; ChatML is rendered here, any other template is
 * refused by its name or first line until there is a template engine.
 */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

#include "text/tokenizer.h"

enum chat_kind {
	CHAT_NONE,   /* the file carries no template */
	CHAT_CHATML, /* <|im_start|>role\ncontent<|im_end|>\n */
	CHAT_OTHER,
};

struct chat {
	enum chat_kind kind;
	bool has_default_system; /* the template puts a system message where the caller gives none */
	char default_system[512];
	bool adds_bos;    /* the template begins with the BOS token */
	unsigned refused; /* shapes of message lists that the template does not render as plain ChatML: chat.c
			   */
	char name[160];   /* of what was recognised, or the beginning of what was not, for messages */
};

/* Reads the template of g. A ChatML template is recognised by rendering rules, not by a fixed text: see
 * chat.c. */
enum hokku_code chat_init(struct chat *c, const struct gguf *g, struct hokku_error *err);

struct chat_message {
	struct str role; /* "system", "user", "assistant" */
	struct str content;
};

/* Token ids of the messages, ready for the assistant's answer. Only the template's own markers become special
 * tokens; the same words inside a message's content stay plain text. Errors: INVALID_REQUEST where the
 * template is not ChatML (named), a role unknown, no messages, a list that the model's template would render
 * otherwise. */
enum hokku_code chat_render(const struct chat *c, const struct tok *t, const struct chat_message *messages,
			    size_t n, struct tok_ids *out, struct hokku_error *err);

#endif
