/* One answer of `hokku chat`: from the messages to the text, written to standard output as it comes. */
#ifndef CLI_CHAT_ANSWER_H
#define CLI_CHAT_ANSWER_H

#include "cli/chat_options.h"
#include "cli/talk.h"
#include "engine/engine.h"

#define CHAT_DIM   "\033[2m"
#define CHAT_PLAIN "\033[0m"

/* What goes through the pipe: */
enum { CHAT_INTERRUPTED = 'i', CHAT_ENDED = 'e' };

/* Filled before: the first three. */
struct chat_answer {
	struct engine *engine;
	bool terminal; /* thinking is shown, and control characters are not sent there */
	int wake[2];   /* a pipe, which has a byte CHAT_INTERRUPTED for each Ctrl-C */
	/* Filled by the engine's thread: */
	struct strbuf text, thinking;
	int write_error;      /* errno of the write that failed */
	bool dims;            /* what is being written is thinking */
	char last;            /* byte written */
	enum hokku_code code; /* of error */
	struct hokku_error error;
	struct hokku_result result;
	bool interrupted;
	struct conversation *talk;
};

/* May a terminal be sent what dims text? Not where NO_COLOR or TERM=dumb is set. */
bool chat_may_dim(int fd);

/* The bytes of text as a terminal may have them: control characters but line end and tab become U+FFFD, so
 * that no answer moves the cursor or sets a title. Appended to out. */
void chat_add_shown(struct strbuf *out, struct str text);

/* Renders, asks, waits for the end. The code, also of what a->error says; HOKKU_CANCELLED: interrupted, or
 * standard output takes no more. */
enum hokku_code chat_answer_run(struct chat_answer *a, const struct talk *t, const struct talk_settings *s,
				const struct chat_options *chat, struct hokku_error *err);
void chat_answer_free(struct chat_answer *a);

#endif
