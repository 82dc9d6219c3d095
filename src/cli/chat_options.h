/* The options of commands that render chat templates. */
#ifndef CLI_CHAT_OPTIONS_H
#define CLI_CHAT_OPTIONS_H

#include "cli/options_common.h"
#include "text/chat.h"

/* Start from zeroes, add the options, parse, read. */
struct chat_options {
	const char *name, *file, *kwargs_text, *date; /* as given; NULL */
	struct str source; /* of the template that is named; ptr NULL: the file's own */
	char *owned;
	struct jv_doc kwargs_doc;
	const struct jv *kwargs; /* NULL: none */
	struct jinja_time date_value;
	const struct jinja_time *now; /* NULL: the clock */
};

/* --chat-template, --chat-template-file, --chat-template-kwargs and --template-date; each also a variable. */
void opt_add_chat(struct opt_table *t, struct chat_options *o);

/* Makes of the texts what they mean. Returns -1, or an exit code after a message. */
int cli_read_chat(const struct cmd *cmd, struct chat_options *o);
void cli_free_chat(struct chat_options *o);

#endif
